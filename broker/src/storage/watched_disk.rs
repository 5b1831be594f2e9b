//! The disk of the data directory while it is recovered: counts how much of the write-ahead log was read.
//!
//! After a crash recovery reads the write-ahead log's files to their ends, for what lies behind the last group must be
//! known to be nothing; files whose groups are all covered are passed over. So bytes read of bytes there is how far it
//! has come at least. Files that are opened later are not watched.

use std::io;
use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use thalweg_storage::disk::{CrashPoint, DirEntry, Disk, DiskFile, DiskLock, DiskSpace, OpenMode};

const WAL_DIRECTORY: &str = "wal";
const WAL_EXTENSION: &str = "wal";

/// How far the opening of the data directory has come; shared by who opens it and who tells of it.
#[derive(Debug)]
pub struct RecoveryProgress {
    began: Instant,
    took: Mutex<Option<Duration>>,
    is_over: AtomicBool,
    wal_bytes: AtomicU64,
    wal_read_bytes: AtomicU64,
}

impl Default for RecoveryProgress {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            took: Mutex::default(),
            is_over: AtomicBool::new(false),
            wal_bytes: AtomicU64::new(0),
            wal_read_bytes: AtomicU64::new(0),
        }
    }
}

impl RecoveryProgress {
    /// Returns the bytes of the write-ahead log's files that were there at the start.
    #[must_use]
    pub fn wal_bytes(&self) -> u64 {
        self.wal_bytes.load(Ordering::Relaxed)
    }

    /// Returns how many of them were read; what was read twice is not told from what was not.
    #[must_use]
    pub fn wal_read_bytes(&self) -> u64 {
        self.wal_read_bytes.load(Ordering::Relaxed).min(self.wal_bytes())
    }

    /// Returns how long it took, or has taken so far.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.took.lock().unwrap_or_else(|| self.began.elapsed())
    }

    /// Reports whether the data directory is open.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Stops the count.
    pub fn finish(&self) {
        self.took.lock().get_or_insert_with(|| self.began.elapsed());
        self.is_over.store(true, Ordering::Release);
    }

    /// Adds up the files of the write-ahead log. One that cannot be looked at counts nothing: opening it will say why.
    fn measure(&self, disk: &dyn Disk, data_directory: &Path) {
        let directory = data_directory.join(WAL_DIRECTORY);
        let entries = disk.list(&directory).unwrap_or_default();
        let paths = entries.iter().map(|entry| directory.join(&entry.name));
        let lengths = paths
            .filter(|path| is_wal_file(path))
            .filter_map(|path| disk.file_len(&path).ok().flatten());
        self.wal_bytes
            .store(lengths.fold(0, u64::saturating_add), Ordering::Relaxed);
    }
}

fn is_wal_file(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == WAL_EXTENSION)
}

/// A disk whose reads of the write-ahead log move a [`RecoveryProgress`] until that is over.
#[derive(Debug)]
pub struct WatchedDisk {
    inner: Arc<dyn Disk>,
    progress: Arc<RecoveryProgress>,
}

impl WatchedDisk {
    /// Looks at the write-ahead log that is below `data_directory` now, and watches `inner` from here on.
    #[must_use]
    pub fn new(inner: Arc<dyn Disk>, data_directory: &Path, progress: Arc<RecoveryProgress>) -> Self {
        progress.measure(&*inner, data_directory);
        Self { inner, progress }
    }
}

impl Disk for WatchedDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.inner.open(path, mode)?;
        if mode != OpenMode::Read || !is_wal_file(path) || self.progress.is_over() {
            return Ok(file);
        }
        Ok(Arc::new(WatchedFile {
            file,
            progress: self.progress.clone(),
        }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.inner.create_dir_all(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.sync_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.inner.list(path)
    }

    fn file_len(&self, path: &Path) -> io::Result<Option<u64>> {
        self.inner.file_len(path)
    }

    fn space(&self, path: &Path) -> io::Result<DiskSpace> {
        self.inner.space(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        self.inner.lock(path)
    }

    fn reached(&self, point: CrashPoint) {
        self.inner.reached(point);
    }
}

#[derive(Debug)]
struct WatchedFile {
    file: Arc<dyn DiskFile>,
    progress: Arc<RecoveryProgress>,
}

impl DiskFile for WatchedFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let count = self.file.read_at(buffer, position)?;
        if !self.progress.is_over() {
            self.progress
                .wal_read_bytes
                .fetch_add(count as u64, Ordering::Relaxed);
        }
        Ok(count)
    }

    fn read_spare(&self, buffer: &mut Vec<u8>, position: u64) -> io::Result<usize> {
        let count = self.file.read_spare(buffer, position)?;
        if !self.progress.is_over() {
            self.progress
                .wal_read_bytes
                .fetch_add(count as u64, Ordering::Relaxed);
        }
        Ok(count)
    }

    fn write_vectored_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        self.file.write_vectored_at(slices, position)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}

#[cfg(test)]
#[path = "watched_disk_test.rs"]
mod tests;
