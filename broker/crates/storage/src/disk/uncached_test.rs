use super::super::{DirEntry, DiskLock, DiskSpace, Fault, RealDisk, SimulatedDisk, is_disk_full, read_file};
use super::*;
use parking_lot::Mutex;
use std::path::PathBuf;

/// Bytes that differ from block to block.
fn pattern(seed: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| (at / 7 + at / 4099 + seed) as u8).collect()
}

/// Pieces of uneven lengths.
fn parts(bytes: &[u8]) -> Vec<Bytes> {
    let cut = |index: usize| 1 + (index * 7919) % 5000;
    let (mut rest, mut out) = (bytes, Vec::new());
    while !rest.is_empty() {
        let (part, left) = rest.split_at(cut(out.len()).min(rest.len()));
        out.push(Bytes::copy_from_slice(part));
        rest = left;
    }
    out
}

fn new_file(disk: &dyn Disk, directory: &Path) -> (PathBuf, Arc<dyn DiskFile>) {
    disk.create_dir_all(directory).unwrap();
    let path = directory.join("segment");
    let file = disk.open(&path, OpenMode::Create).unwrap();
    (path, file)
}

/// Lengths of writes, one behind the other: within a block, to its end, over many, small again.
const WRITES: [usize; 9] = [
    100,
    3_996,
    70_000,
    4_096,
    131_072,
    1,
    3_300_000,
    50,
    65_536 + 4_095,
];

fn write_all(disk: &dyn Disk, directory: &Path, bytes_min: usize) {
    let (path, file) = new_file(disk, directory);
    let pool = Arc::default();
    let mut writer = UncachedWriter::new(file, bytes_min);
    let (mut position, mut expected) = (0, Vec::new());
    for (index, len) in WRITES.into_iter().enumerate() {
        let bytes = pattern(index, len);
        let place = WritePlace {
            disk,
            path: &path,
            pool: &pool,
        };
        assert_eq!(writer.write(place, &parts(&bytes), position).unwrap(), len as u64);
        position += len as u64;
        expected.extend_from_slice(&bytes);
        // What is read through the page cache is what was written past it.
        assert!(
            read_file(disk, &path, 1 << 30).unwrap() == expected,
            "after write {index}"
        );
    }
    writer.file().sync_data().unwrap();
    assert!(read_file(disk, &path, 1 << 30).unwrap() == expected);
}

#[test]
fn writes_of_any_length_and_place_give_the_same_file_by_either_way() {
    let directory = tempfile::tempdir().unwrap();
    for (index, bytes_min) in [0, 1, 64 << 10, 1 << 20].into_iter().enumerate() {
        write_all(&RealDisk, &directory.path().join(index.to_string()), bytes_min);
        write_all(&SimulatedDisk::new(), Path::new("/data"), bytes_min);
        let refusing = SimulatedDisk::new().without_direct_writes();
        write_all(&refusing, Path::new("/data"), bytes_min);
    }
}

#[test]
fn what_was_written_past_the_page_cache_is_durable_after_a_sync_and_not_before() {
    let write = |sync: bool| {
        let disk = SimulatedDisk::new();
        let (path, file) = new_file(&disk, Path::new("/data"));
        disk.sync_dir(Path::new("/data")).unwrap();
        let pool = Arc::default();
        let mut writer = UncachedWriter::new(file, 4096);
        let place = WritePlace {
            disk: &disk,
            path: &path,
            pool: &pool,
        };
        let bytes = pattern(1, 20_000);
        writer.write(place, &parts(&bytes), 0).unwrap();
        if sync {
            writer.file().sync_data().unwrap();
        }
        disk.crash(&mut |_| 0);
        (read_file(&disk, &path, 1 << 20).unwrap(), bytes)
    };
    let (found, bytes) = write(true);
    assert!(found == bytes);
    assert!(write(false).0.is_empty(), "the harshest disk keeps nothing of it");
}

#[test]
fn a_full_disk_is_told_and_the_same_write_succeeds_when_there_is_room() {
    for room in [0, 4_000, 4_096, 50_000] {
        let disk = SimulatedDisk::new();
        let (path, file) = new_file(&disk, Path::new("/data"));
        file.write_all_at(&pattern(0, 1_000), 0).unwrap();
        disk.set_capacity(1_000 + room);
        let pool = Arc::default();
        let mut writer = UncachedWriter::new(file, 4096);
        let place = WritePlace {
            disk: &disk,
            path: &path,
            pool: &pool,
        };
        let bytes = pattern(1, 100_000);
        let refused = writer.write(place, &parts(&bytes), 1_000).unwrap_err();
        assert!(is_disk_full(&refused), "{refused}");
        disk.set_capacity(1 << 30);
        writer.write(place, &parts(&bytes), 1_000).unwrap();
        let found = read_file(&disk, &path, 1 << 20).unwrap();
        assert!(found[..1_000] == pattern(0, 1_000) && found[1_000..] == bytes);
    }
}

#[test]
fn an_error_of_the_device_is_never_taken_for_a_refusal() {
    for call in 0..4 {
        let disk = SimulatedDisk::new();
        let (path, file) = new_file(&disk, Path::new("/data"));
        let pool = Arc::default();
        let mut writer = UncachedWriter::new(file, 4096);
        let place = WritePlace {
            disk: &disk,
            path: &path,
            pool: &pool,
        };
        disk.fail_after(call, Fault::Io);
        // Open, head, blocks, tail.
        let failed = writer.write(place, &parts(&pattern(1, 20_000)), 10).unwrap_err();
        assert_eq!(failed.raw_os_error(), Some(libc::EIO), "call {call}");
    }
}

/// A disk whose direct writes take what they are told to and no more.
#[derive(Debug)]
struct Stubborn {
    inner: SimulatedDisk,
    answers: Arc<Mutex<Vec<io::Result<usize>>>>,
}

#[derive(Debug)]
struct StubbornFile {
    inner: Arc<dyn DiskFile>,
    buffered: Arc<dyn DiskFile>,
    answers: Arc<Mutex<Vec<io::Result<usize>>>>,
}

impl Disk for Stubborn {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let inner = self.inner.open(path, mode)?;
        if mode != OpenMode::Uncached {
            return Ok(inner);
        }
        Ok(Arc::new(StubbornFile {
            inner,
            buffered: self.inner.open(path, OpenMode::ReadWrite)?,
            answers: self.answers.clone(),
        }))
    }
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.inner.create_dir_all(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_file(path)
    }
    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_dir_all(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.sync_dir(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.inner.list(path)
    }
    fn file_len(&self, path: &Path) -> io::Result<Option<u64>> {
        self.inner.file_len(path)
    }
    fn space(&self, path: &Path) -> io::Result<DiskSpace> {
        self.inner.space(path)
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        self.inner.lock(path)
    }
}

impl DiskFile for StubbornFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.inner.read_at(buffer, position)
    }
    fn write_vectored_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        let count = match self.answers.lock().pop() {
            Some(answer) => answer?.min(slices[0].len()),
            None => return self.inner.write_vectored_at(slices, position),
        };
        assert!(position.is_multiple_of(BLOCK as u64), "{position}");
        self.buffered.write_all_at(&slices[0][..count], position)?;
        Ok(count)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.inner.sync_data()
    }
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
}

#[test]
fn a_short_or_interrupted_or_refused_direct_write_is_gone_on_with() {
    let refused = || Err(io::Error::from_raw_os_error(libc::EINVAL));
    let interrupted = || Err(io::Error::from_raw_os_error(libc::EINTR));
    let all: Vec<Vec<io::Result<usize>>> = vec![
        vec![Ok(5_000)],
        vec![Ok(4_096), Ok(9_000), interrupted()],
        vec![Ok(100)],
        vec![Ok(0)],
        vec![refused()],
        vec![Ok(8_192), interrupted(), refused()],
        vec![refused(), Ok(12_289)],
    ];
    for answers in all {
        let what = format!("{answers:?}");
        let disk = Stubborn {
            inner: SimulatedDisk::new(),
            answers: Arc::new(Mutex::new(answers)),
        };
        let (path, file) = new_file(&disk, Path::new("/data"));
        let pool = Arc::default();
        let mut writer = UncachedWriter::new(file, 4096);
        let bytes = pattern(3, 40_000);
        let place = WritePlace {
            disk: &disk,
            path: &path,
            pool: &pool,
        };
        writer.write(place, &parts(&bytes), 0).unwrap();
        writer.write(place, &parts(&bytes), 40_000).unwrap();
        let found = read_file(&disk, &path, 1 << 20).unwrap();
        assert!(found[..40_000] == bytes && found[40_000..] == bytes, "{what}");
    }
}

#[test]
fn a_disk_that_fills_up_behind_a_short_direct_write_says_so() {
    let disk = Stubborn {
        inner: SimulatedDisk::new(),
        answers: Arc::new(Mutex::new(vec![
            Err(io::ErrorKind::StorageFull.into()),
            Ok(8_192),
        ])),
    };
    let (path, file) = new_file(&disk, Path::new("/data"));
    let pool = Arc::default();
    let mut writer = UncachedWriter::new(file, 4096);
    let bytes = pattern(3, 40_000);
    let place = WritePlace {
        disk: &disk,
        path: &path,
        pool: &pool,
    };
    assert!(is_disk_full(&writer.write(place, &parts(&bytes), 0).unwrap_err()));
    writer.write(place, &parts(&bytes), 0).unwrap();
    assert!(read_file(&disk, &path, 1 << 20).unwrap() == bytes);
}
