//! A slow, stalled, full or refusing recorder; feeds that nobody reads; analysis that panics.

use crate::scripted::{
    Keeper, Kept, Scripted, Step, TestClock, description, joined, packets, roomy,
};
use acquisition::{
    Acquisition, AcquisitionConfig, AcquisitionEvent, AcquisitionHandle, Analyser, Consumers,
    FeedItem, Mark, RecorderFailureKind,
};
use contract::{Clock, Pacing};
use signal::{AnnotationOrigin, CounterSpec, GapCause, Missing, SampleBlock};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn start(
    pacing: Pacing,
    script: Vec<Step>,
    recorder: Keeper,
    queue: usize,
) -> (AcquisitionHandle, Arc<TestClock>) {
    let clock = TestClock::new();
    let mut description = description(250, 2, CounterSpec::SAMPLE.into());
    description.pacing = pacing;
    let device = Scripted::new(description, &clock, script);
    let config = AcquisitionConfig {
        recorder_queue: queue,
        recorder_retry: Duration::from_millis(1),
        ..roomy(&device)
    };
    let consumers = Consumers {
        recorder: Some(Box::new(recorder)),
        analyser: None,
    };
    let handle = Acquisition::start(
        Box::new(device),
        consumers,
        Arc::clone(&clock) as Arc<dyn Clock>,
        config,
    );
    (handle.unwrap(), clock)
}

/// Recorded and missing samples together are 0..total, each value at its own index.
fn assert_accounted(kept: &[Kept], total: u64) -> u64 {
    let (values, gaps) = joined(kept);
    let mut missing = 0;
    for gap in &gaps {
        assert_eq!(gap.cause, GapCause::RecorderFull);
        assert_eq!(
            gap.missing,
            Missing::Exact(gap.resumes_at - gap.first_missing)
        );
        missing += gap.resumes_at - gap.first_missing;
    }
    for (index, value) in &values {
        assert_eq!(*index, *value as u64);
    }
    assert_eq!(values.len() as u64 + missing, total);
    missing
}

#[test]
fn a_stalled_recorder_costs_a_gap_and_nothing_else() {
    let released = Arc::new(AtomicBool::new(false));
    let subscribed = Arc::new(AtomicBool::new(false));
    let mut script = vec![Step::Until(Arc::clone(&subscribed))];
    script.extend(packets(500));
    script.push(Step::Until(Arc::clone(&released)));
    script.push(Step::Yield(50));
    script.extend(packets(10));
    let keeper = Keeper::new();
    let (kept, knobs) = (Arc::clone(&keeper.kept), Arc::clone(&keeper.knobs));
    knobs.stalled.store(true, Ordering::SeqCst);
    let (handle, _clock) = start(Pacing::RealTime, script, keeper, 16);
    let feed = handle.subscribe(1_024).unwrap();
    subscribed.store(true, Ordering::SeqCst);
    let events = handle.events();
    let full = std::iter::from_fn(|| events.recv_timeout(Duration::from_secs(10)).ok())
        .find(|e| matches!(e, AcquisitionEvent::RecorderFull { .. }));
    assert!(full.is_some());
    while handle.stats().streams[0].samples < 500 {
        std::thread::sleep(Duration::from_millis(1));
    }
    knobs.stalled.store(false, Ordering::SeqCst);
    released.store(true, Ordering::SeqCst);
    let summary = handle.wait();
    let missing = assert_accounted(&kept.lock().unwrap(), 510);
    assert!(missing > 400, "{missing}");
    assert_eq!(summary.stats.streams[0].unrecorded, missing);
    // Displays saw everything.
    let mut shown = 0;
    while let Some(item) = feed.try_next() {
        match item {
            FeedItem::Block(block) => shown += block.len,
            FeedItem::Gap(gap) => panic!("the feed has no gap: {gap:?}"),
            FeedItem::Ended(_) => {}
        }
    }
    assert_eq!(shown, 510);
}

#[test]
fn a_record_that_ends_while_the_queue_is_full_still_closes_its_gap() {
    let script = packets(200);
    let keeper = Keeper::new();
    let (kept, knobs) = (Arc::clone(&keeper.kept), Arc::clone(&keeper.knobs));
    knobs.slow_us.store(2_000, Ordering::SeqCst);
    let (handle, _clock) = start(Pacing::RealTime, script, keeper, 4);
    drop(handle.wait());
    assert!(assert_accounted(&kept.lock().unwrap(), 200) > 0);
}

#[test]
fn a_source_without_pace_waits_for_the_recorder() {
    let keeper = Keeper::new();
    let (kept, knobs) = (Arc::clone(&keeper.kept), Arc::clone(&keeper.knobs));
    knobs.slow_us.store(100, Ordering::SeqCst);
    let (handle, _clock) = start(Pacing::AsFastAsPossible, packets(2_000), keeper, 4);
    drop(handle.wait());
    assert_eq!(assert_accounted(&kept.lock().unwrap(), 2_000), 0);
}

#[test]
fn a_full_disk_is_announced_retried_and_left_behind() {
    let freed = Arc::new(AtomicBool::new(false));
    let mut script = packets(100);
    script.push(Step::Until(Arc::clone(&freed)));
    script.extend(packets(100));
    let keeper = Keeper::new();
    let (kept, knobs) = (Arc::clone(&keeper.kept), Arc::clone(&keeper.knobs));
    knobs.full.store(true, Ordering::SeqCst);
    let (handle, _clock) = start(Pacing::RealTime, script, keeper, 1_024);
    let events = handle.events();
    let wait_for = |wanted: fn(&AcquisitionEvent) -> bool| {
        std::iter::from_fn(|| events.recv_timeout(Duration::from_secs(10)).ok()).any(|e| wanted(&e))
    };
    assert!(wait_for(|e| matches!(
        e,
        AcquisitionEvent::RecorderFailed {
            kind: RecorderFailureKind::DiskFull,
            ..
        }
    )));
    knobs.full.store(false, Ordering::SeqCst);
    assert!(wait_for(|e| *e == AcquisitionEvent::RecorderRecovered));
    freed.store(true, Ordering::SeqCst);
    drop(handle.wait());
    assert_eq!(
        assert_accounted(&kept.lock().unwrap(), 200),
        0,
        "the queue bridged it"
    );
}

#[test]
fn a_recorder_that_takes_but_cannot_flush_is_announced_once() {
    let keeper = Keeper::new();
    let (kept, knobs) = (Arc::clone(&keeper.kept), Arc::clone(&keeper.knobs));
    knobs.unflushed.store(true, Ordering::SeqCst);
    // Half a second for all messages, of real time: several ticks fall between them.
    knobs.slow_us.store(5_000, Ordering::SeqCst);
    let clock = TestClock::new();
    let counted = CounterSpec::SAMPLE.into();
    let device = Scripted::new(description(250, 2, counted), &clock, packets(100));
    let config = roomy(&device);
    let consumers = Consumers {
        recorder: Some(Box::new(keeper)),
        analyser: None,
    };
    let system = Arc::new(contract::SystemClock);
    let handle = Acquisition::start(Box::new(device), consumers, system, config).unwrap();
    let events = handle.events();
    drop(handle.wait());
    assert!(
        knobs.ticks.load(Ordering::SeqCst) > 2,
        "it failed again and again"
    );
    assert_eq!(assert_accounted(&kept.lock().unwrap(), 100), 0);
    let told: Vec<_> = events.try_iter().collect();
    let count = |wanted: fn(&AcquisitionEvent) -> bool| told.iter().filter(|e| wanted(e)).count();
    assert_eq!(
        count(|e| matches!(e, AcquisitionEvent::RecorderFailed { .. })),
        1,
        "{told:?}"
    );
    assert_eq!(
        count(|e| *e == AcquisitionEvent::RecorderRecovered),
        0,
        "{told:?}"
    );
}

#[test]
fn a_disk_that_stays_full_does_not_hold_a_stop_for_ever() {
    let keeper = Keeper::new();
    keeper.knobs.full.store(true, Ordering::SeqCst);
    let clock = TestClock::new();
    let never = Arc::new(AtomicBool::new(false));
    let mut script = packets(100);
    script.push(Step::Until(Arc::clone(&never)));
    let device = Scripted::new(
        description(250, 2, CounterSpec::SAMPLE.into()),
        &clock,
        script,
    );
    let config = AcquisitionConfig {
        drain_timeout: Duration::from_millis(100),
        recorder_queue: 8,
        recorder_retry: Duration::from_millis(1),
        ..roomy(&device)
    };
    let consumers = Consumers {
        recorder: Some(Box::new(keeper)),
        analyser: None,
    };
    let system = Arc::new(contract::SystemClock);
    let handle = Acquisition::start(Box::new(device), consumers, system, config).unwrap();
    never.store(true, Ordering::SeqCst);
    let begin = std::time::Instant::now();
    let summary = handle.stop();
    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "{:?}",
        begin.elapsed()
    );
    assert!(
        summary.recorder.is_some(),
        "the recorder comes back to be closed"
    );
}

#[test]
fn a_refused_block_leaves_a_gap_in_its_place() {
    let keeper = Keeper::new();
    let (kept, knobs) = (Arc::clone(&keeper.kept), Arc::clone(&keeper.knobs));
    knobs.refuse_at.store(50, Ordering::SeqCst);
    let (handle, _clock) = start(Pacing::RealTime, packets(100), keeper, 1_024);
    drop(handle.wait());
    assert_eq!(assert_accounted(&kept.lock().unwrap(), 100), 1);
}

#[test]
fn a_feed_that_nobody_reads_delays_nothing() {
    let keeper = Keeper::new();
    let kept = Arc::clone(&keeper.kept);
    let subscribed = Arc::new(AtomicBool::new(false));
    let mut script = vec![Step::Until(Arc::clone(&subscribed))];
    script.extend(packets(3_000));
    let (handle, _clock) = start(Pacing::RealTime, script, keeper, 1 << 14);
    let stuck = handle.subscribe(8).unwrap();
    subscribed.store(true, Ordering::SeqCst);
    let summary = handle.wait();
    assert_eq!(assert_accounted(&kept.lock().unwrap(), 3_000), 0);
    assert!(stuck.dropped() >= 2_900, "{}", stuck.dropped());
    assert_eq!(summary.stats.feed_dropped, stuck.dropped());
    assert_eq!(stuck.peak(), 8);
}

#[test]
fn marks_of_a_person_come_into_the_record() {
    let wait = Arc::new(AtomicBool::new(false));
    let mut script = packets(10);
    script.push(Step::Until(Arc::clone(&wait)));
    let keeper = Keeper::new();
    let kept = Arc::clone(&keeper.kept);
    let (handle, clock) = start(Pacing::RealTime, script, keeper, 64);
    let mark = Mark {
        onset: clock.utc(),
        duration_ns: None,
        text: "eyes open".to_owned(),
        code: Some("eyes_open".to_owned()),
        origin: AnnotationOrigin::Person,
        channels: Vec::new(),
    };
    handle.annotate(mark, Duration::from_secs(1)).unwrap();
    wait.store(true, Ordering::SeqCst);
    drop(handle.wait());
    let kept = kept.lock().unwrap();
    assert!(
        kept.iter()
            .any(|k| matches!(k, Kept::Other(text) if text.contains("eyes_open")))
    );
}

/// Panics on every hundredth sample.
struct Fragile(Arc<std::sync::atomic::AtomicU64>);

impl Analyser for Fragile {
    fn block(&mut self, block: &SampleBlock) {
        self.0.fetch_add(1, Ordering::SeqCst);
        assert!(block.first_index % 100 != 99, "on purpose");
    }
}

#[test]
fn analysis_that_panics_is_restarted_and_the_record_is_whole() {
    let clock = TestClock::new();
    let mut script = Vec::new();
    for _ in 0..20 {
        script.extend(packets(25));
        script.push(Step::Yield(2));
    }
    let device = Scripted::new(
        description(250, 2, CounterSpec::SAMPLE.into()),
        &clock,
        script,
    );
    let keeper = Keeper::new();
    let kept = Arc::clone(&keeper.kept);
    let seen = Arc::default();
    let shared = Arc::clone(&seen);
    let config = roomy(&device);
    let consumers = Consumers {
        recorder: Some(Box::new(keeper)),
        analyser: Some(Box::new(move || {
            Box::new(Fragile(Arc::clone(&shared))) as Box<dyn Analyser>
        })),
    };
    let handle = Acquisition::start(
        Box::new(device),
        consumers,
        Arc::clone(&clock) as Arc<dyn Clock>,
        config,
    )
    .unwrap();
    let events = handle.events();
    let summary = handle.wait();
    assert_eq!(assert_accounted(&kept.lock().unwrap(), 500), 0);
    assert!(summary.stats.analysis_restarts >= 2, "{:?}", summary.stats);
    assert!(
        seen.load(Ordering::SeqCst) > 100,
        "it went on after its first panic"
    );
    assert!(
        events
            .try_iter()
            .any(|e| matches!(e, AcquisitionEvent::AnalysisRestarted { .. }))
    );
}

/// Never returns from its first block.
struct Hanging;

impl Analyser for Hanging {
    fn block(&mut self, _block: &SampleBlock) {
        loop {
            std::thread::sleep(Duration::from_secs(1));
        }
    }
}

#[test]
fn analysis_that_hangs_holds_up_neither_the_record_nor_the_stop() {
    let clock = TestClock::new();
    let device = Scripted::new(
        description(250, 2, CounterSpec::SAMPLE.into()),
        &clock,
        packets(1_000),
    );
    let keeper = Keeper::new();
    let kept = Arc::clone(&keeper.kept);
    let config = AcquisitionConfig {
        drain_timeout: Duration::from_millis(100),
        ..roomy(&device)
    };
    let consumers = Consumers {
        recorder: Some(Box::new(keeper)),
        analyser: Some(Box::new(|| Box::new(Hanging))),
    };
    let handle = Acquisition::start(Box::new(device), consumers, clock, config).unwrap();
    let begin = std::time::Instant::now();
    drop(handle.wait());
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(assert_accounted(&kept.lock().unwrap(), 1_000), 0);
}
