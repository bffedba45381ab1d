//! A simulated disk in memory that fails by seed, for tests.
//!
//! Faults that the journal must survive (and the tests of this room hold it to):
//! - power cut at any operation: writes since the last fsync are kept, dropped or torn in pieces of
//!   512 bytes, in any order within and across files; creations, renames and removals since the last
//!   sync of the folder are kept or dropped one by one;
//! - fsync fails (EIO) and the system forgets which pages were dirty;
//! - writes fail (EIO) or are short; the disk is full (ENOSPC) for a while.
//!
//! Not simulated: fsync that lies, sectors that rot while at rest (tests flip bits themselves).

use crate::storage::{FileEntry, Storage, StorageFile};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const SECTOR: usize = 512;

/// What may fail, in chances of one in a thousand operations.
#[derive(Debug, Clone, Copy, Default)]
pub struct FaultPlan {
    /// A write fails with EIO.
    pub write_error: u32,
    /// A write takes only a part.
    pub short_write: u32,
    /// An fsync fails with EIO and drops what it should have written.
    pub sync_error: u32,
    /// Bytes that fit on the disk; `None` for no limit.
    pub capacity: Option<u64>,
    /// The power is cut before this operation (writes, syncs, creations and so on count).
    pub power_cut_at: Option<u64>,
}

#[derive(Debug, Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write(offset, bytes) => {
                let from = usize::try_from(*offset).unwrap_or(usize::MAX);
                if content.len() < from + bytes.len() {
                    content.resize(from + bytes.len(), 0);
                }
                content[from..from + bytes.len()].copy_from_slice(bytes);
            }
            Self::Length(len) => content.resize(usize::try_from(*len).unwrap_or(0), 0),
        }
    }
}

#[derive(Debug, Default, Clone)]
struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Naming {
    Create(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

type Names = BTreeMap<PathBuf, usize>;

impl Naming {
    fn apply(&self, names: &mut Names) {
        match self {
            Self::Create(path, inode) => {
                names.insert(path.clone(), *inode);
            }
            Self::Rename(from, to) => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
            Self::Remove(path) => {
                names.remove(path);
            }
        }
    }

    fn folder(&self) -> Option<&Path> {
        match self {
            Self::Create(path, _) | Self::Rename(path, _) | Self::Remove(path) => path.parent(),
        }
    }
}

#[derive(Debug)]
struct Disk {
    inodes: Vec<Inode>,
    live: Names,
    durable: Names,
    pending: Vec<Naming>,
    plan: FaultPlan,
    state: u64,
    operations: u64,
}

/// The simulated disk; clones share it.
#[derive(Debug, Clone)]
pub struct FaultyStorage(Arc<Mutex<Disk>>);

#[derive(Debug)]
struct FaultyFile(Arc<Mutex<Disk>>, usize);

fn locked(disk: &Mutex<Disk>) -> MutexGuard<'_, Disk> {
    disk.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Disk {
    /// SplitMix64 (Steele, Lea and Flood, 2014).
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn chance(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.random() % 1000 < u64::from(per_mille)
    }

    /// Counts an operation; fails when the power is off.
    fn operate(&mut self) -> io::Result<()> {
        if self
            .plan
            .power_cut_at
            .is_some_and(|at| self.operations >= at)
        {
            return Err(io::Error::other("the power is off"));
        }
        self.operations += 1;
        Ok(())
    }

    fn used(&self) -> u64 {
        self.live
            .values()
            .map(|i| self.inodes[*i].live.len() as u64)
            .sum()
    }
}

impl FaultyStorage {
    /// An empty disk.
    #[must_use]
    pub fn new(seed: u64, plan: FaultPlan) -> Self {
        Self(Arc::new(Mutex::new(Disk {
            inodes: Vec::new(),
            live: Names::new(),
            durable: Names::new(),
            pending: Vec::new(),
            plan,
            state: seed,
            operations: 0,
        })))
    }

    /// Changes what may fail from now on.
    pub fn set_plan(&self, plan: FaultPlan) {
        locked(&self.0).plan = plan;
    }

    /// Operations so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        locked(&self.0).operations
    }

    /// Cuts the power and gives the disk as it is found afterwards, without further faults.
    #[must_use]
    pub fn after_power_cut(&self, seed: u64) -> Self {
        let disk = locked(&self.0);
        let mut after = Disk {
            inodes: disk.inodes.clone(),
            live: Names::new(),
            durable: disk.durable.clone(),
            pending: Vec::new(),
            plan: FaultPlan::default(),
            state: seed,
            operations: 0,
        };
        // Some cuts lose nearly all that was not synced, some nearly nothing.
        let kept = [0, 200, 500, 900, 1000][(after.random() % 5) as usize];
        for naming in &disk.pending {
            if after.chance(kept) {
                naming.apply(&mut after.durable);
            }
        }
        for at in 0..after.inodes.len() {
            let mut content = std::mem::take(&mut after.inodes[at].durable);
            for change in std::mem::take(&mut after.inodes[at].pending) {
                match change {
                    Change::Write(offset, bytes) => {
                        let mut done = 0;
                        while done < bytes.len() {
                            let from = offset as usize + done;
                            let len = (SECTOR - from % SECTOR).min(bytes.len() - done);
                            if after.chance(kept) {
                                let sector = bytes[done..done + len].to_vec();
                                Change::Write(from as u64, sector).apply(&mut content);
                            }
                            done += len;
                        }
                    }
                    length @ Change::Length(_) => {
                        if after.chance(kept) {
                            length.apply(&mut content);
                        }
                    }
                }
            }
            after.inodes[at] = Inode {
                live: content.clone(),
                durable: content,
                pending: Vec::new(),
            };
        }
        after.live = after.durable.clone();
        Self(Arc::new(Mutex::new(after)))
    }

    /// Content of a file, for tests that damage it.
    #[must_use]
    pub fn content(&self, path: &Path) -> Option<Vec<u8>> {
        let disk = locked(&self.0);
        disk.live.get(path).map(|i| disk.inodes[*i].live.clone())
    }

    /// Replaces a file's content, durably.
    pub fn set_content(&self, path: &Path, content: &[u8]) {
        let mut disk = locked(&self.0);
        let inode = Inode {
            live: content.to_vec(),
            durable: content.to_vec(),
            pending: Vec::new(),
        };
        disk.inodes.push(inode);
        let at = disk.inodes.len() - 1;
        disk.live.insert(path.to_owned(), at);
        disk.durable.insert(path.to_owned(), at);
    }

    /// All files.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        locked(&self.0).live.keys().cloned().collect()
    }
}

impl StorageFile for FaultyFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let mut disk = locked(&self.0);
        disk.operate()?;
        let plan = disk.plan;
        if disk.chance(plan.write_error) {
            return Err(io::Error::other("simulated EIO"));
        }
        let mut len = bytes.len();
        if len > 1 && disk.chance(plan.short_write) {
            len = 1 + (disk.random() % (len as u64 - 1)) as usize;
        }
        if let Some(capacity) = plan.capacity {
            let grows = (offset + len as u64).saturating_sub(disk.inodes[self.1].live.len() as u64);
            let free = capacity.saturating_sub(disk.used());
            if grows > free {
                len = len.saturating_sub((grows - free) as usize);
            }
            if len == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        let change = Change::Write(offset, bytes[..len].to_vec());
        let inode = &mut disk.inodes[self.1];
        change.apply(&mut inode.live);
        inode.pending.push(change);
        Ok(len)
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let disk = locked(&self.0);
        let content = &disk.inodes[self.1].live;
        let from = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(content.len());
        let len = bytes.len().min(content.len() - from);
        bytes[..len].copy_from_slice(&content[from..from + len]);
        Ok(len)
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = locked(&self.0);
        disk.operate()?;
        let plan = disk.plan;
        let fails = disk.chance(plan.sync_error);
        let inode = &mut disk.inodes[self.1];
        let pending = std::mem::take(&mut inode.pending);
        if fails {
            // The pages are clean now as far as the system knows: nobody will write them.
            return Err(io::Error::other("simulated EIO"));
        }
        for change in pending {
            change.apply(&mut inode.durable);
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(locked(&self.0).inodes[self.1].live.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut disk = locked(&self.0);
        disk.operate()?;
        let inode = &mut disk.inodes[self.1];
        Change::Length(len).apply(&mut inode.live);
        inode.pending.push(Change::Length(len));
        Ok(())
    }
}

impl FaultyStorage {
    fn name(&self, naming: Naming) -> io::Result<()> {
        let mut disk = locked(&self.0);
        disk.operate()?;
        naming.apply(&mut disk.live);
        disk.pending.push(naming);
        Ok(())
    }

    fn find(&self, path: &Path) -> io::Result<usize> {
        locked(&self.0)
            .live
            .get(path)
            .copied()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Storage for FaultyStorage {
    fn create_dir(&self, _folder: &Path) -> io::Result<()> {
        locked(&self.0).operate()
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        if self.find(path).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = {
            let mut disk = locked(&self.0);
            if disk
                .plan
                .capacity
                .is_some_and(|capacity| disk.used() >= capacity)
            {
                return Err(io::ErrorKind::StorageFull.into());
            }
            disk.inodes.push(Inode::default());
            disk.inodes.len() - 1
        };
        self.name(Naming::Create(path.to_owned(), inode))?;
        Ok(Box::new(FaultyFile(Arc::clone(&self.0), inode)))
    }

    fn open(&self, path: &Path, _write: bool) -> io::Result<Box<dyn StorageFile>> {
        let inode = self.find(path)?;
        Ok(Box::new(FaultyFile(Arc::clone(&self.0), inode)))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<FileEntry>> {
        let disk = locked(&self.0);
        Ok((disk.live.iter())
            .filter(|(path, _)| path.parent() == Some(folder))
            .filter_map(|(path, inode)| {
                let name = path.file_name()?.to_str()?.to_owned();
                Some(FileEntry {
                    name,
                    len: disk.inodes[*inode].live.len() as u64,
                })
            })
            .collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.find(from)?;
        self.name(Naming::Rename(from.to_owned(), to.to_owned()))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.find(path)?;
        self.name(Naming::Remove(path.to_owned()))
    }

    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        let mut disk = locked(&self.0);
        disk.operate()?;
        let plan = disk.plan;
        if disk.chance(plan.sync_error) {
            return Err(io::Error::other("simulated EIO"));
        }
        let pending = std::mem::take(&mut disk.pending);
        for naming in pending {
            if naming.folder() == Some(folder) {
                naming.apply(&mut disk.durable);
            } else {
                disk.pending.push(naming);
            }
        }
        Ok(())
    }
}
