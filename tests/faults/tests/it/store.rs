//! A store that is locked, damaged, or under another key: recording and the emergency stop go on.

use end_to_end::Station;
use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the store stays locked.
const LOCKED: Duration = Duration::from_secs(3);

/// A second connection that holds the write lock, as another program would.
async fn lock(station: &Station) -> SqliteConnection {
    let keys = store::keys::KeyConfig::new(station.path());
    let mut rng = <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(0);
    let unlocked = store::keys::unlock(&keys, &mut rng).unwrap();
    let hex: String = unlocked
        .key
        .database_key()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let mut connection = SqliteConnectOptions::new()
        .filename(station.path().join("store.sqlite"))
        .pragma("key", format!("\"x'{hex}'\""))
        .busy_timeout(Duration::from_secs(10))
        .connect()
        .await
        .unwrap();
    sqlx::query("BEGIN IMMEDIATE")
        .execute(&mut connection)
        .await
        .unwrap();
    connection
}

fn emergency_stop(station: &Station, devices: u64) {
    let stopped = station.ok(&["--no-start", "session", "emergency-stop"]);
    assert_eq!(stopped["devices"], devices, "{stopped:#}");
    assert!(stopped["took_ms"].as_f64().unwrap() < 100.0, "{stopped:#}");
}

fn entries(station: &Station, kind: &str) -> usize {
    let shown = station.ok(&["ledger", "show", "--limit", "10000", "--kind", kind]);
    shown["entries"].as_array().unwrap().len()
}

#[test]
fn a_locked_store_stops_neither_the_record_nor_the_emergency_stop() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let station = Station::new();
    let mut engine = station.engine();
    let started = station.ok(&[
        "session",
        "start",
        "--training",
        "--now",
        "--duration",
        "unlimited",
        "--set",
        "script=[[dropout]]\nat_s = 3.0\nsamples = 25\n",
    ]);
    let id = started["id"].as_str().unwrap();
    let recorded = || station.session(id)["recorded_s"].as_f64().unwrap();
    assert!(
        station.wait_for(Duration::from_secs(30), || recorded() > 1.0),
        "{}",
        station.log()
    );

    let held = runtime.block_on(lock(&station));
    let began = Instant::now();
    let before = recorded();
    emergency_stop(&station, 1);
    std::thread::sleep(LOCKED.saturating_sub(began.elapsed()));
    assert!(
        recorded() > before + 1.0,
        "recording goes on\n{}",
        station.log()
    );
    runtime.block_on(async {
        // Closing gives the lock back, and nothing was written.
        held.close().await.unwrap();
    });

    let stored = station.wait_for(Duration::from_secs(20), || {
        entries(&station, "safety.emergency_stop") == 1 && entries(&station, "recorder.gap") > 0
    });
    assert!(
        stored,
        "what happened meanwhile is entered afterwards\n{}",
        station.log()
    );
    station.ok(&["session", "stop", id]);
    let session = station.finished(id, Duration::from_secs(60));
    assert_eq!(
        session["state"],
        "completed",
        "{session:#}\n{}",
        station.log()
    );
    let gaps = station.recording(&session).gaps();
    assert!(
        gaps.iter()
            .all(|known| known.gap.cause == signal::GapCause::Transport),
        "the lock cost no sample: {gaps:?}"
    );
    assert_eq!(station.ok(&["recording", "verify", id])["sound"], true);
    assert_eq!(station.ok(&["ledger", "verify"])["sound"], true);
    assert_eq!(station.ok(&["workflow", "replay", id])["agrees"], true);
    station.ok(&["engine", "stop"]);
    assert!(engine.wait().unwrap().success());
}

#[test]
fn a_store_that_is_locked_at_the_start_keeps_nobody_from_recording() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let station = Station::new();
    let mut engine = station.engine();
    let held = runtime.block_on(lock(&station));
    let began = Instant::now();
    let started = station.ok(&[
        "session",
        "start",
        "--training",
        "--now",
        "--duration",
        "unlimited",
    ]);
    let notice = started["notice"].as_str().unwrap();
    assert!(notice.contains("takes nothing"), "{started:#}");
    let id = started["id"].as_str().unwrap();
    let recorded = || station.session(id)["recorded_s"].as_f64().unwrap();
    let begun = station.wait_for(Duration::from_secs(30), || recorded() > 0.5);
    assert!(begun, "{}", station.log());
    assert!(
        began.elapsed() < Duration::from_secs(30),
        "it records within 30 s"
    );
    emergency_stop(&station, 1);
    let listed = station.ok(&["session", "list"]);
    assert_eq!(listed["sessions"][0]["id"], id, "{listed:#}");
    assert!(station.wait_for(Duration::from_secs(30), || recorded() > 2.0));
    // It ends while the store is locked still, and becomes a session when that answers.
    station.ok(&["session", "stop", id]);
    let ended = station.wait_for(Duration::from_secs(30), || {
        station.session(id)["state"] == "interrupted"
    });
    assert!(ended, "{:#}\n{}", station.session(id), station.log());
    runtime.block_on(async { held.close().await.unwrap() });
    let completed = station.wait_for(Duration::from_secs(60), || {
        station.session(id)["state"] == "completed"
    });
    assert!(completed, "{:#}\n{}", station.session(id), station.log());
    let verified = station.ok(&["recording", "verify", id]);
    assert_eq!(verified["sound"], true, "{verified:#}");
    assert_eq!(verified["in_ledger"], verified["segments"], "{verified:#}");
    assert_eq!(entries(&station, "safety.emergency_stop"), 1);
    assert_eq!(station.ok(&["ledger", "verify"])["sound"], true);
    station.ok(&["engine", "stop"]);
    assert!(engine.wait().unwrap().success());
}

/// How long the store is locked while many things happen, and how many.
const LONG: Duration = Duration::from_secs(14);
const LOSSES: usize = 60;

#[test]
fn sixty_events_on_a_locked_store_do_not_stall_the_collection() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let station = Station::new();
    let mut engine = station.engine();
    let script: String = (0..LOSSES)
        .map(|n| {
            let at_s = 4.0 + n as f64 * 0.1;
            format!("[[dropout]]\nat_s = {at_s:.1}\nsamples = 3\n")
        })
        .collect();
    let script = format!("script={script}");
    let started = station.ok(&[
        "session",
        "start",
        "--training",
        "--now",
        "--duration",
        "unlimited",
        "--set",
        &script,
    ]);
    let id = started["id"].as_str().unwrap();
    let recorded = || station.session(id)["recorded_s"].as_f64().unwrap();
    assert!(
        station.wait_for(Duration::from_secs(30), || recorded() > 2.0),
        "{}",
        station.log()
    );
    // Each event costs its sender a quarter of a second while this holds: fifteen in all, and a
    // collection that says nothing for ten is taken for dead.
    let held = runtime.block_on(lock(&station));
    std::thread::sleep(LONG);
    runtime.block_on(async {
        held.close().await.unwrap();
    });
    let stored = station.wait_for(Duration::from_secs(60), || {
        entries(&station, "recorder.gap") >= LOSSES
    });
    assert!(
        stored,
        "{}\n{}",
        entries(&station, "recorder.gap"),
        station.log()
    );
    station.ok(&["session", "stop", id]);
    let session = station.finished(id, Duration::from_secs(60));
    let steps = station.ok(&[
        "ledger",
        "show",
        "--limit",
        "10000",
        "--kind",
        "session.step",
    ]);
    let begun = steps["entries"].as_array().unwrap().iter().filter(|entry| {
        let data = &entry["payload"]["data"];
        data["step"] == "collect" && data["state"] == "started"
    });
    assert_eq!(begun.count(), 1, "the collection was taken for dead");
    let gaps = station.recording(&session).gaps();
    assert!(
        gaps.iter()
            .all(|known| known.gap.cause == signal::GapCause::Transport),
        "{gaps:?}"
    );
    station.ok(&["engine", "stop"]);
    assert!(engine.wait().unwrap().success());
}

/// A station with a session and a backup of its store, its engine stopped.
fn settled() -> (Station, String, std::path::PathBuf) {
    let station = Station::new();
    let session = station.ok(&["session", "run", "--training", "--now", "--duration", "1"]);
    let backup = station.path().join("backup.db");
    station.ok(&["backup", backup.to_str().unwrap()]);
    stop(&station);
    (station, session["id"].as_str().unwrap().to_owned(), backup)
}

fn stop(station: &Station) {
    station.ok(&["--no-start", "engine", "stop"]);
    let endpoint = station.path().join("engine.endpoint");
    assert!(station.wait_for(Duration::from_secs(10), || !endpoint.exists()));
}

/// The engine serves, says what is wrong and what to do, and the emergency stop answers.
fn assert_says(station: &Station, words: &[&str]) {
    let status = station.ok(&["engine", "start"]);
    assert_eq!(status["store_open"], false, "{status:#}");
    let refused = station.cli(&["session", "list"]);
    assert_eq!(refused.code, 7, "{refused:?}");
    for word in words {
        assert!(
            refused.stderr.contains(word),
            "'{word}' is not said: {refused:?}"
        );
    }
    // The sentence, and the line that says what to do.
    assert!(
        refused.stderr.trim_end().lines().count() >= 2,
        "no remedy: {refused:?}"
    );
    emergency_stop(station, 0);
    let doctor: Value = station.cli(&["doctor"]).json();
    let finding = doctor["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|f| f["check"] == "store");
    let finding = finding.unwrap();
    assert_eq!(finding["level"], "problem", "{finding:#}");
    assert!(
        !finding["remedy"].as_str().unwrap().is_empty(),
        "{finding:#}"
    );
    assert!(!station.log().contains("panicked"), "{}", station.log());
    stop(station);
}

#[test]
fn another_station_key_opens_nothing_and_loses_nothing() {
    let (station, id, _) = settled();
    let file = station.path().join("station.key");
    let right = fs::read(&file).unwrap();
    let other = Station::new();
    other.ok(&["engine", "start"]);
    stop(&other);
    fs::copy(other.path().join("station.key"), &file).unwrap();
    assert_says(&station, &["station key", "recover"]);
    fs::write(&file, right).unwrap();
    assert_eq!(station.session(&id)["state"], "completed");
    assert_eq!(station.ok(&["ledger", "verify"])["sound"], true);
}

fn damage(database: &Path, how: &str) {
    let mut bytes = fs::read(database).unwrap();
    match how {
        "flipped" => {
            let from = bytes.len() / 8;
            for byte in bytes.iter_mut().skip(from).step_by(997) {
                *byte ^= 0x55;
            }
        }
        "cut" => bytes.truncate(bytes.len() / 3 + 17),
        "overwritten" => bytes.fill(0x5A),
        other => panic!("no such damage: {other}"),
    }
    fs::write(database, bytes).unwrap();
}

#[test]
fn a_damaged_database_is_told_of_and_comes_back_from_its_backup() {
    let (station, id, backup) = settled();
    let database = station.path().join("store.sqlite");
    let whole = fs::read(&database).unwrap();
    for how in ["flipped", "cut", "overwritten"] {
        fs::write(&database, &whole).unwrap();
        for rest in ["store.sqlite-wal", "store.sqlite-shm"] {
            let _ = fs::remove_file(station.path().join(rest));
        }
        damage(&database, how);
        eprintln!("database {how}");
        assert_says(&station, &["store"]);
    }
    let restored = station.cli(&["restore", backup.to_str().unwrap()]);
    assert_eq!(restored.code, 0, "{restored:?}");
    let session = station.session(&id);
    assert_eq!(session["state"], "completed", "{session:#}");
    assert_eq!(station.ok(&["ledger", "verify"])["sound"], true);
    assert_eq!(station.ok(&["recording", "verify", &id])["sound"], true);
    stop(&station);
}
