//! Reading rows.

use events::Timestamp;
use serde_json::Value;
use sqlx::{Row, Sqlite, query::Query, sqlite::SqliteArguments, sqlite::SqliteRow};
use uuid::Uuid;

use crate::{
    Store, StoreError,
    rows::{
        ConsentId, ConsentRow, ConsentState, DocumentId, DocumentKind, DocumentRow, PatientId,
        PatientRow, ReassignmentRow, RecordingId, RecordingRow, Role, SessionId, SessionRow, Sex,
        UserId, UserRow,
    },
};

/// A constant SELECT of one table with what follows it.
macro_rules! select {
    (patients $rest:literal) => {
        concat!(
            "SELECT id, family_name, given_name, birth_date, sex, hospital_number, training, \
             temporary, created_ns, updated_ns FROM patients",
            $rest
        )
    };
    (sessions $rest:literal) => {
        concat!(
            "SELECT id, patient_id, protocol, state, recording_id, device_id, training, start_now, \
             by_user_id, started_ns, ended_ns, plan, recorded_s FROM sessions",
            $rest
        )
    };
    (recordings $rest:literal) => {
        concat!(
            "SELECT id, session_id, folder, wrapped_key, started_ns, ended_ns FROM recordings",
            $rest
        )
    };
}

/// A row with errors that say which operation met them.
pub(crate) struct Reader<'r> {
    pub(crate) row: &'r SqliteRow,
    pub(crate) operation: &'static str,
}

impl Reader<'_> {
    pub(crate) fn get<'r, T>(&'r self, column: usize) -> Result<T, StoreError>
    where
        T: sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite>,
    {
        self.row.try_get(column).map_err(|error| self.wrong(error))
    }

    fn wrong(&self, reason: impl ToString) -> StoreError {
        StoreError::Row {
            operation: self.operation,
            reason: reason.to_string(),
        }
    }

    pub(crate) fn id(&self, column: usize) -> Result<Uuid, StoreError> {
        Uuid::from_slice(self.get(column)?).map_err(|error| self.wrong(error))
    }

    pub(crate) fn optional_id(&self, column: usize) -> Result<Option<Uuid>, StoreError> {
        let bytes: Option<&[u8]> = self.get(column)?;
        bytes
            .map(|bytes| Uuid::from_slice(bytes).map_err(|error| self.wrong(error)))
            .transpose()
    }

    pub(crate) fn time(&self, column: usize) -> Result<Timestamp, StoreError> {
        self.get(column).map(Timestamp)
    }

    fn optional_time(&self, column: usize) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.get::<Option<i64>>(column)?.map(Timestamp))
    }

    fn optional_json(&self, column: usize) -> Result<Option<Value>, StoreError> {
        let text: Option<&str> = self.get(column)?;
        text.map(|text| serde_json::from_str(text).map_err(|error| self.wrong(error)))
            .transpose()
    }

    pub(crate) fn word<T>(
        &self,
        column: usize,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, StoreError> {
        parse(self.get(column)?).ok_or_else(|| self.wrong("a word is unknown"))
    }
}

pub(crate) type SqliteQuery<'q> = Query<'q, Sqlite, SqliteArguments>;

impl Store {
    pub(crate) async fn all<T>(
        &self,
        operation: &'static str,
        query: SqliteQuery<'_>,
        read: impl Fn(Reader<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let rows = query
            .fetch_all(self.log().readers())
            .await
            .map_err(|error| StoreError::database(operation, error))?;
        rows.iter()
            .map(|row| read(Reader { row, operation }))
            .collect()
    }

    /// A patient.
    pub async fn patient(&self, id: PatientId) -> Result<Option<PatientRow>, StoreError> {
        let sql = select!(patients " WHERE id = ?");
        let query = sqlx::query(sql).bind(bytes(id.0));
        Ok(self.all("reading a patient", query, patient).await?.pop())
    }

    /// The patient of a hospital number.
    pub async fn patient_by_number(&self, number: &str) -> Result<Option<PatientRow>, StoreError> {
        let sql = select!(patients " WHERE hospital_number = ?");
        let query = sqlx::query(sql).bind(number);
        Ok(self.all("finding a patient", query, patient).await?.pop())
    }

    /// All patients, by name.
    pub async fn patients(&self) -> Result<Vec<PatientRow>, StoreError> {
        let sql = select!(patients " ORDER BY family_name, given_name, id");
        self.all("listing patients", sqlx::query(sql), patient)
            .await
    }

    /// A patient's latest consent.
    pub async fn consent(&self, patient: PatientId) -> Result<Option<ConsentRow>, StoreError> {
        let sql = "SELECT id, patient_id, state, by_user_id, at_ns FROM consents \
                   WHERE patient_id = ? ORDER BY at_ns DESC, id DESC LIMIT 1";
        let query = sqlx::query(sql).bind(bytes(patient.0));
        let read = |row: Reader<'_>| {
            Ok(ConsentRow {
                id: ConsentId(row.id(0)?),
                patient_id: PatientId(row.id(1)?),
                state: row.word(2, ConsentState::parse)?,
                by_user_id: row.optional_id(3)?.map(UserId),
                at: row.time(4)?,
            })
        };
        Ok(self.all("reading a consent", query, read).await?.pop())
    }

    /// A session.
    pub async fn session(&self, id: SessionId) -> Result<Option<SessionRow>, StoreError> {
        let sql = select!(sessions " WHERE id = ?");
        let query = sqlx::query(sql).bind(bytes(id.0));
        Ok(self.all("reading a session", query, session).await?.pop())
    }

    /// Sessions, the latest first, of one patient or all.
    pub async fn sessions(
        &self,
        patient: Option<PatientId>,
        limit: u32,
    ) -> Result<Vec<SessionRow>, StoreError> {
        let sql = select!(sessions " WHERE ?1 IS NULL OR patient_id = ?1 ORDER BY started_ns DESC, id LIMIT ?2");
        let query = sqlx::query(sql)
            .bind(patient.map(|id| bytes(id.0)))
            .bind(limit);
        self.all("listing sessions", query, session).await
    }

    /// Sessions that began between two times or have not ended, the latest first.
    pub async fn sessions_between(
        &self,
        from: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<SessionRow>, StoreError> {
        let sql = select!(sessions " WHERE (started_ns >= ? AND started_ns < ?) OR ended_ns IS NULL ORDER BY started_ns DESC, id LIMIT ?");
        let query = sqlx::query(sql).bind(from.0).bind(until.0).bind(limit);
        self.all("listing sessions", query, session).await
    }

    /// Completed sessions of patients (not of training ones) that began between two times and whose
    /// report nobody has signed, the latest first.
    pub async fn unsigned_sessions(
        &self,
        from: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<SessionRow>, StoreError> {
        let sql = select!(sessions " WHERE state = 'completed' AND training = 0 AND started_ns >= ? AND started_ns < ? AND NOT EXISTS (SELECT 1 FROM signatures WHERE signatures.session_id = sessions.id) ORDER BY started_ns DESC, id LIMIT ?");
        let query = sqlx::query(sql).bind(from.0).bind(until.0).bind(limit);
        self.all("listing sessions", query, session).await
    }

    /// What preparing a session's device measured, as JSON.
    pub async fn session_checks(&self, id: SessionId) -> Result<Option<Value>, StoreError> {
        let query = sqlx::query("SELECT checks FROM sessions WHERE id = ?").bind(bytes(id.0));
        let read = |row: Reader<'_>| row.optional_json(0);
        let found = self.all("reading a session's checks", query, read).await?;
        Ok(found.into_iter().next().flatten())
    }

    /// How a session changed hands, in order.
    pub async fn reassignments(&self, id: SessionId) -> Result<Vec<ReassignmentRow>, StoreError> {
        let sql = "SELECT session_id, at_ns, from_patient_id, to_patient_id, reason_code, \
                   by_user_id FROM session_reassignments WHERE session_id = ? ORDER BY at_ns";
        self.all(
            "reading reassignments",
            sqlx::query(sql).bind(bytes(id.0)),
            |row| {
                Ok(ReassignmentRow {
                    session_id: SessionId(row.id(0)?),
                    at: row.time(1)?,
                    from_patient_id: PatientId(row.id(2)?),
                    to_patient_id: PatientId(row.id(3)?),
                    reason_code: row.get(4)?,
                    by_user_id: row.optional_id(5)?.map(UserId),
                })
            },
        )
        .await
    }

    /// A recording.
    pub async fn recording(&self, id: RecordingId) -> Result<Option<RecordingRow>, StoreError> {
        let sql = select!(recordings " WHERE id = ?");
        let query = sqlx::query(sql).bind(bytes(id.0));
        Ok(self
            .all("reading a recording", query, recording)
            .await?
            .pop())
    }

    /// Recordings, the latest first.
    pub async fn recordings(&self, limit: u32) -> Result<Vec<RecordingRow>, StoreError> {
        let sql = select!(recordings " ORDER BY started_ns DESC, id LIMIT ?");
        self.all(
            "listing recordings",
            sqlx::query(sql).bind(limit),
            recording,
        )
        .await
    }

    /// Exports and reports of a session or, without one, all; in the order they were made.
    pub async fn documents(
        &self,
        session: Option<SessionId>,
    ) -> Result<Vec<DocumentRow>, StoreError> {
        let sql = "SELECT id, kind, session_id, recording_id, format, identified, path, sha256, \
                   by_user_id, created_ns FROM documents WHERE ?1 IS NULL OR session_id = ?1 \
                   ORDER BY created_ns, id";
        let query = sqlx::query(sql).bind(session.map(|id| bytes(id.0)));
        self.all("listing documents", query, |row| {
            Ok(DocumentRow {
                id: DocumentId(row.id(0)?),
                kind: row.word(1, DocumentKind::parse)?,
                session_id: row.optional_id(2)?.map(SessionId),
                recording_id: row.optional_id(3)?.map(RecordingId),
                format: row.get(4)?,
                identified: row.get(5)?,
                path: row.get(6)?,
                sha256: row.get(7)?,
                by_user_id: row.optional_id(8)?.map(UserId),
                created_at: row.time(9)?,
            })
        })
        .await
    }

    /// A user.
    pub async fn user(&self, id: UserId) -> Result<Option<UserRow>, StoreError> {
        let sql = "SELECT id, login, display_name, role, disabled, created_ns FROM users \
                   WHERE id = ?";
        let query = sqlx::query(sql).bind(bytes(id.0));
        Ok(self.all("reading a user", query, user).await?.pop())
    }

    /// All users, by login.
    pub async fn users(&self) -> Result<Vec<UserRow>, StoreError> {
        let sql = "SELECT id, login, display_name, role, disabled, created_ns FROM users \
                   ORDER BY login";
        self.all("listing users", sqlx::query(sql), user).await
    }

    /// A setting.
    pub async fn setting(&self, name: &str) -> Result<Option<Value>, StoreError> {
        let query = sqlx::query("SELECT value FROM settings WHERE name = ?").bind(name);
        let read =
            |row: Reader<'_>| serde_json::from_str(row.get(0)?).map_err(|error| row.wrong(error));
        Ok(self.all("reading a setting", query, read).await?.pop())
    }
}

pub(crate) fn bytes(id: Uuid) -> Vec<u8> {
    id.into_bytes().to_vec()
}

fn patient(row: Reader<'_>) -> Result<PatientRow, StoreError> {
    Ok(PatientRow {
        id: PatientId(row.id(0)?),
        family_name: row.get(1)?,
        given_name: row.get(2)?,
        birth_date: row.get(3)?,
        sex: row.word(4, Sex::parse)?,
        hospital_number: row.get(5)?,
        training: row.get(6)?,
        temporary: row.get(7)?,
        created_at: row.time(8)?,
        updated_at: row.time(9)?,
    })
}

fn session(row: Reader<'_>) -> Result<SessionRow, StoreError> {
    Ok(SessionRow {
        id: SessionId(row.id(0)?),
        patient_id: PatientId(row.id(1)?),
        protocol: row.get(2)?,
        state: row.get(3)?,
        recording_id: row.optional_id(4)?.map(RecordingId),
        device_id: row.get(5)?,
        training: row.get(6)?,
        start_now: row.get(7)?,
        by_user_id: row.optional_id(8)?.map(UserId),
        started_at: row.time(9)?,
        ended_at: row.optional_time(10)?,
        plan: row.optional_json(11)?,
        recorded_s: row.get(12)?,
    })
}

fn recording(row: Reader<'_>) -> Result<RecordingRow, StoreError> {
    Ok(RecordingRow {
        id: RecordingId(row.id(0)?),
        session_id: row.optional_id(1)?.map(SessionId),
        folder: row.get(2)?,
        wrapped_key: row.get(3)?,
        started_at: row.time(4)?,
        ended_at: row.optional_time(5)?,
    })
}

pub(crate) fn user(row: Reader<'_>) -> Result<UserRow, StoreError> {
    Ok(UserRow {
        id: UserId(row.id(0)?),
        login: row.get(1)?,
        display_name: row.get(2)?,
        role: row.word(3, Role::parse)?,
        disabled: row.get(4)?,
        created_at: row.time(5)?,
    })
}
