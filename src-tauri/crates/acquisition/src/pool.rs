//! Blocks that return to where they came from, so that reading allocates nothing.

use crossbeam_queue::ArrayQueue;
use signal::{SampleBlock, SampleType, StreamIndex};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

struct Entry {
    /// Handles in use; the one that brings it to 0 returns the entry.
    users: AtomicUsize,
    block: SampleBlock,
}

struct FreeList {
    entries: ArrayQueue<Arc<Entry>>,
    /// Blocks made since the start; constant in steady state.
    made: AtomicU64,
}

/// A shared, read-only block; the last handle dropped returns it to its pool.
pub struct PooledBlock {
    entry: Option<Arc<Entry>>,
    home: Arc<FreeList>,
}

impl Deref for PooledBlock {
    type Target = SampleBlock;

    fn deref(&self) -> &SampleBlock {
        match &self.entry {
            Some(entry) => &entry.block,
            None => unreachable!("the entry leaves only in drop"),
        }
    }
}

impl Clone for PooledBlock {
    fn clone(&self) -> Self {
        if let Some(entry) = &self.entry {
            entry.users.fetch_add(1, Ordering::Relaxed);
        }
        Self {
            entry: self.entry.clone(),
            home: Arc::clone(&self.home),
        }
    }
}

impl Drop for PooledBlock {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take()
            && entry.users.fetch_sub(1, Ordering::AcqRel) == 1
        {
            // A full list means that the pool grew beyond its bound for a slow consumer: let go.
            drop(self.home.entries.push(entry));
        }
    }
}

impl fmt::Debug for PooledBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledBlock")
            .field("stream", &self.stream)
            .field("first_index", &self.first_index)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

/// A block that is being filled; nobody else sees it.
pub(crate) struct Lent {
    entry: Arc<Entry>,
}

impl Lent {
    /// The block as it is.
    pub(crate) fn peek(&self) -> &SampleBlock {
        &self.entry.block
    }

    /// The block to fill.
    pub(crate) fn block(&mut self) -> &mut SampleBlock {
        match Arc::get_mut(&mut self.entry) {
            Some(entry) => &mut entry.block,
            None => unreachable!("take() hands out unshared entries only"),
        }
    }
}

/// The blocks of one stream.
pub(crate) struct BlockPool {
    home: Arc<FreeList>,
    stream: StreamIndex,
    sample_type: SampleType,
    channels: usize,
    capacity: usize,
}

impl BlockPool {
    /// A pool that starts with `start` blocks and keeps up to `bound`.
    pub(crate) fn new(
        stream: StreamIndex,
        sample_type: SampleType,
        channels: usize,
        capacity: usize,
        (start, bound): (usize, usize),
    ) -> Self {
        let pool = Self {
            home: Arc::new(FreeList {
                entries: ArrayQueue::new(bound.max(start).max(1)),
                made: AtomicU64::new(0),
            }),
            stream,
            sample_type,
            channels,
            capacity,
        };
        for _ in 0..start {
            drop(pool.home.entries.push(pool.make()));
        }
        pool
    }

    fn make(&self) -> Arc<Entry> {
        self.home.made.fetch_add(1, Ordering::Relaxed);
        Arc::new(Entry {
            users: AtomicUsize::new(0),
            block: SampleBlock::with_capacity(
                self.stream,
                self.sample_type,
                self.channels,
                self.capacity,
            ),
        })
    }

    /// An empty block.
    pub(crate) fn take(&self) -> Lent {
        // The last user counts itself out before it lets go of its reference to the entry, so a
        // returned entry can still be shared for an instant; such a one goes to the end of the list.
        for _ in 0..self.home.entries.len() {
            let Some(mut entry) = self.home.entries.pop() else {
                break;
            };
            if let Some(unshared) = Arc::get_mut(&mut entry) {
                unshared.block.reset();
                unshared.block.stream = self.stream;
                unshared.block.channels = self.channels;
                return Lent { entry };
            }
            drop(self.home.entries.push(entry));
        }
        Lent { entry: self.make() }
    }

    /// Makes the filled block shareable.
    pub(crate) fn share(&self, lent: Lent) -> PooledBlock {
        lent.entry.users.store(1, Ordering::Release);
        PooledBlock {
            entry: Some(lent.entry),
            home: Arc::clone(&self.home),
        }
    }

    /// Takes back a block that was not used.
    pub(crate) fn give_back(&self, lent: Lent) {
        drop(self.home.entries.push(lent.entry));
    }

    /// Blocks made since the start.
    pub(crate) fn made(&self) -> u64 {
        self.home.made.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(start: usize, bound: usize) -> BlockPool {
        BlockPool::new(StreamIndex(3), SampleType::I16, 2, 4, (start, bound))
    }

    #[test]
    fn blocks_return_when_the_last_handle_goes() {
        let pool = pool(1, 4);
        let first = pool.share(pool.take());
        let second = first.clone();
        drop(first);
        let other = pool.share(pool.take());
        assert_eq!(pool.made(), 2, "the first block is still in use");
        drop((second, other));
        let _again = (pool.take(), pool.take());
        assert_eq!(pool.made(), 2);
    }

    #[test]
    fn a_hoarder_makes_the_pool_grow_and_not_fail() {
        let pool = pool(1, 2);
        let hoard: Vec<_> = (0..10).map(|_| pool.share(pool.take())).collect();
        assert_eq!(pool.made(), 10);
        drop(hoard);
        assert_eq!(pool.home.entries.len(), 2, "only the bound is kept");
    }

    #[test]
    fn handles_dropped_on_many_threads_come_back_whole() {
        let pool = pool(4, 8);
        std::thread::scope(|scope| {
            let (send, receive) = crossbeam_channel::bounded::<PooledBlock>(4);
            for _ in 0..2 {
                let receive = receive.clone();
                std::thread::Builder::new()
                    .spawn_scoped(scope, move || {
                        for block in receive {
                            assert_eq!(block.len as u64, block.first_index % 7);
                        }
                    })
                    .expect("spawn");
            }
            for index in 0..20_000_u64 {
                let mut lent = pool.take();
                lent.block().first_index = index;
                lent.block().len = usize::try_from(index % 7).unwrap();
                let shared = pool.share(lent);
                send.send(shared.clone()).unwrap();
                send.send(shared).unwrap();
            }
        });
        assert!(pool.made() <= 40, "made {}", pool.made());
    }
}
