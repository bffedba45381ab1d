//! `cargo xtask run`: the main job, from a machine that has only Rust.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::build::Environment;
use crate::limits::RUN_SESSION_S;
use crate::setup::{self, Need};
use crate::{home, shell};

#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// Without a window
    #[arg(long)]
    headless: bool,
    /// Length of the session, in seconds
    #[arg(long, default_value_t = RUN_SESSION_S)]
    duration: u32,
    /// Folder of the store, recordings, reports and exports; the program's own choice when left out
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Build for speed, which takes longer to build. The dev profile shares its build with the tests, and
    /// already optimises the crates that handle samples
    #[arg(long)]
    release: bool,
    /// Further arguments for `neurascale session run`
    #[arg(last = true)]
    rest: Vec<String>,
}

/// Builds the programs and records one session on the simulated headset.
pub(crate) fn run(args: RunArgs) -> Result<ExitCode> {
    setup::ensure(Need::Build)?;
    let environment = Environment {
        target: home::target()?,
        pyenv: None,
        soak: false,
    };
    let profile = if args.release { "release" } else { "debug" };
    {
        let _lock = home::lock(&environment.target)?;
        let mut build = shell::cargo();
        build
            .args(["build", "--bins", "-p", "cli", "-p", "engine"])
            .envs(environment.variables(profile));
        if args.release {
            build.arg("--release");
        }
        shell::run(&mut build)?;
    }
    if !args.headless && has_display() {
        println!("there is no window yet; the session runs in this terminal");
    }
    let mut session = shell::command(environment.programs(profile).join("neurascale"));
    if let Some(folder) = &args.data_dir {
        session.arg("--data-dir").arg(std::path::absolute(folder)?);
    }
    session
        .args([
            "session",
            "run",
            "--training",
            "--device",
            "simulated:headset",
            "--protocol",
            "routine-eeg",
        ])
        .args([
            "--duration",
            &args.duration.to_string(),
            "--export",
            "edf",
            "--pdf",
        ])
        .arg(report()?)
        .args(&args.rest);
    println!("$ {}", shell::shown(&session));
    let status = session.status()?;
    // The program's exit codes are documented; they are passed on as they are.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Where the report is written out to be looked at, beside the sealed one in the data folder. The patient of
/// this session is the training patient; the report of the run before gives way.
fn report() -> Result<PathBuf> {
    let folder = home::cache()?.join("run");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let file = folder.join("report.pdf");
    if file.exists() {
        fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
    }
    Ok(file)
}

fn has_display() -> bool {
    ["DISPLAY", "WAYLAND_DISPLAY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}
