//! What time brings: timers, time limits, retries, and the wait for a worker.

use super::*;

impl Run {
    pub(super) fn due_of(&self, seq: u64) -> Option<(Timestamp, Due)> {
        let activity = self.pending.activities.get(&seq)?;
        let waits = self.queued.contains(&seq) || self.permits.contains_key(&seq);
        let last_beat = self.attempts.last_beat(seq).map(|beat| beat + self.lag);
        next_due(activity, last_beat, waits)
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
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

    pub(super) fn take_due(&mut self, now: Timestamp, gathered: &mut Gathered) {
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
    pub(super) fn ask_for_worker(&mut self, seq: u64) {
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
}
