//! What a mirror link does to one partition ([`thalweg_wire::mirror`]): who it is, what it wants, and how the partition is
//! afterwards.
//!
//! Whether an operation fits is judged by the log, under its lock; here are the link's identity, Kafka's codes and the
//! report, which is made when the operation is durable, and of every refusal too, so that a link needs no memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use thalweg_storage::commit::{CommitError, Ticket};
use thalweg_storage::log::rows::WriteState;
use thalweg_storage::log::{
    MirrorFence, MirrorRefusal, MirrorTime, MirroredRun, MirroredRunError, PartitionLog, TruncateError,
};
use thalweg_types::{ErrorCode, LeaderEpoch, Offset, TimestampMs};
use thalweg_wire::batch::BatchError;
use thalweg_wire::mirror::{Command, LEASE_MS_MAX, LinkId, MirrorError, Operation, Ownership, Report};
use thiserror::Error;

use super::append::append_error_code;

/// Why an operation of a link was refused.
#[derive(Debug, Error)]
pub enum MirrorOperationError {
    /// The topic is another link's, or none's.
    #[error("{0}")]
    WrongLink(String),
    /// The bytes or the request's other fields are no operation.
    #[error("{0}")]
    Malformed(String),
    /// The records are none that a link may append.
    #[error(transparent)]
    Run(#[from] MirroredRunError),
    /// The log refuses it.
    #[error(transparent)]
    Log(#[from] MirrorRefusal),
    /// The log could not be cut.
    #[error(transparent)]
    Truncate(#[from] TruncateError),
    /// What was done will not be durable.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The work stopped in its middle.
    #[error("the operation stopped: {0}")]
    Stopped(String),
}

/// The kinds of refusals that are counted apart; the `reason` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    /// Another link's topic, or no mirror.
    Link,
    /// An older session, or a holder that lives.
    Session,
    /// Another log end.
    End,
    /// Records or numbers that are none.
    Malformed,
    /// The broker: busy, closed, failed.
    Broker,
}

impl RefusalReason {
    /// All, with the label's value.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::Link, "link"),
        (Self::Session, "session"),
        (Self::End, "end"),
        (Self::Malformed, "malformed"),
        (Self::Broker, "broker"),
    ];
}

impl MirrorOperationError {
    /// Returns Kafka's code, and what it counts as.
    #[must_use]
    pub fn judge(&self) -> (ErrorCode, RefusalReason) {
        use ErrorCode as Code;
        use RefusalReason as Reason;
        match self {
            Self::WrongLink(_) => (Code::PolicyViolation, Reason::Link),
            Self::Malformed(_) => (Code::InvalidRequest, Reason::Malformed),
            Self::Run(error) => (run_error_code(error), Reason::Malformed),
            Self::Log(refusal) => match refusal {
                MirrorRefusal::NotOwned(_) | MirrorRefusal::LinksOwn => (Code::PolicyViolation, Reason::Link),
                MirrorRefusal::Claimed { .. }
                | MirrorRefusal::Fenced { .. }
                | MirrorRefusal::Newer { .. } => (Code::FencedLeaderEpoch, Reason::Session),
                MirrorRefusal::End { .. } => (Code::OffsetOutOfRange, Reason::End),
                MirrorRefusal::Busy(_) => (Code::RequestTimedOut, Reason::Broker),
                MirrorRefusal::EpochFell { .. } => (Code::InvalidRecord, Reason::Malformed),
                MirrorRefusal::GapTooNarrow { .. } | MirrorRefusal::EpochTooHigh(_) => {
                    (Code::InvalidRequest, Reason::Malformed)
                }
                MirrorRefusal::Append(error) => match append_error_code(error) {
                    Code::OffsetOutOfRange => (Code::OffsetOutOfRange, Reason::End),
                    code => (code, Reason::Broker),
                },
            },
            Self::Truncate(error) => match error {
                TruncateError::NotABoundary { .. } => (Code::OffsetOutOfRange, Reason::End),
                TruncateError::Append(error) => (append_error_code(error), Reason::Broker),
                TruncateError::Read(_) | TruncateError::Disk(_) => (Code::KafkaStorageError, Reason::Broker),
            },
            Self::Commit(_) | Self::Stopped(_) => (Code::KafkaStorageError, Reason::Broker),
        }
    }
}

fn run_error_code(error: &MirroredRunError) -> ErrorCode {
    match error {
        MirroredRunError::Batch { source, .. } => match source {
            BatchError::UnsupportedMagic { .. } => ErrorCode::UnsupportedForMessageFormat,
            _ => ErrorCode::CorruptMessage,
        },
        MirroredRunError::Order { .. } | MirroredRunError::EpochOrder { .. } => ErrorCode::InvalidRecord,
        MirroredRunError::TooMany => ErrorCode::MessageTooLarge,
    }
}

/// What links did since the start; read by metrics.
#[derive(Debug, Default)]
pub struct MirrorCounters {
    appended_bytes: AtomicU64,
    appended_batches: AtomicU64,
    refused: [AtomicU64; RefusalReason::ALL.len()],
}

impl MirrorCounters {
    /// Returns the bytes and the batches that links appended.
    #[must_use]
    pub fn appended(&self) -> (u64, u64) {
        (
            self.appended_bytes.load(Ordering::Relaxed),
            self.appended_batches.load(Ordering::Relaxed),
        )
    }

    /// Returns how many operations were refused, by reason.
    pub fn refused(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.refused.iter().map(|count| count.load(Ordering::Relaxed));
        RefusalReason::ALL.into_iter().map(|(_, name)| name).zip(counts)
    }

    fn note_append(&self, run: &MirroredRun) {
        self.appended_bytes.fetch_add(run.len() as u64, Ordering::Relaxed);
        self.appended_batches
            .fetch_add(run.batch_count() as u64, Ordering::Relaxed);
    }

    fn note_refusal(&self, reason: RefusalReason) {
        if let Some(count) = self.refused.get(reason as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// An operation, and on what.
pub struct MirrorRequest {
    /// The partition.
    pub log: Arc<PartitionLog>,
    /// The link that the topic was created for.
    pub link: Option<LinkId>,
    /// The operation.
    pub command: Result<Command, MirrorError>,
    /// The partition's records.
    pub records: Option<BytesMut>,
}

/// An operation whose place among others is fixed.
pub struct MirrorProgress {
    log: Arc<PartitionLog>,
    link: Option<LinkId>,
    counters: Arc<MirrorCounters>,
    step: Result<Step, MirrorOperationError>,
}

/// What is left to wait for.
enum Step {
    Durable {
        ticket: Option<Ticket>,
        note: Option<String>,
    },
    Truncation(tokio::task::JoinHandle<Result<(), TruncateError>>),
}

/// How an operation ended.
#[derive(Clone, Debug)]
pub struct MirrorAnswer {
    /// What became of it.
    pub error: ErrorCode,
    /// Why it was refused, or what a person should know of it.
    pub message: Option<String>,
    /// The partition after it.
    pub report: Report,
}

impl MirrorRequest {
    /// Does it, or decides that it is not done; what follows on the partition comes after it. Blocks no longer than an
    /// append.
    #[must_use]
    pub fn begin(self, counters: &Arc<MirrorCounters>, wall: TimestampMs) -> MirrorProgress {
        let now = MirrorTime {
            wall,
            monotonic: Instant::now(),
        };
        let (log, link) = (Arc::clone(&self.log), self.link);
        let step = self.act(counters, now);
        if let Err(error) = &step {
            tracing::debug!(?log, %error, "mirror operation refused");
            counters.note_refusal(error.judge().1);
        }
        MirrorProgress {
            log,
            link,
            counters: Arc::clone(counters),
            step,
        }
    }

    fn act(self, counters: &MirrorCounters, now: MirrorTime) -> Result<Step, MirrorOperationError> {
        let command = self
            .command
            .map_err(|error| MirrorOperationError::Malformed(error.to_string()))?;
        let (link, log) = (command.fence.link, &self.log);
        // What concerns clients' partitions is asked for by no link, and everyone who may act as one may look.
        let needs_link = command.operation != Operation::Inspect && !command.operation.is_of_clients();
        if needs_link && (self.link != Some(link) || link == LinkId::NONE) {
            let what = match self.link {
                Some(_) => "the topic is the mirror of another link",
                None => "the topic is no mirror",
            };
            return Err(MirrorOperationError::WrongLink(what.to_owned()));
        }
        let is_append = matches!(command.operation, Operation::Append { .. });
        if !is_append && self.records.as_ref().is_some_and(|records| !records.is_empty()) {
            let what = "only an append has records".to_owned();
            return Err(MirrorOperationError::Malformed(what));
        }
        let fence = MirrorFence {
            session: command.fence.session,
            expected_end: command.fence.expected_end,
        };
        let durable = |ticket| Step::Durable { ticket, note: None };
        Ok(match command.operation {
            Operation::Inspect => durable(log.last_ticket()),
            Operation::Claim { lease_ms } => {
                let lease = lease(lease_ms)?;
                durable(log.claim(fence.session, lease, now.monotonic)?.1)
            }
            Operation::Append { source_end } => {
                let run = MirroredRun::check(self.records.unwrap_or_default())?;
                let ticket = log.append_mirrored(&run, source_end, fence, now)?;
                counters.note_append(&run);
                durable(ticket)
            }
            Operation::AdvanceEnd { to } => {
                let advanced = log.advance_end(to, fence, now)?;
                let note = (advanced.unknown_transactions > 0).then(|| {
                    let count = advanced.unknown_transactions;
                    format!("{count} transactions were open at the gap and are aborted: how they ended is not known")
                });
                Step::Durable {
                    ticket: advanced.ticket,
                    note,
                }
            }
            Operation::SetLogStart { to } => durable(log.set_mirror_start(to, fence, now.monotonic)?),
            Operation::Truncate { to } => {
                let truncation = log.begin_truncation(to, fence, now.monotonic)?;
                // It blocks on the disk, and is done to its end even if the link goes away.
                Step::Truncation(tokio::task::spawn_blocking(move || truncation.run()))
            }
            Operation::SetSourceEnd { source_end } => {
                log.set_source_end(source_end, fence, now.monotonic)?;
                durable(None)
            }
            Operation::Promote { epoch_above } => durable(log.promote(epoch_above, fence, now.wall)?),
            Operation::Release => {
                log.release(fence)?;
                durable(None)
            }
            Operation::Seal { epoch_below } => durable(log.seal(epoch_below)?),
            Operation::Unseal => durable(log.unseal()?),
        })
    }
}

fn lease(lease_ms: i32) -> Result<Duration, MirrorOperationError> {
    match u64::try_from(lease_ms) {
        Ok(ms) if (1..=LEASE_MS_MAX).contains(&lease_ms) => Ok(Duration::from_millis(ms)),
        _ => Err(MirrorOperationError::Malformed(format!(
            "a lease lasts 1 to {LEASE_MS_MAX} ms, not {lease_ms}"
        ))),
    }
}

impl MirrorProgress {
    /// Refuses without asking the log.
    #[must_use]
    pub fn refused(request: MirrorRequest, counters: &Arc<MirrorCounters>, why: String) -> Self {
        counters.note_refusal(RefusalReason::Malformed);
        Self {
            log: request.log,
            link: request.link,
            counters: Arc::clone(counters),
            step: Err(MirrorOperationError::Malformed(why)),
        }
    }

    /// Waits until the operation is durable, and reports.
    pub async fn finish(self) -> MirrorAnswer {
        let was_refused = self.step.is_err();
        let outcome = match self.step {
            Err(error) => Err(error),
            Ok(Step::Durable { ticket, note }) => match ticket {
                Some(ticket) => ticket
                    .durable()
                    .await
                    .map(|()| note)
                    .map_err(MirrorOperationError::from),
                None => Ok(note),
            },
            Ok(Step::Truncation(task)) => match task.await {
                Ok(cut) => cut.map(|()| None).map_err(MirrorOperationError::from),
                Err(error) => Err(MirrorOperationError::Stopped(error.to_string())),
            },
        };
        let report = report(&self.log, self.link, Instant::now());
        let (error, message) = match outcome {
            Ok(note) => (ErrorCode::None, note),
            Err(error) => {
                let (code, reason) = error.judge();
                if !was_refused {
                    self.counters.note_refusal(reason);
                }
                (code, Some(error.to_string()))
            }
        };
        MirrorAnswer {
            error,
            message,
            report,
        }
    }
}

fn report(log: &PartitionLog, link: Option<LinkId>, now: Instant) -> Report {
    let status = log.mirror_status(now);
    Report {
        link: link.unwrap_or(LinkId::NONE),
        session: status.session,
        log_start: status.offsets.log_start_offset,
        log_end: status.offsets.log_end_offset,
        high_watermark: status.offsets.high_watermark,
        source_end: status.source_end.unwrap_or(Offset::UNKNOWN),
        leader_epoch: status.offsets.leader_epoch,
        last_epoch: status.last_epoch.unwrap_or(LeaderEpoch::UNKNOWN),
        lease_left_ms: i32::try_from(status.lease_left.as_millis()).unwrap_or(i32::MAX),
        ownership: match status.write_state {
            WriteState::Open => Ownership::Open,
            WriteState::OwnedByLink => Ownership::Link,
            WriteState::SealedAt(_) => Ownership::Sealed,
        },
    }
}
