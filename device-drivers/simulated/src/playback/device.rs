//! The opened file.

use super::plan::{Group, plan};
use super::refused;
use super::scan::{Mark, Timeline, scan};
use crate::edf::{EdfError, Reader, RecordDuration};
use crate::limits::{FAST_READ_NS, FAST_SLICE_NS, ONSET_TOLERANCE_NS, SLICE_NS};
use crate::settings::Speed;
use contract::{
    Capabilities, Clock, Device, DeviceClass, DeviceDescription, DeviceError, DeviceEvent,
    ErrorKind, Read, Safety, Sink,
};
use signal::{
    AnnotationOrigin, DeviceNanos, GapCause, HostNanos, Impedance, MAX_SAMPLES_PER_BLOCK, Missing,
    Samples, StreamIndex,
};
use std::collections::VecDeque;
use std::fs::File;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::time::Duration;

/// A file acts on nobody.
#[derive(Debug)]
struct NothingActs;

impl Safety for NothingActs {
    fn end_all(&self) -> Result<(), DeviceError> {
        Ok(())
    }
}

/// A file that is played back.
#[derive(Debug)]
pub(super) struct PlaybackDevice {
    description: DeviceDescription,
    reader: Reader<File>,
    groups: Vec<Group>,
    timeline: Timeline,
    duration: RecordDuration,
    /// Slices that each record is delivered in.
    slices: u64,
    marks: VecDeque<Mark>,
    warnings: VecDeque<String>,
    speed: Speed,
    clock: Arc<dyn Clock>,
    /// Whether streaming, and the host time at which the file's first sample would have been due.
    anchor: Option<HostNanos>,
    /// Next record and slice.
    record: u64,
    slice: u64,
    /// Number of each stream's first sample in the present record.
    bases: Vec<u64>,
    bytes: Vec<u8>,
}

impl PlaybackDevice {
    pub(super) fn new(
        address: &str,
        file: File,
        speed: Speed,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, EdfError> {
        let mut reader = Reader::new(file)?;
        let plan = plan(reader.header())?;
        let scan = scan(&mut reader)?;
        let duration = reader.header().record_duration;
        let mut warnings = VecDeque::from(plan.warnings);
        warnings.extend(scan.warnings);
        warnings.extend(incomplete(&reader));
        Ok(Self {
            description: DeviceDescription {
                id: format!("playback:{address}"),
                model: super::plan::model(reader.header()),
                serial: String::new(),
                firmware: String::new(),
                class: DeviceClass::Playback,
                pacing: speed.pacing(),
                capabilities: Capabilities::default(),
                streams: plan.streams,
            },
            slices: slices(duration, &plan.groups, speed),
            bases: vec![0; plan.groups.len()],
            groups: plan.groups,
            timeline: scan.timeline,
            duration,
            marks: scan.marks.into(),
            warnings,
            speed,
            clock,
            anchor: None,
            record: 0,
            slice: 0,
            bytes: Vec::new(),
            reader,
        })
    }

    /// Time played when the first `slice` slices of record `record` have been, breaks left out, ns.
    fn played(&self, record: u64, slice: u64) -> i64 {
        let part =
            i128::from(self.duration.nanos_of(1)) * i128::from(slice) / i128::from(self.slices);
        (self.duration.nanos_of(record)).saturating_add(i64::try_from(part).unwrap_or(i64::MAX))
    }

    /// Host time at which the present slice is complete.
    fn due(&self, anchor: HostNanos) -> HostNanos {
        let played = self.played(self.record, self.slice + 1);
        anchor.plus_nanos(at_speed(played, self.speed))
    }

    fn has_ended(&self) -> bool {
        self.record >= self.reader.layout().records
    }

    /// When record `record` begins, by the file's clock.
    fn onset(&self, record: u64) -> i64 {
        match &self.timeline {
            Timeline::Continuous { start_ns } => {
                start_ns.saturating_add(self.duration.nanos_of(record))
            }
            Timeline::Onsets(onsets) => {
                let position = usize::try_from(record).unwrap_or(usize::MAX);
                onsets.get(position).copied().unwrap_or(i64::MAX)
            }
        }
    }

    /// Reads the present record and says where it does not continue the one before.
    fn load(&mut self, sink: &mut dyn Sink) -> Result<(), DeviceError> {
        (self.reader.read_record(self.record, &mut self.bytes))
            .map_err(|error| refused("read playback file", &error))?;
        if let Timeline::Onsets(_) = self.timeline
            && self.record > 0
        {
            let expected = self
                .onset(self.record - 1)
                .saturating_add(self.duration.nanos_of(1));
            self.announce(self.onset(self.record).saturating_sub(expected), sink);
        }
        Ok(())
    }

    fn announce(&mut self, jump_ns: i64, sink: &mut dyn Sink) {
        if jump_ns.unsigned_abs() <= ONSET_TOLERANCE_NS || self.is_rounding(jump_ns) {
            return;
        }
        if jump_ns < 0 {
            let record = self.record + 1;
            sink.event(DeviceEvent::Warning(format!(
                "data record {record} begins before the one before it ends"
            )));
        }
        for (index, (group, base)) in (0_u16..).zip(self.groups.iter().zip(&mut self.bases)) {
            let samples = group.rate.index_at(jump_ns);
            let rest = group.rate.nanos_of(samples).saturating_sub(jump_ns);
            let exact = rest.unsigned_abs() <= ONSET_TOLERANCE_NS;
            *base = base.saturating_add(samples);
            sink.event(DeviceEvent::Discontinuity {
                stream: StreamIndex(index),
                cause: GapCause::Source,
                missing: if exact {
                    Missing::Exact(samples)
                } else {
                    Missing::Unknown
                },
            });
        }
    }

    /// Onsets are decimal texts: less than a tenth of the shortest sample is their rounding.
    fn is_rounding(&self, jump_ns: i64) -> bool {
        let shortest = self.groups.iter().map(|group| group.rate.nanos_of(1)).min();
        shortest.is_some_and(|period| jump_ns.unsigned_abs() < period.unsigned_abs() / 10)
    }

    /// Delivers the present slice: what was marked before its end, then each stream's samples.
    fn deliver(&mut self, arrival: HostNanos, sink: &mut dyn Sink) {
        let onset = self.onset(self.record);
        let end = onset.saturating_add(self.played(0, self.slice + 1));
        self.deliver_marks(Some(end), sink);
        let format = self.reader.header().format;
        for (index, (group, base)) in (0_u16..).zip(self.groups.iter().zip(&self.bases)) {
            let part = |slice: u64| {
                let samples = u128::from(group.samples) * u128::from(slice);
                usize::try_from(samples / u128::from(self.slices)).unwrap_or(0)
            };
            let (from, until) = (part(self.slice), part(self.slice + 1));
            if from == until {
                continue;
            }
            let counter = base.saturating_add(from as u64);
            let device_time = match &self.timeline {
                // From the file's start, so that no rounding of record lengths shows.
                Timeline::Continuous { start_ns } => {
                    start_ns.saturating_add(group.rate.nanos_of(counter))
                }
                Timeline::Onsets(_) => onset.saturating_add(group.rate.nanos_of(from as u64)),
            };
            let rows = group.signals.iter().map(|signal| {
                let range = self.reader.signal_range(*signal);
                let width = format.sample_bytes();
                range.start + from * width..range.start + until * width
            });
            sink.block(StreamIndex(index), &mut |block| {
                block.len = until - from;
                block.counter = Some(counter);
                block.arrival = arrival;
                block.device_time = Some(DeviceNanos(device_time));
                decode(&self.bytes, rows.clone(), &mut block.samples);
            });
        }
        self.slice += 1;
        if self.slice == self.slices {
            self.slice = 0;
            self.record += 1;
            for (group, base) in self.groups.iter().zip(&mut self.bases) {
                *base = base.saturating_add(group.samples);
            }
        }
    }

    /// Delivers the marks before `end`, or all that are left.
    fn deliver_marks(&mut self, end: Option<i64>, sink: &mut dyn Sink) {
        while let Some(mark) = self.marks.front()
            && end.is_none_or(|end| mark.onset_ns < end)
            && let Some(mark) = self.marks.pop_front()
        {
            sink.event(DeviceEvent::Annotation {
                onset: DeviceNanos(mark.onset_ns),
                duration_ns: mark.duration_ns,
                text: mark.text,
                origin: AnnotationOrigin::Source,
            });
        }
    }

    fn read_now(&mut self, arrival: HostNanos, sink: &mut dyn Sink) -> Result<(), DeviceError> {
        if self.slice == 0 {
            self.load(sink)?;
        }
        self.deliver(arrival, sink);
        Ok(())
    }

    fn finish(&mut self, sink: &mut dyn Sink) -> Read {
        if self.marks.is_empty() {
            return Read::Ended;
        }
        self.deliver_marks(None, sink);
        Read::Progress
    }

    fn unsupported(doing: &str) -> DeviceError {
        DeviceError::new(
            ErrorKind::Unsupported,
            doing,
            "a file that is played back cannot do that",
        )
    }
}

/// What a person should know of a file that was cut off or goes on.
fn incomplete(reader: &Reader<File>) -> Option<String> {
    let layout = reader.layout();
    let bytes = layout.trailing_bytes;
    match layout.missing_records {
        0 if bytes == 0 => None,
        0 => Some(format!(
            "{bytes} bytes after the last data record are left out"
        )),
        missing => Some(format!(
            "the file is cut off: {missing} data records that its header promises are missing, and {bytes} bytes of an incomplete one are left out"
        )),
    }
}

/// Slices a record: short enough to arrive evenly, and for a block to hold.
fn slices(duration: RecordDuration, groups: &[Group], speed: Speed) -> u64 {
    let longest = match speed {
        Speed::Times(_) => SLICE_NS,
        Speed::Max => FAST_SLICE_NS,
    };
    let by_time = duration
        .nanos_of(1)
        .unsigned_abs()
        .div_ceil(longest.unsigned_abs());
    let most = groups.iter().map(|group| group.samples).max().unwrap_or(1);
    // More slices than samples would deliver nothing at a time.
    by_time
        .min(most)
        .max(most.div_ceil(MAX_SAMPLES_PER_BLOCK as u64))
        .max(1)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
fn at_speed(nanos: i64, speed: Speed) -> i64 {
    match speed {
        Speed::Times(times) => (nanos as f64 / times) as i64,
        Speed::Max => 0,
    }
}

/// Little-endian samples of each row's bytes, row after row.
fn decode(bytes: &[u8], rows: impl Iterator<Item = Range<usize>>, samples: &mut Samples) {
    for row in rows {
        let row = &bytes[row];
        match samples {
            Samples::I16(out) => {
                out.extend(
                    row.chunks_exact(2)
                        .map(|b| i16::from_le_bytes([b[0], b[1]])),
                );
            }
            Samples::I24(out) => {
                // Into the upper bytes and down again, which keeps the sign.
                out.extend(
                    row.chunks_exact(3)
                        .map(|b| i32::from_le_bytes([0, b[0], b[1], b[2]]) >> 8),
                );
            }
            _ => {}
        }
    }
}

impl Device for PlaybackDevice {
    fn description(&self) -> &DeviceDescription {
        &self.description
    }

    fn safety(&self) -> Arc<dyn Safety> {
        Arc::new(NothingActs)
    }

    /// Goes on where it was stopped.
    fn start(&mut self) -> Result<(), DeviceError> {
        if self.anchor.is_none() {
            let played = at_speed(self.played(self.record, self.slice), self.speed);
            self.anchor = Some(self.clock.host().plus_nanos(-played));
        }
        Ok(())
    }

    fn read(&mut self, sink: &mut dyn Sink, timeout: Duration) -> Result<Read, DeviceError> {
        let Some(anchor) = self.anchor else {
            self.clock.sleep(timeout);
            return Ok(Read::Idle);
        };
        if let Some(warning) = self.warnings.pop_front() {
            sink.event(DeviceEvent::Warning(warning));
            return Ok(Read::Progress);
        }
        if self.has_ended() {
            return Ok(self.finish(sink));
        }
        if self.speed == Speed::Max {
            let begin = self.played(self.record, self.slice);
            while !self.has_ended() && self.played(self.record, self.slice) - begin < FAST_READ_NS {
                self.read_now(self.clock.host(), sink)?;
            }
            return Ok(Read::Progress);
        }
        let wait = i64::try_from(timeout.as_nanos()).unwrap_or(i64::MAX);
        let now = self.clock.host();
        let due = self.due(anchor);
        if due > now {
            let nanos = due.nanos_since(now).min(wait);
            self.clock.sleep(Duration::from_nanos(nanos.unsigned_abs()));
            if self.clock.host() < due {
                return Ok(Read::Idle);
            }
        }
        self.read_now(due, sink)?;
        Ok(Read::Progress)
    }

    fn stop(&mut self) -> Result<(), DeviceError> {
        self.anchor = None;
        Ok(())
    }

    fn measure_impedances(
        &mut self,
        _progress: &mut dyn FnMut(&Impedance) -> ControlFlow<()>,
    ) -> Result<Vec<Impedance>, DeviceError> {
        Err(Self::unsupported("measure impedances"))
    }

    fn calibration(&mut self, _on: bool) -> Result<(), DeviceError> {
        Err(Self::unsupported("switch the calibration signal"))
    }
}
