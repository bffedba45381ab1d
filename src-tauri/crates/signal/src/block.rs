//! Blocks of samples: channels × samples of one stream, in its own sample type.

use crate::{
    DeviceNanos, HostNanos, MAX_CHANNELS, MAX_SAMPLES_PER_BLOCK, SampleType, SamplingRate,
    StreamIndex,
};
use thiserror::Error;

/// Sample storage, row-major channels × samples: row `c` is channel `c`, contiguous.
#[derive(Debug, Clone, PartialEq)]
pub enum Samples {
    /// 16-bit signed integers.
    I16(Vec<i16>),
    /// 24-bit signed integers in 32 bits; values lie in −2²³ … 2²³−1.
    I24(Vec<i32>),
    /// 32-bit signed integers.
    I32(Vec<i32>),
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 64-bit floats.
    F64(Vec<f64>),
    /// Texts.
    Text(Vec<String>),
}

impl Samples {
    /// Empty storage of `sample_type` with room for `capacity` values.
    #[must_use]
    pub fn with_capacity(sample_type: SampleType, capacity: usize) -> Self {
        match sample_type {
            SampleType::I16 => Self::I16(Vec::with_capacity(capacity)),
            SampleType::I24 => Self::I24(Vec::with_capacity(capacity)),
            SampleType::I32 => Self::I32(Vec::with_capacity(capacity)),
            SampleType::F32 => Self::F32(Vec::with_capacity(capacity)),
            SampleType::F64 => Self::F64(Vec::with_capacity(capacity)),
            SampleType::Text => Self::Text(Vec::with_capacity(capacity)),
        }
    }

    /// The type stored.
    #[must_use]
    pub const fn sample_type(&self) -> SampleType {
        match self {
            Self::I16(_) => SampleType::I16,
            Self::I24(_) => SampleType::I24,
            Self::I32(_) => SampleType::I32,
            Self::F32(_) => SampleType::F32,
            Self::F64(_) => SampleType::F64,
            Self::Text(_) => SampleType::Text,
        }
    }

    /// Values stored, over all channels.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::I16(v) => v.len(),
            Self::I24(v) | Self::I32(v) => v.len(),
            Self::F32(v) => v.len(),
            Self::F64(v) => v.len(),
            Self::Text(v) => v.len(),
        }
    }

    /// Whether nothing is stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Drops the values and keeps the allocation.
    pub fn clear(&mut self) {
        match self {
            Self::I16(v) => v.clear(),
            Self::I24(v) | Self::I32(v) => v.clear(),
            Self::F32(v) => v.clear(),
            Self::F64(v) => v.clear(),
            Self::Text(v) => v.clear(),
        }
    }

    /// The columns `range` of rows that are `row` values long.
    #[must_use]
    pub fn columns(&self, row: usize, range: std::ops::Range<usize>) -> Self {
        fn cut<T: Clone>(values: &[T], row: usize, range: &std::ops::Range<usize>) -> Vec<T> {
            if row == 0 {
                return Vec::new();
            }
            values
                .chunks_exact(row)
                .flat_map(|channel| channel.get(range.clone()).unwrap_or_default())
                .cloned()
                .collect()
        }
        match self {
            Self::I16(v) => Self::I16(cut(v, row, &range)),
            Self::I24(v) => Self::I24(cut(v, row, &range)),
            Self::I32(v) => Self::I32(cut(v, row, &range)),
            Self::F32(v) => Self::F32(cut(v, row, &range)),
            Self::F64(v) => Self::F64(cut(v, row, &range)),
            Self::Text(v) => Self::Text(cut(v, row, &range)),
        }
    }

    /// Value at `position` as a float, unscaled; `None` for text or out of range.
    #[must_use]
    #[allow(clippy::cast_lossless)]
    pub fn as_f64(&self, position: usize) -> Option<f64> {
        match self {
            Self::I16(v) => v.get(position).map(|x| f64::from(*x)),
            Self::I24(v) | Self::I32(v) => v.get(position).map(|x| f64::from(*x)),
            Self::F32(v) => v.get(position).map(|x| f64::from(*x)),
            Self::F64(v) => v.get(position).copied(),
            Self::Text(_) => None,
        }
    }
}

/// One block as the device delivered it, with what is known of its time.
///
/// Sample `i` of channel `c` stands at `c × len + i` of [`Self::samples`]. Indices count samples of
/// the stream from 0 at the start of the recording and include those that were lost, so that
/// `first_index` of a block after a gap of n samples is n higher than the block before ends.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleBlock {
    /// Which of the device's streams.
    pub stream: StreamIndex,
    /// Channels (rows).
    pub channels: usize,
    /// Samples per channel (columns).
    pub len: usize,
    /// Unwrapped index of the first sample. A driver leaves 0; acquisition fills it in.
    pub first_index: u64,
    /// Raw value of the device's counter at the block's first packet, where it has one.
    pub counter: Option<u64>,
    /// Host clock when the block's last byte was read.
    pub arrival: HostNanos,
    /// Device clock at the first sample, where the device stamps its blocks.
    pub device_time: Option<DeviceNanos>,
    /// Host clock at the first sample by the fitted clock. Filled in by acquisition.
    pub fitted: Option<HostNanos>,
    /// For irregular streams: device or host stamps, one a sample; empty when regular.
    pub stamps: Vec<i64>,
    /// The values.
    pub samples: Samples,
}

/// Why a block is not well formed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BlockError {
    /// Rows × columns is not what is stored.
    #[error("block of {channels} channels x {len} samples holds {found} values")]
    Shape {
        /// Channels stated.
        channels: usize,
        /// Samples per channel stated.
        len: usize,
        /// Values found.
        found: usize,
    },
    /// More channels or samples than [`MAX_CHANNELS`] and [`MAX_SAMPLES_PER_BLOCK`] allow.
    #[error("block of {channels} channels x {len} samples is larger than a block may be")]
    TooLarge {
        /// Channels stated.
        channels: usize,
        /// Samples per channel stated.
        len: usize,
    },
    /// A 24-bit sample lies outside 24 bits.
    #[error("24-bit sample {value} at position {position} needs more than 24 bits")]
    Range {
        /// Position in the storage.
        position: usize,
        /// The value.
        value: i32,
    },
    /// An irregular stream's stamps do not match its samples.
    #[error("block of {len} samples carries {stamps} time stamps")]
    Stamps {
        /// Samples per channel.
        len: usize,
        /// Stamps found.
        stamps: usize,
    },
}

impl SampleBlock {
    /// An empty block of `stream` that can take `channels` × `capacity` values without allocating.
    #[must_use]
    pub fn with_capacity(
        stream: StreamIndex,
        sample_type: SampleType,
        channels: usize,
        capacity: usize,
    ) -> Self {
        Self {
            stream,
            channels,
            len: 0,
            first_index: 0,
            counter: None,
            arrival: HostNanos(0),
            device_time: None,
            fitted: None,
            stamps: Vec::new(),
            samples: Samples::with_capacity(sample_type, channels * capacity),
        }
    }

    /// Empties the block for reuse and keeps its allocations.
    pub fn reset(&mut self) {
        self.len = 0;
        self.first_index = 0;
        self.counter = None;
        self.arrival = HostNanos(0);
        self.device_time = None;
        self.fitted = None;
        self.stamps.clear();
        self.samples.clear();
    }

    /// Index one past the last sample.
    #[must_use]
    pub const fn end_index(&self) -> u64 {
        self.first_index + self.len as u64
    }

    /// Copies this block into `target`, reusing its allocations.
    pub fn copy_into(&self, target: &mut Self) {
        target.stream = self.stream;
        target.channels = self.channels;
        target.len = self.len;
        target.first_index = self.first_index;
        target.counter = self.counter;
        target.arrival = self.arrival;
        target.device_time = self.device_time;
        target.fitted = self.fitted;
        target.stamps.clone_from(&self.stamps);
        match (&self.samples, &mut target.samples) {
            (Samples::I16(from), Samples::I16(to)) => to.clone_from(from),
            (Samples::I24(from), Samples::I24(to)) | (Samples::I32(from), Samples::I32(to)) => {
                to.clone_from(from);
            }
            (Samples::F32(from), Samples::F32(to)) => to.clone_from(from),
            (Samples::F64(from), Samples::F64(to)) => to.clone_from(from),
            (Samples::Text(from), Samples::Text(to)) => to.clone_from(from),
            (from, to) => *to = from.clone(),
        }
    }

    /// This block without its first `skip` samples, moved on in index and time accordingly.
    /// `skip` above the block's length leaves nothing.
    #[must_use]
    pub fn without_first(&self, skip: usize, rate: SamplingRate) -> Self {
        let skip = skip.min(self.len);
        let nanos = rate.nanos_of(skip as u64);
        Self {
            stream: self.stream,
            channels: self.channels,
            len: self.len - skip,
            first_index: self.first_index + skip as u64,
            counter: self.counter,
            arrival: self.arrival,
            device_time: self.device_time.map(|time| time.plus_nanos(nanos)),
            fitted: self.fitted.map(|time| time.plus_nanos(nanos)),
            stamps: self.stamps.get(skip..).unwrap_or_default().to_vec(),
            samples: self.samples.columns(self.len, skip..self.len),
        }
    }

    /// Checks shape, sizes and the range of 24-bit values.
    ///
    /// # Errors
    /// The first thing found wrong, as a [`BlockError`].
    pub fn check(&self) -> Result<(), BlockError> {
        if self.channels > MAX_CHANNELS || self.len > MAX_SAMPLES_PER_BLOCK {
            return Err(BlockError::TooLarge {
                channels: self.channels,
                len: self.len,
            });
        }
        if self.channels * self.len != self.samples.len() {
            return Err(BlockError::Shape {
                channels: self.channels,
                len: self.len,
                found: self.samples.len(),
            });
        }
        if !self.stamps.is_empty() && self.stamps.len() != self.len {
            return Err(BlockError::Stamps {
                len: self.len,
                stamps: self.stamps.len(),
            });
        }
        if let Samples::I24(values) = &self.samples {
            const LIMIT: i32 = 1 << 23;
            if let Some(position) = values.iter().position(|v| *v < -LIMIT || *v >= LIMIT) {
                return Err(BlockError::Range {
                    position,
                    value: values[position],
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(channels: usize, len: usize, values: Vec<i32>) -> SampleBlock {
        let mut block = SampleBlock::with_capacity(StreamIndex(0), SampleType::I24, channels, len);
        block.len = len;
        block.samples = Samples::I24(values);
        block
    }

    #[test]
    fn shape_and_range_are_checked() {
        assert_eq!(block(2, 2, vec![0; 4]).check(), Ok(()));
        assert!(matches!(
            block(2, 2, vec![0; 3]).check(),
            Err(BlockError::Shape { .. })
        ));
        assert!(matches!(
            block(1, 2, vec![0, 1 << 23]).check(),
            Err(BlockError::Range { position: 1, .. })
        ));
        assert_eq!(block(1, 2, vec![-(1 << 23), (1 << 23) - 1]).check(), Ok(()));
    }

    #[test]
    fn the_front_can_be_cut_off() {
        let mut source = block(2, 3, vec![1, 2, 3, 4, 5, 6]);
        source.first_index = 10;
        source.device_time = Some(DeviceNanos(0));
        let cut = source.without_first(1, SamplingRate::hz(100));
        assert_eq!(cut.samples, Samples::I24(vec![2, 3, 5, 6]));
        assert_eq!((cut.first_index, cut.len), (11, 2));
        assert_eq!(cut.device_time, Some(DeviceNanos(10_000_000)));
        assert_eq!(
            source.without_first(9, SamplingRate::hz(100)).samples.len(),
            0
        );
    }

    #[test]
    fn copying_reuses_and_equals() {
        let source = block(2, 2, vec![1, 2, 3, 4]);
        let mut target = SampleBlock::with_capacity(StreamIndex(9), SampleType::I24, 1, 1);
        source.copy_into(&mut target);
        assert_eq!(source, target);
    }
}
