//! The processes of a drill: two brokers, the service and its commands. They end with the drill, however it ends.

use std::fs::File;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use thalweg_client::{Address, ClientConfig, Cluster};

use crate::client_http::request;

/// How long a broker may take to answer after its start.
const START: Duration = Duration::from_secs(60);
/// Pause between two looks.
pub(super) const PAUSE: Duration = Duration::from_millis(100);
/// What is shown of a process's output when a step fails.
const SHOWN_BYTES: usize = 2_000;

/// A process and where it writes.
struct Process {
    child: Child,
}

impl Process {
    fn start(mut command: Command, log: &Path) -> Result<Self, String> {
        let said = |error: std::io::Error| format!("{command:?}: {error}", command = log.display());
        let out = File::options()
            .create(true)
            .append(true)
            .open(log)
            .map_err(said)?;
        let error = out.try_clone().map_err(said)?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::from(out))
            .stderr(Stdio::from(error));
        Ok(Self {
            child: command.spawn().map_err(said)?,
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A broker with its folder, which outlives it.
pub(super) struct Machine {
    pub(super) name: &'static str,
    program: PathBuf,
    folder: PathBuf,
    address: SocketAddr,
    process: Option<Process>,
}

impl Machine {
    /// Prepares a broker in a folder of its own.
    pub(super) fn new(name: &'static str, program: &Path, folder: &Path) -> Result<Self, String> {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let (address, http) = (free_address()?, free_address()?);
        let settings = format!(
            "listeners=PLAINTEXT://{address}\nhttp.listener={http}\nlog.dirs={}\n",
            folder.join("data").display()
        );
        let file = folder.join("server.properties");
        std::fs::write(&file, settings).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(Self {
            name,
            program: program.to_owned(),
            folder,
            address,
            process: None,
        })
    }

    /// Starts it and waits until it answers.
    pub(super) async fn start(&mut self) -> Result<(), String> {
        let mut command = Command::new(&self.program);
        command.arg("serve").arg(self.folder.join("server.properties"));
        command.current_dir(&self.folder);
        // Settings of the caller's own broker are not for this one.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("THALWEG_") || text.starts_with("KAFKA_") {
                command.env_remove(&name);
            }
        }
        self.process = Some(Process::start(command, &self.log())?);
        let deadline = Instant::now() + START;
        loop {
            match Cluster::connect(self.client()).await {
                Ok(_) => return Ok(()),
                Err(_) if Instant::now() < deadline && self.runs() => tokio::time::sleep(PAUSE).await,
                Err(error) => {
                    let (name, shown) = (self.name, end_of(&self.log()));
                    return Err(format!("broker {name} does not answer: {error}\n{shown}"));
                }
            }
        }
    }

    fn runs(&mut self) -> bool {
        let process = self.process.as_mut();
        process.is_some_and(|process| matches!(process.child.try_wait(), Ok(None)))
    }

    fn log(&self) -> PathBuf {
        self.folder.join("output")
    }

    /// Ends it with SIGKILL.
    pub(super) fn kill(&mut self) {
        self.process = None;
    }

    pub(super) fn bootstrap(&self) -> String {
        self.address.to_string()
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new(vec![Address {
            host: self.address.ip().to_string(),
            port: self.address.port(),
        }]);
        config.client_id = "thalweg-mirror-drill".to_owned();
        config.connect_timeout = Duration::from_secs(2);
        config.request_timeout = Duration::from_secs(20);
        config.operation_timeout = Duration::from_secs(5);
        config
    }

    /// A client of its own.
    pub(super) fn cluster(&self) -> Cluster {
        Cluster::new(self.client())
    }
}

/// The service under drill, and its commands.
pub(super) struct Service {
    program: PathBuf,
    pub(super) file: PathBuf,
    folder: PathBuf,
    http: SocketAddr,
    process: Option<Process>,
}

impl Service {
    /// Writes the file with both links, `there` and `back`.
    pub(super) fn new(folder: &Path, (here, there): (&Machine, &Machine)) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| format!("this program's own path: {error}"))?;
        let http = free_address()?;
        let mut text = format!("[service]\nhttp = \"{http}\"\n");
        for (name, source, target) in [("there", here, there), ("back", there, here)] {
            text.push_str(&format!(
                "[link.{name}]\nsource.bootstrap = \"{}\"\ntarget.bootstrap = \"{}\"\ntopics = [\"{}\"]\n\
                 groups = [\"drill-.*\"]\ndiscovery_ms = 500\nlease_ms = 3000\n",
                source.bootstrap(),
                target.bootstrap(),
                super::TOPIC
            ));
        }
        let file = folder.join("mirror.toml");
        std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(Self {
            program,
            file,
            folder: folder.to_owned(),
            http,
            process: None,
        })
    }

    /// Starts it; does not wait.
    pub(super) fn start(&mut self) -> Result<(), String> {
        let mut command = Command::new(&self.program);
        command.arg("run").arg(&self.file).current_dir(&self.folder);
        self.process = Some(Process::start(command, &self.log())?);
        Ok(())
    }

    fn log(&self) -> PathBuf {
        self.folder.join("service-output")
    }

    /// The end of what it said.
    pub(super) fn said(&self) -> String {
        end_of(&self.log())
    }

    /// Runs a command of the command line; returns its exit code and what it said.
    pub(super) async fn command(&self, verb: &str, more: &[&str]) -> Result<(i32, String), String> {
        let mut command = Command::new(&self.program);
        command
            .arg(verb)
            .arg(&self.file)
            .args(more)
            .current_dir(&self.folder);
        let verb = verb.to_owned();
        let ended = tokio::task::spawn_blocking(move || command.output()).await;
        let output = ended
            .map_err(|error| error.to_string())?
            .map_err(|error| format!("thalweg-mirror {verb}: {error}"))?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        Ok((output.status.code().unwrap_or(-1), text))
    }

    /// Runs a command that must end with exit code 0.
    pub(super) async fn must(&self, verb: &str, more: &[&str]) -> Result<String, String> {
        match self.command(verb, more).await? {
            (0, text) => Ok(text),
            (code, text) => Err(format!("`{verb}` ended with code {code}:\n{text}")),
        }
    }

    /// The partitions of a link as the service sees them; empty while it does not answer.
    pub(super) async fn partitions(&self, link: &str) -> Vec<Value> {
        let (http, path) = (self.http, format!("/links/{link}/topics"));
        let asked = tokio::task::spawn_blocking(move || request(http, "GET", &path)).await;
        let Ok(Ok((200, body))) = asked else {
            return Vec::new();
        };
        let json: Value = serde_json::from_str(&body).unwrap_or_default();
        json["partitions"].as_array().cloned().unwrap_or_default()
    }
}

/// The broker's program beside this one.
pub(super) fn broker_program() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| format!("this program's own path: {error}"))?;
    let beside = own.with_file_name(format!("thalweg{}", std::env::consts::EXE_SUFFIX));
    match beside.is_file() {
        true => Ok(beside),
        false => Err(format!(
            "the drill needs the broker's program beside this one: {} is not there",
            beside.display()
        )),
    }
}

/// An address that nothing listens on a moment ago.
fn free_address() -> Result<SocketAddr, String> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map_err(|error| format!("no free port on 127.0.0.1: {error}"))
}

fn end_of(path: &Path) -> String {
    let mut text = String::new();
    // It is shown as far as it can be read.
    let _ = File::open(path).and_then(|mut file| file.read_to_string(&mut text));
    let from = text.len().saturating_sub(SHOWN_BYTES);
    let from = (from..text.len())
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    text.get(from..).unwrap_or_default().to_owned()
}
