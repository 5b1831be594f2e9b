//! A file system in memory that forgets what was not synced, and fails when told to.
//!
//! The model is harsher than real file systems: an unsynced write may be lost, kept, or kept in part (by
//! sectors of 512 bytes), independently of its neighbours; an unsynced name may be lost or kept, in any
//! order, but a file's rename happens or does not, as on every file system with a journal. What was synced always
//! stays.

use super::{CrashPlan, CrashPoint, DirEntry, Disk, DiskFile, DiskLock, DiskSpace, EntryKind, OpenMode};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const SECTOR: usize = 512;

/// An error to give at one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The device failed (`EIO`).
    Io,
    /// No space is left (`ENOSPC`).
    Full,
}

impl Fault {
    fn error(self) -> io::Error {
        match self {
            Self::Io => io::Error::from_raw_os_error(libc::EIO),
            Self::Full => io::ErrorKind::StorageFull.into(),
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Inode {
    current: Vec<u8>,
    durable: Vec<u8>,
    /// Writes since the last sync: position and length in `current`, or a change of length.
    unsynced: Vec<(usize, usize)>,
    /// Shared with every open handle: a file without a name lives while one is open.
    handles: Arc<()>,
}

impl Inode {
    fn is_open(&self) -> bool {
        Arc::strong_count(&self.handles) > 1
    }
}

#[derive(Clone, Debug, Default)]
struct State {
    next_inode: u64,
    inodes: BTreeMap<u64, Inode>,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    /// Renames of files that no sync covers: both names change together.
    renames: Vec<(PathBuf, PathBuf)>,
    directories: BTreeSet<PathBuf>,
    locks: BTreeSet<PathBuf>,
    capacity: u64,
    calls: u64,
    faults: BTreeMap<u64, Fault>,
    /// Raised by a crash: handles of an older life answer with an error.
    life: u64,
    /// Where the power is to go.
    plan: Option<CrashPlan>,
    /// The power is gone: every call fails until [`SimulatedDisk::crash`].
    dark: bool,
    reached: BTreeMap<CrashPoint, u64>,
    /// Bytes read of each file since it was made.
    read_bytes: BTreeMap<u64, u64>,
}

/// A file system in memory; clones share it.
#[derive(Clone, Debug)]
pub struct SimulatedDisk {
    state: Arc<Mutex<State>>,
    direct: DirectWrites,
    /// The life of the machine in which this handle works; `None` works in all.
    life: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DirectWrites {
    Offered,
    Refused,
}

impl Default for SimulatedDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl SimulatedDisk {
    /// Makes an empty disk of 1 TiB.
    #[must_use]
    pub fn new() -> Self {
        let state = State {
            capacity: 1 << 40,
            ..State::default()
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            direct: DirectWrites::Offered,
            life: None,
        }
    }

    /// The same disk, but direct writes are refused as tmpfs and overlay refuse them.
    #[must_use]
    pub fn without_direct_writes(mut self) -> Self {
        self.direct = DirectWrites::Refused;
        self
    }

    /// Returns a handle that is dead after the next crash, as a process on the machine is.
    #[must_use]
    pub fn until_crash(&self) -> Self {
        let life = Some(self.state.lock().life);
        Self {
            state: self.state.clone(),
            direct: self.direct,
            life,
        }
    }

    /// Locks the state for one call that can fail.
    fn call(&self) -> io::Result<parking_lot::MutexGuard<'_, State>> {
        let mut state = self.state.lock();
        if self.life.is_some_and(|life| life != state.life) {
            return Err(crashed());
        }
        state.call()?;
        Ok(state)
    }

    /// Lets the power go at the `count`-th visit of a point from now on (from 1): every later call of this life
    /// fails, and the test goes on with [`SimulatedDisk::crash`].
    pub fn crash_at(&self, point: CrashPoint, count: u64) {
        let mut state = self.state.lock();
        let before = state.reached.get(&point).copied().unwrap_or(0);
        state.plan = Some(CrashPlan {
            point,
            count: before + count,
        });
    }

    /// Returns how many bytes of a file were read so far.
    #[must_use]
    pub fn read_bytes(&self, path: &Path) -> u64 {
        let state = self.state.lock();
        let inode = state.names.get(path);
        inode
            .and_then(|id| state.read_bytes.get(id))
            .copied()
            .unwrap_or(0)
    }

    /// Reports whether the power went at a crash point.
    #[must_use]
    pub fn is_dark(&self) -> bool {
        self.state.lock().dark
    }

    /// Returns how often each crash point was reached.
    #[must_use]
    pub fn reached_counts(&self) -> BTreeMap<CrashPoint, u64> {
        self.state.lock().reached.clone()
    }

    /// Sets the capacity in bytes; writes that need more fail with `StorageFull`.
    pub fn set_capacity(&self, bytes: u64) {
        self.state.lock().capacity = bytes;
    }

    /// Returns how many bytes all files hold.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.state.lock().used()
    }

    /// Gives `fault` at the call that comes `calls` calls from now (0 = the next one).
    pub fn fail_after(&self, calls: u64, fault: Fault) {
        let mut state = self.state.lock();
        let at = state.calls + calls;
        state.faults.insert(at, fault);
    }

    /// Forgets faults that were not given yet.
    pub fn clear_faults(&self) {
        self.state.lock().faults.clear();
    }

    /// Returns how many calls that can fail were made so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.state.lock().calls
    }

    /// Cuts the power: every open handle and lock is dead, unsynced writes and names are kept, lost or torn as
    /// `choose` says. `choose(n)` must return a number below `n`; the same answers give the same disk.
    pub fn crash(&self, choose: &mut dyn FnMut(usize) -> usize) {
        let mut state = self.state.lock();
        state.life += 1;
        state.plan = None;
        state.dark = false;
        state.locks.clear();
        state.faults.clear();
        let changed: Vec<PathBuf> = {
            let all: BTreeSet<&PathBuf> = state.names.keys().chain(state.durable_names.keys()).collect();
            all.into_iter()
                .filter(|path| state.names.get(*path) != state.durable_names.get(*path))
                .cloned()
                .collect()
        };
        let renames = std::mem::take(&mut state.renames);
        let mut fates: BTreeMap<PathBuf, usize> = BTreeMap::new();
        for path in changed {
            let partners = renames.iter().flat_map(|(from, to)| {
                let partner = |one: &PathBuf, other: &PathBuf| (*one == path).then(|| other.clone());
                [partner(from, to), partner(to, from)]
            });
            let known = partners
                .flatten()
                .find_map(|partner| fates.get(&partner).copied());
            let fate = known.unwrap_or_else(|| choose(2));
            fates.insert(path.clone(), fate);
            if fate == 0 {
                continue;
            }
            match state.names.get(&path).copied() {
                Some(inode) => state.durable_names.insert(path, inode),
                None => state.durable_names.remove(&path),
            };
        }
        state.names = state.durable_names.clone();
        for inode in state.inodes.values_mut() {
            let mut content = inode.durable.clone();
            for (position, len) in std::mem::take(&mut inode.unsynced) {
                let mut at = position;
                let fate = choose(3);
                while at < position + len && fate != 0 {
                    let end = ((at / SECTOR + 1) * SECTOR).min(position + len);
                    if (fate == 1 || choose(2) == 1)
                        && let Some(bytes) = inode.current.get(at..end)
                    {
                        if content.len() < end {
                            content.resize(end, 0);
                        }
                        content[at..end].copy_from_slice(bytes);
                    }
                    at = end;
                }
            }
            inode.current.clone_from(&content);
            inode.durable = content;
        }
        let live: BTreeSet<u64> = state.names.values().copied().collect();
        state.inodes.retain(|id, _| live.contains(id));
    }

    /// Changes a file's bytes behind everybody's back, durably: for tests of corruption.
    pub fn corrupt(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state.lock();
        if let Some(id) = state.names.get(path).copied()
            && let Some(inode) = state.inodes.get_mut(&id)
        {
            change(&mut inode.current);
            inode.durable.clone_from(&inode.current);
            inode.unsynced.clear();
        }
    }

    /// Returns all file paths with their lengths, sorted.
    #[must_use]
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let state = self.state.lock();
        state
            .names
            .iter()
            .map(|(path, id)| {
                (
                    path.clone(),
                    state.inodes.get(id).map_or(0, |i| i.current.len() as u64),
                )
            })
            .collect()
    }

    /// Returns an independent copy of the whole disk with all faults cleared and nothing open.
    #[must_use]
    pub fn fork(&self) -> Self {
        let mut state = self.state.lock().clone();
        state.locks.clear();
        state.faults.clear();
        Self {
            state: Arc::new(Mutex::new(state)),
            direct: self.direct,
            life: None,
        }
    }
}

impl State {
    fn used(&self) -> u64 {
        self.inodes.values().map(|inode| inode.current.len() as u64).sum()
    }

    fn call(&mut self) -> io::Result<()> {
        if self.dark {
            return Err(crashed());
        }
        let at = self.calls;
        self.calls += 1;
        match self.faults.remove(&at) {
            Some(fault) => Err(fault.error()),
            None => Ok(()),
        }
    }

    fn insert(&mut self, path: &Path) -> u64 {
        let id = self.next_inode;
        self.next_inode += 1;
        self.inodes.insert(id, Inode::default());
        self.names.insert(path.to_owned(), id);
        id
    }
}

#[derive(Debug)]
struct SimulatedFile {
    state: Arc<Mutex<State>>,
    inode: u64,
    _handle: Arc<()>,
    life: u64,
    sync: SyncEach,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SyncEach {
    Write,
    Request,
}

#[derive(Debug)]
struct SimulatedLock {
    state: Arc<Mutex<State>>,
    path: PathBuf,
    life: u64,
}

impl DiskLock for SimulatedLock {}

impl Drop for SimulatedLock {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        if state.life == self.life {
            state.locks.remove(&self.path);
        }
    }
}

impl Disk for SimulatedDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.call()?;
        let found = state.names.get(path).copied();
        let inode = match (mode, found) {
            (OpenMode::CreateNew, Some(_)) => return Err(io::ErrorKind::AlreadyExists.into()),
            (OpenMode::Direct, _) if self.direct == DirectWrites::Refused => {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            (_, Some(id)) => id,
            (OpenMode::Create | OpenMode::CreateNew, None) => {
                let parent = path.parent().map(Path::to_owned).unwrap_or_default();
                if !state.directories.contains(&parent) {
                    return Err(io::ErrorKind::NotFound.into());
                }
                state.insert(path)
            }
            (_, None) => return Err(io::ErrorKind::NotFound.into()),
        };
        let sync = if mode == OpenMode::Direct {
            SyncEach::Write
        } else {
            SyncEach::Request
        };
        let handle = state.inodes.get(&inode).map(|inode| inode.handles.clone());
        Ok(Arc::new(SimulatedFile {
            state: self.state.clone(),
            inode,
            _handle: handle.unwrap_or_default(),
            life: state.life,
            sync,
        }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.call()?;
        // Directories are durable at once: what matters to the logs are the files in them.
        for ancestor in path.ancestors() {
            state.directories.insert(ancestor.to_owned());
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.call()?;
        if state.directories.contains(from) {
            let moved = |path: &PathBuf| path.strip_prefix(from).ok().map(|rest| to.join(rest));
            let rename_all = |names: &mut BTreeMap<PathBuf, u64>| {
                *names = std::mem::take(names)
                    .into_iter()
                    .map(|(path, id)| (moved(&path).unwrap_or(path), id))
                    .collect();
            };
            rename_all(&mut state.names);
            rename_all(&mut state.durable_names);
            state.directories = std::mem::take(&mut state.directories)
                .into_iter()
                .map(|path| {
                    if path == from {
                        to.to_owned()
                    } else {
                        moved(&path).unwrap_or(path)
                    }
                })
                .collect();
            return Ok(());
        }
        let id = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), id);
        state.renames.push((from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.call()?;
        let id = state.names.remove(path).ok_or(io::ErrorKind::NotFound)?;
        // The bytes stay while the durable name may come back, or somebody reads them.
        let is_open = state.inodes.get(&id).is_some_and(Inode::is_open);
        if !is_open && !state.durable_names.values().any(|durable| *durable == id) {
            state.inodes.remove(&id);
        }
        Ok(())
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.call()?;
        if !state.directories.remove(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.names.retain(|name, _| !name.starts_with(path));
        state.durable_names.retain(|name, _| !name.starts_with(path));
        state.directories.retain(|name| !name.starts_with(path));
        let live: BTreeSet<u64> = state
            .names
            .values()
            .chain(state.durable_names.values())
            .copied()
            .collect();
        state
            .inodes
            .retain(|id, inode| live.contains(id) || inode.is_open());
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.call()?;
        let here = |name: &PathBuf| name.parent() == Some(path);
        state.durable_names.retain(|name, _| !here(name));
        state.renames.retain(|(_, to)| !here(to));
        let now: Vec<_> = state
            .names
            .iter()
            .filter(|(name, _)| here(name))
            .map(|(n, i)| (n.clone(), *i))
            .collect();
        state.durable_names.extend(now);
        let live: BTreeSet<u64> = state
            .names
            .values()
            .chain(state.durable_names.values())
            .copied()
            .collect();
        state
            .inodes
            .retain(|id, inode| live.contains(id) || inode.is_open());
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let state = self.call()?;
        if !state.directories.contains(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let entry = |name: &PathBuf, kind| {
            (name.parent() == Some(path)).then(|| DirEntry {
                name: name
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
                kind,
            })
        };
        let files = state.names.keys().filter_map(|name| entry(name, EntryKind::File));
        let directories = state
            .directories
            .iter()
            .filter_map(|name| entry(name, EntryKind::Directory));
        Ok(files.chain(directories).collect())
    }

    fn file_len(&self, path: &Path) -> io::Result<Option<u64>> {
        let state = self.call()?;
        let inode = state.names.get(path).and_then(|id| state.inodes.get(id));
        Ok(inode.map(|inode| inode.current.len() as u64))
    }

    fn space(&self, _path: &Path) -> io::Result<DiskSpace> {
        let state = self.state.lock();
        Ok(DiskSpace {
            total: state.capacity,
            available: state.capacity.saturating_sub(state.used()),
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        let mut state = self.call()?;
        if !state.locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(SimulatedLock {
            state: self.state.clone(),
            path: path.to_owned(),
            life: state.life,
        }))
    }

    fn reached(&self, point: CrashPoint) {
        let mut state = self.state.lock();
        if self.life.is_some_and(|life| life != state.life) {
            return;
        }
        let count = state.reached.entry(point).or_insert(0);
        *count += 1;
        let count = *count;
        if state.plan == Some(CrashPlan { point, count }) {
            state.dark = true;
        }
    }
}

fn crashed() -> io::Error {
    io::Error::other("the simulated machine crashed meanwhile")
}

impl SimulatedFile {
    fn with<T>(&self, act: impl FnOnce(&mut Inode, u64) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state.lock();
        state.call()?;
        if state.life != self.life {
            return Err(crashed());
        }
        let room = state.capacity.saturating_sub(state.used());
        let inode = state.inodes.get_mut(&self.inode).ok_or(io::ErrorKind::NotFound)?;
        act(inode, room)
    }
}

impl DiskFile for SimulatedFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let count = self.with(|inode, _| {
            let start = usize::try_from(position)
                .unwrap_or(usize::MAX)
                .min(inode.current.len());
            let count = buffer.len().min(inode.current.len() - start);
            buffer[..count].copy_from_slice(&inode.current[start..start + count]);
            Ok(count)
        })?;
        *self.state.lock().read_bytes.entry(self.inode).or_insert(0) += count as u64;
        Ok(count)
    }

    fn write_vectored_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        let sync = self.sync;
        self.with(|inode, room| {
            let start = usize::try_from(position).map_err(io::Error::other)?;
            let total: usize = slices.iter().map(|slice| slice.len()).sum();
            let growth = (start + total).saturating_sub(inode.current.len()) as u64;
            if growth > room {
                return Err(io::ErrorKind::StorageFull.into());
            }
            if inode.current.len() < start + total {
                inode.current.resize(start + total, 0);
            }
            let mut at = start;
            for slice in slices {
                inode.current[at..at + slice.len()].copy_from_slice(slice);
                at += slice.len();
            }
            if sync == SyncEach::Write {
                // A direct write makes its own bytes durable, not those others left unsynced.
                if inode.durable.len() < at {
                    inode.durable.resize(at, 0);
                }
                inode.durable[start..at].copy_from_slice(&inode.current[start..at]);
            } else {
                inode.unsynced.push((start, total));
            }
            Ok(total)
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|inode, room| {
            let len = usize::try_from(len).map_err(io::Error::other)?;
            if len.saturating_sub(inode.current.len()) as u64 > room {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let old = inode.current.len();
            inode.current.resize(len, 0);
            if len > old {
                inode.unsynced.push((old, len - old));
            }
            // A shorter length is taken as durable at once; a crash that brings back cut bytes is covered by
            // tests that corrupt files.
            inode.durable.truncate(len);
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|inode, _| {
            inode.durable.clone_from(&inode.current);
            inode.unsynced.clear();
            Ok(())
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.with(|inode, _| Ok(inode.current.len() as u64))
    }
}
