//! One workflow's run: takes in what arrives, lets the code take a turn, appends, acts.
//!
//! Nothing is acted on before it is appended. A batch of arrivals is one turn and one append.

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

    // --- loading -------------------------------------------------------------------------------

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

    // --- one step ------------------------------------------------------------------------------

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

    fn take_input(&mut self, input: Input, now: Timestamp, gathered: &mut Gathered) {
        match input {
            Input::Start { request, reply } => self.take_start(request, reply, now, gathered),
            Input::Signal {
                name,
                payload,
                reply,
            } => self.take_request(EventKind::SignalReceived { name, payload }, reply, gathered),
            Input::Cancel { reason, reply } => {
                self.take_request(EventKind::CancelRequested { reason }, reply, gathered);
            }
            Input::Terminate { reason, reply } => {
                self.take_request(EventKind::WorkflowTerminated { reason }, reply, gathered);
            }
            Input::Query { name, reply } => answer(reply, self.query(name)),
            Input::Describe { reply } => answer(reply, self.describe()),
            Input::Wake { reply } => answer(reply, Ok(())),
            Input::Wait { even_broken, reply } => self.take_waiter(even_broken, reply),
            Input::AttemptEnded {
                seq,
                attempt,
                result,
            } => {
                let Some(beat) = self.attempts.end(seq, attempt) else {
                    return;
                };
                let end = match result {
                    Ok(value) => AttemptEnd::Done(value),
                    Err(failure) => AttemptEnd::Failed(failure),
                };
                self.end_attempt(seq, end, beat, now, gathered);
            }
            Input::Heartbeat { seq } => self.attempts.beaten(seq, now),
            Input::Permit { seq, permit } => {
                self.queued.remove(&seq);
                if self.pending.activities.contains_key(&seq) {
                    self.permits.insert(seq, permit);
                }
            }
            Input::ChildEnded { seq, outcome } => {
                if self.is_open() && self.pending.children.contains_key(&seq) {
                    gathered.arrivals.push(match outcome {
                        Ok(result) => EventKind::ChildCompleted { seq, result },
                        Err(error) => EventKind::ChildFailed { seq, error },
                    });
                }
            }
        }
    }

    fn take_start(
        &mut self,
        request: StartRequest,
        reply: Reply<Started>,
        now: Timestamp,
        gathered: &mut Gathered,
    ) {
        if let Some(info) = &self.info {
            let same = info.workflow_type == request.workflow_type && info.parent == request.parent;
            let answer_with = if same {
                Ok(Started {
                    run_id: info.run_id.clone(),
                    new: false,
                })
            } else {
                Err(EngineError::Exists {
                    workflow_id: self.id.clone(),
                    workflow_type: info.workflow_type.clone(),
                })
            };
            return answer(reply, answer_with);
        }
        let seed = (self.shared.entropy)();
        let start = EventKind::WorkflowStarted {
            format: FORMAT_VERSION,
            workflow_type: request.workflow_type,
            run_id: run_id(now, (self.shared.entropy)()),
            correlation_id: request.correlation_id,
            // The upper half as well: a source that fills only part of the number is still used.
            seed: u64::try_from(seed >> 64 ^ seed & u128::from(u64::MAX)).unwrap_or(0),
            input: request.input,
            parent: request.parent,
        };
        match Execution::begin(&self.shared.registry, &self.id, &start, now) {
            Ok(execution) => {
                self.code = Code::Live(Box::new(execution));
                self.info = info_of(&self.id, &start);
                gathered.arrivals.push(start);
                gathered.started = Some(reply);
            }
            Err(error) => answer(reply, Err(EngineError::Code(error))),
        }
    }

    fn take_request(&mut self, arrival: EventKind, reply: Reply<()>, gathered: &mut Gathered) {
        if self.info.is_none() {
            return answer(reply, Err(EngineError::NotFound(self.id.clone())));
        }
        if self.outcome.is_some() {
            return answer(reply, Err(EngineError::Closed(self.id.clone())));
        }
        if arrival.role() == EventRole::Arrival {
            gathered
                .replies
                .push((Some(gathered.arrivals.len()), reply));
            gathered.arrivals.push(arrival);
        } else {
            gathered.replies.push((None, reply));
            gathered.notes.push(arrival);
        }
    }

    fn take_waiter(&mut self, even_broken: bool, reply: Reply<Outcome>) {
        match (&self.outcome, &self.code) {
            (Some(outcome), _) => answer(reply, Ok(outcome.clone())),
            (None, Code::Absent) => answer(reply, Err(EngineError::NotFound(self.id.clone()))),
            (None, Code::Broken(error)) if !even_broken => {
                answer(reply, Err(EngineError::Code(error.clone())));
            }
            (None, _) => self.waiters.push((even_broken, reply)),
        }
    }

    fn query(&self, name: String) -> Result<Value, EngineError> {
        match &self.code {
            Code::Absent => Err(EngineError::NotFound(self.id.clone())),
            Code::Broken(error) => Err(EngineError::Code(error.clone())),
            Code::Live(execution) => execution.query(&name).ok_or_else(|| EngineError::NoQuery {
                workflow_id: self.id.clone(),
                query: name,
            }),
        }
    }

    fn describe(&self) -> Result<(Option<String>, Vec<ActivityDescription>), EngineError> {
        let broken = match &self.code {
            Code::Absent => return Err(EngineError::NotFound(self.id.clone())),
            Code::Broken(error) if self.outcome.is_none() => Some(error.to_string()),
            _ => None,
        };
        let describe = |(seq, activity): (&u64, &crate::pending::PendingActivity)| {
            let kept = || self.heartbeats.get(seq).cloned();
            ActivityDescription {
                activity: activity.name.clone(),
                attempts: activity.attempts(),
                running: matches!(activity.state, AttemptState::Started { .. }),
                retry_at: match activity.state {
                    AttemptState::Waiting { retry_at, .. } => Some(retry_at),
                    _ => None,
                },
                last_failure: activity.last_failure.clone(),
                last_heartbeat: self
                    .attempts
                    .details(*seq)
                    .or_else(kept)
                    .unwrap_or(Value::Null),
            }
        };
        let open = self
            .pending
            .activities
            .iter()
            .filter(|_| self.outcome.is_none());
        Ok((broken, open.map(describe).collect()))
    }

    fn end_attempt(
        &mut self,
        seq: u64,
        end: AttemptEnd,
        beat: Option<Value>,
        now: Timestamp,
        gathered: &mut Gathered,
    ) {
        if let Some(beat) = beat {
            self.heartbeats.insert(seq, beat);
        }
        self.queued.remove(&seq);
        self.permits.remove(&seq);
        if let Some(activity) = self.pending.activities.get(&seq)
            && self.outcome.is_none()
        {
            let beat = self.heartbeats.get(&seq).cloned().unwrap_or(Value::Null);
            gathered.take(settle(seq, activity, end, beat, now));
        }
    }

    // --- what time brings ----------------------------------------------------------------------

    fn due_of(&self, seq: u64) -> Option<(Timestamp, Due)> {
        let activity = self.pending.activities.get(&seq)?;
        let waits = self.queued.contains(&seq) || self.permits.contains_key(&seq);
        let last_beat = self.attempts.last_beat(seq).map(|beat| beat + self.lag);
        next_due(activity, last_beat, waits)
    }

    fn deadline(&self) -> Option<Timestamp> {
        if !self.is_open() || !matches!(self.code, Code::Live(_)) {
            return None;
        }
        let timers = self.pending.timers.values().copied();
        let activities = self
            .pending
            .activities
            .keys()
            .filter_map(|seq| self.due_of(*seq));
        timers
            .chain(activities.map(|(at, _)| at))
            .chain(self.attempts.keep_at())
            .min()
    }

    fn take_due(&mut self, now: Timestamp, gathered: &mut Gathered) {
        // What is due is taken in the order of its time, then of its number.
        let mut due: Vec<(Timestamp, u64, Option<Due>)> = Vec::new();
        due.extend(
            self.pending
                .timers
                .iter()
                .map(|(seq, at)| (*at, *seq, None)),
        );
        for seq in self.pending.activities.keys() {
            due.extend(self.due_of(*seq).map(|(at, what)| (at, *seq, Some(what))));
        }
        due.retain(|(at, ..)| *at <= now);
        due.sort_by_key(|(at, seq, _)| (*at, *seq));
        for (_, seq, what) in due {
            // The end of this attempt may have been gathered already.
            if gathered.settles(seq) {
                continue;
            }
            match what {
                None => gathered.arrivals.push(EventKind::TimerFired { seq }),
                Some(Due::Retry) => self.ask_for_worker(seq),
                Some(Due::Drop) => self.end_attempt(seq, AttemptEnd::NotBegun, None, now, gathered),
                Some(Due::TimeOut(kind)) => {
                    let beat = self.attempts.abort(seq);
                    self.end_attempt(seq, AttemptEnd::TimedOut(kind), beat, now, gathered);
                }
            }
        }
    }

    /// Takes a free worker for activity `seq`, or gets in line for one.
    fn ask_for_worker(&mut self, seq: u64) {
        if let Ok(permit) = self.shared.workers.clone().try_acquire_owned() {
            self.permits.insert(seq, permit);
        } else if self.queued.insert(seq) {
            let (workers, sender) = (self.shared.workers.clone(), self.sender.clone());
            tokio::task::spawn_local(async move {
                if let Ok(permit) = workers.acquire_owned().await {
                    // A run that is gone gives the worker back by dropping the message.
                    let _ = sender.send(Input::Permit { seq, permit }).await;
                }
            });
        }
    }

    // --- turn, append, act ---------------------------------------------------------------------

    async fn turn_and_append(
        &mut self,
        mut gathered: Gathered,
        now: Timestamp,
    ) -> Result<(), Evicted> {
        let arrivals = std::mem::take(&mut gathered.arrivals);
        let fresh = gathered.started.is_some();
        let (kinds, taken) = self.turn(arrivals, now, fresh);
        if let Code::Broken(error) = &self.code
            && fresh
        {
            // A workflow whose first turn fails was never started.
            let error = error.clone();
            return self.refuse_start(gathered, error);
        }
        let first_new = self.length + 1;
        let mut events = Vec::new();
        for kind in kinds {
            self.record(kind, now, &mut events);
        }
        for note in std::mem::take(&mut gathered.notes) {
            if self.outcome.is_none() {
                self.record(note, now, &mut events);
            }
        }
        if self.is_open() && matches!(self.code, Code::Live(_)) && !self.shared.is_stopping() {
            self.record_starts(now, &mut events);
        }
        if !events.is_empty() {
            self.append(first_new - 1, &events).await?;
            if self.length > limits::HISTORY_WARN_EVENTS {
                tracing::warn!(
                    workflow_id = self.id,
                    events = self.length,
                    "history is long"
                );
            }
            self.act(&events);
        }
        self.reply(gathered, taken);
        Ok(())
    }

    /// Lets the code take a turn. Arrivals that it cannot take are deferred.
    fn turn(
        &mut self,
        arrivals: Vec<EventKind>,
        now: Timestamp,
        fresh: bool,
    ) -> (Vec<EventKind>, usize) {
        let all = arrivals.len();
        if let Code::Live(execution) = &mut self.code {
            if arrivals.is_empty() && !execution.has_deferred() {
                return (Vec::new(), 0);
            }
            match execution.turn(&arrivals, now) {
                Ok(turn) => return turn,
                Err(error) => {
                    tracing::error!(workflow_id = self.id, %error, "workflow cannot go on");
                    // Attempts under way go on: broken code must not end a recording.
                    self.code = Code::Broken(error);
                }
            }
        }
        if fresh {
            return (Vec::new(), 0);
        }
        let deferred = arrivals.into_iter().map(|arrival| EventKind::Deferred {
            arrival: Box::new(arrival),
        });
        (deferred.collect(), all)
    }

    fn refuse_start(&mut self, gathered: Gathered, error: ExecutionError) -> Result<(), Evicted> {
        self.code = Code::Absent;
        self.info = None;
        if let Some(reply) = gathered.started {
            answer(reply, Err(EngineError::Code(error)));
        }
        for (_, reply) in gathered.replies {
            answer(reply, Err(EngineError::NotFound(self.id.clone())));
        }
        Ok(())
    }

    fn record(&mut self, kind: EventKind, time: Timestamp, events: &mut Vec<HistoryEvent>) {
        self.length += 1;
        self.last_time = time;
        let event = HistoryEvent {
            id: self.length,
            time,
            kind,
        };
        self.pending.apply(&event);
        if let Some(outcome) = Outcome::of(&event.kind) {
            self.outcome = Some(outcome);
        }
        events.push(event);
    }

    /// Begins the attempts for which there is a worker, in the order of the activities.
    fn record_starts(&mut self, now: Timestamp, events: &mut Vec<HistoryEvent>) {
        let mut begin = Vec::new();
        for (seq, activity) in &self.pending.activities {
            let ready = match activity.state {
                AttemptState::Scheduled => true,
                AttemptState::Waiting { retry_at, .. } => retry_at <= now,
                AttemptState::Started { .. } => false,
            };
            if ready && !activity.cancel_requested {
                begin.push((*seq, activity.attempts() + 1));
            }
        }
        for (seq, attempt) in begin {
            if !self.permits.contains_key(&seq) && !self.queued.contains(&seq) {
                self.ask_for_worker(seq);
            }
            if self.permits.contains_key(&seq) {
                self.record(EventKind::ActivityStarted { seq, attempt }, now, events);
            }
        }
    }

    async fn append(&self, length: u64, events: &[HistoryEvent]) -> Result<(), Evicted> {
        let mut wait = limits::APPEND_RETRY_FIRST;
        loop {
            match self.shared.store.append(&self.id, length, events).await {
                Ok(()) => return Ok(()),
                Err(error @ (StoreError::Conflict { .. } | StoreError::Invalid { .. })) => {
                    tracing::error!(workflow_id = self.id, %error, "workflow given up by this engine");
                    return Err(Evicted);
                }
                Err(error) => {
                    tracing::error!(workflow_id = self.id, %error, "append failed, trying again");
                    self.back_off(&mut wait).await?;
                }
            }
        }
    }

    async fn back_off(&self, wait: &mut Duration) -> Result<(), Evicted> {
        let until = self.shared.clock.now() + *wait;
        *wait = (*wait * 2).min(limits::APPEND_RETRY_LONGEST);
        tokio::select! {
            () = self.shared.stop.cancelled() => Err(Evicted),
            () = self.shared.clock.sleep_until(until) => Ok(()),
        }
    }

    /// Does what the appended events ask for.
    fn act(&mut self, events: &[HistoryEvent]) {
        for event in events {
            match &event.kind {
                EventKind::ActivityStarted { seq, attempt } => self.spawn_attempt(*seq, *attempt),
                EventKind::ActivityCancelRequested { seq } => self.attempts.cancel(*seq),
                EventKind::ChildScheduled { seq, .. } => {
                    if let Some(child) = self.pending.children.get(seq).cloned() {
                        self.watch_child(*seq, &child);
                    }
                }
                EventKind::ChildCancelRequested { seq, .. } => {
                    if let Some(child) = self.pending.children.get(seq).cloned() {
                        self.pass_cancellation(&child);
                    }
                }
                _ => {}
            }
        }
        if self.outcome.is_some() {
            self.close();
        }
    }

    fn spawn_attempt(&mut self, seq: u64, attempt: u32) {
        let (Some(permit), Some(activity), Some(info)) = (
            self.permits.remove(&seq),
            self.pending.activities.get(&seq),
            &self.info,
        ) else {
            return;
        };
        let info = ActivityInfo {
            activity: activity.name.clone(),
            activity_id: seq.to_string(),
            workflow_id: self.id.clone(),
            run_id: info.run_id.clone(),
            correlation_id: info.correlation_id.clone(),
            attempt,
            last_heartbeat: self.heartbeats.get(&seq).cloned().unwrap_or(Value::Null),
        };
        let (input, sender) = (activity.input.clone(), self.sender.clone());
        self.attempts
            .spawn(seq, info, input, permit, &self.shared, sender);
    }

    fn close(&mut self) {
        // Dropping the attempts asks them to end and breaks them off.
        self.attempts = Attempts::default();
        self.permits.clear();
        for child in std::mem::take(&mut self.pending.children).into_values() {
            self.leave_child(child);
        }
        if let Some(outcome) = &self.outcome {
            for (_, waiter) in self.waiters.drain(..) {
                answer(waiter, Ok(outcome.clone()));
            }
        }
    }

    fn reply(&mut self, gathered: Gathered, taken: usize) {
        if let (Some(reply), Some(info)) = (gathered.started, &self.info) {
            let run_id = info.run_id.clone();
            answer(reply, Ok(Started { run_id, new: true }));
        }
        for (arrival, reply) in gathered.replies {
            let result = if arrival.is_none_or(|arrival| arrival < taken) {
                Ok(())
            } else {
                Err(EngineError::Closed(self.id.clone()))
            };
            answer(reply, result);
        }
        if let Code::Broken(error) = &self.code {
            let (told, kept): (Vec<_>, Vec<_>) = self
                .waiters
                .drain(..)
                .partition(|(even_broken, _)| !even_broken);
            self.waiters = kept;
            for (_, waiter) in told {
                answer(waiter, Err(EngineError::Code(error.clone())));
            }
        }
    }

    async fn keep_heartbeat(&mut self, seq: u64, attempt: u32, details: Value) {
        self.heartbeats.insert(seq, details.clone());
        let heartbeat = Heartbeat {
            seq,
            attempt,
            details,
        };
        if let Err(error) = self.shared.store.save_heartbeat(&self.id, &heartbeat).await {
            tracing::warn!(workflow_id = self.id, %error, "heartbeat not kept");
        }
    }

    // --- children ------------------------------------------------------------------------------

    /// Starts child `seq` if it is not there, and reports its end to this run.
    fn watch_child(&self, seq: u64, child: &PendingChild) {
        let Some(info) = &self.info else { return };
        let request = StartRequest {
            workflow_type: child.workflow_type.clone(),
            correlation_id: info.correlation_id.clone(),
            input: child.input.clone(),
            parent: Some(Parent {
                workflow_id: self.id.clone(),
                run_id: info.run_id.clone(),
                seq,
            }),
        };
        let (shared, sender) = (self.shared.clone(), self.sender.clone());
        let (id, cancel) = (child.workflow_id.clone(), child.cancel.clone());
        tokio::task::spawn_local(async move {
            let ended = watch(&shared, &id, request, cancel).await;
            let outcome = match ended {
                Err(EngineError::Stopped) => return,
                Ok(outcome) => outcome.for_parent(id),
                Err(error) => Err(ChildError::NotStarted {
                    workflow_id: id,
                    message: Failure::from_error("", &error).message,
                }),
            };
            // A parent that is gone watches again when it is back.
            let _ = sender.send(Input::ChildEnded { seq, outcome }).await;
        });
    }

    fn pass_cancellation(&self, child: &PendingChild) {
        let reason = child.cancel.clone().unwrap_or_default();
        self.tell_child(&child.workflow_id, move |reply| Input::Cancel {
            reason: reason.clone(),
            reply,
        });
    }

    fn leave_child(&self, child: PendingChild) {
        let reason = || format!("parent '{}' ended", self.id);
        match child.options.parent_close {
            ParentClosePolicy::Abandon => {}
            ParentClosePolicy::Terminate => {
                let reason = reason();
                self.tell_child(&child.workflow_id, move |reply| Input::Terminate {
                    reason: reason.clone(),
                    reply,
                });
            }
            ParentClosePolicy::RequestCancel => {
                let reason = reason();
                self.tell_child(&child.workflow_id, move |reply| Input::Cancel {
                    reason: reason.clone(),
                    reply,
                });
            }
        }
    }

    fn tell_child(&self, child: &str, make: impl Fn(Reply<()>) -> Input + 'static) {
        let (shared, child) = (self.shared.clone(), child.to_owned());
        tokio::task::spawn_local(async move {
            if let Err(error) = ask_locally(&shared, &child, make).await {
                tracing::debug!(workflow_id = child, %error, "child not told");
            }
        });
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

async fn watch(
    shared: &Rc<Shared>,
    id: &str,
    request: StartRequest,
    cancel: Option<String>,
) -> Result<Outcome, EngineError> {
    ask_locally(shared, id, |reply| Input::Start {
        request: request.clone(),
        reply,
    })
    .await?;
    // The request to cancel may have been recorded and the engine gone before it was passed on.
    if let Some(reason) = cancel {
        let asked = ask_locally(shared, id, |reply| Input::Cancel {
            reason: reason.clone(),
            reply,
        });
        match asked.await {
            Ok(()) | Err(EngineError::Closed(_)) => {}
            Err(error) => return Err(error),
        }
    }
    ask_locally(shared, id, |reply| Input::Wait {
        even_broken: true,
        reply,
    })
    .await
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

/// A UUID of version 7: run ids sort by their start.
fn run_id(now: Timestamp, entropy: u128) -> String {
    let millis = u64::try_from(now.as_micros() / 1000).unwrap_or(0);
    let bytes = entropy.to_be_bytes();
    let mut random = [0; 10];
    random.copy_from_slice(&bytes[6..]);
    uuid::Builder::from_unix_timestamp_millis(millis, &random)
        .into_uuid()
        .to_string()
}
