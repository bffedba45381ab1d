//! The embedded engine: runs workflows on one thread and their activities on a tokio runtime.

mod attempts;
mod messages;
mod run;
mod settle;
mod shared;

use std::fmt;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use crate::clock::{SystemClock, WorkflowClock};
use crate::definition::{Registry, Signal, Workflow};
use crate::execution::ExecutionError;
use crate::failure::Failure;
use crate::history::{HistoryEvent, WorkflowStatus, WorkflowSummary};
use crate::limits;
use crate::store::{HistoryStore, ListFilter, StoreError};
use crate::time::Timestamp;
use messages::{Command, Input, Outcome, Reply, StartRequest};
use shared::Shared;

/// Where run ids and seeds come from. Drawn once per run and recorded.
pub type Entropy = Arc<dyn Fn() -> u128 + Send + Sync>;

/// What an engine is made of.
#[derive(Clone)]
pub struct EngineConfig {
    /// Keeps the histories.
    pub store: Arc<dyn HistoryStore>,
    /// The workflows and activities it can run.
    pub registry: Registry,
    /// Tells the time.
    pub clock: Arc<dyn WorkflowClock>,
    /// Source of run ids and seeds.
    pub entropy: Entropy,
    /// Activities that run at the same time.
    pub max_concurrent_activities: usize,
}

impl EngineConfig {
    /// An engine on `store` that can run `registry`, with the machine's clock and randomness.
    #[must_use]
    pub fn new(store: Arc<dyn HistoryStore>, registry: Registry) -> Self {
        Self {
            store,
            registry,
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(|| uuid::Uuid::new_v4().as_u128()),
            max_concurrent_activities: limits::MAX_CONCURRENT_ACTIVITIES,
        }
    }

    /// The same engine with `clock`.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn WorkflowClock>) -> Self {
        self.clock = clock;
        self
    }
}

impl fmt::Debug for EngineConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineConfig")
            .field("store", &self.store)
            .field("registry", &self.registry)
            .field("clock", &self.clock)
            .field("max_concurrent_activities", &self.max_concurrent_activities)
            .finish_non_exhaustive()
    }
}

/// Why the engine did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// There is no such workflow.
    #[error("no workflow '{0}'")]
    NotFound(String),
    /// The id belongs to a workflow of another type.
    #[error("workflow '{workflow_id}' exists already, with type '{workflow_type}'")]
    Exists {
        /// The id.
        workflow_id: String,
        /// The type found.
        workflow_type: String,
    },
    /// The workflow has ended and takes nothing more.
    #[error("workflow '{0}' has ended")]
    Closed(String),
    /// The workflow's code cannot go on as it is; see [`ExecutionError`].
    #[error("workflow code does not run")]
    Code(#[source] ExecutionError),
    /// The workflow answers no query by this name, at least not yet.
    #[error("workflow '{workflow_id}' answers no query '{query}'")]
    NoQuery {
        /// The workflow.
        workflow_id: String,
        /// The query.
        query: String,
    },
    /// The store failed.
    #[error("workflow store failed")]
    Store(#[source] StoreError),
    /// A value could not be converted.
    #[error("{what} cannot be converted")]
    Convert {
        /// Which value.
        what: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The engine has stopped.
    #[error("the workflow engine has stopped")]
    Stopped,
    /// The engine's thread could not be started.
    #[error("starting the workflow thread failed")]
    Thread(#[source] std::io::Error),
}

/// How a workflow ended, for whoever waited for its result.
#[derive(Debug, thiserror::Error)]
pub enum ResultError {
    /// Its code returned an error.
    #[error("workflow failed")]
    Failed(#[source] Failure),
    /// It gave way to a cancellation.
    #[error("workflow was cancelled: {0}")]
    Cancelled(String),
    /// It was ended from outside.
    #[error("workflow was terminated: {0}")]
    Terminated(String),
    /// The result could not be had.
    #[error("waiting for a workflow failed")]
    Engine(#[from] EngineError),
}

/// How to start a workflow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StartOptions {
    /// The workflow's id, unique in the store for ever.
    pub workflow_id: String,
    /// Ties the workflow to events of the same undertaking; the workflow id when `None`.
    pub correlation_id: Option<String>,
}

impl StartOptions {
    /// Starts under `workflow_id`.
    #[must_use]
    pub fn id(workflow_id: impl Into<String>) -> Self {
        Self {
            workflow_id: workflow_id.into(),
            correlation_id: None,
        }
    }

    /// The same start with a correlation id.
    #[must_use]
    pub fn with_correlation(mut self, correlation_id: impl Into<String>) -> Self {
        self.correlation_id = Some(correlation_id.into());
        self
    }
}

/// A workflow that runs, or has run, under the id asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// The run's own id.
    pub run_id: String,
    /// False when the workflow existed already and nothing was started.
    pub new: bool,
}

/// A workflow's state in detail.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// As in a list.
    pub summary: WorkflowSummary,
    /// Why its code cannot go on, where it cannot.
    pub broken: Option<String>,
    /// Its activities that have not ended, in the order they were asked for.
    pub activities: Vec<ActivityDescription>,
}

/// An activity that has not ended.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivityDescription {
    /// Its name.
    pub activity: String,
    /// Attempts begun.
    pub attempts: u32,
    /// True while an attempt is under way.
    pub running: bool,
    /// When the next attempt is due, between two attempts.
    pub retry_at: Option<Timestamp>,
    /// How the last attempt failed.
    pub last_failure: Option<Failure>,
    /// What its last heartbeat carried.
    pub last_heartbeat: Value,
}

/// A handle on a running engine. Cheap to clone. The engine breaks off when the last handle is
/// gone, as if the process had been killed; [`Engine::stop`] ends it in order.
#[derive(Clone)]
pub struct Engine {
    commands: mpsc::Sender<Command>,
    store: Arc<dyn HistoryStore>,
}

impl Engine {
    /// Starts an engine on a thread of its own; activities run on the current tokio runtime.
    /// Nothing is resumed before [`Engine::resume_all`].
    ///
    /// # Errors
    /// [`EngineError::Thread`] when there is no tokio runtime or no thread to be had.
    pub fn start(config: EngineConfig) -> Result<Self, EngineError> {
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|error| EngineError::Thread(std::io::Error::other(error)))?;
        let (engine, receiver) = Self::connect(&config);
        std::thread::Builder::new()
            .name("workflow".into())
            .spawn(move || {
                let local = tokio::task::LocalSet::new();
                let handle = runtime.clone();
                runtime.block_on(local.run_until(shared::run(config, handle, receiver)));
            })
            .map_err(EngineError::Thread)?;
        Ok(engine)
    }

    /// An engine without a thread, and the future that drives it: spawn that on a
    /// [`tokio::task::LocalSet`]. With tokio's paused time this makes simulations exact.
    ///
    /// # Errors
    /// [`EngineError::Thread`] when there is no tokio runtime.
    pub fn local(config: EngineConfig) -> Result<(Self, impl Future<Output = ()>), EngineError> {
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|error| EngineError::Thread(std::io::Error::other(error)))?;
        let (engine, receiver) = Self::connect(&config);
        Ok((engine, shared::run(config, runtime, receiver)))
    }

    fn connect(config: &EngineConfig) -> (Self, mpsc::Receiver<Command>) {
        let (commands, receiver) = mpsc::channel(limits::ENGINE_QUEUE);
        let store = config.store.clone();
        (Self { commands, store }, receiver)
    }

    /// Starts workflow `W`. Where the id exists already with the same type, running or ended,
    /// nothing is started and that is said. The start is durable when this returns.
    pub async fn start_workflow<W: Workflow>(
        &self,
        options: StartOptions,
        input: &W::Input,
    ) -> Result<Started, EngineError> {
        self.start_named(W::NAME, options, convert("workflow input", input)?)
            .await
    }

    /// Starts the workflow of type `workflow_type`, as [`Engine::start_workflow`].
    pub async fn start_named(
        &self,
        workflow_type: &str,
        options: StartOptions,
        input: Value,
    ) -> Result<Started, EngineError> {
        let request = StartRequest {
            workflow_type: workflow_type.to_owned(),
            correlation_id: options
                .correlation_id
                .unwrap_or_else(|| options.workflow_id.clone()),
            input,
            parent: None,
        };
        self.ask(&options.workflow_id, |reply| Input::Start {
            request: request.clone(),
            reply,
        })
        .await
    }

    /// Sends `signal` to a running workflow. The signal is durable when this returns.
    pub async fn signal<S: Signal>(
        &self,
        workflow_id: &str,
        signal: &S,
    ) -> Result<(), EngineError> {
        self.signal_named(workflow_id, S::NAME, convert("signal", signal)?)
            .await
    }

    /// Sends the signal called `name`, as [`Engine::signal`].
    pub async fn signal_named(
        &self,
        workflow_id: &str,
        name: &str,
        payload: Value,
    ) -> Result<(), EngineError> {
        self.ask(workflow_id, |reply| Input::Signal {
            name: name.to_owned(),
            payload: payload.clone(),
            reply,
        })
        .await
    }

    /// Asks a workflow to end. Its code decides how; the request is durable when this returns.
    pub async fn cancel(&self, workflow_id: &str, reason: &str) -> Result<(), EngineError> {
        self.ask(workflow_id, |reply| Input::Cancel {
            reason: reason.to_owned(),
            reply,
        })
        .await
    }

    /// Ends a workflow without asking its code.
    pub async fn terminate(&self, workflow_id: &str, reason: &str) -> Result<(), EngineError> {
        self.ask(workflow_id, |reply| Input::Terminate {
            reason: reason.to_owned(),
            reply,
        })
        .await
    }

    /// What the workflow last set for `query`. Ended workflows answer too.
    pub async fn query<T: DeserializeOwned>(
        &self,
        workflow_id: &str,
        query: &str,
    ) -> Result<T, EngineError> {
        let value: Value = self
            .ask(workflow_id, |reply| Input::Query {
                name: query.to_owned(),
                reply,
            })
            .await?;
        serde_json::from_value(value).map_err(|source| EngineError::Convert {
            what: format!("answer to query '{query}'"),
            source,
        })
    }

    /// Waits for a workflow's result.
    pub async fn result<T: DeserializeOwned>(&self, workflow_id: &str) -> Result<T, ResultError> {
        let outcome = self
            .ask(workflow_id, |reply| Input::Wait {
                even_broken: false,
                reply,
            })
            .await?;
        match outcome {
            Outcome::Completed(value) => {
                serde_json::from_value(value).map_err(|source| EngineError::Convert {
                    what: "workflow result".into(),
                    source,
                })
            }
            Outcome::Failed(failure) => return Err(ResultError::Failed(failure)),
            Outcome::Cancelled(reason) => return Err(ResultError::Cancelled(reason)),
            Outcome::Terminated(reason) => return Err(ResultError::Terminated(reason)),
        }
        .map_err(ResultError::from)
    }

    /// A workflow's state in detail.
    pub async fn describe(&self, workflow_id: &str) -> Result<Description, EngineError> {
        let (broken, activities) = self
            .ask(workflow_id, |reply| Input::Describe { reply })
            .await?;
        let summary = self
            .store
            .summary(workflow_id)
            .await
            .map_err(EngineError::Store)?;
        Ok(Description {
            summary: summary.ok_or_else(|| EngineError::NotFound(workflow_id.to_owned()))?,
            broken,
            activities,
        })
    }

    /// The workflows that `filter` selects.
    pub async fn list(&self, filter: &ListFilter) -> Result<Vec<WorkflowSummary>, EngineError> {
        self.store.list(filter).await.map_err(EngineError::Store)
    }

    /// A workflow's whole history.
    pub async fn history(&self, workflow_id: &str) -> Result<Vec<HistoryEvent>, EngineError> {
        self.store
            .load(workflow_id, 0)
            .await
            .map_err(|error| match error {
                StoreError::NotFound { workflow_id } => EngineError::NotFound(workflow_id),
                error => EngineError::Store(error),
            })
    }

    /// Takes up every workflow that has not ended; yields how many there are. Call it once at
    /// start-up. Workflows whose code does not fit their history are left as they are and say so
    /// in [`Engine::describe`].
    pub async fn resume_all(&self) -> Result<usize, EngineError> {
        let running = self.list(&ListFilter::running()).await?;
        for summary in &running {
            debug_assert_eq!(summary.status, WorkflowStatus::Running);
            self.ask(&summary.workflow_id, |reply| Input::Wake { reply })
                .await?;
        }
        Ok(running.len())
    }

    /// Ends the engine in order: activities are asked to give way and get
    /// [`limits::STOP_GRACE`] to do so. Unfinished workflows go on at the next start.
    pub async fn stop(&self) {
        let (reply, stopped) = oneshot::channel();
        if self.commands.send(Command::Stop { reply }).await.is_ok() {
            // An error means that it is gone already.
            let _ = stopped.await;
        }
    }

    async fn ask<T>(
        &self,
        workflow_id: &str,
        make: impl Fn(Reply<T>) -> Input,
    ) -> Result<T, EngineError> {
        loop {
            let (reply, answer) = oneshot::channel();
            let command = Command::To {
                workflow_id: workflow_id.to_owned(),
                input: make(reply),
            };
            self.commands
                .send(command)
                .await
                .map_err(|_| EngineError::Stopped)?;
            // A dropped reply means that the run was just being put away; the next try finds the
            // engine stopped or the run loaded anew.
            if let Ok(answer) = answer.await {
                return answer;
            }
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

fn convert<T: Serialize>(what: &str, value: &T) -> Result<Value, EngineError> {
    serde_json::to_value(value).map_err(|source| EngineError::Convert {
        what: what.to_owned(),
        source,
    })
}

/// Asks a run on the engine's own thread, as [`Engine::ask`] does from outside.
async fn ask_locally<T>(
    shared: &Rc<Shared>,
    workflow_id: &str,
    make: impl Fn(Reply<T>) -> Input,
) -> Result<T, EngineError> {
    loop {
        if shared.is_stopping() {
            return Err(EngineError::Stopped);
        }
        let (reply, answer) = oneshot::channel();
        let sender = shared.sender(workflow_id);
        if sender.send(make(reply)).await.is_ok()
            && let Ok(answer) = answer.await
        {
            return answer;
        }
        tokio::task::yield_now().await;
    }
}
