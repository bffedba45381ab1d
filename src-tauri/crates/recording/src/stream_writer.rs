//! One stream's way to disk: blocks to frames, frames to segments, and the overview beside them.

use crate::codec::{Scratch, Shape};
use crate::container::{FileKind, FrameWriter, Identity, NO_STREAM, frame_kind};
use crate::error::{RecordingError, Result};
use crate::frame::{self, FrameMeta, start_utc};
use crate::header::{RecordingId, has_overview};
use crate::keys::{Entropy, RecordingKey};
use crate::limits::{
    FRAME_NS, MAX_FRAME_TEXT, MAX_FRAME_VALUES, MAX_UNSYNCED_BYTES, SEGMENT_BYTES, SEGMENT_NS,
};
use crate::pyramid::{self, Builder};
use crate::reader::{BlockPart, Run};
use crate::recorder::ClosedSegment;
use crate::storage::Storage;
use signal::{
    HostNanos, SampleBlock, SampleType, Samples, SamplingRate, StreamDescription, StreamIndex,
    UtcNanos,
};
use std::path::Path;

/// What all streams of a recorder share.
pub(crate) struct Shared<'a> {
    pub(crate) id: RecordingId,
    pub(crate) key: &'a RecordingKey,
    pub(crate) entropy: &'a mut dyn Entropy,
    pub(crate) offset_ns: i64,
    pub(crate) scratch: &'a mut Scratch,
}

/// A closed segment on its way to durability.
#[derive(Debug)]
pub(crate) struct Closing {
    pub(crate) writer: FrameWriter,
    pub(crate) segment: ClosedSegment,
    pub(crate) runs: Vec<Run>,
    pub(crate) events: Vec<serde_json::Value>,
}

/// Samples lost because the disk did not take them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lost {
    pub(crate) first: u64,
    pub(crate) end: u64,
    pub(crate) from: UtcNanos,
    pub(crate) until: UtcNanos,
}

#[derive(Debug)]
pub(crate) struct StreamWriter {
    pub(crate) index: StreamIndex,
    description: StreamDescription,
    /// Samples per channel that a frame holds at most; the stride of `samples`.
    capacity: usize,
    samples: Samples,
    filled: usize,
    text_bytes: usize,
    first: u64,
    buffered_since: HostNanos,
    last_arrival: HostNanos,
    meta: FrameMeta,
    pub(crate) next_index: u64,
    pub(crate) recorded: u64,
    pub(crate) lost: Option<Lost>,
    writer: Option<FrameWriter>,
    opened_at: HostNanos,
    runs: Vec<Run>,
    next_number: u64,
    pub(crate) closing: Vec<Closing>,
    overview: Option<(Builder, FrameWriter)>,
    next_overview: u64,
    framed: Option<HostNanos>,
    pub(crate) synced: Option<HostNanos>,
}

fn frame_capacity(description: &StreamDescription) -> usize {
    let most = MAX_FRAME_VALUES / description.channels.len().max(1);
    let samples = match description.rate {
        // Irregular streams are slow: time, not number, ends their frames.
        SamplingRate::Irregular => 256,
        rate @ SamplingRate::Regular { .. } => {
            let whole = usize::try_from(rate.index_at(FRAME_NS)).unwrap_or(usize::MAX);
            if description.sample_type == SampleType::Text {
                whole.min(256)
            } else {
                whole
            }
        }
    };
    samples.clamp(1, most)
}

fn storage_of(sample_type: SampleType, values: usize) -> Samples {
    match sample_type {
        SampleType::I16 => Samples::I16(vec![0; values]),
        SampleType::I24 => Samples::I24(vec![0; values]),
        SampleType::I32 => Samples::I32(vec![0; values]),
        SampleType::F32 => Samples::F32(vec![0.0; values]),
        SampleType::F64 => Samples::F64(vec![0.0; values]),
        SampleType::Text => Samples::Text(vec![String::new(); values]),
    }
}

impl StreamWriter {
    pub(crate) fn new(
        index: StreamIndex,
        description: &StreamDescription,
        next_index: u64,
        (next_number, overview_number): (u64, u64),
        shared: &mut Shared<'_>,
    ) -> Result<Self> {
        let capacity = frame_capacity(description);
        let channels = description.channels.len();
        let mut writer = Self {
            index,
            capacity,
            samples: storage_of(description.sample_type, channels * capacity),
            filled: 0,
            text_bytes: 0,
            first: 0,
            buffered_since: HostNanos(0),
            last_arrival: HostNanos(0),
            meta: FrameMeta {
                sample_type: description.sample_type,
                channels,
                rate: description.rate,
                offset_ns: shared.offset_ns,
                parts: Vec::with_capacity(64),
                stamps: Vec::new(),
            },
            description: description.clone(),
            next_index,
            recorded: 0,
            lost: None,
            writer: None,
            opened_at: HostNanos(0),
            runs: Vec::new(),
            next_number,
            closing: Vec::new(),
            overview: None,
            next_overview: overview_number,
            framed: None,
            synced: None,
        };
        writer.begin_overview(shared)?;
        Ok(writer)
    }

    /// Begins an overview file, unless there is one or the samples have none.
    fn begin_overview(&mut self, shared: &mut Shared<'_>) -> Result<()> {
        let sample_type = self.description.sample_type;
        if self.overview.is_none() && has_overview(sample_type) {
            let identity = Identity {
                kind: FileKind::Overview,
                stream: self.index.0,
                recording: shared.id,
                number: self.next_overview,
            };
            let file = FrameWriter::new(identity, shared.key, shared.entropy)?;
            self.overview = Some((Builder::new(self.meta.channels, sample_type), file));
            self.next_overview += 1;
        }
        Ok(())
    }

    /// Checks a block against the stream; nothing changes when it fails.
    pub(crate) fn check(&self, block: &SampleBlock) -> Result<usize> {
        block.check()?;
        if block.samples.sample_type() != self.description.sample_type
            || block.channels != self.description.channels.len()
        {
            return Err(RecordingError::Mismatch(self.index));
        }
        let end = block.first_index.checked_add(block.len as u64);
        if block.first_index < self.next_index || end.is_none() {
            return Err(RecordingError::OutOfOrder {
                stream: self.index,
                first_index: block.first_index,
                expected: self.next_index,
            });
        }
        let text = match &block.samples {
            Samples::Text(texts) => texts.iter().map(|t| t.len() + 10).sum(),
            _ => 0,
        };
        if text > MAX_FRAME_TEXT {
            return Err(RecordingError::TooMuch {
                what: "text of a block",
                limit: MAX_FRAME_TEXT as u64,
            });
        }
        Ok(text)
    }

    fn block_start(&self, block: &SampleBlock) -> UtcNanos {
        let part = part_of(block, 0, block.len);
        let (clock, rate) = (self.description.clock, self.description.rate);
        let stamp = block.stamps.first().copied();
        start_utc(clock, rate, self.meta.offset_ns, Some(&part), stamp)
    }

    /// Notes a block that could not be taken.
    pub(crate) fn lose(&mut self, block: &SampleBlock) {
        let start = self.block_start(block);
        let end = block.end_index();
        let until = start.plus_nanos(self.description.rate.nanos_of(block.len as u64));
        let lost = self.lost.get_or_insert(Lost {
            first: self.next_index,
            end,
            from: start,
            until,
        });
        (lost.end, lost.until) = (end, until);
        self.next_index = end;
    }

    /// Ends a loss at the block that comes next, if there was one.
    pub(crate) fn end_loss(&mut self, block: &SampleBlock) -> Option<Lost> {
        let mut lost = self.lost.take()?;
        lost.end = block.first_index;
        lost.until = self.block_start(block);
        Some(lost)
    }

    /// Takes a block that [`Self::check`] passed.
    pub(crate) fn append(
        &mut self,
        block: &SampleBlock,
        text: usize,
        shared: &mut Shared<'_>,
    ) -> Result<()> {
        if block.len == 0 {
            return Ok(());
        }
        let follows = block.first_index == self.first + self.filled as u64
            && block.stamps.is_empty() == self.meta.stamps.is_empty();
        let fits =
            self.filled + block.len <= self.capacity && self.text_bytes + text <= MAX_FRAME_TEXT;
        if self.filled > 0 && !(follows && fits) {
            self.encode_frame(shared)?;
        }
        let mut done = 0;
        while done < block.len {
            if self.filled == self.capacity {
                self.encode_frame(shared)?;
            }
            let take = (self.capacity - self.filled).min(block.len - done);
            self.take(block, done, take);
            done += take;
        }
        self.text_bytes += text;
        self.next_index = block.end_index();
        self.recorded += block.len as u64;
        if self.filled == self.capacity {
            self.encode_frame(shared)?;
        }
        Ok(())
    }

    fn take(&mut self, block: &SampleBlock, from: usize, len: usize) {
        if self.filled == 0 {
            self.first = block.first_index + from as u64;
            self.buffered_since = block.arrival;
        }
        let (stride, at) = (self.capacity, self.filled);
        macro_rules! rows {
            ($to:ident, $values:ident) => {
                for row in 0..block.channels {
                    let source = row * block.len + from;
                    let target = row * stride + at;
                    $to[target..target + len].clone_from_slice(&$values[source..source + len]);
                }
            };
        }
        match (&mut self.samples, &block.samples) {
            (Samples::I16(to), Samples::I16(values)) => rows!(to, values),
            (Samples::I24(to), Samples::I24(values)) | (Samples::I32(to), Samples::I32(values)) => {
                rows!(to, values);
            }
            (Samples::F32(to), Samples::F32(values)) => rows!(to, values),
            (Samples::F64(to), Samples::F64(values)) => rows!(to, values),
            (Samples::Text(to), Samples::Text(values)) => rows!(to, values),
            _ => {}
        }
        if !block.stamps.is_empty() {
            self.meta
                .stamps
                .extend_from_slice(&block.stamps[from..from + len]);
        }
        let mut part = part_of(block, from, len);
        if from > 0 {
            let later = self.description.rate.nanos_of(from as u64);
            part.device_time = part.device_time.map(|t| t.plus_nanos(later));
            part.fitted = part.fitted.map(|t| t.plus_nanos(later));
            part.counter = None;
        }
        self.meta.parts.push(part);
        self.filled += len;
        self.last_arrival = block.arrival;
    }

    /// Turns what is buffered into a frame.
    pub(crate) fn encode_frame(&mut self, shared: &mut Shared<'_>) -> Result<()> {
        if self.filled == 0 {
            return Ok(());
        }
        let end = self.first + self.filled as u64;
        if let (Some(writer), Some(run)) = (&self.writer, self.runs.first()) {
            let span = self.description.rate.nanos_of(end - run.first_index);
            if span > SEGMENT_NS || writer.len() > SEGMENT_BYTES {
                self.close_segment();
            }
        }
        if self.writer.is_none() {
            let identity = Identity {
                kind: FileKind::Samples,
                stream: self.index.0,
                recording: shared.id,
                number: self.next_number,
            };
            self.writer = Some(FrameWriter::new(identity, shared.key, shared.entropy)?);
            self.next_number += 1;
            self.opened_at = self.buffered_since;
        }
        let start = self.meta.start(self.description.clock);
        let channels = self.meta.channels;
        let shape = Shape {
            rows: channels,
            len: self.filled,
            stride: self.capacity,
        };
        let place = (self.first, self.filled as u32);
        if let Some(writer) = &mut self.writer {
            writer.frame((frame_kind::SAMPLES, 0), place, start.0, |out| {
                frame::encode(&self.meta, &self.samples, shape, shared.scratch, out);
            });
        }
        self.begin_overview(shared)?;
        if let Some((builder, writer)) = &mut self.overview {
            builder.push(self.first, &self.samples, shape, &mut |block| {
                put_overview(writer, &block, shared.scratch);
            });
        }
        extend_runs(&mut self.runs, self.first, end, start);
        self.framed = Some(self.last_arrival);
        self.filled = 0;
        self.text_bytes = 0;
        self.meta.parts.clear();
        self.meta.stamps.clear();
        Ok(())
    }

    pub(crate) fn close_segment(&mut self) {
        let Some(mut writer) = self.writer.take() else {
            return;
        };
        let sha256 = writer.close();
        let runs = std::mem::take(&mut self.runs);
        let segment = ClosedSegment {
            stream: Some(self.index),
            number: writer.identity.number,
            file: writer.name().to_owned(),
            first_index: runs.first().map_or(0, |r| r.first_index),
            end_index: runs.last().map_or(0, |r| r.end_index),
            sha256,
            bytes: writer.len(),
            complete: true,
        };
        self.closing.push(Closing {
            writer,
            segment,
            runs,
            events: Vec::new(),
        });
    }

    /// Ends frames and segments whose time has come.
    pub(crate) fn tick(&mut self, now: HostNanos, shared: &mut Shared<'_>) -> Result<()> {
        if self.filled > 0 && now.nanos_since(self.buffered_since) >= FRAME_NS {
            self.encode_frame(shared)?;
        }
        if self.writer.is_some() && now.nanos_since(self.opened_at) >= SEGMENT_NS {
            self.close_segment();
        }
        Ok(())
    }

    /// Hands bytes to the file layer. The overview is a cache: its failure is logged, not returned, and
    /// it begins anew with the next frame.
    pub(crate) fn flush(&mut self, storage: &dyn Storage, folder: &Path) -> Result<()> {
        let first = flush_in_order(&mut self.closing, self.writer.as_mut(), storage, folder);
        if let Some((_, writer)) = &mut self.overview
            && !writer.frames.is_empty()
        {
            match writer.flush(storage, folder) {
                Ok(()) => writer.forget_written(),
                Err(error) if writer.unsynced() > MAX_UNSYNCED_BYTES / 8 => {
                    tracing::warn!(stream = self.index.0, %error, "overview has a hole until repair");
                    if let Err(error) = writer.abandon(storage, folder) {
                        tracing::warn!(stream = self.index.0, %error, "overview is torn until repair");
                    }
                    self.overview = None;
                }
                Err(_) => {}
            }
        }
        first
    }

    /// Makes all frames durable.
    pub(crate) fn sync(&mut self, storage: &dyn Storage, folder: &Path) -> Result<()> {
        for closing in &mut self.closing {
            closing.writer.sync(storage, folder)?;
        }
        if let Some(writer) = &mut self.writer {
            writer.sync(storage, folder)?;
        }
        self.synced = self.framed;
        Ok(())
    }

    /// Bytes that are not durable yet.
    pub(crate) fn unsynced(&self) -> usize {
        self.closing
            .iter()
            .map(|c| c.writer.unsynced())
            .sum::<usize>()
            + self.writer.as_ref().map_or(0, FrameWriter::unsynced)
    }

    /// Whether samples wait in memory, framed or not.
    pub(crate) fn outstanding(&self) -> bool {
        self.filled > 0 || self.unsynced() > 0
    }

    /// Ends the overview's file at the end of the recording.
    pub(crate) fn finish_overview(
        &mut self,
        scratch: &mut Scratch,
        storage: &dyn Storage,
        folder: &Path,
    ) {
        if let Some((mut builder, mut writer)) = self.overview.take() {
            builder.flush(&mut |block| put_overview(&mut writer, &block, scratch));
            if !writer.frames.is_empty() {
                writer.close();
                if let Err(error) = writer.sync(storage, folder) {
                    tracing::warn!(stream = self.index.0, %error, "overview not written: repair builds it");
                }
            }
        }
    }
}

pub(crate) fn put_overview(
    writer: &mut FrameWriter,
    block: &pyramid::Block<'_>,
    scratch: &mut Scratch,
) {
    // 2³² samples are above what the highest level's block of 256 bins covers.
    let count = (block.covered.end - block.covered.start) as u32;
    let kind = (frame_kind::OVERVIEW, block.level);
    writer.frame(kind, (block.covered.start, count), 0, |out| {
        pyramid::encode(block, scratch, out);
    });
}

/// Adds contiguous samples to a list of runs.
pub(crate) fn extend_runs(runs: &mut Vec<Run>, first: u64, end: u64, start: UtcNanos) {
    match runs.last_mut() {
        Some(run) if run.end_index == first => run.end_index = end,
        _ => runs.push(Run {
            first_index: first,
            end_index: end,
            start,
        }),
    }
}

/// Hands bytes to the file layer. A new segment's file is made only once those before it are
/// durable, so that a power cut never leaves a later segment without an earlier one.
fn flush_in_order(
    closing: &mut [Closing],
    writer: Option<&mut FrameWriter>,
    storage: &dyn Storage,
    folder: &Path,
) -> Result<()> {
    let begins = writer.as_ref().is_some_and(|w| !w.is_created());
    for closing in closing {
        if begins {
            closing.writer.sync(storage, folder)?;
        } else {
            closing.writer.flush(storage, folder)?;
        }
    }
    writer.map_or(Ok(()), |writer| writer.flush(storage, folder))
}

const fn part_of(block: &SampleBlock, from: usize, len: usize) -> BlockPart {
    BlockPart {
        first_index: block.first_index + from as u64,
        len: len as u32,
        counter: block.counter,
        arrival: block.arrival,
        device_time: block.device_time,
        fitted: block.fitted,
    }
}

/// The event stream: entries wait for the next tick, a segment begins with the first of them.
#[derive(Debug)]
pub(crate) struct EventWriter {
    pub(crate) pending: Vec<serde_json::Value>,
    kept: Vec<serde_json::Value>,
    writer: Option<FrameWriter>,
    opened_at: HostNanos,
    next_number: u64,
    pub(crate) closing: Vec<Closing>,
}

impl EventWriter {
    pub(crate) const fn new(next_number: u64) -> Self {
        Self {
            pending: Vec::new(),
            kept: Vec::new(),
            writer: None,
            opened_at: HostNanos(0),
            next_number,
            closing: Vec::new(),
        }
    }

    pub(crate) fn tick(&mut self, now: HostNanos, shared: &mut Shared<'_>) -> Result<()> {
        if !self.pending.is_empty() {
            if self.writer.is_none() {
                let identity = Identity {
                    kind: FileKind::Events,
                    stream: NO_STREAM,
                    recording: shared.id,
                    number: self.next_number,
                };
                self.writer = Some(FrameWriter::new(identity, shared.key, shared.entropy)?);
                self.next_number += 1;
                self.opened_at = now;
            }
            if let Some(writer) = &mut self.writer {
                let first = self.kept.len() as u64;
                let bytes = serde_json::to_vec(&self.pending)
                    .map_err(|e| crate::document::invalid("events", e))?;
                let place = (first, self.pending.len() as u32);
                writer.frame((frame_kind::EVENTS, 0), place, 0, |out| {
                    out.extend_from_slice(&bytes);
                });
                self.kept.append(&mut self.pending);
            }
        }
        if self.writer.is_some() && now.nanos_since(self.opened_at) >= SEGMENT_NS {
            self.close_segment();
        }
        Ok(())
    }

    pub(crate) fn close_segment(&mut self) {
        let Some(mut writer) = self.writer.take() else {
            return;
        };
        let sha256 = writer.close();
        let events = std::mem::take(&mut self.kept);
        let segment = ClosedSegment {
            stream: None,
            number: writer.identity.number,
            file: writer.name().to_owned(),
            first_index: 0,
            end_index: events.len() as u64,
            sha256,
            bytes: writer.len(),
            complete: true,
        };
        self.closing.push(Closing {
            writer,
            segment,
            runs: Vec::new(),
            events,
        });
    }

    pub(crate) fn flush(&mut self, storage: &dyn Storage, folder: &Path) -> Result<()> {
        flush_in_order(&mut self.closing, self.writer.as_mut(), storage, folder)
    }

    pub(crate) fn sync(&mut self, storage: &dyn Storage, folder: &Path) -> Result<()> {
        for closing in &mut self.closing {
            closing.writer.sync(storage, folder)?;
        }
        self.writer
            .as_mut()
            .map_or(Ok(()), |writer| writer.sync(storage, folder))
    }

    pub(crate) fn unsynced(&self) -> usize {
        self.closing
            .iter()
            .map(|c| c.writer.unsynced())
            .sum::<usize>()
            + self.writer.as_ref().map_or(0, FrameWriter::unsynced)
    }
}
