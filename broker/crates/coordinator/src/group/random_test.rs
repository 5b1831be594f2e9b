//! Random requests, right and wrong, of many clients to a few groups, with time and crashes in between: the checks of
//! the desk hold after every step, and the log always replays to the durable state.

use bytes::Bytes;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use thalweg_types::{Offset, PartitionIndex, TimestampMs};

use crate::group::testing::*;
use crate::group::*;

#[derive(Clone, Debug)]
enum Op {
    Join {
        group: u8,
        member: Who,
        instance: Option<u8>,
        version: i16,
        topics: u8,
        protocols: u8,
    },
    /// The members of a group do what clients do: join if they must, then sync.
    Cooperate {
        group: u8,
    },
    Sync {
        group: u8,
        member: Who,
        stale: bool,
    },
    Beat {
        group: u8,
        member: Who,
    },
    Leave {
        group: u8,
        member: Who,
        instance: Option<u8>,
    },
    Commit {
        group: u8,
        member: Option<Who>,
        topic: u8,
        retention: Option<i64>,
        metadata: usize,
    },
    DeleteOffsets {
        group: u8,
        topic: u8,
    },
    DeleteGroup {
        group: u8,
    },
    DeleteTopic {
        topic: u8,
    },
    Describe {
        group: u8,
    },
    Close {
        which: u8,
    },
    Advance {
        ms: i64,
    },
    Crash,
}

/// Which member id a request carries.
#[derive(Clone, Debug)]
enum Who {
    New,
    /// One of the members the group has.
    Member(u8),
    /// One that was handed out in this run.
    Known(u8),
    Stranger,
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![
        1 => Just(Who::New),
        12 => (0u8..4).prop_map(Who::Member),
        3 => (0u8..12).prop_map(Who::Known),
        1 => Just(Who::Stranger),
    ]
}

fn joiner() -> impl Strategy<Value = Who> {
    prop_oneof![3 => Just(Who::New), 3 => (0u8..12).prop_map(Who::Known), 8 => who()]
}

fn op() -> impl Strategy<Value = Op> {
    let instance = || proptest::option::weighted(0.3, 0u8..2);
    let join = (0u8..2, joiner(), instance(), 0i16..10, 0u8..3, 0u8..5).prop_map(
        |(group, member, instance, version, topics, protocols)| Op::Join {
            group,
            member,
            instance,
            version,
            topics,
            protocols,
        },
    );
    let metadata = prop_oneof![4 => Just(0usize), 4 => Just(5), 1 => Just(4_097)];
    let retention = proptest::option::weighted(0.2, 0i64..1_000_000);
    let commit = (0u8..3, proptest::option::of(who()), 0u8..3, retention, metadata).prop_map(
        |(group, member, topic, retention, metadata)| Op::Commit {
            group,
            member,
            topic,
            retention,
            metadata,
        },
    );
    let leave = (0u8..2, who(), instance()).prop_map(|(group, member, instance)| Op::Leave {
        group,
        member,
        instance,
    });
    let times = prop_oneof![
        6 => 0i64..2_000,
        2 => 2_000i64..70_000,
        1 => Just(700_000i64),
        1 => Just(8 * 24 * 3_600_000i64),
    ];
    prop_oneof![
        10 => join,
        5 => (0u8..2).prop_map(|group| Op::Cooperate { group }),
        6 => (0u8..2, who(), any::<bool>()).prop_map(|(group, member, stale)| Op::Sync { group, member, stale }),
        2 => (0u8..2, who()).prop_map(|(group, member)| Op::Beat { group, member }),
        2 => leave,
        4 => commit,
        1 => (0u8..3, 0u8..3).prop_map(|(group, topic)| Op::DeleteOffsets { group, topic }),
        1 => (0u8..3).prop_map(|group| Op::DeleteGroup { group }),
        1 => (0u8..3).prop_map(|topic| Op::DeleteTopic { topic }),
        1 => (0u8..3).prop_map(|group| Op::Describe { group }),
        2 => (0u8..8).prop_map(|which| Op::Close { which }),
        5 => times.prop_map(|ms| Op::Advance { ms }),
        1 => Just(Op::Crash),
    ]
}

fn settings() -> GroupConfig {
    GroupConfig {
        initial_rebalance_delay_ms: 1_000,
        group_size_max: 3,
        pending_members_max: 4,
        record_bytes_max: 1_024,
        expiry_records_max: 2,
        ..GroupConfig::default()
    }
}

fn name(group: u8) -> String {
    format!("group-{group}")
}

struct Run {
    desk: Desk,
    known: Vec<MemberId>,
    open: Vec<ReplyToken>,
}

impl Run {
    fn new() -> Self {
        Self {
            desk: Desk::with(settings()),
            known: Vec::new(),
            open: Vec::new(),
        }
    }

    fn id(&self, who: &Who, group: &str) -> MemberId {
        let one_of = |ids: &[MemberId], index: u8| match ids.len() {
            0 => MemberId::unknown(),
            count => ids[usize::from(index) % count].clone(),
        };
        match who {
            Who::New => MemberId::unknown(),
            Who::Member(index) => one_of(&self.members(group), *index),
            Who::Known(index) => one_of(&self.known, *index),
            Who::Stranger => "stranger".into(),
        }
    }

    fn members(&self, group: &str) -> Vec<MemberId> {
        let group = self.desk.shard.group(group);
        group
            .map(|group| group.members().map(|member| member.member_id.clone()).collect())
            .unwrap_or_default()
    }

    /// The instance id that a member has, in place of the one a request was going to carry.
    fn instance(&self, group: &str, member_id: &MemberId, other: Option<u8>) -> Option<InstanceId> {
        let group = self.desk.shard.group(group);
        let member = group.and_then(|group| group.members().find(|member| member.member_id == member_id));
        match member {
            Some(member) => member.instance_id().cloned(),
            None => other.map(|instance| format!("node-{instance}").into()),
        }
    }

    fn generation(&self, group: &str) -> GenerationId {
        self.desk
            .shard
            .group(group)
            .map_or(GenerationId::NONE, |group| group.generation())
    }

    fn join(&mut self, group: &str, request: JoinGroup, instance: Option<u8>) {
        let version = request.api_version;
        let instance_id = self
            .instance(group, &request.member_id, instance)
            .filter(|_| version >= 5);
        self.send(JoinGroup {
            instance_id,
            ..request
        });
    }

    fn cooperate(&mut self, group: &str) {
        let known = self.known.clone();
        for member_id in self.members(group).into_iter().chain(known) {
            if matches!(
                self.desk.state(group),
                GroupState::PreparingRebalance | GroupState::Empty
            ) {
                self.join(
                    group,
                    join(group).member(&member_id).protocols(chosen(1, &["t0"])),
                    None,
                );
            }
        }
        if self.desk.state(group) == GroupState::PreparingRebalance {
            self.desk.advance(1_000);
        }
        let (members, generation) = (self.members(group), self.generation(group));
        for member_id in &members {
            self.send(sync(group, member_id, generation).assign(&members));
        }
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Join {
                group,
                member,
                instance,
                version,
                topics,
                protocols,
            } => {
                let topics: &[&str] = [&["t0"][..], &["t1", "t0"], &[]][usize::from(topics)];
                let member_id = self.id(&member, &name(group));
                let request = join(&name(group)).version(version).member(&member_id);
                self.join(
                    &name(group),
                    request.protocols(chosen(protocols, topics)),
                    instance,
                );
            }
            Op::Cooperate { group } => self.cooperate(&name(group)),
            Op::Sync { group, member, stale } => {
                let group = name(group);
                let now = self.generation(&group);
                let generation = if stale { GenerationId(now.get() - 1) } else { now };
                let request = sync(&group, &self.id(&member, &group), generation);
                self.send(request.assign(&self.members(&group)));
            }
            Op::Beat { group, member } => {
                let group = name(group);
                self.send(heartbeat(
                    &group,
                    &self.id(&member, &group),
                    self.generation(&group),
                ));
            }
            Op::Leave {
                group,
                member,
                instance,
            } => {
                let leaving = LeavingMember {
                    member_id: self.id(&member, &name(group)),
                    instance_id: instance.map(|instance| format!("node-{instance}").into()),
                };
                let members = vec![leaving.clone(), leaving];
                self.send(LeaveGroup {
                    group_id: name(group).into(),
                    members,
                });
            }
            Op::Commit {
                group,
                member,
                topic,
                retention,
                metadata,
            } => {
                let group = name(group);
                let mut request = commit(&group, 7)
                    .topic(&format!("t{topic}"))
                    .metadata(&"m".repeat(metadata));
                request.retention_time_ms = retention;
                if let Some(member) = member {
                    request = request.by(&self.id(&member, &group), self.generation(&group).get());
                }
                self.send(request);
            }
            Op::DeleteOffsets { group, topic } => {
                let topics = vec![topic_partitions(&format!("t{topic}"), &[0, 1])];
                self.send(OffsetDelete {
                    group_id: name(group).into(),
                    topics,
                });
            }
            Op::DeleteGroup { group } => self.send(DeleteGroup {
                group_id: name(group).into(),
            }),
            Op::DeleteTopic { topic } => self.desk.topics_deleted(&[&format!("t{topic}")]),
            Op::Describe { group } => {
                self.send(DescribeGroup {
                    group_id: name(group).into(),
                    api_version: 6,
                });
            }
            Op::Close { which } => {
                if !self.open.is_empty() {
                    let token = self.open.remove(usize::from(which) % self.open.len());
                    if self.desk.waiting.contains(&token) {
                        self.desk.forget(token);
                    }
                }
            }
            Op::Advance { ms } => self.desk.advance(ms),
            Op::Crash => {
                self.desk = self.desk.restart(settings());
                self.open.clear();
            }
        }
        self.read_answers();
    }

    fn send(&mut self, request: impl Into<GroupRequest>) {
        let token = self.desk.send(request);
        self.open.push(token);
    }

    fn read_answers(&mut self) {
        let (open, desk, known) = (&mut self.open, &mut self.desk, &mut self.known);
        open.retain(|token| match desk.answer(*token) {
            None => true,
            Some(GroupReply::Join(reply)) => {
                if !reply.member_id.is_unknown() && !known.contains(&reply.member_id) {
                    known.push(reply.member_id);
                }
                false
            }
            Some(_) => false,
        });
    }

    /// When nobody asks any more, everybody is answered, and in the end nothing is left.
    fn finish(mut self) {
        let restarted = self.desk.restart(settings());
        self.desk.shard.check_durable(&restarted.replica);
        self.desk.advance(30 * 60_000);
        assert!(self.desk.waiting.is_empty());
        self.desk.advance(30 * 24 * 3_600_000);
        assert_eq!(self.desk.shard.groups().count(), 0);
        assert_eq!(self.desk.replica.groups().count(), 0);
    }
}

fn chosen(protocols: u8, topics: &[&str]) -> Vec<JoinProtocol> {
    match protocols {
        0 => vec![protocol("range", topics)],
        1 | 2 => vec![protocol("sticky", topics), protocol("range", topics)],
        3 => vec![
            protocol("range", topics),
            protocol("sticky", topics),
            protocol("range", &[]),
        ],
        _ => vec![JoinProtocol {
            name: "range".into(),
            metadata: Bytes::from(vec![1; 300]),
        }],
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(400), ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_requests_keeps_the_promises(ops in proptest::collection::vec(op(), 1..120)) {
        let mut run = Run::new();
        for op in ops {
            run.run(op);
        }
        run.finish();
    }

    #[test]
    fn replay_of_anything_never_panics(
        records in proptest::collection::vec((any::<Vec<u8>>(), proptest::option::of(any::<Vec<u8>>())), 0..20),
    ) {
        let mut shard = GroupShard::new(settings());
        for (key, value) in records {
            for version in 0u8..4 {
                let key = [&[0, version][..], &key].concat();
                let _ = shard.replay(&key, value.as_deref(), Offset(1), TimestampMs(1));
            }
        }
        let _ = shard.loaded(TimestampMs(1));
        shard.check();
    }

    #[test]
    fn a_broken_group_record_never_breaks_the_shard(at in 0usize..400, to: u8, members in 1usize..4) {
        let mut desk = Desk::new();
        desk.stable("orders", members);
        let record = desk.log.last().cloned().unwrap();
        let mut value = record.value.unwrap().to_vec();
        let at = at % value.len();
        value[at] = to;
        let mut shard = GroupShard::new(config());
        let _ = shard.replay(&record.key, Some(&value), Offset(1), TimestampMs(1));
        let _ = shard.loaded(TimestampMs(1));
        shard.check();
        let _ = shard.tick(TimestampMs(i64::MAX));
        shard.check();
    }
}

#[test]
fn the_random_requests_reach_what_they_are_meant_to_test() {
    // A fixed seed: this test is about the generator, and must not fail by chance.
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = proptest::collection::vec(op(), 60..120);
    let (mut rebalances, mut replaced, mut expired, mut settled_crashes) = (0, 0, 0, 0);
    for _ in 0..100 {
        let mut run = Run::new();
        for op in strategy.new_tree(&mut runner).unwrap().current() {
            let is_stable = run.desk.state("group-0") == GroupState::Stable;
            settled_crashes += usize::from(is_stable && matches!(op, Op::Crash));
            let before = run.desk.shard.stats().clone();
            let events = run.desk.events.len();
            run.run(op);
            let after = run.desk.shard.stats();
            rebalances += after
                .rebalances_completed
                .saturating_sub(before.rebalances_completed);
            expired += after.offsets_expired.saturating_sub(before.offsets_expired);
            let new = run.desk.events.get(events..).unwrap_or_default();
            replaced += new
                .iter()
                .filter(|event| matches!(event, GroupEvent::StaticMemberReplaced { .. }))
                .count();
        }
        run.finish();
    }
    assert!(rebalances > 100, "{rebalances} rebalances");
    assert!(replaced > 5, "{replaced} static members came back");
    assert!(expired > 20, "{expired} offsets expired");
    assert!(settled_crashes > 5, "{settled_crashes} crashes of a stable group");
}

#[test]
fn expiry_in_small_passes_removes_everything_in_time() {
    let mut desk = Desk::with(settings());
    for group in 0..5 {
        for partition in 0..7 {
            let mut request = commit(&format!("g{group}"), 1);
            request.topics[0].partitions[0].partition = PartitionIndex(partition);
            assert_eq!(desk.commit(request), Ok(()));
        }
    }
    desk.advance(7 * 24 * 3_600_000 - 1);
    assert_eq!(
        desk.shard
            .groups()
            .map(|group| group.offset_count())
            .sum::<usize>(),
        35
    );
    desk.advance(settings().offsets_retention_check_interval_ms + 100);
    assert_eq!(desk.shard.groups().count(), 0);
    assert_eq!(desk.shard.stats().offsets_expired, 35);
}
