//! The floor: what the unavoidable steps of a produced byte cost on this machine, each alone, in CPU seconds per GiB.
//!
//! Receiving, one checksum, one copy, one durable write to the write-ahead log, one write to a segment. A broker that
//! does no more than that costs the sum. Thread CPU time is measured, so what the kernel does later or elsewhere
//! (writeback, interrupts) is not in it.

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};
use thalweg_storage::disk::{AlignedBuffer, Disk, OpenMode, RealDisk};
use thalweg_wire::batch::crc32c;

use crate::account::GIB;
use crate::scenario::Scale;

/// Larger than any cache, so that bytes come from memory as a socket's do.
const POOL_BYTES: usize = 128 << 20;
const STEP_BYTES: usize = 128 << 10;
const WRITE_BYTES: usize = 1 << 20;
const SEGMENT_WRITE_BYTES: usize = 256 << 10;
const FILE_BYTES: u64 = 256 << 20;

/// CPU seconds per GiB of one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What is done.
    pub name: String,
    /// What it costs.
    pub cpu_per_gib: f64,
    /// Whether it is part of the floor, or stands there to explain another step.
    pub in_sum: bool,
}

/// Measures all steps.
///
/// # Errors
/// When a socket or a file cannot be used.
pub fn measure(scale: Scale) -> Result<Vec<Step>> {
    let bytes = match scale {
        Scale::Full => 2 << 30,
        Scale::Quick => 512 << 20,
    };
    let directory = crate::ends::directory("bench-floor-")?;
    let step = |name: &str, cpu: Duration| Step {
        name: name.to_owned(),
        cpu_per_gib: cpu.as_secs_f64() / (bytes as f64 / GIB),
        in_sum: true,
    };
    let segments = segment(directory.path(), bytes)?;
    Ok(vec![
        step("receive (loopback, 64 KiB reads)", receive(bytes)?),
        step("CRC-32C", checksum(bytes)),
        step("copy", copy(bytes)),
        step(
            "WAL (1 MiB direct, durable writes)",
            wal(directory.path(), bytes)?,
        ),
        step("segment (256 KiB writes, one fdatasync)", segments.new_pages),
        // Far below the line above where the host gives a virtual machine its memory page by page: then the page
        // cache, not the file system, is what a segment costs.
        Step {
            in_sum: false,
            ..step(
                "the same over pages that the page cache holds already",
                segments.old_pages,
            )
        },
    ])
}

/// CPU time of this thread so far.
fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn pool() -> Vec<u8> {
    (0..POOL_BYTES)
        .map(|index| (index ^ (index >> 11)) as u8)
        .collect()
}

fn receive(bytes: u64) -> Result<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let sender = std::thread::spawn(move || -> std::io::Result<()> {
        let mut stream = TcpStream::connect(address)?;
        let chunk = vec![7u8; WRITE_BYTES];
        for _ in 0..bytes / WRITE_BYTES as u64 {
            stream.write_all(&chunk)?;
        }
        Ok(())
    });
    let (mut stream, _) = listener.accept()?;
    let mut buffer = vec![0u8; 64 << 10];
    let before = thread_cpu();
    while stream.read(&mut buffer)? > 0 {}
    let used = thread_cpu().saturating_sub(before);
    sender.join().map_err(|_| anyhow!("the sender failed"))??;
    Ok(used)
}

fn checksum(bytes: u64) -> Duration {
    let pool = pool();
    let before = thread_cpu();
    for index in 0..bytes as usize / STEP_BYTES {
        let at = index * STEP_BYTES % POOL_BYTES;
        black_box(crc32c(&pool[at..at + STEP_BYTES]));
    }
    thread_cpu().saturating_sub(before)
}

fn copy(bytes: u64) -> Duration {
    let pool = pool();
    // The write-ahead log's buffer is used again and again, and larger than a cache.
    let mut target = vec![0u8; 4 << 20];
    let before = thread_cpu();
    for index in 0..bytes as usize / STEP_BYTES {
        let from = index * STEP_BYTES % POOL_BYTES;
        let to = index * STEP_BYTES % target.len();
        target[to..to + STEP_BYTES].copy_from_slice(&pool[from..from + STEP_BYTES]);
        black_box(&target);
    }
    thread_cpu().saturating_sub(before)
}

/// Overwrites a file that was filled before, as the log does with its recycled files.
fn wal(directory: &Path, bytes: u64) -> Result<Duration> {
    let path = directory.join("wal");
    let mut buffer = AlignedBuffer::default();
    buffer.resize(WRITE_BYTES);
    buffer.as_mut_slice().fill(7);
    {
        let file = RealDisk.open(&path, OpenMode::Create)?;
        for position in (0..FILE_BYTES).step_by(WRITE_BYTES) {
            file.write_all_at(buffer.as_slice(), position)?;
        }
        file.sync_data()?;
    }
    let direct = RealDisk.open(&path, OpenMode::Direct);
    let direct = direct.context("the file system refuses direct writes; the log would use fdatasync")?;
    let before = thread_cpu();
    for position in (0..bytes).step_by(WRITE_BYTES) {
        direct.write_all_at(buffer.as_slice(), position % FILE_BYTES)?;
    }
    Ok(thread_cpu().saturating_sub(before))
}

struct SegmentCpu {
    new_pages: Duration,
    old_pages: Duration,
}

fn segment(directory: &Path, bytes: u64) -> Result<SegmentCpu> {
    let file = RealDisk.open(&directory.join("segment"), OpenMode::Create)?;
    let chunk = vec![7u8; SEGMENT_WRITE_BYTES];
    let pass = || -> Result<Duration> {
        let before = thread_cpu();
        for position in (0..bytes).step_by(SEGMENT_WRITE_BYTES) {
            file.write_all_at(&chunk, position)?;
        }
        file.sync_data()?;
        Ok(thread_cpu().saturating_sub(before))
    };
    Ok(SegmentCpu {
        new_pages: pass()?,
        old_pages: pass()?,
    })
}
