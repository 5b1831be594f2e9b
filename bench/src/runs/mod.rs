//! One round of one scenario against one contender: set-up, account, load, figures.

mod after_kill;
mod compaction;
mod crowd;
mod fetch;
mod groups;
mod latency;
mod mirror;
mod produce;
mod start;
mod transactions;

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;

use crate::figures::Figures;
use crate::lineup::Lineup;
use crate::scenario::{Mirroring, Scenario, Work};
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
        Work::Transactions { producers } => transactions::rate(lineup, contender, producers),
        Work::ReadCommitted => transactions::read_committed(lineup, contender),
        Work::AfterKill => after_kill::round(lineup, contender),
        Work::Compaction => compaction::round(lineup, contender),
        Work::Rebalance => groups::rebalance(lineup, contender),
        Work::Commits => groups::commits(lineup, contender),
        Work::Mirror(Mirroring::Copy) => mirror::copy(lineup, contender),
        Work::Mirror(Mirroring::Steady) => mirror::steady(lineup, contender),
        Work::Mirror(Mirroring::Far) => mirror::far(lineup, contender),
    }
}

/// A name that begins with `stem` and that no other topic, group or producer of this run has.
fn unique(stem: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{stem}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
