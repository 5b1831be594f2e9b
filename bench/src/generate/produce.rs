//! A librdkafka producer at full speed over any number of partitions.

use std::collections::HashSet;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext, PurgeConfig};
use rdkafka::statistics::Statistics;

use super::{Payload, Produced};

const FLUSH: Duration = Duration::from_secs(120);

/// What to produce.
#[derive(Debug, Clone, Args)]
pub struct ProduceOptions {
    /// Address of the broker.
    #[arg(long)]
    pub bootstrap: String,
    /// Topics between commas.
    #[arg(long, value_delimiter = ',')]
    pub topics: Vec<String>,
    /// Partitions of each topic.
    #[arg(long, default_value_t = 1)]
    pub partitions: i32,
    /// Bytes of a record's value.
    #[arg(long, default_value_t = 1024)]
    pub record_bytes: usize,
    /// `batch.size`.
    #[arg(long, default_value_t = 16384)]
    pub batch_bytes: usize,
    /// `linger.ms`.
    #[arg(long, default_value_t = 5)]
    pub linger_ms: u32,
    /// `compression.type`.
    #[arg(long, default_value = "none")]
    pub codec: String,
    /// `acks`.
    #[arg(long, default_value = "all")]
    pub acks: String,
    /// Kind of the values.
    #[arg(long, value_enum, default_value = "letters")]
    pub payload: Payload,
    /// Keys that are written over and over, see [`key`]; 0 for records without keys.
    #[arg(long, default_value_t = 0)]
    pub hot_keys: u64,
    /// Records to send; 0 for no limit.
    #[arg(long, default_value_t = 0)]
    pub records: u64,
    /// Seconds to send; 0 for no limit.
    #[arg(long, default_value_t = 0.0)]
    pub seconds: f64,
    /// Share of records or seconds that is not in the steady figures.
    #[arg(long, default_value_t = 0.2)]
    pub warm_up: f64,
}

impl ProduceOptions {
    /// How much of the load is done, from 0 to 1: by records or by time, whichever is further.
    fn progress(&self, sent: u64, elapsed: Duration) -> f64 {
        let part = |done: f64, all: f64| if all > 0.0 { done / all } else { 0.0 };
        part(sent as f64, self.records as f64).max(part(elapsed.as_secs_f64(), self.seconds))
    }
}

#[derive(Default)]
struct Counts {
    acknowledged: AtomicU64,
    failed: AtomicU64,
    requests: AtomicU64,
    first_failure: OnceLock<String>,
}

impl ClientContext for Counts {
    fn stats(&self, statistics: Statistics) {
        // Requests of all kinds; all but a handful are Produce.
        let requests = statistics.brokers.values().map(|broker| broker.tx).sum();
        self.requests.store(requests, Ordering::Relaxed);
    }
}

impl ProducerContext for Counts {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => self.acknowledged.fetch_add(1, Ordering::Relaxed),
            // Time was up before it was sent.
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::PurgeQueue), _)) => return,
            Err((error, _)) => {
                self.first_failure.get_or_init(|| error.to_string());
                self.failed.fetch_add(1, Ordering::Relaxed)
            }
        };
    }
}

/// Sends until the limit and waits for all answers; what is queued when time is up is not sent.
///
/// # Errors
/// When there is no limit, the client refuses its configuration, a record fails or nothing is acknowledged.
pub fn run(options: &ProduceOptions) -> Result<Produced> {
    if options.records == 0 && options.seconds <= 0.0 {
        bail!("neither --records nor --seconds: the load would not end");
    }
    let producer = producer(options)?;
    let values = options.payload.values(options.record_bytes);
    let counts = producer.context();
    let began = Instant::now();
    let mut warm: Option<(Instant, u64)> = None;
    let mut sent = 0u64;
    loop {
        let progress = options.progress(sent, began.elapsed());
        if progress >= 1.0 {
            break;
        }
        if warm.is_none() && progress >= options.warm_up {
            warm = Some((Instant::now(), counts.acknowledged.load(Ordering::Relaxed)));
        }
        // A look at the clock for each record would cost as much as the record.
        for _ in 0..64 {
            send(&producer, options, &values, sent)?;
            sent += 1;
        }
        producer.poll(Duration::ZERO);
    }
    if options.records == 0 || sent < options.records {
        // Time is up: what is still queued would go on for minutes over very many partitions.
        producer.purge(PurgeConfig::default().queue());
    }
    producer.flush(FLUSH)?;
    let ended = Instant::now();
    // The statistics come once a second, and the last ones are wanted.
    let deadline = ended + Duration::from_millis(300);
    while Instant::now() < deadline {
        producer.poll(Duration::from_millis(50));
    }
    let acknowledged = counts.acknowledged.load(Ordering::Relaxed);
    if acknowledged == 0 {
        bail!("no record was acknowledged");
    }
    let failed = counts.failed.load(Ordering::Relaxed);
    if let Some(failure) = counts.first_failure.get() {
        bail!("{failed} records failed, the first with: {failure}");
    }
    let (since, before) = warm.unwrap_or((began, 0));
    Ok(Produced {
        records: acknowledged,
        bytes: acknowledged * options.record_bytes as u64,
        steady_records: acknowledged - before,
        steady_seconds: (ended - since).as_secs_f64(),
        requests: counts.requests.load(Ordering::Relaxed),
    })
}

fn producer(options: &ProduceOptions) -> Result<BaseProducer<Counts>> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &options.bootstrap)
        .set("acks", &options.acks)
        .set("enable.idempotence", (options.acks == "all").to_string())
        .set("linger.ms", options.linger_ms.to_string())
        .set("batch.size", options.batch_bytes.to_string())
        .set("compression.type", &options.codec)
        .set("queue.buffering.max.messages", "500000")
        .set("queue.buffering.max.kbytes", "131072")
        .set("message.timeout.ms", "120000")
        .set("statistics.interval.ms", "200")
        .set_log_level(RDKafkaLogLevel::Emerg);
    Ok(config.create_with_context(Counts::default())?)
}

/// Queues record number `number`: round the topics and partitions, as a load without keys is spread.
fn send(
    producer: &BaseProducer<Counts>,
    options: &ProduceOptions,
    values: &[Vec<u8>],
    number: u64,
) -> Result<()> {
    let topics = options.topics.len().max(1) as u64;
    let partitions = u64::try_from(options.partitions.max(1)).unwrap_or(1);
    let place = usize::try_from(number % topics).unwrap_or(0);
    let Some(topic) = options.topics.get(place) else {
        bail!("no topic is given");
    };
    let partition = i32::try_from(number / topics % partitions).unwrap_or(0);
    let value = &values[usize::try_from(number).unwrap_or(0) % values.len()];
    let key = (options.hot_keys > 0).then(|| key(number, options.hot_keys));
    let mut record: BaseRecord<'_, String, Vec<u8>> =
        BaseRecord::to(topic).partition(partition).payload(value);
    record.key = key.as_ref();
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                record = back;
                producer.poll(Duration::from_millis(1));
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
}

/// One record of so many has a key that comes once.
const ONCE_EVERY: u64 = 4;

/// The key of record number `number`: every fourth has its own, the others go round `hot` keys in a scattered order.
pub fn key(number: u64, hot: u64) -> String {
    if number.is_multiple_of(ONCE_EVERY) {
        return format!("once-{number:012}");
    }
    // Scattered by a multiplication, so that each run and each broker gets the same.
    let scattered = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    format!("hot-{:012}", scattered % hot.max(1))
}

/// Records of `records` that compaction leaves if all are in sealed segments: the newest of each key.
pub fn kept(records: u64, hot: u64) -> u64 {
    let mut seen = HashSet::new();
    let others = (0..records).filter(|number| !number.is_multiple_of(ONCE_EVERY));
    seen.extend(others.map(|number| key(number, hot)));
    records.div_ceil(ONCE_EVERY) + seen.len() as u64
}

#[cfg(test)]
#[path = "produce_test.rs"]
mod tests;
