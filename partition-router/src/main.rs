//! `thalweg-router`: arguments → service → wait for a signal.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use thalweg_router::registry::store::StoreConfig;
use thalweg_router::service::{ServiceConfig, run};
use thalweg_telemetry::{init_logging, shutdown_channel};

/// The schema registry beside a Kafka-compatible cluster; partitioned stream tables will join it.
#[derive(Parser)]
#[command(name = "thalweg-router", version, about, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the schema registry until SIGTERM or Ctrl-C
    Run(Run),
}

#[derive(clap::Args)]
struct Run {
    /// Brokers to ask first, comma-separated
    #[arg(long, default_value = "localhost:9092")]
    bootstrap: String,
    /// Address of the REST interface; there is no password yet, so keep it inside a network you trust
    #[arg(long, default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// Compacted topic that keeps the schemas; created if it is not there
    #[arg(long, default_value = "_schemas")]
    schemas_topic: String,
    /// Copies of that topic when it is created; the broker's default without it
    #[arg(long)]
    replication_factor: Option<i16>,
    /// Longest time a request waits for the cluster, in milliseconds
    #[arg(long, default_value_t = 15_000, value_parser = clap::value_parser!(u64).range(1_000..=300_000))]
    patience_ms: u64,
}

/// Wrong arguments, as clap has it.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let Command::Run(arguments) = Arguments::parse().command;
    if let Err(error) = init_logging("info") {
        eprintln!("{error}");
        return ExitCode::from(USAGE);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start worker threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let config = ServiceConfig {
        bootstrap: arguments.bootstrap,
        listen: arguments.listen,
        store: StoreConfig {
            topic: arguments.schemas_topic,
            replication_factor: arguments.replication_factor,
            patience: Duration::from_millis(arguments.patience_ms),
        },
    };
    let ended = runtime.block_on(async {
        let (trigger, shutdown) = shutdown_channel();
        trigger
            .on_signals()
            .map_err(|error| format!("cannot listen to signals: {error}"))?;
        run(config, shutdown).await
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
