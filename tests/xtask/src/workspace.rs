//! The members of the workspace, and what a change touches.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::shell;

/// Test packages that start these programs without depending on their crates.
const DRIVEN_PROGRAMS: &[&str] = &["cli", "emulators", "engine", "neurascale-desktop"];
const DRIVERS_OF_PROGRAMS: &[&str] = &[
    "end-to-end",
    "faults",
    "interop",
    "benches",
    "desktop-tests",
];

/// Checks the whole tree, whatever was touched, and takes seconds.
pub(crate) const ARCHITECTURE: &str = "architecture";

#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) folder: PathBuf,
    depends_on: BTreeSet<String>,
}

#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) members: BTreeMap<String, Member>,
}

/// Which members a command is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selection {
    All,
    Some(BTreeSet<String>),
}

impl Selection {
    pub(crate) fn of(names: &[&str]) -> Self {
        Self::Some(names.iter().map(|&name| name.to_owned()).collect())
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Some(names) => names.contains(name),
        }
    }

    /// `--workspace`, or `-p` for each member.
    pub(crate) fn arguments(&self) -> Vec<String> {
        match self {
            Self::All => vec!["--workspace".to_owned()],
            Self::Some(names) => names
                .iter()
                .flat_map(|name| ["-p".to_owned(), name.clone()])
                .collect(),
        }
    }
}

impl Workspace {
    pub(crate) fn load() -> Result<Self> {
        let text =
            shell::read(shell::cargo().args(["metadata", "--format-version", "1", "--no-deps"]))?;
        let metadata: Value =
            serde_json::from_str(&text).context("cannot read what cargo metadata says")?;
        let mut members = BTreeMap::new();
        for package in metadata["packages"].as_array().into_iter().flatten() {
            let text = |value: &Value| value.as_str().map(str::to_owned);
            let name =
                text(&package["name"]).context("cargo metadata lists a package without a name")?;
            let manifest =
                text(&package["manifest_path"]).context("cargo metadata lists no manifest path")?;
            let folder = PathBuf::from(manifest)
                .parent()
                .map(PathBuf::from)
                .unwrap_or_default();
            let dependencies = package["dependencies"].as_array().into_iter().flatten();
            let depends_on = dependencies
                .filter(|on| on["path"].is_string())
                .filter_map(|on| text(&on["name"]))
                .collect();
            members.insert(name, Member { folder, depends_on });
        }
        Ok(Self { members })
    }

    /// Members that `files` (relative to the root) belong to, and all that depend on them.
    pub(crate) fn affected_by(&self, files: &[String]) -> Selection {
        let mut touched = BTreeSet::from([ARCHITECTURE.to_owned()]);
        for file in files {
            match self.owner(file) {
                Some(name) => touched.insert(name),
                // Versions, profiles and lints concern everyone.
                None if ["Cargo.toml", "Cargo.lock", ".clippy.toml"].contains(&file.as_str()) => {
                    return Selection::All;
                }
                // Montages and electrode positions are compiled into the vocabulary.
                None if file.starts_with("assets/") => touched.insert("signal".to_owned()),
                None if file.starts_with("tests/fuzz/") => touched.insert("faults".to_owned()),
                None => false,
            };
        }
        Selection::Some(self.with_dependents(touched))
    }

    fn owner(&self, file: &str) -> Option<String> {
        let path = shell::root().join(file);
        let owners = self
            .members
            .iter()
            .filter(|(_, member)| path.starts_with(&member.folder));
        owners
            .max_by_key(|(_, member)| member.folder.components().count())
            .map(|(name, _)| name.clone())
    }

    fn with_dependents(&self, mut set: BTreeSet<String>) -> BTreeSet<String> {
        loop {
            let before = set.len();
            for (name, member) in &self.members {
                if !member.depends_on.is_disjoint(&set) {
                    set.insert(name.clone());
                }
            }
            if DRIVEN_PROGRAMS.iter().any(|&name| set.contains(name)) {
                let drivers = DRIVERS_OF_PROGRAMS
                    .iter()
                    .filter(|&&name| self.members.contains_key(name));
                set.extend(drivers.map(|&name| name.to_owned()));
            }
            if set.len() == before {
                return self.with_programs(set);
            }
        }
    }

    /// `names`, and every member they are built from.
    pub(crate) fn with_dependencies(&self, names: &[&str]) -> BTreeSet<String> {
        let mut set = BTreeSet::new();
        let mut open: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        while let Some(name) = open.pop() {
            if let Some(member) = self.members.get(&name)
                && set.insert(name)
            {
                open.extend(member.depends_on.iter().cloned());
            }
        }
        set
    }

    /// Adds the programs that the chosen tests start, so that they are built afresh.
    fn with_programs(&self, mut set: BTreeSet<String>) -> BTreeSet<String> {
        if DRIVERS_OF_PROGRAMS.iter().any(|&name| set.contains(name)) {
            let programs = DRIVEN_PROGRAMS
                .iter()
                .filter(|&&name| self.members.contains_key(name));
            set.extend(programs.map(|&name| name.to_owned()));
        }
        set
    }
}

/// Files that differ from the branch this work will join: from `origin/main` where there is one, else
/// from the commit before, and what is not committed yet.
pub(crate) fn changed_files() -> Result<Vec<String>> {
    let git = |arguments: &[&str]| shell::command("git").args(arguments).output();
    let line = |arguments: &[&str]| {
        let output = git(arguments)
            .ok()
            .filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
            .filter(|text| !text.is_empty())
    };
    let head = line(&["rev-parse", "HEAD"])
        .context("cannot tell what changed: not a git checkout with a commit")?;
    let before = line(&["rev-parse", "HEAD~1"]);
    let base = line(&["merge-base", "HEAD", "origin/main"])
        .or_else(|| before.clone())
        .unwrap_or_else(|| head.clone());
    let since = |base: &str| -> Result<Vec<String>> {
        let changed = shell::read(shell::command("git").args(["diff", "--name-only", base, "--"]))?;
        let new = shell::read(shell::command("git").args([
            "ls-files",
            "--others",
            "--exclude-standard",
        ]))?;
        Ok(changed
            .lines()
            .chain(new.lines())
            .map(str::to_owned)
            .collect())
    };
    let files = since(&base)?;
    match before {
        Some(before) if files.is_empty() && base == head => since(&before),
        _ => Ok(files),
    }
}

#[cfg(test)]
mod tests {
    use super::{Member, Selection, Workspace};
    use crate::shell;

    fn house() -> Workspace {
        let member = |folder: &str, on: &[&str]| Member {
            folder: shell::root().join(folder),
            depends_on: on.iter().map(|&name| name.to_owned()).collect(),
        };
        let members = [
            ("signal", member("src-tauri/crates/signal", &[])),
            ("ledger", member("src-tauri/crates/ledger", &[])),
            ("dsp", member("src-tauri/crates/dsp", &["signal"])),
            ("engine", member("src-tauri/crates/engine", &["dsp"])),
            ("cli", member("src-tauri/crates/cli", &[])),
            ("faults", member("tests/faults", &["ledger"])),
            ("architecture", member("tests/architecture", &[])),
        ];
        Workspace {
            members: members
                .into_iter()
                .map(|(name, member)| (name.to_owned(), member))
                .collect(),
        }
    }

    fn check(files: &[&str], expected: &[&str]) {
        let files: Vec<_> = files.iter().map(|&file| file.to_owned()).collect();
        assert_eq!(
            house().affected_by(&files),
            Selection::of(expected),
            "{files:?}"
        );
    }

    #[test]
    fn a_change_reaches_all_that_depend_on_it() {
        check(
            &["src-tauri/crates/signal/src/lib.rs"],
            &["architecture", "cli", "dsp", "engine", "faults", "signal"],
        );
        check(
            &["assets/montages/banana.toml"],
            &["architecture", "cli", "dsp", "engine", "faults", "signal"],
        );
    }

    #[test]
    fn tests_of_programs_bring_the_programs() {
        check(
            &["src-tauri/crates/ledger/src/lib.rs"],
            &["architecture", "cli", "engine", "faults", "ledger"],
        );
    }

    #[test]
    fn a_document_touches_only_the_architecture() {
        check(&["README.md", "deny.toml"], &["architecture"]);
    }

    #[test]
    fn shared_versions_touch_everything() {
        assert_eq!(
            house().affected_by(&["Cargo.lock".to_owned()]),
            Selection::All
        );
    }
}
