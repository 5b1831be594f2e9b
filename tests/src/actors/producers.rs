//! Producers that send stamped records until they are stopped. Delivery reports are the acknowledgements.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, Message};

use super::{Actor, Stop, Theatre, Topic};
use crate::chance::Chance;
use crate::clients::librdkafka::config_at;
use crate::history::{History, Promise, Stamp};

/// How long a producer may need for its last records.
const FLUSH: Duration = Duration::from_secs(120);

/// How fast a producer sends: bursts of random length with random pauses.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The longest burst, in records.
    pub burst_max: u64,
    /// The longest pause between two bursts, in milliseconds.
    pub pause_ms_max: u64,
    /// The smallest and largest value, in bytes.
    pub value_bytes: (u64, u64),
}

/// What a producer does.
#[derive(Debug, Clone)]
pub struct ProducerPlan {
    /// Where to.
    pub topic: Topic,
    /// Idempotent or plain.
    pub promise: Promise,
    /// How fast.
    pub pace: Pace,
    /// Settings of librdkafka on top.
    pub settings: Vec<(String, String)>,
}

/// The context that writes delivery reports into the history.
pub(super) struct Reports {
    history: Arc<Mutex<History>>,
}

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Stamp>;

    fn delivery(&self, result: &DeliveryResult<'_>, stamp: Box<Stamp>) {
        let mut history = self.history.lock().expect("no holder panics");
        match result {
            Ok(message) => {
                if message.partition() != stamp.partition {
                    history.breach(format!(
                        "{stamp:?} was acknowledged in partition {}",
                        message.partition()
                    ));
                }
                history.acknowledged(*stamp, Some(message.offset()).filter(|offset| *offset >= 0));
            }
            Err((error, _)) => history.failed(*stamp, &error.to_string()),
        }
    }
}

/// A producer that writes down what it sends and what becomes of it.
pub(super) struct StampingProducer {
    inner: ThreadedProducer<Reports>,
    theatre: Theatre,
    topic: Topic,
    number: u32,
    sent: u64,
}

impl StampingProducer {
    pub(super) fn new(
        theatre: &Theatre,
        topic: &Topic,
        promise: Promise,
        settings: &[(String, String)],
    ) -> Self {
        let mut config: ClientConfig = config_at(
            &theatre.bootstrap,
            &[
                ("acks", "all"),
                ("message.timeout.ms", "600000"),
                ("queue.buffering.max.messages", "1000"),
                ("retry.backoff.ms", "20"),
                ("batch.size", "60000"),
                ("linger.ms", "1"),
                // A topic that was made a moment ago may be asked for before it is known.
                ("topic.metadata.refresh.fast.interval.ms", "50"),
                ("topic.metadata.propagation.max.ms", "60000"),
            ],
        );
        match promise {
            Promise::Once => config.set("enable.idempotence", "true"),
            Promise::AtLeastOnce => config.set("max.in.flight.requests.per.connection", "1"),
        };
        for (key, value) in settings {
            config.set(key, value);
        }
        let context = Reports {
            history: theatre.history.clone(),
        };
        Self {
            inner: config
                .create_with_context(context)
                .expect("the settings are librdkafka's"),
            theatre: theatre.clone(),
            topic: topic.clone(),
            number: theatre.history().add_producer(promise),
            sent: 0,
        }
    }

    /// Hands one record to the client; false if there is no room until `stop` is asked for.
    pub(super) fn send(&mut self, partition: i32, size: usize, stop: &Stop) -> bool {
        let stamp = Stamp {
            topic: self.topic.number,
            partition,
            producer: self.number,
            number: self.sent,
        };
        self.theatre.history().sent(stamp);
        let value = stamp.value(size);
        let mut record = BaseRecord::with_opaque_to(&self.topic.name, Box::new(stamp))
            .partition(partition)
            .payload(&value)
            .key("k");
        while !stop.is_asked() {
            match self.inner.send(record) {
                Ok(()) => {
                    self.sent += 1;
                    return true;
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), returned)) => {
                    record = returned;
                    stop.pause(Duration::from_millis(5));
                }
                Err((error, _)) => panic!("{stamp:?} was refused by the client: {error}"),
            }
        }
        // The next one takes its number: nobody has seen this one.
        self.theatre.history().unsent(stamp);
        false
    }

    /// Waits until all records are answered; an unanswered one is found by the history's own count.
    pub(super) fn flush(&self) {
        let deadline = Instant::now() + FLUSH;
        while self.inner.in_flight_count() > 0 && Instant::now() < deadline {
            let _ = self.inner.flush(Duration::from_secs(1));
        }
    }
}

/// Starts a producer.
pub fn start_producer(theatre: &Theatre, plan: ProducerPlan, mut chance: Chance) -> Actor {
    let mut producer = StampingProducer::new(theatre, &plan.topic, plan.promise, &plan.settings);
    let partitions = usize::try_from(plan.topic.partitions).unwrap_or(1);
    Actor::start(&format!("producer of {}", plan.topic.name), move |stop| {
        while !stop.is_asked() {
            let (small, large) = plan.pace.value_bytes;
            for _ in 0..chance.between(1, plan.pace.burst_max) {
                let partition = i32::try_from(chance.index(partitions)).unwrap_or(0);
                let size = usize::try_from(chance.between(small, large)).unwrap_or(0);
                if !producer.send(partition, size, stop) {
                    break;
                }
            }
            stop.pause(chance.millis(0, plan.pace.pause_ms_max));
        }
        producer.flush();
    })
}
