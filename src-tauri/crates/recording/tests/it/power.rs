//! Power cuts, failing and full disks: by seed, at every kind of operation.

use crate::common::*;
use recording::{
    Appended, FaultPlan, FaultyStorage, Recorder, RecordingError, Storage as _, repair, verify,
};
use signal::{
    Annotation, AnnotationId, AnnotationOrigin, GapCause, HostNanos, SampleType, Samples,
    SamplingRate, StreamDescription, StreamIndex, UtcNanos,
};
use std::path::Path;
use std::sync::Arc;

const FOLDER: &str = "/r";

fn streams() -> Vec<StreamDescription> {
    vec![
        stream("eeg", SampleType::I24, 2, SamplingRate::hz(250)),
        stream("aux", SampleType::F32, 1, SamplingRate::hz(8)),
    ]
}

fn note(id: u64) -> Annotation {
    Annotation {
        id: AnnotationId(id),
        onset: UtcNanos(UTC0),
        duration_ns: None,
        text: format!("note {id}"),
        code: None,
        origin: AnnotationOrigin::Program,
        channels: Vec::new(),
        supersedes: None,
    }
}

/// What was promised when the power went.
struct Outcome {
    at: HostNanos,
    stored: Option<HostNanos>,
}

/// Records from `from` to `to` (steps of 40 ms) until the disk fails for good.
fn run(recorder: &mut Recorder, next: &mut [u64], from: i64, to: i64) -> Outcome {
    let streams = streams();
    for step in from..to {
        let now = HostNanos((step + 1) * 40 * MS);
        for (i, description) in streams.iter().enumerate() {
            let until = description.rate.index_at(now.0);
            if until > next[i] {
                let sent = block(i as u16, description, next[i], (until - next[i]) as usize);
                assert_eq!(recorder.append(&sent).unwrap(), Appended::Taken);
                next[i] = until;
            }
        }
        if step % 10 == 0 {
            recorder.annotate(&note(step as u64)).unwrap();
        }
        if recorder.tick(now).is_err() {
            return Outcome {
                at: now,
                stored: recorder.stored_until(),
            };
        }
    }
    Outcome {
        at: HostNanos(to * 40 * MS),
        stored: recorder.stored_until(),
    }
}

/// Everything promised is there, exact, and what is missing is younger than a second.
fn check(disk: &Arc<FaultyStorage>, outcome: &Outcome, context: &str) -> Vec<u64> {
    let recording = open(Path::new(FOLDER), disk.clone()).expect(context);
    let mut ends = Vec::new();
    for (i, description) in streams().iter().enumerate() {
        prove(&recording, i as u16);
        let runs = recording.runs(StreamIndex(i as u16)).unwrap();
        let end = runs.last().map_or(0, |r| r.end_index);
        // What arrived up to `stored` began a period earlier at the latest.
        let promised = outcome
            .stored
            .map_or(0, |t| description.rate.index_at(t.0 - 125 * MS));
        let second = description.rate.index_at(outcome.at.0 - 1000 * MS);
        assert!(
            end >= promised,
            "{context}: stream {i} ends at {end}, promised {promised}"
        );
        assert!(
            end >= second,
            "{context}: stream {i} ends at {end}, a second ago {second}"
        );
        // Up to the promise nothing is missing in between.
        let whole: u64 = runs
            .iter()
            .map(|r| r.end_index.min(promised) - r.first_index.min(promised))
            .sum();
        assert_eq!(whole, promised, "{context}: stream {i} has holes: {runs:?}");
        ends.push(end);
    }
    ends
}

#[test]
fn power_cuts_lose_at_most_a_second() {
    for seed in 0..300_u64 {
        let cut = 14 + seed * 7 % 331;
        let context = format!("seed {seed}, cut at operation {cut}");
        let plan = FaultPlan {
            power_cut_at: Some(cut),
            ..FaultPlan::default()
        };
        let disk = Arc::new(FaultyStorage::new(seed, plan));
        let mut recorder =
            create(Path::new(FOLDER), header(streams()), disk.clone()).expect(&context);
        let mut next = vec![0; 2];
        let outcome = run(&mut recorder, &mut next, 0, 2500);
        drop(recorder);
        let found = Arc::new(disk.after_power_cut(seed ^ 0xabc));
        let ends = check(&found, &outcome, &context);
        if seed % 2 == 0 {
            // Repair, then read on.
            repair(
                Path::new(FOLDER),
                &unlock(),
                found.clone(),
                &mut Seeded(seed),
            )
            .expect(&context);
            let report = verify(Path::new(FOLDER), &unlock(), found.clone(), &mut |_, _| {})
                .expect(&context);
            assert!(report.is_clean(), "{context}: {:?}", report.problems);
            check(&found, &outcome, &context);
        } else {
            // Resume, record on, and finish.
            let entropy = Box::new(Seeded(seed ^ 0x55));
            let mut recorder =
                Recorder::resume(Path::new(FOLDER), &unlock(), found.clone(), entropy, ANCHOR)
                    .expect(&context);
            let mut next: Vec<u64> = recorder
                .resume_points()
                .iter()
                .map(|p| p.next_index)
                .collect();
            assert!(
                next.iter().zip(&ends).all(|(next, end)| next >= end),
                "{context}"
            );
            let from = outcome.at.0 / (40 * MS) + 50;
            for (i, description) in streams().iter().enumerate() {
                next[i] = description.rate.index_at(from * 40 * MS);
            }
            run(&mut recorder, &mut next, from, from + 50);
            recorder
                .finish(HostNanos((from + 50) * 40 * MS))
                .expect(&context);
            check(&found, &outcome, &context);
            let recording = open(Path::new(FOLDER), found.clone()).unwrap();
            assert!(
                recording
                    .gaps()
                    .iter()
                    .any(|g| !g.recorded && g.gap.cause == GapCause::Restarted),
                "{context}"
            );
            repair(
                Path::new(FOLDER),
                &unlock(),
                found.clone(),
                &mut Seeded(seed),
            )
            .expect(&context);
            let report =
                verify(Path::new(FOLDER), &unlock(), found, &mut |_, _| {}).expect(&context);
            assert!(report.is_clean(), "{context}: {:?}", report.problems);
        }
    }
}

#[test]
fn a_cut_while_creating_leaves_nothing_that_blocks() {
    for cut in 0..14 {
        let plan = FaultPlan {
            power_cut_at: Some(cut),
            ..FaultPlan::default()
        };
        let disk = Arc::new(FaultyStorage::new(cut, plan));
        if create(Path::new(FOLDER), header(streams()), disk.clone()).is_ok() {
            continue;
        }
        let found = Arc::new(disk.after_power_cut(cut));
        // Either nothing is there, or an error says so; never a panic, never an empty success.
        if let Ok(recording) = open(Path::new(FOLDER), found) {
            assert_eq!(recording.header(), &header(streams()));
        }
    }
}

#[test]
fn failing_writes_and_syncs_are_repeated_from_memory() {
    for seed in 0..40 {
        let disk = Arc::new(FaultyStorage::new(seed, FaultPlan::default()));
        let mut recorder = create(Path::new(FOLDER), header(streams()), disk.clone()).unwrap();
        disk.set_plan(FaultPlan {
            write_error: 100,
            short_write: 200,
            sync_error: 150,
            ..FaultPlan::default()
        });
        let mut next = vec![0; 2];
        let mut at = 0;
        while at < 600 {
            // Errors are answered by going on.
            let outcome = run(&mut recorder, &mut next, at, 600);
            at = outcome.at.0 / (40 * MS);
        }
        disk.set_plan(FaultPlan::default());
        recorder.finish(HostNanos(24_000 * MS)).unwrap();
        // Synced means synced: a cut now takes nothing.
        let found = Arc::new(disk.after_power_cut(seed));
        let recording = open(Path::new(FOLDER), found.clone()).unwrap();
        assert_eq!([prove(&recording, 0), prove(&recording, 1)], [6000, 192]);
        let report = verify(Path::new(FOLDER), &unlock(), found, &mut |_, _| {}).unwrap();
        assert!(report.is_clean(), "{:?}", report.problems);
    }
}

#[test]
fn a_full_disk_is_told_apart_and_survived() {
    let disk = Arc::new(FaultyStorage::new(3, FaultPlan::default()));
    let mut recorder = create(Path::new(FOLDER), header(streams()), disk.clone()).unwrap();
    disk.set_plan(FaultPlan {
        capacity: Some(30_000),
        ..FaultPlan::default()
    });
    let streams = streams();
    let mut full = 0;
    for n in 0..1000_u64 {
        recorder.append(&block(0, &streams[0], n * 10, 10)).unwrap();
        match recorder.tick(HostNanos((n as i64 + 1) * 40 * MS)) {
            Err(RecordingError::DiskFull { .. }) => full += 1,
            other => other.unwrap(),
        }
    }
    assert!(full > 100, "{full}");
    let stored = recorder.stored_until();
    assert!(stored < Some(HostNanos(30_000 * MS)));
    disk.set_plan(FaultPlan::default());
    recorder.finish(HostNanos(40_000 * MS)).unwrap();
    assert_eq!(prove(&open(Path::new(FOLDER), disk).unwrap(), 0), 10_000);
}

#[test]
fn what_no_longer_fits_in_memory_is_a_gap() {
    let disk = Arc::new(FaultyStorage::new(3, FaultPlan::default()));
    let wide = stream("wide", SampleType::F64, 512, SamplingRate::hz(2000));
    let mut recorder = create(Path::new(FOLDER), header(vec![wide.clone()]), disk.clone()).unwrap();
    disk.set_plan(FaultPlan {
        capacity: Some(10_000),
        ..FaultPlan::default()
    });
    let mut lost = 0;
    let mut first = 0;
    while lost < 3 {
        lost +=
            u64::from(recorder.append(&block(0, &wide, first, 1000)).unwrap() == Appended::Lost);
        first += 1000;
        let _ = recorder.tick(HostNanos(wide.rate.nanos_of(first)));
    }
    disk.set_plan(FaultPlan::default());
    recorder.tick(HostNanos(wide.rate.nanos_of(first))).unwrap();
    recorder
        .tick(HostNanos(wide.rate.nanos_of(first) + 500 * MS))
        .unwrap();
    assert_eq!(
        recorder.append(&block(0, &wide, first, 1000)).unwrap(),
        Appended::Taken
    );
    let told = recorder.drain_lost();
    assert!(recorder.drain_lost().is_empty(), "told once");
    let summary = recorder
        .finish(HostNanos(wide.rate.nanos_of(first + 1000)))
        .unwrap();
    assert_eq!(summary.lost_blocks, 3);
    let recording = open(Path::new(FOLDER), disk.clone()).unwrap();
    let gaps = recording.gaps();
    assert_eq!(gaps.len(), 1);
    assert!(gaps[0].recorded);
    let gap = gaps[0].gap;
    assert_eq!(
        (gap.cause, gap.first_missing, gap.resumes_at),
        (GapCause::RecorderFull, first - 3000, first)
    );
    assert_eq!(told, [gap]);
    let report = verify(Path::new(FOLDER), &unlock(), disk, &mut |_, _| {}).unwrap();
    assert!(report.is_clean(), "{:?}", report.problems);
}

#[test]
fn an_overview_that_a_full_disk_tore_begins_anew_and_leaves_nothing_torn() {
    let disk = Arc::new(FaultyStorage::new(5, FaultPlan::default()));
    let wide = stream("wide", SampleType::I16, 512, SamplingRate::hz(2000));
    let mut recorder = create(Path::new(FOLDER), header(vec![wide.clone()]), disk.clone()).unwrap();
    // SplitMix64's step: noise that no predictor finds.
    let mut state = 9_u64;
    let mut noise = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed >> 48) as i16
    };
    let (mut first, len) = (0, 1_000);
    let mut add = |recorder: &mut Recorder| {
        let mut block = block(0, &wide, first, len);
        block.samples = Samples::I16((0..512 * len).map(|_| noise()).collect());
        first += len as u64;
        assert_eq!(recorder.append(&block).unwrap(), Appended::Taken);
        recorder.tick(HostNanos(wide.rate.nanos_of(first)))
    };
    add(&mut recorder).unwrap();
    add(&mut recorder).unwrap();
    disk.set_plan(FaultPlan {
        capacity: Some(3_000_000),
        ..FaultPlan::default()
    });
    // More of the overview than is kept in memory: an eighth of 128 MiB, at 2/16 of the record.
    for _ in 0..126 {
        let _ = add(&mut recorder);
    }
    disk.set_plan(FaultPlan::default());
    add(&mut recorder).unwrap();
    add(&mut recorder).unwrap();
    recorder
        .finish(HostNanos(wide.rate.nanos_of(first)))
        .unwrap();
    let files = disk.list(Path::new(FOLDER)).unwrap();
    let overviews = files
        .iter()
        .filter(|file| file.name.starts_with("overview-"));
    assert_eq!(overviews.count(), 2, "{files:?}");
    let report = verify(Path::new(FOLDER), &unlock(), disk, &mut |_, _| {}).unwrap();
    assert!(report.is_clean(), "{:?}", report.problems);
}
