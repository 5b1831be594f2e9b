use super::*;

fn partition(mirror_end: i64, source_end: i64, bytes: u64) -> PartitionStatus {
    PartitionStatus {
        topic: "orders".to_owned(),
        target_topic: "orders".to_owned(),
        source_start: Some(0),
        source_end: Some(source_end),
        mirror_start: Some(0),
        mirror_end: Some(mirror_end),
        lag_offsets: Some(source_end - mirror_end),
        appended_bytes: bytes,
        appended_batches: bytes,
        newest_ms: Some(1_000),
        ..PartitionStatus::default()
    }
}

/// Copies `rate` offsets of 10 bytes each second, for so many seconds, of a source that gains `gains`.
fn watched(progress: &mut Progress, seconds: u64, rate: i64, gains: i64) -> PartitionStatus {
    let start = Instant::now();
    let mut last = None;
    for second in 0..=seconds as i64 {
        let end = second * rate;
        let mut now = [partition(end, 10_000 + second * gains, end as u64 * 10)];
        let at = start + Duration::from_secs(second as u64);
        progress.apply(&mut now, at, 1_250);
        let [now] = now;
        last = Some(now);
    }
    last.expect("at least one look")
}

#[test]
fn a_steady_copy_has_its_rate_its_bytes_and_its_end() {
    let seen = watched(&mut Progress::default(), 60, 100, 0);
    assert!((seen.bytes_per_second - 1000.0).abs() < 1.0, "{seen:?}");
    assert!((seen.offsets_per_second - 100.0).abs() < 0.1, "{seen:?}");
    assert_eq!(seen.lag_bytes, Some(40_000), "from what was copied");
    let eta = seen.eta_seconds.unwrap();
    assert!((eta - 40.0).abs() < 0.5, "{eta}");
    assert_eq!(seen.latency_ms, Some(250));
}

#[test]
fn a_source_that_grows_faster_is_never_caught_up_with() {
    let seen = watched(&mut Progress::default(), 60, 100, 200);
    assert_eq!(seen.eta_seconds, None);
    let seen = watched(&mut Progress::default(), 60, 100, 50);
    let eta = seen.eta_seconds.unwrap();
    assert!((eta - 7000.0 / 50.0).abs() < 2.0, "{eta}");
}

#[test]
fn the_size_of_the_sources_log_comes_first_and_nothing_missing_is_nothing() {
    let mut progress = Progress::default();
    let at = TopicPartition::new("orders", PartitionIndex(0));
    progress.learn(HashMap::from([(at, 50_000)]));
    let mut now = [partition(5_000, 10_000, 0), partition(10_000, 10_000, 0)];
    now[1].partition = 1;
    progress.apply(&mut now, Instant::now(), 0);
    assert_eq!(now[0].lag_bytes, Some(25_000));
    assert_eq!((now[1].lag_bytes, now[1].eta_seconds), (Some(0), Some(0.0)));
}

#[test]
fn a_mirror_that_was_cut_back_begins_anew() {
    let mut progress = Progress::default();
    watched(&mut progress, 20, 100, 0);
    let mut now = [partition(5, 10_000, 20_000)];
    progress.apply(&mut now, Instant::now() + Duration::from_secs(100), 0);
    assert_eq!(now[0].bytes_per_second, 0.0);
}
