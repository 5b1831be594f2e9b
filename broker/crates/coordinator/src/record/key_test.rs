use super::*;
use crate::record::hex;

#[test]
fn keys_are_kafkas_bytes() {
    // Printed by GroupCoordinatorRecordSerde of Apache Kafka 4.3.1.
    let offset = hex::bytes("000100066f726465727300066576656e747300000007");
    let group = hex::bytes("000200066f7264657273");
    assert_eq!(
        RecordKey::encode_offset("orders", "events", PartitionIndex(7)),
        offset
    );
    assert_eq!(RecordKey::encode_group("orders"), group);
    assert_eq!(RecordKey::offset_size_bytes("orders", "events"), offset.len());
    assert_eq!(RecordKey::group_size_bytes("orders"), group.len());
}

#[test]
fn both_versions_of_offset_keys_are_read() {
    let expected = RecordKey::Offset {
        group_id: "orders",
        topic: "events",
        partition: PartitionIndex(7),
    };
    for version in ["0000", "0001"] {
        let key = hex::bytes(&format!("{version}00066f726465727300066576656e747300000007"));
        assert_eq!(RecordKey::decode(&key), Ok(expected));
    }
    let key = hex::bytes("000200066f7264657273");
    assert_eq!(
        RecordKey::decode(&key),
        Ok(RecordKey::Group { group_id: "orders" })
    );
}

#[test]
fn keys_of_newer_protocols_and_markers_are_not_errors() {
    for version in [3i16, 8, 16, 23, i16::MAX, -1] {
        let key = version.to_be_bytes();
        assert_eq!(RecordKey::decode(&key), Ok(RecordKey::Other { version }));
    }
    // A transaction marker: version 0, type 0 (abort) or 1 (commit).
    assert_eq!(
        RecordKey::decode(&[0, 0, 0, 0]),
        Ok(RecordKey::Other { version: 0 })
    );
    assert_eq!(
        RecordKey::decode(&[0, 0, 0, 1]),
        Ok(RecordKey::Other { version: 0 })
    );
}

#[test]
fn a_key_cut_anywhere_is_an_error_or_a_marker() {
    let key = RecordKey::encode_offset("orders", "events", PartitionIndex(7));
    for end in 0..key.len() {
        let decoded = RecordKey::decode(&key[..end]);
        assert!(decoded.is_err() || end == CONTROL_KEY_BYTES, "{end}: {decoded:?}");
    }
}
