use super::*;

fn configs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, text)| ((*key).to_owned(), (*text).to_owned()))
        .collect()
}

const ID: &str = "00112233445566778899aabbccddeeff";

#[test]
fn a_link_id_is_read_with_and_without_dashes_and_written_without() {
    let plain = link_id(ID).unwrap();
    assert_eq!(link_id("00112233-4455-6677-8899-AABBCCDDEEFF"), Some(plain));
    assert_eq!(shown(plain), ID);
    for wrong in [
        "",
        "00",
        "zz112233445566778899aabbccddeeff",
        &"0".repeat(32),
        &"1".repeat(33),
    ] {
        assert_eq!(link_id(wrong), None, "{wrong}");
    }
}

#[test]
fn the_settings_say_whose_a_topic_is() {
    let mirror = configs(&[("mirror.link", ID), ("mirror.source.topic", "orders")]);
    assert_eq!(topic_role(&mirror), TopicRole::Mirror);
    assert!(check_new_mirror("orders", &mirror).is_ok());
    assert_eq!(
        topic_role(&configs(&[("mirror.source.topic", "orders")])),
        TopicRole::FormerMirror
    );
    assert_eq!(
        topic_role(&configs(&[("retention.ms", "1")])),
        TopicRole::Ordinary
    );
}

#[test]
fn half_a_mirror_is_refused_by_name() {
    let refused =
        |name: &str, pairs: &[(&str, &str)]| check_new_mirror(name, &configs(pairs)).unwrap_err().to_string();
    assert!(refused("a", &[("mirror.link", ID)]).contains("needs mirror.source.topic"));
    assert!(refused("a", &[("mirror.source.topic", "a")]).contains("needs mirror.link"));
    let internal = refused(
        "__consumer_offsets",
        &[("mirror.link", ID), ("mirror.source.topic", "a")],
    );
    assert!(internal.contains("broker's own"), "{internal}");
}

#[test]
fn the_reason_names_link_topic_and_cluster() {
    let link = MirrorLink::of(&configs(&[
        ("mirror.link", ID),
        ("mirror.source.topic", "orders"),
        ("mirror.source.cluster.id", "east"),
    ]));
    let text = link.unwrap().describe("orders");
    assert_eq!(
        text,
        format!("topic 'orders' is a mirror of 'orders' in cluster east, owned by link {ID}")
    );
}
