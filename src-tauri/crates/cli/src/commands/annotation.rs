//! `neurascale annotation`

use crate::Context;
use crate::args::{AnnotationArguments, AnnotationCommand};
use crate::output::{field, table};
use engine_client::{Client, ClientError};
use std::process::ExitCode;
use ui_types::{
    AnnotationAdd, AnnotationReply, AnnotationSupersede, AnnotationView, ApiError, ErrorCode,
    RecordingShow,
};

pub(super) async fn run(
    context: &Context,
    command: AnnotationCommand,
) -> Result<ExitCode, ClientError> {
    let client = context.client().await?;
    match command {
        AnnotationCommand::List { id } => {
            let annotations = standing(&client, id).await?;
            context.output.result(&annotations, |all, out| {
                let rows: Vec<_> = all.iter().map(row).collect();
                table(out, &["NUMBER", "AT", "CODE", "TEXT", "BY"], &rows);
            });
        }
        AnnotationCommand::Add {
            id,
            onset_utc_ns,
            what,
        } => {
            let call = AnnotationAdd {
                id,
                onset_utc_ns,
                duration_ns: duration(&what),
                text: what.text,
                code: what.code,
            };
            show(context, &client.call(&call).await?);
        }
        AnnotationCommand::Supersede {
            id,
            annotation,
            onset_utc_ns,
            what,
        } => {
            let onset_utc_ns = match onset_utc_ns {
                Some(onset) => onset,
                None => onset_of(&client, id.clone(), annotation).await?,
            };
            let call = AnnotationSupersede {
                id,
                annotation,
                onset_utc_ns,
                duration_ns: duration(&what),
                text: what.text,
                code: what.code,
            };
            show(context, &client.call(&call).await?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show(context: &Context, reply: &AnnotationReply) {
    context.output.result(reply, |reply, out| {
        field(out, "annotation", reply.annotation);
    });
}

fn duration(what: &AnnotationArguments) -> Option<i64> {
    what.duration_s
        .map(|seconds| (seconds * 1e9).round() as i64)
}

async fn standing(client: &Client, id: String) -> Result<Vec<AnnotationView>, ClientError> {
    Ok(client.call(&RecordingShow { id }).await?.annotations)
}

async fn onset_of(client: &Client, id: String, annotation: u64) -> Result<i64, ClientError> {
    let standing = standing(client, id).await?;
    let found = standing.iter().find(|known| known.id == annotation);
    found.map(|known| known.onset_utc_ns).ok_or_else(|| {
        let message = format!("there is no annotation {annotation} that stands");
        ClientError::Api(ApiError::new(ErrorCode::NotFound, message, ""))
    })
}

fn row(annotation: &AnnotationView) -> Vec<String> {
    vec![
        annotation.id.to_string(),
        annotation.onset.clone(),
        annotation.code.clone().unwrap_or_default(),
        annotation.text.clone(),
        annotation.origin.clone(),
    ]
}
