use super::*;
use bytes::{Bytes, BytesMut};
use thalweg_types::{LeaderEpoch, ProducerEpoch, TimestampMs};
use thalweg_wire::batch::patch_base_offset_and_epoch;
use thalweg_wire::records::{BatchBuilder, BatchContent, BatchOptions, ProducerStamp, Transactionality};

impl From<Damage> for String {
    fn from(damage: Damage) -> Self {
        format!("{}: {}", damage.offset, damage.error)
    }
}

enum Kind {
    Plain,
    Transactional(i64),
    Marker(i64, u8),
}

fn batch(base_offset: i64, kind: Kind, values: &[&str]) -> BytesMut {
    let stamp = |id| ProducerStamp {
        id: ProducerId(id),
        epoch: ProducerEpoch(0),
        base_sequence: 0,
    };
    let options = match kind {
        Kind::Plain => BatchOptions::default(),
        Kind::Transactional(id) => BatchOptions {
            producer: Some(stamp(id)),
            transactionality: Transactionality::Transactional,
            ..BatchOptions::default()
        },
        Kind::Marker(id, _) => BatchOptions {
            producer: Some(ProducerStamp {
                base_sequence: -1,
                ..stamp(id)
            }),
            transactionality: Transactionality::Transactional,
            content: BatchContent::Control,
            ..BatchOptions::default()
        },
    };
    let mut builder = BatchBuilder::new(options);
    if let Kind::Marker(_, marker) = kind {
        builder
            .push(TimestampMs(1), Some(&[0, 0, 0, marker]), Some(&[0; 6]), &[])
            .unwrap();
    }
    for value in values {
        builder
            .push(TimestampMs(1), None, Some(value.as_bytes()), &[])
            .unwrap();
    }
    let mut bytes = builder.build().unwrap();
    patch_base_offset_and_epoch(&mut bytes, Offset(base_offset), LeaderEpoch(0)).unwrap();
    bytes
}

fn fetched(batches: &[BytesMut], aborted: &[(i64, i64)]) -> FetchedRecords {
    FetchedRecords {
        high_watermark: Offset(100),
        last_stable_offset: Offset(100),
        log_start_offset: Offset(0),
        aborted_transactions: aborted
            .iter()
            .map(|(id, offset)| AbortedTransaction {
                producer_id: ProducerId(*id),
                first_offset: Offset(*offset),
            })
            .collect(),
        records: Bytes::from(batches.concat()),
    }
}

/// Returns the values seen and the offset after the last batch.
fn values(fetched: &FetchedRecords, from: i64, markers: Markers) -> Result<(Vec<String>, i64), String> {
    let (mut values, mut end) = (Vec::new(), from);
    decode::<String>(fetched, Offset(from), markers, |batch, next| {
        for record in batch.map(|batch| batch.records).unwrap_or_default() {
            values.push(String::from_utf8_lossy(&record.value.unwrap_or_default()).into_owned());
        }
        end = next.get();
        Ok(true)
    })?;
    Ok((values, end))
}

#[test]
fn aborted_batches_are_skipped_up_to_their_marker() {
    let batches = [
        batch(0, Kind::Transactional(1), &["a-aborted", "b-aborted"]),
        batch(2, Kind::Transactional(2), &["c"]),
        batch(3, Kind::Plain, &["d"]),
        batch(4, Kind::Marker(1, 0), &[]),
        batch(5, Kind::Transactional(1), &["e"]),
        batch(6, Kind::Marker(2, 1), &[]),
        batch(7, Kind::Transactional(2), &["f-aborted"]),
        batch(8, Kind::Marker(2, 0), &[]),
        batch(9, Kind::Transactional(2), &["g"]),
    ];
    let (seen, end) = values(&fetched(&batches, &[(2, 7), (1, 0)]), 0, Markers::Hide).unwrap();
    assert_eq!((seen.join(" "), end), ("c d e g".to_owned(), 10));
    // Without the list, as for a read-uncommitted reader, everything but the markers is seen.
    let (seen, _) = values(&fetched(&batches, &[]), 0, Markers::Hide).unwrap();
    assert_eq!(seen.len(), 7);
    let (seen, _) = values(&fetched(&batches, &[]), 0, Markers::Show).unwrap();
    assert_eq!(seen.len(), 10);
}

#[test]
fn a_cut_off_last_batch_is_left_for_the_next_fetch() {
    let batches = [batch(0, Kind::Plain, &["a"]), batch(1, Kind::Plain, &["b"])];
    let mut fetched = fetched(&batches, &[]);
    for cut in 1..batches[1].len() {
        let whole = batches.concat();
        fetched.records = Bytes::copy_from_slice(&whole[..whole.len() - cut]);
        assert_eq!(
            values(&fetched, 0, Markers::Hide),
            Ok((vec!["a".to_owned()], 1)),
            "{cut}"
        );
    }
}

#[test]
fn a_damaged_batch_is_named_with_its_offset() {
    let mut batches = [batch(0, Kind::Plain, &["a"]), batch(1, Kind::Plain, &["b"])];
    *batches[1].last_mut().unwrap() ^= 1;
    let error = values(&fetched(&batches, &[]), 0, Markers::Hide).unwrap_err();
    assert!(error.starts_with("1: ") && error.contains("checksum"), "{error}");
}
