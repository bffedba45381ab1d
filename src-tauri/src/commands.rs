//! What the page may ask of the shell. Every failure is an [`ApiError`]: a code, a sentence, a remedy.

use crate::limits::{MAX_PAGE_BYTES, PROGRESS_INTERVAL};
use crate::link::internal;
use crate::platform;
use crate::screen::Screen;
use crate::shell::Shell;
use serde_json::Value;
use std::sync::Arc;
use std::time::Instant;
use tauri::ipc::{Channel, InvokeResponseBody, Response};
use tauri::{AppHandle, State, WebviewWindow};
use ui_types::{ApiError, EmergencyStopReply, ErrorCode, FeedRequest, PageRequest, Progress};

type Shared<'a> = State<'a, Arc<Shell>>;

/// Makes a call of the engine.
#[tauri::command]
pub(crate) async fn call(
    shell: Shared<'_>,
    name: String,
    body: Value,
    progress: Channel<Progress>,
) -> Result<Value, ApiError> {
    let mut told: Option<Instant> = None;
    shell
        .link
        .call(&name, &body, |step| {
            let due = told.is_none_or(|at| at.elapsed() >= PROGRESS_INTERVAL);
            let last = step.total > 0 && step.done >= step.total;
            if due || last || step.detail.is_some() {
                told = Some(Instant::now());
                // A page that is gone needs no progress; the call goes on.
                let _ = progress.send(step);
            }
        })
        .await
}

/// Opens a session's feed into `channel`; returns its id.
#[tauri::command]
pub(crate) async fn open_feed(
    shell: Shared<'_>,
    window: WebviewWindow,
    request: FeedRequest,
    channel: Channel<InvokeResponseBody>,
) -> Result<u32, ApiError> {
    let link = Arc::clone(&shell.link);
    shell.feeds.open(link, request, channel, window).await
}

/// Closes a feed.
#[tauri::command]
pub(crate) async fn close_feed(shell: Shared<'_>, id: u32) -> Result<(), ApiError> {
    shell.feeds.close(id);
    Ok(())
}

/// A stretch of a recording as the bytes of its messages.
#[tauri::command]
pub(crate) async fn read_page(
    shell: Shared<'_>,
    request: PageRequest,
) -> Result<Response, ApiError> {
    let mut feed = shell.link.page(&request).await?;
    let mut bytes = Vec::new();
    while let Some(message) = feed.next_bytes().await? {
        bytes.extend_from_slice(&message);
        if bytes.len() > MAX_PAGE_BYTES {
            return Err(ApiError::new(
                ErrorCode::Invalid,
                "the page asked for is too large",
                "Ask for fewer columns or a montage with fewer rows.",
            ));
        }
    }
    Ok(Response::new(bytes))
}

/// Ends stimuli and test currents of one session, or of all; needs nobody signed in.
#[tauri::command]
pub(crate) async fn emergency_stop(
    shell: Shared<'_>,
    id: Option<String>,
) -> Result<EmergencyStopReply, ApiError> {
    shell.emergency_stop(id).await
}

/// The page is alive.
#[tauri::command]
pub(crate) async fn heartbeat(shell: Shared<'_>) -> Result<(), ApiError> {
    shell.heartbeat();
    Ok(())
}

/// Millimetres of the screen that the window is on.
#[tauri::command]
pub(crate) async fn screen(shell: Shared<'_>, window: WebviewWindow) -> Result<Screen, ApiError> {
    let monitor = platform::monitor(&window).await.map_err(internal)?;
    Ok(shell.screens.of(&monitor))
}

/// Keeps what a ruler has found on the screen that the window is on.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn set_screen(
    shell: Shared<'_>,
    window: WebviewWindow,
    px_per_mm: f64,
) -> Result<Screen, ApiError> {
    let monitor = platform::monitor(&window).await.map_err(internal)?;
    shell.screens.keep(&monitor, px_per_mm)
}

/// The answer to the question whether to close the window while a session records.
#[tauri::command]
pub(crate) async fn quit(
    shell: Shared<'_>,
    app: AppHandle,
    confirmed: bool,
) -> Result<(), ApiError> {
    shell.quit(&app, confirmed);
    Ok(())
}
