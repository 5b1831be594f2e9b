//! Fetches from all leaders at once and prints what comes.
//!
//! One request is under way for each leader. Invariant: a partition's records are printed in the order of their
//! offsets, each once, whatever moves or breaks meanwhile.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use thalweg_client::{
    BrokerError, ClientError, Cluster, FetchOptions, FetchTarget, FetchedPartition, FetchedRecords,
    TopicPartition,
};
use thalweg_types::{BrokerId, ErrorCode, LeaderEpoch, Offset};

use super::decode::{Damage, decode};
use super::plan::Plan;
use super::print::{Origin, Printer};
use crate::cli::error::CliError;
use crate::cli::offset_spec::bounds;
use crate::cli::output::note;
use crate::cli::progress::{Progress, Unit};

/// Bytes asked of one partition at a time; a larger batch comes whole all the same.
const PARTITION_SIZE_MAX: i32 = 1 << 20;

/// Answers in a row without a record, after which what the log should hold is taken to be missing. A broker short of
/// memory may send one.
const EMPTY_ANSWERS_MAX: u32 = 3;

/// Limits of a reader.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Limits of one request.
    pub options: FetchOptions,
    /// How long failures in a row are borne.
    pub patience: Duration,
}

/// A request's answer, with whom it came from.
type Answer = (BrokerId, Result<Vec<FetchedPartition>, ClientError>);

/// Reads a plan to its end.
pub struct Reader {
    cluster: Cluster,
    plan: Plan,
    limits: Limits,
    /// Since when nothing but failures came.
    failing_since: Option<Instant>,
    retries: u32,
    /// Turns the order of partitions, so that none is always last.
    turn: usize,
    /// Shown for a range with an end, with the number of offsets in it.
    bar: Option<(Progress, u64)>,
}

impl Reader {
    /// Prepares to read.
    pub fn new(cluster: Cluster, plan: Plan, limits: Limits) -> Self {
        Self {
            cluster,
            plan,
            limits,
            failing_since: None,
            retries: 0,
            turn: 0,
            bar: None,
        }
    }

    /// Reads until the plan is done or the printer has enough.
    ///
    /// # Errors
    /// Failures that last longer than the limits say, damaged batches, those of the output.
    pub async fn run(mut self, printer: &mut Printer) -> Result<(), CliError> {
        // A bar between the records would make both unreadable.
        if self.plan.is_finite && !std::io::stdout().is_terminal() {
            let total = self.plan.remaining();
            self.bar = Some((Progress::start("reading", total, Unit::Count), total));
        }
        while !self.plan.partitions.is_empty() && !printer.is_done() {
            match self.read_until_change(printer).await {
                Ok(()) => {}
                Err(CliError::Client(error)) => self.bear(error).await?,
                Err(other) => return Err(other),
            }
        }
        printer.flush()
    }

    /// Reads until a leader changes, an answer fails, or the end.
    async fn read_until_change(&mut self, printer: &mut Printer) -> Result<(), CliError> {
        let partitions: Vec<TopicPartition> = self.plan.partitions.keys().cloned().collect();
        let leaders = self.cluster.group_by_leader(&partitions).await?;
        let mut requests = FuturesUnordered::new();
        for (leader, members) in &leaders {
            requests.push(self.request(*leader, members).await?);
        }
        while let Some((leader, answer)) = requests.next().await {
            let answer = answer?;
            let empty = whole_log_behind(&answer);
            for fetched in answer {
                self.take(fetched, printer).await?;
                if printer.is_done() {
                    break;
                }
            }
            self.close_gaps(&empty);
            printer.flush()?;
            self.failing_since = None;
            self.retries = 0;
            if let Some((bar, total)) = &self.bar {
                bar.set(total.saturating_sub(self.plan.remaining()));
            }
            if self.plan.partitions.is_empty() || printer.is_done() {
                return Ok(());
            }
            let members = leaders
                .iter()
                .find(|(id, _)| *id == leader)
                .map(|(_, members)| members.as_slice());
            let members = members.unwrap_or_default();
            if members
                .iter()
                .any(|member| self.plan.partitions.contains_key(member))
            {
                requests.push(self.request(leader, members).await?);
            }
        }
        Ok(())
    }

    /// Makes the next request to a leader.
    async fn request(
        &mut self,
        leader: BrokerId,
        members: &[TopicPartition],
    ) -> Result<impl Future<Output = Answer> + use<>, ClientError> {
        self.turn = self.turn.wrapping_add(1);
        let mut targets: Vec<FetchTarget> = members
            .iter()
            .filter_map(|partition| {
                let progress = self.plan.partitions.get(partition)?;
                Some(FetchTarget {
                    partition: partition.clone(),
                    topic_id: progress.topic_id,
                    offset: progress.position,
                    leader_epoch: LeaderEpoch::UNKNOWN,
                    size_bytes_max: PARTITION_SIZE_MAX,
                })
            })
            .collect();
        if !targets.is_empty() {
            let turn = self.turn % targets.len();
            targets.rotate_left(turn);
        }
        let connection = self.cluster.broker(leader).await?;
        let options = self.limits.options;
        Ok(async move { (leader, connection.fetch(&targets, options).await) })
    }

    /// Prints the records of one partition and moves its position.
    async fn take(&mut self, fetched: FetchedPartition, printer: &mut Printer) -> Result<(), CliError> {
        let records = match fetched.result {
            Ok(records) => records,
            Err(error) if error.code == ErrorCode::OffsetOutOfRange => {
                return self.follow_log_start(&fetched.partition, error).await;
            }
            Err(error) => {
                self.cluster.forget_topic(&fetched.partition.topic);
                return Err(error.into());
            }
        };
        self.print(&fetched.partition, &records, printer)
    }

    fn print(
        &mut self,
        partition: &TopicPartition,
        fetched: &FetchedRecords,
        printer: &mut Printer,
    ) -> Result<(), CliError> {
        let Some(progress) = self.plan.partitions.get_mut(partition) else {
            return Ok(());
        };
        if !fetched.records.is_empty() {
            progress.empty_answers = 0;
        }
        let (first, until) = (progress.first, progress.until);
        let mut position = progress.position;
        let from = position;
        let markers = printer.markers();
        let result = decode::<Stop>(fetched, from, markers, |batch, next| {
            if let Some(batch) = &batch {
                for record in &batch.records {
                    let wanted =
                        record.offset >= first.max(from) && until.is_none_or(|until| record.offset < until);
                    if wanted && !printer.is_done() {
                        let origin = Origin {
                            partition,
                            fetched,
                            header: &batch.header,
                        };
                        printer.print(origin, record).map_err(Stop::Output)?;
                    }
                }
            }
            position = next;
            Ok(!printer.is_done())
        });
        progress.position = position;
        match result {
            Ok(()) => {}
            Err(Stop::Output(error)) => return Err(error),
            Err(Stop::Damage(Damage { offset, error })) => return Err(damaged(partition, offset, &error)),
        }
        if position == from && !fetched.records.is_empty() && fetched.high_watermark > from {
            let text = format!(
                "topic '{}' partition {}: the answer holds no whole batch from offset {from} on",
                partition.topic, partition.partition
            );
            return Err(CliError::Failed(text));
        }
        if progress.is_done() {
            self.plan.partitions.remove(partition);
        }
        Ok(())
    }

    /// Ends ranges whose rest is not in the log: a segment that was moved aside leaves a gap, and if nothing was written
    /// behind it yet, no fetch ever passes it.
    fn close_gaps(&mut self, empty: &[(TopicPartition, Offset)]) {
        for (partition, high_watermark) in empty {
            let Some(progress) = self.plan.partitions.get_mut(partition) else {
                continue;
            };
            let Some(until) = progress.until.filter(|until| until <= high_watermark) else {
                continue;
            };
            progress.empty_answers = progress.empty_answers.saturating_add(1);
            if progress.empty_answers < EMPTY_ANSWERS_MAX {
                continue;
            }
            note(&format!(
                "warning: topic '{}' partition {}: offsets {} to {} are not in the log",
                partition.topic,
                partition.partition,
                progress.position,
                until.get().saturating_sub(1)
            ));
            self.plan.partitions.remove(partition);
        }
    }

    /// The log start may pass the reader (retention, trim). Then it goes on at the new start and says what it missed.
    async fn follow_log_start(
        &mut self,
        partition: &TopicPartition,
        error: BrokerError,
    ) -> Result<(), CliError> {
        let known = bounds(
            &self.cluster,
            std::slice::from_ref(partition),
            self.limits.options.isolation,
        )
        .await?;
        let (Some(progress), Some(known)) = (self.plan.partitions.get_mut(partition), known.get(partition))
        else {
            return Ok(());
        };
        let start = Offset(known.start);
        if progress.position >= start {
            return Err(error.into());
        }
        note(&format!(
            "warning: topic '{}' partition {}: offsets {} to {} were deleted before they were read",
            partition.topic,
            partition.partition,
            progress.position,
            start.get().saturating_sub(1)
        ));
        progress.position = start;
        if progress.is_done() {
            self.plan.partitions.remove(partition);
        }
        Ok(())
    }

    /// Waits after a failure that may pass; gives up when it has lasted too long.
    async fn bear(&mut self, error: ClientError) -> Result<(), CliError> {
        let since = *self.failing_since.get_or_insert_with(Instant::now);
        if !error.is_retriable() || since.elapsed() >= self.limits.patience {
            return Err(error.into());
        }
        let wait = self.cluster.config().backoff.wait(self.retries);
        self.retries = self.retries.saturating_add(1);
        for partition in self.plan.partitions.keys() {
            self.cluster.forget_topic(&partition.topic);
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

/// Returns the high watermarks of an answer without any records. One partition may get nothing because the others have
/// filled the answer; if all got nothing, nothing is there.
fn whole_log_behind(answer: &[FetchedPartition]) -> Vec<(TopicPartition, Offset)> {
    let ends = answer.iter().map(|fetched| match &fetched.result {
        Ok(records) if records.records.is_empty() => {
            Some((fetched.partition.clone(), records.high_watermark))
        }
        _ => None,
    });
    ends.collect::<Option<_>>().unwrap_or_default()
}

enum Stop {
    Output(CliError),
    Damage(Damage),
}

impl From<Damage> for Stop {
    fn from(damage: Damage) -> Self {
        Self::Damage(damage)
    }
}

fn damaged(partition: &TopicPartition, offset: Offset, error: &thalweg_wire::batch::BatchError) -> CliError {
    CliError::Failed(format!(
        "topic '{}' partition {}: the broker sent a damaged batch at offset {offset}: {error}; \
         to go on behind it, give a later --offset",
        partition.topic, partition.partition
    ))
}
