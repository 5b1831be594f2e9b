//! Manual assignments of partitions to brokers (CreateTopics, CreatePartitions).
//!
//! There is one broker, so an assignment can only name it, once for each partition.

use thalweg_types::{BrokerId, ErrorCode};

use super::refusal::Refusal;

/// Checks the brokers of one partition: exactly this one, once.
pub(super) fn check_replicas(partition: i32, brokers: &[i32], node_id: BrokerId) -> Result<(), Refusal> {
    let refuse = |what: String| Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, what));
    match brokers {
        [] => refuse(format!(
            "partition {partition} is assigned to no broker; assign it to {node_id}"
        )),
        _ if brokers.iter().any(|broker| *broker != node_id.get()) => refuse(format!(
            "partition {partition} is assigned to {brokers:?}; the only broker here is {node_id}"
        )),
        [_] => Ok(()),
        _ => refuse(format!(
            "partition {partition} is assigned to broker {node_id} more than once"
        )),
    }
}

/// Checks the assignments of a new topic, given in any order: partitions from 0 without gap or repeat. Returns
/// their number.
pub(super) fn check_new_topic<'a>(
    assignments: impl Iterator<Item = (i32, &'a [i32])>,
    node_id: BrokerId,
) -> Result<i32, Refusal> {
    let mut indexes = Vec::new();
    for (partition, brokers) in assignments {
        check_replicas(partition, brokers, node_id)?;
        indexes.push(partition);
    }
    indexes.sort_unstable();
    for (expected, found) in (0i32..).zip(&indexes) {
        if *found != expected {
            let what = format!(
                "the assignments name partition {found} where {expected} is due; they name each partition once, \
                 from 0 on without a gap"
            );
            return Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, what));
        }
    }
    i32::try_from(indexes.len()).map_err(|_| Refusal::bare(ErrorCode::InvalidPartitions))
}

/// Checks the assignments of partitions that are added to a topic of `present`, up to `wanted` of them.
pub(super) fn check_added<'a>(
    assignments: impl ExactSizeIterator<Item = &'a [i32]>,
    present: i32,
    wanted: i32,
    node_id: BrokerId,
) -> Result<(), Refusal> {
    let added = i64::from(wanted) - i64::from(present);
    if i64::try_from(assignments.len()) != Ok(added) {
        let what = format!(
            "{added} partitions are added and {} assignments are given",
            assignments.len()
        );
        return Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, what));
    }
    for (partition, brokers) in (present..).zip(assignments) {
        check_replicas(partition, brokers, node_id)?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "placement_test.rs"]
mod tests;
