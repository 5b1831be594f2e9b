use super::*;
use crate::embedded::faulty_backend::FaultyBackend;
use crate::embedded::{EmbeddedOptions, EmbeddedStore, OpenMode};
use crate::image::MetadataChange;
use crate::opaque::put_many;
use crate::store::Transaction;
use crate::topic_record::tests::topic;

fn open(disk: &FaultyBackend) -> Metadata {
    let options = EmbeddedOptions::new("test", OpenMode::CreateIfMissing);
    Metadata::load(Arc::new(EmbeddedStore::open(disk.clone(), options).unwrap().0)).unwrap()
}

fn edit(key: &str, value: &str) -> ConfigEdit {
    ConfigEdit {
        changes: BTreeMap::from([(key.to_owned(), Some(value.to_owned()))]),
        at: TimestampMs(1),
        principal: None,
    }
}

#[test]
fn changes_are_in_the_image_when_the_call_returns_and_after_a_restart() {
    let disk = FaultyBackend::default();
    let metadata = open(&disk);
    let id = TopicId([1; 16]);
    metadata.create_topic(&topic("orders", 1)).unwrap();
    metadata.create_topic(&topic("gone", 2)).unwrap();
    metadata.add_partitions(id, 5).unwrap();
    let version = metadata.image().topic("orders").unwrap().version;
    metadata
        .alter_topic_configs(id, version, &edit("cleanup.policy", "compact"))
        .unwrap();
    let version = metadata.image().topic("orders").unwrap().version;
    metadata.alter_topic_labels(id, version, BTreeMap::new()).unwrap();
    metadata.delete_topic(TopicId([2; 16]), TimestampMs(9)).unwrap();
    metadata
        .alter_broker_configs(ConfigScope::Default, None, &edit("log.retention.ms", "5"))
        .unwrap();
    put_many(&**metadata.store(), [(b"row".to_vec(), b"x".to_vec())], []).unwrap();

    let image = metadata.image();
    let orders = &image.topic("orders").unwrap().record;
    assert_eq!(
        (orders.partitions, orders.configs.len(), orders.labels.len()),
        (5, 2, 0)
    );
    assert_eq!(
        image
            .tombstones()
            .map(|gone| gone.name.as_str())
            .collect::<Vec<_>>(),
        ["gone"]
    );
    assert!(image.broker_configs(ConfigScope::Default).is_some());
    drop(metadata);

    let metadata = open(&disk);
    assert!(metadata.image().revision() >= image.revision());
    assert_eq!(metadata.image().changes_since(&image), []);
    metadata.remove_tombstones([TopicId([2; 16])]).unwrap();
    assert_eq!(metadata.image().tombstones().len(), 0);
}

#[test]
fn a_subscriber_sees_every_change_if_only_summed_up() {
    let metadata = open(&FaultyBackend::default());
    let mut receiver = metadata.subscribe();
    let before = Arc::clone(&receiver.borrow_and_update());
    metadata.create_topic(&topic("a", 1)).unwrap();
    metadata.create_topic(&topic("b", 2)).unwrap();
    assert!(receiver.has_changed().unwrap());
    let after = Arc::clone(&receiver.borrow_and_update());
    let changes = after.changes_since(&before);
    assert!(matches!(
        &changes[..],
        [MetadataChange::TopicCreated(_), MetadataChange::TopicCreated(_)]
    ));
    assert_eq!(before.topics().len(), 0, "an image that is held does not change");
}

#[test]
fn changes_beside_the_image_come_with_a_sync_even_after_lagging() {
    let metadata = open(&FaultyBackend::default());
    for id in 1..=2u8 {
        topics::create_topic(&**metadata.store(), &topic(&format!("t{id}"), id)).unwrap();
    }
    assert_eq!(metadata.image().topics().len(), 0);
    metadata.sync().unwrap();
    assert_eq!(metadata.image().topics().len(), 2);
    for round in 0..1100 {
        let labels = BTreeMap::from([("round".to_owned(), round.to_string())]);
        let record = TopicRecord {
            labels,
            ..topic("t1", 1)
        };
        let transaction = Transaction::new().put(keys::topic(TopicId([1; 16])), record.encode());
        metadata.store().commit(transaction).unwrap();
    }
    metadata.sync().unwrap();
    assert_eq!(
        metadata.image().topic("t1").unwrap().record.labels["round"],
        "1099"
    );
    metadata.create_topic(&topic("t3", 3)).unwrap();
    assert_eq!(metadata.image().topics().len(), 3);
}

#[test]
fn rows_that_make_no_sense_are_refused_at_loading_and_at_each_sync() {
    let metadata = open(&FaultyBackend::default());
    metadata
        .store()
        .commit(Transaction::new().put("m/topic/id/x", [9]))
        .unwrap();
    assert!(metadata.sync().is_err());
    assert!(
        metadata.sync().is_err(),
        "an image that missed something must not pass for the newest"
    );
    assert!(Metadata::load(Arc::clone(metadata.store())).is_err());
    metadata
        .store()
        .commit(Transaction::new().delete("m/topic/id/x"))
        .unwrap();
    metadata.sync().unwrap();
}

#[test]
fn a_poisoned_store_is_reported_by_a_change() {
    let disk = FaultyBackend::default();
    let metadata = open(&disk);
    let fault = crate::embedded::faulty_backend::Fault {
        call: disk.calls() + 3,
        kind: std::io::ErrorKind::Other,
    };
    disk.set_fault(Some(fault));
    assert!(metadata.create_topic(&topic("a", 1)).is_err());
    assert!(metadata.sync().is_err());
    assert_eq!(metadata.image().topics().len(), 0);
}
