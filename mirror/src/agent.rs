//! The agent: stands beside a cluster and connects to its brokers for a service in another room.
//!
//! Keeps nothing and decides nothing; what it carries, `line` says.

use std::sync::Arc;

use thalweg_telemetry::Shutdown;

use crate::config::Config;
use crate::http;
use crate::line::{self, End};

/// Serves every line of the file until the process is asked to stop.
///
/// # Errors
/// When the file has no line, a line allows no broker, certificates cannot be used or an address cannot be listened at.
pub async fn run(mut config: Config, shutdown: Shutdown) -> Result<(), String> {
    if config.lines.is_empty() {
        return Err("no line is given; a line begins with [line.NAME]".to_owned());
    }
    for line in &config.lines {
        if line.brokers.is_empty() {
            return Err(format!(
                "line.{}.brokers: the agent may connect to no broker; name them, for example [\"kafka[0-9]+:9092\"]",
                line.name
            ));
        }
    }
    let listener = match config.http {
        Some(address) => Some(tokio::net::TcpListener::bind(address).await.map_err(|error| {
            format!("service.http: cannot listen on {address}: {error}; choose another address")
        })?),
        None => None,
    };
    let lines = line::start(&mut config, End::Agent, &shutdown).await?;
    match listener {
        Some(listener) => http::serve(listener, Arc::default(), lines, shutdown).await,
        None => shutdown.requested().await,
    }
    Ok(())
}
