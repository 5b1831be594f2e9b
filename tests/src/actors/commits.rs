//! Commits of offsets: by members of a group that read a topic, and by clients that commit rising numbers.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

use super::{Actor, Theatre, Topic};
use crate::chance::Chance;
use crate::clients::librdkafka::config_at;
use crate::wait;
use crate::watchdog::Retiring;

/// How long one question to the broker may take.
const CALL: Duration = Duration::from_secs(10);

fn group_client(theatre: &Theatre, group: &str) -> ClientConfig {
    config_at(
        &theatre.bootstrap,
        &[
            ("group.id", group),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "earliest"),
            ("session.timeout.ms", "6000"),
            ("heartbeat.interval.ms", "200"),
            ("fetch.wait.max.ms", "100"),
            ("socket.timeout.ms", "10000"),
        ],
    )
}

/// Starts a member of `group` that reads `topic` and commits what it has read, now and then.
pub fn start_member(theatre: &Theatre, group: &str, topic: &Topic, mut chance: Chance) -> Actor {
    let (theatre, group, topic) = (theatre.clone(), group.to_owned(), topic.clone());
    Actor::start(&format!("member of {group}"), move |stop| {
        let consumer: BaseConsumer = group_client(&theatre, &group)
            .create()
            .expect("the settings are librdkafka's");
        let consumer = Retiring::from(consumer);
        consumer.subscribe(&[&topic.name]).expect("subscribing is local");
        let mut positions: BTreeMap<i32, i64> = BTreeMap::new();
        let mut until_commit = 1;
        while !stop.is_asked() {
            // An error says that the broker is away, or that the group forms anew: the client goes on by itself.
            if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
                let (partition, offset) = (message.partition(), message.offset());
                let value = message.payload().unwrap_or_default();
                theatre.history().read(topic.number, partition, offset, value);
                positions.insert(partition, offset + 1);
                until_commit -= 1;
            }
            if until_commit <= 0 {
                until_commit = i64::try_from(chance.between(20, 400)).unwrap_or(100);
                let owned = owned(&consumer);
                positions.retain(|partition, _| owned.contains(partition));
                commit(&theatre, &consumer, (&group, &topic), &positions);
            }
        }
    })
}

fn owned(consumer: &BaseConsumer) -> Vec<i32> {
    let list = consumer.assignment().expect("asking is local");
    list.elements()
        .iter()
        .map(|element| element.partition())
        .collect()
}

/// Starts a client outside any group's membership that commits rising numbers for each partition of `topic`.
pub fn start_steady_commits(theatre: &Theatre, group: &str, topic: &Topic, mut chance: Chance) -> Actor {
    let (theatre, group, topic) = (theatre.clone(), group.to_owned(), topic.clone());
    Actor::start(&format!("commits of {group}"), move |stop| {
        let consumer: BaseConsumer = group_client(&theatre, &group)
            .create()
            .expect("the settings are librdkafka's");
        // Never below what another client of the group has committed before.
        let earlier = theatre.history().commits();
        let of_group = earlier.iter().filter(|((name, ..), _)| *name == group);
        let mut number = of_group.map(|(_, offset)| *offset).max().unwrap_or(0);
        while !stop.is_asked() {
            number += 1;
            let positions = (0..topic.partitions)
                .map(|partition| (partition, number))
                .collect();
            commit(&theatre, &consumer, (&group, &topic), &positions);
            stop.pause(chance.millis(0, 20));
        }
    })
}

/// Commits and writes down what was confirmed; what was not may or may not have happened.
fn commit(
    theatre: &Theatre,
    consumer: &BaseConsumer,
    (group, topic): (&str, &Topic),
    positions: &BTreeMap<i32, i64>,
) {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in positions {
        list.add_partition_offset(&topic.name, *partition, Offset::Offset(*offset))
            .expect("a valid offset");
    }
    if positions.is_empty() || consumer.commit(&list, CommitMode::Sync).is_err() {
        return;
    }
    let mut history = theatre.history();
    for (partition, offset) in positions {
        history.committed(group, topic.number, *partition, *offset);
    }
}

/// Asks, with new clients, what is committed, and writes it down. Waits at most [`wait::PATIENCE`] for each group.
pub fn check_commits(theatre: &Theatre, topic: &Topic, groups: &[&str]) {
    for group in groups {
        let consumer: BaseConsumer = group_client(theatre, group)
            .create()
            .expect("the settings are librdkafka's");
        let expected = theatre.history().commits();
        let mut asked = TopicPartitionList::new();
        asked.add_partition_range(&topic.name, 0, topic.partitions - 1);
        let found = match answer(theatre, &consumer, &asked) {
            Ok(found) => found,
            Err(error) => {
                theatre
                    .history()
                    .breach(format!("{group}: no committed offsets: {error}"));
                continue;
            }
        };
        let mut history = theatre.history();
        for element in found.elements() {
            let key = ((*group).to_owned(), topic.number, element.partition());
            let offset = match element.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            };
            if let Some(at_least) = expected.get(&key) {
                history.found_committed(&key, *at_least, offset);
            }
        }
    }
}

/// Asks until the broker, which loads its groups after a start, answers.
fn answer(
    theatre: &Theatre,
    consumer: &BaseConsumer,
    asked: &TopicPartitionList,
) -> Result<TopicPartitionList, KafkaError> {
    let patience = theatre.standstill.patience(wait::PATIENCE);
    loop {
        match consumer.committed_offsets(asked.clone(), CALL) {
            Err(_) if !patience.is_over() => std::thread::sleep(Duration::from_millis(50)),
            other => return other,
        }
    }
}
