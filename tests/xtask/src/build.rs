//! One build of programs and tests together, and the test binaries that came out of it.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::workspace::{Selection, Workspace};
use crate::{axe, shell};

/// What every child gets to know.
#[derive(Debug, Clone)]
pub(crate) struct Environment {
    pub(crate) target: PathBuf,
    pub(crate) pyenv: Option<PathBuf>,
    pub(crate) soak: bool,
}

impl Environment {
    /// The folder with the programs of the dev or the release profile.
    pub(crate) fn programs(&self, profile: &str) -> PathBuf {
        self.target.join(profile)
    }

    /// The folder of the window's files that `cargo xtask ui` makes.
    pub(crate) fn ui_dist(&self) -> PathBuf {
        self.target.join("ui-dist")
    }

    /// Name and value of each variable; documented in `cargo xtask --help`.
    pub(crate) fn variables(&self, profile: &str) -> Vec<(&'static str, PathBuf)> {
        let mut variables = vec![
            ("CARGO_TARGET_DIR", self.target.clone()),
            ("NEURASCALE_BIN_DIR", self.programs(profile)),
            ("NEURASCALE_UI_DIST", self.ui_dist()),
            // Streams of a test are looked for on this machine only.
            ("LSLAPICFG", shell::root().join("tests/interop/lsl_api.cfg")),
        ];
        variables.extend(
            self.pyenv
                .clone()
                .map(|folder| ("NEURASCALE_PYENV", folder)),
        );
        variables.extend(axe::file().map(|file| ("NEURASCALE_AXE", file)));
        variables.extend(self.soak.then(|| ("NEURASCALE_SOAK", PathBuf::from("1"))));
        variables
    }
}

#[derive(Debug)]
pub(crate) struct TestBinary {
    pub(crate) package: String,
    /// `lib`, or the name of the program or integration test.
    pub(crate) target: String,
    pub(crate) executable: PathBuf,
    pub(crate) folder: PathBuf,
}

#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) tests: Vec<TestBinary>,
    /// False when something did not compile; what did is in `tests` all the same.
    pub(crate) complete: bool,
}

/// Builds programs and tests in one invocation: asked for apart, cargo would resolve the features of
/// shared dependencies differently (dev-dependencies count only for tests) and compile them twice.
pub(crate) fn tests(
    selection: &Selection,
    environment: &Environment,
    workspace: &Workspace,
) -> Result<Built> {
    let mut command = shell::cargo();
    command
        .args([
            "build",
            "--bins",
            "--tests",
            "--keep-going",
            "--message-format=json-render-diagnostics",
        ])
        .args(selection.arguments())
        .envs(environment.variables("debug"))
        .stdout(Stdio::piped());
    println!("$ {}", shell::shown(&command));
    let mut child = command.spawn().context("cannot start cargo build")?;
    let output = child.stdout.take().context("cargo build has no output")?;
    let mut found = BTreeMap::new();
    for line in BufReader::new(output).lines() {
        let line = line.context("cannot read what cargo build says")?;
        if let Some(test) = test_binary(&line, workspace) {
            found.insert((test.package.clone(), test.target.clone()), test);
        }
    }
    let status = child.wait().context("cannot await cargo build")?;
    Ok(Built {
        tests: found.into_values().collect(),
        complete: status.success(),
    })
}

fn test_binary(line: &str, workspace: &Workspace) -> Option<TestBinary> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
        return None;
    }
    let executable = PathBuf::from(message["executable"].as_str()?);
    let folder = Path::new(message["manifest_path"].as_str()?)
        .parent()?
        .to_owned();
    let (package, _) = workspace
        .members
        .iter()
        .find(|(_, member)| member.folder == folder)?;
    let target = &message["target"];
    let library = target["kind"]
        .as_array()
        .is_some_and(|kinds| kinds.iter().any(|kind| kind == "lib"));
    let target = if library {
        "lib"
    } else {
        target["name"].as_str()?
    };
    Some(TestBinary {
        package: package.clone(),
        target: target.to_owned(),
        executable,
        folder,
    })
}

#[cfg(test)]
mod tests {
    use super::test_binary;
    use crate::workspace::Workspace;

    #[test]
    fn only_test_artifacts_of_members_are_taken() {
        let workspace = Workspace::load().expect("this test runs inside the workspace");
        let folder = workspace.members["xtask"].folder.display().to_string();
        let line = |test: bool, manifest: &str| {
            serde_json::json!({
                "reason": "compiler-artifact", "manifest_path": manifest, "profile": {"test": test},
                "target": {"kind": ["bin"], "name": "xtask"}, "executable": "/x"
            })
            .to_string()
        };
        let own = format!("{folder}/Cargo.toml");
        let taken =
            test_binary(&line(true, &own), &workspace).expect("a test artifact of a member");
        assert_eq!(
            (taken.package.as_str(), taken.target.as_str()),
            ("xtask", "xtask")
        );
        assert!(
            test_binary(&line(false, &own), &workspace).is_none(),
            "a program is no test"
        );
        assert!(
            test_binary(&line(true, "/elsewhere/Cargo.toml"), &workspace).is_none(),
            "not a member"
        );
        assert!(test_binary("not JSON", &workspace).is_none());
    }
}
