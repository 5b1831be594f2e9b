//! Listening sockets and the connections that come in on them.
//!
//! Owns binding, the accept loops, the limits on the number of connections, and every connection task until
//! it has ended. Binding is apart from serving, so that a taken port stops the start before anything else is
//! opened.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use thalweg_telemetry::Shutdown;
use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use super::connection;
use super::connection_count::{ConnectionCounts, CountedConnection, LimitReached};
use super::log_limit::LogLimit;
use super::metrics::{CloseReason, NetworkMetrics};
use super::settings::{ConnectionLimits, ListenerSettings, NetworkSettings};
use crate::api::{ConnectionInfo, Dispatcher};
use crate::budget::MemoryBudget;
use crate::live_settings::LiveSettings;

/// Longest pause after the system refused to hand out a connection.
const BACKOFF_MAX: Duration = Duration::from_secs(1);
const BACKOFF_MIN: Duration = Duration::from_millis(10);

/// What is left of a stop after the connections had their time: they end by themselves, this only bounds a
/// defect.
const STOP_MARGIN: Duration = Duration::from_secs(2);

/// Why a listener cannot be opened. The text names the address and what to change.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Another program has the port.
    #[error(
        "{listener} cannot listen on {address}: the port is taken by another program; stop that, or choose \
         another port with --set listeners={listener}://{host}:{other_port}"
    )]
    PortTaken {
        /// The listener's name.
        listener: Arc<str>,
        /// Host and port as configured.
        address: String,
        /// The host as configured.
        host: String,
        /// A port that may be free.
        other_port: u16,
    },
    /// The host is no address of this machine, or cannot be resolved, or the port needs privileges.
    #[error("{listener} cannot listen on {address}: {cause}; the setting `listeners` holds the address")]
    Failed {
        /// The listener's name.
        listener: Arc<str>,
        /// Host and port as configured.
        address: String,
        /// The system's reason.
        cause: io::Error,
    },
}

/// A bound socket that accepts nothing yet.
#[derive(Debug)]
pub struct Listener {
    name: Arc<str>,
    socket: TcpListener,
    local_address: SocketAddr,
}

impl Listener {
    /// Binds a listener.
    ///
    /// # Errors
    /// [`ListenError`], with a text for the operator.
    pub async fn bind(settings: &ListenerSettings) -> Result<Self, ListenError> {
        let bound = if settings.host.is_empty() {
            // Every address: one socket for both families where the machine has IPv6.
            match listen((Ipv6Addr::UNSPECIFIED, settings.port).into(), settings) {
                Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                    listen((Ipv4Addr::UNSPECIFIED, settings.port).into(), settings)
                }
                bound => bound,
            }
        } else {
            listen_on_first(settings).await
        };
        let address = || format!("{}:{}", settings.host, settings.port);
        let failed = |cause| ListenError::Failed {
            listener: Arc::clone(&settings.name),
            address: address(),
            cause,
        };
        let socket = match bound {
            Ok(socket) => socket,
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                return Err(ListenError::PortTaken {
                    listener: Arc::clone(&settings.name),
                    address: address(),
                    host: settings.host.clone(),
                    other_port: settings.port.checked_add(1).unwrap_or(9092),
                });
            }
            Err(cause) => return Err(failed(cause)),
        };
        let local_address = socket.local_addr().map_err(failed)?;
        Ok(Self {
            name: Arc::clone(&settings.name),
            socket,
            local_address,
        })
    }

    /// Returns the listener's name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Returns the bound address; tells the port when 0 was asked for.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }
}

/// Listens on the first address of the host that can be bound.
async fn listen_on_first(settings: &ListenerSettings) -> io::Result<TcpListener> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in lookup_host((settings.host.as_str(), settings.port)).await? {
        match listen(address, settings) {
            Ok(socket) => return Ok(socket),
            // A taken port is the answer, whatever the other addresses say.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn listen(address: SocketAddr, settings: &ListenerSettings) -> io::Result<TcpListener> {
    let socket = if address.is_ipv6() {
        TcpSocket::new_v6()?
    } else {
        TcpSocket::new_v4()?
    };
    // A restart must not wait until the kernel has forgotten the connections of the last run.
    socket.set_reuseaddr(true)?;
    // Accepted sockets inherit both; the receive window is fixed by the handshake, so later would be too
    // late.
    if let Some(size) = settings.send_buffer_size {
        socket.set_send_buffer_size(size)?;
    }
    if let Some(size) = settings.receive_buffer_size {
        socket.set_recv_buffer_size(size)?;
    }
    socket.bind(address)?;
    socket.listen(settings.backlog)
}

/// What every connection uses.
pub struct ServeHandles {
    /// Limits.
    pub settings: NetworkSettings,
    /// Memory for requests and replies.
    pub budget: MemoryBudget,
    /// Where requests go.
    pub dispatcher: Dispatcher,
    /// What is counted.
    pub metrics: NetworkMetrics,
    /// When to stop.
    pub shutdown: Shutdown,
    /// For lines that a stranger can cause by sending nonsense.
    pub(super) refusal_log: LogLimit,
    counts: Arc<ConnectionCounts>,
    next_connection_id: AtomicU64,
}

impl std::fmt::Debug for ServeHandles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServeHandles")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl ServeHandles {
    /// Brings the parts together.
    #[must_use]
    pub fn new(
        settings: NetworkSettings,
        budget: MemoryBudget,
        dispatcher: Dispatcher,
        metrics: NetworkMetrics,
        shutdown: Shutdown,
    ) -> Self {
        let counts = Arc::new(ConnectionCounts::new(settings.connection_limits.clone()));
        Self {
            settings,
            budget,
            dispatcher,
            metrics,
            shutdown,
            refusal_log: LogLimit::new(),
            counts,
            next_connection_id: AtomicU64::new(1),
        }
    }

    /// Returns how many connections there may be now.
    #[cfg(test)]
    pub(super) fn connections_max(&self) -> usize {
        self.counts.total_max()
    }

    /// Changes the limits on the number of connections. Those that are open stay.
    fn set_connection_limits(&self, limits: ConnectionLimits) {
        self.counts.set_limits(limits);
    }
}

/// Applies `max.connections` and its like whenever the settings change, until the shutdown. Connections that are open
/// stay, also above a lower limit.
pub async fn follow_settings(handles: Arc<ServeHandles>, settings: LiveSettings) {
    let mut changes = settings.watch();
    loop {
        let current = Arc::clone(&changes.borrow_and_update());
        let limits = ConnectionLimits::from_settings(&current);
        handles.set_connection_limits(limits.within_open_files(handles.settings.open_files_max));
        tokio::select! {
            // An error says that nobody can change them any more.
            changed = changes.changed() => if changed.is_err() { return },
            () = handles.shutdown.requested() => return,
        }
    }
}

/// Serves the listeners until the shutdown, and returns when every connection has ended.
///
/// After a graceful stop nothing is accepted, nothing new is read, and connections have
/// [`NetworkSettings::drain_max`] to send what is owed; after a fast stop they are dropped. Dropping the
/// future drops all.
pub async fn serve(listeners: Vec<Listener>, handles: Arc<ServeHandles>) {
    let mut loops = JoinSet::new();
    for listener in listeners {
        loops.spawn(accept_loop(listener, Arc::clone(&handles)));
    }
    while let Some(ended) = loops.join_next().await {
        if let Err(error) = ended {
            log_join_error("an accept loop", &error);
        }
    }
}

async fn accept_loop(listener: Listener, handles: Arc<ServeHandles>) {
    let mut connections = JoinSet::new();
    let mut backoff = BACKOFF_MIN;
    let refused_log = LogLimit::new();
    loop {
        tokio::select! {
            biased;
            () = handles.shutdown.requested() => break,
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    log_join_error("a connection", &error);
                }
            }
            accepted = listener.socket.accept() => match accepted {
                Ok((stream, peer)) => {
                    backoff = BACKOFF_MIN;
                    if let Some(open) = admit(&handles, &listener, peer, &refused_log) {
                        connections.spawn(run_connection(stream, open));
                    }
                }
                Err(error) => {
                    // Out of descriptors or memory: the connection stays in the backlog, so trying at once
                    // would spin. Anything else is about one connection that is gone already.
                    if let Some(suppressed) = refused_log.admit() {
                        tracing::warn!(
                            listener = %listener.name, %error, suppressed, advice = accept_advice(&error),
                            "a connection could not be accepted"
                        );
                    }
                    if is_exhaustion(&error) {
                        tokio::select! {
                            () = handles.shutdown.requested() => break,
                            () = sleep(backoff) => {}
                        }
                        backoff = (backoff * 2).min(BACKOFF_MAX);
                    }
                }
            },
        }
    }
    // Closes the port at once: clients that try again go elsewhere or wait, instead of hanging in the
    // backlog.
    drop(listener);
    let drained = async {
        while let Some(ended) = connections.join_next().await {
            if let Err(error) = ended {
                log_join_error("a connection", &error);
            }
        }
    };
    tokio::select! {
        _ = timeout(handles.settings.drain_max + STOP_MARGIN, drained) => {}
        () = handles.shutdown.forced() => {}
    }
    connections.shutdown().await;
}

/// Counts a connection, or logs which limit refuses it; the caller then drops the socket.
fn admit(
    handles: &Arc<ServeHandles>,
    listener: &Listener,
    peer: SocketAddr,
    refused_log: &LogLimit,
) -> Option<OpenConnection> {
    let name = &listener.name;
    match handles.counts.add(peer.ip()) {
        Ok(count) => {
            let id = handles.next_connection_id.fetch_add(1, Ordering::Relaxed);
            let info = Arc::new(ConnectionInfo::new(id, peer, Arc::clone(name)));
            Some(OpenConnection::new(Arc::clone(handles), info, count))
        }
        Err(LimitReached { setting, value }) => {
            handles.metrics.connection_rejected(name, setting);
            if let Some(suppressed) = refused_log.admit() {
                tracing::warn!(
                    listener = %name, %peer, setting, value, suppressed,
                    "connection refused: the limit is reached"
                );
            }
            None
        }
    }
}

async fn run_connection(stream: TcpStream, mut open: OpenConnection) {
    // Replies are whole messages: waiting to fill a packet only delays them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(connection = %open.info, %error, "TCP_NODELAY cannot be set");
    }
    let (reader, writer) = stream.into_split();
    open.reason = connection::serve(reader, writer, Arc::clone(&open.info), Arc::clone(&open.handles)).await;
}

/// An open connection in counts and metrics; leaves them however it ends (a fast stop drops the task).
struct OpenConnection {
    handles: Arc<ServeHandles>,
    info: Arc<ConnectionInfo>,
    reason: CloseReason,
    _count: CountedConnection,
}

impl OpenConnection {
    fn new(handles: Arc<ServeHandles>, info: Arc<ConnectionInfo>, count: CountedConnection) -> Self {
        handles.metrics.connection_opened(&info.listener);
        Self {
            handles,
            info,
            reason: CloseReason::Shutdown,
            _count: count,
        }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        tracing::debug!(connection = %self.info, reason = self.reason.label(), "ended");
        self.handles
            .metrics
            .connection_closed(&self.info.listener, self.reason);
    }
}

fn is_exhaustion(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
    )
}

fn accept_advice(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EMFILE) => {
            "raise the limit of open files (ulimit -n, LimitNOFILE=) or lower max.connections"
        }
        Some(libc::ENFILE) => "the machine is out of file handles (fs.file-max)",
        Some(libc::ENOBUFS | libc::ENOMEM) => "the machine is out of memory for sockets",
        _ => "none needed if it is rare",
    }
}

/// A panic outside of a handler: a defect of the network layer.
fn log_join_error(what: &str, error: &JoinError) {
    if error.is_panic() {
        tracing::error!(%error, "{what} failed");
    }
}
