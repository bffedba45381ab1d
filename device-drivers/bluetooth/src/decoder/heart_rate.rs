//! The heart-rate measurement characteristic, 2a37 (Bluetooth SIG, Heart Rate Service 1.0, section 3.1, and GATT
//! Specification Supplement, 'Heart Rate Measurement').

/// Most intervals in one measurement: what a 512-byte attribute can hold.
pub const MOST_INTERVALS: usize = 256;

/// A measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measurement<'a> {
    /// Beats a minute.
    pub rate: u16,
    /// Whether the sensor touches the skin; `None` when it cannot tell.
    pub contact: Option<bool>,
    /// Energy expended, kJ.
    pub energy_kj: Option<u16>,
    intervals: &'a [u8],
}

impl Measurement<'_> {
    /// Intervals between beats, 1/1024 s, oldest first.
    pub fn intervals(&self) -> impl Iterator<Item = u16> + '_ {
        self.intervals
            .chunks_exact(2)
            .take(MOST_INTERVALS)
            .map(|two| u16::from_le_bytes([two[0], two[1]]))
    }
}

/// A measurement from its bytes; `None` when they are none.
#[must_use]
pub fn measurement(bytes: &[u8]) -> Option<Measurement<'_>> {
    let (flags, rest) = bytes.split_first()?;
    let (rate, rest) = if flags & 1 == 0 {
        let (rate, rest) = rest.split_first()?;
        (u16::from(*rate), rest)
    } else {
        word(rest)?
    };
    let (energy_kj, rest) = if flags & 8 == 0 {
        (None, rest)
    } else {
        let (energy, rest) = word(rest)?;
        (Some(energy), rest)
    };
    let intervals = if flags & 16 == 0 { &[][..] } else { rest };
    if !intervals.len().is_multiple_of(2) {
        return None;
    }
    Some(Measurement {
        rate,
        contact: (flags & 4 != 0).then_some(flags & 2 != 0),
        energy_kj,
        intervals,
    })
}

fn word(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (two, rest) = bytes.split_at_checked(2)?;
    Some((u16::from_le_bytes([two[0], two[1]]), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_field_has_its_flag() {
        let short = measurement(&[0x06, 72]).expect("a measurement");
        assert_eq!((short.rate, short.contact), (72, Some(true)));
        let long = measurement(&[0x19, 0x2C, 0x01, 5, 0, 0x00, 0x04, 0x80, 0x02]);
        let long = long.expect("a measurement");
        assert_eq!(
            (long.rate, long.contact, long.energy_kj),
            (300, None, Some(5))
        );
        assert_eq!(long.intervals().collect::<Vec<_>>(), [1024, 640]);
        assert!(measurement(&[0x10, 72, 1]).is_none());
        assert!(measurement(&[0x01, 72]).is_none());
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            if let Some(found) = measurement(&bytes) {
                prop_assert!(found.intervals().count() <= MOST_INTERVALS);
            }
        }
    }
}
