//! DeleteRecords now and then: the log start only moves forward.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use super::{Actor, Theatre, Topic};
use crate::chance::Chance;
use crate::clients::librdkafka::config_at;
use crate::wait::answer;

const CALL: Duration = Duration::from_secs(5);

/// Starts an actor that deletes old records of `topic` and looks where its partitions start.
pub fn start_deletions(theatre: &Theatre, topic: &Topic, mut chance: Chance) -> Actor {
    let (theatre, topic) = (theatre.clone(), topic.clone());
    Actor::start(&format!("deletions in {}", topic.name), move |stop| {
        let admin: AdminClient<DefaultClientContext> = config_at(&theatre.bootstrap, &[])
            .create()
            .expect("the settings are librdkafka's");
        let reader: BaseConsumer = config_at(&theatre.bootstrap, &[("group.id", "unused")])
            .create()
            .expect("the settings are librdkafka's");
        let partitions = usize::try_from(topic.partitions).unwrap_or(1);
        while !stop.is_asked() {
            let partition = i32::try_from(chance.index(partitions)).unwrap_or(0);
            if let Ok((start, _)) = reader.fetch_watermarks(&topic.name, partition, CALL) {
                theatre.history().log_start(topic.number, partition, start);
            }
            let end = theatre.history().end(topic.number, partition);
            let back = i64::try_from(chance.between(0, 3_000)).unwrap_or(0);
            // The broker may be away just now.
            let _ = delete_with(&admin, &theatre, &topic, (partition, end - back));
            stop.pause(chance.millis(50, 1_000));
        }
    })
}

/// Deletes the records of a partition below `offset`, once, and writes down what the broker confirmed.
///
/// # Errors
/// The client's or the broker's, in words.
pub fn delete_below(theatre: &Theatre, topic: &Topic, partition: i32, offset: i64) -> Result<(), String> {
    let admin: AdminClient<DefaultClientContext> = config_at(&theatre.bootstrap, &[])
        .create()
        .map_err(|error| error.to_string())?;
    delete_with(&admin, theatre, topic, (partition, offset))
}

fn delete_with(
    admin: &AdminClient<DefaultClientContext>,
    theatre: &Theatre,
    topic: &Topic,
    (partition, offset): (i32, i64),
) -> Result<(), String> {
    if offset <= 0 {
        return Ok(());
    }
    theatre.history().log_start_asked(topic.number, partition, offset);
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic.name, partition, Offset::Offset(offset))
        .map_err(|error| error.to_string())?;
    let options = AdminOptions::new()
        .request_timeout(Some(CALL))
        .operation_timeout(Some(CALL));
    let told = answer(admin.delete_records(&list, &options)).map_err(|error| error.to_string())?;
    let mut history = theatre.history();
    for element in told.elements() {
        element.error().map_err(|error| error.to_string())?;
        if let Offset::Offset(start) = element.offset() {
            history.log_start(topic.number, element.partition(), start);
        }
    }
    Ok(())
}
