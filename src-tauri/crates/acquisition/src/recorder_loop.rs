//! The thread `recorder`: gives the record to whoever writes it, and never gives up.

use crate::limits::RECORDER_TICK;
use crate::message::{
    AcquisitionEvent, BlockRecorder, ClockAnchor, Record, RecorderFailure, RecorderFailureKind,
};
use crate::pool::PooledBlock;
use crate::port::EventPort;
use contract::Clock;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use signal::{Gap, GapCause, HostNanos, Missing, UtcNanos};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Everything the thread owns.
pub(crate) struct RecorderLoop {
    pub(crate) recorder: Box<dyn BlockRecorder>,
    pub(crate) receive: Receiver<Record>,
    pub(crate) events: EventPort,
    pub(crate) clock: Arc<dyn Clock>,
    /// Set when acquisition is to end; from then on a failing recorder has `patience` left.
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) retry: Duration,
    pub(crate) patience: Duration,
    /// UTC of each stream's device clock's zero, where it has one.
    pub(crate) epochs: Vec<Option<UtcNanos>>,
}

/// What only the running loop knows.
struct State {
    anchor: Option<ClockAnchor>,
    /// Why it does not take messages, as announced.
    refusing: Option<RecorderFailureKind>,
    /// Why it does not flush, as announced. It may take messages all the while.
    stuck: Option<RecorderFailureKind>,
    ticked: HostNanos,
    stopping_since: Option<HostNanos>,
}

impl RecorderLoop {
    /// Runs until the end has been taken, or given up, and returns the recorder.
    pub(crate) fn run(mut self) -> Box<dyn BlockRecorder> {
        let mut state = State {
            anchor: None,
            refusing: None,
            stuck: None,
            ticked: self.clock.host(),
            stopping_since: None,
        };
        loop {
            match self.receive.recv_timeout(RECORDER_TICK) {
                Ok(record) => {
                    if let Record::Anchor(anchor) = &record {
                        state.anchor.get_or_insert(*anchor);
                    }
                    let taken = self.insist(&record, &mut state);
                    self.tell_lost();
                    if !taken || matches!(record, Record::End(_)) {
                        return self.recorder;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.recorder,
            }
            self.tick(&mut state);
        }
    }

    /// Offers `record` until it is taken or refused for good. `false` when given up at a stop.
    fn insist(&mut self, record: &Record, state: &mut State) -> bool {
        loop {
            match self.offer(record) {
                Ok(()) => {
                    let before = state.refusing.take();
                    self.recovered(before, state);
                    return true;
                }
                Err(failure) => {
                    let skip = matches!(
                        failure.kind,
                        RecorderFailureKind::Rejected | RecorderFailureKind::Panicked
                    );
                    self.report(failure, &mut state.refusing);
                    if skip {
                        state.refusing = None;
                        self.put_gap_for(record, state);
                        return true;
                    }
                }
            }
            if self.out_of_patience(state) {
                return false;
            }
            self.clock.sleep(self.retry);
            self.tick(state);
        }
    }

    fn offer(&mut self, record: &Record) -> Result<(), RecorderFailure> {
        let recorder = &mut self.recorder;
        catch_unwind(AssertUnwindSafe(|| recorder.record(record))).unwrap_or_else(|_| {
            Err(RecorderFailure {
                kind: RecorderFailureKind::Panicked,
                message: "the recorder panicked on this message".to_owned(),
            })
        })
    }

    /// A block that will never be written leaves a gap in its place.
    fn put_gap_for(&mut self, record: &Record, state: &State) {
        let Record::Block(block) = record else {
            return;
        };
        let gap = self.gap_of(block, state);
        match self.offer(&Record::Gap(gap)) {
            Ok(()) => self.events.put(AcquisitionEvent::Gap(gap)),
            Err(failure) => tracing::error!(%failure, "gap for a refused block was not recorded"),
        }
    }

    fn gap_of(&self, block: &PooledBlock, state: &State) -> Gap {
        let epoch = self
            .epochs
            .get(usize::from(block.stream.0))
            .copied()
            .flatten();
        let at = match (epoch, block.device_time, state.anchor) {
            (Some(epoch), Some(time), _) => epoch.plus_nanos(time.0),
            (_, _, Some(anchor)) => anchor.utc_at(block.fitted.unwrap_or(block.arrival)),
            _ => self.clock.utc(),
        };
        Gap {
            stream: block.stream,
            first_missing: block.first_index,
            resumes_at: block.end_index(),
            missing: Missing::Exact(block.len as u64),
            from: at,
            until: at,
            cause: GapCause::RecorderFull,
        }
    }

    fn tick(&mut self, state: &mut State) {
        let now = self.clock.host();
        if now.nanos_since(state.ticked) < RECORDER_TICK.as_nanos() as i64 {
            return;
        }
        state.ticked = now;
        let recorder = &mut self.recorder;
        let result = catch_unwind(AssertUnwindSafe(|| recorder.tick(now))).unwrap_or_else(|_| {
            Err(RecorderFailure {
                kind: RecorderFailureKind::Panicked,
                message: "the recorder panicked while flushing".to_owned(),
            })
        });
        match result {
            Ok(()) => {
                let before = state.stuck.take();
                self.recovered(before, state);
            }
            Err(failure) => self.report(failure, &mut state.stuck),
        }
        self.tell_lost();
    }

    fn tell_lost(&mut self) {
        let recorder = &mut self.recorder;
        let lost = catch_unwind(AssertUnwindSafe(|| recorder.lost())).unwrap_or_default();
        for gap in lost {
            self.events.put(AcquisitionEvent::Gap(gap));
        }
    }

    /// Announces a failure once, and again when its kind changes.
    fn report(&self, failure: RecorderFailure, announced: &mut Option<RecorderFailureKind>) {
        if *announced == Some(failure.kind) {
            return;
        }
        *announced = Some(failure.kind);
        tracing::error!(%failure, "recorder failed");
        self.events.put(AcquisitionEvent::RecorderFailed {
            kind: failure.kind,
            message: failure.message,
        });
    }

    /// Announces that a failure is over, unless the other kind of it goes on.
    fn recovered(&self, before: Option<RecorderFailureKind>, state: &State) {
        if before.is_some() && state.refusing.is_none() && state.stuck.is_none() {
            tracing::info!("recorder writes again");
            self.events.put(AcquisitionEvent::RecorderRecovered);
        }
    }

    fn out_of_patience(&self, state: &mut State) -> bool {
        if !self.stop.load(Ordering::Relaxed) {
            return false;
        }
        let now = self.clock.host();
        let since = *state.stopping_since.get_or_insert(now);
        now.nanos_since(since) >= self.patience.as_nanos() as i64
    }
}
