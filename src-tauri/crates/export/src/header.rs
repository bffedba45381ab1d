//! The header of an EDF+ or BDF+ file.

use crate::calendar::{self, Local};
use crate::label::{ascii, cut};
use crate::limits::{MAX_SIGNALS, TEXT_CHARS};
use crate::options::{ExportOptions, Identity, Privacy, Sex};
use crate::outcome::{FileKind, SignalScale};
use crate::source::SourceInfo;

/// One signal's texts.
#[derive(Debug, Clone)]
pub(crate) struct SignalHeader {
    pub(crate) scale: SignalScale,
    pub(crate) transducer: String,
    pub(crate) prefilter: String,
    pub(crate) samples: u64,
}

/// The two identification fields, before they are placed.
#[derive(Debug, Clone)]
pub(crate) struct Identification {
    pub(crate) patient: String,
    pub(crate) recording: String,
    /// Whether a text had to be cut or lost characters.
    pub(crate) changed: bool,
}

/// A subfield: no spaces inside, `X` when empty (EDF+ specification, 2.1.3.3).
fn subfield(text: &str) -> String {
    let text = ascii(text.trim()).replace([' ', '^'], "_");
    if text.is_empty() {
        "X".to_owned()
    } else {
        text
    }
}

/// The identification fields of a file that starts at `start`.
pub(crate) fn identification(
    info: &SourceInfo,
    options: &ExportOptions,
    start: Local,
) -> Identification {
    let date = start.edf_plus_date();
    let (patient, admin, technician) = match &options.privacy {
        Privacy::Deidentified(how) => (
            format!("{} X X X", subfield(&how.subject_code)),
            "X".to_owned(),
            "X".to_owned(),
        ),
        Privacy::Identified(who) => (
            patient(who),
            subfield(&who.administration_code),
            subfield(&who.technician),
        ),
    };
    let equipment = match info.provenance.mark() {
        Some(mark) => format!("{mark}_{}", subfield(&info.device_model)),
        None => subfield(&info.device_model),
    };
    // The mark leads the equipment, so that cutting cannot lose it; the people before it are cut.
    let people = cut(&format!("{admin} {technician}"), TEXT_CHARS - 40);
    let recording = format!("Startdate {date} {people} {equipment}");
    let non_ascii = match &options.privacy {
        Privacy::Deidentified(how) => !how.subject_code.is_ascii(),
        Privacy::Identified(who) => ![
            &who.patient_code,
            &who.name,
            &who.administration_code,
            &who.technician,
        ]
        .into_iter()
        .all(|text| text.is_ascii()),
    };
    Identification {
        changed: non_ascii
            || patient.len() > TEXT_CHARS
            || admin.len() + technician.len() + 1 > people.len(),
        patient: cut(&patient, TEXT_CHARS),
        recording: cut(&recording, TEXT_CHARS),
    }
}

fn patient(who: &Identity) -> String {
    let sex = match who.sex {
        Sex::Female => "F",
        Sex::Male => "M",
        Sex::Unknown => "X",
    };
    let birthdate = who
        .birthdate
        .and_then(calendar::birthdate)
        .unwrap_or_else(|| "X".to_owned());
    format!(
        "{} {sex} {birthdate} {}",
        subfield(&who.patient_code),
        subfield(&who.name)
    )
}

/// What a header states.
#[derive(Debug)]
pub(crate) struct Header<'a> {
    pub(crate) kind: FileKind,
    pub(crate) identification: &'a Identification,
    pub(crate) start: Local,
    pub(crate) records: u64,
    pub(crate) duration: &'a str,
    pub(crate) signals: &'a [SignalHeader],
    /// Samples of the annotation signal in a record.
    pub(crate) annotation_samples: u64,
}

impl Header<'_> {
    /// The header's bytes, 256 for the file and 256 for each signal; `None` when a number needs more
    /// digits than its field has.
    pub(crate) fn bytes(&self) -> Option<Vec<u8>> {
        let count = self.signals.len() + 1;
        if count > MAX_SIGNALS {
            return None;
        }
        let mut out = Vec::with_capacity(256 * (count + 1));
        if self.kind.is_bdf() {
            out.push(0xFF);
            field(&mut out, "BIOSEMI", 7)?;
        } else {
            field(&mut out, "0", 8)?;
        }
        field(&mut out, &self.identification.patient, 80)?;
        field(&mut out, &self.identification.recording, 80)?;
        field(&mut out, &self.start.header_date(), 8)?;
        field(&mut out, &self.start.header_time(), 8)?;
        field(&mut out, &(256 * (count + 1)).to_string(), 8)?;
        field(&mut out, self.kind.tag(), 44)?;
        field(&mut out, &self.records.to_string(), 8)?;
        field(&mut out, self.duration, 8)?;
        field(&mut out, &count.to_string(), 4)?;
        self.signal_fields(&mut out)?;
        Some(out)
    }

    /// The signals' fields stand one after another: all labels, then all transducers, and so on;
    /// the annotation signal is the last.
    fn signal_fields(&self, out: &mut Vec<u8>) -> Option<()> {
        let (label, range) = if self.kind.is_bdf() {
            ("BDF Annotations", crate::scale::I24_RANGE)
        } else {
            ("EDF Annotations", crate::scale::I16_RANGE)
        };
        let own = |out: &mut Vec<u8>, text: &str, width| field(out, text, width);
        for s in self.signals {
            field(out, &s.scale.label, 16)?;
        }
        own(out, label, 16)?;
        for s in self.signals {
            field(out, &s.transducer, 80)?;
        }
        own(out, "", 80)?;
        for s in self.signals {
            field(out, &s.scale.unit, 8)?;
        }
        own(out, "", 8)?;
        for (end, annotation) in [(0, "-1"), (1, "1")] {
            for s in self.signals {
                field(out, &s.scale.physical[end], 8)?;
            }
            own(out, annotation, 8)?;
        }
        for (end, annotation) in [(0, range[0]), (1, range[1])] {
            for s in self.signals {
                field(out, &s.scale.digital[end].to_string(), 8)?;
            }
            own(out, &annotation.to_string(), 8)?;
        }
        for s in self.signals {
            field(out, &s.prefilter, 80)?;
        }
        own(out, "", 80)?;
        for s in self.signals {
            field(out, &s.samples.to_string(), 8)?;
        }
        own(out, &self.annotation_samples.to_string(), 8)?;
        for _ in 0..=self.signals.len() {
            own(out, "", 32)?;
        }
        Some(())
    }
}

fn field(out: &mut Vec<u8>, text: &str, width: usize) -> Option<()> {
    if text.len() > width || !text.is_ascii() {
        return None;
    }
    out.extend_from_slice(text.as_bytes());
    out.resize(out.len() + width - text.len(), b' ');
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::CalendarDate;
    use crate::source::Provenance;
    use signal::{UtcNanos, ZoneOffset};

    fn info(provenance: Provenance, model: &str) -> SourceInfo {
        SourceInfo {
            recording_id: "r".to_owned(),
            provenance,
            device_model: model.to_owned(),
            zone: ZoneOffset(0),
            streams: Vec::new(),
        }
    }

    #[test]
    fn deidentified_fields_say_nothing() {
        let start = Local::new(UtcNanos(1_795_000_000_000_000_000), ZoneOffset(0));
        let options = ExportOptions::deidentified("a", "sub 01", 0);
        let info = info(Provenance::Simulated, "Headset 8");
        let found = identification(&info, &options, start.anonymised(start));
        assert_eq!(found.patient, "sub_01 X X X");
        assert_eq!(
            found.recording,
            "Startdate 01-JAN-1985 X X SIMULATED_Headset_8"
        );
        assert!(!found.changed);
    }

    #[test]
    fn identified_fields_follow_the_specification() {
        let start = Local::new(UtcNanos(0), ZoneOffset(0));
        let options = ExportOptions::identified(
            "a",
            Identity {
                patient_code: "MCH-0234567".to_owned(),
                sex: Sex::Female,
                birthdate: Some(CalendarDate {
                    year: 1951,
                    month: 5,
                    day: 2,
                }),
                name: "Test^Patiënt".to_owned(),
                administration_code: "EMG 561".to_owned(),
                technician: "A. Clinician".to_owned(),
            },
        );
        let found = identification(&info(Provenance::Device, ""), &options, start);
        assert_eq!(found.patient, "MCH-0234567 F 02-MAY-1951 Test_Patient");
        assert_eq!(
            found.recording,
            "Startdate 01-JAN-1970 EMG_561 A._Clinician X"
        );
        assert!(found.changed);
    }

    #[test]
    fn a_long_technician_does_not_push_out_the_mark() {
        let start = Local::new(UtcNanos(0), ZoneOffset(0));
        let who = Identity {
            technician: "T".repeat(200),
            ..Identity::default()
        };
        let options = ExportOptions::identified("a", who);
        let found = identification(
            &info(Provenance::Playback, &"M".repeat(99)),
            &options,
            start,
        );
        assert!(found.recording.contains("PLAYBACK_"), "{}", found.recording);
        assert!(found.recording.len() <= 80 && found.changed);
    }
}
