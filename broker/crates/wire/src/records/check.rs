//! What a broker must know about a batch before it appends it.

use thalweg_types::{Offset, ProducerEpoch, TimestampMs};

use super::payload::open_records;
use crate::batch::{BatchError, BatchHeader, TimestampType, parse_exact};
use crate::compression::{Compression, CompressionLimits};

/// Largest number of indexes in [`BatchFacts::keyless`]; the rest is only counted.
pub const KEYLESS_INDEXES_MAX: usize = 100;

/// How deep [`check_batch`] looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walk {
    /// Header and length only.
    HeaderOnly,
    /// Also the records, where they are not compressed.
    Uncompressed,
    /// Also compressed records: inflates them within the limits.
    Full,
}

/// What [`check_batch`] learned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchFacts {
    /// Records in the batch.
    pub record_count: u32,
    /// Largest timestamp of the records when they were walked, otherwise what the header claims. Producers
    /// exist whose claim is wrong; where the two differ, [`crate::batch::patch_max_timestamp`] puts it right.
    pub max_timestamp: TimestampMs,
    /// Smallest timestamp of the records, those without one ([`TimestampMs::NONE`]) not counted. `None` when
    /// the records were not walked or none has one.
    pub min_timestamp: Option<TimestampMs>,
    /// Offset (counted from the batch's present base offset) of the first record with the largest timestamp.
    /// `None` when the records were not walked.
    pub offset_of_max_timestamp: Option<Offset>,
    /// Index of the first record with the smallest timestamp. `None` where there is no smallest one.
    pub index_of_min_timestamp: Option<u32>,
    /// Indexes of the first [`KEYLESS_INDEXES_MAX`] records without a key. Empty when not walked.
    pub keyless: Vec<u32>,
    /// Number of records without a key. 0 when not walked.
    pub keyless_count: u32,
    /// Whether the records were looked at.
    pub coverage: Coverage,
}

/// Whether [`check_batch`] looked at the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// The header alone.
    Header,
    /// Every record.
    Records,
}

/// Checks one whole batch of a client and gathers what an append needs.
///
/// Where the records are walked: their number is the header's, their offset deltas are 0, 1, 2, … and end
/// with the header's last delta, timestamps do not overflow, every length fits. Batches that compaction has
/// thinned out do not pass; walk those with [`open_records`]. The checksum is not verified, and a header that
/// only contradicts itself is for [`check_client_header`].
///
/// # Errors
/// Those of [`open_records`], [`BatchError::BadRecord`] with the record's index, and
/// [`BatchError::Inconsistent`].
pub fn check_batch(batch: &[u8], depth: Walk, limits: &CompressionLimits) -> Result<BatchFacts, BatchError> {
    let header = parse_exact(batch)?;
    let walk = match (depth, header.compression()?) {
        (Walk::Full, _) | (Walk::Uncompressed, Compression::None) => Coverage::Records,
        (Walk::HeaderOnly, _) | (Walk::Uncompressed, _) => Coverage::Header,
    };
    let facts = BatchFacts {
        record_count: u32::try_from(header.record_count).unwrap_or(0),
        max_timestamp: header.max_timestamp,
        min_timestamp: None,
        offset_of_max_timestamp: None,
        index_of_min_timestamp: None,
        keyless: Vec::new(),
        keyless_count: 0,
        coverage: walk,
    };
    match walk {
        Coverage::Header => Ok(facts),
        Coverage::Records => walk_records(batch, facts, limits),
    }
}

fn walk_records(
    batch: &[u8],
    mut facts: BatchFacts,
    limits: &CompressionLimits,
) -> Result<BatchFacts, BatchError> {
    let (header, payload) = open_records(batch, limits)?;
    let mut max: Option<(TimestampMs, Offset)> = None;
    for (index, record) in (0u32..).zip(payload.records(&header)) {
        let record = record?;
        if i64::from(record.offset_delta) != i64::from(index) {
            return Err(BatchError::BadRecord {
                index,
                what: "offset delta is not the record's index",
            });
        }
        if header.timestamp_type() == TimestampType::CreateTime
            && header
                .base_timestamp
                .get()
                .checked_add(record.timestamp_delta)
                .is_none()
        {
            return Err(BatchError::BadRecord {
                index,
                what: "timestamp overflows",
            });
        }
        let timestamp = record.timestamp(&header);
        if max.is_none_or(|(largest, _)| timestamp > largest) {
            max = Some((timestamp, record.offset(&header)));
        }
        if timestamp != TimestampMs::NONE && facts.min_timestamp.is_none_or(|least| timestamp < least) {
            facts.min_timestamp = Some(timestamp);
            facts.index_of_min_timestamp = Some(index);
        }
        if record.key.is_none() {
            facts.keyless_count = facts.keyless_count.saturating_add(1);
            if facts.keyless.len() < KEYLESS_INDEXES_MAX {
                facts.keyless.push(index);
            }
        }
    }
    check_count(&header)?;
    if let Some((timestamp, offset)) = max {
        facts.max_timestamp = timestamp;
        facts.offset_of_max_timestamp = Some(offset);
    }
    Ok(facts)
}

/// The iterator has checked that the records are as many as the header says, so this ties them to the last
/// delta.
fn check_count(header: &BatchHeader) -> Result<(), BatchError> {
    let expected = i64::from(header.last_offset_delta) + 1;
    let found = i64::from(header.record_count);
    if found == expected {
        return Ok(());
    }
    Err(BatchError::Inconsistent {
        what: "record count does not match the last offset delta",
        expected,
        found,
    })
}

/// Checks the header rules that hold for batches of producers but not for those a broker wrote or compacted.
///
/// Control batches ([`BatchHeader::is_control`]), transactional batches and log append time are for the
/// caller, who answers each in his own way. Without a producer id the epoch and the sequence are not looked
/// at: some clients send zeros.
///
/// # Errors
/// [`BatchError::UnknownCodec`]; [`BatchError::Inconsistent`] for an empty batch, a count that does not match
/// the last offset delta, a producer id without epoch or sequence, a transactional batch without producer id,
/// and a delete horizon, which only compaction sets.
pub fn check_client_header(header: &BatchHeader) -> Result<(), BatchError> {
    let broken = |what, expected: i64, found: i64| {
        Err(BatchError::Inconsistent {
            what,
            expected,
            found,
        })
    };
    header.compression()?;
    if header.record_count < 1 {
        return broken(
            "record count of a producer's batch is too small",
            1,
            i64::from(header.record_count),
        );
    }
    check_count(header)?;
    if header.has_delete_horizon() {
        return broken("delete horizon flag is set by a producer", 0, 1);
    }
    if header.has_producer_id() {
        if header.producer_epoch <= ProducerEpoch::NONE {
            return broken(
                "producer id comes without an epoch",
                0,
                i64::from(header.producer_epoch.get()),
            );
        }
        if header.base_sequence < 0 && !header.is_control() {
            return broken(
                "producer id comes without a sequence",
                0,
                i64::from(header.base_sequence),
            );
        }
    } else if header.is_transactional() {
        return broken(
            "transactional batch has no producer id",
            0,
            header.producer_id.get(),
        );
    }
    Ok(())
}

#[cfg(test)]
#[path = "check_test.rs"]
mod tests;
