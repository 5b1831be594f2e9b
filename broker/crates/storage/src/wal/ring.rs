//! The write-ahead log as a ring of preallocated files on a local disk.
//!
//! Files are zero-filled once and recycled for ever, so that a write never changes a file's size or extents.
//! Groups go to the disk one at a time, in aligned direct writes of at most 1 MiB that are durable when they
//! return; where direct writes are refused, by a buffered write and one `fdatasync`. Because at most one group
//! is under way, an invalid group that a valid later one follows is damage, not a torn tail.
//!
//! A file starts with one block: its number in the log, the slot it starts with, the log's incarnation. Old
//! groups in a recycled block have lower slots, another log's groups another incarnation; neither is taken
//! for a group of the present.

mod inventory;
mod opener;

pub use inventory::InventoryState;

use super::ring_file::{
    FileHeader, WriteDurability, file_name, fill_file, number_of, open_writer, write_durably, write_header,
};
use super::{
    Growth, Incarnation, ReplayEnd, ReplayRange, ReplayedGroup, SealedGroup, SinkError, SinkLimits, Slot,
    WalLocation, WalOpenError, WalOpener, WalReader, WalSink, WalUsage,
};
use crate::disk::{
    AlignedBuffer, BLOCK, CrashPoint, Disk, DiskFile, OpenMode, is_disk_full, is_out_of_descriptors,
};
use bytes::Bytes;
use inventory::Inventory;
use parking_lot::{Condvar, Mutex};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// With two files one can be drained while the other is written, so that a disk that fills up later stops nothing.
const FILES_MIN: usize = 2;
const SPARE_BUFFERS: usize = 2;
/// A sealed group's buffer is kept for the next group up to this size.
const SPARE_BUFFER_BYTES_MAX: usize = 8 << 20;

/// Sizes of a ring.
#[derive(Clone, Copy, Debug)]
pub struct RingConfig {
    /// Bytes of one file; a multiple of [`BLOCK`].
    pub file_bytes: u64,
    /// Bytes of all files together; at least two files' worth.
    pub max_bytes: u64,
    /// A group is sealed at about this many bytes.
    pub group_bytes_max: usize,
    /// No file is added that leaves less than this free on the disk (`disk.reserve.bytes`): what a full disk sets
    /// free for deletions and commits is not for the log.
    pub disk_free_bytes_min: u64,
}

/// How long a full ring waits before it looks again whether something changed that nobody told it.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);

/// A ring that was opened but not replayed yet.
#[derive(Debug)]
pub struct RingOpener {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    incarnation: Incarnation,
    config: RingConfig,
    /// Files with a valid header of this log, by their number.
    live: BTreeMap<u64, FoundFile>,
    /// Files without one: new, or recycled in a write that a crash cut.
    blank: Vec<PathBuf>,
    /// The list of files, when there is one.
    inventory: Option<Inventory>,
}

#[derive(Clone, Debug)]
struct FoundFile {
    path: PathBuf,
    first_slot: Slot,
    len: u64,
}

/// The ring, ready for appends.
#[derive(Debug)]
pub struct RingSink {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    incarnation: Incarnation,
    config: RingConfig,
    state: Mutex<RingState>,
    /// The list of files as it is on the disk, or is to be once that can be written. Held while files are made or removed; taken before `state`.
    inventory: Mutex<Inventory>,
    room: Condvar,
}

#[derive(Debug)]
struct RingState {
    active: ActiveFile,
    /// Files written full, oldest first.
    full: VecDeque<FullFile>,
    free: Vec<PathBuf>,
    /// Trimmed, and of another size than new ones: to be removed.
    retired: Vec<PathBuf>,
    /// The list of files on the disk may lack some.
    list_is_stale: bool,
    /// Files that are not retired.
    file_count: usize,
    next_name: u64,
    /// The last file that was wanted found no room on the disk.
    growth: Growth,
    readers: BTreeMap<u64, Arc<dyn DiskFile>>,
    durable: VecDeque<Slot>,
    spare: Vec<AlignedBuffer>,
    trimmed_to: Slot,
    closed: bool,
}

#[derive(Debug)]
struct FullFile {
    number: u64,
    path: PathBuf,
    last_slot: Slot,
    len: u64,
}

#[derive(Clone, Debug)]
struct ActiveFile {
    number: u64,
    path: PathBuf,
    writer: Arc<dyn DiskFile>,
    durability: WriteDurability,
    position: u64,
    len: u64,
    /// The last slot written; the one before the file's first while it is empty.
    last_slot: Option<Slot>,
}

/// Reads groups while the ring is being replayed.
#[derive(Debug)]
struct RingReader {
    disk: Arc<dyn Disk>,
    files: BTreeMap<u64, PathBuf>,
}

impl WalReader for RingReader {
    fn read(&self, location: WalLocation, len: usize) -> io::Result<Bytes> {
        let path = self.files.get(&location.file).ok_or(io::ErrorKind::NotFound)?;
        self.disk
            .open(path, OpenMode::Read)?
            .read_new(len, location.position)
    }
}

impl WalOpener for RingOpener {
    fn reader(&self) -> Arc<dyn WalReader> {
        let files = self.live.iter();
        Arc::new(RingReader {
            disk: self.disk.clone(),
            files: files.map(|(number, file)| (*number, file.path.clone())).collect(),
        })
    }

    fn replay(
        self: Box<Self>,
        range: ReplayRange,
        visit: &mut dyn FnMut(ReplayedGroup<'_>) -> Result<(), String>,
    ) -> Result<(Arc<dyn WalSink>, ReplayEnd), WalOpenError> {
        let (sink, end) = self.open_after_replay(range, visit)?;
        Ok((Arc::new(sink), end))
    }
}

impl RingSink {
    /// Returns the directory of the files.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn files_max(&self) -> usize {
        usize::try_from(self.config.max_bytes / self.config.file_bytes)
            .unwrap_or(usize::MAX)
            .max(FILES_MIN)
    }

    fn fatal(path: &Path, what: &str, error: &io::Error) -> SinkError {
        SinkError::Fatal {
            file: path.display().to_string(),
            what: format!("{what}: {error}"),
        }
    }

    /// Makes the next file the active one; blocks until one is free.
    fn roll(&self, first_slot: Slot) -> Result<ActiveFile, SinkError> {
        let path = self.take_free_file()?;
        let number = self.state.lock().active.number + 1;
        let fatal = |what: &'static str| {
            let path = path.clone();
            move |error: io::Error| Self::fatal(&path, what, &error)
        };
        let (writer, durability) = self
            .when_descriptors_allow(|| open_writer(&*self.disk, &path))?
            .map_err(fatal("open"))?;
        let header = FileHeader {
            number,
            first_slot,
            incarnation: self.incarnation,
        };
        write_header(&*writer, durability, &header).map_err(fatal("write of the file header"))?;
        let reader = self
            .when_descriptors_allow(|| self.disk.open(&path, OpenMode::Read))?
            .map_err(fatal("open"))?;
        let len = reader.len().map_err(fatal("length"))?;
        self.disk.reached(CrashPoint::WalRolled);
        let active = ActiveFile {
            number,
            path,
            writer,
            durability,
            position: BLOCK as u64,
            len,
            last_slot: first_slot.0.checked_sub(1).map(Slot),
        };
        let mut state = self.state.lock();
        state.readers.insert(number, reader);
        let old = std::mem::replace(&mut state.active, active.clone());
        state.full.push_back(FullFile {
            number: old.number,
            path: old.path,
            last_slot: old.last_slot.unwrap_or_default(),
            len: old.len,
        });
        Ok(active)
    }

    /// Tries again while the process has no descriptor left: connections close and give some back.
    fn when_descriptors_allow<T>(
        &self,
        open: impl Fn() -> io::Result<T>,
    ) -> Result<io::Result<T>, SinkError> {
        let mut is_told = false;
        loop {
            match open() {
                Err(error) if is_out_of_descriptors(&error) => {
                    if !std::mem::replace(&mut is_told, true) {
                        tracing::error!(%error, "the write-ahead log waits for a file descriptor: raise `ulimit -n`");
                    }
                    let mut state = self.state.lock();
                    if !state.closed {
                        self.room.wait_for(&mut state, RETRY_INTERVAL);
                    }
                    if state.closed {
                        return Err(SinkError::Closed);
                    }
                }
                opened => return Ok(opened),
            }
        }
    }

    fn take_free_file(&self) -> Result<PathBuf, SinkError> {
        loop {
            {
                let mut state = self.state.lock();
                if state.closed {
                    return Err(SinkError::Closed);
                }
                if let Some(path) = state.free.pop() {
                    return Ok(path);
                }
                if state.file_count >= self.files_max() {
                    self.room.wait(&mut state);
                    continue;
                }
            }
            if !self.create_file()? {
                // The disk is full: a trim helps, or room on the disk.
                let mut state = self.state.lock();
                if state.free.is_empty() && !state.closed {
                    self.room.wait_for(&mut state, RETRY_INTERVAL);
                }
            }
        }
    }

    /// Adds a filled file to the free ones; `false` when the disk has no room for it.
    fn create_file(&self) -> Result<bool, SinkError> {
        let mut inventory = self.inventory.lock();
        let (number, path) = {
            let mut state = self.state.lock();
            // Another thread may have made one meanwhile.
            if !state.free.is_empty() || state.file_count >= self.files_max() {
                return Ok(true);
            }
            let number = state.next_name;
            state.next_name += 1;
            (number, self.directory.join(file_name(number)))
        };
        match self.fill_listed(&path, number, &mut inventory) {
            Ok(()) => {
                let mut state = self.state.lock();
                state.file_count += 1;
                state.free.push(path);
                state.growth = Growth::Possible;
                self.room.notify_all();
                Ok(true)
            }
            Err(error) => {
                // A half-filled file must not be taken for a whole one later.
                let removed = match self.disk.remove_file(&path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                    other => other,
                };
                if !is_disk_full(&error) && !is_out_of_descriptors(&error) {
                    return Err(Self::fatal(&path, "preallocation", &error));
                }
                removed.map_err(|error| Self::fatal(&path, "removal", &error))?;
                let mut state = self.state.lock();
                state.growth = match state.file_count {
                    0 | 1 => Growth::Stuck,
                    _ => Growth::NoRoom,
                };
                Ok(false)
            }
        }
    }

    /// Fills a file and puts it into the list of files.
    fn fill_listed(&self, path: &Path, number: u64, inventory: &mut Inventory) -> io::Result<()> {
        let file_bytes = self.config.file_bytes;
        let wanted = file_bytes.saturating_add(self.config.disk_free_bytes_min);
        if self.disk.space(&self.directory)?.available < wanted {
            return Err(io::ErrorKind::StorageFull.into());
        }
        fill_file(&*self.disk, path, file_bytes)?;
        self.disk.sync_dir(&self.directory)?;
        self.disk.reached(CrashPoint::WalFileFilled);
        inventory.insert(number, file_bytes);
        match inventory::write(&*self.disk, &self.directory, self.incarnation, inventory) {
            // The list on the disk may name the file by now, so it stays; it names it for certain after the next write.
            Err(error) if is_disk_full(&error) || is_out_of_descriptors(&error) => {
                tracing::warn!(%error, "the list of write-ahead log files is written later");
                self.state.lock().list_is_stale = true;
                Ok(())
            }
            written => written,
        }
    }

    /// Removes trimmed files of another size than `wal.file.bytes` says now, and writes the list of files if that failed
    /// before.
    fn remove_retired(&self) -> Result<(), SinkError> {
        let mut inventory = self.inventory.lock();
        let (retired, is_stale) = {
            let mut state = self.state.lock();
            let is_stale = std::mem::take(&mut state.list_is_stale);
            (std::mem::take(&mut state.retired), is_stale)
        };
        if retired.is_empty() && !is_stale {
            return Ok(());
        }
        let mut listed = inventory.clone();
        for path in &retired {
            number_of(path).map(|number| listed.remove(&number));
        }
        match inventory::write(&*self.disk, &self.directory, self.incarnation, &listed) {
            Ok(()) => *inventory = listed,
            Err(error) if is_disk_full(&error) || is_out_of_descriptors(&error) => {
                let mut state = self.state.lock();
                state.retired.extend(retired);
                state.list_is_stale |= is_stale;
                return Ok(());
            }
            Err(error) => return Err(Self::fatal(&self.directory, "list of files", &error)),
        }
        for path in retired {
            // One that stays is not in the list: the next start removes it.
            if let Err(error) = self.disk.remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "a write-ahead log file stays until the next start");
            }
        }
        Ok(())
    }
}

impl WalSink for RingSink {
    fn limits(&self) -> SinkLimits {
        let hard = usize::try_from(self.config.file_bytes)
            .unwrap_or(usize::MAX)
            .saturating_sub(BLOCK);
        SinkLimits {
            group_bytes_max: self.config.group_bytes_max.min(hard),
            group_bytes_hard_max: hard,
            groups_in_flight_max: 1,
        }
    }

    fn buffer(&self) -> AlignedBuffer {
        self.state.lock().spare.pop().unwrap_or_default()
    }

    fn submit(&self, group: SealedGroup) -> Result<WalLocation, SinkError> {
        let len = group.buffer.as_slice().len() as u64;
        let mut active = self.state.lock().active.clone();
        if active.position + len > active.len {
            active = self.roll(group.slot)?;
        }
        if active.position + len > active.len {
            let what = format!(
                "a group of {len} bytes does not fit into a file of {} bytes",
                active.len
            );
            return Err(SinkError::Fatal {
                file: active.path.display().to_string(),
                what,
            });
        }
        write_durably(
            &*active.writer,
            active.durability,
            group.buffer.as_slice(),
            active.position,
        )
        .map_err(|error| Self::fatal(&active.path, "write", &error))?;
        self.disk.reached(CrashPoint::WalGroupDurable);
        let mut state = self.state.lock();
        state.active.position += len;
        state.active.last_slot = Some(group.slot);
        state.durable.push_back(group.slot);
        if state.spare.len() < SPARE_BUFFERS && group.buffer.capacity() <= SPARE_BUFFER_BYTES_MAX {
            state.spare.push(group.buffer);
        }
        Ok(WalLocation {
            file: active.number,
            position: active.position,
        })
    }

    fn wait_durable(&self) -> Result<Slot, SinkError> {
        // A submit returns when its group is durable, so there is nothing to wait for.
        self.state.lock().durable.pop_front().ok_or(SinkError::Closed)
    }

    fn read(&self, location: WalLocation, len: usize) -> io::Result<Bytes> {
        let trimmed = || io::Error::new(io::ErrorKind::NotFound, "the write-ahead log file was recycled");
        let reader = self
            .state
            .lock()
            .readers
            .get(&location.file)
            .cloned()
            .ok_or_else(trimmed)?;
        let bytes = reader.read_new(len, location.position)?;
        // Recycled meanwhile: what was read may be a mixture.
        if !self.state.lock().readers.contains_key(&location.file) {
            return Err(trimmed());
        }
        Ok(bytes)
    }

    fn trim(&self, through: Slot) {
        let mut state = self.state.lock();
        state.trimmed_to = state.trimmed_to.max(through.next());
        while state.full.front().is_some_and(|file| file.last_slot <= through) {
            if let Some(file) = state.full.pop_front() {
                state.readers.remove(&file.number);
                if file.len == self.config.file_bytes {
                    state.free.push(file.path);
                } else {
                    state.retired.push(file.path);
                    state.file_count -= 1;
                }
            }
        }
        self.room.notify_all();
    }

    fn usage(&self) -> WalUsage {
        let state = self.state.lock();
        let usable = self.config.file_bytes.saturating_sub(BLOCK as u64);
        let full: u64 = state.full.iter().map(|file| file.len).sum();
        let files = match state.growth {
            Growth::Possible => self.files_max(),
            Growth::NoRoom | Growth::Stuck => state.file_count.min(self.files_max()),
        };
        let spare_files = files.saturating_sub(state.full.len() + 1) as u64;
        WalUsage {
            used: full + state.active.position,
            capacity: self.config.file_bytes.saturating_mul(files as u64),
            free: state.active.len.saturating_sub(state.active.position) + spare_files * usable,
            first_slot: state.trimmed_to,
            oldest_file_last_slot: state.full.front().map(|file| file.last_slot),
            growth: state.growth,
            rolls: state.active.number,
        }
    }

    fn end(&self) -> Option<WalLocation> {
        let state = self.state.lock();
        Some(WalLocation {
            file: state.active.number,
            position: state.active.position,
        })
    }

    fn prepare(&self) -> Result<(), SinkError> {
        self.remove_retired()?;
        let wanted = {
            let state = self.state.lock();
            let soon = state.file_count < FILES_MIN || state.active.position > state.active.len / 2;
            state.free.is_empty() && state.file_count < self.files_max() && soon && !state.closed
        };
        if wanted {
            self.create_file()?;
        }
        Ok(())
    }

    fn close(&self) {
        self.state.lock().closed = true;
        self.room.notify_all();
    }
}

#[cfg(test)]
#[path = "ring_test.rs"]
mod tests;
