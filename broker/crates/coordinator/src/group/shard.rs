//! The groups of one `__consumer_offsets` partition, and the door to them.
//!
//! A shard is made empty, fed its log ([`GroupShard::replay`]), started ([`GroupShard::loaded`]), driven by requests
//! ([`GroupShard::step`]) and time ([`GroupShard::tick`]), and stopped ([`GroupShard::unload`]).
//! Invariant: every request token is answered exactly once, unless its caller took it back ([`GroupShard::forget`]).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use thalweg_types::{Offset, ProducerId, TimestampMs};

use super::admin::{describe_unknown, refused_describe};
use super::classic::Group;
use super::config::GroupConfig;
use super::env::{Awaited, Env, Parked};
use super::error::{GroupError, ReplayError};
use super::expiry::Pass;
use super::ids::{GenerationId, GroupId, IdSource, TopicName};
use super::join::{Joining, check_join};
use super::membership::left;
use super::offsets::{CommittedOffsets, refused_commit};
use super::rebalance::{refused_join, refused_sync};
use super::replay::{Position, Replayed, replay};
use super::reply::{
    DeleteGroupReply, GroupReply, HeartbeatReply, LeaveGroupReply, ListGroupsReply, OffsetDeleteReply,
    OffsetFetchReply,
};
use super::request::{
    DeleteGroup, GroupRequest, Heartbeat, LeaveGroup, ListGroups, OffsetCommit, OffsetDelete, OffsetFetch,
    SyncGroup,
};
use super::step::{RebalanceReason, ReplyToken, Step};
use super::summary::{GroupShardStats, GroupSummary};
use super::timers::{TimerKey, Timers};
use crate::record::STRING_BYTES_MAX;

/// First version of OffsetCommit that says GROUP_ID_NOT_FOUND.
const COMMIT_NOT_FOUND_FROM: i16 = 9;

/// What a shard does with requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Asks to come back: its log is being replayed.
    Loading,
    /// Serves.
    Active,
    /// Sends away: somebody else has the partition, or nobody.
    Unloaded,
}

/// The groups of one `__consumer_offsets` partition.
///
/// `now` is the time of the caller's clock. It should not jump: take the wall clock once and add the time of a
/// monotonic clock. A jump ahead ends sessions, a jump back prolongs them; nothing worse happens.
#[derive(Clone, Debug)]
pub struct GroupShard {
    config: GroupConfig,
    phase: Phase,
    pub(super) groups: BTreeMap<GroupId, Group>,
    timers: Timers,
    parked: HashMap<ReplyToken, Parked>,
    pub(super) stats: GroupShardStats,
    /// The groups that have pending offsets of a producer, and perhaps some that had.
    pub(super) transactions: BTreeMap<ProducerId, BTreeSet<GroupId>>,
    /// The group the running expiry pass goes on after.
    expiry_cursor: Option<GroupId>,
}

impl GroupShard {
    /// Returns a shard without groups that waits to be loaded. The settings must be valid
    /// ([`GroupConfig::validate`]).
    #[must_use]
    pub fn new(config: GroupConfig) -> Self {
        Self {
            config,
            phase: Phase::Loading,
            groups: BTreeMap::new(),
            timers: Timers::default(),
            parked: HashMap::new(),
            stats: GroupShardStats::default(),
            transactions: BTreeMap::new(),
            expiry_cursor: None,
        }
    }

    /// Takes over new settings. They bound what comes; what is there stays.
    pub fn set_config(&mut self, config: GroupConfig) {
        self.config = config;
    }

    /// Applies one record of the log. For use before [`GroupShard::loaded`]; `timestamp` is the record's.
    ///
    /// Control batches need not be kept away: their keys are skipped like those of newer group protocols.
    /// # Errors
    /// [`ReplayError`] if a record of a known kind cannot be read. Nothing has changed then; whether to go on without
    /// it is the caller's decision.
    pub fn replay(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        offset: Offset,
        timestamp: TimestampMs,
    ) -> Result<Replayed, ReplayError> {
        debug_assert_eq!(
            self.phase,
            Phase::Loading,
            "records are replayed before the shard serves"
        );
        let replayed = replay(&mut self.groups, key, value, &Position { offset, timestamp })?;
        self.stats.records_skipped += u64::from(replayed == Replayed::Skipped);
        Ok(replayed)
    }

    /// Starts to serve: the members found in the log have a session timeout to show that they live.
    pub fn loaded(&mut self, now: TimestampMs) -> Step {
        self.phase = Phase::Active;
        let mut step = Step::default();
        self.timers.schedule(
            TimerKey::Expiry,
            now,
            self.config.offsets_retention_check_interval_ms,
        );
        let (mut env, groups) = self.env(now, &mut step);
        for group in groups.values_mut() {
            for member_id in group.members.keys() {
                group.restart_session(&mut env, member_id);
            }
            if group.members.len() > env.config.group_size_max {
                group.prepare_rebalance(&mut env, RebalanceReason::OverCapacity);
            }
        }
        step
    }

    /// Stops to serve and forgets everything. Whoever waits is told to look the coordinator up again.
    pub fn unload(&mut self) -> Step {
        self.phase = Phase::Unloaded;
        let mut step = Step::default();
        let mut parked: Vec<(ReplyToken, Parked)> = self.parked.drain().collect();
        parked.sort_unstable_by_key(|(token, _)| *token);
        for (token, parked) in parked {
            let reply = match parked.awaited {
                Awaited::Join => refused_join(parked.member_id, GroupError::NotCoordinator),
                Awaited::Sync => refused_sync(GroupError::NotCoordinator),
            };
            step.replies.push((token, reply));
        }
        self.groups.clear();
        self.transactions.clear();
        self.timers.clear();
        step
    }

    /// Handles one request. Its reply is in this step or in a later one.
    pub fn step(
        &mut self,
        now: TimestampMs,
        ids: &mut dyn IdSource,
        request: GroupRequest,
        token: ReplyToken,
    ) -> Step {
        debug_assert!(!self.parked.contains_key(&token), "a token is used once");
        let mut step = Step::default();
        let refused = match self.phase {
            Phase::Active => None,
            Phase::Loading => Some(GroupError::CoordinatorLoadInProgress),
            Phase::Unloaded => Some(GroupError::NotCoordinator),
        };
        if let Some(error) = refused {
            step.replies.push((token, refuse(&request, error)));
            return step;
        }
        let reply = match request {
            GroupRequest::Join(request) => self.join(
                now,
                ids,
                &Joining {
                    request: &request,
                    token,
                },
                &mut step,
            ),
            GroupRequest::Sync(request) => self.sync(now, &request, token, &mut step),
            GroupRequest::Heartbeat(request) => Some(self.heartbeat(now, &request, &mut step)),
            GroupRequest::Leave(request) => Some(self.leave(now, &request, &mut step)),
            GroupRequest::OffsetCommit(request) => Some(self.commit(now, &request, &mut step)),
            GroupRequest::TxnOffsetCommit(request) => {
                Some(self.commit_transactional(now, &request, &mut step))
            }
            GroupRequest::OffsetFetch(request) => Some(self.fetch(request)),
            GroupRequest::OffsetDelete(request) => Some(self.delete_offsets(now, &request, &mut step)),
            GroupRequest::Describe(request) => Some(GroupReply::Describe(
                self.groups
                    .get(&request.group_id)
                    .map_or_else(|| describe_unknown(&request), Group::describe),
            )),
            GroupRequest::List(request) => Some(self.list(&request)),
            GroupRequest::Delete(request) => Some(self.delete(now, &request, &mut step)),
        };
        if let Some(reply) = reply {
            step.replies.push((token, reply));
        }
        step
    }

    /// Runs what is due. Calling it too early or too often does no harm.
    pub fn tick(&mut self, now: TimestampMs) -> Step {
        let mut step = Step::default();
        let mark = self.timers.mark();
        while let Some(key) = self.timers.pop_due(now, mark) {
            match key {
                TimerKey::Session(group_id, member_id) => {
                    self.with_group(now, &group_id, &mut step, |group, env| {
                        group.on_session_timer(env, &member_id);
                    });
                }
                TimerKey::Join(group_id) => {
                    self.with_group(now, &group_id, &mut step, |group, env| group.on_join_timer(env));
                }
                TimerKey::Sync(group_id) => {
                    self.with_group(now, &group_id, &mut step, |group, env| group.on_sync_timer(env));
                }
                TimerKey::Expiry => self.expire(now, &mut step),
            }
        }
        step
    }

    /// Returns when [`GroupShard::tick`] has something to do next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<TimestampMs> {
        self.timers.next_deadline()
    }

    /// Takes back a request whose connection closed: it is not answered any more.
    ///
    /// A member that waited counts as missing again. It is removed at once if it cannot know its id; otherwise it has
    /// its session timeout to come back. A token that does not wait is ignored.
    pub fn forget(&mut self, now: TimestampMs, token: ReplyToken) -> Step {
        let mut step = Step::default();
        if let Some(parked) = self.parked.remove(&token) {
            self.with_group(now, &parked.group_id.clone(), &mut step, |group, env| {
                group.disconnect(env, token, &parked);
            });
        }
        step
    }

    /// Removes the offsets of deleted topics from every group. Does nothing before [`GroupShard::loaded`]: tell a
    /// shard that loads afterwards.
    pub fn topics_deleted(&mut self, now: TimestampMs, topics: &[TopicName]) -> Step {
        let mut step = Step::default();
        if self.phase != Phase::Active {
            return step;
        }
        let (mut env, groups) = self.env(now, &mut step);
        for group in groups.values_mut() {
            for topic in topics {
                group.forget_topic(&mut env, topic);
            }
        }
        self.groups.retain(|_, group| !group.is_vacant());
        step
    }

    /// Returns the counters of the shard.
    #[must_use]
    pub fn stats(&self) -> &GroupShardStats {
        &self.stats
    }

    /// Returns a view of every group, by id.
    pub fn groups(&self) -> impl Iterator<Item = GroupSummary<'_>> {
        self.groups.values().map(GroupSummary::new)
    }

    /// Returns a view of one group.
    #[must_use]
    pub fn group(&self, group_id: &str) -> Option<GroupSummary<'_>> {
        self.groups.get(group_id).map(GroupSummary::new)
    }

    /// Returns how many requests wait for their reply.
    #[must_use]
    pub fn parked_count(&self) -> usize {
        self.parked.len()
    }

    /// Splits the shard into its groups and what they may touch.
    fn env<'a>(
        &'a mut self,
        now: TimestampMs,
        step: &'a mut Step,
    ) -> (Env<'a>, &'a mut BTreeMap<GroupId, Group>) {
        let env = Env {
            now,
            config: &self.config,
            timers: &mut self.timers,
            parked: &mut self.parked,
            stats: &mut self.stats,
            step,
        };
        (env, &mut self.groups)
    }

    /// Runs `act` on a group if it exists, and drops the group if nothing of it is worth keeping after that.
    pub(super) fn with_group<T>(
        &mut self,
        now: TimestampMs,
        group_id: &GroupId,
        step: &mut Step,
        act: impl FnOnce(&mut Group, &mut Env<'_>) -> T,
    ) -> Option<T> {
        let (mut env, groups) = self.env(now, step);
        let group = groups.get_mut(group_id)?;
        let result = act(group, &mut env);
        if group.is_vacant() {
            groups.remove(group_id);
        }
        Some(result)
    }

    /// Makes sure that a group exists. The caller runs [`GroupShard::with_group`] after it, which drops it again if
    /// it stays vacant.
    pub(super) fn ensure_group(&mut self, now: TimestampMs, group_id: &GroupId) -> Result<(), GroupError> {
        if self.groups.contains_key(group_id) {
            return Ok(());
        }
        if self.groups.len() >= self.config.groups_max {
            return Err(GroupError::GroupsMaxReached);
        }
        self.groups
            .insert(group_id.clone(), Group::new(group_id.clone(), now));
        Ok(())
    }

    fn join(
        &mut self,
        now: TimestampMs,
        ids: &mut dyn IdSource,
        joining: &Joining<'_>,
        step: &mut Step,
    ) -> Option<GroupReply> {
        let request = joining.request;
        let checked = check_join(request, &self.config).and_then(|()| {
            if request.member_id.is_unknown() {
                self.ensure_group(now, &request.group_id)
            } else {
                Ok(())
            }
        });
        if let Err(error) = checked {
            return Some(refused_join(request.member_id.clone(), error));
        }
        let known = self.with_group(now, &request.group_id, step, |group, env| {
            group.join(env, ids, joining)
        });
        match known {
            Some(()) => None,
            None => Some(refused_join(
                request.member_id.clone(),
                GroupError::UnknownMemberId,
            )),
        }
    }

    fn sync(
        &mut self,
        now: TimestampMs,
        request: &SyncGroup,
        token: ReplyToken,
        step: &mut Step,
    ) -> Option<GroupReply> {
        if request.group_id.is_empty() {
            return Some(refused_sync(GroupError::InvalidGroupId));
        }
        let known = self.with_group(now, &request.group_id, step, |group, env| {
            group.sync(env, request, token)
        });
        match known {
            Some(()) => None,
            None => Some(refused_sync(GroupError::UnknownMemberId)),
        }
    }

    fn heartbeat(&mut self, now: TimestampMs, request: &Heartbeat, step: &mut Step) -> GroupReply {
        if request.group_id.is_empty() {
            return GroupReply::Heartbeat(HeartbeatReply {
                outcome: Err(GroupError::InvalidGroupId),
            });
        }
        let reply = self.with_group(now, &request.group_id, step, |group, env| {
            group.heartbeat(env, request)
        });
        GroupReply::Heartbeat(reply.unwrap_or(HeartbeatReply {
            outcome: Err(GroupError::UnknownMemberId),
        }))
    }

    fn leave(&mut self, now: TimestampMs, request: &LeaveGroup, step: &mut Step) -> GroupReply {
        if request.group_id.is_empty() {
            return GroupReply::Leave(LeaveGroupReply {
                outcome: Err(GroupError::InvalidGroupId),
            });
        }
        let reply = self.with_group(now, &request.group_id, step, |group, env| {
            group.leave(env, request)
        });
        GroupReply::Leave(reply.unwrap_or_else(|| {
            LeaveGroupReply {
                outcome: Ok(request
                    .members
                    .iter()
                    .map(|leaving| left(leaving, Err(GroupError::UnknownMemberId)))
                    .collect()),
            }
        }))
    }

    fn commit(&mut self, now: TimestampMs, request: &OffsetCommit, step: &mut Step) -> GroupReply {
        let unknown = || match request.api_version {
            COMMIT_NOT_FOUND_FROM.. => GroupError::GroupIdNotFound,
            _ => GroupError::IllegalGeneration,
        };
        let found = if request.group_id.len() > STRING_BYTES_MAX {
            Err(GroupError::InvalidGroupId)
        } else if request.generation < GenerationId::ZERO {
            // A consumer that assigns its own partitions, or an admin client: the group need not exist.
            self.ensure_group(now, &request.group_id)
        } else {
            Ok(())
        };
        let reply = found.map(|()| {
            self.with_group(now, &request.group_id, step, |group, env| {
                group.commit_offsets(env, request)
            })
            .unwrap_or_else(|| refused_commit(request, unknown()))
        });
        GroupReply::OffsetCommit(reply.unwrap_or_else(|error| refused_commit(request, error)))
    }

    fn fetch(&self, request: OffsetFetch) -> GroupReply {
        let none = CommittedOffsets::default();
        let offsets = self
            .groups
            .get(&request.group_id)
            .map_or(&none, |group| &group.offsets);
        let outcome = Ok(offsets.fetch_topics(&request));
        GroupReply::OffsetFetch(OffsetFetchReply {
            group_id: request.group_id,
            outcome,
        })
    }

    fn delete_offsets(&mut self, now: TimestampMs, request: &OffsetDelete, step: &mut Step) -> GroupReply {
        if request.group_id.is_empty() {
            return GroupReply::OffsetDelete(OffsetDeleteReply {
                outcome: Err(GroupError::InvalidGroupId),
            });
        }
        let reply = self.with_group(now, &request.group_id, step, |group, env| {
            group.delete_offsets(env, request)
        });
        let unknown = OffsetDeleteReply {
            outcome: Err(GroupError::GroupIdNotFound),
        };
        GroupReply::OffsetDelete(reply.unwrap_or(unknown))
    }

    fn list(&self, request: &ListGroups) -> GroupReply {
        let groups = self
            .groups
            .values()
            .map(Group::listed)
            .filter(|listed| request.wants(listed))
            .collect();
        GroupReply::List(ListGroupsReply { outcome: Ok(groups) })
    }

    fn delete(&mut self, now: TimestampMs, request: &DeleteGroup, step: &mut Step) -> GroupReply {
        let outcome = self
            .with_group(now, &request.group_id, step, |group, env| group.delete(env))
            .unwrap_or(Err(GroupError::GroupIdNotFound));
        GroupReply::Delete(DeleteGroupReply {
            group_id: request.group_id.clone(),
            outcome,
        })
    }

    /// Looks for expired offsets and groups, a bounded number at a time.
    fn expire(&mut self, now: TimestampMs, step: &mut Step) {
        let budget = self.config.expiry_records_max.saturating_add(step.records.len());
        let after = self.expiry_cursor.take();
        let start = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut cut_at = None;
        let mut last_done = after.clone();
        {
            let (mut env, groups) = self.env(now, step);
            for (group_id, group) in groups.range_mut::<GroupId, _>((start, Bound::Unbounded)) {
                if group.expire(&mut env, budget) == Pass::Cut || env.step.records.len() >= budget {
                    cut_at = Some(last_done.clone());
                    break;
                }
                last_done = Some(group_id.clone());
            }
        }
        self.groups.retain(|_, group| !group.is_vacant());
        let delay_ms = match cut_at {
            Some(cursor) => {
                self.expiry_cursor = cursor;
                1
            }
            None => self.config.offsets_retention_check_interval_ms,
        };
        self.timers.schedule(TimerKey::Expiry, now, delay_ms);
    }
}

/// Answers a request without looking at it.
fn refuse(request: &GroupRequest, error: GroupError) -> GroupReply {
    match request {
        GroupRequest::Join(request) => refused_join(request.member_id.clone(), error),
        GroupRequest::Sync(_) => refused_sync(error),
        GroupRequest::Heartbeat(_) => GroupReply::Heartbeat(HeartbeatReply {
            // The member may well be one of the group: it is not sent into a rebalance for our start.
            outcome: if error == GroupError::CoordinatorLoadInProgress {
                Ok(())
            } else {
                Err(error)
            },
        }),
        GroupRequest::Leave(_) => GroupReply::Leave(LeaveGroupReply { outcome: Err(error) }),
        GroupRequest::OffsetCommit(request) => GroupReply::OffsetCommit(refused_commit(request, error)),
        GroupRequest::TxnOffsetCommit(request) => {
            GroupReply::OffsetCommit(refused_commit(&request.commit, error))
        }
        GroupRequest::OffsetFetch(request) => GroupReply::OffsetFetch(OffsetFetchReply {
            group_id: request.group_id.clone(),
            outcome: Err(error),
        }),
        GroupRequest::OffsetDelete(_) => GroupReply::OffsetDelete(OffsetDeleteReply { outcome: Err(error) }),
        GroupRequest::Describe(request) => GroupReply::Describe(refused_describe(&request.group_id, error)),
        GroupRequest::List(_) => GroupReply::List(ListGroupsReply { outcome: Err(error) }),
        GroupRequest::Delete(request) => GroupReply::Delete(DeleteGroupReply {
            group_id: request.group_id.clone(),
            outcome: Err(error),
        }),
    }
}

#[cfg(test)]
#[path = "shard_test.rs"]
mod tests;
