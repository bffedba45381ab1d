//! What must not leave the house, and what must not be left behind.

use crate::memory::{Memory, Rows};
use crate::reader;
use crate::round_trip::{options, write};
use export::{
    CalendarDate, ExportError, ExportOptions, FileKind, Identity, Privacy, Provenance, Sex,
    export_edf,
};
use signal::{NANOS_PER_S, SamplingRate, Unit};
use std::ops::ControlFlow;
use std::path::Path;

const S: i64 = NANOS_PER_S;

fn small() -> Memory {
    let rows = Rows::I16(vec![vec![7; 1_000]; 2]);
    Memory::new().stream(
        "eeg",
        SamplingRate::hz(100),
        rows,
        &[(0, 500), (60 * S, 500)],
    )
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_deidentified_export_holds_no_canary() {
    const CANARY: &str = "Kanarienvogel";
    let mut memory = small().mark(S, None, CANARY).mark(2 * S, None, "coded one");
    memory.annotations[1].code = Some("eyes_open".to_owned());
    memory.info.provenance = Provenance::Playback;
    let channel = &mut memory.info.streams[0].channels[0];
    channel.label = CANARY.to_owned();
    channel.electrode = None;
    channel.transducer = format!("electrode of {CANARY}");
    channel.hardware_filter.text = CANARY.to_owned();
    channel.unit = Unit::Other("°F".to_owned());
    memory.annotations[1].channels = vec![CANARY.to_owned()];
    let mut options = ExportOptions::deidentified("rec", "sub-01", 40_000);
    if let Privacy::Deidentified(how) = &mut options.privacy {
        how.age_years = Some(93);
    }
    let (folder, export) = write(&memory, &options);
    for name in names(folder.path()) {
        let bytes = std::fs::read(folder.path().join(&name)).unwrap();
        for secret in [
            CANARY.as_bytes(),
            b"2026",
            b"23.11.26",
            b"00000000-0000-7000",
            b"\"93",
        ] {
            let found = bytes.windows(secret.len()).any(|window| window == secret);
            assert!(!found, "{name} holds {:?}", String::from_utf8_lossy(secret));
        }
    }
    assert_eq!(export.dropped_annotations.len(), 1);
    assert!(!export.identified);
    let file = reader::read(&export.signal_files().next().unwrap().path);
    assert_eq!(file.patient, "sub-01 X X X");
    assert_eq!(
        file.recording,
        "Startdate 01-JAN-1985 X X PLAYBACK_Test_Amplifier"
    );
    assert_eq!(file.date, "01.01.85");
    assert_eq!(file.annotations, [(2.0, None, "eyes_open".to_owned())]);
    assert_eq!(file.signals[0].transducer, "");
    assert_eq!(file.signals[0].prefilter, "");
    let scans = std::fs::read_to_string(folder.path().join("rec_scans.tsv")).unwrap();
    assert_eq!(
        scans.lines().nth(1),
        Some("rec_run-01.edf\t1917-05-19T13:00:00.000000000")
    );
    let manifest = std::fs::read_to_string(folder.path().join("rec.json")).unwrap();
    assert!(manifest.contains("\"age_years\": \"90+\""));
}

#[test]
fn an_identified_export_says_so() {
    let memory = small().mark(S, None, "Test^Patient coughs");
    let options = ExportOptions::identified(
        "rec",
        Identity {
            patient_code: "H 42".to_owned(),
            sex: Sex::Male,
            birthdate: Some(CalendarDate {
                year: 1950,
                month: 1,
                day: 31,
            }),
            name: "Test^Patient".to_owned(),
            ..Identity::default()
        },
    );
    assert!(!format!("{options:?}").contains("Test^Patient"));
    let (folder, export) = write(&memory, &options);
    assert!(export.identified);
    let file = reader::read(&export.signal_files().next().unwrap().path);
    assert_eq!(file.patient, "H_42 M 31-JAN-1950 Test_Patient");
    assert_eq!(file.annotations.len(), 1);
    assert!(!folder.path().join("rec_scans.tsv").exists());
}

#[test]
fn nothing_is_overwritten_unless_asked() {
    let memory = small();
    let (folder, first) = write(&memory, &options());
    let before = names(folder.path());
    let again = export_edf(&memory, folder.path(), &options(), &mut |_| {
        ControlFlow::Continue(())
    });
    assert!(
        matches!(again, Err(ExportError::Exists { .. })),
        "{again:?}"
    );
    assert_eq!(names(folder.path()), before);
    let options = ExportOptions {
        overwrite: true,
        ..options()
    };
    let second = export_edf(&memory, folder.path(), &options, &mut |_| {
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(names(folder.path()), before);
    assert_eq!(first.files[0].sha256, second.files[0].sha256);
}

#[test]
fn a_cancelled_export_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut calls = 0;
    let result = export_edf(&small(), folder.path(), &options(), &mut |progress| {
        calls += 1;
        assert!(progress.samples <= progress.total);
        if calls == 2 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert!(matches!(result, Err(ExportError::Cancelled)), "{result:?}");
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_base_name_cannot_leave_the_folder() {
    for name in ["", "../a", "a/b", "a b", "é"] {
        let options = ExportOptions {
            base_name: name.to_owned(),
            ..options()
        };
        let folder = tempfile::tempdir().unwrap();
        let result = export_edf(&small(), folder.path(), &options, &mut |_| {
            ControlFlow::Continue(())
        });
        assert!(
            matches!(result, Err(ExportError::Option { .. })),
            "{name:?}"
        );
    }
}

#[test]
fn the_result_lists_every_file_with_its_hash() {
    let (folder, export) = write(&small(), &ExportOptions::deidentified("rec", "s", 1));
    let listed: Vec<_> = export.files.iter().map(|file| file.name.clone()).collect();
    assert_eq!(
        listed,
        [
            "rec_run-01.edf",
            "rec_run-02.edf",
            "rec.json",
            "rec_gaps.tsv",
            "rec_annotations.tsv",
            "rec_scans.tsv",
        ]
    );
    assert_eq!(export.files[2].kind, FileKind::Manifest);
    let manifest = std::fs::read_to_string(folder.path().join("rec.json")).unwrap();
    for file in &export.files {
        let bytes = std::fs::read(&file.path).unwrap();
        assert_eq!(bytes.len() as u64, file.bytes);
        if file.kind.is_signal() {
            assert!(manifest.contains(&file.sha256));
        }
    }
}

/// A file system of 256 KiB, where this may mount one.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_named_and_left_clean() {
    let folder = tempfile::tempdir().unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=256k", "none"])
        .arg(folder.path())
        .output()
        .is_ok_and(|output| output.status.success());
    if !mounted {
        eprintln!("SKIPPED: full disk (no right to mount a small file system)");
        return;
    }
    let rows = Rows::I16(vec![vec![7; 200_000]; 2]);
    let memory = Memory::new().stream("eeg", SamplingRate::hz(100), rows, &[(0, 200_000)]);
    let result = export_edf(&memory, folder.path(), &options(), &mut |_| {
        ControlFlow::Continue(())
    });
    let left = names(folder.path());
    let unmounted = std::process::Command::new("umount")
        .arg(folder.path())
        .status();
    assert!(unmounted.is_ok_and(|status| status.success()));
    match result {
        Err(error @ ExportError::DiskFull { .. }) => {
            assert!(
                error
                    .to_string()
                    .contains("disk full while writing rec.edf"),
                "{error}"
            );
        }
        other => panic!("expected a full disk, got {other:?}"),
    }
    assert!(left.is_empty(), "{left:?}");
}
