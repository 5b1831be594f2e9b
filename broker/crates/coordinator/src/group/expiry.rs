//! Which committed offsets expire when (KIP-211), and which groups go with them.
//!
//! - Empty group that had members: a retention time after it became empty (after the commit, if that is not known).
//! - Group that only stores offsets: a retention time after each commit.
//! - Stable consumer group: the same, for topics that no member subscribes to.
//! - An offset that was committed with its own retention time: at that time, under the same conditions.
//! - An offset that an open transaction commits stays.
//! - Everything else stays. An empty group without offsets is removed.

use thalweg_types::{PartitionIndex, TimestampMs};

use super::classic::Group;
use super::env::Env;
use super::ids::TopicName;
use super::offsets::{CommittedOffset, offset_tombstone};
use super::state::GroupState;
use super::step::GroupEvent;

/// From when an offset's retention counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RetentionStart {
    /// From when it was committed.
    Commit,
    /// From when the group became empty.
    At(TimestampMs),
}

/// Whether a pass over one group got to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// All that has expired is gone.
    Complete,
    /// The pass may return no more tombstones.
    Cut,
}

impl Group {
    /// Removes what has expired, within `budget` tombstones in the whole step, and the group if nothing is left.
    pub(crate) fn expire(&mut self, env: &mut Env<'_>, budget: usize) -> Pass {
        let expired = self.expired_offsets(env);
        let room = budget.saturating_sub(env.step.records.len());
        let is_cut = expired.len() > room;
        for (topic, partition) in expired.into_iter().take(room) {
            self.offsets.remove(&topic, partition);
            env.append(offset_tombstone(&self.id, &topic, partition));
            env.stats.offsets_expired += 1;
        }
        if is_cut {
            return Pass::Cut;
        }
        if self.state == GroupState::Empty && self.offsets.is_empty() && self.pending_join.is_empty() {
            self.delete_record(env);
        }
        Pass::Complete
    }

    fn expired_offsets(&self, env: &Env<'_>) -> Vec<(TopicName, PartitionIndex)> {
        let Some(start) = self.retention_start() else {
            return Vec::new();
        };
        self.offsets
            .iter()
            .filter(|(topic, partition, committed)| {
                !self.is_subscribed_to(topic)
                    && is_expired(committed, start, env)
                    && !self.offsets.is_unstable(topic, *partition)
            })
            .map(|(topic, partition, _)| (topic.clone(), partition))
            .collect()
    }

    /// Returns from when the retention of the group's offsets counts; `None` if they do not expire now.
    fn retention_start(&self) -> Option<RetentionStart> {
        match (&self.protocol_type, self.state) {
            (None, _) => Some(RetentionStart::Commit),
            (Some(_), GroupState::Empty) => Some(
                self.state_timestamp
                    .map_or(RetentionStart::Commit, RetentionStart::At),
            ),
            (Some(_), GroupState::Stable) if self.uses_consumer_protocol() && self.subscribed.is_some() => {
                Some(RetentionStart::Commit)
            }
            (Some(_), _) => None,
        }
    }

    /// Takes the group's record out of the log, if there is one. The group itself is the caller's to drop.
    pub(crate) fn delete_record(&mut self, env: &mut Env<'_>) {
        if self.has_record {
            env.append(self.tombstone());
            self.has_record = false;
            env.log(GroupEvent::GroupDeleted {
                group_id: self.id.clone(),
                offsets: 0,
            });
        }
    }
}

fn is_expired(committed: &CommittedOffset, start: RetentionStart, env: &Env<'_>) -> bool {
    if let Some(expires) = committed.expire_timestamp {
        return env.now >= expires;
    }
    let start = match start {
        RetentionStart::Commit => committed.commit_timestamp,
        RetentionStart::At(time) => time,
    };
    env.now.get().saturating_sub(start.get()) >= env.config.offsets_retention_ms
}

#[cfg(test)]
#[path = "expiry_test.rs"]
mod tests;
