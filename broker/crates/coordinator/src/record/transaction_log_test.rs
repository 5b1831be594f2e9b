use proptest::prelude::*;

use super::*;
use crate::record::hex;

fn value() -> TransactionLogValue {
    let topic = |topic: &str, partitions: &[i32]| TransactionPartitions {
        topic: topic.to_owned(),
        partitions: partitions.iter().copied().map(PartitionIndex).collect(),
    };
    TransactionLogValue {
        producer_id: ProducerId(123_456_789_012),
        previous_producer_id: ProducerId(11),
        next_producer_id: ProducerId(12),
        producer_epoch: ProducerEpoch(7),
        timeout_ms: 60_000,
        status: 1,
        partitions: Some(vec![topic("orders", &[0, 5]), topic("other", &[1])]),
        last_update: TimestampMs(1_700_000_000_000),
        start: TimestampMs(1_699_999_999_999),
        client_version: 2,
    }
}

fn fresh() -> TransactionLogValue {
    TransactionLogValue {
        producer_id: ProducerId(1),
        previous_producer_id: ProducerId::NONE,
        next_producer_id: ProducerId::NONE,
        producer_epoch: ProducerEpoch(0),
        timeout_ms: 1,
        status: 0,
        partitions: None,
        last_update: TimestampMs(2),
        start: TimestampMs::NONE,
        client_version: 0,
    }
}

/// Printed by TransactionLogKey and TransactionLogValue of Apache Kafka 4.3.1.
const KEY: &str = "0000000574782dc3a9";
const VALUE_0: &str = "00000000001cbe991a1400070000ea60010000000200066f726465727300000002000000000000000500056f7468657200000001000000010000018bcfe568000000018bcfe567ff";
const VALUE_1: &str = "00010000001cbe991a1400070000ea600103076f726465727303000000000000000500066f746865720200000001000000018bcfe568000000018bcfe567ff030008000000000000000b0108000000000000000c02020002";
const FRESH_0: &str = "0000000000000000000100000000000100ffffffff0000000000000002ffffffffffffffff";
const FRESH_1: &str = "0001000000000000000100000000000100000000000000000002ffffffffffffffff00";

#[test]
fn transaction_records_are_kafkas() {
    let key = hex::bytes(KEY);
    assert_eq!(
        TransactionLogKey::decode(&key),
        Ok(TransactionLogKey::TransactionalId("tx-é"))
    );
    assert_eq!(TransactionLogKey::encode("tx-é"), key);
    assert_eq!(TransactionLogValue::decode(&hex::bytes(VALUE_1)), Ok(value()));
    assert_eq!(value().encode(), hex::bytes(VALUE_1));
    assert_eq!(fresh().encode(), hex::bytes(FRESH_1));
    assert_eq!(TransactionLogValue::decode(&hex::bytes(FRESH_1)), Ok(fresh()));
    assert_eq!(TransactionLogValue::decode(&hex::bytes(FRESH_0)), Ok(fresh()));
    let plain = TransactionLogValue {
        previous_producer_id: ProducerId::NONE,
        next_producer_id: ProducerId::NONE,
        client_version: 0,
        ..value()
    };
    assert_eq!(TransactionLogValue::decode(&hex::bytes(VALUE_0)), Ok(plain));
}

#[test]
fn a_transaction_record_cut_anywhere_is_an_error_and_a_newer_version_is_named() {
    for whole in [VALUE_0, VALUE_1, FRESH_0] {
        let bytes = hex::bytes(whole);
        for length in 0..bytes.len() {
            assert!(
                TransactionLogValue::decode(&bytes[..length]).is_err(),
                "{whole} cut at {length}"
            );
        }
    }
    let error = TransactionLogValue::decode(&[0, 2]).unwrap_err();
    assert_eq!(
        error,
        DecodeError::Version {
            version: 2,
            newest: 1
        }
    );
    assert_eq!(
        TransactionLogKey::decode(&[0, 1, 9]),
        Ok(TransactionLogKey::Other { version: 1 })
    );
    assert!(TransactionLogKey::decode(&hex::bytes(KEY)[..5]).is_err());
}

#[test]
fn an_array_that_claims_more_than_there_is_reserves_nothing() {
    // Version 0 with 2^31 − 1 topics, then version 1 with 2^32 − 2.
    let mut plain = hex::bytes(FRESH_0);
    plain[17..21].copy_from_slice(&i32::MAX.to_be_bytes());
    assert!(TransactionLogValue::decode(&plain).is_err());
    let mut flexible = hex::bytes(FRESH_1);
    flexible.splice(17..18, [0xff, 0xff, 0xff, 0xff, 0x0f]);
    assert!(TransactionLogValue::decode(&flexible).is_err());
}

proptest! {
    #[test]
    fn a_written_transaction_record_is_read_back(
        ids in any::<[i64; 3]>(),
        epoch in any::<i16>(),
        numbers in any::<(i32, i8, i64, i64, i16)>(),
        partitions in proptest::option::of(proptest::collection::vec(
            ("[a-z.é]{1,20}", proptest::collection::vec(any::<i32>(), 0..4)),
            0..4,
        )),
    ) {
        let written = TransactionLogValue {
            producer_id: ProducerId(ids[0]),
            previous_producer_id: ProducerId(ids[1]),
            next_producer_id: ProducerId(ids[2]),
            producer_epoch: ProducerEpoch(epoch),
            timeout_ms: numbers.0,
            status: numbers.1,
            partitions: partitions.map(|topics| topics.into_iter().map(|(topic, partitions)| TransactionPartitions {
                topic,
                partitions: partitions.into_iter().map(PartitionIndex).collect(),
            }).collect()),
            last_update: TimestampMs(numbers.2),
            start: TimestampMs(numbers.3),
            client_version: numbers.4,
        };
        let bytes = written.encode();
        prop_assert!(bytes.len() <= written.size_bytes_max());
        prop_assert_eq!(TransactionLogValue::decode(&bytes), Ok(written));
    }

    #[test]
    fn a_transaction_record_of_any_bytes_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = TransactionLogValue::decode(&bytes);
        let _ = TransactionLogKey::decode(&bytes);
    }
}
