//! Hostile and broken clients on the engine's socket: it goes on serving the others.
//!
//! That another user's client is refused is not tested here: tests run as one user, in CI as root,
//! who may always connect.

use end_to_end::Station;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Half-open connections: more than the engine serves at once.
const HALF_OPEN: usize = 300;

fn connect(station: &Station) -> UnixStream {
    let path = std::fs::read_to_string(station.path().join("engine.endpoint")).unwrap();
    let stream = UnixStream::connect(path).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stream
        .set_write_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stream
}

/// Sends `bytes` and hangs up at once.
fn hang_up(station: &Station, bytes: &[u8]) {
    let _ = connect(station).write_all(bytes);
}

/// Sends `bytes`, then yields what comes back until the engine closes or falls silent.
fn say(station: &Station, bytes: &[u8]) -> String {
    let mut stream = connect(station);
    // The engine may close before it has read everything: that is an answer too.
    let _ = stream.write_all(bytes);
    let mut reply = Vec::new();
    let _ = stream.take(1 << 20).read_to_end(&mut reply);
    String::from_utf8_lossy(&reply).into_owned()
}

fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: engine\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[test]
fn malformed_requests_are_refused_and_others_served() {
    let station = Station::new();
    let mut engine = station.engine();
    let pid = engine.id();

    let mut noise = vec![0; 64 << 10];
    StdRng::seed_from_u64(7).fill_bytes(&mut noise);
    hang_up(&station, &noise);
    hang_up(&station, b"");
    hang_up(&station, b"\0\0\0\0");
    hang_up(&station, b"GET");
    let refused = say(&station, b"NONSENSE\r\n\r\n");
    assert!(refused.starts_with("HTTP/1.1 400"), "{refused:?}");

    let long = format!(
        "GET / HTTP/1.1\r\nhost: engine\r\nx: {}\r\n\r\n",
        "y".repeat(2 << 20)
    );
    let refused = say(&station, long.as_bytes());
    assert!(!refused.starts_with("HTTP/1.1 2"), "{refused:?}");
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(10_000));
    let refused = say(&station, many.as_bytes());
    assert!(!refused.starts_with("HTTP/1.1 2"), "{refused:?}");

    for path in [
        "/",
        "/v1/no.such.call",
        "/v999/session.list",
        "/../../etc/passwd",
    ] {
        let refused = say(&station, &post(path, b"{}"));
        assert!(refused.starts_with("HTTP/1.1 4"), "{path}: {refused:?}");
    }
    let deep = "[".repeat(500_000);
    let bodies = [
        "",
        "{",
        "[]",
        "null",
        "{\"id\":7}",
        "\u{FEFF}{}",
        deep.as_str(),
    ];
    for body in bodies {
        let refused = say(&station, &post("/v1/session.show", body.as_bytes()));
        assert!(refused.starts_with("HTTP/1.1 4"), "{refused:?}");
        assert!(
            refused.contains("\"invalid\""),
            "says what is wrong: {refused:?}"
        );
    }
    let refused = say(&station, &post("/v1/session.show", &vec![b' '; 8 << 20]));
    assert!(!refused.starts_with("HTTP/1.1 2"), "{refused:?}");
    // A body that never comes in full, and one of a length that cannot be.
    hang_up(
        &station,
        b"POST /v1/session.show HTTP/1.1\r\nhost: e\r\ncontent-length: 99\r\n\r\n{",
    );
    let refused = say(
        &station,
        b"POST /v1/session.show HTTP/1.1\r\nhost: e\r\ncontent-length: 99999999999999999999999\r\n\r\n{}",
    );
    assert!(refused.starts_with("HTTP/1.1 4"), "{refused:?}");

    let status = station.ok(&["--no-start", "engine", "status"]);
    assert_eq!(status["pid"], pid, "the same engine throughout");
    assert!(!station.log().contains("panicked"), "{}", station.log());
    station.ok(&["engine", "stop"]);
    assert!(engine.wait().unwrap().success());
}

#[test]
fn half_open_connections_keep_nobody_out() {
    let station = Station::new();
    let mut engine = station.engine();
    let mut open = Vec::new();
    for number in 0..HALF_OPEN {
        let mut stream = connect(&station);
        // Every second one begins a request that it never ends.
        if number % 2 == 0 {
            let _ = stream.write_all(b"POST /v1/session.list HTTP/1.1\r\nhost: e\r\n");
        }
        open.push(stream);
    }
    let began = Instant::now();
    let status = station.ok(&["--no-start", "engine", "status"]);
    assert_eq!(status["pid"], engine.id());
    assert_eq!(station.ok(&["session", "emergency-stop"])["devices"], 0);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(15), "others waited {took:?}");
    drop(open);
    station.ok(&["engine", "stop"]);
    assert!(engine.wait().unwrap().success());
}
