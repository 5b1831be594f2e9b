//! The process as the operating system sees it, under the names that Prometheus' own clients give.
//!
//! Read from /proc rather than by the metric library's collector: that one counts processor time in whole seconds.
//! What cannot be read (another operating system, a hidden /proc) has no series.

use thalweg_telemetry::MetricKind::{Counter, Gauge};

use super::page::{Declared, Page};

/// What is told of the process.
#[rustfmt::skip]
pub(super) const PROCESS: &[Declared] = &[
    ("process_cpu_seconds_total", Counter, &[], "Processor time that the process has used, in user mode and in the kernel."),
    ("process_resident_memory_bytes", Gauge, &[], "Memory of the process that is in RAM."),
    ("process_virtual_memory_bytes", Gauge, &[], "Address space of the process."),
    ("process_open_fds", Gauge, &[], "Open file descriptors: connections, segments, files of the write-ahead log."),
    ("process_max_fds", Gauge, &[], "Most file descriptors that may be open."),
    ("process_threads", Gauge, &[], "Threads of the process."),
    ("process_start_time_seconds", Gauge, &[], "When the process was started, in seconds since 1970."),
];

/// What never changes, read once.
#[derive(Debug)]
pub(super) struct Process {
    ticks_per_second: f64,
    page_size: f64,
    boot_time_seconds: Option<f64>,
}

/// The fields of `/proc/self/stat` that are used, in its units.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stat {
    cpu_ticks: f64,
    threads: f64,
    start_ticks: f64,
    virtual_bytes: f64,
    resident_pages: f64,
}

impl Process {
    pub(super) fn new() -> Self {
        let boot = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        Self {
            ticks_per_second: rustix::param::clock_ticks_per_second() as f64,
            page_size: rustix::param::page_size() as f64,
            boot_time_seconds: parse_boot_time(&boot),
        }
    }

    pub(super) fn collect(&self, page: &mut Page) {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        if let Some(stat) = parse_stat(&stat) {
            let seconds = |ticks: f64| ticks / self.ticks_per_second;
            page.add("process_cpu_seconds_total", &[], seconds(stat.cpu_ticks));
            page.add("process_threads", &[], stat.threads);
            page.add("process_virtual_memory_bytes", &[], stat.virtual_bytes);
            page.add(
                "process_resident_memory_bytes",
                &[],
                stat.resident_pages * self.page_size,
            );
            if let Some(boot) = self.boot_time_seconds {
                page.add(
                    "process_start_time_seconds",
                    &[],
                    boot + seconds(stat.start_ticks),
                );
            }
        }
        if let Ok(entries) = std::fs::read_dir("/proc/self/fd") {
            // Not the one that reads the directory.
            page.add("process_open_fds", &[], entries.count().saturating_sub(1) as f64);
        }
        if let Some(most) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
            page.add("process_max_fds", &[], most as f64);
        }
    }
}

/// proc_pid_stat(5). The second field is the program's name in brackets, and may hold blanks and brackets.
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // The manual counts from 1, and `rest` begins with field 3.
    let field = |number: usize| fields.get(number.checked_sub(3)?)?.parse::<f64>().ok();
    Some(Stat {
        cpu_ticks: field(14)? + field(15)?,
        threads: field(20)?,
        start_ticks: field(22)?,
        virtual_bytes: field(23)?,
        resident_pages: field(24)?,
    })
}

/// The line `btime` of `/proc/stat`.
fn parse_boot_time(text: &str) -> Option<f64> {
    text.lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()
}

#[cfg(test)]
#[path = "process_test.rs"]
mod tests;
