//! Starting an engine on demand.

use crate::limits::{IDLE_EXIT, START_POLL, START_TIMEOUT};
use crate::{Client, ClientError};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What to do when no engine runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Start {
    /// Fail with [`ClientError::NotRunning`].
    Never,
    /// Start the program that stands beside this one (or that `NEURASCALE_ENGINE` names).
    #[default]
    OnDemand,
    /// Start this program.
    Program(PathBuf),
}

/// Exit code of an engine that found another on its data folder
/// ([`ui_types::ErrorCode::Conflict`]).
const ALREADY_RUNNING: i32 = ui_types::ErrorCode::Conflict.exit_code() as i32;

/// Starts the engine's program in a process group of its own, so that neither the terminal's
/// Ctrl-C nor the client's end reaches it, and waits until it answers.
pub(crate) async fn start(data_dir: &Path, program: PathBuf) -> Result<Client, ClientError> {
    let mut child = spawn(data_dir, &program)?;
    let waiting = async {
        loop {
            if let Ok(client) = Client::attach(data_dir).await {
                return Ok(client);
            }
            if let Ok(Some(status)) = child.try_wait()
                && !status.success()
            {
                let said = last_words(&mut child);
                // Another client started one at the same moment, and that one answers soon; or an
                // engine is just leaving, and there is room for a new one when it has gone.
                if status.code() != Some(ALREADY_RUNNING) {
                    return Err(ClientError::DidNotStart(said));
                }
                tokio::time::sleep(START_POLL).await;
                child = spawn(data_dir, &program)?;
            }
            tokio::time::sleep(START_POLL).await;
        }
    };
    match tokio::time::timeout(START_TIMEOUT, waiting).await {
        Ok(result) => result,
        Err(_) => Err(ClientError::DidNotStart(format!(
            "no answer within {} s",
            START_TIMEOUT.as_secs()
        ))),
    }
}

fn spawn(data_dir: &Path, program: &Path) -> Result<Child, ClientError> {
    let mut command = Command::new(program);
    command
        .arg("serve")
        .arg("--data-dir")
        .arg(data_dir)
        .arg("--idle-exit-s")
        .arg(IDLE_EXIT.as_secs().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let program = program.to_owned();
    command
        .spawn()
        .map_err(|source| ClientError::Spawn { program, source })
}

/// What an engine that left at once wrote to its standard error: at most its first 4 kB.
fn last_words(child: &mut Child) -> String {
    use std::io::Read;
    let mut text = String::new();
    if let Some(stderr) = child.stderr.take() {
        let mut bytes = Vec::new();
        if stderr.take(4_096).read_to_end(&mut bytes).is_ok() {
            text = String::from_utf8_lossy(&bytes).trim().to_owned();
        }
    }
    if text.is_empty() {
        "it left at once without a word".to_owned()
    } else {
        text
    }
}

/// The engine's program: `NEURASCALE_ENGINE`, else beside the running one.
#[must_use]
pub fn engine_program() -> PathBuf {
    if let Some(path) = std::env::var_os("NEURASCALE_ENGINE").filter(|v| !v.is_empty()) {
        return PathBuf::from(path);
    }
    let name = if cfg!(windows) {
        "neurascale-engine.exe"
    } else {
        "neurascale-engine"
    };
    std::env::current_exe()
        .ok()
        .and_then(|exe| exe.parent().map(|folder| folder.join(name)))
        .unwrap_or_else(|| PathBuf::from(name))
}
