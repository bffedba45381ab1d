//! Sleep, stepped clocks, pause, emergency stop, checks.

use crate::faults::run;
use crate::scripted::{
    Keeper, Kept, Scripted, Step, TestClock, description, joined, packets, roomy,
};
use acquisition::{
    Acquisition, AcquisitionEvent, CalibrationLimits, CheckProgress, Consumers, EndReason,
    spawn_calibration, spawn_impedance_check,
};
use contract::{Clock, Device};
use signal::{CounterSpec, GapCause, ImpedanceGrade, ImpedanceLimits, Missing};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[test]
fn a_wake_up_is_a_gap() {
    let mut script = packets(500);
    script.push(Step::Sleep(25_000));
    script.extend(packets(500));
    let run = run(description(250, 1, CounterSpec::SAMPLE.into()), script);
    let (values, gaps) = joined(&run.kept);
    assert_eq!(values.len(), 1_000);
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(
        (gaps[0].cause, gaps[0].missing),
        (GapCause::Suspended, Missing::Exact(25_000))
    );
    assert!(run.events.iter().any(|e| matches!(
        e,
        AcquisitionEvent::Suspended {
            for_ns: 100_000_000_000
        }
    )));
}

#[test]
fn a_stepped_wall_clock_is_reported_and_bends_no_sample_time() {
    let mut script = packets(500);
    script.push(Step::PutForward(3_600_000));
    script.extend(packets(500));
    script.push(Step::Lose(10));
    script.extend(packets(300));
    let run = run(description(250, 1, CounterSpec::SAMPLE.into()), script);
    let (_, gaps) = joined(&run.kept);
    let stepped: Vec<_> = run
        .events
        .iter()
        .filter_map(|e| match e {
            AcquisitionEvent::ClockStepped { by_ns } => Some(*by_ns),
            _ => None,
        })
        .collect();
    assert_eq!(stepped, [3_600_000_000_000]);
    let anchors = run
        .kept
        .iter()
        .filter(|kept| matches!(kept, Kept::Other(text) if text.starts_with("Anchor")))
        .count();
    assert_eq!(anchors, 2, "one at the start, one at the step");
    // 1,000 packets of 4 ms after the start, by the clock as it was at the start.
    let start = 1_700_001_000_000 * crate::scripted::MS;
    let at = gaps[0].from.0 - start;
    assert!(
        (at - 4_000 * crate::scripted::MS).abs() < 20 * crate::scripted::MS,
        "{at}"
    );
}

#[test]
fn a_pause_is_a_gap_and_no_alarm() {
    let clock = TestClock::new();
    let (paused, go_on) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let mut script = packets(100);
    script.push(Step::Until(Arc::clone(&paused)));
    script.extend(packets(100));
    script.push(Step::Until(Arc::clone(&go_on)));
    let device = Scripted::new(
        description(250, 1, CounterSpec::SAMPLE.into()),
        &clock,
        script,
    );
    let keeper = Keeper::new();
    let kept = Arc::clone(&keeper.kept);
    let config = roomy(&device);
    let consumers = Consumers {
        recorder: Some(Box::new(keeper)),
        analyser: None,
    };
    let handle = Acquisition::start(
        Box::new(device),
        consumers,
        Arc::clone(&clock) as Arc<dyn Clock>,
        config,
    )
    .unwrap();
    while handle.stats().streams[0].samples < 100 {
        std::thread::sleep(Duration::from_millis(1));
    }
    handle.pause();
    paused.store(true, Ordering::SeqCst);
    let events = handle.events();
    let mut seen = Vec::new();
    while !seen.contains(&AcquisitionEvent::Paused) {
        seen.push(events.recv_timeout(Duration::from_secs(10)).unwrap());
    }
    std::thread::sleep(Duration::from_millis(20));
    handle.resume();
    go_on.store(true, Ordering::SeqCst);
    let summary = handle.wait();
    seen.extend(events.try_iter());
    assert_eq!(summary.reason, EndReason::SourceEnded);
    assert!(
        !seen
            .iter()
            .any(|e| matches!(e, AcquisitionEvent::NoData { .. })),
        "{seen:?}"
    );
    let (values, gaps) = joined(&kept.lock().unwrap());
    assert_eq!(values.len(), 200);
    assert_eq!(gaps.len(), 1);
    assert_eq!(gaps[0].cause, GapCause::Paused);
}

#[test]
fn the_emergency_stop_works_while_everything_else_hangs() {
    let clock = TestClock::new();
    let release = Arc::new(AtomicBool::new(false));
    let mut script = packets(10);
    script.push(Step::Until(Arc::clone(&release)));
    let device = Scripted::new(
        description(250, 1, CounterSpec::SAMPLE.into()),
        &clock,
        script,
    );
    let stopped = device.safety();
    let keeper = Keeper::new();
    keeper.knobs.stalled.store(true, Ordering::SeqCst);
    let knobs = Arc::clone(&keeper.knobs);
    let config = roomy(&device);
    let consumers = Consumers {
        recorder: Some(Box::new(keeper)),
        analyser: None,
    };
    let handle = Acquisition::start(
        Box::new(device),
        consumers,
        Arc::clone(&clock) as Arc<dyn Clock>,
        config,
    )
    .unwrap();
    let begin = std::time::Instant::now();
    handle.safety().end_all().unwrap();
    assert!(begin.elapsed() < Duration::from_millis(100));
    assert!(format!("{stopped:?}").contains("true"), "{stopped:?}");
    release.store(true, Ordering::SeqCst);
    knobs.stalled.store(false, Ordering::SeqCst);
    drop(handle.stop());
}

#[test]
fn impedances_are_graded_and_the_check_can_be_broken_off() {
    let clock = TestClock::new();
    let device = Scripted::new(description(250, 1, None), &clock, Vec::new());
    let check = spawn_impedance_check(Box::new(device), ImpedanceLimits::default()).unwrap();
    let first = check.progress(Duration::from_secs(10));
    assert!(
        matches!(first, Some(CheckProgress::Electrode(_))),
        "{first:?}"
    );
    let (device, report) = check.join();
    let grades: Vec<_> = report.unwrap().electrodes.iter().map(|e| e.grade).collect();
    assert_eq!(
        grades,
        [
            ImpedanceGrade::Good,
            ImpedanceGrade::Bad,
            ImpedanceGrade::Unknown
        ]
    );

    let cancel = acquisition::Cancel::default();
    let mut device = device.expect("the device comes back");
    let report = acquisition::check_impedances(
        device.as_mut(),
        ImpedanceLimits::default(),
        &cancel,
        &mut |_| cancel.cancel(),
    )
    .unwrap();
    assert!(report.cancelled);
    assert_eq!(report.electrodes.len(), 1);
}

#[test]
fn calibration_measures_the_devices_own_signal() {
    let clock = TestClock::new();
    let device = Scripted::new(description(100, 2, counter()), &clock, Vec::new());
    let limits = CalibrationLimits::default();
    let check = spawn_calibration(
        Box::new(device),
        limits,
        Arc::clone(&clock) as Arc<dyn Clock>,
    )
    .unwrap();
    let (_, report) = check.join();
    let report = report.unwrap();
    assert!(report.passed(), "{report:?}");
    assert_eq!(report.channels.len(), 2);
    assert!((report.channels[1].amplitude_uv - 100.0).abs() < 1e-9);
}

fn counter() -> Option<CounterSpec> {
    Some(CounterSpec {
        modulus: 0,
        step: 1,
        samples_per_packet: 10,
    })
}

#[test]
fn a_device_that_never_returns_ends_the_record_when_so_configured() {
    let clock = TestClock::new();
    let mut script = packets(100);
    script.push(Step::Disconnect {
        failures: u32::MAX,
        ms: 0,
        reset: false,
    });
    let device = Scripted::new(
        description(250, 1, CounterSpec::SAMPLE.into()),
        &clock,
        script,
    );
    let keeper = Keeper::new();
    let kept = Arc::clone(&keeper.kept);
    let mut config = roomy(&device);
    config.retry_for = Some(Duration::from_secs(30));
    let consumers = Consumers {
        recorder: Some(Box::new(keeper)),
        analyser: None,
    };
    let handle = Acquisition::start(Box::new(device), consumers, clock, config).unwrap();
    let events = handle.events();
    let summary = handle.wait();
    assert!(
        matches!(summary.reason, EndReason::DeviceFailed { kind, .. } if kind == contract::ErrorKind::Disconnected),
        "{:?}",
        summary.reason
    );
    assert_eq!(joined(&kept.lock().unwrap()).0.len(), 100);
    // 0.2, 0.4, 0.8, 1.6 and then every 2 s until half a minute is over.
    let attempts = events
        .try_iter()
        .filter(|e| matches!(e, AcquisitionEvent::Retrying { .. }))
        .count();
    assert!((15..=20).contains(&attempts), "{attempts}");
}
