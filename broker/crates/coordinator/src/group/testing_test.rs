//! What the tests of groups share: a desk that drives a shard, keeps its log and checks after every step that
//! everything promised of a step holds; and short forms of requests.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use thalweg_types::{LeaderEpoch, Offset, PartitionIndex, ProducerId, TimestampMs};

use super::*;
use crate::transaction::Outcome;

pub(crate) const SESSION_MS: i32 = 10_000;
pub(crate) const REBALANCE_MS: i32 = 60_000;

/// Counts upwards, so that ids are different and the same in every run.
#[derive(Clone, Debug, Default)]
pub(crate) struct CountingIds(pub(crate) u64);

impl IdSource for CountingIds {
    fn random_bytes(&mut self) -> [u8; 16] {
        self.0 += 1;
        u128::from(self.0).to_be_bytes()
    }
}

/// A loaded shard with the other side of its contract.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    pub(crate) shard: GroupShard,
    /// Replays every record as soon as it is returned.
    pub(crate) replica: GroupShard,
    pub(crate) now: i64,
    pub(crate) log: Vec<GroupRecord>,
    pub(crate) events: Vec<GroupEvent>,
    pub(crate) waiting: BTreeSet<ReplyToken>,
    answers: BTreeMap<ReplyToken, GroupReply>,
    ids: CountingIds,
    next_token: u64,
    record_bytes_max: usize,
}

impl Desk {
    /// Kafka's settings, but without the initial delay.
    pub(crate) fn new() -> Self {
        Self::with(config())
    }

    pub(crate) fn with(config: GroupConfig) -> Self {
        Self::load(config, &[], 1_000_000)
    }

    /// Loads a log, as after a restart.
    pub(crate) fn load(config: GroupConfig, log: &[GroupRecord], now: i64) -> Self {
        let mut shard = GroupShard::new(config.clone());
        let mut replica = GroupShard::new(config.clone());
        for record in log {
            for shard in [&mut shard, &mut replica] {
                shard
                    .replay(
                        &record.key,
                        record.value.as_deref(),
                        Offset::ZERO,
                        TimestampMs(now),
                    )
                    .unwrap();
            }
        }
        let mut desk = Self {
            shard,
            replica,
            now,
            log: log.to_vec(),
            events: Vec::new(),
            waiting: BTreeSet::new(),
            answers: BTreeMap::new(),
            ids: CountingIds::default(),
            next_token: 0,
            record_bytes_max: config.record_bytes_max,
        };
        let step = desk.shard.loaded(TimestampMs(now));
        desk.absorb(step);
        desk
    }

    /// Sends a request; its reply may come later.
    pub(crate) fn send(&mut self, request: impl Into<GroupRequest>) -> ReplyToken {
        self.next_token += 1;
        let token = ReplyToken(self.next_token);
        self.waiting.insert(token);
        let now = TimestampMs(self.now);
        let step = self.shard.step(now, &mut self.ids, request.into(), token);
        self.absorb(step);
        token
    }

    /// Sends a request that must be answered at once.
    pub(crate) fn call(&mut self, request: impl Into<GroupRequest>) -> GroupReply {
        let token = self.send(request);
        self.answer(token).expect("answered at once")
    }

    /// Takes the answer to a request, if it is there.
    pub(crate) fn answer(&mut self, token: ReplyToken) -> Option<GroupReply> {
        self.answers.remove(&token)
    }

    /// Closes the connection that waits for `token`.
    pub(crate) fn forget(&mut self, token: ReplyToken) {
        self.waiting.remove(&token);
        let step = self.shard.forget(TimestampMs(self.now), token);
        self.absorb(step);
    }

    pub(crate) fn topics_deleted(&mut self, topics: &[&str]) {
        let topics: Vec<_> = topics.iter().map(|topic| TopicName::from(*topic)).collect();
        let step = self.shard.topics_deleted(TimestampMs(self.now), &topics);
        self.absorb(step);
    }

    /// Lets time pass, ticking whenever the shard wants it.
    pub(crate) fn advance(&mut self, ms: i64) {
        let end = self.now + ms;
        while let Some(deadline) = self
            .shard
            .next_deadline()
            .filter(|deadline| deadline.get() <= end)
        {
            self.now = self.now.max(deadline.get());
            let step = self.shard.tick(deadline);
            self.absorb(step);
            let next = self.shard.next_deadline();
            assert!(
                next.is_none_or(|next| next > deadline),
                "a tick does all that is due"
            );
        }
        self.now = end;
        let step = self.shard.tick(TimestampMs(end));
        assert!(step.is_empty());
    }

    /// Checks one step: replies go to who waits, records fit and replay to the same state, invariants hold.
    pub(crate) fn absorb(&mut self, step: Step) {
        for (token, reply) in step.replies {
            assert!(
                self.waiting.remove(&token),
                "{token:?} was not waiting for {reply:?}"
            );
            self.answers.insert(token, reply);
        }
        for record in step.records {
            assert!(
                record.size_bytes() <= self.record_bytes_max,
                "{} bytes",
                record.size_bytes()
            );
            let now = TimestampMs(self.now);
            let (key, value) = (&record.key, record.value.as_deref());
            match step.producer {
                None => self.replica.replay(key, value, Offset::ZERO, now),
                Some(producer) => {
                    self.replica
                        .replay_transactional(producer.id, (key, value), Offset::ZERO, now)
                }
            }
            .unwrap();
            self.log.push(record);
        }
        self.events.extend(step.events);
        assert_eq!(
            self.shard.parked_count(),
            self.waiting.len(),
            "every unanswered request is parked"
        );
        self.shard.check();
        self.shard.check_durable(&self.replica);
    }

    /// Tells the shard, and the replica, that a producer's marker is in the log.
    pub(crate) fn complete_transaction(&mut self, producer_id: ProducerId, outcome: Outcome) {
        self.shard.complete_transaction(producer_id, outcome);
        self.replica.complete_transaction(producer_id, outcome);
        self.shard.check();
        self.shard.check_durable(&self.replica);
    }

    /// Starts a new shard from the log, as after a crash. The log says of no record whether it is of a transaction.
    pub(crate) fn restart(&self, config: GroupConfig) -> Self {
        Self::load(config, &self.log, self.now)
    }

    pub(crate) fn state(&self, group_id: &str) -> GroupState {
        self.shard
            .group(group_id)
            .map_or(GroupState::Dead, |group| group.state())
    }

    pub(crate) fn generation(&self, group_id: &str) -> i32 {
        self.shard
            .group(group_id)
            .expect("the group exists")
            .generation()
            .get()
    }

    pub(crate) fn members(&self, group_id: &str) -> Vec<MemberId> {
        let group = self.shard.group(group_id).expect("the group exists");
        group.members().map(|member| member.member_id.clone()).collect()
    }

    /// Takes the answer to a JoinGroup.
    pub(crate) fn join_reply(&mut self, token: ReplyToken) -> Option<JoinGroupReply> {
        self.answer(token).map(|reply| match reply {
            GroupReply::Join(reply) => reply,
            other => panic!("{other:?} answers a JoinGroup"),
        })
    }

    pub(crate) fn joined(&mut self, token: ReplyToken) -> (MemberId, JoinedGeneration) {
        let reply = self.join_reply(token).expect("the join phase ended");
        (reply.member_id, reply.outcome.expect("the member is let in"))
    }

    pub(crate) fn refused_join(&mut self, request: JoinGroup) -> GroupError {
        let token = self.send(request);
        self.join_reply(token)
            .expect("refused at once")
            .outcome
            .expect_err("refused")
    }

    /// Takes the answer to a SyncGroup.
    pub(crate) fn sync_reply(&mut self, token: ReplyToken) -> Option<Result<SyncedAssignment, GroupError>> {
        self.answer(token).map(|reply| match reply {
            GroupReply::Sync(reply) => reply.outcome,
            other => panic!("{other:?} answers a SyncGroup"),
        })
    }

    pub(crate) fn beat(&mut self, group_id: &str, member_id: &MemberId) -> Result<(), GroupError> {
        let generation = self
            .shard
            .group(group_id)
            .map_or(GenerationId::NONE, |group| group.generation());
        match self.call(heartbeat(group_id, member_id, generation)) {
            GroupReply::Heartbeat(reply) => reply.outcome,
            other => panic!("{other:?} answers a Heartbeat"),
        }
    }

    pub(crate) fn leave(&mut self, group_id: &str, member_id: &MemberId) -> Result<(), GroupError> {
        let leaving = LeavingMember {
            member_id: member_id.clone(),
            instance_id: None,
        };
        match self.call(LeaveGroup {
            group_id: group_id.into(),
            members: vec![leaving],
        }) {
            GroupReply::Leave(reply) => match reply.first_error() {
                Some(error) => Err(error),
                None => Ok(()),
            },
            other => panic!("{other:?} answers a LeaveGroup"),
        }
    }

    /// Commits one offset and returns its result.
    pub(crate) fn commit(&mut self, request: OffsetCommit) -> Result<(), GroupError> {
        match self.call(request) {
            GroupReply::OffsetCommit(reply) => reply.topics[0].partitions[0].outcome,
            other => panic!("{other:?} answers an OffsetCommit"),
        }
    }

    /// Fetches one committed offset.
    pub(crate) fn fetch(&mut self, group_id: &str, topic: &str, partition: i32) -> FetchedOffset {
        let topics = FetchTopics::Some(vec![topic_partitions(topic, &[partition])]);
        let request = OffsetFetch {
            group_id: group_id.into(),
            topics,
            stability: Stability::Any,
        };
        match self.call(request) {
            GroupReply::OffsetFetch(reply) => reply.outcome.unwrap()[0].partitions[0].clone(),
            other => panic!("{other:?} answers an OffsetFetch"),
        }
    }

    /// Forms a stable group of `count` dynamic members, each assigned its own id; the leader comes first.
    pub(crate) fn stable(&mut self, group_id: &str, count: usize) -> Vec<MemberId> {
        let mut ids: Vec<MemberId> = Vec::new();
        for _ in 0..count {
            let new = self.pending(group_id);
            self.add(group_id, join(group_id).member(&new));
            ids = self.members(group_id);
        }
        let leader = self.shard.group(group_id).unwrap().leader().unwrap().clone();
        ids.sort_by_key(|id| *id != leader);
        ids
    }

    /// Lets one more member join, the others join again, and all sync; returns the new member's id.
    pub(crate) fn add(&mut self, group_id: &str, request: JoinGroup) -> MemberId {
        let others: Vec<MemberId> = self
            .shard
            .group(group_id)
            .map(|_| self.members(group_id))
            .unwrap_or_default();
        let token = self.send(request);
        let others: Vec<_> = others
            .iter()
            .map(|id| self.send(self.rejoin(group_id, id)))
            .collect();
        if self.waiting.contains(&token) {
            let delay = self.shard.next_deadline().unwrap().get() - self.now;
            self.advance(delay);
        }
        let (member_id, joined) = self.joined(token);
        for token in others {
            self.joined(token);
        }
        self.sync_all(group_id, joined.generation, &joined.leader);
        member_id
    }

    /// A JoinGroup of a member on the terms it has.
    pub(crate) fn rejoin(&self, group_id: &str, member_id: &MemberId) -> JoinGroup {
        let group = self.shard.group(group_id).unwrap();
        let member = group
            .members()
            .find(|member| member.member_id == member_id)
            .unwrap();
        let instance_id = member.instance_id().cloned();
        JoinGroup {
            instance_id,
            ..join(group_id).member(member_id)
        }
    }

    /// Gets an id for a new member.
    pub(crate) fn pending(&mut self, group_id: &str) -> MemberId {
        match self.call(join(group_id)) {
            GroupReply::Join(JoinGroupReply {
                member_id,
                outcome: Err(GroupError::MemberIdRequired),
            }) => member_id,
            other => panic!("{other:?} instead of an id"),
        }
    }

    /// Lets every member sync, the leader last, and checks that each gets its own id as its assignment.
    pub(crate) fn sync_all(&mut self, group_id: &str, generation: GenerationId, leader: &MemberId) {
        let ids = self.members(group_id);
        let mut order = ids.clone();
        order.sort_by_key(|id| id == leader);
        let mut tokens = Vec::new();
        for id in order {
            let assigns: &[MemberId] = if id == *leader { &ids } else { &[] };
            tokens.push((
                id.clone(),
                self.send(sync(group_id, &id, generation).assign(assigns)),
            ));
        }
        for (id, token) in tokens {
            let synced = self
                .sync_reply(token)
                .expect("the leader synced")
                .expect("no error");
            assert_eq!(synced.assignment, id.as_bytes());
        }
        assert_eq!(self.state(group_id), GroupState::Stable);
    }
}

pub(crate) fn config() -> GroupConfig {
    GroupConfig {
        initial_rebalance_delay_ms: 0,
        ..GroupConfig::default()
    }
}

macro_rules! into_request {
    ($($kind:ident($request:ident)),*) => {
        $(impl From<$request> for GroupRequest {
            fn from(request: $request) -> Self {
                GroupRequest::$kind(request)
            }
        })*
    };
}
into_request!(
    Join(JoinGroup),
    Sync(SyncGroup),
    Heartbeat(Heartbeat),
    Leave(LeaveGroup),
    OffsetCommit(OffsetCommit),
    OffsetFetch(OffsetFetch),
    OffsetDelete(OffsetDelete),
    Describe(DescribeGroup),
    List(ListGroups),
    Delete(DeleteGroup)
);

/// A JoinGroup v5 of a consumer that subscribes to `events` under `range`.
pub(crate) fn join(group_id: &str) -> JoinGroup {
    JoinGroup {
        api_version: 5,
        group_id: group_id.into(),
        client: ClientInfo {
            client_id: "app".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
        },
        member_id: MemberId::unknown(),
        instance_id: None,
        session_timeout_ms: SESSION_MS,
        rebalance_timeout_ms: REBALANCE_MS,
        protocol_type: "consumer".to_owned(),
        protocols: vec![protocol("range", &["events"])],
    }
}

pub(crate) fn protocol(name: &str, topics: &[&str]) -> JoinProtocol {
    JoinProtocol {
        name: name.to_owned(),
        metadata: subscription(topics),
    }
}

pub(crate) fn subscription(topics: &[&str]) -> Bytes {
    let mut bytes = vec![0, 0];
    bytes.extend((topics.len() as i32).to_be_bytes());
    for topic in topics {
        bytes.extend((topic.len() as i16).to_be_bytes());
        bytes.extend(topic.as_bytes());
    }
    bytes.extend((-1i32).to_be_bytes());
    bytes.into()
}

impl JoinGroup {
    pub(crate) fn version(self, api_version: i16) -> Self {
        Self { api_version, ..self }
    }

    pub(crate) fn member(self, member_id: &MemberId) -> Self {
        Self {
            member_id: member_id.clone(),
            ..self
        }
    }

    pub(crate) fn instance(self, instance_id: &str) -> Self {
        Self {
            instance_id: Some(instance_id.into()),
            ..self
        }
    }

    pub(crate) fn protocols(self, protocols: Vec<JoinProtocol>) -> Self {
        Self { protocols, ..self }
    }

    pub(crate) fn protocol_type(self, protocol_type: &str) -> Self {
        Self {
            protocol_type: protocol_type.to_owned(),
            ..self
        }
    }
}

pub(crate) fn sync(group_id: &str, member_id: &MemberId, generation: GenerationId) -> SyncGroup {
    SyncGroup {
        group_id: group_id.into(),
        generation,
        member_id: member_id.clone(),
        instance_id: None,
        protocol_type: None,
        protocol_name: None,
        assignments: Vec::new(),
    }
}

impl SyncGroup {
    /// Assigns every member its own id.
    pub(crate) fn assign(self, members: &[MemberId]) -> Self {
        let assignments = members
            .iter()
            .map(|member_id| MemberAssignment {
                member_id: member_id.clone(),
                assignment: Bytes::copy_from_slice(member_id.as_bytes()),
            })
            .collect();
        Self { assignments, ..self }
    }

    pub(crate) fn instance(self, instance_id: &str) -> Self {
        Self {
            instance_id: Some(instance_id.into()),
            ..self
        }
    }
}

pub(crate) fn heartbeat(group_id: &str, member_id: &MemberId, generation: GenerationId) -> Heartbeat {
    Heartbeat {
        group_id: group_id.into(),
        generation,
        member_id: member_id.clone(),
        instance_id: None,
    }
}

/// A commit of `events`-0 by a consumer that assigns its own partitions.
pub(crate) fn commit(group_id: &str, offset: i64) -> OffsetCommit {
    OffsetCommit {
        api_version: 8,
        group_id: group_id.into(),
        generation: GenerationId::NONE,
        member_id: MemberId::unknown(),
        instance_id: None,
        retention_time_ms: None,
        topics: vec![OffsetCommitTopic {
            topic: "events".into(),
            partitions: vec![OffsetCommitPartition {
                partition: PartitionIndex(0),
                offset: Offset(offset),
                leader_epoch: LeaderEpoch(3),
                metadata: None,
            }],
        }],
    }
}

impl OffsetCommit {
    pub(crate) fn by(self, member_id: &MemberId, generation: i32) -> Self {
        Self {
            member_id: member_id.clone(),
            generation: GenerationId(generation),
            ..self
        }
    }

    pub(crate) fn topic(mut self, topic: &str) -> Self {
        self.topics[0].topic = topic.into();
        self
    }

    pub(crate) fn metadata(mut self, metadata: &str) -> Self {
        self.topics[0].partitions[0].metadata = Some(metadata.to_owned());
        self
    }
}

pub(crate) fn topic_partitions(topic: &str, partitions: &[i32]) -> TopicPartitions {
    TopicPartitions {
        topic: topic.into(),
        partitions: partitions
            .iter()
            .map(|partition| PartitionIndex(*partition))
            .collect(),
    }
}
