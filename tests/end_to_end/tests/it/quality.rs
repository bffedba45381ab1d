//! Quality while recording: a bad electrode is told in time, and that it is well again.

use end_to_end::Station;
use serde_json::Value;
use std::time::Duration;

/// Seconds of the recording at which the electrode comes off, and is put back.
const OFF_S: f64 = 5.0;
const BACK_S: f64 = 13.0;

/// The bound of the design: a pulled electrode is flagged within this.
const WITHIN_S: f64 = 5.0;

fn alerts_of<'a>(session: &'a Value, channel: &str) -> Vec<&'a Value> {
    let alerts = session["alerts"].as_array().expect("alerts");
    alerts.iter().filter(|a| a["channel"] == channel).collect()
}

fn grade(session: &Value, label: &str) -> String {
    let channels = session["quality"].as_array().expect("quality");
    let channel = channels.iter().find(|c| c["label"] == label);
    channel.map_or_else(String::new, |c| {
        c["grade"].as_str().expect("a grade").to_owned()
    })
}

#[test]
fn a_pulled_electrode_is_told_within_five_seconds_and_when_it_is_back() {
    let station = Station::new();
    let script = format!(
        "script=[[impedance]]\nat_s = {OFF_S}\nelectrode = 'C3'\n\
         [[impedance]]\nat_s = {BACK_S}\nelectrode = 'C3'\nimpedance_kohm = 4.0\n"
    );
    let started = station.ok(&[
        "session",
        "start",
        "--training",
        "--now",
        "--duration",
        "unlimited",
        "--set",
        "artifacts=off",
        "--set",
        &script,
    ]);
    let id = started["id"].as_str().unwrap();
    let mut good_before = false;
    let mut told_at = None;
    let told = station.wait_for(Duration::from_secs(60), || {
        let session = station.session(id);
        let recorded_s = session["recorded_s"].as_f64().unwrap();
        if alerts_of(&session, "C3")
            .iter()
            .any(|a| a["active"] == true)
        {
            told_at = Some(recorded_s);
            assert_ne!(grade(&session, "C3"), "good", "{session:#}");
            assert_eq!(grade(&session, "C4"), "good", "{session:#}");
        } else if recorded_s < OFF_S {
            assert!(
                session["alerts"].as_array().unwrap().is_empty(),
                "{session:#}"
            );
            good_before |= grade(&session, "C3") == "good";
        }
        told_at.is_some()
    });
    assert!(told, "{:#}\n{}", station.session(id), station.log());
    assert!(good_before, "the channel was good before");
    let after_s = told_at.unwrap() - OFF_S;
    assert!(
        (0.0..=WITHIN_S).contains(&after_s),
        "told after {after_s} s"
    );

    let over = station.wait_for(Duration::from_secs(60), || {
        let session = station.session(id);
        let alerts = alerts_of(&session, "C3");
        !alerts.is_empty() && alerts.iter().all(|a| a["active"] == false)
    });
    assert!(over, "{:#}", station.session(id));
    station.ok(&["session", "stop", id]);
    let session = station.finished(id, Duration::from_secs(60));
    assert_eq!(session["state"], "completed", "{session:#}");
    assert!(station.recording(&session).gaps().is_empty());

    let entries = station.ok(&["ledger", "show", "--kind", "signal.quality_alert"]);
    let states: Vec<(String, bool)> = entries["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["payload"]["data"])
        .filter(|data| data["channel"] == "C3")
        .map(|data| {
            let issue = data["issue"].as_str().unwrap().to_owned();
            (issue, data["active"].as_bool().unwrap())
        })
        .collect();
    for wanted in [true, false] {
        assert!(
            states.iter().any(|(_, active)| *active == wanted),
            "{states:?}"
        );
    }
}
