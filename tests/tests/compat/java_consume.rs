//! Apache Kafka's console and verifiable clients, and its performance tools.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use thalweg_tests::clients::java::{Java, Tool};
use thalweg_tests::clients::librdkafka::{create_topic, read_topic};
use thalweg_tests::process::{Output, Server};
use thalweg_tests::{Broker, require_client, wait};

#[test]
fn the_console_clients_exchange_records() {
    let java = require_client!(Java::find());
    let broker = Broker::start();
    create_topic(&broker, "console", 1, &[]);
    // The Java producer of today is idempotent by default.
    let keyed = [
        "--topic",
        "console",
        "--reader-property",
        "parse.key=true",
        "--reader-property",
        "parse.headers=true",
    ];
    java.feed(
        Tool::ConsoleProducer,
        &broker,
        &keyed,
        b"h:1,i:2\tk1\tvalue one\nh:3\tk2\tvalue two\n",
    );
    let plain = ["--topic", "console", "--compression-codec", "zstd"];
    java.feed(
        Tool::ConsoleProducer,
        &broker,
        &plain,
        "ohne Schlüssel\n".as_bytes(),
    );
    let show = [
        "--formatter-property",
        "print.key=true",
        "--formatter-property",
        "print.headers=true",
        "--formatter-property",
        "print.offset=true",
    ];
    let read = [
        "--topic",
        "console",
        "--from-beginning",
        "--max-messages",
        "3",
        "--timeout-ms",
        "60000",
    ];
    let shown = java.run(Tool::ConsoleConsumer, &broker, &[&read[..], &show].concat());
    let expected = [
        "Offset:0\th:1,i:2\tk1\tvalue one",
        "Offset:1\th:3\tk2\tvalue two",
        "Offset:2\tNO_HEADERS\tnull\tohne Schlüssel",
    ];
    assert_eq!(shown.stdout_text().lines().collect::<Vec<_>>(), expected);
}

/// The lines of JSON that a verifiable client prints.
fn events(text: &str) -> Vec<Value> {
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

#[test]
fn the_verifiable_clients_agree_on_every_record() {
    let java = require_client!(Java::find());
    let broker = Broker::start();
    create_topic(&broker, "verified", 3, &[]);
    let output = Output {
        stdout: broker.directory().join("verifiable-consumer.out"),
        stderr: broker.directory().join("verifiable-consumer.err"),
    };
    let consume = [
        "--topic",
        "verified",
        "--group-id",
        "verified",
        "--reset-policy",
        "earliest",
        "--verbose",
    ];
    let count = ["--max-messages", "2000"];
    let command = java.tool(
        Tool::VerifiableConsumer,
        broker.bootstrap(),
        &[&consume[..], &count].concat(),
    );
    let mut consumer = Server::start(command, &output);
    let produce = ["--topic", "verified", "--max-messages", "2000", "--acks", "-1"];
    let produced = java
        .run(Tool::VerifiableProducer, &broker, &produce)
        .stdout_text();
    let acknowledged: BTreeSet<(i64, i64)> = events(&produced)
        .iter()
        .filter(|event| event["name"] == "producer_send_success")
        .filter_map(|event| Some((event["partition"].as_i64()?, event["offset"].as_i64()?)))
        .collect();
    assert_eq!(acknowledged.len(), 2_000);
    let ended = consumer.wait_for_end(wait::PATIENCE);
    assert!(
        ended.is_some_and(|status| status.success()),
        "{ended:?}\n{}",
        output.tail()
    );
    let consumed = std::fs::read_to_string(&output.stdout).expect("the consumer's output");
    let events = events(&consumed);
    let read: Vec<(i64, i64)> = events
        .iter()
        .filter(|event| event["name"] == "record_data")
        .filter_map(|event| Some((event["partition"].as_i64()?, event["offset"].as_i64()?)))
        .collect();
    assert_eq!(read.len(), 2_000, "each record once");
    assert_eq!(read.into_iter().collect::<BTreeSet<_>>(), acknowledged);
    let committed = events.iter().filter(|event| event["name"] == "offsets_committed");
    assert!(committed.clone().count() > 0 && committed.clone().all(|event| event["success"] == true));
}

#[test]
fn the_performance_tools_run_to_their_end() {
    let java = require_client!(Java::find());
    let broker = Broker::start();
    create_topic(&broker, "speed", 4, &[]);
    let size = [
        "--topic",
        "speed",
        "--num-records",
        "20000",
        "--record-size",
        "1000",
        "--throughput",
        "-1",
    ];
    let properties = ["--command-property", "compression.type=lz4"];
    let produced = java.run(
        Tool::ProducerPerformance,
        &broker,
        &[&size[..], &properties].concat(),
    );
    let last = produced
        .stdout_text()
        .lines()
        .last()
        .unwrap_or_default()
        .to_owned();
    assert!(last.starts_with("20000 records sent"), "{}", produced.describe());
    let consume = [
        "--topic",
        "speed",
        "--num-records",
        "20000",
        "--timeout",
        "60000",
        "--hide-header",
    ];
    let consumed = java.run(Tool::ConsumerPerformance, &broker, &consume);
    // Columns: start, end, MB, MB/s, records, records/s, …
    let line = consumed
        .stdout_text()
        .lines()
        .last()
        .unwrap_or_default()
        .to_owned();
    let records: Option<u64> = line.split(", ").nth(4).and_then(|column| column.parse().ok());
    assert!(
        records.is_some_and(|records| records >= 20_000),
        "{}",
        consumed.describe()
    );
    assert_eq!(read_topic(&broker, "speed", &[]).len(), 20_000);
}

#[test]
fn a_java_consumer_waits_at_the_end_and_times_out_in_order() {
    let java = require_client!(Java::find());
    let broker = Broker::start();
    create_topic(&broker, "quiet", 1, &[]);
    let begin = std::time::Instant::now();
    let read = ["--topic", "quiet", "--from-beginning", "--timeout-ms", "3000"];
    let ended = java.try_run(Tool::ConsoleConsumer, &broker, &read);
    assert!(
        ended.text().contains("Processed a total of 0 messages"),
        "{}",
        ended.describe()
    );
    assert!(begin.elapsed() > Duration::from_secs(3));
}
