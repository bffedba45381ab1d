//! The Python environment of the interop tests and benchmarks. A need of the tests, never of the product.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::{home, limits, shell};

/// Written last; an environment without it was interrupted and is made again.
const COMPLETE: &str = ".complete";

/// The environment for tests/interop/requirements.txt, made when missing. Keyed by the requirements and
/// by the interpreter, so that a changed pin or a new Python never meets an old environment.
pub(crate) fn ensure() -> Result<PathBuf> {
    let requirements = shell::root().join("tests/interop/requirements.txt");
    let pins = fs::read(&requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    let interpreter = shell::read(
        shell::command("python3").args(["-c", "import sys; print(sys.version, sys.base_prefix)"]),
    )?;
    let folder = home::cache()?.join(format!(
        "pyenv-{:016x}",
        home::key(&[&pins, interpreter.as_bytes()])
    ));
    // Two checkouts may arrive here together; the second waits and finds the work done.
    let guard = fs::File::create(home::cache()?.join(".pyenv-lock"))
        .context("cannot open the environment's lock")?;
    guard.lock().context("cannot lock the Python environment")?;
    if !folder.join(COMPLETE).exists() {
        if folder.exists() {
            fs::remove_dir_all(&folder)
                .with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        shell::run(shell::command("python3").args(["-m", "venv"]).arg(&folder))?;
        shell::run(
            shell::command(folder.join("bin/python"))
                .args([
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                    "--only-binary=:all:",
                    "-r",
                ])
                .arg(&requirements),
        )?;
        fs::write(folder.join(COMPLETE), [])
            .with_context(|| format!("cannot write to {}", folder.display()))?;
    }
    home::touch(&folder)?;
    home::prune("pyenv-", &folder, limits::OLD_PYENVS_KEPT)?;
    println!("python environment: {}", folder.display());
    Ok(folder)
}
