//! What happens beside a recording: the window locks itself, consent is taken back, the patient goes to the
//! scanner, an electrode has another name, notes are typed while keys mark. None of it stops the recording.

use desktop_tests::{Bedside, PATIENCE, Person, css};
use serde_json::json;
use std::time::Duration;

const PASSWORD: &str = "correct horse battery staple";
const ENTER: &str = "\u{e007}";
const F5: &str = "\u{e035}";

fn records(person: Person<'_>) -> bool {
    person.attribute("rec", "data-recording") == "true"
}

/// A clinician at a station with a training patient, at the first page.
fn at_work(person: Person<'_>) {
    person.makes_first_administrator("ada", PASSWORD);
    person.adds_user("carl", "Carl Clinician", "clinician", PASSWORD);
    person.press("sign-out");
    person.signs_in("carl", PASSWORD);
    person.registers_training_patient("Training", "Tilda", "1971-04-02", "00012345");
}

/// Annotations that the list shows.
fn marks(person: Person<'_>) -> usize {
    let found = person.page.run(
        "return document.querySelectorAll(arguments[0]).length",
        json!([css("annotation")]),
    );
    found.as_u64().map_or(0, |count| count as usize)
}

#[test]
fn a_window_that_locks_itself_keeps_what_cannot_wait() {
    let folder = tempfile::tempdir().expect("a folder");
    let policy = folder.path().join("policy.toml");
    std::fs::write(&policy, "lock_after_s = 60\n").expect("a policy");
    let policy = policy.to_str().expect("a path").to_owned();
    let bedside = Bedside::with_screen(1_440, 900, &[("NEURASCALE_POLICY_FILE", &policy)]);
    let window = bedside.open();
    let carl = Person { page: &window.page };
    at_work(carl);
    carl.starts_session("Training");
    let before = carl.sees_traces();
    assert!(
        carl.reads("patient-banner")
            .to_lowercase()
            .contains("training, tilda")
    );

    carl.waits(Duration::from_secs(90), "the window locks itself", || {
        !carl.sees("nav")
    });
    // The recording, its traces and its stop stay; who lies there is not to be read any more.
    assert!(records(carl));
    assert!(
        !carl
            .reads("patient-banner")
            .to_lowercase()
            .contains("tilda")
    );
    let frames = || carl.sees_traces();
    carl.waits(PATIENCE, "traces go on", || frames() > before);
    for gone in ["end", "note", "relabel", "settings-users"] {
        assert!(
            !carl.sees(gone) || carl.find_inert(gone),
            "{gone} is within reach of anyone"
        );
    }
    window.page.keys(F5);
    carl.press("emergency-stop");
    carl.waits(PATIENCE, "what the stop reached", || {
        carl.sees("emergency-result")
    });

    // A wrong password opens nothing, another person's own opens the window to them.
    carl.tries_to_sign_in("carl", "wrong");
    carl.waits(PATIENCE, "the refusal", || carl.sees("error"));
    assert!(!carl.sees("nav"));
    carl.signs_in("ada", PASSWORD);
    assert!(carl.reads("user").contains("Ada"));
    assert!(records(carl));
    carl.waits(
        PATIENCE,
        "the key marked while the window was locked",
        || marks(carl) >= 1,
    );
    let session = bedside.station.ok(&["--no-start", "engine", "status"]);
    assert_eq!(
        session["running_sessions"].as_array().map(Vec::len),
        Some(1)
    );
}

#[test]
fn notes_consent_scanner_names_and_light_leave_the_recording_alone() {
    let bedside = Bedside::new();
    let window = bedside.open();
    let page = &window.page;
    let carl = Person { page };
    at_work(carl);
    carl.finds_patient("Training");
    carl.opens_dialog("row-consent");
    carl.press("consent-granted");
    carl.starts_session("Training");
    carl.sees_traces();

    // Keys mark in the midst of a note, letters that are keys elsewhere are letters, and Enter keeps it.
    let montage = carl.attribute("scope-twin", "data-montage");
    carl.press("note");
    page.keys("man [yawns]");
    page.keys(F5);
    page.keys(" + jerks?");
    let typed = page.run(
        "return document.querySelector(arguments[0]).value",
        json!([css("note")]),
    );
    assert_eq!(typed, "man [yawns] + jerks?");
    page.keys(ENTER);
    carl.waits(PATIENCE, "note and mark are in the list", || {
        marks(carl) >= 2 && carl.reads("annotations").contains("man [yawns] + jerks?")
    });
    assert_eq!(carl.attribute("scope-twin", "data-montage"), montage);
    // The last one is taken back: the list lacks it, the record keeps both.
    let shown = marks(carl);
    page.run("document.activeElement.blur()", json!([]));
    page.chord("\u{e009}", "z"); // Ctrl
    carl.waits(PATIENCE, "the mark is withdrawn", || {
        marks(carl) + 1 == shown
    });

    // To the scanner and back.
    carl.press("ct");
    carl.waits(PATIENCE, "the patient is off the device", || {
        carl.sees("paused")
    });
    carl.press("ct");
    carl.waits(PATIENCE, "the patient is back", || !carl.sees("paused"));

    // An electrode has another name from now on.
    carl.choose("montage", "as-recorded");
    let has_row = |label: &str| {
        let rows = page.run(
            "return [...document.querySelectorAll(arguments[0] + ' tr[data-row]')].map((row) => row.dataset.row)",
            json!([css("scope-twin")]),
        );
        rows.as_array()
            .is_some_and(|rows| rows.iter().any(|row| row == label))
    };
    carl.waits(PATIENCE, "C3 is shown", || has_row("C3"));
    carl.opens_dialog("relabel");
    carl.choose("relabel-from", "C3");
    carl.fill("relabel-to", "C3x");
    carl.press("dialog-ok");
    carl.waits(PATIENCE, "the name is another", || {
        has_row("C3x") && !has_row("C3")
    });

    // The light is stopped at once, and its end is marked.
    let photic = "[data-testid='activations'] [data-id='photic_stimulation']";
    carl.press_css(&format!("{photic} [data-testid='activation-begin']"));
    carl.press("photic-stop");
    carl.waits(PATIENCE, "what the stop reached", || {
        carl.sees("emergency-result")
    });
    carl.waits(PATIENCE, "the light's end is marked", || {
        carl.reads("annotations")
            .contains("Photic stimulation ends")
    });

    // Consent is taken back while recording: it is said, and nothing is stopped.
    carl.press("nav-0");
    carl.finds_running("Training");
    carl.opens_dialog("row-consent");
    carl.press("consent-withdrawn");
    carl.waits(PATIENCE, "the dialog closes", || !carl.sees("dialog"));
    carl.press("row-watch");
    carl.waits(PATIENCE, "the loss of consent is said", || {
        carl.sees("consent-band")
    });
    assert!(records(carl));
    page.screenshot()
        .save(&desktop_tests::screenshots().join("session-consent-withdrawn.png"));
    carl.ends_session();
}

#[test]
fn a_proof_is_saved_as_a_file() {
    let bedside = Bedside::new();
    let window = bedside.open();
    let ada = Person { page: &window.page };
    ada.makes_first_administrator("ada", PASSWORD);
    ada.press("nav-4");
    ada.press("ledger-proof");
    ada.waits(PATIENCE, "the proof", || ada.sees("proof-text"));
    let shown = window.page.run(
        "return document.querySelector(arguments[0]).value",
        json!([css("proof-text")]),
    );
    ada.press("proof-copy");
    ada.waits(PATIENCE, "it is copied", || {
        ada.reads("notices").contains("Copied.")
    });
    ada.press("proof-save");
    let file = || {
        bedside
            .downloads()
            .into_iter()
            .find(|file| file.extension().is_some_and(|kind| kind == "json"))
    };
    ada.waits(PATIENCE, "where it is", || {
        ada.reads("notices").contains("ledger-proof-")
    });
    ada.waits(PATIENCE, "the file", || {
        file().is_some_and(|file| std::fs::read_to_string(file).is_ok_and(|text| shown == text))
    });
}

#[test]
fn who_types_on_at_once_types_into_the_dialog() {
    let bedside = Bedside::new();
    let window = bedside.open();
    let ada = Person { page: &window.page };
    ada.makes_first_administrator("ada", PASSWORD);
    for _ in 0..3 {
        let button = ada.find("new-patient");
        window.page.press_and_type(&button, "Quick");
        let typed = window.page.run(
            "return document.querySelector(arguments[0])?.value",
            json!([css("family-name")]),
        );
        assert_eq!(typed, "Quick");
        ada.press("dialog-close");
        ada.waits(PATIENCE, "the dialog closes", || !ada.sees("dialog"));
    }
}
