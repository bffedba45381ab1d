//! What people do to a session while it records: measure impedances, take the patient off the
//! device, give an electrode its right name.

use crate::alerts::Alert;
use crate::engine_room::Room;
use crate::error::{Error, ErrorKind, Result};
use crate::facade::Workstation;
use crate::limits::{IMPEDANCE_POLL, IMPEDANCE_TIMEOUT, MAX_PAUSE_CODE_CHARS};
use crate::live::Live;
use crate::quality::word;
use crate::recorder::program_mark;
use crate::records::{CheckWhen, LaterCheck};
use crate::relabel::Relabel;
use acquisition::{AcquisitionError, Cancel, GradedImpedance, ImpedancesUnderWay, Mark};
use clinic::SessionId;
use crossbeam_channel::RecvTimeoutError;
use events::payloads::{
    QualityIssue, SessionPaused, SessionRelabelled, Severity, SignalQualityAlert,
};
use signal::{AnnotationOrigin, ImpedanceGrade};
use std::sync::Arc;
use std::time::Instant;

/// Code of the annotation over an interval with test current; reports leave it out of analysis.
pub(crate) const IMPEDANCE_CODE: &str = "impedance_check";

impl Workstation {
    pub(crate) fn live(&self, id: SessionId) -> Result<Arc<Live>> {
        self.room.live.get(id).ok_or_else(|| {
            Error::new(
                ErrorKind::Conflict,
                format!("session {id} is not recording"),
                "",
            )
        })
    }

    /// Measures the impedances of a running session, between two pieces of its recording. Tells
    /// each electrode as it is measured.
    ///
    /// # Errors
    /// The session is not recording, its device cannot measure impedances or failed, or another
    /// measurement is under way.
    pub async fn measure_impedances(
        &self,
        id: SessionId,
        mut progress: impl FnMut(&GradedImpedance) + Send + 'static,
    ) -> Result<Vec<GradedImpedance>> {
        let live = self.live(id)?;
        if !live.device.capabilities.impedance {
            let message = "the device cannot measure impedances";
            return Err(Error::new(ErrorKind::Invalid, message, ""));
        }
        let begun = live.utc_at(self.room.clock.host());
        let (room, of) = (self.room.clone(), live.clone());
        let measured = tokio::task::spawn_blocking(move || {
            let under_way = of.check_impedances(Cancel::default())?;
            wait_for(&under_way, &mut |found| {
                room.live.note_impedance(id, &found.impedance);
                progress(found);
            })
        })
        .await
        .map_err(|error| Error::internal("measure impedances", &error))?;
        // Test current may have flowed whatever came of it.
        let ended = live.utc_at(self.room.clock.host());
        let mark = Mark {
            duration_ns: Some(ended.nanos_since(begun).max(0)),
            ..program_mark(begun, IMPEDANCE_CODE, "Impedances measured")
        };
        if let Err(error) = live.annotate(mark) {
            tracing::warn!(%error, "the impedance check is not marked in the record");
        }
        let measured = measured?;
        self.keep_impedances(id, &live, &measured).await;
        Ok(measured)
    }

    /// Keeps what was measured with record and session, and calls for bad electrodes.
    async fn keep_impedances(&self, id: SessionId, live: &Live, measured: &[GradedImpedance]) {
        let values: Vec<_> = measured.iter().map(|m| m.impedance.clone()).collect();
        live.record_impedances(values.clone());
        for one in measured {
            tell_impedance(&self.room, id, live, one).await;
        }
        let check = LaterCheck {
            when: CheckWhen::During,
            impedances: values,
        };
        let kept = match self.room.records() {
            Ok(records) => records.add_check(id, check).await,
            Err(error) => Err(error),
        };
        if let Err(error) = kept {
            // They stand in the record all the same.
            tracing::warn!(session = %id, %error, "impedances are not in the store");
        }
    }

    /// Takes the patient off the device (`reason`, a short code such as 'ct') or back onto it.
    /// Alerts are muted meanwhile and the same recording goes on; its length as planned does not
    /// count the pause.
    ///
    /// # Errors
    /// The session is not recording, or the reason is no code.
    pub async fn pause(&self, id: SessionId, reason: Option<String>) -> Result<()> {
        let live = self.live(id)?;
        if let Some(code) = &reason {
            let fits = |c: char| c.is_ascii_lowercase() || c == '_';
            if code.is_empty() || code.len() > MAX_PAUSE_CODE_CHARS || !code.chars().all(fits) {
                let message = format!(
                    "a reason for a pause is a code of 1 to {MAX_PAUSE_CODE_CHARS} small letters"
                );
                return Err(Error::new(ErrorKind::Invalid, message, ""));
            }
        }
        let now = self.room.clock.host();
        if !live.set_paused(reason.clone(), now) {
            return Ok(());
        }
        let mark = match &reason {
            Some(code) => {
                let text = format!("Disconnected: {code}");
                program_mark(live.utc_at(now), PAUSE_BEGIN, &text)
            }
            None => program_mark(live.utc_at(now), PAUSE_END, "Connected again"),
        };
        if let Err(error) = live.annotate(mark) {
            tracing::warn!(%error, "the pause is not marked in the record");
        }
        let payload = SessionPaused {
            session_id: id.0,
            recording_id: live.recording.0,
            paused: reason.is_some(),
            reason_code: reason,
            by_user_id: self.room.by_user_id(),
        };
        self.room.say(id, &payload).await;
        Ok(())
    }

    /// Gives a channel of a running session another label from now on. What is recorded, and under
    /// which label it began, stays.
    ///
    /// # Errors
    /// The session is not recording, no channel has that label or another has the new one already,
    /// or the mark could not be put into the record.
    pub async fn relabel(&self, id: SessionId, from: &str, to: &str) -> Result<()> {
        let live = self.live(id)?;
        let relabel = Relabel {
            at: live.utc_at(self.room.clock.host()),
            from: from.trim().to_owned(),
            to: to.trim().to_owned(),
        };
        live.relabel(relabel.clone())?;
        let payload = SessionRelabelled {
            session_id: id.0,
            recording_id: live.recording.0,
            from: relabel.from,
            to: relabel.to,
            by_user_id: self.room.by_user_id(),
        };
        self.room.say(id, &payload).await;
        Ok(())
    }
}

/// Codes of the marks around a pause.
pub(crate) const PAUSE_BEGIN: &str = "pause_begin";
pub(crate) const PAUSE_END: &str = "pause_end";

/// Waits for a measurement electrode by electrode.
fn wait_for(
    under_way: &ImpedancesUnderWay,
    tell: &mut dyn FnMut(&GradedImpedance),
) -> Result<Vec<GradedImpedance>> {
    let began = Instant::now();
    loop {
        match under_way.next(IMPEDANCE_POLL) {
            Ok(found) => tell(&found),
            Err(RecvTimeoutError::Timeout) if began.elapsed() < IMPEDANCE_TIMEOUT => {}
            Err(RecvTimeoutError::Timeout) => {
                let message = "the impedances could not be measured in time";
                return Err(Error::new(ErrorKind::Device, message, TRY_AGAIN));
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    match under_way.report() {
        Some(report) => Ok(report?.electrodes),
        None => Err(Error::new(
            ErrorKind::Conflict,
            "the recording ended before the impedances were measured",
            "",
        )),
    }
}

const TRY_AGAIN: &str = "See that the device is connected, then try again.";

impl From<AcquisitionError> for Error {
    fn from(error: AcquisitionError) -> Self {
        Self::new(ErrorKind::Conflict, crate::error::chain(&error), "")
    }
}

/// Calls for an electrode that is bad, and notes one that is well again.
async fn tell_impedance(room: &Room, id: SessionId, live: &Live, one: &GradedImpedance) {
    let electrode = &one.impedance.electrode;
    let issue = match one.grade {
        ImpedanceGrade::Bad | ImpedanceGrade::Unknown => Some(QualityIssue::Impedance),
        ImpedanceGrade::Bridge => Some(QualityIssue::GelBridge),
        ImpedanceGrade::Good | ImpedanceGrade::Acceptable => None,
    };
    let value = one.impedance.impedance_kohm;
    for candidate in [QualityIssue::Impedance, QualityIssue::GelBridge] {
        let active = issue == Some(candidate);
        let changed = if active {
            let text = match (candidate, value) {
                (QualityIssue::GelBridge, _) => {
                    format!("{electrode} is as good as shorted: look for a gel bridge.")
                }
                (_, Some(kohm)) => format!("{electrode} has {kohm:.0} kΩ: improve its contact."),
                (_, None) => format!("{electrode} could not be measured: is it plugged in?"),
            };
            let now = live.utc_at(room.clock.host());
            let alert = Alert::new(now, word(candidate), Severity::Warning, text);
            live.alerts.raise(alert.of(electrode))
        } else {
            live.alerts.settle(Some(electrode), word(candidate))
        };
        if changed {
            let payload = SignalQualityAlert {
                session_id: Some(id.0),
                recording_id: Some(live.recording.0),
                stream: String::new(),
                channel: Some(electrode.clone()),
                issue: candidate,
                severity: if active {
                    Severity::Warning
                } else {
                    Severity::Info
                },
                active,
                value,
            };
            room.say(id, &payload).await;
        }
    }
}

/// Whether the last pause that `recording` tells of has not ended, and why it was made.
pub(crate) fn open_pause(recording: &recording::Recording) -> Option<String> {
    let mut marks: Vec<_> = recording
        .annotations()
        .into_iter()
        .map(|recorded| recorded.annotation)
        .filter(|mark| mark.origin == AnnotationOrigin::Program)
        .filter(|mark| matches!(mark.code.as_deref(), Some(PAUSE_BEGIN | PAUSE_END)))
        .collect();
    marks.sort_by_key(|mark| mark.onset);
    let last = marks
        .pop()
        .filter(|mark| mark.code.as_deref() == Some(PAUSE_BEGIN))?;
    Some(last.text.rsplit(' ').next().unwrap_or_default().to_owned())
}
