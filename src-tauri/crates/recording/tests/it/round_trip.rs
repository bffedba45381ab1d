//! What is recorded reads back, bit for bit, with its times, gaps and remarks.

use crate::common::*;
use recording::{
    Appended, ClockAnchor, FaultPlan, FaultyStorage, KeyRing, KeysFile, Mark, RecordingError,
    SegmentState, StationKey, Unlock, rewrap, verify,
};
use signal::{
    Annotation, AnnotationId, AnnotationOrigin, ClockSource, DeviceNanos, Gap, GapCause, HostNanos,
    Impedance, Missing, SampleType, Samples, SamplingRate, StreamIndex, UtcNanos,
};
use std::path::Path;
use std::sync::Arc;

fn annotation(id: u64, supersedes: Option<u64>) -> Annotation {
    Annotation {
        id: AnnotationId(id),
        onset: UtcNanos(UTC0 + 5),
        duration_ns: Some(7),
        text: "eyes open ‰".to_owned(),
        code: Some("eyes_open".to_owned()),
        origin: AnnotationOrigin::Person,
        channels: vec!["E1".to_owned()],
        supersedes: supersedes.map(AnnotationId),
    }
}

#[test]
fn every_sample_type_and_several_streams() {
    let disk = Arc::new(FaultyStorage::new(1, FaultPlan::default()));
    let folder = Path::new("/r");
    let types = [
        SampleType::I16,
        SampleType::I24,
        SampleType::I32,
        SampleType::F32,
        SampleType::F64,
        SampleType::Text,
    ];
    let rates = [
        SamplingRate::hz(256),
        SamplingRate::hz(500),
        SamplingRate::new(128, 10).unwrap(),
    ];
    let streams: Vec<_> = (types.iter().enumerate())
        .map(|(i, t)| stream(&format!("s{i}"), *t, 1 + i, rates[i % 3]))
        .collect();
    let header = header(streams.clone());
    let mut recorder = create(folder, header.clone(), disk.clone()).unwrap();
    let mut next = vec![0_u64; streams.len()];
    for step in 1..=200_i64 {
        let now = HostNanos(step * 40 * MS);
        for (i, description) in streams.iter().enumerate() {
            let until = description.rate.index_at(now.0);
            if until > next[i] {
                let sent = block(i as u16, description, next[i], (until - next[i]) as usize);
                assert_eq!(recorder.append(&sent).unwrap(), Appended::Taken);
                next[i] = until;
            }
        }
        recorder.tick(now).unwrap();
    }
    let summary = recorder.finish(HostNanos(8000 * MS)).unwrap();
    assert_eq!(summary.samples, next);
    let recording = open(folder, disk.clone()).unwrap();
    assert_eq!(recording.header(), &header);
    assert_eq!(recording.finished(), Some(UtcNanos(UTC0 + 8000 * MS)));
    for (i, description) in streams.iter().enumerate() {
        assert_eq!(prove(&recording, i as u16), next[i]);
        let index = StreamIndex(i as u16);
        let at = next[i] / 2;
        let time = recording.time_of(index, at).unwrap().unwrap();
        assert!(
            time.nanos_since(UtcNanos(UTC0 + description.rate.nanos_of(at)))
                .abs()
                <= 1
        );
        assert_eq!(
            recording.index_at(index, time.plus_nanos(1)).unwrap(),
            Some(at)
        );
        let parts = recording.parts(index, 0..next[i]).unwrap();
        assert_eq!(parts.iter().map(|p| u64::from(p.len)).sum::<u64>(), next[i]);
        assert!(parts.iter().all(|p| p.counter == Some(p.first_index)));
    }
    assert!(recording.gaps().is_empty());
    assert!(
        verify(folder, &unlock(), disk, &mut |_, _| {})
            .unwrap()
            .is_clean()
    );
}

#[test]
fn one_channel_and_part_of_a_range() {
    let disk = Arc::new(FaultyStorage::new(1, FaultPlan::default()));
    let description = stream("eeg", SampleType::I24, 3, SamplingRate::hz(1000));
    let mut recorder = create(
        Path::new("/r"),
        header(vec![description.clone()]),
        disk.clone(),
    )
    .unwrap();
    for n in 0..50 {
        recorder
            .append(&block(0, &description, n * 37, 37))
            .unwrap();
    }
    recorder.finish(HostNanos(1850 * MS)).unwrap();
    let recording = open(Path::new("/r"), disk).unwrap();
    let pieces = recording
        .read_channel(StreamIndex(0), 1, 100..1111)
        .unwrap();
    assert_eq!(pieces.len(), 1);
    let expected: Vec<i32> = (100..1111).map(|i| value(1, i)).collect();
    assert_eq!(pieces[0].samples, Samples::I24(expected));
    assert_eq!(pieces[0].start, UtcNanos(UTC0 + 100 * MS));
    assert!(matches!(
        recording.read_channel(StreamIndex(0), 3, 0..5),
        Err(RecordingError::UnknownChannel { channel: 3, .. })
    ));
}

#[test]
fn irregular_stamps_and_device_time() {
    let disk = Arc::new(FaultyStorage::new(1, FaultPlan::default()));
    let mut markers = stream("markers", SampleType::Text, 1, SamplingRate::Irregular);
    markers.clock = ClockSource::Device {
        epoch: UtcNanos(UTC0 - 1000),
    };
    let mut file = stream("file", SampleType::I16, 2, SamplingRate::hz(100));
    file.clock = ClockSource::Device {
        epoch: UtcNanos(UTC0 + 77),
    };
    let mut recorder = create(
        Path::new("/r"),
        header(vec![markers.clone(), file.clone()]),
        disk.clone(),
    )
    .unwrap();
    let mut sent = block(0, &markers, 0, 3);
    sent.stamps = vec![5, 1_000_000_005, 1_000_000_006];
    recorder.append(&sent).unwrap();
    let mut played = block(1, &file, 0, 10);
    played.device_time = Some(DeviceNanos(0));
    recorder.append(&played).unwrap();
    recorder.finish(HostNanos(MS)).unwrap();
    let recording = open(Path::new("/r"), disk).unwrap();
    let piece = &recording.read(StreamIndex(0), 0..3).unwrap()[0];
    assert_eq!(piece.stamps, sent.stamps);
    assert_eq!(piece.samples, sent.samples);
    let at = |i| recording.time_of(StreamIndex(0), i).unwrap().unwrap();
    assert_eq!(at(2), UtcNanos(UTC0 - 1000 + 1_000_000_006));
    assert_eq!(recording.index_at(StreamIndex(0), at(1)).unwrap(), Some(1));
    assert_eq!(
        recording.time_of(StreamIndex(1), 9).unwrap(),
        Some(UtcNanos(UTC0 + 77 + 90 * MS))
    );
    assert_eq!(recording.time_of(StreamIndex(1), 10).unwrap(), None);
}

#[test]
fn gaps_events_and_a_stepped_wall_clock() {
    let disk = Arc::new(FaultyStorage::new(1, FaultPlan::default()));
    let description = stream("eeg", SampleType::I16, 2, SamplingRate::hz(500));
    let mut recorder = create(
        Path::new("/r"),
        header(vec![description.clone()]),
        disk.clone(),
    )
    .unwrap();
    recorder.append(&block(0, &description, 0, 100)).unwrap();
    let gap = Gap {
        stream: StreamIndex(0),
        first_missing: 100,
        resumes_at: 150,
        missing: Missing::Ambiguous {
            least: 50,
            modulus: 256,
        },
        from: UtcNanos(UTC0 + 200 * MS),
        until: UtcNanos(UTC0 + 300 * MS),
        cause: GapCause::Transport,
    };
    recorder.gap(&gap).unwrap();
    recorder.append(&block(0, &description, 150, 50)).unwrap();
    // Not declared by anyone: still visible.
    recorder.append(&block(0, &description, 400, 50)).unwrap();
    // The wall clock is set back an hour: the record's own time goes on smoothly.
    let step = ClockAnchor {
        host: HostNanos(900 * MS),
        utc: UtcNanos(UTC0 - 3_600_000 * MS),
    };
    recorder.anchor(step).unwrap();
    recorder.append(&block(0, &description, 450, 50)).unwrap();
    recorder.annotate(&annotation(1, None)).unwrap();
    recorder.annotate(&annotation(2, Some(1))).unwrap();
    let impedance = Impedance {
        electrode: "Fp1".to_owned(),
        impedance_kohm: Some(4.7),
        at: UtcNanos(UTC0),
    };
    recorder
        .impedances(std::slice::from_ref(&impedance))
        .unwrap();
    let mark = Mark {
        at: UtcNanos(UTC0),
        kind: "emergency_stop".to_owned(),
        text: String::new(),
    };
    recorder.mark(&mark).unwrap();
    assert!(matches!(
        recorder.append(&block(0, &description, 499, 1)),
        Err(RecordingError::OutOfOrder { expected: 500, .. })
    ));
    recorder.finish(HostNanos(1000 * MS)).unwrap();
    let recording = open(Path::new("/r"), disk).unwrap();
    assert_eq!(prove(&recording, 0), 250);
    let runs: Vec<_> = recording
        .runs(StreamIndex(0))
        .unwrap()
        .iter()
        .map(|r| (r.first_index, r.end_index))
        .collect();
    assert_eq!(runs, [(0, 100), (150, 200), (400, 500)]);
    let gaps = recording.gaps();
    assert_eq!((gaps[0].gap, gaps[0].recorded), (gap, true));
    assert_eq!(
        (
            gaps[1].gap.first_missing,
            gaps[1].gap.resumes_at,
            gaps[1].recorded
        ),
        (200, 400, false)
    );
    assert_eq!(gaps[1].gap.from, UtcNanos(UTC0 + 400 * MS));
    assert_eq!(
        recording.time_of(StreamIndex(0), 499).unwrap(),
        Some(UtcNanos(UTC0 + 998 * MS))
    );
    assert_eq!(recording.anchors(), [ANCHOR, step]);
    let annotations = recording.annotations();
    assert_eq!(annotations[0].annotation, annotation(1, None));
    assert_eq!(annotations[0].superseded_by, Some(AnnotationId(2)));
    assert_eq!(annotations[1].superseded_by, None);
    assert_eq!(recording.impedances(), [impedance]);
    assert_eq!(recording.marks(), [mark]);
}

#[test]
fn segments_close_at_a_minute_and_hash_as_on_disk() {
    let disk = Arc::new(FaultyStorage::new(1, FaultPlan::default()));
    let description = stream("eeg", SampleType::I16, 2, SamplingRate::hz(100));
    let mut recorder = create(
        Path::new("/r"),
        header(vec![description.clone()]),
        disk.clone(),
    )
    .unwrap();
    let mut closed = Vec::new();
    for n in 0..1500_u64 {
        recorder
            .append(&block(0, &description, n * 10, 10))
            .unwrap();
        recorder.tick(HostNanos((n as i64 + 1) * 100 * MS)).unwrap();
        closed.append(&mut recorder.drain_closed());
    }
    // Another reader sees what is written so far, also before anything is finished.
    let mut live = open(Path::new("/r"), disk.clone()).unwrap();
    let seen = prove(&live, 0);
    assert!(seen >= 14_950, "{seen}");
    assert!(
        live.segments()
            .iter()
            .any(|s| s.state == SegmentState::Open)
    );
    closed.extend(recorder.finish(HostNanos(150_000 * MS)).unwrap().closed);
    live.refresh().unwrap();
    assert_eq!(prove(&live, 0), 15_000);
    let of_stream: Vec<_> = closed.iter().filter(|c| c.stream.is_some()).collect();
    assert!(of_stream.len() >= 3);
    assert!(
        of_stream
            .windows(2)
            .all(|w| w[0].end_index == w[1].first_index)
    );
    assert!(
        of_stream
            .iter()
            .all(|c| c.end_index - c.first_index <= 6000)
    );
    let recording = open(Path::new("/r"), disk).unwrap();
    let infos = recording.segments();
    assert_eq!(infos.len(), closed.len());
    for segment in &closed {
        let info = infos.iter().find(|i| i.file == segment.file).unwrap();
        assert_eq!(
            (info.sha256, info.bytes),
            (Some(segment.sha256), segment.bytes)
        );
        assert_eq!(recording.hash_segment(info).unwrap(), segment.sha256);
    }
}

#[test]
fn keys_open_and_are_replaced() {
    let disk = Arc::new(FaultyStorage::new(1, FaultPlan::default()));
    let folder = Path::new("/r");
    let description = stream("eeg", SampleType::I16, 1, SamplingRate::hz(100));
    let mut recorder = create(folder, header(vec![description.clone()]), disk.clone()).unwrap();
    recorder.append(&block(0, &description, 0, 100)).unwrap();
    recorder.finish(HostNanos(1000 * MS)).unwrap();
    assert!(matches!(
        create(folder, header(vec![description]), disk.clone()),
        Err(RecordingError::Exists)
    ));
    let plain = KeysFile::read(folder, &*disk).unwrap();
    assert_eq!(plain.copies.len(), 2);
    let wrong = Unlock::Station(StationKey::from_bytes([8; 32]));
    assert!(matches!(
        recording::Recording::open(folder, &wrong, disk.clone()),
        Err(RecordingError::WrongKey)
    ));
    let private = Unlock::Private(recovery());
    assert_eq!(
        prove(
            &recording::Recording::open(folder, &private, disk.clone()).unwrap(),
            0
        ),
        100
    );
    // The station is replaced with the help of the recovery key; segments stay as they are.
    let new = StationKey::from_bytes([8; 32]);
    let ring = KeyRing {
        station: new,
        recovery: None,
        site: Some(recovery().public().unwrap()),
    };
    rewrap(folder, &private, &ring, &*disk, &mut Seeded(5)).unwrap();
    assert_eq!(
        prove(
            &recording::Recording::open(folder, &wrong, disk.clone()).unwrap(),
            0
        ),
        100
    );
    assert!(matches!(
        open(folder, disk.clone()),
        Err(RecordingError::WrongKey)
    ));
    assert!(matches!(
        open(Path::new("/other"), disk),
        Err(RecordingError::NotARecording)
    ));
}

#[test]
fn a_header_that_json_cannot_hold_is_refused() {
    let disk = Arc::new(FaultyStorage::new(1, FaultPlan::default()));
    let mut description = stream("eeg", SampleType::I16, 1, SamplingRate::hz(100));
    description.channels[0].scale.gain = f64::NAN;
    let refused = create(Path::new("/r"), header(vec![description]), disk);
    assert!(matches!(
        refused,
        Err(RecordingError::Document {
            document: "header",
            ..
        })
    ));
}

#[test]
fn nothing_secret_is_printed() {
    let text = format!("{:?} {:?} {:?}", ring(), unlock(), recovery());
    assert!(
        text.contains("redacted") && !text.contains("7, 7"),
        "{text}"
    );
}
