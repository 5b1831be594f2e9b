use super::*;
use proptest::prelude::*;

const INCARNATION: Incarnation = Incarnation([7; 16]);

fn id(topic: u8, partition: i32) -> TopicPartitionId {
    TopicPartitionId {
        topic_id: TopicId([topic; 16]),
        partition: PartitionIndex(partition),
    }
}

fn batches(base: i64, count: i64) -> RunContent {
    RunContent::Batches(BatchRun {
        leader_epoch: LeaderEpoch(3),
        base_offset: Offset(base),
        last_offset: Offset(base + count - 1),
        max_timestamp: TimestampMs(99),
        position: 0,
        len: 0,
    })
}

fn header(slot: u64) -> GroupHeader {
    GroupHeader {
        incarnation: INCARNATION,
        slot: Slot(slot),
        put_id: 5,
        previous_crc: 11,
    }
}

fn sample() -> (Vec<u8>, Vec<Run>, u32) {
    let parts = [Bytes::from_static(b"first batch"), Bytes::from_static(b"second")];
    let events = [
        LogEvent::LogStart(Offset(4)),
        LogEvent::TruncateTo(Offset(5), LeaderEpoch(9)),
        LogEvent::JumpTo(Offset(6)),
        LogEvent::ProducerReset,
        LogEvent::SealedAt(Offset(7)),
        LogEvent::Unsealed,
        LogEvent::EpochStart(LeaderEpoch(8), Offset(2)),
        LogEvent::OwnedByLink,
        LogEvent::Session(3),
    ];
    let mut runs = vec![EncodeRun {
        run: Run {
            id: id(1, 0),
            content: batches(10, 4),
        },
        parts: &parts,
    }];
    for event in events {
        runs.push(EncodeRun {
            run: Run {
                id: id(2, 7),
                content: RunContent::Event(event),
            },
            parts: &[],
        });
    }
    let mut out = vec![0xff; encoded_len(17, runs.len()).next_multiple_of(4096)];
    let (placed, crc) = encode(&header(42), &runs, &mut out);
    (out, placed, crc)
}

fn decode(bytes: &[u8]) -> Result<DecodedGroup<'_>, GroupError> {
    decode_body(&decode_header(bytes, INCARNATION)?, bytes)
}

#[test]
fn a_group_reads_back_as_written() {
    let (bytes, placed, crc) = sample();
    let group = decode(&bytes).unwrap();
    assert_eq!(group.header, header(42));
    assert_eq!(group.header_crc, crc);
    assert_eq!(group.runs, placed);
    let RunContent::Batches(run) = group.runs[0].content else {
        panic!("a batch run")
    };
    assert_eq!(group.batches(&run), b"first batchsecond");
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let (bytes, ..) = sample();
    let len = decode(&bytes).unwrap().bytes.len();
    for position in 0..len {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[position] ^= 1 << bit;
            assert!(decode(&damaged).is_err(), "byte {position} bit {bit}");
        }
    }
    for cut in 0..len {
        assert!(decode(&bytes[..cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn a_group_of_another_log_is_refused() {
    let (bytes, ..) = sample();
    assert_eq!(
        decode_header(&bytes, Incarnation([8; 16])).unwrap_err(),
        GroupError::Incarnation
    );
}

#[test]
fn a_newer_version_is_named() {
    let (mut bytes, ..) = sample();
    bytes[4] = 3;
    let crc = crc32fast::hash(&bytes[..60]);
    bytes[60..64].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(
        decode_header(&bytes, INCARNATION).unwrap_err(),
        GroupError::NewerVersion(3)
    );
}

#[test]
fn only_a_group_that_needs_it_is_of_the_newest_version() {
    let version_of = |event| {
        let run = EncodeRun {
            run: Run {
                id: id(1, 0),
                content: RunContent::Event(event),
            },
            parts: &[],
        };
        let mut out = vec![0; encoded_len(0, 1)];
        encode(&header(1), &[run], &mut out);
        u16::from_le_bytes([out[4], out[5]])
    };
    assert_eq!(version_of(LogEvent::JumpTo(Offset(6))), 1);
    assert_eq!(version_of(LogEvent::Session(6)), 2);
}

proptest! {
    #[test]
    fn bytes_with_valid_checksums_and_any_footer_never_panic(footer in proptest::collection::vec(any::<u8>(), RUN_LEN * 3)) {
        let (bytes, ..) = sample();
        let mut forged = bytes[..HEADER_LEN].to_vec();
        forged.extend_from_slice(b"seventeen bytes!!");
        forged.extend_from_slice(&footer);
        let body_crc = crc32fast::hash(&forged[HEADER_LEN..]);
        forged[40..44].copy_from_slice(&17u32.to_le_bytes());
        forged[44..48].copy_from_slice(&3u32.to_le_bytes());
        forged[48..52].copy_from_slice(&body_crc.to_le_bytes());
        let crc = crc32fast::hash(&forged[..60]);
        forged[60..64].copy_from_slice(&crc.to_le_bytes());
        if let Ok(group) = decode(&forged) {
            for run in &group.runs {
                if let RunContent::Batches(run) = &run.content {
                    prop_assert_eq!(group.batches(run).len(), run.len as usize);
                }
            }
        }
    }
}
