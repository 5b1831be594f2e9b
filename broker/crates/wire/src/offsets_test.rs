use bytes::Bytes;
use kafka_protocol::messages::{
    OffsetCommitRequest as TheirCommit, OffsetFetchRequest as TheirFetch, offset_fetch_request as of,
};
use thalweg_types::{LeaderEpoch, Offset, PartitionIndex, TopicId};

use super::*;
use crate::guard::{Direction, GuardLimits, decode_request_as};
use crate::sample::{Fill, sample};
use crate::schema;

fn limits() -> GuardLimits {
    GuardLimits::default()
}

fn commit_of(theirs: &TheirCommit) -> CommitRequest {
    let topics = theirs.topics.iter().map(|topic| CommitTopic {
        topic: TopicKey::Name(topic.name.to_string()),
        partitions: topic
            .partitions
            .iter()
            .map(|partition| CommitPartition {
                index: PartitionIndex(partition.partition_index),
                offset: Offset(partition.committed_offset),
                leader_epoch: LeaderEpoch(partition.committed_leader_epoch),
                metadata: partition.committed_metadata.as_ref().map(ToString::to_string),
            })
            .collect(),
    });
    CommitRequest {
        group_id: theirs.group_id.to_string(),
        generation_or_epoch: theirs.generation_id_or_member_epoch,
        member_id: theirs.member_id.to_string(),
        instance_id: theirs.group_instance_id.as_ref().map(ToString::to_string),
        retention_time_ms: theirs.retention_time_ms,
        topics: topics.collect(),
    }
}

fn fetch_of(version: i16, theirs: &TheirFetch) -> OffsetFetchRequest {
    let topic = |name: &str, partitions: &[i32]| FetchTopic {
        topic: TopicKey::Name(name.to_owned()),
        partitions: partitions.iter().copied().map(PartitionIndex).collect(),
    };
    let group = |group: &of::OffsetFetchRequestGroup| FetchGroup {
        group_id: group.group_id.to_string(),
        member_id: group.member_id.as_ref().map(ToString::to_string),
        member_epoch: group.member_epoch,
        topics: group.topics.as_ref().map(|topics| {
            let topics = topics.iter().map(|t| topic(&t.name, &t.partition_indexes));
            topics.collect()
        }),
    };
    let groups = if version >= 8 {
        theirs.groups.iter().map(group).collect()
    } else {
        let topics = theirs.topics.as_ref();
        vec![FetchGroup {
            group_id: theirs.group_id.to_string(),
            member_id: None,
            member_epoch: -1,
            topics: topics.map(|all| all.iter().map(|t| topic(&t.name, &t.partition_indexes)).collect()),
        }]
    };
    OffsetFetchRequest {
        groups,
        require_stable: theirs.require_stable,
    }
}

fn body(key: i16, version: i16, seed: u64) -> Vec<u8> {
    let schema = schema::message(Direction::Request, key).unwrap();
    let fill = if seed < 20 { Fill::Full } else { Fill::Random };
    sample(schema, version, seed, fill).body
}

#[test]
fn random_requests_parse_as_the_message_crate_decodes_them() {
    for seed in 0..200 {
        for version in 2..=9 {
            let body = body(COMMIT_KEY, version, seed);
            let theirs: TheirCommit =
                decode_request_as(version, Bytes::copy_from_slice(&body), &limits()).unwrap();
            let ours = parse_offset_commit_request(version, &body, &limits()).unwrap();
            assert_eq!(ours, commit_of(&theirs), "v{version} seed {seed}");
        }
        for version in 1..=9 {
            let body = body(FETCH_KEY, version, seed);
            let theirs: TheirFetch =
                decode_request_as(version, Bytes::copy_from_slice(&body), &limits()).unwrap();
            let ours = parse_offset_fetch_request(version, &body, &limits()).unwrap();
            assert_eq!(ours, fetch_of(version, &theirs), "v{version} seed {seed}");
        }
    }
}

/// A compact string of 15 bytes and an id of 16 take the same bytes if the id begins with 16, the string's length + 1:
/// so a v9 body of such names is a v10 body of such ids, and the message crate can write it.
mod topic_ids {
    use kafka_protocol::messages::offset_commit_request::{
        OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    };
    use kafka_protocol::protocol::{Encodable, StrBytes};
    use proptest::prelude::*;

    use super::*;

    fn id_of(name: &str) -> TopicKey {
        let mut id = [16; 16];
        id[1..].copy_from_slice(name.as_bytes());
        TopicKey::Id(TopicId(id))
    }

    fn text() -> impl Strategy<Value = StrBytes> {
        "[a-zä]{0,20}".prop_map(StrBytes::from_string)
    }

    fn name() -> impl Strategy<Value = StrBytes> {
        "[a-z0-9._-]{15}".prop_map(StrBytes::from_string)
    }

    fn renamed(key: &mut TopicKey) {
        if let TopicKey::Name(name) = key {
            *key = id_of(name);
        }
    }

    prop_compose! {
        fn commit_topic()(
            name in name(),
            partitions in prop::collection::vec(
                (any::<i32>(), any::<i64>(), any::<i32>(), prop::option::of(text())), 0..4,
            ),
        ) -> OffsetCommitRequestTopic {
            let partitions = partitions.into_iter().map(|(index, offset, epoch, note)| {
                OffsetCommitRequestPartition::default()
                    .with_partition_index(index)
                    .with_committed_offset(offset)
                    .with_committed_leader_epoch(epoch)
                    .with_committed_metadata(note)
            });
            OffsetCommitRequestTopic::default().with_name(name.into()).with_partitions(partitions.collect())
        }
    }

    prop_compose! {
        fn fetch_group()(
            group in text(),
            member in prop::option::of(text()),
            epoch in any::<i32>(),
            topics in prop::option::of(prop::collection::vec(
                (name(), prop::collection::vec(any::<i32>(), 0..4)), 0..4,
            )),
        ) -> of::OffsetFetchRequestGroup {
            let topics = topics.map(|topics| topics.into_iter().map(|(name, partitions)| {
                of::OffsetFetchRequestTopics::default()
                    .with_name(name.into())
                    .with_partition_indexes(partitions)
            }).collect());
            of::OffsetFetchRequestGroup::default()
                .with_group_id(group.into())
                .with_member_id(member)
                .with_member_epoch(epoch)
                .with_topics(topics)
        }
    }

    proptest! {
        #[test]
        fn a_commit_by_id_parses_to_what_was_written(
            (group, member) in (text(), text()),
            generation in any::<i32>(),
            instance in prop::option::of(text()),
            topics in prop::collection::vec(commit_topic(), 0..4),
        ) {
            let theirs = TheirCommit::default()
                .with_group_id(group.into())
                .with_member_id(member)
                .with_generation_id_or_member_epoch(generation)
                .with_group_instance_id(instance)
                .with_topics(topics);
            let mut body = Vec::new();
            theirs.encode(&mut body, 9).unwrap();
            let mut expected = commit_of(&theirs);
            expected.topics.iter_mut().for_each(|topic| renamed(&mut topic.topic));
            prop_assert_eq!(parse_offset_commit_request(10, &body, &limits()).unwrap(), expected);
        }

        #[test]
        fn a_fetch_by_id_parses_to_what_was_written(
            groups in prop::collection::vec(fetch_group(), 0..4),
            stable in any::<bool>(),
        ) {
            let theirs = TheirFetch::default().with_groups(groups).with_require_stable(stable);
            let mut body = Vec::new();
            theirs.encode(&mut body, 9).unwrap();
            let mut expected = fetch_of(9, &theirs);
            let topics = expected.groups.iter_mut().flat_map(|group| group.topics.iter_mut().flatten());
            topics.for_each(|topic| renamed(&mut topic.topic));
            prop_assert_eq!(parse_offset_fetch_request(10, &body, &limits()).unwrap(), expected);
        }
    }
}

#[test]
fn a_body_cut_or_lengthened_anywhere_is_refused_and_never_panics() {
    for seed in 0..40 {
        for (key, version) in [(COMMIT_KEY, 2), (COMMIT_KEY, 10), (FETCH_KEY, 1), (FETCH_KEY, 10)] {
            let mut body = body(key, version, seed);
            let refused = |body: &[u8]| match key {
                COMMIT_KEY => parse_offset_commit_request(version, body, &limits()).is_err(),
                _ => parse_offset_fetch_request(version, body, &limits()).is_err(),
            };
            assert!(!refused(&body), "{key} v{version} seed {seed}");
            for len in 0..body.len() {
                assert!(refused(&body[..len]), "{key} v{version} seed {seed} cut at {len}");
            }
            body.push(0);
            assert!(refused(&body), "{key} v{version} seed {seed}: one byte more");
        }
    }
}

#[test]
fn text_that_is_not_utf8_is_refused_by_name() {
    let body = [0, 1, 0xff, 0, 0, 0, 0, 0, 0];
    assert_eq!(
        parse_offset_fetch_request(1, &body[..7], &limits())
            .unwrap_err()
            .to_string(),
        "OffsetFetch v1: group_id at byte 0: not UTF-8"
    );
}
