//! The partition tests again, over a log that delays and reorders its groups and loses its session at every crash:
//! what an object store will do.

use super::*;
use crate::wal::memory::{Finish, MemoryOpener};
use std::cell::Cell;

/// Groups under way at once.
const IN_FLIGHT: usize = 4;

thread_local! {
    static IN_MEMORY: Cell<bool> = const { Cell::new(false) };
}

/// The log of a new [`World`], when it is to be in memory.
pub(super) fn in_force() -> Option<MemorySink> {
    IN_MEMORY
        .get()
        .then(|| MemorySink::new(IN_FLIGHT, Finish::OnCall))
}

/// Fences the session before and starts the next one, whose groups finish in random order, a little late.
pub(super) fn next_session(log: &mut MemorySink) -> FindWal {
    let session = log.next_session();
    *log = session.clone();
    let finisher = session.clone();
    std::thread::spawn(move || {
        let mut rng = StdRng::seed_from_u64(4);
        while !finisher.is_over() {
            let pending = finisher.pending();
            if pending.is_empty() {
                std::thread::sleep(Duration::from_micros(50));
            } else {
                finisher.finish(pending[rng.random_range(0..pending.len())]);
            }
        }
    });
    Box::new(move |incarnation| Ok(Box::new(MemoryOpener { session, incarnation })))
}

fn over_memory(test: fn()) {
    IN_MEMORY.set(true);
    test();
    IN_MEMORY.set(false);
}

/// One test each, so that a failure names the rule.
macro_rules! again_over_memory {
    ($($name:ident,)*) => {
        $(#[test]
        fn $name() {
            over_memory(super::$name);
        })*
    };
}

again_over_memory! {
    an_append_is_readable_when_its_ticket_completes_and_not_before,
    the_same_records_come_from_memory_the_write_ahead_log_and_segments,
    rule_11_all_five_batches_of_a_producer_are_repeats_after_a_crash,
    deleted_records_stay_deleted_after_a_crash,
    retention_by_size_and_time_deletes_whole_old_segments_for_ever,
    a_damaged_index_is_rebuilt_and_damaged_records_are_named_not_served,
    a_segment_shorter_than_its_recovery_point_refuses_the_start_by_name,
    a_mirror_keeps_offsets_epochs_and_gaps_and_its_truncation_is_never_undone,
    a_run_for_an_unknown_topic_refuses_the_start_and_a_tombstone_passes,
    a_deleted_topic_is_gone_and_its_name_can_be_used_again,
    a_damaged_base_offset_which_no_checksum_covers_is_not_served,
    a_quarantined_segment_is_a_named_gap_and_the_rest_is_served,
}

#[test]
fn random_histories_with_lost_sessions_agree_with_the_model() {
    IN_MEMORY.set(true);
    for seed in 500..510 {
        println!("seed {seed}");
        model::run_model(seed, 300);
    }
    IN_MEMORY.set(false);
}
