//! Rules of the house that no one may get round.

use end_to_end::Station;

#[test]
fn computed_data_never_become_a_patients() {
    let station = Station::new();
    let patient = station.ok(&["patient", "register", "--family-name", "Test"]);
    let patient = patient["id"].as_str().unwrap();
    let refused = station.cli(&["session", "run", "--patient", patient, "--duration", "1"]);
    assert_eq!(refused.code, 5, "{refused:?}");
    assert!(refused.stderr.contains("training"), "{refused:?}");

    let session = station.ok(&["session", "run", "--training", "--now", "--duration", "1"]);
    let id = session["id"].as_str().unwrap();
    let refused = station.cli(&[
        "session",
        "reassign",
        id,
        "--patient",
        patient,
        "--reason",
        "mixed up",
    ]);
    assert_eq!(refused.code, 5, "{refused:?}");
}

#[test]
fn a_session_is_given_to_another_patient_without_touching_the_record() {
    let station = Station::new();
    let session = station.ok(&["session", "run", "--training", "--now", "--duration", "1"]);
    let id = session["id"].as_str().unwrap();
    let before = hashes(&station, &session);
    let other = station.ok(&[
        "patient",
        "register",
        "--family-name",
        "Other",
        "--training",
    ]);
    let other = other["id"].as_str().unwrap();
    station.ok(&[
        "session",
        "reassign",
        id,
        "--patient",
        other,
        "--reason",
        "wrong one chosen",
    ]);
    let after = station.session(id);
    assert_eq!(after["patient"], other);
    assert_eq!(hashes(&station, &after), before);
    let entries = station.ok(&["ledger", "show", "--kind", "session.reassigned"]);
    assert_eq!(entries["entries"].as_array().unwrap().len(), 1);
}

fn hashes(station: &Station, session: &serde_json::Value) -> Vec<Option<[u8; 32]>> {
    station
        .recording(session)
        .segments()
        .iter()
        .map(|segment| segment.sha256)
        .collect()
}

#[test]
fn an_identified_export_says_so_in_the_ledger() {
    let station = Station::new();
    let patient = station.ok(&[
        "patient",
        "register",
        "--family-name",
        "Canary",
        "--given-name",
        "Xylophon",
        "--hospital-number",
        "C4N4RY",
        "--training",
    ]);
    let session = station.ok(&[
        "session",
        "run",
        "--patient",
        patient["id"].as_str().unwrap(),
        "--now",
        "--duration",
        "1",
    ]);
    let id = session["id"].as_str().unwrap();
    let folder = station.path().join("identified");
    station.ok(&[
        "export",
        id,
        "--identified",
        "--to",
        folder.to_str().unwrap(),
    ]);
    let named = std::fs::read_dir(&folder).unwrap().flatten().any(|entry| {
        let bytes = std::fs::read(entry.path()).unwrap();
        bytes.windows(6).any(|window| window == b"C4N4RY")
    });
    assert!(named, "the identified export names the patient");
    let again = station.cli(&[
        "export",
        id,
        "--identified",
        "--to",
        folder.to_str().unwrap(),
    ]);
    assert_eq!(
        again.code, 4,
        "files that are there are not overwritten: {again:?}"
    );
    let entries = station.ok(&["ledger", "show", "--kind", "export.created"]);
    assert_eq!(
        entries["entries"][0]["payload"]["data"]["identified"], true,
        "{entries:#}"
    );
}

#[test]
fn no_identifier_leaves_the_store() {
    let station = Station::new();
    let canaries = [
        "Zwiebelkuchen",
        "Quarkstrudel",
        "K4N4R13NV0G3L",
        "1899-07-13",
    ];
    let patient = station.ok(&[
        "patient",
        "register",
        "--family-name",
        canaries[0],
        "--given-name",
        canaries[1],
        "--hospital-number",
        canaries[2],
        "--birth-date",
        canaries[3],
        "--training",
    ]);
    let session = station.ok(&[
        "session",
        "run",
        "--patient",
        patient["id"].as_str().unwrap(),
        "--duration",
        "2",
        "--export",
        "edf",
    ]);
    assert_eq!(session["state"], "completed", "{session:#}");
    let events = station.cli(&["events", "replay"]).stdout;
    let ledger = station.cli(&["ledger", "show", "--limit", "10000"]).stdout;
    let history = station
        .cli(&["workflow", "show", session["id"].as_str().unwrap()])
        .stdout;
    let file = station.path().join("support.json");
    station.ok(&["support-bundle", file.to_str().unwrap()]);
    let again = station.cli(&["support-bundle", file.to_str().unwrap()]);
    assert_eq!(again.code, 2, "a file that is there is kept: {again:?}");
    let bundle = std::fs::read_to_string(&file).unwrap();
    let read: serde_json::Value = serde_json::from_str(&bundle).unwrap();
    for part in ["findings", "policies", "log"] {
        assert!(!read[part].as_array().unwrap().is_empty(), "no {part}");
    }
    let folder = station.path().to_string_lossy().into_owned();
    assert!(!bundle.contains(&folder), "a folder stands in the bundle");
    for (place, text) in [
        ("events", events),
        ("ledger", ledger),
        ("history", history),
        ("support bundle", bundle),
    ] {
        for canary in canaries {
            assert!(!text.contains(canary), "{canary} stands in the {place}");
        }
    }
    let mut files = 0;
    let mut folders = vec![station.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let (path, name) = (
                entry.path(),
                entry.file_name().to_string_lossy().into_owned(),
            );
            for canary in canaries {
                assert!(!name.contains(canary), "{canary} stands in a file's name");
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let Ok(bytes) = std::fs::read(&path) else {
                continue;
            };
            files += 1;
            for canary in canaries {
                let found = bytes
                    .windows(canary.len())
                    .any(|window| window == canary.as_bytes());
                assert!(!found, "{canary} stands in {}", path.display());
            }
        }
    }
    assert!(files > 10, "the scan saw {files} files only");
}

#[test]
fn wrong_input_says_what_to_do() {
    let station = Station::new();
    for (arguments, code) in [
        (vec!["session", "show", "nonsense"], 2),
        (
            vec!["session", "show", "00000000-0000-7000-8000-000000000000"],
            3,
        ),
        (
            vec!["session", "run", "--training", "--device", "nodriver:x"],
            3,
        ),
        (
            vec!["session", "run", "--training", "--device", "nothing"],
            2,
        ),
        (
            vec!["session", "run", "--training", "--protocol", "none"],
            2,
        ),
        (vec!["session", "run", "--training", "--set", "nosuch=1"], 2),
        (
            vec![
                "session",
                "run",
                "--training",
                "--device",
                "playback:/no/such/file.edf",
            ],
            3,
        ),
        (vec!["patient", "register", "--family-name", " "], 2),
        (
            vec![
                "patient",
                "register",
                "--family-name",
                "A",
                "--birth-date",
                "yesterday",
            ],
            2,
        ),
        (vec!["ledger", "proof", "999999"], 3),
        (vec!["events", "replay", "--type", "no.such"], 2),
    ] {
        let ran = station.cli(&arguments);
        assert_eq!(ran.code, code, "{arguments:?}: {ran:?}");
        assert!(
            ran.stderr.starts_with("error: ") && ran.stderr.len() > 20,
            "{ran:?}"
        );
        assert!(!ran.stderr.contains("panicked"), "{ran:?}");
    }
}
