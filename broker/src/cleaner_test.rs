use super::*;

#[test]
fn the_rate_is_held_over_many_calls_and_pauses_are_not_saved_up() {
    let start = Instant::now();
    let mut throttle = Throttle::new(start);
    assert_eq!(throttle.spend(1000, 1000.0, start), Duration::from_secs(1));
    assert_eq!(throttle.spend(500, 1000.0, start), Duration::from_millis(1500));
    let later = start + Duration::from_secs(100);
    assert_eq!(throttle.spend(1000, 1000.0, later), Duration::from_secs(1));
    // No limit, as the default says.
    assert!(throttle.spend(u64::MAX, f64::MAX, later) <= Duration::from_secs(1));
    for rate in [0.0, -1.0, f64::NAN, f64::MIN_POSITIVE] {
        let mut throttle = Throttle::new(start);
        let debt = throttle.spend(u64::MAX, rate, start);
        assert_eq!(debt, Duration::from_secs(3600), "{rate}");
    }
}

#[test]
fn a_stop_ends_the_wait_for_the_rate() {
    let (trigger, shutdown) = thalweg_telemetry::shutdown_channel();
    trigger.force();
    let begun = Instant::now();
    assert_eq!(sleep_off(Duration::from_secs(600), &shutdown), Pace::Stop);
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[test]
fn threads_share_memory_and_are_bounded() {
    let parts_with = |threads: &str| {
        let settings = Settings::builder(thalweg_settings::Profile::Serve)
            .set("log.cleaner.threads", threads)
            .set("log.cleaner.dedupe.buffer.size", "64000000")
            .set("log.cleaner.io.buffer.size", "640000")
            .build()
            .expect("valid");
        let go_on = |_: u64| Pace::GoOn;
        let found = parts(&settings, &go_on);
        (threads_of(&settings), found.map.bytes, found.read_bytes)
    };
    assert_eq!(parts_with("1"), (1, 64_000_000, 640_000));
    assert_eq!(parts_with("4"), (4, 16_000_000, 160_000));
    assert_eq!(parts_with("2000000000"), (64, 1_000_000, 10_000));
    assert_eq!(parts_with("0").0, 0, "a pause");
}
