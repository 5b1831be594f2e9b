//! The entries of a group as runs of partitions.

use super::{CommittedRun, Entry, EntryContent, GroupMember};
use crate::wal::group::{BatchRun, RunContent};
use crate::wal::{Slot, WalLocation};
use std::sync::Arc;

/// Sorts entries by partition, keeping each one's order, and joins neighbouring batches into runs.
pub(super) fn gather(mut entries: Vec<Entry>) -> Vec<(Arc<dyn GroupMember>, Vec<CommittedRun>)> {
    entries.sort_by_key(|entry| entry.id);
    let mut members: Vec<(Arc<dyn GroupMember>, Vec<CommittedRun>)> = Vec::new();
    let mut last_id = None;
    let location = WalLocation { file: 0, position: 0 };
    for entry in entries {
        if last_id != Some(entry.id) {
            last_id = Some(entry.id);
            members.push((entry.member, Vec::new()));
        }
        let runs = &mut members.last_mut().expect("pushed for the first entry").1;
        match entry.content {
            EntryContent::Event(event) => runs.push(CommittedRun {
                slot: Slot(0),
                location,
                content: RunContent::Event(event),
                parts: Vec::new(),
                memory: 0,
            }),
            EntryContent::Batch(batch) => {
                let len = batch.bytes.len();
                let kept = batch.frame.map_or(len, |frame| frame.memory_of(len));
                if let Some(CommittedRun {
                    content: RunContent::Batches(run),
                    parts,
                    memory,
                    ..
                }) = runs.last_mut()
                    && run.leader_epoch == batch.leader_epoch
                {
                    run.last_offset = batch.last_offset;
                    run.max_timestamp = run.max_timestamp.max(batch.max_timestamp);
                    parts.push(batch.bytes);
                    *memory += kept;
                    continue;
                }
                let run = BatchRun {
                    leader_epoch: batch.leader_epoch,
                    base_offset: batch.base_offset,
                    last_offset: batch.last_offset,
                    max_timestamp: batch.max_timestamp,
                    position: 0,
                    len: 0,
                };
                runs.push(CommittedRun {
                    slot: Slot(0),
                    location,
                    content: RunContent::Batches(run),
                    parts: vec![batch.bytes],
                    memory: kept,
                });
            }
        }
    }
    members
}
