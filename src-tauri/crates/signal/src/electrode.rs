//! Electrode names of the 10-20 and 10-10 systems, and what channel labels say.

use crate::{ChannelKind, Reference};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Canonical names, front to back, left to right. The modified combinatorial nomenclature of the
/// American Clinical Neurophysiology Society (guideline 2), completed to the 10-10 grid of
/// Oostenveld and Praamstra (2001), then ears and mastoids.
const NAMES: [&str; 93] = [
    "Nz", "N1", "N2", "Fp1", "Fpz", "Fp2", "AF9", "AF7", "AF5", "AF3", "AF1", "AFz", "AF2", "AF4",
    "AF6", "AF8", "AF10", "F9", "F7", "F5", "F3", "F1", "Fz", "F2", "F4", "F6", "F8", "F10", "FT9",
    "FT7", "FC5", "FC3", "FC1", "FCz", "FC2", "FC4", "FC6", "FT8", "FT10", "T9", "T7", "C5", "C3",
    "C1", "Cz", "C2", "C4", "C6", "T8", "T10", "TP9", "TP7", "CP5", "CP3", "CP1", "CPz", "CP2",
    "CP4", "CP6", "TP8", "TP10", "P9", "P7", "P5", "P3", "P1", "Pz", "P2", "P4", "P6", "P8", "P10",
    "PO9", "PO7", "PO5", "PO3", "PO1", "POz", "PO2", "PO4", "PO6", "PO8", "PO10", "O1", "Oz", "O2",
    "I1", "Iz", "I2", "A1", "A2", "M1", "M2",
];

/// Names of the 1958 system that the 10-10 system renamed.
const ALIASES: [(&str, &str); 4] = [("T3", "T7"), ("T4", "T8"), ("T5", "P7"), ("T6", "P8")];

/// Side of the head; odd numbers are left, even ones right, z is the midline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Left hemisphere.
    Left,
    /// Midline.
    Midline,
    /// Right hemisphere.
    Right,
}

/// A named position of the 10-10 system, an earlobe or a mastoid.
///
/// Two spellings of one position are one value: case does not count, and T3/T4/T5/T6 are
/// T7/T8/P7/P8.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Electrode(u8);

impl Electrode {
    /// The electrode called `name`; `None` when the 10-10 system has no such position.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.trim();
        let name = ALIASES
            .iter()
            .find(|(old, _)| old.eq_ignore_ascii_case(name))
            .map_or(name, |(_, new)| new);
        let position = NAMES
            .iter()
            .position(|known| known.eq_ignore_ascii_case(name))?;
        u8::try_from(position).ok().map(Self)
    }

    /// Every electrode, front to back and left to right; ears and mastoids last.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..NAMES.len()).filter_map(|position| u8::try_from(position).ok().map(Self))
    }

    /// Canonical name ('Fp1', 'T7').
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES[usize::from(self.0)]
    }

    /// The 1958 name where it differs ('T3' for T7).
    #[must_use]
    pub fn old_name(self) -> Option<&'static str> {
        ALIASES
            .iter()
            .find(|(_, new)| *new == self.name())
            .map(|(old, _)| *old)
    }

    /// Side of the head.
    #[must_use]
    pub fn side(self) -> Side {
        let digits = self
            .name()
            .trim_start_matches(|c: char| c.is_ascii_alphabetic());
        match digits.parse::<u8>() {
            Ok(number) if number % 2 == 1 => Side::Left,
            Ok(_) => Side::Right,
            Err(_) => Side::Midline,
        }
    }

    /// Whether this is an earlobe or a mastoid: a place for references, left out of averages.
    #[must_use]
    pub fn is_ear(self) -> bool {
        matches!(self.name(), "A1" | "A2" | "M1" | "M2")
    }
}

impl fmt::Debug for Electrode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Electrode({})", self.name())
    }
}

impl fmt::Display for Electrode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a channel's label says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedLabel {
    /// What it measures; `Other` when the label does not say.
    pub kind: ChannelKind,
    /// Electrode: canonical for a 10-10 position, as written for others ('LA1' of a depth
    /// electrode); `None` when none is named.
    pub electrode: Option<String>,
    /// What it is measured against. 'Ref' names no place, so it is `Unknown`.
    pub reference: Reference,
}

/// Words that begin a label under the EDF+ texts ('EEG Fp1-Ref'), and words that amplifiers use
/// alone. Longer words stand before words that begin them.
const KINDS: [(&str, ChannelKind); 52] = [
    ("EEG", ChannelKind::Eeg),
    ("SEEG", ChannelKind::Eeg),
    ("ECOG", ChannelKind::Eeg),
    ("EP", ChannelKind::Eeg),
    ("EOG", ChannelKind::Eog),
    ("HEOG", ChannelKind::Eog),
    ("VEOG", ChannelKind::Eog),
    ("LOC", ChannelKind::Eog),
    ("ROC", ChannelKind::Eog),
    ("E1", ChannelKind::Eog),
    ("E2", ChannelKind::Eog),
    ("ERG", ChannelKind::Eog),
    ("ECG", ChannelKind::Ecg),
    ("EKG", ChannelKind::Ecg),
    ("EMG", ChannelKind::Emg),
    ("CHIN", ChannelKind::Emg),
    ("LEG", ChannelKind::Emg),
    ("TIB", ChannelKind::Emg),
    ("PPG", ChannelKind::Ppg),
    ("PLETH", ChannelKind::Ppg),
    ("PULSE", ChannelKind::Ppg),
    ("RESP", ChannelKind::Respiration),
    ("RESPIRATION", ChannelKind::Respiration),
    ("THOR", ChannelKind::Respiration),
    ("THORAX", ChannelKind::Respiration),
    ("ABD", ChannelKind::Respiration),
    ("ABDOMEN", ChannelKind::Respiration),
    ("AIRFLOW", ChannelKind::Respiration),
    ("FLOW", ChannelKind::Respiration),
    ("NASAL", ChannelKind::Respiration),
    ("SNORE", ChannelKind::Respiration),
    ("SAO", ChannelKind::VitalSign),
    ("SPO", ChannelKind::VitalSign),
    ("HR", ChannelKind::VitalSign),
    ("ETCO", ChannelKind::VitalSign),
    ("ACC", ChannelKind::Accelerometer),
    ("ACCEL", ChannelKind::Accelerometer),
    ("ACCELEROMETER", ChannelKind::Accelerometer),
    ("GYR", ChannelKind::Gyroscope),
    ("GYRO", ChannelKind::Gyroscope),
    ("TEMP", ChannelKind::Temperature),
    ("TEMPERATURE", ChannelKind::Temperature),
    ("STATUS", ChannelKind::Trigger),
    ("TRIG", ChannelKind::Trigger),
    ("TRIGGER", ChannelKind::Trigger),
    ("EVENT", ChannelKind::Trigger),
    ("EVENTS", ChannelKind::Trigger),
    ("MARKER", ChannelKind::Trigger),
    ("MARKERS", ChannelKind::Trigger),
    ("STI", ChannelKind::Trigger),
    ("STIM", ChannelKind::Trigger),
    ("STATUS BITS", ChannelKind::Trigger),
];

/// Reads a label such as 'EEG Fp1-Ref', 'C3-A2', 'FP1', 'Fc5.', 'EOG(L)' or 'ECG1'.
///
/// The word before the blank is the kind, as the EDF+ texts ask; without one, a 10-10 name means
/// EEG. What follows the hyphen is the reference: an ear, mastoid or other usual reference site is
/// `Named`, any other position makes the channel `Bipolar`, and 'Ref' is `Unknown`.
#[must_use]
pub fn parse_label(label: &str) -> ParsedLabel {
    // PhysioNet's motor imagery files pad names with dots ('Fc5.').
    let label = label.trim().trim_end_matches('.').trim_end();
    if let Some((word, rest)) = label.split_once(char::is_whitespace)
        && let Some(kind) = kind_of_word(word)
    {
        let (electrode, reference) = split_inputs(rest.trim());
        // 'ECG ECG' repeats the kind and names no electrode.
        let electrode =
            named(electrode).filter(|name| kind.is_potential() && !name.eq_ignore_ascii_case(word));
        return ParsedLabel {
            kind,
            electrode,
            reference,
        };
    }
    let (input, reference) = split_inputs(label);
    if let Some(electrode) = Electrode::parse(input) {
        return ParsedLabel {
            kind: ChannelKind::Eeg,
            electrode: Some(electrode.name().to_owned()),
            reference,
        };
    }
    let word_end = input
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(input.len());
    let kind = kind_of_word(input)
        .or_else(|| kind_of_word(&input[..word_end]))
        .unwrap_or(ChannelKind::Other);
    ParsedLabel {
        kind,
        electrode: None,
        reference,
    }
}

/// [`parse_label`] over all labels of one device or file, which know more together: where inputs
/// are numbered A1 … A32, B1 … (BioSemi), A1 and A2 are sockets and no earlobes.
#[must_use]
pub fn parse_labels<L: AsRef<str>>(labels: &[L]) -> Vec<ParsedLabel> {
    let has = |name: &str| {
        labels
            .iter()
            .any(|label| label.as_ref().trim().eq_ignore_ascii_case(name))
    };
    let sockets = has("A3") && has("A4");
    labels
        .iter()
        .map(|label| {
            let mut parsed = parse_label(label.as_ref());
            let bare = label.as_ref().trim();
            if sockets && is_socket(bare) {
                parsed = ParsedLabel {
                    kind: ChannelKind::Eeg,
                    electrode: None,
                    reference: Reference::Unknown,
                };
            }
            parsed
        })
        .collect()
}

/// One letter A to H and a number from 1 to 32: a socket of a BioSemi amplifier.
fn is_socket(label: &str) -> bool {
    let mut chars = label.chars();
    let bank = chars.next().is_some_and(|c| ('A'..='H').contains(&c));
    bank && chars
        .as_str()
        .parse::<u8>()
        .is_ok_and(|number| (1..=32).contains(&number))
}

fn kind_of_word(word: &str) -> Option<ChannelKind> {
    KINDS
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(word))
        .map(|(_, kind)| *kind)
}

/// An electrode's name as it shall be kept; a number ('1', 'Channel-1', 'Ch 3') names none.
fn named(text: &str) -> Option<String> {
    if let Some(electrode) = Electrode::parse(text) {
        return Some(electrode.name().to_owned());
    }
    let word = text.trim_end_matches(|c: char| !c.is_ascii_alphabetic());
    let numbered = ["", "CH", "CHAN", "CHANNEL"]
        .iter()
        .any(|w| w.eq_ignore_ascii_case(word));
    (!numbered).then(|| text.to_owned())
}

/// Splits 'Fp1-Ref' into its input and what the second part says of the reference.
fn split_inputs(text: &str) -> (&str, Reference) {
    let parts = text
        .split_once(['-', '–'])
        .map(|(input, rest)| (input.trim(), rest.trim()));
    match parts {
        // 'Channel-1' is numbered, not referenced.
        Some((_, rest)) if rest.starts_with(|c: char| c.is_ascii_digit()) => {
            (text, Reference::Unknown)
        }
        Some((input, rest)) => (input, parse_reference(rest)),
        None => (text, Reference::Unknown),
    }
}

/// Sites that amplifiers use as the one reference of all channels, beside ears and mastoids.
const REFERENCE_SITES: [&str; 6] = ["Cz", "FCz", "CPz", "AFz", "TP9", "TP10"];

/// What a reference's name means: 'Ref' and blanks name no place, 'AVG' is an average, linked ears
/// are 'A1+A2', ears, mastoids and usual reference sites are themselves, others make it bipolar.
#[must_use]
pub fn parse_reference(text: &str) -> Reference {
    let upper = text.trim().trim_matches(['(', ')']).to_ascii_uppercase();
    match upper.as_str() {
        "" | "REF" | "REFERENCE" | "G" | "GND" | "0" | "X" => return Reference::Unknown,
        "AV" | "AVG" | "AVE" | "AR" | "CAR" | "AVERAGE" => return Reference::Average,
        "LE" | "A1A2" | "A1+A2" | "A12" | "LINKED EARS" => {
            return Reference::Named("A1+A2".to_owned());
        }
        "LM" | "M1M2" | "M1+M2" | "LINKED MASTOIDS" => return Reference::Named("M1+M2".to_owned()),
        "CMS" | "NOSE" => return Reference::Named(upper),
        _ => {}
    }
    match Electrode::parse(&upper) {
        Some(site) if site.is_ear() || REFERENCE_SITES.contains(&site.name()) => {
            Reference::Named(site.name().to_owned())
        }
        Some(site) => Reference::Bipolar(site.name().to_owned()),
        None => Reference::Bipolar(text.trim().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(label: &str, kind: ChannelKind, electrode: Option<&str>, reference: Reference) {
        let expected = ParsedLabel {
            kind,
            electrode: electrode.map(str::to_owned),
            reference,
        };
        assert_eq!(parse_label(label), expected, "{label}");
    }

    #[test]
    fn spellings_of_one_position_are_one() {
        for (one, other) in [
            ("FP1", "Fp1"),
            ("t3", "T7"),
            ("T4", "T8"),
            ("T5", "P7"),
            ("T6", "p8"),
        ] {
            assert_eq!(Electrode::parse(one), Electrode::parse(other), "{one}");
        }
        assert_eq!(
            Electrode::parse("T7").and_then(Electrode::old_name),
            Some("T3")
        );
        assert_eq!(Electrode::parse("LA1"), None);
    }

    #[test]
    fn every_name_is_its_own_and_finds_itself() {
        assert_eq!(Electrode::all().count(), NAMES.len());
        for electrode in Electrode::all() {
            assert_eq!(Electrode::parse(electrode.name()), Some(electrode));
        }
    }

    #[test]
    fn sides_follow_the_numbers() {
        let side = |name| Electrode::parse(name).map(Electrode::side);
        assert_eq!(side("Fp1"), Some(Side::Left));
        assert_eq!(side("FT10"), Some(Side::Right));
        assert_eq!(side("Cz"), Some(Side::Midline));
    }

    #[test]
    fn labels_of_the_field() {
        let named = |name: &str| Reference::Named(name.to_owned());
        let bipolar = |name: &str| Reference::Bipolar(name.to_owned());
        check(
            "EEG Fp1-Ref",
            ChannelKind::Eeg,
            Some("Fp1"),
            Reference::Unknown,
        );
        check(
            "EEG FP1-REF",
            ChannelKind::Eeg,
            Some("Fp1"),
            Reference::Unknown,
        );
        check("EEG T3-LE", ChannelKind::Eeg, Some("T7"), named("A1+A2"));
        check("EEG A2-A1", ChannelKind::Eeg, Some("A2"), named("A1"));
        check("EEG Fpz-Cz", ChannelKind::Eeg, Some("Fpz"), named("Cz"));
        check("EEG Pz-Oz", ChannelKind::Eeg, Some("Pz"), bipolar("Oz"));
        check("C4-M1", ChannelKind::Eeg, Some("C4"), named("M1"));
        check("FP1-F7", ChannelKind::Eeg, Some("Fp1"), bipolar("F7"));
        check("Cz-AVG", ChannelKind::Eeg, Some("Cz"), Reference::Average);
        check("Fc5.", ChannelKind::Eeg, Some("FC5"), Reference::Unknown);
        check(
            "EEG LA1-Ref",
            ChannelKind::Eeg,
            Some("LA1"),
            Reference::Unknown,
        );
        check("EEG 1", ChannelKind::Eeg, None, Reference::Unknown);
        check("ECG", ChannelKind::Ecg, None, Reference::Unknown);
        check("EKG1", ChannelKind::Ecg, None, Reference::Unknown);
        check("ECG ECG", ChannelKind::Ecg, None, Reference::Unknown);
        check("EEG Channel-1", ChannelKind::Eeg, None, Reference::Unknown);
        check("EOG E2-Cz", ChannelKind::Eog, Some("E2"), named("Cz"));
        check(
            "EMG chin R-ref",
            ChannelKind::Emg,
            Some("chin R"),
            Reference::Unknown,
        );
        check("EOG(L)", ChannelKind::Eog, None, Reference::Unknown);
        check(
            "EMG Chin",
            ChannelKind::Emg,
            Some("Chin"),
            Reference::Unknown,
        );
        check(
            "Resp thorax",
            ChannelKind::Respiration,
            None,
            Reference::Unknown,
        );
        check("SaO2", ChannelKind::VitalSign, None, Reference::Unknown);
        check("Status", ChannelKind::Trigger, None, Reference::Unknown);
        check(
            "Temp rectal",
            ChannelKind::Temperature,
            None,
            Reference::Unknown,
        );
        check("Sensor 7", ChannelKind::Other, None, Reference::Unknown);
        check("", ChannelKind::Other, None, Reference::Unknown);
    }

    #[test]
    fn numbered_sockets_are_no_earlobes() {
        let alone = parse_labels(&["C3", "A1", "A2"]);
        assert_eq!(alone[1].electrode.as_deref(), Some("A1"));
        let sockets = parse_labels(&["A1", "A2", "A3", "A4", "B1", "Status"]);
        assert!(
            sockets[..5]
                .iter()
                .all(|p| p.kind == ChannelKind::Eeg && p.electrode.is_none())
        );
        assert_eq!(sockets[5].kind, ChannelKind::Trigger);
    }
}
