//! Records of one step, from keys and values to batches in the log.

use std::sync::Arc;

use bytes::Bytes;
use thalweg_storage::commit::CommitError;
use thalweg_storage::log::{AppendError, CheckedBatch, Origin, PartitionLog, VerificationGuard};
use thalweg_types::TimestampMs;
use thalweg_wire::batch::BatchError;
use thalweg_wire::records::{BatchBuilder, BatchOptions};

/// Records of one step go into batches of about this many bytes; one larger record is a batch of its own.
pub const BATCH_BYTES_MAX: usize = 1_000_000;

/// One record to append.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its key.
    pub key: &'a Bytes,
    /// `None` = tombstone.
    pub value: Option<&'a Bytes>,
}

/// Why records of a step are not in the log.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// A batch cannot be built.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// The log refused it.
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl RecordsError {
    /// Reports whether the log takes nothing any more.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(
            self,
            Self::Append(
                AppendError::Closed | AppendError::Commit(CommitError::Closed | CommitError::Log(_))
            )
        )
    }
}

/// Appends records in order. The newest ticket of the log says when they are durable; on a crash before that, a prefix
/// of them may be there.
///
/// # Errors
/// [`RecordsError`]; a prefix of the records may have been appended.
pub fn append_records<'a>(
    log: &Arc<PartitionLog>,
    records: impl IntoIterator<Item = Record<'a>>,
    (options, guard): (BatchOptions, Option<VerificationGuard>),
    now: TimestampMs,
) -> Result<(), RecordsError> {
    let append = |batch: BatchBuilder| -> Result<(), RecordsError> {
        let batch = CheckedBatch::check(batch.build()?)?.verified(guard);
        // The ticket is taken from the log when the replies leave.
        log.append(batch, Origin::Coordinator, now)?;
        Ok(())
    };
    let mut batch = BatchBuilder::new(options);
    for record in records {
        let size = record.key.len() + record.value.map_or(0, Bytes::len);
        if !batch.is_empty() && batch.records_bytes().saturating_add(size) > BATCH_BYTES_MAX {
            append(std::mem::replace(&mut batch, BatchBuilder::new(options)))?;
        }
        batch.push(now, Some(record.key), record.value.map(|value| &**value), &[])?;
    }
    if batch.is_empty() { Ok(()) } else { append(batch) }
}
