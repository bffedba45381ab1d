//! Words the engine says in English as codes or fixed texts, in the language of the page. What is not
//! known here is shown as it came.

use super::{Language, Text, t};

const fn text(en: &'static str, de: &'static str) -> Text {
    Text { en, de }
}

/// Codes of annotations and findings.
const CODES: &[(&str, Text)] = &[
    ("eyes_open", text("Eyes open", "Augen auf")),
    ("eyes_closed", text("Eyes closed", "Augen zu")),
    ("movement", text("Movement", "Bewegung")),
    ("chewing", text("Chewing", "Kauen")),
    ("drowsy", text("Drowsy", "Schläfrig")),
    (
        "hyperventilation_begin",
        text("Hyperventilation begins", "Hyperventilation beginnt"),
    ),
    (
        "hyperventilation_end",
        text("Hyperventilation ends", "Hyperventilation endet"),
    ),
    (
        "photic_begin",
        text("Photic stimulation begins", "Fotostimulation beginnt"),
    ),
    (
        "photic_end",
        text("Photic stimulation ends", "Fotostimulation endet"),
    ),
    (
        "electrode_repair",
        text("Electrode repaired", "Elektrode ausgebessert"),
    ),
    ("medication", text("Medication", "Medikament")),
    (
        "clinical_event",
        text("Clinical event", "Klinisches Ereignis"),
    ),
    ("patient_event", text("Patient event", "Patientenereignis")),
    ("flat", text("flat", "flach")),
    ("railed", text("railed", "am Anschlag")),
    ("mains", text("mains", "Netzbrummen")),
    ("muscle", text("muscle", "Muskel")),
    ("electrode_pop", text("electrode pop", "Elektrodensprung")),
    ("excessive", text("excessive", "übergroß")),
    ("gap", text("gap", "Lücke")),
    ("stale", text("no data", "keine Daten")),
    ("no_data", text("no data", "keine Daten")),
    ("ct", text("CT", "CT")),
    (
        "hyperventilation",
        text("Hyperventilation", "Hyperventilation"),
    ),
    ("photic", text("Photic stimulation", "Fotostimulation")),
];

/// Words that the canvas writes, by its keys.
const CANVAS: &[(&str, Text)] = &[
    (
        "uncalibrated",
        text("uncalibrated screen", "Bildschirm nicht kalibriert"),
    ),
    ("gap", text("gap", "Lücke")),
    ("lasts", text("lasts", "dauert an")),
    ("no_data", text("no data", "keine Daten")),
    ("negative_up", text("negative up", "negativ oben")),
    ("positive_up", text("positive up", "positiv oben")),
    ("frozen", text("frozen", "angehalten")),
    ("waiting", text("waiting for data", "wartet auf Daten")),
    ("simulated", text("SIMULATED", "SIMULIERT")),
    ("playback", text("PLAYBACK", "WIEDERGABE")),
    ("stale", text("no data", "keine Daten")),
    ("railed", text("railed", "am Anschlag")),
    ("flat", text("flat", "flach")),
    ("noisy", text("noisy", "gestört")),
    (
        "unreadable",
        text("messages could not be read", "Nachrichten nicht lesbar"),
    ),
];

/// The word for a code; `fallback` when it is not known.
#[must_use]
pub fn word<'a>(code: &str, fallback: &'a str) -> &'a str {
    CODES
        .iter()
        .find(|(known, _)| *known == code)
        .map_or(fallback, |(_, text)| t(*text))
}

/// An annotation as it is read: a coded one in the language of the page, unless someone wrote more with it.
#[must_use]
pub fn annotation<'a>(code: Option<&str>, written: &'a str) -> &'a str {
    let known = code.and_then(|code| CODES.iter().find(|(known, _)| *known == code));
    match known {
        Some((_, text)) if written.is_empty() || written == text.en || written == text.de => {
            t(*text)
        }
        _ => written,
    }
}

/// Words for the canvas by key.
#[must_use]
pub fn canvas() -> std::collections::BTreeMap<String, String> {
    CANVAS
        .iter()
        .map(|(key, text)| ((*key).to_owned(), t(*text).to_owned()))
        .collect()
}

/// What is written into the record for a code: the record is read elsewhere and speaks English.
#[must_use]
pub fn recorded<'a>(code: &str, fallback: &'a str) -> &'a str {
    word_in(code, Language::English).unwrap_or(fallback)
}

/// The word for a code in a language.
#[must_use]
pub fn word_in(code: &str, language: Language) -> Option<&'static str> {
    let (_, text) = CODES.iter().find(|(known, _)| *known == code)?;
    Some(text.in_language(language))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_words_and_strangers_keep_their_text() {
        assert_eq!(word("eyes_open", "x"), "Eyes open");
        assert_eq!(word("made_up", "Made up"), "Made up");
        assert_eq!(word_in("drowsy", Language::German), Some("Schläfrig"));
        assert_eq!(annotation(Some("drowsy"), "Schläfrig"), "Drowsy");
        assert_eq!(annotation(Some("drowsy"), ""), "Drowsy");
        assert_eq!(
            annotation(Some("drowsy"), "Drowsy; effort: good"),
            "Drowsy; effort: good"
        );
        assert_eq!(annotation(None, "coughs"), "coughs");
    }

    #[test]
    fn every_coded_annotation_of_the_protocols_has_a_word_in_each_language() {
        let protocols = [
            include_str!("../../../../assets/protocols/routine-eeg.toml"),
            include_str!("../../../../assets/protocols/free-recording.toml"),
        ];
        for protocol in protocols {
            let table: toml::Table = protocol.parse().unwrap();
            for annotation in table["annotations"].as_array().unwrap() {
                let code = annotation["code"].as_str().unwrap();
                assert!(
                    word_in(code, Language::German).is_some(),
                    "{code} has no word"
                );
            }
        }
    }
}
