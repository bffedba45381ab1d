//! The thread `device-<id>`: starts the device, reads it, and brings it back when it is lost.

use crate::check::{Cancel, GradedImpedance, ImpedanceReport, check_impedances};
use crate::config::AcquisitionConfig;
use crate::limits::WAIT_SLICE;
use crate::message::{AcquisitionEvent, EndReason};
use crate::queue::FeedSender;
use crate::reader::Reader;
use contract::{Clock, Device, DeviceError, ErrorKind, Read};
use crossbeam_channel::{Receiver, Sender};
use signal::{GapCause, ImpedanceLimits};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What other threads ask of this one.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) pause: AtomicBool,
}

/// Impedances to be measured in the middle of a recording.
pub(crate) struct CheckWish {
    pub(crate) limits: ImpedanceLimits,
    pub(crate) cancel: Cancel,
    pub(crate) progress: Sender<GradedImpedance>,
    pub(crate) done: Sender<Result<ImpedanceReport, DeviceError>>,
}

/// Everything the thread owns.
pub(crate) struct DeviceLoop {
    pub(crate) device: Box<dyn Device>,
    pub(crate) reader: Reader,
    pub(crate) feeds: Receiver<FeedSender>,
    pub(crate) checks: Receiver<CheckWish>,
    pub(crate) wishes: Arc<Wishes>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: AcquisitionConfig,
}

/// What is left when the thread ends.
pub(crate) struct Finished {
    pub(crate) reason: EndReason,
    /// `None` when the driver panicked.
    pub(crate) device: Option<Box<dyn Device>>,
}

impl DeviceLoop {
    /// Runs to the end. A panic of the driver ends the acquisition, not the record.
    pub(crate) fn run(mut self) -> Finished {
        self.reader.open();
        let result = catch_unwind(AssertUnwindSafe(|| {
            let reason = self.stream();
            if let Err(error) = self.device.stop() {
                tracing::warn!(%error, "device could not be told to stop");
            }
            reason
        }));
        let panicked = result.is_err();
        let reason = result.unwrap_or(EndReason::DriverPanicked);
        self.take_feeds();
        if !self.reader.finish(&reason) {
            tracing::error!("recorder took no end of the record in time");
        }
        tracing::info!(?reason, "acquisition ended");
        self.reader
            .announce(AcquisitionEvent::Ended(reason.clone()), false);
        Finished {
            reason,
            device: (!panicked).then_some(self.device),
        }
    }

    fn stream(&mut self) -> EndReason {
        match self.connect(0) {
            Ok(()) => self.reader.announce(AcquisitionEvent::Connected, true),
            Err(reason) => return reason,
        }
        self.reader.hear_all();
        loop {
            if self.wishes.stop.load(Ordering::Relaxed) {
                return EndReason::Stopped;
            }
            self.take_feeds();
            if self.wishes.pause.load(Ordering::Relaxed)
                && let Err(reason) = self.pause()
            {
                return reason;
            }
            if let Ok(wish) = self.checks.try_recv()
                && let Err(reason) = self.check(&wish)
            {
                return reason;
            }
            match self.device.read(&mut self.reader, self.config.read_timeout) {
                Ok(Read::Progress | Read::Idle) => {}
                Ok(Read::Ended) => return EndReason::SourceEnded,
                Err(error) if error.kind == ErrorKind::Disconnected => {
                    if let Err(reason) = self.reconnect(&error) {
                        return reason;
                    }
                }
                Err(error) => return failed(&error),
            }
            self.reader.tick(true);
        }
    }

    fn reconnect(&mut self, error: &DeviceError) -> Result<(), EndReason> {
        tracing::warn!(%error, "connection to the device lost");
        self.reader.lost();
        let message = error.to_string();
        self.reader
            .announce(AcquisitionEvent::Disconnected { message }, true);
        self.reader.interrupt_all(GapCause::Disconnected);
        let attempts = self.retry()?;
        self.reader
            .announce(AcquisitionEvent::Resumed { attempts }, true);
        self.reader.hear_all();
        Ok(())
    }

    /// Starts the device; when it is not there, tries again until it is.
    fn connect(&mut self, attempts: u32) -> Result<(), EndReason> {
        match self.device.start() {
            Ok(()) => Ok(()),
            Err(error) if error.kind == ErrorKind::Disconnected && attempts == 0 => {
                self.retry().map(drop)
            }
            Err(error) => Err(failed(&error)),
        }
    }

    /// Tries to start the lost device again, with growing pauses; returns the attempts it took.
    fn retry(&mut self) -> Result<u32, EndReason> {
        let began = self.clock.host();
        let mut pause = self.config.retry_first;
        let mut attempt = 0_u32;
        loop {
            self.wait(pause, false)?;
            pause = (pause * 2).min(self.config.retry_longest);
            attempt = attempt.saturating_add(1);
            self.reader
                .announce(AcquisitionEvent::Retrying { attempt }, false);
            match self.device.start() {
                Ok(()) => return Ok(attempt),
                Err(error) if may_return(error.kind) => {
                    let tried = self.clock.host().nanos_since(began);
                    let limit = self.config.retry_for.map(|limit| limit.as_nanos() as i64);
                    if limit.is_some_and(|limit| tried >= limit) {
                        return Err(failed(&error));
                    }
                }
                Err(error) => return Err(failed(&error)),
            }
        }
    }

    /// Keeps the device stopped until a person goes on.
    fn pause(&mut self) -> Result<(), EndReason> {
        if let Err(error) = self.device.stop() {
            tracing::warn!(%error, "device could not be told to pause");
        }
        self.reader.interrupt_all(GapCause::Paused);
        self.reader.announce(AcquisitionEvent::Paused, true);
        while self.wishes.pause.load(Ordering::Relaxed) {
            // Before the patient goes back to the device is the time to look at the electrodes.
            if let Ok(wish) = self.checks.try_recv() {
                self.measure(&wish);
            }
            self.wait(WAIT_SLICE, true)?;
        }
        self.connect(0)?;
        self.reader.announce(AcquisitionEvent::Unpaused, true);
        self.reader.hear_all();
        Ok(())
    }

    /// Measures impedances in the middle of the recording; what is missed is a gap of cause
    /// `Paused`.
    fn check(&mut self, wish: &CheckWish) -> Result<(), EndReason> {
        if wish.cancel.is_cancelled() {
            return Ok(());
        }
        if let Err(error) = self.device.stop() {
            tracing::warn!(%error, "device could not be told to pause");
        }
        self.reader.interrupt_all(GapCause::Paused);
        self.reader.announce(AcquisitionEvent::Paused, true);
        self.measure(wish);
        // Nobody expected data meanwhile.
        self.reader.hear_all();
        self.connect(0)?;
        self.reader.announce(AcquisitionEvent::Unpaused, true);
        self.reader.hear_all();
        Ok(())
    }

    fn measure(&mut self, wish: &CheckWish) {
        let (stop, cancel) = (Arc::clone(&self.wishes.stop), wish.cancel.clone());
        let report = check_impedances(self.device.as_mut(), wish.limits, &cancel, &mut |found| {
            // A stop of the recording does not wait for the other electrodes.
            if stop.load(Ordering::Relaxed) {
                cancel.cancel();
            }
            let _ = wish.progress.try_send(found.clone());
        });
        // Nobody waits any more when it took too long.
        let _ = wish.done.try_send(report);
    }

    /// Waits in slices, so that a stop and new feeds are noticed. `quiet`: nobody expects data.
    fn wait(&mut self, duration: Duration, quiet: bool) -> Result<(), EndReason> {
        let until = self.clock.host().plus_nanos(duration.as_nanos() as i64);
        loop {
            if self.wishes.stop.load(Ordering::Relaxed) {
                return Err(EndReason::Stopped);
            }
            self.take_feeds();
            self.reader.tick(!quiet);
            let left = until.nanos_since(self.clock.host());
            if left <= 0 {
                return Ok(());
            }
            let left = Duration::from_nanos(left.unsigned_abs());
            self.clock.sleep(left.min(WAIT_SLICE));
        }
    }

    fn take_feeds(&mut self) {
        while let Ok(feed) = self.feeds.try_recv() {
            self.reader.feeds.push(feed);
        }
    }
}

/// Whether trying again may help: while a device comes back, the system may say any of these.
const fn may_return(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Disconnected | ErrorKind::NotFound | ErrorKind::Busy | ErrorKind::Io
    )
}

fn failed(error: &DeviceError) -> EndReason {
    tracing::error!(%error, "device failed");
    EndReason::DeviceFailed {
        kind: error.kind,
        message: error.to_string(),
    }
}
