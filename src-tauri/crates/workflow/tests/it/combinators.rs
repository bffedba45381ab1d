//! `select!`, `join!` and `join_all` poll in the order written.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

fn now<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future waits"),
    }
}

#[test]
fn of_several_ready_branches_the_first_written_wins() {
    for _ in 0..100 {
        let won = now(async {
            workflow::select! {
                () = std::future::pending() => 1,
                two = std::future::ready(2) => two,
                three = std::future::ready(3) => three,
                four = std::future::ready(4) => four,
                five = std::future::ready(5) => five,
                six = std::future::ready(6) => six,
            }
        });
        assert_eq!(won, 2);
    }
}

#[test]
fn branches_begin_and_are_polled_in_the_order_written() {
    let log = Rc::new(RefCell::new(Vec::new()));
    let branch = |n: u32| {
        log.borrow_mut().push(format!("begin {n}"));
        let log = log.clone();
        async move {
            log.borrow_mut().push(format!("poll {n}"));
            n
        }
    };
    let all = now(async {
        workflow::join!(
            branch(1),
            branch(2),
            branch(3),
            branch(4),
            branch(5),
            branch(6)
        )
    });
    assert_eq!(all, (1, 2, 3, 4, 5, 6));
    let order = |word: &str| (1..=6).map(|n| format!("{word} {n}")).collect::<Vec<_>>();
    assert_eq!(log.take(), [order("begin"), order("poll")].concat());
    assert_eq!(
        now(workflow::join_all((1..=6).map(branch))),
        [1, 2, 3, 4, 5, 6]
    );
    assert_eq!(log.borrow()[6..], order("poll"));
}

#[test]
fn a_branch_given_by_reference_can_be_waited_for_again() {
    let mut kept = Box::pin(async { 7 });
    let first = now(async {
        workflow::select! {
            other = std::future::ready(1) => other,
            kept = &mut kept => kept,
        }
    });
    assert_eq!((first, now(kept)), (1, 7));
}
