use super::*;
use crate::disk::SimulatedDisk;

const LOG: Incarnation = Incarnation([5; 16]);

fn written() -> (SimulatedDisk, &'static Path, Inventory) {
    let disk = SimulatedDisk::new();
    let directory = Path::new("/data/wal");
    disk.create_dir_all(directory).unwrap();
    let files = Inventory::from([(1, 65_536), (2, 65_536), (9, 1 << 40)]);
    write(&disk, directory, LOG, &files).unwrap();
    (disk, directory, files)
}

#[test]
fn what_is_written_is_read_after_a_crash() {
    let (disk, directory, files) = written();
    disk.crash(&mut |_| 0);
    assert_eq!(
        read(&disk, directory, LOG, InventoryState::Written).unwrap(),
        Some(files)
    );
}

#[test]
fn a_missing_list_is_refused_once_it_was_written() {
    let disk = SimulatedDisk::new();
    let directory = Path::new("/data/wal");
    disk.create_dir_all(directory).unwrap();
    assert_eq!(read(&disk, directory, LOG, InventoryState::NotYet).unwrap(), None);
    let refused = read(&disk, directory, LOG, InventoryState::Written).unwrap_err();
    assert!(refused.to_string().contains("/data/wal/files"), "{refused}");
}

#[test]
fn a_list_of_another_log_is_refused() {
    let (disk, directory, _) = written();
    let other = Incarnation([6; 16]);
    assert!(matches!(
        read(&disk, directory, other, InventoryState::Written),
        Err(WalOpenError::Foreign { .. })
    ));
}

#[test]
fn every_cut_and_every_changed_byte_is_refused() {
    let (disk, directory, _) = written();
    let path = path_in(directory);
    let len = disk.file_len(&path).unwrap().unwrap() as usize;
    for at in 0..len {
        let cut = disk.fork();
        cut.corrupt(&path, |bytes| bytes.truncate(at));
        assert!(
            read(&cut, directory, LOG, InventoryState::Written).is_err(),
            "cut at {at}"
        );
        let changed = disk.fork();
        changed.corrupt(&path, |bytes| bytes[at] ^= 0x10);
        assert!(
            read(&changed, directory, LOG, InventoryState::Written).is_err(),
            "byte {at}"
        );
    }
}
