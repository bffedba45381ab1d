//! Policies that are obeyed, and the timing certificate, over the engine's socket.

use crate::people::{entries, signed_in_as, simulated, with_administrator};
use crate::worklist::{recorded, register};
use end_to_end::{Served, Station};
use serde_json::json;
use sha2::{Digest, Sha256};
use ui_types::{
    AuthStatus, ErrorCode, ExportCreate, ExportFormat, PatientChoice, PolicyList, PolicySet,
    PolicyView, ProtocolList, Role, SessionStop, TimingCertify,
};

fn policy(served: &Served, name: &str) -> PolicyView {
    let all = served.ok(None, &PolicyList {}).policies;
    all.into_iter()
        .find(|policy| policy.name == name)
        .expect(name)
}

fn set(name: &str, value: Option<serde_json::Value>) -> PolicySet {
    PolicySet {
        name: name.to_owned(),
        value,
    }
}

#[test]
fn policies_are_set_by_administrators_and_obeyed() {
    let station = Station::new();
    let served = station.served();
    let boss = with_administrator(&served);
    let token = Some(boss.token.as_str());
    let clinician = signed_in_as(&served, &boss.token, "doc", Role::Clinician);
    for policy in served.ok(token, &PolicyList {}).policies {
        assert_eq!(policy.source, "default", "{policy:?}");
        assert!(policy.changeable && policy.set_by.is_empty() && !policy.description.is_empty());
    }
    let lock = set("lock_after_s", Some(json!(120)));
    served.refused(Some(&clinician), &lock, ErrorCode::NotAllowed);
    for (name, value) in [
        ("lock_after_s", json!(1)),
        ("lock_after_s", json!("soon")),
        ("mains_hz", json!(55)),
        ("default_protocol", json!("none")),
        ("identified_export", json!(1)),
        ("disk_warning_hours", json!(-1)),
    ] {
        served.refused(token, &set(name, Some(value)), ErrorCode::Invalid);
    }
    served.refused(token, &set("no_such", None), ErrorCode::NotFound);

    served.ok(token, &lock);
    assert_eq!(served.ok(None, &AuthStatus {}).lock_after_s, 120);
    let shown = policy(&served, "lock_after_s");
    assert_eq!(
        (shown.value, shown.source.as_str()),
        (json!(120), "administrator")
    );
    assert!(shown.set_by.starts_with("Dr. Boss, 20"), "{}", shown.set_by);

    served.ok(
        token,
        &set("default_protocol", Some(json!("free-recording"))),
    );
    let protocols = served.ok(token, &ProtocolList {}).protocols;
    assert_eq!(protocols[0].id, "free-recording");

    let patient = register(&served, &boss.token, "Test", "T-1");
    let session = recorded(&station, &served, &boss.token, &patient, None);
    let export = ExportCreate {
        id: session,
        format: ExportFormat::Edf,
        folder: None,
        identified: true,
        subject: None,
        annotations_reviewed: false,
    };
    served.ok(token, &set("identified_export", Some(json!(false))));
    served.refused(token, &export, ErrorCode::Refused);
    served.ok(token, &set("identified_export", None));
    assert_eq!(policy(&served, "identified_export").source, "default");
    served.ok(token, &export);

    let changed = entries(&served, "policy.changed");
    assert_eq!(changed.len(), 4);
    assert!(changed.iter().all(|(actor, _)| *actor == boss.user.id));
    assert_eq!(changed[0].1["name"], "lock_after_s");
    assert_eq!(changed[0].1["value"], "120");
    assert_eq!(changed[3].1["value"], serde_json::Value::Null);
}

#[test]
fn the_sites_file_outranks_what_is_set_here() {
    let mut station = Station::new();
    let file = station.path().join("policy.toml");
    std::fs::write(&file, "mains_hz = 60\nlock_after_s = 2\n").unwrap();
    station.set_site_policy(file);
    let served = station.served();
    let mains = policy(&served, "mains_hz");
    assert_eq!((mains.value, mains.source.as_str()), (json!(60), "site"));
    assert!(!mains.changeable);
    served.refused(None, &set("mains_hz", Some(json!(50))), ErrorCode::Refused);
    // What makes no sense is left out, and the doctor says so.
    assert_eq!(policy(&served, "lock_after_s").source, "default");
    let findings = served.ok(None, &ui_types::Doctor {}).findings;
    let found = findings
        .iter()
        .find(|finding| finding.check == "policies")
        .unwrap();
    assert!(found.found.contains("lock_after_s"), "{found:?}");
}

#[test]
fn this_machines_timing_is_certified() {
    let station = Station::new();
    let served = station.served();
    let boss = with_administrator(&served);
    let token = Some(boss.token.as_str());
    let certify = |duration_s: f64| TimingCertify {
        duration_s,
        path: None,
    };
    served.refused(token, &certify(0.0), ErrorCode::Invalid);
    served.refused(token, &certify(f64::NAN), ErrorCode::Invalid);
    let made = served.ok(token, &certify(12.0));
    assert_eq!((made.channels, made.rate_hz), (16, 256.0));
    assert_eq!(made.samples_due, 12 * 256);
    assert_eq!(made.samples_lost, 0, "{made:?}");
    assert!(made.latency_p50_ms > 0.0 && made.latency_p50_ms <= made.latency_p99_ms);
    assert!(made.latency_p99_ms <= made.latency_max_ms);
    assert!(made.jitter_ms > 0.0 && made.clock_error_p99_us > 0.0);
    let pdf = std::fs::read(&made.path).unwrap();
    assert!(pdf.starts_with(b"%PDF"));
    let hash: String = Sha256::digest(&pdf)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    assert_eq!(hash, made.sha256);
    if let Some(kept) = std::env::var_os("NEURASCALE_KEEP_REPORTS") {
        std::fs::copy(&made.path, std::path::Path::new(&kept).join("timing.pdf")).unwrap();
    }
    let told = entries(&served, "timing.certified");
    assert_eq!(told[0].0, boss.user.id);
    assert_eq!(told[0].1["sha256"], made.sha256.as_str());
    assert!(
        !station.path().join("timing").exists(),
        "the measurement's recording is gone"
    );
    let in_the_way = TimingCertify {
        duration_s: 12.0,
        path: Some(made.path),
    };
    served.refused(token, &in_the_way, ErrorCode::Conflict);
    // A recording is not disturbed.
    let session = served.ok(token, &simulated(PatientChoice::Training)).id;
    let began = station.wait_for(std::time::Duration::from_secs(30), || {
        let show = ui_types::SessionShow {
            id: session.clone(),
        };
        served.ok(token, &show).recorded_s > 0.1
    });
    assert!(began, "{}", station.log());
    served.refused(token, &certify(12.0), ErrorCode::Conflict);
    served.ok(token, &SessionStop { id: session });
}
