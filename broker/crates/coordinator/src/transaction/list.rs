//! DescribeTransactions (key 65) and ListTransactions (key 66, KIP-664, KIP-994).

use thalweg_types::TimestampMs;

use super::metadata::TransactionMetadata;
use super::request::{DescribedTransaction, ListTransactions};

impl TransactionMetadata {
    /// Describes the id.
    pub(crate) fn describe(&self) -> DescribedTransaction {
        DescribedTransaction {
            state: self.state,
            producer: self.producer(),
            timeout_ms: self.timeout_ms,
            started_at: self.started_at,
            partitions: self.partition_list(),
        }
    }
}

impl ListTransactions {
    /// Reports whether an id belongs in the list.
    pub(crate) fn wants(&self, listed: &TransactionMetadata, now: TimestampMs) -> bool {
        let has_state = self.states.is_empty() || self.states.contains(&listed.state);
        let has_producer = self.producer_ids.is_empty() || self.producer_ids.contains(&listed.producer_id);
        let age_ms = now.get().saturating_sub(listed.started_at.get());
        has_state && has_producer && self.duration_ms.is_none_or(|duration_ms| age_ms > duration_ms)
    }
}
