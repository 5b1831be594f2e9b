use std::path::PathBuf;

use thalweg_storage::disk::{CrashPoint, SimulatedDisk};

use super::*;

fn wal_file(disk: &dyn Disk, name: &str, len: usize) -> PathBuf {
    let directory = Path::new("/data/wal");
    disk.create_dir_all(directory).unwrap();
    let path = directory.join(name);
    let file = disk.open(&path, OpenMode::CreateNew).unwrap();
    file.write_all_at(&vec![1; len], 0).unwrap();
    path
}

#[test]
fn reads_of_the_write_ahead_log_are_counted_until_it_is_over() {
    let inner = SimulatedDisk::new();
    let path = wal_file(&inner, "1.wal", 10_000);
    wal_file(&inner, "2.wal", 5_000);
    wal_file(&inner, "notes.txt", 700);
    let progress = Arc::new(RecoveryProgress::default());
    let disk = WatchedDisk::new(Arc::new(inner), Path::new("/data"), progress.clone());
    assert_eq!((progress.wal_read_bytes(), progress.wal_bytes()), (0, 15_000));
    let mut buffer = vec![0; 6_000];
    let file = disk.open(&path, OpenMode::Read).unwrap();
    file.read_exact_at(&mut buffer, 0).unwrap();
    assert_eq!(progress.wal_read_bytes(), 6_000);
    let other = disk
        .open(Path::new("/data/wal/notes.txt"), OpenMode::Read)
        .unwrap();
    other.read_exact_at(&mut buffer[..700], 0).unwrap();
    assert_eq!(progress.wal_read_bytes(), 6_000, "no file of the log");
    for _ in 0..3 {
        file.read_exact_at(&mut buffer, 0).unwrap();
    }
    assert_eq!(
        progress.wal_read_bytes(),
        15_000,
        "no more than there is, though some was read again"
    );
    assert!(!progress.is_over());
    progress.finish();
    let took = progress.duration();
    assert!(progress.is_over());
    assert_eq!(progress.duration(), took, "the clock stands");
}

#[test]
fn a_new_data_directory_has_nothing_to_read() {
    let progress = Arc::new(RecoveryProgress::default());
    let disk = WatchedDisk::new(
        Arc::new(SimulatedDisk::new()),
        Path::new("/data"),
        progress.clone(),
    );
    assert_eq!((progress.wal_read_bytes(), progress.wal_bytes()), (0, 0));
    let path = wal_file(&disk, "1.wal", 4096);
    assert_eq!(disk.file_len(&path).unwrap(), Some(4096));
}

#[test]
fn crash_points_reach_the_disk_below() {
    let inner = SimulatedDisk::new();
    let progress = Arc::default();
    let disk = WatchedDisk::new(Arc::new(inner.clone()), Path::new("/data"), progress);
    disk.reached(CrashPoint::WalGroupDurable);
    assert_eq!(inner.reached_counts(), [(CrashPoint::WalGroupDurable, 1)].into());
}
