//! The phases of a rebalance: members join, a generation forms, and (in `sync`) the leader assigns.
//!
//! All changes of [`GroupState`] are made here and in `sync`, through [`Group::become_state`].

use bytes::Bytes;

use super::classic::{Group, InitialDelay};
use super::env::{Awaited, Env, Parked};
use super::error::GroupError;
use super::ids::MemberId;
use super::member::Knows;
use super::reply::{GroupReply, JoinGroupReply, JoinedGeneration, JoinedMember, SyncGroupReply};
use super::state::GroupState;
use super::step::{GroupEvent, RebalanceReason, RemovalCause, ReplyToken};
use super::timers::TimerKey;

impl Group {
    /// Moves to another state and notes when.
    pub(crate) fn become_state(&mut self, env: &mut Env<'_>, next: GroupState) {
        if !self.state.may_become(next) {
            debug_assert!(false, "group {} cannot go from {} to {next}", self.id, self.state);
            env.stats.impossible_moves += 1;
        }
        self.state = next;
        self.state_timestamp = Some(env.now);
    }

    /// Starts a rebalance if none is going on; otherwise ends the join phase if nobody is missing any more.
    pub(crate) fn rebalance_or_complete_join(&mut self, env: &mut Env<'_>, reason: RebalanceReason) {
        if self.state == GroupState::PreparingRebalance {
            self.maybe_complete_join(env);
        } else {
            self.prepare_rebalance(env, reason);
        }
    }

    /// Starts a rebalance from any other state.
    pub(crate) fn prepare_rebalance(&mut self, env: &mut Env<'_>, reason: RebalanceReason) {
        if self.state == GroupState::CompletingRebalance {
            self.cancel_assignment(env);
        }
        self.pending_sync.clear();
        env.timers.cancel(&TimerKey::Sync(self.id.clone()));
        env.log(GroupEvent::RebalanceStarted {
            group_id: self.id.clone(),
            generation: self.generation,
            reason,
        });

        let was_empty = self.state == GroupState::Empty;
        self.become_state(env, GroupState::PreparingRebalance);
        if was_empty {
            self.start_initial_delay(env);
        } else if self.has_all_joined() {
            self.complete_join(env);
        } else {
            env.schedule(TimerKey::Join(self.id.clone()), self.rebalance_timeout_ms());
        }
    }

    /// Gives the first member of an empty group company before the first generation forms.
    fn start_initial_delay(&mut self, env: &mut Env<'_>) {
        let delay_ms = env.config.initial_rebalance_delay_ms;
        if delay_ms <= 0 {
            return self.complete_join(env);
        }
        let remaining_ms = self.rebalance_timeout_ms().saturating_sub(delay_ms).max(0);
        self.initial = Some(InitialDelay {
            delay_ms,
            remaining_ms,
            member_added: false,
        });
        env.schedule(TimerKey::Join(self.id.clone()), delay_ms);
    }

    /// Ends the join phase if nobody is missing. An initial delay is waited for, unless everybody has gone.
    pub(crate) fn maybe_complete_join(&mut self, env: &mut Env<'_>) {
        let waits = self.initial.is_some() && !self.members.is_empty();
        if self.state == GroupState::PreparingRebalance && !waits && self.has_all_joined() {
            self.complete_join(env);
        }
    }

    /// The join timer: puts the initial rebalance off again if somebody came, otherwise ends the join phase.
    pub(crate) fn on_join_timer(&mut self, env: &mut Env<'_>) {
        if self.state != GroupState::PreparingRebalance {
            return;
        }
        match self.initial {
            Some(initial) if initial.member_added && initial.remaining_ms > 0 => {
                let delay_ms = env.config.initial_rebalance_delay_ms.min(initial.remaining_ms);
                let remaining_ms = initial.remaining_ms.saturating_sub(initial.delay_ms).max(0);
                self.initial = Some(InitialDelay {
                    delay_ms,
                    remaining_ms,
                    member_added: false,
                });
                env.schedule(TimerKey::Join(self.id.clone()), delay_ms);
            }
            _ => self.complete_join(env),
        }
    }

    /// Ends the join phase: whoever is missing is out (static members stay), the others form a generation.
    fn complete_join(&mut self, env: &mut Env<'_>) {
        env.timers.cancel(&TimerKey::Join(self.id.clone()));
        self.initial = None;
        let missing: Vec<MemberId> = self
            .members
            .iter()
            .filter(|(_, member)| member.awaiting_join.is_none() && member.instance_id.is_none())
            .map(|(member_id, _)| member_id.clone())
            .collect();
        for member_id in missing {
            self.remove_member(env, &member_id, RemovalCause::RebalanceTimedOut);
        }
        if !self.members.is_empty() && !self.elect_joined_leader() {
            // Only static members are left and none has come back: wait until they do or their sessions end.
            env.schedule(TimerKey::Join(self.id.clone()), self.rebalance_timeout_ms());
            return;
        }
        self.generation = self.generation.next();
        self.pending_sync.clear();
        env.log(GroupEvent::GenerationFormed {
            group_id: self.id.clone(),
            generation: self.generation,
            members: self.members.len(),
        });
        if self.members.is_empty() {
            self.become_empty(env);
        } else {
            self.announce_generation(env);
        }
    }

    fn become_empty(&mut self, env: &mut Env<'_>) {
        self.protocol_name = None;
        self.subscribed = self.compute_subscribed();
        self.become_state(env, GroupState::Empty);
        env.append(self.to_record());
        self.has_record = true;
    }

    /// Answers every JoinGroup that waits, and gives the members time to ask for their assignment.
    fn announce_generation(&mut self, env: &mut Env<'_>) {
        self.protocol_name = self.select_protocol();
        debug_assert!(
            self.protocol_name.is_some(),
            "every member was let in with a protocol that all support"
        );
        self.subscribed = self.compute_subscribed();
        self.become_state(env, GroupState::CompletingRebalance);
        let member_ids: Vec<MemberId> = self.members.keys().cloned().collect();
        for member_id in member_ids {
            if let Some(token) = self.set_awaiting_join(&member_id, None) {
                let reply = self.joined_reply(&member_id);
                env.reply(token, reply);
            }
            self.restart_session(env, &member_id);
            if let Some(member) = self.members.get_mut(&member_id) {
                member.knows = Knows::Generation;
            }
            self.pending_sync.insert(member_id);
        }
        env.schedule(TimerKey::Sync(self.id.clone()), self.rebalance_timeout_ms());
    }

    /// Returns the answer that tells a member of the current generation.
    pub(crate) fn joined_reply(&self, member_id: &MemberId) -> GroupReply {
        let members = if self.is_leader(member_id) {
            self.joined_members()
        } else {
            Vec::new()
        };
        let leader = self.leader.clone().unwrap_or_else(MemberId::unknown);
        self.joined_reply_with(
            member_id,
            JoinedView {
                leader,
                members,
                skip_assignment: false,
            },
        )
    }

    /// Returns the same with a view of leader and members of the caller's choice.
    pub(crate) fn joined_reply_with(&self, member_id: &MemberId, view: JoinedView) -> GroupReply {
        GroupReply::Join(JoinGroupReply {
            member_id: member_id.clone(),
            outcome: Ok(JoinedGeneration {
                generation: self.generation,
                protocol_type: self.protocol_type.clone(),
                protocol_name: self.protocol_name.clone(),
                leader: view.leader,
                skip_assignment: view.skip_assignment,
                members: view.members,
            }),
        })
    }

    /// Returns what the leader is told of everybody.
    pub(crate) fn joined_members(&self) -> Vec<JoinedMember> {
        let protocol_name = self.protocol_name.as_deref().unwrap_or_default();
        self.members
            .iter()
            .map(|(member_id, member)| JoinedMember {
                member_id: member_id.clone(),
                instance_id: member.instance_id.clone(),
                metadata: member.metadata(protocol_name),
            })
            .collect()
    }

    /// Lets the member wait for the next generation.
    pub(crate) fn park_join(&mut self, env: &mut Env<'_>, member_id: &MemberId, token: ReplyToken) {
        if let Some(older) = self.set_awaiting_join(member_id, Some(token)) {
            // The member asked again, so it gave up on its first request; that one still gets an answer.
            env.reply(
                older,
                refused_join(member_id.clone(), GroupError::RebalanceInProgress),
            );
        }
        env.parked.insert(
            token,
            Parked {
                group_id: self.id.clone(),
                member_id: member_id.clone(),
                awaited: Awaited::Join,
            },
        );
        if self
            .members
            .get(member_id)
            .is_some_and(|member| member.knows != Knows::Generation)
        {
            // It sends no heartbeats before its first generation, and a closed connection may go unnoticed.
            let key = TimerKey::Session(self.id.clone(), member_id.clone());
            env.schedule(key, env.config.new_member_join_timeout_ms);
        }
    }

    /// Sets the member's session deadline anew.
    pub(crate) fn restart_session(&self, env: &mut Env<'_>, member_id: &MemberId) {
        if let Some(member) = self.members.get(member_id) {
            let key = TimerKey::Session(self.id.clone(), member_id.clone());
            env.schedule(key, i64::from(member.session_timeout_ms));
        }
    }

    /// Takes a member out: its timer stops and what it waits for is answered. What follows for the group is the
    /// caller's.
    pub(crate) fn remove_member(&mut self, env: &mut Env<'_>, member_id: &MemberId, cause: RemovalCause) {
        let Some(member) = self.take_member(member_id) else {
            return;
        };
        env.timers
            .cancel(&TimerKey::Session(self.id.clone(), member_id.clone()));
        if let Some(token) = member.awaiting_join {
            // A member that is still there asks again, as a new one.
            env.reply(
                token,
                refused_join(MemberId::unknown(), GroupError::UnknownMemberId),
            );
        }
        if let Some(token) = member.awaiting_sync {
            env.reply(token, refused_sync(GroupError::UnknownMemberId));
        }
        env.log(GroupEvent::MemberRemoved {
            group_id: self.id.clone(),
            member_id: member_id.clone(),
            cause,
        });
    }

    /// Takes back the assignments of a generation that will not come to be; who waits for one must join again.
    fn cancel_assignment(&mut self, env: &mut Env<'_>) {
        let mut waiting = Vec::new();
        for (member_id, member) in &mut self.members {
            member.assignment = Bytes::new();
            if let Some(token) = member.awaiting_sync.take() {
                waiting.push((member_id.clone(), token));
            }
        }
        for (member_id, token) in waiting {
            env.reply(token, refused_sync(GroupError::RebalanceInProgress));
            self.restart_session(env, &member_id);
        }
    }
}

/// What a JoinGroup reply says of the leader and the members.
pub(crate) struct JoinedView {
    pub(crate) leader: MemberId,
    pub(crate) members: Vec<JoinedMember>,
    pub(crate) skip_assignment: bool,
}

/// Returns a JoinGroup reply that lets nobody in.
pub(crate) fn refused_join(member_id: MemberId, error: GroupError) -> GroupReply {
    GroupReply::Join(JoinGroupReply {
        member_id,
        outcome: Err(error),
    })
}

/// Returns a SyncGroup reply without an assignment.
pub(crate) fn refused_sync(error: GroupError) -> GroupReply {
    GroupReply::Sync(SyncGroupReply { outcome: Err(error) })
}
