//! What a session's report says.

use crate::documents::{Limits, SOFTWARE, hex, printed};
use crate::error::Result;
use crate::records::{CheckWhen, Checks, PatientRecord, SessionRecord};
use clinic::ConsentState;
use recording::Recording;
use report::{Calibration, Event, Fact, ImpedanceCheck, Provenance, ReportContent};
use sha2::{Digest, Sha256};
use signal::{AnnotationOrigin, Reference, UtcNanos};

/// What a report is composed from.
pub(crate) struct Parts<'a> {
    pub(crate) recording: &'a Recording,
    pub(crate) analysis: report::Analysis,
    pub(crate) session: &'a SessionRecord,
    pub(crate) patient: &'a PatientRecord,
    pub(crate) checks: &'a Checks,
    pub(crate) limits: Limits,
    pub(crate) title: &'a str,
    pub(crate) created_at: UtcNanos,
}

pub(crate) fn compose(parts: Parts<'_>) -> Result<ReportContent> {
    let Parts {
        recording,
        analysis,
        session,
        patient,
        checks,
        limits,
        title,
        created_at,
    } = parts;
    let zone = session.zone;
    let at = |time| printed(time, zone);
    let mut analysis = analysis;
    relabel(&mut analysis, recording, &at);
    let mut events = Vec::new();
    let mut annotations = Vec::new();
    for annotation in recording.standing_annotations() {
        let event = Event {
            at: at(annotation.onset),
            duration: annotation
                .duration_ns
                .map_or_else(String::new, |ns| format!("{:.2} s", ns as f64 / 1e9)),
            text: annotation.text.clone(),
            origin: origin(annotation.origin).to_owned(),
            severe: annotation.code.as_deref() == Some("emergency_stop"),
        };
        match annotation.origin {
            AnnotationOrigin::Program => events.push(event),
            _ => annotations.push(event),
        }
    }
    Ok(ReportContent {
        title: title.to_owned(),
        institution: String::new(),
        provenance: match recording.header().provenance {
            recording::Provenance::Live => Provenance::Device,
            recording::Provenance::Simulated => Provenance::Simulated,
            recording::Provenance::Playback => Provenance::Playback,
        },
        patient: patient_facts(patient),
        session: session_facts(recording, session)?,
        device: device_facts(recording),
        consent: consent(patient).to_owned(),
        impedances: impedances(checks, limits, &at),
        calibration: calibration(checks),
        events,
        annotations,
        analysis,
        recording_id: session.recording.to_string(),
        hash_root: hash_root(recording),
        software: SOFTWARE.to_owned(),
        created_at,
        created: at(created_at),
        signature: None,
        ..ReportContent::default()
    })
}

/// Where a device's samples come from.
pub(crate) const fn provenance_of(class: contract::DeviceClass) -> Provenance {
    match class {
        contract::DeviceClass::Simulated => Provenance::Simulated,
        contract::DeviceClass::Playback => Provenance::Playback,
        contract::DeviceClass::Medical | contract::DeviceClass::Research => Provenance::Device,
    }
}

const fn origin(origin: AnnotationOrigin) -> &'static str {
    match origin {
        AnnotationOrigin::Person => "person",
        AnnotationOrigin::Protocol => "protocol",
        AnnotationOrigin::Device => "device",
        AnnotationOrigin::Source => "file",
        AnnotationOrigin::Program => "program",
    }
}

pub(crate) fn patient_facts(patient: &PatientRecord) -> Vec<Fact> {
    let identity = &patient.identity;
    let name = [identity.family_name.as_str(), identity.given_name.as_str()];
    let name: Vec<_> = name.into_iter().filter(|part| !part.is_empty()).collect();
    let or_unknown = |text: String| {
        if text.is_empty() {
            "unknown".to_owned()
        } else {
            text
        }
    };
    let mut facts = vec![
        Fact::new("Name", name.join(", ")),
        Fact::new(
            "Hospital number",
            or_unknown(identity.hospital_number.clone()),
        ),
        Fact::new(
            "Date of birth",
            or_unknown(
                identity
                    .birth_date
                    .map_or_else(String::new, |date| date.to_string()),
            ),
        ),
        Fact::new(
            "Sex",
            match identity.sex {
                clinic::Sex::Female => "female",
                clinic::Sex::Male => "male",
                clinic::Sex::Unknown => "unknown",
            },
        ),
    ];
    if patient.training {
        facts.push(Fact::new("Marked", "training patient"));
    }
    if patient.temporary {
        facts.push(Fact::new("Marked", "temporary identity, to be corrected"));
    }
    facts
}

fn session_facts(recording: &Recording, session: &SessionRecord) -> Result<Vec<Fact>> {
    let mut length_s = 0.0_f64;
    for (index, stream) in recording.streams().iter().enumerate() {
        let index = signal::StreamIndex(u16::try_from(index).unwrap_or(u16::MAX));
        if let Some(last) = recording.runs(index)?.last() {
            length_s = length_s.max(stream.rate.nanos_of(last.end_index) as f64 / 1e9);
        }
    }
    let planned = session.duration_ms.map_or_else(
        || "until stopped".to_owned(),
        |ms| format!("{} s", ms as f64 / 1e3),
    );
    let mut facts = vec![
        Fact::new("Protocol", session.protocol.clone()),
        Fact::new("Started", printed(session.started, session.zone)),
        Fact::new("Planned", planned),
        Fact::new("Recorded", format!("{length_s:.2} s, gaps included")),
        Fact::new("Session", session.id.to_string()),
    ];
    if session.start_now {
        facts.push(Fact::new("Checks", "left out: started at once"));
    }
    Ok(facts)
}

fn device_facts(recording: &Recording) -> Vec<Fact> {
    let device = &recording.header().device;
    let or_unknown = |text: &str| if text.is_empty() { "unknown" } else { text }.to_owned();
    let mut facts = vec![
        Fact::new("Device", or_unknown(&device.model)),
        Fact::new("Serial number", or_unknown(&device.serial)),
        Fact::new("Firmware", or_unknown(&device.firmware)),
        Fact::new("Class", or_unknown(&device.class)),
    ];
    for stream in recording.streams() {
        let rate = stream
            .rate
            .as_hz()
            .map_or("irregular".to_owned(), |hz| format!("{hz} Hz"));
        facts.push(Fact::new(
            &format!("Stream {}", stream.name),
            format!("{} channels, {rate}", stream.channels.len()),
        ));
    }
    let eeg = recording
        .streams()
        .iter()
        .flat_map(|stream| &stream.channels);
    let mut references: Vec<String> = eeg
        .filter(|channel| channel.kind == signal::ChannelKind::Eeg)
        .map(|channel| reference(&channel.reference))
        .collect();
    references.sort();
    references.dedup();
    if !references.is_empty() {
        facts.push(Fact::new("Reference", references.join(", ")));
    }
    facts
}

fn reference(reference: &Reference) -> String {
    match reference {
        Reference::Unknown => "unknown".to_owned(),
        Reference::Named(name) => name.clone(),
        Reference::Average => "average".to_owned(),
        Reference::Bipolar(_) => "bipolar".to_owned(),
    }
}

const fn consent(patient: &PatientRecord) -> &'static str {
    match (patient.training, patient.consent) {
        (true, _) => "Training patient: none needed.",
        (_, ConsentState::Granted) => "Consent to recording was granted.",
        (_, ConsentState::Missing) => "No consent is on file; the recording was made all the same.",
        (_, ConsentState::Refused) => {
            "Consent was refused; see the ledger for who went on and why."
        }
        (_, ConsentState::Withdrawn) => "Consent was withdrawn.",
    }
}

fn impedances(
    checks: &Checks,
    limits: Limits,
    at: &dyn Fn(UtcNanos) -> String,
) -> Vec<ImpedanceCheck> {
    let start = ("Start", checks.impedances.as_slice());
    let later = checks.later.iter().map(|check| {
        let title = match check.when {
            CheckWhen::During => "During the recording",
            CheckWhen::End => "End",
        };
        (title, check.impedances.as_slice())
    });
    let measured = std::iter::once(start).chain(later);
    measured
        .filter_map(|(title, values)| {
            Some(ImpedanceCheck {
                title: title.to_owned(),
                at: at(values.first()?.at),
                limits,
                values: values.to_vec(),
            })
        })
        .collect()
}

/// Labels of channels as they were recorded, with the one they ended with and since when.
fn relabel(
    analysis: &mut report::Analysis,
    recording: &Recording,
    at: &dyn Fn(UtcNanos) -> String,
) {
    let relabels = crate::relabel::relabels(recording);
    let rename = |label: &mut String| {
        if let Some((now, since)) = crate::relabel::ends_as(label, &relabels) {
            *label = format!("{label} ({now} from {})", at(since));
        }
    };
    for row in &mut analysis.quality {
        rename(&mut row.label);
    }
    for row in &mut analysis.band_powers {
        rename(&mut row.label);
    }
}

fn calibration(checks: &Checks) -> Calibration {
    if checks.calibration.is_empty() {
        return Calibration {
            method: "Display check only".to_owned(),
            result: "The device's own test signal was not run.".to_owned(),
        };
    }
    let failed: Vec<_> = checks
        .calibration
        .iter()
        .filter(|c| !c.passed)
        .map(|c| c.label.clone())
        .collect();
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for channel in &checks.calibration {
        low = low.min(channel.amplitude_uv);
        high = high.max(channel.amplitude_uv);
    }
    let verdict = if failed.is_empty() {
        "all channels within tolerance".to_owned()
    } else {
        format!("outside tolerance: {}", failed.join(", "))
    };
    Calibration {
        method: "Device's own test signal".to_owned(),
        result: format!("{low:.1} to {high:.1} µV peak to peak; {verdict}"),
    }
}

/// SHA-256 over the hashes of all closed segments in order: what the ledger holds one by one.
pub(crate) fn hash_root(recording: &Recording) -> String {
    let mut hash = Sha256::new();
    for segment in recording.segments() {
        if let Some(sha256) = segment.sha256 {
            hash.update(sha256);
        }
    }
    hex(&hash.finalize())
}
