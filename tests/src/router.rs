//! The router under test: a real process with its schema registry.
//!
//! Owns its HTTP port and the process; kills it when dropped.

use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::broker::{self, Broker};
use crate::process::{Output, Server};
use crate::{http, places, ports, wait, watchdog};

/// How long an orderly stop may take.
const STOP: Duration = Duration::from_secs(15);

/// A router.
#[derive(Debug)]
pub struct Router {
    directory: TempDir,
    address: String,
    bootstrap: String,
    output: Output,
    server: Option<Server>,
}

impl Router {
    /// Starts a router beside a broker and waits until it answers.
    #[track_caller]
    pub fn start(broker: &Broker) -> Router {
        let directory = tempfile::Builder::new()
            .prefix(&format!("{}-router-", places::test_name()))
            .tempdir_in(places::runs())
            .unwrap_or_else(|error| panic!("make a directory in {}: {error}", places::runs().display()));
        let mut router = Router {
            address: format!("127.0.0.1:{}", ports::free()),
            bootstrap: broker.bootstrap().to_owned(),
            output: Output::in_directory(directory.path()),
            directory,
            server: None,
        };
        router.start_again();
        router
    }

    /// Starts the process again after it ended, and waits until it answers.
    #[track_caller]
    pub fn start_again(&mut self) {
        assert!(self.server.is_none(), "the router runs already");
        let mut command = Command::new(binary());
        command.arg("run");
        command.args(["--bootstrap", &self.bootstrap, "--listen", &self.address]);
        command.current_dir(self.directory.path());
        self.server = Some(Server::start(command, &self.output));
        let ready = || {
            http::get(&self.address, "/subjects")
                .ok()
                .filter(|answer| answer.status == 200)
        };
        if wait::poll(wait::PATIENCE, ready).is_none() {
            panic!("the router does not answer:\n{}", self.output.tail());
        }
    }

    /// `http://…`, for clients.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The process, for signals.
    pub fn server(&mut self) -> &mut Server {
        self.server.as_mut().expect("the router runs")
    }

    /// Kills the process with SIGKILL.
    pub fn kill_nine(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill_nine();
        }
    }

    /// Stops the process in order.
    #[track_caller]
    pub fn terminate(&mut self) -> ExitStatus {
        self.server.take().expect("the router runs").terminate(STOP)
    }

    /// Asks; the status and the body as JSON.
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> std::io::Result<(u16, Value)> {
        let answer = http::send_json(&self.address, method, path, &body.to_string())?;
        let json = serde_json::from_str(&answer.body).unwrap_or(Value::String(answer.body));
        Ok((answer.status, json))
    }

    /// Asks and expects an answer with the status.
    #[track_caller]
    pub fn expect(&self, status: u16, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.ask(method, path, body);
        let (found, json) =
            answer.unwrap_or_else(|error| panic!("{method} {path}: {error}\n{}", self.output.tail()));
        assert_eq!(found, status, "{method} {path}: {json}\n{}", self.output.tail());
        json
    }

    /// Gets and expects 200.
    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        self.expect(200, "GET", path, &Value::Null)
    }

    /// The end of the router's output.
    pub fn log_tail(&self) -> String {
        self.output.tail()
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.kill_nine();
        if std::thread::panicking() {
            eprintln!("the router:\n{}", self.output.tail());
        }
    }
}

/// The router's executable, built once per test process.
pub fn binary() -> PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY
        .get_or_init(|| watchdog::while_building(|| broker::build("thalweg-router", "thalweg-router")))
        .clone()
}
