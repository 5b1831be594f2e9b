//! Reads the batches of a sealed segment one behind the other, each checked.
//!
//! A cleaned segment is made of nothing that was not verified: length, place and checksum of each batch. Memory is
//! one read, or one sound batch where that is larger: a length that damage made up costs none.

use super::CleanError;
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::recovery::check_crc_at;
use crate::segment::Segment;
use crate::segment::names::{FileKind, segment_file};
use bytes::{Buf, Bytes, BytesMut};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thalweg_types::Offset;
use thalweg_wire::batch::{BatchHeader, HEADER_LEN, verify_crc};

/// A segment that is read.
#[derive(Debug)]
pub(crate) struct Source {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    segment: Segment,
    /// What the next batch may begin with.
    lowest: Offset,
    /// Position in the file of the first byte that was not read.
    read_to: u64,
    buffer: BytesMut,
    read_bytes: usize,
}

/// A batch of a segment.
#[derive(Clone, Debug)]
pub(crate) struct SourceBatch {
    pub header: BatchHeader,
    pub bytes: Bytes,
}

impl Source {
    /// Opens a segment's file; reads come in pieces of `read_bytes`.
    pub(crate) fn open(
        disk: &dyn Disk,
        directory: &Path,
        segment: Segment,
        read_bytes: usize,
    ) -> Result<Self, CleanError> {
        let path = segment_file(directory, segment.base_offset, FileKind::Log);
        let opened = disk.open(&path, OpenMode::Read);
        let file = opened.map_err(|error| CleanError::io(&path, error))?;
        Ok(Self {
            file,
            path,
            segment,
            lowest: segment.base_offset,
            read_to: 0,
            buffer: BytesMut::new(),
            read_bytes: read_bytes.max(HEADER_LEN),
        })
    }

    /// Returns the next batch, and how many bytes were read from the disk for it.
    ///
    /// # Errors
    /// [`CleanError::Corrupt`] names the position; [`CleanError::Io`].
    pub(crate) fn next(&mut self) -> Result<Option<(SourceBatch, u64)>, CleanError> {
        let left = self.segment.size - self.read_to + self.buffer.len() as u64;
        if left == 0 {
            return Ok(None);
        }
        if left < HEADER_LEN as u64 {
            return Err(self.corrupt(format!("{left} bytes are no whole batch header")));
        }
        let mut read = self.fill(HEADER_LEN)?;
        let header = BatchHeader::parse(&self.buffer).map_err(|error| self.corrupt(error.to_string()))?;
        let len = header.total_len();
        if len as u64 > left {
            return Err(self.corrupt(format!("a batch of {len} bytes passes the end of the segment")));
        }
        if header.base_offset < self.lowest || header.next_offset() > self.segment.next_offset {
            let (base, last) = (header.base_offset, header.last_offset());
            return Err(self.corrupt(format!("a batch claims offsets {base} to {last}")));
        }
        if len > self.read_bytes && len > self.buffer.len() {
            read += self.check_unread(&header)?;
        }
        read += self.fill(len)?;
        if let Err(error) = self.buffer.get(..len).map_or(Ok(()), verify_crc) {
            return Err(self.corrupt(error.to_string()));
        }
        self.lowest = header.next_offset();
        let bytes = self.buffer.split_to(len).freeze();
        Ok(Some((SourceBatch { header, bytes }, read)))
    }

    /// An error at the batch that was returned last.
    pub(crate) fn corrupt_before(&self, batch: &SourceBatch, what: String) -> CleanError {
        let position = self.position() - batch.bytes.len() as u64;
        CleanError::Corrupt {
            path: self.path.display().to_string(),
            position,
            what,
        }
    }

    fn position(&self) -> u64 {
        self.read_to - self.buffer.len() as u64
    }

    fn corrupt(&self, what: String) -> CleanError {
        CleanError::Corrupt {
            path: self.path.display().to_string(),
            position: self.position(),
            what,
        }
    }

    /// Checks the batch at the position before memory is taken for it, and returns how many bytes were read.
    fn check_unread(&self, header: &BatchHeader) -> Result<u64, CleanError> {
        match check_crc_at(&*self.file, self.position(), header) {
            Ok(()) => Ok(header.total_len() as u64),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(self.corrupt(error.to_string())),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.too_short()),
            Err(error) => Err(CleanError::io(&self.path, error)),
        }
    }

    fn too_short(&self) -> CleanError {
        let size = self.segment.size;
        self.corrupt(format!(
            "the file is shorter than the {size} bytes that were durable"
        ))
    }

    /// Reads until the buffer has `want` bytes, which the segment is known to have.
    fn fill(&mut self, want: usize) -> Result<u64, CleanError> {
        let have = self.buffer.remaining();
        if have >= want {
            return Ok(0);
        }
        let left = usize::try_from(self.segment.size - self.read_to).unwrap_or(usize::MAX);
        let count = (want - have).max(self.read_bytes).min(left);
        self.buffer.resize(have + count, 0);
        let room = self.buffer.get_mut(have..).unwrap_or_default();
        match self.file.read_exact_at(room, self.read_to) {
            Ok(()) => {
                self.read_to += count as u64;
                Ok(count as u64)
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.buffer.truncate(have);
                Err(self.too_short())
            }
            Err(error) => Err(CleanError::io(&self.path, error)),
        }
    }
}

#[cfg(test)]
#[path = "source_test.rs"]
mod tests;
