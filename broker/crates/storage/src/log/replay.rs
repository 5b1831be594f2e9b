//! Replay of the write-ahead log into a log that was opened from its recovery point.

use super::PartitionLog;
use super::append::NotedBatch;
use super::rows::WriteState;
use crate::planted::{Bug, is_planted};
use crate::wal::group::{BatchRun, LogEvent, RunContent};
use crate::wal::{Slot, WalLocation};
use std::sync::Arc;
use thalweg_types::TimestampMs;
use thalweg_wire::batch::split_batches;
use thalweg_wire::records::EndTransactionMarker;

/// A run that replay found.
#[derive(Debug)]
pub(crate) struct ReplayedRun<'a> {
    pub slot: Slot,
    pub location: WalLocation,
    pub content: RunContent,
    /// The batches' bytes, empty for an event.
    pub bytes: &'a [u8],
}

impl PartitionLog {
    /// Applies a run that the recovery point may or may not contain.
    ///
    /// # Errors
    /// What does not fit, in words: the start is refused with it.
    pub(crate) fn replay(self: &Arc<Self>, run: &ReplayedRun<'_>) -> Result<(), String> {
        {
            let state = self.state.lock();
            if state.covered.is_some_and(|covered| run.slot <= covered) {
                return Ok(());
            }
        }
        match run.content {
            RunContent::Batches(batches) => self.replay_batches(run, batches),
            RunContent::Event(event) => self.replay_event(run.slot, event),
        }
    }

    fn replay_batches(self: &Arc<Self>, run: &ReplayedRun<'_>, batches: BatchRun) -> Result<(), String> {
        let now = self.shared.clock.now();
        let mut state = self.state.lock();
        let segments_end = state.segments.last().map(|segment| segment.next_offset);
        if segments_end.is_none_or(|end| batches.last_offset >= end) {
            let start = state
                .tail
                .runs_from(batches.base_offset)
                .next()
                .map(|r| r.run.base_offset);
            if let Some(start) = start {
                let (base, topic) = (batches.base_offset, &self.topic);
                return Err(format!(
                    "{topic}-{}: offset {base} follows {start}",
                    self.id.partition
                ));
            }
            let high_watermark = state.high_watermark;
            let settled = state
                .transactions
                .settled_in_replay(batches.base_offset, high_watermark);
            state
                .tail
                .push_replayed((run.slot, run.location), batches, settled);
        }
        for batch in split_batches(run.bytes) {
            let batch = batch.map_err(|e| format!("{}-{}: {e}", self.topic, self.id.partition))?;
            let noted = NotedBatch {
                header: &batch.header,
                base_offset: batch.header.base_offset,
                leader_epoch: batch.header.leader_epoch,
                marker: EndTransactionMarker::of_batch(batch.bytes),
            };
            state.note_batch(&noted, now.max(TimestampMs(0)));
        }
        state.log_end = state.log_end.max(batches.last_offset.next());
        state.high_watermark = state.log_end;
        let high_watermark = state.high_watermark;
        state.transactions.advance(high_watermark);
        self.note_replayed(&mut state, run.slot);
        Ok(())
    }

    fn replay_event(self: &Arc<Self>, slot: Slot, event: LogEvent) -> Result<(), String> {
        if let LogEvent::TruncateTo(offset, epoch) = event
            && !is_planted(Bug::TruncationResurrected)
        {
            self.apply_truncation(offset, epoch)
                .map_err(|e| format!("{}-{}: {e}", self.topic, self.id.partition))?;
        }
        let mut state = self.state.lock();
        state.apply(event);
        match event {
            LogEvent::ProducerReset => state.producers.clear(),
            LogEvent::SealedAt(offset) => state.write_state = WriteState::SealedAt(offset),
            LogEvent::Unsealed => state.write_state = WriteState::Open,
            LogEvent::OwnedByLink => state.write_state = WriteState::OwnedByLink,
            LogEvent::LogStart(_)
            | LogEvent::JumpTo(_)
            | LogEvent::EpochStart(..)
            | LogEvent::Session(_)
            | LogEvent::TruncateTo(..) => {}
        }
        self.note_replayed(&mut state, slot);
        Ok(())
    }

    fn note_replayed(self: &Arc<Self>, state: &mut super::LogState, slot: Slot) {
        if state.uncovered.is_empty() {
            self.shared.note_dirty(self);
        }
        state.note_uncovered(slot);
    }
}
