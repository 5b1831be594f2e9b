//! The REST interface of the schema registry, as its stock clients expect it, and the router's own `/metrics`, `/livez`.
//!
//! Answers are JSON of the type [`CONTENT_TYPE`]; a refusal is `{"error_code": …, "message": …}`. Bodies are bounded by
//! [`BODY_BYTES_MAX`]. There is no password: whoever reaches the port may read and write schemas.

mod schemas;
mod settings;
mod subjects;

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use thalweg_telemetry::Shutdown;
use tokio::net::TcpListener;

use crate::metrics::RouterMetrics;
use crate::registry::RegistryError;
use crate::registry::record::SchemaValue;
use crate::registry::state::VersionQuery;
use crate::registry::store::Store;

/// The type of every answer of the registry.
pub const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";
/// Largest body of a request, in bytes: a schema of the largest size, escaped.
pub const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What handlers share.
#[derive(Clone)]
struct Shared {
    store: Arc<Store>,
    metrics: RouterMetrics,
}

/// The query of a request; what an endpoint does not know is ignored, as clients expect.
type Flags = axum::extract::Query<HashMap<String, String>>;
/// The body of a request, if it is not too long.
type Body = Result<Bytes, BytesRejection>;
/// What a handler returns.
type Answer = Result<Value, RegistryError>;

/// Serves until the process stops.
///
/// # Errors
/// A sentence for people, if the listener fails.
pub async fn serve(
    listener: TcpListener,
    store: Arc<Store>,
    metrics: RouterMetrics,
    shutdown: Shutdown,
) -> Result<(), String> {
    let is_loopback = listener
        .local_addr()
        .is_ok_and(|address| address.ip().is_loopback());
    let mut router = router(Shared { store, metrics });
    if is_loopback {
        router = router.layer(from_fn(refuse_foreign_hosts));
    } else {
        tracing::warn!(
            "--listen is not a loopback address: whoever reaches it reads and writes schemas without a password; keep it \
             inside a network you trust"
        );
    }
    let stopped = async move { shutdown.requested().await };
    tokio::select! {
        served = axum::serve(listener, router) => served.map_err(|error| format!("HTTP ended: {error}")),
        () = stopped => Ok(()),
    }
}

fn router(shared: Shared) -> Router {
    let counted = from_fn_with_state(shared.clone(), count);
    Router::new()
        .route("/", get(|| async { answer(Ok(json!({}))) }))
        .merge(subjects::routes())
        .merge(schemas::routes())
        .merge(settings::routes())
        .fallback(|| async {
            let message = "there is no such path, or not with this method";
            refusal(StatusCode::NOT_FOUND, 404, message)
        })
        .layer(counted)
        .route("/metrics", get(metrics))
        .route("/livez", get(|| async { "ok\n" }))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(shared)
}

async fn count(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let response = next.run(request).await;
    let status = response.status();
    if let Some(series) = shared.metrics.requests.with(&[method.as_str(), status.as_str()]) {
        series.inc();
    }
    response
}

/// A web page must not reach a loopback listener, neither through a name of its own (DNS rebinding) nor by a form.
async fn refuse_foreign_hosts(request: Request, next: Next) -> Response {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let is_local = host.is_none_or(|host| {
        let name = match host.strip_prefix('[') {
            Some(rest) => rest.split_once(']').map_or("", |(name, _)| name),
            None => host.split_once(':').map_or(host, |(name, _)| name),
        };
        name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok()
    });
    if !is_local || request.headers().contains_key(header::ORIGIN) {
        let message =
            "the Host of a request to a loopback --listen is an address or localhost, and it has no Origin";
        return refusal(StatusCode::FORBIDDEN, 403, message);
    }
    next.run(request).await
}

async fn metrics(State(shared): State<Shared>) -> Response {
    match shared.metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, METRICS_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

fn refusal(status: StatusCode, code: u32, message: &str) -> Response {
    let body = json!({ "error_code": code, "message": message });
    (status, [(header::CONTENT_TYPE, CONTENT_TYPE)], body.to_string()).into_response()
}

fn answer(answer: Answer) -> Response {
    match answer {
        Ok(value) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], value.to_string()).into_response(),
        Err(error) => {
            let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            refusal(status, error.code(), &error.to_string())
        }
    }
}

/// Reads a body; its type is not asked for, as clients differ in it.
fn read<T: DeserializeOwned>(body: Body) -> Result<T, RegistryError> {
    let bytes = body.map_err(|error| {
        RegistryError::BadRequest(format!(
            "{}; a body has at most {BODY_BYTES_MAX} bytes",
            error.body_text()
        ))
    })?;
    serde_json::from_slice(&bytes).map_err(|error| RegistryError::BadRequest(error.to_string()))
}

fn is_set(flags: &Flags, name: &str) -> bool {
    flags
        .get(name)
        .is_some_and(|value| value.is_empty() || value.eq_ignore_ascii_case("true"))
}

/// Cuts a list by `offset` and `limit`; a limit below zero is none.
fn page<T>(list: impl Iterator<Item = T>, flags: &Flags) -> Vec<T> {
    let number = |name: &str| flags.get(name).and_then(|value| value.parse::<i64>().ok());
    let offset = number("offset")
        .and_then(|offset| usize::try_from(offset).ok())
        .unwrap_or(0);
    let limit = number("limit")
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(usize::MAX);
    list.skip(offset).take(limit).collect()
}

fn version_query(text: &str) -> Result<VersionQuery, RegistryError> {
    match text {
        "latest" | "-1" => Ok(VersionQuery::Latest),
        number => match number.parse() {
            Ok(number) if number >= 1 => Ok(VersionQuery::Number(number)),
            _ => Err(RegistryError::InvalidVersion(number.to_owned())),
        },
    }
}

/// A schema as clients see it; the type and the references stand there only if they say something.
fn shown(value: &SchemaValue) -> Value {
    let mut shown = json!({
        "subject": value.subject,
        "version": value.version,
        "id": value.id,
        "schema": value.schema,
    });
    describe(value, &mut shown);
    shown
}

fn describe(value: &SchemaValue, shown: &mut Value) {
    if let Some(kind) = &value.schema_type {
        shown["schemaType"] = json!(kind);
    }
    if !value.references.is_empty() {
        shown["references"] = json!(value.references);
    }
    if value.deleted {
        shown["deleted"] = json!(true);
    }
}
