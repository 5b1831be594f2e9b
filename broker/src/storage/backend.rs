//! One file of the logs' disk as the metadata store's file, so that a faulty disk reaches both.

use std::io;
use std::path::Path;
use std::sync::Arc;

use redb::StorageBackend;
use thalweg_storage::disk::{Disk, DiskFile, OpenMode};

/// A file that the metadata store owns.
#[derive(Debug)]
pub(super) struct DiskBackend {
    file: Arc<dyn DiskFile>,
}

impl DiskBackend {
    /// Opens the file, creating it.
    ///
    /// # Errors
    /// As the disk says.
    pub(super) fn open(disk: &dyn Disk, path: &Path) -> io::Result<Self> {
        let file = disk.open(path, OpenMode::Create)?;
        if let Some(directory) = path.parent() {
            disk.sync_dir(directory)?;
        }
        Ok(Self { file })
    }
}

impl StorageBackend for DiskBackend {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, offset)
    }
}
