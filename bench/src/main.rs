//! `thalweg-bench`: Thalweg measured beside Apache Kafka, on the same machine, with the same clients from outside.
//!
//! Owns scenarios, load generators, accounts of CPU, memory and disk, and the report. How brokers and Java tools are
//! started comes from the tests' harness. Invariant: nothing here outlives the program, and every load and wait is
//! bounded.

mod account;
mod admin;
mod aims;
mod compare;
mod ends;
mod failure;
mod figures;
mod flame;
mod floor;
mod generate;
mod histogram;
mod line;
mod lineup;
mod machine;
mod markdown;
mod perf_tools;
mod procfs;
mod profile;
mod replicator;
mod results;
mod runs;
mod scenario;
mod side;
mod svg;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use thalweg_tests::{places, watchdog};

use crate::compare::Plan;
use crate::scenario::{SCENARIOS, Scale};

/// Measures Thalweg beside Apache Kafka.
#[derive(Debug, Parser)]
#[command(name = "thalweg-bench")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything but the two scenarios of `partitions` and mirroring: throughput, fetch, codecs, spread, latency, transactions,
    /// compaction, large groups, start, idle.
    Compare(Options),
    /// `thalweg-mirror` between two Thalweg brokers beside MirrorMaker 2 between two Kafka brokers.
    CompareMirror(Options),
    /// Lists the scenarios.
    List,
    /// 20,000 records/s in an open loop.
    Latency(Options),
    /// Transactions and reading them, compaction, a group of 1,000 members, 10,000 groups that commit.
    Transactions(Options),
    /// Starts, idle memory, first record after SIGKILL.
    Start(Options),
    /// 10,000 partitions: sealed segments, restart, a record a second each; and throughput by number of partitions.
    Partitions(Options),
    /// Draws flame graphs of Thalweg under produce and fetch loads, six of them unless --only names others; needs Linux's `perf`.
    Profile(Options),
    /// Runs a load generator in this process and prints what it did as JSON.
    #[command(subcommand)]
    Generate(generate::Generate),
}

#[derive(Debug, Clone, Args)]
struct Options {
    /// Small loads, one round: shows within minutes that everything works.
    #[arg(long)]
    quick: bool,
    /// Only scenarios whose name contains this.
    #[arg(long)]
    only: Option<String>,
    /// Rounds of each scenario; long ones have fewer.
    #[arg(long)]
    rounds: Option<u32>,
    /// Directory of the report.
    #[arg(long)]
    out: Option<PathBuf>,
}

impl Options {
    fn plan(&self, groups: &[&'static str], folder: &str) -> Plan {
        let results = places::repository().join("bench/results");
        Plan {
            groups: groups.to_vec(),
            only: self.only.clone(),
            scale: if self.quick { Scale::Quick } else { Scale::Full },
            rounds: self.rounds.unwrap_or(if self.quick { 1 } else { 3 }).max(1),
            out: self.out.clone().unwrap_or_else(|| results.join(folder)),
            floor: groups.contains(&"produce"),
        }
    }
}

/// How long a run may take; the harness ends what takes longer.
const RUN_MAX: Duration = Duration::from_secs(4 * 3600);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    watchdog::allow(RUN_MAX);
    let outcome = match &arguments.command {
        Command::List => {
            for scenario in SCENARIOS {
                println!("{:<20} {}", scenario.name, scenario.what);
            }
            Ok(())
        }
        Command::Generate(generate) => generate::run(generate),
        Command::Compare(options) => {
            let groups = [
                "produce",
                "small",
                "librdkafka",
                "fetch",
                "codec",
                "spread",
                "prepared",
                "latency",
                "txn",
                "compact",
                "group",
                "start",
            ];
            measured(&options.plan(&groups, "compare"))
        }
        Command::CompareMirror(options) => measured(&options.plan(&["mirror"], "compare-mirror")),
        Command::Latency(options) => measured(&options.plan(&["latency"], "latency")),
        Command::Transactions(options) => {
            measured(&options.plan(&["txn", "compact", "group"], "transactions"))
        }
        Command::Start(options) => measured(&options.plan(&["start"], "start")),
        Command::Partitions(options) => {
            measured(&options.plan(&["spread", "prepared", "partitions"], "partitions"))
        }
        Command::Profile(options) => profiled(&options.plan(&[], "profile")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("thalweg-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measured(plan: &Plan) -> anyhow::Result<()> {
    begin(plan)?;
    compare::run(plan)
}

fn profiled(plan: &Plan) -> anyhow::Result<()> {
    begin(plan)?;
    profile::run(plan)
}

fn begin(plan: &Plan) -> anyhow::Result<()> {
    if cfg!(debug_assertions) && plan.scale == Scale::Full {
        anyhow::bail!("a debug build measures nothing: use `cargo run --release -p thalweg-bench -- …`");
    }
    Ok(ends::watch()?)
}
