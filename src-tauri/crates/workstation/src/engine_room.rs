//! What every part of the composition shares.

use crate::awake::Awake;
use crate::config::Config;
use crate::desk::{Desk, Person};
use crate::devices::Drivers;
use crate::doctor::Level;
use crate::emergency::SafetyBoard;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{FLUSH_WAIT, STORE_TRIAL};
use crate::live::LiveBoard;
use crate::notary::Notary;
use crate::policies::SitePolicies;
use crate::records::Records;
use crate::view::Shelf;
use crate::without_store::UnstoredBoard;
use clinic::{Protocol, SessionId};
use contract::Clock;
use events::{Bus, Payload, Timestamp};
use recording::RecordingId;
use std::sync::{Arc, Mutex};
use store::Store;
use store::keys::{KeySource, RecoveryCode, StationKey};
use workflow::Engine;

/// Setting that is written to see whether the store takes a change.
const TRIAL: &str = "store.trial";

/// The rooms, wired. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    pub(crate) config: Arc<Config>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) drivers: Drivers,
    pub(crate) safety: SafetyBoard,
    pub(crate) live: LiveBoard,
    /// Sleep is held off while something records.
    pub(crate) awake: Awake,
    pub(crate) desk: Arc<Desk>,
    pub(crate) site: Arc<SitePolicies>,
    /// Held while this machine's timing is measured.
    pub(crate) measuring: Arc<tokio::sync::Mutex<()>>,
    /// In whose name this handle acts; nobody's when it is the system's.
    pub(crate) person: Option<Arc<Person>>,
    pub(crate) shelf: Shelf,
    /// What is recorded although the store is closed.
    pub(crate) unstored: UnstoredBoard,
    opened: Arc<Opened>,
}

/// What needed key and database.
#[derive(Debug)]
pub(crate) enum Opened {
    /// All of it.
    Open(Box<Evidence>),
    /// Why not, and what to do. The emergency stop and the doctor work all the same.
    Closed {
        /// What is wrong.
        problem: String,
        /// What to do.
        remedy: String,
        /// The station key, where it is certain that it is the store's.
        key: Option<Box<StationKey>>,
    },
}

/// Everything durable.
#[derive(Debug)]
pub(crate) struct Evidence {
    pub(crate) key: StationKey,
    pub(crate) key_source: KeySource,
    pub(crate) key_warning: Option<&'static str>,
    /// The recovery code of a key that was made at this start, until someone has taken it.
    pub(crate) recovery: Mutex<Option<RecoveryCode>>,
    pub(crate) records: Records,
    pub(crate) bus: Bus,
    pub(crate) notary: Notary,
    /// Set once the activities that share this room are registered.
    pub(crate) workflows: std::sync::OnceLock<Engine>,
}

impl Room {
    /// Needs a tokio runtime.
    pub(crate) fn new(config: Arc<Config>, opened: Opened) -> Self {
        let clock = config.clock.clone();
        Self {
            drivers: Drivers::new(clock.clone()),
            safety: SafetyBoard::default(),
            live: LiveBoard::default(),
            awake: Awake::start(),
            desk: Arc::default(),
            site: Arc::new(SitePolicies::read(&config.policy_file)),
            measuring: Arc::default(),
            person: None,
            shelf: Shelf::default(),
            unstored: UnstoredBoard::default(),
            opened: Arc::new(opened),
            config,
            clock,
        }
    }

    /// Who acts, as events and rows say it.
    pub(crate) fn by_user_id(&self) -> Option<uuid::Uuid> {
        self.person.as_ref().map(|person| person.id)
    }

    pub(crate) fn evidence(&self) -> Result<&Evidence> {
        match &*self.opened {
            Opened::Open(evidence) => Ok(evidence),
            Opened::Closed {
                problem, remedy, ..
            } => Err(Error::new(
                ErrorKind::Store,
                format!("the store is not open: {problem}"),
                remedy.clone(),
            )),
        }
    }

    pub(crate) fn records(&self) -> Result<&Records> {
        Ok(&self.evidence()?.records)
    }

    pub(crate) fn store(&self) -> Result<&Store> {
        Ok(self.evidence()?.records.store())
    }

    pub(crate) fn notary(&self) -> Result<&Notary> {
        Ok(&self.evidence()?.notary)
    }

    pub(crate) fn workflows(&self) -> Result<&Engine> {
        self.evidence()?.workflows.get().ok_or_else(|| {
            Error::new(
                ErrorKind::Internal,
                "the workflow engine is not running",
                "",
            )
        })
    }

    /// The key to which recordings are wrapped.
    pub(crate) fn station_key(&self) -> Result<recording::StationKey> {
        Ok(recording::StationKey::from_bytes(
            *self.evidence()?.key.recording_key(),
        ))
    }

    /// The key for recordings, also while the store is closed; `None` where it may be another's.
    pub(crate) fn certain_key(&self) -> Option<recording::StationKey> {
        let key = match &*self.opened {
            Opened::Open(evidence) => &evidence.key,
            Opened::Closed { key, .. } => key.as_deref()?,
        };
        Some(recording::StationKey::from_bytes(*key.recording_key()))
    }

    /// What opens a recording: the station key, or its own if it was made without the store.
    pub(crate) fn key_of(&self, recording: RecordingId) -> Result<recording::StationKey> {
        match self.unstored.of_recording(recording) {
            Some(unstored) => Ok(unstored.key.clone()),
            None => self.station_key(),
        }
    }

    /// Keeps an event of a session that the store does not know; `false` when it is none.
    fn say_unstored<P: Payload>(&self, session: SessionId, key: Option<&str>, payload: &P) -> bool {
        let Some(unstored) = self.unstored.get(session) else {
            return false;
        };
        unstored.say(Timestamp(self.clock.utc().0), key, payload);
        true
    }

    /// Whether the store takes a change just now: it is open, nobody else holds it, its disk has
    /// room.
    pub(crate) async fn takes_commits(&self) -> Result<()> {
        let records = self.records()?;
        let commit = records.keep_setting(TRIAL, &true);
        tokio::time::timeout(STORE_TRIAL, commit)
            .await
            .unwrap_or_else(|_| {
                let message = "the store does not take a change in time";
                Err(Error::new(ErrorKind::Store, message, ""))
            })
    }

    pub(crate) fn protocol(&self, id: &str) -> Result<Protocol> {
        Protocol::find(id).map_err(|error| Error::new(ErrorKind::Invalid, error.to_string(), ""))
    }

    /// Publishes a fact of a session; while the store fails it is kept, and the record goes on.
    pub(crate) async fn say<P: Payload + Sync>(&self, session: SessionId, payload: &P) {
        if self.say_unstored(session, None, payload) {
            return;
        }
        let said = match self.notary() {
            Ok(notary) => notary.say_or_keep(session.0, None, payload).await,
            Err(error) => Err(error),
        };
        if let Err(error) = said {
            tracing::error!(%session, %error, "an event is not stored");
        }
    }

    /// As [`Self::say`], without waiting for the store: for a recording, which may not.
    pub(crate) fn tell<P: Payload>(&self, session: SessionId, payload: &P) {
        self.post(session, None, payload);
    }

    /// As [`Self::tell`], once however often it is called with this key.
    pub(crate) fn tell_once<P: Payload>(&self, session: SessionId, key: &str, payload: &P) {
        self.post(session, Some(key), payload);
    }

    fn post<P: Payload>(&self, session: SessionId, key: Option<&str>, payload: &P) {
        if self.say_unstored(session, key, payload) {
            return;
        }
        let posted = self
            .notary()
            .and_then(|notary| notary.post(session.0, key, payload));
        if let Err(error) = posted {
            tracing::error!(%session, %error, "an event is not stored");
        }
    }

    /// Waits for the store to take what was told, but not for long.
    pub(crate) async fn flush(&self) {
        if let Ok(notary) = self.notary() {
            notary.flush(FLUSH_WAIT).await;
        }
    }

    /// As [`Self::say`], once however often it is called with this key.
    pub(crate) async fn say_once<P: Payload + Sync>(
        &self,
        session: SessionId,
        key: &str,
        payload: &P,
    ) {
        let said = match self.notary() {
            Ok(notary) => notary.say_or_keep(session.0, Some(key), payload).await,
            Err(error) => Err(error),
        };
        if let Err(error) = said {
            tracing::error!(%session, %error, "an event is not stored");
        }
    }

    /// Signs the ledger as it stands.
    pub(crate) async fn checkpoint(&self) -> Result<()> {
        self.records()?.checkpoint().await
    }

    /// Why the store is not open, and what to do.
    pub(crate) fn store_problem(&self) -> Option<(String, String)> {
        match &*self.opened {
            Opened::Open(_) => None,
            Opened::Closed {
                problem, remedy, ..
            } => Some((problem.clone(), remedy.clone())),
        }
    }

    /// How the station key is kept: level, finding, remedy.
    pub(crate) fn key_note(&self) -> Result<(Level, String, String)> {
        let evidence = self.evidence()?;
        let found = match evidence.key_source {
            KeySource::SystemdCredential => "the station key comes from systemd's credential store",
            KeySource::KeyFile => "the station key is a file of this machine",
            KeySource::Passphrase => "the station key lies under a passphrase",
        };
        Ok(match evidence.key_warning {
            None => (Level::Good, found.to_owned(), String::new()),
            Some(warning) => (
                Level::Warning,
                format!("{found}: {warning}"),
                "Keep it with systemd-creds (see the service unit), or set a passphrase."
                    .to_owned(),
            ),
        })
    }
}
