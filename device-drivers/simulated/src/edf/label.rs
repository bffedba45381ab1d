//! Labels: what a signal measures, at which electrode, against which reference.

use super::header::{Format, SignalHeader};
use super::prefilter::parse_prefilter;
use super::unit::parse_unit;
use signal::{Channel, ChannelKind, DigitalRange, PhysicalRange, Reference, Scale, Unit};

/// What a label says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedLabel {
    /// What is measured.
    pub kind: ChannelKind,
    /// Electrode, in the usual spelling of its letters ('Fp1', 'Cz'); older names (T3) stay.
    pub electrode: Option<String>,
    /// What it is measured against. A pair of scalp electrodes counts as bipolar here.
    pub reference: Reference,
}

/// First words that tell the kind (EDF+ specification, 'standard texts', and common usage).
const KINDS: [(&[&str], ChannelKind); 11] = [
    (&["EEG", "SEEG", "ECOG", "ERP"], ChannelKind::Eeg),
    (
        &["EOG", "VEOG", "HEOG", "LOC", "ROC", "E1", "E2"],
        ChannelKind::Eog,
    ),
    (
        &["ECG", "EKG", "ECG1", "ECG2", "EKG1", "EKG2", "ECGL", "ECGR"],
        ChannelKind::Ecg,
    ),
    (
        &["EMG", "CHIN", "CHIN1", "CHIN2", "LAT", "RAT"],
        ChannelKind::Emg,
    ),
    (
        &[
            "RESP", "FLOW", "AIRFLOW", "THOR", "THORAX", "ABDO", "ABDOMEN", "CHEST", "SNORE",
            "NASAL",
        ],
        ChannelKind::Respiration,
    ),
    (
        &["SAO2", "SPO2", "OSAT", "PR", "HR", "PULSE", "ETCO2", "CO2"],
        ChannelKind::VitalSign,
    ),
    (&["PPG", "PLETH"], ChannelKind::Ppg),
    (&["TEMP"], ChannelKind::Temperature),
    (&["ACC", "ACCX", "ACCY", "ACCZ"], ChannelKind::Accelerometer),
    (&["GYRO", "GYROX", "GYROY", "GYROZ"], ChannelKind::Gyroscope),
    (
        &[
            "STATUS", "STI", "TRIG", "TRIGGER", "DTRIG", "DIG", "EVENT", "MARKER", "MARK",
        ],
        ChannelKind::Trigger,
    ),
];

/// Letters of the 10-20, 10-10 and 10-5 systems' places, and of ears and mastoids.
const ROWS: [&str; 24] = [
    "Fp", "AF", "F", "FT", "FC", "T", "C", "TP", "CP", "P", "PO", "O", "I", "N", "A", "M", "AFp",
    "AFF", "FFC", "FCC", "CCP", "CPP", "PPO", "POO",
];

/// Reads a label such as 'EEG Fp1-Ref', 'Fp1', 'EEG Fp1-A2', 'C3-P3', 'EKG' or 'STI 014'.
#[must_use]
pub fn parse_label(label: &str) -> ParsedLabel {
    let label = label.trim();
    let (first, rest) = label.split_once(char::is_whitespace).unwrap_or((label, ""));
    let kind = kind_of(first);
    match kind {
        Some(ChannelKind::Eeg) if !rest.is_empty() => eeg(rest.trim(), true),
        // 'EEG' alone, without an electrode.
        Some(ChannelKind::Eeg) => with_kind(ChannelKind::Eeg),
        Some(ChannelKind::Eog) => eog(first, rest.trim()),
        Some(kind) => with_kind(kind),
        None => eeg(label, false),
    }
}

fn kind_of(word: &str) -> Option<ChannelKind> {
    let word = word.trim_end_matches([':', '.']).to_ascii_uppercase();
    (KINDS.iter()).find_map(|(words, kind)| words.contains(&word.as_str()).then_some(*kind))
}

const fn with_kind(kind: ChannelKind) -> ParsedLabel {
    ParsedLabel {
        kind,
        electrode: None,
        reference: Reference::Unknown,
    }
}

fn eog(first: &str, rest: &str) -> ParsedLabel {
    let name = if rest.is_empty() { first } else { rest };
    let (plus, minus) = split_pair(name);
    let upper = plus.to_ascii_uppercase();
    ParsedLabel {
        kind: ChannelKind::Eog,
        electrode: ["E1", "E2", "LOC", "ROC"]
            .contains(&upper.as_str())
            .then_some(upper),
        reference: minus.map_or(Reference::Unknown, reference),
    }
}

/// An electrode or a pair of them; without the word 'EEG' only known names count.
fn eeg(text: &str, said: bool) -> ParsedLabel {
    let (plus, minus) = split_pair(text);
    let Some(electrode) = canonical(plus) else {
        let kind = if said {
            ChannelKind::Eeg
        } else {
            ChannelKind::Other
        };
        // Depth and grid electrodes carry any single word ('LA12').
        let own_name = said && minus.is_none() && !text.contains(char::is_whitespace);
        return ParsedLabel {
            electrode: own_name.then(|| text.to_owned()),
            ..with_kind(kind)
        };
    };
    let reference = match minus {
        None => Reference::Unknown,
        Some(minus) => match canonical(minus) {
            // Against an ear is a reference, between two ears a derivation of its own.
            Some(other) if is_ear(&other) && !is_ear(&electrode) => Reference::Named(other),
            Some(other) => Reference::Bipolar(other),
            None => reference(minus),
        },
    };
    ParsedLabel {
        kind: ChannelKind::Eeg,
        electrode: Some(electrode),
        reference,
    }
}

fn split_pair(text: &str) -> (&str, Option<&str>) {
    match text.split_once('-') {
        Some((plus, minus)) if !minus.trim().is_empty() => (plus.trim(), Some(minus.trim())),
        _ => (text.trim(), None),
    }
}

/// A reference that is no place on the scalp: 'Ref', an average, linked ears.
fn reference(text: &str) -> Reference {
    match text.to_ascii_uppercase().as_str() {
        "AV" | "AVG" | "AVE" | "AR" | "CAR" | "AVERAGE" => Reference::Average,
        "REF" => Reference::Named("REF".into()),
        _ => Reference::Named(canonical(text).unwrap_or_else(|| text.to_owned())),
    }
}

fn is_ear(electrode: &str) -> bool {
    matches!(electrode, "A1" | "A2" | "M1" | "M2")
}

/// The usual spelling of a known place; `None` for anything else.
fn canonical(name: &str) -> Option<String> {
    let split = name
        .find(|c: char| c.is_ascii_digit())
        .unwrap_or(name.len());
    let (letters, digits) = name.split_at(split);
    let find = |letters: &str| ROWS.iter().find(|row| row.eq_ignore_ascii_case(letters));
    if digits.is_empty() {
        let row = letters.strip_suffix(['z', 'Z']).and_then(find)?;
        return (!matches!(*row, "A" | "M")).then(|| format!("{row}z"));
    }
    let number: u8 = digits
        .parse()
        .ok()
        .filter(|number| (1..=10).contains(number))?;
    (!digits.starts_with('0')).then_some(())?;
    find(letters).map(|row| format!("{row}{number}"))
}

/// The channel of a signal.
#[allow(clippy::cast_precision_loss)] // Digital limits have at most eight digits.
pub(crate) fn channel(signal: &SignalHeader, format: Format) -> Channel {
    let ParsedLabel {
        kind,
        electrode,
        reference,
    } = parse_label(&signal.label);
    let span = signal.digital_max - signal.digital_min;
    let gain = (signal.physical_max - signal.physical_min) / span as f64;
    let turned = signal.digital_min > signal.digital_max;
    let order = |low, high| if turned { (high, low) } else { (low, high) };
    let (digital_low, digital_high) = (
        signal.digital_min.min(signal.digital_max),
        signal.digital_max.max(signal.digital_min),
    );
    let (physical_low, physical_high) = order(signal.physical_min, signal.physical_max);
    let scaled = gain != 0.0 && gain.is_finite();
    // BDF's Status word and its like are bits; elsewhere the scale gives the code that was meant.
    let counts = !scaled || (kind == ChannelKind::Trigger && format == Format::Bdf);
    Channel {
        label: signal.label.clone(),
        kind,
        unit: if counts || kind == ChannelKind::Trigger {
            Unit::Count
        } else {
            parse_unit(&signal.dimension)
        },
        scale: if counts {
            Scale::UNITY
        } else {
            Scale {
                gain,
                offset: signal.physical_min - gain * signal.digital_min as f64,
            }
        },
        digital_range: Some(DigitalRange {
            min: digital_low,
            max: digital_high,
        }),
        physical_range: scaled.then_some(PhysicalRange {
            min: physical_low,
            max: physical_high,
        }),
        electrode,
        reference,
        ground: Reference::Unknown,
        hardware_filter: parse_prefilter(&signal.prefilter),
        transducer: signal.transducer.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_met_in_practice() {
        let named = |name: &str| Reference::Named(name.into());
        let bipolar = |name: &str| Reference::Bipolar(name.into());
        use ChannelKind::*;
        for (label, kind, electrode, reference) in [
            ("EEG Fp1-Ref", Eeg, Some("Fp1"), named("REF")),
            ("EEG FP1-REF", Eeg, Some("Fp1"), named("REF")),
            ("Fp1", Eeg, Some("Fp1"), Reference::Unknown),
            ("EEG T3", Eeg, Some("T3"), Reference::Unknown),
            ("EEG Fp1-A2", Eeg, Some("Fp1"), named("A2")),
            ("EEG A2-A1", Eeg, Some("A2"), bipolar("A1")),
            ("EEG F3-LE", Eeg, Some("F3"), named("LE")),
            ("EEG Cz-AVG", Eeg, Some("Cz"), Reference::Average),
            ("C3-P3", Eeg, Some("C3"), bipolar("P3")),
            ("FPZ", Eeg, Some("Fpz"), Reference::Unknown),
            ("EEG Channel-1", Eeg, None, Reference::Unknown),
            ("EEG LA12", Eeg, Some("LA12"), Reference::Unknown),
            ("EKG", Ecg, None, Reference::Unknown),
            ("ECG ECG1", Ecg, None, Reference::Unknown),
            ("EOG left", Eog, None, Reference::Unknown),
            ("EOG E2-Cz", Eog, Some("E2"), named("Cz")),
            ("EMG chin R-ref", Emg, None, Reference::Unknown),
            ("SaO2", VitalSign, None, Reference::Unknown),
            ("OSAT", VitalSign, None, Reference::Unknown),
            ("Resp nasal", Respiration, None, Reference::Unknown),
            ("Status", Trigger, None, Reference::Unknown),
            ("STI 014", Trigger, None, Reference::Unknown),
            ("DIG DTRIG", Trigger, None, Reference::Unknown),
            ("EXG8", Other, None, Reference::Unknown),
            ("3Hz +5/-5 V", Other, None, Reference::Unknown),
            ("F0", Other, None, Reference::Unknown),
            ("", Other, None, Reference::Unknown),
        ] {
            let parsed = parse_label(label);
            let found = (parsed.kind, parsed.electrode.as_deref(), parsed.reference);
            assert_eq!(found, (kind, electrode, reference), "{label}");
        }
    }
}
