//! Processes with bounded lives: servers whose output goes to files, and commands that run to their end.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal};

use crate::{wait, watchdog};

/// How long a killed process may take to be gone: what it has begun in the kernel is finished first.
const GONE: Duration = Duration::from_secs(60);

/// How long the output of a process that has ended may still come: a child of its own may hold the pipe.
const LAST_OUTPUT: Duration = Duration::from_secs(10);

/// How much of a log is shown when a test fails, in bytes.
const TAIL_BYTES: u64 = 8 << 10;

/// A running server; killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    name: String,
    output: Output,
}

/// The files that take a server's output, appended to by each start.
#[derive(Debug, Clone)]
pub struct Output {
    /// Standard output.
    pub stdout: PathBuf,
    /// Standard error.
    pub stderr: PathBuf,
}

impl Output {
    /// Names `<directory>/stdout.log` and `<directory>/stderr.log`.
    pub fn in_directory(directory: &Path) -> Output {
        Output {
            stdout: directory.join("stdout.log"),
            stderr: directory.join("stderr.log"),
        }
    }

    /// The last lines of both files, for a failure message.
    pub fn tail(&self) -> String {
        let mut text = String::new();
        for path in [&self.stdout, &self.stderr] {
            let end = tail(path).unwrap_or_else(|error| format!("(unreadable: {error})\n"));
            text.push_str(&format!("--- end of {}\n{end}", path.display()));
        }
        text
    }
}

fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

impl Server {
    /// Starts `command` with its output appended to `output`.
    ///
    /// # Panics
    /// When the program cannot be started.
    pub fn start(mut command: Command, output: &Output) -> Server {
        let name = command.get_program().to_string_lossy().into_owned();
        let append = |path: &Path| {
            let opened = File::options().create(true).append(true).open(path);
            opened.unwrap_or_else(|error| panic!("open {}: {error}", path.display()))
        };
        command
            .stdin(Stdio::null())
            .stdout(append(&output.stdout))
            .stderr(append(&output.stderr));
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("start {name}: {error}"));
        watchdog::process_begins(child.id(), &name, Some(output));
        Server {
            child,
            name,
            output: output.clone(),
        }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends `signal` to the process; one that has ended is left alone.
    pub fn signal(&self, signal: Signal) {
        let _ = rustix::process::kill_process(Pid::from_child(&self.child), signal);
    }

    /// Kills the process with SIGKILL and waits for its end. Nothing in it runs any more after the call.
    pub fn kill_nine(&mut self) {
        let _ = self.child.kill();
        if self.wait_for_end(GONE).is_none() {
            let why = format!(
                "{} is not gone {GONE:?} after SIGKILL\n{}",
                self.name,
                watchdog::describe()
            );
            // In a panic already, one more would hide the first.
            assert!(std::thread::panicking(), "{why}");
            eprintln!("{why}");
        }
    }

    /// Sends SIGTERM and waits for the end.
    ///
    /// # Panics
    /// When the process still runs after `within`; the message carries the end of its output.
    #[track_caller]
    pub fn terminate(&mut self, within: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait_for_end(within).unwrap_or_else(|| {
            panic!(
                "{} did not stop within {within:?} of SIGTERM\n{}",
                self.name,
                self.output.tail()
            )
        })
    }

    /// Waits for the end of the process.
    pub fn wait_for_end(&mut self, within: Duration) -> Option<ExitStatus> {
        wait::poll(within, || self.exit_status())
    }

    /// The exit status if the process has ended.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        let status = self
            .child
            .try_wait()
            .unwrap_or_else(|error| panic!("wait for {}: {error}", self.name));
        if status.is_some() {
            watchdog::process_ends(self.child.id());
        }
        status
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill_nine();
    }
}

/// What a command that ran to its end left behind.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The command line, for messages.
    pub command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

impl Finished {
    /// Its standard output as text.
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Its standard error as text.
    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Both outputs as text.
    pub fn text(&self) -> String {
        self.stdout_text() + &self.stderr_text()
    }

    /// Asserts that the command ended with status 0.
    #[track_caller]
    pub fn ok(self) -> Finished {
        assert!(
            self.status.success(),
            "failed ({}): {}",
            self.status,
            self.describe()
        );
        self
    }

    /// Asserts that the command ended with another status than 0, and not by a signal of ours.
    #[track_caller]
    pub fn refused(self) -> Finished {
        let by_itself = self.status.signal().is_none();
        assert!(
            !self.status.success() && by_itself,
            "expected a refusal ({}): {}",
            self.status,
            self.describe()
        );
        self
    }

    /// Asserts that the standard output contains `part`.
    #[track_caller]
    pub fn shows(self, part: &str) -> Finished {
        assert!(
            self.stdout_text().contains(part),
            "{part:?} is not in the output of {}",
            self.describe()
        );
        self
    }

    /// Command line and the ends of both outputs, for a failure message.
    pub fn describe(&self) -> String {
        let end = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            let skip = text.chars().count().saturating_sub(4_000);
            text.chars().skip(skip).collect::<String>()
        };
        format!(
            "{}\n--- stdout\n{}\n--- stderr\n{}",
            self.command,
            end(&self.stdout),
            end(&self.stderr)
        )
    }
}

/// Runs `command` to its end with `input` on its standard input, and kills it after `within`.
///
/// # Panics
/// When the program cannot be started, or does not end in time.
#[track_caller]
pub fn run(command: Command, input: &[u8], within: Duration) -> Finished {
    run_fed(command, within, |stdin| {
        // A command that ends early closes its end of the pipe; its status tells the story.
        let _ = stdin.write_all(input);
    })
}

/// Like [`run`], with standard input from `feed`, which runs beside the command; the input ends when it returns.
#[track_caller]
pub fn run_fed(
    mut command: Command,
    within: Duration,
    feed: impl FnOnce(&mut ChildStdin) + Send,
) -> Finished {
    let line = command_line(&command);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("start {line}: {error}"));
    let pid = child.id();
    watchdog::process_begins(pid, &line, None);
    let stdin = child.stdin.take();
    let stdout = Drained::start(child.stdout.take());
    let stderr = Drained::start(child.stderr.take());
    let status = std::thread::scope(|scope| {
        scope.spawn(move || {
            if let Some(mut stdin) = stdin {
                feed(&mut stdin);
            }
        });
        let ended = wait::poll(within, || child.try_wait().ok().flatten());
        if ended.is_none() {
            let _ = child.kill();
            let _ = wait::poll(GONE, || child.try_wait().ok().flatten());
        }
        ended
    });
    watchdog::process_ends(pid);
    let timed_out = status.is_none();
    let finished = Finished {
        command: line,
        status: status.unwrap_or_default(),
        stdout: stdout.finish(),
        stderr: stderr.finish(),
    };
    assert!(
        !timed_out,
        "not finished after {within:?}: {}",
        finished.describe()
    );
    finished
}

/// What comes out of a pipe, read beside the process.
struct Drained {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Drained {
    fn start(pipe: Option<impl Read + Send + 'static>) -> Drained {
        let bytes = Arc::<Mutex<Vec<u8>>>::default();
        let filled = bytes.clone();
        let reader = std::thread::spawn(move || {
            let mut piece = vec![0; 64 << 10];
            let Some(mut pipe) = pipe else { return };
            loop {
                match pipe.read(&mut piece) {
                    Ok(0) => return,
                    Ok(count) => filled
                        .lock()
                        .expect("no holder panics")
                        .extend_from_slice(&piece[..count]),
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(_) => return,
                }
            }
        });
        Drained { bytes, reader }
    }

    /// All of it; what has come by then if something else still holds the pipe.
    fn finish(self) -> Vec<u8> {
        let _ = wait::poll(LAST_OUTPUT, || self.reader.is_finished().then_some(()));
        std::mem::take(&mut *self.bytes.lock().expect("no holder panics"))
    }
}

/// The command as one line; the class path of a Java tool is left out.
fn command_line(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.retain(|word| word.len() < 200);
    words.join(" ")
}
