//! Repair: torn tails moved aside, caches built anew.

use crate::codec::{Scratch, Shape};
use crate::container::{FileKind, FrameRef, FrameWriter, Identity, NO_STREAM, frame_kind};
use crate::document;
use crate::error::{Fault, RecordingError, Result};
use crate::header::has_overview;
use crate::keys::{Entropy, Unlock};
use crate::pyramid::Builder;
use crate::reader::{Recording, Segment};
use crate::storage::{Storage, read_full, write_full};
use crate::stream_writer::put_overview;
use crate::view::SegmentState;
use signal::StreamIndex;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// What a repair did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RepairReport {
    /// Torn tails moved into files of their own: segment, tail's file, bytes.
    pub quarantined: Vec<(String, String, u64)>,
    /// Streams whose overview was built anew.
    pub overviews_rebuilt: Vec<StreamIndex>,
    /// Whether the catalog was written anew.
    pub catalog_rebuilt: bool,
}

/// Moves torn tails aside, and rebuilds the catalog and the overview where they are missing or do
/// not match. Deletes no data: tails become files of their own (`….tail`).
///
/// Not for a recording that is being written.
///
/// # Errors
/// As [`Recording::open`], and storage errors.
pub fn repair(
    folder: &Path,
    unlock: &Unlock,
    storage: Arc<dyn Storage>,
    entropy: &mut dyn Entropy,
) -> Result<RepairReport> {
    let recording = Recording::open(folder, unlock, Arc::clone(&storage))?;
    let mut report = RepairReport {
        quarantined: quarantine_tails(&recording, entropy)?,
        ..RepairReport::default()
    };
    let recording = Recording::open(folder, unlock, storage)?;
    let sound = |identity: &Identity, len: u64| -> Result<bool> {
        let file = match recording.pool.get(identity) {
            Ok(file) => file,
            Err(RecordingError::Damaged { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        let scan = file.scan(len, true, None)?;
        Ok(scan.holes.is_empty() && scan.end == len)
    };
    let mut rebuild = !recording.entries(|s| !s.catalogued)?.is_empty();
    for (identity, len) in &recording.catalog_files {
        rebuild |= !sound(identity, *len)?;
    }
    if rebuild {
        rebuild_catalog(&recording, entropy)?;
        report.catalog_rebuilt = true;
    }
    for (position, description) in recording.streams().iter().enumerate() {
        let stream = StreamIndex(position as u16);
        if !has_overview(description.sample_type) {
            continue;
        }
        let mut whole = recording.overview_reaches(stream)?;
        for (identity, len) in recording
            .overview_files
            .iter()
            .filter(|f| f.0.stream == stream.0)
        {
            whole &= sound(identity, *len)?;
        }
        if !whole {
            rebuild_overview(&recording, stream, entropy)?;
            report.overviews_rebuilt.push(stream);
        }
    }
    Ok(report)
}

/// Cuts unclosed segments back to the whole frames that their file begins with. What was behind
/// becomes a file of its own; whole frames in it are also written to a new segment first.
pub(crate) fn quarantine_tails(
    recording: &Recording,
    entropy: &mut dyn Entropy,
) -> Result<Vec<(String, String, u64)>> {
    let mut done = Vec::new();
    let segments = recording
        .segments
        .iter()
        .flatten()
        .chain(&recording.event_segments);
    for segment in segments.filter(|s| s.state == SegmentState::Torn) {
        let Some(hole) = segment.holes.first() else {
            continue;
        };
        salvage(recording, segment, hole.0, entropy)?;
        done.push(move_tail(recording, &segment.name, hole.0, segment.bytes)?);
    }
    // A head that the power cut tore never protected a frame: the whole file is a tail.
    for (identity, len, fault) in &recording.unreadable {
        if matches!(fault, Fault::Truncated | Fault::Magic | Fault::HeadChecksum) {
            done.push(move_tail(recording, &identity.file_name(), 0, *len)?);
        }
    }
    Ok(done)
}

/// Copies the whole frames behind `from` into a new segment, unless another holds them already (an
/// earlier repair was cut short).
fn salvage(
    recording: &Recording,
    segment: &Segment,
    from: u64,
    entropy: &mut dyn Entropy,
) -> Result<()> {
    let old = segment.identity;
    let elsewhere = |first: u64| {
        (recording.segments.iter().flatten())
            .filter(|s| s.identity.stream == old.stream && s.identity.number != old.number)
            .flat_map(|s| &s.runs)
            .any(|run| (run.first_index..run.end_index).contains(&first))
    };
    let frames = recording.frames(segment)?;
    let kept = |f: &&FrameRef| f.offset > from && f.kind != frame_kind::CLOSE;
    let mut behind = frames.iter().filter(kept).peekable();
    let (storage, folder) = (recording.pool.storage(), recording.pool.folder());
    let Some(first) = behind.peek() else {
        return Ok(());
    };
    if old.kind == FileKind::Samples && elsewhere(first.first) {
        return Ok(());
    }
    let number = recording.next_number(old.kind, old.stream);
    let mut writer = FrameWriter::new(Identity { number, ..old }, recording.key(), entropy)?;
    let file = recording.pool.get(&old)?;
    let mut buffer = Vec::new();
    for frame in behind {
        let (head, payload) = file.frame(frame.offset, frame.len, &mut buffer)?;
        let place = (head.first, head.count);
        writer.frame((head.kind, head.level), place, frame.start, |out| {
            out.extend_from_slice(payload);
        });
    }
    writer.close();
    writer.sync(storage, folder)
}

/// Moves the bytes of a file from `from` on into a file of their own.
fn move_tail(
    recording: &Recording,
    name: &str,
    from: u64,
    len: u64,
) -> Result<(String, String, u64)> {
    let (storage, folder) = (recording.pool.storage(), recording.pool.folder());
    let wrap = |operation| move |error| RecordingError::storage(operation, name, error);
    let path = folder.join(name);
    let tail = format!("{name}.{from}.tail");
    if from == 0 {
        storage
            .rename(&path, &folder.join(&tail))
            .map_err(wrap("moving aside"))?;
    } else {
        let file = storage.open(&path, true).map_err(wrap("opening"))?;
        let mut bytes = vec![0; usize::try_from(len - from).unwrap_or(0)];
        read_full(&*file, from, &mut bytes).map_err(wrap("reading"))?;
        copy_aside(storage, folder, &tail, &bytes)?;
        file.set_len(from).map_err(wrap("cutting"))?;
        file.sync().map_err(wrap("syncing"))?;
    }
    storage
        .sync_dir(folder)
        .map_err(wrap("syncing the folder of"))?;
    Ok((name.to_owned(), tail, len - from))
}

fn copy_aside(storage: &dyn Storage, folder: &Path, tail: &str, bytes: &[u8]) -> Result<()> {
    let wrap = |error| RecordingError::storage("writing", tail, error);
    let path = folder.join(tail);
    // A tail of the same place is there when an earlier repair was cut short before the cut.
    let file = match storage.create(&path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => storage.open(&path, true),
        other => other,
    }
    .map_err(wrap)?;
    write_full(&*file, 0, bytes).map_err(wrap)?;
    file.sync().map_err(wrap)?;
    storage.sync_dir(folder).map_err(wrap)
}

fn rebuild_catalog(recording: &Recording, entropy: &mut dyn Entropy) -> Result<()> {
    let identity = Identity {
        kind: FileKind::Catalog,
        stream: NO_STREAM,
        recording: recording.header().id,
        number: recording.next_number(FileKind::Catalog, NO_STREAM),
    };
    let mut writer = FrameWriter::new(identity, recording.key(), entropy)?;
    for entry in recording.entries(|_| true)? {
        let bytes = serde_json::to_vec(&entry).map_err(|e| document::invalid("catalog", e))?;
        writer.frame((frame_kind::CATALOG, 0), (0, 1), 0, |out| {
            out.extend_from_slice(&bytes);
        });
    }
    replace_caches(
        recording,
        writer,
        recording.catalog_files.iter().map(|f| f.0),
    )
}

/// Writes the new cache file, then removes those that it replaces.
fn replace_caches(
    recording: &Recording,
    mut writer: FrameWriter,
    old: impl Iterator<Item = Identity>,
) -> Result<()> {
    let (storage, folder) = (recording.pool.storage(), recording.pool.folder());
    writer.close();
    writer.sync(storage, folder)?;
    for identity in old {
        let name = identity.file_name();
        (storage.remove(&folder.join(&name)))
            .map_err(|e| RecordingError::storage("removing the old", &name, e))?;
    }
    (storage.sync_dir(folder)).map_err(|e| RecordingError::storage("syncing", "the folder", e))
}

fn rebuild_overview(
    recording: &Recording,
    stream: StreamIndex,
    entropy: &mut dyn Entropy,
) -> Result<()> {
    let (storage, folder) = (recording.pool.storage(), recording.pool.folder());
    let description = &recording.streams()[usize::from(stream.0)];
    let identity = Identity {
        kind: FileKind::Overview,
        stream: stream.0,
        recording: recording.header().id,
        number: recording.next_number(FileKind::Overview, stream.0),
    };
    let mut writer = FrameWriter::new(identity, recording.key(), entropy)?;
    let mut builder = Builder::new(description.channels.len(), description.sample_type);
    let mut scratch = Scratch::new();
    let mut at = 0;
    while let Some(pieces) = recording.pieces_from(stream, at)? {
        for piece in pieces {
            let Ok(piece) = piece else {
                break;
            };
            let shape = Shape {
                rows: piece.channels,
                len: piece.len,
                stride: piece.len,
            };
            builder.push(piece.first_index, &piece.samples, shape, &mut |block| {
                put_overview(&mut writer, &block, &mut scratch);
            });
            at = piece.first_index + piece.len as u64;
            writer.flush(storage, folder)?;
            writer.forget_written();
        }
        // Behind a damaged frame it goes on; the overview has a gap where the record is unreadable.
        at = match recording.behind_damage(stream, at)? {
            Some(next) => next,
            None => break,
        };
    }
    builder.flush(&mut |block| put_overview(&mut writer, &block, &mut scratch));
    let old = recording
        .overview_files
        .iter()
        .map(|f| f.0)
        .filter(|i| i.stream == stream.0);
    replace_caches(recording, writer, old)
}

impl Recording {
    fn pieces_from(&self, stream: StreamIndex, at: u64) -> Result<Option<crate::read::Pieces<'_>>> {
        let end = self.runs(stream)?.last().map_or(0, |r| r.end_index);
        if at >= end {
            return Ok(None);
        }
        self.pieces(stream, at..end).map(Some)
    }

    /// First index of the frame behind the one that holds or follows `at`, when reading stopped at
    /// `at` for damage; `None` at the end.
    fn behind_damage(&self, stream: StreamIndex, at: u64) -> Result<Option<u64>> {
        let (_, segments) = self.stream(stream)?;
        for segment in segments.iter().filter(|s| s.end() > at) {
            let frames = self.frames(segment)?;
            let damaged = frames
                .iter()
                .find(|f| f.kind == frame_kind::SAMPLES && f.end() > at);
            if let Some(frame) = damaged {
                return Ok(Some(frame.end()));
            }
        }
        Ok(None)
    }
}
