//! Transactions with Apache Kafka's own producer, consumer and tools.

use thalweg_tests::clients::java::{Java, Tool, Transactions};
use thalweg_tests::clients::librdkafka::create_topic;
use thalweg_tests::{Broker, BrokerConfig, Product, require_client, wait};

/// A broker with two partitions for orders; transactions of Apache Kafka need one copy of their topic too.
fn broker() -> Broker {
    let broker = BrokerConfig::default()
        .set("transaction.state.log.replication.factor", 1)
        .set("transaction.state.log.min.isr", 1)
        .start();
    create_topic(&broker, "orders", 2, &[]);
    broker
}

#[test]
fn rule_13_committed_records_are_seen_and_aborted_ones_are_not() {
    let java = require_client!(Java::find());
    let broker = broker();
    Transactions::new()
        .tell("new p tx 60000", "ok")
        .tell("init p", "ok")
        .tell("begin p", "ok")
        .tell("send p orders 0 a", "ok")
        .tell("send p orders 1 b", "ok")
        .tell("read orders 2", "")
        .tell("commit p", "ok")
        .tell("begin p", "ok")
        .tell("send p orders 0 lost", "ok")
        .tell("send p orders 1 lost", "ok")
        .tell("abort p", "ok")
        .tell("begin p", "ok")
        .tell("abort p", "ok")
        .tell("begin p", "ok")
        .tell("commit p", "ok")
        .tell("begin p", "ok")
        .tell("send p orders 1 c", "ok")
        .tell("commit p", "ok")
        .tell("sleep 500", "ok")
        .tell("read orders 2", "0/a 1/b 1/c")
        .run(&java, &broker);
}

#[test]
fn rule_13_a_second_producer_fences_the_first_and_aborts_what_it_left() {
    let java = require_client!(Java::find());
    let broker = broker();
    Transactions::new()
        .tell("new old tx 60000", "ok")
        .tell("init old", "ok")
        .tell("begin old", "ok")
        .tell("send old orders 0 lost", "ok")
        .tell("new new tx 60000", "ok")
        .tell("init new", "ok")
        .tell("begin new", "ok")
        .tell("send new orders 0 kept", "ok")
        .tell("commit new", "ok")
        .tell("commit old", "ProducerFencedException")
        .tell("sleep 500", "ok")
        .tell("read orders 2", "0/kept")
        .run(&java, &broker);
}

#[test]
fn rule_13_offsets_are_committed_with_the_transaction_or_not_at_all() {
    let java = require_client!(Java::find());
    let broker = broker();
    Transactions::new()
        .tell("new p tx 60000", "ok")
        .tell("init p", "ok")
        .tell("begin p", "ok")
        .tell("send p orders 0 a", "ok")
        .tell("offsets p workers orders 1 7", "ok")
        .tell("commit p", "ok")
        .tell("committed workers orders 1", "7")
        .tell("begin p", "ok")
        .tell("offsets p workers orders 1 9", "ok")
        .tell("abort p", "ok")
        .tell("committed workers orders 1", "7")
        .tell("begin p", "ok")
        .tell("offsets p workers orders 1 11", "ok")
        .tell("offsets p workers orders 0 3", "ok")
        .tell("commit p", "ok")
        .tell("committed workers orders 1", "11")
        .tell("committed workers orders 0", "3")
        .run(&java, &broker);
}

/// A transaction that nobody ends blocks readers no longer than its timeout, and the producer can go on.
#[test]
fn rule_13_a_transaction_past_its_timeout_is_aborted_and_blocks_nobody() {
    let java = require_client!(Java::find());
    let broker = BrokerConfig::default()
        .set("transaction.state.log.replication.factor", 1)
        .set("transaction.state.log.min.isr", 1)
        .set_for(
            Product::ApacheKafka,
            "transaction.abort.timed.out.transaction.cleanup.interval.ms",
            500,
        )
        .start();
    create_topic(&broker, "orders", 2, &[]);
    Transactions::new()
        .tell("new slow slow 1500", "ok")
        .tell("init slow", "ok")
        .tell("begin slow", "ok")
        .tell("send slow orders 0 lost", "ok")
        .tell("new p tx 60000", "ok")
        .tell("init p", "ok")
        .tell("begin p", "ok")
        .tell("send p orders 0 kept", "ok")
        .tell("commit p", "ok")
        .tell("read orders 2", "")
        .tell("sleep 4000", "ok")
        .tell("read orders 2", "0/kept")
        .tell("close slow", "ok")
        .tell("new slow slow 60000", "ok")
        .tell("init slow", "ok")
        .tell("begin slow", "ok")
        .tell("send slow orders 0 again", "ok")
        .tell("commit slow", "ok")
        .tell("sleep 500", "ok")
        .tell("read orders 2", "0/again 0/kept")
        .run(&java, &broker);
}

#[test]
fn a_transaction_is_listed_described_found_and_aborted_by_the_tools() {
    let java = require_client!(Java::find());
    let broker = broker();
    Transactions::new()
        .tell("new p tx 600000", "ok")
        .tell("init p", "ok")
        .tell("begin p", "ok")
        .tell("send p orders 0 open", "ok")
        .tell("new done tx-done 60000", "ok")
        .tell("init done", "ok")
        .tell("begin done", "ok")
        .tell("send done orders 1 x", "ok")
        .tell("commit done", "ok")
        .run(&java, &broker);
    let tool = |arguments: &[&str]| java.run(Tool::Transactions, &broker, arguments);
    tool(&["list"]).shows("tx-done").shows("Ongoing");
    tool(&["describe", "--transactional-id", "tx"])
        .shows("Ongoing")
        .shows("orders-0");
    let producers = tool(&["describe-producers", "--topic", "orders", "--partition", "0"]);
    let line = producers
        .stdout_text()
        .lines()
        .nth(1)
        .map(str::to_owned)
        .unwrap_or_default();
    // ProducerId ProducerEpoch LatestCoordinatorEpoch LastSequence LastTimestamp CurrentTransactionStartOffset
    let columns: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(columns.last(), Some(&"0"), "{}", producers.describe());
    tool(&[
        "find-hanging",
        "--topic",
        "orders",
        "--partition",
        "0",
        "--max-transaction-timeout",
        "0",
    ]);
    tool(&[
        "abort",
        "--topic",
        "orders",
        "--partition",
        "0",
        "--start-offset",
        "0",
    ]);
    let text = || {
        let left = tool(&["describe-producers", "--topic", "orders", "--partition", "0"]);
        left.stdout_text()
    };
    wait::until(
        "the aborted transaction is no longer open in the partition",
        || text().lines().nth(1).is_some_and(|line| line.contains("None")),
    );
}

#[test]
fn kafka_dump_log_reads_our_transaction_log() {
    let java = require_client!(Java::find());
    let mut broker = broker();
    Transactions::new()
        .tell("new p tx 60000", "ok")
        .tell("init p", "ok")
        .tell("begin p", "ok")
        .tell("send p orders 0 a", "ok")
        .tell("commit p", "ok")
        .tell("sleep 500", "ok")
        .run(&java, &broker);
    broker.terminate();
    let entries = std::fs::read_dir(broker.log_directory()).expect("the data directory");
    let mut dumped = String::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let file = entry.path().join("00000000000000000000.log");
        if name.starts_with("__transaction_state-") && file.metadata().is_ok_and(|file| file.len() > 0) {
            let file = file.display().to_string();
            let arguments = ["--files", &file, "--transaction-log-decoder", "--deep-iteration"];
            dumped += &java.run(Tool::DumpLogSegments, &broker, &arguments).stdout_text();
        }
    }
    // Empty, Ongoing, PrepareCommit, CompleteCommit.
    for status in [0, 1, 2, 4] {
        let shown = format!("\"transactionStatus\":{status},");
        assert!(dumped.contains(&shown), "no {shown} in\n{dumped}");
    }
    assert!(dumped.contains("\"transactionalId\":\"tx\""), "{dumped}");
}
