//! A disk that fills up while recording: told of, nothing before it lost, and recording goes on.

use end_to_end::Station;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// A file system of 16 MiB in memory, taken away again when dropped.
#[derive(Debug)]
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None`, said loudly, where this user may not mount.
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=16m,mode=700", "tmpfs"])
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
    let Some(disk) = SmallDisk::new() else { return };
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
