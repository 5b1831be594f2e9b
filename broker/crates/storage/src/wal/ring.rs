//! The write-ahead log as a ring of preallocated files on a local disk.
//!
//! Files are zero-filled once and recycled for ever, so that a write never changes a file's size or extents.
//! Groups go to the disk one at a time, in aligned direct writes of at most 1 MiB that are durable when they
//! return; where direct writes are refused, by a buffered write and one `fdatasync`. Because at most one group
//! is under way, an invalid group that a valid later one follows is damage, not a torn tail.
//!
//! A file starts with one block: its number in the log, the slot it starts with, the log's incarnation. Old
//! groups in a recycled block have lower slots, another log's groups another incarnation; neither is taken
//! for a group of the present.

use super::group::{self, GroupError};
use super::ring_file::{
    FILE_HEADER_LEN, FILE_VERSION, FileHeader, FileHeaderState, WRITE_BYTES_MAX, WriteDurability, file_name,
    fill_file, number_of, open_writer, write_durably, write_header,
};
use super::{
    Incarnation, ReplayedGroup, SealedGroup, SinkError, SinkLimits, Slot, WalLocation, WalOpenError, WalSink,
    WalUsage,
};
use crate::disk::{AlignedBuffer, BLOCK, Disk, DiskFile, OpenMode, is_disk_full};
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const SPARE_BUFFERS: usize = 2;
/// A sealed group's buffer is kept for the next group up to this size.
const SPARE_BUFFER_BYTES_MAX: usize = 8 << 20;

/// Sizes of a ring.
#[derive(Clone, Copy, Debug)]
pub struct RingConfig {
    /// Bytes of one file; a multiple of [`BLOCK`].
    pub file_bytes: u64,
    /// Bytes of all files together; at least two files' worth.
    pub max_bytes: u64,
    /// A group is sealed at about this many bytes.
    pub group_bytes_max: usize,
}

/// A ring that was opened but not replayed yet.
#[derive(Debug)]
pub struct RingOpener {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    incarnation: Incarnation,
    config: RingConfig,
    /// Files with a valid header of this log, by their number.
    live: BTreeMap<u64, FoundFile>,
    /// Files without one: new, or recycled in a write that a crash cut.
    blank: Vec<PathBuf>,
}

#[derive(Clone, Debug)]
struct FoundFile {
    path: PathBuf,
    first_slot: Slot,
    len: u64,
}

/// The ring, ready for appends.
#[derive(Debug)]
pub struct RingSink {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    incarnation: Incarnation,
    config: RingConfig,
    state: Mutex<RingState>,
    room: Condvar,
}

#[derive(Debug)]
struct RingState {
    active: ActiveFile,
    /// Files written full, oldest first.
    full: VecDeque<FullFile>,
    free: Vec<PathBuf>,
    file_count: usize,
    next_name: u64,
    readers: BTreeMap<u64, Arc<dyn DiskFile>>,
    durable: VecDeque<Slot>,
    spare: Vec<AlignedBuffer>,
    trimmed_to: Slot,
    closed: bool,
}

#[derive(Debug)]
struct FullFile {
    number: u64,
    path: PathBuf,
    last_slot: Slot,
    len: u64,
}

#[derive(Clone, Debug)]
struct ActiveFile {
    number: u64,
    path: PathBuf,
    writer: Arc<dyn DiskFile>,
    durability: WriteDurability,
    position: u64,
    len: u64,
    /// The last slot written; the one before the file's first while it is empty.
    last_slot: Option<Slot>,
}

/// Reads groups while the ring is being replayed.
#[derive(Debug)]
pub struct RingReader {
    disk: Arc<dyn Disk>,
    files: BTreeMap<u64, PathBuf>,
}

impl RingReader {
    /// Reads bytes of a group that replay has seen.
    ///
    /// # Errors
    /// `NotFound` for a file that replay does not read; otherwise as the disk says.
    pub fn read(&self, location: WalLocation, len: usize) -> io::Result<Bytes> {
        let path = self.files.get(&location.file).ok_or(io::ErrorKind::NotFound)?;
        let mut buffer = vec![0; len];
        self.disk
            .open(path, OpenMode::Read)?
            .read_exact_at(&mut buffer, location.position)?;
        Ok(buffer.into())
    }
}

/// What replay leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayEnd {
    /// The next slot to write.
    pub next_slot: Slot,
    /// Header CRC of the last group, 0 when there is none.
    pub last_crc: u32,
    /// Groups given to the visitor.
    pub groups: u64,
    /// Bytes of those groups.
    pub bytes: u64,
}

/// Where a replay starts and how far it must reach.
#[derive(Clone, Copy, Debug)]
pub struct ReplayRange {
    /// Groups below this slot are covered elsewhere and skipped.
    pub from: Slot,
    /// All slots below this one are known to have been durable: a log that ends before is damaged.
    pub durable_before: Option<Slot>,
}

impl RingOpener {
    /// Looks at the files in `directory`, creating it when it is not there.
    ///
    /// # Errors
    /// [`WalOpenError::Foreign`] for a file of another log, [`WalOpenError::NewerVersion`], or the disk's.
    pub fn open(
        disk: Arc<dyn Disk>,
        directory: &Path,
        incarnation: Incarnation,
        config: RingConfig,
    ) -> Result<Self, WalOpenError> {
        let io = |source| WalOpenError::Io {
            path: directory.to_owned(),
            source,
        };
        disk.create_dir_all(directory).map_err(io)?;
        let mut opener = Self {
            disk: disk.clone(),
            directory: directory.to_owned(),
            incarnation,
            config,
            live: BTreeMap::new(),
            blank: Vec::new(),
        };
        let mut names: Vec<String> = disk
            .list(directory)
            .map_err(io)?
            .into_iter()
            .map(|e| e.name)
            .collect();
        names.sort();
        for name in names.iter().filter(|name| name.ends_with(".wal")) {
            opener.look_at(&directory.join(name))?;
        }
        Ok(opener)
    }

    /// Returns a reader of the files that replay will read.
    #[must_use]
    pub fn reader(&self) -> RingReader {
        let files = self
            .live
            .iter()
            .map(|(number, file)| (*number, file.path.clone()))
            .collect();
        RingReader {
            disk: self.disk.clone(),
            files,
        }
    }

    fn look_at(&mut self, path: &Path) -> Result<(), WalOpenError> {
        let io = |source| WalOpenError::Io {
            path: path.to_owned(),
            source,
        };
        let file = self.disk.open(path, OpenMode::Read).map_err(io)?;
        let len = file.len().map_err(io)?;
        let mut block = [0; FILE_HEADER_LEN];
        if len < BLOCK as u64 || file.read_exact_at(&mut block, 0).is_err() {
            self.blank.push(path.to_owned());
            return Ok(());
        }
        match FileHeader::decode(&block) {
            FileHeaderState::Valid(header) if header.incarnation != self.incarnation => {
                Err(WalOpenError::Foreign {
                    path: path.to_owned(),
                    found: format!("log {:02x?}", header.incarnation.0),
                    expected: format!("log {:02x?}", self.incarnation.0),
                })
            }
            FileHeaderState::Valid(header) => {
                let found = FoundFile {
                    path: path.to_owned(),
                    first_slot: header.first_slot,
                    len,
                };
                self.live.insert(header.number, found);
                Ok(())
            }
            FileHeaderState::Newer(found) => Err(WalOpenError::NewerVersion {
                path: path.to_owned(),
                found,
                supported: FILE_VERSION,
            }),
            FileHeaderState::Invalid => {
                self.blank.push(path.to_owned());
                Ok(())
            }
        }
    }

    /// Gives every group from `range.from` on to `visit`, in order, and opens the ring for appends.
    ///
    /// Stops at the first invalid group. Writes nothing but, for a new log, the first file.
    ///
    /// # Errors
    /// [`WalOpenError::Corrupt`] when a valid later group follows the invalid one, [`WalOpenError::Short`] when
    /// the log ends before `range.durable_before`, [`WalOpenError::Refused`] with the visitor's reason, or the
    /// disk's.
    pub fn replay(
        mut self,
        range: ReplayRange,
        visit: &mut dyn FnMut(ReplayedGroup<'_>) -> Result<(), String>,
    ) -> Result<(RingSink, ReplayEnd), WalOpenError> {
        let mut scan = Scan {
            next_slot: Slot(0),
            last_crc: None,
            end: ReplayEnd {
                next_slot: Slot(0),
                last_crc: 0,
                groups: 0,
                bytes: 0,
            },
            buffer: Vec::new(),
        };
        // Files whose groups are all covered are free; the last one that starts at or below `from` is the first used.
        let first = self
            .live
            .iter()
            .rev()
            .find(|(_, file)| file.first_slot <= range.from)
            .map(|(n, _)| *n);
        let first = match first.or_else(|| self.live.keys().next().copied()) {
            Some(first) => first,
            None => return self.start_empty(range, scan),
        };
        let later = self.live.split_off(&first);
        let covered: Vec<PathBuf> = std::mem::take(&mut self.live)
            .into_values()
            .map(|f| f.path)
            .collect();
        self.live = later;
        let files: Vec<(u64, FoundFile)> = self.live.clone().into_iter().collect();
        scan.next_slot = files[0].1.first_slot;
        if scan.next_slot > range.from {
            return Err(WalOpenError::Short {
                path: self.directory.clone(),
                found: range.from,
                expected: scan.next_slot,
                evidence: "the oldest file starts above the recovery point",
            });
        }
        let mut full = VecDeque::new();
        let mut position = BLOCK as u64;
        for (index, (number, file)) in files.iter().enumerate() {
            if file.first_slot != scan.next_slot {
                let (previous, stop) = (&files[index.saturating_sub(1)], position);
                return Err(WalOpenError::Corrupt {
                    path: previous.1.path.clone(),
                    position: stop,
                    slot: scan.next_slot,
                    what: "the group is not there or damaged".into(),
                    later_path: file.path.clone(),
                    later_position: BLOCK as u64,
                    later_slot: file.first_slot,
                });
            }
            if index > 0 {
                let (before, found) = &files[index - 1];
                let last_slot = Slot(scan.next_slot.0.saturating_sub(1));
                full.push_back(FullFile {
                    number: *before,
                    path: found.path.clone(),
                    last_slot,
                    len: found.len,
                });
            }
            position = self.scan_file(*number, file, range, &mut scan, visit)?;
        }
        let (number, last) = files.last().expect("checked above: at least one file").clone();
        self.refuse_later_groups(&last, position, &covered, scan.next_slot, &mut scan.buffer)?;
        let next_slot = scan.next_slot;
        if let Some(expected) = range.durable_before.filter(|expected| next_slot < *expected) {
            let evidence = "the metadata names the end of the log";
            return Err(WalOpenError::Short {
                path: self.directory,
                found: next_slot,
                expected,
                evidence,
            });
        }
        if next_slot < range.from {
            return Err(WalOpenError::Short {
                path: self.directory,
                found: next_slot,
                expected: range.from,
                evidence: "the recovery point lies above the end of the log",
            });
        }
        scan.end.next_slot = next_slot;
        scan.end.last_crc = scan.last_crc.unwrap_or(0);
        let end = scan.end;
        let active = OpenedFile {
            number,
            path: last.path,
            len: last.len,
            position,
        };
        Ok((self.into_sink(active, full, covered, end)?, end))
    }

    fn start_empty(self, range: ReplayRange, mut scan: Scan) -> Result<(RingSink, ReplayEnd), WalOpenError> {
        let expected = range.durable_before.unwrap_or(range.from).max(range.from);
        if expected > Slot(0) {
            let (path, evidence) = (self.directory, "the metadata names the end of the log");
            return Err(WalOpenError::Short {
                path,
                found: Slot(0),
                expected,
                evidence,
            });
        }
        for path in &self.blank {
            self.refuse_groups_in(path, 0, (path, 0, Slot(0)), &mut scan.buffer)?;
        }
        let path = match self.blank.first() {
            Some(path) => path.clone(),
            None => self.directory.join(file_name(1)),
        };
        let io = |source| WalOpenError::Io {
            path: path.clone(),
            source,
        };
        fill_file(&*self.disk, &path, self.config.file_bytes).map_err(io)?;
        self.disk.sync_dir(&self.directory).map_err(io)?;
        let header = FileHeader {
            number: 0,
            first_slot: Slot(0),
            incarnation: self.incarnation,
        };
        let (writer, durability) = open_writer(&*self.disk, &path).map_err(io)?;
        write_header(&*writer, durability, &header).map_err(io)?;
        let active = OpenedFile {
            number: 0,
            path: path.clone(),
            len: self.config.file_bytes,
            position: BLOCK as u64,
        };
        let end = scan.end;
        Ok((self.into_sink(active, VecDeque::new(), Vec::new(), end)?, end))
    }

    /// Reads one file's groups; returns the position behind the last valid one.
    fn scan_file(
        &self,
        number: u64,
        file: &FoundFile,
        range: ReplayRange,
        scan: &mut Scan,
        visit: &mut dyn FnMut(ReplayedGroup<'_>) -> Result<(), String>,
    ) -> Result<u64, WalOpenError> {
        let io = |source| WalOpenError::Io {
            path: file.path.clone(),
            source,
        };
        let reader = self.disk.open(&file.path, OpenMode::Read).map_err(io)?;
        let mut position = BLOCK as u64;
        loop {
            let found = read_group(&*reader, file.len, position, self.incarnation, &mut scan.buffer);
            let group = match found.map_err(io)? {
                Ok(group) => group,
                Err(GroupError::NewerVersion(found)) => {
                    let path = file.path.clone();
                    return Err(WalOpenError::NewerVersion {
                        path,
                        found,
                        supported: group::VERSION,
                    });
                }
                Err(_) => return Ok(position),
            };
            let chained = scan.last_crc.is_none_or(|crc| crc == group.header.previous_crc);
            if group.header.slot != scan.next_slot || !chained {
                return Ok(position);
            }
            let len = group.bytes.len();
            scan.last_crc = Some(group.header_crc);
            scan.next_slot = group.header.slot.next();
            if group.header.slot >= range.from {
                scan.end.groups += 1;
                scan.end.bytes += len as u64;
                let slot = group.header.slot;
                visit(ReplayedGroup {
                    slot,
                    location: WalLocation {
                        file: number,
                        position,
                    },
                    group,
                })
                .map_err(|what| WalOpenError::Refused { slot, what })?;
            }
            position += len.next_multiple_of(BLOCK) as u64;
        }
    }

    /// Refuses the log when a valid group at or above `next_slot` lies anywhere behind its end.
    fn refuse_later_groups(
        &self,
        last: &FoundFile,
        position: u64,
        covered: &[PathBuf],
        next_slot: Slot,
        buffer: &mut Vec<u8>,
    ) -> Result<(), WalOpenError> {
        let end = (&*last.path, position, next_slot);
        self.refuse_groups_in(&last.path, position + BLOCK as u64, end, buffer)?;
        for path in covered.iter().chain(&self.blank) {
            self.refuse_groups_in(path, 0, end, buffer)?;
        }
        Ok(())
    }

    fn refuse_groups_in(
        &self,
        path: &Path,
        from: u64,
        end: (&Path, u64, Slot),
        buffer: &mut Vec<u8>,
    ) -> Result<(), WalOpenError> {
        let io = |source| WalOpenError::Io {
            path: path.to_owned(),
            source,
        };
        let reader = self.disk.open(path, OpenMode::Read).map_err(io)?;
        let len = reader.len().map_err(io)?;
        let mut chunk = vec![0; WRITE_BYTES_MAX];
        let mut position = from;
        while position < len {
            let count = usize::try_from(len - position)
                .unwrap_or(usize::MAX)
                .min(chunk.len());
            reader.read_exact_at(&mut chunk[..count], position).map_err(io)?;
            for (index, block) in chunk[..count].chunks(BLOCK).enumerate() {
                let later = match group::decode_header(block, self.incarnation) {
                    Ok(header) if header.header.slot >= end.2 => header,
                    _ => continue,
                };
                let at = position + (index * BLOCK) as u64;
                if read_group(&*reader, len, at, self.incarnation, buffer)
                    .map_err(io)?
                    .is_ok()
                {
                    return Err(WalOpenError::Corrupt {
                        path: end.0.to_owned(),
                        position: end.1,
                        slot: end.2,
                        what: "its checksums or its place in the chain do not hold".into(),
                        later_path: path.to_owned(),
                        later_position: at,
                        later_slot: later.header.slot,
                    });
                }
            }
            position += count as u64;
        }
        Ok(())
    }

    fn into_sink(
        self,
        active: OpenedFile,
        full: VecDeque<FullFile>,
        covered: Vec<PathBuf>,
        end: ReplayEnd,
    ) -> Result<RingSink, WalOpenError> {
        let io = |source| WalOpenError::Io {
            path: active.path.clone(),
            source,
        };
        let (writer, durability) = open_writer(&*self.disk, &active.path).map_err(io)?;
        let mut readers = BTreeMap::new();
        for (number, path) in full
            .iter()
            .map(|file| (file.number, &file.path))
            .chain([(active.number, &active.path)])
        {
            readers.insert(number, self.disk.open(path, OpenMode::Read).map_err(io)?);
        }
        let blank = self.blank.into_iter().filter(|path| *path != active.path);
        let mut free = Vec::new();
        for path in covered.into_iter().chain(blank) {
            let failed = |source| WalOpenError::Io {
                path: path.clone(),
                source,
            };
            // A crash in the middle of filling a file, or another `wal.file.bytes`, leaves files of another size.
            if self.disk.file_len(&path).map_err(failed)? == Some(self.config.file_bytes) {
                free.push(path);
            } else {
                self.disk.remove_file(&path).map_err(failed)?;
            }
        }
        let file_count = free.len() + full.len() + 1;
        let names = free
            .iter()
            .chain(full.iter().map(|f| &f.path))
            .chain([&active.path]);
        let next_name = names.filter_map(|path| number_of(path)).max().unwrap_or(0) + 1;
        let trimmed_to = match full.front().or(None) {
            Some(_) => Slot(0),
            None => end.next_slot,
        };
        let state = RingState {
            active: ActiveFile {
                number: active.number,
                path: active.path,
                writer,
                durability,
                position: active.position,
                len: active.len,
                last_slot: end.next_slot.0.checked_sub(1).map(Slot),
            },
            full,
            free,
            file_count,
            next_name,
            readers,
            durable: VecDeque::new(),
            spare: Vec::new(),
            trimmed_to,
            closed: false,
        };
        Ok(RingSink {
            disk: self.disk,
            directory: self.directory,
            incarnation: self.incarnation,
            config: self.config,
            state: Mutex::new(state),
            room: Condvar::new(),
        })
    }
}

struct OpenedFile {
    number: u64,
    path: PathBuf,
    len: u64,
    position: u64,
}

struct Scan {
    next_slot: Slot,
    last_crc: Option<u32>,
    end: ReplayEnd,
    buffer: Vec<u8>,
}

/// Reads the group at a position; the inner error says that no valid one is there.
fn read_group<'a>(
    reader: &dyn DiskFile,
    file_len: u64,
    position: u64,
    incarnation: Incarnation,
    buffer: &'a mut Vec<u8>,
) -> io::Result<Result<group::DecodedGroup<'a>, GroupError>> {
    let room = file_len.saturating_sub(position);
    if room < BLOCK as u64 {
        return Ok(Err(GroupError::NoMagic));
    }
    buffer.resize(BLOCK, 0);
    reader.read_exact_at(&mut buffer[..BLOCK], position)?;
    let header = match group::decode_header(buffer, incarnation) {
        Ok(header) => header,
        Err(error) => return Ok(Err(error)),
    };
    // The claimed length is believed only as far as the file goes.
    if header.total_len as u64 > room {
        return Ok(Err(GroupError::TooShort {
            need: header.total_len,
            have: usize::try_from(room).unwrap_or(usize::MAX),
        }));
    }
    if header.total_len > BLOCK {
        buffer.resize(header.total_len, 0);
        reader.read_exact_at(&mut buffer[BLOCK..], position + BLOCK as u64)?;
    }
    Ok(group::decode_body(&header, buffer))
}

impl RingSink {
    /// Returns the directory of the files.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn files_max(&self) -> usize {
        usize::try_from(self.config.max_bytes / self.config.file_bytes)
            .unwrap_or(usize::MAX)
            .max(2)
    }

    fn fatal(path: &Path, what: &str, error: &io::Error) -> SinkError {
        SinkError::Fatal {
            file: path.display().to_string(),
            what: format!("{what}: {error}"),
        }
    }

    /// Makes the next file the active one; blocks until one is free.
    fn roll(&self, first_slot: Slot) -> Result<ActiveFile, SinkError> {
        let path = self.take_free_file()?;
        let number = self.state.lock().active.number + 1;
        let fatal = |what: &'static str| {
            let path = path.clone();
            move |error: io::Error| Self::fatal(&path, what, &error)
        };
        let (writer, durability) = open_writer(&*self.disk, &path).map_err(fatal("open"))?;
        let header = FileHeader {
            number,
            first_slot,
            incarnation: self.incarnation,
        };
        write_header(&*writer, durability, &header).map_err(fatal("write of the file header"))?;
        let reader = self.disk.open(&path, OpenMode::Read).map_err(fatal("open"))?;
        let len = reader.len().map_err(fatal("length"))?;
        let active = ActiveFile {
            number,
            path,
            writer,
            durability,
            position: BLOCK as u64,
            len,
            last_slot: first_slot.0.checked_sub(1).map(Slot),
        };
        let mut state = self.state.lock();
        state.readers.insert(number, reader);
        let old = std::mem::replace(&mut state.active, active.clone());
        state.full.push_back(FullFile {
            number: old.number,
            path: old.path,
            last_slot: old.last_slot.unwrap_or_default(),
            len: old.len,
        });
        Ok(active)
    }

    fn take_free_file(&self) -> Result<PathBuf, SinkError> {
        loop {
            {
                let mut state = self.state.lock();
                if state.closed {
                    return Err(SinkError::Closed);
                }
                if let Some(path) = state.free.pop() {
                    return Ok(path);
                }
                if state.file_count >= self.files_max() {
                    self.room.wait(&mut state);
                    continue;
                }
            }
            if !self.create_file()? {
                // The disk is full: only a trim can help.
                let mut state = self.state.lock();
                if state.free.is_empty() && !state.closed {
                    self.room
                        .wait_for(&mut state, std::time::Duration::from_millis(200));
                }
            }
        }
    }

    /// Adds a filled file to the free ones; `false` when the disk is full.
    fn create_file(&self) -> Result<bool, SinkError> {
        let path = {
            let mut state = self.state.lock();
            let number = state.next_name;
            state.next_name += 1;
            state.file_count += 1;
            self.directory.join(file_name(number))
        };
        let filled = fill_file(&*self.disk, &path, self.config.file_bytes)
            .and_then(|()| self.disk.sync_dir(&self.directory));
        let mut state = self.state.lock();
        match filled {
            Ok(()) => {
                state.free.push(path);
                self.room.notify_all();
                Ok(true)
            }
            Err(error) => {
                state.file_count -= 1;
                drop(state);
                // A half-filled file must not be taken for a whole one later.
                let removed = self.disk.remove_file(&path);
                if is_disk_full(&error) {
                    removed.map_err(|error| Self::fatal(&path, "removal", &error))?;
                    Ok(false)
                } else {
                    Err(Self::fatal(&path, "preallocation", &error))
                }
            }
        }
    }
}

impl WalSink for RingSink {
    fn limits(&self) -> SinkLimits {
        let hard = usize::try_from(self.config.file_bytes)
            .unwrap_or(usize::MAX)
            .saturating_sub(BLOCK);
        SinkLimits {
            group_bytes_max: self.config.group_bytes_max.min(hard),
            group_bytes_hard_max: hard,
            groups_in_flight_max: 1,
        }
    }

    fn buffer(&self) -> AlignedBuffer {
        self.state.lock().spare.pop().unwrap_or_default()
    }

    fn submit(&self, group: SealedGroup) -> Result<WalLocation, SinkError> {
        let len = group.buffer.as_slice().len() as u64;
        let mut active = self.state.lock().active.clone();
        if active.position + len > active.len {
            active = self.roll(group.slot)?;
        }
        if active.position + len > active.len {
            let what = format!(
                "a group of {len} bytes does not fit into a file of {} bytes",
                active.len
            );
            return Err(SinkError::Fatal {
                file: active.path.display().to_string(),
                what,
            });
        }
        write_durably(
            &*active.writer,
            active.durability,
            group.buffer.as_slice(),
            active.position,
        )
        .map_err(|error| Self::fatal(&active.path, "write", &error))?;
        let mut state = self.state.lock();
        state.active.position += len;
        state.active.last_slot = Some(group.slot);
        state.durable.push_back(group.slot);
        if state.spare.len() < SPARE_BUFFERS && group.buffer.capacity() <= SPARE_BUFFER_BYTES_MAX {
            state.spare.push(group.buffer);
        }
        Ok(WalLocation {
            file: active.number,
            position: active.position,
        })
    }

    fn wait_durable(&self) -> Result<Slot, SinkError> {
        // A submit returns when its group is durable, so there is nothing to wait for.
        self.state.lock().durable.pop_front().ok_or(SinkError::Closed)
    }

    fn read(&self, location: WalLocation, len: usize) -> io::Result<Bytes> {
        let trimmed = || io::Error::new(io::ErrorKind::NotFound, "the write-ahead log file was recycled");
        let reader = self
            .state
            .lock()
            .readers
            .get(&location.file)
            .cloned()
            .ok_or_else(trimmed)?;
        let mut buffer = vec![0; len];
        reader.read_exact_at(&mut buffer, location.position)?;
        // Recycled meanwhile: what was read may be a mixture.
        if !self.state.lock().readers.contains_key(&location.file) {
            return Err(trimmed());
        }
        Ok(buffer.into())
    }

    fn trim(&self, through: Slot) {
        let mut state = self.state.lock();
        state.trimmed_to = state.trimmed_to.max(through.next());
        while state.full.front().is_some_and(|file| file.last_slot <= through) {
            if let Some(file) = state.full.pop_front() {
                state.readers.remove(&file.number);
                if file.len == self.config.file_bytes {
                    state.free.push(file.path);
                } else if self.disk.remove_file(&file.path).is_ok() {
                    // Written under another `wal.file.bytes`; one that stays is removed by the next start.
                    state.file_count -= 1;
                }
            }
        }
        self.room.notify_all();
    }

    fn usage(&self) -> WalUsage {
        let state = self.state.lock();
        let usable = self.config.file_bytes.saturating_sub(BLOCK as u64);
        let full: u64 = state.full.iter().map(|file| file.len).sum();
        let spare_files = self.files_max().saturating_sub(state.full.len() + 1) as u64;
        WalUsage {
            used: full + state.active.position,
            capacity: self.config.file_bytes.saturating_mul(self.files_max() as u64),
            free: state.active.len.saturating_sub(state.active.position) + spare_files * usable,
            first_slot: state.trimmed_to,
            oldest_file_last_slot: state.full.front().map(|file| file.last_slot),
        }
    }

    fn prepare(&self) -> Result<(), SinkError> {
        let wanted = {
            let state = self.state.lock();
            state.free.is_empty()
                && state.file_count < self.files_max()
                && state.active.position > state.active.len / 2
                && !state.closed
        };
        if wanted {
            self.create_file()?;
        }
        Ok(())
    }

    fn close(&self) {
        self.state.lock().closed = true;
        self.room.notify_all();
    }
}

#[cfg(test)]
#[path = "ring_test.rs"]
mod tests;
