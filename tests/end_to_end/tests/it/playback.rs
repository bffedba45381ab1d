//! Every EDF and BDF file at hand through a whole session: what is recorded and exported is what the
//! file holds; what holds nothing to record is refused with its reason.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::print_stderr)] // A test's tools: failing loudly is their purpose.

#[path = "playback/source.rs"]
mod source;

use end_to_end::{Ran, Station, python, recordings};
use serde_json::{Value, json};
use signal::{AnnotationOrigin, Missing, Samples, StreamIndex};
use source::Source;
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// Sessions at a time; each has threads of its own.
const AT_A_TIME: usize = 3;
/// Exit code of the command line when a device cannot be used.
const DEVICE: i32 = 6;

#[test]
fn every_file_is_recorded_and_exported_as_it_is_or_refused_with_its_reason() {
    let Some(folder) = recordings() else { return };
    let files: Vec<(PathBuf, Source)> = found(&folder)
        .into_iter()
        .map(|path| (path.clone(), source::read(&path)))
        .collect();
    let station = Station::new();
    station.ok(&["engine", "start"]);
    let (played, refused): (Vec<_>, Vec<_>) = files
        .iter()
        .partition(|(_, source)| !source.signals.is_empty() && source.records > 0);
    assert!(
        !played.is_empty() && !refused.is_empty(),
        "no files of both kinds: {files:?}"
    );

    for (path, source) in &refused {
        is_refused(&station, path, source);
    }
    let listed = station.ok(&["session", "list"]);
    assert!(
        !listed.to_string().contains("playback:"),
        "a refused file leaves no session: {listed}"
    );

    let jobs = Mutex::new(Vec::new());
    let failed = in_parallel(&played, |(path, source)| {
        let made = is_played(&station, path, source);
        jobs.lock().unwrap().extend(made);
    });
    assert!(failed.is_empty(), "wrong: {failed:?}\n{}", station.log());
    let jobs = jobs.into_inner().unwrap();
    assert!(jobs.len() >= 2 * played.len());
    let list = station.path().join("jobs.json");
    std::fs::write(&list, Value::from(jobs).to_string()).unwrap();
    in_python("compare.py", &[list.to_str().unwrap()]);
}

/// A negative spike at Fp1 is negative in the export, though the device's counts are inverted.
#[test]
fn a_negative_spike_of_an_inverting_device_is_negative_in_the_export() {
    let station = Station::new();
    let script = "[[spike]]\nat_s = 2.0\nelectrode = 'Fp1'\namplitude_uv = -150.0\n";
    let session = station.ok(&[
        "session",
        "run",
        "--training",
        "--now",
        "--device",
        "simulated:headset",
        "--set",
        "polarity=inverting",
        "--set",
        "pattern=quiet",
        "--set",
        "speed=max",
        "--set",
        &format!("script={script}"),
        "--duration",
        "4",
        "--export",
        "edf",
    ]);
    assert_eq!(
        session["state"],
        "completed",
        "{session:#}\n{}",
        station.log()
    );
    let recording = station.recording(&session);
    let eeg = &recording.streams()[0];
    let fp1 = eeg
        .channels
        .iter()
        .position(|channel| channel.label == "Fp1")
        .unwrap();
    assert!(
        eeg.channels[fp1].scale.gain < 0.0,
        "the device is one that inverts: {:?}",
        eeg.channels[fp1]
    );
    let exports = session["exports"].as_array().unwrap();
    let file = exports
        .iter()
        .filter_map(Value::as_str)
        .find(|path| path.ends_with(".edf") || path.ends_with(".bdf"));
    let file = file.unwrap();
    let read = source::read(Path::new(file));
    let signal = read
        .signals
        .iter()
        .find(|signal| signal.label.contains("Fp1"))
        .unwrap();
    let extreme = |factor: f64| {
        let values = signal
            .values
            .iter()
            .map(|count| signal.physical_value(*count) * factor);
        values.fold(f64::MIN, f64::max)
    };
    assert!(
        extreme(-1.0) > 100.0 && extreme(1.0) < 100.0,
        "{} {}",
        extreme(-1.0),
        extreme(1.0)
    );
    in_python("polarity.py", &[file]);
}

/// All EDF and BDF files below `folder`, whatever the case of their endings.
fn found(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
            if path.is_dir() {
                folders.push(path);
            } else if ending == "edf" || ending == "bdf" {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn run(station: &Station, path: &Path) -> Ran {
    let device = format!("playback:{}", path.display());
    station.cli(&[
        "session",
        "run",
        "--device",
        &device,
        "--set",
        "speed=max",
        "--training",
        "--now",
        "--duration",
        "unlimited",
        "--export",
        "edf",
    ])
}

fn is_refused(station: &Station, path: &Path, source: &Source) {
    let ran = run(station, path);
    let reason = if source.signals.is_empty() {
        "holds no signal"
    } else {
        "holds no data record"
    };
    assert_eq!(ran.code, DEVICE, "{}: {ran:?}", path.display());
    assert!(ran.stderr.contains(reason), "{}: {ran:?}", path.display());
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(
        !ran.stderr.contains(name),
        "a file's name can name a patient: {ran:?}"
    );
}

/// Runs the whole session, compares its recording, and yields its exports to be compared.
fn is_played(station: &Station, path: &Path, source: &Source) -> Vec<Value> {
    let ran = run(station, path);
    assert_eq!(ran.code, 0, "{ran:?}");
    let session = ran.json();
    assert_eq!(session["state"], "completed", "{session:#}");
    assert_eq!(session["provenance"], "playback");
    for step in session["steps"].as_array().unwrap() {
        let expected = if step["name"] == "prepare" {
            "skipped"
        } else {
            "done"
        };
        assert_eq!(step["state"], expected, "{step:#}");
    }
    let sealed = std::fs::read(session["report_path"].as_str().unwrap()).unwrap();
    assert!(sealed.starts_with(b"NSDOC"));
    let id = session["id"].as_str().unwrap();
    let html = station.path().join(format!("report-{id}.html"));
    station.ok(&["report", id, "--html", html.to_str().unwrap()]);
    assert!(
        std::fs::read_to_string(html).unwrap().contains("PLAYBACK"),
        "the report is marked"
    );
    if path.ends_with("edge/discontinuous_derived.edf") {
        // As the folder's own list of files states: 60 s are missing after 120.39 s, 120 s after
        // 400.39 s.
        let found: Vec<_> = source
            .breaks()
            .iter()
            .map(|b| (b.1 / 10_000_000, (b.2 - b.1) / 1_000_000_000))
            .collect();
        assert_eq!(found, [(12_039, 60), (40_039, 120)]);
    }
    let recording = station.recording(&session);
    values_are_equal(&recording, source);
    gaps_are_equal(&recording, source);
    annotations_are_equal(&recording, source);
    let verified = station.ok(&["recording", "verify", id]);
    assert_eq!(verified["sound"], true, "{verified:#}");
    assert_eq!(verified["in_ledger"], verified["segments"], "{verified:#}");
    exports(station, &session, path, source)
}

/// Every integer of the file, at the index that its time gives it.
fn values_are_equal(recording: &recording::Recording, source: &Source) {
    let rates = source.rates();
    assert_eq!(recording.streams().len(), rates.len());
    for (number, per_record) in rates.into_iter().enumerate() {
        let index = StreamIndex(u16::try_from(number).unwrap());
        let signals: Vec<_> = source
            .signals
            .iter()
            .filter(|signal| signal.per_record == per_record)
            .collect();
        let stream = &recording.streams()[number];
        assert_eq!(stream.channels.len(), signals.len());
        let hz = per_record as f64 * 1e9 / source.record_ns as f64;
        assert!(
            (stream.rate.as_hz().unwrap() / hz - 1.0).abs() < 1e-12,
            "{:?}",
            stream.rate
        );
        let pieces = recording.read(index, 0..u64::MAX).unwrap();
        let breaks = source.breaks();
        assert_eq!(pieces.len(), breaks.len() + 1);
        let mut position = 0;
        let mut missing = 0;
        for (number, piece) in pieces.iter().enumerate() {
            if let Some((record, from, until)) = number.checked_sub(1).map(|n| breaks[n]) {
                assert_eq!(
                    position,
                    record * per_record,
                    "a run ends where the file breaks off"
                );
                missing += source.samples_in(until - from, per_record);
            }
            assert_eq!(piece.first_index, position as u64 + missing);
            let begins = source.start_ns + source.onsets[position / per_record];
            assert!(
                (piece.start.0 - begins).abs() <= 1_000,
                "{:?}, not {begins}",
                piece.start
            );
            for (row, signal) in signals.iter().enumerate() {
                let expected = &signal.values[position..position + piece.len];
                let at = row * piece.len..(row + 1) * piece.len;
                let equal = match &piece.samples {
                    Samples::I16(v) => v[at]
                        .iter()
                        .map(|v| i32::from(*v))
                        .eq(expected.iter().copied()),
                    Samples::I24(v) => v[at] == *expected,
                    other => panic!("recorded as {:?}", other.sample_type()),
                };
                assert!(equal, "stream {number}, signal {row} from {position}");
            }
            position += piece.len;
        }
        assert_eq!(
            position,
            source.records * per_record,
            "every sample is recorded"
        );
    }
}

fn gaps_are_equal(recording: &recording::Recording, source: &Source) {
    let breaks = source.breaks();
    let gaps = recording.gaps();
    let rates = source.rates();
    assert_eq!(gaps.len(), breaks.len() * rates.len(), "{gaps:?}");
    for (stream, per_record) in rates.into_iter().enumerate() {
        let of_stream = gaps
            .iter()
            .filter(|known| usize::from(known.gap.stream.0) == stream);
        for (known, (_, from, until)) in of_stream.zip(&breaks) {
            let gap = known.gap;
            assert!(known.recorded, "{gap:?}");
            assert!(
                (gap.from.0 - source.start_ns - from).abs() <= 1_000,
                "{gap:?}"
            );
            assert!(
                (gap.until.0 - source.start_ns - until).abs() <= 1_000,
                "{gap:?}"
            );
            let missing = source.samples_in(until - from, per_record);
            assert_eq!(gap.missing, Missing::Exact(missing));
            assert_eq!(gap.resumes_at - gap.first_missing, missing);
        }
    }
}

/// Onset, duration and text; and the sample at that clock time is the one the file has there.
fn annotations_are_equal(recording: &recording::Recording, source: &Source) {
    let known = recording.annotations();
    let mut found: Vec<_> = known
        .iter()
        .map(|known| &known.annotation)
        .inspect(|annotation| assert_eq!(annotation.origin, AnnotationOrigin::Source))
        .map(|a| (a.onset.0 - source.start_ns, a.duration_ns, a.text.clone()))
        .collect();
    let mut expected = source.annotations.clone();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    let per_record = source.rates()[0];
    for (onset, _, text) in &expected {
        let inside =
            |record: &usize| (0..source.record_ns).contains(&(onset - source.onsets[*record]));
        let Some(record) = (0..source.records).find(inside) else {
            continue;
        };
        let within = onset - source.onsets[record];
        let skipped = source.breaks().into_iter().filter(|(at, ..)| *at <= record);
        let skipped: u64 = skipped
            .map(|(_, from, until)| source.samples_in(until - from, per_record))
            .sum();
        let fraction = within as f64 * per_record as f64 / source.record_ns as f64;
        let expected = (record * per_record) as f64 + skipped as f64 + fraction;
        let at = signal::UtcNanos(source.start_ns + onset);
        let index = recording.index_at(StreamIndex(0), at).unwrap().unwrap();
        assert!(
            (index as f64 - expected).abs() <= 1.0,
            "{text}: sample {index}, not {expected}"
        );
    }
}

/// The session's own export, one with reviewed annotations, and EDF+D where the file has gaps.
fn exports(station: &Station, session: &Value, path: &Path, source: &Source) -> Vec<Value> {
    let id = session["id"].as_str().unwrap();
    let own = Path::new(session["exports"][0].as_str().unwrap())
        .parent()
        .unwrap()
        .to_owned();
    let mut folders = vec![(own.clone(), false)];
    let signal_files = |folder: &Path| found(folder).len();
    assert_eq!(
        signal_files(&own),
        source.breaks().len() + 1,
        "one file for each unbroken run"
    );
    let mut ask = |format: &str| {
        let to = station.path().join(format!("asked-{format}-{id}"));
        let target = to.to_str().unwrap();
        station.ok(&[
            "export",
            id,
            "--format",
            format,
            "--annotations-reviewed",
            "--to",
            target,
        ]);
        folders.push((to.clone(), true));
        to
    };
    ask("edf");
    if !source.breaks().is_empty() {
        let at = ask("edf-d");
        let files = found(&at);
        assert_eq!(files.len(), 1);
        assert_eq!(&std::fs::read(&files[0]).unwrap()[192..197], b"EDF+D");
        gap_table_is_equal(&own, source);
    }
    for (folder, _) in &folders {
        names_no_one(folder, source);
    }
    let job = |(folder, annotations)| json!({"source": path, "folder": folder, "annotations": annotations});
    folders.into_iter().map(job).collect()
}

/// The table beside the files has every gap of the source, in seconds from the first sample.
fn gap_table_is_equal(folder: &Path, source: &Source) {
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let table = files
        .into_iter()
        .find(|path| path.to_string_lossy().ends_with("_gaps.tsv"));
    let table = std::fs::read_to_string(table.unwrap()).unwrap();
    let mut lines = table.lines();
    let names: Vec<_> = lines.next().unwrap().split('\t').collect();
    let column = |name: &str| names.iter().position(|n| *n == name).unwrap();
    let (from, until) = (column("from_s"), column("until_s"));
    let found: Vec<[f64; 2]> = lines
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .map(|cells| [cells[from], cells[until]].map(|cell| cell.parse().unwrap()))
        .collect();
    let seconds = |nanos: i64| (nanos - source.onsets[0]) as f64 / 1e9;
    let expected = source.breaks();
    assert_eq!(
        found.len(),
        expected.len() * source.rates().len(),
        "{table}"
    );
    for ([from, until], (_, from2, until2)) in found.iter().zip(&expected) {
        assert!((from - seconds(*from2)).abs() < 1e-6 && (until - seconds(*until2)).abs() < 1e-6);
    }
}

/// No word of the source's identification, and no true date, is anywhere in the files.
fn names_no_one(folder: &Path, source: &Source) {
    let fields = [source.patient.as_str(), source.recording.as_str()].join(" ");
    // What is too short cannot be told from chance. 'John_Doe' is looked for as a whole and by its
    // parts. The tables and the manifest hold plain sentences of their own, signal files do not.
    let words: Vec<&str> = fields
        .split(|c: char| c.is_whitespace() || c == ',')
        .flat_map(|word| std::iter::once(word).chain(word.split('_')))
        .filter(|word| word.chars().count() >= 4 && *word != "Startdate")
        .collect();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).unwrap();
        let table = !name.ends_with("df");
        for word in words.iter().filter(|word| !table || !is_plain(word)) {
            let latin1: Vec<u8> = word.chars().map(|c| c as u8).collect();
            assert!(!holds(&bytes, word.as_bytes()), "{name} holds '{word}'");
            assert!(!holds(&bytes, &latin1), "{name} holds '{word}'");
            assert!(!name.contains(word), "{name} is named after '{word}'");
        }
        if !table {
            assert_eq!(&bytes[168..176], b"01.01.85", "{name}");
            assert!(
                bytes[88..168].starts_with(b"Startdate 01-JAN-1985 X X PLAYBACK_"),
                "{name}"
            );
            let patient = String::from_utf8_lossy(&bytes[8..88]).into_owned();
            assert!(
                patient.starts_with("sub-") && patient.trim_end().ends_with(" X X X"),
                "{patient}"
            );
        }
    }
}

/// Whether a word is of small letters only, as in a sentence.
fn is_plain(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_lowercase())
}

fn holds(bytes: &[u8], word: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == word[0]) {
        if rest[at..].starts_with(word) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

/// Runs `check` on all files, a few at a time; yields what failed and how.
fn in_parallel(
    files: &[&(PathBuf, Source)],
    check: impl Fn(&(PathBuf, Source)) + Sync,
) -> Vec<String> {
    let queue: Mutex<VecDeque<_>> = Mutex::new(files.iter().copied().collect());
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let Some(file) = queue.lock().unwrap().pop_front() else {
                        return;
                    };
                    let Err(panic) = std::panic::catch_unwind(AssertUnwindSafe(|| check(file)))
                    else {
                        continue;
                    };
                    let why = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                    failed
                        .lock()
                        .unwrap()
                        .push(format!("{}: {why}", file.0.display()));
                }
            });
        }
    });
    failed.into_inner().unwrap()
}

/// Runs a script of the other programs' readers, which must find nothing wrong.
fn in_python(script: &str, arguments: &[&str]) {
    let Some(python) = python() else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("python")
        .join(script);
    let out = Command::new(python)
        .arg(script)
        .args(arguments)
        .output()
        .expect("run Python");
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(
        out.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&out.stderr)
    );
    eprintln!("{said}");
}
