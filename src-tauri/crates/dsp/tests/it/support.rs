//! Inputs that Rust and Python make alike, and blocks of them.

use signal::{Channel, Reference, SampleBlock, SampleType, Samples, StreamIndex};
use std::f64::consts::TAU;

/// Numbers in −1 … 1 from a linear congruential generator.
pub(crate) fn noise(seed: u32, count: usize) -> Vec<f64> {
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state) / 2_147_483_648.0 - 1.0
    };
    (0..count).map(next).collect()
}

/// Noise with an electrode's offset, a 10 Hz rhythm and hum; µV.
pub(crate) fn eeg(seed: u32, count: usize, rate_hz: f64) -> Vec<f64> {
    let wave = |n: usize, hz: f64| (TAU * hz * (n as f64 / rate_hz)).sin();
    let noise = noise(seed, count).into_iter().enumerate();
    noise
        .map(|(n, x)| 5000.0 + 20.0 * x + 30.0 * wave(n, 10.0) + 5.0 * wave(n, 50.0))
        .collect()
}

/// A block of 24-bit counts, one row a channel.
pub(crate) fn block(rows: &[Vec<i32>], first_index: u64) -> SampleBlock {
    let len = rows.first().map_or(0, Vec::len);
    let mut block = SampleBlock::with_capacity(StreamIndex(0), SampleType::I24, rows.len(), len);
    block.len = len;
    block.first_index = first_index;
    block.samples = Samples::I24(rows.concat());
    block
}

/// EEG channels of `names` against one unknown reference, `gain_uv` a count.
pub(crate) fn channels(names: &[&str], gain_uv: f64) -> Vec<Channel> {
    names
        .iter()
        .map(|name| Channel::eeg(name, gain_uv, Reference::Unknown))
        .collect()
}
