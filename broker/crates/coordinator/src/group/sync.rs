//! SyncGroup (key 14): the leader hands in the assignment, everybody gets theirs.
//!
//! Versions: 3 adds static members (KIP-345), 5 lets members say which protocol they think was chosen (KIP-559).

use std::collections::BTreeMap;

use bytes::Bytes;

use super::classic::Group;
use super::env::{Awaited, Env, Parked};
use super::error::GroupError;
use super::ids::MemberId;
use super::rebalance::refused_sync;
use super::reply::{GroupReply, SyncGroupReply, SyncedAssignment};
use super::request::{MemberAssignment, SyncGroup};
use super::state::GroupState;
use super::step::{GroupEvent, RebalanceReason, RemovalCause, ReplyToken};
use super::timers::TimerKey;
use crate::record::RecordKey;

impl Group {
    /// Handles a SyncGroup.
    pub(crate) fn sync(&mut self, env: &mut Env<'_>, request: &SyncGroup, token: ReplyToken) {
        let refused = self.check_sync(request).err().or_else(|| match self.state {
            GroupState::Empty | GroupState::Dead => Some(GroupError::UnknownMemberId),
            GroupState::PreparingRebalance => Some(GroupError::RebalanceInProgress),
            GroupState::CompletingRebalance if self.is_leader(&request.member_id) => {
                self.take_assignment(env, request, token)
            }
            GroupState::CompletingRebalance => {
                self.park_sync(env, &request.member_id, token);
                None
            }
            GroupState::Stable => {
                self.note_synced(env, &request.member_id);
                self.restart_session(env, &request.member_id);
                env.reply(token, self.synced_reply(&request.member_id));
                None
            }
        });
        if let Some(error) = refused {
            env.reply(token, refused_sync(error));
        }
    }

    fn check_sync(&self, request: &SyncGroup) -> Result<(), GroupError> {
        self.validate_member(&request.member_id, request.instance_id.as_ref())?;
        if request.generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        let differs = |theirs: &Option<String>, ours: &Option<String>| matches!((theirs, ours), (Some(theirs), Some(ours)) if theirs != ours);
        if differs(&request.protocol_type, &self.protocol_type)
            || differs(&request.protocol_name, &self.protocol_name)
        {
            return Err(GroupError::InconsistentGroupProtocol);
        }
        Ok(())
    }

    /// Lets the member wait for the leader's assignment.
    fn park_sync(&mut self, env: &mut Env<'_>, member_id: &MemberId, token: ReplyToken) {
        let Some(member) = self.members.get_mut(member_id) else {
            return;
        };
        if let Some(older) = member.awaiting_sync.replace(token) {
            // The member asked again, so it gave up on its first request; that one still gets an answer.
            env.reply(older, refused_sync(GroupError::RebalanceInProgress));
        }
        env.parked.insert(
            token,
            Parked {
                group_id: self.id.clone(),
                member_id: member_id.clone(),
                awaited: Awaited::Sync,
            },
        );
        self.note_synced(env, member_id);
    }

    /// Makes the leader's assignment the group's, stores it and answers everybody who waits.
    ///
    /// Returns why not, if the record would be too long for the log: nothing has changed then, and the leader is the
    /// one to know.
    fn take_assignment(
        &mut self,
        env: &mut Env<'_>,
        request: &SyncGroup,
        token: ReplyToken,
    ) -> Option<GroupError> {
        let given: BTreeMap<&MemberId, &MemberAssignment> = request
            .assignments
            .iter()
            .map(|assignment| (&assignment.member_id, assignment))
            .collect();
        let assigned = |member_id: &MemberId| given.get(member_id).map(|given| &given.assignment);
        let new_bytes: usize = self.members.keys().filter_map(assigned).map(Bytes::len).sum();
        let old_bytes: usize = self.members.values().map(|member| member.assignment.len()).sum();
        let record_bytes =
            RecordKey::group_size_bytes(&self.id) + self.to_value().size_bytes() - old_bytes + new_bytes;
        if record_bytes > env.config.record_bytes_max {
            let error = GroupError::GroupRecordTooLarge;
            env.log(GroupEvent::AssignmentRefused {
                group_id: self.id.clone(),
                error,
                record_bytes,
            });
            return Some(error);
        }

        self.park_sync(env, &request.member_id, token);
        for (member_id, member) in &mut self.members {
            // Copied: a slice would keep the whole received frame in memory as long as the generation lives.
            member.assignment =
                assigned(member_id).map_or_else(Bytes::new, |assignment| Bytes::copy_from_slice(assignment));
        }
        self.become_state(env, GroupState::Stable);
        env.append(self.to_record());
        self.has_record = true;
        env.stats.rebalances_completed += 1;
        self.hand_out(env);
        None
    }

    /// Answers every member that waits for its assignment.
    fn hand_out(&mut self, env: &mut Env<'_>) {
        let waiting: Vec<(MemberId, ReplyToken)> = self
            .members
            .iter_mut()
            .filter_map(|(member_id, member)| Some((member_id.clone(), member.awaiting_sync.take()?)))
            .collect();
        for (member_id, token) in waiting {
            let reply = self.synced_reply(&member_id);
            env.reply(token, reply);
            // The session of a member that waits may have passed unnoticed.
            self.restart_session(env, &member_id);
        }
    }

    fn synced_reply(&self, member_id: &MemberId) -> GroupReply {
        let assignment = self
            .members
            .get(member_id)
            .map(|member| member.assignment.clone())
            .unwrap_or_default();
        GroupReply::Sync(SyncGroupReply {
            outcome: Ok(SyncedAssignment {
                protocol_type: self.protocol_type.clone(),
                protocol_name: self.protocol_name.clone(),
                assignment,
            }),
        })
    }

    /// Notes that the member asked for its assignment; the last one stops the sync timer.
    fn note_synced(&mut self, env: &mut Env<'_>, member_id: &MemberId) {
        if self.pending_sync.remove(member_id) && self.pending_sync.is_empty() {
            env.timers.cancel(&TimerKey::Sync(self.id.clone()));
        }
    }

    /// The sync timer: members that did not ask for their assignment are out, and the others join again.
    pub(crate) fn on_sync_timer(&mut self, env: &mut Env<'_>) {
        let is_due = matches!(self.state, GroupState::CompletingRebalance | GroupState::Stable);
        if !is_due || self.pending_sync.is_empty() {
            return;
        }
        for member_id in std::mem::take(&mut self.pending_sync) {
            self.remove_member(env, &member_id, RemovalCause::SyncTimedOut);
        }
        self.prepare_rebalance(env, RebalanceReason::SyncTimedOut);
    }
}

#[cfg(test)]
#[path = "sync_test.rs"]
mod tests;
