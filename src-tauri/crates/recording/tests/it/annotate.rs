//! Annotations after the end: whole or not there, whatever happens in the middle.

use crate::common::*;
use recording::{FaultPlan, FaultyStorage, SegmentState, annotate, repair, verify};
use signal::{
    Annotation, AnnotationId, AnnotationOrigin, HostNanos, SampleType, SamplingRate, StreamIndex,
    UtcNanos,
};
use std::path::Path;
use std::sync::Arc;

const FOLDER: &str = "/r";

fn note(id: u64, text: &str, supersedes: Option<u64>) -> Annotation {
    Annotation {
        id: AnnotationId(id),
        onset: UtcNanos(UTC0 + id as i64),
        duration_ns: None,
        text: text.to_owned(),
        code: None,
        origin: AnnotationOrigin::Person,
        channels: Vec::new(),
        supersedes: supersedes.map(AnnotationId),
    }
}

/// A finished recording with annotation 1.
fn finished(seed: u64) -> Arc<FaultyStorage> {
    let disk = Arc::new(FaultyStorage::new(seed, FaultPlan::default()));
    let eeg = stream("eeg", SampleType::I24, 2, SamplingRate::hz(250));
    let mut recorder = create(Path::new(FOLDER), header(vec![eeg.clone()]), disk.clone()).unwrap();
    recorder.append(&block(0, &eeg, 0, 250)).unwrap();
    recorder.annotate(&note(1, "first", None)).unwrap();
    recorder.finish(HostNanos(1_000 * MS)).unwrap();
    disk
}

fn texts(disk: &Arc<FaultyStorage>) -> Vec<String> {
    let recording = open(Path::new(FOLDER), disk.clone()).unwrap();
    let standing = recording.standing_annotations();
    standing.into_iter().map(|a| a.text).collect()
}

#[test]
fn a_finished_recording_takes_annotations_in_segments_of_their_own() {
    let disk = finished(1);
    let before = open(Path::new(FOLDER), disk.clone()).unwrap();
    let (end, closed) = (before.finished(), before.segments());
    let added = [note(2, "second", None), note(3, "corrected", Some(1))];
    let mut entropy = Seeded(5);
    let segment = annotate(
        Path::new(FOLDER),
        &unlock(),
        disk.clone(),
        &mut entropy,
        &added,
    )
    .unwrap();
    assert_eq!(texts(&disk), ["second", "corrected"]);
    // Withdrawn: nothing stands in its place.
    let withdrawal = [note(4, "", Some(2))];
    annotate(
        Path::new(FOLDER),
        &unlock(),
        disk.clone(),
        &mut entropy,
        &withdrawal,
    )
    .unwrap();
    assert_eq!(texts(&disk), ["corrected"]);

    let recording = open(Path::new(FOLDER), disk.clone()).unwrap();
    assert_eq!(recording.annotations().len(), 4, "nothing is taken away");
    assert_eq!(recording.finished(), end);
    let now = recording.segments();
    assert!(closed.iter().all(|segment| now.contains(segment)));
    let found = now.iter().find(|s| s.file == segment.file).unwrap();
    assert_eq!(found.state, SegmentState::Closed);
    assert_eq!(found.sha256, Some(segment.sha256));
    assert_eq!(recording.hash_segment(found).unwrap(), segment.sha256);
    prove(&recording, 0);
    assert_eq!(recording.runs(StreamIndex(0)).unwrap().len(), 1);
    let report = verify(Path::new(FOLDER), &unlock(), disk, &mut |_, _| {}).unwrap();
    assert!(report.is_clean(), "{:?}", report.problems);
}

#[test]
fn a_power_cut_leaves_all_of_it_or_nothing() {
    let mut there = 0;
    let steps = 40;
    for cut in 0..steps {
        let disk = finished(cut);
        let begun = disk.operations();
        disk.set_plan(FaultPlan {
            power_cut_at: Some(begun + cut),
            ..FaultPlan::default()
        });
        let added = [note(2, "late", None)];
        let told = annotate(
            Path::new(FOLDER),
            &unlock(),
            disk.clone(),
            &mut Seeded(cut),
            &added,
        );
        let found = Arc::new(disk.after_power_cut(cut ^ 0xabc));
        let standing = texts(&found);
        match standing.len() {
            1 => assert!(told.is_err(), "cut at {cut}: told and gone"),
            _ => {
                assert_eq!(standing, ["first", "late"], "cut at {cut}");
                there += 1;
            }
        }
        // Sound as it is, whole after a repair, and it takes the next annotation.
        let folder = Path::new(FOLDER);
        let report = verify(folder, &unlock(), found.clone(), &mut |_, _| {}).unwrap();
        assert!(report.problems.iter().all(|p| !p.loses_data), "{report:?}");
        repair(folder, &unlock(), found.clone(), &mut Seeded(cut)).unwrap();
        let report = verify(folder, &unlock(), found.clone(), &mut |_, _| {}).unwrap();
        assert!(report.is_clean(), "cut at {cut}: {:?}", report.problems);
        let next = [note(3, "next", None)];
        annotate(
            folder,
            &unlock(),
            found.clone(),
            &mut Seeded(cut + 1),
            &next,
        )
        .unwrap();
        assert_eq!(texts(&found).last().map(String::as_str), Some("next"));
    }
    assert!(
        (1..steps).contains(&there),
        "{there} of {steps} cuts came after the end"
    );
}
