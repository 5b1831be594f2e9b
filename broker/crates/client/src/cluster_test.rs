use super::*;
use crate::fake_broker::{Asked, FakeBroker, Reply, reply};
use crate::{Backoff, Isolation, OffsetQuery, Validation};
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    ApiKey, CreatePartitionsResponse, ListOffsetsResponse, MetadataResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use std::time::Duration;
use thalweg_types::Offset;

const OFFERED: &[(ApiKey, i16)] = &[
    (ApiKey::Metadata, 12),
    (ApiKey::ListOffsets, 7),
    (ApiKey::CreatePartitions, 3),
];

fn name() -> TopicName {
    TopicName(StrBytes::from_static_str("orders"))
}

/// Metadata of one broker that leads the only partition of `orders`.
fn metadata(address: &Address, topic_error: ErrorCode, leader: i32) -> MetadataResponse {
    let broker = MetadataResponseBroker::default()
        .with_node_id(7.into())
        .with_host(StrBytes::from_string(address.host.clone()))
        .with_port(address.port.into());
    let partition = MetadataResponsePartition::default().with_leader_id(leader.into());
    let topic = MetadataResponseTopic::default()
        .with_name(Some(name()))
        .with_error_code(topic_error.code())
        .with_partitions(vec![partition]);
    MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_controller_id(7.into())
        .with_topics(vec![topic])
}

fn offsets(error: ErrorCode, offset: i64) -> ListOffsetsResponse {
    let partition = ListOffsetsPartitionResponse::default()
        .with_error_code(error.code())
        .with_offset(offset);
    let topic = ListOffsetsTopicResponse::default()
        .with_name(name())
        .with_partitions(vec![partition]);
    ListOffsetsResponse::default().with_topics(vec![topic])
}

fn cluster(broker: &FakeBroker) -> Cluster {
    Cluster::new(ClientConfig {
        dialer: None,
        backoff: Backoff {
            first: Duration::from_millis(1),
            max: Duration::from_millis(2),
        },
        operation_timeout: Duration::from_secs(5),
        ..ClientConfig::new(vec![broker.address.clone()])
    })
}

fn end_query() -> [(TopicPartition, OffsetQuery); 1] {
    [(
        TopicPartition::new("orders", PartitionIndex(0)),
        OffsetQuery::Latest,
    )]
}

#[tokio::test]
async fn a_read_that_meets_a_moved_leader_asks_for_metadata_and_tries_again() {
    let broker = FakeBroker::start(OFFERED, |address, asked| match asked {
        Asked {
            key: ApiKey::Metadata,
            version,
            before,
        } => {
            // No leader at first: that is waited for, too.
            reply(
                &metadata(address, ErrorCode::None, if before == 0 { -1 } else { 7 }),
                version,
            )
        }
        Asked {
            version, before: 0, ..
        } => reply(&offsets(ErrorCode::NotLeaderOrFollower, -1), version),
        Asked { before: 1, .. } => Reply::HangUp,
        Asked { version, .. } => reply(&offsets(ErrorCode::None, 42), version),
    })
    .await;
    let listed = cluster(&broker)
        .list_offsets(&end_query(), Isolation::ReadUncommitted)
        .await
        .unwrap();
    assert_eq!(listed.into_values().next().unwrap().offset, Offset(42));
    assert_eq!(broker.count(ApiKey::ListOffsets), 3);
    assert!(broker.count(ApiKey::Metadata) >= 4);
}

#[tokio::test]
async fn a_known_leader_costs_one_request_on_one_connection() {
    let broker = FakeBroker::start(OFFERED, |address, asked| match asked {
        Asked {
            key: ApiKey::Metadata,
            version,
            ..
        } => reply(&metadata(address, ErrorCode::None, 7), version),
        Asked { version, .. } => reply(&offsets(ErrorCode::None, 1), version),
    })
    .await;
    let cluster = cluster(&broker);
    for _ in 0..5 {
        cluster
            .list_offsets(&end_query(), Isolation::ReadUncommitted)
            .await
            .unwrap();
    }
    let counts = [ApiKey::ApiVersions, ApiKey::Metadata, ApiKey::ListOffsets].map(|key| broker.count(key));
    assert_eq!(counts, [1, 1, 5]);
}

#[tokio::test]
async fn an_unknown_topic_is_given_up_after_a_few_tries() {
    let broker = FakeBroker::start(OFFERED, |address, asked| {
        reply(
            &metadata(address, ErrorCode::UnknownTopicOrPartition, -1),
            asked.version,
        )
    })
    .await;
    let error = cluster(&broker)
        .topic("orders", TopicCreation::Never)
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::UnknownTopicOrPartition));
    assert_eq!(
        error.to_string(),
        "topic 'orders': Metadata answered UNKNOWN_TOPIC_OR_PARTITION: This broker has no such topic or partition."
    );
    assert_eq!(broker.count(ApiKey::Metadata), 3);
}

#[tokio::test]
async fn a_partition_that_does_not_exist_is_not_waited_for() {
    let broker = FakeBroker::start(OFFERED, |address, asked| {
        reply(&metadata(address, ErrorCode::None, 7), asked.version)
    })
    .await;
    let query = [(
        TopicPartition::new("orders", PartitionIndex(9)),
        OffsetQuery::Latest,
    )];
    let error = cluster(&broker)
        .list_offsets(&query, Isolation::ReadUncommitted)
        .await
        .unwrap_err();
    assert!(
        matches!(error, ClientError::NoPartition { count: 1, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_change_whose_answer_was_lost_is_not_sent_again() {
    let broker = FakeBroker::start(OFFERED, |address, asked| match asked {
        Asked {
            key: ApiKey::Metadata,
            version,
            ..
        } => reply(&metadata(address, ErrorCode::None, 7), version),
        _ => Reply::HangUp,
    })
    .await;
    let error = cluster(&broker)
        .create_partitions("orders", 3, Validation::Apply)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::Closed {
                api: "CreatePartitions",
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(broker.count(ApiKey::CreatePartitions), 1);
}

#[tokio::test]
async fn a_change_that_was_turned_away_at_the_door_is_sent_again() {
    let broker = FakeBroker::start(OFFERED, |address, asked| match asked {
        Asked {
            key: ApiKey::Metadata,
            version,
            ..
        } => reply(&metadata(address, ErrorCode::None, 7), version),
        Asked { version, before, .. } => {
            let error = if before == 0 {
                ErrorCode::NotController
            } else {
                ErrorCode::None
            };
            let result = CreatePartitionsTopicResult::default()
                .with_name(name())
                .with_error_code(error.code());
            reply(
                &CreatePartitionsResponse::default().with_results(vec![result]),
                version,
            )
        }
    })
    .await;
    cluster(&broker)
        .create_partitions("orders", 3, Validation::Apply)
        .await
        .unwrap();
    assert_eq!(broker.count(ApiKey::CreatePartitions), 2);
}

#[tokio::test]
async fn retries_end_at_the_deadline_with_the_last_error() {
    let broker = FakeBroker::start(OFFERED, |address, asked| {
        reply(&metadata(address, ErrorCode::None, -1), asked.version)
    })
    .await;
    let config = ClientConfig {
        operation_timeout: Duration::from_millis(30),
        ..cluster(&broker).config().clone()
    };
    let error = Cluster::new(config)
        .list_offsets(&end_query(), Isolation::ReadUncommitted)
        .await
        .unwrap_err();
    let ClientError::DeadlineExceeded {
        operation,
        last,
        attempts,
        ..
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!(operation, "ListOffsets");
    assert!(matches!(*last, ClientError::NoLeader { .. }) && attempts > 1);
}

#[tokio::test]
async fn the_next_bootstrap_address_is_tried_when_one_is_dead() {
    let broker = FakeBroker::start(OFFERED, |address, asked| {
        reply(&metadata(address, ErrorCode::None, 7), asked.version)
    })
    .await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = Address {
        host: "127.0.0.1".to_owned(),
        port: listener.local_addr().unwrap().port(),
    };
    drop(listener);
    let config = ClientConfig {
        bootstrap: vec![dead.clone(), broker.address.clone()],
        ..cluster(&broker).config().clone()
    };
    let brokers = Cluster::connect(config).await.unwrap().brokers().await.unwrap();
    assert_eq!(brokers.len(), 1);
    let error = Cluster::connect(ClientConfig::new(vec![dead.clone()]))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, ClientError::NoBroker { addresses, .. } if *addresses == dead.to_string()),
        "{error}"
    );
}
