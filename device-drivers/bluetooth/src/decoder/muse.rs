//! Notifications of the Muse of 2016, the Muse 2 and the Muse S.
//!
//! The maker publishes no protocol; these facts are those on which the open programs muse-lsl, muse-js and
//! BrainFlow agree. Every packet begins with a 16-bit counter of its own characteristic, highest byte first.

use crate::bits::high_first;

/// Samples of a packet of potentials.
pub const EEG_SAMPLES: usize = 12;
/// Samples of a packet of acceleration or angular rate, three axes each.
pub const MOTION_SAMPLES: usize = 3;
/// Samples of a packet of light.
pub const PPG_SAMPLES: usize = 6;

/// A counter and the samples that follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<const N: usize> {
    /// The characteristic's counter.
    pub counter: u16,
    /// Its samples.
    pub samples: [i32; N],
}

/// State of the headband.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Telemetry {
    /// The characteristic's counter.
    pub counter: u16,
    /// Charge, 1/512 per cent.
    pub charge: u16,
    /// Temperature, °C.
    pub temperature: u16,
}

impl Telemetry {
    /// Charge in per cent.
    #[must_use]
    pub fn percent(&self) -> u8 {
        u8::try_from((self.charge / 512).min(100)).unwrap_or(100)
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    let two = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes([two[0], two[1]]))
}

fn packet<const N: usize>(
    bytes: &[u8],
    width: usize,
    read: impl Fn(u32) -> i32,
) -> Option<Packet<N>> {
    if bytes.len() != 2 + (N * width) / 8 {
        return None;
    }
    let mut samples = [0; N];
    for (n, sample) in samples.iter_mut().enumerate() {
        *sample = read(high_first(bytes, 16 + n * width, width)?);
    }
    Some(Packet {
        counter: word(bytes, 0)?,
        samples,
    })
}

#[allow(clippy::cast_possible_wrap)] // At most 24 bits.
const fn unsigned(value: u32) -> i32 {
    value as i32
}

#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // Exactly 16 bits.
const fn signed(value: u32) -> i32 {
    value as u16 as i16 as i32
}

/// A packet of potentials: twelve numbers of 12 bits. `None` when it is none.
#[must_use]
pub fn eeg(bytes: &[u8]) -> Option<Packet<EEG_SAMPLES>> {
    packet(bytes, 12, unsigned)
}

/// A packet of light: six numbers of 24 bits. `None` when it is none.
#[must_use]
pub fn ppg(bytes: &[u8]) -> Option<Packet<PPG_SAMPLES>> {
    packet(bytes, 24, unsigned)
}

/// A packet of acceleration or angular rate: x, y, z three times, 16 bits each. `None` when it is none.
#[must_use]
pub fn motion(bytes: &[u8]) -> Option<Packet<{ 3 * MOTION_SAMPLES }>> {
    packet(bytes, 16, signed)
}

/// Battery and temperature. `None` when it is none.
#[must_use]
pub fn telemetry(bytes: &[u8]) -> Option<Telemetry> {
    Some(Telemetry {
        counter: word(bytes, 0)?,
        charge: word(bytes, 2)?,
        temperature: word(bytes, 8)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn twelve_bits_highest_first() {
        let mut bytes = vec![0x12, 0x34];
        bytes.extend([0x80, 0x07, 0xFF].repeat(6));
        let packet = eeg(&bytes).expect("a packet");
        assert_eq!(packet.counter, 0x1234);
        assert_eq!(packet.samples[..4], [0x800, 0x7FF, 0x800, 0x7FF]);
        assert!(eeg(&bytes[..19]).is_none());
    }

    #[test]
    fn axes_are_signed_and_light_is_not() {
        let mut bytes = vec![0, 1];
        bytes.extend([0xFF, 0xFF, 0x40, 0x00, 0x80, 0x00].repeat(3));
        assert_eq!(
            motion(&bytes).expect("a packet").samples[..3],
            [-1, 0x4000, -0x8000]
        );
        let mut bytes = vec![0, 1];
        bytes.extend([0xFF, 0xFF, 0xFE].repeat(6));
        assert_eq!(ppg(&bytes).expect("a packet").samples, [0xFF_FFFE; 6]);
    }

    #[test]
    fn charge_is_in_512ths() {
        let bytes = [0, 9, 0x64, 0x00, 0, 0, 0, 0, 0, 30];
        let telemetry = telemetry(&bytes).expect("a packet");
        assert_eq!((telemetry.percent(), telemetry.temperature), (50, 30));
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(eeg(&bytes).is_some(), bytes.len() == 20);
            prop_assert_eq!(ppg(&bytes).is_some(), bytes.len() == 20);
            prop_assert_eq!(motion(&bytes).is_some(), bytes.len() == 20);
            std::hint::black_box(telemetry(&bytes));
        }
    }
}
