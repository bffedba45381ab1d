//! Sleep is held off while something records: a bus of the test's own, on which one plays logind. A
//! bus that is dead, a logind that refuses or goes away keep nobody from recording.

use end_to_end::Station;
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use zbus::fdo;

const EVERYTHING: &str = "sleep:shutdown:idle:handle-lid-switch";
/// A lock that was lost or refused is asked for again within this: twice the engine's pause, and what
/// the programs take.
const AGAIN: Duration = Duration::from_secs(20);

/// A message bus, killed when dropped. It can come back at the same address.
struct Bus {
    folder: TempDir,
    daemon: Option<Child>,
}

impl Bus {
    /// A bus that does not run yet; `None`, said loudly, where there is no `dbus-daemon`.
    fn new() -> Option<Self> {
        let found = Command::new("dbus-daemon").arg("--version").output();
        if !found.is_ok_and(|out| out.status.success()) {
            eprintln!("SKIPPED: holding off sleep needs dbus-daemon (Debian: dbus)");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let bus = Self {
            folder,
            daemon: None,
        };
        let config = format!(
            "<!DOCTYPE busconfig PUBLIC '-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN' \
             'http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd'>\
             <busconfig><listen>{}</listen><auth>EXTERNAL</auth><policy context='default'>\
             <allow user='*'/><allow own='*'/><allow send_destination='*'/>\
             <allow receive_sender='*'/></policy></busconfig>",
            bus.address()
        );
        fs::write(bus.folder.path().join("bus.conf"), config).unwrap();
        Some(bus)
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("bus")
    }

    fn address(&self) -> String {
        format!("unix:path={}", self.socket().display())
    }

    fn start(&mut self) {
        let _ = fs::remove_file(self.socket());
        let daemon = Command::new("dbus-daemon")
            .arg("--nofork")
            .arg("--config-file")
            .arg(self.folder.path().join("bus.conf"))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        self.daemon = Some(daemon);
        for _ in 0..200 {
            if UnixStream::connect(self.socket()).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("dbus-daemon does not listen");
    }

    fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().unwrap();
            daemon.wait().unwrap();
        }
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A lock that was given: what for, and the end that shows when it is let go.
struct Lock {
    what: String,
    mode: String,
    end: UnixStream,
}

impl Lock {
    fn is_held(&mut self) -> bool {
        match self.end.read(&mut [0]) {
            Ok(read) => read > 0,
            Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
        }
    }
}

#[derive(Default)]
struct Given {
    locks: Vec<Lock>,
    /// What polkit would refuse.
    refused: Vec<&'static str>,
}

/// What is called on the bus.
struct Manager(Arc<Mutex<Given>>);

#[zbus::interface(name = "org.freedesktop.login1.Manager")]
impl Manager {
    fn inhibit(
        &self,
        what: String,
        who: String,
        why: String,
        mode: String,
    ) -> fdo::Result<zbus::OwnedFd> {
        assert_eq!(
            (who.as_str(), why.as_str()),
            ("NeuraScale", "A recording is under way"),
            "names nobody"
        );
        let mut given = self.0.lock().unwrap();
        if what.split(':').any(|one| given.refused.contains(&one)) {
            let text = "Permission denied by the test".to_owned();
            return Err(fdo::Error::AccessDenied(text));
        }
        let (end, lock) = UnixStream::pair().unwrap();
        end.set_nonblocking(true).unwrap();
        given.locks.push(Lock { what, mode, end });
        Ok(OwnedFd::from(lock).into())
    }
}

/// One that plays logind until it is dropped.
struct Logind {
    given: Arc<Mutex<Given>>,
    runtime: Option<Runtime>,
    _connection: zbus::Connection,
}

impl Logind {
    fn new(bus: &Bus, refused: &[&'static str]) -> Self {
        let given = Arc::new(Mutex::new(Given {
            refused: refused.to_vec(),
            ..Given::default()
        }));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let manager = Manager(given.clone());
        let address = bus.address();
        let connection = runtime
            .block_on(async move {
                zbus::connection::Builder::address(address.as_str())
                    .serve_at("/org/freedesktop/login1", manager)
                    .name("org.freedesktop.login1")
                    .build()
                    .await
            })
            .unwrap();
        Self {
            given,
            runtime: Some(runtime),
            _connection: connection,
        }
    }

    /// What is held off now, sorted.
    fn held(&self) -> Vec<String> {
        let mut given = self.given.lock().unwrap();
        let mut held: Vec<_> = (given.locks.iter_mut())
            .filter_map(|lock| lock.is_held().then(|| lock.what.clone()))
            .collect();
        held.sort();
        held
    }
}

impl Drop for Logind {
    fn drop(&mut self) {
        // Ends the connection's tasks with it, and so the connection.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }
}

fn engine(station: &Station, bus: &Bus) -> Child {
    let address = bus.address();
    station.engine_with(&[("DBUS_SYSTEM_BUS_ADDRESS", OsStr::new(&address))])
}

fn start(station: &Station) -> String {
    let started = station.ok(&[
        "session",
        "start",
        "--training",
        "--now",
        "--duration",
        "unlimited",
    ]);
    let id = started["id"].as_str().unwrap().to_owned();
    let recorded = || station.session(&id)["recorded_s"].as_f64().unwrap() > 0.5;
    assert!(
        station.wait_for(Duration::from_secs(30), recorded),
        "{}",
        station.log()
    );
    id
}

fn doctor(station: &Station) -> Value {
    let reply = station.cli(&["--no-start", "doctor"]).json();
    let findings = reply["findings"].as_array().unwrap();
    let finding = findings.iter().find(|f| f["check"] == "sleep").unwrap();
    finding.clone()
}

/// What the session says of sleep, while it holds.
fn alert(station: &Station, id: &str) -> Option<String> {
    let session = station.session(id);
    let alerts = session["alerts"].as_array().unwrap();
    let holds = |a: &&Value| a["issue"] == "may_sleep" && a["active"] == true;
    let found = alerts.iter().find(holds)?;
    Some(found["text"].as_str().unwrap().to_owned())
}

#[test]
fn sleep_is_held_off_from_the_first_recording_to_the_end_of_the_last() {
    let Some(mut bus) = Bus::new() else { return };
    bus.start();
    let logind = Logind::new(&bus, &[]);
    let station = Station::new();
    let mut engine = engine(&station, &bus);
    let finding = doctor(&station);
    assert_eq!(finding["level"], "good", "{finding:#}");
    assert!(logind.held().is_empty(), "the doctor's trial is let go");

    let first = start(&station);
    assert_eq!(logind.held(), [EVERYTHING]);
    assert_eq!(logind.given.lock().unwrap().locks[1].mode, "block");
    let second = start(&station);
    assert_eq!(logind.held(), [EVERYTHING], "one lock for all");
    let found = doctor(&station)["found"].to_string();
    assert!(found.contains("held off now"), "{found}");
    assert_eq!(alert(&station, &first), None);
    for (id, held) in [(&first, 1), (&second, 0)] {
        station.ok(&["session", "stop", id]);
        station.finished(id, Duration::from_secs(60));
        assert_eq!(logind.held().len(), held, "{}", station.log());
    }

    // A killed engine holds nothing.
    start(&station);
    assert_eq!(logind.held(), [EVERYTHING]);
    engine.kill().unwrap();
    engine.wait().unwrap();
    let gone = station.wait_for(Duration::from_secs(5), || logind.held().is_empty());
    assert!(gone, "{:?}", logind.held());
}

#[test]
fn a_dead_bus_stops_nobody_and_the_lock_is_taken_when_there_is_one() {
    let Some(mut bus) = Bus::new() else { return };
    let station = Station::new();
    let mut engine = engine(&station, &bus);
    let id = start(&station);
    let finding = doctor(&station);
    assert_eq!(finding["level"], "warning", "{finding:#}");
    assert!(finding["found"].to_string().contains("bus"), "{finding:#}");
    assert!(!finding["remedy"].as_str().unwrap().is_empty());
    // Nothing is known to put this computer to sleep: no one is called.
    assert_eq!(alert(&station, &id), None);

    let held = |logind: &Logind| {
        let held = station.wait_for(AGAIN, || logind.held() == [EVERYTHING]);
        assert!(held, "{:?}\n{}", logind.held(), station.log());
    };
    bus.start();
    let logind = Logind::new(&bus, &[]);
    held(&logind);
    // Another logind, which knows nothing of that lock.
    drop(logind);
    let logind = Logind::new(&bus, &[]);
    held(&logind);
    // Another bus.
    bus.kill();
    drop(logind);
    bus.start();
    let logind = Logind::new(&bus, &[]);
    held(&logind);

    station.ok(&["session", "stop", &id]);
    let session = station.finished(&id, Duration::from_secs(60));
    assert_eq!(session["state"], "completed", "{session:#}");
    assert!(station.recording(&session).gaps().is_empty());
    assert!(logind.held().is_empty());
    station.ok(&["engine", "stop"]);
    assert!(engine.wait().unwrap().success());
}

#[test]
fn a_logind_that_refuses_stops_nobody_and_people_are_told() {
    let Some(mut bus) = Bus::new() else { return };
    bus.start();
    let logind = Logind::new(&bus, &["sleep", "shutdown"]);
    let station = Station::new();
    let mut engine = engine(&station, &bus);
    let id = start(&station);
    let told = station.wait_for(Duration::from_secs(10), || alert(&station, &id).is_some());
    assert!(told, "{:#}", station.session(&id));
    let text = alert(&station, &id).unwrap();
    assert!(text.contains("may go to sleep"), "{text}");
    let finding = doctor(&station);
    assert_eq!(finding["level"], "warning", "{finding:#}");
    assert!(
        finding["found"].to_string().contains("denied"),
        "{finding:#}"
    );
    assert!(
        finding["remedy"].to_string().contains("polkit"),
        "{finding:#}"
    );

    // Given the right to hold off sleep, and not shutdown, it does what it may.
    logind.given.lock().unwrap().refused = vec!["shutdown"];
    let partly = station.wait_for(AGAIN, || logind.held().contains(&"sleep".to_owned()));
    assert!(partly, "{}", station.log());
    let told = station.wait_for(Duration::from_secs(10), || {
        alert(&station, &id).is_some_and(|text| text.contains("not shutdown"))
    });
    assert!(told, "{:#}", station.session(&id));
    assert_eq!(logind.held(), ["handle-lid-switch", "idle", "sleep"]);

    station.ok(&["session", "stop", &id]);
    let session = station.finished(&id, Duration::from_secs(60));
    assert_eq!(session["state"], "completed", "{session:#}");
    station.ok(&["engine", "stop"]);
    assert!(engine.wait().unwrap().success());
}
