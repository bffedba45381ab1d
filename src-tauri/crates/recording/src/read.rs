//! Samples and their times out of segments.

use crate::codec;
use crate::container::{FrameRef, frame_kind};
use crate::error::{Fault, RecordingError, Result};
use crate::frame::{self, FrameMeta};
use crate::limits::MAX_READ_VALUES;
use crate::reader::{Recording, Segment};
use crate::view::{BlockPart, Piece};
use signal::{
    ClockSource, SampleType, Samples, SamplingRate, StreamDescription, StreamIndex, UtcNanos,
};
use std::ops::Range;
use std::sync::Arc;

impl Recording {
    /// All channels of an index range: one piece per unbroken run in it, nothing for what was
    /// never recorded.
    ///
    /// # Errors
    /// [`RecordingError::Damaged`] names the first bad frame in the range;
    /// [`RecordingError::TooMuch`] above 2²⁹ values (use [`Self::pieces`]).
    pub fn read(&self, stream: StreamIndex, range: Range<u64>) -> Result<Vec<Piece>> {
        let channels = 0..self.stream(stream)?.0.channels.len();
        self.gather(stream, channels, range)
    }

    /// One channel of an index range, as [`Self::read`].
    ///
    /// # Errors
    /// As [`Self::read`], and [`RecordingError::UnknownChannel`].
    pub fn read_channel(
        &self,
        stream: StreamIndex,
        channel: usize,
        range: Range<u64>,
    ) -> Result<Vec<Piece>> {
        self.gather(stream, channel..channel + 1, range)
    }

    /// All channels of an index range, one piece per stored frame: bounded memory for exports.
    ///
    /// # Errors
    /// [`RecordingError::UnknownStream`].
    pub fn pieces(&self, stream: StreamIndex, range: Range<u64>) -> Result<Pieces<'_>> {
        let channels = 0..self.stream(stream)?.0.channels.len();
        self.pieces_of(stream, channels, range)
    }

    pub(crate) fn pieces_of(
        &self,
        stream: StreamIndex,
        channels: Range<usize>,
        range: Range<u64>,
    ) -> Result<Pieces<'_>> {
        let (description, segments) = self.stream(stream)?;
        if channels.end > description.channels.len() || channels.is_empty() {
            return Err(RecordingError::UnknownChannel {
                stream,
                channel: channels.end.max(1) - 1,
            });
        }
        let first = segments.partition_point(|s| s.end() <= range.start);
        Ok(Pieces {
            recording: self,
            description,
            segments: &segments[first..],
            channels,
            range,
            frames: None,
            next: 0,
            buffer: Vec::new(),
            parts: None,
        })
    }

    fn gather(
        &self,
        stream: StreamIndex,
        channels: Range<usize>,
        range: Range<u64>,
    ) -> Result<Vec<Piece>> {
        let mut found = Vec::new();
        for run in self.runs(stream)? {
            let (from, to) = (
                run.first_index.max(range.start),
                run.end_index.min(range.end),
            );
            if from >= to {
                continue;
            }
            if (to - from).saturating_mul(channels.len() as u64) > MAX_READ_VALUES {
                return Err(RecordingError::TooMuch {
                    what: "samples",
                    limit: MAX_READ_VALUES,
                });
            }
            let pieces = self.pieces_of(stream, channels.clone(), from..to)?;
            let mut parts = pieces.collect::<Result<Vec<Piece>>>()?;
            // Frames that a hole in a damaged segment took leave runs within the run.
            while !parts.is_empty() {
                let broken = (parts.windows(2))
                    .position(|w| w[0].first_index + w[0].len as u64 != w[1].first_index);
                let rest = parts.split_off(broken.map_or(parts.len(), |at| at + 1));
                found.extend(join(parts));
                parts = rest;
            }
        }
        Ok(found)
    }

    /// The device's blocks in an index range, with counters and times as they arrived. A block that
    /// was cut over two frames comes as two parts, the second without a counter.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parts(&self, stream: StreamIndex, range: Range<u64>) -> Result<Vec<BlockPart>> {
        let mut pieces = self.pieces_of(stream, 0..1, range.clone())?;
        pieces.parts = Some(Vec::new());
        for piece in &mut pieces {
            piece?;
        }
        let mut parts = pieces.parts.take().unwrap_or_default();
        parts.retain(|p| {
            p.first_index < range.end && p.first_index + u64::from(p.len) > range.start
        });
        Ok(parts)
    }

    /// UTC of a sample, by the device's or the fitted clock of its frame; `None` when that sample
    /// was never recorded.
    ///
    /// # Errors
    /// Damaged frames, storage errors.
    pub fn time_of(&self, stream: StreamIndex, index: u64) -> Result<Option<UtcNanos>> {
        let (description, segments) = self.stream(stream)?;
        let first = segments.partition_point(|s| s.end() <= index);
        let Some(segment) = segments.get(first).filter(|s| s.first() <= index) else {
            return Ok(None);
        };
        let frames = self.frames(segment)?;
        let Some(frame) = frame_at(&frames, index) else {
            return Ok(None);
        };
        self.frame_time(description, segment, frame, index)
            .map(Some)
    }

    fn frame_time(
        &self,
        description: &StreamDescription,
        segment: &Segment,
        frame: &FrameRef,
        index: u64,
    ) -> Result<UtcNanos> {
        let start = UtcNanos(frame.start);
        if description.rate != SamplingRate::Irregular {
            return Ok(start.plus_nanos(description.rate.nanos_of(index - frame.first)));
        }
        let mut buffer = Vec::new();
        let meta = self.frame_meta(segment, frame, &mut buffer)?;
        Ok(stamp_time(description.clock, &meta, (index - frame.first) as usize).unwrap_or(start))
    }

    fn frame_meta(
        &self,
        segment: &Segment,
        frame: &FrameRef,
        buffer: &mut Vec<u8>,
    ) -> Result<FrameMeta> {
        let file = self.pool.get(&segment.identity)?;
        let (head, payload) = file.frame(frame.offset, frame.len, buffer)?;
        let damaged = || RecordingError::damaged(&segment.name, frame.offset, Fault::Content);
        Ok(frame::decode_meta(payload, head.first, head.count)
            .ok_or_else(damaged)?
            .0)
    }

    /// Index of the recorded sample nearest to `at`; `None` when nothing was recorded.
    ///
    /// # Errors
    /// Damaged frames, storage errors.
    pub fn index_at(&self, stream: StreamIndex, at: UtcNanos) -> Result<Option<u64>> {
        let (description, segments) = self.stream(stream)?;
        // A later session's clock may have been set back: the last run that begins before `at`.
        let runs = segments
            .iter()
            .flat_map(|s| s.runs.iter().map(move |r| (s, r)));
        let mut chosen = None;
        let mut later = None;
        for (segment, run) in runs {
            if run.start <= at {
                chosen = Some(segment);
            } else if chosen.is_none() && later.is_none() {
                later = Some(run.first_index);
            }
        }
        let Some(segment) = chosen else {
            return Ok(later);
        };
        let frames = self.frames(segment)?;
        let samples = || frames.iter().filter(|f| f.kind == frame_kind::SAMPLES);
        let Some(frame) = samples()
            .rfind(|f| f.start <= at.0)
            .or_else(|| samples().next())
        else {
            return Ok(None);
        };
        let offset = match description.rate {
            SamplingRate::Irregular => {
                let mut buffer = Vec::new();
                let meta = self.frame_meta(segment, frame, &mut buffer)?;
                (0..frame.count as usize)
                    .take_while(|i| {
                        stamp_time(description.clock, &meta, *i).is_some_and(|t| t <= at)
                    })
                    .count()
                    .saturating_sub(1) as u64
            }
            rate => rate.index_at(at.nanos_since(UtcNanos(frame.start))),
        };
        let index = frame.first + offset.min(u64::from(frame.count) - 1);
        Ok(Some(index))
    }
}

fn stamp_time(clock: ClockSource, meta: &FrameMeta, position: usize) -> Option<UtcNanos> {
    let stamp = *meta.stamps.get(position)?;
    Some(match clock {
        ClockSource::Device { epoch } => epoch.plus_nanos(stamp),
        ClockSource::HostArrival => UtcNanos(stamp).plus_nanos(meta.offset_ns),
    })
}

fn frame_at(frames: &[FrameRef], index: u64) -> Option<&FrameRef> {
    // Frames of a segment are in order of index; those of other kinds have count 0 or come last.
    (frames.iter()).find(|f| f.kind == frame_kind::SAMPLES && (f.first..f.end()).contains(&index))
}

/// Frame by frame reading, in bounded memory.
#[derive(Debug)]
pub struct Pieces<'a> {
    recording: &'a Recording,
    description: &'a StreamDescription,
    segments: &'a [Segment],
    channels: Range<usize>,
    range: Range<u64>,
    frames: Option<(Arc<Vec<FrameRef>>, usize)>,
    /// Index past the last piece: what a repair cut short left in two segments comes once.
    next: u64,
    buffer: Vec<u8>,
    /// Collects parts instead of samples when set.
    parts: Option<Vec<BlockPart>>,
}

impl Pieces<'_> {
    fn advance(&mut self) -> Result<Option<Piece>> {
        loop {
            let Some((segment, rest)) = self.segments.split_first() else {
                return Ok(None);
            };
            if segment.first() >= self.range.end {
                return Ok(None);
            }
            let (frames, at) = match self.frames.take() {
                Some(state) => state,
                None => {
                    let frames = self.recording.frames(segment)?;
                    let start = frames.partition_point(|f| {
                        f.kind == frame_kind::SAMPLES && f.end() <= self.range.start
                    });
                    (frames, start)
                }
            };
            let Some(frame) = frames.get(at).copied() else {
                self.segments = rest;
                continue;
            };
            self.frames = Some((frames, at + 1));
            let outside = frame.end() <= self.range.start || frame.first >= self.range.end;
            if frame.kind == frame_kind::SAMPLES && !outside && frame.first >= self.next {
                self.next = frame.end();
                return self.piece(segment, &frame).map(Some);
            }
        }
    }

    fn piece(&mut self, segment: &Segment, frame: &FrameRef) -> Result<Piece> {
        let file = self.recording.pool.get(&segment.identity)?;
        let damaged = || RecordingError::damaged(&segment.name, frame.offset, Fault::Content);
        let (head, payload) = file.frame(frame.offset, frame.len, &mut self.buffer)?;
        let (meta, code) =
            frame::decode_meta(payload, head.first, head.count).ok_or_else(damaged)?;
        if meta.channels != self.description.channels.len()
            || meta.sample_type != self.description.sample_type
            || (head.first, head.count) != (frame.first, frame.count)
        {
            return Err(damaged());
        }
        let from = (self.range.start.max(head.first) - head.first) as usize;
        let to = (self.range.end.min(frame.end()) - head.first) as usize;
        let len = head.count as usize;
        let mut samples = codec::empty(meta.sample_type);
        if let Some(parts) = &mut self.parts {
            parts.extend_from_slice(&meta.parts);
        } else {
            codec::decode(code, meta.channels, len, &self.channels, &mut samples)
                .ok_or_else(damaged)?;
            if (from, to) != (0, len) {
                samples = cut(&samples, len, from..to);
            }
        }
        let start = match stamp_time(self.description.clock, &meta, from) {
            Some(time) => time,
            None => UtcNanos(frame.start).plus_nanos(self.description.rate.nanos_of(from as u64)),
        };
        let stamps = meta.stamps.get(from..to).unwrap_or_default().to_vec();
        Ok(Piece {
            first_index: head.first + from as u64,
            channels: self.channels.len(),
            len: to - from,
            start,
            stamps,
            samples,
        })
    }
}

impl Iterator for Pieces<'_> {
    type Item = Result<Piece>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.advance();
        if found.is_err() {
            // The caller decides whether to go on behind the damage with a new range.
            self.segments = &[];
        }
        found.transpose()
    }
}

macro_rules! each_type {
    ($samples:expr, $values:ident => $body:expr) => {
        match $samples {
            Samples::I16($values) => Samples::I16($body),
            Samples::I24($values) => Samples::I24($body),
            Samples::I32($values) => Samples::I32($body),
            Samples::F32($values) => Samples::F32($body),
            Samples::F64($values) => Samples::F64($body),
            Samples::Text($values) => Samples::Text($body),
        }
    };
}

/// Columns `range` of rows of `len`.
fn cut(samples: &Samples, len: usize, range: Range<usize>) -> Samples {
    each_type!(samples, values => {
        values.chunks_exact(len).flat_map(|row| row[range.clone()].iter().cloned()).collect()
    })
}

/// Joins contiguous pieces into one.
fn join(mut pieces: Vec<Piece>) -> Option<Piece> {
    if pieces.len() <= 1 {
        return pieces.pop();
    }
    let first = &pieces[0];
    let (channels, total) = (first.channels, pieces.iter().map(|p| p.len).sum::<usize>());
    let mut samples = Samples::with_capacity(first.samples.sample_type(), channels * total);
    macro_rules! rows {
        ($variant:path, $into:ident) => {
            for row in 0..channels {
                for piece in &pieces {
                    if let $variant(values) = &piece.samples {
                        $into.extend_from_slice(&values[row * piece.len..(row + 1) * piece.len]);
                    }
                }
            }
        };
    }
    match &mut samples {
        Samples::I16(into) => rows!(Samples::I16, into),
        Samples::I24(into) => rows!(Samples::I24, into),
        Samples::I32(into) => rows!(Samples::I32, into),
        Samples::F32(into) => rows!(Samples::F32, into),
        Samples::F64(into) => rows!(Samples::F64, into),
        Samples::Text(into) => rows!(Samples::Text, into),
    }
    Some(Piece {
        first_index: first.first_index,
        channels,
        len: total,
        start: first.start,
        stamps: pieces
            .iter()
            .flat_map(|p| p.stamps.iter().copied())
            .collect(),
        samples,
    })
}

/// Whether a stream's samples have extremes to show.
pub(crate) fn is_text(description: &StreamDescription) -> bool {
    description.sample_type == SampleType::Text
}
