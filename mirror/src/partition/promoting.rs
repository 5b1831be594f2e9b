//! Promotion: the link gives the partition to clients, at a place that is known.

use std::time::{Duration, Instant};

use thalweg_types::{LeaderEpoch, Offset};
use thalweg_wire::mirror::Operation;

use super::{Partition, Phase, Stop};

/// Epochs that a failover leaves out: a source that comes back begins one with each start, and must stay below for long.
const FAILOVER_EPOCHS: i32 = 1_000;

/// How a partition is promoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promotion {
    /// When it has everything and no transaction is open.
    Planned {
        /// How long the source's end must have stood still, where the source cannot be sealed.
        still: Duration,
        /// The source is sealed first; transactions that are open then may go on for so long, and are aborted.
        seal: Option<Duration>,
    },
    /// Now, with what it has: the source is lost.
    Failover,
}

impl Partition {
    /// Wants the partition promoted. A stopped one is only in a failover; one that is promoted already stays so.
    pub fn promote(&mut self, promotion: Promotion, now: Instant) {
        if self.stop() == Some(&Stop::Promoted) {
            return;
        }
        self.promotion = Some(promotion);
        self.is_paused = false;
        if promotion == Promotion::Failover && matches!(self.phase, Phase::Stopped(_)) {
            self.resume(now);
        }
        match promotion {
            Promotion::Failover => self.proceed(),
            Promotion::Planned { seal: Some(_), .. } => {
                self.at_source.want_seal(LeaderEpoch(i32::MAX), now);
            }
            Promotion::Planned { seal: None, .. } => {}
        }
    }

    /// Where the mirror ended when it was promoted: what the source has from there on, it does not.
    #[must_use]
    pub const fn cut(&self) -> Option<Offset> {
        self.cut
    }

    /// Notes a leader epoch that the source announced.
    pub fn saw_epoch(&mut self, epoch: LeaderEpoch) {
        self.source_epoch = self.source_epoch.max(epoch);
    }

    pub(super) fn note_end(&mut self, end: Offset, now: Instant) {
        if self.still.is_none_or(|(before, _)| before != end) {
            self.still = Some((end, now));
        }
    }

    /// The command, when its time has come. A claim comes first.
    pub(super) fn promote_now(&self, now: Instant) -> Option<(Operation, Offset)> {
        let may = match (self.promotion?, &self.phase) {
            (_, Phase::Claiming | Phase::Stopped(_)) => false,
            (Promotion::Failover, _) => self.session > 0,
            (Promotion::Planned { still, seal }, Phase::Copying) => self.has_all(still, seal, now),
            (Promotion::Planned { .. }, _) => false,
        };
        let last = self
            .report
            .as_ref()
            .map_or(LeaderEpoch::UNKNOWN, |report| report.last_epoch);
        let announced = self.source_epoch.max(last).max(LeaderEpoch(0));
        // A failover takes what is there; a planned one must not lose an append that nobody knows of.
        let (epoch_above, end) = match self.promotion? {
            Promotion::Planned { .. } => (announced, self.log_end()),
            Promotion::Failover => (
                LeaderEpoch(announced.0.saturating_add(FAILOVER_EPOCHS)),
                Offset::UNKNOWN,
            ),
        };
        may.then_some((Operation::Promote { epoch_above }, end))
    }

    fn has_all(&self, still: Duration, seal: Option<Duration>, now: Instant) -> bool {
        let Some(place) = self.place else {
            return false;
        };
        let has_all = self.is_caught_up && self.buffered.is_none() && self.advance_to.is_none();
        let is_last = match (seal, self.sealed_at(), self.still) {
            // What the source said before it was sealed may not be all.
            (Some(_), Some(sealed_at), _) => place.end >= sealed_at,
            (None, _, Some((end, since))) => {
                place.end == end && now.saturating_duration_since(since) >= still
            }
            _ => false,
        };
        has_all && is_last && place.stable_end == place.end && self.log_end() == place.end
    }

    pub(super) fn promoted(&mut self) {
        self.promotion = None;
        self.halt(Stop::Promoted);
    }
}
