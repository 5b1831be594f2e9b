//! The settings of groups as the coordinator takes them.

use thalweg_coordinator::group::GroupConfig;
use thalweg_settings::Settings;

use crate::coordinator_log::RECORD_BYTES_MAX;

/// Returns the settings in force. They are read-only in Kafka too, so they hold until the broker stops.
///
/// The result is valid: every setting has the bounds that the coordinator asks for, but for a largest session timeout
/// below the least one, which is then raised to it.
pub(super) fn group_config(settings: &Settings) -> GroupConfig {
    let millis = |duration: std::time::Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    let session_timeout_ms_min = settings.group_min_session_timeout_ms().max(1);
    GroupConfig {
        session_timeout_ms_min,
        session_timeout_ms_max: settings
            .group_max_session_timeout_ms()
            .max(session_timeout_ms_min),
        initial_rebalance_delay_ms: millis(settings.group_initial_rebalance_delay_ms()),
        group_size_max: usize::try_from(settings.group_max_size()).unwrap_or(usize::MAX),
        offset_metadata_max: usize::try_from(settings.offset_metadata_max_bytes()).unwrap_or(usize::MAX),
        offsets_retention_ms: i64::from(settings.offsets_retention_minutes()) * 60_000,
        offsets_retention_check_interval_ms: millis(settings.offsets_retention_check_interval_ms()),
        record_bytes_max: RECORD_BYTES_MAX,
        ..GroupConfig::default()
    }
}

#[cfg(test)]
#[path = "config_test.rs"]
mod tests;
