//! Transactions: what is open, what ended how, and whether markers are missing.

use thalweg_coordinator::transaction::TransactionState;

use crate::admin::AdminParts;
use crate::admin::page::Page;

pub(super) fn collect(parts: &AdminParts, page: &mut Page) {
    let stats = parts.transactions.stats();
    for (state, count) in TransactionState::ALL.into_iter().zip(stats.ids) {
        page.add(
            "thalweg_transactional_ids",
            &[("state", state.name())],
            count as f64,
        );
    }
    let counters = &stats.counters;
    let counted = [
        ("thalweg_transactions_started_total", counters.started),
        ("thalweg_transactions_committed_total", counters.committed),
        ("thalweg_transactions_aborted_total", counters.aborted),
        ("thalweg_transactions_timed_out_total", counters.timed_out),
        ("thalweg_transactions_taken_over_total", counters.taken_over),
        ("thalweg_transactional_ids_expired_total", counters.ids_expired),
        (
            "thalweg_transaction_impossible_moves_total",
            counters.impossible_moves,
        ),
        ("thalweg_transaction_markers_pending", stats.markers_pending),
    ];
    for (name, value) in counted {
        page.add(name, &[], value as f64);
    }
    page.add(
        "thalweg_transaction_partitions_not_loaded",
        &[],
        parts.transactions.not_loaded().len() as f64,
    );
    page.add(
        "thalweg_transaction_load_seconds_max",
        &[],
        stats.load_ms_max as f64 / 1_000.0,
    );
}
