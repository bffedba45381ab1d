//! The main job: a session on the simulated headset, from patient to report and export.

use end_to_end::Station;
use std::path::Path;

#[test]
fn a_session_runs_from_patient_to_report_and_export() {
    let station = Station::new();
    let patient = station.ok(&[
        "patient",
        "register",
        "--family-name",
        "Test",
        "--given-name",
        "Patient",
        "--birth-date",
        "1971-04-02",
        "--hospital-number",
        "00012345",
        "--training",
    ]);
    let patient = patient["id"].as_str().unwrap();
    let pdf = station.path().join("report.pdf");
    let session = station.ok(&[
        "session",
        "run",
        "--patient",
        patient,
        "--device",
        "simulated:headset",
        "--duration",
        "4",
        "--export",
        "edf",
        "--pdf",
        pdf.to_str().unwrap(),
    ]);
    assert_eq!(
        session["state"],
        "completed",
        "{session:#}\n{}",
        station.log()
    );
    assert_eq!(session["provenance"], "simulated");
    assert!(
        session["recorded_s"].as_f64().unwrap() >= 4.0,
        "{session:#}"
    );
    for step in session["steps"].as_array().unwrap() {
        assert_eq!(step["state"], "done", "{step:#}");
    }
    let id = session["id"].as_str().unwrap();

    // The report is sealed at rest and readable when asked for.
    let sealed = std::fs::read(session["report_path"].as_str().unwrap()).unwrap();
    assert!(
        sealed.starts_with(b"NSDOC"),
        "the sealed report has its own head"
    );
    assert!(std::fs::read(&pdf).unwrap().starts_with(b"%PDF-"));

    // Two hundred and fifty-six samples a second, none missing, counted by the record itself.
    let recording = station.recording(&session);
    let eeg = &recording.streams()[0];
    assert_eq!(eeg.rate.as_hz(), Some(256.0));
    assert!(recording.gaps().is_empty(), "{:?}", recording.gaps());

    let exports = session["exports"].as_array().unwrap();
    let signal = exports
        .iter()
        .filter_map(|path| path.as_str())
        .find(|path| path.ends_with(".edf") || path.ends_with(".bdf"));
    let bytes = std::fs::read(Path::new(signal.expect("a signal file"))).unwrap();
    // De-identified: neither name nor number nor birth date is in it.
    let text = String::from_utf8_lossy(&bytes[..1_024]).into_owned();
    assert!(
        !text.contains("Test") && !text.contains("00012345") && !text.contains("1971"),
        "{text}"
    );
    assert!(text.contains("SIMULATED"), "{text}");

    let verified = station.ok(&["recording", "verify", id]);
    assert_eq!(verified["sound"], true, "{verified:#}");
    assert_eq!(verified["in_ledger"], verified["segments"], "{verified:#}");
    let replayed = station.ok(&["workflow", "replay", id]);
    assert_eq!(replayed["agrees"], true, "{replayed:#}");
}

#[test]
fn a_session_is_stopped_marked_and_goes_on_to_its_report() {
    let station = Station::new();
    let started = station.ok(&[
        "session",
        "start",
        "--training",
        "--device",
        "simulated:headset",
        "--duration",
        "unlimited",
        "--now",
    ]);
    let id = started["id"].as_str().unwrap();
    let recording = station.wait_for(std::time::Duration::from_secs(30), || {
        station.session(id)["recorded_s"].as_f64().unwrap() > 1.0
    });
    assert!(recording, "{:#}\n{}", station.session(id), station.log());
    station.ok(&[
        "session",
        "annotate",
        id,
        "Eyes closed",
        "--code",
        "eyes_closed",
    ]);
    let stop = station.ok(&["session", "emergency-stop", id]);
    assert_eq!(stop["devices"], 1);
    assert!(stop["took_ms"].as_f64().unwrap() < 100.0, "{stop:#}");
    // Recording goes on after the emergency stop until its end is confirmed.
    let before = station.session(id)["recorded_s"].as_f64().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(800));
    assert!(station.session(id)["recorded_s"].as_f64().unwrap() > before);
    station.ok(&["session", "stop", id]);
    let session = station.finished(id, std::time::Duration::from_secs(60));
    assert_eq!(
        session["state"],
        "completed",
        "{session:#}\n{}",
        station.log()
    );
    let shown = station.ok(&["recording", "show", id]);
    let codes: Vec<_> = shown["annotations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["code"].clone())
        .collect();
    assert!(
        codes.contains(&"eyes_closed".into()) && codes.contains(&"emergency_stop".into()),
        "{shown:#}"
    );
    let ledger = station.ok(&["ledger", "show", "--kind", "safety.emergency_stop"]);
    assert_eq!(ledger["entries"].as_array().unwrap().len(), 1, "{ledger:#}");
}
