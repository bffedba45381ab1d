//! What became of each packet: the truth that a record is held against.

use crate::Error;
use crate::limits::LOG_ENTRIES;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It went out whole.
    Delivered,
    /// It went out whole a second time.
    Repeated,
    /// It was never sent: by script, or because nobody was connected.
    Lost,
    /// Only its beginning went out.
    Truncated,
    /// It went out with a turned bit.
    Corrupt,
}

/// One line of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Number of the packet since the device was switched on.
    pub packet: u64,
    /// Number of its first sample since the device was switched on.
    pub first_sample: u64,
    /// Samples (per channel) in it.
    pub samples: u32,
    /// What became of it.
    pub fate: Fate,
}

#[derive(Debug, Default)]
struct Inner {
    entries: Vec<Delivery>,
    file: Option<BufWriter<File>>,
}

/// The log of one device; clones share it.
#[derive(Debug, Clone, Default)]
pub struct DeliveryLog(Arc<Mutex<Inner>>);

impl DeliveryLog {
    /// A log that also writes each line as JSON to `path`.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn to_file(path: &Path) -> Result<Self, Error> {
        let file = File::create(path)
            .map_err(|error| Error::io(format!("cannot write {}", path.display()), error))?;
        Ok(Self(Arc::new(Mutex::new(Inner {
            entries: Vec::new(),
            file: Some(BufWriter::new(file)),
        }))))
    }

    /// Adds a line. Call it after the system has taken the bytes.
    pub fn add(&self, delivery: Delivery) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.entries.len() < LOG_ENTRIES {
            inner.entries.push(delivery);
        }
        if let Some(file) = &mut inner.file
            && let Ok(line) = serde_json::to_string(&delivery)
        {
            // A full disk spoils a test's log, never the device that it watches.
            let _ = writeln!(file, "{line}");
        }
    }

    /// Writes out what is buffered for the file.
    pub fn flush(&self) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &mut inner.file {
            let _ = file.flush();
        }
    }

    /// All lines so far.
    #[must_use]
    pub fn entries(&self) -> Vec<Delivery> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.entries.clone()
    }

    /// Numbers of the samples that went out whole at least once, in ascending order.
    #[must_use]
    pub fn delivered_samples(&self) -> Vec<u64> {
        let mut numbers: Vec<u64> = (self.entries().iter())
            .filter(|entry| matches!(entry.fate, Fate::Delivered | Fate::Repeated))
            .flat_map(|entry| entry.first_sample..entry.first_sample + u64::from(entry.samples))
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }
}
