//! The two programs that mirror: `thalweg-mirror` between two Thalweg brokers, MirrorMaker 2 between two Kafka brokers.
//!
//! Each is started as its own documentation says; both mirror under the same names and look for new topics equally often.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use tempfile::TempDir;
use thalweg_tests::clients::java::Java;
use thalweg_tests::mirror;
use thalweg_tests::process::{Output, Server};

use crate::procfs::{self, ProcessSample};
use crate::side::Product;

/// How often either looks for topics.
const DISCOVERY: Duration = Duration::from_secs(2);
/// Options of Kafka's own start script, `KAFKA_HEAP_OPTS` of connect-mirror-maker.sh among them.
const JAVA: [&str; 8] = [
    "-Xms256M",
    "-Xmx2G",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-Djava.awt.headless=true",
];

/// A mirroring process.
#[derive(Debug)]
pub struct Replicator {
    product: Product,
    // Before the directory: dropped in this order, nothing writes into what is being removed.
    server: Option<Server>,
    directory: TempDir,
}

impl Replicator {
    /// Writes the settings of a link from `source` to `target` for one topic; starts nothing.
    ///
    /// # Errors
    /// When the directory cannot be made, or Java or the jars are missing.
    pub fn prepare(product: Product, source: &str, target: &str, topic: &str) -> Result<Replicator> {
        let directory = crate::ends::directory("bench-mirror-")?;
        let replicator = Replicator {
            product,
            server: None,
            directory,
        };
        let text = match product {
            Product::Thalweg => format!(
                "[service]\nhttp = \"127.0.0.1:{}\"\n[link.bench]\nsource.bootstrap = \"{source}\"\n\
                 target.bootstrap = \"{target}\"\ntopics = [\"{topic}\"]\ndiscovery_ms = {}\n",
                thalweg_tests::ports::free(),
                DISCOVERY.as_millis()
            ),
            Product::Kafka => mirror_maker(source, target, topic),
        };
        let file = replicator.file();
        std::fs::write(&file, text).with_context(|| format!("write {}", file.display()))?;
        Ok(replicator)
    }

    /// Starts the process; does not wait.
    ///
    /// # Errors
    /// When Java or its jars are missing.
    pub fn start(&mut self) -> Result<()> {
        let command = self.command()?;
        self.server = Some(Server::start(command, &self.output()));
        Ok(())
    }

    /// One look at the process.
    ///
    /// # Errors
    /// When it has ended; the message carries the end of its output.
    pub fn sample(&mut self) -> Result<ProcessSample> {
        let Some(server) = self.server.as_mut() else {
            bail!("the mirror was not started");
        };
        if let Some(status) = server.exit_status() {
            bail!("the mirror ended: {status}\n{}", self.output().tail());
        }
        ProcessSample::take(server.pid())
    }

    /// Forgets the largest memory so far.
    pub fn reset_peak(&self) {
        if let Some(server) = &self.server {
            procfs::reset_peak(server.pid());
        }
    }

    /// The end of its output.
    pub fn log_tail(&self) -> String {
        self.output().tail()
    }

    fn output(&self) -> Output {
        Output::in_directory(self.directory.path())
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join(match self.product {
            Product::Thalweg => "mirror.toml",
            Product::Kafka => "mm2.properties",
        })
    }

    fn command(&self) -> Result<Command> {
        let mut command = match self.product {
            Product::Thalweg => {
                let mut command = Command::new(mirror::binary());
                command.arg("run");
                command
            }
            Product::Kafka => {
                let java =
                    Java::find().map_err(|why| anyhow!("MirrorMaker 2 needs Java and its jars: {why}"))?;
                java.with_options(&JAVA, "org.apache.kafka.connect.mirror.MirrorMaker")
            }
        };
        command.arg(self.file()).current_dir(self.directory.path());
        Ok(command)
    }
}

/// Dedicated mode with four tasks; one copy of everything, because there is one broker.
fn mirror_maker(source: &str, target: &str, topic: &str) -> String {
    let seconds = DISCOVERY.as_secs();
    let mut text = format!(
        "clusters=A,B\nA.bootstrap.servers={source}\nB.bootstrap.servers={target}\nA->B.enabled=true\n\
         A->B.topics={topic}\nB->A.enabled=false\ntasks.max=4\nreplication.factor=1\nsync.topic.acls.enabled=false\n\
         refresh.topics.interval.seconds={seconds}\n\
         replication.policy.class=org.apache.kafka.connect.mirror.IdentityReplicationPolicy\n"
    );
    for topic in ["checkpoints.topic", "heartbeats.topic", "offset-syncs.topic"] {
        text.push_str(&format!("{topic}.replication.factor=1\n"));
    }
    for storage in ["offset", "status", "config"] {
        text.push_str(&format!("{storage}.storage.replication.factor=1\n"));
    }
    text
}
