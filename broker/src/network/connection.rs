//! One connection: the reading half, and what both halves share.
//!
//! The reading task takes frames one after the other, and for each awaits stage 1 of its handler before it
//! reads the next: effects happen in arrival order. The reply goes to the writing task ([`super::writer`]),
//! which sends replies in the same order. At most `connection.requests.in.flight.max` requests of a
//! connection wait for their replies; one more may be read ahead.
//!
//! Invariants: no byte is read without memory for it; no request is handled while the connection is muted,
//! while its unread replies exceed its share, or after the broker began to stop; a panic ends this connection
//! only.

use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::BufMut;
use futures::FutureExt;
use kafka_protocol::messages::ApiKey;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::connection_shared::{AuthState, ConnectionShared};
use super::frame_reader::{FrameReader, FrameRefused, RawFrame, Spare, Step};
use super::listener::ServeHandles;
use super::metrics::{CloseReason, RequestResult};
use super::writer::{self, Charged, InFlight, Outgoing, OutgoingReply};
use crate::api::table::Admission;
use crate::api::{ApiError, ConnectionInfo, Reply, Request, RequestHeader};
use crate::budget::MemoryPermit;

/// How long a frame may stand still in its middle.
const FRAME_STALL_MAX: Duration = Duration::from_secs(30);

/// How long it may stand still while others wait for memory.
const FRAME_STALL_MAX_WHEN_SHORT: Duration = Duration::from_secs(10);

/// How long the other end may take to read its last replies and close, before the socket is dropped.
const LINGER_MAX: Duration = Duration::from_millis(500);

/// Bytes that are thrown away while lingering, at most.
const LINGER_SIZE_MAX: usize = 1 << 20;

/// A connection may hold this part of the response memory before its next request has to wait.
const UNSENT_SHARE_DIVISOR: u64 = 8;

/// Serves one connection to its end and returns why it ended.
///
/// Ends within [`super::NetworkSettings::drain_max`] (and half a second) of a graceful stop; a fast stop
/// drops the future.
pub(super) async fn serve<R, W>(
    reader: R,
    writer: W,
    info: Arc<ConnectionInfo>,
    handles: Arc<ServeHandles>,
) -> CloseReason
where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let in_flight_max = handles.settings.in_flight_max.max(1);
    let shared = Arc::new(ConnectionShared::new(info, handles));
    let (replies, queue) = mpsc::channel(in_flight_max);
    let writing = AbortOnDrop(tokio::spawn(writer::run(writer, queue, Arc::clone(&shared))));
    let auth = AuthState::NotRequired;
    let mut reading = Reading {
        frames: FrameReader::new(auth.frame_limit(&shared.serve)),
        memory: None,
        slots: Arc::new(Semaphore::new(in_flight_max)),
        in_flight_max,
        read_at: Instant::now(),
        timer: Box::pin(sleep(FRAME_STALL_MAX.min(shared.serve.settings.idle_max))),
        last_client_id: None,
        socket: reader,
        shared: Arc::clone(&shared),
    };
    let reason = reading.run(&replies).await;
    // The writer ends when the queue is empty and nobody can add to it.
    drop(replies);
    finish(reading, writing, reason).await
}

/// Lets the writer send what is owed, says goodbye, and decides whose reason counts.
async fn finish<R: AsyncRead + Unpin>(
    mut reading: Reading<R>,
    mut writing: AbortOnDrop,
    reason: CloseReason,
) -> CloseReason {
    let drain_max = reading.shared.serve.settings.drain_max;
    match timeout(drain_max, &mut writing.0).await {
        Ok(Ok(None)) => {
            if reason != CloseReason::Peer {
                reading.linger().await;
            }
            reason
        }
        Ok(Ok(Some(writer_reason))) => writer_reason,
        Ok(Err(join_error)) => {
            tracing::error!(connection = %reading.shared.info, %join_error, "the writing task failed");
            CloseReason::Failed
        }
        // Dropping the handle aborts the writer: what it still holds was not worth more waiting.
        Err(_elapsed) => reason,
    }
}

/// A task that does not outlive its owner.
struct AbortOnDrop(JoinHandle<Option<CloseReason>>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The reading half.
struct Reading<R> {
    frames: FrameReader,
    /// Memory granted for the frame being received.
    memory: Option<MemoryPermit>,
    slots: Arc<Semaphore>,
    in_flight_max: usize,
    /// When bytes last arrived.
    read_at: Instant,
    /// Wakes the reading half to look for silence. Re-armed only when it fires: a busy connection costs no
    /// timer.
    timer: Pin<Box<Sleep>>,
    last_client_id: Option<Arc<str>>,
    socket: R,
    shared: Arc<ConnectionShared>,
}

impl<R: AsyncRead + Unpin> Reading<R> {
    async fn run(&mut self, replies: &mpsc::Sender<Box<Outgoing>>) -> CloseReason {
        let shutdown = self.shared.serve.shutdown.clone();
        // Made once: registering with both for every request would cost more than some requests do.
        let mut stopping = pin!(shutdown.requested());
        let mut writer_gone = pin!(replies.closed());
        loop {
            // Dropping `next_request` between requests loses nothing that was acted on: what it read was not
            // handled.
            let (request, in_flight) = tokio::select! {
                biased;
                () = &mut stopping => return CloseReason::Shutdown,
                () = &mut writer_gone => return CloseReason::Peer,
                next = self.next_request() => match next {
                    Ok(next) => next,
                    Err(reason) => return reason,
                },
            };
            if let Err(reason) = self.handle(request, in_flight, replies).await {
                return reason;
            }
        }
    }

    /// Reads a request and waits until it may be handled.
    async fn next_request(&mut self) -> Result<(Request, InFlight), CloseReason> {
        let RawFrame { bytes, admission } = self.next_frame().await?;
        let received_at = Instant::now();
        let memory = self
            .memory
            .take()
            .unwrap_or_else(|| self.shared.serve.budget.charge_response(0));
        let (Admission::Serve(row) | Admission::AnswerVersions(row)) = admission else {
            // The frame reader hands out no other; if it ever did, closing is right.
            return Err(CloseReason::Refused);
        };
        let size = bytes.len();
        let (header, body) = match RequestHeader::read(&bytes, self.last_client_id.as_ref()) {
            Ok(read) => read,
            Err(error) => {
                self.shared.log_refusal(row.name, &error);
                return Err(CloseReason::Refused);
            }
        };
        self.last_client_id.clone_from(&header.client_id);
        let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else {
            return Err(CloseReason::Peer);
        };
        let budget = &self.shared.serve.budget;
        self.shared
            .unsent
            .at_most(budget.response_max() / UNSENT_SHARE_DIVISOR)
            .await;
        budget.response_headroom().await;
        self.shared.unmuted().await;
        if let Some(metrics) = self.shared.serve.metrics.api(row) {
            metrics.received(size, received_at.elapsed());
        }
        let in_flight = InFlight::new(row, received_at, Arc::clone(&self.shared), slot);
        let connection = Arc::clone(&self.shared.info);
        let request = Request {
            header,
            body,
            connection,
            received_at: received_at.into_std(),
            memory,
        };
        Ok((request, in_flight))
    }

    /// Runs stage 1 and hands the reply over.
    async fn handle(
        &mut self,
        request: Request,
        mut in_flight: InFlight,
        replies: &mpsc::Sender<Box<Outgoing>>,
    ) -> Result<(), CloseReason> {
        let row = in_flight.row;
        let started = Instant::now();
        let dispatcher = &self.shared.serve.dispatcher;
        // The call itself is inside the future, so that a panic in it is caught as well.
        let outcome = AssertUnwindSafe(async { dispatcher(request).await })
            .catch_unwind()
            .await;
        let handled_at = Instant::now();
        in_flight.handled(handled_at);
        if let Some(metrics) = self.shared.serve.metrics.api(row) {
            metrics.handled(handled_at - started);
        }
        let reply = match outcome {
            Ok(Ok(Reply::Ready(response))) => self.ready(response),
            Ok(Ok(Reply::Later(future))) => OutgoingReply::Later(future),
            Ok(Err(ApiError::Answer(response))) => self.ready(*response),
            Ok(Ok(Reply::None { throttle })) => {
                self.shared.mute_for(throttle);
                in_flight.finish(RequestResult::Ok, 0);
                return Ok(());
            }
            Ok(Ok(Reply::Close(reason))) => {
                self.shared.log_refusal(row.name, &reason);
                in_flight.finish(RequestResult::Closed, 0);
                return Err(CloseReason::Failed);
            }
            Ok(Err(error)) => {
                self.shared.log_failure(row, &error);
                in_flight.finish(RequestResult::Closed, 0);
                return Err(CloseReason::Failed);
            }
            Err(panic) => {
                self.shared.log_panic(row, &*panic);
                in_flight.finish(RequestResult::Panicked, 0);
                return Err(CloseReason::Failed);
            }
        };
        // There is room: the queue has as many places as there are slots. An error means that the writer is
        // gone.
        let outgoing = Box::new(Outgoing {
            reply,
            request: in_flight,
        });
        replies.try_send(outgoing).map_err(|_| CloseReason::Peer)
    }

    fn ready(&self, response: crate::api::Response) -> OutgoingReply {
        // Already now, not when it has left: the next request must not slip through in between.
        self.shared.mute_for(response.throttle);
        OutgoingReply::Ready(Charged::new(response, &self.shared))
    }

    /// Reads one frame. Cancel safe: bytes and memory stay in `self`.
    async fn next_frame(&mut self) -> Result<RawFrame, CloseReason> {
        // While the last request was handled nobody read: that was not the client's silence.
        self.read_at = Instant::now();
        loop {
            match self.frames.step() {
                Ok(Step::Frame(frame)) => return Ok(frame),
                Ok(Step::Memory { bytes, rest }) => self.acquire(bytes, rest).await,
                Ok(Step::Bytes) => self.read_some().await?,
                Err(refused) => {
                    self.shared.log_refusal(refused_api(refused), &refused);
                    return Err(CloseReason::Refused);
                }
            }
        }
    }

    async fn acquire(&mut self, bytes: usize, rest: usize) {
        let permit = self
            .shared
            .serve
            .budget
            .acquire_request(bytes as u64, rest as u64)
            .await;
        self.frames
            .grant(usize::try_from(permit.bytes()).unwrap_or(usize::MAX));
        match &mut self.memory {
            Some(memory) => memory.merge(permit),
            None => self.memory = Some(permit),
        }
        // Waiting for memory is not the client's silence.
        self.read_at = Instant::now();
        let look = self.read_at + FRAME_STALL_MAX_WHEN_SHORT;
        if self.shared.serve.budget.is_short() && self.timer.deadline() > look {
            self.timer.as_mut().reset(look);
        }
    }

    /// Waits for bytes, the end of the stream, or too long a silence.
    async fn read_some(&mut self) -> Result<(), CloseReason> {
        loop {
            let silence = tokio::select! {
                biased;
                read = read_into(&mut self.socket, &mut self.frames) => match read {
                    Ok(0) => return Err(CloseReason::Peer),
                    Ok(_) => {
                        self.read_at = Instant::now();
                        return Ok(());
                    }
                    Err(error) => {
                        tracing::debug!(connection = %self.shared.info, %error, "broke");
                        return Err(CloseReason::Peer);
                    }
                },
                () = self.timer.as_mut() => self.judge_silence(Instant::now()),
            };
            match silence {
                Silence::Tolerated { until } => self.timer.as_mut().reset(until),
                Silence::TooLong(reason) => {
                    tracing::debug!(connection = %self.shared.info, reason = reason.label(), "closed");
                    return Err(reason);
                }
            }
        }
    }

    /// Decides whether the connection has been silent for too long, and when to look again.
    fn judge_silence(&self, now: Instant) -> Silence {
        let idle_max = self.shared.serve.settings.idle_max;
        let owes_nothing = self.slots.available_permits() == self.in_flight_max;
        let mut next_look = FRAME_STALL_MAX;
        let (since, limit, reason) = if !self.frames.is_at_boundary() {
            next_look = FRAME_STALL_MAX_WHEN_SHORT;
            let stall_max = if self.shared.serve.budget.is_short() {
                FRAME_STALL_MAX_WHEN_SHORT
            } else {
                FRAME_STALL_MAX
            };
            (self.read_at, stall_max.min(idle_max), CloseReason::Stalled)
        } else if owes_nothing {
            (
                self.read_at.max(self.shared.reply_sent_at()),
                idle_max,
                CloseReason::Idle,
            )
        } else {
            return Silence::Tolerated {
                until: now + idle_max.min(FRAME_STALL_MAX),
            };
        };
        if now.saturating_duration_since(since) >= limit {
            return Silence::TooLong(reason);
        }
        // Soon enough to notice a frame that begins and then stalls.
        Silence::Tolerated {
            until: (since + limit).min(now + next_look),
        }
    }

    /// Reads and throws away until the other end closes: closing a socket with unread bytes in it makes the
    /// kernel send a reset, which could destroy replies that the client has not read yet.
    async fn linger(&mut self) {
        let discard = async {
            let mut scratch = [0u8; 1024];
            let mut discarded = 0usize;
            while discarded < LINGER_SIZE_MAX {
                match self.socket.read(&mut scratch).await {
                    Ok(0) | Err(_) => return,
                    Ok(count) => discarded = discarded.saturating_add(count),
                }
            }
        };
        // Not closing in time is the client's choice; nothing of ours is lost.
        let _ = timeout(LINGER_MAX, discard).await;
    }
}

/// What silence means.
enum Silence {
    Tolerated { until: Instant },
    TooLong(CloseReason),
}

/// Reads what is there into the place the frame reader wants it. Cancel safe, as both reads are.
async fn read_into<R: AsyncRead + Unpin>(socket: &mut R, frames: &mut FrameReader) -> std::io::Result<usize> {
    let staged = match frames.spare() {
        Spare::Frame { bytes, room } => return socket.read_buf(&mut bytes.limit(room)).await,
        Spare::Staging(place) => socket.read(place).await?,
    };
    frames.staged(staged);
    Ok(staged)
}

/// Names the API of a refused frame for the log, if it has one.
fn refused_api(refused: FrameRefused) -> &'static str {
    match refused {
        FrameRefused::UnsupportedVersion { api, .. } => api,
        FrameRefused::UnknownKey { api_key, .. } => known_name(api_key),
        FrameRefused::Size { .. } | FrameRefused::TooLarge { .. } | FrameRefused::Foreign { .. } => "unknown",
    }
}

/// Names an API that Kafka has and this broker does not serve.
fn known_name(api_key: i16) -> &'static str {
    if ApiKey::try_from(api_key).is_ok() {
        "not served"
    } else {
        "unknown"
    }
}
