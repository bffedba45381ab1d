//! The overview: min/max of every 16 samples, then of every 8 bins of the level below.
//!
//! Bins are aligned to the sample index. A block holds consecutive bins of one level; where samples
//! are missing a block ends, and the bin at the edge holds what there was of it.

use crate::bits::{Cursor, put_varint};
use crate::codec::{self, Scratch, Shape};
use crate::limits::{
    MAX_FRAME_VALUES, OVERVIEW_BASE, OVERVIEW_BLOCK_VALUES, OVERVIEW_FACTOR, OVERVIEW_LEVELS,
};
use signal::{MAX_CHANNELS, SampleType, Samples};
use std::ops::Range;

/// Samples in a bin of `level` (1 is the lowest); level 0 stands for the samples themselves.
pub(crate) const fn bin_samples(level: u8) -> u64 {
    if level == 0 {
        1
    } else {
        OVERVIEW_BASE * OVERVIEW_FACTOR.pow(level as u32 - 1)
    }
}

/// One finished block.
pub(crate) struct Block<'a> {
    pub(crate) level: u8,
    /// Samples that the bins cover.
    pub(crate) covered: Range<u64>,
    /// Minima then maxima: 2 × channels rows of `shape.len` bins.
    pub(crate) values: &'a Samples,
    pub(crate) shape: Shape,
}

#[derive(Debug)]
struct Level {
    number: u8,
    /// Row-major 2 × channels by `capacity` bins.
    values: Samples,
    bins: usize,
    /// Samples covered by the finished bins of the block and by the open one.
    covered: Range<u64>,
    open: Option<u64>,
    /// Minima then maxima of the open bin.
    current: Vec<f64>,
}

/// Builds the overview of one stream from its samples in order.
#[derive(Debug)]
pub(crate) struct Builder {
    channels: usize,
    capacity: usize,
    next: u64,
    levels: Vec<Level>,
}

const fn block_capacity(channels: usize) -> usize {
    let bins = OVERVIEW_BLOCK_VALUES / if channels == 0 { 1 } else { channels };
    if bins < 32 {
        32
    } else if bins > 256 {
        256
    } else {
        bins
    }
}

impl Builder {
    pub(crate) fn new(channels: usize, sample_type: SampleType) -> Self {
        let capacity = block_capacity(channels);
        let float = matches!(sample_type, SampleType::F32 | SampleType::F64);
        let values = if float {
            Samples::F32(vec![0.0; 2 * channels * capacity])
        } else {
            Samples::I32(vec![0; 2 * channels * capacity])
        };
        let levels = (1..=OVERVIEW_LEVELS as u8)
            .map(|number| Level {
                number,
                values: values.clone(),
                bins: 0,
                covered: 0..0,
                open: None,
                current: vec![0.0; 2 * channels],
            })
            .collect();
        Self {
            channels,
            capacity,
            next: 0,
            levels,
        }
    }

    /// Takes `shape.len` samples of every channel from `first` on. Finished blocks go to `emit`.
    pub(crate) fn push(
        &mut self,
        first: u64,
        samples: &Samples,
        shape: Shape,
        emit: &mut dyn FnMut(Block<'_>),
    ) {
        if first != self.next {
            self.flush(emit);
        }
        let end = first + shape.len as u64;
        let mut at = first;
        while at < end {
            let bin = at / OVERVIEW_BASE;
            let bin_end = ((bin + 1) * OVERVIEW_BASE).min(end);
            let columns = (at - first) as usize..(bin_end - first) as usize;
            let level = &mut self.levels[0];
            level.begin(bin, at);
            level.covered.end = bin_end;
            merge(samples, shape, columns, &mut level.current);
            at = bin_end;
            if at.is_multiple_of(OVERVIEW_BASE) {
                self.finish_bin(0, emit);
            }
        }
        self.next = end;
    }

    /// Ends open bins and blocks: before a gap and at the end.
    pub(crate) fn flush(&mut self, emit: &mut dyn FnMut(Block<'_>)) {
        for level in 0..self.levels.len() {
            if self.levels[level].open.is_some() {
                self.finish_bin(level, emit);
            }
            self.emit_block(level, emit);
        }
    }

    /// Moves the open bin of `level` into its block and merges it into the level above.
    fn finish_bin(&mut self, level: usize, emit: &mut dyn FnMut(Block<'_>)) {
        let capacity = self.capacity;
        let (lower, upper) = self.levels.split_at_mut(level + 1);
        let this = &mut lower[level];
        let Some(bin) = this.open.take() else {
            return;
        };
        this.store(capacity);
        if let Some(above) = upper.first_mut() {
            let first = (bin * bin_samples(this.number)).max(this.covered.start);
            above.begin(bin / OVERVIEW_FACTOR, first);
            above.covered.end = this.covered.end;
            for (row, value) in above.current.iter_mut().enumerate() {
                *value = if row < self.channels {
                    least(*value, this.current[row])
                } else {
                    greatest(*value, this.current[row])
                };
            }
        }
        if this.bins == capacity {
            self.emit_block(level, emit);
        }
        if (bin + 1).is_multiple_of(OVERVIEW_FACTOR) && level + 1 < self.levels.len() {
            self.finish_bin(level + 1, emit);
        }
    }

    fn emit_block(&mut self, level: usize, emit: &mut dyn FnMut(Block<'_>)) {
        let this = &mut self.levels[level];
        if this.bins > 0 {
            let shape = Shape {
                rows: 2 * self.channels,
                len: this.bins,
                stride: self.capacity,
            };
            emit(Block {
                level: this.number,
                covered: this.covered.clone(),
                values: &this.values,
                shape,
            });
        }
        this.bins = 0;
        this.covered = this.covered.end..this.covered.end;
    }
}

impl Level {
    /// Opens `bin` unless it is open; `first` is its first sample that there is.
    fn begin(&mut self, bin: u64, first: u64) {
        if self.open == Some(bin) {
            return;
        }
        if self.bins == 0 {
            self.covered = first..first;
        }
        self.open = Some(bin);
        let half = self.current.len() / 2;
        self.current[..half].fill(f64::INFINITY);
        self.current[half..].fill(f64::NEG_INFINITY);
    }

    fn store(&mut self, capacity: usize) {
        let column = self.bins;
        let half = self.current.len() / 2;
        for (row, value) in self.current.iter().enumerate() {
            let at = row * capacity + column;
            match &mut self.values {
                Samples::I32(values) => values[at] = *value as i32,
                // Rounded outward, so that the envelope never hides a value.
                Samples::F32(values) => values[at] = outward(*value, row < half),
                _ => {}
            }
        }
        self.bins += 1;
    }
}

/// f64 to f32, downward for minima and upward for maxima. Infinities mark bins without a number.
fn outward(value: f64, down: bool) -> f32 {
    let near = value as f32;
    match f64::from(near).partial_cmp(&value) {
        Some(std::cmp::Ordering::Greater) if down => near.next_down(),
        Some(std::cmp::Ordering::Less) if !down => near.next_up(),
        _ => near,
    }
}

fn least(a: f64, b: f64) -> f64 {
    if b < a { b } else { a }
}

fn greatest(a: f64, b: f64) -> f64 {
    if b > a { b } else { a }
}

/// Merges columns of `samples` into `current`, minima then maxima. NaN values count for nothing.
pub(crate) fn merge(samples: &Samples, shape: Shape, columns: Range<usize>, current: &mut [f64]) {
    fn ints<T: Copy + Ord>(values: &[T]) -> Option<(T, T)> {
        let first = *values.first()?;
        Some(
            values
                .iter()
                .fold((first, first), |(low, high), v| (low.min(*v), high.max(*v))),
        )
    }
    let half = current.len() / 2;
    for row in 0..half {
        let range = row * shape.stride + columns.start..row * shape.stride + columns.end;
        let found = match samples {
            Samples::I16(v) => ints(&v[range]).map(|(a, b)| (f64::from(a), f64::from(b))),
            Samples::I24(v) | Samples::I32(v) => {
                ints(&v[range]).map(|(a, b)| (f64::from(a), f64::from(b)))
            }
            Samples::F32(v) => Some(floats(v[range].iter().map(|x| f64::from(*x)))),
            Samples::F64(v) => Some(floats(v[range].iter().copied())),
            Samples::Text(_) => None,
        };
        if let Some((low, high)) = found {
            current[row] = least(current[row], low);
            current[half + row] = greatest(current[half + row], high);
        }
    }
}

fn floats(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
        (least(low, v), greatest(high, v))
    })
}

/// Appends a block's payload.
pub(crate) fn encode(block: &Block<'_>, scratch: &mut Scratch, out: &mut Vec<u8>) {
    out.push(u8::from(matches!(block.values, Samples::F32(_))));
    put_varint(out, (block.shape.rows / 2) as u64);
    codec::encode(block.values, block.shape, scratch, out);
}

/// Decoded bins of some channels: minima rows then maxima rows.
pub(crate) struct Bins {
    pub(crate) min: Samples,
    pub(crate) max: Samples,
    pub(crate) bins: usize,
}

/// Decodes the payload of a block of `level` that covers `count` samples from `first`.
pub(crate) fn decode(
    payload: &[u8],
    level: u8,
    first: u64,
    count: u32,
    wanted: &Range<usize>,
) -> Option<Bins> {
    if level == 0 || usize::from(level) > OVERVIEW_LEVELS || count == 0 {
        return None;
    }
    let mut cursor = Cursor(payload);
    let sample_type = match cursor.byte()? {
        0 => SampleType::I32,
        1 => SampleType::F32,
        _ => return None,
    };
    let channels = cursor.size(MAX_CHANNELS)?;
    let size = bin_samples(level);
    let last = first.checked_add(u64::from(count) - 1)?;
    let bins = usize::try_from(last / size - first / size + 1).ok()?;
    if wanted.end > channels || channels.checked_mul(2 * bins)? > MAX_FRAME_VALUES {
        return None;
    }
    let rows = 2 * channels;
    let mut min = codec::empty(sample_type);
    codec::decode(cursor.0, rows, bins, wanted, &mut min)?;
    let mut max = codec::empty(sample_type);
    let maxima = channels + wanted.start..channels + wanted.end;
    codec::decode(cursor.0, rows, bins, &maxima, &mut max)?;
    Some(Bins { min, max, bins })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_hold_the_extremes_of_their_samples() {
        let mut builder = Builder::new(1, SampleType::I32);
        let values: Vec<i32> = (0..5000).map(|i| (i * 7919) % 10_007 - 5000).collect();
        let mut blocks: Vec<(u8, Range<u64>, Vec<u8>)> = Vec::new();
        let mut scratch = Scratch::new();
        let mut emit = |block: Block<'_>| {
            let mut out = Vec::new();
            encode(&block, &mut scratch, &mut out);
            blocks.push((block.level, block.covered.clone(), out));
        };
        // Two runs with a gap of 100 inside one bin of the third level, in uneven pieces.
        for (from, to) in [(0, 5), (5, 300), (300, 1777), (1877, 1900), (1900, 5000)] {
            let samples = Samples::I32(values[from..to].to_vec());
            let shape = Shape {
                rows: 1,
                len: to - from,
                stride: to - from,
            };
            builder.push(from as u64, &samples, shape, &mut emit);
        }
        builder.flush(&mut emit);
        for level in 1..=OVERVIEW_LEVELS as u8 {
            let mut covered = 0;
            for (_, range, payload) in blocks.iter().filter(|b| b.0 == level) {
                let count = (range.end - range.start) as u32;
                covered += count;
                let bins = decode(payload, level, range.start, count, &(0..1)).expect("decodes");
                let size = bin_samples(level);
                for bin in 0..bins.bins {
                    let from = ((range.start / size + bin as u64) * size).max(range.start);
                    let to = ((range.start / size + bin as u64 + 1) * size).min(range.end);
                    let slice = &values[from as usize..to as usize];
                    let low = f64::from(*slice.iter().min().expect("not empty"));
                    let high = f64::from(*slice.iter().max().expect("not empty"));
                    assert_eq!(bins.min.as_f64(bin), Some(low), "level {level}");
                    assert_eq!(bins.max.as_f64(bin), Some(high), "level {level}");
                }
            }
            assert_eq!(covered, 4900, "level {level}");
        }
    }

    #[test]
    fn floats_are_rounded_outward() {
        let value = 0.1_f64;
        assert!(f64::from(outward(value, true)) <= value);
        assert!(f64::from(outward(value, false)) >= value);
        assert_eq!(outward(0.5, true), 0.5);
    }
}
