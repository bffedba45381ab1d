//! The whole state in memory.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    ops::Bound,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use tokio::sync::watch;

use super::{Change, Item};
use crate::limits::state as limits;

/// Items by space and key, read by everybody and changed by the writer alone.
#[derive(Debug)]
pub(super) struct Mirror {
    spaces: RwLock<HashMap<String, Keys>>,
    last: watch::Sender<u64>,
}

impl Default for Mirror {
    fn default() -> Self {
        Self {
            spaces: RwLock::default(),
            last: watch::Sender::new(0),
        }
    }
}

#[derive(Debug, Default)]
struct Keys {
    items: BTreeMap<String, Arc<Item>>,
    deleted: BTreeMap<String, u64>,
    /// The same deletions, the oldest first; one that was overtaken is skipped when its turn comes.
    deletions: VecDeque<(u64, String)>,
    /// Index of the last change of any key.
    last: u64,
    /// Index of the newest deletion that is no longer remembered by its key.
    forgotten: u64,
}

fn beginning<'a, V>(
    map: &'a BTreeMap<String, V>,
    prefix: &'a str,
) -> impl Iterator<Item = (&'a String, &'a V)> {
    map.range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
        .take_while(move |(key, _)| key.starts_with(prefix))
}

impl Keys {
    fn apply(&mut self, change: &Change) {
        self.last = self.last.max(change.index);
        match &change.value {
            Some(value) => {
                self.deleted.remove(&change.key);
                let item = Item {
                    key: change.key.clone(),
                    value: value.clone(),
                    created: change.created,
                    modified: change.index,
                };
                self.items.insert(change.key.clone(), Arc::new(item));
            }
            None => {
                self.items.remove(&change.key);
                self.deleted.insert(change.key.clone(), change.index);
                self.deletions.push_back((change.index, change.key.clone()));
                while self.deletions.len() > limits::REMEMBERED_DELETIONS {
                    let Some((index, key)) = self.deletions.pop_front() else {
                        break;
                    };
                    if self.deleted.get(&key) == Some(&index) {
                        self.deleted.remove(&key);
                        self.forgotten = self.forgotten.max(index);
                    }
                }
            }
        }
    }

    fn index(&self, prefix: &str) -> u64 {
        let items = beginning(&self.items, prefix).map(|(_, item)| item.modified);
        let deleted = beginning(&self.deleted, prefix).map(|(_, index)| *index);
        items.chain(deleted).max().unwrap_or(0).max(self.forgotten)
    }
}

impl Mirror {
    fn spaces(&self) -> RwLockReadGuard<'_, HashMap<String, Keys>> {
        // A change is one insertion or removal after another: a panic elsewhere leaves none half made.
        self.spaces.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, space: &str, key: &str) -> Option<Arc<Item>> {
        self.spaces().get(space)?.items.get(key).cloned()
    }

    pub(super) fn list(&self, space: &str, prefix: &str) -> Vec<Arc<Item>> {
        let spaces = self.spaces();
        let Some(keys) = spaces.get(space) else {
            return Vec::new();
        };
        beginning(&keys.items, prefix)
            .map(|(_, item)| Arc::clone(item))
            .collect()
    }

    pub(super) fn index(&self, space: &str, prefix: &str) -> u64 {
        self.spaces()
            .get(space)
            .map_or(0, |keys| keys.index(prefix))
    }

    pub(super) fn space_index(&self, space: &str) -> u64 {
        self.spaces().get(space).map_or(0, |keys| keys.last)
    }

    pub(super) fn last_index(&self) -> u64 {
        *self.last.borrow()
    }

    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }

    /// Takes changes over, by rising index, and wakes who waits.
    pub(super) fn apply(&self, changes: &[Change]) {
        let Some(last) = changes.last() else {
            return;
        };
        let mut spaces = self.spaces.write().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            match spaces.get_mut(&change.space) {
                Some(keys) => keys.apply(change),
                None => spaces
                    .entry(change.space.clone())
                    .or_default()
                    .apply(change),
            }
        }
        drop(spaces);
        self.last.send_if_modified(|index| {
            let newer = last.index > *index;
            *index = last.index.max(*index);
            newer
        });
    }
}
