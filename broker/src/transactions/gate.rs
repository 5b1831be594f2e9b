//! The coordinator as Produce asks it: partitions are added to the transaction, or must be in it (KIP-890).

use std::sync::Arc;

use thalweg_coordinator::group::TopicName;
use thalweg_coordinator::transaction::{
    AddPartitions, ProducerIdAndEpoch, TransactionError, TransactionVersion, TransactionalId,
    VerifyPartitions,
};
use thalweg_types::{ErrorCode, PartitionIndex};

use super::Transactions;
use crate::partition::{Admission, AdmissionRequest, Admitted, TransactionGate};

/// Opens the partition logs to transactions that their coordinator knows of.
#[derive(Clone, Debug)]
pub struct CoordinatorGate {
    transactions: Arc<Transactions>,
    /// The one map from domain errors to codes belongs to the API's side.
    code_of: fn(TransactionError) -> ErrorCode,
}

impl CoordinatorGate {
    /// Asks these transactions.
    #[must_use]
    pub fn new(transactions: Arc<Transactions>, code_of: fn(TransactionError) -> ErrorCode) -> Self {
        Self {
            transactions,
            code_of,
        }
    }
}

impl TransactionGate for CoordinatorGate {
    fn admit(&self, request: AdmissionRequest) -> Admitted {
        let Self {
            transactions,
            code_of,
        } = self.clone();
        Box::pin(async move {
            let count = request.partitions.len();
            match transactions.admit(request).await {
                Ok(outcomes) => outcomes
                    .into_iter()
                    .map(|outcome| outcome.map_err(code_of))
                    .collect(),
                Err(error) => vec![Err(code_of(error)); count],
            }
        })
    }
}

impl Transactions {
    /// Answers for each partition. An addition is in the log, not durable: the batch that it is asked for comes after
    /// it in the same write-ahead log and is never durable without it.
    async fn admit(
        &self,
        request: AdmissionRequest,
    ) -> Result<Vec<Result<(), TransactionError>>, TransactionError> {
        let transactional_id = TransactionalId::from(request.transactional_id);
        let producer = ProducerIdAndEpoch {
            id: request.producer_id,
            epoch: request.producer_epoch,
        };
        let partitions: Vec<(TopicName, PartitionIndex)> = request
            .partitions
            .iter()
            .map(|(topic, partition)| (TopicName::from(&**topic), *partition))
            .collect();
        match request.admission {
            Admission::Add => {
                let count = partitions.len();
                let add = AddPartitions {
                    transactional_id,
                    producer,
                    partitions,
                    version: TransactionVersion::V2,
                };
                self.ask(add).await?.in_log()?;
                Ok(vec![Ok(()); count])
            }
            Admission::Verify => {
                let verify = VerifyPartitions {
                    transactional_id,
                    producer,
                    partitions,
                };
                let verified = self.ask(verify).await?.in_log()?;
                Ok(verified.into_iter().map(|partition| partition.outcome).collect())
            }
        }
    }
}
