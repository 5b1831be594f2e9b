//! Facts about the machine and the versions, for the report's head.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thalweg_tests::{broker, places, process};

const ASK: Duration = Duration::from_secs(30);

/// Where and with what a comparison ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Date of the run, UTC.
    pub date: String,
    /// Model and number of processors.
    pub processors: String,
    /// Memory.
    pub memory: String,
    /// Kernel release.
    pub kernel: String,
    /// File system and device of the data.
    pub disk: String,
    /// Load average before the run: what others did on the machine.
    pub load: String,
    /// Versions of both brokers and of Java.
    pub versions: Vec<String>,
}

impl Machine {
    /// Looks at this machine.
    pub fn look() -> Machine {
        let cpuinfo = read("/proc/cpuinfo");
        let model = field(&cpuinfo, "model name");
        let count = std::thread::available_parallelism().map_or(0, usize::from);
        let kib: u64 = field(&read("/proc/meminfo"), "MemTotal")
            .trim_end_matches(" kB")
            .parse()
            .unwrap_or(0);
        Machine {
            date: said("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
            processors: format!("{count} × {model}"),
            memory: format!("{:.1} GiB", kib as f64 / f64::from(1 << 20)),
            kernel: format!(
                "{} {}",
                read("/proc/sys/kernel/ostype").trim(),
                read("/proc/sys/kernel/osrelease").trim()
            ),
            disk: mount_of(&places::runs(), &read("/proc/mounts")),
            load: read("/proc/loadavg")
                .split_whitespace()
                .take(3)
                .collect::<Vec<_>>()
                .join(" "),
            versions: versions(),
        }
    }
}

fn versions() -> Vec<String> {
    let mut command = Command::new(broker::binary());
    command.arg("--version");
    let thalweg = process::run(command, b"", ASK).stdout_text().trim().to_owned();
    let revision = said(
        "git",
        &[
            "-C",
            &places::repository().to_string_lossy(),
            "describe",
            "--always",
            "--dirty",
        ],
    );
    let jars = places::clients().join("java/lib");
    let kafka = std::fs::read_dir(jars).ok().into_iter().flatten().flatten();
    let kafka = kafka
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .find(|name| name.starts_with("kafka_2.13-"))
        .unwrap_or_else(|| "Apache Kafka: jars not found".to_owned());
    vec![
        format!("{thalweg} ({revision})"),
        kafka.trim_end_matches(".jar").to_owned(),
        said("java", &["--version"]),
    ]
}

/// The first line that a command says.
fn said(program: &str, arguments: &[&str]) -> String {
    if program != "date" && thalweg_tests::clients::in_path(program).is_err() {
        return format!("{program}: not found");
    }
    let mut command = Command::new(program);
    command.args(arguments);
    let text = process::run(command, b"", ASK).stdout_text();
    text.lines().next().unwrap_or_default().to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// The value of `name : value`.
fn field(text: &str, name: &str) -> String {
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.split_once(':'));
    value.map_or_else(String::new, |(_, value)| value.trim().to_owned())
}

/// Device and type of the mount with the longest path that holds `path`.
fn mount_of(path: &Path, mounts: &str) -> String {
    let rows = mounts.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next()?, words.next()?, words.next()?))
    });
    let best = rows
        .filter(|(_, point, _)| path.starts_with(point))
        .max_by_key(|(_, point, _)| point.len());
    best.map_or_else(String::new, |(device, _, kind)| format!("{kind} on {device}"))
}

#[cfg(test)]
#[path = "machine_test.rs"]
mod tests;
