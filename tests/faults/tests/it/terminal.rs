//! The terminal or the display that a session was started from goes away.

use end_to_end::Station;
use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
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

/// An X server of its own, its display's number given out by itself.
struct Display {
    server: Child,
    name: String,
}

impl Display {
    /// `None`, said loudly, where there is no Xvfb.
    fn new() -> Option<Self> {
        let started = Command::new("Xvfb")
            .args([
                "-displayfd",
                "1",
                "-screen",
                "0",
                "640x480x24",
                "-nolisten",
                "tcp",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut server) = started else {
            eprintln!("SKIPPED: a display server that dies needs Xvfb (Debian: xvfb)");
            return None;
        };
        let mut number = String::new();
        let out = server.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut number).unwrap();
        let name = format!(":{}", number.trim());
        assert_ne!(name, ":", "Xvfb came up");
        Some(Self { server, name })
    }

    fn socket(&self) -> PathBuf {
        PathBuf::from(format!("/tmp/.X11-unix/X{}", &self.name[1..]))
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        // Killed hard, it leaves these behind.
        let _ = std::fs::remove_file(self.socket());
        let _ = std::fs::remove_file(format!("/tmp/.X{}-lock", &self.name[1..]));
    }
}

#[test]
fn an_engine_started_from_a_terminal_outlives_it() {
    outlives(None);
}

/// The display server goes first, and its clients are killed with it.
#[test]
fn an_engine_started_on_a_display_outlives_its_server() {
    let Some(display) = Display::new() else {
        return;
    };
    outlives(Some(display));
}

fn outlives(mut display: Option<Display>) {
    let station = Station::new();
    let program = station.command("neurascale").get_program().to_owned();
    // The shell stands for the terminal: the command line and what it starts are of its group.
    let line = r#""$0" --quiet session run --training --now --duration 5; sleep 60"#;
    let mut terminal = Command::new("sh");
    match &display {
        Some(display) => terminal.env("DISPLAY", &display.name),
        None => terminal.env_remove("DISPLAY"),
    };
    let mut terminal = terminal
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
    if let Some(display) = &mut display {
        assert!(
            UnixStream::connect(display.socket()).is_ok(),
            "the display is there"
        );
        display.server.kill().unwrap();
        display.server.wait().unwrap();
        assert!(
            UnixStream::connect(display.socket()).is_err(),
            "the display is gone"
        );
    }
    kill_group(terminal.id());
    terminal.wait().unwrap();
    let stopped = station.ok(&["--no-start", "session", "emergency-stop"]);
    assert_eq!(stopped["devices"], 1, "{stopped:#}");
    assert!(stopped["took_ms"].as_f64().unwrap() < 100.0, "{stopped:#}");
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
