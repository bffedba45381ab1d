//! What is stored of patients and sessions, as the composition uses it.

use crate::error::{Error, ErrorKind, Result};
use crate::sessions::ExportKind;
use clinic::{BirthDate, ConsentState, Identity, Outcome, PatientId, SessionId, Sex};
use contract::{DeviceClass, Settings};
use events::{SystemEvent, Timestamp};
use logstore::UnitOfWork;
use recording::RecordingId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use signal::{Impedance, UtcNanos, ZoneOffset};
use store::rows::{
    self, ConsentRow, DocumentKind, DocumentRow, PatientRow, ReassignmentRow, RecordingRow,
    SessionRow,
};
use store::{Store, StoreError, write};
use uuid::Uuid;

/// A patient.
#[derive(Debug, Clone)]
pub struct PatientRecord {
    /// Opaque id.
    pub id: PatientId,
    /// Who it is.
    pub identity: Identity,
    /// A training patient.
    pub training: bool,
    /// A temporary identity.
    pub temporary: bool,
    /// The latest word on consent.
    pub consent: ConsentState,
    /// When it was noted.
    pub consent_at: Option<UtcNanos>,
}

/// A session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionRecord {
    /// Opaque id; also the workflow's, and the correlation of its events.
    pub id: SessionId,
    /// Whose, as of now.
    pub patient: PatientId,
    /// `driver:address`.
    pub device: String,
    /// Driver's settings.
    pub settings: Settings,
    /// Medical, research, simulated, playback.
    pub device_class: DeviceClass,
    /// Protocol's id.
    pub protocol: String,
    /// Planned length, ms.
    pub duration_ms: Option<u64>,
    /// Begun by 'start now'.
    pub start_now: bool,
    /// Export when the report is done.
    pub export: Option<ExportKind>,
    /// Its recording.
    pub recording: RecordingId,
    /// Begin.
    pub started: UtcNanos,
    /// The zone's offset then.
    pub zone: ZoneOffset,
    /// End.
    pub ended: Option<UtcNanos>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Its latest report.
    pub report: Option<Uuid>,
    /// Exported files.
    pub exports: Vec<String>,
    /// Who began it.
    pub by_user: Option<Uuid>,
    /// It was recorded while the store was closed, and has ended: nothing is left to collect.
    #[serde(default)]
    pub without_store: bool,
}

/// What the row of a session has no column for; kept in it as JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Plan {
    settings: Settings,
    device_class: DeviceClass,
    duration_ms: Option<u64>,
    export: Option<ExportKind>,
    recording: RecordingId,
    zone: ZoneOffset,
    #[serde(default)]
    without_store: bool,
}

/// What preparing a device measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Checks {
    /// Impedances before the recording.
    pub impedances: Vec<Impedance>,
    /// Calibration, by channel; empty when the device has none.
    pub calibration: Vec<CalibratedChannel>,
    /// The device has no signal of its own: nothing but the display could be checked.
    #[serde(default)]
    pub display_check_only: bool,
    /// Impedances measured later on, in order.
    #[serde(default)]
    pub later: Vec<LaterCheck>,
}

/// When impedances were measured, apart from before the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckWhen {
    /// Between two pieces of the recording.
    During,
    /// After its end.
    End,
}

/// Impedances measured later on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LaterCheck {
    /// When.
    pub when: CheckWhen,
    /// What was measured.
    pub impedances: Vec<Impedance>,
}

impl Checks {
    /// The newest impedance of each electrode, in the order in which they were first measured;
    /// `more` are the newest of all.
    #[must_use]
    pub fn newest_impedances(&self, more: &[Impedance]) -> Vec<Impedance> {
        let mut newest: Vec<Impedance> = Vec::new();
        let later = self.later.iter().flat_map(|check| &check.impedances);
        for value in self.impedances.iter().chain(later).chain(more) {
            match newest
                .iter_mut()
                .find(|known| known.electrode == value.electrode)
            {
                Some(known) => known.clone_from(value),
                None => newest.push(value.clone()),
            }
        }
        newest
    }

    /// What the calibration found, for people; empty before it was done.
    #[must_use]
    pub fn calibration_found(&self) -> String {
        if self.display_check_only {
            return "Display check only: the device has no calibration signal.".to_owned();
        }
        let failed: Vec<_> = self
            .calibration
            .iter()
            .filter(|channel| !channel.passed)
            .map(|channel| channel.label.as_str())
            .collect();
        match (self.calibration.len(), failed.as_slice()) {
            (0, _) => String::new(),
            (all, []) => format!("All {all} channels are within tolerance."),
            (_, failed) => format!("Outside tolerance: {}.", failed.join(", ")),
        }
    }
}

/// One channel's calibration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CalibratedChannel {
    /// Label.
    pub label: String,
    /// Amplitude found, µV peak to peak.
    pub amplitude_uv: f64,
    /// Noise about the wave, µV RMS.
    pub noise_uv: f64,
    /// Within tolerance.
    pub passed: bool,
}

/// A document to be noted: a report or an exported file.
#[derive(Debug, Clone)]
pub(crate) struct NewDocument {
    pub(crate) id: Uuid,
    pub(crate) kind: DocumentKind,
    pub(crate) format: String,
    pub(crate) identified: bool,
    pub(crate) path: String,
    pub(crate) sha256: String,
}

const TRAINING_PATIENT: &str = "clinic.training_patient";
const RUNNING: &str = "running";
const COMPLETED: &str = "completed";
const FAILED: &str = "failed";

/// The store, in the words of the clinic.
#[derive(Debug, Clone)]
pub(crate) struct Records {
    store: Store,
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let kind = match &error {
            StoreError::DiskFull { .. } => ErrorKind::DiskFull,
            StoreError::Locked { .. } => ErrorKind::Conflict,
            StoreError::Exists { .. } => ErrorKind::Conflict,
            _ => ErrorKind::Store,
        };
        let remedy = match &error {
            StoreError::WrongKey { .. } => {
                "Put the key of this data folder back: its key file, its passphrase, or its recovery code. Nothing is lost meanwhile."
            }
            StoreError::Corrupt { .. } => {
                "Stop the engine, then run 'neurascale restore BACKUP'. Recordings lie outside the store and stay whole."
            }
            // The other messages say themselves what to do.
            _ => "",
        };
        Self::new(kind, crate::error::chain(&error), remedy)
    }
}

impl From<logstore::LogStoreError> for Error {
    fn from(error: logstore::LogStoreError) -> Self {
        Self::new(
            ErrorKind::Store,
            crate::error::chain(&error),
            "Recording goes on. 'neurascale doctor' says what is wrong with the store.",
        )
    }
}

impl Records {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    async fn commit(&self, unit: UnitOfWork) -> Result<()> {
        self.store.commit(unit).await?;
        Ok(())
    }

    /// A setting of the program's own, read back as it was kept; `None` when there is none.
    pub(crate) async fn kept_setting<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let value = self.store.setting(name).await?;
        Ok(value.and_then(|value| serde_json::from_value(value).ok()))
    }

    /// Keeps a setting of the program's own.
    pub(crate) async fn keep_setting<T: Serialize>(&self, name: &str, value: &T) -> Result<()> {
        self.commit_with_setting([], name, value).await
    }

    /// Commits events, and a setting with them.
    pub(crate) async fn commit_with_setting<T: Serialize>(
        &self,
        events: impl IntoIterator<Item = SystemEvent>,
        name: &str,
        value: &T,
    ) -> Result<()> {
        let value = serde_json::to_value(value)
            .map_err(|error| Error::internal("keep a setting", &error))?;
        let unit = UnitOfWork::new().events(events);
        self.commit(unit.statement(write::set_setting(name, &value, self.now())))
            .await
    }

    fn now(&self) -> Timestamp {
        self.store.log().clock().now()
    }

    pub(crate) async fn add_patient(&self, patient: &PatientRecord) -> Result<()> {
        let number = patient.identity.hospital_number.as_str();
        self.check_number(number, None).await?;
        let now = self.now();
        let row = PatientRow {
            id: rows::PatientId(patient.id.0),
            family_name: patient.identity.family_name.clone(),
            given_name: patient.identity.given_name.clone(),
            birth_date: patient.identity.birth_date.map(|date| date.to_string()),
            sex: match patient.identity.sex {
                Sex::Female => rows::Sex::Female,
                Sex::Male => rows::Sex::Male,
                Sex::Unknown => rows::Sex::Unknown,
            },
            hospital_number: (!number.is_empty()).then(|| number.to_owned()),
            training: patient.training,
            temporary: patient.temporary,
            created_at: now,
            updated_at: now,
        };
        self.commit(UnitOfWork::new().statement(write::insert_patient(&row)))
            .await
    }

    /// No two patients share a hospital number.
    async fn check_number(&self, number: &str, of: Option<PatientId>) -> Result<()> {
        if number.is_empty() {
            return Ok(());
        }
        match self.store.patient_by_number(number).await? {
            Some(known) if of.is_none_or(|of| of.0 != known.id.0) => Err(Error::new(
                ErrorKind::Conflict,
                "a patient with that hospital number is registered already",
                "'neurascale patient list NUMBER' shows whom.",
            )),
            _ => Ok(()),
        }
    }

    /// Corrects a patient's identity, with the event that tells of it. An identity that a person
    /// corrects is no longer temporary.
    pub(crate) async fn edit_patient(
        &self,
        id: PatientId,
        identity: Identity,
        event: SystemEvent,
    ) -> Result<()> {
        let row = self.store.patient(rows::PatientId(id.0)).await?;
        let mut row = row.ok_or_else(|| Error::not_found("patient", id))?;
        self.check_number(&identity.hospital_number, Some(id))
            .await?;
        row.family_name = identity.family_name;
        row.given_name = identity.given_name;
        row.birth_date = identity.birth_date.map(|date| date.to_string());
        row.sex = match identity.sex {
            Sex::Female => rows::Sex::Female,
            Sex::Male => rows::Sex::Male,
            Sex::Unknown => rows::Sex::Unknown,
        };
        let number = identity.hospital_number;
        row.hospital_number = (!number.is_empty()).then_some(number);
        row.temporary = false;
        row.updated_at = self.now();
        let unit = UnitOfWork::new().statement(write::update_patient(&row));
        self.commit(unit.event(event)).await
    }

    async fn patient_of(&self, row: PatientRow) -> Result<PatientRecord> {
        let consent = self.store.consent(row.id).await?;
        Ok(PatientRecord {
            id: PatientId(row.id.0),
            identity: Identity {
                family_name: row.family_name,
                given_name: row.given_name,
                birth_date: row
                    .birth_date
                    .as_deref()
                    .and_then(|text| BirthDate::parse(text).ok()),
                sex: match row.sex {
                    rows::Sex::Female => Sex::Female,
                    rows::Sex::Male => Sex::Male,
                    rows::Sex::Unknown => Sex::Unknown,
                },
                hospital_number: row.hospital_number.unwrap_or_default(),
            },
            training: row.training,
            temporary: row.temporary,
            consent_at: consent.as_ref().map(|consent| UtcNanos(consent.at.0)),
            consent: match consent.map(|consent| consent.state) {
                Some(rows::ConsentState::Granted) => ConsentState::Granted,
                Some(rows::ConsentState::Refused) => ConsentState::Refused,
                Some(rows::ConsentState::Withdrawn) => ConsentState::Withdrawn,
                Some(rows::ConsentState::Missing) | None => ConsentState::Missing,
            },
        })
    }

    pub(crate) async fn patient(&self, id: PatientId) -> Result<PatientRecord> {
        let row = self.store.patient(rows::PatientId(id.0)).await?;
        self.patient_of(row.ok_or_else(|| Error::not_found("patient", id))?)
            .await
    }

    pub(crate) async fn patients(&self, search: &str) -> Result<Vec<PatientRecord>> {
        let search = search.trim().to_lowercase();
        let mut found = Vec::new();
        for row in self.store.patients().await? {
            let number = row.hospital_number.clone().unwrap_or_default();
            let text = format!("{} {} {number}", row.family_name, row.given_name).to_lowercase();
            if text.contains(&search) {
                found.push(self.patient_of(row).await?);
            }
        }
        Ok(found)
    }

    pub(crate) async fn standing_training_patient(&self) -> Result<Option<PatientRecord>> {
        let Some(value) = self.store.setting(TRAINING_PATIENT).await? else {
            return Ok(None);
        };
        let id = value
            .as_str()
            .and_then(|text| text.parse::<PatientId>().ok());
        match id {
            Some(id) => Ok(self.patient(id).await.ok()),
            None => Ok(None),
        }
    }

    pub(crate) async fn set_standing_training_patient(&self, id: PatientId) -> Result<()> {
        let statement = write::set_setting(TRAINING_PATIENT, &id.to_string().into(), self.now());
        self.commit(UnitOfWork::new().statement(statement)).await
    }

    /// Notes a consent, with the event that tells of it.
    pub(crate) async fn set_consent(
        &self,
        id: PatientId,
        state: ConsentState,
        by: Option<Uuid>,
        event: SystemEvent,
    ) -> Result<()> {
        let row = ConsentRow {
            id: rows::ConsentId(Uuid::now_v7()),
            patient_id: rows::PatientId(id.0),
            state: match state {
                ConsentState::Missing => rows::ConsentState::Missing,
                ConsentState::Granted => rows::ConsentState::Granted,
                ConsentState::Refused => rows::ConsentState::Refused,
                ConsentState::Withdrawn => rows::ConsentState::Withdrawn,
            },
            by_user_id: by.map(rows::UserId),
            at: self.now(),
        };
        let unit = UnitOfWork::new().statement(write::insert_consent(&row));
        self.commit(unit.event(event)).await
    }

    /// Enters a session, and that it carries an order out.
    pub(crate) async fn add_session(
        &self,
        session: &SessionRecord,
        order: Option<rows::OrderId>,
    ) -> Result<()> {
        let plan = Plan {
            settings: session.settings.clone(),
            device_class: session.device_class,
            duration_ms: session.duration_ms,
            export: session.export,
            recording: session.recording,
            zone: session.zone,
            without_store: session.without_store,
        };
        let plan = serde_json::to_value(&plan)
            .map_err(|error| Error::internal("keep the session's plan", &error))?;
        let started_at = Timestamp(session.started.0);
        let row = SessionRow {
            id: rows::SessionId(session.id.0),
            patient_id: rows::PatientId(session.patient.0),
            protocol: session.protocol.clone(),
            state: RUNNING.to_owned(),
            recording_id: Some(rows::RecordingId(session.recording.0)),
            device_id: Some(session.device.clone()),
            training: !session.device_class.is_live(),
            start_now: session.start_now,
            by_user_id: session.by_user.map(rows::UserId),
            started_at,
            ended_at: None,
            plan: Some(plan),
            recorded_s: None,
        };
        let recording = RecordingRow {
            id: rows::RecordingId(session.recording.0),
            session_id: Some(row.id),
            folder: format!("recordings/{}", session.recording),
            wrapped_key: format!("recordings/{}/keys", session.recording),
            started_at,
            ended_at: None,
        };
        let mut unit = UnitOfWork::new()
            .statement(write::insert_session(&row))
            .statement(write::insert_recording(&recording));
        if let Some(order) = order {
            unit = unit.statement(write::begin_order(order, row.id));
        }
        match self.store.commit(unit).await {
            Ok(_) => Ok(()),
            Err(error) if order.is_some() && crate::people::is_conflict(&error) => {
                let order = order.map_or(Uuid::nil(), |order| order.0);
                Err(crate::worklist::not_open(order))
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) async fn session(&self, id: SessionId) -> Result<SessionRecord> {
        let row = self.store.session(rows::SessionId(id.0)).await?;
        self.session_of(row.ok_or_else(|| Error::not_found("session", id))?)
            .await
    }

    pub(crate) async fn sessions(&self) -> Result<Vec<SessionRecord>> {
        let mut all = Vec::new();
        for row in self
            .store
            .sessions(None, crate::limits::MAX_ANSWER_ROWS)
            .await?
        {
            all.push(self.session_of(row).await?);
        }
        Ok(all)
    }

    async fn sessions_from(&self, rows: Vec<SessionRow>) -> Result<Vec<SessionRecord>> {
        let mut all = Vec::with_capacity(rows.len());
        for row in rows {
            all.push(self.session_of(row).await?);
        }
        Ok(all)
    }

    /// Sessions that began between two times or have not ended.
    pub(crate) async fn sessions_between(
        &self,
        from: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<SessionRecord>> {
        let rows = self.store.sessions_between(from, until, limit).await?;
        self.sessions_from(rows).await
    }

    /// Patients' completed sessions between two times that nobody has signed.
    pub(crate) async fn unsigned_sessions(
        &self,
        from: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<SessionRecord>> {
        let rows = self.store.unsigned_sessions(from, until, limit).await?;
        self.sessions_from(rows).await
    }

    /// A patient's sessions, the latest first.
    pub(crate) async fn sessions_of(
        &self,
        patient: PatientId,
        limit: u32,
    ) -> Result<Vec<SessionRecord>> {
        let of = Some(rows::PatientId(patient.0));
        self.sessions_from(self.store.sessions(of, limit).await?)
            .await
    }

    /// Addenda to a session's report: number and document.
    pub(crate) async fn addenda(&self, id: SessionId) -> Result<Vec<(u32, Uuid)>> {
        let signatures = self.store.signatures(rows::SessionId(id.0)).await?;
        let addenda = signatures.into_iter().filter(|row| row.addendum.is_some());
        Ok(addenda.map(|row| (row.number, row.document_id.0)).collect())
    }

    /// Whether a session's report is signed.
    pub(crate) async fn is_signed(&self, id: SessionId) -> Result<bool> {
        let signatures = self.store.signatures(rows::SessionId(id.0)).await?;
        Ok(!signatures.is_empty())
    }

    /// The session of a recording's id, or of its own.
    pub(crate) async fn session_by_any_id(&self, id: &str) -> Result<SessionRecord> {
        let id = Uuid::parse_str(id.trim()).map_err(|_| {
            Error::new(
                ErrorKind::Invalid,
                "that is no id",
                "'neurascale session list' shows ids.",
            )
        })?;
        if let Some(row) = self.store.session(rows::SessionId(id)).await? {
            return self.session_of(row).await;
        }
        let recording = self.store.recording(rows::RecordingId(id)).await?;
        match recording.and_then(|recording| recording.session_id) {
            Some(session) => self.session(SessionId(session.0)).await,
            None => Err(Error::not_found("session or recording", id)),
        }
    }

    async fn session_of(&self, row: SessionRow) -> Result<SessionRecord> {
        let id = SessionId(row.id.0);
        let plan: Plan = row
            .plan
            .and_then(|plan| serde_json::from_value(plan).ok())
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Store,
                    format!("the plan of session {id} is lost"),
                    "",
                )
            })?;
        let documents = self.store.documents(Some(row.id)).await?;
        let of = |kind| {
            documents
                .iter()
                .filter(move |document| document.kind == kind)
        };
        Ok(SessionRecord {
            id,
            patient: PatientId(row.patient_id.0),
            device: row.device_id.unwrap_or_default(),
            settings: plan.settings,
            device_class: plan.device_class,
            protocol: row.protocol,
            duration_ms: plan.duration_ms,
            start_now: row.start_now,
            export: plan.export,
            recording: plan.recording,
            started: UtcNanos(row.started_at.0),
            zone: plan.zone,
            without_store: plan.without_store,
            ended: row.ended_at.map(|at| UtcNanos(at.0)),
            outcome: match row.state.as_str() {
                COMPLETED => Some(Outcome::Completed),
                FAILED => Some(Outcome::Failed),
                _ => None,
            },
            report: of(DocumentKind::Report)
                .next_back()
                .map(|document| document.id.0),
            exports: of(DocumentKind::Export)
                .map(|document| document.path.clone())
                .collect(),
            by_user: row.by_user_id.map(|id| id.0),
        })
    }

    pub(crate) async fn end_session(&self, id: SessionId, outcome: Outcome) -> Result<()> {
        let Some(mut row) = self.store.session(rows::SessionId(id.0)).await? else {
            return Err(Error::not_found("session", id));
        };
        row.ended_at = Some(self.now());
        row.state = match outcome {
            Outcome::Completed => COMPLETED.to_owned(),
            Outcome::Failed => FAILED.to_owned(),
        };
        self.commit(UnitOfWork::new().statement(write::update_session(&row)))
            .await
    }

    pub(crate) async fn reassign(
        &self,
        id: SessionId,
        to: PatientId,
        reason: &str,
        by: Option<Uuid>,
    ) -> Result<()> {
        let session = self.session(id).await?;
        let row = ReassignmentRow {
            session_id: rows::SessionId(id.0),
            at: self.now(),
            from_patient_id: rows::PatientId(session.patient.0),
            to_patient_id: rows::PatientId(to.0),
            reason_code: reason.to_owned(),
            by_user_id: by.map(rows::UserId),
        };
        let mut unit = UnitOfWork::new();
        for statement in write::reassign_session(&row) {
            unit = unit.statement(statement);
        }
        self.commit(unit).await
    }

    pub(crate) async fn keep_checks(&self, id: SessionId, checks: &Checks) -> Result<()> {
        let value = serde_json::to_value(checks)
            .map_err(|error| Error::internal("keep the device's checks", &error))?;
        let statement = write::set_session_checks(rows::SessionId(id.0), &value);
        self.commit(UnitOfWork::new().statement(statement)).await
    }

    /// Adds impedances that were measured after the first ones.
    pub(crate) async fn add_check(&self, id: SessionId, check: LaterCheck) -> Result<()> {
        let mut checks = self.checks(id).await?;
        checks.later.push(check);
        self.keep_checks(id, &checks).await
    }

    /// Keeps how long a session recorded, so that lists need not open every recording.
    pub(crate) async fn keep_length(&self, id: SessionId, recorded_s: f64) -> Result<()> {
        let statement = write::set_session_length(rows::SessionId(id.0), recorded_s);
        self.commit(UnitOfWork::new().statement(statement)).await
    }

    /// How long a session recorded, gaps included, s; `None` while it has not ended.
    pub(crate) async fn length(&self, id: SessionId) -> Result<Option<f64>> {
        let row = self.store.session(rows::SessionId(id.0)).await?;
        Ok(row.and_then(|row| row.recorded_s))
    }

    pub(crate) async fn checks(&self, id: SessionId) -> Result<Checks> {
        let value = self.store.session_checks(rows::SessionId(id.0)).await?;
        Ok(value
            .and_then(|value| serde_json::from_value(value).ok())
            .unwrap_or_default())
    }

    pub(crate) async fn add_document(
        &self,
        session: &SessionRecord,
        document: NewDocument,
        by: Option<Uuid>,
    ) -> Result<()> {
        let known = self
            .store
            .documents(Some(rows::SessionId(session.id.0)))
            .await?;
        if known.iter().any(|known| known.id.0 == document.id) {
            return Ok(());
        }
        let row = DocumentRow {
            id: rows::DocumentId(document.id),
            kind: document.kind,
            session_id: Some(rows::SessionId(session.id.0)),
            recording_id: Some(rows::RecordingId(session.recording.0)),
            format: document.format,
            identified: document.identified,
            path: document.path,
            sha256: document.sha256,
            by_user_id: by.map(rows::UserId),
            created_at: self.now(),
        };
        self.commit(UnitOfWork::new().statement(write::insert_document(&row)))
            .await
    }

    /// Signs the ledger as it stands.
    pub(crate) async fn checkpoint(&self) -> Result<()> {
        self.store.checkpoint().await?;
        Ok(())
    }
}
