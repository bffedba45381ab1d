//! The thread that reads an inlet: liblsl's objects cannot change threads, and a reader must never wait in it.

use super::stream::{Known, address, known};
use crate::limits::{
    LSL_BUFFER_S, LSL_CHUNK, LSL_CORRECTION_S, LSL_OPEN_S, LSL_PULL_S, LSL_QUEUE, LSL_RESOLVE_S,
};
use ::lsl::{ChannelFormat, Pullable, StreamInfo, StreamInlet};
use contract::{Clock, DeviceError, ErrorKind};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use signal::{HostNanos, NANOS_PER_S};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Values of a chunk, sample after sample, channel after channel.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Values {
    F32(Vec<f32>),
    F64(Vec<f64>),
    I32(Vec<i32>),
    I16(Vec<i16>),
    Text(Vec<String>),
}

/// Samples that came together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Chunk {
    pub(crate) values: Values,
    /// When each was taken by its source, brought to this host's clock.
    pub(crate) stamps: Vec<HostNanos>,
    /// The same as the source told it, s of its clock.
    pub(crate) source_s: Vec<f64>,
    /// What brings the source's clock to liblsl's here, s.
    pub(crate) correction_s: f64,
    /// When they were read.
    pub(crate) read: HostNanos,
    /// Samples lost between the chunk before and this one, because the queue was full.
    pub(crate) lost_before: u64,
}

/// What the thread tells.
#[derive(Debug)]
pub(crate) enum Told {
    /// It reads.
    Open,
    Chunk(Chunk),
    /// It has ended.
    Over(DeviceError),
}

/// A running thread.
#[derive(Debug)]
pub(crate) struct Pump {
    told: Receiver<Told>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

fn wrong(kind: ErrorKind, operation: &str, message: impl Into<String>) -> DeviceError {
    DeviceError::new(kind, operation, message)
}

/// The stream at `wanted`; several with one name are told apart by their source ids.
fn resolve(operation: &str, wanted: &str) -> Result<StreamInfo, DeviceError> {
    let internal =
        |error: ::lsl::Error| wrong(ErrorKind::Io, operation, format!("liblsl: {error}"));
    for property in ["source_id", "name"] {
        // Quotes would end the query's text.
        let found = ::lsl::resolve_byprop(property, &wanted.replace('\'', ""), 1, LSL_RESOLVE_S)
            .map_err(internal)?;
        let mut matching = found.into_iter().filter(|info| address(info) == wanted);
        if let Some(first) = matching.next() {
            if matching.next().is_some() {
                let message = "several streams have that name and no source id: stop all but one";
                return Err(wrong(ErrorKind::Settings, operation, message));
            }
            return Ok(first);
        }
    }
    Err(wrong(
        ErrorKind::NotFound,
        operation,
        "no such stream on the network: start its program, and check firewall and LSL settings",
    ))
}

/// Runs `work` on a thread that may use liblsl, and waits for it.
fn apart<T: Send + 'static>(
    operation: &str,
    work: impl FnOnce() -> Result<T, DeviceError> + Send + 'static,
) -> Result<T, DeviceError> {
    let running = std::thread::Builder::new()
        .name("lsl-look".into())
        .spawn(work);
    let failed = |message: &str| wrong(ErrorKind::Io, operation, message);
    let running = running.map_err(|error| failed("no thread for liblsl").with_source(error))?;
    running.join().map_err(|_| failed("liblsl failed"))?
}

/// Looks at a stream without reading it.
pub(crate) fn look(operation: &str, wanted: &str) -> Result<Known, DeviceError> {
    let (operation, wanted) = (operation.to_owned(), wanted.to_owned());
    apart(&operation.clone(), move || {
        let info = resolve(&operation, &wanted)?;
        let inlet = StreamInlet::new(&info, LSL_BUFFER_S, 0, false)
            .map_err(|error| wrong(ErrorKind::Io, &operation, format!("liblsl: {error}")))?;
        let mut full = inlet.info(LSL_OPEN_S).map_err(|error| {
            let message = format!("its description does not come: {error}");
            wrong(ErrorKind::Protocol, &operation, message)
        })?;
        known(&operation, &mut full)
    })
}

impl Pump {
    /// Starts reading the stream at `wanted`, which must still be what `shape` says; waits until it reads.
    pub(crate) fn start(
        operation: &str,
        wanted: &str,
        shape: Known,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, DeviceError> {
        let (tell, told) = bounded(LSL_QUEUE);
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let (run_operation, run_wanted) = (operation.to_owned(), wanted.to_owned());
        let run = move || {
            let reading = Reading {
                operation: run_operation,
                clock,
                tell,
                stop: stopping,
                carried: 0.0,
                lost: 0,
            };
            reading.run(&run_wanted, &shape);
        };
        let thread = std::thread::Builder::new()
            .name("lsl-inlet".into())
            .spawn(run)
            .map_err(|error| {
                wrong(ErrorKind::Io, operation, "no thread for liblsl").with_source(error)
            })?;
        let pump = Self {
            told,
            stop,
            thread: Some(thread),
        };
        let patience = 2.0 * LSL_RESOLVE_S + LSL_OPEN_S + LSL_CORRECTION_S + 1.0;
        match pump.told.recv_timeout(Duration::from_secs_f64(patience)) {
            Ok(Told::Open) => Ok(pump),
            Ok(Told::Over(error)) => Err(error),
            Ok(Told::Chunk(_)) | Err(_) => Err(wrong(
                ErrorKind::Disconnected,
                operation,
                "the stream does not open",
            )),
        }
    }

    /// What comes next within `timeout`.
    pub(crate) fn next(&self, timeout: Duration) -> Option<Told> {
        match self.told.recv_timeout(timeout) {
            Ok(told) => Some(told),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Told::Over(wrong(
                ErrorKind::Disconnected,
                "read lsl",
                "the stream's reader has ended",
            ))),
        }
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Not joined: liblsl may wait for its network, and nothing here depends on its end.
        drop(self.thread.take());
    }
}

/// What the thread works with.
struct Reading {
    operation: String,
    clock: Arc<dyn Clock>,
    tell: Sender<Told>,
    stop: Arc<AtomicBool>,
    /// The last correction that was known, s.
    carried: f64,
    /// Samples that the queue had no room for since the last chunk that it took.
    lost: u64,
}

impl Reading {
    fn run(mut self, wanted: &str, shape: &Known) {
        if let Err(error) = self.read(wanted, shape) {
            let _ = self
                .tell
                .send_timeout(Told::Over(error), Duration::from_secs(1));
        }
    }

    fn gone(&self, message: impl Into<String>) -> DeviceError {
        wrong(ErrorKind::Disconnected, &self.operation, message)
    }

    fn read(&mut self, wanted: &str, shape: &Known) -> Result<(), DeviceError> {
        let info = resolve(&self.operation, wanted).map_err(|mut error| {
            if error.kind == ErrorKind::NotFound {
                error.kind = ErrorKind::Disconnected;
            }
            error
        })?;
        // Without recovery by liblsl: a source that is gone is a gap that is told.
        let inlet = StreamInlet::new(&info, LSL_BUFFER_S, 0, false)
            .map_err(|error| self.gone(format!("liblsl: {error}")))?;
        let mut full =
            (inlet.info(LSL_OPEN_S)).map_err(|error| self.gone(format!("liblsl: {error}")))?;
        if known(&self.operation, &mut full)?.description != shape.description {
            let message = "the stream's channels, format or rate are others than before; open the device anew";
            return Err(wrong(ErrorKind::Protocol, &self.operation, message));
        }
        (inlet.open_stream(LSL_OPEN_S))
            .map_err(|error| self.gone(format!("the stream does not open: {error}")))?;
        // Between programs of one machine it is nothing; between machines the first estimate takes a moment.
        self.carried = inlet.time_correction(LSL_CORRECTION_S).unwrap_or(0.0);
        if self.tell.send(Told::Open).is_err() {
            return Ok(());
        }
        let channels = shape.description.channels.len();
        match shape.format {
            ChannelFormat::Float32 => self.pull(&inlet, channels, 0.0_f32, Values::F32),
            ChannelFormat::Double64 => self.pull(&inlet, channels, 0.0_f64, Values::F64),
            ChannelFormat::Int32 => self.pull(&inlet, channels, 0_i32, Values::I32),
            ChannelFormat::Int16 => self.pull(&inlet, channels, 0_i16, Values::I16),
            ChannelFormat::Int8 => self.pull(&inlet, channels, 0_i8, |values| {
                Values::I16(values.into_iter().map(i16::from).collect())
            }),
            ChannelFormat::String => self.pull(&inlet, channels, String::new(), Values::Text),
            ChannelFormat::Int64 | ChannelFormat::Undefined => Err(wrong(
                ErrorKind::Protocol,
                &self.operation,
                "its format cannot be read",
            )),
        }
    }

    /// Pulls chunk after chunk until it is told to stop or the source is gone.
    fn pull<T: Clone>(
        &mut self,
        inlet: &StreamInlet,
        channels: usize,
        zero: T,
        values: impl Fn(Vec<T>) -> Values,
    ) -> Result<(), DeviceError>
    where
        StreamInlet: Pullable<T>,
    {
        let mut sample = vec![zero; channels];
        while !self.stop.load(Ordering::Relaxed) {
            let (mut all, mut stamps) = (Vec::with_capacity(channels * LSL_CHUNK), Vec::new());
            let mut wait = LSL_PULL_S;
            while stamps.len() < LSL_CHUNK {
                let stamp =
                    inlet
                        .pull_sample_buf(&mut sample, wait)
                        .map_err(|error| match error {
                            ::lsl::Error::StreamLost => {
                                self.gone("the stream's source is gone; start its program again")
                            }
                            error => self.gone(format!("liblsl: {error}")),
                        })?;
                if stamp == 0.0 {
                    break;
                }
                all.extend_from_slice(&sample);
                stamps.push(stamp);
                wait = 0.0;
            }
            if stamps.is_empty() {
                continue;
            }
            if let Ok(correction) = inlet.time_correction(0.0) {
                self.carried = correction;
            }
            let read = self.clock.host();
            let chunk = Chunk {
                values: values(all),
                stamps: self.brought_here(&stamps, read),
                source_s: stamps,
                correction_s: self.carried,
                read,
                lost_before: self.lost,
            };
            match self.tell.try_send(Told::Chunk(chunk)) {
                Ok(()) => self.lost = 0,
                Err(TrySendError::Full(Told::Chunk(chunk))) => {
                    self.lost += chunk.stamps.len() as u64;
                }
                Err(TrySendError::Full(_)) => {}
                Err(TrySendError::Disconnected(_)) => return Ok(()),
            }
        }
        Ok(())
    }

    /// The source's stamps on this host's clock: by liblsl's correction onto its clock here, and from there by
    /// reading both clocks now. None lies in the future.
    #[allow(clippy::cast_possible_truncation)]
    fn brought_here(&self, stamps: &[f64], now: HostNanos) -> Vec<HostNanos> {
        let here = ::lsl::local_clock();
        (stamps.iter())
            .map(|stamp| {
                let ago = (stamp + self.carried - here) * NANOS_PER_S as f64;
                now.plus_nanos((ago as i64).min(0))
            })
            .collect()
    }
}
