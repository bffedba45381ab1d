//! `neurascale`: the workstation without a window.
//!
//! A thin client: every command is one or a few calls to the engine, which it starts when none
//! runs. Results go to standard output, as text or with `--json` as one JSON document; progress
//! and messages go to standard error. Exit codes are those of [`ui_types::ErrorCode::exit_code`],
//! and 12 when a session ended as failed.
#![allow(clippy::print_stdout, clippy::print_stderr)] // Printing is what a command line does.

mod args;
mod commands;
mod output;

use args::{Arguments, Command};
use clap::Parser;
use engine_client::{Client, ClientError, Start, data_dir};
use output::Output;
use std::path::PathBuf;
use std::process::ExitCode;
use ui_types::{ApiError, ErrorCode};

/// What every command works with.
pub(crate) struct Context {
    /// Folder of the engine's data.
    data_dir: PathBuf,
    /// Where results go.
    output: Output,
    /// Whether an engine is started when none runs.
    start: Start,
}

impl Context {
    /// A client of the engine, started when needed.
    async fn client(&self) -> Result<Client, ClientError> {
        Client::connect(&self.data_dir, &self.start).await
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_env("NEURASCALE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let context = Context {
        data_dir: data_dir(arguments.data_dir.clone()),
        output: Output::new(arguments.json, arguments.quiet),
        start: if arguments.no_start {
            Start::Never
        } else {
            Start::OnDemand
        },
    };
    if let Command::Completions { shell } = arguments.command {
        args::completions(shell);
        return ExitCode::SUCCESS;
    }
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            let error = ApiError::new(ErrorCode::Internal, format!("start: {error}"), "");
            return context.output.failure(&error);
        }
    };
    match runtime.block_on(commands::run(&context, arguments.command)) {
        Ok(code) => code,
        Err(error) => context.output.failure(&error.into_api()),
    }
}
