//! Reads a shard from its log.

use std::sync::Arc;

use thalweg_coordinator::group::{GroupConfig, GroupShard};
use thalweg_storage::commit::CommitError;
use thalweg_storage::log::{MinOne, PartitionLog, ReadError, ReadLimit, ReadRequest};
use thalweg_types::{Offset, PartitionIndex};
use thalweg_wire::batch::{BatchError, BatchSlice, split_batches};
use thalweg_wire::compression::CompressionLimits;
use thalweg_wire::records::decode_records;

/// Malformed records of one log that get a log line each; the rest is counted.
const MALFORMED_LOGGED_MAX: u64 = 10;

/// A shard with all records of its log, not serving yet.
pub(super) struct Loaded {
    pub(super) shard: GroupShard,
    pub(super) report: LoadReport,
}

/// What was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LoadReport {
    /// Records, tombstones included.
    pub(super) records: u64,
    /// Bytes of their batches.
    pub(super) bytes: u64,
    /// Records that are not what their key says. They are left out, each with a line in the log.
    pub(super) malformed: u64,
}

impl Loaded {
    /// A shard of an empty log.
    pub(super) fn empty(config: GroupConfig) -> Self {
        Self {
            shard: GroupShard::new(config),
            report: LoadReport::default(),
        }
    }
}

/// Why a shard could not be loaded. Another try may go better, but for damage.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("offset {offset}: {cause}")]
    Batch { offset: Offset, cause: BatchError },
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error("the broker stops")]
    Stopping,
}

/// What to load, and within which bounds.
pub(super) struct Load<'a> {
    pub(super) partition: PartitionIndex,
    pub(super) log: &'a Arc<PartitionLog>,
    pub(super) config: GroupConfig,
    /// Bytes read at a time (`offsets.load.buffer.size`); a larger batch is read whole.
    pub(super) buffer_bytes: usize,
}

/// Replays the whole log. Blocks on the disk; `is_stopping` ends it early.
pub(super) fn load(what: Load<'_>, is_stopping: &dyn Fn() -> bool) -> Result<Loaded, LoadError> {
    let log = what.log;
    // After a failed append, what was appended before it may still be on its way.
    if let Some(ticket) = log.last_ticket() {
        ticket.wait()?;
    }
    let mut loaded = Loaded::empty(what.config);
    let offsets = log.offsets();
    let mut offset = offsets.log_start_offset;
    while offset < offsets.high_watermark {
        if is_stopping() {
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
                replay_batch(&mut loaded, &batch, what.partition)?;
                offset = batch.header.last_offset().next();
            }
        }
        if offset == before {
            // Offsets may end in a gap: there is nothing more.
            break;
        }
    }
    Ok(loaded)
}

fn replay_batch(
    loaded: &mut Loaded,
    batch: &BatchSlice<'_>,
    partition: PartitionIndex,
) -> Result<(), LoadError> {
    loaded.report.bytes += batch.bytes.len() as u64;
    if batch.header.is_control() {
        return Ok(());
    }
    let records =
        decode_records(batch.bytes, &CompressionLimits::default()).map_err(|cause| LoadError::Batch {
            offset: batch.header.base_offset,
            cause,
        })?;
    for record in records {
        loaded.report.records += 1;
        let Some(key) = &record.key else {
            note_malformed(
                &mut loaded.report,
                partition,
                &format!("offset {}: no key", record.offset),
            );
            continue;
        };
        let replayed = loaded
            .shard
            .replay(key, record.value.as_deref(), record.offset, record.timestamp);
        if let Err(error) = replayed {
            note_malformed(&mut loaded.report, partition, &error.to_string());
        }
    }
    Ok(())
}

fn note_malformed(report: &mut LoadReport, partition: PartitionIndex, what: &str) {
    report.malformed += 1;
    if report.malformed <= MALFORMED_LOGGED_MAX {
        tracing::error!(
            partition = partition.0,
            what,
            "a record of __consumer_offsets is left out"
        );
    }
}
