//! What the kernel tells of processes and of the machine: parsers for `/proc`, and one sample of each.
//!
//! Owns the formats only; who is charged for what is decided in [`crate::account`]. A process that has ended reads as
//! an error, never as zero: zero would look like a very good result.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

/// CPU time of a process in user and kernel mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTimes {
    /// Its own.
    pub own: Duration,
    /// That of its children which ended and were waited for.
    pub children: Duration,
}

/// One look at a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessSample {
    /// CPU time so far.
    pub cpu: Duration,
    /// CPU time of the threads that live, by the group of their name.
    pub threads: BTreeMap<String, Duration>,
    /// Bytes it caused to be written to storage (`write_bytes` less what was dropped before it got there).
    pub written_bytes: u64,
    /// Resident memory.
    pub resident_bytes: u64,
    /// The largest resident memory since the start or since [`reset_peak`].
    pub resident_peak_bytes: u64,
    /// Open descriptors.
    pub descriptors: usize,
}

/// One look at the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MachineSample {
    /// Time that processors were not idle, all together; time that the host took away is not in it.
    pub busy: Duration,
    /// Bytes that all block devices wrote.
    pub written_bytes: u64,
}

impl ProcessSample {
    /// Samples the process `pid`.
    ///
    /// # Errors
    /// When it does not run.
    pub fn take(pid: u32) -> Result<ProcessSample> {
        let stat = read(&format!("/proc/{pid}/stat"))?;
        let cpu = parse_stat(&stat)?.1.own;
        let status = read(&format!("/proc/{pid}/status"))?;
        Ok(ProcessSample {
            cpu,
            threads: threads(pid)?,
            written_bytes: parse_written(&read(&format!("/proc/{pid}/io"))?)?,
            resident_bytes: kib_field(&status, "VmRSS:")?,
            resident_peak_bytes: kib_field(&status, "VmHWM:")?,
            descriptors: std::fs::read_dir(format!("/proc/{pid}/fd"))
                .with_context(|| format!("list the descriptors of process {pid}"))?
                .count(),
        })
    }
}

impl MachineSample {
    /// Samples the machine.
    ///
    /// # Errors
    /// When `/proc` is not Linux's.
    pub fn take() -> Result<MachineSample> {
        Ok(MachineSample {
            busy: parse_busy(&read("/proc/stat")?)?,
            written_bytes: parse_diskstats(&read("/proc/diskstats")?),
        })
    }
}

/// CPU times of a process.
///
/// # Errors
/// When it does not run.
pub fn cpu_times(pid: u32) -> Result<CpuTimes> {
    Ok(parse_stat(&read(&format!("/proc/{pid}/stat"))?)?.1)
}

/// Bytes that wait to be written back to disks: dirty pages, and pages on their way.
///
/// # Errors
/// When `/proc` is not Linux's.
pub fn unwritten_bytes() -> Result<u64> {
    let text = read("/proc/meminfo")?;
    Ok(kib_field(&text, "Dirty:")? + kib_field(&text, "Writeback:")?)
}

/// Starts the peak of resident memory anew. Needs to be the owner of the process.
pub fn reset_peak(pid: u32) {
    // A kernel without this file leaves the peak since the start, which the report's reader sees as a high one.
    let _ = std::fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

/// Ids of the processes that this one started and that have not ended.
pub fn children() -> Vec<u32> {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    let lists = tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

fn threads(pid: u32) -> Result<BTreeMap<String, Duration>> {
    let directory = format!("/proc/{pid}/task");
    let entries = std::fs::read_dir(&directory).with_context(|| format!("list {directory}"))?;
    let mut groups = BTreeMap::new();
    for entry in entries.flatten() {
        // A thread may end while it is looked at.
        let Ok(text) = std::fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        let (name, times) = parse_stat(&text)?;
        *groups.entry(group_name(&name)).or_default() += times.own;
    }
    Ok(groups)
}

/// Threads that differ by the number at their end are one group.
pub fn group_name(name: &str) -> String {
    let stem = name
        .trim_end_matches(|c: char| c.is_ascii_digit() || c == '#')
        .trim_end_matches(['-', ' ', '_']);
    if stem.is_empty() { name } else { stem }.to_owned()
}

/// Name and CPU times of one line of `/proc/PID/stat`.
fn parse_stat(text: &str) -> Result<(String, CpuTimes)> {
    // The name may hold blanks and brackets: it ends at the last bracket.
    let (before, after) = text
        .rsplit_once(')')
        .ok_or_else(|| anyhow!("no name in a stat line"))?;
    let name = before.split_once('(').map_or("", |(_, name)| name);
    let ticks = |index: usize| -> Result<Duration> {
        let field = after.split_whitespace().nth(index);
        let count: u64 = field
            .ok_or_else(|| anyhow!("a stat line ends early"))?
            .parse()
            .context("a stat line")?;
        Ok(from_ticks(count))
    };
    let times = CpuTimes {
        own: ticks(11)? + ticks(12)?,
        children: ticks(13)? + ticks(14)?,
    };
    Ok((name.to_owned(), times))
}

fn from_ticks(count: u64) -> Duration {
    Duration::from_secs_f64(count as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Busy time in `/proc/stat`: user, nice, system, irq, softirq. Guest time is part of user time.
fn parse_busy(text: &str) -> Result<Duration> {
    let line = text
        .lines()
        .find(|line| line.starts_with("cpu "))
        .ok_or_else(|| anyhow!("no cpu line in /proc/stat"))?;
    let fields: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .map_while(|field| field.parse().ok())
        .collect();
    match fields[..] {
        [user, nice, system, _idle, _iowait, irq, softirq, ..] => {
            Ok(from_ticks(user + nice + system + irq + softirq))
        }
        _ => Err(anyhow!("a cpu line with {} fields", fields.len())),
    }
}

fn parse_written(text: &str) -> Result<u64> {
    let field = |name: &str| -> Result<u64> {
        let value = text.lines().find_map(|line| line.strip_prefix(name));
        let value = value.ok_or_else(|| anyhow!("no {name} in an io file"))?;
        value
            .trim()
            .parse()
            .with_context(|| format!("{name} in an io file"))
    };
    // Spelt so: "cancelled_write_bytes:" does not begin with "write_bytes:".
    Ok(field("write_bytes:")?.saturating_sub(field("cancelled_write_bytes:")?))
}

/// Bytes written by whole devices; partitions and loop devices would count twice.
fn parse_diskstats(text: &str) -> u64 {
    const SECTOR_BYTES: u64 = 512;
    let mut sectors = 0;
    for line in text.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let Some(name) = fields.get(2) else { continue };
        if !is_whole_disk(name) {
            continue;
        }
        let written: Option<u64> = fields.get(9).and_then(|field| field.parse().ok());
        sectors += written.unwrap_or(0);
    }
    sectors * SECTOR_BYTES
}

fn is_whole_disk(name: &str) -> bool {
    if name.starts_with("nvme") {
        return !name.contains('p');
    }
    let known = ["sd", "vd", "xvd", "hd"]
        .iter()
        .any(|kind| name.starts_with(kind));
    known && !name.ends_with(|c: char| c.is_ascii_digit())
}

/// A field such as `VmRSS:  123 kB`, in bytes.
fn kib_field(text: &str, name: &str) -> Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let line = line.ok_or_else(|| anyhow!("no {name} line"))?;
    let kib: u64 = line
        .trim()
        .trim_end_matches("kB")
        .trim()
        .parse()
        .with_context(|| name.to_owned())?;
    Ok(kib << 10)
}

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("read {path}"))
}

#[cfg(test)]
#[path = "procfs_test.rs"]
mod tests;
