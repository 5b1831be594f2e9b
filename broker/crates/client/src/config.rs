//! Addresses and limits of the client.
//!
//! Every wait and every buffer of the crate is bounded by a field of [`ClientConfig`].

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::{Backoff, Dial};

/// Port of a broker when an address names none.
const DEFAULT_PORT: u16 = 9092;

/// Host and port of one broker, not yet resolved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// Host name or IP address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// The text is not a `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "'{text}' is not a broker address: {reason}; expected host:port, for example localhost:9092 or [::1]:9092"
)]
pub struct AddressError {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    /// Reads `host`, `host:port`, `[ipv6]` or `[ipv6]:port`. A listener name before `://` is accepted and ignored.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let fail = |reason| AddressError {
            text: text.to_owned(),
            reason,
        };
        let bare = text.trim();
        let bare = bare.split_once("://").map_or(bare, |(_, rest)| rest);
        let (host, port) = match bare.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest
                    .split_once(']')
                    .ok_or_else(|| fail("the closing bracket is missing"))?;
                match after.strip_prefix(':') {
                    Some(port) => (host, Some(port)),
                    None if after.is_empty() => (host, None),
                    None => return Err(fail("a port follows the bracket after a colon")),
                }
            }
            None => match bare.split_once(':') {
                Some((_, port)) if port.contains(':') => {
                    return Err(fail("an IPv6 address stands in brackets"));
                }
                Some((host, port)) => (host, Some(port)),
                None => (bare, None),
            },
        };
        if host.is_empty() {
            return Err(fail("the host is missing"));
        }
        let port = match port {
            Some(port) => port
                .parse()
                .map_err(|_| fail("the port is not a number from 1 to 65535"))?,
            None => DEFAULT_PORT,
        };
        if port == 0 {
            return Err(fail("the port is not a number from 1 to 65535"));
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

/// Reads a comma-separated list of addresses, as `bootstrap.servers` has it.
///
/// # Errors
/// [`AddressError`] for the first entry that is no address, or for an empty list.
pub fn parse_bootstrap(list: &str) -> Result<Vec<Address>, AddressError> {
    let addresses: Vec<Address> = list
        .split(',')
        .filter(|entry| !entry.trim().is_empty())
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    if addresses.is_empty() {
        return Err(AddressError {
            text: list.to_owned(),
            reason: "no address is given",
        });
    }
    Ok(addresses)
}

/// Where the cluster is, and the limits the client keeps.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Brokers to ask first; one that answers is enough.
    pub bootstrap: Vec<Address>,
    /// Name the brokers see (`client.id`).
    pub client_id: String,
    /// Longest wait for a TCP connection and for its ApiVersions handshake, each.
    pub connect_timeout: Duration,
    /// Longest wait for one answer. Calls that make the broker wait (a fetch's long poll) add that wait.
    pub request_timeout: Duration,
    /// Longest time an operation with its retries may take.
    pub operation_timeout: Duration,
    /// Largest answer that is read, in bytes.
    pub response_size_max: usize,
    /// Largest number of requests that wait for an answer on one connection.
    pub in_flight_max: usize,
    /// Waits between retries.
    pub backoff: Backoff,
    /// How brokers are reached; `None` for TCP.
    pub dialer: Option<Arc<dyn Dial>>,
}

impl ClientConfig {
    /// Returns the defaults for a client of the cluster at `bootstrap`.
    #[must_use]
    pub fn new(bootstrap: Vec<Address>) -> Self {
        Self {
            bootstrap,
            client_id: "thalweg".to_owned(),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            operation_timeout: Duration::from_secs(30),
            response_size_max: 104_857_600,
            in_flight_max: 64,
            backoff: Backoff::default(),
            dialer: None,
        }
    }
}

#[cfg(test)]
#[path = "config_test.rs"]
mod tests;
