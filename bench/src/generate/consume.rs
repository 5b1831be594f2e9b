//! A librdkafka consumer at full speed: partitions are assigned, no group is formed.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::Consumed;

const ASK: Duration = Duration::from_secs(20);
/// A consumer that receives nothing for this long gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Begin {
    /// At the first records kept.
    Earliest,
    /// As many records before the end as one pass reads.
    Tail,
}

/// Which records a consumer is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Isolation {
    /// All of them.
    ReadUncommitted,
    /// Those of committed transactions.
    ReadCommitted,
}

impl Isolation {
    /// The value of `isolation.level`.
    pub fn level(self) -> &'static str {
        match self {
            Isolation::ReadUncommitted => "read_uncommitted",
            Isolation::ReadCommitted => "read_committed",
        }
    }
}

/// What to consume.
#[derive(Debug, Clone, Args)]
pub struct ConsumeOptions {
    /// Address of the broker.
    #[arg(long)]
    pub bootstrap: String,
    /// The topic.
    #[arg(long)]
    pub topic: String,
    /// Its partitions.
    #[arg(long, default_value_t = 1)]
    pub partitions: i32,
    /// Where a pass begins.
    #[arg(long, value_enum, default_value = "earliest")]
    pub from: Begin,
    /// Records of one pass, the same number of each partition.
    #[arg(long)]
    pub records: u64,
    /// Passes over the same records.
    #[arg(long, default_value_t = 1)]
    pub passes: u32,
    /// `isolation.level`, with librdkafka's default; records are counted behind it.
    #[arg(long, value_enum, default_value = "read_committed")]
    pub isolation: Isolation,
    /// Records per second at most; 0 for no limit.
    #[arg(long, default_value_t = 0)]
    pub rate: u64,
    /// Seconds after which to stop although passes are left; 0 for no limit.
    #[arg(long, default_value_t = 0.0)]
    pub seconds: f64,
}

/// Reads all passes.
///
/// # Errors
/// When the broker answers with an error or with nothing.
pub fn run(options: &ConsumeOptions) -> Result<Consumed> {
    let consumer: BaseConsumer = config(options).create()?;
    let mut done = Consumed {
        records: 0,
        bytes: 0,
        seconds: 0.0,
    };
    let began = Instant::now();
    for _ in 0..options.passes {
        if over(options, began) {
            break;
        }
        consumer.assign(&beginning(&consumer, options)?)?;
        read_pass(&consumer, options, began, &mut done)?;
    }
    Ok(done)
}

fn config(options: &ConsumeOptions) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &options.bootstrap)
        // The client wants a name although there is no group.
        .set("group.id", "thalweg-bench")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // Its own check would be the generator's cost, not the broker's.
        .set("check.crcs", "false")
        .set("isolation.level", options.isolation.level())
        .set("fetch.message.max.bytes", "1048576")
        .set("fetch.wait.max.ms", "100")
        .set("queued.max.messages.kbytes", "65536")
        .set_log_level(RDKafkaLogLevel::Emerg);
    config
}

/// First offsets of a pass.
fn beginning(consumer: &BaseConsumer, options: &ConsumeOptions) -> Result<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    let each = i64::try_from(options.records).unwrap_or(i64::MAX) / i64::from(options.partitions.max(1));
    for partition in 0..options.partitions {
        let (low, high) = consumer
            .fetch_watermarks(&options.topic, partition, ASK)
            .with_context(|| format!("offsets of {}-{partition}", options.topic))?;
        let first = match options.from {
            Begin::Earliest => low,
            Begin::Tail => (high - each).max(low),
        };
        list.add_partition_offset(&options.topic, partition, Offset::Offset(first))?;
    }
    Ok(list)
}

fn over(options: &ConsumeOptions, began: Instant) -> bool {
    options.seconds > 0.0 && began.elapsed().as_secs_f64() >= options.seconds
}

fn read_pass(
    consumer: &BaseConsumer,
    options: &ConsumeOptions,
    began: Instant,
    done: &mut Consumed,
) -> Result<()> {
    let mut of_pass = 0;
    let mut first: Option<Instant> = None;
    let mut idle = Instant::now();
    while of_pass < options.records && !over(options, began) {
        let Some(received) = consumer.poll(Duration::from_millis(100)) else {
            if idle.elapsed() > PATIENCE {
                bail!(
                    "nothing received for {PATIENCE:?}, after {of_pass} of {} records",
                    options.records
                );
            }
            continue;
        };
        let message = received?;
        done.bytes += message.payload_len() as u64;
        of_pass += 1;
        if of_pass % 256 == 1 {
            idle = Instant::now();
            let since = *first.get_or_insert(idle);
            pause(options.rate, of_pass, idle - since);
        }
    }
    done.records += of_pass;
    done.seconds += first.map_or(0.0, |since| since.elapsed().as_secs_f64());
    Ok(())
}

/// Sleeps until record number `records` is due.
fn pause(rate: u64, records: u64, elapsed: Duration) {
    if rate > 0 {
        let due = Duration::from_secs_f64(records as f64 / rate as f64);
        std::thread::sleep(due.saturating_sub(elapsed));
    }
}
