use proptest::prelude::*;

use super::*;
use crate::batch::{parse_exact, verify_crc};
use crate::records::decode_records;
use crate::records::sample::{LIMITS, Spec, any_specs, build};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_pushed_is_decoded(specs in any_specs()) {
        for compression in Compression::ALL {
            let batch = build(BatchOptions { compression, ..BatchOptions::default() }, &specs);
            verify_crc(&batch).unwrap();
            let header = parse_exact(&batch).unwrap();
            prop_assert_eq!(header.record_count as usize, specs.len());
            prop_assert_eq!(header.last_offset_delta as usize, specs.len() - 1);
            prop_assert_eq!(header.base_timestamp.get(), specs[0].timestamp);
            prop_assert_eq!(header.max_timestamp.get(), specs.iter().map(|spec| spec.timestamp).max().unwrap());
            let records = decode_records(&batch, &LIMITS).unwrap();
            prop_assert_eq!(records.len(), specs.len());
            for (index, (record, spec)) in records.iter().zip(&specs).enumerate() {
                prop_assert_eq!(record.offset, Offset(index as i64));
                prop_assert_eq!(record.timestamp.get(), spec.timestamp);
                prop_assert_eq!(record.key.as_deref(), spec.key.as_deref());
                prop_assert_eq!(record.value.as_deref(), spec.value.as_deref());
                let headers: Vec<_> = record
                    .headers
                    .iter()
                    .map(|(key, value)| (key.to_vec(), value.as_ref().map(|value| value.to_vec())))
                    .collect();
                prop_assert_eq!(&headers, &spec.headers);
            }
        }
    }
}

#[test]
fn a_plain_batch_is_as_a_producer_without_idempotence_sends_it() {
    let batch = build(BatchOptions::default(), &[Spec::at(5), Spec::at(4)]);
    let header = parse_exact(&batch).unwrap();
    let expected = BatchHeader {
        base_offset: Offset::ZERO,
        batch_length: batch.len() as i32 - 12,
        leader_epoch: LeaderEpoch::UNKNOWN,
        magic: 2,
        crc: header.crc,
        attributes: 0,
        last_offset_delta: 1,
        base_timestamp: TimestampMs(5),
        max_timestamp: TimestampMs(5),
        producer_id: ProducerId::NONE,
        producer_epoch: ProducerEpoch::NONE,
        base_sequence: -1,
        record_count: 2,
    };
    assert_eq!(header, expected);
}

#[test]
fn options_reach_the_header() {
    let options = BatchOptions {
        timestamp_type: TimestampType::LogAppendTime,
        base_timestamp: Some(TimestampMs(1)),
        producer: Some(ProducerStamp {
            id: ProducerId(9),
            epoch: ProducerEpoch(2),
            base_sequence: -1,
        }),
        transactionality: Transactionality::Transactional,
        content: BatchContent::Control,
        ..BatchOptions::default()
    };
    let header = parse_exact(&build(options, &[Spec::at(5)])).unwrap();
    assert_eq!(header.timestamp_type(), TimestampType::LogAppendTime);
    assert!(header.is_transactional() && header.is_control());
    assert_eq!(
        (header.base_timestamp, header.max_timestamp),
        (TimestampMs(1), TimestampMs(5))
    );
    assert_eq!(
        (header.producer_id, header.producer_epoch),
        (ProducerId(9), ProducerEpoch(2))
    );
    assert_eq!(header.base_sequence, -1);
}

#[test]
fn a_batch_without_records_is_refused() {
    let builder = BatchBuilder::new(BatchOptions::default());
    assert!(builder.is_empty());
    assert!(matches!(
        builder.build(),
        Err(BatchError::Inconsistent { found: 0, .. })
    ));
}

#[test]
fn a_refused_record_leaves_the_batch_as_it_was() {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    builder
        .push(TimestampMs(i64::MAX), None, Some(b"first"), &[])
        .unwrap();
    let before = builder.clone();
    let what = "the distance of a record's timestamp from the base";
    let refused = builder.push(TimestampMs(-2), None, None, &[]);
    assert_eq!(refused, Err(BatchError::TooLarge { what }));
    assert_eq!(
        (builder.record_count(), builder.records_bytes()),
        (1, before.records_bytes())
    );
    assert_eq!(builder.build(), before.build());
}
