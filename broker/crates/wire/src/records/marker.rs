//! Transaction markers: the control batches that end a transaction in a partition (KIP-98).
//!
//! A control batch holds one uncompressed record. Its key is a version (i16, 0) and a type (i16: 0 abort, 1 commit;
//! other types belong to Kafka's quorum), its value a version (i16, 0) and the coordinator's epoch (i32). A newer
//! version may add fields at the end, which are passed over, as Kafka does.

use bytes::BytesMut;
use thalweg_types::{ProducerEpoch, ProducerId, TimestampMs};

use super::build::{BatchBuilder, BatchContent, BatchOptions, ProducerStamp, Transactionality};
use super::view::RecordIter;
use crate::batch::{BatchError, BatchHeader, HEADER_LEN};

const KEY_VERSION: i16 = 0;
const VALUE_VERSION: i16 = 0;
const TYPE_ABORT: i16 = 0;
const TYPE_COMMIT: i16 = 1;

/// How a transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransactionOutcome {
    /// Its records become visible to read-committed readers.
    Commit,
    /// Its records are passed over by read-committed readers.
    Abort,
}

/// What the record of a marker says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndTransactionMarker {
    /// How the transaction ended.
    pub outcome: TransactionOutcome,
    /// Term of the transaction coordinator that wrote it; an older one is fenced by a newer.
    pub coordinator_epoch: i32,
}

impl EndTransactionMarker {
    /// Builds the control batch: base offset 0, leader epoch unknown, as [`BatchBuilder`] does.
    ///
    /// # Errors
    /// Those of [`BatchBuilder::build`]; none is known to occur.
    pub fn build(
        self,
        producer: (ProducerId, ProducerEpoch),
        timestamp: TimestampMs,
    ) -> Result<BytesMut, BatchError> {
        let kind = match self.outcome {
            TransactionOutcome::Abort => TYPE_ABORT,
            TransactionOutcome::Commit => TYPE_COMMIT,
        };
        let mut key = [0; 4];
        key[..2].copy_from_slice(&KEY_VERSION.to_be_bytes());
        key[2..].copy_from_slice(&kind.to_be_bytes());
        let mut value = [0; 6];
        value[..2].copy_from_slice(&VALUE_VERSION.to_be_bytes());
        value[2..].copy_from_slice(&self.coordinator_epoch.to_be_bytes());
        let mut builder = BatchBuilder::new(BatchOptions {
            producer: Some(ProducerStamp {
                id: producer.0,
                epoch: producer.1,
                base_sequence: -1,
            }),
            transactionality: Transactionality::Transactional,
            content: BatchContent::Control,
            ..BatchOptions::default()
        });
        builder.push(timestamp, Some(&key), Some(&value), &[])?;
        builder.build()
    }

    /// Reads the marker of a whole batch; `None` when the batch is no control batch, or one that ends no
    /// transaction: of another type, of a negative version, without a record (compaction left it empty), or damaged.
    #[must_use]
    pub fn of_batch(batch: &[u8]) -> Option<Self> {
        let header = BatchHeader::parse(batch).ok()?;
        if !header.is_control() || !header.is_transactional() || !header.has_producer_id() {
            return None;
        }
        let records = batch.get(HEADER_LEN..header.total_len())?;
        let count = u32::try_from(header.record_count).ok()?;
        let record = RecordIter::new(records, count).next()?.ok()?;
        let key = record.key?.first_chunk::<4>()?;
        let value = record.value?.first_chunk::<6>()?;
        let version = |bytes: [u8; 2]| i16::from_be_bytes(bytes) >= 0;
        if !version([key[0], key[1]]) || !version([value[0], value[1]]) {
            return None;
        }
        let outcome = match i16::from_be_bytes([key[2], key[3]]) {
            TYPE_ABORT => TransactionOutcome::Abort,
            TYPE_COMMIT => TransactionOutcome::Commit,
            _ => return None,
        };
        Some(Self {
            outcome,
            coordinator_epoch: i32::from_be_bytes([value[2], value[3], value[4], value[5]]),
        })
    }
}

#[cfg(test)]
#[path = "marker_test.rs"]
mod tests;
