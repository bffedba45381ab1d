//! The stream of electrode potentials: sources mixed onto channels, quantised to 24 bits.
//!
//! A sample is a function of the seed, the script and its number. Sources (regional background,
//! alpha, eyes, muscle, mains, heart) are computed once for a stretch of samples and added to each
//! channel with the channel's weight; each channel has noise of its own.

use super::config::{Config, Pattern};
use super::impedance::Impedances;
use super::noise::{Random, Table, hash};
use super::overlay::{Overlay, blink_field, muscle_field, overlays};
use super::scalp::{Place, field, place};
use super::scene::{self, EyeTimeline};
use super::script::Side;
use crate::limits::{CALIBRATION_PERIOD_S, CALIBRATION_UV, GRID};
use signal::{Channel, ChannelKind, StreamDescription};
use std::f64::consts::TAU;

const REGIONS: usize = 5;
const ALPHA: usize = REGIONS;
const BLINK: usize = ALPHA + 3;
const MUSCLE: usize = BLINK + 1;
const HEART: usize = MUSCLE + 2;
const SOURCES: usize = HEART + 1;
const STRETCH: usize = GRID as usize;

/// Root mean square of each regional background source and of a channel's own noise, µV; together
/// about 15 µV as in a resting adult.
const REGION_UV: f32 = 7.0;
const OWN_UV: f32 = 3.0;

/// Root mean square of the alpha rhythm over the occiput with closed eyes, µV.
const ALPHA_UV: f32 = 14.0;

/// R wave in the ECG channel, and its artefact at the temples, µV.
const R_WAVE_UV: f32 = 1_000.0;
const ECG_ARTEFACT_UV: f32 = 4.0;

/// Mains hum: a little always, more with impedance (µV a kΩ), and on an open electrode.
const HUM_UV: f32 = 0.3;
const HUM_UV_PER_KOHM: f32 = 0.4;
const HUM_OPEN_UV: f32 = 120.0;

/// Above this impedance an electrode is noisy too, kΩ.
const NOISY_KOHM: f64 = 20.0;

#[derive(Debug)]
struct Input {
    weights: [f32; SOURCES],
    own_uv: f32,
    own_first: [u64; 2],
    electrode: Option<usize>,
    counts_per_uv: f32,
    numbered: bool,
}

#[derive(Debug)]
struct Tables {
    background: Table,
    background_prime: Table,
    alpha: Table,
    muscle: Table,
}

/// Computes the stream's samples.
#[derive(Debug)]
pub(crate) struct Potentials {
    hz: f64,
    seed: u64,
    pattern: Pattern,
    artifacts: bool,
    mains_hz: Option<f64>,
    inputs: Vec<Input>,
    impedances: Impedances,
    eyes: EyeTimeline,
    overlays: Vec<Overlay>,
    tables: Option<Tables>,
    cheap: Vec<i32>,
    /// Samples `from..until` of a channel repeat the value of sample `from`.
    stale: Vec<(u64, u64, usize)>,
    calibration: bool,
    sources: Vec<[f32; STRETCH]>,
    mains: [f32; STRETCH],
    waves: Vec<(usize, [f32; STRETCH])>,
}

impl Potentials {
    pub(crate) fn new(
        config: &Config,
        stream: &StreamDescription,
        impedances: Impedances,
        stale: Vec<(u64, u64, usize)>,
    ) -> Result<Self, String> {
        let hz = stream.rate.as_hz().unwrap_or(1.0);
        let channels = &stream.channels;
        let quiet = config.pattern != Pattern::Eeg;
        let weights = Weights::new(channels);
        let inputs = (channels.iter().enumerate())
            .map(|(index, channel)| Input {
                weights: if quiet {
                    [0.0; SOURCES]
                } else {
                    weights.of(index, channel)
                },
                own_uv: match channel.kind {
                    _ if quiet => 0.0,
                    ChannelKind::Emg => 1.0,
                    _ => OWN_UV,
                },
                own_first: [0, 1].map(|table| hash(config.seed, 0x0F + table, index as u64) >> 24),
                electrode: channel
                    .electrode
                    .as_deref()
                    .and_then(|e| impedances.position(e)),
                #[allow(clippy::cast_possible_truncation)]
                counts_per_uv: channel.scale.gain.recip() as f32,
                numbered: channel.label == "number",
            })
            .collect();
        Ok(Self {
            hz,
            seed: config.seed,
            pattern: config.pattern,
            artifacts: config.artifacts && !quiet,
            mains_hz: config.mains_hz.filter(|mains| !quiet && *mains < hz / 2.0),
            inputs,
            impedances,
            eyes: EyeTimeline::new(config.eyes, &config.script.eyes),
            overlays: overlays(&config.script, channels)?,
            tables: (config.pattern != Pattern::Cheap).then(|| tables(config.seed, hz)),
            cheap: cheap_table(config.seed),
            stale,
            calibration: false,
            sources: vec![[0.0; STRETCH]; SOURCES],
            mains: [0.0; STRETCH],
            waves: Vec::new(),
        })
    }

    pub(crate) const fn set_calibration(&mut self, on: bool) {
        self.calibration = on;
    }

    /// Channels × `len` samples from number `first` on, row-major, into `out`.
    pub(crate) fn fill(&mut self, first: u64, len: usize, out: &mut Vec<i32>) {
        if self.pattern == Pattern::Cheap && !self.calibration {
            self.fill_cheap(first, len, out);
        } else {
            out.resize(self.inputs.len() * len, 0);
            let mut done = 0;
            while done < len {
                let at = first + done as u64;
                let stretch = (STRETCH - (at % GRID) as usize).min(len - done);
                self.stretch(at, stretch, len, done, out);
                done += stretch;
            }
        }
        self.repeat_stale(first, len, out);
    }

    fn fill_cheap(&self, first: u64, len: usize, out: &mut Vec<i32>) {
        out.clear();
        for (index, input) in self.inputs.iter().enumerate() {
            if input.numbered {
                out.extend((0..len as u64).map(|i| number(first + i)));
                continue;
            }
            let mut position = (first as usize).wrapping_add(index * 37) % CHEAP_LEN;
            let mut left = len;
            while left > 0 {
                let run = (CHEAP_LEN - position).min(left);
                out.extend_from_slice(&self.cheap[position..position + run]);
                left -= run;
                position = 0;
            }
        }
    }

    /// Samples `at..at + n` into columns `done..` of rows of `len`; within one step of the grid.
    fn stretch(&mut self, at: u64, n: usize, len: usize, done: usize, out: &mut [i32]) {
        self.compute_sources(at, n);
        let grid_s = seconds(at - at % GRID, self.hz);
        let mut sum = [0.0_f32; STRETCH];
        for (channel, input) in self.inputs.iter().enumerate() {
            let row = &mut out[channel * len + done..][..n];
            if input.numbered {
                for (i, count) in row.iter_mut().enumerate() {
                    *count = number(at + i as u64);
                }
                continue;
            }
            let sum = &mut sum[..n];
            sum.fill(0.0);
            if self.calibration {
                self.add_calibration(sum, at);
            } else {
                self.add_body(sum, at, channel, input, grid_s);
            }
            quantise(sum, input.counts_per_uv, row);
        }
    }

    fn add_body(&self, sum: &mut [f32], at: u64, channel: usize, input: &Input, grid_s: f64) {
        let kohm = input.electrode.map(|e| self.impedances.at(e, grid_s));
        if let Some(tables) = &self.tables
            && input.own_uv > 0.0
        {
            let noisy = match kohm {
                Some(None) => 6.0,
                Some(Some(kohm)) if kohm > NOISY_KOHM => 2.5,
                _ => 1.0,
            };
            let (first, second) = (input.own_first[0], input.own_first[1]);
            tables
                .background
                .add_to(sum, at + first, noisy * input.own_uv);
            tables
                .background_prime
                .add_to(sum, at + second, noisy * input.own_uv);
        }
        for (weight, source) in input.weights.iter().zip(&self.sources) {
            add(sum, source, *weight);
        }
        if self.mains_hz.is_some() {
            add(sum, &self.mains, hum(kohm));
        }
        for (overlay, wave) in &self.waves {
            add(sum, wave, self.overlays[*overlay].weights[channel]);
        }
    }

    fn add_calibration(&self, sum: &mut [f32], at: u64) {
        #[allow(clippy::cast_possible_truncation)]
        let half = (CALIBRATION_UV / 2.0) as f32;
        for (i, sample) in sum.iter_mut().enumerate() {
            let phase = seconds(at + i as u64, self.hz) % CALIBRATION_PERIOD_S;
            *sample += if phase < CALIBRATION_PERIOD_S / 2.0 {
                half
            } else {
                -half
            };
        }
    }

    #[allow(clippy::cast_possible_truncation)]
    fn compute_sources(&mut self, at: u64, n: usize) {
        let (from_s, until_s) = (seconds(at, self.hz), seconds(at + n as u64, self.hz));
        self.waves.clear();
        if let Some(tables) = &self.tables {
            for (index, overlay) in self.overlays.iter().enumerate() {
                if overlay.overlaps(from_s, until_s) {
                    let mut wave = [0.0; STRETCH];
                    overlay.fill(&mut wave[..n], at, self.hz, &tables.muscle);
                    self.waves.push((index, wave));
                }
            }
        }
        for source in &mut self.sources {
            source[..n].fill(0.0);
        }
        if self.pattern != Pattern::Eeg {
            return;
        }
        if let Some(tables) = &self.tables {
            for (index, source) in self.sources.iter_mut().enumerate().take(REGIONS) {
                let first = at + (hash(self.seed, 0x5E, index as u64) >> 24);
                tables.background.add_to(&mut source[..n], first, 1.0);
            }
            for (index, source) in self.sources[ALPHA..BLINK].iter_mut().enumerate() {
                let first = at + (hash(self.seed, 0xA1, index as u64) >> 24);
                tables.alpha.add_to(&mut source[..n], first, 1.0);
            }
            for (index, source) in self.sources[MUSCLE..HEART].iter_mut().enumerate() {
                let first = at + (hash(self.seed, 0x3B, index as u64) >> 24);
                tables.muscle.add_to(&mut source[..n], first, 1.0);
            }
        }
        for i in 0..n {
            let t = seconds(at + i as u64, self.hz);
            let alpha = self.eyes.alpha(t) as f32;
            for source in &mut self.sources[ALPHA..BLINK] {
                source[i] *= alpha;
            }
            let (mut left, mut right) = (0.0, 0.0);
            if self.artifacts {
                self.sources[BLINK][i] = scene::automatic_blinks(self.seed, &self.eyes, t) as f32;
                (left, right) = scene::automatic_muscle(self.seed, t);
            }
            self.sources[MUSCLE][i] *= left as f32;
            self.sources[MUSCLE + 1][i] *= right as f32;
            self.sources[HEART][i] = scene::heart(t) as f32;
            if let Some(mains) = self.mains_hz {
                self.mains[i] = hum_wave(mains, t);
            }
        }
    }

    fn repeat_stale(&mut self, first: u64, len: usize, out: &mut [i32]) {
        let end = first + len as u64;
        let active: Vec<_> = (self.stale.iter().copied())
            .filter(|(from, until, _)| *from < end && first < *until)
            .collect();
        if active.is_empty() {
            return;
        }
        // Without stale channels, so that the value held is the one the channel last had.
        let stale = std::mem::take(&mut self.stale);
        let mut held = Vec::new();
        for (from, until, channel) in active {
            self.fill(from, 1, &mut held);
            let start = from.saturating_sub(first) as usize;
            let stop = (until.min(end) - first) as usize;
            out[channel * len + start..channel * len + stop].fill(held[channel]);
        }
        self.stale = stale;
    }
}

/// Fields of the sources over the channels.
struct Weights {
    blink: Vec<f32>,
    left: Vec<f32>,
    right: Vec<f32>,
}

impl Weights {
    fn new(channels: &[Channel]) -> Self {
        Self {
            blink: blink_field(channels),
            left: muscle_field(channels, Side::Left),
            right: muscle_field(channels, Side::Right),
        }
    }

    fn of(&self, index: usize, channel: &Channel) -> [f32; SOURCES] {
        const REGION: [Place; REGIONS] = [
            Place { x: 0.0, y: 0.6 },
            Place { x: -0.6, y: 0.0 },
            Place { x: 0.6, y: 0.0 },
            Place { x: 0.0, y: -0.6 },
            Place { x: 0.0, y: 0.0 },
        ];
        const OCCIPUT: [Place; 3] = [
            Place { x: 0.0, y: -0.85 },
            Place { x: -0.35, y: -0.8 },
            Place { x: 0.35, y: -0.8 },
        ];
        let mut weights = [0.0; SOURCES];
        weights[BLINK] = self.blink[index];
        weights[MUSCLE] = self.left[index];
        weights[MUSCLE + 1] = self.right[index];
        match (channel.kind, channel.electrode.as_deref()) {
            (ChannelKind::Eeg, Some(electrode)) => {
                let at = place(electrode);
                for (weight, region) in weights.iter_mut().zip(REGION) {
                    *weight = REGION_UV * field(region, at, 0.5);
                }
                for (weight, source) in weights[ALPHA..BLINK].iter_mut().zip(OCCIPUT) {
                    *weight = 0.6 * ALPHA_UV * field(source, at, 0.45);
                }
                // The heart's vector points to the left: opposite signs at the two temples.
                weights[HEART] = -ECG_ARTEFACT_UV * at.x;
            }
            (ChannelKind::Ecg, _) => weights[HEART] = R_WAVE_UV,
            (ChannelKind::Eog, _) => weights[0] = 0.5 * REGION_UV,
            _ => {}
        }
        weights
    }
}

/// Background after Timmer and König with a spectrum of 1/f above 0.5 Hz, where electrodes and
/// amplifiers level off, and a floor of white noise; alpha as noise around 10 Hz, which waxes and
/// wanes by itself; muscle as broad noise above 20 Hz.
fn tables(seed: u64, hz: f64) -> Tables {
    let background = |f: f64| 1.0 / f.max(0.5) + 0.002;
    let muscle_top = (hz * 0.45).min(150.0);
    Tables {
        background: Table::new(hash(seed, 1, 0), hz, background),
        background_prime: Table::new(hash(seed, 1, 1), hz, background).cut_to_prime(),
        alpha: Table::new(hash(seed, 1, 2), hz, |f| {
            (-0.5 * ((f - 10.0) / 0.6).powi(2)).exp()
        }),
        muscle: Table::new(hash(seed, 1, 3), hz, |f| {
            if f > 20.0 && f < muscle_top { 1.0 } else { 0.0 }
        }),
    }
}

const CHEAP_LEN: usize = 8_192;

/// Small noise on a slow wave: about as compressible as EEG.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
fn cheap_table(seed: u64) -> Vec<i32> {
    let mut random = Random::new(seed);
    (0..CHEAP_LEN)
        .map(|i| {
            let slow = 800.0 * (TAU * 16.0 * i as f64 / CHEAP_LEN as f64).sin();
            (slow + 200.0 * (random.unit() - 0.5)) as i32
        })
        .collect()
}

#[allow(clippy::cast_precision_loss)] // Sample numbers stay far below 2^53.
fn seconds(sample: u64, hz: f64) -> f64 {
    sample as f64 / hz
}

/// A sample's number as a positive 24-bit count.
#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
const fn number(sample: u64) -> i32 {
    (sample & 0x7F_FFFF) as i32
}

fn add(sum: &mut [f32], source: &[f32], weight: f32) {
    if weight != 0.0 {
        for (sample, value) in sum.iter_mut().zip(source) {
            *sample += weight * value;
        }
    }
}

#[allow(clippy::cast_possible_truncation)]
fn hum(kohm: Option<Option<f64>>) -> f32 {
    match kohm {
        None => HUM_UV,
        Some(None) => HUM_OPEN_UV,
        Some(Some(kohm)) => (HUM_UV + HUM_UV_PER_KOHM * kohm as f32).min(HUM_OPEN_UV),
    }
}

/// The mains with a tenth of its third harmonic; peak about 1.
#[allow(clippy::cast_possible_truncation)]
fn hum_wave(mains_hz: f64, t: f64) -> f32 {
    let phase = TAU * (mains_hz * t).fract();
    (phase.sin() + 0.1 * (3.0 * phase).sin()) as f32
}

/// Microvolts to counts: to the nearest, clipped to 24 bits as a converter clips.
#[allow(clippy::cast_possible_truncation)]
fn quantise(sum: &[f32], counts_per_uv: f32, row: &mut [i32]) {
    const TOP: f32 = 8_388_607.0;
    for (count, uv) in row.iter_mut().zip(sum) {
        let value = (uv * counts_per_uv).clamp(-TOP - 1.0, TOP);
        *count = (value + 0.5_f32.copysign(value)) as i32;
    }
    for count in row {
        *count = (*count).clamp(-(1 << 23), (1 << 23) - 1);
    }
}
