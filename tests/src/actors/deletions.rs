//! DeleteRecords now and then: the log start only moves forward.

use std::time::Duration;

use futures::executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use super::{Actor, Theatre, Topic};
use crate::chance::Chance;
use crate::clients::librdkafka::config_at;

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
        let options = AdminOptions::new()
            .request_timeout(Some(CALL))
            .operation_timeout(Some(CALL));
        let partitions = usize::try_from(topic.partitions).unwrap_or(1);
        while !stop.is_asked() {
            let partition = i32::try_from(chance.index(partitions)).unwrap_or(0);
            if let Ok((start, _)) = reader.fetch_watermarks(&topic.name, partition, CALL) {
                theatre.history().log_start(topic.number, partition, start);
            }
            let end = theatre.history().end(topic.number, partition);
            let back = i64::try_from(chance.between(0, 3_000)).unwrap_or(0);
            let target = end - back;
            if target > 0 {
                theatre.history().log_start_asked(topic.number, partition, target);
                let mut list = TopicPartitionList::new();
                list.add_partition_offset(&topic.name, partition, Offset::Offset(target))
                    .expect("a valid offset");
                if let Ok(answer) = block_on(admin.delete_records(&list, &options)) {
                    note_answer(&theatre, &topic, &answer);
                }
            }
            stop.pause(chance.millis(50, 1_000));
        }
    })
}

/// Writes down the log starts that the broker confirmed.
fn note_answer(theatre: &Theatre, topic: &Topic, answer: &TopicPartitionList) {
    let mut history = theatre.history();
    for element in answer.elements() {
        if let (Ok(()), Offset::Offset(start)) = (element.error(), element.offset()) {
            history.log_start(topic.number, element.partition(), start);
        }
    }
}
