//! The emergency stop: acts first, is recorded after.
//!
//! The handles live here, in memory, behind a lock that is held only to copy them: neither the
//! store nor the disk nor a device's reading thread stands between the command and its effect.

use clinic::SessionId;
use contract::{Clock, Safety};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What an emergency stop reached.
#[derive(Debug, Clone, PartialEq)]
pub struct EmergencyReport {
    /// Sessions whose device was told.
    pub sessions: Vec<SessionId>,
    /// Devices that could not be told: a person must disconnect them.
    pub failed: Vec<String>,
    /// Until the last device was told, µs.
    pub took_us: u64,
}

/// Handles of every device that is open for a session.
#[derive(Debug, Clone, Default)]
pub(crate) struct SafetyBoard {
    handles: Arc<Mutex<HashMap<SessionId, Handle>>>,
}

#[derive(Debug, Clone)]
struct Handle {
    device: String,
    safety: Arc<dyn Safety>,
}

impl SafetyBoard {
    /// From now on an emergency stop reaches this device.
    pub(crate) fn enter(&self, session: SessionId, device: &str, safety: Arc<dyn Safety>) {
        let handle = Handle {
            device: device.to_owned(),
            safety,
        };
        self.handles
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(session, handle);
    }

    /// The device is closed.
    pub(crate) fn leave(&self, session: SessionId) {
        self.handles
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&session);
    }

    /// Ends what acts on the patient, in `only` or everywhere, all devices at the same time.
    pub(crate) fn stop(&self, only: Option<SessionId>, clock: &dyn Clock) -> EmergencyReport {
        let began = clock.host();
        let handles: Vec<(SessionId, Handle)> = self
            .handles
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .filter(|(session, _)| only.is_none_or(|only| only == **session))
            .map(|(session, handle)| (*session, handle.clone()))
            .collect();
        let results: Vec<_> = std::thread::scope(|scope| {
            let running: Vec<_> = handles
                .iter()
                .map(|(session, handle)| {
                    let end = move || handle.safety.end_all();
                    // Without a thread to spare the device is told from this one.
                    match std::thread::Builder::new()
                        .name("emergency".to_owned())
                        .spawn_scoped(scope, end)
                    {
                        Ok(thread) => (session, handle, Ok(thread)),
                        Err(_) => (session, handle, Err(handle.safety.end_all())),
                    }
                })
                .collect();
            running
                .into_iter()
                .map(|(session, handle, thread)| {
                    let told = match thread {
                        Ok(thread) => thread.join().is_ok_and(|result| result.is_ok()),
                        Err(result) => result.is_ok(),
                    };
                    (*session, handle.device.clone(), told)
                })
                .collect()
        });
        let took = clock.host().nanos_since(began).max(0).unsigned_abs() / 1_000;
        EmergencyReport {
            sessions: results.iter().map(|(session, ..)| *session).collect(),
            failed: results
                .iter()
                .filter(|(.., told)| !told)
                .map(|(_, device, _)| device.clone())
                .collect(),
            took_us: took,
        }
    }
}
