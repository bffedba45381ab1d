//! `cargo xtask soak`: what takes hours. CI runs a tenth of each.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::build::Environment;
use crate::limits::FUZZ_TARGET_S;
use crate::setup::{self, Need};
use crate::{home, mutations, pyenv, shell, test};

#[derive(Debug, clap::Args)]
pub(crate) struct SoakArgs {
    /// Time for each fuzz target, in seconds
    #[arg(long, default_value_t = FUZZ_TARGET_S)]
    fuzz_seconds: u32,
    /// Only tests and fuzz targets whose name contains one of these; `mutations` for the faults put in on purpose
    filters: Vec<String>,
}

pub(crate) fn soak(args: SoakArgs) -> Result<ExitCode> {
    setup::ensure(Need::Tests)?;
    let environment = Environment {
        target: home::target()?,
        pyenv: Some(pyenv::ensure()?),
        soak: true,
    };
    let _lock = home::lock(&environment.target)?;
    let noticed = mutations::run(&environment, &args.filters);
    let fuzzed = fuzz(&args, &environment);
    let mut code = test::soak_tests(environment, args.filters)?;
    for failed in [noticed, fuzzed].into_iter().filter_map(Result::err) {
        println!("{failed:#}");
        code = ExitCode::FAILURE;
    }
    Ok(code)
}

/// Each parser under libFuzzer. cargo-fuzz asks for options of the compiler that are not stable; a stable one
/// takes them when told that it builds itself, so that no further toolchain is needed.
fn fuzz(args: &SoakArgs, environment: &Environment) -> Result<()> {
    let folder = shell::root().join("tests/fuzz");
    let fuzzer = fuzzer()?;
    let mut targets = Vec::new();
    for entry in
        fs::read_dir(folder.join("fuzz_targets")).context("cannot list the fuzz targets")?
    {
        let path = entry.context("cannot list the fuzz targets")?.path();
        targets.extend(
            path.file_stem()
                .map(|stem| stem.to_string_lossy().into_owned()),
        );
    }
    targets.retain(|target| {
        args.filters.is_empty() || args.filters.iter().any(|filter| target.contains(filter))
    });
    targets.sort();
    for target in targets {
        let limit = format!("-max_total_time={}", args.fuzz_seconds);
        // New inputs go to a folder of their own; only what is worth keeping is moved to the corpus by hand.
        let found = environment.target.join("fuzz-corpus").join(&target);
        fs::create_dir_all(&found).with_context(|| format!("cannot make {}", found.display()))?;
        let kept = folder.join("corpus").join(&target);
        let mut command = shell::command(&fuzzer);
        command
            .args(["run", "--fuzz-dir"])
            .arg(&folder)
            .arg(&target)
            .arg(found);
        if kept.is_dir() {
            command.arg(kept);
        }
        shell::run(
            command
                .env("RUSTC_BOOTSTRAP", "1")
                .env("CARGO_TARGET_DIR", environment.target.join("fuzz"))
                .args(["--", &limit]),
        )?;
    }
    Ok(())
}

/// cargo-fuzz, installed into the cache folder when this person has none.
fn fuzzer() -> Result<PathBuf> {
    let known = PathBuf::from("cargo-fuzz");
    if shell::works(shell::command(&known).arg("--version")) {
        return Ok(known);
    }
    let root = home::cache()?.join("tools");
    let own = root.join("bin/cargo-fuzz");
    if !shell::works(shell::command(&own).arg("--version")) {
        let mut install = shell::cargo();
        install.args(["install", "--locked", "cargo-fuzz", "--root"]);
        shell::run(install.arg(&root))?;
    }
    Ok(own)
}
