//! The journal as acquisition's recorder, and what it tells the rest while it writes.

use crate::view::{Hub, MarkView};
use acquisition::{BlockRecorder, Mark, Record, RecorderFailure, RecorderFailureKind};
use crossbeam_channel::{Receiver, Sender};
use recording::{Appended, ClockAnchor, ClosedSegment, Recorder, RecordingError, RecordingSummary};
use signal::{
    Annotation, AnnotationId, AnnotationOrigin, Gap, HostNanos, Impedance, SampleBlock,
    StreamIndex, UtcNanos,
};
use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What a running recorder shows to other threads.
#[derive(Debug, Default)]
pub(crate) struct RecorderView {
    next_annotation: AtomicU64,
    stored_until: AtomicI64,
    gaps: Mutex<Vec<Gap>>,
    summary: Mutex<Option<RecordingSummary>>,
    problem: Mutex<Option<String>>,
}

impl RecorderView {
    pub(crate) fn starting_at(next_annotation: u64) -> Self {
        Self {
            next_annotation: AtomicU64::new(next_annotation),
            ..Self::default()
        }
    }

    /// Reserves an annotation's identity.
    pub(crate) fn next_annotation(&self) -> AnnotationId {
        AnnotationId(self.next_annotation.fetch_add(1, Ordering::Relaxed))
    }

    /// Identities below this were reserved.
    pub(crate) fn promised_annotations(&self) -> u64 {
        self.next_annotation.load(Ordering::Relaxed)
    }

    /// Host time up to which everything is safe on disk; 0 when nothing is yet.
    pub(crate) fn stored_until(&self) -> HostNanos {
        HostNanos(self.stored_until.load(Ordering::Relaxed))
    }

    pub(crate) fn gaps(&self) -> Vec<Gap> {
        self.gaps
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How the recording ended, once it has.
    pub(crate) fn summary(&self) -> Option<RecordingSummary> {
        self.summary
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What keeps the recorder from writing just now.
    pub(crate) fn problem(&self) -> Option<String> {
        self.problem
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set_problem(&self, problem: Option<String>) {
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }
}

/// A mark from a person, with the identity it was promised.
#[derive(Debug)]
pub(crate) struct PersonMark {
    pub(crate) id: AnnotationId,
    pub(crate) mark: Mark,
    /// The annotation whose place it takes.
    pub(crate) supersedes: Option<AnnotationId>,
}

/// What others than the device add to the record.
#[derive(Debug)]
pub(crate) enum Added {
    /// A mark.
    Mark(PersonMark),
    /// Impedances that were measured.
    Impedances(Vec<Impedance>),
}

/// The same, ready for the journal.
#[derive(Debug)]
enum Due {
    Mark(Annotation),
    Impedances(Vec<Impedance>),
}

/// Writes what acquisition delivers into the journal. Lives on the thread named `recorder`.
#[derive(Debug)]
pub(crate) struct JournalRecorder {
    recorder: Recorder,
    marks: Receiver<Added>,
    /// Taken from the queue, and not yet taken by the journal.
    held: Option<Due>,
    segments: Sender<ClosedSegment>,
    view: Arc<RecorderView>,
    /// What displays are shown.
    hub: Option<Arc<Hub>>,
    last_tick: HostNanos,
    /// Fixes the UTC of everything this recorder writes.
    anchor: ClockAnchor,
    replayed: Replayed,
}

/// What a file that is played again delivers a second time: it is in the record already.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    /// By stream: samples before this index.
    pub(crate) before: Vec<u64>,
    /// Onset and text of the file's annotations.
    pub(crate) annotations: HashSet<(UtcNanos, String)>,
}

impl JournalRecorder {
    pub(crate) fn new(
        recorder: Recorder,
        marks: Receiver<Added>,
        segments: Sender<ClosedSegment>,
        view: Arc<RecorderView>,
        anchor: ClockAnchor,
        replayed: Replayed,
    ) -> Self {
        Self {
            recorder,
            marks,
            held: None,
            segments,
            view,
            hub: None,
            last_tick: anchor.host,
            anchor,
            replayed,
        }
    }

    /// The same, telling `hub` of every annotation it takes.
    pub(crate) fn telling(self, hub: Arc<Hub>) -> Self {
        Self {
            hub: Some(hub),
            ..self
        }
    }

    fn write(&mut self, record: &Record) -> Result<(), RecordingError> {
        match record {
            Record::Block(block) => self.block(block),
            Record::Gap(gap) => {
                if self.is_recorded(gap.stream, gap.resumes_at) {
                    return Ok(());
                }
                self.recorder.gap(gap)?;
                self.view.gaps.lock().unwrap_or_else(PoisonError::into_inner).push(*gap);
                Ok(())
            }
            Record::Annotation(mark) => {
                if self.replayed.annotations.contains(&(mark.onset, mark.text.clone())) {
                    return Ok(());
                }
                let annotation = annotation(self.view.next_annotation(), mark);
                self.annotate(annotation).map_err(|(error, _)| error)
            }
            Record::Anchor(anchor) => {
                self.recorder.anchor(ClockAnchor { host: anchor.host, utc: anchor.utc })
            }
            Record::Quality { stream, quality } => self.note(
                "clock_quality",
                format!(
                    "stream {} rate {:.6} Hz drift {:.3} ppm jitter {:.3} ms p50 {:.3} ms p95 residual {:.3} ms",
                    stream.0,
                    quality.rate_hz,
                    quality.drift_ppm,
                    quality.jitter_p50_ms,
                    quality.jitter_p95_ms,
                    quality.residual_ms
                ),
            ),
            Record::Event(event) => self.note("acquisition", format!("{event:?}")),
            Record::End(reason) => {
                self.take_marks()?;
                self.note("end", format!("{reason:?}"))?;
                let summary = self.recorder.finish(self.last_tick)?;
                for segment in &summary.closed {
                    let _ = self.segments.try_send(segment.clone());
                }
                *self.view.summary.lock().unwrap_or_else(PoisonError::into_inner) = Some(summary);
                Ok(())
            }
        }
    }

    fn block(&mut self, block: &SampleBlock) -> Result<(), RecordingError> {
        let before = self
            .replayed
            .before
            .get(usize::from(block.stream.0))
            .copied()
            .unwrap_or(0);
        let appended = if block.first_index >= before {
            self.recorder.append(block)?
        } else if block.end_index() <= before {
            Appended::Taken
        } else {
            let rate = self.recorder.header().streams[usize::from(block.stream.0)].rate;
            let skip = (before - block.first_index) as usize;
            self.recorder.append(&block.without_first(skip, rate))?
        };
        if appended == Appended::Lost {
            // The journal declares the gap itself; acquisition must not offer the block again.
            self.view
                .set_problem(Some("the disk does not take data; samples are lost".into()));
        }
        Ok(())
    }

    fn is_recorded(&self, stream: StreamIndex, end: u64) -> bool {
        self.replayed
            .before
            .get(usize::from(stream.0))
            .is_some_and(|before| end <= *before)
    }

    fn note(&mut self, kind: &str, text: String) -> Result<(), RecordingError> {
        let at = self
            .anchor
            .utc
            .plus_nanos(self.last_tick.nanos_since(self.anchor.host));
        self.recorder.mark(&recording::Mark {
            at,
            kind: kind.to_owned(),
            text,
        })
    }

    /// Puts an annotation into the record, and tells the displays; gives it back when it cannot be.
    #[allow(clippy::result_large_err)] // The annotation itself, moved back.
    fn annotate(&mut self, annotation: Annotation) -> Result<(), (RecordingError, Annotation)> {
        match self.recorder.annotate(&annotation) {
            Ok(()) => {
                if let Some(hub) = &self.hub {
                    hub.tell(MarkView {
                        annotation,
                        superseded_by: None,
                    });
                }
                Ok(())
            }
            Err(error) => Err((error, annotation)),
        }
    }

    fn take_marks(&mut self) -> Result<(), RecordingError> {
        loop {
            let next = match self.held.take() {
                Some(held) => held,
                None => match self.marks.try_recv() {
                    Ok(Added::Mark(person)) => Due::Mark(Annotation {
                        supersedes: person.supersedes,
                        ..annotation(person.id, &person.mark)
                    }),
                    Ok(Added::Impedances(values)) => Due::Impedances(values),
                    Err(_) => return Ok(()),
                },
            };
            let taken = match next {
                Due::Mark(mark) => self
                    .annotate(mark)
                    .map_err(|(error, mark)| (error, Due::Mark(mark))),
                Due::Impedances(values) => self
                    .recorder
                    .impedances(&values)
                    .map_err(|error| (error, Due::Impedances(values))),
            };
            if let Err((error, next)) = taken {
                self.held = Some(next);
                return Err(error);
            }
        }
    }

    fn drain(&mut self) {
        for segment in self.recorder.drain_closed() {
            if self.segments.try_send(segment).is_err() {
                // The ledger is behind by a thousand segments: the hashes are also in the journal.
                tracing::error!("a closed segment could not be handed to the ledger");
            }
        }
    }
}

impl BlockRecorder for JournalRecorder {
    fn record(&mut self, record: &Record) -> Result<(), RecorderFailure> {
        self.write(record).map_err(|error| failure(&error))
    }

    fn tick(&mut self, now: HostNanos) -> Result<(), RecorderFailure> {
        self.last_tick = now;
        let ticked = self.take_marks().and_then(|()| self.recorder.tick(now));
        if let Some(until) = self.recorder.stored_until() {
            self.view.stored_until.store(until.0, Ordering::Relaxed);
        }
        self.drain();
        self.view.set_problem(
            ticked
                .as_ref()
                .err()
                .map(|error| crate::error::chain(error)),
        );
        ticked.map_err(|error| failure(&error))
    }

    fn lost(&mut self) -> Vec<Gap> {
        let lost = self.recorder.drain_lost();
        if !lost.is_empty() {
            let mut gaps = (self.view.gaps.lock()).unwrap_or_else(PoisonError::into_inner);
            gaps.extend_from_slice(&lost);
        }
        lost
    }
}

fn annotation(id: AnnotationId, mark: &Mark) -> Annotation {
    Annotation {
        id,
        onset: mark.onset,
        duration_ns: mark.duration_ns,
        text: mark.text.clone(),
        code: mark.code.clone(),
        origin: mark.origin,
        channels: mark.channels.clone(),
        supersedes: None,
    }
}

/// A mark that the program itself makes.
pub(crate) fn program_mark(onset: UtcNanos, code: &str, text: &str) -> Mark {
    Mark {
        onset,
        duration_ns: None,
        text: text.to_owned(),
        code: Some(code.to_owned()),
        origin: AnnotationOrigin::Program,
        channels: Vec::new(),
    }
}

fn failure(error: &RecordingError) -> RecorderFailure {
    let kind = match error {
        RecordingError::DiskFull { .. } => RecorderFailureKind::DiskFull,
        RecordingError::Storage { .. } => RecorderFailureKind::Io,
        _ => RecorderFailureKind::Rejected,
    };
    RecorderFailure {
        kind,
        message: crate::error::chain(error),
    }
}
