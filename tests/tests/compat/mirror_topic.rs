//! A mirror topic fed with raw requests, and read by librdkafka: same records at the same offsets, aborted ones unseen,
//! a consumer that is ahead waits. Other products have none.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
use thalweg_tests::clients::librdkafka::{
    CALL, Consumed, Delivery, Producer, Record, config, create_topic, read_topic, reader,
};
use thalweg_tests::exposition::Scrape;
use thalweg_tests::raw::{HeaderForm, Heard, Raw, fetch, request};
use thalweg_tests::requests::varint;
use thalweg_tests::wait::PATIENCE;
use thalweg_tests::{Broker, BrokerConfig, Product, http};

use crate::cli::Cli;

const LINK: [u8; 16] = [0x5a; 16];
const TAG: u32 = 10_000;
const ANY_END: i64 = -1;
const NONE: i16 = 0;
const OFFSET_OUT_OF_RANGE: i16 = 1;
const POLICY_VIOLATION: i16 = 44;
const FENCED: i16 = 74;

/// Numbers of the operations.
const INSPECT: u8 = 0;
const CLAIM: u8 = 1;
const APPEND: u8 = 2;
const ADVANCE_END: u8 = 3;
const SET_SOURCE_END: u8 = 6;
const PROMOTE: u8 = 7;

/// A link's connection, and its session.
struct Link {
    raw: Raw,
    session: i64,
    /// Correlation id of the last request.
    asked: i32,
}

/// The parts of a report that the tests look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Report {
    session: i64,
    log_start: i64,
    log_end: i64,
    leader_epoch: i32,
    ownership: u8,
}

fn has_no_mirrors() -> bool {
    Product::under_test() != Product::Thalweg
}

fn command(session: i64, expected_end: i64, operation: u8, argument: i64) -> Vec<u8> {
    let mut bytes = vec![1, operation];
    bytes.extend(LINK);
    bytes.extend(session.to_be_bytes());
    bytes.extend(expected_end.to_be_bytes());
    bytes.extend(argument.to_be_bytes());
    bytes
}

/// Compact length of something that is there.
fn length(len: usize) -> Vec<u8> {
    varint(u32::try_from(len + 1).expect("small"))
}

impl Link {
    fn to(broker: &Broker) -> Link {
        let raw = Raw::connect(broker.bootstrap()).expect("a connection");
        let mut link = Link {
            raw,
            session: 0,
            asked: 0,
        };
        let (code, report) = link.operate("orders", (ANY_END, CLAIM, 60_000), &[]);
        assert_eq!(code, NONE, "{report:?}");
        link.session = report.session;
        link
    }

    /// One operation on partition 0, by Produce version 9.
    fn operate(
        &mut self,
        topic: &str,
        (expected_end, operation, argument): (i64, u8, i64),
        records: &[u8],
    ) -> (i16, Report) {
        let command = command(self.session, expected_end, operation, argument);
        let mut body = vec![0];
        body.extend((-1_i16).to_be_bytes());
        body.extend(30_000_i32.to_be_bytes());
        body.extend(length(1));
        body.extend(length(topic.len()));
        body.extend(topic.as_bytes());
        body.extend(length(1));
        body.extend(0_i32.to_be_bytes());
        body.extend(length(records.len()));
        body.extend(records);
        body.push(1);
        body.extend(varint(TAG));
        body.extend(varint(u32::try_from(command.len()).expect("small")));
        body.extend(command);
        body.extend([0, 0]);
        self.asked += 1;
        self.raw
            .send(&request((0, 9), self.asked, HeaderForm::Flexible, &body));
        match self.raw.hear(PATIENCE) {
            Heard::Frame(answer) => read_answer(&answer),
            other => panic!("no answer: {other:?}"),
        }
    }
}

/// A cursor over an answer.
struct Answer<'a>(&'a [u8]);

impl<'a> Answer<'a> {
    fn take(&mut self, len: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at(len);
        self.0 = rest;
        head
    }
    fn i16(&mut self) -> i16 {
        i16::from_be_bytes(self.take(2).try_into().expect("two"))
    }
    fn i32(&mut self) -> i32 {
        i32::from_be_bytes(self.take(4).try_into().expect("four"))
    }
    fn i64(&mut self) -> i64 {
        i64::from_be_bytes(self.take(8).try_into().expect("eight"))
    }
    fn varint(&mut self) -> usize {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = usize::from(self.take(1)[0]);
            number |= (byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return number;
            }
        }
    }
}

fn read_answer(bytes: &[u8]) -> (i16, Report) {
    let mut answer = Answer(bytes);
    answer.take(5);
    assert_eq!(answer.varint(), 2, "one topic");
    let name = answer.varint() - 1;
    answer.take(name);
    assert_eq!(answer.varint(), 2, "one partition");
    answer.take(4);
    let code = answer.i16();
    answer.take(24);
    assert_eq!(answer.varint(), 1, "no record errors");
    let message = answer.varint().saturating_sub(1);
    answer.take(message);
    assert_eq!(answer.varint(), 1, "one tagged field: the report");
    assert_eq!(answer.varint(), TAG as usize);
    let len = answer.varint();
    let mut report = Answer(answer.take(len));
    assert_eq!(report.take(1), [1], "its version");
    assert_eq!(report.take(16), LINK);
    let (session, log_start, log_end) = (report.i64(), report.i64(), report.i64());
    report.take(16);
    let leader_epoch = report.i32();
    report.take(8);
    let report = Report {
        session,
        log_start,
        log_end,
        leader_epoch,
        ownership: report.take(1)[0],
    };
    (code, report)
}

/// All batches of a partition as they are stored.
fn batches(broker: &Broker, topic: &str) -> Vec<u8> {
    let mut raw = Raw::connect(broker.bootstrap()).expect("a connection");
    raw.send(&fetch(topic, 0, 0, 16 << 20));
    let Heard::Frame(frame) = raw.hear(PATIENCE) else {
        panic!("no answer to a fetch")
    };
    let mut answer = Answer(&frame);
    answer.take(4 + 4 + 4);
    let name = answer.i16();
    answer.take(usize::try_from(name).expect("a name") + 4 + 4);
    assert_eq!(answer.i16(), NONE);
    answer.take(16);
    assert!(answer.i32() <= 0, "no aborted transactions for read_uncommitted");
    let len = usize::try_from(answer.i32()).expect("records");
    answer.take(len).to_vec()
}

fn mirror_topic(broker: &Broker) {
    let link = "5a".repeat(16);
    let settings = [
        ("mirror.link", link.as_str()),
        ("mirror.source.topic", "orders"),
        ("mirror.source.cluster.id", "east"),
    ];
    create_topic(broker, "orders", 1, &settings);
}

fn with_transactions() -> Broker {
    let broker = BrokerConfig::default()
        .set("transaction.state.log.replication.factor", 1)
        .set("transaction.state.log.min.isr", 1)
        .start();
    create_topic(&broker, "orders", 1, &[]);
    broker
}

/// Plain records, a committed transaction, an aborted one.
fn fill(broker: &Broker) {
    let plain: Vec<Record> = (0..5)
        .map(|number| Record::new("k", format!("plain {number}")))
        .collect();
    Producer::new(broker, &[("compression.type", "lz4")]).send_all("orders", &plain);
    let settings = [("transactional.id", "tx"), ("transaction.timeout.ms", "60000")];
    let producer: ThreadedProducer<DefaultProducerContext> =
        config(broker, &settings).create().expect("a producer");
    producer.init_transactions(CALL).expect("an identity");
    for (value, is_committed) in [("kept", true), ("dropped", false), ("kept too", true)] {
        producer.begin_transaction().expect("begin");
        let record = BaseRecord::<(), str>::to("orders").payload(value);
        producer
            .send(record)
            .map_err(|(error, _)| error)
            .expect("a place");
        producer.flush(CALL).expect("delivered");
        let ended = if is_committed {
            producer.commit_transaction(CALL)
        } else {
            producer.abort_transaction(CALL)
        };
        ended.expect("the end");
    }
}

fn committed(broker: &Broker) -> Vec<Consumed> {
    read_topic(broker, "orders", &[("isolation.level", "read_committed")])
}

fn texts(records: &[Consumed]) -> Vec<String> {
    records.iter().map(Consumed::text).collect()
}

#[test]
fn a_mirrored_topic_reads_as_its_source_at_the_same_offsets_over_a_crash() {
    if has_no_mirrors() {
        return;
    }
    let source = with_transactions();
    fill(&source);
    let expected = committed(&source);
    assert_eq!(expected.len(), 7, "{:?}", texts(&expected));
    let mut target = Broker::start();
    mirror_topic(&target);
    let mut link = Link::to(&target);
    let run = batches(&source, "orders");
    let (code, report) = link.operate("orders", (0, APPEND, 100), &run);
    assert_eq!((code, report.ownership), (NONE, 1));
    assert_eq!(committed(&target), expected);
    let all = read_topic(&source, "orders", &[("isolation.level", "read_uncommitted")]);
    let uncommitted = [("isolation.level", "read_uncommitted")];
    assert_eq!(read_topic(&target, "orders", &uncommitted), all);
    target.kill_nine();
    target.start_again();
    assert_eq!(committed(&target), expected);
    let mut again = Link::to(&target);
    assert_eq!(again.session, link.session + 1);
    let (code, after) = again.operate("orders", (0, APPEND, 100), &run);
    assert_eq!((code, after.log_end), (OFFSET_OUT_OF_RANGE, report.log_end));
    assert_eq!(batches(&target, "orders"), run, "every byte");
}

#[test]
fn only_the_link_writes_and_the_commands_say_whose_the_topic_is() {
    if has_no_mirrors() {
        return;
    }
    let broker = Broker::start();
    mirror_topic(&broker);
    let producer = Producer::new(&broker, &[("message.timeout.ms", "20000")]);
    producer.send("orders", &Record::new("k", "v"));
    let refused: BTreeMap<usize, Delivery> = producer.flush();
    assert_eq!(refused[&0], Delivery::Failed(RDKafkaErrorCode::PolicyViolation));
    let mut link = Link::to(&broker);
    let mut stranger = Link {
        raw: Raw::connect(broker.bootstrap()).expect("a connection"),
        session: 0,
        asked: 0,
    };
    assert_eq!(stranger.operate("orders", (ANY_END, CLAIM, 1_000), &[]).0, FENCED);
    create_topic(&broker, "plain", 1, &[]);
    let mut body = link.operate("orders", (ANY_END, INSPECT, 0), &[]);
    assert_eq!((body.0, body.1.log_end), (NONE, 0));
    body = link.operate("orders", (0, ADVANCE_END, 10), &[]);
    assert_eq!((body.0, body.1.log_end), (NONE, 10));
    let cli = Cli::of(&broker);
    let text = cli.out(&["topic", "describe", "orders"]);
    let owner = format!("link {} mirrors 'orders' of cluster east", "5a".repeat(16));
    assert!(text.contains(&owner), "{text}");
    let scrape = http::get(broker.http().expect("HTTP"), "/metrics").expect("a page");
    let scrape = Scrape::parse(&scrape.body).expect("a page");
    let owned = scrape.value("thalweg_mirror_partitions", &[("state", "owned")]);
    assert_eq!(owned, Some(1.0));
    let refused = scrape.value("thalweg_mirror_refused_total", &[("reason", "session")]);
    assert_eq!(refused, Some(1.0));
}

/// Polls until something comes that is no end of a partition.
fn next(consumer: &BaseConsumer, within: Duration) -> Option<Result<Consumed, KafkaError>> {
    let deadline = Instant::now() + within;
    while Instant::now() < deadline {
        match consumer.poll(Duration::from_millis(50)) {
            None | Some(Err(KafkaError::PartitionEOF(_))) => {}
            Some(Ok(message)) => return Some(Ok(Consumed::from_message(&message))),
            Some(Err(error)) => return Some(Err(error)),
        }
    }
    None
}

#[test]
fn a_consumer_that_is_ahead_waits_for_the_mirror_and_no_longer_after_its_end() {
    if has_no_mirrors() {
        return;
    }
    let source = Broker::start();
    create_topic(&source, "orders", 1, &[]);
    let producer = Producer::new(&source, &[]);
    producer.send_all("orders", &[Record::new("k", "first")]);
    let first = batches(&source, "orders");
    producer.send_all("orders", &[Record::new("k", "second")]);
    let both = batches(&source, "orders");
    let target = Broker::start();
    mirror_topic(&target);
    let mut link = Link::to(&target);
    assert_eq!(link.operate("orders", (0, APPEND, 3), &first).0, NONE);

    let consumer = reader(&target, &[("auto.offset.reset", "error")]);
    let mut assignment = TopicPartitionList::new();
    assignment
        .add_partition_offset("orders", 0, Offset::Offset(2))
        .expect("an offset");
    consumer.assign(&assignment).expect("assigning is local");
    let waits = next(&consumer, Duration::from_millis(1_500));
    assert!(waits.is_none(), "nothing for one who is ahead: {waits:?}");
    let (code, report) = link.operate("orders", (1, APPEND, 3), &both[first.len()..]);
    assert_eq!((code, report.log_end), (NONE, 2));
    let waits = next(&consumer, Duration::from_millis(500));
    assert!(
        waits.is_none(),
        "what it has read elsewhere does not come again: {waits:?}"
    );
    assert_eq!(link.operate("orders", (ANY_END, SET_SOURCE_END, 1), &[]).0, NONE);
    assert_eq!(link.operate("orders", (2, PROMOTE, 1_500_000), &[]).0, NONE);
    let (code, promoted) = link.operate("orders", (2, PROMOTE, 1_500_000), &[]);
    assert_eq!((code, promoted.ownership), (NONE, 0));
    assert!(promoted.leader_epoch > 1_500_000, "{promoted:?}");
    Producer::new(&target, &[("enable.idempotence", "true")])
        .send_all("orders", &[Record::new("k", "written here")]);
    let got = next(&consumer, PATIENCE)
        .expect("the first record of its own")
        .expect("no reset");
    assert_eq!((got.offset, got.text().as_str()), (2, "written here"));
    let refused = link.operate("orders", (3, APPEND, 3), &[]);
    assert_eq!(refused.0, POLICY_VIOLATION);
}
