use std::collections::BTreeMap;

use crate::settings::{Profile, Settings};
use crate::{DynamicScope, TopicConfig};

type Pairs = &'static [(&'static str, &'static str)];

fn refusal(pairs: &[(&str, &str)]) -> String {
    let builder = Settings::builder(Profile::Serve);
    let built = pairs
        .iter()
        .fold(builder, |builder, (key, value)| builder.set(key, value))
        .build();
    built.expect_err("refused").to_string()
}

#[test]
fn keys_that_contradict_each_other_are_all_named() {
    let cases: &[(Pairs, &[&str])] = &[
        (
            &[("log.dirs", "/a,/b")],
            &["log.dirs has 2 entries (/a,/b)", "one directory"],
        ),
        (&[("log.dir", "/a,/b")], &["log.dir has 2 entries"]),
        (
            &[("process.roles", "controller")],
            &["process.roles must have broker"],
        ),
        (
            &[("node.id", "1"), ("broker.id", "2")],
            &["node.id (1)", "broker.id (2)"],
        ),
        (&[("broker.id", "-1")], &["must be at least 0; set node.id"]),
        (
            &[("listeners", "SSL://:9093")],
            &["SSL://:9093 needs SSL", "PLAINTEXT only"],
        ),
        (
            &[("listeners", "MINE://:9093")],
            &["MINE has no protocol", "listener.security.protocol.map"],
        ),
        (
            &[("listener.security.protocol.map", "A:B")],
            &["listener.security.protocol.map", "`A:B`"],
        ),
        (
            &[("listeners", "C://:1"), ("controller.listener.names", "C")],
            &["listeners has only names of controller.listener.names"],
        ),
        (
            &[("advertised.listeners", "SSL://h:1")],
            &["advertised.listeners names SSL", "not in listeners"],
        ),
        (
            &[("advertised.listeners", "PLAINTEXT://0.0.0.0:1")],
            &["clients cannot connect to 0.0.0.0"],
        ),
        (
            &[("wal.file.bytes", "4194304"), ("message.max.bytes", "2097153")],
            &["message.max.bytes (2097153) must be at most half of wal.file.bytes (2097152)"],
        ),
        (
            &[("socket.request.max.bytes", "1000000")],
            &["message.max.bytes (1048588) must be at most socket.request.max.bytes (1000000)"],
        ),
        (
            &[("memory.budget.bytes", "16777216")],
            &[
                "socket.request.max.bytes",
                "fetch.response.total.bytes.max",
                "memory.budget.bytes (16777216)",
            ],
        ),
        (
            &[("wal.max.bytes", "100000000")],
            &["twice wal.file.bytes", "wal.max.bytes (100000000)"],
        ),
        (
            &[("wal.file.bytes", "2097180")],
            &["wal.group.max.bytes (4194304)", "wal.file.bytes (2097180)"],
        ),
        (
            &[("disk.use.low.percent", "95")],
            &["disk.use.low.percent (95) must be below disk.use.high.percent (95)"],
        ),
        (
            &[("group.min.session.timeout.ms", "1800001")],
            &[
                "group.min.session.timeout.ms (1800001)",
                "group.max.session.timeout.ms (1800000)",
            ],
        ),
        (
            &[
                ("log.cleaner.min.compaction.lag.ms", "6"),
                ("log.cleaner.max.compaction.lag.ms", "5"),
            ],
            &[
                "log.cleaner.min.compaction.lag.ms (6)",
                "log.cleaner.max.compaction.lag.ms (5)",
            ],
        ),
        (&[("log.retention.ms", "0")], &["log.retention.ms must not be 0"]),
        (
            &[("log.retention.minutes", "0")],
            &["log.retention.minutes must not be 0"],
        ),
        (
            &[("log.retention.hours", "0")],
            &["log.retention.hours must not be 0"],
        ),
    ];
    for (pairs, words) in cases {
        let text = refusal(pairs);
        for word in *words {
            assert!(text.contains(word), "{pairs:?}: {text}");
        }
    }
}

#[test]
fn retention_below_minus_one_is_refused_by_name_and_minus_one_is_for_ever() {
    for key in [
        "log.retention.ms",
        "log.retention.minutes",
        "log.retention.hours",
        "log.retention.bytes",
    ] {
        for wrong in ["-2", "-2147483648"] {
            let text = refusal(&[(key, wrong)]);
            assert!(text.contains(key) && text.contains(wrong), "{text}");
            assert!(text.contains("at least -1"), "{text}");
        }
        let settings = Settings::builder(Profile::Serve)
            .set(key, "-1")
            .build()
            .expect("taken");
        let topic = TopicConfig::resolve(&BTreeMap::new(), &settings).expect("taken");
        if key == "log.retention.bytes" {
            assert_eq!(topic.retention_bytes_limit(), None);
        } else {
            assert_eq!(topic.retention_ms_limit(), None, "{key}");
        }
        let dynamic = BTreeMap::from([(key.to_owned(), "-2".to_owned())]);
        assert!(
            settings
                .with_dynamic(DynamicScope::ClusterDefault, &dynamic)
                .is_err()
        );
    }
}

#[test]
fn small_files_for_tests_are_possible() {
    let small = [
        ("wal.file.bytes", "1048576"),
        ("wal.max.bytes", "4194304"),
        ("wal.group.max.bytes", "262144"),
        ("message.max.bytes", "524288"),
        ("log.segment.bytes", "1048576"),
    ];
    let builder = Settings::builder(Profile::Dev);
    assert!(
        small
            .iter()
            .fold(builder, |builder, (key, value)| builder.set(key, value))
            .build()
            .is_ok()
    );
}
