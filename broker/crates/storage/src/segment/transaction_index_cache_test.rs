use super::*;
use crate::segment::transaction_index::stamp_of;
use thalweg_types::{PartitionIndex, ProducerId, TopicId};

fn place(base: i64) -> (TopicPartitionId, Offset) {
    let id = TopicPartitionId {
        topic_id: TopicId([1; 16]),
        partition: PartitionIndex(0),
    };
    (id, Offset(base))
}

fn entries(count: i64) -> Arc<[AbortedTransaction]> {
    (0..count)
        .map(|n| AbortedTransaction {
            producer_id: ProducerId(n),
            first_offset: Offset(n),
            last_offset: Offset(n + 1),
            last_stable_offset: Offset(n + 2),
        })
        .collect()
}

#[test]
fn an_index_is_found_by_its_stamp_only() {
    let cache = TransactionIndexCache::default();
    let (two, three) = (entries(2), entries(3));
    let (old, new) = (stamp_of(&two), stamp_of(&three));
    cache.put(place(0), old, two.clone());
    assert_eq!(cache.get(place(0), old), Some(two));
    assert_eq!(cache.get(place(0), new), None);
    assert_eq!(cache.get(place(7), old), None);
    cache.put(place(0), new, three.clone());
    assert_eq!(cache.get(place(0), old), None);
    assert_eq!(cache.get(place(0), new), Some(three));
}

#[test]
fn the_longest_unused_index_makes_room_and_the_newest_stays() {
    let cache = TransactionIndexCache::default();
    let stamp = IndexStamp { len: 1, crc: 1 };
    let half = entries(ENTRIES_MAX as i64 / 2);
    cache.put(place(0), stamp, half.clone());
    cache.put(place(1), stamp, half.clone());
    assert!(cache.get(place(0), stamp).is_some());
    cache.put(place(2), stamp, half);
    assert!(cache.get(place(1), stamp).is_none());
    assert!(cache.get(place(0), stamp).is_some());
    cache.put(place(3), stamp, entries(ENTRIES_MAX as i64 + 1));
    assert!(cache.get(place(3), stamp).is_some());
    assert!(cache.get(place(0), stamp).is_none());
}
