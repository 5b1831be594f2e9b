//! Every message body that Apache Kafka's own classes wrote is read and written again, byte for byte.

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};
use thalweg_types::{LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, TopicId};

use crate::guard::{self, Direction, GuardLimits};
use crate::markers::parse_write_txn_markers_request;
use crate::offsets::{TopicKey, parse_offset_commit_request, parse_offset_fetch_request};

const GOLDEN: &str = include_str!("../golden/java-4.3.1/messages.tsv");

/// Messages, with their first and last version, that `kafka-protocol` lacks: what no request of ours may need.
const NOT_IN_THE_MESSAGE_CRATE: &[(&str, &str, i16, i16)] = &[
    ("request", "AddRaftVoter", 1, 1),
    ("request", "DescribeLogDirs", 5, 5),
    ("request", "DescribeShareGroupOffsets", 1, 1),
    ("request", "InitProducerId", 6, 6),
    ("request", "ListOffsets", 11, 11),
    ("request", "ReadShareGroupStateSummary", 1, 1),
    ("request", "ShareAcknowledge", 2, 2),
    ("request", "ShareFetch", 2, 2),
    ("request", "StreamsGroupDescribe", 0, 0),
    ("request", "StreamsGroupHeartbeat", 0, 0),
    ("request", "WriteShareGroupState", 1, 1),
    ("response", "AddRaftVoter", 1, 1),
    ("response", "DescribeLogDirs", 5, 5),
    ("response", "DescribeShareGroupOffsets", 1, 1),
    ("response", "ListOffsets", 11, 11),
    ("response", "ReadShareGroupStateSummary", 1, 1),
    ("response", "ShareAcknowledge", 2, 2),
    ("response", "ShareFetch", 2, 2),
    ("response", "StreamsGroupDescribe", 0, 0),
    ("response", "StreamsGroupHeartbeat", 0, 0),
    ("response", "WriteShareGroupState", 1, 1),
];

/// Versions that have a parser of ours, see [`crate::offsets`] and [`crate::markers`].
const WITH_A_PARSER_OF_OURS: &[(Direction, &str, i16)] = &[
    (Direction::Request, "OffsetCommit", 10),
    (Direction::Request, "OffsetFetch", 10),
    (Direction::Request, "WriteTxnMarkers", 2),
    (Direction::Response, "WriteTxnMarkers", 2),
];

struct Line {
    direction: Direction,
    api_key: i16,
    name: &'static str,
    version: i16,
    filling: &'static str,
    body: Bytes,
}

impl Line {
    fn describe(&self) -> String {
        format!(
            "{} {} v{} {}",
            self.direction, self.name, self.version, self.filling
        )
    }
}

fn lines() -> impl Iterator<Item = Line> {
    GOLDEN.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let columns: Vec<&'static str> = line.split('\t').collect();
        let [direction, api_key, name, version, filling, body] = columns[..] else {
            panic!("six columns: {line}");
        };
        Line {
            direction: match direction {
                "request" => Direction::Request,
                "response" => Direction::Response,
                other => panic!("direction {other}"),
            },
            api_key: api_key.parse().expect("a key"),
            name,
            version: version.parse().expect("a version"),
            filling,
            body: bytes_of(body),
        }
    })
}

fn bytes_of(hex: &str) -> Bytes {
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
    (0..hex.len()).step_by(2).map(byte).collect()
}

fn is_known(line: &Line) -> bool {
    guard::supported_versions(line.direction, line.api_key)
        .is_some_and(|(first, last)| (first..=last).contains(&line.version))
}

/// Reads a body through the guard and writes it again.
fn again(line: &Line) -> Result<BytesMut, String> {
    let limits = GuardLimits::default();
    let mut written = BytesMut::new();
    let outcome = match line.direction {
        Direction::Request => guard::decode_request(line.api_key, line.version, line.body.clone(), &limits)
            .map_err(|error| error.to_string())?
            .encode(&mut written, line.version),
        Direction::Response => guard::decode_response(line.api_key, line.version, line.body.clone(), &limits)
            .map_err(|error| error.to_string())?
            .encode(&mut written, line.version),
    };
    outcome.map_err(|error| error.to_string())?;
    Ok(written)
}

#[test]
fn bodies_written_by_apache_kafka_are_read_and_written_byte_for_byte() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in lines().filter(is_known) {
        if WITH_A_PARSER_OF_OURS.contains(&(line.direction, line.name, line.version)) {
            continue;
        }
        count += 1;
        match again(&line) {
            Ok(written) if written == line.body => {}
            Ok(written) => wrong.push(format!("{}: {written:02x?}", line.describe())),
            Err(error) => wrong.push(format!("{}: {error}", line.describe())),
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {count}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(count > 900, "only {count} bodies were compared");
}

#[test]
fn what_is_not_compared_is_listed() {
    let unknown: BTreeSet<_> = lines()
        .filter(|line| !is_known(line))
        .map(|line| (line.direction.to_string(), line.name, line.version))
        .collect();
    let listed: BTreeSet<_> = NOT_IN_THE_MESSAGE_CRATE
        .iter()
        .flat_map(|(direction, name, first, last)| {
            (*first..=*last).map(|version| ((*direction).to_owned(), *name, version))
        })
        .collect();
    assert_eq!(unknown, listed);
}

fn golden(direction: Direction, name: &str, version: i16, filling: &str) -> Bytes {
    let mut found = lines().filter(|line| {
        (line.direction, line.name, line.version, line.filling) == (direction, name, version, filling)
    });
    found.next().expect("the line is there").body
}

fn topic(last: u8) -> TopicKey {
    let mut id = [
        1, 2, 3, 4, 5, 6, 7, 8, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0,
    ];
    id[15] = last;
    TopicKey::Id(TopicId(id))
}

#[test]
fn an_offset_commit_of_version_10_is_read_as_apache_kafka_writes_it() {
    let body = golden(Direction::Request, "OffsetCommit", 10, "full");
    let request = parse_offset_commit_request(10, &body, &GuardLimits::default()).expect("a valid body");
    assert_eq!(request.group_id, "text-1");
    assert_eq!(request.generation_or_epoch, 100_002);
    assert_eq!(request.member_id, "text-3");
    assert_eq!(request.instance_id.as_deref(), Some("text-4"));
    let [first, second] = &request.topics[..] else {
        panic!("two topics: {request:?}");
    };
    assert_eq!((&first.topic, &second.topic), (&topic(5), &topic(10)));
    let partition = &first.partitions[0];
    assert_eq!(partition.index, PartitionIndex(100_006));
    assert_eq!(partition.offset, Offset(10_000_000_007));
    assert_eq!(partition.leader_epoch, LeaderEpoch(100_008));
    assert_eq!(partition.metadata.as_deref(), Some("text-9"));
    let sparse = golden(Direction::Request, "OffsetCommit", 10, "sparse");
    let request = parse_offset_commit_request(10, &sparse, &GuardLimits::default()).expect("a valid body");
    assert_eq!((request.instance_id, request.topics), (None, Vec::new()));
}

#[test]
fn an_offset_fetch_of_version_10_is_read_as_apache_kafka_writes_it() {
    let body = golden(Direction::Request, "OffsetFetch", 10, "full");
    let request = parse_offset_fetch_request(10, &body, &GuardLimits::default()).expect("a valid body");
    let group = &request.groups[0];
    assert_eq!(group.group_id, "text-1");
    assert_eq!(group.member_id.as_deref(), Some("text-2"));
    assert_eq!(group.member_epoch, 100_003);
    let topics = group.topics.as_deref().expect("topics");
    assert_eq!(topics[0].topic, topic(4));
    assert_eq!(topics[0].partitions, [PartitionIndex(100_005)]);
    assert_eq!(request.groups.len(), 2);
    let sparse = golden(Direction::Request, "OffsetFetch", 10, "sparse");
    let request = parse_offset_fetch_request(10, &sparse, &GuardLimits::default()).expect("a valid body");
    assert!(request.groups.is_empty());
}

#[test]
fn markers_of_version_2_are_read_as_apache_kafka_writes_them() {
    let body = golden(Direction::Request, "WriteTxnMarkers", 2, "full");
    let markers = parse_write_txn_markers_request(2, &body, &GuardLimits::default()).expect("a valid body");
    let [first, second] = &markers[..] else {
        panic!("two markers: {markers:?}");
    };
    assert_eq!(first.producer_id, ProducerId(10_000_000_001));
    assert_eq!(first.producer_epoch, ProducerEpoch(1002));
    assert_eq!((first.is_commit, second.is_commit), (true, false));
    assert_eq!(first.topics[0].name, "text-4");
    assert_eq!(first.topics[0].partitions, [PartitionIndex(100_005)]);
    assert_eq!(first.coordinator_epoch, 100_006);
    assert_eq!((first.transaction_version, second.transaction_version), (7, 14));
    let sparse = golden(Direction::Request, "WriteTxnMarkers", 2, "sparse");
    let markers = parse_write_txn_markers_request(2, &sparse, &GuardLimits::default()).expect("a valid body");
    assert!(markers.is_empty());
    // What lets version 2 be answered in the form of version 1.
    for filling in ["full", "sparse"] {
        let [old, new] =
            [1, 2].map(|version| golden(Direction::Response, "WriteTxnMarkers", version, filling));
        assert_eq!(old, new);
    }
}
