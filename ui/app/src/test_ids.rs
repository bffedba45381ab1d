//! Ids of the controls that tests of the window drive, so that a change of texts or layout breaks none.
//! Rows of tables and items of lists carry `data-id` with the opaque id of what they show beside these.

/// Declares ids, and the list of all.
macro_rules! ids {
    ($($name:ident = $id:literal, $what:literal;)*) => {
        $(
            #[doc = $what]
            pub const $name: &str = $id;
        )*
        /// All of them with what they are.
        pub const ALL: &[(&str, &str)] = &[$(($id, $what)),*];
    };
}

ids! {
    PROGRAM = "program", "everything, once the pages are there; data-page names the page shown";
    NAV = "nav", "the bar of pages; its links are nav-0 (worklist) to nav-5 (settings)";
    EMERGENCY_STOP = "emergency-stop", "the emergency stop";
    EMERGENCY_RESULT = "emergency-result", "what the emergency stop reached";
    PRIVACY = "privacy", "hides or shows the patient's identity";
    LOCK = "lock", "locks the window";
    SIGN_OUT = "sign-out", "signs out";
    USER = "user", "name of the person who is signed in";
    DIALOG = "dialog", "the open dialog";
    DIALOG_CLOSE = "dialog-close", "closes it without doing anything";
    DIALOG_OK = "dialog-ok", "does what the dialog asks about";
    ERROR = "error", "an error: what happened, what is safe, what to do; data-code has its code";
    NOTICES = "notices", "the notices";
    PATIENT_BANNER = "patient-banner", "the patient's name, birth date and hospital number";
    PATIENT_NAME = "patient-name", "name in the banner";
    PROVENANCE = "provenance", "SIMULATED or PLAYBACK";
    LOGIN = "login", "field of the login";
    PASSWORD = "password", "field of the password";
    PASSWORD_AGAIN = "password-again", "the same again for the first administrator";
    DISPLAY_NAME = "display-name", "name to show";
    SIGN_IN = "sign-in", "signs in, unlocks, or makes the first administrator";
    BREAK_GLASS = "break-glass", "opens the form of the emergency access";
    BREAK_GLASS_NAME = "break-glass-name", "who it is";
    BREAK_GLASS_REASON = "break-glass-reason", "why";
    BREAK_GLASS_NOW = "break-glass-now", "opens";
    WORKLIST_SEARCH = "worklist-search", "field of the search";
    WORKLIST_DATE = "worklist-date", "the day";
    WORKLIST_TABLE = "worklist-table", "the table; rows have data-id with the patient's id, data-session and data-state";
    NEW_PATIENT = "new-patient", "opens the form of a new patient";
    START_NOW = "start-now", "opens the choice of a device for 'start now'; devices are start-now-device with data-id";
    ROW_START = "row-start", "a row's 'Start'";
    ROW_WATCH = "row-watch", "a row's 'Watch'";
    ROW_RESUME = "row-resume", "a row's 'Resume'";
    ROW_READ = "row-read", "a row's 'Read' or 'Read and sign'";
    ROW_ORDER = "row-order", "a row's 'Order'";
    ROW_EDIT = "row-edit", "a row's 'Edit'";
    ROW_CONSENT = "row-consent", "a row's consent";
    FAMILY_NAME = "family-name", "field of the patient form";
    GIVEN_NAME = "given-name", "field of the patient form";
    BIRTH_DATE = "birth-date", "field of the patient form";
    SEX = "sex", "field of the patient form: female, male, unknown";
    HOSPITAL_NUMBER = "hospital-number", "field of the patient form";
    TRAINING = "training", "check box of the patient form";
    DEVICE_LIST = "device-list", "devices found; each is device with data-id";
    FIND_DEVICES = "find-devices", "looks again";
    MEASURE = "measure", "measures impedances";
    HEAD_MAP = "head-map", "the head; electrodes are electrode with data-id and data-grade";
    PROTOCOL = "protocol", "choice of the protocol";
    DURATION = "duration", "planned length, minutes";
    UNLIMITED = "unlimited", "until stopped";
    COMPARED = "compared", "name and birth date compared";
    START = "start", "starts the recording";
    START_BLOCKED = "start-blocked", "why it cannot be started";
    STEPS = "steps", "steps of the workflow; each has data-step and data-state";
    REC = "rec", "REC, with data-recording true or false";
    ELAPSED = "elapsed", "recorded so far";
    REMAINING = "remaining", "what remains";
    STORED = "stored", "the second last stored";
    DISK = "disk", "hours of disk left";
    CLOCK = "clock", "the wall clock";
    CANVAS = "scope", "the canvas of the traces";
    CANVAS_TWIN = "scope-twin", "the same in words; data-frames, data-generation, data-newest-ns, data-montage, data-from-ns, data-left and data-width of the traces within the canvas; rows have data-row, data-y and data-up";
    MONTAGE = "montage", "choice of the montage";
    SENSITIVITY = "sensitivity", "choice of the sensitivity, µV/mm";
    TIME_BASE = "time-base", "choice of the time base, s/page";
    LFF = "lff", "choice of the low frequency filter";
    HFF = "hff", "choice of the high frequency filter";
    NOTCH = "notch", "choice of the notch";
    MODE = "mode", "sweep or scroll";
    POLARITY = "polarity", "negative up or down";
    FREEZE = "freeze", "freezes the traces or goes on";
    LOOK_BACK = "look-back", "pages back while recording goes on";
    QUALITY = "quality", "quality of the channels; each has data-id with its label and data-grade";
    ALERTS = "alerts", "alerts; each has data-issue and data-active";
    MUTE = "mute", "mutes their sound";
    MARK_BUTTONS = "marks", "buttons of coded annotations; each is mark with data-id of its code";
    NOTE = "note", "field of the note";
    NOTE_SEND = "note-send", "keeps the note";
    ANNOTATIONS = "annotations", "annotations; each is annotation with data-id";
    ACTIVATIONS = "activations", "activations; each has data-id, buttons activation-begin and activation-end";
    PHOTIC_STOP = "photic-stop", "stops the light at once";
    PAUSED = "paused", "says that the patient is off the device";
    CONSENT_BAND = "consent-band", "says that consent was refused or taken back while recording";
    CT = "ct", "disconnected for CT, and back";
    RELABEL = "relabel", "relabels an electrode";
    REASSIGN = "reassign", "gives the session to another patient";
    END = "end", "ends the recording; asks first";
    OPEN_REVIEW = "open-review", "to the recording's review";
    OPEN_REPORT = "open-report", "to the session's report";
    RECORDINGS = "recordings", "choice of a recording or report; each has data-id of its session";
    PAGE_BACK = "page-back", "a page back";
    PAGE_ON = "page-on", "a page on";
    TO_BEGIN = "to-begin", "to the begin";
    TO_END = "to-end", "to the end";
    OVERVIEW = "overview", "bar of the whole recording";
    ADD_ANNOTATION = "add-annotation", "opens the form of an annotation";
    ANNOTATION_FILTER = "annotation-filter", "field that filters annotations";
    ANNOTATION_TEXT = "annotation-text", "description in the form";
    ANNOTATION_DURATION = "annotation-duration", "length in the form, s";
    MEASUREMENT = "measurement", "what the frame measures; data-amplitude, data-duration, data-frequency, data-from-ns, data-unit";
    GAPS = "gaps", "gaps of the recording";
    REPORT_FRAME = "report-frame", "preview of the report";
    REPORT_MAKE = "report-make", "makes the report";
    IMPRESSION = "impression", "the impression";
    CONCLUSION = "conclusion", "the conclusion";
    SAVE_DRAFT = "save-draft", "keeps both";
    SIGN_REPORT = "sign-report", "opens the signature";
    SIGN_PASSWORD = "sign-password", "password of the signature";
    SIGN_MEANING = "sign-meaning", "its meaning";
    SIGNATURES = "signatures", "signatures of the report";
    AMEND = "amend", "opens the addendum";
    ADDENDUM = "addendum", "text of the addendum";
    PDF = "pdf", "writes the report out";
    PDF_PATH = "pdf-path", "file it is written to";
    LEDGER_TABLE = "ledger-table", "entries; rows have data-id with the sequence";
    LEDGER_KIND = "ledger-kind", "only this kind";
    LEDGER_SESSION = "ledger-session", "only this session";
    LEDGER_VERIFY = "ledger-verify", "verifies the ledger";
    LEDGER_SEAL = "ledger-seal", "what was found; data-sound true or false";
    LEDGER_PROOF = "ledger-proof", "a row's proof";
    PROOF_TEXT = "proof-text", "the proof";
    PROOF_COPY = "proof-copy", "copies it";
    PROOF_SAVE = "proof-save", "saves it as a file";
    SUPPORT = "support", "saves the support bundle";
    DOCTOR = "doctor", "findings; each has data-level";
    RULER = "ruler", "length of the bar";
    RULER_SAVE = "ruler-save", "keeps it";
    TIMING = "timing", "measures the timing certificate";
    TIMING_RESULT = "timing-result", "what was measured";
    POLICIES = "policies", "policies; rows have data-id with the name";
    USERS = "users", "users; rows have data-id";
    ADD_USER = "add-user", "opens the form of a user";
    ROLE = "role", "field of the user form";
    LANGUAGE = "language", "choice of the language";
    THEME = "theme", "choice of the theme";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_stands_twice() {
        let mut seen = std::collections::BTreeSet::new();
        for (id, what) in ALL {
            assert!(seen.insert(id), "{id} stands twice");
            assert!(!what.is_empty());
        }
    }
}
