//! The line to the board: commands, answers, and the bytes in between.

use crate::limits::{ANSWER_BYTES, BAUD, DRAIN, PORT_TIMEOUT, QUIET, READ_BYTES, SAFETY_WAIT};
use contract::{Clock, DeviceError, ErrorKind};
use serialport::{ClearBuffer, SerialPort};
use signal::HostNanos;
use std::io::{ErrorKind as IoKind, Read as _, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::Duration;

/// What ends every answer of the board (OpenBCI 'Cyton Board SDK').
const END: &[u8] = b"$$$";

/// The half of the line that writes; another thread may use it to end test currents.
pub(crate) type Writer = Arc<Mutex<Option<Box<dyn SerialPort>>>>;

/// An open line.
#[derive(Debug)]
pub(crate) struct Link {
    port: Box<dyn SerialPort>,
    writer: Writer,
    clock: Arc<dyn Clock>,
}

fn system(error: &serialport::Error) -> Option<std::io::Error> {
    match error.kind() {
        serialport::ErrorKind::Io(kind) => Some(std::io::Error::from(kind)),
        _ => None,
    }
}

fn refused(operation: &str, path: &str, error: &serialport::Error) -> DeviceError {
    let (kind, message) = match error.kind() {
        _ if !Path::new(path).exists() => (
            ErrorKind::NotFound,
            "there is no such port; plug the dongle in, and look at 'neurascale device list'",
        ),
        serialport::ErrorKind::Io(IoKind::PermissionDenied) => (
            ErrorKind::Permission,
            "this user or service may not use the port: add it to the group 'dialout' and sign in anew, or install the package's udev rule",
        ),
        serialport::ErrorKind::NoDevice => (
            ErrorKind::Busy,
            "another program has the port open; close it there",
        ),
        serialport::ErrorKind::Io(IoKind::ResourceBusy) => (
            ErrorKind::Busy,
            "another program has the port open; close it there",
        ),
        _ => (ErrorKind::Io, "the system cannot open the port"),
    };
    let refused = DeviceError::new(kind, operation, message);
    match system(error) {
        Some(source) => refused.with_source(source),
        None => refused,
    }
}

/// The port failed: it is gone, unless the system says otherwise.
fn gone(operation: &str, source: std::io::Error) -> DeviceError {
    DeviceError::new(
        ErrorKind::Disconnected,
        operation,
        "the port has gone; check the dongle's plug",
    )
    .with_source(source)
}

impl Link {
    /// Opens the port at `path`; `writer` is told how to write to it.
    pub(crate) fn open(
        operation: &str,
        path: &str,
        writer: &Writer,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, DeviceError> {
        let port = serialport::new(path, BAUD)
            .timeout(PORT_TIMEOUT)
            .open()
            .map_err(|error| refused(operation, path, &error))?;
        let second = port
            .try_clone()
            .map_err(|error| refused(operation, path, &error))?;
        *writer.lock().unwrap_or_else(PoisonError::into_inner) = Some(second);
        crate::latency::shorten(path);
        Ok(Self {
            port,
            writer: Arc::clone(writer),
            clock,
        })
    }

    /// Sends a command.
    pub(crate) fn send(&self, operation: &str, command: &str) -> Result<(), DeviceError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(port) = writer.as_mut() else {
            return Err(gone(operation, IoKind::NotConnected.into()));
        };
        port.write_all(command.as_bytes())
            .map_err(|error| gone(operation, error))
    }

    /// What has come within about `timeout`; empty when nothing has. With the time of the read.
    pub(crate) fn read<'a>(
        &mut self,
        operation: &str,
        buffer: &'a mut [u8; READ_BYTES],
        timeout: Duration,
    ) -> Result<(&'a [u8], HostNanos), DeviceError> {
        if self.port.timeout() != timeout {
            (self.port.set_timeout(timeout))
                .map_err(|error| gone(operation, std::io::Error::other(error)))?;
        }
        let read = self.port.read(buffer);
        let arrival = self.clock.host();
        match read {
            // A line that was hung up reads as its end.
            Ok(0) => Err(gone(operation, IoKind::UnexpectedEof.into())),
            Ok(count) => Ok((&buffer[..count], arrival)),
            Err(error)
                if matches!(
                    error.kind(),
                    IoKind::TimedOut | IoKind::Interrupted | IoKind::WouldBlock
                ) =>
            {
                Ok((&[], arrival))
            }
            Err(error) => Err(gone(operation, error)),
        }
    }

    /// Reads and forgets until nothing has come for a while.
    pub(crate) fn drain(&mut self, operation: &str) -> Result<(), DeviceError> {
        let _ = self.port.clear(ClearBuffer::Input);
        let mut buffer = [0; READ_BYTES];
        let began = self.clock.host();
        let mut heard = began;
        loop {
            let now = self.clock.host();
            if since(now, heard) >= QUIET || since(now, began) >= DRAIN {
                return Ok(());
            }
            let (bytes, arrival) = self.read(operation, &mut buffer, PORT_TIMEOUT)?;
            if !bytes.is_empty() {
                heard = arrival;
            }
        }
    }

    /// Sends a command and waits for its answer, without the end mark; `None` when none comes in time.
    pub(crate) fn ask(
        &mut self,
        operation: &str,
        command: &str,
        patience: Duration,
    ) -> Result<Option<String>, DeviceError> {
        self.send(operation, command)?;
        let mut answer = Vec::new();
        let mut buffer = [0; READ_BYTES];
        let began = self.clock.host();
        loop {
            let (bytes, now) = self.read(operation, &mut buffer, PORT_TIMEOUT)?;
            answer.extend_from_slice(bytes);
            let end = answer.windows(END.len()).position(|three| three == END);
            if let Some(end) = end {
                answer.truncate(end);
                return Ok(Some(String::from_utf8_lossy(&answer).into_owned()));
            }
            if since(now, began) >= patience || answer.len() > ANSWER_BYTES {
                return Ok(None);
            }
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        *self.writer.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Time from `before` to `now`; none when it runs backwards.
pub(crate) fn since(now: HostNanos, before: HostNanos) -> Duration {
    Duration::from_nanos(now.nanos_since(before).max(0).unsigned_abs())
}

/// Writes `command` from another thread than the reader's, within [`SAFETY_WAIT`].
pub(crate) fn send_aside(
    writer: &Writer,
    clock: &dyn Clock,
    operation: &str,
    command: &str,
) -> Result<(), DeviceError> {
    let began = clock.host();
    loop {
        match writer.try_lock() {
            Ok(mut held) => return write(held.as_mut(), operation, command),
            Err(TryLockError::Poisoned(held)) => {
                return write(held.into_inner().as_mut(), operation, command);
            }
            Err(TryLockError::WouldBlock) if since(clock.host(), began) < SAFETY_WAIT => {
                clock.sleep(Duration::from_millis(1));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(DeviceError::new(
                    ErrorKind::Io,
                    operation,
                    "the port takes no command: pull the electrodes' plug",
                ));
            }
        }
    }
}

fn write(
    port: Option<&mut Box<dyn SerialPort>>,
    operation: &str,
    command: &str,
) -> Result<(), DeviceError> {
    let written = match port {
        Some(port) => port.write_all(command.as_bytes()),
        None => Err(IoKind::NotConnected.into()),
    };
    written.map_err(|source| {
        DeviceError::new(
            ErrorKind::Io,
            operation,
            "the board could not be told: pull the electrodes' plug",
        )
        .with_source(source)
    })
}
