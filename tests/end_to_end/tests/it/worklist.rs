//! The worklist, orders, and corrections of a patient's identity, over the engine's socket.

use crate::people::{entries, signed_in_as, simulated, with_administrator};
use end_to_end::{Served, Station};
use std::time::Duration;
use ui_types::{
    ConsentState, ErrorCode, OrderAdd, OrderCancel, PatientChoice, PatientConsent, PatientEdit,
    PatientRegister, PatientShow, ProtocolList, Role, SessionShow, SessionStart, SessionState,
    SessionStop, Sex, Worklist, WorklistRow, WorklistState,
};

pub(crate) fn register(served: &Served, token: &str, family_name: &str, number: &str) -> String {
    let call = PatientRegister {
        family_name: family_name.to_owned(),
        given_name: "Xaver".to_owned(),
        birth_date: "1951-05-02".to_owned(),
        sex: Sex::Male,
        hospital_number: number.to_owned(),
        training: true,
    };
    served.ok(Some(token), &call).id
}

/// A short simulated session for `patient`, until its report is made.
pub(crate) fn recorded(
    station: &Station,
    served: &Served,
    token: &str,
    patient: &str,
    order: Option<String>,
) -> String {
    let start = SessionStart {
        order,
        ..simulated(PatientChoice::Id(patient.to_owned()))
    };
    let session = served.ok(Some(token), &start).id;
    let show = SessionShow {
        id: session.clone(),
    };
    let recording = station.wait_for(Duration::from_secs(30), || {
        served.ok(Some(token), &show).recorded_s > 1.0
    });
    assert!(recording, "{}", station.log());
    served.ok(
        Some(token),
        &SessionStop {
            id: session.clone(),
        },
    );
    let ended = station.wait_for(Duration::from_secs(90), || {
        served.ok(Some(token), &show).state == SessionState::Completed
    });
    assert!(ended, "{}", station.log());
    session
}

fn rows(served: &Served, token: &str, date: Option<&str>, search: &str) -> Vec<WorklistRow> {
    let call = Worklist {
        date: date.map(str::to_owned),
        search: search.to_owned(),
    };
    served.ok(Some(token), &call).rows
}

#[test]
fn an_order_is_carried_out_once_and_for_its_own_patient() {
    let station = Station::new();
    let served = station.served();
    let boss = with_administrator(&served);
    let token = signed_in_as(&served, &boss.token, "tech", Role::Technician);
    let (first, second) = (
        register(&served, &token, "Kanarienvogel", "K-1"),
        register(&served, &token, "Other", "K-2"),
    );
    let today = served.ok(Some(&token), &Worklist::default()).date;
    let order = |patient: &str, time: &str| OrderAdd {
        patient: patient.to_owned(),
        protocol: "routine-eeg".to_owned(),
        time: time.to_owned(),
        note: "Zwitschert seit gestern".to_owned(),
    };
    let noon = format!("{today}T12:00:00Z");
    served.refused(Some(&token), &order(&first, "noon"), ErrorCode::Invalid);
    let unknown = OrderAdd {
        protocol: "none".to_owned(),
        ..order(&first, &noon)
    };
    served.refused(Some(&token), &unknown, ErrorCode::Invalid);
    let id = served.ok(Some(&token), &order(&first, &noon)).id;
    // Ordered for a day long ago and not carried out: still to be done today.
    let late = served
        .ok(Some(&token), &order(&second, "2020-02-29T08:00:00+01:00"))
        .id;
    let next_year = served
        .ok(Some(&token), &order(&second, "2199-02-28T08:00:00Z"))
        .id;

    let list = rows(&served, &token, None, "");
    let orders: Vec<_> = list.iter().map(|row| row.order.clone().unwrap()).collect();
    assert_eq!(
        orders,
        [late.clone(), id.clone()],
        "by time; nothing of another day"
    );
    assert!(list.iter().all(|row| row.state == WorklistState::Planned));
    assert_eq!(
        list[0].time, "2020-02-29T08:00:00+01:00",
        "the zone is kept"
    );
    assert_eq!(list[1].patient.family_name, "Kanarienvogel");
    assert_eq!(list[1].protocol_title, "Routine EEG");
    assert_eq!(list[1].note, "Zwitschert seit gestern");
    let past = rows(&served, &token, Some("2020-02-29"), "");
    assert_eq!(past.len(), 1);
    served.ok(Some(&token), &OrderCancel { id: late.clone() });
    served.refused(Some(&token), &OrderCancel { id: late }, ErrorCode::Conflict);

    let wrong_patient = SessionStart {
        order: Some(id.clone()),
        ..simulated(PatientChoice::Id(second.clone()))
    };
    served.refused(Some(&token), &wrong_patient, ErrorCode::Conflict);
    let session = recorded(&station, &served, &token, &first, Some(id.clone()));
    let again = SessionStart {
        order: Some(id.clone()),
        ..simulated(PatientChoice::Id(first.clone()))
    };
    served.refused(Some(&token), &again, ErrorCode::Conflict);
    served.refused(Some(&token), &OrderCancel { id }, ErrorCode::Conflict);

    let list = rows(&served, &token, None, "");
    assert_eq!(list.len(), 1, "{list:?}");
    assert_eq!(list[0].session.as_deref(), Some(session.as_str()));
    assert_eq!(list[0].state, WorklistState::ToSign);
    assert_eq!(list[0].note, "Zwitschert seit gestern");
    assert!(list[0].recorded_s > 1.0 && list[0].order.is_none());

    // A search shows everything of whoever matches, and who has nothing today as well.
    let found = rows(&served, &token, None, "k-");
    assert_eq!(found.len(), 3, "{found:?}");
    let other: Vec<_> = found
        .iter()
        .filter(|row| row.patient.id == second)
        .collect();
    assert_eq!(other[0].order.as_deref(), Some(next_year.as_str()));
    assert_eq!(other[1].state, WorklistState::None);
    assert!(rows(&served, &token, None, "nobody at all").is_empty());

    let added = entries(&served, "order.added");
    assert_eq!(added.len(), 3);
    assert_eq!(added[0].1["patient_id"], first.as_str());
    station.holds_nowhere(&served, &["Zwitschert", "Kanarienvogel", "Xaver"]);
}

#[test]
fn an_identity_is_corrected_and_a_consent_has_its_time() {
    let station = Station::new();
    let served = station.served();
    let boss = with_administrator(&served);
    let token = boss.token.as_str();
    let patient = register(&served, token, "Kanarienvogl", "K-1");
    register(&served, token, "Other", "K-2");
    let show = PatientShow {
        id: patient.clone(),
    };
    assert_eq!(served.ok(Some(token), &show).consent_at, None);
    let consent = PatientConsent {
        id: patient.clone(),
        state: ConsentState::Granted,
    };
    served.ok(Some(token), &consent);
    let edit = PatientEdit {
        id: patient,
        family_name: " Kanarienvogel ".to_owned(),
        given_name: "Xaver".to_owned(),
        birth_date: "1951-05-03".to_owned(),
        sex: Sex::Female,
        hospital_number: "K-1".to_owned(),
    };
    let edited = served.ok(Some(token), &edit);
    assert_eq!(edited.family_name, "Kanarienvogel");
    assert_eq!(edited.birth_date, "1951-05-03");
    assert!(edited.training, "that never changes");
    assert_eq!(edited.consent, ConsentState::Granted);
    assert!(edited.consent_at.is_some_and(|at| at.starts_with("20")));
    let taken = PatientEdit {
        hospital_number: "K-2".to_owned(),
        ..edit.clone()
    };
    served.refused(Some(token), &taken, ErrorCode::Conflict);
    let nobody = PatientEdit {
        family_name: String::new(),
        ..edit
    };
    served.refused(Some(token), &nobody, ErrorCode::Invalid);
    assert_eq!(served.ok(Some(token), &show).family_name, "Kanarienvogel");
    for kind in ["patient.edited", "patient.consent_noted"] {
        let told = entries(&served, kind);
        assert_eq!(told.len(), 1, "{kind}");
        assert_eq!(told[0].0, boss.user.id, "{kind}");
    }
    station.holds_nowhere(&served, &["Kanarienvog"]);
}

#[test]
fn protocols_say_what_is_done_with_the_patient() {
    let station = Station::new();
    let served = station.served();
    let protocols = served.ok(None, &ProtocolList {}).protocols;
    assert_eq!(protocols[0].id, "routine-eeg");
    let ids: Vec<_> = protocols[0]
        .activations
        .iter()
        .map(|a| a.id.as_str())
        .collect();
    assert_eq!(
        ids,
        [
            "eyes_open",
            "eyes_closed",
            "hyperventilation",
            "photic_stimulation"
        ]
    );
    let hyperventilation = &protocols[0].activations[2];
    assert_eq!(hyperventilation.duration_s, Some(180.0));
    assert!(hyperventilation.after_s >= 60.0 && !hyperventilation.check_list.is_empty());
}
