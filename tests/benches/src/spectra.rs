//! Welch's method beside SciPy's and BrainFlow's.

use crate::figure::{Figure, Row};
use crate::filters::{number, write};
use crate::limits::{PASSES, WELCH_RATE_HZ};
use crate::measure::{best, digits, time};
use crate::{folders, synthetic};
use anyhow::{Result, ensure};
use dsp::{Scaling, Welch};

pub(crate) const ROWS: [Row; 1] = [Row {
    what: "Welch of 32 channels × 60 s, 512/256, against SciPy and BrainFlow",
    bound: "faster than both",
    aim: "5 × the faster",
}];

const CHANNELS: usize = 32;
const SECONDS: usize = 60;
const SEGMENT: usize = 512;
const OVERLAP: usize = 256;
/// Greatest relative difference of the summed spectra from SciPy's.
const AGREEMENT: f64 = 1e-6;

pub(crate) fn run() -> Result<Vec<Figure>> {
    let Some(mut python) = folders::python("spectra.py") else {
        return Ok(vec![ROWS[0].not_measured(folders::NO_PYTHON)]);
    };
    let len = SECONDS * WELCH_RATE_HZ;
    let signal = synthetic::eeg(CHANNELS, len);
    let folder = folders::scratch()?;
    let path = folder.path().join("signal.f64");
    write(&path, &signal)?;
    // Quick enough for more passes than the filters.
    let passes = PASSES * 5;
    let whole = [CHANNELS, WELCH_RATE_HZ, SEGMENT, OVERLAP, passes].map(|n| n.to_string());
    python.arg(&path).args(&whole);
    let peers = folders::answer(python)?;

    let spectra = || {
        // Window and plan are made anew each time, as SciPy and BrainFlow make them.
        let plan = Welch::new(WELCH_RATE_HZ as f64, SEGMENT, OVERLAP, Scaling::Density)?;
        plan.block(&signal, len)
    };
    let power: f64 = spectra()?
        .iter()
        .flat_map(|spectrum| &spectrum.values)
        .sum();
    let expected = number(&peers, "scipy_power")?;
    let differs = (power - expected).abs() / expected;
    ensure!(
        differs <= AGREEMENT,
        "our spectra differ from SciPy's by {differs:e}"
    );
    let ours = best(passes, || None, |made| *made = spectra().ok());

    let scipy = number(&peers, "scipy_s")?;
    let brainflow = number(&peers, "brainflow_s")?;
    let faster = scipy.min(brainflow);
    Ok(vec![ROWS[0].measured(
        ours < faster,
        format!(
            "{} × the faster: {} at {WELCH_RATE_HZ} Hz, SciPy {} (all channels in one call), \
             BrainFlow {} (a call a channel); one thread each",
            digits(faster / ours),
            time(ours),
            time(scipy),
            time(brainflow),
        ),
    )])
}
