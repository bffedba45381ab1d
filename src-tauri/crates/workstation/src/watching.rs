//! What acquisition tells, as events and marks in the record.

use crate::alerts::Alert;
use crate::awake::Standing;
use crate::engine_room::Room;
use crate::live::Live;
use crate::notary::public_device_id;
use crate::recorder::program_mark;
use crate::records::SessionRecord;
use acquisition::{AcquisitionEvent, RecorderFailureKind};
use contract::DeviceClass;
use events::payloads::{
    ClockStepped, DeviceConnected, DeviceDisconnected, DeviceRetrying, DisconnectReason,
    DiskSpaceLow, GapCause as PublicCause, QualityIssue, RecorderGap, Severity, SignalQualityAlert,
};
use signal::{Gap, GapCause, Missing, StreamIndex};

/// Passes one event on to the bus; loud ones are marked in the record too.
pub(crate) async fn pass_on(
    room: &Room,
    session: &SessionRecord,
    live: &Live,
    event: AcquisitionEvent,
) {
    let of = session.id;
    let device_id = || public_device_id(&session.device);
    match event {
        AcquisitionEvent::Connected | AcquisitionEvent::Resumed { .. } => {
            let payload = DeviceConnected {
                device_id: device_id(),
                driver: session
                    .device
                    .split(':')
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
                medical: live.device.class == DeviceClass::Medical,
                simulated: !live.device.class.is_live(),
                session_id: Some(of.0),
            };
            present(live);
            room.tell(of, &payload);
        }
        AcquisitionEvent::Disconnected { .. } => {
            absent(room, live);
            mark(
                room,
                live,
                "device_disconnected",
                "The device is disconnected.",
            );
            let reason = DisconnectReason::Unplugged;
            let payload = DeviceDisconnected {
                device_id: device_id(),
                reason,
                session_id: Some(of.0),
            };
            room.tell(of, &payload);
        }
        AcquisitionEvent::Retrying { attempt } => {
            // Each doubling only: a device that is away all night must not fill the ledger.
            // A device that is not there when a pause ends is told of by this alone.
            absent(room, live);
            if attempt.is_power_of_two() {
                let payload = DeviceRetrying {
                    device_id: device_id(),
                    attempt,
                    next_attempt_ms: acquisition::limits::RETRY_LONGEST.as_millis() as u64,
                    session_id: Some(of.0),
                };
                room.tell(of, &payload);
            }
        }
        AcquisitionEvent::NoData { stream } => {
            let name = stream_name(live, stream);
            let text = format!("Nothing arrives on '{name}': check the device and its distance.");
            let now = live.utc_at(room.clock.host());
            let alert = Alert::new(now, "no_data", Severity::Critical, text);
            live.alerts.raise(alert.of(&name));
            room.tell(
                of,
                &no_data(live, session, stream, QualityIssue::NoData, true),
            );
        }
        AcquisitionEvent::DataBack { stream } => {
            live.alerts
                .settle(Some(&stream_name(live, stream)), "no_data");
            room.tell(
                of,
                &no_data(live, session, stream, QualityIssue::NoData, false),
            );
        }
        AcquisitionEvent::Gap(gap) => {
            room.tell(of, &gap_payload(live, &gap));
        }
        AcquisitionEvent::RecorderFailed { kind, message } => {
            tracing::error!(session = %of, ?kind, message, "the recorder cannot write");
            let text = match kind {
                RecorderFailureKind::DiskFull => {
                    "The disk is full and nothing is recorded: free space now."
                }
                _ => "The recorder cannot write: nothing is recorded until it can.",
            };
            call(room, live, "recorder_failed", Severity::Critical, text);
            if kind == RecorderFailureKind::DiskFull {
                let payload = DiskSpaceLow {
                    severity: Severity::Critical,
                    free_bytes: crate::disk::free_bytes(&room.config.data_dir).unwrap_or(0),
                    hours_left: Some(0.0),
                };
                room.tell(of, &payload);
            }
        }
        AcquisitionEvent::ClockStepped { by_ns } => {
            mark(
                room,
                live,
                "clock_stepped",
                "The computer's clock was set; sample times go on.",
            );
            let text = "The computer's clock was set; sample times go on as before.";
            told(room, live, "clock_stepped", Severity::Info, text);
            room.tell(
                of,
                &ClockStepped {
                    step_ms: by_ns / 1_000_000,
                },
            );
        }
        // The journal has it as an event; people read it among the session's notes.
        AcquisitionEvent::Warning(text) => live.warn(text),
        AcquisitionEvent::Malformed { stream, message } => {
            tracing::error!(session = %of, stream = stream.0, message, "malformed block");
        }
        AcquisitionEvent::RecorderFull { stream, dropped } => {
            tracing::error!(session = %of, stream = stream.0, dropped, "samples are lost");
            let text =
                "The disk is too slow and samples are lost: stop other work on this computer.";
            told(room, live, "samples_lost", Severity::Critical, text);
        }
        AcquisitionEvent::AnalysisRestarted { count } => {
            tracing::warn!(session = %of, count, "analysis was started anew");
        }
        AcquisitionEvent::RecorderRecovered => {
            live.alerts.settle(None, "recorder_failed");
            tracing::info!(session = %of, "the recorder writes again");
        }
        AcquisitionEvent::Suspended { for_ns } => {
            tracing::warn!(session = %of, for_ns, "the computer slept");
            let text = "The computer slept; what came meanwhile is missing.";
            told(room, live, "suspended", Severity::Critical, text);
        }
        AcquisitionEvent::Unpaused => {
            present(live);
            tracing::info!(session = %of, "the device streams again");
        }
        AcquisitionEvent::Paused
        | AcquisitionEvent::Stale { .. }
        | AcquisitionEvent::Battery(_)
        | AcquisitionEvent::Garbage { .. }
        | AcquisitionEvent::Ended(_) => tracing::info!(session = %of, ?event, "acquisition"),
    }
}

fn absent(room: &Room, live: &Live) {
    let text = "The device is disconnected: check cable, power and distance. \
                It is tried again until it answers.";
    call(room, live, DISCONNECTED, Severity::Critical, text);
}

fn present(live: &Live) {
    live.alerts.settle(None, DISCONNECTED);
}

const DISCONNECTED: &str = "device_disconnected";

/// Tells what became of the channels' quality since it was last looked at.
pub(crate) async fn quality(room: &Room, session: &SessionRecord, live: &Live) {
    for (began, held) in live.changes_of_quality() {
        if began {
            let now = live.utc_at(room.clock.host());
            live.alerts.raise(crate::quality::alert(&held, now));
        } else {
            let issue = crate::quality::word(held.issue);
            live.alerts.settle(Some(&held.label), issue);
        }
        let payload = SignalQualityAlert {
            session_id: Some(session.id.0),
            recording_id: Some(live.recording.0),
            stream: stream_name(live, held.stream),
            channel: Some(held.label.clone()),
            issue: held.issue,
            severity: if began {
                crate::quality::severity(held.issue)
            } else {
                Severity::Info
            },
            active: began,
            value: held.value,
        };
        room.tell(session.id, &payload);
    }
}

/// Tells whether sleep is held off. Where nothing is known to put the computer to sleep, the
/// doctor says so and nobody is called.
pub(crate) fn awake(room: &Room, live: &Live) {
    let text = match room.awake.standing() {
        Standing::Not(obstacle) if obstacle.manager => format!(
            "The computer may go to sleep while it records: {}. {}",
            obstacle.why, obstacle.remedy
        ),
        Standing::Held(refused) if !refused.is_empty() => format!(
            "Sleep is held off, but not {}: see that nobody shuts the computer down or closes it.",
            refused.join(", ")
        ),
        Standing::Asking => return,
        _ => {
            live.alerts.settle(None, MAY_SLEEP);
            return;
        }
    };
    call(room, live, MAY_SLEEP, Severity::Warning, &text);
}

const MAY_SLEEP: &str = "may_sleep";

/// The disk runs low: an alert beside the event.
pub(crate) fn disk_low(room: &Room, live: &Live, low: &DiskSpaceLow) {
    let hours = low.hours_left.unwrap_or(0.0);
    let text = format!("The disk lasts for {hours:.1} h at this rate: free space.");
    call(room, live, "disk_low", low.severity, &text);
}

/// Calls for someone about the whole session.
fn call(room: &Room, live: &Live, issue: &'static str, severity: Severity, text: &str) {
    let now = live.utc_at(room.clock.host());
    live.alerts.raise(Alert::new(now, issue, severity, text));
}

/// Tells of something that was over at once.
fn told(room: &Room, live: &Live, issue: &'static str, severity: Severity, text: &str) {
    let now = live.utc_at(room.clock.host());
    let alert = Alert::new(now, issue, severity, text);
    live.alerts.raise(alert.over());
}

fn mark(room: &Room, live: &Live, code: &str, text: &str) {
    let onset = live.utc_at(room.clock.host());
    if let Err(error) = live.annotate(program_mark(onset, code, text)) {
        tracing::warn!(%error, code, "a mark is not in the record");
    }
}

fn stream_name(live: &Live, stream: StreamIndex) -> String {
    let found = live.device.streams.get(usize::from(stream.0));
    found.map_or_else(|| stream.0.to_string(), |stream| stream.name.clone())
}

fn no_data(
    live: &Live,
    session: &SessionRecord,
    stream: StreamIndex,
    issue: QualityIssue,
    active: bool,
) -> SignalQualityAlert {
    SignalQualityAlert {
        session_id: Some(session.id.0),
        recording_id: Some(live.recording.0),
        stream: stream_name(live, stream),
        channel: None,
        issue,
        severity: if active {
            Severity::Critical
        } else {
            Severity::Info
        },
        active,
        value: None,
    }
}

fn gap_payload(live: &Live, gap: &Gap) -> RecorderGap {
    let cause = match gap.cause {
        GapCause::Transport | GapCause::Source => PublicCause::DeviceLoss,
        GapCause::Disconnected | GapCause::Paused | GapCause::Silence => PublicCause::Disconnected,
        GapCause::RecorderFull => PublicCause::RecorderOverrun,
        GapCause::Suspended => PublicCause::Suspended,
        GapCause::Restarted => PublicCause::EngineDown,
    };
    let missing_samples = match gap.missing {
        Missing::Exact(count) => Some(count),
        Missing::Ambiguous { .. } | Missing::Unknown => None,
    };
    RecorderGap {
        recording_id: live.recording.0,
        stream: stream_name(live, gap.stream),
        cause: if matches!(gap.missing, Missing::Ambiguous { .. }) {
            PublicCause::Ambiguous
        } else {
            cause
        },
        first_counter: Some(gap.first_missing),
        missing_samples,
    }
}
