//! One run of workflow code: replays its history, then takes turns.
//!
//! A turn hands the code one arrival after another, polls it after each until it waits, and
//! collects the commands it gave. While a history is replayed, each command is held against the
//! next one recorded; the first that differs ends the replay with [`NonDeterminism`].

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context as TaskContext, Poll, Wake, Waker};

use futures_util::future::LocalBoxFuture;
use serde_json::Value;

use crate::backend::{Backend, Driver, WorkflowInfo};
use crate::definition::Registry;
use crate::embedded::EmbeddedBackend;
use crate::failure::{Failure, WorkflowError};
use crate::history::{EventKind, EventRole, FORMAT_VERSION, HistoryEvent};
use crate::random::SeededRandom;
use crate::state::{Replay, State};
use crate::time::Timestamp;

/// Why workflow code could not take a turn. The workflow itself goes on once the code is mended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExecutionError {
    /// The code does not do what the history says it did.
    #[error(
        "workflow '{workflow_id}' is not deterministic at event {event_id}: \
             the history has {expected}, the code gave {found}"
    )]
    NonDeterminism {
        /// The workflow.
        workflow_id: String,
        /// The id of the event at which they part.
        event_id: u64,
        /// What the history holds there.
        expected: String,
        /// What the code did instead.
        found: String,
    },
    /// The code panicked.
    #[error("workflow '{workflow_id}' panicked: {message}")]
    Panicked {
        /// The workflow.
        workflow_id: String,
        /// The panic's message.
        message: String,
    },
    /// The code waits for something that is not in any history, or never waits.
    #[error("workflow '{workflow_id}' {message}")]
    Misbehaved {
        /// The workflow.
        workflow_id: String,
        /// What it does.
        message: String,
    },
    /// No code of this name is registered.
    #[error("no workflow of type '{workflow_type}' is registered")]
    UnknownType {
        /// The name.
        workflow_type: String,
    },
    /// The history itself cannot be used.
    #[error("history of workflow '{workflow_id}' cannot be replayed: {message}")]
    History {
        /// The workflow.
        workflow_id: String,
        /// What is wrong with it.
        message: String,
    },
}

/// Notes that the code's waker was called: from within a poll it asks for another poll; from
/// anywhere else it gives away that the code waits for something outside its history.
#[derive(Debug, Default)]
struct TurnWaker {
    woken: AtomicBool,
    polling: AtomicBool,
    foreign: AtomicBool,
}

impl Wake for TurnWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.polling.load(Ordering::Acquire) {
            self.woken.store(true, Ordering::Release);
        } else {
            self.foreign.store(true, Ordering::Release);
        }
    }
}

/// A run of workflow code, up to date with its history.
pub(crate) struct Execution {
    state: Rc<RefCell<State>>,
    driver: Driver,
    future: LocalBoxFuture<'static, Result<Value, WorkflowError>>,
    waker: Arc<TurnWaker>,
    deferred: Vec<EventKind>,
    closed: bool,
    cancel_reason: Rc<Cell<Option<String>>>,
}

impl Execution {
    /// Begins a run that has no history yet. `start` is its [`EventKind::WorkflowStarted`]; hand it
    /// to [`Self::turn`] next.
    pub(crate) fn begin(
        registry: &Registry,
        workflow_id: &str,
        start: &EventKind,
        time: Timestamp,
    ) -> Result<Self, ExecutionError> {
        let unusable = |message: &str| ExecutionError::History {
            workflow_id: workflow_id.to_owned(),
            message: message.to_owned(),
        };
        let EventKind::WorkflowStarted {
            format,
            workflow_type,
            run_id,
            correlation_id,
            seed,
            input,
            parent,
        } = start
        else {
            return Err(unusable("it does not begin with a start"));
        };
        if *format > FORMAT_VERSION {
            return Err(unusable(&format!(
                "its format {format} is newer than {FORMAT_VERSION}, the newest known here"
            )));
        }
        let state = Rc::new(RefCell::new(State {
            info: WorkflowInfo {
                workflow_id: workflow_id.to_owned(),
                run_id: run_id.clone(),
                workflow_type: workflow_type.clone(),
                correlation_id: correlation_id.clone(),
                parent: parent.clone(),
            },
            now: time,
            random: SeededRandom::new(*seed),
            next_seq: 1,
            slots: BTreeMap::new(),
            signals: BTreeMap::new(),
            queries: BTreeMap::new(),
            patches: BTreeMap::new(),
            recorded_patches: BTreeSet::new(),
            replay: None,
            commands: Vec::new(),
            error: None,
        }));
        let backend: Rc<dyn Backend> = Rc::new(EmbeddedBackend::new(state.clone()));
        let (context, driver) = Driver::new(backend);
        let future = registry
            .start_workflow(workflow_type, context, input.clone())
            .ok_or_else(|| ExecutionError::UnknownType {
                workflow_type: workflow_type.clone(),
            })?;
        Ok(Self {
            state,
            driver,
            future,
            waker: Arc::default(),
            deferred: Vec::new(),
            closed: false,
            cancel_reason: Rc::default(),
        })
    }

    /// Replays `history` and stands where it ends.
    pub(crate) fn replay(
        registry: &Registry,
        workflow_id: &str,
        history: &[HistoryEvent],
    ) -> Result<Self, ExecutionError> {
        let Some(first) = history.first() else {
            return Err(ExecutionError::History {
                workflow_id: workflow_id.to_owned(),
                message: "it is empty".into(),
            });
        };
        let mut execution = Self::begin(registry, workflow_id, &first.kind, first.time)?;
        {
            let mut state = execution.state.borrow_mut();
            state.recorded_patches = history
                .iter()
                .filter_map(|event| match &event.kind {
                    EventKind::PatchMarked { patch, .. } => Some(patch.clone()),
                    _ => None,
                })
                .collect();
            state.replay = Some(Replay {
                events: history.iter().cloned().collect(),
                last_id: history.last().map_or(0, |event| event.id),
            });
        }
        execution.replay_all()?;
        Ok(execution)
    }

    fn replay_all(&mut self) -> Result<(), ExecutionError> {
        loop {
            let next = {
                let mut state = self.state.borrow_mut();
                let Some(replay) = &mut state.replay else {
                    break;
                };
                replay.events.pop_front()
            };
            let Some(event) = next else { break };
            match event.kind {
                EventKind::Deferred { arrival } => self.deferred.push(*arrival),
                EventKind::WorkflowTerminated { .. } => self.closed = true,
                kind => match kind.role() {
                    EventRole::Arrival => self.deliver(kind, event.time)?,
                    EventRole::Bookkeeping => {}
                    // A mark that newer code no longer gives, with nothing after it in its turn.
                    EventRole::Command
                        if matches!(
                            kind,
                            EventKind::PatchMarked {
                                deprecated: true,
                                ..
                            }
                        ) => {}
                    EventRole::Command => {
                        return Err(ExecutionError::NonDeterminism {
                            workflow_id: self.state.borrow().info.workflow_id.clone(),
                            event_id: event.id,
                            expected: kind.describe(),
                            found: "nothing".into(),
                        });
                    }
                },
            }
        }
        self.state.borrow_mut().replay = None;
        Ok(())
    }

    /// Hands `arrivals` to the code and yields the events to append: each arrival followed by the
    /// commands it led to. Arrivals after the end of the workflow are left out; the number says
    /// how many were taken.
    ///
    /// After an error the execution is of no further use.
    pub(crate) fn turn(
        &mut self,
        arrivals: &[EventKind],
        now: Timestamp,
    ) -> Result<(Vec<EventKind>, usize), ExecutionError> {
        let mut events = Vec::new();
        let mut taken = 0;
        if !self.deferred.is_empty() {
            events.push(EventKind::Resumed);
            self.deliver(EventKind::Resumed, now)?;
            events.append(&mut self.state.borrow_mut().commands);
        }
        for arrival in arrivals {
            if self.closed {
                break;
            }
            events.push(arrival.clone());
            self.deliver(arrival.clone(), now)?;
            events.append(&mut self.state.borrow_mut().commands);
            taken += 1;
        }
        Ok((events, taken))
    }

    fn deliver(&mut self, arrival: EventKind, time: Timestamp) -> Result<(), ExecutionError> {
        self.state.borrow_mut().now = time;
        if matches!(arrival, EventKind::Resumed) {
            for deferred in std::mem::take(&mut self.deferred) {
                self.take_arrival(deferred);
                self.poll()?;
            }
            return Ok(());
        }
        self.take_arrival(arrival);
        self.poll()
    }

    fn take_arrival(&mut self, arrival: EventKind) {
        let mut state = self.state.borrow_mut();
        match arrival {
            EventKind::SignalReceived { name, payload } => {
                state.signals.entry(name).or_default().push_back(payload);
            }
            EventKind::CancelRequested { reason } => {
                // The scope calls back into the state as it cancels operations.
                drop(state);
                self.driver.cancel(&reason);
                self.cancel_reason.set(Some(reason));
            }
            EventKind::ActivityCompleted { seq, .. }
            | EventKind::ActivityFailed { seq, .. }
            | EventKind::TimerFired { seq }
            | EventKind::ChildCompleted { seq, .. }
            | EventKind::ChildFailed { seq, .. } => state.resolve(seq, arrival),
            _ => {}
        }
    }

    fn poll(&mut self) -> Result<(), ExecutionError> {
        if self.closed {
            return Ok(());
        }
        let workflow_id = self.state.borrow().info.workflow_id.clone();
        if self.waker.foreign.load(Ordering::Acquire) {
            let message = "waits for something other than its context: \
                           tokio, threads and channels cannot be replayed"
                .to_owned();
            return Err(ExecutionError::Misbehaved {
                workflow_id,
                message,
            });
        }
        let waker = Waker::from(self.waker.clone());
        let mut cx = TaskContext::from_waker(&waker);
        self.waker.polling.store(true, Ordering::Release);
        let flags = self.waker.clone();
        let woken = move || flags.woken.swap(false, Ordering::AcqRel);
        let polled = std::panic::catch_unwind(AssertUnwindSafe(|| {
            self.driver.poll(self.future.as_mut(), &mut cx, &woken)
        }));
        self.waker.polling.store(false, Ordering::Release);
        let outcome = match polled {
            Err(panic) => {
                return Err(ExecutionError::Panicked {
                    workflow_id,
                    message: panic_message(&*panic),
                });
            }
            Ok(Err(spinning)) => {
                return Err(ExecutionError::Misbehaved {
                    workflow_id,
                    message: spinning.to_string(),
                });
            }
            Ok(Ok(outcome)) => outcome,
        };
        if let Poll::Ready(outcome) = outcome {
            self.closed = true;
            self.future = Box::pin(std::future::pending());
            let ending = self.ending(outcome);
            self.state.borrow_mut().command(ending);
        }
        match self.state.borrow().error.clone() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// A workflow ends as cancelled only if it was asked to be: giving up on a cancelled scope of
    /// its own is a failure like any other.
    fn ending(&self, outcome: Result<Value, WorkflowError>) -> EventKind {
        match outcome {
            Ok(result) => EventKind::WorkflowCompleted { result },
            Err(error) => {
                let asked = self.cancel_reason.take();
                match asked {
                    Some(reason) if error.is_cancelled() => EventKind::WorkflowCancelled { reason },
                    _ => EventKind::WorkflowFailed {
                        failure: error.to_failure(),
                    },
                }
            }
        }
    }

    /// True once the code has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// True when arrivals wait for a first turn of mended code.
    pub(crate) fn has_deferred(&self) -> bool {
        !self.deferred.is_empty()
    }

    /// What queries by `name` are answered with.
    pub(crate) fn query(&self, name: &str) -> Option<Value> {
        self.state.borrow().queries.get(name).cloned()
    }
}

impl fmt::Debug for Execution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Execution")
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

/// The text of a caught panic.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "no message".to_owned()
    }
}

/// The failure recorded for code that panicked.
pub(crate) fn panic_failure(panic: &(dyn std::any::Any + Send)) -> Failure {
    Failure::new(Failure::PANIC, panic_message(panic))
}
