//! The parts of the suite without streaming.

use super::{Bench, DISCOVERY, Findings};
use crate::{DeviceDescription, ErrorKind};
use signal::{Reference, SamplingRate};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

pub(super) fn discovery(bench: &Bench<'_>, findings: &mut Findings) {
    let (found, took) = bench.elapsed(|| bench.driver.discover());
    findings.expect(took <= DISCOVERY, || format!("discover: took {took:?}"));
    let found = match found {
        Ok(found) => found,
        Err(error) => return findings.0.push(format!("discover: {error}")),
    };
    let name = bench.driver.name();
    for summary in &found {
        let id = &summary.id;
        let address = id
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix(':'));
        findings.expect(address.is_some_and(|address| !address.is_empty()), || {
            format!("discover: id '{id}' is not '{name}:address'")
        });
        findings.expect(!summary.name.is_empty(), || {
            format!("discover: '{id}' has no name")
        });
    }
    let id = format!("{name}:{}", bench.expected.address);
    let listed = found.iter().any(|summary| summary.id == id);
    findings.expect(listed || !bench.expected.discoverable, || {
        format!("discover: does not list '{id}'")
    });
}

pub(super) fn refusals(bench: &Bench<'_>, findings: &mut Findings) {
    let expected = bench.expected;
    let opened = bench.driver.open(
        &expected.unknown_address,
        &expected.settings,
        Arc::clone(&bench.clock),
    );
    findings.expect_kind("open at an unknown address", opened, ErrorKind::NotFound);
    let mut settings = expected.settings.clone();
    settings.insert("no_such_setting".into(), "1".into());
    let opened = bench
        .driver
        .open(&expected.address, &settings, Arc::clone(&bench.clock));
    findings.expect_kind("open with an unknown setting", opened, ErrorKind::Settings);
}

pub(super) fn description(bench: &Bench<'_>, findings: &mut Findings) {
    let Some(device) = bench.open(findings) else {
        return;
    };
    let description = device.description();
    let id = format!("{}:{}", bench.driver.name(), bench.expected.address);
    findings.expect(description.id == id, || {
        format!("description: id is not '{id}'")
    });
    findings.expect(!description.model.is_empty(), || {
        "description: no model".into()
    });
    findings.expect(!description.streams.is_empty(), || {
        "description: no streams".into()
    });
    let names: BTreeSet<&str> = description
        .streams
        .iter()
        .map(|s| s.name.as_str())
        .collect();
    findings.expect(names.len() == description.streams.len(), || {
        "description: two streams have one name".into()
    });
    for stream in &description.streams {
        let name = &stream.name;
        let channels = stream.channels.len();
        findings.expect((1..=signal::MAX_CHANNELS).contains(&channels), || {
            format!("description: stream '{name}' has {channels} channels")
        });
        if let SamplingRate::Regular { samples, seconds } = stream.rate {
            findings.expect(
                SamplingRate::new(samples, seconds) == Some(stream.rate),
                || format!("description: the rate of '{name}' is not in lowest terms"),
            );
        }
        for channel in &stream.channels {
            let scale = channel.scale;
            let sound = scale.gain.is_finite() && scale.gain != 0.0 && scale.offset.is_finite();
            findings.expect(sound, || {
                format!(
                    "description: channel '{}' of '{name}' has no usable scale",
                    channel.label
                )
            });
        }
    }
}

/// Every electrode, reference and ground that the description names.
fn electrodes(description: &DeviceDescription) -> BTreeSet<String> {
    let channels = description
        .streams
        .iter()
        .flat_map(|stream| &stream.channels);
    let potentials = channels.filter(|channel| channel.kind.is_potential());
    let mut names = BTreeSet::new();
    for channel in potentials {
        names.extend(channel.electrode.clone());
        for reference in [&channel.reference, &channel.ground] {
            if let Reference::Named(name) | Reference::Bipolar(name) = reference {
                names.insert(name.clone());
            }
        }
    }
    names
}

pub(super) fn impedances(bench: &Bench<'_>, findings: &mut Findings) {
    let Some(mut device) = bench.open(findings) else {
        return;
    };
    if !device.description().capabilities.impedance {
        let measured = device.measure_impedances(&mut |_| ControlFlow::Continue(()));
        return findings.expect_kind(
            "impedances without the means",
            measured,
            ErrorKind::Unsupported,
        );
    }
    let mut told = Vec::new();
    let measured = device.measure_impedances(&mut |impedance| {
        told.push(impedance.clone());
        ControlFlow::Continue(())
    });
    let measured = match measured {
        Ok(measured) => measured,
        Err(error) => return findings.0.push(format!("impedances: {error}")),
    };
    findings.expect(measured == told, || {
        "impedances: told and returned differ".into()
    });
    let names: BTreeSet<String> = measured.iter().map(|i| i.electrode.clone()).collect();
    for electrode in electrodes(device.description()) {
        findings.expect(names.contains(&electrode), || {
            format!("impedances: '{electrode}' is not among them")
        });
    }
    let mut count = 0;
    let broken_off = device.measure_impedances(&mut |_| {
        count += 1;
        ControlFlow::Break(())
    });
    findings.expect(broken_off.is_ok() && count == 1, || {
        "impedances: breaking off does not end the measurement".into()
    });
    if device.start().is_ok() {
        let measured = device.measure_impedances(&mut |_| ControlFlow::Continue(()));
        findings.expect(measured.is_err(), || {
            "impedances: measured while streaming".into()
        });
    }
}

pub(super) fn calibration(bench: &Bench<'_>, findings: &mut Findings) {
    let Some(mut device) = bench.open(findings) else {
        return;
    };
    let Some(signal) = device.description().capabilities.calibration else {
        let switched = device.calibration(true);
        return findings.expect_kind(
            "calibration without the means",
            switched,
            ErrorKind::Unsupported,
        );
    };
    findings.expect(signal.amplitude_uv > 0.0 && signal.period_s > 0.0, || {
        "calibration: the signal has no amplitude or period".into()
    });
    for on in [true, true, false, false] {
        if let Err(error) = device.calibration(on) {
            findings.0.push(format!("calibration({on}): {error}"));
        }
    }
}
