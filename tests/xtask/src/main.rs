//! cargo xtask: run, test, ui, soak, bench.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that speaks to a terminal"
)]

mod axe;
mod bench;
mod build;
mod bundle;
mod exec;
mod home;
mod limits;
mod mutations;
mod pyenv;
mod run;
mod setup;
mod shell;
mod soak;
mod tally;
mod test;
mod ui;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Exit code when system packages are missing that this person may not install; apart from the codes
/// of `neurascale`, which `run` passes on.
const EXIT_PACKAGES_MISSING: u8 = 20;

/// Builds, runs and checks NeuraScale Workstation.
///
/// Exit codes: 0 all well, 1 something failed, 2 wrong usage, 20 system packages are missing and cannot be
/// installed without rights. `run` passes on the exit code of the program it starts.
///
/// Build products go to CARGO_TARGET_DIR, else to a folder of the user's cache for this compiler and
/// Cargo.lock. Tests and benchmarks are told NEURASCALE_BIN_DIR (folder of the programs under test),
/// NEURASCALE_UI_DIST (folder of the window's files, which the shell embeds), NEURASCALE_PYENV (Python
/// environment; its interpreter is bin/python), NEURASCALE_AXE (axe-core's file, which checks the pages),
/// LSLAPICFG (configuration of the lab streaming layer) and, in soak, NEURASCALE_SOAK=1.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Install the system packages that building and testing need
    Setup {
        /// Only what building and running need
        #[arg(long)]
        build_only: bool,
    },
    /// Build and open the window; without a display, record a session on the simulated headset
    Run(run::RunArgs),
    /// Check everything: format, lints, architecture, licences, tests, documentation
    Test(test::TestArgs),
    /// What CI runs: the same as `test`
    Ci,
    /// Build the modules of the window and lay out its files
    Ui(ui::UiArgs),
    /// Make the installers of this system
    Bundle(bundle::BundleArgs),
    /// Measure the figures of the README
    Bench(bench::BenchArgs),
    /// The long runs: faults and sessions with multiplied counts, the fuzz targets, faults put in on purpose
    Soak(soak::SoakArgs),
}

fn main() -> ExitCode {
    match perform(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            if error.is::<setup::Missing>() {
                ExitCode::from(EXIT_PACKAGES_MISSING)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

fn perform(task: Task) -> Result<ExitCode> {
    match task {
        Task::Setup { build_only } => {
            let need = if build_only {
                setup::Need::Build
            } else {
                setup::Need::Tests
            };
            setup::ensure(need).map(|()| ExitCode::SUCCESS)
        }
        Task::Run(args) => run::run(args),
        Task::Test(args) => test::test(args),
        Task::Ci => test::test(test::TestArgs::everything()),
        Task::Ui(args) => ui::ui(&args),
        Task::Bundle(args) => bundle::bundle(&args),
        Task::Bench(args) => bench::bench(args),
        Task::Soak(args) => soak::soak(args),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Arguments::command().debug_assert();
    }
}
