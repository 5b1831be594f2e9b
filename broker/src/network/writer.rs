//! The writing half of a connection: replies out, in the order of their requests.
//!
//! Takes replies from a queue that is bounded by the slots in flight, waits for the oldest one, gathers what
//! is ready behind it into the same vectored write, and gives slots and memory back as bytes reach the
//! kernel. Only the oldest `Later` is polled, see [`crate::api::reply`].

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use thalweg_types::ErrorCode;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, timeout};

use super::connection_shared::ConnectionShared;
use super::metrics::{AnswerTimes, CloseReason, RequestResult};
use super::write_queue::{SLICES_MAX, WriteQueue};
use crate::api::table::Row;
use crate::api::{ApiError, Response};
use crate::budget::MemoryPermit;

/// Bytes gathered into one batch of writes before more replies are taken from the queue.
const BATCH_SIZE: u64 = 256 * 1024;

/// How often a blocked write looks at the clock.
const STALL_TICK: Duration = Duration::from_secs(1);

/// How long a client may leave replies unread while others wait for memory.
const STALL_MAX_WHEN_SHORT: Duration = Duration::from_secs(10);

/// A reply on its way to the writer.
pub(super) struct Outgoing {
    pub(super) reply: OutgoingReply,
    pub(super) request: InFlight,
}

/// A reply that is there, or will be.
pub(super) enum OutgoingReply {
    Ready(Charged),
    Later(BoxFuture<'static, Result<Response, ApiError>>),
}

/// A response whose memory is accounted for.
pub(super) struct Charged {
    response: Response,
    memory: MemoryPermit,
}

/// What is known of a request until its reply has left. Its slot bounds the requests in flight; one that is
/// dropped without an end counts as closed.
pub(super) struct InFlight {
    pub(super) row: &'static Row,
    received_at: Instant,
    /// When stage 1 ended.
    handled_at: Option<Instant>,
    /// When stage 2 gave the response, if there was a stage 2.
    resolved_at: Option<Instant>,
    shared: Arc<ConnectionShared>,
    ended: Ended,
    _slot: OwnedSemaphorePermit,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    NotYet,
    Counted,
}

impl Charged {
    /// Accounts for a response: its own permit if it has one, the rest charged now.
    pub(super) fn new(mut response: Response, shared: &ConnectionShared) -> Self {
        let size = response.frame.len as u64;
        let budget = &shared.serve.budget;
        let memory = match response.memory.take() {
            None => budget.charge_response(size),
            Some(mut memory) => {
                memory.shrink_to(size);
                let missing = size.saturating_sub(memory.bytes());
                if missing > 0 {
                    memory.merge(budget.charge_response(missing));
                }
                memory
            }
        };
        shared.unsent.add(size);
        Self { response, memory }
    }
}

/// What happens when the last byte of a response is written.
struct Sent {
    request: InFlight,
    size: u64,
    throttle: Duration,
    result: RequestResult,
    _memory: MemoryPermit,
}

/// Writes replies until the queue ends, which is a clean end, or until one cannot be written.
///
/// Returns the reason to close, or `None` when the reading half ended the queue and everything is written.
pub(super) async fn run<W: AsyncWrite + Unpin>(
    mut socket: W,
    mut replies: mpsc::Receiver<Box<Outgoing>>,
    shared: Arc<ConnectionShared>,
) -> Option<CloseReason> {
    let mut queue = WriteQueue::new();
    let mut next = None;
    loop {
        let head = match next.take() {
            Some(head) => head,
            None => match replies.recv().await {
                Some(head) => head,
                None => break,
            },
        };
        if let Err(reason) = push_resolved(*head, &mut queue, &shared).await {
            return Some(reason);
        }
        while queue.pending_bytes() < BATCH_SIZE {
            let Ok(outgoing) = replies.try_recv() else { break };
            match try_resolve(*outgoing, &shared) {
                Resolved::Now(charged, request) => push(charged, request, &mut queue),
                Resolved::NotYet(outgoing) => {
                    next = Some(Box::new(outgoing));
                    break;
                }
                Resolved::Failed(reason) => {
                    // Those before it are complete: they leave before the connection closes.
                    let written = write_all(&mut socket, &mut queue, &shared).await;
                    return Some(written.err().unwrap_or(reason));
                }
            }
        }
        if let Err(reason) = write_all(&mut socket, &mut queue, &shared).await {
            return Some(reason);
        }
    }
    // FIN tells the client that nothing more comes; what it has not read yet stays readable for it.
    let _ = socket.shutdown().await;
    None
}

/// What a look at a reply showed.
enum Resolved {
    Now(Charged, InFlight),
    NotYet(Outgoing),
    Failed(CloseReason),
}

/// Waits for the oldest reply.
async fn push_resolved(
    outgoing: Outgoing,
    queue: &mut WriteQueue<Sent>,
    shared: &ConnectionShared,
) -> Result<(), CloseReason> {
    let (charged, request) = match outgoing.reply {
        OutgoingReply::Ready(charged) => (charged, outgoing.request),
        OutgoingReply::Later(future) => {
            let outcome = AssertUnwindSafe(future).catch_unwind().await;
            judge(outcome, outgoing.request, shared)?
        }
    };
    push(charged, request, queue);
    Ok(())
}

/// Takes a reply if it is there without waiting. A future that is not ready loses nothing by the look.
fn try_resolve(outgoing: Outgoing, shared: &ConnectionShared) -> Resolved {
    let Outgoing { reply, request } = outgoing;
    let mut future = match reply {
        OutgoingReply::Ready(charged) => return Resolved::Now(charged, request),
        OutgoingReply::Later(future) => future,
    };
    match AssertUnwindSafe(&mut future).catch_unwind().now_or_never() {
        None => Resolved::NotYet(Outgoing {
            reply: OutgoingReply::Later(future),
            request,
        }),
        Some(outcome) => match judge(outcome, request, shared) {
            Ok((charged, request)) => Resolved::Now(charged, request),
            Err(reason) => Resolved::Failed(reason),
        },
    }
}

/// Turns the outcome of stage 2 into a response, or logs why there is none.
fn judge(
    outcome: std::thread::Result<Result<Response, ApiError>>,
    mut request: InFlight,
    shared: &ConnectionShared,
) -> Result<(Charged, InFlight), CloseReason> {
    request.resolved_at = Some(Instant::now());
    match outcome {
        Ok(Ok(response)) => Ok((Charged::new(response, shared), request)),
        Ok(Err(ApiError::Answer(response))) => Ok((Charged::new(*response, shared), request)),
        Ok(Err(error)) => {
            shared.log_failure(request.row, &error);
            request.finish(RequestResult::Closed, 0);
            Err(CloseReason::Failed)
        }
        Err(panic) => {
            shared.log_panic(request.row, &*panic);
            request.finish(RequestResult::Panicked, 0);
            Err(CloseReason::Failed)
        }
    }
}

fn push(charged: Charged, request: InFlight, queue: &mut WriteQueue<Sent>) {
    let Charged { response, memory } = charged;
    let result = if response.error == ErrorCode::None {
        RequestResult::Ok
    } else {
        RequestResult::Error
    };
    let size = response.frame.len as u64;
    queue.push(
        response.frame,
        Sent {
            request,
            size,
            throttle: response.throttle,
            result,
            _memory: memory,
        },
    );
}

/// Writes the queue empty, through partial writes, watching for a reader that does not read.
async fn write_all<W: AsyncWrite + Unpin>(
    socket: &mut W,
    queue: &mut WriteQueue<Sent>,
    shared: &ConnectionShared,
) -> Result<(), CloseReason> {
    let mut progress_at = Instant::now();
    while queue.pending_bytes() > 0 {
        let written = timeout(STALL_TICK, write_some(socket, queue)).await;
        match written {
            Ok(Ok(0)) => return Err(CloseReason::Peer),
            Ok(Ok(count)) => {
                queue.advance(count);
                progress_at = Instant::now();
                complete_sent(queue, shared);
            }
            Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(Err(error)) => {
                tracing::debug!(connection = %shared.info, %error, "replies cannot be written");
                return Err(CloseReason::Peer);
            }
            Err(_elapsed) => {
                let stalled = progress_at.elapsed();
                let short = shared.serve.budget.is_short();
                if stalled >= shared.serve.settings.idle_max || (short && stalled >= STALL_MAX_WHEN_SHORT) {
                    tracing::info!(
                        connection = %shared.info,
                        unread_bytes = queue.pending_bytes(),
                        stalled_seconds = stalled.as_secs(),
                        "closed: the client does not read its replies"
                    );
                    return Err(CloseReason::SlowReader);
                }
            }
        }
    }
    complete_sent(queue, shared);
    Ok(())
}

/// Makes one vectored write. Cancel safe: bytes are taken by the socket only when the future is ready.
async fn write_some<W: AsyncWrite + Unpin, T>(socket: &mut W, queue: &WriteQueue<T>) -> io::Result<usize> {
    // The slices are made inside of the poll, so that an idle connection does not keep an array of them.
    poll_fn(|task| {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let used = queue.fill(&mut slices);
        Pin::new(&mut *socket).poll_write_vectored(task, slices.get(..used).unwrap_or_default())
    })
    .await
}

/// Gives slots and memory of written replies back, mutes the connection if one of them says so.
fn complete_sent(queue: &mut WriteQueue<Sent>, shared: &ConnectionShared) {
    while let Some(sent) = queue.pop_finished() {
        shared.mute_for(sent.throttle);
        shared.unsent.subtract(sent.size);
        shared.note_reply_sent();
        sent.request.finish(sent.result, sent.size);
    }
}

impl InFlight {
    pub(super) fn new(
        row: &'static Row,
        received_at: Instant,
        shared: Arc<ConnectionShared>,
        slot: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            row,
            received_at,
            handled_at: None,
            resolved_at: None,
            shared,
            ended: Ended::NotYet,
            _slot: slot,
        }
    }

    /// Takes note of the end of stage 1.
    pub(super) fn handled(&mut self, at: Instant) {
        self.handled_at = Some(at);
    }

    /// Counts the request and gives its slot back.
    pub(super) fn finish(mut self, result: RequestResult, response_bytes: u64) {
        self.count(result, response_bytes);
    }

    fn count(&mut self, result: RequestResult, response_bytes: u64) {
        self.ended = Ended::Counted;
        let Some(metrics) = self.shared.serve.metrics.api(self.row) else {
            return;
        };
        let now = Instant::now();
        metrics.finished(result, response_bytes, now - self.received_at);
        if let (Some(handled_at), RequestResult::Ok | RequestResult::Error) = (self.handled_at, result) {
            let resolved_at = self.resolved_at.unwrap_or(handled_at);
            metrics.answered(AnswerTimes {
                wait: resolved_at - handled_at,
                send: now - resolved_at,
            });
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.ended == Ended::NotYet {
            self.count(RequestResult::Closed, 0);
        }
    }
}
