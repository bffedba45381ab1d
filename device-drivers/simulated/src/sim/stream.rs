//! One stream's place in time: packets, losses, counter.

use super::model::Source;
use super::potentials::Potentials;
use super::slow::{self, Triggers};
use crate::limits::{FAST_PACKETS_PER_S, MAX_PACKET_VALUES, PACKETS_PER_S};
use contract::Sink;
use signal::{
    ClockSource, DeviceNanos, HostNanos, Samples, SamplingRate, StreamDescription, StreamIndex,
};

/// What computes the samples.
#[derive(Debug)]
pub(crate) enum Generator {
    Potentials(Box<Potentials>),
    Slow {
        source: Source,
        triggers: Triggers,
    },
    /// Device time, ns, and text of each mark.
    Marks(Vec<(i64, String)>),
}

/// A stream and how far it has been delivered.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) index: StreamIndex,
    pub(crate) rate: SamplingRate,
    pub(crate) generator: Generator,
    /// Number of the next sample (or mark).
    pub(crate) next: u64,
    /// Host or device time at which the next packet is due, once known.
    pub(crate) due: Option<i64>,
    /// No packet arrives before this one did.
    pub(crate) last_due: i64,
    seed: u64,
    channels: usize,
    packet: u64,
    end: u64,
    modulus: u64,
    device_clock: bool,
    /// Samples that are never delivered, in order and apart.
    losses: Vec<(u64, u64)>,
}

impl Stream {
    pub(crate) fn new(
        index: u16,
        description: &StreamDescription,
        generator: Generator,
        seed: u64,
    ) -> Self {
        Self {
            index: StreamIndex(index),
            rate: description.rate,
            generator,
            next: 0,
            due: None,
            last_due: i64::MIN,
            seed,
            channels: description.channels.len(),
            packet: 1,
            end: u64::MAX,
            modulus: description.counter.map_or(0, |counter| counter.modulus),
            device_clock: matches!(description.clock, ClockSource::Device { .. }),
            losses: Vec::new(),
        }
    }

    /// Sets the packet's length, samples; `None` chooses one by the rate.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub(crate) fn set_packet(&mut self, packet: Option<u32>, fast: bool) {
        let packets_per_s = if fast {
            FAST_PACKETS_PER_S
        } else {
            PACKETS_PER_S
        };
        let chosen = self.rate.as_hz().unwrap_or(1.0) / packets_per_s;
        let most = (MAX_PACKET_VALUES / self.channels.max(1)) as u64;
        self.packet = packet.map_or((chosen as u64).clamp(1, most), u64::from);
    }

    pub(crate) fn end_at(&mut self, device_ns: i64) {
        self.end = match &self.generator {
            Generator::Marks(marks) => marks.partition_point(|(at, _)| *at < device_ns) as u64,
            _ => self.rate.index_at(device_ns),
        };
    }

    /// Samples that are never delivered; overlapping ranges are joined.
    pub(crate) fn lose(&mut self, mut ranges: Vec<(u64, u64)>) {
        ranges.sort_unstable();
        for (from, until) in ranges {
            match self.losses.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(until),
                _ if from < until => self.losses.push((from, until)),
                _ => {}
            }
        }
    }

    /// The next samples that come together, `start..stop`; `None` after the last.
    pub(crate) fn packet(&mut self) -> Option<(u64, u64)> {
        let position = self
            .losses
            .partition_point(|(_, until)| *until <= self.next);
        if let Some((from, until)) = self.losses.get(position)
            && *from <= self.next
        {
            self.next = *until;
            return self.packet();
        }
        if self.next >= self.end {
            return None;
        }
        if let Generator::Marks(marks) = &self.generator {
            return (self.next < marks.len() as u64).then_some((self.next, self.next + 1));
        }
        let full = (self.next / self.packet + 1) * self.packet;
        let lost = self
            .losses
            .get(position)
            .map_or(u64::MAX, |(from, _)| *from);
        Some((self.next, full.min(lost).min(self.end)))
    }

    /// Device time at which a packet up to `stop` is complete, ns.
    pub(crate) fn complete_at(&self, stop: u64) -> i64 {
        match &self.generator {
            Generator::Marks(marks) => usize::try_from(stop)
                .ok()
                .and_then(|stop| marks.get(stop.checked_sub(1)?))
                .map_or(i64::MAX, |(at, _)| *at),
            _ => self.rate.nanos_of(stop),
        }
    }

    /// Leaves out what lies before `device_ns`.
    pub(crate) fn skip_to(&mut self, device_ns: i64) {
        let index = match &self.generator {
            Generator::Marks(marks) => marks.partition_point(|(at, _)| *at < device_ns) as u64,
            _ => self.rate.index_at(device_ns),
        };
        if index > self.next {
            self.next = index;
            self.due = None;
        }
    }

    /// Gives `start..stop` to the sink.
    pub(crate) fn deliver(
        &mut self,
        (start, stop): (u64, u64),
        arrival: HostNanos,
        sink: &mut dyn Sink,
    ) {
        let device_ns = match &self.generator {
            Generator::Marks(_) => self.complete_at(stop),
            _ => self.rate.nanos_of(start),
        };
        let stamp = if self.device_clock {
            device_ns
        } else {
            arrival.0
        };
        let len = usize::try_from(stop - start).unwrap_or(0);
        let (seed, rate, channels) = (self.seed, self.rate, self.channels);
        let counter = start.checked_rem(self.modulus).unwrap_or(start);
        let device_clock = self.device_clock;
        let generator = &mut self.generator;
        sink.block(self.index, &mut |block| {
            block.len = len;
            block.counter = Some(counter);
            block.arrival = arrival;
            block.device_time = device_clock.then_some(DeviceNanos(device_ns));
            match (&mut *generator, &mut block.samples) {
                (Generator::Potentials(potentials), Samples::I24(out)) => {
                    potentials.fill(start, len, out);
                }
                (Generator::Slow { source, triggers }, samples) => {
                    slow::fill(
                        *source,
                        triggers,
                        seed,
                        rate,
                        (start, len, channels),
                        samples,
                    );
                }
                (Generator::Marks(marks), Samples::Text(out)) => {
                    let from = usize::try_from(start).unwrap_or(usize::MAX);
                    out.extend(
                        marks
                            .iter()
                            .skip(from)
                            .take(len)
                            .map(|(_, text)| text.clone()),
                    );
                    block.stamps.push(stamp);
                }
                _ => block.len = 0,
            }
        });
        self.next = stop;
        self.due = None;
    }
}
