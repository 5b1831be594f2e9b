//! Transactions: how many a second and at what cost, and what reading them with `read_committed` costs.

use std::time::Duration;

use anyhow::{Result, ensure};
use thalweg_tests::wait;

use super::{Contender, unique};
use crate::account::{Account, Costs, GIB};
use crate::admin::{Admin, Topics};
use crate::figures::{Figures, names};
use crate::generate::{self, Consumed, Isolation, Transacted};
use crate::lineup::{self, LOAD, Lineup};
use crate::side::Served;

const PARTITIONS: i32 = 8;
const RECORD_BYTES: u64 = 1 << 10;
/// Records of a transaction in a load of many small ones.
const RECORDS: u64 = 10;
/// Partitions that a transaction writes to.
const SPREAD: u64 = 4;
/// Seconds of a load at full scale, and of the one before that nobody counts.
const SECONDS: f64 = 20.0;
const WARM_UP_SECONDS: f64 = 8.0;

/// Payload of the topic that is read.
const READ_BYTES: u64 = 512 << 20;
/// Records of its transactions, one of ten of which is aborted.
const READ_RECORDS: u64 = 100;
const ABORT_EVERY: u64 = 10;
const READ_PRODUCERS: u32 = 4;
/// Times that it is read in the account.
const PASSES: u64 = 4;

/// How long markers may take after the last commit was answered.
const MARKERS: Duration = Duration::from_secs(20);

/// Commits as fast as `producers` producers can.
///
/// # Errors
/// When the broker or the generator fails, or records or markers are missing.
pub fn rate(lineup: &mut Lineup, contender: Contender, producers: u32) -> Result<Figures> {
    let scale = lineup.scale();
    let (served, others) = lineup.beside(contender.product())?;
    let admin = served.admin()?;
    let topics = Topics::spread(&unique("transactions"), PARTITIONS);
    admin.create(&topics, &[])?;
    let load = |seconds: f64| {
        let arguments = [
            format!("--producers={producers}"),
            format!("--records={RECORDS}"),
            format!("--spread={SPREAD}"),
            format!("--seconds={}", scale.seconds(seconds)),
        ];
        transact(served, &topics, &arguments)
    };
    let before = load(WARM_UP_SECONDS)?;
    let account = Account::open(served.pid()?, &others, &served.data())?;
    let sent = load(SECONDS)?;
    let costs = account.close(&served.data())?;
    let markers = (before.committed + sent.committed) * SPREAD;
    check_held(&admin, &topics, before.records + sent.records + markers)?;
    admin.delete(&topics)?;
    Ok(rate_figures(&sent, &costs))
}

fn rate_figures(sent: &Transacted, costs: &Costs) -> Figures {
    let bytes = (sent.records * RECORD_BYTES) as f64;
    let mut figures = costs.figures(bytes, sent.records as f64, None);
    let thousands = sent.committed as f64 / 1e3;
    let values = [
        (
            names::TRANSACTIONS,
            sent.steady_committed as f64 / sent.steady_seconds,
        ),
        (names::P50, sent.p50_ms),
        (names::P99, sent.p99_ms),
        (names::P999, sent.p999_ms),
        (names::MAX, sent.max_ms),
        (names::CPU_TRANSACTION, costs.broker.as_secs_f64() / thousands),
        (
            names::MACHINE_TRANSACTION,
            costs.machine.as_secs_f64() / thousands,
        ),
    ];
    figures.extend(values.map(|(name, value)| (name.to_owned(), value)));
    figures
}

/// Reads a topic of transactions with `read_uncommitted` and with `read_committed`.
///
/// What is read is counted as it lies in the log: the records of aborted transactions too, which the client drops.
///
/// # Errors
/// When the broker or a generator fails, or a reader gets too few records.
pub fn read_committed(lineup: &mut Lineup, contender: Contender) -> Result<Figures> {
    let scale = lineup.scale();
    let (served, others) = lineup.beside(contender.product())?;
    let admin = served.admin()?;
    let topics = Topics::spread(&unique("committed"), PARTITIONS);
    admin.create(&topics, &[])?;
    let transactions = scale.bytes(READ_BYTES) / (READ_RECORDS * RECORD_BYTES);
    let arguments = [
        format!("--producers={READ_PRODUCERS}"),
        format!("--records={READ_RECORDS}"),
        format!("--spread={SPREAD}"),
        format!("--abort-every={ABORT_EVERY}"),
        format!("--transactions={transactions}"),
    ];
    let filled = transact(served, &topics, &arguments)?;
    ensure!(filled.aborted > 0, "no transaction was aborted");
    let markers = (filled.committed + filled.aborted) * SPREAD;
    check_held(&admin, &topics, filled.records + markers)?;
    let read = |isolation, passes| read(served, &topics, &filled, isolation, passes);
    // Once outside the account, so that the page cache holds it and the code has run.
    read(Isolation::ReadUncommitted, 1)?;
    read(Isolation::ReadCommitted, 1)?;
    let accounted = |isolation| -> Result<(Consumed, Costs)> {
        let account = Account::open(served.pid()?, &others, &served.data())?;
        let consumed = read(isolation, PASSES)?;
        Ok((consumed, account.close(&served.data())?))
    };
    let uncommitted = accounted(Isolation::ReadUncommitted)?;
    let committed = accounted(Isolation::ReadCommitted)?;
    admin.delete(&topics)?;
    let bytes = (filled.records * RECORD_BYTES * PASSES) as f64;
    Ok(read_figures(bytes, &uncommitted, &committed))
}

fn read_figures(bytes: f64, uncommitted: &(Consumed, Costs), committed: &(Consumed, Costs)) -> Figures {
    let records = bytes / RECORD_BYTES as f64;
    let mut figures = committed.1.figures(bytes, records, None);
    // Nothing is written by reading.
    figures.remove(names::DISK);
    figures.remove(names::DEVICE);
    let rate = |consumed: &Consumed| bytes / consumed.seconds / 1e6;
    let cpu = |costs: &Costs| costs.broker.as_secs_f64();
    let values = [
        (names::THROUGHPUT, rate(&committed.0)),
        (names::UNCOMMITTED, rate(&uncommitted.0)),
        (names::UNCOMMITTED_CPU, cpu(&uncommitted.1) / (bytes / GIB)),
        (names::OVERHEAD_TIME, committed.0.seconds / uncommitted.0.seconds),
        (names::OVERHEAD_CPU, cpu(&committed.1) / cpu(&uncommitted.1)),
    ];
    let measured = values.into_iter().filter(|(_, value)| value.is_finite());
    figures.extend(measured.map(|(name, value)| (name.to_owned(), value)));
    figures
}

fn read(
    served: &Served,
    topics: &Topics,
    filled: &Transacted,
    isolation: Isolation,
    passes: u64,
) -> Result<Consumed> {
    let records = match isolation {
        Isolation::ReadUncommitted => filled.records,
        Isolation::ReadCommitted => filled.committed_records,
    };
    let arguments = [
        format!("--bootstrap={}", served.bootstrap()),
        format!("--topic={}", topics.first()),
        format!("--partitions={}", topics.partitions),
        format!("--isolation={}", isolation.level()),
        format!("--records={records}"),
        format!("--passes={passes}"),
    ];
    generate::outcome("consume", &arguments, LOAD)
}

/// Runs transactional producers with ids that nobody has used.
///
/// # Errors
/// When the generator fails.
pub fn transact(served: &Served, topics: &Topics, more: &[String]) -> Result<Transacted> {
    let mut arguments = vec![
        format!("--bootstrap={}", served.bootstrap()),
        format!("--topic={}", topics.first()),
        format!("--partitions={}", topics.partitions),
        format!("--record-bytes={RECORD_BYTES}"),
        format!("--id={}", unique("bench")),
    ];
    arguments.extend_from_slice(more);
    generate::outcome("transact", &arguments, LOAD)
}

/// Waits until as many offsets are taken as there are records and markers; the last markers may come a moment later.
fn check_held(admin: &Admin, topics: &Topics, expected: u64) -> Result<()> {
    let mut held = 0;
    let complete = wait::poll(MARKERS, || {
        let counted = lineup::count(admin, topics);
        match counted {
            Ok(count) => {
                held = count;
                (count >= expected).then_some(Ok(()))
            }
            Err(error) => Some(Err(error)),
        }
    });
    complete.unwrap_or(Ok(()))?;
    ensure!(
        held == expected,
        "{expected} records and markers were to be there, and there are {held}"
    );
    Ok(())
}

#[cfg(test)]
#[path = "transactions_test.rs"]
mod tests;
