//! Preparing a device: impedances and calibration, noted and never in the way.

use crate::engine_room::Room;
use crate::error::{Error, Result};
use crate::limits::COLLECT_BEAT;
use crate::records::{Checks, SessionRecord};
use acquisition::{
    CalibrationLimits, CalibrationVerdict, Cancel, check_impedances, run_calibration,
};
use clinic::Protocol;
use contract::Device;
use events::payloads::WaivedRequirement;
use signal::ImpedanceGrade;
use workflow::ActivityContext;

/// What preparing found.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    pub(crate) notes: Vec<String>,
    pub(crate) waived: Vec<(WaivedRequirement, String)>,
}

/// Opens the device, measures what the protocol asks for, keeps the results with the session.
pub(crate) async fn prepare(
    room: &Room,
    ctx: &ActivityContext,
    session: &SessionRecord,
) -> Result<Prepared> {
    let protocol = room.protocol(&session.protocol)?;
    let (drivers, id, settings) = (
        room.drivers.clone(),
        session.device.clone(),
        session.settings.clone(),
    );
    let opened = tokio::task::spawn_blocking(move || drivers.open(&id, &settings));
    let device = opened
        .await
        .map_err(|error| Error::internal("open the device", &error))??;
    room.safety
        .enter(session.id, &session.device, device.safety());
    let cancel = Cancel::default();
    let broken_off = cancel.clone();
    let clock = room.clock.clone();
    let mut work = tokio::task::spawn_blocking(move || {
        examine(device, &protocol, &broken_off, clock.as_ref())
    });
    let (prepared, checks) = loop {
        tokio::select! {
            done = &mut work => break done.map_err(|e| Error::internal("check the device", &e))??,
            () = tokio::time::sleep(COLLECT_BEAT) => {
                ctx.heartbeat(&());
                if ctx.is_cancelled() {
                    cancel.cancel();
                }
            }
        }
    };
    room.safety.leave(session.id);
    room.records()?.keep_checks(session.id, &checks).await?;
    Ok(prepared)
}

fn examine(
    mut device: Box<dyn Device>,
    protocol: &Protocol,
    cancel: &Cancel,
    clock: &dyn contract::Clock,
) -> Result<(Prepared, Checks)> {
    let mut prepared = Prepared::default();
    let mut checks = Checks::default();
    let can = device.description().capabilities.clone();
    if protocol.impedance_at_start && can.impedance {
        let limits = protocol.impedance_limits();
        let report = check_impedances(device.as_mut(), limits, cancel, &mut |_| ())?;
        let high: Vec<_> = report
            .electrodes
            .iter()
            .filter(|e| matches!(e.grade, ImpedanceGrade::Bad | ImpedanceGrade::Unknown))
            .map(|e| e.impedance.electrode.clone())
            .collect();
        if !high.is_empty() {
            prepared.notes.push(format!(
                "Impedance too high or unknown: {}.",
                high.join(", ")
            ));
            prepared
                .waived
                .push((WaivedRequirement::Impedance, "above_limit".to_owned()));
        }
        checks.impedances = report.electrodes.into_iter().map(|e| e.impedance).collect();
    } else if protocol.impedance_at_start {
        prepared
            .notes
            .push("The device cannot measure impedances.".to_owned());
        prepared
            .waived
            .push((WaivedRequirement::Impedance, "device_cannot".to_owned()));
    }
    if protocol.calibration && can.calibration.is_some() && !cancel.is_cancelled() {
        let report = run_calibration(
            device.as_mut(),
            CalibrationLimits::default(),
            clock,
            cancel,
            &mut |_| (),
        )?;
        let failed: Vec<_> = report
            .channels
            .iter()
            .filter(|c| c.verdict != CalibrationVerdict::Passed)
            .map(|c| c.label.clone())
            .collect();
        if !failed.is_empty() {
            prepared
                .notes
                .push(format!("Calibration failed: {}.", failed.join(", ")));
            prepared
                .waived
                .push((WaivedRequirement::Calibration, "failed".to_owned()));
        }
        checks.calibration = report
            .channels
            .iter()
            .map(|c| crate::records::CalibratedChannel {
                label: c.label.clone(),
                amplitude_uv: c.amplitude_uv,
                noise_uv: c.noise_uv,
                passed: c.verdict == CalibrationVerdict::Passed,
            })
            .collect();
    } else if protocol.calibration && can.calibration.is_none() {
        prepared
            .notes
            .push("The device has no calibration signal: display check only.".to_owned());
        prepared
            .waived
            .push((WaivedRequirement::Calibration, "device_cannot".to_owned()));
    }
    if let Err(error) = device.stop() {
        tracing::warn!(%error, "stop the device after its checks");
    }
    Ok((prepared, checks))
}
