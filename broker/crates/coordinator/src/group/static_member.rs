//! A static member comes back under a new id (KIP-345): the old id is fenced and, if nothing else changed, the
//! group stays as it is.

use std::collections::BTreeSet;

use super::classic::Group;
use super::env::Env;
use super::error::GroupError;
use super::ids::{InstanceId, MemberId};
use super::join::Joining;
use super::member::{Candidate, Knows, MemberTerms};
use super::rebalance::{JoinedView, refused_join, refused_sync};
use super::state::GroupState;
use super::step::{GroupEvent, RebalanceReason};
use super::subscription::for_each_topic;
use super::timers::TimerKey;

/// First version in which the leader is told everything but asked not to assign again (KIP-814).
const SKIP_ASSIGNMENT_FROM: i16 = 9;

impl Group {
    /// Puts the member `(instance_id, old, new)` under its new id, on the terms of its JoinGroup.
    ///
    /// Returns why nothing was done, if the group's record would become too long.
    pub(crate) fn replace_static_member(
        &mut self,
        env: &mut Env<'_>,
        joining: &Joining<'_>,
        (instance_id, old_id, new_id): (&InstanceId, &MemberId, &MemberId),
    ) -> Option<GroupError> {
        // The checks above bound a group without assignments; in a stable group they are stored with it.
        if self.state == GroupState::Stable
            && self.stable_record_bytes(joining, new_id) > env.config.record_bytes_max
        {
            return Some(GroupError::GroupMaxSizeReached);
        }
        let old_leader = self.leader.clone();
        let old_topics = self.topics_of(old_id);
        self.fence(env, old_id);
        self.rename_member(old_id, new_id);
        self.update_member(new_id, MemberTerms::of(joining.request));
        self.restart_session(env, new_id);
        env.log(GroupEvent::StaticMemberReplaced {
            group_id: self.id.clone(),
            instance_id: instance_id.clone(),
            old_member_id: old_id.clone(),
            new_member_id: new_id.clone(),
        });
        let is_unchanged =
            self.select_protocol() == self.protocol_name && self.topics_of(new_id) == old_topics;
        match self.state {
            GroupState::Stable if is_unchanged => self.keep_assignment(env, joining, (new_id, old_leader)),
            GroupState::PreparingRebalance => {
                self.park_join(env, new_id, joining.token);
                self.maybe_complete_join(env);
            }
            _ => {
                // The leader may have been told of the old id already: what it assigns would not fit.
                self.park_join(env, new_id, joining.token);
                self.rebalance_or_complete_join(env, RebalanceReason::StaticMemberReplaced(new_id.clone()));
            }
        }
        None
    }

    /// Returns the topics a consumer subscribes to under the chosen protocol, if that can be known.
    ///
    /// Compared instead of the whole metadata, because that also holds what the process owned, which a restarted one
    /// does not know.
    fn topics_of(&self, member_id: &MemberId) -> Option<BTreeSet<String>> {
        if !self.uses_consumer_protocol() {
            return None;
        }
        let metadata = self
            .members
            .get(member_id)?
            .metadata(self.protocol_name.as_deref()?);
        let mut topics = BTreeSet::new();
        for_each_topic(&metadata, |topic| {
            topics.insert(topic.to_owned());
        })?;
        Some(topics)
    }

    /// Answers a member that came back to a stable group, and stores its new id.
    fn keep_assignment(
        &mut self,
        env: &mut Env<'_>,
        joining: &Joining<'_>,
        (new_id, old_leader): (&MemberId, Option<MemberId>),
    ) {
        if let Some(member) = self.members.get_mut(new_id) {
            member.knows = Knows::Generation;
        }
        env.append(self.to_record());
        self.has_record = true;
        let leads = self.is_leader(new_id);
        let view = if joining.request.api_version >= SKIP_ASSIGNMENT_FROM {
            JoinedView {
                leader: self.leader.clone().unwrap_or_else(MemberId::unknown),
                members: if leads { self.joined_members() } else { Vec::new() },
                skip_assignment: leads,
            }
        } else {
            // An older client that finds itself the leader would assign; naming its old id keeps it from that.
            JoinedView {
                leader: old_leader.unwrap_or_else(MemberId::unknown),
                members: Vec::new(),
                skip_assignment: false,
            }
        };
        let reply = self.joined_reply_with(new_id, view);
        env.reply(joining.token, reply);
    }

    /// Tells the process that has the instance id so far that another one took it.
    fn fence(&mut self, env: &mut Env<'_>, old_id: &MemberId) {
        env.timers
            .cancel(&TimerKey::Session(self.id.clone(), old_id.clone()));
        if let Some(token) = self.set_awaiting_join(old_id, None) {
            env.reply(token, refused_join(old_id.clone(), GroupError::FencedInstanceId));
        }
        if let Some(token) = self
            .members
            .get_mut(old_id)
            .and_then(|member| member.awaiting_sync.take())
        {
            env.reply(token, refused_sync(GroupError::FencedInstanceId));
            self.pending_sync.insert(old_id.clone());
        }
    }

    /// Moves a member to another id: its place, its lead and its assignment go with it.
    fn rename_member(&mut self, old_id: &MemberId, new_id: &MemberId) {
        let led = self.is_leader(old_id);
        let owed_sync = self.pending_sync.contains(old_id);
        let protocol_type = self.protocol_type.clone().unwrap_or_default();
        let Some(member) = self.take_member(old_id) else {
            return;
        };
        self.insert_member(new_id.clone(), member, &protocol_type);
        if led {
            self.leader = Some(new_id.clone());
        }
        if owed_sync {
            self.pending_sync.insert(new_id.clone());
        }
    }

    /// Returns the size of the record of [`Group::keep_assignment`].
    fn stable_record_bytes(&self, joining: &Joining<'_>, new_id: &MemberId) -> usize {
        let candidate = Candidate::of(
            joining.request,
            new_id,
            joining
                .request
                .instance_id
                .as_ref()
                .and_then(|instance_id| self.static_members.get(instance_id)),
        );
        let assignments: usize = self.members.values().map(|member| member.assignment.len()).sum();
        self.record_bytes_with(&candidate) + assignments
    }
}

#[cfg(test)]
#[path = "static_member_test.rs"]
mod tests;
