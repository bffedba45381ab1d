//! `cargo xtask bundle`: the installers of this system, and with `--check` their trial in a root of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::build::Environment;
use crate::setup::{self, Need};
use crate::workspace::Workspace;
use crate::{home, shell, ui};

/// What goes into the installers.
const PROGRAMS: &[&str] = &["neurascale-desktop", "neurascale-engine", "neurascale"];
const PACKAGES: &[&str] = &["neurascale-desktop", "engine", "cli"];

/// The bundler, pinned: the one that belongs to the Tauri in Cargo.lock.
const BUNDLER: &str = "@tauri-apps/cli@2.12.5";

#[derive(Debug, clap::Args)]
pub(crate) struct BundleArgs {
    /// Pack the programs of the dev profile, which tests have built already
    #[arg(long)]
    debug: bool,
    /// Install the package in a Debian root of its own, start it, upgrade it, remove it; needs root
    #[arg(long)]
    check: bool,
}

pub(crate) fn bundle(args: &BundleArgs) -> Result<ExitCode> {
    setup::ensure(Need::Build)?;
    let environment = Environment {
        target: home::target()?,
        pyenv: None,
        soak: false,
    };
    let profile = profile(args.debug);
    let _lock = home::lock(&environment.target)?;
    ui::ensure(&environment, &Workspace::load()?)?;
    let mut build = shell::cargo();
    build.args(["build", "--bins"]);
    for package in PACKAGES {
        build.args(["-p", package]);
    }
    if !args.debug {
        build.arg("--release");
    }
    shell::run(build.envs(environment.variables(profile)))?;
    let made = pack(&environment, args.debug)?;
    if args.check {
        check(deb(&made)?, &environment)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Packs the programs that the tests ran, and tries the package. Says so and does nothing where that cannot
/// be done: on another system than Debian's, or without the rights to make a root.
pub(crate) fn trial(environment: &Environment) -> Result<()> {
    if !shell::works(shell::command("apt-get").arg("--version")) || !is_root()? {
        println!(
            "SKIPPED: the package's trial needs Debian's apt, and root to change into a root of its own"
        );
        return Ok(());
    }
    let made = pack(environment, true)?;
    check(deb(&made)?, environment)
}

const fn profile(debug: bool) -> &'static str {
    if debug { "debug" } else { "release" }
}

/// Makes the installers of the programs that stand in the target folder.
fn pack(environment: &Environment, debug: bool) -> Result<Vec<PathBuf>> {
    setup::ensure_installers(Need::Build)?;
    let profile = profile(debug);
    let licences = environment.target.join("third-party-licences.txt");
    fs::write(&licences, third_party()?)
        .with_context(|| format!("cannot write {}", licences.display()))?;
    let mut command = shell::command("npx");
    command
        .args([
            "--yes",
            BUNDLER,
            "bundle",
            "--bundles",
            "deb,rpm",
            "--no-sign",
        ])
        .arg("--config")
        .arg(config(&environment.programs(profile), &licences).to_string())
        .envs(environment.variables(profile));
    if debug {
        command.arg("--debug");
    }
    shell::run(&mut command)?;

    let folder = environment.programs(profile).join("bundle");
    let mut made = Vec::new();
    for kind in ["deb", "rpm"] {
        made.extend(files_ending(&folder.join(kind), kind)?);
    }
    for file in &made {
        let bytes = fs::metadata(file).map_or(0, |about| about.len());
        println!("{} ({} MB)", file.display(), bytes / 1_000_000);
    }
    Ok(made)
}

fn deb(made: &[PathBuf]) -> Result<&PathBuf> {
    made.iter()
        .find(|file| file.extension().is_some_and(|end| end == "deb"))
        .context("no .deb was made")
}

fn is_root() -> Result<bool> {
    Ok(shell::read(shell::command("id").arg("-u"))?.trim() == "0")
}

/// Where everything beside the window goes; merged into tauri.conf.json.
fn config(programs: &Path, licences: &Path) -> Value {
    let root = shell::root();
    let mut files = BTreeMap::from([
        (
            "/usr/lib/systemd/system/neurascale-engine.service".to_owned(),
            root.join("assets/systemd/neurascale-engine.service"),
        ),
        (
            "/usr/share/polkit-1/rules.d/60-neurascale.rules".to_owned(),
            root.join("assets/polkit/60-neurascale.rules"),
        ),
        (
            "/usr/lib/udev/rules.d/70-neurascale.rules".to_owned(),
            root.join("assets/udev/70-neurascale.rules"),
        ),
        (
            "/usr/lib/sysusers.d/neurascale.conf".to_owned(),
            root.join("src-tauri/packaging/neurascale.sysusers"),
        ),
        (
            "/usr/share/doc/neurascale/LICENSE".to_owned(),
            root.join("LICENSE"),
        ),
        (
            "/usr/share/doc/neurascale/third-party-licences.txt".to_owned(),
            licences.to_owned(),
        ),
    ]);
    for program in PROGRAMS.iter().filter(|program| **program != PROGRAMS[0]) {
        files.insert(format!("/usr/bin/{program}"), programs.join(program));
    }
    json!({ "bundle": { "linux": { "deb": { "files": files }, "rpm": { "files": files } } } })
}

/// Every package that is compiled into the programs, with its licence and the licence's own text.
fn third_party() -> Result<String> {
    let text = shell::read(shell::cargo().args(["metadata", "--format-version", "1", "--locked"]))?;
    let metadata: Value = serde_json::from_str(&text).context("cannot read cargo metadata")?;
    let wanted = linked(&metadata);
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut list = String::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let id = package["id"].as_str().unwrap_or_default();
        if package["source"].is_null() || !wanted.contains(id) {
            continue;
        }
        let word = |name: &str| package[name].as_str().unwrap_or("see its text").to_owned();
        let name = format!("{} {}", word("name"), word("version"));
        list += &format!("{name}: {}\n", word("license"));
        let manifest = word("manifest_path");
        let folder = Path::new(&manifest).parent().map(Path::to_owned);
        for text in licence_texts(&folder.unwrap_or_default())? {
            texts.entry(text).or_default().push(name.clone());
        }
    }
    let mut out = format!("What NeuraScale Workstation is built on, and its licences.\n\n{list}");
    for (text, names) in texts {
        out += &format!("\n{}\n{}\n\n{}\n", "-".repeat(78), names.join(", "), text);
    }
    Ok(out)
}

/// Ids of all packages that the programs' packages reach other than for tests.
fn linked(metadata: &Value) -> BTreeSet<String> {
    let nodes: BTreeMap<&str, &Value> = metadata["resolve"]["nodes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|node| Some((node["id"].as_str()?, node)))
        .collect();
    let mut open: Vec<String> = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|package| {
            package["source"].is_null()
                && PACKAGES
                    .iter()
                    .chain(&["app", "scope"])
                    .any(|name| package["name"] == *name)
        })
        .filter_map(|package| package["id"].as_str().map(str::to_owned))
        .collect();
    let mut found = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !found.insert(id.clone()) {
            continue;
        }
        let deps = nodes.get(id.as_str()).map(|node| &node["deps"]);
        for dep in deps.and_then(Value::as_array).into_iter().flatten() {
            let compiled_in = dep["dep_kinds"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|kind| kind["kind"].is_null());
            if let (true, Some(id)) = (compiled_in, dep["pkg"].as_str()) {
                open.push(id.to_owned());
            }
        }
    }
    found
}

fn licence_texts(folder: &Path) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?
    {
        let path = entry.context("cannot list a package")?.path();
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().to_uppercase())
            .unwrap_or_default();
        let telling = ["LICENSE", "LICENCE", "COPYING", "NOTICE"];
        if path.is_file() && telling.iter().any(|word| name.starts_with(word)) {
            let bytes =
                fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            texts.push(String::from_utf8_lossy(&bytes).trim().to_owned());
        }
    }
    Ok(texts)
}

fn files_ending(folder: &Path, end: &str) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?
    {
        let path = entry.context("cannot list a folder")?.path();
        if path.extension().is_some_and(|found| found == end) {
            files.push(path);
        }
    }
    Ok(files)
}

/// Installs, starts, upgrades and removes the package in a Debian root of its own.
fn check(deb: &Path, environment: &Environment) -> Result<()> {
    if !is_root()? {
        bail!("--check needs root: it makes a Debian root and changes into it");
    }
    setup::ensure_installers(Need::Tests)?;
    let (mirror, suite) = mirror()?;
    let root = environment.target.join("bundle-root");
    if !root.join("etc/debian_version").is_file() {
        let next = environment.target.join("bundle-root.next");
        if next.exists() {
            fs::remove_dir_all(&next).context("cannot remove a half-made root")?;
        }
        shell::run(
            shell::command("debootstrap")
                .args(["--variant=minbase", &suite])
                .arg(&next)
                .arg(&mirror),
        )?;
        fs::rename(&next, &root).context("cannot put the root in place")?;
    }
    fs::copy(deb, root.join("tmp/neurascale.deb")).context("cannot copy the package")?;
    let script = shell::root().join("src-tauri/packaging/trial.sh");
    fs::copy(script, root.join("tmp/trial.sh")).context("cannot copy the trial")?;
    // A mount and process space of its own: whatever the trial leaves behind ends with it.
    shell::run(
        shell::command("unshare")
            .args(["--mount", "--pid", "--fork", "--kill-child"])
            .arg(format!("--mount-proc={}", root.join("proc").display()))
            .arg("chroot")
            .arg(&root)
            .args(["/bin/sh", "/tmp/trial.sh"]),
    )
}

/// The mirror and suite that this machine's own apt uses.
fn mirror() -> Result<(String, String)> {
    let listed = shell::read(shell::command("apt-get").args([
        "indextargets",
        "--format",
        "$(SITE) $(CODENAME) $(COMPONENT)",
        "Created-By: Packages",
    ]))?;
    listed
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?, words.next()?, words.next()?))
        })
        .find(|(_, suite, component)| !suite.contains('-') && *component == "main")
        .map(|(site, suite, _)| (site.to_owned(), suite.to_owned()))
        .context("this machine's apt names no mirror of a release")
}

#[cfg(test)]
mod tests {
    use super::linked;
    use serde_json::json;

    #[test]
    fn only_what_is_compiled_in_is_listed() {
        let kind = |kind: Option<&str>| json!([{ "kind": kind, "target": null }]);
        let metadata = json!({
            "packages": [{ "id": "cli#1", "name": "cli", "source": null }],
            "resolve": { "nodes": [
                { "id": "cli#1", "deps": [
                    { "pkg": "a#1", "dep_kinds": kind(None) },
                    { "pkg": "b#1", "dep_kinds": kind(Some("dev")) },
                ] },
                { "id": "a#1", "deps": [{ "pkg": "c#1", "dep_kinds": kind(None) }] },
                { "id": "c#1", "deps": [] },
            ] },
        });
        let found: Vec<_> = linked(&metadata).into_iter().collect();
        assert_eq!(found, ["a#1", "c#1", "cli#1"]);
    }
}
