//! Verification.

use crate::catalog::Entry;
use crate::codec;
use crate::container::{FileKind, Identity, NO_STREAM, frame_kind};
use crate::error::{Fault, RecordingError, Result};
use crate::event;
use crate::frame;
use crate::keys::Unlock;
use crate::limits::OVERVIEW_LEVELS;
use crate::pyramid;
use crate::reader::{Recording, Segment};
use crate::storage::Storage;
use crate::view::SegmentState;
use signal::StreamDescription;
use std::path::Path;
use std::sync::Arc;

/// Something wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// File name within the recording.
    pub file: String,
    /// Offset of the frame (or head) concerned.
    pub offset: u64,
    /// Sequence of that frame within its file, where known.
    pub sequence: Option<u64>,
    /// What.
    pub fault: Fault,
    /// Whether recorded samples or events are concerned. `false` for caches, which repair rebuilds,
    /// and for torn tails of segments that were not closed, which repair moves aside.
    pub loses_data: bool,
}

/// Result of a verification.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VerifyReport {
    /// Files read.
    pub files: u64,
    /// Frames whose CRC, tag, sequence and content are right.
    pub frames: u64,
    /// Samples (per channel) in them.
    pub samples: u64,
    /// Bytes read.
    pub bytes: u64,
    /// What is wrong, by file and offset; the first of a file is its first bad frame.
    pub problems: Vec<Problem>,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }
}

struct Verifier<'a> {
    recording: &'a Recording,
    report: VerifyReport,
    total: u64,
    progress: &'a mut dyn FnMut(u64, u64),
}

/// Reads every file and checks head, CRC, tag, sequence, content, tables and hashes.
///
/// `progress` gets bytes done and bytes in all.
///
/// # Errors
/// As [`Recording::open`]. Damage is reported, not returned.
pub fn verify(
    folder: &Path,
    unlock: &Unlock,
    storage: Arc<dyn Storage>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<VerifyReport> {
    let recording = Recording::open(folder, unlock, storage)?;
    let caches = recording
        .overview_files
        .iter()
        .chain(&recording.catalog_files);
    let segments = recording
        .segments
        .iter()
        .flatten()
        .chain(&recording.event_segments);
    let total = caches.map(|f| f.1).sum::<u64>() + segments.map(|s| s.bytes).sum::<u64>();
    let mut verifier = Verifier {
        recording: &recording,
        report: VerifyReport::default(),
        total,
        progress,
    };
    for (identity, _, fault) in &recording.unreadable {
        verifier.problem(identity, 0, None, *fault, true);
    }
    verifier.missing()?;
    for segment in recording
        .segments
        .iter()
        .flatten()
        .chain(&recording.event_segments)
    {
        verifier.file(&segment.identity, segment.bytes, Some(segment))?;
    }
    for (identity, len) in recording
        .overview_files
        .iter()
        .chain(&recording.catalog_files)
    {
        verifier.file(identity, *len, None)?;
    }
    Ok(verifier.report)
}

impl Verifier<'_> {
    fn problem(
        &mut self,
        identity: &Identity,
        offset: u64,
        sequence: Option<u64>,
        fault: Fault,
        loses_data: bool,
    ) {
        let file = identity.file_name();
        self.report.problems.push(Problem {
            file,
            offset,
            sequence,
            fault,
            loses_data,
        });
    }

    /// Numbers count up from 0 in every stream: one that is not there was removed.
    fn missing(&mut self) -> Result<()> {
        let recording = self.recording;
        let streams = (0..recording.segments.len() as u16).map(|s| (FileKind::Samples, s));
        for (kind, stream) in streams.chain([(FileKind::Events, NO_STREAM)]) {
            for number in 0..recording.next_number(kind, stream) {
                let here = |i: &Identity| (i.kind, i.stream, i.number) == (kind, stream, number);
                let known = (recording.segments.iter().flatten())
                    .chain(&recording.event_segments)
                    .map(|s| &s.identity)
                    .chain(recording.unreadable.iter().map(|u| &u.0))
                    .any(here);
                let id = recording.header().id;
                let identity = Identity {
                    kind,
                    stream,
                    recording: id,
                    number,
                };
                // Moved aside whole by a repair, because its head had never reached the disk.
                let aside = recording
                    .tails
                    .contains(&format!("{}.0.tail", identity.file_name()));
                if !known && !aside {
                    self.problem(&identity, 0, None, Fault::Missing, true);
                }
            }
        }
        Ok(())
    }

    /// Checks one file; `segment` is `None` for caches.
    fn file(&mut self, identity: &Identity, len: u64, segment: Option<&Segment>) -> Result<()> {
        self.report.files += 1;
        let durable = segment.is_some();
        let file = match self.recording.pool.get(identity) {
            Ok(file) => file,
            Err(RecordingError::Damaged { offset, fault, .. }) => {
                self.problem(identity, offset, None, fault, durable);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let clock = (self.recording.streams().get(usize::from(identity.stream))).map(|s| s.clock);
        let scan = file.scan(len, true, clock)?;
        let torn_allowed = segment.is_none_or(|s| s.state != SegmentState::Closed);
        for (from, to, fault) in &scan.holes {
            // A tail that nothing follows, in a file that nobody closed, was never promised.
            let tail = *to == len && torn_allowed;
            self.problem(identity, *from, None, *fault, durable && !tail);
        }
        let mut buffer = Vec::new();
        for (position, (place, sequence)) in scan.frames.iter().zip(&scan.sequences).enumerate() {
            let (head, payload) = file.frame(place.offset, place.len, &mut buffer)?;
            let first_here = scan.holes.iter().all(|hole| hole.0 > place.offset);
            if *sequence != position as u64 && first_here {
                self.problem(
                    identity,
                    place.offset,
                    Some(*sequence),
                    Fault::Sequence,
                    durable,
                );
            }
            if self.content(
                head.kind,
                head.level,
                (head.first, head.count),
                payload,
                identity,
            ) {
                self.report.frames += 1;
            } else {
                let sequence = Some(*sequence);
                self.problem(identity, place.offset, sequence, Fault::Content, durable);
            }
            self.report.bytes += place.len;
            (self.progress)(self.report.bytes.min(self.total), self.total);
        }
        if let Some(segment) = segment.filter(|s| s.state == SegmentState::Closed) {
            self.closed(identity, len, segment, scan.closed)?;
        }
        Ok(())
    }

    /// What only a closed file has: its table and, where the catalog noted it, its hash.
    fn closed(
        &mut self,
        identity: &Identity,
        len: u64,
        segment: &Segment,
        scanned: bool,
    ) -> Result<()> {
        let file = self.recording.pool.get(identity)?;
        if file.table(len)?.is_none() || !scanned {
            self.problem(identity, len, None, Fault::Truncated, false);
        }
        if let Some(expected) = segment.sha256 {
            let infos = self.recording.segments();
            let info = infos.iter().find(|i| i.file == segment.name);
            if let Some(info) = info
                && self.recording.hash_segment(info)? != expected
            {
                self.problem(identity, 0, None, Fault::Hash, true);
            }
        }
        Ok(())
    }

    fn content(
        &mut self,
        kind: u8,
        level: u8,
        (first, count): (u64, u32),
        payload: &[u8],
        identity: &Identity,
    ) -> bool {
        let description: Option<&StreamDescription> =
            self.recording.streams().get(usize::from(identity.stream));
        match kind {
            frame_kind::SAMPLES => {
                let Some((meta, _)) = frame::decode(payload, first, count, None) else {
                    return false;
                };
                self.report.samples += u64::from(count);
                description.is_some_and(|d| {
                    d.sample_type == meta.sample_type && d.channels.len() == meta.channels
                })
            }
            frame_kind::EVENTS => event::values(payload).is_some(),
            frame_kind::OVERVIEW => {
                let channels = description.map_or(0, |d| d.channels.len());
                pyramid::decode(payload, level, first, count, &(0..channels)).is_some()
            }
            frame_kind::CATALOG => serde_json::from_slice::<Entry>(payload).is_ok(),
            _ => true,
        }
    }
}

/// Decodes bytes as every part of the format in turn: the entry point of fuzzing. It never panics,
/// and memory stays within the frame limits.
///
/// # Errors
/// [`Fault::Content`] when nothing in the bytes decodes.
pub fn decode_frame_bytes(bytes: &[u8]) -> std::result::Result<(), Fault> {
    use crate::container::{FileHead, FrameHead, parse_table, parse_trailer};
    let mut any = FileHead::parse(bytes).is_ok();
    any |= FrameHead::parse(bytes).is_ok();
    any |= parse_table(bytes).is_some();
    any |= parse_trailer(bytes).is_some();
    any |= event::values(bytes).is_some();
    any |= serde_json::from_slice::<Entry>(bytes).is_ok();
    let Some((head, rest)) = bytes.split_first_chunk::<4>() else {
        return Err(Fault::Truncated);
    };
    let count = u32::from_le_bytes(*head);
    any |= frame::decode(rest, u64::from(count), count, None).is_some();
    for level in 0..=OVERVIEW_LEVELS as u8 + 1 {
        any |= pyramid::decode(rest, level, u64::from(count), count, &(0..1)).is_some();
    }
    any |= codec::decode(
        rest,
        2,
        count as usize & 0xffff,
        &(0..2),
        &mut signal::Samples::I32(Vec::new()),
    )
    .is_some();
    if any { Ok(()) } else { Err(Fault::Content) }
}
