//! The clinical session as a workflow.

use crate::activities::{
    Analyse, Collect, Collection, CollectionEnd, Conclude, EndCollection, ExportSession, Finish,
    MakeReport, NoteEmergency, Outcome, Prepare, SessionRef, Validate,
};
use crate::limits::{
    COLLECT_HEARTBEAT, COLLECT_MARGIN, COLLECT_RETRY, COLLECT_RETRY_MAX, CONCLUDE_TIMEOUT,
    DOCUMENT_ATTEMPTS, DOCUMENT_TIMEOUT, NOTE_TIMEOUT, PREPARE_ATTEMPTS, PREPARE_HEARTBEAT,
    PREPARE_TIMEOUT, VALIDATE_TIMEOUT,
};
use crate::patient::SessionId;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use workflow::{
    ActivityError, ActivityOptions, ActivityType, CancellationType, Context, RetryPolicy, Signal,
    Workflow, WorkflowError,
};

/// Name of the query that yields [`SessionProgress`].
pub const PROGRESS_QUERY: &str = "progress";

/// Sessions from here on look at the electrodes once more when the recording has ended.
const CONCLUDES: &str = "concludes";

/// Sessions from here on go on recording when consent is withdrawn, until a person decides.
const CONSENT_ASKS: &str = "consent_asks";

/// What a session is started with: ids and the plan, never a person's data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionInput {
    /// The session; patient, device and settings stand with it in the store.
    pub session: SessionId,
    /// Planned length of the collection, ms; `None` when it ends only by being stopped.
    pub duration_ms: Option<u64>,
    /// Record at once; impedance check and calibration are left out and noted.
    pub start_now: bool,
    /// Export when the report is done.
    pub export: bool,
}

/// Ends the collection.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StopCollection {}

impl Signal for StopCollection {
    const NAME: &'static str = "stop_collection";
}

/// An emergency stop was carried out; it is recorded now.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EmergencyStopped {}

impl Signal for EmergencyStopped {
    const NAME: &'static str = "emergency_stopped";
}

/// The patient took the consent back. Recording goes on until a person ends it: they are told to
/// decide, and what there is stays until they have.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConsentWithdrawn {}

impl Signal for ConsentWithdrawn {
    const NAME: &'static str = "consent_withdrawn";
}

/// The steps of a session, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Patient, consent, device.
    Validate,
    /// Impedances and calibration.
    Prepare,
    /// Recording.
    Collect,
    /// Impedances once more.
    Conclude,
    /// Analysis.
    Analyse,
    /// Report.
    Report,
    /// Export.
    Export,
}

impl Step {
    /// All, in order.
    pub const ALL: [Self; 7] = [
        Self::Validate,
        Self::Prepare,
        Self::Collect,
        Self::Conclude,
        Self::Analyse,
        Self::Report,
        Self::Export,
    ];

    /// Name on the wire and on the screen.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Validate => "validate",
            Self::Prepare => "prepare",
            Self::Collect => "collect",
            Self::Conclude => "conclude",
            Self::Analyse => "analyse",
            Self::Report => "report",
            Self::Export => "export",
        }
    }
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Not begun.
    Waiting,
    /// Under way.
    Running,
    /// Done.
    Done,
    /// Left out, and noted.
    Skipped,
    /// Failed; the session went on as far as it could.
    Failed,
}

/// One step's progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepProgress {
    /// Which.
    pub step: Step,
    /// Where it stands.
    pub state: StepState,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// The whole session's progress; readable at any time through [`PROGRESS_QUERY`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionProgress {
    /// Every step, in order.
    pub steps: Vec<StepProgress>,
    /// How many emergency stops there were.
    pub emergency_stops: u32,
}

/// What a session comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionResult {
    /// Completed or failed.
    pub outcome: Outcome,
    /// What was collected, when anything was.
    pub collection: Option<Collection>,
    /// The report's opaque id, when there is one.
    pub report: Option<String>,
}

/// Validate patient, consent and device; prepare; collect while safety is watched; analyse;
/// report; export. What fails after the collection is noted and the rest goes on: the recording is
/// what counts.
#[derive(Debug)]
pub struct ClinicalSession;

impl Workflow for ClinicalSession {
    const NAME: &'static str = "clinical_session";
    type Input = SessionInput;
    type Output = SessionResult;

    async fn run(ctx: Context, input: SessionInput) -> Result<SessionResult, WorkflowError> {
        let of = SessionRef {
            session: input.session,
        };
        let board = Board::new(&ctx);
        let mut result = SessionResult {
            outcome: Outcome::Failed,
            collection: None,
            report: None,
        };
        let recorded = record(&ctx, &input, of, &board).await;
        if let Some(collection) = recorded {
            let whole = collection.end != CollectionEnd::DeviceFailed;
            result.collection = Some(collection);
            if !whole {
                let note = "The device failed.".to_owned();
                board.set(Step::Conclude, StepState::Skipped, vec![note]);
            } else if ctx.patched(CONCLUDES) {
                conclude(&ctx, of, &board).await;
            } else {
                board.set(Step::Conclude, StepState::Skipped, vec![]);
            }
            let analysed =
                document::<Analyse>(&ctx, of, &board, Step::Analyse, |a| a.notes.clone()).await;
            let report = document::<MakeReport>(&ctx, of, &board, Step::Report, |_| vec![]).await;
            let exported = if input.export {
                document::<ExportSession>(&ctx, of, &board, Step::Export, |e| e.notes.clone())
                    .await
                    .is_some()
            } else {
                board.set(Step::Export, StepState::Skipped, vec![]);
                true
            };
            if whole && analysed.is_some() && report.is_some() && exported {
                result.outcome = Outcome::Completed;
            }
            result.report = report.map(|report| report.report);
        }
        // Cleaning up is not reached by a cancellation of the session.
        let finish = ActivityOptions::start_to_close(NOTE_TIMEOUT);
        ctx.detached()
            .activity::<Finish>((of, result.outcome), finish)
            .await?;
        Ok(result)
    }
}

/// Everything up to the end of the recording; `None` when nothing could be recorded.
async fn record(
    ctx: &Context,
    input: &SessionInput,
    of: SessionRef,
    board: &Board,
) -> Option<Collection> {
    board.set(Step::Validate, StepState::Running, vec![]);
    let options = ActivityOptions::start_to_close(VALIDATE_TIMEOUT);
    match ctx.activity::<Validate>(of, options).await {
        Ok(found) => board.set(Step::Validate, StepState::Done, found.notes),
        Err(error) => {
            board.set(Step::Validate, StepState::Failed, vec![describe(&error)]);
            return None;
        }
    }
    if input.start_now {
        let note = "Started at once: impedances and calibration were not checked.".to_owned();
        board.set(Step::Prepare, StepState::Skipped, vec![note]);
    } else {
        prepare(ctx, of, board).await;
    }
    board.set(Step::Collect, StepState::Running, vec![]);
    match collect(ctx, input, of, board).await {
        Ok(collection) => {
            let state = match collection.end {
                CollectionEnd::DeviceFailed => StepState::Failed,
                _ => StepState::Done,
            };
            board.set(Step::Collect, state, collection.notes.clone());
            Some(collection)
        }
        Err(error) => {
            board.set(Step::Collect, StepState::Failed, vec![describe(&error)]);
            None
        }
    }
}

/// A preparation that fails does not keep anyone from recording.
async fn prepare(ctx: &Context, of: SessionRef, board: &Board) {
    board.set(Step::Prepare, StepState::Running, vec![]);
    let options = ActivityOptions::start_to_close(PREPARE_TIMEOUT)
        .with_heartbeat(PREPARE_HEARTBEAT)
        .with_retry(RetryPolicy::attempts(PREPARE_ATTEMPTS))
        .with_cancellation(CancellationType::WaitCompleted);
    let (scoped, scope) = ctx.scope();
    let mut preparing = scoped.activity::<Prepare>(of, options);
    workflow::select! {
        prepared = &mut preparing => {
            match prepared {
                Ok(found) => board.set(Step::Prepare, StepState::Done, found.notes),
                Err(error) => board.set(Step::Prepare, StepState::Failed, vec![describe(&error)]),
            }
        },
        stopped = ctx.wait_signal::<EmergencyStopped>() => {
            // The test currents are off already; checking on would bring them back.
            if stopped.is_ok() {
                scope.cancel("emergency stop");
                note_emergency(ctx, of, board).await;
                // The device is free for recording only when the checks have let it go.
                let _ = preparing.await;
            }
            let note = "Broken off by the emergency stop.".to_owned();
            board.set(Step::Prepare, StepState::Skipped, vec![note]);
        },
    }
}

/// Collects while the safety monitor takes stops, emergencies and withdrawn consent.
async fn collect(
    ctx: &Context,
    input: &SessionInput,
    of: SessionRef,
    board: &Board,
) -> Result<Collection, ActivityError> {
    let retry = RetryPolicy {
        initial_interval: COLLECT_RETRY,
        maximum_interval: Some(COLLECT_RETRY_MAX),
        ..RetryPolicy::default()
    };
    let options = match input.duration_ms {
        Some(ms) => ActivityOptions::start_to_close(Duration::from_millis(ms) + COLLECT_MARGIN)
            .with_heartbeat(COLLECT_HEARTBEAT),
        None => ActivityOptions::heartbeat(COLLECT_HEARTBEAT),
    };
    let mut collecting = ctx.activity::<Collect>(of, options.with_retry(retry));
    let end = || ctx.activity::<EndCollection>(of, ActivityOptions::start_to_close(NOTE_TIMEOUT));
    loop {
        workflow::select! {
            collected = &mut collecting => return collected,
            stop = ctx.wait_signal::<StopCollection>() => if stop.is_ok() {
                end().await?;
            } else {
                return collecting.await;
            },
            stopped = ctx.wait_signal::<EmergencyStopped>() => if stopped.is_ok() {
                note_emergency(ctx, of, board).await;
            } else {
                return collecting.await;
            },
            withdrawn = ctx.wait_signal::<ConsentWithdrawn>() => if withdrawn.is_ok() {
                if ctx.patched(CONSENT_ASKS) {
                    let note = "Consent was withdrawn; a person decides on the recording.";
                    board.note(Step::Collect, note.to_owned());
                } else {
                    let note = "Consent was withdrawn; recording ended.";
                    board.note(Step::Collect, note.to_owned());
                    end().await?;
                }
            } else {
                return collecting.await;
            },
        }
    }
}

/// The checks after the recording. The emergency stop breaks them off as it does those before.
async fn conclude(ctx: &Context, of: SessionRef, board: &Board) {
    board.set(Step::Conclude, StepState::Running, vec![]);
    let options = ActivityOptions::start_to_close(CONCLUDE_TIMEOUT)
        .with_heartbeat(PREPARE_HEARTBEAT)
        .with_retry(RetryPolicy::attempts(1))
        .with_cancellation(CancellationType::WaitCompleted);
    let (scoped, scope) = ctx.scope();
    let mut checking = scoped.activity::<Conclude>(of, options);
    workflow::select! {
        checked = &mut checking => match checked {
            Ok(found) => board.set(Step::Conclude, StepState::Done, found.notes),
            Err(error) => board.set(Step::Conclude, StepState::Failed, vec![describe(&error)]),
        },
        stopped = ctx.wait_signal::<EmergencyStopped>() => {
            if stopped.is_ok() {
                scope.cancel("emergency stop");
                note_emergency(ctx, of, board).await;
                let _ = checking.await;
            }
            let note = "Broken off by the emergency stop.".to_owned();
            board.set(Step::Conclude, StepState::Skipped, vec![note]);
        },
    }
}

async fn note_emergency(ctx: &Context, of: SessionRef, board: &Board) {
    board.emergency();
    let options = ActivityOptions::start_to_close(NOTE_TIMEOUT);
    if let Err(error) = ctx.activity::<NoteEmergency>(of, options).await {
        board.note(Step::Collect, describe(&error));
    }
}

/// One of the steps after the recording; its failure is noted and not passed on.
async fn document<A>(
    ctx: &Context,
    of: SessionRef,
    board: &Board,
    step: Step,
    notes: fn(&A::Output) -> Vec<String>,
) -> Option<A::Output>
where
    A: ActivityType<Input = SessionRef>,
{
    board.set(step, StepState::Running, vec![]);
    let options = ActivityOptions::start_to_close(DOCUMENT_TIMEOUT)
        .with_retry(RetryPolicy::attempts(DOCUMENT_ATTEMPTS));
    match ctx.activity::<A>(of, options).await {
        Ok(output) => {
            board.set(step, StepState::Done, notes(&output));
            Some(output)
        }
        Err(error) => {
            board.set(step, StepState::Failed, vec![describe(&error)]);
            None
        }
    }
}

/// What failed, and why: the failure's own sentence says what to do.
fn describe(error: &ActivityError) -> String {
    match error {
        ActivityError::Failed { failure, .. } => format!("{error}: {}", failure.message),
        _ => error.to_string(),
    }
}

/// The progress that the query shows.
struct Board {
    ctx: Context,
    progress: Rc<RefCell<SessionProgress>>,
}

impl Board {
    fn new(ctx: &Context) -> Self {
        let waiting = |step| StepProgress {
            step,
            state: StepState::Waiting,
            notes: vec![],
        };
        let progress = SessionProgress {
            steps: Step::ALL.map(waiting).to_vec(),
            emergency_stops: 0,
        };
        let board = Self {
            ctx: ctx.clone(),
            progress: Rc::new(RefCell::new(progress)),
        };
        board.show();
        board
    }

    fn set(&self, step: Step, state: StepState, notes: Vec<String>) {
        for entry in &mut self.progress.borrow_mut().steps {
            if entry.step == step {
                entry.state = state;
                entry.notes.extend(notes);
                break;
            }
        }
        self.show();
    }

    fn note(&self, step: Step, note: String) {
        for entry in &mut self.progress.borrow_mut().steps {
            if entry.step == step {
                entry.notes.push(note);
                break;
            }
        }
        self.show();
    }

    fn emergency(&self) {
        self.progress.borrow_mut().emergency_stops += 1;
        self.show();
    }

    fn show(&self) {
        self.ctx.set_query(PROGRESS_QUERY, &*self.progress.borrow());
    }
}
