//! Appends: checks under the log's lock, an offset, and a reference in the open commit group.

use super::producers::{SequenceCheck, SequenceError};
use super::rows::WriteState;
use super::verification::VerificationGuard;
use super::{LogState, PartitionLog};
use crate::commit::{CommitError, EntryContent, PendingBatch, SharedFrame, Ticket};
use bytes::BytesMut;
use std::sync::Arc;
use thalweg_types::{LeaderEpoch, Offset, ProducerId, TimestampMs};
use thalweg_wire::batch::{BatchError, BatchHeader, patch_base_offset_and_epoch};
use thalweg_wire::records::EndTransactionMarker;
use thiserror::Error;

/// Who appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A client: the log assigns offset and leader epoch, and checks the producer's sequence.
    Client,
    /// The broker's own coordinators: as a client, without a sequence check, and allowed on internal topics.
    Coordinator,
    /// A mirror link: offsets and epochs of the batch are kept; the log must end where the link believes.
    Mirror {
        /// Where the link believes the log ends.
        expected_end: Offset,
    },
}

/// One whole batch whose length, magic and CRC were checked.
#[derive(Debug)]
pub struct CheckedBatch {
    /// Its header.
    pub header: BatchHeader,
    /// Its bytes; nobody else may hold them for writing.
    pub bytes: BytesMut,
    /// The sign that the coordinator knows of the transaction that the batch may begin.
    pub guard: Option<VerificationGuard>,
    /// The request's frame that the bytes are a part of, if they are.
    pub frame: Option<Arc<SharedFrame>>,
}

impl CheckedBatch {
    /// Checks length, magic and CRC-32C.
    ///
    /// # Errors
    /// [`BatchError`].
    pub fn check(bytes: BytesMut) -> Result<Self, BatchError> {
        thalweg_wire::batch::verify_crc(&bytes)?;
        Ok(Self {
            header: BatchHeader::parse(&bytes)?,
            bytes,
            guard: None,
            frame: None,
        })
    }

    /// Hands over what [`PartitionLog::begin_verification`] gave before the coordinator agreed.
    #[must_use]
    pub fn verified(mut self, guard: Option<VerificationGuard>) -> Self {
        self.guard = guard;
        self
    }
}

/// Where a batch went.
#[derive(Clone, Debug)]
pub struct Appended {
    /// Offset of its first record.
    pub base_offset: Offset,
    /// Offset of its last record.
    pub last_offset: Offset,
    /// First offset of the log.
    pub log_start_offset: Offset,
    /// Durable when this completes. `None` when all before is durable already (a repeat of an old batch).
    pub ticket: Option<Ticket>,
}

/// Outcome of an append.
#[derive(Clone, Debug)]
pub enum Append {
    /// The batch is new.
    Written(Appended),
    /// The batch was appended before; the ticket is the one that covers the first.
    Duplicate(Appended),
}

impl Append {
    /// Returns where the batch lies, written now or before.
    #[must_use]
    pub fn place(self) -> Appended {
        match self {
            Self::Written(place) | Self::Duplicate(place) => place,
        }
    }
}

/// Why nothing was appended.
#[derive(Clone, Debug, Error)]
pub enum AppendError {
    /// The topic is deleted or the partition led elsewhere.
    #[error("the partition is not led here any more")]
    Closed,
    /// A mirror link owns the partition, or does not.
    #[error("the partition's write state is {state:?}: {origin:?} may not append")]
    WriteState {
        /// State.
        state: WriteState,
        /// Who tried.
        origin: Origin,
    },
    /// A marker came while the coordinator was asked, or is still to come: what it said may be of another transaction.
    #[error(
        "the transaction of producer {producer_id} ended while its coordinator was asked; send the batch again"
    )]
    TransactionEnding {
        /// The producer.
        producer_id: ProducerId,
    },
    /// The producer's sequence does not fit.
    #[error(transparent)]
    Sequence(#[from] SequenceError),
    /// The batch does not fit the producer's transaction here (KIP-890).
    #[error("producer {producer_id}: {what}")]
    TransactionState {
        /// The producer.
        producer_id: ProducerId,
        /// What is wrong.
        what: &'static str,
    },
    /// A newer coordinator has ended a transaction of this producer.
    #[error(
        "producer {producer_id}: the marker's coordinator epoch {found} is older than {current}; another coordinator has taken over"
    )]
    TransactionCoordinatorFenced {
        /// The producer.
        producer_id: ProducerId,
        /// Epoch in the marker.
        found: i32,
        /// Epoch known.
        current: i32,
    },
    /// The link's view of the log end is wrong, or its batch lies below it.
    #[error("the log ends at {log_end}, the mirror link expected {expected}")]
    MirrorEnd {
        /// Where it ends.
        log_end: Offset,
        /// Where the link (or its batch) starts.
        expected: Offset,
    },
    /// No such offset.
    #[error("offset {offset} is above the high watermark {high_watermark}")]
    OffsetOutOfRange {
        /// Offset asked for.
        offset: Offset,
        /// High watermark.
        high_watermark: Offset,
    },
    /// The batch does not fit into one group of the write-ahead log.
    #[error(
        "a batch of {len} bytes does not fit into the write-ahead log's files; raise wal.file.bytes above {len}"
    )]
    TooLarge {
        /// Bytes of the batch.
        len: usize,
    },
    /// Offsets are used up.
    #[error("the log has no offsets left")]
    OffsetsExhausted,
    /// The batch is damaged.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// The commit path failed.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl PartitionLog {
    /// Appends one checked batch. Returns when its place is fixed; it is durable, and readable, when the ticket
    /// completes. On a crash before that it may or may not be there.
    ///
    /// # Errors
    /// [`AppendError`]; nothing was appended then.
    pub fn append(
        self: &Arc<Self>,
        batch: CheckedBatch,
        origin: Origin,
        now: TimestampMs,
    ) -> Result<Append, AppendError> {
        self.shared.check_batch_len(batch.bytes.len())?;
        let mut state = self.state.lock();
        state.check_open()?;
        state.check_origin(origin)?;
        if origin == Origin::Client
            && let SequenceCheck::Duplicate(range) = state.producers.check(&batch.header)?
        {
            let ticket = state
                .last_ticket
                .clone()
                .filter(|_| range.last_offset >= state.high_watermark);
            return Ok(Append::Duplicate(Appended {
                base_offset: range.base_offset,
                last_offset: range.last_offset,
                log_start_offset: state.log_start,
                ticket,
            }));
        }
        match origin {
            Origin::Client => state.check_transaction(&batch)?,
            Origin::Coordinator => {
                state.producers.check_epoch(&batch.header)?;
                state.check_transaction(&batch)?;
            }
            Origin::Mirror { .. } => {}
        }
        #[cfg(feature = "planted-faults")]
        let (batch, again) = super::faults::distort(batch, origin);
        let written = self.append_locked(&mut state, batch, origin, now);
        #[cfg(feature = "planted-faults")]
        if let Some(batch) = again {
            self.append_locked(&mut state, batch, origin, now)?;
        }
        #[cfg(feature = "planted-faults")]
        let written = written.map(|place| super::faults::misplace(place, origin));
        written.map(Append::Written)
    }

    /// Gives a batch that was judged its place, and pushes it.
    pub(super) fn append_locked(
        self: &Arc<Self>,
        state: &mut LogState,
        mut batch: CheckedBatch,
        origin: Origin,
        now: TimestampMs,
    ) -> Result<Appended, AppendError> {
        let (base_offset, last_offset) = state.place(&batch.header, origin)?;
        let leader_epoch = match origin {
            Origin::Mirror { .. } => batch.header.leader_epoch,
            Origin::Client | Origin::Coordinator => {
                let epoch = state.leader_epoch;
                patch_base_offset_and_epoch(&mut batch.bytes, base_offset, epoch)?;
                epoch
            }
        };
        let marker = Some(&batch.bytes)
            .filter(|_| batch.header.is_control())
            .and_then(|bytes| EndTransactionMarker::of_batch(bytes));
        if let Some(frame) = &batch.frame {
            frame.store(batch.bytes.len());
        }
        let pending = PendingBatch {
            frame: batch.frame,
            bytes: batch.bytes.freeze(),
            leader_epoch: state.leader_epoch,
            base_offset,
            last_offset,
            max_timestamp: batch.header.max_timestamp,
        };
        let ticket = self.push(state, EntryContent::Batch(pending))?;
        state.log_end = last_offset.next();
        let noted = NotedBatch {
            header: &batch.header,
            base_offset,
            leader_epoch,
            marker,
        };
        state.note_batch(&noted, now);
        Ok(Appended {
            base_offset,
            last_offset,
            log_start_offset: state.log_start,
            ticket: Some(ticket),
        })
    }

    /// Moves the log end up to `offset` without records (a mirror whose source has a gap there). Durable with the
    /// ticket.
    ///
    /// # Errors
    /// [`AppendError::MirrorEnd`] when the log is not owned by a link or ends above; the log's.
    pub fn jump_to(self: &Arc<Self>, offset: Offset) -> Result<Ticket, AppendError> {
        let mut state = self.state.lock();
        state.check_open()?;
        state.check_origin(Origin::Mirror {
            expected_end: state.log_end,
        })?;
        if offset < state.log_end || offset.0 == i64::MAX {
            return Err(AppendError::MirrorEnd {
                log_end: state.log_end,
                expected: offset,
            });
        }
        let event = crate::wal::group::LogEvent::JumpTo(offset);
        let ticket = self.push(&mut state, EntryContent::Event(event))?;
        state.log_end = offset;
        Ok(ticket)
    }
}

impl LogState {
    /// Refuses an origin that the write state does not allow.
    pub(super) fn check_origin(&self, origin: Origin) -> Result<(), AppendError> {
        let allowed = match (self.write_state, origin) {
            (WriteState::Open, Origin::Client | Origin::Coordinator) => true,
            (WriteState::OwnedByLink, Origin::Mirror { .. }) => true,
            (WriteState::Open, Origin::Mirror { .. })
            | (WriteState::OwnedByLink, Origin::Client | Origin::Coordinator)
            | (WriteState::SealedAt(_), _) => false,
        };
        if allowed {
            Ok(())
        } else {
            Err(AppendError::WriteState {
                state: self.write_state,
                origin,
            })
        }
    }

    /// Returns the first and last offset of a batch.
    fn place(&self, header: &BatchHeader, origin: Origin) -> Result<(Offset, Offset), AppendError> {
        let base_offset = match origin {
            Origin::Client | Origin::Coordinator => self.log_end,
            Origin::Mirror { expected_end } => {
                if expected_end != self.log_end || header.base_offset < self.log_end {
                    let expected = expected_end.max(header.base_offset);
                    return Err(AppendError::MirrorEnd {
                        log_end: self.log_end,
                        expected,
                    });
                }
                header.base_offset
            }
        };
        let last_offset = base_offset
            .checked_add(i64::from(header.last_offset_delta))
            .filter(|last| last.0 < i64::MAX)
            .ok_or(AppendError::OffsetsExhausted)?;
        Ok((base_offset, last_offset))
    }

    /// Takes note of a batch's epoch, producer and transaction, when it is appended and when it is replayed.
    pub(super) fn note_batch(&mut self, batch: &NotedBatch<'_>, now: TimestampMs) {
        let header = batch.header;
        self.epochs.note(batch.leader_epoch, batch.base_offset);
        self.leader_epoch = self.leader_epoch.max(batch.leader_epoch);
        let producers_max = self.config.producers_max;
        if header.is_transactional() && header.has_producer_id() {
            match batch.marker {
                Some(_) => self
                    .verifications
                    .end_by_marker(header.producer_id, header.producer_epoch),
                None => self.verifications.end(header.producer_id),
            }
        }
        self.transactions.note(header, batch.base_offset, batch.marker);
        let (producers, transactions) = (&mut self.producers, &self.transactions);
        match batch.marker {
            Some(marker) => {
                let epoch = marker.coordinator_epoch;
                producers.note_marker(header, epoch, now, producers_max, transactions);
            }
            None => producers.note(header, batch.base_offset, now, producers_max, transactions),
        }
    }
}

/// A batch whose place is fixed.
pub(super) struct NotedBatch<'a> {
    pub header: &'a BatchHeader,
    pub base_offset: Offset,
    pub leader_epoch: LeaderEpoch,
    pub marker: Option<EndTransactionMarker>,
}
