//! Which part of a log may be cleaned, whether that is worth it, and which segments become one.
//!
//! Pure. Kafka's rules: the active segment and what is not stable are never touched; a segment younger than
//! `min.compaction.lag.ms` and all behind it neither (KIP-58); a log is worth cleaning when the share of bytes that
//! were never cleaned is above `min.cleanable.dirty.ratio`, or when a record waits longer than
//! `max.compaction.lag.ms` (KIP-354).

use crate::log_config::CompactionConfig;
use crate::segment::Segment;
use thalweg_types::{Offset, TimestampMs};

/// What is known of a log when it is asked whether it wants to be cleaned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogFacts<'a> {
    /// Without the active one.
    pub sealed: &'a [Segment],
    pub first_dirty: Offset,
    pub last_stable: Offset,
    pub config: &'a CompactionConfig,
    pub now: TimestampMs,
}

/// Why a log would be cleaned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A record has waited for `max.compaction.lag.ms`.
    MustNow,
    /// Enough of it is dirty.
    Worth,
    /// Not yet.
    None,
}

/// The part of a log that may be cleaned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cleanable {
    /// Everything below was cleaned.
    pub first_dirty: Offset,
    /// Everything from here on must not be touched.
    pub end: Offset,
    /// How many of the oldest segments lie below `end`.
    pub segments: usize,
    /// Bytes below `first_dirty`.
    pub clean_bytes: u64,
    /// Bytes between.
    pub dirty_bytes: u64,
    /// Whether it should be cleaned.
    pub need: Need,
}

impl Cleanable {
    /// Returns the share of dirty bytes, 0 to 1.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        let total = self.clean_bytes + self.dirty_bytes;
        if total == 0 {
            return 0.0;
        }
        self.dirty_bytes as f64 / total as f64
    }
}

/// Returns what may be cleaned of a log.
pub(crate) fn cleanable(facts: LogFacts<'_>) -> Cleanable {
    let config = facts.config;
    let too_young = |segment: &Segment| {
        let is_dirty = segment.next_offset > facts.first_dirty;
        let newest_allowed = facts.now.0.saturating_sub(config.lag_ms_min);
        config.lag_ms_min > 0 && is_dirty && segment.retention_time().0 > newest_allowed
    };
    let not_yet = |segment: &Segment| segment.next_offset > facts.last_stable || too_young(segment);
    let segments = facts
        .sealed
        .iter()
        .take_while(|segment| !not_yet(segment))
        .count();
    let (mut end, mut clean_bytes, mut dirty_bytes) = (facts.first_dirty, 0, 0);
    for segment in facts.sealed.iter().take(segments) {
        if segment.next_offset <= facts.first_dirty {
            clean_bytes += segment.size;
        } else {
            dirty_bytes += segment.size;
            end = segment.next_offset;
        }
    }
    let mut found = Cleanable {
        first_dirty: facts.first_dirty,
        end,
        segments,
        clean_bytes,
        dirty_bytes,
        need: Need::None,
    };
    if dirty_bytes > 0 {
        if waited_too_long(&facts) {
            found.need = Need::MustNow;
        } else if found.ratio() > config.dirty_ratio_min {
            found.need = Need::Worth;
        }
    }
    found
}

fn waited_too_long(facts: &LogFacts<'_>) -> bool {
    let dirty = facts.sealed.iter().filter(|s| s.next_offset > facts.first_dirty);
    let oldest = dirty.map(|s| s.first_timestamp.0).filter(|time| *time > 0).min();
    let until = facts.now.0.saturating_sub(facts.config.lag_ms_max);
    oldest.is_some_and(|oldest| oldest < until)
}

/// Bounds of a segment that several become.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GroupLimits {
    pub segment_bytes: u64,
    pub index_bytes: u32,
}

/// Returns groups of neighbours that fit into one segment each.
pub(crate) fn groups(segments: &[Segment], limits: GroupLimits) -> Vec<&[Segment]> {
    let mut groups = Vec::new();
    let mut rest = segments;
    while let Some(first) = rest.first() {
        let (mut bytes, mut offsets, mut times) = (0u64, 0u32, 0u32);
        let fits = |segment: &&Segment| {
            bytes = bytes.saturating_add(segment.size);
            offsets = offsets.saturating_add(segment.offset_index.len);
            times = times.saturating_add(segment.time_index.len);
            let span = segment.next_offset.0.saturating_sub(first.base_offset.0);
            bytes <= limits.segment_bytes
                && offsets <= limits.index_bytes
                && times <= limits.index_bytes
                && span <= i64::from(i32::MAX)
        };
        let count = rest.iter().take_while(fits).count().max(1);
        let (group, after) = rest.split_at(count);
        groups.push(group);
        rest = after;
    }
    groups
}

#[cfg(test)]
#[path = "choice_test.rs"]
mod tests;
