//! What a shard hands back: records to append, replies to send after that, and events worth a log line.

use bytes::Bytes;

use super::error::GroupError;
use super::ids::{GenerationId, GroupId, InstanceId, MemberId};
use super::reply::GroupReply;
use crate::transaction::ProducerIdAndEpoch;

/// The caller's name for one request that waits for its reply. Never used twice in the life of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyToken(pub u64);

/// One record for the log of the shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRecord {
    /// Compaction key.
    pub key: Bytes,
    /// `None` = tombstone.
    pub value: Option<Bytes>,
}

impl GroupRecord {
    /// Key and value bytes: what [`super::GroupConfig::record_bytes_max`] bounds.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Bytes::len)
    }
}

/// The effects of one call.
///
/// The shard's memory has changed already. The caller appends `records` in order (it may split them over several
/// batches: every prefix is a valid state) and sends `replies` only when they and every earlier record of the
/// shard are durable, also when `records` is empty: a reply may tell of what an earlier step wrote.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[must_use]
pub struct Step {
    /// To append, in order.
    pub records: Vec<GroupRecord>,
    /// Whose transaction the records belong to, if they do.
    pub producer: Option<ProducerIdAndEpoch>,
    /// To send once durable. A reply may belong to an earlier request.
    pub replies: Vec<(ReplyToken, GroupReply)>,
    /// To log.
    pub events: Vec<GroupEvent>,
}

impl Step {
    /// Reports whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.replies.is_empty() && self.events.is_empty()
    }
}

/// Something an operator may ask for later; the caller logs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupEvent {
    /// The members must join again.
    RebalanceStarted {
        /// The group.
        group_id: GroupId,
        /// The generation that ends.
        generation: GenerationId,
        /// Why.
        reason: RebalanceReason,
    },
    /// The join phase ended.
    GenerationFormed {
        /// The group.
        group_id: GroupId,
        /// The new generation.
        generation: GenerationId,
        /// How many members it has; 0 = the group is empty now.
        members: usize,
    },
    /// A member is gone.
    MemberRemoved {
        /// The group.
        group_id: GroupId,
        /// The member.
        member_id: MemberId,
        /// Why.
        cause: RemovalCause,
    },
    /// A static member came back under a new id (KIP-345).
    StaticMemberReplaced {
        /// The group.
        group_id: GroupId,
        /// Its name.
        instance_id: InstanceId,
        /// The id that is fenced from now on.
        old_member_id: MemberId,
        /// Its new id.
        new_member_id: MemberId,
    },
    /// The leader's assignment was refused.
    AssignmentRefused {
        /// The group.
        group_id: GroupId,
        /// Why.
        error: GroupError,
        /// How long the record would have been.
        record_bytes: usize,
    },
    /// The group and its offsets are gone.
    GroupDeleted {
        /// The group.
        group_id: GroupId,
        /// How many committed offsets went with it.
        offsets: usize,
    },
}

/// Why a rebalance began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RebalanceReason {
    /// A member is new.
    MemberJoined(MemberId),
    /// A member supports other protocols, or other metadata, than before.
    MemberChanged(MemberId),
    /// The leader joined again, as it does when the topics changed.
    LeaderRejoined(MemberId),
    /// A static member came back and the old assignment cannot stay.
    StaticMemberReplaced(MemberId),
    /// A member left or failed.
    MemberRemoved(MemberId),
    /// Members did not ask for their assignment in time.
    SyncTimedOut,
    /// The group was loaded with more members than the limit allows now.
    OverCapacity,
}

/// Why a member is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemovalCause {
    /// It said so, or an administrator did.
    Left,
    /// No heartbeat within the session timeout.
    SessionTimedOut,
    /// It did not join again within the rebalance timeout.
    RebalanceTimedOut,
    /// It did not ask for its assignment within the rebalance timeout.
    SyncTimedOut,
    /// Its connection closed before it was told its id, so it cannot come back.
    Disconnected,
    /// The group has more members than the limit allows.
    OverCapacity,
}
