//! A disk that fills up while recording: told of, nothing before it lost, and recording goes on.

use end_to_end::Station;
use signal::{GapCause, Samples, StreamIndex};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long the disk stays full in the long test.
const FULL: Duration = Duration::from_secs(32);
/// What the recorder keeps in memory meanwhile, and what the session writes before and after.
const ROOM_MIB: usize = 128 + 160;

/// A file system in memory, taken away again when dropped.
#[derive(Debug)]
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None`, said loudly, where this user may not mount.
    fn new(mib: usize) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let options = format!("size={mib}m,mode=700");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(folder.path())
            .output();
        match mounted {
            Ok(out) if out.status.success() => Some(Self(folder)),
            other => {
                eprintln!("SKIPPED: a full disk needs the right to mount a tmpfs: {other:?}");
                None
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// Writes until nothing more fits.
fn fill(path: &Path) {
    let mut file = File::options()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    for size in [1 << 20, 4_096, 1] {
        let block = vec![0_u8; size];
        while file.write_all(&block).is_ok() {}
    }
}

#[test]
fn a_full_disk_is_told_of_and_recording_goes_on_when_there_is_room() {
    let Some(disk) = SmallDisk::new(16) else {
        return;
    };
    let station = Station::within(disk.0.path());
    let mut engine = station.engine();
    let started = station.ok(&[
        "session",
        "start",
        "--training",
        "--now",
        "--duration",
        "unlimited",
        "--set",
        "numbered=true",
    ]);
    let id = started["id"].as_str().unwrap();
    let recorded = || station.session(id)["recorded_s"].as_f64().unwrap();
    assert!(
        station.wait_for(Duration::from_secs(30), || recorded() > 2.0),
        "{}",
        station.log()
    );

    let filler = disk.0.path().join("filler");
    fill(&filler);
    let before = station.recording(&station.session(id));
    let kept = before.read(signal::StreamIndex(0), 0..u64::MAX).unwrap();
    assert!(!kept.is_empty());
    std::thread::sleep(Duration::from_secs(3));
    fill(&filler);
    let told = || station.log().contains("the recorder cannot write");
    assert!(
        station.wait_for(Duration::from_secs(20), told),
        "{}",
        station.log()
    );
    let stopped = station.ok(&["--no-start", "session", "emergency-stop"]);
    assert_eq!(stopped["devices"], 1, "{stopped:#}");
    assert!(stopped["took_ms"].as_f64().unwrap() < 100.0, "{stopped:#}");
    let doctor = station.cli(&["--no-start", "doctor"]).json();
    let finding = doctor["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|f| f["check"] == "disk");
    let finding = finding.unwrap();
    assert_eq!(finding["level"], "problem", "{finding:#}");
    assert!(
        finding["remedy"].as_str().unwrap().contains("Free space"),
        "{finding:#}"
    );
    let refused = station.cli(&["--no-start", "export", id]);
    assert_eq!(refused.code, 8, "{refused:?}\n{}", station.log());
    assert!(
        refused.stderr.contains("Free space"),
        "says what to do: {refused:?}"
    );

    std::fs::remove_file(&filler).unwrap();
    let until = recorded() + 3.0;
    assert!(station.wait_for(Duration::from_secs(30), || recorded() > until));
    station.ok(&["session", "stop", id]);
    let session = station.finished(id, Duration::from_secs(60));
    assert_eq!(
        session["state"],
        "completed",
        "{session:#}\n{}",
        station.log()
    );
    let recording = station.recording(&session);
    for piece in kept {
        let range = piece.first_index..piece.first_index + piece.len as u64;
        let now = recording
            .read(signal::StreamIndex(0), range.clone())
            .unwrap();
        assert!(
            now.len() == 1 && now[0].samples == piece.samples,
            "samples {range:?} changed"
        );
    }
    let end = recording
        .runs(signal::StreamIndex(0))
        .unwrap()
        .last()
        .unwrap()
        .end_index;
    assert!(end > 256 * 6, "it went on: {end} samples");
    assert_eq!(station.ok(&["recording", "verify", id])["sound"], true);
    assert_eq!(station.ok(&["ledger", "verify"])["sound"], true);
    let low = station.ok(&[
        "ledger",
        "show",
        "--limit",
        "10000",
        "--kind",
        "disk.space_low",
    ]);
    assert!(
        !low["entries"].as_array().unwrap().is_empty(),
        "{}",
        station.log()
    );
    let stops = station.ok(&["ledger", "show", "--kind", "safety.emergency_stop"]);
    assert_eq!(stops["entries"].as_array().unwrap().len(), 1, "{stops:#}");
    eprintln!("gaps: {:?}", recording.gaps());
    station.ok(&["engine", "stop"]);
    assert!(engine.wait().unwrap().success());
}

/// A wide amplifier outruns the 128 MiB that the recorder keeps in memory: the loss is told to the
/// sample, and the session goes on.
#[test]
fn a_disk_that_stays_full_costs_a_gap_that_is_told() {
    let Some(disk) = SmallDisk::new(ROOM_MIB) else {
        return;
    };
    let station = Station::within(disk.0.path());
    let mut engine = station.engine();
    let started = station.ok(&[
        "session",
        "start",
        "--training",
        "--now",
        "--duration",
        "unlimited",
        "--device",
        "simulated:amplifier",
        "--set",
        "channels=1024",
        "--set",
        "rate=4000",
        "--set",
        "numbered=true",
    ]);
    let id = started["id"].as_str().unwrap();
    let recorded = || station.session(id)["recorded_s"].as_f64().unwrap_or(0.0);
    assert!(
        station.wait_for(Duration::from_secs(30), || recorded() > 1.0),
        "{}",
        station.log()
    );
    let filler = disk.0.path().join("filler");
    fill(&filler);
    let full = Instant::now();
    let opened = station.recording(&station.session(id));
    let kept = opened.read_channel(StreamIndex(0), 0, 0..u64::MAX).unwrap();
    assert!(
        !kept.is_empty(),
        "what was recorded opens while the disk is full"
    );
    while full.elapsed() < FULL {
        let stopped = station.ok(&["--no-start", "session", "emergency-stop"]);
        assert_eq!(stopped["devices"], 1, "{stopped:#}");
        assert!(stopped["took_ms"].as_f64().unwrap() < 100.0, "{stopped:#}");
        std::thread::sleep(FULL / 4);
        fill(&filler);
    }
    std::fs::remove_file(&filler).unwrap();
    let until = recorded() + 2.0;
    assert!(
        station.wait_for(Duration::from_secs(30), || recorded() > until),
        "{}",
        station.log()
    );
    station.ok(&["session", "stop", id]);
    let session = station.finished(id, Duration::from_secs(240));
    assert_eq!(
        session["state"],
        "completed",
        "{session:#}\n{}",
        station.log()
    );

    let recording = station.recording(&session);
    let gaps = recording.gaps();
    let gaps: Vec<_> = gaps
        .iter()
        .map(|g| g.gap)
        .filter(|g| g.stream == StreamIndex(0))
        .collect();
    assert!(
        !gaps.is_empty(),
        "{} s full and nothing lost: no test of a loss",
        FULL.as_secs()
    );
    assert!(
        gaps.iter().all(|gap| gap.cause == GapCause::RecorderFull),
        "{gaps:?}"
    );
    assert_counted(&recording);
    let now = recording
        .read_channel(StreamIndex(0), 0, 0..kept[0].len as u64)
        .unwrap();
    assert!(
        now[0].samples == kept[0].samples,
        "what was recorded is what it was"
    );
    let notes = session.to_string();
    assert!(notes.contains("samples were not recorded"), "{session:#}");

    let shown = |kind| station.ok(&["ledger", "show", "--limit", "10000", "--kind", kind]);
    let told = |kind| shown(kind)["entries"].as_array().unwrap().clone();
    let missing: u64 = gaps
        .iter()
        .map(|gap| gap.resumes_at - gap.first_missing)
        .sum();
    let entered: u64 = told("recorder.gap")
        .iter()
        .map(|entry| &entry["payload"]["data"])
        .filter(|data| data["stream"] == "eeg")
        .map(|data| data["missing_samples"].as_u64().unwrap())
        .sum();
    assert_eq!(entered, missing, "the ledger has every loss");
    // Once when it fills up, and once by each measure of what is left; not ten times a second.
    let low = told("disk.space_low").len();
    assert!((1..=6).contains(&low), "{low} times\n{}", station.log());
    assert_eq!(told("safety.emergency_stop").len(), 4);
    assert_eq!(station.ok(&["recording", "verify", id])["sound"], true);
    assert_eq!(station.ok(&["ledger", "verify"])["sound"], true);
    station.ok(&["engine", "stop"]);
    assert!(engine.wait().unwrap().success());
}

/// The channel `number` counts on over gaps by exactly what is said to be missing.
fn assert_counted(recording: &recording::Recording) {
    let mut channels = recording.streams()[0].channels.iter();
    let channel = channels
        .position(|channel| channel.label == "number")
        .unwrap();
    let pieces = recording
        .read_channel(StreamIndex(0), channel, 0..u64::MAX)
        .unwrap();
    for piece in pieces {
        let (Samples::I24(values) | Samples::I32(values)) = piece.samples else {
            panic!("numbers are whole");
        };
        for (value, index) in values.iter().zip(piece.first_index..) {
            assert_eq!(i64::from(*value), index as i64, "sample {index}");
        }
    }
}
