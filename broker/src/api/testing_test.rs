//! A broker without sockets for the tests of handlers: a request struct in, a response struct out, through the table's
//! row and the wire both ways.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, BytesMut};
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::{Decodable, Encodable};
use thalweg_storage::disk::SimulatedDisk;
use thalweg_telemetry::Metrics;
use thalweg_wire::frame::response_header_version;

use super::{Authorizer, ConnectionInfo, Context, Reply, Request, RequestHeader, Throttle, table};
use crate::broker_configs::BrokerConfigs;
use crate::budget::{BudgetSettings, MemoryBudget};
use crate::clock::Clock;
use crate::groups::tests::{Running, start};
use crate::partition::{DiskGate, FetchSessions, ProducerIds};

/// A broker on a simulated disk.
pub(super) struct TestBroker {
    pub(super) running: Running,
    context: Arc<Context>,
    connection: Arc<ConnectionInfo>,
}

impl TestBroker {
    /// Starts on an empty disk, with the settings of the group tests.
    pub(super) fn start() -> Self {
        let disk = SimulatedDisk::new();
        let running = start(&disk);
        let (topics, settings) = (running.topics.clone(), running.settings.clone());
        let metadata = topics.metadata().clone();
        let current = settings.current();
        let context = Context {
            settings: settings.clone(),
            clock: Clock::System,
            authorizer: Authorizer::allow_all(),
            throttle: Throttle::unlimited(),
            budget: MemoryBudget::new(BudgetSettings::from_settings(&current)),
            metrics: Metrics::new().unwrap(),
            topics: topics.clone(),
            broker_configs: Arc::new(BrokerConfigs::new(
                metadata.clone(),
                settings,
                topics,
                Clock::System,
            )),
            disk: Arc::new(disk),
            groups: running.groups.clone(),
            fetch_sessions: Arc::new(FetchSessions::from_settings(&current)),
            producer_ids: Arc::new(ProducerIds::new(metadata)),
            disk_gate: Arc::new(DiskGate::default()),
            stamp: running.stamp,
            shutdown: running.trigger.watcher(),
        };
        let connection = ConnectionInfo::new(1, ([127, 0, 0, 1], 5).into(), Arc::from("PLAINTEXT"));
        Self {
            running,
            context: Arc::new(context),
            connection: Arc::new(connection),
        }
    }

    /// Asks in one version and returns the answer.
    pub(super) async fn call<Q>(&self, version: i16, body: &Q) -> Q::Response
    where
        Q: kafka_protocol::protocol::Request + Encodable,
        Q::Response: Decodable,
    {
        let row = table::row(Q::KEY).unwrap();
        assert!(row.serves(version), "{} v{version}", row.name);
        let mut bytes = BytesMut::new();
        body.encode(&mut bytes, version).unwrap();
        let request = Request {
            header: RequestHeader {
                api_key: ApiKey::try_from(Q::KEY).unwrap(),
                api_version: version,
                correlation_id: 7,
                client_id: Some(Arc::from("test")),
            },
            memory: self
                .context
                .budget
                .acquire_request(bytes.len() as u64, bytes.len() as u64)
                .await,
            body: bytes.freeze(),
            connection: self.connection.clone(),
            received_at: Instant::now(),
        };
        let response = match (row.handler)(self.context.clone(), request).await.unwrap() {
            Reply::Ready(response) => response,
            Reply::Later(later) => later.await.unwrap(),
            other => panic!("no response: {other:?}"),
        };
        let mut frame = response.frame.to_contiguous();
        assert_eq!(frame.get_i32() as usize, frame.len());
        assert_eq!(frame.get_i32(), 7);
        if response_header_version(Q::KEY, version) == Some(1) {
            assert_eq!(frame.get_u8(), 0, "no tagged fields in the header");
        }
        let decoded = Q::Response::decode(&mut frame, version).unwrap();
        assert!(frame.is_empty(), "{} bytes left", frame.len());
        decoded
    }
}
