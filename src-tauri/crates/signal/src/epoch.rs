//! Fixed analysis windows.

use serde::{Deserialize, Serialize};

/// A fixed window of a stream: `len` samples from `first_index`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Epoch {
    /// Index of the first sample.
    pub first_index: u64,
    /// Samples.
    pub len: u64,
}

/// Whole epochs of `len` samples within `start..end`, back to back; the rest is left out.
pub fn epochs(start: u64, end: u64, len: u64) -> impl Iterator<Item = Epoch> {
    let count = end.saturating_sub(start).checked_div(len).unwrap_or(0);
    (0..count).map(move |n| Epoch {
        first_index: start + n * len,
        len,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_epochs_count() {
        let found: Vec<_> = epochs(10, 35, 10).map(|epoch| epoch.first_index).collect();
        assert_eq!(found, [10, 20]);
        assert_eq!(epochs(0, 5, 0).count(), 0);
    }
}
