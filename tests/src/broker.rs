//! One broker under test: a real process with its own data directory and ports.
//!
//! Owns the settings file, the data directory and the process; kills it when dropped. The same tests run against
//! Apache Kafka when `THALWEG_TEST_PEER=kafka` is set, which is how the tests themselves are checked.
//! Invariant: address and data directory stay the same over all restarts of one [`Broker`].

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::OnceLock;
use std::time::Duration;

use tempfile::TempDir;

use crate::process::{Output, Server};
use crate::{http, kafka_peer, places, ports, wait, watchdog};

/// How long a start may take. A debug build on a busy machine is slow; a start that is done earlier ends the wait.
const START: Duration = Duration::from_secs(60);

/// How long the program may take to be built, from nothing on a small machine.
const BUILD: Duration = Duration::from_secs(30 * 60);

/// How long an orderly stop of Thalweg may take.
pub const STOP: Duration = Duration::from_secs(10);

/// Which server is under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    /// This project's broker.
    Thalweg,
    /// Apache Kafka, to check the tests and to compare answers.
    ApacheKafka,
}

impl Product {
    /// What `THALWEG_TEST_PEER` asks for; Thalweg if it is not set.
    pub fn under_test() -> Product {
        match std::env::var("THALWEG_TEST_PEER").as_deref() {
            Ok("kafka") => Product::ApacheKafka,
            Ok(other) => panic!("THALWEG_TEST_PEER={other}: only `kafka` is known"),
            Err(_) => Product::Thalweg,
        }
    }
}

/// The settings a broker is started with.
#[derive(Debug, Clone)]
pub struct BrokerConfig {
    product: Product,
    settings: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    program: Option<PathBuf>,
}

impl Default for BrokerConfig {
    fn default() -> Self {
        BrokerConfig::new(Product::under_test())
    }
}

impl BrokerConfig {
    /// Settings for tests: groups form at once, internal topics have few partitions, a start fills little disk.
    pub fn new(product: Product) -> BrokerConfig {
        let config = BrokerConfig {
            product,
            settings: BTreeMap::new(),
            environment: BTreeMap::new(),
            program: None,
        };
        config
            .set("group.initial.rebalance.delay.ms", 0)
            .set("offsets.topic.num.partitions", 4)
            .set_for(Product::Thalweg, "wal.file.bytes", 8 << 20)
            .set_for(Product::Thalweg, "wal.max.bytes", 64 << 20)
    }

    /// Files so small that the write-ahead log wraps and segments roll within a few megabytes.
    pub fn small_files(self) -> BrokerConfig {
        self.set("log.segment.bytes", 1 << 20)
            .set("message.max.bytes", 512 << 10)
            .set_for(Product::Thalweg, "wal.file.bytes", 1 << 20)
            .set_for(Product::Thalweg, "wal.max.bytes", 4 << 20)
            .set_for(Product::Thalweg, "wal.group.max.bytes", 256 << 10)
    }

    /// Sets one property, replacing an earlier value.
    pub fn set(mut self, key: &str, value: impl ToString) -> BrokerConfig {
        self.settings.insert(key.to_owned(), value.to_string());
        self
    }

    /// Sets one property only if the product under test is `product`.
    pub fn set_for(self, product: Product, key: &str, value: impl ToString) -> BrokerConfig {
        if self.product == product {
            self.set(key, value)
        } else {
            self
        }
    }

    /// Runs another executable of Thalweg than [`binary`].
    pub fn program(mut self, path: PathBuf) -> BrokerConfig {
        self.program = Some(path);
        self
    }

    /// Sets a variable in Thalweg's environment.
    pub fn environment(mut self, name: &str, value: &str) -> BrokerConfig {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Starts the broker in a new directory and waits until it serves.
    ///
    /// # Panics
    /// When it does not serve in time; the message carries the end of its output.
    #[track_caller]
    pub fn start(self) -> Broker {
        watchdog::broker_begins();
        let directory = tempfile::Builder::new()
            .prefix(&format!("{}-", places::test_name()))
            .tempdir_in(places::runs())
            .unwrap_or_else(|error| panic!("make a directory in {}: {error}", places::runs().display()));
        let mut broker = Broker {
            product: self.product,
            bootstrap: format!("127.0.0.1:{}", ports::free()),
            second: format!("127.0.0.1:{}", ports::free()),
            output: Output::in_directory(directory.path()),
            directory: Some(directory),
            settings: self.settings,
            environment: self.environment,
            program: self.program,
            server: None,
        };
        broker.prepare();
        broker.start_again();
        broker
    }
}

/// A running (or killed, or stopped) broker and its directory.
#[derive(Debug)]
pub struct Broker {
    product: Product,
    bootstrap: String,
    /// HTTP for Thalweg, the controller's listener for Apache Kafka.
    second: String,
    settings: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    program: Option<PathBuf>,
    output: Output,
    directory: Option<TempDir>,
    server: Option<Server>,
}

impl Broker {
    /// Starts the product under test with the settings for tests.
    #[track_caller]
    pub fn start() -> Broker {
        BrokerConfig::default().start()
    }

    /// Which server this is.
    pub fn product(&self) -> Product {
        self.product
    }

    /// The address that clients bootstrap from, `ip:port`.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// The HTTP address, `ip:port`; Apache Kafka has none.
    pub fn http(&self) -> Option<&str> {
        (self.product == Product::Thalweg).then_some(self.second.as_str())
    }

    /// The directory that holds the settings, the output and the data of this broker.
    pub fn directory(&self) -> &Path {
        self.directory
            .as_ref()
            .map(TempDir::path)
            .unwrap_or(Path::new("."))
    }

    /// The log directory: one folder per partition, named `<topic>-<partition>`.
    pub fn log_directory(&self) -> PathBuf {
        self.directory().join("data")
    }

    /// The properties file the broker was started with.
    pub fn properties(&self) -> PathBuf {
        self.directory().join("server.properties")
    }

    /// The process id.
    ///
    /// # Panics
    /// When the broker does not run.
    #[track_caller]
    pub fn pid(&self) -> u32 {
        self.server.as_ref().map(Server::pid).expect("the broker runs")
    }

    /// Changes a setting for the next start.
    pub fn set(&mut self, key: &str, value: impl ToString) {
        self.settings.insert(key.to_owned(), value.to_string());
    }

    /// Kills the broker with SIGKILL; on return nothing of it runs.
    pub fn kill_nine(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill_nine();
        }
    }

    /// Stops the broker in order (SIGTERM) and returns how it ended.
    ///
    /// # Panics
    /// When Thalweg takes longer than [`STOP`], Apache Kafka longer than a minute.
    #[track_caller]
    pub fn terminate(&mut self) -> ExitStatus {
        let within = match self.product {
            Product::Thalweg => STOP,
            Product::ApacheKafka => Duration::from_secs(60),
        };
        let mut server = self.server.take().expect("the broker runs");
        server.terminate(within)
    }

    /// The process, for signals other than the usual ones.
    pub fn server(&mut self) -> Option<&mut Server> {
        self.server.as_mut()
    }

    /// Starts the broker (again) on the same directory and ports and waits until it serves.
    ///
    /// # Panics
    /// When it does not serve in time or ends; the message carries the end of its output.
    #[track_caller]
    pub fn start_again(&mut self) {
        self.launch();
        if let Err(why) = self.wait_until_ready(START) {
            panic!("the broker does not serve: {why}\n{}", self.output.tail());
        }
    }

    /// Starts the process and does not wait. For tests that kill it while it recovers, or expect a refusal.
    pub fn launch(&mut self) {
        assert!(self.server.is_none(), "the broker runs already");
        let server = Server::start(self.command(), &self.output);
        self.server = Some(server);
    }

    /// Starts the process so that it ends itself with SIGKILL at a crash point (`NAME` or `NAME:COUNT`), and waits until
    /// it has.
    ///
    /// # Panics
    /// When it does not within a minute, or ends in another way.
    #[track_caller]
    pub fn run_to_crash_point(&mut self, point: &str) {
        assert!(self.server.is_none(), "the broker runs already");
        let mut command = self.command();
        command.env("THALWEG_CRASH_POINT", point);
        let mut server = Server::start(command, &self.output);
        let ended = server.wait_for_end(Duration::from_secs(60));
        let signal = ended.and_then(|status| status.signal());
        server.kill_nine();
        assert_eq!(signal, Some(9), "{point}: {ended:?}\n{}", self.output.tail());
    }

    /// Waits until the broker serves; says why not if it ends first or `within` passes.
    pub fn wait_until_ready(&mut self, within: Duration) -> Result<(), String> {
        let mut last = String::from("no answer yet");
        let Some(server) = self.server.as_mut() else {
            return Err("it was not started".to_owned());
        };
        let outcome = wait::poll(within, || {
            if let Some(status) = server.exit_status() {
                return Some(Err(format!("it ended: {status}")));
            }
            let ready = match self.product {
                Product::Thalweg => readyz(&self.second),
                Product::ApacheKafka => kafka_peer::ready(&self.bootstrap),
            };
            match ready {
                Ok(()) => Some(Ok(())),
                Err(why) => {
                    last = why;
                    None
                }
            }
        });
        outcome.unwrap_or(Err(last))
    }

    /// The end of the broker's own output.
    pub fn log_tail(&self) -> String {
        self.output.tail()
    }

    /// Everything the broker has written to its two outputs.
    pub fn log_text(&self) -> String {
        let read = |path| std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        read(&self.output.stdout).unwrap_or_default() + &read(&self.output.stderr).unwrap_or_default()
    }

    fn prepare(&self) {
        if self.product == Product::ApacheKafka {
            self.write_properties();
            kafka_peer::format(&self.properties());
        }
    }

    fn command(&self) -> Command {
        self.write_properties();
        match self.product {
            Product::Thalweg => {
                let mut command = Command::new(self.program.clone().unwrap_or_else(binary));
                command.arg("serve").arg(self.properties());
                // The broker takes settings from such names; the tests' own are not for it.
                for (name, _) in std::env::vars_os() {
                    let text = name.to_string_lossy();
                    if text.starts_with("THALWEG_") || text.starts_with("KAFKA_") {
                        command.env_remove(&name);
                    }
                }
                command.envs(&self.environment).current_dir(self.directory());
                command
            }
            Product::ApacheKafka => kafka_peer::command(&self.properties()),
        }
    }

    fn write_properties(&self) {
        let mut settings = match self.product {
            Product::Thalweg => BTreeMap::from([
                ("listeners".to_owned(), format!("PLAINTEXT://{}", self.bootstrap)),
                ("http.listener".to_owned(), self.second.clone()),
            ]),
            Product::ApacheKafka => kafka_peer::settings(&self.bootstrap, &self.second),
        };
        settings.insert("log.dirs".to_owned(), self.log_directory().display().to_string());
        settings.extend(self.settings.clone());
        let text: String = settings
            .iter()
            .map(|(key, value)| format!("{key}={value}\n"))
            .collect();
        let path = self.properties();
        std::fs::write(&path, text).unwrap_or_else(|error| panic!("write {}: {error}", path.display()));
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill_nine();
        watchdog::broker_ends();
        if std::thread::panicking() {
            eprintln!("{}", self.output.tail());
            // What a failed test leaves is evidence.
            if let Some(directory) = self.directory.take() {
                eprintln!("the broker's directory is kept: {}", directory.keep().display());
            }
        }
    }
}

fn readyz(address: &str) -> Result<(), String> {
    match http::get(address, "/readyz") {
        Ok(answer) if answer.status == 200 => Ok(()),
        Ok(answer) => Err(format!("/readyz answers {}: {}", answer.status, answer.body)),
        Err(error) => Err(format!("/readyz: {error}")),
    }
}

/// The broker's executable: `THALWEG_BIN`, or the one beside the test, built once per test process so that it is never
/// older than the sources.
pub fn binary() -> PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY
        .get_or_init(|| watchdog::while_building(find_or_build))
        .clone()
}

fn find_or_build() -> PathBuf {
    if let Some(named) = std::env::var_os("THALWEG_BIN") {
        let path = PathBuf::from(named);
        assert!(path.is_file(), "THALWEG_BIN={}: no such file", path.display());
        return path;
    }
    build("thalweg-broker", "thalweg")
}

/// Builds a program of the workspace beside the test, and returns where it is.
///
/// # Panics
/// When it cannot be built.
pub(crate) fn build(package: &str, program: &str) -> PathBuf {
    let output = places::build_output();
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build
        .current_dir(places::repository())
        .args(["build", "--quiet", "-p", package, "--bin", program]);
    if output.file_name().is_some_and(|name| name == "release") {
        build.arg("--release");
    }
    let mut child = build.spawn().unwrap_or_else(|error| panic!("run cargo: {error}"));
    let status = wait::poll(BUILD, || child.try_wait().ok().flatten());
    if status.is_none() {
        let _ = child.kill();
    }
    let status = status.unwrap_or_else(|| panic!("cargo build -p {package} takes more than {BUILD:?}"));
    assert!(status.success(), "cargo build -p {package} failed: {status}");
    output.join(program)
}
