//! A FieldTrip buffer that some program fills.

use super::wire::{
    self, DataType, GET_DAT, GET_EVT, GET_HDR, GET_OK, HEAD, Head, Header, WAIT_DAT, WAIT_OK,
};
use crate::channels::{channel, rate};
use crate::limits::{FIELDTRIP_EVENTS, FIELDTRIP_SAMPLES, FIRST_MESSAGE};
use crate::line::{Line, since};
use crate::safety::ReadOnly;
use contract::{
    Capabilities, Clock, Device, DeviceClass, DeviceDescription, DeviceError, DeviceEvent,
    ErrorKind, Pacing, Read, Safety, Sink,
};
use signal::{
    AnnotationOrigin, Channel, ClockSource, CounterSpec, HostNanos, SampleBlock, SampleType,
    Samples, StreamDescription, StreamIndex, StreamRole,
};
use std::sync::Arc;
use std::time::Duration;

const STREAM: StreamIndex = StreamIndex(0);

/// The driver's device.
#[derive(Debug)]
pub(crate) struct FieldTrip {
    address: String,
    header: Header,
    data_type: DataType,
    description: DeviceDescription,
    clock: Arc<dyn Clock>,
    line: Option<Line>,
    /// Samples and events taken or passed over.
    samples: u32,
    events: u32,
    /// Number of the first sample of the last block.
    last_block: u32,
}

fn wrong(operation: &str, message: impl Into<String>) -> DeviceError {
    DeviceError::new(ErrorKind::Protocol, operation, message)
}

/// Sends a request and gives its answer to `read`: the command and the body.
fn ask<T>(
    operation: &str,
    line: &mut Line,
    clock: &dyn Clock,
    request: &[u8],
    patience: Duration,
    read: impl FnOnce(u16, &[u8], HostNanos) -> Result<T, DeviceError>,
) -> Result<T, DeviceError> {
    line.send(operation, request)?;
    let began = clock.host();
    let mut now = began;
    loop {
        if let Some(first) = line.held().first_chunk::<HEAD>() {
            match wire::head(first) {
                Head::Known(command, size) => {
                    if let Some(body) = line.held().get(HEAD..HEAD + size) {
                        let read = read(command, body, now);
                        line.take(HEAD + size);
                        return read;
                    }
                }
                Head::BigEndian => {
                    return Err(wrong(
                        operation,
                        "the server's byte order is big-endian, which is not supported",
                    ));
                }
                Head::Foreign => {
                    return Err(wrong(
                        operation,
                        "this is no FieldTrip buffer, or none of version 1",
                    ));
                }
            }
        }
        if since(clock.host(), began) >= patience + FIRST_MESSAGE {
            return Err(DeviceError::new(
                ErrorKind::Disconnected,
                operation,
                "the server does not answer",
            ));
        }
        now = line.fill(operation, Duration::from_millis(50))?.1;
    }
}

fn header(operation: &str, line: &mut Line, clock: &dyn Clock) -> Result<Header, DeviceError> {
    let request = wire::request(GET_HDR, &[]);
    ask(
        operation,
        line,
        clock,
        &request,
        Duration::ZERO,
        |command, body, _| {
            if command != GET_OK {
                return Err(wrong(
                    operation,
                    "the buffer is empty: start the program that fills it",
                ));
            }
            wire::header(body).ok_or_else(|| wrong(operation, "the buffer's header cannot be read"))
        },
    )
}

/// Whether samples of both are alike.
fn alike(a: &Header, b: &Header) -> bool {
    let of = |header: &Header| (header.channels, header.data_type, header.rate_hz.to_bits());
    of(a) == of(b) && a.names == b.names && a.resolutions == b.resolutions
}

impl FieldTrip {
    pub(crate) fn open(address: &str, clock: Arc<dyn Clock>) -> Result<Self, DeviceError> {
        let operation = format!("open fieldtrip:{address}");
        let mut line = Line::open(&operation, address, Arc::clone(&clock))?;
        let header = header(&operation, &mut line, clock.as_ref()).map_err(|mut error| {
            if error.kind == ErrorKind::Disconnected {
                error.kind = ErrorKind::Protocol;
            }
            error
        })?;
        let Some(data_type) = DataType::of(header.data_type) else {
            let message = format!(
                "its samples are of type {}, which no recording holds without loss",
                header.data_type
            );
            return Err(wrong(&operation, message));
        };
        Ok(Self {
            description: description(&operation, address, &header, data_type)?,
            address: address.to_owned(),
            samples: header.samples,
            events: header.events,
            last_block: header.samples,
            header,
            data_type,
            clock,
            line: None,
        })
    }

    /// Waits for samples, asks for them, and for the events that came meanwhile.
    fn fetch(&mut self, sink: &mut dyn Sink, timeout: Duration) -> Result<bool, DeviceError> {
        let operation = "read fieldtrip";
        let clock = Arc::clone(&self.clock);
        let clock = clock.as_ref();
        let Some(line) = self.line.as_mut() else {
            return Ok(false);
        };
        let milliseconds = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        // It answers when there is more than this, or when the time is over.
        let waiting = wire::request(WAIT_DAT, &[self.samples, self.events, milliseconds]);
        let (samples, events) = ask(
            operation,
            line,
            clock,
            &waiting,
            timeout,
            |command, body, _| match (command, body) {
                (WAIT_OK, [a, b, c, d, e, f, g, h, ..]) => Ok((
                    u32::from_le_bytes([*a, *b, *c, *d]),
                    u32::from_le_bytes([*e, *f, *g, *h]),
                )),
                _ => Err(wrong(operation, "the server cannot wait for samples")),
            },
        )?;
        if samples < self.samples {
            return Err(wrong(
                operation,
                "the buffer was set up anew: open the device anew",
            ));
        }
        let mut given = self.take_samples(operation, samples, sink)?;
        given |= self.take_events(operation, events, sink)?;
        Ok(given)
    }

    fn take_samples(
        &mut self,
        operation: &str,
        there: u32,
        sink: &mut dyn Sink,
    ) -> Result<bool, DeviceError> {
        if there == self.samples {
            return Ok(false);
        }
        let most = u32::try_from(FIELDTRIP_SAMPLES).unwrap_or(u32::MAX);
        let (first, end) = (self.samples, there.min(self.samples.saturating_add(most)));
        let (channels, code, data_type) =
            (self.header.channels, self.header.data_type, self.data_type);
        let clock = Arc::clone(&self.clock);
        let Some(line) = self.line.as_mut() else {
            return Ok(false);
        };
        let request = wire::request(GET_DAT, &[first, end - 1]);
        let read = ask(
            operation,
            line,
            clock.as_ref(),
            &request,
            Duration::ZERO,
            |command, body, now| {
                if command != GET_OK {
                    return Ok(false);
                }
                let (samples, values) = wire::data(body, channels, code)
                    .filter(|(samples, _)| *samples == (end - first) as usize)
                    .ok_or_else(|| {
                        wrong(operation, "the buffer's samples are others than its header said: open the device anew")
                    })?;
                sink.block(STREAM, &mut |block: &mut SampleBlock| {
                    block.channels = channels;
                    block.len = samples;
                    block.counter = Some(u64::from(first));
                    block.arrival = now;
                    fill(&mut block.samples, values, channels, data_type);
                });
                Ok(true)
            },
        )?;
        if read {
            (self.samples, self.last_block) = (end, first);
            return Ok(true);
        }
        // The ring has written over them: go on with the newest. The counter says how many are lost.
        self.samples = there;
        Ok(false)
    }

    fn take_events(
        &mut self,
        operation: &str,
        there: u32,
        sink: &mut dyn Sink,
    ) -> Result<bool, DeviceError> {
        if there <= self.events {
            self.events = there;
            return Ok(false);
        }
        let (first, end) = (
            self.events,
            there.min(self.events.saturating_add(FIELDTRIP_EVENTS)),
        );
        let clock = Arc::clone(&self.clock);
        let Some(line) = self.line.as_mut() else {
            return Ok(false);
        };
        let request = wire::request(GET_EVT, &[first, end - 1]);
        let events = ask(
            operation,
            line,
            clock.as_ref(),
            &request,
            Duration::ZERO,
            |command, body, _| {
                if command != GET_OK {
                    return Ok(Vec::new());
                }
                wire::events(body)
                    .ok_or_else(|| wrong(operation, "the buffer's events cannot be read"))
            },
        )?;
        self.events = end;
        for event in &events {
            // Events count samples from 1.
            let sample = i64::from(event.sample) - 1;
            sink.event(DeviceEvent::MarkAt {
                stream: STREAM,
                offset: sample - i64::from(self.last_block),
                samples: u64::try_from(event.duration)
                    .ok()
                    .filter(|samples| *samples > 1),
                text: event.text.clone(),
                origin: AnnotationOrigin::Device,
            });
        }
        Ok(!events.is_empty())
    }
}

/// Writes `values`, sample after sample, channel after channel.
fn fill(samples: &mut Samples, values: &[u8], rows: usize, data_type: DataType) {
    for row in 0..rows {
        let column = values
            .chunks_exact(data_type.width())
            .skip(row)
            .step_by(rows);
        match samples {
            Samples::I16(out) => out.extend(column.map(|value| {
                match data_type {
                    DataType::U8 => i16::from(value[0]),
                    DataType::I8 => i16::from(value[0].cast_signed()),
                    _ => value
                        .first_chunk()
                        .map_or(0, |two| i16::from_le_bytes(*two)),
                }
            })),
            Samples::I32(out) => out.extend(column.map(|value| {
                match data_type {
                    DataType::U16 => value
                        .first_chunk()
                        .map_or(0, |two| i32::from(u16::from_le_bytes(*two))),
                    _ => value
                        .first_chunk()
                        .map_or(0, |four| i32::from_le_bytes(*four)),
                }
            })),
            Samples::F32(out) => {
                out.extend(column.map(|value| {
                    value
                        .first_chunk()
                        .map_or(0.0, |four| f32::from_le_bytes(*four))
                }));
            }
            Samples::F64(out) => {
                out.extend(column.map(|value| {
                    value
                        .first_chunk()
                        .map_or(0.0, |eight| f64::from_le_bytes(*eight))
                }));
            }
            Samples::I24(_) | Samples::Text(_) => {}
        }
    }
}

fn description(
    operation: &str,
    address: &str,
    header: &Header,
    data_type: DataType,
) -> Result<DeviceDescription, DeviceError> {
    let rate = rate(f64::from(header.rate_hz)).ok_or_else(|| {
        let message = format!("{} Hz is no sampling rate", header.rate_hz);
        wrong(operation, message)
    })?;
    let channels = (0..header.channels)
        .map(|n| {
            let name = header.names.get(n).filter(|name| !name.is_empty());
            let label = name.map_or_else(|| format!("{}", n + 1), Clone::clone);
            match header.resolutions.get(n) {
                Some(uv) => channel(&label, *uv),
                // Without resolutions the buffer does not say what a number is worth.
                None => Channel {
                    unit: signal::Unit::Count,
                    ..channel(&label, 1.0)
                },
            }
        })
        .collect();
    Ok(DeviceDescription {
        id: format!("fieldtrip:{address}"),
        model: "FieldTrip buffer".into(),
        serial: String::new(),
        firmware: String::new(),
        class: DeviceClass::Research,
        pacing: Pacing::RealTime,
        capabilities: Capabilities::default(),
        streams: vec![StreamDescription {
            name: "eeg".into(),
            role: StreamRole::Signal,
            sample_type: match data_type {
                DataType::U8 | DataType::I8 | DataType::I16 => SampleType::I16,
                DataType::U16 | DataType::I32 => SampleType::I32,
                DataType::F32 => SampleType::F32,
                DataType::F64 => SampleType::F64,
            },
            rate,
            counter: Some(CounterSpec::SAMPLE),
            clock: ClockSource::HostArrival,
            channels,
        }],
    })
}

impl Device for FieldTrip {
    fn description(&self) -> &DeviceDescription {
        &self.description
    }

    fn safety(&self) -> Arc<dyn Safety> {
        Arc::new(ReadOnly)
    }

    fn start(&mut self) -> Result<(), DeviceError> {
        if self.line.is_some() {
            return Ok(());
        }
        let operation = format!("start fieldtrip:{}", self.address);
        let lost = |mut error: DeviceError| {
            error.kind = ErrorKind::Disconnected;
            error
        };
        let clock = Arc::clone(&self.clock);
        let mut line = Line::open(&operation, &self.address, clock).map_err(lost)?;
        let now = header(&operation, &mut line, self.clock.as_ref()).map_err(lost)?;
        if !alike(&now, &self.header) {
            let message =
                "the buffer's channels, type or rate are others than before; open the device anew";
            return Err(wrong(&operation, message));
        }
        // What the ring still holds of before is not asked for: it may be minutes old, and its arrival would
        // say that it is new. The counter says how many were passed over.
        (self.samples, self.events) = (now.samples, now.events);
        self.last_block = now.samples;
        self.line = Some(line);
        Ok(())
    }

    fn read(&mut self, sink: &mut dyn Sink, timeout: Duration) -> Result<Read, DeviceError> {
        let began = self.clock.host();
        loop {
            let left = timeout.saturating_sub(since(self.clock.host(), began));
            if self.line.is_none() {
                self.clock.sleep(left);
                return Ok(Read::Idle);
            }
            match self.fetch(sink, left) {
                Ok(true) => return Ok(Read::Progress),
                Ok(false) if since(self.clock.host(), began) >= timeout => return Ok(Read::Idle),
                Ok(false) => {}
                Err(error) => {
                    self.line = None;
                    return Err(error);
                }
            }
        }
    }

    fn stop(&mut self) -> Result<(), DeviceError> {
        self.line = None;
        Ok(())
    }
}
