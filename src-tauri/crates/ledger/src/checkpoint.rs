//! Checkpoints: the ledger's size and root under signature (C2SP tlog-checkpoint).

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Digest, KeyKind, NoteError, NoteSigner, SignedNote, VerifierKey};

/// What a log states about itself at one size.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    /// Which log; also the name of its key.
    pub origin: String,
    /// Entries in the log.
    pub size: u64,
    /// Merkle root over them.
    pub root: Digest,
    /// Further lines, opaque.
    pub extensions: Vec<String>,
}

/// Why a checkpoint cannot be made, read or trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The note around it, or its signature.
    #[error("checkpoint")]
    Note(#[from] NoteError),
    /// The note is sound, but no checkpoint.
    #[error("checkpoint: {0}")]
    Malformed(&'static str),
    /// The checkpoint is of another log than the key.
    #[error("checkpoint: it is of {found}, and the key is of {expected}")]
    Origin {
        /// The key's name.
        expected: String,
        /// The checkpoint's origin.
        found: String,
    },
}

impl Checkpoint {
    /// The note text: origin, size and base64 root, a line each, then the extensions.
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "{}\n{}\n{}\n",
            self.origin,
            self.size,
            BASE64.encode(self.root.0)
        );
        for line in &self.extensions {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    fn from_text(text: &str) -> Result<Self, CheckpointError> {
        let malformed = CheckpointError::Malformed;
        let text = text
            .strip_suffix('\n')
            .ok_or(malformed("no newline at the end"))?;
        let mut lines = text.split('\n');
        let origin = lines
            .next()
            .filter(|l| !l.is_empty())
            .ok_or(malformed("no origin"))?;
        let size_text = lines.next().ok_or(malformed("no size"))?;
        let size: u64 = size_text
            .parse()
            .map_err(|_| malformed("the size is no number"))?;
        if size.to_string() != size_text {
            return Err(malformed("the size has leading zeros or a sign"));
        }
        let root = lines.next().ok_or(malformed("no root"))?;
        let root = BASE64
            .decode(root)
            .map_err(|_| malformed("the root is not base64"))?;
        let root = Digest::try_from(&root[..]).map_err(|_| malformed("a root has 32 bytes"))?;
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if extensions.iter().any(String::is_empty) {
            return Err(malformed("an extension line is empty"));
        }
        Ok(Self {
            origin: origin.to_owned(),
            size,
            root,
            extensions,
        })
    }

    /// Signs it with the log's key, whose name is the origin.
    pub fn sign(self, signer: &NoteSigner) -> Result<SignedCheckpoint, CheckpointError> {
        if signer.verifier().kind() != KeyKind::Ed25519 {
            return Err(CheckpointError::Malformed(
                "a witness's key cannot sign for the log",
            ));
        }
        same_origin(signer.verifier(), &self)?;
        let mut note = SignedNote::unsigned(self.to_text())?;
        // Reading it back refuses what the format cannot say, such as a newline in an extension.
        if Self::from_text(note.text())? != self {
            return Err(CheckpointError::Malformed("a line does not fit the format"));
        }
        signer.sign(&mut note, 0);
        Ok(SignedCheckpoint {
            checkpoint: self,
            note,
        })
    }
}

fn same_origin(key: &VerifierKey, checkpoint: &Checkpoint) -> Result<(), CheckpointError> {
    if key.name() == checkpoint.origin {
        return Ok(());
    }
    let (expected, found) = (key.name().to_owned(), checkpoint.origin.clone());
    Err(CheckpointError::Origin { expected, found })
}

/// A checkpoint with its signatures; displayed and serialised, it is the signed note.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: SignedNote,
}

impl SignedCheckpoint {
    /// What it states. Trust it after [`SignedCheckpoint::verify`] only.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note with its signature lines.
    pub fn note(&self) -> &SignedNote {
        &self.note
    }

    /// Verifies the log's own signature.
    pub fn verify(&self, log: &VerifierKey) -> Result<&Checkpoint, CheckpointError> {
        if log.kind() != KeyKind::Ed25519 {
            return Err(CheckpointError::Malformed(
                "a witness's key cannot vouch for the log",
            ));
        }
        same_origin(log, &self.checkpoint)?;
        self.note.verify(log)?;
        Ok(&self.checkpoint)
    }

    /// Verifies a witness's signature and returns its time, seconds since 1970.
    pub fn verify_cosignature(&self, witness: &VerifierKey) -> Result<u64, CheckpointError> {
        self.note
            .verify(witness)?
            .ok_or(CheckpointError::Malformed("the key is no witness's"))
    }

    /// Signs as a witness, at `time_s` seconds since 1970. The witness must have verified the log's
    /// signature and its consistency with the last checkpoint that it signed.
    pub fn cosign(&mut self, witness: &NoteSigner, time_s: u64) -> Result<(), CheckpointError> {
        if witness.verifier().kind() != KeyKind::CosignatureV1 {
            return Err(CheckpointError::Malformed(
                "a witness signs with a cosignature key",
            ));
        }
        witness.sign(&mut self.note, time_s);
        Ok(())
    }

    /// Takes over signatures from another copy of this checkpoint.
    pub fn merge(&mut self, other: &Self) -> Result<(), CheckpointError> {
        Ok(self.note.merge(&other.note)?)
    }
}

impl FromStr for SignedCheckpoint {
    type Err = CheckpointError;
    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let note = SignedNote::parse(text)?;
        Ok(Self {
            checkpoint: Checkpoint::from_text(note.text())?,
            note,
        })
    }
}

impl fmt::Display for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.note.fmt(f)
    }
}

impl Serialize for SignedCheckpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SignedCheckpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}
