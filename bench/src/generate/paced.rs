//! An open-loop producer: records are due at fixed times, whether or not the broker keeps up.
//!
//! A burst of records is due each millisecond or so. Latency is the time of acknowledgement less the time when the
//! record was **due**, so that a stall of the broker is felt by all records that it delays and not by one alone. At
//! most five requests are in flight, as Kafka's own producer has it; what is due meanwhile goes with the next request.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use bytes::Bytes;
use clap::Args;
use thalweg_client::{
    Acks, ClientConfig, Cluster, Connection, ProduceBatch, ProduceOptions as Options, TopicPartition,
};
use thalweg_types::{PartitionIndex, TimestampMs};
use thalweg_wire::records::{BatchBuilder, BatchOptions};
use tokio::sync::Semaphore;

use super::{Paced, Payload};
use crate::histogram::Histogram;

/// `max.in.flight.requests.per.connection` of Kafka's producer.
const IN_FLIGHT_MAX: usize = 5;
/// Records of one partition in one request at most, after a stall: 1 MiB of 1 KiB records is what brokers take.
const BATCH_RECORDS_MAX: usize = 900;
const ANSWER: Duration = Duration::from_secs(60);

/// What to produce, and when.
#[derive(Debug, Clone, Args)]
pub struct PacedOptions {
    /// Address of the broker.
    #[arg(long)]
    pub bootstrap: String,
    /// The topics, between commas; bursts go round them.
    #[arg(long, value_delimiter = ',')]
    pub topics: Vec<String>,
    /// Partitions of each.
    #[arg(long, default_value_t = 1)]
    pub partitions: i32,
    /// Records per second.
    #[arg(long)]
    pub rate: u64,
    /// Bursts per second.
    #[arg(long, default_value_t = 1000)]
    pub bursts: u64,
    /// Bytes of a record's value.
    #[arg(long, default_value_t = 1024)]
    pub record_bytes: usize,
    /// Seconds to send.
    #[arg(long)]
    pub seconds: f64,
    /// Seconds at the beginning that are not in the percentiles.
    #[arg(long, default_value_t = 5.0)]
    pub warm_up_seconds: f64,
}

/// Records of one burst that are due together.
#[derive(Clone, Copy, Debug)]
struct Due {
    number: u64,
    at: Instant,
}

struct Run {
    connection: Connection,
    options: PacedOptions,
    values: Vec<Vec<u8>>,
    began: Instant,
    slots: Arc<Semaphore>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    histogram: Histogram,
    all: u64,
    requests: u64,
    failure: Option<String>,
}

/// Sends on schedule until the end and waits for all answers.
///
/// # Errors
/// When the broker refuses a record, or does not answer.
pub fn run(options: &PacedOptions) -> Result<Paced> {
    if options.bursts == 0 || options.rate < options.bursts || options.topics.is_empty() {
        bail!("a paced load needs topics, bursts, and at least one record in each burst");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let config = ClientConfig {
        client_id: "thalweg-bench-paced".to_owned(),
        request_timeout: ANSWER,
        ..ClientConfig::new(vec![options.bootstrap.parse()?])
    };
    let first = TopicPartition::new(options.topics[0].clone(), PartitionIndex(0));
    let connection = runtime.block_on(async { Cluster::connect(config).await?.leader(&first).await })?;
    let run = Arc::new(Run {
        connection,
        options: options.clone(),
        values: Payload::Letters.values(options.record_bytes),
        began: Instant::now(),
        slots: Arc::new(Semaphore::new(IN_FLIGHT_MAX)),
        seen: Mutex::new(Seen::default()),
    });
    let due = pace(&runtime, &run)?;
    let every = u32::try_from(IN_FLIGHT_MAX)?;
    // All slots free: every request is answered.
    let all =
        runtime.block_on(async { tokio::time::timeout(ANSWER, run.slots.acquire_many(every)).await })??;
    drop(all);
    run.report(due)
}

/// Sends what is due whenever a slot is free; returns how many records were due after the warm-up.
fn pace(runtime: &tokio::runtime::Runtime, run: &Arc<Run>) -> Result<u64> {
    let options = &run.options;
    let step = Duration::from_secs_f64(1.0 / options.bursts as f64);
    let bursts = (options.seconds * options.bursts as f64) as u64;
    let each = options.rate / options.bursts;
    let mut waiting: VecDeque<Due> = VecDeque::new();
    let mut next = 0u64;
    let mut due_after_warm_up = 0;
    while next < bursts || !waiting.is_empty() {
        let now = Instant::now();
        while next < bursts && run.began + step * u32::try_from(next)? <= now {
            let at = run.began + step * u32::try_from(next)?;
            if run.counts(at) {
                due_after_warm_up += each;
            }
            waiting.push_back(Due { number: next, at });
            next += 1;
        }
        run.check()?;
        if !waiting.is_empty()
            && let Ok(slot) = run.slots.clone().try_acquire_owned()
        {
            let bursts = waiting.len().min(run.bursts_per_request(each));
            let taken: Vec<Due> = waiting.drain(..bursts).collect();
            let run = run.clone();
            runtime.spawn(async move {
                run.send(&taken, each).await;
                drop(slot);
            });
            continue;
        }
        let until = match waiting.is_empty() {
            true => (run.began + step * u32::try_from(next)?).saturating_duration_since(Instant::now()),
            // A slot comes free within a round trip.
            false => Duration::from_micros(50),
        };
        std::thread::sleep(until);
    }
    Ok(due_after_warm_up)
}

impl Run {
    /// Whether records due at `at` are in the percentiles.
    fn counts(&self, at: Instant) -> bool {
        (at - self.began).as_secs_f64() >= self.options.warm_up_seconds
    }

    fn bursts_per_request(&self, each: u64) -> usize {
        let records = BATCH_RECORDS_MAX * usize::try_from(self.options.partitions).unwrap_or(1);
        (records / usize::try_from(each).unwrap_or(1).max(1)).clamp(1, 200)
    }

    async fn send(&self, bursts: &[Due], each: u64) {
        let outcome = match self.batches(bursts, each) {
            Ok(batches) => self.produce(batches).await,
            Err(error) => Err(error),
        };
        let answered = Instant::now();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.requests += 1;
        match outcome {
            Ok(()) => {
                for burst in bursts {
                    seen.all += each;
                    if self.counts(burst.at) {
                        let waited = answered.saturating_duration_since(burst.at).as_nanos();
                        seen.histogram
                            .note(u64::try_from(waited).unwrap_or(u64::MAX), each);
                    }
                }
            }
            Err(error) => seen.failure = Some(format!("{error:#}")),
        }
    }

    /// One batch per partition with the records of these bursts.
    fn batches(&self, bursts: &[Due], each: u64) -> Result<Vec<ProduceBatch>> {
        let topics = self.options.topics.len() as u64;
        let partitions = u64::try_from(self.options.partitions.max(1))?;
        let mut builders: std::collections::BTreeMap<(u64, u64), BatchBuilder> = Default::default();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        let now = TimestampMs(i64::try_from(now.as_millis())?);
        for burst in bursts {
            for record in 0..each {
                let number = burst.number * each + record;
                let partition = number % (topics * partitions);
                let builder = builders
                    .entry((partition / partitions, partition % partitions))
                    .or_insert_with(|| BatchBuilder::new(BatchOptions::default()));
                let value = &self.values[usize::try_from(number)? % self.values.len()];
                builder.push(now, None, Some(value), &[])?;
            }
        }
        let batch = |((topic, partition), builder): ((u64, u64), BatchBuilder)| -> Result<ProduceBatch> {
            let topic = &self.options.topics[usize::try_from(topic)?];
            let index = PartitionIndex(i32::try_from(partition)?);
            Ok(ProduceBatch {
                partition: TopicPartition::new(topic.clone(), index),
                records: Bytes::from(builder.build()?),
            })
        };
        builders.into_iter().map(batch).collect()
    }

    async fn produce(&self, batches: Vec<ProduceBatch>) -> Result<()> {
        let options = Options {
            acks: Acks::All,
            timeout: ANSWER,
        };
        for produced in self.connection.produce(batches, options).await? {
            produced.result?;
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match &seen.failure {
            Some(failure) => Err(anyhow!("a paced record failed: {failure}")),
            None => Ok(()),
        }
    }

    fn report(&self, due: u64) -> Result<Paced> {
        self.check()?;
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let ms = |percent| seen.histogram.percentile(percent) as f64 / 1e6;
        Ok(Paced {
            due,
            acknowledged: seen.histogram.total(),
            all_acknowledged: seen.all,
            requests: seen.requests,
            p50_ms: ms(50.0),
            p95_ms: ms(95.0),
            p99_ms: ms(99.0),
            p999_ms: ms(99.9),
            max_ms: seen.histogram.max() as f64 / 1e6,
        })
    }
}
