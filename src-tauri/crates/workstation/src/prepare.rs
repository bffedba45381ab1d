//! The checks before a recording and after it: impedances and calibration, noted and never in
//! the way.

use crate::engine_room::Room;
use crate::error::{Error, Result};
use crate::limits::COLLECT_BEAT;
use crate::records::{CheckWhen, Checks, LaterCheck, SessionRecord};
use acquisition::{
    CalibrationLimits, CalibrationVerdict, Cancel, GradedImpedance, check_impedances,
    run_calibration,
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
    let (clock, live, of) = (room.clock.clone(), room.live.clone(), session.id);
    let examined = while_beating(ctx, &cancel, move || {
        let mut tell = |found: &GradedImpedance| live.note_impedance(of, &found.impedance);
        examine(device, &protocol, &broken_off, clock.as_ref(), &mut tell)
    })
    .await;
    // The device is let go whatever came of it: nothing that acts on the patient is left.
    room.safety.leave(session.id);
    let (prepared, checks) = examined?;
    room.records()?.keep_checks(session.id, &checks).await?;
    Ok(prepared)
}

/// Runs a check on a thread that may block; breaks it off when its activity is cancelled.
async fn while_beating<T: Send + 'static>(
    ctx: &ActivityContext,
    cancel: &Cancel,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let mut work = tokio::task::spawn_blocking(work);
    loop {
        tokio::select! {
            done = &mut work => return done.map_err(|e| Error::internal("check the device", &e))?,
            () = tokio::time::sleep(COLLECT_BEAT) => {
                ctx.heartbeat(&());
                if ctx.is_cancelled() {
                    cancel.cancel();
                }
            }
        }
    }
}

/// What the protocol asks for once the recording has ended: impedances again. Whatever does not
/// work is a note, and the session goes on.
pub(crate) async fn conclude(
    room: &Room,
    ctx: &ActivityContext,
    session: &SessionRecord,
) -> Result<Vec<String>> {
    let protocol = room.protocol(&session.protocol)?;
    if !protocol.impedance_at_end || session.without_store {
        return Ok(Vec::new());
    }
    let not_measured = |error: &Error| {
        tracing::warn!(session = %session.id, %error, "no impedances at the end");
        Ok(vec![format!(
            "Impedances were not measured at the end: {error}."
        )])
    };
    let (drivers, id, settings) = (
        room.drivers.clone(),
        session.device.clone(),
        session.settings.clone(),
    );
    let opened = tokio::task::spawn_blocking(move || drivers.open(&id, &settings))
        .await
        .map_err(|error| Error::internal("open the device", &error))?;
    let mut device = match opened {
        Ok(device) => device,
        Err(error) => return not_measured(&error),
    };
    if !device.description().capabilities.impedance {
        // Said before the recording already.
        return Ok(Vec::new());
    }
    room.safety
        .enter(session.id, &session.device, device.safety());
    let cancel = Cancel::default();
    let (broken_off, limits) = (cancel.clone(), protocol.impedance_limits());
    let (live, of) = (room.live.clone(), session.id);
    let measured = while_beating(ctx, &cancel, move || {
        let mut tell = |found: &GradedImpedance| live.note_impedance(of, &found.impedance);
        Ok(check_impedances(
            device.as_mut(),
            limits,
            &broken_off,
            &mut tell,
        )?)
    })
    .await;
    room.safety.leave(session.id);
    let report = match measured {
        Ok(report) => report,
        Err(error) => return not_measured(&error),
    };
    let notes = high_note(&report.electrodes).into_iter().collect();
    let check = LaterCheck {
        when: CheckWhen::End,
        impedances: report.electrodes.into_iter().map(|e| e.impedance).collect(),
    };
    room.records()?.add_check(session.id, check).await?;
    Ok(notes)
}

/// Says which electrodes are bad or unknown; `None` when none is.
fn high_note(electrodes: &[GradedImpedance]) -> Option<String> {
    let high: Vec<_> = electrodes
        .iter()
        .filter(|e| matches!(e.grade, ImpedanceGrade::Bad | ImpedanceGrade::Unknown))
        .map(|e| e.impedance.electrode.as_str())
        .collect();
    (!high.is_empty()).then(|| format!("Impedance too high or unknown: {}.", high.join(", ")))
}

fn examine(
    mut device: Box<dyn Device>,
    protocol: &Protocol,
    cancel: &Cancel,
    clock: &dyn contract::Clock,
    tell: &mut dyn FnMut(&GradedImpedance),
) -> Result<(Prepared, Checks)> {
    let mut prepared = Prepared::default();
    let mut checks = Checks::default();
    let can = device.description().capabilities.clone();
    if protocol.impedance_at_start && can.impedance {
        let limits = protocol.impedance_limits();
        let report = check_impedances(device.as_mut(), limits, cancel, tell)?;
        if let Some(note) = high_note(&report.electrodes) {
            prepared.notes.push(note);
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
        checks.display_check_only = true;
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
