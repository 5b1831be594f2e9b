//! Log lines for what happens to transactional ids.

use thalweg_coordinator::transaction::TransactionEvent;

pub(super) fn log_event(event: &TransactionEvent) {
    match event {
        TransactionEvent::ProducerInitialized {
            transactional_id,
            producer,
        } => {
            tracing::info!(
                transactional_id = %transactional_id,
                producer_id = producer.id.get(),
                epoch = producer.epoch.get(),
                "transactional producer initialized"
            );
        }
        TransactionEvent::Fenced {
            transactional_id,
            producer,
            cause,
        } => {
            tracing::warn!(
                transactional_id = %transactional_id,
                producer_id = producer.id.get(),
                epoch = producer.epoch.get(),
                ?cause,
                "an open transaction is aborted"
            );
        }
        TransactionEvent::IdsExpired { count } => {
            tracing::info!(count, "unused transactional ids are forgotten");
        }
    }
}
