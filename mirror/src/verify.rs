//! `verify`: compares source and mirror batch by batch: base offset, last offset and CRC at every place.
//!
//! Reads both sides through this process. Ends are taken when a partition begins, so what is written meanwhile does not
//! matter. Compaction rewrites batches on each side at its own time: batches of a compacted topic may differ although the
//! records that count are the same.

mod compare;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use thalweg_client::{
    ClientError, Cluster, FetchOptions, FetchTarget, Isolation, OffsetQuery, TopicPartition,
};
use thalweg_types::{LeaderEpoch, Offset, TopicId};
use thalweg_wire::batch::{BatchHeader, LOG_OVERHEAD};

use crate::config::{Config, LinkConfig};
use crate::discovery::Discovery;
use crate::ends::{self, Ends};
use crate::topology::Step;

use compare::{Comparison, Side};
pub use compare::{Difference, Kind, Mark};

/// Bytes of one fetch.
const FETCH_BYTES: i32 = 8 << 20;
/// Tries of a fetch that fails for a passing reason.
const TRIES: u32 = 20;
/// Pause between them.
const PAUSE: Duration = Duration::from_millis(250);

/// What was found of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionResult {
    /// Its name at the target.
    pub partition: TopicPartition,
    /// First offset that was compared.
    pub from: Offset,
    /// The offset after the last that was compared.
    pub to: Offset,
    /// Batches that are equal.
    pub equal: u64,
    /// Where they are not, in order.
    pub differences: Vec<Difference>,
    /// Offsets at the source's end that the mirror does not have yet.
    pub behind: i64,
}

impl fmt::Display for PartitionResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.differences.is_empty() {
            true => "equal",
            false => "DIFFERS",
        };
        write!(
            f,
            "{}: {verdict}, offsets {} to {}, {} equal batches",
            self.partition, self.from, self.to, self.equal
        )?;
        if self.behind > 0 {
            write!(f, ", {} offsets behind", self.behind)?;
        }
        for difference in &self.differences {
            write!(f, "\n  {difference}")?;
        }
        Ok(())
    }
}

/// Result of a whole file.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Partitions with differences.
    pub different: usize,
    /// Partitions whose mirror is behind.
    pub behind: usize,
    /// Partitions and topics that could not be compared.
    pub failed: usize,
    /// Partitions that were compared.
    pub compared: usize,
}

/// Compares every partition of every link, and calls `say` with each line.
pub async fn verify(config: &Config, mut say: impl FnMut(&str)) -> Verdict {
    let mut verdict = Verdict::default();
    for link in &config.links {
        if let Err(error) = verify_link(link, &mut verdict, &mut say).await {
            verdict.failed += 1;
            say(&error);
        }
    }
    verdict
}

async fn verify_link(
    link: &LinkConfig,
    verdict: &mut Verdict,
    say: &mut impl FnMut(&str),
) -> Result<(), String> {
    let ends = ends::connect(link).await.map_err(|error| error.to_string())?;
    let steps = Discovery::new(link.clone(), ends.clone())
        .plan()
        .await
        .map_err(|error| error.to_string())?;
    for step in steps {
        let topic = match step {
            Step::Mirror(topic) => topic,
            Step::Create { source, .. } => {
                verdict.failed += 1;
                say(&format!("{source}: there is no mirror topic yet"));
                continue;
            }
            Step::Refuse { source, reason } => {
                verdict.failed += 1;
                say(&format!("{source}: {reason}"));
                continue;
            }
            Step::Grow { target, partitions } => {
                verdict.failed += 1;
                say(&format!(
                    "{target}: the source has {partitions} partitions, the mirror fewer"
                ));
                continue;
            }
            // Settings are not records.
            Step::Change { .. } | Step::Warn { .. } => continue,
        };
        for partition in &topic.partitions {
            let pair = Pair {
                source: TopicPartition::new(topic.source.clone(), partition.partition),
                source_id: topic.source_id,
                target: TopicPartition::new(topic.target.clone(), partition.partition),
                target_id: topic.target_id,
            };
            match compare_partition(&ends, &pair, link.rules.read.isolation()).await {
                Ok(result) => {
                    verdict.compared += 1;
                    verdict.different += usize::from(!result.differences.is_empty());
                    verdict.behind += usize::from(result.behind > 0);
                    say(&result.to_string());
                }
                Err(error) => {
                    verdict.failed += 1;
                    say(&format!("{}: {error}", pair.target));
                }
            }
        }
    }
    Ok(())
}

struct Pair {
    source: TopicPartition,
    source_id: TopicId,
    target: TopicPartition,
    target_id: TopicId,
}

async fn compare_partition(
    ends: &Ends,
    pair: &Pair,
    isolation: Isolation,
) -> Result<PartitionResult, String> {
    let all = Isolation::ReadUncommitted;
    let said = |error: ClientError| error.to_string();
    // The mirror's end first: what it has by then, the source has too.
    let there = bounds(&ends.target, &pair.target, all).await.map_err(said)?;
    let here = bounds(&ends.source, &pair.source, isolation)
        .await
        .map_err(said)?;
    // A link that reads to the high watermark may have been further than the last stable offset is now.
    let whole = match there.1 > here.1 {
        true => bounds(&ends.source, &pair.source, all).await.map_err(said)?,
        false => here,
    };
    let mut comparison = Comparison::new(here.0, there.0, whole.1.min(there.1));
    if there.1 > whole.1 {
        comparison.note(Kind::MirrorOnly, whole.1, there.1);
    }
    while let Some((side, at)) = comparison.wants() {
        let (cluster, partition, id) = match side {
            Side::Source => (&ends.source, &pair.source, pair.source_id),
            Side::Mirror => (&ends.target, &pair.target, pair.target_id),
        };
        let records = read(cluster, partition, id, at).await?;
        let marks = marks(&records, at)?;
        comparison.take(side, at, marks);
    }
    Ok(PartitionResult {
        partition: pair.target.clone(),
        from: comparison.from(),
        to: comparison.to(),
        equal: comparison.equal(),
        differences: comparison.into_differences(),
        behind: (here.1.get() - there.1.get()).max(0),
    })
}

async fn bounds(
    cluster: &Cluster,
    of: &TopicPartition,
    isolation: Isolation,
) -> Result<(Offset, Offset), ClientError> {
    let one = async |query, isolation| {
        let found = cluster.list_offsets(&[(of.clone(), query)], isolation).await?;
        Ok::<Offset, ClientError>(
            found
                .values()
                .next()
                .map_or(Offset::UNKNOWN, |found| found.offset),
        )
    };
    let start = one(OffsetQuery::Earliest, Isolation::ReadUncommitted).await?;
    let end = one(OffsetQuery::Latest, isolation).await?;
    Ok((start, end))
}

/// Reads what begins at `at`, which lies below the end; tries again while a leader moves or a broker is away.
async fn read(cluster: &Cluster, of: &TopicPartition, id: TopicId, at: Offset) -> Result<Bytes, String> {
    let mut last = String::new();
    for _ in 0..TRIES {
        match fetch(cluster, of, id, at).await {
            Ok(records) => return Ok(records),
            Err(error) if error.is_retriable() => last = error.to_string(),
            Err(error) => return Err(error.to_string()),
        }
        cluster.forget_topic(&of.topic);
        tokio::time::sleep(PAUSE).await;
    }
    Err(last)
}

async fn fetch(
    cluster: &Cluster,
    of: &TopicPartition,
    id: TopicId,
    at: Offset,
) -> Result<Bytes, ClientError> {
    let target = FetchTarget {
        partition: of.clone(),
        topic_id: id,
        offset: at,
        leader_epoch: LeaderEpoch::UNKNOWN,
        size_bytes_max: FETCH_BYTES,
    };
    let options = FetchOptions {
        wait_max: Duration::ZERO,
        size_bytes_max: FETCH_BYTES,
        ..FetchOptions::default()
    };
    let answers = cluster.leader(of).await?.fetch(&[target], options).await?;
    match answers.into_iter().next() {
        Some(answer) => Ok(answer.result?.records),
        None => Ok(Bytes::new()),
    }
}

/// The whole batches of an answer that reach `at`.
fn marks(records: &Bytes, at: Offset) -> Result<Vec<Mark>, String> {
    let mut marks = Vec::new();
    let mut rest: &[u8] = records;
    while rest.len() > LOG_OVERHEAD {
        let header = match BatchHeader::parse(rest) {
            Ok(header) => header,
            // A cut header at the end comes whole with the next fetch.
            Err(_) if !marks.is_empty() && rest.len() < thalweg_wire::batch::HEADER_LEN => break,
            Err(error) => return Err(format!("behind offset {at}: {error}")),
        };
        let Some((_, after)) = rest.split_at_checked(header.total_len()) else {
            break;
        };
        if header.next_offset() > at {
            marks.push(Mark {
                base: header.base_offset,
                next: header.next_offset(),
                crc: header.crc,
            });
        }
        rest = after;
    }
    Ok(marks)
}
