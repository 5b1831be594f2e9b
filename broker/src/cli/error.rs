//! What ends a command early, the words for it, and the exit code.

use std::io;
use std::process::ExitCode;

use thalweg_client::{BrokerError, ClientError};
use thalweg_types::ErrorCode;
use thiserror::Error;

use super::output::{OutputArgs, note};

/// Why a command did not do what it was asked for.
#[derive(Debug, Error)]
pub enum CliError {
    /// The command line contradicts itself or cannot be read. Exit code 2.
    #[error("{0}")]
    Usage(String),
    /// The cluster cannot be reached or refused.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Some of several things failed, each for a reason of its own.
    #[error("{}", lines(failures))]
    Some {
        /// Why, in the order of the things; there is at least one.
        failures: Vec<ClientError>,
    },
    /// A file or a pipe failed.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried, with the path.
        what: String,
        /// The system's words.
        source: io::Error,
    },
    /// Anything else; the text says what, where and what to do.
    #[error("{0}")]
    Failed(String),
    /// The user said no, or nobody could be asked.
    #[error("{0}")]
    NotConfirmed(String),
    /// The output already said what is wrong (an unhealthy cluster, a damaged file).
    #[error("the output says what is wrong")]
    Reported,
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// The reader of standard output went away.
    #[error("the output was closed")]
    OutputClosed,
}

impl CliError {
    /// Classifies a failed write to standard output.
    pub fn output(source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Io {
                what: "write to standard output".to_owned(),
                source,
            },
        }
    }

    /// Returns what the user may try next.
    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Client(error) => client_hint(error),
            Self::Some { failures } => failures.first().and_then(client_hint),
            _ => None,
        }
    }
}

/// Failures that are written out; more are counted.
const FAILURES_SHOWN_MAX: usize = 10;

/// Writes one failure a line, under the word that [`report`] puts before the first.
fn lines(failures: &[ClientError]) -> String {
    let mut shown: Vec<String> = failures
        .iter()
        .take(FAILURES_SHOWN_MAX)
        .map(ClientError::to_string)
        .collect();
    if let Some(more @ 1..) = failures.len().checked_sub(FAILURES_SHOWN_MAX) {
        shown.push(format!("{more} more failed"));
    }
    shown.join("\nerror: ")
}

/// Returns why one thing failed, for its line: without its name, which stands beside it.
pub fn reason(error: &ClientError) -> String {
    match error {
        ClientError::Broker(error) => error.reason(),
        other => other.to_string(),
    }
}

/// Ends a command that has printed a line or an object for each thing it worked on.
///
/// The reasons go to standard error; a JSON document holds them already, and nothing is said twice.
///
/// # Errors
/// [`CliError::Some`] or [`CliError::Reported`] if anything failed.
pub fn listed(failures: Vec<ClientError>, output: &OutputArgs) -> Result<(), CliError> {
    match failures.is_empty() {
        true => Ok(()),
        false if output.is_json() => Err(CliError::Reported),
        false => Err(CliError::Some { failures }),
    }
}

impl From<BrokerError> for CliError {
    fn from(error: BrokerError) -> Self {
        Self::Client(error.into())
    }
}

fn client_hint(error: &ClientError) -> Option<&'static str> {
    if let Some(code) = error.code() {
        return code_hint(code);
    }
    match error {
        ClientError::NoBroker { .. } => Some(
            "check that the broker runs, that the port is a Kafka listener without TLS, and --bootstrap-server (or \
             THALWEG_BOOTSTRAP); `thalweg dev` starts a broker here",
        ),
        // The bootstrap address answered; this one came from the cluster.
        ClientError::Connect { .. } => Some(
            "the cluster names this address, but it cannot be reached from here: see the broker's advertised.listeners",
        ),
        ClientError::DeadlineExceeded { last, .. } if matches!(**last, ClientError::Connect { .. }) => {
            client_hint(last)
        }
        ClientError::Timeout { .. } | ClientError::DeadlineExceeded { .. } => {
            Some("the broker is slow or overloaded: see its log and /readyz, or raise --timeout")
        }
        ClientError::Malformed { .. } => Some("check that the port belongs to a Kafka listener without TLS"),
        ClientError::NoPartition { .. } => Some("`thalweg topic describe -p` lists the partitions"),
        _ => None,
    }
}

fn code_hint(code: ErrorCode) -> Option<&'static str> {
    match code {
        ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId => {
            Some("`thalweg topic list` shows the topics, `thalweg topic create` makes one")
        }
        ErrorCode::TopicAlreadyExists => Some("--if-not-exists accepts a topic that is there already"),
        ErrorCode::InvalidReplicationFactor => {
            Some("leave --replication-factor out: the broker knows how many copies it can hold")
        }
        ErrorCode::InvalidConfig => Some("`thalweg topic describe -c` lists the keys and their values"),
        ErrorCode::NonEmptyGroup => {
            Some("stop the group's members first; `thalweg group describe` names them")
        }
        ErrorCode::UnknownMemberId => Some("the group has members: stop them first, then move its offsets"),
        ErrorCode::GroupIdNotFound => Some("`thalweg group list` shows the groups"),
        ErrorCode::OffsetOutOfRange => {
            Some("`thalweg topic describe -p` shows the first and last offset of each partition")
        }
        ErrorCode::MessageTooLarge => Some("raise the topic's max.message.bytes, or send smaller records"),
        _ => None,
    }
}

/// Prints an error, if there is anything to say, and returns the exit code.
pub fn report(result: Result<(), CliError>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    match &error {
        // Whoever closed the output has all he wanted.
        CliError::OutputClosed => return ExitCode::SUCCESS,
        CliError::Interrupted | CliError::Reported => return ExitCode::from(1),
        other => {
            note(&format!("error: {other}"));
            if let Some(hint) = other.hint() {
                note(&format!("try:   {hint}"));
            }
        }
    }
    match error {
        CliError::Usage(_) => ExitCode::from(2),
        _ => ExitCode::from(1),
    }
}

#[cfg(test)]
#[path = "error_test.rs"]
mod tests;
