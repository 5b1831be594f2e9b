//! The mirror service under test: a real process with a file of links.
//!
//! Owns the file, its HTTP port and the process; kills it when dropped.

use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::sync::OnceLock;
use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use serde_json::Value;
use tempfile::TempDir;

use crate::broker::{self, Broker};
use crate::clients::librdkafka::{CALL, partitions, reader};
use crate::process::{Finished, Output, Server, run};
use crate::{http, places, ports, wait, watchdog};

/// How long a command of the mirror's command line may take.
const COMMAND: Duration = Duration::from_secs(120);
/// How long an orderly stop may take.
const STOP: Duration = Duration::from_secs(15);

/// A service and its file.
#[derive(Debug)]
pub struct Mirror {
    directory: TempDir,
    http: String,
    output: Output,
    server: Option<Server>,
}

impl Mirror {
    /// Writes a file with one link, `west`, from `source` to `target`; `rules` are further lines of the link.
    pub fn between(source: &Broker, target: &Broker, rules: &str) -> Mirror {
        let directory = tempfile::Builder::new()
            .prefix(&format!("{}-mirror-", places::test_name()))
            .tempdir_in(places::runs())
            .unwrap_or_else(|error| panic!("make a directory in {}: {error}", places::runs().display()));
        let mirror = Mirror {
            http: format!("127.0.0.1:{}", ports::free()),
            output: Output::in_directory(directory.path()),
            directory,
            server: None,
        };
        let text = format!(
            "[service]\nhttp = \"{}\"\n[link.west]\nsource.bootstrap = \"{}\"\ntarget.bootstrap = \"{}\"\n\
             discovery_ms = 500\nlease_ms = 3000\n{rules}\n",
            mirror.http,
            source.bootstrap(),
            target.bootstrap()
        );
        std::fs::write(mirror.file(), text).expect("the directory is ours");
        mirror
    }

    /// The file of links.
    pub fn file(&self) -> PathBuf {
        self.directory.path().join("mirror.toml")
    }

    /// Starts the service; does not wait.
    pub fn start(&mut self) {
        assert!(self.server.is_none(), "the service runs already");
        let mut command = Command::new(binary());
        command.arg("run").arg(self.file());
        command.current_dir(self.directory.path());
        self.server = Some(Server::start(command, &self.output));
    }

    /// Kills the service with SIGKILL.
    pub fn kill_nine(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill_nine();
        }
    }

    /// Stops the service in order.
    #[track_caller]
    pub fn terminate(&mut self) -> ExitStatus {
        self.server.take().expect("the service runs").terminate(STOP)
    }

    /// Runs a command of the mirror's command line on the file.
    pub fn command(&self, verb: &str, more: &[&str]) -> Finished {
        let mut command = Command::new(binary());
        command.arg(verb).arg(self.file()).args(more);
        run(command, b"", COMMAND)
    }

    /// The partitions as the service sees them; `None` while it does not answer.
    pub fn partitions(&self) -> Option<Vec<Value>> {
        let answer = http::get(&self.http, "/links/west/topics").ok()?;
        let json: Value = serde_json::from_str(&answer.body).ok()?;
        json["partitions"].as_array().cloned()
    }

    /// A path of the service's HTTP.
    pub fn get(&self, path: &str) -> std::io::Result<http::Answer> {
        http::get(&self.http, path)
    }

    /// Waits until the mirror of `topic` ends where the source ends.
    #[track_caller]
    pub fn wait_for(&self, source: &Broker, target: &Broker, topic: &str) {
        let equal = || {
            let here = ends(source, topic);
            !here.is_empty() && here == ends(target, topic)
        };
        if wait::poll(wait::PATIENCE, || equal().then_some(())).is_none() {
            panic!(
                "{topic} is not mirrored: source {:?}, mirror {:?}, {:#?}\n{}",
                ends(source, topic),
                ends(target, topic),
                self.partitions(),
                self.output.tail()
            );
        }
    }

    /// Waits until a partition of `topic` is in `state`, and returns it.
    #[track_caller]
    pub fn wait_for_state(&self, topic: &str, state: &str) -> Value {
        let look = || {
            self.partitions()?
                .into_iter()
                .find(|partition| partition["topic"] == topic && partition["state"] == state)
        };
        wait::poll(wait::PATIENCE, look).unwrap_or_else(|| {
            panic!(
                "{topic} does not become {state}: {:#?}\n{}",
                self.partitions(),
                self.output.tail()
            )
        })
    }

    /// Asserts that both sides are equal batch by batch.
    #[track_caller]
    pub fn verify(&self) -> Finished {
        self.command("verify", &[]).ok()
    }

    /// The end of the service's output.
    pub fn log_tail(&self) -> String {
        self.output.tail()
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.kill_nine();
        if std::thread::panicking() {
            eprintln!("the mirror service:\n{}", self.output.tail());
        }
    }
}

/// The end of each partition; empty while the topic is not there or its broker is away.
pub fn ends(broker: &Broker, topic: &str) -> Vec<i64> {
    let consumer = reader(broker, &[]);
    let known = consumer.fetch_metadata(Some(topic), CALL).is_ok_and(|metadata| {
        metadata
            .topics()
            .iter()
            .any(|found| found.name() == topic && found.error().is_none() && !found.partitions().is_empty())
    });
    if !known {
        return Vec::new();
    }
    partitions(&consumer, topic)
        .into_iter()
        .map(|partition| {
            consumer
                .fetch_watermarks(topic, partition, CALL)
                .map_or(-1, |(_, end)| end)
        })
        .collect()
}

/// The service's executable, built once per test process.
pub fn binary() -> PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY
        .get_or_init(|| watchdog::while_building(|| broker::build("thalweg-mirror", "thalweg-mirror")))
        .clone()
}
