//! A broker without sockets for the tests of handlers: a request struct in, a response struct out, through the table's
//! row and the wire both ways.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::{Decodable, Encodable};
use thalweg_storage::disk::SimulatedDisk;
use thalweg_telemetry::Metrics;
use thalweg_wire::frame::response_header_version;

use super::errors::transaction_error_code;
use super::{
    ApiError, Authorizer, ConnectionInfo, Context, Dispatcher, Reply, Request, RequestHeader, Throttle,
    dispatcher, table,
};
use crate::broker_configs::BrokerConfigs;
use crate::budget::{BudgetSettings, MemoryBudget};
use crate::clock::Clock;
use crate::groups::tests::{Running, start};
use crate::partition::{DiskGate, FetchSessions, ProducerIds, TransactionGate};
use crate::transactions::{CoordinatorGate, TransactionParts, Transactions};

/// A broker on a simulated disk.
pub(super) struct TestBroker {
    pub(super) running: Running,
    pub(super) context: Arc<Context>,
    dispatch: Dispatcher,
    connection: Arc<ConnectionInfo>,
}

impl TestBroker {
    /// Starts on an empty disk, with the settings of the group tests.
    pub(super) fn start() -> Self {
        Self::start_on(&SimulatedDisk::new())
    }

    /// Starts on a disk that may hold what an earlier one left.
    pub(super) fn start_on(disk: &SimulatedDisk) -> Self {
        let running = start(disk);
        let budget = BudgetSettings::from_settings(&running.settings.current());
        Self::over(running, disk, budget, None)
    }

    /// Starts with this gate before transactions.
    pub(super) fn start_with_gate(gate: Arc<dyn TransactionGate>) -> Self {
        let disk = SimulatedDisk::new();
        let running = start(&disk);
        let budget = BudgetSettings::from_settings(&running.settings.current());
        Self::over(running, &disk, budget, Some(gate))
    }

    /// Starts with this much memory for requests and replies.
    pub(super) fn start_with_budget(total: u64) -> Self {
        let disk = SimulatedDisk::new();
        let budget = BudgetSettings {
            total,
            frame_max: total / 2,
            response_total_max: total / 4,
        };
        Self::over(start(&disk), &disk, budget, None)
    }

    fn over(
        running: Running,
        disk: &SimulatedDisk,
        budget: BudgetSettings,
        gate: Option<Arc<dyn TransactionGate>>,
    ) -> Self {
        let (topics, settings) = (running.topics.clone(), running.settings.clone());
        let metadata = topics.metadata().clone();
        let current = settings.current();
        let producer_ids = Arc::new(ProducerIds::new(metadata.clone()));
        let transactions = Transactions::start(TransactionParts {
            topics: topics.clone(),
            groups: running.groups.clone(),
            producer_ids: producer_ids.clone(),
            settings: settings.clone(),
            clock: Clock::System,
            shutdown: running.trigger.watcher(),
        });
        let coordinator = CoordinatorGate::new(transactions.clone(), transaction_error_code);
        let coordinator: Arc<dyn TransactionGate> = Arc::new(coordinator);
        let context = Context {
            settings: settings.clone(),
            clock: Clock::System,
            authorizer: Authorizer::allow_all(),
            throttle: Throttle::unlimited(),
            budget: MemoryBudget::new(budget),
            metrics: Metrics::new().unwrap(),
            topics: topics.clone(),
            broker_configs: Arc::new(BrokerConfigs::new(
                metadata.clone(),
                settings,
                topics,
                Clock::System,
            )),
            disk: Arc::new(disk.clone()),
            groups: running.groups.clone(),
            transactions,
            fetch_sessions: Arc::new(FetchSessions::from_settings(&current)),
            producer_ids,
            mirrors: Arc::default(),
            disk_gate: Arc::new(DiskGate::default()),
            transaction_gate: gate.unwrap_or(coordinator),
            stamp: running.stamp,
            shutdown: running.trigger.watcher(),
        };
        let connection = ConnectionInfo::new(1, ([127, 0, 0, 1], 5).into(), Arc::from("PLAINTEXT"));
        let context = Arc::new(context);
        Self {
            running,
            dispatch: dispatcher(context.clone()),
            context,
            connection: Arc::new(connection),
        }
    }

    /// Asks in one version and returns the answer.
    pub(super) async fn call<Q>(&self, version: i16, body: &Q) -> Q::Response
    where
        Q: kafka_protocol::protocol::Request + Encodable,
        Q::Response: Decodable,
    {
        let mut bytes = BytesMut::new();
        body.encode(&mut bytes, version).unwrap();
        self.call_raw::<Q>(version, bytes.freeze()).await
    }

    /// Asks with a body that may be of a version the message crate cannot write.
    pub(super) async fn call_raw<Q>(&self, version: i16, body: Bytes) -> Q::Response
    where
        Q: kafka_protocol::protocol::Request,
        Q::Response: Decodable,
    {
        let mut frame = match self.reply(Q::KEY, version, body).await.unwrap() {
            Reply::Ready(response) => response.frame.to_contiguous(),
            Reply::Later(later) => later.await.unwrap().frame.to_contiguous(),
            other => panic!("no response: {other:?}"),
        };
        assert_eq!(frame.get_i32() as usize, frame.len());
        assert_eq!(frame.get_i32(), 7);
        if response_header_version(Q::KEY, version) == Some(1) {
            assert_eq!(frame.get_u8(), 0, "no tagged fields in the header");
        }
        let decoded = Q::Response::decode(&mut frame, version).unwrap();
        assert!(frame.is_empty(), "{} bytes left", frame.len());
        decoded
    }

    /// Runs stage 1 of a request, as the network layer does.
    pub(super) async fn reply(&self, key: i16, version: i16, body: Bytes) -> Result<Reply, ApiError> {
        let row = table::row(key).unwrap();
        assert!(row.serves(version), "{} v{version}", row.name);
        let len = body.len() as u64;
        let request = Request {
            header: RequestHeader {
                api_key: ApiKey::try_from(key).unwrap(),
                api_version: version,
                correlation_id: 7,
                client_id: Some(Arc::from("test")),
            },
            memory: self.context.budget.acquire_request(len, len).await,
            body,
            connection: self.connection.clone(),
            received_at: Instant::now(),
        };
        (self.dispatch)(request).await
    }
}
