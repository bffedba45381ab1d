//! A FieldTrip buffer that fills itself and answers requests (FieldTrip, buffer protocol version 1).

use super::{Port, ServerConfig, pass};
use crate::{Delivery, DeliveryLog, Error, Fate, Line, Pace, Packet, Source, Step};
use contract::Clock;
use signal::HostNanos;
use std::collections::VecDeque;
use std::io::{ErrorKind as IoKind, Read as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A request that is answered when there is more than it knows, or when its time is over.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    samples: u32,
    events: u32,
    until: HostNanos,
}

pub(super) struct Run {
    config: ServerConfig,
    port: Port,
    off: Arc<AtomicBool>,
    pace: Pace,
    faults: Line,
    source: Source,
    ring: usize,
    /// The newest samples' bytes.
    samples: VecDeque<Vec<u8>>,
    /// Samples and blocks made so far.
    made: u32,
    blocks: u64,
    /// What has come of a request.
    held: Vec<u8>,
    waiting: Option<Waiting>,
    log: DeliveryLog,
    clock: Arc<dyn Clock>,
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let four = bytes.get(at..at + 4).and_then(|four| four.first_chunk());
    four.map_or(0, |four| u32::from_le_bytes(*four))
}

fn answer(command: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![1, 0];
    bytes.extend(command.to_le_bytes());
    bytes.extend(u32::try_from(body.len()).unwrap_or(0).to_le_bytes());
    bytes.extend(body);
    bytes
}

impl Run {
    pub(super) fn new(
        config: ServerConfig,
        ring: usize,
        (port, off): (Port, Arc<AtomicBool>),
        source: Source,
        log: DeliveryLog,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            port,
            off,
            pace: config.pace(&clock),
            faults: Line::new(&config.script),
            source,
            ring,
            samples: VecDeque::new(),
            made: 0,
            blocks: 0,
            held: Vec::new(),
            waiting: None,
            log,
            clock,
            config,
        }
    }

    pub(super) fn run(mut self) -> Result<(), Error> {
        while !self.off.load(Ordering::Relaxed) {
            if self.port.accept().is_some() {
                self.held.clear();
                self.waiting = None;
            }
            while self.pace.wait(self.blocks).is_zero() {
                self.fill()?;
            }
            if !self.config.script.answers.never {
                self.hear()?;
                self.answer_waiting()?;
            }
            self.clock.sleep(Duration::from_millis(1));
        }
        self.log.flush();
        Ok(())
    }

    /// Puts the next block into the ring.
    fn fill(&mut self) -> Result<(), Error> {
        let mut uv = vec![0.0; self.config.channels];
        for _ in 0..self.config.block {
            self.source.next_uv(&mut uv)?;
            let mut bytes = Vec::new();
            self.config.encode(u64::from(self.made), &uv, &mut bytes);
            self.samples.push_back(bytes);
            self.made += 1;
            if self.samples.len() > self.ring {
                self.samples.pop_front();
            }
        }
        self.blocks += 1;
        Ok(())
    }

    /// Events so far: one at every so many samples.
    fn events(&self) -> u32 {
        match self.config.marker_every {
            Some(every) if self.made > 0 => (self.made - 1) / every + 1,
            _ => 0,
        }
    }

    fn hear(&mut self) -> Result<(), Error> {
        let Some(client) = self.port.client.as_mut() else {
            return Ok(());
        };
        let mut buffer = [0; 4_096];
        let _ = client.set_nonblocking(true);
        let read = client.read(&mut buffer);
        let _ = client.set_nonblocking(false);
        match read {
            Ok(0) => self.port.client = None,
            Ok(count) => self.held.extend(&buffer[..count]),
            Err(error) if error.kind() == IoKind::WouldBlock => {}
            Err(_) => self.port.client = None,
        }
        while self.held.len() >= 8 {
            let size = 8 + word(&self.held, 4) as usize;
            if self.held.len() < size {
                break;
            }
            let request: Vec<u8> = self.held.drain(..size).collect();
            self.request(&request)?;
        }
        Ok(())
    }

    fn request(&mut self, request: &[u8]) -> Result<(), Error> {
        let (first, last) = (word(request, 8), word(request, 12));
        match u16::from_le_bytes([request[2], request[3]]) {
            0x201 => {
                let bytes = answer(0x204, &self.header());
                self.port.send(&bytes);
            }
            0x202 => return self.give(first, last),
            0x203 => {
                let bytes = match self.config.marker_every {
                    Some(every) if last < self.events() => {
                        answer(0x204, &events(every, first, last))
                    }
                    _ => answer(0x205, &[]),
                };
                self.port.send(&bytes);
            }
            0x402 => {
                let wait = Duration::from_millis(u64::from(word(request, 16)));
                let nanos = i64::try_from(wait.as_nanos()).unwrap_or(i64::MAX);
                self.waiting = Some(Waiting {
                    samples: first,
                    events: last,
                    until: self.clock.host().plus_nanos(nanos),
                });
            }
            _ => {
                let bytes = answer(0x205, &[]);
                self.port.send(&bytes);
            }
        }
        Ok(())
    }

    fn answer_waiting(&mut self) -> Result<(), Error> {
        let Some(waiting) = self.waiting else {
            return Ok(());
        };
        let more = self.made > waiting.samples || self.events() > waiting.events;
        if more || self.clock.host() >= waiting.until {
            self.waiting = None;
            let mut body = self.made.to_le_bytes().to_vec();
            body.extend(self.events().to_le_bytes());
            self.port.send(&answer(0x404, &body));
        }
        Ok(())
    }

    fn header(&self) -> Vec<u8> {
        let config = &self.config;
        let mut names: Vec<u8> = Vec::new();
        let mut resolutions: Vec<u8> = Vec::new();
        for n in 0..config.channels {
            names.extend(config.name(n).as_bytes());
            names.push(0);
            resolutions.extend(config.resolution_uv().to_le_bytes());
        }
        let mut chunks = Vec::new();
        for (kind, content) in [(1_u32, names), (3, resolutions)] {
            chunks.extend(kind.to_le_bytes());
            chunks.extend(u32::try_from(content.len()).unwrap_or(0).to_le_bytes());
            chunks.extend(content);
        }
        #[allow(clippy::cast_precision_loss)]
        let rate = config.rate_hz as f32;
        let channels = u32::try_from(config.channels).unwrap_or(0);
        let mut body = Vec::new();
        for four in [
            channels.to_le_bytes(),
            self.made.to_le_bytes(),
            self.events().to_le_bytes(),
            rate.to_le_bytes(),
            self.data_type().to_le_bytes(),
            u32::try_from(chunks.len()).unwrap_or(0).to_le_bytes(),
        ] {
            body.extend(four);
        }
        body.extend(chunks);
        body
    }

    const fn data_type(&self) -> u32 {
        if self.config.float { 9 } else { 6 }
    }

    /// Gives out samples, through what goes wrong.
    fn give(&mut self, first: u32, last: u32) -> Result<(), Error> {
        let oldest = self.made - u32::try_from(self.samples.len()).unwrap_or(0);
        if first < oldest || last >= self.made || first > last {
            self.port.send(&answer(0x205, &[]));
            return Ok(());
        }
        let range = (first - oldest) as usize..=(last - oldest) as usize;
        let count = last - first + 1;
        let values: Vec<u8> = self.samples.range(range).flatten().copied().collect();
        let mut body = Vec::new();
        let channels = u32::try_from(self.config.channels).unwrap_or(0);
        for word in [
            channels,
            count,
            self.data_type(),
            u32::try_from(values.len()).unwrap_or(0),
        ] {
            body.extend(word.to_le_bytes());
        }
        body.extend(values);
        let packet = Packet {
            bytes: answer(0x204, &body),
            first_sample: u64::from(first),
            samples: count,
        };
        let mut steps = Vec::new();
        self.faults.pass(packet, &mut steps);
        self.faults.finish(&mut steps);
        for step in steps {
            match step {
                Step::Send { bytes, delivery } => {
                    let sent = self.port.send(&bytes);
                    if let Some(delivery) = delivery {
                        let fate = if sent { delivery.fate } else { Fate::Lost };
                        self.log.add(Delivery { fate, ..delivery });
                    }
                }
                Step::Drop(delivery) => self.log.add(delivery),
                Step::Pause(length) => self.clock.sleep(length),
                Step::Disconnect(length) => {
                    self.port.disconnect();
                    let (clock, off) = (Arc::clone(&self.clock), Arc::clone(&self.off));
                    pass(clock.as_ref(), length, &off, || {
                        while self.pace.wait(self.blocks).is_zero() {
                            self.fill()?;
                        }
                        Ok(())
                    })?;
                    self.port.listen()?;
                }
            }
        }
        Ok(())
    }
}

/// Events number `first` to `last`.
fn events(every: u32, first: u32, last: u32) -> Vec<u8> {
    let mut body = Vec::new();
    for number in first..=last {
        let (kind, value) = ("Stimulus", format!("S{:3}", number * every));
        let lengths = [kind.len(), value.len()].map(|len| u32::try_from(len).unwrap_or(0));
        // Samples are counted from 1.
        for word in [
            0,
            lengths[0],
            0,
            lengths[1],
            number * every + 1,
            0,
            1,
            lengths[0] + lengths[1],
        ] {
            body.extend(word.to_le_bytes());
        }
        body.extend(kind.as_bytes());
        body.extend(value.as_bytes());
    }
    body
}
