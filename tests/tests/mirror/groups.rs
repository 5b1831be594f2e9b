//! Committed offsets of groups go both ways, and each group has one owner.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::producer::{DefaultProducerContext, Producer as _, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
use thalweg_tests::chance::{Chance, number_from_environment};
use thalweg_tests::clients::java::Java;
use thalweg_tests::clients::librdkafka::{
    CALL, Member, Producer, Record, admin, admin_options, config, create_topic, serve_until,
};
use thalweg_tests::mirror::Mirror;
use thalweg_tests::{Broker, BrokerConfig, Product, require_client, wait, watchdog};

use crate::thalweg;

const TOPIC: &str = "orders";
const RULES: &str = "topics = [\"orders\"]\ngroups = [\".*\"]";

/// How old an offset may be on the other side.
const AGE_MAX: Duration = Duration::from_secs(2);

/// Two brokers, a topic with two partitions and `count` records in each, and a mirror that has them all.
fn mirrored(source: BrokerConfig, count: i32, rules: &str) -> (Broker, Broker, Mirror) {
    let (source, target) = (source.start(), thalweg().start());
    create_topic(&source, TOPIC, 2, &[]);
    write(&source, count);
    let mut mirror = Mirror::between(&source, &target, rules);
    mirror.start();
    mirror.wait_for(&source, &target, TOPIC);
    (source, target, mirror)
}

fn write(source: &Broker, count: i32) {
    let records: Vec<Record> = (0..count)
        .flat_map(|number| (0..2).map(move |at| Record::new("k", format!("v{number}")).to_partition(at)))
        .collect();
    Producer::new(source, &[("linger.ms", "5")]).send_all(TOPIC, &records);
}

/// A consumer that commits without being a member, as Flink does.
fn outsider(broker: &Broker, group: &str) -> BaseConsumer {
    config(broker, &[("group.id", group), ("enable.auto.commit", "false")])
        .create()
        .expect("the settings are librdkafka's")
}

fn commit(broker: &Broker, group: &str, partition: i32, offset: i64) {
    let mut offsets = TopicPartitionList::new();
    offsets
        .add_partition_offset(TOPIC, partition, Offset::Offset(offset))
        .expect("an offset");
    outsider(broker, group)
        .commit(&offsets, CommitMode::Sync)
        .expect("committed");
}

/// What a group has committed in each partition.
fn committed(broker: &Broker, group: &str) -> [Option<i64>; 2] {
    [0, 1].map(|partition| {
        let mut asked = TopicPartitionList::new();
        asked.add_partition(TOPIC, partition);
        let found = outsider(broker, group).committed_offsets(asked, CALL).ok()?;
        match found.elements().first()?.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        }
    })
}

#[track_caller]
fn wait_for(mirror: &Mirror, broker: &Broker, group: &str, expected: [Option<i64>; 2]) {
    let look = || (committed(broker, group) == expected).then_some(());
    if wait::poll(wait::PATIENCE, look).is_none() {
        let groups = mirror.get("/links/west/groups").map(|answer| answer.body);
        panic!(
            "{group} has {:?}, not {expected:?}: {groups:?}\n{}",
            committed(broker, group),
            mirror.log_tail()
        );
    }
}

/// The state of a group as the service sees it.
fn state(mirror: &Mirror, group: &str) -> Option<String> {
    let answer = mirror.get("/links/west/groups").ok()?;
    let json: serde_json::Value = serde_json::from_str(&answer.body).ok()?;
    let groups = json["groups"].as_array()?;
    let found = groups.iter().find(|found| found["group"] == group)?;
    Some(found["state"].as_str()?.to_owned())
}

/// Nothing changes any more over a few rounds.
#[track_caller]
fn assert_rests(brokers: &[&Broker], group: &str, expected: [Option<i64>; 2]) {
    let until = Instant::now() + Duration::from_secs(4);
    while Instant::now() < until {
        for broker in brokers {
            assert_eq!(committed(broker, group), expected);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_commit_only_group_goes_both_ways_and_a_seek_on_the_passive_side_counts() {
    let (source, target, mirror) = mirrored(thalweg(), 100, RULES);
    commit(&source, "flink", 0, 40);
    commit(&source, "flink", 1, 50);
    wait_for(&mirror, &target, "flink", [Some(40), Some(50)]);
    assert_eq!(state(&mirror, "flink").as_deref(), Some("source"));
    // A seek backwards where nobody reads: the source follows it.
    commit(&target, "flink", 0, 7);
    wait_for(&mirror, &source, "flink", [Some(7), Some(50)]);
    assert_rests(&[&source, &target], "flink", [Some(7), Some(50)]);
    assert_eq!(state(&mirror, "flink").as_deref(), Some("target"));
    commit(&source, "flink", 0, 90);
    wait_for(&mirror, &target, "flink", [Some(90), Some(50)]);
    // A group that begins at the target.
    commit(&target, "reports", 1, 3);
    wait_for(&mirror, &source, "reports", [None, Some(3)]);
    assert_rests(&[&source, &target], "reports", [None, Some(3)]);
    let status = mirror.command("status", &[]).ok();
    status.shows("groups: 1 of the source, 1 of the target, 0 in conflict, 0 failed");
}

#[test]
fn an_offset_is_less_than_two_seconds_old_on_the_other_side() {
    let (source, target, mirror) = mirrored(thalweg(), 100, RULES);
    commit(&source, "flink", 0, 1);
    wait_for(&mirror, &target, "flink", [Some(1), None]);
    let mut ages = Vec::new();
    for offset in 2..7 {
        let (from, to) = if offset % 2 == 0 {
            (&source, &target)
        } else {
            (&target, &source)
        };
        commit(from, "flink", 0, offset);
        let began = Instant::now();
        wait_for(&mirror, to, "flink", [Some(offset), None]);
        ages.push(began.elapsed());
    }
    ages.sort();
    // The machine may be busy with something else for one of them.
    assert!(ages[3] < AGE_MAX, "{ages:?}");
}

#[test]
fn members_own_their_group_and_move_to_the_mirror_and_back() {
    let (source, target, mirror) = mirrored(thalweg(), 50, RULES);
    let here = Member::join(&source, "billing", TOPIC, &[]);
    serve_until(&[&here], "all is read", |records| records.len() == 100);
    here.commit().expect("committed");
    wait_for(&mirror, &target, "billing", [Some(50), Some(50)]);
    // A seek at the target is not the group's while its members are at the source.
    commit(&target, "billing", 0, 3);
    wait_for(&mirror, &target, "billing", [Some(50), Some(50)]);
    drop(here);
    write(&source, 10);
    mirror.wait_for(&source, &target, TOPIC);
    let there = Member::join(&target, "billing", TOPIC, &[]);
    let read = serve_until(&[&there], "the rest is read", |records| records.len() == 20);
    assert!(read.iter().all(|record| record.offset >= 50), "nothing twice");
    there.commit().expect("committed");
    wait_for(&mirror, &source, "billing", [Some(60), Some(60)]);
    drop(there);
    let back = Member::join(&source, "billing", TOPIC, &[]);
    write(&source, 5);
    let read = serve_until(&[&back], "what is new is read", |records| records.len() == 10);
    assert!(read.iter().all(|record| record.offset >= 60), "nothing twice");
}

#[test]
fn members_on_both_sides_are_a_conflict_that_is_told_and_ends() {
    let (source, target, mirror) = mirrored(thalweg(), 20, RULES);
    let here = Member::join(&source, "billing", TOPIC, &[]);
    let there = Member::join(&target, "billing", TOPIC, &[]);
    serve_until(&[&here, &there], "both have read", |records| records.len() == 80);
    here.commit().expect("committed");
    wait::until("the conflict is seen", || {
        here.poll(Duration::from_millis(1));
        there.poll(Duration::from_millis(1));
        state(&mirror, "billing").as_deref() == Some("conflict")
    });
    let metrics = mirror.get("/metrics").expect("HTTP answers").body;
    let alarm = "thalweg_mirror_link_groups{link=\"west\",state=\"conflict\"} 1";
    assert!(metrics.contains(alarm), "{metrics}");
    let said = mirror.command("status", &[]).ok();
    said.shows("conflict: billing has members on both sides");
    assert!(mirror.log_tail().contains("members on both sides"));
    assert_eq!(committed(&target, "billing"), [None, None]);
    drop(there);
    wait_for(&mirror, &target, "billing", [Some(20), Some(20)]);
    assert_eq!(state(&mirror, "billing").as_deref(), Some("source"));
}

#[test]
fn offsets_of_a_transaction_go_when_it_is_committed() {
    let (source, target, mirror) = mirrored(thalweg(), 50, RULES);
    let settings = [("transactional.id", "tx"), ("transaction.timeout.ms", "60000")];
    let producer: ThreadedProducer<DefaultProducerContext> =
        config(&source, &settings).create().expect("a producer");
    producer.init_transactions(CALL).expect("an identity");
    let reader = outsider(&source, "streams");
    for (offset, is_committed) in [(10, true), (20, false), (30, true)] {
        producer.begin_transaction().expect("begin");
        let mut offsets = TopicPartitionList::new();
        offsets
            .add_partition_offset(TOPIC, 0, Offset::Offset(offset))
            .expect("an offset");
        let metadata = reader.group_metadata().expect("a group");
        producer
            .send_offsets_to_transaction(&offsets, &metadata, CALL)
            .expect("the offsets");
        match is_committed {
            true => producer.commit_transaction(CALL).expect("commit"),
            false => producer.abort_transaction(CALL).expect("abort"),
        }
        let expected = if offset == 10 || offset == 20 { 10 } else { 30 };
        wait_for(&mirror, &target, "streams", [Some(expected), None]);
    }
}

#[test]
fn an_offset_beyond_the_mirror_is_clamped_and_raised() {
    let (source, target, mirror) = mirrored(thalweg(), 50, RULES);
    commit(&source, "ahead", 0, 80);
    wait_for(&mirror, &target, "ahead", [Some(50), None]);
    assert_rests(&[&target], "ahead", [Some(50), None]);
    write(&source, 10);
    wait_for(&mirror, &target, "ahead", [Some(60), None]);
    write(&source, 40);
    wait_for(&mirror, &target, "ahead", [Some(80), None]);
    assert_eq!(committed(&source, "ahead"), [Some(80), None]);
}

#[test]
fn a_deleted_group_does_not_come_back_and_a_lost_copy_does() {
    let (source, target, mut mirror) = mirrored(thalweg(), 50, RULES);
    commit(&source, "flink", 0, 40);
    wait_for(&mirror, &target, "flink", [Some(40), None]);
    // What the passive side lost, by expiry or by an admin, the owner still has.
    wait::answer(admin(&target).delete_groups(&["flink"], &admin_options())).expect("deleted");
    wait_for(&mirror, &target, "flink", [Some(40), None]);
    wait::answer(admin(&source).delete_groups(&["flink"], &admin_options())).expect("deleted");
    assert_rests(&[&source], "flink", [None, None]);
    mirror.kill_nine();
    mirror.start();
    mirror.wait_for_state(TOPIC, "live");
    assert_rests(&[&source], "flink", [None, None]);
    wait::answer(admin(&target).delete_groups(&["flink"], &admin_options())).expect("deleted");
    assert_rests(&[&source, &target], "flink", [None, None]);
}

#[test]
fn an_expired_group_is_not_brought_back_by_its_copy() {
    watchdog::allow(Duration::from_secs(300));
    let source = thalweg()
        .set("offsets.retention.minutes", 1)
        .set("offsets.retention.check.interval.ms", 1000);
    let (source, target, mirror) = mirrored(source, 50, RULES);
    commit(&source, "flink", 0, 40);
    wait_for(&mirror, &target, "flink", [Some(40), None]);
    let expired = || (committed(&source, "flink") == [None, None]).then_some(());
    wait::poll(Duration::from_secs(150), expired).expect("it expires after a minute");
    assert_rests(&[&source], "flink", [None, None]);
    assert_eq!(committed(&target, "flink"), [Some(40), None]);
}

#[test]
fn excluded_groups_and_those_that_are_not_chosen_stay_where_they_are() {
    let rules = "topics = [\"orders\"]\ngroups = [\"app-.*\"]\nexclude_groups = [\".*-test\"]";
    let (source, target, mirror) = mirrored(thalweg(), 50, rules);
    for group in ["app-1-test", "other", "app-1"] {
        commit(&source, group, 0, 40);
    }
    wait_for(&mirror, &target, "app-1", [Some(40), None]);
    assert_rests(&[&target], "other", [None, None]);
    assert_eq!(committed(&target, "app-1-test"), [None, None]);
}

#[test]
fn groups_are_equal_after_kills_of_each_part() {
    let kills = number_from_environment("THALWEG_KILLS", 6).max(1);
    watchdog::allow(Duration::from_secs(240 + 20 * kills));
    let (mut source, mut target, mut mirror) = mirrored(thalweg(), 5000, RULES);
    let mut chance = Chance::from_environment();
    let (mut offset, mut side) = (0, 0);
    for kill in 0..kills {
        for _ in 0..3 {
            offset += 1;
            side = chance.between(0, 1);
            let from = if side == 0 { &source } else { &target };
            commit(from, "flink", 0, offset);
            std::thread::sleep(chance.millis(0, 1500));
        }
        match kill % 3 {
            0 => {
                mirror.kill_nine();
                mirror.start();
            }
            1 => {
                target.kill_nine();
                target.start_again();
            }
            _ => {
                source.kill_nine();
                source.start_again();
            }
        }
        // Whichever was last, both sides agree on one of the two sides' values and rest there.
        wait::until("both sides agree", || {
            let (here, there) = (committed(&source, "flink"), committed(&target, "flink"));
            here == there && here[0].is_some()
        });
    }
    offset += 1;
    let from = if side == 0 { &target } else { &source };
    commit(from, "flink", 0, offset);
    for broker in [&source, &target] {
        wait_for(&mirror, broker, "flink", [Some(offset), None]);
    }
    assert_rests(&[&source, &target], "flink", [Some(offset), None]);
}

#[test]
fn the_memory_is_no_ones_commit_after_a_kill_with_a_clamped_offset() {
    let (source, target, mut mirror) = mirrored(thalweg(), 50, RULES);
    commit(&source, "ahead", 0, 5000);
    wait_for(&mirror, &target, "ahead", [Some(50), None]);
    for _ in 0..4 {
        write(&source, 20);
        std::thread::sleep(Duration::from_millis(700));
        mirror.kill_nine();
        mirror.start();
    }
    wait_for(&mirror, &target, "ahead", [Some(130), None]);
    assert_eq!(
        committed(&source, "ahead"),
        [Some(5000), None],
        "what was clamped never travels back"
    );
}

#[test]
fn groups_of_apache_kafka_go_both_ways() {
    let _ = require_client!(Java::find());
    let (source, target, mirror) = mirrored(BrokerConfig::new(Product::ApacheKafka), 50, RULES);
    let here = Member::join(&source, "billing", TOPIC, &[]);
    serve_until(&[&here], "all is read", |records| records.len() == 100);
    here.commit().expect("committed");
    wait_for(&mirror, &target, "billing", [Some(50), Some(50)]);
    drop(here);
    wait::until("its members have left", || {
        state(&mirror, "billing").is_some() && {
            commit_if_possible(&target, "billing", 0, 20);
            committed(&source, "billing") == [Some(20), Some(50)]
        }
    });
    commit(&source, "flink", 1, 7);
    wait_for(&mirror, &target, "flink", [None, Some(7)]);
}

fn commit_if_possible(broker: &Broker, group: &str, partition: i32, offset: i64) {
    let mut offsets = TopicPartitionList::new();
    offsets
        .add_partition_offset(TOPIC, partition, Offset::Offset(offset))
        .expect("an offset");
    // Whether it was taken is seen on the other side.
    drop(outsider(broker, group).commit(&offsets, CommitMode::Sync));
}
