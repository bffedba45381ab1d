//! Reading, drafting and signing reports.

use super::{id, wire};
use crate::rpc::Calls;
use crate::serve::Shared;
use ui_types::{
    Nothing, ReportAmend, ReportDraft, ReportShow, ReportSign, ReportView, SignatureView,
};
use workstation::{ReportState, SignatureRecord, rfc3339};

pub(super) fn add(calls: Calls<Shared>) -> Calls<Shared> {
    calls
        .serve(|shared: Shared, call: ReportShow, _| async move {
            let state = shared.workstation.report_state(&call.id).await;
            state.map(view).map_err(wire)
        })
        .serve(|shared: Shared, call: ReportDraft, _| async move {
            let kept = shared
                .workstation
                .draft_report(id("session", &call.id)?, &call.impression, &call.conclusion)
                .await;
            kept.map(|()| Nothing {}).map_err(wire)
        })
        .serve(|shared: Shared, call: ReportSign, _| async move {
            let session = id("session", &call.id)?;
            shared
                .workstation
                .sign_report(session, &call.password.0, &call.meaning)
                .await
                .map_err(wire)?;
            let state = shared.workstation.report_state(&call.id).await;
            state.map(view).map_err(wire)
        })
        .serve(|shared: Shared, call: ReportAmend, _| async move {
            let session = id("session", &call.id)?;
            shared
                .workstation
                .amend_report(session, &call.text, &call.password.0)
                .await
                .map_err(wire)?;
            let state = shared.workstation.report_state(&call.id).await;
            state.map(view).map_err(wire)
        })
}

fn view(state: ReportState) -> ReportView {
    ReportView {
        session: state.session.to_string(),
        report: state.report.map(|id| id.to_string()),
        sha256: state.sha256,
        recording_sha256: state.recording_sha256,
        html: state.html,
        impression: state.impression,
        conclusion: state.conclusion,
        signatures: state.signatures.into_iter().map(signature).collect(),
        addenda: state.addenda,
    }
}

fn signature(signature: SignatureRecord) -> SignatureView {
    SignatureView {
        name: signature.name,
        at: rfc3339(signature.at, signature.zone),
        meaning: signature.meaning,
        report_sha256: signature.document_sha256,
        recording_sha256: signature.recording_sha256,
        ledger_sequence: signature.ledger_sequence,
    }
}
