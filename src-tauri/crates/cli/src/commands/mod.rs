//! The commands, one module a subject.

mod annotation;
mod device;
mod evidence;
mod patient;
mod proof;
mod recording;
mod session;
mod system;

use crate::Context;
use crate::args::Command;
use engine_client::ClientError;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Runs one command.
pub(crate) async fn run(context: &Context, command: Command) -> Result<ExitCode, ClientError> {
    match command {
        Command::Patient(command) => patient::run(context, command).await,
        Command::Session(command) => session::run(context, command).await,
        Command::Device(command) => device::run(context, command).await,
        Command::Recording(command) => recording::run(context, command).await,
        Command::Annotation(command) => annotation::run(context, command).await,
        Command::Export(arguments) => recording::export(context, arguments).await,
        Command::Report(arguments) => recording::report(context, arguments).await,
        Command::Ledger(command) => evidence::ledger(context, command).await,
        Command::Events(command) => evidence::events(context, command).await,
        Command::Workflow(command) => evidence::workflow(context, command).await,
        Command::Backup { file } => system::backup(context, &file).await,
        Command::Restore { file } => system::restore(context, &file).await,
        Command::Engine(command) => system::engine(context, command).await,
        Command::Doctor => system::doctor(context).await,
        Command::SupportBundle { file } => system::support_bundle(context, file.as_deref()).await,
        Command::Completions { .. } => Ok(ExitCode::SUCCESS),
    }
}

/// `path` as the engine must be told it: its working folder is another.
fn absolute(path: &Path) -> String {
    std::path::absolute(path)
        .unwrap_or_else(|_| PathBuf::from(path))
        .to_string_lossy()
        .into_owned()
}
