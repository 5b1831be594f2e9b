//! librdkafka through the `rdkafka` crate: producers whose deliveries are counted, consumers that read to the end,
//! group members that note their rebalances, and the admin calls.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Header, Headers, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

use crate::broker::Broker;
use crate::wait::{PATIENCE, answer};
use crate::watchdog::{self, Retiring};

/// How long one call to the broker may take.
pub const CALL: Duration = Duration::from_secs(20);

/// The codecs by the names clients give them.
pub const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

/// A client configuration for `broker` with `settings` on top; log lines of the library are kept out.
pub fn config(broker: &Broker, settings: &[(&str, &str)]) -> ClientConfig {
    config_at(broker.bootstrap(), settings)
}

/// Like [`config`] for a broker at `bootstrap`, which may be down just now.
pub fn config_at(bootstrap: &str, settings: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set_log_level(RDKafkaLogLevel::Emerg);
    // A killed broker is back within a second or two: look for it often.
    config
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "500");
    for (key, value) in settings {
        config.set(*key, *value);
    }
    config
}

/// Header names and values in order; names may repeat and values may be null.
pub type HeaderList = Vec<(String, Option<Vec<u8>>)>;

/// A record to send. `Default` is a record with neither key, value nor headers for any partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// The partition, or the client's choice.
    pub partition: Option<i32>,
    /// The key; `None` is null.
    pub key: Option<Vec<u8>>,
    /// The value; `None` is null.
    pub value: Option<Vec<u8>>,
    /// The headers.
    pub headers: HeaderList,
    /// Milliseconds since 1970, or the client's clock.
    pub timestamp: Option<i64>,
}

impl Record {
    /// A record with key and value.
    pub fn new(key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Record {
        Record {
            key: Some(key.into()),
            value: Some(value.into()),
            ..Record::default()
        }
    }

    /// The same record for one partition.
    pub fn to_partition(mut self, partition: i32) -> Record {
        self.partition = Some(partition);
        self
    }
}

/// What the broker said about a sent record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// Acknowledged at this partition and offset.
    Acknowledged {
        /// The partition.
        partition: i32,
        /// The offset the broker assigned; −1001 with acks=0.
        offset: i64,
    },
    /// Given up by the client.
    Failed(RDKafkaErrorCode),
}

/// The deliveries of one producer, by the number of the record.
#[derive(Debug, Default)]
pub struct Deliveries {
    by_number: Mutex<BTreeMap<usize, Delivery>>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let delivery = match result {
            Ok(message) => Delivery::Acknowledged {
                partition: message.partition(),
                offset: message.offset(),
            },
            Err((error, _)) => {
                Delivery::Failed(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown))
            }
        };
        let earlier = self
            .by_number
            .lock()
            .expect("no holder panics")
            .insert(number, delivery);
        assert!(earlier.is_none(), "record {number} was delivered twice");
    }
}

/// A producer that remembers what became of every record.
pub struct Producer {
    inner: Retiring<ThreadedProducer<Deliveries>>,
    sent: Mutex<usize>,
}

impl Producer {
    /// A producer for `broker`. librdkafka's own default is acks=all without idempotence.
    pub fn new(broker: &Broker, settings: &[(&str, &str)]) -> Producer {
        let inner: KafkaResult<ThreadedProducer<Deliveries>> =
            config(broker, settings).create_with_context(Deliveries::default());
        Producer {
            inner: inner.expect("the settings are librdkafka's").into(),
            sent: Mutex::new(0),
        }
    }

    /// Hands a record to the client and returns its number, counted from 0. Waits while the client's queue is full.
    #[track_caller]
    pub fn send(&self, topic: &str, record: &Record) -> usize {
        let mut sent = self.sent.lock().expect("no holder panics");
        let number = *sent;
        let mut message = base_record(topic, record, number);
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.inner.send(message) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), returned)) => {
                    assert!(
                        Instant::now() < deadline,
                        "the client's queue stayed full for {PATIENCE:?}"
                    );
                    std::thread::sleep(Duration::from_millis(5));
                    message = returned;
                }
                Err((error, _)) => panic!("record {number} was refused by the client: {error}"),
            }
        }
        *sent += 1;
        number
    }

    /// The deliveries so far, by record number.
    pub fn deliveries(&self) -> BTreeMap<usize, Delivery> {
        self.inner
            .context()
            .by_number
            .lock()
            .expect("no holder panics")
            .clone()
    }

    /// Waits until every record has its answer.
    #[track_caller]
    pub fn flush(&self) -> BTreeMap<usize, Delivery> {
        let flushed = self.inner.flush(PATIENCE);
        let deliveries = self.deliveries();
        let sent = *self.sent.lock().expect("no holder panics");
        assert!(
            flushed.is_ok() && deliveries.len() == sent,
            "{} of {sent} records answered: {flushed:?}",
            deliveries.len()
        );
        deliveries
    }

    /// Waits until every record is acknowledged, and returns partition and offset in the order of sending.
    #[track_caller]
    pub fn flush_acknowledged(&self) -> Vec<(i32, i64)> {
        let place = |(number, delivery): (usize, Delivery)| match delivery {
            Delivery::Acknowledged { partition, offset } => (partition, offset),
            Delivery::Failed(code) => panic!("record {number} failed: {code}"),
        };
        self.flush().into_iter().map(place).collect()
    }

    /// Sends all `records` and waits for their acknowledgement.
    #[track_caller]
    pub fn send_all(&self, topic: &str, records: &[Record]) -> Vec<(i32, i64)> {
        let before = *self.sent.lock().expect("no holder panics");
        for record in records {
            self.send(topic, record);
        }
        self.flush_acknowledged().split_off(before)
    }
}

fn base_record<'a>(topic: &'a str, record: &'a Record, number: usize) -> BaseRecord<'a, [u8], [u8], usize> {
    let mut message = BaseRecord::with_opaque_to(topic, number);
    message.key = record.key.as_deref();
    message.payload = record.value.as_deref();
    message.partition = record.partition;
    message.timestamp = record.timestamp;
    if !record.headers.is_empty() {
        let headers = record
            .headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (name, value)| {
                headers.insert(Header {
                    key: name,
                    value: value.as_deref(),
                })
            });
        message.headers = Some(headers);
    }
    message
}

/// A record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumed {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp: Option<i64>,
    /// The key; `None` is null.
    pub key: Option<Vec<u8>>,
    /// The value; `None` is null.
    pub value: Option<Vec<u8>>,
    /// The headers.
    pub headers: HeaderList,
}

impl Consumed {
    /// Copies a message out of the client.
    pub fn from_message(message: &BorrowedMessage<'_>) -> Consumed {
        let headers = message.headers().map(|headers| {
            let own = |header: Header<'_, &[u8]>| (header.key.to_owned(), header.value.map(<[u8]>::to_vec));
            headers.iter().map(own).collect()
        });
        Consumed {
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: headers.unwrap_or_default(),
        }
    }

    /// The value as text, for assertions.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.value.as_deref().unwrap_or_default()).into_owned()
    }
}

/// Reads all partitions of `topic` from their beginning to their present end, by partition and offset.
///
/// # Panics
/// When the end is not reached within [`PATIENCE`] of the last record.
#[track_caller]
pub fn read_topic(broker: &Broker, topic: &str, settings: &[(&str, &str)]) -> Vec<Consumed> {
    let consumer = reader(broker, settings);
    let mut waiting: BTreeSet<i32> = partitions(&consumer, topic).into_iter().collect();
    let mut assignment = TopicPartitionList::new();
    for partition in &waiting {
        let added = assignment.add_partition_offset(topic, *partition, Offset::Beginning);
        added.expect("beginning is a valid offset");
    }
    consumer.assign(&assignment).expect("assigning is local");
    let mut records = Vec::new();
    while !waiting.is_empty() {
        match consumer.poll(PATIENCE) {
            Some(Ok(message)) => records.push(Consumed::from_message(&message)),
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                waiting.remove(&partition);
            }
            Some(Err(error)) if is_passing(&error) => {}
            Some(Err(error)) => panic!("reading {topic}: {error}"),
            None => panic!(
                "{topic}: {} records read, then nothing; unfinished: {waiting:?}",
                records.len()
            ),
        }
    }
    records.sort_by_key(|record: &Consumed| (record.partition, record.offset));
    records
}

/// A consumer without a group that reports the end of each partition.
pub fn reader(broker: &Broker, settings: &[(&str, &str)]) -> BaseConsumer {
    let mut config = config(broker, settings);
    config
        .set("group.id", "unused")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true");
    config.create().expect("the settings are librdkafka's")
}

/// The partitions of a topic.
#[track_caller]
pub fn partitions<C: ConsumerContext>(consumer: &BaseConsumer<C>, topic: &str) -> Vec<i32> {
    let metadata = consumer.fetch_metadata(Some(topic), CALL).expect("metadata");
    let found = metadata
        .topics()
        .iter()
        .find(|candidate| candidate.name() == topic);
    let found = found.unwrap_or_else(|| panic!("metadata has no topic {topic}"));
    assert!(
        found.error().is_none(),
        "metadata of {topic}: {:?}",
        found.error()
    );
    found
        .partitions()
        .iter()
        .map(|partition| partition.id())
        .collect()
}

/// Errors a client goes on after by itself: the broker is away for a moment.
pub fn is_passing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::Resolve
        )
    )
}

/// The rebalances a group member has seen.
#[derive(Debug, Default)]
pub struct Rebalances {
    assigned: Mutex<u32>,
}

impl ClientContext for Rebalances {}

impl ConsumerContext for Rebalances {
    fn post_rebalance(&self, _consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(_) = rebalance {
            *self.assigned.lock().expect("no holder panics") += 1;
        }
    }
}

/// A member of a consumer group.
pub struct Member {
    /// Shared with the thread of a commit that is under way.
    consumer: Retiring<Arc<BaseConsumer<Rebalances>>>,
}

impl Member {
    /// A member of `group` that subscribes to `topic` from its beginning and commits only when told to.
    pub fn join(broker: &Broker, group: &str, topic: &str, settings: &[(&str, &str)]) -> Member {
        let mut config = config(
            broker,
            &[("session.timeout.ms", "6000"), ("heartbeat.interval.ms", "200")],
        );
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest");
        for (key, value) in settings {
            config.set(*key, *value);
        }
        let consumer: BaseConsumer<Rebalances> = config
            .create_with_context(Rebalances::default())
            .expect("the settings are librdkafka's");
        consumer.subscribe(&[topic]).expect("subscribing is local");
        Member {
            consumer: Arc::new(consumer).into(),
        }
    }

    /// The client itself.
    pub fn consumer(&self) -> &BaseConsumer<Rebalances> {
        &self.consumer
    }

    /// Serves the member for `within` at most and returns the first record that comes.
    #[track_caller]
    pub fn poll(&self, within: Duration) -> Option<Consumed> {
        match self.consumer().poll(within)? {
            Ok(message) => Some(Consumed::from_message(&message)),
            Err(error) if is_passing(&error) => None,
            Err(KafkaError::PartitionEOF(_)) => None,
            Err(error) => panic!("group member: {error}"),
        }
    }

    /// The partitions the member owns now.
    pub fn assignment(&self) -> BTreeSet<i32> {
        let list = self.consumer().assignment().expect("asking is local");
        list.elements()
            .iter()
            .map(|element| element.partition())
            .collect()
    }

    /// How often the member was given an assignment.
    pub fn rebalances(&self) -> u32 {
        *self
            .consumer()
            .context()
            .assigned
            .lock()
            .expect("no holder panics")
    }

    /// Commits the position after the last record handed out, and waits for the answer.
    ///
    /// # Panics
    /// When none comes within [`PATIENCE`]: librdkafka itself would wait for ever.
    pub fn commit(&self) -> KafkaResult<()> {
        let consumer = Arc::clone(&self.consumer);
        watchdog::bounded("a commit", PATIENCE, move || {
            consumer.commit_consumer_state(CommitMode::Sync)
        })
    }
}

/// Serves all `members` until `done` holds, and returns the records that came meanwhile.
#[track_caller]
pub fn serve_until(
    members: &[&Member],
    what: &str,
    mut done: impl FnMut(&[Consumed]) -> bool,
) -> Vec<Consumed> {
    let deadline = Instant::now() + PATIENCE;
    let mut records = Vec::new();
    while !done(&records) {
        assert!(
            Instant::now() < deadline,
            "waited {PATIENCE:?} in vain until {what}; {} records",
            records.len()
        );
        for member in members {
            records.extend(member.poll(Duration::from_millis(20)));
        }
    }
    records
}

/// An admin client.
pub fn admin(broker: &Broker) -> AdminClient<DefaultClientContext> {
    config(broker, &[])
        .create()
        .expect("the settings are librdkafka's")
}

/// Options that wait for the answer.
pub fn admin_options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(CALL))
        .operation_timeout(Some(CALL))
}

/// Creates a topic and asserts that the broker made it.
#[track_caller]
pub fn create_topic(broker: &Broker, topic: &str, partitions: i32, settings: &[(&str, &str)]) {
    let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    for (key, value) in settings {
        new = new.set(key, value);
    }
    let results = answer(admin(broker).create_topics([&new], &admin_options())).expect("create topics");
    assert_eq!(results, [Ok(topic.to_owned())]);
}
