use super::*;

#[test]
fn rule_21_the_volume_is_told_in_bytes_and_minus_one_when_it_cannot_be() {
    assert_eq!(
        volume(Some(DiskSpace {
            total: 10,
            available: 4
        })),
        (10, 4)
    );
    assert_eq!(
        volume(Some(DiskSpace {
            total: u64::MAX,
            available: 0
        })),
        (i64::MAX, 0)
    );
    assert_eq!(volume(None), (-1, -1));
}

#[test]
fn a_partition_asked_for_twice_is_told_once() {
    let one = |partitions| {
        DescribableLogDirTopic::default()
            .with_topic(topic_name("a"))
            .with_partitions(partitions)
    };
    let gathered = each_once(vec![one(vec![1, 0, 1]), one(vec![2, 1])]);
    assert_eq!(gathered.get("a"), Some(&BTreeSet::from([0, 1, 2])));
}
