//! `neurascale recording`, `export` and `report`

use crate::Context;
use crate::args::{ExportArguments, RecordingCommand, ReportArguments};
use crate::commands::absolute;
use crate::output::{advance, field, table};
use engine_client::ClientError;
use std::process::ExitCode;
use ui_types::{
    ErrorCode, ExportCreate, RecordingRepair, RecordingShow, RecordingShowReply, RecordingVerify,
    ReportCreate,
};

pub(super) async fn run(
    context: &Context,
    command: RecordingCommand,
) -> Result<ExitCode, ClientError> {
    let client = context.client().await?;
    match command {
        RecordingCommand::Show { id } => {
            let reply = client.call(&RecordingShow { id }).await?;
            context.output.result(&reply, describe);
        }
        RecordingCommand::Verify { id } => {
            let bar = context.output.bar();
            let call = RecordingVerify { id };
            let reply = client
                .call_with_progress(&call, |p| advance(&bar, p))
                .await?;
            bar.finish_and_clear();
            context.output.result(&reply, |reply, out| {
                field(out, "recording", &reply.id);
                field(out, "sound", if reply.sound { "yes" } else { "NO" });
                field(out, "segments", reply.segments);
                field(out, "frames", reply.frames);
                field(
                    out,
                    "in the ledger",
                    format!("{} of {}", reply.in_ledger, reply.segments),
                );
                for problem in &reply.problems {
                    field(out, "problem", problem);
                }
            });
            if !reply.sound {
                return Ok(ExitCode::from(ErrorCode::Integrity.exit_code()));
            }
        }
        RecordingCommand::Repair { id } => {
            let bar = context.output.bar();
            let call = RecordingRepair { id };
            let reply = client
                .call_with_progress(&call, |p| advance(&bar, p))
                .await?;
            bar.finish_and_clear();
            context.output.result(&reply, |reply, out| {
                if reply.done.is_empty() {
                    out.push_str("Nothing needed repair.\n");
                }
                for line in &reply.done {
                    out.push_str(line);
                    out.push('\n');
                }
            });
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(reply: &RecordingShowReply, out: &mut String) {
    field(out, "recording", &reply.id);
    field(out, "folder", &reply.path);
    field(out, "provenance", &reply.provenance);
    field(out, "started", &reply.started);
    field(out, "bytes", reply.bytes);
    let rows: Vec<_> = reply
        .streams
        .iter()
        .map(|s| {
            vec![
                s.name.clone(),
                s.rate_hz
                    .map_or("irregular".to_owned(), |hz| format!("{hz}")),
                s.sample_type.clone(),
                s.channels.len().to_string(),
                s.samples.to_string(),
                s.segments.to_string(),
            ]
        })
        .collect();
    table(
        out,
        &["STREAM", "Hz", "TYPE", "CHANNELS", "SAMPLES", "SEGMENTS"],
        &rows,
    );
    if !reply.gaps.is_empty() {
        let rows: Vec<_> = reply
            .gaps
            .iter()
            .map(|g| {
                let length = format!("{:.4}", g.duration_s);
                vec![
                    g.stream.clone(),
                    g.from.clone(),
                    length,
                    g.missing.clone(),
                    g.cause.clone(),
                ]
            })
            .collect();
        table(
            out,
            &["GAP IN", "FROM", "SECONDS", "MISSING", "CAUSE"],
            &rows,
        );
    }
    let rows: Vec<_> = reply
        .annotations
        .iter()
        .map(|a| {
            let length = a.duration_s.map_or(String::new(), |s| format!("{s:.3}"));
            vec![
                a.onset.clone(),
                length,
                a.code.clone().unwrap_or_default(),
                a.text.clone(),
            ]
        })
        .collect();
    if !rows.is_empty() {
        table(out, &["ANNOTATION AT", "SECONDS", "CODE", "TEXT"], &rows);
    }
}

pub(super) async fn export(
    context: &Context,
    arguments: ExportArguments,
) -> Result<ExitCode, ClientError> {
    let client = context.client().await?;
    let call = ExportCreate {
        id: arguments.id,
        format: arguments.format.into(),
        folder: arguments.to.as_deref().map(absolute),
        identified: arguments.identified,
        subject: arguments.subject,
        annotations_reviewed: arguments.annotations_reviewed,
    };
    let bar = context.output.bar();
    let reply = client
        .call_with_progress(&call, |p| advance(&bar, p))
        .await?;
    bar.finish_and_clear();
    context.output.result(&reply, |reply, out| {
        for file in &reply.files {
            field(out, "written", &file.path);
        }
        for warning in &reply.warnings {
            field(out, "note", warning);
        }
    });
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn report(
    context: &Context,
    arguments: ReportArguments,
) -> Result<ExitCode, ClientError> {
    let client = context.client().await?;
    let call = ReportCreate {
        id: arguments.id,
        pdf: arguments.pdf.as_deref().map(absolute),
        html: arguments.html.as_deref().map(absolute),
    };
    let bar = context.output.bar();
    let reply = client
        .call_with_progress(&call, |p| advance(&bar, p))
        .await?;
    bar.finish_and_clear();
    context.output.result(&reply, |reply, out| {
        field(out, "report", &reply.id);
        field(out, "sealed", &reply.path);
        field(out, "SHA-256", &reply.sha256);
        for path in &reply.written {
            field(out, "written", path);
        }
    });
    Ok(ExitCode::SUCCESS)
}
