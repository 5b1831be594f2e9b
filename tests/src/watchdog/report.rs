//! What a process stands still at: its threads as the kernel sees them, and the ends of logs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};

use super::Started;

/// How long the backtraces of one process may take.
const BACKTRACES: Duration = Duration::from_secs(20);

/// Writes past the capture of the test runner.
pub(super) fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// The threads of this process and of those it started, and the ends of their logs.
pub(super) fn describe(processes: &BTreeMap<u32, Started>) -> String {
    let mut text = threads("this test process", std::process::id());
    for (pid, started) in processes {
        text.push_str(&threads(&started.name, *pid));
        if let Some(output) = &started.output {
            text.push_str(&output.tail());
        }
    }
    text
}

fn threads(name: &str, pid: u32) -> String {
    let mut text = format!("--- threads of {name} ({pid})\n");
    let directory = format!("/proc/{pid}/task");
    let Ok(tasks) = std::fs::read_dir(&directory) else {
        text.push_str("(gone)\n");
        return text;
    };
    for task in tasks.flatten() {
        let path = task.path();
        let read = |file: &str| one_line(&path.join(file));
        let status = std::fs::read_to_string(path.join("status")).unwrap_or_default();
        let state = status.lines().find_map(|line| line.strip_prefix("State:"));
        let _ = writeln!(
            text,
            "{} {:16} {} wchan {} syscall {}",
            task.file_name().to_string_lossy(),
            read("comm"),
            state.unwrap_or("?").trim(),
            read("wchan"),
            read("syscall"),
        );
        // Only root may read it; it says where in the kernel a thread waits that no signal wakes.
        let stack = one_line(&path.join("stack"));
        if !stack.is_empty() {
            let _ = writeln!(text, "        {stack}");
        }
    }
    text
}

fn one_line(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let frame = |line: &str| line.trim().trim_start_matches("[<0>] ").to_owned();
    text.lines().map(frame).collect::<Vec<_>>().join(" < ")
}

/// The backtraces in user space, where a debugger is installed. Straight to standard error: a debugger stops this
/// process, which could not read a pipe meanwhile.
pub(super) fn backtraces(processes: &BTreeMap<u32, Started>) {
    for pid in std::iter::once(std::process::id()).chain(processes.keys().copied()) {
        let seconds = BACKTRACES.as_secs().to_string();
        let shown = Command::new("timeout")
            .args([
                "-s",
                "KILL",
                &seconds,
                "gdb",
                "-nx",
                "-batch",
                "-p",
                &pid.to_string(),
            ])
            .args(["-ex", "thread apply all bt 30"])
            .stdin(Stdio::null())
            .stdout(Stdio::from(std::io::stderr()))
            .stderr(Stdio::null())
            .status();
        if shown.is_err() {
            return;
        }
    }
}

/// Kills a process that a test started.
pub(super) fn kill(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        let _ = rustix::process::kill_process(pid, Signal::KILL);
    }
}
