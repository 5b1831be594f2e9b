//! What a mirror link does to a partition that it owns: claims, verbatim appends, jumps, a new log start, truncation,
//! the end of the mirror.
//!
//! Each is judged and pushed under the log's lock: the session must be the last one given, and the log must end where the
//! link believes, so that a request that was lost, repeated or overtaken changes nothing. Batches keep the source's
//! bytes, offsets and leader epochs; nothing but framing, checksum and order is checked. Sessions are durable, leases and
//! the source's end are not: a start forgets who holds a partition, never that an older session is over.
//!
//! Time is an argument.

use super::append::{AppendError, NotedBatch};
use super::mirrored_run::{MirroredRun, RunEnds};
use super::rows::{MirrorRow, WriteState};
use super::transactions::OpenTransaction;
use super::truncate::TruncateError;
use super::{LogOffsets, LogState, PartitionLog};
use crate::commit::{EntryContent, PendingBatch, Ticket};
use crate::wal::group::LogEvent;
use bytes::Bytes;
use std::sync::Arc;
use std::time::{Duration, Instant};
use thalweg_types::{LeaderEpoch, Offset, TimestampMs};
use thalweg_wire::batch::{BatchHeader, patch_base_offset_and_epoch, split_batches};
use thalweg_wire::records::{EndTransactionMarker, TransactionOutcome};
use thiserror::Error;

/// Leader epochs that a promotion may be asked to pass; above it there would be no room for later ones.
const EPOCH_ABOVE_MAX: i32 = i32::MAX / 2;

/// A session and the log end that its holder believes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MirrorFence {
    /// What [`PartitionLog::claim`] gave.
    pub session: i64,
    /// Where the log must end; [`Offset::UNKNOWN`] where that does not matter.
    pub expected_end: Offset,
}

/// The time of an operation.
#[derive(Clone, Copy, Debug)]
pub struct MirrorTime {
    /// Time of day, for what is written.
    pub wall: TimestampMs,
    /// For leases; never goes back.
    pub monotonic: Instant,
}

/// A partition as links see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MirrorStatus {
    /// Who may append.
    pub write_state: WriteState,
    /// The last session; 0 before the first.
    pub session: i64,
    /// What is left of the holder's lease.
    pub lease_left: Duration,
    /// The source's end as last told since the start.
    pub source_end: Option<Offset>,
    /// Leader epoch of the last batch, as the source wrote it.
    pub last_epoch: Option<LeaderEpoch>,
    /// The log's offsets.
    pub offsets: LogOffsets,
}

/// Why an operation of a link changed nothing.
#[derive(Debug, Error)]
pub enum MirrorRefusal {
    /// No link owns the partition.
    #[error("no mirror link owns the partition, its write state is {0:?}")]
    NotOwned(WriteState),
    /// A link owns the partition: nobody seals it, and nobody but the link opens it.
    #[error("a mirror link owns the partition: promote it first")]
    LinksOwn,
    /// Clients were given the partition later than whoever asks knows.
    #[error("the partition's leader epoch is {current}, not below {below}: it was given to clients since")]
    Newer {
        /// Its leader epoch.
        current: LeaderEpoch,
        /// Where the request ends.
        below: LeaderEpoch,
    },
    /// A live holder is not displaced.
    #[error("session {session} holds the partition for another {} ms; claim it after that", .left.as_millis())]
    Claimed {
        /// The holder's session.
        session: i64,
        /// What is left of its lease.
        left: Duration,
    },
    /// A newer session has begun.
    #[error("session {found} is not the partition's, which is {current}: claim the partition again")]
    Fenced {
        /// The session of the operation.
        found: i64,
        /// The last one given.
        current: i64,
    },
    /// The holder believes in another log end, or its records lie below it.
    #[error("the log ends at {log_end}, the link expected {expected}: go on from there")]
    End {
        /// Where it ends.
        log_end: Offset,
        /// Where the link believes that it does, or would go on.
        expected: Offset,
    },
    /// Another operation changes the partition at this moment.
    #[error("the partition is being {0}; try again")]
    Busy(&'static str),
    /// The source's leader epochs do not fall.
    #[error(
        "the batch at {offset} has leader epoch {found}, the log is at {last}: the source lost records; truncate to the \
         last offset that both have"
    )]
    EpochFell {
        /// Its base offset.
        offset: Offset,
        /// Its epoch.
        found: LeaderEpoch,
        /// The newest in the log.
        last: LeaderEpoch,
    },
    /// The end of each transaction that is open takes an offset of the gap.
    #[error(
        "{open} transactions are open, and the gap has {gap} offsets for their ends: truncate to {first} and go on from there"
    )]
    GapTooNarrow {
        /// How many are open.
        open: usize,
        /// Offsets in the gap.
        gap: i64,
        /// First offset of the oldest one.
        first: Offset,
    },
    /// No room for later epochs.
    #[error("leader epoch {0} leaves no room for later ones; it may be {EPOCH_ABOVE_MAX} at most")]
    EpochTooHigh(LeaderEpoch),
    /// The log refuses it, or failed.
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// What [`PartitionLog::advance_end`] did.
#[derive(Clone, Debug)]
pub struct Advanced {
    /// Durable when it completes; `None` when there was nothing to do and all is durable.
    pub ticket: Option<Ticket>,
    /// Transactions that were open at the gap and are aborted now: how they ended at the source is not known.
    pub unknown_transactions: usize,
}

/// What a partition's links left in memory, and what of it is durable.
#[derive(Clone, Debug)]
pub(super) struct MirrorState {
    session: i64,
    durable: MirrorRow,
    lease: Duration,
    lease_until: Option<Instant>,
    source_end: Option<Offset>,
    change: Change,
}

/// What may not be interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    None,
    Truncation,
    Promotion,
}

impl MirrorState {
    pub(super) fn restore(row: MirrorRow) -> Self {
        Self {
            session: row.session,
            durable: row,
            lease: Duration::ZERO,
            lease_until: None,
            source_end: None,
            change: Change::None,
        }
    }

    /// What a recovery point says of it.
    pub(super) fn row(&self) -> MirrorRow {
        self.durable
    }

    /// Takes note of a durable session.
    pub(super) fn note_session(&mut self, session: i64) {
        self.durable.session = self.durable.session.max(session);
        self.session = self.session.max(session);
    }

    /// Takes note of a leader epoch that a durable event has announced.
    pub(super) fn note_announced(&mut self, epoch: LeaderEpoch) {
        self.durable.leader_epoch = self.durable.leader_epoch.max(epoch);
    }

    /// Reports whether a promotion was under way; it is over.
    pub(super) fn end_promotion(&mut self) -> bool {
        let was = self.change == Change::Promotion;
        if was {
            self.change = Change::None;
            self.source_end = None;
            self.lease_until = None;
        }
        was
    }

    /// Forgets the claim and what it told; its session stays the last one.
    pub(super) fn forget_holder(&mut self) {
        self.lease_until = None;
        self.source_end = None;
    }

    fn lease_left(&self, now: Instant) -> Duration {
        self.lease_until
            .map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    fn renew(&mut self, now: Instant) {
        if !self.lease.is_zero() {
            self.lease_until = now.checked_add(self.lease);
        }
    }

    fn note_source_end(&mut self, end: Offset) {
        if end >= Offset::ZERO {
            self.source_end = Some(end);
        }
    }
}

impl LogState {
    /// Reports whether a reader at an offset above the high watermark waits for the mirror: up to the source's end. A
    /// start does not know that end until the link tells it, and until then no reader is sent away.
    pub(super) fn awaits(&self, offset: Offset) -> bool {
        self.write_state == WriteState::OwnedByLink
            && self.mirror.change != Change::Promotion
            && self.mirror.source_end.is_none_or(|end| offset <= end)
    }

    /// Where records of the newest epoch end, as far as readers are concerned: those of a mirror are still to come.
    pub(super) fn awaited_end(&self) -> Offset {
        if self.awaits(Offset(i64::MAX)) {
            return Offset(i64::MAX);
        }
        match self.mirror.source_end {
            Some(end) if self.awaits(end) => end.max(self.high_watermark),
            _ => self.high_watermark,
        }
    }

    fn check_owned(&self) -> Result<(), MirrorRefusal> {
        self.check_open()?;
        if self.write_state != WriteState::OwnedByLink {
            return Err(MirrorRefusal::NotOwned(self.write_state));
        }
        match self.mirror.change {
            Change::None => Ok(()),
            Change::Truncation => Err(MirrorRefusal::Busy("truncated")),
            Change::Promotion => Err(MirrorRefusal::Busy("promoted")),
        }
    }

    fn check_session(&self, fence: MirrorFence) -> Result<(), MirrorRefusal> {
        let current = self.mirror.session;
        if current <= 0 || fence.session != current {
            let found = fence.session;
            return Err(MirrorRefusal::Fenced { found, current });
        }
        Ok(())
    }

    fn check_fence(&self, fence: MirrorFence) -> Result<(), MirrorRefusal> {
        self.check_owned()?;
        self.check_session(fence)?;
        let (log_end, expected) = (self.log_end, fence.expected_end);
        if expected != Offset::UNKNOWN && expected != log_end {
            return Err(MirrorRefusal::End { log_end, expected });
        }
        Ok(())
    }

    /// ABORT markers for open transactions at the offsets from `first` on.
    fn abort_markers(
        &self,
        open: &[OpenTransaction],
        (first, epoch): (Offset, LeaderEpoch),
        now: TimestampMs,
    ) -> Result<Vec<Bytes>, AppendError> {
        let mut offset = first;
        let mut markers = Vec::with_capacity(open.len());
        for transaction in open {
            let known = self.producers.get(transaction.producer_id);
            let content = EndTransactionMarker {
                outcome: TransactionOutcome::Abort,
                coordinator_epoch: known.map_or(0, |entry| entry.coordinator_epoch.max(0)),
            };
            let mut bytes = content.build((transaction.producer_id, transaction.epoch), now)?;
            patch_base_offset_and_epoch(&mut bytes, offset, epoch)?;
            markers.push(bytes.freeze());
            offset = offset.next();
        }
        Ok(markers)
    }

    fn pending(&self, header: &BatchHeader, bytes: Bytes) -> EntryContent {
        EntryContent::Batch(PendingBatch {
            frame: None,
            bytes,
            leader_epoch: self.leader_epoch,
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            max_timestamp: header.max_timestamp,
        })
    }

    /// Takes note of batches that were pushed as they are.
    fn note_run(&mut self, run: &[u8], now: TimestampMs) {
        for batch in split_batches(run).map_while(Result::ok) {
            let header = &batch.header;
            let marker = Some(batch.bytes)
                .filter(|_| header.is_control())
                .and_then(EndTransactionMarker::of_batch);
            let noted = NotedBatch {
                header,
                base_offset: header.base_offset,
                leader_epoch: header.leader_epoch,
                marker,
            };
            self.note_batch(&noted, now);
            self.log_end = header.next_offset();
        }
    }
}

impl PartitionLog {
    /// Returns what a link may know of the partition.
    #[must_use]
    pub fn mirror_status(&self, now: Instant) -> MirrorStatus {
        let state = self.state.lock();
        MirrorStatus {
            write_state: state.write_state,
            session: state.mirror.session,
            lease_left: state.mirror.lease_left(now),
            source_end: state.mirror.source_end,
            last_epoch: state.epochs.latest(),
            offsets: state.offsets(),
        }
    }

    /// Gives the partition to a new session, one above the last; older ones are fenced at once. It is durable with the
    /// ticket; the lease is not. `held` is the session of who asks, if it has one: a holder may claim again.
    ///
    /// # Errors
    /// [`MirrorRefusal::Claimed`] while another holder's lease runs; [`MirrorRefusal::NotOwned`]; the log's.
    pub fn claim(
        self: &Arc<Self>,
        held: i64,
        lease: Duration,
        now: Instant,
    ) -> Result<(i64, Option<Ticket>), MirrorRefusal> {
        let mut state = self.state.lock();
        state.check_owned()?;
        let (left, session) = (state.mirror.lease_left(now), state.mirror.session);
        if !left.is_zero() && held != session {
            return Err(MirrorRefusal::Claimed { session, left });
        }
        let session = session.saturating_add(1);
        self.push(&mut state, EntryContent::Event(LogEvent::Session(session)))?;
        state.mirror.session = session;
        state.mirror.lease = lease;
        state.mirror.renew(now);
        Ok((session, state.last_ticket.clone()))
    }

    /// Ends the lease, so that another may claim; the partition stays the link's.
    ///
    /// # Errors
    /// [`MirrorRefusal`].
    pub fn release(&self, fence: MirrorFence) -> Result<(), MirrorRefusal> {
        let mut state = self.state.lock();
        state.check_fence(fence)?;
        state.mirror.lease_until = None;
        Ok(())
    }

    /// Takes note of where the source ends, and renews the lease.
    ///
    /// # Errors
    /// [`MirrorRefusal`].
    pub fn set_source_end(&self, end: Offset, fence: MirrorFence, now: Instant) -> Result<(), MirrorRefusal> {
        {
            let mut state = self.state.lock();
            state.check_fence(fence)?;
            state.mirror.note_source_end(end);
            state.mirror.renew(now);
        }
        // Who waited above it may have nothing to wait for any more.
        self.waiters.fire();
        Ok(())
    }

    /// Appends a source's batches as they are, all or none, and renews the lease; `source_end` may be unknown. The first
    /// append to a log that was never written sets its start. Durable, and readable, with the ticket; after a crash before
    /// that a part may be there, up to the end of some batch.
    ///
    /// # Errors
    /// [`MirrorRefusal`]; nothing was appended then.
    pub fn append_mirrored(
        self: &Arc<Self>,
        run: &MirroredRun,
        source_end: Offset,
        fence: MirrorFence,
        now: MirrorTime,
    ) -> Result<Option<Ticket>, MirrorRefusal> {
        self.shared.check_batch_len(run.largest)?;
        let mut state = self.state.lock();
        state.check_fence(fence)?;
        if let Some(ends) = run.ends {
            state.check_run(ends)?;
            let mut contents = Vec::with_capacity(run.count + 2);
            if state.log_end == Offset::ZERO && ends.base_offset > Offset::ZERO {
                // First the end: the start is never above it, not even between two groups.
                contents.push(EntryContent::Event(LogEvent::JumpTo(ends.base_offset)));
                contents.push(EntryContent::Event(LogEvent::LogStart(ends.base_offset)));
            }
            let mut position = 0;
            for batch in split_batches(&run.bytes).map_while(Result::ok) {
                let end = position + batch.bytes.len();
                contents.push(state.pending(&batch.header, run.bytes.slice(position..end)));
                position = end;
            }
            self.push_all(&mut state, contents)?;
            state.note_run(&run.bytes, now.wall);
        }
        state.mirror.note_source_end(source_end);
        state.mirror.renew(now.monotonic);
        Ok(state.last_ticket.clone())
    }

    /// Moves the log end up to `to` without records: the source has none there any more. Transactions that are open
    /// end with an ABORT in the last offsets of the gap, since their own end may have been in it: no reader takes them
    /// for committed, and a later transaction of the same producer is not mixed with them. Durable with the ticket.
    ///
    /// # Errors
    /// [`MirrorRefusal::End`] below the log end, [`MirrorRefusal::GapTooNarrow`]; nothing was changed then.
    pub fn advance_end(
        self: &Arc<Self>,
        to: Offset,
        fence: MirrorFence,
        now: MirrorTime,
    ) -> Result<Advanced, MirrorRefusal> {
        let mut state = self.state.lock();
        state.check_fence(fence)?;
        let log_end = state.log_end;
        if to < log_end || to.0 == i64::MAX {
            return Err(MirrorRefusal::End {
                log_end,
                expected: to,
            });
        }
        state.mirror.renew(now.monotonic);
        let open = state.transactions.open_transactions();
        let unknown_transactions = if to > log_end { open.len() } else { 0 };
        if to > log_end && open.is_empty() {
            self.push(&mut state, EntryContent::Event(LogEvent::JumpTo(to)))?;
            state.log_end = to;
        } else if to > log_end {
            let gap = to.0 - log_end.0;
            let count = i64::try_from(open.len()).unwrap_or(i64::MAX);
            if count > gap {
                return Err(MirrorRefusal::GapTooNarrow {
                    open: open.len(),
                    gap,
                    first: open.first().map_or(log_end, |oldest| oldest.first_offset),
                });
            }
            let epoch = state.epochs.latest().unwrap_or(LeaderEpoch(0));
            let markers = state.abort_markers(&open, (Offset(to.0 - count), epoch), now.wall)?;
            self.push_markers(&mut state, &markers, [], now.wall)?;
        }
        let ticket = state.last_ticket.clone();
        Ok(Advanced {
            ticket,
            unknown_transactions,
        })
    }

    fn push_markers<const N: usize>(
        self: &Arc<Self>,
        state: &mut LogState,
        markers: &[Bytes],
        events: [LogEvent; N],
        now: TimestampMs,
    ) -> Result<(), AppendError> {
        let mut contents = Vec::with_capacity(markers.len() + N);
        for marker in markers {
            contents.push(state.pending(&BatchHeader::parse(marker)?, marker.clone()));
        }
        contents.extend(events.map(EntryContent::Event));
        self.push_all(state, contents)?;
        for marker in markers {
            state.note_run(marker, now);
        }
        Ok(())
    }

    /// Moves the log start up to `to`, at most the high watermark; a lower one changes nothing. Durable with the ticket.
    ///
    /// # Errors
    /// [`AppendError::OffsetOutOfRange`] above the high watermark; [`MirrorRefusal`].
    pub fn set_mirror_start(
        self: &Arc<Self>,
        to: Offset,
        fence: MirrorFence,
        now: Instant,
    ) -> Result<Option<Ticket>, MirrorRefusal> {
        let mut state = self.state.lock();
        state.check_fence(fence)?;
        state.mirror.renew(now);
        let (_, ticket) = self.delete_records_locked(&mut state, to.max(Offset::ZERO))?;
        Ok(ticket)
    }

    /// Begins to cut off records at and above `to`: from here on no other operation comes in between, until the
    /// truncation was run or is dropped.
    ///
    /// # Errors
    /// [`MirrorRefusal::End`] above the log end; [`MirrorRefusal`].
    pub fn begin_truncation(
        self: &Arc<Self>,
        to: Offset,
        fence: MirrorFence,
        now: Instant,
    ) -> Result<Truncation, MirrorRefusal> {
        let mut state = self.state.lock();
        state.check_fence(fence)?;
        let log_end = state.log_end;
        if to > log_end {
            let expected = to;
            return Err(MirrorRefusal::End { log_end, expected });
        }
        if state.leader_epoch.0 == i32::MAX {
            return Err(MirrorRefusal::EpochTooHigh(state.leader_epoch));
        }
        state.mirror.change = Change::Truncation;
        state.mirror.renew(now);
        let epoch = LeaderEpoch(state.leader_epoch.0 + 1);
        Ok(Truncation {
            log: Arc::clone(self),
            to,
            epoch,
        })
    }

    /// Ends the mirror: each open transaction is aborted, all producers are forgotten, a leader epoch above `epoch_above`
    /// and every one that was announced begins, and clients may append. All of it is durable, and in force, when the ticket
    /// completes; after a crash before that the partition may still be the link's, and it is promoted again. A partition
    /// that the same claim has promoted stays as it is.
    ///
    /// # Errors
    /// [`MirrorRefusal`]; nothing was changed then.
    pub fn promote(
        self: &Arc<Self>,
        epoch_above: LeaderEpoch,
        fence: MirrorFence,
        now: TimestampMs,
    ) -> Result<Option<Ticket>, MirrorRefusal> {
        let mut state = self.state.lock();
        state.check_open()?;
        let is_done = state.write_state == WriteState::Open || state.mirror.change == Change::Promotion;
        if is_done && state.mirror.session > 0 {
            state.check_session(fence)?;
            return Ok(state.last_ticket.clone());
        }
        state.check_fence(fence)?;
        let above = epoch_above.max(state.leader_epoch);
        if above.0 > EPOCH_ABOVE_MAX {
            return Err(MirrorRefusal::EpochTooHigh(above));
        }
        let open = state.transactions.open_transactions();
        let cut = (state.log_end, state.leader_epoch);
        let markers = state.abort_markers(&open, cut, now)?;
        let end = Offset(
            state
                .log_end
                .0
                .saturating_add(i64::try_from(open.len()).unwrap_or(i64::MAX)),
        );
        if end.0 == i64::MAX {
            return Err(AppendError::OffsetsExhausted.into());
        }
        let events = [
            LogEvent::ProducerReset,
            LogEvent::EpochStart(LeaderEpoch(above.0 + 1), end),
            LogEvent::Unsealed,
        ];
        self.push_markers(&mut state, &markers, events, now)?;
        state.forget_producers();
        state.mirror.change = Change::Promotion;
        Ok(state.last_ticket.clone())
    }
}

impl LogState {
    fn check_run(&self, ends: RunEnds) -> Result<(), MirrorRefusal> {
        let (log_end, expected) = (self.log_end, ends.base_offset);
        if expected < log_end {
            return Err(MirrorRefusal::End { log_end, expected });
        }
        if ends.last_offset.0 == i64::MAX {
            return Err(AppendError::OffsetsExhausted.into());
        }
        if let Some(last) = self.epochs.latest()
            && ends.first_epoch < last
        {
            let (offset, found) = (ends.base_offset, ends.first_epoch);
            return Err(MirrorRefusal::EpochFell { offset, found, last });
        }
        Ok(())
    }
}

/// A truncation that keeps other operations out until it is dropped.
#[derive(Debug)]
pub struct Truncation {
    log: Arc<PartitionLog>,
    to: Offset,
    epoch: LeaderEpoch,
}

impl Truncation {
    /// Cuts; blocks on the disk until it is durable. A cut at the log end changes nothing.
    ///
    /// # Errors
    /// [`TruncateError`]; before the event is durable nothing was changed.
    pub fn run(self) -> Result<(), TruncateError> {
        if self.to == self.log.offsets().log_end_offset {
            return Ok(());
        }
        self.log.truncate_to(self.to, self.epoch)
    }
}

impl Drop for Truncation {
    fn drop(&mut self) {
        self.log.state.lock().mirror.change = Change::None;
    }
}
