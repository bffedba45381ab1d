//! The one file shape of the journal: a head with its wrapped key, then sealed frames, then, in a
//! closed file, a table of them. FORMAT.md has the bytes.

use crate::bits::{Cursor, put_signed, put_varint};
use crate::error::{Fault, RecordingError, Result};
use crate::header::RecordingId;
use crate::keys::{Entropy, RecordingKey};
use crate::limits::MAX_PAYLOAD;
use crate::seal::{Cipher, TAG, frame_nonce};
use crate::storage::Storage;
use crate::storage::StorageFile;
use sha2::{Digest as _, Sha256};
use std::io;
use std::path::Path;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Version of the format that this room writes.
pub const FORMAT: u16 = 1;
/// Least reader version that understands what this room writes.
pub const MIN_READER: u16 = 1;

pub(crate) const FILE_HEAD: usize = 128;
pub(crate) const FRAME_HEAD: usize = 40;
pub(crate) const TRAILER: usize = 16;
const FILE_MAGIC: &[u8; 8] = b"NSREC\r\n\x1a";
const FRAME_MAGIC: &[u8; 4] = b"NSf1";
const TRAILER_MAGIC: &[u8; 4] = b"NSe1";
/// Bytes of the file head that every frame's associated data repeats.
const IDENTITY: usize = 40;
/// Stream number of files that belong to no stream.
pub(crate) const NO_STREAM: u16 = u16::MAX;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(crate) enum FileKind {
    Samples = 1,
    Events = 2,
    Overview = 3,
    Catalog = 4,
    Header = 5,
}

/// What a frame holds. Others are skipped: a later minor version may add some.
pub(crate) mod frame_kind {
    pub(crate) const SAMPLES: u8 = 1;
    pub(crate) const EVENTS: u8 = 2;
    pub(crate) const OVERVIEW: u8 = 3;
    pub(crate) const CATALOG: u8 = 4;
    pub(crate) const HEADER: u8 = 5;
    pub(crate) const CLOSE: u8 = 255;
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// The first 128 bytes of a file.
#[derive(Debug, Clone)]
pub(crate) struct FileHead {
    pub(crate) kind: u8,
    pub(crate) stream: u16,
    pub(crate) recording: RecordingId,
    pub(crate) number: u64,
    pub(crate) identity: [u8; IDENTITY],
    nonce: [u8; 12],
    wrapped: [u8; 48],
}

impl FileHead {
    pub(crate) fn parse(bytes: &[u8]) -> std::result::Result<Self, Fault> {
        if bytes.len() < FILE_HEAD {
            return Err(Fault::Truncated);
        }
        if &bytes[..8] != FILE_MAGIC {
            return Err(Fault::Magic);
        }
        if crc32c::crc32c(&bytes[..124]) != u32_at(bytes, 124) {
            return Err(Fault::HeadChecksum);
        }
        let array = |from: usize| -> [u8; 16] {
            let mut out = [0; 16];
            out.copy_from_slice(&bytes[from..from + 16]);
            out
        };
        let mut head = Self {
            kind: bytes[12],
            stream: u16_at(bytes, 14),
            recording: RecordingId(Uuid::from_bytes(array(16))),
            number: u64_at(bytes, 32),
            identity: [0; IDENTITY],
            nonce: [0; 12],
            wrapped: [0; 48],
        };
        head.identity.copy_from_slice(&bytes[..IDENTITY]);
        head.nonce.copy_from_slice(&bytes[40..52]);
        head.wrapped.copy_from_slice(&bytes[52..100]);
        if u16_at(bytes, 10) > FORMAT {
            return Err(Fault::Version);
        }
        Ok(head)
    }

    /// The file's own key; `None` when `key` is not the recording's or the head was altered.
    pub(crate) fn cipher(&self, key: &RecordingKey) -> Option<Cipher> {
        let mut wrapped = Zeroizing::new(self.wrapped);
        let plain =
            Cipher::new(key.expose()).open(self.nonce, &self.identity, wrapped.as_mut_slice())?;
        let plain: Zeroizing<[u8; 32]> = Zeroizing::new((&*plain).try_into().ok()?);
        Some(Cipher::new(&plain))
    }
}

/// What a file is, for its head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identity {
    pub(crate) kind: FileKind,
    pub(crate) stream: u16,
    pub(crate) recording: RecordingId,
    pub(crate) number: u64,
}

impl Identity {
    /// The header's file.
    pub(crate) const fn header(recording: RecordingId) -> Self {
        Self {
            kind: FileKind::Header,
            stream: NO_STREAM,
            recording,
            number: 0,
        }
    }

    /// File name within the recording.
    pub(crate) fn file_name(&self) -> String {
        let (stream, number) = (self.stream, self.number);
        match self.kind {
            FileKind::Samples => format!("stream-{stream:03}-{number:08}.nsj"),
            FileKind::Events => format!("events-{number:08}.nsj"),
            FileKind::Overview => format!("overview-{stream:03}-{number:08}.nsj"),
            FileKind::Catalog => format!("catalog-{number:08}.nsj"),
            FileKind::Header => "recording.nsj".to_owned(),
        }
    }

    /// What a file name says; `None` for files that are not ours.
    pub(crate) fn from_name(name: &str, recording: RecordingId) -> Option<Self> {
        let mut parts = name.strip_suffix(".nsj")?.split('-');
        let kind = match parts.next()? {
            "stream" => FileKind::Samples,
            "events" => FileKind::Events,
            "overview" => FileKind::Overview,
            "catalog" => FileKind::Catalog,
            _ => return None,
        };
        let stream = match kind {
            FileKind::Samples | FileKind::Overview => parts.next()?.parse().ok()?,
            _ => NO_STREAM,
        };
        let number = parts.next()?.parse().ok()?;
        let found = Self {
            kind,
            stream,
            recording,
            number,
        };
        // One spelling only, so that two names never stand for one segment.
        (parts.next().is_none() && found.file_name() == name).then_some(found)
    }

    fn head(
        &self,
        key: &RecordingKey,
        entropy: &mut dyn Entropy,
        (format, min_reader): (u16, u16),
    ) -> Result<([u8; FILE_HEAD], Cipher)> {
        let mut bytes = [0; FILE_HEAD];
        bytes[..8].copy_from_slice(FILE_MAGIC);
        bytes[8..10].copy_from_slice(&format.to_le_bytes());
        bytes[10..12].copy_from_slice(&min_reader.to_le_bytes());
        bytes[12] = self.kind as u8;
        bytes[14..16].copy_from_slice(&self.stream.to_le_bytes());
        bytes[16..32].copy_from_slice(self.recording.0.as_bytes());
        bytes[32..40].copy_from_slice(&self.number.to_le_bytes());
        let mut nonce = [0; 12];
        entropy.fill(&mut nonce)?;
        bytes[40..52].copy_from_slice(&nonce);
        let mut own = Zeroizing::new([0; 32]);
        entropy.fill(own.as_mut_slice())?;
        let cipher = Cipher::new(&own);
        let tag = Cipher::new(key.expose())
            .seal(nonce, &{ bytes }[..IDENTITY], own.as_mut_slice())
            .ok_or(RecordingError::WrongKey)?;
        bytes[52..84].copy_from_slice(own.as_slice());
        bytes[84..100].copy_from_slice(&tag);
        let crc = crc32c::crc32c(&bytes[..124]);
        bytes[124..].copy_from_slice(&crc.to_le_bytes());
        Ok((bytes, cipher))
    }
}

/// The plain 40 bytes before a frame's sealed payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHead {
    pub(crate) kind: u8,
    pub(crate) level: u8,
    /// Ciphertext and tag.
    pub(crate) len: u32,
    pub(crate) count: u32,
    pub(crate) sequence: u64,
    pub(crate) first: u64,
    pub(crate) payload_crc: u32,
}

impl FrameHead {
    pub(crate) fn parse(bytes: &[u8]) -> std::result::Result<Self, Fault> {
        if bytes.len() < FRAME_HEAD {
            return Err(Fault::Truncated);
        }
        if &bytes[..4] != FRAME_MAGIC {
            return Err(Fault::Magic);
        }
        if crc32c::crc32c(&bytes[..36]) != u32_at(bytes, 36) {
            return Err(Fault::HeadChecksum);
        }
        let head = Self {
            kind: bytes[4],
            level: bytes[5],
            len: u32_at(bytes, 8),
            count: u32_at(bytes, 12),
            sequence: u64_at(bytes, 16),
            first: u64_at(bytes, 24),
            payload_crc: u32_at(bytes, 32),
        };
        if head.len as usize > MAX_PAYLOAD || (head.len as usize) < TAG {
            return Err(Fault::TooLarge);
        }
        Ok(head)
    }

    /// Bytes of the whole frame.
    pub(crate) const fn frame_len(&self) -> u64 {
        FRAME_HEAD as u64 + self.len as u64
    }
}

fn associated(identity: &[u8; IDENTITY], frame_head: &[u8]) -> [u8; IDENTITY + 32] {
    let mut data = [0; IDENTITY + 32];
    data[..IDENTITY].copy_from_slice(identity);
    data[IDENTITY..].copy_from_slice(&frame_head[..32]);
    data
}

/// Checks and decrypts the frame that begins `frame`, in place.
pub(crate) fn open_frame<'a>(
    cipher: &Cipher,
    identity: &[u8; IDENTITY],
    frame: &'a mut [u8],
) -> std::result::Result<(FrameHead, &'a [u8]), Fault> {
    let head = FrameHead::parse(frame)?;
    let (head_bytes, rest) = frame.split_at_mut(FRAME_HEAD);
    let payload = rest.get_mut(..head.len as usize).ok_or(Fault::Truncated)?;
    if crc32c::crc32c(payload) != head.payload_crc {
        return Err(Fault::PayloadChecksum);
    }
    let data = associated(identity, head_bytes);
    let plain =
        (cipher.open(frame_nonce(head.sequence), &data, payload)).ok_or(Fault::Authentication)?;
    Ok((head, plain))
}

/// Where a frame lies, as the table of a closed file notes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameRef {
    pub(crate) offset: u64,
    pub(crate) len: u64,
    pub(crate) kind: u8,
    pub(crate) level: u8,
    pub(crate) count: u32,
    pub(crate) first: u64,
    /// UTC of the first sample, ns; 0 where it has no meaning.
    pub(crate) start: i64,
}

impl FrameRef {
    pub(crate) const fn end(&self) -> u64 {
        self.first.saturating_add(self.count as u64)
    }
}

/// Appends the table of `frames` (all but the close frame itself).
pub(crate) fn put_table(out: &mut Vec<u8>, frames: &[FrameRef]) {
    put_varint(out, frames.len() as u64);
    let (mut first, mut start) = (0_u64, 0_i64);
    for frame in frames {
        put_varint(out, frame.len);
        out.extend_from_slice(&[frame.kind, frame.level]);
        put_varint(out, u64::from(frame.count));
        put_signed(out, frame.first.wrapping_sub(first) as i64);
        put_signed(out, frame.start.wrapping_sub(start));
        (first, start) = (frame.end(), frame.start);
    }
}

/// Reads what [`put_table`] wrote, for frames that begin behind the file head.
pub(crate) fn parse_table(bytes: &[u8]) -> Option<Vec<FrameRef>> {
    let mut cursor = Cursor(bytes);
    let count = cursor.size(bytes.len() / 6)?;
    let mut frames = Vec::with_capacity(count);
    let (mut offset, mut first, mut start) = (FILE_HEAD as u64, 0_u64, 0_i64);
    for _ in 0..count {
        let len = cursor.size(FRAME_HEAD + MAX_PAYLOAD)? as u64;
        let (kind, level) = (cursor.byte()?, cursor.byte()?);
        let frame = FrameRef {
            offset,
            len,
            kind,
            level,
            count: u32::try_from(cursor.varint()?).ok()?,
            first: first.wrapping_add(cursor.signed()? as u64),
            start: start.wrapping_add(cursor.signed()?),
        };
        offset += len;
        (first, start) = (frame.end(), frame.start);
        frames.push(frame);
    }
    cursor.0.is_empty().then_some(frames)
}

/// The close frame's offset, from a closed file's last 16 bytes.
pub(crate) fn parse_trailer(bytes: &[u8]) -> Option<u64> {
    let bytes = bytes.get(..TRAILER)?;
    (&bytes[..4] == TRAILER_MAGIC && crc32c::crc32c(&bytes[..12]) == u32_at(bytes, 12))
        .then(|| u64_at(bytes, 4))
}

/// Writes one file, frame by frame. Bytes stay here until they are synced, so that a failed write
/// or fsync is repeated from memory.
#[derive(Debug)]
pub(crate) struct FrameWriter {
    pub(crate) identity: Identity,
    name: String,
    cipher: Cipher,
    head_identity: [u8; IDENTITY],
    file: Option<Box<dyn StorageFile>>,
    directory_synced: bool,
    /// Bytes from `synced` on.
    buffer: Vec<u8>,
    written: usize,
    synced: u64,
    hash: Sha256,
    pub(crate) frames: Vec<FrameRef>,
}

impl FrameWriter {
    pub(crate) fn new(
        identity: Identity,
        key: &RecordingKey,
        entropy: &mut dyn Entropy,
    ) -> Result<Self> {
        Self::with_version(identity, key, entropy, (FORMAT, MIN_READER))
    }

    /// As [`Self::new`] under another version, for the tests of compatibility.
    pub(crate) fn with_version(
        identity: Identity,
        key: &RecordingKey,
        entropy: &mut dyn Entropy,
        version: (u16, u16),
    ) -> Result<Self> {
        let (head, cipher) = identity.head(key, entropy, version)?;
        let mut head_identity = [0; IDENTITY];
        head_identity.copy_from_slice(&head[..IDENTITY]);
        let mut hash = Sha256::new();
        hash.update(head);
        Ok(Self {
            name: identity.file_name(),
            identity,
            cipher,
            head_identity,
            file: None,
            directory_synced: false,
            buffer: head.to_vec(),
            written: 0,
            synced: 0,
            hash,
            frames: Vec::new(),
        })
    }

    /// Length of the file, written or not.
    pub(crate) fn len(&self) -> u64 {
        self.synced + self.buffer.len() as u64
    }

    pub(crate) fn unsynced(&self) -> usize {
        self.buffer.len()
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether everything is on disk, the file's name included.
    pub(crate) fn is_synced(&self) -> bool {
        self.buffer.is_empty() && self.directory_synced
    }

    /// Adds a frame whose plain payload `fill` appends to the buffer it is given.
    pub(crate) fn frame(
        &mut self,
        (kind, level): (u8, u8),
        (first, count): (u64, u32),
        start: i64,
        fill: impl FnOnce(&mut Vec<u8>),
    ) {
        let at = self.buffer.len();
        let offset = self.len();
        let sequence = self.frames.len() as u64;
        self.buffer.extend_from_slice(&[0; FRAME_HEAD]);
        fill(&mut self.buffer);
        let len = (self.buffer.len() - at - FRAME_HEAD + TAG) as u32;
        let mut head = [0; FRAME_HEAD];
        head[..4].copy_from_slice(FRAME_MAGIC);
        head[4] = kind;
        head[5] = level;
        head[8..12].copy_from_slice(&len.to_le_bytes());
        head[12..16].copy_from_slice(&count.to_le_bytes());
        head[16..24].copy_from_slice(&sequence.to_le_bytes());
        head[24..32].copy_from_slice(&first.to_le_bytes());
        let data = associated(&self.head_identity, &head);
        let payload = &mut self.buffer[at + FRAME_HEAD..];
        let tag = (self.cipher)
            .seal(frame_nonce(sequence), &data, payload)
            .expect("payloads stay far below AES-GCM's 64 GiB");
        self.buffer.extend_from_slice(&tag);
        let crc = crc32c::crc32c(&self.buffer[at + FRAME_HEAD..]);
        head[32..36].copy_from_slice(&crc.to_le_bytes());
        let head_crc = crc32c::crc32c(&head[..36]);
        head[36..].copy_from_slice(&head_crc.to_le_bytes());
        self.buffer[at..at + FRAME_HEAD].copy_from_slice(&head);
        self.hash.update(&self.buffer[at..]);
        self.frames.push(FrameRef {
            offset,
            len: FRAME_HEAD as u64 + u64::from(len),
            kind,
            level,
            count,
            first,
            start,
        });
    }

    /// Adds the close frame and the trailer, and returns the hash of the whole file.
    pub(crate) fn close(&mut self) -> [u8; 32] {
        let offset = self.len();
        let mut table = Vec::new();
        put_table(&mut table, &self.frames);
        self.frame((frame_kind::CLOSE, 0), (0, 0), 0, |out| {
            out.extend_from_slice(&table);
        });
        let mut trailer = [0; TRAILER];
        trailer[..4].copy_from_slice(TRAILER_MAGIC);
        trailer[4..12].copy_from_slice(&offset.to_le_bytes());
        let crc = crc32c::crc32c(&trailer[..12]);
        trailer[12..].copy_from_slice(&crc.to_le_bytes());
        self.hash.update(trailer);
        self.buffer.extend_from_slice(&trailer);
        std::mem::take(&mut self.hash).finalize().into()
    }

    /// The whole file, of which nothing has been written yet.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        debug_assert!(self.file.is_none() && self.synced == 0);
        self.buffer
    }

    /// Hands what is not written yet to the file layer.
    pub(crate) fn flush(&mut self, storage: &dyn Storage, folder: &Path) -> Result<()> {
        if self.written == self.buffer.len() {
            return Ok(());
        }
        let wrap = |operation, error| RecordingError::storage(operation, &self.name, error);
        let file = match &self.file {
            Some(file) => file,
            None => {
                let path = folder.join(&self.name);
                let file = match storage.create(&path) {
                    // An earlier try of ours made the file and then failed: numbers are never
                    // used twice, so nobody else can have.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        storage.open(&path, true)
                    }
                    other => other,
                };
                self.file.insert(file.map_err(|e| wrap("creating", e))?)
            }
        };
        while self.written < self.buffer.len() {
            match file.write_at(
                self.synced + self.written as u64,
                &self.buffer[self.written..],
            ) {
                Ok(0) => return Err(wrap("writing", io::ErrorKind::WriteZero.into())),
                Ok(n) => self.written += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(wrap("writing", error)),
            }
        }
        Ok(())
    }

    /// Makes everything durable. After an error all bytes since the last success are written again.
    pub(crate) fn sync(&mut self, storage: &dyn Storage, folder: &Path) -> Result<()> {
        self.flush(storage, folder)?;
        if let (Some(file), false) = (&self.file, self.buffer.is_empty()) {
            if let Err(error) = file.sync() {
                self.written = 0;
                return Err(RecordingError::storage("syncing", &self.name, error));
            }
            self.synced += self.buffer.len() as u64;
            self.buffer.clear();
            self.written = 0;
        }
        if !self.directory_synced {
            (storage.sync_dir(folder))
                .map_err(|e| RecordingError::storage("syncing the folder of", &self.name, e))?;
            self.directory_synced = true;
        }
        Ok(())
    }

    /// Whether the file was made already.
    pub(crate) const fn is_created(&self) -> bool {
        self.file.is_some()
    }

    /// Leaves of a cache what is whole: a frame that was written in part is cut off, and a file without
    /// a frame is removed.
    pub(crate) fn abandon(&mut self, storage: &dyn Storage, folder: &Path) -> io::Result<()> {
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        let stored = self.synced + self.written as u64;
        let ends = self.frames.iter().map(|frame| frame.offset + frame.len);
        match ends.take_while(|end| *end <= stored).last() {
            Some(whole) => file.set_len(whole),
            None => storage.remove(&folder.join(&self.name)),
        }
    }

    /// Forgets bytes that were written but not synced: for caches, which need no fsync.
    pub(crate) fn forget_written(&mut self) {
        if self.written == self.buffer.len() {
            self.synced += self.buffer.len() as u64;
            self.buffer.clear();
            self.written = 0;
        }
    }
}
