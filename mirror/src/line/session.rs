//! One connection between two agents and the streams on it.
//!
//! A task writes frames, one reads them, and each stream has two that carry bytes between the line and a socket. A
//! stream may have [`WINDOW_BYTES`] on their way that its receiver has not taken: a stalled one holds up no other, and
//! memory is bounded by [`STREAMS_MAX`] times that. The first breach of the rules ends the connection with all its
//! streams; whoever used them connects anew, and loses nothing because nobody counts what is on a line.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use thalweg_client::{Address, ByteStream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use super::frame::{Frame, HEADER_BYTES, Header, Kind, PAYLOAD_MAX, Packer, Unpacker};
use super::{LineCounts, Rate};

/// Bytes of one stream that may be on their way in one direction.
pub(super) const WINDOW_BYTES: usize = 8 << 20;
/// Streams of one connection.
pub(super) const STREAMS_MAX: usize = 64;
/// Frames that wait for the writer; all streams share them.
const QUEUE: usize = 16;
/// What is packed before it is written.
const WRITE_BYTES: usize = 512 << 10;
/// A line says something at least this often …
const PING: Duration = Duration::from_secs(5);
/// … and one that says nothing for so long is dead.
const SILENCE_MAX: Duration = Duration::from_secs(20);
/// What a socket beside the line may hold back.
const PIPE_BYTES: usize = 256 << 10;

/// Connects to brokers for the other end.
pub(super) type Opener = Arc<dyn Fn(Address) -> Opening + Send + Sync>;
/// A connection to a broker that is being made, or why not.
pub(super) type Opening = std::pin::Pin<Box<dyn Future<Output = Result<Box<dyn ByteStream>, String>> + Send>>;

/// A connection to the other agent. Clones share it.
#[derive(Clone)]
pub(super) struct Session {
    shared: Arc<Shared>,
}

struct Shared {
    frames: mpsc::Sender<Frame>,
    streams: Mutex<HashMap<u32, Stream>>,
    next: AtomicU32,
    is_over: AtomicBool,
    opener: Option<Opener>,
}

/// What is known of a stream.
struct Stream {
    /// Who waits for the other end to connect.
    waiting: Option<oneshot::Sender<Result<(), String>>>,
    /// Bytes for the socket beside the line. Bounded by `owed`.
    inbound: mpsc::UnboundedSender<Bytes>,
    /// Bytes that the other end may still send.
    owed: Arc<AtomicUsize>,
    /// Bytes that this end may still send.
    credit: Arc<Semaphore>,
}

/// The ends of a new stream that its two tasks hold.
struct Pump {
    id: u32,
    inbound: mpsc::UnboundedReceiver<Bytes>,
    owed: Arc<AtomicUsize>,
    credit: Arc<Semaphore>,
}

impl Session {
    /// Starts a connection; the future ends with it and says why.
    ///
    /// With `opener` the other end may ask for connections to brokers; without, only this one may.
    pub(super) fn start(
        stream: Box<dyn ByteStream>,
        (packer, unpacker): (Packer, Unpacker),
        opener: Option<Opener>,
        (rate, counts): (Arc<Rate>, Arc<LineCounts>),
    ) -> (Session, impl Future<Output = String> + Send) {
        let (frames, queue) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared {
            frames,
            streams: Mutex::default(),
            next: AtomicU32::new(1),
            is_over: AtomicBool::new(false),
            opener,
        });
        let session = Session {
            shared: Arc::clone(&shared),
        };
        let (reader, writer) = tokio::io::split(stream);
        let over = async move {
            let writing = tokio::spawn(write_frames(writer, queue, packer, rate, Arc::clone(&counts)));
            let abort = writing.abort_handle();
            let why = tokio::select! {
                why = read_frames(&shared, reader, unpacker, &counts) => why,
                written = writing => written.unwrap_or_else(|error| format!("a bug: {error}")),
            };
            abort.abort();
            shared.is_over.store(true, Ordering::SeqCst);
            // Their receivers end, and with them the sockets beside the line.
            shared.streams().clear();
            why
        };
        (session, over)
    }

    pub(super) fn is_over(&self) -> bool {
        self.shared.is_over.load(Ordering::SeqCst)
    }

    /// Streams now.
    pub(super) fn open_streams(&self) -> usize {
        self.shared.streams().len()
    }

    /// Has the other end connect to a broker.
    ///
    /// # Errors
    /// What the other end says, or that the line ended or took longer than `within`.
    pub(super) async fn open(
        &self,
        address: &Address,
        within: Instant,
    ) -> Result<Box<dyn ByteStream>, String> {
        let id = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let (waiting, answer) = oneshot::channel();
        let pump = self.shared.add(id, Some(waiting))?;
        let open = Frame {
            kind: Kind::Open,
            stream: id,
            payload: Bytes::from(address.to_string()),
        };
        let sent = self.shared.frames.send(open).await.map_err(|_| over());
        let opened = match sent {
            Ok(()) => match timeout_at(within, answer).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => Err(over()),
                Err(_) => Err("the other end of the line does not answer in time".to_owned()),
            },
            Err(error) => Err(error),
        };
        if let Err(error) = opened {
            self.shared.close(id).await;
            return Err(error);
        }
        let (near, far) = tokio::io::duplex(PIPE_BYTES);
        self.shared.carry(Box::new(far), pump);
        Ok(Box::new(near))
    }
}

fn over() -> String {
    "the line ended".to_owned()
}

impl Shared {
    fn streams(&self) -> MutexGuard<'_, HashMap<u32, Stream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, id: u32, waiting: Option<oneshot::Sender<Result<(), String>>>) -> Result<Pump, String> {
        let mut streams = self.streams();
        if self.is_over.load(Ordering::SeqCst) {
            return Err(over());
        }
        if streams.len() >= STREAMS_MAX || streams.contains_key(&id) {
            return Err(format!("the line carries {} connections already", streams.len()));
        }
        let (to_socket, inbound) = mpsc::unbounded_channel();
        let owed = Arc::new(AtomicUsize::new(WINDOW_BYTES));
        let credit = Arc::new(Semaphore::new(WINDOW_BYTES));
        streams.insert(
            id,
            Stream {
                waiting,
                inbound: to_socket,
                owed: Arc::clone(&owed),
                credit: Arc::clone(&credit),
            },
        );
        Ok(Pump {
            id,
            inbound,
            owed,
            credit,
        })
    }

    fn forget(&self, id: u32) -> Option<Stream> {
        self.streams().remove(&id)
    }

    /// Ends a stream on this side and says so to the other, once.
    async fn close(&self, id: u32) {
        if let Some(stream) = self.forget(id) {
            stream.credit.close();
            let _ = self.frames.send(control(Kind::Close, id, Bytes::new())).await;
        }
    }

    /// Carries bytes between a socket and the line until either ends.
    fn carry(self: &Arc<Self>, socket: Box<dyn ByteStream>, pump: Pump) {
        let Pump {
            id,
            inbound,
            owed,
            credit,
        } = pump;
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            let (reader, writer) = tokio::io::split(socket);
            tokio::select! {
                () = to_line(&shared, id, reader, &credit) => {}
                () = from_line(&shared, id, writer, inbound, &owed) => {}
            }
            shared.close(id).await;
        });
    }
}

fn control(kind: Kind, stream: u32, payload: Bytes) -> Frame {
    Frame {
        kind,
        stream,
        payload,
    }
}

async fn to_line(shared: &Shared, id: u32, mut socket: impl AsyncRead + Unpin, credit: &Semaphore) {
    loop {
        let mut piece = BytesMut::with_capacity(PAYLOAD_MAX);
        match (&mut socket).take(PAYLOAD_MAX as u64).read_buf(&mut piece).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let wanted = u32::try_from(piece.len()).unwrap_or(u32::MAX);
        match credit.acquire_many(wanted).await {
            Ok(permits) => permits.forget(),
            Err(_) => return,
        }
        let data = control(Kind::Data, id, piece.freeze());
        if shared.frames.send(data).await.is_err() {
            return;
        }
    }
}

async fn from_line(
    shared: &Shared,
    id: u32,
    mut socket: impl AsyncWrite + Unpin,
    mut inbound: mpsc::UnboundedReceiver<Bytes>,
    owed: &AtomicUsize,
) {
    let mut taken = 0;
    while let Some(piece) = inbound.recv().await {
        if socket.write_all(&piece).await.is_err() {
            return;
        }
        taken += piece.len();
        if taken >= WINDOW_BYTES / 4 {
            // Before the other end may use it.
            owed.fetch_add(taken, Ordering::SeqCst);
            let more = u32::try_from(taken).unwrap_or(u32::MAX);
            let credit = control(Kind::Credit, id, Bytes::copy_from_slice(&more.to_be_bytes()));
            if shared.frames.send(credit).await.is_err() {
                return;
            }
            taken = 0;
        }
    }
    let _ = socket.shutdown().await;
}

async fn write_frames(
    mut writer: impl AsyncWrite + Unpin,
    mut queue: mpsc::Receiver<Frame>,
    mut packer: Packer,
    rate: Arc<Rate>,
    counts: Arc<LineCounts>,
) -> String {
    let mut packed = BytesMut::with_capacity(WRITE_BYTES + PAYLOAD_MAX);
    let write_bytes = rate.piece_bytes().min(WRITE_BYTES);
    loop {
        let first = match timeout(PING, queue.recv()).await {
            Ok(Some(frame)) => frame,
            Ok(None) => return "nobody uses the line any more".to_owned(),
            Err(_) => control(Kind::Ping, 0, Bytes::new()),
        };
        let mut next = Some(first);
        while let Some(frame) = next {
            counts.sent_plain(frame.payload.len());
            if let Err(error) = packer.pack(&frame, &mut packed) {
                return format!("what is sent cannot be compressed: {error}");
            }
            next = match packed.len() < write_bytes {
                true => queue.try_recv().ok(),
                false => None,
            };
        }
        if let Some(at) = rate.take(packed.len()) {
            tokio::time::sleep_until(at).await;
        }
        if let Err(error) = write(&mut writer, &packed).await {
            return format!("it cannot be written to: {error}");
        }
        counts.sent(packed.len());
        packed.clear();
    }
}

async fn write(writer: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> std::io::Result<()> {
    writer.write_all(bytes).await?;
    writer.flush().await
}

async fn read_frames(
    shared: &Arc<Shared>,
    mut reader: impl AsyncRead + Unpin,
    mut unpacker: Unpacker,
    counts: &LineCounts,
) -> String {
    loop {
        let frame = match timeout(SILENCE_MAX, read_frame(&mut reader, &mut unpacker, counts)).await {
            Ok(Ok(frame)) => frame,
            Ok(Err(why)) => return why,
            Err(_) => return format!("it says nothing for {} s", SILENCE_MAX.as_secs()),
        };
        counts.received_plain(frame.payload.len());
        if let Err(why) = shared.take(frame) {
            return why;
        }
    }
}

/// Reads one frame. A line on which bytes trickle is as dead as a silent one: the caller bounds the time of a whole frame.
async fn read_frame(
    reader: &mut (impl AsyncRead + Unpin),
    unpacker: &mut Unpacker,
    counts: &LineCounts,
) -> Result<Frame, String> {
    let lost = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "the other end closed it".to_owned(),
        _ => format!("it cannot be read: {error}"),
    };
    let mut header = [0; HEADER_BYTES];
    reader.read_exact(&mut header).await.map_err(lost)?;
    let header = Header::read(&header).map_err(|error| error.to_string())?;
    let mut body = BytesMut::zeroed(header.body_bytes);
    reader.read_exact(&mut body).await.map_err(lost)?;
    counts.received(HEADER_BYTES + header.body_bytes);
    unpacker
        .unpack(header, body.freeze())
        .map_err(|error| error.to_string())
}

impl Shared {
    /// Acts on a frame.
    ///
    /// Never waits: a frame that waited would hold up all streams.
    fn take(self: &Arc<Self>, frame: Frame) -> Result<(), String> {
        match frame.kind {
            Kind::Ping => {}
            Kind::Open => self.open_for_other(frame.stream, &frame.payload)?,
            Kind::Opened => self.answer(frame.stream, Ok(())),
            Kind::Refused => {
                let why = String::from_utf8_lossy(&frame.payload).into_owned();
                self.answer(frame.stream, Err(why));
                self.forget(frame.stream);
            }
            Kind::Data => self.deliver(frame.stream, frame.payload)?,
            Kind::Credit => {
                let bytes: [u8; 4] = frame.payload[..]
                    .try_into()
                    .map_err(|_| "the other end gives credit that is no number".to_owned())?;
                let more = u32::from_be_bytes(bytes) as usize;
                let streams = self.streams();
                if let Some(stream) = streams.get(&frame.stream) {
                    if more > WINDOW_BYTES || stream.credit.available_permits() + more > 2 * WINDOW_BYTES {
                        return Err("the other end gives more credit than a window".to_owned());
                    }
                    stream.credit.add_permits(more);
                }
            }
            Kind::Close => {
                if let Some(stream) = self.forget(frame.stream) {
                    stream.credit.close();
                }
            }
        }
        Ok(())
    }

    fn answer(&self, id: u32, answer: Result<(), String>) {
        let waiting = self
            .streams()
            .get_mut(&id)
            .and_then(|stream| stream.waiting.take());
        if let Some(waiting) = waiting {
            let _ = waiting.send(answer);
        }
    }

    /// A stream that this end has closed may still get bytes for a moment.
    fn deliver(&self, id: u32, payload: Bytes) -> Result<(), String> {
        let streams = self.streams();
        let Some(stream) = streams.get(&id) else {
            return Ok(());
        };
        let taken = stream
            .owed
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |owed| {
                owed.checked_sub(payload.len())
            });
        if taken.is_err() {
            return Err("the other end sends more than it may".to_owned());
        }
        let _ = stream.inbound.send(payload);
        Ok(())
    }

    fn open_for_other(self: &Arc<Self>, id: u32, payload: &[u8]) -> Result<(), String> {
        let opener = self
            .opener
            .clone()
            .ok_or_else(|| "the other end asks for a connection, which only this end may".to_owned())?;
        let address = std::str::from_utf8(payload)
            .ok()
            .and_then(|text| text.parse::<Address>().ok());
        let pump = self.add(id, None);
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            let opened = match (address, pump) {
                (None, _) => Err("that is no address".to_owned()),
                (_, Err(full)) => Err(full),
                (Some(address), Ok(pump)) => opener(address).await.map(|socket| (socket, pump)),
            };
            match opened {
                Ok((socket, pump)) => {
                    let _ = shared.frames.send(control(Kind::Opened, id, Bytes::new())).await;
                    shared.carry(socket, pump);
                }
                Err(why) => {
                    shared.forget(id);
                    let _ = shared
                        .frames
                        .send(control(Kind::Refused, id, Bytes::from(why)))
                        .await;
                }
            }
        });
        Ok(())
    }
}

#[cfg(test)]
#[path = "session_test.rs"]
mod tests;
