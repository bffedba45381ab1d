//! Texts of reading, writing and signing reports.

use super::texts;

texts! {
    THE_REPORT = "the report", "Der Befund";
    CHOOSE = "Choose a session", "Sitzung wählen";
    NONE_YET = "No session has a report yet. It is made when a recording ends.", "Noch keine Sitzung hat einen Befund. Er entsteht, wenn eine Aufzeichnung endet.";
    NOT_MADE = "The report is not made yet. It follows the analysis; this page shows it then.", "Der Befund ist noch nicht erstellt. Er folgt der Auswertung; diese Seite zeigt ihn dann.";
    MAKE = "Make the report now", "Befund jetzt erstellen";
    MAKING = "Making the report …", "Der Befund wird erstellt …";
    PREVIEW = "Preview of the report", "Vorschau des Befunds";
    IMPRESSION = "Impression", "Eindruck";
    CONCLUSION = "Conclusion", "Beurteilung";
    SAVE_DRAFT = "Save draft", "Entwurf speichern";
    DRAFT_SAVED = "Draft saved.", "Entwurf gespeichert.";
    UNSAVED = "not saved yet", "noch nicht gespeichert";
    SIGN = "Sign", "Unterschreiben";
    SIGN_TITLE = "Sign the report", "Befund unterschreiben";
    SIGN_TEXT = "The signature is bound to this report and this recording. A signed report never changes; it can only be amended.", "Die Unterschrift gilt für diesen Befund und diese Aufzeichnung. Ein unterschriebener Befund ändert sich nie; er kann nur ergänzt werden.";
    SIGN_AS = "Signing as", "Es unterschreibt";
    SIGN_AT = "Time", "Zeit";
    SIGN_MEANING = "Meaning", "Bedeutung";
    MEANING_AUTHOR = "I have read this recording and wrote this report", "Ich habe diese Aufzeichnung gelesen und diesen Befund verfasst";
    MEANING_REVIEWED = "I have reviewed this report and agree", "Ich habe diesen Befund geprüft und stimme zu";
    SIGNED = "Report signed.", "Befund unterschrieben.";
    SIGNATURES = "Signatures", "Unterschriften";
    NOT_SIGNED = "Not signed", "Nicht unterschrieben";
    SIGNED_BY = "{name}, {at}", "{name}, {at}";
    AMEND = "Amend", "Ergänzen";
    AMEND_TITLE = "Amend the signed report", "Unterschriebenen Befund ergänzen";
    AMEND_TEXT = "The report stays as it was signed; the addendum is signed as well.", "Der Befund bleibt, wie er unterschrieben wurde; die Ergänzung wird ebenfalls unterschrieben.";
    ADDENDUM = "Addendum", "Ergänzung";
    ADDENDA = "Addenda", "Ergänzungen";
    AMENDED = "Addendum signed.", "Ergänzung unterschrieben.";
    PDF = "Save as PDF", "Als PDF sichern";
    PDF_TITLE = "Write the report out", "Befund ausgeben";
    PDF_TEXT = "The document names the patient. Where it goes stands in the ledger.", "Das Dokument nennt den Patienten. Wohin es geht, steht im Nachweis.";
    PDF_PATH = "File", "Datei";
    PDF_WRITTEN = "Written: {path}", "Geschrieben: {path}";
    HASH_REPORT = "Report SHA-256", "Befund SHA-256";
    HASH_RECORDING = "Recording SHA-256", "Aufzeichnung SHA-256";
    LEDGER_ENTRY = "Ledger entry {n}", "Nachweiseintrag {n}";
    ONLY_CLINICIANS = "Reports are signed by clinicians.", "Befunde unterschreiben Ärztinnen und Ärzte.";
}
