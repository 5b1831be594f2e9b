//! Producing at full speed into new topics.

use std::io::Write;

use anyhow::{Result, ensure};
use tempfile::NamedTempFile;

use super::{Contender, unique};
use crate::account::Account;
use crate::admin::Topics;
use crate::figures::{Figures, names};
use crate::generate::Payload;
use crate::lineup::{self, LOAD, Lineup};
use crate::perf_tools::{self, ProducerReport};
use crate::scenario::{Generator, Produce};
use crate::side::Served;

/// What a load came to, whoever sent it.
struct Sent {
    records: u64,
    requests: Option<f64>,
    figures: Figures,
}

/// One round: new topics, account, load, topics deleted.
///
/// # Errors
/// When the broker or the generator fails, or records are missing.
pub fn round(lineup: &mut Lineup, contender: Contender, load: &Produce) -> Result<Figures> {
    let (served, others) = lineup.beside(contender.product())?;
    let topics = Topics::spread(&unique("load"), load.partitions);
    let admin = served.admin()?;
    admin.create(&topics, &[])?;
    // The file is written before the account is opened.
    let payload = payload_file(load)?;
    let account = Account::open(served.pid()?, &others, &served.data())?;
    let sent = send(served, &topics, load, payload.as_ref())?;
    let costs = account.close(&served.data())?;
    let held = lineup::count(&admin, &topics)?;
    ensure!(
        held == sent.records,
        "{} records were acknowledged, {held} are there",
        sent.records
    );
    admin.delete(&topics)?;
    let bytes = sent.records as f64 * load.record_bytes as f64;
    let mut figures = costs.figures(bytes, sent.records as f64, sent.requests);
    figures.extend(sent.figures);
    Ok(figures)
}

fn send(served: &Served, topics: &Topics, load: &Produce, payload: Option<&NamedTempFile>) -> Result<Sent> {
    match load.generator {
        Generator::PerfTool => {
            let path = payload.map(NamedTempFile::path);
            let report = perf_tools::produce(served.bootstrap(), topics.first(), load, path, LOAD)?;
            Ok(Sent {
                records: load.records(),
                requests: report.requests,
                figures: tool_figures(&report, load.record_bytes),
            })
        }
        Generator::Librdkafka | Generator::Prepared => {
            let produced = match load.generator {
                Generator::Prepared => lineup::produce_prepared(served.bootstrap(), topics, load)?,
                _ => lineup::produce_by_librdkafka(served.bootstrap(), topics, load)?,
            };
            let rate = produced.steady_records as f64 / produced.steady_seconds;
            Ok(Sent {
                records: produced.records,
                requests: (produced.requests > 0).then_some(produced.requests as f64),
                figures: rates(rate, load.record_bytes),
            })
        }
    }
}

fn rates(records_per_second: f64, record_bytes: usize) -> Figures {
    Figures::from([
        (names::RECORDS.to_owned(), records_per_second),
        (
            names::THROUGHPUT.to_owned(),
            records_per_second * record_bytes as f64 / 1e6,
        ),
    ])
}

fn tool_figures(report: &ProducerReport, record_bytes: usize) -> Figures {
    let mut figures = rates(report.records_per_second, record_bytes);
    let latencies = [
        (names::P50, report.p50_ms),
        (names::P95, report.p95_ms),
        (names::P99, report.p99_ms),
        (names::P999, report.p999_ms),
        (names::MAX, report.max_ms),
    ];
    figures.extend(latencies.map(|(name, value)| (name.to_owned(), value)));
    figures
}

/// The perf tool makes letters itself; other values come from a file, one a line.
fn payload_file(load: &Produce) -> Result<Option<NamedTempFile>> {
    if load.generator != Generator::PerfTool || load.payload == Payload::Letters {
        return Ok(None);
    }
    let mut file = tempfile::Builder::new()
        .prefix("bench-payload-")
        .tempfile_in(thalweg_tests::places::runs())?;
    for value in load.payload.values(load.record_bytes) {
        file.write_all(&value)?;
        file.write_all(b"\n")?;
    }
    file.flush()?;
    Ok(Some(file))
}
