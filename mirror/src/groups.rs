//! Committed offsets of groups, both ways: each group has one owner, and the other side follows.
//!
//! Owns the loop: what both clusters have is looked at once a second, [`decision`] says what to commit, [`memory`] keeps
//! at the target what was seen and what is being committed, and only then commits are made. Offsets are the same on both
//! sides, so nothing is translated; one that the other side does not have yet is clamped and raised when it has more. The
//! client's text travels along, and the leader epoch from the source, since the mirror's epochs are the source's.
//!
//! Only partitions that this instance copies now take part: of several instances one holds the claims, and what another
//! wrote before is read from the memory at each look.

pub mod decision;
pub mod memory;

mod sides;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use thalweg_client::{BrokerError, ClientError, CommitOffset, CommittedOffset, TopicPartition};
use thalweg_types::{LeaderEpoch, Offset, PartitionIndex};
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::checkpoints::Checkpoints;
use crate::config::LinkConfig;
use crate::ends::Ends;
use crate::ledger::{Entry, Ledger, LedgerError};
use crate::partition::State;
use crate::status::{GroupStatus, GroupsStatus, LinkStatus, PartitionStatus};
use decision::{Both, Mark, Memory, Now, Side, Verdict, Write, step};
use sides::SideLook;

/// From the beginning of one round to that of the next: an offset is less than two seconds old on the other side, as long
/// as a round takes less than one.
const ROUND: Duration = Duration::from_secs(1);
/// Shortest pause between two rounds.
const PAUSE_MIN: Duration = Duration::from_millis(200);
/// Groups of one link; those behind, by name, are not looked at.
const GROUPS_MAX: usize = 20_000;
/// Groups whose commits are under way at the same time.
const COMMITS_MAX: usize = 32;

/// Why a round failed as a whole.
#[derive(Debug, Error)]
enum GroupsError {
    #[error("the {side}: {error}")]
    Call { side: &'static str, error: ClientError },
    #[error("what is remembered of groups: {0}")]
    Memory(#[from] LedgerError),
}

/// A partition that takes part.
struct Mirrored {
    target: TopicPartition,
    bounds: Both<(Offset, Offset)>,
}

/// Partitions that take part, by the source's names, and their names at the target.
#[derive(Default)]
struct Partitions {
    mirrored: BTreeMap<TopicPartition, Mirrored>,
    by_target: BTreeMap<TopicPartition, TopicPartition>,
}

impl Partitions {
    fn of(status: &LinkStatus) -> Self {
        let mut partitions = Self::default();
        for partition in &status.partitions {
            let Some((source, mirrored)) = takes_part(partition) else {
                continue;
            };
            partitions
                .by_target
                .insert(mirrored.target.clone(), source.clone());
            partitions.mirrored.insert(source, mirrored);
        }
        partitions
    }

    fn name(&self, side: Side, source: &TopicPartition) -> TopicPartition {
        match (side, self.mirrored.get(source)) {
            (Side::Target, Some(mirrored)) => mirrored.target.clone(),
            _ => source.clone(),
        }
    }
}

/// What was promoted belongs to clients, their offsets too; what is stopped or claimed by another instance waits.
fn takes_part(partition: &PartitionStatus) -> Option<(TopicPartition, Mirrored)> {
    let copies = [State::CatchingUp.name(), State::Live.name()];
    if !copies.contains(&partition.state) {
        return None;
    }
    let index = PartitionIndex(partition.partition);
    let bounds = |start: Option<i64>, end: Option<i64>| Some((Offset(start?), Offset(end?)));
    let mirrored = Mirrored {
        target: TopicPartition::new(partition.target_topic.clone(), index),
        bounds: Both {
            source: bounds(partition.source_start, partition.source_end)?,
            target: bounds(partition.mirror_start, partition.mirror_end)?,
        },
    };
    Some((TopicPartition::new(partition.topic.clone(), index), mirrored))
}

/// Commits for one group on one side.
struct Commits {
    side: Side,
    group: String,
    offsets: Vec<CommitOffset>,
}

/// What a round will do.
#[derive(Default)]
struct Plan {
    /// Memory that changed.
    memory: BTreeMap<String, Memory>,
    entries: Vec<Entry>,
    commits: Vec<Commits>,
    groups: Vec<GroupStatus>,
}

/// Copies offsets of one link's groups.
#[derive(Debug)]
pub struct Groups {
    link: LinkConfig,
    ends: Ends,
    status: watch::Receiver<Arc<LinkStatus>>,
    ledger: Ledger,
    memory: BTreeMap<String, Memory>,
    /// What this instance appended last and will read again: it knows more by then.
    appended: BTreeMap<Bytes, Option<Bytes>>,
    checkpoints: Option<Checkpoints>,
    conflicts: BTreeSet<String>,
}

impl Groups {
    /// Prepares; asks nothing.
    #[must_use]
    pub fn new(link: LinkConfig, ends: Ends, status: watch::Receiver<Arc<LinkStatus>>) -> Self {
        let checkpoints = link
            .checkpoints
            .then(|| Checkpoints::new(ends.target.clone(), &link.source_alias));
        Self {
            ledger: Ledger::new(ends.target.clone(), memory::TOPIC),
            link,
            ends,
            status,
            memory: BTreeMap::new(),
            appended: BTreeMap::new(),
            checkpoints,
            conflicts: BTreeSet::new(),
        }
    }

    /// Copies, round after round, for ever; at once done when the link chooses no group.
    pub async fn run(mut self, report: watch::Sender<GroupsStatus>) {
        if self.link.groups.is_empty() {
            return;
        }
        let mut complete_at = None;
        loop {
            let began = Instant::now();
            let mut status = GroupsStatus::default();
            match self.round(&mut status).await {
                Ok(()) => complete_at = Some(began),
                Err(error) => {
                    tracing::debug!(link = self.link.name, %error, "a round of group offsets failed");
                    let before = report.borrow().clone();
                    status = GroupsStatus {
                        trouble: Some(error.to_string()),
                        ..before
                    };
                }
            }
            status.complete_at = complete_at;
            report.send_replace(status);
            tokio::time::sleep(ROUND.saturating_sub(began.elapsed()).max(PAUSE_MIN)).await;
        }
    }

    async fn round(&mut self, status: &mut GroupsStatus) -> Result<(), GroupsError> {
        let partitions = Partitions::of(&self.status.borrow().clone());
        if partitions.mirrored.is_empty() {
            return Ok(());
        }
        self.recall().await?;
        let (source, target) = tokio::join!(
            sides::look(&self.ends.source, &self.link, self.seen_at(Side::Source)),
            sides::look(&self.ends.target, &self.link, self.seen_at(Side::Target)),
        );
        let failed = |side: Side| {
            move |error| GroupsError::Call {
                side: side.name(),
                error,
            }
        };
        let looks = Both {
            source: source.map_err(failed(Side::Source))?,
            target: target.map_err(failed(Side::Target))?,
        };
        let mut plan = self.plan(&partitions, &looks, status);
        self.remember(&mut plan).await?;
        self.commit(plan.commits, &partitions, &mut plan.groups).await;
        self.tell(&plan.groups);
        if let Some(checkpoints) = &mut self.checkpoints
            && let Err(error) = checkpoints.send(Instant::now()).await
        {
            status.trouble = Some(error.to_string());
        }
        status.sum_up(plan.groups);
        Ok(())
    }

    /// Reads what was written to the memory since the last look, by whomever.
    async fn recall(&mut self) -> Result<(), GroupsError> {
        self.ledger.make(memory::SETTINGS).await?;
        let link = self.ends.link;
        let (groups, appended) = (&mut self.memory, std::mem::take(&mut self.appended));
        self.ledger
            .read_new(|key, value| {
                if appended.get(&key) != Some(&value) {
                    memory::recall(groups, link, &key, value.as_deref());
                }
            })
            .await?;
        Ok(())
    }

    /// Groups that had offsets on one side at the last look: if one is not listed now, its coordinator is asked.
    fn seen_at(&self, side: Side) -> BTreeSet<String> {
        let has = |memory: &Memory| {
            let mut traces = memory.partitions.values();
            traces.any(|traces| traces.of(side).seen.is_some())
        };
        let seen = self.memory.iter().filter(|(_, memory)| has(memory));
        seen.map(|(group, _)| group.clone()).collect()
    }

    fn plan(&mut self, partitions: &Partitions, looks: &Both<SideLook>, status: &mut GroupsStatus) -> Plan {
        let mut plan = Plan::default();
        let mut names: BTreeSet<&String> = looks.source.offsets.keys().collect();
        names.extend(looks.target.offsets.keys());
        if names.len() > GROUPS_MAX {
            status.trouble = Some(format!(
                "the link chooses {} groups and looks at the first {GROUPS_MAX}: choose fewer, or divide them among links",
                names.len()
            ));
        }
        for group in names.into_iter().take(GROUPS_MAX) {
            let trouble = [&looks.source, &looks.target]
                .into_iter()
                .find_map(|look| look.failed.get(group));
            if let Some(trouble) = trouble {
                plan.groups.push(GroupStatus::failed(group, trouble));
                continue;
            }
            self.plan_group(group, partitions, looks, &mut plan);
        }
        plan
    }

    fn plan_group(&mut self, group: &str, partitions: &Partitions, looks: &Both<SideLook>, plan: &mut Plan) {
        let nothing = BTreeMap::new();
        let committed = Both {
            source: looks.source.offsets.get(group).unwrap_or(&nothing),
            target: looks.target.offsets.get(group).unwrap_or(&nothing),
        };
        let before = self.memory.get(group);
        let now = present(partitions, &committed, before);
        if now.is_empty() {
            return;
        }
        let has_members = Both {
            source: looks.source.active.contains(group),
            target: looks.target.active.contains(group),
        };
        let mut memory = before.cloned().unwrap_or_default();
        let outcome = step(&mut memory, has_members, &now);
        let state = match outcome.verdict {
            Verdict::Nothing => None,
            Verdict::Conflict => Some("conflict"),
            Verdict::Owned(side) => Some(side.name()),
        };
        plan.groups.extend(state.map(|state| GroupStatus {
            group: group.to_owned(),
            state,
            partitions: now.len(),
            clamped: outcome.clamped,
            trouble: None,
        }));
        self.note_checkpoints(group, partitions, &committed, &outcome.writes);
        for side in [Side::Source, Side::Target] {
            let offsets: Vec<CommitOffset> = outcome
                .writes
                .iter()
                .filter(|write| write.to == side)
                .filter_map(|write| order(write, partitions, &committed))
                .collect();
            if !offsets.is_empty() {
                plan.commits.push(Commits {
                    side,
                    group: group.to_owned(),
                    offsets,
                });
            }
        }
        let blank = Memory::default();
        let before = self.memory.get(group).unwrap_or(&blank);
        if *before != memory {
            let all = before.partitions.keys().chain(memory.partitions.keys());
            let topics: BTreeSet<&str> = all.map(|at| at.topic.as_str()).collect();
            for topic in topics {
                let value = memory::value(&memory, topic);
                if value != memory::value(before, topic) {
                    plan.entries
                        .push((memory::key(self.ends.link, group, topic), value));
                }
            }
            plan.memory.insert(group.to_owned(), memory);
        }
    }

    /// What the target has once the commits are made is what MirrorMaker's clients want to know.
    fn note_checkpoints(
        &mut self,
        group: &str,
        partitions: &Partitions,
        committed: &Both<&BTreeMap<TopicPartition, CommittedOffset>>,
        writes: &[Write],
    ) {
        let Some(checkpoints) = &mut self.checkpoints else {
            return;
        };
        for (partition, there) in committed.target {
            if partitions.by_target.contains_key(partition) {
                checkpoints.note(group, partition, there.offset, &there.metadata);
            }
        }
        for write in writes.iter().filter(|write| write.to == Side::Target) {
            if let Some(commit) = order(write, partitions, committed) {
                checkpoints.note(group, &commit.partition, commit.offset, &commit.metadata);
            }
        }
    }

    /// Makes the memory durable before anything is committed.
    async fn remember(&mut self, plan: &mut Plan) -> Result<(), GroupsError> {
        if let Err(error) = self.ledger.append(&plan.entries).await {
            // Any of it may be there: what counts is read again, from the start.
            self.ledger = Ledger::new(self.ends.target.clone(), memory::TOPIC);
            self.memory.clear();
            return Err(error.into());
        }
        self.appended = plan.entries.drain(..).collect();
        for (group, memory) in std::mem::take(&mut plan.memory) {
            match memory.partitions.is_empty() {
                true => self.memory.remove(&group),
                false => self.memory.insert(group, memory),
            };
        }
        Ok(())
    }

    /// Commits; a group that gets a member at this moment refuses, and the next round sees it.
    async fn commit(&mut self, commits: Vec<Commits>, partitions: &Partitions, groups: &mut [GroupStatus]) {
        let mut waiting = commits.into_iter();
        let mut under_way = JoinSet::new();
        loop {
            while under_way.len() < COMMITS_MAX {
                let Some(commits) = waiting.next() else { break };
                let cluster = match commits.side {
                    Side::Source => self.ends.source.clone(),
                    Side::Target => self.ends.target.clone(),
                };
                // On the link's own thread, as everything that only waits.
                under_way.spawn_local(async move {
                    let done = cluster
                        .commit_group_offsets(&commits.group, &commits.offsets)
                        .await;
                    (commits, done)
                });
            }
            match under_way.join_next().await {
                None => return,
                Some(Ok((commits, done))) => {
                    let trouble = self.confirm(&commits, done, partitions);
                    if let Some(status) = groups.iter_mut().find(|status| status.group == commits.group) {
                        status.trouble = trouble.or(status.trouble.take());
                    }
                }
                Some(Err(error)) => tracing::error!(%error, "a commit of a group failed: a bug"),
            }
        }
    }

    /// Notes which commits were made, and says why others were not.
    fn confirm(
        &mut self,
        commits: &Commits,
        done: Result<BTreeMap<TopicPartition, Result<(), BrokerError>>, ClientError>,
        partitions: &Partitions,
    ) -> Option<String> {
        let side = commits.side;
        let results = match done {
            Ok(results) => results,
            Err(error) => return Some(format!("the {}: {error}", side.name())),
        };
        let mut trouble = None;
        let mut memory = self.memory.get_mut(&commits.group);
        for (partition, result) in results {
            if let Err(error) = result {
                trouble = Some(format!("the {}: {error}", side.name()));
                continue;
            }
            let source = match side {
                Side::Source => Some(&partition),
                Side::Target => partitions.by_target.get(&partition),
            };
            let traces = memory
                .as_mut()
                .and_then(|memory| memory.partitions.get_mut(source?));
            if let Some(traces) = traces {
                traces.of_mut(side).confirm();
            }
        }
        trouble
    }

    /// A conflict is told when it begins and when it ends.
    fn tell(&mut self, groups: &[GroupStatus]) {
        let now: BTreeSet<String> = groups
            .iter()
            .filter(|group| group.state == "conflict")
            .map(|group| group.group.clone())
            .collect();
        for group in now.difference(&self.conflicts) {
            tracing::warn!(
                link = self.link.name,
                group,
                "the group has members on both sides: its offsets are not copied until one side has none"
            );
        }
        for group in self.conflicts.difference(&now) {
            tracing::info!(
                link = self.link.name,
                group,
                "the group has members on both sides no more"
            );
        }
        self.conflicts = now;
    }
}

/// What a group has in the partitions that take part, on both sides.
fn present(
    partitions: &Partitions,
    committed: &Both<&BTreeMap<TopicPartition, CommittedOffset>>,
    memory: Option<&Memory>,
) -> BTreeMap<TopicPartition, Now> {
    let here = committed.source.keys();
    let there = committed
        .target
        .keys()
        .filter_map(|at| partitions.by_target.get(at));
    let known = memory.into_iter().flat_map(|memory| memory.partitions.keys());
    let mut now = BTreeMap::new();
    for source in here.chain(there).chain(known) {
        let Some(mirrored) = partitions.mirrored.get(source) else {
            continue;
        };
        let mark = |offset: &CommittedOffset| Mark::new(offset.offset, &offset.metadata);
        now.entry(source.clone()).or_insert_with(|| Now {
            committed: Both {
                source: committed.source.get(source).map(mark),
                target: committed.target.get(&mirrored.target).map(mark),
            },
            bounds: mirrored.bounds,
        });
    }
    now
}

/// The commit that a decision asks for, with the text of the side it comes from.
fn order(
    write: &Write,
    partitions: &Partitions,
    committed: &Both<&BTreeMap<TopicPartition, CommittedOffset>>,
) -> Option<CommitOffset> {
    let from = write.to.other();
    let found = committed.of(from).get(&partitions.name(from, &write.partition))?;
    // The epoch belongs to this offset. The source has not announced the target's, which lie far above its own.
    let leader_epoch = match (write.to, write.is_exact) {
        (Side::Target, true) => found.leader_epoch,
        _ => LeaderEpoch::UNKNOWN,
    };
    Some(CommitOffset {
        partition: partitions.name(write.to, &write.partition),
        offset: write.offset,
        leader_epoch,
        metadata: found.metadata.clone(),
    })
}
