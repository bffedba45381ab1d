//! A clinician's day at the window, from the first administrator to the signed report; and what must not
//! change when something fails on the way.

use desktop_tests::{Bedside, PATIENCE, Person, Window, css};
use serde_json::json;
use std::time::Duration;

const PASSWORD: &str = "correct horse battery staple";

fn person(window: &Window) -> Person<'_> {
    Person { page: &window.page }
}

/// Sessions that the engine runs.
fn running(bedside: &Bedside) -> Vec<String> {
    let status = bedside.station.ok(&["--no-start", "engine", "status"]);
    status["running_sessions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|id| id.as_str().map(str::to_owned))
        .collect()
}

/// A station with an administrator and a clinician, who is signed in, and a training patient.
fn at_work(bedside: &Bedside) -> Window {
    let window = bedside.open();
    let ada = person(&window);
    ada.makes_first_administrator("ada", PASSWORD);
    ada.adds_user("carl", "Carl Clinician", "clinician", PASSWORD);
    ada.press("sign-out");
    ada.signs_in("carl", PASSWORD);
    ada.registers_training_patient("Training", "Tilda", "1971-04-02", "00012345");
    window
}

#[test]
fn a_whole_session_from_the_first_administrator_to_the_signed_report() {
    let bedside = Bedside::new();
    let window = at_work(&bedside);
    let carl = person(&window);
    carl.starts_session("Training");

    // The patient, and that it is simulated, are always seen.
    let banner = carl.reads("patient-banner").to_lowercase();
    assert!(banner.contains("training, tilda"), "{banner}");
    assert!(carl.sees("provenance"), "simulated data say so");

    // Traces run.
    carl.sees_traces();
    let canvas = carl.find("scope");
    let before = window.page.picture_of(&canvas);
    std::thread::sleep(Duration::from_secs(2));
    let after = window.page.picture_of(&canvas);
    assert!(before.ink() > 0.01, "nothing is drawn: {}", before.ink());
    let changed = before.difference(&after);
    assert!(changed > 0.001, "traces stand still: {changed}");

    // Another montage is another picture, and the traces go on.
    let generation = carl.attribute("scope-twin", "data-generation");
    let montage = carl.attribute("scope-twin", "data-montage");
    carl.choose("montage", "as-recorded");
    carl.waits(PATIENCE, "the montage changes", || {
        carl.attribute("scope-twin", "data-generation") != generation
            && carl.attribute("scope-twin", "data-montage") != montage
    });

    // A hot key marks, also while a note is typed; the note itself is kept.
    carl.fill("note", "patient yawns");
    window.page.keys("\u{e035}"); // F5
    carl.waits(PATIENCE, "the mark is in the list", || {
        carl.sees("annotation")
    });
    carl.press("note-send");
    carl.waits(PATIENCE, "the note is in the list", || {
        carl.reads("annotations").contains("patient yawns")
    });

    // The emergency stop acts, and the recording goes on.
    carl.press("emergency-stop");
    carl.waits(PATIENCE, "what the stop reached", || {
        carl.sees("emergency-result")
    });
    assert_eq!(running(&bedside).len(), 1);
    assert_eq!(carl.attribute("rec", "data-recording"), "true");

    carl.ends_session();
    carl.press("open-report");
    carl.fill("impression", "No conclusion is drawn from simulated data.");
    carl.opens_dialog("sign-report");
    // A wrong password signs nothing.
    carl.fill("sign-password", "wrong");
    carl.press("dialog-ok");
    carl.waits(PATIENCE, "the refusal", || carl.sees("error"));
    carl.fill("sign-password", PASSWORD);
    carl.press("dialog-ok");
    carl.waits(PATIENCE, "the signature", || {
        carl.reads("signatures").contains("Carl Clinician")
    });

    carl.press("nav-4");
    carl.press("ledger-verify");
    carl.waits(PATIENCE, "the ledger is verified", || {
        carl.attribute("ledger-seal", "data-sound") == "true"
    });
    assert_eq!(bedside.station.ok(&["ledger", "verify"])["sound"], true);
}

#[test]
fn a_recording_outlives_page_window_and_screen() {
    let mut bedside = Bedside::new();
    let mut window = at_work(&bedside);
    person(&window).starts_session("Training");
    // The step is told before the engine counts the session among those that record: tens of milliseconds.
    let counted = || running(&bedside).len() == 1;
    assert!(bedside.station.wait_for(Duration::from_secs(2), counted));
    let session = running(&bedside);

    // The page is loaded again: still signed in, still there.
    window.page.reload();
    let carl = person(&window);
    carl.sees_traces();
    assert_eq!(carl.attribute("rec", "data-recording"), "true");

    // Closing the window asks first.
    bedside.display.focus("NeuraScale Workstation");
    bedside.display.press("ctrl+q");
    carl.waits(PATIENCE, "the question", || carl.sees("dialog"));
    carl.press("dialog-close");
    assert!(window.runs());

    // The window is killed, and another one finds the session.
    window.kill();
    drop(window);
    assert_eq!(running(&bedside), session);
    let window = bedside.open();
    let carl = person(&window);
    carl.signs_in("carl", PASSWORD);
    carl.press("nav-1");
    carl.sees_traces();

    // The display server dies.
    bedside.display.kill();
    assert!(window.ends_within(PATIENCE), "a window without a display");
    drop(window);
    assert_eq!(running(&bedside), session);
    bedside.new_screen(1_440, 900);
    let window = bedside.open();
    let carl = person(&window);
    carl.signs_in("carl", PASSWORD);
    carl.press("nav-1");
    carl.sees_traces();
    carl.ends_session();
    let shown = bedside.station.session(&session[0]);
    let recording = bedside.station.recording(&shown);
    assert!(
        recording.gaps().is_empty(),
        "what happens to a window is not in the record"
    );
}

/// An hour of traces on the screen; only in `cargo xtask soak`.
#[test]
fn an_hour_of_traces_takes_no_more_memory_than_a_quarter() {
    if !end_to_end::soak() {
        eprintln!("SKIPPED: an hour of traces runs in `cargo xtask soak`");
        return;
    }
    let bedside = Bedside::new();
    let window = at_work(&bedside);
    let carl = person(&window);
    carl.starts_session("Training");
    carl.sees_traces();
    let hour = Duration::from_secs(3_600);
    let seen = desktop_tests::gauge::memory(&window, hour).expect("the window lasts");
    assert!(seen.is_flat(), "{seen:?}");
}

#[test]
fn the_keyboard_alone_is_enough() {
    const TAB: &str = "\u{e004}";
    const ENTER: &str = "\u{e007}";
    let bedside = Bedside::new();
    let window = bedside.open();
    let page = &window.page;
    let ada = person(&window);
    ada.find("login");
    // Tab goes to a control, and what has the focus shows it.
    let tab_to = |id: &str| {
        let mut visited = Vec::new();
        for _ in 0..150 {
            let at = page.run(
                "const at = document.activeElement; return at?.closest('[data-testid]')?.dataset.testid ?? ''",
                json!([]),
            );
            if at == id {
                let outline = page.run(
                    "const style = getComputedStyle(document.activeElement);
                     return style.outlineStyle !== 'none' || style.boxShadow !== 'none'",
                    json!([]),
                );
                assert_eq!(outline, true, "{id} does not show that it has the focus");
                return;
            }
            visited.push(at.to_string());
            page.keys(TAB);
        }
        panic!(
            "{id} cannot be reached with Tab, only {}",
            visited.join(" ")
        );
    };
    for (id, text) in [
        ("login", "ada"),
        ("display-name", "Ada"),
        ("password", PASSWORD),
        ("password-again", PASSWORD),
    ] {
        tab_to(id);
        page.keys(text);
    }
    page.keys(ENTER);
    ada.find("nav");
    tab_to("new-patient");
    page.keys(ENTER);
    ada.find("family-name");
    for (id, text) in [
        ("family-name", "Keys"),
        ("given-name", "Kim"),
        ("birth-date", "1980-01-31"),
        ("hospital-number", "77"),
    ] {
        tab_to(id);
        page.keys(text);
    }
    tab_to("training");
    page.keys(" ");
    tab_to("dialog-ok");
    page.keys(ENTER);
    ada.waits(PATIENCE, "the dialog closes", || !ada.sees("dialog"));
    tab_to("worklist-search");
    page.keys("Keys");
    ada.find("row-start");
    tab_to("row-start");
    page.keys(ENTER);
    ada.find("device-list");
    let _ = page.wait(&css("device"), PATIENCE);
    tab_to("device");
    page.keys(ENTER);
    tab_to("unlimited");
    page.keys(" ");
    tab_to("start");
    page.keys(ENTER);
    ada.waits(PATIENCE * 3, "the session records", || {
        ada.attribute("rec", "data-recording") == "true"
    });
    tab_to("emergency-stop");
    page.keys(ENTER);
    ada.waits(PATIENCE, "what the stop reached", || {
        ada.sees("emergency-result")
    });
}
