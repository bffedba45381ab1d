//! Sessions that are recording now: what other threads may ask of them.

use crate::alerts::AlertBook;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::DEVICE_WARNINGS;
use crate::outlet::CodedMark;
use crate::quality::{Held, QualityBoard};
use crate::recorder::{Added, PersonMark, RecorderView};
use crate::relabel::{self, Relabel};
use crate::view::Hub;
use acquisition::{AcquisitionHandle, AcquisitionStats, Cancel, ImpedancesUnderWay, Mark};
use clinic::SessionId;
use contract::DeviceDescription;
use crossbeam_channel::Sender;
use recording::{ClockAnchor, RecordingId};
use signal::{
    AnnotationId, ClockSource, Gap, HostNanos, Impedance, ImpedanceLimits, StreamDescription,
    UtcNanos, ZoneOffset,
};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

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
    marks: Sender<Added>,
    handle: Mutex<Option<AcquisitionHandle>>,
    /// Whether the recording was there before this start.
    pub(crate) resumed: bool,
    stopped: AtomicBool,
    warnings: Mutex<Vec<String>>,
    pub(crate) quality: Arc<QualityBoard>,
    pub(crate) alerts: AlertBook,
    /// Issues of channels that were told and still hold.
    told: Mutex<Vec<Held>>,
    pub(crate) limits: ImpedanceLimits,
    pause: Mutex<Pause>,
    relabels: Mutex<Vec<Relabel>>,
    /// Where codes of marks go when the session is published.
    published: OnceLock<Sender<CodedMark>>,
}

/// Whether the patient is off the device.
#[derive(Debug, Default)]
struct Pause {
    /// Why, and since when.
    now: Option<(String, HostNanos)>,
    /// Length of the pauses before, ns.
    before_ns: i64,
}

/// Both ends of what a recording's threads share with others.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) view: Arc<RecorderView>,
    pub(crate) marks: Sender<Added>,
    pub(crate) quality: Arc<QualityBoard>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) zone: ZoneOffset,
    /// By which impedances are graded.
    pub(crate) limits: ImpedanceLimits,
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
            limits: ends.limits,
            pause: Mutex::default(),
            relabels: Mutex::default(),
            published: OnceLock::new(),
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
        let published = self.published.get().zip(mark.code.clone());
        let onset = mark.onset;
        let mark = PersonMark {
            id,
            mark,
            supersedes,
        };
        self.marks.try_send(Added::Mark(mark)).map_err(|_| {
            Error::new(
                ErrorKind::Conflict,
                "the mark could not be taken: the recorder is not keeping up or has ended",
                "Try again; if the disk is full, free space first.",
            )
        })?;
        if let Some((published, code)) = published {
            let at = self
                .anchor
                .host
                .plus_nanos(onset.nanos_since(self.anchor.utc));
            // Other programs do without a mark that they are too slow for.
            let _ = published.try_send((code, at));
        }
        Ok(id)
    }

    /// From now on the codes of marks go to other programs too.
    pub(crate) fn publish_marks(&self, to: Sender<CodedMark>) {
        let _ = self.published.set(to);
    }

    /// Puts impedances into the record.
    pub(crate) fn record_impedances(&self, values: Vec<Impedance>) {
        if self.marks.try_send(Added::Impedances(values)).is_err() {
            tracing::warn!("impedances are not in the record: its recorder is not keeping up");
        }
    }

    /// Begins to measure impedances between two pieces of the recording.
    pub(crate) fn check_impedances(&self, cancel: Cancel) -> Result<ImpedancesUnderWay> {
        let asked = self.with_handle(|handle| handle.check_impedances(self.limits, cancel));
        Ok(asked
            .ok_or_else(|| Error::new(ErrorKind::Conflict, "the recording has ended", ""))??)
    }

    /// Takes the patient off the device, or back onto it; says whether that was not so already.
    pub(crate) fn set_paused(&self, reason: Option<String>, now: HostNanos) -> bool {
        let mut pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        if pause.now.is_some() == reason.is_some() {
            return false;
        }
        if let Some((_, since)) = pause.now.take() {
            pause.before_ns += now.nanos_since(since);
        }
        pause.now = reason.map(|reason| (reason, now));
        self.quality.reset(now);
        let paused = pause.now.is_some();
        self.with_handle(|handle| {
            if paused {
                handle.pause();
            } else {
                handle.resume();
            }
        });
        true
    }

    /// Why the patient is off the device; `None` when they are not.
    pub(crate) fn paused(&self) -> Option<String> {
        let pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        pause.now.as_ref().map(|(reason, _)| reason.clone())
    }

    /// Length of all pauses until `now`, ns.
    pub(crate) fn paused_ns(&self, now: HostNanos) -> i64 {
        let pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        let running = pause
            .now
            .as_ref()
            .map_or(0, |(_, since)| now.nanos_since(*since));
        pause.before_ns + running
    }

    /// Streams under the labels that hold now.
    pub(crate) fn streams(&self) -> Vec<StreamDescription> {
        let relabels = self.relabels.lock().unwrap_or_else(PoisonError::into_inner);
        let mut streams = self.device.streams.clone();
        relabel::apply(&mut streams, &relabels);
        streams
    }

    /// Gives a channel another label, and marks it in the record.
    pub(crate) fn relabel(&self, new: Relabel) -> Result<()> {
        relabel::check(&self.streams(), &new.from, &new.to)?;
        self.annotate(new.mark())?;
        self.know_relabels(vec![new]);
        Ok(())
    }

    /// Labels that were changed, in order.
    pub(crate) fn know_relabels(&self, more: Vec<Relabel>) {
        for new in &more {
            self.quality.relabel(&new.from, &new.to);
        }
        self.relabels
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(more);
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
    /// Impedances of sessions whose electrodes are being measured, as they are known.
    measured: Arc<Mutex<HashMap<SessionId, Vec<Impedance>>>>,
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
            live.hub.leave();
        }
    }

    /// Notes an electrode that was measured just now.
    pub(crate) fn note_impedance(&self, session: SessionId, value: &Impedance) {
        let mut all = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.entry(session).or_default();
        match known
            .iter_mut()
            .find(|old| old.electrode == value.electrode)
        {
            Some(old) => old.clone_from(value),
            None => known.push(value.clone()),
        }
    }

    /// Electrodes measured since the engine started.
    pub(crate) fn measured(&self, session: SessionId) -> Vec<Impedance> {
        let all = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&session).cloned().unwrap_or_default()
    }

    /// The session has ended.
    pub(crate) fn forget_measured(&self, session: SessionId) {
        self.measured
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&session);
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
