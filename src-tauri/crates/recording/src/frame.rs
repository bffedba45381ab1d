//! Payload of a frame of samples: its blocks' counters and times, then the coded samples.

use crate::bits::{Cursor, put_signed, put_varint};
use crate::codec::{self, Scratch, Shape};
use crate::limits::MAX_FRAME_VALUES;
use crate::reader::BlockPart;
use signal::{
    ClockSource, DeviceNanos, HostNanos, MAX_CHANNELS, SampleType, Samples, SamplingRate, UtcNanos,
};
use std::ops::Range;

const COUNTER: u8 = 1;
const DEVICE: u8 = 2;
const FITTED: u8 = 4;

const fn type_code(sample_type: SampleType) -> u8 {
    match sample_type {
        SampleType::I16 => 1,
        SampleType::I24 => 2,
        SampleType::I32 => 3,
        SampleType::F32 => 4,
        SampleType::F64 => 5,
        SampleType::Text => 6,
    }
}

const fn type_of(code: u8) -> Option<SampleType> {
    Some(match code {
        1 => SampleType::I16,
        2 => SampleType::I24,
        3 => SampleType::I32,
        4 => SampleType::F32,
        5 => SampleType::F64,
        6 => SampleType::Text,
        _ => return None,
    })
}

/// What a frame says besides its samples.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FrameMeta {
    pub(crate) sample_type: SampleType,
    pub(crate) channels: usize,
    pub(crate) rate: SamplingRate,
    /// UTC minus host clock in this recorder's session.
    pub(crate) offset_ns: i64,
    pub(crate) parts: Vec<BlockPart>,
    /// One stamp a sample when irregular; else empty.
    pub(crate) stamps: Vec<i64>,
}

/// UTC of the first sample of a frame: the device's time where it stamps, else the fitted host
/// time, else the arrival less the block's own length.
pub(crate) fn start_utc(
    clock: ClockSource,
    rate: SamplingRate,
    offset_ns: i64,
    part: Option<&BlockPart>,
    stamp: Option<i64>,
) -> UtcNanos {
    let Some(part) = part else {
        return UtcNanos(0);
    };
    match (clock, stamp, part.device_time) {
        (ClockSource::Device { epoch }, Some(stamp), _) => epoch.plus_nanos(stamp),
        (ClockSource::HostArrival, Some(stamp), _) => UtcNanos(stamp).plus_nanos(offset_ns),
        (ClockSource::Device { epoch }, None, Some(device)) => epoch.plus_nanos(device.0),
        _ => match part.fitted {
            Some(fitted) => UtcNanos(fitted.0).plus_nanos(offset_ns),
            None => UtcNanos(part.arrival.0)
                .plus_nanos(offset_ns)
                .plus_nanos(-rate.nanos_of(u64::from(part.len))),
        },
    }
}

impl FrameMeta {
    pub(crate) fn start(&self, clock: ClockSource) -> UtcNanos {
        let stamp = self.stamps.first().copied();
        start_utc(clock, self.rate, self.offset_ns, self.parts.first(), stamp)
    }
}

/// Appends the payload of a frame. `parts` follow each other from the frame's first index.
pub(crate) fn encode(
    meta: &FrameMeta,
    samples: &Samples,
    shape: Shape,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) {
    out.push(type_code(meta.sample_type));
    put_varint(out, meta.channels as u64);
    let (samples_per, seconds) = match meta.rate {
        SamplingRate::Irregular => (0, 0),
        SamplingRate::Regular { samples, seconds } => (samples, seconds),
    };
    put_varint(out, samples_per);
    put_varint(out, seconds);
    put_signed(out, meta.offset_ns);
    put_varint(out, meta.parts.len() as u64);
    let mut before = Expected::default();
    for part in &meta.parts {
        put_varint(out, u64::from(part.len));
        let flags = (u8::from(part.counter.is_some()) * COUNTER)
            | (u8::from(part.device_time.is_some()) * DEVICE)
            | (u8::from(part.fitted.is_some()) * FITTED);
        out.push(flags);
        put_signed(out, part.arrival.0.wrapping_sub(before.arrival));
        if let Some(counter) = part.counter {
            put_signed(out, counter.wrapping_sub(before.counter) as i64);
        }
        if let Some(device) = part.device_time {
            put_signed(out, device.0.wrapping_sub(before.device));
        }
        if let Some(fitted) = part.fitted {
            put_signed(out, fitted.0.wrapping_sub(before.fitted));
        }
        before.advance(part, meta.rate);
    }
    out.push(u8::from(!meta.stamps.is_empty()));
    let (mut last, mut step) = (0_i64, 0_i64);
    for stamp in &meta.stamps {
        let now = stamp.wrapping_sub(last);
        put_signed(out, now.wrapping_sub(step));
        (last, step) = (*stamp, now);
    }
    codec::encode(samples, shape, scratch, out);
}

/// What the next block's times are if nothing unusual happens; only the difference is stored.
#[derive(Default)]
struct Expected {
    arrival: i64,
    counter: u64,
    device: i64,
    fitted: i64,
}

impl Expected {
    fn advance(&mut self, part: &BlockPart, rate: SamplingRate) {
        let span = rate.nanos_of(u64::from(part.len));
        self.arrival = part.arrival.0.wrapping_add(span);
        self.counter = part
            .counter
            .map_or(self.counter, |c| c.wrapping_add(u64::from(part.len)));
        self.device = part
            .device_time
            .map_or(self.device, |t| t.0.wrapping_add(span));
        self.fitted = part.fitted.map_or(self.fitted, |t| t.0.wrapping_add(span));
    }
}

/// Decodes the meta part of a payload whose head states `first` and `count`; returns the rest.
pub(crate) fn decode_meta(payload: &[u8], first: u64, count: u32) -> Option<(FrameMeta, &[u8])> {
    let mut cursor = Cursor(payload);
    let sample_type = type_of(cursor.byte()?)?;
    let channels = cursor.size(MAX_CHANNELS)?;
    let rate = match (cursor.varint()?, cursor.varint()?) {
        (0, 0) => SamplingRate::Irregular,
        (samples, seconds) => SamplingRate::new(samples, seconds)?,
    };
    let offset_ns = cursor.signed()?;
    if channels.checked_mul(count as usize)? > MAX_FRAME_VALUES {
        return None;
    }
    let parts_count = cursor.size((count as usize).min(cursor.0.len()))?;
    let mut parts = Vec::with_capacity(parts_count);
    let mut before = Expected::default();
    let mut at = 0_u64;
    for _ in 0..parts_count {
        let len = u32::try_from(cursor.varint()?).ok()?;
        let flags = cursor.byte()?;
        let arrival = before.arrival.wrapping_add(cursor.signed()?);
        let mut optional = |flag: u8, before: i64| -> Option<Option<i64>> {
            if flags & flag == 0 {
                return Some(None);
            }
            Some(Some(before.wrapping_add(cursor.signed()?)))
        };
        let part = BlockPart {
            first_index: first.checked_add(at)?,
            len,
            arrival: HostNanos(arrival),
            counter: optional(COUNTER, before.counter as i64)?.map(|c| c as u64),
            device_time: optional(DEVICE, before.device)?.map(DeviceNanos),
            fitted: optional(FITTED, before.fitted)?.map(HostNanos),
        };
        at += u64::from(len);
        before.advance(&part, rate);
        parts.push(part);
    }
    if at != u64::from(count) {
        return None;
    }
    let mut stamps = Vec::new();
    if cursor.byte()? != 0 {
        if count as usize > cursor.0.len() {
            return None;
        }
        let (mut last, mut step) = (0_i64, 0_i64);
        for _ in 0..count {
            step = step.wrapping_add(cursor.signed()?);
            last = last.wrapping_add(step);
            stamps.push(last);
        }
    }
    let meta = FrameMeta {
        sample_type,
        channels,
        rate,
        offset_ns,
        parts,
        stamps,
    };
    Some((meta, cursor.0))
}

/// Decodes a payload; `wanted` channels only (all when `None`).
pub(crate) fn decode(
    payload: &[u8],
    first: u64,
    count: u32,
    wanted: Option<&Range<usize>>,
) -> Option<(FrameMeta, Samples)> {
    let (meta, code) = decode_meta(payload, first, count)?;
    let all = 0..meta.channels;
    let wanted = wanted.unwrap_or(&all);
    let mut samples = codec::empty(meta.sample_type);
    codec::decode(code, meta.channels, count as usize, wanted, &mut samples)?;
    Some((meta, samples))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn part() -> impl Strategy<Value = (u32, Option<u64>, i64, Option<i64>, Option<i64>)> {
        (
            1_u32..40,
            any::<Option<u64>>(),
            any::<i64>(),
            any::<Option<i64>>(),
            any::<Option<i64>>(),
        )
    }

    proptest! {
        #[test]
        fn meta_round_trip(
            raw in prop::collection::vec(part(), 1..8), first in 0_u64..1 << 60, offset_ns in any::<i64>(), irregular in any::<bool>(),
            stamp in any::<i64>(),
        ) {
            let mut at = first;
            let parts: Vec<BlockPart> = raw.iter().map(|(len, counter, arrival, device, fitted)| {
                let part = BlockPart {
                    first_index: at, len: *len, counter: *counter, arrival: HostNanos(*arrival),
                    device_time: device.map(DeviceNanos), fitted: fitted.map(HostNanos),
                };
                at += u64::from(*len);
                part
            }).collect();
            let count = (at - first) as usize;
            let stamps = if irregular { (0..count).map(|i| stamp.wrapping_mul(i as i64)).collect() } else { Vec::new() };
            let rate = if irregular { SamplingRate::Irregular } else { SamplingRate::hz(250) };
            let meta = FrameMeta { sample_type: SampleType::I16, channels: 2, rate, offset_ns, parts, stamps };
            let samples = Samples::I16((0..2 * count).map(|v| v as i16).collect());
            let mut out = Vec::new();
            let shape = Shape { rows: 2, len: count, stride: count };
            encode(&meta, &samples, shape, &mut Scratch::new(), &mut out);
            let (found, values) = decode(&out, first, count as u32, None).expect("decodes");
            prop_assert_eq!(found, meta);
            prop_assert_eq!(values, samples);
        }

        #[test]
        fn hostile_payloads_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), first in any::<u64>(), count in 0_u32..5000) {
            let _ = decode(&bytes, first, count, None);
        }
    }
}
