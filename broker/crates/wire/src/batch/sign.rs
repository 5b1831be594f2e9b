//! The checksum of a batch, and the header fields that may change after the producer signed it.

use thalweg_types::{LeaderEpoch, Offset, TimestampMs};

use super::{
    ATTRIBUTE_LOG_APPEND_TIME, ATTRIBUTES_AT, BatchError, BatchHeader, CRC_AT, HEADER_LEN, LOG_OVERHEAD,
    MAGIC_AT, MAX_TIMESTAMP_AT,
};

/// Computes the CRC-32C (Castagnoli, as in iSCSI, RFC 3720 §12.1) of `bytes`: the checksum of record batches
/// and of every file format of the broker. Not the CRC-32 of zip files.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

/// Decodes the header and requires that `batch` is exactly one whole batch.
///
/// # Errors
/// Those of [`BatchHeader::parse`]; [`BatchError::TooShort`] or [`BatchError::TrailingBytes`] if the header's
/// length is not that of the slice.
pub fn parse_exact(batch: &[u8]) -> Result<BatchHeader, BatchError> {
    let header = BatchHeader::parse(batch)?;
    let total = header.total_len();
    match batch.len() {
        have if have < total => Err(BatchError::TooShort { needed: total, have }),
        have if have > total => Err(BatchError::TrailingBytes { batch: total, have }),
        _ => Ok(header),
    }
}

/// Checks the checksum of one whole batch (bytes 21 to the end).
///
/// # Errors
/// Those of [`parse_exact`], and [`BatchError::CrcMismatch`].
pub fn verify_crc(batch: &[u8]) -> Result<(), BatchError> {
    let header = parse_exact(batch)?;
    let found = crc32c(batch.get(ATTRIBUTES_AT..).unwrap_or_default());
    if found == header.crc {
        Ok(())
    } else {
        Err(BatchError::CrcMismatch {
            expected: header.crc,
            found,
        })
    }
}

/// The checksum of one batch that is read piece by piece, so that its length, which may be damaged, costs no memory.
#[derive(Debug)]
pub struct PiecewiseCrc {
    expected: u32,
    digest: crc_fast::Digest,
    /// Bytes to come that the checksum does not cover.
    uncovered: usize,
}

impl PiecewiseCrc {
    /// Begins the check of the batch with this header.
    #[must_use]
    pub fn new(header: &BatchHeader) -> Self {
        Self {
            expected: header.crc,
            digest: crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi),
            uncovered: ATTRIBUTES_AT,
        }
    }

    /// Takes the next bytes of the batch, from its first one on.
    pub fn update(&mut self, bytes: &[u8]) {
        let covered = bytes.get(self.uncovered..).unwrap_or_default();
        self.uncovered = self.uncovered.saturating_sub(bytes.len());
        self.digest.update(covered);
    }

    /// Judges the whole batch.
    ///
    /// # Errors
    /// [`BatchError::CrcMismatch`].
    pub fn finish(self) -> Result<(), BatchError> {
        let found = u32::try_from(self.digest.finalize()).unwrap_or_default();
        if found == self.expected {
            return Ok(());
        }
        Err(BatchError::CrcMismatch {
            expected: self.expected,
            found,
        })
    }
}

/// Writes the base offset and the leader epoch, which the checksum does not cover: all that an append
/// changes.
///
/// # Errors
/// [`BatchError::TooShort`] if `batch` is shorter than a header; nothing is written then.
pub fn patch_base_offset_and_epoch(
    batch: &mut [u8],
    base_offset: Offset,
    leader_epoch: LeaderEpoch,
) -> Result<(), BatchError> {
    let header = header_mut(batch)?;
    header[..8].copy_from_slice(&base_offset.get().to_be_bytes());
    header[LOG_OVERHEAD..MAGIC_AT].copy_from_slice(&leader_epoch.get().to_be_bytes());
    Ok(())
}

/// Makes the batch carry the broker's time: sets attribute bit 3 and the max timestamp, and renews the
/// checksum. The base timestamp and the record deltas stay, as in Kafka; readers ignore them then.
///
/// `batch` must be one whole batch whose checksum has been verified, or a corruption would be signed.
///
/// # Errors
/// [`BatchError::TooShort`] if `batch` is shorter than a header; nothing is written then.
pub fn patch_log_append_time(batch: &mut [u8], now: TimestampMs) -> Result<(), BatchError> {
    let header = header_mut(batch)?;
    let attributes = i16::from_be_bytes([header[ATTRIBUTES_AT], header[ATTRIBUTES_AT + 1]]);
    let attributes = attributes | ATTRIBUTE_LOG_APPEND_TIME;
    header[ATTRIBUTES_AT..ATTRIBUTES_AT + 2].copy_from_slice(&attributes.to_be_bytes());
    patch_max_timestamp(batch, now)
}

/// Writes the max timestamp and renews the checksum.
///
/// Some producers compute the header's max timestamp wrongly; a broker that walked the records corrects it as
/// Kafka does, because searches by time rely on it. The same condition as for [`patch_log_append_time`]
/// holds.
///
/// # Errors
/// [`BatchError::TooShort`] if `batch` is shorter than a header; nothing is written then.
pub fn patch_max_timestamp(batch: &mut [u8], max_timestamp: TimestampMs) -> Result<(), BatchError> {
    let header = header_mut(batch)?;
    header[MAX_TIMESTAMP_AT..MAX_TIMESTAMP_AT + 8].copy_from_slice(&max_timestamp.get().to_be_bytes());
    let crc = crc32c(batch.get(ATTRIBUTES_AT..).unwrap_or_default());
    header_mut(batch)?[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
    Ok(())
}

fn header_mut(batch: &mut [u8]) -> Result<&mut [u8; HEADER_LEN], BatchError> {
    let have = batch.len();
    batch.first_chunk_mut::<HEADER_LEN>().ok_or(BatchError::TooShort {
        needed: HEADER_LEN,
        have,
    })
}
