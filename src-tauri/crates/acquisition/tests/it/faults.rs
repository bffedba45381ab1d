//! Loss, repetition, order, silence and lost connections: nothing is lost unseen.

use crate::scripted::{
    Keeper, Kept, MS, Scripted, Step, TestClock, description, joined, packets, roomy,
};
use acquisition::{Acquisition, AcquisitionEvent, Consumers, EndReason, StreamResume, Summary};
use contract::{Clock, DeviceDescription, DeviceEvent};
use proptest::prelude::*;
use signal::{CounterSpec, Gap, GapCause, Missing, StreamIndex};
use std::sync::Arc;

pub(crate) struct Run {
    pub(crate) kept: Vec<Kept>,
    pub(crate) delivered: Vec<u64>,
    pub(crate) events: Vec<AcquisitionEvent>,
    pub(crate) summary: Summary,
}

pub(crate) fn run(description: DeviceDescription, script: Vec<Step>) -> Run {
    let clock = TestClock::new();
    run_on(&clock, description, script, Vec::new())
}

fn run_on(
    clock: &Arc<TestClock>,
    description: DeviceDescription,
    script: Vec<Step>,
    resume: Vec<StreamResume>,
) -> Run {
    let device = Scripted::new(description, clock, script);
    let delivered = Arc::clone(&device.delivered);
    let keeper = Keeper::new();
    let kept = Arc::clone(&keeper.kept);
    let mut config = roomy(&device);
    config.resume = resume;
    let consumers = Consumers {
        recorder: Some(Box::new(keeper)),
        analyser: None,
    };
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    let handle = Acquisition::start(Box::new(device), consumers, clock, config).unwrap();
    let receive = handle.events();
    let summary = handle.wait();
    let kept = kept.lock().unwrap().clone();
    assert!(
        matches!(kept.last(), Some(Kept::Other(text)) if text.starts_with("End")),
        "the record ends: {:?}",
        kept.last()
    );
    Run {
        kept,
        delivered: delivered.lock().unwrap().clone(),
        events: receive.try_iter().collect(),
        summary,
    }
}

/// Where every gap is exact, a sample's index is its number.
fn assert_exact(run: &Run) -> Vec<Gap> {
    let (values, gaps) = joined(&run.kept);
    let found: Vec<u64> = values.iter().map(|(_, value)| *value as u64).collect();
    let differs = found.iter().zip(&run.delivered).find(|(a, b)| a != b);
    assert_eq!(differs, None, "each delivered sample once, in order");
    assert_eq!(found.len(), run.delivered.len());
    for (index, value) in values {
        assert_eq!(index, value as u64, "index is the sample's number");
    }
    for gap in &gaps {
        assert_eq!(
            gap.missing,
            Missing::Exact(gap.resumes_at - gap.first_missing)
        );
    }
    gaps
}

fn counter(modulus: u64, step: u64, samples_per_packet: u32) -> Option<CounterSpec> {
    Some(CounterSpec {
        modulus,
        step,
        samples_per_packet,
    })
}

fn faults() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => (0_i64..20).prop_map(|late_ms| Step::Packet { late_ms }),
        1 => (1_u64..6).prop_map(Step::Lose),
        1 => (9_u64..40).prop_map(Step::Lose),
        1 => Just(Step::Swap),
        1 => Just(Step::Repeat),
    ];
    prop::collection::vec(step, 50..400).prop_map(|steps| {
        let mut script = packets(3);
        script.extend(steps);
        // The end shows what was lost before it.
        script.extend(packets(12));
        script
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_lost_sample_is_in_a_gap_and_every_other_in_the_record(
        script in faults(),
        spec in prop::sample::select(vec![(0, 1, 1), (0, 1, 5), (65_536, 2, 4), (256, 1, 1)]),
    ) {
        let (modulus, step, samples) = spec;
        let run = run(description(250, 2, counter(modulus, step, samples)), script);
        assert_exact(&run);
    }
}

#[test]
fn a_one_byte_counter_loses_more_than_it_can_count() {
    let mut script = packets(500);
    script.push(Step::Lose(300));
    script.extend(packets(300));
    let run = run(description(250, 1, counter(256, 1, 1)), script);
    let gaps = assert_exact(&run);
    assert_eq!(gaps.len(), 1);
    assert_eq!(gaps[0].missing, Missing::Exact(300));
    assert_eq!(gaps[0].cause, GapCause::Transport);
    let lasts = gaps[0].until.nanos_since(gaps[0].from);
    assert!((lasts - 1200 * MS).abs() < 10 * MS, "{lasts}");
}

#[test]
fn a_whole_period_lost_is_ambiguous_and_said_so() {
    let mut script = packets(500);
    script.push(Step::Lose(256));
    script.extend(packets(300));
    let run = run(description(250, 1, counter(256, 1, 1)), script);
    let (_, gaps) = joined(&run.kept);
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(
        gaps[0].missing,
        Missing::Ambiguous {
            least: 0,
            modulus: 256
        }
    );
    assert_eq!(
        gaps[0].resumes_at - gaps[0].first_missing,
        256,
        "likeliest by time"
    );
}

#[test]
fn a_stall_and_its_burst_lose_nothing_and_claim_nothing() {
    let mut script = packets(500);
    // 200 packets wait for up to 0.8 s in the transport and come at once.
    script.extend((0..200).map(|i| Step::Packet {
        late_ms: 800 - 4 * i,
    }));
    script.extend(packets(200));
    let run = run(description(250, 1, counter(256, 1, 1)), script);
    assert!(assert_exact(&run).is_empty());
}

#[test]
fn without_a_counter_a_loss_is_of_unknown_length() {
    let mut script = packets(500);
    script.push(Step::Lose(500));
    script.extend(packets(300));
    let run = run(description(250, 1, None), script);
    let (values, gaps) = joined(&run.kept);
    assert_eq!(values.len(), 800);
    assert_eq!(gaps.len(), 1);
    assert_eq!(gaps[0].missing, Missing::Unknown);
    let missing = gaps[0].resumes_at - gaps[0].first_missing;
    assert!(missing.abs_diff(500) <= 2, "{missing}");
}

#[test]
fn twenty_reconnects_lose_nothing_that_came() {
    for reset in [false, true] {
        let mut script = Vec::new();
        for attempt in 0..20 {
            script.extend(packets(300));
            script.push(Step::Disconnect {
                failures: attempt % 4,
                ms: 2_800,
                reset,
            });
        }
        script.extend(packets(50));
        let run = run(description(250, 1, CounterSpec::SAMPLE.into()), script);
        let (values, gaps) = joined(&run.kept);
        let found: Vec<u64> = values.iter().map(|(_, value)| *value as u64).collect();
        assert_eq!(found, run.delivered);
        assert_eq!(gaps.len(), 20);
        assert!(gaps.iter().all(|gap| gap.cause == GapCause::Disconnected));
        if reset {
            assert!(
                gaps.iter().all(|gap| gap.missing == Missing::Unknown),
                "{gaps:?}"
            );
        } else {
            assert_exact(&run);
        }
        let count =
            |wanted: fn(&AcquisitionEvent) -> bool| run.events.iter().filter(|e| wanted(e)).count();
        assert_eq!(
            count(|e| matches!(e, AcquisitionEvent::Disconnected { .. })),
            20
        );
        assert_eq!(count(|e| matches!(e, AcquisitionEvent::Resumed { .. })), 20);
        assert_eq!(run.summary.stats.disconnects, 20);
    }
}

#[test]
fn silence_is_announced_and_its_end_too() {
    let mut script = packets(500);
    script.extend([
        Step::Idle(1_000),
        Step::Idle(900),
        Step::Idle(200),
        Step::Idle(5),
    ]);
    script.push(Step::Lose(100));
    script.extend(packets(50));
    let run = run(description(250, 1, CounterSpec::SAMPLE.into()), script);
    let silent = StreamIndex(0);
    let told: Vec<_> = run
        .events
        .iter()
        .filter(|e| {
            matches!(
                e,
                AcquisitionEvent::NoData { .. } | AcquisitionEvent::DataBack { .. }
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            &AcquisitionEvent::NoData { stream: silent },
            &AcquisitionEvent::DataBack { stream: silent }
        ]
    );
    let (_, gaps) = joined(&run.kept);
    assert_eq!(gaps[0].cause, GapCause::Silence);
    assert_eq!(gaps[0].missing, Missing::Exact(100));
}

#[test]
fn what_the_device_says_of_a_gap_is_taken() {
    let mut script = packets(10);
    script.push(Step::Event(DeviceEvent::Discontinuity {
        stream: StreamIndex(0),
        cause: GapCause::Source,
        missing: Missing::Exact(77),
    }));
    script.extend(packets(10));
    let run = run(description(250, 1, CounterSpec::SAMPLE.into()), script);
    let (values, gaps) = joined(&run.kept);
    assert_eq!(values.len(), 20);
    assert_eq!(
        (gaps[0].missing, gaps[0].cause),
        (Missing::Exact(77), GapCause::Source)
    );
    assert_eq!(values[10], (87, 10));
}

#[test]
fn a_malformed_block_is_reported_and_its_samples_are_a_gap() {
    let mut script = packets(10);
    script.push(Step::Malformed);
    script.extend(packets(10));
    let run = run(description(250, 1, CounterSpec::SAMPLE.into()), script);
    let gaps = assert_exact(&run);
    assert_eq!(gaps.len(), 1);
    assert_eq!(run.summary.stats.streams[0].malformed, 1);
    assert!(
        run.events
            .iter()
            .any(|e| matches!(e, AcquisitionEvent::Malformed { .. }))
    );
}

#[test]
fn a_driver_that_panics_ends_the_record_properly() {
    let mut script = packets(10);
    script.push(Step::Panic);
    let run = run(description(250, 1, CounterSpec::SAMPLE.into()), script);
    assert_eq!(joined(&run.kept).0.len(), 10);
    assert_eq!(run.summary.reason, EndReason::DriverPanicked);
    assert!(run.summary.device.is_none());
}

#[test]
fn a_resumed_recording_goes_on_after_a_gap() {
    let clock = TestClock::new();
    let resume = StreamResume {
        stream: StreamIndex(0),
        next_index: 1_000,
        due: clock.utc().plus_nanos(-4_000 * MS),
    };
    let run = run_on(
        &clock,
        description(250, 1, CounterSpec::SAMPLE.into()),
        packets(10),
        vec![resume],
    );
    let (values, gaps) = joined(&run.kept);
    assert_eq!(gaps.len(), 1);
    assert_eq!(
        (gaps[0].cause, gaps[0].missing),
        (GapCause::Restarted, Missing::Unknown)
    );
    assert_eq!(gaps[0].first_missing, 1_000);
    assert_eq!(gaps[0].from, resume.due);
    assert!(values[0].0.abs_diff(2_000) <= 2, "{}", values[0].0);
}
