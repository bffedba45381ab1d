//! Packets of the Ganglion.
//!
//! Source: OpenBCI documentation, 'Ganglion Data Format', and the firmware library that it cites. 20 bytes, the
//! first of which says what the others are. Firmware 3 sends the highest 18 or 19 bits of two samples of each
//! channel; firmware 2 sends a whole sample first and then the differences of two samples to the one before. In
//! both the lowest bit of a number is its sign.

use crate::bits::high_first;

/// Channels.
pub const CHANNELS: usize = 4;
/// Bytes of a packet of samples.
pub const BYTES: usize = 20;

/// Which way samples are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Firmware {
    /// Differences.
    Two,
    /// Highest bits.
    Three,
}

/// A part of the acceleration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Axis {
    /// 0 to 2: x, y, z.
    pub axis: usize,
    /// Counts of 32 mg.
    pub value: i8,
}

/// What a packet says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet<'a> {
    /// One or two samples.
    Samples {
        /// Counter of the first: packets of two samples with firmware 3 (0 to 99), samples with firmware 2
        /// (0 to 200).
        counter: u8,
        /// The samples, counts of the converter.
        samples: [[i32; CHANNELS]; 2],
        /// How many of them.
        count: usize,
        /// With them.
        axis: Option<Axis>,
    },
    /// Differences to a sample that was lost: worthless.
    Baseless,
    /// Impedance of an input (0 to 3) or of the reference (4), as text in ohm.
    Impedance {
        /// Which.
        input: usize,
        /// The text.
        text: &'a [u8],
    },
    /// A message; whether it goes on in the next packet.
    Text {
        /// The text.
        text: &'a [u8],
        /// Whether it goes on.
        more: bool,
    },
}

/// Unpacks samples; keeps what differences refer to.
#[derive(Debug, Clone)]
pub struct Decoder {
    firmware: Firmware,
    /// Packet and sample that the next differences refer to.
    last: Option<(u8, [i32; CHANNELS])>,
}

impl Decoder {
    /// A decoder of what `firmware` sends.
    #[must_use]
    pub const fn new(firmware: Firmware) -> Self {
        Self {
            firmware,
            last: None,
        }
    }

    /// Streaming begins anew.
    pub const fn begin(&mut self) {
        self.last = None;
    }

    /// What a packet says; `None` when it is none.
    pub fn take<'a>(&mut self, bytes: &'a [u8]) -> Option<Packet<'a>> {
        let (id, body) = bytes.split_first()?;
        match *id {
            201..=205 => Some(Packet::Impedance {
                input: usize::from(id - 201),
                text: body,
            }),
            206 | 207 => Some(Packet::Text {
                text: body,
                more: *id == 206,
            }),
            _ if bytes.len() != BYTES => None,
            id => match self.firmware {
                Firmware::Two => self.differences(id, body),
                Firmware::Three => highest(id, body),
            },
        }
    }

    fn differences(&mut self, id: u8, body: &[u8]) -> Option<Packet<'static>> {
        if id == 0 {
            let mut first = [0; CHANNELS];
            for (channel, value) in first.iter_mut().enumerate() {
                *value = extended(high_first(body, channel * 24, 24)?, 24);
            }
            self.last = Some((0, first));
            return Some(Packet::Samples {
                counter: 0,
                samples: [first, [0; CHANNELS]],
                count: 1,
                axis: None,
            });
        }
        let (place, width) = match id {
            1..=100 => (id, 18),
            101..=200 => (id - 100, 19),
            _ => return None,
        };
        let Some((before, mut sample)) = self.last else {
            return Some(Packet::Baseless);
        };
        if place == before {
            // The same again: it would be added twice.
            return None;
        }
        if place != before + 1 {
            self.last = None;
            return Some(Packet::Baseless);
        }
        let mut samples = [[0; CHANNELS]; 2];
        for (n, row) in samples.iter_mut().enumerate() {
            for (channel, value) in sample.iter_mut().enumerate() {
                let number = high_first(body, (n * CHANNELS + channel) * width, width)?;
                // The firmware subtracts the new sample from the one before.
                *value = wrapped(value.wrapping_sub(signed_by_lowest(number, width)));
            }
            *row = sample;
        }
        self.last = Some((place, sample));
        Some(Packet::Samples {
            counter: place * 2 - 1,
            samples,
            count: 2,
            axis: (width == 18).then(|| axis(place, body)).flatten(),
        })
    }
}

fn highest(id: u8, body: &[u8]) -> Option<Packet<'static>> {
    let (place, width) = match id {
        0..=99 => (id, 18),
        100..=199 => (id - 100, 19),
        _ => return None,
    };
    let mut samples = [[0; CHANNELS]; 2];
    for (n, value) in samples.iter_mut().flatten().enumerate() {
        let number = high_first(body, n * width, width)?;
        // The lowest bit repeats the sign and is none of the sample's.
        *value = extended(number & !1, width) << (24 - width);
    }
    Some(Packet::Samples {
        counter: place,
        samples,
        count: 2,
        axis: (width == 18).then(|| axis(place, body)).flatten(),
    })
}

/// Acceleration stands in packets 1, 2, 3 of every ten.
#[allow(clippy::cast_possible_wrap)] // It is a signed byte.
fn axis(place: u8, body: &[u8]) -> Option<Axis> {
    let axis = usize::from(place % 10).checked_sub(1)?;
    let value = *body.get(18)? as i8;
    (axis < 3).then_some(Axis { axis, value })
}

/// A number whose highest bit is its sign.
#[allow(clippy::cast_possible_wrap)] // At most 24 bits.
const fn extended(number: u32, width: usize) -> i32 {
    ((number << (32 - width)) as i32) >> (32 - width)
}

/// A number whose lowest bit is its sign and whose other bits are its lowest ones.
#[allow(clippy::cast_possible_wrap)] // At most 19 bits.
const fn signed_by_lowest(number: u32, width: usize) -> i32 {
    let number = number as i32;
    if number & 1 == 1 {
        number - (1 << width)
    } else {
        number
    }
}

/// Kept within the converter's 24 bits, whatever differences claim.
#[allow(clippy::cast_sign_loss)] // Its bits are meant.
const fn wrapped(value: i32) -> i32 {
    extended(value as u32 & 0xFF_FFFF, 24)
}

/// An impedance in kΩ from its text in ohm; `None` when there is no number in it.
#[must_use]
pub fn impedance_kohm(text: &[u8]) -> Option<f64> {
    let digits = text
        .iter()
        .skip_while(|byte| !byte.is_ascii_digit())
        .take_while(|byte| byte.is_ascii_digit())
        .take(9)
        .fold(None, |number: Option<u32>, digit| {
            Some(number.unwrap_or(0) * 10 + u32::from(digit - b'0'))
        });
    digits.map(|ohm| f64::from(ohm) / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Numbers of `width` bits, highest first.
    fn packed(id: u8, width: usize, numbers: [u32; 8]) -> Vec<u8> {
        let mut bits = Vec::new();
        for number in numbers {
            bits.extend((0..width).rev().map(|bit| number >> bit & 1));
        }
        bits.resize(152, 0);
        let mut bytes = vec![id];
        bytes.extend(bits.chunks(8).map(|eight| {
            let byte = eight.iter().fold(0, |byte, bit| byte << 1 | bit);
            u8::try_from(byte).expect("eight bits")
        }));
        bytes
    }

    #[test]
    fn the_documents_numbers() {
        // OpenBCI 'Ganglion Data Format': 19 bits 0b111_1111_1111_1111_1101 are −3; so are 18.
        assert_eq!(signed_by_lowest(0b111_1111_1111_1111_1101, 19), -3);
        assert_eq!(signed_by_lowest(0b11_1111_1111_1111_1101, 18), -3);
        assert_eq!(signed_by_lowest(0b10, 18), 2);
    }

    #[test]
    fn highest_bits_stand_where_they_were() {
        let mut decoder = Decoder::new(Firmware::Three);
        let numbers = [2, 0x3FFFF, 4, 0, 0, 0, 0x1FFFE, 0x20001];
        let mut bytes = packed(1, 18, numbers);
        bytes[19] = 0xFE;
        let packet = decoder.take(&bytes);
        let Some(Packet::Samples {
            counter,
            samples,
            count,
            axis,
        }) = packet
        else {
            panic!("{packet:?}")
        };
        assert_eq!((counter, count), (1, 2));
        assert_eq!(samples[0], [128, -128, 256, 0]);
        assert_eq!(samples[1][2..], [0x7F_FF80, -0x80_0000]);
        assert_eq!(axis, Some(Axis { axis: 0, value: -2 }));
        let last = packed(199, 19, [2; 8]);
        let packet = decoder.take(&last);
        assert!(
            matches!(packet, Some(Packet::Samples { counter: 99, samples, axis: None, .. })
                if samples[1] == [64; 4])
        );
    }

    #[test]
    fn differences_are_subtracted_and_a_lost_packet_makes_the_rest_worthless() {
        let mut decoder = Decoder::new(Firmware::Two);
        assert_eq!(decoder.take(&packed(1, 18, [0; 8])), Some(Packet::Baseless));
        let mut raw = vec![0];
        raw.extend([0, 0, 100].repeat(4));
        raw.extend(b"ABCDEFG");
        assert!(decoder.take(&raw).is_some());
        let up = (1 << 18) - 1;
        let first = packed(1, 18, [up, 2, 0, 0, up, 2, 0, 0]);
        let packet = decoder.take(&first);
        assert!(
            matches!(packet, Some(Packet::Samples { counter: 1, samples, .. })
            if samples == [[101, 98, 100, 100], [102, 96, 100, 100]])
        );
        assert_eq!(decoder.take(&packed(1, 18, [0; 8])), None, "the same again");
        assert_eq!(decoder.take(&packed(3, 18, [0; 8])), Some(Packet::Baseless));
        assert_eq!(decoder.take(&packed(4, 18, [0; 8])), Some(Packet::Baseless));
        assert!(matches!(
            decoder.take(&raw),
            Some(Packet::Samples {
                counter: 0,
                count: 1,
                ..
            })
        ));
        let finer = packed(101, 19, [0; 8]);
        let packet = decoder.take(&finer);
        assert!(matches!(packet, Some(Packet::Samples { counter: 1, .. })));
    }

    #[test]
    fn impedances_and_texts() {
        let mut decoder = Decoder::new(Firmware::Three);
        let packet = decoder.take(b"\xCA4500Z\n");
        let Some(Packet::Impedance { input: 1, text }) = packet else {
            panic!("{packet:?}")
        };
        assert_eq!(impedance_kohm(text), Some(4.5));
        assert_eq!(impedance_kohm(b"Z"), None);
        assert_eq!(
            decoder.take(b"\xCEOpen"),
            Some(Packet::Text {
                text: b"Open",
                more: true
            })
        );
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(
            packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..24), 0..40),
            two in any::<bool>(),
        ) {
            let mut decoder = Decoder::new(if two { Firmware::Two } else { Firmware::Three });
            for bytes in &packets {
                match decoder.take(bytes) {
                    Some(Packet::Samples { samples, counter, .. }) => {
                        prop_assert!(samples.iter().flatten().all(|v| (-(1 << 23)..1 << 23).contains(v)));
                        let modulus = if two { 201 } else { 100 };
                        prop_assert!(counter < modulus);
                    }
                    Some(Packet::Impedance { text, .. }) => { std::hint::black_box(impedance_kohm(text)); }
                    _ => {}
                }
            }
        }
    }
}
