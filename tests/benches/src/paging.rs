//! Opening a recording of a day, and turning its pages.

use crate::figure::{Figure, Row};
use crate::folders;
use crate::limits::{LONG, OPENS, PAGE_COLUMNS, PAGES};
use crate::measure::{Times, time};
use crate::synthetic::{self, Random};
use anyhow::{Context as _, Result, ensure};
use signal::StreamIndex;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

pub(crate) const ROWS: [Row; 1] = [Row {
    what: "open a 24 h × 32 ch × 256 Hz recording (store unlocked); any page's envelopes",
    bound: "300 ms; 33 ms",
    aim: "50 ms; 8 ms",
}];

/// Seconds.
const BOUNDS: (f64, f64) = (0.300, 0.033);

/// Lengths of pages, s: from what is read closely to the whole day.
const PAGE_S: [u64; 10] = [5, 10, 20, 30, 60, 300, 1_800, 3_600, 21_600, 86_400];

pub(crate) fn run() -> Result<Vec<Figure>> {
    let folder = made()?;
    let (hours, channels, hz) = LONG;
    let total = hours * 3_600 * u64::from(hz);
    let mut opens = Times::default();
    for _ in 0..OPENS {
        let begun = Instant::now();
        let recording = synthetic::open(&folder)?;
        opens.push(begun.elapsed());
        ensure!(recording.finished().is_some(), "the recording is not whole");
    }
    let recording = synthetic::open(&folder)?;
    let mut random = Random::new();
    let mut pages = Times::default();
    let mut worst = (0.0, 0);
    for page in 0..PAGES {
        let seconds = PAGE_S[page % PAGE_S.len()];
        let span = (seconds * u64::from(hz)).min(total);
        let from = random.below(total - span + 1);
        let begun = Instant::now();
        let drawn =
            recording.overview(StreamIndex(0), 0..channels, from..from + span, PAGE_COLUMNS)?;
        let took = begun.elapsed();
        ensure!(
            drawn.min.iter().any(|value| !value.is_nan()),
            "an empty page"
        );
        pages.push(took);
        if took.as_secs_f64() > worst.0 {
            worst = (took.as_secs_f64(), seconds);
        }
    }
    Ok(vec![ROWS[0].measured(
        opens.max() <= BOUNDS.0 && pages.max() <= BOUNDS.1,
        format!(
            "{}; {} (worst of {OPENS} and of {PAGES} random pages of 5 s to 24 h, {PAGE_COLUMNS} \
             columns, the worst of {} s; p50 {}; {}; p99 of pages {}); files in the system's cache",
            time(opens.max()),
            time(pages.max()),
            worst.1,
            time(opens.p50()),
            time(pages.p50()),
            time(pages.p99()),
        ),
    )])
}

/// The recording, made once and kept: the samples are the same in every run.
fn made() -> Result<PathBuf> {
    let (hours, channels, hz) = LONG;
    let name = format!("{hours}h-{channels}ch-{hz}hz-v{}", recording::FORMAT);
    let folder = folders::cache(&name)?;
    if synthetic::open(&folder).is_ok_and(|recording| recording.finished().is_some()) {
        return Ok(folder);
    }
    // What an interrupted run left, or another format wrote.
    if folder.exists() {
        fs::remove_dir_all(&folder).context("cannot remove an unfinished recording")?;
    }
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent).context("cannot make the cache's folder")?;
    }
    // A minute of signal, each channel on from another place: copied round, it costs little to make.
    let table = synthetic::counts(1, 60 * hz as usize);
    synthetic::record(
        &folder,
        (channels, hz, hours * 3_600),
        |first, len, block| {
            for channel in 0..channels {
                let mut at = (first as usize + channel * 997) % table.len();
                let mut left = len;
                while left > 0 {
                    let take = left.min(table.len() - at);
                    block.extend_from_slice(&table[at..at + take]);
                    (at, left) = (0, left - take);
                }
            }
        },
    )?;
    Ok(folder)
}
