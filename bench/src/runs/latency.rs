//! 20,000 records a second in an open loop, over several turnovers of the write-ahead log, while segments are written
//! and rolled, retention deletes them, and a reader fetches old records from the disk.

use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};

use super::Contender;
use crate::account::Account;
use crate::admin::Topics;
use crate::figures::{Figures, names};
use crate::generate::{self, Consumed, Paced};
use crate::lineup::{FILLED_PARTITIONS, FILLED_RECORD_BYTES, Lineup};
use crate::scenario::Scale;
use crate::side;

const RATE: u64 = 20_000;
const RECORD_BYTES: u64 = 1 << 10;
const PARTITIONS: i32 = 8;
/// Records per second that the cold reader takes.
const READ_RATE: u64 = 4_000;
/// What the cold reader reads in one pass; it does not come round within a run.
const READ_BYTES: u64 = 400 << 20;

/// Rolls every few seconds, and retention has something to delete all the time.
const CONFIGS: [(&str, &str); 2] = [("segment.bytes", "8388608"), ("retention.bytes", "16777216")];

/// One round.
///
/// # Errors
/// When the broker or a generator fails.
pub fn round(lineup: &mut Lineup, contender: Contender) -> Result<Figures> {
    let product = contender.product();
    let seconds: f64 = match lineup.scale() {
        // At 20 MB/s, more than three turnovers of `lineup::turnover_sizes`.
        Scale::Full => 48.0,
        Scale::Quick => 15.0,
    };
    lineup.filled(product)?;
    let others = lineup.others(product);
    let served = lineup.served(product)?;
    let admin = served.admin()?;
    let topics = Topics::spread("paced", PARTITIONS);
    let mut configs = CONFIGS.to_vec();
    if contender == Contender::KafkaFlushed {
        configs.push(("flush.messages", "1"));
    }
    admin.create(&topics, &configs)?;
    let account = Account::open(served.pid()?, &others, &served.data())?;
    side::drop_cached(&served.data())?;
    let within = Duration::from_secs_f64(seconds + 90.0);
    let read = cold_reader(served.bootstrap(), seconds);
    let send = paced_producer(served.bootstrap(), &topics, seconds);
    let (paced, consumed) = thread::scope(|scope| {
        let reader = scope.spawn(|| generate::outcome::<Consumed>("consume", &read, within));
        let paced = generate::outcome::<Paced>("paced", &send, within);
        let consumed = reader
            .join()
            .unwrap_or_else(|_| Err(anyhow!("the cold reader failed")));
        (paced, consumed)
    });
    let (paced, consumed) = (paced?, consumed?);
    let costs = account.close(&served.data())?;
    admin.delete(&topics)?;
    ensure!(consumed.records > 0, "the cold reader read nothing");
    let bytes = (paced.all_acknowledged * RECORD_BYTES) as f64;
    let mut figures = costs.figures(bytes, paced.all_acknowledged as f64, Some(paced.requests as f64));
    figures.extend(percentiles(&paced));
    Ok(figures)
}

/// The percentiles of a paced load, and the share of its records that came home.
pub fn percentiles(paced: &Paced) -> Figures {
    let values = [
        (names::P50, paced.p50_ms),
        (names::P95, paced.p95_ms),
        (names::P99, paced.p99_ms),
        (names::P999, paced.p999_ms),
        (names::MAX, paced.max_ms),
        (
            names::DELIVERED,
            paced.acknowledged as f64 / paced.due.max(1) as f64,
        ),
    ];
    values
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn paced_producer(bootstrap: &str, topics: &Topics, seconds: f64) -> Vec<String> {
    vec![
        format!("--bootstrap={bootstrap}"),
        format!("--topics={}", topics.names.join(",")),
        format!("--partitions={}", topics.partitions),
        format!("--rate={RATE}"),
        format!("--record-bytes={RECORD_BYTES}"),
        format!("--seconds={seconds}"),
        format!("--warm-up-seconds={}", seconds / 6.0),
    ]
}

fn cold_reader(bootstrap: &str, seconds: f64) -> Vec<String> {
    vec![
        format!("--bootstrap={bootstrap}"),
        format!("--topic={}", crate::lineup::FILLED_TOPIC),
        format!("--partitions={FILLED_PARTITIONS}"),
        format!("--records={}", READ_BYTES / FILLED_RECORD_BYTES),
        "--passes=1000".to_owned(),
        format!("--rate={READ_RATE}"),
        format!("--seconds={seconds}"),
    ]
}
