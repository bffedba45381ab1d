//! What a session does, as traits that the composition root implements.

use crate::patient::SessionId;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use workflow::{ActivityContext, ActivityType, Failure, Registry};

/// Which session an activity works for. Everything else stands in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRef {
    /// The session.
    pub session: SessionId,
}

/// What validating found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validation {
    /// What is missing and was worked round (consent, hospital number), without identifiers.
    pub notes: Vec<String>,
}

/// What preparing the device found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preparation {
    /// Impedances above the limits, failed calibration, checks that the device cannot do.
    pub notes: Vec<String>,
}

/// Why a collection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CollectionEnd {
    /// A person stopped it.
    Stopped,
    /// The planned time was over.
    Completed,
    /// The source had no more (the end of a file).
    SourceEnded,
    /// The device failed for good; what came before is recorded.
    DeviceFailed,
}

/// What was collected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collection {
    /// Opaque id of the recording.
    pub recording: String,
    /// Why it ended.
    pub end: CollectionEnd,
    /// Samples per channel of the fastest stream.
    pub samples: u64,
    /// Gaps over all streams.
    pub gaps: u64,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// What was looked at once the recording had ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conclusion {
    /// Impedances above the limits, a device that was gone already.
    pub notes: Vec<String>,
}

/// What the analysis found, for people; the numbers stand in the report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Analysis {
    /// Channels of poor quality and the like.
    pub notes: Vec<String>,
}

/// The report made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Opaque id.
    pub report: String,
}

/// The export made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exported {
    /// Number of files.
    pub files: u32,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// How a session ended, to be noted with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Recording and report are done.
    Completed,
    /// Something could not be done; the steps say what.
    Failed,
}

/// What the workflow asks the workstation to do. Every method may be called again after a crash
/// with the same [`ActivityContext::idempotency_key`] and must then have one effect.
#[async_trait]
pub trait SessionActivities: Send + Sync + 'static {
    /// Looks at patient, consent and device. A note for what is missing; a non-retryable failure
    /// only for what may never be (computed data on a real patient, no such patient).
    async fn validate(&self, ctx: ActivityContext, of: SessionRef) -> Result<Validation, Failure>;

    /// Opens the device, measures impedances, calibrates. Heartbeats.
    async fn prepare(&self, ctx: ActivityContext, of: SessionRef) -> Result<Preparation, Failure>;

    /// Records until told to end, the plan is over or the source ends. Heartbeats. Called again
    /// after a crash it goes on with the same recording.
    async fn collect(&self, ctx: ActivityContext, of: SessionRef) -> Result<Collection, Failure>;

    /// Tells the running collection to end.
    async fn end_collection(&self, ctx: ActivityContext, of: SessionRef) -> Result<(), Failure>;

    /// Notes an emergency stop that has been carried out already.
    async fn note_emergency(&self, ctx: ActivityContext, of: SessionRef) -> Result<(), Failure>;

    /// Does what the protocol asks for after the recording: impedances once more. Heartbeats. What
    /// cannot be done is a note.
    async fn conclude(&self, ctx: ActivityContext, of: SessionRef) -> Result<Conclusion, Failure>;

    /// Analyses the recording.
    async fn analyse(&self, ctx: ActivityContext, of: SessionRef) -> Result<Analysis, Failure>;

    /// Makes the report.
    async fn make_report(&self, ctx: ActivityContext, of: SessionRef) -> Result<Report, Failure>;

    /// Exports the recording as the session asks.
    async fn export(&self, ctx: ActivityContext, of: SessionRef) -> Result<Exported, Failure>;

    /// Notes the session's end.
    async fn finish(
        &self,
        ctx: ActivityContext,
        of: SessionRef,
        outcome: Outcome,
    ) -> Result<(), Failure>;
}

macro_rules! activity {
    ($(#[$doc:meta])* $name:ident, $wire:literal, $input:ty => $output:ty) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;

        impl ActivityType for $name {
            const NAME: &'static str = $wire;
            type Input = $input;
            type Output = $output;
        }
    };
}
pub(crate) use activity;

activity!(/// See [`SessionActivities::validate`].
    Validate, "session.validate", SessionRef => Validation);
activity!(/// See [`SessionActivities::prepare`].
    Prepare, "session.prepare", SessionRef => Preparation);
activity!(/// See [`SessionActivities::collect`].
    Collect, "session.collect", SessionRef => Collection);
activity!(/// See [`SessionActivities::end_collection`].
    EndCollection, "session.end_collection", SessionRef => ());
activity!(/// See [`SessionActivities::note_emergency`].
    NoteEmergency, "session.note_emergency", SessionRef => ());
activity!(/// See [`SessionActivities::conclude`].
    Conclude, "session.conclude", SessionRef => Conclusion);
activity!(/// See [`SessionActivities::analyse`].
    Analyse, "session.analyse", SessionRef => Analysis);
activity!(/// See [`SessionActivities::make_report`].
    MakeReport, "session.report", SessionRef => Report);
activity!(/// See [`SessionActivities::export`].
    ExportSession, "session.export", SessionRef => Exported);
activity!(/// See [`SessionActivities::finish`].
    Finish, "session.finish", (SessionRef, Outcome) => ());

/// Registers the workflow and its activities.
pub fn register_session(registry: &mut Registry, activities: Arc<dyn SessionActivities>) {
    macro_rules! add {
        ($activity:ty, $method:ident) => {{
            let activities = activities.clone();
            registry.activity::<$activity, _, _>(move |ctx, of| {
                let activities = activities.clone();
                async move { activities.$method(ctx, of).await }
            });
        }};
    }
    registry.workflow::<crate::ClinicalSession>();
    add!(Validate, validate);
    add!(Prepare, prepare);
    add!(Collect, collect);
    add!(EndCollection, end_collection);
    add!(NoteEmergency, note_emergency);
    add!(Conclude, conclude);
    add!(Analyse, analyse);
    add!(MakeReport, make_report);
    add!(ExportSession, export);
    registry.activity::<Finish, _, _>(move |ctx, (of, outcome)| {
        let activities = activities.clone();
        async move { activities.finish(ctx, of, outcome).await }
    });
}
