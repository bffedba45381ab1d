//! A session on the lab streaming layer: off until it is allowed, then there, and without identity.

use end_to_end::Station;
use lsl::{Pullable as _, StreamInlet};
use serde_json::Value;

/// Starts a session and gives its id and its recording's.
fn started(station: &Station) -> (String, String) {
    let patient = station.ok(&[
        "patient",
        "register",
        "--family-name",
        "Canaryfamily",
        "--given-name",
        "Canarygiven",
        "--birth-date",
        "1971-04-02",
        "--hospital-number",
        "CANARY77",
        "--training",
    ]);
    let started = station.ok(&[
        "session",
        "start",
        "--patient",
        patient["id"].as_str().unwrap(),
        "--now",
        "--device",
        "simulated:headset",
        "--duration",
        "unlimited",
    ]);
    let id = started["id"].as_str().unwrap().to_owned();
    let recording = |session: &Value| {
        let path = session["recording_path"].as_str()?;
        Some(path.rsplit('/').next()?.to_owned())
    };
    let mut found = None;
    let recorded = station.wait_for(std::time::Duration::from_secs(30), || {
        let session = station.session(&id);
        found = recording(&session);
        found.is_some() && session["recorded_s"].as_f64().is_some_and(|s| s > 0.5)
    });
    assert!(recorded, "{}", station.log());
    (id, found.unwrap())
}

#[test]
fn a_session_is_published_only_where_it_is_allowed_and_names_nobody() {
    let closed = Station::new();
    let (_, recording) = started(&closed);
    let source = format!("neurascale-{recording}-eeg");
    let found = lsl::resolve_byprop("source_id", &source, 1, 1.5).unwrap();
    assert!(found.is_empty(), "published without leave");
    drop(closed);

    let mut open = Station::new();
    let policy = open.path().join("policy.toml");
    std::fs::write(&policy, "lsl_outlet = true\n").unwrap();
    open.set_site_policy(policy);
    let (session, recording) = started(&open);
    let source = format!("neurascale-{recording}-eeg");
    let found = lsl::resolve_byprop("source_id", &source, 1, 10.0).unwrap();
    let inlet = StreamInlet::new(found.first().expect("published"), 360, 0, false).unwrap();
    let xml = inlet.info(5.0).unwrap().to_xml().unwrap();
    for canary in ["Canary", "CANARY", "1971"] {
        assert!(!xml.contains(canary), "{xml}");
    }
    assert!(
        xml.contains("<label>Fp1</label>") && xml.contains("microvolts"),
        "{xml}"
    );
    inlet.open_stream(5.0).unwrap();
    let (mut last, mut samples) = (0.0, 0);
    while samples < 200 {
        let (values, stamp): (Vec<f32>, f64) = inlet.pull_sample(5.0).unwrap();
        assert!(stamp > last, "stamps ascend");
        assert_eq!(values.len(), 22);
        (last, samples) = (stamp, samples + 1);
    }
    open.ok(&["session", "stop", &session]);
}
