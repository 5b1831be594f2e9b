//! The steps of a failback, each for one topic.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use thalweg_client::{
    AlterOperation, Cluster, CommitOffset, ConfigAlteration, ConfigResource, FetchOptions, FetchTarget,
    TopicCreation, TopicMetadata, TopicPartition, TopicSelection,
};
use thalweg_types::{LeaderEpoch, Offset};
use thalweg_wire::batch::split_batches;
use thalweg_wire::mirror::{LinkId, Operation, Ownership, Report};

use super::export::{Export, Exported, Tail};
use super::{Pair, Part, end_of, words};
use crate::config::LinkConfig;
use crate::ends::Ends;
use crate::operations::Operator;
use crate::run::cut;
use crate::topology::{
    CONFIG_LINK, CONFIG_SOURCE_CLUSTER, CONFIG_SOURCE_ID, CONFIG_SOURCE_TOPIC, Origin, is_chosen, target_name,
};

/// Bytes of one fetch of a tail.
const FETCH_BYTES: i32 = 8 << 20;
/// Empty or failed fetches in a row before a tail counts as unreadable.
const TRIES: u32 = 20;
/// Pause between them.
const PAUSE: Duration = Duration::from_millis(250);

pub(super) struct Steps<'a> {
    link: &'a LinkConfig,
    ends: &'a Ends,
    at_target: Operator,
    at_source: Operator,
    within: Duration,
}

impl<'a> Steps<'a> {
    pub(super) fn new(link: &'a LinkConfig, ends: &'a Ends, within: Duration) -> Self {
        let operator = |cluster: &Cluster, link| Operator {
            cluster: cluster.clone(),
            link,
        };
        Self {
            at_target: operator(&ends.target, ends.link),
            // Looks at partitions need no link, and nothing else is done there.
            at_source: operator(&ends.source, LinkId::NONE),
            link,
            ends,
            within,
        }
    }

    /// The chosen topics that both sides have.
    pub(super) async fn pairs(&self, chosen: &[String]) -> Result<Vec<Pair>, String> {
        let here = everything(&self.ends.source).await?;
        let there = everything(&self.ends.target).await?;
        let mut pairs = Vec::new();
        for (name, topic) in &here {
            let is_wanted = chosen.is_empty() || chosen.contains(name);
            if !is_wanted || !is_chosen(self.link, name, topic.is_internal) {
                continue;
            }
            let target = target_name(self.link, name);
            let Some(mirror) = there.get(&target) else {
                continue;
            };
            if mirror.partitions.len() > topic.partitions.len() {
                return Err(format!(
                    "topic '{target}' has {} partitions at the target and {} at the source: a mirror has no more than its \
                     source; give the source's topic as many",
                    mirror.partitions.len(),
                    topic.partitions.len()
                ));
            }
            pairs.push(Pair {
                source: name.clone(),
                target,
                source_id: topic.id,
                target_id: mirror.id,
                partitions: mirror.partitions.iter().map(|found| found.partition).collect(),
            });
        }
        let is_missing = |name: &&String| !pairs.iter().any(|pair| pair.source == **name);
        match chosen.iter().find(is_missing) {
            Some(name) => Err(format!(
                "link '{}' has no topic '{name}' on both sides",
                self.link.name
            )),
            None if pairs.is_empty() => Err(format!("link '{}' has no topic on both sides", self.link.name)),
            None => Ok(pairs),
        }
    }

    /// Makes the target's topic the link's mirror, and the source's an ordinary one.
    pub(super) async fn hand_over(&self, pair: &Pair, say: &mut impl FnMut(&str)) -> Result<(), String> {
        let (source, target) = (&self.ends.source, &self.ends.target);
        let origin = origin_of(source, &pair.source).await?;
        if origin.cluster_id != self.ends.target_cluster_id || origin.topic != pair.target {
            return Err(format!(
                "the source's topic '{}' never was a mirror of the target's '{}': nothing says where their histories part. \
                 Delete the topic at the target to mirror it anew, or exclude it",
                pair.source, pair.target
            ));
        }
        let here = self.at_source.inspect(&pair.at_source(), self.within).await;
        let here = here.map_err(|refused| refused.to_string())?;
        if let Some((of, report)) = here
            .iter()
            .find(|(_, report)| report.ownership != Ownership::Open)
        {
            return Err(format!(
                "{of} at the source is not open to clients ({:?}): promote it, or fail over to it, first",
                report.ownership
            ));
        }
        let mirror = origin_of(target, &pair.target).await?;
        self.take_target(pair, (&mirror, &here), say).await?;
        if let Some(link) = origin.link {
            let forget = [alteration(CONFIG_LINK, AlterOperation::Delete)];
            source
                .alter_mirror_configs(&pair.source, &forget, link)
                .await
                .map_err(words)?;
            say(&format!("{}: the source's topic is an ordinary one", pair.source));
        }
        Ok(())
    }

    async fn take_target(
        &self,
        pair: &Pair,
        (mirror, here): (&Origin, &BTreeMap<TopicPartition, Report>),
        say: &mut impl FnMut(&str),
    ) -> Result<(), String> {
        let there = self.at_target.inspect(&pair.at_target(), self.within).await;
        let there = there.map_err(|refused| refused.to_string())?;
        let owned = there
            .values()
            .filter(|report| report.ownership == Ownership::Link)
            .count();
        if mirror.link == Some(self.ends.link) && owned == there.len() {
            return Ok(());
        }
        if owned > 0 && mirror.link.is_some() {
            return Err(format!(
                "{owned} of {} partitions of '{}' at the target are still a mirror link's: promote them first",
                there.len(),
                pair.target
            ));
        }
        for (of, report) in &there {
            let newer = here
                .get(&TopicPartition::new(pair.source.clone(), of.partition))
                .is_some_and(|source| source.leader_epoch > report.leader_epoch);
            // A sealed partition was given up on purpose; an open one must be the older of the two.
            if report.ownership == Ownership::Open && !newer {
                return Err(format!(
                    "{of} at the target was given to clients later than the source's (leader epoch {}): the link runs the \
                     wrong way round",
                    report.leader_epoch
                ));
            }
        }
        if mirror.link == Some(self.ends.link) {
            let forget = [alteration(CONFIG_LINK, AlterOperation::Delete)];
            let target = &self.ends.target;
            target
                .alter_mirror_configs(&pair.target, &forget, self.ends.link)
                .await
                .map_err(words)?;
        }
        self.ends
            .target
            .alter_mirror_configs(&pair.target, &self.mirror_settings(pair), self.ends.link)
            .await
            .map_err(words)?;
        say(&format!(
            "{}: the target's topic is a mirror now and takes no client's records",
            pair.target
        ));
        Ok(())
    }

    fn mirror_settings(&self, pair: &Pair) -> Vec<ConfigAlteration> {
        let set = |key, value: String| alteration(key, AlterOperation::Set(value));
        let mut settings = vec![
            set(CONFIG_LINK, crate::config::link_id_text(self.ends.link)),
            set(CONFIG_SOURCE_CLUSTER, self.ends.source_cluster_id.clone()),
            set(CONFIG_SOURCE_TOPIC, pair.source.clone()),
        ];
        if !pair.source_id.is_zero() {
            settings.push(set(CONFIG_SOURCE_ID, pair.source_id.to_string()));
        }
        settings
    }

    /// Finds where the histories of the target's partitions part from the source's.
    pub(super) async fn cuts(&self, pair: &Pair) -> Result<Vec<Part>, String> {
        let found = self.at_target.inspect(&pair.at_target(), self.within).await;
        let found = found.map_err(|refused| refused.to_string())?;
        let mut parts = Vec::new();
        for (partition, report) in found {
            let source = TopicPartition::new(pair.source.clone(), partition.partition);
            let from = self.cut(&source, &report).await?;
            if from < report.log_start {
                return Err(format!(
                    "{partition}: the histories part at offset {from}, and the target begins at {}: delete the topic at the \
                     target to mirror it anew",
                    report.log_start
                ));
            }
            parts.push(Part {
                tail: Tail {
                    partition,
                    from,
                    to: report.log_end,
                },
                target_id: pair.target_id,
            });
        }
        Ok(parts)
    }

    /// Where the epoch of the target's last batch ends at the source: what both have below it is the same.
    async fn cut(&self, source: &TopicPartition, report: &Report) -> Result<Offset, String> {
        let end = end_of(&self.ends.source, source).await?;
        let both = end.min(report.log_end);
        if report.last_epoch < LeaderEpoch(0) || report.log_end <= report.log_start {
            return Ok(both);
        }
        let connection = self.ends.source.leader(source).await.map_err(words)?;
        let asked = [(source.clone(), report.last_epoch)];
        let ends = connection.epoch_ends(&asked).await.map_err(words)?;
        match ends.get(source) {
            Some(Ok(found)) if found.leader_epoch >= LeaderEpoch(0) && found.end_offset >= Offset::ZERO => {
                Ok(both.min(found.end_offset))
            }
            Some(Err(error)) => Err(error.to_string()),
            _ => Err(format!(
                "{source}: the source knows nothing of leader epoch {}: both sides have no history in common",
                report.last_epoch
            )),
        }
    }

    /// Writes a tail to its file.
    pub(super) async fn export(&self, part: &Part, directory: &Path) -> Result<Exported, String> {
        let tail = &part.tail;
        let mut export = Export::begin(directory, tail)?;
        let mut at = tail.from;
        let mut failures = 0;
        while at < tail.to {
            let records = match self.fetch(part, at).await {
                Ok(records) => records,
                Err(why) if failures >= TRIES => return Err(format!("{}: {why}", tail.partition)),
                Err(_) => bytes::Bytes::new(),
            };
            let run = cut(&records, at).map_err(|error| format!("{}: {error}", tail.partition))?;
            let Some(run) = run else {
                failures += 1;
                if failures > TRIES {
                    // Compaction and gaps leave an end without records.
                    break;
                }
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            failures = 0;
            if run.base < tail.from {
                let cut = tail.from;
                return Err(format!("{}: offset {cut} lies inside a batch", tail.partition));
            }
            let batches = split_batches(&run.records).map_while(Result::ok);
            let (count, records) = batches.fold((0, 0), |(count, records): (u64, u64), batch| {
                let more = u64::try_from(batch.header.record_count).unwrap_or(0);
                (count + 1, records + more)
            });
            at = run.next;
            // A file system may take its time, and nothing else waits for this command.
            export = tokio::task::spawn_blocking(move || {
                export.write(&run.records, count, records).map(|()| export)
            })
            .await
            .map_err(|error| error.to_string())??;
        }
        let (tail, cluster) = (tail.clone(), self.ends.target_cluster_id.clone());
        tokio::task::spawn_blocking(move || export.finish(&tail, &cluster))
            .await
            .map_err(|error| error.to_string())?
    }

    async fn fetch(&self, part: &Part, at: Offset) -> Result<bytes::Bytes, String> {
        let of = &part.tail.partition;
        let target = FetchTarget {
            partition: of.clone(),
            topic_id: part.target_id,
            offset: at,
            leader_epoch: LeaderEpoch::UNKNOWN,
            size_bytes_max: FETCH_BYTES,
        };
        let options = FetchOptions {
            wait_max: Duration::ZERO,
            size_bytes_max: FETCH_BYTES,
            ..FetchOptions::default()
        };
        let connection = self.ends.target.leader(of).await.map_err(words)?;
        let answers = connection.fetch(&[target], options).await.map_err(words)?;
        match answers.into_iter().next().map(|answer| answer.result) {
            Some(Ok(found)) => Ok(found.records),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("the broker's answer does not mention it".to_owned()),
        }
    }

    /// Cuts the tails off; returns how many.
    pub(super) async fn truncate(&self, parts: &[Part], say: &mut impl FnMut(&str)) -> Result<usize, String> {
        let partitions: Vec<TopicPartition> = parts.iter().map(|part| part.tail.partition.clone()).collect();
        let claimed = self.at_target.claim(&partitions, self.within).await;
        let claimed = claimed.map_err(|refused| refused.to_string())?;
        let commands = |operation: fn(&Tail) -> (Operation, Offset)| {
            let command = |part: &Part| {
                let session = claimed.get(&part.tail.partition)?.session;
                let (operation, end) = operation(&part.tail);
                let command = self.at_target.command(operation, (session, end));
                Some((part.tail.partition.clone(), command))
            };
            parts.iter().filter_map(command).collect::<Vec<_>>()
        };
        // What was exported is what is cut: a log that ends elsewhere is left alone.
        let cut = commands(|tail| (Operation::Truncate { to: tail.from }, tail.to));
        let done = self.at_target.run(cut, self.within).await;
        for (of, report) in done.map_err(|refused| refused.to_string())? {
            say(&format!("{of}: cut back to offset {}", report.log_end));
        }
        // Without it the leases end by themselves, and the service waits for that.
        let release = commands(|_| (Operation::Release, Offset::UNKNOWN));
        let _ = self.at_target.run(release, Duration::from_secs(1)).await;
        Ok(parts.len())
    }

    /// Sends groups that read beyond a cut back to it: what they had read there is gone. Returns how many.
    pub(super) async fn clamp_groups(
        &self,
        parts: &[Part],
        patience: Duration,
        say: &mut impl FnMut(&str),
    ) -> Result<usize, String> {
        if parts.is_empty() {
            return Ok(0);
        }
        let target = &self.ends.target;
        let cuts: BTreeMap<&TopicPartition, Offset> = parts
            .iter()
            .map(|part| (&part.tail.partition, part.tail.from))
            .collect();
        let mut count = 0;
        for group in target.list_groups().await.map_err(words)? {
            let committed = target.fetch_group_offsets(&group.group).await.map_err(words)?;
            let commits: Vec<CommitOffset> = committed
                .into_iter()
                .filter_map(|(partition, committed)| {
                    let cut = *cuts.get(&partition)?;
                    (committed.offset > cut).then_some(CommitOffset {
                        partition,
                        offset: cut,
                        leader_epoch: LeaderEpoch::UNKNOWN,
                        metadata: committed.metadata,
                    })
                })
                .collect();
            if commits.is_empty() {
                continue;
            }
            count += 1;
            match self.commit_patiently(&group.group, &commits, patience).await? {
                None => say(&format!(
                    "group '{}': its offsets beyond the cut went back to it",
                    group.group
                )),
                Some(why) => say(&format!(
                    "group '{}': its offsets beyond the cut stay, they are its members' to change: {why}",
                    group.group
                )),
            }
        }
        Ok(count)
    }

    /// Commits for a group without members; returns why it was refused. A member that a crash left is gone when its session
    /// ends.
    async fn commit_patiently(
        &self,
        group: &str,
        commits: &[CommitOffset],
        patience: Duration,
    ) -> Result<Option<String>, String> {
        let deadline = Instant::now() + self.within.min(patience);
        loop {
            let results = self.ends.target.commit_group_offsets(group, commits).await;
            let refused = results.map_err(words)?.into_values().find_map(Result::err);
            match refused {
                None => return Ok(None),
                Some(error) if Instant::now() >= deadline => return Ok(Some(error.to_string())),
                Some(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}

fn alteration(key: &str, operation: AlterOperation) -> ConfigAlteration {
    ConfigAlteration {
        name: key.to_owned(),
        operation,
    }
}

async fn everything(cluster: &Cluster) -> Result<BTreeMap<String, TopicMetadata>, String> {
    let all = cluster
        .metadata(TopicSelection::All, TopicCreation::Never)
        .await
        .map_err(words)?;
    let topics = all.topics.into_values().flatten();
    Ok(topics.map(|topic| (topic.name.clone(), topic)).collect())
}

async fn origin_of(cluster: &Cluster, topic: &str) -> Result<Origin, String> {
    let configs = cluster
        .describe_configs(&ConfigResource::topic(topic))
        .await
        .map_err(words)?;
    let pairs = configs
        .iter()
        .filter_map(|config| Some((config.name.as_str(), config.value.as_deref()?)));
    Ok(Origin::from_configs(pairs))
}
