use proptest::prelude::*;

use super::*;
use crate::record::hex;

/// Printed by GroupMetadataValue of Apache Kafka 4.3.1, versions 0 to 4.
const GOLDEN: [&str; 5] = [
    "00000008636f6e73756d657200000003000572616e676500036d2d310000000200036d2d31000163000a2f3132372e302e302e310000afc800000003000102000000010900036d2d3200016400042f3a3a31000017700000000000000000",
    "00010008636f6e73756d657200000003000572616e676500036d2d310000000200036d2d31000163000a2f3132372e302e302e31000493e00000afc800000003000102000000010900036d2d3200016400042f3a3a310000ea60000017700000000000000000",
    "00020008636f6e73756d657200000003000572616e676500036d2d310000018bcfe568000000000200036d2d31000163000a2f3132372e302e302e31000493e00000afc800000003000102000000010900036d2d3200016400042f3a3a310000ea60000017700000000000000000",
    "00030008636f6e73756d657200000003000572616e676500036d2d310000018bcfe568000000000200036d2d31ffff000163000a2f3132372e302e302e31000493e00000afc800000003000102000000010900036d2d3200066e6f64652d3200016400042f3a3a310000ea60000017700000000000000000",
    "000409636f6e73756d6572000000030672616e6765046d2d310000018bcfe5680003046d2d310002630b2f3132372e302e302e31000493e00000afc804000102020900046d2d32076e6f64652d320264052f3a3a310000ea600000177001010000",
];

const GOLDEN_EMPTY: &str = "00030008636f6e73756d657200000004ffffffff0000018bcfe5680100000000";

fn full() -> GroupMetadataValue {
    let first = MemberMetadata {
        member_id: MemberId::from("m-1"),
        instance_id: None,
        client_id: "c".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        rebalance_timeout_ms: 300_000,
        session_timeout_ms: 45_000,
        subscription: Bytes::from_static(&[0, 1, 2]),
        assignment: Bytes::from_static(&[9]),
    };
    let second = MemberMetadata {
        member_id: MemberId::from("m-2"),
        instance_id: Some(InstanceId::from("node-2")),
        client_id: "d".to_owned(),
        client_host: "/::1".to_owned(),
        rebalance_timeout_ms: 60_000,
        session_timeout_ms: 6_000,
        subscription: Bytes::new(),
        assignment: Bytes::new(),
    };
    GroupMetadataValue {
        protocol_type: "consumer".to_owned(),
        generation: GenerationId(3),
        protocol_name: Some("range".to_owned()),
        leader: Some(MemberId::from("m-1")),
        state_timestamp: Some(TimestampMs(1_700_000_000_000)),
        members: vec![first, second],
    }
}

/// What is left of a group in an older version.
fn as_of(version: usize) -> GroupMetadataValue {
    let mut value = full();
    if version < 2 {
        value.state_timestamp = None;
    }
    for member in &mut value.members {
        if version < 1 {
            member.rebalance_timeout_ms = member.session_timeout_ms;
        }
        if version < 3 {
            member.instance_id = None;
        }
    }
    value
}

#[test]
fn every_version_of_kafka_is_read() {
    for (version, golden) in GOLDEN.iter().enumerate() {
        assert_eq!(
            GroupMetadataValue::decode(&hex::bytes(golden)),
            Ok(as_of(version)),
            "version {version}"
        );
    }
}

#[test]
fn version_3_is_written() {
    assert_eq!(full().encode(), hex::bytes(GOLDEN[3]));
    assert_eq!(full().size_bytes(), GOLDEN[3].len() / 2);
    let empty = GroupMetadataValue {
        generation: GenerationId(4),
        protocol_name: None,
        leader: None,
        state_timestamp: Some(TimestampMs(1_700_000_000_001)),
        members: Vec::new(),
        ..full()
    };
    assert_eq!(empty.encode(), hex::bytes(GOLDEN_EMPTY));
    assert_eq!(GroupMetadataValue::decode(&hex::bytes(GOLDEN_EMPTY)), Ok(empty));
}

#[test]
fn a_value_cut_anywhere_is_an_error() {
    for golden in GOLDEN {
        let bytes = hex::bytes(golden);
        for end in 0..bytes.len() {
            assert!(
                GroupMetadataValue::decode(&bytes[..end]).is_err(),
                "{golden} cut at {end}"
            );
        }
    }
}

#[test]
fn a_huge_member_count_reserves_nothing_and_is_an_error() {
    let mut bytes = hex::bytes(GOLDEN_EMPTY);
    let at = bytes.len() - 4;
    bytes[at..].copy_from_slice(&i32::MAX.to_be_bytes());
    assert!(matches!(
        GroupMetadataValue::decode(&bytes),
        Err(DecodeError::Cut { .. })
    ));
}

#[test]
fn a_version_of_the_future_is_named() {
    let decoded = GroupMetadataValue::decode(&[0, 9]);
    assert_eq!(
        decoded,
        Err(DecodeError::Version {
            version: 9,
            newest: 4
        })
    );
}

proptest! {
    #[test]
    fn decode_never_panics(bytes: Vec<u8>, version in 0u8..6) {
        let _ = GroupMetadataValue::decode(&bytes);
        let _ = GroupMetadataValue::decode(&[&[0, version][..], &bytes].concat());
    }

    #[test]
    fn a_changed_byte_never_panics(at in 0usize..100, to: u8, version in 0usize..5) {
        let mut bytes = hex::bytes(GOLDEN[version]);
        let at = at % bytes.len();
        bytes[at] = to;
        let _ = GroupMetadataValue::decode(&bytes);
    }
}
