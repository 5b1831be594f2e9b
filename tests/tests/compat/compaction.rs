//! Compacted topics: of each key the newest record stays at its offset, deleted keys vanish, Kafka's tools read what is
//! left. The same holds for `__consumer_offsets`.

use std::path::PathBuf;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use thalweg_tests::clients::java::{Java, Tool};
use thalweg_tests::clients::kcat::Kcat;
use thalweg_tests::clients::librdkafka::{
    CALL, CODECS, Consumed, Producer, Record, config, create_topic, read_topic,
};
use thalweg_tests::{Broker, BrokerConfig, require_client, wait};

/// Cleaning begins at once and with little reason.
const EAGER: [(&str, &str); 4] = [
    ("cleanup.policy", "compact"),
    ("min.cleanable.dirty.ratio", "0.01"),
    ("delete.retention.ms", "0"),
    ("segment.ms", "5000"),
];

const START: i64 = 1_700_000_000_000;

fn eager_broker() -> BrokerConfig {
    BrokerConfig::default().set("log.cleaner.backoff.ms", 100)
}

/// Sends records whose time lies so far behind the ones before that a new segment begins with them.
struct Rounds {
    producer: Producer,
    topic: String,
    round: i64,
}

impl Rounds {
    fn new(broker: &Broker, topic: &str, settings: &[(&str, &str)]) -> Rounds {
        Rounds {
            producer: Producer::new(broker, settings),
            topic: topic.to_owned(),
            round: 0,
        }
    }

    fn send(&mut self, records: &[(&str, Option<&str>)]) {
        self.round += 1;
        let timestamp = Some(START + self.round * 10_000);
        let records: Vec<Record> = records
            .iter()
            .map(|(key, value)| Record {
                key: Some(key.as_bytes().to_vec()),
                value: value.map(|value| value.as_bytes().to_vec()),
                timestamp,
                ..Record::default()
            })
            .collect();
        self.producer.send_all(&self.topic, &records);
    }
}

fn plain(records: &[Consumed]) -> Vec<(i64, String)> {
    let text = |bytes: &Option<Vec<u8>>| {
        let bytes = bytes.as_deref();
        bytes.map_or("null".to_owned(), |bytes| {
            String::from_utf8_lossy(bytes).into_owned()
        })
    };
    records
        .iter()
        .map(|record| {
            (
                record.offset,
                format!("{}={}", text(&record.key), text(&record.value)),
            )
        })
        .collect()
}

/// Three values for each of 20 keys, and one record more; waits until the newest alone are left.
fn fill_and_wait(broker: &Broker, topic: &str, codec: &str) -> Vec<(i64, String)> {
    let mut rounds = Rounds::new(
        broker,
        topic,
        &[("compression.codec", codec), ("linger.ms", "50")],
    );
    let keys: Vec<String> = (0..20).map(|key| format!("key-{key}")).collect();
    for value in ["first", "second", "third"] {
        let records: Vec<(&str, Option<&str>)> = keys.iter().map(|key| (&**key, Some(value))).collect();
        rounds.send(&records);
    }
    rounds.send(&[("last", Some("x"))]);
    let mut expected: Vec<(i64, String)> = (0..20)
        .map(|key| (40 + key, format!("key-{key}=third")))
        .collect();
    expected.push((60, "last=x".to_owned()));
    let mut found = Vec::new();
    wait::until(&format!("{topic} holds the newest of each key alone"), || {
        found = plain(&read_topic(broker, topic, &[]));
        found == expected
    });
    found
}

#[test]
fn a_consumer_sees_the_newest_record_of_each_key_at_its_offset() {
    let mut broker = eager_broker().start();
    let mut all = Vec::new();
    for codec in CODECS {
        let topic = format!("compacted-{codec}");
        create_topic(&broker, &topic, 1, &EAGER);
        all.push((fill_and_wait(&broker, &topic, codec), topic));
    }
    broker.kill_nine();
    broker.start_again();
    for (expected, topic) in all {
        assert_eq!(
            plain(&read_topic(&broker, &topic, &[])),
            expected,
            "{topic}, after a kill"
        );
    }
}

#[test]
fn kcat_reads_a_compacted_topic_over_its_gaps() {
    let kcat = require_client!(Kcat::find());
    let broker = eager_broker().start();
    create_topic(&broker, "gaps", 1, &EAGER);
    let expected = fill_and_wait(&broker, "gaps", "none");
    let read = |from: &str| {
        let arguments = [
            "-C",
            "-t",
            "gaps",
            "-p",
            "0",
            "-o",
            from,
            "-e",
            "-q",
            "-f",
            "%o %k=%s\\n",
        ];
        kcat.run(broker.bootstrap(), &arguments, b"").stdout_text()
    };
    let text = |all: &[(i64, String)]| -> String {
        all.iter()
            .map(|(offset, text)| format!("{offset} {text}\n"))
            .collect()
    };
    assert_eq!(read("beginning"), text(&expected));
    assert_eq!(read("7"), text(&expected), "an offset whose record is gone");
    assert_eq!(read("50"), text(&expected[10..]));
    assert_eq!(read("60"), text(&expected[20..]));
}

#[test]
fn a_deleted_key_vanishes_with_its_tombstone() {
    let broker = eager_broker().start();
    create_topic(&broker, "deleted", 1, &EAGER);
    let mut rounds = Rounds::new(&broker, "deleted", &[]);
    rounds.send(&[("a", Some("1")), ("b", Some("1"))]);
    rounds.send(&[("a", None)]);
    let mut ticks = 0;
    wait::until("no record of the deleted key is left", || {
        // Tombstones go when a log is cleaned again, so there must be something to clean.
        ticks += 1;
        let value = ticks.to_string();
        rounds.send(&[("tick", Some(&value))]);
        let found = plain(&read_topic(&broker, "deleted", &[]));
        assert!(found.contains(&(1, "b=1".to_owned())), "{found:?}");
        let tombstone = found.contains(&(2, "a=null".to_owned()));
        let value = found.contains(&(0, "a=1".to_owned()));
        assert!(
            tombstone || !value,
            "the tombstone went before what it deletes: {found:?}"
        );
        !tombstone && !value
    });
}

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

fn bytes_of(broker: &Broker, partition: &str) -> u64 {
    let files = segments(broker, partition);
    let len = |file: &PathBuf| file.metadata().map_or(0, |metadata| metadata.len());
    files.iter().map(len).sum()
}

#[test]
fn kafka_dump_log_reads_compacted_segments() {
    let java = require_client!(Java::find());
    let mut broker = eager_broker().start();
    create_topic(&broker, "dumped", 1, &EAGER);
    let expected = fill_and_wait(&broker, "dumped", "zstd");
    broker.terminate();
    let mut offsets = Vec::new();
    for file in segments(&broker, "dumped-0") {
        let name = file.display().to_string();
        let arguments = ["--files", &*name, "--deep-iteration", "--print-data-log"];
        let dumped = java.run(Tool::DumpLogSegments, &broker, &arguments).stdout_text();
        assert!(
            !dumped.contains("isvalid: false"),
            "{name} holds a broken batch: {dumped}"
        );
        let number = |line: &str| {
            let (_, rest) = line.split_once("| offset: ")?;
            rest.split_whitespace().next()?.parse::<i64>().ok()
        };
        offsets.extend(dumped.lines().filter_map(number));
        let index = file.with_extension("index");
        if !index.exists() {
            // Thalweg makes the file with its first entry; a segment of less than an index interval has none.
            continue;
        }
        let index = index.display().to_string();
        let sane = java.run(
            Tool::DumpLogSegments,
            &broker,
            &["--files", &index, "--index-sanity-check"],
        );
        let said = sane.stdout_text();
        assert!(
            said.contains("passed sanity check.") || said.contains("is empty."),
            "{}",
            sane.describe()
        );
    }
    let expected: Vec<i64> = expected.iter().map(|(offset, _)| *offset).collect();
    assert_eq!(offsets, expected);
}

/// Asks again while the group's coordinator is still loading its partition, which librdkafka leaves to its user.
#[track_caller]
fn once_loaded<T>(what: &str, mut ask: impl FnMut() -> KafkaResult<T>) -> T {
    let answer = wait::poll(wait::PATIENCE, || match ask() {
        Err(error) if is_loading(&error) => None,
        other => Some(other),
    });
    match answer {
        Some(Ok(answer)) => answer,
        Some(Err(error)) => panic!("{what}: {error}"),
        None => panic!("{what}: the coordinator is still loading"),
    }
}

fn is_loading(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{CoordinatorLoadInProgress, CoordinatorNotAvailable, NotCoordinator};
    matches!(
        error.rdkafka_error_code(),
        Some(NotCoordinator | CoordinatorLoadInProgress | CoordinatorNotAvailable)
    )
}

#[test]
fn committed_offsets_are_compacted_and_survive_it() {
    const PARTITIONS: i32 = 400;
    let mut broker = eager_broker()
        .set("offsets.topic.num.partitions", 1)
        .set("offsets.topic.segment.bytes", 1 << 20)
        .start();
    create_topic(&broker, "consumed", PARTITIONS, &[]);
    let consumer: BaseConsumer = config(
        &broker,
        &[("group.id", "readers"), ("enable.auto.commit", "false")],
    )
    .create()
    .expect("the settings are librdkafka's");
    let offsets = |number: i64| {
        let mut list = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            let added = list.add_partition_offset("consumed", partition, Offset::Offset(number));
            added.expect("a valid offset");
        }
        list
    };
    let bytes = |broker: &Broker| bytes_of(broker, "__consumer_offsets-0");
    let mut number = 0;
    let mut written_max = 0;
    // Each round writes about 40 KiB; what is left after a cleaning is one round and the active segment.
    wait::until("the offsets topic was cleaned", || {
        for _ in 0..20 {
            number += 1;
            once_loaded("a commit", || consumer.commit(&offsets(number), CommitMode::Sync));
        }
        written_max = written_max.max(bytes(&broker));
        number > 80 && bytes(&broker) < (number as u64) * 20_000
    });
    for _ in 0..2 {
        let mut asked = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            asked.add_partition("consumed", partition);
        }
        let found = once_loaded("committed offsets", || {
            consumer.committed_offsets(asked.clone(), CALL)
        });
        for element in found.elements() {
            assert_eq!(
                element.offset(),
                Offset::Offset(number),
                "partition {}",
                element.partition()
            );
        }
        broker.kill_nine();
        broker.start_again();
    }
}

type Transactional = ThreadedProducer<DefaultProducerContext>;

fn transactional(broker: &Broker, id: &str) -> Transactional {
    let producer: Transactional = config(broker, &[("transactional.id", id), ("linger.ms", "0")])
        .create()
        .expect("the settings are librdkafka's");
    producer.init_transactions(CALL).expect("an identity");
    producer
}

/// One transaction with a record in each topic.
fn transact(producer: &Transactional, topics: &[String]) -> KafkaResult<()> {
    producer.begin_transaction()?;
    for topic in topics {
        let record = BaseRecord::<(), str>::to(topic).payload("value");
        producer.send(record).map_err(|(error, _)| error)?;
    }
    producer.commit_transaction(CALL)
}

#[test]
fn the_transaction_log_is_compacted_and_no_id_is_lost() {
    let mut broker = eager_broker()
        .set("transaction.state.log.replication.factor", 1)
        .set("transaction.state.log.min.isr", 1)
        .set("transaction.state.log.num.partitions", 1)
        .set("transaction.state.log.segment.bytes", 1 << 20)
        .start();
    // Long names make long records: each state of a transaction names all of them.
    let topics: Vec<String> = (0..20).map(|number| format!("{number:0>240}")).collect();
    for topic in &topics {
        create_topic(&broker, topic, 1, &[]);
    }
    let idle = transactional(&broker, "idle");
    transact(&idle, &topics[..1]).expect("a transaction");
    let busy = transactional(&broker, "busy");
    let mut committed = 1;
    wait::until("the transaction log was cleaned", || {
        for _ in 0..10 {
            transact(&busy, &topics).expect("a transaction");
            committed += 1;
        }
        // A segment is closed with a mebibyte; what is left of it are the newest records of two ids.
        let files = segments(&broker, "__transaction_state-0");
        let first = files.first().and_then(|file| file.metadata().ok());
        files.len() > 1 && first.is_some_and(|first| first.len() < 64 << 10)
    });
    broker.kill_nine();
    broker.start_again();
    // Both go on with the identity that they have, also the one of which only the first segment knew.
    transact(&idle, &topics[..1]).expect("a transaction");
    transact(&busy, &topics).expect("a transaction");
    let next = transactional(&broker, "idle");
    transact(&next, &topics[..1]).expect("a transaction");
    let fenced = transact(&idle, &topics[..1]);
    assert!(
        matches!(&fenced, Err(KafkaError::Transaction(error)) if error.is_fatal()),
        "{fenced:?}"
    );
    wait::until("all committed records are there, and no other", || {
        let read = read_topic(&broker, &topics[0], &[("isolation.level", "read_committed")]);
        read.len() == committed + 3
    });
}
