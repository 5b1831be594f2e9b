use thalweg_client::PartitionMetadata;
use thalweg_types::ErrorCode;

use super::*;
use crate::config::Config;

fn link(extra: &str) -> LinkConfig {
    let text = format!(
        "[link.west]\nsource.bootstrap = \"a\"\ntarget.bootstrap = \"b\"\ntopics = [\".*\"]\n{extra}"
    );
    let config = Config::parse(std::path::Path::new("t"), &text).unwrap();
    config.links.into_iter().next().unwrap()
}

const ID: LinkId = LinkId([7; 16]);

fn topic(name: &str, id: u8, partitions: i32, origin: Origin) -> Topic {
    let partition = |index| PartitionMetadata {
        partition: PartitionIndex(index),
        leader: Some(BrokerId(1)),
        leader_epoch: LeaderEpoch(0),
        replicas: vec![],
        in_sync_replicas: vec![],
        offline_replicas: vec![],
        error: ErrorCode::None,
    };
    Topic {
        metadata: TopicMetadata {
            name: name.to_owned(),
            id: TopicId([id; 16]),
            is_internal: false,
            partitions: (0..partitions).map(partition).collect(),
        },
        origin,
        settings: Settings::new(),
    }
}

fn mirror_of(name: &str, id: u8) -> Origin {
    Origin {
        link: Some(ID),
        cluster_id: "S".to_owned(),
        topic: name.to_owned(),
        topic_id: TopicId([id; 16]).to_string(),
        lineage: Vec::new(),
    }
}

fn sides(source: Vec<Topic>, target: Vec<Topic>) -> Sides {
    let named = |topics: Vec<Topic>| {
        topics
            .into_iter()
            .map(|topic| (topic.metadata.name.clone(), topic))
            .collect()
    };
    Sides {
        source_cluster_id: "S".to_owned(),
        target_cluster_id: "T".to_owned(),
        source: named(source),
        target: named(target),
    }
}

fn only_reason(steps: &[Step]) -> &str {
    match steps {
        [Step::Refuse { reason, .. }] => reason,
        other => panic!("one refusal is expected: {other:?}"),
    }
}

#[test]
fn names_are_chosen_and_internal_topics_are_not() {
    let link = link("exclude = [\"test-.*\"]");
    assert!(is_chosen(&link, "orders", false));
    assert!(!is_chosen(&link, "test-1", false));
    assert!(!is_chosen(&link, "__consumer_offsets", false));
    assert!(!is_chosen(&link, "state", true));
    for notes in ["a.checkpoints.internal", "mm2-offset-syncs.b.internal"] {
        assert!(!is_chosen(&link, notes, false), "{notes}");
    }
    assert!(is_chosen(&link, "billing.internal", false), "that is a user's");
}

#[test]
fn a_missing_mirror_is_created_with_the_settings_that_bind_it() {
    let link = link("prefix = \"west.\"");
    let steps = reconcile(
        &link,
        ID,
        &sides(vec![topic("orders", 1, 3, Origin::default())], vec![]),
    );
    let [
        Step::Create {
            target,
            partitions,
            configs,
            ..
        },
    ] = &steps[..]
    else {
        panic!("{steps:?}")
    };
    assert_eq!((target.as_str(), *partitions), ("west.orders", 3));
    let origin = Origin::from_configs(
        configs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    );
    assert_eq!(origin, mirror_of("orders", 1));
}

#[test]
fn a_mirror_follows_the_number_of_partitions() {
    let steps = reconcile(
        &link(""),
        ID,
        &sides(
            vec![topic("orders", 1, 3, Origin::default())],
            vec![topic("orders", 9, 2, mirror_of("orders", 1))],
        ),
    );
    let [Step::Grow { partitions: 3, .. }, Step::Mirror(mirror)] = &steps[..] else {
        panic!("{steps:?}")
    };
    assert_eq!((mirror.partitions.len(), &mirror.stop), (2, &None));
}

#[test]
fn a_recreated_source_topic_stops_the_mirror() {
    let steps = reconcile(
        &link(""),
        ID,
        &sides(
            vec![topic("orders", 2, 3, Origin::default())],
            vec![topic("orders", 9, 2, mirror_of("orders", 1))],
        ),
    );
    let [Step::Mirror(mirror)] = &steps[..] else {
        panic!("nothing grows: {steps:?}")
    };
    assert!(matches!(mirror.stop, Some(Stop::Recreated { .. })));
}

#[test]
fn foreign_topics_at_the_target_are_not_touched() {
    let source = || vec![topic("orders", 1, 1, Origin::default())];
    let check = |origin: Origin, part: &str| {
        let steps = reconcile(
            &link(""),
            ID,
            &sides(source(), vec![topic("orders", 9, 1, origin)]),
        );
        let reason = only_reason(&steps);
        assert!(reason.contains(part), "{part}: {reason}");
    };
    check(Origin::default(), "is no mirror");
    let mut other = mirror_of("orders", 1);
    other.link = Some(LinkId([8; 16]));
    check(other, "belongs to link 0808");
    let mut cluster = mirror_of("orders", 1);
    cluster.cluster_id = "X".to_owned();
    check(cluster, "is a mirror of cluster X");
    check(mirror_of("other", 1), "is a mirror of 'other'");
}

#[test]
fn a_mirror_is_never_copied_back_to_where_it_comes_from() {
    let mut origin = mirror_of("orders", 1);
    origin.cluster_id = "T".to_owned();
    let steps = reconcile(&link(""), ID, &sides(vec![topic("orders", 1, 1, origin)], vec![]));
    assert!(only_reason(&steps).contains("loop"));
}

#[test]
fn a_chain_is_mirrored_and_says_where_it_comes_from() {
    let mut origin = mirror_of("orders", 1);
    (origin.cluster_id, origin.lineage) = ("B".to_owned(), vec!["A".to_owned()]);
    let steps = reconcile(
        &link(""),
        ID,
        &sides(vec![topic("orders", 1, 1, origin.clone())], vec![]),
    );
    let [Step::Create { configs, .. }] = &steps[..] else {
        panic!("{steps:?}")
    };
    let lineage = (CONFIG_LINEAGE.to_owned(), "B,A".to_owned());
    assert!(configs.contains(&lineage), "{configs:?}");
    // A ring of clusters: what began at the target does not come back to it.
    origin.lineage = vec!["T".to_owned()];
    let steps = reconcile(&link(""), ID, &sides(vec![topic("orders", 1, 1, origin)], vec![]));
    assert!(only_reason(&steps).contains("loop"));
}

#[test]
fn heartbeats_come_along_under_mirrormakers_name() {
    let link = link("heartbeats = true\nprefix = \"p.\"");
    assert_eq!(target_name(&link, "heartbeats"), "west.heartbeats");
    assert_eq!(target_name(&link, "a.heartbeats"), "west.a.heartbeats");
    assert_eq!(target_name(&link, "orders"), "p.orders");
    let some = super::super::config::Config::parse(
        std::path::Path::new("t"),
        "[link.west]\nsource.bootstrap = \"a\"\ntarget.bootstrap = \"b\"\ntopics = [\"x\"]\nheartbeats = true",
    );
    assert!(is_chosen(&some.unwrap().links[0], "heartbeats", false));
}

#[test]
fn changed_settings_of_the_source_change_the_mirror() {
    let setting = |value: &str| crate::settings::Setting {
        value: value.to_owned(),
        is_own: true,
    };
    let mut source = topic("orders", 1, 1, Origin::default());
    source.settings.insert("retention.ms".to_owned(), setting("5"));
    let mut mirror = topic("orders", 9, 1, mirror_of("orders", 1));
    let steps = reconcile(&link(""), ID, &sides(vec![source.clone()], vec![mirror.clone()]));
    assert!(
        matches!(&steps[..], [Step::Change { changes, .. }, Step::Mirror(_)] if changes.len() == 1),
        "{steps:?}"
    );
    let kept = link("exclude_settings = [\"retention.ms\"]");
    let steps = reconcile(&kept, ID, &sides(vec![source.clone()], vec![mirror.clone()]));
    assert!(matches!(&steps[..], [Step::Mirror(_)]), "{steps:?}");
    mirror.settings.clone_from(&source.settings);
    let steps = reconcile(&link(""), ID, &sides(vec![source], vec![mirror]));
    assert!(matches!(&steps[..], [Step::Mirror(_)]), "{steps:?}");
}

#[test]
fn two_links_into_one_topic_collide() {
    let chosen = |link: &str, target: &str| (link.to_owned(), "T".to_owned(), target.to_owned());
    let found = collisions(&[chosen("a", "orders"), chosen("b", "orders"), chosen("b", "x")]);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].contains("'a' and 'b'") && found[0].contains("'orders'"),
        "{found:?}"
    );
}
