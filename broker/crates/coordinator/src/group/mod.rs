//! Classic consumer groups (KIP-62, 211, 345, 389, 394, 447, 559, 814) and the offsets they commit.
//!
//! [`GroupShard`] holds the groups of one `__consumer_offsets` partition; everything else here is a part of it.
//! A request names its group; [`partition_for`] tells which shard that is. Newer group protocols (KIP-848,
//! KIP-932) are not here yet: their records are skipped and counted at load.

mod admin;
mod classic;
mod config;
mod env;
mod error;
mod expiry;
mod ids;
mod join;
mod member;
mod membership;
mod offsets;
mod pending;
mod rebalance;
mod replay;
mod reply;
mod request;
mod shard;
mod state;
mod static_member;
mod step;
mod subscription;
mod summary;
mod sync;
mod timers;
mod transactional;

pub use crate::partition::partition_for;
pub use config::{GroupConfig, GroupConfigError};
pub use error::{GroupError, ReplayError};
pub use ids::{GenerationId, GroupId, IdSource, InstanceId, MemberId, TopicName};
pub use offsets::CommittedOffset;
pub use replay::Replayed;
pub use reply::{
    CommittedPartition, CommittedTopic, DeleteGroupReply, DeletedOffset, DeletedOffsetsTopic,
    DescribeGroupReply, DescribedMember, FetchedOffset, FetchedTopic, GroupReply, HeartbeatReply,
    JoinGroupReply, JoinedGeneration, JoinedMember, LeaveGroupReply, LeftMember, ListGroupsReply,
    ListedGroup, OffsetCommitReply, OffsetDeleteReply, OffsetFetchReply, SyncGroupReply, SyncedAssignment,
};
pub use request::{
    ClientInfo, DeleteGroup, DescribeGroup, FetchTopics, GroupRequest, Heartbeat, JoinGroup, JoinProtocol,
    LeaveGroup, LeavingMember, ListGroups, MemberAssignment, OffsetCommit, OffsetCommitPartition,
    OffsetCommitTopic, OffsetDelete, OffsetFetch, Stability, SyncGroup, TopicPartitions, TxnOffsetCommit,
};
pub use shard::GroupShard;
pub use state::GroupState;
pub use step::{GroupEvent, GroupRecord, RebalanceReason, RemovalCause, ReplyToken, Step};
pub use summary::{GroupShardStats, GroupSummary, MemberSummary};

#[cfg(test)]
#[path = "testing_test.rs"]
mod testing;

#[cfg(test)]
#[path = "rules_test.rs"]
mod rules_test;
