//! Who may do what: signing in, roles, break-glass, and what of it stands in ledger and log.

use end_to_end::{Served, Station};
use std::time::{Duration, Instant};
use ui_types::{
    AuthBreakGlass, AuthFirstAdministrator, AuthSignIn, AuthSignOut, AuthStatus, BackupCreate,
    EmergencyStop, EngineStatus, ErrorCode, ExportCreate, ExportFormat, LedgerShow, Password,
    PatientChoice, PatientList, PatientRegister, PatientShow, Role, SessionAnnotate, SessionList,
    SessionReassign, SessionShow, SessionStart, SessionState, SessionStop, Sex, SignedInReply,
    UserAdd, UserDisable, UserList, UserView,
};

pub(crate) const PASSWORD: &str = "correct horse battery staple";

fn first_administrator() -> AuthFirstAdministrator {
    AuthFirstAdministrator {
        login: "Boss".to_owned(),
        display_name: "Dr. Boss".to_owned(),
        password: Password(PASSWORD.to_owned()),
    }
}

fn sign_in(login: &str, password: &str) -> AuthSignIn {
    AuthSignIn {
        login: login.to_owned(),
        password: Password(password.to_owned()),
    }
}

fn user(login: &str, role: Role) -> UserAdd {
    UserAdd {
        login: login.to_owned(),
        display_name: format!("{login} the user"),
        role,
        password: Password(PASSWORD.to_owned()),
    }
}

/// A station with an administrator, signed in.
pub(crate) fn with_administrator(served: &Served) -> SignedInReply {
    served.ok(None, &first_administrator())
}

/// A user of this role, signed in.
pub(crate) fn signed_in_as(
    served: &Served,
    administrator: &str,
    login: &str,
    role: Role,
) -> String {
    served.ok(Some(administrator), &user(login, role));
    served.ok(None, &sign_in(login, PASSWORD)).token
}

/// Entries of a kind as (actor, data), in order.
pub(crate) fn entries(served: &Served, kind: &str) -> Vec<(String, serde_json::Value)> {
    let show = LedgerShow {
        from: 0,
        limit: 1_000,
        kind: Some(kind.to_owned()),
        session: None,
        newest_first: false,
    };
    let shown = served.ok(None, &show).entries;
    shown
        .into_iter()
        .map(|entry| (entry.actor, entry.payload["data"].clone()))
        .collect()
}

pub(crate) fn simulated(patient: PatientChoice) -> SessionStart {
    SessionStart {
        patient,
        device: "simulated:headset".to_owned(),
        settings: std::collections::BTreeMap::new(),
        protocol: "routine-eeg".to_owned(),
        duration_s: None,
        unlimited: true,
        start_now: true,
        export: None,
        order: None,
    }
}

#[test]
fn there_is_one_first_administrator() {
    let station = Station::new();
    let served = station.served();
    let status = served.ok(None, &AuthStatus {});
    assert!(!status.has_administrator && status.user.is_none());
    assert!(status.lock_after_s > 0 && status.min_password_chars >= 8);
    let short = AuthFirstAdministrator {
        password: Password("1234567".to_owned()),
        ..first_administrator()
    };
    served.refused(None, &short, ErrorCode::Invalid);
    // Two at the same moment: one of them is it.
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let both: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| served.call(None, &first_administrator())))
            .collect();
        both.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let made: Vec<_> = outcomes.iter().flatten().collect();
    assert_eq!(made.len(), 1, "{outcomes:?}");
    served.refused(None, &first_administrator(), ErrorCode::Conflict);
    let status = served.ok(Some(&made[0].token), &AuthStatus {});
    assert!(status.has_administrator);
    let seen = status.user.unwrap();
    assert_eq!(
        (seen.login.as_str(), seen.role),
        ("boss", Role::Administrator)
    );
    assert_eq!(entries(&served, "user.added").len(), 1);
    let signed_in = entries(&served, "security.signed_in");
    assert_eq!(signed_in[0].0, seen.id, "the ledger names the actor by id");
}

#[test]
fn a_wrong_password_and_an_unknown_name_are_answered_alike() {
    let station = Station::new();
    let served = station.served();
    let boss = with_administrator(&served);
    let wrong = served.refused(
        None,
        &sign_in("boss", "wrong password"),
        ErrorCode::NotAllowed,
    );
    let unknown = served.refused(None, &sign_in("nobody", PASSWORD), ErrorCode::NotAllowed);
    assert_eq!(wrong, unknown);
    let failures = entries(&served, "security.authentication_failed");
    assert_eq!(failures[0].1["user_id"], boss.user.id.as_str());
    assert_eq!(failures[0].1["reason"], "wrong_secret");
    assert_eq!(failures[1].1["reason"], "unknown_user");
    // Names differ in more than capitals and blanks.
    served.ok(None, &sign_in(" BOSS ", PASSWORD));
    // From the third on, an attempt waits for longer and longer: 1 s, 2 s, … at a known name and at an
    // unknown one.
    for login in ["boss", "nobody"] {
        let mut begun = Vec::new();
        for _ in 0..5 {
            begun.push(Instant::now());
            served.refused(
                None,
                &sign_in(login, "wrong password"),
                ErrorCode::NotAllowed,
            );
        }
        let waited = begun[2].elapsed();
        assert!(waited >= Duration::from_secs(3), "{login}: {waited:?}");
    }
    // Nobody is locked out.
    served.ok(None, &sign_in("boss", PASSWORD));
}

#[test]
fn a_token_that_does_not_hold_opens_only_what_needs_nobody() {
    let station = Station::new();
    let served = station.served();
    let boss = with_administrator(&served);
    let longer = format!("{}0", boss.token);
    for token in ["", "nonsense", "0000", longer.as_str()] {
        served.refused(Some(token), &PatientList::default(), ErrorCode::NotAllowed);
        served.refused(Some(token), &SessionList {}, ErrorCode::NotAllowed);
        served.refused(Some(token), &UserList {}, ErrorCode::NotAllowed);
        served.ok(Some(token), &EngineStatus {});
        served.ok(Some(token), &EmergencyStop { id: None });
        assert_eq!(served.ok(Some(token), &AuthStatus {}).user, None);
        served.ok(Some(token), &AuthSignOut {});
    }
    served.ok(Some(&boss.token), &UserList {});
    served.ok(Some(&boss.token), &AuthSignOut {});
    served.refused(Some(&boss.token), &UserList {}, ErrorCode::NotAllowed);
    assert_eq!(entries(&served, "security.signed_out").len(), 1);
    // Without a token it is the system's user who calls, as the command line does.
    served.ok(None, &UserList {});
}

#[test]
fn a_disabled_user_is_out_at_once_and_the_last_administrator_stays() {
    let station = Station::new();
    let served = station.served();
    let boss = with_administrator(&served);
    let token = signed_in_as(&served, &boss.token, "tech", Role::Technician);
    let again = served.call(Some(&boss.token), &user("TECH", Role::Researcher));
    assert_eq!(
        again.unwrap_err().code,
        ErrorCode::Conflict,
        "the name is taken"
    );
    let users = served.ok(Some(&boss.token), &UserList {}).users;
    let tech: &UserView = users.iter().find(|user| user.login == "tech").unwrap();
    served.ok(Some(&token), &PatientList::default());
    let disable = |id: &str, disabled| UserDisable {
        id: id.to_owned(),
        disabled,
    };
    served.ok(Some(&boss.token), &disable(&tech.id, true));
    served.refused(Some(&token), &PatientList::default(), ErrorCode::NotAllowed);
    let told = served.refused(None, &sign_in("tech", PASSWORD), ErrorCode::NotAllowed);
    let wrong = served.refused(
        None,
        &sign_in("tech", "wrong password"),
        ErrorCode::NotAllowed,
    );
    assert_eq!(told, wrong, "nobody learns which accounts are disabled");
    served.ok(Some(&boss.token), &disable(&tech.id, false));
    served.ok(None, &sign_in("tech", PASSWORD));
    served.refused(
        Some(&boss.token),
        &disable(&boss.user.id, true),
        ErrorCode::Conflict,
    );
    let disabled = entries(&served, "user.disabled");
    assert_eq!(disabled.len(), 2);
    assert!(disabled.iter().all(|(actor, _)| *actor == boss.user.id));
}

#[test]
fn roles_decide_and_break_glass_only_records() {
    let station = Station::new();
    let served = station.served();
    let boss = with_administrator(&served);
    let technician = signed_in_as(&served, &boss.token, "tech", Role::Technician);
    let researcher = signed_in_as(&served, &boss.token, "search", Role::Researcher);
    for token in [&technician, &researcher] {
        served.refused(
            Some(token),
            &user("x", Role::Clinician),
            ErrorCode::NotAllowed,
        );
    }
    served.refused(
        Some(&researcher),
        &PatientList::default(),
        ErrorCode::NotAllowed,
    );
    served.refused(
        Some(&researcher),
        &simulated(PatientChoice::Training),
        ErrorCode::NotAllowed,
    );

    let no_reason = AuthBreakGlass {
        name: "Locum".to_owned(),
        reason: " ".to_owned(),
    };
    served.refused(None, &no_reason, ErrorCode::Invalid);
    let break_glass = AuthBreakGlass {
        name: "Kanarienvogel Locum".to_owned(),
        reason: "Zwitscherndes Kind im Notfall".to_owned(),
    };
    // A window in which nobody is signed in carries the empty token.
    let locum = served.ok(Some(""), &break_glass);
    assert_eq!(locum.user.role, Role::BreakGlass);
    let token = Some(locum.token.as_str());
    let session = served.ok(token, &simulated(PatientChoice::Training)).id;
    let show = SessionShow {
        id: session.clone(),
    };
    let recording = station.wait_for(Duration::from_secs(30), || {
        served.ok(token, &show).recorded_s > 0.5
    });
    assert!(recording, "{}", station.log());
    let mark = SessionAnnotate {
        id: session.clone(),
        text: "Movement".to_owned(),
        code: Some("movement".to_owned()),
        onset_utc_ns: None,
    };
    served.ok(token, &mark);
    served.ok(
        token,
        &SessionStop {
            id: session.clone(),
        },
    );
    let ended = station.wait_for(Duration::from_secs(60), || {
        served.ok(token, &show).state == SessionState::Completed
    });
    assert!(ended, "{}", station.log());

    let export = ExportCreate {
        id: session.clone(),
        format: ExportFormat::Edf,
        folder: None,
        identified: false,
        subject: None,
        annotations_reviewed: false,
    };
    let register = PatientRegister {
        family_name: "Test".to_owned(),
        given_name: String::new(),
        birth_date: String::new(),
        sex: Sex::Unknown,
        hospital_number: String::new(),
        training: true,
    };
    let reassign = SessionReassign {
        id: session.clone(),
        patient: session,
        reason: "x".to_owned(),
    };
    served.refused(token, &export, ErrorCode::NotAllowed);
    served.refused(token, &register, ErrorCode::NotAllowed);
    served.refused(token, &reassign, ErrorCode::NotAllowed);
    served.refused(token, &UserList {}, ErrorCode::NotAllowed);
    let backup = BackupCreate {
        path: "/nowhere".to_owned(),
    };
    served.refused(token, &backup, ErrorCode::NotAllowed);

    // The ledger names who did it, by an opaque id.
    let started = entries(&served, "session.started");
    assert_eq!(started[0].0, locum.user.id);
    let broken = entries(&served, "security.break_glass");
    assert_eq!(broken.len(), 1);
    assert_eq!(broken[0].1["user_id"], locum.user.id.as_str());

    // A technician may not export, a researcher may, and the ledger says who did.
    served.refused(Some(&technician), &export, ErrorCode::NotAllowed);
    served.ok(Some(&researcher), &export);
    let exported = entries(&served, "export.created");
    let status = served.ok(Some(&researcher), &AuthStatus {});
    assert_eq!(exported[0].0, status.user.unwrap().id);

    station.holds_nowhere(
        &served,
        &[
            "Kanarienvogel",
            "Zwitscherndes",
            "Dr. Boss",
            PASSWORD,
            &locum.token,
            &boss.token,
        ],
    );
}

#[test]
fn every_look_at_a_patient_stands_in_the_ledger_once_in_a_while() {
    let station = Station::new();
    let served = station.served();
    let boss = with_administrator(&served);
    let token = Some(boss.token.as_str());
    let register = PatientRegister {
        family_name: "Kanarienvogel".to_owned(),
        given_name: String::new(),
        birth_date: String::new(),
        sex: Sex::Unknown,
        hospital_number: String::new(),
        training: true,
    };
    let patient = served.ok(token, &register).id;
    for _ in 0..3 {
        served.ok(
            token,
            &PatientShow {
                id: patient.clone(),
            },
        );
        let search = PatientList {
            search: "kanarien".to_owned(),
        };
        assert_eq!(served.ok(token, &search).patients.len(), 1);
    }
    let viewed = entries(&served, "patient.viewed");
    assert_eq!(viewed.len(), 1);
    assert_eq!(viewed[0].0, boss.user.id);
    assert_eq!(viewed[0].1["patient_id"], patient.as_str());
    let searched = entries(&served, "patient.searched");
    assert_eq!(searched.len(), 1);
    assert_eq!(searched[0].1["shown"], 1);
    station.holds_nowhere(&served, &["anarienvogel", "kanarien"]);
}
