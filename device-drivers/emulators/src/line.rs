//! The way from device to driver, on which things go wrong.

use crate::log::{Delivery, Fate};
use crate::script::{Kind, Script};
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use std::time::Duration;

/// A packet as the device makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Number of its first sample.
    pub first_sample: u64,
    /// Samples (per channel) in it.
    pub samples: u32,
}

/// What the transport is to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send these bytes, then enter `delivery` in the log; as [`Fate::Lost`] when they could not be
    /// sent. Garbage has no delivery.
    Send {
        /// The bytes.
        bytes: Vec<u8>,
        /// The line of the log.
        delivery: Option<Delivery>,
    },
    /// Enter in the log: a packet that is not sent.
    Drop(Delivery),
    /// Send nothing for so long; samples are taken meanwhile and follow at once.
    Pause(Duration),
    /// Break the connection; be there again after so long. Packets due meanwhile are lost.
    Disconnect(Duration),
}

/// Applies a script to packets, in order.
#[derive(Debug)]
pub struct Line {
    script: Script,
    rng: StdRng,
    next: u64,
    held: Option<Step>,
}

impl Line {
    /// A line that goes wrong as `script` says.
    #[must_use]
    pub fn new(script: &Script) -> Self {
        Self {
            rng: StdRng::seed_from_u64(script.seed),
            script: script.clone(),
            next: 0,
            held: None,
        }
    }

    /// How long the transport holds the next packet.
    pub fn jitter(&mut self) -> Duration {
        if self.script.jitter_ms <= 0.0 {
            return Duration::ZERO;
        }
        Duration::from_secs_f64(self.rng.random_range(0.0..self.script.jitter_ms) / 1e3)
    }

    /// A packet that was due while nobody was connected.
    pub fn skip(&mut self, packet: &Packet) -> Delivery {
        let number = self.next;
        self.next += 1;
        delivery(number, packet, Fate::Lost)
    }

    /// What becomes of the next packet; steps are appended to `steps`.
    pub fn pass(&mut self, packet: Packet, steps: &mut Vec<Step>) {
        let number = self.next;
        self.next += 1;
        let faults = self.faults(number);
        let has = |kind| faults.iter().find(|fault| fault.0 == kind).copied();
        let lasting = |milliseconds| Duration::from_millis(milliseconds);
        if let Some((_, _, duration)) = has(Kind::Disconnect) {
            steps.extend(self.held.take());
            steps.push(Step::Disconnect(lasting(duration)));
            // It was on its way when the line broke.
            steps.push(Step::Drop(delivery(number, &packet, Fate::Lost)));
            return;
        }
        if let Some((_, _, duration)) = has(Kind::Pause) {
            steps.push(Step::Pause(lasting(duration)));
        }
        if let Some((_, bytes, _)) = has(Kind::Garbage) {
            let mut garbage = vec![0; bytes];
            self.rng.fill_bytes(&mut garbage);
            steps.push(Step::Send {
                bytes: garbage,
                delivery: None,
            });
        }
        if has(Kind::Lost).is_some() {
            steps.push(Step::Drop(delivery(number, &packet, Fate::Lost)));
            return;
        }
        let (mut bytes, mut fate) = (packet.bytes.clone(), Fate::Delivered);
        if let Some((_, count, _)) = has(Kind::Truncated) {
            bytes.truncate(bytes.len().saturating_sub(count.max(1)));
            fate = Fate::Truncated;
        } else if has(Kind::Corrupt).is_some() && !bytes.is_empty() {
            let at = self.rng.random_range(0..bytes.len() * 8);
            bytes[at / 8] ^= 1 << (at % 8);
            fate = Fate::Corrupt;
        }
        let step = Step::Send {
            bytes,
            delivery: Some(delivery(number, &packet, fate)),
        };
        if has(Kind::Reordered).is_some() && self.held.is_none() {
            self.held = Some(step);
            return;
        }
        steps.push(step);
        if has(Kind::Repeated).is_some() && fate == Fate::Delivered {
            steps.push(Step::Send {
                delivery: Some(delivery(number, &packet, Fate::Repeated)),
                bytes: packet.bytes,
            });
        }
        steps.extend(self.held.take());
    }

    /// What is still held when the device stops.
    pub fn finish(&mut self, steps: &mut Vec<Step>) {
        steps.extend(self.held.take());
    }

    /// Kind, bytes and milliseconds of each fault of packet `number`.
    fn faults(&mut self, number: u64) -> Vec<(Kind, usize, u64)> {
        let mut faults: Vec<_> = (self.script.fault.iter())
            .filter(|fault| fault.hits(number))
            .map(|fault| (fault.kind, fault.bytes, fault.duration_ms))
            .collect();
        for chance in &self.script.chance {
            if self.rng.random_bool(chance.chance) {
                faults.push((chance.kind, chance.bytes, chance.duration_ms));
            }
        }
        faults
    }
}

const fn delivery(packet: u64, of: &Packet, fate: Fate) -> Delivery {
    Delivery {
        packet,
        first_sample: of.first_sample,
        samples: of.samples,
        fate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(number: u8) -> Packet {
        Packet {
            bytes: vec![number; 4],
            first_sample: u64::from(number),
            samples: 1,
        }
    }

    fn sent(script: &str, packets: u8) -> Vec<(Vec<u8>, Option<Fate>)> {
        let script = Script::parse(script).expect("a script");
        let mut line = Line::new(&script);
        let mut steps = Vec::new();
        for number in 0..packets {
            line.pass(packet(number), &mut steps);
        }
        line.finish(&mut steps);
        steps
            .into_iter()
            .map(|step| match step {
                Step::Send { bytes, delivery } => (bytes, delivery.map(|d| d.fate)),
                Step::Drop(delivery) => (Vec::new(), Some(delivery.fate)),
                Step::Pause(_) | Step::Disconnect(_) => (Vec::new(), None),
            })
            .collect()
    }

    #[test]
    fn every_packet_has_its_fate() {
        let script = r#"
            fault = [
                { at = 1, kind = "lost" },
                { at = 2, kind = "repeated" },
                { at = 3, kind = "reordered" },
                { at = 5, kind = "truncated", bytes = 3 },
                { at = 6, kind = "garbage", bytes = 2 },
            ]
        "#;
        let fates: Vec<_> = sent(script, 7)
            .iter()
            .map(|(bytes, fate)| (bytes.first().copied(), bytes.len(), *fate))
            .collect();
        let whole = |number| (Some(number), 4, Some(Fate::Delivered));
        assert_eq!(fates[..2], [whole(0), (None, 0, Some(Fate::Lost))]);
        assert_eq!(fates[2..4], [whole(2), (Some(2), 4, Some(Fate::Repeated))]);
        assert_eq!(fates[4..6], [whole(4), whole(3)]);
        assert_eq!(fates[6], (Some(5), 1, Some(Fate::Truncated)));
        assert_eq!((fates[7].1, fates[7].2), (2, None));
        assert_eq!(fates[8], whole(6));
    }

    #[test]
    fn a_corrupt_packet_differs_in_one_bit_and_chance_repeats_from_its_seed() {
        let script = "seed = 3\n[[chance]]\nkind = \"corrupt\"\nchance = 0.5\n";
        let first = sent(script, 100);
        assert_eq!(first, sent(script, 100));
        let mut corrupt = 0;
        for (number, (bytes, fate)) in first.iter().enumerate() {
            let turned: u32 = (bytes.iter())
                .map(|byte| (byte ^ u8::try_from(number).expect("few")).count_ones())
                .sum();
            assert_eq!(turned, u32::from(*fate == Some(Fate::Corrupt)));
            corrupt += turned;
        }
        assert!((30..70).contains(&corrupt), "{corrupt}");
    }
}
