//! Several clients, second engines, and clients that die.

use end_to_end::Station;
use std::process::Stdio;
use std::time::Duration;

#[test]
fn a_clients_death_changes_nothing() {
    let station = Station::new();
    let mut engine = station.engine();
    let mut client = station
        .command("neurascale")
        .args([
            "--quiet",
            "session",
            "run",
            "--training",
            "--now",
            "--duration",
            "4",
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = station.wait_for(Duration::from_secs(30), || {
        let list = station.ok(&["session", "list"]);
        list["sessions"][0]["recorded_s"].as_f64().unwrap_or(0.0) > 0.5
    });
    assert!(begun, "{}", station.log());
    client.kill().unwrap();
    client.wait().unwrap();
    let id = station.ok(&["session", "list"])["sessions"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let session = station.finished(&id, Duration::from_secs(60));
    assert_eq!(session["state"], "completed", "{session:#}");
    assert!(session["recorded_s"].as_f64().unwrap() >= 4.0);
    assert!(station.recording(&session).gaps().is_empty());
    station.ok(&["engine", "stop"]);
    assert!(engine.wait().unwrap().success());
}

#[test]
fn two_clients_work_at_once() {
    let station = Station::new();
    let mut engine = station.engine();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let session =
                    station.ok(&["session", "run", "--training", "--now", "--duration", "2"]);
                assert_eq!(session["state"], "completed", "{session:#}");
            });
        }
    });
    assert_eq!(
        station.ok(&["session", "list"])["sessions"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    station.ok(&["engine", "stop"]);
    assert!(engine.wait().unwrap().success());
}

#[test]
fn a_second_engine_is_refused() {
    let station = Station::new();
    let mut first = station.engine();
    let started = station.ok(&["session", "start", "--training", "--now", "--duration", "4"]);
    let id = started["id"].as_str().unwrap();
    assert!(station.wait_for(Duration::from_secs(30), || {
        station.session(id)["recorded_s"].as_f64().unwrap_or(0.0) > 0.5
    }));
    let second = station
        .command("neurascale-engine")
        .arg("serve")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(4), "{said}");
    assert!(said.contains(&format!("process {}", first.id())), "{said}");
    assert!(
        station.ok(&["engine", "status"])["store_open"]
            .as_bool()
            .unwrap()
    );
    // The first has not even noticed.
    let stopped = station.ok(&["--no-start", "session", "emergency-stop"]);
    assert_eq!(stopped["devices"], 1, "{stopped:#}");
    assert!(stopped["took_ms"].as_f64().unwrap() < 100.0, "{stopped:#}");
    let session = station.finished(id, Duration::from_secs(60));
    assert_eq!(session["state"], "completed", "{session:#}");
    assert!(station.recording(&session).gaps().is_empty());
    station.ok(&["engine", "stop"]);
    first.wait().unwrap();
}

#[test]
fn an_engine_that_is_told_to_stop_refuses_while_it_records() {
    let station = Station::new();
    let mut engine = station.engine();
    let started = station.ok(&["session", "start", "--training", "--now", "--duration", "6"]);
    let id = started["id"].as_str().unwrap();
    assert!(station.wait_for(Duration::from_secs(30), || {
        station.session(id)["recorded_s"].as_f64().unwrap() > 1.0
    }));
    assert_eq!(station.cli(&["engine", "stop"]).code, 4);
    station.ok(&["engine", "stop", "--force"]);
    assert!(engine.wait().unwrap().success(), "a forced stop is clean");
    // The next client starts an engine, which takes the session up.
    let session = station.finished(id, Duration::from_secs(60));
    assert_eq!(
        session["state"],
        "completed",
        "{session:#}\n{}",
        station.log()
    );
    let recording = station.recording(&session);
    assert!(
        !recording.gaps().is_empty(),
        "the time without an engine is a gap"
    );
}
