//! What an emulated device plays.

use contract::{Clock, SystemClock};
use emulators::{Pace, Script, Source, SourceSpec};
use std::sync::Arc;

fn spec(seed: u64) -> SourceSpec {
    SourceSpec {
        file: None,
        seed,
        channels: 8,
        rate_hz: 250,
    }
}

fn first_second(spec: SourceSpec) -> Vec<[f64; 8]> {
    let mut source = Source::new(spec).expect("the simulator");
    (0..250)
        .map(|_| {
            let mut sample = [f64::NAN; 8];
            source.next_uv(&mut sample).expect("a sample");
            sample
        })
        .collect()
}

#[test]
fn the_simulator_plays_the_same_from_the_same_seed() {
    let first = first_second(spec(1));
    assert_eq!(first, first_second(spec(1)));
    assert_ne!(first, first_second(spec(2)));
    let loudest = first
        .iter()
        .flatten()
        .fold(0.0_f64, |most, uv| most.max(uv.abs()));
    assert!((1.0..10_000.0).contains(&loudest), "{loudest} µV");
}

#[test]
fn what_cannot_be_played_is_refused() {
    let mut missing = spec(1);
    missing.file = Some("no-such-file.edf".into());
    assert!(Source::new(missing).is_err());
}

#[derive(Debug)]
struct Frozen;

impl Clock for Frozen {
    fn host(&self) -> signal::HostNanos {
        signal::HostNanos(0)
    }
    fn utc(&self) -> signal::UtcNanos {
        signal::UtcNanos(0)
    }
    fn sleep(&self, _: std::time::Duration) {}
}

#[test]
fn a_fast_clock_is_early() {
    let script = |text| Script::parse(text).expect("a script");
    let steady = Pace::new(Arc::new(Frozen), 250.0, &script(""), false);
    let fast = Pace::new(Arc::new(Frozen), 250.0, &script("drift_ppm = 100"), false);
    let hour = 250 * 3_600 - 1;
    let ahead = steady.due(hour).nanos_since(fast.due(hour));
    assert!((ahead - 360_000_000).abs() < 1_000_000, "{ahead} ns");
    assert!(SystemClock.host().0 > 0);
}
