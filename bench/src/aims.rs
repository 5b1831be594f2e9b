//! What Thalweg is meant to reach, each aim checked against the medians of a run.
//!
//! Thalweg flushes before it acknowledges; unless an aim says otherwise, Kafka beside it does not.

use crate::figures::{digits, names};
use crate::results::Results;
use crate::runs::Contender;

/// A limit on a figure of Thalweg's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// Not above a number.
    Number(f64),
    /// Not below a number.
    AtLeast(f64),
    /// Not above a number plus another figure of the same scenario.
    NumberPlus(f64, &'static str),
    /// Not above a part of a contender's figure in the same scenario.
    PartOf(f64, Contender),
    /// Not below a part of a contender's figure in another scenario or the same.
    NotBelow(f64, &'static str, Contender),
}

/// One aim.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Aim {
    /// The scenario.
    pub scenario: &'static str,
    /// The figure.
    pub figure: &'static str,
    /// The limit.
    pub limit: Limit,
}

/// What a run says of an aim.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The figure found.
    pub found: f64,
    /// The bound it is held against, in the figure's unit.
    pub bound: f64,
    /// How the bound came about.
    pub rule: String,
    /// Whether the aim is reached.
    pub reached: bool,
}

const fn aim(scenario: &'static str, figure: &'static str, limit: Limit) -> Aim {
    Aim {
        scenario,
        figure,
        limit,
    }
}

const KAFKA: Contender = Contender::Kafka;
const FLUSHED: Contender = Contender::KafkaFlushed;

/// All aims.
pub const AIMS: &[Aim] = &[
    aim("produce.1k-16k", names::CPU, Limit::PartOf(1.0 / 4.0, KAFKA)),
    aim("produce.1k-128k", names::CPU, Limit::PartOf(1.0 / 3.0, KAFKA)),
    aim("produce.1k-16k", names::MACHINE, Limit::PartOf(1.0 / 4.0, KAFKA)),
    aim("produce.1k-128k", names::MACHINE, Limit::PartOf(1.0 / 3.0, KAFKA)),
    aim("fetch.whole", names::CPU, Limit::PartOf(2.0 / 3.0, KAFKA)),
    aim("fetch.tail", names::CPU, Limit::PartOf(2.0 / 3.0, KAFKA)),
    aim(
        "produce.1k-16k",
        names::THROUGHPUT,
        Limit::NotBelow(1.0, "produce.1k-16k", KAFKA),
    ),
    aim(
        "produce.1k-128k",
        names::THROUGHPUT,
        Limit::NotBelow(1.0, "produce.1k-128k", KAFKA),
    ),
    aim(
        "produce.100b-16k",
        names::THROUGHPUT,
        Limit::NotBelow(1.0, "produce.100b-16k", KAFKA),
    ),
    aim(
        "produce.10k-128k",
        names::THROUGHPUT,
        Limit::NotBelow(1.0, "produce.10k-128k", KAFKA),
    ),
    aim(
        "librdkafka.1k-128k",
        names::THROUGHPUT,
        Limit::NotBelow(1.0, "librdkafka.1k-128k", KAFKA),
    ),
    aim("latency.20k", names::P50, Limit::PartOf(1.0, KAFKA)),
    aim("latency.20k", names::P99, Limit::PartOf(1.0, FLUSHED)),
    aim("latency.20k", names::P999, Limit::PartOf(1.0, FLUSHED)),
    aim(
        "txn.rate",
        names::TRANSACTIONS,
        Limit::NotBelow(1.0, "txn.rate", KAFKA),
    ),
    aim("txn.rate", names::P50, Limit::PartOf(1.0, KAFKA)),
    aim("txn.rate", names::P99, Limit::PartOf(1.0, KAFKA)),
    aim("txn.rate", names::P999, Limit::PartOf(1.0, KAFKA)),
    aim(
        "txn.rate",
        names::CPU_TRANSACTION,
        Limit::PartOf(1.0 / 3.0, KAFKA),
    ),
    aim(
        "txn.single",
        names::TRANSACTIONS,
        Limit::NotBelow(1.0, "txn.single", KAFKA),
    ),
    aim("txn.single", names::P50, Limit::PartOf(1.0, KAFKA)),
    aim("txn.single", names::P99, Limit::PartOf(1.0, KAFKA)),
    aim("txn.single", names::P999, Limit::PartOf(1.0, KAFKA)),
    aim(
        "txn.single",
        names::CPU_TRANSACTION,
        Limit::PartOf(1.0 / 3.0, KAFKA),
    ),
    aim(
        "txn.read-committed",
        names::THROUGHPUT,
        Limit::NotBelow(1.0, "txn.read-committed", KAFKA),
    ),
    aim("txn.read-committed", names::CPU, Limit::PartOf(1.0 / 3.0, KAFKA)),
    aim("txn.after-kill", names::COMMITS_AGAIN_MAX, Limit::Number(2.0)),
    aim("txn.after-kill", names::COMMITS_AGAIN, Limit::PartOf(1.0, KAFKA)),
    aim(
        "compact.throughput",
        names::THROUGHPUT,
        Limit::NotBelow(1.0, "compact.throughput", KAFKA),
    ),
    aim("compact.throughput", names::CPU, Limit::PartOf(1.0 / 3.0, KAFKA)),
    aim("group.rebalance-1000", names::FORM, Limit::PartOf(1.0, KAFKA)),
    aim("group.rebalance-1000", names::JOIN, Limit::PartOf(1.0, KAFKA)),
    aim(
        "group.rebalance-1000",
        names::CPU_REBALANCE,
        Limit::PartOf(1.0 / 3.0, KAFKA),
    ),
    aim(
        "group.commits-10000",
        names::COMMITS,
        Limit::NotBelow(1.0, "group.commits-10000", KAFKA),
    ),
    aim("group.commits-10000", names::P50, Limit::PartOf(1.0, KAFKA)),
    aim("group.commits-10000", names::P99, Limit::PartOf(1.0, KAFKA)),
    aim(
        "group.commits-10000",
        names::CPU_COMMIT,
        Limit::PartOf(1.0 / 3.0, KAFKA),
    ),
    aim("produce.1k-128k", names::DISK, Limit::Number(2.2)),
    aim("start.empty", names::RESIDENT, Limit::Number(16.0)),
    aim("start.empty", names::START, Limit::Number(0.1)),
    aim(
        "prepared.10000",
        names::THROUGHPUT,
        Limit::NotBelow(0.5, "prepared.10", Contender::Thalweg),
    ),
    aim("partitions.sealed", names::RESIDENT, Limit::Number(96.0)),
    aim(
        "partitions.sealed",
        names::FIRST_PRODUCE,
        Limit::NumberPlus(1.0, names::REPLAY),
    ),
    aim("partitions.trickle", names::RESIDENT_PEAK, Limit::Number(256.0)),
    aim("partitions.trickle", names::DESCRIPTORS, Limit::Number(1_000.0)),
    aim("mirror.copy", names::MIRROR_CPU, Limit::PartOf(1.0 / 15.0, KAFKA)),
    aim("mirror.copy", names::TARGET_CPU, Limit::PartOf(1.0 / 5.0, KAFKA)),
    aim("mirror.copy", names::MIRROR_RESIDENT, Limit::Number(64.0)),
    aim("mirror.copy", names::FIRST_RECORD, Limit::Number(1.0)),
    aim("mirror.steady", names::LAG_P99, Limit::Number(1.0)),
    aim(
        "mirror.steady",
        names::MIRROR_CPU,
        Limit::PartOf(1.0 / 15.0, KAFKA),
    ),
    aim("mirror.far", names::THROUGHPUT, Limit::AtLeast(50.0)),
];

impl Aim {
    /// Judges the aim; `None` if the run did not measure what it needs.
    pub fn judge(&self, results: &Results) -> Option<Verdict> {
        let median = |scenario: &str, contender: Contender, figure: &str| {
            results
                .get(scenario, contender.name(), figure)
                .map(|spread| spread.median)
        };
        let found = median(self.scenario, Contender::Thalweg, self.figure)?;
        let (bound, rule, reached) = match self.limit {
            Limit::Number(bound) => (bound, format!("≤ {}", digits(bound)), found <= bound),
            Limit::AtLeast(bound) => (bound, format!("≥ {}", digits(bound)), found >= bound),
            Limit::NumberPlus(base, figure) => {
                let more = median(self.scenario, Contender::Thalweg, figure)?;
                let bound = base + more;
                (bound, format!("≤ {} + {figure}", digits(base)), found <= bound)
            }
            Limit::PartOf(part, other) => {
                let bound = part * median(self.scenario, other, self.figure)?;
                (
                    bound,
                    format!("≤ {} × {}", digits(part), other.name()),
                    found <= bound,
                )
            }
            Limit::NotBelow(part, scenario, other) => {
                let bound = part * median(scenario, other, self.figure)?;
                let rule = format!("≥ {} × {} in {scenario}", digits(part), other.name());
                (bound, rule, found >= bound)
            }
        };
        Some(Verdict {
            found,
            bound,
            rule,
            reached,
        })
    }
}

#[cfg(test)]
#[path = "aims_test.rs"]
mod tests;
