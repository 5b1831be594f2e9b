//! Why a request was refused, and why a stored record could not be loaded.

use thalweg_types::Offset;

/// Why the coordinator refused a request.
///
/// One variant for each of Kafka's error codes of the same name, except the two that say otherwise; the broker's error
/// table turns them into codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TransactionError {
    /// The shard still replays its log.
    #[error("the transactional ids of this partition are still being loaded; retry")]
    CoordinatorLoadInProgress,
    /// The shard was unloaded.
    #[error("this broker no longer coordinates the transactional id; look the coordinator up again")]
    NotCoordinator,
    /// The coordinator's log does not take records at the moment.
    #[error("the coordinator cannot serve the transactional id at the moment; retry")]
    CoordinatorNotAvailable,
    /// The transactional id is empty or longer than a record can hold.
    #[error("the transactional id is empty or longer than 32767 bytes")]
    InvalidRequest,
    /// Below 1 or above `transaction.max.timeout.ms`.
    #[error("the transaction timeout is below 1 ms or above transaction.max.timeout.ms")]
    InvalidTransactionTimeout,
    /// The id, or this producer id under it, is not known.
    #[error("the producer id does not belong to the transactional id")]
    InvalidProducerIdMapping,
    /// A newer producer uses the transactional id.
    #[error("the producer's epoch is not the newest one: another producer uses the transactional id")]
    ProducerFenced,
    /// The last transaction is not ended yet.
    #[error("the last transaction is still being ended; retry")]
    ConcurrentTransactions,
    /// The transaction is not in a state that allows this.
    #[error("the transaction is not in a state that allows this")]
    InvalidTxnState,
    /// The partition is not part of the transaction (KIP-890).
    #[error("the partition is not part of the transaction; abort it")]
    TransactionAbortable,
    /// There is no such transactional id.
    #[error("there is no such transactional id")]
    TransactionalIdNotFound,
    /// The shard holds as many ids as its limit allows. Kafka has no such limit; POLICY_VIOLATION fits.
    #[error("the broker holds as many transactional ids as transactional.ids.per.partition.max allows")]
    TransactionalIdsMaxReached,
    /// The record would be longer than the log takes. Kafka answers UNKNOWN_SERVER_ERROR; POLICY_VIOLATION fits.
    #[error(
        "the transaction has more partitions than a record of __transaction_state holds; commit it earlier"
    )]
    TransactionTooLarge,
}

/// Why a record of `__transaction_state` could not be loaded. The shard is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransactionReplayError {
    /// The record is cut or is not what its version says.
    #[error(
        "__transaction_state offset {offset}: the {part} is malformed: {cause}; dump the segment to see it"
    )]
    Malformed {
        /// Where the record is in the log.
        offset: Offset,
        /// `key` or `value`.
        part: &'static str,
        /// What is wrong with it.
        cause: crate::record::DecodeError,
    },
    /// The record says a state that nobody writes.
    #[error("__transaction_state offset {offset}: there is no state {number}; dump the segment to see it")]
    UnknownState {
        /// Where the record is in the log.
        offset: Offset,
        /// The number.
        number: i8,
    },
}
