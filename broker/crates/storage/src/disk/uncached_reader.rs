//! Large reads past the page cache, of what is read once: a reader of old records then displaces nothing that others
//! need, and costs no copy.
//!
//! What is read again soon goes through the page cache from the second time on, so that the third finds it there. The
//! memory for that is a small table of what was read last; a place that is forgotten too soon, or taken for another,
//! only makes a read slower.

use super::{BLOCK, BufferPool, Disk, DiskFile, OpenMode, is_direct_refused};
use bytes::Bytes;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Files are remembered in pieces of this size.
const PIECE_BYTES: u64 = 256 << 10;
/// Pieces that are remembered: 2 GiB in 64 KiB of memory.
const PIECES: usize = 8192;

/// Reads the files of one disk.
#[derive(Debug)]
pub struct UncachedReader {
    disk: Arc<dyn Disk>,
    pool: Arc<BufferPool>,
    bytes_min: usize,
    is_refused: AtomicBool,
    /// Hashes of pieces that were read past the page cache, each in the place that the hash says.
    seen: Box<[AtomicU64]>,
}

impl UncachedReader {
    /// Makes a reader that passes by the page cache for reads of `bytes_min` bytes and more; 0 means never.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, pool: Arc<BufferPool>, bytes_min: usize) -> Self {
        let pieces = if bytes_min == 0 { 0 } else { PIECES };
        Self {
            disk,
            pool,
            bytes_min,
            is_refused: AtomicBool::new(bytes_min == 0),
            seen: (0..pieces).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Opens the file at `path` for reads of up to `len_max` bytes past the page cache; `None` where it would not be
    /// used. To be opened together with the file that [`Self::read`] gets: compaction puts other files in a path's place.
    #[must_use]
    pub fn open(&self, path: &Path, len_max: usize) -> Option<Arc<dyn DiskFile>> {
        if len_max < self.bytes_min || self.is_refused.load(Ordering::Relaxed) {
            return None;
        }
        match self.disk.open(path, OpenMode::UncachedRead) {
            Ok(direct) => Some(direct),
            Err(error) => {
                // Else the file is gone, or there is no descriptor left: whoever opens it in the usual way is told.
                if is_direct_refused(&error) {
                    self.is_refused.store(true, Ordering::Relaxed);
                }
                None
            }
        }
    }

    /// Reads `len` bytes at `position` of `file`, which is open at `path`, and `direct`, which [`Self::open`] returned.
    /// The caller bounds `len`.
    ///
    /// # Errors
    /// `UnexpectedEof` when the file ends before; otherwise as the disk says.
    pub fn read(
        &self,
        (file, direct): (&dyn DiskFile, Option<&dyn DiskFile>),
        path: &Path,
        len: usize,
        position: u64,
    ) -> io::Result<Bytes> {
        let Some(direct) = direct.filter(|_| len >= self.bytes_min) else {
            return file.read_new(len, position);
        };
        if self.was_read(path, len, position) {
            return file.read_new(len, position);
        }
        match self.read_blocks(direct, len, position) {
            Err(error) if is_direct_refused(&error) => self.refused(file, len, position),
            read => read,
        }
    }

    fn refused(&self, file: &dyn DiskFile, len: usize, position: u64) -> io::Result<Bytes> {
        self.is_refused.store(true, Ordering::Relaxed);
        file.read_new(len, position)
    }

    /// Tells whether a piece that starts near the end of the range was read before, and remembers all that start in
    /// it. The end, since one reader's next read begins a little before the end of its last one.
    fn was_read(&self, path: &Path, len: usize, position: u64) -> bool {
        let mut hasher = DefaultHasher::new();
        path.hash(&mut hasher);
        let file = hasher.finish();
        let end = position.saturating_add(len as u64);
        let mut was_read = false;
        for piece in position.div_ceil(PIECE_BYTES)..end.div_ceil(PIECE_BYTES) {
            let mut hasher = DefaultHasher::new();
            (file, piece).hash(&mut hasher);
            let hash = hasher.finish();
            let slot = &self.seen[hash as usize % self.seen.len()];
            was_read = slot.swap(hash, Ordering::Relaxed) == hash;
        }
        was_read
    }

    fn read_blocks(&self, direct: &dyn DiskFile, len: usize, position: u64) -> io::Result<Bytes> {
        let skipped = (position % BLOCK as u64) as usize;
        let from = position - skipped as u64;
        let wanted = skipped + len;
        let mut buffer = self.pool.take(wanted.next_multiple_of(BLOCK));
        let mut done = 0;
        while done < wanted {
            // A read that ends inside a block, as at the end of the file, is taken up at the block's start.
            done -= done % BLOCK;
            match direct.read_at(&mut buffer.as_mut_slice()[done..], from + done as u64) {
                Ok(count) if done + count >= wanted => done += count,
                Ok(count) if count >= BLOCK => done += count,
                Ok(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Bytes::from_owner(buffer).slice(skipped..wanted))
    }
}

#[cfg(test)]
#[path = "uncached_reader_test.rs"]
mod tests;
