//! One suite that every driver passes.
//!
//! [`check`] opens, reads, stops, restarts and drops the device as a session would and returns what
//! it found against the contract, each finding as one sentence. It needs a device that is there and
//! loses nothing: an emulator, a simulator, a file.

mod calls;
mod streaming;
#[cfg(test)]
mod tests;

use crate::{Clock, Device, DeviceError, Driver, ErrorKind, Settings};
use std::sync::Arc;
use std::time::Duration;

/// What the suite is to expect of a driver.
#[derive(Debug, Clone)]
pub struct Expectations {
    /// Address to open.
    pub address: String,
    /// Settings to open it with.
    pub settings: Settings,
    /// An address of the right form at which nothing is.
    pub unknown_address: String,
    /// Whether [`Driver::discover`] must list `address`.
    pub discoverable: bool,
    /// How long to stream in each part of the suite. Long enough for several blocks of each stream
    /// that must deliver.
    pub stream_for: Duration,
    /// What a call may take beyond what was asked, on a loaded machine.
    pub patience: Duration,
}

impl Expectations {
    /// Expects a device at `address` that discovery lists.
    #[must_use]
    pub fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            settings: Settings::new(),
            unknown_address: "no-such-device".into(),
            discoverable: true,
            stream_for: Duration::from_millis(400),
            patience: Duration::from_millis(500),
        }
    }

    /// Adds a setting.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.insert(name.to_owned(), value.to_owned());
        self
    }
}

/// Discovery takes at most this long.
const DISCOVERY: Duration = Duration::from_secs(2);

/// Ending what acts on the patient takes at most this long.
const SAFETY: Duration = Duration::from_millis(100);

/// What is wrong, collected over the suite.
#[derive(Debug, Default)]
struct Findings(Vec<String>);

impl Findings {
    fn expect(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            let finding = otherwise();
            // One of a kind is enough to act on; a thousand blocks would bury the rest.
            if !self.0.contains(&finding) {
                self.0.push(finding);
            }
        }
    }

    fn expect_kind<T>(&mut self, what: &str, result: Result<T, DeviceError>, kind: ErrorKind) {
        match result {
            Ok(_) => self.0.push(format!("{what}: succeeded, expected {kind:?}")),
            Err(error) => {
                self.expect(error.kind == kind, || {
                    format!("{what}: failed as {:?}, expected {kind:?}", error.kind)
                });
                self.expect(!error.message.is_empty(), || {
                    format!("{what}: the error says nothing")
                });
            }
        }
    }
}

/// What the parts of the suite work with.
struct Bench<'a> {
    driver: &'a dyn Driver,
    expected: &'a Expectations,
    clock: Arc<dyn Clock>,
}

impl Bench<'_> {
    fn open(&self, findings: &mut Findings) -> Option<Box<dyn Device>> {
        let Expectations {
            address, settings, ..
        } = self.expected;
        match self.driver.open(address, settings, Arc::clone(&self.clock)) {
            Ok(device) => Some(device),
            Err(error) => {
                findings.0.push(format!("open: {error}"));
                None
            }
        }
    }

    fn elapsed<T>(&self, call: impl FnOnce() -> T) -> (T, Duration) {
        let begin = self.clock.host();
        let result = call();
        let nanos = self.clock.host().nanos_since(begin);
        (result, Duration::from_nanos(nanos.max(0).unsigned_abs()))
    }
}

/// Runs the suite in real time by `clock` and gives what was found against the contract; empty when
/// the driver keeps to it.
#[must_use]
pub fn check(driver: &dyn Driver, expected: &Expectations, clock: Arc<dyn Clock>) -> Vec<String> {
    let bench = Bench {
        driver,
        expected,
        clock,
    };
    let mut findings = Findings::default();
    calls::discovery(&bench, &mut findings);
    calls::refusals(&bench, &mut findings);
    calls::description(&bench, &mut findings);
    calls::impedances(&bench, &mut findings);
    calls::calibration(&bench, &mut findings);
    streaming::start_stop_restart(&bench, &mut findings);
    streaming::timeout(&bench, &mut findings);
    streaming::safety_from_another_thread(&bench, &mut findings);
    streaming::dropped_while_streaming(&bench, &mut findings);
    findings.0
}
