//! Where the measurements write, and where what they need is found.

use anyhow::{Context as _, Result};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The folder of build products, which lies on a real disk: in memory every sync would be free.
fn target() -> Result<PathBuf> {
    let program = env::current_exe().context("cannot find this program's own folder")?;
    let folder = program.parent().and_then(Path::parent);
    Ok(folder.context("this program lies in no folder")?.to_owned())
}

/// A new folder on disk, removed when dropped.
pub(crate) fn scratch() -> Result<TempDir> {
    tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(target()?)
        .context("cannot make a folder to measure in")
}

/// A folder that outlives the run.
pub(crate) fn cache(name: &str) -> Result<PathBuf> {
    Ok(target()?.join("bench-cache").join(name))
}

/// The engine's and the command line's programs: in `NEURASCALE_BIN_DIR`, else beside this one.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let beside = || Some(env::current_exe().ok()?.parent()?.to_owned());
    let folder = env::var_os("NEURASCALE_BIN_DIR")
        .map(PathBuf::from)
        .or_else(beside)?;
    let program = folder.join(name);
    program.is_file().then_some(program)
}

/// The recordings that tests and measurements share; `None` when they are not there.
pub(crate) fn recordings() -> Option<PathBuf> {
    let folder = env::var_os("NEURASCALE_RECORDINGS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/recordings"),
        PathBuf::from,
    );
    folder.is_dir().then_some(folder)
}

/// One of our Python scripts, in the environment with the peers, on one thread.
pub(crate) fn python(script: &str) -> Option<Command> {
    let environment = PathBuf::from(env::var_os("NEURASCALE_PYENV")?);
    let mut command = Command::new(environment.join("bin/python"));
    for variable in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"] {
        command.env(variable, "1");
    }
    command.arg(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("python")
            .join(script),
    );
    Some(command)
}

/// Runs a script of ours and reads the JSON it prints.
pub(crate) fn answer(mut command: Command) -> Result<serde_json::Value> {
    let output = command.output().context("cannot start Python")?;
    anyhow::ensure!(
        output.status.success(),
        "Python failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    serde_json::from_slice(&output.stdout).context("cannot read what Python measured")
}

/// Why the peers were not measured.
pub(crate) const NO_PYTHON: &str =
    "NEURASCALE_PYENV names no Python environment (`cargo xtask bench` makes one)";
