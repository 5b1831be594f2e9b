//! The list of a ring's files, so that a file that was removed or cut by hand is told from one that never was.
//!
//! `files` in the ring's directory: magic, version, identity of the log, count, then number and length of each
//! file, and a CRC-32 of it all. Replaced as a whole. A file is in the list before a group is written to it, and
//! out of it before it is removed; one that is not in it was being made, or unmade, when a crash came.

use crate::disk::{Disk, read_file, replace_file};
use crate::wal::{Incarnation, WalOpenError};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

const FILE: &str = "files";
const MAGIC: &[u8; 4] = b"TWI1";
const VERSION: u16 = 1;
const HEADER_LEN: usize = 28;
const ENTRY_LEN: usize = 16;
const CRC_LEN: usize = 4;
/// A list of a million files.
const BYTES_MAX: u64 = 16 << 20;

/// Length in bytes by the number in the name.
pub(super) type Inventory = BTreeMap<u64, u64>;

/// Whether a list must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InventoryState {
    /// The metadata says that it was written.
    Written,
    /// The log is new, or the list was about to be written for the first time.
    NotYet,
}

pub(super) fn path_in(directory: &Path) -> PathBuf {
    directory.join(FILE)
}

pub(super) fn write(
    disk: &dyn Disk,
    directory: &Path,
    incarnation: Incarnation,
    files: &Inventory,
) -> io::Result<()> {
    let mut out = Vec::with_capacity(HEADER_LEN + files.len() * ENTRY_LEN + CRC_LEN);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(&incarnation.0);
    let count = u32::try_from(files.len()).map_err(io::Error::other)?;
    out.extend_from_slice(&count.to_le_bytes());
    for (number, len) in files {
        out.extend_from_slice(&number.to_le_bytes());
        out.extend_from_slice(&len.to_le_bytes());
    }
    let crc = crc32fast::hash(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    replace_file(disk, &path_in(directory), &out)
}

/// Reads the list; `None` when there is none and none is due.
pub(super) fn read(
    disk: &dyn Disk,
    directory: &Path,
    incarnation: Incarnation,
    state: InventoryState,
) -> Result<Option<Inventory>, WalOpenError> {
    let path = path_in(directory);
    let content = match read_file(disk, &path, BYTES_MAX) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound && state == InventoryState::NotYet => {
            return Ok(None);
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(WalOpenError::FileMissing { path });
        }
        Err(source) => return Err(WalOpenError::Io { path, source }),
    };
    decode(&content, incarnation, &path).map(Some)
}

fn decode(content: &[u8], incarnation: Incarnation, path: &Path) -> Result<Inventory, WalOpenError> {
    let damaged = |what: &str| WalOpenError::FileDamaged {
        path: path.to_owned(),
        what: what.to_owned(),
    };
    let Some((body, crc)) = content.split_last_chunk::<CRC_LEN>() else {
        return Err(damaged("it is too short"));
    };
    if body.len() < HEADER_LEN || !body.starts_with(MAGIC) {
        return Err(damaged("it does not start as it should"));
    }
    if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return Err(damaged("its checksum does not hold"));
    }
    let version = u16::from_le_bytes([body[4], body[5]]);
    if version > VERSION {
        return Err(WalOpenError::NewerVersion {
            path: path.to_owned(),
            found: version,
            supported: VERSION,
        });
    }
    if body[8..24] != incarnation.0 {
        return Err(WalOpenError::Foreign {
            path: path.to_owned(),
            found: format!("log {:02x?}", &body[8..24]),
            expected: format!("log {:02x?}", incarnation.0),
        });
    }
    let eight = |bytes: &[u8]| bytes.try_into().map(u64::from_le_bytes).unwrap_or_default();
    let entries = body[HEADER_LEN..].chunks_exact(ENTRY_LEN);
    let count = u32::from_le_bytes([body[24], body[25], body[26], body[27]]);
    if !entries.remainder().is_empty() || entries.len() != count as usize {
        return Err(damaged("its count does not fit its length"));
    }
    Ok(entries
        .map(|entry| (eight(&entry[..8]), eight(&entry[8..])))
        .collect())
}

#[cfg(test)]
#[path = "inventory_test.rs"]
mod tests;
