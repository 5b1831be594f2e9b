//! What a group may touch besides itself while it handles one call: time, limits, timers, parked replies, effects.

use std::collections::HashMap;

use thalweg_types::TimestampMs;

use super::config::GroupConfig;
use super::ids::{GroupId, MemberId};
use super::reply::GroupReply;
use super::step::{GroupEvent, GroupRecord, ReplyToken, Step};
use super::summary::GroupShardStats;
use super::timers::{TimerKey, Timers};

/// Which reply a member waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Awaited {
    /// The generation.
    Join,
    /// The assignment.
    Sync,
}

/// Whose reply a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parked {
    pub(crate) group_id: GroupId,
    pub(crate) member_id: MemberId,
    pub(crate) awaited: Awaited,
}

/// The surroundings of one call.
pub(crate) struct Env<'a> {
    pub(crate) now: TimestampMs,
    pub(crate) config: &'a GroupConfig,
    pub(crate) timers: &'a mut Timers,
    pub(crate) parked: &'a mut HashMap<ReplyToken, Parked>,
    pub(crate) stats: &'a mut GroupShardStats,
    pub(crate) step: &'a mut Step,
}

impl Env<'_> {
    /// Answers a request; it is no longer parked.
    pub(crate) fn reply(&mut self, token: ReplyToken, reply: GroupReply) {
        self.parked.remove(&token);
        self.step.replies.push((token, reply));
    }

    /// Adds a record to append.
    pub(crate) fn append(&mut self, record: GroupRecord) {
        debug_assert!(
            record.size_bytes() <= self.config.record_bytes_max,
            "callers check the size first"
        );
        self.step.records.push(record);
    }

    /// Adds an event to log.
    pub(crate) fn log(&mut self, event: GroupEvent) {
        self.step.events.push(event);
    }

    /// Sets a deadline `delay_ms` from now.
    pub(crate) fn schedule(&mut self, key: TimerKey, delay_ms: i64) {
        self.timers.schedule(key, self.now, delay_ms);
    }
}
