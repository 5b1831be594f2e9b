//! Members of a group that read, transform and write: outputs and offsets in one transaction (KIP-98, KIP-447).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::{Message, Offset, TopicPartitionList};

use super::transactor::{Client, Identity, Transactor};
use super::{INPUT, OUTPUT, Stage, TOPICS, place_of};
use crate::actors::{Actor, Stop};
use crate::chance::Chance;
use crate::clients::librdkafka::config_at;
use crate::transactions::{Event, Isolation, Place, Source, Value};
use crate::watchdog::Retiring;

/// The group of the processors.
pub const GROUP: &str = "transactions-processors";

const POLL: Duration = Duration::from_millis(100);

/// Counts rebalances: what was read before one must not be written after it.
#[derive(Debug, Default)]
struct Membership {
    changes: AtomicU64,
}

impl ClientContext for Membership {}

impl ConsumerContext for Membership {
    fn pre_rebalance(&self, _consumer: &BaseConsumer<Self>, _rebalance: &Rebalance<'_>) {
        self.changes.fetch_add(1, Ordering::SeqCst);
    }
}

/// Starts a member of [`GROUP`] with a transactional id of its own.
pub fn start_processor(stage: &Stage, number: u32, mut chance: Chance) -> Actor {
    let stage = stage.clone();
    Actor::start(&format!("transactional processor {number}"), move |stop| {
        let identity = Identity::new(number);
        while !stop.is_asked() {
            let Some(transactor) = Transactor::connect(&stage, &identity, stop) else {
                return;
            };
            let member = Member::join(&stage);
            member.work(transactor, stop, &mut chance);
        }
    })
}

struct Member {
    consumer: Retiring<BaseConsumer<Membership>>,
    stage: Stage,
    /// The number of the consumer in the book.
    number: u32,
}

/// Inputs in the order of reading.
type Batch = Vec<Source>;

impl Member {
    fn join(stage: &Stage) -> Member {
        let config = config_at(
            &stage.bootstrap,
            &[
                ("group.id", GROUP),
                ("isolation.level", "read_committed"),
                ("enable.auto.commit", "false"),
                ("auto.offset.reset", "earliest"),
                ("session.timeout.ms", "6000"),
                ("heartbeat.interval.ms", "200"),
                ("fetch.wait.max.ms", "50"),
                ("socket.timeout.ms", "3000"),
            ],
        );
        let consumer: BaseConsumer<Membership> = config
            .create_with_context(Membership::default())
            .expect("the settings are librdkafka's");
        consumer
            .subscribe(&[TOPICS[INPUT as usize]])
            .expect("subscribing is local");
        Member {
            consumer: consumer.into(),
            stage: stage.clone(),
            number: stage.book.new_consumer(Isolation::Committed),
        }
    }

    /// Runs transactions until something is broken, or the member leaves by chance.
    fn work(&self, mut transactor: Transactor, stop: &Stop, chance: &mut Chance) {
        while !stop.is_asked() {
            let changes = self.changes();
            // What names the member and its generation is taken before the inputs are read: with a later one the broker
            // could not tell that the partitions belong to another member meanwhile.
            let owns_some = self
                .consumer
                .assignment()
                .is_ok_and(|assignment| assignment.count() > 0);
            let membership = self.consumer.group_metadata().filter(|_| owns_some);
            let (batch, membership) = match (self.read(chance), membership) {
                (batch, Some(membership)) => (batch, membership),
                // The partitions may have come with the first record; it is read again.
                (batch, None) => {
                    if !self.rewind(&batch) {
                        return;
                    }
                    continue;
                }
            };
            if self.changes() != changes || self.consumer.assignment_lost() {
                return;
            }
            if batch.is_empty() {
                continue;
            }
            if transactor.begin() == Client::Broken {
                return;
            }
            let client = self.transform(&mut transactor, &batch, chance);
            let is_aborted = client == Client::Broken || chance.one_in(8);
            let client = if chance.one_in(20) {
                return transactor.leave();
            } else if is_aborted {
                transactor.abort()
            } else if transactor.send_offsets(&positions(&batch), &membership) == Client::Broken {
                // The broker may have said that the group has moved on: the new member begins where it is.
                transactor.abort();
                return;
            } else if chance.one_in(20) {
                return transactor.commit_and_leave(chance.millis(0, 15));
            } else {
                transactor.commit()
            };
            if client == Client::Broken || (is_aborted && !self.rewind(&batch)) {
                return;
            }
        }
    }

    fn changes(&self) -> u64 {
        self.consumer.context().changes.load(Ordering::SeqCst)
    }

    fn read(&self, chance: &mut Chance) -> Batch {
        let mut batch = Batch::new();
        let wanted = usize::try_from(chance.between(1, 20)).unwrap_or(1);
        while batch.len() < wanted {
            // An error says that the broker is away, or that the group forms anew: the client goes on by itself.
            let Some(Ok(message)) = self.consumer.poll(POLL) else {
                break;
            };
            let Some(place) = place_of(message.topic(), message.partition()) else {
                continue;
            };
            let offset = message.offset();
            self.stage.book.note(Event::Polled {
                consumer: self.number,
                place,
                offset,
                value: Value::decode(message.payload().unwrap_or_default()),
            });
            batch.push(Source { place, offset });
        }
        batch
    }

    fn transform(&self, transactor: &mut Transactor, batch: &Batch, chance: &mut Chance) -> Client {
        for source in batch {
            let output = Place {
                topic: OUTPUT,
                partition: source.place.partition,
            };
            let size = usize::try_from(chance.between(20, 400)).unwrap_or(0);
            if transactor.write(output, Some(*source), size) == Client::Broken {
                return Client::Broken;
            }
        }
        Client::Usable
    }

    /// Goes back to the first inputs of the batch; false if the member has to begin anew.
    fn rewind(&self, batch: &Batch) -> bool {
        let mut first: BTreeMap<Place, i64> = BTreeMap::new();
        for source in batch {
            first.entry(source.place).or_insert(source.offset);
        }
        self.stage.book.note(Event::Positioned {
            consumer: self.number,
            isolation: Isolation::Committed,
        });
        first.iter().all(|(place, offset)| {
            let to = Offset::Offset(*offset);
            self.consumer
                .seek(place.name(), place.partition, to, Duration::from_secs(3))
                .is_ok()
        })
    }
}

/// The offsets after the last inputs of the batch.
fn positions(batch: &Batch) -> TopicPartitionList {
    let last: BTreeMap<Place, i64> = batch
        .iter()
        .map(|source| (source.place, source.offset + 1))
        .collect();
    let mut list = TopicPartitionList::new();
    for (place, offset) in last {
        list.add_partition_offset(place.name(), place.partition, Offset::Offset(offset))
            .expect("a valid offset");
    }
    list
}
