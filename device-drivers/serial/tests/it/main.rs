//! The Cyton's driver against a board that exists as bytes, over a real terminal line.
#![cfg(unix)]
#![allow(clippy::print_stderr, reason = "what a test skips, it says")]

mod conformance;
mod daisy;
mod faults;
mod hostile;
mod signals;
mod vectors;

use contract::{Device, DeviceError, Driver as _, Settings};
use driver_tests::{Kept, Numbering, clock};
use emulators::cyton::CytonConfig;
use emulators::{DeliveryLog, Running, Script};
use serial::CytonDriver;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

/// A board and the folder with its port.
struct Board {
    emulator: Running,
    port: PathBuf,
    _folder: TempDir,
}

impl Board {
    /// Switches on a board whose last channel numbers its samples.
    fn numbered(script: &str) -> Self {
        Self::new(|config| {
            config.numbered = true;
            config.script = Script::parse(script).expect("a script");
        })
    }

    fn new(change: impl FnOnce(&mut CytonConfig)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = folder.path().join("port");
        let mut config = CytonConfig::new(port.clone());
        change(&mut config);
        let emulator = config
            .start(DeliveryLog::default(), clock())
            .expect("a board");
        Self {
            emulator,
            port,
            _folder: folder,
        }
    }

    fn address(&self) -> String {
        self.port.to_str().expect("a text").to_owned()
    }

    fn open(&self, settings: &[(&str, &str)]) -> Result<Box<dyn Device>, DeviceError> {
        let settings: Settings = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        CytonDriver.open(&self.address(), &settings, clock())
    }

    fn log(&self) -> &DeliveryLog {
        self.emulator.log()
    }
}

/// Records from `device` until `enough` of what is kept says so, or for `longest`.
fn record(
    device: Box<dyn Device>,
    longest: Duration,
    enough: impl Fn(&Kept) -> bool,
) -> (Kept, acquisition::Summary) {
    driver_tests::record(device, Numbering::default(), longest, enough)
}
