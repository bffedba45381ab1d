//! FieldTrip buffers.

use crate::{clock, record};
use acquisition::EndReason;
use contract::conformance::{Expectations, check};
use contract::{Driver as _, ErrorKind, Settings};
use emulators::servers::{ServerConfig, ServerEmulator};
use emulators::{DeliveryLog, Script};
use network::FieldTripDriver;
use signal::Missing;
use std::time::{Duration, Instant};

fn server(ring: usize, change: impl FnOnce(&mut ServerConfig)) -> ServerEmulator {
    let mut config = ServerConfig::new();
    config.numbered = true;
    change(&mut config);
    ServerEmulator::fieldtrip(config, ring, DeliveryLog::default(), clock()).expect("a server")
}

fn scripted(ring: usize, script: &str) -> ServerEmulator {
    server(ring, |config| {
        config.script = Script::parse(script).expect("a script");
    })
}

fn open(server: &ServerEmulator) -> Box<dyn contract::Device> {
    let address = server.address().to_string();
    FieldTripDriver
        .open(&address, &Settings::new(), clock())
        .expect("opened")
}

#[test]
fn it_keeps_to_the_contract() {
    for float in [true, false] {
        let server = server(30_000, |config| config.float = float);
        let mut expected = Expectations::new(&server.address().to_string());
        // Nothing listens there.
        expected.unknown_address = "127.0.0.1:9".into();
        expected.discoverable = false;
        assert_eq!(check(&FieldTripDriver, &expected, clock()), [""; 0]);
    }
}

#[test]
fn samples_come_once_and_events_stand_at_theirs() {
    let server = server(30_000, |config| config.marker_every = Some(250));
    let (kept, summary) = record(open(&server), Duration::from_secs(6), |_| false);
    assert_eq!(summary.reason, EndReason::Stopped);
    assert!(kept.samples.len() > 2_000, "{}", kept.samples.len());
    kept.assert_nothing_lost(server.log());
    assert_eq!(kept.gaps, []);
    assert!(kept.marks.len() >= 8, "{:?}", kept.marks);
    for mark in &kept.marks {
        let number = mark
            .text
            .strip_prefix("Stimulus: S")
            .expect(&mark.text)
            .trim();
        assert_eq!(
            kept.sample_at(mark.onset, 500.0),
            number.parse().ok(),
            "{mark:?}"
        );
    }
}

#[test]
fn a_bad_line_loses_nothing_that_the_ring_still_holds() {
    let server = scripted(
        30_000,
        r#"
        seed = 6
        jitter_ms = 20
        drift_ppm = -150
        fault = [
            { at = 17, every = 40, kind = "pause", duration_ms = 300 },
            { at = 60, every = 97, kind = "disconnect", duration_ms = 120 },
        ]
        "#,
    );
    let seconds = if driver_tests::soak() { 900 } else { 9 };
    let (kept, summary) = record(open(&server), Duration::from_secs(seconds), |_| false);
    assert_eq!(summary.reason, EndReason::Stopped);
    assert!(kept.samples.len() > 2_000, "{}", kept.samples.len());
    assert!(kept.broken() >= 1, "{:?}", kept.gaps);
    kept.assert_nothing_lost(server.log());
}

#[test]
fn what_the_ring_has_written_over_is_an_exact_gap() {
    // Half a second is kept, and the answer is once held back for two.
    let server = scripted(
        250,
        "[[fault]]\nat = 30\nkind = \"pause\"\nduration_ms = 2000",
    );
    let (kept, _) = record(open(&server), Duration::from_secs(7), |_| false);
    assert!(!kept.gaps.is_empty());
    for gap in &kept.gaps {
        assert_eq!(
            gap.missing,
            Missing::Exact(gap.resumes_at - gap.first_missing),
            "{gap:?}"
        );
    }
    for two in kept.samples.windows(2) {
        assert_eq!(
            two[1].0 - two[0].0,
            two[1].1 - two[0].1,
            "indices and numbers agree"
        );
    }
}

#[test]
fn connections_that_break_come_back() {
    let times = driver_tests::reconnects();
    let script = "[[fault]]\nat = 15\nevery = 15\nkind = \"disconnect\"\nduration_ms = 120";
    let server = scripted(30_000, script);
    let enough = |kept: &crate::Kept| kept.broken() >= times;
    let (kept, _) = record(open(&server), Duration::from_secs(5 * times as u64), enough);
    assert!(kept.broken() >= times, "{} reconnects", kept.broken());
    kept.assert_nothing_lost(server.log());
}

#[test]
fn an_answer_that_is_cut_or_spoiled_ends_in_a_new_connection() {
    let script = r#"
        seed = 4
        fault = [
            { at = 20, kind = "truncated", bytes = 200 },
            { at = 60, kind = "garbage", bytes = 30 },
        ]
    "#;
    let server = scripted(30_000, script);
    let (kept, summary) = record(open(&server), Duration::from_secs(12), |kept| {
        kept.samples.len() > 3_000
    });
    // A stream that cannot be read on is either read anew or given up with its reason; nothing wrong is kept.
    for two in kept.samples.windows(2) {
        assert!(two[0].1 < two[1].1, "{two:?}");
        assert!(two[0].0 < two[1].0, "{two:?}");
    }
    assert!(
        matches!(
            summary.reason,
            EndReason::Stopped
                | EndReason::DeviceFailed {
                    kind: ErrorKind::Protocol,
                    ..
                }
        ),
        "{:?}",
        summary.reason
    );
}

#[test]
fn another_protocols_server_is_no_buffer() {
    let server = ServerEmulator::rda(ServerConfig::new(), DeliveryLog::default(), clock())
        .expect("a server");
    let began = Instant::now();
    let opened = FieldTripDriver.open(&server.address().to_string(), &Settings::new(), clock());
    let error = opened.expect_err("no buffer");
    assert_eq!(error.kind, ErrorKind::Protocol);
    assert!(began.elapsed() < Duration::from_secs(5));
}
