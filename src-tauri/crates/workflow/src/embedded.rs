//! The [`Backend`] of the embedded engine: operations are commands to record, and their outcomes
//! are slots that arrivals fill.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use serde_json::Value;

use crate::backend::{Backend, WorkflowInfo};
use crate::failure::{ActivityError, Cancelled, ChildError};
use crate::history::EventKind;
use crate::options::{ActivityOptions, CancellationType, ChildOptions};
use crate::scope::{Cancel, Operation};
use crate::state::{Slot, State};
use crate::time::Timestamp;

#[derive(Clone)]
pub(crate) struct EmbeddedBackend {
    state: Rc<RefCell<State>>,
    // Kept apart from the state so that it can be lent out.
    info: Rc<WorkflowInfo>,
}

impl EmbeddedBackend {
    pub(crate) fn new(state: Rc<RefCell<State>>) -> Self {
        let info = Rc::new(state.borrow().info.clone());
        Self { state, info }
    }

    /// Gives the next operation its number, its slot and its command.
    fn begin(&self, command: impl FnOnce(u64) -> EventKind) -> u64 {
        let mut state = self.state.borrow_mut();
        let seq = state.next_seq;
        state.next_seq += 1;
        state.slots.insert(seq, Slot::Waiting);
        state.command(command(seq));
        seq
    }

    fn outcome(&self, seq: u64) -> impl Future<Output = EventKind> + 'static {
        let state = self.state.clone();
        std::future::poll_fn(move |_| {
            let mut state = state.borrow_mut();
            if !matches!(state.slots.get(&seq), Some(Slot::Ready(_))) {
                return Poll::Pending;
            }
            match state.slots.remove(&seq) {
                Some(Slot::Ready(outcome)) => Poll::Ready(*outcome),
                _ => Poll::Pending,
            }
        })
    }

    fn canceller(
        &self,
        seq: u64,
        cancellation: CancellationType,
        command: impl Fn(&str) -> EventKind + 'static,
        outcome: impl Fn(&str) -> EventKind + 'static,
    ) -> Rc<dyn Cancel> {
        Rc::new(Canceller {
            state: self.state.clone(),
            seq,
            cancellation,
            asked: std::cell::Cell::new(false),
            command: Box::new(command),
            outcome: Box::new(outcome),
        })
    }
}

type Describe = Box<dyn Fn(&str) -> EventKind>;

struct Canceller {
    state: Rc<RefCell<State>>,
    seq: u64,
    cancellation: CancellationType,
    asked: std::cell::Cell<bool>,
    command: Describe,
    outcome: Describe,
}

impl Cancel for Canceller {
    fn cancel(&self, reason: &str) {
        if self.is_finished() || self.asked.replace(true) {
            return;
        }
        let mut state = self.state.borrow_mut();
        if self.cancellation != CancellationType::Abandon {
            state.command((self.command)(reason));
        }
        if self.cancellation != CancellationType::WaitCompleted {
            let outcome = Box::new((self.outcome)(reason));
            state.slots.insert(self.seq, Slot::Ready(outcome));
        }
    }

    fn is_finished(&self) -> bool {
        !matches!(
            self.state.borrow().slots.get(&self.seq),
            Some(Slot::Waiting)
        )
    }
}

impl Backend for EmbeddedBackend {
    fn info(&self) -> &WorkflowInfo {
        &self.info
    }

    fn now(&self) -> Timestamp {
        self.state.borrow().now
    }

    fn is_replaying(&self) -> bool {
        self.state.borrow().is_replaying()
    }

    fn random_u64(&self) -> u64 {
        self.state.borrow_mut().random.next_u64()
    }

    fn patched(&self, id: &str, deprecated: bool) -> bool {
        self.state.borrow_mut().patched(id, deprecated)
    }

    fn set_query(&self, name: &str, value: Value) {
        self.state
            .borrow_mut()
            .queries
            .insert(name.to_owned(), value);
    }

    fn take_signal(&self, name: &str) -> Option<Value> {
        self.state.borrow_mut().signals.get_mut(name)?.pop_front()
    }

    fn start_activity(
        &self,
        name: &str,
        input: Value,
        options: ActivityOptions,
    ) -> Operation<Result<Value, ActivityError>> {
        let activity = name.to_owned();
        let cancellation = options.cancellation;
        let seq = self.begin(|seq| EventKind::ActivityScheduled {
            seq,
            activity: activity.clone(),
            input,
            options,
        });
        let cancelled = ActivityError::Cancelled {
            activity: activity.clone(),
        };
        let cancel = self.canceller(
            seq,
            cancellation,
            move |_| EventKind::ActivityCancelRequested { seq },
            move |_| EventKind::ActivityFailed {
                seq,
                error: cancelled.clone(),
            },
        );
        let outcome = self.outcome(seq);
        let future = async move {
            match outcome.await {
                EventKind::ActivityCompleted { result, .. } => Ok(result),
                EventKind::ActivityFailed { error, .. } => Err(error),
                other => Err(ActivityError::Invalid {
                    activity,
                    message: format!("the history has {} in its place", other.describe()),
                }),
            }
        };
        Operation::new(future, cancel)
    }

    fn start_timer(&self, duration: Duration) -> Operation<Result<(), Cancelled>> {
        let seq = self.begin(|seq| EventKind::TimerStarted { seq, duration });
        let reason = Rc::new(RefCell::new(None));
        let noted = reason.clone();
        let cancel = self.canceller(
            seq,
            CancellationType::TryCancel,
            move |_| EventKind::TimerCanceled { seq },
            move |why| {
                *noted.borrow_mut() = Some(why.to_owned());
                EventKind::TimerFired { seq }
            },
        );
        let outcome = self.outcome(seq);
        let future = async move {
            outcome.await;
            match reason.take() {
                None => Ok(()),
                Some(reason) => Err(Cancelled { reason }),
            }
        };
        Operation::new(future, cancel)
    }

    fn start_child(
        &self,
        workflow_type: &str,
        input: Value,
        mut options: ChildOptions,
    ) -> Operation<Result<Value, ChildError>> {
        let cancellation = options.cancellation;
        let chosen = options.workflow_id.take();
        let parent = self.info.workflow_id.clone();
        let child_id = |seq: u64| chosen.clone().unwrap_or_else(|| format!("{parent}/{seq}"));
        let seq = self.begin(|seq| EventKind::ChildScheduled {
            seq,
            workflow_type: workflow_type.to_owned(),
            workflow_id: child_id(seq),
            input,
            options,
        });
        let workflow_id = child_id(seq);
        let cancelled = ChildError::Cancelled {
            workflow_id: workflow_id.clone(),
        };
        let cancel = self.canceller(
            seq,
            cancellation,
            move |reason| EventKind::ChildCancelRequested {
                seq,
                reason: reason.to_owned(),
            },
            move |_| EventKind::ChildFailed {
                seq,
                error: cancelled.clone(),
            },
        );
        let outcome = self.outcome(seq);
        let future = async move {
            match outcome.await {
                EventKind::ChildCompleted { result, .. } => Ok(result),
                EventKind::ChildFailed { error, .. } => Err(error),
                other => Err(ChildError::Invalid {
                    workflow_id,
                    message: format!("the history has {} in its place", other.describe()),
                }),
            }
        };
        Operation::new(future, cancel)
    }
}
