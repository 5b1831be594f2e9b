//! Seals: a log that takes no new records and keeps what it has, so that its end can be known for good; and a log that is
//! given to a mirror link although clients have written to it.
//!
//! | from | `seal` | `unseal` | `give_to_link` |
//! |---|---|---|---|
//! | open | sealed | stays | the link's |
//! | sealed | stays | open | the link's |
//! | the link's | refused | refused | stays |
//!
//! A sealed log still acknowledges the repeat of a batch that it has, and takes the marker of each transaction that is
//! open; other markers have nothing to end. So its end moves only while transactions are open, and then never again. All
//! three are log events: they are in force at once, and a crash keeps them once their ticket completed.

use super::append::{Append, AppendError, Appended, CheckedBatch, Origin};
use super::mirror::MirrorRefusal;
use super::producers::SequenceCheck;
use super::rows::WriteState;
use super::verification::Verifications;
use super::{LogState, PartitionLog};
use crate::commit::{EntryContent, Ticket};
use crate::wal::group::LogEvent;
use std::sync::Arc;
use thalweg_types::{LeaderEpoch, ProducerId};

impl PartitionLog {
    /// Refuses new records from here on. A log whose leader epoch has reached `epoch_below` was given to clients after
    /// whoever asks looked at it, and is left alone. Durable with the ticket; one that is sealed stays so.
    ///
    /// # Errors
    /// [`MirrorRefusal::LinksOwn`], [`MirrorRefusal::Newer`]; the log's. Nothing was changed then.
    pub fn seal(self: &Arc<Self>, epoch_below: LeaderEpoch) -> Result<Option<Ticket>, MirrorRefusal> {
        let mut state = self.state.lock();
        state.check_open()?;
        match state.write_state {
            WriteState::SealedAt(_) => return Ok(state.last_ticket.clone()),
            WriteState::OwnedByLink => return Err(MirrorRefusal::LinksOwn),
            WriteState::Open => {}
        }
        if state.leader_epoch >= epoch_below {
            let (current, below) = (state.leader_epoch, epoch_below);
            return Err(MirrorRefusal::Newer { current, below });
        }
        let end = state.log_end;
        let ticket = self.push(&mut state, EntryContent::Event(LogEvent::SealedAt(end)))?;
        state.write_state = WriteState::SealedAt(end);
        Ok(Some(ticket))
    }

    /// Takes records again after [`PartitionLog::seal`]. Durable with the ticket; an open log stays so.
    ///
    /// # Errors
    /// [`MirrorRefusal::LinksOwn`]; the log's. Nothing was changed then.
    pub fn unseal(self: &Arc<Self>) -> Result<Option<Ticket>, MirrorRefusal> {
        let mut state = self.state.lock();
        state.check_open()?;
        match state.write_state {
            WriteState::Open => return Ok(state.last_ticket.clone()),
            WriteState::OwnedByLink => return Err(MirrorRefusal::LinksOwn),
            WriteState::SealedAt(_) => {}
        }
        let ticket = self.push(&mut state, EntryContent::Event(LogEvent::Unsealed))?;
        state.write_state = WriteState::Open;
        Ok(Some(ticket))
    }

    /// Makes the log a mirror link's, with the records that it has: clients are refused from here on. Whether those are the
    /// link's source's as well is for the link to find out before it appends. Durable with the ticket; a link's log stays
    /// as it is, with its claims.
    ///
    /// # Errors
    /// The log's; nothing was changed then.
    pub fn give_to_link(self: &Arc<Self>) -> Result<Option<Ticket>, AppendError> {
        let mut state = self.state.lock();
        state.check_open()?;
        if state.write_state == WriteState::OwnedByLink {
            return Ok(state.last_ticket.clone());
        }
        let ticket = self.push(&mut state, EntryContent::Event(LogEvent::OwnedByLink))?;
        state.write_state = WriteState::OwnedByLink;
        // What a coordinator of this cluster agreed to is none of the link's.
        state.verifications = Verifications::default();
        state.mirror.forget_holder();
        Ok(Some(ticket))
    }
}

impl LogState {
    /// The place of a batch that was appended before. A sealed log has an answer for nothing else: a sequence that does
    /// not fit is that of a batch behind one that was refused.
    pub(super) fn repeated(
        &self,
        batch: &CheckedBatch,
        origin: Origin,
    ) -> Result<Option<Append>, AppendError> {
        if origin != Origin::Client {
            return Ok(None);
        }
        let check = match (self.producers.check(&batch.header), self.write_state) {
            (Ok(check), _) => check,
            (Err(_), WriteState::SealedAt(_)) => return Ok(None),
            (Err(error), _) => return Err(error.into()),
        };
        let SequenceCheck::Duplicate(range) = check else {
            return Ok(None);
        };
        let ticket = self.last_ticket.clone();
        Ok(Some(Append::Duplicate(Appended {
            base_offset: range.base_offset,
            last_offset: range.last_offset,
            log_start_offset: self.log_start,
            ticket: ticket.filter(|_| range.last_offset >= self.high_watermark),
        })))
    }

    /// Refuses the marker of a transaction that is not open in a log that is not open.
    pub(super) fn check_marker_origin(&self, producer_id: ProducerId) -> Result<(), AppendError> {
        let is_sealed = matches!(self.write_state, WriteState::SealedAt(_));
        if is_sealed && self.transactions.is_open(producer_id) {
            return Ok(());
        }
        self.check_origin(Origin::Coordinator)
    }
}
