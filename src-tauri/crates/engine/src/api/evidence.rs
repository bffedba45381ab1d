//! Ledger, events, workflows.

use super::{id, wire, word};
use crate::rpc::Calls;
use crate::serve::Shared;
use serde_json::Value;
use ui_types::{
    ApiError, ErrorCode, EventView, EventsReplay, EventsReplayReply, LedgerEntryView, LedgerProof,
    LedgerProofReply, LedgerShow, LedgerShowReply, LedgerVerify, LedgerVerifyReply,
    WorkflowEventView, WorkflowReplay, WorkflowReplayReply, WorkflowShow, WorkflowShowReply,
};
use workstation::rooms::signal::{UtcNanos, ZoneOffset};
use workstation::rooms::{clinic, events, ledger, workflow};
use workstation::{EntryQuery, rfc3339};

const UTC: ZoneOffset = ZoneOffset(0);

pub(super) fn add(calls: Calls<Shared>) -> Calls<Shared> {
    calls
        .serve(|shared: Shared, call: LedgerShow, _| async move {
            let session: Option<clinic::SessionId> = call
                .session
                .as_deref()
                .map(|text| id("session", text))
                .transpose()?;
            let query = EntryQuery {
                kind: call.kind.as_deref(),
                correlation: session.map(|session| session.0),
                // Backwards, 0 would be the first entry alone: it stands for the end.
                from: (call.from > 0 || !call.newest_first).then_some(call.from),
                newest_first: call.newest_first,
                limit: call.limit,
            };
            let shown = shared.workstation.ledger(query).await;
            let (entries, size) = shown.map_err(wire)?;
            Ok(LedgerShowReply {
                entries: entries.into_iter().map(entry_view).collect(),
                size,
            })
        })
        .serve(|shared: Shared, _: LedgerVerify, progress| async move {
            let tell = |done, total| progress.say("verifying", done, total);
            let check = shared.workstation.verify_ledger(tell).await.map_err(wire)?;
            let report = check.report;
            let untrusted = report.checkpoints_untrusted.first().cloned();
            let bad = report.first_bad.as_ref();
            Ok(LedgerVerifyReply {
                sound: report.is_sound(),
                entries: report.entries,
                checkpoints: report.checkpoints_held,
                root: report.root.to_string(),
                first_bad: bad
                    .map(|bad| format!("entry {}: {}", bad.sequence, bad.fault))
                    .or(untrusted),
                checkpoint: check.checkpoint,
                verifier_key: check.verifier_key,
            })
        })
        .serve(|shared: Shared, call: LedgerProof, _| async move {
            let bundle = shared
                .workstation
                .prove(call.sequence)
                .await
                .map_err(wire)?;
            let bundle = serde_json::to_value(&bundle).map_err(unwritable)?;
            Ok(LedgerProofReply { bundle })
        })
        .serve(|shared: Shared, call: EventsReplay, _| async move {
            let correlation = call.correlation.as_deref();
            let limit = if call.limit == 0 { 1_000 } else { call.limit };
            let events = shared
                .workstation
                .replay_events(call.from, call.event_type, correlation, limit)
                .await
                .map_err(wire)?;
            Ok(EventsReplayReply {
                events: events.into_iter().map(event_view).collect(),
            })
        })
        .serve(|shared: Shared, call: WorkflowShow, _| async move {
            let history = shared.workstation.workflow(&call.id).await.map_err(wire)?;
            let events = history
                .events
                .iter()
                .map(workflow_event)
                .collect::<Result<_, _>>()?;
            Ok(WorkflowShowReply {
                id: history.summary.workflow_id,
                workflow_type: history.summary.workflow_type,
                status: word(&history.summary.status),
                events,
            })
        })
        .serve(|shared: Shared, call: WorkflowReplay, _| async move {
            let (events, difference) = shared
                .workstation
                .replay_workflow(&call.id)
                .await
                .map_err(wire)?;
            Ok(WorkflowReplayReply {
                agrees: difference.is_none(),
                events,
                difference,
            })
        })
}

fn unwritable(error: serde_json::Error) -> ApiError {
    ApiError::new(
        ErrorCode::Internal,
        format!("a reply cannot be written: {error}"),
        "",
    )
}

fn entry_view(entry: ledger::Entry) -> LedgerEntryView {
    LedgerEntryView {
        sequence: entry.sequence,
        kind: entry.kind.clone(),
        time: rfc3339(UtcNanos(entry.time_ns), UTC),
        actor: entry.actor.clone(),
        payload: serde_json::from_str(entry.payload.as_str()).unwrap_or(Value::Null),
        hash: entry.hash.to_string(),
    }
}

fn event_view(recorded: events::RecordedEvent) -> EventView {
    let event = recorded.event;
    EventView {
        position: recorded.position.0,
        event_type: event.event_type.to_string(),
        source_service: event.source_service,
        event_id: event.event_id.to_string(),
        timestamp: rfc3339(UtcNanos(event.timestamp.as_nanos()), UTC),
        data: event.data,
        correlation_id: Some(event.correlation_id.to_string()),
        causation_id: event.causation_id.map(|id| id.to_string()),
    }
}

/// A history event's JSON, its kind taken out as a word of its own.
fn workflow_event(event: &workflow::HistoryEvent) -> Result<WorkflowEventView, ApiError> {
    let detail = serde_json::to_value(&event.kind).map_err(unwritable)?;
    let kind = ["type", "kind", "event"]
        .iter()
        .find_map(|name| detail.get(name).and_then(Value::as_str))
        .map(str::to_owned)
        .or_else(|| {
            detail
                .as_object()
                .and_then(|map| map.keys().next().cloned())
        })
        .unwrap_or_default();
    Ok(WorkflowEventView {
        number: event.id,
        time: rfc3339(UtcNanos(event.time.as_micros() * 1_000), UTC),
        kind,
        detail,
    })
}
