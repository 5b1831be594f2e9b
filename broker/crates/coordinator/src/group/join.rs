//! JoinGroup (key 11): who may become a member, and when that starts a rebalance.
//!
//! Versions: 1 adds the rebalance timeout, 4 makes new dynamic members come back with the id they are given
//! (KIP-394), 5 adds static members (KIP-345), 9 lets the leader skip an assignment (KIP-814). Static members that
//! come back under a new id are in `static_member`.

use super::classic::Group;
use super::config::GroupConfig;
use super::env::Env;
use super::error::GroupError;
use super::ids::{IdSource, MemberId, uuid_text};
use super::member::{Candidate, Knows, Member, MemberTerms};
use super::rebalance::refused_join;
use super::request::{JoinGroup, JoinProtocol};
use super::state::GroupState;
use super::step::{RebalanceReason, RemovalCause, ReplyToken};
use super::timers::TimerKey;
use crate::record::STRING_BYTES_MAX;

/// First version in which a new dynamic member must come back with the id it was given.
const MEMBER_ID_REQUIRED_FROM: i16 = 4;

/// Characters of a UUID, and the dash before it.
const MEMBER_ID_SUFFIX_BYTES: usize = 37;

/// Assignors of one member. Clients have a handful; without a bound a frame could name millions.
const PROTOCOLS_MAX: usize = 64;

/// Drawing an id that is taken needs a broken [`IdSource`]; it is not asked for ever.
const ID_DRAWS_MAX: usize = 4;

/// A JoinGroup that waits for its answer.
pub(crate) struct Joining<'a> {
    pub(crate) request: &'a JoinGroup,
    pub(crate) token: ReplyToken,
}

/// Checks what can be said of a JoinGroup without looking at the group.
pub(crate) fn check_join(request: &JoinGroup, config: &GroupConfig) -> Result<(), GroupError> {
    if request.group_id.is_empty() || request.group_id.len() > STRING_BYTES_MAX {
        return Err(GroupError::InvalidGroupId);
    }
    let session_timeouts = config.session_timeout_ms_min..=config.session_timeout_ms_max;
    if !session_timeouts.contains(&request.session_timeout_ms) {
        return Err(GroupError::InvalidSessionTimeout);
    }
    if request.protocols.len() > PROTOCOLS_MAX {
        return Err(GroupError::InvalidRequest);
    }
    let instance_id_bytes = request
        .instance_id
        .as_ref()
        .map_or(0, |instance_id| instance_id.len());
    let longest_name = request
        .protocols
        .iter()
        .map(|protocol| protocol.name.len())
        .chain([
            request.protocol_type.len(),
            request.client.client_id.len(),
            request.client.client_host.len(),
            instance_id_bytes + MEMBER_ID_SUFFIX_BYTES,
        ])
        .max()
        .unwrap_or(0);
    let metadata_bytes: usize = request
        .protocols
        .iter()
        .map(|protocol| protocol.name.len() + protocol.metadata.len())
        .sum();
    if longest_name > STRING_BYTES_MAX || metadata_bytes > config.member_metadata_bytes_max {
        return Err(GroupError::InvalidRequest);
    }
    Ok(())
}

impl Group {
    /// Handles a JoinGroup that passed [`check_join`]. A group that is new and stays vacant is dropped by the caller.
    pub(crate) fn join(&mut self, env: &mut Env<'_>, ids: &mut dyn IdSource, joining: &Joining<'_>) {
        let request = joining.request;
        let refused = if !self.accepts(env, &request.member_id) {
            self.turn_away(env, &request.member_id);
            Some((MemberId::unknown(), GroupError::GroupMaxSizeReached))
        } else if !self.supports(&request.protocol_type, &request.protocols) {
            Some((request.member_id.clone(), GroupError::InconsistentGroupProtocol))
        } else if request.member_id.is_unknown() {
            self.join_as_new(env, ids, joining)
        } else {
            self.join_as_known(env, joining)
                .map(|error| (request.member_id.clone(), error))
        };
        if let Some((member_id, error)) = refused {
            env.reply(joining.token, refused_join(member_id, error));
        }
    }

    /// Reports whether `group.max.size` (KIP-389) lets the member in.
    ///
    /// While members join again those who are back count, so that a group that is too large loses the last ones.
    fn accepts(&self, env: &Env<'_>, member_id: &MemberId) -> bool {
        let limit = env.config.group_size_max;
        match self.state {
            GroupState::Empty | GroupState::Dead => true,
            GroupState::PreparingRebalance => {
                self.members
                    .get(member_id)
                    .is_some_and(|member| member.awaiting_join.is_some())
                    || self.awaiting_join() < limit
            }
            GroupState::CompletingRebalance | GroupState::Stable => {
                self.members.contains_key(member_id) || self.members.len() < limit
            }
        }
    }

    /// Forgets a member that found its group full, so that the join phase does not wait for it.
    fn turn_away(&mut self, env: &mut Env<'_>, member_id: &MemberId) {
        self.drop_pending(env, member_id);
        self.remove_member(env, member_id, RemovalCause::OverCapacity);
        self.maybe_complete_join(env);
    }

    /// Takes back an id that was handed out; reports whether it was pending.
    pub(crate) fn drop_pending(&mut self, env: &mut Env<'_>, member_id: &MemberId) -> bool {
        let was_pending = self.pending_join.remove(member_id);
        if was_pending {
            env.timers
                .cancel(&TimerKey::Session(self.id.clone(), member_id.clone()));
        }
        was_pending
    }

    fn join_as_new(
        &mut self,
        env: &mut Env<'_>,
        ids: &mut dyn IdSource,
        joining: &Joining<'_>,
    ) -> Option<(MemberId, GroupError)> {
        let request = joining.request;
        let Some(new_id) = self.draw_member_id(ids, request) else {
            return Some((MemberId::unknown(), GroupError::CoordinatorNotAvailable));
        };
        let existing = request
            .instance_id
            .as_ref()
            .and_then(|instance_id| self.static_members.get(instance_id));
        let existing = existing.cloned();
        let candidate = Candidate::of(request, &new_id, existing.as_ref());
        if self.record_bytes_with(&candidate) > env.config.record_bytes_max {
            return Some((MemberId::unknown(), GroupError::GroupMaxSizeReached));
        }
        match (&request.instance_id, existing) {
            (Some(instance_id), Some(existing)) => {
                return self
                    .replace_static_member(env, joining, (instance_id, &existing, &new_id))
                    .map(|error| (MemberId::unknown(), error));
            }
            (Some(_), None) => self.add_member(env, joining, (new_id, Knows::Nothing)),
            (None, _) if request.api_version >= MEMBER_ID_REQUIRED_FROM => {
                if self.pending_join.len() >= env.config.pending_members_max {
                    return Some((MemberId::unknown(), GroupError::GroupMaxSizeReached));
                }
                let key = TimerKey::Session(self.id.clone(), new_id.clone());
                env.schedule(key, i64::from(request.session_timeout_ms));
                self.pending_join.insert(new_id.clone());
                return Some((new_id, GroupError::MemberIdRequired));
            }
            (None, _) => self.add_member(env, joining, (new_id, Knows::Nothing)),
        }
        None
    }

    fn join_as_known(&mut self, env: &mut Env<'_>, joining: &Joining<'_>) -> Option<GroupError> {
        let request = joining.request;
        let member_id = &request.member_id;
        if self.pending_join.contains(member_id) && request.instance_id.is_none() {
            if self.is_too_large_with(env, request) {
                return Some(GroupError::GroupMaxSizeReached);
            }
            self.add_member(env, joining, (member_id.clone(), Knows::Id));
            return None;
        }
        if let Err(error) = self.validate_member(member_id, request.instance_id.as_ref()) {
            return Some(error);
        }
        let changed = !self.has_protocols(member_id, &request.protocols);
        let reason = match self.state {
            GroupState::Empty | GroupState::Dead => return Some(GroupError::UnknownMemberId),
            GroupState::PreparingRebalance => RebalanceReason::MemberJoined(member_id.clone()),
            GroupState::Stable if self.is_leader(member_id) => {
                RebalanceReason::LeaderRejoined(member_id.clone())
            }
            _ if changed => RebalanceReason::MemberChanged(member_id.clone()),
            GroupState::CompletingRebalance | GroupState::Stable => {
                // Most likely it did not get the reply to its last JoinGroup: it is told the same again.
                env.reply(joining.token, self.joined_reply(member_id));
                return None;
            }
        };
        if self.is_too_large_with(env, request) {
            return Some(GroupError::GroupMaxSizeReached);
        }
        self.update_member(member_id, MemberTerms::of(request));
        self.park_join(env, member_id, joining.token);
        self.rebalance_or_complete_join(env, reason);
        None
    }

    /// Adds a member that waits for the next generation, which starts a rebalance if none is going on.
    fn add_member(&mut self, env: &mut Env<'_>, joining: &Joining<'_>, member: (MemberId, Knows)) {
        let request = joining.request;
        let (member_id, knows) = member;
        if let Some(initial) = &mut self.initial {
            initial.member_added = true;
        }
        let member = Member::new(request.instance_id.clone(), MemberTerms::of(request), knows);
        self.insert_member(member_id.clone(), member, &request.protocol_type);
        self.park_join(env, &member_id, joining.token);
        self.rebalance_or_complete_join(env, RebalanceReason::MemberJoined(member_id));
    }

    fn is_too_large_with(&self, env: &Env<'_>, request: &JoinGroup) -> bool {
        let candidate = Candidate::of(request, &request.member_id, Some(&request.member_id));
        self.record_bytes_with(&candidate) > env.config.record_bytes_max
    }

    fn has_protocols(&self, member_id: &MemberId, protocols: &[JoinProtocol]) -> bool {
        self.members
            .get(member_id)
            .is_some_and(|member| member.protocols == protocols)
    }

    /// Makes the id of a new member: its instance id or client id, a dash and a UUID.
    fn draw_member_id(&self, ids: &mut dyn IdSource, request: &JoinGroup) -> Option<MemberId> {
        let prefix = match &request.instance_id {
            Some(instance_id) => instance_id.as_str(),
            None => shortened(
                &request.client.client_id,
                STRING_BYTES_MAX - MEMBER_ID_SUFFIX_BYTES,
            ),
        };
        (0..ID_DRAWS_MAX)
            .map(|_| MemberId::from(format!("{prefix}-{}", uuid_text(ids.random_bytes()))))
            .find(|id| !self.members.contains_key(id) && !self.pending_join.contains(id))
    }
}

/// Returns the longest start of `text` that is not above `bytes_max` and does not cut a character.
fn shortened(text: &str, bytes_max: usize) -> &str {
    let end = (0..=bytes_max.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end))
        .unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
#[path = "join_test.rs"]
mod tests;
