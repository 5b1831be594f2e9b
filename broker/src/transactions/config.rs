//! The settings of transactions as the coordinator takes them.

use thalweg_coordinator::transaction::TransactionConfig;
use thalweg_settings::Settings;

use crate::coordinator_log::RECORD_BYTES_MAX;

/// Returns the settings in force. They are read-only in Kafka too, so they hold until the broker stops. The result is
/// valid: every setting has the bounds that the coordinator asks for.
pub(super) fn transaction_config(settings: &Settings) -> TransactionConfig {
    let interval = settings.transaction_remove_expired_transaction_cleanup_interval_ms();
    TransactionConfig {
        timeout_ms_max: i32::try_from(settings.transaction_max_timeout_ms()).unwrap_or(i32::MAX),
        id_expiration_ms: i64::from(settings.transactional_id_expiration_ms()),
        expiration_interval_ms: i64::try_from(interval.as_millis()).unwrap_or(i64::MAX),
        ids_max: usize::try_from(settings.transactional_ids_per_partition_max()).unwrap_or(usize::MAX),
        record_bytes_max: RECORD_BYTES_MAX,
        ..TransactionConfig::default()
    }
}
