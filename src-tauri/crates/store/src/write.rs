//! Statements that change rows, to be put into a unit of work beside the events that tell of them.

use events::Timestamp;
use logstore::{SqlValue, Statement};
use serde_json::Value;
use uuid::Uuid;

use crate::rows::{
    ConsentRow, DocumentRow, PatientRow, ReassignmentRow, RecordingId, RecordingRow, SessionId,
    SessionRow, UserId,
};

fn optional(id: Option<Uuid>) -> SqlValue {
    id.into()
}

fn time(at: Timestamp) -> SqlValue {
    at.as_nanos().into()
}

/// Enters a patient.
pub fn insert_patient(row: &PatientRow) -> Statement {
    Statement::new(
        "INSERT INTO patients (id, family_name, given_name, birth_date, sex, hospital_number, \
         training, temporary, created_ns, updated_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            row.id.0.into(),
            row.family_name.clone().into(),
            row.given_name.clone().into(),
            row.birth_date.clone().into(),
            row.sex.as_str().into(),
            row.hospital_number.clone().into(),
            row.training.into(),
            row.temporary.into(),
            time(row.created_at),
            time(row.updated_at),
        ],
    )
    .expecting(1)
}

/// Corrects a patient's identity. Whether the patient is a training one never changes.
pub fn update_patient(row: &PatientRow) -> Statement {
    Statement::new(
        "UPDATE patients SET family_name = ?, given_name = ?, birth_date = ?, sex = ?, \
         hospital_number = ?, temporary = ?, updated_ns = ? WHERE id = ?",
        [
            row.family_name.clone().into(),
            row.given_name.clone().into(),
            row.birth_date.clone().into(),
            row.sex.as_str().into(),
            row.hospital_number.clone().into(),
            row.temporary.into(),
            time(row.updated_at),
            row.id.0.into(),
        ],
    )
    .expecting(1)
}

/// Notes a consent.
pub fn insert_consent(row: &ConsentRow) -> Statement {
    Statement::new(
        "INSERT INTO consents (id, patient_id, state, by_user_id, at_ns) VALUES (?, ?, ?, ?, ?)",
        [
            row.id.0.into(),
            row.patient_id.0.into(),
            row.state.as_str().into(),
            optional(row.by_user_id.map(|id| id.0)),
            time(row.at),
        ],
    )
    .expecting(1)
}

/// Enters a session.
pub fn insert_session(row: &SessionRow) -> Statement {
    Statement::new(
        "INSERT INTO sessions (id, patient_id, protocol, state, recording_id, device_id, training, \
         start_now, by_user_id, started_ns, ended_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            row.id.0.into(),
            row.patient_id.0.into(),
            row.protocol.clone().into(),
            row.state.clone().into(),
            optional(row.recording_id.map(|id| id.0)),
            row.device_id.clone().into(),
            row.training.into(),
            row.start_now.into(),
            optional(row.by_user_id.map(|id| id.0)),
            time(row.started_at),
            row.ended_at.map(Timestamp::as_nanos).into(),
        ],
    )
    .expecting(1)
}

/// Moves a session on: state, recording, device and end. Its patient changes through
/// [`reassign_session`] only.
pub fn update_session(row: &SessionRow) -> Statement {
    Statement::new(
        "UPDATE sessions SET state = ?, recording_id = ?, device_id = ?, ended_ns = ? WHERE id = ?",
        [
            row.state.clone().into(),
            optional(row.recording_id.map(|id| id.0)),
            row.device_id.clone().into(),
            row.ended_at.map(Timestamp::as_nanos).into(),
            row.id.0.into(),
        ],
    )
    .expecting(1)
}

/// Gives a session to another patient, if it still belongs to the one named: two statements for
/// one unit of work. The record itself is untouched. Data that cannot pass for a patient's stays
/// with training patients: the unit fails if the two are not of one kind.
pub fn reassign_session(row: &ReassignmentRow) -> [Statement; 2] {
    let change = Statement::new(
        "UPDATE sessions SET patient_id = ?1 WHERE id = ?2 AND patient_id = ?3 \
         AND (SELECT training FROM patients WHERE id = ?1) = training",
        [
            row.to_patient_id.0.into(),
            row.session_id.0.into(),
            row.from_patient_id.0.into(),
        ],
    );
    let note = Statement::new(
        "INSERT INTO session_reassignments (session_id, at_ns, from_patient_id, to_patient_id, \
         reason_code, by_user_id) VALUES (?, ?, ?, ?, ?, ?)",
        [
            row.session_id.0.into(),
            time(row.at),
            row.from_patient_id.0.into(),
            row.to_patient_id.0.into(),
            row.reason_code.clone().into(),
            optional(row.by_user_id.map(|id| id.0)),
        ],
    );
    [change.expecting(1), note.expecting(1)]
}

/// Enters a recording.
pub fn insert_recording(row: &RecordingRow) -> Statement {
    Statement::new(
        "INSERT INTO recordings (id, session_id, folder, wrapped_key, started_ns, ended_ns) \
         VALUES (?, ?, ?, ?, ?, ?)",
        [
            row.id.0.into(),
            optional(row.session_id.map(|id| id.0)),
            row.folder.clone().into(),
            row.wrapped_key.clone().into(),
            time(row.started_at),
            row.ended_at.map(Timestamp::as_nanos).into(),
        ],
    )
    .expecting(1)
}

/// Notes when a recording ended.
pub fn end_recording(id: RecordingId, at: Timestamp) -> Statement {
    let values = [time(at), id.0.into()];
    Statement::new("UPDATE recordings SET ended_ns = ? WHERE id = ?", values).expecting(1)
}

/// Enters an export or report.
pub fn insert_document(row: &DocumentRow) -> Statement {
    Statement::new(
        "INSERT INTO documents (id, kind, session_id, recording_id, format, identified, path, \
         sha256, by_user_id, created_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            row.id.0.into(),
            row.kind.as_str().into(),
            optional(row.session_id.map(|id| id.0)),
            optional(row.recording_id.map(|id| id.0)),
            row.format.clone().into(),
            row.identified.into(),
            row.path.clone().into(),
            row.sha256.clone().into(),
            optional(row.by_user_id.map(|id| id.0)),
            time(row.created_at),
        ],
    )
    .expecting(1)
}

/// Lets a user sign in, or not.
pub fn set_user_disabled(id: UserId, disabled: bool) -> Statement {
    let values = [disabled.into(), id.0.into()];
    Statement::new("UPDATE users SET disabled = ? WHERE id = ?", values).expecting(1)
}

/// Sets a setting.
pub fn set_setting(name: &str, value: &Value, at: Timestamp) -> Statement {
    Statement::new(
        "INSERT INTO settings (name, value, updated_ns) VALUES (?, ?, ?) ON CONFLICT (name) \
         DO UPDATE SET value = excluded.value, updated_ns = excluded.updated_ns",
        [name.into(), value.to_string().into(), time(at)],
    )
}

/// Moves a session on in one word.
pub fn set_session_state(id: SessionId, state: &str) -> Statement {
    let values = [state.into(), id.0.into()];
    Statement::new("UPDATE sessions SET state = ? WHERE id = ?", values).expecting(1)
}
