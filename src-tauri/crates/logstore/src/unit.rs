//! A unit of work: what is committed together or not at all.

use std::sync::Arc;

use events::{ParkedEvent, Position, SystemEvent};
use ledger::Draft;
use workflow::{Heartbeat, HistoryEvent};

use crate::{LedgerPolicy, LogStoreError, policy};

/// A value of an SQL parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum SqlValue {
    /// NULL.
    Null,
    /// An integer.
    Int(i64),
    /// A number.
    Real(f64),
    /// A text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

macro_rules! sql_values {
    ($($from:ty => $variant:ident $(via $via:expr)?),* $(,)?) => { $(
        impl From<$from> for SqlValue {
            fn from(value: $from) -> Self {
                Self::$variant(sql_values!(@ value $(, $via)?))
            }
        }
    )* };
    (@ $value:ident, $via:expr) => { $via($value) };
    (@ $value:ident) => { $value };
}

sql_values! {
    i64 => Int,
    bool => Int via i64::from,
    u32 => Int via i64::from,
    f64 => Real,
    String => Text,
    &str => Text via str::to_owned,
    Vec<u8> => Blob,
    uuid::Uuid => Blob via |id: uuid::Uuid| id.into_bytes().to_vec(),
}

impl<T: Into<Self>> From<Option<T>> for SqlValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A statement of a room that keeps its own tables in the same database.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    pub(crate) sql: &'static str,
    pub(crate) values: Vec<SqlValue>,
    pub(crate) expect_rows: Option<u64>,
}

impl Statement {
    /// A statement with its parameters in order. It must be a constant of the program: values come
    /// through parameters only.
    pub fn new(sql: &'static str, values: impl IntoIterator<Item = SqlValue>) -> Self {
        Self {
            sql,
            values: values.into_iter().collect(),
            expect_rows: None,
        }
    }

    /// The unit fails with a conflict unless the statement changes exactly so many rows.
    #[must_use]
    pub fn expecting(mut self, rows: u64) -> Self {
        self.expect_rows = Some(rows);
        self
    }
}

/// Work inside a unit that can fail by itself, and then takes the whole unit with it.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    History {
        workflow_id: String,
        expected_len: u64,
        events: Vec<HistoryEvent>,
        texts: Vec<String>,
    },
    Heartbeat {
        workflow_id: String,
        heartbeat: Heartbeat,
    },
    Statement(Statement),
    Offset {
        consumer: String,
        position: Position,
    },
    Park(ParkedEvent),
}

/// Something to be sent on later; committed with what it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxItem {
    /// What it is (`segment`, `report`).
    pub kind: String,
    /// Where it is found: an opaque reference, no content.
    pub reference: String,
}

/// An event made ready by its publisher's own task, so that the writer only numbers and stores it.
#[derive(Debug, Clone)]
pub(crate) struct PreparedEvent {
    pub(crate) event: SystemEvent,
    pub(crate) data: Arc<str>,
    pub(crate) entry: Option<Draft>,
}

/// What is committed together or not at all: events (with the ledger entries that follow from
/// them), further ledger entries, workflow history, outbox items, and other rooms' statements.
#[derive(Debug, Clone, Default)]
pub struct UnitOfWork {
    pub(crate) events: Vec<SystemEvent>,
    pub(crate) entries: Vec<Draft>,
    pub(crate) outbox: Vec<OutboxItem>,
    pub(crate) steps: Vec<Step>,
}

impl UnitOfWork {
    /// A unit without work.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends an event; by the store's [`LedgerPolicy`] it becomes a ledger entry as well.
    #[must_use]
    pub fn event(mut self, event: SystemEvent) -> Self {
        self.events.push(event);
        self
    }

    /// Appends events, in order.
    #[must_use]
    pub fn events(mut self, events: impl IntoIterator<Item = SystemEvent>) -> Self {
        self.events.extend(events);
        self
    }

    /// Appends a ledger entry that follows from no event.
    #[must_use]
    pub fn entry(mut self, draft: Draft) -> Self {
        self.entries.push(draft);
        self
    }

    /// Notes something to be sent on.
    #[must_use]
    pub fn outbox(mut self, kind: impl Into<String>, reference: impl Into<String>) -> Self {
        self.outbox.push(OutboxItem {
            kind: kind.into(),
            reference: reference.into(),
        });
        self
    }

    /// Appends to a workflow's history, which must have `expected_len` events now.
    #[must_use]
    pub fn history(
        mut self,
        workflow_id: impl Into<String>,
        expected_len: u64,
        events: Vec<HistoryEvent>,
    ) -> Self {
        let (workflow_id, texts) = (workflow_id.into(), Vec::new());
        self.steps.push(Step::History {
            workflow_id,
            expected_len,
            events,
            texts,
        });
        self
    }

    /// Runs a statement of another room.
    #[must_use]
    pub fn statement(mut self, statement: Statement) -> Self {
        self.steps.push(Step::Statement(statement));
        self
    }

    /// Saves where a consumer goes on, together with what it did.
    #[must_use]
    pub fn offset(mut self, consumer: impl Into<String>, position: Position) -> Self {
        self.steps.push(Step::Offset {
            consumer: consumer.into(),
            position,
        });
        self
    }

    pub(crate) fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Checks and renders everything that can be before the writer has it.
    pub(crate) fn prepare(self, policy: LedgerPolicy) -> Result<PreparedUnit, LogStoreError> {
        let refused = |reason: String| LogStoreError::Refused {
            operation: "preparing a unit of work",
            reason,
        };
        let mut events = Vec::with_capacity(self.events.len());
        for event in self.events {
            let data = serde_json::to_string(&event.data).map_err(|e| refused(e.to_string()))?;
            let entry = if policy(&event) && !policy::announces_entries(&event) {
                Some(policy::draft_of(&event).map_err(|e| refused(e.to_string()))?)
            } else {
                None
            };
            events.push(PreparedEvent {
                event,
                data: data.into(),
                entry,
            });
        }
        let drafts = events
            .iter()
            .filter_map(|event| event.entry.as_ref())
            .chain(&self.entries);
        for draft in drafts {
            draft.check().map_err(|fault| refused(fault.to_string()))?;
        }
        let mut steps = self.steps;
        for step in &mut steps {
            if let Step::History { events, texts, .. } = step {
                for event in events.iter() {
                    texts.push(serde_json::to_string(event).map_err(|e| refused(e.to_string()))?);
                }
            }
        }
        Ok(PreparedUnit {
            events,
            entries: self.entries,
            outbox: self.outbox,
            steps,
        })
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct PreparedUnit {
    pub(crate) events: Vec<PreparedEvent>,
    pub(crate) entries: Vec<Draft>,
    pub(crate) outbox: Vec<OutboxItem>,
    pub(crate) steps: Vec<Step>,
}

/// What a committed unit of work has become.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Position of each event of the unit.
    pub positions: Vec<Position>,
    /// Sequences of the unit's ledger entries: those that follow from events, then the further
    /// ones. An event that the log held already makes no new entry.
    pub sequences: Vec<u64>,
}
