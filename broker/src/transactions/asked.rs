//! A request that a shard has taken: what may be asked, and the wait until the answer may leave.

use std::marker::PhantomData;
use std::time::Duration;

use thalweg_coordinator::transaction::{
    AddPartitions, DescribeTransaction, DescribedTransaction, EndTransaction, InitProducerId,
    ListTransactions, ListedTransaction, ProducerIdAndEpoch, TransactionError, TransactionReply,
    TransactionRequest, VerifiedPartition, VerifyPartitions,
};
use thalweg_storage::commit::{CommitError, Ticket};

/// A reply, and what must be durable before it leaves.
#[derive(Debug)]
pub struct Answer {
    pub(super) reply: TransactionReply,
    pub(super) ticket: Option<Ticket>,
}

/// A request that a shard understands, with what it is answered.
pub trait Ask: Send + Unpin + 'static {
    /// What a good answer holds.
    type Reply: Send;
    /// The id it is about, which decides the shard; empty for a list.
    fn transactional_id(&self) -> &str;
    /// Wraps it for the shard.
    fn into_request(self) -> TransactionRequest;
    /// Unwraps the shard's reply; `None` if it is one to another request.
    fn from_reply(reply: TransactionReply) -> Option<Result<Self::Reply, TransactionError>>;
}

macro_rules! ask {
    ($($request:ident => $variant:ident($reply:ty), $id:expr;)*) => {
        $(impl Ask for $request {
            type Reply = $reply;

            fn transactional_id(&self) -> &str {
                let id: fn(&Self) -> &str = $id;
                id(self)
            }

            fn into_request(self) -> TransactionRequest {
                TransactionRequest::$variant(self)
            }

            fn from_reply(reply: TransactionReply) -> Option<Result<$reply, TransactionError>> {
                match reply {
                    TransactionReply::$variant(reply) => Some(reply),
                    _ => None,
                }
            }
        })*
    };
}

ask! {
    InitProducerId => Init(ProducerIdAndEpoch), |request| &request.transactional_id;
    AddPartitions => Add(()), |request| &request.transactional_id;
    VerifyPartitions => Verify(Vec<VerifiedPartition>), |request| &request.transactional_id;
    EndTransaction => End(ProducerIdAndEpoch), |request| &request.transactional_id;
    DescribeTransaction => Describe(DescribedTransaction), |request| &request.transactional_id;
    ListTransactions => List(Vec<ListedTransaction>), |_| "";
}

/// A request whose effects have happened. The answer may not leave before they are durable.
#[must_use]
#[derive(Debug)]
pub struct Asked<R: Ask> {
    answer: Answer,
    timeout: Duration,
    request: PhantomData<fn() -> R>,
}

impl<R: Ask> Asked<R> {
    pub(super) fn new(answer: Answer, timeout: Duration) -> Self {
        Self {
            answer,
            timeout,
            request: PhantomData,
        }
    }

    /// Waits until everything that the answer tells of is durable. It moves by itself.
    ///
    /// # Errors
    /// The coordinator's refusal, or [`TransactionError::NotCoordinator`] and
    /// [`TransactionError::CoordinatorNotAvailable`] when its log does not take records, or not in time.
    pub async fn wait(self) -> Result<R::Reply, TransactionError> {
        if let Some(ticket) = &self.answer.ticket {
            match tokio::time::timeout(self.timeout, ticket.durable()).await {
                Ok(Ok(())) => {}
                Ok(Err(CommitError::Closed)) => return Err(TransactionError::NotCoordinator),
                Ok(Err(CommitError::Log(_))) | Err(_) => {
                    return Err(TransactionError::CoordinatorNotAvailable);
                }
            }
        }
        self.in_log()
    }

    /// Returns the answer at once, for who will append to a log of this broker because of it and waits for that: what
    /// is appended later is never durable without this.
    ///
    /// # Errors
    /// The coordinator's refusal.
    pub fn in_log(self) -> Result<R::Reply, TransactionError> {
        let reply = R::from_reply(self.answer.reply);
        debug_assert!(reply.is_some(), "a shard answers a request in its own kind");
        reply.unwrap_or(Err(TransactionError::CoordinatorNotAvailable))
    }
}
