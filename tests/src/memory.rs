//! What a process holds: memory and descriptors, as Linux tells in `/proc`.

/// Memory of a process, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// In memory now.
    pub resident: u64,
    /// The most that was in memory at once.
    pub resident_peak: u64,
    /// The most address space there was; grows with what is reserved and never used, too.
    pub reserved_peak: u64,
}

/// Looks at a process.
///
/// # Panics
/// When the process is gone, or the system is not Linux.
#[track_caller]
pub fn of(pid: u32) -> Memory {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("read {path}: {error}"));
    parse(&text)
}

fn parse(text: &str) -> Memory {
    let bytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|rest| rest.trim_end_matches("kB").trim().parse::<u64>().ok());
        number.unwrap_or(0) * 1024
    };
    Memory {
        resident: bytes("VmRSS:"),
        resident_peak: bytes("VmHWM:"),
        reserved_peak: bytes("VmPeak:"),
    }
}

/// How many descriptors a process has open.
pub fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// Bytes as mebibytes, for a line that people read.
pub fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
#[path = "memory_test.rs"]
mod tests;
