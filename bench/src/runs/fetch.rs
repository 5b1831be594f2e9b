//! Fetching from a topic that is there: its newest part, its oldest part, all of it.

use anyhow::{Result, ensure};

use super::Contender;
use crate::account::Account;
use crate::admin::Topics;
use crate::figures::{Figures, names};
use crate::generate::{self, Consumed};
use crate::lineup::{FILLED_PARTITIONS, FILLED_RECORD_BYTES, LOAD, Lineup};
use crate::perf_tools;
use crate::scenario::{Fetch, Scale};
use crate::side::{self, Served};

/// Well below what Thalweg keeps of the tail in memory by default.
const TAIL_BYTES: u64 = 96 << 20;
/// Below what lies in segments only, see [`crate::lineup`].
const OLD_BYTES: u64 = 512 << 20;
const OLD_BYTES_QUICK: u64 = 128 << 20;

/// One round.
///
/// # Errors
/// When the broker or the generator fails, or records are missing.
pub fn round(lineup: &mut Lineup, contender: Contender, fetch: Fetch) -> Result<Figures> {
    let scale = lineup.scale();
    let product = contender.product();
    let (topics, held) = lineup.filled(product)?;
    let others = lineup.others(product);
    let served = lineup.served(product)?;
    if fetch == Fetch::SegmentsCold {
        side::drop_cached(&served.data())?;
    }
    if fetch == Fetch::SegmentsCached {
        // Once outside the account, so that the page cache holds it.
        read(served, &topics, held, fetch, scale)?;
    }
    let account = Account::open(served.pid()?, &others, &served.data())?;
    let (consumed, requests) = read(served, &topics, held, fetch, scale)?;
    let costs = account.close(&served.data())?;
    ensure!(consumed.records > 0, "nothing was consumed");
    let mut figures = costs.figures(consumed.bytes as f64, consumed.records as f64, requests);
    // Nothing is written by reading.
    figures.remove(names::DISK);
    figures.remove(names::DEVICE);
    figures.insert(
        names::RECORDS.to_owned(),
        consumed.records as f64 / consumed.seconds,
    );
    figures.insert(
        names::THROUGHPUT.to_owned(),
        consumed.bytes as f64 / consumed.seconds / 1e6,
    );
    Ok(figures)
}

fn read(
    served: &Served,
    topics: &Topics,
    held: u64,
    fetch: Fetch,
    scale: Scale,
) -> Result<(Consumed, Option<f64>)> {
    let old = match scale {
        Scale::Full => OLD_BYTES,
        Scale::Quick => OLD_BYTES_QUICK,
    };
    let (from, bytes, passes) = match (fetch, scale) {
        (Fetch::WholeTopic, _) => {
            let report = perf_tools::consume(served.bootstrap(), topics.first(), held, LOAD)?;
            // The tool stops behind the poll that brought the last record asked for.
            let records = report.records as u64;
            let consumed = Consumed {
                records,
                bytes: records * FILLED_RECORD_BYTES,
                seconds: report.seconds,
            };
            return Ok((consumed, report.requests));
        }
        (Fetch::Tail, Scale::Full) => ("tail", TAIL_BYTES, 16),
        (Fetch::Tail, Scale::Quick) => ("tail", TAIL_BYTES, 4),
        (Fetch::SegmentsCached, Scale::Full) => ("earliest", old, 3),
        (Fetch::SegmentsCached, Scale::Quick) | (Fetch::SegmentsCold, _) => ("earliest", old, 1),
    };
    let arguments = [
        format!("--bootstrap={}", served.bootstrap()),
        format!("--topic={}", topics.first()),
        format!("--partitions={FILLED_PARTITIONS}"),
        format!("--from={from}"),
        format!("--records={}", bytes / FILLED_RECORD_BYTES),
        format!("--passes={passes}"),
    ];
    Ok((generate::outcome("consume", &arguments, LOAD)?, None))
}
