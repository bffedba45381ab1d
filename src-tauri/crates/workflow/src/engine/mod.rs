//! The embedded engine: runs workflows on one thread and their activities on a tokio runtime.

mod attempts;
mod messages;
mod run;
mod settle;
mod shared;
mod types;

use std::fmt;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use crate::definition::{Signal, Workflow};
use crate::history::{HistoryEvent, WorkflowStatus, WorkflowSummary};
use crate::limits;
use crate::store::{HistoryStore, ListFilter, StoreError};
use messages::{Command, Input, Outcome, Reply, StartRequest};
use shared::Shared;

pub use types::{
    ActivityDescription, Description, EngineConfig, EngineError, Entropy, ResultError,
    StartOptions, Started,
};

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
        for _ in 0..limits::ASK_ATTEMPTS {
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
        Err(EngineError::Unanswered(workflow_id.to_owned()))
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
    for _ in 0..limits::ASK_ATTEMPTS {
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
    Err(EngineError::Unanswered(workflow_id.to_owned()))
}
