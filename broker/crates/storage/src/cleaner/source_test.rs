//! Reading for a cleaning: sound batches of any size, and lengths that damage made up.

use super::*;
use crate::disk::SimulatedDisk;
use crate::test_batches::batch;
use thalweg_types::TimestampMs;
use thalweg_wire::batch::patch_base_offset_and_epoch;

const READ_BYTES: usize = 4 << 10;
const DIRECTORY: &str = "/data/events-0";

/// A segment of one-record batches with values of these sizes.
fn segment_of(disk: &SimulatedDisk, sizes: &[usize]) -> Segment {
    let mut content = Vec::new();
    for (offset, size) in (0..).zip(sizes) {
        let mut bytes = batch(1, 1000, &vec![b'v'; *size]);
        patch_base_offset_and_epoch(&mut bytes, Offset(offset), thalweg_types::LeaderEpoch(0)).unwrap();
        content.extend_from_slice(&bytes);
    }
    let directory = Path::new(DIRECTORY);
    disk.create_dir_all(directory).unwrap();
    let path = segment_file(directory, Offset(0), FileKind::Log);
    let file = disk.open(&path, OpenMode::CreateNew).unwrap();
    file.write_all_at(&content, 0).unwrap();
    Segment {
        next_offset: Offset(sizes.len() as i64),
        size: content.len() as u64,
        ..Segment::new(Offset(0), TimestampMs(0))
    }
}

fn open(disk: &SimulatedDisk, segment: Segment) -> Source {
    Source::open(disk, Path::new(DIRECTORY), segment, READ_BYTES).unwrap()
}

#[test]
fn batches_below_and_above_one_read_come_one_behind_the_other() {
    let disk = SimulatedDisk::new();
    let sizes = [10, 3 * READ_BYTES, 1, READ_BYTES - HEADER_LEN, READ_BYTES, 0];
    let segment = segment_of(&disk, &sizes);
    let mut source = open(&disk, segment);
    let mut found = Vec::new();
    let mut bytes_read = 0;
    while let Some((batch, read)) = source.next().unwrap() {
        found.push(batch.bytes.len() - HEADER_LEN);
        bytes_read += read;
    }
    assert_eq!(found, sizes);
    assert!(bytes_read >= segment.size, "{bytes_read} of {}", segment.size);
    assert!(source.next().unwrap().is_none());
}

#[test]
fn a_damaged_length_costs_no_memory_and_is_named() {
    let disk = SimulatedDisk::new();
    let segment = segment_of(&disk, &[100; 50_000]);
    let path = segment_file(Path::new(DIRECTORY), Offset(0), FileKind::Log);
    let claimed = i32::try_from(segment.size).unwrap() - 12;
    disk.corrupt(&path, |bytes| {
        bytes[8..12].copy_from_slice(&claimed.to_be_bytes())
    });
    let mut source = open(&disk, segment);
    match source.next() {
        Err(CleanError::Corrupt { position: 0, .. }) => {}
        other => panic!("{other:?}"),
    }
    let taken = source.buffer.capacity();
    assert!(taken <= 2 * READ_BYTES, "{taken} bytes for a length of {claimed}");
}

#[test]
fn a_file_that_is_shorter_than_what_was_durable_is_named() {
    for sizes in [[10, 10], [10, 3 * READ_BYTES]] {
        let disk = SimulatedDisk::new();
        let segment = segment_of(&disk, &sizes);
        let path = segment_file(Path::new(DIRECTORY), Offset(0), FileKind::Log);
        disk.corrupt(&path, |bytes| bytes.truncate(bytes.len() - 5));
        let mut source = open(&disk, segment);
        let error = loop {
            match source.next() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("{sizes:?}: the end of a file that lacks some bytes"),
                Err(error) => break error.to_string(),
            }
        };
        assert!(error.contains("shorter than"), "{sizes:?}: {error}");
    }
}
