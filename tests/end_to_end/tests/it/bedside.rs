//! What people do to a session while it records, and what the protocol asks for around it.

use end_to_end::Station;
use serde_json::Value;
use std::time::Duration;

fn recording(station: &Station, more: &[&str]) -> String {
    let mut arguments = vec!["session", "start", "--now", "--duration", "unlimited"];
    arguments.extend_from_slice(&["--set", "artifacts=off"]);
    arguments.extend_from_slice(more);
    let started = station.ok(&arguments);
    let id = started["id"].as_str().unwrap().to_owned();
    until(station, &id, |s| s["recorded_s"].as_f64().unwrap() > 1.0);
    id
}

fn until(station: &Station, id: &str, done: impl Fn(&Value) -> bool) {
    let reached = station.wait_for(Duration::from_secs(60), || done(&station.session(id)));
    assert!(reached, "{:#}\n{}", station.session(id), station.log());
}

fn finish(station: &Station, id: &str) -> Value {
    station.ok(&["session", "stop", id]);
    let session = station.finished(id, Duration::from_secs(60));
    assert_eq!(
        session["state"],
        "completed",
        "{session:#}\n{}",
        station.log()
    );
    assert_eq!(station.ok(&["recording", "verify", id])["sound"], true);
    session
}

fn data(station: &Station, kind: &str) -> Vec<Value> {
    let shown = station.ok(&["ledger", "show", "--kind", kind]);
    let entries = shown["entries"].as_array().unwrap();
    entries
        .iter()
        .map(|e| e["payload"]["data"].clone())
        .collect()
}

fn grade(session: &Value, electrode: &str) -> String {
    let all = session["impedances"].as_array().unwrap();
    let one = all.iter().find(|i| i["electrode"] == electrode);
    one.map_or_else(String::new, |i| i["grade"].as_str().unwrap().to_owned())
}

#[test]
fn impedances_are_measured_before_in_the_middle_and_at_the_end() {
    let station = Station::new();
    let script = "script=[[impedance]]\nat_s = 0.8\nelectrode = 'O1'\nimpedance_kohm = 60.0\n";
    let started = station.ok(&[
        "session",
        "start",
        "--training",
        "--duration",
        "unlimited",
        "--set",
        "artifacts=off",
        "--set",
        script,
    ]);
    let id = started["id"].as_str().unwrap();
    until(&station, id, |s| s["recorded_s"].as_f64().unwrap() > 2.0);
    let before = station.session(id);
    assert!(
        before["calibration"]
            .as_str()
            .unwrap()
            .contains("within tolerance"),
        "{before:#}"
    );
    assert!(
        !grade(&before, "Cz").is_empty(),
        "measured before: {before:#}"
    );

    let measured = station.ok(&["session", "impedance", id]);
    let bad = measured["impedances"].as_array().unwrap().iter();
    let bad: Vec<_> = bad
        .filter(|i| i["grade"] == "bad")
        .map(|i| &i["electrode"])
        .collect();
    assert_eq!(bad, ["O1"], "{measured:#}");
    let session = station.session(id);
    assert_eq!(grade(&session, "O1"), "bad", "{session:#}");
    let alerts = session["alerts"].as_array().unwrap();
    let told = alerts
        .iter()
        .any(|a| a["channel"] == "O1" && a["issue"] == "impedance");
    assert!(told, "{alerts:#?}");
    let so_far = session["recorded_s"].as_f64().unwrap();
    until(&station, id, |s| {
        s["recorded_s"].as_f64().unwrap() > so_far + 0.5
    });
    let session = finish(&station, id);

    let steps = session["steps"].as_array().unwrap();
    let conclude = steps
        .iter()
        .find(|step| step["name"] == "conclude")
        .unwrap();
    assert_eq!(conclude["state"], "done", "{steps:#?}");
    // The interval stands in the record, and so do the values before and in it.
    let record = station.recording(&session);
    let marks: Vec<_> = record
        .annotations()
        .into_iter()
        .map(|a| a.annotation)
        .collect();
    let check = marks
        .iter()
        .find(|m| m.code.as_deref() == Some("impedance_check"))
        .unwrap();
    assert!(check.duration_ns.unwrap() > 100_000_000, "{check:?}");
    let gaps = record.gaps();
    let paused = gaps
        .iter()
        .filter(|g| g.gap.cause == signal::GapCause::Paused);
    assert!(paused.count() >= 1, "{gaps:?}");
    let cz = record.impedances().iter().filter(|i| i.electrode == "Cz");
    assert_eq!(cz.count(), 2, "{:?}", record.impedances());
    assert_eq!(station.ok(&["workflow", "replay", id])["agrees"], true);
    let html = station.path().join("report.html");
    station.ok(&["report", id, "--html", html.to_str().unwrap()]);
    let text = std::fs::read_to_string(html).unwrap();
    for title in ["Start", "During the recording", "End"] {
        assert!(text.contains(title), "'{title}' is not in the report");
    }
}

#[test]
fn a_device_that_is_gone_at_the_end_is_noted_and_holds_nothing_up() {
    let station = Station::new();
    let source = station.path().join("short.toml");
    std::fs::write(&source, "[[blink]]\nat_s = 0.5\n").unwrap();
    let script = format!("script={}", source.display());
    let id = recording(&station, &["--training", "--set", &script]);
    // Without its script the simulated device cannot be opened again.
    std::fs::remove_file(&source).unwrap();
    let session = finish(&station, &id);
    let steps = session["steps"].as_array().unwrap();
    let conclude = steps
        .iter()
        .find(|step| step["name"] == "conclude")
        .unwrap();
    assert_eq!(conclude["state"], "done", "{steps:#?}");
    let notes = conclude["notes"].to_string();
    assert!(notes.contains("not measured at the end"), "{notes}");
    assert!(session["report"].is_string(), "{session:#}");
}

#[test]
fn a_patient_goes_to_ct_and_the_same_recording_goes_on() {
    let station = Station::new();
    let id = recording(&station, &["--training"]);
    station.ok(&["session", "pause", &id, "--reason", "ct"]);
    until(&station, &id, |s| s["paused"] == "ct");
    let before = station.session(&id)["recorded_s"].as_f64().unwrap();
    // Longer than silence is told after: nobody is called for what is meant to be.
    std::thread::sleep(Duration::from_secs(4));
    let session = station.session(&id);
    assert!(
        session["alerts"].as_array().unwrap().is_empty(),
        "{session:#}"
    );
    assert!(
        session["recorded_s"].as_f64().unwrap() < before + 1.0,
        "{session:#}"
    );
    station.ok(&["session", "pause", &id]);
    until(&station, &id, |s| {
        s["paused"].is_null() && s["recorded_s"].as_f64().unwrap() > before + 4.5
    });
    let session = finish(&station, &id);
    let record = station.recording(&session);
    let codes: Vec<_> = record
        .annotations()
        .into_iter()
        .filter_map(|a| a.annotation.code)
        .filter(|code| code.starts_with("pause"))
        .collect();
    assert_eq!(codes, ["pause_begin", "pause_end"]);
    let causes: Vec<_> = record.gaps().iter().map(|g| g.gap.cause).collect();
    assert!(
        causes.iter().all(|c| *c == signal::GapCause::Paused),
        "{causes:?}"
    );
    let told: Vec<_> = data(&station, "session.paused")
        .iter()
        .map(|d| d["paused"].clone())
        .collect();
    assert_eq!(told, [true, false]);
}

#[test]
fn an_electrode_gets_its_right_name_and_no_count_changes() {
    let station = Station::new();
    let id = recording(&station, &["--training", "--export", "edf"]);
    let refused = station.cli(&["session", "relabel", &id, "T3", "C4"]);
    assert_ne!(refused.code, 0, "{refused:?}");
    let label = station.session(&id)["quality"][2]["label"]
        .as_str()
        .unwrap()
        .to_owned();
    station.ok(&["session", "relabel", &id, &label, "X9"]);
    let shown = |s: &Value| {
        s["quality"]
            .as_array()
            .unwrap()
            .iter()
            .any(|c| c["label"] == "X9")
    };
    until(&station, &id, shown);
    // A restart of the engine does not bring the wrong name back.
    station.ok(&["engine", "stop", "--force"]);
    let gone = station.path().join("engine.endpoint");
    assert!(station.wait_for(Duration::from_secs(20), || !gone.exists()));
    station.ok(&["engine", "start"]);
    until(&station, &id, |s| {
        !s["quality"].as_array().unwrap().is_empty()
    });
    assert!(shown(&station.session(&id)), "{:#}", station.session(&id));
    let session = finish(&station, &id);
    let record = station.recording(&session);
    // The record keeps the label it began with.
    assert!(
        record.streams()[0]
            .channels
            .iter()
            .any(|c| c.label == label)
    );
    let html = station.path().join("report.html");
    station.ok(&["report", &id, "--html", html.to_str().unwrap()]);
    let text = std::fs::read_to_string(html).unwrap();
    assert!(
        text.contains(&format!("{label} (X9 from ")),
        "the report knows the name"
    );
    let folder = station.path().join("again");
    let export = station.ok(&["export", &id, "--to", folder.to_str().unwrap()]);
    assert!(export["warnings"].to_string().contains("X9"), "{export:#}");
    let told = data(&station, "session.relabelled");
    assert_eq!(
        (&told[0]["from"], &told[0]["to"]),
        (&label.into(), &"X9".into())
    );
}

#[test]
fn consent_withdrawn_calls_for_a_decision_and_recording_goes_on() {
    let station = Station::new();
    let patient = station.ok(&["patient", "register", "--family-name", "Test", "--training"]);
    let patient = patient["id"].as_str().unwrap();
    let id = recording(&station, &["--patient", patient]);
    station.ok(&["patient", "consent", patient, "withdrawn"]);
    let session = station.session(&id);
    let alert = &session["alerts"][0];
    assert_eq!(alert["issue"], "consent_withdrawn", "{session:#}");
    assert_eq!(
        (&alert["severity"], &alert["active"]),
        (&"critical".into(), &true.into())
    );
    assert!(
        alert["text"].as_str().unwrap().contains("decide"),
        "{alert:#}"
    );
    let so_far = session["recorded_s"].as_f64().unwrap();
    until(&station, &id, |s| {
        s["state"] == "running" && s["recorded_s"].as_f64().unwrap() > so_far + 1.0
    });
    let session = finish(&station, &id);
    let record = station.recording(&session);
    let marked = record
        .annotations()
        .iter()
        .any(|a| a.annotation.code.as_deref() == Some("consent_withdrawn"));
    assert!(marked);
    let notes = session["steps"].to_string();
    assert!(notes.contains("Consent was withdrawn"), "{notes}");
    assert_eq!(data(&station, "session.consent_withdrawn").len(), 1);
}
