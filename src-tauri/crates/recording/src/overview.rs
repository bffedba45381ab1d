//! Envelopes for display, from the overview where it reaches and from the samples elsewhere.

use crate::codec::Shape;
use crate::container::{FrameRef, Identity, frame_kind};
use crate::error::{RecordingError, Result};
use crate::limits::{MAX_COLUMNS, OVERVIEW_LEVELS};
use crate::pyramid::{self, bin_samples};
use crate::read::is_text;
use crate::reader::Recording;
use crate::view::Envelopes;
use signal::{NANOS_PER_S, Samples, StreamIndex, UtcNanos};
use std::ops::Range;

/// A block of the overview in one of its files.
#[derive(Debug, Clone, Copy)]
struct BlockRef {
    file: Identity,
    frame: FrameRef,
}

/// Blocks of one stream by level (position 0 is level 1), in order of index.
#[derive(Debug, Default)]
pub(crate) struct Index {
    levels: Vec<Vec<BlockRef>>,
}

/// What the columns divide.
#[derive(Debug, Clone)]
pub(crate) enum Axis {
    /// A range of indices.
    Indices(Range<u64>),
    /// A stretch of time, in which `first_index` stands at `start` and the rest follows at the
    /// rate of so many samples in so many seconds.
    Times {
        from: UtcNanos,
        duration_ns: i64,
        start: UtcNanos,
        first_index: u64,
        rate: (u64, u64),
    },
}

/// The columns being filled.
pub(crate) struct Canvas {
    pub(crate) axis: Axis,
    columns: usize,
    rows: usize,
    min: Vec<f64>,
    max: Vec<f64>,
}

impl Canvas {
    pub(crate) fn new(axis: Axis, columns: usize, rows: usize) -> Result<Self> {
        if columns > MAX_COLUMNS {
            return Err(RecordingError::TooMuch {
                what: "columns",
                limit: MAX_COLUMNS as u64,
            });
        }
        Ok(Self {
            axis,
            columns,
            rows,
            min: vec![f64::NAN; rows * columns],
            max: vec![f64::NAN; rows * columns],
        })
    }

    pub(crate) fn finish(self, range: Range<u64>, level: u8) -> Envelopes {
        Envelopes {
            first_index: range.start,
            end_index: range.end,
            channels: self.rows,
            columns: self.columns,
            min: self.min,
            max: self.max,
            bin: bin_samples(level),
        }
    }

    /// The column of an index, as index × a + b over c; outside the canvas where it is negative or
    /// not below the number of columns.
    fn terms(&self) -> (i128, i128, i128) {
        let columns = self.columns as i128;
        match &self.axis {
            Axis::Indices(range) => {
                let start = i128::from(range.start);
                (columns, -start * columns, i128::from(range.end) - start)
            }
            Axis::Times {
                from,
                duration_ns,
                start,
                first_index,
                rate: (samples, seconds),
            } => {
                let period = i128::from(*seconds) * i128::from(NANOS_PER_S);
                let ahead = i128::from(start.nanos_since(*from)) * i128::from(*samples);
                let zero = ahead - i128::from(*first_index) * period;
                let whole = i128::from(*duration_ns) * i128::from(*samples);
                (period * columns, zero * columns, whole)
            }
        }
    }

    fn column(&self, index: u64) -> i128 {
        let (a, b, c) = self.terms();
        (i128::from(index) * a + b).div_euclid(c.max(1))
    }

    /// The columns that hold the indices `from` to before `to`, as far as they are on the canvas.
    fn columns_of(&self, from: u64, to: u64) -> Range<usize> {
        let clip = |column: i128| column.clamp(0, self.columns as i128) as usize;
        clip(self.column(from))..clip(self.column(to - 1) + 1)
    }

    /// First index of the column behind that of `index`.
    fn next_column(&self, index: u64) -> u64 {
        let (a, b, c) = self.terms();
        let begins = (self.column(index) + 1) * c - b;
        let at = begins.div_euclid(a.max(1)) + i128::from(begins.rem_euclid(a.max(1)) > 0);
        u64::try_from(at).unwrap_or(u64::MAX).max(index + 1)
    }

    /// Merges an extreme pair into some columns of `row`.
    fn put(&mut self, row: usize, columns: Range<usize>, low: f64, high: f64) {
        for at in row * self.columns + columns.start..row * self.columns + columns.end {
            // `min` and `max` take the number where the other is NaN, which marks an empty column.
            self.min[at] = self.min[at].min(low);
            self.max[at] = self.max[at].max(high);
        }
    }

    /// Merges bins (rows of `len`), each into its columns. Bins without a number have low > high.
    fn put_bins(
        &mut self,
        len: usize,
        spans: &[(usize, Range<usize>)],
        pair: impl Fn(usize) -> (f64, f64),
    ) {
        for row in 0..self.rows {
            for (bin, columns) in spans {
                let (low, high) = pair(row * len + bin);
                if low <= high {
                    self.put(row, columns.clone(), low, high);
                }
            }
        }
    }
}

impl Recording {
    /// Min/max envelopes of `channels` over an index range in `columns` equal columns, unscaled.
    ///
    /// A column's envelope holds every sample of the column; drawn from the overview it may also
    /// hold up to one bin (at most a column's width) of its neighbours. Columns without a sample are
    /// NaN. Where the overview is missing or behind, the samples themselves are used.
    ///
    /// # Errors
    /// Unknown stream or channel, text streams, more than 16,384 columns; damaged frames.
    pub fn overview(
        &self,
        stream: StreamIndex,
        channels: Range<usize>,
        range: Range<u64>,
        columns: usize,
    ) -> Result<Envelopes> {
        let (description, _) = self.stream(stream)?;
        if is_text(description) {
            return Err(RecordingError::IsText(stream));
        }
        if channels.end > description.channels.len() || channels.is_empty() {
            return Err(RecordingError::UnknownChannel {
                stream,
                channel: channels.end.max(1) - 1,
            });
        }
        let mut canvas = Canvas::new(Axis::Indices(range.clone()), columns, channels.len())?;
        let mut level = 0;
        if !range.is_empty() && columns > 0 {
            level = Self::level_for((range.end - range.start) / columns as u64);
            for run in self.runs(stream)? {
                let part = run.first_index.max(range.start)..run.end_index.min(range.end);
                if part.start < part.end {
                    self.fill(stream, &channels, level, part, &mut canvas)?;
                }
            }
        }
        Ok(canvas.finish(range, level))
    }

    /// The highest level whose bins are no wider than a column of `width` samples.
    pub(crate) fn level_for(width: u64) -> u8 {
        (1..=OVERVIEW_LEVELS as u8)
            .rfind(|level| bin_samples(*level) <= width)
            .unwrap_or(0)
    }

    /// Fills `part` from `level`, and what that level lacks from the levels below.
    pub(crate) fn fill(
        &self,
        stream: StreamIndex,
        channels: &Range<usize>,
        level: u8,
        part: Range<u64>,
        canvas: &mut Canvas,
    ) -> Result<()> {
        if part.is_empty() {
            return Ok(());
        }
        if level == 0 {
            return self.fill_samples(stream, channels, part, canvas);
        }
        let blocks = self.blocks(stream, level);
        let first = blocks.partition_point(|b| b.frame.end() <= part.start);
        let mut at = part.start;
        for block in &blocks[first..] {
            if block.frame.first >= part.end {
                break;
            }
            let covered = block.frame.first.max(at)..block.frame.end().min(part.end);
            if covered.is_empty() {
                continue;
            }
            self.fill(stream, channels, level - 1, at..covered.start, canvas)?;
            if !self.fill_block(block, channels, level, &covered, canvas) {
                self.fill(stream, channels, level - 1, covered.clone(), canvas)?;
            }
            at = covered.end;
        }
        self.fill(stream, channels, level - 1, at..part.end, canvas)
    }

    /// Merges the bins of a block that touch `part`; `false` when the block does not read.
    fn fill_block(
        &self,
        block: &BlockRef,
        channels: &Range<usize>,
        level: u8,
        part: &Range<u64>,
        canvas: &mut Canvas,
    ) -> bool {
        let Ok(file) = self.pool.get(&block.file) else {
            return false;
        };
        let mut buffer = Vec::new();
        let Ok((head, payload)) = file.frame(block.frame.offset, block.frame.len, &mut buffer)
        else {
            return false;
        };
        let Some(bins) = pyramid::decode(payload, level, head.first, head.count, channels) else {
            return false;
        };
        let size = bin_samples(level);
        let first_bin = head.first / size;
        let spans: Vec<(usize, Range<usize>)> = (0..bins.bins)
            .filter_map(|bin| {
                let from = ((first_bin + bin as u64) * size).max(part.start);
                let to = ((first_bin + bin as u64 + 1) * size).min(part.end);
                (from < to).then(|| (bin, canvas.columns_of(from, to)))
            })
            .collect();
        match (&bins.min, &bins.max) {
            (Samples::I32(low), Samples::I32(high)) => {
                canvas.put_bins(bins.bins, &spans, |at| {
                    (f64::from(low[at]), f64::from(high[at]))
                });
            }
            (Samples::F32(low), Samples::F32(high)) => {
                canvas.put_bins(bins.bins, &spans, |at| {
                    (f64::from(low[at]), f64::from(high[at]))
                });
            }
            _ => return false,
        }
        true
    }

    fn fill_samples(
        &self,
        stream: StreamIndex,
        channels: &Range<usize>,
        part: Range<u64>,
        canvas: &mut Canvas,
    ) -> Result<()> {
        let mut current = vec![0.0; 2 * canvas.rows];
        for piece in self.pieces_of(stream, channels.clone(), part)? {
            let piece = piece?;
            let shape = Shape {
                rows: piece.channels,
                len: piece.len,
                stride: piece.len,
            };
            let mut from = 0;
            while from < piece.len {
                let index = piece.first_index + from as u64;
                let columns = canvas.columns_of(index, index + 1);
                let to = (canvas.next_column(index) - piece.first_index).min(piece.len as u64);
                let half = canvas.rows;
                current[..half].fill(f64::INFINITY);
                current[half..].fill(f64::NEG_INFINITY);
                pyramid::merge(&piece.samples, shape, from..to as usize, &mut current);
                for row in 0..half {
                    if current[row] <= current[half + row] {
                        canvas.put(row, columns.clone(), current[row], current[half + row]);
                    }
                }
                from = to as usize;
            }
        }
        Ok(())
    }

    fn blocks(&self, stream: StreamIndex, level: u8) -> &[BlockRef] {
        let Some(cell) = self.overviews.get(usize::from(stream.0)) else {
            return &[];
        };
        let index = cell.get_or_init(|| self.index_overview(stream));
        index
            .levels
            .get(usize::from(level) - 1)
            .map_or(&[], Vec::as_slice)
    }

    /// Lists the blocks of a stream's overview files. Files that do not read are left out: what
    /// they would say is computed from the samples.
    fn index_overview(&self, stream: StreamIndex) -> Index {
        let mut levels = vec![Vec::new(); OVERVIEW_LEVELS];
        for (identity, len) in self
            .overview_files
            .iter()
            .filter(|f| f.0.stream == stream.0)
        {
            let Ok(file) = self.pool.get(identity) else {
                continue;
            };
            let frames = match file.table(*len) {
                Ok(Some(frames)) => frames,
                _ => file
                    .scan(*len, false, None)
                    .map(|s| s.frames)
                    .unwrap_or_default(),
            };
            for frame in frames {
                let level = usize::from(frame.level);
                if frame.kind == frame_kind::OVERVIEW && (1..=OVERVIEW_LEVELS).contains(&level) {
                    levels[level - 1].push(BlockRef {
                        file: *identity,
                        frame,
                    });
                }
            }
        }
        for level in &mut levels {
            level.sort_by_key(|block| (block.frame.first, block.frame.end()));
        }
        Index { levels }
    }

    /// Whether the lowest level holds every recorded sample of the stream.
    pub(crate) fn overview_reaches(&self, stream: StreamIndex) -> Result<bool> {
        let blocks = self.blocks(stream, 1);
        for run in self.runs(stream)? {
            let mut at = run.first_index;
            let first = blocks.partition_point(|b| b.frame.end() <= at);
            for block in &blocks[first..] {
                if block.frame.first > at {
                    break;
                }
                at = at.max(block.frame.end());
            }
            if at < run.end_index {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
