//! The drill's consumers: a member of a group, and one that only commits offsets, as programs with partitions of their own
//! do. Both read committed records of every partition and commit as they go.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use thalweg_client::{
    Cluster, CommitOffset, FetchOptions, FetchTarget, FetchedRecords, GroupMember, Isolation, MemberSettings,
    OffsetQuery, TopicCreation, TopicPartition,
};
use thalweg_types::{LeaderEpoch, Offset, ProducerId, TopicId};
use thalweg_wire::batch::split_batches;
use thalweg_wire::compression::CompressionLimits;
use thalweg_wire::records::{EndTransactionMarker, TransactionOutcome, decode_records};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::ledger::Seen;
use super::writers::{identity, of, partitions};
use super::{GROUP_OF_COMMITS, GROUP_OF_MEMBERS, PARTITIONS};
use crate::run::cut;

const COMMIT_PAUSE: Duration = Duration::from_millis(250);
const SESSION: Duration = Duration::from_secs(10);
const FETCH_BYTES: i32 = 4 << 20;
const POLL: Duration = Duration::from_millis(200);
/// Pause after a failure.
const AGAIN: Duration = Duration::from_millis(100);

/// Where a consumer is, by partition.
pub(super) type Positions = Vec<Offset>;

/// Both consumers.
pub(super) struct Readers {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<Result<Reader, String>>>,
}

/// A consumer that ended.
pub(super) struct Reader {
    pub(super) group: &'static str,
    /// Where it began.
    pub(super) began: Positions,
    /// Up to where it read.
    pub(super) read: Positions,
}

impl Readers {
    /// Starts both where their groups have committed.
    pub(super) fn start(cluster: &Cluster) -> Self {
        let (stop, stopped) = watch::channel(false);
        // Each has connections of its own: a long poll holds up what is behind it.
        let start = |group: &'static str| {
            let own = Cluster::new(cluster.config().clone());
            tokio::task::spawn_local(read_on(own, group, stopped.clone()))
        };
        Self {
            tasks: vec![start(GROUP_OF_MEMBERS), start(GROUP_OF_COMMITS)],
            stop,
        }
    }

    /// Lets both commit where they are, and leave.
    pub(super) async fn stop(self) -> Result<Vec<Reader>, String> {
        self.stop.send_replace(true);
        let mut readers = Vec::new();
        for task in self.tasks {
            readers.push(task.await.map_err(|error| error.to_string())??);
        }
        Ok(readers)
    }
}

async fn read_on(
    cluster: Cluster,
    group: &'static str,
    stopped: watch::Receiver<bool>,
) -> Result<Reader, String> {
    let said = |error: thalweg_client::ClientError| format!("group {group}: {error}");
    let member = match group {
        GROUP_OF_MEMBERS => {
            let settings = MemberSettings {
                group: group.to_owned(),
                partitions: partitions().collect(),
                session_timeout: SESSION,
            };
            Some(GroupMember::join(cluster.clone(), settings).await.map_err(said)?)
        }
        _ => None,
    };
    let committed = cluster.fetch_group_offsets(group).await.map_err(said)?;
    let begin = |partition: TopicPartition| {
        committed
            .get(&partition)
            .map_or(Offset::ZERO, |found| found.offset)
    };
    let mut reader = Reader {
        group,
        began: partitions().map(begin).collect(),
        read: partitions().map(begin).collect(),
    };
    let mut commit_at = Instant::now() + COMMIT_PAUSE;
    let topic = cluster
        .topic(super::TOPIC, TopicCreation::Never)
        .await
        .map_err(said)?;
    loop {
        let is_last = *stopped.borrow();
        if let Err(why) = advance(&cluster, topic.id, &mut reader.read).await {
            // A broker that was killed: what it had is judged by what is committed on the other side.
            if is_last || cluster.brokers().await.is_err() {
                tracing::debug!(group, why, "a reader of the drill ends");
                return Ok(reader);
            }
            tokio::time::sleep(AGAIN).await;
        }
        if Instant::now() < commit_at && !is_last {
            continue;
        }
        commit_at = Instant::now() + COMMIT_PAUSE;
        let offsets = commits(&reader.read);
        let done = match &member {
            Some(member) => match member.heartbeat().await {
                Ok(()) => member.commit(&offsets).await.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            },
            None => commit_alone(&cluster, group, &offsets).await,
        };
        match (done, is_last) {
            (Ok(()), true) => break,
            (Ok(()), false) => {}
            (Err(_), _) if cluster.brokers().await.is_err() => return Ok(reader),
            (Err(why), true) => return Err(format!("group {group}: its last commit failed: {why}")),
            (Err(why), false) => tracing::debug!(group, why, "a commit of the drill failed"),
        }
    }
    if let Some(member) = member {
        member.leave().await.map_err(said)?;
    }
    Ok(reader)
}

fn commits(positions: &Positions) -> Vec<CommitOffset> {
    let commit = |(partition, offset): (TopicPartition, &Offset)| CommitOffset {
        partition,
        offset: *offset,
        leader_epoch: LeaderEpoch::UNKNOWN,
        metadata: String::new(),
    };
    partitions().zip(positions).map(commit).collect()
}

async fn commit_alone(cluster: &Cluster, group: &str, offsets: &[CommitOffset]) -> Result<(), String> {
    let results = cluster.commit_group_offsets(group, offsets).await;
    let results = results.map_err(|error| error.to_string())?;
    match results.into_values().find_map(Result::err) {
        Some(error) => Err(error.to_string()),
        None => Ok(()),
    }
}

/// Fetches once from every partition and moves the positions behind what came.
async fn advance(cluster: &Cluster, topic_id: TopicId, positions: &mut Positions) -> Result<(), String> {
    let answers = fetch(cluster, topic_id, positions, POLL).await?;
    for (index, found) in answers {
        let Some(position) = positions.get_mut(index) else {
            continue;
        };
        if let Some(run) = cut(&found.records, *position).map_err(|error| error.to_string())? {
            *position = run.next;
        }
    }
    Ok(())
}

async fn fetch(
    cluster: &Cluster,
    topic_id: TopicId,
    positions: &Positions,
    wait_max: Duration,
) -> Result<BTreeMap<usize, FetchedRecords>, String> {
    let targets: Vec<FetchTarget> = partitions()
        .zip(positions)
        .map(|(partition, offset)| FetchTarget {
            partition,
            topic_id,
            offset: *offset,
            leader_epoch: LeaderEpoch::UNKNOWN,
            size_bytes_max: FETCH_BYTES,
        })
        .collect();
    let options = FetchOptions {
        wait_max,
        isolation: Isolation::ReadCommitted,
        ..FetchOptions::default()
    };
    // One broker leads all.
    let connection = cluster.leader(&of(0)).await.map_err(|error| error.to_string())?;
    let answers = connection
        .fetch(&targets, options)
        .await
        .map_err(|error| error.to_string())?;
    let mut found = BTreeMap::new();
    for answer in answers {
        let index = usize::try_from(answer.partition.partition.get()).unwrap_or(usize::MAX);
        found.insert(index, answer.result.map_err(|error| error.to_string())?);
    }
    Ok(found)
}

/// Where the partitions of a side end for readers of committed records.
pub(super) async fn ends(cluster: &Cluster) -> Result<Positions, String> {
    let queries: Vec<_> = partitions().map(|of| (of, OffsetQuery::Latest)).collect();
    let listed = cluster.list_offsets(&queries, Isolation::ReadCommitted).await;
    let listed = listed.map_err(|error| error.to_string())?;
    partitions()
        .map(|of| {
            let found = listed.get(&of).map(|found| found.offset);
            found.ok_or_else(|| format!("{of}: its end is not told"))
        })
        .collect()
}

/// Reads everything of a side that a reader of committed records sees, up to `ends`.
pub(super) async fn read_all(cluster: &Cluster, ends: &Positions) -> Result<Vec<Vec<Seen>>, String> {
    let topic = cluster.topic(super::TOPIC, TopicCreation::Never).await;
    let topic = topic.map_err(|error| error.to_string())?;
    let mut positions = vec![Offset::ZERO; PARTITIONS];
    let mut read: Vec<Vec<Seen>> = vec![Vec::new(); PARTITIONS];
    while positions.iter().zip(ends).any(|(position, end)| position < end) {
        let mut moved = false;
        for (index, found) in fetch(cluster, topic.id, &positions, Duration::ZERO).await? {
            let (Some(position), Some(seen)) = (positions.get_mut(index), read.get_mut(index)) else {
                continue;
            };
            if let Some(run) = cut(&found.records, *position).map_err(|error| error.to_string())? {
                visible(&found, &run.records, *position, seen)?;
                moved |= run.next > *position;
                *position = run.next;
            }
        }
        if !moved {
            tokio::time::sleep(AGAIN).await;
        }
    }
    Ok(read)
}

/// Takes the records that belong to no aborted transaction.
fn visible(found: &FetchedRecords, run: &Bytes, from: Offset, seen: &mut Vec<Seen>) -> Result<(), String> {
    let mut aborted = found.aborted_transactions.clone();
    aborted.sort_by_key(|transaction| transaction.first_offset);
    let mut aborted = aborted.into_iter().peekable();
    let mut open: BTreeSet<ProducerId> = BTreeSet::new();
    for batch in split_batches(run) {
        let batch = batch.map_err(|error| error.to_string())?;
        let header = &batch.header;
        while let Some(next) = aborted.next_if(|next| next.first_offset <= header.last_offset()) {
            open.insert(next.producer_id);
        }
        if header.is_control() {
            let marker = EndTransactionMarker::of_batch(batch.bytes);
            if marker.is_some_and(|marker| marker.outcome == TransactionOutcome::Abort) {
                open.remove(&header.producer_id);
            }
        } else if !(header.is_transactional() && open.contains(&header.producer_id)) {
            records_of(batch.bytes, from, seen)?;
        }
    }
    Ok(())
}

/// Takes the records of one batch.
pub(super) fn records_of(batch: &[u8], from: Offset, seen: &mut Vec<Seen>) -> Result<(), String> {
    let records = decode_records(batch, &CompressionLimits::default()).map_err(|error| error.to_string())?;
    for record in records.into_iter().filter(|record| record.offset >= from) {
        // A value that no writer made is no batch's, and is found by that.
        let (id, index) = record
            .value
            .as_deref()
            .and_then(identity)
            .unwrap_or((0, u32::MAX));
        seen.push(Seen {
            offset: record.offset,
            id,
            index,
        });
    }
    Ok(())
}
