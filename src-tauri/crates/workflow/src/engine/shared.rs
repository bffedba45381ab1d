//! What all runs of an engine share, and the dispatcher that hands requests to runs.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::messages::{Command, Input};
use super::run::Run;
use super::{EngineConfig, Entropy};
use crate::activity::CancelToken;
use crate::clock::WorkflowClock;
use crate::definition::Registry;
use crate::limits;
use crate::store::HistoryStore;

/// What all runs of an engine share.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn HistoryStore>,
    pub(crate) registry: Registry,
    pub(crate) clock: Arc<dyn WorkflowClock>,
    pub(crate) entropy: Entropy,
    pub(crate) runtime: Handle,
    pub(crate) workers: Arc<Semaphore>,
    pub(crate) stop: CancelToken,
    runs: RefCell<HashMap<String, mpsc::Sender<Input>>>,
    live: Cell<usize>,
    /// Dropped with the engine, which breaks the runs off.
    tasks: RefCell<JoinSet<()>>,
    all_ended: tokio::sync::Notify,
}

impl Shared {
    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// The way to the run of `workflow_id`, which is loaded if it is not there yet.
    pub(crate) fn sender(self: &Rc<Self>, workflow_id: &str) -> mpsc::Sender<Input> {
        if let Some(sender) = self.runs.borrow().get(workflow_id)
            && !sender.is_closed()
        {
            return sender.clone();
        }
        let (sender, inputs) = mpsc::channel(limits::RUN_QUEUE);
        self.runs
            .borrow_mut()
            .insert(workflow_id.to_owned(), sender.clone());
        self.live.set(self.live.get() + 1);
        let run = Run::new(workflow_id.to_owned(), self.clone(), inputs, sender.clone());
        let ending = Ending {
            shared: self.clone(),
            workflow_id: workflow_id.to_owned(),
        };
        let mut tasks = self.tasks.borrow_mut();
        while tasks.try_join_next().is_some() {}
        tasks.spawn_local(async move {
            // Dropped with the task, even one that panics or is broken off.
            let _ending = ending;
            run.main().await;
        });
        sender
    }

    /// Takes a run that ended off the list, unless another has taken its place.
    fn forget(&self, workflow_id: &str) {
        let mut runs = self.runs.borrow_mut();
        if runs.get(workflow_id).is_some_and(mpsc::Sender::is_closed) {
            runs.remove(workflow_id);
        }
        self.live.set(self.live.get() - 1);
        if self.live.get() == 0 {
            self.all_ended.notify_one();
        }
    }
}

/// Takes a run off the list when its task ends.
struct Ending {
    shared: Rc<Shared>,
    workflow_id: String,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.shared.forget(&self.workflow_id);
    }
}

/// Runs an engine until it is stopped or its last handle is gone.
pub(crate) async fn run(
    config: EngineConfig,
    runtime: Handle,
    mut commands: mpsc::Receiver<Command>,
) {
    let shared = Rc::new(Shared {
        store: config.store,
        registry: config.registry,
        clock: config.clock,
        entropy: config.entropy,
        runtime,
        workers: Arc::new(Semaphore::new(config.max_concurrent_activities)),
        stop: CancelToken::new(),
        runs: RefCell::default(),
        live: Cell::new(0),
        tasks: RefCell::default(),
        all_ended: tokio::sync::Notify::new(),
    });
    while let Some(command) = commands.recv().await {
        match command {
            Command::To { workflow_id, input } => {
                let sender = shared.sender(&workflow_id);
                if let Err(mpsc::error::TrySendError::Full(input)) = sender.try_send(input) {
                    // Others must not wait for this one; its sender waits for the reply anyway.
                    tokio::task::spawn_local(async move {
                        let _ = sender.send(input).await;
                    });
                }
            }
            Command::Stop { reply } => {
                shared.stop.cancel();
                while shared.live.get() > 0 {
                    shared.all_ended.notified().await;
                }
                commands.close();
                // Whoever asked may have gone.
                let _ = reply.send(());
                return;
            }
        }
    }
    // The last handle is gone: break off, as a killed process would. Aborting the runs
    // aborts their attempts.
    shared.stop.cancel();
    shared.tasks.borrow_mut().abort_all();
}
