//! A device on a thread of its own.

use crate::{DeliveryLog, Error};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// A device that is switched on; switched off when dropped.
#[derive(Debug)]
pub struct Running {
    off: Arc<AtomicBool>,
    log: DeliveryLog,
    thread: Option<JoinHandle<Result<(), Error>>>,
}

impl Running {
    /// Runs a device until it is told to end, by what it is given. It keeps in `log` what became of its packets.
    pub(crate) fn start(
        name: &str,
        log: DeliveryLog,
        run: impl FnOnce(Arc<AtomicBool>) -> Result<(), Error> + Send + 'static,
    ) -> Result<Self, Error> {
        let off = Arc::new(AtomicBool::new(false));
        let ending = Arc::clone(&off);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run(ending))
            .map_err(|error| Error::io("cannot start the device's thread", error))?;
        Ok(Self {
            off,
            log,
            thread: Some(thread),
        })
    }

    /// What became of the packets so far.
    #[must_use]
    pub const fn log(&self) -> &DeliveryLog {
        &self.log
    }

    /// Whether it still runs; it ends by itself only when something failed.
    #[must_use]
    pub fn is_running(&self) -> bool {
        (self.thread.as_ref()).is_some_and(|thread| !thread.is_finished())
    }

    /// Switches the device off and tells how it fared.
    ///
    /// # Errors
    /// What ended it before.
    pub fn finish(mut self) -> Result<DeliveryLog, Error> {
        self.end()?;
        Ok(self.log.clone())
    }

    fn end(&mut self) -> Result<(), Error> {
        self.off.store(true, Ordering::Relaxed);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(Error::Source("the device's thread panicked".to_owned())),
            None => Ok(()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.end();
    }
}
