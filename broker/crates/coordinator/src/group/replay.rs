//! Loading: one record of the log after the other becomes state again.
//!
//! Groups come back as their last record says: stable with members, or empty. What was going on in memory (waiting
//! requests, pending ids, unfinished rebalances) is lost on purpose; clients ask again.

use std::collections::BTreeMap;

use thalweg_types::{Offset, ProducerId, TimestampMs};

use super::classic::Group;
use super::error::ReplayError;
use super::ids::{GroupId, TopicName};
use super::member::{Knows, Member, MemberTerms};
use super::offsets::CommittedOffset;
use super::request::{ClientInfo, JoinProtocol};
use super::state::GroupState;
use crate::record::{DecodeError, GroupMetadataValue, OffsetCommitValue, RecordKey};

/// What a replayed record was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replayed {
    /// A committed offset, or the removal of one.
    Offset,
    /// A group, or the removal of one.
    Group,
    /// Something that classic groups do not use: a record of a newer protocol, or a transaction marker.
    Skipped,
}

/// Where a record was found.
pub(crate) struct Position {
    pub(crate) offset: Offset,
    pub(crate) timestamp: TimestampMs,
}

impl Position {
    fn malformed(&self, part: &'static str) -> impl FnOnce(DecodeError) -> ReplayError {
        let offset = self.offset;
        move |cause| ReplayError::Malformed { offset, part, cause }
    }
}

/// Applies one record to the groups. On an error nothing has changed.
pub(crate) fn replay(
    groups: &mut BTreeMap<GroupId, Group>,
    key: &[u8],
    value: Option<&[u8]>,
    position: &Position,
) -> Result<Replayed, ReplayError> {
    match RecordKey::decode(key).map_err(position.malformed("key"))? {
        RecordKey::Other { .. } => Ok(Replayed::Skipped),
        RecordKey::Offset {
            group_id,
            topic,
            partition,
        } => {
            match value {
                Some(value) => {
                    let value = OffsetCommitValue::decode(value)
                        .map_err(position.malformed("offset commit value"))?;
                    let group = entry(groups, group_id, position.timestamp);
                    let committed = CommittedOffset::from_value(value);
                    group
                        .offsets
                        .insert(&TopicName::from(topic), partition, committed);
                }
                None => {
                    if let Some(group) = groups.get_mut(group_id) {
                        group.offsets.remove(topic, partition);
                    }
                    drop_vacant(groups, group_id);
                }
            }
            Ok(Replayed::Offset)
        }
        RecordKey::Group { group_id } => {
            match value {
                Some(value) => {
                    let value = GroupMetadataValue::decode(value)
                        .map_err(position.malformed("group metadata value"))?;
                    let group = entry(groups, group_id, position.timestamp);
                    let offsets = std::mem::take(&mut group.offsets);
                    *group = loaded_group(group.id.clone(), value, position.timestamp);
                    group.offsets = offsets;
                }
                None => {
                    // Kafka removes offsets before their group; if some are left, they are worth keeping.
                    if let Some(group) = groups.get_mut(group_id) {
                        let offsets = std::mem::take(&mut group.offsets);
                        *group = Group::new(group.id.clone(), position.timestamp);
                        group.offsets = offsets;
                    }
                    drop_vacant(groups, group_id);
                }
            }
            Ok(Replayed::Group)
        }
    }
}

/// Applies one record of a transactional batch: an offset that waits for its marker. Returns its group. Other records
/// are never written in a transaction and are skipped.
pub(crate) fn replay_pending(
    groups: &mut BTreeMap<GroupId, Group>,
    producer_id: ProducerId,
    (key, value): (&[u8], Option<&[u8]>),
    position: &Position,
) -> Result<(Replayed, Option<GroupId>), ReplayError> {
    let key = RecordKey::decode(key).map_err(position.malformed("key"))?;
    let (
        RecordKey::Offset {
            group_id,
            topic,
            partition,
        },
        Some(value),
    ) = (key, value)
    else {
        return Ok((Replayed::Skipped, None));
    };
    let value = OffsetCommitValue::decode(value).map_err(position.malformed("offset commit value"))?;
    let group = entry(groups, group_id, position.timestamp);
    let place = (&TopicName::from(topic), partition);
    group.restore_pending(producer_id, place, CommittedOffset::from_value(value));
    Ok((Replayed::Offset, Some(group.id.clone())))
}

fn entry<'a>(groups: &'a mut BTreeMap<GroupId, Group>, group_id: &str, now: TimestampMs) -> &'a mut Group {
    // Looked up first: most records belong to a group that is known, and its name need not be copied then.
    if !groups.contains_key(group_id) {
        let id = GroupId::from(group_id);
        groups.insert(id.clone(), Group::new(id, now));
    }
    groups
        .get_mut(group_id)
        .expect("it was inserted if it was not there")
}

fn drop_vacant(groups: &mut BTreeMap<GroupId, Group>, group_id: &str) {
    if groups.get(group_id).is_some_and(Group::is_vacant) {
        groups.remove(group_id);
    }
}

fn loaded_group(id: GroupId, value: GroupMetadataValue, now: TimestampMs) -> Group {
    let mut group = Group::new(id, now);
    group.has_record = true;
    group.state_timestamp = value.state_timestamp;
    group.generation = value.generation;
    let protocol_name = value.protocol_name;
    for member in value.members {
        let terms = MemberTerms {
            client: ClientInfo {
                client_id: member.client_id,
                client_host: member.client_host,
            },
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            session_timeout_ms: member.session_timeout_ms,
            // The record holds only what the chosen protocol needs.
            protocols: vec![JoinProtocol {
                name: protocol_name.clone().unwrap_or_default(),
                metadata: member.subscription,
            }],
        };
        let mut loaded = Member::new(member.instance_id, terms, Knows::Generation);
        loaded.assignment = member.assignment;
        // A record that names a member, or an instance, twice is broken; the last one counts.
        let same_instance = loaded
            .instance_id
            .as_ref()
            .and_then(|id| group.static_members.get(id))
            .cloned();
        for older in same_instance.iter().chain([&member.member_id]) {
            group.take_member(older);
        }
        group.insert_member(member.member_id, loaded, &value.protocol_type);
    }
    group.protocol_type = Some(value.protocol_type).filter(|protocol_type| !protocol_type.is_empty());
    if !group.members.is_empty() {
        group.state = GroupState::Stable;
        group.protocol_name = Some(protocol_name.unwrap_or_default());
        if let Some(leader) = value.leader.filter(|leader| group.members.contains_key(leader)) {
            group.leader = Some(leader);
        }
    }
    group.subscribed = group.compute_subscribed();
    group
}

#[cfg(test)]
#[path = "replay_test.rs"]
mod tests;
