//! What reaches a run, and the answers that need no turn.

use super::*;

impl Run {
    pub(super) fn take_input(&mut self, input: Input, now: Timestamp, gathered: &mut Gathered) {
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

    pub(super) fn take_start(
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

    pub(super) fn take_request(
        &mut self,
        arrival: EventKind,
        reply: Reply<()>,
        gathered: &mut Gathered,
    ) {
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

    pub(super) fn take_waiter(&mut self, even_broken: bool, reply: Reply<Outcome>) {
        match (&self.outcome, &self.code) {
            (Some(outcome), _) => answer(reply, Ok(outcome.clone())),
            (None, Code::Absent) => answer(reply, Err(EngineError::NotFound(self.id.clone()))),
            (None, Code::Broken(error)) if !even_broken => {
                answer(reply, Err(EngineError::Code(error.clone())));
            }
            (None, _) => self.waiters.push((even_broken, reply)),
        }
    }

    pub(super) fn query(&self, name: String) -> Result<Value, EngineError> {
        match &self.code {
            Code::Absent => Err(EngineError::NotFound(self.id.clone())),
            Code::Broken(error) => Err(EngineError::Code(error.clone())),
            Code::Live(execution) => execution.query(&name).ok_or_else(|| EngineError::NoQuery {
                workflow_id: self.id.clone(),
                query: name,
            }),
        }
    }

    pub(super) fn describe(
        &self,
    ) -> Result<(Option<String>, Vec<ActivityDescription>), EngineError> {
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

    pub(super) fn end_attempt(
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
