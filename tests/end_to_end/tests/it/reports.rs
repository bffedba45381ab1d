//! Signed reports: who may, what is bound to what, and that nothing signed changes.

use crate::people::{PASSWORD, signed_in_as, simulated, with_administrator};
use crate::worklist::{recorded, register};
use end_to_end::Station;
use sha2::{Digest, Sha256};
use std::path::Path;
use ui_types::{
    ErrorCode, LedgerShow, Password, PatientChoice, ReportAmend, ReportCreate, ReportDraft,
    ReportShow, ReportSign, Role, SessionShow, SessionStop, Worklist, WorklistState,
};

fn sha256(path: &Path) -> String {
    let hash = Sha256::digest(std::fs::read(path).expect("the document"));
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sign(id: &str, password: &str) -> ReportSign {
    ReportSign {
        id: id.to_owned(),
        password: Password(password.to_owned()),
        meaning: "I have read this recording and wrote this report".to_owned(),
    }
}

fn draft(id: &str, impression: &str) -> ReportDraft {
    ReportDraft {
        id: id.to_owned(),
        impression: impression.to_owned(),
        conclusion: "Within normal limits.\n\nNo epileptiform discharges.".to_owned(),
    }
}

#[test]
fn a_report_is_signed_once_and_changes_only_by_addendum() {
    let station = Station::new();
    let served = station.served();
    let boss = with_administrator(&served);
    let clinician = signed_in_as(&served, &boss.token, "doc", Role::Clinician);
    let technician = signed_in_as(&served, &boss.token, "tech", Role::Technician);
    let patient = register(&served, &clinician, "Kanarienvogel", "K-1");
    let session = recorded(&station, &served, &technician, &patient, None);
    let (id, token) = (session.as_str(), Some(clinician.as_str()));

    let unsigned = served.ok(
        token,
        &ReportShow {
            id: session.clone(),
        },
    );
    assert!(unsigned.report.is_some() && unsigned.signatures.is_empty());
    assert!(unsigned.html.contains("Draft: not signed"));
    assert_eq!(unsigned.recording_sha256.len(), 64);

    served.ok(token, &draft(id, "Zwitscherndes Grundmuster von 10 Hz."));
    served.refused(Some(&technician), &draft(id, "x"), ErrorCode::NotAllowed);
    served.refused(
        Some(&technician),
        &sign(id, PASSWORD),
        ErrorCode::NotAllowed,
    );
    served.refused(None, &sign(id, PASSWORD), ErrorCode::NotAllowed);
    served.refused(token, &sign(id, "wrong password"), ErrorCode::NotAllowed);
    let mute = ReportSign {
        meaning: " ".to_owned(),
        ..sign(id, PASSWORD)
    };
    served.refused(token, &mute, ErrorCode::Invalid);
    let amend = |text: &str, password: &str| ReportAmend {
        id: session.clone(),
        text: text.to_owned(),
        password: Password(password.to_owned()),
    };
    served.refused(token, &amend("too early", PASSWORD), ErrorCode::Conflict);

    // Two at the same moment: one signature.
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let both: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| served.call(token, &sign(id, PASSWORD))))
            .collect();
        both.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().flatten().count(), 1, "{outcomes:?}");
    let signed = outcomes.into_iter().flatten().next().unwrap();
    assert_eq!(signed.signatures.len(), 1);
    let signature = &signed.signatures[0];
    assert_eq!(signature.name, "doc the user");
    assert_eq!(signature.report_sha256, signed.sha256);
    assert_eq!(signature.recording_sha256, unsigned.recording_sha256);
    assert!(signed.html.contains("Zwitscherndes Grundmuster"));
    assert!(signed.html.contains("doc the user") && !signed.html.contains("Draft: not signed"));

    // The signature stands in the ledger, by its signer, over these very hashes.
    let entry = LedgerShow {
        from: signature.ledger_sequence.unwrap(),
        limit: 1,
        kind: None,
        session: Some(session.clone()),
        newest_first: false,
    };
    let entry = served.ok(None, &entry).entries.remove(0);
    assert_eq!(entry.kind, "report.signed");
    assert_eq!(entry.payload["data"]["sha256"], signed.sha256.as_str());
    let recording = entry.payload["data"]["recording_sha256"].as_str();
    assert_eq!(recording, Some(signature.recording_sha256.as_str()));

    // Nothing changes it any more.
    served.refused(token, &sign(id, PASSWORD), ErrorCode::Conflict);
    served.refused(token, &draft(id, "other"), ErrorCode::Conflict);
    let anew = ReportCreate {
        id: session.clone(),
        pdf: None,
        html: None,
    };
    served.refused(token, &anew, ErrorCode::Conflict);

    served.refused(token, &amend("x", "wrong password"), ErrorCode::NotAllowed);
    served.refused(token, &amend(" ", PASSWORD), ErrorCode::Invalid);
    let amended = served.ok(token, &amend("Nachgesehen: zwitschert noch.", PASSWORD));
    assert_eq!(amended.addenda, ["Nachgesehen: zwitschert noch."]);
    assert_eq!(amended.signatures.len(), 2);
    assert_eq!(amended.signatures[0], signed.signatures[0]);
    assert_eq!((amended.sha256, amended.html), (signed.sha256, signed.html));

    let folder = tempfile::tempdir().unwrap();
    let pdf = folder.path().join("report.pdf");
    let written = ReportCreate {
        pdf: Some(pdf.to_string_lossy().into_owned()),
        ..anew
    };
    let written = served.ok(token, &written).written;
    assert_eq!(written.len(), 2, "{written:?}");
    for (path, signature) in written.iter().zip(&amended.signatures) {
        assert_eq!(sha256(Path::new(path)), signature.report_sha256, "{path}");
    }
    if let Some(kept) = std::env::var_os("NEURASCALE_KEEP_REPORTS") {
        for (number, path) in written.iter().enumerate() {
            std::fs::copy(path, Path::new(&kept).join(format!("signed-{number}.pdf"))).unwrap();
        }
    }

    let show = SessionShow {
        id: session.clone(),
    };
    assert!(served.ok(token, &show).signed);
    let list = served.ok(token, &Worklist::default()).rows;
    assert_eq!(list[0].state, WorklistState::Signed);
    station.holds_nowhere(
        &served,
        &[
            "Zwitscherndes",
            "Nachgesehen",
            "Kanarienvogel",
            "doc the user",
        ],
    );
}

#[test]
fn nothing_is_signed_while_it_is_recorded() {
    let station = Station::new();
    let served = station.served();
    let boss = with_administrator(&served);
    let token = Some(boss.token.as_str());
    let session = served.ok(token, &simulated(PatientChoice::Training)).id;
    served.refused(token, &sign(&session, PASSWORD), ErrorCode::Conflict);
    served.ok(token, &SessionStop { id: session });
}
