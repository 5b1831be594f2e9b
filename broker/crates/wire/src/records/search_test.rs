use super::*;
use crate::batch::{HEADER_LEN, patch_log_append_time};
use crate::compression::Compression;
use crate::records::sample::{LIMITS, Spec, at_times, build, with_header, with_records};
use crate::records::{BatchOptions, RecordIter};

fn found(batch: &[u8], target: i64) -> Option<(i64, i64)> {
    let found = first_record_at_or_after(batch, TimestampMs(target), &LIMITS).unwrap();
    found.map(|(offset, timestamp)| (offset.get(), timestamp.get()))
}

/// The batch at base offset 100 without the records of these indexes, as compaction leaves it.
fn compacted(times: &[i64], gone: &[usize]) -> Vec<u8> {
    let batch = at_times(times);
    let mut kept = Vec::new();
    let mut rest = &batch[HEADER_LEN..];
    for index in 0..times.len() {
        let length = rest[0] as usize / 2 + 1;
        if !gone.contains(&index) {
            kept.extend_from_slice(&rest[..length]);
        }
        rest = &rest[length..];
    }
    let left = (times.len() - gone.len()) as i32;
    assert_eq!(
        RecordIter::new(&kept, left as u32).filter(Result::is_ok).count(),
        left as usize
    );
    with_records(&batch, &kept, |header| {
        header.base_offset = Offset(100);
        header.record_count = left;
    })
}

#[test]
fn the_first_record_at_or_after_a_time_is_first_by_offset() {
    let specs: Vec<_> = [30, 10, 50, 20, 50].into_iter().map(Spec::at).collect();
    for compression in Compression::ALL {
        let batch = build(
            BatchOptions {
                compression,
                ..BatchOptions::default()
            },
            &specs,
        );
        assert_eq!(found(&batch, 0), Some((0, 30)));
        assert_eq!(found(&batch, 30), Some((0, 30)));
        assert_eq!(found(&batch, 31), Some((2, 50)));
        assert_eq!(found(&batch, 50), Some((2, 50)));
        assert_eq!(found(&batch, 51), None);
    }
}

#[test]
fn records_below_the_start_of_the_log_are_skipped() {
    let batch = with_header(&at_times(&[10, 20, 30]), |header| {
        header.base_offset = Offset(100)
    });
    let from =
        |offset| first_record_at_or_after_from(&batch, TimestampMs(5), Offset(offset), &LIMITS).unwrap();
    assert_eq!(from(0), Some((Offset(100), TimestampMs(10))));
    assert_eq!(from(101), Some((Offset(101), TimestampMs(20))));
    assert_eq!(from(102), Some((Offset(102), TimestampMs(30))));
    assert_eq!(from(103), None);
}

#[test]
fn log_append_time_gives_the_first_record_and_the_batch_time() {
    let mut batch = at_times(&[30, 10, 50]);
    patch_log_append_time(&mut batch, TimestampMs(40)).unwrap();
    assert_eq!(found(&batch, 35), Some((0, 40)));
    assert_eq!(found(&batch, 41), None);
    let latest = offset_of_max_timestamp(&batch, &LIMITS).unwrap();
    assert_eq!(latest, Some((Offset(0), TimestampMs(40))));
}

#[test]
fn a_search_that_the_header_answers_opens_nothing() {
    let garbage = with_records(&at_times(&[10]), &[0xff; 20], |_| {});
    assert_eq!(found(&garbage, 11), None);
    assert!(first_record_at_or_after(&garbage, TimestampMs(10), &LIMITS).is_err());
}

#[test]
fn the_largest_timestamp_is_that_of_its_first_record() {
    let latest = |batch: &[u8]| offset_of_max_timestamp(batch, &LIMITS).unwrap();
    assert_eq!(
        latest(&at_times(&[30, 50, 50, 20])),
        Some((Offset(1), TimestampMs(50)))
    );
    assert_eq!(latest(&at_times(&[-1, -1])), None);
    // What the header claims does not count.
    let wrong = with_header(&at_times(&[30, 20]), |header| {
        header.max_timestamp = TimestampMs(99)
    });
    assert_eq!(latest(&wrong), Some((Offset(0), TimestampMs(30))));
}

#[test]
fn compacted_batches_keep_their_offsets() {
    let batch = compacted(&[30, 50, 20, 50, 60], &[0, 1, 4]);
    assert_eq!(found(&batch, 10), Some((102, 20)));
    assert_eq!(found(&batch, 21), Some((103, 50)));
    // The header still claims the time of the record that is gone.
    assert_eq!(found(&batch, 60), None);
    assert_eq!(
        offset_of_max_timestamp(&batch, &LIMITS).unwrap(),
        Some((Offset(103), TimestampMs(50)))
    );
}

#[test]
fn an_emptied_batch_has_nothing() {
    let batch = compacted(&[30, 50], &[0, 1]);
    // Whatever codec the header still names.
    for codec in 0..=4 {
        let batch = with_header(&batch, |header| header.attributes = codec);
        assert_eq!(found(&batch, 10), None);
        assert_eq!(offset_of_max_timestamp(&batch, &LIMITS).unwrap(), None);
    }
}
