use super::*;

#[test]
fn an_explanation_says_what_it_is_and_where_its_value_comes_from() {
    let settings = Settings::builder(Profile::Serve)
        .file_bytes("server.properties", b"log.retention.hours=2\n")
        .set("log.retention.hours", "5")
        .build()
        .expect("valid");
    let text = explain("log.retention.hours", &settings).expect("a key");
    assert_eq!(
        text,
        "log.retention.hours (broker key, Apache Kafka's)\n\
         \x20 retention.ms of topics that set none, in hours.\n\
         \x20 type         int, hours\n\
         \x20 default      168\n\
         \x20 allowed      at least -1\n\
         \x20 changed      at start only\n\
         \x20 topic key    retention.ms\n\
         \x20 environment  THALWEG_LOG_RETENTION_HOURS\n\
         \x20 value        5 (--set)\n\
         \x20 hides        2 (server.properties:1)\n"
    );
    let text = explain("retention.ms", &settings).expect("a key");
    assert!(
        text.contains("from broker  log.retention.ms > log.retention.minutes > log.retention.hours"),
        "{text}"
    );
    assert!(
        text.contains("value        18000000 for a topic that sets none"),
        "{text}"
    );
}

#[test]
fn every_key_can_be_explained() {
    for setting in crate::BROKER_SETTINGS.iter().chain(crate::TOPIC_SETTINGS) {
        let text = explain_defaults(setting.name).expect("a key");
        assert!(text.lines().count() >= 5, "{text}");
    }
    let both = explain_defaults("compression.type").expect("both");
    assert!(
        both.contains("(broker key") && both.contains("(topic key"),
        "{both}"
    );
    let dev = explain_defaults("replication.factor.any").expect("a key");
    assert!(
        dev.contains("default      false; true under `thalweg dev`"),
        "{dev}"
    );
    assert!(dev.contains("Thalweg's own"), "{dev}");
}

#[test]
fn an_unknown_key_names_the_nearest() {
    let error = explain_defaults("num.partition").expect_err("unknown");
    assert_eq!(
        error.to_string(),
        "config explain: unknown key num.partition; did you mean num.partitions?"
    );
}

#[test]
fn a_secret_is_never_shown() {
    let settings = Settings::builder(Profile::Serve)
        .file_bytes("f", b"ssl.key.password=hunter2")
        .set("ssl.key.password", "hunter3")
        .build()
        .expect("valid");
    let text = explain("ssl.key.password", &settings).expect("a key");
    assert!(!text.contains("hunter"), "{text}");
    assert!(text.contains("value        (hidden) (--set)"), "{text}");
}
