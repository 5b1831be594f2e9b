//! A steady load from a real client, and the oracle that compares what was acknowledged with what is there.
//!
//! Each record carries its number, so that loss, repetition and disorder show by name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::broker::Broker;
use crate::clients::librdkafka::{Consumed, Delivery, Producer, Record};
use crate::{wait, watchdog};

/// What a load sends.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// The topic, which must exist.
    pub topic: &'static str,
    /// Its partitions; record n goes to partition n modulo this.
    pub partitions: i32,
    /// Size of a value in bytes, at least 20.
    pub value_bytes: usize,
    /// Pause between two records.
    pub pause: Duration,
}

/// A producer that sends until it is stopped, through every death of the broker.
pub struct Load {
    shape: Shape,
    producer: Arc<Producer>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Load {
    /// Starts an idempotent producer: it repeats what a killed broker did not answer, and the broker drops repetitions.
    pub fn start(broker: &Broker, shape: Shape) -> Load {
        let settings = [
            ("enable.idempotence", "true"),
            ("linger.ms", "2"),
            ("message.timeout.ms", "120000"),
            // What gathers while the broker is away must fit into topics with small limits.
            ("batch.size", "200000"),
        ];
        let producer = Arc::new(Producer::new(broker, &settings));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = {
            let (producer, stop) = (producer.clone(), stop.clone());
            std::thread::spawn(move || {
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) {
                    producer.send(shape.topic, &shape.record(number));
                    number += 1;
                    std::thread::sleep(shape.pause);
                }
            })
        };
        Load {
            shape,
            producer,
            stop,
            thread,
        }
    }

    /// How many records are acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        let deliveries = self.producer.deliveries();
        deliveries
            .values()
            .filter(|delivery| matches!(delivery, Delivery::Acknowledged { .. }))
            .count()
    }

    /// Waits until `more` further records are acknowledged.
    #[track_caller]
    pub fn wait_for(&self, more: usize) {
        let before = self.acknowledged();
        wait::until("the broker acknowledges further records", || {
            self.acknowledged() >= before + more
        });
    }

    /// Stops sending, waits for all answers and returns them.
    ///
    /// # Panics
    /// When a record failed: an idempotent producer has time enough to bring each one home.
    #[track_caller]
    pub fn stop(self) -> Sent {
        self.stop.store(true, Ordering::Relaxed);
        watchdog::join("the load", 2 * wait::PATIENCE, self.thread);
        Sent {
            shape: self.shape,
            places: self.producer.flush_acknowledged(),
        }
    }
}

impl Shape {
    fn record(&self, number: usize) -> Record {
        let partition = i32::try_from(number).unwrap_or(i32::MAX) % self.partitions;
        let mut value = format!("{number:>19} ").into_bytes();
        value.resize(self.value_bytes.max(value.len()), b'.');
        Record::new("k", value).to_partition(partition)
    }
}

/// The acknowledged records of a load, by number.
#[derive(Debug, Clone)]
pub struct Sent {
    shape: Shape,
    places: Vec<(i32, i64)>,
}

impl Sent {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.places.len()
    }

    /// Partition and offset of each record, in the order of sending.
    pub fn places(&self) -> impl Iterator<Item = (i32, i64)> + '_ {
        self.places.iter().copied()
    }

    /// Asserts that `read`, sorted by partition and offset, holds each acknowledged record once, at its offset, in the
    /// order of sending, and nothing else.
    #[track_caller]
    pub fn assert_each_once(&self, read: &[Consumed]) {
        assert!(
            self.count() > 0,
            "a load without an acknowledged record proves nothing"
        );
        let found: BTreeMap<(i32, i64), &Consumed> = read
            .iter()
            .map(|record| ((record.partition, record.offset), record))
            .collect();
        assert_eq!(found.len(), read.len(), "an offset came twice");
        for (number, place) in self.places.iter().enumerate() {
            let expected = self.shape.record(number);
            match found.get(place) {
                Some(record) if record.value == expected.value => {}
                Some(record) => {
                    panic!(
                        "record {number} was acknowledged at {place:?}; there is {}",
                        record.text()
                    )
                }
                None => panic!("record {number} was acknowledged at {place:?} and is lost"),
            }
        }
        assert_eq!(
            read.len(),
            self.count(),
            "records are there that were never acknowledged, or twice"
        );
        for pair in read.windows(2) {
            let same_partition = pair[0].partition == pair[1].partition;
            assert!(
                !same_partition || pair[0].text() < pair[1].text(),
                "out of order: {:?}",
                pair
            );
        }
    }
}

#[cfg(test)]
#[path = "load_test.rs"]
mod tests;
