//! The tail of a log: committed runs that are in memory or not in a segment yet, oldest first.
//!
//! A run leaves memory when the broker-wide limit says so: if its bytes are in a segment it leaves the tail,
//! otherwise it stays as a location in the write-ahead log. Runs drain to segments in order.

use crate::commit::CommittedRun;
use crate::wal::group::BatchRun;
use crate::wal::{Slot, WalLocation};
use bytes::Bytes;
use std::collections::VecDeque;
use thalweg_types::{Offset, TimestampMs};

/// One run of the tail.
#[derive(Clone, Debug)]
pub(crate) struct TailRun {
    pub slot: Slot,
    pub location: WalLocation,
    pub run: BatchRun,
    /// The batches, one element each; `None` when only the write-ahead log has them.
    pub parts: Option<Box<[Bytes]>>,
    pub drained: bool,
    /// No transaction that was open at a record of the run began below this offset, but for those that begin in it.
    pub settled: Offset,
}

impl TailRun {
    /// Where the run's bytes lie in the write-ahead log.
    pub(crate) fn wal_location(&self) -> WalLocation {
        let position = self.location.position + u64::from(self.run.position);
        WalLocation {
            file: self.location.file,
            position,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.run.len as usize
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Tail {
    runs: VecDeque<TailRun>,
    /// How many runs at the front are drained.
    drained: usize,
    undrained_bytes: usize,
}

impl Tail {
    pub(crate) fn push(&mut self, committed: CommittedRun, run: BatchRun, settled: Offset) {
        self.undrained_bytes += run.len as usize;
        self.runs.push_back(TailRun {
            slot: committed.slot,
            location: committed.location,
            run,
            parts: Some(committed.parts.into_boxed_slice()),
            drained: false,
            settled,
        });
    }

    /// Adds a run that replay found; its bytes stay in the write-ahead log.
    pub(crate) fn push_replayed(
        &mut self,
        (slot, location): (Slot, WalLocation),
        run: BatchRun,
        settled: Offset,
    ) {
        self.undrained_bytes += run.len as usize;
        self.runs.push_back(TailRun {
            slot,
            location,
            run,
            parts: None,
            drained: false,
            settled,
        });
    }

    pub(crate) fn undrained_bytes(&self) -> usize {
        self.undrained_bytes
    }

    /// First slot with a run that no segment holds.
    pub(crate) fn first_undrained_slot(&self) -> Option<Slot> {
        self.runs.get(self.drained).map(|run| run.slot)
    }

    /// What [`TailRun::settled`] says of the first run that no segment holds.
    pub(crate) fn undrained_settled(&self) -> Option<Offset> {
        self.runs.get(self.drained).map(|run| run.settled)
    }

    /// Largest timestamp of what no segment holds.
    pub(crate) fn undrained_max_timestamp(&self) -> Option<TimestampMs> {
        self.runs
            .range(self.drained..)
            .map(|run| run.run.max_timestamp)
            .max()
    }

    /// Largest timestamp of the oldest run that no segment holds.
    pub(crate) fn first_undrained_timestamp(&self) -> Option<TimestampMs> {
        self.runs.get(self.drained).map(|run| run.run.max_timestamp)
    }

    /// First offset that the tail holds.
    pub(crate) fn start(&self) -> Option<Offset> {
        self.runs.front().map(|run| run.run.base_offset)
    }

    /// Runs that hold `offset` or follow it.
    pub(crate) fn runs_from(&self, offset: Offset) -> impl Iterator<Item = &TailRun> {
        let first = self.runs.partition_point(|run| run.run.last_offset < offset);
        self.runs.range(first..)
    }

    /// The oldest runs that no segment holds, up to about `bytes`, none above slot `through`.
    pub(crate) fn next_to_drain(&self, bytes: usize, through: Slot) -> Vec<TailRun> {
        let mut total = 0;
        let mut out = Vec::new();
        for run in self.runs.range(self.drained..) {
            if run.slot > through || (total > 0 && total + run.len() > bytes) {
                break;
            }
            total += run.len();
            out.push(run.clone());
        }
        out
    }

    /// Notes that the `count` oldest undrained runs are in a segment now.
    pub(crate) fn mark_drained(&mut self, count: usize) {
        for run in self.runs.range_mut(self.drained..).take(count) {
            run.drained = true;
            self.undrained_bytes -= run.run.len as usize;
        }
        self.drained += count;
        self.drop_front();
    }

    /// Takes the runs up to a slot out of memory.
    pub(crate) fn evict_through(&mut self, slot: Slot) {
        for run in self.runs.iter_mut().take_while(|run| run.slot <= slot) {
            run.parts = None;
        }
        self.drop_front();
    }

    /// Forgets the drained runs that begin below an offset: their segments hold other batches now.
    pub(crate) fn forget_drained_below(&mut self, offset: Offset) {
        for run in self.runs.iter_mut().take(self.drained) {
            if run.run.base_offset >= offset {
                break;
            }
            run.parts = None;
        }
        self.drop_front();
    }

    fn drop_front(&mut self) {
        while self
            .runs
            .front()
            .is_some_and(|run| run.drained && run.parts.is_none())
        {
            self.runs.pop_front();
            self.drained -= 1;
        }
        if self.runs.is_empty() {
            // An idle partition keeps no buffer.
            self.runs = VecDeque::new();
        }
    }

    /// Returns the run that a truncation to `offset` cuts in two, if one is.
    pub(crate) fn cut_run(&self, offset: Offset) -> Option<TailRun> {
        self.runs_from(offset)
            .next()
            .filter(|run| run.run.base_offset < offset)
            .cloned()
    }

    /// Cuts runs at `offset`, which lies on a batch boundary; `kept` is what is left of [`Tail::cut_run`]: length,
    /// last offset and largest timestamp.
    pub(crate) fn truncate_to(&mut self, offset: Offset, kept: Option<(u32, Offset, TimestampMs)>) {
        let kept_of_cut = kept;
        while let Some(last) = self.runs.back_mut() {
            if last.run.last_offset < offset {
                break;
            }
            let kept = if last.run.base_offset < offset {
                kept_of_cut
            } else {
                None
            };
            if !last.drained {
                self.undrained_bytes -= last.run.len as usize;
            }
            let Some((len, last_offset, max_timestamp)) = kept else {
                if last.drained {
                    self.drained -= 1;
                }
                self.runs.pop_back();
                continue;
            };
            last.run.len = len;
            last.run.last_offset = last_offset;
            last.run.max_timestamp = max_timestamp;
            if let Some(parts) = last.parts.take() {
                let mut left = len as usize;
                let kept = parts.iter().take_while(|part| {
                    let fits = part.len() <= left;
                    left = left.saturating_sub(part.len());
                    fits
                });
                last.parts = Some(kept.cloned().collect());
            }
            if !last.drained {
                self.undrained_bytes += len as usize;
            }
            break;
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}
