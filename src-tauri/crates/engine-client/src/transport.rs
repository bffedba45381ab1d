//! The local socket itself: the one module that knows the platform.
//!
//! Unix: a Unix-domain socket in a folder that only its owner may enter. Windows would use a named
//! pipe with the same HTTP on top; that part is not written, and says so when it is called.

use crate::ClientError;
use std::path::Path;

#[cfg(unix)]
pub(crate) type Stream = tokio::net::UnixStream;

#[cfg(unix)]
pub(crate) async fn connect(socket: &Path) -> Result<Stream, ClientError> {
    use crate::limits::CONNECT_TIMEOUT;
    match tokio::time::timeout(CONNECT_TIMEOUT, Stream::connect(socket)).await {
        Ok(Ok(stream)) => Ok(stream),
        // A socket file that nobody listens on is what a killed engine leaves behind.
        Ok(Err(_)) => Err(ClientError::NotRunning(socket.to_owned())),
        Err(_) => Err(ClientError::Broken("connecting took too long".to_owned())),
    }
}

#[cfg(not(unix))]
pub(crate) type Stream = tokio::io::DuplexStream;

#[cfg(not(unix))]
pub(crate) async fn connect(_socket: &Path) -> Result<Stream, ClientError> {
    Err(ClientError::Unsupported)
}
