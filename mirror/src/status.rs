//! What a link does now, for people, metrics and the REST interface: a snapshot that the engine renews.

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

/// One partition.
#[derive(Clone, Debug, Default, Serialize)]
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
    /// Records appended since the service began, control records among them.
    pub appended_records: u64,
    /// Bytes that are still to come, an estimate; see [`crate::progress`].
    pub lag_bytes: Option<u64>,
    /// Bytes of batches appended per second, over the last seconds.
    pub bytes_per_second: f64,
    /// Offsets by which the mirror grows per second, over the last seconds.
    pub offsets_per_second: f64,
    /// When the mirror will have everything, in seconds; unknown while the source grows as fast.
    pub eta_seconds: Option<f64>,
    /// Timestamp of the newest record appended last, in milliseconds since 1970; unknown before the first append.
    pub newest_ms: Option<i64>,
    /// From that timestamp to the append, in milliseconds.
    pub latency_ms: Option<i64>,
    /// Where the source ended when it was sealed for a promotion.
    pub sealed_at: Option<i64>,
    /// Where the mirror ended when it was promoted.
    pub cut: Option<i64>,
    /// Ranges of offsets that a rule gave up.
    pub losses: Vec<String>,
}

/// Group names that are listed in [`GroupsStatus`]; all are at `/links/NAME/groups`.
const NAMED_MAX: usize = 100;

/// One group's offsets, as of the last round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupStatus {
    /// Its name.
    pub group: String,
    /// Whose its offsets are: `source` or `target`; `conflict` with members on both sides; `failed` if it is not known.
    pub state: &'static str,
    /// Mirrored partitions it has an offset in.
    pub partitions: usize,
    /// Of those, where the other side does not reach the offset yet.
    pub clamped: usize,
    /// What failed.
    pub trouble: Option<String>,
}

impl GroupStatus {
    /// A group of which nothing is known.
    #[must_use]
    pub fn failed(group: &str, trouble: &str) -> Self {
        Self {
            group: group.to_owned(),
            state: "failed",
            partitions: 0,
            clamped: 0,
            trouble: Some(trouble.to_owned()),
        }
    }
}

/// Group offsets of one link, as of the last round.
#[derive(Clone, Debug, Default, Serialize)]
pub struct GroupsStatus {
    /// Groups whose offsets are the source's: the target follows.
    pub source: usize,
    /// Groups whose offsets are the target's: the source follows.
    pub target: usize,
    /// Groups with members on both sides: nothing is copied.
    pub conflict: usize,
    /// Groups with an offset that the other side does not reach yet.
    pub clamped: usize,
    /// Groups that failed.
    pub failed: usize,
    /// The first hundred groups in conflict.
    pub conflicts: Vec<String>,
    /// The last failure.
    pub trouble: Option<String>,
    /// When the last round began that went through; offsets of clients are at most that old on the other side.
    #[serde(skip)]
    pub complete_at: Option<Instant>,
    /// The groups, by name.
    #[serde(skip)]
    pub groups: Arc<Vec<GroupStatus>>,
}

impl GroupsStatus {
    /// Counts groups.
    pub fn sum_up(&mut self, groups: Vec<GroupStatus>) {
        let count = |state: &str| groups.iter().filter(|group| group.state == state).count();
        (self.source, self.target, self.conflict) = (count("source"), count("target"), count("conflict"));
        self.failed = groups.iter().filter(|group| group.trouble.is_some()).count();
        self.clamped = groups.iter().filter(|group| group.clamped > 0).count();
        let conflicts = groups.iter().filter(|group| group.state == "conflict");
        self.conflicts = conflicts
            .take(NAMED_MAX)
            .map(|group| group.group.clone())
            .collect();
        let troubled = groups.iter().find_map(|group| {
            let trouble = group.trouble.as_ref()?;
            Some(format!("group '{}': {trouble}", group.group))
        });
        self.trouble = self.trouble.take().or(troubled);
        self.groups = Arc::new(groups);
    }

    /// How old a client's commit may be on the other side, in seconds; `None` before the first round.
    #[must_use]
    pub fn age_seconds(&self) -> Option<f64> {
        Some(self.complete_at?.elapsed().as_secs_f64())
    }
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
    /// What the target is called in MirrorMaker's metrics.
    pub target_alias: String,
    /// What keeps the whole link from working.
    pub trouble: Option<String>,
    /// Whether both sides were looked at.
    pub is_discovered: bool,
    /// Chosen topics that are not mirrored, and why.
    pub refused: Vec<(String, String)>,
    /// Mirrored topics, and what should be known about them.
    pub warnings: Vec<(String, String)>,
    /// Its partitions, by name and number.
    pub partitions: Vec<PartitionStatus>,
}

impl LinkStatus {
    /// Bytes still to come, as far as they can be estimated.
    #[must_use]
    pub fn lag_bytes(&self) -> u64 {
        self.partitions
            .iter()
            .filter_map(|partition| partition.lag_bytes)
            .sum()
    }

    /// When every partition will have everything, in seconds; unknown while it is for one of them.
    #[must_use]
    pub fn eta_seconds(&self) -> Option<f64> {
        let longest = |longest: f64, partition: &PartitionStatus| Some(partition.eta_seconds?.max(longest));
        self.partitions.iter().try_fold(0.0, longest)
    }

    /// How many partitions are in a state.
    #[must_use]
    pub fn count(&self, state: &str) -> usize {
        self.partitions
            .iter()
            .filter(|partition| partition.state == state)
            .count()
    }
}
