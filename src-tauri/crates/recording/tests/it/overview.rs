//! Envelopes against the samples they stand for.

use crate::common::*;
use recording::{FaultPlan, FaultyStorage, OsStorage, Recording, RecordingError, repair, verify};
use signal::{HostNanos, SampleType, SamplingRate, StreamIndex};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// Every sample lies within its column's envelope, and no envelope is wider than its column and one
/// bin on either side.
fn check(recording: &Recording, range: Range<u64>, columns: usize) {
    let stream = StreamIndex(0);
    let found = recording
        .overview(stream, 0..2, range.clone(), columns)
        .unwrap();
    let there = |i: u64| {
        recording
            .runs(stream)
            .unwrap()
            .iter()
            .any(|r| (r.first_index..r.end_index).contains(&i))
    };
    let span = u128::from(range.end - range.start);
    for column in 0..columns {
        let edge = |c: usize| range.start + (span * c as u128).div_ceil(columns as u128) as u64;
        let (from, to) = (edge(column), edge(column + 1));
        for channel in 0..2 {
            let at = channel * columns + column;
            let extremes = |range: Range<u64>| {
                range
                    .filter(|i| there(*i))
                    .map(|i| f64::from(value(channel, i)))
                    .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| {
                        (a.min(v), b.max(v))
                    })
            };
            let (low, high) = extremes(from..to);
            let (wide_low, wide_high) =
                extremes(from.saturating_sub(found.bin - 1)..to + found.bin - 1);
            let context =
                format!("columns {columns} of {range:?}: column {column}, channel {channel}");
            if found.bin == 1 {
                if low > high {
                    assert!(
                        found.min[at].is_nan() && found.max[at].is_nan(),
                        "{context}"
                    );
                } else {
                    assert_eq!((found.min[at], found.max[at]), (low, high), "{context}");
                }
            } else if low <= high {
                assert!(found.min[at] <= low && found.max[at] >= high, "{context}");
                assert!(
                    found.min[at] >= wide_low && found.max[at] <= wide_high,
                    "{context}"
                );
            }
        }
    }
}

#[test]
fn envelopes_hold_their_samples_live_finished_and_rebuilt() {
    let disk = Arc::new(FaultyStorage::new(1, FaultPlan::default()));
    let folder = Path::new("/r");
    let description = stream("eeg", SampleType::I24, 2, SamplingRate::hz(256));
    let mut recorder = create(folder, header(vec![description.clone()]), disk.clone()).unwrap();
    let mut at = 0_u64;
    for n in 0..1200_u64 {
        // Now and then samples are missing.
        at += if n % 400 == 399 { 777 } else { 0 };
        recorder.append(&block(0, &description, at, 50)).unwrap();
        at += 50;
        recorder
            .tick(HostNanos(description.rate.nanos_of(at)))
            .unwrap();
    }
    let pages = |recording: &Recording| {
        for (from, to, columns) in [
            (0, at, 100),
            (0, at, 1000),
            (5000, 9000, 33),
            (19_000, 23_000, 2000),
            (60_000, at + 500, 7),
            (0, 3, 9),
        ] {
            check(recording, from..to, columns);
        }
    };
    pages(&open(folder, disk.clone()).unwrap());
    recorder
        .finish(HostNanos(description.rate.nanos_of(at)))
        .unwrap();
    let recording = open(folder, disk.clone()).unwrap();
    pages(&recording);
    let gone: Vec<_> = disk
        .files()
        .into_iter()
        .filter(|p| p.to_str().unwrap().contains("overview"))
        .collect();
    assert_eq!(gone.len(), 1);
    // Missing: the samples answer. Repaired: a new overview does.
    use recording::Storage as _;
    disk.remove(&gone[0]).unwrap();
    pages(&open(folder, disk.clone()).unwrap());
    let report = repair(folder, &unlock(), disk.clone(), &mut Seeded(3)).unwrap();
    assert_eq!(report.overviews_rebuilt, [StreamIndex(0)]);
    pages(&open(folder, disk.clone()).unwrap());
    assert_eq!(
        repair(folder, &unlock(), disk.clone(), &mut Seeded(3)).unwrap(),
        recording::RepairReport::default()
    );
    assert!(
        verify(folder, &unlock(), disk, &mut |_, _| {})
            .unwrap()
            .is_clean()
    );
}

#[test]
fn text_has_no_envelope() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r");
    let description = stream("markers", SampleType::Text, 1, SamplingRate::hz(1));
    let mut recorder = create(
        &path,
        header(vec![description.clone()]),
        Arc::new(OsStorage),
    )
    .unwrap();
    recorder.append(&block(0, &description, 0, 3)).unwrap();
    recorder.finish(HostNanos(3000 * MS)).unwrap();
    let recording = open(&path, Arc::new(OsStorage)).unwrap();
    assert!(matches!(
        recording.overview(StreamIndex(0), 0..1, 0..3, 3),
        Err(RecordingError::IsText(_))
    ));
}
