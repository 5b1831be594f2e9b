use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

const SEED: DigestSeed = DigestSeed(1, 2);

fn limits(slots: usize) -> MapLimits {
    MapLimits {
        bytes: slots * SLOT_BYTES,
        load_factor: 0.9,
    }
}

proptest! {
    #[test]
    fn it_answers_as_a_plain_map_does(keys in prop::collection::vec(0u8..60, 1..400)) {
        let mut map = OffsetMap::new(limits(100), 1000, SEED);
        let mut plain = HashMap::new();
        for (offset, key) in keys.iter().enumerate() {
            map.put(&[*key], Offset(offset as i64)).unwrap();
            plain.insert(*key, Offset(offset as i64));
        }
        for key in 0..60u8 {
            prop_assert_eq!(map.get(&[key]), plain.get(&key).copied());
        }
        prop_assert_eq!(map.latest(), Some(Offset(keys.len() as i64 - 1)));
    }
}

#[test]
fn a_full_map_takes_known_keys_and_refuses_new_ones() {
    let mut map = OffsetMap::new(limits(20), u64::MAX, SEED);
    let mut taken = 0;
    while map.put(&[taken], Offset(i64::from(taken))).is_ok() {
        taken += 1;
    }
    assert_eq!(taken, 18, "0.9 of 20 slots");
    assert_eq!(map.latest(), Some(Offset(17)), "what was refused does not count");
    map.put(&[3], Offset(100)).unwrap();
    assert_eq!(map.get(&[3]), Some(Offset(100)));
    assert_eq!(map.get(&[taken]), None);
    assert!((map.utilization() - 1.0).abs() < 1e-9);
}

#[test]
fn it_takes_no_more_memory_than_the_range_can_use_or_the_setting_allows() {
    let slots = |bytes, keys| {
        OffsetMap::new(
            MapLimits {
                bytes,
                load_factor: 0.9,
            },
            keys,
            SEED,
        )
        .slots
        .len()
    };
    assert_eq!(slots(128 << 20, 90), 101);
    assert_eq!(slots(24 * 50, 1 << 40), 50);
    assert_eq!(slots(0, 0), SLOTS_MIN);
    for load_factor in [f64::NAN, -1.0, 0.0, 5.0, f64::INFINITY] {
        let mut map = OffsetMap::new(
            MapLimits {
                bytes: 0,
                load_factor,
            },
            10,
            SEED,
        );
        map.put(b"one", Offset(0)).unwrap();
        assert_eq!(map.get(b"two"), None, "{load_factor}: a lookup ends");
    }
}
