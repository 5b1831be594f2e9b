//! Kafka's APIs: one file per API key, one row per API in [`table`].
//!
//! To add an API: write `api/<name>.rs` with `handle(context, request)`, add `mod <name>;` here and a row in
//! `table.rs`. ApiVersions, dispatch, metrics and the early check of frames follow from the row.
//!
//! ```ignore
//! pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
//!     let body: HeartbeatRequest = decode(&request)?;                    // guarded; a malformed body closes
//!     // check → act → reply; what is awaited here delays the connection's next request (stage 1) …
//!     let header = request.header.clone();
//!     Ok(Reply::later(async move {
//!         // … what is awaited here does not (stage 2)
//!         respond(&header, &HeartbeatResponse::default())
//!     }))
//! }
//! ```
//!
//! Owns the wire structs of requests and responses; below `api`, only domain types. Handlers get a
//! [`Context`] of named handles. No `api/x.rs` imports another `api/y.rs`.

mod add_offsets_to_txn;
mod add_partitions_to_txn;
#[cfg(test)]
mod admin_test;
mod advertised;
mod alter_configs;
mod api_versions;
pub mod authorize;
pub mod codec;
mod config_resources;
pub mod context;
mod create_partitions;
mod create_topics;
mod decoding;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_topic_partitions;
mod describe_transactions;
mod end_txn;
pub mod errors;
mod exchange;
mod fetch;
mod fetch_progress;
mod find_coordinator;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_transactions;
mod metadata;
#[cfg(test)]
mod mirror_test;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod placement;
mod produce;
mod refusal;
pub mod reply;
pub mod request;
#[cfg(test)]
mod rules_test;
mod sync_group;
pub mod table;
#[cfg(test)]
#[path = "testing_test.rs"]
mod testing;
pub mod throttle;
mod transactional;
#[cfg(test)]
mod transactional_test;
#[cfg(test)]
mod transactions_test;
mod txn_offset_commit;
mod write_txn_markers;

use std::sync::Arc;

pub(crate) use advertised::advertised;
pub use authorize::{Access, Authorizer, Operation, Resource, ResourceType};
pub use codec::{decode, respond};
pub use context::Context;
pub use errors::ApiError;
pub use reply::{Reply, Response};
pub use request::{ClientSoftware, ConnectionInfo, Principal, Request, RequestHeader};
pub use throttle::{Charge, Throttle};

use futures::future::BoxFuture;

/// What a handler returns: stage 1 of the request, see [`Reply`].
pub type HandlerFuture = BoxFuture<'static, Result<Reply, ApiError>>;

/// One signature for all APIs.
pub type Handler = fn(Arc<Context>, Request) -> HandlerFuture;

/// What the network layer calls for every request of a version that the table admits.
pub type Dispatcher = Arc<dyn Fn(Request) -> HandlerFuture + Send + Sync>;

/// Returns the dispatcher over [`table::TABLE`].
#[must_use]
pub fn dispatcher(context: Arc<Context>) -> Dispatcher {
    Arc::new(move |request: Request| {
        let key = request.header.api_key;
        match table::row(key as i16) {
            Some(row) => (row.handler)(Arc::clone(&context), request),
            // The network layer asks the table before it reads the body, so this is a mistake of ours.
            None => Box::pin(async move { Err(ApiError::refused(format!("no handler for {key:?}"))) }),
        }
    })
}

/// Answers ApiVersions without a context, so that tests of the network layer need no broker behind it.
#[cfg(test)]
pub(crate) async fn answer_api_versions(request: Request) -> Result<Reply, ApiError> {
    api_versions::answer(&request)
}
