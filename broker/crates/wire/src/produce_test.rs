use kafka_protocol::messages;
use kafka_protocol::protocol::Decodable;
use proptest::prelude::*;

use super::*;
use crate::frame::parse_response_header;
use crate::guard::decode_request_as;
use crate::sample::{Fill, sample};
use crate::schema;
use thalweg_types::{BrokerId, LeaderEpoch, TopicId};

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

/// Compares our parse with the message crate's decode of the same body.
fn compare(version: i16, body: &[u8]) {
    let theirs: messages::ProduceRequest =
        decode_request_as(version, Bytes::copy_from_slice(body), &limits()).unwrap();
    let ours = parse_produce_request(version, BytesMut::from(body), &limits()).unwrap();
    assert_eq!(
        ours.transactional_id.as_deref(),
        theirs.transactional_id.as_ref().map(|id| id.as_str())
    );
    assert_eq!((ours.acks, ours.timeout_ms), (theirs.acks, theirs.timeout_ms));
    assert_eq!(ours.topics.len(), theirs.topic_data.len());
    for (ours, theirs) in ours.topics.iter().zip(&theirs.topic_data) {
        assert_eq!(
            ours.topic,
            key(version, theirs.name.as_str(), theirs.topic_id.into_bytes())
        );
        let ours: Vec<_> = ours
            .partitions
            .iter()
            .map(|p| (p.index.get(), p.records.as_deref()))
            .collect();
        let theirs: Vec<_> = theirs
            .partition_data
            .iter()
            .map(|p| (p.index, p.records.as_deref()))
            .collect();
        assert_eq!(ours, theirs);
    }
}

#[test]
fn random_requests_parse_as_the_message_crate_decodes_them() {
    let schema = schema::message(Direction::Request, KEY).unwrap();
    for version in 3..=13 {
        for seed in 0..200 {
            compare(version, &sample(schema, version, seed, Fill::Random).body);
            compare(version, &sample(schema, version, seed, Fill::Full).body);
        }
    }
}

#[test]
fn records_are_parts_of_the_frame_and_may_be_written_to() {
    let schema = schema::message(Direction::Request, KEY).unwrap();
    for version in 3..=13 {
        let bytes = sample(schema, version, 11, Fill::Full).body;
        let body = BytesMut::from(bytes.as_slice());
        let frame = body.as_ptr() as usize..body.as_ptr() as usize + body.len();
        let request = parse_produce_request(version, body, &limits()).unwrap();
        for mut records in request
            .topics
            .into_iter()
            .flat_map(|t| t.partitions)
            .filter_map(|p| p.records)
        {
            if records.is_empty() {
                continue;
            }
            assert!(
                frame.contains(&(records.as_ptr() as usize)),
                "v{version}: records were copied"
            );
            let before = records.as_ptr();
            records[0] ^= 0xff;
            assert_eq!(records.as_ptr(), before);
        }
    }
}

#[test]
fn null_and_empty_records_differ() {
    // v3: no transactional id, acks −1, timeout 0, one topic "t", partitions 0 (null) and 1 (empty).
    let mut body = vec![
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 2,
    ];
    body.extend([0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    body.extend([0, 0, 0, 1, 0, 0, 0, 0]);
    let request = parse_produce_request(3, BytesMut::from(body.as_slice()), &limits()).unwrap();
    assert_eq!((request.transactional_id, request.acks), (None, -1));
    let records: Vec<_> = request.topics[0]
        .partitions
        .iter()
        .map(|p| p.records.as_deref())
        .collect();
    assert_eq!(records, [None, Some(&[][..])]);
}

/// The smallest topics there are: empty name, no partitions.
/// A body of version 9 with one partition that has these tagged fields.
fn body_with_tags(tags: &[(u32, &[u8])]) -> BytesMut {
    let mut writer = Writer::new(Encoding::Flexible, 64);
    writer.string(None).unwrap();
    writer.bytes.put_i16(-1);
    writer.bytes.put_i32(1000);
    writer.count(Some(1)).unwrap();
    writer.string(Some("t")).unwrap();
    writer.count(Some(1)).unwrap();
    writer.bytes.put_i32(0);
    writer.count(Some(3)).unwrap();
    writer.bytes.put_slice(b"abc");
    let tags: Vec<_> = tags
        .iter()
        .map(|(tag, value)| (*tag, BytesMut::from(*value)))
        .collect();
    writer.tags(&tags);
    writer.no_tags();
    writer.no_tags();
    writer.bytes
}

#[test]
fn a_links_command_is_read_from_its_tag_and_other_tags_are_passed_over() {
    use crate::mirror::{Fence, LinkId, Operation};
    let command = Command {
        fence: Fence {
            link: LinkId([7; 16]),
            session: 3,
            expected_end: Offset(5),
        },
        operation: Operation::Append {
            source_end: Offset(9),
        },
    };
    let tag = mirror::TAG.unsigned_abs();
    let encoded = command.encode();
    let parsed = |tags: &[(u32, &[u8])]| {
        let request = parse_produce_request(9, body_with_tags(tags), &limits()).unwrap();
        let partition = &request.topics[0].partitions[0];
        assert_eq!(partition.records.as_deref(), Some(&b"abc"[..]));
        partition.mirror.clone()
    };
    assert_eq!(parsed(&[(tag, &encoded)]), Some(Ok(command)));
    assert_eq!(
        parsed(&[(5, b"x"), (tag, &encoded), (10_001, b"")]),
        Some(Ok(command))
    );
    assert_eq!(parsed(&[(5, b"x")]), None);
    assert!(matches!(parsed(&[(tag, b"x")]), Some(Err(_))));
}

#[test]
fn a_report_is_written_behind_the_other_tags_from_version_9_on() {
    use crate::mirror::{LinkId, Ownership};
    let report = Report {
        link: LinkId([7; 16]),
        session: 3,
        log_start: Offset(1),
        log_end: Offset(2),
        high_watermark: Offset(2),
        source_end: Offset(4),
        leader_epoch: LeaderEpoch(1_000_001),
        last_epoch: LeaderEpoch(6),
        lease_left_ms: 7,
        ownership: Ownership::Link,
    };
    for version in 9..=12 {
        let mut response = a_response(version);
        response.topics[0].partitions[0].mirror = Some(report);
        let frame = encode_produce_response(5, version, &response).unwrap();
        let mut body = frame.slice(9..);
        let decoded = messages::ProduceResponse::decode(&mut body, version).unwrap();
        let tags = &decoded.responses[0].partition_responses[0].unknown_tagged_fields;
        let bytes = tags.get(&mirror::TAG).expect("the report");
        assert_eq!(Report::decode(bytes), Ok(report), "v{version}");
    }
}

#[test]
fn many_empty_topics_parse() {
    let mut plain = vec![0xff, 0xff, 0, 1, 0, 0, 0, 0, 0, 0, 0, 100];
    plain.extend([0; 600]);
    let mut flexible = vec![0, 0, 1, 0, 0, 0, 0, 101];
    (0..100).for_each(|_| flexible.extend([1, 1, 0]));
    flexible.push(0);
    compare(3, &plain);
    compare(9, &flexible);
    assert_eq!(
        parse_produce_request(9, BytesMut::from(&flexible[..]), &limits())
            .unwrap()
            .topics
            .len(),
        100
    );
}

#[test]
fn bad_requests_are_refused_by_name() {
    let refuse = |version, body: &[u8]| {
        parse_produce_request(version, BytesMut::from(body), &limits())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(refuse(2, &[]), "Produce request has no version 2, only 3 to 13");
    assert_eq!(
        refuse(3, &[0xff, 0xff, 0, 1, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff]),
        "Produce v3: topic_data at byte 8: 2147483647 elements of at least 6 bytes do not fit into the 0 bytes left"
    );
    let mut body = vec![0xff, 0xff, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0xff, 0, 0, 0, 0];
    assert_eq!(
        refuse(3, &body),
        "Produce v3: topic_data.name at byte 12: not UTF-8"
    );
    body[14] = b't';
    assert!(parse_produce_request(3, BytesMut::from(body.as_slice()), &limits()).is_ok());
}

fn a_response(version: i16) -> ProduceResponse {
    let partition = ProducePartitionResponse {
        index: PartitionIndex(3),
        error_code: ErrorCode::None,
        base_offset: Offset(1 << 40),
        log_append_time_ms: TimestampMs(1_700_000_000_000),
        log_start_offset: Offset(17),
        record_errors: vec![
            RecordError {
                batch_index: 2,
                message: Some("no key".to_owned()),
            },
            RecordError {
                batch_index: 5,
                message: None,
            },
        ],
        error_message: Some("x".repeat(300)),
        current_leader: Some(CurrentLeader {
            leader_id: BrokerId(4),
            leader_epoch: LeaderEpoch(9),
        }),
        mirror: None,
    };
    let refused = ProducePartitionResponse::refused(PartitionIndex(-1), ErrorCode::NotLeaderOrFollower);
    ProduceResponse {
        topics: vec![
            ProduceTopicResponse {
                topic: key(version, "first", [7; 16]),
                partitions: vec![partition, refused],
            },
            ProduceTopicResponse {
                topic: key(version, "", [0; 16]),
                partitions: vec![],
            },
        ],
        throttle_time_ms: 250,
        node_endpoints: vec![
            NodeEndpoint {
                node_id: BrokerId(4),
                host: "h4".to_owned(),
                port: 9092,
                rack: Some("r".to_owned()),
            },
            NodeEndpoint {
                node_id: BrokerId(5),
                host: "h5".to_owned(),
                port: 9093,
                rack: None,
            },
        ],
    }
}

#[test]
fn responses_decode_to_the_same_values_in_every_version() {
    for version in 3..=13 {
        let ours = a_response(version);
        let frame = encode_produce_response(77, version, &ours).unwrap();
        assert_eq!(frame[..4], u32::try_from(frame.len() - 4).unwrap().to_be_bytes());
        let (correlation_id, start) = parse_response_header(KEY, version, &frame[4..]).unwrap();
        assert_eq!(correlation_id, 77);
        guard::check_response(KEY, version, &frame[4 + start..], &limits()).unwrap();
        let mut rest = frame.slice(4 + start..);
        let theirs = messages::ProduceResponse::decode(&mut rest, version).unwrap();
        assert!(rest.is_empty());
        assert_eq!(theirs.throttle_time_ms, 250);
        let endpoints: Vec<_> = theirs
            .node_endpoints
            .iter()
            .map(|n| {
                (
                    n.node_id.0,
                    n.host.as_str(),
                    n.port,
                    n.rack.as_ref().map(|r| r.as_str()),
                )
            })
            .collect();
        let expected = [(4, "h4", 9092, Some("r")), (5, "h5", 9093, None)];
        assert_eq!(endpoints, if version >= 10 { &expected[..] } else { &[] });
        assert_eq!(theirs.responses.len(), 2);
        for (ours, theirs) in ours.topics.iter().zip(&theirs.responses) {
            assert_eq!(
                ours.topic,
                key(version, theirs.name.as_str(), theirs.topic_id.into_bytes())
            );
            assert_eq!(ours.partitions.len(), theirs.partition_responses.len());
            for (ours, theirs) in ours.partitions.iter().zip(&theirs.partition_responses) {
                compare_partition(version, ours, theirs);
            }
        }
    }
}

fn compare_partition(
    version: i16,
    ours: &ProducePartitionResponse,
    theirs: &messages::produce_response::PartitionProduceResponse,
) {
    assert_eq!(ours.index.get(), theirs.index);
    assert_eq!(ours.error_code.code(), theirs.error_code);
    assert_eq!(ours.base_offset.get(), theirs.base_offset);
    assert_eq!(ours.log_append_time_ms.get(), theirs.log_append_time_ms);
    assert_eq!(
        if version >= 5 {
            ours.log_start_offset.get()
        } else {
            -1
        },
        theirs.log_start_offset
    );
    let (mut errors, mut message) = (Vec::new(), None);
    if version >= 8 {
        errors = ours
            .record_errors
            .iter()
            .map(|e| (e.batch_index, e.message.as_deref()))
            .collect();
        message = ours.error_message.as_deref();
    }
    let their_errors: Vec<_> = theirs
        .record_errors
        .iter()
        .map(|e| {
            (
                e.batch_index,
                e.batch_index_error_message.as_ref().map(|m| m.as_str()),
            )
        })
        .collect();
    assert_eq!(errors, their_errors);
    assert_eq!(message, theirs.error_message.as_ref().map(|m| m.as_str()));
    let leader = ours.current_leader.filter(|_| version >= 10);
    let leader = leader.map_or((-1, -1), |l| (l.leader_id.get(), l.leader_epoch.get()));
    assert_eq!(
        leader,
        (
            theirs.current_leader.leader_id.0,
            theirs.current_leader.leader_epoch
        )
    );
}

#[test]
fn a_response_that_the_version_cannot_say_is_refused() {
    let wrong = |version, other| encode_produce_response(1, version, &a_response(other)).unwrap_err();
    assert!(wrong(12, 13).to_string().contains("the version wants its name"));
    assert!(wrong(13, 12).to_string().contains("the version wants its id"));
    assert!(wrong(14, 13).to_string().contains("no version 14"));
    let mut response = a_response(9);
    response.topics[0].partitions[0].error_message = Some("x".repeat(40_000));
    assert!(
        encode_produce_response(1, 9, &response)
            .unwrap_err()
            .to_string()
            .contains("40000 bytes")
    );
}

proptest! {
    #[test]
    fn random_and_mutated_requests_never_panic(
        version in 0..15i16,
        seed in any::<u64>(),
        edits in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = parse_produce_request(version, BytesMut::from(bytes.as_slice()), &limits());
        let schema = schema::message(Direction::Request, KEY).unwrap();
        let version = version.clamp(3, 13);
        let mut body = sample(schema, version, seed, Fill::Random).body;
        for (index, byte) in edits {
            let index = index.index(body.len());
            body[index] = byte;
        }
        let ours = parse_produce_request(version, BytesMut::from(body.as_slice()), &limits());
        let theirs =
            decode_request_as::<messages::ProduceRequest>(version, Bytes::from(body.clone()), &limits());
        prop_assert_eq!(ours.is_ok(), theirs.is_ok());
        if ours.is_ok() {
            compare(version, &body);
        }
    }
}
