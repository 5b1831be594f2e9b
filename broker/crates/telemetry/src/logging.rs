//! Log lines: one event, one line, plain text, to standard error.
//!
//! Standard output belongs to the program's own output (the `dev` banner, tables of the command line), so
//! that it can be piped; the log never goes there.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// Environment variable that overrides the configured filter, for example
/// `info,thalweg_broker::network=debug`.
pub const LOG_FILTER_VARIABLE: &str = "THALWEG_LOG";

/// Why logging could not be set up.
#[derive(Debug)]
pub enum LoggingError {
    /// The filter text does not parse.
    Filter {
        /// The text as given.
        text: String,
        /// Where it came from: the variable's name, or "settings".
        origin: &'static str,
        /// What is wrong with it.
        cause: ParseError,
    },
    /// Another subscriber was installed before; logging is set up once in a process.
    AlreadySet,
}

impl std::fmt::Display for LoggingError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Filter { text, origin, cause } => write!(
                f,
                "the log filter {text:?} (from {origin}) does not parse: {cause}; \
                 write a level (error, warn, info, debug, trace) or a list such as info,thalweg_storage=debug"
            ),
            Self::AlreadySet => f.write_str("logging is already set up in this process"),
        }
    }
}

impl std::error::Error for LoggingError {}

/// Sends the process's log to standard error; `default_filter` applies unless [`LOG_FILTER_VARIABLE`] is set.
///
/// Colours are used only on a terminal.
///
/// # Errors
/// [`LoggingError::Filter`] if the filter in force does not parse, [`LoggingError::AlreadySet`] on a second
/// call.
pub fn init_logging(default_filter: &str) -> Result<(), LoggingError> {
    let (text, origin) = match std::env::var(LOG_FILTER_VARIABLE) {
        Ok(text) if !text.trim().is_empty() => (text, LOG_FILTER_VARIABLE),
        _ => (default_filter.to_owned(), "settings"),
    };
    let filter = parse_filter(&text, origin)?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init()
        .map_err(|_| LoggingError::AlreadySet)
}

/// Parses a filter strictly: an unknown directive is an error, not a silent "log nothing".
fn parse_filter(text: &str, origin: &'static str) -> Result<EnvFilter, LoggingError> {
    EnvFilter::builder()
        .parse(text)
        .map_err(|cause| LoggingError::Filter {
            text: text.to_owned(),
            origin,
            cause,
        })
}

#[cfg(test)]
#[path = "logging_test.rs"]
mod tests;
