//! The committed schemas are those of the types.

use std::{collections::BTreeSet, fs, path::PathBuf};

#[test]
fn committed_schemas_match_the_types() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../assets/schemas/events");
    let update = std::env::var_os("UPDATE_SCHEMAS").is_some();
    if update {
        fs::create_dir_all(&folder).unwrap();
    }
    let mut due = BTreeSet::from(["system_event.json".to_owned()]);
    check(
        &folder.join("system_event.json"),
        &schemars::schema_for!(events::SystemEvent),
        update,
    );
    let schemas = events::payloads::schemas();
    for (event_type, version, schema) in &schemas {
        let name = format!("{event_type}.v{version}.json");
        check(&folder.join(&name), schema, update);
        assert!(due.insert(name), "{event_type} is declared twice");
    }
    for entry in fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let (_, newer) = (
            due.contains(&name),
            name.split(".v").next().unwrap_or_default(),
        );
        // Schemas of earlier versions stay: logs still hold such events.
        assert!(
            due.contains(&name) || schemas.iter().any(|(kind, ..)| kind.as_str() == newer),
            "{name} belongs to no type of event"
        );
    }
}

fn check(path: &std::path::Path, schema: &schemars::Schema, update: bool) {
    // Members by name, whether or not something in the same build makes serde_json keep their order.
    let mut sorted = schema.clone().to_value();
    sorted.sort_all_objects();
    let sorted = schemars::Schema::try_from(sorted).unwrap();
    let expected = serde_json::to_string_pretty(&sorted).unwrap() + "\n";
    if update {
        fs::write(path, &expected).unwrap();
    }
    let found = fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        found,
        expected,
        "{} differs from its type: raise the version, or rewrite it with UPDATE_SCHEMAS=1",
        path.display()
    );
}

#[test]
fn the_eleven_types_of_the_design_are_there() {
    let known: BTreeSet<_> = events::payloads::schemas()
        .iter()
        .map(|(kind, ..)| kind.to_string())
        .collect();
    for due in [
        "patient.registered",
        "session.started",
        "session.completed",
        "device.connected",
        "device.disconnected",
        "signal.quality_alert",
        "safety.emergency_stop",
        "model.inference_completed",
        "ledger.event_recorded",
        "security.authentication_failed",
        "system.health_check",
    ] {
        assert!(known.contains(due), "{due}");
    }
}
