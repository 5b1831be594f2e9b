//! The runner over real logs on a simulated disk: what is acknowledged is there after a restart, what waits is
//! answered or forgotten.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use thalweg_coordinator::group::{
    ClientInfo, DeleteGroup, FetchTopics, GenerationId, GroupId, GroupState, Heartbeat, JoinGroup,
    JoinProtocol, JoinedGeneration, MemberAssignment, MemberId, OffsetCommit, OffsetCommitPartition,
    OffsetCommitTopic, OffsetFetch, Stability, SyncGroup, TopicName,
};
use thalweg_settings::{Profile, Settings};
use thalweg_storage::clock::ManualClock;
use thalweg_storage::disk::SimulatedDisk;
use thalweg_storage::engine::LogEngine;
use thalweg_telemetry::{ShutdownTrigger, shutdown_channel};
use thalweg_types::{LeaderEpoch, Offset, TimestampMs};

use super::*;
use crate::storage::DataDirectory;
use crate::topics::{NewTopic, ReplicationFactor};

/// A broker's groups on a disk that outlives it.
pub(crate) struct Running {
    pub(crate) groups: Arc<Groups>,
    pub(crate) topics: Arc<Topics>,
    pub(crate) settings: LiveSettings,
    pub(crate) stamp: thalweg_metadata::Stamp,
    pub(crate) trigger: ShutdownTrigger,
    engine: Arc<LogEngine>,
    _directory: DataDirectory,
}

fn settings() -> Settings {
    Settings::builder(Profile::Dev)
        .set("offsets.topic.num.partitions", "3")
        .set("group.min.session.timeout.ms", "1")
        .set("wal.file.bytes", "4194304")
        .set("wal.max.bytes", "33554432")
        .set("wal.group.max.bytes", "1048576")
        .build()
        .unwrap()
}

pub(crate) fn start(disk: &SimulatedDisk) -> Running {
    let settings = settings();
    let directory = DataDirectory::lock(Arc::new(disk.clone()), Path::new("/data")).unwrap();
    let clock = Arc::new(ManualClock::new(TimestampMs(1_000_000)));
    let opened = directory
        .open(&settings, clock, Box::new(|error| panic!("{error}")))
        .unwrap();
    let live = LiveSettings::new(settings);
    let topics = Arc::new(Topics::new(
        opened.metadata.clone(),
        opened.engine.clone(),
        live.clone(),
        Clock::System,
    ));
    let (trigger, shutdown) = shutdown_channel();
    let groups = Groups::start(topics.clone(), live.clone(), Clock::System, shutdown);
    Running {
        groups,
        topics,
        settings: live,
        stamp: opened.stamp,
        trigger,
        engine: opened.engine,
        _directory: opened.directory,
    }
}

impl Running {
    pub(crate) async fn loaded(&self) {
        while !self.groups.not_loaded().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn topic(&self, name: &str) {
        let new = NewTopic {
            name: name.to_owned(),
            partitions: Some(2),
            replication_factor: ReplicationFactor::Default,
            configs: BTreeMap::new(),
        };
        self.topics.create(&new).await.unwrap();
    }

    async fn ask<R: Ask>(&self, request: R) -> R::Reply {
        self.groups.ask(request).await.unwrap().wait().await.unwrap()
    }

    async fn committed(&self, group: &str) -> Vec<(String, i32, i64)> {
        let fetch = OffsetFetch {
            group_id: GroupId::from(group),
            topics: FetchTopics::All,
            stability: Stability::Any,
        };
        let topics = self.ask(fetch).await.outcome.unwrap();
        let flat = topics.iter().flat_map(|topic| {
            topic
                .partitions
                .iter()
                .map(|p| (topic.topic.to_string(), p.partition.0, p.offset.0))
        });
        flat.collect()
    }

    pub(crate) async fn stop(self) {
        self.trigger.request();
        self.groups.stop().await;
        let engine = self.engine.clone();
        tokio::task::spawn_blocking(move || engine.close(Duration::from_secs(5)))
            .await
            .unwrap();
    }
}

fn commit(group: &str, topic: &str, offset: i64) -> OffsetCommit {
    let partition = OffsetCommitPartition {
        partition: PartitionIndex(0),
        offset: Offset(offset),
        leader_epoch: LeaderEpoch::UNKNOWN,
        metadata: Some("m".into()),
    };
    OffsetCommit {
        api_version: 9,
        group_id: GroupId::from(group),
        generation: GenerationId::NONE,
        member_id: MemberId::unknown(),
        instance_id: None,
        retention_time_ms: None,
        topics: vec![OffsetCommitTopic {
            topic: TopicName::from(topic),
            partitions: vec![partition],
        }],
    }
}

fn join(group: &str, member: &str) -> JoinGroup {
    JoinGroup {
        api_version: 3,
        group_id: GroupId::from(group),
        client: ClientInfo {
            client_id: "c".into(),
            client_host: "/127.0.0.1".into(),
        },
        member_id: MemberId::from(member),
        instance_id: None,
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 30_000,
        protocol_type: "consumer".into(),
        protocols: vec![JoinProtocol {
            name: "range".into(),
            metadata: Bytes::from_static(b"x"),
        }],
    }
}

async fn joined(running: &Running, group: &str, member: &str) -> (MemberId, JoinedGeneration) {
    let reply = running.ask(join(group, member)).await;
    (reply.member_id, reply.outcome.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn committed_offsets_are_there_after_a_restart() {
    let disk = SimulatedDisk::new();
    let running = start(&disk);
    running.topic("orders").await;
    for (group, offset) in [("a", 5), ("b", 6), ("c", 7), ("a", 8)] {
        let reply = running.ask(commit(group, "orders", offset)).await;
        assert_eq!(reply.topics[0].partitions[0].outcome, Ok(()));
    }
    running.stop().await;

    let running = start(&disk);
    running.loaded().await;
    assert_eq!(running.committed("a").await, [("orders".to_owned(), 0, 8)]);
    assert_eq!(running.committed("b").await, [("orders".to_owned(), 0, 6)]);
    assert_eq!(running.committed("nobody").await, []);
    let view = running.groups.summary("c").unwrap();
    assert_eq!(
        (view.state, view.offsets[0].offset),
        (GroupState::Empty, Offset(7))
    );
    assert_eq!(running.groups.summaries().len(), 3);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_06_a_second_member_does_not_lose_the_first() {
    let disk = SimulatedDisk::new();
    let running = start(&disk);
    let (first, generation) = joined(&running, "g", "").await;
    assert_eq!(generation.leader, first);
    let sync = SyncGroup {
        group_id: GroupId::from("g"),
        generation: generation.generation,
        member_id: first.clone(),
        instance_id: None,
        protocol_type: None,
        protocol_name: None,
        assignments: vec![MemberAssignment {
            member_id: first.clone(),
            assignment: Bytes::from_static(b"all"),
        }],
    };
    assert_eq!(
        running.ask(sync).await.outcome.unwrap().assignment,
        Bytes::from_static(b"all")
    );

    let second = running.groups.ask(join("g", "")).await.unwrap();
    let heartbeat = Heartbeat {
        group_id: GroupId::from("g"),
        generation: generation.generation,
        member_id: first.clone(),
        instance_id: None,
    };
    assert_eq!(
        running.ask(heartbeat).await.outcome,
        Err(GroupError::RebalanceInProgress)
    );
    let (again, generation) = joined(&running, "g", &first).await;
    let second = second.wait().await.unwrap();
    assert_eq!((again, generation.members.len()), (first, 2));
    assert_eq!(second.outcome.unwrap().generation, generation.generation);
    assert_eq!(running.groups.summary("g").unwrap().members, 2);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_is_sent_away_when_the_broker_stops_and_commits_go_on() {
    let disk = SimulatedDisk::new();
    let running = start(&disk);
    running.topic("orders").await;
    let (first, _) = joined(&running, "g", "").await;
    let waiting = running.groups.ask(join("g", "")).await.unwrap();
    running.trigger.request();
    assert_eq!(waiting.wait().await.err(), Some(GroupError::NotCoordinator));
    let late = running.groups.ask(join("g", &first)).await.unwrap();
    assert!(matches!(
        late.wait().await,
        Err(GroupError::NotCoordinator) | Ok(_)
    ));
    let reply = running.ask(commit("other", "orders", 1)).await;
    assert_eq!(reply.topics[0].partitions[0].outcome, Ok(()));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_whose_caller_is_gone_is_taken_back() {
    let disk = SimulatedDisk::new();
    let running = start(&disk);
    let _ = joined(&running, "g", "").await;
    let waiting = running.groups.ask(join("g", "")).await.unwrap();
    assert_eq!(running.groups.summary("g").unwrap().members, 2);
    drop(waiting);
    assert_eq!(running.groups.summary("g").unwrap().members, 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offsets_of_a_deleted_topic_go_with_it() {
    let disk = SimulatedDisk::new();
    let running = start(&disk);
    running.topic("gone").await;
    running.topic("kept").await;
    for topic in ["gone", "kept"] {
        let _ = running.ask(commit("g", topic, 3)).await;
    }
    let id = running.topics.by_name("gone").unwrap().id;
    running.topics.delete(id).await.unwrap();
    while running.committed("g").await.len() > 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    running.stop().await;
    let running = start(&disk);
    running.loaded().await;
    assert_eq!(running.committed("g").await, [("kept".to_owned(), 0, 3)]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_group_stays_deleted_after_a_restart() {
    let disk = SimulatedDisk::new();
    let running = start(&disk);
    running.topic("orders").await;
    let _ = running.ask(commit("g", "orders", 3)).await;
    assert_eq!(
        running
            .ask(DeleteGroup {
                group_id: GroupId::from("g")
            })
            .await
            .outcome,
        Ok(())
    );
    let again = running
        .ask(DeleteGroup {
            group_id: GroupId::from("g"),
        })
        .await;
    assert_eq!(again.outcome, Err(GroupError::GroupIdNotFound));
    running.stop().await;
    let running = start(&disk);
    running.loaded().await;
    assert_eq!(running.groups.summaries(), []);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_offsets_topic_is_made_once_with_kafkas_settings() {
    let disk = SimulatedDisk::new();
    let running = start(&disk);
    assert!(running.groups.ask_lists(&ListGroups::default()).is_empty());
    let made = futures::future::join_all((0..8).map(|_| running.groups.ensure())).await;
    assert!(made.iter().all(Result::is_ok));
    let topic = running.topics.by_name(OFFSETS_TOPIC).unwrap();
    assert!(topic.is_internal() && topic.is_compacted());
    assert_eq!((topic.partitions, topic.config.segment_bytes), (3, 104_857_600));
    assert_eq!(running.groups.ask_lists(&ListGroups::default()).len(), 3);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_member_is_removed_by_the_timers() {
    let disk = SimulatedDisk::new();
    let running = start(&disk);
    let silent = JoinGroup {
        session_timeout_ms: 50,
        ..join("g", "")
    };
    assert!(running.ask(silent).await.outcome.is_ok());
    let patient = running.ask(join("h", "")).await;
    // A deadline nearer than all others wakes the timers early.
    while running.groups.summary("g").is_some_and(|group| group.members > 0) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(running.groups.summary("h").unwrap().members, 1);
    assert!(patient.outcome.is_ok());
    assert_eq!(running.groups.stats().sessions_expired, 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_whose_log_is_closed_sends_everybody_away() {
    let disk = SimulatedDisk::new();
    let running = start(&disk);
    running.topic("orders").await;
    let _ = running.ask(commit("g", "orders", 1)).await;
    let engine = running.engine.clone();
    tokio::task::spawn_blocking(move || engine.close(Duration::from_secs(5)))
        .await
        .unwrap();
    for _ in 0..2 {
        let asked = running.groups.ask(commit("g", "orders", 2)).await.unwrap();
        match asked.wait().await {
            Err(error) => assert_eq!(error, GroupError::NotCoordinator),
            Ok(reply) => {
                assert_eq!(
                    reply.topics[0].partitions[0].outcome,
                    Err(GroupError::NotCoordinator)
                );
            }
        }
    }
    assert_eq!(running.groups.not_loaded().len(), 1);
    running.stop().await;
}

/// Two clients commit and one restarts the broker again and again: an acknowledged offset never goes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_offsets_never_go_back() {
    let disk = SimulatedDisk::new();
    let mut offset = 0;
    for _ in 0..5 {
        let running = start(&disk);
        if running.topics.by_name("orders").is_none() {
            running.topic("orders").await;
        }
        running.loaded().await;
        for group in ["a", "b"] {
            let committed = running.committed(group).await;
            assert_eq!(committed.first().map_or(0, |(_, _, at)| *at), offset);
        }
        offset += 10;
        for step in 1..=10 {
            for group in ["a", "b"] {
                let reply = running.ask(commit(group, "orders", offset - 10 + step)).await;
                assert_eq!(reply.topics[0].partitions[0].outcome, Ok(()));
            }
        }
        running.stop().await;
    }
}

/// On one thread: nothing else runs between the return of a call and the next line.
#[tokio::test]
async fn a_deleted_topics_offsets_are_gone_when_the_deletion_returns() {
    let running = start(&SimulatedDisk::new());
    running.topic("orders").await;
    running.topic("kept").await;
    running.ask(commit("g", "orders", 5)).await;
    running.ask(commit("g", "kept", 6)).await;
    let id = running.topics.by_name("orders").unwrap().id;
    running.topics.delete(id).await.unwrap();
    let left = running.groups.summary("g").unwrap().offsets;
    let left: Vec<&str> = left.iter().map(|committed| &*committed.topic).collect();
    assert_eq!(left, ["kept"]);
    // So a commit to a new topic of that name is never taken for one to the old.
    running.topic("orders").await;
    running.ask(commit("g", "orders", 1)).await;
    let expected = [("kept".to_owned(), 0, 6), ("orders".to_owned(), 0, 1)];
    assert_eq!(running.committed("g").await, expected);
    running.stop().await;
}

/// Commits of group "g" for the topics "orders" and "kept", and a shard that loads the same log once more.
async fn loading_again(running: &Running) -> (Arc<ShardRunner>, load::Loaded) {
    running.topic("orders").await;
    running.topic("kept").await;
    running.ask(commit("g", "orders", 5)).await;
    running.ask(commit("g", "kept", 6)).await;
    let partition = partition_for("g", 3);
    let log = running.groups.shards()[usize::try_from(partition.0).unwrap()]
        .log()
        .clone();
    let shared = running.groups.shared.clone();
    let loaded = load::load(&log, shared.config.clone(), 1 << 20, &|| false).unwrap();
    let shard = Arc::new(ShardRunner::new(partition, log.clone(), shared));
    (shard, loaded)
}

fn topics_of(shard: &Arc<ShardRunner>) -> Vec<String> {
    let group = view::view(shard, "g").unwrap();
    let topics = group.offsets.iter().map(|committed| committed.topic.to_string());
    topics.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offsets_of_a_topic_that_was_deleted_and_made_again_while_they_were_loaded_are_gone() {
    let running = start(&SimulatedDisk::new());
    let (shard, loaded) = loading_again(&running).await;
    shard.topics_deleted(&[TopicName::from("orders")]);
    // There is a topic of that name when the shard is loaded: a new one, as far as the shard knows.
    shard.install(loaded, &HashSet::from(["orders", "kept"].map(TopicName::from)));
    assert_eq!(topics_of(&shard), ["kept"]);
    running.stop().await;
}

/// A crash right after a topic was made again must not bring back the offsets of the old one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_removal_of_a_deleted_topics_offsets_is_durable_before_the_deletion_returns() {
    let disk = SimulatedDisk::new();
    let running = start(&disk);
    running.topic("orders").await;
    running.ask(commit("g", "orders", 5)).await;
    let id = running.topics.by_name("orders").unwrap().id;
    running.topics.delete(id).await.unwrap();
    running.topic("orders").await;
    let crashed = [0, usize::MAX].map(|choice| {
        let after = disk.fork();
        after.crash(&mut |count| choice.min(count - 1));
        after
    });
    running.stop().await;
    for after in crashed {
        let running = start(&after);
        running.loaded().await;
        assert!(running.topics.by_name("orders").is_some());
        assert_eq!(running.committed("g").await, []);
        running.stop().await;
    }
}

/// The deletion was durable, the removal of the offsets was not, and the name is in use again before the shard is
/// loaded: as after a crash between the two.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offsets_of_a_topic_that_was_not_there_at_the_start_are_gone() {
    let running = start(&SimulatedDisk::new());
    let (shard, loaded) = loading_again(&running).await;
    shard.install(loaded, &HashSet::from([TopicName::from("kept")]));
    assert_eq!(topics_of(&shard), ["kept"]);
    running.stop().await;
}
