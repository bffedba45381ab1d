//! What workflow code and its engine share while it runs: the slots of its operations, and the
//! history that its commands are held against.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::Value;

use crate::backend::WorkflowInfo;
use crate::execution::ExecutionError;
use crate::history::{EventKind, EventRole, HistoryEvent};
use crate::random::SeededRandom;
use crate::time::Timestamp;

/// How an operation's outcome reaches the code that waits for it.
/// An operation whose outcome the code has taken has no slot any more.
#[derive(Debug)]
pub(crate) enum Slot {
    Waiting,
    Ready(Box<EventKind>),
}

/// What the code and its engine share.
pub(crate) struct State {
    pub(crate) info: WorkflowInfo,
    pub(crate) now: Timestamp,
    pub(crate) random: SeededRandom,
    pub(crate) next_seq: u64,
    pub(crate) slots: BTreeMap<u64, Slot>,
    pub(crate) signals: BTreeMap<String, VecDeque<Value>>,
    pub(crate) queries: BTreeMap<String, Value>,
    pub(crate) patches: BTreeMap<String, bool>,
    /// The patches marked anywhere in the history that is replayed.
    pub(crate) recorded_patches: BTreeSet<String>,
    pub(crate) replay: Option<Replay>,
    pub(crate) commands: Vec<EventKind>,
    pub(crate) error: Option<ExecutionError>,
}

/// The rest of a history that is being replayed.
pub(crate) struct Replay {
    pub(crate) events: VecDeque<HistoryEvent>,
    pub(crate) last_id: u64,
}

impl State {
    /// True while recorded turns are handled.
    pub(crate) fn is_replaying(&self) -> bool {
        self.replay.is_some()
    }

    /// Whether the code takes the new side of patch `id`.
    pub(crate) fn patched(&mut self, id: &str, deprecated: bool) -> bool {
        if let Some(&known) = self.patches.get(id) {
            return known;
        }
        let patched = !self.is_replaying() || self.recorded_patches.contains(id);
        self.patches.insert(id.to_owned(), patched);
        if patched {
            self.command(EventKind::PatchMarked {
                patch: id.to_owned(),
                deprecated,
            });
        }
        patched
    }

    /// Takes a command of the code: compares it with the recorded one, or keeps it to be recorded.
    pub(crate) fn command(&mut self, command: EventKind) {
        if self.error.is_some() {
            return;
        }
        let Some(replay) = &mut self.replay else {
            self.commands.push(command);
            return;
        };
        replay.skip_bookkeeping();
        replay.skip_deprecated_patches(&command);
        match replay.events.front() {
            Some(recorded) if same_command(&recorded.kind, &command) => {
                replay.events.pop_front();
            }
            recorded => {
                let expected = recorded
                    .map_or_else(|| "its end".to_owned(), |recorded| recorded.kind.describe());
                let event_id = recorded.map_or(replay.last_id + 1, |recorded| recorded.id);
                self.error = Some(ExecutionError::NonDeterminism {
                    workflow_id: self.info.workflow_id.clone(),
                    event_id,
                    expected,
                    found: command.describe(),
                });
            }
        }
    }

    pub(crate) fn resolve(&mut self, seq: u64, outcome: EventKind) {
        if let Some(slot @ Slot::Waiting) = self.slots.get_mut(&seq) {
            *slot = Slot::Ready(Box::new(outcome));
        }
    }
}

impl Replay {
    fn skip_bookkeeping(&mut self) {
        while let Some(event) = self.events.front()
            && event.kind.role() == EventRole::Bookkeeping
            && !matches!(event.kind, EventKind::Deferred { .. })
        {
            self.events.pop_front();
        }
    }

    /// Code from which a deprecated patch was removed no longer gives its mark.
    fn skip_deprecated_patches(&mut self, command: &EventKind) {
        while let Some(EventKind::PatchMarked {
            deprecated: true,
            patch,
        }) = self.events.front().map(|event| &event.kind)
            && !matches!(command, EventKind::PatchMarked { patch: found, .. } if found == patch)
        {
            self.events.pop_front();
        }
    }
}

/// Whether two commands ask for the same thing. Inputs, durations and results may differ: they
/// follow from the code's data, and only the order of operations must stand still.
fn same_command(recorded: &EventKind, found: &EventKind) -> bool {
    use EventKind as K;
    match (recorded, found) {
        (
            K::ActivityScheduled {
                seq: a,
                activity: x,
                ..
            },
            K::ActivityScheduled {
                seq: b,
                activity: y,
                ..
            },
        ) => a == b && x == y,
        (
            K::ChildScheduled {
                seq: a,
                workflow_type: x,
                ..
            },
            K::ChildScheduled {
                seq: b,
                workflow_type: y,
                ..
            },
        ) => a == b && x == y,
        (K::TimerStarted { seq: a, .. }, K::TimerStarted { seq: b, .. })
        | (K::TimerCanceled { seq: a }, K::TimerCanceled { seq: b })
        | (K::ActivityCancelRequested { seq: a }, K::ActivityCancelRequested { seq: b })
        | (K::ChildCancelRequested { seq: a, .. }, K::ChildCancelRequested { seq: b, .. }) => {
            a == b
        }
        (K::PatchMarked { patch: a, .. }, K::PatchMarked { patch: b, .. }) => a == b,
        (K::WorkflowCompleted { .. }, K::WorkflowCompleted { .. })
        | (K::WorkflowFailed { .. }, K::WorkflowFailed { .. })
        | (K::WorkflowCancelled { .. }, K::WorkflowCancelled { .. }) => true,
        _ => false,
    }
}
