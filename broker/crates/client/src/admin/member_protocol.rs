//! The consumers' own bytes inside classic groups: which topics a member wants, which partitions it got.
//!
//! Layout (Kafka's ConsumerProtocolAssignment): int16 version, array of { string topic, array of int32 partition },
//! nullable bytes user data. The broker passes these bytes on unread, so they come from any client: nothing here
//! trusts a count.

use bytes::Bytes;
use thalweg_types::PartitionIndex;

use crate::TopicPartition;

/// Reads the partitions out of a member's assignment. `None` if it is not the consumers' format.
pub(super) fn assigned_partitions(assignment: &Bytes) -> Option<Vec<TopicPartition>> {
    let mut rest: &[u8] = assignment;
    if rest.is_empty() {
        return Some(Vec::new());
    }
    let version = i16::from_be_bytes(take(&mut rest, 2)?.try_into().ok()?);
    if version < 0 {
        return None;
    }
    let mut partitions = Vec::new();
    for _ in 0..take_i32(&mut rest)?.max(0) {
        let size = usize::try_from(i16::from_be_bytes(take(&mut rest, 2)?.try_into().ok()?)).ok()?;
        let topic = std::str::from_utf8(take(&mut rest, size)?).ok()?;
        for _ in 0..take_i32(&mut rest)?.max(0) {
            // Four bytes are consumed for each, so the list cannot outgrow the input.
            partitions.push(TopicPartition::new(topic, PartitionIndex(take_i32(&mut rest)?)));
        }
    }
    Some(partitions)
}

fn take<'a>(rest: &mut &'a [u8], size: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(size)?;
    *rest = tail;
    Some(head)
}

fn take_i32(rest: &mut &[u8]) -> Option<i32> {
    Some(i32::from_be_bytes(take(rest, 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASSIGNMENT: &[u8] = b"\0\x01\0\0\0\x01\0\x06orders\0\0\0\x02\0\0\0\0\0\0\0\x07\xff\xff\xff\xff";

    #[test]
    fn an_assignment_names_topics_and_partitions() {
        let expected = [0, 7].map(|index| TopicPartition::new("orders", PartitionIndex(index)));
        assert_eq!(
            assigned_partitions(&Bytes::from_static(ASSIGNMENT)),
            Some(expected.to_vec())
        );
        assert_eq!(assigned_partitions(&Bytes::new()), Some(Vec::new()));
    }

    #[test]
    fn a_cut_assignment_is_no_assignment_and_does_not_panic() {
        // The user data at the end is not read.
        for size in 1..ASSIGNMENT.len() - 4 {
            assert_eq!(
                assigned_partitions(&Bytes::copy_from_slice(&ASSIGNMENT[..size])),
                None,
                "{size}"
            );
        }
        assert_eq!(
            assigned_partitions(&Bytes::from_static(b"\0\0\x7f\xff\xff\xff")),
            None
        );
    }
}
