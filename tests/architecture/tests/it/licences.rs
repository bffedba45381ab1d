//! Licences and sources of everything we build on, from the policy in deny.toml.

use std::collections::{BTreeMap, BTreeSet};

use crate::assert_none;
use crate::tree::{metadata, read};

/// The policy: which licences, which registries, and packages that a person has read.
struct Policy {
    allowed: BTreeSet<String>,
    registries: BTreeSet<String>,
    /// Expressions that stand in for those a package does not declare.
    clarified: BTreeMap<String, String>,
    /// Licences allowed to one package only.
    exceptions: BTreeMap<String, BTreeSet<String>>,
    banned: BTreeSet<String>,
}

fn policy() -> Policy {
    let policy: toml::Table = read("deny.toml").parse().expect("deny.toml is valid TOML");
    let texts = |value: &toml::Value| -> BTreeSet<String> {
        let list = value.as_array().into_iter().flatten();
        list.filter_map(toml::Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    let rows = |section: &str, key: &str| -> Vec<toml::Table> {
        let list = policy[section]
            .get(key)
            .and_then(toml::Value::as_array)
            .into_iter()
            .flatten();
        list.filter_map(toml::Value::as_table).cloned().collect()
    };
    let text = |row: &toml::Table, key: &str| -> String {
        row.get(key)
            .and_then(toml::Value::as_str)
            .unwrap_or_else(|| panic!("{row:?} lacks `{key}`"))
            .to_owned()
    };
    Policy {
        allowed: texts(&policy["licenses"]["allow"]),
        registries: texts(&policy["sources"]["allow-registry"]),
        clarified: rows("licenses", "clarify")
            .iter()
            .map(|row| (text(row, "crate"), text(row, "expression")))
            .collect(),
        exceptions: rows("licenses", "exceptions")
            .iter()
            .map(|row| (text(row, "crate"), texts(&row["allow"])))
            .collect(),
        banned: rows("bans", "deny")
            .iter()
            .map(|row| text(row, "crate"))
            .collect(),
    }
}

#[test]
fn every_licence_is_allowed() {
    let policy = policy();
    let mut findings = Vec::new();
    for package in metadata()
        .packages
        .iter()
        .filter(|package| package.source.is_some())
    {
        let name = package.name.as_str();
        let Some(expression) = policy.clarified.get(name).or(package.license.as_ref()) else {
            findings.push(format!(
                "{name} {} declares no licence; read it and add a clarify entry",
                package.version
            ));
            continue;
        };
        let excepted = policy.exceptions.get(name);
        let is_allowed = |licence: &str| {
            policy.allowed.contains(licence) || excepted.is_some_and(|set| set.contains(licence))
        };
        if !permits(expression, &is_allowed) {
            findings.push(format!("{name} {}: {expression}", package.version));
        }
    }
    assert_none(
        "every dependency has a licence that deny.toml allows",
        findings,
    );
}

#[test]
fn every_source_is_allowed() {
    let policy = policy();
    let strange = metadata().packages.iter().filter_map(|package| {
        let source = package
            .source
            .as_ref()?
            .repr
            .strip_prefix("registry+")
            .map(str::to_owned);
        let known = source.is_some_and(|source| policy.registries.contains(&source));
        (!known).then(|| format!("{} {}", package.name, package.version))
    });
    assert_none(
        "every dependency comes from a registry that deny.toml allows",
        strange.collect(),
    );
}

#[test]
fn no_banned_package_is_built() {
    let policy = policy();
    // Only what some member really uses; the lock file also lists optional packages that nobody enables.
    let resolve = metadata().resolve.as_ref().expect("resolved dependencies");
    let used: BTreeSet<_> = resolve.nodes.iter().map(|node| &node.id).collect();
    let banned = metadata().packages.iter().filter(|package| {
        used.contains(&package.id) && policy.banned.contains(package.name.as_str())
    });
    assert_none(
        "deny.toml bans these, with reasons",
        banned
            .map(|package| format!("{} {}", package.name, package.version))
            .collect(),
    );
}

#[test]
fn own_licence_is_the_one_in_the_tree() {
    assert!(read("LICENSE").contains("Apache License"));
    let others = metadata()
        .workspace_packages()
        .into_iter()
        .filter(|p| p.license.as_deref() != Some("Apache-2.0"));
    assert_none(
        "every member is Apache-2.0",
        others.map(|package| package.name.to_string()).collect(),
    );
}

#[test]
fn clarified_and_excepted_packages_exist_and_have_a_reason() {
    let policy = policy();
    let names: BTreeSet<_> = metadata()
        .packages
        .iter()
        .map(|package| package.name.to_string())
        .collect();
    let text = read("deny.toml");
    let lines: Vec<_> = text.lines().collect();
    let mut findings = Vec::new();
    for name in policy.clarified.keys().chain(policy.exceptions.keys()) {
        if !names.contains(name) {
            findings.push(format!("{name} is no longer a dependency"));
        }
        let said = lines
            .iter()
            .position(|line| line.contains(&format!("crate = \"{name}\"")))
            .is_some_and(|at| {
                // The comment stands on the line itself, or above the entry or its table heading.
                lines[at].contains('#')
                    || lines[at.saturating_sub(2)..at]
                        .iter()
                        .any(|line| line.trim().starts_with('#'))
            });
        if !said {
            findings.push(format!("{name} has no reason beside it"));
        }
    }
    assert_none(
        "an exception to the licence policy is current and has its reason",
        findings,
    );
}

#[test]
fn clarified_packages_carry_the_text_of_their_licence() {
    let policy = policy();
    let mut findings = Vec::new();
    for package in metadata()
        .packages
        .iter()
        .filter(|package| policy.clarified.contains_key(package.name.as_str()))
    {
        let expression = &policy.clarified[package.name.as_str()];
        // The sentence that makes the licence what it is; another licence adds another.
        let sentence = match expression.as_str() {
            "MIT" => "Permission is hereby granted, free of charge",
            _ => {
                findings.push(format!(
                    "{}: no sentence known for {expression}",
                    package.name
                ));
                continue;
            }
        };
        let folder = package
            .manifest_path
            .parent()
            .expect("a manifest lies in a folder");
        let text = package
            .license_file
            .as_ref()
            .and_then(|file| std::fs::read_to_string(folder.join(file)).ok());
        if !text.is_some_and(|text| text.contains(sentence)) {
            findings.push(format!(
                "{}: its licence file does not say {expression}",
                package.name
            ));
        }
    }
    assert_none(
        "what deny.toml clarifies is what the package itself says",
        findings,
    );
}

/// Whether a licence expression (SPDX; also the old `MIT/Apache-2.0`) leaves an allowed choice.
fn permits(expression: &str, allowed: &impl Fn(&str) -> bool) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let words: Vec<_> = spaced.split_whitespace().collect();
    let mut parser = Parser {
        words: &words,
        at: 0,
    };
    let permitted = parser.any(allowed);
    permitted && parser.at == words.len()
}

struct Parser<'a> {
    words: &'a [&'a str],
    at: usize,
}

impl Parser<'_> {
    fn take(&mut self, word: &str) -> bool {
        let found = self
            .words
            .get(self.at)
            .is_some_and(|next| next.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    // AND binds tighter than OR, WITH tighter than both. Both sides are always read, so that the
    // parser ends behind the whole expression.
    fn any(&mut self, allowed: &impl Fn(&str) -> bool) -> bool {
        let mut permitted = self.all(allowed);
        while self.take("OR") {
            permitted |= self.all(allowed);
        }
        permitted
    }

    fn all(&mut self, allowed: &impl Fn(&str) -> bool) -> bool {
        let mut permitted = self.one(allowed);
        while self.take("AND") {
            permitted &= self.one(allowed);
        }
        permitted
    }

    fn one(&mut self, allowed: &impl Fn(&str) -> bool) -> bool {
        if self.take("(") {
            return self.any(allowed) & self.take(")");
        }
        let Some(licence) = self.words.get(self.at).copied() else {
            return false;
        };
        self.at += 1;
        if !self.take("WITH") {
            return allowed(licence);
        }
        let exception = self.words.get(self.at).copied().unwrap_or_default();
        self.at += 1;
        allowed(&format!("{licence} WITH {exception}"))
    }
}

#[test]
fn licence_expressions() {
    let allowed =
        |licence: &str| ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].contains(&licence);
    let check = |expression: &str, expected: bool| {
        assert_eq!(permits(expression, &allowed), expected, "{expression}");
    };
    check("MIT", true);
    check("GPL-3.0", false);
    check("GPL-3.0 OR MIT", true);
    check("GPL-3.0/MIT", true);
    check("GPL-3.0 AND MIT", false);
    check("MIT AND ISC", true);
    check("(MIT OR GPL-3.0) AND ISC", true);
    check("MIT OR GPL-3.0 AND ISC", true);
    check("(GPL-3.0 OR MIT) AND OpenSSL", false);
    check("Apache-2.0 WITH LLVM-exception", true);
    check("Apache-2.0", false);
    check("Apache-2.0 WITH LLVM-exception OR GPL-3.0", true);
    check("MIT ISC", false);
    check("(MIT", false);
    check("", false);
}
