//! An opened device of any kind.

use crate::limits::{ASK_AFTER, GROUP_WAIT, IMPEDANCES, MOST_AT_ONCE, SAFETY_LOOK, SAFETY_WAIT};
use crate::link::{Heard, Link};
use crate::protocol::{ImpedanceTest, Protocol};
use contract::{
    Clock, Device, DeviceDescription, DeviceError, DeviceEvent, ErrorKind, Read, Safety, Sink,
};
use signal::{HostNanos, Impedance};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use uuid::Uuid;

/// Ends the test current. The radio belongs to the device's thread: this asks it, and waits until it has.
#[derive(Debug)]
struct EndCurrent {
    ended: AtomicBool,
    on: AtomicBool,
    clock: Arc<dyn Clock>,
}

impl Safety for EndCurrent {
    fn end_all(&self) -> Result<(), DeviceError> {
        self.ended.store(true, Ordering::SeqCst);
        let began = self.clock.host();
        while self.on.load(Ordering::SeqCst) {
            if since(self.clock.host(), began) > SAFETY_WAIT {
                return Err(DeviceError::new(
                    ErrorKind::Disconnected,
                    "end the test current",
                    "the device could not be told; take the electrodes off or switch it off",
                ));
            }
            self.clock.sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

/// Time from `earlier` to `now`.
pub(crate) fn since(now: HostNanos, earlier: HostNanos) -> Duration {
    Duration::from_nanos(now.nanos_since(earlier).max(0).unsigned_abs())
}

/// The drivers' device.
#[derive(Debug)]
pub(crate) struct BluetoothDevice {
    address: String,
    service: Uuid,
    protocol: Box<dyn Protocol>,
    link: Option<Link>,
    streaming: bool,
    safety: Arc<EndCurrent>,
    clock: Arc<dyn Clock>,
    heard: HostNanos,
    told: HostNanos,
}

impl BluetoothDevice {
    /// A device that is connected; `build` learns from the connection what it is.
    pub(crate) fn open(
        id: &str,
        address: &str,
        service: Uuid,
        clock: Arc<dyn Clock>,
        build: impl FnOnce(&mut Link) -> Result<Box<dyn Protocol>, DeviceError>,
    ) -> Result<Self, DeviceError> {
        let operation = format!("open {id}");
        let mut link = Link::open(&operation, address, service, Arc::clone(&clock))?;
        let protocol = build(&mut link)?;
        let mut device = Self {
            address: address.to_owned(),
            service,
            protocol,
            link: None,
            streaming: false,
            safety: Arc::new(EndCurrent {
                ended: AtomicBool::new(false),
                on: AtomicBool::new(false),
                clock: Arc::clone(&clock),
            }),
            heard: clock.host(),
            told: clock.host(),
            clock,
        };
        device.prepare(&operation, link)?;
        Ok(device)
    }

    fn prepare(&mut self, operation: &str, mut link: Link) -> Result<(), DeviceError> {
        for source in self.protocol.sources() {
            link.subscribe(operation, source)?;
        }
        self.protocol.connected(operation, &mut link)?;
        self.link = Some(link);
        Ok(())
    }

    fn operation(&self, what: &str) -> String {
        format!("{what} {}", self.protocol.description().id)
    }

    fn send(&self, operation: &str, commands: &[Vec<u8>]) -> Result<(), DeviceError> {
        let Some(link) = &self.link else {
            return Err(gone(operation));
        };
        let Some(control) = self.protocol.control() else {
            return Ok(());
        };
        (commands.iter()).try_for_each(|command| link.write(operation, control, command))
    }

    /// Gives up the connection after a failure.
    fn lost(&mut self, error: DeviceError) -> DeviceError {
        if error.kind == ErrorKind::Disconnected {
            self.streaming = false;
            self.link = None;
        }
        error
    }

    fn keep_alive(&mut self, now: HostNanos) -> Result<(), DeviceError> {
        let Some((every, command)) = self.protocol.keep_alive() else {
            return Ok(());
        };
        if since(now, self.told) < every {
            return Ok(());
        }
        self.told = now;
        self.send("keep the connection of the device", &[command])
    }

    /// Takes what comes within `timeout`, and what came with it; whether anything was given.
    fn take(&mut self, sink: &mut dyn Sink, timeout: Duration) -> Result<bool, DeviceError> {
        let mut given = false;
        let mut wait = timeout;
        for _ in 0..MOST_AT_ONCE {
            let Some(link) = &self.link else {
                return Err(gone("read"));
            };
            match link.next(wait) {
                Heard::Notification(heard) => {
                    self.heard = heard.at;
                    given |= (self.protocol).take(heard.uuid, &heard.value, heard.at, sink);
                    wait = Duration::ZERO;
                }
                Heard::Nothing => break,
                Heard::Gone => return Err(gone("read")),
            }
        }
        let overrun = self.link.as_ref().map_or(0, Link::overrun);
        if overrun > 0 {
            sink.event(DeviceEvent::Warning(format!(
                "{overrun} notifications came faster than they were read"
            )));
        }
        Ok(given)
    }

    /// Takes what still waits when the connection is given up.
    fn take_rest(&mut self, sink: &mut dyn Sink) {
        while let Some(link) = &self.link
            && let Heard::Notification(heard) = link.next(Duration::ZERO)
        {
            (self.protocol).take(heard.uuid, &heard.value, heard.at, sink);
        }
    }

    fn test(
        &mut self,
        operation: &str,
        (electrodes, test): (Vec<String>, ImpedanceTest),
        progress: &mut dyn FnMut(&Impedance) -> ControlFlow<()>,
    ) -> Result<Vec<Impedance>, DeviceError> {
        let mut measured: Vec<Impedance> = Vec::new();
        let began = self.clock.host();
        self.safety.on.store(true, Ordering::SeqCst);
        self.send(operation, &[test.on.to_vec()])?;
        let (mut outcome, mut broken_off) = (Ok(()), false);
        while measured.len() < test.inputs {
            if self.safety.ended.load(Ordering::SeqCst) {
                outcome = Err(ended(operation));
                break;
            }
            if since(self.clock.host(), began) > IMPEDANCES {
                outcome = Err(DeviceError::new(
                    ErrorKind::Protocol,
                    operation,
                    "the board does not tell every impedance; switch it off and on, and try again",
                ));
                break;
            }
            let Some(link) = &self.link else {
                return Err(gone(operation));
            };
            let found = match link.next(SAFETY_LOOK) {
                Heard::Notification(heard) => (test.read)(&heard.value),
                Heard::Nothing => None,
                Heard::Gone => {
                    outcome = Err(gone(operation));
                    break;
                }
            };
            let Some((electrode, impedance_kohm)) =
                found.and_then(|(input, kohm)| electrodes.get(input).map(|name| (name, kohm)))
            else {
                continue;
            };
            if measured.iter().any(|known| known.electrode == *electrode) {
                continue;
            }
            let impedance = Impedance {
                electrode: electrode.clone(),
                impedance_kohm,
                at: self.clock.utc(),
            };
            let on = progress(&impedance);
            measured.push(impedance);
            if on.is_break() {
                broken_off = true;
                break;
            }
        }
        let off = self.send(operation, &[test.off.to_vec()]);
        // What has no input of the test is not known.
        if outcome.is_ok() && measured.len() == test.inputs && !broken_off {
            for electrode in electrodes.iter().skip(test.inputs) {
                let impedance = Impedance {
                    electrode: electrode.clone(),
                    impedance_kohm: None,
                    at: self.clock.utc(),
                };
                let on = progress(&impedance);
                measured.push(impedance);
                if on.is_break() {
                    break;
                }
            }
        }
        if off.is_ok() {
            self.safety.on.store(false, Ordering::SeqCst);
        }
        outcome.and(off).map(|()| measured)
    }
}

fn gone(operation: &str) -> DeviceError {
    DeviceError::new(
        ErrorKind::Disconnected,
        operation,
        "the device is gone; bring it closer and see that it is switched on",
    )
}

fn ended(operation: &str) -> DeviceError {
    DeviceError::new(
        ErrorKind::Unsupported,
        operation,
        "test currents were ended; they stay off until the device is opened anew",
    )
}

/// Whatever a lost device answers or does not: it may be back at the next attempt.
fn may_return(mut error: DeviceError) -> DeviceError {
    if !matches!(error.kind, ErrorKind::Permission | ErrorKind::Settings) {
        error.kind = ErrorKind::Disconnected;
    }
    error
}

impl Device for BluetoothDevice {
    fn description(&self) -> &DeviceDescription {
        self.protocol.description()
    }

    fn safety(&self) -> Arc<dyn Safety> {
        Arc::clone(&self.safety) as Arc<dyn Safety>
    }

    fn start(&mut self) -> Result<(), DeviceError> {
        if self.streaming {
            return Ok(());
        }
        let operation = self.operation("start");
        if self.link.is_none() {
            let clock = Arc::clone(&self.clock);
            let link =
                Link::open(&operation, &self.address, self.service, clock).map_err(may_return)?;
            // A new connection is a reset: no test current survives it.
            self.safety.on.store(false, Ordering::SeqCst);
            self.prepare(&operation, link).map_err(may_return)?;
        }
        // What came after the last stop is of no streaming.
        while let Some(link) = &self.link
            && matches!(link.next(Duration::ZERO), Heard::Notification(_))
        {}
        self.protocol.begin();
        let commands = self.protocol.start();
        self.send(&operation, &commands)
            .map_err(may_return)
            .map_err(|error| self.lost(error))?;
        self.streaming = true;
        self.heard = self.clock.host();
        self.told = self.heard;
        Ok(())
    }

    fn read(&mut self, sink: &mut dyn Sink, timeout: Duration) -> Result<Read, DeviceError> {
        if !self.streaming {
            self.clock.sleep(timeout);
            return match self.link {
                Some(_) => Ok(Read::Idle),
                None => Err(gone("read")),
            };
        }
        let began = self.clock.host();
        loop {
            let wait = timeout.saturating_sub(since(self.clock.host(), began));
            let mut taken = self.take(sink, wait);
            let now = self.clock.host();
            if let Ok(false) = taken
                && since(now, self.heard) > ASK_AFTER
            {
                self.heard = now;
                if self.link.as_ref().is_none_or(|link| !link.stands()) {
                    taken = Err(gone("read"));
                }
            }
            if taken.is_ok()
                && let Err(error) = self.keep_alive(now)
            {
                taken = Err(may_return(error));
            }
            if taken.is_err() {
                self.take_rest(sink);
            }
            // What came before the connection broke is part of the record.
            let horizon = match &taken {
                Ok(_) => now.plus_nanos(-i64::try_from(GROUP_WAIT.as_nanos()).unwrap_or(0)),
                Err(_) => HostNanos(i64::MAX),
            };
            let flushed = self.protocol.flush(horizon, sink);
            if taken.map_err(|error| self.lost(error))? || flushed {
                return Ok(Read::Progress);
            }
            if since(now, began) >= timeout {
                return Ok(Read::Idle);
            }
        }
    }

    fn stop(&mut self) -> Result<(), DeviceError> {
        if !std::mem::take(&mut self.streaming) {
            return Ok(());
        }
        let operation = self.operation("stop");
        let commands = self.protocol.stop();
        self.send(&operation, &commands)
            .map_err(|error| self.lost(error))
    }

    fn measure_impedances(
        &mut self,
        progress: &mut dyn FnMut(&Impedance) -> ControlFlow<()>,
    ) -> Result<Vec<Impedance>, DeviceError> {
        let operation = self.operation("measure impedances of");
        let refuse = |message| DeviceError::new(ErrorKind::Unsupported, &operation, message);
        let Some(test) = self.protocol.impedance() else {
            return Err(refuse("the device cannot measure them"));
        };
        if self.streaming {
            return Err(refuse("the device is streaming; stop it first"));
        }
        if self.safety.ended.load(Ordering::SeqCst) {
            return Err(ended(&operation));
        }
        let measured = self.test(&operation, test, progress);
        measured.map_err(|error| self.lost(error))
    }

    fn calibration(&mut self, _on: bool) -> Result<(), DeviceError> {
        Err(DeviceError::new(
            ErrorKind::Unsupported,
            self.operation("calibrate"),
            "the device has no calibration signal",
        ))
    }
}

impl Drop for BluetoothDevice {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            tracing::debug!(%error, "the device could not be told to stop");
        }
    }
}
