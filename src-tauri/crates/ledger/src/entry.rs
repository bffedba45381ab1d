//! Entries and their hash chain.

use serde::{Deserialize, Serialize};

use crate::{
    CanonicalError, CanonicalJson, Digest,
    limits::{MAX_ACTOR_BYTES, MAX_KIND_BYTES},
    merkle,
};

/// First bytes of every encoded entry: the format and its version.
const ENTRY_DOMAIN: &[u8] = b"neurascale-ledger-entry/v1\n";

/// What is to be entered; its place and hashes follow from the ledger it joins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// What happened, as a dotted name (`session.started`).
    pub kind: String,
    /// When, nanoseconds since 1970-01-01T00:00:00 UTC.
    pub time_ns: i64,
    /// Who: an opaque user id or a service's name, never a person's name.
    pub actor: String,
    /// What about it.
    pub payload: CanonicalJson,
}

impl Draft {
    /// Whether it can become an entry: the form of its kind and actor. That the payload is
    /// canonical is the promise of its type.
    pub fn check(&self) -> Result<(), EntryFault> {
        check_form(&self.kind, &self.actor)
    }
}

/// One line of the ledger.
///
/// `hash` is SHA-256 over [`Entry::encode`]; the leaf of the Merkle tree is
/// SHA-256(0x00 ‖ [`Entry::encode`]), so that an entry is bound twice: to the entry before it, and
/// to every signed checkpoint after it. Its JSON form has exactly one spelling of every field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Position in the ledger from 0; also the index of its leaf.
    pub sequence: u64,
    /// See [`Draft::kind`].
    pub kind: String,
    /// See [`Draft::time_ns`]. A string in JSON: it exceeds what a double holds.
    #[serde(with = "as_text")]
    pub time_ns: i64,
    /// See [`Draft::actor`].
    pub actor: String,
    /// See [`Draft::payload`]. A string in JSON, so that its bytes survive any JSON tool.
    pub payload: CanonicalJson,
    /// Hash of the entry before; [`Digest::ZERO`] for the first.
    pub previous: Digest,
    /// Hash of this entry.
    pub hash: Digest,
}

/// Why an entry is not what the ledger says it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryFault {
    /// Another sequence number was due.
    #[error("sequence {found} stands where {expected} is due")]
    Sequence {
        /// The number that was due.
        expected: u64,
        /// The number that was found.
        found: u64,
    },
    /// The entry does not follow the one before it.
    #[error("previous hash is {found}, but the entry before has {expected}")]
    Previous {
        /// Hash of the entry before.
        expected: Digest,
        /// What the entry says.
        found: Digest,
    },
    /// The content is not the content that was hashed.
    #[error("content hashes to {computed}, but the entry says {stated}")]
    Hash {
        /// Hash of the content as found.
        computed: Digest,
        /// What the entry says.
        stated: Digest,
    },
    /// The entry breaks the format.
    #[error("malformed: {0}")]
    Malformed(String),
    /// The ledger differs from what was signed, somewhere from this entry up to `size`.
    #[error(
        "the tree of {size} entries has root {computed}, but a signed checkpoint says {signed}"
    )]
    Checkpoint {
        /// Size of the signed checkpoint.
        size: u64,
        /// Root over the entries as found.
        computed: Digest,
        /// Root as signed.
        signed: Digest,
    },
    /// A checkpoint covers entries that are not there.
    #[error("missing: a signed checkpoint covers {size} entries")]
    Missing {
        /// Size of the signed checkpoint.
        size: u64,
    },
}

impl Entry {
    /// Gives a draft its place: `sequence` entries stand before it, the last with hash `previous`.
    pub fn seal(draft: Draft, sequence: u64, previous: Digest) -> Result<Self, EntryFault> {
        Ok(Self::seal_with_leaf(draft, sequence, previous)?.0)
    }

    /// The same, with the hash of its Merkle leaf, for one encoding in place of two.
    pub fn seal_with_leaf(
        draft: Draft,
        sequence: u64,
        previous: Digest,
    ) -> Result<(Self, Digest), EntryFault> {
        draft.check()?;
        let Draft {
            kind,
            time_ns,
            actor,
            payload,
        } = draft;
        let hash = Digest::ZERO;
        let mut entry = Self {
            sequence,
            kind,
            time_ns,
            actor,
            payload,
            previous,
            hash,
        };
        let encoded = entry.encode();
        entry.hash = Digest::of(&[&encoded]);
        Ok((entry, merkle::leaf_hash(&encoded)))
    }

    /// The bytes that are hashed. Every field of variable length is preceded by its length, so that
    /// no two entries share an encoding:
    ///
    /// ```text
    /// "neurascale-ledger-entry/v1\n"
    /// u64 sequence ‖ i64 time_ns                                  (big endian)
    /// u32 length ‖ kind ‖ u32 length ‖ actor ‖ u32 length ‖ payload  (UTF-8)
    /// 32 bytes previous hash
    /// ```
    pub fn encode(&self) -> Vec<u8> {
        let payload = self.payload.as_str();
        let texts = [self.kind.as_str(), self.actor.as_str(), payload];
        let length: usize = texts.iter().map(|text| text.len() + 4).sum();
        let mut bytes = Vec::with_capacity(ENTRY_DOMAIN.len() + 16 + length + 32);
        bytes.extend_from_slice(ENTRY_DOMAIN);
        bytes.extend_from_slice(&self.sequence.to_be_bytes());
        bytes.extend_from_slice(&self.time_ns.to_be_bytes());
        for text in texts {
            // The form check bounds every text far below 4 GiB.
            bytes.extend_from_slice(&(text.len() as u32).to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes.extend_from_slice(&self.previous.0);
        bytes
    }

    /// Hash of its Merkle leaf (RFC 6962 section 2.1).
    pub fn leaf_hash(&self) -> Digest {
        merkle::leaf_hash(&self.encode())
    }

    /// Whether this is a sound entry number `sequence` after one with hash `previous`.
    pub fn check(&self, sequence: u64, previous: Digest) -> Result<(), EntryFault> {
        if self.sequence != sequence {
            return Err(EntryFault::Sequence {
                expected: sequence,
                found: self.sequence,
            });
        }
        self.check_alone()?;
        if self.previous != previous {
            return Err(EntryFault::Previous {
                expected: previous,
                found: self.previous,
            });
        }
        Ok(())
    }

    /// The part of [`Entry::check`] that needs no neighbour: its form and its own hash.
    pub fn check_alone(&self) -> Result<(), EntryFault> {
        check_form(&self.kind, &self.actor)?;
        CanonicalJson::parse(self.payload.as_str()).map_err(malformed_payload)?;
        let computed = Digest::of(&[&self.encode()]);
        if computed != self.hash {
            return Err(EntryFault::Hash {
                computed,
                stated: self.hash,
            });
        }
        Ok(())
    }
}

fn check_form(kind: &str, actor: &str) -> Result<(), EntryFault> {
    let kind_ok = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    if kind.is_empty() || kind.len() > MAX_KIND_BYTES || !kind.bytes().all(kind_ok) {
        return Err(EntryFault::Malformed(format!(
            "a kind is 1 to {MAX_KIND_BYTES} of a-z 0-9 . _ -"
        )));
    }
    if actor.is_empty() || actor.len() > MAX_ACTOR_BYTES || actor.chars().any(char::is_control) {
        return Err(EntryFault::Malformed(format!(
            "an actor is 1 to {MAX_ACTOR_BYTES} bytes without control characters"
        )));
    }
    Ok(())
}

fn malformed_payload(error: CanonicalError) -> EntryFault {
    EntryFault::Malformed(format!("payload: {error}"))
}

mod as_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        let text = String::deserialize(deserializer)?;
        let value: i64 = text.parse().map_err(D::Error::custom)?;
        // One spelling only: no plus sign, no leading zeros.
        if value.to_string() == text {
            Ok(value)
        } else {
            Err(D::Error::custom(
                "a whole number in its shortest spelling is due",
            ))
        }
    }
}
