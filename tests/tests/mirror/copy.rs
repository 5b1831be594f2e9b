//! A mirror holds the source's batches at the source's offsets.

use rdkafka::TopicPartitionList;
use rdkafka::admin::NewPartitions;
use thalweg_tests::clients::librdkafka::{
    Consumed, Producer, Record, admin, admin_options, create_topic, read_topic,
};
use thalweg_tests::mirror::Mirror;
use thalweg_tests::wait;

use crate::{thalweg, write_transactions, write_with_every_codec};

#[test]
fn every_codec_and_transactions_are_equal_batch_for_batch() {
    let (source, target) = (thalweg().start(), thalweg().start());
    create_topic(&source, "orders", 3, &[("retention.ms", "123456789")]);
    write_with_every_codec(&source, "orders", 3, 200);
    write_transactions(&source, "orders", 3);
    let mut mirror = Mirror::between(&source, &target, "topics = [\"orders\"]");
    mirror
        .command("plan", &[])
        .ok()
        .shows("make    orders with 3 partitions");
    mirror.start();
    mirror.wait_for(&source, &target, "orders");
    // What comes later, comes too.
    write_with_every_codec(&source, "orders", 3, 50);
    write_transactions(&source, "orders", 3);
    mirror.wait_for(&source, &target, "orders");
    mirror.verify().shows("3 partitions compared, 0 differ, 0 behind");
    let committed = [("isolation.level", "read_committed")];
    let here = read_topic(&source, "orders", &committed);
    assert_eq!(here, read_topic(&target, "orders", &committed));
    assert!(here.iter().any(|record| record.text() == "kept too"));
    assert!(!here.iter().any(|record| record.text() == "aborted"));
    let all = [("isolation.level", "read_uncommitted")];
    assert_eq!(
        read_topic(&source, "orders", &all),
        read_topic(&target, "orders", &all)
    );
    mirror.wait_for_state("orders", "live");
    let metrics = mirror.get("/metrics").expect("HTTP answers").body;
    assert!(
        metrics.contains("thalweg_mirror_link_partitions{link=\"west\",state=\"live\"} 3"),
        "{metrics}"
    );
    assert_eq!(mirror.get("/readyz").expect("HTTP answers").status, 200);
    mirror.command("status", &[]).ok().shows("orders-2");
    assert!(mirror.terminate().success());
}

#[test]
fn a_client_cannot_write_to_a_mirror_and_a_prefix_keeps_names_apart() {
    let (source, target) = (thalweg().start(), thalweg().start());
    create_topic(&source, "orders", 1, &[]);
    Producer::new(&source, &[]).send_all("orders", &[Record::new("k", "v")]);
    let mut mirror = Mirror::between(&source, &target, "topics = [\"orders\"]\nprefix = \"west.\"");
    mirror.start();
    wait::until("the mirror has the record", || {
        thalweg_tests::mirror::ends(&target, "west.orders") == [1]
    });
    let refused = Producer::new(&target, &[("message.timeout.ms", "5000")]);
    refused.send("west.orders", &Record::new("k", "mine"));
    let answer = format!("{:?}", refused.flush());
    assert!(answer.contains("PolicyViolation"), "{answer}");
    let read: Vec<String> = read_topic(&target, "west.orders", &[])
        .iter()
        .map(Consumed::text)
        .collect();
    assert_eq!(read, ["v"]);
}

#[test]
fn deleted_records_new_partitions_and_new_topics_follow() {
    let (source, target) = (thalweg().start(), thalweg().start());
    create_topic(&source, "orders", 1, &[]);
    let producer = Producer::new(&source, &[("linger.ms", "0")]);
    let records: Vec<Record> = (0..100)
        .map(|n| Record::new("k", format!("v{n}")).to_partition(0))
        .collect();
    producer.send_all("orders", &records);
    let mut mirror = Mirror::between(&source, &target, "topics = [\".*\"]");
    mirror.start();
    mirror.wait_for(&source, &target, "orders");
    let mut cut = TopicPartitionList::new();
    cut.add_partition_offset("orders", 0, rdkafka::Offset::Offset(42))
        .expect("an offset");
    wait::answer(admin(&source).delete_records(&cut, &admin_options())).expect("deleted");
    wait::answer(admin(&source).create_partitions(&[NewPartitions::new("orders", 3)], &admin_options()))
        .expect("more partitions");
    create_topic(&source, "payments", 2, &[]);
    // A topic without a record, whose log nevertheless starts elsewhere, is followed too.
    producer.send_all("payments", &[Record::new("k", "v").to_partition(0)]);
    let mut all = TopicPartitionList::new();
    all.add_partition_offset("payments", 0, rdkafka::Offset::End)
        .expect("the end");
    wait::answer(admin(&source).delete_records(&all, &admin_options())).expect("deleted");
    mirror.wait_for(&source, &target, "orders");
    mirror.wait_for(&source, &target, "payments");
    for (topic, start) in [("orders", 42), ("payments", 1)] {
        wait::until("the log start follows", || {
            let found = mirror
                .partitions()
                .unwrap_or_default()
                .into_iter()
                .find(|partition| partition["topic"] == topic && partition["partition"] == 0);
            found.is_some_and(|partition| partition["mirror_start"] == start)
        });
    }
    let read = read_topic(&target, "orders", &[]);
    assert_eq!(read.first().map(|record| record.offset), Some(42));
    assert_eq!(read, read_topic(&source, "orders", &[]));
    mirror.verify().shows("5 partitions compared, 0 differ");
}
