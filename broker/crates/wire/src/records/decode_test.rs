use proptest::prelude::*;

use super::*;
use crate::batch::{HEADER_LEN, patch_log_append_time};
use crate::compression::Compression;
use crate::records::sample::{LIMITS, Spec, any_specs, at_times, build, with_header, with_records};
use crate::records::{BatchOptions, Walk, check_batch, offset_of_max_timestamp, recompress};

#[test]
fn duplicate_header_keys_null_values_and_bytes_that_are_no_text_survive() {
    let bytes = Bytes::from_static;
    let headers: [(&'static [u8], Option<&'static [u8]>); 5] = [
        (b"k", Some(b"1")),
        (b"k", Some(b"2")),
        (b"k", None),
        (b"", Some(b"")),
        (b"\xff\xfe", None),
    ];
    let owned: Vec<_> = headers
        .iter()
        .map(|(key, value)| (bytes(key), value.map(bytes)))
        .collect();
    let spec = Spec {
        timestamp: 5,
        key: None,
        value: None,
        headers: headers
            .iter()
            .map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec)))
            .collect(),
    };
    for compression in Compression::ALL {
        let batch = build(
            BatchOptions {
                compression,
                ..BatchOptions::default()
            },
            std::slice::from_ref(&spec),
        );
        let batch = with_header(&batch, |header| header.base_offset = Offset(42));
        let record = OwnedRecord {
            offset: Offset(42),
            timestamp: TimestampMs(5),
            key: None,
            value: None,
            headers: owned.clone(),
        };
        assert_eq!(decode_records(&batch, &LIMITS), Ok(vec![record]));
    }
}

#[test]
fn log_append_time_replaces_the_times_of_the_records() {
    let mut batch = at_times(&[30, 10]);
    patch_log_append_time(&mut batch, TimestampMs(40)).unwrap();
    let times: Vec<_> = decode_records(&batch, &LIMITS)
        .unwrap()
        .iter()
        .map(|record| record.timestamp.get())
        .collect();
    assert_eq!(times, [40, 40]);
}

#[test]
fn a_claimed_record_count_reserves_nothing() {
    let batch = with_header(&at_times(&[1]), |header| header.record_count = i32::MAX);
    let what = "missing: the batch has fewer records than its header says";
    assert_eq!(
        decode_records(&batch, &LIMITS),
        Err(BatchError::BadRecord { index: 1, what })
    );
}

#[test]
fn pieces_share_one_buffer() {
    let records = decode_records(&at_times(&[1, 2]), &LIMITS).unwrap();
    let start = |record: &OwnedRecord| record.value.as_ref().map(|value| value.as_ptr() as usize);
    let distance = start(&records[1]).unwrap() - start(&records[0]).unwrap();
    assert_eq!(
        distance,
        (at_times(&[1]).len() - HEADER_LEN),
        "records follow each other in memory"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_signed_garbage_panics(
        specs in any_specs(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        codec in 0usize..5,
    ) {
        // Damage inside the plain records, then compressed and signed: every layer below is valid.
        let batch = build(BatchOptions::default(), &specs);
        let mut records = batch[HEADER_LEN..].to_vec();
        for (at, byte) in &damage {
            *at.get_mut(&mut records) = *byte;
        }
        let damaged = with_records(&batch, &records, |_| {});
        let batch = recompress(&damaged, Compression::ALL[codec], None, &LIMITS).unwrap();
        let decoded = decode_records(&batch, &LIMITS);
        let checked = check_batch(&batch, Walk::Full, &LIMITS);
        let latest = offset_of_max_timestamp(&batch, &LIMITS);
        prop_assert_eq!(decoded.is_ok(), latest.is_ok());
        prop_assert!(decoded.is_ok() || checked.is_err(), "the check is at least as strict");
    }
}
