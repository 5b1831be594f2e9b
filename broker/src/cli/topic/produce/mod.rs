//! `thalweg topic produce`: writes records read from standard input.
//!
//! A thread cuts the input into records; this task groups them into batches and sends them, one round at a time, so that
//! the order of the input is kept in every partition. Batches carry a producer id where the cluster gives one, which
//! makes it safe to send them again after a failure (KIP-98).

mod batches;
mod input;
mod report;
mod send;

use std::time::Duration;

use clap::Args;
use thalweg_client::{Acks, ProduceOptions, TopicCreation};
use thalweg_wire::compression::Compression;
use tokio::sync::mpsc;
use tokio::time::Instant;

use self::batches::{Batches, Defaults};
use self::report::Reporter;
use self::send::Sender;
use crate::cli::connect::ConnectArgs;
use crate::cli::error::CliError;
use crate::cli::format::{InputRecord, InputTemplate};

/// How long a record waits for company before it is sent.
const LINGER: Duration = Duration::from_millis(5);
/// How long to wait for input before looking again; there is nothing to do meanwhile.
const IDLE: Duration = Duration::from_secs(3600);
/// Bytes of all records that wait to be sent.
const ROUND_SIZE_MAX: usize = 8 << 20;

/// Arguments of `topic produce`.
#[derive(Debug, Args)]
pub struct ProduceArgs {
    /// Name of the topic, unless the format has %t
    #[arg(value_name = "TOPIC")]
    topic: Option<String>,
    /// How the input is cut into records
    #[arg(short, long, default_value = "%v\\n")]
    format: String,
    /// Key of every record, unless the format has %k
    #[arg(short, long, value_name = "KEY")]
    key: Option<String>,
    /// A header of every record, as key=value (repeatable)
    #[arg(short = 'H', long, value_parser = header, value_name = "KEY=VALUE")]
    header: Vec<(String, String)>,
    /// Partition of every record, unless the format has %p; else by key as Java's client does
    #[arg(
        short,
        long,
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(i32).range(0..),
        value_name = "N"
    )]
    partition: Option<i32>,
    /// Codec: none, gzip, snappy, lz4, zstd
    #[arg(short = 'z', long, default_value = "none", value_parser = codec, value_name = "CODEC")]
    compression: Compression,
    /// When a record counts as written: all (-1) or leader (1)
    #[arg(long, default_value = "all", value_parser = acks, allow_hyphen_values = true)]
    acks: Acks,
    /// An empty value is a null value, which deletes the key on compacted topics
    #[arg(short = 'Z', long)]
    tombstone: bool,
    /// Let the broker create a topic that does not exist, if its settings allow it
    #[arg(long)]
    allow_auto_topic_creation: bool,
    /// Largest batch before compression
    #[arg(long, default_value_t = 512 << 10, value_parser = batch_size, value_name = "BYTES")]
    batch_size: usize,
    /// What to print for each record written: json, or a template
    #[arg(
        short = 'o',
        long,
        default_value = "Produced to partition %p at offset %o with timestamp %d.\\n"
    )]
    output_format: String,
    /// Print nothing for records written
    #[arg(short, long)]
    quiet: bool,
}

fn header(text: &str) -> Result<(String, String), String> {
    // Kcat and this program write =, rpk writes a colon.
    let pair = text.split_once('=').or_else(|| text.split_once(':'));
    let (key, value) = pair.ok_or_else(|| format!("'{text}' is not key=value"))?;
    Ok((key.to_owned(), value.to_owned()))
}

fn codec(text: &str) -> Result<Compression, String> {
    Compression::from_name(text).ok_or_else(|| format!("'{text}' is not none, gzip, snappy, lz4 or zstd"))
}

fn acks(text: &str) -> Result<Acks, String> {
    match text {
        "all" | "-1" => Ok(Acks::All),
        "leader" | "1" => Ok(Acks::Leader),
        _ => Err(format!(
            "'{text}' is not all (-1) or leader (1); unacknowledged writes are not offered"
        )),
    }
}

fn batch_size(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(size) if (1..=64 << 20).contains(&size) => Ok(size),
        _ => Err(format!("'{text}' is not a number of bytes from 1 to 67108864")),
    }
}

/// Writes records until the input ends or Ctrl-C. What was read is written before the program ends.
///
/// # Errors
/// Those of the cluster and of the input; the first one ends the command.
pub async fn run(connect: &ConnectArgs, args: ProduceArgs) -> Result<(), CliError> {
    let template = InputTemplate::parse(&args.format).map_err(|error| CliError::Usage(error.to_string()))?;
    let mut reporter = Reporter::new(&args)?;
    let cluster = connect.connect().await?;
    let creation = match args.allow_auto_topic_creation {
        true => TopicCreation::IfAllowed,
        false => TopicCreation::Never,
    };
    if let Some(topic) = &args.topic {
        // A misspelt name is told before the first line is typed.
        cluster.topic(topic, creation).await?;
    }
    let options = ProduceOptions {
        acks: args.acks,
        timeout: connect.timeout,
    };
    let sender = Sender::start(cluster.clone(), options, connect.timeout).await?;
    let defaults = Defaults {
        topic: args.topic.clone(),
        partition: args.partition,
        key: args.key.clone().map(String::into_bytes),
        headers: args
            .header
            .iter()
            .map(|(key, value)| (key.clone().into(), value.clone().into()))
            .collect(),
        tombstone: args.tombstone,
        compression: args.compression,
        batch_size: args.batch_size,
        keep: reporter.keep(),
    };
    let mut batches = Batches::new(cluster, creation, defaults, sender.producer());
    let mut records = input::start(template);
    pump(&mut records, &mut batches, &sender, &mut reporter).await
}

async fn pump(
    records: &mut mpsc::Receiver<Result<InputRecord, CliError>>,
    batches: &mut Batches,
    sender: &Sender,
    reporter: &mut Reporter,
) -> Result<(), CliError> {
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    // When the first record of the round has waited long enough.
    let mut deadline: Option<Instant> = None;
    loop {
        let until = deadline.unwrap_or_else(|| Instant::now() + IDLE);
        let next = tokio::select! {
            next = tokio::time::timeout_at(until, records.recv()) => next,
            _ = &mut interrupted => Ok(None),
        };
        match next {
            Ok(Some(Ok(record))) => {
                let record = match batches.prepare(record).await {
                    Ok(record) => record,
                    Err(error) => {
                        end_round(batches, sender, reporter).await?;
                        return Err(error);
                    }
                };
                if !batches.has_room(&record) {
                    end_round(batches, sender, reporter).await?;
                    deadline = None;
                }
                batches.push(record)?;
                deadline = deadline.or_else(|| Some(Instant::now() + LINGER));
                if batches.size_bytes() < ROUND_SIZE_MAX && !batches.has_full_batch() {
                    continue;
                }
            }
            Ok(Some(Err(error))) => {
                // What came before the bad record is good.
                end_round(batches, sender, reporter).await?;
                return Err(error);
            }
            Ok(None) => return end_round(batches, sender, reporter).await,
            Err(_elapsed) => {}
        }
        end_round(batches, sender, reporter).await?;
        deadline = None;
    }
}

/// Sends what is there and reports it.
async fn end_round(batches: &mut Batches, sender: &Sender, reporter: &mut Reporter) -> Result<(), CliError> {
    let outcome = sender.send(batches.take()?).await;
    reporter.report(outcome.written)?;
    outcome.result
}
