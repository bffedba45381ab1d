//! `select!` and `join!` for workflow code: they poll in the order written, always.
//!
//! Other `select!` macros pick a random branch to poll first, or poll only branches that a waker
//! named; both make a replay take another way than the original.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

/// Waits for the first of several futures. Where several are ready, the one written first wins.
/// The others are dropped; give `&mut future` to keep one.
///
/// ```
/// # use workflow::{Context, WorkflowError};
/// # use std::time::Duration;
/// # async fn run(ctx: Context) -> Result<(), WorkflowError> {
/// workflow::select! {
///     stop = ctx.wait_signal_named::<String>("stop") => println!("{}", stop?),
///     timeout = ctx.timer(Duration::from_secs(60)) => timeout?,
/// }
/// # Ok(()) }
/// ```
///
/// From two to six branches; every branch but the last ends in a comma.
#[macro_export]
macro_rules! select {
    ($p1:pat = $f1:expr => $b1:expr, $p2:pat = $f2:expr => $b2:expr $(,)?) => {
        match $crate::combine::select2($f1, $f2).await {
            $crate::combine::Selected::First($p1) => $b1,
            $crate::combine::Selected::Rest($p2) => $b2,
        }
    };
    ($p1:pat = $f1:expr => $b1:expr, $p2:pat = $f2:expr => $b2:expr,
     $p3:pat = $f3:expr => $b3:expr $(,)?) => {
        match $crate::combine::select2($f1, $crate::combine::select2($f2, $f3)).await {
            $crate::combine::Selected::First($p1) => $b1,
            $crate::combine::Selected::Rest($crate::combine::Selected::First($p2)) => $b2,
            $crate::combine::Selected::Rest($crate::combine::Selected::Rest($p3)) => $b3,
        }
    };
    ($p1:pat = $f1:expr => $b1:expr, $p2:pat = $f2:expr => $b2:expr,
     $p3:pat = $f3:expr => $b3:expr, $p4:pat = $f4:expr => $b4:expr $(,)?) => {
        match $crate::combine::select2(
            $crate::combine::select2($f1, $f2),
            $crate::combine::select2($f3, $f4),
        )
        .await
        {
            $crate::combine::Selected::First($crate::combine::Selected::First($p1)) => $b1,
            $crate::combine::Selected::First($crate::combine::Selected::Rest($p2)) => $b2,
            $crate::combine::Selected::Rest($crate::combine::Selected::First($p3)) => $b3,
            $crate::combine::Selected::Rest($crate::combine::Selected::Rest($p4)) => $b4,
        }
    };
    ($p1:pat = $f1:expr => $b1:expr, $p2:pat = $f2:expr => $b2:expr,
     $p3:pat = $f3:expr => $b3:expr, $p4:pat = $f4:expr => $b4:expr,
     $p5:pat = $f5:expr => $b5:expr $(,)?) => {
        match $crate::combine::select2(
            $crate::combine::select2($f1, $f2),
            $crate::combine::select2($f3, $crate::combine::select2($f4, $f5)),
        )
        .await
        {
            $crate::combine::Selected::First($crate::combine::Selected::First($p1)) => $b1,
            $crate::combine::Selected::First($crate::combine::Selected::Rest($p2)) => $b2,
            $crate::combine::Selected::Rest($crate::combine::Selected::First($p3)) => $b3,
            $crate::combine::Selected::Rest($crate::combine::Selected::Rest(
                $crate::combine::Selected::First($p4),
            )) => $b4,
            $crate::combine::Selected::Rest($crate::combine::Selected::Rest(
                $crate::combine::Selected::Rest($p5),
            )) => $b5,
        }
    };
    ($p1:pat = $f1:expr => $b1:expr, $p2:pat = $f2:expr => $b2:expr,
     $p3:pat = $f3:expr => $b3:expr, $p4:pat = $f4:expr => $b4:expr,
     $p5:pat = $f5:expr => $b5:expr, $p6:pat = $f6:expr => $b6:expr $(,)?) => {
        match $crate::combine::select2(
            $crate::combine::select2($f1, $crate::combine::select2($f2, $f3)),
            $crate::combine::select2($f4, $crate::combine::select2($f5, $f6)),
        )
        .await
        {
            $crate::combine::Selected::First($crate::combine::Selected::First($p1)) => $b1,
            $crate::combine::Selected::First($crate::combine::Selected::Rest(
                $crate::combine::Selected::First($p2),
            )) => $b2,
            $crate::combine::Selected::First($crate::combine::Selected::Rest(
                $crate::combine::Selected::Rest($p3),
            )) => $b3,
            $crate::combine::Selected::Rest($crate::combine::Selected::First($p4)) => $b4,
            $crate::combine::Selected::Rest($crate::combine::Selected::Rest(
                $crate::combine::Selected::First($p5),
            )) => $b5,
            $crate::combine::Selected::Rest($crate::combine::Selected::Rest(
                $crate::combine::Selected::Rest($p6),
            )) => $b6,
        }
    };
}

/// Waits for all of two to six futures and yields their outputs as a tuple.
#[macro_export]
macro_rules! join {
    ($f1:expr, $f2:expr $(,)?) => {
        $crate::combine::join2($f1, $f2).await
    };
    ($f1:expr, $f2:expr, $f3:expr $(,)?) => {{
        let (a, (b, c)) = $crate::combine::join2($f1, $crate::combine::join2($f2, $f3)).await;
        (a, b, c)
    }};
    ($f1:expr, $f2:expr, $f3:expr, $f4:expr $(,)?) => {{
        let ((a, b), (c, d)) = $crate::combine::join2(
            $crate::combine::join2($f1, $f2),
            $crate::combine::join2($f3, $f4),
        )
        .await;
        (a, b, c, d)
    }};
    ($f1:expr, $f2:expr, $f3:expr, $f4:expr, $f5:expr $(,)?) => {{
        let ((a, (b, c)), (d, e)) = $crate::combine::join2(
            $crate::combine::join2($f1, $crate::combine::join2($f2, $f3)),
            $crate::combine::join2($f4, $f5),
        )
        .await;
        (a, b, c, d, e)
    }};
    ($f1:expr, $f2:expr, $f3:expr, $f4:expr, $f5:expr, $f6:expr $(,)?) => {{
        let ((a, (b, c)), (d, (e, f))) = $crate::combine::join2(
            $crate::combine::join2($f1, $crate::combine::join2($f2, $f3)),
            $crate::combine::join2($f4, $crate::combine::join2($f5, $f6)),
        )
        .await;
        (a, b, c, d, e, f)
    }};
}

/// Which of two futures was ready first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selected<A, B> {
    /// The one written first.
    First(A),
    /// The one after it, which may itself be a selection.
    Rest(B),
}

/// The first of two futures to be ready; [`crate::select!`] is the form to use.
pub async fn select2<A: IntoFuture, B: IntoFuture>(
    first: A,
    rest: B,
) -> Selected<A::Output, B::Output> {
    let mut first = std::pin::pin!(first.into_future());
    let mut rest = std::pin::pin!(rest.into_future());
    std::future::poll_fn(|cx| {
        if let Poll::Ready(output) = first.as_mut().poll(cx) {
            return Poll::Ready(Selected::First(output));
        }
        rest.as_mut().poll(cx).map(Selected::Rest)
    })
    .await
}

/// Both outputs of two futures; [`crate::join!`] is the form to use.
pub async fn join2<A: IntoFuture, B: IntoFuture>(first: A, rest: B) -> (A::Output, B::Output) {
    let mut first = std::pin::pin!(Joining::new(first.into_future()));
    let mut rest = std::pin::pin!(Joining::new(rest.into_future()));
    std::future::poll_fn(|cx| {
        let first_done = first.as_mut().poll_output(cx);
        let rest_done = rest.as_mut().poll_output(cx);
        if !(first_done && rest_done) {
            return Poll::Pending;
        }
        match (first.as_mut().take(), rest.as_mut().take()) {
            (Some(first), Some(rest)) => Poll::Ready((first, rest)),
            // Both are done and are taken once: this poll_fn is not polled after it is ready.
            _ => Poll::Pending,
        }
    })
    .await
}

/// Waits for all futures and yields their outputs in the same order. Polls all of them each time,
/// in order.
pub async fn join_all<F: IntoFuture>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut joining: Vec<Pin<Box<Joining<F::IntoFuture>>>> = futures
        .into_iter()
        .map(|future| Box::pin(Joining::new(future.into_future())))
        .collect();
    std::future::poll_fn(|cx| {
        let mut all = true;
        for future in &mut joining {
            all &= future.as_mut().poll_output(cx);
        }
        if all { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    joining
        .iter_mut()
        .filter_map(|future| future.as_mut().take())
        .collect()
}

/// A future that keeps its output until it is taken. The future is boxed so that the whole needs
/// no pin projection.
struct Joining<F: Future> {
    future: Option<Pin<Box<F>>>,
    output: Option<F::Output>,
}

impl<F: Future> Unpin for Joining<F> {}

impl<F: Future> Joining<F> {
    fn new(future: F) -> Self {
        Self {
            future: Some(Box::pin(future)),
            output: None,
        }
    }

    fn poll_output(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> bool {
        let Some(future) = &mut self.future else {
            return true;
        };
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => {
                self.future = None;
                self.output = Some(output);
                true
            }
            Poll::Pending => false,
        }
    }

    fn take(mut self: Pin<&mut Self>) -> Option<F::Output> {
        self.output.take()
    }
}
