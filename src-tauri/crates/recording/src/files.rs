//! Opening, scanning and reading journal files.

use crate::container::{
    FILE_HEAD, FRAME_HEAD, FileHead, FrameHead, FrameRef, Identity, TRAILER, frame_kind,
    open_frame, parse_table, parse_trailer,
};
use crate::error::{Fault, RecordingError, Result};
use crate::frame;
use crate::keys::RecordingKey;
use crate::limits::OPEN_FILES;
use crate::seal::Cipher;
use crate::storage::{Storage, StorageFile, read_full};
use signal::ClockSource;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A journal file whose head was checked and whose key is at hand.
#[derive(Debug)]
pub(crate) struct JournalFile {
    pub(crate) name: String,
    file: Box<dyn StorageFile>,
    head: FileHead,
    cipher: Cipher,
}

/// What a scan of a file without a table found.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) frames: Vec<FrameRef>,
    /// Sequence of each frame.
    pub(crate) sequences: Vec<u64>,
    /// Byte ranges between whole frames that hold none, and what is wrong where they begin.
    pub(crate) holes: Vec<(u64, u64, Fault)>,
    /// Offset past the last whole frame.
    pub(crate) end: u64,
    /// Whether the file ends in a close frame and trailer.
    pub(crate) closed: bool,
}

impl JournalFile {
    pub(crate) fn open(
        storage: &dyn Storage,
        folder: &Path,
        identity: &Identity,
        key: &RecordingKey,
    ) -> Result<Self> {
        let name = identity.file_name();
        let wrap = |error| RecordingError::storage("opening", &name, error);
        let file = storage.open(&folder.join(&name), false).map_err(wrap)?;
        let mut bytes = [0; FILE_HEAD];
        let got = read_full(&*file, 0, &mut bytes).map_err(wrap)?;
        let head = FileHead::parse(&bytes[..got]).map_err(|fault| match fault {
            Fault::Version => RecordingError::NewerFormat {
                file: name.clone(),
                version: u16::from_le_bytes([bytes[8], bytes[9]]),
                needed: u16::from_le_bytes([bytes[10], bytes[11]]),
            },
            fault => RecordingError::damaged(&name, 0, fault),
        })?;
        let found = (head.kind, head.stream, head.recording, head.number);
        if found
            != (
                identity.kind as u8,
                identity.stream,
                identity.recording,
                identity.number,
            )
        {
            return Err(RecordingError::damaged(&name, 0, Fault::Identity));
        }
        let cipher = (head.cipher(key))
            .ok_or_else(|| RecordingError::damaged(&name, 0, Fault::Authentication))?;
        Ok(Self {
            name,
            file,
            head,
            cipher,
        })
    }

    pub(crate) fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<usize> {
        read_full(&*self.file, offset, bytes)
            .map_err(|e| RecordingError::storage("reading", &self.name, e))
    }

    /// Reads, checks and decrypts the frame at `offset` into `buffer`.
    pub(crate) fn frame<'a>(
        &self,
        offset: u64,
        len: u64,
        buffer: &'a mut Vec<u8>,
    ) -> Result<(FrameHead, &'a [u8])> {
        let damaged = |fault| RecordingError::damaged(&self.name, offset, fault);
        buffer.resize(
            usize::try_from(len).map_err(|_| damaged(Fault::TooLarge))?,
            0,
        );
        let got = self.read_at(offset, buffer)?;
        buffer.truncate(got);
        open_frame(&self.cipher, &self.head.identity, buffer).map_err(damaged)
    }

    /// The table of a closed file of `len` bytes; `None` when it is not closed (or its end is
    /// damaged, which a scan will tell).
    pub(crate) fn table(&self, len: u64) -> Result<Option<Vec<FrameRef>>> {
        let Some(at) = len
            .checked_sub(TRAILER as u64)
            .filter(|at| *at >= FILE_HEAD as u64)
        else {
            return Ok(None);
        };
        let mut trailer = [0; TRAILER];
        let got = self.read_at(at, &mut trailer)?;
        let Some(offset) = parse_trailer(&trailer[..got]) else {
            return Ok(None);
        };
        let Some(size) = at.checked_sub(offset) else {
            return Ok(None);
        };
        let mut buffer = Vec::new();
        let Ok((head, payload)) = self.frame(offset, size, &mut buffer) else {
            return Ok(None);
        };
        if head.kind != frame_kind::CLOSE {
            return Ok(None);
        }
        let frames = parse_table(payload);
        Ok(frames.filter(|frames| {
            frames.last().map_or(FILE_HEAD as u64, |f| f.offset + f.len) == offset
                && frames.len() as u64 == head.sequence
        }))
    }

    /// Reads the file frame by frame. `deep` also checks and decrypts payloads; without it only
    /// heads are read. Behind damage it looks for the next whole frame.
    pub(crate) fn scan(&self, len: u64, deep: bool, clock: Option<ClockSource>) -> Result<Scan> {
        let mut scan = Scan {
            end: FILE_HEAD as u64,
            ..Scan::default()
        };
        let mut buffer = Vec::new();
        let mut offset = FILE_HEAD as u64;
        let mut hole: Option<(u64, Fault)> = None;
        let mut next_sequence = 0;
        while offset < len {
            if scan.closed && len - offset == TRAILER as u64 {
                let mut trailer = [0; TRAILER];
                self.read_at(offset, &mut trailer)?;
                let close = scan.frames.last().map(|f| f.offset);
                if parse_trailer(&trailer) == close {
                    scan.end = len;
                    return Ok(scan);
                }
            }
            match self.scan_frame(offset, len, deep, clock, &mut buffer) {
                Ok((head, start)) if head.sequence >= next_sequence => {
                    if let Some((from, fault)) = hole.take() {
                        scan.holes.push((from, offset, fault));
                    }
                    scan.frames.push(FrameRef {
                        offset,
                        len: head.frame_len(),
                        kind: head.kind,
                        level: head.level,
                        count: head.count,
                        first: head.first,
                        start,
                    });
                    scan.sequences.push(head.sequence);
                    next_sequence = head.sequence + 1;
                    scan.closed = head.kind == frame_kind::CLOSE;
                    offset += head.frame_len();
                    scan.end = offset;
                }
                Ok(_) => {
                    hole.get_or_insert((offset, Fault::Sequence));
                    offset = self.next_frame(offset + 1, len)?;
                }
                Err(RecordingError::Damaged { fault, .. }) => {
                    hole.get_or_insert((offset, fault));
                    offset = self.next_frame(offset + 1, len)?;
                }
                Err(error) => return Err(error),
            }
        }
        // A close frame without its trailer does not make a closed file.
        scan.closed = false;
        if let Some((from, fault)) = hole {
            scan.holes.push((from, len, fault));
        }
        Ok(scan)
    }

    fn scan_frame(
        &self,
        offset: u64,
        len: u64,
        deep: bool,
        clock: Option<ClockSource>,
        buffer: &mut Vec<u8>,
    ) -> Result<(FrameHead, i64)> {
        let damaged = |fault| RecordingError::damaged(&self.name, offset, fault);
        let mut bytes = [0; FRAME_HEAD];
        let got = self.read_at(offset, &mut bytes)?;
        let head = FrameHead::parse(&bytes[..got]).map_err(damaged)?;
        if offset + head.frame_len() > len {
            return Err(damaged(Fault::Truncated));
        }
        if !deep {
            return Ok((head, 0));
        }
        let (head, payload) = self.frame(offset, head.frame_len(), buffer)?;
        let start = match clock {
            Some(clock) if head.kind == frame_kind::SAMPLES => {
                let (meta, _) = frame::decode_meta(payload, head.first, head.count)
                    .ok_or_else(|| damaged(Fault::Content))?;
                meta.start(clock).0
            }
            _ => 0,
        };
        Ok((head, start))
    }

    /// Payloads of the whole frames of `kind` in the bytes of this file, up to the first bad one.
    pub(crate) fn frames_of<'a>(&self, bytes: &'a mut [u8], kind: u8) -> Vec<&'a [u8]> {
        let mut found = Vec::new();
        let mut rest = bytes.get_mut(FILE_HEAD..).unwrap_or_default();
        while let Ok(head) = FrameHead::parse(rest) {
            let len = usize::try_from(head.frame_len()).unwrap_or(usize::MAX);
            let Some((frame, behind)) = rest.split_at_mut_checked(len) else {
                break;
            };
            rest = behind;
            match open_frame(&self.cipher, &self.head.identity, frame) {
                Ok((head, payload)) if head.kind == kind => found.push(payload),
                Ok(_) => {}
                Err(_) => break,
            }
        }
        found
    }

    /// Offset of the next frame head at or behind `from`; `len` when there is none.
    fn next_frame(&self, from: u64, len: u64) -> Result<u64> {
        const STEP: usize = 1 << 16;
        let mut window = vec![0; STEP + FRAME_HEAD];
        let mut at = from;
        while at < len {
            let got = self.read_at(at, &mut window)?;
            let found = (window[..got].windows(FRAME_HEAD))
                .take(STEP)
                .position(|bytes| FrameHead::parse(bytes).is_ok());
            if let Some(position) = found {
                return Ok(at + position as u64);
            }
            at += STEP as u64;
        }
        Ok(len)
    }
}

/// The few files kept open.
#[derive(Debug)]
pub(crate) struct Pool {
    storage: Arc<dyn Storage>,
    folder: PathBuf,
    key: RecordingKey,
    files: Mutex<VecDeque<Arc<JournalFile>>>,
}

impl Pool {
    pub(crate) fn new(storage: Arc<dyn Storage>, folder: PathBuf, key: RecordingKey) -> Self {
        Self {
            storage,
            folder,
            key,
            files: Mutex::new(VecDeque::new()),
        }
    }

    pub(crate) fn storage(&self) -> &dyn Storage {
        &*self.storage
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) const fn key(&self) -> &RecordingKey {
        &self.key
    }

    pub(crate) fn get(&self, identity: &Identity) -> Result<Arc<JournalFile>> {
        let name = identity.file_name();
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(position) = files.iter().position(|file| file.name == name)
            && let Some(file) = files.remove(position)
        {
            files.push_front(Arc::clone(&file));
            return Ok(file);
        }
        let file = JournalFile::open(&*self.storage, &self.folder, identity, &self.key)?;
        let file = Arc::new(file);
        files.push_front(Arc::clone(&file));
        files.truncate(OPEN_FILES);
        Ok(file)
    }
}
