//! An agent of a line: the real process, with a file of its own.

use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::mirror::binary;
use crate::process::{Output, Server};
use crate::{http, places, ports};

/// An agent and its file; killed when dropped.
#[derive(Debug)]
pub struct Agent {
    directory: TempDir,
    http: String,
    output: Output,
    server: Option<Server>,
}

impl Agent {
    /// Writes a file with `lines`, and starts nothing.
    pub fn with(lines: &str) -> Agent {
        let directory = tempfile::Builder::new()
            .prefix(&format!("{}-agent-", places::test_name()))
            .tempdir_in(places::runs())
            .unwrap_or_else(|error| panic!("make a directory in {}: {error}", places::runs().display()));
        let http = format!("127.0.0.1:{}", ports::free());
        let text = format!("[service]\nhttp = \"{http}\"\n{lines}\n");
        std::fs::write(directory.path().join("agent.toml"), text).expect("the directory is ours");
        Agent {
            http,
            output: Output::in_directory(directory.path()),
            directory,
            server: None,
        }
    }

    /// Starts the agent; does not wait.
    pub fn start(&mut self) {
        assert!(self.server.is_none(), "the agent runs already");
        let mut command = Command::new(binary());
        command.arg("agent").arg(self.directory.path().join("agent.toml"));
        command.current_dir(self.directory.path());
        self.server = Some(Server::start(command, &self.output));
    }

    /// Kills the agent with SIGKILL.
    pub fn kill_nine(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill_nine();
        }
    }

    /// What each line carried; `None` while the agent does not answer.
    pub fn lines(&self) -> Option<Vec<Value>> {
        let answer = http::get(&self.http, "/lines").ok()?;
        let json: Value = serde_json::from_str(&answer.body).ok()?;
        json["lines"].as_array().cloned()
    }

    /// The end of the agent's output.
    pub fn log_tail(&self) -> String {
        self.output.tail()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.kill_nine();
        if std::thread::panicking() {
            eprintln!("the agent:\n{}", self.output.tail());
        }
    }
}
