//! A recording that BrainVision Recorder, or a program that speaks its protocol, gives out.

use super::wire::{Data, Front, Message, Start, front};
use crate::channels::{channel, rate};
use crate::limits::{FIRST_MESSAGE, MOST_CHANNELS};
use crate::line::{Line, since};
use crate::safety::ReadOnly;
use contract::{
    Capabilities, Clock, Device, DeviceClass, DeviceDescription, DeviceError, DeviceEvent,
    ErrorKind, Pacing, Read, Safety, Sink,
};
use signal::{
    AnnotationOrigin, ClockSource, CounterSpec, GapCause, HostNanos, Missing, SampleBlock,
    SampleType, Samples, SamplingRate, StreamDescription, StreamIndex, StreamRole,
};
use std::sync::Arc;
use std::time::Duration;

const STREAM: StreamIndex = StreamIndex(0);

/// What the recording is, as far as a device must know to read it.
#[derive(Debug, Clone, PartialEq)]
struct Shape {
    start: Start,
    float: bool,
    rate: SamplingRate,
}

/// The driver's device.
#[derive(Debug)]
pub(crate) struct Rda {
    address: String,
    shape: Shape,
    description: DeviceDescription,
    clock: Arc<dyn Clock>,
    line: Option<Line>,
    /// Number and length of the last block, over connections.
    last: Option<(u32, usize)>,
    /// Samples counted, lost ones included.
    counter: u64,
    /// No block has come since the connection was made.
    fresh: bool,
}

/// How far blocks have been counted.
#[derive(Debug, Clone, Copy)]
struct Count {
    last: Option<(u32, usize)>,
    counter: u64,
    fresh: bool,
}

fn wrong(operation: &str, message: impl Into<String>) -> DeviceError {
    DeviceError::new(ErrorKind::Protocol, operation, message)
}

impl Rda {
    pub(crate) fn open(address: &str, clock: Arc<dyn Clock>) -> Result<Self, DeviceError> {
        let operation = format!("open rda:{address}");
        let mut line = Line::open(&operation, address, Arc::clone(&clock))?;
        let shape = shape(&operation, &mut line, clock.as_ref())?;
        Ok(Self {
            description: description(address, &shape),
            address: address.to_owned(),
            shape,
            clock,
            // What comes until it is started belongs to no recording of ours: the server is asked again then.
            line: None,
            last: None,
            counter: 0,
            fresh: true,
        })
    }

    /// Takes the messages that are whole; whether anything was given.
    fn give(&mut self, sink: &mut dyn Sink, now: HostNanos) -> Result<bool, DeviceError> {
        let operation = "read rda";
        let (mut given, mut garbage) = (false, 0);
        let Some(line) = self.line.as_mut() else {
            return Ok(false);
        };
        let state = &mut Count {
            last: self.last,
            counter: self.counter,
            fresh: self.fresh,
        };
        let over = loop {
            let (result, count) = match front(line.held(), self.shape.start.channels.len()) {
                Front::Incomplete => break Ok(()),
                Front::Garbage(count) => {
                    garbage += count as u64;
                    (Ok(()), count)
                }
                Front::Whole(message, count) => (
                    take(&self.shape, message, now, state, sink, &mut given),
                    count,
                ),
            };
            line.take(count);
            if result.is_err() {
                break result;
            }
        };
        (self.last, self.counter, self.fresh) = (state.last, state.counter, state.fresh);
        if garbage > 0 {
            sink.event(DeviceEvent::Garbage { bytes: garbage });
            given = true;
        }
        over.map(|()| given).map_err(|message| match message {
            Over::Stopped => DeviceError::new(
                ErrorKind::Disconnected,
                operation,
                "the server's recording was stopped; start its monitoring again",
            ),
            Over::Changed => wrong(
                operation,
                "the server's channels or rate have changed; open the device anew",
            ),
        })
    }
}

/// Why nothing more comes.
#[derive(Debug, Clone, Copy)]
enum Over {
    Stopped,
    Changed,
}

/// Takes one message into blocks and events.
fn take(
    shape: &Shape,
    message: Message<'_>,
    now: HostNanos,
    count: &mut Count,
    sink: &mut dyn Sink,
    given: &mut bool,
) -> Result<(), Over> {
    match message {
        Message::Start(start) if start != shape.start => Err(Over::Changed),
        Message::Stop => Err(Over::Stopped),
        Message::Start(_) | Message::Other => Ok(()),
        Message::Data(data) if data.float != shape.float => Err(Over::Changed),
        Message::Data(data) => {
            if count.admits(&data, sink) {
                *given = true;
                block(shape, &data, now, count.counter, sink);
                count.counter += data.points as u64;
            }
            Ok(())
        }
    }
}

impl Count {
    /// Counts the blocks before `data`; false when it has come before.
    fn admits(&mut self, data: &Data<'_>, sink: &mut dyn Sink) -> bool {
        let fresh = std::mem::replace(&mut self.fresh, false);
        let Some((before, points)) = self.last else {
            self.last = Some((data.block, data.points));
            return true;
        };
        let lost = data.block.wrapping_sub(before).wrapping_sub(1);
        let behind = lost > u32::MAX / 2;
        if behind && !fresh {
            return false;
        }
        self.last = Some((data.block, data.points));
        // Blocks of one recording are equally long, as far as its program says.
        let samples = if behind {
            0
        } else {
            u64::from(lost) * points as u64
        };
        self.counter += samples;
        // Over a lost connection the counter says what was missed if it agrees with the time; numbers that
        // began anew are a new recording of the server's, and only the time is known.
        if samples > 0 && !fresh {
            sink.event(DeviceEvent::Discontinuity {
                stream: STREAM,
                cause: GapCause::Transport,
                missing: Missing::Exact(samples),
            });
        }
        true
    }
}

fn block(shape: &Shape, data: &Data<'_>, now: HostNanos, counter: u64, sink: &mut dyn Sink) {
    let rows = shape.start.channels.len();
    if data.points == 0 || data.points > signal::MAX_SAMPLES_PER_BLOCK {
        return;
    }
    sink.block(STREAM, &mut |block: &mut SampleBlock| {
        block.channels = rows;
        block.len = data.points;
        block.counter = Some(counter);
        block.arrival = now;
        for row in 0..rows {
            match &mut block.samples {
                Samples::I16(values) => values.extend(
                    (data.values.chunks_exact(2).skip(row).step_by(rows))
                        .map(|two| i16::from_le_bytes([two[0], two[1]])),
                ),
                Samples::F32(values) => values.extend(
                    (data.values.chunks_exact(4).skip(row).step_by(rows))
                        .map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])),
                ),
                _ => {}
            }
        }
    });
    for marker in &data.markers {
        sink.event(DeviceEvent::MarkAt {
            stream: STREAM,
            offset: i64::from(marker.position),
            // One point is how the protocol writes a marker without a length.
            samples: Some(u64::from(marker.points)).filter(|points| *points > 1),
            text: marker.text.clone(),
            origin: AnnotationOrigin::Device,
        });
    }
}

/// Reads until the recording's shape is known: its start, and the type of its first block.
fn shape(operation: &str, line: &mut Line, clock: &dyn Clock) -> Result<Shape, DeviceError> {
    let began = clock.host();
    let mut start: Option<Start> = None;
    loop {
        let channels = start.as_ref().map_or(0, |start| start.channels.len());
        let count = match front(line.held(), channels) {
            Front::Whole(Message::Start(told), count) => {
                start = Some(told);
                count
            }
            Front::Whole(Message::Data(data), _) => {
                if let Some(start) = start {
                    return checked(operation, start, data.float);
                }
                return Err(wrong(
                    operation,
                    "the server sends samples before it says of what",
                ));
            }
            Front::Whole(_, count) => count,
            // So are samples of a recording whose start has not come.
            Front::Garbage(count) => count,
            Front::Incomplete => {
                let left = FIRST_MESSAGE.saturating_sub(since(clock.host(), began));
                if left.is_zero() {
                    let message = match start {
                        None => {
                            "the server says nothing: start monitoring there, and see that this is its RDA port"
                        }
                        Some(_) => "the server sends no samples: start monitoring there",
                    };
                    return Err(wrong(operation, message));
                }
                line.fill(operation, left.min(Duration::from_millis(100)))?;
                0
            }
        };
        line.take(count);
    }
}

fn checked(operation: &str, start: Start, float: bool) -> Result<Shape, DeviceError> {
    let Some(rate) = rate(1e6 / start.interval_us) else {
        let message = format!(
            "an interval of {} µs is no sampling rate",
            start.interval_us
        );
        return Err(wrong(operation, message));
    };
    debug_assert!(start.channels.len() <= MOST_CHANNELS);
    Ok(Shape { start, float, rate })
}

fn description(address: &str, shape: &Shape) -> DeviceDescription {
    DeviceDescription {
        id: format!("rda:{address}"),
        model: "BrainVision RDA server".into(),
        serial: String::new(),
        firmware: String::new(),
        class: DeviceClass::Research,
        pacing: Pacing::RealTime,
        capabilities: Capabilities::default(),
        streams: vec![StreamDescription {
            name: "eeg".into(),
            role: StreamRole::Signal,
            sample_type: if shape.float {
                SampleType::F32
            } else {
                SampleType::I16
            },
            rate: shape.rate,
            counter: Some(CounterSpec::SAMPLE),
            clock: ClockSource::HostArrival,
            channels: (shape.start.channels.iter())
                .map(|(uv, label)| channel(label, *uv))
                .collect(),
        }],
    }
}

impl Device for Rda {
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
        let operation = format!("start rda:{}", self.address);
        let lost = |mut error: DeviceError| {
            error.kind = ErrorKind::Disconnected;
            error
        };
        let clock = Arc::clone(&self.clock);
        let mut line = Line::open(&operation, &self.address, clock).map_err(lost)?;
        let shape = shape(&operation, &mut line, self.clock.as_ref()).map_err(lost)?;
        if shape != self.shape {
            let message =
                "the server's channels or rate are others than before; open the device anew";
            return Err(wrong(&operation, message));
        }
        self.line = Some(line);
        self.fresh = true;
        Ok(())
    }

    fn read(&mut self, sink: &mut dyn Sink, timeout: Duration) -> Result<Read, DeviceError> {
        let began = self.clock.host();
        // What came with the server's first words.
        let mut now = began;
        loop {
            match self.give(sink, now) {
                Ok(true) => return Ok(Read::Progress),
                Ok(false) => {}
                Err(error) => {
                    self.line = None;
                    return Err(error);
                }
            }
            let left = timeout.saturating_sub(since(self.clock.host(), began));
            let Some(line) = self.line.as_mut() else {
                self.clock.sleep(left);
                return Ok(Read::Idle);
            };
            match line.fill("read rda", left) {
                Ok((0, _)) if since(self.clock.host(), began) >= timeout => return Ok(Read::Idle),
                Ok((_, at)) => now = at,
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
