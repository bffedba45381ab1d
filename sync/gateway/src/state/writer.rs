//! The one task that changes the state: commits that wait for it share a transaction.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::{Backend, Change, Expect, Op, StateError, Writes, mirror::Mirror};
use crate::limits::state as limits;

#[derive(Debug)]
pub(super) struct Commit {
    pub(super) ops: Vec<Op>,
    pub(super) entries: Vec<ledger::Draft>,
    pub(super) answer: oneshot::Sender<Result<u64, StateError>>,
}

/// Whether the commit keeps within the limits.
pub(super) fn check(ops: &[Op]) -> Result<(), StateError> {
    let refused = |reason: String| Err(StateError::Refused(reason));
    if ops.len() > limits::MAX_OPERATIONS {
        return refused(format!(
            "{} operations, of at most {}",
            ops.len(),
            limits::MAX_OPERATIONS
        ));
    }
    for op in ops {
        let (key, size) = match op {
            Op::Put { key, value, .. } => (key, value.len()),
            Op::Require { key, .. } | Op::Delete { key, .. } => (key, 0),
            Op::DeleteTree { prefix, .. } => (prefix, 0),
        };
        if key.len() > limits::MAX_KEY_BYTES {
            return refused(format!(
                "a key of {} bytes, of at most {}",
                key.len(),
                limits::MAX_KEY_BYTES
            ));
        }
        // PostgreSQL takes none within a text.
        if key.contains('\0') {
            return refused("a key has no character of no value (NUL)".to_owned());
        }
        if size > limits::MAX_VALUE_BYTES {
            return refused(format!(
                "a value of {size} bytes, of at most {}",
                limits::MAX_VALUE_BYTES
            ));
        }
    }
    Ok(())
}

pub(super) async fn run(
    backend: Arc<dyn Backend>,
    mirror: Arc<Mirror>,
    mut queue: mpsc::Receiver<Commit>,
) {
    let mut waiting = Vec::new();
    loop {
        tokio::select! {
            taken = queue.recv_many(&mut waiting, limits::COMMITS_A_TRANSACTION) => {
                if taken == 0 {
                    return;
                }
                commit(backend.as_ref(), &mirror, &mut waiting).await;
            }
            () = backend.changed_elsewhere() => {
                match backend.changes(mirror.last_index()).await {
                    Ok(changes) => mirror.apply(&changes),
                    Err(error) => tracing::warn!(%error, "cannot read what other replicas wrote"),
                }
            }
        }
    }
}

/// What a transaction has decided, to be applied to the mirror once it is durable.
#[derive(Default)]
struct Decided {
    own: Vec<Change>,
    answers: Vec<Result<u64, StateError>>,
}

async fn commit(backend: &dyn Backend, mirror: &Mirror, waiting: &mut Vec<Commit>) {
    let decided = Mutex::new(Decided::default());
    let commits = &*waiting;
    let written = backend
        .write(
            mirror.last_index(),
            Box::new(|foreign| {
                // What others wrote is durable, whatever becomes of this transaction.
                mirror.apply(&foreign);
                let mut view = View::over(mirror);
                let mut writes = Writes::default();
                let mut answers = Vec::with_capacity(commits.len());
                for commit in commits {
                    let answer = view.decide(&commit.ops);
                    if answer.is_ok() {
                        writes.entries.extend(commit.entries.iter().cloned());
                    }
                    answers.push(answer);
                }
                writes.changes = view.changes;
                *decided.lock().unwrap_or_else(PoisonError::into_inner) = Decided {
                    own: writes.changes.clone(),
                    answers,
                };
                writes
            }),
        )
        .await;
    let decided = decided.into_inner().unwrap_or_else(PoisonError::into_inner);
    match written {
        Ok(()) => {
            mirror.apply(&decided.own);
            for (commit, answer) in waiting.drain(..).zip(decided.answers) {
                let _ = commit.answer.send(answer);
            }
        }
        Err(error) => {
            for commit in waiting.drain(..) {
                let _ = commit.answer.send(Err(error.clone()));
            }
        }
    }
}

/// The mirror with what this transaction changes.
struct View<'a> {
    mirror: &'a Mirror,
    index: u64,
    changes: Vec<Change>,
    /// Newest change of each key, as a place in `changes`.
    newest: BTreeMap<(&'static str, String), usize>,
}

/// What is known of a key.
struct Known {
    created: u64,
    modified: u64,
    value: Bytes,
}

impl<'a> View<'a> {
    fn over(mirror: &'a Mirror) -> Self {
        Self {
            mirror,
            index: mirror.last_index(),
            changes: Vec::new(),
            newest: BTreeMap::new(),
        }
    }

    fn known(&self, space: &'static str, key: &str) -> Option<Known> {
        if let Some(&at) = self.newest.get(&(space, key.to_owned())) {
            let change = &self.changes[at];
            return change.value.clone().map(|value| Known {
                created: change.created,
                modified: change.index,
                value,
            });
        }
        self.mirror.get(space, key).map(|item| Known {
            created: item.created,
            modified: item.modified,
            value: item.value.clone(),
        })
    }

    fn holds(&self, space: &'static str, key: &str, expect: Expect) -> bool {
        let known = self.known(space, key);
        match expect {
            Expect::Present => known.is_some(),
            Expect::Absent => known.is_none(),
            Expect::Modified(index) => known.is_some_and(|known| known.modified == index),
        }
    }

    fn beginning(&self, space: &'static str, prefix: &str) -> Vec<String> {
        let kept = self.mirror.list(space, prefix);
        let mut keys: Vec<String> = kept.iter().map(|item| item.key.clone()).collect();
        let made = self
            .newest
            .keys()
            .filter(|(of, key)| *of == space && key.starts_with(prefix));
        keys.extend(made.map(|(_, key)| key.clone()));
        keys.sort();
        keys.dedup();
        keys.retain(|key| self.known(space, key).is_some());
        keys
    }

    /// Takes a commit in whole or not at all; the index it gets.
    fn decide(&mut self, ops: &[Op]) -> Result<u64, StateError> {
        for op in ops {
            if let Op::Require { space, key, expect } = op
                && !self.holds(space, key, *expect)
            {
                let key = key.clone();
                return Err(StateError::Conflict { space, key });
            }
        }
        let index = self.index + 1;
        let before = self.changes.len();
        for op in ops {
            match op {
                Op::Require { .. } => {}
                Op::Put { space, key, value } => self.put(index, space, key, value.clone()),
                Op::Delete { space, key } => self.delete(index, space, key),
                Op::DeleteTree { space, prefix } => {
                    for key in self.beginning(space, prefix) {
                        self.delete(index, space, &key);
                    }
                }
            }
        }
        if self.changes.len() > before {
            self.index = index;
        }
        Ok(self.index)
    }

    fn put(&mut self, index: u64, space: &'static str, key: &str, value: Bytes) {
        let known = self.known(space, key);
        // The same value again changes nothing, as in Consul: nobody who waits is woken for it.
        if known.as_ref().is_some_and(|known| known.value == value) {
            return;
        }
        let created = known.map_or(index, |known| known.created);
        self.change(index, space, key, Some(value), created);
    }

    fn delete(&mut self, index: u64, space: &'static str, key: &str) {
        if self.known(space, key).is_some() {
            self.change(index, space, key, None, index);
        }
    }

    fn change(
        &mut self,
        index: u64,
        space: &'static str,
        key: &str,
        value: Option<Bytes>,
        created: u64,
    ) {
        self.newest
            .insert((space, key.to_owned()), self.changes.len());
        self.changes.push(Change {
            index,
            space: space.to_owned(),
            key: key.to_owned(),
            value,
            created,
        });
    }
}
