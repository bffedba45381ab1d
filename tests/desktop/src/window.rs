//! A bedside: screen, station, window.

use crate::PATIENCE;
use crate::display::Display;
use crate::process::{self, Process};
use crate::webdriver::Session;
use end_to_end::{Station, bin_dir};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Name of the window's program.
const PROGRAM: &str = "neurascale-desktop";

/// Where a station stands: its engine and data, its screen, and the home folder of whoever works there.
#[derive(Debug)]
pub struct Bedside {
    /// The engine and its data; outlives the screen.
    pub station: Station,
    /// The screen.
    pub display: Display,
    home: TempDir,
    extra: Vec<(String, String)>,
}

/// The window, driven.
#[derive(Debug)]
pub struct Window {
    /// The page in it.
    pub page: Session,
    driver: Process,
    pid: u32,
}

impl Bedside {
    /// A bedside with a screen of usual size.
    ///
    /// # Panics
    /// When its parts do not start.
    #[must_use]
    pub fn new() -> Self {
        Self::with_screen(1_440, 900, &[])
    }

    /// A bedside with a screen of this size, its programs with these variables besides.
    ///
    /// # Panics
    /// When its parts do not start.
    #[must_use]
    pub fn with_screen(width: u32, height: u32, extra: &[(&str, &str)]) -> Self {
        let home = TempDir::new().expect("a folder");
        for folder in ["runtime", "config", "cache", "data"] {
            let path = home.path().join(folder);
            std::fs::create_dir(&path).expect("a folder");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700))
                .expect("its rights");
        }
        Self {
            station: Station::new(),
            display: Display::new(width, height),
            home,
            extra: extra
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }

    /// Gives the bedside a new screen, as a person who signs in again has.
    pub fn new_screen(&mut self, width: u32, height: u32) {
        self.display = Display::new(width, height);
    }

    /// The window's program.
    #[must_use]
    pub fn program() -> PathBuf {
        bin_dir().join(PROGRAM)
    }

    /// A command with this bedside's screen, home and station.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env("DISPLAY", self.display.name())
            .env_remove("WAYLAND_DISPLAY")
            .env_remove("SSH_CONNECTION")
            .env("GDK_BACKEND", "x11")
            .env("LC_ALL", "C.UTF-8")
            .env("HOME", self.home.path())
            .env("XDG_RUNTIME_DIR", self.home.path().join("runtime"))
            .env("XDG_CONFIG_HOME", self.home.path().join("config"))
            .env("XDG_CACHE_HOME", self.home.path().join("cache"))
            .env("XDG_DATA_HOME", self.home.path().join("data"))
            .env("NEURASCALE_DATA_DIR", self.station.path())
            .env("NEURASCALE_ENGINE", bin_dir().join("neurascale-engine"))
            // What this machine's site wants is not the test's.
            .env("NEURASCALE_POLICY_FILE", "/nonexistent")
            // Neither belongs to a test: no bus, no accessibility bridge that would start one.
            .env("DBUS_SESSION_BUS_ADDRESS", "disabled:")
            .env("NO_AT_BRIDGE", "1")
            .envs(self.extra.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Opens the window under a driver.
    ///
    /// # Panics
    /// When it does not open.
    #[must_use]
    pub fn open(&self) -> Window {
        let port = free_port();
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.home.path().join("window.log"))
            .expect("a log");
        let driver = Process::start(
            self.command(Path::new("WebKitWebDriver"))
                .arg(format!("--port={port}"))
                .env("TAURI_WEBVIEW_AUTOMATION", "true")
                .stdout(Stdio::null())
                .stderr(log),
        );
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                began.elapsed() < PATIENCE,
                "WebKitWebDriver does not answer"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        let page = Session::start(port, &Self::program(), &[])
            .unwrap_or_else(|error| panic!("the window does not open: {error}\n{}", self.log()));
        let windows = process::children(driver.pid(), PROGRAM);
        assert_eq!(windows.len(), 1, "one window: {windows:?}");
        Window {
            page,
            driver,
            pid: windows[0],
        }
    }

    /// Files that someone who works here has saved: those of the home folder itself and of its downloads.
    #[must_use]
    pub fn downloads(&self) -> Vec<PathBuf> {
        let folders = [
            self.home.path().to_owned(),
            self.home.path().join("Downloads"),
        ];
        let entries = folders
            .iter()
            .filter_map(|folder| std::fs::read_dir(folder).ok());
        entries
            .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
            .collect()
    }

    /// What the window's program wrote to its standard error.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("window.log")).unwrap_or_default()
    }
}

impl Default for Bedside {
    fn default() -> Self {
        Self::new()
    }
}

impl Window {
    /// The window's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Process ids of the web view's processes that show the page.
    #[must_use]
    pub fn page_processes(&self) -> Vec<u32> {
        process::children(self.pid, "WebKitWebProcess")
    }

    /// Whether the window's process runs.
    #[must_use]
    pub fn runs(&self) -> bool {
        process::runs(self.pid)
    }

    /// How long ago the window's process was started, s; `None` once it has ended.
    #[must_use]
    pub fn age_s(&self) -> Option<f64> {
        Some(process::uptime_s()? - process::started_s(self.pid)?)
    }

    /// Resident memory of the window's process and of the process that shows its page, bytes; `None` once
    /// one of them has ended.
    #[must_use]
    pub fn resident_bytes(&self) -> Option<(f64, f64)> {
        let page = *self.page_processes().first()?;
        Some((process::resident(self.pid)?, process::resident(page)?))
    }

    /// Kills the window's process, as a crash would.
    ///
    /// # Panics
    /// When it goes on.
    pub fn kill(&mut self) {
        process::kill(self.pid);
        let began = Instant::now();
        while process::runs(self.pid) {
            assert!(began.elapsed() < PATIENCE, "the window survived its kill");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether the window's process ends by itself within `limit`.
    #[must_use]
    pub fn ends_within(&self, limit: Duration) -> bool {
        let began = Instant::now();
        while process::runs(self.pid) {
            if began.elapsed() > limit {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        if process::runs(self.pid) {
            self.page.end();
            if !self.ends_within(Duration::from_secs(5)) {
                process::kill(self.pid);
            }
        }
        self.driver.kill();
    }
}

/// A port that nothing listens on; the driver cannot choose one itself.
fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}
