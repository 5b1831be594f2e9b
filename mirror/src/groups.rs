//! Committed offsets of groups, from the source to the target: one way, for groups that have no member at the target.
//!
//! Owns the decision for each offset and the loop around it. Offsets are the same on both sides, so nothing is translated;
//! one that the mirror does not reach yet is clamped to its end and raised when the mirror has more. Metadata and leader
//! epoch travel with the offset, since the mirror's epochs are the source's. What is remembered is what this process wrote:
//! an offset that somebody else changed at the target is left alone, and after a restart offsets only go forward.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use thalweg_client::{ClientError, CommitOffset, CommittedOffset, GroupListing, TopicPartition};
use thalweg_types::{Offset, PartitionIndex};
use tokio::sync::watch;

use crate::config::LinkConfig;
use crate::ends::Ends;
use crate::partition::Stop;
use crate::status::{GroupsStatus, LinkStatus};

/// Pause between two rounds: an offset is less than two seconds old at the target, as long as a round is short.
const PAUSE: Duration = Duration::from_secs(1);

/// What is done with one offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    /// It is committed at the target.
    Write(Offset),
    /// The target has it.
    Same,
    /// Somebody else committed another offset at the target, which is further or was set after ours: it stays.
    Foreign,
}

/// Decides about one offset: `wanted` at the source, the mirror's `bounds`, the target's present commit and what this
/// process wrote last.
fn decide(
    wanted: Offset,
    bounds: (Offset, Offset),
    present: Option<Offset>,
    written: Option<Offset>,
) -> Decision {
    let clamped = wanted.clamp(bounds.0, bounds.1.max(bounds.0));
    match (present, written) {
        (Some(present), _) if present == clamped => Decision::Same,
        (None, _) => Decision::Write(clamped),
        // Ours, untouched: a rewind at the source is followed.
        (Some(present), Some(written)) if present == written => Decision::Write(clamped),
        (Some(_), Some(_)) => Decision::Foreign,
        // Nothing is remembered: forward is safe, and what lies behind a user's place is not.
        (Some(present), None) if present < clamped => Decision::Write(clamped),
        (Some(_), None) => Decision::Foreign,
    }
}

/// Copies offsets of one link's groups.
#[derive(Debug)]
pub struct Groups {
    link: LinkConfig,
    ends: Ends,
    status: watch::Receiver<Arc<LinkStatus>>,
    written: HashMap<(String, TopicPartition), Offset>,
}

/// A mirror partition: its name at the target, and its offsets.
type Mirrors = BTreeMap<TopicPartition, (TopicPartition, Offset, Offset)>;

impl Groups {
    /// Prepares; asks nothing.
    #[must_use]
    pub fn new(link: LinkConfig, ends: Ends, status: watch::Receiver<Arc<LinkStatus>>) -> Self {
        Self {
            link,
            ends,
            status,
            written: HashMap::new(),
        }
    }

    /// Copies, round after round, for ever; at once done when the link chooses no group.
    pub async fn run(mut self, report: watch::Sender<GroupsStatus>) {
        if self.link.groups.is_empty() {
            return;
        }
        loop {
            let mut status = GroupsStatus::default();
            if let Err(error) = self.round(&mut status).await {
                tracing::debug!(link = self.link.name, %error, "a round of group offsets failed");
                status.trouble = Some(error.to_string());
            }
            report.send_replace(status);
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn mirrors(&self) -> Mirrors {
        let status = Arc::clone(&self.status.borrow());
        let mirror = |partition: &crate::status::PartitionStatus| {
            // What was promoted belongs to clients, their offsets too.
            if partition.stop == Some(Stop::Promoted.name()) {
                return None;
            }
            let index = PartitionIndex(partition.partition);
            let source = TopicPartition::new(partition.topic.clone(), index);
            let target = TopicPartition::new(partition.target_topic.clone(), index);
            let (start, end) = (partition.mirror_start?, partition.mirror_end?);
            Some((source, (target, Offset(start), Offset(end))))
        };
        status.partitions.iter().filter_map(mirror).collect()
    }

    async fn round(&mut self, status: &mut GroupsStatus) -> Result<(), ClientError> {
        let mirrors = self.mirrors();
        // What was written before a promotion says nothing about a topic that became a mirror again.
        let is_mirror: std::collections::HashSet<&TopicPartition> =
            mirrors.values().map(|(target, ..)| target).collect();
        self.written.retain(|(_, target), _| is_mirror.contains(target));
        if mirrors.is_empty() {
            return Ok(());
        }
        let chosen = |group: &GroupListing| self.link.groups.iter().any(|regex| regex.is_match(&group.group));
        let here: Vec<String> = self
            .ends
            .source
            .list_groups()
            .await?
            .into_iter()
            .filter(chosen)
            .map(|group| group.group)
            .collect();
        let there: BTreeMap<String, GroupListing> = self
            .ends
            .target
            .list_groups()
            .await?
            .into_iter()
            .map(|group| (group.group.clone(), group))
            .collect();
        for group in here {
            let has_members = there
                .get(&group)
                .is_some_and(|listed| !matches!(listed.state.as_str(), "Empty" | "Dead" | ""));
            if has_members {
                status.active += 1;
                self.written.retain(|(name, _), _| *name != group);
                continue;
            }
            match self.copy(&group, &mirrors, there.contains_key(&group)).await {
                Ok(foreign) if foreign > 0 => status.foreign += 1,
                Ok(_) => status.copied += 1,
                Err(error) => {
                    status.failed += 1;
                    status.trouble = Some(format!("group '{group}': {error}"));
                }
            }
        }
        Ok(())
    }

    /// Copies one group; returns how many of its offsets were left alone because somebody else set them.
    async fn copy(&mut self, group: &str, mirrors: &Mirrors, exists: bool) -> Result<usize, ClientError> {
        let here = self.ends.source.fetch_group_offsets(group).await?;
        let wanted: Vec<(&TopicPartition, &CommittedOffset, Offset, Offset)> = here
            .iter()
            .filter(|(_, committed)| committed.offset >= Offset::ZERO)
            .filter_map(|(partition, committed)| {
                let (target, start, end) = mirrors.get(partition)?;
                Some((target, committed, *start, *end))
            })
            .collect();
        if wanted.is_empty() {
            return Ok(0);
        }
        let there = match exists {
            true => self.ends.target.fetch_group_offsets(group).await?,
            false => BTreeMap::new(),
        };
        let mut commits = Vec::new();
        let mut foreign = 0;
        for (target, committed, start, end) in wanted {
            let present = there
                .get(target)
                .map(|there| there.offset)
                .filter(|offset| *offset >= Offset::ZERO);
            let key = (group.to_owned(), target.clone());
            match decide(
                committed.offset,
                (start, end),
                present,
                self.written.get(&key).copied(),
            ) {
                Decision::Same => {
                    if let Some(present) = present {
                        self.written.insert(key, present);
                    }
                }
                Decision::Foreign => foreign += 1,
                Decision::Write(offset) => commits.push(CommitOffset {
                    partition: target.clone(),
                    offset,
                    leader_epoch: committed.leader_epoch,
                    metadata: committed.metadata.clone(),
                }),
            }
        }
        if commits.is_empty() {
            return Ok(foreign);
        }
        let results = self.ends.target.commit_group_offsets(group, &commits).await?;
        for commit in commits {
            if let Some(Ok(())) = results.get(&commit.partition) {
                self.written
                    .insert((group.to_owned(), commit.partition), commit.offset);
            }
        }
        match results.into_values().find_map(Result::err) {
            Some(error) => Err(error.into()),
            None => Ok(foreign),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(wanted: i64, present: Option<i64>, written: Option<i64>) -> Decision {
        decide(
            Offset(wanted),
            (Offset(10), Offset(100)),
            present.map(Offset),
            written.map(Offset),
        )
    }

    #[test]
    fn offsets_are_clamped_to_what_the_mirror_has() {
        assert_eq!(said(50, None, None), Decision::Write(Offset(50)));
        assert_eq!(said(500, None, None), Decision::Write(Offset(100)));
        assert_eq!(said(5, None, None), Decision::Write(Offset(10)));
        assert_eq!(said(500, Some(100), None), Decision::Same);
    }

    #[test]
    fn what_this_process_wrote_follows_forward_and_back() {
        assert_eq!(said(60, Some(50), Some(50)), Decision::Write(Offset(60)));
        assert_eq!(said(40, Some(50), Some(50)), Decision::Write(Offset(40)));
    }

    #[test]
    fn what_somebody_else_set_stays() {
        assert_eq!(said(60, Some(70), Some(50)), Decision::Foreign);
        assert_eq!(said(60, Some(20), Some(50)), Decision::Foreign);
        assert_eq!(said(60, Some(70), None), Decision::Foreign);
    }

    #[test]
    fn without_memory_offsets_only_go_forward() {
        assert_eq!(said(60, Some(50), None), Decision::Write(Offset(60)));
        assert_eq!(said(40, Some(50), None), Decision::Foreign);
    }
}
