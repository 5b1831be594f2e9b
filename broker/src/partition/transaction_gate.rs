//! Whether a transactional batch may begin a transaction in a partition: asked of the transaction coordinator before
//! the append (KIP-890), so that no partition holds a transaction which its coordinator does not know of.
//!
//! A partition whose transaction is open asks nobody. Owns the question, the order of its parts and the codes that
//! clients of each version expect; the coordinator is behind [`TransactionGate`].

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use thalweg_storage::log::{PartitionLog, TransactionStart, TransactionVersion, VerificationGuard};
use thalweg_types::{ErrorCode, PartitionIndex, ProducerEpoch, ProducerId, TimestampMs};
use thalweg_wire::batch::BatchHeader;

/// First version of Produce that adds partitions by itself.
const IMPLICIT_FROM: i16 = 12;
/// First version of Produce whose clients know TRANSACTION_ABORTABLE.
const ABORTABLE_FROM: i16 = 11;

/// What the coordinator is to do about the partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Tell whether they belong to the open transaction, and change nothing.
    Verify,
    /// Add them to the open transaction, or begin one; done when that is durable.
    Add,
}

/// A question to the coordinator.
#[derive(Clone, Debug)]
pub struct AdmissionRequest {
    /// The producer's transactional id.
    pub transactional_id: String,
    /// The producer.
    pub producer_id: ProducerId,
    /// Its epoch.
    pub producer_epoch: ProducerEpoch,
    /// Topic and partition of each batch; none occurs twice.
    pub partitions: Vec<(Arc<str>, PartitionIndex)>,
    /// What to do.
    pub admission: Admission,
}

/// One answer for each partition, in their order: the code is the coordinator's own, as AddPartitionsToTxn gives it
/// ([`ErrorCode::TransactionAbortable`] for a partition that is not in the transaction).
pub type Admitted = Pin<Box<dyn Future<Output = Vec<Result<(), ErrorCode>>> + Send>>;

/// The transaction coordinator as Produce sees it.
pub trait TransactionGate: Send + Sync {
    /// Asks for partitions. The answer comes within the time that loading or one append takes.
    fn admit(&self, request: AdmissionRequest) -> Admitted;
}

/// A broker without transactions: nobody may begin one.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTransactions;

impl TransactionGate for NoTransactions {
    fn admit(&self, request: AdmissionRequest) -> Admitted {
        let refused = vec![Err(ErrorCode::TransactionalIdAuthorizationFailed); request.partitions.len()];
        Box::pin(std::future::ready(refused))
    }
}

/// A transactional batch of a Produce request.
#[derive(Debug)]
pub struct TransactionalBatch {
    /// The log it goes to.
    pub log: Arc<PartitionLog>,
    /// Its header, unchecked.
    pub header: BatchHeader,
}

/// Asks the coordinator for all batches whose transaction is not open in their partition, and returns for each what
/// its append takes, or the code that a client of this version of Produce expects.
pub async fn admit(
    gate: &dyn TransactionGate,
    transactional_id: &str,
    api_version: i16,
    batches: &[TransactionalBatch],
    now: TimestampMs,
) -> Vec<Result<Option<VerificationGuard>, ErrorCode>> {
    let Some(first) = batches.first().map(|batch| batch.header) else {
        return Vec::new();
    };
    // One request is of one producer.
    if batches
        .iter()
        .any(|batch| batch.header.producer_id != first.producer_id)
    {
        return batches
            .iter()
            .map(|_| Err(ErrorCode::InvalidProducerIdMapping))
            .collect();
    }
    let (version, admission) = if api_version >= IMPLICIT_FROM {
        (TransactionVersion::V2, Admission::Add)
    } else {
        (TransactionVersion::V1, Admission::Verify)
    };
    let guards: Vec<Option<VerificationGuard>> = batches
        .iter()
        .map(|batch| {
            let start = TransactionStart {
                producer_id: batch.header.producer_id,
                epoch: batch.header.producer_epoch,
                base_sequence: batch.header.base_sequence,
                version,
            };
            batch.log.begin_verification(start, now)
        })
        .collect();
    let mut partitions: Vec<(Arc<str>, PartitionIndex)> = Vec::new();
    let places: Vec<Option<usize>> = batches
        .iter()
        .zip(&guards)
        .map(|(batch, guard)| {
            (*guard)?;
            let partition = (batch.log.topic().clone(), batch.log.id().partition);
            let known = partitions.iter().position(|other| *other == partition);
            Some(known.unwrap_or_else(|| {
                partitions.push(partition);
                partitions.len() - 1
            }))
        })
        .collect();
    let answers = if partitions.is_empty() {
        Vec::new()
    } else {
        let request = AdmissionRequest {
            transactional_id: transactional_id.to_owned(),
            producer_id: first.producer_id,
            producer_epoch: first.producer_epoch,
            partitions,
            admission,
        };
        gate.admit(request).await
    };
    guards
        .into_iter()
        .zip(places)
        .map(|(guard, place)| match place.map(|index| answers.get(index)) {
            None | Some(Some(Ok(()))) => Ok(guard),
            Some(Some(Err(code))) => Err(client_code(*code, api_version)),
            Some(None) => Err(ErrorCode::UnknownServerError),
        })
        .collect()
}

/// Returns the code that a producer of this version knows what to do with. What passes by itself becomes
/// NOT_ENOUGH_REPLICAS, on which every producer sends the batch again and looks for no other leader.
fn client_code(code: ErrorCode, api_version: i16) -> ErrorCode {
    match code {
        ErrorCode::CoordinatorLoadInProgress
        | ErrorCode::CoordinatorNotAvailable
        | ErrorCode::NotCoordinator
        | ErrorCode::NetworkException => ErrorCode::NotEnoughReplicas,
        ErrorCode::ConcurrentTransactions if api_version < IMPLICIT_FROM => ErrorCode::NotEnoughReplicas,
        ErrorCode::TransactionAbortable if api_version < ABORTABLE_FROM => ErrorCode::InvalidTxnState,
        ErrorCode::ProducerFenced => ErrorCode::InvalidProducerEpoch,
        other => other,
    }
}
