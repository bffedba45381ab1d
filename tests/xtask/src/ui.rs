//! `cargo xtask ui`: the two modules of the window, compiled to WebAssembly and laid out with the static
//! files as the one folder that the shell carries.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::build::Environment;
use crate::exec::seconds;
use crate::limits::{RUSTUP_POLL, RUSTUP_TARGET_TIMEOUT};
use crate::workspace::Workspace;
use crate::{home, setup, shell};

/// Members that become modules, each under the name that the page loads it by.
const MODULES: &[&str] = &["app", "scope"];

/// The program that binds them; apart from this one, which is built before anything else and stays small.
const BINDER: &str = "wasm-bindings";

const TARGET: &str = "wasm32-unknown-unknown";
const PROFILE: &str = "wasm";

/// Source of the page's static files, and of the one family of type.
const STATIC: &str = "ui/app/static";
const FONTS: &str = "assets/fonts";

/// Lies in the finished folder and says what it was made from.
const STAMP: &str = ".made-from";

#[derive(Debug, clap::Args)]
pub(crate) struct UiArgs {
    /// Compiler to use; the one of this build when left out and it has the target or gets it from rustup,
    /// else that of Debian's packages
    #[arg(long)]
    route: Option<Route>,
    /// Build although nothing has changed
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Route {
    /// The compiler of this build, with the target's standard library
    Rustup,
    /// Debian's rustc-web and cargo-web, which compile the standard library along
    Debian,
}

pub(crate) fn ui(args: &UiArgs) -> Result<ExitCode> {
    let environment = Environment {
        target: home::target()?,
        pyenv: None,
        soak: false,
    };
    let _lock = home::lock(&environment.target)?;
    build(args, &environment, &Workspace::load()?)?;
    Ok(ExitCode::SUCCESS)
}

/// Makes the folder of the window's files when something it is made from has changed.
pub(crate) fn ensure(environment: &Environment, workspace: &Workspace) -> Result<PathBuf> {
    let args = UiArgs {
        route: None,
        force: false,
    };
    build(&args, environment, workspace)
}

fn build(args: &UiArgs, environment: &Environment, workspace: &Workspace) -> Result<PathBuf> {
    let started = Instant::now();
    let finished = environment.ui_dist();
    let modules: Vec<_> = MODULES
        .iter()
        .copied()
        .filter(|module| workspace.members.contains_key(*module))
        .collect();
    let stamp = stamp(&modules, workspace)?;
    let before = fs::read_to_string(finished.join(STAMP)).unwrap_or_default();
    if before == stamp && !args.force {
        println!("window: nothing has changed");
        return Ok(finished);
    }
    compile(args.route, &modules, environment)?;
    let compiled = started.elapsed();

    // Laid out beside, then put in place: whoever embeds the folder finds the old one or the new one.
    let next = environment.target.join("ui-dist.next");
    remove(&next)?;
    fs::create_dir_all(&next).with_context(|| format!("cannot make {}", next.display()))?;
    bind(&modules, environment, &next)?;
    copy(&shell::root().join(STATIC), &next)?;
    copy(&shell::root().join(FONTS), &next.join("fonts"))?;
    fs::write(next.join(STAMP), stamp).context("cannot write the window's stamp")?;
    remove(&finished)?;
    fs::rename(&next, &finished).with_context(|| format!("cannot make {}", finished.display()))?;
    println!(
        "window: {} in {:.1} s, of them {:.1} s for compiling",
        finished.display(),
        seconds(started.elapsed()),
        seconds(compiled)
    );
    Ok(finished)
}

/// Everything the folder is made from, as one line: sources of the modules and of what they use, fonts,
/// static files, versions, the compiler, and the way they are built.
fn stamp(modules: &[&str], workspace: &Workspace) -> Result<String> {
    let root = shell::root();
    let mut names = modules.to_vec();
    names.push(BINDER);
    let mut roots: Vec<_> = workspace
        .with_dependencies(&names)
        .iter()
        .map(|name| workspace.members[name].folder.clone())
        .collect();
    // Fonts, montages, texts: whatever may be compiled in.
    roots.extend(["assets", "Cargo.toml", "Cargo.lock"].map(|part| root.join(part)));
    let mut files = Vec::new();
    for part in &roots {
        list(part, &mut files)?;
    }
    files.sort();
    files.dedup();
    let compiler = shell::read(shell::command("rustc").arg("-vV"))?;
    let mut parts = vec![
        compiler.into_bytes(),
        include_bytes!("ui.rs").to_vec(),
        modules.join(" ").into_bytes(),
    ];
    for file in files {
        parts.push(file.to_string_lossy().into_owned().into_bytes());
        parts.push(fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?);
    }
    let parts: Vec<_> = parts.iter().map(Vec::as_slice).collect();
    Ok(format!("{:016x}\n", home::key(&parts)))
}

/// One build of all modules, so that what they share is compiled once.
fn compile(wanted: Option<Route>, modules: &[&str], environment: &Environment) -> Result<()> {
    let route = match wanted {
        Some(route) => route,
        None if has_target() || add_target() => Route::Rustup,
        None => Route::Debian,
    };
    let mut command = match route {
        Route::Rustup => shell::cargo(),
        Route::Debian => {
            setup::ensure_wasm()?;
            debian_compiler_is_new_enough()?;
            let mut command = shell::command("/usr/bin/cargo");
            command
                .env("RUSTC", "/usr/bin/rustc")
                // -Zbuild-std: Debian ships the standard library as source.
                .env("RUSTC_BOOTSTRAP", "1")
                .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-ld");
            command
        }
    };
    command.args(["build", "--lib", "--profile", PROFILE, "--target", TARGET]);
    if route == Route::Debian {
        command.arg("-Zbuild-std=std,panic_abort");
    }
    command.args(modules.iter().flat_map(|module| ["-p", module]));
    // A folder of its own: build scripts and macros are compiled for this profile, not for the tests'.
    command.env("CARGO_TARGET_DIR", wasm_target(environment));
    shell::run(&mut command)
}

/// Lints what of the modules is compiled for the page alone, where the target is installed. The profile is
/// that of the build, so that macros and build scripts are compiled once for both.
pub(crate) fn clippy(environment: &Environment, selected: impl Fn(&str) -> bool) -> Result<()> {
    let modules: Vec<_> = MODULES
        .iter()
        .copied()
        .filter(|module| selected(module))
        .collect();
    if modules.is_empty() {
        return Ok(());
    }
    if !has_target() {
        println!(
            "SKIPPED: lints of the modules as they are in the page: {TARGET} is not installed"
        );
        return Ok(());
    }
    let mut command = shell::cargo();
    command.args(["clippy", "--lib", "--profile", PROFILE, "--target", TARGET]);
    command.args(modules.iter().flat_map(|module| ["-p", module]));
    command.env("CARGO_TARGET_DIR", wasm_target(environment));
    shell::run(command.args(["--", "-D", "warnings"]))
}

fn wasm_target(environment: &Environment) -> PathBuf {
    environment.target.join("wasm")
}

/// Whether the compiler in use has the standard library of the target, however it came.
fn has_target() -> bool {
    let folder =
        shell::read(shell::command("rustc").args(["--print", "target-libdir", "--target", TARGET]));
    folder.is_ok_and(|folder| Path::new(folder.trim()).is_dir())
}

/// Asks rustup for it, where there is a rustup, for as long as a download may reasonably take.
fn add_target() -> bool {
    let Ok(mut child) = shell::command("rustup")
        .args(["target", "add", TARGET])
        .spawn()
    else {
        return false;
    };
    let started = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success() && has_target(),
            Ok(None) if started.elapsed() < RUSTUP_TARGET_TIMEOUT => {
                std::thread::sleep(RUSTUP_POLL);
            }
            Ok(None) | Err(_) => {
                println!("rustup did not answer in time");
                // It may have ended meanwhile; either way it is waited for.
                let _ = child.kill();
                let _ = child.wait();
                return false;
            }
        }
    }
}

fn debian_compiler_is_new_enough() -> Result<()> {
    let said = shell::read(Command::new("/usr/bin/rustc").arg("--version"))?;
    let manifest = fs::read_to_string(shell::root().join("Cargo.toml"))
        .context("cannot read the root Cargo.toml")?;
    let least = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "))
        .map(|value| value.trim_matches('"'))
        .context("the root Cargo.toml names no rust-version")?;
    let found = said.split_whitespace().nth(1).unwrap_or_default();
    if version(found) < version(least) {
        bail!("Debian's rustc-web is {found}, and {least} is needed");
    }
    Ok(())
}

/// Major and minor of a version; what cannot be read is older than anything.
fn version(text: &str) -> (u32, u32) {
    let mut parts = text.split('.').map(|part| part.parse().unwrap_or_default());
    (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    )
}

/// Writes NAME.js and NAME_bg.wasm of each module.
fn bind(modules: &[&str], environment: &Environment, folder: &Path) -> Result<()> {
    shell::run(
        shell::cargo()
            .args(["build", "-p", BINDER])
            .env("CARGO_TARGET_DIR", &environment.target),
    )?;
    for module in modules {
        let compiled = wasm_target(environment)
            .join(TARGET)
            .join(PROFILE)
            .join(format!("{module}.wasm"));
        shell::run(
            shell::command(environment.programs("debug").join(BINDER))
                .arg(compiled)
                .arg(module)
                .arg(folder),
        )?;
    }
    Ok(())
}

/// All files below a folder, or the file itself; nothing where nothing is.
fn list(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_file() {
        files.push(path.to_owned());
        return Ok(());
    }
    if !path.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(path).with_context(|| format!("cannot list {}", path.display()))? {
        list(&entry.context("cannot list a folder")?.path(), files)?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut files = Vec::new();
    list(from, &mut files)?;
    for file in files {
        let target = to.join(file.strip_prefix(from).unwrap_or(&file));
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot make {}", parent.display()))?;
        }
        fs::copy(&file, &target).with_context(|| format!("cannot copy {}", file.display()))?;
    }
    Ok(())
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}

/// Keeps the poll well below the wait it belongs to.
const _: () = assert!(RUSTUP_POLL.as_millis() < RUSTUP_TARGET_TIMEOUT.as_millis() / 10);

#[cfg(test)]
mod tests {
    use super::{MODULES, copy, stamp, version};
    use crate::workspace::Workspace;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(version("1.96.0+dfsg1") > version("1.95"));
        assert!(version("1.100.0") > version("1.95.1"));
        assert!(version("1.63.0") < version("1.95"));
        assert!(version("nothing") < version("1.0"));
    }

    #[test]
    fn the_stamp_follows_the_modules_and_repeats() {
        let workspace = Workspace::load().expect("this test runs inside the workspace");
        let modules: Vec<_> = MODULES
            .iter()
            .copied()
            .filter(|module| workspace.members.contains_key(*module))
            .collect();
        let first = stamp(&modules, &workspace).expect("the tree can be read");
        assert_eq!(first, stamp(&modules, &workspace).expect("and read again"));
        assert_ne!(first, stamp(&[], &workspace).expect("without modules"));
    }

    #[test]
    fn folders_are_copied_with_what_is_below() {
        let from = tempfile::tempdir().expect("a folder");
        let to = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(from.path().join("fonts")).expect("a folder below");
        std::fs::write(from.path().join("fonts/a"), "x").expect("a file below");
        copy(from.path(), to.path()).expect("a copy");
        let copied = std::fs::read_to_string(to.path().join("fonts/a")).expect("the copy");
        assert_eq!(copied, "x");
    }
}
