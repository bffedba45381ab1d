//! Held against SciPy: filters to 1e-9, spectra to 1e-6.

use crate::support::eeg;
use dsp::{Response, Scaling, Sos, SosFilter, Welch, butterworth, notch, zero_phase};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Command;

const FILTER_ERROR: f64 = 1e-9;
const SPECTRUM_ERROR: f64 = 1e-6;
const COUNT: usize = 600;

#[derive(Deserialize)]
struct Fixture {
    scipy: String,
    filters: Vec<FilterCase>,
    notches: Vec<NotchCase>,
    spectra: Vec<SpectrumCase>,
}

#[derive(Deserialize)]
struct FilterCase {
    kind: String,
    order: usize,
    corners: Vec<f64>,
    rate: f64,
    seed: u32,
    sos: Vec<[f64; 6]>,
    zi: Vec<[f64; 2]>,
    rest: Vec<f64>,
    settled: Vec<f64>,
    zero_phase: Vec<f64>,
}

#[derive(Deserialize)]
struct NotchCase {
    centre: f64,
    quality: f64,
    rate: f64,
    b: [f64; 3],
    a: [f64; 3],
    rest: Vec<f64>,
}

#[derive(Deserialize)]
struct SpectrumCase {
    segment: usize,
    overlap: usize,
    count: usize,
    rate: f64,
    scaling: String,
    seed: u32,
    resolution: f64,
    values: Vec<f64>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it")
}

/// The greatest difference from what is expected, relative to the greatest value expected.
#[track_caller]
fn near(what: &str, found: &[f64], expected: &[f64], error: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let size = expected.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    let worst = found
        .iter()
        .zip(expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f64::max);
    assert!(
        worst <= error * size,
        "{what}: off by {} of {size}",
        worst / size
    );
}

fn every_seventh(values: &[f64]) -> Vec<f64> {
    values.iter().step_by(7).copied().collect()
}

/// Filtered through blocks of odd sizes, so that the state is carried over.
fn causal(sos: &Sos, samples: &[f64], settled: bool) -> Vec<f64> {
    let mut filter = SosFilter::new(sos.clone(), 1);
    if settled {
        filter.settle(|_| samples[0]);
    }
    let mut out = samples.to_vec();
    let mut rest = out.as_mut_slice();
    for size in [1, 7, 40, 3, 64, 129].into_iter().cycle() {
        let (part, later) = rest.split_at_mut(size.min(rest.len()));
        let len = part.len();
        filter.process(part, len).unwrap();
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    out
}

impl FilterCase {
    fn check(&self) {
        let what = format!(
            "{} {} {:?} at {}",
            self.kind, self.order, self.corners, self.rate
        );
        let response = match (self.kind.as_str(), &self.corners[..]) {
            ("low", [corner]) => Response::LowPass(*corner),
            ("high", [corner]) => Response::HighPass(*corner),
            ("band", [low, high]) => Response::BandPass(*low, *high),
            ("stop", [low, high]) => Response::BandStop(*low, *high),
            _ => panic!("{what}"),
        };
        let sos = butterworth(self.order, response, self.rate).unwrap();
        assert_eq!(sos.sections.len(), self.sos.len(), "{what}");
        for (section, [b0, b1, b2, _, a1, a2]) in sos.sections.iter().zip(&self.sos) {
            // Section by section, so that the pairing is SciPy's own.
            near(&what, &section.b, &[*b0, *b1, *b2], FILTER_ERROR);
            near(&what, &section.a, &[*a1, *a2], FILTER_ERROR);
        }
        near(
            &what,
            sos.steady_state().as_flattened(),
            self.zi.as_flattened(),
            FILTER_ERROR,
        );
        let input = eeg(self.seed, COUNT, self.rate);
        let part = |values: &[f64]| every_seventh(values);
        near(
            &what,
            &part(&causal(&sos, &input, false)),
            &self.rest,
            FILTER_ERROR,
        );
        near(
            &what,
            &part(&causal(&sos, &input, true)),
            &self.settled,
            FILTER_ERROR,
        );
        near(
            &what,
            &part(&zero_phase(&sos, &input).unwrap()),
            &self.zero_phase,
            FILTER_ERROR,
        );
    }
}

impl NotchCase {
    fn check(&self) {
        let sos = notch(self.centre, self.quality, self.rate).unwrap();
        near("notch", &sos.sections[0].b, &self.b, FILTER_ERROR);
        near("notch", &sos.sections[0].a, &self.a[1..], FILTER_ERROR);
        let found = causal(&sos, &eeg(99, COUNT, self.rate), false);
        near("notch", &every_seventh(&found), &self.rest, FILTER_ERROR);
    }
}

impl SpectrumCase {
    fn check(&self) {
        let scaling = if self.scaling == "density" {
            Scaling::Density
        } else {
            Scaling::Spectrum
        };
        let plan = Welch::new(self.rate, self.segment, self.overlap, scaling).unwrap();
        let spectrum = plan
            .channel(&eeg(self.seed, self.count, self.rate))
            .unwrap();
        assert!((spectrum.resolution_hz - self.resolution).abs() < 1e-12);
        let found: Vec<f64> = spectrum.values.iter().step_by(3).copied().collect();
        assert_eq!(found.len(), self.values.len());
        for (found, expected) in found.iter().zip(&self.values) {
            // Each value by itself, but for those that are zero but for rounding.
            let least = 1e-20;
            assert!(
                (found - expected).abs() <= SPECTRUM_ERROR * expected.abs() + least,
                "{found} {expected}"
            );
        }
    }
}

fn check_all(text: &str) {
    let fixture: Fixture = serde_json::from_str(text).unwrap();
    assert!(!fixture.scipy.is_empty());
    assert!(fixture.filters.len() > 10 && fixture.notches.len() > 2 && fixture.spectra.len() > 3);
    fixture.filters.iter().for_each(FilterCase::check);
    fixture.notches.iter().for_each(NotchCase::check);
    fixture.spectra.iter().for_each(SpectrumCase::check);
}

#[test]
fn numbers_kept_from_scipy() {
    check_all(&std::fs::read_to_string(folder().join("scipy_reference.json")).unwrap());
}

#[test]
fn numbers_of_the_scipy_at_hand() {
    let Ok(environment) = std::env::var("NEURASCALE_PYENV") else {
        eprintln!("SKIPPED: NEURASCALE_PYENV names no Python environment with SciPy");
        return;
    };
    let python = Path::new(&environment).join("bin/python");
    let output = Command::new(python)
        .arg(folder().join("scipy_reference.py"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    check_all(&String::from_utf8(output.stdout).unwrap());
}
