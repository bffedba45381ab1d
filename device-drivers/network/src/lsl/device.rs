//! A stream of the lab streaming layer as a device.

use super::pump::{Chunk, Pump, Told, Values, look};
use super::stream::Known;
use crate::line::since;
use crate::safety::ReadOnly;
use contract::{
    Capabilities, Clock, Device, DeviceClass, DeviceDescription, DeviceError, DeviceEvent,
    ErrorKind, Pacing, Read, Safety, Sink,
};
use signal::{
    AnnotationOrigin, Channel, ChannelKind, ClockSource, GapCause, HostNanos, Missing, SampleBlock,
    SampleType, Samples, SamplingRate, Scale, StreamDescription, StreamIndex, StreamRole, Unit,
};
use std::sync::Arc;
use std::time::Duration;

const STREAM: StreamIndex = StreamIndex(0);
/// Times of the markers, where there are any.
const MARKER_TIMES: StreamIndex = StreamIndex(1);

/// The driver's device.
#[derive(Debug)]
pub(crate) struct Lsl {
    address: String,
    known: Known,
    /// Marker streams beside it, by address.
    markers: Vec<(String, Known)>,
    description: DeviceDescription,
    clock: Arc<dyn Clock>,
    pump: Option<Pump>,
    marker_pumps: Vec<Pump>,
    /// Time of the first sample of the last block, on this host's clock.
    last: Option<HostNanos>,
    arrival: HostNanos,
}

impl Lsl {
    pub(crate) fn open(
        address: &str,
        markers: &[String],
        clock: Arc<dyn Clock>,
    ) -> Result<Self, DeviceError> {
        let operation = format!("open lsl:{address}");
        let known = look(&operation, address)?;
        let mut beside = Vec::new();
        for marker in markers {
            let found = look(&operation, marker)?;
            if found.description.sample_type != signal::SampleType::Text {
                let message = format!("'{marker}' is no stream of texts and cannot give markers");
                return Err(DeviceError::new(ErrorKind::Settings, operation, message));
            }
            beside.push((marker.clone(), found));
        }
        let mut streams = vec![known.description.clone()];
        if !beside.is_empty() {
            streams.push(marker_times());
        }
        Ok(Self {
            address: address.to_owned(),
            description: DeviceDescription {
                id: format!("lsl:{address}"),
                model: known.model.clone(),
                serial: String::new(),
                firmware: String::new(),
                class: DeviceClass::Research,
                pacing: Pacing::RealTime,
                capabilities: Capabilities::default(),
                streams,
            },
            known,
            markers: beside,
            clock,
            pump: None,
            marker_pumps: Vec::new(),
            last: None,
            arrival: HostNanos(0),
        })
    }

    fn block(&mut self, chunk: &Chunk, sink: &mut dyn Sink) {
        let rows = self.known.description.channels.len();
        let len = chunk.stamps.len();
        let (Some(first), Some(last)) = (chunk.stamps.first(), chunk.stamps.last()) else {
            return;
        };
        let irregular = self.known.description.rate == SamplingRate::Irregular;
        // The source's own time of the last sample stands for its arrival: what the network adds is taken out,
        // what the source's stamps scatter is left to the clock fit. It never goes back.
        let arrival = if irregular { chunk.read } else { *last };
        self.arrival = self.arrival.max(arrival);
        self.last = Some(*first);
        sink.block(STREAM, &mut |block: &mut SampleBlock| {
            block.channels = rows;
            block.len = len;
            block.arrival = self.arrival;
            if irregular {
                block
                    .stamps
                    .extend(chunk.stamps.iter().map(|stamp| stamp.0));
            }
            for row in 0..rows {
                match (&mut block.samples, &chunk.values) {
                    (Samples::F32(out), Values::F32(all)) => {
                        out.extend(all.iter().skip(row).step_by(rows));
                    }
                    (Samples::F64(out), Values::F64(all)) => {
                        out.extend(all.iter().skip(row).step_by(rows));
                    }
                    (Samples::I32(out), Values::I32(all)) => {
                        out.extend(all.iter().skip(row).step_by(rows));
                    }
                    (Samples::I16(out), Values::I16(all)) => {
                        out.extend(all.iter().skip(row).step_by(rows));
                    }
                    (Samples::Text(out), Values::Text(all)) => {
                        out.extend(all.iter().skip(row).step_by(rows).cloned());
                    }
                    _ => {}
                }
            }
        });
    }

    /// Marks of the streams beside it, at their nearest sample.
    fn give_markers(&mut self, sink: &mut dyn Sink) -> bool {
        let (Some(last), Some(hz)) = (self.last, self.known.description.rate.as_hz()) else {
            return false;
        };
        let mut given = false;
        self.marker_pumps.retain(|pump| {
            loop {
                match pump.next(Duration::ZERO) {
                    Some(Told::Chunk(chunk)) => given |= give_marks(&chunk, last, hz, sink),
                    Some(Told::Over(error)) => {
                        sink.event(DeviceEvent::Warning(format!(
                            "a marker stream has ended and gives no more marks: {}",
                            error.message
                        )));
                        given = true;
                        return false;
                    }
                    Some(Told::Open) => {}
                    None => return true,
                }
            }
        });
        given
    }
}

/// What a marker's place among the samples was found from, one sample a marker: the time that its source gave it, and
/// the offset of the source's clock then. Their sum is liblsl's time here; the sample's own stamp is that on this
/// host's clock.
fn marker_times() -> StreamDescription {
    let channel = |label: &str| Channel {
        kind: ChannelKind::Other,
        unit: Unit::Other("s".to_owned()),
        scale: Scale::UNITY,
        ..Channel::trigger(label)
    };
    StreamDescription {
        name: "marker times".into(),
        role: StreamRole::Marker,
        sample_type: SampleType::F64,
        rate: SamplingRate::Irregular,
        counter: None,
        clock: ClockSource::HostArrival,
        channels: vec![channel("source time"), channel("clock offset")],
    }
}

/// Marks of a chunk of texts, at the sample nearest to each stamp; `last` is the time of the first sample of the
/// last block.
fn give_marks(chunk: &Chunk, last: HostNanos, hz: f64, sink: &mut dyn Sink) -> bool {
    let Values::Text(texts) = &chunk.values else {
        return false;
    };
    let rows = texts.len() / chunk.stamps.len().max(1);
    for (stamp, texts) in chunk.stamps.iter().zip(texts.chunks(rows.max(1))) {
        let text: String = (texts.join(" ").chars())
            .filter(|c| !c.is_control())
            .take(crate::limits::MARKER_CHARS)
            .collect();
        #[allow(clippy::cast_possible_truncation)] // far below 2⁶³ samples apart
        let offset = (stamp.seconds_since(last) * hz).round() as i64;
        sink.event(DeviceEvent::MarkAt {
            stream: STREAM,
            offset,
            samples: None,
            text,
            origin: AnnotationOrigin::Device,
        });
    }
    sink.block(MARKER_TIMES, &mut |block: &mut SampleBlock| {
        (block.channels, block.len) = (2, chunk.stamps.len());
        block.arrival = chunk.read;
        block
            .stamps
            .extend(chunk.stamps.iter().map(|stamp| stamp.0));
        if let Samples::F64(values) = &mut block.samples {
            values.extend_from_slice(&chunk.source_s);
            values.extend(chunk.source_s.iter().map(|_| chunk.correction_s));
        }
    });
    !chunk.stamps.is_empty()
}

impl Device for Lsl {
    fn description(&self) -> &DeviceDescription {
        &self.description
    }

    fn safety(&self) -> Arc<dyn Safety> {
        Arc::new(ReadOnly)
    }

    fn start(&mut self) -> Result<(), DeviceError> {
        if self.pump.is_some() {
            return Ok(());
        }
        let operation = format!("start lsl:{}", self.address);
        let begin = |address: &str, known: &Known| {
            Pump::start(&operation, address, known.clone(), Arc::clone(&self.clock))
        };
        let pump = begin(&self.address, &self.known)?;
        let markers: Result<Vec<Pump>, DeviceError> = (self.markers.iter())
            .map(|(address, known)| begin(address, known))
            .collect();
        self.marker_pumps = markers?;
        self.pump = Some(pump);
        Ok(())
    }

    fn read(&mut self, sink: &mut dyn Sink, timeout: Duration) -> Result<Read, DeviceError> {
        let began = self.clock.host();
        loop {
            let left = timeout.saturating_sub(since(self.clock.host(), began));
            let Some(pump) = &self.pump else {
                self.clock.sleep(left);
                return Ok(Read::Idle);
            };
            match pump.next(left) {
                Some(Told::Chunk(chunk)) => {
                    if chunk.lost_before > 0 {
                        sink.event(DeviceEvent::Discontinuity {
                            stream: STREAM,
                            cause: GapCause::Transport,
                            missing: Missing::Exact(chunk.lost_before),
                        });
                    }
                    self.block(&chunk, sink);
                    self.give_markers(sink);
                    return Ok(Read::Progress);
                }
                Some(Told::Over(error)) => {
                    self.pump = None;
                    self.marker_pumps.clear();
                    return Err(error);
                }
                Some(Told::Open) => {}
                None => {
                    let given = self.give_markers(sink);
                    return Ok(if given { Read::Progress } else { Read::Idle });
                }
            }
        }
    }

    fn stop(&mut self) -> Result<(), DeviceError> {
        self.pump = None;
        self.marker_pumps.clear();
        Ok(())
    }
}
