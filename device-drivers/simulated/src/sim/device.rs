//! The opened simulated device: what is due when, and who is told.

use super::config::Config;
use super::drift::{Drift, Lateness};
use super::impedance::Impedances;
use super::stream::{Generator, Stream};
use super::{nanos, seconds};
use crate::limits::{
    DEVICE_BUFFER_NS, FAST_READ_NS, IMPEDANCE_STEP_NS, IMPEDANCE_TOTAL_NS, MAX_BLOCKS_PER_READ,
};
use crate::settings::Speed;
use contract::{
    Clock, Device, DeviceDescription, DeviceError, DeviceEvent, ErrorKind, Read, Safety, Sink,
};
use signal::{ClockSource, HostNanos, Impedance, StreamIndex, UtcNanos};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Ends the test current of the impedance check.
#[derive(Debug, Default)]
struct TestCurrent {
    ended: AtomicBool,
}

impl Safety for TestCurrent {
    fn end_all(&self) -> Result<(), DeviceError> {
        self.ended.store(true, Ordering::SeqCst);
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Stopped,
    Streaming,
    /// Unplugged until this device time, ns.
    Gone {
        until: i64,
    },
}

/// What happens next, and when: host time for a paced device, device time otherwise.
#[derive(Debug, Clone, Copy)]
struct Step {
    due: i64,
    what: What,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Packet(usize),
    Disconnect,
    Event,
}

/// A simulated device.
#[derive(Debug)]
pub(crate) struct SimulatedDevice {
    description: DeviceDescription,
    speed: Speed,
    clock: Arc<dyn Clock>,
    epoch: UtcNanos,
    streams: Vec<Stream>,
    impedances: Impedances,
    drift: Drift,
    lateness: Lateness,
    /// Begin and end, device ns.
    disconnects: Vec<(i64, i64)>,
    next_disconnect: usize,
    events: Vec<(i64, DeviceEvent)>,
    next_event: usize,
    /// Host time of device time zero.
    origin: Option<HostNanos>,
    state: State,
    safety: Arc<TestCurrent>,
}

impl SimulatedDevice {
    pub(crate) fn new(
        description: DeviceDescription,
        config: &Config,
        streams: Vec<Stream>,
        impedances: Impedances,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let script = &config.script;
        let end = |at_s: f64, duration_s: f64| nanos(at_s + duration_s);
        let mut events: Vec<(i64, DeviceEvent)> = (script.battery.iter())
            .map(|e| (nanos(e.at_s), DeviceEvent::Battery(e.percent)))
            .collect();
        let labels = || {
            description
                .streams
                .iter()
                .flat_map(|stream| &stream.channels)
        };
        for e in &script.stale {
            let channel = labels()
                .position(|channel| channel.label == e.channel)
                .unwrap_or(0);
            let counter = streams
                .first()
                .map(|stream| stream.rate.index_at(nanos(e.at_s)));
            let event = DeviceEvent::Stale {
                stream: StreamIndex(0),
                channel: u16::try_from(channel).unwrap_or(u16::MAX),
                counter,
            };
            events.push((nanos(e.at_s), event));
        }
        events.sort_by_key(|(at, _)| *at);
        Self {
            speed: config.speed,
            clock,
            epoch: config.epoch,
            streams,
            impedances,
            drift: Drift::new(0.0, &[]),
            lateness: Lateness::new(0, 0.0, Vec::new()),
            disconnects: (script.disconnect.iter())
                .map(|e| (nanos(e.at_s), end(e.at_s, e.duration_s)))
                .collect(),
            next_disconnect: 0,
            events,
            next_event: 0,
            origin: None,
            state: State::Stopped,
            safety: Arc::default(),
            description,
        }
    }

    pub(crate) fn with_times(mut self, drift: Drift, lateness: Lateness) -> Self {
        self.drift = drift;
        self.lateness = lateness;
        self
    }

    fn error(&self, kind: ErrorKind, doing: &str, message: &str) -> DeviceError {
        DeviceError::new(kind, format!("{doing} {}", self.description.id), message)
    }

    /// Host time when the device's clock says `device_ns` and a packet comes `late_s` late; device
    /// time itself when nobody waits for the host.
    fn due(&self, device_ns: i64, late_s: f64) -> i64 {
        match (self.speed, self.origin) {
            (Speed::Times(times), Some(origin)) => {
                let host_s = self.drift.host_at(seconds(device_ns)) / times + late_s;
                origin.0.saturating_add(nanos(host_s))
            }
            _ => device_ns,
        }
    }

    /// Device time now, ns; how far it has been read when nobody waits for the host.
    fn device_now(&self) -> i64 {
        match (self.speed, self.origin) {
            (Speed::Times(times), Some(origin)) => {
                let host_s = self.clock.host().seconds_since(origin) * times;
                nanos(self.drift.device_at(host_s))
            }
            _ => self.streams.first().map_or(0, |s| s.rate.nanos_of(s.next)),
        }
    }

    fn next_step(&mut self) -> Option<Step> {
        let mut first: Option<Step> = None;
        for position in 0..self.streams.len() {
            let due = match self.streams[position].due {
                Some(due) => due,
                None => {
                    let Some((_, stop)) = self.streams[position].packet() else {
                        continue;
                    };
                    let stream = &self.streams[position];
                    let device_ns = stream.complete_at(stop);
                    let late_s = self.lateness.of(stream.index.0, stop, seconds(device_ns));
                    let due = self.due(device_ns, late_s).max(stream.last_due);
                    self.streams[position].due = Some(due);
                    due
                }
            };
            if first.is_none_or(|step| due < step.due) {
                first = Some(Step {
                    due,
                    what: What::Packet(position),
                });
            }
        }
        // When every stream has ended, so has the device, whatever the script has left.
        let mut first = first?;
        if let Some((at, _)) = self.events.get(self.next_event) {
            let due = self.due(*at, 0.0);
            if due <= first.due {
                first = Step {
                    due,
                    what: What::Event,
                };
            }
        }
        if let Some((at, _)) = self.disconnects.get(self.next_disconnect) {
            let due = self.due(*at, 0.0);
            if due <= first.due {
                first = Step {
                    due,
                    what: What::Disconnect,
                };
            }
        }
        Some(first)
    }

    fn take(&mut self, step: Step, sink: &mut dyn Sink) -> Result<(), DeviceError> {
        match step.what {
            What::Packet(position) => self.deliver(position, step.due, sink),
            What::Event => {
                sink.event(self.events[self.next_event].1.clone());
                self.next_event += 1;
            }
            What::Disconnect => {
                let (at, until) = self.disconnects[self.next_disconnect];
                self.next_disconnect += 1;
                self.flush(at, step.due, sink);
                self.state = State::Gone { until };
                return Err(self.gone("read"));
            }
        }
        Ok(())
    }

    fn deliver(&mut self, position: usize, due: i64, sink: &mut dyn Sink) {
        let arrival = match self.speed {
            Speed::Times(_) => HostNanos(due),
            Speed::Max => self.clock.host(),
        };
        let stream = &mut self.streams[position];
        if let Some(packet) = stream.packet() {
            stream.last_due = due;
            stream.deliver(packet, arrival, sink);
        }
    }

    /// Delivers what the device had sent before it was unplugged at device time `at`.
    fn flush(&mut self, at: i64, due: i64, sink: &mut dyn Sink) {
        for position in 0..self.streams.len() {
            let stream = &mut self.streams[position];
            if matches!(stream.generator, Generator::Marks(_)) {
                continue;
            }
            let end = stream.rate.index_at(at);
            while let Some((start, _)) = self.streams[position].packet() {
                if start >= end {
                    break;
                }
                self.deliver(position, due, sink);
            }
        }
    }

    fn gone(&self, doing: &str) -> DeviceError {
        self.error(
            ErrorKind::Disconnected,
            doing,
            "the device is gone; plug it in or bring it closer",
        )
    }

    /// A device keeps only so much for a late reader.
    fn drop_overdue(&mut self, now: HostNanos) {
        let late = |step: Step| now.0.saturating_sub(step.due) > DEVICE_BUFFER_NS;
        if self.next_step().is_some_and(late) {
            let device_now = self.device_now();
            // What stands before a disconnect is lost; the disconnect itself still happens.
            for stream in &mut self.streams {
                stream.skip_to(device_now);
            }
        }
    }

    fn read_paced(&mut self, sink: &mut dyn Sink, timeout: Duration) -> Result<Read, DeviceError> {
        let wait = i64::try_from(timeout.as_nanos()).unwrap_or(i64::MAX);
        let deadline = self.clock.host().plus_nanos(wait);
        let mut taken = 0;
        loop {
            let now = self.clock.host();
            self.drop_overdue(now);
            let next = loop {
                match self.next_step() {
                    Some(step) if step.due <= now.0 && taken < MAX_BLOCKS_PER_READ => {
                        self.take(step, sink)?;
                        taken += 1;
                    }
                    next => break next,
                }
            };
            if taken > 0 {
                return Ok(Read::Progress);
            }
            let Some(step) = next else {
                return Ok(Read::Ended);
            };
            let until = step.due.min(deadline.0);
            if now >= deadline {
                return Ok(Read::Idle);
            }
            let nanos = u64::try_from(until.saturating_sub(now.0)).unwrap_or(0);
            self.clock.sleep(Duration::from_nanos(nanos));
        }
    }

    fn read_fast(&mut self, sink: &mut dyn Sink) -> Result<Read, DeviceError> {
        let Some(first) = self.next_step() else {
            return Ok(Read::Ended);
        };
        let horizon = first.due.saturating_add(FAST_READ_NS);
        let mut taken = 0;
        while let Some(step) = self.next_step()
            && step.due < horizon
            && taken < MAX_BLOCKS_PER_READ
        {
            self.take(step, sink)?;
            taken += 1;
        }
        Ok(Read::Progress)
    }

    fn utc_now(&self) -> UtcNanos {
        match self.description.streams.first().map(|stream| stream.clock) {
            Some(ClockSource::Device { .. }) => self.epoch.plus_nanos(self.device_now()),
            _ => self.clock.utc(),
        }
    }
}

impl Device for SimulatedDevice {
    fn description(&self) -> &DeviceDescription {
        &self.description
    }

    fn safety(&self) -> Arc<dyn Safety> {
        Arc::clone(&self.safety) as Arc<dyn Safety>
    }

    fn start(&mut self) -> Result<(), DeviceError> {
        if self.state == State::Streaming {
            return Ok(());
        }
        if self.origin.is_none() {
            self.origin = Some(self.clock.host());
        } else if matches!(self.speed, Speed::Times(_)) {
            let device_now = self.device_now();
            if let State::Gone { until } = self.state
                && device_now < until
            {
                return Err(self.gone("start"));
            }
            for stream in &mut self.streams {
                stream.skip_to(device_now);
            }
        }
        self.state = State::Streaming;
        Ok(())
    }

    fn read(&mut self, sink: &mut dyn Sink, timeout: Duration) -> Result<Read, DeviceError> {
        match (self.state, self.speed) {
            (State::Gone { .. }, _) => Err(self.gone("read")),
            (State::Stopped, _) => {
                self.clock.sleep(timeout);
                Ok(Read::Idle)
            }
            (State::Streaming, Speed::Times(_)) => self.read_paced(sink, timeout),
            (State::Streaming, Speed::Max) => self.read_fast(sink),
        }
    }

    fn stop(&mut self) -> Result<(), DeviceError> {
        if self.state == State::Streaming {
            self.state = State::Stopped;
        }
        Ok(())
    }

    fn measure_impedances(
        &mut self,
        progress: &mut dyn FnMut(&Impedance) -> ControlFlow<()>,
    ) -> Result<Vec<Impedance>, DeviceError> {
        const DOING: &str = "measure impedances of";
        match self.state {
            State::Streaming => {
                return Err(self.error(ErrorKind::Busy, DOING, "it is streaming; stop it first"));
            }
            State::Gone { .. } => return Err(self.gone(DOING)),
            State::Stopped => {}
        }
        let names: Vec<String> = self.impedances.names().map(str::to_owned).collect();
        let step_ns =
            (IMPEDANCE_TOTAL_NS / self.impedances.len().max(1) as u64).min(IMPEDANCE_STEP_NS);
        let mut measured = Vec::with_capacity(names.len());
        for (position, electrode) in names.into_iter().enumerate() {
            if matches!(self.speed, Speed::Times(_)) {
                self.clock.sleep(Duration::from_nanos(step_ns));
            }
            if self.safety.ended.load(Ordering::SeqCst) {
                return Err(self.error(
                    ErrorKind::Unsupported,
                    DOING,
                    "the test current was ended for safety; open the device anew",
                ));
            }
            let impedance = Impedance {
                electrode,
                impedance_kohm: self.impedances.at(position, seconds(self.device_now())),
                at: self.utc_now(),
            };
            let flow = progress(&impedance);
            measured.push(impedance);
            if flow.is_break() {
                break;
            }
        }
        Ok(measured)
    }

    fn calibration(&mut self, on: bool) -> Result<(), DeviceError> {
        if let State::Gone { .. } = self.state {
            return Err(self.gone("switch the calibration signal of"));
        }
        for stream in &mut self.streams {
            if let Generator::Potentials(potentials) = &mut stream.generator {
                potentials.set_calibration(on);
            }
        }
        Ok(())
    }
}
