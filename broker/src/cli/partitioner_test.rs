use super::*;

/// (key, Kafka's `Utils.murmur2` as unsigned, `Utils.toPositive(…) % 12`), printed from kafka-clients 4.3.1.
const GOLDEN: &[(&str, u32, u32)] = &[
    ("", 275_646_681, 9),
    ("a", 2_731_586_172, 4),
    ("ab", 316_155_434, 2),
    ("abc", 479_470_107, 3),
    ("abcd", 2_971_317_748, 8),
    ("kafka", 3_496_464_228, 4),
    ("21", 3_321_034_988, 0),
    ("foobar", 3_504_634_814, 6),
    ("a-little-bit-long-string", 3_308_985_760, 8),
    ("a-little-bit-longer-string", 2_808_662_467, 11),
    (
        "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
        4_236_069_325,
        5,
    ),
    ("naïve-ключ", 3_012_783_494, 6),
];

#[test]
fn murmur2_gives_the_values_of_javas_client() {
    for (key, hash, partition) in GOLDEN {
        assert_eq!(murmur2(key.as_bytes()), *hash, "{key}");
        assert_eq!(partition_of_key(key.as_bytes(), 12), *partition, "{key}");
    }
}

#[test]
fn keyless_records_stay_with_a_partition_until_the_batch_is_full() {
    let mut sticky = Sticky::new(3, 4, 100);
    let partitions: Vec<u32> = [60, 60, 60, 60, 1000, 1].map(|size| sticky.next(size)).to_vec();
    assert_eq!(partitions, [1, 1, 2, 2, 0, 1]);
}
