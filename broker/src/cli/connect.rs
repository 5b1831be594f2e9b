//! Where the cluster is: the arguments every remote command takes.

use std::time::Duration;

use clap::Args;
use thalweg_client::{ClientConfig, Cluster, parse_bootstrap};

use super::error::CliError;
use super::time::parse_timeout;

/// Arguments of commands that talk to a cluster.
#[derive(Debug, Clone, Args)]
pub struct ConnectArgs {
    /// Brokers to ask first, as host:port,host:port
    #[arg(
        short = 'b',
        long,
        visible_alias = "brokers",
        env = "THALWEG_BOOTSTRAP",
        default_value = "127.0.0.1:9092",
        value_name = "HOST:PORT",
        global = true
    )]
    pub bootstrap_server: String,
    /// Longest time for one request with its retries, as 500ms, 30s, 2m
    #[arg(long, default_value = "30s", value_name = "DURATION", value_parser = parse_timeout, global = true)]
    pub timeout: Duration,
}

impl ConnectArgs {
    /// Connects to the first broker that answers.
    ///
    /// # Errors
    /// [`CliError::Usage`] for a malformed address, [`CliError::Client`] if no broker answers.
    pub async fn connect(&self) -> Result<Cluster, CliError> {
        let bootstrap =
            parse_bootstrap(&self.bootstrap_server).map_err(|error| CliError::Usage(error.to_string()))?;
        let config = ClientConfig {
            client_id: "thalweg-cli".to_owned(),
            connect_timeout: self.timeout.min(Duration::from_secs(5)),
            request_timeout: self.timeout,
            operation_timeout: self.timeout,
            ..ClientConfig::new(bootstrap)
        };
        Ok(Cluster::connect(config).await?)
    }
}
