//! What a mirror takes over besides records: settings that change, and where its records come from.

use rdkafka::admin::{AlterConfig, ResourceSpecifier};
use thalweg_tests::clients::librdkafka::{
    Consumed, Producer, Record, admin, admin_options, create_topic, read_topic,
};
use thalweg_tests::mirror::{Mirror, ends};
use thalweg_tests::{Broker, wait};

use crate::thalweg;

/// A topic's own settings; those of its cluster are left out.
fn own_settings(broker: &Broker, topic: &str) -> Vec<(String, String)> {
    let asked = [ResourceSpecifier::Topic(topic)];
    let described = wait::answer(admin(broker).describe_configs(asked.iter(), &admin_options()));
    let described = described.expect("answers").remove(0).expect("settings");
    let own = described
        .entries
        .into_iter()
        .filter(|entry| format!("{:?}", entry.source) == "DynamicTopic")
        .filter(|entry| !entry.name.starts_with("mirror."));
    let mut own: Vec<(String, String)> = own
        .map(|entry| (entry.name, entry.value.unwrap_or_default()))
        .collect();
    own.sort();
    own
}

/// Replaces a topic's own settings.
fn set(broker: &Broker, topic: &str, settings: &[(&str, &str)]) {
    let mut change = AlterConfig::new(ResourceSpecifier::Topic(topic));
    for (name, value) in settings {
        change = change.set(name, value);
    }
    let changed = wait::answer(admin(broker).alter_configs([&change], &admin_options()));
    for result in changed.expect("answers") {
        result.expect("changed");
    }
}

#[test]
fn changed_settings_follow_and_excluded_ones_stay() {
    let (source, target) = (thalweg().start(), thalweg().start());
    create_topic(
        &source,
        "orders",
        1,
        &[("retention.ms", "100000000"), ("segment.ms", "50000000")],
    );
    let mut mirror = Mirror::between(
        &source,
        &target,
        "topics = [\"orders\"]\nexclude_settings = [\"segment.ms\"]",
    );
    mirror.start();
    let expect = |expected: &[(&str, &str)]| {
        let expected: Vec<(String, String)> = expected
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let look = || {
            (!ends(&target, "orders").is_empty() && own_settings(&target, "orders") == expected).then_some(())
        };
        if wait::poll(wait::PATIENCE, look).is_none() {
            panic!(
                "{expected:?} is expected, not {:?}\n{}",
                own_settings(&target, "orders"),
                mirror.log_tail()
            );
        }
    };
    expect(&[("retention.ms", "100000000")]);
    // Compaction is the owner's to change, and is changed in the link's name.
    set(
        &source,
        "orders",
        &[("retention.ms", "200000000"), ("cleanup.policy", "compact")],
    );
    expect(&[("cleanup.policy", "compact"), ("retention.ms", "200000000")]);
    mirror.command("plan", &[]).ok();
    set(&source, "orders", &[("max.message.bytes", "54321")]);
    expect(&[("max.message.bytes", "54321")]);
    // What somebody set at the mirror and the source does not have, goes.
    set(
        &target,
        "orders",
        &[("retention.ms", "5000"), ("max.message.bytes", "54321")],
    );
    expect(&[("max.message.bytes", "54321")]);
}

#[test]
fn a_cleanup_policy_that_is_not_copied_is_told() {
    let (source, target) = (thalweg().start(), thalweg().start());
    create_topic(&source, "orders", 1, &[("cleanup.policy", "compact")]);
    let rules = "topics = [\"orders\"]\nexclude_settings = [\"cleanup.policy\"]";
    let mut mirror = Mirror::between(&source, &target, rules);
    mirror.start();
    mirror.wait_for_state("orders", "live");
    wait::until("the difference is told", || {
        let status = mirror.command("status", &[]);
        status
            .stdout_text()
            .contains("cleanup.policy is 'compact' at the source and 'delete' at the mirror")
    });
}

#[test]
fn a_chain_of_mirrors_works_and_a_ring_of_them_stops() {
    let (first, second, third) = (thalweg().start(), thalweg().start(), thalweg().start());
    create_topic(&first, "orders", 1, &[]);
    Producer::new(&first, &[]).send_all("orders", &[Record::new("k", "v")]);
    let link = |from: &Broker, to: &Broker, prefix: &str| {
        let rules = format!("topics = [\".*\"]\nprefix = \"{prefix}\"");
        let mut mirror = Mirror::between(from, to, &rules);
        mirror.start();
        mirror
    };
    let _one = link(&first, &second, "a.");
    let _two = link(&second, &third, "b.");
    let names = |topic: &str, broker: &Broker| ends(broker, topic) == [1];
    wait::until("the record came through both", || names("b.a.orders", &third));
    let read: Vec<String> = read_topic(&third, "b.a.orders", &[])
        .iter()
        .map(Consumed::text)
        .collect();
    assert_eq!(read, ["v"]);
    // The ring is closed: what began at the first is not brought back to it, what began elsewhere is.
    create_topic(&third, "payments", 1, &[]);
    Producer::new(&third, &[]).send_all("payments", &[Record::new("k", "p")]);
    let three = link(&third, &first, "c.");
    wait::until("the third's own topic comes", || names("c.payments", &first));
    wait::until("the ring is told", || {
        let said = three.command("status", &[]).ok().stdout_text();
        said.contains("not mirrored: b.a.orders: it is itself a mirror of a topic of the target")
    });
    assert!(ends(&first, "c.b.a.orders").is_empty());
    wait::until("it went round", || {
        names("b.a.c.payments", &third) || {
            let status = thalweg_tests::mirror::ends(&second, "a.c.payments");
            status == [1] && ends(&third, "b.a.c.payments").is_empty()
        }
    });
    assert!(ends(&third, "b.a.c.payments").is_empty(), "it does not come home");
}

#[test]
fn lag_has_bytes_a_rate_and_an_end() {
    let (source, target) = (thalweg().start(), thalweg().start());
    create_topic(&source, "orders", 1, &[]);
    let records: Vec<Record> = (0..400)
        .map(|_| Record::new("k", "x".repeat(100_000)).to_partition(0))
        .collect();
    Producer::new(&source, &[("linger.ms", "5")]).send_all("orders", &records);
    // Slow enough to be watched: two megabytes, a quarter of one each second.
    let mut mirror = Mirror::between(
        &source,
        &target,
        "topics = [\"orders\"]\nbandwidth_bytes = 250000",
    );
    mirror.start();
    let number = |field: &str| {
        let found = mirror.partitions()?.into_iter().next()?;
        found[field].as_f64()
    };
    wait::until("an end is in sight", || {
        let (lag, rate, eta) = (
            number("lag_bytes"),
            number("bytes_per_second"),
            number("eta_seconds"),
        );
        lag.is_some_and(|bytes| (1e6..41e6).contains(&bytes))
            && rate.is_some_and(|rate| (1e4..4e7).contains(&rate))
            && eta.is_some_and(|eta| (0.1..1e4).contains(&eta))
    });
    mirror.command("status", &[]).ok().shows("done in ");
    let metrics = mirror.get("/metrics").expect("HTTP answers").body;
    for name in [
        "thalweg_mirror_link_lag_bytes{",
        "thalweg_mirror_link_eta_seconds{",
        "kafka_connect_mirror_mirrorsourceconnector_replication_latency_ms{",
        "kafka_connect_mirror_mirrorsourceconnector_record_count{",
    ] {
        assert!(metrics.contains(name), "{name}: {metrics}");
    }
    assert!(mirror.terminate().success());
    let mut mirror = Mirror::between(&source, &target, "topics = [\"orders\"]");
    mirror.start();
    mirror.wait_for(&source, &target, "orders");
    wait::until("nothing is missing", || {
        let partitions = mirror.partitions().unwrap_or_default();
        let is_zero = |field: &str| partitions.iter().all(|found| found[field].as_f64() == Some(0.0));
        !partitions.is_empty() && is_zero("lag_bytes") && is_zero("eta_seconds")
    });
    mirror.command("status", &[]).ok().shows("up to date");
}
