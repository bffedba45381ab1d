//! A store that cannot be opened keeps nobody from recording, and what was recorded comes into it.

use end_to_end::Station;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A station whose store has been used once, its engine stopped, and a backup of that store.
fn settled() -> (Station, PathBuf) {
    let station = Station::new();
    station.ok(&["session", "run", "--training", "--now", "--duration", "1"]);
    let backup = station.path().join("backup.db");
    station.ok(&["backup", backup.to_str().unwrap()]);
    stop(&station);
    (station, backup)
}

fn stop(station: &Station) {
    station.ok(&["--no-start", "engine", "stop", "--force"]);
    let endpoint = station.path().join("engine.endpoint");
    assert!(station.wait_for(Duration::from_secs(30), || !endpoint.exists()));
}

/// Starts, marks and stops for an emergency; the session's id.
fn record(station: &Station) -> String {
    let status = station.ok(&["engine", "start"]);
    assert_eq!(status["store_open"], false, "{status:#}");
    let refused = station.cli(&["session", "start", "--training", "--duration", "2"]);
    assert_eq!(refused.code, 7, "{refused:?}");
    assert!(
        refused.stderr.contains("--now"),
        "says what works: {refused:?}"
    );
    let started = station.ok(&[
        "session",
        "start",
        "--training",
        "--now",
        "--duration",
        "unlimited",
    ]);
    assert!(
        started["notice"].as_str().unwrap().contains("not open"),
        "{started:#}"
    );
    let id = started["id"].as_str().unwrap().to_owned();
    let recorded = || station.session(&id)["recorded_s"].as_f64().unwrap();
    let begun = station.wait_for(Duration::from_secs(30), || recorded() > 1.5);
    assert!(begun, "{:#}\n{}", station.session(&id), station.log());
    station.ok(&[
        "session",
        "annotate",
        &id,
        "Eyes closed",
        "--code",
        "eyes_closed",
    ]);
    let stopped = station.ok(&["session", "emergency-stop"]);
    assert_eq!(stopped["devices"], 1, "{stopped:#}");
    assert!(stopped["took_ms"].as_f64().unwrap() < 100.0, "{stopped:#}");
    let so_far = recorded();
    assert!(station.wait_for(Duration::from_secs(20), || recorded() > so_far + 0.5));
    let listed = station.ok(&["session", "list"]);
    assert_eq!(listed["sessions"][0]["id"], id.as_str(), "{listed:#}");
    assert_eq!(listed["sessions"][0]["state"], "running", "{listed:#}");
    id
}

fn end(station: &Station, id: &str) {
    station.ok(&["session", "stop", id]);
    let ended = station.wait_for(Duration::from_secs(30), || {
        station.session(id)["state"] == "interrupted"
    });
    assert!(ended, "{:#}\n{}", station.session(id), station.log());
}

/// Files of keys and logs that wait to be taken in.
fn waiting(station: &Station) -> Vec<PathBuf> {
    let folder = station.path().join("without-store");
    let entries = fs::read_dir(folder).map(|all| all.flatten().map(|e| e.path()).collect());
    entries.unwrap_or_default()
}

fn keys(station: &Station) -> usize {
    let is_key = |path: &PathBuf| path.extension().is_some_and(|e| e == "key");
    waiting(station).iter().filter(|path| is_key(path)).count()
}

/// The session is an ordinary one, and its evidence holds.
fn assert_taken_in(station: &Station, id: &str) -> Value {
    let session = station.finished(id, Duration::from_secs(60));
    assert_eq!(
        session["state"],
        "completed",
        "{session:#}\n{}",
        station.log()
    );
    let listed = station.ok(&["session", "list"]);
    let ids: Vec<_> = listed["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| &s["id"])
        .collect();
    assert!(ids.contains(&&Value::from(id)), "{listed:#}");
    let verified = station.ok(&["recording", "verify", id]);
    assert_eq!(verified["sound"], true, "{verified:#}");
    assert!(verified["segments"].as_u64().unwrap() > 0, "{verified:#}");
    assert_eq!(verified["in_ledger"], verified["segments"], "{verified:#}");
    assert_eq!(station.ok(&["ledger", "verify"])["sound"], true);
    for (kind, count) in [("session.started", 1), ("safety.emergency_stop", 1)] {
        let shown = station.ok(&["ledger", "show", "--limit", "10000", "--kind", kind]);
        let of = |e: &&Value| e["payload"]["data"]["session_id"] == id;
        let found = shown["entries"]
            .as_array()
            .unwrap()
            .iter()
            .filter(of)
            .count();
        assert_eq!(found, count, "{kind}: {shown:#}");
    }
    let record = station.recording(&session);
    let codes: Vec<_> = record
        .annotations()
        .into_iter()
        .filter_map(|a| a.annotation.code)
        .collect();
    for code in ["eyes_closed", "emergency_stop"] {
        assert!(codes.contains(&code.to_owned()), "{codes:?}");
    }
    assert!(waiting(station).is_empty(), "{:?}", waiting(station));
    assert!(!station.log().contains("panicked"), "{}", station.log());
    session
}

#[test]
fn under_another_station_key_it_is_recorded_and_taken_in_when_the_right_one_is_back() {
    let (station, _) = settled();
    let file = station.path().join("station.key");
    let right = fs::read(&file).unwrap();
    let other = Station::new();
    other.ok(&["engine", "start"]);
    stop(&other);
    fs::copy(other.path().join("station.key"), &file).unwrap();

    let id = record(&station);
    // The key at hand may be wrong: the recording has one of its own, for this user only.
    assert_eq!(keys(&station), 1, "{:?}", waiting(&station));
    for path in waiting(&station) {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    end(&station, &id);
    stop(&station);
    fs::write(&file, right).unwrap();
    let session = assert_taken_in(&station, &id);
    assert!(session["recorded_s"].as_f64().unwrap() > 1.5, "{session:#}");
}

#[test]
fn with_a_damaged_store_the_recording_lies_under_the_station_key_and_outlives_a_kill() {
    let (station, backup) = settled();
    let database = station.path().join("store.sqlite");
    damage(&database);
    let id = record(&station);
    assert_eq!(keys(&station), 0, "the station key is certain");
    let log = waiting(&station).pop().unwrap();
    let text = fs::read_to_string(&log).unwrap();
    assert!(
        !text.contains("simulated:headset\",\"settings"),
        "the session lies sealed"
    );

    // Killed and started anew, the store damaged still: it goes on.
    let pid = station.engine_pid().unwrap();
    let before = station.session(&id)["recorded_s"].as_f64().unwrap();
    let killed = std::process::Command::new("kill")
        .arg("-9")
        .arg(pid.to_string())
        .status();
    assert!(killed.unwrap().success());
    let goes_on = station.wait_for(Duration::from_secs(30), || {
        let shown = station.cli(&["session", "show", &id]);
        shown.code == 0 && shown.json()["recorded_s"].as_f64().unwrap() > before + 1.0
    });
    assert!(goes_on, "{}", station.log());
    end(&station, &id);
    stop(&station);
    let restored = station.cli(&["restore", backup.to_str().unwrap()]);
    assert_eq!(restored.code, 0, "{restored:?}");
    assert_taken_in(&station, &id);
}

#[test]
fn a_recording_that_is_under_way_when_the_store_is_mended_goes_on_as_a_session() {
    let (station, backup) = settled();
    damage(&station.path().join("store.sqlite"));
    let id = record(&station);
    let before = station.session(&id)["recorded_s"].as_f64().unwrap();
    stop(&station);
    let restored = station.cli(&["restore", backup.to_str().unwrap()]);
    assert_eq!(restored.code, 0, "{restored:?}");
    let goes_on = station.wait_for(Duration::from_secs(30), || {
        let session = station.session(&id);
        session["state"] == "running" && session["recorded_s"].as_f64().unwrap() > before + 1.0
    });
    assert!(goes_on, "{:#}\n{}", station.session(&id), station.log());
    station.ok(&["session", "stop", &id]);
    assert_taken_in(&station, &id);
}

fn damage(database: &Path) {
    let mut bytes = fs::read(database).unwrap();
    bytes.truncate(bytes.len() / 3 + 17);
    fs::write(database, bytes).unwrap();
    for rest in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{rest}", database.display()));
    }
}
