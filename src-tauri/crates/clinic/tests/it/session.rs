//! ClinicalSession against scripted activities.

use async_trait::async_trait;
use clinic::{
    Analysis, ClinicalSession, Collection, CollectionEnd, Conclusion, ConsentWithdrawn,
    EmergencyStopped, Exported, Outcome, PROGRESS_QUERY, Preparation, Report, SessionActivities,
    SessionId, SessionInput, SessionProgress, SessionRef, SessionResult, Step, StepState,
    StopCollection, Validation, register_session,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use uuid::Uuid;
use workflow::{
    ActivityContext, Engine, EngineConfig, Failure, KeptHistory, MemoryStore, Registry, Replayer,
    StartOptions,
};

/// What a scripted activity is to do.
#[derive(Debug, Default)]
struct Script {
    refuse: bool,
    prepare_fails: bool,
    prepare_hangs: bool,
    conclude_hangs: bool,
    device_gone: bool,
    collect_breaks_once: AtomicBool,
    device_fails: bool,
    report_fails: bool,
    done: Mutex<Vec<String>>,
    end: Notify,
    collecting: Notify,
}

impl Script {
    fn note(&self, what: &str) {
        self.done.lock().unwrap().push(what.to_owned());
    }
}

#[async_trait]
impl SessionActivities for Script {
    async fn validate(&self, _: ActivityContext, _: SessionRef) -> Result<Validation, Failure> {
        self.note("validate");
        if self.refuse {
            return Err(Failure::non_retryable("final", "refused"));
        }
        Ok(Validation {
            notes: vec!["Consent is missing.".to_owned()],
        })
    }

    async fn prepare(&self, ctx: ActivityContext, _: SessionRef) -> Result<Preparation, Failure> {
        self.note("prepare");
        if self.prepare_hangs {
            loop {
                ctx.heartbeat(&());
                if ctx.is_cancelled() {
                    self.note("prepare broken off");
                    return Err(ctx.cancelled_failure());
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        if self.prepare_fails {
            return Err(Failure::non_retryable("final", "no device"));
        }
        Ok(Preparation::default())
    }

    async fn collect(&self, ctx: ActivityContext, _: SessionRef) -> Result<Collection, Failure> {
        self.note("collect");
        if self.collect_breaks_once.swap(false, Ordering::SeqCst) {
            return Err(Failure::new("device", "lost"));
        }
        self.collecting.notify_one();
        let end = if self.device_fails {
            CollectionEnd::DeviceFailed
        } else {
            CollectionEnd::Stopped
        };
        if !self.device_fails {
            loop {
                ctx.heartbeat(&());
                tokio::select! {
                    () = self.end.notified() => break,
                    () = tokio::time::sleep(Duration::from_millis(20)) => {}
                }
            }
        }
        Ok(Collection {
            recording: "r".to_owned(),
            end,
            samples: 1,
            gaps: 0,
            notes: vec![],
        })
    }

    async fn end_collection(&self, _: ActivityContext, _: SessionRef) -> Result<(), Failure> {
        self.note("end_collection");
        self.end.notify_one();
        Ok(())
    }

    async fn note_emergency(&self, _: ActivityContext, _: SessionRef) -> Result<(), Failure> {
        self.note("emergency");
        Ok(())
    }

    async fn conclude(&self, ctx: ActivityContext, _: SessionRef) -> Result<Conclusion, Failure> {
        self.note("conclude");
        if self.conclude_hangs {
            self.collecting.notify_one();
            loop {
                ctx.heartbeat(&());
                if ctx.is_cancelled() {
                    self.note("conclude broken off");
                    return Err(ctx.cancelled_failure());
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        if self.device_gone {
            return Err(Failure::new("device", "it is not there"));
        }
        Ok(Conclusion::default())
    }

    async fn analyse(&self, _: ActivityContext, _: SessionRef) -> Result<Analysis, Failure> {
        self.note("analyse");
        Ok(Analysis::default())
    }

    async fn make_report(&self, _: ActivityContext, _: SessionRef) -> Result<Report, Failure> {
        self.note("report");
        if self.report_fails {
            return Err(Failure::non_retryable("final", "typesetting"));
        }
        Ok(Report {
            report: "p".to_owned(),
        })
    }

    async fn export(&self, _: ActivityContext, _: SessionRef) -> Result<Exported, Failure> {
        self.note("export");
        Ok(Exported {
            files: 1,
            notes: vec![],
        })
    }

    async fn finish(
        &self,
        _: ActivityContext,
        _: SessionRef,
        outcome: Outcome,
    ) -> Result<(), Failure> {
        self.note(&format!("finish {outcome:?}"));
        Ok(())
    }
}

struct Running {
    script: Arc<Script>,
    engine: Engine,
    registry: Registry,
    id: String,
}

impl Running {
    async fn start(script: Script, start_now: bool) -> Self {
        let script = Arc::new(script);
        let mut registry = Registry::new();
        register_session(&mut registry, script.clone());
        let config = EngineConfig::new(Arc::new(MemoryStore::new()), registry.clone());
        let engine = Engine::start(config).unwrap();
        let session = SessionId(Uuid::from_u128(1));
        let input = SessionInput {
            session,
            duration_ms: None,
            start_now,
            export: true,
        };
        let id = session.to_string();
        engine
            .start_workflow::<ClinicalSession>(StartOptions::id(&id), &input)
            .await
            .unwrap();
        Self {
            script,
            engine,
            registry,
            id,
        }
    }

    async fn result(&self) -> SessionResult {
        let waiting = self.engine.result(&self.id);
        tokio::time::timeout(Duration::from_secs(20), waiting)
            .await
            .expect("it ends")
            .unwrap()
    }

    async fn step(&self, step: Step) -> StepState {
        let progress: SessionProgress = self.engine.query(&self.id, PROGRESS_QUERY).await.unwrap();
        progress
            .steps
            .iter()
            .find(|entry| entry.step == step)
            .unwrap()
            .state
    }

    /// Waits until `step` has a note with `text`.
    async fn noted(&self, step: Step, text: &str) {
        let looking = async {
            loop {
                let progress: SessionProgress =
                    self.engine.query(&self.id, PROGRESS_QUERY).await.unwrap();
                let found = progress.steps.iter().any(|entry| {
                    entry.step == step && entry.notes.iter().any(|note| note.contains(text))
                });
                if found {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), looking)
            .await
            .expect("it is noted");
    }

    fn done(&self) -> Vec<String> {
        self.script.done.lock().unwrap().clone()
    }

    /// The history that is left must be that of this very code.
    async fn replays(&self) {
        let events = self.engine.history(&self.id).await.unwrap();
        Replayer::new(self.registry.clone())
            .replay(&self.id, &events)
            .unwrap();
    }
}

#[tokio::test]
async fn the_steps_come_in_order() {
    let running = Running::start(Script::default(), false).await;
    running.script.collecting.notified().await;
    running
        .engine
        .signal(&running.id, &StopCollection {})
        .await
        .unwrap();
    let result = running.result().await;
    assert_eq!(result.outcome, Outcome::Completed);
    let expected = "validate prepare collect end_collection conclude analyse report export \
                    finish Completed";
    assert_eq!(running.done().join(" "), expected);
    assert_eq!(running.step(Step::Report).await, StepState::Done);
    running.replays().await;
}

#[tokio::test]
async fn start_now_leaves_the_checks_out() {
    let running = Running::start(Script::default(), true).await;
    running.script.collecting.notified().await;
    assert_eq!(running.step(Step::Prepare).await, StepState::Skipped);
    running
        .engine
        .signal(&running.id, &StopCollection {})
        .await
        .unwrap();
    running.result().await;
    assert!(!running.done().contains(&"prepare".to_owned()));
}

#[tokio::test]
async fn a_failed_preparation_keeps_nobody_from_recording() {
    let script = Script {
        prepare_fails: true,
        ..Script::default()
    };
    let running = Running::start(script, false).await;
    running.script.collecting.notified().await;
    assert_eq!(running.step(Step::Prepare).await, StepState::Failed);
    running
        .engine
        .signal(&running.id, &StopCollection {})
        .await
        .unwrap();
    assert_eq!(running.result().await.outcome, Outcome::Completed);
}

#[tokio::test]
async fn what_may_never_be_ends_the_session_before_it_records() {
    let running = Running::start(
        Script {
            refuse: true,
            ..Script::default()
        },
        false,
    )
    .await;
    let result = running.result().await;
    assert_eq!((result.outcome, result.collection), (Outcome::Failed, None));
    assert_eq!(running.done(), ["validate", "finish Failed"]);
}

#[tokio::test]
async fn a_collection_that_breaks_is_taken_up_again() {
    let script = Script {
        collect_breaks_once: AtomicBool::new(true),
        ..Script::default()
    };
    let running = Running::start(script, true).await;
    running.script.collecting.notified().await;
    running
        .engine
        .signal(&running.id, &StopCollection {})
        .await
        .unwrap();
    assert_eq!(running.result().await.outcome, Outcome::Completed);
    assert_eq!(
        running
            .done()
            .iter()
            .filter(|what| *what == "collect")
            .count(),
        2
    );
    running.replays().await;
}

#[tokio::test]
async fn an_emergency_stop_is_noted_and_recording_goes_on() {
    let running = Running::start(Script::default(), true).await;
    running.script.collecting.notified().await;
    running
        .engine
        .signal(&running.id, &EmergencyStopped {})
        .await
        .unwrap();
    let noted = async {
        while !running.done().contains(&"emergency".to_owned()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), noted)
        .await
        .unwrap();
    assert_eq!(running.step(Step::Collect).await, StepState::Running);
    running
        .engine
        .signal(&running.id, &StopCollection {})
        .await
        .unwrap();
    assert_eq!(running.result().await.outcome, Outcome::Completed);
    running.replays().await;
}

#[tokio::test]
async fn an_emergency_stop_breaks_the_preparation_off() {
    let running = Running::start(
        Script {
            prepare_hangs: true,
            ..Script::default()
        },
        false,
    )
    .await;
    while !running.done().contains(&"prepare".to_owned()) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    running
        .engine
        .signal(&running.id, &EmergencyStopped {})
        .await
        .unwrap();
    running.script.collecting.notified().await;
    assert_eq!(running.step(Step::Prepare).await, StepState::Skipped);
    running
        .engine
        .signal(&running.id, &StopCollection {})
        .await
        .unwrap();
    assert_eq!(running.result().await.outcome, Outcome::Completed);
    assert!(
        running.done().contains(&"prepare broken off".to_owned()),
        "{:?}",
        running.done()
    );
}

#[tokio::test]
async fn consent_withdrawn_is_noted_and_a_person_ends_the_recording() {
    let running = Running::start(Script::default(), true).await;
    running.script.collecting.notified().await;
    running
        .engine
        .signal(&running.id, &ConsentWithdrawn {})
        .await
        .unwrap();
    running.noted(Step::Collect, "Consent was withdrawn").await;
    // Its end is a person's to give.
    assert_eq!(running.step(Step::Collect).await, StepState::Running);
    assert!(!running.done().contains(&"end_collection".to_owned()));
    running
        .engine
        .signal(&running.id, &StopCollection {})
        .await
        .unwrap();
    let result = running.result().await;
    assert!(result.collection.is_some());
    running.replays().await;
}

#[tokio::test]
async fn an_emergency_stop_breaks_the_checks_after_the_recording_off() {
    let script = Script {
        conclude_hangs: true,
        ..Script::default()
    };
    let running = Running::start(script, true).await;
    running.script.collecting.notified().await;
    running
        .engine
        .signal(&running.id, &StopCollection {})
        .await
        .unwrap();
    running.script.collecting.notified().await;
    running
        .engine
        .signal(&running.id, &EmergencyStopped {})
        .await
        .unwrap();
    assert_eq!(running.result().await.outcome, Outcome::Completed);
    assert_eq!(running.step(Step::Conclude).await, StepState::Skipped);
    let done = running.done();
    for due in ["conclude broken off", "emergency", "report"] {
        assert!(done.contains(&due.to_owned()), "{done:?}");
    }
    running.replays().await;
}

#[tokio::test]
async fn a_device_that_is_gone_after_the_recording_is_noted_and_holds_nothing_up() {
    let script = Script {
        device_gone: true,
        ..Script::default()
    };
    let running = Running::start(script, true).await;
    running.script.collecting.notified().await;
    running
        .engine
        .signal(&running.id, &StopCollection {})
        .await
        .unwrap();
    assert_eq!(running.result().await.outcome, Outcome::Completed);
    assert_eq!(running.step(Step::Conclude).await, StepState::Failed);
}

#[tokio::test]
async fn what_fails_after_the_recording_is_noted_and_the_rest_goes_on() {
    let script = Script {
        report_fails: true,
        ..Script::default()
    };
    let running = Running::start(script, true).await;
    running.script.collecting.notified().await;
    running
        .engine
        .signal(&running.id, &StopCollection {})
        .await
        .unwrap();
    let result = running.result().await;
    assert_eq!((result.outcome, result.report), (Outcome::Failed, None));
    assert!(running.done().contains(&"export".to_owned()));
    assert_eq!(running.step(Step::Report).await, StepState::Failed);
}

#[tokio::test]
async fn a_device_that_fails_for_good_leaves_its_recording_and_report() {
    let script = Script {
        device_fails: true,
        ..Script::default()
    };
    let running = Running::start(script, true).await;
    let result = running.result().await;
    assert_eq!(result.outcome, Outcome::Failed);
    assert!(result.report.is_some());
    assert_eq!(running.step(Step::Collect).await, StepState::Failed);
}

/// Sessions that began under an older program go on under this one. `UPDATE_GOLDEN=1` keeps the
/// history of today beside those of before, to be done when a patch changes the code.
#[tokio::test]
async fn kept_histories_replay() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let today = folder.join("clinical_session.v2.json");
    let running = Running::start(Script::default(), false).await;
    running.script.collecting.notified().await;
    running
        .engine
        .signal(&running.id, &ConsentWithdrawn {})
        .await
        .unwrap();
    running.noted(Step::Collect, "Consent was withdrawn").await;
    running
        .engine
        .signal(&running.id, &EmergencyStopped {})
        .await
        .unwrap();
    while !running.done().contains(&"emergency".to_owned()) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    running
        .engine
        .signal(&running.id, &StopCollection {})
        .await
        .unwrap();
    running.result().await;
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let events = running.engine.history(&running.id).await.unwrap();
        let kept = KeptHistory::new(&running.id, events);
        std::fs::write(&today, serde_json::to_string_pretty(&kept).unwrap() + "\n").unwrap();
    }
    let mut replayed = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let file = entry.unwrap().path();
        let kept: KeptHistory = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        let result = Replayer::new(running.registry.clone()).replay_kept(&kept);
        assert!(result.is_ok(), "{}: {result:?}", file.display());
        replayed += 1;
    }
    assert!(replayed >= 2, "histories of every version are kept");
}
