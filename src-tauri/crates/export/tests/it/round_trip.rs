//! What was recorded is what is read.

use crate::memory::{Memory, Rows, START};
use crate::reader::{self, File};
use export::{Continuity, Export, ExportOptions, Format, Identity, Privacy, export_edf};
use proptest::prelude::*;
use signal::{NANOS_PER_S, SamplingRate, StreamIndex};
use std::ops::ControlFlow;

const S: i64 = NANOS_PER_S;

pub(crate) fn options() -> ExportOptions {
    ExportOptions::identified("rec", Identity::default())
}

pub(crate) fn write(memory: &Memory, options: &ExportOptions) -> (tempfile::TempDir, Export) {
    let folder = tempfile::tempdir().unwrap();
    let export = export_edf(memory, folder.path(), options, &mut |_| {
        ControlFlow::Continue(())
    })
    .unwrap();
    (folder, export)
}

pub(crate) fn files(export: &Export) -> Vec<File> {
    export
        .signal_files()
        .map(|file| reader::read(&file.path))
        .collect()
}

fn ramp(channels: usize, len: usize) -> Vec<Vec<i16>> {
    (0..channels)
        .map(|c| {
            (0..len)
                .map(|i| (i as i16).wrapping_mul(31).wrapping_add(c as i16 * 7))
                .collect()
        })
        .collect()
}

/// Every sample of every exported stream, once and in its place.
fn check_samples(memory: &Memory, export: &Export) {
    let mut seen: Vec<u64> = vec![0; memory.rows.len()];
    for file in export.signal_files() {
        let held = file.signals.as_ref().unwrap();
        let read = reader::read(&file.path);
        let mut signal = read.signals.iter();
        for (stream, stretches) in held.streams.iter().zip(&held.ranges) {
            let position = usize::from(stream.0);
            seen[position] += stretches.iter().map(|(_, len)| len).sum::<u64>();
            for c in 0..memory.info.streams[position].channels.len() {
                let signal = signal.next().unwrap();
                let expected: Vec<i32> = stretches
                    .iter()
                    .flat_map(|(first, len)| memory.rows[position].integers(c, *first, *len))
                    .collect();
                assert!(
                    signal.samples == expected,
                    "{}: stream {position} channel {c}",
                    file.name
                );
            }
        }
        assert!(signal.next().is_none());
        for pair in read.onsets.windows(2) {
            let apart = pair[1] - pair[0] - read.record_s;
            if read.reserved.ends_with('C') {
                assert!(apart.abs() < 1e-6, "records are {apart} s apart");
            } else {
                assert!(apart > -1e-6);
            }
        }
    }
    for (position, seen) in seen.iter().enumerate() {
        if export
            .omitted
            .iter()
            .any(|o| o.stream == StreamIndex(position as u16))
        {
            continue;
        }
        let expected: u64 = memory.runs[position].iter().map(|run| run.len).sum();
        assert_eq!(*seen, expected, "samples of stream {position}");
    }
}

#[test]
fn one_run_is_one_file_with_its_annotations() {
    let memory = Memory::new()
        .stream(
            "eeg",
            SamplingRate::hz(250),
            Rows::I16(ramp(3, 5_000)),
            &[(S / 2, 5_000)],
        )
        .mark(S / 2, None, "Augen auf – 睁眼")
        .mark(3 * S, Some(2 * S + S / 4), "hyperventilation")
        .mark(20 * S, None, "end");
    let (_folder, export) = write(&memory, &options());
    check_samples(&memory, &export);
    let files = files(&export);
    assert_eq!(files.len(), 1);
    let file = &files[0];
    assert_eq!((file.reserved.as_str(), file.bdf), ("EDF+C", false));
    assert_eq!(
        (file.date.as_str(), file.time.as_str()),
        ("23.11.26", "13.00.00")
    );
    assert_eq!(file.onsets[0], 0.5);
    assert_eq!(file.signals[0].label, "EEG C1-Ref");
    assert_eq!(file.signals[0].unit, "uV");
    assert_eq!(
        file.annotations,
        [
            (0.5, None, "Augen auf – 睁眼".to_owned()),
            (3.0, Some(2.25), "hyperventilation".to_owned()),
            (20.0, None, "end".to_owned()),
        ]
    );
    let scale = &export
        .signal_files()
        .next()
        .unwrap()
        .signals
        .as_ref()
        .unwrap()
        .scales[0];
    for digital in [-32_768, -1, 0, 1, 32_767] {
        let exact = f64::from(digital) * scale.gain + scale.offset;
        let read = file.signals[0].physical_value(digital);
        assert!((read - exact).abs() <= scale.rounding_bound + 1e-9);
    }
}

#[test]
fn a_gap_starts_a_new_file_at_the_right_clock_time() {
    let runs = [(0, 2_560), (70 * S + S / 4, 1_280)];
    let memory = Memory::new()
        .stream(
            "eeg",
            SamplingRate::hz(256),
            Rows::I16(ramp(2, 3_840)),
            &runs,
        )
        .mark(71 * S, None, "after the gap")
        .mark(30 * S, None, "in the gap");
    let (folder, export) = write(&memory, &options());
    check_samples(&memory, &export);
    let files = files(&export);
    assert_eq!(files.len(), 2);
    assert_eq!(files[1].time, "13.01.10");
    assert_eq!(files[1].onsets[0], 0.25);
    assert_eq!(
        files[1].annotations,
        [(1.0, None, "after the gap".to_owned())]
    );
    assert_eq!(
        files[0].annotations,
        [(30.0, None, "in the gap".to_owned())]
    );
    let table = std::fs::read_to_string(folder.path().join("rec_gaps.tsv")).unwrap();
    let row: Vec<&str> = table.lines().nth(1).unwrap().split('\t').collect();
    assert_eq!(
        &row[..4],
        ["0", "10.000000000", "70.250000000", "60.250000000"]
    );
    assert_eq!(row[5], "2026-11-23T13:01:10.250000000");
}

#[test]
fn a_discontinuous_file_keeps_the_gap_in_its_onsets() {
    let runs = [(0, 2_560), (70 * S + S / 4, 1_280)];
    let memory = Memory::new()
        .stream(
            "eeg",
            SamplingRate::hz(256),
            Rows::I16(ramp(2, 3_840)),
            &runs,
        )
        .mark(71 * S, None, "after the gap");
    let options = ExportOptions {
        continuity: Continuity::Discontinuous,
        ..options()
    };
    let (_folder, export) = write(&memory, &options);
    check_samples(&memory, &export);
    let files = files(&export);
    assert_eq!(files.len(), 1);
    assert_eq!(files[0].reserved, "EDF+D");
    assert!(files[0].onsets.contains(&70.25));
    assert_eq!(
        files[0].annotations,
        [(71.0, None, "after the gap".to_owned())]
    );
    assert!(export.warnings.iter().any(|w| w.contains("discontinuous")));
}

#[test]
fn an_annotation_stays_on_its_sample_although_the_clock_drifts() {
    let mut memory = Memory::new()
        .stream(
            "eeg",
            SamplingRate::hz(100),
            Rows::I16(ramp(1, 10_000)),
            &[(0, 10_000)],
        )
        .mark(50 * S + S / 100, None, "half way");
    // The device is 200 ppm slow: 100 s of samples took 100.02 s.
    memory.runs[0][0].end = Some(signal::UtcNanos(START + 100 * S + S / 50));
    let (_folder, export) = write(&memory, &options());
    assert_eq!(files(&export)[0].annotations[0].0, 50.0);
}

#[test]
fn several_rates_share_a_file() {
    let memory = Memory::new()
        .stream(
            "slow",
            SamplingRate::new(64, 5).unwrap(),
            Rows::I16(ramp(1, 1_408)),
            &[(0, 1_408)],
        )
        .stream(
            "fast",
            SamplingRate::hz(100),
            Rows::I16(ramp(1, 11_000)),
            &[(0, 11_000)],
        );
    let (_folder, export) = write(&memory, &options());
    check_samples(&memory, &export);
    let files = files(&export);
    assert_eq!(files.len(), 1);
    assert_eq!(
        files[0].signals[0].per_record as f64 / files[0].record_s,
        12.8
    );
    assert_eq!(
        files[0].signals[1].per_record as f64 / files[0].record_s,
        100.0
    );
}

#[test]
fn wide_integers_become_bdf_and_wider_ones_are_refused() {
    let wide = vec![vec![-0x80_0000, 0x7F_FFFF, 0, -1, 65_536]; 2];
    let memory = Memory::new()
        .stream("eeg", SamplingRate::hz(5), Rows::I24(wide), &[(0, 5)])
        .stream(
            "aux",
            SamplingRate::hz(5),
            Rows::I32(vec![vec![i32::MAX; 5]]),
            &[(0, 5)],
        )
        .stream(
            "acc",
            SamplingRate::hz(5),
            Rows::I32(vec![vec![-5; 5]]),
            &[(0, 5)],
        );
    let (_folder, export) = write(&memory, &options());
    check_samples(&memory, &export);
    let file = &files(&export)[0];
    assert_eq!((file.reserved.as_str(), file.bdf), ("BDF+C", true));
    assert_eq!(file.signals.len(), 3);
    assert_eq!(export.omitted.len(), 1);
    assert_eq!(export.omitted[0].stream, StreamIndex(1));
    assert!(export.omitted[0].reason.contains("24 bits"));
}

#[test]
fn floats_stay_within_the_reported_bound() {
    let values: Vec<f64> = (0..1_000)
        .map(|i| (f64::from(i) * 0.37).sin() * 812.25 + 40.0)
        .collect();
    let memory = Memory::new().stream(
        "eeg",
        SamplingRate::hz(100),
        Rows::F64(vec![values.clone()]),
        &[(0, 1_000)],
    );
    let (_folder, export) = write(&memory, &options());
    let scale = &export
        .signal_files()
        .next()
        .unwrap()
        .signals
        .as_ref()
        .unwrap()
        .scales[0];
    assert!(scale.quantisation_bound > 0.0 && scale.quantisation_bound < 1e-4);
    let file = &files(&export)[0];
    for (value, digital) in values.iter().zip(&file.signals[0].samples) {
        let exact = value * 0.1;
        let error = (file.signals[0].physical_value(*digital) - exact).abs();
        assert!(
            error <= scale.quantisation_bound,
            "{error} > {}",
            scale.quantisation_bound
        );
    }
    assert!(export.warnings.iter().any(|w| w.contains("quantised")));
}

#[test]
fn a_float_that_is_no_number_is_refused() {
    let memory = Memory::new().stream(
        "eeg",
        SamplingRate::hz(2),
        Rows::F32(vec![vec![1.0, f32::NAN]]),
        &[(0, 2)],
    );
    let folder = tempfile::tempdir().unwrap();
    let error = export_edf(&memory, folder.path(), &options(), &mut |_| {
        ControlFlow::Continue(())
    })
    .unwrap_err();
    assert!(error.to_string().contains("not finite"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn an_inverted_gain_stays_inverted() {
    let mut memory = Memory::new().stream(
        "eeg",
        SamplingRate::hz(2),
        Rows::I16(vec![vec![100, -100]]),
        &[(0, 2)],
    );
    memory.info.streams[0].channels[0].scale.gain = -0.1;
    let (_folder, export) = write(&memory, &options());
    let file = &files(&export)[0];
    assert!(file.signals[0].physical[0] > file.signals[0].physical[1]);
    assert!((file.signals[0].physical_value(100) + 10.0).abs() < 1e-3);
}

#[test]
fn bdf_on_request_widens_unchanged() {
    let memory = Memory::new().stream(
        "eeg",
        SamplingRate::hz(100),
        Rows::I16(ramp(2, 1_000)),
        &[(0, 1_000)],
    );
    let (_folder, export) = write(
        &memory,
        &ExportOptions {
            format: Format::Bdf,
            ..options()
        },
    );
    check_samples(&memory, &export);
    assert!(files(&export)[0].bdf);
}

#[test]
fn many_annotations_and_long_ones_all_arrive() {
    let mut memory = Memory::new().stream(
        "eeg",
        SamplingRate::hz(100),
        Rows::I16(ramp(1, 300)),
        &[(0, 300)],
    );
    for i in 0..200 {
        memory = memory.mark(i * 1_000_000, Some(500), &format!("event {i}"));
    }
    memory = memory.mark(S, None, &"long ".repeat(200));
    let (folder, export) = write(&memory, &options());
    let file = &files(&export)[0];
    assert_eq!(file.annotations.len(), 201);
    assert!(export.warnings.iter().any(|w| w.contains("cut")));
    let table = std::fs::read_to_string(folder.path().join("rec_annotations.tsv")).unwrap();
    assert!(table.contains(&"long ".repeat(200)));
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let memory = Memory::new().stream(
        "eeg",
        SamplingRate::hz(100),
        Rows::I16(ramp(2, 1_003)),
        &[(0, 1_003)],
    );
    let hashes = || -> Vec<String> {
        write(&memory, &options())
            .1
            .files
            .iter()
            .map(|f| f.sha256.clone())
            .collect()
    };
    assert_eq!(hashes(), hashes());
}

fn rates() -> impl Strategy<Value = SamplingRate> {
    prop_oneof![
        Just(SamplingRate::hz(250)),
        Just(SamplingRate::hz(256)),
        Just(SamplingRate::hz(1_000)),
        Just(SamplingRate::new(64, 5).unwrap()),
        Just(SamplingRate::new(1, 4).unwrap()),
        Just(SamplingRate::new(1_000, 3).unwrap()),
        (1_u64..2_100, 1_u64..8).prop_map(|(a, b)| SamplingRate::new(a, b).unwrap()),
    ]
}

#[derive(Debug, Clone)]
struct Plan {
    streams: Vec<(SamplingRate, usize, bool)>,
    /// Length and the gap after it, ms.
    runs: Vec<(u64, u64)>,
    jitter: Vec<u64>,
    marks: Vec<(i64, String)>,
    discontinuous: bool,
    seed: u64,
}

fn plans() -> impl Strategy<Value = Plan> {
    (
        proptest::collection::vec((rates(), 1_usize..4, any::<bool>()), 1..4),
        proptest::collection::vec((4_000_u64..30_000, 1_u64..90_000), 1..4),
        proptest::collection::vec(0_u64..5, 12),
        proptest::collection::vec((0_i64..120_000, ".{1,40}"), 0..20),
        any::<bool>(),
        any::<u64>(),
    )
        .prop_map(|(streams, runs, jitter, marks, discontinuous, seed)| Plan {
            streams,
            runs,
            jitter,
            marks,
            discontinuous,
            seed,
        })
}

fn build(plan: &Plan) -> Memory {
    let mut memory = Memory::new();
    let mut state = plan.seed | 1;
    // Runs last up to four samples longer than planned, and one more is due after the last: no run
    // may begin before that, whatever the rate.
    let slowest = plan.streams.iter().map(|(rate, ..)| rate.nanos_of(5));
    let slack = slowest.max().unwrap_or(0);
    for (n, (rate, channels, wide)) in plan.streams.iter().enumerate() {
        let mut start = 0;
        let mut runs = Vec::new();
        for (r, (len_ms, gap_ms)) in plan.runs.iter().enumerate() {
            let whole = rate.index_at((*len_ms as i64) * 1_000_000);
            let len = (whole + plan.jitter[(n * 3 + r) % plan.jitter.len()]).max(1);
            runs.push((start, len));
            start += ((len_ms + gap_ms) as i64) * 1_000_000 + slack;
        }
        let total: u64 = runs.iter().map(|(_, len)| len).sum();
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        };
        let rows = if *wide {
            Rows::I24(
                (0..*channels)
                    .map(|_| (0..total).map(|_| (next() as i32) % (1 << 23)).collect())
                    .collect(),
            )
        } else {
            Rows::I16(
                (0..*channels)
                    .map(|_| (0..total).map(|_| next() as i16).collect())
                    .collect(),
            )
        };
        memory = memory.stream(&format!("s{n}"), *rate, rows, &runs);
    }
    for (ms, text) in &plan.marks {
        memory = memory.mark(ms * 1_000_000, None, text);
    }
    memory
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn no_sample_and_no_annotation_is_lost(plan in plans()) {
        let memory = build(&plan);
        let mut options = options();
        if plan.discontinuous {
            options.continuity = Continuity::Discontinuous;
        }
        let (_folder, export) = write(&memory, &options);
        prop_assert!(export.omitted.is_empty(), "{:?}", export.omitted);
        check_samples(&memory, &export);
        let read = files(&export);
        for file in export.signal_files() {
            // A tail's duration is rounded by no more than a microsecond, or a millionth.
            let held = file.signals.as_ref().unwrap();
            let seconds: f64 = held.record_duration.parse().unwrap();
            prop_assert!(held.rate_error * seconds.min(1.0) <= 1e-6);
        }
        // Each group carries every annotation with a text once.
        let visible = plan.marks.iter().filter(|(_, text)| !text.trim().is_empty()).count();
        let found: usize = read.iter().map(|file| file.annotations.len()).sum();
        prop_assert_eq!(found % visible.max(1), 0);
        prop_assert!(found >= visible);
    }
}

#[test]
fn deidentified_is_the_default_elsewhere() {
    let options = ExportOptions::deidentified("rec", "sub-01", 100);
    assert!(matches!(options.privacy, Privacy::Deidentified(_)));
    assert_eq!(options.continuity, Continuity::FilePerRun);
    assert!(!options.overwrite);
}
