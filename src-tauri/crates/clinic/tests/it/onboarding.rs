//! PatientOnboarding: an answer on consent, reminders, and an end without one.

use async_trait::async_trait;
use clinic::{
    ConsentAnswered, ConsentState, Onboarding, OnboardingActivities, OnboardingOutcome, PatientId,
    PatientOnboarding, register_onboarding,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use uuid::Uuid;
use workflow::{
    ActivityContext, Engine, EngineConfig, Failure, MemoryStore, Registry, StartOptions,
};

#[derive(Debug, Default)]
struct Reminders(AtomicU32);

#[async_trait]
impl OnboardingActivities for Reminders {
    async fn register(&self, _: ActivityContext, _: Onboarding) -> Result<(), Failure> {
        Ok(())
    }

    async fn remind(&self, _: ActivityContext, _: Onboarding) -> Result<(), Failure> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

async fn onboard(answer: Option<ConsentState>) -> (OnboardingOutcome, u32) {
    let reminders = Arc::new(Reminders::default());
    let mut registry = Registry::new();
    register_onboarding(&mut registry, reminders.clone());
    let config = EngineConfig::new(Arc::new(MemoryStore::new()), registry);
    let (engine, driving) = Engine::local(config).unwrap();
    let local = tokio::task::LocalSet::new();
    let outcome = local
        .run_until(async move {
            tokio::task::spawn_local(driving);
            let input = Onboarding {
                patient: PatientId(Uuid::from_u128(1)),
            };
            engine
                .start_workflow::<PatientOnboarding>(StartOptions::id("p"), &input)
                .await
                .unwrap();
            if let Some(state) = answer {
                engine
                    .signal("p", &ConsentAnswered { state })
                    .await
                    .unwrap();
            }
            engine.result::<OnboardingOutcome>("p").await.unwrap()
        })
        .await;
    (outcome, reminders.0.load(Ordering::SeqCst))
}

#[tokio::test(start_paused = true)]
async fn an_answer_ends_it_without_a_reminder() {
    let (outcome, reminders) = onboard(Some(ConsentState::Granted)).await;
    assert_eq!((outcome.consent, reminders), (ConsentState::Granted, 0));
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_it_reminds_and_ends_with_consent_missing() {
    let (outcome, reminders) = onboard(None).await;
    assert_eq!((outcome.consent, reminders), (ConsentState::Missing, 3));
}
