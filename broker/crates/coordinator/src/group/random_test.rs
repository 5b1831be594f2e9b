//! Random requests, right and wrong, of many clients to a few groups, with time and crashes in between: the checks of
//! the desk hold after every step, and the log always replays to the durable state.

use bytes::Bytes;
use proptest::prelude::*;
use thalweg_types::PartitionIndex;

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
    /// One that was handed out in this run.
    Known(u8),
    Stranger,
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![2 => Just(Who::New), 8 => (0u8..12).prop_map(Who::Known), 1 => Just(Who::Stranger)]
}

fn op() -> impl Strategy<Value = Op> {
    let instance = || proptest::option::weighted(0.3, 0u8..2);
    let join = (0u8..2, who(), instance(), 0i16..10, 0u8..3, 0u8..4).prop_map(
        |(group, member, instance, version, topics, protocols)| Op::Join {
            group,
            member,
            instance,
            version,
            topics,
            protocols,
        },
    );
    let commit = (
        0u8..3,
        proptest::option::of(who()),
        0u8..3,
        proptest::option::weighted(0.2, 0i64..1_000_000),
        prop_oneof![Just(0usize), Just(5), Just(4_097)],
    )
        .prop_map(|(group, member, topic, retention, metadata)| Op::Commit {
            group,
            member,
            topic,
            retention,
            metadata,
        });
    prop_oneof![
        8 => join,
        8 => (0u8..2, who(), any::<bool>()).prop_map(|(group, member, stale)| Op::Sync { group, member, stale }),
        2 => (0u8..2, who()).prop_map(|(group, member)| Op::Beat { group, member }),
        2 => (0u8..2, who(), instance())
            .prop_map(|(group, member, instance)| Op::Leave { group, member, instance }),
        3 => commit,
        1 => (0u8..3, 0u8..3).prop_map(|(group, topic)| Op::DeleteOffsets { group, topic }),
        1 => (0u8..3).prop_map(|group| Op::DeleteGroup { group }),
        1 => (0u8..3).prop_map(|topic| Op::DeleteTopic { topic }),
        1 => (0u8..3).prop_map(|group| Op::Describe { group }),
        1 => (0u8..8).prop_map(|which| Op::Close { which }),
        4 => prop_oneof![0i64..5_000, 5_000i64..70_000, Just(700_000i64), Just(8 * 24 * 3_600_000i64)]
            .prop_map(|ms| Op::Advance { ms }),
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

struct Run {
    desk: Desk,
    known: Vec<MemberId>,
    open: Vec<ReplyToken>,
}

impl Run {
    fn id(&self, who: &Who) -> MemberId {
        match who {
            Who::New => MemberId::unknown(),
            Who::Known(index) if !self.known.is_empty() => {
                self.known[usize::from(*index) % self.known.len()].clone()
            }
            Who::Known(_) | Who::Stranger => "stranger".into(),
        }
    }

    fn generation(&self, group: &str) -> GenerationId {
        self.desk
            .shard
            .group(group)
            .map_or(GenerationId::NONE, |group| group.generation())
    }

    fn run(&mut self, op: Op) {
        let name = |group: u8| format!("group-{group}");
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
                let protocols = match protocols {
                    0 => vec![protocol("range", topics)],
                    1 => vec![protocol("sticky", topics), protocol("range", topics)],
                    2 => vec![
                        protocol("range", topics),
                        protocol("sticky", topics),
                        protocol("range", &[]),
                    ],
                    _ => vec![JoinProtocol {
                        name: "range".into(),
                        metadata: Bytes::from(vec![1; 300]),
                    }],
                };
                let mut request = join(&name(group))
                    .version(version)
                    .member(&self.id(&member))
                    .protocols(protocols);
                if let Some(instance) = instance.filter(|_| version >= 5) {
                    request = request.instance(&format!("node-{instance}"));
                }
                self.send(request);
            }
            Op::Sync { group, member, stale } => {
                let group = name(group);
                let mut generation = self.generation(&group);
                if stale {
                    generation = GenerationId(generation.get() - 1);
                }
                let members = self
                    .desk
                    .shard
                    .group(&group)
                    .map(|group| {
                        group
                            .members()
                            .map(|member| member.member_id.clone())
                            .collect::<Vec<_>>()
                    })
                    .unwrap_or_default();
                self.send(sync(&group, &self.id(&member), generation).assign(&members));
            }
            Op::Beat { group, member } => {
                let group = name(group);
                self.send(heartbeat(&group, &self.id(&member), self.generation(&group)));
            }
            Op::Leave {
                group,
                member,
                instance,
            } => {
                let leaving = LeavingMember {
                    member_id: self.id(&member),
                    instance_id: instance.map(|instance| format!("node-{instance}").into()),
                };
                self.send(LeaveGroup {
                    group_id: name(group).into(),
                    members: vec![leaving.clone(), leaving],
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
                    request = request.by(&self.id(&member), self.generation(&group).get());
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
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_requests_keeps_the_promises(ops in proptest::collection::vec(op(), 1..120)) {
        let mut run = Run { desk: Desk::with(settings()), known: Vec::new(), open: Vec::new() };
        for op in ops {
            run.run(op);
        }
        eprintln!("STAT {} {} {}", run.desk.shard.stats().rebalances_completed, run.desk.log.len(), run.desk.events.len());
        // A fresh shard reads the whole log and agrees.
        let restarted = run.desk.restart(settings());
        run.desk.shard.check_durable(&restarted.replica);
        // When nobody asks any more, everybody was answered, and in the end nothing is left.
        run.desk.advance(30 * 60_000);
        prop_assert!(run.desk.waiting.is_empty());
        run.desk.advance(30 * 24 * 3_600_000);
        prop_assert_eq!(run.desk.shard.groups().count(), 0);
        prop_assert_eq!(run.desk.replica.groups().count(), 0);
    }

    #[test]
    fn replay_of_anything_never_panics(
        records in proptest::collection::vec((any::<Vec<u8>>(), proptest::option::of(any::<Vec<u8>>())), 0..20),
    ) {
        let mut shard = GroupShard::new(settings());
        for (key, value) in records {
            for version in 0u8..4 {
                let key = [&[0, version][..], &key].concat();
                let _ = shard.replay(&key, value.as_deref(), thalweg_types::Offset(1), thalweg_types::TimestampMs(1));
            }
        }
        let _ = shard.loaded(thalweg_types::TimestampMs(1));
        shard.check();
    }

    #[test]
    fn a_broken_group_record_never_breaks_the_group(
        at in 0usize..200, to: u8, members in 1usize..4,
    ) {
        let mut desk = Desk::new();
        desk.stable("orders", members);
        let record = desk.log.last().cloned().unwrap();
        let mut value = record.value.unwrap().to_vec();
        let at = at % value.len();
        value[at] = to;
        let mut shard = GroupShard::new(config());
        let _ = shard.replay(&record.key, Some(&value), thalweg_types::Offset(1), thalweg_types::TimestampMs(1));
        let _ = shard.loaded(thalweg_types::TimestampMs(1));
        shard.check();
        let _ = shard.tick(thalweg_types::TimestampMs(i64::MAX));
        shard.check();
    }
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
