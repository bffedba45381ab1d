//! Notifications of the Muse S Athena, which carries all its sensors over one characteristic.
//!
//! The maker publishes no protocol. The layout follows the published analysis of the OpenMuse project
//! (DominiqueMakowski/OpenMuse) and was held against its recordings: a notification is a row of packets, each with
//! its length, counter, device time (256 kHz) and a row of parts; a part has a tag that says what it measures, a
//! counter of its own kind, three bytes of unknown meaning and its data, least significant bit first.

use crate::bits::low_first;

/// Bytes before the parts of a packet.
const HEADER: usize = 9;
/// Bytes before a part's data.
const PART: usize = 5;

/// Ticks of the device's clock in a second.
pub const TICKS_PER_S: u32 = 256_000;
/// Most numbers of a part: 18 of motion.
pub const MOST_VALUES: usize = 18;

/// What a part measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Potentials, of 4 or 8 channels: 14 bits, 256 Hz.
    Eeg {
        /// Channels.
        channels: usize,
    },
    /// Light of 4, 8 or 16 channels: 20 bits, 64 Hz.
    Optics {
        /// Channels.
        channels: usize,
    },
    /// Acceleration and angular rate: 3 + 3 signed numbers, 52 Hz.
    Motion,
    /// Battery: charge in 1/256 per cent.
    Battery,
    /// Something of which the length alone is known.
    Unknown,
}

impl Kind {
    const fn of(tag: u8) -> Option<(Self, usize)> {
        Some(match tag {
            0x11 => (Self::Eeg { channels: 4 }, 28),
            0x12 => (Self::Eeg { channels: 8 }, 28),
            0x34 => (Self::Optics { channels: 4 }, 30),
            0x35 => (Self::Optics { channels: 8 }, 40),
            0x36 => (Self::Optics { channels: 16 }, 40),
            0x47 => (Self::Motion, 36),
            0x53 => (Self::Unknown, 24),
            0x98 => (Self::Battery, 20),
            _ => return None,
        })
    }

    /// Channels and samples of a part.
    #[must_use]
    pub const fn shape(self) -> (usize, usize) {
        match self {
            Self::Eeg { channels } => (channels, 16 / channels),
            Self::Optics { channels: 4 } => (4, 3),
            Self::Optics { channels } => (channels, 16 / channels),
            Self::Motion => (6, 3),
            Self::Battery => (1, 1),
            Self::Unknown => (0, 0),
        }
    }
}

/// One part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'a> {
    /// What it measures.
    pub kind: Kind,
    /// Counter of parts of this kind.
    pub counter: u8,
    /// Counter of packets.
    pub packet: u8,
    /// Device time of the packet, ticks.
    pub ticks: u32,
    data: &'a [u8],
}

impl Part<'_> {
    /// Its numbers, all channels of a sample after each other; how many stands in [`Kind::shape`].
    #[must_use]
    #[allow(clippy::cast_possible_wrap, clippy::cast_possible_truncation)] // At most 20 bits; 16 where signed.
    pub fn values(&self) -> [i32; MOST_VALUES] {
        let mut values = [0; MOST_VALUES];
        let (channels, samples) = self.kind.shape();
        let width = match self.kind {
            Kind::Eeg { .. } => 14,
            Kind::Optics { .. } => 20,
            Kind::Motion | Kind::Battery => 16,
            Kind::Unknown => return values,
        };
        for (n, value) in values.iter_mut().enumerate().take(channels * samples) {
            let raw = low_first(self.data, n * width, width).unwrap_or(0);
            *value = match self.kind {
                Kind::Motion => i32::from(raw as u16 as i16),
                _ => raw as i32,
            };
        }
        values
    }
}

/// Gives every part of a notification in order; the number of bytes at its end that make no part.
pub fn parts<'a>(mut bytes: &'a [u8], mut give: impl FnMut(&Part<'a>)) -> usize {
    let mut skipped = 0;
    while let Some(length) = bytes.first().map(|length| usize::from(*length)) {
        if length < HEADER + PART || length > bytes.len() {
            return skipped + bytes.len();
        }
        let (packet, rest) = bytes.split_at(length);
        bytes = rest;
        let ticks = u32::from_le_bytes([packet[2], packet[3], packet[4], packet[5]]);
        let mut at = HEADER;
        while at < packet.len() {
            let Some((kind, size)) = Kind::of(packet[at]) else {
                break;
            };
            let (Some(counter), Some(data)) =
                (packet.get(at + 1), packet.get(at + PART..at + PART + size))
            else {
                break;
            };
            give(&Part {
                kind,
                counter: *counter,
                packet: packet[1],
                ticks,
                data,
            });
            at += PART + size;
        }
        skipped += packet.len() - at;
    }
    skipped
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(parts: &[(u8, u8, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0, 7, 0x40, 0x42, 0x0F, 0, 1, 2, 3];
        for (tag, counter, data) in parts {
            bytes.extend([*tag, *counter, 0, 0, 0]);
            bytes.extend_from_slice(data);
        }
        bytes[0] = u8::try_from(bytes.len()).expect("short");
        bytes
    }

    #[test]
    fn parts_are_found_and_what_follows_is_counted() {
        let mut eeg = [0_u8; 28];
        eeg[..4].copy_from_slice(&[0xFF, 0x3F, 0x01, 0x00]);
        let mut bytes = packet(&[(0x12, 3, &eeg), (0x47, 9, &[0xFF; 36])]);
        bytes.extend(packet(&[(0x98, 1, &[0; 20])]));
        bytes.push(99);
        let mut found = Vec::new();
        let skipped = parts(&bytes, |part| {
            found.push((part.kind, part.counter, part.ticks, part.values()));
        });
        assert_eq!((found.len(), skipped), (3, 1));
        assert_eq!(found[0].0, Kind::Eeg { channels: 8 });
        assert_eq!((found[0].1, found[0].2), (3, 1_000_000));
        assert_eq!(found[0].3[..3], [0x3FFF, 4, 0]);
        assert_eq!(found[1].3, [-1; MOST_VALUES]);
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut used = 0;
            let skipped = parts(&bytes, |part| {
                used += PART + part.data.len();
                std::hint::black_box(part.values());
            });
            prop_assert!(used + skipped <= bytes.len());
        }

        #[test]
        fn a_turned_bit_breaks_nothing(at in 0_usize..112, bit in 0_u8..8) {
            let mut bytes = packet(&[(0x12, 3, &[0; 28]), (0x47, 9, &[0; 36]), (0x98, 1, &[0; 20])]);
            let last = bytes.len() - 1;
            bytes[at.min(last)] ^= 1 << bit;
            parts(&bytes, |part| { std::hint::black_box(part.values()); });
        }
    }
}
