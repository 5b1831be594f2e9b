//! Writes of a file's bytes past the page cache, where that is worth it.
//!
//! Of a large write the whole blocks go to the device from an aligned buffer; the bytes before the first and behind the
//! last whole block go through the page cache, as does a small write. So a page is never written both ways, except that
//! a page which the cache holds is written back first: the kernel sees to it before it takes a direct write. Nothing is
//! durable before the file is synced. Where the file system refuses, all goes through the page cache.
//!
//! After an error any part of the bytes may be in the file, as with any write; the same write can be tried again.

use super::{BLOCK, BufferPool, Disk, DiskFile, OpenMode, is_direct_refused};
use bytes::Bytes;
use std::io;
use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

/// Bytes that are copied together and written at once.
const CHUNK_BYTES: usize = 1 << 20;

/// Writes one file, which is open for buffered writes.
#[derive(Debug)]
pub struct UncachedWriter {
    buffered: Arc<dyn DiskFile>,
    direct: Direct,
    bytes_min: usize,
}

#[derive(Debug)]
enum Direct {
    NotYet,
    Open(Arc<dyn DiskFile>),
    Refused,
}

/// Where the file is, and memory for the transfer.
#[derive(Clone, Copy, Debug)]
pub struct WritePlace<'a> {
    /// The file's disk.
    pub disk: &'a dyn Disk,
    /// The file's name there.
    pub path: &'a Path,
    /// Lends the buffers.
    pub pool: &'a Arc<BufferPool>,
}

impl UncachedWriter {
    /// Makes a writer that passes by the page cache when the whole blocks of a write are `bytes_min` bytes or more; 0
    /// means never. Opens nothing before that.
    #[must_use]
    pub fn new(buffered: Arc<dyn DiskFile>, bytes_min: usize) -> Self {
        Self {
            buffered,
            direct: Direct::NotYet,
            bytes_min,
        }
    }

    /// Returns the file for buffered writes: a sync of it makes durable what was written either way.
    #[must_use]
    pub fn file(&self) -> &Arc<dyn DiskFile> {
        &self.buffered
    }

    /// Writes all parts, one behind the other, at `position`; returns how many bytes.
    ///
    /// # Errors
    /// As the disk says.
    pub fn write(&mut self, place: WritePlace<'_>, parts: &[Bytes], position: u64) -> io::Result<u64> {
        let len = parts.iter().map(|part| part.len() as u64).sum::<u64>();
        let end = position + len;
        let first = position.next_multiple_of(BLOCK as u64);
        let last = end - end % BLOCK as u64;
        let whole = usize::try_from(last.saturating_sub(first)).unwrap_or(usize::MAX);
        if self.bytes_min == 0 || whole < self.bytes_min.max(BLOCK) || !self.open(place)? {
            write_parts(&*self.buffered, parts, position)?;
            return Ok(len);
        }
        let mut source = Source { parts, at: 0 };
        let mut buffer = place.pool.take(whole.min(CHUNK_BYTES));
        let mut at = position;
        while at < end {
            let until = match at {
                _ if at < first => first,
                _ if at < last => last.min(at + CHUNK_BYTES as u64),
                _ => end,
            };
            let count = usize::try_from(until - at).map_err(io::Error::other)?;
            let bytes = &mut buffer.as_mut_slice()[..count];
            source.copy_to(bytes);
            if at >= first && at < last {
                self.write_blocks(bytes, at)?;
            } else {
                self.buffered.write_all_at(bytes, at)?;
            }
            at = until;
        }
        Ok(len)
    }

    /// Opens the file for direct writes; `false` when that is refused.
    fn open(&mut self, place: WritePlace<'_>) -> io::Result<bool> {
        if matches!(self.direct, Direct::NotYet) {
            self.direct = match place.disk.open(place.path, OpenMode::Uncached) {
                Ok(file) => Direct::Open(file),
                Err(error) if is_direct_refused(&error) => Direct::Refused,
                Err(error) => return Err(error),
            };
        }
        Ok(matches!(self.direct, Direct::Open(_)))
    }

    /// Writes whole aligned blocks; through the page cache from where a direct write is refused.
    fn write_blocks(&mut self, blocks: &[u8], position: u64) -> io::Result<()> {
        let mut done = 0;
        while let Direct::Open(file) = &self.direct
            && done < blocks.len()
        {
            let written = file.write_vectored_at(&[IoSlice::new(&blocks[done..])], position + done as u64);
            match written {
                // A write that ends inside a block is taken up at the block's start; one that does not get past it is
                // left to the page cache, which tells why.
                Ok(count) if count >= BLOCK => done += count / BLOCK * BLOCK,
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_direct_refused(&error) => self.direct = Direct::Refused,
                Err(error) => return Err(error),
            }
        }
        self.buffered
            .write_all_at(&blocks[done..], position + done as u64)
    }
}

/// Bytes of parts that lie one behind the other.
struct Source<'a> {
    parts: &'a [Bytes],
    /// Bytes of the first part that are taken.
    at: usize,
}

impl Source<'_> {
    fn copy_to(&mut self, mut target: &mut [u8]) {
        while let Some((first, rest)) = self.parts.split_first()
            && !target.is_empty()
        {
            let left = &first[self.at..];
            let count = left.len().min(target.len());
            let (filled, open) = target.split_at_mut(count);
            filled.copy_from_slice(&left[..count]);
            target = open;
            self.at += count;
            if self.at == first.len() {
                (self.parts, self.at) = (rest, 0);
            }
        }
    }
}

fn write_parts(file: &dyn DiskFile, parts: &[Bytes], position: u64) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
    let mut left = &mut slices[..];
    let mut at = position;
    while !left.is_empty() {
        match file.write_vectored_at(left, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                at += count as u64;
                IoSlice::advance_slices(&mut left, count);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "uncached_test.rs"]
mod tests;
