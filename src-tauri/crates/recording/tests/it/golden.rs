//! Files of every format version are kept and must go on to open with the same content.

use crate::common::*;
use recording::{OsStorage, Recorder, RecordingError, verify};
use signal::{
    Annotation, AnnotationId, AnnotationOrigin, HostNanos, SampleType, SamplingRate,
    StreamDescription, UtcNanos,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

fn streams() -> Vec<StreamDescription> {
    let types = [
        SampleType::I16,
        SampleType::I24,
        SampleType::I32,
        SampleType::F32,
        SampleType::F64,
        SampleType::Text,
    ];
    (types.iter().enumerate())
        .map(|(i, t)| stream(&format!("s{i}"), *t, 2, SamplingRate::hz(50)))
        .collect()
}

fn note() -> Annotation {
    Annotation {
        id: AnnotationId(1),
        onset: UtcNanos(UTC0),
        duration_ns: None,
        text: "golden".to_owned(),
        code: Some("golden".to_owned()),
        origin: AnnotationOrigin::Program,
        channels: Vec::new(),
        supersedes: None,
    }
}

fn write(folder: &Path) {
    let mut recorder = create(folder, header(streams()), Arc::new(OsStorage)).unwrap();
    recorder.annotate(&note()).unwrap();
    for n in 0..20_u64 {
        // Ten samples are missing in the middle.
        let first = n * 5 + if n >= 10 { 10 } else { 0 };
        for (i, description) in streams().iter().enumerate() {
            recorder
                .append(&block(i as u16, description, first, 5))
                .unwrap();
        }
        recorder.tick(HostNanos((n as i64 + 1) * 100 * MS)).unwrap();
    }
    recorder.finish(HostNanos(2200 * MS)).unwrap();
}

fn check(folder: &Path) {
    let recording = open(folder, Arc::new(OsStorage)).unwrap();
    assert_eq!(recording.header(), &header(streams()));
    for stream in 0..6 {
        assert_eq!(prove(&recording, stream), 100);
    }
    assert_eq!(recording.gaps().len(), 6);
    assert_eq!(recording.annotations()[0].annotation, note());
    assert_eq!(recording.finished(), Some(UtcNanos(UTC0 + 2200 * MS)));
}

#[test]
fn version_1_opens() {
    check(&golden("v1"));
    assert!(
        verify(
            &golden("v1"),
            &unlock(),
            Arc::new(OsStorage),
            &mut |_, _| {}
        )
        .unwrap()
        .is_clean()
    );
}

/// Written as version 2 for readers from 1 on: unknown frame and event kinds, unknown fields.
#[test]
fn a_newer_file_that_an_old_reader_may_read_opens() {
    check(&golden("v2-readable"));
    assert!(
        verify(
            &golden("v2-readable"),
            &unlock(),
            Arc::new(OsStorage),
            &mut |_, _| {}
        )
        .unwrap()
        .is_clean()
    );
}

/// Written as version 2 for readers from 2 on.
#[test]
fn a_newer_file_that_an_old_reader_may_not_read_is_refused() {
    let refused = open(&golden("v2-only"), Arc::new(OsStorage));
    assert!(
        matches!(
            refused,
            Err(RecordingError::NewerFormat {
                version: 2,
                needed: 2,
                ..
            })
        ),
        "{refused:?}"
    );
}

/// Today's writer still makes what the kept files hold, apart from compressed bytes, which belong
/// to the compressor: names, lengths of heads and keys are the same.
#[test]
fn todays_writer_makes_the_same_files() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("r");
    write(&folder);
    check(&folder);
    let names = |folder: &Path| {
        let mut names: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(&folder), names(&golden("v1")));
    for name in [
        "keys",
        "recording.nsj",
        "stream-000-00000000.nsj",
        "stream-001-00000000.nsj",
        "stream-002-00000000.nsj",
        "events-00000000.nsj",
    ] {
        let read = |folder: &Path| std::fs::read(folder.join(name)).unwrap();
        assert!(
            read(&folder) == read(&golden("v1")),
            "{name} differs from the kept file of version 1"
        );
    }
}

/// Makes the kept files of version 1. Run by hand when a version is made, never to make a test pass.
#[test]
#[ignore = "writes kept files"]
fn make() {
    let folder = golden("v1");
    assert!(!folder.exists(), "kept files are not overwritten");
    write(&folder);
}

/// A finished recording can still be annotated, and its samples stay.
#[test]
fn annotations_after_the_end() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("r");
    write(&folder);
    let entropy = Box::new(Seeded(9));
    let mut recorder =
        Recorder::resume(&folder, &unlock(), Arc::new(OsStorage), entropy, ANCHOR).unwrap();
    let later = Annotation {
        id: AnnotationId(2),
        supersedes: Some(AnnotationId(1)),
        ..note()
    };
    recorder.annotate(&later).unwrap();
    recorder.finish(HostNanos(5000 * MS)).unwrap();
    let recording = open(&folder, Arc::new(OsStorage)).unwrap();
    assert_eq!(
        recording.annotations()[0].superseded_by,
        Some(AnnotationId(2))
    );
    for stream in 0..6 {
        assert_eq!(prove(&recording, stream), 100);
    }
    assert!(
        verify(&folder, &unlock(), Arc::new(OsStorage), &mut |_, _| {})
            .unwrap()
            .is_clean()
    );
}
