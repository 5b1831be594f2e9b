//! kcat: the command-line client most people have at hand. Built on librdkafka.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::process::{self, Finished};

const TIMEOUT: Duration = Duration::from_secs(120);

/// The kcat program.
#[derive(Debug, Clone)]
pub struct Kcat {
    program: PathBuf,
}

impl Kcat {
    /// Finds kcat.
    ///
    /// # Errors
    /// Says why it cannot be used.
    pub fn find() -> Result<Kcat, String> {
        super::in_path("kcat").map(|program| Kcat { program })
    }

    /// A kcat command against `bootstrap`; the person's own configuration file is kept out.
    pub fn command(&self, bootstrap: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.env("HOME", "/nonexistent").env_remove("KCAT_CONFIG");
        command.args(["-b", bootstrap]).args(arguments);
        command
    }

    /// Runs kcat to its end and asserts that it succeeded.
    #[track_caller]
    pub fn run(&self, bootstrap: &str, arguments: &[&str], input: &[u8]) -> Finished {
        process::run(self.command(bootstrap, arguments), input, TIMEOUT).ok()
    }
}
