//! What recording costs, how much of it there may be, and how soon it is seen.

use crate::figure::{Figure, Row};
use crate::limits::{CHANNEL_COUNTS, CHANNEL_RATE_HZ, CHANNEL_RUN_S, CHANNEL_TRIAL_S, LOAD_S};
use crate::measure::{digits, grouped, time};
use crate::rig::{self, Run};
use crate::{folders, synthetic};
use acquisition::EndReason;
use anyhow::{Context as _, Result, ensure};
use contract::SystemClock;
use signal::StreamIndex;
use std::path::Path;
use std::sync::Arc;

pub(crate) const ROWS: [Row; 2] = [
    Row {
        what: "acquire + record + dsp + envelopes, 64 channels × 1 kHz",
        bound: "10 % of one core",
        aim: "2 %",
    },
    Row {
        what: "device block to display feed, p99, beyond the block's own length",
        bound: "20 ms",
        aim: "5 ms",
    },
];

/// Share of one core, and seconds.
const BOUNDS: (f64, f64) = (0.10, 0.020);

pub(crate) fn run() -> Result<Vec<Figure>> {
    let mut settings = rig::amplifier(64, 1_000, LOAD_S);
    settings.insert("pattern".into(), "eeg".into());
    let clock = Arc::new(SystemClock);
    let cost = simulated::generator_cost("amplifier", &settings, f64::from(LOAD_S), clock)
        .context("cannot measure the generator")?;

    let folder = folders::scratch()?;
    let recording = folder.path().join("recording");
    let run = rig::run(rig::open(&settings)?, &recording)?;
    let share = run.process_s / run.wall_s;
    let fault = fault(&run, &recording, LOAD_S, 1_000);
    Ok(vec![
        ROWS[0].measured(
            share <= BOUNDS.0 && fault.is_none(),
            format!(
                "{} % of one core over {LOAD_S} s of simulated EEG in real time, the generator's \
                 {} % included ({} rows drawn; {})",
                digits(share * 100.0),
                digits(cost.core_share() * 100.0),
                run.derivations,
                fault.as_deref().unwrap_or("the record is whole"),
            ),
        ),
        ROWS[1].measured(
            run.display.p99() <= BOUNDS.1 && run.display_dropped == 0,
            format!(
                "{} (p50 {}, worst {} of {} blocks), derivations, filters and envelopes included",
                time(run.display.p99()),
                time(run.display.p50()),
                time(run.display.max()),
                run.display.len(),
            ),
        ),
    ])
}

pub(crate) const CHANNEL_ROWS: [Row; 1] = [Row {
    what: "channels × 2 kHz sustained for 60 s without a gap",
    bound: "512",
    aim: "4,096",
}];

/// Fewest channels that meet the bound.
const CHANNELS_BOUND: usize = 512;

pub(crate) fn run_channels() -> Result<Vec<Figure>> {
    let mut told = Vec::new();
    for channels in CHANNEL_COUNTS {
        let (mut seconds, mut sustained) = (CHANNEL_TRIAL_S, sustain(channels, CHANNEL_TRIAL_S)?);
        if sustained.1.is_none() {
            seconds = CHANNEL_RUN_S;
            sustained = sustain(channels, seconds)?;
        }
        let (run, fault) = sustained;
        if let Some(fault) = fault {
            told.push(format!(
                "{} channels, {seconds} s: {fault}",
                grouped(channels as f64)
            ));
            continue;
        }
        let found = format!(
            "{} ({} % of a core; at most {} blocks waited for the recorder; of {} rows drawn the \
             display skipped {} blocks, display and analysis together {})",
            grouped(channels as f64),
            digits(100.0 * run.process_s / run.wall_s),
            run.stats.recorder_queue_peak,
            run.derivations,
            run.display_dropped,
            run.stats.feed_dropped,
        );
        told.insert(0, found);
        return Ok(vec![
            CHANNEL_ROWS[0].measured(channels >= CHANNELS_BOUND, told.join("; ")),
        ]);
    }
    Ok(vec![CHANNEL_ROWS[0].measured(false, told.join("; "))])
}

fn sustain(channels: usize, seconds: u32) -> Result<(Run, Option<String>)> {
    let folder = folders::scratch()?;
    let recording = folder.path().join("recording");
    let settings = rig::amplifier(channels, CHANNEL_RATE_HZ, seconds);
    let run = rig::run(rig::open(&settings)?, &recording)?;
    let fault = fault(&run, &recording, seconds, CHANNEL_RATE_HZ);
    Ok((run, fault))
}

/// What kept the record from being whole; `None` when nothing did. The recording itself is asked,
/// and not its writers alone.
fn fault(run: &Run, recording: &Path, seconds: u32, rate_hz: u32) -> Option<String> {
    let stream = run.stats.streams.first()?;
    let due = u64::from(seconds) * u64::from(rate_hz);
    if run.reason != EndReason::SourceEnded {
        Some(format!("ended early: {:?}", run.reason))
    } else if stream.gaps > 0 || run.lost_blocks > 0 {
        Some(format!(
            "{} gaps, {} lost blocks",
            stream.gaps, run.lost_blocks
        ))
    } else if run.wall_s > f64::from(seconds) * 1.1 + 2.0 {
        Some(format!("took {} for {seconds} s", time(run.wall_s)))
    } else if run.verdicts == 0 {
        Some("nothing was analysed".to_owned())
    } else {
        match recorded(recording) {
            Ok(samples) if samples == due => None,
            Ok(samples) => Some(format!("{samples} of {due} samples recorded")),
            Err(error) => Some(format!("{error:#}")),
        }
    }
}

/// Samples of the first stream that stand in a recording without a break.
fn recorded(folder: &Path) -> Result<u64> {
    let recording = synthetic::open(folder)?;
    let runs = recording.runs(StreamIndex(0))?;
    ensure!(runs.len() == 1, "{} runs recorded", runs.len());
    Ok(runs[0].end_index - runs[0].first_index)
}
