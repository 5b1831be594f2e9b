use super::*;
use std::path::PathBuf;

fn simulated() -> (SimulatedDisk, PathBuf) {
    let disk = SimulatedDisk::new();
    let directory = PathBuf::from("/data");
    disk.create_dir_all(&directory).unwrap();
    (disk, directory)
}

#[test]
fn a_write_without_sync_can_be_lost() {
    let (disk, directory) = simulated();
    let path = directory.join("a");
    let file = disk.open(&path, OpenMode::CreateNew).unwrap();
    disk.sync_dir(&directory).unwrap();
    file.write_all_at(b"kept", 0).unwrap();
    file.sync_data().unwrap();
    file.write_all_at(b"lost", 4).unwrap();
    disk.crash(&mut |_| 0);
    assert_eq!(read_file(&disk, &path, 100).unwrap(), b"kept");
    assert!(file.len().is_err(), "a handle from before the crash is dead");
}

#[test]
fn a_name_without_directory_sync_can_be_lost() {
    let (disk, directory) = simulated();
    let path = directory.join("a");
    disk.open(&path, OpenMode::CreateNew)
        .unwrap()
        .sync_data()
        .unwrap();
    disk.crash(&mut |_| 0);
    assert_eq!(disk.file_len(&path).unwrap(), None);
}

#[test]
fn replacing_a_file_leaves_the_old_or_the_new() {
    for crash_at in 0..12 {
        for pick in 0..3usize {
            let (disk, directory) = simulated();
            let path = directory.join("state");
            replace_file(&disk, &path, b"old").unwrap();
            disk.fail_after(crash_at, Fault::Io);
            let outcome = replace_file(&disk, &path, b"new");
            disk.crash(&mut |n| pick % n);
            let content = read_file(&disk, &path, 100).unwrap();
            assert!(content == b"old" || content == b"new", "{content:?}");
            if outcome.is_ok() {
                assert_eq!(content, b"new");
            }
        }
    }
}

#[test]
fn a_full_disk_refuses_growth_and_takes_overwrites() {
    let (disk, directory) = simulated();
    disk.set_capacity(8);
    let file = disk.open(&directory.join("a"), OpenMode::CreateNew).unwrap();
    file.write_all_at(b"12345678", 0).unwrap();
    assert!(is_disk_full(&file.write_all_at(b"9", 8).unwrap_err()));
    file.write_all_at(b"abcdefgh", 0).unwrap();
}

#[test]
fn an_aligned_buffer_is_aligned() {
    let mut buffer = AlignedBuffer::default();
    for len in [1, BLOCK, 10 * BLOCK, 3 * BLOCK] {
        buffer.resize(len);
        assert_eq!(buffer.as_slice().len(), len);
        assert_eq!(buffer.as_slice().as_ptr() as usize % BLOCK, 0);
    }
}

#[test]
fn one_directory_has_one_lock_holder() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(".lock");
    let held = RealDisk.lock(&path).unwrap();
    assert_eq!(
        RealDisk.lock(&path).unwrap_err().kind(),
        io::ErrorKind::WouldBlock
    );
    drop(held);
    RealDisk.lock(&path).unwrap();
}
