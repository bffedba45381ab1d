//! Starting an acquisition, and what its owner can do while it runs.

use crate::analysis::AnalysisLoop;
use crate::check::{Cancel, GradedImpedance, ImpedanceReport};
use crate::config::AcquisitionConfig;
use crate::device_loop::{CheckWish, DeviceLoop, Finished, Wishes};
use crate::limits::{CONTROL_QUEUE, EVENT_QUEUE, FEED_QUEUE, WAIT_SLICE};
use crate::message::{AcquisitionEvent, AnalyserFactory, BlockRecorder, EndReason, Mark, Record};
use crate::port::{EventPort, RecorderPort};
use crate::queue::{BlockFeed, FeedSender, Latest, feed};
use crate::reader::Reader;
use crate::recorder_loop::RecorderLoop;
use crate::stats::{AcquisitionStats, Shared};
use contract::{Clock, Device, DeviceDescription, DeviceError, Safety};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use signal::{ClockSource, ImpedanceLimits};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use thiserror::Error;

/// Who takes the blocks. Feeds for displays can be added at any time.
#[derive(Default)]
pub struct Consumers {
    /// Writes the record, on the thread `recorder`; `None` when nothing is recorded.
    pub recorder: Option<Box<dyn BlockRecorder>>,
    /// Makes the analyser that runs on the thread `signal`.
    pub analyser: Option<AnalyserFactory>,
}

impl fmt::Debug for Consumers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumers")
            .field("recorder", &self.recorder.is_some())
            .field("analyser", &self.analyser.is_some())
            .finish()
    }
}

/// Why an acquisition could not be started, or a wish not be granted.
#[derive(Debug, Error)]
pub enum AcquisitionError {
    /// The system gave no thread.
    #[error("start thread {name}")]
    Thread {
        /// Which one.
        name: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The acquisition has ended.
    #[error("{operation}: the acquisition has ended")]
    Ended {
        /// What was tried.
        operation: &'static str,
    },
    /// The same is under way already.
    #[error("{operation}: it is under way already")]
    Busy {
        /// What was tried.
        operation: &'static str,
    },
    /// The recorder's queue had no room in time.
    #[error("{operation}: the recorder is not keeping up")]
    Full {
        /// What was tried.
        operation: &'static str,
    },
}

/// Impedances that are being measured in the middle of a recording. Dropping it breaks the
/// measurement off.
#[derive(Debug)]
pub struct ImpedancesUnderWay {
    cancel: Cancel,
    electrodes: Receiver<GradedImpedance>,
    report: Receiver<Result<ImpedanceReport, DeviceError>>,
}

impl ImpedancesUnderWay {
    /// The next electrode within `timeout`.
    ///
    /// # Errors
    /// [`RecvTimeoutError::Timeout`] when there is none yet, [`RecvTimeoutError::Disconnected`] when
    /// none will come.
    pub fn next(&self, timeout: Duration) -> Result<GradedImpedance, RecvTimeoutError> {
        self.electrodes.recv_timeout(timeout)
    }

    /// What came of it, once no electrode will come; `None` when the acquisition ended before.
    #[must_use]
    pub fn report(&self) -> Option<Result<ImpedanceReport, DeviceError>> {
        self.report.try_recv().ok()
    }
}

impl Drop for ImpedancesUnderWay {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// Starts acquisitions.
#[derive(Debug, Clone, Copy)]
pub struct Acquisition;

/// A running acquisition. Dropping it stops it.
pub struct AcquisitionHandle {
    description: DeviceDescription,
    safety: Arc<dyn Safety>,
    wishes: Arc<Wishes>,
    shared: Arc<Shared>,
    events: Receiver<AcquisitionEvent>,
    control: Sender<FeedSender>,
    checks: Sender<CheckWish>,
    record: Option<Sender<Record>>,
    recorder: Option<RecorderThread>,
    device: Option<JoinHandle<Finished>>,
    analysis: Option<JoinHandle<()>>,
    patience: Duration,
}

/// What an acquisition leaves.
pub struct Summary {
    /// Why it ended.
    pub reason: EndReason,
    /// The last account.
    pub stats: AcquisitionStats,
    /// The device, stopped and still open, for a check afterwards; `None` when its driver panicked.
    pub device: Option<Box<dyn Device>>,
    /// The recorder; `None` when there was none, or it hung beyond the drain timeout.
    pub recorder: Option<Box<dyn BlockRecorder>>,
}

impl fmt::Debug for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Summary")
            .field("reason", &self.reason)
            .field("stats", &self.stats)
            .field("device", &self.device)
            .field("recorder", &self.recorder.is_some())
            .finish()
    }
}

impl fmt::Debug for AcquisitionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcquisitionHandle")
            .field("device", &self.description.id)
            .field("ended", &self.is_ended())
            .finish_non_exhaustive()
    }
}

impl Acquisition {
    /// Starts `device` on a thread of its own, and the threads of its consumers.
    ///
    /// # Errors
    /// When the system gives no thread. A device that does not start is an event and the end.
    pub fn start(
        device: Box<dyn Device>,
        consumers: Consumers,
        clock: Arc<dyn Clock>,
        config: AcquisitionConfig,
    ) -> Result<AcquisitionHandle, AcquisitionError> {
        Self::start_with(device, consumers, clock, config, None)
    }

    /// As [`Self::start`], with a display queue of `capacity` items that misses no block.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_watched(
        device: Box<dyn Device>,
        consumers: Consumers,
        clock: Arc<dyn Clock>,
        config: AcquisitionConfig,
        capacity: usize,
    ) -> Result<(AcquisitionHandle, BlockFeed), AcquisitionError> {
        let (send, receive) = feed(capacity);
        let handle = Self::start_with(device, consumers, clock, config, Some(send))?;
        Ok((handle, receive))
    }

    fn start_with(
        device: Box<dyn Device>,
        consumers: Consumers,
        clock: Arc<dyn Clock>,
        config: AcquisitionConfig,
        watcher: Option<FeedSender>,
    ) -> Result<AcquisitionHandle, AcquisitionError> {
        let description = device.description().clone();
        let shared = Arc::new(Shared::new(description.streams.len()));
        let queue = Arc::new(Latest::new(EVENT_QUEUE));
        let events = EventPort::new(Arc::clone(&queue), Arc::clone(&shared));
        let wishes = Arc::new(Wishes::default());
        let patience = config.drain_timeout;

        let (record, recorder) = match consumers.recorder {
            Some(recorder) => {
                let (send, receive) = bounded(config.recorder_queue.max(2));
                let run = RecorderLoop {
                    recorder,
                    receive,
                    events: events.clone(),
                    clock: Arc::clone(&clock),
                    stop: Arc::clone(&wishes.stop),
                    retry: config.recorder_retry,
                    patience,
                    epochs: description
                        .streams
                        .iter()
                        .map(|stream| epoch(stream.clock))
                        .collect(),
                };
                (Some(send), Some(RecorderThread::spawn(run)?))
            }
            None => (None, None),
        };
        let port = RecorderPort::new(
            record.clone(),
            (description.pacing, description.streams.len()),
            Arc::clone(&wishes.stop),
            events.clone(),
            Arc::clone(&shared),
        );
        let mut reader = Reader::new(
            &description,
            config.clone(),
            Arc::clone(&clock),
            port,
            (events.clone(), Arc::clone(&shared)),
        );
        reader.feeds.extend(watcher);
        let analysis = match consumers.analyser {
            Some(factory) => {
                let (send, receive) = feed(FEED_QUEUE);
                reader.feeds.push(send);
                let run = AnalysisLoop {
                    factory,
                    feed: receive,
                    events,
                    shared: Arc::clone(&shared),
                    clock: Arc::clone(&clock),
                };
                Some(spawn("signal", move || run.run())?)
            }
            None => None,
        };
        let safety = device.safety();
        let (control, feeds) = bounded(CONTROL_QUEUE);
        let (checks, asked) = bounded(1);
        let run = DeviceLoop {
            device,
            reader,
            feeds,
            checks: asked,
            wishes: Arc::clone(&wishes),
            clock,
            config,
        };
        // A name may hold no NUL; the system shortens it to what it can show.
        let name = format!("device-{}", description.id.replace('\0', ""));
        Ok(AcquisitionHandle {
            safety,
            wishes,
            shared,
            events: queue.receiver(),
            control,
            checks,
            record,
            recorder,
            device: Some(spawn(&name, move || run.run())?),
            analysis,
            patience,
            description,
        })
    }
}

impl AcquisitionHandle {
    /// The device.
    #[must_use]
    pub const fn description(&self) -> &DeviceDescription {
        &self.description
    }

    /// Ends what acts on the patient, from any thread, whatever the others do.
    #[must_use]
    pub fn safety(&self) -> Arc<dyn Safety> {
        Arc::clone(&self.safety)
    }

    /// Events since the start; the oldest are dropped when nobody takes them. All receivers share
    /// one queue: an event goes to one of them.
    #[must_use]
    pub fn events(&self) -> Receiver<AcquisitionEvent> {
        self.events.clone()
    }

    /// A new display or analysis queue of `capacity` items, from the next block on.
    ///
    /// # Errors
    /// [`AcquisitionError::Ended`] when nothing will come any more.
    pub fn subscribe(&self, capacity: usize) -> Result<BlockFeed, AcquisitionError> {
        let operation = "subscribe";
        let (send, receive) = feed(capacity);
        if self.is_ended() {
            return Err(AcquisitionError::Ended { operation });
        }
        self.control
            .send_timeout(send, self.patience)
            .map_err(|_| AcquisitionError::Ended { operation })?;
        Ok(receive)
    }

    /// Puts a mark into the record, waiting up to `patience` for room.
    ///
    /// # Errors
    /// The recorder has ended, or has no room in time: the mark is not in the record.
    pub fn annotate(&self, mark: Mark, patience: Duration) -> Result<(), AcquisitionError> {
        let operation = "annotate";
        let Some(record) = &self.record else {
            return Err(AcquisitionError::Ended { operation });
        };
        record
            .send_timeout(Record::Annotation(mark), patience)
            .map_err(|error| match error {
                crossbeam_channel::SendTimeoutError::Timeout(_) => {
                    AcquisitionError::Full { operation }
                }
                crossbeam_channel::SendTimeoutError::Disconnected(_) => {
                    AcquisitionError::Ended { operation }
                }
            })
    }

    /// Pauses recording ('disconnected for CT'): the device stops until [`Self::resume`].
    pub fn pause(&self) {
        self.wishes.pause.store(true, Ordering::Relaxed);
    }

    /// Goes on after [`Self::pause`], with a gap of cause `Paused`.
    pub fn resume(&self) {
        self.wishes.pause.store(false, Ordering::Relaxed);
    }

    /// Measures every electrode in the middle of the recording. The device does not stream
    /// meanwhile: what is missed becomes a gap of cause `Paused`. Returns at once.
    ///
    /// # Errors
    /// [`AcquisitionError::Ended`]; [`AcquisitionError::Busy`] while another check waits.
    pub fn check_impedances(
        &self,
        limits: ImpedanceLimits,
        cancel: Cancel,
    ) -> Result<ImpedancesUnderWay, AcquisitionError> {
        let operation = "measure impedances";
        if self.is_ended() {
            return Err(AcquisitionError::Ended { operation });
        }
        let (progress, electrodes) = bounded(EVENT_QUEUE);
        let (done, report) = bounded(1);
        let wish = CheckWish {
            limits,
            cancel: cancel.clone(),
            progress,
            done,
        };
        match self.checks.try_send(wish) {
            Ok(()) => Ok(ImpedancesUnderWay {
                cancel,
                electrodes,
                report,
            }),
            Err(TrySendError::Full(_)) => Err(AcquisitionError::Busy { operation }),
            Err(TrySendError::Disconnected(_)) => Err(AcquisitionError::Ended { operation }),
        }
    }

    /// The account so far.
    #[must_use]
    pub fn stats(&self) -> AcquisitionStats {
        self.shared.snapshot()
    }

    /// Whether the device's thread has ended.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.device.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Stops the device, lets the queues drain, and waits for the threads.
    #[must_use]
    pub fn stop(mut self) -> Summary {
        self.wishes.stop.store(true, Ordering::Relaxed);
        self.join()
    }

    /// Waits until the source ends by itself (playback), then for the threads.
    #[must_use]
    pub fn wait(mut self) -> Summary {
        self.join()
    }

    fn join(&mut self) -> Summary {
        let finished = self.device.take().and_then(|thread| thread.join().ok());
        let (reason, device) = match finished {
            Some(finished) => (finished.reason, finished.device),
            None => (EndReason::DriverPanicked, None),
        };
        // The end is queued: from here on a recorder that cannot write has its patience left.
        self.wishes.stop.store(true, Ordering::Relaxed);
        self.record = None;
        let recorder = self
            .recorder
            .take()
            .and_then(|thread| thread.join(self.patience));
        if let Some(thread) = self.analysis.take() {
            join_in_time(thread, self.patience);
        }
        Summary {
            reason,
            stats: self.shared.snapshot(),
            device,
            recorder,
        }
    }
}

impl Drop for AcquisitionHandle {
    fn drop(&mut self) {
        if self.device.is_some() {
            self.wishes.stop.store(true, Ordering::Relaxed);
            drop(self.join());
        }
    }
}

const fn epoch(clock: ClockSource) -> Option<signal::UtcNanos> {
    match clock {
        ClockSource::Device { epoch } => Some(epoch),
        ClockSource::HostArrival => None,
    }
}

fn spawn<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, AcquisitionError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|source| AcquisitionError::Thread {
            name: name.to_owned(),
            source,
        })
}

/// Waits for the analysis, but not for ever: one that hangs is left behind.
fn join_in_time(thread: JoinHandle<()>, patience: Duration) {
    let slices = patience.as_millis() / WAIT_SLICE.as_millis();
    for _ in 0..=slices {
        if thread.is_finished() {
            if thread.join().is_err() {
                tracing::error!("the analysis thread panicked outside of the analyser");
            }
            return;
        }
        thread::sleep(WAIT_SLICE);
    }
    tracing::error!("the analysis hangs and is left behind; the record is complete");
}

/// The recorder's thread. The recorder comes back through a queue, so that a disk that hangs in
/// the system cannot hang whoever waits.
struct RecorderThread {
    done: Receiver<Box<dyn BlockRecorder>>,
    /// Tells by its length whether the recorder still gets on.
    queue: Receiver<Record>,
}

impl RecorderThread {
    fn spawn(run: RecorderLoop) -> Result<Self, AcquisitionError> {
        let (send, done) = bounded(1);
        let queue = run.receive.clone();
        drop(spawn("recorder", move || {
            // Nobody waits any more when the recorder has hung for too long.
            drop(send.send(run.run()));
        })?);
        Ok(Self { done, queue })
    }

    /// Waits as long as the recorder gets on, and twice `patience` when it does not: once for its
    /// own patience with a full disk, once for a write that hangs.
    fn join(self, patience: Duration) -> Option<Box<dyn BlockRecorder>> {
        loop {
            let waiting = self.queue.len();
            match self.done.recv_timeout(patience * 2) {
                Ok(recorder) => return Some(recorder),
                Err(_) if self.queue.len() < waiting => {}
                Err(_) => {
                    tracing::error!(waiting, "the recorder hangs and is left behind");
                    return None;
                }
            }
        }
    }
}
