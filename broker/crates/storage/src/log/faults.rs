//! Bugs of an append that are planted in the program, see [`crate::planted`]. Not a part of any other build.

use std::sync::atomic::{AtomicU64, Ordering};

use thalweg_wire::batch::BatchError;
use thalweg_wire::compression::CompressionLimits;
use thalweg_wire::records::{BatchBuilder, BatchOptions, ProducerStamp, Transactionality, open_records};

use super::append::{Appended, CheckedBatch, Origin};
use super::markers::{TransactionMarker, TransactionOutcome};
use crate::planted::{Bug, is_planted};

/// One batch in so many is appended twice: enough to be found, and producers still get on.
const TWICE_EVERY: u64 = 10;

/// One marker of a commit in so many ends a transaction otherwise than it was decided.
const TURNED_EVERY: u64 = 5;
/// One answer in so many names another offset.
const WRONG_EVERY: u64 = 4;

/// Reports true once in `every` calls, the first time at once.
fn in_turn(calls: &AtomicU64, every: u64) -> bool {
    calls.fetch_add(1, Ordering::Relaxed).is_multiple_of(every)
}

/// Returns the marker that is written in place of one.
pub(super) fn turn(mut marker: TransactionMarker) -> TransactionMarker {
    static COMMITS: AtomicU64 = AtomicU64::new(0);
    if is_planted(Bug::MarkerTurned)
        && marker.outcome == TransactionOutcome::Commit
        && in_turn(&COMMITS, TURNED_EVERY)
    {
        marker.outcome = TransactionOutcome::Abort;
    }
    marker
}

/// Returns what is answered in place of where a batch went.
pub(super) fn misplace(mut place: Appended, origin: Origin) -> Appended {
    static ANSWERS: AtomicU64 = AtomicU64::new(0);
    if is_planted(Bug::WrongOffsetAnswered) && origin == Origin::Client && in_turn(&ANSWERS, WRONG_EVERY) {
        place.base_offset = place.base_offset.next();
    }
    place
}

/// Returns what is appended in place of a batch, and what behind it.
pub(super) fn distort(batch: CheckedBatch, origin: Origin) -> (CheckedBatch, Option<CheckedBatch>) {
    static BATCHES: AtomicU64 = AtomicU64::new(0);
    if origin != Origin::Client {
        return (batch, None);
    }
    if is_planted(Bug::AppendedTwice) && in_turn(&BATCHES, TWICE_EVERY) {
        let again = CheckedBatch::check(batch.bytes.clone()).ok();
        return (batch, again);
    }
    if is_planted(Bug::RecordsSwapped)
        && let Ok(Some(swapped)) = swapped(&batch)
    {
        return (swapped.verified(batch.guard), None);
    }
    (batch, None)
}

/// The batch with its first two records in the other order; `None` if it has fewer.
fn swapped(batch: &CheckedBatch) -> Result<Option<CheckedBatch>, BatchError> {
    let (header, payload) = open_records(&batch.bytes, &CompressionLimits::default())?;
    let mut records = payload.records(&header).collect::<Result<Vec<_>, _>>()?;
    if records.len() < 2 {
        return Ok(None);
    }
    records.swap(0, 1);
    let mut builder = BatchBuilder::new(BatchOptions {
        producer: header.has_producer_id().then_some(ProducerStamp {
            id: header.producer_id,
            epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
        }),
        transactionality: if header.is_transactional() {
            Transactionality::Transactional
        } else {
            Transactionality::NonTransactional
        },
        ..BatchOptions::default()
    });
    for record in records {
        let headers: Vec<_> = record.headers().collect();
        builder.push(record.timestamp(&header), record.key, record.value, &headers)?;
    }
    CheckedBatch::check(builder.build()?).map(Some)
}
