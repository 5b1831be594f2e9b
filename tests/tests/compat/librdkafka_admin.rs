//! Topics and their settings through librdkafka's admin client.

use rdkafka::admin::{
    AlterConfig, ConfigResource, ConfigSource, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use thalweg_tests::clients::librdkafka::{CALL, admin, admin_options, create_topic, partitions, reader};
use thalweg_tests::wait::answer;
use thalweg_tests::{Broker, BrokerConfig, wait};

/// Asks for one new topic and returns the error code, if any.
fn create(broker: &Broker, new: &NewTopic<'_>) -> Result<(), RDKafkaErrorCode> {
    let results = answer(admin(broker).create_topics([new], &admin_options())).expect("create topics");
    match results.as_slice() {
        [Ok(_)] => Ok(()),
        [Err((_, code))] => Err(*code),
        other => panic!("one answer for one topic: {other:?}"),
    }
}

fn topic_names(broker: &Broker) -> Vec<String> {
    let metadata = reader(broker, &[]).fetch_metadata(None, CALL).expect("metadata");
    metadata
        .topics()
        .iter()
        .map(|topic| topic.name().to_owned())
        .collect()
}

fn describe(broker: &Broker, resource: ResourceSpecifier<'_>) -> ConfigResource {
    let mut answers =
        answer(admin(broker).describe_configs([&resource], &admin_options())).expect("describe");
    answers
        .pop()
        .expect("one answer for one resource")
        .expect("the resource is there")
}

#[test]
fn topics_are_created_listed_and_deleted() {
    let broker = Broker::start();
    create_topic(&broker, "made", 5, &[]);
    assert_eq!(partitions(&reader(&broker, &[]), "made"), [0, 1, 2, 3, 4]);
    assert!(topic_names(&broker).contains(&"made".to_owned()));
    let delete =
        |name| answer(admin(&broker).delete_topics(&[name], &admin_options())).expect("delete topics");
    assert_eq!(delete("made"), [Ok("made".to_owned())]);
    wait::until("the topic is gone", || {
        !topic_names(&broker).contains(&"made".to_owned())
    });
    assert_eq!(
        delete("made"),
        [Err((
            "made".to_owned(),
            RDKafkaErrorCode::UnknownTopicOrPartition
        ))]
    );
    // The name is free again, and nothing of the old topic shows through.
    create_topic(&broker, "made", 1, &[]);
    wait::until("the new topic is there", || {
        topic_names(&broker).contains(&"made".to_owned())
    });
    assert_eq!(partitions(&reader(&broker, &[]), "made"), [0]);
}

#[test]
fn rule_17_a_new_topic_is_refused_by_name_of_the_fault() {
    let broker = Broker::start();
    let new = |name| NewTopic::new(name, 1, TopicReplication::Fixed(1));
    create_topic(&broker, "there", 1, &[]);
    let refused = |new: NewTopic<'_>| create(&broker, &new).expect_err("a refusal");
    assert_eq!(refused(new("there")), RDKafkaErrorCode::TopicAlreadyExists);
    assert_eq!(refused(new("no/slash")), RDKafkaErrorCode::InvalidTopic);
    assert_eq!(refused(new("..")), RDKafkaErrorCode::InvalidTopic);
    assert_eq!(
        refused(NewTopic::new("a", 0, TopicReplication::Fixed(1))),
        RDKafkaErrorCode::InvalidPartitions
    );
    let three = TopicReplication::Fixed(3);
    assert_eq!(
        refused(NewTopic::new("b", 1, three)),
        RDKafkaErrorCode::InvalidReplicationFactor
    );
    let unknown = new("c").set("no.such.setting", "1");
    assert_eq!(refused(unknown), RDKafkaErrorCode::InvalidConfig);
    let wrong = new("d").set("retention.ms", "a week");
    assert_eq!(refused(wrong), RDKafkaErrorCode::InvalidConfig);
    let names = topic_names(&broker);
    assert!(
        ["a", "b", "c", "d"]
            .iter()
            .all(|name| !names.contains(&(*name).to_owned())),
        "{names:?}"
    );
}

#[test]
fn rule_17_minus_one_takes_the_brokers_defaults() {
    let broker = BrokerConfig::default().set("num.partitions", 4).start();
    create(
        &broker,
        &NewTopic::new("defaults", -1, TopicReplication::Fixed(-1)),
    )
    .expect("created");
    wait::until("the topic is there", || {
        topic_names(&broker).contains(&"defaults".to_owned())
    });
    assert_eq!(partitions(&reader(&broker, &[]), "defaults").len(), 4);
}

#[test]
fn a_validated_topic_is_not_created() {
    let broker = Broker::start();
    let new = NewTopic::new("only-checked", 1, TopicReplication::Fixed(1));
    let options = admin_options().validate_only(true);
    let results = answer(admin(&broker).create_topics([&new], &options)).expect("create topics");
    assert_eq!(results, [Ok("only-checked".to_owned())]);
    assert!(!topic_names(&broker).contains(&"only-checked".to_owned()));
}

#[test]
fn partitions_are_added_and_never_removed() {
    let broker = Broker::start();
    create_topic(&broker, "growing", 2, &[]);
    let grow = |count| {
        let new = NewPartitions::new("growing", count);
        answer(admin(&broker).create_partitions([&new], &admin_options())).expect("create partitions")
    };
    assert_eq!(grow(5), [Ok("growing".to_owned())]);
    wait::until("five partitions are there", || {
        partitions(&reader(&broker, &[]), "growing").len() == 5
    });
    assert_eq!(
        grow(3),
        [Err(("growing".to_owned(), RDKafkaErrorCode::InvalidPartitions))]
    );
}

#[test]
fn a_topic_reports_each_setting_with_its_source() {
    let broker = Broker::start();
    create_topic(
        &broker,
        "configured",
        1,
        &[("retention.ms", "-1"), ("cleanup.policy", "compact")],
    );
    let described = describe(&broker, ResourceSpecifier::Topic("configured"));
    let value = |name: &str| described.get(name).and_then(|entry| entry.value.as_deref());
    let source = |name: &str| described.get(name).map(|entry| &entry.source);
    assert_eq!(value("retention.ms"), Some("-1"));
    assert_eq!(source("retention.ms"), Some(&ConfigSource::DynamicTopic));
    assert_eq!(
        value("cleanup.policy"),
        Some("compact"),
        "Kafka Connect refuses to start otherwise"
    );
    assert_eq!(value("max.message.bytes"), Some("1048588"));
    assert_eq!(source("max.message.bytes"), Some(&ConfigSource::Default));
    assert_eq!(value("segment.bytes"), Some("1073741824"));
    assert_eq!(value("min.insync.replicas"), Some("1"));
}

#[test]
fn settings_are_altered_and_bad_values_refused() {
    let broker = Broker::start();
    create_topic(&broker, "altered", 1, &[("retention.bytes", "5000")]);
    // The crate drops the error of a single resource; whether a bad value was refused shows in the value.
    let alter = |key, value| {
        let change = AlterConfig::new(ResourceSpecifier::Topic("altered")).set(key, value);
        answer(admin(&broker).alter_configs([&change], &admin_options())).expect("alter configs");
    };
    alter("retention.ms", "60000");
    let value = |name: &str| {
        let described = describe(&broker, ResourceSpecifier::Topic("altered"));
        described.get(name).and_then(|entry| entry.value.clone())
    };
    wait::until("the new value is there", || {
        value("retention.ms").as_deref() == Some("60000")
    });
    // AlterConfigs replaces all settings of the topic: what it does not name goes back to its default.
    assert_eq!(value("retention.bytes").as_deref(), Some("-1"));
    alter("retention.ms", "soon");
    assert_eq!(value("retention.ms").as_deref(), Some("60000"));
}

#[test]
fn the_broker_reports_its_settings() {
    let broker = BrokerConfig::default().set("num.partitions", 3).start();
    let metadata = reader(&broker, &[]).fetch_metadata(None, CALL).expect("metadata");
    let id = metadata.brokers().first().expect("one broker").id();
    let described = describe(&broker, ResourceSpecifier::Broker(id));
    let entry = described
        .get("num.partitions")
        .expect("num.partitions is reported");
    assert_eq!(
        (entry.value.as_deref(), &entry.source),
        (Some("3"), &ConfigSource::StaticBroker)
    );
    assert!(described.get("log.dirs").is_some(), "log.dirs is reported");
    assert!(
        described.entries.len() > 50,
        "{} settings",
        described.entries.len()
    );
}
