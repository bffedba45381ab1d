//! Verification of a whole ledger, offline: every entry, the chain, and every signed checkpoint.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{Digest, Entry, EntryFault, SignedCheckpoint, VerifierKey, merkle::Tree};

/// The outcome of a verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Entries seen.
    pub entries: u64,
    /// Merkle root over the leaves seen, up to the first fault.
    pub root: Digest,
    /// The first bad entry, if there is one.
    pub first_bad: Option<BadEntry>,
    /// Checkpoints whose signature holds and whose root is that of the entries.
    pub checkpoints_held: u64,
    /// Checkpoints that could not be trusted (signature, origin), and why. They prove nothing
    /// against the entries, but somebody should look.
    pub checkpoints_untrusted: Vec<String>,
}

impl Report {
    /// Whether nothing at all was found wrong.
    pub fn is_sound(&self) -> bool {
        self.first_bad.is_none() && self.checkpoints_untrusted.is_empty()
    }
}

/// Where a ledger stops being what was entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadEntry {
    /// Its sequence number: the place in the ledger, whatever the entry itself claims. For a
    /// checkpoint fault, the first entry that no sound checkpoint covers.
    pub sequence: u64,
    /// What is wrong with it.
    pub fault: EntryFault,
}

/// A short form of a report for machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportSummary {
    /// See [`Report::is_sound`].
    pub sound: bool,
    /// See [`Report::entries`].
    pub entries: u64,
    /// See [`Report::root`].
    pub root: Digest,
    /// See [`Report::checkpoints_held`].
    pub checkpoints_held: u64,
    /// See [`Report::checkpoints_untrusted`].
    pub checkpoints_untrusted: Vec<String>,
    /// See [`BadEntry::sequence`].
    pub first_bad_sequence: Option<u64>,
    /// See [`BadEntry::fault`].
    pub first_bad_reason: Option<String>,
}

impl From<&Report> for ReportSummary {
    fn from(report: &Report) -> Self {
        Self {
            sound: report.is_sound(),
            entries: report.entries,
            root: report.root,
            checkpoints_held: report.checkpoints_held,
            checkpoints_untrusted: report.checkpoints_untrusted.clone(),
            first_bad_sequence: report.first_bad.as_ref().map(|bad| bad.sequence),
            first_bad_reason: report.first_bad.as_ref().map(|bad| bad.fault.to_string()),
        }
    }
}

/// Verification entry by entry, for entries that arrive in pages.
#[derive(Debug)]
pub struct Verifier {
    tree: Tree,
    previous: Digest,
    entries: u64,
    first_bad: Option<BadEntry>,
    /// Signed root by size, of the checkpoints whose signature holds.
    due: BTreeMap<u64, Vec<Digest>>,
    held: u64,
    last_held_size: u64,
    untrusted: Vec<String>,
}

impl Verifier {
    /// Starts a verification against `checkpoints`, which must be signed by `log`.
    pub fn new(checkpoints: &[SignedCheckpoint], log: &VerifierKey) -> Self {
        let mut due = BTreeMap::<u64, Vec<Digest>>::new();
        let mut untrusted = Vec::new();
        for signed in checkpoints {
            match signed.verify(log) {
                Ok(checkpoint) => due
                    .entry(checkpoint.size)
                    .or_default()
                    .push(checkpoint.root),
                Err(error) => {
                    let size = signed.checkpoint().size;
                    untrusted.push(format!("checkpoint of {size} entries: {}", chain(&error)));
                }
            }
        }
        let mut verifier = Self {
            tree: Tree::new(),
            previous: Digest::ZERO,
            entries: 0,
            first_bad: None,
            due,
            held: 0,
            last_held_size: 0,
            untrusted,
        };
        verifier.compare_checkpoints();
        verifier
    }

    /// Takes the next entry.
    pub fn push(&mut self, entry: &Entry) {
        let checked = entry.check(self.entries, self.previous);
        self.take(checked.map(|()| (entry.hash, entry.leaf_hash())));
    }

    /// Takes note that the next entry could not even be read.
    pub fn push_unreadable(&mut self, reason: impl Into<String>) {
        self.take(Err(EntryFault::Malformed(reason.into())));
    }

    fn take(&mut self, checked: Result<(Digest, Digest), EntryFault>) {
        let sequence = self.entries;
        self.entries += 1;
        if self.first_bad.is_some() {
            return; // everything behind the first fault is in doubt anyway
        }
        match checked {
            Ok((hash, leaf)) => {
                self.previous = hash;
                self.tree.push(leaf);
                self.compare_checkpoints();
            }
            Err(fault) => self.first_bad = Some(BadEntry { sequence, fault }),
        }
    }

    fn compare_checkpoints(&mut self) {
        let size = self.tree.size();
        let computed = self.tree.root();
        for signed in self.due.remove(&size).unwrap_or_default() {
            if signed == computed {
                self.held += 1;
                self.last_held_size = size;
            } else if self.first_bad.is_none() {
                let sequence = self.last_held_size;
                let fault = EntryFault::Checkpoint {
                    size,
                    computed,
                    signed,
                };
                self.first_bad = Some(BadEntry { sequence, fault });
            }
        }
    }

    /// Ends the verification: a checkpoint beyond the last entry proves that entries are missing.
    pub fn finish(mut self) -> Report {
        if self.first_bad.is_none()
            && let Some((&size, _)) = self.due.first_key_value()
        {
            let fault = EntryFault::Missing { size };
            self.first_bad = Some(BadEntry {
                sequence: self.entries,
                fault,
            });
        }
        Report {
            entries: self.entries,
            root: self.tree.root(),
            first_bad: self.first_bad,
            checkpoints_held: self.held,
            checkpoints_untrusted: self.untrusted,
        }
    }
}

/// Verifies entries in order, from the first, against checkpoints signed by `log`.
pub fn verify<'a>(
    entries: impl IntoIterator<Item = &'a Entry>,
    checkpoints: &[SignedCheckpoint],
    log: &VerifierKey,
) -> Report {
    let mut verifier = Verifier::new(checkpoints, log);
    entries.into_iter().for_each(|entry| verifier.push(entry));
    verifier.finish()
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
