//! Linux: GTK 3 and WebKitGTK.

use crate::limits::{INSTANCE_ANSWER, INSTANCE_PATIENCE, INSTANCE_POLL};
use crate::screen::Monitor;
use crate::shell::{WINDOW, accelerator_pressed, close_requested};
use crate::texts::texts;
use gtk::gdk::{self, ModifierType, keys::constants as key};
use gtk::glib::Propagation;
use gtk::prelude::*;
use std::fs::{File, OpenOptions, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Instant;
use tauri::{AppHandle, Manager, WebviewWindow};
use tokio::sync::oneshot;
use webkit2gtk::{WebProcessTerminationReason, WebViewExt};

/// Sets up what the window needs of the system; on the main thread.
pub(crate) fn prepare(window: &WebviewWindow) -> tauri::Result<()> {
    let app = window.app_handle().clone();
    // The window sees keys before the page in it, and this handler runs before the window's own: it
    // works while the page hangs.
    window
        .gtk_window()?
        .connect_key_press_event(move |_, event| {
            if is_emergency_stop(event.keyval(), event.state()) {
                accelerator_pressed(&app);
                return Propagation::Stop;
            }
            if event.state().contains(ModifierType::CONTROL_MASK) && event.keyval() == key::q {
                close_requested(&app);
                return Propagation::Stop;
            }
            Propagation::Proceed
        });
    window.with_webview(|webview| {
        let view = webview.inner();
        // Reload, Back and Inspect are nothing for a bedside.
        view.connect_context_menu(|_, _, _, _| true);
        view.connect_web_process_terminated(|view, reason| {
            // One that was ended by us is loaded again where it was ended.
            if reason != WebProcessTerminationReason::TerminatedByApi {
                tracing::error!(
                    ?reason,
                    "the page's process ended; the page is loaded again"
                );
                view.reload();
            }
        });
    })
}

/// Ctrl and the full stop, of the letters or of the keypad, whatever the locks are.
fn is_emergency_stop(pressed: gdk::keys::Key, state: ModifierType) -> bool {
    state.contains(ModifierType::CONTROL_MASK)
        && !state.intersects(ModifierType::MOD1_MASK | ModifierType::SUPER_MASK)
        && [
            key::period,
            key::KP_Decimal,
            key::KP_Delete,
            key::KP_Separator,
        ]
        .contains(&pressed)
}

/// Ends the process of a page that hangs, and loads the page anew.
pub(crate) fn restart_page(window: &WebviewWindow) {
    let done = window.with_webview(|webview| {
        let view = webview.inner();
        view.terminate_web_process();
        view.reload();
    });
    if let Err(error) = done {
        tracing::error!(%error, "the page cannot be loaded again");
    }
}

/// The monitor that the window is on, for the most part.
pub(crate) async fn monitor(window: &WebviewWindow) -> Result<Monitor, String> {
    let (found, answer) = oneshot::channel();
    let asked = window.clone();
    window
        .run_on_main_thread(move || {
            let _ = found.send(monitor_now(&asked));
        })
        .map_err(|error| error.to_string())?;
    answer.await.map_err(|error| error.to_string())?
}

fn monitor_now(window: &WebviewWindow) -> Result<Monitor, String> {
    let window = window.gtk_window().map_err(|error| error.to_string())?;
    let display = window.display();
    let monitor = window
        .window()
        .and_then(|surface| display.monitor_at_window(&surface))
        .or_else(|| display.primary_monitor())
        .ok_or("this display has no monitor")?;
    let word = |part: Option<gtk::glib::GString>| part.map(|text| text.trim().to_owned());
    let name = [word(monitor.manufacturer()), word(monitor.model())]
        .into_iter()
        .flatten()
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    let size = monitor.geometry();
    Ok(Monitor {
        remote: is_remote(&name),
        name,
        width_mm: monitor.width_mm(),
        height_mm: monitor.height_mm(),
        width_px: size.width(),
        height_px: size.height(),
        scale: monitor.scale_factor(),
    })
}

/// Screens that stand for another screen elsewhere, or for none: they are named after their programs,
/// and a session over SSH draws on the far end's screen.
fn is_remote(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.is_empty()
        || ["screen", "vnc", "rdp", "virtual", "dummy", "qemu", "spice"]
            .iter()
            .any(|word| name.contains(word))
        || ["SSH_CONNECTION", "XRDP_SESSION"]
            .iter()
            .any(|name| std::env::var_os(name).is_some())
}

/// Says something that the page may not be able to say.
pub(crate) fn tell(app: &AppHandle, text: &'static str) {
    on_main_thread(app, move |app| {
        let dialog = dialog(app, gtk::MessageType::Warning, gtk::ButtonsType::Ok, text);
        dialog.connect_response(|dialog, _| dialog.close());
        dialog.show_all();
    });
}

/// Asks whether to close the window while a session records.
pub(crate) fn ask_to_close(app: &AppHandle, answer: impl Fn(bool) + Send + 'static) {
    on_main_thread(app, move |app| {
        let dialog = dialog(
            app,
            gtk::MessageType::Question,
            gtk::ButtonsType::None,
            texts().recording_goes_on,
        );
        dialog.add_button(texts().stay, gtk::ResponseType::Cancel);
        dialog.add_button(texts().close_window, gtk::ResponseType::Accept);
        dialog.set_default_response(gtk::ResponseType::Cancel);
        dialog.connect_response(move |dialog, response| {
            dialog.close();
            answer(response == gtk::ResponseType::Accept);
        });
        dialog.show_all();
    });
}

fn dialog(
    app: &AppHandle,
    kind: gtk::MessageType,
    buttons: gtk::ButtonsType,
    text: &str,
) -> gtk::MessageDialog {
    let parent = app
        .get_webview_window(WINDOW)
        .and_then(|window| window.gtk_window().ok());
    gtk::MessageDialog::new(
        parent.as_ref(),
        gtk::DialogFlags::MODAL,
        kind,
        buttons,
        text,
    )
}

fn on_main_thread(app: &AppHandle, act: impl FnOnce(&AppHandle) + Send + 'static) {
    let inside = app.clone();
    if let Err(error) = app.run_on_main_thread(move || act(&inside)) {
        tracing::error!(%error, "the main loop has ended");
    }
}

/// Being the only window of this person, data folder and display; ends with the process, however it
/// ends. Without a session bus: a bedside need not have one.
#[derive(Debug)]
pub(crate) struct Instance {
    _lock: File,
    listener: Option<UnixListener>,
}

impl Instance {
    /// Brings the window forward whenever the program is started once more.
    pub(crate) fn answer(self, app: &AppHandle) -> std::io::Result<()> {
        let Self { _lock, listener } = self;
        let app = app.clone();
        std::thread::Builder::new()
            .name("single-instance".to_owned())
            .spawn(move || {
                let _held_as_long_as_this_thread = _lock;
                for knock in listener.iter().flat_map(UnixListener::incoming) {
                    on_main_thread(&app, |app| {
                        if let Some(window) = app.get_webview_window(WINDOW) {
                            let _ = window.unminimize();
                            let _ = window.set_focus();
                        }
                    });
                    // Whoever knocked and left again needs no answer.
                    let _ = knock.and_then(|mut stream| stream.write_all(&[1]));
                }
                // Without a listener the lock is kept all the same.
                loop {
                    std::thread::park();
                }
            })?;
        Ok(())
    }
}

/// Takes the place of the only window; `None` when another has it, which is then brought forward.
pub(crate) fn only_instance(data_dir: &Path) -> std::io::Result<Option<Instance>> {
    let folder = runtime_folder();
    std::fs::create_dir_all(&folder)?;
    let mut hasher = DefaultHasher::new();
    data_dir.hash(&mut hasher);
    for display in ["WAYLAND_DISPLAY", "DISPLAY"] {
        std::env::var_os(display).hash(&mut hasher);
    }
    let name = format!("neurascale-window-{:016x}", hasher.finish());
    let socket = folder.join(&name).with_extension("socket");
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join(&name).with_extension("lock"))?;
    let began = Instant::now();
    loop {
        match lock.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if knock(&socket) => return Ok(None),
            // One that is just ending holds the lock for a moment longer than it answers.
            Err(TryLockError::WouldBlock) if began.elapsed() < INSTANCE_PATIENCE => {
                std::thread::sleep(INSTANCE_POLL);
            }
            Err(TryLockError::WouldBlock) => {
                return Err(std::io::Error::other(
                    "another window holds the place and does not answer",
                ));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    // What a killed window left behind.
    let _ = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket)
        .inspect_err(
            |error| tracing::warn!(%error, "a second start cannot bring this window forward"),
        )
        .ok();
    Ok(Some(Instance {
        _lock: lock,
        listener,
    }))
}

/// Asks the other window to come forward; whether it answered.
fn knock(socket: &Path) -> bool {
    let Ok(mut stream) = UnixStream::connect(socket) else {
        return false;
    };
    let mut answer = [0; 1];
    stream.set_read_timeout(Some(INSTANCE_ANSWER)).is_ok() && stream.read_exact(&mut answer).is_ok()
}

fn runtime_folder() -> PathBuf {
    let from_env = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    from_env("XDG_RUNTIME_DIR").unwrap_or_else(|| {
        from_env("XDG_CACHE_HOME")
            .or_else(|| from_env("HOME").map(|home| home.join(".cache")))
            .unwrap_or_else(|| PathBuf::from("."))
            .join("neurascale")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accelerator_is_control_and_full_stop() {
        let control = ModifierType::CONTROL_MASK;
        assert!(is_emergency_stop(key::period, control));
        assert!(is_emergency_stop(
            key::KP_Decimal,
            control | ModifierType::LOCK_MASK | ModifierType::MOD2_MASK
        ));
        assert!(!is_emergency_stop(key::period, ModifierType::empty()));
        assert!(!is_emergency_stop(key::comma, control));
        assert!(!is_emergency_stop(
            key::period,
            control | ModifierType::MOD1_MASK
        ));
    }
}
