//! A request on its way through a shard: what may be asked, and the wait for the answer.

use std::marker::PhantomData;
use std::sync::Arc;

use thalweg_coordinator::group::{
    DeleteGroup, DeleteGroupReply, DescribeGroup, DescribeGroupReply, GroupError, GroupReply, GroupRequest,
    Heartbeat, HeartbeatReply, JoinGroup, JoinGroupReply, LeaveGroup, LeaveGroupReply, ListGroups,
    ListGroupsReply, OffsetCommit, OffsetCommitReply, OffsetDelete, OffsetDeleteReply, OffsetFetch,
    OffsetFetchReply, ReplyToken, SyncGroup, SyncGroupReply, TxnOffsetCommit,
};
use thalweg_storage::commit::{CommitError, Ticket};
use tokio::sync::oneshot;

use super::shard::ShardRunner;

/// A reply, and what must be durable before it leaves; or why there is none.
pub(super) type Delivered = Result<(GroupReply, Option<Ticket>), GroupError>;

/// A request that a shard understands, with the type of its reply.
pub trait Ask: Send + Unpin + 'static {
    /// The reply.
    type Reply: Send;
    /// The group it is about, which decides the shard; empty for a list.
    fn group_id(&self) -> &str;
    /// Wraps it for the shard.
    fn into_request(self) -> GroupRequest;
    /// Unwraps the shard's reply; `None` if it is one to another request.
    fn from_reply(reply: GroupReply) -> Option<Self::Reply>;
}

macro_rules! ask {
    ($($request:ident => $variant:ident($reply:ident), $id:expr;)*) => {
        $(ask!(@one $request, $variant => $variant($reply), $id);)*
    };
    (@one $request:ident, $wrap:ident => $variant:ident($reply:ident), $id:expr) => {
        impl Ask for $request {
            type Reply = $reply;

            fn group_id(&self) -> &str {
                let id: fn(&Self) -> &str = $id;
                id(self)
            }

            fn into_request(self) -> GroupRequest {
                GroupRequest::$wrap(self)
            }

            fn from_reply(reply: GroupReply) -> Option<$reply> {
                match reply {
                    GroupReply::$variant(reply) => Some(reply),
                    _ => None,
                }
            }
        }
    };
}

ask! {
    JoinGroup => Join(JoinGroupReply), |request| &request.group_id;
    SyncGroup => Sync(SyncGroupReply), |request| &request.group_id;
    Heartbeat => Heartbeat(HeartbeatReply), |request| &request.group_id;
    LeaveGroup => Leave(LeaveGroupReply), |request| &request.group_id;
    OffsetCommit => OffsetCommit(OffsetCommitReply), |request| &request.group_id;
    OffsetFetch => OffsetFetch(OffsetFetchReply), |request| &request.group_id;
    OffsetDelete => OffsetDelete(OffsetDeleteReply), |request| &request.group_id;
    DescribeGroup => Describe(DescribeGroupReply), |request| &request.group_id;
    ListGroups => List(ListGroupsReply), |_| "";
    DeleteGroup => Delete(DeleteGroupReply), |request| &request.group_id;
}

ask!(@one TxnOffsetCommit, TxnOffsetCommit => OffsetCommit(OffsetCommitReply), |request| &request.commit.group_id);

/// A request whose effects have happened and whose answer is still to come. Dropped before that, the request is
/// taken back: a member that waited counts as gone.
#[must_use]
#[derive(Debug)]
pub struct Asked<R: Ask> {
    shard: Arc<ShardRunner>,
    token: ReplyToken,
    answer: oneshot::Receiver<Delivered>,
    is_answered: bool,
    request: PhantomData<fn() -> R>,
}

impl<R: Ask> Asked<R> {
    pub(super) fn new(
        shard: Arc<ShardRunner>,
        token: ReplyToken,
        answer: oneshot::Receiver<Delivered>,
    ) -> Self {
        Self {
            shard,
            token,
            answer,
            is_answered: false,
            request: PhantomData,
        }
    }

    /// Waits for the answer, and until everything it may tell of is durable. It moves by itself: nothing else needs
    /// this future to be polled.
    ///
    /// # Errors
    /// [`GroupError`] when the coordinator cannot answer: it stops, or its log does not take records, or not in time.
    pub async fn wait(mut self) -> Result<R::Reply, GroupError> {
        let delivered = (&mut self.answer).await;
        self.is_answered = true;
        // The sender is dropped only with its shard.
        let (reply, ticket) = delivered.unwrap_or(Err(GroupError::NotCoordinator))?;
        if let Some(ticket) = ticket {
            let durable = tokio::time::timeout(self.shard.commit_timeout(), ticket.durable());
            match durable.await {
                Ok(Ok(())) => {}
                Ok(Err(CommitError::Closed)) => return Err(GroupError::NotCoordinator),
                // Kafka says so too when the append times out.
                Ok(Err(CommitError::Log(_))) | Err(_) => return Err(GroupError::CoordinatorNotAvailable),
            }
        }
        let reply = R::from_reply(reply);
        debug_assert!(reply.is_some(), "a shard answers a request in its own kind");
        reply.ok_or(GroupError::CoordinatorNotAvailable)
    }
}

impl<R: Ask> Drop for Asked<R> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.shard.forget(self.token);
        }
    }
}
