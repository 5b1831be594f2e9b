//! The admin APIs through the dispatcher, over a broker on a simulated disk: as a client sees them, bytes included.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use kafka_protocol::messages::describe_topic_partitions_request::TopicRequest;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{
    AlterConfigsRequest, CreatePartitionsRequest, CreateTopicsRequest, DeleteRecordsRequest,
    DeleteTopicsRequest, DescribeClusterRequest, DescribeConfigsRequest, DescribeLogDirsRequest,
    DescribeTopicPartitionsRequest, IncrementalAlterConfigsRequest, InitProducerIdRequest,
    ListConfigResourcesRequest, TopicName,
};
use kafka_protocol::protocol::{Decodable, Request as Message, StrBytes};
use thalweg_settings::{Profile, Settings};
use thalweg_storage::clock::SystemClock;
use thalweg_storage::disk::SimulatedDisk;
use thalweg_telemetry::{Metrics, ShutdownTrigger, shutdown_channel};
use thalweg_types::{ErrorCode, TimestampMs};
use thalweg_wire::frame::{RequestHeader as WireHeader, encode_request, parse_response_header};

use super::table::row;
use super::{
    ApiError, Authorizer, ConnectionInfo, Context, Dispatcher, Reply, Request, RequestHeader, Throttle,
    dispatcher,
};
use crate::broker_configs::BrokerConfigs;
use crate::budget::{BudgetSettings, MemoryBudget};
use crate::clock::Clock;
use crate::groups::Groups;
use crate::live_settings::LiveSettings;
use crate::partition::{DiskGate, FetchSessions, NoTransactions, ProducerIds};
use crate::storage::DataDirectory;
use crate::topics::Topics;
use crate::transactions::{TransactionParts, Transactions};

struct Broker {
    dispatch: Dispatcher,
    budget: MemoryBudget,
    connection: Arc<ConnectionInfo>,
    _shutdown: ShutdownTrigger,
}

fn broker(assignments: &[&str]) -> Broker {
    let mut builder = Settings::builder(Profile::Serve).assignment("wal.file.bytes=4194304");
    for assignment in assignments {
        builder = builder.assignment(assignment);
    }
    let start = builder.build().unwrap();
    let disk = Arc::new(SimulatedDisk::new());
    let directory = DataDirectory::lock(disk.clone(), Path::new("/data")).unwrap();
    let opened = directory
        .open(&start, Arc::new(SystemClock), Box::new(|error| panic!("{error}")))
        .unwrap();
    let settings = LiveSettings::new(start.clone());
    let clock = Clock::manual(TimestampMs(1_700_000_000_000));
    let metadata = opened.metadata;
    let topics = Arc::new(Topics::new(
        metadata.clone(),
        opened.engine,
        settings.clone(),
        clock.clone(),
    ));
    let (trigger, shutdown) = shutdown_channel();
    let budget = MemoryBudget::new(BudgetSettings::from_settings(&start));
    let groups = Groups::start(topics.clone(), settings.clone(), clock.clone(), shutdown.clone());
    let producer_ids = Arc::new(ProducerIds::new(metadata.clone()));
    let transactions = Transactions::start(TransactionParts {
        topics: topics.clone(),
        groups: groups.clone(),
        producer_ids: producer_ids.clone(),
        settings: settings.clone(),
        clock: clock.clone(),
        shutdown: shutdown.clone(),
    });
    let context = Context {
        authorizer: Authorizer::allow_all(),
        throttle: Throttle::unlimited(),
        budget: budget.clone(),
        metrics: Metrics::new().unwrap(),
        broker_configs: Arc::new(BrokerConfigs::new(
            metadata.clone(),
            settings.clone(),
            topics.clone(),
            clock.clone(),
        )),
        disk,
        groups,
        transactions,
        fetch_sessions: Arc::new(FetchSessions::from_settings(&start)),
        producer_ids,
        mirrors: Arc::default(),
        disk_gate: Arc::new(DiskGate::default()),
        transaction_gate: Arc::new(NoTransactions),
        stamp: opened.stamp,
        topics,
        settings,
        clock,
        shutdown,
    };
    let peer = "127.0.0.1:50000".parse().unwrap();
    Broker {
        dispatch: dispatcher(Arc::new(context)),
        budget,
        connection: Arc::new(ConnectionInfo::new(1, peer, Arc::from("PLAINTEXT"))),
        _shutdown: trigger,
    }
}

impl Broker {
    async fn call<R: Message>(&self, version: i16, body: &R) -> R::Response {
        let header = WireHeader {
            api_key: R::KEY,
            api_version: version,
            correlation_id: 9,
            client_id: None,
        };
        let frame = encode_request(&header, body).unwrap().slice(4..);
        let (header, body) = RequestHeader::read(&frame, None).unwrap();
        let request = Request {
            header,
            body,
            connection: self.connection.clone(),
            received_at: Instant::now(),
            memory: self.budget.acquire_request(64, 64).await,
        };
        let response = match (self.dispatch)(request).await.unwrap() {
            Reply::Ready(response) => response,
            Reply::Later(later) => later.await.unwrap(),
            other => panic!("{other:?}"),
        };
        let frame = response.frame.to_contiguous().slice(4..);
        let (correlation_id, position) = parse_response_header(R::KEY, version, &frame).unwrap();
        assert_eq!(correlation_id, 9);
        let mut body = frame.slice(position..);
        let decoded = R::Response::decode(&mut body, version).unwrap();
        assert!(body.is_empty(), "{} bytes left", body.len());
        decoded
    }

    /// Returns the versions that are served.
    fn versions<R: Message>() -> std::ops::RangeInclusive<i16> {
        let row = row(R::KEY).unwrap();
        row.version_min..=row.version_max
    }

    async fn create(&self, name: &str, partitions: i32) {
        let request = creating(vec![topic(name, partitions)]);
        let response = self.call(7, &request).await;
        assert_eq!(response.topics[0].error_code, 0, "{response:?}");
    }

    async fn configs(&self, resource_type: i8, name: &str) -> Vec<DescribeConfigsResourceResult> {
        let resource = DescribeConfigsResource::default()
            .with_resource_type(resource_type)
            .with_resource_name(text(name))
            .with_configuration_keys(None);
        let request = DescribeConfigsRequest::default()
            .with_resources(vec![resource])
            .with_include_synonyms(true);
        let mut response = self.call(4, &request).await;
        assert_eq!(
            response.results[0].error_code, 0,
            "{:?}",
            response.results[0].error_message
        );
        response.results.remove(0).configs
    }

    async fn value(&self, resource_type: i8, name: &str, key: &str) -> (Option<String>, i8) {
        let configs = self.configs(resource_type, name).await;
        let config = configs.into_iter().find(|config| config.name.as_str() == key);
        config.map_or((None, 0), |config| {
            (config.value.map(|value| value.to_string()), config.config_source)
        })
    }

    /// Sends one operation of IncrementalAlterConfigs; returns the code and the message.
    async fn change(
        &self,
        resource: (i8, &str),
        operation: i8,
        key: &str,
        value: Option<&str>,
    ) -> (i16, String) {
        let change = AlterableConfig::default()
            .with_name(text(key))
            .with_config_operation(operation)
            .with_value(value.map(text));
        let resource = AlterConfigsResource::default()
            .with_resource_type(resource.0)
            .with_resource_name(text(resource.1))
            .with_configs(vec![change]);
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        let mut response = self.call(1, &request).await;
        let response = response.responses.remove(0);
        (
            response.error_code,
            response
                .error_message
                .map(|text| text.to_string())
                .unwrap_or_default(),
        )
    }
}

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn name(name: &str) -> TopicName {
    TopicName(text(name))
}

fn topic(topic: &str, partitions: i32) -> CreatableTopic {
    CreatableTopic::default()
        .with_name(name(topic))
        .with_num_partitions(partitions)
        .with_replication_factor(-1)
}

fn creating(topics: Vec<CreatableTopic>) -> CreateTopicsRequest {
    CreateTopicsRequest::default().with_topics(topics)
}

fn code(error: ErrorCode) -> i16 {
    error.code()
}

#[tokio::test]
async fn rule_01_create_topics_answers_every_version_with_configs_since_v5() {
    let broker = broker(&["num.partitions=3"]);
    for version in Broker::versions::<CreateTopicsRequest>() {
        let own = CreatableTopicConfig::default()
            .with_name(text("cleanup.policy"))
            .with_value(Some(text("compact")));
        let topic = topic(&format!("orders-{version}"), -1).with_configs(vec![own]);
        let response = broker.call(version, &creating(vec![topic])).await;
        let created = &response.topics[0];
        assert_eq!((created.error_code, &created.error_message), (0, &None));
        if version >= 5 {
            assert_eq!((created.num_partitions, created.replication_factor), (3, 1));
            let configs = created.configs.as_ref().unwrap();
            assert!(configs.len() > 25 && configs.iter().all(|config| config.config_source > 0));
        }
        assert_eq!(created.topic_id.is_nil(), version < 7);
    }
}

#[tokio::test]
async fn rule_17_create_topics_names_what_is_wrong_by_kafkas_codes() {
    let broker = broker(&[]);
    broker.create("taken", 1).await;
    let config = |key: &str, value: &str| {
        CreatableTopicConfig::default()
            .with_name(text(key))
            .with_value(Some(text(value)))
    };
    let wrong = [
        (topic("a b", 1), ErrorCode::InvalidTopicException),
        (topic("taken", 1), ErrorCode::TopicAlreadyExists),
        (topic("none", 0), ErrorCode::InvalidPartitions),
        (topic("minus", -2), ErrorCode::InvalidPartitions),
        (
            topic("copies", 1).with_replication_factor(3),
            ErrorCode::InvalidReplicationFactor,
        ),
        (
            topic("zero", 1).with_replication_factor(0),
            ErrorCode::InvalidReplicationFactor,
        ),
        (
            topic("value", 1).with_configs(vec![config("retention.ms", "x")]),
            ErrorCode::InvalidConfig,
        ),
        (
            topic("key", 1).with_configs(vec![config("retenion.ms", "1")]),
            ErrorCode::InvalidConfig,
        ),
    ];
    for (topic, expected) in wrong {
        let response = broker.call(7, &creating(vec![topic.clone()])).await;
        assert_eq!(response.topics[0].error_code, code(expected), "{topic:?}");
        assert!(
            response.topics[0]
                .error_message
                .as_ref()
                .is_some_and(|text| !text.is_empty())
        );
    }
    let response = broker
        .call(
            7,
            &creating(vec![topic("twice", 1), topic("twice", 2), topic("once", 1)]),
        )
        .await;
    let answers: Vec<(&str, i16)> = response
        .topics
        .iter()
        .map(|topic| (topic.name.as_str(), topic.error_code))
        .collect();
    assert_eq!(answers, [("twice", code(ErrorCode::InvalidRequest)), ("once", 0)]);
}

#[tokio::test]
async fn a_topic_that_is_only_validated_is_not_there() {
    let broker = broker(&[]);
    let request = creating(vec![topic("orders", 2)]).with_validate_only(true);
    let response = broker.call(7, &request).await;
    assert_eq!(
        (response.topics[0].error_code, response.topics[0].num_partitions),
        (0, 2)
    );
    broker.create("orders", 1).await;
}

#[tokio::test]
async fn topics_are_deleted_by_name_and_by_id_in_every_version() {
    let broker = broker(&[]);
    for version in Broker::versions::<DeleteTopicsRequest>() {
        let created = broker
            .call(7, &creating(vec![topic("orders", 1)]))
            .await
            .topics
            .remove(0);
        let by_name = DeleteTopicState::default().with_name(Some(name("orders")));
        let request = if version >= 6 {
            DeleteTopicsRequest::default().with_topics(vec![by_name])
        } else {
            DeleteTopicsRequest::default().with_topic_names(vec![name("orders")])
        };
        let response = broker.call(version, &request).await;
        assert_eq!(response.responses[0].error_code, 0);
        assert_eq!(response.responses[0].name, Some(name("orders")));
        let again = broker.call(version, &request).await;
        assert_eq!(
            again.responses[0].error_code,
            code(ErrorCode::UnknownTopicOrPartition)
        );
        if version >= 6 {
            assert_eq!(response.responses[0].topic_id, created.topic_id);
            let by_id = DeleteTopicState::default().with_topic_id(created.topic_id);
            let neither = DeleteTopicState::default();
            let request = DeleteTopicsRequest::default().with_topics(vec![by_id, neither]);
            let response = broker.call(version, &request).await;
            let codes: Vec<i16> = response.responses.iter().map(|one| one.error_code).collect();
            assert_eq!(
                codes,
                [code(ErrorCode::UnknownTopicId), code(ErrorCode::InvalidRequest)]
            );
        }
    }
    let created = broker
        .call(7, &creating(vec![topic("orders", 1)]))
        .await
        .topics
        .remove(0);
    let by_id = DeleteTopicState::default().with_topic_id(created.topic_id);
    let request = DeleteTopicsRequest::default().with_topics(vec![by_id.clone()]);
    assert_eq!(
        broker.call(6, &request).await.responses[0].name,
        Some(name("orders"))
    );
}

#[tokio::test]
async fn topics_stay_when_deletion_is_disabled() {
    let broker = broker(&["delete.topic.enable=false"]);
    broker.create("orders", 1).await;
    let request = DeleteTopicsRequest::default().with_topic_names(vec![name("orders")]);
    for (version, expected) in [
        (1, ErrorCode::InvalidRequest),
        (3, ErrorCode::TopicDeletionDisabled),
    ] {
        let response = broker.call(version, &request).await;
        assert_eq!(response.responses[0].error_code, code(expected));
    }
}

#[tokio::test]
async fn rule_19_create_partitions_returns_its_topics() {
    let broker = broker(&[]);
    broker.create("orders", 1).await;
    let asking = |count| {
        CreatePartitionsTopic::default()
            .with_name(name("orders"))
            .with_count(count)
            .with_assignments(None)
    };
    for (version, count) in Broker::versions::<CreatePartitionsRequest>().zip(2..) {
        let request = CreatePartitionsRequest::default().with_topics(vec![asking(count)]);
        let checked = broker
            .call(version, &request.clone().with_validate_only(true))
            .await;
        assert_eq!(checked.results[0].error_code, 0);
        let response = broker.call(version, &request).await;
        assert_eq!(
            (&response.results[0].name, response.results[0].error_code),
            (&name("orders"), 0)
        );
    }
    for count in [5, 1, 0, -1] {
        let request = CreatePartitionsRequest::default().with_topics(vec![asking(count)]);
        let response = broker.call(3, &request).await;
        assert_eq!(
            response.results[0].error_code,
            code(ErrorCode::InvalidPartitions),
            "{count}"
        );
    }
    let request = CreatePartitionsRequest::default().with_topics(vec![asking(9), asking(9)]);
    let response = broker.call(3, &request).await;
    assert_eq!(response.results.len(), 1);
    assert_eq!(response.results[0].error_code, code(ErrorCode::InvalidRequest));
}

#[tokio::test]
async fn rule_14_describe_configs_answers_every_version_for_topic_broker_and_default() {
    let broker = broker(&["num.partitions=4"]);
    broker.create("orders", 1).await;
    let resource = |resource_type, name: &str| {
        DescribeConfigsResource::default()
            .with_resource_type(resource_type)
            .with_resource_name(text(name))
            .with_configuration_keys(None)
    };
    let expected = [
        (resource(TOPIC, "orders"), ErrorCode::None),
        (resource(BROKER, "0"), ErrorCode::None),
        (resource(BROKER, ""), ErrorCode::None),
        (resource(BROKER, "1"), ErrorCode::InvalidRequest),
        (resource(8, "0"), ErrorCode::InvalidRequest),
        (resource(TOPIC, "none"), ErrorCode::UnknownTopicOrPartition),
        (resource(TOPIC, "a b"), ErrorCode::InvalidTopicException),
    ];
    for version in Broker::versions::<DescribeConfigsRequest>() {
        let request = DescribeConfigsRequest::default()
            .with_resources(expected.iter().map(|(resource, _)| resource.clone()).collect())
            .with_include_synonyms(true)
            .with_include_documentation(version >= 3);
        let response = broker.call(version, &request).await;
        let codes: Vec<i16> = response.results.iter().map(|result| result.error_code).collect();
        let wanted: Vec<i16> = expected.iter().map(|(_, error)| code(*error)).collect();
        assert_eq!(codes, wanted, "version {version}");
    }
    assert_eq!(
        broker.value(BROKER, "0", "num.partitions").await,
        (Some("4".to_owned()), 4)
    );
    assert_eq!(
        broker.value(TOPIC, "orders", "min.insync.replicas").await,
        (Some("1".to_owned()), 5)
    );
}

#[tokio::test]
async fn rule_15_incremental_changes_of_a_topic_are_stored_and_reported() {
    let broker = broker(&[]);
    broker.create("orders", 1).await;
    let orders = (TOPIC, "orders");
    assert_eq!(
        broker
            .change(orders, 2, "cleanup.policy", Some("compact"))
            .await
            .0,
        0
    );
    assert_eq!(
        broker.value(TOPIC, "orders", "cleanup.policy").await,
        (Some("delete,compact".to_owned()), 1)
    );
    assert_eq!(
        broker.change(orders, 3, "cleanup.policy", Some("delete")).await.0,
        0
    );
    assert_eq!(
        broker.value(TOPIC, "orders", "cleanup.policy").await,
        (Some("compact".to_owned()), 1)
    );
    assert_eq!(broker.change(orders, 1, "cleanup.policy", None).await.0, 0);
    assert_eq!(
        broker.value(TOPIC, "orders", "cleanup.policy").await,
        (Some("delete".to_owned()), 5)
    );
    assert_eq!(
        broker.change(orders, 0, "min.insync.replicas", Some("2")).await.0,
        0
    );
    assert_eq!(
        broker.value(TOPIC, "orders", "min.insync.replicas").await,
        (Some("2".to_owned()), 1)
    );
    for (key, value) in [("retention.ms", "soon"), ("retenion.ms", "1")] {
        let (error, message) = broker.change(orders, 0, key, Some(value)).await;
        assert_eq!(error, code(ErrorCode::InvalidConfig));
        assert!(message.contains(key), "{message}");
    }
    let none = broker.change((TOPIC, "none"), 0, "retention.ms", Some("1")).await;
    assert_eq!(none.0, code(ErrorCode::UnknownTopicOrPartition));
}

#[tokio::test]
async fn broker_settings_change_while_it_runs_and_read_only_ones_are_refused() {
    let broker = broker(&[]);
    broker.create("orders", 1).await;
    assert_eq!(
        broker
            .change((BROKER, ""), 0, "log.retention.ms", Some("7000"))
            .await
            .0,
        0
    );
    assert_eq!(
        broker.value(BROKER, "0", "log.retention.ms").await,
        (Some("7000".to_owned()), 3)
    );
    assert_eq!(
        broker.value(BROKER, "", "log.retention.ms").await,
        (Some("7000".to_owned()), 3)
    );
    assert_eq!(
        broker.value(TOPIC, "orders", "retention.ms").await,
        (Some("7000".to_owned()), 3)
    );
    assert_eq!(
        broker
            .change((BROKER, "0"), 0, "log.retention.ms", Some("8000"))
            .await
            .0,
        0
    );
    assert_eq!(
        broker.value(TOPIC, "orders", "retention.ms").await,
        (Some("8000".to_owned()), 2)
    );
    let (error, message) = broker.change((BROKER, "0"), 0, "num.partitions", Some("3")).await;
    assert_eq!(error, code(ErrorCode::InvalidRequest));
    assert!(message.contains("num.partitions"), "{message}");
}

#[tokio::test]
async fn alter_configs_replaces_the_whole_set_in_every_version() {
    use kafka_protocol::messages::alter_configs_request::{AlterConfigsResource, AlterableConfig};
    let broker = broker(&[]);
    broker.create("orders", 1).await;
    for version in Broker::versions::<AlterConfigsRequest>() {
        assert_eq!(
            broker
                .change((TOPIC, "orders"), 0, "segment.ms", Some("5000"))
                .await
                .0,
            0
        );
        let config = AlterableConfig::default()
            .with_name(text("retention.ms"))
            .with_value(Some(text("60000")));
        let resource = AlterConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text("orders"))
            .with_configs(vec![config]);
        let request = AlterConfigsRequest::default().with_resources(vec![resource]);
        let checked = broker
            .call(version, &request.clone().with_validate_only(true))
            .await;
        assert_eq!(checked.responses[0].error_code, 0);
        assert_eq!(broker.value(TOPIC, "orders", "segment.ms").await.1, 1);
        let response = broker.call(version, &request).await;
        assert_eq!(response.responses[0].error_code, 0);
        assert_eq!(
            broker.value(TOPIC, "orders", "retention.ms").await,
            (Some("60000".to_owned()), 1)
        );
        assert_eq!(broker.value(TOPIC, "orders", "segment.ms").await.1, 5);
    }
}

#[tokio::test]
async fn appends_at_the_same_time_lose_nothing() {
    let broker = broker(&[]);
    broker.create("orders", 1).await;
    let key = "leader.replication.throttled.replicas";
    let one = broker.change((TOPIC, "orders"), 2, key, Some("0:0"));
    let two = broker.change((TOPIC, "orders"), 2, key, Some("1:0"));
    let three = broker.change((TOPIC, "orders"), 2, key, Some("2:0"));
    let (one, two, three) = tokio::join!(one, two, three);
    assert_eq!((one.0, two.0, three.0), (0, 0, 0));
    let (value, _) = broker.value(TOPIC, "orders", key).await;
    let value = value.unwrap();
    let mut entries: Vec<&str> = value.split(',').collect();
    entries.sort_unstable();
    assert_eq!(entries, ["0:0", "1:0", "2:0"]);
}

#[tokio::test]
async fn resources_with_configs_are_listed() {
    let broker = broker(&[]);
    broker.create("orders", 1).await;
    let response = broker.call(0, &ListConfigResourcesRequest::default()).await;
    assert_eq!((response.error_code, response.config_resources.len()), (0, 0));
    let response = broker.call(1, &ListConfigResourcesRequest::default()).await;
    let listed: Vec<(i8, &str)> = response
        .config_resources
        .iter()
        .map(|resource| (resource.resource_type, resource.resource_name.as_str()))
        .collect();
    assert_eq!(listed, [(TOPIC, "orders"), (BROKER, "0")]);
    let request = ListConfigResourcesRequest::default().with_resource_types(vec![99]);
    assert_eq!(
        broker.call(1, &request).await.error_code,
        code(ErrorCode::UnsupportedVersion)
    );
}

#[tokio::test]
async fn rule_21_describe_cluster_answers_every_version() {
    let broker = broker(&["node.id=5"]);
    for version in Broker::versions::<DescribeClusterRequest>() {
        let request = DescribeClusterRequest::default().with_include_cluster_authorized_operations(true);
        let response = broker.call(version, &request).await;
        assert_eq!(
            (
                response.error_code,
                response.controller_id.0,
                response.brokers.len()
            ),
            (0, 5, 1)
        );
        assert_eq!(
            (response.brokers[0].broker_id.0, response.brokers[0].port),
            (5, 9092)
        );
        assert!(!response.cluster_id.is_empty() && response.cluster_authorized_operations > 0);
    }
    let response = broker
        .call(2, &DescribeClusterRequest::default().with_endpoint_type(2))
        .await;
    assert_eq!(response.error_code, code(ErrorCode::MismatchedEndpointType));
}

#[tokio::test]
async fn rule_01_describe_topic_partitions_pages_by_the_cursor() {
    use kafka_protocol::messages::describe_topic_partitions_request::Cursor;
    let broker = broker(&[]);
    broker.create("a", 3).await;
    broker.create("b", 1).await;
    let request = DescribeTopicPartitionsRequest::default().with_response_partition_limit(2);
    let first = broker.call(0, &request).await;
    let next = first.next_cursor.unwrap();
    assert_eq!(
        (first.topics.len(), next.topic_name.as_str(), next.partition_index),
        (1, "a", 2)
    );
    for partition in &first.topics[0].partitions {
        assert!(partition.eligible_leader_replicas.is_some() && partition.last_known_elr.is_some());
        assert!(partition.leader_epoch >= 0);
    }
    let cursor = Cursor::default()
        .with_topic_name(next.topic_name)
        .with_partition_index(next.partition_index);
    let second = broker.call(0, &request.with_cursor(Some(cursor))).await;
    assert_eq!((second.topics.len(), second.next_cursor.is_none()), (2, true));
    let wrong = Cursor::default()
        .with_topic_name(name("a"))
        .with_partition_index(-1);
    let asked = DescribeTopicPartitionsRequest::default()
        .with_topics(vec![TopicRequest::default().with_name(name("a"))])
        .with_cursor(Some(wrong));
    assert_eq!(
        broker.call(0, &asked).await.topics[0].error_code,
        code(ErrorCode::InvalidRequest)
    );
    let named = ["b", "none", "a b"].map(|topic| TopicRequest::default().with_name(name(topic)));
    let request = DescribeTopicPartitionsRequest::default().with_topics(named.to_vec());
    let response = broker.call(0, &request).await;
    let codes: Vec<i16> = response.topics.iter().map(|topic| topic.error_code).collect();
    let unknown = code(ErrorCode::UnknownTopicOrPartition);
    assert_eq!(codes, [code(ErrorCode::InvalidTopicException), 0, unknown]);
}

#[tokio::test]
async fn rule_21_describe_log_dirs_tells_every_partition_and_the_volume() {
    let broker = broker(&[]);
    broker.create("orders", 2).await;
    for version in Broker::versions::<DescribeLogDirsRequest>() {
        let response = broker
            .call(version, &DescribeLogDirsRequest::default().with_topics(None))
            .await;
        let directory = &response.results[0];
        assert_eq!((response.error_code, directory.error_code), (0, 0));
        assert_eq!(directory.topics[0].name, name("orders"));
        assert_eq!(directory.topics[0].partitions.len(), 2);
        assert!(Path::new(directory.log_dir.as_str()).is_absolute());
        assert_eq!(directory.total_bytes > 0, version >= 4);
    }
    let none = broker
        .call(
            4,
            &DescribeLogDirsRequest::default().with_topics(Some(Vec::new())),
        )
        .await;
    assert!(none.results[0].topics.is_empty());
}

#[tokio::test]
async fn delete_records_of_an_empty_partition_and_beyond_its_end() {
    let broker = broker(&[]);
    broker.create("orders", 1).await;
    for version in Broker::versions::<DeleteRecordsRequest>() {
        let asked = [(0, -1), (0, 1), (0, -2), (7, -1)].map(|(index, offset)| {
            DeleteRecordsPartition::default()
                .with_partition_index(index)
                .with_offset(offset)
        });
        let topic = DeleteRecordsTopic::default()
            .with_name(name("orders"))
            .with_partitions(asked.to_vec());
        let response = broker
            .call(version, &DeleteRecordsRequest::default().with_topics(vec![topic]))
            .await;
        let results: Vec<(i64, i16)> = response.topics[0]
            .partitions
            .iter()
            .map(|one| (one.low_watermark, one.error_code))
            .collect();
        let out = (-1, code(ErrorCode::OffsetOutOfRange));
        assert_eq!(
            results,
            [(0, 0), out, out, (-1, code(ErrorCode::UnknownTopicOrPartition))]
        );
    }
}

#[tokio::test]
async fn rule_12_init_producer_id_gives_every_producer_an_id_of_its_own() {
    let broker = broker(&[]);
    let mut last = -1;
    for version in Broker::versions::<InitProducerIdRequest>() {
        let request = InitProducerIdRequest::default().with_transactional_id(None);
        let response = broker.call(version, &request).await;
        assert_eq!((response.error_code, response.producer_epoch), (0, 0));
        assert!(response.producer_id.0 > last);
        last = response.producer_id.0;
    }
}

#[tokio::test]
async fn a_truncated_body_is_malformed_in_every_admin_api() {
    let broker = broker(&[]);
    for key in [19, 20, 21, 22, 32, 33, 35, 37, 44, 60, 74, 75] {
        let row = row(key).unwrap();
        let header = RequestHeader {
            api_key: row.key,
            api_version: row.version_max,
            correlation_id: 9,
            client_id: None,
        };
        let request = Request {
            header,
            body: Bytes::from_static(&[0xff; 3]),
            connection: broker.connection.clone(),
            received_at: Instant::now(),
            memory: broker.budget.acquire_request(64, 64).await,
        };
        let outcome = (broker.dispatch)(request).await;
        assert!(
            matches!(outcome, Err(ApiError::Malformed { .. })),
            "key {key}: {outcome:?}"
        );
    }
}
