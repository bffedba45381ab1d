//! An opened Cyton.

use crate::board::{self, lead_off};
use crate::decode::{Decoder, Sample};
use crate::describe::{description, rate_hz, scale_uv};
use crate::lead_off::impedance_kohm;
use crate::limits::{
    BLOCK_SAMPLES, LEAD_OFF_PATIENCE, LEAD_OFF_SETTLE, LEAD_OFF_WINDOW_S, LISTEN, PORT_TIMEOUT,
    READ_BYTES,
};
use crate::link::{Link, Writer, send_aside, since};
use crate::packet::CHANNELS;
use crate::pairing::Halves;
use crate::settings::CytonSettings;
use contract::{
    Clock, Device, DeviceDescription, DeviceError, DeviceEvent, ErrorKind, Read, Safety, Sink,
};
use signal::{Impedance, SampleBlock, Samples, StreamIndex};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const EEG: StreamIndex = StreamIndex(0);
/// Acceleration or auxiliary inputs: the one stream beside the potentials.
const SECOND: StreamIndex = StreamIndex(1);

/// No electrode has the test current.
const NO_CURRENT: i32 = -1;
/// Test currents were ended and stay off until the device is opened anew.
const ENDED: i32 = -2;

/// Ends the test current from any thread.
#[derive(Debug)]
struct EndCurrent {
    writer: Writer,
    /// The channel that has the current, or [`NO_CURRENT`] or [`ENDED`].
    current: AtomicI32,
    inverting: bool,
    clock: Arc<dyn Clock>,
}

impl Safety for EndCurrent {
    fn end_all(&self) -> Result<(), DeviceError> {
        let channel = self.current.swap(ENDED, Ordering::SeqCst);
        match usize::try_from(channel) {
            // One electrode at a time has the current: one command ends it.
            Ok(channel) => send_aside(
                &self.writer,
                self.clock.as_ref(),
                "end the test current",
                &lead_off(channel, self.inverting, false),
            ),
            Err(_) => Ok(()),
        }
    }
}

/// The driver's device.
#[derive(Debug)]
pub(crate) struct Cyton {
    path: String,
    settings: CytonSettings,
    daisy: bool,
    description: DeviceDescription,
    clock: Arc<dyn Clock>,
    link: Option<Link>,
    safety: Arc<EndCurrent>,
    streaming: bool,
    /// A test current was switched on and its end is not confirmed.
    current_may_flow: bool,
    decoder: Decoder,
    buffer: Box<[u8; READ_BYTES]>,
}

impl Cyton {
    pub(crate) fn open(
        path: &str,
        settings: CytonSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, DeviceError> {
        let id = format!("cyton:{path}");
        let operation = format!("open {id}");
        let writer: Writer = Arc::new(Mutex::new(None));
        let mut link = Link::open(&operation, path, &writer, Arc::clone(&clock))?;
        let greeting = board::reset(&mut link, &operation)?;
        let daisy = settings.daisy.unwrap_or(greeting.daisy);
        if daisy && !greeting.daisy {
            return Err(DeviceError::new(
                ErrorKind::Settings,
                operation,
                "setting daisy is on, and the board has none attached",
            ));
        }
        board::configure(&mut link, &operation, &settings, daisy)?;
        Ok(Self {
            path: path.to_owned(),
            description: description(&id, &settings, daisy, &greeting.firmware),
            safety: Arc::new(EndCurrent {
                writer,
                current: AtomicI32::new(NO_CURRENT),
                inverting: settings.inverting,
                clock: Arc::clone(&clock),
            }),
            decoder: Decoder::new(daisy, settings.mode, settings.stamps),
            settings,
            daisy,
            clock,
            link: Some(link),
            streaming: false,
            current_may_flow: false,
            buffer: Box::new([0; READ_BYTES]),
        })
    }

    fn operation(&self, what: &str) -> String {
        format!("{what} cyton:{}", self.path)
    }

    /// The line; opened anew, and the board configured anew, when it was lost.
    fn link(&mut self, operation: &str) -> Result<&mut Link, DeviceError> {
        if self.link.is_none() {
            let mut link = self.reopen(operation)?;
            self.configure_anew(operation, &mut link)
                .map_err(may_return)?;
            self.link = Some(link);
        }
        self.link.as_mut().ok_or_else(|| not_open(operation))
    }

    fn reopen(&self, operation: &str) -> Result<Link, DeviceError> {
        let clock = Arc::clone(&self.clock);
        Link::open(operation, &self.path, &self.safety.writer, clock).map_err(may_return)
    }

    fn configure_anew(&mut self, operation: &str, link: &mut Link) -> Result<(), DeviceError> {
        let greeting = board::reset(link, operation)?;
        // A reset ends every test current.
        self.current_may_flow = false;
        let current = self.safety.current.load(Ordering::SeqCst);
        if current >= 0 {
            let _ = self.exchange_current(current, NO_CURRENT);
        }
        if self.daisy && !greeting.daisy {
            return Err(DeviceError::new(
                ErrorKind::Protocol,
                operation,
                "the Daisy that was there is not attached any more",
            ));
        }
        board::configure(link, operation, &self.settings, self.daisy)
    }

    /// Opens a lost line again and listens: a board that kept its power still streams, as it was configured,
    /// and its counter says what was missed. Whether it does; what it sent meanwhile is decoded.
    fn rejoin(&mut self, operation: &str) -> Result<bool, DeviceError> {
        let mut link = self.reopen(operation)?;
        self.decoder.begin();
        let began = self.clock.host();
        // With a test current on, it is not the patient's signal alone.
        let usable = !self.current_may_flow;
        while usable && since(self.clock.host(), began) < LISTEN {
            let (bytes, now) = link.read(operation, &mut self.buffer, PORT_TIMEOUT)?;
            self.decoder.push(bytes, now);
            if self.decoder.samples.len() > 1 {
                self.link = Some(link);
                return Ok(true);
            }
        }
        self.configure_anew(operation, &mut link)
            .map_err(may_return)?;
        self.link = Some(link);
        Ok(false)
    }

    /// Gives up the line after a failure.
    fn lost(&mut self, error: DeviceError) -> DeviceError {
        if error.kind == ErrorKind::Disconnected {
            self.link = None;
            self.streaming = false;
        }
        error
    }

    fn begin(&mut self, operation: &str) -> Result<(), DeviceError> {
        self.decoder.begin();
        self.link(operation)?.send(operation, "b")?;
        self.streaming = true;
        Ok(())
    }

    fn end(&mut self, operation: &str) -> Result<(), DeviceError> {
        self.streaming = false;
        let Some(link) = self.link.as_mut() else {
            return Ok(());
        };
        link.send(operation, "s")?;
        link.drain(operation)
    }

    /// The test current on one electrode, its amplitude measured, the current off again: whatever happened in
    /// between, and whoever ended it meanwhile, the last command says off.
    fn measure(&mut self, operation: &str, channel: usize) -> Result<Option<f64>, DeviceError> {
        self.settle(operation)?;
        let this = i32::try_from(channel).unwrap_or(0);
        if self.exchange_current(NO_CURRENT, this).is_err() {
            return Err(ended(operation));
        }
        self.current_may_flow = true;
        let switched = self.switch_current(operation, channel, true);
        let measured = switched.and_then(|()| self.listen(operation, channel));
        // An end that came before the command that switched it on was undone by that command. Until the board
        // has confirmed this one, an end is still to be told to it, and nothing is read without a reset.
        self.switch_current(operation, channel, false)?;
        self.current_may_flow = false;
        match self.exchange_current(this, NO_CURRENT) {
            Ok(_) => measured,
            Err(_) => Err(ended(operation)),
        }
    }

    fn exchange_current(&self, from: i32, to: i32) -> Result<i32, i32> {
        let current = &self.safety.current;
        current.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst)
    }

    /// The line is open, and no test current flows.
    fn settle(&mut self, operation: &str) -> Result<(), DeviceError> {
        self.link(operation)?;
        match self.link.take() {
            Some(mut link) if self.current_may_flow => {
                let settled = self.configure_anew(operation, &mut link);
                self.link = Some(link);
                settled
            }
            link => {
                self.link = link;
                Ok(())
            }
        }
    }

    fn switch_current(
        &mut self,
        operation: &str,
        channel: usize,
        on: bool,
    ) -> Result<(), DeviceError> {
        let command = lead_off(channel, self.settings.inverting, on);
        let Some(link) = self.link.as_mut() else {
            return Err(not_open(operation));
        };
        if !on {
            // A board that still streams answers nothing.
            link.send(operation, "s")?;
            link.drain(operation)?;
        }
        board::command(link, operation, &command, "Lead off set for")
    }

    /// Streams for a while and measures what the test current makes of it.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn listen(&mut self, operation: &str, channel: usize) -> Result<Option<f64>, DeviceError> {
        let rate = f64::from(rate_hz(self.daisy));
        let wanted = (rate * LEAD_OFF_WINDOW_S) as usize;
        let scale = scale_uv(&self.settings).abs();
        self.begin(operation)?;
        let began = self.clock.host();
        let limit =
            LEAD_OFF_SETTLE + Duration::from_secs_f64(LEAD_OFF_WINDOW_S) + LEAD_OFF_PATIENCE;
        let mut samples: Vec<f64> = Vec::with_capacity(wanted);
        let mut last = None;
        while samples.len() < wanted && since(self.clock.host(), began) < limit {
            if self.safety.current.load(Ordering::SeqCst) == ENDED {
                break;
            }
            self.decoder.clear();
            self.take(operation, PORT_TIMEOUT)?;
            if since(self.clock.host(), began) < LEAD_OFF_SETTLE {
                continue;
            }
            for sample in &self.decoder.samples {
                let whole = last.is_none_or(|last| follows(last, sample.counter, self.daisy));
                if !whole || sample.halves != Halves::Both {
                    // A sine with a hole is none: begin again.
                    samples.clear();
                }
                last = Some(sample.counter);
                samples.push(f64::from(sample.values[channel]) * scale);
            }
        }
        self.end(operation)?;
        samples.truncate(wanted);
        Ok((samples.len() == wanted)
            .then(|| impedance_kohm(&samples, rate))
            .flatten())
    }

    /// Reads once and decodes.
    fn take(&mut self, operation: &str, timeout: Duration) -> Result<(), DeviceError> {
        let Some(link) = self.link.as_mut() else {
            return Err(not_open(operation));
        };
        let (bytes, now) = link.read(operation, &mut self.buffer, timeout)?;
        self.decoder.push(bytes, now);
        Ok(())
    }

    /// Gives what was decoded to the sink; whether there was anything.
    fn give(&mut self, sink: &mut dyn Sink) -> bool {
        let skipped = self.decoder.take_skipped();
        if skipped > 0 {
            sink.event(DeviceEvent::Garbage { bytes: skipped });
        }
        let samples = &self.decoder.samples;
        let mut from = 0;
        while from < samples.len() {
            let rest = &samples[from..];
            let cut = rest
                .windows(2)
                .position(|two| !follows(two[0].counter, two[1].counter, self.daisy))
                .map_or(rest.len(), |last| last + 1)
                .min(BLOCK_SAMPLES);
            self.block(&rest[..cut], sink);
            from += cut;
        }
        self.accelerations(sink);
        let given = skipped > 0 || !samples.is_empty() || !self.decoder.accelerations.is_empty();
        self.decoder.clear();
        given
    }

    fn block(&self, samples: &[Sample], sink: &mut dyn Sink) {
        for sample in samples {
            let lost = match sample.halves {
                Halves::Both => continue,
                Halves::Board => CHANNELS..2 * CHANNELS,
                Halves::Daisy => 0..CHANNELS,
            };
            for channel in lost {
                sink.event(DeviceEvent::Stale {
                    stream: EEG,
                    channel: u16::try_from(channel).unwrap_or(u16::MAX),
                    counter: Some(u64::from(sample.counter)),
                });
            }
        }
        let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
            return;
        };
        let mut fill = |stream: StreamIndex, rows: usize, row: &dyn Fn(&Sample, usize) -> i32| {
            sink.block(stream, &mut |block: &mut SampleBlock| {
                block.channels = rows;
                block.len = samples.len();
                block.counter = Some(u64::from(first.counter));
                block.arrival = last.at;
                if let Samples::I24(values) | Samples::I32(values) = &mut block.samples {
                    for channel in 0..rows {
                        values.extend(samples.iter().map(|sample| row(sample, channel)));
                    }
                }
            });
        };
        let streams = &self.description.streams;
        fill(EEG, streams[0].channels.len(), &|sample, row| {
            sample.values[row]
        });
        if let Some(aux) = streams.get(1).filter(|stream| stream.counter.is_some()) {
            fill(SECOND, aux.channels.len(), &|sample, row| sample.aux[row]);
        }
    }

    /// Accelerations as an irregular stream, each stamped when its packet came.
    fn accelerations(&self, sink: &mut dyn Sink) {
        let irregular = |stream: &&signal::StreamDescription| stream.counter.is_none();
        let fresh = &self.decoder.accelerations;
        let (Some((_, last)), Some(_)) = (
            fresh.last(),
            self.description.streams.get(1).filter(irregular),
        ) else {
            return;
        };
        // Not before the potentials that were given with it.
        let newest = self
            .decoder
            .samples
            .last()
            .map_or(*last, |sample| sample.at.max(*last));
        sink.block(SECOND, &mut |block| {
            block.channels = 3;
            block.len = fresh.len();
            block.arrival = newest;
            block.stamps.extend(fresh.iter().map(|(_, at)| at.0));
            if let Samples::I16(values) = &mut block.samples {
                for axis in 0..3 {
                    values.extend(fresh.iter().map(|(axes, _)| axes[axis]));
                }
            }
        });
    }
}

/// Whether a sample follows the one before without a hole.
const fn follows(before: u8, counter: u8, daisy: bool) -> bool {
    counter == before.wrapping_add(if daisy { 2 } else { 1 })
}

fn not_open(operation: &str) -> DeviceError {
    DeviceError::new(ErrorKind::Disconnected, operation, "the port is not open")
}

/// Whatever a lost board answers or does not: it may be back at the next attempt.
fn may_return(mut error: DeviceError) -> DeviceError {
    if matches!(
        error.kind,
        ErrorKind::NotFound | ErrorKind::Protocol | ErrorKind::Io
    ) {
        error.kind = ErrorKind::Disconnected;
    }
    error
}

fn ended(operation: &str) -> DeviceError {
    DeviceError::new(
        ErrorKind::Unsupported,
        operation,
        "test currents were ended; they stay off until the device is opened anew",
    )
}

impl Device for Cyton {
    fn description(&self) -> &DeviceDescription {
        &self.description
    }

    fn safety(&self) -> Arc<dyn Safety> {
        Arc::clone(&self.safety) as Arc<dyn Safety>
    }

    fn start(&mut self) -> Result<(), DeviceError> {
        if self.streaming {
            return Ok(());
        }
        let operation = self.operation("start");
        if self.link.is_none() && self.rejoin(&operation)? {
            self.streaming = true;
            return Ok(());
        }
        let begun = self
            .settle(&operation)
            .and_then(|()| self.begin(&operation));
        begun.map_err(|error| self.lost(error))
    }

    fn read(&mut self, sink: &mut dyn Sink, timeout: Duration) -> Result<Read, DeviceError> {
        let operation = "read cyton";
        let began = self.clock.host();
        loop {
            let waited = since(self.clock.host(), began);
            let wait = timeout.saturating_sub(waited).min(PORT_TIMEOUT);
            let taken = if self.streaming {
                self.take(operation, wait)
            } else {
                self.clock.sleep(wait);
                Ok(())
            };
            // What came before the line broke is part of the record.
            if taken.is_err() {
                self.decoder.end();
            }
            let given = self.give(sink);
            taken.map_err(|error| self.lost(error))?;
            if given {
                return Ok(Read::Progress);
            }
            if since(self.clock.host(), began) >= timeout {
                return Ok(Read::Idle);
            }
        }
    }

    fn stop(&mut self) -> Result<(), DeviceError> {
        if !self.streaming {
            return Ok(());
        }
        let operation = self.operation("stop");
        let stopped = self.end(&operation);
        stopped.map_err(|error| self.lost(error))
    }

    fn measure_impedances(
        &mut self,
        progress: &mut dyn FnMut(&Impedance) -> ControlFlow<()>,
    ) -> Result<Vec<Impedance>, DeviceError> {
        let operation = self.operation("measure impedances of");
        if self.streaming {
            return Err(DeviceError::new(
                ErrorKind::Unsupported,
                operation,
                "the device is streaming; stop it first",
            ));
        }
        let mut measured = Vec::new();
        let electrodes: Vec<Option<String>> = (self.description.streams[0].channels.iter())
            .map(|channel| channel.electrode.clone())
            .collect();
        for (channel, electrode) in electrodes.into_iter().enumerate() {
            let Some(electrode) = electrode else { continue };
            let found = self.measure(&operation, channel);
            let impedance_kohm = found.map_err(|error| self.lost(error))?;
            let impedance = Impedance {
                electrode,
                impedance_kohm,
                at: self.clock.utc(),
            };
            let on = progress(&impedance);
            measured.push(impedance);
            if on.is_break() {
                return Ok(measured);
            }
        }
        // The board drives no current through SRB2 or BIAS: theirs are not known.
        for name in [&self.settings.reference, &self.settings.ground] {
            let impedance = Impedance {
                electrode: name.clone(),
                impedance_kohm: None,
                at: self.clock.utc(),
            };
            let on = progress(&impedance);
            measured.push(impedance);
            if on.is_break() {
                break;
            }
        }
        Ok(measured)
    }

    fn calibration(&mut self, on: bool) -> Result<(), DeviceError> {
        let operation = self.operation("calibrate");
        let streaming = self.streaming;
        let switched = self.switch_calibration(&operation, on, streaming);
        switched.map_err(|error| self.lost(error))
    }
}

impl Cyton {
    /// Connects every input to the test signal or back to its electrode. The board answers between samples
    /// when it streams; so it is stopped meanwhile.
    fn switch_calibration(
        &mut self,
        operation: &str,
        on: bool,
        streaming: bool,
    ) -> Result<(), DeviceError> {
        if streaming {
            self.end(operation)?;
        }
        let (gain, count) = (self.settings.gain.code, if self.daisy { 16 } else { 8 });
        let link = self.link(operation)?;
        if on {
            board::command(link, operation, "-", "test signal")?;
        } else {
            for channel in 0..count {
                board::input(link, operation, channel, gain, '0')?;
            }
        }
        if streaming {
            self.begin(operation)?;
        }
        Ok(())
    }
}

impl Drop for Cyton {
    fn drop(&mut self) {
        if let Err(error) = self.safety.end_all() {
            tracing::warn!(%error, "the test current could not be ended");
        }
        if let (true, Some(link)) = (self.streaming, &self.link)
            && let Err(error) = link.send("close cyton", "s")
        {
            tracing::debug!(%error, "the board could not be told to stop");
        }
    }
}
