//! Turn, append, act: in this order, so that nothing is acted on before it is kept.

use super::*;

impl Run {
    pub(super) async fn turn_and_append(
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
    pub(super) fn turn(
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

    pub(super) fn refuse_start(
        &mut self,
        gathered: Gathered,
        error: ExecutionError,
    ) -> Result<(), Evicted> {
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

    pub(super) fn record(
        &mut self,
        kind: EventKind,
        time: Timestamp,
        events: &mut Vec<HistoryEvent>,
    ) {
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
    pub(super) fn record_starts(&mut self, now: Timestamp, events: &mut Vec<HistoryEvent>) {
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

    pub(super) async fn append(&self, length: u64, events: &[HistoryEvent]) -> Result<(), Evicted> {
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

    pub(super) async fn back_off(&self, wait: &mut Duration) -> Result<(), Evicted> {
        let until = self.shared.clock.now() + *wait;
        *wait = (*wait * 2).min(limits::APPEND_RETRY_LONGEST);
        tokio::select! {
            () = self.shared.stop.cancelled() => Err(Evicted),
            () = self.shared.clock.sleep_until(until) => Ok(()),
        }
    }

    /// Does what the appended events ask for.
    pub(super) fn act(&mut self, events: &[HistoryEvent]) {
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

    pub(super) fn spawn_attempt(&mut self, seq: u64, attempt: u32) {
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

    pub(super) fn close(&mut self) {
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

    pub(super) fn reply(&mut self, gathered: Gathered, taken: usize) {
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

    pub(super) async fn keep_heartbeat(&mut self, seq: u64, attempt: u32, details: Value) {
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
}
