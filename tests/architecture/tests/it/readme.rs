//! The README speaks of what is there: its code map, its commands, the tests that guard each hazard.

use std::collections::BTreeSet;

use crate::assert_none;
use crate::tree::{files, folder, members, read, root};

fn readme() -> String {
    assert!(
        root().join("README.md").is_file(),
        "README.md is missing: it holds the code map that this test checks"
    );
    read("README.md")
}

/// The text below a heading of level two, up to the next one.
fn section(readme: &str, heading: &str) -> String {
    let title = format!("## {heading}");
    let below = readme
        .lines()
        .skip_while(|line| line.trim() != title)
        .skip(1);
    let text: Vec<_> = below.take_while(|line| !line.starts_with("## ")).collect();
    assert!(!text.is_empty(), "README.md lacks the section `{title}`");
    text.join("\n")
}

/// First word of each line of the fenced block below `## Code map`: a path from the root.
fn code_map(readme: &str) -> Vec<String> {
    let section = section(readme, "Code map");
    let block = section
        .lines()
        .skip_while(|line| !line.starts_with("```"))
        .skip(1);
    let lines = block.take_while(|line| !line.starts_with("```"));
    let paths = lines.filter_map(|line| line.split_whitespace().next());
    paths
        .map(|path| path.trim_end_matches('/').to_owned())
        .collect()
}

#[test]
fn the_code_map_agrees_with_the_tree() {
    let map = code_map(&readme());
    let paths: BTreeSet<_> = map.iter().cloned().collect();
    let mut findings: Vec<_> = members()
        .into_iter()
        .map(folder)
        .filter(|member| !paths.contains(member))
        .map(|member| format!("{member} is missing in the code map"))
        .collect();
    findings.extend(
        paths
            .iter()
            .filter(|path| !root().join(path).exists())
            .map(|path| format!("{path} does not exist")),
    );
    if map.len() != paths.len() {
        findings.push("a path appears twice".to_owned());
    }
    assert_none(
        "the README's code map names every member, and nothing that is not there",
        findings,
    );
}

#[test]
fn the_two_commands_are_named() {
    let readme = readme();
    for command in ["cargo xtask run", "cargo xtask test"] {
        assert!(
            readme.contains(command),
            "README.md does not name `{command}`"
        );
    }
}

#[test]
fn figures_have_their_place() {
    let figures = section(&readme(), "Figures");
    for line in [
        "<!-- figures: written by `cargo xtask bench --readme` -->",
        "<!-- end of figures -->",
    ] {
        assert!(
            figures.contains(line),
            "the section of figures lacks `{line}`"
        );
    }
}

#[test]
fn no_diagnosis_and_no_alarm_are_claimed() {
    let readme = readme();
    for statement in ["diagnostic conclusion", "IEC 60601-1-8"] {
        assert!(
            readme.contains(statement),
            "README.md does not say what the program is not: {statement}"
        );
    }
}

/// Tests named in the Hazards section as `package::test_name`, in backticks.
fn guards(readme: &str) -> Vec<(String, String)> {
    let section = section(readme, "Hazards");
    let quoted = section.split('`').skip(1).step_by(2);
    let named = quoted.filter_map(|text| {
        let (package, rest) = text.split_once("::")?;
        Some((
            package.to_owned(),
            rest.rsplit("::").next().unwrap_or(rest).to_owned(),
        ))
    });
    named.collect()
}

#[test]
fn every_hazard_is_guarded_by_a_test_that_exists() {
    let mut findings = Vec::new();
    for (package, test) in guards(&readme()) {
        let Some(member) = members()
            .into_iter()
            .find(|member| member.name.as_str() == package)
        else {
            findings.push(format!("{package}::{test}: no such member"));
            continue;
        };
        let folder = format!("{}/", folder(member));
        let own = files()
            .iter()
            .filter(|file| file.starts_with(&folder) && file.ends_with(".rs"));
        let declared = format!("fn {test}(");
        if !own.into_iter().any(|file| read(file).contains(&declared)) {
            findings.push(format!("{package}::{test}: no such test"));
        }
    }
    assert_none("the tests that the README names as guards exist", findings);
}

#[test]
fn readme_parts_are_found() {
    let readme = "# T\n\n## Code map\n\n```\na/b/   purpose\nc  other\n```\n\n## Hazards\n\n| lost | `faults::kill::nine` |\n\n## X\n`y::z`\n";
    assert_eq!(code_map(readme), ["a/b", "c"]);
    assert_eq!(guards(readme), [("faults".to_owned(), "nine".to_owned())]);
}
