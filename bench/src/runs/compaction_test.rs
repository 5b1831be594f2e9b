use super::*;

/// The records that are left after all segments but the last were compacted, and after the last was too.
fn last_two_counts(load: &Load) -> (u64, u64) {
    let each = load.segment_bytes / RECORD_BYTES * 3 / 4;
    let keys: Vec<String> = (0..load.records)
        .map(|number| generate::key(number, load.hot_keys))
        .collect();
    let newest: std::collections::HashMap<&String, usize> =
        keys.iter().enumerate().map(|(place, key)| (key, place)).collect();
    let kept_in = |places: std::ops::Range<u64>| {
        let places = places.filter_map(|place| usize::try_from(place).ok());
        places.filter(|place| newest[&keys[*place]] == *place).count() as u64
    };
    let before_last = kept_in(0..load.records - each) + each;
    (before_last, kept_in(0..load.records))
}

#[test]
fn the_bound_tells_the_last_segment_s_compaction_from_the_one_before() {
    let load = Load::of(16 << 20);
    let (before_last, last) = last_two_counts(&load);
    let bound = load.done_below(load.records * RECORD_BYTES) / RECORD_BYTES;
    let margin = load.segment_bytes / RECORD_BYTES / 8;
    assert!(
        last + margin <= bound,
        "{last} records are left, the bound is {bound}"
    );
    assert!(
        bound + margin <= before_last,
        "{before_last} are left before, the bound is {bound}"
    );
}

#[test]
fn a_load_fills_its_segments_and_a_small_one_has_segments_that_a_broker_takes() {
    let load = Load::of(512 << 20);
    assert_eq!(load.records, 512 << 10);
    let on_disk = load.records * (RECORD_BYTES + 27);
    assert_eq!(on_disk / load.segment_bytes, SEGMENTS - 1);
    assert_eq!(Load::of(1 << 20).segment_bytes, SEGMENT_BYTES_MIN);
}
