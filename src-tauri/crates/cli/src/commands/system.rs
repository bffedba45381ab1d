//! `neurascale engine`, `doctor`, `support-bundle`, `backup` and `restore`

use crate::Context;
use crate::args::EngineCommand;
use crate::commands::absolute;
use crate::output::{advance, field, table};
use engine_client::{Client, ClientError, ENDPOINT_FILE, Start, engine_program};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use ui_types::{
    ApiError, BackupCreate, Doctor, EngineStatus, EngineStatusReply, EngineStop, ErrorCode,
    FindingLevel, RecoveryCode, SupportBundle,
};

/// How long a stopping engine is waited for: its drain, and closing its store.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
const STOP_POLL: Duration = Duration::from_millis(50);

pub(super) async fn engine(
    context: &Context,
    command: EngineCommand,
) -> Result<ExitCode, ClientError> {
    match command {
        EngineCommand::Start => {
            let client = Client::connect(&context.data_dir, &Start::OnDemand).await?;
            let reply = client.call(&EngineStatus::default()).await?;
            context.output.result(&reply, status);
        }
        EngineCommand::Stop { force } => {
            let client = Client::connect(&context.data_dir, &Start::Never).await?;
            let reply = client.call(&EngineStop { force }).await?;
            let endpoint = context.data_dir.join(ENDPOINT_FILE);
            let mut waited = Duration::ZERO;
            while endpoint.exists() && waited < STOP_TIMEOUT {
                tokio::time::sleep(STOP_POLL).await;
                waited += STOP_POLL;
            }
            let said = if endpoint.exists() {
                "is stopping"
            } else {
                "has stopped"
            };
            context.output.result(&reply, |_, out| {
                out.push_str(&format!("The engine {said}.\n"));
            });
        }
        EngineCommand::RecoveryCode => {
            let reply = context.client().await?.call(&RecoveryCode {}).await?;
            context
                .output
                .result(&reply, |reply, out| match &reply.code {
                    Some(code) => field(out, "recovery code", code),
                    None => {
                        out.push_str("The recovery code was shown before, or the key is older.\n");
                    }
                });
        }
        EngineCommand::Status => {
            let client = Client::connect(&context.data_dir, &Start::Never).await?;
            let reply = client.call(&EngineStatus::default()).await?;
            context.output.result(&reply, status);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn status(reply: &EngineStatusReply, out: &mut String) {
    field(
        out,
        "engine",
        format!("{}, process {}", reply.version, reply.pid),
    );
    field(out, "data", &reply.data_dir);
    field(
        out,
        "store",
        if reply.store_open { "open" } else { "NOT OPEN" },
    );
    if !reply.problem.is_empty() {
        field(out, "problem", &reply.problem);
    }
    field(out, "up", format!("{:.0} s", reply.uptime_s));
    // Megabytes as people count them.
    field(
        out,
        "memory",
        format!("{:.0} MB", reply.resident_bytes as f64 / 1e6),
    );
    for session in &reply.running_sessions {
        field(out, "session", session);
    }
}

pub(super) async fn doctor(context: &Context) -> Result<ExitCode, ClientError> {
    let reply = context.client().await?.call(&Doctor {}).await?;
    context.output.result(&reply, |reply, out| {
        let rows: Vec<_> = reply
            .findings
            .iter()
            .map(|f| {
                let level = match f.level {
                    FindingLevel::Good => "good",
                    FindingLevel::Warning => "warning",
                    FindingLevel::Problem => "PROBLEM",
                };
                vec![
                    f.check.clone(),
                    level.to_owned(),
                    f.found.clone(),
                    f.remedy.clone(),
                ]
            })
            .collect();
        table(out, &["CHECK", "", "FOUND", "WHAT TO DO"], &rows);
    });
    let worst = reply.findings.iter().map(|finding| finding.level).max();
    let failed = worst == Some(FindingLevel::Problem);
    Ok(if failed {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    })
}

pub(super) async fn support_bundle(
    context: &Context,
    file: Option<&Path>,
) -> Result<ExitCode, ClientError> {
    let reply = context.client().await?.call(&SupportBundle {}).await?;
    let json = serde_json::to_string_pretty(&reply).map_err(|error| {
        ClientError::Api(ApiError::new(ErrorCode::Internal, error.to_string(), ""))
    })?;
    let Some(file) = file else {
        context.output.result(&reply, |_, out| *out = json + "\n");
        return Ok(ExitCode::SUCCESS);
    };
    let written = File::create_new(file).and_then(|mut made| made.write_all(json.as_bytes()));
    if let Err(error) = written {
        return Err(ClientError::Api(ApiError::new(
            ErrorCode::Invalid,
            format!("{} cannot be written: {error}", file.display()),
            "Choose a file that does not exist, in a folder that you may write to.",
        )));
    }
    let path = absolute(file);
    let result = serde_json::json!({ "path": path, "lines": reply.log.len() });
    context.output.result(&result, |_, out| {
        field(out, "support bundle", &path);
        field(out, "lines of the log", reply.log.len());
    });
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn backup(context: &Context, file: &Path) -> Result<ExitCode, ClientError> {
    let client = context.client().await?;
    let bar = context.output.bar();
    let call = BackupCreate {
        path: absolute(file),
    };
    let reply = client
        .call_with_progress(&call, |p| advance(&bar, p))
        .await?;
    bar.finish_and_clear();
    context.output.result(&reply, |reply, out| {
        field(out, "backup", &reply.path);
        field(out, "bytes", reply.bytes);
        field(out, "SHA-256", &reply.sha256);
    });
    Ok(ExitCode::SUCCESS)
}

/// Restoring replaces what an engine works on, so the engine's own program does it, alone.
pub(super) async fn restore(context: &Context, file: &Path) -> Result<ExitCode, ClientError> {
    if Client::connect(&context.data_dir, &Start::Never)
        .await
        .is_ok()
    {
        return Err(ClientError::Api(ApiError::new(
            ErrorCode::Conflict,
            "an engine runs on this data folder",
            "Stop it with 'neurascale engine stop', then restore.",
        )));
    }
    let program = engine_program();
    let status = std::process::Command::new(&program)
        .arg("restore")
        .arg("--data-dir")
        .arg(&context.data_dir)
        .arg("--from")
        .arg(file)
        .status()
        .map_err(|source| ClientError::Spawn { program, source })?;
    let code = status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(11);
    Ok(ExitCode::from(code))
}
