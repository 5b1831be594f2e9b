//! Listeners: `NAME://host:port`, with the security protocol of each name.

use std::collections::HashMap;

use crate::error::SettingError;
use crate::settings::Settings;

/// Most entries of one listener list.
const ENTRIES_MAX: usize = 64;

/// One address to listen on or to tell clients about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Listener {
    /// Name, in upper case.
    pub name: String,
    /// Protocol the name stands for.
    pub protocol: SecurityProtocol,
    /// Host name or address without brackets; empty means every address of the machine.
    pub host: String,
    /// Port; 0 lets the operating system choose (tests).
    pub port: u16,
}

/// How a connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SecurityProtocol {
    /// Neither encrypted nor authenticated.
    Plaintext,
    /// TLS.
    Ssl,
    /// SASL without encryption.
    SaslPlaintext,
    /// SASL inside TLS.
    SaslSsl,
}

impl SecurityProtocol {
    /// Returns Kafka's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Plaintext, Self::Ssl, Self::SaslPlaintext, Self::SaslSsl]
            .into_iter()
            .find(|protocol| protocol.name().eq_ignore_ascii_case(name))
    }
}

/// Cuts `host:port` apart; an IPv6 address stands in brackets. `None` if it has another form.
pub(crate) fn split_host_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port = if port.bytes().all(|b| b.is_ascii_digit()) {
        port.parse().ok()?
    } else {
        return None;
    };
    let host = match host.strip_prefix('[') {
        Some(rest) => {
            let inner = rest.strip_suffix(']')?;
            inner.parse::<std::net::Ipv6Addr>().ok()?;
            inner
        }
        None if host.contains(':') => return None,
        None => host,
    };
    let plain = host
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':'));
    plain.then_some((host, port))
}

/// Name, host and port of one entry.
fn split_entry(entry: &str) -> Option<(&str, &str, u16)> {
    let (name, address) = entry.split_once("://")?;
    let named = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    let (host, port) = split_host_port(address)?;
    named.then_some((name, host, port))
}

/// Checks the form of the entries, before names have a protocol.
pub(crate) fn check_shape(entries: &[String]) -> Result<(), String> {
    if entries.is_empty() {
        return Err("must have at least one entry of the form NAME://host:port".to_owned());
    }
    if entries.len() > ENTRIES_MAX {
        return Err(format!("must have at most {ENTRIES_MAX} entries"));
    }
    for (index, entry) in entries.iter().enumerate() {
        let Some((name, _, port)) = split_entry(entry) else {
            return Err(format!(
                "must be a list of NAME://host:port, and `{}` is not one",
                crate::error::shown(entry)
            ));
        };
        let earlier = || entries[..index].iter().filter_map(|entry| split_entry(entry));
        if earlier().any(|(other, _, _)| other.eq_ignore_ascii_case(name)) {
            return Err(format!("must not use the listener name {name} twice"));
        }
        if port != 0
            && earlier().any(|(_, host, other)| {
                other == port && split_entry(entry).is_some_and(|(_, mine, _)| mine == host)
            })
        {
            return Err(format!("must not use port {port} twice for one host"));
        }
    }
    Ok(())
}

/// Reads `address:count` entries; an IPv6 address may stand in brackets. `None` if one has another form.
pub(crate) fn connection_limits(text: &str) -> Option<Vec<(String, u32)>> {
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    entries
        .map(|entry| {
            let (address, count) = entry.rsplit_once(':')?;
            let count = if count.starts_with('+') {
                return None;
            } else {
                count.parse().ok()?
            };
            let address = address.trim_start_matches('[').trim_end_matches(']');
            (!address.is_empty()).then(|| (address.to_owned(), count))
        })
        .collect()
}

/// Reads `listener.security.protocol.map`.
fn protocol_map(settings: &Settings) -> Result<HashMap<String, SecurityProtocol>, SettingError> {
    let text = settings.listener_security_protocol_map();
    let mut map = HashMap::new();
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let pair = entry.rsplit_once(':').and_then(|(name, protocol)| {
            SecurityProtocol::from_name(protocol.trim())
                .map(|protocol| (name.trim().to_uppercase(), protocol))
        });
        let Some((name, protocol)) = pair else {
            return Err(SettingError::Conflict(format!(
                "listener.security.protocol.map: `{}` must be NAME:PROTOCOL with one of the protocols \
                 PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL",
                crate::error::shown(entry)
            )));
        };
        map.insert(name, protocol);
    }
    Ok(map)
}

fn read(key: &str, entries: &[String], settings: &Settings) -> Result<Vec<Listener>, SettingError> {
    let map = protocol_map(settings)?;
    let controllers = settings.controller_listener_names();
    let mut listeners = Vec::new();
    for entry in entries {
        // The shape was checked when the value was set.
        let Some((name, host, port)) = split_entry(entry) else {
            continue;
        };
        if controllers.iter().any(|other| other.eq_ignore_ascii_case(name)) {
            continue;
        }
        let name = name.to_uppercase();
        let Some(protocol) = map.get(&name).copied() else {
            return Err(SettingError::Conflict(format!(
                "{key}: listener name {name} has no protocol; add {name}:PLAINTEXT to \
                 listener.security.protocol.map"
            )));
        };
        listeners.push(Listener {
            name,
            protocol,
            host: host.to_owned(),
            port,
        });
    }
    Ok(listeners)
}

impl Settings {
    /// Returns the exceptions to `max.connections.per.ip`: host name or address, and count.
    #[must_use]
    pub fn connection_limits_by_address(&self) -> Vec<(String, u32)> {
        connection_limits(self.max_connections_per_ip_overrides()).unwrap_or_default()
    }

    /// Returns the addresses to listen on. Controllers' listeners are left out: there is no controller quorum.
    ///
    /// # Errors
    /// A name without a protocol. A built [`Settings`] has been checked, so there is none.
    pub fn listen_addresses(&self) -> Result<Vec<Listener>, SettingError> {
        read("listeners", self.listeners(), self)
    }

    /// Returns the addresses clients are told, one per listener and in the same order. An empty host stands for a
    /// name of the machine that the network layer finds out; port 0 becomes the bound port once that is known, see
    /// [`Self::with_bound_ports`].
    ///
    /// # Errors
    /// As [`Self::listen_addresses`].
    pub fn advertised_addresses(&self) -> Result<Vec<Listener>, SettingError> {
        let mut told = self.listen_addresses()?;
        if let Some(entries) = self.advertised_listeners() {
            let advertised = read("advertised.listeners", entries, self)?;
            for listener in &mut told {
                if let Some(other) = advertised.iter().find(|other| other.name == listener.name) {
                    listener.clone_from(other);
                }
            }
        }
        for listener in told.iter_mut().filter(|listener| listener.port == 0) {
            listener.port = self.bound_ports.get(&listener.name).copied().unwrap_or(0);
        }
        Ok(told)
    }

    /// Returns these settings with the ports that the listeners were bound to, by the listener's name. Snapshots made
    /// from it by dynamic changes keep them. The values of the keys stay as they were set.
    #[must_use]
    pub fn with_bound_ports(mut self, ports: impl IntoIterator<Item = (String, u16)>) -> Self {
        let ports = ports.into_iter();
        self.bound_ports = ports.map(|(name, port)| (name.to_uppercase(), port)).collect();
        self
    }

    /// Returns the advertised listeners as written, for the checks.
    pub(crate) fn advertised_as_written(&self) -> Result<Vec<Listener>, SettingError> {
        read(
            "advertised.listeners",
            self.advertised_listeners().unwrap_or_default(),
            self,
        )
    }
}

#[cfg(test)]
#[path = "listener_test.rs"]
mod tests;
