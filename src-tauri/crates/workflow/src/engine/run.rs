//! One workflow's run: takes in what arrives, lets the code take a turn, appends, acts.
//!
//! Nothing is acted on before it is appended. A batch of arrivals is one turn and one append.

mod children;
mod due;
mod inputs;
mod turn;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::attempts::Attempts;
use super::messages::{Input, Outcome, Reply, StartRequest};
use super::settle::{AttemptEnd, Due, next_due, settle};
use super::shared::Shared;
use super::{ActivityDescription, EngineError, Started, ask_locally};
use crate::activity::ActivityInfo;
use crate::backend::WorkflowInfo;
use crate::execution::{Execution, ExecutionError};
use crate::failure::{ChildError, Failure};
use crate::history::{EventKind, EventRole, FORMAT_VERSION, HistoryEvent, Parent};
use crate::limits;
use crate::options::ParentClosePolicy;
use crate::pending::{AttemptState, Pending, PendingChild};
use crate::store::{Heartbeat, StoreError};
use crate::time::Timestamp;

/// The workflow's code.
enum Code {
    /// The workflow does not exist.
    Absent,
    Live(Box<Execution>),
    Broken(ExecutionError),
}

/// The run cannot go on in this engine: another one owns it, or the engine stops.
struct Evicted;

/// What one step gathers before it appends.
#[derive(Default)]
struct Gathered {
    arrivals: Vec<EventKind>,
    notes: Vec<EventKind>,
    /// Answered once the append is durable. The number is that of the arrival asked for, `None` for
    /// a note.
    replies: Vec<(Option<usize>, Reply<()>)>,
    started: Option<Reply<Started>>,
}

pub(crate) struct Run {
    id: String,
    shared: Rc<Shared>,
    inputs: mpsc::Receiver<Input>,
    sender: mpsc::Sender<Input>,
    code: Code,
    info: Option<WorkflowInfo>,
    length: u64,
    last_time: Timestamp,
    /// How far the engine's clock lags behind the history, because it was set back while no engine
    /// ran. Added to it, so that what is left of a timer stays what it was.
    lag: Duration,
    pending: Pending,
    outcome: Option<Outcome>,
    attempts: Attempts,
    /// Activities that wait for a worker, and those that were given one.
    queued: BTreeSet<u64>,
    permits: BTreeMap<u64, OwnedSemaphorePermit>,
    heartbeats: BTreeMap<u64, Value>,
    waiters: Vec<(bool, Reply<Outcome>)>,
}

impl Run {
    pub(crate) fn new(
        id: String,
        shared: Rc<Shared>,
        inputs: mpsc::Receiver<Input>,
        sender: mpsc::Sender<Input>,
    ) -> Self {
        Self {
            id,
            shared,
            inputs,
            sender,
            code: Code::Absent,
            info: None,
            length: 0,
            last_time: Timestamp::EPOCH,
            lag: Duration::ZERO,
            pending: Pending::default(),
            outcome: None,
            attempts: Attempts::default(),
            queued: BTreeSet::new(),
            permits: BTreeMap::new(),
            heartbeats: BTreeMap::new(),
            waiters: Vec::new(),
        }
    }

    /// Runs until the workflow has ended and nobody asks about it any more.
    pub(crate) async fn main(mut self) {
        if self.load().await.is_ok() && self.serve().await.is_ok() {
            // Ended: nothing is left to be done.
        }
        // Whoever still has something queued here finds its reply dropped and asks again.
        self.inputs.close();
    }

    async fn serve(&mut self) -> Result<(), Evicted> {
        if self.is_open() {
            self.take_up().await?;
        }
        loop {
            if !self.is_open() && self.inputs.is_empty() {
                return Ok(());
            }
            let Some(first) = self.next_input().await? else {
                self.step(Vec::new()).await?;
                continue;
            };
            let mut inputs = vec![first];
            while inputs.len() < limits::RUN_QUEUE
                && let Ok(input) = self.inputs.try_recv()
            {
                inputs.push(input);
            }
            self.step(inputs).await?;
        }
    }

    fn is_open(&self) -> bool {
        self.info.is_some() && self.outcome.is_none()
    }

    /// The next input, or `None` when something is due by time.
    async fn next_input(&mut self) -> Result<Option<Input>, Evicted> {
        if self.shared.is_stopping() {
            self.wind_down().await?;
            return Err(Evicted);
        }
        if let Ok(input) = self.inputs.try_recv() {
            return Ok(Some(input));
        }
        let deadline = self.deadline();
        let (clock, lag) = (self.shared.clock.clone(), self.lag);
        let due = async move {
            match deadline {
                Some(at) => clock.sleep_until(at.earlier(lag)).await,
                None => std::future::pending().await,
            }
        };
        let stop = self.shared.stop.clone();
        tokio::select! {
            biased;
            () = stop.cancelled() => {
                self.wind_down().await?;
                Err(Evicted)
            }
            input = self.inputs.recv() => Ok(input),
            () = due => Ok(None),
        }
    }

    /// Lets the attempts give way before the engine stops, and keeps what they achieved.
    async fn wind_down(&mut self) -> Result<(), Evicted> {
        self.attempts.cancel_all();
        let end = self.shared.clock.now() + limits::STOP_GRACE;
        while !self.attempts.is_empty() {
            let input = tokio::select! {
                input = self.inputs.recv() => input,
                () = self.shared.clock.sleep_until(end) => return Ok(()),
            };
            match input {
                Some(ended @ Input::AttemptEnded { result: Ok(_), .. }) => {
                    self.step(vec![ended]).await?;
                }
                // It gave way unfinished: interrupted, and taken up at the next start.
                Some(Input::AttemptEnded { seq, .. }) => self.flush_heartbeat(seq).await,
                _ => {}
            }
        }
        Ok(())
    }

    async fn flush_heartbeat(&mut self, seq: u64) {
        if let Some(details) = self.attempts.abort(seq) {
            self.keep_heartbeat(seq, 0, details).await;
        }
    }

    async fn load(&mut self) -> Result<(), Evicted> {
        let mut wait = limits::APPEND_RETRY_FIRST;
        let (events, heartbeats) = loop {
            let loaded = match self.shared.store.load(&self.id, 0).await {
                Ok(events) => self
                    .shared
                    .store
                    .load_heartbeats(&self.id)
                    .await
                    .map(|beats| (events, beats)),
                Err(error) => Err(error),
            };
            match loaded {
                Ok(loaded) => break loaded,
                Err(StoreError::NotFound { .. }) => return Ok(()),
                Err(error) => {
                    tracing::error!(workflow_id = self.id, %error, "history not loaded, trying again");
                    self.back_off(&mut wait).await?;
                }
            }
        };
        self.heartbeats = heartbeats
            .into_iter()
            .map(|beat| (beat.seq, beat.details))
            .collect();
        self.length = events.last().map_or(0, |event| event.id);
        self.last_time = events.last().map_or(Timestamp::EPOCH, |event| event.time);
        self.lag = self.last_time.since(self.shared.clock.now());
        self.pending = Pending::of(&events);
        self.outcome = events.last().and_then(|event| Outcome::of(&event.kind));
        self.info = events
            .first()
            .and_then(|event| info_of(&self.id, &event.kind));
        self.code = match Execution::replay(&self.shared.registry, &self.id, &events) {
            Ok(execution) => Code::Live(Box::new(execution)),
            Err(error) => {
                if self.outcome.is_none() {
                    tracing::error!(workflow_id = self.id, %error, "workflow cannot go on");
                }
                Code::Broken(error)
            }
        };
        Ok(())
    }

    /// After a restart: attempts that were under way were interrupted, children are watched again.
    async fn take_up(&mut self) -> Result<(), Evicted> {
        for (seq, child) in self.pending.children.clone() {
            self.watch_child(seq, &child);
        }
        let Code::Live(_) = self.code else {
            return Ok(());
        };
        let now = self.now();
        let mut gathered = Gathered::default();
        for (seq, activity) in &self.pending.activities {
            if matches!(activity.state, AttemptState::Started { .. }) {
                let beat = self.heartbeats.get(seq).cloned().unwrap_or(Value::Null);
                let event = settle(*seq, activity, AttemptEnd::Interrupted, beat, now);
                gathered.take(event);
            }
        }
        self.turn_and_append(gathered, now).await
    }

    async fn step(&mut self, inputs: Vec<Input>) -> Result<(), Evicted> {
        let now = self.now();
        let mut gathered = Gathered::default();
        for input in inputs {
            self.take_input(input, now, &mut gathered);
        }
        if self.is_open() && matches!(self.code, Code::Live(_)) {
            self.take_due(now, &mut gathered);
        }
        self.turn_and_append(gathered, now).await?;
        for (seq, attempt, details) in self.attempts.take_kept(now) {
            self.keep_heartbeat(seq, attempt, details).await;
        }
        Ok(())
    }

    fn now(&self) -> Timestamp {
        (self.shared.clock.now() + self.lag).max(self.last_time)
    }
}

impl Gathered {
    /// Takes the event by which an attempt ended.
    fn take(&mut self, event: EventKind) {
        match event.role() {
            EventRole::Arrival => self.arrivals.push(event),
            EventRole::Command | EventRole::Bookkeeping => self.notes.push(event),
        }
    }

    /// True when the end of an attempt at activity `seq` is among what was gathered.
    fn settles(&self, seq: u64) -> bool {
        self.arrivals.iter().chain(&self.notes).any(|event| {
            matches!(
                event,
                EventKind::ActivityCompleted { seq: ended, .. }
                | EventKind::ActivityFailed { seq: ended, .. }
                | EventKind::ActivityRetried { seq: ended, .. } if *ended == seq
            )
        })
    }
}

fn answer<T>(reply: Reply<T>, with: Result<T, EngineError>) {
    // Whoever asked may have stopped waiting.
    let _ = reply.send(with);
}

fn info_of(workflow_id: &str, start: &EventKind) -> Option<WorkflowInfo> {
    let EventKind::WorkflowStarted {
        workflow_type,
        run_id,
        correlation_id,
        parent,
        ..
    } = start
    else {
        return None;
    };
    Some(WorkflowInfo {
        workflow_id: workflow_id.to_owned(),
        run_id: run_id.clone(),
        workflow_type: workflow_type.clone(),
        correlation_id: correlation_id.clone(),
        parent: parent.clone(),
    })
}
