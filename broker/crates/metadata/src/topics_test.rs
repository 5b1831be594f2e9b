use super::*;
use crate::config_history::topic_config_history;
use crate::embedded::faulty_backend::FaultyBackend;
use crate::embedded::{EmbeddedOptions, EmbeddedStore, OpenMode};
use crate::topic_record::tests::topic;

const AT: TimestampMs = TimestampMs(77);

fn store() -> EmbeddedStore {
    let options = EmbeddedOptions::new("test", OpenMode::CreateIfMissing);
    EmbeddedStore::open(FaultyBackend::default(), options).unwrap().0
}

fn edit(key: &str, value: Option<&str>) -> ConfigEdit {
    ConfigEdit {
        changes: BTreeMap::from([(key.to_owned(), value.map(str::to_owned))]),
        at: AT,
        principal: None,
    }
}

#[test]
fn a_name_and_an_id_are_taken_once() {
    let store = store();
    create_topic(&store, &topic("orders", 1)).unwrap();
    let taken = create_topic(&store, &topic("orders", 2)).unwrap_err();
    assert_eq!(
        taken,
        MetadataError::TopicExists {
            name: "orders".into()
        }
    );
    let used = create_topic(&store, &topic("others", 1)).unwrap_err();
    assert_eq!(used, MetadataError::TopicIdUsed { id: TopicId([1; 16]) });
    assert!(matches!(
        create_topic(&store, &topic("a b", 3)),
        Err(MetadataError::Invalid { .. })
    ));
}

#[test]
fn a_deleted_topic_leaves_a_tombstone_and_frees_its_name_but_not_its_id() {
    let store = store();
    create_topic(&store, &topic("orders", 1)).unwrap();
    let tombstone = delete_topic(&store, TopicId([1; 16]), AT).unwrap();
    let expected = TopicTombstone {
        id: TopicId([1; 16]),
        name: "orders".into(),
        partitions: 3,
        deleted: AT,
    };
    assert_eq!(tombstone, expected);
    let gone = delete_topic(&store, TopicId([1; 16]), AT).unwrap_err();
    assert_eq!(gone, MetadataError::UnknownTopic { id: TopicId([1; 16]) });
    assert!(matches!(
        create_topic(&store, &topic("orders", 1)),
        Err(MetadataError::TopicIdUsed { .. })
    ));
    create_topic(&store, &topic("orders", 2)).unwrap();
    remove_tombstones(&store, [TopicId([1; 16]), TopicId([1; 16]), TopicId([9; 16])]).unwrap();
    assert_eq!(store.get(&keys::tombstone(TopicId([1; 16]))), Ok(None));
}

#[test]
fn partitions_only_become_more() {
    let store = store();
    create_topic(&store, &topic("orders", 1)).unwrap();
    for wanted in [-1, 0, 3] {
        let refused = add_partitions(&store, TopicId([1; 16]), wanted).unwrap_err();
        assert_eq!(
            refused,
            MetadataError::PartitionsNotMore {
                id: TopicId([1; 16]),
                current: 3,
                wanted
            }
        );
    }
    assert_eq!(add_partitions(&store, TopicId([1; 16]), 8).unwrap().partitions, 8);
    assert!(add_partitions(&store, TopicId([2; 16]), 8).is_err());
}

#[test]
fn configs_change_against_the_version_they_were_checked_with() {
    let store = store();
    let version = create_topic(&store, &topic("orders", 1)).unwrap();
    let id = TopicId([1; 16]);
    let record = alter_topic_configs(&store, id, version, &edit("cleanup.policy", Some("compact"))).unwrap();
    assert_eq!(record.configs.len(), 2);
    let stale = alter_topic_configs(&store, id, version, &edit("cleanup.policy", None)).unwrap_err();
    assert!(
        matches!(stale, MetadataError::Commit(CommitError::Conflict { .. })),
        "{stale}"
    );
    let history = topic_config_history(&store, id).unwrap();
    assert_eq!(history.len(), 1);
    assert_eq!(
        (history[0].key.as_str(), history[0].after.as_deref()),
        ("cleanup.policy", Some("compact"))
    );
    delete_topic(&store, id, AT).unwrap();
    assert_eq!(
        topic_config_history(&store, id),
        Ok(vec![]),
        "the history goes with the topic"
    );
}

#[test]
fn an_edit_that_changes_nothing_writes_nothing() {
    let store = store();
    let version = create_topic(&store, &topic("orders", 1)).unwrap();
    alter_topic_configs(
        &store,
        TopicId([1; 16]),
        version,
        &edit("retention.ms", Some("-1")),
    )
    .unwrap();
    assert_eq!(store.commit(Transaction::new()), Ok(version));
}

#[test]
fn labels_are_replaced() {
    let store = store();
    let version = create_topic(&store, &topic("orders", 1)).unwrap();
    let labels = BTreeMap::from([("zone".to_owned(), "a".to_owned())]);
    let record = alter_topic_labels(&store, TopicId([1; 16]), version, labels.clone()).unwrap();
    assert_eq!(record.labels, labels);
    assert!(alter_topic_labels(&store, TopicId([1; 16]), version, labels).is_err());
}

#[test]
fn a_row_under_the_wrong_id_is_not_believed() {
    let store = store();
    let wrong = topic("orders", 2).encode();
    store
        .commit(Transaction::new().put(keys::topic(TopicId([1; 16])), wrong))
        .unwrap();
    let refused = delete_topic(&store, TopicId([1; 16]), AT).unwrap_err();
    assert!(matches!(refused, MetadataError::Inconsistent { .. }));
}
