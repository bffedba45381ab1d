//! Writes a recording.

use crate::catalog::Entry;
use crate::codec::Scratch;
use crate::container::{FileKind, FrameWriter, Identity, NO_STREAM, frame_kind};
use crate::document;
use crate::error::{RecordingError, Result};
use crate::event::{self, Event, Mark};
use crate::header::{ClockAnchor, RecordingHeader, RecordingId};
use crate::keys::{Entropy, KeyRing, KeysFile, RecordingKey, Unlock};
use crate::limits::{MAX_DOCUMENT, MAX_UNSYNCED_BYTES, SYNC_NS};
use crate::reader::Recording;
use crate::storage::Storage;
use crate::stream_writer::{Closing, EventWriter, Lost, Shared, StreamWriter};
use signal::{
    Annotation, Gap, GapCause, HostNanos, Impedance, MAX_CHANNELS, Missing, SampleBlock,
    StreamIndex, UtcNanos,
};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A segment that will never change again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedSegment {
    /// Stream; `None` for the event stream.
    pub stream: Option<StreamIndex>,
    /// Number within the stream.
    pub number: u64,
    /// File name within the recording's folder.
    pub file: String,
    /// First sample index (event streams: 0).
    pub first_index: u64,
    /// Index past the last sample (event streams: number of events).
    pub end_index: u64,
    /// SHA-256 of the file's bytes.
    pub sha256: [u8; 32],
    /// Length of the file.
    pub bytes: u64,
    /// Whether the segment was closed by its writer; `false` when found after a crash.
    pub complete: bool,
}

/// What became of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// Taken; it will be written at the next tick.
    Taken,
    /// The disk has not taken data for too long: the block is lost and will be declared a gap.
    Lost,
}

/// Where a stream stands when a recording is resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResumePoint {
    /// Stream.
    pub stream: StreamIndex,
    /// Least index that may come next.
    pub next_index: u64,
    /// UTC of the sample that would have come next; `None` when none was recorded.
    pub due: Option<UtcNanos>,
}

/// How a recording ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingSummary {
    /// Identity.
    pub id: RecordingId,
    /// Samples per stream recorded by this recorder (not counting gaps).
    pub samples: Vec<u64>,
    /// Blocks lost because the disk did not take them.
    pub lost_blocks: u64,
    /// Bytes of segments written by this recorder.
    pub bytes: u64,
    /// Segments closed and not drained yet.
    pub closed: Vec<ClosedSegment>,
}

/// Writes one recording; lives on the thread named `recorder`.
///
/// [`Self::append`] and its siblings only encode; [`Self::tick`] writes and syncs. Call it after
/// every block and at least every 50 ms. After an error nothing is lost: the bytes stay in memory
/// (up to 128 MiB) and the next tick tries again.
pub struct Recorder {
    folder: PathBuf,
    header: RecordingHeader,
    key: RecordingKey,
    storage: Arc<dyn Storage>,
    entropy: Box<dyn Entropy>,
    session: ClockAnchor,
    streams: Vec<StreamWriter>,
    events: EventWriter,
    catalog: FrameWriter,
    scratch: Scratch,
    resumed: Vec<ResumePoint>,
    closed: Vec<ClosedSegment>,
    last_sync: Option<HostNanos>,
    stored_until: Option<HostNanos>,
    lost_blocks: u64,
    lost: Vec<Gap>,
    bytes: u64,
    finished: bool,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("id", &self.header.id)
            .field("streams", &self.streams.len())
            .field("stored_until", &self.stored_until)
            .field("lost_blocks", &self.lost_blocks)
            .finish_non_exhaustive()
    }
}

/// Where a new recorder begins in a folder.
struct Start {
    header: RecordingHeader,
    key: RecordingKey,
    session: u32,
    resumed: Vec<ResumePoint>,
    /// Next segment and overview number of each stream.
    numbers: Vec<(u64, u64)>,
    next_events: u64,
    next_catalog: u64,
    /// Segments that the catalog does not know yet.
    found: Vec<Entry>,
}

impl Recorder {
    /// Begins a recording in `folder`, which is created. `anchor` fixes the UTC of all samples.
    ///
    /// # Errors
    /// [`RecordingError::Exists`], a header that does not survive JSON (non-finite numbers, too
    /// many streams or channels), storage errors.
    pub fn create(
        folder: &Path,
        header: RecordingHeader,
        ring: &KeyRing,
        storage: Arc<dyn Storage>,
        mut entropy: Box<dyn Entropy>,
        anchor: ClockAnchor,
    ) -> Result<Self> {
        let document = header_document(&header)?;
        (storage.create_dir(folder))
            .map_err(|e| RecordingError::storage("creating", "the folder", e))?;
        let files = (storage.list(folder))
            .map_err(|e| RecordingError::storage("listing", "the folder", e))?;
        // Keys alone protect nothing yet: a creation that failed there may be tried again.
        if files.iter().any(|file| file.name.ends_with(".nsj")) {
            return Err(RecordingError::Exists);
        }
        let key = RecordingKey::generate(&mut *entropy)?;
        // Keys first: a header without keys could never be opened.
        KeysFile::wrap(header.id, &key, ring, &mut *entropy)?.write(folder, &*storage)?;
        let mut file = FrameWriter::new(Identity::header(header.id), &key, &mut *entropy)?;
        file.frame((frame_kind::HEADER, 0), (0, 1), 0, |out| {
            out.extend_from_slice(&document);
        });
        file.close();
        file.sync(&*storage, folder)?;
        if let Some(parent) = folder.parent() {
            (storage.sync_dir(parent))
                .map_err(|e| RecordingError::storage("syncing", "the parent folder", e))?;
        }
        let numbers = vec![(0, 0); header.streams.len()];
        let start = Start {
            header,
            key,
            session: 0,
            resumed: Vec::new(),
            numbers,
            next_events: 0,
            next_catalog: 0,
            found: Vec::new(),
        };
        Self::begin(folder, start, storage, entropy, anchor)
    }

    /// Goes on with the recording in `folder` after a crash, a restart or its end (to annotate it).
    ///
    /// Only one recorder may write a folder: the caller holds the lock that sees to it. Segments are
    /// never appended to; torn tails are moved into files of their own. Segments that
    /// the catalog did not know are drained as closed ones (`complete` says whether their writer
    /// closed them); a caller that keeps a ledger compares [`Recording::segments`] with it.
    ///
    /// # Errors
    /// As [`Recording::open`], and storage errors.
    pub fn resume(
        folder: &Path,
        unlock: &Unlock,
        storage: Arc<dyn Storage>,
        mut entropy: Box<dyn Entropy>,
        anchor: ClockAnchor,
    ) -> Result<Self> {
        let recording = Recording::open(folder, unlock, Arc::clone(&storage))?;
        crate::repair::quarantine_tails(&recording, &mut *entropy)?;
        let recording = Recording::open(folder, unlock, Arc::clone(&storage))?;
        let streams = 0..recording.header().streams.len() as u16;
        let mut resumed = Vec::new();
        for stream in streams.clone().map(StreamIndex) {
            resumed.push(recording.resume_point(stream)?);
        }
        let numbers = streams
            .map(|stream| {
                let segment = recording.next_number(FileKind::Samples, stream);
                (segment, recording.next_number(FileKind::Overview, stream))
            })
            .collect();
        let start = Start {
            header: recording.header().clone(),
            key: recording.key().clone(),
            session: recording.sessions(),
            resumed,
            numbers,
            next_events: recording.next_number(FileKind::Events, NO_STREAM),
            next_catalog: recording.next_number(FileKind::Catalog, NO_STREAM),
            found: recording.uncatalogued()?,
        };
        drop(recording);
        Self::begin(folder, start, storage, entropy, anchor)
    }

    fn begin(
        folder: &Path,
        start: Start,
        storage: Arc<dyn Storage>,
        mut entropy: Box<dyn Entropy>,
        anchor: ClockAnchor,
    ) -> Result<Self> {
        let id = start.header.id;
        let mut scratch = Scratch::new();
        let mut streams = Vec::with_capacity(start.header.streams.len());
        for (position, description) in start.header.streams.iter().enumerate() {
            let index = StreamIndex(position as u16);
            let next = start.resumed.get(position).map_or(0, |p| p.next_index);
            let mut shared = Shared {
                id,
                key: &start.key,
                entropy: &mut *entropy,
                offset_ns: anchor.offset_ns(),
                scratch: &mut scratch,
            };
            let numbers = start.numbers[position];
            streams.push(StreamWriter::new(
                index,
                description,
                next,
                numbers,
                &mut shared,
            )?);
        }
        let identity = Identity {
            kind: FileKind::Catalog,
            stream: NO_STREAM,
            recording: id,
            number: start.next_catalog,
        };
        let catalog = FrameWriter::new(identity, &start.key, &mut *entropy)?;
        let mut recorder = Self {
            folder: folder.to_owned(),
            header: start.header,
            key: start.key,
            storage,
            entropy,
            session: anchor,
            streams,
            events: EventWriter::new(start.next_events),
            catalog,
            scratch,
            resumed: start.resumed,
            closed: Vec::new(),
            last_sync: None,
            stored_until: None,
            lost_blocks: 0,
            lost: Vec::new(),
            bytes: 0,
            finished: false,
        };
        for entry in start.found {
            recorder.closed.extend(entry.closed(id));
            recorder.note(&entry)?;
        }
        recorder.event(&Event::Session {
            number: start.session,
            anchor,
        })?;
        Ok(recorder)
    }

    /// The recording's header.
    #[must_use]
    pub const fn header(&self) -> &RecordingHeader {
        &self.header
    }

    /// Where each stream stood when the recording was resumed; empty for a new one.
    #[must_use]
    pub fn resume_points(&self) -> &[ResumePoint] {
        &self.resumed
    }

    /// Takes a block as the device delivered it (channels × samples). It is durable once
    /// [`Self::stored_until`] has passed its arrival.
    ///
    /// # Errors
    /// A block that is not well formed, not the stream's, or out of order; nothing changes then.
    pub fn append(&mut self, block: &SampleBlock) -> Result<Appended> {
        self.open_still()?;
        let full = self.unsynced_bytes() >= MAX_UNSYNCED_BYTES;
        let Some(stream) = self.streams.get_mut(usize::from(block.stream.0)) else {
            return Err(RecordingError::UnknownStream(block.stream));
        };
        let text = stream.check(block)?;
        if full {
            stream.lose(block);
            self.lost_blocks += 1;
            return Ok(Appended::Lost);
        }
        let lost = stream.end_loss(block);
        if let Some(lost) = lost {
            self.declare(block.stream, lost)?;
        }
        let (streams, mut shared) = self.split();
        streams[usize::from(block.stream.0)].append(block, text, &mut shared)?;
        Ok(Appended::Taken)
    }

    fn open_still(&self) -> Result<()> {
        if self.finished {
            Err(RecordingError::Finished)
        } else {
            Ok(())
        }
    }

    fn split(&mut self) -> (&mut [StreamWriter], Shared<'_>) {
        let shared = Shared {
            id: self.header.id,
            key: &self.key,
            entropy: &mut *self.entropy,
            offset_ns: self.session.offset_ns(),
            scratch: &mut self.scratch,
        };
        (&mut self.streams, shared)
    }

    fn declare(&mut self, stream: StreamIndex, lost: Lost) -> Result<()> {
        let gap = Gap {
            stream,
            first_missing: lost.first,
            resumes_at: lost.end,
            missing: Missing::Exact(lost.end - lost.first),
            from: lost.from,
            until: lost.until,
            cause: GapCause::RecorderFull,
        };
        tracing::error!(
            stream = stream.0,
            samples = lost.end - lost.first,
            "samples lost: disk too slow or full"
        );
        self.lost.push(gap);
        self.event(&Event::Gap { gap })
    }

    fn event(&mut self, event: &Event) -> Result<()> {
        self.open_still()?;
        let value = event::to_value(event).map_err(|e| document::invalid("event", e))?;
        self.events.pending.push(value);
        Ok(())
    }

    /// Records a gap.
    ///
    /// # Errors
    /// [`RecordingError::UnknownStream`].
    pub fn gap(&mut self, gap: &Gap) -> Result<()> {
        if usize::from(gap.stream.0) >= self.streams.len() {
            return Err(RecordingError::UnknownStream(gap.stream));
        }
        self.event(&Event::Gap { gap: *gap })?;
        // Times jump here even if indices do not: a frame's samples must be evenly spaced.
        let (streams, mut shared) = self.split();
        streams[usize::from(gap.stream.0)].encode_frame(&mut shared)
    }

    /// Records an annotation; one that supersedes another leaves that in the record.
    ///
    /// # Errors
    /// [`RecordingError::TooMuch`] for a text above the document limit.
    pub fn annotate(&mut self, annotation: &Annotation) -> Result<()> {
        crate::annotate::check(annotation)?;
        self.event(&Event::Annotation {
            annotation: annotation.clone(),
        })
    }

    /// Records how UTC and the host clock stand to each other now. The record's own time goes on
    /// from the first anchor: a wall clock that steps never bends it.
    ///
    /// # Errors
    /// [`RecordingError::Finished`].
    pub fn anchor(&mut self, anchor: ClockAnchor) -> Result<()> {
        self.event(&Event::Anchor { anchor })
    }

    /// Records impedances. NaN values read back as not measured.
    ///
    /// # Errors
    /// [`RecordingError::Finished`].
    pub fn impedances(&mut self, values: &[Impedance]) -> Result<()> {
        self.event(&Event::Impedances {
            values: values.to_vec(),
        })
    }

    /// Records a typed remark of the program.
    ///
    /// # Errors
    /// [`RecordingError::Finished`].
    pub fn mark(&mut self, mark: &Mark) -> Result<()> {
        self.event(&Event::Mark { mark: mark.clone() })
    }

    /// UTC of a host instant in this recorder's smooth time.
    #[must_use]
    pub const fn utc_of(&self, host: HostNanos) -> UtcNanos {
        UtcNanos(host.0).plus_nanos(self.session.offset_ns())
    }

    /// Frames, writes and syncs what is due.
    ///
    /// # Errors
    /// The first storage error ([`RecordingError::DiskFull`] told apart). What was not written is
    /// kept and tried again at the next tick.
    pub fn tick(&mut self, now: HostNanos) -> Result<()> {
        {
            let events = &mut self.events;
            let mut shared = Shared {
                id: self.header.id,
                key: &self.key,
                entropy: &mut *self.entropy,
                offset_ns: self.session.offset_ns(),
                scratch: &mut self.scratch,
            };
            events.tick(now, &mut shared)?;
            for stream in &mut self.streams {
                stream.tick(now, &mut shared)?;
            }
        }
        let mut first = self.events.flush(&*self.storage, &self.folder);
        for stream in &mut self.streams {
            first = first.and(stream.flush(&*self.storage, &self.folder));
        }
        first?;
        let due = self
            .last_sync
            .is_none_or(|at| now.nanos_since(at) >= SYNC_NS);
        let waiting =
            self.unsynced_bytes() > 0 || self.streams.iter().any(|s| !s.closing.is_empty());
        if due && waiting {
            self.sync()?;
            self.last_sync = Some(now);
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        let mut first = self.events.sync(&*self.storage, &self.folder);
        for stream in &mut self.streams {
            first = first.and(stream.sync(&*self.storage, &self.folder));
        }
        self.harvest()?;
        first?;
        let waiting = (self.streams.iter())
            .filter(|s| s.outstanding())
            .map(|s| s.synced)
            .min();
        self.stored_until = match waiting {
            Some(least) => least.max(self.stored_until),
            None => self
                .streams
                .iter()
                .filter_map(|s| s.synced)
                .max()
                .max(self.stored_until),
        };
        // A cache: the next tick tries again, and readers do without.
        if let Err(error) = self.catalog.flush(&*self.storage, &self.folder) {
            tracing::debug!(%error, "catalog not written yet");
        }
        Ok(())
    }

    /// Collects closed segments that have become durable.
    fn harvest(&mut self) -> Result<()> {
        let mut done: Vec<Closing> = Vec::new();
        let lists = (self.streams.iter_mut().map(|s| &mut s.closing))
            .chain(std::iter::once(&mut self.events.closing));
        for list in lists {
            done.extend(list.extract_if(.., |closing| closing.writer.is_synced()));
        }
        for closing in done {
            self.note(&Entry::new(&closing.segment, &closing.runs, closing.events))?;
            self.bytes += closing.segment.bytes;
            self.closed.push(closing.segment);
        }
        Ok(())
    }

    fn note(&mut self, entry: &Entry) -> Result<()> {
        let bytes = serde_json::to_vec(entry).map_err(|e| document::invalid("catalog", e))?;
        self.catalog
            .frame((frame_kind::CATALOG, 0), (0, 1), 0, |out| {
                out.extend_from_slice(&bytes);
            });
        Ok(())
    }

    /// Everything that arrived up to this instant is on disk; `None` before the first sync.
    #[must_use]
    pub const fn stored_until(&self) -> Option<HostNanos> {
        self.stored_until
    }

    /// Bytes of frames that are not durable yet.
    #[must_use]
    pub fn unsynced_bytes(&self) -> usize {
        self.streams
            .iter()
            .map(StreamWriter::unsynced)
            .sum::<usize>()
            + self.events.unsynced()
    }

    /// Blocks lost because the disk did not take them.
    #[must_use]
    pub const fn lost_blocks(&self) -> u64 {
        self.lost_blocks
    }

    /// Gaps that this recorder declared since the last call, because the disk did not take the samples.
    pub fn drain_lost(&mut self) -> Vec<Gap> {
        std::mem::take(&mut self.lost)
    }

    /// Segments closed since the last call; their bytes are durable and never change.
    pub fn drain_closed(&mut self) -> Vec<ClosedSegment> {
        std::mem::take(&mut self.closed)
    }

    /// Ends the recording: everything framed, closed and synced.
    ///
    /// # Errors
    /// Storage errors; call it again to retry.
    pub fn finish(&mut self, now: HostNanos) -> Result<RecordingSummary> {
        if !self.finished {
            for index in 0..self.streams.len() {
                if let Some(lost) = self.streams[index].lost.take() {
                    self.declare(StreamIndex(index as u16), lost)?;
                }
            }
            self.event(&Event::Finished {
                at: self.utc_of(now),
            })?;
            let (streams, mut shared) = self.split();
            for stream in streams {
                stream.encode_frame(&mut shared)?;
                stream.close_segment();
            }
            self.finished = true;
        }
        self.tick(now)?;
        self.events.close_segment();
        self.sync()?;
        for stream in &mut self.streams {
            stream.finish_overview(&mut self.scratch, &*self.storage, &self.folder);
        }
        if let Err(error) = self.catalog.sync(&*self.storage, &self.folder) {
            tracing::warn!(%error, "catalog not written: repair builds it");
        }
        Ok(RecordingSummary {
            id: self.header.id,
            samples: self.streams.iter().map(|s| s.recorded).collect(),
            lost_blocks: self.lost_blocks,
            bytes: self.bytes,
            closed: self.drain_closed(),
        })
    }
}

/// The header as JSON, proven to read back equal.
fn header_document(header: &RecordingHeader) -> Result<Vec<u8>> {
    let invalid = |reason: &str| document::invalid("header", reason);
    if header.streams.is_empty() || header.streams.len() > 999 {
        return Err(invalid("a recording has 1 to 999 streams"));
    }
    if (header.streams.iter()).any(|s| s.channels.is_empty() || s.channels.len() > MAX_CHANNELS) {
        return Err(invalid("a stream has 1 to 4,096 channels"));
    }
    let bytes = serde_json::to_vec(header).map_err(|e| document::invalid("header", e))?;
    if bytes.len() > MAX_DOCUMENT {
        return Err(invalid("it is too long"));
    }
    let back: RecordingHeader =
        (serde_json::from_slice(&bytes)).map_err(|_| invalid("a number in it is not finite"))?;
    if back == *header {
        Ok(bytes)
    } else {
        Err(invalid("a value in it does not read back equal"))
    }
}
