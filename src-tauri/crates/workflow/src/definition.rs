//! How workflows, activities and signals are named and registered.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures_util::future::{BoxFuture, LocalBoxFuture};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::activity::ActivityContext;
use crate::context::{Context, decode};
use crate::failure::{Failure, WorkflowError};

/// A workflow: plain async code against [`Context`].
///
/// ```
/// use std::time::Duration;
/// use workflow::{Context, Workflow, WorkflowError};
///
/// struct Reminder;
///
/// impl Workflow for Reminder {
///     const NAME: &'static str = "reminder";
///     type Input = u64;
///     type Output = String;
///
///     async fn run(ctx: Context, minutes: u64) -> Result<String, WorkflowError> {
///         ctx.timer(Duration::from_secs(60 * minutes)).await?;
///         Ok("time is up".into())
///     }
/// }
/// ```
pub trait Workflow: 'static {
    /// The name in histories; never changed once a history holds it.
    const NAME: &'static str;
    /// What it is started with: ids rather than payloads.
    type Input: Serialize + DeserializeOwned + 'static;
    /// What it returns.
    type Output: Serialize + DeserializeOwned + 'static;

    /// The code. The futures need not be `Send`.
    fn run(
        ctx: Context,
        input: Self::Input,
    ) -> impl Future<Output = Result<Self::Output, WorkflowError>>;
}

/// The name and types of an activity, known to the workflow that calls it and to whoever provides
/// it; the two need not know each other.
pub trait ActivityType: 'static {
    /// The name in histories; never changed once a history holds it.
    const NAME: &'static str;
    /// What it is called with: ids rather than payloads.
    type Input: Serialize + DeserializeOwned + Send + 'static;
    /// What it returns.
    type Output: Serialize + DeserializeOwned + Send + 'static;
}

/// A signal: a named message to a running workflow.
pub trait Signal: Serialize + DeserializeOwned + 'static {
    /// The name in histories; never changed once a history holds it.
    const NAME: &'static str;
}

type WorkflowFuture = LocalBoxFuture<'static, Result<Value, WorkflowError>>;
type WorkflowFn = Arc<dyn Fn(Context, Value) -> WorkflowFuture + Send + Sync>;
type ActivityFn =
    Arc<dyn Fn(ActivityContext, Value) -> BoxFuture<'static, Result<Value, Failure>> + Send + Sync>;

/// The workflows and activities that an engine can run.
#[derive(Clone, Default)]
pub struct Registry {
    workflows: BTreeMap<String, WorkflowFn>,
    activities: BTreeMap<String, ActivityFn>,
}

impl Registry {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds workflow `W`, replacing one of the same name.
    pub fn workflow<W: Workflow>(&mut self) -> &mut Self {
        self.workflow_named(W::NAME, |ctx, input: W::Input| W::run(ctx, input))
    }

    /// Adds a workflow given as a function, replacing one of the same name.
    pub fn workflow_named<I, O, F, Fut>(&mut self, name: &str, run: F) -> &mut Self
    where
        I: DeserializeOwned + 'static,
        O: Serialize + 'static,
        F: Fn(Context, I) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O, WorkflowError>> + 'static,
    {
        let run = Arc::new(run);
        let erased: WorkflowFn = Arc::new(move |ctx, input| {
            let run = run.clone();
            Box::pin(async move {
                let input = decode("workflow input", input).map_err(conversion)?;
                let output = run(ctx, input).await?;
                serde_json::to_value(output)
                    .map_err(|error| conversion(format!("workflow result: {error}")))
            })
        });
        self.workflows.insert(name.to_owned(), erased);
        self
    }

    /// Adds the code of activity `A`, replacing one of the same name.
    pub fn activity<A, F, Fut>(&mut self, run: F) -> &mut Self
    where
        A: ActivityType,
        F: Fn(ActivityContext, A::Input) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<A::Output, Failure>> + Send + 'static,
    {
        self.activity_named(A::NAME, run)
    }

    /// Adds the code of the activity called `name`, replacing one of the same name.
    pub fn activity_named<I, O, F, Fut>(&mut self, name: &str, run: F) -> &mut Self
    where
        I: DeserializeOwned + Send + 'static,
        O: Serialize + Send + 'static,
        F: Fn(ActivityContext, I) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O, Failure>> + Send + 'static,
    {
        let run = Arc::new(run);
        let erased: ActivityFn = Arc::new(move |ctx, input| {
            let run = run.clone();
            Box::pin(async move {
                let invalid = |message| Failure::non_retryable(Failure::CONVERSION, message);
                let input = decode("activity input", input).map_err(invalid)?;
                let output = run(ctx, input).await?;
                serde_json::to_value(output)
                    .map_err(|error| invalid(format!("activity output: {error}")))
            })
        });
        self.activities.insert(name.to_owned(), erased);
        self
    }

    /// The names of the workflows, in alphabetical order.
    pub fn workflow_names(&self) -> impl Iterator<Item = &str> {
        self.workflows.keys().map(String::as_str)
    }

    /// The names of the activities, in alphabetical order.
    pub fn activity_names(&self) -> impl Iterator<Item = &str> {
        self.activities.keys().map(String::as_str)
    }

    /// The code of the workflow called `name`, as a future over `ctx`. For engines.
    #[must_use]
    pub fn start_workflow(&self, name: &str, ctx: Context, input: Value) -> Option<WorkflowFuture> {
        self.workflows.get(name).map(|run| run(ctx, input))
    }

    /// True when there is a workflow called `name`.
    #[must_use]
    pub fn has_workflow(&self, name: &str) -> bool {
        self.workflows.contains_key(name)
    }

    /// One attempt at the activity called `name`. For engines.
    #[must_use]
    pub fn start_activity(
        &self,
        name: &str,
        ctx: ActivityContext,
        input: Value,
    ) -> BoxFuture<'static, Result<Value, Failure>> {
        match self.activities.get(name) {
            Some(run) => run(ctx, input),
            // Retryable: the engine that knows the activity may be the next one to start.
            None => {
                let message = format!("no activity '{name}' is registered here");
                Box::pin(std::future::ready(Err(Failure::new(
                    Failure::UNKNOWN_ACTIVITY,
                    message,
                ))))
            }
        }
    }
}

fn conversion(message: String) -> WorkflowError {
    WorkflowError::Failed(Failure::non_retryable(Failure::CONVERSION, message))
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("workflows", &self.workflows.keys())
            .field("activities", &self.activities.keys())
            .finish()
    }
}
