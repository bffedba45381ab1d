//! One session without store: begun, watched over, ended.

use super::log::{self, SessionLog};
use super::{event, folder};
use crate::collect::{Beat, collect};
use crate::engine_room::Room;
use crate::error::{Error, ErrorKind, Result};
use crate::facade::Workstation;
use crate::limits::{RESUME_WITHIN, UNSTORED_RETRY};
use crate::records::SessionRecord;
use crate::sessions::{NewSession, PatientChoice, SessionState};
use clinic::{PatientId, SessionId, SessionProgress, Step, StepProgress, StepState};
use contract::DeviceClass;
use events::{Payload, Timestamp};
use recording::{RecordingId, StationKey};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// A session that the store does not know.
#[derive(Debug)]
pub(crate) struct Unstored {
    pub(crate) record: SessionRecord,
    /// What its recording and log are under.
    pub(crate) key: StationKey,
    log: Mutex<SessionLog>,
    /// Why it is not in the store.
    notice: &'static str,
    ended: AtomicBool,
    /// The engine stops.
    given_way: AtomicBool,
}

impl Beat for Unstored {
    fn beat(&self, _recorded_ns: i64) {}

    fn is_cancelled(&self) -> bool {
        self.given_way.load(Ordering::Relaxed)
    }
}

impl Unstored {
    fn new(
        room: &Room,
        record: SessionRecord,
        key: StationKey,
        log: SessionLog,
        ended: bool,
    ) -> Self {
        let notice = match room.evidence() {
            Ok(_) => NOT_ANSWERING,
            Err(_) => NOT_OPEN,
        };
        Self {
            record,
            key,
            log: Mutex::new(log),
            notice,
            ended: AtomicBool::new(ended),
            given_way: AtomicBool::new(false),
        }
    }

    /// Keeps an event until there is a log for it.
    pub(crate) fn say<P: Payload>(&self, at: Timestamp, key: Option<&str>, payload: &P) {
        let kept = event(&self.record, at, key, payload)
            .map_err(|error| Error::internal("make an event", &error))
            .and_then(|event| self.log().event(event));
        if let Err(error) = kept {
            tracing::error!(session = %self.record.id, %error, "an event is not kept");
        }
    }

    fn log(&self) -> std::sync::MutexGuard<'_, SessionLog> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Err(error) = self.log().end() {
            tracing::error!(session = %self.record.id, %error, "the end is not kept");
        }
    }

    /// Ends its collection as interrupted, not as ended.
    pub(crate) fn give_way(&self) {
        self.given_way.store(true, Ordering::Relaxed);
    }

    pub(crate) fn state(&self) -> SessionState {
        if self.ended.load(Ordering::Relaxed) {
            SessionState::Interrupted
        } else {
            SessionState::Running
        }
    }

    pub(crate) fn progress(&self) -> SessionProgress {
        let running = self.state() == SessionState::Running;
        let of = |step: Step| StepProgress {
            step,
            state: match step {
                Step::Validate | Step::Prepare => StepState::Skipped,
                Step::Collect if running => StepState::Running,
                Step::Collect => StepState::Done,
                _ => StepState::Waiting,
            },
            notes: if step == Step::Collect {
                vec![self.notice.to_owned()]
            } else {
                Vec::new()
            },
        };
        SessionProgress {
            steps: Step::ALL.map(of).to_vec(),
            emergency_stops: 0,
        }
    }
}

/// What people are told of such a session.
const NOT_OPEN: &str = "The store is not open: this is recorded without it, under a temporary \
    identity. It becomes an ordinary session, with ledger and report, when the store opens at a \
    later start.";
const NOT_ANSWERING: &str = "The store takes nothing just now (another program holds it, or its \
    disk is full): this is recorded without it, under a temporary identity. It becomes an ordinary \
    session, with ledger and report, when it has ended and the store answers.";

impl Workstation {
    /// What is to be said of a session beside its id; `None` when it is an ordinary one.
    #[must_use]
    pub fn notice(&self, id: SessionId) -> Option<String> {
        (self.room.unstored.get(id)).map(|unstored| unstored.notice.to_owned())
    }

    /// Starts a session although the store is closed, or takes nothing.
    pub(crate) async fn start_without_store(&self, new: NewSession) -> Result<SessionId> {
        let protocol = self.protocol_called(&new.protocol).await?;
        let device_class = self.class_of(&new).await?;
        if !device_class.is_live() && new.patient != PatientChoice::Training {
            return Err(Error::new(
                ErrorKind::Refused,
                "simulated or played-back data may not be recorded for a patient",
                "Use a training patient ('--training').",
            ));
        }
        let in_use = |unstored: &Arc<Unstored>| {
            unstored.state() == SessionState::Running && unstored.record.device == new.device
        };
        if let Some(other) = self.room.unstored.all().iter().find(|u| in_use(u))
            && matches!(device_class, DeviceClass::Medical | DeviceClass::Research)
        {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("session {} is using that device", other.record.id),
                "Stop it first, or use another device.",
            ));
        }
        let started = self.room.clock.utc();
        let duration_ms = match (new.unlimited, new.duration_ms) {
            (true, _) => None,
            (false, Some(ms)) => Some(ms),
            (false, None) => protocol.planned_duration().map(|d| d.as_millis() as u64),
        };
        let record = SessionRecord {
            id: SessionId(Uuid::now_v7()),
            // Whose it is follows when it is taken in.
            patient: PatientId(Uuid::nil()),
            device: new.device,
            settings: new.settings,
            device_class,
            protocol: protocol.id,
            duration_ms,
            start_now: true,
            export: new.export,
            recording: RecordingId(Uuid::now_v7()),
            started,
            zone: crate::times::zone_at(started),
            ended: None,
            outcome: None,
            report: None,
            exports: Vec::new(),
            by_user: None,
            without_store: false,
        };
        let room = self.room.clone();
        let begun = tokio::task::spawn_blocking(move || begin(&room, record))
            .await
            .map_err(|error| Error::internal("start without the store", &error))??;
        let id = begun.record.id;
        tracing::warn!(session = %id, "recording without the store");
        self.run_without_store(begun);
        Ok(id)
    }

    /// Takes up what was recorded without the store when the engine stopped, the store being closed
    /// still.
    pub(crate) fn go_on_without_store(&self) {
        let folder = folder(&self.room.config.data_dir);
        for session in log::sessions(&folder) {
            match self.reopen(session) {
                Ok(unstored) => {
                    let recent = is_recent(&self.room, session);
                    self.room.unstored.enter(unstored.clone());
                    if unstored.state() == SessionState::Running {
                        if recent {
                            self.run_without_store(unstored);
                        } else {
                            unstored.end();
                        }
                    }
                }
                Err(error) => {
                    tracing::error!(%session, %error, "a recording without store cannot go on");
                }
            }
        }
    }

    fn reopen(&self, session: Uuid) -> Result<Arc<Unstored>> {
        let folder = folder(&self.room.config.data_dir);
        let key = match log::own_key(&folder, session)? {
            Some(key) => key,
            None => self.room.certain_key().ok_or_else(|| {
                Error::new(
                    ErrorKind::Store,
                    "its key is the station's, which is not certain",
                    "",
                )
            })?,
        };
        let logged = log::read(&folder, session, &key)?;
        let log = SessionLog::reopen(&folder, session)?;
        Ok(Arc::new(Unstored::new(
            &self.room,
            logged.record,
            key,
            log,
            logged.ended,
        )))
    }

    fn run_without_store(&self, unstored: Arc<Unstored>) {
        self.room.unstored.enter(unstored.clone());
        let workstation = self.clone();
        tokio::spawn(async move {
            record(&workstation.room, &unstored).await;
            if unstored.state() != SessionState::Running && workstation.room.evidence().is_ok() {
                super::take_in::take_in_when_possible(&workstation, unstored.record.id).await;
            }
        });
    }
}

/// Collects until its end, or until the engine stops.
async fn record(room: &Room, unstored: &Unstored) {
    let session = unstored.record.id;
    loop {
        match collect(room, unstored, &unstored.record).await {
            Ok(_) => return unstored.end(),
            Err(_) if unstored.is_cancelled() => return,
            Err(error) => {
                tracing::error!(%session, %error, "recording without the store failed");
                if room.live.end_was_asked(session) {
                    return unstored.end();
                }
            }
        }
        tokio::time::sleep(UNSTORED_RETRY).await;
    }
}

/// Makes key and log, in this order: a log without its key could not be read.
fn begin(room: &Room, record: SessionRecord) -> Result<Arc<Unstored>> {
    let folder = folder(&room.config.data_dir);
    std::fs::create_dir_all(&folder)
        .map_err(|error| Error::file("make the folder", &folder, &error))?;
    let key = match room.certain_key() {
        Some(key) => key,
        None => log::make_key(&folder, record.id.0)?,
    };
    let log = SessionLog::create(&folder, &record, &key)?;
    Ok(Arc::new(Unstored::new(room, record, key, log, false)))
}

/// Whether a session was interrupted just now, so that whoever is recorded is likely still there.
pub(super) fn is_recent(room: &Room, session: Uuid) -> bool {
    let (path, _) = log::paths(&folder(&room.config.data_dir), session);
    let written = std::fs::metadata(path).and_then(|data| data.modified());
    let since_epoch = written
        .ok()
        .and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    let now = room.clock.utc().0;
    // Segments close at least once a minute, and each is a line of the log.
    since_epoch.is_some_and(|at| {
        now.saturating_sub(at.as_nanos() as i64) < RESUME_WITHIN.as_nanos() as i64
    })
}
