//! Which partition of a coordinator's topic holds a group or a transactional id.

use thalweg_types::PartitionIndex;

/// Returns the `__consumer_offsets` partition of a group, or the `__transaction_state` partition of a transactional
/// id: Kafka's `abs(hashCode(id)) % partition_count`.
///
/// The hash is that of a Java string (over UTF-16 units), and the smallest integer, which has no absolute value,
/// counts as 0. A count below 1 is taken as 1.
#[must_use]
pub fn partition_for(id: &str, partition_count: i32) -> PartitionIndex {
    let hash = id.encode_utf16().fold(0i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    });
    let positive = hash.checked_abs().unwrap_or(0);
    PartitionIndex(positive % partition_count.max(1))
}

#[cfg(test)]
#[path = "partition_test.rs"]
mod tests;
