//! From a real file through the encrypted journal into an export, and back by the house's reader.

use crate::round_trip::options;
use export::{RecordingSource, export_edf};
use recording::{
    ClockAnchor, KeyRing, OsEntropy, OsStorage, Provenance, Recorder, Recording, RecordingHeader,
    RecordingId, StationKey, Unlock,
};
use signal::{
    Channel, ClockSource, DigitalRange, Gap, GapCause, HostNanos, Missing, NANOS_PER_S,
    PhysicalRange, Reference, SampleBlock, SampleType, Samples, SamplingRate, Scale,
    StreamDescription, StreamIndex, StreamRole, UtcNanos, ZoneOffset,
};
use simulated::edf::{Format, Reader};
use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const START: i64 = 1_795_435_200 * NANOS_PER_S;

/// A signal of a file: description, samples a record, all digital values.
struct Read {
    channel: Channel,
    per_record: u64,
    values: Vec<i32>,
}

/// Every ordinary signal of an EDF or BDF file by the reader of the simulated devices.
fn read(path: &Path) -> (bool, Vec<Read>) {
    let mut reader = Reader::new(File::open(path).unwrap()).unwrap();
    let header = reader.header().clone();
    let width = header.format.sample_bytes();
    let mut signals = Vec::new();
    for (n, signal) in header
        .signals
        .iter()
        .enumerate()
        .filter(|(_, signal)| !signal.annotations)
    {
        let mut values = Vec::new();
        let mut part = Vec::new();
        for record in 0..reader.layout().records {
            reader.read_signal(record, n, &mut part).unwrap();
            values.extend(part.chunks_exact(width).map(|b| match width {
                2 => i32::from(i16::from_le_bytes([b[0], b[1]])),
                _ => i32::from_le_bytes([0, b[0], b[1], b[2]]) >> 8,
            }));
        }
        let mut channel = Channel::eeg("Cz", 1.0, Reference::Unknown);
        channel.label = signal.label.clone();
        channel.electrode = None;
        channel.unit = simulated::edf::parse_unit(&signal.dimension);
        let gain = (signal.physical_max - signal.physical_min)
            / (signal.digital_max - signal.digital_min) as f64;
        channel.scale = Scale {
            gain,
            offset: signal.physical_min - signal.digital_min as f64 * gain,
        };
        channel.digital_range = Some(DigitalRange {
            min: signal.digital_min,
            max: signal.digital_max,
        });
        channel.physical_range = Some(PhysicalRange {
            min: signal.physical_min,
            max: signal.physical_max,
        });
        signals.push(Read {
            channel,
            per_record: signal.samples,
            values,
        });
    }
    (header.format == Format::Bdf, signals)
}

fn recordings() -> Option<PathBuf> {
    let folder = std::env::var_os("NEURASCALE_RECORDINGS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/recordings"),
        PathBuf::from,
    );
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("SKIPPED: journal to EDF+ (the folder of recordings is missing)");
    None
}

/// Signals of one rate as one stream, in blocks of 0.2 s, with one second lost in the middle.
fn record(folder: &Path, wide: bool, signals: &[Read], rate: u32) -> Recording {
    let sample_type = if wide {
        SampleType::I24
    } else {
        SampleType::I16
    };
    let description = StreamDescription {
        name: "eeg".to_owned(),
        role: StreamRole::Signal,
        sample_type,
        rate: SamplingRate::hz(rate),
        counter: None,
        clock: ClockSource::HostArrival,
        channels: signals
            .iter()
            .map(|signal| signal.channel.clone())
            .collect(),
    };
    let header = RecordingHeader {
        id: RecordingId(uuid::Uuid::from_u128(7)),
        created: UtcNanos(START),
        zone: ZoneOffset(0),
        streams: vec![description],
        provenance: Provenance::Playback,
        device: recording::DeviceNote::default(),
        notes: std::collections::BTreeMap::new(),
    };
    let station = StationKey::generate(&mut OsEntropy).unwrap();
    let ring = KeyRing {
        station: station.clone(),
        recovery: None,
        site: None,
    };
    let anchor = ClockAnchor {
        host: HostNanos(0),
        utc: UtcNanos(START),
    };
    let entropy = Box::new(OsEntropy);
    let mut recorder =
        Recorder::create(folder, header, &ring, Arc::new(OsStorage), entropy, anchor).unwrap();
    let total = signals[0].values.len();
    let (lost, back) = lost(total, rate as usize);
    let time = |index: usize| HostNanos(SamplingRate::hz(rate).nanos_of(index as u64));
    let step = (rate as usize / 5).max(1);
    let mut at = 0;
    while at < total {
        if at == lost {
            at = back;
            recorder
                .gap(&Gap {
                    stream: StreamIndex(0),
                    first_missing: lost as u64,
                    resumes_at: back as u64,
                    missing: Missing::Exact((back - lost) as u64),
                    from: UtcNanos(START + time(lost).0),
                    until: UtcNanos(START + time(back).0),
                    cause: GapCause::Transport,
                })
                .unwrap();
        }
        let end = (at + step)
            .min(total)
            .min(if at < lost { lost } else { total });
        let rows = || signals.iter().flat_map(|signal| &signal.values[at..end]);
        let block = SampleBlock {
            stream: StreamIndex(0),
            channels: signals.len(),
            len: end - at,
            first_index: at as u64,
            counter: None,
            arrival: time(end),
            device_time: None,
            fitted: Some(time(at)),
            stamps: Vec::new(),
            samples: if wide {
                Samples::I24(rows().copied().collect())
            } else {
                Samples::I16(rows().map(|value| *value as i16).collect())
            },
        };
        recorder.append(&block).unwrap();
        recorder.tick(time(end)).unwrap();
        at = end;
    }
    recorder.finish(time(total)).unwrap();
    Recording::open(folder, &Unlock::Station(station), Arc::new(OsStorage)).unwrap()
}

/// The second that is left out.
const fn lost(total: usize, rate: usize) -> (usize, usize) {
    let from = total / 2 + 3;
    (from, from + rate)
}

fn check(name: &str, rate: u32) {
    let Some(recordings) = recordings() else {
        return;
    };
    let (wide, mut signals) = read(&recordings.join(name));
    let most = signals
        .iter()
        .map(|signal| signal.per_record)
        .max()
        .unwrap();
    signals.retain(|signal| signal.per_record == most);
    for signal in &mut signals {
        signal.values.truncate(20 * rate as usize + 7);
    }
    let folder = tempfile::tempdir().unwrap();
    let recording = record(&folder.path().join("r"), wide, &signals, rate);
    let target = folder.path().join("out");
    let source = RecordingSource::new(&recording);
    let export = export_edf(&source, &target, &options(), &mut |_| {
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(export.omitted.is_empty(), "{:?}", export.omitted);

    let total = signals[0].values.len();
    let (from, until) = lost(total, rate as usize);
    let mut found: Vec<Vec<i32>> = vec![Vec::new(); signals.len()];
    for file in export.signal_files() {
        let (bdf, read) = read(&file.path);
        assert_eq!(bdf, wide);
        for ((signal, source), found) in read.iter().zip(&signals).zip(&mut found) {
            found.extend(&signal.values);
            // The source's own limits come back, so what a count is worth is the same to the bit
            // wherever no unit was changed.
            if signal.channel.unit == source.channel.unit {
                assert_eq!(
                    signal.channel.digital_range, source.channel.digital_range,
                    "{name}"
                );
                assert_eq!(
                    signal.channel.physical_range, source.channel.physical_range,
                    "{name}"
                );
            }
        }
        let second = (file.signals.as_ref().unwrap().start.0 - START) / NANOS_PER_S;
        let index = file.signals.as_ref().unwrap().ranges[0][0].0 / u64::from(rate);
        assert_eq!(second as u64, index, "{name}: the clock after the gap");
    }
    for (found, source) in found.iter().zip(&signals) {
        let expected = [&source.values[..from], &source.values[until..]].concat();
        assert!(*found == expected, "{name}: digital values differ");
    }
}

#[test]
fn an_edf_file_comes_back_bit_for_bit() {
    check("clinical/epviz_seizure.edf", 200);
}

#[test]
fn a_second_edf_file_comes_back_bit_for_bit() {
    check("rest/fvw_rest_30ch.edf", 250);
}

#[test]
fn a_bdf_file_comes_back_bit_for_bit() {
    check("bdf/bdfplus_8ch_250Hz.bdf", 250);
}
