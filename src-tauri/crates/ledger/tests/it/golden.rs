//! Files of every format version, kept: what an older program wrote is read and holds.
//!
//! They are written once, with `WRITE_GOLDEN=1`, when a version is new, and never changed.

use std::{fs, path::PathBuf};

use ledger::{Entry, ProofBundle, SignedCheckpoint, Tree, verify};

use crate::support::{checkpoint, entries, log_key};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/golden")
        .join(name)
}

fn kept(name: &str, now: &str) -> String {
    let path = path(name);
    if std::env::var_os("WRITE_GOLDEN").is_some() && !path.exists() {
        fs::write(&path, now).unwrap();
    }
    fs::read_to_string(&path).unwrap()
}

#[test]
fn version_1_is_read_and_written_the_same() {
    let all = entries(9);
    let lines: String = all
        .iter()
        .map(|entry| serde_json::to_string(entry).unwrap() + "\n")
        .collect();
    let lines_kept = kept("ledger.v1.jsonl", &lines);
    let mut signed = checkpoint(&all);
    let witness =
        ledger::NoteSigner::from_seed("witness.test/w", ledger::KeyKind::CosignatureV1, &[2; 32])
            .unwrap();
    signed.cosign(&witness, 1_795_460_400).unwrap();
    let note_kept = kept("checkpoint.v1.note", &signed.to_string());
    let mut nodes = std::collections::HashMap::new();
    let mut tree = Tree::new();
    for entry in &all {
        tree.push_with(entry.leaf_hash(), |id, hash| {
            nodes.insert(id, hash);
        });
    }
    let inclusion = ledger::InclusionProof::build(4, 9, |id| nodes.get(&id).copied()).unwrap();
    let bundle = ProofBundle::new(all[4].clone(), inclusion, signed.clone());
    let bundle_text = serde_json::to_string_pretty(&bundle).unwrap() + "\n";
    let bundle_kept = kept("proof.v1.json", &bundle_text);

    // What was kept holds by itself.
    let read: Vec<Entry> = lines_kept
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let note: SignedCheckpoint = note_kept.parse().unwrap();
    let report = verify(&read, std::slice::from_ref(&note), log_key().verifier());
    assert!(report.is_sound(), "{report:?}");
    assert_eq!((report.entries, report.checkpoints_held), (9, 1));
    assert_eq!(
        note.verify_cosignature(witness.verifier()).unwrap(),
        1_795_460_400
    );
    ProofBundle::from_json(&bundle_kept)
        .unwrap()
        .verify(log_key().verifier())
        .unwrap();
    // And this program still writes it: Ed25519 is deterministic.
    assert_eq!(
        (lines_kept, note_kept, bundle_kept),
        (lines, signed.to_string(), bundle_text)
    );
}

#[test]
fn a_later_format_is_refused_by_name() {
    let text = fs::read_to_string(path("proof.v1.json")).unwrap();
    let later = text.replace("neurascale-ledger-proof/v1", "neurascale-ledger-proof/v2");
    let error = ProofBundle::from_json(&later).unwrap_err();
    assert!(error.to_string().contains("v2"), "{error}");
}
