//! Reads a whole log record by record.

use std::sync::Arc;

use bytes::Bytes;
use thalweg_storage::commit::CommitError;
use thalweg_storage::log::{MinOne, PartitionLog, ReadError, ReadLimit, ReadRequest};
use thalweg_types::{Offset, ProducerId, TimestampMs};
use thalweg_wire::batch::{BatchError, BatchSlice, split_batches};
use thalweg_wire::compression::CompressionLimits;
use thalweg_wire::records::{EndTransactionMarker, TransactionOutcome, decode_records};

/// Malformed records of one log that get a log line each; the rest is counted.
const MALFORMED_LOGGED_MAX: u64 = 10;

/// What was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Records, tombstones included.
    pub records: u64,
    /// Bytes of their batches.
    pub bytes: u64,
    /// Records that are not what their key says. They are left out, each with a line in the log.
    pub malformed: u64,
}

/// Why a shard could not be loaded. Another try may go better, but for damage.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A batch is damaged.
    #[error("offset {offset}: {cause}")]
    Batch {
        /// Where.
        offset: Offset,
        /// How.
        cause: BatchError,
    },
    /// What was appended before is not durable, and never will be.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The broker stops.
    #[error("the broker stops")]
    Stopping,
}

/// One record.
#[derive(Debug)]
pub struct ReplayedRecord<'a> {
    /// Whose transaction it belongs to.
    pub transaction: Option<ProducerId>,
    /// Its key.
    pub key: &'a Bytes,
    /// `None` = tombstone.
    pub value: Option<&'a [u8]>,
    /// Where it stands.
    pub offset: Offset,
    /// The record's own.
    pub timestamp: TimestampMs,
}

/// What takes the records.
pub trait Replay {
    /// Takes a record.
    ///
    /// # Errors
    /// What is wrong with it; it is left out, logged and counted.
    fn record(&mut self, record: &ReplayedRecord<'_>) -> Result<(), String>;

    /// Takes the end of a producer's transaction.
    fn marker(&mut self, producer_id: ProducerId, outcome: TransactionOutcome);
}

/// What to read, and how.
pub struct LogReplay<'a> {
    /// The topic's name, for log lines.
    pub topic: &'static str,
    /// The log.
    pub log: &'a Arc<PartitionLog>,
    /// Bytes read at a time; a larger batch is read whole.
    pub buffer_bytes: usize,
    /// Whether to end early.
    pub is_stopping: &'a dyn Fn() -> bool,
}

/// Replays everything that was appended before. Blocks on the disk.
///
/// # Errors
/// [`LoadError`]; `into` is half done then and must be dropped.
pub fn replay_log(what: &LogReplay<'_>, into: &mut dyn Replay) -> Result<LoadReport, LoadError> {
    let log = what.log;
    // After a failed append, what was appended before it may still be on its way.
    if let Some(ticket) = log.last_ticket() {
        ticket.wait()?;
    }
    let mut report = LoadReport::default();
    let offsets = log.offsets();
    let mut offset = offsets.log_start_offset;
    while offset < offsets.high_watermark {
        if (what.is_stopping)() {
            return Err(LoadError::Stopping);
        }
        let read = log.read(ReadRequest {
            offset,
            max_bytes: what.buffer_bytes,
            limit: ReadLimit::HighWatermark,
            min_one: MinOne::Yes,
        });
        let read = match read {
            // Records were deleted (DeleteRecords) while we read.
            Err(ReadError::OutOfRange { start, .. }) if start > offset => {
                offset = start;
                continue;
            }
            read => read?,
        };
        let before = offset;
        for part in &read.batches {
            for batch in split_batches(part) {
                let batch = batch.map_err(|cause| LoadError::Batch { offset, cause })?;
                if batch.header.last_offset() < offset {
                    continue;
                }
                replay_batch(what, &batch, (into, &mut report))?;
                offset = batch.header.last_offset().next();
            }
        }
        if offset == before {
            // Offsets may end in a gap: there is nothing more.
            break;
        }
    }
    Ok(report)
}

fn replay_batch(
    what: &LogReplay<'_>,
    batch: &BatchSlice<'_>,
    (into, report): (&mut dyn Replay, &mut LoadReport),
) -> Result<(), LoadError> {
    let header = &batch.header;
    report.bytes += batch.bytes.len() as u64;
    if header.is_control() {
        if let Some(marker) = EndTransactionMarker::of_batch(batch.bytes) {
            into.marker(header.producer_id, marker.outcome);
        }
        return Ok(());
    }
    let records =
        decode_records(batch.bytes, &CompressionLimits::default()).map_err(|cause| LoadError::Batch {
            offset: header.base_offset,
            cause,
        })?;
    let transaction = header.is_transactional().then_some(header.producer_id);
    for record in records {
        report.records += 1;
        let replayed = match &record.key {
            None => Err(format!("offset {}: no key", record.offset)),
            Some(key) => into.record(&ReplayedRecord {
                transaction,
                key,
                value: record.value.as_deref(),
                offset: record.offset,
                timestamp: record.timestamp,
            }),
        };
        if let Err(problem) = replayed {
            note_malformed(what, report, &problem);
        }
    }
    Ok(())
}

fn note_malformed(what: &LogReplay<'_>, report: &mut LoadReport, problem: &str) {
    report.malformed += 1;
    if report.malformed <= MALFORMED_LOGGED_MAX {
        tracing::error!(log = ?what.log, problem, "a record of {} is left out", what.topic);
    }
}
