use std::collections::BTreeSet;

use super::catalogue::{GROUPS, OWN, PARTITIONS, descriptions};
use crate::admin::page::Kind;

#[test]
fn every_family_is_declared_once_under_a_valid_name() {
    let declared: Vec<_> = [OWN, PARTITIONS, GROUPS].into_iter().flatten().collect();
    let names: BTreeSet<&str> = declared.iter().map(|(name, ..)| *name).collect();
    assert_eq!(names.len(), declared.len());
    assert_eq!(descriptions().len(), declared.len());
    for (name, kind, help) in declared {
        assert!(
            name.starts_with("thalweg_") || name.starts_with("kafka_"),
            "{name}"
        );
        assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
        assert!(help.ends_with('.'), "{name}");
    }
}

#[test]
fn the_names_of_existing_boards_are_there() {
    let families: BTreeSet<&str> = [OWN, PARTITIONS, GROUPS]
        .into_iter()
        .flatten()
        .map(|(name, ..)| *name)
        .collect();
    let kafka_exporter = [
        "kafka_brokers",
        "kafka_topic_partitions",
        "kafka_topic_partition_current_offset",
        "kafka_topic_partition_oldest_offset",
        "kafka_topic_partition_leader",
        "kafka_topic_partition_replicas",
        "kafka_topic_partition_in_sync_replica",
        "kafka_topic_partition_leader_is_preferred",
        "kafka_topic_partition_under_replicated_partition",
        "kafka_consumergroup_current_offset",
        "kafka_consumergroup_current_offset_sum",
        "kafka_consumergroup_lag",
        "kafka_consumergroup_lag_sum",
        "kafka_consumergroup_members",
    ];
    let lag_exporter = [
        "kafka_consumergroup_group_lag",
        "kafka_consumergroup_group_lag_seconds",
        "kafka_consumergroup_group_max_lag",
        "kafka_consumergroup_group_max_lag_seconds",
        "kafka_consumergroup_group_sum_lag",
        "kafka_consumergroup_group_topic_sum_lag",
        "kafka_consumergroup_group_offset",
        "kafka_partition_latest_offset",
        "kafka_partition_earliest_offset",
    ];
    for name in kafka_exporter.iter().chain(&lag_exporter) {
        assert!(families.contains(name), "{name}");
    }
}
