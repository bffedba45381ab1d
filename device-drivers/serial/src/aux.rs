//! The auxiliary bytes as integers, unscaled: they keep the sample they came with.

use crate::packet::{Aux, Packet};
use crate::settings::BoardMode;

/// Most values of a packet.
pub(crate) const MOST: usize = 6;

/// What `packet` carries beside the potentials, in the order in which the description names it; the number
/// of values written. A packet of another kind than the mode's gives zeros: the board has not switched yet.
///
/// The bytes: analogue inputs are three 16-bit integers; digital inputs one byte each, D18 in the sixth; a
/// marker is the second byte (OpenBCI Cyton firmware 3, board modes).
pub(crate) fn values(
    packet: &Packet,
    mode: BoardMode,
    stamps: bool,
    out: &mut [i32; MOST],
) -> usize {
    let raw = matches!(packet.kind, Aux::Raw | Aux::StampedRaw | Aux::User);
    let aux = if raw { packet.aux } else { [0; 6] };
    let word = |at: usize| i32::from(i16::from_be_bytes([aux[at], aux[at + 1]]));
    let byte = |at: usize| i32::from(aux[at]);
    let mut count = match (mode, stamps) {
        (BoardMode::Accelerometer, _) => 0,
        (BoardMode::Analog, true) => fill(out, &[word(0)]),
        (BoardMode::Analog, false) => fill(out, &[word(0), word(2), word(4)]),
        (BoardMode::Digital, true) => fill(out, &[byte(0), byte(1)]),
        (BoardMode::Digital, false) => fill(out, &[byte(0), byte(1), byte(2), byte(3), byte(5)]),
        (BoardMode::Marker, _) => fill(out, &[word(0)]),
    };
    if stamps {
        // The board's clock is unsigned and wraps in 49 days; its bits are kept.
        out[count] = packet.board_ms().unwrap_or(0).cast_signed();
        count += 1;
    }
    count
}

fn fill(out: &mut [i32; MOST], values: &[i32]) -> usize {
    out[..values.len()].copy_from_slice(values);
    values.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_has_its_bytes() {
        let mut packet = Packet {
            counter: 0,
            values: [0; 8],
            kind: Aux::Raw,
            aux: [0, 1, 0xFF, 0xFF, 3, 4],
        };
        let mut out = [0; MOST];
        assert_eq!(values(&packet, BoardMode::Analog, false, &mut out), 3);
        assert_eq!(out[..3], [1, -1, 0x304]);
        assert_eq!(values(&packet, BoardMode::Digital, false, &mut out), 5);
        assert_eq!(out[..5], [0, 1, 255, 255, 4]);
        packet.kind = Aux::StampedRaw;
        packet.aux = [0, 7, 0xFF, 0, 0, 1];
        assert_eq!(values(&packet, BoardMode::Marker, true, &mut out), 2);
        assert_eq!((out[0], out[1].cast_unsigned()), (7, 0xFF00_0001));
        packet.kind = Aux::Accelerometer;
        assert_eq!(values(&packet, BoardMode::Marker, false, &mut out), 1);
        assert_eq!(out[0], 0);
    }
}
