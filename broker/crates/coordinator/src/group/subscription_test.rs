use super::*;

fn topics(metadata: &[u8]) -> Option<Vec<String>> {
    let mut topics = Vec::new();
    for_each_topic(metadata, |topic| topics.push(topic.to_owned()))?;
    Some(topics)
}

#[test]
fn the_prefix_of_every_version_is_read() {
    // Version 3, two topics, then user data, owned partitions, generation and rack, which are not looked at.
    let bytes = b"\x00\x03\x00\x00\x00\x02\x00\x01a\x00\x02bc\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff";
    assert_eq!(topics(bytes), Some(vec!["a".to_owned(), "bc".to_owned()]));
}

#[test]
fn hostile_subscriptions_are_refused_without_reserving_memory() {
    for bytes in [
        &b""[..],
        b"\x00",
        b"\x00\x00\x7f\xff\xff\xff",
        b"\x00\x00\xff\xff\xff\xff",
        b"\x00\x00\x00\x00\x00\x01\xff\xff",
        b"\x00\x00\x00\x00\x00\x01\x00\x02a",
        b"\x00\x00\x00\x00\x00\x01\x00\x01\xff",
    ] {
        assert_eq!(topics(bytes), None, "{bytes:?}");
    }
}
