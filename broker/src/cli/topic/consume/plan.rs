//! Which partitions are read, from where to where.

use std::collections::{BTreeMap, BTreeSet};

use thalweg_client::{Cluster, Isolation, TopicPartition};
use thalweg_types::{Offset, TopicId};

use super::ConsumeArgs;
use crate::cli::error::CliError;
use crate::cli::offset_spec::{Bounds, Place, bounds, resolve};
use crate::cli::topic::{existing_topic, select_partitions};

/// How far one partition has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Id of its topic.
    pub topic_id: TopicId,
    /// The next offset to fetch.
    pub position: Offset,
    /// Records before this are not printed.
    pub first: Offset,
    /// Records from this on are not printed.
    pub until: Option<Offset>,
    /// Answers in a row that held nothing, although the log goes on.
    pub empty_answers: u32,
}

impl Progress {
    /// Reports whether everything asked for has been read.
    pub fn is_done(&self) -> bool {
        self.until.is_some_and(|until| self.position >= until)
    }
}

/// All partitions that are still read.
#[derive(Debug, Default)]
pub struct Plan {
    /// Their progress.
    pub partitions: BTreeMap<TopicPartition, Progress>,
    /// Whether the range has an end.
    pub is_finite: bool,
}

impl Plan {
    /// Finds the partitions and resolves their ranges. Partitions with nothing to read are left out.
    ///
    /// # Errors
    /// Those of the cluster; a partition that does not exist.
    pub async fn make(cluster: &Cluster, args: &ConsumeArgs, isolation: Isolation) -> Result<Self, CliError> {
        let mut selected = Vec::new();
        let mut ids = BTreeMap::new();
        // A topic named twice is read once.
        for name in args.topics.iter().collect::<BTreeSet<_>>() {
            let topic = existing_topic(cluster, name).await?;
            selected.extend(select_partitions(&topic, &args.partitions)?);
            ids.insert(topic.name, topic.id);
        }
        let bounds = bounds(cluster, &selected, isolation).await?;
        let starts = resolve(cluster, args.offset.from, &bounds).await?;
        let ends = match args.offset.until {
            Some(place) => Some(resolve(cluster, place, &bounds).await?),
            None => None,
        };
        let mut partitions = BTreeMap::new();
        for (partition, start) in starts {
            let Some(known) = bounds.get(&partition) else {
                continue;
            };
            let progress = Progress {
                topic_id: ids.get(&partition.topic).copied().unwrap_or(TopicId::ZERO),
                position: Offset(start),
                empty_answers: 0,
                first: first(args.offset.from, start),
                until: ends
                    .as_ref()
                    .and_then(|ends| end(args.offset.until, ends.get(&partition).copied(), *known)),
            };
            if !progress.is_done() {
                partitions.insert(partition, progress);
            }
        }
        Ok(Self {
            partitions,
            is_finite: args.offset.until.is_some(),
        })
    }

    /// Returns how many offsets are still to be read, for a range with an end.
    pub fn remaining(&self) -> u64 {
        let left = |progress: &Progress| {
            let until = progress.until.map_or(0, Offset::get);
            u64::try_from(until.saturating_sub(progress.position.get())).unwrap_or(0)
        };
        self.partitions.values().map(left).fold(0, u64::saturating_add)
    }
}

/// An exact offset may lie beyond the end; the fetch begins at the end then, and what comes before it is skipped.
fn first(from: Place, resolved: i64) -> Offset {
    match from {
        Place::Exact(offset) => Offset(offset.max(resolved)),
        _ => Offset(resolved),
    }
}

/// The end of a range never waits for records that are not written yet.
fn end(until: Option<Place>, resolved: Option<i64>, bounds: Bounds) -> Option<Offset> {
    match until {
        Some(Place::Exact(offset)) => Some(Offset(offset.min(bounds.end))),
        _ => resolved.map(Offset),
    }
}
