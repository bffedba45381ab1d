//! A run's child workflows.

use super::*;

impl Run {
    /// Starts child `seq` if it is not there, and reports its end to this run.
    pub(super) fn watch_child(&self, seq: u64, child: &PendingChild) {
        let Some(info) = &self.info else { return };
        let request = StartRequest {
            workflow_type: child.workflow_type.clone(),
            correlation_id: info.correlation_id.clone(),
            input: child.input.clone(),
            parent: Some(Parent {
                workflow_id: self.id.clone(),
                run_id: info.run_id.clone(),
                seq,
            }),
        };
        let (shared, sender) = (self.shared.clone(), self.sender.clone());
        let (id, cancel) = (child.workflow_id.clone(), child.cancel.clone());
        tokio::task::spawn_local(async move {
            let ended = watch(&shared, &id, request, cancel).await;
            let outcome = match ended {
                Err(EngineError::Stopped) => return,
                Ok(outcome) => outcome.for_parent(id),
                Err(error) => Err(ChildError::NotStarted {
                    workflow_id: id,
                    message: Failure::from_error("", &error).message,
                }),
            };
            // A parent that is gone watches again when it is back.
            let _ = sender.send(Input::ChildEnded { seq, outcome }).await;
        });
    }

    pub(super) fn pass_cancellation(&self, child: &PendingChild) {
        let reason = child.cancel.clone().unwrap_or_default();
        self.tell_child(&child.workflow_id, move |reply| Input::Cancel {
            reason: reason.clone(),
            reply,
        });
    }

    pub(super) fn leave_child(&self, child: PendingChild) {
        let reason = || format!("parent '{}' ended", self.id);
        match child.options.parent_close {
            ParentClosePolicy::Abandon => {}
            ParentClosePolicy::Terminate => {
                let reason = reason();
                self.tell_child(&child.workflow_id, move |reply| Input::Terminate {
                    reason: reason.clone(),
                    reply,
                });
            }
            ParentClosePolicy::RequestCancel => {
                let reason = reason();
                self.tell_child(&child.workflow_id, move |reply| Input::Cancel {
                    reason: reason.clone(),
                    reply,
                });
            }
        }
    }

    pub(super) fn tell_child(&self, child: &str, make: impl Fn(Reply<()>) -> Input + 'static) {
        let (shared, child) = (self.shared.clone(), child.to_owned());
        tokio::task::spawn_local(async move {
            if let Err(error) = ask_locally(&shared, &child, make).await {
                tracing::debug!(workflow_id = child, %error, "child not told");
            }
        });
    }
}

async fn watch(
    shared: &Rc<Shared>,
    id: &str,
    request: StartRequest,
    cancel: Option<String>,
) -> Result<Outcome, EngineError> {
    ask_locally(shared, id, |reply| Input::Start {
        request: request.clone(),
        reply,
    })
    .await?;
    // The request to cancel may have been recorded and the engine gone before it was passed on.
    if let Some(reason) = cancel {
        let asked = ask_locally(shared, id, |reply| Input::Cancel {
            reason: reason.clone(),
            reply,
        });
        match asked.await {
            Ok(()) | Err(EngineError::Closed(_)) => {}
            Err(error) => return Err(error),
        }
    }
    ask_locally(shared, id, |reply| Input::Wait {
        even_broken: true,
        reply,
    })
    .await
}
