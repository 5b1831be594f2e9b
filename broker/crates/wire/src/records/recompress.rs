//! The same records under another codec, for topics whose `compression.type` is not `producer`.

use bytes::{BufMut, BytesMut};

use super::payload::open_records;
use crate::batch::{
    ATTRIBUTES_AT, AttributeBits, BatchError, BatchHeader, CRC_AT, HEADER_LEN, LOG_OVERHEAD, crc32c,
};
use crate::compression::{Compression, CompressionLimits, compress};

/// Returns the batch with its records under `codec`, at `level` (`None`: the codec's default).
///
/// The decompressed record bytes and every header field but length, codec bits and checksum stay. The caller
/// has verified the old checksum; the new one signs what was found.
///
/// # Errors
/// Those of [`open_records`] and [`compress`]; [`BatchError::TooLarge`] if the result exceeds the format.
pub fn recompress(
    batch: &[u8],
    codec: Compression,
    level: Option<i32>,
    limits: &CompressionLimits,
) -> Result<BytesMut, BatchError> {
    let (header, payload) = open_records(batch, limits)?;
    let attributes = AttributeBits::of(&header).codec(codec).bits();
    match codec {
        Compression::None => assemble(BatchHeader { attributes, ..header }, &payload),
        _ => {
            let records = compress(codec, level, &payload)?;
            assemble(BatchHeader { attributes, ..header }, &records)
        }
    }
}

/// Puts header and records together; computes length and checksum.
pub(super) fn assemble(header: BatchHeader, records: &[u8]) -> Result<BytesMut, BatchError> {
    let batch_length =
        i32::try_from(HEADER_LEN - LOG_OVERHEAD + records.len()).map_err(|_| BatchError::TooLarge {
            what: "the size of the batch",
        })?;
    let mut batch = BytesMut::with_capacity(HEADER_LEN + records.len());
    batch.put_slice(
        &BatchHeader {
            batch_length,
            ..header
        }
        .encode(),
    );
    batch.put_slice(records);
    let crc = crc32c(&batch[ATTRIBUTES_AT..]);
    batch[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
    Ok(batch)
}

#[cfg(test)]
#[path = "recompress_test.rs"]
mod tests;
