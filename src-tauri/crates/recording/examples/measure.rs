//! Measures the journal: size of real EEG, cost of the record path, opening and paging a long
//! recording. Run with `cargo run --release -p recording --example measure`.
#![allow(clippy::print_stdout, reason = "the measurements are the output")]

use recording::{
    ClockAnchor, DeviceNote, KeyRing, OsEntropy, OsStorage, Provenance, Recorder, Recording,
    RecordingHeader, RecordingId, StationKey, Unlock, verify,
};
use signal::{
    Channel, ClockSource, CounterSpec, HostNanos, Reference, SampleBlock, SampleType, Samples,
    SamplingRate, StreamDescription, StreamIndex, StreamRole, UtcNanos, ZoneOffset,
};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn Error>>;

const STATION: [u8; 32] = [7; 32];

fn stream(sample_type: SampleType, channels: usize, rate: SamplingRate) -> StreamDescription {
    StreamDescription {
        name: "eeg".to_owned(),
        role: StreamRole::Signal,
        sample_type,
        rate,
        counter: Some(CounterSpec::SAMPLE),
        clock: ClockSource::HostArrival,
        channels: (0..channels)
            .map(|c| Channel::eeg(&format!("E{c}"), 0.1, Reference::Unknown))
            .collect(),
    }
}

fn recorder(folder: &Path, stream: &StreamDescription) -> Outcome<Recorder> {
    let header = RecordingHeader {
        id: RecordingId(uuid::Uuid::from_u128(1)),
        created: UtcNanos(0),
        zone: ZoneOffset(0),
        streams: vec![stream.clone()],
        provenance: Provenance::Simulated,
        device: DeviceNote::default(),
        notes: BTreeMap::new(),
    };
    let ring = KeyRing {
        station: StationKey::from_bytes(STATION),
        recovery: None,
        site: None,
    };
    let anchor = ClockAnchor {
        host: HostNanos(0),
        utc: UtcNanos(0),
    };
    Ok(Recorder::create(
        folder,
        header,
        &ring,
        Arc::new(OsStorage),
        Box::new(OsEntropy),
        anchor,
    )?)
}

/// Bytes of a recording's files whose names begin with `prefix`.
fn size(folder: &Path, prefix: &str) -> Outcome<u64> {
    let mut total = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            total += entry.metadata()?.len();
        }
    }
    Ok(total)
}

/// Header fields of an EDF file: signals, samples per record of each, and the data.
#[allow(clippy::type_complexity, reason = "one use")]
fn edf(bytes: &[u8]) -> Outcome<(f64, Vec<usize>, Vec<String>, &[u8])> {
    let text = |from: usize, len: usize| {
        String::from_utf8_lossy(&bytes[from..from + len])
            .trim()
            .to_owned()
    };
    let signals: usize = text(252, 4).parse()?;
    let duration: f64 = text(244, 8).parse()?;
    let labels = (0..signals).map(|s| text(256 + s * 16, 16)).collect();
    let per_record = (0..signals)
        .map(|s| text(256 + signals * 216 + s * 8, 8).parse())
        .collect::<Result<Vec<usize>, _>>()?;
    Ok((duration, per_record, labels, &bytes[256 * (signals + 1)..]))
}

/// Records an EDF file's signals of the commonest rate in blocks of 40 ms.
fn real_eeg(path: &Path, folder: &Path) -> Outcome<()> {
    let bytes = std::fs::read(path)?;
    let (duration, per_record, labels, data) = edf(&bytes)?;
    let main = *per_record.iter().max().ok_or("no signal")?;
    let chosen: Vec<usize> = (0..per_record.len())
        .filter(|s| per_record[*s] == main && labels[*s] != "EDF Annotations")
        .collect();
    let record: usize = per_record.iter().sum();
    let records = data.len() / 2 / record;
    let mut channels: Vec<Vec<i16>> = vec![Vec::new(); chosen.len()];
    for r in 0..records {
        for (into, signal) in channels.iter_mut().zip(&chosen) {
            let from = r * record + per_record[..*signal].iter().sum::<usize>();
            let words = data[from * 2..(from + main) * 2].chunks_exact(2);
            into.extend(words.map(|w| i16::from_le_bytes([w[0], w[1]])));
        }
    }
    let total = channels[0].len();
    let rate = SamplingRate::hz((main as f64 / duration).round() as u32);
    let description = stream(SampleType::I16, chosen.len(), rate);
    let mut recorder = recorder(folder, &description)?;
    let step = rate.index_at(40_000_000) as usize;
    let begun = Instant::now();
    for first in (0..total).step_by(step) {
        let len = step.min(total - first);
        let values = channels
            .iter()
            .flat_map(|c| c[first..first + len].iter().copied())
            .collect();
        recorder.append(&block(
            first as u64,
            chosen.len(),
            len,
            rate,
            Samples::I16(values),
        ))?;
        recorder.tick(HostNanos(rate.nanos_of((first + len) as u64)))?;
    }
    recorder.finish(HostNanos(rate.nanos_of(total as u64)))?;
    let took = begun.elapsed();
    let (journal, overview) = (size(folder, "stream")?, size(folder, "overview")?);
    let zstd3 = zstd::encode_all(bytes.as_slice(), 3)?.len();
    println!(
        "{} ({} channels x {total})",
        path.file_name().unwrap_or_default().display(),
        chosen.len()
    );
    println!(
        "  EDF {} B; zstd -3 {zstd3} B; journal {journal} B + overview {overview} B",
        bytes.len()
    );
    println!(
        "  journal/EDF {:.3}; journal/zstd {:.3}; with overview/zstd {:.3}",
        journal as f64 / bytes.len() as f64,
        journal as f64 / zstd3 as f64,
        (journal + overview) as f64 / zstd3 as f64
    );
    println!(
        "  record path {:.1} M samples/s, fsync included",
        (total * chosen.len()) as f64 / took.as_secs_f64() / 1e6
    );
    let recording = Recording::open(
        folder,
        &Unlock::Station(StationKey::from_bytes(STATION)),
        Arc::new(OsStorage),
    )?;
    for (c, sent) in channels.iter().enumerate() {
        let pieces = recording.read_channel(StreamIndex(0), c, 0..total as u64)?;
        assert!(
            matches!(&pieces[0].samples, Samples::I16(found) if found == sent),
            "channel {c} differs"
        );
    }
    Ok(())
}

fn block(
    first: u64,
    channels: usize,
    len: usize,
    rate: SamplingRate,
    samples: Samples,
) -> SampleBlock {
    SampleBlock {
        stream: StreamIndex(0),
        channels,
        len,
        first_index: first,
        counter: Some(first),
        arrival: HostNanos(rate.nanos_of(first + len as u64) + (first as i64 * 7919) % 500_000),
        device_time: None,
        fitted: Some(HostNanos(rate.nanos_of(first))),
        stamps: Vec::new(),
        samples,
    }
}

/// EEG-like 24-bit noise: a leaky random walk with white noise, 11 bits or so of residual.
fn noise(channels: usize, len: usize) -> Vec<Vec<i32>> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as i32 - (1 << 23)
    };
    (0..channels)
        .map(|_| {
            let mut walk = 0.0_f64;
            (0..len)
                .map(|_| {
                    walk = walk * 0.97 + f64::from(random()) / 5000.0;
                    walk as i32 + random() / 60_000
                })
                .collect()
        })
        .collect()
}

/// CPU time of this process, s (user and system).
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or("")
        .split_whitespace()
        .collect();
    let tick = |i: usize| {
        fields
            .get(i)
            .and_then(|f| f.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    (tick(11) + tick(12)) / 100.0
}

/// Records `seconds` of `channels` × `hz` as fast as possible and says what share of a core real
/// time would take. `ticks`: blocks between ticks.
fn record_path(folder: &Path, channels: usize, hz: u32, seconds: u64, ticks: u64) -> Outcome<()> {
    let rate = SamplingRate::hz(hz);
    let description = stream(SampleType::I24, channels, rate);
    let mut recorder = recorder(folder, &description)?;
    let step = (hz / 25) as usize;
    let signal = noise(channels, step * 25);
    let mut blocks: Vec<SampleBlock> = (0..25)
        .map(|b| {
            let values = signal
                .iter()
                .flat_map(|c| c[b * step..(b + 1) * step].iter().copied())
                .collect();
            block(0, channels, step, rate, Samples::I24(values))
        })
        .collect();
    let (begun, before) = (Instant::now(), cpu());
    for n in 0..seconds * 25 {
        let block = &mut blocks[(n % 25) as usize];
        block.first_index = n * step as u64;
        block.counter = Some(block.first_index);
        block.arrival = HostNanos(rate.nanos_of(block.end_index()));
        block.fitted = Some(HostNanos(rate.nanos_of(block.first_index)));
        recorder.append(block)?;
        if n % ticks == 0 {
            recorder.tick(block.arrival)?;
        }
    }
    recorder.finish(HostNanos(rate.nanos_of(seconds * u64::from(hz))))?;
    let (took, used) = (begun.elapsed().as_secs_f64(), cpu() - before);
    println!(
        "{channels} channels x {hz} Hz for {seconds} s: {took:.2} s wall, {used:.2} s CPU = {:.2} % of a core; {:.0} M samples/s; {:.2} B/sample, overview {:.2}",
        100.0 * used / seconds as f64,
        channels as f64 * f64::from(hz) * seconds as f64 / used / 1e6,
        size(folder, "stream")? as f64 / (channels as f64 * f64::from(hz) * seconds as f64),
        size(folder, "overview")? as f64 / (channels as f64 * f64::from(hz) * seconds as f64)
    );
    Ok(())
}

fn timed<T>(mut work: impl FnMut() -> Outcome<T>) -> Outcome<(T, Duration)> {
    let begun = Instant::now();
    let found = work()?;
    Ok((found, begun.elapsed()))
}

fn open_and_page(folder: &Path) -> Outcome<()> {
    let unlock = Unlock::Station(StationKey::from_bytes(STATION));
    let open = || Ok(Recording::open(folder, &unlock, Arc::new(OsStorage))?);
    let mut best = Duration::MAX;
    let mut worst = Duration::ZERO;
    for _ in 0..5 {
        let (_, took) = timed(open)?;
        (best, worst) = (best.min(took), worst.max(took));
    }
    println!("open: {best:.1?} to {worst:.1?}");
    let hz = 256_u64;
    let end = 24 * 3600 * hz;
    for seconds in [10, 20, 60, 120, 300, 600, 1800, 3600, 4 * 3600, 24 * 3600] {
        let recording = open()?;
        let (mut first, mut total, mut worst, mut count) =
            (Duration::ZERO, Duration::ZERO, Duration::ZERO, 0);
        for n in 0..20_u64 {
            let span = seconds * hz;
            let from = (end - span) / 20 * n;
            let (page, took) = timed(|| {
                Ok(recording.overview(StreamIndex(0), 0..32, from..from + span, 1900)?)
            })?;
            assert!(page.min.iter().any(|v| !v.is_nan()));
            if n == 0 {
                first = took;
            } else {
                worst = worst.max(took);
                total += took;
                count += 1;
            }
        }
        println!(
            "page of {seconds:>5} s, 32 channels x 1900 columns: first {first:.1?}, mean {:.1?}, worst {worst:.1?}",
            total / count
        );
    }
    Ok(())
}

fn main() -> Outcome<()> {
    let home = tempfile::tempdir()?;
    let recordings = std::env::var_os("NEURASCALE_RECORDINGS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/recordings"),
        PathBuf::from,
    );
    for name in [
        "clinical/eegmat_Subject00_1.edf",
        "rest/fvw_rest_30ch.edf",
        "clinical/epviz_seizure.edf",
    ] {
        let path = recordings.join(name);
        if path.exists() {
            real_eeg(
                &path,
                &home.path().join(path.file_stem().unwrap_or_default()),
            )?;
        } else {
            println!("SKIPPED: {name} is not there");
        }
    }
    record_path(&home.path().join("a"), 64, 1000, 120, 1)?;
    record_path(&home.path().join("b"), 4096, 2000, 10, 1)?;
    let long = home.path().join("long");
    // Ticks a minute apart: two hundred thousand fsyncs would only measure the disk.
    record_path(&long, 32, 256, 24 * 3600, 1500)?;
    open_and_page(&long)?;
    let unlock = Unlock::Station(StationKey::from_bytes(STATION));
    let (report, took) =
        timed(|| Ok(verify(&long, &unlock, Arc::new(OsStorage), &mut |_, _| {})?))?;
    println!(
        "verify: {took:.1?}, {} frames, {} problems",
        report.frames,
        report.problems.len()
    );
    std::fs::remove_file(long.join("catalog-00000000.nsj"))?;
    let (_, took) = timed(|| Ok(Recording::open(&long, &unlock, Arc::new(OsStorage))?))?;
    println!("open without catalog: {took:.1?}");
    Ok(())
}
