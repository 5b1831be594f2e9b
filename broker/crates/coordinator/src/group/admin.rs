//! DescribeGroups (key 15), ListGroups (key 16) and DeleteGroups (key 42).

use bytes::Bytes;

use super::classic::Group;
use super::env::Env;
use super::error::GroupError;
use super::ids::GroupId;
use super::offsets::offset_tombstone;
use super::reply::{DescribeGroupReply, DescribedMember, ListedGroup};
use super::request::{DescribeGroup, ListGroups};
use super::state::GroupState;
use super::step::GroupEvent;
use super::timers::TimerKey;

/// First version of DescribeGroups that says an unknown group is an error (KIP-1043).
const NOT_FOUND_FROM: i16 = 6;

/// Describes a group that does not exist: up to version 5 as a dead one without error.
pub(crate) fn describe_unknown(request: &DescribeGroup) -> DescribeGroupReply {
    DescribeGroupReply {
        error: (request.api_version >= NOT_FOUND_FROM).then_some(GroupError::GroupIdNotFound),
        group_id: request.group_id.clone(),
        state: GroupState::Dead,
        protocol_type: String::new(),
        protocol_name: String::new(),
        members: Vec::new(),
    }
}

impl Group {
    /// Describes the group. Protocol and metadata are told only while they are those of a finished rebalance.
    pub(crate) fn describe(&self) -> DescribeGroupReply {
        let protocol_name = match self.state {
            GroupState::Stable => self.protocol_name.clone().unwrap_or_default(),
            _ => String::new(),
        };
        let members = self
            .members
            .iter()
            .map(|(member_id, member)| DescribedMember {
                member_id: member_id.clone(),
                instance_id: member.instance_id.clone(),
                client_id: member.client.client_id.clone(),
                client_host: member.client.client_host.clone(),
                metadata: match self.state {
                    GroupState::Stable => member.metadata(&protocol_name),
                    _ => Bytes::new(),
                },
                assignment: member.assignment.clone(),
            })
            .collect();
        DescribeGroupReply {
            error: None,
            group_id: self.id.clone(),
            state: self.state,
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol_name,
            members,
        }
    }

    /// Returns the group's line of a list.
    pub(crate) fn listed(&self) -> ListedGroup {
        ListedGroup {
            group_id: self.id.clone(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            state: self.state,
        }
    }

    /// Removes an empty group with its offsets from the log. The group itself is the caller's to drop.
    pub(crate) fn delete(&mut self, env: &mut Env<'_>) -> Result<(), GroupError> {
        if self.state != GroupState::Empty {
            return Err(GroupError::NonEmptyGroup);
        }
        for member_id in std::mem::take(&mut self.pending_join) {
            env.timers.cancel(&TimerKey::Session(self.id.clone(), member_id));
        }
        let offsets = std::mem::take(&mut self.offsets);
        // Offsets first: if only a part of this gets to the log, the rest can be deleted again.
        for (topic, partition) in offsets.partitions() {
            env.append(offset_tombstone(&self.id, &topic, partition));
            env.stats.offsets_deleted += 1;
        }
        if self.has_record {
            env.append(self.tombstone());
            self.has_record = false;
        }
        env.log(GroupEvent::GroupDeleted {
            group_id: self.id.clone(),
            offsets: offsets.len(),
        });
        Ok(())
    }
}

impl ListGroups {
    /// Reports whether a group belongs in the list.
    pub(crate) fn wants(&self, listed: &ListedGroup) -> bool {
        let has = |names: &[String], name: &str| {
            names.is_empty() || names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))
        };
        has(&self.states, listed.state.name()) && has(&self.types, ListedGroup::GROUP_TYPE)
    }
}

/// Returns an answer that describes nothing, because of `error`.
pub(crate) fn refused_describe(group_id: &GroupId, error: GroupError) -> DescribeGroupReply {
    DescribeGroupReply {
        error: Some(error),
        group_id: group_id.clone(),
        state: GroupState::Dead,
        protocol_type: String::new(),
        protocol_name: String::new(),
        members: Vec::new(),
    }
}

#[cfg(test)]
#[path = "admin_test.rs"]
mod tests;
