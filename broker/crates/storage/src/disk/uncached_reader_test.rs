use super::super::{RealDisk, SimulatedDisk};
use super::*;

const LEN: usize = 3_000_001;
const LARGE: usize = 256 << 10;

fn pattern() -> Vec<u8> {
    (0..LEN).map(|at| (at / 5 + at / 4099) as u8).collect()
}

struct Setup {
    reader: UncachedReader,
    file: Arc<dyn DiskFile>,
    path: std::path::PathBuf,
}

impl Setup {
    fn new(disk: Arc<dyn Disk>, directory: &Path, bytes_min: usize) -> Self {
        disk.create_dir_all(directory).unwrap();
        let path = directory.join("segment");
        let file = disk.open(&path, OpenMode::Create).unwrap();
        file.write_all_at(&pattern(), 0).unwrap();
        Self {
            reader: UncachedReader::new(disk, Arc::default(), bytes_min),
            file,
            path,
        }
    }

    fn read(&self, len: usize, position: u64) -> io::Result<Bytes> {
        self.reader.read(&*self.file, &self.path, len, position)
    }
}

#[test]
fn a_read_gives_the_same_bytes_by_either_way() {
    let directory = tempfile::tempdir().unwrap();
    let expected = pattern();
    let disks: [(Arc<dyn Disk>, &Path); 3] = [
        (Arc::new(RealDisk), directory.path()),
        (Arc::new(SimulatedDisk::new()), Path::new("/data")),
        (
            Arc::new(SimulatedDisk::new().without_direct_writes()),
            Path::new("/data"),
        ),
    ];
    for (disk, path) in disks {
        for bytes_min in [0, 1, LARGE] {
            let setup = Setup::new(disk.clone(), path, bytes_min);
            for (len, position) in [
                (LARGE, 0),
                (LARGE, 4096),
                (1_000_000, 777),
                (LEN, 0),
                (LEN - 1, 1),
                (10, 4090),
                (1, LEN - 1),
                (LARGE, LEN - LARGE),
            ] {
                // Twice: past the page cache, and through it.
                for _ in 0..2 {
                    let found = setup.read(len, position as u64).unwrap();
                    assert!(found == expected[position..position + len], "{len} at {position}");
                }
            }
        }
    }
}

#[test]
fn a_read_past_the_end_of_the_file_is_refused() {
    let setup = Setup::new(Arc::new(SimulatedDisk::new()), Path::new("/data"), LARGE);
    for position in [0, 1, LEN - LARGE + 1, LEN - 1, LEN, LEN + 1, 10 * LEN] {
        let error = setup.read(LEN.max(LARGE), position as u64 + 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{position}");
    }
}

#[test]
fn what_one_reader_reads_on_and_on_passes_by_the_page_cache_and_what_a_second_one_reads_does_not() {
    let setup = Setup::new(Arc::new(SimulatedDisk::new()), Path::new("/data"), LARGE);
    let scan = || {
        let mut position = 0;
        let mut cached = 0;
        while position + LARGE < LEN {
            cached += usize::from(setup.reader.was_read(&setup.path, LARGE, position as u64));
            // The last batch of a read is cut off and read again.
            position += LARGE - 16_000;
        }
        cached
    };
    assert_eq!(scan(), 0);
    assert!(scan() >= 8);
    let other = Path::new("/data/other");
    assert!(!setup.reader.was_read(other, LARGE, 0));
}

#[test]
fn a_file_that_lost_its_name_is_read_all_the_same() {
    let disk = SimulatedDisk::new();
    let setup = Setup::new(Arc::new(disk.clone()), Path::new("/data"), LARGE);
    disk.sync_dir(Path::new("/data")).unwrap();
    disk.rename(&setup.path, Path::new("/data/segment.deleted"))
        .unwrap();
    assert!(setup.read(LARGE, 0).unwrap() == pattern()[..LARGE]);
}
