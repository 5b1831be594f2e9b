//! A disk that ends the process at a crash point, as `kill -9` does: for tests of recovery with the real program.

use super::{CrashPlan, CrashPoint, DirEntry, Disk, DiskFile, DiskLock, DiskSpace, OpenMode};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Another disk, with an end.
#[derive(Debug)]
pub struct CrashingDisk {
    inner: Arc<dyn Disk>,
    plan: CrashPlan,
    visits: AtomicU64,
}

impl CrashingDisk {
    /// Ends the process with SIGKILL at the place that the plan names.
    #[must_use]
    pub fn new(inner: Arc<dyn Disk>, plan: CrashPlan) -> Self {
        Self {
            inner,
            plan,
            visits: AtomicU64::new(0),
        }
    }
}

impl Disk for CrashingDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        self.inner.open(path, mode)
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
        if point != self.plan.point || self.visits.fetch_add(1, Ordering::Relaxed) + 1 != self.plan.count {
            return;
        }
        // No destructor runs, no buffer is flushed.
        let killed = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        if let Err(error) = killed {
            tracing::error!(%error, %point, "the process cannot end itself");
        }
    }
}
