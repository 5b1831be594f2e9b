use super::*;

#[test]
fn a_misspelled_key_finds_the_one_that_was_meant() {
    let cases = [
        ("num.partition", Some("num.partitions")),
        ("retenton.ms", Some("retention.ms")),
        ("log.retention.sm", Some("log.retention.ms")),
        ("LOG.RETENTION.MS", Some("log.retention.ms")),
        ("auto_create_topics_enable", Some("auto.create.topics.enable")),
        ("listener", Some("listeners")),
        ("wal.max.byte", Some("wal.max.bytes")),
        ("foo", None),
        ("", None),
        ("completely.different.words", None),
    ];
    for (name, expected) in cases {
        assert_eq!(nearest(name), expected, "{name}");
    }
    assert_eq!(nearest(&"x".repeat(100_000)), None);
}

#[test]
fn a_broker_key_on_a_topic_finds_its_topic_name() {
    assert_eq!(nearest_topic("log.retention.hours"), Some("retention.ms"));
    assert_eq!(nearest_topic("message.max.bytes"), Some("max.message.bytes"));
    assert_eq!(nearest_topic("cleanup.polcy"), Some("cleanup.policy"));
    assert_eq!(nearest_topic("num.partitions"), None);
}

#[test]
fn a_topic_key_on_a_broker_finds_its_broker_name() {
    assert_eq!(nearest_broker("retenton.ms"), Some("log.retention.ms"));
    assert_eq!(nearest_broker("log.retenton.ms"), Some("log.retention.ms"));
    assert_eq!(nearest_broker("nothing.at.all.like.it"), None);
}

#[test]
fn distance_counts_edits_and_swaps() {
    let distance = |left: &str, right: &str| edit_distance(&left.chars().collect::<Vec<_>>(), right);
    assert_eq!(distance("", "abc"), 3);
    assert_eq!(distance("abc", ""), 3);
    assert_eq!(distance("abc", "abc"), 0);
    assert_eq!(distance("abc", "acb"), 1);
    assert_eq!(distance("kitten", "sitting"), 3);
}

#[test]
fn names_of_both_kinds_are_the_brokers_first() {
    assert_eq!(
        lookup("compression.type").expect("both").update,
        crate::Update::ClusterWide
    );
    assert_eq!(
        lookup("retention.ms").expect("topic").update,
        crate::Update::Topic
    );
    assert_eq!(lookup("nothing"), None);
}

#[test]
fn a_removed_key_says_what_to_do_and_is_no_key() {
    assert!(removed("zookeeper.connect").is_some());
    assert!(removed("portal").is_none());
    for (name, _) in REMOVED {
        assert!(lookup(name).is_none(), "{name}");
    }
}
