//! Checks before and after streaming: electrode impedances, and the device's calibration signal.

use crate::limits::{CALIBRATION_AMPLITUDE, CALIBRATION_NOISE_UV, CALIBRATION_PERIODS};
use contract::{CalibrationSignal, Clock, Device, DeviceError, DeviceEvent, ErrorKind, Read, Sink};
use crossbeam_channel::{Receiver, TrySendError, bounded};
use signal::{Channel, Impedance, ImpedanceGrade, ImpedanceLimits, SampleBlock, StreamIndex};
use std::fmt;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Breaks a check off, from any thread.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Breaks it off at the next electrode or block.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked for.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// One electrode with its grade.
#[derive(Debug, Clone, PartialEq)]
pub struct GradedImpedance {
    /// As measured.
    pub impedance: Impedance,
    /// Under the limits given.
    pub grade: ImpedanceGrade,
}

/// All electrodes, reference and ground included.
#[derive(Debug, Clone, PartialEq)]
pub struct ImpedanceReport {
    /// In the order of measurement.
    pub electrodes: Vec<GradedImpedance>,
    /// Whether a person broke it off: then electrodes are missing.
    pub cancelled: bool,
}

/// Measures every electrode of an opened device that does not stream. `progress` is told each as
/// it is known.
///
/// # Errors
/// [`ErrorKind::Unsupported`] when the device cannot; otherwise as for reading.
pub fn check_impedances(
    device: &mut dyn Device,
    limits: ImpedanceLimits,
    cancel: &Cancel,
    progress: &mut dyn FnMut(&GradedImpedance),
) -> Result<ImpedanceReport, DeviceError> {
    let graded = |impedance: &Impedance| GradedImpedance {
        impedance: impedance.clone(),
        grade: limits.grade(impedance.impedance_kohm),
    };
    let measured = device.measure_impedances(&mut |impedance| {
        progress(&graded(impedance));
        if cancel.is_cancelled() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    Ok(ImpedanceReport {
        electrodes: measured.iter().map(graded).collect(),
        cancelled: cancel.is_cancelled(),
    })
}

/// Tolerances of a calibration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CalibrationLimits {
    /// Periods measured.
    pub periods: u32,
    /// Tolerance of the amplitude, fraction of nominal.
    pub amplitude: f64,
    /// Greatest noise about the wave, µV RMS.
    pub noise_uv: f64,
}

impl Default for CalibrationLimits {
    fn default() -> Self {
        Self {
            periods: CALIBRATION_PERIODS,
            amplitude: CALIBRATION_AMPLITUDE,
            noise_uv: CALIBRATION_NOISE_UV,
        }
    }
}

/// What one channel made of the calibration signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CalibrationVerdict {
    /// Amplitude and noise lie within tolerance.
    Passed,
    /// The amplitude does not.
    Amplitude,
    /// The amplitude does, the noise does not.
    Noise,
    /// Too few samples came to tell.
    NoData,
}

/// One channel's calibration.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelCalibration {
    /// Which stream.
    pub stream: StreamIndex,
    /// Which of its channels.
    pub channel: u16,
    /// Its label.
    pub label: String,
    /// Peak-to-peak amplitude measured, µV.
    pub amplitude_uv: f64,
    /// Noise about the two levels, µV RMS.
    pub noise_uv: f64,
    /// Judged by the limits.
    pub verdict: CalibrationVerdict,
}

/// The calibration of all channels that measure potentials.
#[derive(Debug, Clone, PartialEq)]
pub struct CalibrationReport {
    /// The signal applied; `None` when the device has none, and nothing but the display can be
    /// checked.
    pub applied: Option<CalibrationSignal>,
    /// One entry a channel.
    pub channels: Vec<ChannelCalibration>,
    /// Whether a person broke it off.
    pub cancelled: bool,
}

impl CalibrationReport {
    /// Whether there was a signal and every channel passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.applied.is_some()
            && !self.cancelled
            && self
                .channels
                .iter()
                .all(|channel| channel.verdict == CalibrationVerdict::Passed)
    }
}

/// Streams the device's calibration signal for some periods and measures every channel. The
/// signal is off and the device stopped afterwards, whatever happened. `progress` is told the share
/// done, 0 to 1.
///
/// # Errors
/// The device did not start, was lost, or could not switch the signal.
pub fn run_calibration(
    device: &mut dyn Device,
    limits: CalibrationLimits,
    clock: &dyn Clock,
    cancel: &Cancel,
    progress: &mut dyn FnMut(f64),
) -> Result<CalibrationReport, DeviceError> {
    let Some(wave) = device.description().capabilities.calibration else {
        return Ok(CalibrationReport {
            applied: None,
            channels: Vec::new(),
            cancelled: false,
        });
    };
    let mut collector = Collector::new(device, wave, limits.periods);
    device.calibration(true)?;
    let streamed = stream_into(
        device,
        &mut collector,
        wave,
        limits,
        clock,
        cancel,
        progress,
    );
    let stopped = device.stop();
    // The signal must be off whatever failed before; only then are failures reported.
    let switched = device.calibration(false);
    streamed?;
    stopped?;
    switched?;
    Ok(CalibrationReport {
        applied: Some(wave),
        channels: collector
            .channels
            .iter_mut()
            .map(|channel| channel.measure(wave, limits))
            .collect(),
        cancelled: cancel.is_cancelled(),
    })
}

fn stream_into(
    device: &mut dyn Device,
    collector: &mut Collector,
    wave: CalibrationSignal,
    limits: CalibrationLimits,
    clock: &dyn Clock,
    cancel: &Cancel,
    progress: &mut dyn FnMut(f64),
) -> Result<(), DeviceError> {
    device.start()?;
    // Twice the time the periods take, and five seconds to start, is where waiting ends.
    let longest = 2.0 * wave.period_s * f64::from(limits.periods + 1) + 5.0;
    let began = clock.host();
    while !collector.is_full() && !cancel.is_cancelled() {
        if device.read(collector, crate::limits::READ_TIMEOUT)? == Read::Ended {
            break;
        }
        progress(collector.share());
        if clock.host().seconds_since(began) > longest {
            return Err(DeviceError::new(
                ErrorKind::Protocol,
                "calibrate",
                "the device sent too few samples; check its connection and try again",
            ));
        }
    }
    Ok(())
}

/// Values of one channel, µV.
struct Collected {
    stream: StreamIndex,
    channel: u16,
    description: Channel,
    factor: f64,
    skip: usize,
    wanted: usize,
    values: Vec<f64>,
}

struct Collector {
    channels: Vec<Collected>,
    blocks: Vec<SampleBlock>,
}

impl Collector {
    fn new(device: &dyn Device, wave: CalibrationSignal, periods: u32) -> Self {
        let mut channels = Vec::new();
        let mut blocks = Vec::new();
        for (position, stream) in device.description().streams.iter().enumerate() {
            let index = StreamIndex(u16::try_from(position).unwrap_or(u16::MAX));
            blocks.push(SampleBlock::with_capacity(
                index,
                stream.sample_type,
                stream.channels.len(),
                crate::limits::POOL_BLOCK_SAMPLES,
            ));
            let Some(rate) = stream.rate.as_hz() else {
                continue;
            };
            let period = (wave.period_s * rate).round() as usize;
            for (row, channel) in stream.channels.iter().enumerate() {
                let Some(factor) = channel.unit.microvolts() else {
                    continue;
                };
                if channel.kind.is_potential() {
                    channels.push(Collected {
                        stream: index,
                        channel: u16::try_from(row).unwrap_or(u16::MAX),
                        description: channel.clone(),
                        factor,
                        skip: period,
                        wanted: period * periods as usize,
                        values: Vec::with_capacity(period * periods as usize),
                    });
                }
            }
        }
        Self { channels, blocks }
    }

    fn is_full(&self) -> bool {
        self.channels.iter().all(Collected::is_full)
    }

    fn share(&self) -> f64 {
        let count = self.channels.len().max(1) as f64;
        let sum: f64 = self
            .channels
            .iter()
            .map(|channel| channel.values.len() as f64 / channel.wanted.max(1) as f64)
            .sum();
        sum / count
    }
}

impl Sink for Collector {
    fn block(&mut self, stream: StreamIndex, fill: &mut dyn FnMut(&mut SampleBlock)) {
        let Some(block) = self.blocks.get_mut(usize::from(stream.0)) else {
            return;
        };
        block.reset();
        fill(block);
        for channel in &mut self.channels {
            if channel.stream == stream {
                channel.take(block);
            }
        }
    }

    fn event(&mut self, _event: DeviceEvent) {}
}

impl Collected {
    fn is_full(&self) -> bool {
        self.values.len() >= self.wanted
    }

    fn take(&mut self, block: &SampleBlock) {
        let row = usize::from(self.channel) * block.len;
        for position in 0..block.len {
            if self.skip > 0 {
                self.skip -= 1;
            } else if !self.is_full()
                && let Some(count) = block.samples.as_f64(row + position)
            {
                let value = self.description.scale.apply(count) * self.factor;
                self.values.push(value);
            }
        }
    }

    /// Half of a square wave's samples lie at each level: the medians of the lower and the upper
    /// half are the levels, whatever the phase and the few samples on the edges. Noise is the RMS
    /// about the nearer level of all but the twentieth that lies furthest, which are the edges.
    fn measure(
        &mut self,
        wave: CalibrationSignal,
        limits: CalibrationLimits,
    ) -> ChannelCalibration {
        let (amplitude_uv, noise_uv) = levels(&mut self.values);
        let off = (amplitude_uv - wave.amplitude_uv).abs() / wave.amplitude_uv;
        let verdict = if !self.is_full() || self.values.is_empty() {
            CalibrationVerdict::NoData
        } else if off.is_nan() || off > limits.amplitude {
            CalibrationVerdict::Amplitude
        } else if noise_uv > limits.noise_uv {
            CalibrationVerdict::Noise
        } else {
            CalibrationVerdict::Passed
        };
        ChannelCalibration {
            stream: self.stream,
            channel: self.channel,
            label: self.description.label.clone(),
            amplitude_uv,
            noise_uv,
            verdict,
        }
    }
}

fn levels(values: &mut [f64]) -> (f64, f64) {
    if values.len() < 4 {
        return (f64::NAN, f64::NAN);
    }
    values.sort_unstable_by(f64::total_cmp);
    let half = values.len() / 2;
    let (low, high) = (values[half / 2], values[half + half / 2]);
    let mut squares: Vec<f64> = values
        .iter()
        .map(|value| (value - low).abs().min((value - high).abs()).powi(2))
        .collect();
    squares.sort_unstable_by(f64::total_cmp);
    let kept = &squares[..(squares.len() * 19 / 20).max(1)];
    let mean = kept.iter().sum::<f64>() / kept.len() as f64;
    (high - low, mean.sqrt())
}

/// Progress of a check that runs on a thread of its own.
#[derive(Debug, Clone, PartialEq)]
pub enum CheckProgress {
    /// An electrode is known.
    Electrode(GradedImpedance),
    /// Share of the calibration done, 0 to 1.
    Share(f64),
}

/// A check on a thread of its own. Dropping it breaks the check off and lets the device go.
pub struct RunningCheck<T> {
    cancel: Cancel,
    progress: Receiver<CheckProgress>,
    thread: Option<JoinHandle<CheckOutcome<T>>>,
}

impl<T> fmt::Debug for RunningCheck<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningCheck")
            .field("cancelled", &self.cancel.is_cancelled())
            .finish_non_exhaustive()
    }
}

/// What a finished check leaves: the device (unless its driver panicked) and the result.
pub type CheckOutcome<T> = (Option<Box<dyn Device>>, Result<T, DeviceError>);

impl<T> RunningCheck<T> {
    /// Breaks it off.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// The next progress within `timeout`; `None` when there is none.
    #[must_use]
    pub fn progress(&self, timeout: Duration) -> Option<CheckProgress> {
        self.progress.recv_timeout(timeout).ok()
    }

    /// Whether it has finished.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits for the end.
    pub fn join(mut self) -> CheckOutcome<T> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(outcome)) => outcome,
            _ => (None, Err(panicked())),
        }
    }
}

impl<T> Drop for RunningCheck<T> {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// Runs [`check_impedances`] on a thread of its own.
///
/// # Errors
/// The system gave no thread.
pub fn spawn_impedance_check(
    device: Box<dyn Device>,
    limits: ImpedanceLimits,
) -> std::io::Result<RunningCheck<ImpedanceReport>> {
    run(device, move |device, cancel, progress| {
        check_impedances(device, limits, cancel, &mut |electrode| {
            progress(CheckProgress::Electrode(electrode.clone()));
        })
    })
}

/// Runs [`run_calibration`] on a thread of its own.
///
/// # Errors
/// The system gave no thread.
pub fn spawn_calibration(
    device: Box<dyn Device>,
    limits: CalibrationLimits,
    clock: Arc<dyn Clock>,
) -> std::io::Result<RunningCheck<CalibrationReport>> {
    run(device, move |device, cancel, progress| {
        run_calibration(device, limits, clock.as_ref(), cancel, &mut |share| {
            progress(CheckProgress::Share(share));
        })
    })
}

fn run<T: Send + 'static>(
    device: Box<dyn Device>,
    check: impl FnOnce(
        &mut dyn Device,
        &Cancel,
        &mut dyn FnMut(CheckProgress),
    ) -> Result<T, DeviceError>
    + Send
    + 'static,
) -> std::io::Result<RunningCheck<T>> {
    let cancel = Cancel::default();
    let (send, progress) = bounded(crate::limits::EVENT_QUEUE);
    let asked = cancel.clone();
    let name = format!("device-{}", device.description().id.replace('\0', ""));
    let thread = Builder::new().name(name).spawn(move || {
        let mut device = device;
        let mut tell = |step| {
            // Progress that nobody reads is not kept.
            if let Err(TrySendError::Full(_)) = send.try_send(step) {
                tracing::debug!("progress of a check is not read");
            }
        };
        match catch_unwind(AssertUnwindSafe(|| {
            check(device.as_mut(), &asked, &mut tell)
        })) {
            Ok(result) => (Some(device), result),
            Err(_) => (None, Err(panicked())),
        }
    })?;
    Ok(RunningCheck {
        cancel,
        progress,
        thread: Some(thread),
    })
}

fn panicked() -> DeviceError {
    DeviceError::new(
        ErrorKind::Protocol,
        "check device",
        "the driver failed; unplug the device, plug it in again and try once more",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_noisy_square_wave_is_measured() {
        // 100 µV peak to peak, ±1 µV of triangular noise, edges of one sample.
        let mut values: Vec<f64> = (0..1000)
            .map(|i| {
                let level = if (i / 50) % 2 == 0 { 50.0 } else { -50.0 };
                let noise = f64::from(i % 5) / 2.0 - 1.0;
                if i % 50 == 0 { 0.0 } else { level + noise }
            })
            .collect();
        let (amplitude, noise) = levels(&mut values);
        assert!((amplitude - 100.0).abs() < 0.6, "{amplitude}");
        assert!((noise - 0.5_f64.sqrt()).abs() < 0.1, "{noise}");
    }

    #[test]
    fn a_flat_channel_has_no_amplitude() {
        assert_eq!(levels(&mut [3.0; 100]), (0.0, 0.0));
        assert!(levels(&mut []).0.is_nan());
    }
}
