//! Analysis of a real recording, written and read through the journal.

use recording::{
    ClockAnchor, KeyRing, Mark, OsEntropy, OsStorage, Provenance, Recorder, Recording,
    RecordingHeader, RecordingId, StationKey, Unlock,
};
use report::{AnalysisOptions, analyse};
use signal::{
    Annotation, AnnotationId, AnnotationOrigin, Channel, ClockSource, Gap, GapCause, HostNanos,
    Missing, NANOS_PER_S, Reference, SampleBlock, SampleType, Samples, SamplingRate,
    StreamDescription, StreamIndex, StreamRole, UtcNanos, ZoneOffset,
};
use std::collections::BTreeMap;
use std::sync::Arc;

const S: i64 = NANOS_PER_S;
const START: i64 = 1_795_435_200 * S;
const RATE: usize = 250;
const CHANNELS: [&str; 8] = ["Fp1", "Fp2", "C3", "C4", "P3", "P4", "O1", "O2"];

fn header() -> RecordingHeader {
    RecordingHeader {
        id: RecordingId(uuid::Uuid::from_u128(
            0x019a_a000_0000_7000_8000_0000_0000_0001,
        )),
        created: UtcNanos(START),
        zone: ZoneOffset(3_600),
        streams: vec![StreamDescription {
            name: "eeg".to_owned(),
            role: StreamRole::Signal,
            sample_type: SampleType::I24,
            rate: SamplingRate::hz(RATE as u32),
            counter: None,
            clock: ClockSource::HostArrival,
            channels: CHANNELS
                .iter()
                .map(|name| Channel::eeg(name, 0.1, Reference::Named("A1".to_owned())))
                .collect(),
        }],
        provenance: Provenance::Simulated,
        device: recording::DeviceNote::default(),
        notes: BTreeMap::new(),
    }
}

/// 10.5 Hz of 40 µV at the back while the eyes are closed, 3 µV of it otherwise; C4 is not connected.
fn count(channel: usize, index: usize) -> i32 {
    let t = index as f64 / RATE as f64;
    let closed = (20.0..50.0).contains(&t);
    let amplitude = match channel {
        3 => return 0,
        4.. if closed => 400.0,
        _ => 30.0,
    };
    let other = 80.0 * (t * 13.0 + channel as f64).sin();
    (amplitude * (t * 10.5 * std::f64::consts::TAU).sin() + other) as i32
}

fn annotation(id: u64, at_s: i64, code: &str) -> Annotation {
    Annotation {
        id: AnnotationId(id),
        onset: UtcNanos(START + at_s * S),
        duration_ns: None,
        text: code.replace('_', " "),
        code: Some(code.to_owned()),
        origin: AnnotationOrigin::Protocol,
        channels: Vec::new(),
        supersedes: None,
    }
}

/// 60 s with two seconds lost at 40 s.
fn record(folder: &std::path::Path) -> Recording {
    let mut entropy = OsEntropy;
    let station = StationKey::generate(&mut entropy).unwrap();
    let ring = KeyRing {
        station: station.clone(),
        recovery: None,
        site: None,
    };
    let anchor = ClockAnchor {
        host: HostNanos(0),
        utc: UtcNanos(START),
    };
    let mut recorder = Recorder::create(
        folder,
        header(),
        &ring,
        Arc::new(OsStorage),
        Box::new(OsEntropy),
        anchor,
    )
    .unwrap();
    for second in (0..60_usize).filter(|second| !(40..42).contains(second)) {
        let first = second * RATE;
        let at = HostNanos(second as i64 * S);
        if second == 42 {
            recorder
                .gap(&Gap {
                    stream: StreamIndex(0),
                    first_missing: (40 * RATE) as u64,
                    resumes_at: first as u64,
                    missing: Missing::Exact(2 * RATE as u64),
                    from: UtcNanos(START + 40 * S),
                    until: UtcNanos(START + 42 * S),
                    cause: GapCause::Transport,
                })
                .unwrap();
        }
        let mut values = Vec::new();
        for channel in 0..CHANNELS.len() {
            values.extend((first..first + RATE).map(|index| count(channel, index)));
        }
        let block = SampleBlock {
            stream: StreamIndex(0),
            channels: CHANNELS.len(),
            len: RATE,
            first_index: first as u64,
            counter: None,
            arrival: at.plus_nanos(S + (second as i64 % 3) * 1_000_000),
            device_time: None,
            fitted: Some(at),
            stamps: Vec::new(),
            samples: Samples::I24(values),
        };
        recorder.append(&block).unwrap();
        recorder.tick(at.plus_nanos(S)).unwrap();
    }
    recorder
        .annotate(&annotation(1, 20, "eyes_closed"))
        .unwrap();
    recorder.annotate(&annotation(2, 50, "eyes_open")).unwrap();
    let mark = Mark {
        at: UtcNanos(START + 45 * S),
        kind: "emergency_stop".to_owned(),
        text: String::new(),
    };
    recorder.mark(&mark).unwrap();
    recorder.finish(HostNanos(60 * S)).unwrap();
    Recording::open(folder, &Unlock::Station(station), Arc::new(OsStorage)).unwrap()
}

#[test]
fn it_finds_what_is_in_the_record() {
    let folder = tempfile::tempdir().unwrap();
    let recording = record(&folder.path().join("r"));
    let options = AnalysisOptions {
        excerpt_s: 10.0,
        ..AnalysisOptions::default()
    };
    let analysis = analyse(&recording, &options).unwrap();

    assert!(
        analysis.peak_alpha.starts_with("10.5 Hz at "),
        "{}",
        analysis.peak_alpha
    );
    assert_eq!(analysis.quality.len(), 8);
    let unconnected = &analysis.quality[3];
    assert_eq!(unconnected.findings[0].0, "flat");
    assert!(unconnected.good < 0.01);
    assert!(analysis.quality[6].good > 0.9, "{:?}", analysis.quality[6]);

    // 30 s of 40 µV amplitude are 800 µV² of mean square, over half of the record.
    let alpha = analysis
        .bands
        .iter()
        .position(|(name, ..)| name == "alpha")
        .unwrap();
    let o1 = analysis
        .band_powers
        .iter()
        .find(|row| row.label == "O1")
        .unwrap()
        .power[alpha];
    assert!((350.0..450.0).contains(&o1), "{o1}");

    assert_eq!(analysis.gaps.len(), 1);
    assert_eq!(
        (
            analysis.gaps[0].missing.as_str(),
            analysis.gaps[0].duration.as_str()
        ),
        ("500", "2.000 s")
    );
    let clock = &analysis.clocks[0];
    assert!(clock.drift_ppm.unwrap().abs() < 1.0, "{clock:?}");
    assert!((0.5..1.2).contains(&clock.jitter_ms.unwrap()), "{clock:?}");
    assert_eq!((clock.samples, clock.lost), (58 * 250, 500));

    // The stop comes first; its page begins 2 s before it and shows no gap.
    let page = &analysis.excerpts[0];
    assert_eq!(page.title, "Emergency stop");
    assert!(
        page.start.ends_with("13:00:43.000 +01:00"),
        "{}",
        page.start
    );
    assert!(page.gaps.is_empty());
    let with_gap = AnalysisOptions {
        excerpts: vec![report::ExcerptRequest {
            title: "gap".to_owned(),
            start: UtcNanos(START + 36 * S),
        }],
        ..options
    };
    let page = &analyse(&recording, &with_gap).unwrap().excerpts[0];
    assert_eq!(page.gaps, [(4.0, 6.0)]);
}

#[test]
fn an_excerpt_shows_input_1_minus_input_2() {
    let folder = tempfile::tempdir().unwrap();
    let recording = record(&folder.path().join("r"));
    let analysis = analyse(&recording, &AnalysisOptions::default()).unwrap();
    let content = report::ReportContent {
        analysis: analysis.clone(),
        ..crate::content::content()
    };
    crate::pdf::keep("analysed.pdf", &report::render_pdf(&content).unwrap());
    let page = &analysis.excerpts[0];
    let trace = page
        .traces
        .iter()
        .find(|trace| trace.label.starts_with("P3-O1") || trace.label.starts_with("O1"))
        .unwrap();
    assert!(trace.blank.is_none());
    assert_eq!(trace.values_uv.len(), 2_500);
    assert!(trace.values_uv.iter().all(|value| value.is_finite()));
}
