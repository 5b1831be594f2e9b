//! Builds everything, in order, and stops it in reverse: HTTP, data directory, topics, groups, transactions, handlers, listeners.
//!
//! The only place that knows all parts. Invariant: HTTP tells from the first moment how far the start is, no client is
//! served before recovery is done, and the logs are closed after the last reply.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use thalweg_metadata::Stamp;
use thalweg_settings::{SettingError, Settings};
use thalweg_storage::clock::SystemClock;
use thalweg_storage::disk::{Disk, DiskSpace, UnknownCrashPoint};
use thalweg_storage::engine::{LogEngine, OpenReport};
use thalweg_telemetry::{Metrics, MetricsError, ShutdownTrigger};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::admin::{self, AdminParts, AdminState};
use crate::api::errors::transaction_error_code;
use crate::api::{Authorizer, Context, Throttle, advertised, dispatcher};
use crate::broker_configs::{BrokerConfigs, apply_stored};
use crate::budget::{BudgetSettings, MemoryBudget};
use crate::cleaner;
use crate::clock::Clock;
use crate::expiry_clock::ExpiryClock;
use crate::groups::Groups;
use crate::live_settings::LiveSettings;
use crate::maintenance;
use crate::network::{
    ListenError, Listener, ListenerSettings, NetworkMetrics, NetworkSettings, ServeHandles, follow_settings,
    serve,
};
use crate::partition::{DiskGate, FetchSessions, ProducerIds, RecordChecks};
use crate::storage::{DataDirectory, DiskReserve, OpenDataError, OpenedData, RecoveryProgress, WatchedDisk};
use crate::topics::Topics;
use crate::transactions::{CoordinatorGate, TransactionParts, Transactions};

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
    /// A planted fault of a test.
    #[cfg(feature = "planted-faults")]
    #[error(transparent)]
    PlantedFault(#[from] thalweg_storage::planted::UnknownFault),
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
    transactions: Arc<Transactions>,
    tasks: JoinSet<()>,
    serving: tokio::task::JoinHandle<()>,
    _directory: DataDirectory,
}

impl Server {
    /// Starts a broker: recovers the data, then serves until `shutdown` is raised. HTTP answers from the beginning.
    ///
    /// # Errors
    /// [`StartError`]; nothing is served then, and the data is as it was.
    pub async fn start(settings: Settings, shutdown: &ShutdownTrigger) -> Result<Self, StartError> {
        #[cfg(feature = "planted-faults")]
        crate::planted::plant()?;
        // Ports first: a second broker must not touch the data of the first one's neighbour.
        let (listeners, settings) = bind_listeners(settings).await?;
        let mut tasks = JoinSet::new();
        let metrics = Metrics::new()?;
        let progress = Arc::new(RecoveryProgress::default());
        let (http, admin) = {
            let (watcher, node_id) = (shutdown.watcher(), settings.node_id().0);
            let state = AdminState::starting(metrics.clone(), progress.clone(), watcher, node_id)?;
            (serve_http(&settings, &state, &mut tasks).await?, state)
        };
        let disk = crate::storage::disk()?;
        let opened = open_data(&disk, &settings, &progress).await?;
        log_recovery(&opened.report);

        let data_path = opened.directory.path().to_owned();
        let settings = apply_stored(&opened.metadata, settings);
        let context = context(&opened, disk.clone(), (&settings, &metrics, shutdown))?;
        let started = Started {
            listeners: listeners
                .iter()
                .map(|l| (l.name().to_string(), l.local_address()))
                .collect(),
            http,
            stamp: opened.stamp,
            report: opened.report,
            space: disk.space(&data_path).ok(),
        };
        let reserve = DiskReserve::new(disk.clone(), &data_path, settings.disk_reserve_bytes());
        tasks.spawn(look_after_reserve(
            reserve,
            opened.engine.clone(),
            shutdown.watcher(),
        ));
        let expiry = Arc::new(ExpiryClock::default());
        let charge = maintenance::Charge {
            topics: context.topics.clone(),
            settings: context.settings.clone(),
            gate: context.disk_gate.clone(),
            disk,
            data_directory: data_path.clone(),
            clock: Clock::System,
            expiry: expiry.clone(),
        };
        tasks.spawn(maintenance::run(charge, shutdown.watcher()));
        tasks.spawn(cleaner::run(
            opened.engine.clone(),
            context.settings.clone(),
            shutdown.watcher(),
        ));
        let network_metrics = NetworkMetrics::new(&metrics, &context.budget)?;
        admin.serving(admin_parts(&context, data_path, expiry))?;
        let (budget, live) = (context.budget.clone(), context.settings.clone());
        let (groups, transactions) = (context.groups.clone(), context.transactions.clone());
        let handles = Arc::new(ServeHandles::new(
            network_settings(&settings),
            budget,
            dispatcher(context),
            network_metrics,
            shutdown.watcher(),
        ));
        tasks.spawn(follow_settings(handles.clone(), live));
        let serving = tokio::spawn(serve(listeners, handles));
        Ok(Self {
            started,
            engine: opened.engine,
            groups,
            transactions,
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
        self.transactions.stop().await;
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

/// Binds `http.listener` and serves it; `None` if it is off.
async fn serve_http(
    settings: &Settings,
    state: &AdminState,
    tasks: &mut JoinSet<()>,
) -> Result<Option<SocketAddr>, StartError> {
    let address = settings.http_listener();
    if address.is_empty() {
        return Ok(None);
    }
    match TcpListener::bind(address).await {
        Ok(listener) => {
            let bound = listener.local_addr().ok();
            tasks.spawn(admin::serve(listener, state.clone()));
            Ok(bound)
        }
        Err(cause) => Err(StartError::Http {
            address: address.to_owned(),
            cause,
        }),
    }
}

/// Locks the data directory and recovers what is in it, where it may block.
async fn open_data(
    disk: &Arc<dyn Disk>,
    settings: &Settings,
    progress: &Arc<RecoveryProgress>,
) -> Result<OpenedData, StartError> {
    let (disk, settings, progress) = (disk.clone(), settings.clone(), progress.clone());
    let opening = tokio::task::spawn_blocking(move || {
        let path = settings.data_directory();
        let disk = Arc::new(WatchedDisk::new(disk, path, progress.clone()));
        let opened = DataDirectory::lock(disk, path)?.open(
            &settings,
            Arc::new(SystemClock),
            Box::new(storage_failed),
        )?;
        progress.finish();
        Ok(opened)
    });
    let opened: Result<OpenedData, OpenDataError> = opening.await.map_err(|error| StartError::System {
        what: "recovery stopped",
        cause: io::Error::other(error),
    })?;
    Ok(opened?)
}

/// The handles of all handlers; groups and transactions begin to load.
fn context(
    opened: &OpenedData,
    disk: Arc<dyn Disk>,
    (settings, metrics, shutdown): (&Settings, &Metrics, &ShutdownTrigger),
) -> Result<Arc<Context>, MetricsError> {
    let record_checks = Arc::new(RecordChecks::new(metrics)?);
    let (live, clock) = (LiveSettings::new(settings.clone()), Clock::default());
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
    let producer_ids = Arc::new(ProducerIds::new(opened.metadata.clone()));
    let transactions = Transactions::start(TransactionParts {
        topics: topics.clone(),
        groups: groups.clone(),
        producer_ids: producer_ids.clone(),
        settings: live.clone(),
        clock: clock.clone(),
        shutdown: shutdown.watcher(),
    });
    let gate = CoordinatorGate::new(transactions.clone(), transaction_error_code);
    Ok(Arc::new(Context {
        settings: live,
        clock,
        authorizer: Authorizer::allow_all(),
        throttle: Throttle::unlimited(),
        budget: MemoryBudget::new(BudgetSettings::from_settings(settings)),
        metrics: metrics.clone(),
        topics,
        groups,
        transactions,
        fetch_sessions: Arc::new(FetchSessions::from_settings(settings)),
        producer_ids,
        mirrors: Arc::default(),
        record_checks,
        disk_gate: Arc::new(DiskGate::default()),
        transaction_gate: Arc::new(gate),
        disk,
        broker_configs,
        stamp: opened.stamp,
        shutdown: shutdown.watcher(),
    }))
}

fn admin_parts(context: &Context, data_directory: PathBuf, expiry: Arc<ExpiryClock>) -> AdminParts {
    // No listener has an empty name: the first one's address comes back.
    let (host, port) = advertised(&context.settings.current(), "");
    AdminParts {
        topics: context.topics.clone(),
        groups: context.groups.clone(),
        transactions: context.transactions.clone(),
        settings: context.settings.clone(),
        mirrors: context.mirrors.clone(),
        gate: context.disk_gate.clone(),
        expiry,
        fetch_sessions: context.fetch_sessions.clone(),
        stamp: context.stamp,
        data_directory,
        address: format!("{host}:{port}"),
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
#[path = "server_reference_test.rs"]
mod reference;
#[cfg(test)]
#[path = "server_test.rs"]
mod tests;
