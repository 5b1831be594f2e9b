//! The book of skipped tests.
//!
//! A test that needs a client which is not there says so, is counted, and passes; with `CI=true` it fails instead.
//! `tests/run` prints the count as its closing line.

use std::io::Write;

use crate::places;

/// Takes the client out of a `find()` result, or ends the test as skipped.
#[macro_export]
macro_rules! require_client {
    ($found:expr) => {
        match $found {
            Ok(client) => client,
            Err(why) => {
                $crate::skip::note(&why);
                return;
            }
        }
    };
}

/// Notes that the running test is skipped, and why.
///
/// # Panics
/// With `CI=true`: there a missing client is a failure.
#[track_caller]
pub fn note(why: &str) {
    let test = places::test_name();
    if std::env::var("CI").is_ok_and(|value| value == "true") {
        panic!("{test} may not be skipped in CI: {why}");
    }
    // Past the capture of the test runner, so that it is seen without --nocapture.
    let line = format!("skipped: {test}: {why}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
    let book = places::runs().join("skipped.txt");
    let written = std::fs::File::options()
        .create(true)
        .append(true)
        .open(&book)
        .and_then(|mut file| file.write_all(line.as_bytes()));
    if let Err(error) = written {
        panic!("write {}: {error}", book.display());
    }
}
