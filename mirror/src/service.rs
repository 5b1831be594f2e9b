//! The service: every link of a file, each with its discovery and its engine, and HTTP beside them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use thalweg_client::Backoff;
use thalweg_telemetry::Shutdown;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

use crate::config::{Config, LinkConfig};
use crate::discovery::Discovery;
use crate::ends::{self, Ends, EndsError};
use crate::engine::{Control, Engine, Inputs};
use crate::groups::Groups;
use crate::heartbeats;
use crate::http;
use crate::line::{self, End};
use crate::status::{GroupsStatus, LinkStatus};

/// Pauses between attempts to reach both sides.
const CONNECT: Backoff = Backoff {
    first: Duration::from_millis(500),
    max: Duration::from_secs(10),
};
/// Shortest pause between two looks, however often the engine asks for one.
const LOOK_PAUSE: Duration = Duration::from_millis(500);
/// Wishes of operators that wait.
const CONTROLS: usize = 16;

/// A link as HTTP sees it.
#[derive(Clone, Debug)]
pub struct LinkHandle {
    /// What it does.
    pub status: watch::Receiver<Arc<LinkStatus>>,
    /// What happens to group offsets.
    pub groups: watch::Receiver<GroupsStatus>,
    /// Takes wishes.
    pub control: mpsc::Sender<Control>,
}

/// Links by name.
pub type Links = Arc<BTreeMap<String, LinkHandle>>;

/// Runs every link until the process is asked to stop.
///
/// # Errors
/// When HTTP cannot listen, or when a link can never work as it is configured and no other link is there.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), String> {
    // Links stay on the calling thread: they decide, and little else. What moves bytes runs on the workers.
    tokio::task::LocalSet::new()
        .run_until(run_links(config, shutdown))
        .await
}

async fn run_links(mut config: Config, shutdown: Shutdown) -> Result<(), String> {
    if config.links.is_empty() {
        return Err("no link is given; a link begins with [link.NAME]".to_owned());
    }
    let listener = match config.http {
        Some(address) => Some(tokio::net::TcpListener::bind(address).await.map_err(|error| {
            format!("service.http: cannot listen on {address}: {error}; choose another address")
        })?),
        None => None,
    };
    let lines = line::start(&mut config, End::Service, &shutdown).await?;
    let is_only = config.links.len() == 1;
    let mut handles = BTreeMap::new();
    let mut tasks = JoinSet::new();
    for link in config.links {
        let first = LinkStatus {
            name: link.name.clone(),
            ..LinkStatus::default()
        };
        let (status_to, status) = watch::channel(Arc::new(first));
        let (groups_to, groups) = watch::channel(GroupsStatus::default());
        let (control, controls) = mpsc::channel(CONTROLS);
        let handle = LinkHandle {
            status,
            groups,
            control,
        };
        handles.insert(link.name.clone(), handle);
        let channels = LinkChannels {
            status: status_to,
            groups: groups_to,
            control: controls,
        };
        tasks.spawn_local(run_link(link, channels, shutdown.clone()));
    }
    if let Some(listener) = listener {
        if let Ok(address) = listener.local_addr() {
            tracing::info!(%address, "HTTP");
        }
        let links: Links = Arc::new(handles);
        let served = http::serve(listener, links, lines, shutdown.clone());
        tasks.spawn_local(async move {
            served.await;
            Ok(())
        });
    }
    let mut failure = Ok(());
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!("{error}");
                if is_only {
                    return Err(error.to_string());
                }
                failure = Err(error.to_string());
            }
            Err(error) => return Err(format!("a bug: {error}")),
        }
    }
    failure
}

struct LinkChannels {
    status: watch::Sender<Arc<LinkStatus>>,
    groups: watch::Sender<GroupsStatus>,
    control: mpsc::Receiver<Control>,
}

async fn run_link(link: LinkConfig, channels: LinkChannels, shutdown: Shutdown) -> Result<(), EndsError> {
    let LinkChannels {
        status,
        groups,
        control,
    } = channels;
    let Some(ends) = reach(&link, &status, &shutdown).await? else {
        return Ok(());
    };
    tracing::info!(
        link = link.name,
        id = crate::config::link_id_text(ends.link),
        source = ends.source_cluster_id,
        target = ends.target_cluster_id,
        "both clusters are reached"
    );
    let look = Arc::new(Notify::new());
    let (found_to, found) = mpsc::channel(1);
    let discovery = Discovery::new(link.clone(), ends.clone()).with_status(status.subscribe());
    let looking = look_again_and_again(discovery, link.discovery, Arc::clone(&look), found_to);
    let copying = Groups::new(link.clone(), ends.clone(), status.subscribe()).run(groups);
    let beating = heartbeats::run(link.clone(), ends.source.clone());
    let engine = Engine::new(link, ends, look, status);
    let inputs = Inputs {
        found,
        control,
        shutdown,
    };
    let beside = async { tokio::join!(looking, copying, beating) };
    // All end with the engine: what they are doing then may be dropped, the next start does it again.
    tokio::select! {
        () = engine.run(inputs) => {}
        _ = beside => {}
    }
    Ok(())
}

/// Tries until both clusters answer; `None` when the process stops first.
async fn reach(
    link: &LinkConfig,
    status: &watch::Sender<Arc<LinkStatus>>,
    shutdown: &Shutdown,
) -> Result<Option<Ends>, EndsError> {
    let mut attempts = 0;
    loop {
        let attempt = tokio::select! {
            attempt = ends::connect(link) => attempt,
            () = shutdown.requested() => return Ok(None),
        };
        let error = match attempt {
            Ok(ends) => return Ok(Some(ends)),
            Err(error) => error,
        };
        status.send_modify(|status| Arc::make_mut(status).trouble = Some(error.to_string()));
        if !matches!(error, EndsError::Unreachable { .. }) {
            return Err(error);
        }
        if attempts == 0 {
            tracing::warn!("{error}; trying again");
        }
        tokio::select! {
            () = tokio::time::sleep(CONNECT.wait(attempts)) => {}
            () = shutdown.requested() => return Ok(None),
        }
        attempts = attempts.saturating_add(1);
    }
}

async fn look_again_and_again(
    mut discovery: Discovery,
    every: Duration,
    look: Arc<Notify>,
    found: mpsc::Sender<Result<crate::discovery::Found, String>>,
) {
    loop {
        let outcome = discovery.look().await.map_err(|error| error.to_string());
        if found.send(outcome).await.is_err() {
            // The engine ended; its caller ends this as well.
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(LOOK_PAUSE).await;
        tokio::select! {
            () = tokio::time::sleep(every.saturating_sub(LOOK_PAUSE)) => {}
            () = look.notified() => {}
        }
    }
}
