//! Flipped bits are found and named; files cut at any byte never panic.

use crate::common::*;
use recording::{
    Fault, FaultPlan, FaultyStorage, Recorder, Recording, decode_frame_bytes, repair, verify,
};
use signal::{HostNanos, SampleType, SamplingRate, StreamIndex};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn small() -> Arc<FaultyStorage> {
    let disk = Arc::new(FaultyStorage::new(1, FaultPlan::default()));
    let description = stream("eeg", SampleType::I16, 2, SamplingRate::hz(64));
    let mut recorder = create(
        Path::new("/r"),
        header(vec![description.clone()]),
        disk.clone(),
    )
    .unwrap();
    for n in 0..12 {
        recorder
            .append(&block(0, &description, n * 16, 16))
            .unwrap();
        recorder.tick(HostNanos((n as i64 + 1) * 250 * MS)).unwrap();
    }
    recorder.finish(HostNanos(3000 * MS)).unwrap();
    disk
}

fn journal_files(disk: &FaultyStorage) -> Vec<PathBuf> {
    disk.files()
        .into_iter()
        .filter(|p| p.extension().is_some_and(|e| e == "nsj"))
        .collect()
}

#[test]
fn every_flipped_byte_is_found_and_named() {
    let disk = small();
    for path in journal_files(&disk) {
        let whole = disk.content(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            disk.set_content(&path, &bytes);
            match verify(Path::new("/r"), &unlock(), disk.clone(), &mut |_, _| {}) {
                // The header's own file: the recording does not open, and says why.
                Err(_) => assert_eq!(name, "recording.nsj", "byte {at}"),
                // The close frame of the header's file is not needed to read it.
                Ok(report) if name == "recording.nsj" => assert!(at > 600, "{at}: {report:?}"),
                Ok(report) => {
                    let problem = report.problems.iter().find(|p| p.file == name);
                    let problem = problem
                        .unwrap_or_else(|| panic!("{name}: byte {at} was not found: {report:?}"));
                    assert!(
                        problem.offset <= at as u64,
                        "{name}: byte {at}: {problem:?}"
                    );
                }
            }
        }
        disk.set_content(&path, &whole);
    }
}

#[test]
fn a_damaged_frame_costs_itself_only() {
    let disk = small();
    let path = Path::new("/r/stream-000-00000000.nsj");
    let mut bytes = disk.content(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    disk.set_content(path, &bytes);
    let report = verify(Path::new("/r"), &unlock(), disk.clone(), &mut |_, _| {}).unwrap();
    assert_eq!(report.problems[0].fault, Fault::PayloadChecksum);
    assert!(report.problems[0].loses_data);
    let recording = open(Path::new("/r"), disk).unwrap();
    let good = (0..12)
        .filter(|n| recording.read(StreamIndex(0), n * 16..n * 16 + 16).is_ok())
        .count();
    assert_eq!(good, 11);
    assert!(recording.read(StreamIndex(0), 0..192).is_err());
}

#[test]
fn a_missing_segment_is_named() {
    let disk = small();
    let files = journal_files(&disk);
    let segment = files
        .iter()
        .find(|p| p.to_str().unwrap().contains("stream-"))
        .unwrap();
    let bytes = disk.content(segment).unwrap();
    // As segment 1, it says of itself that it is segment 0; segment 0 is gone.
    disk.set_content(Path::new("/r/stream-000-00000001.nsj"), &bytes);
    let report = verify(Path::new("/r"), &unlock(), disk, &mut |_, _| {}).unwrap();
    assert!(
        report.problems.iter().any(|p| p.fault == Fault::Identity),
        "{report:?}"
    );
}

#[test]
fn any_file_cut_at_any_byte_never_panics() {
    let disk = small();
    let mut files = journal_files(&disk);
    files.push(PathBuf::from("/r/keys"));
    for path in files {
        let whole = disk.content(&path).unwrap();
        for len in 0..whole.len() {
            disk.set_content(&path, &whole[..len]);
            if let Ok(recording) = open(Path::new("/r"), disk.clone()) {
                prove(&recording, 0);
                let _ = recording.overview(StreamIndex(0), 0..2, 0..192, 5);
                let _ = recording.gaps();
            }
        }
        // Cut in the middle, repaired, and clean but for what is gone.
        if path.to_str().unwrap().contains("stream-") {
            disk.set_content(&path, &whole[..whole.len() / 2]);
            let report = repair(Path::new("/r"), &unlock(), disk.clone(), &mut Seeded(4)).unwrap();
            assert_eq!(report.quarantined.len(), 1, "{report:?}");
            let report = verify(Path::new("/r"), &unlock(), disk.clone(), &mut |_, _| {}).unwrap();
            assert!(report.is_clean(), "{report:?}");
        }
        let fresh = small();
        for file in fresh.files() {
            disk.set_content(&file, &fresh.content(&file).unwrap());
        }
    }
}

#[test]
fn arbitrary_bytes_are_refused() {
    let mut random = Seeded(11);
    for _ in 0..20_000 {
        let len = (random.next() % 160) as usize;
        let bytes: Vec<u8> = (0..len).map(|_| random.next() as u8).collect();
        let _ = decode_frame_bytes(&bytes);
    }
}

/// A power cut can leave a segment that is a head only; reading from the middle must not stumble.
#[test]
fn a_segment_without_frames_hides_nothing() {
    let disk = small();
    let whole = disk
        .content(Path::new("/r/stream-000-00000000.nsj"))
        .unwrap();
    let entropy = Box::new(Seeded(6));
    let mut recorder =
        Recorder::resume(Path::new("/r"), &unlock(), disk.clone(), entropy, ANCHOR).unwrap();
    let description = recorder.header().streams[0].clone();
    recorder.append(&block(0, &description, 192, 64)).unwrap();
    recorder.finish(HostNanos(4000 * MS)).unwrap();
    let second = Path::new("/r/stream-000-00000001.nsj");
    let head = disk.content(second).unwrap()[..128].to_vec();
    disk.set_content(second, &head);
    let recording = open(Path::new("/r"), disk.clone()).unwrap();
    assert_eq!(recording.read(StreamIndex(0), 100..192).unwrap()[0].len, 92);
    assert_eq!(
        disk.content(Path::new("/r/stream-000-00000000.nsj")),
        Some(whole)
    );
}

#[test]
fn readers_and_writers_go_between_threads() {
    fn check<T: Send>() {}
    fn shared<T: Send + Sync>() {}
    check::<Recorder>();
    shared::<Recording>();
}
