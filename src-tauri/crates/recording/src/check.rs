//! Verification and repair.

use crate::error::{Fault, Result};
use crate::keys::{Entropy, Unlock};
use crate::storage::Storage;
use std::path::Path;

/// Something wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// File name within the recording.
    pub file: String,
    /// Offset of the frame (or head) concerned.
    pub offset: u64,
    /// Sequence of that frame within its file, where known.
    pub sequence: Option<u64>,
    /// What.
    pub fault: Fault,
    /// Whether samples or events are concerned; `false` for caches, which repair rebuilds, and for
    /// torn tails, which only hold what was never synced.
    pub loses_data: bool,
}

/// Result of a verification.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VerifyReport {
    /// Files read.
    pub files: u64,
    /// Frames whose CRC, tag, sequence and content are right.
    pub frames: u64,
    /// Samples (per channel) in them.
    pub samples: u64,
    /// Bytes read.
    pub bytes: u64,
    /// What is wrong, in the order of files and offsets; the first is the first bad frame.
    pub problems: Vec<Problem>,
}

/// What a repair did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RepairReport {
    /// Torn tails moved into files of their own: (segment, tail's file, bytes).
    pub quarantined: Vec<(String, String, u64)>,
    /// Streams whose overview was built anew.
    pub overviews_rebuilt: Vec<u16>,
    /// Whether the catalog was written anew.
    pub catalog_rebuilt: bool,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Reads everything and checks CRC, tag, sequence, content, tables and hashes.
pub fn verify(
    folder: &Path,
    unlock: &Unlock,
    storage: &dyn Storage,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<VerifyReport> {
    todo!()
}

/// Moves torn tails into files of their own, and rebuilds catalog and overview. Deletes no data.
pub fn repair(
    folder: &Path,
    unlock: &Unlock,
    storage: std::sync::Arc<dyn Storage>,
    entropy: &mut dyn Entropy,
) -> Result<RepairReport> {
    todo!()
}
