use super::*;
use crate::topic_record::tests::topic;
use crate::watch::WatchEvent;
use thalweg_types::{BrokerId, TimestampMs};

fn put(key: Vec<u8>, value: Vec<u8>) -> WatchEvent {
    WatchEvent {
        key,
        change: WatchChange::Put(Arc::from(value)),
    }
}

fn put_topic(record: &TopicRecord) -> Vec<WatchEvent> {
    vec![
        put(keys::topic_name(&record.name), record.id.0.to_vec()),
        put(keys::topic(record.id), record.encode()),
    ]
}

fn delete(key: Vec<u8>) -> WatchEvent {
    WatchEvent {
        key,
        change: WatchChange::Delete,
    }
}

fn apply(image: &mut MetadataImage, revision: u64, events: Vec<WatchEvent>) {
    image
        .apply(&WatchBatch {
            revision: Revision(revision),
            events,
        })
        .unwrap();
}

#[test]
fn an_image_follows_creation_change_and_deletion() {
    let mut image = MetadataImage::default();
    let first = topic("orders", 1);
    apply(&mut image, 1, put_topic(&first));
    assert_eq!(image.topic("orders").unwrap().record, first);
    let created = image.clone();
    let changed = TopicRecord {
        partitions: 9,
        ..first.clone()
    };
    apply(&mut image, 2, vec![put(keys::topic(first.id), changed.encode())]);
    let topic_now = image.topic_by_id(first.id).unwrap();
    assert_eq!((topic_now.record.partitions, topic_now.version), (9, Revision(2)));
    assert_eq!(image.topic("orders"), image.topic_by_id(first.id));
    assert!(matches!(
        image.changes_since(&created)[..],
        [MetadataChange::TopicChanged { .. }]
    ));

    let tombstone = TopicTombstone {
        id: first.id,
        name: "orders".into(),
        partitions: 9,
        deleted: TimestampMs(3),
    };
    apply(
        &mut image,
        3,
        vec![
            put(keys::tombstone(first.id), tombstone.encode()),
            delete(keys::topic(first.id)),
            delete(keys::topic_name("orders")),
        ],
    );
    assert_eq!((image.topic("orders"), image.topic_by_id(first.id)), (None, None));
    assert_eq!(**image.tombstone(first.id).unwrap(), tombstone);
    assert_eq!(image.topics().len(), 0);
    let with_tombstone = image.clone();
    apply(&mut image, 4, vec![delete(keys::tombstone(first.id))]);
    assert_eq!(
        image.changes_since(&with_tombstone),
        [MetadataChange::TombstoneRemoved(first.id)]
    );
    assert_eq!(image.revision(), Revision(4));
}

#[test]
fn a_topic_deleted_and_made_again_shows_as_both_deletion_first() {
    let mut image = MetadataImage::default();
    apply(&mut image, 1, put_topic(&topic("orders", 1)));
    let older = image.clone();
    apply(
        &mut image,
        2,
        vec![
            delete(keys::topic(TopicId([1; 16]))),
            delete(keys::topic_name("orders")),
        ],
    );
    apply(&mut image, 3, put_topic(&topic("orders", 2)));
    let changes = image.changes_since(&older);
    assert!(
        matches!(&changes[..], [MetadataChange::TopicDeleted(old), MetadataChange::TopicCreated(new)]
            if old.record.id == TopicId([1; 16]) && new.record.id == TopicId([2; 16])),
        "{changes:?}"
    );
}

#[test]
fn a_commit_the_image_has_already_is_passed_over() {
    let mut image = MetadataImage::default();
    apply(&mut image, 5, put_topic(&topic("orders", 1)));
    apply(&mut image, 4, vec![delete(keys::topic(TopicId([1; 16])))]);
    assert!(image.topic("orders").is_some());
}

#[test]
fn broker_configs_are_in_the_image_by_scope() {
    let mut image = MetadataImage::default();
    let scope = ConfigScope::Broker(BrokerId(3));
    let bytes = crate::codec::Encoder::new(1)
        .text_map(&BTreeMap::from([("a".into(), "1".into())]))
        .finish();
    apply(&mut image, 1, vec![put(keys::broker_config(scope), bytes)]);
    assert_eq!(image.broker_configs(scope).unwrap().configs["a"], "1");
    assert_eq!(image.broker_configs(ConfigScope::Default), None);
    let changes = image.changes_since(&MetadataImage::default());
    assert_eq!(changes, [MetadataChange::BrokerConfigsChanged(scope)]);
    let older = image.clone();
    apply(&mut image, 2, vec![delete(keys::broker_config(scope))]);
    assert_eq!(
        image.changes_since(&older),
        [MetadataChange::BrokerConfigsChanged(scope)]
    );
}

#[test]
fn rows_that_contradict_each_other_are_refused() {
    let row = |key: &[u8], value: &[u8]| {
        let mut image = MetadataImage::default();
        image
            .insert(Row {
                key,
                value,
                version: Revision(1),
            })
            .map(|()| image)
    };
    let record = topic("orders", 1);
    assert!(matches!(
        row(b"m/what", b""),
        Err(MetadataError::Inconsistent { .. })
    ));
    assert!(matches!(
        row(&keys::topic(TopicId([2; 16])), &record.encode()),
        Err(MetadataError::Inconsistent { .. })
    ));
    assert!(matches!(
        row(&keys::topic(record.id), &[9]),
        Err(MetadataError::Record { .. })
    ));
    assert!(matches!(
        row(b"m/broker-config/x", &[1, 0, 0, 0, 0]),
        Err(MetadataError::Inconsistent { .. })
    ));

    let names = |names: &[(&str, u8)]| {
        names
            .iter()
            .map(|(name, id)| ((*name).to_owned(), vec![*id; 16]))
            .collect::<BTreeMap<_, _>>()
    };
    let mut image = row(&keys::topic(record.id), &record.encode()).unwrap();
    assert!(
        image.finish(&names(&[]), Revision(1)).is_err(),
        "a topic without its name"
    );
    assert!(
        image.finish(&names(&[("orders", 2)]), Revision(1)).is_err(),
        "a name of another topic"
    );
    assert!(
        image
            .finish(&names(&[("orders", 1), ("x", 1)]), Revision(1))
            .is_err(),
        "a name too many"
    );
    assert!(image.finish(&names(&[("orders", 1)]), Revision(1)).is_ok());
}
