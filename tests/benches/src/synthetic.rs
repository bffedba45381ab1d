//! Signals and recordings made for measuring.

use anyhow::{Context as _, Result, bail};
use recording::{
    ClockAnchor, DeviceNote, KeyRing, OsEntropy, OsStorage, Provenance, Recorder, Recording,
    RecordingHeader, RecordingId, StationKey, Storage, Unlock,
};
use recording::{FileEntry, StorageFile};
use signal::{
    Channel, ClockSource, CounterSpec, DigitalRange, HostNanos, PhysicalRange, Reference,
    SampleBlock, SampleType, Samples, SamplingRate, StreamDescription, StreamIndex, StreamRole,
    UtcNanos, ZoneOffset,
};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use uuid::Uuid;

/// Key of everything recorded here.
pub(crate) const STATION: [u8; 32] = [7; 32];

/// Marsaglia's xorshift64: the same numbers in every run.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new() -> Self {
        Self(88_172_645_463_325_252)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// From −1 to 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }
}

/// `channels` rows of `len` values, µV: a leaky random walk with white noise, tens of µV in size,
/// as EEG behind a 16- or 24-bit converter.
pub(crate) fn eeg(channels: usize, len: usize) -> Vec<f64> {
    let mut random = Random::new();
    let mut values = Vec::with_capacity(channels * len);
    for _ in 0..channels {
        let mut walk = 0.0;
        for _ in 0..len {
            walk = walk * 0.97 + random.unit() * 5.0;
            values.push(walk + random.unit());
        }
    }
    values
}

/// µV a count of the recordings made here.
const GAIN_UV: f64 = 0.1;

/// The same in counts of 0.1 µV.
pub(crate) fn counts(channels: usize, len: usize) -> Vec<i16> {
    eeg(channels, len)
        .iter()
        .map(|uv| (uv / GAIN_UV) as i16)
        .collect()
}

pub(crate) fn header(
    streams: Vec<StreamDescription>,
    created: UtcNanos,
    provenance: Provenance,
) -> RecordingHeader {
    RecordingHeader {
        id: RecordingId(Uuid::from_u128(1)),
        created,
        zone: ZoneOffset(0),
        streams,
        provenance,
        device: DeviceNote::default(),
        notes: BTreeMap::new(),
    }
}

pub(crate) fn ring() -> KeyRing {
    KeyRing {
        station: StationKey::from_bytes(STATION),
        recovery: None,
        site: None,
    }
}

pub(crate) fn open(folder: &Path) -> Result<Recording> {
    let unlock = Unlock::Station(StationKey::from_bytes(STATION));
    Recording::open(folder, &unlock, Arc::new(OsStorage)).context("cannot open the recording")
}

/// Records `seconds` of 16-bit signals as fast as possible, in blocks of a quarter of a second and
/// without waiting for the disk. `values(first, len)` gives channels × len counts.
pub(crate) fn record(
    folder: &Path,
    (channels, hz, seconds): (usize, u32, u64),
    mut values: impl FnMut(u64, usize, &mut Vec<i16>),
) -> Result<()> {
    let rate = SamplingRate::hz(hz);
    let limits = (f64::from(i16::MIN) * GAIN_UV, f64::from(i16::MAX) * GAIN_UV);
    let channel = |index: usize| Channel {
        digital_range: Some(DigitalRange {
            min: i16::MIN.into(),
            max: i16::MAX.into(),
        }),
        physical_range: Some(PhysicalRange {
            min: limits.0,
            max: limits.1,
        }),
        ..Channel::eeg(&format!("E{}", index + 1), GAIN_UV, Reference::Unknown)
    };
    let stream = StreamDescription {
        name: "eeg".to_owned(),
        role: StreamRole::Signal,
        sample_type: SampleType::I16,
        rate,
        counter: Some(CounterSpec::SAMPLE),
        clock: ClockSource::HostArrival,
        channels: (0..channels).map(channel).collect(),
    };
    // A day on which no clock changes.
    let start = UtcNanos(1_795_435_200 * signal::NANOS_PER_S);
    let anchor = ClockAnchor {
        host: HostNanos(0),
        utc: start,
    };
    let header = header(vec![stream], start, Provenance::Simulated);
    let (storage, entropy) = (Arc::new(Unsynced), Box::new(OsEntropy));
    let mut recorder = Recorder::create(folder, header, &ring(), storage, entropy, anchor)?;
    let (len, total) = ((hz / 4) as usize, seconds * u64::from(hz));
    let mut block = SampleBlock::with_capacity(StreamIndex(0), SampleType::I16, channels, len);
    while block.end_index() < total {
        let first = block.end_index();
        block.len = len.min((total - first) as usize);
        block.first_index = first;
        block.counter = Some(first);
        block.arrival = HostNanos(rate.nanos_of(block.end_index()));
        block.fitted = Some(HostNanos(rate.nanos_of(first)));
        let Samples::I16(counts) = &mut block.samples else {
            bail!("a block of another sample type");
        };
        counts.clear();
        values(first, block.len, counts);
        recorder.append(&block)?;
        recorder.tick(block.arrival)?;
    }
    recorder.finish(HostNanos(rate.nanos_of(total)))?;
    Ok(())
}

/// Files that are never synced: for recordings that are made to be read, not to be kept.
#[derive(Debug)]
struct Unsynced;

#[derive(Debug)]
struct UnsyncedFile(Box<dyn StorageFile>);

impl StorageFile for UnsyncedFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_at(offset, bytes)
    }
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(offset, bytes)
    }
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
}

impl Storage for Unsynced {
    fn create_dir(&self, folder: &Path) -> io::Result<()> {
        OsStorage.create_dir(folder)
    }
    fn create(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        Ok(Box::new(UnsyncedFile(OsStorage.create(path)?)))
    }
    fn open(&self, path: &Path, write: bool) -> io::Result<Box<dyn StorageFile>> {
        Ok(Box::new(UnsyncedFile(OsStorage.open(path, write)?)))
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<FileEntry>> {
        OsStorage.list(folder)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsStorage.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        OsStorage.remove(path)
    }
    fn sync_dir(&self, _folder: &Path) -> io::Result<()> {
        Ok(())
    }
}
