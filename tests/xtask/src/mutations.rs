//! Faults that are put into the program on purpose: each must turn its test red, or the test proves nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::build::Environment;
use crate::shell;

/// A change of one place, and the test that notices it.
#[derive(Debug)]
struct Mutation {
    fault: &'static str,
    file: &'static str,
    /// Stands in the file exactly once.
    find: &'static str,
    replace: &'static str,
    package: &'static str,
    test: &'static str,
}

const TOKENS: &str = "sync/gateway/src/trust/tokens.rs";
const JWS: &str = "sync/gateway/src/trust/jws.rs";
const POLICIES: &str = "sync/gateway/policies/default.cedar";

const MUTATIONS: &[Mutation] = &[
    Mutation {
        fault: "a token for another audience is taken",
        file: TOKENS,
        find: "if !claims.aud.holds(audience) {",
        replace: "if false && !claims.aud.holds(audience) {",
        package: "gateway",
        test: "what_another_issuer_says_of_roles_and_sites_decides_nothing",
    },
    Mutation {
        fault: "an expired token is taken",
        file: TOKENS,
        find: "if claims.exp.saturating_add(leeway_s) <= now_s {",
        replace: "if false && claims.exp.saturating_add(leeway_s) <= now_s {",
        package: "gateway",
        test: "a_token_holds_for_its_audience_and_time",
    },
    Mutation {
        fault: "a token may name its algorithm, 'none' among them",
        file: JWS,
        find: "if self.header.alg != key.algorithm.to_string() {",
        replace: "if self.header.alg == \"none\" {\n            return self.unproven_claims();\n        }\n        if false {",
        package: "gateway",
        test: "no_header_talks_a_key_into_another_algorithm",
    },
    Mutation {
        fault: "a signature is not checked",
        file: JWS,
        find: "if !key.verifies(self.message, &self.signature) {",
        replace: "if false && !key.verifies(self.message, &self.signature) {",
        package: "gateway",
        test: "one_changed_letter_proves_nothing",
    },
    Mutation {
        fault: "policies do not compare the site",
        file: POLICIES,
        find: "when { principal.site != resource.site }",
        replace: "when { principal.site != principal.site }",
        package: "gateway",
        test: "no_route_is_left_open",
    },
    Mutation {
        fault: "events of other sites are read",
        file: "sync/gateway/src/event_api/query.rs",
        find: "site: Some(site.to_owned()),",
        replace: "site: None.or((!site.is_ascii()).then(|| site.to_owned())),",
        package: "gateway",
        test: "sites_do_not_see_each_other",
    },
    Mutation {
        fault: "a commit is not on the disk when it is acknowledged",
        file: "src-tauri/crates/logstore/src/log_store.rs",
        find: ".synchronous(SqliteSynchronous::Full)",
        replace: ".synchronous(SqliteSynchronous::Off)",
        package: "logstore",
        test: "there_is_one_sqlite_and_it_is_sqlcipher",
    },
    Mutation {
        fault: "a recording's writes are not synced",
        file: "src-tauri/crates/recording/src/container.rs",
        find: "pub(crate) fn sync(&mut self, storage: &dyn Storage, folder: &Path) -> Result<()> {",
        replace: "pub(crate) fn sync(&mut self, storage: &dyn Storage, folder: &Path) -> Result<()> {\n        if folder.as_os_str().len() < usize::MAX {\n            return Ok(());\n        }",
        package: "recording",
        test: "power",
    },
    Mutation {
        fault: "an event that is appended again stands there twice",
        file: "src-tauri/crates/logstore/migrations/sqlite/0001_log.sql",
        find: "event_id       BLOB    NOT NULL UNIQUE,",
        replace: "event_id       BLOB    NOT NULL,",
        package: "logstore",
        test: "it_is_an_event_log",
    },
    Mutation {
        fault: "a changed line of the audit goes unnoticed",
        file: "sync/gateway/src/service/verify.rs",
        find: "Ok(hash) if hash == batch.sha256 => {",
        replace: "Ok(hash) if !hash.is_empty() => {",
        package: "gateway",
        test: "the_record_is_signed_proven_and_checked_as_a_whole",
    },
    Mutation {
        fault: "a limit on requests lets everybody through",
        file: "sync/gateway/src/edge/rate.rs",
        find: "self.minute.sum(now) < options.per_minute && self.hour.sum(now) < options.per_hour;",
        replace: "self.minute.sum(now) < u32::MAX && self.hour.sum(now) < options.per_hour.max(u32::MAX);",
        package: "gateway",
        test: "who_asks_too_much_waits_and_others_do_not",
    },
];

/// Puts in one fault after another, in a copy of the tree, and expects the test of each to fail.
pub(crate) fn run(environment: &Environment, filters: &[String]) -> Result<()> {
    let wanted: Vec<_> = MUTATIONS
        .iter()
        .filter(|mutation| {
            filters.is_empty()
                || filters
                    .iter()
                    .any(|filter| mutation.test.contains(filter.as_str()) || filter == "mutations")
        })
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let tree = environment.target.join("mutations/tree");
    copy_tree(&tree)?;
    let tests: BTreeSet<_> = wanted
        .iter()
        .map(|mutation| (mutation.package, mutation.test))
        .collect();
    for (package, test) in tests {
        if !passes(environment, &tree, package, test)? {
            bail!("{package}::{test} fails without any fault");
        }
    }
    let mut survived = Vec::new();
    for mutation in wanted {
        let path = tree.join(mutation.file);
        let whole = read(&path)?;
        write(&path, &whole.replacen(mutation.find, mutation.replace, 1))?;
        let passed = passes(environment, &tree, mutation.package, mutation.test);
        write(&path, &whole)?;
        let verdict = if passed? { "SURVIVED" } else { "noticed" };
        println!(
            "{verdict}: {} ({}::{})",
            mutation.fault, mutation.package, mutation.test
        );
        if verdict == "SURVIVED" {
            survived.push(mutation.fault);
        }
    }
    if survived.is_empty() {
        return Ok(());
    }
    bail!("faults that no test notices: {}", survived.join("; "))
}

/// Whether the tests of that name pass. What does not compile is no fault, and an error here.
fn passes(environment: &Environment, tree: &Path, package: &str, test: &str) -> Result<bool> {
    let cargo = || {
        let mut cargo = shell::cargo();
        cargo.current_dir(tree).args(["test", "--package", package]);
        cargo.envs(environment.variables("debug"));
        cargo.env(
            "CARGO_TARGET_DIR",
            environment.target.join("mutations/target"),
        );
        cargo
    };
    // A fault may leave something unused.
    shell::run(cargo().arg("--no-run").env("RUSTFLAGS", "--cap-lints=warn"))?;
    let mut running = cargo();
    running
        .args(["--", test])
        .env("RUSTFLAGS", "--cap-lints=warn");
    println!("$ {}", shell::shown(&running));
    let output = running.output().context("cannot start cargo")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let ran = text
        .lines()
        .filter(|line| line.starts_with("test result:"))
        .any(|line| !line.contains(" 0 passed; 0 failed"));
    if !ran {
        bail!("{package} has no test named {test}");
    }
    Ok(output.status.success())
}

/// Copies what differs of the tracked files: what is the same keeps its time, and is not built again.
fn copy_tree(to: &Path) -> Result<()> {
    let listed = shell::read(shell::command("git").args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))?;
    for name in listed.lines() {
        let (from, to) = (shell::root().join(name), to.join(name));
        let Ok(bytes) = fs::read(&from) else { continue };
        if fs::read(&to).is_ok_and(|there| there == bytes) {
            continue;
        }
        let folder = to.parent().map_or_else(PathBuf::new, Path::to_owned);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        fs::write(&to, bytes).with_context(|| format!("cannot write {}", to.display()))?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_its_place() {
        for mutation in MUTATIONS {
            let text = read(&shell::root().join(mutation.file)).expect(mutation.file);
            let places = text.matches(mutation.find).count();
            assert_eq!(places, 1, "{}: {}", mutation.file, mutation.fault);
            assert_ne!(mutation.find, mutation.replace);
        }
    }
}
