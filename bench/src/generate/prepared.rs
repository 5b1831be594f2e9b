//! One prepared batch, sent over and over to very many partitions.
//!
//! A client's producer keeps a queue for each partition; over ten thousand of them it is the client that is busy, and its
//! batches hold a record or two. This one sends full batches, so that what is measured is the broker. A connection has its
//! own partitions and goes round them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use clap::Args;
use thalweg_client::{
    ClientConfig, Connection, ProduceBatch, ProduceOptions as Call, TopicPartition, parse_bootstrap,
};
use thalweg_types::{ErrorCode, PartitionIndex, TimestampMs};
use thalweg_wire::records::{BatchBuilder, BatchOptions};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{Payload, Produced};

const CONNECTIONS: usize = 8;
/// Requests of a connection that wait for their answers together, as Kafka's producers have them.
const IN_FLIGHT: usize = 5;
/// Batches of one request, as many as a producer would find ready.
const BATCHES_OF_REQUEST: usize = 8;
/// How long a partition may take to be led.
const LED: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

/// What to produce.
#[derive(Debug, Clone, Args)]
pub struct PreparedOptions {
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
    /// Bytes of the values of a batch.
    #[arg(long, default_value_t = 16384)]
    pub batch_bytes: usize,
    /// Records to send; rounded up to whole requests of every connection.
    #[arg(long)]
    pub records: u64,
    /// Seconds after which the load ends in any case; 0 for never.
    #[arg(long, default_value_t = 0.0)]
    pub seconds: f64,
    /// Share of the records, or of the seconds, that is not in the steady figures.
    #[arg(long, default_value_t = 0.2)]
    pub warm_up: f64,
}

impl PreparedOptions {
    fn records_of_batch(&self) -> u64 {
        (self.batch_bytes as u64 / self.record_bytes.max(1) as u64).max(1)
    }

    fn batch(&self) -> Result<Bytes> {
        let mut builder = BatchBuilder::new(BatchOptions::default());
        let values = Payload::Letters.values(self.record_bytes);
        let count = usize::try_from(self.records_of_batch()).unwrap_or(usize::MAX);
        // An older time would have retention delete the records while they are counted.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        let now = TimestampMs(i64::try_from(now.as_millis())?);
        for value in values.iter().cycle().take(count) {
            builder.push(now, None, Some(value), &[])?;
        }
        Ok(Bytes::from(builder.build()?))
    }

    /// The partitions of each connection.
    fn shares(&self) -> Vec<Vec<TopicPartition>> {
        let mut shares = vec![Vec::new(); CONNECTIONS];
        let all = self
            .topics
            .iter()
            .flat_map(|topic| (0..self.partitions).map(move |index| (topic, index)));
        for (number, (topic, index)) in all.enumerate() {
            shares[number % CONNECTIONS].push(TopicPartition::new(topic.clone(), PartitionIndex(index)));
        }
        shares.retain(|share| !share.is_empty());
        shares
    }
}

/// How long the load lasts, and when it begins to count: by batches or by time, whichever comes first.
#[derive(Clone, Copy)]
struct Limits {
    began: Instant,
    warm_batches: u64,
    warm_seconds: f64,
    seconds: f64,
}

impl Limits {
    fn is_over(&self) -> bool {
        self.seconds > 0.0 && self.began.elapsed().as_secs_f64() >= self.seconds
    }

    fn is_warm(&self, batches: u64) -> bool {
        let by_time = self.seconds > 0.0 && self.began.elapsed().as_secs_f64() >= self.warm_seconds;
        by_time || batches >= self.warm_batches
    }
}

/// What all connections count together.
struct Counts {
    /// Batches that nobody has begun to send.
    left: AtomicI64,
    batches: AtomicU64,
    requests: AtomicU64,
    steady: AtomicU64,
}

/// Sends and waits for all answers.
///
/// # Errors
/// When a batch is refused, or a partition has no leader within a minute.
pub fn run(options: &PreparedOptions) -> Result<Produced> {
    if options.topics.is_empty() || options.partitions < 1 || options.records == 0 {
        bail!("at least one topic, one partition and one record");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(send_all(options))
}

async fn send_all(options: &PreparedOptions) -> Result<Produced> {
    let batch = options.batch()?;
    let config = ClientConfig::new(parse_bootstrap(&options.bootstrap).map_err(|error| anyhow!("{error}"))?);
    let address = config.bootstrap.first().context("no address")?.clone();
    let batches = options.records.div_ceil(options.records_of_batch());
    let warm_up = options.warm_up.clamp(0.0, 1.0);
    let counts = Arc::new(Counts {
        left: AtomicI64::new(i64::try_from(batches)?),
        batches: AtomicU64::new(0),
        requests: AtomicU64::new(0),
        steady: AtomicU64::new(0),
    });
    let limits = Limits {
        began: Instant::now(),
        warm_batches: (batches as f64 * warm_up) as u64,
        warm_seconds: options.seconds * warm_up,
        seconds: options.seconds,
    };
    let mut tasks = JoinSet::new();
    for share in options.shares() {
        let connection = Connection::connect(&address, &config)
            .await
            .map_err(|error| anyhow!("{error}"))?;
        let share = Arc::new(share);
        let turn = Arc::new(AtomicU64::new(0));
        for _ in 0..IN_FLIGHT {
            let sender = Sender {
                connection: connection.clone(),
                share: share.clone(),
                turn: turn.clone(),
                batch: batch.clone(),
                counts: counts.clone(),
                limits,
            };
            tasks.spawn(sender.work());
        }
    }
    let mut steady_since: Option<Instant> = None;
    while let Some(ended) = tasks.join_next().await {
        if let Some(since) = ended?? {
            steady_since = Some(steady_since.map_or(since, |other| other.min(since)));
        }
    }
    let seconds = steady_since
        .context("nothing was sent after the warm-up")?
        .elapsed();
    let records = |batches: &AtomicU64| batches.load(Ordering::Relaxed) * options.records_of_batch();
    Ok(Produced {
        records: records(&counts.batches),
        bytes: records(&counts.batches) * options.record_bytes as u64,
        steady_records: records(&counts.steady),
        steady_seconds: seconds.as_secs_f64(),
        requests: counts.requests.load(Ordering::Relaxed),
    })
}

/// One of the requests that a connection has under way.
struct Sender {
    connection: Connection,
    share: Arc<Vec<TopicPartition>>,
    /// Where the connection is in its round.
    turn: Arc<AtomicU64>,
    batch: Bytes,
    counts: Arc<Counts>,
    limits: Limits,
}

impl Sender {
    /// Sends until nothing is left; says when it first sent something after the warm-up.
    async fn work(self) -> Result<Option<Instant>> {
        let size = BATCHES_OF_REQUEST.min(self.share.len());
        let mut steady_since = None;
        while !self.limits.is_over() && self.counts.left.fetch_sub(size as i64, Ordering::Relaxed) > 0 {
            let is_steady = self.limits.is_warm(self.counts.batches.load(Ordering::Relaxed));
            if is_steady {
                steady_since.get_or_insert_with(Instant::now);
            }
            let first = self.turn.fetch_add(size as u64, Ordering::Relaxed);
            let partitions = (first..first + size as u64)
                .map(|place| self.share[(place % self.share.len() as u64) as usize].clone())
                .collect();
            self.send(partitions).await?;
            self.counts.batches.fetch_add(size as u64, Ordering::Relaxed);
            if is_steady {
                self.counts.steady.fetch_add(size as u64, Ordering::Relaxed);
            }
        }
        Ok(steady_since)
    }

    /// Sends a batch to each partition, again to those that are not led yet.
    async fn send(&self, mut partitions: Vec<TopicPartition>) -> Result<()> {
        let deadline = Instant::now() + LED;
        loop {
            let batches = partitions.iter().map(|partition| ProduceBatch {
                partition: partition.clone(),
                records: self.batch.clone(),
            });
            let sent = self.connection.produce(batches.collect(), Call::default()).await;
            self.counts.requests.fetch_add(1, Ordering::Relaxed);
            partitions.clear();
            for answer in sent.map_err(|error| anyhow!("{error}"))? {
                match answer.result {
                    Ok(_) => {}
                    Err(error) if is_not_led_yet(error.code) && Instant::now() < deadline => {
                        partitions.push(answer.partition);
                    }
                    Err(error) => bail!("{error}"),
                }
            }
            if partitions.is_empty() {
                return Ok(());
            }
            sleep(PAUSE).await;
        }
    }
}

fn is_not_led_yet(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::UnknownTopicOrPartition | ErrorCode::NotLeaderOrFollower | ErrorCode::LeaderNotAvailable
    )
}

#[cfg(test)]
#[path = "prepared_test.rs"]
mod tests;
