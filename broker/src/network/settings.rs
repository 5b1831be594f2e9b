//! What the network layer is configured with, read from the settings once at start.
//!
//! The limits on the number of connections are apart, because they can change while the broker runs.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use thalweg_settings::{SettingError, Settings};

/// Stands for "never" where a duration is added to an instant, which must not overflow.
const NEVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// How long a stop waits for owed replies: with what is stopped before and after, a stop stays under 10 s.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// Limits of every connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkSettings {
    /// `socket.request.max.bytes`: the largest frame, without its 4-byte length. Bytes.
    pub request_size_max: usize,
    /// `connections.max.idle.ms`: how long a connection may be silent while nothing is owed to it. At most 10
    /// years.
    pub idle_max: Duration,
    /// `connection.requests.in.flight.max`: requests of one connection that may wait for their replies; at
    /// least 1.
    pub in_flight_max: usize,
    /// How long a stop waits for replies that are owed, before connections are cut.
    pub drain_max: Duration,
    /// How many connections there may be at the start; see [`super::follow_settings`].
    pub connection_limits: ConnectionLimits,
    /// How many files the process may open, `None` if there is no limit; connections are kept below it.
    pub open_files_max: Option<u64>,
}

/// Name of the limit that the system sets, where `max.connections` does not set a lower one.
const OPEN_FILES_LIMIT: &str = "open files (ulimit -n)";

/// Most open files kept back from connections.
const FILES_RESERVE_MAX: u64 = 16_384;
/// Least, where the limit is twice that: segments, indexes, the write-ahead log, HTTP.
const FILES_RESERVE_MIN: u64 = 256;

/// How many connections there may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Of all listeners together: `max.connections`, or less, see [`ConnectionLimits::within_open_files`].
    pub total_max: usize,
    /// What sets `total_max`: the `limit` of metrics and log lines.
    pub total_limit: &'static str,
    /// `max.connections.per.ip`: from one address.
    pub per_ip_max: usize,
    /// `max.connections.per.ip.overrides`: exceptions from that.
    pub per_ip_overrides: HashMap<IpAddr, usize>,
}

/// One entry of `listeners`, and the socket options they share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerSettings {
    /// Its name, upper case, as `PLAINTEXT`.
    pub name: Arc<str>,
    /// Host name or address to bind; empty means every address of the machine.
    pub host: String,
    /// TCP port; 0 lets the system choose one (tests).
    pub port: u16,
    /// `socket.listen.backlog.size`: connections that may wait to be accepted.
    pub backlog: u32,
    /// `socket.send.buffer.bytes`; `None` leaves it to the system.
    pub send_buffer_size: Option<u32>,
    /// `socket.receive.buffer.bytes`; `None` leaves it to the system.
    pub receive_buffer_size: Option<u32>,
}

impl NetworkSettings {
    /// Reads the settings, for a process that may open `open_files_max` files.
    #[must_use]
    pub fn from_settings(settings: &Settings, open_files_max: Option<u64>) -> Self {
        let idle_ms = settings.connections_max_idle_ms();
        Self {
            request_size_max: to_usize(settings.socket_request_max_bytes()),
            // Negative: never, as in Kafka.
            idle_max: u64::try_from(idle_ms).map_or(NEVER, |ms| Duration::from_millis(ms).min(NEVER)),
            in_flight_max: to_usize(settings.connection_requests_in_flight_max()).max(1),
            drain_max: DRAIN_MAX,
            connection_limits: ConnectionLimits::from_settings(settings).within_open_files(open_files_max),
            open_files_max,
        }
    }
}

impl ConnectionLimits {
    /// Reads the settings; called again when a dynamic one changes.
    ///
    /// An exception whose address or count does not parse is left out and logged.
    #[must_use]
    pub fn from_settings(settings: &Settings) -> Self {
        let (per_ip_overrides, wrong) = parse_overrides(settings.max_connections_per_ip_overrides());
        if !wrong.is_empty() {
            tracing::warn!(
                entries = ?wrong,
                "max.connections.per.ip.overrides: these are not address:count and are not obeyed"
            );
        }
        Self {
            total_max: to_usize(settings.max_connections()),
            total_limit: "max.connections",
            per_ip_max: to_usize(settings.max_connections_per_ip()),
            per_ip_overrides,
        }
    }

    /// Lowers the limit of all connections to what the process may open, less a reserve for files: a quarter of
    /// `open_files_max`, at least 256 and at most 16,384, and never more than half. `None` is no limit.
    #[must_use]
    pub fn within_open_files(mut self, open_files_max: Option<u64>) -> Self {
        let Some(open_files) = open_files_max else {
            return self;
        };
        let reserve = (open_files / 4)
            .clamp(FILES_RESERVE_MIN, FILES_RESERVE_MAX)
            .min(open_files / 2);
        let most = usize::try_from(open_files - reserve).unwrap_or(usize::MAX);
        if most < self.total_max {
            self.total_max = most;
            self.total_limit = OPEN_FILES_LIMIT;
        }
        self
    }

    /// Returns the limit for one address.
    #[must_use]
    pub fn of_ip(&self, ip: IpAddr) -> usize {
        self.per_ip_overrides.get(&ip).copied().unwrap_or(self.per_ip_max)
    }
}

impl ListenerSettings {
    /// Reads `listeners` and the socket settings.
    ///
    /// # Errors
    /// None for settings that were built, see [`Settings::listen_addresses`].
    pub fn from_settings(settings: &Settings) -> Result<Vec<Self>, SettingError> {
        // −1 (and 0, which no kernel takes) leave the size to the system, which adapts it to the line.
        let buffer = |bytes: i32| u32::try_from(bytes).ok().filter(|bytes| *bytes > 0);
        let listeners = settings.listen_addresses()?.into_iter().map(|listener| Self {
            name: Arc::from(listener.name),
            host: listener.host,
            port: listener.port,
            backlog: settings.socket_listen_backlog_size(),
            send_buffer_size: buffer(settings.socket_send_buffer_bytes()),
            receive_buffer_size: buffer(settings.socket_receive_buffer_bytes()),
        });
        Ok(listeners.collect())
    }
}

fn to_usize(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// Parses `address:count,…`; returns the entries that do not parse beside those that do.
fn parse_overrides(text: &str) -> (HashMap<IpAddr, usize>, Vec<String>) {
    let mut limits = HashMap::new();
    let mut wrong = Vec::new();
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let parsed = entry.rsplit_once(':').and_then(|(address, count)| {
            let address = address.trim().trim_start_matches('[').trim_end_matches(']');
            Some((
                address.parse::<IpAddr>().ok()?.to_canonical(),
                count.trim().parse::<usize>().ok()?,
            ))
        });
        match parsed {
            Some((ip, count)) => {
                limits.insert(ip, count);
            }
            None => wrong.push(entry.to_owned()),
        }
    }
    (limits, wrong)
}

#[cfg(test)]
#[path = "settings_test.rs"]
mod tests;
