//! A station of its own for a test: a data folder, the real engine and the real command line.
//!
//! The programs are those that the same build made: `NEURASCALE_BIN_DIR`, else the folder above
//! the test's own binary. Every station stops its engine when it is dropped.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::print_stderr)] // A test's tool: failing loudly is its purpose.

mod served;

pub use served::Served;

use rand::SeedableRng;
use recording::{OsStorage, Recording, StationKey, Unlock};
use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::keys::{KeyConfig, unlock};
use tempfile::TempDir;

/// What a command came to.
#[derive(Debug)]
pub struct Ran {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    /// Standard output as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }
}

/// A data folder with its programs.
#[derive(Debug)]
pub struct Station {
    folder: TempDir,
    passphrase: Option<PathBuf>,
    site_policy: Option<PathBuf>,
}

/// Folder of the programs under test.
#[must_use]
pub fn bin_dir() -> PathBuf {
    if let Some(folder) = std::env::var_os("NEURASCALE_BIN_DIR") {
        return PathBuf::from(folder);
    }
    let test = std::env::current_exe().expect("the test's own path");
    let deps = test.parent().expect("folder of the test");
    deps.parent().expect("folder of the build").to_owned()
}

/// Folder of real recordings, or `None` after saying loudly that it is missing.
#[must_use]
pub fn recordings() -> Option<PathBuf> {
    let folder = std::env::var_os("NEURASCALE_RECORDINGS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/recordings"),
        PathBuf::from,
    );
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!(
        "SKIPPED: no folder of real recordings at {}; set NEURASCALE_RECORDINGS",
        folder.display()
    );
    None
}

/// Interpreter of the Python environment, or `None` after saying loudly that it is missing.
#[must_use]
pub fn python() -> Option<PathBuf> {
    match std::env::var_os("NEURASCALE_PYENV") {
        Some(folder) => Some(PathBuf::from(folder).join("bin/python")),
        None => {
            eprintln!(
                "SKIPPED: NEURASCALE_PYENV is not set; exports are not read by other programs"
            );
            None
        }
    }
}

/// Whether the long runs are wanted.
#[must_use]
pub fn soak() -> bool {
    std::env::var_os("NEURASCALE_SOAK").is_some_and(|value| value != "0")
}

impl Station {
    /// A station in a folder of its own.
    #[must_use]
    pub fn new() -> Self {
        Self {
            folder: TempDir::new().expect("a folder"),
            passphrase: None,
            site_policy: None,
        }
    }

    /// A station in a folder within `parent`.
    #[must_use]
    pub fn within(parent: &Path) -> Self {
        Self {
            folder: TempDir::new_in(parent).expect("a folder"),
            passphrase: None,
            site_policy: None,
        }
    }

    /// A station whose key lies under the passphrase in `file`.
    #[must_use]
    pub fn with_passphrase(file: PathBuf) -> Self {
        Self {
            folder: TempDir::new().expect("a folder"),
            passphrase: Some(file),
            site_policy: None,
        }
    }

    /// Engines started from now on obey this policy file.
    pub fn set_site_policy(&mut self, file: PathBuf) {
        self.site_policy = Some(file);
    }

    /// The data folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A program of this build, set up for this station.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(bin_dir().join(program));
        command
            .env("NEURASCALE_DATA_DIR", self.path())
            .env_remove("NEURASCALE_PASSPHRASE_FILE")
            // What this machine sleeps by, and what its site wants, is not the test's.
            .env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent")
            .env(
                "NEURASCALE_POLICY_FILE",
                self.site_policy
                    .as_deref()
                    .unwrap_or(Path::new("/nonexistent")),
            );
        if let Some(file) = &self.passphrase {
            command.env("NEURASCALE_PASSPHRASE_FILE", file);
        }
        command
    }

    /// Runs the command line with `--json`.
    pub fn cli(&self, arguments: &[&str]) -> Ran {
        let out = self
            .command("neurascale")
            .arg("--json")
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("run neurascale (build it first: cargo build --workspace --bins)");
        Ran {
            code: out.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&out.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&out.stderr).into_owned(),
        }
    }

    /// Runs the command line, which must succeed, and yields its JSON.
    ///
    /// # Panics
    /// When it fails.
    pub fn ok(&self, arguments: &[&str]) -> Value {
        let ran = self.cli(arguments);
        assert_eq!(
            ran.code,
            0,
            "neurascale {arguments:?}: {ran:?}\n{}",
            self.log()
        );
        ran.json()
    }

    /// Starts an engine as a child of the test, and waits until it answers.
    ///
    /// # Panics
    /// When it does not, or when another engine answers in its place (one that a command started).
    #[must_use]
    pub fn engine(&self) -> Child {
        self.engine_with(&[])
    }

    /// As [`Self::engine`], with more in its environment.
    ///
    /// # Panics
    /// As [`Self::engine`].
    #[must_use]
    pub fn engine_with(&self, environment: &[(&str, &OsStr)]) -> Child {
        let child = self
            .command("neurascale-engine")
            .arg("serve")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("run neurascale-engine");
        let answered = self.wait_for(Duration::from_secs(20), || {
            self.cli(&["--no-start", "engine", "status"]).code == 0
        });
        assert!(answered, "the engine does not answer:\n{}", self.log());
        let serving = self.engine_pid();
        assert_eq!(serving, Some(child.id()), "another engine serves already");
        child
    }

    /// Waits until `done`, at most for `limit`.
    pub fn wait_for(&self, limit: Duration, mut done: impl FnMut() -> bool) -> bool {
        let began = Instant::now();
        while began.elapsed() < limit {
            if done() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    }

    /// Records 8 s from `device` for a training patient, to the end of the session, with more arguments of
    /// `session run`.
    ///
    /// # Panics
    /// When the session fails.
    pub fn records(&self, device: &str, more: &[&str]) -> Value {
        let mut arguments = vec!["session", "run", "--training", "--now", "--device", device];
        arguments.extend(["--protocol", "free-recording", "--duration", "8"]);
        arguments.extend(more);
        let session = self.ok(&arguments);
        assert_eq!(session["state"], "completed", "{session:#}\n{}", self.log());
        session
    }

    /// The session as it stands.
    pub fn session(&self, id: &str) -> Value {
        self.ok(&["session", "show", id])
    }

    /// Waits until a session is no longer running, and yields it.
    ///
    /// # Panics
    /// When it takes longer than `limit`.
    pub fn finished(&self, id: &str, limit: Duration) -> Value {
        let ended = self.wait_for(limit, || self.session(id)["state"] != "running");
        let session = self.session(id);
        assert!(
            ended,
            "the session does not end: {session:#}\n{}",
            self.log()
        );
        session
    }

    /// The engine's log.
    #[must_use]
    pub fn log(&self) -> String {
        let text = std::fs::read_to_string(self.path().join("logs/engine.log")).unwrap_or_default();
        let tail = text.len().saturating_sub(6_000);
        text.get(tail..).unwrap_or(&text).to_owned()
    }

    /// The station's key for recordings.
    ///
    /// # Panics
    /// When it cannot be unlocked.
    #[must_use]
    pub fn recording_key(&self) -> StationKey {
        let mut keys = KeyConfig::new(self.path());
        keys.passphrase_file.clone_from(&self.passphrase);
        let mut rng = rand::rngs::StdRng::seed_from_u64(0);
        let unlocked = unlock(&keys, &mut rng).expect("unlock the station key");
        StationKey::from_bytes(*unlocked.key.recording_key())
    }

    /// A session's recording, read past the engine.
    ///
    /// # Panics
    /// When it cannot be opened.
    #[must_use]
    pub fn recording(&self, session: &Value) -> Recording {
        let folder = session["recording_path"]
            .as_str()
            .expect("the session has a recording");
        let unlock = Unlock::Station(self.recording_key());
        Recording::open(Path::new(folder), &unlock, Arc::new(OsStorage))
            .expect("open the recording")
    }

    /// Process id of the engine, from its lock.
    #[must_use]
    pub fn engine_pid(&self) -> Option<u32> {
        std::fs::read_to_string(self.path().join("engine.lock"))
            .ok()?
            .trim()
            .parse()
            .ok()
    }
}

impl Default for Station {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        let stopped = self.cli(&["--no-start", "engine", "stop", "--force"]);
        // Not running any more is as good; anything else is stopped the hard way.
        if stopped.code != 0
            && stopped.code != 10
            && let Some(pid) = self.engine_pid()
        {
            let _ = Command::new("kill").arg("-9").arg(pid.to_string()).status();
        }
        let endpoint = self.path().join("engine.endpoint");
        self.wait_for(Duration::from_secs(10), || !endpoint.exists());
    }
}
