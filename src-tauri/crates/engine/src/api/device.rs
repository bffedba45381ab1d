//! Devices.

use super::{wire, word};
use crate::rpc::Calls;
use crate::serve::Shared;
use ui_types::{
    ChannelView, DeviceList, DeviceListReply, DeviceProbe, DeviceProbeReply, DeviceView,
    ImpedanceView, StreamView,
};
use workstation::Probe;
use workstation::rooms::signal::{
    Channel, Impedance, ImpedanceGrade, ImpedanceLimits, Reference, StreamDescription,
};

pub(super) fn add(calls: Calls<Shared>) -> Calls<Shared> {
    calls
        .serve(|shared: Shared, _: DeviceList, _| async move {
            let found = shared.workstation.discover().await;
            let devices = found.devices.into_iter().map(|device| DeviceView {
                id: device.id,
                name: device.name,
                class: word(&device.class),
                transport: device.transport,
                note: device.note,
            });
            Ok(DeviceListReply {
                devices: devices.collect(),
                problems: found.problems,
            })
        })
        .serve(|shared: Shared, call: DeviceProbe, progress| async move {
            let mut measured = 0;
            let limits = ImpedanceLimits::default();
            let tell = move |impedance: &Impedance| {
                measured += 1;
                let view = impedance_view(impedance, limits.grade(impedance.impedance_kohm));
                progress.found(&impedance.electrode, measured, 0, &view);
            };
            let probe = shared.workstation.probe(call.id, call.settings, tell).await;
            probe.map_err(wire).map(view)
        })
}

/// An electrode as it is shown.
pub(super) fn impedance_view(impedance: &Impedance, grade: ImpedanceGrade) -> ImpedanceView {
    ImpedanceView {
        electrode: impedance.electrode.clone(),
        impedance_kohm: impedance.impedance_kohm,
        grade: word(&grade),
    }
}

fn view(probe: Probe) -> DeviceProbeReply {
    let device = probe.description;
    let limits = ImpedanceLimits::default();
    DeviceProbeReply {
        model: device.model,
        serial: device.serial,
        firmware: device.firmware,
        class: word(&device.class),
        streams: device.streams.iter().map(stream_view).collect(),
        impedances: probe
            .impedances
            .iter()
            .map(|impedance| impedance_view(impedance, limits.grade(impedance.impedance_kohm)))
            .collect(),
    }
}

fn stream_view(stream: &StreamDescription) -> StreamView {
    StreamView {
        name: stream.name.clone(),
        rate_hz: stream.rate.as_hz(),
        sample_type: word(&stream.sample_type),
        channels: stream.channels.iter().map(channel_view).collect(),
    }
}

fn channel_view(channel: &Channel) -> ChannelView {
    ChannelView {
        label: channel.label.clone(),
        kind: word(&channel.kind),
        unit: channel.unit.symbol().to_owned(),
        gain: channel.scale.gain,
        reference: match &channel.reference {
            Reference::Unknown => "unknown".to_owned(),
            Reference::Named(name) | Reference::Bipolar(name) => name.clone(),
            Reference::Average => "average".to_owned(),
        },
    }
}
