//! What one side's work cost: an account is opened before the load and closed when nothing of it is left to do.
//!
//! Closing waits until the broker has come to rest, asks the kernel to write everything back and waits for that, so
//! that work which a side puts off is in its own account and not in the next one's. The machine's busy time is there
//! because the kernel works for a broker outside its process (writeback, interrupts).
//!
//! Invariant: the load generators are children of this program that have ended when the account is closed; else their
//! work would look like the broker's.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use thalweg_tests::wait;

use crate::figures::{Figures, names};
use crate::procfs::{self, CpuTimes, MachineSample, ProcessSample};

/// A broker is at rest when it uses less than this share of a core.
const REST_SHARE: f64 = 0.08;
/// How long the broker is looked at for that.
const REST_LOOK: Duration = Duration::from_millis(400);
/// How long to wait for rest. A broker that never rests is charged for what it did until then.
const REST_WAIT: Duration = Duration::from_secs(10);
/// What may stay unwritten: other programs dirty pages all the time.
const UNWRITTEN_MAX: u64 = 16 << 20;
/// How long to wait for writeback after the sync, which has written what was dirty before it.
const WRITEBACK_WAIT: Duration = Duration::from_secs(5);

/// One GiB.
pub const GIB: f64 = (1u64 << 30) as f64;
const MIB: f64 = (1u64 << 20) as f64;

/// An open account.
#[derive(Debug)]
pub struct Account {
    pid: u32,
    others: Vec<u32>,
    began: Instant,
    before: Look,
}

/// What an account came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Costs {
    /// From opening to closing.
    pub elapsed: Duration,
    /// CPU time of the broker's process.
    pub broker: Duration,
    /// Busy time of the machine less the generators, the other brokers and this program.
    pub machine: Duration,
    /// CPU time of the load generators.
    pub generators: Duration,
    /// CPU time of the broker by group of threads, those that ended apart.
    pub threads: BTreeMap<String, Duration>,
    /// Bytes the broker had written.
    pub written_bytes: u64,
    /// Bytes all disks wrote.
    pub device_bytes: u64,
    /// The broker at the end.
    pub last: ProcessSample,
}

#[derive(Clone, Debug)]
struct Look {
    process: ProcessSample,
    machine: MachineSample,
    own: CpuTimes,
    others: Duration,
}

impl Look {
    fn take(pid: u32, others: &[u32]) -> Result<Look> {
        let others = others
            .iter()
            .map(|other| procfs::cpu_times(*other).map(|times| times.own))
            .sum::<Result<Duration>>()?;
        Ok(Look {
            process: ProcessSample::take(pid)?,
            machine: MachineSample::take()?,
            own: procfs::cpu_times(std::process::id())?,
            others,
        })
    }
}

impl Account {
    /// Opens the account of the broker `pid`; `others` are brokers that run beside it and are not meant.
    ///
    /// Waits for rest and writes back what is dirty first.
    ///
    /// # Errors
    /// When a process does not run.
    pub fn open(pid: u32, others: &[u32], data: &Path) -> Result<Account> {
        settle(pid, data)?;
        procfs::reset_peak(pid);
        Ok(Account {
            pid,
            others: others.to_vec(),
            began: Instant::now(),
            before: Look::take(pid, others)?,
        })
    }

    /// Closes the account, when the generators have ended.
    ///
    /// # Errors
    /// When a process does not run any more.
    pub fn close(self, data: &Path) -> Result<Costs> {
        settle(self.pid, data)?;
        let after = Look::take(self.pid, &self.others)?;
        Ok(charge(&self.before, after, self.began.elapsed()))
    }
}

fn charge(before: &Look, after: Look, elapsed: Duration) -> Costs {
    let less = |after: Duration, before: Duration| after.saturating_sub(before);
    let broker = less(after.process.cpu, before.process.cpu);
    let generators = less(after.own.children, before.own.children);
    let own = less(after.own.own, before.own.own);
    let others = less(after.others, before.others);
    let busy = less(after.machine.busy, before.machine.busy);
    let mut threads = BTreeMap::new();
    for (name, cpu) in &after.process.threads {
        let earlier = before.process.threads.get(name).copied().unwrap_or_default();
        threads.insert(name.clone(), less(*cpu, earlier));
    }
    let living: Duration = threads.values().sum();
    threads.insert("(ended)".to_owned(), less(broker, living));
    Costs {
        elapsed,
        broker,
        machine: less(busy, generators + own + others),
        generators,
        threads,
        written_bytes: after
            .process
            .written_bytes
            .saturating_sub(before.process.written_bytes),
        device_bytes: after
            .machine
            .written_bytes
            .saturating_sub(before.machine.written_bytes),
        last: after.process,
    }
}

impl Costs {
    /// The figures for a load of `bytes` payload in `records` records and, if known, `requests` requests.
    pub fn figures(&self, bytes: f64, records: f64, requests: Option<f64>) -> Figures {
        let mut figures = Figures::new();
        let gib = bytes / GIB;
        let mut note = |name: &str, value: f64| {
            if value.is_finite() {
                figures.insert(name.to_owned(), value);
            }
        };
        note(names::CPU, self.broker.as_secs_f64() / gib);
        note(names::MACHINE, self.machine.as_secs_f64() / gib);
        note(names::GENERATOR, self.generators.as_secs_f64() / gib);
        note(names::CPU_RECORD, self.broker.as_secs_f64() / records * 1e6);
        if let Some(requests) = requests {
            note(names::CPU_REQUEST, self.broker.as_secs_f64() / requests * 1e6);
        }
        note(names::DISK, self.written_bytes as f64 / bytes);
        note(names::DEVICE, self.device_bytes as f64 / bytes);
        for (group, cpu) in &self.threads {
            let share = cpu.as_secs_f64() / gib;
            if share >= 0.005 {
                note(&format!("{}{group}", names::THREAD), share);
            }
        }
        figures.extend(memory(&self.last));
        figures
    }
}

/// Memory and descriptors of a broker.
pub fn memory(sample: &ProcessSample) -> Figures {
    Figures::from([
        (names::RESIDENT.to_owned(), sample.resident_bytes as f64 / MIB),
        (
            names::RESIDENT_PEAK.to_owned(),
            sample.resident_peak_bytes as f64 / MIB,
        ),
        (names::DESCRIPTORS.to_owned(), sample.descriptors as f64),
    ])
}

/// Waits until the broker rests and what it wrote is on the disk below `data`.
///
/// # Errors
/// When the broker does not run.
pub fn settle(pid: u32, data: &Path) -> Result<()> {
    rest(pid)?;
    let directory = File::open(data).with_context(|| format!("open {}", data.display()))?;
    rustix::fs::syncfs(&directory).with_context(|| format!("sync the file system of {}", data.display()))?;
    // Not an error when it does not come true: others may write all the time.
    let _ = wait::poll(WRITEBACK_WAIT, || {
        let unwritten = procfs::unwritten_bytes().ok()?;
        (unwritten <= UNWRITTEN_MAX).then_some(())
    });
    Ok(())
}

fn rest(pid: u32) -> Result<()> {
    let deadline = Instant::now() + REST_WAIT;
    let mut last = procfs::cpu_times(pid)?.own;
    while Instant::now() < deadline {
        let began = Instant::now();
        std::thread::sleep(REST_LOOK);
        let now = procfs::cpu_times(pid)?.own;
        let share = now.saturating_sub(last).as_secs_f64() / began.elapsed().as_secs_f64();
        if share < REST_SHARE {
            return Ok(());
        }
        last = now;
    }
    Ok(())
}

#[cfg(test)]
#[path = "account_test.rs"]
mod tests;
