//! What a Muse S Athena really sent (recordings of the OpenMuse project): nothing is lost in decoding.

use bluetooth::decoder::athena::{Kind, parts};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The folder of shared recordings; `None` where it is not at hand.
fn recording(name: &str) -> Option<String> {
    let folder = std::env::var_os("NEURASCALE_RECORDINGS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/recordings"),
        PathBuf::from,
    );
    std::fs::read_to_string(folder.join("muse").join(name)).ok()
}

/// Samples of each kind, their mean and how often a counter did not follow the one before; seconds of device time;
/// bytes that made no part.
#[derive(Debug, Default)]
struct Found {
    samples: BTreeMap<String, usize>,
    jumps: usize,
    skipped: usize,
    seconds: f64,
    /// Sum and number of the potentials' counts.
    eeg: (f64, f64),
    /// Length of the acceleration, g.
    gravity: Vec<f64>,
}

fn decode(text: &str) -> Found {
    let mut found = Found::default();
    let (mut counters, mut first) = (BTreeMap::new(), None);
    for line in text.lines() {
        let hex = line.rsplit('\t').next().expect("a payload").trim();
        let bytes: Vec<u8> = (0..hex.len() / 2)
            .map(|n| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).expect("hex"))
            .collect();
        found.skipped += parts(&bytes, |part| {
            let first = *first.get_or_insert(part.ticks);
            found.seconds = f64::from(part.ticks.wrapping_sub(first)) / 256_000.0;
            let name = format!("{:?}", part.kind);
            let (channels, samples) = part.kind.shape();
            *found.samples.entry(name.clone()).or_default() += samples;
            let before = counters.insert(name, part.counter);
            found.jumps +=
                usize::from(before.is_some_and(|n: u8| n.wrapping_add(1) != part.counter));
            let values = part.values();
            match part.kind {
                Kind::Eeg { .. } => {
                    for value in &values[..4] {
                        found.eeg.0 += f64::from(*value);
                        found.eeg.1 += 1.0;
                    }
                    assert!(
                        values[..channels * samples]
                            .iter()
                            .all(|v| (0..1 << 14).contains(v))
                    );
                }
                Kind::Motion => {
                    let g = values[..3]
                        .iter()
                        .map(|v| (f64::from(*v) * 0.000_061_035_2).powi(2));
                    let g = g.sum::<f64>().sqrt();
                    found.gravity.push(g);
                }
                _ => {}
            }
        });
    }
    found
}

fn check(name: &str, expected: &[(&str, usize)]) {
    let Some(text) = recording(name) else {
        eprintln!(
            "SKIPPED: no recording {name}; set NEURASCALE_RECORDINGS to the folder of real recordings"
        );
        return;
    };
    let found = decode(&text);
    assert_eq!((found.jumps, found.skipped), (0, 0), "{found:?}");
    for (kind, samples) in expected {
        assert_eq!(found.samples.get(*kind), Some(samples), "{found:?}");
        let rate = match &kind[..3] {
            "Eeg" => 256.0,
            "Opt" => 64.0,
            _ => 52.0,
        };
        let measured = f64::from(u32::try_from(*samples).expect("few")) / found.seconds;
        assert!(
            (measured / rate - 1.0).abs() < 0.01,
            "{kind}: {measured} Hz"
        );
    }
    // Potentials lie about the middle of 14 bits, and a head at rest feels 1 g.
    let mean = found.eeg.0 / found.eeg.1;
    assert!((6_000.0..10_500.0).contains(&mean), "{mean}");
    let mut gravity = found.gravity;
    gravity.sort_by(f64::total_cmp);
    let median = gravity[gravity.len() / 2];
    assert!((median - 1.0).abs() < 0.05, "{median} g");
}

#[test]
fn an_athena_with_every_sensor() {
    check(
        "athena_raw_p1041.txt",
        &[
            ("Eeg { channels: 8 }", 15_568),
            ("Optics { channels: 16 }", 3_881),
            ("Motion", 3_153),
        ],
    );
}

#[test]
fn an_athena_with_potentials_alone() {
    check(
        "athena_raw_p21.txt",
        &[("Eeg { channels: 4 }", 15_532), ("Motion", 3_153)],
    );
}
