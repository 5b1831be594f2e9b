//! Apache Kafka's own producer and consumer perf tools as load generators, and what their output says.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use thalweg_tests::clients::java::Java;
use thalweg_tests::process::{self, Finished};

use crate::scenario::Produce;

const PRODUCER: &str = "org.apache.kafka.tools.ProducerPerformance";
const CONSUMER: &str = "org.apache.kafka.tools.ConsumerPerformance";

/// Heap of kafka-producer-perf-test.sh, and the performance options of all Kafka's scripts.
const TOOL_JAVA: [&str; 6] = [
    "-Xmx512M",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
];

/// Share of the records that a producer run does not count: the tool's own warm-up.
pub const WARM_UP: f64 = 0.25;

/// What the producer tool says of the records after its warm-up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProducerReport {
    /// Records acknowledged after the warm-up, per second.
    pub records_per_second: f64,
    /// Percentiles of the time from sending to acknowledgement, in milliseconds.
    pub p50_ms: f64,
    /// 95th.
    pub p95_ms: f64,
    /// 99th.
    pub p99_ms: f64,
    /// 99.9th.
    pub p999_ms: f64,
    /// The largest.
    pub max_ms: f64,
    /// Requests that the client sent, warm-up included; `None` if it does not say.
    pub requests: Option<f64>,
}

/// What the consumer tool says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConsumerReport {
    /// Records received.
    pub records: f64,
    /// Seconds of fetching, without joining the group.
    pub seconds: f64,
    /// Fetch requests, if it says so.
    pub requests: Option<f64>,
}

/// Produces with the perf tool. `payload` names a file with one record a line; without it records are random letters.
///
/// # Errors
/// When the tool fails or says something else than expected.
pub fn produce(
    bootstrap: &str,
    topic: &str,
    load: &Produce,
    payload: Option<&Path>,
    within: Duration,
) -> Result<ProducerReport> {
    let java = Java::find().map_err(|why| anyhow!(why))?;
    let mut command = java.with_options(&TOOL_JAVA, PRODUCER);
    let records = load.records();
    let warm_up = (records as f64 * WARM_UP) as u64;
    command
        .args(["--bootstrap-server", bootstrap, "--topic", topic])
        .args(["--num-records", &records.to_string()])
        .args(["--warmup-records", &warm_up.to_string()])
        .args(["--throughput", "-1", "--print-metrics"]);
    match payload {
        Some(path) => command.arg("--payload-file").arg(path),
        None => command.args(["--record-size", &load.record_bytes.to_string()]),
    };
    command.arg("--command-property").args([
        "acks=all".to_owned(),
        format!("batch.size={}", load.batch_bytes),
        format!("linger.ms={}", load.linger_ms),
        format!("compression.type={}", load.codec),
    ]);
    let finished = succeeded(process::run(command, b"", within))?;
    parse_producer(&finished.stdout_text()).with_context(|| finished.describe())
}

/// Consumes a topic from its beginning with the perf tool.
///
/// # Errors
/// When the tool fails or says something else than expected.
pub fn consume(bootstrap: &str, topic: &str, records: u64, within: Duration) -> Result<ConsumerReport> {
    let java = Java::find().map_err(|why| anyhow!(why))?;
    let mut command = java.with_options(&TOOL_JAVA, CONSUMER);
    command
        .args(["--bootstrap-server", bootstrap, "--topic", topic])
        .args(["--num-records", &records.to_string()])
        .args(["--timeout", "30000", "--hide-header", "--print-metrics"])
        .args(["--command-property", "check.crcs=false"]);
    let finished = succeeded(process::run(command, b"", within))?;
    parse_consumer(&finished.stdout_text()).with_context(|| finished.describe())
}

fn succeeded(finished: Finished) -> Result<Finished> {
    match finished.status.success() {
        true => Ok(finished),
        false => Err(anyhow!("{}", finished.describe())),
    }
}

/// Reads the summary after the warm-up, or the whole run's if there is none:
/// `750000 steady state records sent, 95000.1 records/sec (92.77 MB/sec), 300.1 ms avg latency, 520.00 ms max latency,
/// 290 ms 50th, 400 ms 95th, 500 ms 99th, 510 ms 99.9th.`
fn parse_producer(text: &str) -> Result<ProducerReport> {
    let line = text
        .lines()
        .rfind(|line| line.contains("records sent") && line.contains("99.9th"))
        .ok_or_else(|| anyhow!("no summary line"))?;
    let number = |what: &str| -> Result<f64> {
        let part = line.split(", ").find(|part| part.contains(what));
        let part = part.ok_or_else(|| anyhow!("no {what} in: {line}"))?;
        let word = part.split_whitespace().next().unwrap_or_default();
        // A run with another decimal point would not come from our command.
        word.parse().with_context(|| format!("{what} in: {line}"))
    };
    Ok(ProducerReport {
        records_per_second: number("records/sec")?,
        p50_ms: number(" 50th")?,
        p95_ms: number(" 95th")?,
        p99_ms: number(" 99th")?,
        p999_ms: number(" 99.9th")?,
        max_ms: number("max latency")?,
        requests: metric(text, "producer-metrics:request-total:"),
    })
}

/// Reads `start, end, MB, MB/s, records, records/s, rebalance ms, fetch ms, fetch MB/s, fetch records/s`.
fn parse_consumer(text: &str) -> Result<ConsumerReport> {
    for line in text.lines() {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        if fields.len() != 10 {
            continue;
        }
        let numbers: Vec<f64> = fields
            .iter()
            .skip(2)
            .filter_map(|field| field.parse().ok())
            .collect();
        if let [_, _, records, _, _, fetch_ms, ..] = numbers[..] {
            return Ok(ConsumerReport {
                records,
                seconds: fetch_ms / 1e3,
                requests: metric(text, "consumer-fetch-manager-metrics:fetch-total:"),
            });
        }
    }
    Err(anyhow!("no line with ten fields"))
}

/// The value of the first metric whose name begins with `name`: `group:name:{tags} : 12.000`.
fn metric(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.trim_start().starts_with(name))?;
    line.rsplit(':').next()?.trim().parse().ok()
}

#[cfg(test)]
#[path = "perf_tools_test.rs"]
mod tests;
