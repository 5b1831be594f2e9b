use super::*;
use proptest::prelude::*;

pub(crate) fn topic(name: &str, id: u8) -> TopicRecord {
    TopicRecord {
        id: TopicId([id; 16]),
        name: name.to_owned(),
        partitions: 3,
        configs: BTreeMap::from([("retention.ms".to_owned(), "-1".to_owned())]),
        labels: BTreeMap::from([("tier".to_owned(), "gold".to_owned())]),
        created: TimestampMs(1_700_000_000_000),
        kind: TopicKind::Client,
    }
}

proptest! {
    #[test]
    fn a_topic_round_trips(
        id: [u8; 16], name: String, partitions in 1..i32::MAX, created: i64, internal: bool,
        configs: BTreeMap<String, String>, labels: BTreeMap<String, String>,
    ) {
        let kind = if internal { TopicKind::Internal } else { TopicKind::Client };
        let topic =
            TopicRecord { id: TopicId(id), name, partitions, configs, labels, created: TimestampMs(created), kind };
        prop_assert_eq!(TopicRecord::decode(&topic.encode()), Ok(topic));
    }

    #[test]
    fn a_tombstone_round_trips(id: [u8; 16], name: String, partitions in 1..i32::MAX, deleted: i64) {
        let tombstone = TopicTombstone { id: TopicId(id), name, partitions, deleted: TimestampMs(deleted) };
        prop_assert_eq!(TopicTombstone::decode(&tombstone.encode()), Ok(tombstone));
    }

    #[test]
    fn random_bytes_never_panic(mut bytes: Vec<u8>) {
        let _ = TopicRecord::decode(&bytes);
        let _ = TopicTombstone::decode(&bytes);
        if let Some(format) = bytes.first_mut() {
            *format = 1;
            let _ = TopicRecord::decode(&bytes);
            let _ = TopicTombstone::decode(&bytes);
        }
    }

    #[test]
    fn a_topic_cut_anywhere_is_malformed(at: prop::sample::Index) {
        let bytes = topic("orders", 1).encode();
        prop_assert!(TopicRecord::decode(&bytes[..at.index(bytes.len())]).is_err());
    }
}

#[test]
fn the_format_of_a_topic_stays_as_it_is() {
    let expected = [
        &[1][..],
        &[7; 16],
        &[0, 0, 0, 6],
        b"orders",
        &[0, 0, 0, 3, 0],
        &1_700_000_000_000i64.to_be_bytes(),
        &[0, 0, 0, 1, 0, 0, 0, 12],
        b"retention.ms",
        &[0, 0, 0, 2],
        b"-1",
        &[0, 0, 0, 1, 0, 0, 0, 4],
        b"tier",
        &[0, 0, 0, 4],
        b"gold",
    ]
    .concat();
    assert_eq!(topic("orders", 7).encode(), expected);
}

#[test]
fn a_topic_of_a_newer_release_is_refused_by_name() {
    let mut bytes = topic("orders", 7).encode();
    bytes[0] = 2;
    let expected = RecordError::NewerFormat {
        record: "topic",
        found: 2,
        supported: 1,
    };
    assert_eq!(TopicRecord::decode(&bytes), Err(expected));
}

#[test]
fn kafkas_rules_for_names_hold() {
    for name in ["a", "__consumer_offsets", "A.b-c_9", &"x".repeat(249)] {
        assert_eq!(topic(name, 1).validate(), Ok(()), "{name}");
    }
    for name in ["", ".", "..", "a b", "ä", "a/b", &"x".repeat(250)] {
        assert!(topic(name, 1).validate().is_err(), "{name}");
    }
    assert!(
        TopicRecord {
            partitions: 0,
            ..topic("a", 1)
        }
        .validate()
        .is_err()
    );
    assert!(topic("a", 0).validate().is_err(), "the null id is no topic's");
}
