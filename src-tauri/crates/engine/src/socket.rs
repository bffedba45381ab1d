//! The local socket: where it lies, who may connect, and what is left when the engine goes.
//!
//! The one module here that knows the platform. Unix: a Unix-domain socket in a folder of mode
//! 0700, and every peer must be the engine's own user or root. Windows (a named pipe with a
//! security descriptor for the engine's identity) is not written yet.

use crate::limits::{FIRST_ANSWER, MAX_CONNECTIONS, MAX_SOCKET_PATH_BYTES};
use std::future::Future;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

/// File that names the socket while the engine runs; clients read it.
const ENDPOINT_FILE: &str = "engine.endpoint";

/// A listening socket.
#[derive(Debug)]
pub(crate) struct Socket {
    listener: UnixListener,
    uid: u32,
    slots: Arc<Semaphore>,
}

impl Socket {
    /// Listens for clients of `data_dir`. The caller holds the data folder's lock, so a socket
    /// that lies there belongs to nobody.
    ///
    /// # Errors
    /// When the socket or the endpoint file cannot be made.
    pub(crate) fn bind(data_dir: &Path) -> io::Result<(Self, Endpoint)> {
        let path = socket_path(data_dir)?;
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        let endpoint = data_dir.join(ENDPOINT_FILE);
        let fresh = data_dir.join(".engine.endpoint.new");
        std::fs::write(&fresh, path.as_os_str().as_encoded_bytes())?;
        std::fs::rename(&fresh, &endpoint)?;
        let uid = rustix::process::geteuid().as_raw();
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let endpoint = Endpoint {
            socket: path,
            file: endpoint,
        };
        Ok((
            Self {
                listener,
                uid,
                slots,
            },
            endpoint,
        ))
    }
}

/// The socket's traces in the file system, removed when dropped. It outlives the socket: as long as
/// it stands, the engine still owns the data folder.
#[derive(Debug)]
pub(crate) struct Endpoint {
    socket: PathBuf,
    file: PathBuf,
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.socket);
        let _ = std::fs::remove_file(&self.file);
    }
}

/// A connection that holds one of the engine's slots.
///
/// One that has not asked anything whole by its deadline is closed: half-open connections must not
/// keep others out, least of all an emergency stop.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: UnixStream,
    /// Until the first answer begins.
    deadline: Option<Pin<Box<Sleep>>>,
    _slot: OwnedSemaphorePermit,
}

impl axum::serve::Listener for Socket {
    type Io = Connection;
    type Addr = u32;

    async fn accept(&mut self) -> (Connection, u32) {
        loop {
            let Ok(slot) = self.slots.clone().acquire_owned().await else {
                std::future::pending::<()>().await;
                continue;
            };
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of descriptors: wait for some to be closed.
                    tracing::warn!(%error, "accept a client");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    continue;
                }
            };
            match stream.peer_cred() {
                Ok(peer) if peer.uid() == self.uid || peer.uid() == 0 => {
                    return (
                        Connection {
                            stream,
                            deadline: Some(Box::pin(tokio::time::sleep(FIRST_ANSWER))),
                            _slot: slot,
                        },
                        peer.uid(),
                    );
                }
                Ok(peer) => tracing::warn!(uid = peer.uid(), "refused another user's client"),
                Err(error) => tracing::warn!(%error, "refused a client of unknown user"),
            }
        }
    }

    fn local_addr(&self) -> io::Result<u32> {
        Ok(self.uid)
    }
}

impl tokio::io::AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            return std::task::Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl tokio::io::AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &[u8],
    ) -> std::task::Poll<io::Result<usize>> {
        self.deadline = None;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// In the data folder where the path is short enough, else in a private folder of the run-time
/// directory, named by the data folder's device and inode.
fn socket_path(data_dir: &Path) -> io::Result<PathBuf> {
    let direct = data_dir.join("engine.sock");
    if direct.as_os_str().len() <= MAX_SOCKET_PATH_BYTES {
        return Ok(direct);
    }
    let base =
        std::env::var_os("XDG_RUNTIME_DIR").map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
    let id = std::fs::metadata(data_dir)?;
    let uid = rustix::process::geteuid().as_raw();
    let folder = base.join(format!("neurascale-{uid}"));
    match std::fs::DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = std::fs::symlink_metadata(&folder)?;
    if !found.is_dir() || found.uid() != uid || found.mode() & 0o077 != 0 {
        return Err(io::Error::other(format!(
            "{} is not a private folder of this user; remove it",
            folder.display()
        )));
    }
    Ok(folder.join(format!("{:x}-{:x}.sock", id.dev(), id.ino())))
}
