//! Sessions: starting, watching, marking, stopping, correcting.

use crate::alerts::Alert;
use crate::collect::folder_bytes;
use crate::emergency::EmergencyReport;
use crate::error::{Error, ErrorKind, Result};
use crate::facade::Workstation;
use crate::limits::{MAX_ANNOTATION_CHARS, MAX_REASON_CHARS, PROGRESS_WAIT, STATUS_GAPS};
use crate::quality::ChannelQuality;
use crate::recorder::program_mark;
use crate::records::{Checks, PatientRecord, SessionRecord};
use crate::without_store::Unstored;
use acquisition::Mark;
use clinic::{
    ClinicalSession, EmergencyStopped, Identity, PROGRESS_QUERY, PatientId, SessionId,
    SessionInput, SessionProgress, Sex, StopCollection,
};
use contract::{DeviceClass, Settings};
use events::payloads::{EmergencyStop, SessionReassigned, SessionStarted, StopSource};
use recording::RecordingId;
use signal::{
    AnnotationId, AnnotationOrigin, Gap, Impedance, ImpedanceGrade, ImpedanceLimits, UtcNanos,
};
use std::path::PathBuf;
use uuid::Uuid;
use workflow::{EngineError, StartOptions, WorkflowStatus};

/// Whom a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatientChoice {
    /// A registered patient.
    Registered(PatientId),
    /// The standing training patient.
    Training,
    /// A temporary identity, to be corrected by [`Workstation::reassign`].
    Temporary,
}

/// Formats of export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExportKind {
    /// EDF+C, one file per unbroken run.
    Continuous,
    /// One EDF+D file.
    Discontinuous,
}

/// What a session is started with.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Whom for.
    pub patient: PatientChoice,
    /// `driver:address`.
    pub device: String,
    /// Driver's settings.
    pub settings: Settings,
    /// Protocol's id.
    pub protocol: String,
    /// Planned length, ms; the protocol's plan when absent.
    pub duration_ms: Option<u64>,
    /// Until stopped, whatever the protocol plans.
    pub unlimited: bool,
    /// Record at once, checks left for later.
    pub start_now: bool,
    /// Export when the report is done.
    pub export: Option<ExportKind>,
    /// The order that it carries out.
    pub order: Option<Uuid>,
}

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// Under way.
    Running,
    /// Its workflow cannot go on by itself.
    Interrupted,
    /// Done.
    Completed,
    /// Ended without what it was for.
    Failed,
}

/// One stream of a running or ended session.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamStatus {
    /// Name.
    pub name: String,
    /// Samples per channel.
    pub samples: u64,
    /// Rate found, Hz.
    pub rate_hz: Option<f64>,
    /// Drift, ppm.
    pub drift_ppm: Option<f64>,
    /// Gaps.
    pub gaps: u64,
}

/// A session as it stands.
#[derive(Debug, Clone)]
pub struct SessionStatus {
    /// What is stored of it.
    pub record: SessionRecord,
    /// State.
    pub state: SessionState,
    /// The workflow's steps.
    pub progress: Option<SessionProgress>,
    /// Recorded so far, gaps included, s.
    pub recorded_s: f64,
    /// Streams, with their names.
    pub streams: Vec<StreamStatus>,
    /// The latest gaps.
    pub gaps: Vec<Gap>,
    /// Folder of the recording, once there is one.
    pub recording_path: Option<PathBuf>,
    /// The sealed report.
    pub report_path: Option<PathBuf>,
    /// Hours the disk lasts at this recording's rate.
    pub disk_hours_left: Option<f64>,
    /// Up to when everything is safe on the disk, while it records.
    pub stored_until: Option<UtcNanos>,
    /// Quality of each channel over the last second judged, while it records.
    pub quality: Vec<ChannelQuality>,
    /// Alerts, newest first, while it records.
    pub alerts: Vec<Alert>,
    /// Newest impedance of each electrode with its grade.
    pub impedances: Vec<(Impedance, ImpedanceGrade)>,
    /// What the calibration found; empty before it was done.
    pub calibration: String,
    /// Why the patient is off the device while it records; `None` when they are not.
    pub paused: Option<String>,
    /// Whether its report is signed.
    pub signed: bool,
}

impl Workstation {
    /// The protocol called `name`; the one that the policy names when it is empty.
    pub(crate) async fn protocol_called(&self, name: &str) -> Result<clinic::Protocol> {
        if name.is_empty() {
            let policies = crate::policies::in_force(&self.room).await;
            return self.room.protocol(&policies.default_protocol);
        }
        self.room.protocol(name)
    }

    /// Starts a session. It is durable when this returns, and goes on whatever becomes of the
    /// caller. With `start_now` it records without the store where that is closed or takes nothing.
    ///
    /// # Errors
    /// An unknown patient, protocol or device, a device that is in use, computed data for a
    /// patient, or the store.
    pub async fn start_session(&self, new: NewSession) -> Result<SessionId> {
        if new.start_now {
            let stored = match self.room.takes_commits().await {
                Ok(()) => self.start_stored(new.clone()).await,
                Err(error) => Err(error),
            };
            return match stored {
                Err(error) if matches!(error.kind(), ErrorKind::Store | ErrorKind::DiskFull) => {
                    tracing::warn!(%error, "the store does not take a session");
                    self.start_without_store(new).await
                }
                stored => stored,
            };
        }
        self.start_stored(new).await.map_err(|error| {
            if !matches!(error.kind(), ErrorKind::Store | ErrorKind::DiskFull) {
                return error;
            }
            let remedy = format!(
                "{} 'session start --now' records all the same.",
                error.remedy()
            );
            Error::new(error.kind(), error.to_string(), remedy.trim())
        })
    }

    async fn start_stored(&self, new: NewSession) -> Result<SessionId> {
        self.room.evidence()?;
        let protocol = self.protocol_called(&new.protocol).await?;
        let device_class = self.class_of(&new).await?;
        if let Some(other) = self.session_on(&new.device).await? {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("session {other} is using that device"),
                "Stop it first, or use another device.",
            ));
        }
        let patient = self.patient_for(new.patient, device_class).await?;
        let order = match new.order {
            Some(order) => Some(self.order_for(order, patient.id).await?),
            None => None,
        };
        let started = self.room.clock.utc();
        let duration_ms = match (new.unlimited, new.duration_ms) {
            (true, _) => None,
            (false, Some(ms)) => Some(ms),
            (false, None) => protocol.planned_duration().map(|d| d.as_millis() as u64),
        };
        let record = SessionRecord {
            id: SessionId(Uuid::now_v7()),
            patient: patient.id,
            device: new.device,
            settings: new.settings,
            device_class,
            protocol: protocol.id,
            duration_ms,
            start_now: new.start_now,
            export: new.export,
            recording: RecordingId(Uuid::now_v7()),
            started,
            zone: crate::times::zone_at(started),
            ended: None,
            outcome: None,
            report: None,
            exports: Vec::new(),
            by_user: self.room.by_user_id(),
            without_store: false,
        };
        self.room.records()?.add_session(&record, order).await?;
        let payload = SessionStarted {
            session_id: record.id.0,
            patient_id: patient.id.0,
            protocol: record.protocol.clone(),
            training: patient.training,
            start_now: record.start_now,
            by_user_id: record.by_user,
        };
        self.room
            .notary()?
            .say_once(record.id.0, "started", &payload)
            .await?;
        self.start_workflow(&record).await?;
        Ok(record.id)
    }

    pub(crate) async fn start_workflow(&self, record: &SessionRecord) -> Result<()> {
        let input = SessionInput {
            session: record.id,
            duration_ms: record.duration_ms,
            start_now: record.start_now,
            export: record.export.is_some(),
        };
        let options = StartOptions::id(record.id.to_string());
        let started = self
            .room
            .workflows()?
            .start_workflow::<ClinicalSession>(options, &input)
            .await;
        started
            .map(drop)
            .map_err(|error| Error::internal("start the session's workflow", &error))
    }

    /// The class of the device, asked of the device itself: a wrong address fails here, before
    /// anything is stored.
    pub(crate) async fn class_of(&self, new: &NewSession) -> Result<DeviceClass> {
        let (drivers, id, settings) = (
            self.room.drivers.clone(),
            new.device.clone(),
            new.settings.clone(),
        );
        let open = move || drivers.open(&id, &settings).map(|d| d.description().class);
        tokio::task::spawn_blocking(open)
            .await
            .map_err(|error| Error::internal("open the device", &error))?
    }

    async fn session_on(&self, device: &str) -> Result<Option<SessionId>> {
        // A file can be played to any number of sessions; a device serves one.
        if device.starts_with("playback:") || device.starts_with("simulated:") {
            return Ok(None);
        }
        for session in self.room.live.sessions() {
            if self.room.records()?.session(session).await?.device == device {
                return Ok(Some(session));
            }
        }
        Ok(None)
    }

    pub(crate) async fn patient_for(
        &self,
        choice: PatientChoice,
        class: DeviceClass,
    ) -> Result<PatientRecord> {
        let records = self.room.records()?;
        let patient = match choice {
            PatientChoice::Registered(id) => records.patient(id).await?,
            PatientChoice::Training => match records.standing_training_patient().await? {
                Some(patient) => patient,
                None => {
                    let id = self
                        .add_patient(stand_in("Training", "Patient"), true, false)
                        .await?;
                    records.set_standing_training_patient(id).await?;
                    records.patient(id).await?
                }
            },
            PatientChoice::Temporary => {
                let stamp = crate::times::rfc3339(self.room.clock.utc(), signal::ZoneOffset(0));
                let identity = stand_in("Temporary", &stamp);
                let id = self.add_patient(identity, false, true).await?;
                records.patient(id).await?
            }
        };
        if !class.is_live() && !patient.training {
            return Err(Error::new(
                ErrorKind::Refused,
                "simulated or played-back data may not be recorded for a patient",
                "Use a training patient ('--training', or 'patient register --training').",
            ));
        }
        Ok(patient)
    }

    /// Ends a session's collection; analysis and report follow.
    ///
    /// # Errors
    /// No such session, or one that has ended.
    pub async fn stop_session(&self, id: SessionId) -> Result<()> {
        // In memory first, so that a store that does not answer keeps nobody from stopping.
        if let Some(live) = self.room.live.get(id) {
            live.stop();
        }
        if self.room.unstored.get(id).is_some() {
            self.room.live.end(id);
            return Ok(());
        }
        self.signal(id, &StopCollection {}).await
    }

    async fn signal<S: workflow::Signal>(&self, id: SessionId, signal: &S) -> Result<()> {
        match self.room.workflows()?.signal(&id.to_string(), signal).await {
            Ok(()) => Ok(()),
            Err(EngineError::NotFound(_)) => Err(Error::not_found("session", id)),
            Err(EngineError::Closed(_)) => Err(Error::new(
                ErrorKind::Conflict,
                format!("session {id} has ended"),
                "",
            )),
            Err(error) => Err(Error::internal("tell the session", &error)),
        }
    }

    /// Goes on with a session whose workflow was left standing.
    ///
    /// # Errors
    /// No such session, one that runs or has ended.
    pub async fn resume_session(&self, id: SessionId) -> Result<()> {
        let record = self.room.records()?.session(id).await?;
        if record.outcome.is_some() {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("session {id} has ended"),
                "",
            ));
        }
        if self.room.live.get(id).is_some() {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("session {id} is recording"),
                "",
            ));
        }
        // Started anew when it never was (a crash between its two writes), else taken up.
        self.start_workflow(&record).await?;
        let resumed = self.room.workflows()?.resume_all().await;
        resumed
            .map(drop)
            .map_err(|error| Error::internal("take the session up", &error))
    }

    /// Gives a session to another patient. Record, report and ledger of before stay as they are.
    ///
    /// # Errors
    /// No such session or patient; computed data to a patient; an empty reason.
    pub async fn reassign(&self, id: SessionId, to: PatientId, reason: &str) -> Result<()> {
        let reason = reason.trim();
        if reason.is_empty() || reason.chars().count() > MAX_REASON_CHARS {
            let message =
                format!("a reassignment needs a reason of 1 to {MAX_REASON_CHARS} characters");
            return Err(Error::new(ErrorKind::Invalid, message, ""));
        }
        let records = self.room.records()?;
        let session = records.session(id).await?;
        let patient = records.patient(to).await?;
        if !session.device_class.is_live() && !patient.training {
            return Err(Error::new(
                ErrorKind::Refused,
                "simulated or played-back data may not be given to a patient",
                "Choose a training patient.",
            ));
        }
        let from = session.patient;
        let by = self.room.by_user_id();
        records.reassign(id, to, reason, by).await?;
        let payload = SessionReassigned {
            session_id: id.0,
            from_patient_id: from.0,
            to_patient_id: to.0,
            reason_code: "by_person".to_owned(),
            by_user_id: by,
        };
        self.room.notary()?.say_of(id.0, &payload).await
    }

    /// Marks something in a running session. `onset` is when the key went down, now when absent.
    ///
    /// # Errors
    /// The session is not recording, or the text is too long.
    pub fn annotate(
        &self,
        id: SessionId,
        text: &str,
        code: Option<String>,
        onset: Option<UtcNanos>,
    ) -> Result<AnnotationId> {
        if text.chars().count() > MAX_ANNOTATION_CHARS {
            let message =
                format!("an annotation may have at most {MAX_ANNOTATION_CHARS} characters");
            return Err(Error::new(ErrorKind::Invalid, message, ""));
        }
        let live = self.live(id)?;
        live.annotate(Mark {
            onset: onset.unwrap_or_else(|| live.utc_at(self.room.clock.host())),
            duration_ns: None,
            text: text.to_owned(),
            code,
            origin: AnnotationOrigin::Person,
            channels: Vec::new(),
        })
    }

    /// Ends what acts on the patient. Returns as soon as the devices are told; marking the record
    /// and the ledger follows by itself, whatever state the store is in.
    #[must_use]
    pub fn emergency_stop(&self, only: Option<SessionId>, source: StopSource) -> EmergencyReport {
        let report = self.room.safety.stop(only, self.room.clock.as_ref());
        tracing::warn!(
            devices = report.sessions.len(),
            took_us = report.took_us,
            "emergency stop"
        );
        for session in &report.sessions {
            if let Some(live) = self.room.live.get(*session) {
                let onset = live.utc_at(self.room.clock.host());
                let mark = program_mark(onset, "emergency_stop", "Emergency stop");
                if let Err(error) = live.annotate(mark) {
                    tracing::error!(%session, %error, "the emergency stop is not marked in the record");
                }
            }
        }
        let (workstation, told) = (self.clone(), report.clone());
        tokio::spawn(async move { workstation.record_emergency(told, source).await });
        report
    }

    async fn record_emergency(&self, report: EmergencyReport, source: StopSource) {
        for session in report.sessions {
            let payload = EmergencyStop {
                session_id: Some(session.0),
                recording_id: self.room.live.get(session).map(|live| live.recording.0),
                source,
                stopped: vec!["stimulus".to_owned(), "test_current".to_owned()],
                latency_us: report.took_us,
                by_user_id: self.room.by_user_id(),
            };
            self.room.say(session, &payload).await;
            if self.room.unstored.get(session).is_some() {
                continue;
            }
            if let Err(error) = self.signal(session, &EmergencyStopped {}).await {
                tracing::error!(%session, %error, "the session does not know of the emergency stop");
            }
        }
    }

    /// Sessions that are recording now.
    #[must_use]
    pub fn running_sessions(&self) -> Vec<SessionId> {
        self.room.live.sessions()
    }

    /// All sessions, newest first.
    ///
    /// # Errors
    /// The store.
    pub async fn sessions(&self) -> Result<Vec<SessionStatus>> {
        let mut all = Vec::new();
        for one in self.room.unstored.all() {
            all.push(self.status_without_store(&one).await?);
        }
        let known = match self.room.records() {
            Ok(records) => records.sessions().await,
            Err(error) => Err(error),
        };
        match known {
            Ok(records) => {
                let listed: Vec<_> = all.iter().map(|status| status.record.id).collect();
                for record in records.into_iter().filter(|r| !listed.contains(&r.id)) {
                    all.push(self.status_of(record, Detail::List).await?);
                }
            }
            Err(error) if all.is_empty() => return Err(error),
            Err(error) => {
                tracing::debug!(%error, "only what is recorded without the store is listed");
            }
        }
        Ok(all)
    }

    /// One session as it stands.
    ///
    /// # Errors
    /// No such session, or the store.
    pub async fn session(&self, id: SessionId) -> Result<SessionStatus> {
        if let Some(unstored) = self.room.unstored.get(id) {
            return self.status_without_store(&unstored).await;
        }
        let record = self.room.records()?.session(id).await?;
        self.status_of(record, Detail::Whole).await
    }

    /// A session as a list shows it.
    pub(crate) async fn listed(&self, record: SessionRecord) -> Result<SessionStatus> {
        self.status_of(record, Detail::List).await
    }

    async fn status_of(&self, record: SessionRecord, detail: Detail) -> Result<SessionStatus> {
        let workflows = self.room.workflows()?;
        let id = record.id.to_string();
        // A workflow that waits for a locked store answers nothing; the rest is known without it.
        let described = tokio::time::timeout(PROGRESS_WAIT, workflows.describe(&id)).await;
        let state = match described {
            Err(_) => SessionState::Running,
            Ok(Ok(d)) if d.broken.is_some() => SessionState::Interrupted,
            Ok(Ok(d)) if d.summary.status == WorkflowStatus::Running => SessionState::Running,
            Ok(Ok(_)) => match record.outcome {
                Some(clinic::Outcome::Completed) => SessionState::Completed,
                _ => SessionState::Failed,
            },
            Ok(Err(EngineError::NotFound(_))) => SessionState::Interrupted,
            Ok(Err(error)) => return Err(Error::internal("look at the session", &error)),
        };
        let query = workflows.query::<SessionProgress>(&id, PROGRESS_QUERY);
        let progress = tokio::time::timeout(PROGRESS_WAIT, query)
            .await
            .ok()
            .and_then(std::result::Result::ok);
        self.filled(record, state, progress, detail).await
    }

    async fn status_without_store(&self, unstored: &Unstored) -> Result<SessionStatus> {
        let (record, progress) = (unstored.record.clone(), Some(unstored.progress()));
        self.filled(record, unstored.state(), progress, Detail::Whole)
            .await
    }

    /// Everything else that is known of a session.
    async fn filled(
        &self,
        record: SessionRecord,
        state: SessionState,
        progress: Option<SessionProgress>,
        detail: Detail,
    ) -> Result<SessionStatus> {
        let folder = crate::collect::folder(&self.room, record.recording);
        let exists = folder.exists();
        // What is recorded without the store cannot be signed yet.
        let unstored = self.room.unstored.get(record.id).is_some();
        let signed = match self.room.records() {
            Ok(records) if !unstored => records.is_signed(record.id).await?,
            _ => false,
        };
        let mut status = SessionStatus {
            state,
            progress,
            recorded_s: 0.0,
            streams: Vec::new(),
            gaps: Vec::new(),
            recording_path: exists.then(|| folder.clone()),
            report_path: record
                .report
                .map(|id| crate::documents::report_file(&self.room, id)),
            disk_hours_left: None,
            stored_until: None,
            quality: Vec::new(),
            alerts: Vec::new(),
            impedances: Vec::new(),
            calibration: String::new(),
            paused: None,
            signed,
            record,
        };
        if detail == Detail::Whole {
            self.add_checks(&mut status).await?;
        }
        match self.room.live.get(status.record.id) {
            Some(live) => {
                status.recorded_s = live.recorded_ns() as f64 / 1e9;
                let stats = live.stats().unwrap_or_default();
                for ((stream, stats), before) in live
                    .device
                    .streams
                    .iter()
                    .zip(&stats.streams)
                    .zip(&live.before)
                {
                    let replayed = live.is_replayed(stream);
                    let known = stats.clock.rate_hz > 0.0;
                    status.streams.push(StreamStatus {
                        name: stream.name.clone(),
                        samples: if replayed {
                            stats.samples.max(*before)
                        } else {
                            stats.samples + before
                        },
                        rate_hz: known.then_some(stats.clock.rate_hz),
                        drift_ppm: known.then_some(stats.clock.drift_ppm),
                        gaps: stats.gaps,
                    });
                }
                status.gaps = live.gaps();
                status.stored_until = live.stored_until();
                status.paused = live.paused();
                if status.paused.is_none() {
                    status.quality = live.quality.channels(self.room.clock.host());
                }
                status.alerts = live.alerts.newest_first();
                let bytes = folder_bytes(&folder) as f64;
                if let Ok(free) = crate::disk::free_bytes(&self.room.config.data_dir)
                    && status.recorded_s > 5.0
                {
                    status.disk_hours_left =
                        Some(free as f64 / (bytes / status.recorded_s) / 3_600.0);
                }
            }
            None if exists && detail == Detail::Whole => self.add_recorded(&mut status).await,
            None => {
                // Without the store a recording that has not begun, or a list, says nothing yet.
                let length = match self.room.records() {
                    Ok(records) => records.length(status.record.id).await?,
                    Err(_) => None,
                };
                status.recorded_s = length.unwrap_or(0.0);
            }
        }
        let first = status.gaps.len().saturating_sub(STATUS_GAPS);
        status.gaps.drain(..first);
        Ok(status)
    }

    /// What was measured at the electrodes.
    async fn add_checks(&self, status: &mut SessionStatus) -> Result<()> {
        let id = status.record.id;
        let checks = match self.room.records() {
            Ok(records) => records.checks(id).await?,
            Err(_) => Checks::default(),
        };
        let limits = self
            .room
            .protocol(&status.record.protocol)
            .map_or_else(|_| ImpedanceLimits::default(), |p| p.impedance_limits());
        let newest = checks.newest_impedances(&self.room.live.measured(id));
        status.impedances = newest
            .into_iter()
            .map(|value| {
                let grade = limits.grade(value.impedance_kohm);
                (value, grade)
            })
            .collect();
        status.calibration = checks.calibration_found();
        Ok(())
    }

    /// What an ended recording says of itself.
    async fn add_recorded(&self, status: &mut SessionStatus) {
        let Ok(recording) = self.open_recording(status.record.recording).await else {
            return;
        };
        status.gaps = recording
            .gaps()
            .into_iter()
            .map(|known| known.gap)
            .collect();
        let mut longest = 0_i64;
        for (index, stream) in recording.streams().iter().enumerate() {
            let index = signal::StreamIndex(u16::try_from(index).unwrap_or(u16::MAX));
            let runs = recording.runs(index).unwrap_or_default();
            let samples = runs.iter().map(|run| run.end_index - run.first_index).sum();
            let end = runs.last().map_or(0, |run| run.end_index);
            longest = longest.max(stream.rate.nanos_of(end));
            status.streams.push(StreamStatus {
                name: stream.name.clone(),
                samples,
                rate_hz: None,
                drift_ppm: None,
                gaps: status.gaps.iter().filter(|gap| gap.stream == index).count() as u64,
            });
        }
        status.recorded_s = longest as f64 / 1e9;
    }
}

/// How much is looked up of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detail {
    /// What a list shows: nothing that opens the recording.
    List,
    /// Everything.
    Whole,
}

fn stand_in(family_name: &str, given_name: &str) -> Identity {
    Identity {
        family_name: family_name.to_owned(),
        given_name: given_name.to_owned(),
        birth_date: None,
        sex: Sex::Unknown,
        hospital_number: String::new(),
    }
}
