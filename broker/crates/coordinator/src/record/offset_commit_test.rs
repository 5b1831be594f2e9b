use proptest::prelude::*;

use super::*;
use crate::record::hex;

fn value() -> OffsetCommitValue {
    OffsetCommitValue {
        offset: Offset(1_234_567_890_123),
        leader_epoch: LeaderEpoch::UNKNOWN,
        metadata: "méta".to_owned(),
        commit_timestamp: TimestampMs(1_700_000_000_000),
        expire_timestamp: None,
        topic_id: None,
    }
}

/// Printed by OffsetCommitValue of Apache Kafka 4.3.1, versions 0 to 4.
const GOLDEN: [&str; 5] = [
    "00000000011f71fb04cb00056dc3a974610000018bcfe56800",
    "00010000011f71fb04cb00056dc3a974610000018bcfe568000000018bcfee8fc0",
    "00020000011f71fb04cb00056dc3a974610000018bcfe56800",
    "00030000011f71fb04cb0000000500056dc3a974610000018bcfe56800",
    "00040000011f71fb04cb00000005066dc3a974610000018bcfe568000100100102030405060708090a0b0c0d0e0f10",
];

fn golden_values() -> [OffsetCommitValue; 5] {
    let topic_id: [u8; 16] = hex::bytes("0102030405060708090a0b0c0d0e0f10").try_into().unwrap();
    [
        value(),
        OffsetCommitValue {
            expire_timestamp: Some(TimestampMs(1_700_000_600_000)),
            ..value()
        },
        value(),
        OffsetCommitValue {
            leader_epoch: LeaderEpoch(5),
            ..value()
        },
        OffsetCommitValue {
            leader_epoch: LeaderEpoch(5),
            topic_id: Some(TopicId(topic_id)),
            ..value()
        },
    ]
}

#[test]
fn every_version_of_kafka_is_read() {
    for (golden, expected) in GOLDEN.iter().zip(golden_values()) {
        assert_eq!(
            OffsetCommitValue::decode(&hex::bytes(golden)),
            Ok(expected),
            "{golden}"
        );
    }
    let without_topic_id = hex::bytes("00040000000000000001ffffffff01000000000000000200");
    assert_eq!(
        OffsetCommitValue::decode(&without_topic_id).unwrap().topic_id,
        None
    );
}

#[test]
fn version_3_is_written_and_version_1_with_an_expiry_time() {
    for version in [1, 3] {
        let value = golden_values()[version].clone();
        assert_eq!(value.encode(), hex::bytes(GOLDEN[version]));
        assert_eq!(value.size_bytes(), GOLDEN[version].len() / 2);
    }
}

#[test]
fn a_version_of_the_future_is_named() {
    let decoded = OffsetCommitValue::decode(&[0, 5, 0, 0]);
    assert_eq!(
        decoded,
        Err(DecodeError::Version {
            version: 5,
            newest: 4
        })
    );
    let decoded = OffsetCommitValue::decode(&[0xff, 0xff]);
    assert_eq!(
        decoded,
        Err(DecodeError::Version {
            version: -1,
            newest: 4
        })
    );
}

#[test]
fn a_value_cut_anywhere_is_an_error() {
    for golden in GOLDEN {
        let bytes = hex::bytes(golden);
        for end in 0..bytes.len() {
            assert!(
                OffsetCommitValue::decode(&bytes[..end]).is_err(),
                "{golden} cut at {end}"
            );
        }
    }
}

proptest! {
    #[test]
    fn decode_never_panics(bytes: Vec<u8>, version in 0u8..6) {
        let _ = OffsetCommitValue::decode(&bytes);
        let _ = OffsetCommitValue::decode(&[&[0, version][..], &bytes].concat());
    }

    #[test]
    fn encode_then_decode_is_the_same(
        offset: i64, epoch: i32, metadata in ".{0,30}", commit: i64, expire in proptest::option::of(0i64..),
    ) {
        let value = OffsetCommitValue {
            offset: Offset(offset),
            leader_epoch: if expire.is_some() { LeaderEpoch::UNKNOWN } else { LeaderEpoch(epoch) },
            metadata,
            commit_timestamp: TimestampMs(commit),
            expire_timestamp: expire.map(TimestampMs),
            topic_id: None,
        };
        let bytes = value.encode();
        prop_assert_eq!(bytes.len(), value.size_bytes());
        prop_assert_eq!(OffsetCommitValue::decode(&bytes), Ok(value));
    }
}
