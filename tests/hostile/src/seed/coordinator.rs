//! Records of `__consumer_offsets` and `__transaction_state`.

use bytes::Bytes;
use thalweg_coordinator::group::{GenerationId, InstanceId, MemberId};
use thalweg_coordinator::record::{
    GroupMetadataValue, MemberMetadata, OffsetCommitValue, RecordKey, TransactionLogKey, TransactionLogValue,
    TransactionPartitions,
};
use thalweg_coordinator::transaction::TransactionState;
use thalweg_types::{LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, TimestampMs};

/// A record as [`crate::coordinator_record`] and [`crate::transaction_record`] take them.
fn record(way: u8, key: &[u8], value: Option<&[u8]>) -> Vec<u8> {
    let value_len = value.map_or(u16::MAX, |value| u16::try_from(value.len()).unwrap_or(u16::MAX));
    let key_len = u8::try_from(key.len()).unwrap_or(u8::MAX);
    [
        &[way, key_len][..],
        &value_len.to_be_bytes(),
        key,
        value.unwrap_or_default(),
    ]
    .concat()
}

pub fn coordinator_records() -> Vec<Vec<u8>> {
    let member = MemberMetadata {
        member_id: MemberId::from("client-1-abc"),
        instance_id: Some(InstanceId::from("one")),
        client_id: "client-1".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        rebalance_timeout_ms: 60_000,
        session_timeout_ms: 10_000,
        subscription: Bytes::from_static(&[0, 0, 0, 0, 0, 1, 0, 1, b't', 0xff, 0xff, 0xff, 0xff]),
        assignment: Bytes::from_static(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    };
    let group = GroupMetadataValue {
        protocol_type: "consumer".to_owned(),
        generation: GenerationId(3),
        protocol_name: Some("range".to_owned()),
        leader: Some(member.member_id.clone()),
        state_timestamp: Some(TimestampMs(1000)),
        members: vec![
            member.clone(),
            MemberMetadata {
                instance_id: None,
                ..member
            },
        ],
    };
    let offset = OffsetCommitValue {
        offset: Offset(7),
        leader_epoch: LeaderEpoch(1),
        metadata: "m".to_owned(),
        commit_timestamp: TimestampMs(1000),
        expire_timestamp: None,
        topic_id: None,
    };
    let expiring = OffsetCommitValue {
        expire_timestamp: Some(TimestampMs(2000)),
        ..offset.clone()
    };
    // Version 4 of both values, which is read and not written.
    let flexible_offset = [
        &[0, 4][..],
        &7i64.to_be_bytes(),
        &[0, 0, 0, 1, 2, b'm'],
        &1000i64.to_be_bytes(),
        &[0],
    ]
    .concat();
    let flexible_group = [
        &[0, 4, 9][..],
        b"consumer",
        &[0, 0, 0, 3, 6],
        b"range",
        &[0],
        &[0; 8],
        &[2, 2, b'a', 0, 2, b'c', 2, b'h'],
        &[0, 0, 1, 0, 0, 0, 1, 0, 1, 1, 0, 0],
    ]
    .concat();
    // A string that version 3 could not hold.
    let long_offset = [
        &[0, 4][..],
        &7i64.to_be_bytes(),
        &[0, 0, 0, 1, 0xc1, 0xb8, 2],
        &[b'm'; 40_000],
        &1000i64.to_be_bytes(),
        &[0],
    ]
    .concat();
    let offset_key = RecordKey::encode_offset("readers", "events", PartitionIndex(1));
    let group_key = RecordKey::encode_group("readers");
    let records = [
        record(0, &offset_key, Some(&offset.encode())),
        record(0, &offset_key, Some(&expiring.encode())),
        record(0, &offset_key, Some(&flexible_offset)),
        record(0, &offset_key, Some(&long_offset)),
        record(0, &group_key, Some(&group.encode())),
        record(0, &group_key, Some(&flexible_group)),
        record(0, &offset_key, None),
        record(0, &group_key, None),
    ];
    let all = records.concat();
    // Offsets of the transactions of two producers, of which one commits.
    let (pending, plain) = (&expiring.encode()[..], &offset.encode()[..]);
    let transactional = [
        record(1 << 2 | 1, &offset_key, Some(pending)),
        record(2 << 2 | 1, &offset_key, Some(plain)),
        record(0, &offset_key, Some(plain)),
        record(1 << 2 | 2, &[], None),
        record(2 << 2 | 3, &[], None),
    ];
    let transactional = transactional.concat();
    records.into_iter().chain([all, transactional]).collect()
}

/// Records as [`crate::transaction_record`] takes them.
pub fn transaction_records() -> Vec<Vec<u8>> {
    let key = TransactionLogKey::encode("payments-1");
    let partitions = |topic: &str| TransactionPartitions {
        topic: topic.to_owned(),
        partitions: vec![PartitionIndex(0), PartitionIndex(7)],
    };
    let value = |state: TransactionState, epoch: i16| TransactionLogValue {
        producer_id: ProducerId(7),
        previous_producer_id: ProducerId(6),
        next_producer_id: ProducerId::NONE,
        producer_epoch: ProducerEpoch(epoch),
        timeout_ms: 60_000,
        status: state.number(),
        partitions: (state != TransactionState::Empty).then(|| vec![partitions("events"), partitions("t")]),
        last_update: TimestampMs(900),
        start: TimestampMs(800),
        client_version: 2,
    };
    // Version 0: producer id, epoch, timeout, state, one topic with one partition, two times.
    let plain = [
        &[0, 0][..],
        &7i64.to_be_bytes(),
        &[0, 3, 0, 0, 0xea, 0x60, 1],
        &[0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 0],
        &900i64.to_be_bytes(),
        &800i64.to_be_bytes(),
    ]
    .concat();
    let changing = TransactionLogValue {
        next_producer_id: ProducerId(8),
        ..value(TransactionState::PrepareCommit, i16::MAX)
    };
    let mut logs: Vec<Vec<u8>> = Vec::new();
    for state in TransactionState::ALL {
        for epoch in [0, i16::MAX - 1, i16::MAX, -1] {
            logs.push(record(0, &key, Some(&value(state, epoch).encode())));
        }
    }
    logs.push(record(0, &key, Some(&plain)));
    logs.push(record(0, &key, Some(&changing.encode())));
    logs.push(record(0, &key, None));
    let other = TransactionLogKey::encode("payments-2");
    logs.push(
        [
            record(0, &key, Some(&value(TransactionState::Ongoing, 1).encode())),
            record(
                0,
                &other,
                Some(&value(TransactionState::PrepareAbort, 4).encode()),
            ),
            record(0, &key, Some(&value(TransactionState::PrepareCommit, 2).encode())),
            record(0, &other, None),
        ]
        .concat(),
    );
    let choices = [0, 1, 8, 9 | 2 | 32, 1 | 4 | 16 | 32, 2 | 8 | 128, 0xff, 0xf9];
    let choices = choices.iter().cycle();
    logs.iter()
        .zip(choices)
        .map(|(log, choice)| [&[*choice], &log[..]].concat())
        .collect()
}
