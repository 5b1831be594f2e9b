//! Compaction: a topic of sealed segments is given `cleanup.policy=compact`, and what counts is the time and the cost
//! until only the newest record of each key is left.
//!
//! The topic is filled before, so that no record is written while the cleaner works. That the cleaner is done shows in
//! the size of the log, as DescribeLogDirs tells it: it is known how many records are left.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use super::{Contender, unique};
use crate::account::Account;
use crate::admin::{Admin, Topics};
use crate::figures::{Figures, names};
use crate::generate::{self, Payload, Produced};
use crate::lineup::{self, LOAD, Lineup};
use crate::scenario::{Generator, Produce, Scale};
use crate::side::Served;

/// Payload of the topic, in one partition: both cleaners work on one log at a time.
const BYTES: u64 = 512 << 20;
const RECORD_BYTES: u64 = 1 << 10;
/// Segments of the topic.
const SEGMENTS: u64 = 8;
/// Of a record's value, what a log takes for it at most, in percent. The last segment is about three quarters full.
const SIZE_PERCENT: u64 = 106;
/// Of a segment's records so many have keys of their own among those that are written again and again.
const HOT_SHARE: u64 = 4;
/// Kafka takes no smaller ones.
const SEGMENT_BYTES_MIN: u64 = 1 << 20;
/// The load that nobody counts is smaller by this.
const WARM_UP_PART: u64 = 4;
/// How long a cleaner may take.
const CLEANED: Duration = Duration::from_secs(300);
/// Between two looks at the size.
const LOOK: Duration = Duration::from_millis(20);
/// The cleaners look for work so often, instead of every 15 s.
const BACKOFF: (&str, &str) = ("log.cleaner.backoff.ms", "100");
const BACKOFF_USUAL: (&str, &str) = ("log.cleaner.backoff.ms", "15000");
/// A record that comes so much later than the first of a segment begins a new one.
const SEGMENT_AGE: Duration = Duration::from_millis(200);

/// A load to compact.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Load {
    records: u64,
    segment_bytes: u64,
    hot_keys: u64,
}

impl Load {
    fn of(bytes: u64) -> Load {
        let segment_bytes = (bytes / SEGMENTS * SIZE_PERCENT / 100).max(SEGMENT_BYTES_MIN);
        Load {
            records: bytes / RECORD_BYTES,
            segment_bytes,
            hot_keys: segment_bytes / RECORD_BYTES / HOT_SHARE,
        }
    }

    /// The size below which all is compacted, if the log had `before` bytes: what is kept, and about half of what the
    /// last segment loses. Of its three quarters a quarter has keys that come once, and most of the hot keys are in it.
    fn done_below(&self, before: u64) -> u64 {
        let kept = generate::kept(self.records, self.hot_keys);
        let kept_bytes = before as f64 * kept as f64 / self.records as f64;
        kept_bytes as u64 + self.segment_bytes / 6
    }
}

/// One round.
///
/// # Errors
/// When the broker does not take the records or does not compact them in time.
pub fn round(lineup: &mut Lineup, contender: Contender) -> Result<Figures> {
    let scale = lineup.scale();
    let bytes = scale.bytes(BYTES);
    let (served, others) = lineup.beside(contender.product())?;
    let admin = served.admin()?;
    admin.alter_brokers(&[BACKOFF])?;
    // The first look comes within the usual wait, and code has run once.
    let small = filled(served, &admin, &Load::of(bytes / WARM_UP_PART), scale)?;
    compact(&admin, &small)?;
    let large = filled(served, &admin, &Load::of(bytes), scale)?;
    let account = Account::open(served.pid()?, &others, &served.data())?;
    let (seconds, after) = compact(&admin, &large)?;
    let costs = account.close(&served.data())?;
    admin.alter_brokers(&[BACKOFF_USUAL])?;
    for one in [&small, &large] {
        admin.delete(&one.topics)?;
    }
    let before = large.bytes as f64;
    let mut figures = costs.figures(before, large.load.records as f64, None);
    let values = [
        (names::THROUGHPUT, before / seconds / 1e6),
        (names::COMPACTION, seconds),
        (names::KEPT, after as f64 / before),
    ];
    figures.extend(values.map(|(name, value)| (name.to_owned(), value)));
    Ok(figures)
}

/// A topic that waits for its compaction.
struct Filled {
    topics: Topics,
    load: Load,
    bytes: u64,
}

/// Fills a topic, and sees to it that all its records lie in sealed segments.
fn filled(served: &Served, admin: &Admin, load: &Load, scale: Scale) -> Result<Filled> {
    let topics = Topics::spread(&unique("compacted"), 1);
    let segment_bytes = load.segment_bytes.to_string();
    admin.create(
        &topics,
        &[("segment.bytes", &segment_bytes), ("retention.ms", "-1")],
    )?;
    produce(served, &topics, load.records, load.hot_keys)?;
    // Out of the write-ahead log into segments.
    push_out(served, admin, scale)?;
    // It stays so: a broker may begin the new segment only when it writes the record to a file.
    admin.alter(&topics, &[("segment.ms", &SEGMENT_AGE.as_millis().to_string())])?;
    std::thread::sleep(SEGMENT_AGE * 2);
    let last = produce(served, &topics, 1, 0)?;
    let held = lineup::count(admin, &topics)?;
    ensure!(
        held == load.records + last.records,
        "{} records were acknowledged, {held} are there",
        load.records + last.records
    );
    let bytes = admin.size_bytes(&topics)?;
    ensure!(
        bytes >= load.records * RECORD_BYTES,
        "a log of {} records of {RECORD_BYTES} bytes has {bytes} bytes",
        load.records
    );
    Ok(Filled {
        topics,
        load: *load,
        bytes,
    })
}

fn produce(served: &Served, topics: &Topics, records: u64, hot_keys: u64) -> Result<Produced> {
    let arguments = [
        format!("--bootstrap={}", served.bootstrap()),
        format!("--topics={}", topics.first()),
        "--batch-bytes=131072".to_owned(),
        format!("--record-bytes={RECORD_BYTES}"),
        format!("--records={records}"),
        format!("--hot-keys={hot_keys}"),
    ];
    generate::outcome("produce", &arguments, LOAD)
}

/// Sends so much to another topic that the write-ahead log has room only if what was there goes to segments.
fn push_out(served: &Served, admin: &Admin, scale: Scale) -> Result<()> {
    let topics = Topics::spread(&unique("filler"), 1);
    admin.create(&topics, &[])?;
    let load = Produce {
        generator: Generator::Librdkafka,
        partitions: topics.partitions,
        record_bytes: 1 << 10,
        bytes: lineup::turnover_sizes(scale).wal_max_bytes.unwrap_or(0) * 2,
        seconds_max: 0.0,
        batch_bytes: 128 << 10,
        linger_ms: 5,
        codec: "none",
        payload: Payload::Letters,
    };
    lineup::produce_by_librdkafka(served.bootstrap(), &topics, &load)?;
    admin.delete(&topics)
}

/// Lets the cleaner at the topic; returns the seconds until it is done, and the bytes that are left.
fn compact(admin: &Admin, filled: &Filled) -> Result<(f64, u64)> {
    let done_below = filled.load.done_below(filled.bytes);
    let began = Instant::now();
    admin.alter(
        &filled.topics,
        &[
            ("cleanup.policy", "compact"),
            ("min.cleanable.dirty.ratio", "0.01"),
        ],
    )?;
    loop {
        let size = admin.size_bytes(&filled.topics)?;
        let elapsed = began.elapsed();
        if size <= done_below {
            return Ok((elapsed.as_secs_f64(), size));
        }
        if elapsed > CLEANED {
            bail!(
                "not compacted within {CLEANED:?}: {} bytes have become {size}, at most {done_below} are to be left",
                filled.bytes
            );
        }
        std::thread::sleep(LOOK);
    }
}

#[cfg(test)]
#[path = "compaction_test.rs"]
mod tests;
