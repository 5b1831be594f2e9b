use super::*;
use crate::disk::{Disk, OpenMode, SimulatedDisk};
use std::path::Path;
use std::sync::Arc;

fn file(bytes: &[u8]) -> Arc<dyn DiskFile> {
    let disk = SimulatedDisk::new();
    disk.create_dir_all(Path::new("/data")).unwrap();
    let file = disk
        .open(
            Path::new("/data/00000000000000000100.timeindex"),
            OpenMode::Create,
        )
        .unwrap();
    file.write_all_at(bytes, 0).unwrap();
    file
}

fn three_entries() -> Vec<u8> {
    let entries = [(10, 105), (20, 110), (30, 120)];
    let encoded =
        entries.map(|(timestamp, offset)| encode(Offset(100), TimestampMs(timestamp), Offset(offset)));
    encoded.into_iter().flatten().flatten().collect()
}

#[test]
fn a_search_starts_at_the_last_entry_below_the_time() {
    let bytes = three_entries();
    let stamp = IndexStamp::default().extended(&bytes);
    for (target, start) in [(0, 100), (10, 100), (11, 105), (30, 110), (31, 120)] {
        let found = lookup(&*file(&bytes), stamp, Offset(100), TimestampMs(target)).unwrap();
        assert_eq!(found, Some(Offset(start)), "{target}");
    }
}

#[test]
fn a_file_that_is_not_as_its_stamp_says_is_not_believed() {
    let bytes = three_entries();
    let stamp = IndexStamp::default().extended(&bytes);
    let search = |bytes: &[u8], stamp| lookup(&*file(bytes), stamp, Offset(100), TimestampMs(15)).unwrap();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert_eq!(search(&changed, stamp), None, "byte {at}");
        assert_eq!(search(&bytes[..at], stamp), None, "cut at {at}");
    }
    // A stamp that claims four GiB costs no memory.
    let huge = IndexStamp {
        len: u32::MAX,
        ..stamp
    };
    assert_eq!(search(&bytes, huge), None);
}
