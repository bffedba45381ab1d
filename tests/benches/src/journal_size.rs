//! What real EEG takes on disk, beside the file it came from.

use crate::figure::{Figure, Row};
use crate::measure::digits;
use crate::{folders, rig};
use anyhow::{Context as _, Result};
use contract::{Driver as _, SystemClock};
use std::fs;
use std::path::Path;
use std::sync::Arc;

pub(crate) const ROWS: [Row; 1] = [Row {
    what: "journal size of real EEG against the same EDF; against the EDF under zstd −3",
    bound: "smaller than EDF",
    aim: "within 5 % of zstd",
}];

/// Recordings of several devices, rates and places; the last is a polysomnogram.
const FILES: [&str; 4] = [
    "clinical/eegmat_Subject00_1.edf",
    "rest/fvw_rest_30ch.edf",
    "clinical/epviz_seizure.edf",
    "sleep/psg_somno_0000-0600s.edf",
];

/// Bytes of one recording in each form.
#[derive(Debug, Default, Clone, Copy)]
struct Sizes {
    edf: u64,
    zstd: u64,
    journal: u64,
    overview: u64,
}

pub(crate) fn run() -> Result<Vec<Figure>> {
    let Some(recordings) = folders::recordings() else {
        let why = "the folder of recordings is missing (NEURASCALE_RECORDINGS)";
        eprintln!("SKIPPED: journal size: {why}");
        return Ok(vec![ROWS[0].not_measured(why)]);
    };
    let mut told = Vec::new();
    let mut worst = (0.0_f64, 0.0_f64);
    for name in FILES {
        let path = recordings.join(name);
        if !path.is_file() {
            eprintln!("SKIPPED: {name} is not there");
            told.push(format!("{name} is missing"));
            worst.0 = f64::INFINITY;
            continue;
        }
        let sizes = sizes(&path).with_context(|| format!("cannot record {name}"))?;
        let of = |other: u64| sizes.journal as f64 / other as f64;
        worst = (worst.0.max(of(sizes.edf)), worst.1.max(of(sizes.zstd)));
        told.push(format!(
            "{} {} and {} (overview {} of the EDF more)",
            path.file_stem().unwrap_or_default().display(),
            digits(of(sizes.edf)),
            digits(of(sizes.zstd)),
            digits(sizes.overview as f64 / sizes.edf as f64),
        ));
    }
    Ok(vec![ROWS[0].measured(
        worst.0 < 1.0,
        format!(
            "at worst {} of the EDF; {} of zstd −3 ({})",
            digits(worst.0),
            digits(worst.1),
            told.join("; ")
        ),
    )])
}

fn sizes(path: &Path) -> Result<Sizes> {
    let bytes = fs::read(path)?;
    let folder = folders::scratch()?;
    let recording = folder.path().join("recording");
    let address = path.to_str().context("a path that is not Unicode")?;
    let settings = rig::settings(&[("speed", "max")]);
    let device = simulated::Playback.open(address, &settings, Arc::new(SystemClock))?;
    rig::record(device, &recording)?;
    let mut sizes = Sizes {
        edf: bytes.len() as u64,
        zstd: zstd::encode_all(bytes.as_slice(), 3)?.len() as u64,
        ..Sizes::default()
    };
    for entry in fs::read_dir(&recording)? {
        let entry = entry?;
        // The overview can be made again from the samples; all else is the record.
        if entry.file_name().to_string_lossy().starts_with("overview") {
            sizes.overview += entry.metadata()?.len();
        } else {
            sizes.journal += entry.metadata()?.len();
        }
    }
    Ok(sizes)
}
