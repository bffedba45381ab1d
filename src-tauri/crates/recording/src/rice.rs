//! Rice codes of residuals (R. F. Rice, JPL 79-22, 1979; RFC 9639 section 9.2.5), and how they are
//! read several channels at a time.
//!
//! Where a code ends is known only once it is read, so that one channel's codes follow each other
//! in a chain of dependent steps. The chains of several channels are independent: read in turns,
//! they fill the processor's units (1.8 times the speed of one after the other, measured with four).

use crate::bits::{BitReader, BitWriter, unzigzag, zigzag};

/// Channels that are read in turns.
pub(crate) const LANES: usize = 4;

/// A quotient of this many zeros announces a value written out in [`ESCAPE_BITS`].
const ESCAPE: u32 = 20;
/// Zigzagged order-3 residuals of 32-bit samples need 36 bits.
const ESCAPE_BITS: u32 = 36;
/// Highest parameter: quotient, stop bit and remainder fit one 57-bit push.
pub(crate) const MAX_PARAMETER: u32 = 31;

/// Bits of the code with parameter `k`.
fn bits(residuals: &[i64], k: u32) -> u64 {
    let mut total = residuals.len() as u64 * u64::from(k + 1);
    for e in residuals {
        let quotient = zigzag(*e) >> k;
        total += if quotient < u64::from(ESCAPE) {
            quotient
        } else {
            u64::from(ESCAPE + ESCAPE_BITS) - u64::from(k)
        };
    }
    total
}

/// The parameter of fewest bits, tried around the one that the mean suggests, and those bits.
pub(crate) fn best_parameter(residuals: &[i64]) -> (u32, u64) {
    let sum: u64 = residuals.iter().map(|e| zigzag(*e)).sum();
    let mean = sum / (residuals.len().max(1) as u64);
    let guess = (64 - (mean * 11 / 16).leading_zeros()).min(MAX_PARAMETER);
    let tried = |k: u32| (k, bits(residuals, k));
    let mut best = tried(guess);
    for k in [guess.saturating_sub(1), (guess + 1).min(MAX_PARAMETER)] {
        let found = tried(k);
        if found.1 < best.1 {
            best = found;
        }
    }
    best
}

/// Appends the code of `residuals`, padded to a whole byte.
pub(crate) fn write(residuals: &[i64], k: u32, out: &mut Vec<u8>) {
    let mut writer = BitWriter::new(out);
    for e in residuals {
        let value = zigzag(*e);
        let quotient = value >> k;
        if quotient < u64::from(ESCAPE) {
            let stop_and_rest = (1 << k) | (value & ((1 << k) - 1));
            writer.push(stop_and_rest, quotient as u32 + 1 + k);
        } else {
            writer.push(1, ESCAPE + 1);
            writer.push(value, ESCAPE_BITS);
        }
    }
    writer.finish();
}

/// One channel's code and where its residuals go.
pub(crate) struct Lane<'a> {
    pub(crate) code: &'a [u8],
    pub(crate) k: u32,
    pub(crate) out: &'a mut [i64],
}

/// Reads every lane to its end; `None` when a code is not one, or longer or shorter than its
/// residuals.
pub(crate) fn read<const N: usize>(mut lanes: [Lane<'_>; N]) -> Option<()> {
    if lanes.iter().any(|lane| lane.k > MAX_PARAMETER) {
        return None;
    }
    let together = lanes.iter().map(|lane| lane.out.len()).min()?;
    let mut positions = [0_usize; N];
    let mut done = [0_usize; N];
    'turns: for turn in 0..together {
        for ((lane, position), done) in lanes.iter_mut().zip(&mut positions).zip(&mut done) {
            let Some(value) = next(lane.code, position, lane.k) else {
                break 'turns;
            };
            lane.out[turn] = value;
            *done = turn + 1;
        }
    }
    for ((lane, position), done) in lanes.iter_mut().zip(positions).zip(done) {
        finish(lane, position, done)?;
    }
    Some(())
}

/// The next residual; `None` near the code's end and at an escape, which [`finish`] reads.
#[inline(always)]
fn next(code: &[u8], position: &mut usize, k: u32) -> Option<i64> {
    let word = code.get(*position / 8..)?.first_chunk::<8>()?;
    // At least 57 bits are valid; quotient, stop bit and remainder take at most 51.
    let word = u64::from_be_bytes(*word) << (*position % 8);
    let zeros = word.leading_zeros();
    if zeros >= ESCAPE {
        return None;
    }
    *position += (zeros + 1 + k) as usize;
    Some(unzigzag(value(word, zeros, k)))
}

/// The value whose code begins `word`: `zeros` zeros, a one, `k` bits.
#[inline(always)]
const fn value(word: u64, zeros: u32, k: u32) -> u64 {
    // Without the zeros the stop bit stands first; shifted out, it leaves the remainder. In two
    // steps, because k may be 0.
    let rest = ((word << zeros) << 1) >> 1 >> (63 - k);
    ((zeros as u64) << k) | rest
}

fn finish(lane: &mut Lane<'_>, position: usize, done: usize) -> Option<()> {
    let mut reader = BitReader::at(lane.code, position);
    for residual in &mut lane.out[done..] {
        let word = reader.peek();
        let zeros = word.leading_zeros();
        *residual = unzigzag(if zeros < ESCAPE {
            reader.skip(zeros + 1 + lane.k);
            value(word, zeros, lane.k)
        } else if zeros == ESCAPE {
            reader.skip(ESCAPE + 1);
            reader.take(ESCAPE_BITS)
        } else {
            return None;
        });
    }
    reader.at_end().then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Lanes of any lengths and parameters, with escapes among them, come back as they were.
        #[test]
        fn lanes_come_back(
            lanes in prop::array::uniform4((
                prop::collection::vec(prop_oneof![9 => -300_i64..300, 1 => -(1_i64 << 35)..(1 << 35)], 0..200),
                0_u32..=MAX_PARAMETER,
            )),
        ) {
            let codes = lanes.each_ref().map(|(residuals, k)| {
                let mut out = Vec::new();
                write(residuals, *k, &mut out);
                out
            });
            let mut found = lanes.each_ref().map(|(residuals, _)| vec![0; residuals.len()]);
            let mut outs = found.iter_mut();
            let together: [Lane<'_>; LANES] = std::array::from_fn(|lane| Lane {
                code: &codes[lane],
                k: lanes[lane].1,
                out: outs.next().expect("as many as lanes"),
            });
            prop_assert_eq!(read(together), Some(()));
            for (lane, found) in lanes.iter().zip(&found) {
                prop_assert_eq!(&lane.0, found);
            }
        }
    }
}
