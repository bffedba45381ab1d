//! The terminal or the display that a session was started from goes away.

use end_to_end::Station;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Kills every process of a group, as the end of a terminal or display server does to its own.
fn kill_group(leader: u32) {
    let group = format!("-{leader}");
    assert!(
        Command::new("kill")
            .args(["-9", "--", &group])
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn an_engine_started_from_a_terminal_outlives_it() {
    let station = Station::new();
    let program = station.command("neurascale").get_program().to_owned();
    // The shell stands for the terminal: the command line and what it starts are of its group.
    let line = r#""$0" --quiet session run --training --now --duration 5; sleep 60"#;
    let mut terminal = Command::new("sh")
        .args(["-c", line])
        .arg(program)
        .env("NEURASCALE_DATA_DIR", station.path())
        .env_remove("NEURASCALE_PASSPHRASE_FILE")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    let begun = station.wait_for(Duration::from_secs(30), || {
        let list = station.cli(&["--no-start", "session", "list"]);
        list.code == 0
            && list.json()["sessions"][0]["recorded_s"]
                .as_f64()
                .unwrap_or(0.0)
                > 0.5
    });
    assert!(begun, "{}", station.log());
    let engine = station.engine_pid();
    kill_group(terminal.id());
    terminal.wait().unwrap();
    let list = station.cli(&["--no-start", "session", "list"]);
    assert_eq!(
        list.code,
        0,
        "the engine is still there: {list:?}\n{}",
        station.log()
    );
    let id = list.json()["sessions"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let session = station.finished(&id, Duration::from_secs(60));
    assert_eq!(
        session["state"],
        "completed",
        "{session:#}\n{}",
        station.log()
    );
    assert!(
        station.recording(&session).gaps().is_empty(),
        "it did not even blink"
    );
    assert_eq!(station.engine_pid(), engine, "the very same engine");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let station = Station::new();
    for arguments in [vec!["--json", "doctor"], vec!["doctor"]] {
        let mut client = station
            .command("neurascale")
            .args(&arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(client.stdout.take());
        let said = client.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
    }
}
