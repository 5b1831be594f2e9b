//! Consumers that read all partitions from somewhere, over and over, and note every record they get.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

use super::{Stage, place_of, places};
use crate::actors::{Actor, Stop};
use crate::chance::Chance;
use crate::clients::librdkafka::config_at;
use crate::transactions::{Event, Isolation, Value};
use crate::watchdog::Retiring;

/// Starts a consumer outside any group.
pub fn start_poller(stage: &Stage, isolation: Isolation, chance: Chance) -> Actor {
    start((stage, isolation, isolation), chance)
}

/// Starts a consumer that is given all records and notes them as committed ones: what a broker would do that knows
/// nothing of isolation. For tests that must find that out.
pub fn start_deceived_poller(stage: &Stage, chance: Chance) -> Actor {
    start((stage, Isolation::Uncommitted, Isolation::Committed), chance)
}

fn start((stage, asked, noted): (&Stage, Isolation, Isolation), mut chance: Chance) -> Actor {
    let stage = stage.clone();
    Actor::start(&format!("poller of {noted:?} records"), move |stop| {
        while !stop.is_asked() {
            let consumer: BaseConsumer = config(&stage.bootstrap, asked)
                .create()
                .expect("the settings are librdkafka's");
            let consumer = Retiring::from(consumer);
            read_on((&stage, &consumer, noted), stop, &mut chance);
        }
    })
}

/// One consumer's life: some thousand records from the beginning or from near the end.
fn read_on(
    (stage, consumer, isolation): (&Stage, &BaseConsumer, Isolation),
    stop: &Stop,
    chance: &mut Chance,
) {
    let number = stage.book.new_consumer(isolation);
    let from = match chance.index(3) {
        0 => Offset::Beginning,
        _ => Offset::OffsetTail(i64::try_from(chance.between(1, 200)).unwrap_or(1)),
    };
    let mut assignment = TopicPartitionList::new();
    for place in places() {
        assignment
            .add_partition_offset(place.name(), place.partition, from)
            .expect("a valid offset");
    }
    consumer.assign(&assignment).expect("assigning is local");
    let mut left = chance.between(100, 5_000);
    while left > 0 && !stop.is_asked() {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                note(stage, number, &message);
                left -= 1;
            }
            Some(Err(KafkaError::MessageConsumption(
                code @ (RDKafkaErrorCode::OffsetOutOfRange | RDKafkaErrorCode::AutoOffsetReset),
            ))) => {
                let what = format!("a consumer of {isolation:?} records was told {code}: its offset is gone");
                stage.book.note(Event::Breach(what));
                return;
            }
            // The broker is away: the client goes on by itself.
            _ => {}
        }
    }
}

/// Settings of a consumer without a group's membership.
pub(super) fn config(bootstrap: &str, isolation: Isolation) -> ClientConfig {
    let level = match isolation {
        Isolation::Committed => "read_committed",
        Isolation::Uncommitted => "read_uncommitted",
    };
    config_at(
        bootstrap,
        &[
            ("group.id", "unused"),
            ("isolation.level", level),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "error"),
            ("check.crcs", "true"),
            ("fetch.wait.max.ms", "50"),
            ("socket.timeout.ms", "3000"),
        ],
    )
}

pub(super) fn note(stage: &Stage, consumer: u32, message: &BorrowedMessage<'_>) {
    let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
    match place_of(topic, partition) {
        Some(place) => stage.book.note(Event::Polled {
            consumer,
            place,
            offset,
            value: Value::decode(message.payload().unwrap_or_default()),
        }),
        None => stage.book.note(Event::Breach(format!(
            "a record of {topic}-{partition}, which nobody asked for"
        ))),
    }
}
