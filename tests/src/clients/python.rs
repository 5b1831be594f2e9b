//! Python clients, each in its own environment, driven by scripts in `tests/clients/python/`.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::process::{self, Finished};
use crate::{broker::Broker, places};

const TIMEOUT: Duration = Duration::from_secs(120);

/// Which library an environment holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Library {
    /// confluent-kafka, on librdkafka.
    Confluent,
    /// confluent-kafka with its serializers and its registry client.
    ConfluentRegistry,
    /// The newest kafka-python.
    KafkaPython,
    /// kafka-python 2.0, which many programs still pin.
    KafkaPython20,
}

impl Library {
    fn environment(self) -> &'static str {
        match self {
            Library::Confluent => "confluent-kafka",
            Library::ConfluentRegistry => "confluent-registry",
            Library::KafkaPython => "kafka-python",
            Library::KafkaPython20 => "kafka-python-2.0",
        }
    }
}

/// A Python interpreter with one library.
#[derive(Debug, Clone)]
pub struct Python {
    program: PathBuf,
}

impl Python {
    /// Finds the environment of `library`.
    ///
    /// # Errors
    /// Says which environment is missing.
    pub fn find(library: Library) -> Result<Python, String> {
        let program = places::clients()
            .join(format!("py-{}", library.environment()))
            .join("bin/python");
        if program.is_file() {
            return Ok(Python { program });
        }
        Err(format!(
            "no {}; tests/clients/install brings it",
            program.display()
        ))
    }

    /// Runs `tests/clients/python/<script>` with the bootstrap address as first argument, and asserts that it succeeded.
    #[track_caller]
    pub fn run(&self, script: &str, broker: &Broker, arguments: &[&str]) -> Finished {
        let path = places::repository().join("tests/clients/python").join(script);
        let mut command = Command::new(&self.program);
        command
            .arg("-B")
            .arg(path)
            .arg(broker.bootstrap())
            .args(arguments);
        process::run(command, b"", TIMEOUT).ok()
    }
}
