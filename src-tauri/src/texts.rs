//! What the shell itself says to people: only where the page cannot. English and German.

/// The shell's texts in one language.
#[derive(Debug)]
pub(crate) struct Texts {
    pub(crate) recording_goes_on: &'static str,
    pub(crate) close_window: &'static str,
    pub(crate) stay: &'static str,
    pub(crate) stop_failed: &'static str,
    pub(crate) page_given_up: &'static str,
}

const ENGLISH: Texts = Texts {
    recording_goes_on: "A session is recording. It goes on without this window; open the program again to see it. \
                        Close the window?",
    close_window: "Close the window",
    stay: "Stay",
    stop_failed: "The emergency stop did not reach every device. Take the electrodes off or pull the device's plug.",
    page_given_up: "The page of this window has stopped again and again. A recording that is under way goes on. \
                    Close the program and open it again.",
};

const GERMAN: Texts = Texts {
    recording_goes_on: "Eine Sitzung wird aufgezeichnet. Sie läuft ohne dieses Fenster weiter; öffnen Sie das \
                        Programm wieder, um sie zu sehen. Fenster schließen?",
    close_window: "Fenster schließen",
    stay: "Bleiben",
    stop_failed: "Der Not-Halt hat nicht jedes Gerät erreicht. Elektroden abnehmen oder Gerät vom Netz trennen.",
    page_given_up: "Die Seite dieses Fensters bleibt immer wieder stehen. Eine laufende Aufzeichnung geht weiter. \
                    Schließen Sie das Programm und öffnen Sie es wieder.",
};

/// Texts in the system's language, else English.
pub(crate) fn texts() -> &'static Texts {
    let language = ["LC_ALL", "LC_MESSAGES", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    match language {
        Some(language) if language.starts_with("de") => &GERMAN,
        _ => &ENGLISH,
    }
}
