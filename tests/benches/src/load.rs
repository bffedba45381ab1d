//! What recording costs, how much of it there may be, and how soon it is seen.

use crate::figure::{Figure, Row};
use crate::folders;
use crate::limits::{CHANNEL_COUNTS, CHANNEL_RATE_HZ, CHANNEL_RUN_S, CHANNEL_TRIAL_S, LOAD_S};
use crate::measure::{digits, grouped, thread_s, time};
use crate::rig::{self, Run};
use acquisition::EndReason;
use anyhow::{Context as _, Result};
use contract::SystemClock;
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
    let settings = rig::amplifier(64, 1_000, LOAD_S);
    let (before, clock) = (thread_s(), Arc::new(SystemClock));
    let cost = simulated::generator_cost("amplifier", &settings, f64::from(LOAD_S), clock)
        .context("cannot measure the generator")?;
    let generator = (thread_s() - before) / cost.device_s;
    let brain = {
        let mut settings = settings.clone();
        settings.insert("pattern".into(), "eeg".into());
        simulated::generator_cost("amplifier", &settings, 5.0, Arc::new(SystemClock))
            .context("cannot measure the generator")?
    };

    let folder = folders::scratch()?;
    let run = rig::run(rig::open(&settings)?, &folder.path().join("recording"))?;
    let share = run.process_s / run.wall_s;
    let whole = fault(&run, LOAD_S, 1_000);
    let own = share - generator;
    let told = whole.as_deref().unwrap_or("no gap, everything analysed");
    Ok(vec![
        ROWS[0].measured(
            own <= BOUNDS.0 && whole.is_none(),
            format!(
                "{} % of one core over {LOAD_S} s in real time ({} derivations shown; {told}); the \
                 generator's own {} % is not in it; generating EEG takes {} %",
                digits(own * 100.0),
                run.derivations,
                digits(generator * 100.0),
                digits(brain.core_share() * 100.0),
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
        let mut run = sustain(channels, CHANNEL_TRIAL_S)?;
        let mut failed = fault(&run, CHANNEL_TRIAL_S, CHANNEL_RATE_HZ);
        let mut seconds = CHANNEL_TRIAL_S;
        if failed.is_none() {
            seconds = CHANNEL_RUN_S;
            run = sustain(channels, seconds)?;
            failed = fault(&run, seconds, CHANNEL_RATE_HZ);
        }
        if let Some(failed) = failed {
            told.push(format!(
                "{} channels, {seconds} s: {failed}",
                grouped(channels as f64)
            ));
            continue;
        }
        told.insert(
            0,
            format!(
                "{} ({} % of a core; longest recorder queue {}; blocks skipped by the display of \
                 {} derivations: {}, by it and the analysis: {})",
                grouped(channels as f64),
                digits(100.0 * run.process_s / run.wall_s),
                run.stats.recorder_queue_peak,
                run.derivations,
                run.display_dropped,
                run.stats.feed_dropped,
            ),
        );
        return Ok(vec![
            CHANNEL_ROWS[0].measured(channels >= CHANNELS_BOUND, told.join("; ")),
        ]);
    }
    Ok(vec![CHANNEL_ROWS[0].measured(false, told.join("; "))])
}

fn sustain(channels: usize, seconds: u32) -> Result<Run> {
    let folder = folders::scratch()?;
    let settings = rig::amplifier(channels, CHANNEL_RATE_HZ, seconds);
    rig::run(rig::open(&settings)?, &folder.path().join("recording"))
}

/// What kept the record from being whole; `None` when nothing did.
fn fault(run: &Run, seconds: u32, rate_hz: u32) -> Option<String> {
    let stream = run.stats.streams.first()?;
    let due = u64::from(seconds) * u64::from(rate_hz);
    if run.reason != EndReason::SourceEnded {
        Some(format!("ended early: {:?}", run.reason))
    } else if stream.gaps > 0 || run.lost_blocks > 0 {
        Some(format!(
            "{} gaps, {} lost blocks",
            stream.gaps, run.lost_blocks
        ))
    } else if stream.samples < due {
        Some(format!("{} of {due} samples", stream.samples))
    } else if run.wall_s > f64::from(seconds) * 1.1 + 2.0 {
        Some(format!("took {} for {seconds} s", time(run.wall_s)))
    } else if run.verdicts == 0 {
        Some("nothing was analysed".to_owned())
    } else {
        None
    }
}
