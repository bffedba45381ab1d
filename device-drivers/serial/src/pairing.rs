//! Cyton and Daisy take turns: 16 channels in two packets.
//!
//! OpenBCI's 'Cyton Data Format', 16-channel data: packets with an odd counter carry the board's channels 1–8,
//! those with an even one the Daisy's 9–16, and the two make one sample at half the rate. An even packet
//! completes the odd one before it. A half whose other half is lost is given with [`Halves`] saying which is
//! there: nothing is repeated in its place.

use crate::packet::{CHANNELS, Packet};
use signal::HostNanos;

/// Count given for a channel whose half was lost: the converter's negative rail, which no intact input
/// reaches and every page marks.
pub(crate) const LOST: i32 = -(1 << 23);

/// Which halves of a sample came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halves {
    /// Both.
    Both,
    /// The board's: channels 9–16 are lost.
    Board,
    /// The Daisy's: channels 1–8 are lost.
    Daisy,
}

/// One sample of 16 channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// Counter of the board's half, odd; of the half that would have been it when that was lost.
    pub counter: u8,
    /// Counts; −2²³, the negative rail, in the half that is not there.
    pub values: [i32; 2 * CHANNELS],
    /// What is there.
    pub halves: Halves,
    /// The packet that came last, with its auxiliary bytes.
    pub last: Packet,
}

/// Joins halves.
#[derive(Debug, Default)]
pub struct Pairing {
    board: Option<(Packet, HostNanos)>,
    begun: bool,
}

impl Pairing {
    /// Takes a packet that came at `at`, and gives what it completes.
    pub fn push(&mut self, packet: Packet, at: HostNanos, mut give: impl FnMut(Pair, HostNanos)) {
        if packet.counter % 2 == 1 {
            if let Some((board, at)) = self.board.replace((packet, at)) {
                give(half(board, Halves::Board), at);
            }
            self.begun = true;
            return;
        }
        let expected = packet.counter.wrapping_sub(1);
        match self.board.take() {
            Some((board, _)) if board.counter == expected => {
                let mut pair = half(board, Halves::Both);
                pair.values[CHANNELS..].copy_from_slice(&packet.values);
                pair.last = packet;
                give(pair, at);
            }
            lone => {
                if let Some((board, at)) = lone {
                    give(half(board, Halves::Board), at);
                }
                // The first packet after a start completes nothing: it is half of a sample that was never
                // taken whole.
                if self.begun {
                    give(half(packet, Halves::Daisy), at);
                }
                self.begun = true;
            }
        }
    }

    /// Gives the board's half that waits since before `since`.
    pub fn flush(&mut self, since: HostNanos, mut give: impl FnMut(Pair, HostNanos)) {
        if let Some((board, at)) = self.board.take_if(|(_, at)| *at < since) {
            give(half(board, Halves::Board), at);
        }
    }

    /// Forgets what waits: streaming begins anew.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

fn half(packet: Packet, halves: Halves) -> Pair {
    let mut values = [LOST; 2 * CHANNELS];
    let place = usize::from(halves == Halves::Daisy) * CHANNELS;
    values[place..place + CHANNELS].copy_from_slice(&packet.values);
    let counter = match halves {
        Halves::Daisy => packet.counter.wrapping_sub(1),
        Halves::Both | Halves::Board => packet.counter,
    };
    Pair {
        counter,
        values,
        halves,
        last: packet,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Aux;

    fn pairs(counters: &[u8]) -> Vec<(u8, Halves, i32, i32)> {
        let mut pairing = Pairing::default();
        let mut got = Vec::new();
        for counter in counters {
            let packet = Packet {
                counter: *counter,
                values: [i32::from(*counter); CHANNELS],
                kind: Aux::Accelerometer,
                aux: [0; 6],
            };
            pairing.push(packet, HostNanos(0), |pair, _| {
                got.push((pair.counter, pair.halves, pair.values[0], pair.values[8]));
            });
        }
        pairing.flush(HostNanos(1), |pair, _| {
            got.push((pair.counter, pair.halves, pair.values[0], pair.values[8]));
        });
        got
    }

    #[test]
    fn odd_and_even_make_one_sample_and_the_first_half_alone_makes_none() {
        let both = Halves::Both;
        assert_eq!(pairs(&[0, 1, 2, 3, 4]), [(1, both, 1, 2), (3, both, 3, 4)]);
        assert_eq!(
            pairs(&[253, 254, 255, 0]),
            [(253, both, 253, 254), (255, both, 255, 0)]
        );
    }

    #[test]
    fn a_lost_half_leaves_its_channels_empty() {
        assert_eq!(
            pairs(&[1, 2, 4, 5, 7, 8, 9]),
            [
                (1, Halves::Both, 1, 2),
                (3, Halves::Daisy, LOST, 4),
                (5, Halves::Board, 5, LOST),
                (7, Halves::Both, 7, 8),
                (9, Halves::Board, 9, LOST),
            ]
        );
    }

    #[test]
    fn halves_of_two_samples_are_not_joined() {
        assert_eq!(
            pairs(&[1, 4]),
            [(1, Halves::Board, 1, LOST), (3, Halves::Daisy, LOST, 4)]
        );
    }
}
