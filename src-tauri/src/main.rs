//! `neurascale-desktop`: the window. A client of the engine process, which it starts when none runs, and
//! the frame of the pages, which speak to it by the commands of [`commands`] alone. Its end, however it
//! comes, changes nothing for a session.
#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

mod commands;
mod feeds;
mod limits;
mod link;
mod platform;
mod queue;
mod screen;
mod shell;
mod texts;
mod watchdog;

use clap::Parser;
use engine_client::{Start, data_dir};
use limits::{WINDOW_MIN_SIZE, WINDOW_SIZE, WORKER_THREADS};
use link::Link;
use platform::Instance;
use screen::Screens;
use shell::{Shell, WINDOW};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tauri::webview::{NewWindowResponse, PageLoadEvent};
use tauri::{Manager, Url, WebviewUrl, WebviewWindowBuilder, WindowEvent};
use tauri_plugin_window_state::StateFlags;

/// NeuraScale Workstation in a window.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Folder of the engine's data
    #[arg(long)]
    data_dir: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_env("NEURASCALE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let data_dir = data_dir(arguments.data_dir);
    let instance = match platform::only_instance(&data_dir) {
        Ok(Some(instance)) => Some(instance),
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => {
            tracing::warn!(%error, "a second window cannot be kept away");
            None
        }
    };
    match run(data_dir, instance) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the window could not be opened");
            ExitCode::FAILURE
        }
    }
}

fn run(data_dir: PathBuf, instance: Option<Instance>) -> Result<(), Box<dyn std::error::Error>> {
    // The page's requests and feeds; its worker threads have their own name in a stack dump.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .thread_name("engine-link")
        .enable_all()
        .build()?;
    tauri::async_runtime::set(runtime.handle().clone());
    let window_state = tauri_plugin_window_state::Builder::default()
        .with_state_flags(StateFlags::SIZE | StateFlags::POSITION | StateFlags::MAXIMIZED)
        .build();
    let app = tauri::Builder::default()
        .plugin(window_state)
        .invoke_handler(tauri::generate_handler![
            commands::call,
            commands::open_feed,
            commands::close_feed,
            commands::read_page,
            commands::emergency_stop,
            commands::heartbeat,
            commands::screen,
            commands::set_screen,
            commands::quit,
        ])
        .on_window_event(|window, event| {
            if let WindowEvent::CloseRequested { api, .. } = event {
                api.prevent_close();
                shell::close_requested(window.app_handle());
            }
        })
        .setup(move |app| {
            let screens = Screens::new(&app.path().app_config_dir()?);
            let link = Link::new(data_dir, Start::OnDemand);
            app.manage(Arc::new(Shell::new(link, screens)));
            open_window(app.handle())?;
            if let Some(instance) = instance {
                instance.answer(app.handle())?;
            }
            tauri::async_runtime::spawn(shell::watch(app.handle().clone()));
            Ok(())
        })
        .build(context())?;
    app.run(|_, _| ());
    Ok(())
}

/// Configuration, capabilities and pages, embedded at build time.
#[allow(
    clippy::disallowed_methods,
    reason = "the macro's own code ends the process when a resource is missing"
)]
fn context() -> tauri::Context {
    tauri::generate_context!()
}

fn open_window(app: &tauri::AppHandle) -> tauri::Result<()> {
    let (loading, saving) = (app.clone(), app.clone());
    let window = WebviewWindowBuilder::new(app, WINDOW, WebviewUrl::default())
        .title("NeuraScale Workstation")
        .inner_size(WINDOW_SIZE.0, WINDOW_SIZE.1)
        .min_inner_size(WINDOW_MIN_SIZE.0, WINDOW_MIN_SIZE.1)
        // Files that are dropped on the window are none of its business.
        .disable_drag_drop_handler()
        .on_navigation(is_own_page)
        .on_new_window(|_, _| NewWindowResponse::Deny)
        .on_download(move |_, event| shell::download(&saving, event))
        .on_page_load(move |_, load| {
            if load.event() == PageLoadEvent::Started {
                shell::shell(&loading).page_loading();
            }
        })
        .build()?;
    platform::prepare(&window)
}

/// Only what is embedded in the program is ever shown.
fn is_own_page(url: &Url) -> bool {
    let scheme_of_tauri = url.scheme() == "tauri" && url.host_str() == Some("localhost");
    // Windows serves the same under a name that resolves nowhere.
    let host_of_tauri = cfg!(windows) && url.host_str() == Some("tauri.localhost");
    scheme_of_tauri || host_of_tauri || matches!(url.scheme(), "blob" | "about")
}
