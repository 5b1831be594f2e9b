use super::*;
use proptest::prelude::*;

fn id() -> TopicPartitionId {
    TopicPartitionId {
        topic_id: TopicId([4; 16]),
        partition: PartitionIndex(11),
    }
}

fn partition() -> PartitionRow {
    let batch = BatchRange {
        base_sequence: 1,
        last_sequence: 4,
        base_offset: Offset(100),
        last_offset: Offset(103),
        timestamp: TimestampMs(77),
    };
    let entry = ProducerEntry {
        epoch: ProducerEpoch(2),
        batches: VecDeque::from([batch; 5]),
        last_seen: TimestampMs(78),
        coordinator_epoch: 6,
        is_fresh: true,
    };
    PartitionRow {
        covered: Some(Slot(9)),
        log_start: Offset(5),
        log_end: Offset(104),
        write_state: WriteState::SealedAt(Offset(104)),
        epochs: Epochs::restore(vec![(LeaderEpoch(1), Offset(5)), (LeaderEpoch(2), Offset(60))]),
        producers: vec![(ProducerId(1000), entry)],
        transactions: DurableTransactions {
            open: vec![OpenTransaction {
                producer_id: ProducerId(1000),
                epoch: ProducerEpoch(2),
                first_offset: Offset(98),
                started: TimestampMs(76),
            }],
            aborted: vec![AbortedTransaction {
                producer_id: ProducerId(1001),
                first_offset: Offset(90),
                last_offset: Offset(97),
                last_stable_offset: Offset(98),
            }],
        },
        settled: Offset(88),
        mirror: MirrorRow::default(),
    }
}

#[test]
fn a_mirror_has_a_newer_row_and_other_partitions_keep_theirs() {
    let row = partition();
    assert_eq!(encode_partition(&row).first(), Some(&2));
    let mirror = MirrorRow {
        session: 7,
        leader_epoch: LeaderEpoch(1_000_003),
    };
    let row = PartitionRow { mirror, ..row };
    let bytes = encode_partition(&row);
    assert_eq!(bytes.first(), Some(&3));
    assert_eq!(
        decode(&partition_key(id()), &bytes),
        Ok(Row::Partition(id(), row))
    );
    for cut in 1..bytes.len() {
        assert!(
            decode(&partition_key(id()), &bytes[..cut]).is_err(),
            "cut at {cut}"
        );
    }
}

#[test]
fn rows_read_back_as_written() {
    let wal = WalRow {
        incarnation: Incarnation([1; 16]),
        replay_from: Slot(4),
        clean_end: Some(WalEnd {
            next_slot: Slot(8),
            location: WalLocation {
                file: 3,
                position: 8192,
            },
            last_crc: 77,
        }),
        list: InventoryState::Written,
    };
    assert_eq!(decode(&wal_key(), &encode_wal(&wal)), Ok(Row::Wal(wal)));
    let open = WalRow {
        clean_end: None,
        ..wal
    };
    assert_eq!(decode(&wal_key(), &encode_wal(&open)), Ok(Row::Wal(open)));
    let row = partition();
    assert_eq!(
        decode(&partition_key(id()), &encode_partition(&row)),
        Ok(Row::Partition(id(), row))
    );
    let mut segment = Segment::new(Offset(100), TimestampMs(5));
    segment.next_offset = Offset(200);
    segment.time_index = IndexStamp { len: 12, crc: 99 };
    segment.transaction_index = IndexStamp { len: 34, crc: 98 };
    segment.settled = Offset(77);
    let key = segment_key(id(), Offset(100));
    assert_eq!(
        decode(&key, &encode_segment(&segment)),
        Ok(Row::Segment(id(), segment))
    );
}

#[test]
fn a_cut_or_newer_row_is_refused() {
    let (key, value) = (partition_key(id()), encode_partition(&partition()));
    for cut in 0..value.len() {
        assert!(decode(&key, &value[..cut]).is_err(), "{cut}");
    }
    let mut newer = value;
    newer[0] = 4;
    assert!(decode(&key, &newer).unwrap_err().contains("newer"));
}

proptest! {
    #[test]
    fn any_row_is_refused_without_a_panic(key in proptest::collection::vec(any::<u8>(), 0..40), value in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&key, &value);
        let _ = decode(&partition_key(id()), &value);
        let _ = decode(&segment_key(id(), Offset(3)), &value);
    }
}

#[test]
fn the_first_version_of_the_wal_row_is_read_without_its_clean_end() {
    let mut old = vec![1];
    old.extend_from_slice(&[7; 16]);
    old.extend_from_slice(&5u64.to_be_bytes());
    old.push(1);
    old.extend_from_slice(&9u64.to_be_bytes());
    let expected = WalRow {
        incarnation: Incarnation([7; 16]),
        replay_from: Slot(5),
        clean_end: None,
        list: InventoryState::NotYet,
    };
    assert_eq!(decode(&wal_key(), &old), Ok(Row::Wal(expected)));
}

/// Bytes of the first version, which knew no transactions, written out field by field.
#[test]
fn the_first_version_of_a_partition_and_of_a_segment_is_read() {
    let mut old = vec![1, 1];
    old.extend_from_slice(&9u64.to_be_bytes());
    for number in [5i64, 104] {
        old.extend_from_slice(&number.to_be_bytes());
    }
    old.push(2);
    old.extend_from_slice(&104i64.to_be_bytes());
    old.extend_from_slice(&2u32.to_be_bytes());
    for (epoch, start) in [(1i32, 5i64), (2, 60)] {
        old.extend_from_slice(&epoch.to_be_bytes());
        old.extend_from_slice(&start.to_be_bytes());
    }
    old.extend_from_slice(&1u32.to_be_bytes());
    old.extend_from_slice(&1000i64.to_be_bytes());
    old.extend_from_slice(&2i16.to_be_bytes());
    old.extend_from_slice(&78i64.to_be_bytes());
    old.push(5);
    for _ in 0..5 {
        for sequence in [1i32, 4] {
            old.extend_from_slice(&sequence.to_be_bytes());
        }
        for number in [100i64, 103, 77] {
            old.extend_from_slice(&number.to_be_bytes());
        }
    }
    let mut expected = partition();
    expected.producers[0].1.coordinator_epoch = NO_COORDINATOR_EPOCH;
    expected.producers[0].1.is_fresh = false;
    expected.transactions = DurableTransactions::default();
    expected.settled = Offset(104);
    assert_eq!(
        decode(&partition_key(id()), &old),
        Ok(Row::Partition(id(), expected))
    );

    let mut old = vec![1];
    for number in [200i64, 4096, 70, 150, 60, 80] {
        old.extend_from_slice(&number.to_be_bytes());
    }
    for number in [8u32, 11, 12, 12, 33] {
        old.extend_from_slice(&number.to_be_bytes());
    }
    let expected = Segment {
        base_offset: Offset(100),
        next_offset: Offset(200),
        size: 4096,
        max_timestamp: TimestampMs(70),
        max_timestamp_offset: Offset(150),
        first_timestamp: TimestampMs(60),
        modified: TimestampMs(80),
        offset_index: IndexStamp { len: 8, crc: 11 },
        time_index: IndexStamp { len: 12, crc: 12 },
        transaction_index: IndexStamp::default(),
        unindexed_bytes: 33,
        settled: Offset(100),
    };
    assert_eq!(
        decode(&segment_key(id(), Offset(100)), &old),
        Ok(Row::Segment(id(), expected))
    );
}
