//! What follows from a session's state: what blocks the start, which channels to mark, what remains, how
//! an activation stands.

use crate::format;
use crate::words::{Text, common, session};
use std::collections::BTreeMap;
use ui_types::{
    ActivationView, ChannelQuality, FilterChoice, PatientView, SessionState, SessionView, StepState,
};

/// Marks of the canvas from the quality of the channels: only what is worse than poor.
#[must_use]
pub fn channel_marks(quality: &[ChannelQuality]) -> BTreeMap<String, String> {
    quality
        .iter()
        .filter_map(|channel| {
            let mark = match channel.grade.as_str() {
                "stale" => "stale",
                "unusable" => channel.findings.first().map_or("noisy", String::as_str),
                _ => return None,
            };
            Some((channel.label.clone(), mark.to_owned()))
        })
        .collect()
}

/// Whether a device computes its data instead of measuring a patient.
#[must_use]
pub fn is_computed(class: &str) -> bool {
    matches!(class, "simulated" | "playback")
}

/// Why 'Start recording' waits; `None` when it does not.
#[must_use]
pub fn start_blocked(
    patient: Option<&PatientView>,
    device_class: Option<&str>,
    compared: bool,
    starting: bool,
) -> Option<Text> {
    if starting {
        return Some(session::START_BLOCKED_STARTING);
    }
    let Some(class) = device_class else {
        return Some(session::START_BLOCKED_DEVICE);
    };
    let training = patient.is_none_or(|patient| patient.training);
    if is_computed(class) && !training {
        return Some(session::START_BLOCKED_TRAINING);
    }
    (!compared && !training).then_some(session::START_BLOCKED_PATIENT)
}

/// How a planned length stands: what remains, or by how much it is over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Remaining {
    /// Nothing is planned.
    UntilStopped,
    /// So many seconds.
    Left(f64),
    /// So many seconds over.
    Over(f64),
}

/// What remains of a session.
#[must_use]
pub fn remaining(planned_s: Option<f64>, recorded_s: f64) -> Remaining {
    match planned_s {
        None => Remaining::UntilStopped,
        Some(planned) if recorded_s <= planned => Remaining::Left(planned - recorded_s),
        Some(planned) => Remaining::Over(recorded_s - planned),
    }
}

/// Whether samples are being recorded now.
#[must_use]
pub fn collects(view: &SessionView) -> bool {
    view.state == SessionState::Running
        && view
            .steps
            .iter()
            .any(|step| step.name == "collect" && step.state == StepState::Running)
}

/// Whether the recording of a running session is still to come.
#[must_use]
pub fn starts(view: &SessionView) -> bool {
    view.state == SessionState::Running
        && !view
            .steps
            .iter()
            .any(|step| step.name == "collect" && step.state != StepState::Waiting)
}

/// Word for a provenance that must be marked loudly; `None` for a patient's own data.
#[must_use]
pub fn provenance(provenance: &str) -> Option<Text> {
    match provenance {
        "simulated" => Some(common::SIMULATED),
        "playback" => Some(common::PLAYBACK),
        _ => None,
    }
}

/// Where an activation stands.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Phase {
    /// Not begun, or done and over.
    #[default]
    Idle,
    /// Begun at, ns since 1970 UTC.
    Running(i64),
    /// Ended at, ns since 1970 UTC; recording is to go on for a while.
    After(i64),
}

/// Where an activation stands by the codes that were marked, in order of time, at a moment.
#[must_use]
pub fn phase(activation: &ActivationView, marks: &[(i64, String)], now_ns: i64) -> Phase {
    let last = |code: &str| {
        marks
            .iter()
            .filter(|(_, marked)| marked == code)
            .map(|(at, _)| *at)
            .max()
    };
    match (last(&activation.begin_code), last(&activation.end_code)) {
        (Some(begin), end) if end.is_none_or(|end| end < begin) => Phase::Running(begin),
        (_, Some(end)) if format::seconds_between(end, now_ns) < activation.after_s => {
            Phase::After(end)
        }
        _ => Phase::Idle,
    }
}

/// Seconds for which recording should go on because of an activation.
#[must_use]
pub fn after_left(
    activations: &[ActivationView],
    marks: &[(i64, String)],
    now_ns: i64,
) -> Option<f64> {
    activations
        .iter()
        .filter_map(|activation| match phase(activation, marks, now_ns) {
            Phase::After(end) => Some(activation.after_s - format::seconds_between(end, now_ns)),
            Phase::Running(_) => Some(activation.after_s),
            Phase::Idle => None,
        })
        .reduce(f64::max)
}

/// Whether a filter is the default of its kind of channel.
#[must_use]
pub fn is_default(choice: &FilterChoice, default: Option<&FilterChoice>) -> bool {
    default.is_some_and(|default| default == choice)
}

/// A filter's value for a menu or label: '1 Hz', 'off'.
#[must_use]
pub fn hertz(value: Option<f64>, off: &str) -> String {
    value.map_or_else(
        || off.to_owned(),
        |hz| format!("{} Hz", format::number(hz, 2)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use ui_types::{ConsentState, Sex};

    fn patient(training: bool) -> PatientView {
        PatientView {
            id: "p".to_owned(),
            family_name: "Test".to_owned(),
            given_name: String::new(),
            birth_date: String::new(),
            sex: Sex::Unknown,
            hospital_number: String::new(),
            training,
            temporary: false,
            consent: ConsentState::Missing,
            consent_at: None,
        }
    }

    #[test]
    fn the_start_says_why_it_waits() {
        let real = patient(false);
        assert_eq!(
            start_blocked(Some(&real), None, true, false),
            Some(session::START_BLOCKED_DEVICE)
        );
        assert_eq!(
            start_blocked(Some(&real), Some("simulated"), true, false),
            Some(session::START_BLOCKED_TRAINING)
        );
        assert_eq!(
            start_blocked(Some(&real), Some("medical"), false, false),
            Some(session::START_BLOCKED_PATIENT)
        );
        assert_eq!(
            start_blocked(Some(&real), Some("medical"), true, false),
            None
        );
        assert_eq!(
            start_blocked(Some(&patient(true)), Some("playback"), false, false),
            None
        );
        assert_eq!(
            start_blocked(Some(&real), Some("medical"), true, true),
            Some(session::START_BLOCKED_STARTING)
        );
    }

    #[test]
    fn bad_channels_are_marked_and_poor_ones_are_not() {
        let channel = |label: &str, grade: &str, findings: &[&str]| ChannelQuality {
            stream: 0,
            label: label.to_owned(),
            grade: grade.to_owned(),
            findings: findings.iter().map(|&finding| finding.to_owned()).collect(),
        };
        let marks = channel_marks(&[
            channel("Fp1", "good", &[]),
            channel("Fp2", "poor", &["mains"]),
            channel("T7", "unusable", &["railed", "mains"]),
            channel("T8", "unusable", &[]),
            channel("O1", "stale", &[]),
        ]);
        let found: Vec<_> = marks
            .iter()
            .map(|(label, mark)| (label.as_str(), mark.as_str()))
            .collect();
        assert_eq!(found, [("O1", "stale"), ("T7", "railed"), ("T8", "noisy")]);
    }

    #[test]
    fn what_remains() {
        assert_eq!(remaining(None, 5.0), Remaining::UntilStopped);
        assert_eq!(remaining(Some(60.0), 5.0), Remaining::Left(55.0));
        assert_eq!(remaining(Some(60.0), 65.0), Remaining::Over(5.0));
    }

    #[test]
    fn an_activation_runs_from_its_begin_to_its_end_and_has_a_time_after() {
        let activation = ActivationView {
            id: "hyperventilation".to_owned(),
            title: "Hyperventilation".to_owned(),
            begin_code: "begin".to_owned(),
            end_code: "end".to_owned(),
            duration_s: Some(180.0),
            after_s: 60.0,
            check_list: Vec::new(),
            questions: Vec::new(),
        };
        let s = |seconds: i64| seconds * 1_000_000_000;
        let mut marks = Vec::new();
        assert_eq!(phase(&activation, &marks, s(5)), Phase::Idle);
        marks.push((s(10), "begin".to_owned()));
        assert_eq!(phase(&activation, &marks, s(15)), Phase::Running(s(10)));
        marks.push((s(190), "end".to_owned()));
        assert_eq!(phase(&activation, &marks, s(200)), Phase::After(s(190)));
        let left = after_left(std::slice::from_ref(&activation), &marks, s(200));
        assert_eq!(left, Some(50.0));
        assert_eq!(phase(&activation, &marks, s(251)), Phase::Idle);
        assert_eq!(after_left(&[activation], &marks, s(251)), None);
    }

    #[test]
    fn filters_in_words() {
        assert_eq!(hertz(Some(0.5), "off"), "0.5 Hz");
        assert_eq!(hertz(None, "off"), "off");
        let default = FilterChoice {
            lff_hz: Some(1.0),
            ..FilterChoice::default()
        };
        assert!(is_default(&default, Some(&default)));
        assert!(!is_default(&FilterChoice::default(), Some(&default)));
    }
}
