//! Log lines for what happens to groups.

use thalweg_coordinator::group::GroupEvent;

pub(super) fn log_event(event: &GroupEvent) {
    match event {
        GroupEvent::RebalanceStarted {
            group_id,
            generation,
            reason,
        } => {
            tracing::info!(group = %group_id, generation = generation.0, ?reason, "rebalance started");
        }
        GroupEvent::GenerationFormed {
            group_id,
            generation,
            members,
        } => {
            tracing::info!(group = %group_id, generation = generation.0, members, "generation formed");
        }
        GroupEvent::MemberRemoved {
            group_id,
            member_id,
            cause,
        } => {
            tracing::info!(group = %group_id, member = %member_id, ?cause, "member removed");
        }
        GroupEvent::StaticMemberReplaced {
            group_id,
            instance_id,
            old_member_id,
            new_member_id,
        } => {
            tracing::info!(
                group = %group_id,
                instance = %instance_id,
                old_member = %old_member_id,
                member = %new_member_id,
                "static member replaced"
            );
        }
        GroupEvent::AssignmentRefused {
            group_id,
            error,
            record_bytes,
        } => {
            tracing::warn!(group = %group_id, %error, record_bytes, "assignment refused");
        }
        GroupEvent::GroupDeleted { group_id, offsets } => {
            tracing::info!(group = %group_id, offsets, "group deleted");
        }
    }
}
