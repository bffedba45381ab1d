//! Ledger, proofs, backup, keys.

use end_to_end::Station;

#[test]
fn the_ledger_proves_every_step() {
    let station = Station::new();
    let session = station.ok(&["session", "run", "--training", "--duration", "2"]);
    assert_eq!(
        session["state"],
        "completed",
        "{session:#}\n{}",
        station.log()
    );
    let check = station.ok(&["ledger", "verify"]);
    assert_eq!(check["sound"], true, "{check:#}");
    let entries = station.ok(&["ledger", "show", "--limit", "10000"]);
    let kinds: Vec<String> = entries["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["kind"].as_str().unwrap().to_owned())
        .collect();
    for kind in [
        "patient.registered",
        "session.started",
        "session.step",
        "device.connected",
        "recording.segment_closed",
        "recording.finished",
        "report.created",
        "session.completed",
    ] {
        assert!(
            kinds.iter().any(|found| found == kind),
            "{kind} is missing: {kinds:?}"
        );
    }
    assert!(!kinds.iter().any(|kind| kind == "ledger.event_recorded"));
    let proof = station.ok(&["ledger", "proof", "0"]);
    let bundle = ledger::ProofBundle::from_json(&proof["bundle"].to_string()).unwrap();
    let key = ledger::VerifierKey::parse(check["verifier_key"].as_str().unwrap()).unwrap();
    bundle.verify(&key).expect("the proof holds offline");

    // So for whoever has nothing but the file and the key: the engine is gone.
    station.ok(&["engine", "stop"]);
    let file = station.path().join("proof.json");
    std::fs::write(&file, proof.to_string()).unwrap();
    let check = |key: &str| {
        station.cli(&[
            "ledger",
            "check-proof",
            file.to_str().unwrap(),
            "--key",
            key,
        ])
    };
    assert_eq!(check(&key.to_string()).code, 0);
    let text = proof.to_string().replace("\"actor\":\"", "\"actor\":\"x");
    std::fs::write(&file, text).unwrap();
    assert_eq!(check(&key.to_string()).code, 9, "a changed entry");
    assert_eq!(check("no key").code, 2);
    std::fs::write(&file, "{}").unwrap();
    assert_eq!(check(&key.to_string()).code, 2, "no proof");
}

#[test]
fn a_backup_brings_everything_back() {
    let station = Station::new();
    let session = station.ok(&["session", "run", "--training", "--now", "--duration", "1"]);
    let backup = station.path().join("backup.db");
    station.ok(&["backup", backup.to_str().unwrap()]);
    let refused = station.cli(&["restore", backup.to_str().unwrap()]);
    assert_eq!(refused.code, 4, "not under a running engine: {refused:?}");
    let later = station.ok(&["session", "run", "--training", "--now", "--duration", "1"]);
    station.ok(&["engine", "stop"]);
    assert!(station.wait_for(std::time::Duration::from_secs(10), || {
        !station.path().join("engine.endpoint").exists()
    }));
    let restored = station.cli(&["restore", backup.to_str().unwrap()]);
    assert_eq!(restored.code, 0, "{restored:?}");
    let found = station.session(session["id"].as_str().unwrap());
    assert_eq!(found["state"], "completed");
    assert_eq!(
        station
            .cli(&["session", "show", later["id"].as_str().unwrap()])
            .code,
        3
    );
    assert_eq!(station.ok(&["ledger", "verify"])["sound"], true);
}

#[test]
fn a_service_unlocks_with_a_passphrase_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("passphrase");
    std::fs::write(&file, "correct horse battery staple\n").unwrap();
    let station = Station::with_passphrase(file.clone());
    assert_eq!(station.ok(&["engine", "start"])["store_open"], true);
    station.ok(&["engine", "stop"]);
    assert!(station.wait_for(std::time::Duration::from_secs(10), || {
        !station.path().join("engine.endpoint").exists()
    }));
    std::fs::write(&file, "wrong\n").unwrap();
    let status = station.ok(&["engine", "start"]);
    assert_eq!(status["store_open"], false, "{status:#}");
    assert!(
        status["problem"].as_str().unwrap().contains("passphrase"),
        "{status:#}"
    );
    // Everything that needs the store says so, and the emergency stop answers all the same.
    let list = station.cli(&["session", "list"]);
    assert_eq!(list.code, 7, "{list:?}");
    assert_eq!(station.ok(&["session", "emergency-stop"])["devices"], 0);
}

#[test]
fn the_recovery_code_is_given_once() {
    let station = Station::new();
    let first = station.ok(&["engine", "recovery-code"]);
    assert!(
        first["code"]
            .as_str()
            .is_some_and(|code| code.contains('-')),
        "{first:#}"
    );
    assert!(station.ok(&["engine", "recovery-code"])["code"].is_null());
}

#[test]
fn the_doctor_says_what_to_do() {
    let station = Station::new();
    let reply = station.cli(&["doctor"]).json();
    let findings = reply["findings"].as_array().unwrap();
    for check in [
        "disk",
        "store",
        "keys",
        "ports",
        "clock",
        "sleep",
        "permissions",
        "devices",
    ] {
        let finding = findings.iter().find(|finding| finding["check"] == check);
        let finding = finding.unwrap_or_else(|| panic!("{check} is not looked at: {reply:#}"));
        if finding["level"] != "good" {
            assert!(
                !finding["remedy"].as_str().unwrap().is_empty(),
                "{finding:#}"
            );
        }
    }
}
