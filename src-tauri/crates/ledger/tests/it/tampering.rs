//! Whatever is changed in a ledger is found, and the first bad entry is named.

use ledger::{CanonicalJson, Digest, Entry, EntryFault, ProofBundle, Tree, verify};
use proptest::prelude::*;

use crate::support::{chain, checkpoint, draft, entries, log_key, tree_of};

#[test]
fn a_sound_ledger_is_sound() {
    let all = entries(100);
    let checkpoints = [
        checkpoint(&all[..0]),
        checkpoint(&all[..7]),
        checkpoint(&all),
    ];
    let report = verify(&all, &checkpoints, log_key().verifier());
    assert!(report.is_sound(), "{report:?}");
    assert_eq!((report.entries, report.checkpoints_held), (100, 3));
    assert_eq!(report.root, tree_of(&all).root());
}

/// Entries are kept as JSON lines in an export; every bit of every line is flipped.
#[test]
fn every_flipped_bit_of_every_line_is_found() {
    let all = entries(4);
    let checkpoints = [checkpoint(&all)];
    for (number, entry) in all.iter().enumerate() {
        let line = serde_json::to_string(entry).unwrap();
        for at in 0..line.len() {
            for bit in 0..8 {
                let mut bytes = line.as_bytes().to_vec();
                bytes[at] ^= 1 << bit;
                let Ok(changed) = serde_json::from_slice::<Entry>(&bytes) else {
                    continue;
                };
                let mut ledger = all.clone();
                ledger[number] = changed;
                let report = verify(&ledger, &checkpoints, log_key().verifier());
                let bad = report
                    .first_bad
                    .unwrap_or_else(|| panic!("{number}: byte {at} bit {bit}"));
                assert_eq!(
                    bad.sequence, number as u64,
                    "byte {at} bit {bit}: {}",
                    bad.fault
                );
            }
        }
    }
}

#[test]
fn entries_that_are_missing_doubled_or_swapped_are_named() {
    let all = entries(10);
    let checkpoints = [checkpoint(&all)];
    let first_bad = |ledger: &[Entry]| {
        verify(ledger, &checkpoints, log_key().verifier())
            .first_bad
            .unwrap()
            .sequence
    };
    let mut missing = all.clone();
    missing.remove(4);
    assert_eq!(first_bad(&missing), 4);
    let mut doubled = all.clone();
    doubled.insert(4, all[3].clone());
    assert_eq!(first_bad(&doubled), 4);
    let mut swapped = all.clone();
    swapped.swap(6, 7);
    assert_eq!(first_bad(&swapped), 6);
    assert_eq!(first_bad(&all[..9]), 9, "a cut tail");
    assert_eq!(first_bad(&[]), 0);
}

/// Who rewrites the whole chain after a change is found by the checkpoints.
#[test]
fn a_rewritten_chain_breaks_a_checkpoint() {
    let all = entries(20);
    let checkpoints = [
        checkpoint(&all[..5]),
        checkpoint(&all[..12]),
        checkpoint(&all),
    ];
    let forged = chain((0..20).map(|number| {
        let mut draft = draft(number);
        if number == 8 {
            draft.payload = CanonicalJson::parse("{\"forged\":true}").unwrap();
        }
        draft
    }));
    let report = verify(&forged, &checkpoints, log_key().verifier());
    let bad = report.first_bad.unwrap();
    assert_eq!(
        bad.sequence, 5,
        "the first entry that no sound checkpoint covers"
    );
    assert!(
        matches!(bad.fault, EntryFault::Checkpoint { size: 12, .. }),
        "{}",
        bad.fault
    );
    assert_eq!(report.checkpoints_held, 1);
}

#[test]
fn a_checkpoint_by_another_key_is_reported_apart() {
    let all = entries(3);
    let other =
        ledger::NoteSigner::from_seed("another.test", ledger::KeyKind::Ed25519, &[4; 32]).unwrap();
    let report = verify(&all, &[checkpoint(&all)], other.verifier());
    assert!(report.first_bad.is_none() && !report.is_sound());
    assert_eq!(report.checkpoints_untrusted.len(), 1);
}

#[test]
fn malformed_drafts_are_refused() {
    for (kind, actor) in [
        ("", "a"),
        ("Upper", "a"),
        ("a b", "a"),
        ("a", ""),
        ("a", "\n"),
    ] {
        let bad = ledger::Draft {
            kind: kind.into(),
            actor: actor.into(),
            ..draft(0)
        };
        assert!(bad.check().is_err());
        assert!(
            Entry::seal(bad, 0, Digest::ZERO).is_err(),
            "{kind:?} {actor:?}"
        );
    }
}

#[test]
fn every_flipped_bit_of_a_proof_bundle_is_noticed() {
    let all = entries(6);
    let mut nodes = std::collections::HashMap::new();
    let mut tree = Tree::new();
    for entry in &all {
        tree.push_with(entry.leaf_hash(), |id, hash| {
            nodes.insert(id, hash);
        });
    }
    let inclusion = ledger::InclusionProof::build(2, 6, |id| nodes.get(&id).copied()).unwrap();
    let bundle = ProofBundle::new(all[2].clone(), inclusion, checkpoint(&all));
    let text = serde_json::to_string(&bundle).unwrap();
    let key = log_key();
    ProofBundle::from_json(&text)
        .unwrap()
        .verify(key.verifier())
        .unwrap();
    for at in 0..text.len() {
        for bit in 0..8 {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] ^= 1 << bit;
            let Ok(changed) = String::from_utf8(bytes) else {
                continue;
            };
            let held = ProofBundle::from_json(&changed)
                .is_ok_and(|bundle| bundle.verify(key.verifier()).is_ok());
            assert!(!held, "byte {at}, bit {bit}");
        }
    }
}

proptest! {
    #[test]
    fn no_two_entries_share_an_encoding(
        a in ("[a-z.]{1,8}", "[a-z]{1,8}", any::<i64>()), b in ("[a-z.]{1,8}", "[a-z]{1,8}", any::<i64>())
    ) {
        let entry = |(kind, actor, time_ns): (String, String, i64)| {
            let draft = ledger::Draft { kind, actor, time_ns, ..draft(0) };
            Entry::seal(draft, 0, Digest::ZERO).unwrap()
        };
        let same = a == b;
        prop_assert_eq!(entry(a).encode() == entry(b).encode(), same);
    }

    #[test]
    fn any_json_is_an_entry_or_refused(text in "\\PC{0,120}") {
        let _ = serde_json::from_str::<Entry>(&text);
        let _ = ProofBundle::from_json(&text);
    }
}
