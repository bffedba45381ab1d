//! The real drivers without hardware, through the real threads.

use crate::scripted::{Keeper, Kept, joined};
use acquisition::{
    Acquisition, AcquisitionConfig, AcquisitionEvent, Cancel, Consumers, EndReason, Summary,
};
use contract::{Driver, Settings, SystemClock};
use signal::{Gap, GapCause, ImpedanceLimits, Missing};
use simulated::{Playback, Simulator};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

struct Run {
    values: Vec<(u64, i64)>,
    gaps: Vec<Gap>,
    events: Vec<AcquisitionEvent>,
    kept: Vec<Kept>,
    summary: Summary,
}

fn run(driver: &dyn Driver, address: &str, settings: &[(&str, &str)], queue: usize) -> Run {
    let settings: Settings = settings
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let clock = Arc::new(SystemClock);
    let device = driver.open(address, &settings, clock.clone()).unwrap();
    let keeper = Keeper::new();
    keeper.knobs.slow_us.store(0, Ordering::SeqCst);
    let kept = Arc::clone(&keeper.kept);
    let config = AcquisitionConfig {
        recorder_queue: queue,
        retry_first: Duration::from_millis(20),
        ..AcquisitionConfig::default()
    };
    let consumers = Consumers {
        recorder: Some(Box::new(keeper)),
        analyser: None,
    };
    let handle = Acquisition::start(device, consumers, clock, config).unwrap();
    let events = handle.events();
    let summary = handle.wait();
    assert_eq!(summary.reason, EndReason::SourceEnded);
    let kept = kept.lock().unwrap().clone();
    let (values, gaps) = joined(&kept);
    Run {
        values,
        gaps,
        events: events.try_iter().collect(),
        kept,
        summary,
    }
}

/// The last channel numbers the samples: every index holds its own number.
fn assert_numbered(run: &Run, total: u64) {
    let mut missing = 0;
    for gap in &run.gaps {
        let exact = gap.resumes_at - gap.first_missing;
        assert_eq!(gap.missing, Missing::Exact(exact), "{gap:?}");
        missing += exact;
    }
    let wrong = run
        .values
        .iter()
        .find(|(index, value)| *index != *value as u64);
    assert_eq!(wrong, None);
    assert_eq!(run.values.len() as u64 + missing, total);
    assert_eq!(run.summary.stats.streams[0].unrecorded, 0);
}

const FAULTS: &str = "
[[dropout]]
at_s = 5.0
samples = 3
[[dropout]]
at_s = 9.5
duration_s = 1.25
[[silence]]
at_s = 15.0
duration_s = 2.0
[[disconnect]]
at_s = 25.0
duration_s = 3.0
[[disconnect]]
at_s = 40.0
duration_s = 0.1
";

#[test]
fn the_simulators_faults_are_all_in_gaps() {
    let settings = [
        ("numbered", "true"),
        ("speed", "40"),
        ("duration_s", "60"),
        ("pattern", "cheap"),
        ("script", FAULTS),
    ];
    let run = run(&Simulator, "headset", &settings, 1 << 14);
    let total = run.values.last().map_or(0, |(index, _)| index + 1);
    assert_numbered(&run, total);
    let count = |cause| run.gaps.iter().filter(|gap| gap.cause == cause).count();
    assert_eq!(count(GapCause::Disconnected), 2, "{:?}", run.gaps);
    assert!(run.gaps.iter().any(|gap| gap.missing == Missing::Exact(3)));
    let back = |event: &&AcquisitionEvent| matches!(event, AcquisitionEvent::Resumed { .. });
    assert_eq!(run.events.iter().filter(back).count(), 2);
}

#[test]
fn the_simulator_in_real_time_finds_its_rate_and_its_losses() {
    let script = "
[[dropout]]
at_s = 1.0
samples = 7
[[jitter]]
at_s = 0.2
duration_s = 3.0
jitter_ms = 20.0
";
    let settings = [
        ("numbered", "true"),
        ("duration_s", "3"),
        ("pattern", "cheap"),
        ("counter_bits", "8"),
        ("script", script),
    ];
    let run = run(&Simulator, "headset", &settings, 1 << 14);
    let total = run.values.last().map_or(0, |(index, _)| index + 1);
    assert_numbered(&run, total);
    assert_eq!(run.gaps.len(), 1, "{:?}", run.gaps);
    let quality = run.summary.stats.streams[0].clock;
    assert!(
        quality.rate_hz > 0.0 && quality.drift_ppm.abs() < 3_000.0,
        "{quality:?}"
    );
}

#[test]
fn the_simulator_without_pace_loses_nothing_to_a_small_queue() {
    let settings = [
        ("numbered", "true"),
        ("speed", "max"),
        ("duration_s", "120"),
        ("pattern", "cheap"),
    ];
    let run = run(&Simulator, "headset", &settings, 8);
    assert!(run.gaps.is_empty(), "{:?}", run.gaps);
    assert_numbered(&run, run.values.len() as u64);
    assert!(run.values.len() >= 120 * 250, "{}", run.values.len());
}

fn recordings() -> Option<PathBuf> {
    let folder = std::env::var_os("NEURASCALE_RECORDINGS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/recordings"),
        PathBuf::from,
    );
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("SKIPPED: no recordings at {}", folder.display());
    None
}

#[test]
fn a_discontinuous_file_keeps_its_gaps_and_its_clock() {
    let Some(folder) = recordings() else {
        return;
    };
    let file = folder.join("edge/discontinuous_derived.edf");
    let run = run(&Playback, file.to_str().unwrap(), &[("speed", "max")], 64);
    assert_eq!(run.values.len(), 518 * 128);
    let gaps: Vec<_> = run
        .gaps
        .iter()
        .map(|gap| (gap.cause, gap.missing, gap.until.nanos_since(gap.from)))
        .collect();
    assert_eq!(
        gaps,
        [
            (GapCause::Source, Missing::Exact(60 * 128), 60_000_000_000),
            (GapCause::Source, Missing::Exact(120 * 128), 120_000_000_000),
        ]
    );
    let marks = |kept: &&Kept| matches!(kept, Kept::Other(text) if text.starts_with("Annotation"));
    assert!(run.kept.iter().filter(marks).count() == 4);
}

#[test]
fn impedances_in_the_middle_cost_a_gap_that_says_so_and_nothing_else() {
    let settings: Settings = [
        ("numbered", "true"),
        ("pattern", "cheap"),
        ("duration_s", "4"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    let clock = Arc::new(SystemClock);
    let device = Simulator.open("headset", &settings, clock.clone()).unwrap();
    let keeper = Keeper::new();
    keeper.knobs.slow_us.store(0, Ordering::SeqCst);
    let kept = Arc::clone(&keeper.kept);
    let consumers = Consumers {
        recorder: Some(Box::new(keeper)),
        analyser: None,
    };
    let handle =
        Acquisition::start(device, consumers, clock, AcquisitionConfig::default()).unwrap();
    std::thread::sleep(Duration::from_millis(800));
    let limits = ImpedanceLimits::default();
    let under_way = handle.check_impedances(limits, Cancel::default()).unwrap();
    let mut told = 0;
    let ended = loop {
        match under_way.next(Duration::from_secs(5)) {
            Ok(_) => told += 1,
            Err(error) => break error,
        }
    };
    assert!(ended.is_disconnected(), "{ended}");
    let report = under_way.report().unwrap().unwrap();
    assert!(!report.cancelled);
    assert_eq!(told, report.electrodes.len());
    let summary = handle.wait();
    assert_eq!(summary.reason, EndReason::SourceEnded);
    let (values, gaps) = joined(&kept.lock().unwrap().clone());
    let of_signal: Vec<_> = gaps.iter().filter(|gap| gap.stream.0 == 0).collect();
    assert_eq!(of_signal.len(), 1, "{gaps:?}");
    assert_eq!(of_signal[0].cause, GapCause::Paused);
    let wrong = values.iter().find(|(index, value)| *index != *value as u64);
    assert_eq!(wrong, None);
    let missing = of_signal[0].resumes_at - of_signal[0].first_missing;
    assert_eq!(values.len() as u64 + missing, 4 * 256);
}
