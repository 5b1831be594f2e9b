//! The data of one classic group and the questions that are asked of it. Changes of state live in `rebalance`.
//!
//! Invariants (`check` in the test file states them in full): `awaiting_join` counts the members that wait for a generation;
//! `supported` counts for each protocol the members that support it; every static member is in `static_members`
//! under its instance id; a member without a session timer waits for a reply.

use std::collections::{BTreeMap, BTreeSet};

use thalweg_types::TimestampMs;

use super::error::GroupError;
use super::ids::{GenerationId, GroupId, InstanceId, MemberId, TopicName};
use super::member::{Candidate, Member, MemberTerms, distinct_names};
use super::offsets::CommittedOffsets;
use super::request::JoinProtocol;
use super::state::GroupState;
use super::step::{GroupRecord, ReplyToken};
use super::subscription::{CONSUMER_PROTOCOL_TYPE, for_each_topic};
use crate::record::{GroupMetadataValue, MemberMetadata, RecordKey};

/// How the initial rebalance of an empty group waits for more members (KIP-134).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InitialDelay {
    /// How long the running wait is.
    pub(crate) delay_ms: i64,
    /// How much longer the rebalance may be put off after it.
    pub(crate) remaining_ms: i64,
    /// Whether somebody joined during the running wait.
    pub(crate) member_added: bool,
}

/// One classic group.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) id: GroupId,
    pub(crate) state: GroupState,
    /// Set while the group prepares its first generation since it was empty.
    pub(crate) initial: Option<InitialDelay>,
    pub(crate) state_timestamp: Option<TimestampMs>,
    pub(crate) generation: GenerationId,
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol_name: Option<String>,
    pub(crate) leader: Option<MemberId>,
    pub(crate) members: BTreeMap<MemberId, Member>,
    pub(crate) static_members: BTreeMap<InstanceId, MemberId>,
    /// Ids handed out and not used yet.
    pub(crate) pending_join: BTreeSet<MemberId>,
    /// Members of the generation that have not asked for their assignment.
    pub(crate) pending_sync: BTreeSet<MemberId>,
    /// Topics of the generation's members; `None` = not known.
    pub(crate) subscribed: Option<BTreeSet<TopicName>>,
    pub(crate) offsets: CommittedOffsets,
    /// The log holds a value for the group's key, so deleting the group takes a tombstone.
    pub(crate) has_record: bool,
    awaiting_join: usize,
    supported: BTreeMap<String, usize>,
    members_record_bytes: usize,
}

impl Group {
    /// Returns an empty group that nothing is known of.
    pub(crate) fn new(id: GroupId, now: TimestampMs) -> Self {
        Self {
            id,
            state: GroupState::Empty,
            initial: None,
            state_timestamp: Some(now),
            generation: GenerationId::ZERO,
            protocol_type: None,
            protocol_name: None,
            leader: None,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            pending_join: BTreeSet::new(),
            pending_sync: BTreeSet::new(),
            subscribed: None,
            offsets: CommittedOffsets::default(),
            has_record: false,
            awaiting_join: 0,
            supported: BTreeMap::new(),
            members_record_bytes: 0,
        }
    }

    /// Reports whether nothing of the group is worth keeping in memory.
    pub(crate) fn is_vacant(&self) -> bool {
        self.state == GroupState::Empty
            && !self.has_record
            && self.pending_join.is_empty()
            && self.offsets.is_empty()
    }

    pub(crate) fn uses_consumer_protocol(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER_PROTOCOL_TYPE)
    }

    pub(crate) fn is_leader(&self, member_id: &MemberId) -> bool {
        self.leader.as_ref() == Some(member_id)
    }

    /// Returns how many members wait for the next generation.
    pub(crate) fn awaiting_join(&self) -> usize {
        self.awaiting_join
    }

    /// Reports whether nobody is missing: every member has joined and no id is handed out and unused.
    pub(crate) fn has_all_joined(&self) -> bool {
        self.members.len() == self.awaiting_join && self.pending_join.is_empty()
    }

    /// Returns the longest rebalance timeout of the members, in milliseconds.
    pub(crate) fn rebalance_timeout_ms(&self) -> i64 {
        self.members
            .values()
            .map(|member| i64::from(member.rebalance_timeout_ms))
            .max()
            .unwrap_or(0)
            .max(0)
    }

    /// Reports whether a member with these protocols could be one of the group.
    pub(crate) fn supports(&self, protocol_type: &str, protocols: &[JoinProtocol]) -> bool {
        if self.state == GroupState::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|protocol| {
                self.supported.get(&protocol.name).copied().unwrap_or(0) == self.members.len()
            })
    }

    /// Checks that a request comes from a member, and a static one's from its newest process.
    pub(crate) fn validate_member(
        &self,
        member_id: &MemberId,
        instance_id: Option<&InstanceId>,
    ) -> Result<(), GroupError> {
        if let Some(instance_id) = instance_id {
            match self.static_members.get(instance_id) {
                None => return Err(GroupError::UnknownMemberId),
                Some(owner) if owner != member_id => return Err(GroupError::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.members.contains_key(member_id) {
            Ok(())
        } else {
            Err(GroupError::UnknownMemberId)
        }
    }

    /// Adds a member that is not there. The first one decides the protocol type and leads.
    pub(crate) fn insert_member(&mut self, member_id: MemberId, member: Member, protocol_type: &str) {
        if self.members.is_empty() {
            self.protocol_type = Some(protocol_type.to_owned());
        }
        if let Some(instance_id) = &member.instance_id {
            self.static_members.insert(instance_id.clone(), member_id.clone());
        }
        if self.leader.is_none() {
            self.leader = Some(member_id.clone());
        }
        self.pending_join.remove(&member_id);
        self.count_in(&member_id, &member);
        let replaced = self.members.insert(member_id, member);
        debug_assert!(
            replaced.is_none(),
            "member ids are checked before they are inserted"
        );
    }

    /// Takes a member out; the lead falls to another one. Its parked replies and timers are the caller's.
    pub(crate) fn take_member(&mut self, member_id: &MemberId) -> Option<Member> {
        self.pending_sync.remove(member_id);
        let member = self.members.remove(member_id)?;
        self.count_out(member_id, &member);
        if let Some(instance_id) = &member.instance_id {
            self.static_members.remove(instance_id);
        }
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
        Some(member)
    }

    /// Gives the member new terms.
    pub(crate) fn update_member(&mut self, member_id: &MemberId, terms: MemberTerms) {
        let Some(mut member) = self.members.remove(member_id) else {
            return;
        };
        self.count_out(member_id, &member);
        member.client = terms.client;
        member.rebalance_timeout_ms = terms.rebalance_timeout_ms;
        member.session_timeout_ms = terms.session_timeout_ms;
        member.protocols = terms.protocols;
        self.count_in(member_id, &member);
        self.members.insert(member_id.clone(), member);
    }

    /// Marks a member as waiting for the next generation, or not; returns the token it waited with before.
    pub(crate) fn set_awaiting_join(
        &mut self,
        member_id: &MemberId,
        token: Option<ReplyToken>,
    ) -> Option<ReplyToken> {
        let member = self.members.get_mut(member_id)?;
        let before = std::mem::replace(&mut member.awaiting_join, token);
        self.awaiting_join -= usize::from(before.is_some());
        self.awaiting_join += usize::from(token.is_some());
        before
    }

    fn count_in(&mut self, member_id: &MemberId, member: &Member) {
        for name in distinct_names(&member.protocols) {
            *self.supported.entry(name.to_owned()).or_insert(0) += 1;
        }
        self.awaiting_join += usize::from(member.awaiting_join.is_some());
        self.members_record_bytes += member.record_bytes(member_id);
    }

    fn count_out(&mut self, member_id: &MemberId, member: &Member) {
        for name in distinct_names(&member.protocols) {
            if let Some(count) = self.supported.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    self.supported.remove(name);
                }
            }
        }
        self.awaiting_join -= usize::from(member.awaiting_join.is_some());
        self.members_record_bytes -= member.record_bytes(member_id);
    }

    /// Makes a member that joined lead, if the leader did not; returns `false` if nobody joined.
    pub(crate) fn elect_joined_leader(&mut self) -> bool {
        let joined = |id: &MemberId| {
            self.members
                .get(id)
                .is_some_and(|member| member.awaiting_join.is_some())
        };
        if self.leader.as_ref().is_some_and(joined) {
            return true;
        }
        match self
            .members
            .iter()
            .find(|(_, member)| member.awaiting_join.is_some())
        {
            Some((member_id, _)) => {
                self.leader = Some(member_id.clone());
                true
            }
            None => false,
        }
    }

    /// Returns the protocol with most votes among those that every member supports. Each member votes for its first
    /// one; a tie goes to the one the leader likes better, so that the choice does not depend on chance.
    pub(crate) fn select_protocol(&self) -> Option<String> {
        let is_candidate = |name: &str| self.supported.get(name).copied() == Some(self.members.len());
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            if let Some(choice) = member
                .protocols
                .iter()
                .find(|protocol| is_candidate(&protocol.name))
            {
                *votes.entry(&choice.name).or_insert(0) += 1;
            }
        }
        let most = votes.values().copied().max()?;
        let leader = self.leader.as_ref().and_then(|leader| self.members.get(leader));
        let preferred = leader.or_else(|| self.members.values().next())?;
        preferred
            .protocols
            .iter()
            .find(|protocol| votes.get(protocol.name.as_str()) == Some(&most))
            .map(|protocol| protocol.name.clone())
    }

    /// Returns the topics that the members subscribe to under the chosen protocol, if they can be known.
    pub(crate) fn compute_subscribed(&self) -> Option<BTreeSet<TopicName>> {
        if !self.uses_consumer_protocol() {
            return None;
        }
        let mut topics = BTreeSet::new();
        if self.members.is_empty() {
            return Some(topics);
        }
        let protocol_name = self.protocol_name.as_deref()?;
        for member in self.members.values() {
            for_each_topic(&member.metadata(protocol_name), |topic| {
                if !topics.contains(topic) {
                    topics.insert(TopicName::from(topic));
                }
            })?;
        }
        Some(topics)
    }

    /// Reports whether a live member may be reading the topic. A consumer group whose subscription cannot be read
    /// counts as reading everything.
    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.subscribed {
            Some(topics) => topics.contains(topic),
            None => self.uses_consumer_protocol(),
        }
    }

    /// Returns the most bytes the group's record could take with the candidate in it, before assignments: an upper
    /// bound, because the protocol is chosen later.
    pub(crate) fn record_bytes_with(&self, candidate: &Candidate<'_>) -> usize {
        let replaced = candidate
            .replaces
            .and_then(|id| Some((id, self.members.get(id)?)));
        let others = self.members_record_bytes - replaced.map_or(0, |(id, member)| member.record_bytes(id));
        let leader = self
            .members
            .keys()
            .map(|id| id.len())
            .max()
            .unwrap_or(0)
            .max(candidate.member_id.len());
        let protocol_name = candidate
            .protocols
            .iter()
            .map(|protocol| protocol.name.len())
            .max()
            .unwrap_or(0);
        RecordKey::group_size_bytes(&self.id)
            + GroupMetadataValue::FIXED_BYTES
            + candidate.protocol_type.len()
            + protocol_name
            + leader
            + others
            + candidate.record_bytes()
    }

    /// Returns the group as it is stored.
    pub(crate) fn to_value(&self) -> GroupMetadataValue {
        let protocol_name = self.protocol_name.as_deref().unwrap_or_default();
        GroupMetadataValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol_name: self.protocol_name.clone(),
            leader: self.leader.clone(),
            state_timestamp: self.state_timestamp,
            members: self
                .members
                .iter()
                .map(|(member_id, member)| MemberMetadata {
                    member_id: member_id.clone(),
                    instance_id: member.instance_id.clone(),
                    client_id: member.client.client_id.clone(),
                    client_host: member.client.client_host.clone(),
                    rebalance_timeout_ms: member.rebalance_timeout_ms,
                    session_timeout_ms: member.session_timeout_ms,
                    subscription: member.metadata(protocol_name),
                    assignment: member.assignment.clone(),
                })
                .collect(),
        }
    }

    /// Returns the record that stores the group.
    pub(crate) fn to_record(&self) -> GroupRecord {
        GroupRecord {
            key: RecordKey::encode_group(&self.id),
            value: Some(self.to_value().encode()),
        }
    }

    /// Returns the record that removes the group from the log.
    pub(crate) fn tombstone(&self) -> GroupRecord {
        GroupRecord {
            key: RecordKey::encode_group(&self.id),
            value: None,
        }
    }
}

#[cfg(test)]
#[path = "classic_test.rs"]
mod tests;
