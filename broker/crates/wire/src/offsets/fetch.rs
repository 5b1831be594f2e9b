//! The OffsetFetch request: how far groups have read.
//!
//! v2 null topics = everything, v6 flexible, v7 `require_stable` (KIP-447), v8 many groups (KIP-709), v9 member epochs
//! and v10 topic ids (KIP-848). The one group of older versions is a list of one here.

use thalweg_types::PartitionIndex;

use super::{FETCH_KEY, TopicKey};
use crate::guard::{GuardError, GuardLimits};
use crate::reader::{At, Reader, parse};

/// An OffsetFetch request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetFetchRequest {
    /// The groups; one before v8.
    pub groups: Vec<FetchGroup>,
    /// Whether offsets of open transactions are to be waited for (KIP-447); from v7 on.
    pub require_stable: bool,
}

/// The part of a request for one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchGroup {
    /// The group.
    pub group_id: String,
    /// The member that asks; from v9 on.
    pub member_id: Option<String>,
    /// The member's epoch, −1 if it has none; from v9 on.
    pub member_epoch: i32,
    /// The topics, or `None` for all that the group has offsets of; from v2 on.
    pub topics: Option<Vec<FetchTopic>>,
}

/// The part of a request for one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchTopic {
    /// Name up to v9, id from v10 on.
    pub topic: TopicKey,
    /// Its partitions; not checked, may be negative.
    pub partitions: Vec<PartitionIndex>,
}

/// Parses the body of an OffsetFetch request (the bytes after the request header).
///
/// # Errors
/// [`GuardError`] as [`crate::guard::check_request`], or if a string is not UTF-8.
pub fn parse_offset_fetch_request(
    version: i16,
    body: &[u8],
    limits: &GuardLimits,
) -> Result<OffsetFetchRequest, GuardError> {
    parse((FETCH_KEY, version), body, limits, request)
}

fn request(reader: &mut Reader<'_>) -> Result<OffsetFetchRequest, At> {
    let version = reader.version;
    let groups = match version {
        ..=7 => vec![FetchGroup {
            group_id: reader.string("group_id")?,
            member_id: None,
            member_epoch: -1,
            topics: topics(reader)?,
        }],
        _ => reader.array(("groups", 3), group)?,
    };
    let require_stable = match version {
        ..=6 => false,
        // The guard has seen that it is 0 or 1.
        _ => reader.cursor.i8().map_err(super::at("require_stable"))? != 0,
    };
    reader.end_of_structure("(tagged fields)")?;
    Ok(OffsetFetchRequest {
        groups,
        require_stable,
    })
}

fn group(reader: &mut Reader<'_>) -> Result<FetchGroup, At> {
    let group_id = reader.string("groups.group_id")?;
    let (mut member_id, mut member_epoch) = (None, -1);
    if reader.version >= 9 {
        member_id = reader.nullable_string("groups.member_id")?;
        member_epoch = reader.i32("groups.member_epoch")?;
    }
    let topics = topics(reader)?;
    reader.end_of_structure("groups")?;
    Ok(FetchGroup {
        group_id,
        member_id,
        member_epoch,
        topics,
    })
}

fn topics(reader: &mut Reader<'_>) -> Result<Option<Vec<FetchTopic>>, At> {
    reader.nullable_array(("topics", 2), |reader| {
        let topic = reader.topic()?;
        let partitions = reader.array(("topics.partition_indexes", 4), |reader| {
            reader.i32("topics.partition_indexes").map(PartitionIndex)
        })?;
        reader.end_of_structure("topics")?;
        Ok(FetchTopic { topic, partitions })
    })
}
