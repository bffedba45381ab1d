//! A TCP connection, read into a buffer that never grows beyond one message.

use crate::limits::{CONNECT, READ_BYTES};
use contract::{Clock, DeviceError, ErrorKind};
use signal::HostNanos;
use std::io::{ErrorKind as IoKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

/// An open connection and what has come.
#[derive(Debug)]
pub(crate) struct Line {
    stream: TcpStream,
    clock: Arc<dyn Clock>,
    held: Vec<u8>,
    /// Bytes at the front that are done with.
    used: usize,
    chunk: Box<[u8; READ_BYTES]>,
}

pub(crate) fn gone(operation: &str, source: std::io::Error) -> DeviceError {
    DeviceError::new(
        ErrorKind::Disconnected,
        operation,
        "the connection to the server is lost; check the network and the server's program",
    )
    .with_source(source)
}

/// The addresses of 'host:port'.
pub(crate) fn resolve(operation: &str, address: &str) -> Result<Vec<SocketAddr>, DeviceError> {
    let refused = |message: &str| DeviceError::new(ErrorKind::NotFound, operation, message);
    let found: Vec<SocketAddr> = address
        .to_socket_addrs()
        .map_err(|error| {
            let message = "no such host: write host:port, as in 10.0.0.5:51244";
            refused(message).with_source(error)
        })?
        .collect();
    if found.is_empty() {
        return Err(refused("the host has no address"));
    }
    Ok(found)
}

/// Connects to the first address that answers.
pub(crate) fn connect(
    operation: &str,
    address: &str,
    patience: Duration,
) -> Result<TcpStream, DeviceError> {
    let mut last = None;
    for socket in resolve(operation, address)? {
        match TcpStream::connect_timeout(&socket, patience) {
            Ok(stream) => {
                // Requests are small and waited for.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => last = Some(error),
        }
    }
    let error = DeviceError::new(
        ErrorKind::NotFound,
        operation,
        "no server answers there: start it, and check host, port and firewall",
    );
    Err(match last {
        Some(source) => error.with_source(source),
        None => error,
    })
}

impl Line {
    pub(crate) fn open(
        operation: &str,
        address: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, DeviceError> {
        Ok(Self {
            stream: connect(operation, address, CONNECT)?,
            clock,
            held: Vec::with_capacity(2 * READ_BYTES),
            used: 0,
            chunk: Box::new([0; READ_BYTES]),
        })
    }

    /// What has come and is not done with.
    pub(crate) fn held(&self) -> &[u8] {
        &self.held[self.used..]
    }

    /// The first `count` of those bytes are done with.
    pub(crate) fn take(&mut self, count: usize) {
        self.used = (self.used + count).min(self.held.len());
        if self.used == self.held.len() {
            self.held.clear();
            self.used = 0;
        }
    }

    /// Reads once, waiting for at most about `timeout`: the bytes read, 0 when nothing came, and when.
    pub(crate) fn fill(
        &mut self,
        operation: &str,
        timeout: Duration,
    ) -> Result<(usize, HostNanos), DeviceError> {
        if self.used > 0 {
            self.held.drain(..self.used);
            self.used = 0;
        }
        // Zero means for ever to the system.
        let wait = timeout.max(Duration::from_micros(100));
        (self.stream.set_read_timeout(Some(wait))).map_err(|error| gone(operation, error))?;
        let read = self.stream.read(&mut self.chunk[..]);
        let now = self.clock.host();
        match read {
            Ok(0) => Err(gone(operation, IoKind::UnexpectedEof.into())),
            Ok(count) => {
                self.held.extend_from_slice(&self.chunk[..count]);
                Ok((count, now))
            }
            Err(error)
                if matches!(
                    error.kind(),
                    IoKind::TimedOut | IoKind::WouldBlock | IoKind::Interrupted
                ) =>
            {
                Ok((0, now))
            }
            Err(error) => Err(gone(operation, error)),
        }
    }

    pub(crate) fn send(&mut self, operation: &str, bytes: &[u8]) -> Result<(), DeviceError> {
        (self.stream.write_all(bytes)).map_err(|error| gone(operation, error))
    }
}

/// Time from `before` to `now`; none when it runs backwards.
pub(crate) fn since(now: HostNanos, before: HostNanos) -> Duration {
    Duration::from_nanos(now.nanos_since(before).max(0).unsigned_abs())
}
