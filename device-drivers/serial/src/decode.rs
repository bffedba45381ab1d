//! From bytes to samples: packets, their pairs with a Daisy, and what came beside the potentials.

use crate::aux::{self, MOST};
use crate::limits::{CONFIRM, READ_BYTES};
use crate::packet::{CHANNELS, Framer, PACKET, Packet};
use crate::pairing::{Halves, Pair, Pairing};
use crate::settings::BoardMode;
use signal::HostNanos;

/// Most packets that one read can complete.
const MOST_PACKETS: usize = READ_BYTES / PACKET + 2;

/// One sample of every channel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) counter: u8,
    /// The first 8 without a Daisy.
    pub(crate) values: [i32; 2 * CHANNELS],
    pub(crate) aux: [i32; MOST],
    pub(crate) halves: Halves,
    /// When its last byte was read.
    pub(crate) at: HostNanos,
}

/// Reading allocates nothing: everything has room for what one read can bring.
#[derive(Debug)]
pub(crate) struct Decoder {
    daisy: bool,
    mode: BoardMode,
    stamps: bool,
    framer: Framer,
    pairing: Pairing,
    packets: Vec<(Packet, HostNanos)>,
    pairs: Vec<(Pair, HostNanos)>,
    /// Samples in the order of arrival, until [`Self::clear`].
    pub(crate) samples: Vec<Sample>,
    /// New accelerations, counts, with their packet's time.
    pub(crate) accelerations: Vec<([i16; 3], HostNanos)>,
}

impl Decoder {
    pub(crate) fn new(daisy: bool, mode: BoardMode, stamps: bool) -> Self {
        Self {
            daisy,
            mode,
            stamps,
            framer: Framer::default(),
            pairing: Pairing::default(),
            packets: Vec::with_capacity(MOST_PACKETS),
            pairs: Vec::with_capacity(2 * MOST_PACKETS),
            samples: Vec::with_capacity(2 * MOST_PACKETS),
            accelerations: Vec::with_capacity(MOST_PACKETS),
        }
    }

    /// Streaming begins: nothing of before belongs to what comes.
    pub(crate) fn begin(&mut self) {
        self.framer.clear();
        self.pairing.clear();
        self.clear();
    }

    /// What was decoded has been taken.
    pub(crate) fn clear(&mut self) {
        self.packets.clear();
        self.pairs.clear();
        self.samples.clear();
        self.accelerations.clear();
    }

    /// Bytes that made no packet since this was last asked.
    pub(crate) const fn take_skipped(&mut self) -> u64 {
        self.framer.take_skipped()
    }

    /// The line has ended: what waits for more has come whole.
    pub(crate) fn end(&mut self) {
        self.push(&[], HostNanos(i64::MAX));
    }

    /// Decodes what was read at `now`, which may be nothing.
    pub(crate) fn push(&mut self, bytes: &[u8], now: HostNanos) {
        let packets = &mut self.packets;
        self.framer
            .push(bytes, now, |packet, at| packets.push((packet, at)));
        self.framer
            .flush(now, |packet, at| packets.push((packet, at)));
        for (packet, at) in &self.packets {
            if let Some(axes) = packet.acceleration() {
                self.accelerations.push((axes, *at));
            }
            if self.daisy {
                let pairs = &mut self.pairs;
                (self.pairing).push(*packet, *at, |pair, at| pairs.push((pair, at)));
            } else {
                let mut values = [0; 2 * CHANNELS];
                values[..CHANNELS].copy_from_slice(&packet.values);
                let pair = Pair {
                    counter: packet.counter,
                    values,
                    halves: Halves::Both,
                    last: *packet,
                };
                self.pairs.push((pair, *at));
            }
        }
        self.packets.clear();
        // The other half comes one packet later, or is lost.
        let wait = i64::try_from(2 * CONFIRM.as_nanos()).unwrap_or(i64::MAX);
        let pairs = &mut self.pairs;
        (self.pairing).flush(now.plus_nanos(-wait), |pair, at| pairs.push((pair, at)));
        for (pair, at) in &self.pairs {
            let mut aux = [0; MOST];
            aux::values(&pair.last, self.mode, self.stamps, &mut aux);
            self.samples.push(Sample {
                counter: pair.counter,
                values: pair.values,
                aux,
                halves: pair.halves,
                at: *at,
            });
        }
        self.pairs.clear();
    }
}
