//! The two programs that are compared, each started as its own documentation says, on the same disk.
//!
//! Owns the settings and virtual machine options of either side and the directory of its data. Both get the same topic
//! settings; what is set here beside addresses keeps a run short (less disk used by deleted topics) and is the same
//! for both. Kafka's heap and collector are those of its start script.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use tempfile::TempDir;
use thalweg_tests::clients::java::Java;
use thalweg_tests::process::{Output, Server};
use thalweg_tests::{broker, http, kafka_peer, places, ports};

use crate::admin::Admin;
use crate::procfs;

const START: Duration = Duration::from_secs(120);
const STOP: Duration = Duration::from_secs(60);

/// Options of Kafka's own start script: `KAFKA_HEAP_OPTS` of kafka-server-start.sh and the performance options.
const KAFKA_SERVER_JAVA: [&str; 8] = [
    "-Xmx1G",
    "-Xms1G",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-Djava.awt.headless=true",
];

/// Number of tmpfs in `statfs`: memory is not a disk.
const TMPFS_MAGIC: i64 = 0x0102_1994;

/// A program under comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Product {
    /// This project's broker.
    Thalweg,
    /// Apache Kafka in its one-node form.
    Kafka,
}

impl Product {
    /// Both, in the order of the rounds.
    pub const ALL: [Product; 2] = [Product::Thalweg, Product::Kafka];

    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Product::Thalweg => "Thalweg",
            Product::Kafka => "Kafka",
        }
    }
}

/// Sizes that a short run makes smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// `wal.max.bytes`; `None` leaves the default.
    pub wal_max_bytes: Option<u64>,
    /// `wal.file.bytes`, with it.
    pub wal_file_bytes: Option<u64>,
}

/// A broker's process and its directory.
#[derive(Debug)]
pub struct Served {
    product: Product,
    bootstrap: String,
    second: String,
    settings: BTreeMap<String, String>,
    // Before the directory: dropped in this order, nothing writes into what is being removed.
    server: Option<Server>,
    directory: TempDir,
}

/// What a start took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Started {
    /// From the start of the process to its first answer to a Metadata request.
    pub elapsed: Duration,
    /// CPU time of the process until then.
    pub cpu: Duration,
}

impl Served {
    /// Makes a directory with settings for `product`; starts nothing.
    ///
    /// # Errors
    /// When the directory lies in memory, or something that Kafka needs is missing.
    pub fn prepare(product: Product, sizes: Sizes) -> Result<Served> {
        let runs = places::runs();
        if rustix::fs::statfs(&runs)?.f_type as i64 == TMPFS_MAGIC {
            bail!(
                "{} lies in memory: a benchmark of durable writes needs a disk",
                runs.display()
            );
        }
        let directory = crate::ends::directory("bench-")?;
        let mut served = Served {
            product,
            bootstrap: format!("127.0.0.1:{}", ports::free()),
            second: format!("127.0.0.1:{}", ports::free()),
            settings: BTreeMap::new(),
            directory,
            server: None,
        };
        served.settings = served.initial_settings(sizes);
        served.write_properties()?;
        if product == Product::Kafka {
            Java::find().map_err(|why| anyhow!("Apache Kafka needs Java and its jars: {why}"))?;
            kafka_peer::format(&served.properties());
        }
        Ok(served)
    }

    fn initial_settings(&self, sizes: Sizes) -> BTreeMap<String, String> {
        let mut settings = match self.product {
            Product::Kafka => kafka_peer::settings(&self.bootstrap, &self.second),
            Product::Thalweg => BTreeMap::from([
                ("listeners".to_owned(), format!("PLAINTEXT://{}", self.bootstrap)),
                ("http.listener".to_owned(), self.second.clone()),
            ]),
        };
        let mut set = |key: &str, value: String| settings.insert(key.to_owned(), value);
        set("log.dirs", self.data().display().to_string());
        set("group.initial.rebalance.delay.ms", "0".to_owned());
        set("offsets.topic.num.partitions", "4".to_owned());
        set("transaction.state.log.num.partitions", "4".to_owned());
        set("auto.create.topics.enable", "false".to_owned());
        // A deleted topic gives its space back before the next round needs it.
        set("log.segment.delete.delay.ms", "1000".to_owned());
        set("log.retention.check.interval.ms", "1000".to_owned());
        if self.product == Product::Thalweg {
            if let Some(bytes) = sizes.wal_max_bytes {
                set("wal.max.bytes", bytes.to_string());
            }
            if let Some(bytes) = sizes.wal_file_bytes {
                set("wal.file.bytes", bytes.to_string());
            }
        }
        settings
    }

    /// Tells clients another address than the one it listens at; to be called before the start.
    ///
    /// # Errors
    /// When the settings cannot be written.
    pub fn advertise(&mut self, address: &str) -> Result<()> {
        self.settings.insert(
            "advertised.listeners".to_owned(),
            format!("PLAINTEXT://{address}"),
        );
        self.write_properties()
    }

    /// Starts the process and waits for its first answer.
    ///
    /// # Errors
    /// When it ends or does not answer in time; the message carries the end of its output.
    pub fn start(&mut self) -> Result<Started> {
        let output = self.output();
        let began = Instant::now();
        let server = Server::start(self.command()?, &output);
        let pid = server.pid();
        self.server = Some(server);
        let mut ended = None;
        let answered = wait_for_answer(&self.bootstrap, || {
            ended = self.server.as_mut().and_then(Server::exit_status);
            ended.is_some()
        });
        if let Some(status) = ended {
            bail!("{} ended: {status}\n{}", self.product.name(), output.tail());
        }
        if !answered {
            bail!("{} does not answer\n{}", self.product.name(), output.tail());
        }
        Ok(Started {
            elapsed: began.elapsed(),
            cpu: procfs::cpu_times(pid)?.own,
        })
    }

    /// Stops the process with SIGTERM.
    ///
    /// # Errors
    /// When it does not end in time; then it is killed.
    pub fn stop(&mut self) -> Result<()> {
        let Some(mut server) = self.server.take() else {
            return Ok(());
        };
        server.signal(rustix::process::Signal::TERM);
        match server.wait_for_end(STOP) {
            Some(_) => Ok(()),
            None => bail!("{} did not stop within {STOP:?}", self.product.name()),
        }
    }

    /// Kills the process with SIGKILL.
    pub fn kill_nine(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill_nine();
        }
    }

    /// The address clients bootstrap from.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// The directory of its data.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The process id.
    ///
    /// # Errors
    /// When it was not started.
    pub fn pid(&self) -> Result<u32> {
        let server = self.server.as_ref();
        server
            .map(Server::pid)
            .ok_or_else(|| anyhow!("{} does not run", self.product.name()))
    }

    /// Bytes of write-ahead log that a start would have to read now; Kafka has none.
    pub fn log_to_replay(&self) -> Option<f64> {
        if self.product == Product::Kafka {
            return None;
        }
        let page = http::get(&self.second, "/metrics").ok()?;
        let line = page
            .body
            .lines()
            .find(|line| line.starts_with("thalweg_wal_used_bytes"))?;
        line.split_whitespace().last()?.parse().ok()
    }

    /// Admin calls to it.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn admin(&self) -> Result<Admin> {
        Admin::connect(&self.bootstrap)
    }

    /// The process's exit status, once it ended by itself.
    pub fn exit_status(&mut self) -> Option<std::process::ExitStatus> {
        self.server.as_mut().and_then(Server::exit_status)
    }

    /// The last line of its output that says anything.
    pub fn last_line(&self) -> String {
        let tail = self.log_tail();
        let lines = tail.lines().rev().filter(|line| !line.starts_with("---"));
        lines
            .map(str::trim)
            .find(|line| !line.is_empty())
            .unwrap_or("none")
            .to_owned()
    }

    /// The end of its output.
    pub fn log_tail(&self) -> String {
        self.output().tail()
    }

    fn output(&self) -> Output {
        Output::in_directory(self.directory.path())
    }

    fn properties(&self) -> PathBuf {
        self.directory.path().join("server.properties")
    }

    fn write_properties(&self) -> Result<()> {
        let lines = self
            .settings
            .iter()
            .map(|(key, value)| format!("{key}={value}\n"));
        let path = self.properties();
        std::fs::write(&path, lines.collect::<String>()).with_context(|| format!("write {}", path.display()))
    }

    fn command(&self) -> Result<Command> {
        let mut command = match self.product {
            Product::Thalweg => {
                let mut command = Command::new(broker::binary());
                command.arg("serve");
                // The broker takes settings from such names; those of the bench are not for it.
                for (name, _) in std::env::vars_os() {
                    let text = name.to_string_lossy();
                    if text.starts_with("THALWEG_") || text.starts_with("KAFKA_") {
                        command.env_remove(&name);
                    }
                }
                command
            }
            Product::Kafka => {
                let java = Java::find().map_err(|why| anyhow!(why))?;
                java.with_options(&KAFKA_SERVER_JAVA, "kafka.Kafka")
            }
        };
        command.arg(self.properties()).current_dir(self.directory.path());
        Ok(command)
    }
}

/// Asks for metadata every millisecond until there is an answer or `over` says that there will be none.
fn wait_for_answer(bootstrap: &str, mut over: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + START;
    while Instant::now() < deadline && !over() {
        if Admin::connect(bootstrap).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    false
}

/// Drops what the page cache holds of the files below `directory`, so that the next read comes from the disk.
///
/// Dirty pages stay: sync first.
///
/// # Errors
/// When the directory cannot be read.
pub fn drop_cached(directory: &Path) -> Result<()> {
    let entries = std::fs::read_dir(directory).with_context(|| format!("list {}", directory.display()))?;
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            // Deletion may be at work beside this.
            let _ = drop_cached(&path);
        } else if let Ok(file) = std::fs::File::open(&path) {
            let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
        }
    }
    Ok(())
}
