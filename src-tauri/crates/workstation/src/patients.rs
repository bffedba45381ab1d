//! Patients: registering, finding, consent.

use crate::error::{Error, ErrorKind, Result};
use crate::facade::Workstation;
use crate::records::PatientRecord;
use clinic::{
    ConsentAnswered, ConsentState, ConsentWithdrawn, Identity, Onboarding, PatientId,
    PatientOnboarding,
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

    /// Patients whose name or number contains `search`, by family name.
    ///
    /// # Errors
    /// The store.
    pub async fn patients(&self, search: &str) -> Result<Vec<PatientRecord>> {
        self.room.records()?.patients(search).await
    }

    /// One patient.
    ///
    /// # Errors
    /// No such patient, or the store.
    pub async fn patient(&self, id: PatientId) -> Result<PatientRecord> {
        self.room.records()?.patient(id).await
    }

    /// Notes a consent. One that is taken back ends the patient's running sessions' recording.
    ///
    /// # Errors
    /// No such patient, or the store.
    pub async fn set_consent(&self, id: PatientId, state: ConsentState) -> Result<()> {
        let records = self.room.records()?;
        records.patient(id).await?;
        records.set_consent(id, state).await?;
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
                    let told = workflows
                        .signal(&session.to_string(), &ConsentWithdrawn {})
                        .await;
                    told.map_err(|error| Error::internal("end the recording", &error))?;
                }
            }
        }
        Ok(())
    }
}

fn onboarding_id(id: PatientId) -> String {
    format!("onboarding-{id}")
}
