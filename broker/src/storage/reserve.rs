//! A file that holds space back for the broker's own needs when the disk is full.
//!
//! It is given up when a write to a segment or a recovery point finds no space, so that offset commits, deletions
//! and settings can still be made durable, and taken again when there is room.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thalweg_storage::disk::{Disk, OpenMode};

const FILE: &str = ".reserve";
const CHUNK: usize = 1 << 20;
/// Less than this on the disk is no room, however small the reserve is.
const ROOM_BYTES_MIN: u64 = 16 << 20;
/// With less than this free, metadata and segments run out next.
const SHORT_BYTES: u64 = 4 << 20;

/// The reserve of one data directory.
#[derive(Debug)]
pub struct DiskReserve {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    bytes: u64,
}

impl DiskReserve {
    /// Makes the handle; touches no file.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, data_directory: &Path, bytes: u64) -> Self {
        Self {
            disk,
            path: data_directory.join(FILE),
            bytes,
        }
    }

    /// Fills the reserve up to its size, when the disk has twice that room. Blocks.
    ///
    /// # Errors
    /// As the disk says; what was written is given back then.
    pub fn ensure(&self) -> io::Result<()> {
        let have = self.disk.file_len(&self.path)?.unwrap_or(0);
        let missing = self.bytes.saturating_sub(have);
        let directory = self.path.parent().unwrap_or(Path::new("."));
        if missing == 0 || self.disk.space(directory)?.available < missing.saturating_mul(2) {
            return Ok(());
        }
        let filled = self.fill(have);
        if filled.is_err() {
            self.release()?;
        }
        filled
    }

    fn fill(&self, have: u64) -> io::Result<()> {
        let file = self.disk.open(&self.path, OpenMode::Create)?;
        // Written, not just sized: a hole reserves nothing.
        let zeroes = vec![0; CHUNK];
        let mut at = have;
        while at < self.bytes {
            let count = usize::try_from(self.bytes - at).unwrap_or(CHUNK).min(CHUNK);
            file.write_all_at(&zeroes[..count], at)?;
            at += count as u64;
        }
        file.sync_data()
    }

    /// Reports whether the disk has room for the reserve and as much again, so that it does not fill up at once.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let directory = self.path.parent().unwrap_or(Path::new("."));
        let held = self.disk.file_len(&self.path).ok().flatten().unwrap_or(0);
        let wanted = self.bytes.saturating_mul(2).max(ROOM_BYTES_MIN);
        self.disk
            .space(directory)
            .is_ok_and(|space| space.available.saturating_add(held) >= wanted)
    }

    /// Reports whether the disk is as good as full: a file, a row or an index may find no room at any moment.
    #[must_use]
    pub fn is_short(&self) -> bool {
        let directory = self.path.parent().unwrap_or(Path::new("."));
        self.disk
            .space(directory)
            .is_ok_and(|space| space.available < SHORT_BYTES)
    }

    /// Gives the space back. Blocks.
    ///
    /// # Errors
    /// As the disk says.
    pub fn release(&self) -> io::Result<()> {
        match self.disk.remove_file(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

#[cfg(test)]
#[path = "reserve_test.rs"]
mod tests;
