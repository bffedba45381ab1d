//! Starts and addresses workflows on a cluster.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use temporalio_client::errors::WorkflowGetResultError;
use temporalio_client::{
    Client, WorkflowCancelOptions, WorkflowExecutionInfo, WorkflowGetResultOptions, WorkflowHandle,
    WorkflowQueryOptions, WorkflowSignalOptions, WorkflowStartOptions, WorkflowTerminateOptions,
};
use temporalio_common::UntypedWorkflow;
use temporalio_common::data_converters::RawValue;
use workflow::{Signal, StartOptions, Workflow};

use crate::convert::{self, Meta};
use crate::error::TemporalError;
use crate::workflows::{NamedQuery, NamedSignal};

/// A client of a cluster, with the methods of [`workflow::Engine`].
#[derive(Clone)]
pub struct TemporalClient {
    client: Client,
    task_queue: String,
}

impl TemporalClient {
    pub(crate) fn new(client: Client, task_queue: String) -> Self {
        Self { client, task_queue }
    }

    /// Starts workflow `W`; yields its run id.
    ///
    /// # Errors
    /// [`TemporalError::Cluster`] when the cluster refuses, as when the id is in use.
    pub async fn start_workflow<W: Workflow>(
        &self,
        options: StartOptions,
        input: &W::Input,
    ) -> Result<String, TemporalError> {
        let input = to_value("workflow input", input)?;
        let meta = Meta {
            correlation_id: options.correlation_id.clone(),
            parent: None,
        };
        let started = self
            .client
            .start_workflow(
                UntypedWorkflow::new(W::NAME),
                convert::arguments(&input, &meta),
                WorkflowStartOptions::new(self.task_queue.clone(), options.workflow_id).build(),
            )
            .await
            .map_err(|error| TemporalError::cluster("starting a workflow")(error.into()))?;
        Ok(started.run_id().unwrap_or_default().to_owned())
    }

    /// Sends `signal` to a workflow.
    ///
    /// # Errors
    /// [`TemporalError::Cluster`] when there is no such workflow or it has ended.
    pub async fn signal<S: Signal>(
        &self,
        workflow_id: &str,
        signal: &S,
    ) -> Result<(), TemporalError> {
        let payload = raw(&to_value("signal", signal)?);
        self.handle(workflow_id)
            .signal(
                NamedSignal(S::NAME.to_owned()),
                payload,
                WorkflowSignalOptions::default(),
            )
            .await
            .map_err(|error| TemporalError::cluster("signalling a workflow")(error.into()))
    }

    /// What the workflow last set for `query`.
    ///
    /// # Errors
    /// [`TemporalError::Cluster`] when the workflow does not answer it.
    pub async fn query<T: DeserializeOwned>(
        &self,
        workflow_id: &str,
        query: &str,
    ) -> Result<T, TemporalError> {
        let answer = self
            .handle(workflow_id)
            .query(
                NamedQuery(query.to_owned()),
                raw(&Value::Null),
                WorkflowQueryOptions::default(),
            )
            .await
            .map_err(|error| TemporalError::cluster("querying a workflow")(error.into()))?;
        from_raw("answer to a query", &answer)
    }

    /// Asks a workflow to end.
    ///
    /// # Errors
    /// [`TemporalError::Cluster`] when there is no such workflow or it has ended.
    pub async fn cancel(&self, workflow_id: &str, reason: &str) -> Result<(), TemporalError> {
        let options = WorkflowCancelOptions::builder().reason(reason).build();
        let asked = self.handle(workflow_id).cancel(options).await;
        asked.map_err(|error| TemporalError::cluster("cancelling a workflow")(error.into()))
    }

    /// Ends a workflow without asking its code.
    ///
    /// # Errors
    /// [`TemporalError::Cluster`] when there is no such workflow or it has ended.
    pub async fn terminate(&self, workflow_id: &str, reason: &str) -> Result<(), TemporalError> {
        let options = WorkflowTerminateOptions::builder().reason(reason).build();
        let ended = self.handle(workflow_id).terminate(options).await;
        ended.map_err(|error| TemporalError::cluster("terminating a workflow")(error.into()))
    }

    /// Waits for a workflow's result.
    ///
    /// # Errors
    /// How the workflow ended, when not with a result.
    pub async fn result<T: DeserializeOwned>(&self, workflow_id: &str) -> Result<T, TemporalError> {
        match self
            .handle(workflow_id)
            .get_result(WorkflowGetResultOptions::default())
            .await
        {
            Ok(result) => from_raw("workflow result", &result),
            Err(WorkflowGetResultError::Failed(error)) => {
                Err(TemporalError::Failed(convert::failure(&error)))
            }
            Err(WorkflowGetResultError::Cancelled { .. }) => Err(TemporalError::Cancelled),
            Err(WorkflowGetResultError::Terminated { .. }) => Err(TemporalError::Terminated),
            Err(error) => Err(TemporalError::cluster("waiting for a workflow")(
                error.into(),
            )),
        }
    }

    fn handle(&self, workflow_id: &str) -> WorkflowHandle<Client, UntypedWorkflow> {
        let info = WorkflowExecutionInfo::builder()
            .namespace(self.client.options().namespace.clone())
            .workflow_id(workflow_id)
            .build();
        WorkflowHandle::new(self.client.clone(), info)
    }
}

impl std::fmt::Debug for TemporalClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TemporalClient")
            .field("task_queue", &self.task_queue)
            .finish_non_exhaustive()
    }
}

fn raw(value: &Value) -> RawValue {
    RawValue::new(vec![convert::payload(value)])
}

fn to_value<T: Serialize>(what: &'static str, value: &T) -> Result<Value, TemporalError> {
    serde_json::to_value(value).map_err(|error| TemporalError::Convert {
        what,
        message: error.to_string(),
    })
}

fn from_raw<T: DeserializeOwned>(what: &'static str, raw: &RawValue) -> Result<T, TemporalError> {
    let convert = |message| TemporalError::Convert { what, message };
    let value = convert::first(&raw.payloads).map_err(convert)?;
    serde_json::from_value(value).map_err(|error| convert(error.to_string()))
}
