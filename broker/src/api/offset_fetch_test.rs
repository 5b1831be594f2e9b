use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest};

use super::super::testing::TestBroker;
use super::*;

/// Asks for partitions 0 and 7 of `orders`, or for everything.
fn request(version: i16, group: &str, everything: bool) -> OffsetFetchRequest {
    let request = OffsetFetchRequest::default();
    if version >= GROUPS_SINCE {
        let topic = OffsetFetchRequestTopics::default()
            .with_name(text("orders").into())
            .with_partition_indexes(vec![0, 7]);
        let group = OffsetFetchRequestGroup::default()
            .with_group_id(text(group).into())
            .with_topics((!everything).then(|| vec![topic]));
        return request.with_groups(vec![group]);
    }
    let topic = OffsetFetchRequestTopic::default()
        .with_name(text("orders").into())
        .with_partition_indexes(vec![0, 7]);
    request
        .with_group_id(text(group).into())
        .with_topics((!everything).then(|| vec![topic]))
}

/// Partition, offset, metadata and error of every partition, after the errors above them were checked.
fn partitions(response: &OffsetFetchResponse) -> Vec<(i32, i64, String, i16)> {
    assert_eq!(response.error_code, 0);
    let mut flat = Vec::new();
    for partition in response.topics.iter().flat_map(|topic| &topic.partitions) {
        let metadata = partition.metadata.as_ref().unwrap().to_string();
        flat.push((
            partition.partition_index,
            partition.committed_offset,
            metadata,
            partition.error_code,
        ));
    }
    for group in &response.groups {
        assert_eq!(group.error_code, 0);
        for partition in group.topics.iter().flat_map(|topic| &topic.partitions) {
            let metadata = partition.metadata.as_ref().unwrap().to_string();
            flat.push((
                partition.partition_index,
                partition.committed_offset,
                metadata,
                partition.error_code,
            ));
        }
    }
    flat
}

async fn commit(broker: &TestBroker, version: i16, topic: &str, partitions: &[i32]) -> OffsetCommitResponse {
    let partitions = partitions.iter().map(|index| {
        OffsetCommitRequestPartition::default()
            .with_partition_index(*index)
            .with_committed_offset(40 + i64::from(version))
            .with_committed_metadata(Some(text("note")))
    });
    let topic = OffsetCommitRequestTopic::default()
        .with_name(text(topic).into())
        .with_partitions(partitions.collect());
    let request = OffsetCommitRequest::default()
        .with_group_id(text("g").into())
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic]);
    broker.call(version, &request).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_02_an_unknown_group_is_no_error() {
    let broker = TestBroker::start();
    for version in 1..=9 {
        let response = broker.call(version, &request(version, "nobody", false)).await;
        let nothing = |index| (index, -1, String::new(), 0);
        assert_eq!(partitions(&response), [nothing(0), nothing(7)], "v{version}");
        if version >= 2 {
            let response = broker.call(version, &request(version, "nobody", true)).await;
            assert_eq!(partitions(&response), [], "v{version}");
        }
    }
    broker.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_19_a_commit_with_its_metadata_is_fetched_in_every_version() {
    let broker = TestBroker::start();
    broker.running.topic("orders").await;
    for version in 2..=9 {
        let response = commit(&broker, version, "orders", &[0]).await;
        assert_eq!(response.topics[0].partitions[0].error_code, 0, "v{version}");
        let told = (0, 40 + i64::from(version), "note".to_owned(), 0);
        let response = broker.call(version, &request(version, "g", false)).await;
        assert_eq!(
            partitions(&response),
            [told.clone(), (7, -1, String::new(), 0)],
            "v{version}"
        );
        let response = broker.call(version, &request(version, "g", true)).await;
        assert_eq!(partitions(&response), [told], "v{version}");
    }
    broker.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_that_does_not_exist_is_refused_alone() {
    let broker = TestBroker::start();
    broker.running.topic("orders").await;
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    let response = commit(&broker, 8, "orders", &[5, 1, -1, 0]).await;
    let codes: Vec<(i32, i16)> = response.topics[0]
        .partitions
        .iter()
        .map(|p| (p.partition_index, p.error_code))
        .collect();
    assert_eq!(codes, [(5, unknown), (1, 0), (-1, unknown), (0, 0)]);
    let response = commit(&broker, 8, "nowhere", &[0]).await;
    assert_eq!(response.topics[0].partitions[0].error_code, unknown);
    broker.running.stop().await;
}

/// v10 differs from v9 only in how topics are named: 16 bytes of an id stand where a string of 15 characters stood.
fn by_id(body: &impl kafka_protocol::protocol::Encodable, names: &[(&str, TopicId)]) -> bytes::Bytes {
    let mut bytes = Vec::new();
    body.encode(&mut bytes, 9).unwrap();
    for (name, id) in names {
        let written = [&[16], name.as_bytes()].concat();
        let at = bytes.windows(16).position(|window| window == written).unwrap();
        bytes[at..at + 16].copy_from_slice(&id.0);
    }
    bytes.into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn version_10_names_topics_by_id_and_unknown_ids_are_refused_one_by_one() {
    const KNOWN: &str = "orders-of-today";
    const GONE: &str = "some-other-name";
    let broker = TestBroker::start();
    broker.running.topic(KNOWN).await;
    let id = broker.running.topics.by_name(KNOWN).unwrap().id;
    let stranger = TopicId([9; 16]);
    let names = [(KNOWN, id), (GONE, stranger)];
    let unknown = ErrorCode::UnknownTopicId.code();

    let partition = OffsetCommitRequestPartition::default()
        .with_committed_offset(77)
        .with_committed_metadata(Some(text("note")));
    let topic = |name: &'static str| {
        OffsetCommitRequestTopic::default()
            .with_name(text(name).into())
            .with_partitions(vec![partition.clone(), partition.clone().with_partition_index(5)])
    };
    let commit = OffsetCommitRequest::default()
        .with_group_id(text("g").into())
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic(GONE), topic(KNOWN)]);
    let body = by_id(&commit, &names);
    let response: OffsetCommitResponse = broker.call_raw::<OffsetCommitRequest>(10, body).await;
    let told: Vec<_> = response
        .topics
        .iter()
        .map(|topic| {
            let codes: Vec<i16> = topic.partitions.iter().map(|p| p.error_code).collect();
            (TopicId(topic.topic_id.into_bytes()), codes)
        })
        .collect();
    let not_there = ErrorCode::UnknownTopicOrPartition.code();
    assert_eq!(
        told,
        [(stranger, vec![unknown, unknown]), (id, vec![0, not_there])]
    );

    let topic = |name: &'static str| {
        OffsetFetchRequestTopics::default()
            .with_name(text(name).into())
            .with_partition_indexes(vec![0])
    };
    let named = OffsetFetchRequestGroup::default()
        .with_group_id(text("g").into())
        .with_topics(Some(vec![topic(GONE), topic(KNOWN)]));
    let everything = OffsetFetchRequestGroup::default()
        .with_group_id(text("g").into())
        .with_topics(None);
    let fetch = OffsetFetchRequest::default().with_groups(vec![named, everything]);
    let body = by_id(&fetch, &names);
    let response: OffsetFetchResponse = broker.call_raw::<OffsetFetchRequest>(10, body).await;
    let told = |group: usize| -> Vec<_> {
        let topics = response.groups[group].topics.iter();
        topics
            .map(|topic| {
                assert_eq!(topic.partitions.len(), 1);
                let partition = &topic.partitions[0];
                let note = partition.metadata.as_ref().unwrap().to_string();
                let id = TopicId(topic.topic_id.into_bytes());
                (id, partition.committed_offset, note, partition.error_code)
            })
            .collect()
    };
    let found = (id, 77, "note".to_owned(), 0);
    assert_eq!(told(0), [found.clone(), (stranger, -1, String::new(), unknown)]);
    assert_eq!(told(1), [found]);
    broker.running.stop().await;
}
