//! Names of segment files.

use std::path::{Path, PathBuf};

use crate::cli::error::CliError;

/// Reads the base offset out of a segment's file name, `<20 digits>.log` with anything behind it.
pub fn base_offset(path: &Path) -> Option<i64> {
    let name = path.file_name()?.to_str()?;
    let (digits, rest) = name.split_at_checked(20)?;
    let is_segment = rest.starts_with(".log") && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_segment.then(|| digits.parse().ok())?
}

/// Returns the files to look at: a file itself, or all segments in a directory and in the directories in it.
///
/// # Errors
/// [`CliError::Io`] if a path cannot be read, [`CliError::Failed`] if a directory holds no segment.
pub fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>, CliError> {
    let mut files = Vec::new();
    for path in paths {
        let io = |source| CliError::Io {
            what: format!("read {}", path.display()),
            source,
        };
        if !std::fs::metadata(path).map_err(io)?.is_dir() {
            files.push(path.clone());
            continue;
        }
        let before = files.len();
        for inner in sorted_entries(path)? {
            if is_segment(&inner) {
                files.push(inner);
            } else if inner.is_dir() {
                files.extend(
                    sorted_entries(&inner)?
                        .into_iter()
                        .filter(|file| is_segment(file)),
                );
            }
        }
        if files.len() == before {
            return Err(CliError::Failed(format!(
                "{} holds no segment (<20 digits>.log); give a segment, a partition's directory or a data directory",
                path.display()
            )));
        }
    }
    Ok(files)
}

/// Returns the base offset of the segment after this one in its directory, if there is one.
///
/// # Errors
/// [`CliError::Io`].
pub fn next_base_offset(path: &Path) -> Result<Option<i64>, CliError> {
    let (Some(own), Some(directory)) = (base_offset(path), path.parent()) else {
        return Ok(None);
    };
    let directory = if directory.as_os_str().is_empty() {
        Path::new(".")
    } else {
        directory
    };
    let later = sorted_entries(directory)?
        .into_iter()
        .filter(|file| is_segment(file));
    Ok(later
        .filter_map(|file| base_offset(&file))
        .filter(|base| *base > own)
        .min())
}

fn is_segment(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "log") && base_offset(path).is_some()
}

fn sorted_entries(directory: &Path) -> Result<Vec<PathBuf>, CliError> {
    let io = |source| CliError::Io {
        what: format!("list {}", directory.display()),
        source,
    };
    let entries = std::fs::read_dir(directory).map_err(io)?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(io)?;
    paths.sort();
    Ok(paths)
}
