//! MirrorMaker 2's own clients and formatters find in a Thalweg mirror what they look for.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};
use thalweg_tests::clients::java::{Java, Tool};
use thalweg_tests::clients::librdkafka::{Producer, Record, config, create_topic, read_topic};
use thalweg_tests::mirror::{Mirror, ends};
use thalweg_tests::{process, require_client, wait};

use crate::thalweg;

const RULES: &str = "topics = [\"orders\"]\ngroups = [\"billing\"]\nheartbeats = true";

#[test]
fn mirrormakers_client_translates_offsets_and_sees_heartbeats() {
    let java = require_client!(Java::find());
    let (source, target) = (thalweg().start(), thalweg().start());
    create_topic(&source, "orders", 2, &[]);
    let records: Vec<Record> = (0..50)
        .map(|number| Record::new("k", "v").to_partition(number % 2))
        .collect();
    Producer::new(&source, &[]).send_all("orders", &records);
    let outsider: BaseConsumer = config(&source, &[("group.id", "billing")])
        .create()
        .expect("the settings are librdkafka's");
    let mut offsets = TopicPartitionList::new();
    for (partition, offset) in [(0, 11), (1, 20)] {
        offsets
            .add_partition_offset("orders", partition, Offset::Offset(offset))
            .expect("an offset");
    }
    outsider.commit(&offsets, CommitMode::Sync).expect("committed");
    let mut mirror = Mirror::between(&source, &target, RULES);
    mirror.start();
    mirror.wait_for(&source, &target, "orders");
    wait::until("heartbeats and checkpoints are there", || {
        let heartbeats = ends(&target, "west.heartbeats");
        let checkpoints = ends(&target, "west.checkpoints.internal");
        heartbeats.iter().any(|end| *end > 2) && checkpoints.iter().any(|end| *end > 1)
    });
    let seen = java.source(
        "MirrorMakerClients.java",
        &[target.bootstrap(), "west", "billing"],
    );
    let seen = process::run(seen, b"", Duration::from_secs(120)).ok();
    seen.shows("offsets {orders-0=11, orders-1=20}")
        .shows("upstream [west]")
        .shows("hops 1")
        .shows("heartbeats [west.heartbeats]")
        .shows("checkpoints [west.checkpoints.internal]");
    for (topic, formatter, part) in [
        ("west.heartbeats", "Heartbeat", "sourceClusterAlias=west"),
        (
            "west.checkpoints.internal",
            "Checkpoint",
            "consumerGroupId=billing",
        ),
    ] {
        let class = format!("org.apache.kafka.connect.mirror.formatters.{formatter}Formatter");
        let arguments = [
            "--topic",
            topic,
            "--from-beginning",
            "--max-messages",
            "1",
            "--formatter",
            &class,
        ];
        java.run(Tool::ConsoleConsumer, &target, &arguments).shows(part);
    }
    // The heartbeats are mirrored like everything else.
    assert!(read_topic(&target, "west.heartbeats", &[]).len() > 2);
    assert!(mirror.terminate().success());
}
