//! One round of one scenario against one contender: set-up, account, load, figures.

mod crowd;
mod fetch;
mod latency;
mod produce;
mod start;

use anyhow::Result;

use crate::figures::Figures;
use crate::lineup::Lineup;
use crate::scenario::{Scenario, Work};
use crate::side::Product;

/// A product in one way of running it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contender {
    /// Thalweg, which flushes before it acknowledges and cannot do otherwise.
    Thalweg,
    /// Kafka as it comes: it acknowledges from memory.
    Kafka,
    /// Kafka with `flush.messages=1`.
    KafkaFlushed,
}

impl Contender {
    /// Which program runs.
    pub fn product(self) -> Product {
        match self {
            Contender::Thalweg => Product::Thalweg,
            Contender::Kafka | Contender::KafkaFlushed => Product::Kafka,
        }
    }

    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Contender::Thalweg => "Thalweg",
            Contender::Kafka => "Kafka",
            Contender::KafkaFlushed => "Kafka, flushed",
        }
    }
}

/// Who takes part in a scenario, in the order of each round.
pub fn contenders(work: Work) -> &'static [Contender] {
    match work {
        Work::Latency => &[Contender::Thalweg, Contender::Kafka, Contender::KafkaFlushed],
        _ => &[Contender::Thalweg, Contender::Kafka],
    }
}

/// Rounds at most: what takes minutes and varies little is not repeated as often as asked.
pub fn rounds_max(work: Work) -> u32 {
    match work {
        Work::Produce(load) if load.seconds_max > 0.0 || load.codec != "none" => 2,
        Work::Produce(_) | Work::Fetch(_) | Work::Start => u32::MAX,
        Work::Latency => 2,
        Work::Crowd | Work::Trickle => 1,
    }
}

/// Runs one round.
///
/// # Errors
/// When a broker or a generator fails.
pub fn round(lineup: &mut Lineup, scenario: &Scenario, contender: Contender) -> Result<Figures> {
    match scenario.work {
        Work::Produce(load) => produce::round(lineup, contender, &lineup.scale().produce(load)),
        Work::Fetch(fetch) => fetch::round(lineup, contender, fetch),
        Work::Latency => latency::round(lineup, contender),
        Work::Start => start::round(lineup, contender),
        Work::Crowd => crowd::sealed(lineup, contender),
        Work::Trickle => crowd::trickle(lineup, contender),
    }
}
