use proptest::prelude::*;
use thalweg_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

use super::*;
use crate::batch::{patch_log_append_time, verify_crc};
use crate::records::sample::{LIMITS, Spec, any_specs, build, with_header};
use crate::records::{BatchOptions, ProducerStamp, Transactionality, open_records};

const PRODUCER: ProducerStamp = ProducerStamp {
    id: ProducerId(5),
    epoch: ProducerEpoch(6),
    base_sequence: 7,
};

fn stored(options: BatchOptions, specs: &[Spec]) -> Vec<u8> {
    let options = BatchOptions {
        producer: Some(PRODUCER),
        transactionality: Transactionality::Transactional,
        ..options
    };
    with_header(&build(options, specs), |header| {
        header.base_offset = Offset(1_000);
        header.leader_epoch = LeaderEpoch(3);
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_kept_is_as_before_under_any_codec(
        specs in any_specs(),
        keep in any::<u32>(),
        horizon in prop::option::of(0i64..1 << 41),
    ) {
        for compression in Compression::ALL {
            let batch = stored(BatchOptions { compression, ..BatchOptions::default() }, &specs);
            let (before, payload) = open_records(&batch, &LIMITS).unwrap();
            let all: Vec<RecordView<'_>> = payload.records(&before).map(Result::unwrap).collect();
            let kept: Vec<RecordView<'_>> = all
                .iter()
                .enumerate()
                .filter(|(index, _)| keep >> (index % 32) & 1 == 1)
                .map(|(_, record)| *record)
                .collect();
            if kept.is_empty() {
                prop_assert!(retain(&before, &kept, None).is_err());
                continue;
            }
            let rest = retain(&before, &kept, horizon.map(TimestampMs)).unwrap();
            verify_crc(&rest).unwrap();
            let (after, payload) = open_records(&rest, &LIMITS).unwrap();
            let found: Vec<_> = payload.records(&after).map(Result::unwrap).collect();
            prop_assert_eq!(found.len(), kept.len());
            for (found, kept) in found.iter().zip(&kept) {
                prop_assert_eq!(found.offset(&after), kept.offset(&before));
                prop_assert_eq!(found.timestamp(&after), kept.timestamp(&before));
                prop_assert_eq!((found.key, found.value), (kept.key, kept.value));
                prop_assert!(found.headers().eq(kept.headers()));
            }
            let max = kept.iter().map(|record| record.timestamp(&before)).max().unwrap();
            prop_assert_eq!(after.has_delete_horizon(), horizon.is_some());
            let base = horizon.map_or(kept[0].timestamp(&before), TimestampMs);
            let expected = BatchHeader {
                batch_length: after.batch_length,
                crc: after.crc,
                attributes: before.attributes | if horizon.is_some() { 1 << 6 } else { 0 },
                base_timestamp: base,
                max_timestamp: max.max(TimestampMs::NONE),
                record_count: kept.len() as i32,
                ..before
            };
            prop_assert_eq!(after, expected);
        }
    }
}

#[test]
fn the_brokers_time_stays_the_time_of_all_records() {
    let specs = [Spec::at(5), Spec::at(9)];
    let mut batch = stored(BatchOptions::default(), &specs);
    patch_log_append_time(&mut batch, TimestampMs(77)).unwrap();
    let (before, payload) = open_records(&batch, &LIMITS).unwrap();
    let all: Vec<_> = payload.records(&before).map(Result::unwrap).collect();
    for horizon in [None, Some(TimestampMs(1_000))] {
        let rest = retain(&before, &all[..1], horizon).unwrap();
        let (after, payload) = open_records(&rest, &LIMITS).unwrap();
        assert_eq!(after.max_timestamp, TimestampMs(77));
        let record = payload.records(&after).next().unwrap().unwrap();
        assert_eq!(record.timestamp(&after), TimestampMs(77));
        assert_eq!(after.base_timestamp.get() + record.timestamp_delta, 77);
    }
}

#[test]
fn an_emptied_batch_keeps_its_place_and_its_producer() {
    let options = BatchOptions {
        compression: Compression::Zstd,
        ..BatchOptions::default()
    };
    let batch = stored(options, &[Spec::at(5), Spec::at(9)]);
    let before = BatchHeader::parse(&batch).unwrap();
    let empty = retain_none(&before).unwrap();
    verify_crc(&empty).unwrap();
    assert_eq!(empty.len(), crate::batch::HEADER_LEN);
    let (after, payload) = open_records(&empty, &LIMITS).unwrap();
    assert_eq!(payload.records(&after).count(), 0);
    assert_eq!(after.last_offset(), before.last_offset());
    assert_eq!(after.last_sequence(), before.last_sequence());
    assert_eq!(
        (
            after.producer_id,
            after.producer_epoch,
            after.max_timestamp,
            after.base_timestamp
        ),
        (PRODUCER.id, PRODUCER.epoch, TimestampMs(9), TimestampMs::NONE)
    );
    assert!(after.is_transactional());
}
