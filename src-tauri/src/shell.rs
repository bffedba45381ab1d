//! What the window's parts share, and what it does by itself: watching the page, the emergency stop,
//! the question before it closes.

use crate::feeds::Feeds;
use crate::limits::{
    EMERGENCY_STOP_TIMEOUT, PAGE_ALIVE, QUIT_ASK_TIMEOUT, QUIT_IMPATIENT, WATCH_INTERVAL,
};
use crate::link::{Link, lock};
use crate::platform;
use crate::screen::Screens;
use crate::texts::texts;
use crate::watchdog::{Verdict, Watchdog};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tauri::webview::DownloadEvent;
use tauri::{AppHandle, Emitter, Manager, WebviewWindow};
use ui_types::{ApiError, EmergencyStop, EmergencyStopReply, ErrorCode};

/// The one window's label.
pub(crate) const WINDOW: &str = "main";

/// The native accelerator was pressed and has acted; carries a [`Stopped`].
const EMERGENCY_STOP_EVENT: &str = "emergency-stop";

/// Someone wants to close the window while a session records; the page asks and calls `quit`.
const QUIT_REQUESTED_EVENT: &str = "quit-requested";

/// A file was saved, or could not be; carries a [`Saved`].
const SAVED_EVENT: &str = "saved";

/// What the window's parts share.
#[derive(Debug)]
pub(crate) struct Shell {
    pub(crate) link: Arc<Link>,
    pub(crate) feeds: Feeds,
    pub(crate) screens: Screens,
    watchdog: Mutex<Watchdog>,
    /// When the page was asked whether to quit, until it answers.
    asked: Mutex<Option<Instant>>,
}

/// What the native accelerator reached.
#[derive(Debug, Clone, Serialize)]
struct Stopped {
    reply: Option<EmergencyStopReply>,
    error: Option<ApiError>,
}

/// Where a file was saved; nowhere when it could not be.
#[derive(Debug, Clone, Serialize)]
struct Saved {
    path: Option<String>,
}

impl Shell {
    pub(crate) fn new(link: Link, screens: Screens) -> Self {
        Self {
            link: Arc::new(link),
            feeds: Feeds::default(),
            screens,
            watchdog: Mutex::default(),
            asked: Mutex::default(),
        }
    }

    /// The page shows life.
    pub(crate) fn heartbeat(&self) {
        lock(&self.watchdog).beat(Instant::now());
    }

    /// A page is being loaded: what the one before it had open is over.
    pub(crate) fn page_loading(&self) {
        self.feeds.close_all();
        *lock(&self.asked) = None;
        lock(&self.watchdog).loading(Instant::now());
    }

    /// The emergency stop.
    pub(crate) async fn emergency_stop(
        &self,
        id: Option<String>,
    ) -> Result<EmergencyStopReply, ApiError> {
        let stop = EmergencyStop { id };
        match tokio::time::timeout(EMERGENCY_STOP_TIMEOUT, self.link.emergency_stop(&stop)).await {
            Ok(result) => result,
            Err(_) => Err(ApiError::new(
                ErrorCode::Unavailable,
                "the engine did not confirm the emergency stop in time",
                texts().stop_failed,
            )),
        }
    }

    /// The page's answer to the question whether to quit.
    pub(crate) fn quit(&self, app: &AppHandle, confirmed: bool) {
        *lock(&self.asked) = None;
        if confirmed {
            app.exit(0);
        }
    }
}

/// The shell's state in an app; it is managed before the first window is made.
pub(crate) fn shell(app: &AppHandle) -> Arc<Shell> {
    Arc::clone(&app.state::<Arc<Shell>>())
}

/// The native accelerator was pressed. Acts beside whatever page and main loop do, then tells the page,
/// and where that failed also the person, whose page may hang.
pub(crate) fn accelerator_pressed(app: &AppHandle) {
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        let result = shell(&app).emergency_stop(None).await;
        let reached_all = result.as_ref().is_ok_and(|reply| reply.failed.is_empty());
        if !reached_all {
            tracing::error!(?result, "the emergency stop did not reach every device");
            platform::tell(&app, texts().stop_failed);
        }
        let (reply, error) = match result {
            Ok(reply) => (Some(reply), None),
            Err(error) => (None, Some(error)),
        };
        emit(&app, EMERGENCY_STOP_EVENT, Stopped { reply, error });
    });
}

/// Someone closes the window. While a session records the page asks first; one that shows no life, or
/// was asked just before and has not answered, is stood in for by a native dialog.
pub(crate) fn close_requested(app: &AppHandle) {
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        let shell = shell(&app);
        let status = tokio::time::timeout(QUIT_ASK_TIMEOUT, shell.link.status()).await;
        // An engine that cannot be reached has no session that this window could end: none ever can.
        let recording = matches!(status, Ok(Ok(ref status)) if !status.running_sessions.is_empty());
        if !recording {
            app.exit(0);
            return;
        }
        let now = Instant::now();
        let alive = lock(&shell.watchdog).alive_within(PAGE_ALIVE, now);
        let asked_before = lock(&shell.asked).replace(now);
        let impatient = asked_before.is_some_and(|at| now - at < QUIT_IMPATIENT);
        if alive && !impatient {
            emit(&app, QUIT_REQUESTED_EVENT, ());
            return;
        }
        let answered = app.clone();
        platform::ask_to_close(&app, move |close| shell.quit(&answered, close));
    });
}

/// What the page itself has made may be saved; nothing is fetched. It goes to the person's downloads, else to
/// their home, never to where the program happened to be started, and the page is told where.
pub(crate) fn download(app: &AppHandle, event: DownloadEvent<'_>) -> bool {
    match event {
        DownloadEvent::Requested { url, destination } if url.scheme() == "blob" => {
            let known = app.path();
            let folder = known.download_dir().or_else(|_| known.home_dir());
            match (folder, destination.file_name()) {
                (Ok(folder), Some(name)) => {
                    *destination = unused(&folder, Path::new(name));
                    true
                }
                _ => {
                    emit(app, SAVED_EVENT, Saved { path: None });
                    false
                }
            }
        }
        DownloadEvent::Finished { path, success, .. } => {
            let path = path.filter(|_| success);
            let path = path.map(|path| {
                path.to_string_lossy()
                    .trim_start_matches("file://")
                    .to_owned()
            });
            emit(app, SAVED_EVENT, Saved { path });
            true
        }
        _ => false,
    }
}

/// A path in a folder at which nothing lies yet.
fn unused(folder: &Path, name: &Path) -> PathBuf {
    let stem = name.file_stem().unwrap_or_default().to_string_lossy();
    let kind = name
        .extension()
        .map(|kind| format!(".{}", kind.to_string_lossy()));
    let kind = kind.unwrap_or_default();
    let mut path = folder.join(name);
    let mut number = 1;
    while path.exists() {
        path = folder.join(format!("{stem} ({number}){kind}"));
        number += 1;
    }
    path
}

/// Looks at the page until the program ends, and reloads it when it has stopped answering.
pub(crate) async fn watch(app: AppHandle) {
    let shell = shell(&app);
    let mut ticks = tokio::time::interval(WATCH_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(window) = app.get_webview_window(WINDOW) else {
            continue;
        };
        let verdict = lock(&shell.watchdog).look(Instant::now());
        match verdict {
            Verdict::Well => {}
            Verdict::Ask => ask(&shell, &window),
            Verdict::Reload => {
                tracing::warn!("the page stopped answering and is loaded again");
                shell.feeds.close_all();
                platform::restart_page(&window);
            }
            Verdict::GiveUp => {
                tracing::error!("the page stops again and again; it is left as it is");
                platform::tell(&app, texts().page_given_up);
            }
        }
    }
}

fn ask(shell: &Arc<Shell>, window: &WebviewWindow) {
    let shell = Arc::clone(shell);
    let asked = window.eval_with_callback("1", move |answer| {
        if answer == "1" {
            lock(&shell.watchdog).answered(Instant::now());
        }
    });
    if let Err(error) = asked {
        tracing::debug!(%error, "the page cannot be asked");
    }
}

fn emit(app: &AppHandle, event: &str, payload: impl Serialize + Clone) {
    if let Err(error) = app.emit_to(WINDOW, event, payload) {
        tracing::warn!(%error, event, "the page could not be told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let name = Path::new("proof.json");
        for expected in ["proof.json", "proof (1).json", "proof (2).json"] {
            let path = unused(folder.path(), name);
            assert_eq!(path, folder.path().join(expected));
            std::fs::write(path, "").unwrap();
        }
    }
}
