//! `thalweg`: arguments → settings → start → wait for a signal. The same binary is the admin command line.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use thalweg_broker::cli;
use thalweg_broker::server::{Server, Started};
use thalweg_settings::{Profile, Settings, explain, settings_reference};
use thalweg_telemetry::{init_logging, shutdown_channel};

/// Buffers of a megabyte come and go with every request: the system's allocator gives them back to the kernel each time,
/// which then clears each page again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A Kafka-compatible partitioned-stream broker.
#[derive(Parser)]
#[command(name = "thalweg", version, about, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve on this machine with defaults that need nothing: 127.0.0.1:9092, data in ./thalweg-data
    Dev {
        /// A setting, as KEY=VALUE; may be repeated
        #[arg(long = "set", value_name = "KEY=VALUE")]
        set: Vec<String>,
    },
    /// Serve with the settings of a file
    Serve {
        /// Settings, in Java's properties format with Kafka's names
        file: PathBuf,
        /// A setting that wins over file and environment, as KEY=VALUE; may be repeated
        #[arg(long = "set", value_name = "KEY=VALUE")]
        set: Vec<String>,
    },
    /// Explain settings
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    #[command(flatten)]
    Admin(cli::Command),
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Tell what a setting means, what it may be, and what it is; without KEY, list them all
    Explain {
        /// The setting
        key: Option<String>,
        /// Settings file to read the values from
        #[arg(long)]
        file: Option<PathBuf>,
        /// Print the reference of all settings (broker/SETTINGS.md)
        #[arg(long, conflicts_with_all = ["key", "file"])]
        all: bool,
    },
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Dev { set } => serve(Profile::Dev, None, &set),
        Command::Serve { file, set } => serve(Profile::Serve, Some(file), &set),
        Command::Config {
            command: ConfigCommand::Explain { all: true, .. },
        } => {
            print!("{}", settings_reference());
            ExitCode::SUCCESS
        }
        Command::Config {
            command: ConfigCommand::Explain { key, file, .. },
        } => config_explain(key, file),
        Command::Admin(command) => cli::run(command),
    }
}

fn serve(profile: Profile, file: Option<PathBuf>, set: &[String]) -> ExitCode {
    let settings = match Settings::load(profile, file.as_deref(), std::env::vars_os(), set) {
        Ok(settings) => settings,
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::from(2);
        }
    };
    // `dev` speaks to a person: what happens normally is on the twelve lines already.
    let default_filter = if profile == Profile::Dev { "warn" } else { "info" };
    if let Err(error) = init_logging(default_filter) {
        eprintln!("{error}");
        return ExitCode::from(2);
    }
    for notice in settings.notices() {
        tracing::warn!("{notice}");
    }
    raise_file_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("worker")
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start worker threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(async {
        let (trigger, _) = shutdown_channel();
        if let Err(error) = trigger.on_signals() {
            eprintln!("cannot listen to signals: {error}");
            return ExitCode::FAILURE;
        }
        let data_directory = settings.data_directory().to_owned();
        let any_factor = settings.replication_factor_any();
        match Server::start(settings, &trigger).await {
            Ok(server) => {
                match profile {
                    Profile::Dev => print!("{}", banner(&server.started, &data_directory, any_factor)),
                    Profile::Serve => tracing::info!(
                        version = env!("CARGO_PKG_VERSION"),
                        cluster_id = %server.started.stamp.cluster_id,
                        listeners = ?server.started.listeners,
                        http = ?server.started.http,
                        "serving"
                    ),
                }
                server.run().await;
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("thalweg does not start: {error}");
                ExitCode::FAILURE
            }
        }
    })
}

/// Raises the soft limit of open files to the hard one: connections and segments share them.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files stays at {:?}", limit.current);
    }
}

/// What `dev` prints: at most twelve lines.
fn banner(started: &Started, data_directory: &std::path::Path, any_factor: bool) -> String {
    let mut out = String::new();
    let path = std::path::absolute(data_directory).unwrap_or_else(|_| data_directory.to_owned());
    let free = started.space.map_or_else(String::new, |space| {
        format!(", {:.1} GiB free", space.available as f64 / f64::from(1 << 30))
    });
    let kafka = started
        .listeners
        .first()
        .map(|(_, address)| address.to_string())
        .unwrap_or_default();
    let http = started
        .http
        .map_or("off".to_owned(), |address| format!("http://{address}"));
    let loopback = started
        .listeners
        .iter()
        .all(|(_, address)| address.ip().is_loopback());
    let reach = if loopback {
        "reachable from this machine only"
    } else {
        "REACHABLE FROM THE NETWORK"
    };
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "Thalweg {} (cluster {})",
        env!("CARGO_PKG_VERSION"),
        started.stamp.cluster_id
    );
    let _ = writeln!(
        out,
        "data      {}{free}; every acknowledged record is flushed",
        path.display()
    );
    let _ = writeln!(out, "Kafka     {kafka}");
    let _ = writeln!(out, "HTTP      {http}");
    let _ = writeln!(out, "security  no authentication, no encryption; {reach}");
    if started.http.is_some() {
        let _ = writeln!(out, "metrics   {http}/metrics");
    }
    if any_factor {
        let _ = writeln!(
            out,
            "note      any replication factor is taken and reported as 1 (replication.factor.any)"
        );
    }
    let server = if kafka == "127.0.0.1:9092" {
        String::new()
    } else {
        format!(" --bootstrap-server {kafka}")
    };
    let _ = writeln!(out, "try       thalweg topic create demo -p 3{server}");
    let _ = writeln!(out, "          echo hello | thalweg topic produce demo{server}");
    let _ = writeln!(out, "          thalweg topic consume demo -n 1{server}");
    let _ = writeln!(out, "stop      Ctrl-C");
    out
}

fn config_explain(key: Option<String>, file: Option<PathBuf>) -> ExitCode {
    let settings = match Settings::load(Profile::Serve, file.as_deref(), std::env::vars_os(), &[]) {
        Ok(settings) => settings,
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::from(2);
        }
    };
    let Some(key) = key else {
        for effective in settings.iter() {
            if !say(&format!("{} = {}", effective.setting.name, effective.shown())) {
                break;
            }
        }
        return ExitCode::SUCCESS;
    };
    match explain(&key, &settings) {
        Ok(text) => {
            say(text.trim_end());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// Prints a line; `false` when nobody reads any more (`… | head`), which is no error.
fn say(line: &str) -> bool {
    use std::io::Write as _;
    writeln!(std::io::stdout(), "{line}").is_ok()
}
