//! The file under redb: shifts redb's part behind the slots, remembers the first failure, keeps space in reserve,
//! and can hold writes back while a file is being checked.
//!
//! Reserve: the file is longer than redb knows, filled with zeros, so that metadata can still be changed when
//! the disk is full (topics deleted, settings changed to free space). redb doubles its part when it grows, so the
//! reserve follows its size. Whatever redb gives back stays in the file, up to a limit. At the next opening
//! redb takes all of the file as its own, the reserve as free pages.
//!
//! Invariant: after a failed call nothing more reaches the disk. A failed flush is never tried again; only a
//! refused growth or write for want of space may be followed by a fresh start (see [`Volume::forget_no_space`]).

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use redb::StorageBackend;

use super::block_checks::{BLOCK_SIZE, BlockChecks, blocks_of};
use super::slot::{DATA_START, SLOT_SIZE, Slot};
use crate::error::StoreError;

const ZERO_FILL_CHUNK_BYTES: u64 = 1 << 20;
/// Growth beyond this many bytes at once is left to the file system, without zeros.
const ZERO_FILL_MAX_BYTES: u64 = 64 << 20;
/// The part of the file that is never given back to the file system, in bytes.
const RETAINED_BYTES: u64 = 64 << 20;
const RESERVE_BYTES_MIN: u64 = 1 << 20;
const RESERVE_BYTES_MAX: u64 = 16 << 20;

/// Whether the store can go on after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FailureKind {
    /// Growth or a write was refused for want of space, before the commit was flushed.
    NoSpace,
    /// Anything else.
    Fatal,
}

/// The first failed call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) kind: FailureKind,
    pub(super) operation: String,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn into_error(self, store: &str) -> StoreError {
        match self.kind {
            FailureKind::NoSpace => StoreError::NoSpace {
                store: store.to_owned(),
                operation: self.operation,
            },
            FailureKind::Fatal => StoreError::Io {
                store: store.to_owned(),
                operation: self.operation,
                message: self.message,
            },
        }
    }
}

#[derive(Debug)]
enum Operation {
    SetLen(u64),
    Write(u64, Vec<u8>),
    Sync,
}

/// Writes that have not gone to the disk yet: as a log, to be done in the same order with the same flushes
/// between them (redb's crash safety rests on that order), and as blocks, to be read back.
#[derive(Debug)]
struct Staging {
    /// Length of redb's part as redb sees it.
    len: u64,
    /// How much of what lies on the disk still counts.
    disk_len: u64,
    blocks: BTreeMap<u64, Vec<u8>>,
    operations: Vec<Operation>,
}

#[derive(Debug)]
enum Mode {
    Direct,
    Staging(Staging),
}

/// The file. Positions in its methods are redb's, unless they say otherwise.
#[derive(Debug)]
pub(super) struct Volume {
    disk: Box<dyn StorageBackend>,
    mode: RwLock<Mode>,
    /// Length of redb's part as redb knows it, once writes go straight to the disk.
    known_len: AtomicU64,
    checks: BlockChecks,
    failure: Mutex<Option<Failure>>,
    /// Which handle may use the file; older ones belong to a database that was given up.
    generation: AtomicU64,
}

impl Volume {
    pub(super) fn new(disk: Box<dyn StorageBackend>) -> Self {
        Self {
            disk,
            mode: RwLock::new(Mode::Direct),
            known_len: AtomicU64::new(0),
            checks: BlockChecks::default(),
            failure: Mutex::new(None),
            generation: AtomicU64::new(0),
        }
    }

    /// Returns a handle for a new database, and cuts off the handles given before.
    pub(super) fn handle(self: &Arc<Self>) -> VolumeHandle {
        let generation = self.generation.fetch_add(1, Ordering::AcqRel).wrapping_add(1);
        VolumeHandle {
            volume: Arc::clone(self),
            generation,
        }
    }

    /// Cuts off all handles.
    pub(super) fn detach(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// Cuts off the handle of this generation, if it is still the one that counts.
    pub(super) fn retire(&self, generation: u64) {
        let next = generation.wrapping_add(1);
        // Failing means that a later handle counts, which is none of this one's business.
        let _ = self
            .generation
            .compare_exchange(generation, next, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Gives the file back to whoever lent it.
    pub(super) fn close(&self) -> io::Result<()> {
        self.detach();
        self.disk.close()
    }

    /// Returns the first failure.
    pub(super) fn failure(&self) -> Option<Failure> {
        self.failure.lock().clone()
    }

    /// Goes on after a failure for want of space; keeps any other failure.
    pub(super) fn forget_no_space(&self) {
        let mut failure = self.failure.lock();
        if failure
            .as_ref()
            .is_some_and(|failure| failure.kind == FailureKind::NoSpace)
        {
            *failure = None;
        }
    }

    fn check(&self) -> io::Result<()> {
        match &*self.failure.lock() {
            None => Ok(()),
            Some(failure) => Err(io::Error::other(format!(
                "stopped after {}: {}",
                failure.operation, failure.message
            ))),
        }
    }

    /// Does one call on the disk; remembers its failure if it is the first.
    fn call<T>(
        &self,
        step: Step,
        at: Range<u64>,
        act: impl FnOnce(&dyn StorageBackend) -> io::Result<T>,
    ) -> io::Result<T> {
        self.check()?;
        act(&*self.disk).inspect_err(|error| {
            let failure = step.failure(&at, error);
            self.failure.lock().get_or_insert(failure);
        })
    }

    /// Returns the length of the whole file, slots included.
    pub(super) fn file_len(&self) -> io::Result<u64> {
        self.call(Step::Length, 0..0, |disk| disk.len())
    }

    /// Reads at a position of the whole file.
    pub(super) fn read_file(&self, position: u64, out: &mut [u8]) -> io::Result<()> {
        let end = position.saturating_add(out.len() as u64);
        self.call(Step::Read, position..end, |disk| disk.read(position, out))
    }

    /// Empties the file. Only for one that was never completed.
    pub(super) fn clear_file(&self) -> io::Result<()> {
        self.checks.forget(0..u64::MAX);
        self.call(Step::Shrink, 0..0, |disk| disk.set_len(0))?;
        self.call(Step::Grow, 0..DATA_START, |disk| disk.set_len(DATA_START))
    }

    /// Writes a slot and flushes it. Any failure is fatal: the commit it stands for is in the file already.
    pub(super) fn write_slot(&self, slot: &Slot) -> io::Result<()> {
        let position = slot.position();
        let end = position.saturating_add(SLOT_SIZE as u64);
        self.call(Step::WriteSlot, position..end, |disk| {
            disk.write(position, &slot.encode())
        })?;
        self.flush()
    }

    fn flush(&self) -> io::Result<()> {
        self.call(Step::Flush, 0..0, |disk| disk.sync_data())
    }

    /// Changes the length of redb's part.
    fn resize(&self, new: u64) -> io::Result<()> {
        let old = self.known_len.load(Ordering::Acquire);
        let on_disk = self.file_len()?.saturating_sub(DATA_START);
        if new > on_disk && !self.try_grow(on_disk, new.saturating_add(reserve_for(new)))? {
            let range = shifted_range(on_disk..new)?;
            self.call(Step::Grow, range.clone(), |disk| grow(disk, range))?;
        }
        if new < old {
            let kept = new.max(on_disk.min(RETAINED_BYTES));
            if kept < on_disk {
                let range = shifted_range(kept..on_disk)?;
                self.call(Step::Shrink, range.clone(), |disk| disk.set_len(range.start))?;
                self.checks.forget(kept..u64::MAX);
            }
        } else {
            // What redb gave back earlier still holds its old bytes, and redb expects zeros.
            let reused = shifted_range(old.min(on_disk)..new.min(on_disk))?;
            self.checks.forget(old..new);
            self.call(Step::Write, reused.clone(), |disk| zero_fill(disk, reused))?;
        }
        self.known_len.store(new, Ordering::Release);
        Ok(())
    }

    /// Grows the file if there is space, and says whether there was. Other failures are failures.
    fn try_grow(&self, from: u64, to: u64) -> io::Result<bool> {
        self.check()?;
        let range = shifted_range(from..to)?;
        match grow(&*self.disk, range.clone()) {
            Ok(()) => Ok(true),
            Err(error) if is_no_space(&error) => Ok(false),
            Err(error) => {
                let failure = Step::Grow.failure(&range, &error);
                self.failure.lock().get_or_insert(failure);
                Err(error)
            }
        }
    }

    /// Gives a short file its reserve, if there is space.
    pub(super) fn top_up(&self) -> io::Result<()> {
        let on_disk = self.file_len()?.saturating_sub(DATA_START);
        if on_disk < RESERVE_BYTES_MIN {
            self.try_grow(on_disk, RESERVE_BYTES_MIN)?;
        }
        Ok(())
    }

    /// From now on holds writes back in memory.
    pub(super) fn begin_staging(&self) -> io::Result<()> {
        let len = self.file_len()?.saturating_sub(DATA_START);
        self.known_len.store(len, Ordering::Release);
        *self.mode.write() = Mode::Staging(Staging {
            len,
            disk_len: len,
            blocks: BTreeMap::new(),
            operations: Vec::new(),
        });
        Ok(())
    }

    /// Forgets the writes that were held back.
    pub(super) fn discard_staging(&self) {
        *self.mode.write() = Mode::Direct;
    }

    /// Does the writes that were held back, in their order, flushes included, and a last flush; from then on
    /// writes go straight to the disk.
    pub(super) fn apply_staging(&self) -> io::Result<()> {
        let mut mode = self.mode.write();
        if let Mode::Staging(staging) = std::mem::replace(&mut *mode, Mode::Direct) {
            for operation in staging.operations {
                match operation {
                    Operation::SetLen(len) => self.resize(len)?,
                    Operation::Write(offset, data) => self.write_direct(offset, &data)?,
                    Operation::Sync => self.flush()?,
                }
            }
            self.flush()?;
        }
        Ok(())
    }

    /// Reports whether writes go straight to the disk. Once they do, they do until the next opening, which no
    /// live handle sees.
    fn is_direct(&self) -> bool {
        matches!(&*self.mode.read(), Mode::Direct)
    }

    fn write_direct(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let position = shifted(offset, data.len())?;
        // A write that fails may have happened in part.
        self.checks
            .forget(offset..offset.saturating_add(data.len() as u64));
        self.call(Step::Write, position.clone(), |disk| {
            disk.write(position.start, data)
        })?;
        self.checks.written(offset, data);
        Ok(())
    }

    fn read_direct(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let position = shifted(offset, out.len())?;
        self.call(Step::Read, position.clone(), |disk| {
            disk.read(position.start, out)?;
            self.checks.read(offset, out).map_err(|block| {
                let at = block.saturating_add(DATA_START);
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("the block at {at} holds other bytes than it did when it was written or checked"),
                )
            })
        })
    }
}

#[derive(Clone, Copy)]
enum Step {
    Length,
    Read,
    Write,
    WriteSlot,
    Grow,
    Shrink,
    Flush,
}

impl Step {
    /// Describes a failed step.
    fn failure(self, at: &Range<u64>, error: &io::Error) -> Failure {
        // A flush that ran out of space may have dropped bytes: that is no clean refusal any more. A slot that
        // could not be written leaves a commit that is in the file and was not acknowledged.
        let kind = match self {
            Self::Grow | Self::Write if is_no_space(error) => FailureKind::NoSpace,
            _ => FailureKind::Fatal,
        };
        let size = at.end.saturating_sub(at.start);
        let operation = match self {
            Self::Length => "asking for the length".to_owned(),
            Self::Read => format!("reading {size} bytes at {}", at.start),
            Self::Write | Self::WriteSlot => format!("writing {size} bytes at {}", at.start),
            Self::Grow => format!("growing from {} to {} bytes", at.start, at.end),
            Self::Shrink => format!("shrinking to {} bytes", at.start),
            Self::Flush => "flushing".to_owned(),
        };
        Failure {
            kind,
            operation,
            message: error.to_string(),
        }
    }
}

fn is_no_space(error: &io::Error) -> bool {
    let kinds = [
        io::ErrorKind::StorageFull,
        io::ErrorKind::QuotaExceeded,
        io::ErrorKind::FileTooLarge,
    ];
    kinds.contains(&error.kind())
}

fn reserve_for(len: u64) -> u64 {
    len.clamp(RESERVE_BYTES_MIN, RESERVE_BYTES_MAX)
}

fn shifted(offset: u64, len: usize) -> io::Result<Range<u64>> {
    shifted_range(offset..offset.saturating_add(len as u64))
}

fn shifted_range(range: Range<u64>) -> io::Result<Range<u64>> {
    match (
        range.start.checked_add(DATA_START),
        range.end.checked_add(DATA_START),
    ) {
        (Some(start), Some(end)) => Ok(start..end),
        _ => Err(io::Error::from(io::ErrorKind::InvalidInput)),
    }
}

/// Makes a file longer, filled with zeros so that later writes inside it need no new space; or leaves its length
/// as it was.
fn grow(disk: &dyn StorageBackend, range: Range<u64>) -> io::Result<()> {
    disk.set_len(range.end)?;
    if range.end.saturating_sub(range.start) > ZERO_FILL_MAX_BYTES {
        return Ok(());
    }
    // If the growth cannot be taken back, that error is the one to report: it is fatal, and should be.
    zero_fill(disk, range.clone()).or_else(|error| disk.set_len(range.start).and(Err(error)))
}

fn zero_fill(disk: &dyn StorageBackend, range: Range<u64>) -> io::Result<()> {
    let zeros = vec![0; ZERO_FILL_CHUNK_BYTES.min(range.end.saturating_sub(range.start)) as usize];
    let mut position = range.start;
    while position < range.end {
        let size = (range.end - position).min(zeros.len() as u64);
        disk.write(position, zeros.get(..size as usize).unwrap_or(&zeros))?;
        position += size;
    }
    Ok(())
}

impl Staging {
    /// Reads a block from the disk; what lies beyond the part that still counts is zeros.
    fn fetch(&self, volume: &Volume, start: u64) -> io::Result<Vec<u8>> {
        let mut block = vec![0; BLOCK_SIZE as usize];
        let size = self.disk_len.saturating_sub(start).min(BLOCK_SIZE) as usize;
        if let Some(out) = block.get_mut(..size).filter(|out| !out.is_empty()) {
            volume.read_direct(start, out)?;
        }
        Ok(block)
    }

    /// Puts bytes into the block at `start`.
    fn patch(&mut self, volume: &Volume, start: u64, inside: Range<usize>, part: &[u8]) -> io::Result<()> {
        if !self.blocks.contains_key(&start) {
            let block = self.fetch(volume, start)?;
            self.blocks.insert(start, block);
        }
        if let Some(out) = self
            .blocks
            .get_mut(&start)
            .and_then(|block| block.get_mut(inside))
        {
            out.copy_from_slice(part);
        }
        Ok(())
    }

    fn range(&self, offset: u64, size: usize) -> io::Result<Range<u64>> {
        match offset.checked_add(size as u64) {
            Some(end) if end <= self.len => Ok(offset..end),
            _ => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!(
                    "{size} bytes at {offset} reach beyond the database's end at {}",
                    self.len
                ),
            )),
        }
    }

    fn write(&mut self, volume: &Volume, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut rest = data;
        for (start, inside) in blocks_of(self.range(offset, data.len())?) {
            let (part, later) = rest.split_at(inside.len());
            self.patch(volume, start, inside, part)?;
            rest = later;
        }
        self.operations.push(Operation::Write(offset, data.to_vec()));
        Ok(())
    }

    fn read(&self, volume: &Volume, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let range = self.range(offset, out.len())?;
        let mut rest = out;
        for (start, inside) in blocks_of(range) {
            let (part, later) = rest.split_at_mut(inside.len());
            match self.blocks.get(&start) {
                Some(block) => part.copy_from_slice(block.get(inside).unwrap_or_default()),
                None => part.copy_from_slice(self.fetch(volume, start)?.get(inside).unwrap_or_default()),
            }
            rest = later;
        }
        Ok(())
    }

    fn set_len(&mut self, volume: &Volume, len: u64) -> io::Result<()> {
        if len < self.len {
            // What is cut off reads as zeros if the file grows again, whatever the disk still holds there.
            let inside = (len % BLOCK_SIZE) as usize;
            if inside != 0 {
                let zeros = vec![0; BLOCK_SIZE as usize - inside];
                self.patch(
                    volume,
                    len - len % BLOCK_SIZE,
                    inside..BLOCK_SIZE as usize,
                    &zeros,
                )?;
            }
            self.blocks.split_off(&len);
            self.disk_len = self.disk_len.min(len);
        }
        self.len = len;
        self.operations.push(Operation::SetLen(len));
        Ok(())
    }
}

/// What redb holds of the file.
#[derive(Debug)]
pub(super) struct VolumeHandle {
    volume: Arc<Volume>,
    generation: u64,
}

impl VolumeHandle {
    /// Returns the number to retire this handle by.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    fn volume(&self) -> io::Result<&Volume> {
        if self.volume.generation.load(Ordering::Acquire) != self.generation {
            return Err(io::Error::other("this view of the database was given up"));
        }
        self.volume.check()?;
        Ok(&self.volume)
    }
}

impl StorageBackend for VolumeHandle {
    fn len(&self) -> io::Result<u64> {
        let volume = self.volume()?;
        match &*volume.mode.read() {
            Mode::Direct => Ok(volume.known_len.load(Ordering::Acquire)),
            Mode::Staging(staging) => Ok(staging.len),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let volume = self.volume()?;
        match &*volume.mode.read() {
            Mode::Direct => volume.read_direct(offset, out),
            Mode::Staging(staging) => staging.read(volume, offset, out),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let volume = self.volume()?;
        match &mut *volume.mode.write() {
            Mode::Direct => volume.resize(len),
            Mode::Staging(staging) => staging.set_len(volume, len),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        let volume = self.volume()?;
        if volume.is_direct() {
            return volume.flush();
        }
        match &mut *volume.mode.write() {
            Mode::Direct => volume.flush(),
            Mode::Staging(staging) => {
                staging.operations.push(Operation::Sync);
                Ok(())
            }
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let volume = self.volume()?;
        if volume.is_direct() {
            return volume.write_direct(offset, data);
        }
        match &mut *volume.mode.write() {
            Mode::Direct => volume.write_direct(offset, data),
            Mode::Staging(staging) => staging.write(volume, offset, data),
        }
    }
}

#[cfg(test)]
#[path = "volume_test.rs"]
mod tests;
