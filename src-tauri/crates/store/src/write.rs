//! Statements that change rows, to be put into a unit of work beside the events that tell of them.

use events::Timestamp;
use logstore::{SqlValue, Statement};
use serde_json::Value;
use uuid::Uuid;

use crate::rows::{
    BreakGlassRow, ConsentRow, DocumentRow, DraftRow, OrderId, OrderRow, PatientRow,
    ReassignmentRow, RecordingId, RecordingRow, SessionId, SessionRow, SignatureRow, UserId,
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
         start_now, by_user_id, started_ns, ended_ns, plan, recorded_s) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
            row.plan.as_ref().map(Value::to_string).into(),
            row.recorded_s.into(),
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

/// Lets a user sign in, or not. The unit fails when nobody would be left who administers.
pub fn set_user_disabled(id: UserId, disabled: bool) -> Statement {
    let values = [disabled.into(), id.0.into()];
    Statement::new(
        "UPDATE users SET disabled = ?1 WHERE id = ?2 AND (?1 = 0 OR role <> 'administrator' OR \
         EXISTS (SELECT 1 FROM users AS others WHERE others.role = 'administrator' \
         AND others.disabled = 0 AND others.id <> ?2))",
        values,
    )
    .expecting(1)
}

/// Enters an order.
pub fn insert_order(row: &OrderRow) -> Statement {
    Statement::new(
        "INSERT INTO orders (id, patient_id, protocol, planned_ns, zone_s, note, state, \
         session_id, by_user_id, created_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            row.id.0.into(),
            row.patient_id.0.into(),
            row.protocol.clone().into(),
            time(row.planned_at),
            i64::from(row.zone_s).into(),
            row.note.clone().into(),
            row.state.as_str().into(),
            optional(row.session_id.map(|id| id.0)),
            optional(row.by_user_id.map(|id| id.0)),
            time(row.created_at),
        ],
    )
    .expecting(1)
}

/// Takes an open order back; the unit fails when it is not open.
pub fn cancel_order(id: OrderId) -> Statement {
    let sql = "UPDATE orders SET state = 'cancelled' WHERE id = ? AND state = 'open'";
    Statement::new(sql, [id.0.into()]).expecting(1)
}

/// Says which session carries an open order out; the unit fails when it is not open.
pub fn begin_order(id: OrderId, session: SessionId) -> Statement {
    let sql = "UPDATE orders SET state = 'begun', session_id = ? WHERE id = ? AND state = 'open'";
    Statement::new(sql, [session.0.into(), id.0.into()]).expecting(1)
}

/// Keeps what a clinician wrote; the unit fails when the report is signed.
pub fn set_draft(row: &DraftRow) -> Statement {
    Statement::new(
        "INSERT INTO report_drafts (session_id, impression, conclusion, by_user_id, updated_ns) \
         SELECT ?1, ?2, ?3, ?4, ?5 \
         WHERE NOT EXISTS (SELECT 1 FROM signatures WHERE session_id = ?1) \
         ON CONFLICT (session_id) DO UPDATE SET impression = excluded.impression, \
         conclusion = excluded.conclusion, by_user_id = excluded.by_user_id, \
         updated_ns = excluded.updated_ns",
        [
            row.session_id.0.into(),
            row.impression.clone().into(),
            row.conclusion.clone().into(),
            optional(row.by_user_id.map(|id| id.0)),
            time(row.updated_at),
        ],
    )
    .expecting(1)
}

/// Enters a signature; the unit fails when another took its number.
pub fn insert_signature(row: &SignatureRow) -> Statement {
    Statement::new(
        "INSERT INTO signatures (session_id, number, document_id, addendum, by_user_id, name, \
         meaning, at_ns, zone_s, document_sha256, recording_sha256, event_id) \
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12 \
         WHERE (SELECT count(*) FROM signatures WHERE session_id = ?1) = ?2",
        [
            row.session_id.0.into(),
            row.number.into(),
            row.document_id.0.into(),
            row.addendum.clone().into(),
            row.by_user_id.0.into(),
            row.name.clone().into(),
            row.meaning.clone().into(),
            time(row.at),
            i64::from(row.zone_s).into(),
            row.document_sha256.clone().into(),
            row.recording_sha256.clone().into(),
            row.event_id.into(),
        ],
    )
    .expecting(1)
}

/// Notes who came in by break-glass, and why.
pub fn insert_break_glass(row: &BreakGlassRow) -> Statement {
    Statement::new(
        "INSERT INTO break_glass (id, name, reason, at_ns, expires_ns) VALUES (?, ?, ?, ?, ?)",
        [
            row.id.0.into(),
            row.name.clone().into(),
            row.reason.clone().into(),
            time(row.at),
            time(row.expires_at),
        ],
    )
    .expecting(1)
}

/// Puts a setting's default back.
pub fn delete_setting(name: &str) -> Statement {
    Statement::new("DELETE FROM settings WHERE name = ?", [name.into()])
}

/// Keeps what preparing a session's device measured.
pub fn set_session_checks(id: SessionId, checks: &Value) -> Statement {
    let values = [checks.to_string().into(), id.0.into()];
    Statement::new("UPDATE sessions SET checks = ? WHERE id = ?", values).expecting(1)
}

/// Keeps how long a session recorded, s.
pub fn set_session_length(id: SessionId, recorded_s: f64) -> Statement {
    let values = [recorded_s.into(), id.0.into()];
    Statement::new("UPDATE sessions SET recorded_s = ? WHERE id = ?", values).expecting(1)
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
