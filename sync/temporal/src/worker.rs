//! Serves a registry from a task queue.

use temporalio_client::{Client, ClientOptions, Connection, ConnectionOptions};
use temporalio_sdk::{Runtime, Worker, WorkerOptions};
use workflow::Registry;

use crate::activities::Activities;
use crate::client::TemporalClient;
use crate::error::TemporalError;
use crate::limits;
use crate::workflows::{Adapter, registering};

/// Where a cluster is and what we are called there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemporalConfig {
    /// The frontend's address, such as `http://127.0.0.1:7233`.
    pub target: String,
    /// The namespace; `default` on a fresh cluster.
    pub namespace: String,
    /// The task queue that starters and workers share.
    pub task_queue: String,
    /// What this process is called in the cluster's records. No person's name.
    pub identity: String,
}

impl TemporalConfig {
    /// The namespace `default` at `target`.
    #[must_use]
    pub fn new(target: impl Into<String>, task_queue: impl Into<String>) -> Self {
        Self {
            target: target.into(),
            namespace: "default".into(),
            task_queue: task_queue.into(),
            identity: "neurascale".into(),
        }
    }

    /// A client of this cluster.
    ///
    /// # Errors
    /// [`TemporalError::Cluster`] when it cannot be reached.
    pub async fn connect(&self) -> Result<TemporalClient, TemporalError> {
        Ok(TemporalClient::new(
            self.client().await?,
            self.task_queue.clone(),
        ))
    }

    async fn client(&self) -> Result<Client, TemporalError> {
        let target = url::Url::parse(&self.target).map_err(|error| {
            TemporalError::cluster("parsing the cluster's address")(error.into())
        })?;
        let options = ConnectionOptions::new(target)
            .identity(self.identity.clone())
            .build();
        let connection = Connection::connect(options)
            .await
            .map_err(|error| TemporalError::cluster("connecting to the cluster")(error.into()))?;
        Client::new(
            connection,
            ClientOptions::new(self.namespace.clone()).build(),
        )
        .map_err(|error| TemporalError::cluster("making a client")(error.into()))
    }
}

/// Runs workflows and activities that a cluster hands out.
pub struct TemporalWorker {
    worker: Worker,
    // The worker's pollers and telemetry live in it.
    _runtime: Runtime,
}

impl TemporalWorker {
    /// A worker for everything in `registry`, on the current tokio runtime.
    ///
    /// # Errors
    /// [`TemporalError::Cluster`] when the cluster cannot be reached or the worker not be set up.
    pub async fn connect(
        config: &TemporalConfig,
        registry: &Registry,
    ) -> Result<Self, TemporalError> {
        let client = config.client().await?;
        let runtime = Runtime::from_current_tokio(Default::default())
            .map_err(|error| TemporalError::cluster("starting the SDK's runtime")(error.into()))?;
        let mut options = WorkerOptions::new(config.task_queue.clone())
            .max_heartbeat_throttle_interval(limits::HEARTBEAT_THROTTLE)
            .default_heartbeat_throttle_interval(limits::HEARTBEAT_THROTTLE)
            .graceful_shutdown_period(limits::STOP_GRACE)
            .register_activities(Activities(registry.clone()));
        for name in registry.workflow_names() {
            let (workflow_type, registry) = (name.to_owned(), registry.clone());
            options = registering(name, || {
                options.register_workflow_with_factory::<Adapter, _>(move || {
                    Adapter::new(workflow_type.clone(), registry.clone())
                })
            })
            .map_err(|error| TemporalError::cluster("registering a workflow")(error.into()))?;
        }
        let worker = Worker::new(&runtime, client, options.build())
            .map_err(|error| TemporalError::cluster("setting up the worker")(error.into()))?;
        Ok(Self {
            worker,
            _runtime: runtime,
        })
    }

    /// Ends [`Self::run`] in order when called.
    pub fn stopper(&self) -> impl Fn() + Send + Sync + use<> {
        self.worker.shutdown_handle()
    }

    /// Works until it is stopped. The future is not `Send`: give it a thread or a `LocalSet`.
    ///
    /// # Errors
    /// [`TemporalError::Cluster`] when the worker breaks down.
    pub async fn run(&mut self) -> Result<(), TemporalError> {
        let ended = self.worker.run().await;
        ended.map_err(|error| TemporalError::cluster("running the worker")(error.into()))
    }
}

impl std::fmt::Debug for TemporalWorker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TemporalWorker")
            .field("task_queue", &self.worker.task_queue())
            .finish_non_exhaustive()
    }
}
