//! What a shard is asked: one plain struct for each API, independent of the wire.
//!
//! `api_version` is carried only where the rules, not just the layout, depend on it. Counts (members, topics,
//! partitions, protocols) are bounded by the frame they came in; the lengths of what is kept are checked here.

use bytes::Bytes;
use thalweg_types::{LeaderEpoch, Offset, PartitionIndex};

use super::ids::{GenerationId, GroupId, InstanceId, MemberId, TopicName};
use crate::transaction::ProducerIdAndEpoch;

/// One request to the groups of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupRequest {
    /// JoinGroup (key 11).
    Join(JoinGroup),
    /// SyncGroup (key 14).
    Sync(SyncGroup),
    /// Heartbeat (key 12).
    Heartbeat(Heartbeat),
    /// LeaveGroup (key 13).
    Leave(LeaveGroup),
    /// OffsetCommit (key 8).
    OffsetCommit(OffsetCommit),
    /// Offsets of a transaction.
    TxnOffsetCommit(TxnOffsetCommit),
    /// OffsetFetch (key 9), one of its groups.
    OffsetFetch(OffsetFetch),
    /// OffsetDelete (key 47).
    OffsetDelete(OffsetDelete),
    /// DescribeGroups (key 15), one of its groups.
    Describe(DescribeGroup),
    /// ListGroups (key 16), this shard's share of it.
    List(ListGroups),
    /// DeleteGroups (key 42), one of its groups.
    Delete(DeleteGroup),
}

/// Who is asking, as the connection knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientInfo {
    /// `client.id` of the request header; empty when absent.
    pub client_id: String,
    /// Address of the peer. Kafka writes a slash before it (`/127.0.0.1`) and tools show it as it is.
    pub client_host: String,
}

/// JoinGroup, versions 0–9.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinGroup {
    /// From 4 a new dynamic member must come back with its id (KIP-394), from 9 a leader may be told to skip the
    /// assignment (KIP-814), and 0 has no rebalance timeout.
    pub api_version: i16,
    /// The group to join.
    pub group_id: GroupId,
    /// Who is asking.
    pub client: ClientInfo,
    /// The member's id, or [`MemberId::unknown`].
    pub member_id: MemberId,
    /// The name of a static member.
    pub instance_id: Option<InstanceId>,
    /// A member that is silent for longer is removed.
    pub session_timeout_ms: i32,
    /// How long the member may take to join again; version 0 and negative numbers mean the session timeout.
    pub rebalance_timeout_ms: i32,
    /// `consumer`, `connect`, …
    pub protocol_type: String,
    /// The assignors the member supports, the preferred one first.
    pub protocols: Vec<JoinProtocol>,
}

/// One assignor that a member supports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinProtocol {
    /// Its name.
    pub name: String,
    /// What the leader will be told of the member under this protocol.
    pub metadata: Bytes,
}

/// SyncGroup, versions 0–5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncGroup {
    /// The group.
    pub group_id: GroupId,
    /// The generation that JoinGroup named.
    pub generation: GenerationId,
    /// The member.
    pub member_id: MemberId,
    /// The name of a static member.
    pub instance_id: Option<InstanceId>,
    /// From version 5: the protocol type the member thinks the group has.
    pub protocol_type: Option<String>,
    /// From version 5: the protocol the member thinks was chosen.
    pub protocol_name: Option<String>,
    /// From the leader: what each member gets. Ignored from others.
    pub assignments: Vec<MemberAssignment>,
}

/// What the leader gives to one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberAssignment {
    /// The member.
    pub member_id: MemberId,
    /// Bytes that only the members understand.
    pub assignment: Bytes,
}

/// Heartbeat, versions 0–4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The group.
    pub group_id: GroupId,
    /// The generation the member is in.
    pub generation: GenerationId,
    /// The member.
    pub member_id: MemberId,
    /// The name of a static member.
    pub instance_id: Option<InstanceId>,
}

/// LeaveGroup, versions 0–5. Versions 0–2 name exactly one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaveGroup {
    /// The group.
    pub group_id: GroupId,
    /// Who leaves.
    pub members: Vec<LeavingMember>,
}

/// One member that leaves: by its id, or by its instance id with an unknown member id (an administrator's removal).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeavingMember {
    /// The member, or [`MemberId::unknown`].
    pub member_id: MemberId,
    /// The name of a static member.
    pub instance_id: Option<InstanceId>,
}

/// OffsetCommit, versions 2–10. The caller has dropped partitions that do not exist or may not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetCommit {
    /// From 9 an unknown group is GROUP_ID_NOT_FOUND, before ILLEGAL_GENERATION.
    pub api_version: i16,
    /// The group.
    pub group_id: GroupId,
    /// The generation the member is in, or [`GenerationId::NONE`] from a consumer that assigns its own partitions.
    pub generation: GenerationId,
    /// The member, or [`MemberId::unknown`].
    pub member_id: MemberId,
    /// The name of a static member.
    pub instance_id: Option<InstanceId>,
    /// Versions 2–4: how long to keep these offsets; `None` (−1 on the wire) = as the broker is set.
    pub retention_time_ms: Option<i64>,
    /// What to commit.
    pub topics: Vec<OffsetCommitTopic>,
}

/// TxnOffsetCommit (key 28), versions 0–5: offsets that count once the producer's transaction commits.
///
/// From version 3 a member says which generation it is in (KIP-447); older clients name none and are not checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxnOffsetCommit {
    /// The producer, whose open transaction has the group's partition.
    pub producer: ProducerIdAndEpoch,
    /// The rest; without a retention time.
    pub commit: OffsetCommit,
}

/// The partitions of one topic in an OffsetCommit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetCommitTopic {
    /// The topic.
    pub topic: TopicName,
    /// Its partitions.
    pub partitions: Vec<OffsetCommitPartition>,
}

/// One offset to commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetCommitPartition {
    /// The partition.
    pub partition: PartitionIndex,
    /// The next offset to read.
    pub offset: Offset,
    /// Epoch of the last record read, or [`LeaderEpoch::UNKNOWN`].
    pub leader_epoch: LeaderEpoch,
    /// Text of the client's own; absent is stored as empty.
    pub metadata: Option<String>,
}

/// Whether a fetch of offsets must wait for open transactions (KIP-447, `require_stable`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stability {
    /// Return what is committed now.
    Any,
    /// Refuse partitions on which a transaction is open.
    Stable,
}

/// Which topics an OffsetFetch asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchTopics {
    /// Every partition that has a committed offset.
    All,
    /// These.
    Some(Vec<TopicPartitions>),
}

/// Some partitions of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPartitions {
    /// The topic.
    pub topic: TopicName,
    /// Its partitions.
    pub partitions: Vec<PartitionIndex>,
}

/// OffsetFetch, versions 1–10, one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetFetch {
    /// The group.
    pub group_id: GroupId,
    /// Which offsets.
    pub topics: FetchTopics,
    /// Whether open transactions matter.
    pub stability: Stability,
}

/// OffsetDelete, version 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetDelete {
    /// The group.
    pub group_id: GroupId,
    /// Which offsets.
    pub topics: Vec<TopicPartitions>,
}

/// DescribeGroups, versions 0–6, one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeGroup {
    /// From 6 an unknown group is an error (KIP-1043); before it is a group in state `Dead`.
    pub api_version: i16,
    /// The group.
    pub group_id: GroupId,
}

/// ListGroups, versions 0–5.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ListGroups {
    /// Only groups in these states (KIP-518), in any case of letters; empty = all.
    pub states: Vec<String>,
    /// Only groups of these types (KIP-848), in any case of letters; empty = all. Ours are all `classic`.
    pub types: Vec<String>,
}

/// DeleteGroups, versions 0–2, one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteGroup {
    /// The group.
    pub group_id: GroupId,
}
