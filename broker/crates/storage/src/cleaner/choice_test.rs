use super::*;

const CONFIG: CompactionConfig = CompactionConfig {
    dirty_ratio_min: 0.5,
    lag_ms_min: 0,
    lag_ms_max: i64::MAX,
    delete_retention_ms: 0,
};

/// Segments of 100 bytes and 10 offsets, the n-th with records of time 1000·n to 1000·n + 9.
fn segments(count: i64) -> Vec<Segment> {
    let segment = |index: i64| Segment {
        next_offset: Offset(index * 10 + 10),
        size: 100,
        first_timestamp: TimestampMs(index * 1000),
        max_timestamp: TimestampMs(index * 1000 + 9),
        ..Segment::new(Offset(index * 10), TimestampMs(0))
    };
    (1..=count).map(segment).collect()
}

fn ask(sealed: &[Segment], first_dirty: i64, change: impl FnOnce(&mut CompactionConfig)) -> Cleanable {
    let mut config = CONFIG;
    change(&mut config);
    cleanable(LogFacts {
        sealed,
        first_dirty: Offset(first_dirty),
        last_stable: Offset(1000),
        config: &config,
        now: TimestampMs(5000),
    })
}

#[test]
fn a_log_is_worth_cleaning_above_the_ratio_and_not_at_it() {
    let sealed = segments(4);
    let half = ask(&sealed, 30, |_| {});
    assert_eq!(
        (half.clean_bytes, half.dirty_bytes, half.need),
        (200, 200, Need::None)
    );
    let more = ask(&sealed, 20, |_| {});
    assert_eq!((more.end, more.segments, more.need), (Offset(50), 4, Need::Worth));
    assert!((more.ratio() - 0.75).abs() < 1e-9);
    let all_clean = ask(&sealed, 50, |config| config.dirty_ratio_min = 0.0);
    assert_eq!((all_clean.dirty_bytes, all_clean.need), (0, Need::None));
    assert_eq!(
        ask(&[], 0, |config| config.dirty_ratio_min = 0.0).need,
        Need::None
    );
}

#[test]
fn what_is_younger_than_the_lag_is_not_touched_nor_what_lies_behind() {
    let mut sealed = segments(4);
    let found = ask(&sealed, 10, |config| config.lag_ms_min = 1500);
    assert_eq!(
        (found.end, found.dirty_bytes),
        (Offset(40), 300),
        "3009 is old enough, 4009 not"
    );
    // A clock that went back: an old segment behind a young one waits too.
    sealed[1].max_timestamp = TimestampMs(4900);
    let found = ask(&sealed, 10, |config| config.lag_ms_min = 1500);
    assert_eq!((found.end, found.segments), (Offset(20), 1));
}

#[test]
fn a_segment_with_an_open_transaction_is_not_touched() {
    let sealed = segments(4);
    let found = cleanable(LogFacts {
        sealed: &sealed,
        first_dirty: Offset(10),
        last_stable: Offset(35),
        config: &CONFIG,
        now: TimestampMs(5000),
    });
    assert_eq!((found.end, found.segments), (Offset(30), 2));
}

#[test]
fn a_record_that_waited_too_long_is_cleaned_whatever_the_ratio_is() {
    let sealed = segments(4);
    let at = |lag_ms_max| {
        ask(&sealed, 40, |config| {
            config.dirty_ratio_min = 1.0;
            config.lag_ms_max = lag_ms_max;
        })
        .need
    };
    assert_eq!(at(1000), Need::None, "4000 is not older than 4000");
    assert_eq!(at(999), Need::MustNow);
}

#[test]
fn neighbours_that_fit_together_become_one_segment() {
    let limits = GroupLimits {
        segment_bytes: 250,
        index_bytes: 1000,
    };
    let lens = |segments: &[Segment], limits| {
        groups(segments, limits)
            .iter()
            .map(|g| g.len())
            .collect::<Vec<_>>()
    };
    assert_eq!(lens(&segments(5), limits), [2, 2, 1]);
    let mut sealed = segments(3);
    sealed[0].size = 1000;
    assert_eq!(
        lens(&sealed, limits),
        [1, 2],
        "one that is too large stands alone"
    );
    sealed[2].next_offset = Offset(sealed[1].base_offset.0 + i64::from(i32::MAX) + 1);
    assert_eq!(
        lens(&sealed, limits),
        [1, 1, 1],
        "an index entry has 31 bits for an offset"
    );
    let mut sealed = segments(3);
    sealed[1].offset_index.len = 996;
    sealed[2].offset_index.len = 8;
    assert_eq!(lens(&sealed, limits), [2, 1]);
    assert!(groups(&[], limits).is_empty());
}
