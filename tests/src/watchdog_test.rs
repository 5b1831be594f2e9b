//! The limit strikes, explains itself and takes along what the test started.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::{Duration, Instant};

use super::{allow, join, note};
use crate::process::{self, Output, Server};

/// Set in the process that is to hang.
const HANG: &str = "WATCHDOG_TEST_HANGS";

/// Not a test of its own: the body of the process that the next test starts.
#[test]
fn hangs_if_told_to() {
    if std::env::var_os(HANG).is_none() {
        return;
    }
    allow(Duration::from_secs(1));
    note("THALWEG_SEED=4711");
    let directory = tempfile::tempdir().expect("a directory");
    let mut command = Command::new("sh");
    command.args(["-c", "echo last words; sleep 120"]);
    let server = Server::start(command, &Output::in_directory(directory.path()));
    println!("started {}", server.pid());
    std::thread::sleep(Duration::from_secs(120));
}

#[test]
fn a_test_that_hangs_is_ended_and_described() {
    let mut command = Command::new(std::env::current_exe().expect("a test knows its path"));
    command
        .args(["--exact", "watchdog::tests::hangs_if_told_to", "--nocapture"])
        .env(HANG, "1");
    let begin = Instant::now();
    let finished = process::run(command, b"", Duration::from_secs(110));
    assert_eq!(finished.status.signal(), Some(6), "{}", finished.describe());
    let told = finished.stderr_text();
    for part in [
        "hangs_if_told_to has run for",
        "limit of 1 s",
        "THALWEG_SEED=4711",
        "threads of this test process",
        "threads of sh",
        "last words",
        "wchan",
        "watchdog: aborted",
    ] {
        assert!(told.contains(part), "{part:?} is not in\n{told}");
    }
    assert!(begin.elapsed() < Duration::from_secs(110));
    let pid = finished.stdout_text();
    let pid = pid.lines().find_map(|line| line.split("started ").nth(1));
    let pid = pid.expect("it said what it started").trim().to_owned();
    let gone = crate::wait::poll(Duration::from_secs(10), || {
        let state = std::fs::read_to_string(format!("/proc/{pid}/status"));
        let alive = state.is_ok_and(|text| !text.contains("State:\tZ"));
        (!alive).then_some(())
    });
    assert!(gone.is_some(), "{pid} outlived its test");
}

#[test]
fn a_thread_that_does_not_end_is_named() {
    let (end, stay) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        let _ = stay.recv();
    });
    let waiting = || join("the one that stays", Duration::from_millis(50), thread);
    let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(waiting));
    let why = asked.expect_err("it did not end");
    let why = why.downcast_ref::<String>().expect("words");
    assert!(
        why.contains("the one that stays has not ended within 50ms"),
        "{why}"
    );
    drop(end);
}
