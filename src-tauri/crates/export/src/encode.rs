//! Samples into data records, and where records stand in time.

use crate::ExportError;
use crate::number::NANOS_PER_TICK;
use crate::plan::FilePlan;
use crate::scale::{I16_RANGE, I24_RANGE};
use crate::survey::Encoding;
use signal::{Samples, UtcNanos};

/// Onset of every record, in ticks after the header's start.
#[derive(Debug)]
pub(crate) struct Axis {
    /// First record, its onset, for each segment; ascending.
    segments: Vec<AxisSegment>,
    ticks: i64,
}

#[derive(Debug)]
struct AxisSegment {
    first_record: u64,
    records: u64,
    onset: i64,
    start: UtcNanos,
    end: UtcNanos,
    nominal_ns: i64,
}

impl Axis {
    /// The axis of `plan` from `origin`, the header's start.
    pub(crate) fn new(plan: &FilePlan, origin: UtcNanos) -> Self {
        let mut first_record = 0;
        let segments = plan
            .segments
            .iter()
            .map(|segment| {
                let ticks = segment.start.nanos_since(origin) / NANOS_PER_TICK;
                let axis = AxisSegment {
                    first_record,
                    records: segment.records,
                    // Whole microseconds, as fine as the readers resolve a file's start.
                    onset: ticks - ticks.rem_euclid(10),
                    start: segment.start,
                    end: segment.end,
                    nominal_ns: segment.nominal_ns,
                };
                first_record += segment.records;
                axis
            })
            .collect();
        Self {
            segments,
            ticks: plan.ticks,
        }
    }

    /// Onset of `record`.
    pub(crate) fn onset(&self, record: u64) -> i64 {
        let at = self
            .segments
            .partition_point(|segment| segment.first_record <= record);
        let segment = &self.segments[at.saturating_sub(1)];
        let within = i64::try_from(record - segment.first_record).unwrap_or(i64::MAX);
        segment.onset + within * self.ticks
    }

    /// Where `at` lies on the file's axis. Within a run, time by the clock is mapped onto the nominal
    /// rate, so that a mark stays on its sample however far the device's clock has drifted.
    pub(crate) fn place(&self, at: UtcNanos) -> i64 {
        let after = self.segments.partition_point(|segment| segment.start <= at);
        let segment = &self.segments[after.saturating_sub(1)];
        let into = at.nanos_since(segment.start);
        let fitted = segment.end.nanos_since(segment.start);
        let nominal = if into <= 0 || fitted <= 0 {
            into
        } else if into >= fitted {
            segment.nominal_ns + (into - fitted)
        } else {
            let scaled = i128::from(into) * i128::from(segment.nominal_ns) / i128::from(fitted);
            i64::try_from(scaled).unwrap_or(into)
        };
        segment.onset + nominal.div_euclid(NANOS_PER_TICK)
    }

    /// The record that covers `onset`, or the last before it.
    pub(crate) fn record(&self, onset: i64) -> u64 {
        let after = self
            .segments
            .partition_point(|segment| segment.onset <= onset);
        let segment = &self.segments[after.saturating_sub(1)];
        let within = u64::try_from((onset - segment.onset) / self.ticks.max(1)).unwrap_or(0);
        segment.first_record + within.min(segment.records.saturating_sub(1))
    }
}

/// One channel's place in a chunk of records.
pub(crate) struct Target<'a> {
    pub(crate) bytes: &'a mut [u8],
    pub(crate) record_bytes: usize,
    pub(crate) column: usize,
    pub(crate) per: usize,
    pub(crate) count: usize,
}

impl Target<'_> {
    /// Puts `per` × `count` values that start at `from` of `samples` into their records.
    pub(crate) fn put(
        self,
        samples: &Samples,
        from: usize,
        encoding: Encoding,
        width: usize,
        channel: usize,
    ) -> Result<(), ExportError> {
        let short = || ExportError::Source {
            operation: "read samples",
            source: "fewer samples than the run holds".into(),
        };
        let until = from + self.per * self.count;
        match (samples, encoding) {
            (Samples::I16(all), Encoding::Identical) => {
                let values = all.get(from..until).ok_or_else(short)?;
                if width == 2 {
                    self.each(
                        values,
                        |value, out| out.copy_from_slice(&value.to_le_bytes()),
                        2,
                    );
                } else {
                    self.each(
                        values,
                        |value, out| out.copy_from_slice(&i32::from(value).to_le_bytes()[..3]),
                        3,
                    );
                }
            }
            (Samples::I24(all) | Samples::I32(all), Encoding::Identical) => {
                let values = all.get(from..until).ok_or_else(short)?;
                let (limits, bits) = if width == 2 {
                    (I16_RANGE, 16)
                } else {
                    (I24_RANGE, 24)
                };
                let outside = |value: &&i32| **value < limits[0] || **value > limits[1];
                if let Some(value) = values.iter().find(outside) {
                    return Err(ExportError::Range {
                        channel,
                        value: i64::from(*value),
                        bits,
                    });
                }
                if width == 2 {
                    self.each(
                        values,
                        |v, out| out.copy_from_slice(&v.to_le_bytes()[..2]),
                        2,
                    );
                } else {
                    self.each(
                        values,
                        |v, out| out.copy_from_slice(&v.to_le_bytes()[..3]),
                        3,
                    );
                }
            }
            (Samples::F32(all), Encoding::Quantised { .. }) => {
                let values = all.get(from..until).ok_or_else(short)?;
                self.each(
                    values,
                    |v, out| out.copy_from_slice(&quantise(f64::from(v), encoding)[..3]),
                    3,
                );
            }
            (Samples::F64(all), Encoding::Quantised { .. }) => {
                let values = all.get(from..until).ok_or_else(short)?;
                self.each(
                    values,
                    |v, out| out.copy_from_slice(&quantise(v, encoding)[..3]),
                    3,
                );
            }
            _ => {
                return Err(ExportError::Source {
                    operation: "read samples",
                    source: "another sample type than the stream's description says".into(),
                });
            }
        }
        Ok(())
    }

    fn each<T: Copy>(self, values: &[T], put: impl Fn(T, &mut [u8]), width: usize) {
        for (n, values) in values.chunks_exact(self.per).enumerate() {
            let start = n * self.record_bytes + self.column;
            let out = &mut self.bytes[start..start + self.per * width];
            for (value, out) in values.iter().zip(out.chunks_exact_mut(width)) {
                put(*value, out);
            }
        }
    }
}

#[allow(clippy::cast_possible_truncation)]
fn quantise(value: f64, encoding: Encoding) -> [u8; 4] {
    let Encoding::Quantised {
        gain,
        offset,
        start,
        step,
        first,
    } = encoding
    else {
        return [0; 4];
    };
    let count = (value.mul_add(gain, offset) - start) / step + first;
    let limited = count
        .round()
        .clamp(f64::from(I24_RANGE[0]), f64::from(I24_RANGE[1]));
    (limited as i32).to_le_bytes()
}
