//! The bounds and times of transaction coordination.

/// Limits and times that one shard works by. Times are milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionConfig {
    /// `transaction.max.timeout.ms`: the longest a client may ask for.
    pub timeout_ms_max: i32,
    /// `transactional.id.expiration.ms`: an id without an open transaction is removed when it was not used for so long.
    pub id_expiration_ms: i64,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`: time between two looks for such ids.
    pub expiration_interval_ms: i64,
    /// Transactional ids of one shard. More are refused; those found in the log are always loaded.
    pub ids_max: usize,
    /// Key and value bytes of the largest record the log takes, batch overhead already subtracted.
    pub record_bytes_max: usize,
    /// Tombstones that one look for expired ids may return; the rest follows with the next tick.
    pub expiry_records_max: usize,
}

impl Default for TransactionConfig {
    /// Returns Kafka's defaults, and bounds of our own where Kafka has none.
    fn default() -> Self {
        Self {
            timeout_ms_max: 900_000,
            id_expiration_ms: 7 * 24 * 3_600_000,
            expiration_interval_ms: 3_600_000,
            ids_max: 20_000,
            record_bytes_max: 1_000_000,
            expiry_records_max: 10_000,
        }
    }
}

/// A [`TransactionConfig`] makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} is {value}; it must be at least {least}")]
pub struct TransactionConfigError {
    /// The field.
    pub name: &'static str,
    /// What it is.
    pub value: i64,
    /// What it must be.
    pub least: i64,
}

impl TransactionConfig {
    /// Checks that the values make sense.
    ///
    /// # Errors
    /// [`TransactionConfigError`] names the first one that does not.
    pub fn validate(&self) -> Result<(), TransactionConfigError> {
        let checks = [
            ("timeout_ms_max", i64::from(self.timeout_ms_max), 1),
            ("id_expiration_ms", self.id_expiration_ms, 1),
            ("expiration_interval_ms", self.expiration_interval_ms, 1),
            ("ids_max", as_i64(self.ids_max), 1),
            ("record_bytes_max", as_i64(self.record_bytes_max), 1_024),
            ("expiry_records_max", as_i64(self.expiry_records_max), 1),
        ];
        match checks.into_iter().find(|(_, value, least)| value < least) {
            Some((name, value, least)) => Err(TransactionConfigError { name, value, least }),
            None => Ok(()),
        }
    }
}

fn as_i64(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
