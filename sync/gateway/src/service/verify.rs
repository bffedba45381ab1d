//! The check of a gateway's whole record: every entry and signature of its ledger, and the lines of the audit
//! that batches in it hold the hashes of.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead as _, BufReader, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use ledger::{Entry, NoteError, ReportSummary};
use logstore::{LedgerReader, LedgerStore, LogStoreError, LogStoreOptions};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{
    KeyError, MainKey,
    audit::{BATCH_KIND, Batch, DAY_FILE, replica_of},
    ledger::signer,
    open::{AUDIT, DATABASE},
    storage::{Storage, sqlite_options},
};
use crate::{config::Config, limits::service as limits, random::Random, trust::hex};

/// Why nothing could be said of a ledger.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// There is no gateway in the folder.
    #[error("{0} holds no gateway's data")]
    Nothing(PathBuf),
    /// The key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The key cannot sign.
    #[error("the ledger's key")]
    Signer(#[from] NoteError),
    /// The database.
    #[error("reading the ledger")]
    Log(#[from] LogStoreError),
    /// An entry of the audit says nothing that can be read.
    #[error("entry {sequence} of the ledger is no batch of the audit")]
    Batch {
        /// Which.
        sequence: u64,
        /// Cause.
        #[source]
        source: serde_json::Error,
    },
}

/// What a check of everything found.
#[derive(Debug, Serialize)]
pub struct Verification {
    /// Whether all of it holds.
    pub sound: bool,
    /// What the ledger's signatures were checked with: to be compared with what was noted elsewhere.
    pub key: String,
    /// The last signed state; to be kept elsewhere, where nobody of here can change it.
    pub checkpoint: Option<String>,
    /// Entries, root, the first bad entry.
    pub ledger: ReportSummary,
    /// The day files of this replica.
    pub audit: AuditFiles,
}

/// What was found of the audit's day files.
#[derive(Debug, Default, Serialize)]
pub struct AuditFiles {
    /// Batches whose lines hash as the ledger says.
    pub batches: u64,
    /// Lines in them.
    pub lines: u64,
    /// Batches of other replicas, whose files lie there.
    pub elsewhere: u64,
    /// Bytes of day files that no entry holds the hash of: no evidence. A gateway that runs hashes its last
    /// lines within a second; one that was killed left some.
    pub unhashed_bytes: u64,
    /// Batches that do not hold, and why.
    pub bad: Vec<BadBatch>,
}

/// A batch of the audit that does not hold.
#[derive(Debug, Serialize)]
pub struct BadBatch {
    /// The entry that speaks of it.
    pub sequence: u64,
    /// Why.
    pub reason: String,
}

/// Checks the ledger of the gateway that `config` speaks of, which may run meanwhile, and the audit's day files.
/// `progress` is told how many entries are done.
pub async fn verify(
    config: &Config,
    options: LogStoreOptions,
    random: &Random,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<Verification, VerifyError> {
    let database = config.data_dir.join(DATABASE);
    let on_sqlite = config.storage == "sqlite";
    if on_sqlite && !database.exists() {
        return Err(VerifyError::Nothing(config.data_dir.clone()));
    }
    // A key is never made here: what it is to check would be another's.
    let key = MainKey::load(&config.data_dir, true, random)?;
    let signer = signer(&key)?;
    let (reader, shared);
    let ledger: &dyn LedgerStore = if on_sqlite {
        reader = LedgerReader::open(sqlite_options(&database, &key)).await?;
        &reader
    } else {
        (shared, _) = Storage::open(&config.storage, &database, &key, options).await?;
        shared.ledger()
    };
    let report = ledger.verify_ledger(signer.verifier(), progress).await?;
    let audit = audit_files(ledger, &config.data_dir, report.entries).await?;
    let checkpoint = ledger.last_checkpoint().await?;
    Ok(Verification {
        sound: report.is_sound() && audit.bad.is_empty(),
        key: signer.verifier().to_string(),
        checkpoint: checkpoint.map(|signed| signed.to_string()),
        ledger: (&report).into(),
        audit,
    })
}

async fn audit_files(
    ledger: &dyn LedgerStore,
    data_dir: &Path,
    entries: u64,
) -> Result<AuditFiles, VerifyError> {
    let mut files = Files::of(data_dir.join(AUDIT));
    let mut found = AuditFiles::default();
    let mut from = 0;
    while from < entries {
        let to = entries.min(from + u64::from(limits::AUDIT_PAGE));
        for entry in ledger.ledger_entries(from..to).await? {
            if entry.kind == BATCH_KIND {
                files.look(&entry, &mut found)?;
            }
        }
        from = to;
    }
    found.unhashed_bytes = files.unhashed_bytes();
    Ok(found)
}

/// The day files, read from front to back as the ledger speaks of them.
struct Files {
    folder: PathBuf,
    replica: Option<String>,
    /// Each with the place up to which it has been accounted for, and the bytes that nobody spoke of.
    opened: BTreeMap<String, Read>,
}

#[derive(Default)]
struct Read {
    to: u64,
    skipped: u64,
}

impl Files {
    fn of(folder: PathBuf) -> Self {
        Self {
            replica: replica_of(&folder),
            folder,
            opened: BTreeMap::new(),
        }
    }

    fn look(&mut self, entry: &Entry, found: &mut AuditFiles) -> Result<(), VerifyError> {
        let sequence = entry.sequence;
        let batch: Batch = serde_json::from_str(entry.payload.as_str())
            .map_err(|source| VerifyError::Batch { sequence, source })?;
        if Some(&batch.replica) != self.replica.as_ref() {
            found.elsewhere += 1;
            return Ok(());
        }
        let lines = batch.lines as u64;
        match self.hash_of(&batch) {
            Ok(hash) if hash == batch.sha256 => {
                found.batches += 1;
                found.lines += lines;
            }
            Ok(_) => found.bad.push(BadBatch {
                sequence,
                reason: format!("{}: lines were changed, added or removed", batch.file),
            }),
            Err(error) => found.bad.push(BadBatch {
                sequence,
                reason: format!("{}: {error}", batch.file),
            }),
        }
        Ok(())
    }

    /// The hash of the lines that a batch speaks of.
    fn hash_of(&mut self, batch: &Batch) -> io::Result<String> {
        // A name of a day and nothing else: an entry leads to no other file.
        if Path::new(&batch.file).file_name() != Some(batch.file.as_ref()) {
            return Err(io::Error::other("it is no day file"));
        }
        let read = self.opened.entry(batch.file.clone()).or_default();
        let mut file = File::open(self.folder.join(&batch.file))?;
        file.seek(SeekFrom::Start(batch.from_byte))?;
        let mut file = BufReader::new(file);
        let (mut hash, mut bytes, mut line) = (Sha256::new(), 0, Vec::new());
        for _ in 0..batch.lines {
            line.clear();
            bytes += file.read_until(b'\n', &mut line)? as u64;
            hash.update(&line);
        }
        read.skipped += batch.from_byte.saturating_sub(read.to);
        read.to = read.to.max(batch.from_byte + bytes);
        Ok(hex(&hash.finalize()))
    }

    fn unhashed_bytes(&self) -> u64 {
        let length = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
        let files = std::fs::read_dir(&self.folder).into_iter().flatten();
        let days = files.filter_map(|entry| Some(entry.ok()?.path()));
        days.filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == DAY_FILE)
        })
        .map(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            let read = name.and_then(|name| self.opened.get(name));
            read.map_or_else(
                || length(&path),
                |read| read.skipped + length(&path).saturating_sub(read.to),
            )
        })
        .sum()
    }
}
