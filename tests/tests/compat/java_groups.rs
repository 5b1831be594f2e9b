//! `kafka-consumer-groups` on groups that other clients made.

use thalweg_tests::clients::java::{Java, Tool};
use thalweg_tests::clients::librdkafka::{Member, Producer, Record, create_topic, serve_until};
use thalweg_tests::{Broker, require_client};

/// The columns of the line for one partition in `--describe --offsets`.
fn columns(text: &str, topic: &str, partition: &str) -> Vec<String> {
    let lines = text
        .lines()
        .map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    let mut found = lines.filter(|columns| {
        columns.get(1).is_some_and(|column| column == topic)
            && columns.get(2).is_some_and(|column| column == partition)
    });
    found
        .next()
        .unwrap_or_else(|| panic!("no line for {topic}-{partition} in\n{text}"))
}

#[test]
fn groups_are_listed_described_moved_and_deleted() {
    let java = require_client!(Java::find());
    let broker = Broker::start();
    create_topic(&broker, "work", 2, &[]);
    let records: Vec<Record> = (0..100)
        .map(|n: i32| Record::new("k", n.to_string()).to_partition(n % 2))
        .collect();
    let producer = Producer::new(&broker, &[]);
    producer.send_all("work", &records);
    let member = Member::join(&broker, "workers", "work", &[("client.id", "the-worker")]);
    serve_until(&[&member], "all is read", |read| read.len() == 100);
    member.commit().expect("commit");
    producer.send_all("work", &[Record::new("k", "late").to_partition(1)]);

    let groups = |arguments: &[&str]| java.run(Tool::ConsumerGroups, &broker, arguments);
    groups(&["--list", "--state"]).shows("workers");
    let offsets = groups(&["--describe", "--group", "workers"]).stdout_text();
    // GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG …
    assert_eq!(columns(&offsets, "work", "0")[3..6], ["50", "50", "0"]);
    assert_eq!(columns(&offsets, "work", "1")[3..6], ["50", "51", "1"]);
    groups(&["--describe", "--group", "workers", "--members", "--verbose"])
        .shows("the-worker")
        .shows("work:0,1");
    groups(&["--describe", "--group", "workers", "--state"])
        .shows("Stable")
        .shows("range");
    drop(member);

    let reset = [
        "--reset-offsets",
        "--group",
        "workers",
        "--topic",
        "work",
        "--execute",
    ];
    groups(&[&reset[..], &["--to-offset", "10"]].concat());
    let offsets = groups(&["--describe", "--group", "workers"]).stdout_text();
    assert_eq!(columns(&offsets, "work", "0")[3..6], ["10", "50", "40"]);
    groups(&["--delete-offsets", "--group", "workers", "--topic", "work:0"]);
    let offsets = groups(&["--describe", "--group", "workers"]).stdout_text();
    assert!(
        !offsets
            .lines()
            .any(|line| line.split_whitespace().nth(2) == Some("0")),
        "{offsets}"
    );
    groups(&["--delete", "--group", "workers"]).shows("successful");
    let left = groups(&["--list"]);
    assert!(!left.stdout_text().contains("workers"), "{}", left.describe());
}
