//! Whether a batch lies where it should. Base offset and leader epoch stand outside a batch's checksum, so that a broker
//! can set them; what else knows them must agree: the batch before, the batch behind, the segment's row, the epochs.
//!
//! Offsets may have gaps (compaction, mirrors). A batch that seems to follow one may as well have a wrong base offset:
//! then it reaches into the batch behind it, or past the end of the segment, and the one before it may have lost some of
//! its own length, which its checksum tells.
//! What nothing else tells is a base offset that is wrong within a true gap.

use super::epochs::Epochs;
use super::rows::WriteState;
use thalweg_types::{LeaderEpoch, Offset};
use thalweg_wire::batch::BatchHeader;

/// How a batch follows the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// At once.
    Next,
    /// With offsets missing in between: to be believed only if the batch behind agrees.
    BehindGap,
}

/// A walk over batches in the order of their positions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walk {
    /// Base offset of the next batch if nothing is missing; `None` where another witness names the first batch.
    next: Option<Offset>,
    lowest: Offset,
    highest: Offset,
    /// Leader epoch of the batch before.
    epoch: Option<LeaderEpoch>,
}

impl Walk {
    /// Starts at the first batch of a range of offsets, both ends included.
    pub(crate) fn over(lowest: Offset, highest: Offset) -> Self {
        Self {
            next: Some(lowest),
            lowest,
            highest,
            epoch: None,
        }
    }

    /// The same, but it starts at a batch in the middle whose offsets an index entry has confirmed.
    pub(crate) fn starting_confirmed(self) -> Self {
        Self { next: None, ..self }
    }

    /// Judges the next batch, and does not go on.
    ///
    /// # Errors
    /// Why its offsets cannot be true.
    pub(crate) fn fit(&self, header: &BatchHeader) -> Result<Fit, String> {
        let (base, last) = (header.base_offset, header.last_offset());
        let lowest = self.next.unwrap_or(self.lowest);
        if base < lowest || last > self.highest {
            return Err(format!(
                "a batch claims offsets {base} to {last}, expected within {lowest} to {}",
                self.highest
            ));
        }
        Ok(match self.next {
            Some(next) if base > next => Fit::BehindGap,
            Some(_) | None => Fit::Next,
        })
    }

    /// Goes on behind a batch.
    pub(crate) fn pass(&mut self, header: &BatchHeader) {
        self.next = Some(header.next_offset());
        self.epoch = Some(header.leader_epoch);
    }

    /// Reports whether the next batch, the first of this walk, has an older epoch than is known, and no link explains it.
    pub(crate) fn doubts_epoch(&self, next: Option<BatchHeader>, known: &KnownEpochs) -> bool {
        self.epoch.is_none()
            && known.write_state != WriteState::OwnedByLink
            && next.is_some_and(|next| next.leader_epoch < known.at_end_of(&next))
    }

    /// Judges the leader epoch of the next batch; `behind` reads the header of the batch after it, `first` that of the
    /// first batch of the segment. Both are asked only where the epoch is not the one that is known.
    ///
    /// # Errors
    /// Why it cannot be true.
    pub(crate) fn check_epoch(
        &self,
        header: &BatchHeader,
        known: &KnownEpochs,
        first: impl FnOnce() -> Option<BatchHeader>,
        behind: impl FnOnce() -> Option<BatchHeader>,
    ) -> Result<(), String> {
        let (base, epoch) = (header.base_offset, header.leader_epoch);
        // By its last offset: the log, and its oldest epoch with it, may start in the middle of a batch.
        let expected = known.at_end_of(header);
        if epoch == expected {
            return Ok(());
        }
        // A mirror keeps its source's epochs, which may be older than the one that a truncation has raised; they do not
        // fall either, and where the log is a link's no more, its own epoch lies above.
        let older =
            || first().filter(|first| first.next_offset() <= base && known.at_end_of(first) == expected);
        let before = self.epoch.or_else(|| older().map(|first| first.leader_epoch));
        let fell = before.is_some_and(|before| before > epoch && before <= expected);
        let rises = self.epoch.is_none()
            && known.write_state != WriteState::OwnedByLink
            && behind().is_some_and(|behind| {
                behind.leader_epoch == expected && known.at_end_of(&behind) == expected
            });
        if epoch > expected || fell || rises {
            return Err(format!(
                "a batch at offset {base} claims leader epoch {epoch}, expected {expected}"
            ));
        }
        Ok(())
    }
}

/// Says that a batch reaches into the one behind it: one of the two has a wrong base offset.
///
/// # Errors
/// That.
pub(crate) fn check_behind(header: &BatchHeader, behind: &BatchHeader) -> Result<(), String> {
    if behind.base_offset >= header.next_offset() {
        return Ok(());
    }
    Err(format!(
        "a batch claims offsets {} to {}, and the batch behind it starts at {}",
        header.base_offset,
        header.last_offset(),
        behind.base_offset
    ))
}

/// What a log knows of its leader epochs.
#[derive(Clone, Debug)]
pub(crate) struct KnownEpochs {
    pub(crate) epochs: Epochs,
    pub(crate) write_state: WriteState,
}

impl KnownEpochs {
    fn at_end_of(&self, header: &BatchHeader) -> LeaderEpoch {
        let found = self.epochs.epoch_at(header.last_offset());
        found.unwrap_or(LeaderEpoch::UNKNOWN)
    }
}

#[cfg(test)]
#[path = "place_test.rs"]
mod tests;
