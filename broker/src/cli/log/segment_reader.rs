//! Reads the batches of a segment file one after another.
//!
//! Invariant: memory holds one batch, of at most [`BATCH_SIZE_MAX`] bytes, whatever a damaged length says.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use thalweg_wire::batch::{BatchError, BatchHeader, HEADER_LEN, verify_crc};

/// Largest batch that is believed to be one, in bytes.
pub const BATCH_SIZE_MAX: u64 = 256 << 20;
/// Bytes looked through at a time in search of the next batch.
const SEARCH_SIZE: usize = 1 << 20;
/// Place of the magic number in a batch.
const MAGIC_AT: usize = 16;
const MAGIC: u8 = 2;

/// A batch as it lies in the file.
#[derive(Debug)]
pub struct RawBatch {
    /// Byte position in the file.
    pub position: u64,
    /// Its header.
    pub header: BatchHeader,
    /// All its bytes.
    pub bytes: Vec<u8>,
    /// Whether its checksum is right.
    pub checksum: Result<(), BatchError>,
}

/// What is at a place where a batch should begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The file ends inside a batch: `found` bytes of `expected`.
    Cut {
        /// Bytes the batch needs.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// No batch begins here.
    NoBatch(BatchError),
    /// A length that no batch has.
    TooLong {
        /// The length found.
        found: u64,
    },
}

/// Reads one file.
pub struct SegmentReader<R = File> {
    file: R,
    size: u64,
    position: u64,
}

impl SegmentReader<File> {
    /// Opens a file.
    ///
    /// # Errors
    /// The system's.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        Ok(Self {
            file,
            size,
            position: 0,
        })
    }
}

impl<R: Read + Seek> SegmentReader<R> {
    #[cfg(test)]
    pub fn over(file: R, size: u64) -> Self {
        Self {
            file,
            size,
            position: 0,
        }
    }

    /// Returns the size of the file when it was opened, in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the position of the next batch.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Goes back, or on, to a position.
    pub fn rewind_to(&mut self, position: u64) {
        self.position = position.min(self.size);
    }

    /// Returns the bytes from the position to the end.
    pub fn remaining(&self) -> u64 {
        self.size.saturating_sub(self.position)
    }

    /// Reads the next batch and moves behind it. `None` at the end. A [`Fault`] leaves the position where it is.
    ///
    /// # Errors
    /// The system's.
    pub fn next_batch(&mut self) -> io::Result<Option<Result<RawBatch, Fault>>> {
        if self.remaining() == 0 {
            return Ok(None);
        }
        let read = self.batch_at(self.position)?;
        if let Ok(batch) = &read {
            self.position = self.position.saturating_add(batch.bytes.len() as u64);
        }
        Ok(Some(read))
    }

    /// Looks for the next whole batch with a right checksum behind the position and moves to it. False if there is none;
    /// the position is the end then.
    ///
    /// # Errors
    /// The system's.
    pub fn skip_to_valid_batch(&mut self) -> io::Result<bool> {
        let mut from = self.position.saturating_add(1);
        while self.size.saturating_sub(from) >= HEADER_LEN as u64 {
            let window = self.read_at(from, SEARCH_SIZE)?;
            for (index, magic) in window.iter().enumerate().skip(MAGIC_AT) {
                let candidate = from.saturating_add((index - MAGIC_AT) as u64);
                if *magic == MAGIC && self.is_valid_at(candidate)? {
                    self.position = candidate;
                    return Ok(true);
                }
            }
            if window.len() <= MAGIC_AT {
                break;
            }
            // The next window begins with the first place whose magic number was not in this one.
            from = from.saturating_add((window.len() - MAGIC_AT) as u64);
        }
        self.position = self.size;
        Ok(false)
    }

    /// Reports whether the rest of the file is nothing but zeros, as after a crash of the machine.
    ///
    /// # Errors
    /// The system's.
    pub fn rest_is_zero(&mut self) -> io::Result<bool> {
        let mut from = self.position;
        while from < self.size {
            let window = self.read_at(from, SEARCH_SIZE)?;
            if window.is_empty() || window.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            from = from.saturating_add(window.len() as u64);
        }
        Ok(true)
    }

    fn is_valid_at(&mut self, position: u64) -> io::Result<bool> {
        Ok(self.batch_at(position)?.is_ok_and(|batch| batch.checksum.is_ok()))
    }

    fn batch_at(&mut self, position: u64) -> io::Result<Result<RawBatch, Fault>> {
        let found = self.size.saturating_sub(position);
        let head = self.read_at(position, HEADER_LEN)?;
        let header = match BatchHeader::parse(&head) {
            Ok(header) => header,
            Err(BatchError::TooShort { needed, .. }) => {
                return Ok(Err(Fault::Cut {
                    expected: needed as u64,
                    found,
                }));
            }
            Err(error) => return Ok(Err(Fault::NoBatch(error))),
        };
        let expected = header.total_len() as u64;
        if expected > BATCH_SIZE_MAX {
            return Ok(Err(Fault::TooLong { found: expected }));
        }
        if expected > found {
            return Ok(Err(Fault::Cut { expected, found }));
        }
        let bytes = self.read_at(position, header.total_len())?;
        if (bytes.len() as u64) < expected {
            // The file has become shorter since it was opened.
            return Ok(Err(Fault::Cut {
                expected,
                found: bytes.len() as u64,
            }));
        }
        let checksum = verify_crc(&bytes);
        Ok(Ok(RawBatch {
            position,
            header,
            bytes,
            checksum,
        }))
    }

    /// Reads up to `size` bytes; fewer only at the end of the file.
    fn read_at(&mut self, position: u64, size: usize) -> io::Result<Vec<u8>> {
        self.file.seek(SeekFrom::Start(position))?;
        let mut bytes = Vec::with_capacity(size.min(usize::try_from(self.size).unwrap_or(usize::MAX)));
        self.file.by_ref().take(size as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}
