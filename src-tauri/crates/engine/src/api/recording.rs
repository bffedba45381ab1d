//! Recordings, exports, reports.

use super::session::export_kind;
use super::{wire, word};
use crate::rpc::Calls;
use crate::serve::Shared;
use std::path::PathBuf;
use ui_types::{
    AnnotationView, ApiError, ErrorCode, ExportCreate, ExportCreateReply, ExportFile, GapView,
    RecordingRepair, RecordingRepairReply, RecordingShow, RecordingShowReply, RecordingStreamView,
    RecordingVerify, RecordingVerifyReply, ReportCreate, ReportCreateReply,
};
use workstation::rooms::recording::Recording;
use workstation::rooms::signal::{Gap, Missing, StreamIndex, ZoneOffset};
use workstation::{ExportRequest, RecordingCheck, SessionRecord, rfc3339};

pub(super) fn add(calls: Calls<Shared>) -> Calls<Shared> {
    calls
        .serve(|shared: Shared, call: RecordingShow, _| async move {
            let (session, recording) =
                shared.workstation.recording(&call.id).await.map_err(wire)?;
            let folder = shared.workstation.recording_folder(&session);
            tokio::task::spawn_blocking(move || show(&session, &recording, folder))
                .await
                .map_err(|_| ApiError::new(ErrorCode::Internal, "show the recording", ""))?
        })
        .serve(
            |shared: Shared, call: RecordingVerify, progress| async move {
                let tell = move |done, total| progress.say("verifying", done, total);
                let check = shared.workstation.verify_recording(&call.id, tell).await;
                check.map_err(wire).map(verified)
            },
        )
        .serve(|shared: Shared, call: RecordingRepair, _| async move {
            let repaired = shared
                .workstation
                .repair_recording(&call.id)
                .await
                .map_err(wire)?;
            let mut done = Vec::new();
            for (segment, tail, bytes) in repaired.quarantined {
                done.push(format!(
                    "Set {bytes} torn bytes of {segment} aside as {tail}."
                ));
            }
            for stream in repaired.overviews_rebuilt {
                done.push(format!("Built the overview of stream {} anew.", stream.0));
            }
            if repaired.catalog_rebuilt {
                done.push("Wrote the catalog anew.".to_owned());
            }
            Ok(RecordingRepairReply { done })
        })
        .serve(|shared: Shared, call: ExportCreate, progress| async move {
            let request = ExportRequest {
                kind: export_kind(call.format),
                folder: call.folder.map(PathBuf::from),
                identified: call.identified,
                subject: call.subject,
                annotations_reviewed: call.annotations_reviewed,
            };
            let tell = move |done, total| progress.say("exporting", done, total);
            let made = shared
                .workstation
                .export(&call.id, request, tell)
                .await
                .map_err(wire)?;
            let file = |(path, sha256, bytes): (PathBuf, String, u64)| ExportFile {
                path: path.to_string_lossy().into_owned(),
                sha256,
                bytes,
            };
            Ok(ExportCreateReply {
                folder: made.folder.to_string_lossy().into_owned(),
                files: made.files.into_iter().map(file).collect(),
                warnings: made.warnings,
            })
        })
        .serve(|shared: Shared, call: ReportCreate, _| async move {
            let (pdf, html) = (call.pdf.map(PathBuf::from), call.html.map(PathBuf::from));
            let (made, written) = shared
                .workstation
                .report(&call.id, pdf, html)
                .await
                .map_err(wire)?;
            let path = |path: PathBuf| path.to_string_lossy().into_owned();
            Ok(ReportCreateReply {
                id: made.id.to_string(),
                path: path(made.path),
                sha256: made.sha256,
                written: written.into_iter().map(path).collect(),
            })
        })
}

fn show(
    session: &SessionRecord,
    recording: &Recording,
    folder: PathBuf,
) -> Result<RecordingShowReply, ApiError> {
    let segments = recording.segments();
    let mut streams = Vec::new();
    for (index, stream) in recording.streams().iter().enumerate() {
        let index = StreamIndex(u16::try_from(index).unwrap_or(u16::MAX));
        let runs = recording.runs(index).map_err(|error| wire(error.into()))?;
        streams.push(RecordingStreamView {
            name: stream.name.clone(),
            channels: stream
                .channels
                .iter()
                .map(|channel| channel.label.clone())
                .collect(),
            rate_hz: stream.rate.as_hz(),
            sample_type: word(&stream.sample_type),
            samples: runs.iter().map(|run| run.end_index - run.first_index).sum(),
            segments: segments.iter().filter(|s| s.stream == Some(index)).count() as u64,
        });
    }
    let names: Vec<String> = streams.iter().map(|stream| stream.name.clone()).collect();
    let mut gaps: Vec<Gap> = recording
        .gaps()
        .into_iter()
        .map(|known| known.gap)
        .collect();
    gaps.sort_by_key(|gap| gap.from);
    let mut annotations = recording.standing_annotations();
    annotations.sort_by_key(|annotation| annotation.onset);
    let zone = session.zone;
    Ok(RecordingShowReply {
        id: session.recording.to_string(),
        path: folder.to_string_lossy().into_owned(),
        provenance: word(&recording.header().provenance),
        started: rfc3339(recording.header().created, zone),
        bytes: segments.iter().map(|segment| segment.bytes).sum(),
        streams,
        gaps: gaps.iter().map(|gap| gap_view(gap, &names, zone)).collect(),
        annotations: annotations
            .into_iter()
            .map(|annotation| AnnotationView {
                id: annotation.id.0,
                onset_utc_ns: annotation.onset.0,
                onset: rfc3339(annotation.onset, zone),
                duration_s: annotation.duration_ns.map(|ns| ns as f64 / 1e9),
                text: annotation.text,
                code: annotation.code,
                origin: word(&annotation.origin),
            })
            .collect(),
    })
}

pub(super) fn gap_view(gap: &Gap, names: &[String], zone: ZoneOffset) -> GapView {
    let name = names.get(usize::from(gap.stream.0)).cloned();
    GapView {
        stream: name.unwrap_or_else(|| gap.stream.0.to_string()),
        from: rfc3339(gap.from, zone),
        duration_s: gap.until.seconds_since(gap.from),
        missing: match gap.missing {
            Missing::Exact(count) => count.to_string(),
            Missing::Ambiguous { least, modulus } => format!("{least} + k × {modulus}"),
            Missing::Unknown => "unknown".to_owned(),
        },
        cause: word(&gap.cause),
    }
}

fn verified(check: RecordingCheck) -> RecordingVerifyReply {
    let mut problems: Vec<String> = check
        .files
        .problems
        .iter()
        .map(|problem| {
            format!(
                "{} at byte {} {}",
                problem.file, problem.offset, problem.fault
            )
        })
        .collect();
    problems.extend(check.mismatches);
    RecordingVerifyReply {
        id: check.id,
        sound: problems.is_empty(),
        segments: check.segments,
        frames: check.files.frames,
        in_ledger: check.in_ledger,
        problems,
    }
}
