//! The Cyton's packets: 33 bytes, from OpenBCI's documentation 'Cyton Data Format' (binary format).
//!
//! `0xA0`, counter, 8 × 24-bit big-endian two's complement, 6 auxiliary bytes, footer `0xC0`–`0xC6`.

use crate::limits::CONFIRM;
use signal::HostNanos;

/// Bytes of a packet.
pub(crate) const PACKET: usize = 33;
/// Channels in a packet.
pub(crate) const CHANNELS: usize = 8;
const START: u8 = 0xA0;

/// What the footer says of the auxiliary bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aux {
    /// `0xC0`: acceleration, three 16-bit integers; all zero when there is no new one.
    Accelerometer,
    /// `0xC1`: whatever the board mode puts there.
    Raw,
    /// `0xC2`: the user's own.
    User,
    /// `0xC3`, `0xC4`: an axis' letter and byte, then the board's clock; `0xC3` has just set it.
    StampedAccelerometer,
    /// `0xC5`, `0xC6`: two bytes of the board mode, then the board's clock; `0xC5` has just set it.
    StampedRaw,
}

impl Aux {
    const fn of(footer: u8) -> Option<Self> {
        match footer {
            0xC0 => Some(Self::Accelerometer),
            0xC1 => Some(Self::Raw),
            0xC2 => Some(Self::User),
            0xC3 | 0xC4 => Some(Self::StampedAccelerometer),
            0xC5 | 0xC6 => Some(Self::StampedRaw),
            _ => None,
        }
    }
}

/// One packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// The board's counter.
    pub counter: u8,
    /// Counts of the channels, as delivered.
    pub values: [i32; CHANNELS],
    /// Meaning of [`Self::aux`].
    pub kind: Aux,
    /// The auxiliary bytes.
    pub aux: [u8; 6],
}

impl Packet {
    /// Reads a packet; `None` when start or footer are none.
    #[must_use]
    pub fn read(bytes: &[u8; PACKET]) -> Option<Self> {
        let kind = Aux::of(bytes[PACKET - 1])?;
        if bytes[0] != START {
            return None;
        }
        let mut values = [0; CHANNELS];
        for (value, three) in values.iter_mut().zip(bytes[2..26].chunks_exact(3)) {
            // Into the upper bytes, then down again: the sign goes along.
            *value = i32::from_be_bytes([three[0], three[1], three[2], 0]) >> 8;
        }
        let mut aux = [0; 6];
        aux.copy_from_slice(&bytes[26..32]);
        Some(Self {
            counter: bytes[1],
            values,
            kind,
            aux,
        })
    }

    /// Acceleration, counts of the three axes, where the packet brings a new one.
    #[must_use]
    pub fn acceleration(&self) -> Option<[i16; 3]> {
        let fresh = self.kind == Aux::Accelerometer && self.aux != [0; 6];
        let word = |at: usize| i16::from_be_bytes([self.aux[at], self.aux[at + 1]]);
        fresh.then(|| [word(0), word(2), word(4)])
    }

    /// The board's clock, ms since it was switched on, where the packet brings it.
    #[must_use]
    pub const fn board_ms(&self) -> Option<u32> {
        let [_, _, a, b, c, d] = self.aux;
        match self.kind {
            Aux::StampedAccelerometer | Aux::StampedRaw => Some(u32::from_be_bytes([a, b, c, d])),
            Aux::Accelerometer | Aux::Raw | Aux::User => None,
        }
    }
}

/// Finds packets in a stream of bytes.
///
/// Packets have no check sum. Start and footer must fit; and a cut packet, whose end is the next one's
/// beginning, must not pass for a whole one. So the last packet of a burst waits for the byte after it, or for
/// 20 ms: the next one's start proves it, and anything else is looked through for a successor that
/// begins too early. Two cut ones in a row, or foreign bytes right after a cut one, can still look like a packet (a
/// footer is one byte in 37): nothing in the protocol tells.
#[derive(Debug)]
pub struct Framer {
    buffer: [u8; 2 * PACKET],
    held: usize,
    /// When the packet at the front became complete.
    complete_at: Option<HostNanos>,
    skipped: u64,
}

impl Default for Framer {
    fn default() -> Self {
        Self {
            buffer: [0; 2 * PACKET],
            held: 0,
            complete_at: None,
            skipped: 0,
        }
    }
}

impl Framer {
    /// Forgets what is held.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Bytes that made no packet since this was last asked.
    pub const fn take_skipped(&mut self) -> u64 {
        let skipped = self.skipped;
        self.skipped = 0;
        skipped
    }

    /// Takes `bytes`, which came at `arrival`; gives each packet with the time at which it was complete.
    pub fn push(
        &mut self,
        bytes: &[u8],
        arrival: HostNanos,
        mut give: impl FnMut(Packet, HostNanos),
    ) {
        let mut rest = bytes;
        // What is held is completed first; from then on packets are read where they lie.
        while self.held > 0 && !rest.is_empty() {
            let take = rest.len().min(self.buffer.len() - self.held);
            self.buffer[self.held..self.held + take].copy_from_slice(&rest[..take]);
            self.held += take;
            rest = &rest[take..];
            let (buffer, held) = (self.buffer, self.held);
            let used = self.scan(&buffer[..held], arrival, &mut give);
            self.buffer.copy_within(used..held, 0);
            self.held = held - used;
        }
        if rest.is_empty() {
            return;
        }
        let used = self.scan(rest, arrival, &mut give);
        let left = &rest[used..];
        self.buffer[..left.len()].copy_from_slice(left);
        self.held = left.len();
    }

    /// Takes the packet that waits for its successor, when it has waited long enough.
    pub fn flush(&mut self, now: HostNanos, mut give: impl FnMut(Packet, HostNanos)) {
        let wait = i64::try_from(CONFIRM.as_nanos()).unwrap_or(i64::MAX);
        let Some(at) = self.complete_at else { return };
        if now.nanos_since(at) < wait {
            return;
        }
        self.complete_at = None;
        if let Some(packet) = self.buffer.first_chunk().and_then(Packet::read) {
            give(packet, at);
            self.buffer.copy_within(PACKET..self.held, 0);
            self.held = self.held.saturating_sub(PACKET);
        }
    }

    /// Reads packets from `bytes` and tells how many bytes are done with; fewer than a packet and one byte
    /// are left.
    fn scan(
        &mut self,
        bytes: &[u8],
        arrival: HostNanos,
        give: &mut impl FnMut(Packet, HostNanos),
    ) -> usize {
        let mut at = 0;
        while let Some(first) = bytes[at..].first_chunk::<PACKET>() {
            let Some(packet) = Packet::read(first) else {
                at += self.skip(&bytes[at..]);
                continue;
            };
            match is_whole(&bytes[at..], packet.counter) {
                None => {
                    self.complete_at.get_or_insert(arrival);
                    return at;
                }
                Some(true) => {
                    give(packet, self.complete_at.take().unwrap_or(arrival));
                    at += PACKET;
                }
                Some(false) => at += self.skip(&bytes[at..]),
            }
        }
        at
    }

    /// Passes over a byte that begins no packet, and on to the next that may.
    fn skip(&mut self, bytes: &[u8]) -> usize {
        self.complete_at = None;
        let next = bytes[1..].iter().position(|byte| *byte == START);
        let skipped = next.map_or(bytes.len(), |next| next + 1);
        self.skipped += skipped as u64;
        skipped
    }
}

/// Whether the packet at the front, with this counter, is no cut one; `None` when more bytes must tell.
fn is_whole(bytes: &[u8], counter: u8) -> Option<bool> {
    if *bytes.get(PACKET)? == START {
        return Some(true);
    }
    let mut whole = Some(true);
    for early in (1..PACKET).filter(|early| bytes[*early] == START) {
        match bytes.get(early + PACKET - 1) {
            None => {
                whole = None;
                continue;
            }
            Some(footer) if Aux::of(*footer).is_some() => {}
            Some(_) => continue,
        }
        // Of a packet that was cut after its first byte the counter is lost as well.
        if early == 1 || bytes[early + 1] == counter.wrapping_add(1) {
            return Some(false);
        }
        // Another counter: packets are lost between, if the candidate has a successor of its own.
        match bytes.get(early + PACKET) {
            None => whole = None,
            Some(&START) => return Some(false),
            Some(_) => {}
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(counter: u8) -> [u8; PACKET] {
        let mut bytes = [0; PACKET];
        bytes[0] = START;
        bytes[1] = counter;
        bytes[2..5].copy_from_slice(&[0xFF, 0xFF, 0xFE]);
        bytes[5..8].copy_from_slice(&[0x7F, 0xFF, 0xFF]);
        bytes[8..11].copy_from_slice(&[0x80, 0x00, 0x00]);
        bytes[PACKET - 1] = 0xC0;
        bytes
    }

    #[test]
    fn a_cut_packet_before_a_lost_one_does_not_pass_for_a_whole_one() {
        // 13 bytes of packet 1, then 3 and 4: what stands where the footer would is 3's, and looks like one.
        let mut three = packet(3);
        three[19] = 0xC0;
        let mut bytes = packet(0).to_vec();
        bytes.extend(&packet(1)[..13]);
        bytes.extend(three);
        bytes.extend(packet(4));
        bytes.extend(packet(5));
        let mut framer = Framer::default();
        let found: Vec<u8> = counters(&mut framer, &bytes, 0)
            .iter()
            .map(|one| one.0)
            .collect();
        assert_eq!(found, [0, 3, 4]);
        assert_eq!(framer.take_skipped(), 13);
    }

    fn counters(framer: &mut Framer, bytes: &[u8], at: i64) -> Vec<(u8, i64)> {
        let mut got = Vec::new();
        framer.push(bytes, HostNanos(at), |packet, at| {
            got.push((packet.counter, at.0));
        });
        got
    }

    #[test]
    fn values_are_signed_and_whole() {
        let read = Packet::read(&packet(7)).expect("a packet");
        assert_eq!(read.counter, 7);
        assert_eq!(read.values[..4], [-2, 8_388_607, -8_388_608, 0]);
    }

    #[test]
    fn the_footer_says_what_the_aux_bytes_are() {
        let mut bytes = packet(0);
        bytes[26..32].copy_from_slice(&[0xFF, 0xFE, 0, 1, 0x20, 0]);
        let read = |footer: u8| {
            let mut bytes = bytes;
            bytes[PACKET - 1] = footer;
            Packet::read(&bytes)
        };
        let of = |footer| read(footer).map(|p| (p.kind, p.acceleration(), p.board_ms()));
        let stamp = Some(0x0001_2000);
        assert_eq!(
            of(0xC0),
            Some((Aux::Accelerometer, Some([-2, 1, 8192]), None))
        );
        assert_eq!(of(0xC1), Some((Aux::Raw, None, None)));
        assert_eq!(of(0xC2), Some((Aux::User, None, None)));
        assert_eq!(of(0xC4), Some((Aux::StampedAccelerometer, None, stamp)));
        assert_eq!(of(0xC6), Some((Aux::StampedRaw, None, stamp)));
        assert_eq!(of(0xC7), None);
        assert_eq!(of(0xB0), None);
    }

    #[test]
    fn a_packet_waits_for_the_next_ones_first_byte_and_keeps_its_own_time() {
        let mut framer = Framer::default();
        assert_eq!(counters(&mut framer, &packet(1), 10), []);
        assert_eq!(counters(&mut framer, &packet(2)[..1], 20), [(1, 10)]);
        assert_eq!(counters(&mut framer, &packet(2)[1..], 30), []);
        let mut got = Vec::new();
        framer.flush(HostNanos(31), |packet, _| got.push(packet.counter));
        assert!(got.is_empty(), "too early");
        framer.flush(HostNanos(30 + 20_000_000), |packet, at| {
            got.push(packet.counter);
            assert_eq!(at.0, 30);
        });
        assert_eq!(got, [2]);
        assert_eq!(framer.take_skipped(), 0);
    }

    #[test]
    fn a_cut_packet_does_not_swallow_the_next() {
        for cut in 1..PACKET {
            let mut bytes = packet(1)[..cut].to_vec();
            // Such a footer where the cut one's would be read.
            let mut next = packet(2);
            let place = PACKET - 1 - cut;
            if place > 1 {
                next[place] = 0xC3;
            }
            bytes.extend(next);
            bytes.extend(packet(3));
            bytes.push(START);
            let mut framer = Framer::default();
            let got: Vec<u8> = (counters(&mut framer, &bytes, 0).iter())
                .map(|g| g.0)
                .collect();
            assert_eq!(got, [2, 3], "cut after {cut} bytes");
            assert_eq!(framer.take_skipped(), cut as u64);
        }
    }

    proptest! {
        /// However the bytes are cut into reads, the same packets come out, and every byte is accounted for.
        #[test]
        fn reads_may_be_cut_anywhere(
            pieces in prop::collection::vec(
                prop_oneof![
                    any::<u8>().prop_map(|counter| packet(counter).to_vec()),
                    prop::collection::vec(any::<u8>(), 0..40),
                ],
                0..20,
            ),
            cuts in prop::collection::vec(1_usize..90, 1..20),
        ) {
            let bytes: Vec<u8> = pieces.concat();
            let mut whole = Framer::default();
            let all = counters(&mut whole, &bytes, 0);
            let mut framer = Framer::default();
            let (mut got, mut at, mut turn) = (Vec::new(), 0, 0);
            while at < bytes.len() {
                let end = (at + cuts[turn % cuts.len()]).min(bytes.len());
                got.extend(counters(&mut framer, &bytes[at..end], 0));
                (at, turn) = (end, turn + 1);
            }
            prop_assert_eq!(&got, &all);
            let used = got.len() * PACKET + framer.held;
            prop_assert_eq!(used as u64 + framer.take_skipped(), bytes.len() as u64);
        }

        /// Garbage between packets costs none of them.
        #[test]
        fn packets_between_garbage_are_all_found(
            sent in prop::collection::vec((any::<u8>(), prop::collection::vec(0_u8..START, 0..20)), 1..20),
        ) {
            let mut bytes = Vec::new();
            for (counter, garbage) in &sent {
                bytes.extend(packet(*counter));
                bytes.extend(garbage);
            }
            let mut framer = Framer::default();
            let mut got: Vec<u8> = (counters(&mut framer, &bytes, 0).iter()).map(|g| g.0).collect();
            framer.flush(HostNanos(i64::MAX), |packet, _| got.push(packet.counter));
            let sent: Vec<u8> = sent.iter().map(|(counter, _)| *counter).collect();
            prop_assert_eq!(got, sent);
        }
    }
}
