//! The program's own command line, run as a person or a script runs it.
//!
//! Owns the runner; what the commands must do stands in the `cli_*` modules beside it. The command line speaks Kafka's
//! protocol and nothing else, so that all but the local commands also run against Apache Kafka.

use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;
use thalweg_tests::broker::binary;
use thalweg_tests::process::{self, Finished};
use thalweg_tests::{Broker, wait};

/// How long a command may take on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);

/// `thalweg` with arguments and none of the environment's settings.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("THALWEG_") || text.starts_with("KAFKA_") {
            command.env_remove(&name);
        }
    }
    command.args(arguments);
    command
}

/// Runs `thalweg` without a broker.
#[track_caller]
pub fn thalweg(arguments: &[&str]) -> Finished {
    process::run(command(arguments), b"", TIMEOUT)
}

/// The command line pointed at one broker.
pub struct Cli {
    bootstrap: String,
}

impl Cli {
    /// For `broker`.
    pub fn of(broker: &Broker) -> Cli {
        Cli {
            bootstrap: broker.bootstrap().to_owned(),
        }
    }

    /// The command, with the address in the environment as a person would put it there.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(arguments);
        command.env("THALWEG_BOOTSTRAP", &self.bootstrap);
        command
    }

    /// Runs a command without input.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Finished {
        self.feed(arguments, "")
    }

    /// Runs a command with `input` on its standard input.
    #[track_caller]
    pub fn feed(&self, arguments: &[&str], input: impl AsRef<[u8]>) -> Finished {
        process::run(self.command(arguments), input.as_ref(), TIMEOUT)
    }

    /// Runs a command that must succeed and returns what it prints.
    #[track_caller]
    pub fn out(&self, arguments: &[&str]) -> String {
        self.run(arguments).ok().stdout_text()
    }

    /// Runs a command with `-o json` behind it, which must succeed, and reads the document.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["-o", "json"]].concat();
        document(&self.run(&arguments).ok())
    }

    /// Runs a command with a terminal as standard input, on which `answer` is typed.
    #[track_caller]
    pub fn on_terminal(&self, arguments: &[&str], answer: &str) -> Finished {
        on_terminal(self.command(arguments), answer)
    }
}

/// Runs `command` with a terminal as standard input, on which `answer` is typed.
///
/// # Panics
/// When the system gives no terminal, or the command does not end in time.
#[track_caller]
pub fn on_terminal(mut command: Command, answer: &str) -> Finished {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo terminal");
    grantpt(&ours).expect("our own terminal");
    unlockpt(&ours).expect("our own terminal");
    let name = ptsname(&ours, Vec::new()).expect("it has a name");
    let theirs = rustix::fs::open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty())
        .expect("its other end");
    File::from(ours.try_clone().expect("one descriptor more"))
        .write_all(answer.as_bytes())
        .expect("typing");
    let line = format!("{command:?}");
    let mut child = command
        .stdin(theirs)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("thalweg starts");
    let ended = wait::poll(TIMEOUT, || child.try_wait().ok().flatten());
    if ended.is_none() {
        let _ = child.kill();
    }
    // What these commands print fits a pipe.
    let output = child.wait_with_output().expect("its output");
    drop(ours);
    let finished = Finished {
        command: line,
        status: output.status,
        stdout: output.stdout,
        stderr: output.stderr,
    };
    assert!(ended.is_some(), "it did not end: {}", finished.describe());
    finished
}

/// What a command printed, as one JSON document.
#[track_caller]
pub fn document(finished: &Finished) -> Value {
    serde_json::from_slice(&finished.stdout)
        .unwrap_or_else(|error| panic!("not JSON ({error}): {}", finished.describe()))
}

/// What a command printed, as one JSON document a line.
#[track_caller]
pub fn documents(finished: &Finished) -> Vec<Value> {
    let line = |line: &str| {
        serde_json::from_str(line)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {line}\n{}", finished.describe()))
    };
    finished.stdout_text().lines().map(line).collect()
}

/// Asserts the exit code.
#[track_caller]
pub fn code(finished: Finished, code: i32) -> Finished {
    assert_eq!(
        finished.status.code(),
        Some(code),
        "exit code of {}",
        finished.describe()
    );
    finished
}

/// Asserts that standard error contains every part.
#[track_caller]
pub fn says(finished: &Finished, parts: &[&str]) {
    for part in parts {
        assert!(
            finished.stderr_text().contains(part),
            "{part:?} is not in the errors of {}",
            finished.describe()
        );
    }
}

/// The lines of a table, with every run of blanks made one.
pub fn rows(table: &str) -> Vec<String> {
    table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}
