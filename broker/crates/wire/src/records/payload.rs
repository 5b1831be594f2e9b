//! The record bytes of a batch, decompressed where they need it.

use std::ops::Deref;

use bytes::Bytes;

use super::RecordIter;
use crate::batch::{BatchError, BatchHeader, HEADER_LEN, parse_exact};
use crate::compression::{Compression, CompressionLimits, decompress};

/// The decompressed records of one batch.
#[derive(Debug, Clone)]
pub enum Payload<'a> {
    /// The batch is not compressed: its own bytes.
    Plain(&'a [u8]),
    /// The output of the codec.
    Inflated(Bytes),
}

impl Deref for Payload<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Plain(bytes) => bytes,
            Self::Inflated(bytes) => bytes,
        }
    }
}

impl Payload<'_> {
    /// Returns an iterator over the records that `header` counts.
    #[must_use]
    pub fn records(&self, header: &BatchHeader) -> RecordIter<'_> {
        RecordIter::new(self, u32::try_from(header.record_count).unwrap_or(0))
    }

    /// Returns the bytes for sharing; copies only what is still borrowed.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Plain(bytes) => Bytes::copy_from_slice(bytes),
            Self::Inflated(bytes) => bytes,
        }
    }
}

/// Decodes the header of one whole batch and decompresses its records within `limits`.
///
/// # Errors
/// Those of [`parse_exact`], [`BatchError::UnknownCodec`] and [`BatchError::Compression`].
pub fn open_records<'a>(
    batch: &'a [u8],
    limits: &CompressionLimits,
) -> Result<(BatchHeader, Payload<'a>), BatchError> {
    let header = parse_exact(batch)?;
    let stored = batch.get(HEADER_LEN..).unwrap_or_default();
    let payload = match header.compression()? {
        Compression::None => Payload::Plain(stored),
        // What compaction leaves of an emptied batch is a bare header; no codec writes nothing as nothing.
        _ if header.record_count == 0 && stored.is_empty() => Payload::Plain(stored),
        codec => Payload::Inflated(decompress(codec, stored, limits)?),
    };
    Ok((header, payload))
}
