//! Rows and what changes them; signing in.

use events::{EventLog, Filter, Payload, Position, Timestamp, payloads::*};
use logstore::LedgerStore as _;
use store::{
    SignIn, Store, StoreError, UnitOfWork, insert_user,
    rows::{
        ConsentId, ConsentRow, ConsentState, DocumentId, DocumentKind, DocumentRow, PatientId,
        PatientRow, ReassignmentRow, RecordingId, RecordingRow, Role, SessionId, SessionRow, Sex,
        UserId, UserRow,
    },
    write,
};
use uuid::Uuid;

use crate::support::{open, rng};

fn at(seconds: i64) -> Timestamp {
    Timestamp(1_795_000_000_000_000_000 + seconds * 1_000_000_000)
}

pub(crate) fn patient(number: u128, training: bool) -> PatientRow {
    PatientRow {
        id: PatientId(Uuid::from_u128(number)),
        family_name: "Test".into(),
        given_name: "Patient".into(),
        birth_date: Some("1970-02-03".into()),
        sex: Sex::Female,
        hospital_number: Some(format!("H-{number}")),
        training,
        temporary: false,
        created_at: at(0),
        updated_at: at(0),
    }
}

pub(crate) fn session(number: u128, patient: PatientId) -> SessionRow {
    SessionRow {
        id: SessionId(Uuid::from_u128(number)),
        patient_id: patient,
        protocol: "routine".into(),
        state: "running".into(),
        recording_id: None,
        device_id: Some("simulated-1".into()),
        training: true,
        start_now: false,
        by_user_id: None,
        started_at: at(10),
        ended_at: None,
        plan: None,
        recorded_s: None,
    }
}

async fn put(store: &Store, statements: impl IntoIterator<Item = store::Statement>) {
    let unit = statements
        .into_iter()
        .fold(UnitOfWork::new(), UnitOfWork::statement);
    store.commit(unit).await.unwrap();
}

#[tokio::test]
async fn rows_come_back_as_they_went_in() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let mut first = patient(1, true);
    let consent = ConsentRow {
        id: ConsentId(Uuid::from_u128(50)),
        patient_id: first.id,
        state: ConsentState::Granted,
        by_user_id: Some(UserId(Uuid::from_u128(60))),
        at: at(5),
    };
    let withdrawn = ConsentRow {
        id: ConsentId(Uuid::from_u128(49)),
        state: ConsentState::Withdrawn,
        at: at(6),
        ..consent.clone()
    };
    let mut running = session(2, first.id);
    let recording = RecordingRow {
        id: RecordingId(Uuid::from_u128(3)),
        session_id: Some(running.id),
        folder: "recordings/abc".into(),
        wrapped_key: "recordings/abc/keys".into(),
        started_at: at(11),
        ended_at: None,
    };
    let document = DocumentRow {
        id: DocumentId(Uuid::from_u128(4)),
        kind: DocumentKind::Report,
        session_id: Some(running.id),
        recording_id: Some(recording.id),
        format: "pdf".into(),
        identified: true,
        path: "reports/abc".into(),
        sha256: "00".repeat(32),
        by_user_id: None,
        created_at: at(20),
    };
    put(
        &store,
        [
            write::insert_patient(&first),
            write::insert_consent(&consent),
            write::insert_consent(&withdrawn),
            write::insert_session(&running),
            write::insert_recording(&recording),
            write::insert_document(&document),
            write::set_setting("mains_hz", &serde_json::json!(50), at(1)),
        ],
    )
    .await;
    assert_eq!(store.patient(first.id).await.unwrap().unwrap(), first);
    assert_eq!(
        store.patient_by_number("H-1").await.unwrap().unwrap(),
        first
    );
    assert_eq!(store.patient_by_number("H-2").await.unwrap(), None);
    assert_eq!(store.consent(first.id).await.unwrap().unwrap(), withdrawn);
    assert_eq!(store.session(running.id).await.unwrap().unwrap(), running);
    assert_eq!(
        store.recording(recording.id).await.unwrap().unwrap(),
        recording
    );
    assert_eq!(store.documents(Some(running.id)).await.unwrap(), [document]);
    assert_eq!(store.setting("mains_hz").await.unwrap().unwrap(), 50);
    assert_eq!(store.setting("other").await.unwrap(), None);

    first.temporary = false;
    first.family_name = "Corrected".into();
    running.state = "completed".into();
    running.recording_id = Some(recording.id);
    running.ended_at = Some(at(99));
    put(
        &store,
        [
            write::update_patient(&first),
            write::update_session(&running),
            write::end_recording(recording.id, at(98)),
        ],
    )
    .await;
    assert_eq!(store.patients().await.unwrap(), [first.clone()]);
    assert_eq!(store.sessions(Some(first.id), 10).await.unwrap(), [running]);
    assert_eq!(
        store.recordings(10).await.unwrap()[0].ended_at,
        Some(at(98))
    );
    assert!(
        !format!("{first:?}").contains("Corrected"),
        "no name in a Debug form"
    );
}

#[tokio::test]
async fn a_session_changes_hands_only_within_its_kind_and_from_its_holder() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let (one, two, real) = (patient(1, true), patient(2, true), patient(3, false));
    let running = session(9, one.id);
    put(&store, [&one, &two, &real].map(write::insert_patient)).await;
    put(&store, [write::insert_session(&running)]).await;
    let change = |from: PatientId, to: PatientId, seconds| ReassignmentRow {
        session_id: running.id,
        at: at(seconds),
        from_patient_id: from,
        to_patient_id: to,
        reason_code: "wrong_patient".into(),
        by_user_id: None,
    };
    let reassign = |row: &ReassignmentRow| {
        write::reassign_session(row)
            .into_iter()
            .fold(UnitOfWork::new(), UnitOfWork::statement)
    };
    let good = change(one.id, two.id, 1);
    store.commit(reassign(&good)).await.unwrap();
    for bad in [change(one.id, two.id, 2), change(two.id, real.id, 3)] {
        let error = store.commit(reassign(&bad)).await.unwrap_err();
        assert!(matches!(error, StoreError::Log { .. }), "{error:?}");
    }
    assert_eq!(
        store.session(running.id).await.unwrap().unwrap().patient_id,
        two.id
    );
    assert_eq!(store.reassignments(running.id).await.unwrap(), [good]);
}

#[tokio::test]
async fn a_row_and_its_event_are_committed_together_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let publisher = store.bus().publisher("test");
    let registered = |id: PatientId| PatientRegistered {
        patient_id: id.0,
        temporary: false,
        training: true,
    };
    let unit = |row: &PatientRow| {
        UnitOfWork::new()
            .statement(write::insert_patient(row))
            .event(publisher.event(&registered(row.id)).unwrap())
    };
    store.commit(unit(&patient(1, true))).await.unwrap();
    let same_number = PatientRow {
        hospital_number: Some("H-1".into()),
        ..patient(2, true)
    };
    store.commit(unit(&same_number)).await.unwrap_err();
    let filter = Filter::of_types([PatientRegistered::EVENT_TYPE]);
    let events = store
        .log()
        .read(Position::START, 10, &filter)
        .await
        .unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(store.patients().await.unwrap().len(), 1);
    assert_eq!(store.log().ledger_size().await.unwrap(), 1);
}

#[tokio::test]
async fn every_attempt_to_sign_in_becomes_an_entry() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let user = UserRow {
        id: UserId(Uuid::from_u128(5)),
        login: "clinician".into(),
        display_name: "A. Clinician".into(),
        role: Role::Clinician,
        disabled: false,
        created_at: at(0),
    };
    let short = insert_user(&user, "short", &mut rng(1)).unwrap_err();
    assert!(matches!(short, StoreError::Password(_)), "{short}");
    put(
        &store,
        [insert_user(&user, "a long enough password", &mut rng(1)).unwrap()],
    )
    .await;
    assert_eq!(store.users().await.unwrap(), std::slice::from_ref(&user));

    let accepted = store
        .sign_in("clinician", "a long enough password")
        .await
        .unwrap();
    assert_eq!(accepted, SignIn::Accepted(user.clone()));
    let wrong = store
        .sign_in("clinician", "another password")
        .await
        .unwrap();
    assert_eq!(wrong, SignIn::Refused(AuthenticationFailure::WrongSecret));
    let unknown = store
        .sign_in("nobody", "a long enough password")
        .await
        .unwrap();
    assert_eq!(unknown, SignIn::Refused(AuthenticationFailure::UnknownUser));
    put(&store, [write::set_user_disabled(user.id, true)]).await;
    let disabled = store
        .sign_in("clinician", "a long enough password")
        .await
        .unwrap();
    assert_eq!(disabled, SignIn::Refused(AuthenticationFailure::Disabled));

    let entries = store.log().ledger_entries(0..10).await.unwrap();
    let kinds: Vec<_> = entries.iter().map(|entry| entry.kind.as_str()).collect();
    let failed = "security.authentication_failed";
    assert_eq!(kinds, ["security.signed_in", failed, failed, failed]);
    assert_eq!(entries[0].actor, user.id.to_string());
    assert!(
        entries
            .iter()
            .all(|entry| !entry.payload.as_str().contains("nobody"))
    );
}
