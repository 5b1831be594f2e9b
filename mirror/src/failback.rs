//! Failback: the side that a link's source took over from becomes the source's mirror.
//!
//! The steps, each durable before the next, so that the command is given again when it was cut off:
//! 1. the target's topics become mirrors of the link: from here on nobody writes to them but the link;
//! 2. the source's topics, which were mirrors of these, forget that: they are ordinary topics, or copying would be a loop;
//! 3. where both histories part is the *cut*; what the target has beyond it, its *tail*, is written to files;
//! 4. on confirmation the tails are cut off, and group offsets that pointed into them go back to the cut.
//!
//! What is left is a mirror that lies behind its source: the service copies the difference, and nothing else.

mod export;
mod steps;

use std::path::Path;
use std::time::Duration;

use thalweg_client::{ClientError, Cluster, TopicPartition};
use thalweg_types::{Offset, TopicId};

use crate::config::{LinkConfig, OnRewind};
use crate::ends;
pub use export::{Exported, Tail};

/// How long members of a broker that crashed may seem to live: few sessions last longer.
const GHOSTS: Duration = Duration::from_secs(50);

/// Whether tails may be cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discard {
    /// They are exported and told; nothing is cut.
    Ask,
    /// The operator wants them cut.
    Confirmed,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Wish<'a> {
    /// Topics of the source; all of the link's without one.
    pub topics: &'a [String],
    /// Folder of the exported tails.
    pub export: &'a Path,
    /// Whether tails are cut off.
    pub discard: Discard,
    /// How long to wait for brokers, and for the lease of a service that died.
    pub within: Duration,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Partitions that the link may copy to now.
    pub ready: usize,
    /// Tails that wait for the operator's word.
    pub waiting: Vec<Tail>,
    /// Tails that were cut off.
    pub discarded: Vec<Tail>,
    /// Groups whose offsets went back to a cut.
    pub groups: usize,
}

/// One topic on both sides.
#[derive(Clone, Debug)]
struct Pair {
    source: String,
    target: String,
    source_id: TopicId,
    target_id: TopicId,
    partitions: Vec<thalweg_types::PartitionIndex>,
}

impl Pair {
    fn at_source(&self) -> Vec<TopicPartition> {
        let name = |index| TopicPartition::new(self.source.clone(), index);
        self.partitions.iter().copied().map(name).collect()
    }

    fn at_target(&self) -> Vec<TopicPartition> {
        let name = |index| TopicPartition::new(self.target.clone(), index);
        self.partitions.iter().copied().map(name).collect()
    }
}

/// Makes the target's topics mirrors of the link's source again, and says each step through `say`.
///
/// # Errors
/// What stands against it, and what to do, in words. What was done until then stays, and the next call goes on.
pub async fn failback(
    link: &LinkConfig,
    wish: &Wish<'_>,
    mut say: impl FnMut(&str),
) -> Result<Outcome, String> {
    let ends = ends::connect(link).await.map_err(|error| error.to_string())?;
    let speaks = ends.target.any_broker().await.map_err(words)?.speaks_seal();
    if !speaks {
        return Err(format!(
            "link '{}': the target cannot make a topic a mirror after clients wrote to it; it needs a newer Thalweg",
            link.name
        ));
    }
    if link.rules.on_rewind == OnRewind::Truncate {
        return Err(format!(
            "link '{}': on_rewind = \"truncate\" would cut off what a failback keeps until it is exported and confirmed; set \
             it to \"stop\"",
            link.name
        ));
    }
    let steps = steps::Steps::new(link, &ends, wish.within);
    let pairs = steps.pairs(wish.topics).await?;
    let mut outcome = Outcome::default();
    for pair in &pairs {
        steps.hand_over(pair, &mut say).await?;
        let parts = steps.cuts(pair).await?;
        for part in &parts {
            if part.tail.from == part.tail.to {
                outcome.ready += 1;
                continue;
            }
            let exported = steps.export(part, wish.export).await?;
            say(&format!(
                "{}: offsets {} to {} are on this side only: {} records in {} batches, {} bytes, written to {}",
                part.tail.partition,
                part.tail.from,
                part.tail.to.get() - 1,
                exported.records,
                exported.batches,
                exported.size_bytes,
                exported.path.display()
            ));
            match wish.discard {
                Discard::Ask => outcome.waiting.push(part.tail.clone()),
                Discard::Confirmed => outcome.discarded.push(part.tail.clone()),
            }
        }
        if wish.discard == Discard::Confirmed {
            let tails: Vec<Part> = parts
                .into_iter()
                .filter(|part| part.tail.from < part.tail.to)
                .collect();
            // Before the cut, so that a crash in between leaves no group beyond it; and after it, for those that read on.
            outcome.groups += steps.clamp_groups(&tails, GHOSTS, &mut say).await?;
            outcome.ready += steps.truncate(&tails, &mut say).await?;
            steps.clamp_groups(&tails, Duration::ZERO, &mut say).await?;
        }
    }
    Ok(outcome)
}

fn words(error: ClientError) -> String {
    error.to_string()
}

/// A partition of the target, and where its history parts from the source's.
#[derive(Clone, Debug)]
struct Part {
    tail: Tail,
    target_id: TopicId,
}

/// The end of a partition.
async fn end_of(cluster: &Cluster, of: &TopicPartition) -> Result<Offset, String> {
    use thalweg_client::{Isolation, OffsetQuery};
    let found = cluster
        .list_offsets(&[(of.clone(), OffsetQuery::Latest)], Isolation::ReadUncommitted)
        .await
        .map_err(words)?;
    found
        .get(of)
        .map(|found| found.offset)
        .ok_or_else(|| format!("{of}: its broker does not say where it ends"))
}
