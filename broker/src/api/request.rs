//! A request as a handler gets it: header, body, and who sent it.
//!
//! Owns the facts about the connection. The header's bytes are read by `thalweg_wire::frame`, the body by the
//! handler through [`super::decode`].

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use parking_lot::RwLock;
use thalweg_wire::frame::{FrameError, parse_request_header};

use crate::budget::MemoryPermit;

/// One request, complete. Dropping it gives its memory back to the budget.
#[derive(Debug)]
pub struct Request {
    /// What is asked, and in which version.
    pub header: RequestHeader,
    /// The bytes after the header, a view into the frame.
    pub body: Bytes,
    /// Who asks.
    pub connection: Arc<ConnectionInfo>,
    /// When the last byte of the frame was read.
    pub received_at: Instant,
    /// The budget's memory for the frame. A handler that keeps slices of the body keeps this beside them; one
    /// that waits without them drops the request first, so that a long poll holds no request memory.
    pub memory: MemoryPermit,
}

/// The header of a request, any version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// The API.
    pub api_key: ApiKey,
    /// The version of the body. Within the table's row, except for ApiVersions, which answers every version.
    pub api_version: i16,
    /// Number that the reply repeats.
    pub correlation_id: i32,
    /// `client.id` of the sender, if it gave one. Not authenticated.
    pub client_id: Option<Arc<str>>,
}

impl RequestHeader {
    /// Reads the header of a frame body and returns it with the message body after it, a view into the frame.
    ///
    /// `last_client_id` is what the connection sent before; it is shared if it is the same again.
    ///
    /// # Errors
    /// [`FrameError`] if the bytes are not a request header; the connection is closed.
    pub fn read(frame: &Bytes, last_client_id: Option<&Arc<str>>) -> Result<(Self, Bytes), FrameError> {
        let (header, body_position) = parse_request_header(frame)?;
        let api_key = ApiKey::try_from(header.api_key).map_err(|()| FrameError::UnknownApi {
            api_key: header.api_key,
        })?;
        let client_id = header.client_id.map(|id| match last_client_id {
            Some(last) if **last == *id => Arc::clone(last),
            _ => Arc::from(id),
        });
        let read = Self {
            api_key,
            api_version: header.api_version,
            correlation_id: header.correlation_id,
            client_id,
        };
        // The parser's position is inside the frame, so this cannot panic.
        Ok((read, frame.slice(body_position.min(frame.len())..)))
    }
}

/// Facts about the connection a request came in on. Shared by all of its requests.
#[derive(Debug)]
pub struct ConnectionInfo {
    /// Number of the connection, unique while the broker runs; in every log line about it.
    pub id: u64,
    /// The other end.
    pub peer: SocketAddr,
    /// Name of the listener it came in on (`listeners`), which decides the advertised address it is told.
    pub listener: Arc<str>,
    /// Who authenticated; changes when SASL succeeds or is repeated (KIP-368).
    principal: RwLock<Arc<Principal>>,
    /// Set by ApiVersions v3+ (KIP-511).
    client_software: RwLock<Option<Arc<ClientSoftware>>>,
}

impl ConnectionInfo {
    /// Returns the facts of a connection that has not authenticated.
    #[must_use]
    pub fn new(id: u64, peer: SocketAddr, listener: Arc<str>) -> Self {
        Self {
            id,
            peer,
            listener,
            principal: RwLock::new(Arc::new(Principal::anonymous())),
            client_software: RwLock::default(),
        }
    }

    /// Returns who the other end is.
    #[must_use]
    pub fn principal(&self) -> Arc<Principal> {
        Arc::clone(&self.principal.read())
    }

    /// Notes who the other end proved to be.
    pub fn set_principal(&self, principal: Principal) {
        *self.principal.write() = Arc::new(principal);
    }

    /// Returns the client library, if it said so.
    #[must_use]
    pub fn client_software(&self) -> Option<Arc<ClientSoftware>> {
        self.client_software.read().clone()
    }

    /// Notes the client library.
    pub fn set_client_software(&self, software: ClientSoftware) {
        *self.client_software.write() = Some(Arc::new(software));
    }
}

impl fmt::Display for ConnectionInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "connection {} from {} on {}",
            self.id, self.peer, self.listener
        )
    }
}

/// Who makes a request: Kafka's principal, type and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal {
    /// `User` for people and programs.
    pub principal_type: Arc<str>,
    /// The name in that type.
    pub name: Arc<str>,
}

impl Principal {
    /// Nobody authenticated; `User:ANONYMOUS` in ACLs.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            principal_type: Arc::from("User"),
            name: Arc::from("ANONYMOUS"),
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.principal_type, self.name)
    }
}

/// Name and version of a client library (KIP-511), checked against its pattern: safe as a metric label or log
/// field.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientSoftware {
    /// For example `apache-kafka-java`.
    pub name: Box<str>,
    /// For example `4.3.0`.
    pub version: Box<str>,
}

#[cfg(test)]
#[path = "request_test.rs"]
mod tests;
