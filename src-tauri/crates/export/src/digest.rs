//! The SHA-256 of a file while it is written; of a large one on a thread of its own, because hashing
//! costs more than all the rest of an export.

use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use crate::limits::{HASH_QUEUE_CHUNKS, HASH_THREAD_BYTES};

/// The hash so far.
#[derive(Debug)]
pub(crate) enum Hasher {
    /// On the writer's own thread.
    Here(Sha256),
    /// On a thread of its own.
    Apart(Apart),
}

/// A hashing thread and its queue; emptied buffers come back to be filled again.
#[derive(Debug)]
pub(crate) struct Apart {
    chunks: SyncSender<Vec<u8>>,
    empty: Receiver<Vec<u8>>,
    thread: JoinHandle<Sha256>,
}

impl Hasher {
    pub(crate) fn new() -> Self {
        Self::Here(Sha256::new())
    }

    /// Adds `bytes`.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        if let Self::Here(hash) = self {
            if bytes.len() < HASH_THREAD_BYTES {
                hash.update(bytes);
                return;
            }
            match Apart::start(hash.clone()) {
                Some(apart) => *self = Self::Apart(apart),
                // No thread to be had: slower, and as good.
                None => return hash.update(bytes),
            }
        }
        if let Self::Apart(apart) = self {
            let mut chunk = apart.empty.try_recv().unwrap_or_default();
            chunk.clear();
            chunk.extend_from_slice(bytes);
            // The thread ends only when this end of the queue is dropped.
            let _ = apart.chunks.send(chunk);
        }
    }

    /// The hash in lower-case hex; `None` when the hashing thread failed.
    pub(crate) fn finish(self) -> Option<String> {
        let hash = match self {
            Self::Here(hash) => hash,
            Self::Apart(Apart { chunks, thread, .. }) => {
                drop(chunks);
                thread.join().ok()?
            }
        };
        let mut hex = String::with_capacity(64);
        for byte in hash.finalize() {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
        }
        Some(hex)
    }
}

impl Apart {
    fn start(mut hash: Sha256) -> Option<Self> {
        let (chunks, queue) = sync_channel::<Vec<u8>>(HASH_QUEUE_CHUNKS);
        let (give, empty) = sync_channel(HASH_QUEUE_CHUNKS);
        let run = move || {
            for chunk in queue {
                hash.update(&chunk);
                // A full way back drops the buffer.
                let _ = give.try_send(chunk);
            }
            hash
        };
        let thread = Builder::new()
            .name("export-hash".to_owned())
            .spawn(run)
            .ok()?;
        Some(Self {
            chunks,
            empty,
            thread,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_agree() {
        let bytes: Vec<u8> = (0..5 * HASH_THREAD_BYTES)
            .map(|n| (n * 7 % 251) as u8)
            .collect();
        let hash = |chunk: usize| {
            let mut hasher = Hasher::new();
            bytes.chunks(chunk).for_each(|chunk| hasher.update(chunk));
            hasher.finish()
        };
        assert_eq!(hash(1_000), hash(HASH_THREAD_BYTES + 1));
        // FIPS 180-4: the hash of nothing.
        let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Hasher::new().finish().as_deref(), Some(nothing));
    }
}
