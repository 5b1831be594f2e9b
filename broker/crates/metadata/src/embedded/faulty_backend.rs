//! A disk in memory for tests: forgets what was not flushed, fails when told to, runs full.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use redb::StorageBackend;

const SECTOR: usize = 512;
const BLOCK: u64 = 4096;

/// One thing that was done to the disk.
#[derive(Clone, Debug)]
pub(crate) enum Done {
    SetLen(u64),
    Write(u64, Vec<u8>),
    Sync,
}

/// What a failing call answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// Number of the call that fails, from 0.
    pub(crate) call: u64,
    pub(crate) kind: io::ErrorKind,
}

#[derive(Debug, Default)]
struct Disk {
    bytes: Vec<u8>,
    history: Vec<Done>,
    calls: u64,
    fault: Option<Fault>,
    /// Blocks that can be written at most; growing alone takes none.
    blocks_max: Option<usize>,
    /// Bytes the file can be long at most.
    len_max: Option<u64>,
    blocks: BTreeSet<u64>,
    closes: u32,
}

/// The disk; clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct FaultyBackend {
    disk: Arc<Mutex<Disk>>,
}

impl FaultyBackend {
    /// Returns a disk that holds these bytes.
    pub(crate) fn with_bytes(bytes: Vec<u8>) -> Self {
        let blocks = (0..(bytes.len() as u64).div_ceil(BLOCK)).collect();
        Self {
            disk: Arc::new(Mutex::new(Disk {
                bytes,
                blocks,
                ..Disk::default()
            })),
        }
    }

    /// Returns what a reader of the file would see now.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.disk.lock().bytes.clone()
    }

    /// Returns how many calls were made.
    pub(crate) fn calls(&self) -> u64 {
        self.disk.lock().calls
    }

    /// Returns how many writes, growths and flushes were done.
    pub(crate) fn done(&self) -> usize {
        self.disk.lock().history.len()
    }

    /// Returns everything that was done so far.
    pub(crate) fn history(&self) -> Vec<Done> {
        self.disk.lock().history.clone()
    }

    /// Returns how often the file was given back.
    pub(crate) fn closes(&self) -> u32 {
        self.disk.lock().closes
    }

    /// Lets one later call fail, once.
    pub(crate) fn set_fault(&self, fault: Option<Fault>) {
        self.disk.lock().fault = fault;
    }

    /// Changes a byte behind everybody's back.
    pub(crate) fn flip(&self, at: usize) {
        self.disk.lock().bytes[at] ^= 0xff;
    }

    /// Limits the file's length.
    pub(crate) fn set_len_max(&self, len_max: Option<u64>) {
        self.disk.lock().len_max = len_max;
    }

    /// Limits the blocks the file may take to those it has and `more`.
    pub(crate) fn allow_more_blocks(&self, more: Option<usize>) {
        let mut disk = self.disk.lock();
        disk.blocks_max = more.map(|more| disk.blocks.len() + more);
    }
}

impl Disk {
    fn call(&mut self) -> io::Result<()> {
        let call = self.calls;
        self.calls += 1;
        match self.fault {
            Some(fault) if fault.call == call => Err(io::Error::new(fault.kind, "injected")),
            _ => Ok(()),
        }
    }
}

impl StorageBackend for FaultyBackend {
    fn len(&self) -> io::Result<u64> {
        let mut disk = self.disk.lock();
        disk.call()?;
        Ok(disk.bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.call()?;
        let offset = offset as usize;
        match disk.bytes.get(offset..offset + out.len()) {
            Some(bytes) => {
                out.copy_from_slice(bytes);
                Ok(())
            }
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.call()?;
        if disk.len_max.is_some_and(|len_max| len > len_max) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        disk.bytes.resize(len as usize, 0);
        disk.blocks.split_off(&len.div_ceil(BLOCK));
        disk.history.push(Done::SetLen(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.call()?;
        disk.history.push(Done::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.call()?;
        let end = offset + data.len() as u64;
        let touched: Vec<u64> = (offset / BLOCK..end.div_ceil(BLOCK)).collect();
        let new = touched
            .iter()
            .filter(|block| !disk.blocks.contains(block))
            .count();
        if disk
            .blocks_max
            .is_some_and(|most| new > 0 && disk.blocks.len() + new > most)
        {
            return Err(io::ErrorKind::StorageFull.into());
        }
        disk.blocks.extend(touched);
        apply(&mut disk.bytes, &Done::Write(offset, data.to_vec()));
        disk.history.push(Done::Write(offset, data.to_vec()));
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.disk.lock().closes += 1;
        Ok(())
    }
}

fn apply(bytes: &mut Vec<u8>, done: &Done) {
    match done {
        Done::SetLen(len) => bytes.resize(*len as usize, 0),
        Done::Write(offset, data) => {
            let (start, end) = (*offset as usize, *offset as usize + data.len());
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[start..end].copy_from_slice(data);
        }
        Done::Sync => {}
    }
}

/// Which unflushed writes a power cut leaves.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    /// All of them: the process was killed, the machine lives.
    KeepAll,
    /// None of them.
    KeepNone,
    /// Any of them, some of them torn between sectors, by this seed.
    Random(u64),
}

/// Returns the file after a cut behind the first `done` things of a history.
pub(crate) fn cut(history: &[Done], done: usize, cut: Cut) -> Vec<u8> {
    let history = &history[..done];
    let flushed = history
        .iter()
        .rposition(|done| matches!(done, Done::Sync))
        .map_or(0, |at| at + 1);
    let mut bytes = Vec::new();
    history[..flushed].iter().for_each(|done| apply(&mut bytes, done));
    let rest = &history[flushed..];
    match cut {
        Cut::KeepNone => {}
        Cut::KeepAll => rest.iter().for_each(|done| apply(&mut bytes, done)),
        Cut::Random(seed) => {
            let mut random = StdRng::seed_from_u64(seed);
            for done in rest {
                match done {
                    Done::Write(offset, data) if random.random_bool(0.3) => {
                        // Sectors reach the platter one by one, in any order.
                        for (index, sector) in data.chunks(SECTOR).enumerate() {
                            if random.random_bool(0.5) {
                                let at = offset + (index * SECTOR) as u64;
                                if at + sector.len() as u64 <= bytes.len() as u64 {
                                    apply(&mut bytes, &Done::Write(at, sector.to_vec()));
                                }
                            }
                        }
                    }
                    Done::Write(offset, data) if offset + data.len() as u64 > bytes.len() as u64 => {}
                    done if random.random_bool(0.5) => apply(&mut bytes, done),
                    _ => {}
                }
            }
        }
    }
    bytes
}
