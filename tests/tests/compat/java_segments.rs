//! Apache Kafka's dump tool on segment files that our broker wrote.

use std::path::PathBuf;

use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use thalweg_tests::clients::java::{Java, Tool};
use thalweg_tests::clients::librdkafka::{CALL, Producer, Record, config, create_topic};
use thalweg_tests::{Broker, BrokerConfig, require_client, wait};

/// The segments of a partition that hold bytes, by base offset.
fn segments(broker: &Broker, partition: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(broker.log_directory().join(partition))
        .ok()
        .into_iter()
        .flatten()
        .flatten();
    let mut files: Vec<PathBuf> = entries
        .filter(|entry| entry.metadata().is_ok_and(|metadata| metadata.len() > 0))
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    files.sort();
    files
}

/// The number behind `name: ` in a line of the tool.
fn number(line: &str, name: &str) -> Option<i64> {
    let (_, rest) = line.split_once(&format!("{name}: "))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[test]
fn kafka_dump_log_reads_our_segments_and_indexes() {
    let java = require_client!(Java::find());
    let mut broker = BrokerConfig::default().small_files().start();
    create_topic(&broker, "dumped", 1, &[("index.interval.bytes", "1024")]);
    let producer = Producer::new(&broker, &[("linger.ms", "5"), ("batch.size", "20000")]);
    let records: Vec<Record> = (0..12_000)
        .map(|n: i32| Record {
            timestamp: Some(1_700_000_000_000 + i64::from(n)),
            ..Record::new(n.to_string(), vec![b'x'; 500])
        })
        .collect();
    producer.send_all("dumped", &records);
    wait::until("at least four segments are written", || {
        segments(&broker, "dumped-0").len() >= 4
    });
    broker.terminate();

    let files = segments(&broker, "dumped-0");
    let mut next = 0;
    for file in &files {
        let name = file.display().to_string();
        let dumped = java
            .run(
                Tool::DumpLogSegments,
                &broker,
                &["--files", &name, "--deep-iteration", "--print-data-log"],
            )
            .stdout_text();
        let base = file
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default();
        assert_eq!(base, format!("{next:020}"), "segments follow one another");
        assert!(
            dumped.contains(&format!("Log starting offset: {next}")),
            "{dumped}"
        );
        assert!(!dumped.contains("isvalid: false"), "{name} holds a broken batch");
        for line in dumped.lines().filter(|line| line.contains("| offset: ")) {
            assert_eq!(number(line, "offset"), Some(next), "{line}");
            assert!(line.contains(&format!("key: {next} ")), "{line}");
            next += 1;
        }
    }
    assert!(
        next > 6_000,
        "four segments of 1 MiB hold more than {next} records"
    );

    let index = |extension: &str| files[0].with_extension(extension).display().to_string();
    let sane = java.run(
        Tool::DumpLogSegments,
        &broker,
        &["--files", &index("index"), "--index-sanity-check"],
    );
    assert!(
        sane.stdout_text().contains("passed sanity check."),
        "{}",
        sane.describe()
    );
    let sane = java.run(
        Tool::DumpLogSegments,
        &broker,
        &["--files", &index("timeindex"), "--index-sanity-check"],
    );
    assert!(
        sane.stdout_text().contains("passed sanity check."),
        "{}",
        sane.describe()
    );
    // Without the sanity check alone, every entry is compared with the segment.
    for extension in ["index", "timeindex"] {
        let compared = java.run(
            Tool::DumpLogSegments,
            &broker,
            &["--files", &index(extension), "--verify-index-only"],
        );
        let text = compared.text();
        assert!(
            !text.contains("ismatch") && !text.contains("Found "),
            "{}",
            compared.describe()
        );
    }
}

#[test]
fn rule_13_kafka_dump_log_reads_our_markers_and_transaction_index() {
    let java = require_client!(Java::find());
    let mut broker = BrokerConfig::default().small_files().start();
    create_topic(&broker, "dumped", 1, &[]);
    let settings = [("transactional.id", "dump")];
    let producer: ThreadedProducer<DefaultProducerContext> =
        config(&broker, &settings).create().expect("a producer");
    producer.init_transactions(CALL).expect("an identity");
    for round in 0..4 {
        producer.begin_transaction().expect("begin");
        let value = format!("round {round}");
        let record = BaseRecord::<(), str>::to("dumped").partition(0).payload(&value);
        producer
            .send(record)
            .map_err(|(error, _)| error)
            .expect("a place in the queue");
        producer.flush(CALL).expect("delivered");
        match round % 2 {
            0 => producer.commit_transaction(CALL).expect("commit"),
            _ => producer.abort_transaction(CALL).expect("abort"),
        }
    }
    drop(producer);
    wait::until("the last marker is there", || {
        let read = thalweg_tests::clients::librdkafka::read_topic(
            &broker,
            "dumped",
            &[("isolation.level", "read_committed")],
        );
        read.len() == 2
    });
    broker.terminate();

    let segment = broker.log_directory().join("dumped-0/00000000000000000000.log");
    let dump = |file: &std::path::Path| {
        let file = file.display().to_string();
        let arguments = ["--files", file.as_str(), "--deep-iteration", "--print-data-log"];
        java.run(Tool::DumpLogSegments, &broker, &arguments).stdout_text()
    };
    let records = dump(&segment);
    assert!(!records.contains("isvalid: false"), "{records}");
    let markers: Vec<&str> = records
        .lines()
        .filter_map(|line| line.split_once("endTxnMarker: "))
        .filter_map(|(_, rest)| rest.split_whitespace().next())
        .collect();
    assert_eq!(markers, ["COMMIT", "ABORT", "COMMIT", "ABORT"], "{records}");

    let index = dump(&segment.with_extension("txnindex"));
    let entries: Vec<[Option<i64>; 3]> = index
        .lines()
        .filter(|line| line.contains("firstOffset: "))
        .map(|line| ["firstOffset", "lastOffset", "lastStableOffset"].map(|name| number(line, name)))
        .collect();
    let expected = [[2, 3, 4], [6, 7, 8]].map(|entry| entry.map(Some));
    assert_eq!(entries, expected, "{index}");
}
