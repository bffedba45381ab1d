//! Who may depend on whom, and what every member must say of itself.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Package};

use crate::assert_none;
use crate::tree::{folder, members, read};

/// Rooms and what they may use of our own crates. Reaching for more is a change of the design: it is
/// made here, with its reason, or not at all.
const ROOMS: &[(&str, &[&str])] = &[
    ("signal", &[]),
    ("ledger", &[]),
    ("ui-types", &[]),
    ("dsp", &["signal"]),
    ("recording", &["signal"]),
    ("contract", &["signal"]),
    // They play what the simulator computes, and know nothing of the drivers that read them.
    ("emulators", &["contract", "signal", "simulated"]),
    // A tool of the drivers' tests: it records what an emulated device sends, as a session would.
    (
        "driver-tests",
        &["acquisition", "contract", "emulators", "signal"],
    ),
    // They define the traits of their storage, so that nothing below them exists.
    ("events", &[]),
    ("workflow", &[]),
    ("clinic", &["signal", "events", "workflow"]),
    ("logstore", &["events", "workflow", "ledger"]),
    // The store is a logstore and more: its unit of work commits an event, a history and a ledger entry
    // together, so it has to name their types.
    (
        "store",
        &[
            "logstore", "clinic", "signal", "events", "workflow", "ledger",
        ],
    ),
    ("acquisition", &["contract", "signal", "dsp"]),
    ("export", &["signal", "recording", "dsp"]),
    ("report", &["signal", "recording", "dsp"]),
    ("temporal", &["workflow"]),
    ("protocol", &["events", "ledger"]),
    // A tool of the gateway's tests and measurements: programs that others wrote, started and stopped.
    ("test-servers", &[]),
    ("client", &["protocol"]),
    (
        "gateway",
        &[
            "protocol",
            "temporal",
            "events",
            "workflow",
            "ledger",
            "logstore",
            "clinic",
            "recording",
            "signal",
        ],
    ),
    ("engine", &["workstation", "ui-types"]),
    ("engine-client", &["ui-types"]),
    // Proofs are checked where no engine of their station runs.
    ("cli", &["engine-client", "ledger", "ui-types"]),
    ("neurascale-desktop", &["engine-client", "ui-types"]),
    ("app", &["ui-types"]),
    ("scope", &["ui-types", "signal"]),
];

/// The composition root wires every room of the desktop, but no process around it and nobody's client.
const WIRES_ALL: &str = "workstation";
const NOT_WIRED: &[&str] = &[
    "engine",
    "engine-client",
    "cli",
    "neurascale-desktop",
    "gateway",
    "temporal",
    "workstation",
    "app",
    "scope",
    "emulators",
    "driver-tests",
    "test-servers",
];

/// What a device driver may use; a driver never knows who records it.
const DRIVER: &[&str] = &["contract", "signal"];

fn is_test(package: &Package) -> bool {
    folder(package).starts_with("tests/")
}

fn is_driver(package: &Package) -> bool {
    folder(package).starts_with("device-drivers/")
        && !["contract", "driver-tests", "emulators"].contains(&package.name.as_str())
}

/// Our own crates that `package` uses, for the given kinds.
fn uses(package: &Package, kinds: &[DependencyKind]) -> BTreeSet<String> {
    let own = package
        .dependencies
        .iter()
        .filter(|on| on.path.is_some() && kinds.contains(&on.kind));
    own.map(|on| on.name.clone()).collect()
}

/// What the table allows to `package`, or None when it has no row.
fn allowed(package: &Package) -> Option<BTreeSet<String>> {
    let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    if package.name.as_str() == WIRES_ALL {
        let rooms = members()
            .into_iter()
            .filter(|room| !is_test(room) && !NOT_WIRED.contains(&room.name.as_str()));
        return Some(rooms.map(|room| room.name.to_string()).collect());
    }
    if is_driver(package) {
        return Some(set(DRIVER));
    }
    ROOMS
        .iter()
        .find(|(room, _)| *room == package.name.as_str())
        .map(|(_, names)| set(names))
}

#[test]
fn rooms_depend_only_on_what_their_row_allows() {
    let mut findings = Vec::new();
    for package in members().into_iter().filter(|package| !is_test(package)) {
        let Some(allowed) = allowed(package) else {
            findings.push(format!("{} has no row in the table", package.name));
            continue;
        };
        // Dev-dependencies may reach further: a conformance suite, a real device to test with.
        let used = uses(package, &[DependencyKind::Normal, DependencyKind::Build]);
        findings.extend(
            used.difference(&allowed)
                .map(|name| format!("{} must not use {name}", package.name)),
        );
    }
    assert_none("a room may depend only on what stands in its row", findings);
}

#[test]
fn the_table_speaks_of_members() {
    let names: BTreeSet<_> = members()
        .iter()
        .map(|package| package.name.to_string())
        .collect();
    let rows = ROOMS
        .iter()
        .flat_map(|(room, on)| on.iter().chain([room]))
        .chain(DRIVER)
        .chain(NOT_WIRED);
    let unknown = rows
        .filter(|name| !names.contains(**name))
        .map(|name| format!("{name} is no member"));
    assert_none("the table names only crates that exist", unknown.collect());
}

#[test]
fn dependencies_have_no_cycle() {
    let all = [
        DependencyKind::Normal,
        DependencyKind::Build,
        DependencyKind::Development,
    ];
    // A crate that enables a feature of itself for its own tests is no cycle.
    let mut open: BTreeMap<String, BTreeSet<String>> = members()
        .iter()
        .map(|package| {
            let name = package.name.to_string();
            let mut on = uses(package, &all);
            on.remove(&name);
            (name, on)
        })
        .collect();
    // Take away what depends on nothing that is left, until nothing can be taken.
    loop {
        let free: Vec<_> = open
            .iter()
            .filter(|(_, on)| on.is_empty())
            .map(|(name, _)| name.clone())
            .collect();
        if free.is_empty() {
            break;
        }
        for name in &free {
            open.remove(name);
            open.values_mut().for_each(|on| {
                on.remove(name);
            });
        }
    }
    let left = open
        .into_iter()
        .map(|(name, on)| format!("{name} uses {on:?}"));
    assert_none(
        "dev-dependencies included, crates form no cycle (each would be compiled twice)",
        left.collect(),
    );
}

#[test]
fn nothing_but_tests_depends_on_tests() {
    let tests: BTreeSet<_> = members()
        .into_iter()
        .filter(|package| is_test(package))
        .map(|package| package.name.to_string())
        .collect();
    let mut findings = Vec::new();
    for package in members().into_iter().filter(|package| !is_test(package)) {
        let all = [
            DependencyKind::Normal,
            DependencyKind::Build,
            DependencyKind::Development,
        ];
        findings.extend(
            uses(package, &all)
                .intersection(&tests)
                .map(|test| format!("{} uses {test}", package.name)),
        );
    }
    assert_none("rooms do not depend on test packages", findings);
}

#[test]
fn every_member_has_its_purpose_beside_it() {
    let manifest = read("Cargo.toml");
    let mut findings = Vec::new();
    for package in members() {
        let entry = format!("\"{}\",", folder(package));
        let purpose = manifest
            .lines()
            .filter_map(|line| line.trim().strip_prefix(&entry))
            .find_map(|rest| rest.trim().strip_prefix('#'))
            .map(str::trim);
        if purpose.is_none_or(|purpose| purpose.split_whitespace().count() < 2) {
            findings.push(format!(
                "{}: no purpose beside its line in the root Cargo.toml",
                package.name
            ));
        }
        if package
            .description
            .as_deref()
            .is_none_or(|text| text.trim().is_empty())
        {
            findings.push(format!("{}: no description", package.name));
        }
    }
    assert_none("every member says what it is for", findings);
}

#[test]
fn members_share_lints_edition_and_licence() {
    let mut findings = Vec::new();
    for package in members() {
        let manifest: toml::Table = read(&format!("{}/Cargo.toml", folder(package)))
            .parse()
            .expect("valid TOML");
        let inherits = |table: &str, key: &str| {
            manifest
                .get(table)
                .and_then(|table| table.get(key))
                .is_some_and(|value| {
                    value.as_bool() == Some(true)
                        || value.get("workspace").and_then(toml::Value::as_bool) == Some(true)
                })
        };
        if !inherits("lints", "workspace") {
            findings.push(format!(
                "{}: lacks `[lints] workspace = true`",
                package.name
            ));
        }
        for key in ["version", "edition", "rust-version", "license", "publish"] {
            if !inherits("package", key) {
                findings.push(format!("{}: lacks `{key}.workspace = true`", package.name));
            }
        }
    }
    assert_none(
        "what all members share is said once, in the root Cargo.toml",
        findings,
    );
}

#[test]
fn shared_versions_are_used_by_more_than_one() {
    let shared = root_dependencies();
    let mut findings = Vec::new();
    for package in members() {
        for dependency in package
            .dependencies
            .iter()
            .filter(|dependency| dependency.path.is_none())
        {
            let manifest: toml::Table = read(&format!("{}/Cargo.toml", folder(package)))
                .parse()
                .expect("valid TOML");
            let inherited = sections(&manifest).iter().any(|section| {
                section
                    .get(&dependency.name)
                    .and_then(|value| value.get("workspace"))
                    .and_then(toml::Value::as_bool)
                    .unwrap_or(false)
            });
            if shared.contains(&dependency.name) && !inherited {
                findings.push(format!(
                    "{}: {} has a version of its own",
                    package.name, dependency.name
                ));
            }
        }
    }
    findings.dedup();
    assert_none(
        "a version that the workspace shares is not chosen again by a member",
        findings,
    );
}

fn root_dependencies() -> BTreeSet<String> {
    let manifest: toml::Table = read("Cargo.toml").parse().expect("valid TOML");
    let shared = manifest["workspace"]["dependencies"]
        .as_table()
        .expect("a table of shared versions");
    shared.keys().cloned().collect()
}

/// Every table of dependencies in a manifest, those under a target included.
fn sections(manifest: &toml::Table) -> Vec<&toml::Table> {
    const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
    let own = KINDS.iter().filter_map(|kind| manifest.get(*kind));
    let targets = manifest
        .get("target")
        .and_then(toml::Value::as_table)
        .into_iter()
        .flat_map(toml::Table::values);
    let under_targets =
        targets.flat_map(|target| KINDS.iter().filter_map(move |kind| target.get(*kind)));
    own.chain(under_targets)
        .filter_map(toml::Value::as_table)
        .collect()
}

#[test]
fn no_crate_is_a_drawer_for_odds_and_ends() {
    const DRAWERS: [&str; 8] = [
        "util", "utils", "common", "helper", "helpers", "misc", "shared", "core",
    ];
    let drawers = members().into_iter().filter(|package| {
        package
            .name
            .split(['-', '_'])
            .any(|word| DRAWERS.contains(&word))
    });
    assert_none(
        "a crate is named for what it does",
        drawers.map(|package| package.name.to_string()).collect(),
    );
}

#[test]
fn one_integration_binary_a_package() {
    let many = members().into_iter().filter_map(|package| {
        let tests: Vec<_> = package
            .targets
            .iter()
            .filter(|target| target.is_test())
            .map(|target| target.name.clone())
            .collect();
        (tests.len() > 1).then(|| format!("{}: {}", package.name, tests.join(", ")))
    });
    assert_none(
        "each further test binary is linked again; make it a module of tests/it",
        many.collect(),
    );
}
