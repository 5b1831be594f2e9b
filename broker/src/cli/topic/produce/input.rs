//! The thread that reads standard input.

use std::io::{self, BufReader};

use tokio::sync::mpsc;

use crate::cli::error::CliError;
use crate::cli::format::{InputRecord, InputTemplate};

/// Records read ahead.
const READ_AHEAD: usize = 4096;
const BUFFER_SIZE: usize = 256 * 1024;

/// Starts the thread. The channel ends with the input or after the first error.
///
/// The thread may be left behind in a read of a terminal; it holds nothing that needs an orderly end.
pub fn start(template: InputTemplate) -> mpsc::Receiver<Result<InputRecord, CliError>> {
    let (records, receiver) = mpsc::channel(READ_AHEAD);
    std::thread::spawn(move || {
        let mut reader = BufReader::with_capacity(BUFFER_SIZE, io::stdin());
        let mut count: u64 = 0;
        loop {
            let read = match template.read(&mut reader) {
                Ok(None) => return,
                Ok(Some(record)) => Ok(record),
                Err(source) => {
                    let what = format!("read record {} of standard input", count.saturating_add(1));
                    Err(CliError::Io { what, source })
                }
            };
            count = count.saturating_add(1);
            let failed = read.is_err();
            if records.blocking_send(read).is_err() || failed {
                return;
            }
        }
    });
    receiver
}
