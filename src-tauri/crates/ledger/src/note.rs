//! Signed notes (C2SP signed-note, as in golang.org/x/mod/sumdb/note) with Ed25519 signatures, and
//! the timestamped witness signatures of C2SP tlog-cosignature version 1.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use crate::{
    Digest,
    limits::{MAX_NOTE_BYTES, MAX_NOTE_SIGNATURES},
};

/// Why a note or a key cannot be read, or a signature does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// Not a signed note.
    #[error("signed note: {0}")]
    Malformed(&'static str),
    /// Not a verifier key.
    #[error("verifier key: {0}")]
    Key(&'static str),
    /// No line of the note is by this key.
    #[error("signed note: there is no signature by {0}")]
    NotSigned(String),
    /// A line is by this key's name and id but does not hold.
    #[error("signed note: the signature by {0} does not hold")]
    BadSignature(String),
}

/// What a key signs, by the algorithm byte of its specification.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyKind {
    /// Plain Ed25519 over the note's text (0x01): the log itself.
    Ed25519,
    /// Ed25519 over a time and the note's text (0x04): a witness, cosignature/v1.
    CosignatureV1,
}

impl KeyKind {
    fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::CosignatureV1 => 0x04,
        }
    }
}

/// A public key under a name; its text form is `name+keyid+base64(algorithm byte ‖ key)`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifierKey {
    name: String,
    kind: KeyKind,
    key: VerifyingKey,
}

impl VerifierKey {
    /// Name of the key: a log's origin, or a witness's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it signs.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The key id: the first four bytes of SHA-256(name ‖ "\n" ‖ algorithm byte ‖ key).
    pub fn id(&self) -> u32 {
        let hash = Digest::of(&[
            self.name.as_bytes(),
            b"\n",
            &[self.kind.byte()],
            self.key.as_bytes(),
        ]);
        u32::from_be_bytes([hash.0[0], hash.0[1], hash.0[2], hash.0[3]])
    }

    /// Reads the text form.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Key("name+id+key is due"));
        };
        check_name(name).map_err(|_| NoteError::Key("the name is empty or has spaces"))?;
        let bytes = BASE64
            .decode(key)
            .map_err(|_| NoteError::Key("the key is not base64"))?;
        let (&algorithm, key) = bytes
            .split_first()
            .ok_or(NoteError::Key("the key is empty"))?;
        let kind = match algorithm {
            0x01 => KeyKind::Ed25519,
            0x04 => KeyKind::CosignatureV1,
            _ => return Err(NoteError::Key("the algorithm is unknown")),
        };
        let key = key
            .try_into()
            .map_err(|_| NoteError::Key("an Ed25519 key has 32 bytes"))?;
        let key = VerifyingKey::from_bytes(key).map_err(|_| NoteError::Key("no curve point"))?;
        let parsed = Self {
            name: name.to_owned(),
            kind,
            key,
        };
        if format!("{:08x}", parsed.id()) != id {
            return Err(NoteError::Key("the id does not fit the key"));
        }
        Ok(parsed)
    }

    /// Verifies one signature's bytes over `text`; a witness's time (seconds since 1970) is returned.
    fn verify(&self, text: &str, bytes: &[u8]) -> Result<Option<u64>, NoteError> {
        let bad = || NoteError::BadSignature(self.name.clone());
        let (time, message, signature) = match self.kind {
            KeyKind::Ed25519 => (None, text.to_owned(), bytes),
            KeyKind::CosignatureV1 => {
                let (time, signature) = bytes.split_first_chunk().ok_or_else(bad)?;
                let time = u64::from_be_bytes(*time);
                (Some(time), cosigned_message(time, text), signature)
            }
        };
        let signature = Signature::from_slice(signature).map_err(|_| bad())?;
        self.key
            .verify_strict(message.as_bytes(), &signature)
            .map_err(|_| bad())?;
        Ok(time)
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![self.kind.byte()];
        bytes.extend_from_slice(self.key.as_bytes());
        write!(
            f,
            "{}+{:08x}+{}",
            self.name,
            self.id(),
            BASE64.encode(bytes)
        )
    }
}

/// The message of cosignature/v1: header, time line, and the whole note text.
fn cosigned_message(time_s: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {time_s}\n{text}")
}

fn check_name(name: &str) -> Result<(), NoteError> {
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+') {
        return Err(NoteError::Malformed(
            "a key name is empty, or has spaces or a plus",
        ));
    }
    Ok(())
}

/// A private key under a name. Its bytes are wiped when it is dropped.
pub struct NoteSigner {
    key: SigningKey,
    verifier: VerifierKey,
}

impl fmt::Debug for NoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoteSigner")
            .field("verifier", &self.verifier.to_string())
            .finish()
    }
}

impl NoteSigner {
    /// A key from its 32-byte seed (RFC 8032 section 5.1.5).
    pub fn from_seed(name: &str, kind: KeyKind, seed: &[u8; 32]) -> Result<Self, NoteError> {
        check_name(name)?;
        let seed = Zeroizing::new(*seed);
        let key = SigningKey::from_bytes(&seed);
        let verifier = VerifierKey {
            name: name.to_owned(),
            kind,
            key: key.verifying_key(),
        };
        Ok(Self { key, verifier })
    }

    /// The public half.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Adds this key's signature to the note. `time_s` (seconds since 1970) enters a witness's
    /// signature and is unused by a log's.
    pub fn sign(&self, note: &mut SignedNote, time_s: u64) {
        let mut bytes = Vec::new();
        let signature = match self.verifier.kind {
            KeyKind::Ed25519 => self.key.sign(note.text.as_bytes()),
            KeyKind::CosignatureV1 => {
                bytes.extend_from_slice(&time_s.to_be_bytes());
                self.key
                    .sign(cosigned_message(time_s, &note.text).as_bytes())
            }
        };
        bytes.extend_from_slice(&signature.to_bytes());
        let name = self.verifier.name.clone();
        note.signatures.push(NoteSignature {
            name,
            key_id: self.verifier.id(),
            bytes,
        });
    }
}

/// One signature line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoteSignature {
    /// Name of the key.
    pub name: String,
    /// Id of the key, see [`VerifierKey::id`].
    pub key_id: u32,
    /// The signature as its algorithm defines it.
    pub bytes: Vec<u8>,
}

/// A text with signature lines. Displayed, it is the note to be kept or sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedNote {
    text: String,
    signatures: Vec<NoteSignature>,
}

impl SignedNote {
    /// A note that nobody has signed yet. The text ends in a newline.
    pub fn unsigned(text: String) -> Result<Self, NoteError> {
        if !text.ends_with('\n') {
            return Err(NoteError::Malformed("the text does not end in a newline"));
        }
        if text.contains(|c: char| c < ' ' && c != '\n') {
            return Err(NoteError::Malformed("the text has control characters"));
        }
        Ok(Self {
            text,
            signatures: Vec::new(),
        })
    }

    /// Reads a note; signatures are not verified yet.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        if note.len() > MAX_NOTE_BYTES {
            return Err(NoteError::Malformed("too long"));
        }
        let split = note
            .rfind("\n\n")
            .ok_or(NoteError::Malformed("no signature block"))?;
        let (text, lines) = (&note[..=split], &note[split + 2..]);
        let mut parsed = Self::unsigned(text.to_owned())?;
        let lines = lines
            .strip_suffix('\n')
            .ok_or(NoteError::Malformed("no newline at the end"))?;
        for line in lines.split('\n') {
            parsed.signatures.push(parse_signature(line)?);
        }
        if parsed.signatures.len() > MAX_NOTE_SIGNATURES {
            return Err(NoteError::Malformed("too many signatures"));
        }
        Ok(parsed)
    }

    /// The signed text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Adds signatures of another copy of the same note that this one lacks.
    pub fn merge(&mut self, other: &Self) -> Result<(), NoteError> {
        if other.text != self.text {
            return Err(NoteError::Malformed("the signatures are of another text"));
        }
        for signature in &other.signatures {
            if !self.signatures.contains(signature) {
                self.signatures.push(signature.clone());
            }
        }
        Ok(())
    }

    /// Verifies the signature by `key`. A witness's time (seconds since 1970) is returned.
    pub fn verify(&self, key: &VerifierKey) -> Result<Option<u64>, NoteError> {
        let id = key.id();
        self.signatures
            .iter()
            .find(|signature| signature.name == key.name && signature.key_id == id)
            .ok_or_else(|| NoteError::NotSigned(key.name.clone()))
            .and_then(|signature| key.verify(&self.text, &signature.bytes))
    }
}

fn parse_signature(line: &str) -> Result<NoteSignature, NoteError> {
    let malformed = NoteError::Malformed("a signature line is not «— name base64»");
    let rest = line.strip_prefix("— ").ok_or_else(|| malformed.clone())?;
    let (name, encoded) = rest.split_once(' ').ok_or_else(|| malformed.clone())?;
    check_name(name)?;
    let bytes = BASE64.decode(encoded).map_err(|_| malformed.clone())?;
    let (key_id, bytes) = bytes.split_first_chunk().ok_or(malformed)?;
    Ok(NoteSignature {
        name: name.to_owned(),
        key_id: u32::from_be_bytes(*key_id),
        bytes: bytes.to_vec(),
    })
}

impl fmt::Display for SignedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        for signature in &self.signatures {
            let mut bytes = signature.key_id.to_be_bytes().to_vec();
            bytes.extend_from_slice(&signature.bytes);
            writeln!(f, "— {} {}", signature.name, BASE64.encode(bytes))?;
        }
        Ok(())
    }
}
