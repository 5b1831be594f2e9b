use kafka_protocol::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopicConfig};
use thalweg_settings::Profile;

use super::*;

const NODE: BrokerId = BrokerId(0);

fn topic(partitions: i32, factor: i16) -> CreatableTopic {
    CreatableTopic::default()
        .with_name(TopicName(str_bytes("orders")))
        .with_num_partitions(partitions)
        .with_replication_factor(factor)
}

fn assigned(topic: CreatableTopic) -> CreatableTopic {
    let on = |index| {
        CreatableReplicaAssignment::default()
            .with_partition_index(index)
            .with_broker_ids(vec![0.into()])
    };
    topic.with_assignments(vec![on(1), on(0)])
}

#[test]
fn rule_01_create_topics_v5_has_no_null_configs() {
    let settings = Settings::defaults(Profile::Serve);
    let overrides = BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
    let configs = configs(&overrides, &settings);
    assert_eq!(configs.len(), thalweg_settings::TOPIC_SETTINGS.len());
    for config in &configs {
        assert!(config.config_source > 0, "{}", config.name.as_str());
    }
    let refusal = Refusal::bare(ErrorCode::InvalidConfig);
    assert!(refused(TopicName::default(), &refusal).configs.is_some());
}

#[test]
fn rule_15_a_new_topic_reports_its_cleanup_policy_as_its_own() {
    let settings = Settings::defaults(Profile::Serve);
    let overrides = BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
    let configs = configs(&overrides, &settings);
    let policy = configs
        .iter()
        .find(|config| config.name.as_str() == "cleanup.policy")
        .unwrap();
    assert_eq!(policy.value.as_ref().map(|value| value.as_str()), Some("compact"));
    assert_eq!(policy.config_source, 1);
}

#[test]
fn rule_17_create_topics_with_minus_one_uses_the_defaults() {
    let new = read(&topic(-1, -1), NODE).unwrap();
    assert_eq!(
        (new.partitions, new.replication_factor),
        (None, ReplicationFactor::Default)
    );
    let new = read(&topic(3, 1), NODE).unwrap();
    assert_eq!(
        (new.partitions, new.replication_factor),
        (Some(3), ReplicationFactor::Count(1))
    );
    // Nonsense goes on to the check of topics, which names it.
    let new = read(&topic(0, 0), NODE).unwrap();
    assert_eq!(
        (new.partitions, new.replication_factor),
        (Some(0), ReplicationFactor::Count(0))
    );
}

#[test]
fn assignments_take_the_place_of_both_counts() {
    let new = read(&assigned(topic(-1, -1)), NODE).unwrap();
    assert_eq!(
        (new.partitions, new.replication_factor),
        (Some(2), ReplicationFactor::Default)
    );
    for (partitions, factor) in [(2, -1), (-1, 1), (2, 1)] {
        let refusal = read(&assigned(topic(partitions, factor)), NODE).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::InvalidRequest);
    }
    let refusal = read(&assigned(topic(-1, -1)), BrokerId(1)).unwrap_err();
    assert_eq!(refusal.code, ErrorCode::InvalidReplicaAssignment);
}

#[test]
fn rule_17_a_null_setting_is_an_invalid_config_that_names_the_key() {
    let null = CreatableTopicConfig::default()
        .with_name(str_bytes("retention.ms"))
        .with_value(None);
    let refusal = read(&topic(1, 1).with_configs(vec![null]), NODE).unwrap_err();
    assert_eq!(refusal.code, ErrorCode::InvalidConfig);
    assert!(refusal.message.contains("retention.ms"));
}

#[test]
fn names_that_come_twice_are_found_once() {
    let twice = named_twice(["a", "b", "a", "a", "c"].into_iter());
    assert_eq!(twice, BTreeSet::from(["a".to_owned()]));
}
