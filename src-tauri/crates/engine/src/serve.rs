//! The life of the engine process.

use crate::access::Bearer;
use crate::limits::DRAIN;
use crate::lock::DataLock;
use crate::log_file::LogFile;
use crate::socket::Socket;
use crate::{Failure, api};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tracing_subscriber::EnvFilter;
use workstation::{Config, Workstation};

/// How an engine is served.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// Folder of recordings, store and keys.
    pub data_dir: PathBuf,
    /// Leave after this long without a session or a call.
    pub idle_exit: Option<Duration>,
}

/// What every call shares.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) workstation: Workstation,
    pub(crate) life: Arc<Life>,
    /// The token that the call carries.
    pub(crate) token: Option<Bearer>,
}

/// When the engine was last used, and whether it should end.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) data_dir: PathBuf,
    pub(crate) started: Instant,
    stop: Notify,
    used: AtomicBool,
}

impl Life {
    /// A call came.
    pub(crate) fn touch(&self) {
        self.used.store(true, Ordering::Relaxed);
    }

    /// Ends the engine once the calls under way are answered.
    pub(crate) fn stop(&self) {
        self.stop.notify_one();
    }
}

/// Serves until told to stop. A store that cannot be opened does not keep the engine from serving:
/// it answers what is wrong, and the emergency stop works.
///
/// # Errors
/// When another engine runs, or the data folder or socket cannot be used.
#[allow(
    clippy::disallowed_methods,
    reason = "uptime and idling are the process's own"
)]
pub async fn serve(options: ServeOptions) -> Result<(), Failure> {
    let lock = DataLock::take(&options.data_dir)?;
    leave_terminal();
    start_log(&options.data_dir);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "engine starts");
    let workstation = Workstation::open(Config::new(options.data_dir.clone())).await?;
    let (socket, endpoint) = Socket::bind(&options.data_dir)
        .map_err(Failure::file("listen in", options.data_dir.clone()))?;
    let life = Arc::new(Life {
        data_dir: options.data_dir.clone(),
        started: Instant::now(),
        stop: Notify::new(),
        used: AtomicBool::new(true),
    });
    let shared = Shared {
        workstation: workstation.clone(),
        life: life.clone(),
        token: None,
    };
    let ending = Arc::new(Notify::new());
    let told = ending.clone();
    let server = axum::serve(socket, api::router(shared))
        .with_graceful_shutdown(async move { told.notified().await });
    let server = tokio::spawn(server.into_future());
    until_stopped(&life, &workstation, options.idle_exit).await;
    tracing::info!("engine stops");
    ending.notify_one();
    // Sessions first: their last blocks matter more than the answers under way.
    workstation.shutdown().await;
    if tokio::time::timeout(DRAIN, server).await.is_err() {
        tracing::warn!("clients still connected; leaving all the same");
    }
    tracing::info!("engine stopped");
    // The endpoint goes just before the lock: whoever sees it gone may take the folder.
    drop(endpoint);
    drop(lock);
    Ok(())
}

/// Waits for a signal, the stop call, or idling.
async fn until_stopped(life: &Life, workstation: &Workstation, idle_exit: Option<Duration>) {
    let (Ok(mut term), Ok(mut interrupt), Ok(mut hangup)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
        signal(SignalKind::hangup()),
    ) else {
        tracing::error!("signals cannot be handled; only the stop call ends the engine");
        return life.stop.notified().await;
    };
    loop {
        tokio::select! {
            _ = term.recv() => return,
            _ = interrupt.recv() => return,
            // The terminal that started the engine went away; sessions go on.
            _ = hangup.recv() => tracing::info!("hang-up ignored"),
            () = life.stop.notified() => return,
            () = idle(life, workstation, idle_exit) => {
                tracing::info!("nothing to do for a while");
                return;
            }
        }
    }
}

/// Returns once a whole period has passed without a call and without a session.
async fn idle(life: &Life, workstation: &Workstation, idle_exit: Option<Duration>) {
    let Some(period) = idle_exit else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(period).await;
        let used = life.used.swap(false, Ordering::Relaxed);
        if !used && workstation.running_sessions().is_empty() {
            return;
        }
    }
}

/// A session of its own, so that closing the terminal that started the engine does not reach it.
/// Fails for a process-group leader (started by a service manager), which needs none.
fn leave_terminal() {
    let _ = rustix::process::setsid();
}

fn start_log(data_dir: &Path) {
    let filter =
        EnvFilter::try_from_env("NEURASCALE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    match LogFile::open(&data_dir.join("logs")) {
        Ok(file) => {
            let subscriber = tracing_subscriber::fmt()
                .with_env_filter(filter)
                .with_ansi(false)
                .with_writer(file);
            let _ = subscriber.try_init();
        }
        Err(error) => {
            let _ = tracing_subscriber::fmt()
                .with_env_filter(filter)
                .with_writer(std::io::stderr)
                .try_init();
            tracing::warn!(%error, "the log file cannot be written; logging to standard error");
        }
    }
}

/// Puts a backup in place of the store, keeping the old one beside it.
///
/// # Errors
/// When an engine runs, or the backup is not sound.
pub async fn restore(data_dir: &Path, from: &Path) -> Result<(), Failure> {
    let lock = DataLock::take_patiently(data_dir).await?;
    Workstation::restore(Config::new(data_dir.to_owned()), from).await?;
    drop(lock);
    Ok(())
}
