//! What cannot be mirrored is named, with what to do; one partition's trouble is no other's.

use rdkafka::TopicPartitionList;
use thalweg_tests::clients::librdkafka::{Producer, Record, admin, admin_options, create_topic};
use thalweg_tests::mirror::Mirror;
use thalweg_tests::{Broker, wait};

use crate::thalweg;

fn write(broker: &Broker, topic: &str, count: i32) {
    let producer = Producer::new(broker, &[("linger.ms", "0")]);
    let records: Vec<Record> = (0..count)
        .map(|n| Record::new("k", format!("v{n}")).to_partition(0))
        .collect();
    producer.send_all(topic, &records);
}

fn delete_before(broker: &Broker, topic: &str, offset: i64) {
    let mut cut = TopicPartitionList::new();
    cut.add_partition_offset(topic, 0, rdkafka::Offset::Offset(offset))
        .expect("an offset");
    wait::answer(admin(broker).delete_records(&cut, &admin_options())).expect("deleted");
}

#[test]
fn a_gap_stops_its_partition_only_and_is_jumped_when_told() {
    let (source, target) = (thalweg().start(), thalweg().start());
    for topic in ["gap", "whole"] {
        create_topic(&source, topic, 1, &[]);
        write(&source, topic, 10);
    }
    let mut mirror = Mirror::between(&source, &target, "topics = [\".*\"]");
    mirror.start();
    mirror.wait_for(&source, &target, "gap");
    mirror.wait_for(&source, &target, "whole");
    assert!(mirror.terminate().success());
    write(&source, "gap", 20);
    write(&source, "whole", 20);
    delete_before(&source, "gap", 15);
    mirror.start();
    mirror.wait_for(&source, &target, "whole");
    let stopped = mirror.wait_for_state("gap", "stopped");
    let reason = stopped["reason"].as_str().unwrap_or_default();
    assert!(
        reason.contains("offsets 10 to 14") && stopped["stop"] == "gap",
        "{stopped}"
    );
    mirror.kill_nine();
    drop(mirror);
    // The same link with another rule: the name and the source make its id.
    let mut mirror = Mirror::between(&source, &target, "topics = [\".*\"]\non_gap = \"jump\"");
    mirror.start();
    mirror.wait_for(&source, &target, "gap");
    let live = mirror.wait_for_state("gap", "live");
    let losses = live["losses"].to_string();
    assert!(losses.contains("offsets 10 to 14 were never mirrored"), "{live}");
    mirror.verify();
}

#[test]
fn a_recreated_topic_is_not_appended_to_the_old_one() {
    let (source, target) = (thalweg().start(), thalweg().start());
    create_topic(&source, "orders", 1, &[]);
    write(&source, "orders", 10);
    let mut mirror = Mirror::between(&source, &target, "topics = [\".*\"]");
    mirror.start();
    mirror.wait_for(&source, &target, "orders");
    wait::answer(admin(&source).delete_topics(&["orders"], &admin_options())).expect("deleted");
    mirror.wait_for_state("orders", "stopped");
    create_topic(&source, "orders", 1, &[]);
    write(&source, "orders", 30);
    wait::until("the new topic is told apart", || {
        let partitions = mirror.partitions().unwrap_or_default();
        partitions
            .iter()
            .any(|partition| partition["stop"] == "recreated")
    });
    assert_eq!(thalweg_tests::mirror::ends(&target, "orders"), [10]);
}

#[test]
fn wrong_ends_are_refused_with_what_to_do() {
    let source = thalweg().start();
    create_topic(&source, "orders", 1, &[]);
    let same = Mirror::between(&source, &source, "topics = [\".*\"]");
    let said = same.command("plan", &[]).refused().text();
    assert!(said.contains("are the same cluster"), "{said}");
    let said = same.command("run", &[]).refused().text();
    assert!(said.contains("are the same cluster"), "{said}");
    let target = thalweg().start();
    create_topic(&target, "orders", 1, &[]);
    let taken = Mirror::between(&source, &target, "topics = [\".*\"]");
    let said = taken.command("plan", &[]).refused().text();
    assert!(said.contains("'orders' that is no mirror"), "{said}");
    let pinned = "topics = [\".*\"]\nsource.cluster_id = \"another\"";
    let said = Mirror::between(&source, &target, pinned)
        .command("plan", &[])
        .refused()
        .text();
    assert!(said.contains("source.cluster_id is another"), "{said}");
}

#[test]
fn a_pause_holds_and_ends() {
    let (source, target) = (thalweg().start(), thalweg().start());
    create_topic(&source, "orders", 1, &[]);
    write(&source, "orders", 1);
    let mut mirror = Mirror::between(&source, &target, "topics = [\".*\"]");
    mirror.start();
    mirror.wait_for(&source, &target, "orders");
    mirror.command("pause", &["west", "orders"]).ok();
    mirror.wait_for_state("orders", "paused");
    write(&source, "orders", 5);
    assert_eq!(thalweg_tests::mirror::ends(&target, "orders"), [1]);
    mirror.command("pause", &["west", "nothing"]).refused();
    mirror.command("resume", &["west"]).ok();
    mirror.wait_for(&source, &target, "orders");
}
