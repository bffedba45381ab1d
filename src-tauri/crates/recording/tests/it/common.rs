//! A small world: header, keys, blocks whose values prove their place.

use recording::{
    ClockAnchor, DeviceNote, Entropy, KeyRing, PrivateKey, Provenance, Recorder, Recording,
    RecordingHeader, RecordingId, Result, StationKey, Storage, Unlock,
};
use signal::{
    Channel, ClockSource, CounterSpec, HostNanos, Reference, SampleBlock, SampleType, Samples,
    SamplingRate, StreamDescription, StreamIndex, StreamRole, UtcNanos, ZoneOffset,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

pub(crate) const MS: i64 = 1_000_000;
pub(crate) const UTC0: i64 = 1_700_000_000_000_000_000;

/// SplitMix64: repeatable, and good enough for test keys.
pub(crate) struct Seeded(pub(crate) u64);

impl Seeded {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Entropy for Seeded {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        for chunk in bytes.chunks_mut(8) {
            let word = self.next().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        Ok(())
    }
}

pub(crate) fn station() -> StationKey {
    StationKey::from_bytes([7; 32])
}

pub(crate) fn recovery() -> PrivateKey {
    PrivateKey::from_bytes([9; 32])
}

pub(crate) fn ring() -> KeyRing {
    KeyRing {
        station: station(),
        recovery: Some(recovery().public().unwrap()),
        site: None,
    }
}

pub(crate) fn unlock() -> Unlock {
    Unlock::Station(station())
}

pub(crate) fn stream(
    name: &str,
    sample_type: SampleType,
    channels: usize,
    rate: SamplingRate,
) -> StreamDescription {
    StreamDescription {
        name: name.to_owned(),
        role: StreamRole::Signal,
        sample_type,
        rate,
        counter: Some(CounterSpec::SAMPLE),
        clock: ClockSource::HostArrival,
        channels: (0..channels)
            .map(|c| Channel::eeg(&format!("E{c}"), 0.1 + c as f64 / 3.0, Reference::Unknown))
            .collect(),
    }
}

pub(crate) fn header(streams: Vec<StreamDescription>) -> RecordingHeader {
    RecordingHeader {
        id: RecordingId(uuid::Uuid::from_u128(
            0x0123_4567_89ab_7def_8123_4567_89ab_cdef,
        )),
        created: UtcNanos(UTC0),
        zone: ZoneOffset(3600),
        streams,
        provenance: Provenance::Simulated,
        device: DeviceNote {
            model: "Test amplifier".to_owned(),
            ..DeviceNote::default()
        },
        notes: BTreeMap::from([("task".to_owned(), "rest".to_owned())]),
    }
}

pub(crate) const ANCHOR: ClockAnchor = ClockAnchor {
    host: HostNanos(0),
    utc: UtcNanos(UTC0),
};

pub(crate) fn create(
    folder: &Path,
    header: RecordingHeader,
    storage: Arc<dyn Storage>,
) -> Result<Recorder> {
    Recorder::create(
        folder,
        header,
        &ring(),
        storage,
        Box::new(Seeded(1)),
        ANCHOR,
    )
}

pub(crate) fn open(folder: &Path, storage: Arc<dyn Storage>) -> Result<Recording> {
    Recording::open(folder, &unlock(), storage)
}

/// The value that sample `index` of `channel` has: noisy, so that it does not compress away, and a
/// function of its place, so that loss or shift is provable.
pub(crate) fn value(channel: usize, index: u64) -> i32 {
    let noise = Seeded(index ^ ((channel as u64) << 48)).next();
    (((index as f64 / 40.0).sin() * 3000.0) as i32) + (noise % 64) as i32 + channel as i32 * 100
}

/// A block of `len` samples from `first`, arriving when its last sample is taken at `hz`.
pub(crate) fn block(
    stream: u16,
    description: &StreamDescription,
    first: u64,
    len: usize,
) -> SampleBlock {
    let channels = description.channels.len();
    let values = (0..channels).flat_map(|c| (0..len as u64).map(move |i| value(c, first + i)));
    let samples = match description.sample_type {
        SampleType::I16 => Samples::I16(values.map(|v| v as i16).collect()),
        SampleType::I24 => Samples::I24(values.collect()),
        SampleType::I32 => Samples::I32(values.map(|v| v.wrapping_mul(100_003)).collect()),
        SampleType::F32 => Samples::F32(values.map(|v| v as f32 / 7.0).collect()),
        SampleType::F64 => Samples::F64(values.map(|v| f64::from(v) / 7.0).collect()),
        SampleType::Text => Samples::Text(values.map(|v| format!("mark {v} µ")).collect()),
    };
    SampleBlock {
        stream: StreamIndex(stream),
        channels,
        len,
        first_index: first,
        counter: Some(first),
        arrival: HostNanos(description.rate.nanos_of(first + len as u64)),
        device_time: None,
        fitted: Some(HostNanos(description.rate.nanos_of(first))),
        stamps: Vec::new(),
        samples,
    }
}

/// Asserts that every recorded sample is the one that was sent, and counts them.
pub(crate) fn prove(recording: &Recording, stream: u16) -> u64 {
    let index = StreamIndex(stream);
    let description = recording.streams()[usize::from(stream)].clone();
    let mut total = 0;
    for run in recording.runs(index).unwrap() {
        for piece in recording
            .read(index, run.first_index..run.end_index)
            .unwrap()
        {
            let sent = block(stream, &description, piece.first_index, piece.len);
            assert_eq!(
                piece.samples, sent.samples,
                "samples from {}",
                piece.first_index
            );
            total += piece.len as u64;
        }
    }
    total
}
