//! What is measured, as data: names, loads, sizes. How a load is run stands in [`crate::runs`].
//!
//! Sizes are for a full run; [`Scale`] makes them smaller.

use crate::generate::Payload;

/// Who produces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generator {
    /// Kafka's perf tool.
    PerfTool,
    /// The librdkafka driver.
    Librdkafka,
    /// One prepared batch by raw requests, for which a client's queues would be the load.
    Prepared,
}

/// A load of records at full speed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Produce {
    /// Who sends.
    pub generator: Generator,
    /// Partitions, spread over topics of at most a thousand.
    pub partitions: i32,
    /// Bytes of a record's value.
    pub record_bytes: usize,
    /// Payload bytes of the whole load.
    pub bytes: u64,
    /// Seconds after which a librdkafka load ends in any case; 0 for never.
    pub seconds_max: f64,
    /// `batch.size`.
    pub batch_bytes: usize,
    /// `linger.ms`.
    pub linger_ms: u32,
    /// `compression.type`.
    pub codec: &'static str,
    /// Kind of the values.
    pub payload: Payload,
}

impl Produce {
    /// Records of the whole load.
    pub fn records(&self) -> u64 {
        (self.bytes / self.record_bytes as u64).max(1)
    }

    /// The usual load: 1 KiB records in batches of 16 KiB over 8 partitions by the perf tool.
    const USUAL: Produce = Produce {
        generator: Generator::PerfTool,
        partitions: 8,
        record_bytes: 1 << 10,
        bytes: 1536 << 20,
        seconds_max: 0.0,
        batch_bytes: 16 << 10,
        linger_ms: 5,
        codec: "none",
        payload: Payload::Letters,
    };

    const fn records_of(self, record_bytes: usize, bytes: u64) -> Produce {
        Produce {
            record_bytes,
            bytes,
            ..self
        }
    }

    const fn batches_of(self, batch_bytes: usize) -> Produce {
        Produce { batch_bytes, ..self }
    }

    const fn by_librdkafka(self) -> Produce {
        Produce {
            generator: Generator::Librdkafka,
            ..self
        }
    }

    const fn compressed(self, codec: &'static str) -> Produce {
        Produce {
            codec,
            bytes: 512 << 20,
            batch_bytes: 128 << 10,
            payload: Payload::Json,
            ..self
        }
    }

    /// Full batches over so many partitions.
    const fn prepared_over(self, partitions: i32) -> Produce {
        Produce {
            generator: Generator::Prepared,
            batch_bytes: 16 << 10,
            ..self.over(partitions)
        }
    }

    /// Bounded by time: over very many partitions some brokers are a hundred times slower.
    const fn over(self, partitions: i32) -> Produce {
        Produce {
            generator: Generator::Librdkafka,
            partitions,
            bytes: 2 << 30,
            seconds_max: 12.0,
            linger_ms: 20,
            batch_bytes: 128 << 10,
            ..self
        }
    }
}

/// Where a fetch load reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetch {
    /// The whole topic from its beginning with Kafka's perf tool.
    WholeTopic,
    /// The newest 96 MiB, several times.
    Tail,
    /// The oldest 512 MiB, which are in segments, from the page cache.
    SegmentsCached,
    /// The same after the page cache was dropped.
    SegmentsCold,
}

/// What a mirror does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mirroring {
    /// It copies a full topic.
    Copy,
    /// It follows a steady load.
    Steady,
    /// It copies one partition from far away.
    Far,
}

/// The work of a scenario.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Work {
    /// Records at full speed.
    Produce(Produce),
    /// Reading of a topic that was filled before the account is opened.
    Fetch(Fetch),
    /// A fixed rate, with segments written, retention at work and a cold reader beside it.
    Latency,
    /// Start on an empty directory, idle memory, start after an orderly stop and after SIGKILL.
    Start,
    /// 10,000 partitions with two sealed segments each.
    Crowd,
    /// 10,000 partitions that get one record a second each.
    Trickle,
    /// Transactions at full speed.
    Transactions {
        /// Producers side by side.
        producers: u32,
    },
    /// Reading of transactions with `read_committed` and without.
    ReadCommitted,
    /// SIGKILL under a transactional producer.
    AfterKill,
    /// A filled topic that is compacted.
    Compaction,
    /// A group of a thousand members.
    Rebalance,
    /// Ten thousand groups that commit offsets.
    Commits,
    /// A mirror between two brokers.
    Mirror(Mirroring),
}

/// A named piece of the comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scenario {
    /// Name, `group.variant`.
    pub name: &'static str,
    /// One line for the report.
    pub what: &'static str,
    /// What is run.
    pub work: Work,
}

impl Scenario {
    /// The part of the name before the point.
    pub fn group(&self) -> &'static str {
        self.name.split('.').next().unwrap_or(self.name)
    }

    /// Rounds at most: the figures that aims compare closely are repeated as often as asked, others less often, so
    /// that a comparison ends within three quarters of an hour.
    pub fn rounds_max(&self) -> u32 {
        match self.group() {
            "fetch" => u32::MAX,
            "produce" if self.name.starts_with("produce.1k") => u32::MAX,
            "spread" | "prepared" | "partitions" => 1,
            _ => 2,
        }
    }
}

/// How large a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// As the table says.
    Full,
    /// Good enough to see that everything works.
    Quick,
}

impl Scale {
    /// Divides a size of bytes.
    pub fn bytes(self, bytes: u64) -> u64 {
        match self {
            Scale::Full => bytes,
            Scale::Quick => bytes / 8,
        }
    }

    /// Divides a time.
    pub fn seconds(self, seconds: f64) -> f64 {
        match self {
            Scale::Full => seconds,
            Scale::Quick => seconds / 4.0,
        }
    }

    /// The load at this scale.
    pub fn produce(self, load: Produce) -> Produce {
        Produce {
            bytes: self.bytes(load.bytes),
            seconds_max: self.seconds(load.seconds_max),
            ..load
        }
    }
}

const fn scenario(name: &'static str, what: &'static str, work: Work) -> Scenario {
    Scenario { name, what, work }
}

const P: Produce = Produce::USUAL;
const BATCH_LARGE: usize = 128 << 10;
const RECORDS_SMALL: u64 = 384 << 20;

/// Everything that can be measured, in the order in which `compare` runs it.
pub const SCENARIOS: &[Scenario] = &[
    scenario(
        "produce.1k-16k",
        "1 KiB records, 16 KiB batches, perf tool",
        Work::Produce(P),
    ),
    scenario(
        "produce.1k-128k",
        "1 KiB records, 128 KiB batches, perf tool",
        Work::Produce(P.batches_of(BATCH_LARGE)),
    ),
    scenario(
        "produce.100b-16k",
        "100 B records, 16 KiB batches, perf tool",
        Work::Produce(P.records_of(100, RECORDS_SMALL)),
    ),
    scenario(
        "produce.100b-128k",
        "100 B records, 128 KiB batches, perf tool",
        Work::Produce(P.records_of(100, RECORDS_SMALL).batches_of(BATCH_LARGE)),
    ),
    scenario(
        "produce.10k-16k",
        "10 KiB records, 16 KiB batches, perf tool",
        Work::Produce(P.records_of(10 << 10, 1536 << 20)),
    ),
    scenario(
        "produce.10k-128k",
        "10 KiB records, 128 KiB batches, perf tool",
        Work::Produce(P.records_of(10 << 10, 1536 << 20).batches_of(BATCH_LARGE)),
    ),
    scenario(
        "small.1k",
        "100 B records in 1 KiB batches: many small requests, perf tool",
        Work::Produce(P.records_of(100, RECORDS_SMALL / 4).batches_of(1 << 10)),
    ),
    scenario(
        "librdkafka.1k-16k",
        "1 KiB records, 16 KiB batches, librdkafka",
        Work::Produce(P.by_librdkafka()),
    ),
    scenario(
        "librdkafka.1k-128k",
        "1 KiB records, 128 KiB batches, librdkafka",
        Work::Produce(P.by_librdkafka().batches_of(BATCH_LARGE)),
    ),
    scenario(
        "fetch.whole",
        "a whole topic from its beginning, perf tool",
        Work::Fetch(Fetch::WholeTopic),
    ),
    scenario(
        "fetch.tail",
        "the newest 96 MiB again and again, librdkafka",
        Work::Fetch(Fetch::Tail),
    ),
    scenario(
        "fetch.segments",
        "the oldest 512 MiB from segments in the page cache, librdkafka",
        Work::Fetch(Fetch::SegmentsCached),
    ),
    scenario(
        "fetch.cold",
        "the oldest 512 MiB from segments on the disk, librdkafka",
        Work::Fetch(Fetch::SegmentsCold),
    ),
    scenario(
        "codec.gzip",
        "JSON records, gzip, 128 KiB batches",
        Work::Produce(P.compressed("gzip")),
    ),
    scenario(
        "codec.snappy",
        "JSON records, snappy, 128 KiB batches",
        Work::Produce(P.compressed("snappy")),
    ),
    scenario(
        "codec.lz4",
        "JSON records, lz4, 128 KiB batches",
        Work::Produce(P.compressed("lz4")),
    ),
    scenario(
        "codec.zstd",
        "JSON records, zstd, 128 KiB batches",
        Work::Produce(P.compressed("zstd")),
    ),
    scenario(
        "spread.1",
        "1 KiB records over 1 partition, librdkafka",
        Work::Produce(P.over(1)),
    ),
    scenario(
        "spread.10",
        "1 KiB records over 10 partitions, librdkafka",
        Work::Produce(P.over(10)),
    ),
    scenario(
        "spread.100",
        "1 KiB records over 100 partitions, librdkafka",
        Work::Produce(P.over(100)),
    ),
    scenario(
        "spread.1000",
        "1 KiB records over 1,000 partitions, librdkafka",
        Work::Produce(P.over(1_000)),
    ),
    scenario(
        "spread.10000",
        "1 KiB records over 10,000 partitions, librdkafka",
        Work::Produce(P.over(10_000)),
    ),
    scenario(
        "prepared.10",
        "full batches of 16 KiB over 10 partitions, 8 in a request, prepared once and sent by raw requests",
        Work::Produce(P.prepared_over(10)),
    ),
    scenario(
        "prepared.10000",
        "the same over 10,000 partitions",
        Work::Produce(P.prepared_over(10_000)),
    ),
    scenario(
        "latency.20k",
        "20,000 records/s of 1 KiB in bursts of 20, open loop, with retention and a cold reader",
        Work::Latency,
    ),
    // The same write-ahead log as the one before.
    scenario(
        "compact.throughput",
        "a log of 8 sealed segments of 1 KiB records, of which compaction leaves a quarter and a bit; one cleaner \
         thread, log.cleaner.io.max.bytes.per.second without a limit on either side, backoff 0.1 s; per byte of the \
         log before",
        Work::Compaction,
    ),
    scenario(
        "txn.rate",
        "16 transactional librdkafka producers, each transaction 10 records of 1 KiB to 4 of 8 partitions; percentiles \
         are from asking for the commit to its answer",
        Work::Transactions { producers: 16 },
    ),
    scenario(
        "txn.single",
        "the same with one producer",
        Work::Transactions { producers: 1 },
    ),
    scenario(
        "txn.read-committed",
        "transactions of 100 records of 1 KiB, one of ten aborted, read with read_committed and with read_uncommitted, \
         librdkafka; bytes as they lie in the log",
        Work::ReadCommitted,
    ),
    scenario(
        "group.rebalance-1000",
        "1,000 members join a classic group at once, then one more again and again, by raw requests without waits \
         between heartbeats; until all have their assignment",
        Work::Rebalance,
    ),
    scenario(
        "group.commits-10000",
        "10,000 groups commit an offset again and again, by raw requests on 64 connections, 8 at a time each",
        Work::Commits,
    ),
    // From here on each has brokers of its own.
    scenario(
        "txn.after-kill",
        "SIGKILL under a transactional librdkafka producer, which connects again every 0.1 s; from the start of the \
         process to the commit of a new transaction",
        Work::AfterKill,
    ),
    scenario(
        "start.empty",
        "starts, idle memory, first record after SIGKILL",
        Work::Start,
    ),
    scenario(
        "partitions.sealed",
        "10,000 partitions with two sealed segments and an active one each, page cache dropped",
        Work::Crowd,
    ),
    scenario(
        "partitions.trickle",
        "10,000 partitions with 1 record/s each",
        Work::Trickle,
    ),
    // Each has two brokers and a mirror of its own: thalweg-mirror between Thalweg's, MirrorMaker 2 between Kafka's.
    scenario(
        "mirror.copy",
        "a topic of 1 KiB records in 128 KiB batches over 8 partitions is copied; the first two fifths are warm-up",
        Work::Mirror(Mirroring::Copy),
    ),
    scenario(
        "mirror.steady",
        "30,000 records/s of 1 KiB over 8 partitions are followed; the first two fifths are warm-up",
        Work::Mirror(Mirroring::Steady),
    ),
    scenario(
        "mirror.far",
        "one partition is copied from a source 85 ms away, there and back; the first two fifths are warm-up",
        Work::Mirror(Mirroring::Far),
    ),
];

/// What is profiled unless others are asked for: each way that records take, and each that limits at another place.
pub const PROFILED: [&str; 6] = [
    "produce.1k-16k",
    "produce.1k-128k",
    "small.1k",
    "fetch.tail",
    "fetch.cold",
    "spread.10000",
];

/// The scenarios of which profiles are drawn: those whose name contains `only`, by default [`PROFILED`].
pub fn profiled(only: Option<&str>) -> Vec<Scenario> {
    let wanted = |scenario: &&Scenario| match only {
        Some(only) => scenario.name.contains(only),
        None => PROFILED.contains(&scenario.name),
    };
    let profiled = |scenario: &&Scenario| {
        matches!(
            scenario.work,
            Work::Produce(_)
                | Work::Fetch(_)
                | Work::Transactions { .. }
                | Work::ReadCommitted
                | Work::Commits
        )
    };
    SCENARIOS
        .iter()
        .filter(profiled)
        .filter(wanted)
        .copied()
        .collect()
}

/// The scenarios of `groups` whose name contains `only`.
pub fn chosen(groups: &[&str], only: Option<&str>) -> Vec<Scenario> {
    let wanted = |scenario: &&Scenario| {
        groups.contains(&scenario.group()) && only.is_none_or(|only| scenario.name.contains(only))
    };
    SCENARIOS.iter().filter(wanted).copied().collect()
}

#[cfg(test)]
#[path = "scenario_test.rs"]
mod tests;
