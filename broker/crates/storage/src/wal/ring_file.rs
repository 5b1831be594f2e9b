//! One file of the ring: its name, its header block, how it is filled and written.

use super::{Incarnation, Slot};
use crate::disk::{AlignedBuffer, BLOCK, Disk, DiskFile, OpenMode, is_direct_refused};
use crate::planted::{Bug, is_planted};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Bytes of one direct write at most.
pub(super) const WRITE_BYTES_MAX: usize = 1 << 20;
/// First bytes of a file: "TWF1".
const FILE_MAGIC: u32 = u32::from_le_bytes(*b"TWF1");
/// Format version of the header block.
pub(super) const FILE_VERSION: u16 = 1;

/// What makes a write durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteDurability {
    /// The write is durable when it returns.
    Direct,
    /// A sync must follow.
    Buffered,
}

pub(super) fn file_name(number: u64) -> String {
    format!("{number:010}.wal")
}

pub(super) fn number_of(path: &Path) -> Option<u64> {
    path.file_stem()?.to_str()?.parse().ok()
}

pub(super) fn fill_file(disk: &dyn Disk, path: &Path, len: u64) -> io::Result<()> {
    let file = disk.open(path, OpenMode::Create)?;
    // Past the page cache: nobody reads the zeroes, and a file is as large as what a reader may have there.
    let direct = match disk.open(path, OpenMode::Uncached) {
        Err(error) if is_direct_refused(&error) => None,
        opened => Some(opened?),
    };
    let mut zeroes = AlignedBuffer::default();
    zeroes.resize(WRITE_BYTES_MAX);
    zeroes.as_mut_slice().fill(0);
    let mut position = 0;
    while position < len {
        let count = usize::try_from(len - position)
            .unwrap_or(usize::MAX)
            .min(WRITE_BYTES_MAX);
        let chunk = &zeroes.as_slice()[..count];
        let written = match &direct {
            Some(direct) => direct.write_all_at(chunk, position),
            None => file.write_all_at(chunk, position),
        };
        match written {
            // Also what a short write leaves of a block.
            Err(error) if direct.is_some() && is_direct_refused(&error) => {
                file.write_all_at(chunk, position)?;
            }
            written => written?,
        }
        position += count as u64;
    }
    file.sync_data()
}

pub(super) fn open_writer(disk: &dyn Disk, path: &Path) -> io::Result<(Arc<dyn DiskFile>, WriteDurability)> {
    match disk.open(path, OpenMode::Direct) {
        Ok(file) => Ok((file, WriteDurability::Direct)),
        Err(error) if is_direct_refused(&error) => {
            Ok((disk.open(path, OpenMode::ReadWrite)?, WriteDurability::Buffered))
        }
        Err(error) => Err(error),
    }
}

pub(super) fn write_durably(
    file: &dyn DiskFile,
    durability: WriteDurability,
    bytes: &[u8],
    position: u64,
) -> io::Result<()> {
    let mut at = position;
    for chunk in bytes.chunks(WRITE_BYTES_MAX) {
        file.write_all_at(chunk, at)?;
        at += chunk.len() as u64;
    }
    match durability {
        WriteDurability::Direct => Ok(()),
        WriteDurability::Buffered if is_planted(Bug::FlushSkipped) => Ok(()),
        WriteDurability::Buffered => file.sync_data(),
    }
}

pub(super) const FILE_HEADER_LEN: usize = 48;

#[derive(Clone, Copy, Debug)]
pub(super) struct FileHeader {
    pub(super) number: u64,
    pub(super) first_slot: Slot,
    pub(super) incarnation: Incarnation,
}

pub(super) enum FileHeaderState {
    Valid(FileHeader),
    Newer(u16),
    Invalid,
}

impl FileHeader {
    fn encode(&self) -> [u8; FILE_HEADER_LEN] {
        let mut out = [0; FILE_HEADER_LEN];
        out[0..4].copy_from_slice(&FILE_MAGIC.to_le_bytes());
        out[4..6].copy_from_slice(&FILE_VERSION.to_le_bytes());
        out[8..24].copy_from_slice(&self.incarnation.0);
        out[24..32].copy_from_slice(&self.number.to_le_bytes());
        out[32..40].copy_from_slice(&self.first_slot.0.to_le_bytes());
        let crc = crc32fast::hash(&out[..44]);
        out[44..48].copy_from_slice(&crc.to_le_bytes());
        out
    }

    pub(super) fn decode(bytes: &[u8; FILE_HEADER_LEN]) -> FileHeaderState {
        let four = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let eight = |at: usize| u64::from(four(at)) | (u64::from(four(at + 4)) << 32);
        if four(0) != FILE_MAGIC || four(44) != crc32fast::hash(&bytes[..44]) {
            return FileHeaderState::Invalid;
        }
        let version = u16::from_le_bytes([bytes[4], bytes[5]]);
        if version > FILE_VERSION {
            return FileHeaderState::Newer(version);
        }
        let mut incarnation = [0; 16];
        incarnation.copy_from_slice(&bytes[8..24]);
        FileHeaderState::Valid(Self {
            number: eight(24),
            first_slot: Slot(eight(32)),
            incarnation: Incarnation(incarnation),
        })
    }
}

pub(super) fn write_header(
    file: &dyn DiskFile,
    durability: WriteDurability,
    header: &FileHeader,
) -> io::Result<()> {
    let mut block = AlignedBuffer::default();
    block.resize(BLOCK);
    block.as_mut_slice().fill(0);
    block.as_mut_slice()[..FILE_HEADER_LEN].copy_from_slice(&header.encode());
    write_durably(file, durability, block.as_slice(), 0)
}
