//! Random files: valid ones come out as they went in, damaged ones are refused and never panic.

use crate::support::{channel, play};
use crate::writer::{Signal, Spec};
use proptest::prelude::*;
use simulated::edf::{parse_annotations, parse_header, parse_label, parse_prefilter, parse_unit};

/// Files of up to 4 signals in up to 3 rates and up to 5 records, 16 or 24 bits.
fn specs() -> impl Strategy<Value = Spec> {
    let signals = prop::collection::vec(prop::sample::select(vec![1_usize, 7, 32]), 1..5);
    let durations = prop::sample::select(vec!["1", "0.5", "10", "9.59375", "0.001"]);
    (signals, 1_usize..6, any::<bool>(), durations, any::<u64>()).prop_map(
        |(samples, records, bdf, duration, seed)| {
            let signals = samples
                .iter()
                .map(|n| Signal::new("EEG Fp1-Ref", *n))
                .collect();
            let mut spec = Spec::counting(signals, records);
            spec.bdf = bdf;
            spec.duration = duration.into();
            let mut state = seed;
            let bits = if bdf { 24 } else { 16 };
            for value in spec.records.iter_mut().flatten().flatten() {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                *value = (state as i64 >> (64 - bits)) as i32;
            }
            spec
        },
    )
}

proptest! {
    #[test]
    fn valid_files_come_out_as_they_went_in(spec in specs()) {
        let (streams, sink) = play(&spec.bytes()).unwrap();
        let mut rates: Vec<usize> = Vec::new();
        let mut rows = vec![0; streams.len()];
        for (index, signal) in spec.signals.iter().enumerate() {
            let stream = rates.iter().position(|n| *n == signal.samples).unwrap_or_else(|| {
                rates.push(signal.samples);
                rates.len() - 1
            });
            let expected: Vec<i32> =
                spec.records.iter().flat_map(|record| record[index].clone()).collect();
            prop_assert_eq!(channel(&sink, stream as u16, rows[stream]), expected);
            rows[stream] += 1;
        }
    }

    #[test]
    fn damaged_files_never_panic(
        spec in specs(),
        discontinuous in any::<bool>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        header_only in any::<bool>(),
    ) {
        let lists: Vec<String> = (0..spec.records.len()).map(|i| format!("+{i}\x14\x14\0")).collect();
        let lists: Vec<&str> = lists.iter().map(String::as_str).collect();
        let reserved = if discontinuous { "EDF+D" } else { "EDF+C" };
        let mut bytes = spec.with_annotations(reserved, &lists).bytes();
        for (at, value) in damage {
            let end = if header_only { 1_024.min(bytes.len()) } else { bytes.len() };
            bytes[at.index(end)] = value;
        }
        bytes.truncate(cut.index(bytes.len() + 1).max(bytes.len() / 2));
        if let Err(error) = play(&bytes) {
            prop_assert!(!error.message.is_empty());
        }
    }

    #[test]
    fn parsers_take_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let _ = parse_header(&bytes);
        let _ = parse_annotations(&bytes);
        let text = String::from_utf8_lossy(&bytes);
        let _ = (parse_label(&text), parse_prefilter(&text), parse_unit(&text));
    }

    #[test]
    fn parsers_take_nearly_valid_annotations(bytes in "[+\\-0-9.\\x00\\x14\\x15a-zé]{0,60}") {
        if let Ok(lists) = parse_annotations(bytes.as_bytes()) {
            prop_assert!(lists.len() <= bytes.len());
        }
    }
}
