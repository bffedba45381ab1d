//! BrainVision RDA.

use crate::{clock, record, soak};
use acquisition::EndReason;
use contract::conformance::{Expectations, check};
use contract::{Collected, Driver as _, ErrorKind, Settings};
use emulators::servers::{ServerConfig, ServerEmulator};
use emulators::{DeliveryLog, Script, Source, SourceSpec};
use network::RdaDriver;
use signal::{GapCause, Missing, Samples};
use std::time::{Duration, Instant};

fn server(change: impl FnOnce(&mut ServerConfig)) -> ServerEmulator {
    let mut config = ServerConfig::new();
    change(&mut config);
    ServerEmulator::rda(config, DeliveryLog::default(), clock()).expect("a server")
}

fn numbered(script: &str) -> ServerEmulator {
    server(|config| {
        config.numbered = true;
        config.script = Script::parse(script).expect("a script");
    })
}

fn open(server: &ServerEmulator) -> Box<dyn contract::Device> {
    let address = server.address().to_string();
    RdaDriver
        .open(&address, &Settings::new(), clock())
        .expect("opened")
}

#[test]
fn it_keeps_to_the_contract() {
    for float in [true, false] {
        let server = server(|config| config.float = float);
        let mut expected = Expectations::new(&server.address().to_string());
        // Nothing listens there.
        expected.unknown_address = "127.0.0.1:9".into();
        expected.discoverable = false;
        assert_eq!(check(&RdaDriver, &expected, clock()), [""; 0]);
    }
}

#[test]
fn values_and_scale_are_the_servers() {
    for float in [true, false] {
        let server = server(|config| config.float = float);
        let mut device = open(&server);
        let channels = device.description().streams[0].channels.clone();
        assert_eq!(channels[0].electrode.as_deref(), Some("Fp1"));
        let mut sink = Collected::new(&device.description().streams);
        device.start().expect("started");
        let began = Instant::now();
        while sink.blocks.len() < 30 && began.elapsed() < Duration::from_secs(10) {
            device
                .read(&mut sink, Duration::from_millis(50))
                .expect("read");
        }
        let mut played = Source::new(SourceSpec {
            file: None,
            seed: 1,
            channels: 32,
            rate_hz: 500,
        })
        .expect("the simulator");
        // The server has played a while before it was asked; the first values say how long.
        let value = |at: usize, row: usize| -> f64 {
            let (block, n) = (&sink.blocks[at / 10], at % 10);
            let count = block.samples.as_f64(row * block.len + n).expect("a value");
            channels[row].scale.apply(count)
        };
        let tolerance = if float { 1e-2 } else { 0.26 };
        let alike =
            |uv: &[f64], at: usize| (0..32).all(|row| (value(at, row) - uv[row]).abs() < tolerance);
        let mut uv = [0.0; 32];
        for n in 0..20_000 {
            assert!(n < 19_999, "the first sample was never played");
            played.next_uv(&mut uv).expect("a sample");
            if alike(&uv, 0) {
                break;
            }
        }
        for at in 1..300 {
            played.next_uv(&mut uv).expect("a sample");
            assert!(alike(&uv, at), "sample {at}, float {float}");
        }
    }
}

/// A message that is cut shows where the next one's GUID lies within it. Foreign bytes right after a cut one could be
/// its own end, and nothing in the protocol tells: the two faults come in runs of their own.
const FOREIGN: &str = r#"
    { kind = "garbage", chance = 0.03, bytes = 40 },
    { kind = "truncated", chance = 0.01, bytes = 300 },
"#;
const CUT: &str = r#"{ kind = "truncated", chance = 0.02, bytes = 1 },"#;

#[test]
fn lost_repeated_cut_and_foreign_bytes_cost_only_themselves() {
    for faults in [FOREIGN, CUT] {
        let script = format!(
            r#"
            seed = 2
            jitter_ms = 20
            drift_ppm = -150
            chance = [
                {{ kind = "lost", chance = 0.02 }},
                {{ kind = "repeated", chance = 0.02 }},
                {faults}
            ]
            fault = [{{ at = 200, kind = "pause", duration_ms = 400 }}]
            "#
        );
        let server = numbered(&script);
        let seconds = if soak() { 900 } else { 9 };
        let (kept, summary) = record(open(&server), Duration::from_secs(seconds), |_| false);
        assert_eq!(summary.reason, EndReason::Stopped);
        assert!(kept.samples.len() > 3_000, "{}", kept.samples.len());
        kept.assert_nothing_lost(server.log());
        assert!(kept.gaps.len() > 5, "{:?}", kept.gaps);
        let exact = |gap: &signal::Gap| {
            matches!(gap.missing, Missing::Exact(_)) && gap.cause == GapCause::Transport
        };
        assert!(kept.gaps.iter().all(exact), "{:?}", kept.gaps);
        assert!(summary.stats.garbage_bytes > 100);
    }
}

#[test]
fn connections_that_break_come_back() {
    let times = driver_tests::reconnects();
    let server =
        numbered("[[fault]]\nat = 40\nevery = 45\nkind = \"disconnect\"\nduration_ms = 120");
    let enough = |kept: &crate::Kept| kept.broken() >= times;
    let (kept, _) = record(open(&server), Duration::from_secs(5 * times as u64), enough);
    assert!(kept.broken() >= times, "{} reconnects", kept.broken());
    kept.assert_nothing_lost(server.log());
    // Blocks are numbered: what was missed is known to the sample.
    let exact = |gap: &signal::Gap| matches!(gap.missing, Missing::Exact(_));
    assert!(kept.gaps.iter().all(exact), "{:?}", kept.gaps);
}

#[test]
fn markers_stand_at_their_sample() {
    let server = server(|config| {
        config.numbered = true;
        config.marker_every = Some(250);
    });
    let (kept, _) = record(open(&server), Duration::from_secs(6), |kept| {
        kept.marks.len() >= 6
    });
    assert!(kept.marks.len() >= 4, "{:?}", kept.marks);
    for mark in &kept.marks {
        let number = mark
            .text
            .strip_prefix("Stimulus: S")
            .expect(&mark.text)
            .trim();
        let sample = kept.sample_at(mark.onset, 500.0);
        assert_eq!(sample, number.parse().ok(), "{mark:?}");
    }
}

#[test]
fn a_server_that_says_nothing_is_told_within_5_s() {
    let server = server(|config| {
        config.script = Script::parse("[answers]\nnever = true").expect("a script");
    });
    let began = Instant::now();
    let opened = RdaDriver.open(&server.address().to_string(), &Settings::new(), clock());
    let error = opened.expect_err("nothing was said");
    assert_eq!(error.kind, ErrorKind::Protocol);
    assert!(error.message.contains("monitoring"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn sixteen_bit_blocks_stay_sixteen_bit() {
    let server = server(|config| config.float = false);
    let mut device = open(&server);
    let mut sink = Collected::new(&device.description().streams);
    device.start().expect("started");
    while sink.blocks.is_empty() {
        device
            .read(&mut sink, Duration::from_millis(50))
            .expect("read");
    }
    assert!(matches!(sink.blocks[0].samples, Samples::I16(_)));
    assert_eq!(device.description().streams[0].channels[0].scale.gain, 0.5);
}
