//! What a shard of groups has deadlines for.

use super::ids::{GroupId, MemberId};

/// What happens when a deadline passes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TimerKey {
    /// The session of a member ends, or the id of a pending member expires.
    Session(GroupId, MemberId),
    /// The join phase ends.
    Join(GroupId),
    /// The members had their time to ask for the assignment.
    Sync(GroupId),
    /// Offsets and groups may have expired.
    Expiry,
}

/// The deadlines of groups and their members.
pub(crate) type Timers = crate::timers::Timers<TimerKey>;
