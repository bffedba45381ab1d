//! Texts of the ledger.

use super::texts;

texts! {
    THE_LEDGER = "the ledger", "Der Nachweis";
    TITLE = "Ledger", "Nachweis";
    SUMMARY = "{n} entries in all", "{n} Einträge insgesamt";
    SEQUENCE = "No.", "Nr.";
    KIND = "Kind", "Art";
    ACTOR = "Who", "Wer";
    PAYLOAD = "What", "Was";
    HASH = "Hash", "Hash";
    FILTER_KIND = "Only kind", "Nur Art";
    ALL_KINDS = "all kinds", "alle Arten";
    FILTER_SESSION = "Only session", "Nur Sitzung";
    FILTER_HINT = "Opaque id of a session", "Kennung einer Sitzung";
    OLDER = "Older entries", "Ältere Einträge";
    NO_ENTRIES = "No entry matches these filters.", "Kein Eintrag passt zu diesen Filtern.";
    VERIFY = "Verify the whole ledger", "Ganzen Nachweis prüfen";
    VERIFYING = "Verifying: {what}", "Prüfung: {what}";
    NOT_VERIFIED = "Not verified in this window yet.", "In diesem Fenster noch nicht geprüft.";
    SOUND = "SOUND", "UNVERSEHRT";
    SOUND_TEXT = "{entries} entries and {checkpoints} checkpoints hold; verified {time}.", "{entries} Einträge und {checkpoints} Prüfpunkte halten; geprüft {time}.";
    BROKEN = "BROKEN", "GEBROCHEN";
    BROKEN_TEXT = "First bad entry: {first}", "Erster falscher Eintrag: {first}";
    BROKEN_REMEDY = "Change nothing on this station. Call hospital IT, and keep the last backup safe.", "Ändern Sie an dieser Station nichts. Rufen Sie die IT des Hauses, und bewahren Sie die letzte Sicherung auf.";
    ROOT = "Root hash", "Wurzel-Hash";
    VERIFIER_KEY = "Verifier key", "Prüfschlüssel";
    PROOF = "Proof", "Beweis";
    PROOF_TITLE = "Proof of entry {n}", "Beweis zu Eintrag {n}";
    PROOF_TEXT = "Anyone can check this offline, without this station: entry, path to the root, signed checkpoint.", "Jeder kann dies ohne diese Station prüfen: Eintrag, Weg zur Wurzel, unterschriebener Prüfpunkt.";
    DOWNLOAD = "Save as file", "Als Datei sichern";
    CHECKPOINT = "Latest checkpoint", "Letzter Prüfpunkt";
}
