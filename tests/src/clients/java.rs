//! Apache Kafka's own Java clients and command-line tools.
//!
//! The jars come from Maven (`tests/clients/java/pom.xml`, fetched by `tests/clients/install`); `THALWEG_TEST_JARS` may
//! name another folder that holds them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::process::{self, Finished};
use crate::{broker::Broker, places};

const TIMEOUT: Duration = Duration::from_secs(120);

/// A Java runtime with the jars.
#[derive(Debug, Clone)]
pub struct Java {
    program: PathBuf,
    class_path: OsString,
}

/// The command-line tools, named as their start scripts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the tools' own")]
pub enum Tool {
    BrokerApiVersions,
    Cluster,
    Configs,
    ConsoleConsumer,
    ConsoleProducer,
    ConsumerGroups,
    ConsumerPerformance,
    DeleteRecords,
    DumpLogSegments,
    GetOffsets,
    LogDirs,
    ProducerPerformance,
    Topics,
    Transactions,
    VerifiableConsumer,
    VerifiableProducer,
}

impl Tool {
    fn class(self) -> &'static str {
        match self {
            Tool::BrokerApiVersions => "org.apache.kafka.tools.BrokerApiVersionsCommand",
            Tool::Cluster => "org.apache.kafka.tools.ClusterTool",
            Tool::Configs => "kafka.admin.ConfigCommand",
            Tool::ConsoleConsumer => "org.apache.kafka.tools.consumer.ConsoleConsumer",
            Tool::ConsoleProducer => "org.apache.kafka.tools.ConsoleProducer",
            Tool::ConsumerGroups => "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
            Tool::ConsumerPerformance => "org.apache.kafka.tools.ConsumerPerformance",
            Tool::DeleteRecords => "org.apache.kafka.tools.DeleteRecordsCommand",
            Tool::DumpLogSegments => "org.apache.kafka.tools.DumpLogSegments",
            Tool::GetOffsets => "org.apache.kafka.tools.GetOffsetShell",
            Tool::LogDirs => "org.apache.kafka.tools.LogDirsCommand",
            Tool::ProducerPerformance => "org.apache.kafka.tools.ProducerPerformance",
            Tool::Topics => "org.apache.kafka.tools.TopicCommand",
            Tool::Transactions => "org.apache.kafka.tools.TransactionsCommand",
            Tool::VerifiableConsumer => "org.apache.kafka.tools.VerifiableConsumer",
            Tool::VerifiableProducer => "org.apache.kafka.tools.VerifiableProducer",
        }
    }
}

impl Java {
    /// Finds `java` and the jars.
    ///
    /// # Errors
    /// Says what is missing.
    pub fn find() -> Result<Java, String> {
        let program = super::in_path("java")?;
        let directory = match std::env::var_os("THALWEG_TEST_JARS") {
            Some(named) => PathBuf::from(named),
            None => places::clients().join("java/lib"),
        };
        let any = std::fs::read_dir(&directory)
            .ok()
            .into_iter()
            .flatten()
            .flatten()
            .any(|entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                name.starts_with("kafka-tools-") && name.ends_with(".jar")
            });
        if !any {
            return Err(format!(
                "no kafka-tools jar in {}; tests/clients/install brings it",
                directory.display()
            ));
        }
        let mut class_path = directory.into_os_string();
        class_path.push("/*");
        Ok(Java { program, class_path })
    }

    /// A command that runs a short-lived class.
    pub fn class(&self, class: &str, arguments: &[&str]) -> Command {
        // One compiler tier, serial collector: a tool's life is too short for more, and two cores are shared.
        let mut command = self.java(&["-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]);
        command.arg(class).args(arguments);
        command
    }

    /// A command that compiles and runs `tests/clients/java/<file>`; for programs of the tests' own.
    pub fn source(&self, file: &str, arguments: &[&str]) -> Command {
        let path = places::repository().join("tests/clients/java").join(file);
        self.class(&path.to_string_lossy(), arguments)
    }

    /// A command that runs a server class.
    pub fn server(&self, class: &str) -> Command {
        let mut command = self.java(&[
            "-Xms256m",
            "-Xmx512m",
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
        ]);
        command.arg(class);
        command
    }

    /// A command that runs a class with virtual machine options of choice, and none of those that suit tests.
    pub fn with_options(&self, options: &[&str], class: &str) -> Command {
        let mut command = self.java(options);
        command.arg(class);
        command
    }

    /// A command that runs `tool` against `bootstrap`.
    pub fn tool(&self, tool: Tool, bootstrap: &str, arguments: &[&str]) -> Command {
        let mut command = self.class(tool.class(), &[]);
        match tool {
            Tool::DumpLogSegments => {}
            Tool::Cluster => {
                // Its subcommand comes first.
                let (first, rest) = arguments.split_at(arguments.len().min(1));
                command
                    .args(first)
                    .args(["--bootstrap-server", bootstrap])
                    .args(rest);
                return command;
            }
            _ => {
                command.args(["--bootstrap-server", bootstrap]);
            }
        }
        command.args(arguments);
        command
    }

    /// Runs `tool` to its end and asserts that it succeeded.
    #[track_caller]
    pub fn run(&self, tool: Tool, broker: &Broker, arguments: &[&str]) -> Finished {
        self.try_run(tool, broker, arguments).ok()
    }

    /// Runs `tool` to its end.
    #[track_caller]
    pub fn try_run(&self, tool: Tool, broker: &Broker, arguments: &[&str]) -> Finished {
        process::run(self.tool(tool, broker.bootstrap(), arguments), b"", TIMEOUT)
    }

    /// Runs `tool` to its end with `input` on its standard input and asserts that it succeeded.
    #[track_caller]
    pub fn feed(&self, tool: Tool, broker: &Broker, arguments: &[&str], input: &[u8]) -> Finished {
        process::run(self.tool(tool, broker.bootstrap(), arguments), input, TIMEOUT).ok()
    }

    fn java(&self, options: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        // Warnings only, on standard error: what a tool prints on standard output is its answer.
        command
            .args(options)
            .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn");
        command.arg("-cp").arg(&self.class_path);
        command
    }
}

/// What `tests/clients/java/Transactions.java` is told, and what it must answer.
#[derive(Debug, Clone, Default)]
pub struct Transactions {
    lines: Vec<(String, String)>,
}

impl Transactions {
    /// Nothing to tell yet.
    pub fn new() -> Transactions {
        Transactions::default()
    }

    /// Tells one line, which must be answered like this.
    #[must_use]
    pub fn tell(mut self, line: &str, answer: &str) -> Transactions {
        self.lines.push((line.to_owned(), answer.to_owned()));
        self
    }

    /// Tells everything to a new process of clients of `broker`, and compares the answers.
    #[track_caller]
    pub fn run(self, java: &Java, broker: &Broker) {
        let source = places::repository().join("tests/clients/java/Transactions.java");
        let command = java.class(&source.display().to_string(), &[broker.bootstrap()]);
        let input: String = self.lines.iter().map(|(line, _)| format!("{line}\n")).collect();
        let finished = process::run(command, input.as_bytes(), TIMEOUT).ok();
        let expected: Vec<String> = self
            .lines
            .iter()
            .map(|(line, answer)| format!("{line}: {answer}"))
            .collect();
        let text = finished.stdout_text();
        let told: Vec<&str> = text.lines().collect();
        assert_eq!(told, expected, "{}", finished.describe());
    }
}
