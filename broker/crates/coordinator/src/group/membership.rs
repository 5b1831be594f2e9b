//! How a member stays (Heartbeat, key 12), how it goes (LeaveGroup, key 13), and how it is lost: its session ends
//! or its connection closes.

use super::classic::Group;
use super::env::{Awaited, Env, Parked};
use super::error::GroupError;
use super::ids::MemberId;
use super::member::Knows;
use super::reply::{HeartbeatReply, LeaveGroupReply, LeftMember};
use super::request::{Heartbeat, LeaveGroup, LeavingMember};
use super::state::GroupState;
use super::step::{RebalanceReason, RemovalCause, ReplyToken};

impl Group {
    /// Handles a Heartbeat.
    pub(crate) fn heartbeat(&mut self, env: &mut Env<'_>, request: &Heartbeat) -> HeartbeatReply {
        HeartbeatReply {
            outcome: self.check_heartbeat(env, request),
        }
    }

    fn check_heartbeat(&mut self, env: &mut Env<'_>, request: &Heartbeat) -> Result<(), GroupError> {
        self.validate_member(&request.member_id, request.instance_id.as_ref())?;
        if request.generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        self.restart_session(env, &request.member_id);
        match self.state {
            GroupState::Empty | GroupState::Dead => Err(GroupError::UnknownMemberId),
            GroupState::PreparingRebalance => Err(GroupError::RebalanceInProgress),
            // Members may beat as soon as they know the generation, before the assignment is there.
            GroupState::CompletingRebalance | GroupState::Stable => Ok(()),
        }
    }

    /// Handles a LeaveGroup: first everybody goes, then the group reacts once.
    pub(crate) fn leave(&mut self, env: &mut Env<'_>, request: &LeaveGroup) -> LeaveGroupReply {
        let mut last_removed = None;
        let mut members = Vec::with_capacity(request.members.len());
        for leaving in &request.members {
            let outcome = match self.leave_one(env, leaving) {
                Ok(removed) => {
                    last_removed = removed.or(last_removed);
                    Ok(())
                }
                Err(error) => Err(error),
            };
            members.push(left(leaving, outcome));
        }
        match last_removed {
            Some(member_id) => {
                self.rebalance_or_complete_join(env, RebalanceReason::MemberRemoved(member_id));
            }
            // A pending member that went may have been the last one missing.
            None => self.maybe_complete_join(env),
        }
        LeaveGroupReply { outcome: Ok(members) }
    }

    /// Removes one member; returns its id if it was more than a pending one.
    fn leave_one(
        &mut self,
        env: &mut Env<'_>,
        leaving: &LeavingMember,
    ) -> Result<Option<MemberId>, GroupError> {
        let member_id = if leaving.member_id.is_unknown() {
            let instance_id = leaving.instance_id.as_ref().ok_or(GroupError::UnknownMemberId)?;
            self.static_members
                .get(instance_id)
                .cloned()
                .ok_or(GroupError::UnknownMemberId)?
        } else if self.drop_pending(env, &leaving.member_id) {
            return Ok(None);
        } else {
            self.validate_member(&leaving.member_id, leaving.instance_id.as_ref())?;
            leaving.member_id.clone()
        };
        self.remove_member(env, &member_id, RemovalCause::Left);
        Ok(Some(member_id))
    }

    /// The session timer of a member or of a pending id.
    pub(crate) fn on_session_timer(&mut self, env: &mut Env<'_>, member_id: &MemberId) {
        if self.pending_join.remove(member_id) {
            return self.maybe_complete_join(env);
        }
        let Some(member) = self.members.get(member_id) else {
            return;
        };
        let waits = member.awaiting_join.is_some() || member.awaiting_sync.is_some();
        if waits && member.knows == Knows::Generation {
            // It cannot beat while it waits for us; its session starts again with the reply.
            return;
        }
        env.stats.sessions_expired += 1;
        self.remove_member(env, member_id, RemovalCause::SessionTimedOut);
        self.rebalance_or_complete_join(env, RebalanceReason::MemberRemoved(member_id.clone()));
    }

    /// The connection that waited for `token` closed: the member has not joined, or not asked, any more.
    ///
    /// It has its session timeout to come back, unless it cannot because it was never told its id.
    pub(crate) fn disconnect(&mut self, env: &mut Env<'_>, token: ReplyToken, parked: &Parked) {
        let member_id = &parked.member_id;
        let Some(member) = self.members.get_mut(member_id) else {
            return;
        };
        let cannot_return = member.knows == Knows::Nothing && member.instance_id.is_none();
        match parked.awaited {
            Awaited::Join if member.awaiting_join == Some(token) => {
                self.set_awaiting_join(member_id, None);
            }
            Awaited::Sync if member.awaiting_sync == Some(token) => {
                member.awaiting_sync = None;
                self.pending_sync.insert(member_id.clone());
            }
            Awaited::Join | Awaited::Sync => return,
        }
        if cannot_return {
            self.remove_member(env, member_id, RemovalCause::Disconnected);
            self.rebalance_or_complete_join(env, RebalanceReason::MemberRemoved(member_id.clone()));
        } else {
            self.restart_session(env, member_id);
        }
    }
}

/// Returns the result for one member of a LeaveGroup.
pub(crate) fn left(leaving: &LeavingMember, outcome: Result<(), GroupError>) -> LeftMember {
    LeftMember {
        member_id: leaving.member_id.clone(),
        instance_id: leaving.instance_id.clone(),
        outcome,
    }
}

#[cfg(test)]
#[path = "membership_test.rs"]
mod tests;
