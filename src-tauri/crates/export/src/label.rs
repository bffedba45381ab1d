//! Labels, units, transducers and prefilters as EDF+ writes them.
//!
//! Texts of an imported file can name a person; in a de-identified export of such a file only words
//! that are known to be harmless pass.

use crate::limits::{LABEL_CHARS, NUMBER_CHARS, TEXT_CHARS};
use crate::number;
use signal::{Channel, ChannelKind, HardwareFilter, Reference, Unit};

/// What a label starts with (EDF+ specification, "Standard texts and polarity rules", 1).
const fn kind_text(kind: ChannelKind) -> &'static str {
    match kind {
        ChannelKind::Eeg => "EEG",
        ChannelKind::Eog => "EOG",
        ChannelKind::Ecg => "ECG",
        ChannelKind::Emg => "EMG",
        ChannelKind::Ppg => "PPG",
        ChannelKind::Respiration => "Resp",
        ChannelKind::VitalSign => "Value",
        ChannelKind::Accelerometer => "Acc",
        ChannelKind::Gyroscope => "Gyro",
        ChannelKind::Temperature => "Temp",
        ChannelKind::Trigger => "Event",
        ChannelKind::Other => "Signal",
    }
}

/// Words that occur in labels and transducer texts and name no one, lower case.
const WORDS: &[&str] = &[
    "abd",
    "abdomen",
    "acc",
    "accel",
    "accelerometer",
    "active",
    "ag",
    "agagcl",
    "agcl",
    "air",
    "airflow",
    "arm",
    "aux",
    "average",
    "avf",
    "avg",
    "avl",
    "avr",
    "belt",
    "bip",
    "body",
    "cannula",
    "chan",
    "channel",
    "chest",
    "chin",
    "clip",
    "cms",
    "counter",
    "cup",
    "dc",
    "disc",
    "drl",
    "dry",
    "ecg",
    "eeg",
    "ekg",
    "electrode",
    "electrodes",
    "emg",
    "eog",
    "event",
    "ext",
    "finger",
    "flow",
    "gold",
    "gsr",
    "gyro",
    "heart",
    "hr",
    "ii",
    "iii",
    "le",
    "left",
    "leg",
    "light",
    "loc",
    "lower",
    "mark",
    "marker",
    "mastoid",
    "mic",
    "move",
    "nasal",
    "needle",
    "noise",
    "oral",
    "oximeter",
    "passive",
    "pleth",
    "pos",
    "position",
    "ppg",
    "pressure",
    "pulse",
    "rate",
    "ref",
    "reference",
    "resp",
    "respiration",
    "right",
    "roc",
    "sao2",
    "saw",
    "sensor",
    "signal",
    "sine",
    "sintered",
    "snore",
    "sound",
    "spo2",
    "square",
    "status",
    "stim",
    "sum",
    "surface",
    "temp",
    "temperature",
    "test",
    "thermistor",
    "thorax",
    "tibial",
    "trig",
    "trigger",
    "upper",
    "value",
    "wet",
    "wrist",
];

/// Letters that start an electrode's name in the 10-20 and 10-10 systems and common extensions.
const POSITIONS: &[&str] = &[
    "a", "af", "afp", "c", "cb", "cp", "cpp", "e", "ecg", "eeg", "emg", "eog", "exg", "f", "fc",
    "fcc", "fft", "fp", "ft", "ftt", "g", "i", "l", "m", "n", "nz", "o", "p", "pg", "po", "poo",
    "r", "sp", "t", "tp", "ttp", "v", "x", "y", "z", "iz", "oz", "ch",
];

fn harmless_token(token: &str) -> bool {
    let token = token.to_ascii_lowercase();
    if WORDS.contains(&token.as_str()) {
        return true;
    }
    let digits = token.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let letters = &token[..token.len() - digits.len()];
    let numbered = digits.chars().all(|c| c.is_ascii_digit()) && digits.len() <= 3;
    let letters = letters.strip_suffix('z').unwrap_or(letters);
    numbered && (letters.is_empty() || POSITIONS.contains(&letters))
}

/// Whether every word of `text` is known to name no one.
pub(crate) fn harmless(text: &str) -> bool {
    text.is_ascii()
        && text
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|token| !token.is_empty())
            .all(harmless_token)
}

/// `text` in printable ASCII: Latin letters lose their accents, µ becomes u, the rest `_`.
pub(crate) fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ' '..='~' => out.push(c),
            'µ' | 'μ' => out.push('u'),
            '°' => out.push_str("deg"),
            'ä' | 'à' | 'á' | 'â' | 'ã' | 'å' | 'ā' | 'ă' | 'ą' => out.push('a'),
            'Ä' | 'À' | 'Á' | 'Â' | 'Ã' | 'Å' | 'Ā' | 'Ă' | 'Ą' => out.push('A'),
            'ç' | 'ć' | 'č' => out.push('c'),
            'Ç' | 'Ć' | 'Č' => out.push('C'),
            'ď' | 'đ' => out.push('d'),
            'Ď' | 'Đ' => out.push('D'),
            'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ě' | 'ę' => out.push('e'),
            'È' | 'É' | 'Ê' | 'Ë' | 'Ē' | 'Ě' | 'Ę' => out.push('E'),
            'ğ' => out.push('g'),
            'Ğ' => out.push('G'),
            'ì' | 'í' | 'î' | 'ï' | 'ī' | 'ı' => out.push('i'),
            'Ì' | 'Í' | 'Î' | 'Ï' | 'Ī' | 'İ' => out.push('I'),
            'ł' | 'ľ' => out.push('l'),
            'Ł' | 'Ľ' => out.push('L'),
            'ñ' | 'ń' | 'ň' => out.push('n'),
            'Ñ' | 'Ń' | 'Ň' => out.push('N'),
            'ö' | 'ò' | 'ó' | 'ô' | 'õ' | 'ø' | 'ō' | 'ő' => out.push('o'),
            'Ö' | 'Ò' | 'Ó' | 'Ô' | 'Õ' | 'Ø' | 'Ō' | 'Ő' => out.push('O'),
            'ř' => out.push('r'),
            'Ř' => out.push('R'),
            'š' | 'ś' | 'ş' | 'ș' => out.push('s'),
            'Š' | 'Ś' | 'Ş' | 'Ș' => out.push('S'),
            'ť' | 'ţ' | 'ț' => out.push('t'),
            'Ť' | 'Ţ' | 'Ț' => out.push('T'),
            'ü' | 'ù' | 'ú' | 'û' | 'ū' | 'ů' | 'ű' => out.push('u'),
            'Ü' | 'Ù' | 'Ú' | 'Û' | 'Ū' | 'Ů' | 'Ű' => out.push('U'),
            'ý' | 'ÿ' => out.push('y'),
            'Ý' => out.push('Y'),
            'ž' | 'ź' | 'ż' => out.push('z'),
            'Ž' | 'Ź' | 'Ż' => out.push('Z'),
            'ß' => out.push_str("ss"),
            'æ' => out.push_str("ae"),
            'Æ' => out.push_str("Ae"),
            'œ' => out.push_str("oe"),
            'Œ' => out.push_str("Oe"),
            'Ω' => out.push_str("Ohm"),
            _ => out.push('_'),
        }
    }
    out
}

/// `text` in ASCII, cut to `chars`.
pub(crate) fn cut(text: &str, chars: usize) -> String {
    let mut text = ascii(text);
    text.truncate(chars);
    text.trim().to_owned()
}

/// The channel's label in at most 16 characters: the source's own where it is an EDF+ text already,
/// else kind, electrode and reference ('EEG Fp1-Ref'). `guarded` lets only harmless words pass;
/// `position` numbers a label that did not.
pub(crate) fn label(channel: &Channel, position: usize, guarded: bool) -> String {
    let own = channel.label.trim();
    let kind = kind_text(channel.kind);
    if guarded && !harmless(own) {
        let electrode = channel.electrode.as_deref().filter(|name| harmless(name));
        return match electrode {
            Some(name) => cut(&format!("{kind} {name}"), LABEL_CHARS),
            None => format!("{kind} {}", position + 1),
        };
    }
    let typed = own
        .split_once(' ')
        .is_some_and(|(first, rest)| first == kind && !rest.is_empty());
    let label = match (&channel.electrode, channel.kind.is_potential()) {
        (Some(electrode), true) if !typed => {
            let reference = match &channel.reference {
                Reference::Named(name) | Reference::Bipolar(name) => name.as_str(),
                Reference::Average => "Avg",
                Reference::Unknown => "Ref",
            };
            let full = format!("{kind} {electrode}-{reference}");
            if ascii(&full).len() <= LABEL_CHARS {
                full
            } else {
                format!("{kind} {electrode}")
            }
        }
        _ if own.is_empty() => format!("{kind} {}", position + 1),
        _ => own.to_owned(),
    };
    cut(&label, LABEL_CHARS)
}

/// The unit in EDF+ characters, and what a value in the channel's own unit is multiplied by to be in
/// it: EEG, EOG and EMG are written in microvolts whatever their source used.
pub(crate) fn unit(channel: &Channel) -> (String, f64) {
    let microvolts = channel.unit.microvolts();
    let in_microvolts = matches!(
        channel.kind,
        ChannelKind::Eeg | ChannelKind::Eog | ChannelKind::Emg
    );
    if let (true, Some(factor)) = (in_microvolts, microvolts) {
        return ("uV".to_owned(), factor);
    }
    let text = match &channel.unit {
        Unit::Nanovolt => "nV",
        Unit::Microvolt => "uV",
        Unit::Millivolt => "mV",
        Unit::Volt => "V",
        Unit::Percent => "%",
        Unit::G => "g",
        Unit::DegreePerSecond => "deg/s",
        Unit::DegreeCelsius => "degC",
        Unit::PerMinute => "/min",
        Unit::Count => "",
        // Free text of the source: only what a unit is made of.
        Unit::Other(text) => {
            let kept: String = ascii(text)
                .chars()
                .filter(|c| c.is_ascii_alphanumeric() || "/%^*.-".contains(*c))
                .take(NUMBER_CHARS)
                .collect();
            return (kept, 1.0);
        }
    };
    (text.to_owned(), 1.0)
}

/// The hardware filters ('HP:0.1Hz LP:75Hz N:50Hz'); blank when none is known. The source's own text
/// is taken where no numbers are known, unless `guarded`.
pub(crate) fn prefilter(filter: &HardwareFilter, guarded: bool) -> String {
    let parts: Vec<String> = [
        ("HP", filter.high_pass_hz),
        ("LP", filter.low_pass_hz),
        ("N", filter.notch_hz),
    ]
    .into_iter()
    .filter_map(|(name, hz)| Some(format!("{name}:{}Hz", number::fit(hz?)?)))
    .collect();
    if parts.is_empty() && !guarded {
        return cut(&filter.text, TEXT_CHARS);
    }
    cut(&parts.join(" "), TEXT_CHARS)
}

/// The transducer; blank when unknown, or when `guarded` and not made of harmless words.
pub(crate) fn transducer(text: &str, guarded: bool) -> String {
    if guarded && !harmless(text) {
        return String::new();
    }
    cut(text, TEXT_CHARS)
}

/// Ends equal labels in `~2`, `~3`… where `changed` says that cutting or guarding made them equal;
/// labels that are equal in the source stay as they are.
pub(crate) fn distinguish(labels: &mut [(String, bool)]) {
    for i in 0..labels.len() {
        if !labels[i].1 {
            continue;
        }
        let mut n = 2;
        while labels
            .iter()
            .enumerate()
            .any(|(j, (label, _))| j != i && *label == labels[i].0)
        {
            let suffix = format!("~{n}");
            let mut base = labels[i].0.clone();
            if let Some(at) = base.rfind('~') {
                base.truncate(at);
            }
            base.truncate(LABEL_CHARS - suffix.len());
            labels[i].0 = base + &suffix;
            n += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_follow_the_standard_texts() {
        let mut channel = Channel::eeg("Fp1", 0.1, Reference::Unknown);
        assert_eq!(label(&channel, 0, false), "EEG Fp1-Ref");
        channel.reference = Reference::Named("A1".to_owned());
        assert_eq!(label(&channel, 0, false), "EEG Fp1-A1");
        channel.reference = Reference::Named("LinkedMastoids".to_owned());
        assert_eq!(label(&channel, 0, false), "EEG Fp1");
        channel.label = "EEG Fp1-LE".to_owned();
        assert_eq!(label(&channel, 0, false), "EEG Fp1-LE");
        channel.label = "A label that is far too long".to_owned();
        channel.electrode = None;
        assert_eq!(label(&channel, 0, false), "A label that is");
    }

    #[test]
    fn a_name_in_a_label_does_not_pass() {
        let mut channel = Channel::eeg("Fp1", 0.1, Reference::Unknown);
        channel.label = "Testperson".to_owned();
        channel.electrode = None;
        assert_eq!(label(&channel, 4, true), "EEG 5");
        for text in [
            "EEG Fp1-Ref",
            "ECG II",
            "Pos Sensor",
            "SaO2",
            "EOG(L)",
            "A2-A1",
            "Cz",
        ] {
            channel.label = text.to_owned();
            assert_eq!(label(&channel, 4, true), text);
        }
        assert_eq!(transducer("AgAgCl electrode", true), "AgAgCl electrode");
        assert_eq!(transducer("cap of Test^Patient", true), "");
    }

    #[test]
    fn prefilter_names_hardware_filters_only() {
        let mut filter = HardwareFilter {
            high_pass_hz: Some(0.1),
            low_pass_hz: Some(75.0),
            notch_hz: Some(50.0),
            text: "as Test^Patient wished".to_owned(),
        };
        assert_eq!(prefilter(&filter, true), "HP:0.1Hz LP:75Hz N:50Hz");
        filter = HardwareFilter {
            text: filter.text,
            ..HardwareFilter::default()
        };
        assert_eq!(prefilter(&filter, true), "");
        assert_eq!(prefilter(&filter, false), "as Test^Patient wished");
    }

    #[test]
    fn cutting_does_not_make_two_channels_one() {
        let mut labels = vec![
            ("EEG A".to_owned(), false),
            ("EEG A".to_owned(), false),
            ("A label that is".to_owned(), true),
            ("A label that is".to_owned(), true),
        ];
        distinguish(&mut labels);
        assert_eq!(labels[0].0, labels[1].0);
        assert_ne!(labels[2].0, labels[3].0);
        assert!(labels.iter().all(|(label, _)| label.len() <= LABEL_CHARS));
    }

    #[test]
    fn units_are_ascii() {
        let mut channel = Channel::eeg("Fp1", 0.1, Reference::Unknown);
        channel.unit = Unit::Volt;
        assert_eq!(unit(&channel), ("uV".to_owned(), 1e6));
        channel.unit = Unit::Other("°C für".to_owned());
        assert_eq!(unit(&channel).0, "degCfur");
    }
}
