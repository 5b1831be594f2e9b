//! A limit on every test's time: what hangs becomes a failure that explains itself.
//!
//! A test is watched from its first use of the harness to the end of its thread. When its time is over, the watchdog
//! prints the test, every thread of the test process and of the processes it started with what each waits for in the
//! kernel, and the ends of the brokers' logs; then it kills those processes and aborts this one.
//! Invariant: no test that uses the harness runs longer than its limit plus two minutes, whatever stands still.
//!
//! Only time that the test process itself could run counts: a machine that slept does not fail a test.

mod report;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use crate::process::Output;
use crate::{places, wait};

/// How long a test may take that does not ask for more.
pub const LIMIT: Duration = Duration::from_secs(6 * 60);

/// The pause between two looks, and the longest time that one of them counts.
const LOOK: Duration = Duration::from_millis(500);
const LOOK_MAX: Duration = Duration::from_secs(5);

/// How long the report may take before the process is aborted without the rest of it.
const REPORT: Duration = Duration::from_secs(90);

/// A test that runs.
#[derive(Debug)]
struct Watched {
    thread: ThreadId,
    name: String,
    notes: Vec<String>,
    elapsed: Duration,
    limit: Duration,
}

/// A process that a test started.
#[derive(Debug, Clone)]
pub(crate) struct Started {
    name: String,
    /// Where its output goes, if to files.
    output: Option<Output>,
}

static TESTS: Mutex<Vec<Watched>> = Mutex::new(Vec::new());
static PROCESSES: Mutex<BTreeMap<u32, Started>> = Mutex::new(BTreeMap::new());
static WATCHER: Once = Once::new();
/// True while a test builds the program: that is no time of a test.
static BUILDING: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// Ends the watch of a test with its thread.
    static OWN: Own = const { Own };
    /// Brokers of this thread that live.
    static BROKERS: Cell<usize> = const { Cell::new(0) };
}

struct Own;

impl Drop for Own {
    fn drop(&mut self) {
        let thread = std::thread::current().id();
        tests().retain(|test| test.thread != thread);
    }
}

/// The watch must go on after a panic of some test.
fn tests() -> MutexGuard<'static, Vec<Watched>> {
    TESTS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn processes() -> MutexGuard<'static, BTreeMap<u32, Started>> {
    PROCESSES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Begins the watch of the test on this thread, if it has not begun. The harness calls it wherever a test may start.
pub fn begin() {
    change(|_| ());
}

/// Gives the test on this thread another limit than [`LIMIT`], counted from its beginning.
pub fn allow(limit: Duration) {
    change(|test| test.limit = limit);
}

/// Keeps a line for the report, such as a seed: a captured output is lost in an abort.
pub fn note(line: &str) {
    change(|test| test.notes.push(line.to_owned()));
}

fn change(act: impl FnOnce(&mut Watched)) {
    WATCHER.call_once(|| {
        let watcher = std::thread::Builder::new().name("watchdog".to_owned());
        watcher.spawn(watch).expect("a thread for the watchdog");
    });
    // A thread that ends already has nothing to be watched.
    if OWN.try_with(|_| ()).is_err() {
        return;
    }
    let thread = std::thread::current().id();
    let mut tests = tests();
    if let Some(test) = tests.iter_mut().find(|test| test.thread == thread) {
        return act(test);
    }
    let mut test = Watched {
        thread,
        name: places::test_name(),
        notes: Vec::new(),
        elapsed: Duration::ZERO,
        limit: LIMIT,
    };
    act(&mut test);
    tests.push(test);
}

/// A broker of this thread begins its life.
pub(crate) fn broker_begins() {
    begin();
    let _ = BROKERS.try_with(|count| count.set(count.get() + 1));
}

/// A broker of this thread is gone. The main thread runs one test after the other when there is only one test thread:
/// there the end of the last broker is the end of a test.
pub(crate) fn broker_ends() {
    let left = BROKERS.try_with(|count| {
        count.set(count.get().saturating_sub(1));
        count.get()
    });
    if left == Ok(0) && std::thread::current().name() == Some("main") {
        change(|test| {
            test.elapsed = Duration::ZERO;
            test.limit = LIMIT;
            test.notes.clear();
        });
    }
}

/// A process was started.
pub(crate) fn process_begins(pid: u32, name: &str, output: Option<&Output>) {
    begin();
    let started = Started {
        name: name.to_owned(),
        output: output.cloned(),
    };
    processes().insert(pid, started);
}

/// A process was waited for.
pub(crate) fn process_ends(pid: u32) {
    processes().remove(&pid);
}

/// Builds something that all tests of the process wait for; the time does not count.
pub(crate) fn while_building<T>(build: impl FnOnce() -> T) -> T {
    BUILDING.store(true, Ordering::Relaxed);
    let built = build();
    BUILDING.store(false, Ordering::Relaxed);
    built
}

/// What stands in the report about this process and those it started; for a wait that ended in vain.
pub fn describe() -> String {
    report::describe(&processes().clone())
}

fn watch() {
    let mut before = Instant::now();
    loop {
        std::thread::sleep(LOOK);
        let counts = !BUILDING.load(Ordering::Relaxed);
        let passed = if counts {
            before.elapsed().min(LOOK_MAX)
        } else {
            Duration::ZERO
        };
        before = Instant::now();
        if let Some(overrun) = overrun(passed) {
            end(&overrun);
        }
    }
}

/// Counts the time and returns what is to be said of a test that has none left.
fn overrun(passed: Duration) -> Option<String> {
    let mut found = None;
    for test in tests().iter_mut() {
        test.elapsed += passed;
        if test.elapsed > test.limit {
            let notes = test.notes.join("\n");
            found = Some(format!(
                "{} has run for {} s, more than its limit of {} s\n{notes}",
                test.name,
                test.elapsed.as_secs(),
                test.limit.as_secs()
            ));
        }
    }
    found
}

/// Reports, kills what the tests started, and aborts.
fn end(overrun: &str) -> ! {
    let overrun = overrun.to_owned();
    let reporting = std::thread::spawn(move || {
        report::say(&format!("\nwatchdog: {overrun}\n"));
        let processes = processes().clone();
        report::say(&report::describe(&processes));
        report::backtraces(&processes);
    });
    let begin = Instant::now();
    while !reporting.is_finished() && begin.elapsed() < REPORT {
        std::thread::sleep(Duration::from_millis(50));
    }
    report::say("watchdog: aborted\n");
    if let Ok(processes) = PROCESSES.try_lock() {
        processes.keys().for_each(|pid| report::kill(*pid));
    }
    std::process::abort();
}

/// Runs a closure on a thread of its own and waits for it; what does not end in time is reported and left behind.
///
/// # Panics
/// When it has not ended `within`; with the closure's own panic.
#[track_caller]
pub fn bounded<T: Send + 'static>(
    what: &str,
    within: Duration,
    act: impl FnOnce() -> T + Send + 'static,
) -> T {
    let thread = std::thread::Builder::new()
        .name(places::test_name())
        .spawn(act)
        .unwrap_or_else(|error| panic!("start a thread for {what}: {error}"));
    join(what, within, thread)
}

/// Joins a thread, with a bound.
///
/// # Panics
/// When it has not ended `within`; with the thread's own panic.
#[track_caller]
pub fn join<T>(what: &str, within: Duration, thread: std::thread::JoinHandle<T>) -> T {
    if wait::poll(within, || thread.is_finished().then_some(())).is_none() {
        panic!("{what} has not ended within {within:?}\n{}", describe());
    }
    match thread.join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// How long a client may take to end.
const FAREWELL: Duration = Duration::from_secs(20);

/// A client that is dropped on a thread of its own: librdkafka waits in its end for whatever it has begun, without a
/// bound.
///
/// One that does not end is reported and left behind. That is the client's affair: librdkafka 2.12 asks its own group
/// thread for the rebalance protocol when partitions are revoked while it closes, and that thread may have gone by then.
#[derive(Debug)]
pub struct Retiring<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> From<T> for Retiring<T> {
    fn from(client: T) -> Self {
        Self(Some(client))
    }
}

impl<T: Send + 'static> Deref for Retiring<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl<T: Send + 'static> Drop for Retiring<T> {
    fn drop(&mut self) {
        let client = self.0.take();
        let spawned = std::thread::Builder::new()
            .name("a client's end".to_owned())
            .spawn(move || drop(client));
        let ended =
            spawned.is_ok_and(|thread| wait::poll(FAREWELL, || thread.is_finished().then_some(())).is_some());
        if !ended {
            let client = std::any::type_name::<T>();
            report::say(&format!(
                "{client} has not ended within {FAREWELL:?} and is left behind\n{}",
                describe()
            ));
        }
    }
}

/// Runs a system command that says nothing, with a bound; true if it succeeded.
pub(crate) fn succeeds(mut command: Command, within: Duration) -> bool {
    let quiet = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let Ok(mut child) = quiet.spawn() else {
        return false;
    };
    let ended = wait::poll(within, || child.try_wait().ok().flatten());
    if ended.is_none() {
        // What is stuck in the kernel cannot be waited for.
        let _ = child.kill();
    }
    ended.is_some_and(|status| status.success())
}

#[cfg(test)]
#[path = "watchdog_test.rs"]
mod tests;
