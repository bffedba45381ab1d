//! The rules of the house that a compiler does not know: dependencies between rooms, licences and
//! sources, habits of the tree, and that the README speaks of what is there.

mod habits;
mod licences;
mod readme;
mod rooms;
mod tree;

/// Fails with every finding, not just the first: whoever broke a rule sees all of it in one run.
#[track_caller]
fn assert_none(rule: &str, findings: Vec<String>) {
    assert!(findings.is_empty(), "{rule}\n  {}\n", findings.join("\n  "));
}
