//! Apache Kafka's tools that look at topics, settings and the cluster.

use thalweg_tests::clients::java::{Java, Tool};
use thalweg_tests::clients::librdkafka::{Producer, Record, create_topic};
use thalweg_tests::{Broker, require_client};

#[test]
fn kafka_topics_creates_describes_alters_and_deletes() {
    let java = require_client!(Java::find());
    let broker = Broker::start();
    let topics = |arguments: &[&str]| java.run(Tool::Topics, &broker, arguments);
    let settings = [
        "--config",
        "retention.ms=-1",
        "--config",
        "cleanup.policy=compact,delete",
    ];
    topics(
        &[
            &["--create", "--topic", "tooled", "--partitions", "3"][..],
            &settings,
        ]
        .concat(),
    )
    .shows("Created topic tooled.");
    topics(&["--list"]).shows("tooled");
    let described = topics(&["--describe", "--topic", "tooled"])
        .shows("PartitionCount: 3")
        .shows("retention.ms=-1");
    assert_eq!(
        described.stdout_text().matches("Leader: ").count(),
        3,
        "{}",
        described.describe()
    );
    topics(&["--alter", "--topic", "tooled", "--partitions", "5"]);
    topics(&["--describe", "--topic", "tooled"]).shows("PartitionCount: 5");
    let again = java
        .try_run(Tool::Topics, &broker, &["--create", "--topic", "tooled"])
        .refused();
    assert!(again.text().contains("already exists"), "{}", again.describe());
    topics(&["--delete", "--topic", "tooled"]);
    let gone = java
        .try_run(Tool::Topics, &broker, &["--describe", "--topic", "tooled"])
        .refused();
    assert!(gone.text().contains("does not exist"), "{}", gone.describe());
}

#[test]
fn kafka_configs_alters_and_describes() {
    let java = require_client!(Java::find());
    let broker = Broker::start();
    create_topic(&broker, "set", 1, &[]);
    let configs = |arguments: &[&str]| java.run(Tool::Configs, &broker, arguments);
    let topic = ["--entity-type", "topics", "--entity-name", "set"];
    let on_topic = |rest: &[&str]| configs(&[&topic[..], rest].concat());
    on_topic(&["--alter", "--add-config", "retention.ms=12345,segment.ms=54321"]);
    on_topic(&["--describe"])
        .shows("retention.ms=12345")
        .shows("segment.ms=54321")
        .shows("DYNAMIC_TOPIC_CONFIG");
    on_topic(&["--alter", "--delete-config", "segment.ms"]);
    let described = on_topic(&["--describe"]).shows("retention.ms=12345");
    assert!(
        !described.stdout_text().contains("segment.ms=54321"),
        "{}",
        described.describe()
    );
    on_topic(&["--describe", "--all"])
        .shows("max.message.bytes=1048588")
        .shows("DEFAULT_CONFIG");
    let refused = [&topic[..], &["--alter", "--add-config", "retention.ms=soon"]].concat();
    let refused = java.try_run(Tool::Configs, &broker, &refused).refused();
    assert!(refused.text().contains("retention.ms"), "{}", refused.describe());
    configs(&[
        "--entity-type",
        "brokers",
        "--entity-name",
        "0",
        "--describe",
        "--all",
    ])
    .shows("num.partitions=")
    .shows("log.retention.ms=");
}

#[test]
fn the_cluster_tools_are_answered() {
    let java = require_client!(Java::find());
    let broker = Broker::start();
    create_topic(&broker, "looked-at", 2, &[]);
    Producer::new(&broker, &[]).send_all("looked-at", &[Record::new("k", "v").to_partition(1)]);
    let versions = java
        .run(Tool::BrokerApiVersions, &broker, &[])
        .shows("Produce(0): ")
        .shows("Fetch(1): ");
    assert!(
        versions.stdout_text().contains(broker.bootstrap()),
        "{}",
        versions.describe()
    );
    java.run(Tool::Cluster, &broker, &["cluster-id"])
        .shows("Cluster ID: ");
    java.run(Tool::GetOffsets, &broker, &["--topic", "looked-at"])
        .shows("looked-at:0:0")
        .shows("looked-at:1:1");
    for (time, offset) in [("earliest", "0"), ("latest", "1"), ("max-timestamp", "0")] {
        let found = java.run(
            Tool::GetOffsets,
            &broker,
            &["--topic-partitions", "looked-at:1", "--time", time],
        );
        assert_eq!(
            found.stdout_text().trim(),
            format!("looked-at:1:{offset}"),
            "{time}"
        );
    }
    java.run(
        Tool::LogDirs,
        &broker,
        &["--describe", "--topic-list", "looked-at"],
    )
    .shows("\"partition\":\"looked-at-1\"")
    .shows("\"error\":null");
}

#[test]
fn kafka_delete_records_moves_the_beginning() {
    let java = require_client!(Java::find());
    let broker = Broker::start();
    create_topic(&broker, "cut", 1, &[]);
    let records: Vec<Record> = (0..20).map(|n: i32| Record::new("k", n.to_string())).collect();
    Producer::new(&broker, &[]).send_all("cut", &records);
    let wish = broker.directory().join("delete-records.json");
    let cut = |offset: i32| {
        let partitions = format!(r#"{{"topic":"cut","partition":0,"offset":{offset}}}"#);
        let text = format!(r#"{{"version":1,"partitions":[{partitions}]}}"#);
        std::fs::write(&wish, text).expect("the broker's directory is writable");
        java.run(
            Tool::DeleteRecords,
            &broker,
            &["--offset-json-file", &wish.display().to_string()],
        )
    };
    cut(7).shows("low_watermark: 7");
    // −1 means: up to the high watermark.
    cut(-1).shows("low_watermark: 20");
    java.run(
        Tool::GetOffsets,
        &broker,
        &["--topic", "cut", "--time", "earliest"],
    )
    .shows("cut:0:20");
}
