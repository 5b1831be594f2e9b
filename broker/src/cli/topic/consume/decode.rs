//! Takes the records out of fetched bytes: checks every batch, skips what a reader may not see.

use std::collections::{BTreeSet, VecDeque};

use thalweg_client::{AbortedTransaction, FetchedRecords};
use thalweg_types::{Offset, ProducerId};
use thalweg_wire::batch::{BatchError, BatchHeader, split_batches, verify_crc};
use thalweg_wire::compression::CompressionLimits;
use thalweg_wire::records::{OwnedRecord, decode_records};

/// One batch worth printing.
#[derive(Debug)]
pub struct VisibleBatch {
    /// Its header.
    pub header: BatchHeader,
    /// Its records.
    pub records: Vec<OwnedRecord>,
}

/// Which batches are of interest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Markers {
    /// User records.
    Hide,
    /// Commit and abort markers too.
    Show,
}

/// A damaged batch in an answer.
#[derive(Debug)]
pub struct Damage {
    /// The offset at which reading stopped.
    pub offset: Offset,
    /// What is wrong.
    pub error: BatchError,
}

/// Decodes whole batches one by one, giving each to `visit` with the offset after it.
///
/// A cut-off last batch is left for the next fetch. `visit` returns false to stop.
/// # Errors
/// [`Damage`] for a batch that is not what its checksum says or cannot be decoded.
pub fn decode<E: From<Damage>>(
    fetched: &FetchedRecords,
    from: Offset,
    markers: Markers,
    mut visit: impl FnMut(Option<VisibleBatch>, Offset) -> Result<bool, E>,
) -> Result<(), E> {
    let limits = CompressionLimits::default();
    let mut aborted = Aborted::new(&fetched.aborted_transactions);
    let mut position = from;
    for slice in split_batches(&fetched.records) {
        let damage = |error| Damage {
            offset: position,
            error,
        };
        let slice = match slice {
            Ok(slice) => slice,
            Err(BatchError::Truncated { .. }) => break,
            Err(error) => return Err(damage(error).into()),
        };
        let header = slice.header;
        let next = header.next_offset();
        // The first batch may begin before the wanted offset, or end before it after a trim.
        if next <= position {
            continue;
        }
        verify_crc(slice.bytes).map_err(damage)?;
        let hidden = match header.is_control() {
            true => {
                let records = decode_records(slice.bytes, &limits).map_err(damage)?;
                aborted.marker(&header, &records);
                markers == Markers::Hide
            }
            false => aborted.covers(&header),
        };
        let batch = match hidden {
            true => None,
            false => {
                let records = decode_records(slice.bytes, &limits).map_err(damage)?;
                Some(VisibleBatch { header, records })
            }
        };
        if !visit(batch, next)? {
            break;
        }
        position = next;
    }
    Ok(())
}

/// Tells aborted batches from others: a producer's batches are aborted from a transaction's first offset up to its
/// abort marker.
struct Aborted {
    /// Transactions not reached yet, by first offset.
    ahead: VecDeque<AbortedTransaction>,
    /// Producers inside an aborted transaction.
    open: BTreeSet<ProducerId>,
}

impl Aborted {
    fn new(transactions: &[AbortedTransaction]) -> Self {
        let mut ahead = transactions.to_vec();
        ahead.sort_by_key(|transaction| transaction.first_offset);
        Self {
            ahead: ahead.into(),
            open: BTreeSet::new(),
        }
    }

    fn covers(&mut self, header: &BatchHeader) -> bool {
        while let Some(next) = self.ahead.front()
            && next.first_offset <= header.last_offset()
        {
            self.open.insert(next.producer_id);
            self.ahead.pop_front();
        }
        header.is_transactional() && self.open.contains(&header.producer_id)
    }

    fn marker(&mut self, header: &BatchHeader, records: &[OwnedRecord]) {
        // Control record key: int16 version, int16 type; type 0 is an abort.
        let is_abort = |record: &OwnedRecord| {
            record
                .key
                .as_ref()
                .is_some_and(|key| key.get(2..4) == Some(&[0, 0][..]))
        };
        if records.first().is_some_and(is_abort) {
            self.open.remove(&header.producer_id);
        }
    }
}

#[cfg(test)]
#[path = "decode_test.rs"]
mod tests;
