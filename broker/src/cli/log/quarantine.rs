//! Moves a damaged segment aside, while no broker runs.
//!
//! Invariant: files are renamed, never deleted or rewritten, and only while this program holds the data directory's
//! lock. A crash in between leaves every file under its old or its new name.

use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, fcntl_lock, flock};

use crate::cli::error::CliError;

/// File in a data directory that a running broker keeps locked.
const LOCK_FILE: &str = ".lock";
/// What is derived from a segment and useless without it.
const INDEX_EXTENSIONS: [&str; 3] = ["index", "timeindex", "txnindex"];

/// The lock of a data directory; released when dropped.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: Option<File>,
}

impl DirectoryLock {
    /// Locks the data directory that a segment belongs to: the one above its partition's directory.
    ///
    /// A directory without a lock file has never been a broker's; nothing is locked then.
    /// # Errors
    /// [`CliError::Failed`] if a broker runs on it, [`CliError::Io`].
    pub fn of_segment(segment: &Path) -> Result<Self, CliError> {
        let io = |source| CliError::Io {
            what: format!("find the directory of {}", segment.display()),
            source,
        };
        let whole = std::fs::canonicalize(segment).map_err(io)?;
        let candidates = whole
            .ancestors()
            .skip(1)
            .take(2)
            .map(|directory| directory.join(LOCK_FILE));
        let Some(path) = candidates.filter(|path| path.is_file()).last() else {
            return Ok(Self { _file: None });
        };
        let io = |source| CliError::Io {
            what: format!("open {}", path.display()),
            source,
        };
        let file = File::options().read(true).write(true).open(&path).map_err(io)?;
        // The second kind is the one Java programs take.
        let locked = flock(&file, FlockOperation::NonBlockingLockExclusive)
            .and_then(|()| fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive));
        match locked {
            Ok(()) => Ok(Self { _file: Some(file) }),
            Err(error) if error == rustix::io::Errno::WOULDBLOCK || error == rustix::io::Errno::ACCESS => {
                Err(CliError::Failed(format!(
                    "a broker runs on this directory ({} is locked); stop it before files are moved aside",
                    path.display()
                )))
            }
            Err(error) => Err(CliError::Io {
                what: format!("lock {}", path.display()),
                source: error.into(),
            }),
        }
    }
}

/// Renames a segment and its indexes to `<name>.quarantined-<n>` with the first free number. Returns the segment's new
/// path.
///
/// # Errors
/// [`CliError::Io`]. Files renamed before the failure stay renamed.
pub fn move_aside(segment: &Path) -> Result<PathBuf, CliError> {
    let mut files = vec![segment.to_path_buf()];
    files.extend(
        INDEX_EXTENSIONS
            .map(|extension| segment.with_extension(extension))
            .into_iter()
            .filter(|path| path.exists()),
    );
    let number = (1u32..).find(|number| files.iter().all(|file| !new_name(file, *number).exists()));
    let number = number.ok_or_else(|| CliError::Failed("no number is free for the new name".to_owned()))?;
    // Indexes first: an index without its segment is rebuilt or ignored, a segment that is half gone is not.
    for file in files.iter().rev() {
        let to = new_name(file, number);
        std::fs::rename(file, &to).map_err(|source| CliError::Io {
            what: format!("rename {} to {}", file.display(), to.display()),
            source,
        })?;
    }
    if let Some(directory) = segment.parent() {
        let directory = if directory.as_os_str().is_empty() {
            Path::new(".")
        } else {
            directory
        };
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(|source| CliError::Io {
            what: format!("flush {}", directory.display()),
            source,
        })?;
    }
    Ok(new_name(segment, number))
}

fn new_name(file: &Path, number: u32) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".quarantined-{number}"));
    PathBuf::from(name)
}

#[cfg(test)]
#[path = "quarantine_test.rs"]
mod tests;
