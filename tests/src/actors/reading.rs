//! Reading everything, and having it judged.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Message, Offset, TopicPartitionList};

use super::{Patience, Theatre, Topic};
use crate::clients::librdkafka::config_at;
use crate::history::{Reading, Violation};
use crate::wait::PATIENCE;
use crate::watchdog::Retiring;

const CALL: Duration = Duration::from_secs(20);

/// Reads every partition of a topic and compares it with the history. Nothing may be sent to it meanwhile.
pub fn check_topic(theatre: &Theatre, topic: &Topic) -> Vec<Violation> {
    let mut violations = Vec::new();
    for partition in 0..topic.partitions {
        let patience = theatre.standstill.patience(PATIENCE);
        match read_partition(&theatre.bootstrap, &topic.name, partition, patience) {
            Ok(reading) => violations.extend(theatre.history().check(topic.number, partition, &reading)),
            Err(why) => violations.push(Violation::Other(format!(
                "{}-{partition} cannot be read: {why}",
                topic.name
            ))),
        }
    }
    violations
}

/// Reads a partition from its start to the end it has now.
///
/// # Errors
/// When the end is not reached within `patience` of the last record.
pub fn read_partition(
    bootstrap: &str,
    topic: &str,
    partition: i32,
    mut patience: Patience,
) -> Result<Reading, String> {
    let settings = [
        ("group.id", "unused"),
        ("enable.auto.commit", "false"),
        ("enable.partition.eof", "true"),
        ("auto.offset.reset", "error"),
        ("check.crcs", "true"),
        ("fetch.wait.max.ms", "50"),
        ("queued.max.messages.kbytes", "20000"),
    ];
    let consumer: BaseConsumer = config_at(bootstrap, &settings)
        .create()
        .map_err(|error| error.to_string())?;
    let consumer = Retiring::from(consumer);
    let (start, end) = watermarks(&consumer, topic, partition, &patience)?;
    let mut reading = Reading {
        start,
        end,
        records: Vec::new(),
    };
    if start >= end {
        return Ok(reading);
    }
    let mut assignment = TopicPartitionList::new();
    assignment
        .add_partition_offset(topic, partition, Offset::Offset(start))
        .map_err(|error| error.to_string())?;
    consumer.assign(&assignment).map_err(|error| error.to_string())?;
    patience.renew();
    loop {
        match consumer.poll(Duration::from_millis(200)) {
            Some(Ok(message)) => {
                patience.renew();
                reading
                    .records
                    .push((message.offset(), message.payload().unwrap_or_default().to_vec()));
                if message.offset() + 1 >= end {
                    return Ok(reading);
                }
            }
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(reading),
            other if patience.is_over() => {
                let last = other.map(|outcome| outcome.map(|_| ()));
                return Err(format!(
                    "{} records, then nothing: {last:?}",
                    reading.records.len()
                ));
            }
            _ => {}
        }
    }
}

/// Start and end, asked until the broker answers.
fn watermarks(
    consumer: &BaseConsumer,
    topic: &str,
    partition: i32,
    patience: &Patience,
) -> Result<(i64, i64), String> {
    loop {
        match consumer.fetch_watermarks(topic, partition, CALL) {
            Ok(marks) => return Ok(marks),
            Err(error) if patience.is_over() => return Err(format!("no watermarks: {error}")),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}
