//! What the gateway knows and must not forget: people, devices, services, configuration.
//!
//! Small values under keys, in named [`Space`]s. One counter, the **index**, numbers every commit; an
//! item remembers the commits that made and last changed it. Reading is from memory. A commit is durable
//! when it returns, all of it or nothing, and may require what must hold. Who waits for a change under a
//! prefix is woken by it, deletions included: Consul's blocking queries are this and no more.
//!
//! Every replica holds the whole state in memory. A [`Backend`] keeps it; commits that wait for it share
//! a transaction. `conformance` holds what every backend must do.

pub mod conformance;
mod error;
mod memory;
mod mirror;
mod postgres;
mod sqlite;
mod writer;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};

use crate::limits::state as limits;

pub use error::StateError;
pub use memory::MemoryBackend;
use mirror::Mirror;
pub use postgres::PostgresBackend;
pub use sqlite::SqliteBackend;

/// A name space of keys: one for each kind of thing that is kept.
pub type Space = &'static str;

/// A key's value and the commits that made and last changed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its key within its space.
    pub key: String,
    /// Its value: what its space keeps, as that space encodes it.
    pub value: Bytes,
    /// Index of the commit that made it; a key that was deleted and made again is new.
    pub created: u64,
    /// Index of the commit that changed it last.
    pub modified: u64,
}

/// What a commit requires of a key before it changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The key is there.
    Present,
    /// The key is not there.
    Absent,
    /// The key was last changed by this commit.
    Modified(u64),
}

/// A step of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// The commit fails with [`StateError::Conflict`] unless this holds before it.
    Require {
        /// The key's space.
        space: Space,
        /// The key.
        key: String,
        /// What must hold.
        expect: Expect,
    },
    /// Sets a value.
    Put {
        /// The key's space.
        space: Space,
        /// The key.
        key: String,
        /// Its new value.
        value: Bytes,
    },
    /// Deletes a key; none is no error.
    Delete {
        /// The key's space.
        space: Space,
        /// The key.
        key: String,
    },
    /// Deletes every key that begins so.
    DeleteTree {
        /// The keys' space.
        space: Space,
        /// What they begin with.
        prefix: String,
    },
}

impl Op {
    /// [`Op::Require`].
    pub fn require(space: Space, key: impl Into<String>, expect: Expect) -> Self {
        let key = key.into();
        Self::Require { space, key, expect }
    }
    /// [`Op::Put`].
    pub fn put(space: Space, key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        let (key, value) = (key.into(), value.into());
        Self::Put { space, key, value }
    }
    /// [`Op::Delete`].
    pub fn delete(space: Space, key: impl Into<String>) -> Self {
        let key = key.into();
        Self::Delete { space, key }
    }
    /// [`Op::DeleteTree`].
    pub fn delete_tree(space: Space, prefix: impl Into<String>) -> Self {
        let prefix = prefix.into();
        Self::DeleteTree { space, prefix }
    }
}

/// One key's change, as backends keep it and replicas tell one another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The commit.
    pub index: u64,
    /// The key's space.
    pub space: String,
    /// The key.
    pub key: String,
    /// Its value from then on; `None` for a deletion.
    pub value: Option<Bytes>,
    /// The commit that made the key; of a deletion, that of the deletion.
    pub created: u64,
}

/// What a transaction writes: changes in order, and the ledger entries that say who asked for them.
#[derive(Debug, Default)]
pub struct Writes {
    /// Changes of keys, by rising index.
    pub changes: Vec<Change>,
    /// Ledger entries, committed with the changes.
    pub entries: Vec<ledger::Draft>,
}

/// Decides what to write once it is told what others wrote meanwhile.
pub type Decide<'a> = Box<dyn FnOnce(Vec<Change>) -> Writes + Send + 'a>;

/// The place where the state is kept.
#[async_trait]
pub trait Backend: Send + Sync + std::fmt::Debug + 'static {
    /// Every change behind `index`, by rising index, of each key the last one only.
    async fn changes(&self, index: u64) -> Result<Vec<Change>, StateError>;

    /// Under a lock that keeps every other writer out: tells `decide` the changes behind `index`, writes
    /// what it answers, and returns when that is durable. On an error nothing was written.
    async fn write(&self, index: u64, decide: Decide<'_>) -> Result<(), StateError>;

    /// Waits until another replica may have written; for ever where there is only one.
    async fn changed_elsewhere(&self) {
        std::future::pending::<()>().await;
    }
}

/// The state. Clones share it.
#[derive(Clone, Debug)]
pub struct State {
    mirror: Arc<Mirror>,
    commits: mpsc::Sender<writer::Commit>,
}

impl State {
    /// Reads the state into memory and starts its writer. Needs a tokio runtime.
    pub async fn open(backend: Arc<dyn Backend>) -> Result<Self, StateError> {
        let mirror = Arc::new(Mirror::default());
        mirror.apply(&backend.changes(0).await?);
        let (commits, queue) = mpsc::channel(limits::COMMIT_QUEUE);
        tokio::spawn(writer::run(backend, Arc::clone(&mirror), queue));
        Ok(Self { mirror, commits })
    }

    /// A key's item.
    pub fn get(&self, space: Space, key: &str) -> Option<Arc<Item>> {
        self.mirror.get(space, key)
    }

    /// Items whose key begins so, by key.
    pub fn list(&self, space: Space, prefix: &str) -> Vec<Arc<Item>> {
        self.mirror.list(space, prefix)
    }

    /// Index of the last commit that changed, made or deleted a key that begins so; 0 if none ever did.
    pub fn index(&self, space: Space, prefix: &str) -> u64 {
        self.mirror.index(space, prefix)
    }

    /// Index of the last commit that changed any key of a space: told at once, however many keys there are.
    pub fn space_index(&self, space: Space) -> u64 {
        self.mirror.space_index(space)
    }

    /// Index of the last commit that changed anything.
    pub fn last_index(&self) -> u64 {
        self.mirror.last_index()
    }

    /// Tells of every commit: holds its index once it can be read.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.mirror.watch()
    }

    /// Waits until [`Self::index`] of one of these prefixes lies behind `index`, at most so long.
    /// Whether it does.
    pub async fn wait(&self, watched: &[(Space, &str)], index: u64, longest: Duration) -> bool {
        let mut commits = self.watch();
        // Most commits are of other spaces: a glance spares looking through the keys.
        let changed = || {
            watched.iter().any(|(space, prefix)| {
                self.space_index(space) > index && self.index(space, prefix) > index
            })
        };
        let wait = async {
            loop {
                commits.borrow_and_update();
                if changed() || commits.changed().await.is_err() {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(longest, wait).await;
        changed()
    }

    /// Commits; durable, and to be read here, when it returns. The index of the commit, or of the last one
    /// if nothing had to change.
    pub async fn commit(&self, ops: Vec<Op>) -> Result<u64, StateError> {
        self.commit_with(ops, Vec::new()).await
    }

    /// The same, with ledger entries that are committed together with it.
    pub async fn commit_with(
        &self,
        ops: Vec<Op>,
        entries: Vec<ledger::Draft>,
    ) -> Result<u64, StateError> {
        writer::check(&ops)?;
        let (answer, answered) = oneshot::channel();
        let commit = writer::Commit {
            ops,
            entries,
            answer,
        };
        self.commits
            .send(commit)
            .await
            .map_err(|_| StateError::Closed)?;
        answered.await.map_err(|_| StateError::Closed)?
    }
}
