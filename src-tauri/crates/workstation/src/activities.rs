//! What the workflows ask for, done with the rooms at hand.

use crate::collect::collect;
use crate::documents;
use crate::engine_room::Room;
use crate::error::{Error, ErrorKind, Result};
use crate::prepare::{conclude, prepare};
use crate::records::SessionRecord;
use async_trait::async_trait;
use clinic::{
    Analysis, Collection, Conclusion, ConsentState, Exported, Onboarding, OnboardingActivities,
    Outcome, Preparation, Report, SessionActivities, SessionRef, Validation,
};
use events::payloads::{
    PatientRegistered, SessionCompleted, SessionOutcome, SessionRequirementWaived, SessionStep,
    StepState, WaivedRequirement,
};
use std::future::Future;
use workflow::{ActivityContext, Failure};

/// The activities of sessions and onboarding on this station.
#[derive(Debug, Clone)]
pub(crate) struct Activities {
    pub(crate) room: Room,
}

/// The failure type on which nothing is tried again.
const FINAL: &str = "final";

fn failure(error: &Error) -> Failure {
    match error.kind() {
        // The store may be locked for a moment, a disk be full until someone frees space.
        ErrorKind::Store | ErrorKind::DiskFull | ErrorKind::Conflict | ErrorKind::Internal => {
            Failure::new("retry", error.to_string())
        }
        ErrorKind::Device => Failure::new("device", error.to_string()),
        _ => Failure::non_retryable(FINAL, error.to_string()),
    }
}

impl Activities {
    async fn session(&self, of: SessionRef) -> std::result::Result<SessionRecord, Failure> {
        self.room
            .records()
            .map_err(|e| failure(&e))?
            .session(of.session)
            .await
            .map_err(|e| failure(&e))
    }

    /// Runs one step and publishes that it began and how it ended.
    async fn step<T>(
        &self,
        ctx: &ActivityContext,
        of: SessionRef,
        step: &str,
        work: impl Future<Output = Result<T>>,
    ) -> std::result::Result<T, Failure> {
        let attempt = ctx.attempt();
        let tell = |state, reason_code| SessionStep {
            session_id: of.session.0,
            step: step.to_owned(),
            state,
            attempt,
            reason_code,
        };
        let key = |word: &str| format!("{}/{attempt}/{word}", ctx.idempotency_key());
        let begun = tell(StepState::Started, None);
        self.room
            .say_once(of.session, &key("started"), &begun)
            .await;
        match work.await {
            Ok(done) => {
                let ended = tell(StepState::Completed, None);
                self.room
                    .say_once(of.session, &key("completed"), &ended)
                    .await;
                Ok(done)
            }
            Err(error) => {
                tracing::warn!(session = %of.session, step, %error, "step failed");
                let code = format!("{:?}", error.kind()).to_lowercase();
                let ended = tell(StepState::Failed, Some(code));
                self.room.say_once(of.session, &key("failed"), &ended).await;
                Err(failure(&error))
            }
        }
    }

    /// Notes what is worked round, in the name of whoever began the session.
    async fn waive(&self, of: &SessionRecord, requirement: WaivedRequirement, reason: &str) {
        let payload = SessionRequirementWaived {
            session_id: of.id.0,
            requirement,
            reason_code: reason.to_owned(),
            by_user_id: of.by_user,
        };
        self.room
            .say_once(of.id, &format!("waived/{requirement:?}"), &payload)
            .await;
    }

    async fn check(&self, session: &SessionRecord) -> Result<Validation> {
        let patient = self.room.records()?.patient(session.patient).await?;
        let mut notes = Vec::new();
        if !session.device_class.is_live() && !patient.training {
            return Err(Error::new(
                ErrorKind::Refused,
                "simulated or played-back data may not be recorded for a patient",
                "Use a training patient ('--training').",
            ));
        }
        if patient.training {
            return Ok(Validation { notes });
        }
        if patient.temporary {
            notes.push("The identity is temporary; reassign the session.".to_owned());
            self.waive(session, WaivedRequirement::Identity, "temporary")
                .await;
        }
        let consent = match patient.consent {
            ConsentState::Granted => None,
            ConsentState::Missing => Some(("Consent is missing.", "missing")),
            ConsentState::Refused => Some(("Consent was refused.", "refused")),
            ConsentState::Withdrawn => Some(("Consent was withdrawn.", "withdrawn")),
        };
        if let Some((note, code)) = consent {
            notes.push(note.to_owned());
            self.waive(session, WaivedRequirement::Consent, code).await;
        }
        Ok(Validation { notes })
    }
}

#[async_trait]
impl SessionActivities for Activities {
    async fn validate(
        &self,
        ctx: ActivityContext,
        of: SessionRef,
    ) -> std::result::Result<Validation, Failure> {
        let session = self.session(of).await?;
        self.step(&ctx, of, "validate", self.check(&session)).await
    }

    async fn prepare(
        &self,
        ctx: ActivityContext,
        of: SessionRef,
    ) -> std::result::Result<Preparation, Failure> {
        let session = self.session(of).await?;
        let prepared = self
            .step(&ctx, of, "prepare", prepare(&self.room, &ctx, &session))
            .await?;
        for (requirement, reason) in &prepared.waived {
            self.waive(&session, *requirement, reason).await;
        }
        Ok(Preparation {
            notes: prepared.notes,
        })
    }

    async fn collect(
        &self,
        ctx: ActivityContext,
        of: SessionRef,
    ) -> std::result::Result<Collection, Failure> {
        let session = self.session(of).await?;
        if session.start_now {
            self.waive(&session, WaivedRequirement::Impedance, "start_now")
                .await;
            self.waive(&session, WaivedRequirement::Calibration, "start_now")
                .await;
        }
        self.step(&ctx, of, "collect", collect(&self.room, &ctx, &session))
            .await
    }

    async fn end_collection(
        &self,
        _ctx: ActivityContext,
        of: SessionRef,
    ) -> std::result::Result<(), Failure> {
        self.room.live.end(of.session);
        Ok(())
    }

    /// The façade has stopped the device, marked the record and published the event; here it only
    /// becomes part of the workflow's history.
    async fn note_emergency(
        &self,
        _ctx: ActivityContext,
        _of: SessionRef,
    ) -> std::result::Result<(), Failure> {
        Ok(())
    }

    async fn conclude(
        &self,
        ctx: ActivityContext,
        of: SessionRef,
    ) -> std::result::Result<Conclusion, Failure> {
        let session = self.session(of).await?;
        let work = conclude(&self.room, &ctx, &session);
        let notes = self.step(&ctx, of, "conclude", work).await?;
        Ok(Conclusion { notes })
    }

    async fn analyse(
        &self,
        ctx: ActivityContext,
        of: SessionRef,
    ) -> std::result::Result<Analysis, Failure> {
        let session = self.session(of).await?;
        let work = documents::analyse(&self.room, &session);
        let notes = self.step(&ctx, of, "analyse", work).await?;
        Ok(Analysis { notes })
    }

    async fn make_report(
        &self,
        ctx: ActivityContext,
        of: SessionRef,
    ) -> std::result::Result<Report, Failure> {
        let session = self.session(of).await?;
        let key = ctx.idempotency_key();
        let work = documents::make_report(&self.room, &session, Some(&key));
        let report = self.step(&ctx, of, "report", work).await?;
        Ok(Report {
            report: report.id.to_string(),
        })
    }

    async fn export(
        &self,
        ctx: ActivityContext,
        of: SessionRef,
    ) -> std::result::Result<Exported, Failure> {
        let session = self.session(of).await?;
        let key = ctx.idempotency_key();
        let work = documents::export_as_planned(&self.room, &session, &key);
        let exported = self.step(&ctx, of, "export", work).await?;
        Ok(Exported {
            files: u32::try_from(exported.files.len()).unwrap_or(u32::MAX),
            notes: exported.warnings,
        })
    }

    async fn finish(
        &self,
        _ctx: ActivityContext,
        of: SessionRef,
        outcome: Outcome,
    ) -> std::result::Result<(), Failure> {
        let session = self.session(of).await?;
        let records = self.room.records().map_err(|e| failure(&e))?;
        records
            .end_session(of.session, outcome)
            .await
            .map_err(|e| failure(&e))?;
        let elapsed = self.room.clock.utc().nanos_since(session.started).max(0);
        let payload = SessionCompleted {
            session_id: of.session.0,
            outcome: match outcome {
                Outcome::Completed => SessionOutcome::Completed,
                Outcome::Failed => SessionOutcome::Failed,
            },
            recording_id: Some(session.recording.0),
            duration_ms: elapsed.unsigned_abs() / 1_000_000,
        };
        self.room.say_once(of.session, "completed", &payload).await;
        self.room.live.forget_end(of.session);
        self.room.live.forget_measured(of.session);
        if let Err(error) = self.room.checkpoint().await {
            tracing::warn!(%error, "sign a checkpoint of the ledger");
        }
        Ok(())
    }
}

#[async_trait]
impl OnboardingActivities for Activities {
    async fn register(
        &self,
        ctx: ActivityContext,
        of: Onboarding,
    ) -> std::result::Result<(), Failure> {
        let records = self.room.records().map_err(|e| failure(&e))?;
        let patient = records.patient(of.patient).await.map_err(|e| failure(&e))?;
        let payload = PatientRegistered {
            patient_id: of.patient.0,
            temporary: patient.temporary,
            training: patient.training,
        };
        let said = self
            .room
            .notary()
            .map_err(|e| failure(&e))?
            .say_once(of.patient.0, &ctx.idempotency_key(), &payload)
            .await;
        said.map_err(|e| failure(&e))
    }

    async fn remind(
        &self,
        ctx: ActivityContext,
        of: Onboarding,
    ) -> std::result::Result<(), Failure> {
        let payload = events::payloads::ConsentOpen {
            patient_id: of.patient.0,
        };
        let said = self
            .room
            .notary()
            .map_err(|e| failure(&e))?
            .say_once(of.patient.0, &ctx.idempotency_key(), &payload)
            .await;
        said.map_err(|e| failure(&e))
    }
}
