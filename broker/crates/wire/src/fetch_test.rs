use bytes::{Bytes, BytesMut};
use kafka_protocol::messages;
use kafka_protocol::protocol::Decodable;
use proptest::prelude::*;
use thalweg_types::{BrokerId, ErrorCode, LeaderEpoch, Offset, PartitionIndex, ProducerId, TopicId};

use super::*;
use crate::cursor::Problem;
use crate::frame::parse_response_header;
use crate::guard::{self, DecodeError, Direction, GuardError, GuardLimits, decode_request_as};
use crate::sample::{Fill, sample};
use crate::schema;

fn limits() -> GuardLimits {
    GuardLimits::default()
}

fn key(version: i16, name: &str, id: [u8; 16]) -> TopicKey {
    if version >= TOPIC_IDS_FROM {
        TopicKey::Id(TopicId(id))
    } else {
        TopicKey::Name(name.to_owned())
    }
}

/// What the message crate decodes, in our words; the isolation level apart.
fn translate(version: i16, theirs: &messages::FetchRequest) -> FetchRequest {
    let partition = |p: &messages::fetch_request::FetchPartition| FetchPartition {
        index: PartitionIndex(p.partition),
        current_leader_epoch: LeaderEpoch(p.current_leader_epoch),
        fetch_offset: Offset(p.fetch_offset),
        last_fetched_epoch: LeaderEpoch(p.last_fetched_epoch),
        log_start_offset: Offset(p.log_start_offset),
        max_bytes: p.partition_max_bytes,
        replica_directory_id: p.replica_directory_id.into_bytes(),
        high_watermark: Offset(p.high_watermark),
    };
    let state = &theirs.replica_state;
    FetchRequest {
        replica_id: BrokerId(if version >= 15 {
            state.replica_id.0
        } else {
            theirs.replica_id.0
        }),
        replica_epoch: state.replica_epoch,
        cluster_id: theirs.cluster_id.as_ref().map(|id| id.to_string()),
        max_wait_ms: theirs.max_wait_ms,
        min_bytes: theirs.min_bytes,
        max_bytes: theirs.max_bytes,
        isolation_level: match theirs.isolation_level {
            1 => IsolationLevel::ReadCommitted,
            _ => IsolationLevel::ReadUncommitted,
        },
        session_id: theirs.session_id,
        session_epoch: theirs.session_epoch,
        topics: theirs
            .topics
            .iter()
            .map(|t| FetchTopic {
                topic: key(version, t.topic.as_str(), t.topic_id.into_bytes()),
                partitions: t.partitions.iter().map(partition).collect(),
            })
            .collect(),
        forgotten_topics: theirs
            .forgotten_topics_data
            .iter()
            .map(|t| ForgottenTopic {
                topic: key(version, t.topic.as_str(), t.topic_id.into_bytes()),
                partitions: t.partitions.iter().copied().map(PartitionIndex).collect(),
            })
            .collect(),
        rack_id: theirs.rack_id.to_string(),
    }
}

/// Where the isolation level is in a body.
fn isolation_position(version: i16) -> usize {
    if version >= REPLICA_STATE_FROM { 12 } else { 16 }
}

fn compare(version: i16, body: &[u8]) {
    let theirs: Result<messages::FetchRequest, DecodeError> =
        decode_request_as(version, Bytes::copy_from_slice(body), &limits());
    let ours = parse_fetch_request(version, body, &limits());
    match theirs {
        Ok(theirs) if matches!(theirs.isolation_level, 0 | 1) => {
            assert_eq!(ours.unwrap(), translate(version, &theirs), "v{version}");
        }
        Ok(_) => assert!(matches!(
            ours,
            Err(GuardError::Malformed {
                problem: Problem::UnknownValue(_),
                ..
            })
        )),
        Err(DecodeError::Guard(refused)) => assert_eq!(ours, Err(refused)),
        Err(DecodeError::Content { .. }) => assert!(ours.is_err()),
    }
}

#[test]
fn random_requests_parse_as_the_message_crate_decodes_them() {
    let schema = schema::message(Direction::Request, KEY).unwrap();
    for version in 4..=18 {
        for seed in 0..200u64 {
            for fill in [Fill::Random, Fill::Full] {
                let mut body = sample(schema, version, seed, fill).body;
                body[isolation_position(version)] = (seed % 2) as u8;
                assert!(
                    parse_fetch_request(version, &body, &limits()).is_ok(),
                    "v{version} seed {seed}"
                );
                compare(version, &body);
            }
        }
    }
}

/// The smallest topics there are: empty name, no partitions.
#[test]
fn many_empty_topics_parse() {
    let mut body = vec![0xff, 0xff, 0xff, 0xff];
    body.extend([0; 21]);
    body.push(101);
    (0..100).for_each(|_| body.extend([1, 1, 0]));
    body.extend([1, 1, 0]);
    compare(12, &body);
    assert_eq!(
        parse_fetch_request(12, &body, &limits()).unwrap().topics.len(),
        100
    );
}

#[test]
fn an_unknown_isolation_level_is_refused_by_name() {
    let schema = schema::message(Direction::Request, KEY).unwrap();
    let mut body = sample(schema, 4, 1, Fill::Full).body;
    body[16] = 2;
    assert_eq!(
        parse_fetch_request(4, &body, &limits()).unwrap_err().to_string(),
        "Fetch v4: isolation_level at byte 16: the value 2 has no meaning"
    );
}

fn slices() -> Vec<Bytes> {
    vec![Bytes::from(vec![1; 61]), Bytes::new(), Bytes::from(vec![2; 5000])]
}

fn a_response(version: i16) -> FetchResponse {
    let full = FetchPartitionResponse {
        index: PartitionIndex(3),
        error_code: ErrorCode::None,
        high_watermark: Offset(1 << 40),
        last_stable_offset: Offset(99),
        log_start_offset: Offset(17),
        aborted: Some(vec![(ProducerId(5), Offset(40)), (ProducerId(6), Offset(41))]),
        preferred_read_replica: BrokerId(2),
        records: slices(),
        current_leader: None,
    };
    let mut wrong_leader = FetchPartitionResponse::refused(PartitionIndex(4), ErrorCode::FencedLeaderEpoch);
    wrong_leader.current_leader = Some(CurrentLeader {
        leader_id: BrokerId(8),
        leader_epoch: LeaderEpoch(12),
    });
    let last = FetchPartitionResponse {
        records: vec![Bytes::from(vec![3; 7])],
        ..full.clone()
    };
    FetchResponse {
        throttle_time_ms: 12,
        error_code: ErrorCode::None,
        session_id: 1234,
        topics: vec![
            FetchTopicResponse {
                topic: key(version, "one", [1; 16]),
                partitions: vec![full, wrong_leader],
            },
            FetchTopicResponse {
                topic: key(version, "two", [2; 16]),
                partitions: vec![last],
            },
            FetchTopicResponse {
                topic: key(version, "", [3; 16]),
                partitions: vec![],
            },
        ],
        node_endpoints: vec![NodeEndpoint {
            node_id: BrokerId(8),
            host: "h8".to_owned(),
            port: 9092,
            rack: Some("r".to_owned()),
        }],
    }
}

#[test]
fn responses_decode_to_the_same_values_in_every_version() {
    for version in 4..=18 {
        let ours = a_response(version);
        let frame = encode_fetch_response(77, version, ours.clone()).unwrap();
        assert!(frame.parts.iter().all(|part| !part.is_empty()));
        let bytes = frame.to_contiguous();
        assert_eq!(bytes.len(), frame.len);
        assert_eq!(bytes[..4], u32::try_from(frame.len - 4).unwrap().to_be_bytes());
        let (correlation_id, start) = parse_response_header(KEY, version, &bytes[4..]).unwrap();
        assert_eq!(correlation_id, 77);
        guard::check_response(KEY, version, &bytes[4 + start..], &limits()).unwrap();
        let mut rest = bytes.slice(4 + start..);
        let theirs = messages::FetchResponse::decode(&mut rest, version).unwrap();
        assert!(rest.is_empty());
        assert_eq!(theirs.throttle_time_ms, 12);
        assert_eq!(theirs.session_id, if version >= 7 { 1234 } else { 0 });
        assert_eq!(theirs.node_endpoints.len(), usize::from(version >= 16));
        for node in &theirs.node_endpoints {
            assert_eq!((node.node_id.0, node.host.as_str(), node.port), (8, "h8", 9092));
        }
        assert_eq!(theirs.responses.len(), ours.topics.len());
        for (ours, theirs) in ours.topics.iter().zip(&theirs.responses) {
            assert_eq!(
                ours.topic,
                key(version, theirs.topic.as_str(), theirs.topic_id.into_bytes())
            );
            assert_eq!(ours.partitions.len(), theirs.partitions.len());
            for (ours, theirs) in ours.partitions.iter().zip(&theirs.partitions) {
                compare_partition(version, ours, theirs);
            }
        }
    }
}

fn compare_partition(
    version: i16,
    ours: &FetchPartitionResponse,
    theirs: &messages::fetch_response::PartitionData,
) {
    assert_eq!(ours.index.get(), theirs.partition_index);
    assert_eq!(ours.error_code.code(), theirs.error_code);
    assert_eq!(ours.high_watermark.get(), theirs.high_watermark);
    assert_eq!(ours.last_stable_offset.get(), theirs.last_stable_offset);
    assert_eq!(
        if version >= 5 {
            ours.log_start_offset.get()
        } else {
            -1
        },
        theirs.log_start_offset
    );
    let aborted = theirs.aborted_transactions.as_ref().map(|list| {
        list.iter()
            .map(|a| (ProducerId(a.producer_id.0), Offset(a.first_offset)))
            .collect::<Vec<_>>()
    });
    assert_eq!(ours.aborted, aborted);
    let replica = if version >= 11 {
        ours.preferred_read_replica.get()
    } else {
        -1
    };
    assert_eq!(replica, theirs.preferred_read_replica.0);
    let leader = ours.current_leader.filter(|_| version >= 12);
    let leader = leader.map_or((-1, -1), |l| (l.leader_id.get(), l.leader_epoch.get()));
    assert_eq!(
        leader,
        (
            theirs.current_leader.leader_id.0,
            theirs.current_leader.leader_epoch
        )
    );
    let mut records = BytesMut::new();
    ours.records
        .iter()
        .for_each(|part| records.extend_from_slice(part));
    assert_eq!(Some(records.freeze()), theirs.records);
}

#[test]
fn record_bytes_are_not_copied() {
    let records = slices();
    let mut response = a_response(17);
    response.topics[0].partitions[0].records = records.clone();
    let frame = encode_fetch_response(1, 17, response).unwrap();
    for slice in records.iter().filter(|slice| !slice.is_empty()) {
        assert!(
            frame
                .parts
                .iter()
                .any(|part| part.as_ptr() == slice.as_ptr() && part.len() == slice.len())
        );
    }
    // Head; two slices; between; one slice; tail.
    assert_eq!(frame.parts.len(), 6);
}

#[test]
fn an_empty_response_is_one_slice() {
    let frame = encode_fetch_response(1, 4, FetchResponse::default()).unwrap();
    assert_eq!(frame.parts.len(), 1);
    assert_eq!(
        frame.to_contiguous()[..],
        [0, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    );
}

#[test]
fn a_response_that_the_version_cannot_say_is_refused() {
    let wrong = |version, other| {
        encode_fetch_response(1, version, a_response(other))
            .unwrap_err()
            .to_string()
    };
    assert!(wrong(12, 13).contains("the version wants its name"));
    assert!(wrong(13, 12).contains("the version wants its id"));
    assert!(wrong(19, 13).contains("no version 19"));
    assert!(wrong(3, 12).contains("no version 3"));
}

proptest! {
    #[test]
    fn random_and_mutated_requests_never_panic(
        version in 2..20i16,
        seed in any::<u64>(),
        edits in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = parse_fetch_request(version, &bytes, &limits());
        let schema = schema::message(Direction::Request, KEY).unwrap();
        let version = version.clamp(4, 18);
        let mut body = sample(schema, version, seed, Fill::Random).body;
        body[isolation_position(version)] = (seed % 2) as u8;
        for (index, byte) in edits {
            let index = index.index(body.len());
            body[index] = byte;
        }
        compare(version, &body);
    }

    #[test]
    fn any_slicing_of_records_gives_the_same_bytes(
        version in 4..=18i16,
        sizes in proptest::collection::vec(proptest::collection::vec(0..50usize, 0..5), 0..6),
    ) {
        let partition = |(index, sizes): (usize, &Vec<usize>)| FetchPartitionResponse {
            records: sizes.iter().map(|size| Bytes::from(vec![index as u8; *size])).collect(),
            ..FetchPartitionResponse::refused(PartitionIndex(index as i32), ErrorCode::None)
        };
        let partitions: Vec<_> = sizes.iter().enumerate().map(partition).collect();
        let topics = vec![FetchTopicResponse { topic: key(version, "t", [9; 16]), partitions }];
        let frame = encode_fetch_response(3, version, FetchResponse { topics, ..FetchResponse::default() }).unwrap();
        let bytes = frame.to_contiguous();
        prop_assert_eq!(bytes.len(), frame.len);
        let (_, start) = parse_response_header(KEY, version, &bytes[4..]).unwrap();
        let decoded = messages::FetchResponse::decode(&mut bytes.slice(4 + start..), version).unwrap();
        for (index, sizes) in sizes.iter().enumerate() {
            let records = decoded.responses[0].partitions[index].records.clone().unwrap();
            prop_assert_eq!(records, vec![index as u8; sizes.iter().sum()]);
        }
    }
}
