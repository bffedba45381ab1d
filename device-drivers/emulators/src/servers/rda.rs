//! BrainVision RDA: blocks of samples pushed to who connects (Brain Products, RDA.h).

use super::{Port, ServerConfig, pass};
use crate::{Delivery, DeliveryLog, Error, Fate, Line, Pace, Packet, Source, Step};
use contract::Clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The GUID that begins every message.
const MARK: [u8; 16] = *b"\x8E\x45\x58\x43\x96\xC9\x86\x4C\xAF\x4A\x98\xBB\xF6\xC9\x14\x50";

pub(super) struct Run {
    config: ServerConfig,
    port: Port,
    off: Arc<AtomicBool>,
    pace: Pace,
    faults: Line,
    source: Source,
    /// Blocks made so far.
    block: u64,
    log: DeliveryLog,
    clock: Arc<dyn Clock>,
}

impl Run {
    pub(super) fn new(
        config: ServerConfig,
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
            block: 0,
            log,
            clock,
            config,
        }
    }

    pub(super) fn run(mut self) -> Result<(), Error> {
        let mut steps = Vec::new();
        let never = self.config.script.answers.never;
        while !self.off.load(Ordering::Relaxed) {
            let start = self.start();
            if self.port.accept().is_some() && !never {
                self.port.send(&start);
            }
            let wait = self.pace.wait(self.block);
            if !wait.is_zero() {
                self.clock.sleep(wait.min(Duration::from_millis(2)));
                continue;
            }
            let packet = self.make()?;
            self.faults.pass(packet, &mut steps);
            for step in std::mem::take(&mut steps) {
                self.perform(step, never)?;
            }
        }
        self.log.flush();
        Ok(())
    }

    fn perform(&mut self, step: Step, never: bool) -> Result<(), Error> {
        match step {
            Step::Send { bytes, delivery } => {
                let held = self.faults.jitter();
                let wait = self.pace.hold(self.block.saturating_sub(1), held);
                if !wait.is_zero() {
                    self.clock.sleep(wait);
                }
                let sent = !never && self.port.is_connected() && self.port.send(&bytes);
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
                    if self.pace.wait(self.block).is_zero() {
                        let packet = self.make()?;
                        let lost = self.faults.skip(&packet);
                        self.log.add(lost);
                    }
                    Ok(())
                })?;
                self.port.listen()?;
            }
        }
        Ok(())
    }

    fn message(kind: u32, body: &[u8]) -> Vec<u8> {
        let mut bytes = MARK.to_vec();
        bytes.extend(
            u32::try_from(24 + body.len())
                .unwrap_or(u32::MAX)
                .to_le_bytes(),
        );
        bytes.extend(kind.to_le_bytes());
        bytes.extend(body);
        bytes
    }

    fn start(&self) -> Vec<u8> {
        let config = &self.config;
        let mut body = u32::try_from(config.channels)
            .unwrap_or(0)
            .to_le_bytes()
            .to_vec();
        body.extend((1e6 / f64::from(config.rate_hz)).to_le_bytes());
        for _ in 0..config.channels {
            body.extend(config.resolution_uv().to_le_bytes());
        }
        for n in 0..config.channels {
            body.extend(config.name(n).as_bytes());
            body.push(0);
        }
        Self::message(1, &body)
    }

    /// The next block as a message.
    fn make(&mut self) -> Result<Packet, Error> {
        let (block, points) = (self.block, self.config.block);
        let first = block * u64::from(points);
        let mut markers = Vec::new();
        let mut count = 0_u32;
        let number = u32::try_from(block & u64::from(u32::MAX)).unwrap_or(0);
        let mut body = number.to_le_bytes().to_vec();
        body.extend(points.to_le_bytes());
        body.extend([0; 4]);
        let mut uv = vec![0.0; self.config.channels];
        for point in 0..points {
            let sample = first + u64::from(point);
            self.source.next_uv(&mut uv)?;
            self.config.encode(sample, &uv, &mut body);
            let every = self.config.marker_every.map_or(0, u64::from);
            if sample.checked_rem(every) == Some(0) {
                let text = format!("Stimulus\0S{sample:3}\0");
                for word in [
                    u32::try_from(16 + text.len()).unwrap_or(0),
                    point,
                    1,
                    u32::MAX,
                ] {
                    markers.extend(word.to_le_bytes());
                }
                markers.extend(text.as_bytes());
                count += 1;
            }
        }
        body[8..12].copy_from_slice(&count.to_le_bytes());
        body.extend(markers);
        self.block += 1;
        Ok(Packet {
            bytes: Self::message(if self.config.float { 4 } else { 2 }, &body),
            first_sample: first,
            samples: points,
        })
    }
}
