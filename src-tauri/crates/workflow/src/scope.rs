//! Cancellation scopes, and operations that belong to them.
//!
//! The tree of scopes lives here, above both engines, so that cancelling reaches the operations in
//! the same order on the embedded engine and on a Temporal cluster.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll};

use futures_util::future::LocalBoxFuture;

/// Lets a scope cancel an operation that it started.
pub trait Cancel {
    /// Asks the operation to end. Without effect once it has ended.
    fn cancel(&self, reason: &str);

    /// True once the operation has ended; the scope then forgets it.
    fn is_finished(&self) -> bool;
}

/// A running activity, timer or child, as an engine hands it to [`crate::Context`].
pub struct Operation<T> {
    future: LocalBoxFuture<'static, T>,
    cancel: Option<Rc<dyn Cancel>>,
}

impl<T: 'static> Operation<T> {
    /// An operation that resolves as `future` does and is ended through `cancel`.
    pub fn new(future: impl Future<Output = T> + 'static, cancel: Rc<dyn Cancel>) -> Self {
        Self {
            future: Box::pin(future),
            cancel: Some(cancel),
        }
    }

    /// An operation that has ended before it began.
    pub fn ready(value: T) -> Self {
        Self {
            future: Box::pin(std::future::ready(value)),
            cancel: None,
        }
    }

    /// The same operation with its outcome converted.
    pub(crate) fn map<U: 'static>(self, convert: impl FnOnce(T) -> U + 'static) -> Operation<U> {
        let future = self.future;
        Operation {
            future: Box::pin(async move { convert(future.await) }),
            cancel: self.cancel,
        }
    }

    pub(crate) fn canceller(&self) -> Option<Rc<dyn Cancel>> {
        self.cancel.clone()
    }

    /// Asks the operation to end. What its future then yields is up to its cancellation type.
    pub fn cancel(&self, reason: &str) {
        if let Some(cancel) = &self.cancel {
            cancel.cancel(reason);
        }
    }
}

impl<T> Future for Operation<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<T> {
        self.future.as_mut().poll(cx)
    }
}

impl<T> fmt::Debug for Operation<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let finished = self
            .cancel
            .as_ref()
            .is_none_or(|cancel| cancel.is_finished());
        f.debug_struct("Operation")
            .field("finished", &finished)
            .finish_non_exhaustive()
    }
}

/// Set when something happened during a poll that code polled earlier may be waiting for; the
/// engine then polls once more. It stands in for wakers, which would name a branch but not an
/// order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Repoll(Rc<Cell<bool>>);

impl Repoll {
    pub(crate) fn request(&self) {
        self.0.set(true);
    }

    pub(crate) fn take(&self) -> bool {
        self.0.take()
    }
}

/// A group of operations that are cancelled together.
#[derive(Clone)]
pub struct CancelScope {
    inner: Rc<Inner>,
}

struct Inner {
    reason: RefCell<Option<String>>,
    operations: RefCell<Vec<Rc<dyn Cancel>>>,
    children: RefCell<Vec<CancelScope>>,
    repoll: Repoll,
}

impl CancelScope {
    pub(crate) fn new(repoll: Repoll) -> Self {
        Self {
            inner: Rc::new(Inner {
                reason: RefCell::new(None),
                operations: RefCell::new(Vec::new()),
                children: RefCell::new(Vec::new()),
                repoll,
            }),
        }
    }

    /// A scope that is cancelled with this one.
    pub(crate) fn child(&self) -> Self {
        let child = Self::new(self.inner.repoll.clone());
        if let Some(reason) = self.reason() {
            child.cancel(&reason);
        }
        self.inner.children.borrow_mut().push(child.clone());
        child
    }

    /// A scope of its own, which nothing else cancels.
    pub(crate) fn detached(&self) -> Self {
        Self::new(self.inner.repoll.clone())
    }

    pub(crate) fn add(&self, operation: Rc<dyn Cancel>) {
        let mut operations = self.inner.operations.borrow_mut();
        // A loop of timers must not grow the list for ever; doubling keeps the sweep amortised.
        if operations.len() >= 32 && operations.len() == operations.capacity() {
            operations.retain(|operation| !operation.is_finished());
        }
        operations.push(operation);
    }

    /// Cancels every operation of this scope in the order they were started, then the scopes
    /// within. The first reason stands.
    pub fn cancel(&self, reason: &str) {
        {
            let mut current = self.inner.reason.borrow_mut();
            if current.is_some() {
                return;
            }
            *current = Some(reason.to_owned());
        }
        self.inner.repoll.request();
        let operations = self.inner.operations.take();
        for operation in operations {
            operation.cancel(reason);
        }
        let children = self.inner.children.take();
        for child in children {
            child.cancel(reason);
        }
    }

    /// The reason of the cancellation, once there was one.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        self.inner.reason.borrow().clone()
    }

    /// True once the scope was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.inner.reason.borrow().is_some()
    }
}

impl fmt::Debug for CancelScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelScope")
            .field("reason", &self.reason())
            .finish_non_exhaustive()
    }
}
