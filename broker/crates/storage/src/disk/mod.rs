//! The disk as an argument: everything below the partition logs reads and writes through [`Disk`].
//!
//! Two implementations: [`RealDisk`], and [`SimulatedDisk`], which keeps files in memory, loses what was not
//! synced when it "crashes", and fails on demand. Paths are absolute or relative to the process; no
//! implementation caches content.
//!
//! Rules that hold for both: a file's bytes survive a crash only after [`DiskFile::sync_data`] (or a write
//! through [`OpenMode::Direct`], which syncs by itself); a name survives only after [`Disk::sync_dir`] of its
//! directory. Files whose bytes pass by the page cache ([`OpenMode::Uncached`]) take whole aligned blocks only;
//! [`UncachedWriter`] and [`UncachedReader`] know how.

mod buffers;
mod crash_point;
mod crashing;
mod real;
mod simulated;
mod uncached;
mod uncached_reader;

pub use buffers::{AlignedBuffer, BufferPool, PooledBuffer};
pub use crash_point::{CrashPlan, CrashPoint, UnknownCrashPoint};
pub use crashing::CrashingDisk;
pub use real::RealDisk;
pub use simulated::{Fault, SimulatedDisk};
pub use uncached::{UncachedWriter, WritePlace};
pub use uncached_reader::UncachedReader;

use bytes::Bytes;
use std::fmt::Debug;
use std::io;
use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

/// Block size for direct writes, in bytes: buffer address, position and length must be multiples of it.
pub const BLOCK: usize = 4096;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// An existing file, for reading.
    Read,
    /// An existing file, for reading and writing.
    ReadWrite,
    /// For reading and writing; created when it is not there.
    Create,
    /// For reading and writing; an error when it is there.
    CreateNew,
    /// An existing file whose writes bypass the page cache and are durable when they return
    /// (`O_DIRECT|O_DSYNC`). Fails with `InvalidInput` or `Unsupported` where the file system refuses that.
    Direct,
    /// An existing file whose writes bypass the page cache and need [`DiskFile::sync_data`] all the same (`O_DIRECT`).
    /// What the page cache holds of a file and what is written past it agree. Fails as [`OpenMode::Direct`] does.
    Uncached,
    /// An existing file for reading past the page cache: address, position and length of a read are multiples of
    /// [`BLOCK`]. Fails as [`OpenMode::Direct`] does.
    UncachedRead,
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// Name without its directory.
    pub name: String,
    /// What the name stands for.
    pub kind: EntryKind,
}

/// What a name in a directory stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
}

/// Size of the file system below a directory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskSpace {
    /// All of it.
    pub total: u64,
    /// What this process may still use.
    pub available: u64,
}

/// A held lock; released when dropped.
pub trait DiskLock: Send + Sync + Debug {}

/// A file system.
pub trait Disk: Send + Sync + Debug {
    /// Opens a file.
    ///
    /// # Errors
    /// As the operating system says: `NotFound`, `AlreadyExists` (for [`OpenMode::CreateNew`]), `StorageFull`…
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>>;
    /// Creates a directory and its parents. The caller syncs the parent when the name must survive a crash.
    ///
    /// # Errors
    /// As the operating system says.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Renames a file or directory, replacing a file of the new name.
    ///
    /// # Errors
    /// As the operating system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// As the operating system says.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a directory and all below it.
    ///
    /// # Errors
    /// As the operating system says.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// As the operating system says; the caller must treat an error as fatal and never retry it.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Lists a directory, in no order.
    ///
    /// # Errors
    /// As the operating system says.
    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>>;
    /// Returns a file's length in bytes, `None` when there is no such file.
    ///
    /// # Errors
    /// As the operating system says, except `NotFound`.
    fn file_len(&self, path: &Path) -> io::Result<Option<u64>>;
    /// Returns the size of the file system below `path`.
    ///
    /// # Errors
    /// As the operating system says.
    fn space(&self, path: &Path) -> io::Result<DiskSpace>;
    /// Takes an exclusive lock on a file, creating it.
    ///
    /// # Errors
    /// `WouldBlock` when another process holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>>;
    /// Takes note that the code is at a place where a crash is telling. May not return.
    fn reached(&self, _point: CrashPoint) {}
}

/// An open file. All methods take positions, so that one handle serves many threads.
pub trait DiskFile: Send + Sync + Debug {
    /// Reads up to `buffer.len()` bytes at `position`; 0 at the end of the file.
    ///
    /// # Errors
    /// As the operating system says.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;
    /// Reads into the room that `buffer` has beyond its length, as much as one call of the system gives; 0 at the end of
    /// the file or without room. The buffer's length grows by the bytes read.
    ///
    /// # Errors
    /// As the operating system says.
    fn read_spare(&self, buffer: &mut Vec<u8>, position: u64) -> io::Result<usize> {
        let len = buffer.len();
        buffer.resize(buffer.capacity(), 0);
        let read = self.read_at(&mut buffer[len..], position);
        buffer.truncate(len + *read.as_ref().unwrap_or(&0));
        read
    }
    /// Writes some of the slices, one behind the other, at `position`; returns how many bytes.
    ///
    /// # Errors
    /// As the operating system says; `StorageFull` leaves the file with a part written at most.
    fn write_vectored_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<usize>;
    /// Sets the length; new bytes are zero.
    ///
    /// # Errors
    /// As the operating system says.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes the bytes and the length durable.
    ///
    /// # Errors
    /// As the operating system says; the caller must treat an error as fatal and never retry it.
    fn sync_data(&self) -> io::Result<()>;
    /// Returns the length in bytes.
    ///
    /// # Errors
    /// As the operating system says.
    fn len(&self) -> io::Result<u64>;

    /// Reports whether the file has no bytes.
    ///
    /// # Errors
    /// As the operating system says.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills the whole buffer from `position`.
    ///
    /// # Errors
    /// `UnexpectedEof` when the file ends before; otherwise as the operating system says.
    fn read_exact_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()> {
        let mut done = 0;
        while done < buffer.len() {
            match self.read_at(&mut buffer[done..], position + done as u64) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads `len` bytes at `position` into new memory, which nobody clears before. The caller bounds `len`.
    ///
    /// # Errors
    /// `UnexpectedEof` when the file ends before; otherwise as the operating system says.
    fn read_new(&self, len: usize, position: u64) -> io::Result<Bytes> {
        let mut buffer = Vec::with_capacity(len);
        while buffer.len() < len {
            let at = position + buffer.len() as u64;
            match self.read_spare(&mut buffer, at) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        // An allocator may give more than was asked for.
        buffer.truncate(len);
        Ok(buffer.into())
    }

    /// Writes all bytes at `position`.
    ///
    /// # Errors
    /// As [`DiskFile::write_vectored_at`].
    fn write_all_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        let mut done = 0;
        while done < bytes.len() {
            match self.write_vectored_at(&[IoSlice::new(&bytes[done..])], position + done as u64) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Reports whether an error means that the disk is full, which passes, rather than broken.
#[must_use]
pub fn is_disk_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Reports whether an error means that the process or the system has no file descriptor left, which passes.
#[must_use]
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// Reports whether an error means that a file system takes no direct reads or writes, or not such ones.
#[must_use]
pub fn is_direct_refused(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
    )
}

/// Replaces a small file so that a crash leaves either the old or the new content.
///
/// # Errors
/// As the disk says; the old file is then still there.
pub fn replace_file(disk: &dyn Disk, path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let file = disk.open(&temporary, OpenMode::Create)?;
    file.set_len(0)?;
    file.write_all_at(content, 0)?;
    file.sync_data()?;
    drop(file);
    disk.rename(&temporary, path)?;
    match path.parent() {
        Some(directory) => disk.sync_dir(directory),
        None => Ok(()),
    }
}

/// Reads a whole small file; an error when it is larger than `limit` bytes.
///
/// # Errors
/// `NotFound`, `InvalidData` above the limit, otherwise as the disk says.
pub fn read_file(disk: &dyn Disk, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = disk.open(path, OpenMode::Read)?;
    let len = file.len()?;
    if len > limit {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "{} has {len} bytes, more than the {limit} expected at most",
                path.display()
            ),
        ));
    }
    let mut content = vec![0; usize::try_from(len).map_err(io::Error::other)?];
    file.read_exact_at(&mut content, 0)?;
    Ok(content)
}

#[cfg(test)]
#[path = "disk_test.rs"]
mod tests;
