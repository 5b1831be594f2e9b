//! 10,000 partitions: at rest with sealed segments, started after SIGKILL, and with a trickle of records each.

use std::time::Duration;

use anyhow::Result;

use super::{Contender, latency, start};
use crate::account::{self, Account};
use crate::admin::Topics;
use crate::figures::{Figures, names};
use crate::generate::{self, Paced};
use crate::lineup::{self, Lineup};
use crate::scenario::{Generator, Produce, Scale};
use crate::side::{self, Served};

const RECORD_BYTES: u64 = 1 << 10;
/// Records that each partition gets, one a segment: two sealed ones and an active one.
const SEGMENTS: u32 = 3;
/// A record this much younger than its segment's first begins a new segment.
const SEGMENT_AGE: Duration = Duration::from_millis(500);

/// Records per second over all partitions: one for each in a full run.
const TRICKLE_RATE: u64 = 10_000;

fn partitions(scale: Scale) -> i32 {
    match scale {
        Scale::Full => 10_000,
        Scale::Quick => 1_000,
    }
}

/// Partitions with sealed segments, at rest; then killed and started.
///
/// # Errors
/// When the broker does not take the records or does not start.
pub fn sealed(lineup: &mut Lineup, contender: Contender) -> Result<Figures> {
    lineup.stop_all()?;
    let scale = lineup.scale();
    let sizes = lineup::turnover_sizes(scale);
    let mut served = Served::prepare(contender.product(), sizes)?;
    served.start()?;
    let topics = Topics::spread("crowd", partitions(scale));
    let admin = served.admin()?;
    let age = SEGMENT_AGE.as_millis().to_string();
    admin.create(&topics, &[("segment.ms", &age), ("retention.ms", "-1")])?;
    for _ in 0..SEGMENTS {
        let load = load(
            topics.partitions,
            u64::try_from(partitions(scale)).unwrap_or(0) * RECORD_BYTES,
        );
        fill(&mut served, &topics, &load)?;
        std::thread::sleep(SEGMENT_AGE * 2);
    }
    push_out(&served, sizes.wal_max_bytes.unwrap_or(0) * 2)?;
    account::settle(served.pid()?, &served.data())?;
    side::drop_cached(&served.data())?;
    let mut figures = start::idle(&served)?;
    if let Some(after_load) = figures.remove(names::RESIDENT) {
        figures.insert("RSS MiB after the load".to_owned(), after_load);
    }
    figures.extend(start::replay(&served));
    served.kill_nine();
    side::drop_cached(&served.data())?;
    figures.insert(
        names::FIRST_PRODUCE.to_owned(),
        start::first_produce(&mut served, topics.first())?,
    );
    side::drop_cached(&served.data())?;
    let idle = start::idle(&served)?;
    for name in [names::RESIDENT, names::DESCRIPTORS, names::IDLE_CPU] {
        if let Some(value) = idle.get(name) {
            figures.insert(name.to_owned(), *value);
        }
    }
    served.stop()?;
    let began = std::time::Instant::now();
    served.start()?;
    figures.insert(names::START_AGAIN.to_owned(), began.elapsed().as_secs_f64());
    served.stop()?;
    Ok(figures)
}

/// One record a second for each partition, over three turnovers of the write-ahead log and more.
///
/// # Errors
/// When the broker does not keep up at all.
pub fn trickle(lineup: &mut Lineup, contender: Contender) -> Result<Figures> {
    lineup.stop_all()?;
    let scale = lineup.scale();
    let sizes = lineup::turnover_sizes(scale);
    let mut served = Served::prepare(contender.product(), sizes)?;
    served.start()?;
    let topics = Topics::spread("trickle", partitions(scale));
    served.admin()?.create(&topics, &[])?;
    let turnover = sizes.wal_max_bytes.unwrap_or(0) as f64 / (TRICKLE_RATE * RECORD_BYTES) as f64;
    let seconds = (turnover * 3.3).ceil();
    let account = Account::open(served.pid()?, &[], &served.data())?;
    let arguments = [
        format!("--bootstrap={}", served.bootstrap()),
        format!("--topics={}", topics.names.join(",")),
        format!("--partitions={}", topics.partitions),
        format!("--rate={TRICKLE_RATE}"),
        "--bursts=100".to_owned(),
        format!("--record-bytes={RECORD_BYTES}"),
        format!("--seconds={seconds}"),
        format!("--warm-up-seconds={}", seconds / 3.0),
    ];
    let within = Duration::from_secs_f64(seconds * 3.0 + 120.0);
    let paced: Paced = generate::outcome("paced", &arguments, within)?;
    let costs = account.close(&served.data())?;
    served.stop()?;
    let bytes = (paced.all_acknowledged * RECORD_BYTES) as f64;
    let mut figures = costs.figures(bytes, paced.all_acknowledged as f64, Some(paced.requests as f64));
    figures.extend(latency::percentiles(&paced));
    Ok(figures)
}

fn load(partitions: i32, bytes: u64) -> Produce {
    Produce {
        generator: Generator::Librdkafka,
        partitions,
        record_bytes: usize::try_from(RECORD_BYTES).unwrap_or(1024),
        bytes,
        seconds_max: 0.0,
        batch_bytes: 128 << 10,
        linger_ms: 20,
        codec: "none",
        payload: generate::Payload::Letters,
    }
}

/// Sends a round of records. A broker that does not bear so many segments is told from one that is only slow.
fn fill(served: &mut Served, topics: &Topics, load: &Produce) -> Result<()> {
    let sent = lineup::produce_by_librdkafka(served.bootstrap(), topics, load);
    sent.map(drop).map_err(|error| {
        let ended = served
            .exit_status()
            .map(|status| format!("; the broker ended: {status}"));
        let ended = ended.unwrap_or_default();
        error.context(format!(
            "{} partitions were not filled{ended}; its last words: {}",
            topics.partitions,
            served.last_line()
        ))
    })
}

/// Sends so much to another topic that the write-ahead log has room only if what was there goes to segments.
fn push_out(served: &Served, bytes: u64) -> Result<()> {
    let topics = Topics::spread("filler", 8);
    served.admin()?.create(&topics, &[])?;
    lineup::produce_by_librdkafka(served.bootstrap(), &topics, &load(8, bytes))?;
    Ok(())
}
