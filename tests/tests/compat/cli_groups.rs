//! `thalweg group list`, `describe`, `lag` and `delete`, on groups with and without members.

use serde_json::json;
use thalweg_tests::Broker;
use thalweg_tests::clients::librdkafka::{Member, serve_until};

use crate::cli::{Cli, code, rows, says};

/// A topic of two partitions with three records each, whose first has been read by the group `reader`.
fn half_read() -> (Broker, Cli) {
    let broker = Broker::start();
    let cli = Cli::of(&broker);
    cli.out(&["topic", "create", "t", "-p", "2"]);
    for partition in ["0", "1"] {
        cli.feed(&["topic", "produce", "t", "-p", partition, "-q"], "a\nb\nc\n")
            .ok();
    }
    let file = broker.directory().join("offsets");
    std::fs::write(&file, "t 0 3\nt 1 1\n").expect("a file");
    let file = file.display().to_string();
    cli.out(&["group", "seek", "reader", "--to-file", &file, "--yes"]);
    (broker, cli)
}

#[test]
fn a_group_without_members_is_listed_described_and_measured() {
    let (_broker, cli) = half_read();
    let list = rows(&cli.out(&["group", "list"]));
    assert_eq!(list[0], "GROUP STATE COORDINATOR");
    assert!(list[1].starts_with("reader Empty "), "{list:?}");
    let json = cli.json(&["group", "list"]);
    assert_eq!(json[0]["group"], "reader");
    assert_eq!(json[0]["state"], "Empty");
    assert_eq!(json[0]["group_type"], "classic");
    assert_eq!(cli.json(&["group", "list", "-s", "stable"]), json!([]));
    assert_eq!(
        cli.json(&["group", "ls", "-s", "Stable", "-s", "empty"])[0]["group"],
        "reader"
    );

    let text = cli.out(&["group", "describe", "reader"]);
    let told = rows(&text);
    assert_eq!(told[0], "GROUP reader");
    assert_eq!(
        told[2..],
        [
            "STATE Empty",
            "TYPE classic",
            "BALANCER -",
            "MEMBERS 0",
            "TOTAL-LAG 2",
            "",
            "TOPIC PARTITION CURRENT-OFFSET LOG-START-OFFSET LOG-END-OFFSET LAG MEMBER-ID CLIENT-ID HOST",
            "t 0 3 0 3 0 - - -",
            "t 1 1 0 3 2 - - -",
        ]
    );
    assert!(!cli.out(&["group", "describe", "reader", "-s"]).contains("TOPIC"));
    let json = cli.json(&["group", "describe", "reader"]);
    assert_eq!(json[0]["total_lag"], 2);
    assert_eq!(json[0]["members"], json!([]));
    assert_eq!(json[0]["partitions"][1]["lag"], 2);

    let lag = rows(&cli.out(&["group", "lag"]));
    assert_eq!(
        lag[..2],
        ["GROUP TOPIC PARTITION LAG LAG-SECONDS", "reader t 0 0 0.0"]
    );
    assert!(lag[2].starts_with("reader t 1 2 "), "{lag:?}");
    let json = cli.json(&["group", "lag", "reader"]);
    assert_eq!(json[1]["lag"], 2);
    assert!(
        json[1]["lag_seconds"]
            .as_f64()
            .is_some_and(|seconds| seconds >= 0.0)
    );
    let plain = cli.json(&["group", "lag", "reader", "--no-seconds"]);
    assert_eq!(plain[1]["lag_seconds"], serde_json::Value::Null);
    let summary = cli.json(&["group", "lag", "--summary"]);
    assert_eq!(summary[0]["lag"], 2);
    assert_eq!(summary[0]["partitions"], 2);
    let summary = rows(&cli.out(&["group", "lag", "-s"]));
    assert_eq!(summary[0], "GROUP PARTITIONS LAG MAX-LAG MAX-LAG-SECONDS");
}

#[test]
fn a_group_that_does_not_exist_is_no_group_without_lag() {
    let broker = Broker::start();
    let cli = Cli::of(&broker);
    for arguments in [&["group", "describe", "nobody"][..], &["group", "lag", "nobody"]] {
        let refused = code(cli.run(arguments), 1);
        says(
            &refused,
            &["group 'nobody'", "`thalweg group list` shows the groups"],
        );
        assert_eq!(refused.stdout_text(), "");
    }
    assert_eq!(rows(&cli.out(&["group", "list"])), ["GROUP STATE COORDINATOR"]);
    assert_eq!(
        rows(&cli.out(&["group", "lag"])),
        ["GROUP TOPIC PARTITION LAG LAG-SECONDS"]
    );
    code(cli.run(&["group", "describe"]), 2);
}

#[test]
fn lag_counts_what_a_trim_has_left() {
    let (_broker, cli) = half_read();
    cli.out(&["topic", "trim", "t", "-O", "2", "--yes"]);
    let lag = cli.json(&["group", "lag", "reader"]);
    assert_eq!((&lag[0]["lag"], &lag[1]["lag"]), (&json!(0), &json!(1)));
    // What a deleted topic leaves in a group is not lag, and does not hide the others.
    cli.out(&["topic", "create", "other"]);
    cli.out(&[
        "group",
        "seek",
        "reader",
        "--to",
        "start",
        "--topics",
        "other",
        "--allow-new-topics",
        "--yes",
    ]);
    cli.out(&["topic", "delete", "t", "--yes"]);
    let lag = cli.json(&["group", "lag", "reader"]);
    let topics: Vec<_> = lag
        .as_array()
        .expect("a list")
        .iter()
        .filter(|row| row["lag"].is_number())
        .map(|row| row["topic"].clone())
        .collect();
    assert_eq!(topics, ["other"]);
}

#[test]
fn members_are_shown_with_their_partitions_idle_ones_too() {
    let (broker, cli) = half_read();
    cli.out(&["topic", "create", "single"]);
    cli.feed(&["topic", "produce", "single", "-q"], "a\n").ok();
    let settings = |id: &'static str| [("client.id", id)];
    let members = [
        Member::join(&broker, "active", "single", &settings("first")),
        Member::join(&broker, "active", "single", &settings("second")),
    ];
    let mut described = serde_json::Value::Null;
    serve_until(
        &[&members[0], &members[1]],
        "the group is stable with two members",
        |_| {
            let told = cli.run(&["group", "describe", "active", "-o", "json"]);
            described = serde_json::from_slice(&told.stdout).unwrap_or_default();
            let is_stable = described[0]["state"] == "Stable";
            is_stable
                && described[0]["members"]
                    .as_array()
                    .is_some_and(|members| members.len() == 2)
        },
    );
    let mut counts: Vec<_> = described[0]["members"]
        .as_array()
        .expect("members")
        .iter()
        .map(|member| member["partition_count"].as_i64())
        .collect();
    counts.sort_unstable();
    assert_eq!(counts, [Some(0), Some(1)]);
    let text = cli.out(&["group", "describe", "active"]);
    let told = rows(&text);
    assert!(told.contains(&"MEMBERS 2".to_owned()), "{text}");
    let owner = told
        .iter()
        .find(|row| row.starts_with("single 0 "))
        .expect("the partition");
    let idle = told
        .iter()
        .find(|row| row.starts_with("- - - - - - "))
        .expect("the idle member");
    assert!(
        owner.ends_with("127.0.0.1") && idle.ends_with("127.0.0.1"),
        "{text}"
    );
    assert_ne!(owner.contains(" first "), idle.contains(" first "), "{text}");

    let refused = code(cli.run(&["group", "delete", "active", "reader", "--yes"]), 1);
    assert_eq!(
        rows(&refused.stdout_text()),
        ["GROUP STATUS", "active failed", "reader deleted"]
    );
    says(
        &refused,
        &[
            "group 'active'",
            "NON_EMPTY_GROUP",
            "try:   stop the group's members first",
        ],
    );
    assert_eq!(refused.text().matches("NON_EMPTY_GROUP").count(), 1);
}
