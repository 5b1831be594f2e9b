//! The batches that a mirror link appends in one piece: framing, checksums, and the order of offsets and leader epochs.
//!
//! Nothing else is checked: control batches, gaps, a count that is not the range of offsets, timestamps of the source's
//! broker and delete horizons pass, as they do between Kafka's replicas.

use bytes::{Bytes, BytesMut};
use thalweg_types::{LeaderEpoch, Offset};
use thalweg_wire::batch::{BatchError, BatchHeader, split_batches, verify_crc};
use thiserror::Error;

/// Most batches of one append: what is kept of each beside its bytes is bounded by it.
pub const MIRRORED_BATCHES_MAX: usize = 1 << 17;

/// Why bytes are no run of batches that a link may append.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MirroredRunError {
    /// One of them is no whole batch of format v2, or damaged.
    #[error("byte {position}: {source}")]
    Batch {
        /// Byte position in the run.
        position: usize,
        /// What is wrong.
        source: BatchError,
    },
    /// Offsets do not rise.
    #[error("byte {position}: base offset {found} follows offset {last}")]
    Order {
        /// Byte position in the run.
        position: usize,
        /// Base offset.
        found: Offset,
        /// Last offset of the batch before.
        last: Offset,
    },
    /// Leader epochs fall.
    #[error("byte {position}: leader epoch {found} follows {last}")]
    EpochOrder {
        /// Byte position in the run.
        position: usize,
        /// Leader epoch.
        found: LeaderEpoch,
        /// That of the batch before.
        last: LeaderEpoch,
    },
    /// Too many.
    #[error("more than {MIRRORED_BATCHES_MAX} batches in one request; send fewer bytes for this partition")]
    TooMany,
}

/// Batches of a source, checked: framing, checksums, rising offsets.
#[derive(Clone, Debug)]
pub struct MirroredRun {
    pub(super) bytes: Bytes,
    /// `None` without batches.
    pub(super) ends: Option<RunEnds>,
    pub(super) count: usize,
    /// Bytes of the largest batch.
    pub(super) largest: usize,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct RunEnds {
    pub(super) base_offset: Offset,
    pub(super) last_offset: Offset,
    pub(super) first_epoch: LeaderEpoch,
    pub(super) last_epoch: LeaderEpoch,
}

impl MirroredRun {
    /// Checks a run of whole batches; an empty one is one without batches.
    ///
    /// # Errors
    /// [`MirroredRunError`] with the byte position of the first batch that does not fit.
    pub fn check(bytes: BytesMut) -> Result<Self, MirroredRunError> {
        let bytes = bytes.freeze();
        let mut run = Self {
            bytes: Bytes::new(),
            ends: None,
            count: 0,
            largest: 0,
        };
        let mut position = 0;
        for batch in split_batches(&bytes) {
            let checked = batch.and_then(|batch| verify_crc(batch.bytes).map(|()| batch));
            let batch = checked.map_err(|source| MirroredRunError::Batch { position, source })?;
            run.note(&batch.header, position)?;
            position += batch.bytes.len();
        }
        Ok(Self { bytes, ..run })
    }

    fn note(&mut self, header: &BatchHeader, position: usize) -> Result<(), MirroredRunError> {
        let (found, epoch) = (header.base_offset, header.leader_epoch);
        let last = self.ends.map_or(Offset::UNKNOWN, |ends| ends.last_offset);
        if found <= last {
            return Err(MirroredRunError::Order {
                position,
                found,
                last,
            });
        }
        let last = self.ends.map_or(epoch, |ends| ends.last_epoch);
        if epoch < last {
            let found = epoch;
            return Err(MirroredRunError::EpochOrder {
                position,
                found,
                last,
            });
        }
        self.count += 1;
        if self.count > MIRRORED_BATCHES_MAX {
            return Err(MirroredRunError::TooMany);
        }
        self.largest = self.largest.max(header.total_len());
        self.ends = Some(RunEnds {
            base_offset: self.ends.map_or(found, |ends| ends.base_offset),
            last_offset: header.last_offset(),
            first_epoch: self.ends.map_or(epoch, |ends| ends.first_epoch),
            last_epoch: epoch,
        });
        Ok(())
    }

    /// Returns the number of batches.
    #[must_use]
    pub fn batch_count(&self) -> usize {
        self.count
    }

    /// Returns the bytes of the batches.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Reports whether there is no batch.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}
