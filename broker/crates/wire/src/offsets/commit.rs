//! The OffsetCommit request: how far the members of a group have read.
//!
//! v2–4 retention time, v6 leader epoch (KIP-320), v7 static members, v8 flexible, v10 topic ids (KIP-848). Numbers are
//! taken as they come: what they may be is for the handler to say.

use thalweg_types::{LeaderEpoch, Offset, PartitionIndex};

use super::{COMMIT_KEY, TopicKey};
use crate::guard::{GuardError, GuardLimits};
use crate::reader::{At, Reader, parse};

/// An OffsetCommit request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitRequest {
    /// The group.
    pub group_id: String,
    /// The generation of a classic group or the epoch of a member; −1 from a consumer without membership.
    pub generation_or_epoch: i32,
    /// The member, or empty.
    pub member_id: String,
    /// The name a static member gives itself; from v7 on.
    pub instance_id: Option<String>,
    /// How long to keep the offsets in milliseconds, −1 for the broker's default; in v2–4.
    pub retention_time_ms: i64,
    /// What to commit.
    pub topics: Vec<CommitTopic>,
}

/// The part of a commit for one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitTopic {
    /// Name up to v9, id from v10 on.
    pub topic: TopicKey,
    /// Its partitions.
    pub partitions: Vec<CommitPartition>,
}

/// The part of a commit for one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitPartition {
    /// The partition; not checked, may be negative.
    pub index: PartitionIndex,
    /// The next offset to read; not checked.
    pub offset: Offset,
    /// Epoch of the last record read, or [`LeaderEpoch::UNKNOWN`]; from v6 on.
    pub leader_epoch: LeaderEpoch,
    /// The client's own note.
    pub metadata: Option<String>,
}

/// Parses the body of an OffsetCommit request (the bytes after the request header).
///
/// # Errors
/// [`GuardError`] as [`crate::guard::check_request`], or if a string is not UTF-8.
pub fn parse_offset_commit_request(
    version: i16,
    body: &[u8],
    limits: &GuardLimits,
) -> Result<CommitRequest, GuardError> {
    parse((COMMIT_KEY, version), body, limits, request)
}

fn request(reader: &mut Reader<'_>) -> Result<CommitRequest, At> {
    let version = reader.version;
    let group_id = reader.string("group_id")?;
    let generation_or_epoch = reader.i32("generation_id_or_member_epoch")?;
    let member_id = reader.string("member_id")?;
    let instance_id = match version {
        ..=6 => None,
        _ => reader.nullable_string("group_instance_id")?,
    };
    let retention_time_ms = match version {
        ..=4 => reader.i64("retention_time_ms")?,
        _ => -1,
    };
    let topics = reader.array(("topics", 2), |reader| {
        let topic = reader.topic()?;
        let partitions = reader.array(("topics.partitions", 13), partition)?;
        reader.end_of_structure("topics")?;
        Ok(CommitTopic { topic, partitions })
    })?;
    reader.end_of_structure("(tagged fields)")?;
    Ok(CommitRequest {
        group_id,
        generation_or_epoch,
        member_id,
        instance_id,
        retention_time_ms,
        topics,
    })
}

fn partition(reader: &mut Reader<'_>) -> Result<CommitPartition, At> {
    let index = PartitionIndex(reader.i32("topics.partitions.partition_index")?);
    let offset = Offset(reader.i64("topics.partitions.committed_offset")?);
    let leader_epoch = match reader.version {
        ..=5 => LeaderEpoch::UNKNOWN,
        _ => LeaderEpoch(reader.i32("topics.partitions.committed_leader_epoch")?),
    };
    let metadata = reader.nullable_string("topics.partitions.committed_metadata")?;
    reader.end_of_structure("topics.partitions")?;
    Ok(CommitPartition {
        index,
        offset,
        leader_epoch,
        metadata,
    })
}
