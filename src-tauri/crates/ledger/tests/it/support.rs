//! Ledgers to test with.

use ledger::{
    CanonicalJson, Checkpoint, Digest, Draft, Entry, KeyKind, NoteSigner, SignedCheckpoint, Tree,
};
use serde_json::json;

pub(crate) const ORIGIN: &str = "neurascale.test/ledger";

pub(crate) fn log_key() -> NoteSigner {
    NoteSigner::from_seed(ORIGIN, KeyKind::Ed25519, &[1; 32]).unwrap()
}

pub(crate) fn draft(number: u64) -> Draft {
    let payload = json!({
        "number": number,
        "text": "µV \"quoted\" \\ \n",
        "list": [1.5, null, true, {"b": 1, "a": -2}],
    });
    Draft {
        kind: "session.step".into(),
        time_ns: 1_795_460_400_123_456_789 + number as i64,
        actor: "engine".into(),
        payload: CanonicalJson::from_value(&payload).unwrap(),
    }
}

pub(crate) fn chain(drafts: impl IntoIterator<Item = Draft>) -> Vec<Entry> {
    let mut previous = Digest::ZERO;
    let seal = |(sequence, draft): (usize, Draft)| {
        let entry = Entry::seal(draft, sequence as u64, previous).unwrap();
        previous = entry.hash;
        entry
    };
    drafts.into_iter().enumerate().map(seal).collect()
}

pub(crate) fn entries(count: u64) -> Vec<Entry> {
    chain((0..count).map(draft))
}

pub(crate) fn tree_of(entries: &[Entry]) -> Tree {
    let mut tree = Tree::new();
    entries
        .iter()
        .for_each(|entry| tree.push(entry.leaf_hash()));
    tree
}

pub(crate) fn checkpoint(entries: &[Entry]) -> SignedCheckpoint {
    let tree = tree_of(entries);
    let (size, root) = (tree.size(), tree.root());
    let checkpoint = Checkpoint {
        origin: ORIGIN.into(),
        size,
        root,
        extensions: Vec::new(),
    };
    checkpoint.sign(&log_key()).unwrap()
}
