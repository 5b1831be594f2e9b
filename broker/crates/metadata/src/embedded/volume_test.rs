use std::io::ErrorKind;

use super::*;
use crate::embedded::faulty_backend::{Done, Fault, FaultyBackend};

fn volume(len: usize) -> (FaultyBackend, Arc<Volume>) {
    let bytes: Vec<u8> = (0..DATA_START as usize + len)
        .map(|at| (at / 4096 + 1) as u8)
        .collect();
    let disk = FaultyBackend::with_bytes(bytes);
    let volume = Arc::new(Volume::new(Box::new(disk.clone())));
    (disk, volume)
}

fn read(handle: &VolumeHandle, offset: u64, size: usize) -> Vec<u8> {
    let mut out = vec![0xee; size];
    handle.read(offset, &mut out).unwrap();
    out
}

#[test]
fn staged_writes_are_read_back_and_reach_the_disk_only_when_applied() {
    let (disk, volume) = volume(3 * 4096);
    let before = disk.bytes();
    volume.begin_staging().unwrap();
    let handle = volume.handle();
    handle.write(4000, &[9; 200]).unwrap();
    assert_eq!(read(&handle, 3999, 202), [&[3][..], &[9; 200], &[4]].concat());
    handle.sync_data().unwrap();
    handle.set_len(5 * 4096).unwrap();
    assert_eq!(read(&handle, 4 * 4096, 4096), vec![0; 4096]);
    handle.write(5 * 4096 - 1, &[7]).unwrap();
    assert_eq!((disk.bytes(), disk.done()), (before, 0));
    volume.apply_staging().unwrap();
    assert_eq!(handle.len().unwrap(), 5 * 4096);
    assert_eq!(read(&handle, 3999, 202), [&[3][..], &[9; 200], &[4]].concat());
    assert_eq!(read(&handle, 4 * 4096, 4096), [&[0; 4095][..], &[7]].concat());
    // The first write was flushed before anything after it, and all was flushed in the end.
    let history = disk.history();
    let first_flush = history
        .iter()
        .position(|done| matches!(done, Done::Sync))
        .unwrap();
    assert_eq!(first_flush, 1);
    assert!(matches!(history.last(), Some(Done::Sync)));
}

#[test]
fn discarded_writes_never_reach_the_disk() {
    let (disk, volume) = volume(4096);
    volume.begin_staging().unwrap();
    let handle = volume.handle();
    handle.write(0, &[9; 4096]).unwrap();
    handle.set_len(0).unwrap();
    volume.detach();
    volume.discard_staging();
    assert!(handle.write(0, &[1]).is_err());
    assert_eq!(disk.done(), 0);
}

#[test]
fn what_was_cut_off_reads_as_zeros_after_growing_again() {
    for mode in ["staged", "direct"] {
        let (_, volume) = volume(4 * 4096);
        volume.begin_staging().unwrap();
        let handle = volume.handle();
        if mode == "direct" {
            volume.apply_staging().unwrap();
        }
        handle.set_len(4096 + 100).unwrap();
        handle.set_len(3 * 4096).unwrap();
        assert_eq!(read(&handle, 4096, 100), vec![4; 100], "{mode}");
        assert_eq!(
            read(&handle, 4096 + 100, 2 * 4096 - 100),
            vec![0; 2 * 4096 - 100],
            "{mode}"
        );
    }
}

#[test]
fn reading_and_writing_beyond_the_end_is_an_error_while_staging() {
    let (_, volume) = volume(4096);
    volume.begin_staging().unwrap();
    let handle = volume.handle();
    assert!(handle.read(4000, &mut [0; 97]).is_err());
    assert!(handle.write(4000, &[0; 97]).is_err());
    assert!(handle.read(u64::MAX - 3, &mut [0; 97]).is_err());
    assert_eq!(
        volume.failure(),
        None,
        "asking for what is not there is no failure of the disk"
    );
}

#[test]
fn after_a_failure_nothing_reaches_the_disk() {
    let (disk, volume) = volume(2 * 4096);
    let handle = volume.handle();
    disk.set_fault(Some(Fault {
        call: disk.calls(),
        kind: ErrorKind::Other,
    }));
    assert!(handle.sync_data().is_err());
    let (done, calls) = (disk.done(), disk.calls());
    assert!(handle.sync_data().is_err());
    assert!(handle.write(0, &[1]).is_err());
    assert!(handle.read(0, &mut [0]).is_err());
    assert!(volume.file_len().is_err());
    volume.forget_no_space();
    assert!(handle.write(0, &[1]).is_err(), "a failed flush is not forgotten");
    assert_eq!((disk.done(), disk.calls()), (done, calls));
}

#[test]
fn only_the_newest_handle_works_and_an_old_one_cannot_retire_it() {
    let (_, volume) = volume(4096);
    let old = volume.handle();
    let new = volume.handle();
    assert!(old.read(0, &mut [0]).is_err());
    volume.retire(old.generation());
    assert!(new.read(0, &mut [0]).is_ok());
    volume.retire(new.generation());
    assert!(new.read(0, &mut [0]).is_err());
}

#[test]
fn growth_takes_a_reserve_if_there_is_space_and_does_without_if_not() {
    let (disk, volume) = volume(4096);
    volume.begin_staging().unwrap();
    volume.apply_staging().unwrap();
    let handle = volume.handle();
    handle.set_len(8192).unwrap();
    assert_eq!(disk.bytes().len() as u64, DATA_START + 8192 + RESERVE_BYTES_MIN);
    // Inside the reserve nothing is asked of the file system but writes to blocks it has given already.
    disk.allow_more_blocks(Some(0));
    disk.set_len_max(Some(disk.bytes().len() as u64));
    handle.set_len(RESERVE_BYTES_MIN).unwrap();
    // No space for another reserve, but for the growth itself.
    disk.allow_more_blocks(Some(400));
    disk.set_len_max(Some(DATA_START + 2 * RESERVE_BYTES_MIN));
    handle.set_len(2 * RESERVE_BYTES_MIN).unwrap();
    assert_eq!(disk.bytes().len() as u64, DATA_START + 2 * RESERVE_BYTES_MIN);
    // No space at all: an error that is no poison, and the length as it was.
    assert!(handle.set_len(3 * RESERVE_BYTES_MIN).is_err());
    assert_eq!(
        volume.failure().map(|failure| failure.kind),
        Some(FailureKind::NoSpace)
    );
    volume.forget_no_space();
    assert_eq!(handle.len().unwrap(), 2 * RESERVE_BYTES_MIN);
    assert!(
        disk.bytes()[DATA_START as usize + 8192..]
            .iter()
            .all(|byte| *byte == 0)
    );
}
