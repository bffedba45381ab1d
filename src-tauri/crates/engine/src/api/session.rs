//! Sessions.

use super::recording::gap_view;
use super::{id, wire, word};
use crate::rpc::Calls;
use crate::serve::Shared;
use ui_types::{
    ActivationView, AlertView, AnnotationKeyView, ApiError, ChannelQuality, EmergencyStop,
    EmergencyStopReply, ErrorCode, ExportFormat, Nothing, PatientChoice, ProtocolList,
    ProtocolListReply, ProtocolView, QuestionView, SessionAnnotate, SessionAnnotateReply,
    SessionList, SessionListReply, SessionReassign, SessionResume, SessionShow, SessionStart,
    SessionStartReply, SessionState, SessionStop, SessionView, StepState, StepView, StreamProgress,
};
use workstation::rooms::clinic;
use workstation::rooms::events::payloads::StopSource;
use workstation::rooms::signal::UtcNanos;
use workstation::{ExportKind, Grade, NewSession, SessionStatus, rfc3339};

pub(super) fn add(calls: Calls<Shared>) -> Calls<Shared> {
    calls
        .serve(|shared: Shared, call: SessionStart, _| async move {
            let new = new_session(call)?;
            let id = shared.workstation.start_session(new).await.map_err(wire)?;
            Ok(SessionStartReply {
                id: id.to_string(),
                notice: shared.workstation.notice(id),
            })
        })
        .serve(|shared: Shared, call: SessionStop, _| async move {
            let stopped = shared
                .workstation
                .stop_session(id("session", &call.id)?)
                .await;
            stopped.map_err(wire).map(|()| Nothing {})
        })
        .serve(|shared: Shared, call: SessionResume, _| async move {
            let resumed = shared
                .workstation
                .resume_session(id("session", &call.id)?)
                .await;
            resumed.map_err(wire).map(|()| Nothing {})
        })
        .serve(|shared: Shared, call: SessionReassign, _| async move {
            let (session, patient) = (id("session", &call.id)?, id("patient", &call.patient)?);
            let given = shared
                .workstation
                .reassign(session, patient, &call.reason)
                .await;
            given.map_err(wire).map(|()| Nothing {})
        })
        .serve(|shared: Shared, call: SessionAnnotate, _| async move {
            let session = id("session", &call.id)?;
            let onset = call.onset_utc_ns.map(UtcNanos);
            let annotation = shared
                .workstation
                .annotate(session, &call.text, call.code, onset);
            Ok(SessionAnnotateReply {
                annotation: annotation.map_err(wire)?.0,
            })
        })
        .serve(|shared: Shared, call: EmergencyStop, _| async move {
            let only = call
                .id
                .as_deref()
                .map(|text| id("session", text))
                .transpose()?;
            // A window sends its person's token, or the empty one while nobody is signed in.
            let source = match shared.token {
                Some(_) => StopSource::Window,
                None => StopSource::CommandLine,
            };
            let report = shared.workstation.emergency_stop(only, source);
            Ok(EmergencyStopReply {
                devices: u32::try_from(report.sessions.len()).unwrap_or(u32::MAX),
                failed: report.failed,
                took_ms: report.took_us as f64 / 1e3,
            })
        })
        .serve(|shared: Shared, _: ProtocolList, _| async move {
            let protocols = shared.workstation.protocols().await;
            Ok(ProtocolListReply {
                protocols: protocols.into_iter().map(protocol_view).collect(),
            })
        })
        .serve(|shared: Shared, _: SessionList, _| async move {
            let sessions = shared.workstation.sessions().await.map_err(wire)?;
            Ok(SessionListReply {
                sessions: sessions.into_iter().map(view).collect(),
            })
        })
        .serve(|shared: Shared, call: SessionShow, _| async move {
            let session = shared.workstation.session(id("session", &call.id)?).await;
            session.map_err(wire).map(view)
        })
}

fn new_session(call: SessionStart) -> Result<NewSession, ApiError> {
    let invalid = |text: &str| ApiError::new(ErrorCode::Invalid, text, "");
    let duration_ms = match call.duration_s {
        None => None,
        // A thousandth of a second to ten years.
        Some(s) if s.is_finite() && (1e-3..=3.2e8).contains(&s) => Some((s * 1e3).round() as u64),
        Some(_) => return Err(invalid("the duration is not a sensible number of seconds")),
    };
    Ok(NewSession {
        patient: match call.patient {
            PatientChoice::Id(text) => {
                workstation::PatientChoice::Registered(id("patient", &text)?)
            }
            PatientChoice::Training => workstation::PatientChoice::Training,
            PatientChoice::Temporary => workstation::PatientChoice::Temporary,
        },
        device: call.device,
        settings: call.settings,
        protocol: call.protocol,
        duration_ms,
        unlimited: call.unlimited,
        start_now: call.start_now,
        export: call.export.map(export_kind),
        order: call
            .order
            .as_deref()
            .map(|text| id("order", text))
            .transpose()?,
    })
}

pub(super) const fn export_kind(format: ExportFormat) -> ExportKind {
    match format {
        ExportFormat::Edf => ExportKind::Continuous,
        ExportFormat::EdfDiscontinuous => ExportKind::Discontinuous,
    }
}

fn protocol_view(protocol: clinic::Protocol) -> ProtocolView {
    let question = |question: clinic::Question| QuestionView {
        name: question.name,
        title: question.title,
        answers: question.answers,
    };
    let activation = |activation: clinic::Activation| ActivationView {
        id: activation.id,
        title: activation.title,
        begin_code: activation.begin_code,
        end_code: activation.end_code,
        duration_s: activation.duration_s,
        after_s: activation.after_s,
        check_list: activation.check_list,
        questions: activation.questions.into_iter().map(question).collect(),
    };
    let key = |key: clinic::AnnotationKey| AnnotationKeyView {
        code: key.code,
        text: key.text,
        key: key.key,
    };
    ProtocolView {
        id: protocol.id,
        title: protocol.title,
        planned_duration_s: protocol.planned_duration_s,
        impedance_at_start: protocol.impedance_at_start,
        calibration: protocol.calibration,
        impedance_good_kohm: protocol.impedance_good_kohm,
        impedance_acceptable_kohm: protocol.impedance_acceptable_kohm,
        annotations: protocol.annotations.into_iter().map(key).collect(),
        activations: protocol.activations.into_iter().map(activation).collect(),
    }
}

fn view(status: SessionStatus) -> SessionView {
    let record = status.record;
    let names: Vec<String> = status
        .streams
        .iter()
        .map(|stream| stream.name.clone())
        .collect();
    SessionView {
        id: record.id.to_string(),
        patient: record.patient.to_string(),
        state: match status.state {
            workstation::SessionState::Running => SessionState::Running,
            workstation::SessionState::Interrupted => SessionState::Interrupted,
            workstation::SessionState::Completed => SessionState::Completed,
            workstation::SessionState::Failed => SessionState::Failed,
        },
        protocol: record.protocol,
        device: record.device,
        provenance: match word(&record.device_class).as_str() {
            "medical" | "research" => "live".to_owned(),
            other => other.to_owned(),
        },
        started: rfc3339(record.started, record.zone),
        duration_s: record.duration_ms.map(|ms| ms as f64 / 1e3),
        recorded_s: status.recorded_s,
        steps: status.progress.map(steps).unwrap_or_default(),
        streams: status
            .streams
            .into_iter()
            .map(|stream| StreamProgress {
                name: stream.name,
                samples: stream.samples,
                rate_hz: stream.rate_hz,
                drift_ppm: stream.drift_ppm,
                gaps: stream.gaps,
            })
            .collect(),
        gaps: status
            .gaps
            .iter()
            .map(|gap| gap_view(gap, &names, record.zone))
            .collect(),
        recording: status
            .recording_path
            .is_some()
            .then(|| record.recording.to_string()),
        recording_path: status
            .recording_path
            .map(|path| path.to_string_lossy().into_owned()),
        report: record.report.map(|id| id.to_string()),
        report_path: status
            .report_path
            .map(|path| path.to_string_lossy().into_owned()),
        exports: record.exports,
        disk_hours_left: status.disk_hours_left,
        stored_until: status.stored_until.map(|time| rfc3339(time, record.zone)),
        quality: status.quality.into_iter().map(quality).collect(),
        impedances: status
            .impedances
            .iter()
            .map(|(value, grade)| super::device::impedance_view(value, *grade))
            .collect(),
        alerts: status
            .alerts
            .into_iter()
            .map(|alert| AlertView {
                at: rfc3339(alert.at, record.zone),
                channel: alert.channel,
                issue: alert.issue.to_owned(),
                severity: word(&alert.severity),
                text: alert.text,
                active: alert.active,
            })
            .collect(),
        paused: status.paused,
        calibration: status.calibration,
        signed: status.signed,
    }
}

fn quality(channel: workstation::ChannelQuality) -> ChannelQuality {
    ChannelQuality {
        stream: channel.stream.0,
        label: channel.label,
        grade: match channel.grade {
            Grade::Good => "good",
            Grade::Poor => "poor",
            Grade::Unusable => "unusable",
            Grade::Stale => "stale",
        }
        .to_owned(),
        findings: channel.findings.iter().map(word).collect(),
    }
}

fn steps(progress: clinic::SessionProgress) -> Vec<StepView> {
    let one = |step: clinic::StepProgress| StepView {
        name: step.step.name().to_owned(),
        state: match step.state {
            clinic::StepState::Waiting => StepState::Waiting,
            clinic::StepState::Running => StepState::Running,
            clinic::StepState::Done => StepState::Done,
            clinic::StepState::Skipped => StepState::Skipped,
            clinic::StepState::Failed => StepState::Failed,
        },
        notes: step.notes,
    };
    progress.steps.into_iter().map(one).collect()
}
