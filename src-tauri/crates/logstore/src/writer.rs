//! The one writer: it owns the one writing connection and puts the units of work that wait
//! together into one transaction, so that they share one fsync.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use events::{
    Clock, Committed, Ids, Payload, Position, RecordedEvent, SystemEvent,
    payloads::LedgerEventRecorded,
};
use ledger::{Digest, Entry, NodeId, Tree};
use sqlx::{Row, SqliteConnection};
use tokio::sync::{Notify, broadcast, mpsc, oneshot};
use uuid::Uuid;

use crate::{
    LogStoreError, OutboxItem, Receipt,
    batch::{Arguments, Insert, Script, int},
    error::sqlite_code,
    limits::{
        GROUP_UNITS, GROUP_YIELDS, NODE_LEVEL, SCRIPT_EVENTS, WAL_BACKGROUND_BYTES,
        WAL_FORCED_BYTES,
    },
    steps,
    unit::{PreparedEvent, PreparedUnit},
};

const COMMIT: &str = "committing a unit of work";
/// SQLITE_CONSTRAINT_UNIQUE.
const CONSTRAINT_UNIQUE: i64 = 2067;

static EVENTS: Insert = Insert::new(
    "events (position, event_id, event_type, source_service, time_ns, schema_version, \
     correlation_id, causation_id, data, site, traceparent)",
    11,
);
static ENTRIES: Insert = Insert::new(
    "ledger_entries (sequence, kind, time_ns, actor, payload, previous, hash)",
    7,
);
static NODES: Insert = Insert::new("ledger_nodes (level, idx, hash)", 3);
static OUTBOX: Insert = Insert::new("outbox (kind, reference, created_ns)", 3);

const SET_STATE: &str = "INSERT INTO ledger_state (id, tree, last_hash) VALUES (1, ?, ?) \
     ON CONFLICT (id) DO UPDATE SET tree = excluded.tree, last_hash = excluded.last_hash";

pub(crate) enum Request {
    Commit {
        unit: Box<PreparedUnit>,
        answer: oneshot::Sender<Result<Receipt, LogStoreError>>,
    },
    /// Copies the write-ahead log into the database, as far as readers let it.
    Checkpoint {
        answer: oneshot::Sender<Result<(), LogStoreError>>,
    },
}

/// What the writer and the background checkpointer tell each other.
#[derive(Debug, Default)]
pub(crate) struct Wal {
    /// Estimated bytes written since the background last looked.
    pub(crate) fresh: AtomicU64,
    /// Bytes in the log when the background last looked.
    pub(crate) size: AtomicU64,
    pub(crate) due: Notify,
}

/// Where the log and the ledger end.
#[derive(Debug, Clone)]
pub(crate) struct Ends {
    pub(crate) position: u64,
    pub(crate) tree: Tree,
    pub(crate) last_hash: Digest,
}

pub(crate) struct Writer {
    pub(crate) connection: SqliteConnection,
    pub(crate) requests: mpsc::Receiver<Request>,
    pub(crate) live: broadcast::Sender<Committed>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) source_service: Arc<str>,
    pub(crate) ends: Ends,
    pub(crate) end_position: Arc<AtomicU64>,
    pub(crate) wal: Arc<Wal>,
}

struct Waiting {
    unit: PreparedUnit,
    answer: oneshot::Sender<Result<Receipt, LogStoreError>>,
    /// Set when the unit alone has failed.
    failed: Option<LogStoreError>,
    receipt: Receipt,
}

/// What a group adds, worked out before it is written.
struct Additions {
    ends: Ends,
    /// Index of the unit, index of its event, and its position.
    events: Vec<(usize, usize, Position)>,
    entries: Vec<Entry>,
    nodes: Vec<(NodeId, Digest)>,
    announcement: Option<(Position, SystemEvent, Arc<str>)>,
}

impl Writer {
    /// Serves requests until every sender is gone, then closes the connection.
    pub(crate) async fn run(mut self) {
        let mut busy = false;
        while let Some(first) = self.requests.recv().await {
            let mut group = Vec::new();
            let mut checkpoints = Vec::new();
            take(first, &mut group, &mut checkpoints);
            self.collect(busy, &mut group, &mut checkpoints).await;
            busy = group.len() > 1;
            if !group.is_empty() {
                self.commit_and_answer(group).await;
            }
            for answer in checkpoints {
                let _ = answer.send(self.checkpoint("TRUNCATE").await);
            }
            if self.wal.size.load(Ordering::Relaxed) > WAL_FORCED_BYTES {
                // Refused while a reader is at work; the next group tries again.
                let _ = self.checkpoint("RESTART").await;
                self.wal.size.store(0, Ordering::Relaxed);
            }
        }
        let _ = self.checkpoint("TRUNCATE").await;
        if let Err(error) = sqlx::Connection::close(self.connection).await {
            tracing::warn!(error = %error, "closing the writing connection failed");
        }
    }

    async fn collect(
        &mut self,
        busy: bool,
        group: &mut Vec<Waiting>,
        checkpoints: &mut Vec<oneshot::Sender<Result<(), LogStoreError>>>,
    ) {
        let rounds = if busy { GROUP_YIELDS } else { 0 };
        for round in 0..=rounds {
            while group.len() < GROUP_UNITS
                && let Ok(request) = self.requests.try_recv()
            {
                take(request, group, checkpoints);
            }
            if round < rounds {
                tokio::task::yield_now().await;
            }
        }
    }

    async fn checkpoint(&mut self, mode: &'static str) -> Result<(), LogStoreError> {
        let sql = match mode {
            "RESTART" => "PRAGMA wal_checkpoint(RESTART)",
            _ => "PRAGMA wal_checkpoint(TRUNCATE)",
        };
        sqlx::query(sql)
            .execute(&mut self.connection)
            .await
            .map(drop)
            .map_err(|error| LogStoreError::database("copying the write-ahead log", error))
    }

    async fn commit_and_answer(&mut self, mut group: Vec<Waiting>) {
        let mut result = self.commit(&mut group, false).await;
        if let Err(error) = &result
            && sqlite_code(error) == Some(CONSTRAINT_UNIQUE)
        {
            // An event of the group is in the log already: find out which.
            result = self.commit(&mut group, true).await;
        }
        match result {
            Ok(additions) => self.acknowledge(group, additions),
            Err(error) => {
                let error = LogStoreError::database(COMMIT, error);
                tracing::error!(%error, units = group.len(), "a transaction failed");
                for waiting in group {
                    let answer = waiting.failed.unwrap_or_else(|| error.clone());
                    let _ = waiting.answer.send(Err(answer));
                }
            }
        }
    }

    async fn commit(
        &mut self,
        group: &mut [Waiting],
        look_up: bool,
    ) -> Result<Additions, sqlx::Error> {
        let events: usize = group.iter().map(|waiting| waiting.unit.events.len()).sum();
        let plain = group.iter().all(|waiting| waiting.unit.steps.is_empty());
        let result = if plain && !look_up && events <= SCRIPT_EVENTS {
            let additions = self.add_up(group, None);
            self.write_script(group, &additions)
                .await
                .map(|()| additions)
        } else {
            self.write(group, look_up).await
        };
        if result.is_err() {
            // SQLite may have rolled back by itself already, which makes this one fail.
            let _ = run(&mut self.connection, "ROLLBACK").await;
        }
        result
    }

    async fn write(
        &mut self,
        group: &mut [Waiting],
        look_up: bool,
    ) -> Result<Additions, sqlx::Error> {
        run(&mut self.connection, "BEGIN IMMEDIATE").await?;
        for waiting in group.iter_mut() {
            if !waiting.unit.steps.is_empty() {
                waiting.failed = self.run_steps(&waiting.unit).await?.err();
            }
        }
        let known = if look_up {
            Some(self.look_up(group).await?)
        } else {
            None
        };
        let additions = self.add_up(group, known);
        self.insert(group, &additions).await?;
        run(&mut self.connection, "COMMIT").await?;
        Ok(additions)
    }

    /// Runs the steps of one unit, undone by themselves if one of them fails.
    async fn run_steps(
        &mut self,
        unit: &PreparedUnit,
    ) -> Result<Result<(), LogStoreError>, sqlx::Error> {
        run(&mut self.connection, "SAVEPOINT unit").await?;
        let mut result = Ok(());
        for step in &unit.steps {
            result = steps::run(&mut self.connection, step).await;
            if result.is_err() {
                run(&mut self.connection, "ROLLBACK TO unit").await?;
                break;
            }
        }
        run(&mut self.connection, "RELEASE unit").await?;
        Ok(result)
    }

    async fn look_up(&mut self, group: &[Waiting]) -> Result<HashMap<Uuid, Position>, sqlx::Error> {
        let mut known = HashMap::new();
        for prepared in group.iter().flat_map(|waiting| &waiting.unit.events) {
            let id = prepared.event.event_id;
            let found = sqlx::query("SELECT position FROM events WHERE event_id = ?")
                .bind(id.as_bytes().to_vec())
                .fetch_optional(&mut self.connection)
                .await?;
            if let Some(row) = found {
                known.insert(id, Position(row.try_get::<i64, _>(0)?.unsigned_abs()));
            }
        }
        Ok(known)
    }

    /// Numbers the events and seals the entries of the group. `known` holds the events that are in
    /// the log already; the first try goes without and assumes that none is.
    fn add_up(
        &self,
        group: &mut [Waiting],
        mut known: Option<HashMap<Uuid, Position>>,
    ) -> Additions {
        let mut ends = self.ends.clone();
        // A group that is tried again begins anew.
        group
            .iter_mut()
            .for_each(|waiting| waiting.receipt = Receipt::default());
        let mut events = Vec::new();
        let mut entries = Vec::new();
        let mut nodes = Vec::new();
        for (
            index,
            Waiting {
                unit,
                failed,
                receipt,
                ..
            },
        ) in group.iter_mut().enumerate()
        {
            if failed.is_some() {
                continue;
            }
            let mut drafts = Vec::with_capacity(unit.events.len() + unit.entries.len());
            for (event_index, prepared) in unit.events.iter().enumerate() {
                let id = prepared.event.event_id;
                if let Some(&position) = known.as_ref().and_then(|known| known.get(&id)) {
                    receipt.positions.push(position);
                    continue;
                }
                ends.position += 1;
                let position = Position(ends.position);
                if let Some(known) = &mut known {
                    known.insert(id, position);
                }
                receipt.positions.push(position);
                events.push((index, event_index, position));
                drafts.extend(prepared.entry.clone());
            }
            drafts.extend(unit.entries.iter().cloned());
            for draft in drafts {
                // The form was checked when the unit was prepared; a draft cannot fail here.
                if let Ok((entry, leaf)) =
                    Entry::seal_with_leaf(draft, ends.tree.size(), ends.last_hash)
                {
                    ends.last_hash = entry.hash;
                    ends.tree.push_with(leaf, |id, hash| {
                        if id.level >= NODE_LEVEL {
                            nodes.push((id, hash));
                        }
                    });
                    receipt.sequences.push(entry.sequence);
                    entries.push(entry);
                }
            }
        }
        let announcement = self.announce(&entries, &mut ends);
        Additions {
            ends,
            events,
            entries,
            nodes,
            announcement,
        }
    }

    /// The `ledger.event_recorded` of the group: one for all entries of the transaction.
    fn announce(
        &self,
        entries: &[Entry],
        ends: &mut Ends,
    ) -> Option<(Position, SystemEvent, Arc<str>)> {
        let first = entries.first()?;
        let data = serde_json::to_value(LedgerEventRecorded {
            first_sequence: first.sequence,
            entries: entries.len() as u64,
            tree_size: ends.tree.size(),
            root_hash: ends.tree.root().to_string(),
        })
        .ok()?;
        let timestamp = self.clock.now();
        let event_id = self.ids.next(timestamp);
        ends.position += 1;
        let event = SystemEvent {
            event_type: LedgerEventRecorded::EVENT_TYPE,
            source_service: self.source_service.to_string(),
            event_id,
            timestamp,
            schema_version: LedgerEventRecorded::SCHEMA_VERSION,
            correlation_id: event_id,
            causation_id: None,
            site: None,
            traceparent: None,
            data,
        };
        let text = event.data.to_string().into();
        Some((Position(ends.position), event, text))
    }

    async fn insert(
        &mut self,
        group: &[Waiting],
        additions: &Additions,
    ) -> Result<(), sqlx::Error> {
        let connection = &mut self.connection;
        let events = event_rows(group, additions);
        EVENTS.run(connection, &events, bind_event).await?;
        ENTRIES
            .run(connection, &additions.entries, bind_entry)
            .await?;
        NODES.run(connection, &additions.nodes, bind_node).await?;
        if !additions.entries.is_empty() {
            let mut values = Arguments::default();
            bind_state(&mut values, &additions.ends);
            sqlx::query_with(SET_STATE, values.into_inner()?)
                .execute(&mut *connection)
                .await?;
        }
        let now = self.clock.now().as_nanos();
        let items = outbox_rows(group);
        OUTBOX
            .run(connection, &items, |to, item| bind_outbox(to, item, now))
            .await
    }

    /// A whole small transaction in one go.
    async fn write_script(
        &mut self,
        group: &[Waiting],
        additions: &Additions,
    ) -> Result<(), sqlx::Error> {
        let mut script = Script::default();
        script.text.push_str("BEGIN IMMEDIATE;");
        EVENTS.script(&mut script, &event_rows(group, additions), bind_event);
        ENTRIES.script(&mut script, &additions.entries, bind_entry);
        NODES.script(&mut script, &additions.nodes, bind_node);
        if !additions.entries.is_empty() {
            script.text.push_str(SET_STATE);
            script.text.push(';');
            bind_state(&mut script.arguments, &additions.ends);
        }
        let now = self.clock.now().as_nanos();
        OUTBOX.script(&mut script, &outbox_rows(group), |to, item| {
            bind_outbox(to, item, now);
        });
        script.text.push_str("COMMIT");
        script.run(&mut self.connection).await
    }

    fn acknowledge(&mut self, mut group: Vec<Waiting>, additions: Additions) {
        self.note_written(&group, &additions);
        self.ends = additions.ends;
        self.end_position
            .store(self.ends.position, Ordering::Release);
        let mut committed = Vec::with_capacity(additions.events.len() + 1);
        for (unit, event, position) in additions.events {
            let prepared = &mut group[unit].unit.events[event];
            let event = std::mem::replace(&mut prepared.event, blank());
            committed.push(RecordedEvent { position, event });
        }
        committed.extend(
            additions
                .announcement
                .map(|(position, event, _)| RecordedEvent { position, event }),
        );
        if !committed.is_empty() {
            // An error says that nobody listens just now.
            let _ = self.live.send(committed.into());
        }
        for waiting in group {
            let answer = waiting.failed.map_or(Ok(waiting.receipt), Err);
            let _ = waiting.answer.send(answer);
        }
    }

    /// Estimates what reached the write-ahead log: whole pages, so small units weigh more than
    /// their bytes.
    fn note_written(&self, group: &[Waiting], additions: &Additions) {
        const PAGES_OF_A_TRANSACTION: u64 = 10 * 4096;
        let texts = group.iter().flat_map(|waiting| &waiting.unit.events);
        let events: u64 = texts.map(|event| event.data.len() as u64 + 200).sum();
        let entries: u64 = additions
            .entries
            .iter()
            .map(|entry| entry.payload.as_str().len() as u64 + 150)
            .sum();
        let bytes = PAGES_OF_A_TRANSACTION + events + entries;
        if self.wal.fresh.fetch_add(bytes, Ordering::Relaxed) + bytes > WAL_BACKGROUND_BYTES {
            self.wal.due.notify_one();
        }
    }
}

fn take(
    request: Request,
    group: &mut Vec<Waiting>,
    checkpoints: &mut Vec<oneshot::Sender<Result<(), LogStoreError>>>,
) {
    match request {
        Request::Commit { unit, answer } => {
            let (failed, receipt) = (None, Receipt::default());
            group.push(Waiting {
                unit: *unit,
                answer,
                failed,
                receipt,
            });
        }
        Request::Checkpoint { answer } => checkpoints.push(answer),
    }
}

type EventRow<'a> = (Position, &'a SystemEvent, &'a Arc<str>);

fn event_rows<'a>(group: &'a [Waiting], additions: &'a Additions) -> Vec<EventRow<'a>> {
    let prepared = additions.events.iter().map(|&(unit, event, position)| {
        let PreparedEvent { event, data, .. } = &group[unit].unit.events[event];
        (position, event, data)
    });
    let announcement = additions.announcement.iter();
    prepared
        .chain(announcement.map(|(p, event, data)| (*p, event, data)))
        .collect()
}

fn outbox_rows(group: &[Waiting]) -> Vec<&OutboxItem> {
    let sound = group.iter().filter(|waiting| waiting.failed.is_none());
    sound.flat_map(|waiting| &waiting.unit.outbox).collect()
}

fn bind_event(to: &mut Arguments, (position, event, data): &EventRow<'_>) {
    to.add(int(position.0))
        .add(event.event_id.as_bytes().to_vec())
        .add(event.event_type.as_str())
        .add(event.source_service.as_str())
        .add(event.timestamp.as_nanos())
        .add(i64::from(event.schema_version))
        .add(event.correlation_id.as_bytes().to_vec())
        .add(event.causation_id.map(|id| id.as_bytes().to_vec()))
        .add(Arc::clone(data))
        .add(event.site.clone())
        .add(event.traceparent.clone());
}

fn bind_entry(to: &mut Arguments, entry: &Entry) {
    to.add(int(entry.sequence))
        .add(entry.kind.as_str())
        .add(entry.time_ns)
        .add(entry.actor.as_str())
        .add(entry.payload.shared())
        .add(entry.previous.0.to_vec())
        .add(entry.hash.0.to_vec());
}

fn bind_node(to: &mut Arguments, (id, hash): &(NodeId, Digest)) {
    to.add(i64::from(id.level))
        .add(int(id.index))
        .add(hash.0.to_vec());
}

fn bind_state(to: &mut Arguments, ends: &Ends) {
    to.add(ends.tree.to_bytes()).add(ends.last_hash.0.to_vec());
}

fn bind_outbox(to: &mut Arguments, item: &OutboxItem, now_ns: i64) {
    to.add(item.kind.as_str())
        .add(item.reference.as_str())
        .add(now_ns);
}

fn blank() -> SystemEvent {
    SystemEvent {
        event_type: events::EventType::new(""),
        source_service: String::new(),
        event_id: Uuid::nil(),
        timestamp: events::Timestamp(0),
        schema_version: 0,
        data: serde_json::Value::Null,
        correlation_id: Uuid::nil(),
        causation_id: None,
        site: None,
        traceparent: None,
    }
}

async fn run(connection: &mut SqliteConnection, sql: &'static str) -> Result<(), sqlx::Error> {
    sqlx::query(sql).execute(connection).await.map(drop)
}
