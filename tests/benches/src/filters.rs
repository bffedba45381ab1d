//! The causal band-pass beside SciPy's and BrainFlow's.

use crate::figure::{Figure, Row};
use crate::limits::{FILTER_RATE_HZ, FILTER_S, PASSES};
use crate::measure::{best, digits, time};
use crate::{folders, synthetic};
use anyhow::{Context as _, Result, ensure};
use dsp::{Response, SosFilter, butterworth};
use serde_json::Value;
use std::path::Path;

pub(crate) const ROWS: [Row; 1] = [Row {
    what: "causal 4th-order band-pass, 32 channels, f64, one thread, 40 ms blocks, against SciPy \
           sosfilt and BrainFlow",
    bound: "faster than both",
    aim: "5 × the faster",
}];

const CHANNELS: usize = 32;
const ORDER: usize = 4;
/// Pass band, Hz.
const BAND: (f64, f64) = (1.0, 40.0);
/// Samples in 40 ms.
const BLOCK: usize = FILTER_RATE_HZ / 25;
/// Greatest relative difference of the output's power from SciPy's: filters agree to 1e-9 a sample.
const AGREEMENT: f64 = 1e-9;

pub(crate) fn run() -> Result<Vec<Figure>> {
    let Some(mut python) = folders::python("filters.py") else {
        return Ok(vec![ROWS[0].not_measured(folders::NO_PYTHON)]);
    };
    let len = FILTER_S * FILTER_RATE_HZ;
    let signal = synthetic::eeg(CHANNELS, len);
    let folder = folders::scratch()?;
    let path = folder.path().join("signal.f64");
    write(&path, &signal)?;
    let (low, high) = (BAND.0.to_string(), BAND.1.to_string());
    let whole = [CHANNELS, FILTER_RATE_HZ, BLOCK, ORDER, PASSES].map(|n| n.to_string());
    python.arg(&path).args(&whole).args([&low, &high]);
    let peers = folders::answer(python)?;

    let sos = butterworth(
        ORDER,
        Response::BandPass(BAND.0, BAND.1),
        FILTER_RATE_HZ as f64,
    )?;
    let mut power = 0.0;
    let ours = best(
        PASSES,
        || (SosFilter::new(sos.clone(), CHANNELS), blocks(&signal, len)),
        |(filter, blocks)| {
            for block in blocks.iter_mut() {
                // The shape is the filter's own.
                let filtered = filter.process(block, BLOCK);
                debug_assert!(filtered.is_ok());
            }
        },
    );
    // What was timed is what SciPy computes: the same power at the output.
    let mut filter = SosFilter::new(sos, CHANNELS);
    for mut block in blocks(&signal, len) {
        filter.process(&mut block, BLOCK)?;
        power += block.iter().map(|value| value * value).sum::<f64>();
    }
    let expected = number(&peers, "scipy_power")?;
    let differs = (power - expected).abs() / expected;
    ensure!(
        differs <= AGREEMENT,
        "our output's power differs from SciPy's by {differs:e}"
    );

    let scipy = number(&peers, "scipy_blocks_s")?;
    let brainflow = number(&peers, "brainflow_blocks_s")?;
    let faster = scipy.min(brainflow);
    let throughput = (CHANNELS * len) as f64 / ours / 1e6;
    Ok(vec![ROWS[0].measured(
        ours < faster,
        format!(
            "{} × the faster: {FILTER_S} s at {FILTER_RATE_HZ} Hz in {} ({} M samples/s), sosfilt \
             {}, BrainFlow {} (a call a channel, its state lost between blocks); given the whole \
             signal in one call (no stream), sosfilt takes {} and BrainFlow {}",
            digits(faster / ours),
            time(ours),
            digits(throughput),
            time(scipy),
            time(brainflow),
            time(number(&peers, "scipy_whole_s")?),
            time(number(&peers, "brainflow_whole_s")?),
        ),
    )])
}

/// The signal as blocks of 40 ms, each channels × samples.
fn blocks(signal: &[f64], len: usize) -> Vec<Vec<f64>> {
    (0..len)
        .step_by(BLOCK)
        .map(|first| {
            signal
                .chunks_exact(len)
                .flat_map(|row| &row[first..first + BLOCK])
                .copied()
                .collect()
        })
        .collect()
}

/// Values as Python reads them: 64-bit floats, little end first.
pub(crate) fn write(path: &Path, values: &[f64]) -> Result<()> {
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// A number that Python told.
pub(crate) fn number(told: &Value, name: &str) -> Result<f64> {
    told[name]
        .as_f64()
        .with_context(|| format!("Python did not tell {name}"))
}
