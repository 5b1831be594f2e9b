use proptest::prelude::*;
use thalweg_types::{LeaderEpoch, Offset, TimestampMs};

use super::*;
use crate::batch::{patch_log_append_time, verify_crc};
use crate::compression::{CompressionError, CompressionLimits};
use crate::records::sample::{LIMITS, any_specs, at_times, build, with_header};
use crate::records::{BatchOptions, ProducerStamp, Transactionality};
use thalweg_types::{ProducerEpoch, ProducerId};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_codec_becomes_any_other_with_the_same_records_and_header(specs in any_specs()) {
        let producer = ProducerStamp { id: ProducerId(5), epoch: ProducerEpoch(6), base_sequence: 7 };
        for from in Compression::ALL {
            let options = BatchOptions {
                compression: from,
                producer: Some(producer),
                transactionality: Transactionality::Transactional,
                ..BatchOptions::default()
            };
            let mut batch = build(options, &specs);
            patch_log_append_time(&mut batch, TimestampMs(123)).unwrap();
            let batch = with_header(&batch, |header| {
                header.base_offset = Offset(1_000);
                header.leader_epoch = LeaderEpoch(3);
                // A flag of the future must survive too.
                header.attributes |= 1 << 9;
            });
            let (before, records) = open_records(&batch, &LIMITS).unwrap();
            for to in Compression::ALL {
                let other = recompress(&batch, to, None, &LIMITS).unwrap();
                verify_crc(&other).unwrap();
                let (after, same) = open_records(&other, &LIMITS).unwrap();
                prop_assert!(same[..] == records[..]);
                prop_assert_eq!(after.compression(), Ok(to));
                let expected = BatchHeader {
                    batch_length: after.batch_length,
                    crc: after.crc,
                    attributes: before.attributes & !7 | i16::from(to.id()),
                    ..before
                };
                prop_assert_eq!(after, expected);
            }
        }
    }
}

#[test]
fn the_same_codec_none_gives_the_same_bytes() {
    let batch = at_times(&[1, 2, 3]);
    assert_eq!(
        recompress(&batch, Compression::None, None, &LIMITS).unwrap(),
        batch
    );
}

#[test]
fn levels_and_limits_are_passed_on() {
    let batch = at_times(&[1, 2, 3]);
    let error = recompress(&batch, Compression::Gzip, Some(10), &LIMITS);
    assert!(matches!(
        error,
        Err(BatchError::Compression(CompressionError::LevelOutOfRange {
            level: 10,
            ..
        }))
    ));
    let small = recompress(&batch, Compression::Gzip, Some(9), &LIMITS).unwrap();
    let limits = CompressionLimits {
        output_bytes_max: 10,
        ratio_max: 1_000,
    };
    let error = recompress(&small, Compression::None, None, &limits);
    assert!(matches!(
        error,
        Err(BatchError::Compression(CompressionError::OutputLimit { .. }))
    ));
}
