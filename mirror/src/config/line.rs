//! Lines in the file: how the agents of two rooms meet, and what may pass.

use std::net::SocketAddr;
use std::path::PathBuf;

use regex::Regex;
use serde::Deserialize;
use thalweg_client::Address;
use toml::Spanned;

use super::{Bounds, Check};
use crate::line::{Compression, TlsFiles, WINDOW_LOG_MAX};

/// Who dials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meeting {
    /// The other end dials here.
    Listen(SocketAddr),
    /// This end dials there.
    Dial(Address),
}

/// One line, as one end has it.
#[derive(Clone, Debug)]
pub struct LineConfig {
    /// Its name, the same at both ends.
    pub name: String,
    /// Who dials.
    pub meeting: Meeting,
    /// Connections that the end which dials keeps.
    pub connections: usize,
    /// How what this end sends is compressed; `None` for not at all.
    pub compression: Option<Compression>,
    /// What this end may send per second over all connections, in bytes; `None` for no limit.
    pub bytes_per_second: Option<u64>,
    /// Brokers that the agent connects to for the other end: one of these fits the whole `host:port`.
    pub brokers: Vec<Regex>,
    /// Certificates; `None` for none.
    pub tls: Option<TlsFiles>,
}

const CONNECTIONS: Bounds = Bounds(1, 16);
const CONNECTIONS_DEFAULT: usize = 2;
const LEVEL: Bounds = Bounds(1, 19);
const LEVEL_DEFAULT: i32 = 3;
const WINDOW_MIB: Bounds = Bounds(1, 1 << (WINDOW_LOG_MAX - 20));
const WINDOW_MIB_DEFAULT: i64 = 16;
/// A frame must come through while the other end still waits for it.
const BYTES_PER_SECOND: Bounds = Bounds(64 << 10, i64::MAX);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LineText {
    listen: Option<Spanned<String>>,
    dial: Option<Spanned<String>>,
    connections: Option<Spanned<i64>>,
    #[serde(default)]
    compression: CompressionText,
    level: Option<Spanned<i64>>,
    window_mib: Option<Spanned<i64>>,
    bytes_per_second: Option<Spanned<i64>>,
    #[serde(default)]
    brokers: Vec<Spanned<String>>,
    tls: Option<TlsText>,
    #[serde(default)]
    insecure: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum CompressionText {
    #[default]
    Zstd,
    None,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TlsText {
    certificate: PathBuf,
    key: PathBuf,
    ca: PathBuf,
    server_name: Option<String>,
}

impl Check<'_> {
    pub(super) fn line(&mut self, name: Spanned<String>, line: LineText) -> LineConfig {
        let key = |key: &str| format!("line.{}.{key}", name.get_ref());
        self.name(&name, "line");
        let meeting = self.meeting(&name, &line);
        if !line.insecure && line.tls.is_none() && !is_local(&meeting) {
            let said = format!(
                "line.{}: records would cross the network readable, and anybody could join; give it certificates in \
                 [line.{}.tls], or say insecure = true",
                name.get_ref(),
                name.get_ref()
            );
            self.note(&name.span(), said);
        }
        let level = self.bounded(&key("level"), line.level, LEVEL);
        let window = self.bounded(&key("window_mib"), line.window_mib, WINDOW_MIB);
        let compression = (line.compression == CompressionText::Zstd).then(|| Compression {
            level: level
                .and_then(|level| i32::try_from(level).ok())
                .unwrap_or(LEVEL_DEFAULT),
            // The next power of two, so that what is asked for is there.
            window_log: 20
                + (window.unwrap_or(WINDOW_MIB_DEFAULT) as u64)
                    .next_power_of_two()
                    .ilog2(),
        });
        let connections = self.bounded(&key("connections"), line.connections, CONNECTIONS);
        let rate = self.bounded(&key("bytes_per_second"), line.bytes_per_second, BYTES_PER_SECOND);
        LineConfig {
            meeting,
            connections: connections
                .and_then(|count| usize::try_from(count).ok())
                .unwrap_or(CONNECTIONS_DEFAULT),
            compression,
            bytes_per_second: rate.and_then(|rate| u64::try_from(rate).ok()),
            brokers: self.patterns(&key("brokers"), line.brokers),
            tls: line.tls.map(|tls| TlsFiles {
                certificate: tls.certificate,
                key: tls.key,
                ca: tls.ca,
                server_name: tls.server_name,
            }),
            name: name.into_inner(),
        }
    }

    fn meeting(&mut self, name: &Spanned<String>, line: &LineText) -> Meeting {
        let nowhere = Meeting::Listen(SocketAddr::from(([127, 0, 0, 1], 0)));
        let named = name.get_ref();
        match (&line.listen, &line.dial) {
            (Some(listen), None) => match listen.get_ref().parse() {
                Ok(address) => Meeting::Listen(address),
                Err(_) => {
                    let said = format!(
                        "line.{named}.listen: '{}' is not an address such as 0.0.0.0:7400",
                        listen.get_ref()
                    );
                    self.note(&listen.span(), said);
                    nowhere
                }
            },
            (None, Some(dial)) => match dial.get_ref().parse() {
                Ok(address) => Meeting::Dial(address),
                Err(error) => {
                    let said = format!("line.{named}.dial: {error}");
                    self.note(&dial.span(), said);
                    nowhere
                }
            },
            _ => {
                let said = format!(
                    "line.{named}: one of listen and dial is needed, and the other end has the other one"
                );
                self.note(&name.span(), said);
                nowhere
            }
        }
    }
}

fn is_local(meeting: &Meeting) -> bool {
    match meeting {
        Meeting::Listen(address) => address.ip().is_loopback(),
        Meeting::Dial(address) => {
            let ip: Option<std::net::IpAddr> = address.host.parse().ok();
            address.host == "localhost" || ip.is_some_and(|ip| ip.is_loopback())
        }
    }
}
