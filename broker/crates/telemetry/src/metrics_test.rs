use super::*;

fn topic_bytes(metrics: &Metrics, series_max: usize) -> Family<IntCounterVec> {
    let spec = FamilySpec {
        name: "thalweg_topic_bytes_total",
        help: "Bytes.",
        labels: &["topic"],
        series_max,
    };
    metrics.counter_family(spec).unwrap()
}

#[test]
fn names_follow_the_rule() {
    let metrics = Metrics::new().unwrap();
    assert!(metrics.counter("thalweg_events_total", "Events.").is_ok());
    assert!(metrics.gauge("thalweg_connections", "Connections.").is_ok());
    assert!(metrics.gauge_float("thalweg_lag_seconds", "Lag.").is_ok());
    assert!(
        metrics
            .histogram("thalweg_flush_seconds", "Flush.", LATENCY_BUCKETS_SECONDS)
            .is_ok()
    );
    let wrong = [
        metrics.counter("thalweg_events", "no suffix").err(),
        metrics.counter("events_total", "no prefix").err(),
        metrics.counter("thalweg_Events_total", "capital").err(),
        metrics
            .gauge("thalweg_events_now_total", "gauge as counter")
            .err(),
        metrics.gauge("thalweg_wait_ms", "scaled unit").err(),
        metrics
            .histogram("thalweg_flush", "no unit", LATENCY_BUCKETS_SECONDS)
            .err(),
    ];
    for error in wrong {
        assert!(matches!(error, Some(MetricsError::Name { .. })), "{error:?}");
    }
}

#[test]
fn a_taken_name_is_refused() {
    let metrics = Metrics::new().unwrap();
    metrics.counter("thalweg_events_total", "Events.").unwrap();
    let error = metrics.counter("thalweg_events_total", "Events.").unwrap_err();
    assert!(matches!(error, MetricsError::Refused { .. }), "{error}");
}

#[test]
fn a_full_family_drops_new_series_counts_them_and_keeps_the_old() {
    let metrics = Metrics::new().unwrap();
    let family = topic_bytes(&metrics, 2);
    family.with(&["a"]).unwrap().inc_by(1);
    family.with(&["b"]).unwrap().inc_by(2);
    assert!(family.with(&["c"]).is_none());
    assert!(family.with(&["d"]).is_none());
    family.with(&["a"]).unwrap().inc_by(10);
    let text = metrics.encode().unwrap();
    assert!(
        text.contains("thalweg_topic_bytes_total{topic=\"a\"} 11"),
        "{text}"
    );
    let dropped = "thalweg_metrics_series_dropped_total{family=\"thalweg_topic_bytes_total\"} 2";
    assert!(text.contains(dropped), "{text}");
    assert!(!text.contains("\"c\""), "{text}");
}

#[test]
fn removing_a_series_makes_room() {
    let metrics = Metrics::new().unwrap();
    let family = topic_bytes(&metrics, 1);
    family.with(&["a"]).unwrap().inc();
    family.remove(&["a"]);
    family.remove(&["never seen"]);
    assert_eq!(family.series_count(), 0);
    assert!(family.with(&["b"]).is_some());
    assert!(!metrics.encode().unwrap().contains("\"a\""));
}

#[test]
fn a_wrong_number_of_labels_takes_no_place() {
    let metrics = Metrics::new().unwrap();
    let family = topic_bytes(&metrics, 1);
    assert!(family.with(&["a", "b"]).is_none());
    assert_eq!(family.series_count(), 0);
}

#[test]
fn label_values_from_outside_are_escaped() {
    let metrics = Metrics::new().unwrap();
    topic_bytes(&metrics, 1).with(&["a\"\n\\b"]).unwrap().inc();
    let text = metrics.encode().unwrap();
    assert!(text.contains(r#"topic="a\"\n\\b""#), "{text}");
}

#[test]
fn a_registry_without_observations_encodes() {
    assert!(Metrics::new().unwrap().encode().is_ok());
}

#[test]
fn the_reference_lists_what_has_no_series_yet() {
    let metrics = Metrics::new().unwrap();
    topic_bytes(&metrics, 1);
    metrics
        .histogram("thalweg_flush_seconds", "Flush.", LATENCY_BUCKETS_SECONDS)
        .unwrap();
    assert!(metrics.counter("thalweg_flush_seconds_total", "taken?").is_ok());
    assert!(metrics.counter("thalweg_flush_seconds_total", "Taken.").is_err());
    let reference = metrics.reference();
    let lines: Vec<String> = reference
        .iter()
        .map(|metric| {
            let (name, kind, unit) = (&metric.name, metric.kind, metric.unit());
            format!("{name} {kind} {unit} {:?}", metric.labels)
        })
        .collect();
    assert_eq!(
        lines,
        [
            "thalweg_flush_seconds histogram seconds []",
            "thalweg_flush_seconds_total counter seconds []",
            "thalweg_metrics_series_dropped_total counter  [\"family\"]",
            "thalweg_topic_bytes_total counter bytes [\"topic\"]",
        ]
    );
    assert!(
        !metrics
            .encode()
            .unwrap()
            .contains("# TYPE thalweg_topic_bytes_total")
    );
}
