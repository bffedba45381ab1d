//! `neurascale ledger`, `events` and `workflow`

use super::proof;
use crate::Context;
use crate::args::{EventsCommand, LedgerCommand, WorkflowCommand};
use crate::output::{advance, field, table};
use engine_client::ClientError;
use std::process::ExitCode;
use ui_types::{
    ErrorCode, EventsReplay, LedgerProof, LedgerShow, LedgerVerify, WorkflowReplay, WorkflowShow,
};

pub(super) async fn ledger(
    context: &Context,
    command: LedgerCommand,
) -> Result<ExitCode, ClientError> {
    if let LedgerCommand::CheckProof { file, key } = &command {
        return proof::check(context, file, key);
    }
    let client = context.client().await?;
    match command {
        LedgerCommand::CheckProof { .. } => {}
        LedgerCommand::Verify => {
            let bar = context.output.bar();
            let call = LedgerVerify {};
            let reply = client
                .call_with_progress(&call, |p| advance(&bar, p))
                .await?;
            bar.finish_and_clear();
            context.output.result(&reply, |reply, out| {
                field(out, "sound", if reply.sound { "yes" } else { "NO" });
                field(out, "entries", reply.entries);
                field(out, "checkpoints", reply.checkpoints);
                field(out, "root", &reply.root);
                field(out, "signed by", &reply.verifier_key);
                if let Some(bad) = &reply.first_bad {
                    field(out, "first bad", bad);
                }
            });
            if !reply.sound {
                return Ok(ExitCode::from(ErrorCode::Integrity.exit_code()));
            }
        }
        LedgerCommand::Show { from, limit, kind } => {
            let reply = client
                .call(&LedgerShow {
                    from,
                    limit,
                    kind,
                    session: None,
                    newest_first: false,
                })
                .await?;
            context.output.result(&reply, |reply, out| {
                let rows: Vec<_> = reply
                    .entries
                    .iter()
                    .map(|e| {
                        let sequence = e.sequence.to_string();
                        let payload = e.payload.to_string();
                        vec![
                            sequence,
                            e.time.clone(),
                            e.actor.clone(),
                            e.kind.clone(),
                            payload,
                        ]
                    })
                    .collect();
                table(out, &["ENTRY", "TIME", "ACTOR", "KIND", "PAYLOAD"], &rows);
            });
        }
        LedgerCommand::Proof { sequence } => {
            let reply = client.call(&LedgerProof { sequence }).await?;
            context.output.result(&reply, |reply, out| {
                out.push_str(&format!("{:#}\n", reply.bundle));
            });
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn events(
    context: &Context,
    command: EventsCommand,
) -> Result<ExitCode, ClientError> {
    let EventsCommand::Replay {
        from,
        event_type,
        correlation,
        limit,
    } = command;
    let client = context.client().await?;
    let reply = client
        .call(&EventsReplay {
            from,
            event_type,
            correlation,
            limit,
        })
        .await?;
    context.output.result(&reply, |reply, out| {
        let rows: Vec<_> = reply
            .events
            .iter()
            .map(|e| {
                let position = e.position.to_string();
                vec![
                    position,
                    e.timestamp.clone(),
                    e.event_type.clone(),
                    e.data.to_string(),
                ]
            })
            .collect();
        table(out, &["POSITION", "TIME", "TYPE", "DATA"], &rows);
    });
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn workflow(
    context: &Context,
    command: WorkflowCommand,
) -> Result<ExitCode, ClientError> {
    let client = context.client().await?;
    match command {
        WorkflowCommand::Show { id } => {
            let reply = client.call(&WorkflowShow { id }).await?;
            context.output.result(&reply, |reply, out| {
                field(out, "workflow", &reply.id);
                field(out, "type", &reply.workflow_type);
                field(out, "status", &reply.status);
                let rows: Vec<_> = reply
                    .events
                    .iter()
                    .map(|e| {
                        let number = e.number.to_string();
                        vec![number, e.time.clone(), e.kind.clone(), e.detail.to_string()]
                    })
                    .collect();
                table(out, &["EVENT", "TIME", "KIND", "DETAIL"], &rows);
            });
            Ok(ExitCode::SUCCESS)
        }
        WorkflowCommand::Replay { id } => {
            let reply = client.call(&WorkflowReplay { id }).await?;
            context.output.result(&reply, |reply, out| {
                field(out, "agrees", if reply.agrees { "yes" } else { "NO" });
                field(out, "events", reply.events);
                if let Some(difference) = &reply.difference {
                    field(out, "parts at", difference);
                }
            });
            let failed = ExitCode::from(ErrorCode::Integrity.exit_code());
            Ok(if reply.agrees {
                ExitCode::SUCCESS
            } else {
                failed
            })
        }
    }
}
