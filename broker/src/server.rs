//! Builds everything, in order, and stops it in reverse: data directory, topics, groups, handlers, listeners.
//!
//! The only place that knows all parts. Invariant: nothing is served before recovery is done, and the logs are
//! closed after the last reply.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use thalweg_metadata::Stamp;
use thalweg_settings::{SettingError, Settings};
use thalweg_storage::clock::SystemClock;
use thalweg_storage::disk::{DiskSpace, UnknownCrashPoint};
use thalweg_storage::engine::{LogEngine, OpenReport};
use thalweg_telemetry::{Metrics, MetricsError, ShutdownTrigger};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::admin::{self, AdminParts, AdminState};
use crate::api::{Authorizer, Context, Throttle, dispatcher};
use crate::broker_configs::{BrokerConfigs, apply_stored};
use crate::budget::{BudgetSettings, MemoryBudget};
use crate::clock::Clock;
use crate::groups::Groups;
use crate::live_settings::LiveSettings;
use crate::maintenance;
use crate::network::{
    ListenError, Listener, ListenerSettings, NetworkMetrics, NetworkSettings, ServeHandles, follow_settings,
    serve,
};
use crate::partition::{DiskGate, FetchSessions, ProducerIds};
use crate::storage::{DataDirectory, DiskReserve, OpenDataError};
use crate::topics::Topics;

/// Exit code when an acknowledgement can no longer be trusted (`EX_IOERR` of sysexits).
const EXIT_STORAGE_FAILED: i32 = 74;
/// How long a stop spends on moving the tail to segments; what is left is replayed by the next start.
const CLOSE_BUDGET: Duration = Duration::from_secs(3);
/// How often the reserve on the disk is looked after.
const RESERVE_INTERVAL: Duration = Duration::from_secs(1);

/// Why the broker does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The data directory.
    #[error(transparent)]
    Data(#[from] OpenDataError),
    /// A listener.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A setting.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The HTTP listener.
    #[error(
        "http.listener={address}: {cause}. Choose another with --set http.listener=HOST:PORT, or none with an empty value"
    )]
    Http {
        /// What was asked for.
        address: String,
        /// The system's reason.
        cause: io::Error,
    },
    /// A crash point of a test.
    #[error(transparent)]
    CrashPoint(#[from] UnknownCrashPoint),
    /// Two metrics of one name: a defect.
    #[error("metrics: {0}")]
    Metrics(#[from] MetricsError),
    /// The operating system.
    #[error("{what}: {cause}")]
    System {
        /// What was tried.
        what: &'static str,
        /// The system's reason.
        cause: io::Error,
    },
}

/// What a running broker can say about itself.
#[derive(Clone, Debug)]
pub struct Started {
    /// Kafka listeners: name and bound address.
    pub listeners: Vec<(String, SocketAddr)>,
    /// The HTTP listener, unless it is off.
    pub http: Option<SocketAddr>,
    /// Identity.
    pub stamp: Stamp,
    /// Recovery.
    pub report: OpenReport,
    /// Space below the data directory.
    pub space: Option<DiskSpace>,
}

/// A broker that serves.
pub struct Server {
    /// What it says about itself.
    pub started: Started,
    engine: Arc<LogEngine>,
    groups: Arc<Groups>,
    tasks: JoinSet<()>,
    serving: tokio::task::JoinHandle<()>,
    _directory: DataDirectory,
}

impl Server {
    /// Starts a broker: recovers the data, then serves until `shutdown` is raised.
    ///
    /// # Errors
    /// [`StartError`]; nothing is served then, and the data is as it was.
    pub async fn start(settings: Settings, shutdown: &ShutdownTrigger) -> Result<Self, StartError> {
        // Ports first: a second broker must not touch the data of the first one's neighbour.
        let (listeners, settings) = bind_listeners(settings).await?;
        let http = bind_http(&settings).await?;
        let disk = crate::storage::disk()?;
        let directory = DataDirectory::lock(disk.clone(), settings.data_directory())?;
        let data_path = directory.path().to_owned();
        let opening = {
            let settings = settings.clone();
            tokio::task::spawn_blocking(move || {
                directory.open(&settings, Arc::new(SystemClock), Box::new(storage_failed))
            })
        };
        let opened = opening.await.map_err(|error| StartError::System {
            what: "recovery stopped",
            cause: io::Error::other(error),
        })??;
        log_recovery(&opened.report);

        let settings = apply_stored(&opened.metadata, settings);
        let live = LiveSettings::new(settings.clone());
        let clock = Clock::default();
        let metrics = Metrics::new()?;
        let budget = MemoryBudget::new(BudgetSettings::from_settings(&settings));
        let topics = Arc::new(Topics::new(
            opened.metadata.clone(),
            opened.engine.clone(),
            live.clone(),
            clock.clone(),
        ));
        let broker_configs = Arc::new(BrokerConfigs::new(
            opened.metadata.clone(),
            live.clone(),
            topics.clone(),
            clock.clone(),
        ));
        let groups = Groups::start(topics.clone(), live.clone(), clock.clone(), shutdown.watcher());
        let disk_gate = Arc::new(DiskGate::default());
        let fetch_sessions = Arc::new(FetchSessions::from_settings(&settings));
        let context = Arc::new(Context {
            settings: live.clone(),
            clock,
            authorizer: Authorizer::allow_all(),
            throttle: Throttle::unlimited(),
            budget: budget.clone(),
            metrics: metrics.clone(),
            topics: topics.clone(),
            groups: groups.clone(),
            fetch_sessions: fetch_sessions.clone(),
            producer_ids: Arc::new(ProducerIds::new(opened.metadata.clone())),
            disk_gate: disk_gate.clone(),
            disk: disk.clone(),
            broker_configs,
            stamp: opened.stamp,
            shutdown: shutdown.watcher(),
        });
        let started = Started {
            listeners: listeners
                .iter()
                .map(|l| (l.name().to_string(), l.local_address()))
                .collect(),
            http: http.as_ref().and_then(|listener| listener.local_addr().ok()),
            stamp: opened.stamp,
            report: opened.report,
            space: thalweg_storage::disk::Disk::space(&*disk, &data_path).ok(),
        };
        let mut tasks = JoinSet::new();
        let reserve = DiskReserve::new(disk.clone(), &data_path, settings.disk_reserve_bytes());
        tasks.spawn(look_after_reserve(
            reserve,
            opened.engine.clone(),
            shutdown.watcher(),
        ));
        tasks.spawn(maintenance::run(
            topics.clone(),
            live.clone(),
            disk_gate.clone(),
            disk,
            data_path.clone(),
            shutdown.watcher(),
        ));
        if let Some(listener) = http {
            let state = AdminState::new(AdminParts {
                topics: topics.clone(),
                groups: groups.clone(),
                settings: live.clone(),
                gate: disk_gate,
                fetch_sessions,
                stamp: opened.stamp,
                data_directory: data_path,
                metrics: metrics.clone(),
            })?;
            tasks.spawn(admin::serve(listener, state, shutdown.watcher()));
        }
        let handles = Arc::new(ServeHandles::new(
            network_settings(&settings),
            budget.clone(),
            dispatcher(context),
            NetworkMetrics::new(&metrics, &budget)?,
            shutdown.watcher(),
        ));
        tasks.spawn(follow_settings(handles.clone(), live));
        let serving = tokio::spawn(serve(listeners, handles));
        Ok(Self {
            started,
            engine: opened.engine,
            groups,
            tasks,
            serving,
            _directory: opened.directory,
        })
    }

    /// Serves until the shutdown, then stops everything: owed replies are sent, the logs are closed cleanly.
    pub async fn run(mut self) {
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "the listeners stopped");
        }
        self.groups.stop().await;
        self.tasks.abort_all();
        while self.tasks.join_next().await.is_some() {}
        let engine = self.engine.clone();
        let closed = tokio::task::spawn_blocking(move || engine.close(CLOSE_BUDGET)).await;
        if let Err(error) = closed {
            tracing::error!(%error, "the logs were not closed: the next start replays");
        }
        tracing::info!("stopped");
    }
}

/// Binds the listeners, and tells the settings which ports they got.
async fn bind_listeners(settings: Settings) -> Result<(Vec<Listener>, Settings), StartError> {
    let mut listeners = Vec::new();
    for listener in ListenerSettings::from_settings(&settings)? {
        listeners.push(Listener::bind(&listener).await?);
    }
    let ports = listeners
        .iter()
        .map(|listener| (listener.name().to_string(), listener.local_address().port()));
    let settings = settings.with_bound_ports(ports);
    Ok((listeners, settings))
}

/// Reads the settings of the network, and says how many connections the process can hold.
fn network_settings(settings: &Settings) -> NetworkSettings {
    let open_files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let network = NetworkSettings::from_settings(settings, open_files);
    tracing::info!(
        connections_max = network.connection_limits.total_max,
        limit = network.connection_limits.total_limit,
        open_files = open_files.unwrap_or(u64::MAX),
        "connections are limited"
    );
    network
}

async fn bind_http(settings: &Settings) -> Result<Option<TcpListener>, StartError> {
    let address = settings.http_listener();
    if address.is_empty() {
        return Ok(None);
    }
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(cause) => Err(StartError::Http {
            address: address.to_owned(),
            cause,
        }),
    }
}

fn log_recovery(report: &OpenReport) {
    tracing::info!(
        partitions = report.partitions,
        groups = report.groups,
        bytes = report.bytes,
        clean_stop = report.clean,
        "logs are open"
    );
    if !report.clean && report.next_slot.0 > 0 {
        tracing::warn!(
            groups = report.groups,
            bytes = report.bytes,
            end = report.next_slot.0,
            "the last stop was not clean: the write-ahead log was replayed up to its end"
        );
    }
}

/// Nothing may be acknowledged after this, and a clean stop would write on what is not understood.
fn storage_failed(error: &thalweg_storage::commit::CommitError) {
    tracing::error!(%error, "storage failed; the process ends now and recovers at the next start");
    std::process::exit(EXIT_STORAGE_FAILED);
}

/// Gives the reserve up when the disk is full, and takes it again when it is not.
async fn look_after_reserve(
    reserve: DiskReserve,
    engine: Arc<LogEngine>,
    shutdown: thalweg_telemetry::Shutdown,
) {
    let reserve = Arc::new(reserve);
    loop {
        if reserve.is_short() {
            engine.note_disk_full("the disk has less than 4 MiB free");
        }
        let full = engine.is_disk_full();
        let handle = reserve.clone();
        let done = tokio::task::spawn_blocking(move || if full { handle.release() } else { handle.ensure() });
        if full && reserve.has_room() {
            engine.note_disk_has_room();
        }
        match done.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "disk.reserve.bytes cannot be kept"),
            Err(error) => tracing::error!(%error, "the reserve's keeper stopped"),
        }
        tokio::select! {
            () = tokio::time::sleep(RESERVE_INTERVAL) => {}
            () = shutdown.requested() => return,
        }
    }
}

#[cfg(test)]
#[path = "server_test.rs"]
mod tests;
