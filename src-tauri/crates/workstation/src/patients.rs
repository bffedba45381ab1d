//! Patients: registering, finding, consent.

use crate::alerts::Alert;
use crate::error::{Error, ErrorKind, Result};
use crate::facade::Workstation;
use crate::recorder::program_mark;
use crate::records::PatientRecord;
use clinic::{
    ConsentAnswered, ConsentState, ConsentWithdrawn, Identity, Onboarding, PatientId,
    PatientOnboarding, SessionId,
};
use events::Payload;
use events::payloads::{
    ConsentNoted, ConsentWord, PatientEdited, PatientViewed, PatientsSearched,
    SessionConsentWithdrawn, Severity,
};
use uuid::Uuid;
use workflow::{EngineError, StartOptions};

impl Workstation {
    /// Registers a patient and starts their onboarding.
    ///
    /// # Errors
    /// An identity that cannot be taken, or the store.
    pub async fn register_patient(&self, identity: Identity, training: bool) -> Result<PatientId> {
        let today = crate::times::date_of(self.room.clock.utc());
        let identity = identity
            .checked(today)
            .map_err(|error| Error::new(ErrorKind::Invalid, error.to_string(), ""))?;
        self.add_patient(identity, training, false).await
    }

    pub(crate) async fn add_patient(
        &self,
        identity: Identity,
        training: bool,
        temporary: bool,
    ) -> Result<PatientId> {
        let id = PatientId(Uuid::now_v7());
        let consent = ConsentState::Missing;
        let record = PatientRecord {
            id,
            identity,
            training,
            temporary,
            consent,
            consent_at: None,
        };
        self.room.records()?.add_patient(&record).await?;
        let options = StartOptions::id(onboarding_id(id)).with_correlation(id.to_string());
        let started = self
            .room
            .workflows()?
            .start_workflow::<PatientOnboarding>(options, &Onboarding { patient: id })
            .await;
        started.map_err(|error| Error::internal("start onboarding", &error))?;
        Ok(id)
    }

    /// Corrects a patient's identity.
    ///
    /// # Errors
    /// No such patient, an identity that cannot be taken, a number that is another's; the store.
    pub async fn edit_patient(&self, id: PatientId, identity: Identity) -> Result<PatientRecord> {
        let today = crate::times::date_of(self.room.clock.utc());
        let identity = identity
            .checked(today)
            .map_err(|error| Error::new(ErrorKind::Invalid, error.to_string(), ""))?;
        let payload = PatientEdited {
            patient_id: id.0,
            by_user_id: self.room.by_user_id(),
        };
        let event = self.event_of(id.0, &payload)?;
        let records = self.room.records()?;
        records.edit_patient(id, identity, event).await?;
        records.patient(id).await
    }

    /// Patients whose name or number contains `search`, by family name. That somebody looked stands
    /// in the ledger; what for does not.
    ///
    /// # Errors
    /// The store.
    pub async fn patients(&self, search: &str) -> Result<Vec<PatientRecord>> {
        let found = self.room.records()?.patients(search).await?;
        let shown = u32::try_from(found.len()).unwrap_or(u32::MAX);
        self.note_search(search, shown).await;
        Ok(found)
    }

    /// One patient. That somebody looked stands in the ledger.
    ///
    /// # Errors
    /// No such patient, or the store.
    pub async fn patient(&self, id: PatientId) -> Result<PatientRecord> {
        let found = self.room.records()?.patient(id).await?;
        let by = self.room.by_user_id();
        if self.room.desk.looks_anew(by, id.0, self.room.clock.host()) {
            let payload = PatientViewed {
                patient_id: id.0,
                by_user_id: by,
            };
            self.note_look(id.0, &payload).await;
        }
        Ok(found)
    }

    /// The same search by the same person is told once in a while.
    pub(crate) async fn note_search(&self, search: &str, shown: u32) {
        let by = self.room.by_user_id();
        let what = crate::notary::id_of(Uuid::nil(), &search.trim().to_lowercase());
        if self.room.desk.looks_anew(by, what, self.room.clock.host()) {
            let payload = PatientsSearched {
                shown,
                by_user_id: by,
            };
            self.note_look(Uuid::now_v7(), &payload).await;
        }
    }

    /// Nobody is kept from looking because the ledger does not take it at the moment.
    async fn note_look<P: Payload>(&self, correlation: Uuid, payload: &P) {
        let said = match self.room.notary() {
            Ok(notary) => notary.say_or_keep(correlation, None, payload).await,
            Err(error) => Err(error),
        };
        if let Err(error) = said {
            tracing::error!(%error, "a look at patients is not stored");
        }
    }

    /// Notes a consent. One that is taken back is marked in what is being recorded of the patient,
    /// and calls for someone to decide; recording goes on until they end it.
    ///
    /// # Errors
    /// No such patient, or the store.
    pub async fn set_consent(&self, id: PatientId, state: ConsentState) -> Result<()> {
        let records = self.room.records()?;
        records.patient(id).await?;
        let by = self.room.by_user_id();
        let payload = ConsentNoted {
            patient_id: id.0,
            state: match state {
                ConsentState::Missing => ConsentWord::Missing,
                ConsentState::Granted => ConsentWord::Granted,
                ConsentState::Refused => ConsentWord::Refused,
                ConsentState::Withdrawn => ConsentWord::Withdrawn,
            },
            by_user_id: by,
        };
        let event = self.event_of(id.0, &payload)?;
        records.set_consent(id, state, by, event).await?;
        let workflows = self.room.workflows()?;
        match workflows
            .signal(&onboarding_id(id), &ConsentAnswered { state })
            .await
        {
            // Answered once already, or a patient from before onboarding was a workflow.
            Ok(()) | Err(EngineError::Closed(_) | EngineError::NotFound(_)) => {}
            Err(error) => return Err(Error::internal("tell onboarding", &error)),
        }
        if state == ConsentState::Withdrawn {
            for session in self.room.live.sessions() {
                if records.session(session).await?.patient == id {
                    self.consent_is_withdrawn(session).await?;
                }
            }
        }
        Ok(())
    }

    async fn consent_is_withdrawn(&self, session: SessionId) -> Result<()> {
        if let Some(live) = self.room.live.get(session) {
            let now = live.utc_at(self.room.clock.host());
            let text = "Consent was withdrawn: decide whether to stop. Recording goes on, and what \
                        is recorded stays, until you do.";
            live.alerts
                .raise(Alert::new(now, CODE, Severity::Critical, text));
            if let Err(error) = live.annotate(program_mark(now, CODE, "Consent was withdrawn")) {
                tracing::warn!(%session, %error, "the withdrawal is not marked in the record");
            }
            let payload = SessionConsentWithdrawn {
                session_id: session.0,
                recording_id: live.recording.0,
                by_user_id: self.room.by_user_id(),
            };
            self.room.say(session, &payload).await;
        }
        let workflows = self.room.workflows()?;
        let told = workflows
            .signal(&session.to_string(), &ConsentWithdrawn {})
            .await;
        match told {
            Ok(()) | Err(EngineError::Closed(_)) => Ok(()),
            Err(error) => Err(Error::internal("tell the session", &error)),
        }
    }
}

/// Alert and mark of a consent that was taken back while recording.
const CODE: &str = "consent_withdrawn";

fn onboarding_id(id: PatientId) -> String {
    format!("onboarding-{id}")
}
