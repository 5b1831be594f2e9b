//! Over real sockets on 127.0.0.1: what a client sees of order, limits, silence and the stop.
//!
//! The requests are ApiVersions v0 frames whose body is a command for the test's own dispatcher ([`Script`]),
//! so that stages can be steered; `api_versions_test.rs` goes through the real API table.

mod api_versions_test;
mod limits_test;
mod order_test;
mod stop_test;
mod time_test;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use thalweg_settings::{Profile, Settings};
use thalweg_telemetry::{Metrics, Phase, Shutdown, ShutdownTrigger, shutdown_channel};
use thalweg_wire::frame::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::*;
use crate::api::{ApiError, Dispatcher, Reply, Request, Response};
use crate::budget::{BudgetSettings, MemoryBudget};
use crate::live_settings::LiveSettings;

const MIB: u64 = 1 << 20;

/// Long enough for anything that is meant to happen.
const SOON: Duration = Duration::from_secs(10);

/// Long enough to believe that something does not happen.
const NEVER: Duration = Duration::from_millis(80);

/// What the test and its dispatcher share.
#[derive(Clone)]
struct Script {
    /// Correlation ids, in the order in which stage 1 saw them.
    handled: Arc<Mutex<Vec<i32>>>,
    /// Each permit lets one `gate` reply go.
    gate: Arc<Semaphore>,
}

impl Script {
    fn new() -> Self {
        Self {
            handled: Arc::default(),
            gate: Arc::new(Semaphore::new(0)),
        }
    }

    fn handled_count(&self) -> usize {
        self.handled.lock().len()
    }

    fn dispatcher(&self) -> Dispatcher {
        let script = self.clone();
        Arc::new(move |request| {
            let script = script.clone();
            Box::pin(async move { script.obey(request).await })
        })
    }

    async fn obey(self, request: Request) -> Result<Reply, ApiError> {
        let id = request.header.correlation_id;
        let command = String::from_utf8_lossy(&request.body)
            .trim_end_matches('.')
            .to_owned();
        let (verb, number) = command.split_once(':').unwrap_or((&command, "0"));
        let number: u64 = number.parse().unwrap();
        if verb == "slow" {
            sleep(Duration::from_millis(number)).await;
        }
        self.handled.lock().push(id);
        match verb {
            "ready" | "slow" => Ok(response(id, b"ok").into()),
            "gate" => Ok(Reply::later(async move {
                self.gate.acquire().await.unwrap().forget();
                Ok(response(id, b"ok"))
            })),
            "big" => Ok(big_response(id, number as usize).into()),
            "none" => Ok(Reply::None {
                throttle: Duration::from_millis(number),
            }),
            "close" => Ok(Reply::Close("as told".to_owned())),
            "refuse" => Err(ApiError::refused("as told")),
            "answer" => Err(response(id, b"early").into()),
            "panic" => panic!("as told"),
            "panic-later" => Ok(Reply::later(async { panic!("as told") })),
            "throttle" => Ok(response(id, b"ok")
                .throttled(Duration::from_millis(number))
                .into()),
            other => Err(ApiError::refused(format!("unknown command {other}"))),
        }
    }
}

/// A response of several parts.
fn response(id: i32, body: &'static [u8]) -> Response {
    let size = (4 + body.len()) as i32;
    let parts = vec![
        size.to_be_bytes().to_vec().into(),
        id.to_be_bytes().to_vec().into(),
        Bytes::from_static(body),
    ];
    let len = parts.iter().map(Bytes::len).sum();
    Response::new(Frame { parts, len })
}

/// `size` bytes in parts of 10,000, each byte telling its position.
fn big_response(id: i32, size: usize) -> Response {
    let body: Vec<u8> = (0..size).map(|position| (position % 251) as u8).collect();
    let mut parts: Vec<Bytes> = vec![
        ((4 + size) as i32).to_be_bytes().to_vec().into(),
        id.to_be_bytes().to_vec().into(),
    ];
    let body = Bytes::from(body);
    parts.extend(
        (0..size)
            .step_by(10_000)
            .map(|from| body.slice(from..(from + 10_000).min(size))),
    );
    let len = parts.iter().map(Bytes::len).sum();
    Response::new(Frame { parts, len })
}

/// A network layer on a port of its own.
struct Server {
    address: SocketAddr,
    budget: MemoryBudget,
    metrics: Metrics,
    trigger: ShutdownTrigger,
    task: JoinHandle<()>,
    handles: Arc<ServeHandles>,
}

/// What differs between the tests.
struct Setup {
    settings: NetworkSettings,
    budget: u64,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            settings: usual(),
            budget: 512 * MIB,
        }
    }
}

impl Server {
    async fn start(setup: Setup, dispatcher: Dispatcher) -> Self {
        let (trigger, shutdown) = shutdown_channel();
        Self::start_with(setup, dispatcher, (trigger, shutdown)).await
    }

    async fn start_with(
        setup: Setup,
        dispatcher: Dispatcher,
        (trigger, shutdown): (ShutdownTrigger, Shutdown),
    ) -> Self {
        let budget = MemoryBudget::new(BudgetSettings {
            total: setup.budget,
            frame_max: setup.settings.request_size_max as u64,
            response_total_max: setup.budget,
        });
        let metrics = Metrics::new().unwrap();
        let network_metrics = NetworkMetrics::new(&metrics, &budget).unwrap();
        let listener = Listener::bind(&any_port()).await.unwrap();
        let address = listener.local_address();
        let handles = ServeHandles::new(
            setup.settings,
            budget.clone(),
            dispatcher,
            network_metrics,
            shutdown,
        );
        let handles = Arc::new(handles);
        let task = tokio::spawn(listener::serve(vec![listener], handles.clone()));
        Self {
            handles,
            address,
            budget,
            metrics,
            trigger,
            task,
        }
    }

    async fn connect(&self) -> Client {
        Client {
            stream: TcpStream::connect(self.address).await.unwrap(),
        }
    }
}

fn any_port() -> ListenerSettings {
    ListenerSettings {
        name: Arc::from("PLAINTEXT"),
        host: "127.0.0.1".to_owned(),
        port: 0,
        backlog: 50,
        send_buffer_size: Some(102_400),
        receive_buffer_size: Some(102_400),
    }
}

/// What the broker starts with unless a test needs something else.
fn usual() -> NetworkSettings {
    NetworkSettings::from_settings(&Settings::defaults(Profile::Serve), None)
}

/// A request frame: ApiVersions v0, client id "t", the command as its body.
fn request(id: i32, command: &str) -> Vec<u8> {
    raw_request((18, 0), id, command.as_bytes())
}

fn raw_request((key, version): (i16, i16), id: i32, body: &[u8]) -> Vec<u8> {
    let mut bytes = ((8 + 3 + body.len()) as i32).to_be_bytes().to_vec();
    bytes.extend(key.to_be_bytes());
    bytes.extend(version.to_be_bytes());
    bytes.extend(id.to_be_bytes());
    bytes.extend([0, 1, b't']);
    bytes.extend(body);
    bytes
}

struct Client {
    stream: TcpStream,
}

impl Client {
    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Reads one response: correlation id and the rest.
    async fn receive(&mut self) -> (i32, Vec<u8>) {
        timeout(SOON, async {
            let size = self.stream.read_i32().await.unwrap();
            let id = self.stream.read_i32().await.unwrap();
            let mut body = vec![0; size as usize - 4];
            self.stream.read_exact(&mut body).await.unwrap();
            (id, body)
        })
        .await
        .expect("a response in time")
    }

    async fn receive_id(&mut self) -> i32 {
        self.receive().await.0
    }

    async fn receives_nothing(&mut self) {
        let mut byte = [0];
        assert!(
            timeout(NEVER, self.stream.read(&mut byte)).await.is_err(),
            "nothing should have come"
        );
    }

    /// The broker closes; a reset counts, since the test may have sent more than was read.
    async fn is_closed(&mut self) {
        let mut rest = Vec::new();
        let closed = timeout(SOON, self.stream.read_to_end(&mut rest))
            .await
            .expect("closed in time");
        assert!(
            closed.is_err() || rest.is_empty(),
            "{} bytes came instead of the end",
            rest.len()
        );
    }
}

/// Waits for a state that other tasks bring about.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < SOON, "not in time: {what}");
        sleep(Duration::from_millis(2)).await;
    }
}
