//! Copying, the source's side: which fetch is wanted, and what its answer means.

use std::time::Instant;

use bytes::Bytes;
use thalweg_types::Offset;

use super::{Lane, Partition, Phase, Place, Stop, WantedFetch};
use crate::run::{Run, RunError, cut};

/// Empty answers in a row, each to a fetch without company, that prove an offset range empty.
const EMPTY_ALONE: u32 = 2;
/// Fetches of the same broken bytes before the partition stops.
const CORRUPT_TRIES: u32 = 3;

/// A fetch answer for one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The source's log start offset; unknown from old brokers.
    pub log_start: Offset,
    /// Its high watermark.
    pub high_watermark: Offset,
    /// Its last stable offset; unknown from old brokers.
    pub last_stable: Offset,
    /// Batches.
    pub records: Bytes,
    /// Whether no other partition was in the request.
    pub was_alone: bool,
}

/// Why a fetch brought nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchFailure {
    /// The source's log does not reach the offset, or begins behind it.
    OutOfRange,
    /// Anything that may pass.
    Passing(String),
}

impl Partition {
    /// Which fetch is wanted now.
    #[must_use]
    pub fn fetch(&self, now: Instant) -> Option<WantedFetch> {
        if self.phase != Phase::Copying || self.is_fetching || self.buffered.is_some() || self.is_idle(now) {
            return None;
        }
        // The end moves first: what comes behind an empty range is appended after it.
        if self.advance_to.is_some() || self.must_look {
            return None;
        }
        let lane = match (self.empty_alone > 0, self.is_caught_up) {
            (true, _) => Lane::Alone,
            (false, true) => Lane::Live,
            (false, false) => Lane::CatchUp,
        };
        Some(WantedFetch {
            at: self.fetch_at,
            lane,
            generation: self.generation,
        })
    }

    /// The fetch is on its way.
    pub fn fetching(&mut self) {
        self.is_fetching = true;
    }

    /// The source answered a fetch.
    pub fn fetched(&mut self, generation: u64, answer: Result<Fetched, FetchFailure>, now: Instant) {
        if generation != self.generation {
            return;
        }
        self.is_fetching = false;
        match answer {
            Ok(fetched) => self.take(fetched, now),
            Err(FetchFailure::OutOfRange) => self.look_again(),
            Err(FetchFailure::Passing(reason)) => self.retry(reason, now),
        }
    }

    /// What is fetched is kept and appended; then the source is asked where it is.
    fn look_again(&mut self) {
        self.jump = None;
        self.is_caught_up = false;
        self.must_look = true;
        self.settle();
    }

    /// Asks the source as soon as the mirror's end stands still.
    pub(super) fn settle(&mut self) {
        let has_work = self.pending.is_some() || self.buffered.is_some() || self.advance_to.is_some();
        if self.must_look && !has_work && self.phase == Phase::Copying {
            self.must_look = false;
            self.phase = Phase::Placing;
        }
    }

    fn take(&mut self, fetched: Fetched, now: Instant) {
        let place = Place {
            start: fetched.log_start.max(Offset::ZERO),
            end: fetched.high_watermark,
            stable_end: match fetched.last_stable >= Offset::ZERO {
                true => fetched.last_stable,
                false => fetched.high_watermark,
            },
            epoch_end: None,
        };
        self.place = Some(place);
        self.note_end(place.end, now);
        match cut(&fetched.records, self.fetch_at) {
            Ok(Some(run)) => self.take_run(run, &place, now),
            Ok(None) => self.take_nothing(&fetched, &place, now),
            Err(error @ RunError::OldFormat { .. }) => self.halt(Stop::Unreadable(error.to_string())),
            Err(error) => self.try_bytes_again(error.to_string(), now),
        }
    }

    /// Bytes may have been damaged on their way; the same damage again and again lies on the source's disk.
    pub(super) fn try_bytes_again(&mut self, what: String, now: Instant) {
        self.corrupt_tries += 1;
        if self.corrupt_tries >= CORRUPT_TRIES {
            return self.halt(Stop::Unreadable(what));
        }
        self.doubt();
        self.phase = self.phase_after_doubt();
        self.retry(what, now);
    }

    fn take_run(&mut self, run: Run, place: &Place, now: Instant) {
        self.empty_alone = 0;
        let goal = self.jump.take();
        let floor = if goal.is_some() {
            self.log_end()
        } else {
            self.fetch_at
        };
        if run.base < floor {
            // The mirror ends inside a batch of the source, which a mirror of this source never does.
            return self.halt(Stop::Rewind {
                from: run.base,
                to: floor,
            });
        }
        self.advance_to = goal
            .map(|goal| run.base.min(goal))
            .filter(|to| *to > self.log_end());
        self.fetch_at = run.next;
        self.is_caught_up = run.next >= place.limit(self.rules.read);
        self.buffered = Some(run);
        self.proceed();
        if self.is_caught_up {
            self.complete_at = now;
        }
    }

    /// At the end nothing is normal. Before it, nothing in a fetch of its own means that the range is empty: compaction
    /// or expired transactions took the records, or the bytes of the answer were not enough for one batch.
    fn take_nothing(&mut self, fetched: &Fetched, place: &Place, now: Instant) {
        let limit = place.limit(self.rules.read);
        if place.end < self.fetch_at && self.jump.is_none() {
            return self.look_again();
        }
        if self.fetch_at >= limit {
            self.empty_alone = 0;
            if let Some(goal) = self.jump.take() {
                self.advance_to = Some(goal).filter(|to| *to > self.log_end());
            }
            self.is_caught_up = true;
            self.complete_at = now;
            self.went_well();
            return;
        }
        self.is_caught_up = false;
        if !fetched.was_alone {
            self.empty_alone = self.empty_alone.max(1);
            return;
        }
        self.empty_alone += 1;
        if self.empty_alone > EMPTY_ALONE {
            self.empty_alone = 0;
            self.jump = None;
            self.advance_to = Some(limit);
            self.fetch_at = limit;
        }
    }
}
