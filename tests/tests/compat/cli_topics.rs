//! `thalweg topic create`, `list`, `describe`, `alter` and `add-partitions`.

use thalweg_tests::{Broker, BrokerConfig, Product};

use crate::cli::{Cli, code, document, rows, says};

#[test]
fn created_topics_are_told_in_a_table_and_in_json() {
    let broker = Broker::start();
    let cli = Cli::of(&broker);
    assert_eq!(
        rows(&cli.out(&["topic", "create", "one", "two", "-p", "3"])),
        ["TOPIC STATUS", "one created", "two created"]
    );
    let wide = rows(&cli.out(&["topic", "create", "wide", "-p", "2", "-o", "wide"]));
    assert_eq!(wide[0], "TOPIC STATUS PARTITIONS REPLICAS ID");
    assert!(wide[1].starts_with("wide created 2 1 "), "{wide:?}");
    let json = cli.json(&["topic", "create", "three", "-c", "retention.ms=-1"]);
    assert_eq!(json[0]["topic"], "three");
    assert_eq!(json[0]["status"], "created");
    assert_eq!(json[0]["partitions"], 1);
    assert_eq!(json[0]["replication_factor"], 1);
    assert_eq!(json[0]["error"], serde_json::Value::Null);
}

#[test]
fn a_refused_topic_is_told_once_and_the_others_are_created() {
    let broker = Broker::start();
    let cli = Cli::of(&broker);
    cli.out(&["topic", "create", "there"]);
    let again = code(cli.run(&["topic", "create", "there"]), 1);
    assert_eq!(rows(&again.stdout_text()), ["TOPIC STATUS", "there failed"]);
    says(&again, &["TOPIC_ALREADY_EXISTS", "try:   --if-not-exists"]);
    assert_eq!(again.text().matches("TOPIC_ALREADY_EXISTS").count(), 1);

    let mixed = code(cli.run(&["topic", "create", "there", "a/b", "new"]), 1);
    assert_eq!(
        rows(&mixed.stdout_text()),
        ["TOPIC STATUS", "there failed", "a/b failed", "new created"]
    );
    says(
        &mixed,
        &["error: topic 'there'", "error: topic 'a/b'", "INVALID_TOPIC"],
    );

    let json = code(cli.run(&["topic", "create", "there", "newer", "-o", "json"]), 1);
    let document = document(&json);
    assert_eq!(document[0]["status"], "failed");
    assert!(
        document[0]["error"]
            .as_str()
            .is_some_and(|error| error.starts_with("TOPIC_ALREADY_EXISTS: ")),
        "{document}"
    );
    assert_eq!(document[1]["status"], "created");
    assert_eq!(json.stderr_text(), "", "the document says it");

    let accepted = cli.run(&["topic", "create", "there", "--if-not-exists"]).ok();
    assert_eq!(rows(&accepted.stdout_text()), ["TOPIC STATUS", "there exists"]);
    assert_eq!(accepted.stderr_text(), "");
}

#[test]
fn what_cannot_be_a_topic_is_refused_with_the_reason() {
    let broker = Broker::start();
    let cli = Cli::of(&broker);
    for (arguments, exit, parts) in [
        (&["x", "-p", "0"][..], 2, &["--partitions is at least 1"][..]),
        (&["x", "-r", "0"], 2, &["--replication-factor is at least 1"]),
        (&["x", "-c", "retention.ms"], 2, &["is not key=value"]),
        (&[], 2, &["<TOPIC>"]),
        (
            &["x", "-c", "retention.ms=soon"],
            1,
            &["INVALID_CONFIG", "retention.ms"],
        ),
        (
            &["x", "-c", "retenton.ms=1"],
            1,
            &["INVALID_CONFIG", "retenton.ms"],
        ),
        (&["x", "-r", "3"], 1, &["INVALID_REPLICATION_FACTOR", "try:"]),
    ] {
        let refused = code(cli.run(&[&["topic", "create"], arguments].concat()), exit);
        says(&refused, parts);
    }
    let dry = cli.out(&["topic", "create", "x", "--dry-run"]);
    assert_eq!(rows(&dry), ["TOPIC STATUS", "x could be created"]);
    assert_eq!(rows(&cli.out(&["topic", "list"])), ["NAME PARTITIONS REPLICAS"]);
}

#[test]
fn topics_are_listed_by_pattern() {
    let broker = Broker::start();
    let cli = Cli::of(&broker);
    assert_eq!(cli.json(&["topic", "list"]), serde_json::json!([]));
    cli.out(&["topic", "create", "orders", "orders-old", "bills", "-p", "2"]);
    assert_eq!(
        rows(&cli.out(&["topic", "list", "ord*"])),
        ["NAME PARTITIONS REPLICAS", "orders 2 1", "orders-old 2 1"]
    );
    assert_eq!(
        rows(&cli.out(&["topic", "ls", "bills", "nothing"])),
        ["NAME PARTITIONS REPLICAS", "bills 2 1"]
    );
    let all = cli.json(&["topic", "list"]);
    let names: Vec<_> = all
        .as_array()
        .expect("a list")
        .iter()
        .map(|topic| topic["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(names, ["bills", "orders", "orders-old"]);
    assert_eq!(all[0]["leaderless_partitions"], 0);
    // The first group makes the brokers' own topic, which only --internal shows.
    cli.out(&[
        "group",
        "seek",
        "g",
        "--to",
        "start",
        "--topics",
        "bills",
        "--allow-new-topics",
        "--yes",
    ]);
    assert!(!cli.out(&["topic", "list"]).contains("__consumer_offsets"));
    assert!(cli.out(&["topic", "list", "-i"]).contains("__consumer_offsets"));
}

#[test]
fn a_topic_is_described_in_sections() {
    let broker = Broker::start();
    let cli = Cli::of(&broker);
    cli.out(&["topic", "create", "told", "-p", "2", "-c", "retention.ms=-1"]);
    cli.feed(&["topic", "produce", "told", "-p", "1", "-q"], "a\nb\n")
        .ok();

    let summary = rows(&cli.out(&["topic", "describe", "told", "-s"]));
    assert_eq!(summary[0], "NAME told");
    assert_eq!(summary[2..], ["INTERNAL false", "PARTITIONS 2", "REPLICAS 1"]);
    let configs = rows(&cli.out(&["topic", "describe", "told", "-c"]));
    assert_eq!(
        configs[..2],
        ["KEY VALUE SOURCE", "retention.ms -1 DYNAMIC_TOPIC_CONFIG"]
    );
    assert!(
        configs
            .iter()
            .any(|row| row.starts_with("cleanup.policy delete "))
    );
    let partitions = rows(&cli.out(&["topic", "describe", "told", "-p"]));
    assert_eq!(
        partitions[0],
        "PARTITION LEADER EPOCH REPLICAS LOG-START-OFFSET HIGH-WATERMARK"
    );
    assert!(partitions[1].ends_with(" 0 0") && partitions[2].ends_with(" 0 2"));
    let both = cli.out(&["topic", "describe", "told"]);
    assert!(both.contains("PARTITIONS  2") && both.contains("KEY ") && !both.contains("HIGH-WATERMARK"));

    let json = cli.json(&["topic", "describe", "told"]);
    assert_eq!(json[0]["name"], "told");
    assert_eq!(json[0]["partitions"][1]["high_watermark"], 2);
    assert_eq!(json[0]["configs"][0]["key"], "retention.ms");
    let chosen = cli.json(&["topic", "describe", "told", "-s"]);
    assert_eq!(chosen[0]["partition_count"], 2);
    assert!(chosen[0].get("partitions").is_none() && chosen[0].get("configs").is_none());

    let unknown = code(cli.run(&["topic", "describe", "untold"]), 1);
    says(
        &unknown,
        &[
            "topic 'untold'",
            "UNKNOWN_TOPIC_OR_PARTITION: ",
            "try:   `thalweg topic list`",
        ],
    );
}

#[test]
fn settings_are_altered_one_by_one() {
    let broker = Broker::start();
    let cli = Cli::of(&broker);
    cli.out(&["topic", "create", "a", "b"]);
    assert_eq!(
        rows(&cli.out(&[
            "topic",
            "alter",
            "a",
            "b",
            "-c",
            "retention.ms=1000",
            "--set",
            "segment.ms=5000"
        ])),
        ["TOPIC STATUS", "a changed", "b changed"]
    );
    let value = |topic: &str, key: &str| {
        let described = cli.json(&["topic", "describe", topic, "-c"]);
        let configs = described[0]["configs"].as_array().expect("a list").clone();
        let found = configs.into_iter().find(|config| config["key"] == key);
        let found = found.expect("the key");
        (found["value"].clone(), found["source"].clone())
    };
    let ours = |value: &str| (value.into(), "DYNAMIC_TOPIC_CONFIG".into());
    assert_eq!(value("b", "retention.ms"), ours("1000"));
    assert_eq!(value("b", "segment.ms"), ours("5000"));
    let dry = cli.json(&["topic", "alter", "a", "--delete-config", "retention.ms", "-d"]);
    assert_eq!(dry[0]["status"], "could be changed");
    assert_eq!(value("a", "retention.ms"), ours("1000"));
    let json = cli.json(&["topic", "alter", "a", "--delete-config", "retention.ms"]);
    assert_eq!(json[0]["status"], "changed");
    assert_eq!(value("a", "retention.ms").1, "DEFAULT_CONFIG");
    cli.out(&["topic", "alter", "a", "--append-config", "cleanup.policy=compact"]);
    assert_eq!(value("a", "cleanup.policy"), ours("delete,compact"));
    cli.out(&[
        "topic",
        "alter",
        "a",
        "--subtract-config",
        "cleanup.policy=delete",
    ]);
    assert_eq!(value("a", "cleanup.policy"), ours("compact"));

    let nothing = code(cli.run(&["topic", "alter", "a"]), 2);
    says(&nothing, &["nothing to change", "--config"]);
    let refused = code(cli.run(&["topic", "alter", "no", "b", "-c", "retention.ms=7"]), 1);
    assert_eq!(
        rows(&refused.stdout_text()),
        ["TOPIC STATUS", "no failed", "b changed"]
    );
    says(&refused, &["topic 'no'", "UNKNOWN_TOPIC_OR_PARTITION"]);
    assert_eq!(value("b", "retention.ms"), ours("7"));
}

#[test]
fn a_misspelt_setting_names_the_nearest() {
    let broker = BrokerConfig::new(Product::Thalweg).start();
    let cli = Cli::of(&broker);
    cli.out(&["topic", "create", "a"]);
    let refused = code(cli.run(&["topic", "alter", "a", "-c", "retenton.ms=1"]), 1);
    says(&refused, &["unknown key retenton.ms; did you mean retention.ms?"]);
    let value = code(cli.run(&["topic", "alter", "a", "-c", "retention.ms=1d"]), 1);
    says(&value, &["retention.ms", "`1d`", "without a unit"]);
}

#[test]
fn partitions_are_added_and_a_smaller_number_is_refused_before_the_question() {
    let broker = Broker::start();
    let cli = Cli::of(&broker);
    cli.out(&["topic", "create", "grows", "-p", "2"]);
    let add = |arguments: &[&str]| cli.run(&[&["topic", "add-partitions", "grows"], arguments].concat());
    let dry = add(&["-n", "1", "--dry-run"]).ok();
    assert_eq!(
        rows(&dry.stdout_text()),
        [
            "TOPIC STATUS PRIOR-PARTITIONS PARTITIONS",
            "grows could be raised 2 3"
        ]
    );
    let added = add(&["-n", "2", "--yes"]).ok();
    assert_eq!(rows(&added.stdout_text())[1], "grows raised 2 4");
    let json = document(&add(&["--to", "5", "--yes", "-o", "json"]).ok());
    assert_eq!(
        json,
        serde_json::json!([{"topic": "grows", "status": "raised", "prior_partitions": 4, "partitions": 5, "error": null}])
    );
    let fewer = code(add(&["--to", "3"]), 1);
    says(
        &fewer,
        &["topic 'grows' has 5 partitions, which can only grow; 3 is not more"],
    );
    code(add(&["-n", "1", "--to", "9"]), 2);
    code(add(&[]), 2);
    let unknown = code(cli.run(&["topic", "add-partitions", "no", "-n", "1", "--yes"]), 1);
    says(&unknown, &["topic 'no'", "UNKNOWN_TOPIC_OR_PARTITION"]);
}
