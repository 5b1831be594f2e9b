//! Numbers that are given once and never again: starts and producer ids.
//!
//! Invariant: a number is durably taken before anybody sees it. A crash in between wastes it.

use std::ops::Range;

use thalweg_types::{LeaderEpoch, ProducerId};

use crate::codec::{Decoder, Encoder};
use crate::error::{CommitError, KeyText, MetadataError, RecordError};
use crate::keys;
use crate::store::{MetadataStore, Transaction};

const COUNTER_FORMAT: u8 = 1;
/// How often a compare-and-set is tried against others who count on the same row.
const ATTEMPTS_MAX: u32 = 32;

/// Raises the start counter, durably, and returns it: the leader epoch of everything this start leads. Blocks.
///
/// The first start gets 0. To be called before anything is served; also to be called when a log is truncated
/// while the broker runs, which needs a higher epoch.
///
/// # Errors
/// [`MetadataError::StartCounterExhausted`] after 2^31 starts; failures of the store.
pub fn raise_start_counter(store: &dyn MetadataStore) -> Result<LeaderEpoch, MetadataError> {
    let epoch = update(store, keys::START_COUNTER, "start counter", |last| match last {
        None => Ok((0, 0)),
        Some(last) => match i32::try_from(last).ok().and_then(|last| last.checked_add(1)) {
            Some(next) => Ok((i64::from(next), next)),
            None => Err(MetadataError::StartCounterExhausted {
                last: i32::try_from(last).unwrap_or(i32::MAX),
            }),
        },
    })?;
    Ok(LeaderEpoch(epoch))
}

/// Takes a block of `size` producer ids, durably; nobody else will ever get one of them. Blocks.
///
/// The cluster's first block begins at `first_base`, which should be random and high, so that ids of another
/// cluster, or of this one before it lost its metadata, do not come again; later calls do not look at it.
///
/// # Errors
/// [`MetadataError::ProducerIdsExhausted`]; [`MetadataError::Invalid`] for a size of 0 or a negative base;
/// failures of the store.
pub fn take_producer_id_block(
    store: &dyn MetadataStore,
    size: u32,
    first_base: ProducerId,
) -> Result<Range<i64>, MetadataError> {
    if size == 0 || first_base.get() < 0 {
        return Err(MetadataError::Invalid {
            what: "producer id block".to_owned(),
            detail: format!("size {size} must be positive and base {first_base} not negative"),
        });
    }
    update(store, keys::PRODUCER_IDS, "producer ids", |next| {
        let start = next.unwrap_or(first_base.get());
        let exhausted = MetadataError::ProducerIdsExhausted {
            next: ProducerId(start),
            size,
        };
        let end = start.checked_add(i64::from(size)).ok_or(exhausted)?;
        Ok((end, start..end))
    })
}

/// Replaces a counter by compare-and-set. `next` gets the value stored, returns what to store and the answer.
fn update<T>(
    store: &dyn MetadataStore,
    key: &[u8],
    record: &'static str,
    next: impl Fn(Option<i64>) -> Result<(i64, T), MetadataError>,
) -> Result<T, MetadataError> {
    for _ in 0..ATTEMPTS_MAX {
        let row = store.get(key)?;
        let transaction = Transaction::new();
        let (last, transaction) = match &row {
            None => (None, transaction.require_absent(key)),
            Some(row) => {
                let last = decode_counter(record, &row.value)
                    .map_err(|source| MetadataError::record(key, source))?;
                (Some(last), transaction.require_version(key, row.version))
            }
        };
        let (value, answer) = next(last)?;
        match store.commit(transaction.put(key, Encoder::new(COUNTER_FORMAT).i64(value).finish())) {
            Ok(_) => return Ok(answer),
            Err(CommitError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(MetadataError::Contended {
        key: KeyText::from(key),
        attempts: ATTEMPTS_MAX,
    })
}

fn decode_counter(record: &'static str, bytes: &[u8]) -> Result<i64, RecordError> {
    let mut decoder = Decoder::new(record, bytes, COUNTER_FORMAT)?;
    let value = decoder.i64()?;
    if value < 0 {
        return Err(decoder.malformed("it is negative"));
    }
    decoder.finish()?;
    Ok(value)
}

#[cfg(test)]
#[path = "counters_test.rs"]
mod tests;
