//! The audit: what was asked of the gateway, by whom, from where, and what was decided.
//!
//! Denials, writes and every access to a patient are ledger entries of their own, there before the answer
//! is given. All other requests are lines of a day's file; once a second one entry holds their number and
//! the SHA-256 of the lines, so that no line can be changed, added or left out unnoticed.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use events::{Clock, Timestamp};
use ledger::{CanonicalJson, Draft};
use logstore::LogStoreError;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::{
    fs::OpenOptions,
    io::AsyncWriteExt as _,
    sync::{mpsc, oneshot},
};

use super::storage::Storage;
use crate::{limits::service as limits, trust::hex};

/// One request, as the audit tells it. Holds opaque ids and the route's own path, never a value of it.
#[derive(Debug, Clone, Serialize)]
pub struct Asked {
    /// When.
    pub at: Timestamp,
    /// The request's id.
    pub request_id: String,
    /// Who: the opaque id, or `anonymous`.
    pub who: String,
    /// At which site.
    pub site: String,
    /// The action.
    pub action: &'static str,
    /// The method.
    pub method: String,
    /// The route's path as it is written, without the values in it.
    pub route: &'static str,
    /// Whether it was allowed.
    pub allowed: bool,
    /// By which policies.
    pub policies: Vec<String>,
    /// The answer's status, once there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// From where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<IpAddr>,
}

/// Whether a request is an entry of its own.
fn stands_alone(asked: &Asked) -> bool {
    // The event log is the record of what is appended to it: each event has its entry there.
    const WRITES: [&str; 4] = [".write", ".create", ".revoke", ".enrol"];
    !asked.allowed
        || asked.action.starts_with("patient.")
        || WRITES.iter().any(|end| asked.action.ends_with(end))
}

enum Told {
    Line(Box<Asked>),
    Flush(oneshot::Sender<()>),
}

/// Writes the audit. Clones share it.
#[derive(Clone, Debug)]
pub struct Audit {
    log: Storage,
    lines: mpsc::Sender<Told>,
}

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Told")
    }
}

impl Audit {
    /// Over the gateway's ledger and a folder of day files. Needs a tokio runtime.
    pub(crate) fn start(log: Storage, files: DayFiles, clock: Arc<dyn Clock>) -> Self {
        let (lines, told) = mpsc::channel(limits::AUDIT_QUEUE);
        tokio::spawn(batches(log.clone(), files, clock, told));
        Self { log, lines }
    }

    /// Tells of a request. What stands alone is durable when this returns; what does not is with the next
    /// batch.
    pub async fn tell(&self, asked: Asked) -> Result<(), LogStoreError> {
        if stands_alone(&asked) {
            let kind = if asked.allowed {
                "audit.done"
            } else {
                "audit.denied"
            };
            let entry = draft(kind, asked.at, &asked.who, &asked)?;
            self.log.enter(vec![entry]).await?;
        } else if self.lines.send(Told::Line(Box::new(asked))).await.is_err() {
            return Err(LogStoreError::Closed {
                operation: "writing the audit",
            });
        }
        Ok(())
    }

    /// Returns once everything that was told is in a file and its batch in the ledger.
    pub async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.lines.send(Told::Flush(done)).await.is_ok() {
            let _ = flushed.await;
        }
    }
}

fn draft(
    kind: &str,
    at: Timestamp,
    actor: &str,
    what: &impl Serialize,
) -> Result<Draft, LogStoreError> {
    let refused = |reason: String| LogStoreError::Refused {
        operation: "writing the audit",
        reason,
    };
    let value = serde_json::to_value(what).map_err(|error| refused(error.to_string()))?;
    Ok(Draft {
        kind: kind.to_owned(),
        time_ns: at.as_nanos(),
        actor: actor.to_owned(),
        payload: CanonicalJson::from_value(&value).map_err(|error| refused(error.to_string()))?,
    })
}

/// Kind of the entries that speak of lines.
pub(super) const BATCH_KIND: &str = "audit.batch";
/// Extension of the files that hold them.
pub(super) const DAY_FILE: &str = "jsonl";
/// Name of the file that says which replica's day files these are.
const REPLICA: &str = "replica";

/// What an entry says of a batch of lines.
#[derive(Serialize, Deserialize)]
pub(super) struct Batch {
    /// Whose file.
    pub(super) replica: String,
    pub(super) file: String,
    /// Where in the file the lines begin, bytes.
    pub(super) from_byte: u64,
    pub(super) lines: usize,
    pub(super) sha256: String,
}

/// The replica whose day files lie in a folder: several share a ledger, and each has files of its own.
pub(super) fn replica_of(folder: &Path) -> Option<String> {
    let text = std::fs::read_to_string(folder.join(REPLICA)).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// The same; where there is none yet it becomes `fresh`.
pub(super) fn replica_or(folder: &Path, fresh: String) -> std::io::Result<String> {
    if let Some(replica) = replica_of(folder) {
        return Ok(replica);
    }
    std::fs::write(folder.join(REPLICA), format!("{fresh}\n"))?;
    Ok(fresh)
}

/// Where day files go, and whose they are.
#[derive(Debug)]
pub(crate) struct DayFiles {
    /// A folder that exists.
    pub(crate) folder: PathBuf,
    pub(crate) replica: String,
}

async fn batches(
    log: Storage,
    files: DayFiles,
    clock: Arc<dyn Clock>,
    mut told: mpsc::Receiver<Told>,
) {
    let mut tick = tokio::time::interval(limits::AUDIT_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut lines: Vec<Asked> = Vec::new();
    loop {
        let (flushed, over) = tokio::select! {
            _ = tick.tick() => (None, false),
            next = told.recv(), if lines.len() < limits::AUDIT_BATCH => match next {
                Some(Told::Line(line)) => {
                    lines.push(*line);
                    continue;
                }
                Some(Told::Flush(done)) => (Some(done), false),
                None => (None, true),
            },
        };
        if !lines.is_empty() {
            match write(&log, &files, clock.now(), &lines).await {
                Ok(()) => lines.clear(),
                // Kept and tried again; a full queue then makes requests wait, which is better than an
                // audit with a hole in it.
                Err(error) => tracing::error!(%error, "the audit was not written"),
            }
        }
        if let Some(done) = flushed {
            let _ = done.send(());
        }
        if over {
            return;
        }
    }
}

async fn write(
    log: &Storage,
    files: &DayFiles,
    now: Timestamp,
    lines: &[Asked],
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let day: String = now.to_string().chars().take(10).collect();
    let file = format!("{day}.{DAY_FILE}");
    let mut text = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut text, line)?;
        text.push(b'\n');
    }
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    options.mode(0o600);
    let mut kept = options.open(files.folder.join(&file)).await?;
    let from_byte = kept.metadata().await?.len();
    let batch = Batch {
        replica: files.replica.clone(),
        file,
        from_byte,
        lines: lines.len(),
        sha256: hex(&Sha256::digest(&text)),
    };
    let written = async {
        kept.write_all(&text).await?;
        kept.sync_data().await
    };
    if let Err(error) = written.await {
        // A part of the lines would stand there twice once they are tried again.
        kept.set_len(from_byte).await?;
        return Err(error.into());
    }
    let entry = draft(BATCH_KIND, now, "gateway", &batch)?;
    if let Err(error) = log.enter(vec![entry]).await {
        // Without their hash they are no evidence; they come again with it.
        kept.set_len(from_byte).await?;
        return Err(error.into());
    }
    Ok(())
}
