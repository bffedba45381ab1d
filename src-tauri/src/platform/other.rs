//! Windows and macOS. Written against Tauri's documented behaviour and not yet compiled or run on
//! either: see the README's targets.

use crate::screen::Monitor;
use crate::shell::accelerator_pressed;
use std::path::Path;
use tauri::menu::{Menu, MenuItem, Submenu};
use tauri::{AppHandle, Manager, WebviewWindow};

const STOP: &str = "emergency-stop";

/// The accelerator of a menu is seen before the page, and works while it hangs.
pub(crate) fn prepare(window: &WebviewWindow) -> tauri::Result<()> {
    let app = window.app_handle();
    let stop = MenuItem::with_id(app, STOP, "Emergency stop", true, Some("CmdOrCtrl+."))?;
    let session = Submenu::with_items(app, "Session", true, &[&stop])?;
    window.set_menu(Menu::with_items(app, &[&session])?)?;
    window.on_menu_event(|window, event| {
        if event.id() == STOP {
            accelerator_pressed(window.app_handle());
        }
    });
    Ok(())
}

/// WebView2 and WKWebView end and restart a hung page's process on a reload.
pub(crate) fn restart_page(window: &WebviewWindow) {
    if let Err(error) = window.reload() {
        tracing::error!(%error, "the page cannot be loaded again");
    }
}

/// The monitor's name and pixels; its millimetres are not known here, so the ruler is asked for.
pub(crate) async fn monitor(window: &WebviewWindow) -> Result<Monitor, String> {
    let monitor = window
        .current_monitor()
        .map_err(|error| error.to_string())?
        .ok_or("this display has no monitor")?;
    let size = monitor.size();
    let pixels = |n: u32| i32::try_from(n).unwrap_or(0);
    Ok(Monitor {
        name: monitor.name().cloned().unwrap_or_default(),
        width_px: pixels(size.width),
        height_px: pixels(size.height),
        scale: 1,
        ..Monitor::default()
    })
}

/// Without a native dialog of its own yet: it stands in the log.
pub(crate) fn tell(_app: &AppHandle, text: &'static str) {
    tracing::error!(text, "to be shown");
}

/// Without a native dialog of its own yet: closing the window ends no recording.
pub(crate) fn ask_to_close(_app: &AppHandle, answer: impl Fn(bool) + Send + 'static) {
    answer(true);
}

/// The plugin keeps a second instance away.
#[derive(Debug)]
pub(crate) struct Instance;

impl Instance {
    /// Brings the window forward whenever the program is started once more.
    pub(crate) fn answer(self, app: &AppHandle) -> std::io::Result<()> {
        app.plugin(tauri_plugin_single_instance::init(|app, _, _| {
            if let Some(window) = app.get_webview_window(crate::shell::WINDOW) {
                let _ = window.set_focus();
            }
        }))
        .map_err(std::io::Error::other)
    }
}

/// Decided by the plugin when it is registered.
pub(crate) fn only_instance(_data_dir: &Path) -> std::io::Result<Option<Instance>> {
    Ok(Some(Instance))
}
