//! `cargo xtask run`: the window, or without a display a whole session, from a machine that has only Rust.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};

use crate::build::Environment;
use crate::limits::RUN_SESSION_S;
use crate::setup::{self, Need};
use crate::workspace::Workspace;
use crate::{home, shell, ui};

#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// Without a window, even where there is a display: record a session in this terminal
    #[arg(long)]
    headless: bool,
    /// Length of the session that is recorded without a window, in seconds
    #[arg(long, default_value_t = RUN_SESSION_S)]
    duration: u32,
    /// Folder of the store, recordings, reports and exports; the program's own choice when left out
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Build for speed, which takes longer to build. The dev profile shares its build with the tests, and
    /// already optimises the crates that handle samples
    #[arg(long)]
    release: bool,
    /// Further arguments for `neurascale-desktop`, or without a window for `neurascale session run`
    #[arg(last = true)]
    rest: Vec<String>,
}

/// Builds the programs and opens the window; without a display it records one session on the simulated
/// headset.
pub(crate) fn run(args: RunArgs) -> Result<ExitCode> {
    setup::ensure(Need::Build)?;
    let environment = Environment {
        target: home::target()?,
        pyenv: None,
        soak: false,
    };
    let profile = if args.release { "release" } else { "debug" };
    let windowed = !args.headless && has_display();
    {
        let _lock = home::lock(&environment.target)?;
        let mut build = shell::cargo();
        build.args(["build", "--bins", "-p", "cli", "-p", "engine"]);
        if windowed {
            ui::ensure(&environment, &Workspace::load()?)?;
            build.args(["-p", "neurascale-desktop"]);
        }
        build.envs(environment.variables(profile));
        if args.release {
            build.arg("--release");
        }
        shell::run(&mut build)?;
    }
    let program = if windowed {
        "neurascale-desktop"
    } else {
        "neurascale"
    };
    let mut command = shell::command(environment.programs(profile).join(program));
    if let Some(folder) = &args.data_dir {
        command.arg("--data-dir").arg(std::path::absolute(folder)?);
    }
    if !windowed {
        session(&mut command, args.duration)?;
    }
    command.args(&args.rest);
    println!("$ {}", shell::shown(&command));
    let status = command.status()?;
    // The program's exit codes are documented; they are passed on as they are.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// The whole session that is recorded without a window.
fn session(command: &mut Command, duration_s: u32) -> Result<()> {
    command
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
            &duration_s.to_string(),
            "--export",
            "edf",
            "--pdf",
        ])
        .arg(report()?);
    Ok(())
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
