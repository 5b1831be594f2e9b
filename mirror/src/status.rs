//! What a link does now, for people, metrics and the REST interface: a snapshot that the engine renews.

use serde::Serialize;

/// One partition.
#[derive(Clone, Debug, Serialize)]
pub struct PartitionStatus {
    /// Name at the source.
    pub topic: String,
    /// Name at the target.
    pub target_topic: String,
    /// Its number.
    pub partition: i32,
    /// Its state, one of [`crate::partition::State`]'s names.
    pub state: &'static str,
    /// Why it is stopped, paused or tries again.
    pub reason: Option<String>,
    /// Why it is stopped, in one word.
    pub stop: Option<&'static str>,
    /// The source's log start offset.
    pub source_start: Option<i64>,
    /// The source's high watermark.
    pub source_end: Option<i64>,
    /// The mirror's log start offset.
    pub mirror_start: Option<i64>,
    /// The mirror's log end offset.
    pub mirror_end: Option<i64>,
    /// Offsets that are still to come; unknown until both sides answered.
    pub lag_offsets: Option<i64>,
    /// How long ago the mirror had everything, in seconds.
    pub lag_seconds: f64,
    /// Bytes of batches appended since the service began.
    pub appended_bytes: u64,
    /// Batches appended since the service began.
    pub appended_batches: u64,
    /// Where the source ended when it was sealed for a promotion.
    pub sealed_at: Option<i64>,
    /// Where the mirror ended when it was promoted.
    pub cut: Option<i64>,
    /// Ranges of offsets that a rule gave up.
    pub losses: Vec<String>,
}

/// Group offsets of one link, as of the last round.
#[derive(Clone, Debug, Default, Serialize)]
pub struct GroupsStatus {
    /// Groups whose offsets at the target are the source's, as far as the mirror reaches.
    pub copied: usize,
    /// Groups with members at the target: left alone.
    pub active: usize,
    /// Groups with an offset at the target that somebody else set: that offset is left alone.
    pub foreign: usize,
    /// Groups that failed.
    pub failed: usize,
    /// The last failure.
    pub trouble: Option<String>,
}

/// One link.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LinkStatus {
    /// Its name.
    pub name: String,
    /// Its id, 32 hexadecimal digits; empty until both sides answered.
    pub id: String,
    /// The source's cluster id.
    pub source_cluster_id: String,
    /// The target's cluster id.
    pub target_cluster_id: String,
    /// What keeps the whole link from working.
    pub trouble: Option<String>,
    /// Whether both sides were looked at.
    pub is_discovered: bool,
    /// Chosen topics that are not mirrored, and why.
    pub refused: Vec<(String, String)>,
    /// Its partitions, by name and number.
    pub partitions: Vec<PartitionStatus>,
}

impl LinkStatus {
    /// How many partitions are in a state.
    #[must_use]
    pub fn count(&self, state: &str) -> usize {
        self.partitions
            .iter()
            .filter(|partition| partition.state == state)
            .count()
    }
}
