//! OpenBCI Cyton and Cyton+Daisy on a pseudo-terminal.

mod board;

use crate::limits::WRITE_PATIENCE;
use crate::pty::{Pty, Written};
use crate::{
    Delivery, DeliveryLog, Error, Fate, Line, Pace, Packet, Running, Script, Source, SourceSpec,
    Step,
};
use board::{Board, Effect};
use contract::Clock;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Packets a second, with a Daisy and without.
const PACKETS_PER_S: u32 = 250;

/// How the board is.
#[derive(Debug, Clone)]
pub struct CytonConfig {
    /// Where its port is to be: a link to the pseudo-terminal.
    pub port: PathBuf,
    /// Whether a Daisy is attached.
    pub daisy: bool,
    /// A file to play in place of the simulator: 250 Hz, 125 Hz with a Daisy.
    pub file: Option<PathBuf>,
    /// Seed of the simulator.
    pub seed: u64,
    /// Whether the last channel carries the sample's number (23 bits).
    pub numbered: bool,
    /// Impedance of each electrode, kΩ; 5 where there is none.
    pub impedances_kohm: Vec<f64>,
    /// As fast as the other side reads, in place of the board's pace.
    pub free: bool,
    /// What goes wrong.
    pub script: Script,
}

impl CytonConfig {
    /// A board without a Daisy at `port` that nothing goes wrong with.
    #[must_use]
    pub fn new(port: PathBuf) -> Self {
        Self {
            port,
            daisy: false,
            file: None,
            seed: 1,
            numbered: false,
            impedances_kohm: Vec::new(),
            free: false,
            script: Script::default(),
        }
    }
}

impl CytonConfig {
    /// Switches the board on. It keeps in `log` what became of its packets.
    ///
    /// # Errors
    /// No pseudo-terminal can be made, or what is to be played cannot.
    pub fn start(self, log: DeliveryLog, clock: Arc<dyn Clock>) -> Result<Running, Error> {
        let source = Source::new(SourceSpec {
            file: self.file.clone(),
            seed: self.seed,
            channels: if self.daisy { 16 } else { 8 },
            rate_hz: PACKETS_PER_S / if self.daisy { 2 } else { 1 },
        })?;
        let (line, kept) = (Pty::new(&self.port)?, log.clone());
        Running::start("cyton", log, move |off| {
            let run = Run {
                line,
                faults: Line::new(&self.script),
                pace: None,
                board: Board::new(self.clone()),
                source,
                sample: [0.0; 16],
                samples: 0,
                packets: 0,
                log: kept,
                off,
                clock,
                config: self,
            };
            run.run()
        })
    }
}

/// The board's thread.
struct Run {
    config: CytonConfig,
    line: Pty,
    faults: Line,
    /// The board's clock since it streams.
    pace: Option<Pace>,
    board: Board,
    source: Source,
    sample: [f64; 16],
    /// Samples and packets since it was switched on, and packets since it streams.
    samples: u64,
    packets: u64,
    log: DeliveryLog,
    off: Arc<AtomicBool>,
    clock: Arc<dyn Clock>,
}

impl Run {
    fn run(mut self) -> Result<(), Error> {
        let mut buffer = [0; 256];
        let mut steps = Vec::new();
        while !self.off.load(Ordering::Relaxed) {
            let idle = Duration::from_millis(5);
            let wait = match &self.pace {
                Some(pace) => pace.wait(self.packets).min(idle),
                None => idle,
            };
            let count = self.line.read(&mut buffer, wait);
            for byte in &buffer[..count] {
                self.hear(*byte);
            }
            let due = (self.pace.as_ref()).is_some_and(|pace| pace.wait(self.packets).is_zero());
            if due && !self.config.script.answers.never {
                let packet = self.make()?;
                self.faults.pass(packet, &mut steps);
                self.perform(&mut steps)?;
            }
        }
        self.faults.finish(&mut steps);
        self.perform(&mut steps)?;
        self.log.flush();
        Ok(())
    }

    fn hear(&mut self, byte: u8) {
        let (answer, effect) = self.board.take(byte);
        if self.config.script.answers.never {
            return;
        }
        match effect {
            Effect::Start => {
                let rate = f64::from(PACKETS_PER_S);
                let script = &self.config.script;
                let clock = Arc::clone(&self.clock);
                self.pace = Some(Pace::new(clock, rate, script, self.config.free));
                self.packets = 0;
            }
            Effect::Stop => self.pace = None,
            Effect::None => {}
        }
        if let Some(answer) = answer {
            let delay = Duration::from_millis(self.config.script.answers.delay_ms);
            if !delay.is_zero() {
                self.clock.sleep(delay);
            }
            self.line.write(answer.as_bytes(), WRITE_PATIENCE);
        }
    }

    /// The next packet.
    #[allow(clippy::cast_precision_loss)]
    fn make(&mut self) -> Result<Packet, Error> {
        // The second half of a pair is of the same sample; the very first half has none before it.
        let second = self.board.is_paired() && self.packets.is_multiple_of(2) && self.packets > 0;
        if !second {
            self.source.next_uv(&mut self.sample)?;
            self.samples += 1;
        }
        let number = self.samples - 1;
        let seconds = self.packets as f64 / f64::from(PACKETS_PER_S);
        let bytes = self.board.packet(number, seconds, &self.sample);
        self.packets += 1;
        Ok(Packet {
            bytes,
            first_sample: number,
            samples: 1,
        })
    }

    fn perform(&mut self, steps: &mut Vec<Step>) -> Result<(), Error> {
        for step in steps.drain(..) {
            match step {
                Step::Send { bytes, delivery } => {
                    let held = self.faults.jitter();
                    let last = self.packets.saturating_sub(1);
                    let wait =
                        (self.pace.as_ref()).map_or(Duration::ZERO, |pace| pace.hold(last, held));
                    if !wait.is_zero() {
                        self.clock.sleep(wait);
                    }
                    let written = self.line.write(&bytes, WRITE_PATIENCE);
                    if let Some(delivery) = delivery {
                        self.log.add(outcome(delivery, written));
                    }
                }
                Step::Drop(delivery) => self.log.add(delivery),
                Step::Pause(length) => self.clock.sleep(length),
                Step::Disconnect(length) => self.disconnect(length)?,
            }
        }
        Ok(())
    }

    /// Unplugged for `length`: the board goes on and nobody hears it.
    fn disconnect(&mut self, length: Duration) -> Result<(), Error> {
        self.line.disconnect();
        let began = self.clock.host();
        let nanos = i64::try_from(length.as_nanos()).unwrap_or(i64::MAX);
        while self.clock.host().nanos_since(began) < nanos && !self.off.load(Ordering::Relaxed) {
            let due = (self.pace.as_ref()).is_some_and(|pace| pace.wait(self.packets).is_zero());
            if due && !self.config.free {
                let packet = self.make()?;
                let lost = self.faults.skip(&packet);
                self.log.add(lost);
            } else {
                self.clock.sleep(Duration::from_millis(1));
            }
        }
        self.line.connect()
    }
}

fn outcome(delivery: Delivery, written: Written) -> Delivery {
    let fate = match written {
        Written::All => delivery.fate,
        Written::Only(0) => Fate::Lost,
        Written::Only(_) => Fate::Truncated,
    };
    Delivery { fate, ..delivery }
}
