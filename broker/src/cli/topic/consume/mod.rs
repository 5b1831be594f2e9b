//! `thalweg topic consume`: prints the records of topics, without a group.

mod decode;
mod plan;
mod print;
mod reader;

use std::time::Duration;

use clap::Args;
use thalweg_client::{FetchOptions, Isolation};

use self::plan::Plan;
use self::print::Printer;
use self::reader::{Limits, Reader};
use crate::cli::connect::ConnectArgs;
use crate::cli::error::CliError;
use crate::cli::offset_spec::OffsetSpec;
use crate::cli::time::parse_duration;

/// Arguments of `topic consume`.
#[derive(Debug, Args)]
pub struct ConsumeArgs {
    /// Names of the topics
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// Where to begin, and where to stop
    #[arg(short, long, default_value = "start", value_parser = OffsetSpec::parse, allow_hyphen_values = true)]
    offset: OffsetSpec,
    /// Only these partitions
    #[arg(short, long, value_delimiter = ',', value_name = "N,N")]
    partitions: Vec<i32>,
    /// Stop after so many records; 0 is no limit
    #[arg(short, long, default_value_t = 0, value_name = "N")]
    num: u64,
    /// How to print a record: json, or a template
    #[arg(short, long, default_value = "json")]
    format: String,
    /// With -f json: indent each record (on a terminal by default)
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pretty_print: Option<bool>,
    /// With -f json: leave the values out
    #[arg(long)]
    meta_only: bool,
    /// Skip records of open and aborted transactions
    #[arg(long)]
    read_committed: bool,
    /// Also print commit and abort markers
    #[arg(long)]
    print_control_records: bool,
    /// Bytes to ask of a broker at a time
    #[arg(long, default_value_t = 8 << 20, value_parser = clap::value_parser!(i32).range(1..), value_name = "BYTES")]
    fetch_max_bytes: i32,
    /// How long a broker may wait for new records
    #[arg(long, default_value = "1s", value_parser = parse_duration, value_name = "DURATION")]
    fetch_max_wait: Duration,
}

/// Prints records until the end of the range, the number asked for, or Ctrl-C.
///
/// # Errors
/// Those of the cluster; damaged batches.
pub async fn run(connect: &ConnectArgs, args: ConsumeArgs) -> Result<(), CliError> {
    tokio::select! {
        result = consume(connect, &args) => result,
        // The normal end of a reader without an end. What was printed has been flushed after each answer.
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

async fn consume(connect: &ConnectArgs, args: &ConsumeArgs) -> Result<(), CliError> {
    let mut printer = Printer::new(args)?;
    let isolation = if args.read_committed {
        Isolation::ReadCommitted
    } else {
        Isolation::ReadUncommitted
    };
    let cluster = connect.connect().await?;
    let plan = Plan::make(&cluster, args, isolation).await?;
    let options = FetchOptions {
        wait_max: args.fetch_max_wait.min(Duration::from_secs(60)),
        size_bytes_min: 1,
        size_bytes_max: args.fetch_max_bytes,
        isolation,
    };
    let limits = Limits {
        options,
        patience: connect.timeout,
    };
    Reader::new(cluster, plan, limits).run(&mut printer).await
}
