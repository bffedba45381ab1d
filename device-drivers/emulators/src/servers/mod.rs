//! Devices that are servers on the network.

mod fieldtrip;
mod rda;

use crate::{DeliveryLog, Error, Pace, Running, Script, Source, SourceSpec};
use contract::Clock;
use std::io::ErrorKind as IoKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What a server plays, and how.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// A file to play in place of the simulator; it must have the rate.
    pub file: Option<PathBuf>,
    /// Seed of the simulator.
    pub seed: u64,
    /// Channels, the numbering one included.
    pub channels: usize,
    /// Samples a second.
    pub rate_hz: u32,
    /// Samples of a block.
    pub block: u32,
    /// Whether samples are 32-bit floats; else 16-bit integers.
    pub float: bool,
    /// Whether the last channel carries the sample's number (15 bits, or 24 as floats).
    pub numbered: bool,
    /// A marker every so many samples.
    pub marker_every: Option<u32>,
    /// What goes wrong.
    pub script: Script,
}

impl ServerConfig {
    /// 32 channels at 500 Hz as floats, blocks of 10, on a free port of this machine.
    #[must_use]
    pub fn new() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            file: None,
            seed: 1,
            channels: 32,
            rate_hz: 500,
            block: 10,
            float: true,
            numbered: false,
            marker_every: None,
            script: Script::default(),
        }
    }

    /// Name of channel `n`.
    fn name(&self, n: usize) -> String {
        const NAMES: [&str; 19] = [
            "Fp1", "Fp2", "F7", "F3", "Fz", "F4", "F8", "T7", "C3", "Cz", "C4", "T8", "P7", "P3",
            "Pz", "P4", "P8", "O1", "O2",
        ];
        if self.numbered && n + 1 == self.channels {
            return "Trigger".to_owned();
        }
        NAMES
            .get(n)
            .map_or_else(|| format!("X{}", n + 1), |name| (*name).to_owned())
    }

    fn source(&self) -> Result<Source, Error> {
        Source::new(SourceSpec {
            file: self.file.clone(),
            seed: self.seed,
            channels: self.channels,
            rate_hz: self.rate_hz,
        })
    }

    fn pace(&self, clock: &Arc<dyn Clock>) -> Pace {
        let blocks_per_s = f64::from(self.rate_hz) / f64::from(self.block);
        Pace::new(Arc::clone(clock), blocks_per_s, &self.script, false)
    }

    /// Microvolts a count: floats are microvolts, integers halves of one.
    const fn resolution_uv(&self) -> f64 {
        if self.float { 1.0 } else { 0.5 }
    }

    /// A sample's values as bytes, little-endian.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    fn encode(&self, number: u64, uv: &[f64], out: &mut Vec<u8>) {
        for (n, uv) in uv.iter().enumerate() {
            let numbering = self.numbered && n + 1 == self.channels;
            if self.float {
                let value = if numbering {
                    (number & 0xFF_FFFF) as f32
                } else {
                    *uv as f32
                };
                out.extend(value.to_le_bytes());
            } else {
                let count = (uv / self.resolution_uv())
                    .round()
                    .clamp(-32_768.0, 32_767.0) as i16;
                let value = if numbering {
                    (number & 0x7FFF) as i16
                } else {
                    count
                };
                out.extend(value.to_le_bytes());
            }
        }
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// A running server; it ends when dropped.
#[derive(Debug)]
pub struct ServerEmulator {
    address: SocketAddr,
    running: Running,
}

impl Deref for ServerEmulator {
    type Target = Running;

    fn deref(&self) -> &Running {
        &self.running
    }
}

impl ServerEmulator {
    /// Starts BrainVision RDA. It keeps in `log` what became of its blocks.
    ///
    /// # Errors
    /// The port is taken, or what is to be played cannot.
    pub fn rda(
        config: ServerConfig,
        log: DeliveryLog,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let (source, kept) = (config.source()?, log.clone());
        let port = Port::open(config.listen)?;
        Ok(Self {
            address: port.address,
            running: Running::start("rda", log, move |off| {
                rda::Run::new(config, (port, off), source, kept, clock).run()
            })?,
        })
    }

    /// Starts a FieldTrip buffer whose ring holds `ring` samples. It keeps in `log` what it gave out.
    ///
    /// # Errors
    /// The port is taken, or what is to be played cannot.
    pub fn fieldtrip(
        config: ServerConfig,
        ring: usize,
        log: DeliveryLog,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let (source, kept) = (config.source()?, log.clone());
        let port = Port::open(config.listen)?;
        Ok(Self {
            address: port.address,
            running: Running::start("fieldtrip", log, move |off| {
                fieldtrip::Run::new(config, ring, (port, off), source, kept, clock).run()
            })?,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// As [`Running::finish`].
    ///
    /// # Errors
    /// What ended it before.
    pub fn finish(self) -> Result<DeliveryLog, Error> {
        self.running.finish()
    }
}

/// A listening port with at most one client: the devices that are emulated have one reader in a test.
#[derive(Debug)]
struct Port {
    address: SocketAddr,
    listener: Option<TcpListener>,
    client: Option<TcpStream>,
}

impl Port {
    fn open(listen: SocketAddr) -> Result<Self, Error> {
        let mut port = Self {
            address: listen,
            listener: None,
            client: None,
        };
        port.listen()?;
        Ok(port)
    }

    fn listen(&mut self) -> Result<(), Error> {
        let failed = |error| Error::io(format!("cannot listen at {}", self.address), error);
        let listener = TcpListener::bind(self.address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        self.address = listener.local_addr().map_err(failed)?;
        self.listener = Some(listener);
        Ok(())
    }

    /// A client that has just come; it takes the place of the one before.
    fn accept(&mut self) -> Option<&mut TcpStream> {
        let (client, _) = self.listener.as_ref()?.accept().ok()?;
        let ready = client.set_nonblocking(false).is_ok()
            && client.set_nodelay(true).is_ok()
            && client.set_write_timeout(Some(crate::limits::SEND)).is_ok();
        self.client = ready.then_some(client);
        self.client.as_mut()
    }

    /// Sends bytes; whether they went out.
    fn send(&mut self, bytes: &[u8]) -> bool {
        let Some(client) = self.client.as_mut() else {
            return false;
        };
        let sent = std::io::Write::write_all(client, bytes).is_ok();
        if !sent {
            self.client = None;
        }
        sent
    }

    /// Whether the client is still there; one that has closed is let go.
    fn is_connected(&mut self) -> bool {
        let Some(client) = self.client.as_ref() else {
            return false;
        };
        let mut one = [0];
        let gone = client.set_nonblocking(true).is_err()
            || match client.peek(&mut one) {
                Ok(count) => count == 0,
                Err(error) => error.kind() != IoKind::WouldBlock,
            };
        if gone || client.set_nonblocking(false).is_err() {
            self.client = None;
        }
        self.client.is_some()
    }

    /// Neither a client nor a port; what was sent still arrives.
    fn disconnect(&mut self) {
        self.client = None;
        self.listener = None;
    }
}

/// Waits for `length`, or until switched off; calls `meanwhile` every millisecond.
fn pass(
    clock: &dyn Clock,
    length: Duration,
    off: &AtomicBool,
    mut meanwhile: impl FnMut() -> Result<(), Error>,
) -> Result<(), Error> {
    let began = clock.host();
    let nanos = i64::try_from(length.as_nanos()).unwrap_or(i64::MAX);
    while clock.host().nanos_since(began) < nanos && !off.load(Ordering::Relaxed) {
        meanwhile()?;
        clock.sleep(Duration::from_millis(1));
    }
    Ok(())
}
