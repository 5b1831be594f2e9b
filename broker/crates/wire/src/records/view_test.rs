use proptest::prelude::*;

use super::*;

/// Encodes one record: the body after its true length.
fn record(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    varint::put(&mut bytes, body.len() as i64);
    bytes.extend_from_slice(body);
    bytes
}

fn first(payload: &[u8]) -> Result<RecordView<'_>, BatchError> {
    RecordIter::new(payload, 1).next().unwrap()
}

fn refused(payload: &[u8]) -> &'static str {
    match first(payload) {
        Err(BatchError::BadRecord { index: 0, what }) => what,
        other => panic!("{payload:x?} gave {other:?}"),
    }
}

#[test]
fn a_record_is_read_field_by_field() {
    // attributes 5, timestamp −2, offset 3, key "k", null value, headers ("h", "v") and ("h", null)
    let payload = record(&[5, 3, 6, 2, b'k', 1, 4, 2, b'h', 2, b'v', 2, b'h', 1]);
    let record = first(&payload).unwrap();
    assert_eq!(
        (record.attributes, record.timestamp_delta, record.offset_delta),
        (5, -2, 3)
    );
    assert_eq!(
        (record.key, record.value, record.header_count),
        (Some(&b"k"[..]), None, 2)
    );
    let headers: Vec<_> = record.headers().collect();
    assert_eq!(headers, [(&b"h"[..], Some(&b"v"[..])), (&b"h"[..], None)]);
    assert_eq!(record.headers().len(), 2);
}

#[test]
fn null_and_empty_are_different() {
    let null = record(&[0, 0, 0, 1, 1, 0]);
    let empty = record(&[0, 0, 0, 0, 0, 0]);
    let fields = |payload: &[u8]| first(payload).map(|record| (record.key.is_none(), record.value.is_none()));
    assert_eq!(fields(&null), Ok((true, true)));
    assert_eq!(fields(&empty), Ok((false, false)));
}

#[test]
fn every_hostile_length_is_refused() {
    let largest = [0xfe, 0xff, 0xff, 0xff, 0x0f];
    let body = |start: &[u8], end: &[u8]| record(&[start, &largest, end].concat());
    assert_eq!(refused(&[0x80]), "malformed length");
    assert_eq!(refused(&[0xff, 0xff, 0xff, 0xff, 0xff]), "malformed length");
    assert_eq!(refused(&[0x03]), "negative length");
    assert_eq!(refused(&largest), "longer than the batch");
    assert_eq!(refused(&[0x0e, 0, 0, 0, 1, 1, 0]), "longer than the batch");
    assert_eq!(refused(&record(&[])), "no attributes");
    assert_eq!(refused(&record(&[0])), "malformed timestamp delta");
    assert_eq!(refused(&record(&[0, 0])), "malformed offset delta");
    assert_eq!(refused(&record(&[0, 0, 0])), "malformed key or key length");
    assert_eq!(refused(&body(&[0, 0, 0], &[1, 0])), "malformed key or key length");
    // −2 is neither null nor a length.
    assert_eq!(
        refused(&record(&[0, 0, 0, 3, 1, 0])),
        "malformed key or key length"
    );
    assert_eq!(
        refused(&body(&[0, 0, 0, 1], &[0])),
        "malformed value or value length"
    );
    assert_eq!(refused(&record(&[0, 0, 0, 1, 1])), "malformed header count");
    assert_eq!(refused(&record(&[0, 0, 0, 1, 1, 1])), "negative header count");
    // 2³¹−1 headers in no bytes end at once.
    assert_eq!(refused(&body(&[0, 0, 0, 1, 1], &[])), "malformed header");
    assert_eq!(refused(&record(&[0, 0, 0, 1, 1, 2, 1, 1])), "malformed header");
    assert_eq!(refused(&body(&[0, 0, 0, 1, 1, 2], &[0])), "malformed header");
    assert_eq!(refused(&record(&[0, 0, 0, 1, 1, 2, 0])), "malformed header");
    assert_eq!(
        refused(&record(&[0, 0, 0, 1, 1, 0, 0])),
        "bytes after the last header"
    );
}

#[test]
fn a_field_cannot_borrow_from_the_next_record() {
    // The key claims one byte more than its record has; the next record is right behind it.
    let payload = [
        record(&[0, 0, 0, 8, b'a', b'b', b'c']),
        record(&[0, 0, 2, 1, 1, 0]),
    ]
    .concat();
    assert_eq!(refused(&payload), "malformed key or key length");
}

#[test]
fn the_count_must_be_exact() {
    let payload = record(&[0, 0, 0, 1, 1, 0]).repeat(3);
    let walk = |count| RecordIter::new(&payload, count).collect::<Result<Vec<_>, _>>();
    assert_eq!(walk(3).unwrap().len(), 3);
    let what = "bytes after the last record";
    assert_eq!(walk(2), Err(BatchError::BadRecord { index: 2, what }));
    assert_eq!(walk(0), Err(BatchError::BadRecord { index: 0, what }));
    let what = "missing: the batch has fewer records than its header says";
    assert_eq!(walk(4), Err(BatchError::BadRecord { index: 3, what }));
    assert_eq!(RecordIter::new(&[], 0).count(), 0);
}

#[test]
fn the_iterator_ends_after_an_error() {
    let payload = [
        record(&[0, 0, 0, 1, 1, 0]),
        record(&[0]),
        record(&[0, 0, 2, 1, 1, 0]),
    ]
    .concat();
    let mut iter = RecordIter::new(&payload, 3);
    assert!(iter.next().unwrap().is_ok());
    assert!(iter.next().unwrap().is_err());
    assert!(iter.next().is_none() && iter.next().is_none());
}

proptest! {
    #[test]
    fn no_bytes_panic_and_pieces_stay_inside(payload in prop::collection::vec(any::<u8>(), 0..300), count: u32) {
        for record in RecordIter::new(&payload, count).flatten() {
            let headers: usize = record.headers().map(|(key, value)| key.len() + value.map_or(0, <[u8]>::len)).sum();
            let pieces = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len) + headers;
            prop_assert!(pieces <= payload.len());
            prop_assert_eq!(record.headers().count(), record.header_count as usize);
        }
    }
}
