//! Samples into data records.

use crate::limits::WRITE_CHUNK_BYTES;
use crate::number::NANOS_PER_TICK;
use crate::plan::FilePlan;
use crate::scale::{I16_RANGE, I24_RANGE};
use crate::source::Source;
use crate::stage::Staged;
use crate::survey::{Encoding, Surveyed};
use crate::tal::Layout;
use crate::{ExportError, Progress};
use signal::{Samples, UtcNanos};
use std::ops::ControlFlow;

/// Reports how far the export has come; breaking stops it.
pub(crate) struct Meter<'a> {
    pub(crate) done: Progress,
    pub(crate) report: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
}

impl Meter<'_> {
    pub(crate) fn add(&mut self, samples: u64) -> Result<(), ExportError> {
        self.done.samples += samples;
        match (self.report)(self.done) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(ExportError::Cancelled),
        }
    }
}

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

/// Writes all records of `plan`.
pub(crate) fn records(
    source: &dyn Source,
    plan: &FilePlan,
    streams: &[Surveyed],
    (axis, layout): (&Axis, &Layout),
    bdf: bool,
    file: &mut Staged,
    meter: &mut Meter<'_>,
) -> Result<(), ExportError> {
    let width = if bdf { 3 } else { 2 };
    let members: Vec<&Surveyed> = plan.members.iter().map(|m| &streams[m.stream]).collect();
    let per_record: Vec<usize> = plan
        .members
        .iter()
        .map(|m| usize::try_from(m.per_record).unwrap_or(usize::MAX))
        .collect();
    let values: usize = members
        .iter()
        .zip(&per_record)
        .map(|(stream, per)| stream.signals.len() * per)
        .sum();
    let record_bytes = values * width + layout.bytes;
    let chunk = (WRITE_CHUNK_BYTES / record_bytes).max(1);
    let mut bytes = vec![0; chunk * record_bytes];
    let mut samples: Vec<Samples> = members
        .iter()
        .map(|stream| Samples::with_capacity(stream.sample_type, 0))
        .collect();
    let mut record = 0;
    for segment in &plan.segments {
        let mut done = 0;
        while done < segment.records {
            let count = usize::try_from(segment.records - done)
                .unwrap_or(usize::MAX)
                .min(chunk);
            let mut column = 0;
            for (position, stream) in members.iter().enumerate() {
                let per = per_record[position];
                let first = segment.first[position] + done * per as u64;
                source
                    .read(stream.index, first, count * per, &mut samples[position])
                    .map_err(|source| ExportError::Source {
                        operation: "read samples",
                        source,
                    })?;
                for channel in 0..stream.signals.len() {
                    let from = channel * count * per;
                    let target = Target {
                        bytes: &mut bytes,
                        record_bytes,
                        column,
                        per,
                        count,
                    };
                    let encoding = stream.encodings[channel];
                    target.put(&samples[position], from, encoding, width, channel)?;
                    column += per * width;
                }
            }
            for n in 0..count {
                let start = n * record_bytes + column;
                let out = &mut bytes[start..start + layout.bytes];
                layout.fill(record, axis.onset(record), out);
                record += 1;
            }
            file.write(&bytes[..count * record_bytes])?;
            done += count as u64;
            meter.add((count * values) as u64)?;
        }
    }
    Ok(())
}

/// One channel's place in a chunk of records.
struct Target<'a> {
    bytes: &'a mut [u8],
    record_bytes: usize,
    column: usize,
    per: usize,
    count: usize,
}

impl Target<'_> {
    /// Puts `per` × `count` values that start at `from` of `samples` into their records.
    fn put(
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
