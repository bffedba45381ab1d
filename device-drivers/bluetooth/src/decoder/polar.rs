//! ECG frames of Polar straps (H10), from Polar's 'Measurement Data Specification' (polar-ble-sdk): a type (0: ECG),
//! the strap's clock at the last sample (64 bits, ns), a frame type (0), and samples of 24 bits in µV, lowest byte
//! first.

/// Bytes before the samples.
const HEADER: usize = 10;
/// Most samples of a frame: what a 512-byte attribute can hold.
pub const MOST_SAMPLES: usize = (512 - HEADER) / 3;

/// A frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The strap's clock at the last sample, ns.
    pub last_ns: u64,
    samples: &'a [u8],
}

impl Frame<'_> {
    /// Samples in it.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.samples.len() / 3
    }

    /// Sample `n`, µV.
    #[must_use]
    pub fn sample(&self, n: usize) -> Option<i32> {
        let three = self.samples.get(n * 3..n * 3 + 3)?;
        // Into the upper bytes, then down again: the sign goes along.
        Some(i32::from_le_bytes([0, three[0], three[1], three[2]]) >> 8)
    }
}

/// A frame from its bytes; `None` when it is none of ECG.
#[must_use]
pub fn ecg(bytes: &[u8]) -> Option<Frame<'_>> {
    let (header, samples) = bytes.split_first_chunk::<HEADER>()?;
    let [0, clock @ .., 0] = header else {
        return None;
    };
    let fits =
        !samples.is_empty() && samples.len().is_multiple_of(3) && samples.len() / 3 <= MOST_SAMPLES;
    fits.then(|| Frame {
        last_ns: u64::from_le_bytes(*clock),
        samples,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn samples_are_signed_and_lowest_byte_first() {
        let mut bytes = vec![0];
        bytes.extend(1_000_000_007_u64.to_le_bytes());
        bytes.extend([0, 0x01, 0x02, 0x00, 0xFE, 0xFF, 0xFF]);
        let frame = ecg(&bytes).expect("a frame");
        assert_eq!((frame.last_ns, frame.count()), (1_000_000_007, 2));
        let samples: Vec<_> = (0..3).map(|n| frame.sample(n)).collect();
        assert_eq!(samples, [Some(0x201), Some(-2), None]);
        // Acceleration, another frame type, a cut sample, nothing.
        for (at, value) in [(0, 2), (9, 1)] {
            let mut other = bytes.clone();
            other[at] = value;
            assert_eq!(ecg(&other), None);
        }
        assert_eq!(ecg(&bytes[..bytes.len() - 1]), None);
        assert_eq!(ecg(&bytes[..HEADER]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            if let Some(frame) = ecg(&bytes) {
                prop_assert!(frame.count() <= MOST_SAMPLES);
                prop_assert!((0..frame.count()).all(|n| frame.sample(n).is_some()));
            }
        }
    }
}
