//! Sessions that are recording now: what other threads may ask of them.

use crate::alerts::AlertBook;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::DEVICE_WARNINGS;
use crate::quality::{Held, QualityBoard};
use crate::recorder::{PersonMark, RecorderView};
use crate::view::Hub;
use acquisition::{AcquisitionHandle, AcquisitionStats, Mark};
use clinic::SessionId;
use contract::DeviceDescription;
use crossbeam_channel::Sender;
use recording::{ClockAnchor, RecordingId};
use signal::{AnnotationId, ClockSource, Gap, HostNanos, StreamDescription, UtcNanos, ZoneOffset};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// One running recording.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) recording: RecordingId,
    pub(crate) device: DeviceDescription,
    /// Fixes UTC for everything in this recording since it was last started.
    pub(crate) anchor: ClockAnchor,
    pub(crate) view: Arc<RecorderView>,
    /// Samples per channel that were recorded before this start, by stream.
    pub(crate) before: Vec<u64>,
    /// What displays are shown of it.
    pub(crate) hub: Arc<Hub>,
    /// The zone's offset when the session began.
    pub(crate) zone: ZoneOffset,
    marks: Sender<PersonMark>,
    handle: Mutex<Option<AcquisitionHandle>>,
    /// Whether the recording was there before this start.
    pub(crate) resumed: bool,
    stopped: AtomicBool,
    warnings: Mutex<Vec<String>>,
    pub(crate) quality: Arc<QualityBoard>,
    pub(crate) alerts: AlertBook,
    /// Issues of channels that were told and still hold.
    told: Mutex<Vec<Held>>,
}

/// Both ends of what a recording's threads share with others.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) view: Arc<RecorderView>,
    pub(crate) marks: Sender<PersonMark>,
    pub(crate) quality: Arc<QualityBoard>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) zone: ZoneOffset,
}

impl Live {
    pub(crate) fn new(
        resumed: bool,
        recording: RecordingId,
        anchor: ClockAnchor,
        before: Vec<u64>,
        ends: Ends,
        handle: AcquisitionHandle,
    ) -> Self {
        Self {
            recording,
            device: handle.description().clone(),
            anchor,
            view: ends.view,
            before,
            hub: ends.hub,
            zone: ends.zone,
            marks: ends.marks,
            handle: Mutex::new(Some(handle)),
            resumed,
            stopped: AtomicBool::new(false),
            warnings: Mutex::default(),
            quality: ends.quality,
            alerts: AlertBook::default(),
            told: Mutex::default(),
        }
    }

    fn with_handle<T>(&self, use_it: impl FnOnce(&AcquisitionHandle) -> T) -> Option<T> {
        self.handle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .map(use_it)
    }

    /// Keeps what the device wants a person to read; the latest few where it does not stop.
    pub(crate) fn warn(&self, text: String) {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        if warnings.len() == DEVICE_WARNINGS {
            warnings.remove(0);
        }
        warnings.push(text);
    }

    /// What began to hold and what is over since this was last asked, `true` for what began.
    pub(crate) fn changes_of_quality(&self) -> Vec<(bool, Held)> {
        let held = self.quality.held();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let key = |held: &Held| (held.stream, held.channel, held.issue);
        let among = |all: &[Held], one: &Held| all.iter().any(|other| key(other) == key(one));
        let mut changes = Vec::new();
        changes.extend(
            told.iter()
                .filter(|old| !among(&held, old))
                .map(|old| (false, old.clone())),
        );
        changes.extend(
            held.iter()
                .filter(|new| !among(&told, new))
                .map(|new| (true, new.clone())),
        );
        *told = held;
        changes
    }

    /// What the device wanted a person to read.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.warnings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Ends the recording at the next beat of its collection.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Takes the handle out, to stop it; `None` when someone has done so.
    pub(crate) fn take_handle(&self) -> Option<AcquisitionHandle> {
        self.handle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.with_handle(AcquisitionHandle::is_ended)
            .unwrap_or(true)
    }

    pub(crate) fn stats(&self) -> Option<AcquisitionStats> {
        self.with_handle(AcquisitionHandle::stats)
    }

    /// UTC of `host` by this recording's own time.
    pub(crate) fn utc_at(&self, host: HostNanos) -> UtcNanos {
        self.anchor
            .utc
            .plus_nanos(host.nanos_since(self.anchor.host))
    }

    /// Puts a mark into the record.
    pub(crate) fn annotate(&self, mark: Mark) -> Result<AnnotationId> {
        self.supersede(mark, None)
    }

    /// As [`Self::annotate`], in the place of another annotation.
    pub(crate) fn supersede(
        &self,
        mark: Mark,
        supersedes: Option<AnnotationId>,
    ) -> Result<AnnotationId> {
        let id = self.view.next_annotation();
        let mark = PersonMark {
            id,
            mark,
            supersedes,
        };
        self.marks.try_send(mark).map_err(|_| {
            Error::new(
                ErrorKind::Conflict,
                "the mark could not be taken: the recorder is not keeping up or has ended",
                "Try again; if the disk is full, free space first.",
            )
        })?;
        Ok(id)
    }

    /// Time recorded so far including gaps, by the stream that is furthest, ns.
    pub(crate) fn recorded_ns(&self) -> i64 {
        self.stats().map_or(0, |stats| self.recorded_ns_of(&stats))
    }

    /// Time that was recorded before this start, ns.
    pub(crate) fn before_ns(&self) -> i64 {
        let streams = self.device.streams.iter().zip(&self.before);
        streams
            .map(|(stream, before)| stream.rate.nanos_of(*before))
            .max()
            .unwrap_or(0)
    }

    /// As [`Self::recorded_ns`], by an account that is known.
    pub(crate) fn recorded_ns_of(&self, stats: &AcquisitionStats) -> i64 {
        self.device
            .streams
            .iter()
            .zip(&stats.streams)
            .zip(&self.before)
            .map(|((stream, stats), before)| {
                let replayed = self.is_replayed(stream);
                let samples = stats.samples + stats.missing;
                stream.rate.nanos_of(if replayed {
                    samples.max(*before)
                } else {
                    samples + before
                })
            })
            .max()
            .unwrap_or(0)
    }

    /// Whether the device delivers from its beginning again when it is opened anew.
    pub(crate) fn is_replayed(&self, stream: &StreamDescription) -> bool {
        self.device.class == contract::DeviceClass::Playback
            && matches!(stream.clock, ClockSource::Device { .. })
    }

    /// Up to when everything is safe on the disk; `None` until the first sync.
    pub(crate) fn stored_until(&self) -> Option<UtcNanos> {
        let until = self.view.stored_until();
        (until.0 != 0).then(|| self.utc_at(until))
    }

    pub(crate) fn gaps(&self) -> Vec<Gap> {
        self.view.gaps()
    }
}

/// All of them, and the ends that were asked for before a recording had begun.
#[derive(Debug, Clone, Default)]
pub(crate) struct LiveBoard {
    live: Arc<Mutex<HashMap<SessionId, Arc<Live>>>>,
    ends: Arc<Mutex<HashSet<SessionId>>>,
}

impl LiveBoard {
    pub(crate) fn enter(&self, session: SessionId, live: Arc<Live>) {
        self.live
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(session, live);
    }

    pub(crate) fn leave(&self, session: SessionId) {
        let left = self
            .live
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&session);
        if let Some(live) = left {
            live.hub.end();
        }
    }

    pub(crate) fn get(&self, session: SessionId) -> Option<Arc<Live>> {
        self.live
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&session)
            .cloned()
    }

    pub(crate) fn sessions(&self) -> Vec<SessionId> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.keys().copied().collect()
    }

    /// Asks a collection to end, whether it has begun or not.
    pub(crate) fn end(&self, session: SessionId) {
        self.ends
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(session);
        if let Some(live) = self.get(session) {
            live.stop();
        }
    }

    pub(crate) fn end_was_asked(&self, session: SessionId) -> bool {
        self.ends
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&session)
    }

    pub(crate) fn forget_end(&self, session: SessionId) {
        self.ends
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&session);
    }
}
