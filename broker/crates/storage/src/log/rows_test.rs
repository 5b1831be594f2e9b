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
    };
    PartitionRow {
        covered: Some(Slot(9)),
        log_start: Offset(5),
        log_end: Offset(104),
        write_state: WriteState::SealedAt(Offset(104)),
        epochs: Epochs::restore(vec![(LeaderEpoch(1), Offset(5)), (LeaderEpoch(2), Offset(60))]),
        producers: vec![(ProducerId(1000), entry)],
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
    newer[0] = 3;
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
