//! Placing: does the mirror's end lie in the source's log, with the same history?

use std::time::Instant;

use thalweg_client::EpochEnd;
use thalweg_types::{LeaderEpoch, Offset};
use thalweg_wire::mirror::Report;

use super::{Loss, Partition, Phase, Question, Stop};
use crate::config::{OnGap, OnRewind, ReadUpTo, Start};

/// The source's log as it was a moment ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its log start offset.
    pub start: Offset,
    /// Its high watermark.
    pub end: Offset,
    /// Its last stable offset; the high watermark where the source does not say.
    pub stable_end: Offset,
    /// Where the epoch of the mirror's last batch ends, if it was asked for and the source knows.
    pub epoch_end: Option<EpochEnd>,
}

impl Place {
    /// The end of what may be read.
    #[must_use]
    pub const fn limit(&self, read: ReadUpTo) -> Offset {
        match read {
            ReadUpTo::Committed => self.stable_end,
            ReadUpTo::All => self.end,
        }
    }
}

/// How the mirror lies to the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    /// It goes on at its end.
    Continues,
    /// It begins elsewhere than at 0; nothing is lost, for nothing was promised.
    Begins { at: Offset },
    /// The source lost what comes next.
    Gap { to: Offset },
    /// The source has not what the mirror has from here on.
    Rewind { at: Offset },
}

fn fit(report: &Report, place: &Place, start: Start, limit: Offset) -> Fit {
    let end = report.log_end;
    let is_fresh = end == Offset::ZERO;
    if is_fresh && start == Start::Latest && limit > Offset::ZERO {
        return Fit::Begins { at: limit };
    }
    if place.end < end {
        return Fit::Rewind { at: place.end };
    }
    // An epoch that ends at or below the source's start left no record that could be compared.
    let compared = place.epoch_end.filter(|found| {
        found.leader_epoch != LeaderEpoch::UNKNOWN
            && found.end_offset >= Offset::ZERO
            && found.end_offset > place.start
    });
    if let Some(found) = compared.filter(|found| found.end_offset < end) {
        return Fit::Rewind { at: found.end_offset };
    }
    match (place.start > end, is_fresh) {
        (false, _) => Fit::Continues,
        (true, true) => Fit::Begins { at: place.start },
        (true, false) => Fit::Gap { to: place.start },
    }
}

impl Partition {
    /// What is to be asked of the source now. Not while a command is under way: its answer may move the end.
    #[must_use]
    pub fn question(&self, now: Instant) -> Option<Question> {
        if self.phase != Phase::Placing || self.is_asking || self.pending.is_some() || self.is_idle(now) {
            return None;
        }
        if self.truncate_to.is_some() {
            return None;
        }
        let report = self.report.as_ref()?;
        let has_records = report.log_end > report.log_start && report.last_epoch >= LeaderEpoch(0);
        Some(Question {
            epoch: has_records.then_some(report.last_epoch),
            generation: self.generation,
        })
    }

    /// The question is on its way.
    pub fn asked(&mut self) {
        self.is_asking = true;
    }

    /// The source answered.
    pub fn placed(&mut self, generation: u64, answer: Result<Place, String>, now: Instant) {
        if generation != self.generation || self.phase != Phase::Placing {
            return;
        }
        self.is_asking = false;
        let Some(report) = self.report else { return };
        let place = match answer {
            Ok(place) => place,
            Err(reason) => return self.retry(reason, now),
        };
        self.place = Some(place);
        let limit = place.limit(self.rules.read);
        match fit(&report, &place, self.rules.start, limit) {
            Fit::Continues => self.copy_from(report.log_end),
            Fit::Begins { at } => {
                self.jump_to(at);
                self.begin_at = Some(at);
            }
            Fit::Gap { to } => match self.rules.on_gap {
                OnGap::Stop => self.halt(Stop::Gap {
                    from: report.log_end,
                    to,
                }),
                OnGap::Jump => {
                    self.lose(Loss::Missed {
                        from: report.log_end,
                        to,
                    });
                    self.jump_to(to);
                }
            },
            Fit::Rewind { at } => self.rewind_to(at, &report),
        }
    }

    fn copy_from(&mut self, at: Offset) {
        self.proceed();
        self.fetch_at = at;
        self.phase = Phase::Copying;
    }

    /// Goes on at `at`, which is beyond the end. Where exactly the end goes is known with the first batch: `at` may lie
    /// inside it (DeleteRecords moves a log start to any record).
    fn jump_to(&mut self, at: Offset) {
        self.jump = Some(at);
        self.copy_from(at);
    }

    fn rewind_to(&mut self, at: Offset, report: &Report) {
        // What lies below the mirror's own start cannot be cut off: there is nothing to go on from.
        if self.rules.on_rewind == OnRewind::Stop || at < report.log_start {
            return self.halt(Stop::Rewind {
                from: at,
                to: report.log_end,
            });
        }
        self.lose(Loss::CutBack {
            from: at,
            to: report.log_end,
        });
        self.proceed();
        self.truncate_to = Some(at);
    }
}
