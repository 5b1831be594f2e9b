//! One connection to one broker: handshake, version negotiation, pipelined requests answered in order.
//!
//! Two tasks own the socket. The writer numbers requests and queues what it expects before it sends; the reader takes
//! answers in the same order, as the protocol demands. Invariant: an answer is given to the request with its
//! correlation id or to nobody; the first breach, time-out or socket error ends the connection and every waiting call.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse, RequestHeader};
use kafka_protocol::protocol::{Encodable, HeaderVersion, Request, StrBytes, VersionRange};
use thalweg_types::ErrorCode;
use thalweg_wire::guard::{GuardLimits, decode_response_as};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufWriter};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::frame::{FrameError, FrameReader};
use crate::versions::api_name;
use crate::{Address, ApiVersionTable, BrokerError, ClientConfig, ClientError, Resource};

/// Version of the first ApiVersions request (KIP-511): brokers that do not know it say so in version 0.
const API_VERSIONS_VERSION: i16 = 3;
/// Position of the correlation id in a request frame: after size, key and version.
const CORRELATION_ID_AT: std::ops::Range<usize> = 8..12;

/// A request on its way to the writer.
struct Outgoing {
    /// Whole frame; the writer fills in the correlation id.
    frame: BytesMut,
    answer: oneshot::Sender<Bytes>,
}

/// A request that waits for its answer.
struct Pending {
    correlation_id: i32,
    answer: oneshot::Sender<Bytes>,
}

struct Inner {
    address: String,
    client_id: StrBytes,
    request_timeout: Duration,
    limits: GuardLimits,
    versions: OnceLock<ApiVersionTable>,
    requests: mpsc::Sender<Outgoing>,
    /// Why the connection ended; set once, before the tasks end.
    ended: Arc<OnceLock<String>>,
    tasks: [AbortHandle; 2],
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// A connection to a broker. Clones share it; it closes with the last one.
#[derive(Clone)]
pub struct Connection {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("address", &self.inner.address)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects, over TCP unless the configuration has a [`Dial`](crate::Dial), and asks which versions the broker speaks.
    ///
    /// # Errors
    /// [`ClientError::Connect`] if nothing listens, the handshake fails or either takes longer than
    /// [`ClientConfig::connect_timeout`].
    pub async fn connect(address: &Address, config: &ClientConfig) -> Result<Self, ClientError> {
        let failed = |reason: String| ClientError::Connect {
            address: address.to_string(),
            reason,
        };
        let late = |_| {
            failed(format!(
                "no answer within {} ms",
                config.connect_timeout.as_millis()
            ))
        };
        let connection = match &config.dialer {
            Some(dialer) => {
                let stream = timeout(config.connect_timeout, dialer.dial(address))
                    .await
                    .map_err(late)?
                    .map_err(|error| failed(error.to_string()))?;
                Self::start(address.to_string(), config, tokio::io::split(stream))
            }
            None => {
                let dial = TcpStream::connect((address.host.as_str(), address.port));
                let stream = timeout(config.connect_timeout, dial)
                    .await
                    .map_err(late)?
                    .map_err(|error| failed(error.to_string()))?;
                // Requests are written whole, so waiting for more to send only adds delay.
                stream
                    .set_nodelay(true)
                    .map_err(|error| failed(error.to_string()))?;
                Self::start(address.to_string(), config, stream.into_split())
            }
        };
        match timeout(config.connect_timeout, connection.handshake()).await {
            Ok(Ok(())) => Ok(connection),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(failed(format!(
                "no ApiVersions answer within {} ms",
                config.connect_timeout.as_millis()
            ))),
        }
    }

    /// Starts the two tasks on an established byte stream.
    fn start<R, W>(address: String, config: &ClientConfig, (reader, writer): (R, W)) -> Self
    where
        R: AsyncRead + Unpin + Send + 'static,
        W: AsyncWrite + Unpin + Send + 'static,
    {
        let in_flight_max = config.in_flight_max.max(1);
        let (requests, outgoing) = mpsc::channel(in_flight_max);
        let (expect, expected) = mpsc::channel(in_flight_max);
        let ended = Arc::new(OnceLock::new());
        let frames = FrameReader::new(reader, config.response_size_max);
        let tasks = [
            tokio::spawn(write_requests(writer, outgoing, expect, Arc::clone(&ended))).abort_handle(),
            tokio::spawn(read_answers(frames, expected, Arc::clone(&ended))).abort_handle(),
        ];
        let inner = Inner {
            address,
            client_id: StrBytes::from_string(config.client_id.clone()),
            request_timeout: config.request_timeout,
            limits: GuardLimits::default(),
            versions: OnceLock::new(),
            requests,
            ended,
            tasks,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    async fn handshake(&self) -> Result<(), ClientError> {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("thalweg"))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        let mut response = self.ask_versions(API_VERSIONS_VERSION, &request).await?;
        if response.error_code == ErrorCode::UnsupportedVersion.code() {
            // The refusal names the versions the broker knows; an old one may say nothing, then 0 always works.
            let table = ApiVersionTable::from_response(&response);
            let ours = VersionRange {
                min: 0,
                max: API_VERSIONS_VERSION - 1,
            };
            let version = table
                .highest_common(ApiKey::ApiVersions as i16, ours)
                .unwrap_or(0);
            let request = if version < API_VERSIONS_VERSION {
                ApiVersionsRequest::default()
            } else {
                request
            };
            response = self.ask_versions(version, &request).await?;
        }
        BrokerError::check("ApiVersions", response.error_code, None, || Resource::Cluster)?;
        // Only this function sets it, once per connection.
        let _ = self.inner.versions.set(ApiVersionTable::from_response(&response));
        Ok(())
    }

    async fn ask_versions(
        &self,
        version: i16,
        request: &ApiVersionsRequest,
    ) -> Result<ApiVersionsResponse, ClientError> {
        let (name, body) = self
            .exchange(version, request, self.inner.request_timeout)
            .await?;
        // A broker that does not know the version answers in version 0 (KIP-511), whose body starts with the same code.
        let refused = body.get(..2) == Some(&ErrorCode::UnsupportedVersion.code().to_be_bytes()[..]);
        self.decode::<ApiVersionsRequest>(if refused { 0 } else { version }, name, body)
    }

    /// Returns the broker's address as it was given.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.inner.address
    }

    /// Returns what the broker offers.
    #[must_use]
    pub fn versions(&self) -> &ApiVersionTable {
        static NOTHING: std::sync::LazyLock<ApiVersionTable> =
            std::sync::LazyLock::new(ApiVersionTable::default);
        self.inner.versions.get().unwrap_or(&NOTHING)
    }

    /// Reports whether the connection has ended. One that has not may end at any moment.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.requests.is_closed() || self.inner.ended.get().is_some()
    }

    /// Returns the highest version of `R` that both sides speak, at most `max`.
    ///
    /// # Errors
    /// [`ClientError::Unsupported`] if there is none.
    pub fn negotiate<R: Request>(&self, max: i16) -> Result<i16, ClientError> {
        self.negotiate_range::<R>(R::VERSIONS.min, max)
    }

    /// Like [`Connection::negotiate`], but not below `min`, for requests that need a later field.
    ///
    /// # Errors
    /// [`ClientError::Unsupported`] if there is none.
    pub fn negotiate_range<R: Request>(&self, min: i16, max: i16) -> Result<i16, ClientError> {
        let ours = R::VERSIONS.intersect(&VersionRange { min, max });
        self.versions()
            .highest_common(R::KEY, ours)
            .ok_or_else(|| ClientError::Unsupported {
                address: self.inner.address.clone(),
                api: api_name(R::KEY),
                min: ours.min,
                max: ours.max,
                offered: self.versions().offered(R::KEY),
            })
    }

    /// Sends one request and waits for its answer, at most the connection's request timeout.
    ///
    /// Requests are answered in the order of the calls. Dropping the call leaves the request on its way.
    ///
    /// # Errors
    /// [`ClientError::Encode`], [`ClientError::Closed`], [`ClientError::Timeout`] (which ends the connection),
    /// [`ClientError::Malformed`].
    pub async fn send<R: Request>(&self, version: i16, request: &R) -> Result<R::Response, ClientError> {
        self.send_within(version, request, self.inner.request_timeout)
            .await
    }

    /// Like [`Connection::send`] for a request that makes the broker wait: `patience` is added to the timeout.
    ///
    /// # Errors
    /// Those of [`Connection::send`].
    pub async fn send_patiently<R: Request>(
        &self,
        version: i16,
        request: &R,
        patience: Duration,
    ) -> Result<R::Response, ClientError> {
        self.send_within(
            version,
            request,
            self.inner.request_timeout.saturating_add(patience),
        )
        .await
    }

    async fn send_within<R: Request>(
        &self,
        version: i16,
        request: &R,
        limit: Duration,
    ) -> Result<R::Response, ClientError> {
        let (api, body) = self.exchange(version, request, limit).await?;
        self.decode::<R>(version, api, body)
    }

    /// Sends a request and returns the bytes of its answer behind the correlation id.
    async fn exchange<R: Request>(
        &self,
        version: i16,
        request: &R,
        limit: Duration,
    ) -> Result<(&'static str, Bytes), ClientError> {
        let api = api_name(R::KEY);
        let frame = self.encode(version, request, api)?;
        let (answer, answered) = oneshot::channel();
        let round_trip = async {
            self.inner
                .requests
                .send(Outgoing { frame, answer })
                .await
                .map_err(|_| self.closed(api))?;
            answered.await.map_err(|_| self.closed(api))
        };
        match timeout(limit, round_trip).await {
            Ok(body) => Ok((api, body?)),
            Err(_) => {
                // Answers come in order, so nothing behind this one would arrive either.
                self.end(format!("{api} was not answered within {} ms", limit.as_millis()));
                Err(ClientError::Timeout {
                    address: self.inner.address.clone(),
                    api,
                    after: limit,
                })
            }
        }
    }

    fn encode<R: Request>(
        &self,
        version: i16,
        request: &R,
        api: &'static str,
    ) -> Result<BytesMut, ClientError> {
        let failed = |reason: String| ClientError::Encode { api, version, reason };
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_client_id(Some(self.inner.client_id.clone()));
        let mut frame = BytesMut::new();
        frame.extend_from_slice(&[0; 4]);
        header
            .encode(&mut frame, R::header_version(version))
            .map_err(|error| failed(error.to_string()))?;
        request
            .encode(&mut frame, version)
            .map_err(|error| failed(error.to_string()))?;
        let size = i32::try_from(frame.len().saturating_sub(4))
            .map_err(|_| failed(format!("{} bytes are more than a frame can hold", frame.len())))?;
        frame
            .get_mut(..4)
            .expect("four bytes for the size were written first")
            .copy_from_slice(&size.to_be_bytes());
        Ok(frame)
    }

    fn decode<R: Request>(
        &self,
        version: i16,
        api: &'static str,
        mut answer: Bytes,
    ) -> Result<R::Response, ClientError> {
        let malformed = |reason: String| {
            self.end(format!("malformed answer to {api}"));
            ClientError::Malformed {
                address: self.inner.address.clone(),
                api,
                version,
                reason,
            }
        };
        if <R::Response as HeaderVersion>::header_version(version) >= 1 {
            skip_tagged_fields(&mut answer)
                .ok_or_else(|| malformed("the header's tagged fields run past its end".to_owned()))?;
        }
        decode_response_as::<R>(version, answer, &self.inner.limits)
            .map_err(|error| malformed(error.to_string()))
    }

    /// Ends the connection: waiting calls get `reason`, later ones too.
    fn end(&self, reason: String) {
        let _ = self.inner.ended.set(reason);
        self.inner.tasks.iter().for_each(AbortHandle::abort);
    }

    fn closed(&self, api: &'static str) -> ClientError {
        let reason = self
            .inner
            .ended
            .get()
            .cloned()
            .unwrap_or_else(|| "the connection ended".to_owned());
        ClientError::Closed {
            address: self.inner.address.clone(),
            api,
            reason,
        }
    }
}

/// Numbers and writes requests; several that wait go out in one write.
async fn write_requests<W: AsyncWrite + Unpin>(
    writer: W,
    mut outgoing: mpsc::Receiver<Outgoing>,
    expect: mpsc::Sender<Pending>,
    ended: Arc<OnceLock<String>>,
) {
    let mut writer = BufWriter::with_capacity(16 * 1024, writer);
    let mut correlation_id: i32 = 0;
    while let Some(Outgoing { mut frame, answer }) = outgoing.recv().await {
        correlation_id = correlation_id.wrapping_add(1) & i32::MAX;
        if let Some(place) = frame.get_mut(CORRELATION_ID_AT) {
            place.copy_from_slice(&correlation_id.to_be_bytes());
        }
        // With the queue full the next send waits for an answer, so nothing it waits for may stay in the buffer.
        if expect.capacity() == 0 && writer.flush().await.is_err() {
            let _ = ended.set("the connection failed".to_owned());
            return;
        }
        // Queued before it is sent: the answer can be here before this task runs again.
        if expect
            .send(Pending {
                correlation_id,
                answer,
            })
            .await
            .is_err()
        {
            return;
        }
        let mut written = writer.write_all(&frame).await;
        if written.is_ok() && outgoing.is_empty() {
            written = writer.flush().await;
        }
        if let Err(error) = written {
            let _ = ended.set(error.to_string());
            return;
        }
    }
}

/// Says what a length beyond the limit means. Other protocols begin with bytes that make an absurd one.
fn wrong_size(size: i64) -> String {
    // A TLS record opens with its type (21 alert, 22 handshake) and the major version 3.
    let is_tls = matches!(size >> 16, 0x1503 | 0x1603);
    if size == i64::from(i32::from_be_bytes(*b"HTTP")) {
        "this is a web server's answer, not a Kafka broker's".to_owned()
    } else if is_tls {
        "the answer is TLS, which this client does not speak".to_owned()
    } else {
        format!("an answer of {size} bytes is beyond the limit")
    }
}

/// Hands answers out in the order of the requests. Ends at the first thing that is out of order.
async fn read_answers<R: AsyncRead + Unpin>(
    mut frames: FrameReader<R>,
    mut expected: mpsc::Receiver<Pending>,
    ended: Arc<OnceLock<String>>,
) {
    let reason = loop {
        let mut frame = match frames.next().await {
            Ok(frame) => frame,
            Err(FrameError::Eof) => break "the broker closed it".to_owned(),
            Err(FrameError::Io(error)) => break error.to_string(),
            Err(FrameError::Size { size }) => break wrong_size(size),
        };
        let Some(id) = frame
            .get(..4)
            .and_then(|bytes| bytes.try_into().ok())
            .map(i32::from_be_bytes)
        else {
            break "an answer is shorter than its correlation id".to_owned();
        };
        let Ok(Pending {
            correlation_id,
            answer,
        }) = expected.try_recv()
        else {
            break format!("an answer with correlation id {id} arrived that nobody asked for");
        };
        if id != correlation_id {
            break format!("an answer with correlation id {id} arrived instead of {correlation_id}");
        }
        // The caller may have given up; its answer is of no use to others.
        let _ = answer.send(frame.split_off(4));
    };
    let _ = ended.set(reason);
    // Dropping `expected` drops every waiting request, which wakes its caller.
}

/// Skips the tagged fields (KIP-482) of a response header. `None` if they run past the end.
fn skip_tagged_fields(answer: &mut Bytes) -> Option<()> {
    let count = take_varint(answer)?;
    for _ in 0..count {
        take_varint(answer)?;
        let size = usize::try_from(take_varint(answer)?).ok()?;
        if size > answer.len() {
            return None;
        }
        let _ = answer.split_to(size);
    }
    Some(())
}

/// Takes an unsigned varint of at most five bytes.
fn take_varint(answer: &mut Bytes) -> Option<u32> {
    let mut value: u32 = 0;
    for shift in [0u32, 7, 14, 21, 28] {
        let byte = *answer.first()?;
        let _ = answer.split_to(1);
        value |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
#[path = "connection_test.rs"]
mod tests;
