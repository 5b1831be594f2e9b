//! The numbers of one measured round, and what many rounds say together.
//!
//! A figure has a name of [`names`], which says its unit. Invariant: a figure that was not measured is absent, never 0.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One round's figures by name.
pub type Figures = BTreeMap<String, f64>;

/// Names of figures.
pub mod names {
    /// Payload bytes per second in the steady part, in 10^6.
    pub const THROUGHPUT: &str = "MB/s";
    /// Records per second in the steady part.
    pub const RECORDS: &str = "records/s";
    /// CPU seconds of the broker's process per GiB of payload.
    pub const CPU: &str = "broker CPU-s/GiB";
    /// Busy seconds of the machine, less generators, the other broker and this program, per GiB.
    pub const MACHINE: &str = "machine CPU-s/GiB";
    /// CPU seconds of the load generators per GiB.
    pub const GENERATOR: &str = "generator CPU-s/GiB";
    /// CPU seconds of the broker's process per million requests.
    pub const CPU_REQUEST: &str = "broker CPU-s/M requests";
    /// CPU seconds of the broker's process per million records.
    pub const CPU_RECORD: &str = "broker CPU-s/M records";
    /// Bytes the broker had written to disk per payload byte.
    pub const DISK: &str = "disk bytes/byte";
    /// Bytes all disks wrote per payload byte: includes what everybody else wrote.
    pub const DEVICE: &str = "device bytes/byte";
    /// Resident memory at the end, in MiB.
    pub const RESIDENT: &str = "RSS MiB";
    /// Largest resident memory during the round, in MiB.
    pub const RESIDENT_PEAK: &str = "peak RSS MiB";
    /// Open descriptors at the end.
    pub const DESCRIPTORS: &str = "descriptors";
    /// Share of one core that a broker without work uses, in percent.
    pub const IDLE_CPU: &str = "idle CPU %";
    /// Median latency in milliseconds.
    pub const P50: &str = "p50 ms";
    /// 95th percentile.
    pub const P95: &str = "p95 ms";
    /// 99th percentile.
    pub const P99: &str = "p99 ms";
    /// 99.9th percentile.
    pub const P999: &str = "p99.9 ms";
    /// Largest latency.
    pub const MAX: &str = "max ms";
    /// From the start of the process to its first answer, in seconds.
    pub const START: &str = "start s";
    /// The same on a directory that was stopped in order.
    pub const START_AGAIN: &str = "start again s";
    /// From the start after SIGKILL to the first acknowledged record, in seconds.
    pub const FIRST_PRODUCE: &str = "first produce s";
    /// CPU seconds of a start.
    pub const START_CPU: &str = "start CPU-s";
    /// Bytes of write-ahead log that a start had to read, in GiB.
    pub const REPLAY: &str = "WAL GiB";
    /// Share of the intended records that were acknowledged.
    pub const DELIVERED: &str = "delivered";
    /// Transactions committed per second in the steady part.
    pub const TRANSACTIONS: &str = "transactions/s";
    /// CPU seconds of the broker's process per 1,000 transactions.
    pub const CPU_TRANSACTION: &str = "broker CPU-s/1,000 transactions";
    /// Busy seconds of the machine, less generators, the other broker and this program, per 1,000 transactions.
    pub const MACHINE_TRANSACTION: &str = "machine CPU-s/1,000 transactions";
    /// Payload bytes per second that lie in the log, read with read_uncommitted, in 10^6.
    pub const UNCOMMITTED: &str = "read_uncommitted MB/s";
    /// CPU seconds of the broker's process per GiB read with read_uncommitted.
    pub const UNCOMMITTED_CPU: &str = "read_uncommitted CPU-s/GiB";
    /// Time of reading with read_committed over that with read_uncommitted.
    pub const OVERHEAD_TIME: &str = "read_committed time, ×";
    /// CPU time of the broker with read_committed over that with read_uncommitted.
    pub const OVERHEAD_CPU: &str = "read_committed CPU, ×";
    /// From the moment when a topic may be compacted until it is, in seconds.
    pub const COMPACTION: &str = "compaction s";
    /// Share of a log's bytes that compaction left.
    pub const KEPT: &str = "bytes kept";
    /// From the first of many members' joining until all have their assignment, in seconds.
    pub const FORM: &str = "all join s";
    /// The same when one more joins.
    pub const JOIN: &str = "one more joins s";
    /// The longest of these.
    pub const JOIN_MAX: &str = "one more joins, max s";
    /// CPU seconds of the broker's process per rebalance.
    pub const CPU_REBALANCE: &str = "broker CPU-s/rebalance";
    /// Offset commits per second in the steady part.
    pub const COMMITS: &str = "commits/s";
    /// CPU seconds of the broker's process per million commits.
    pub const CPU_COMMIT: &str = "broker CPU-s/M commits";
    /// Busy seconds of the machine, less generators, the other broker and this program, per million commits.
    pub const MACHINE_COMMIT: &str = "machine CPU-s/M commits";
    /// From the start after SIGKILL to the first commit of a transaction that was begun after it, in seconds.
    pub const COMMITS_AGAIN: &str = "commits again s";
    /// The longest of these.
    pub const COMMITS_AGAIN_MAX: &str = "commits again, max s";
    /// CPU seconds of the mirror's process per GiB of payload.
    pub const MIRROR_CPU: &str = "mirror CPU-s/GiB";
    /// CPU seconds of the broker that is mirrored, per GiB.
    pub const SOURCE_CPU: &str = "source CPU-s/GiB";
    /// CPU seconds of the broker that gets the records, per GiB.
    pub const TARGET_CPU: &str = "target CPU-s/GiB";
    /// Largest resident memory of the mirror, in MiB.
    pub const MIRROR_RESIDENT: &str = "mirror peak RSS MiB";
    /// From the start of the mirror's process to the first record in the target, in seconds.
    pub const FIRST_RECORD: &str = "first record s";
    /// Median of how long ago the source had what the target has, in seconds.
    pub const LAG_P50: &str = "lag p50 s";
    /// 99th percentile.
    pub const LAG_P99: &str = "lag p99 s";
    /// Largest.
    pub const LAG_MAX: &str = "lag max s";
    /// Prefix of the CPU seconds per GiB of one group of threads.
    pub const THREAD: &str = "thread ";
}

/// Median, least and greatest of a figure over rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The median; the mean of the middle two of an even number.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// The spread of `values`; `None` if there are none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut sorted: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        Some(Spread { median, min, max })
    }

    /// Half the range over the median: how far to trust the median. 0 for one round.
    pub fn noise(&self) -> f64 {
        if self.median == 0.0 {
            return 0.0;
        }
        (self.max - self.min) / 2.0 / self.median
    }
}

/// The spread of the figure `name` over `rounds`.
pub fn spread(rounds: &[Figures], name: &str) -> Option<Spread> {
    Spread::of(rounds.iter().filter_map(|figures| figures.get(name).copied()))
}

/// A number with three significant digits, without an exponent.
pub fn digits(value: f64) -> String {
    let magnitude = value.abs();
    let decimals = match magnitude {
        m if m >= 100.0 || m == 0.0 => 0,
        m if m >= 10.0 => 1,
        m if m >= 1.0 => 2,
        m if m >= 0.1 => 3,
        _ => 4,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
#[path = "figures_test.rs"]
mod tests;
