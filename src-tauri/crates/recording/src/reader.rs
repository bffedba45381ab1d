//! Reads a recording, also while it is written.

use crate::catalog::Entry;
use crate::container::{
    FILE_HEAD, FRAME_HEAD, FileKind, FrameHead, FrameRef, Identity, frame_kind,
};
use crate::error::{Fault, RecordingError, Result};
use crate::event::{self, Event, Mark, RecordedAnnotation};
use crate::files::Pool;
use crate::header::{ClockAnchor, RecordingHeader, RecordingId};
use crate::keys::{KeysFile, RecordingKey, Unlock};
use crate::recorder::{ClosedSegment, ResumePoint};
use crate::storage::{Storage, StorageFile, read_full};
use crate::stream_writer::extend_runs;
use sha2::{Digest as _, Sha256};
use signal::{
    Annotation, AnnotationId, Gap, GapCause, Impedance, Missing, StreamDescription, StreamIndex,
    UtcNanos,
};
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

pub use crate::view::{BlockPart, Envelopes, KnownGap, Piece, Run, SegmentInfo, SegmentState};

/// A segment file as the reader knows it.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) identity: Identity,
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) state: SegmentState,
    pub(crate) sha256: Option<[u8; 32]>,
    pub(crate) runs: Vec<Run>,
    pub(crate) events: Vec<serde_json::Value>,
    pub(crate) catalogued: bool,
    /// Holes of a scanned file: bytes without a whole frame.
    pub(crate) holes: Vec<(u64, u64, Fault)>,
    frames: OnceLock<Arc<Vec<FrameRef>>>,
}

impl Segment {
    /// First index; segments without a whole frame count as 0..0 and so stand first.
    pub(crate) fn first(&self) -> u64 {
        self.runs.first().map_or(0, |r| r.first_index)
    }

    pub(crate) fn end(&self) -> u64 {
        self.runs.last().map_or(0, |r| r.end_index)
    }

    fn from_entry(entry: &Entry, identity: Identity) -> Self {
        Self {
            name: identity.file_name(),
            identity,
            bytes: entry.bytes,
            state: if entry.complete {
                SegmentState::Closed
            } else {
                SegmentState::Open
            },
            sha256: entry.hash(),
            runs: entry.runs(),
            events: entry.events.clone(),
            catalogued: true,
            holes: Vec::new(),
            frames: OnceLock::new(),
        }
    }
}

/// A recording opened for reading. Shared freely between threads; it never writes.
#[derive(Debug)]
pub struct Recording {
    pub(crate) pool: Pool,
    header: RecordingHeader,
    /// Segments by stream, in the order of their first index.
    pub(crate) segments: Vec<Vec<Segment>>,
    pub(crate) event_segments: Vec<Segment>,
    /// Segments whose head does not open: verification names them.
    pub(crate) unreadable: Vec<(Identity, u64, Fault)>,
    /// Names of the files that repairs moved aside.
    pub(crate) tails: Vec<String>,
    pub(crate) overview_files: Vec<(Identity, u64)>,
    pub(crate) catalog_files: Vec<(Identity, u64)>,
    pub(crate) overviews: Vec<OnceLock<crate::overview::Index>>,
    runs: Vec<Vec<Run>>,
    recorded_gaps: Vec<Gap>,
    annotations: Vec<Annotation>,
    impedances: Vec<Impedance>,
    marks: Vec<Mark>,
    anchors: Vec<ClockAnchor>,
    sessions: u32,
    finished: Option<UtcNanos>,
}

impl Recording {
    /// Opens the recording in `folder`, also while it is written or after a crash.
    ///
    /// # Errors
    /// [`RecordingError::NotARecording`], [`RecordingError::WrongKey`],
    /// [`RecordingError::NewerFormat`], damaged header or keys, storage errors. Damaged segments do
    /// not prevent opening: what is whole is read, [`crate::verify()`] names the rest.
    pub fn open(folder: &Path, unlock: &Unlock, storage: Arc<dyn Storage>) -> Result<Self> {
        let keys = KeysFile::read(folder, &*storage)?;
        let key = keys.unlock(unlock)?;
        let pool = Pool::new(storage, folder.to_owned(), key);
        let header = read_header(&pool, keys.recording)?;
        let streams = header.streams.len();
        let mut recording = Self {
            pool,
            header,
            segments: Vec::new(),
            event_segments: Vec::new(),
            unreadable: Vec::new(),
            tails: Vec::new(),
            overview_files: Vec::new(),
            catalog_files: Vec::new(),
            overviews: Vec::new(),
            runs: vec![Vec::new(); streams],
            recorded_gaps: Vec::new(),
            annotations: Vec::new(),
            impedances: Vec::new(),
            marks: Vec::new(),
            anchors: Vec::new(),
            sessions: 0,
            finished: None,
        };
        recording.refresh()?;
        Ok(recording)
    }

    /// Looks again at the folder: a recording that is being written shows what was added.
    ///
    /// # Errors
    /// Storage errors.
    pub fn refresh(&mut self) -> Result<()> {
        let id = self.header.id;
        let streams = self.header.streams.len();
        let entries = (self.pool.storage().list(self.pool.folder()))
            .map_err(|e| RecordingError::storage("listing", "the folder", e))?;
        let mut files: Vec<(Identity, u64)> = (entries.iter())
            .filter_map(|entry| Some((Identity::from_name(&entry.name, id)?, entry.len)))
            .collect();
        files.sort_by_key(|(identity, _)| (identity.kind, identity.stream, identity.number));
        self.tails = (entries.into_iter())
            .map(|entry| entry.name)
            .filter(|name| name.ends_with(".tail"))
            .collect();
        let of = |kind: FileKind| files.iter().filter(move |f| f.0.kind == kind).copied();
        self.catalog_files = of(FileKind::Catalog).collect();
        self.overview_files = of(FileKind::Overview).collect();
        self.overviews = (0..streams).map(|_| OnceLock::new()).collect();
        let mut known = self.take_known();
        for (identity, segment) in self.read_catalogs() {
            // A catalog knows the hash, which looking into the segment does not tell.
            if known.get(&identity).is_none_or(|before| !before.catalogued) {
                known.insert(identity, segment);
            }
        }
        self.segments = (0..streams).map(|_| Vec::new()).collect();
        self.event_segments.clear();
        self.unreadable.clear();
        for (identity, len) in of(FileKind::Samples).chain(of(FileKind::Events)) {
            let place = (identity.kind, identity.stream, identity.number);
            let segment = match known.remove(&place).filter(|s| s.bytes == len) {
                Some(segment) => segment,
                None => match self.examine(identity, len) {
                    Ok(segment) => segment,
                    Err(RecordingError::Damaged { fault, .. }) => {
                        self.unreadable.push((identity, len, fault));
                        continue;
                    }
                    Err(error) => return Err(error),
                },
            };
            match identity.kind {
                FileKind::Events => self.event_segments.push(segment),
                _ => match self.segments.get_mut(usize::from(identity.stream)) {
                    Some(list) => list.push(segment),
                    None => self.unreadable.push((identity, len, Fault::Identity)),
                },
            }
        }
        for list in &mut self.segments {
            list.sort_by_key(|s| (s.first(), s.end(), s.identity.number));
        }
        self.gather_events();
        self.gather_runs();
        Ok(())
    }

    /// Closed segments of an earlier look, which cannot have changed.
    fn take_known(&mut self) -> HashMap<Place, Segment> {
        (self.segments.drain(..).flatten())
            .chain(self.event_segments.drain(..))
            .filter(|segment| segment.state == SegmentState::Closed)
            .map(|s| ((s.identity.kind, s.identity.stream, s.identity.number), s))
            .collect()
    }

    /// What the catalogs say. Anything unreadable in them is left out: they are caches.
    fn read_catalogs(&self) -> Vec<(Place, Segment)> {
        let mut found = Vec::new();
        for (identity, len) in &self.catalog_files {
            let Ok(file) = self.pool.get(identity) else {
                continue;
            };
            let mut bytes = vec![0; usize::try_from(*len).unwrap_or(0)];
            let Ok(got) = file.read_at(0, &mut bytes) else {
                continue;
            };
            bytes.truncate(got);
            for payload in file.frames_of(&mut bytes, frame_kind::CATALOG) {
                if let Ok(entry) = serde_json::from_slice::<Entry>(payload) {
                    let identity = entry.identity(self.header.id);
                    let place = (identity.kind, identity.stream, identity.number);
                    found.push((place, Segment::from_entry(&entry, identity)));
                }
            }
        }
        found
    }

    /// Looks into a segment that no catalog knows: its table, or frame by frame.
    fn examine(&self, identity: Identity, len: u64) -> Result<Segment> {
        let clock = self
            .header
            .streams
            .get(usize::from(identity.stream))
            .map(|s| s.clock);
        let file = self.pool.get(&identity)?;
        let (frames, state, holes) = match file.table(len)? {
            Some(frames) => (frames, SegmentState::Closed, Vec::new()),
            None => {
                let scan = file.scan(len, true, clock)?;
                let torn = scan.end < len || !scan.holes.is_empty();
                let state = match (scan.closed, torn) {
                    (true, _) => SegmentState::Closed,
                    (false, true) => SegmentState::Torn,
                    (false, false) => SegmentState::Open,
                };
                (scan.frames, state, scan.holes)
            }
        };
        let mut runs = Vec::new();
        let mut events = Vec::new();
        let mut buffer = Vec::new();
        for frame in &frames {
            match frame.kind {
                frame_kind::SAMPLES => {
                    extend_runs(&mut runs, frame.first, frame.end(), UtcNanos(frame.start));
                }
                frame_kind::EVENTS => {
                    // A damaged frame of a closed file costs its own events only.
                    if let Ok((_, payload)) = file.frame(frame.offset, frame.len, &mut buffer) {
                        events.extend(event::values(payload).unwrap_or_default());
                    }
                }
                _ => {}
            }
        }
        let cell = OnceLock::new();
        let _ = cell.set(Arc::new(frames));
        Ok(Segment {
            name: identity.file_name(),
            identity,
            bytes: len,
            state,
            sha256: None,
            runs,
            events,
            catalogued: false,
            holes,
            frames: cell,
        })
    }

    /// Frames of a segment, from its table or a scan, read once.
    pub(crate) fn frames(&self, segment: &Segment) -> Result<Arc<Vec<FrameRef>>> {
        if let Some(frames) = segment.frames.get() {
            return Ok(Arc::clone(frames));
        }
        let file = self.pool.get(&segment.identity)?;
        let frames = match file.table(segment.bytes)? {
            Some(frames) => frames,
            None => {
                let stream = usize::from(segment.identity.stream);
                let clock = self.header.streams.get(stream).map(|s| s.clock);
                file.scan(segment.bytes, true, clock)?.frames
            }
        };
        Ok(Arc::clone(segment.frames.get_or_init(|| Arc::new(frames))))
    }

    fn gather_events(&mut self) {
        self.event_segments.sort_by_key(|s| s.identity.number);
        self.recorded_gaps.clear();
        self.annotations.clear();
        self.impedances.clear();
        self.marks.clear();
        self.anchors.clear();
        self.finished = None;
        self.sessions = 0;
        for value in self.event_segments.iter().flat_map(|s| &s.events) {
            // Kinds of a later version are skipped here and stay in the file.
            match serde_json::from_value::<Event>(value.clone()) {
                Ok(Event::Session { anchor, number }) => {
                    self.sessions = self.sessions.max(number + 1);
                    self.anchors.push(anchor);
                }
                Ok(Event::Annotation { annotation }) => self.annotations.push(annotation),
                Ok(Event::Gap { gap }) => self.recorded_gaps.push(gap),
                Ok(Event::Anchor { anchor }) => self.anchors.push(anchor),
                Ok(Event::Impedances { values }) => self.impedances.extend(values),
                Ok(Event::Mark { mark }) => self.marks.push(mark),
                Ok(Event::Finished { at }) => self.finished = Some(at),
                Err(_) => {}
            }
        }
    }

    /// Joins the runs of all segments; a recorded gap splits them even where no index is missing.
    fn gather_runs(&mut self) {
        self.runs.clear();
        for (stream, list) in self.segments.iter().enumerate() {
            let mut runs: Vec<Run> = Vec::new();
            for run in list.iter().flat_map(|s| &s.runs) {
                let split = (self.recorded_gaps.iter())
                    .any(|g| usize::from(g.stream.0) == stream && g.resumes_at == run.first_index);
                match runs.last_mut() {
                    Some(last) if last.end_index == run.first_index && !split => {
                        last.end_index = run.end_index;
                    }
                    // Indices never go back; a segment that says so adds only what is new.
                    Some(last) if run.first_index < last.end_index => {
                        last.end_index = last.end_index.max(run.end_index);
                    }
                    _ => runs.push(*run),
                }
            }
            self.runs.push(runs);
        }
    }

    /// The header.
    #[must_use]
    pub const fn header(&self) -> &RecordingHeader {
        &self.header
    }

    /// The streams' descriptions; a stream index is a position in them.
    #[must_use]
    pub fn streams(&self) -> &[StreamDescription] {
        &self.header.streams
    }

    pub(crate) fn stream(&self, stream: StreamIndex) -> Result<(&StreamDescription, &[Segment])> {
        let index = usize::from(stream.0);
        match (self.header.streams.get(index), self.segments.get(index)) {
            (Some(description), Some(segments)) => Ok((description, segments)),
            _ => Err(RecordingError::UnknownStream(stream)),
        }
    }

    pub(crate) const fn key(&self) -> &RecordingKey {
        self.pool.key()
    }

    pub(crate) const fn sessions(&self) -> u32 {
        self.sessions
    }

    /// When the recording was ended on purpose; `None` while it runs and after a crash.
    #[must_use]
    pub const fn finished(&self) -> Option<UtcNanos> {
        self.finished
    }

    /// All segment files, event stream last.
    #[must_use]
    pub fn segments(&self) -> Vec<SegmentInfo> {
        (self.segments.iter().flatten())
            .chain(&self.event_segments)
            .map(|segment| {
                let of_stream = segment.identity.kind == FileKind::Samples;
                SegmentInfo {
                    stream: of_stream.then_some(StreamIndex(segment.identity.stream)),
                    number: segment.identity.number,
                    file: segment.name.clone(),
                    bytes: segment.bytes,
                    first_index: segment.runs.first().map_or(0, |r| r.first_index),
                    end_index: if of_stream {
                        segment.end()
                    } else {
                        segment.events.len() as u64
                    },
                    state: segment.state,
                    sha256: segment.sha256,
                }
            })
            .collect()
    }

    /// SHA-256 of a segment's bytes as they lie on disk now.
    ///
    /// # Errors
    /// Storage errors.
    pub fn hash_segment(&self, segment: &SegmentInfo) -> Result<[u8; 32]> {
        let path = self.pool.folder().join(&segment.file);
        let wrap = |e| RecordingError::storage("reading", &segment.file, e);
        let file = self.pool.storage().open(&path, false).map_err(wrap)?;
        hash_file(&*file, segment.bytes, &mut |_| {}).map_err(wrap)
    }

    /// Unbroken runs of a stream, in order.
    ///
    /// # Errors
    /// [`RecordingError::UnknownStream`].
    pub fn runs(&self, stream: StreamIndex) -> Result<&[Run]> {
        (self.runs.get(usize::from(stream.0)).map(Vec::as_slice))
            .ok_or(RecordingError::UnknownStream(stream))
    }

    /// Gaps: those recorded, and those that only a jump of the index shows (a crash, a lost file).
    #[must_use]
    pub fn gaps(&self) -> Vec<KnownGap> {
        let mut gaps: Vec<KnownGap> = (self.recorded_gaps.iter())
            .map(|gap| KnownGap {
                gap: *gap,
                recorded: true,
            })
            .collect();
        for (index, runs) in self.runs.iter().enumerate() {
            let stream = StreamIndex(index as u16);
            // Indices count from 0 at the start of the recording.
            let begin = runs.first().map(|first| {
                let start = first
                    .start
                    .plus_nanos(-self.header.streams[index].rate.nanos_of(first.first_index));
                Run {
                    first_index: 0,
                    end_index: 0,
                    start,
                }
            });
            let starts = begin.iter().chain(runs.iter());
            for (before, after) in starts.zip(runs) {
                let (first_missing, resumes_at) = (before.end_index, after.first_index);
                let told = (self.recorded_gaps.iter()).any(|g| {
                    g.stream == stream
                        && g.first_missing < resumes_at
                        && g.resumes_at > first_missing
                });
                if told || first_missing == resumes_at {
                    continue;
                }
                let from = self.end_time(stream, first_missing).unwrap_or(before.start);
                gaps.push(KnownGap {
                    gap: Gap {
                        stream,
                        first_missing,
                        resumes_at,
                        missing: Missing::Exact(resumes_at - first_missing),
                        from,
                        until: after.start,
                        cause: GapCause::Restarted,
                    },
                    recorded: false,
                });
            }
        }
        gaps.sort_by_key(|known| (known.gap.from, known.gap.stream));
        gaps
    }

    /// UTC at which sample `end` was due, from the sample before it; `None` when that one was never
    /// recorded.
    #[must_use]
    pub fn end_time(&self, stream: StreamIndex, end: u64) -> Option<UtcNanos> {
        let last = self.time_of(stream, end.checked_sub(1)?).ok()??;
        let rate = self.header.streams.get(usize::from(stream.0))?.rate;
        Some(last.plus_nanos(rate.nanos_of(1)))
    }

    pub(crate) fn resume_point(&self, stream: StreamIndex) -> Result<ResumePoint> {
        let recorded = self.runs(stream)?.last().map_or(0, |r| r.end_index);
        let declared = (self.recorded_gaps.iter())
            .filter(|g| g.stream == stream)
            .map(|g| g.first_missing)
            .max()
            .unwrap_or(0);
        Ok(ResumePoint {
            stream,
            next_index: recorded.max(declared),
            due: self.end_time(stream, recorded),
        })
    }

    pub(crate) fn next_number(&self, kind: FileKind, stream: u16) -> u64 {
        let segments = (self.segments.iter().flatten())
            .chain(&self.event_segments)
            .map(|s| s.identity);
        let others = (self.unreadable.iter())
            .map(|u| u.0)
            .chain(self.overview_files.iter().map(|f| f.0))
            .chain(self.catalog_files.iter().map(|f| f.0));
        (segments.chain(others))
            .filter(|i| i.kind == kind && i.stream == stream)
            .map(|i| i.number + 1)
            .max()
            .unwrap_or(0)
    }

    /// Entries for segments that no catalog holds.
    pub(crate) fn uncatalogued(&self) -> Result<Vec<Entry>> {
        self.entries(|segment| !segment.catalogued)
    }

    /// Entries for the segments that `wanted` chooses, hashed where no catalog says the hash.
    pub(crate) fn entries(&self, wanted: impl Fn(&Segment) -> bool) -> Result<Vec<Entry>> {
        let all = self.segments.iter().flatten().chain(&self.event_segments);
        let infos = self.segments();
        let mut entries = Vec::new();
        for (segment, info) in all.zip(&infos).filter(|(segment, _)| wanted(segment)) {
            let sha256 = match segment.sha256 {
                Some(hash) => hash,
                None => self.hash_segment(info)?,
            };
            let closed = ClosedSegment {
                stream: info.stream,
                number: info.number,
                file: info.file.clone(),
                first_index: info.first_index,
                end_index: info.end_index,
                sha256,
                bytes: info.bytes,
                complete: info.state == SegmentState::Closed,
            };
            entries.push(Entry::new(&closed, &segment.runs, segment.events.clone()));
        }
        Ok(entries)
    }

    /// Annotations in the order they were made; superseded ones are kept and say by which.
    #[must_use]
    pub fn annotations(&self) -> Vec<RecordedAnnotation> {
        let replaced: HashMap<AnnotationId, AnnotationId> = (self.annotations.iter())
            .filter_map(|a| Some((a.supersedes?, a.id)))
            .collect();
        (self.annotations.iter())
            .map(|annotation| RecordedAnnotation {
                superseded_by: replaced.get(&annotation.id).copied(),
                annotation: annotation.clone(),
            })
            .collect()
    }

    /// Annotations that stand: not superseded, and not the empty ones that withdraw another.
    #[must_use]
    pub fn standing_annotations(&self) -> Vec<Annotation> {
        (self.annotations().into_iter())
            .filter(|recorded| recorded.superseded_by.is_none())
            .map(|recorded| recorded.annotation)
            .filter(|a| a.supersedes.is_none() || !a.text.is_empty() || a.code.is_some())
            .collect()
    }

    /// Impedances in the order they were measured.
    #[must_use]
    pub fn impedances(&self) -> &[Impedance] {
        &self.impedances
    }

    /// The program's remarks in the order they were made.
    #[must_use]
    pub fn marks(&self) -> &[Mark] {
        &self.marks
    }

    /// Readings of both clocks in order: each session's own, and those recorded later.
    #[must_use]
    pub fn anchors(&self) -> &[ClockAnchor] {
        &self.anchors
    }
}

type Place = (FileKind, u16, u64);

pub(crate) fn read_header(pool: &Pool, id: RecordingId) -> Result<RecordingHeader> {
    let identity = Identity::header(id);
    let name = identity.file_name();
    let file = match pool.get(&identity) {
        Err(RecordingError::Storage { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Err(RecordingError::NotARecording);
        }
        Err(RecordingError::Damaged {
            fault: Fault::Authentication,
            ..
        }) => {
            return Err(RecordingError::WrongKey);
        }
        other => other?,
    };
    let offset = FILE_HEAD as u64;
    let mut head = [0; FRAME_HEAD];
    let got = file.read_at(offset, &mut head)?;
    let damaged = |fault| RecordingError::damaged(&name, offset, fault);
    let head = FrameHead::parse(&head[..got]).map_err(damaged)?;
    let mut buffer = Vec::new();
    let (_, payload) = file.frame(offset, head.frame_len(), &mut buffer)?;
    let header: RecordingHeader =
        serde_json::from_slice(payload).map_err(|_| damaged(Fault::Content))?;
    if header.id == id {
        Ok(header)
    } else {
        Err(damaged(Fault::Identity))
    }
}

/// SHA-256 of the first `len` bytes of a file.
pub(crate) fn hash_file(
    file: &dyn StorageFile,
    len: u64,
    progress: &mut dyn FnMut(u64),
) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    let mut at = 0;
    while at < len {
        let want = buffer
            .len()
            .min(usize::try_from(len - at).unwrap_or(usize::MAX));
        let got = read_full(file, at, &mut buffer[..want])?;
        if got == 0 {
            break;
        }
        hash.update(&buffer[..got]);
        at += got as u64;
        progress(got as u64);
    }
    Ok(hash.finalize().into())
}
