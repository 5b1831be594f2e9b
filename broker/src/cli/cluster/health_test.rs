use super::*;
use thalweg_client::{PartitionMetadata, TopicMetadata};
use thalweg_types::{ErrorCode, LeaderEpoch, PartitionIndex, TopicId};

fn metadata(leader: Option<BrokerId>, in_sync: &[i32]) -> Metadata {
    let partition = PartitionMetadata {
        partition: PartitionIndex(0),
        leader,
        leader_epoch: LeaderEpoch(0),
        replicas: vec![BrokerId(1), BrokerId(2)],
        in_sync_replicas: in_sync.iter().copied().map(BrokerId).collect(),
        offline_replicas: Vec::new(),
        error: ErrorCode::None,
    };
    let topic = TopicMetadata {
        name: "orders".to_owned(),
        id: TopicId::ZERO,
        is_internal: false,
        partitions: vec![partition],
    };
    Metadata {
        topics: [("orders".to_owned(), Ok(topic))].into(),
        ..Metadata::default()
    }
}

fn findings() -> Findings {
    Findings {
        controller: Some(BrokerId(1)),
        brokers: vec![BrokerId(1), BrokerId(2)],
        fenced: Vec::new(),
        unreachable: Vec::new(),
        offline: Vec::new(),
    }
}

#[test]
fn a_cluster_with_leaders_and_all_replicas_is_healthy() {
    let health = judge(findings(), &metadata(Some(BrokerId(1)), &[1, 2]));
    assert!(health.healthy && health.reasons.is_empty());
    let expected = r#"{"healthy":true,"reasons":[],"controller":1,"brokers":[1,2],"unreachable_brokers":[],"fenced_brokers":[],"offline_log_dirs":[],"leaderless_partitions":[],"under_replicated_partitions":[]}"#;
    assert_eq!(serde_json::to_string(&health).unwrap(), expected);
}

#[test]
fn every_finding_is_a_reason() {
    let health = judge(
        Findings {
            controller: None,
            unreachable: vec![BrokerId(2)],
            fenced: vec![BrokerId(3)],
            offline: vec!["broker 1: /d".to_owned()],
            ..findings()
        },
        &metadata(None, &[]),
    );
    assert!(!health.healthy);
    assert_eq!(health.reasons.len(), 6);
    assert_eq!(health.leaderless_partitions, ["orders-0"]);
}

#[test]
fn long_lists_are_cut_in_words() {
    let names: Vec<String> = (0..12).map(|n| n.to_string()).collect();
    assert_eq!(some(&names), "0,1,2,3,4,5,6,7,8,9 and 2 more");
    assert_eq!(some(&names[..10]), "0,1,2,3,4,5,6,7,8,9");
}
