//! The line between two rooms: an agent in each, and between them few connections that carry many.
//!
//! The agent beside a cluster (`thalweg-mirror agent FILE`) connects to its brokers; the service in the other room reaches
//! them through it as if it stood there (`source.via`). What goes over the line is compressed with a long window
//! ([`frame`]), multiplexed ([`session`]), held to a rate ([`rate`]) and, with certificates on both sides, encrypted
//! ([`tls`]). Either end may be the one that dials. Nothing is kept: a line that breaks breaks the connections on it, and
//! their users connect anew.

mod frame;
mod hello;
mod rate;
mod session;
mod tls;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thalweg_client::{Address, Backoff, ByteStream, Dial, Dialled};
use thalweg_telemetry::Shutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::config::{Config, LineConfig, Meeting};
pub use frame::{Compression, WINDOW_LOG_MAX};
use frame::{Packer, Unpacker};
pub use rate::{LineCounts, LineStatus, Rate};
use session::{Opener, Session};
pub use tls::{Tls, TlsError, TlsFiles};

/// How long a connection may take to stand: TCP, TLS and the first words.
const MEET: Duration = Duration::from_secs(10);
/// How long a broker may take to answer the agent's connect.
const BROKER: Duration = Duration::from_secs(3);
/// How long somebody waits for a line that does not stand. Less than the client's own patience, so that the reason is told.
const DIAL: Duration = Duration::from_secs(4);
/// Pauses between attempts to reach the other end.
const RETRY: Backoff = Backoff {
    first: Duration::from_millis(250),
    max: Duration::from_secs(10),
};
/// Connections of one line; more are closed at once.
const CONNECTIONS_MAX: usize = 16;

/// A line, at either end. Clones share it.
#[derive(Clone)]
pub struct Line {
    inner: Arc<Inner>,
}

struct Inner {
    config: LineConfig,
    tls: Option<Tls>,
    sessions: Mutex<Vec<Session>>,
    arrived: Notify,
    rate: Arc<Rate>,
    counts: Arc<LineCounts>,
    opener: Option<Opener>,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line")
            .field("name", &self.inner.config.name)
            .finish_non_exhaustive()
    }
}

/// Which end of a line this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Asks for connections to brokers.
    Service,
    /// Makes them.
    Agent,
}

impl Line {
    /// A line that does not stand yet; [`Line::begin`] makes it stand.
    ///
    /// # Errors
    /// [`TlsError`] if its certificates cannot be used.
    pub fn new(config: LineConfig, end: End) -> Result<Line, TlsError> {
        let tls = config.tls.as_ref().map(Tls::load).transpose()?;
        let opener = (end == End::Agent).then(|| opener(&config));
        Ok(Line {
            inner: Arc::new(Inner {
                rate: Arc::new(Rate::new(config.bytes_per_second)),
                counts: Arc::default(),
                sessions: Mutex::default(),
                arrived: Notify::new(),
                config,
                tls,
                opener,
            }),
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.config.name
    }

    /// What it carried.
    #[must_use]
    pub fn status(&self) -> LineStatus {
        self.inner.counts.look()
    }

    /// Begins to keep the line standing, until the process is asked to stop.
    ///
    /// # Errors
    /// When the address cannot be listened at.
    pub async fn begin(&self, shutdown: Shutdown) -> Result<(), String> {
        let line = self.clone();
        match self.inner.config.meeting.clone() {
            Meeting::Listen(address) => {
                let listener = TcpListener::bind(address).await.map_err(|error| {
                    format!(
                        "line.{}.listen: cannot listen on {address}: {error}; choose another address",
                        self.name()
                    )
                })?;
                tokio::spawn(async move { line.accept(listener, &shutdown).await });
            }
            Meeting::Dial(address) => {
                let mut tasks = JoinSet::new();
                for _ in 0..self.inner.config.connections {
                    tasks.spawn(line.clone().dial_again_and_again(address.clone()));
                }
                tokio::spawn(async move {
                    shutdown.requested().await;
                    drop(tasks);
                });
            }
        }
        Ok(())
    }

    async fn accept(&self, listener: TcpListener, shutdown: &Shutdown) {
        if let Ok(address) = listener.local_addr() {
            tracing::info!(line = self.name(), %address, "waits for the other end");
        }
        let mut tasks = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(_) = tasks.join_next() => continue,
                () = shutdown.requested() => return,
            };
            match accepted {
                Ok((_, from)) if tasks.len() >= CONNECTIONS_MAX => {
                    tracing::warn!(line = self.name(), %from, "refused: the line has {CONNECTIONS_MAX} connections");
                }
                Ok((stream, from)) => {
                    let line = self.clone();
                    tasks.spawn(async move { line.accepted(stream, from).await });
                }
                // Descriptors are used up, or the peer went: neither may make this loop spin.
                Err(_) => tokio::time::sleep(RETRY.first).await,
            }
        }
    }

    async fn accepted(&self, stream: TcpStream, from: SocketAddr) {
        let ready = timeout(MEET, async {
            stream.set_nodelay(true).map_err(|error| error.to_string())?;
            let stream: Box<dyn ByteStream> = match &self.inner.tls {
                Some(tls) => tls.accept(stream).await?,
                None => Box::new(stream),
            };
            self.greet(stream).await
        })
        .await
        .unwrap_or_else(|_| Err(format!("no greeting within {} s", MEET.as_secs())));
        match ready {
            Ok(stream) => self.carry(stream, &from.to_string()).await,
            Err(why) => tracing::warn!(line = self.name(), %from, "refused: {why}"),
        }
    }

    async fn dial_again_and_again(self, address: Address) {
        let mut attempts: u32 = 0;
        loop {
            let ready = timeout(MEET, self.reach(&address))
                .await
                .unwrap_or_else(|_| Err(format!("no greeting within {} s", MEET.as_secs())));
            match ready {
                Ok(stream) => {
                    attempts = 0;
                    self.carry(stream, &address.to_string()).await;
                }
                Err(why) => {
                    if attempts == 0 {
                        tracing::warn!(line = self.name(), %address, "not reached: {why}; trying again");
                    }
                    attempts = attempts.saturating_add(1);
                }
            }
            tokio::time::sleep(RETRY.wait(attempts)).await;
        }
    }

    async fn reach(&self, address: &Address) -> Result<Box<dyn ByteStream>, String> {
        let stream = TcpStream::connect((address.host.as_str(), address.port))
            .await
            .map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let stream: Box<dyn ByteStream> = match &self.inner.tls {
            Some(tls) => tls.connect(stream, &address.host).await?,
            None => Box::new(stream),
        };
        self.greet(stream).await
    }

    async fn greet(&self, mut stream: Box<dyn ByteStream>) -> Result<Box<dyn ByteStream>, String> {
        let end = match self.inner.opener {
            Some(_) => End::Agent,
            None => End::Service,
        };
        hello::exchange(&mut stream, self.name(), end).await?;
        Ok(stream)
    }

    /// Carries until the connection ends.
    async fn carry(&self, stream: Box<dyn ByteStream>, with: &str) {
        let codecs =
            Packer::new(self.inner.config.compression).and_then(|packer| Ok((packer, Unpacker::new()?)));
        let codecs = match codecs {
            Ok(codecs) => codecs,
            Err(error) => {
                tracing::error!(line = self.name(), "zstd cannot begin: {error}");
                return;
            }
        };
        let shared = (Arc::clone(&self.inner.rate), Arc::clone(&self.inner.counts));
        let (session, over) = Session::start(stream, codecs, self.inner.opener.clone(), shared);
        tracing::info!(line = self.name(), with, "connected");
        self.sessions().push(session);
        self.inner.counts.connected();
        self.inner.arrived.notify_waiters();
        // Undone even when the task is dropped.
        let _left = Left(&self.inner);
        let why = over.await;
        tracing::info!(line = self.name(), with, "disconnected: {why}");
    }

    fn sessions(&self) -> std::sync::MutexGuard<'_, Vec<Session>> {
        self.inner.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection with the fewest streams.
    fn session(&self) -> Option<Session> {
        let mut sessions = self.sessions();
        sessions.retain(|session| !session.is_over());
        sessions
            .iter()
            .min_by_key(|session| session.open_streams())
            .cloned()
    }

    async fn standing(&self, within: Instant) -> Option<Session> {
        loop {
            // Before the look, or one that arrives between the two is missed.
            let arrived = self.inner.arrived.notified();
            if let Some(session) = self.session() {
                return Some(session);
            }
            tokio::time::timeout_at(within, arrived).await.ok()?;
        }
    }
}

/// Begins all lines of a file at one end, and has its links use them.
///
/// # Errors
/// When certificates cannot be used, or an address cannot be listened at.
pub async fn start(config: &mut Config, end: End, shutdown: &Shutdown) -> Result<Vec<Line>, String> {
    let mut lines = Vec::new();
    for line in &config.lines {
        let line =
            Line::new(line.clone(), end).map_err(|error| format!("line.{}.tls: {error}", line.name))?;
        line.begin(shutdown.clone()).await?;
        lines.push(line);
    }
    for link in &mut config.links {
        for side in [&mut link.source, &mut link.target] {
            let line = lines.iter().find(|line| side.via.as_deref() == Some(line.name()));
            side.dialer = line.map(|line| Arc::new(line.clone()) as Arc<dyn Dial>);
        }
    }
    Ok(lines)
}

struct Left<'a>(&'a Inner);

impl Drop for Left<'_> {
    fn drop(&mut self) {
        self.0.counts.disconnected();
    }
}

impl Dial for Line {
    fn dial<'a>(&'a self, address: &'a Address) -> Dialled<'a> {
        Box::pin(async move {
            let within = Instant::now() + DIAL;
            let told = |why: String| std::io::Error::other(format!("line '{}': {why}", self.name()));
            let session = self
                .standing(within)
                .await
                .ok_or_else(|| told("the other end is not connected".to_owned()))?;
            session.open(address, within).await.map_err(told)
        })
    }
}

/// Connects to the brokers that the file allows.
fn opener(config: &LineConfig) -> Opener {
    let brokers = Arc::new(config.brokers.clone());
    let name = config.name.clone();
    Arc::new(move |address: Address| {
        let (brokers, name) = (Arc::clone(&brokers), name.clone());
        Box::pin(async move {
            let text = address.to_string();
            if !brokers.iter().any(|pattern| pattern.is_match(&text)) {
                tracing::warn!(line = name, %address, "a connection is asked for that line.{name}.brokers does not allow");
                return Err(format!(
                    "the agent's file does not allow {address}: line.{name}.brokers"
                ));
            }
            let dial = TcpStream::connect((address.host.as_str(), address.port));
            let stream = match timeout(BROKER, dial).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return Err(format!("{address} cannot be reached: {error}")),
                Err(_) => return Err(format!("{address} does not answer within {} s", BROKER.as_secs())),
            };
            stream.set_nodelay(true).map_err(|error| error.to_string())?;
            Ok(Box::new(stream) as Box<dyn ByteStream>)
        })
    })
}
