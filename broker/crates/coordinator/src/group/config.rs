//! The bounds and times of group coordination.

/// Limits and times that one shard works by. Times are milliseconds.
///
/// [`GroupConfig::validate`] says which values make sense together; a shard does not check again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// `group.min.session.timeout.ms`.
    pub session_timeout_ms_min: i32,
    /// `group.max.session.timeout.ms`.
    pub session_timeout_ms_max: i32,
    /// `group.initial.rebalance.delay.ms`: how long an empty group waits for more members (KIP-134). 0 = not at all.
    pub initial_rebalance_delay_ms: i64,
    /// How long a new member may wait for the answer to its first JoinGroup. Kafka's constant is 5 minutes: a
    /// client that was told no id cannot send heartbeats, so nothing else would remove it.
    pub new_member_join_timeout_ms: i64,
    /// `group.max.size`: members of one group (KIP-389).
    pub group_size_max: usize,
    /// Ids handed out by MEMBER_ID_REQUIRED and not used yet, for each group.
    pub pending_members_max: usize,
    /// Groups of one shard. More are refused; groups found in the log are always loaded.
    pub groups_max: usize,
    /// Bytes of protocol names and metadata of one member, all its protocols together.
    pub member_metadata_bytes_max: usize,
    /// `offset.metadata.max.bytes`, counted as Kafka does in UTF-16 units.
    pub offset_metadata_max: usize,
    /// `offsets.retention.minutes`, in milliseconds (KIP-211).
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`.
    pub offsets_retention_check_interval_ms: i64,
    /// Key and value bytes of the largest record the log takes, batch overhead already subtracted.
    pub record_bytes_max: usize,
    /// Tombstones one expiry pass may return; the rest follows with the next tick.
    pub expiry_records_max: usize,
}

impl Default for GroupConfig {
    /// Returns Kafka's defaults, and bounds of our own where Kafka has none.
    fn default() -> Self {
        Self {
            session_timeout_ms_min: 6_000,
            session_timeout_ms_max: 1_800_000,
            initial_rebalance_delay_ms: 3_000,
            new_member_join_timeout_ms: 300_000,
            group_size_max: i32::MAX as usize,
            pending_members_max: 10_000,
            groups_max: 100_000,
            member_metadata_bytes_max: 512 * 1024,
            offset_metadata_max: 4_096,
            offsets_retention_ms: 7 * 24 * 3_600_000,
            offsets_retention_check_interval_ms: 600_000,
            record_bytes_max: 1_000_000,
            expiry_records_max: 10_000,
        }
    }
}

/// A [`GroupConfig`] makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupConfigError {
    /// No session timeout can satisfy both bounds.
    #[error(
        "group.min.session.timeout.ms ({min}) must be at least 1 and not above group.max.session.timeout.ms ({max})"
    )]
    SessionTimeouts {
        /// The lower bound.
        min: i32,
        /// The upper bound.
        max: i32,
    },
    /// A value that must be above its least value is not.
    #[error("{name} is {value}; it must be at least {least}")]
    TooSmall {
        /// The field.
        name: &'static str,
        /// What it is.
        value: i64,
        /// What it must be.
        least: i64,
    },
}

impl GroupConfig {
    /// Checks that the values make sense.
    ///
    /// # Errors
    /// [`GroupConfigError`] names the first one that does not.
    pub fn validate(&self) -> Result<(), GroupConfigError> {
        let (min, max) = (self.session_timeout_ms_min, self.session_timeout_ms_max);
        if min < 1 || min > max {
            return Err(GroupConfigError::SessionTimeouts { min, max });
        }
        // A record with one member and short names must fit, or no group could ever form.
        let checks = [
            ("initial_rebalance_delay_ms", self.initial_rebalance_delay_ms, 0),
            ("new_member_join_timeout_ms", self.new_member_join_timeout_ms, 1),
            ("group_size_max", as_i64(self.group_size_max), 1),
            ("pending_members_max", as_i64(self.pending_members_max), 1),
            ("groups_max", as_i64(self.groups_max), 1),
            (
                "member_metadata_bytes_max",
                as_i64(self.member_metadata_bytes_max),
                1,
            ),
            ("offsets_retention_ms", self.offsets_retention_ms, 1),
            (
                "offsets_retention_check_interval_ms",
                self.offsets_retention_check_interval_ms,
                1,
            ),
            ("record_bytes_max", as_i64(self.record_bytes_max), 1_024),
            ("expiry_records_max", as_i64(self.expiry_records_max), 1),
        ];
        match checks.into_iter().find(|(_, value, least)| value < least) {
            Some((name, value, least)) => Err(GroupConfigError::TooSmall { name, value, least }),
            None => Ok(()),
        }
    }
}

fn as_i64(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "config_test.rs"]
mod tests;
