//! Habits of the tree: sizes, names, and what a file must not say.

use crate::assert_none;
use crate::tree::{files, folder, members, read, sources};

/// A longer file holds more than one thing.
const MAX_LINES: usize = 900;

/// Written apart, so that this file does not contain what it looks for.
const MACHINE_PATHS: &[&str] = &[
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
    concat!("C:\\Us", "ers\\"),
    concat!("/wo", "rk/"),
    concat!("/private/", "tmp"),
];

/// A mirror or a private registry in a tracked file would be asked by everyone who builds.
const REGISTRY_SETTINGS: &[&str] = &[
    concat!("index-", "url"),
    concat!("index_", "url"),
    concat!("find-", "links"),
    concat!("trusted-", "host"),
    concat!("replace-", "with"),
    concat!("npm_config_", "registry"),
];

/// The same as tables of a cargo configuration.
const REGISTRY_TABLES: &[&str] = &[concat!("[reg", "istries."), concat!("[sou", "rce.")];

/// All matches of any of `patterns`, with file and line.
fn lines_with<'a>(
    files: impl Iterator<Item = &'a String>,
    matches: impl Fn(&str) -> bool,
) -> Vec<String> {
    let mut findings = Vec::new();
    for file in files {
        for (number, line) in read(file).lines().enumerate() {
            if matches(line) {
                let shown: String = line.trim().chars().take(100).collect();
                findings.push(format!("{file}:{}: {shown}", number + 1));
            }
        }
    }
    findings
}

#[test]
fn files_stay_short() {
    let text = [".rs", ".py", ".sh", ".toml", ".md", ".sql", ".html", ".css"];
    let long = files()
        .iter()
        .filter(|file| text.iter().any(|end| file.ends_with(end)))
        .filter_map(|file| {
            let lines = read(file).lines().count();
            (lines > MAX_LINES).then(|| format!("{file}: {lines} lines"))
        });
    assert_none(
        &format!("no file is longer than {MAX_LINES} lines"),
        long.collect(),
    );
}

#[test]
fn no_path_of_a_machine() {
    // Golden recordings and documents are read as well: tools like to write paths into them.
    let found = lines_with(files().iter(), |line| {
        MACHINE_PATHS.iter().any(|path| line.contains(path))
    });
    assert_none("nothing in the tree knows where it was developed", found);
}

#[test]
fn no_registry_settings() {
    // The policy names the one public registry that Cargo.lock may speak of.
    let read = files().iter().filter(|file| *file != "deny.toml");
    let found = lines_with(read, |line| {
        let table = line.trim_start();
        REGISTRY_SETTINGS
            .iter()
            .any(|setting| line.contains(setting))
            || REGISTRY_TABLES
                .iter()
                .any(|name| table.starts_with(name) && table.trim_end().ends_with(']'))
    });
    assert_none(
        "where packages come from is set on a machine, not in the tree",
        found,
    );
}

#[test]
fn ignored_tests_say_why() {
    let bare = concat!("#[ign", "ore]");
    assert_none(
        "an ignored test has its reason",
        lines_with(sources(), |line| line.contains(bare)),
    );
}

#[test]
fn queues_are_bounded() {
    // Clippy bans the calls; this finds what hides behind a macro, an alias or an allow.
    let names = [
        concat!("unbounded_", "channel"),
        concat!("unbound", "ed("),
        concat!("Unbounded", "Sender"),
    ];
    let found = lines_with(sources(), |line| {
        names.iter().any(|name| line.contains(name))
    });
    assert_none(
        "every queue has a limit, and a decision about what happens when it is full",
        found,
    );
}

#[test]
fn unsafe_code_is_explained() {
    let mut findings = Vec::new();
    let allowed = concat!("allow(unsafe", "_code");
    for file in sources() {
        let text = read(file);
        let lines: Vec<_> = text.lines().collect();
        for (at, line) in lines
            .iter()
            .enumerate()
            .filter(|(_, line)| line.contains(allowed))
        {
            let near = &lines[at.saturating_sub(3)..(at + 4).min(lines.len())];
            if !line.contains("reason")
                && !near
                    .iter()
                    .any(|line| line.contains("SAFETY") || line.contains("Safety"))
            {
                findings.push(format!("{file}:{}", at + 1));
            }
        }
    }
    assert_none(
        "where unsafe code is allowed, a reason or a SAFETY comment proves it",
        findings,
    );
}

#[test]
fn limits_have_one_home() {
    let mut findings = Vec::new();
    for package in members() {
        let source = format!("{}/src/", folder(package));
        let named = |name: &str| -> Vec<&String> {
            files()
                .iter()
                .filter(|file| file.starts_with(&source) && file.ends_with(name))
                .collect()
        };
        let (limits, configs) = (named("/limits.rs"), named("/config.rs"));
        // A config.rs that only shapes what a caller passes in may stand beside the limits.
        let also = configs
            .into_iter()
            .filter(|file| limits.is_empty() || read(file).contains("const "));
        let homes: Vec<_> = limits.iter().copied().chain(also).collect();
        if homes.len() > 1 {
            findings.push(format!("{}: {homes:?}", package.name));
        }
    }
    assert_none(
        "the limits and defaults of a crate stand in one file",
        findings,
    );
}

#[test]
fn every_source_file_says_what_it_is() {
    // Entry points of tests included: the first line is what a reader of a list of files needs.
    let silent = sources().filter(|file| {
        let text = read(file);
        let first = text
            .lines()
            .find(|line| !line.trim().is_empty() && !line.starts_with("#!["));
        !first.is_some_and(|line| line.starts_with("//"))
    });
    assert_none(
        "every source file begins with a line that says what it is",
        silent.cloned().collect(),
    );
}

#[test]
fn the_top_level_stays_as_drawn() {
    const TOP: [&str; 10] = [
        "Cargo.toml",
        "Cargo.lock",
        "README.md",
        "LICENSE",
        "deny.toml",
        "assets",
        "device-drivers",
        "src-tauri",
        "ui",
        "sync",
    ];
    let strange = files().iter().filter_map(|file| {
        let top = file.split('/').next().unwrap_or_default();
        (!TOP.contains(&top) && top != "tests" && !top.starts_with('.')).then(|| file.clone())
    });
    assert_none(
        "new things find their place in the rooms that exist",
        strange.collect(),
    );
}

#[test]
fn the_ci_runs_what_a_person_runs() {
    let script = read(".ci/run");
    let commands: Vec<_> = script
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .collect();
    assert_eq!(
        commands.len(),
        3,
        "a shell option, the root and one command: {commands:?}"
    );
    assert_eq!(commands.last(), Some(&"exec cargo xtask test"));
}
