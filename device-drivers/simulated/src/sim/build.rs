//! From settings and script to a device.

use super::config::Config;
use super::device::SimulatedDevice;
use super::drift::{Drift, Lateness};
use super::impedance::Impedances;
use super::model::Source;
use super::nanos;
use super::potentials::Potentials;
use super::script::Script;
use super::slow::Triggers;
use super::stream::{Generator, Stream};
use crate::limits::{CALIBRATION_PERIOD_S, CALIBRATION_UV, MAX_PACKET_VALUES};
use crate::settings::Speed;
use contract::{
    CalibrationSignal, Capabilities, Clock, DeviceClass, DeviceDescription, DeviceError, ErrorKind,
};
use signal::StreamDescription;
use std::sync::Arc;

pub(crate) fn device(
    address: &str,
    config: &Config,
    clock: Arc<dyn Clock>,
) -> Result<SimulatedDevice, DeviceError> {
    let refuse = |message: String| {
        DeviceError::new(
            ErrorKind::Settings,
            format!("open simulated:{address}"),
            message,
        )
    };
    let streams = config.model.streams(config);
    known_streams(&config.script, &streams).map_err(refuse)?;
    let electrodes = streams
        .first()
        .map_or(&[][..], |(stream, _)| &stream.channels[..]);
    let packet = config.packet.unwrap_or(1) as usize;
    if packet.saturating_mul(electrodes.len()) > MAX_PACKET_VALUES {
        let message =
            format!("setting packet: a packet may hold at most {MAX_PACKET_VALUES} values");
        return Err(refuse(message));
    }
    let impedances =
        Impedances::new(config.seed, electrodes, &config.script.impedance).map_err(refuse)?;
    let mut states = Vec::with_capacity(streams.len());
    for (index, (description, source)) in (0_u16..).zip(&streams) {
        let generator = generator(config, description, *source, &impedances).map_err(refuse)?;
        let mut state = Stream::new(index, description, generator, config.seed);
        state.set_packet(config.packet, config.speed == Speed::Max);
        state.lose(losses(&config.script, description));
        if let Some(duration_s) = config.duration_s {
            state.end_at(nanos(duration_s));
        }
        states.push(state);
    }
    let description = DeviceDescription {
        id: format!("simulated:{address}"),
        model: config.model.name(),
        serial: format!("SIM-{}", config.seed),
        firmware: env!("CARGO_PKG_VERSION").into(),
        class: DeviceClass::Simulated,
        pacing: config.speed.pacing(),
        capabilities: Capabilities {
            impedance: true,
            calibration: Some(CalibrationSignal {
                amplitude_uv: CALIBRATION_UV,
                period_s: CALIBRATION_PERIOD_S,
            }),
            // The impedance check's test current.
            acts_on_patient: true,
        },
        streams: streams.into_iter().map(|(stream, _)| stream).collect(),
    };
    let drift = Drift::new(config.drift_ppm, &config.script.drift);
    let lateness = Lateness::new(config.seed, config.jitter_ms, config.script.jitter.clone());
    let device = SimulatedDevice::new(description, config, states, impedances, clock);
    Ok(device.with_times(drift, lateness))
}

fn generator(
    config: &Config,
    description: &StreamDescription,
    source: Source,
    impedances: &Impedances,
) -> Result<Generator, String> {
    let script = &config.script;
    Ok(match source {
        Source::Potentials => {
            let stale = stale(script, description)?;
            let potentials = Potentials::new(config, description, impedances.clone(), stale)?;
            Generator::Potentials(Box::new(potentials))
        }
        Source::Marks => {
            let here = |stream: &Option<String>| {
                stream.as_ref().is_none_or(|name| *name == description.name)
            };
            let disconnects = script.disconnect.iter().map(|e| (e.at_s, e.duration_s));
            let silences = (script.silence.iter())
                .filter(|e| here(&e.stream))
                .map(|e| (e.at_s, e.duration_s));
            let lost: Vec<(f64, f64)> = disconnects.chain(silences).collect();
            let gone = |at: f64| {
                (lost.iter()).any(|(from, duration)| (*from..from + duration).contains(&at))
            };
            let marks = script.mark.iter().filter(|mark| !gone(mark.at_s));
            Generator::Marks(
                marks
                    .map(|mark| (nanos(mark.at_s), mark.text.clone()))
                    .collect(),
            )
        }
        source => Generator::Slow {
            source,
            triggers: Triggers::new(&script.trigger, description.rate),
        },
    })
}

/// The samples of a stream that never arrive.
fn losses(script: &Script, stream: &StreamDescription) -> Vec<(u64, u64)> {
    let index = |s: f64| stream.rate.index_at(nanos(s));
    let here = |name: &Option<String>| name.as_ref().is_none_or(|name| *name == stream.name);
    let range = |at_s: f64, duration_s: f64| (index(at_s), index(at_s + duration_s));
    let dropouts = (script.dropout.iter())
        .filter(|e| here(&e.stream))
        .map(|e| match (e.samples, e.duration_s) {
            (Some(samples), _) => (index(e.at_s), index(e.at_s).saturating_add(samples)),
            (None, duration_s) => range(e.at_s, duration_s.unwrap_or(0.0)),
        });
    let silences = (script.silence.iter())
        .filter(|e| here(&e.stream))
        .map(|e| range(e.at_s, e.duration_s));
    let disconnects = script
        .disconnect
        .iter()
        .map(|e| range(e.at_s, e.duration_s));
    match stream.rate.as_hz() {
        // Marks are left out when the list is made.
        None => Vec::new(),
        Some(_) => dropouts.chain(silences).chain(disconnects).collect(),
    }
}

fn stale(script: &Script, stream: &StreamDescription) -> Result<Vec<(u64, u64, usize)>, String> {
    let index = |s: f64| stream.rate.index_at(nanos(s));
    (script.stale.iter())
        .map(|e| {
            let channel = (stream.channels.iter()).position(|channel| channel.label == e.channel);
            let channel = channel
                .ok_or_else(|| format!("script: stale: no channel '{}' in eeg", e.channel))?;
            Ok((index(e.at_s), index(e.at_s + e.duration_s), channel))
        })
        .collect()
}

fn known_streams(script: &Script, streams: &[(StreamDescription, Source)]) -> Result<(), String> {
    let named = (script.dropout.iter().map(|e| (&e.stream, "dropout")))
        .chain(script.silence.iter().map(|e| (&e.stream, "silence")));
    for (name, kind) in named {
        if let Some(name) = name
            && !streams.iter().any(|(stream, _)| stream.name == *name)
        {
            return Err(format!("script: {kind}: no stream '{name}' here"));
        }
    }
    Ok(())
}
