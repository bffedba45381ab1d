//! Malformed input: every parser meets the kept corpus of its fuzz target, and seeded mutations of it.

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

// A library of its own for cargo-fuzz, which builds it with options of its own.
#[path = "../../../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "public to the fuzz targets")]
mod targets;

/// Mutations of each corpus file; `cargo xtask soak` multiplies them.
const MUTATIONS: u64 = 20_000;
const SOAK_FACTOR: u64 = 50;

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(target);
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("cannot list {}: {error}", folder.display()))
        .map(|entry| entry.expect("the corpus can be listed").path())
        .collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            (
                path.clone(),
                fs::read(path).expect("a corpus file can be read"),
            )
        })
        .collect()
}

#[test]
fn good_input_is_accepted_and_bad_input_refused() {
    for (name, target) in targets::TARGETS {
        let files = corpus(name);
        assert!(!files.is_empty(), "{name} has no corpus");
        for (path, bytes) in files {
            let file = path
                .file_name()
                .expect("a file has a name")
                .to_string_lossy()
                .into_owned();
            let accepted = target(&bytes);
            if file.starts_with("good-") {
                assert!(accepted, "{name}/{file} was refused");
            } else {
                assert!(
                    file.starts_with("bad-"),
                    "{name}/{file} must be called good-… or bad-…"
                );
                assert!(!accepted, "{name}/{file} was accepted");
            }
        }
    }
}

#[test]
fn no_mutation_breaks_a_parser() {
    let factor = if std::env::var_os("NEURASCALE_SOAK").is_some() {
        SOAK_FACTOR
    } else {
        1
    };
    for (name, target) in targets::TARGETS {
        for (path, bytes) in corpus(name) {
            for seed in 0..MUTATIONS * factor {
                let input = targets::mutated(&bytes, seed);
                if catch_unwind(|| target(&input)).is_err() {
                    panic!(
                        "{name} broke on {} with seed {seed}: {:?}",
                        path.display(),
                        input.escape_ascii().to_string()
                    );
                }
            }
        }
    }
}

#[test]
fn every_target_has_its_program_and_no_corpus_is_orphaned() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).expect("the fuzz manifest");
    for (name, _) in targets::TARGETS {
        assert!(
            folder.join(format!("fuzz_targets/{name}.rs")).is_file(),
            "{name} has no fuzz target"
        );
        assert!(
            manifest.contains(&format!("name = \"{name}\"")),
            "{name} is not in the fuzz manifest"
        );
    }
    for entry in fs::read_dir(folder.join("corpus")).expect("the corpora") {
        let name = entry
            .expect("the corpora can be listed")
            .file_name()
            .to_string_lossy()
            .into_owned();
        assert!(
            targets::TARGETS.iter().any(|(target, _)| *target == name),
            "corpus {name} belongs to no target"
        );
    }
}
