//! Opening a ring: which files belong to it, replay of its groups, and the refusal of damage.

use super::inventory::{self, Inventory, InventoryState};
use super::{ActiveFile, FoundFile, FullFile, RingConfig, RingOpener, RingSink, RingState};
use crate::disk::{BLOCK, Disk, DiskFile, OpenMode};
use crate::wal::group::{self, GroupError};
use crate::wal::ring_file::{
    FILE_HEADER_LEN, FILE_VERSION, FileHeader, FileHeaderState, WRITE_BYTES_MAX, file_name, fill_file,
    number_of, open_writer, write_header,
};
use crate::wal::{
    Growth, Incarnation, ReplayEnd, ReplayRange, ReplayedGroup, Slot, WalEnd, WalLocation, WalOpenError,
};
use parking_lot::{Condvar, Mutex};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

impl RingOpener {
    /// Looks at the files in `directory`, creating it when it is not there.
    ///
    /// # Errors
    /// [`WalOpenError::FileMissing`] and [`WalOpenError::FileDamaged`] for files that are not as the list of files
    /// says, [`WalOpenError::Foreign`] for a file of another log, [`WalOpenError::NewerVersion`], or the disk's.
    pub fn open(
        disk: Arc<dyn Disk>,
        directory: &Path,
        (incarnation, list): (Incarnation, InventoryState),
        config: RingConfig,
    ) -> Result<Self, WalOpenError> {
        let io = |source| WalOpenError::Io {
            path: directory.to_owned(),
            source,
        };
        disk.create_dir_all(directory).map_err(io)?;
        let inventory = inventory::read(&*disk, directory, incarnation, list)?;
        for (number, len) in inventory.iter().flatten() {
            check_listed(&*disk, &directory.join(file_name(*number)), *len)?;
        }
        let mut opener = Self {
            disk: disk.clone(),
            directory: directory.to_owned(),
            incarnation,
            config,
            live: BTreeMap::new(),
            blank: Vec::new(),
            inventory,
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

    fn look_at(&mut self, path: &Path) -> Result<(), WalOpenError> {
        let io = |source| WalOpenError::Io {
            path: path.to_owned(),
            source,
        };
        let file = self.disk.open(path, OpenMode::Read).map_err(io)?;
        let len = file.len().map_err(io)?;
        let mut block = [0; FILE_HEADER_LEN];
        if len < BLOCK as u64 {
            self.blank.push(path.to_owned());
            return Ok(());
        }
        // What cannot be read is not blank: acknowledged records may be in it.
        file.read_exact_at(&mut block, 0).map_err(io)?;
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
    pub(super) fn open_after_replay(
        mut self,
        range: ReplayRange,
        visit: &mut dyn FnMut(ReplayedGroup<'_>) -> Result<(), String>,
    ) -> Result<(RingSink, ReplayEnd), WalOpenError> {
        let mut scan = Scan::default();
        if let Some(end) = range.clean_end.filter(|end| end.next_slot == range.from) {
            return self.resume(end);
        }
        let Some(covered) = self.split_covered(range.from) else {
            return self.start_empty(range, scan);
        };
        let files: Vec<(u64, FoundFile)> = self.live.clone().into_iter().collect();
        scan.next_slot = files[0].1.first_slot;
        if scan.next_slot > range.from {
            return Err(WalOpenError::Short {
                path: self.suspect().unwrap_or_else(|| files[0].1.path.clone()),
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
                    what: match self.suspect() {
                        Some(path) => format!("the header of {} is damaged", path.display()),
                        None => "the group is not there or damaged".into(),
                    },
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
        // A clean stop knows its end, and nothing was written since.
        if range.clean_end.is_none_or(|end| end.next_slot != scan.next_slot) {
            self.refuse_later_groups(&last, position, scan.next_slot, &mut scan.buffer)?;
        }
        let next_slot = scan.next_slot;
        self.refuse_short(range, next_slot)?;
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

    /// Takes the files out whose groups are all below `from`: they are free. The last one that starts at or below it is
    /// the first one used. `None` when the log has no file.
    fn split_covered(&mut self, from: Slot) -> Option<Vec<PathBuf>> {
        let starts_before = |(_, file): &(&u64, &FoundFile)| file.first_slot <= from;
        let first = self.live.iter().rev().find(starts_before).map(|(n, _)| *n);
        let first = first.or_else(|| self.live.keys().next().copied())?;
        let used = self.live.split_off(&first);
        let covered = std::mem::replace(&mut self.live, used);
        Some(covered.into_values().map(|file| file.path).collect())
    }

    /// Returns a file that counts as blank and does not look like one: its header is damaged. For messages only.
    fn suspect(&self) -> Option<PathBuf> {
        let is_used = |path: &&PathBuf| {
            let mut start = [0; 2 * BLOCK];
            let read = self.disk.open(path, OpenMode::Read);
            let read = read.and_then(|file| file.read_exact_at(&mut start, 0));
            let (header, first) = start.split_at(BLOCK);
            read.is_ok()
                && (header.iter().any(|byte| *byte != 0) || first.starts_with(&group::MAGIC.to_le_bytes()))
        };
        self.blank.iter().find(is_used).cloned()
    }

    /// Refuses the log when it ends before what is known to have been durable.
    fn refuse_short(&self, range: ReplayRange, found: Slot) -> Result<(), WalOpenError> {
        let known = [
            (range.durable_before, "the metadata names the end of the log"),
            (
                Some(range.from),
                "the recovery point lies above the end of the log",
            ),
        ];
        for (expected, evidence) in known {
            if let Some(expected) = expected.filter(|expected| found < *expected) {
                let last = self.live.values().last().map(|file| file.path.clone());
                return Err(WalOpenError::Short {
                    path: self.suspect().or(last).unwrap_or_else(|| self.directory.clone()),
                    found,
                    expected,
                    evidence,
                });
            }
        }
        Ok(())
    }

    /// Goes on behind a clean stop that covered everything: no group is read.
    fn resume(mut self, end: WalEnd) -> Result<(RingSink, ReplayEnd), WalOpenError> {
        let number = end.location.file;
        let position = end.location.position;
        let found = self.live.remove(&number).filter(|file| {
            let in_file = position >= BLOCK as u64 && position <= file.len;
            file.first_slot <= end.next_slot && in_file && position.is_multiple_of(BLOCK as u64)
        });
        let Some(file) = found else {
            return Err(WalOpenError::Short {
                path: self.suspect().unwrap_or(self.directory),
                found: Slot(0),
                expected: end.next_slot,
                evidence: "the marker of the last clean stop names a place that is not there",
            });
        };
        let covered = std::mem::take(&mut self.live);
        let covered = covered.into_values().map(|file| file.path).collect();
        let active = OpenedFile {
            number,
            path: file.path,
            len: file.len,
            position,
        };
        let end = ReplayEnd {
            next_slot: end.next_slot,
            last_crc: end.last_crc,
            groups: 0,
            bytes: 0,
        };
        Ok((self.into_sink(active, VecDeque::new(), covered, end)?, end))
    }

    fn start_empty(self, range: ReplayRange, mut scan: Scan) -> Result<(RingSink, ReplayEnd), WalOpenError> {
        let expected = range.durable_before.unwrap_or(range.from).max(range.from);
        if expected > Slot(0) {
            let path = self.suspect().unwrap_or(self.directory);
            let evidence = "the metadata names the end of the log";
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
    ///
    /// Files with a valid older header cannot hold one: a file gets its new header durably before its first group.
    fn refuse_later_groups(
        &self,
        last: &FoundFile,
        position: u64,
        next_slot: Slot,
        buffer: &mut Vec<u8>,
    ) -> Result<(), WalOpenError> {
        let end = (&*last.path, position, next_slot);
        self.refuse_groups_in(&last.path, position + BLOCK as u64, end, buffer)?;
        for path in &self.blank {
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

    /// Files that are not in use: those that can be, and those of another size.
    fn sort_by_size(
        &self,
        unused: impl Iterator<Item = PathBuf>,
    ) -> Result<(Vec<PathBuf>, Vec<PathBuf>), WalOpenError> {
        let (mut free, mut unfit) = (Vec::new(), Vec::new());
        for path in unused {
            let len = self.disk.file_len(&path);
            let len = len.map_err(|source| WalOpenError::Io {
                path: path.clone(),
                source,
            })?;
            // A crash in the middle of filling a file, or another `wal.file.bytes`, leaves files of another size.
            if len == Some(self.config.file_bytes) {
                free.push(path);
            } else {
                unfit.push(path);
            }
        }
        Ok((free, unfit))
    }

    /// Writes the list of files if it is another one, then removes the files that are not in it.
    fn keep_only(&self, inventory: &Inventory, unfit: &[PathBuf]) -> Result<(), WalOpenError> {
        if self.inventory.as_ref() != Some(inventory) {
            // Names first: the list must not name what a crash takes away.
            self.disk
                .sync_dir(&self.directory)
                .and_then(|()| inventory::write(&*self.disk, &self.directory, self.incarnation, inventory))
                .map_err(|source| WalOpenError::Io {
                    path: inventory::path_in(&self.directory),
                    source,
                })?;
        }
        for path in unfit {
            self.disk.remove_file(path).map_err(|source| WalOpenError::Io {
                path: path.clone(),
                source,
            })?;
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
        let blank = self.blank.iter().filter(|path| **path != active.path);
        let unused = covered.into_iter().chain(blank.cloned());
        let (free, unfit) = self.sort_by_size(unused)?;
        let sized = free.iter().map(|path| (path, self.config.file_bytes));
        let sized = sized.chain(full.iter().map(|file| (&file.path, file.len)));
        let sized = sized.chain([(&active.path, active.len)]);
        let inventory: Inventory = sized
            .filter_map(|(path, len)| Some((number_of(path)?, len)))
            .collect();
        self.keep_only(&inventory, &unfit)?;
        let file_count = inventory.len();
        let next_name = inventory.keys().max().copied().unwrap_or(0).saturating_add(1);
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
            retired: Vec::new(),
            list_is_stale: false,
            file_count,
            next_name,
            growth: Growth::Possible,
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
            inventory: Mutex::new(inventory),
            room: Condvar::new(),
        })
    }
}

/// A file in the list was whole before the list named it.
fn check_listed(disk: &dyn Disk, path: &Path, len: u64) -> Result<(), WalOpenError> {
    let path = path.to_owned();
    match disk.file_len(&path) {
        Ok(Some(found)) if found == len => Ok(()),
        Ok(Some(found)) => Err(WalOpenError::FileDamaged {
            path,
            what: format!("it has {found} bytes, not {len}"),
        }),
        Ok(None) => Err(WalOpenError::FileMissing { path }),
        Err(source) => Err(WalOpenError::Io { path, source }),
    }
}

struct OpenedFile {
    number: u64,
    path: PathBuf,
    len: u64,
    position: u64,
}

#[derive(Default)]
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
