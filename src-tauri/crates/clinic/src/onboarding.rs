//! Onboarding a patient as a workflow: register, ask for consent, remind, note.

use crate::activities::activity;
use crate::limits::{CONSENT_REMINDER, CONSENT_REMINDERS, NOTE_TIMEOUT};
use crate::patient::{ConsentState, PatientId};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use workflow::{
    ActivityContext, ActivityOptions, ActivityType, Context, Failure, Registry, Signal, Workflow,
    WorkflowError,
};

/// Which patient; the identity stands in the store already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Onboarding {
    /// The patient.
    pub patient: PatientId,
}

/// What onboarding came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnboardingOutcome {
    /// The consent that was noted.
    pub consent: ConsentState,
    /// How often someone was reminded.
    pub reminders: u32,
}

/// Someone answered on consent.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct ConsentAnswered {
    /// The answer.
    pub state: ConsentState,
}

impl Signal for ConsentAnswered {
    const NAME: &'static str = "consent_answered";
}

/// What onboarding asks the workstation to do. Calls may repeat after a crash.
#[async_trait]
pub trait OnboardingActivities: Send + Sync + 'static {
    /// Publishes and notes the registration.
    async fn register(&self, ctx: ActivityContext, of: Onboarding) -> Result<(), Failure>;

    /// Reminds someone that consent is open.
    async fn remind(&self, ctx: ActivityContext, of: Onboarding) -> Result<(), Failure>;
}

activity!(/// See [`OnboardingActivities::register`].
    RegisterOnboarded, "onboarding.register", Onboarding => ());
activity!(/// See [`OnboardingActivities::remind`].
    RemindConsent, "onboarding.remind", Onboarding => ());

/// Registers the workflow and its activities.
pub fn register_onboarding(registry: &mut Registry, activities: Arc<dyn OnboardingActivities>) {
    registry.workflow::<PatientOnboarding>();
    let register = activities.clone();
    registry.activity::<RegisterOnboarded, _, _>(move |ctx, of| {
        let activities = register.clone();
        async move { activities.register(ctx, of).await }
    });
    registry.activity::<RemindConsent, _, _>(move |ctx, of| {
        let activities = activities.clone();
        async move { activities.remind(ctx, of).await }
    });
}

/// Registers a patient, waits for an answer on consent, reminds, and ends with what there is:
/// a patient without an answer can be recorded all the same.
#[derive(Debug)]
pub struct PatientOnboarding;

impl Workflow for PatientOnboarding {
    const NAME: &'static str = "patient_onboarding";
    type Input = Onboarding;
    type Output = OnboardingOutcome;

    async fn run(ctx: Context, input: Onboarding) -> Result<OnboardingOutcome, WorkflowError> {
        let options = || ActivityOptions::start_to_close(NOTE_TIMEOUT);
        ctx.activity::<RegisterOnboarded>(input, options()).await?;
        let mut reminders = 0;
        loop {
            let timer = ctx.timer(CONSENT_REMINDER);
            workflow::select! {
                answer = ctx.wait_signal::<ConsentAnswered>() => {
                    return Ok(OnboardingOutcome { consent: answer?.state, reminders });
                },
                due = timer => due?,
            }
            if reminders == CONSENT_REMINDERS {
                return Ok(OnboardingOutcome {
                    consent: ConsentState::Missing,
                    reminders,
                });
            }
            ctx.activity::<RemindConsent>(input, options()).await?;
            reminders += 1;
        }
    }
}
