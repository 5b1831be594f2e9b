//! The running router: the registry on its topic, and HTTP before it.

use std::net::SocketAddr;
use std::sync::Arc;

use thalweg_client::{ClientConfig, Cluster, parse_bootstrap};
use thalweg_telemetry::Shutdown;
use tokio::net::TcpListener;

use crate::http;
use crate::metrics::RouterMetrics;
use crate::registry::store::{Store, StoreConfig};

/// What `run` is told.
#[derive(Clone, Debug)]
pub struct ServiceConfig {
    /// Brokers, comma-separated.
    pub bootstrap: String,
    /// Where HTTP listens.
    pub listen: SocketAddr,
    /// The registry's topic.
    pub store: StoreConfig,
}

/// Runs until the process is told to stop.
///
/// # Errors
/// A sentence for people: a wrong address, a port that is taken, a cluster that does not answer.
pub async fn run(config: ServiceConfig, shutdown: Shutdown) -> Result<(), String> {
    let bootstrap = parse_bootstrap(&config.bootstrap).map_err(|error| error.to_string())?;
    let metrics = RouterMetrics::new().map_err(|error| error.to_string())?;
    // The port first: a second instance by mistake is told at once.
    let listener = TcpListener::bind(config.listen).await.map_err(|error| {
        format!(
            "cannot listen on {}: {error}; choose another with --listen",
            config.listen
        )
    })?;
    let mut client = ClientConfig::new(bootstrap);
    client.client_id = "thalweg-router".to_owned();
    // A broker that does not answer is left early enough for another try within one request's patience.
    client.request_timeout = config.store.patience / 3;
    client.operation_timeout = config.store.patience;
    let cluster = Cluster::connect(client)
        .await
        .map_err(|error| error.to_string())?;
    let store = Store::open(cluster, config.store, metrics.clone()).await?;
    let follower = tokio::spawn(Arc::clone(&store).follow(shutdown.clone()));
    // Nobody is told that a subject is not there before all of the topic is read.
    while let Err(error) = store.read_to_end().await {
        if shutdown.is_requested() {
            return Ok(());
        }
        tracing::warn!(%error, "the schemas are not read to their end yet; requests wait");
    }
    tracing::info!(address = %config.listen, "the schema registry is served");
    let served = http::serve(listener, store, metrics, shutdown).await;
    if follower.await.is_err() {
        return Err("the reader of the schemas topic ended unexpectedly".to_owned());
    }
    served
}
