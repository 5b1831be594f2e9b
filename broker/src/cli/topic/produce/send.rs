//! Sends a round of batches and waits until each is written.
//!
//! Invariant: with a producer id every batch is written once, however often it is sent; without one a batch whose fate
//! is unknown is not sent again.

use std::pin::pin;
use std::time::{Duration, Instant};

use thalweg_client::{
    BrokerError, ClientError, Cluster, ProduceAck, ProduceBatch, ProduceOptions, ProducerIdentity, Resource,
    TopicPartition,
};
use thalweg_types::{ErrorCode, Offset, TimestampMs};

use super::batches::Ready;
use crate::cli::error::CliError;
use crate::cli::output::note;

/// After this long without success the person is told why.
const SILENCE: Duration = Duration::from_secs(3);

/// A batch that was written.
#[derive(Debug)]
pub struct Written {
    /// The batch.
    pub batch: Ready,
    /// Where it is.
    pub ack: ProduceAck,
}

/// What became of a round.
#[derive(Debug)]
pub struct Outcome {
    /// The batches that were written, also if others failed.
    pub written: Vec<Written>,
    /// Why the others failed.
    pub result: Result<(), CliError>,
}

/// Sends batches to the leaders of their partitions.
pub struct Sender {
    cluster: Cluster,
    options: ProduceOptions,
    patience: Duration,
    producer: Option<ProducerIdentity>,
}

impl Sender {
    /// Asks for a producer id. A cluster that gives none is used without.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn start(
        cluster: Cluster,
        options: ProduceOptions,
        patience: Duration,
    ) -> Result<Self, CliError> {
        let producer = match cluster.init_producer_id().await {
            Ok(producer) => Some(producer),
            Err(error) if gives_no_id(&error) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Self {
            cluster,
            options,
            patience,
            producer,
        })
    }

    /// Returns the producer's identity, if there is one.
    pub fn producer(&self) -> Option<ProducerIdentity> {
        self.producer
    }

    /// Writes all batches, or as many as can be written until the first refusal or until the patience ends.
    pub async fn send(&self, batches: Vec<Ready>) -> Outcome {
        let mut waiting = batches;
        let mut written = Vec::new();
        let started = Instant::now();
        let mut retries = 0;
        let mut told = Told::at(started + SILENCE);
        while !waiting.is_empty() {
            let tried = self.send_patiently((&mut waiting, &mut written), &mut told).await;
            let Err(error) = tried else {
                continue;
            };
            let may_retry = match self.producer {
                Some(_) => error.is_retriable(),
                None => error.is_retriable_without_effect(),
            };
            if !may_retry || started.elapsed() >= self.patience {
                return Outcome {
                    written,
                    result: Err(failure(error, &waiting)),
                };
            }
            told.of_refusal(&error, self.patience);
            for batch in &waiting {
                self.cluster.forget_topic(&batch.partition.topic);
            }
            tokio::time::sleep(self.cluster.config().backoff.wait(retries)).await;
            retries = retries.saturating_add(1);
        }
        Outcome {
            written,
            result: Ok(()),
        }
    }

    /// Sends every waiting batch once, and says so when the answer takes long.
    async fn send_patiently(
        &self,
        (waiting, written): (&mut Vec<Ready>, &mut Vec<Written>),
        told: &mut Told,
    ) -> Result<(), ClientError> {
        // Dropped only with its answer in hand.
        let mut sending = pin!(self.send_once(waiting, written));
        if let Ok(answer) = tokio::time::timeout(SILENCE, &mut sending).await {
            return answer;
        }
        told.of_silence(self.patience);
        sending.await
    }

    /// Sends every waiting batch once. Those that were written move over; if others stay, that is an error.
    async fn send_once(
        &self,
        waiting: &mut Vec<Ready>,
        written: &mut Vec<Written>,
    ) -> Result<(), ClientError> {
        let partitions: Vec<TopicPartition> = waiting.iter().map(|batch| batch.partition.clone()).collect();
        let mut first_error = None;
        for (leader, members) in self.cluster.group_by_leader(&partitions).await? {
            let connection = self.cluster.broker(leader).await?;
            let batches = waiting
                .iter()
                .filter(|batch| members.contains(&batch.partition))
                .map(|batch| ProduceBatch {
                    partition: batch.partition.clone(),
                    records: batch.bytes.clone(),
                });
            for answer in connection.produce(batches.collect(), self.options).await? {
                let Some(index) = waiting
                    .iter()
                    .position(|batch| batch.partition == answer.partition)
                else {
                    continue;
                };
                match acknowledged(answer.result) {
                    Ok(ack) => written.push(Written {
                        batch: waiting.swap_remove(index),
                        ack,
                    }),
                    Err(error) => first_error = first_error.or(Some(error)),
                }
            }
        }
        match (first_error, waiting.first()) {
            (Some(error), _) => Err(error.into()),
            (None, None) => Ok(()),
            (None, Some(unanswered)) => Err(ClientError::Missing {
                address: "the leader".to_owned(),
                api: "Produce",
                resource: Resource::Partition(
                    unanswered.partition.topic.clone(),
                    unanswered.partition.partition,
                ),
            }),
        }
    }
}

/// Whether the person was told that it takes long: once a round.
struct Told {
    due: Instant,
    done: bool,
}

impl Told {
    fn at(due: Instant) -> Self {
        Self { due, done: false }
    }

    /// The broker answers, and takes nothing just now.
    fn of_refusal(&mut self, error: &ClientError, patience: Duration) {
        if Instant::now() >= self.due {
            self.once(&format!("{error}; trying again for {} s", patience.as_secs()));
        }
    }

    /// The broker does not answer: it waits for room, or is busy.
    fn of_silence(&mut self, patience: Duration) {
        self.once(&format!(
            "the broker has not answered for {} s; it may hold records back until it has room (see its /readyz). \
             Waiting for {} s",
            SILENCE.as_secs(),
            patience.as_secs()
        ));
    }

    fn once(&mut self, text: &str) {
        if !std::mem::replace(&mut self.done, true) {
            note(text);
        }
    }
}

/// A duplicate was written by an earlier try whose answer was lost.
fn acknowledged(result: Result<ProduceAck, BrokerError>) -> Result<ProduceAck, BrokerError> {
    match result {
        Err(error) if error.code == ErrorCode::DuplicateSequenceNumber => Ok(ProduceAck {
            base_offset: Offset::UNKNOWN,
            log_append_time: TimestampMs::NONE,
            log_start_offset: Offset::UNKNOWN,
        }),
        other => other,
    }
}

fn gives_no_id(error: &ClientError) -> bool {
    matches!(error, ClientError::Unsupported { .. })
        || matches!(
            error.code(),
            Some(
                ErrorCode::ClusterAuthorizationFailed
                    | ErrorCode::UnsupportedVersion
                    | ErrorCode::InvalidRequest
            )
        )
}

fn failure(error: ClientError, waiting: &[Ready]) -> CliError {
    let lost = matches!(error, ClientError::Closed { .. } | ClientError::Timeout { .. });
    if !lost {
        return error.into();
    }
    let records: usize = waiting.iter().map(|batch| batch.record_count).sum();
    CliError::Failed(format!(
        "{error}; whether the last {records} records were written is unknown: compare with the end of the topic \
         before you send them again"
    ))
}
