//! Causal filtering of blocks: many channels side by side in SIMD lanes.

use crate::error::{DspError, check_shape};
use crate::limits::STATE_FLOOR_UV;
use crate::{Section, Sos};
use ndarray::{ArrayViewMut2, Axis};

/// Channels that run side by side: two AVX registers, or four SSE2 ones.
const LANES: usize = 8;

/// Samples transposed at a time. The tile (4 KiB) and its states stay in the L1 cache.
const TILE: usize = 64;

type Lanes = [f64; LANES];

/// A causal filter over some rows of a block, with its state (transposed direct form II, as SciPy's
/// `sosfilt`).
///
/// Cutting a run of samples into other blocks changes no output bit, nor does the processor: no
/// fused multiply-add is used. A channel that is fed an infinity or NaN gives NaN at most until
/// the next multiple of 64 samples and then starts anew.
#[derive(Debug, Clone)]
pub struct SosFilter {
    sos: Sos,
    rows: Vec<usize>,
    /// Groups of 8 rows × sections × 2.
    state: Vec<[Lanes; 2]>,
    /// Samples since the start, which says where tiles end.
    position: usize,
}

impl SosFilter {
    /// A filter at rest over all `channels` rows of a block.
    #[must_use]
    pub fn new(sos: Sos, channels: usize) -> Self {
        Self::on_rows(sos, (0..channels).collect())
    }

    /// A filter at rest over the rows listed; other rows pass untouched.
    #[must_use]
    pub fn on_rows(sos: Sos, rows: Vec<usize>) -> Self {
        let groups = rows.len().div_ceil(LANES);
        let state = vec![[[0.0; LANES]; 2]; groups * sos.sections.len()];
        Self {
            sos,
            rows,
            state,
            position: 0,
        }
    }

    /// The filter's sections.
    #[must_use]
    pub const fn sos(&self) -> &Sos {
        &self.sos
    }

    /// Back to rest.
    pub fn reset(&mut self) {
        self.state.fill([[0.0; LANES]; 2]);
        self.position = 0;
    }

    /// Takes the state that each row would have had its first value stood for ever, so that an
    /// electrode's offset makes no transient. `first` gives the value of a row of the block, µV.
    pub fn settle(&mut self, first: impl Fn(usize) -> f64) {
        let steady = self.sos.steady_state();
        for (at, row) in self.rows.iter().enumerate() {
            let value = first(*row);
            let value = if value.is_finite() { value } else { 0.0 };
            for (section, unit) in steady.iter().enumerate() {
                let state = &mut self.state[at / LANES * steady.len() + section];
                state[0][at % LANES] = unit[0] * value;
                state[1][at % LANES] = unit[1] * value;
            }
        }
        self.position = 0;
    }

    /// Filters a block in place: `data` is row-major, each row `len` samples.
    ///
    /// # Errors
    /// [`DspError::Shape`] when `data` does not hold whole rows up to the filter's last.
    pub fn process(&mut self, data: &mut [f64], len: usize) -> Result<(), DspError> {
        let channels = self.rows.iter().max().map_or(0, |last| last + 1);
        if data.len() < channels * len || (len > 0 && !data.len().is_multiple_of(len)) {
            return check_shape(channels, len, data.len());
        }
        let sections = self.sos.sections.len();
        if sections == 0 || len == 0 {
            return Ok(());
        }
        for (rows, state) in self.rows.chunks(LANES).zip(self.state.chunks_mut(sections)) {
            let mut from = 0;
            while from < len {
                let tile = (TILE - (self.position + from) % TILE).min(len - from);
                let part = Part {
                    rows,
                    len,
                    from,
                    tile,
                };
                run(&part, &self.sos.sections, state, data);
                from += tile;
                if (self.position + from).is_multiple_of(TILE) {
                    state.iter_mut().for_each(clean);
                }
            }
        }
        self.position = (self.position + len) % TILE;
        Ok(())
    }

    /// [`Self::process`] for an array of channels × samples.
    ///
    /// # Errors
    /// As [`Self::process`]; an array that is not in standard layout is filtered through a copy.
    pub fn process_array(&mut self, mut data: ArrayViewMut2<'_, f64>) -> Result<(), DspError> {
        let len = data.len_of(Axis(1));
        if let Some(values) = data.as_slice_mut() {
            return self.process(values, len);
        }
        let mut copy: Vec<f64> = data.iter().copied().collect();
        self.process(&mut copy, len)?;
        data.iter_mut().zip(copy).for_each(|(to, from)| *to = from);
        Ok(())
    }
}

/// Which part of a block a kernel works on.
struct Part<'a> {
    rows: &'a [usize],
    len: usize,
    from: usize,
    tile: usize,
}

fn clean(state: &mut [Lanes; 2]) {
    for value in state.iter_mut().flatten() {
        // False for NaN as well.
        if !(value.abs() > STATE_FLOOR_UV && value.is_finite()) {
            *value = 0.0;
        }
    }
}

fn run(part: &Part<'_>, sections: &[Section], state: &mut [[Lanes; 2]], data: &mut [f64]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx") {
        // SAFETY: the processor has AVX, the only thing `run_avx` asks of its caller.
        #[allow(unsafe_code)]
        unsafe {
            run_avx(part, sections, state, data);
        }
        return;
    }
    run_plain(part, sections, state, data);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx")]
fn run_avx(part: &Part<'_>, sections: &[Section], state: &mut [[Lanes; 2]], data: &mut [f64]) {
    run_plain(part, sections, state, data);
}

#[inline(always)]
fn run_plain(part: &Part<'_>, sections: &[Section], state: &mut [[Lanes; 2]], data: &mut [f64]) {
    let mut tile = [[0.0; LANES]; TILE];
    let tile = &mut tile[..part.tile];
    for (lane, row) in part.rows.iter().enumerate() {
        let start = row * part.len + part.from;
        for (to, from) in tile.iter_mut().zip(&data[start..start + part.tile]) {
            to[lane] = *from;
        }
    }
    for (section, state) in sections.iter().zip(state) {
        apply(section, state, tile);
    }
    for (lane, row) in part.rows.iter().enumerate() {
        let start = row * part.len + part.from;
        for (from, to) in tile.iter().zip(&mut data[start..start + part.tile]) {
            *to = from[lane];
        }
    }
}

#[inline(always)]
fn apply(section: &Section, state: &mut [Lanes; 2], tile: &mut [Lanes]) {
    let [b0, b1, b2] = section.b;
    let [a1, a2] = section.a;
    let [mut first, mut second] = *state;
    for values in tile {
        for lane in 0..LANES {
            let input = values[lane];
            let output = b0 * input + first[lane];
            // Summed in this order, the way from one output to the next is an addition shorter.
            first[lane] = (b1 * input + second[lane]) - a1 * output;
            second[lane] = b2 * input - a2 * output;
            values[lane] = output;
        }
    }
    *state = [first, second];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Response, butterworth};

    type Kernel = fn(&Part<'_>, &[Section], &mut [[Lanes; 2]], &mut [f64]);

    /// The processor at hand gives the bits that every processor gives.
    #[test]
    fn wide_registers_change_no_bit() {
        let sos = butterworth(4, Response::BandPass(1.0, 40.0), 250.0).unwrap();
        let rows: Vec<usize> = (0..5).collect();
        let part = Part {
            rows: &rows,
            len: 60,
            from: 3,
            tile: 50,
        };
        let data: Vec<f64> = (0..300)
            .map(|n| (f64::from(n) * 0.37).sin() * 80.0)
            .collect();
        let filtered = |kernel: Kernel| {
            let mut state = vec![[[0.25; LANES]; 2]; sos.sections.len()];
            let mut data = data.clone();
            kernel(&part, &sos.sections, &mut state, &mut data);
            data.iter().map(|value| value.to_bits()).collect::<Vec<_>>()
        };
        assert_eq!(filtered(run), filtered(run_plain));
        assert_ne!(filtered(run)[10], data[10].to_bits());
        assert_eq!(filtered(run)[1], data[1].to_bits());
    }
}
