use std::collections::BTreeSet;

use super::catalogue::CATALOGUE;
use crate::admin::page::descriptions;
use crate::admin::process::PROCESS;
use crate::admin::startup::STARTUP;
use thalweg_telemetry::MetricKind;

#[test]
fn every_family_is_declared_once_under_a_valid_name() {
    let parts: Vec<_> = CATALOGUE.iter().copied().chain([STARTUP, PROCESS]).collect();
    let declared: Vec<_> = parts.iter().flat_map(|part| part.iter()).collect();
    let names: BTreeSet<&str> = declared.iter().map(|(name, ..)| *name).collect();
    assert_eq!(names.len(), declared.len());
    assert_eq!(descriptions(&parts).len(), declared.len());
    for (name, kind, _, help) in declared {
        let prefixes = ["thalweg_", "kafka_", "process_"];
        assert!(prefixes.iter().any(|prefix| name.starts_with(prefix)), "{name}");
        assert_eq!(name.ends_with("_total"), *kind == MetricKind::Counter, "{name}");
        let in_base_unit = name.ends_with("_seconds") || name.ends_with("_bytes");
        assert!(*kind != MetricKind::Histogram || in_base_unit, "{name}");
        assert!(help.ends_with('.'), "{name}");
    }
}

#[test]
fn the_names_of_existing_boards_are_there() {
    let families: BTreeSet<&str> = CATALOGUE
        .iter()
        .flat_map(|part| part.iter())
        .map(|(name, ..)| *name)
        .collect();
    let kafka_exporter = [
        "kafka_brokers",
        "kafka_broker_info",
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
