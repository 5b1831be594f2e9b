//! HTTP: metrics, health, and what operators see and ask. Small answers to a few readers; no secrets are behind it.
//!
//! | path | answer |
//! |---|---|
//! | `/metrics` | Prometheus text |
//! | `/livez` | 200 while the process answers |
//! | `/readyz` | 200 when every link has looked at both sides, else 503 and why |
//! | `/links` | every link, without its partitions |
//! | `/links/NAME/topics` | its partitions |
//! | `/lines` | what each line carried |
//! | `/links/NAME/groups` | groups whose offsets are copied, and whose they are |
//! | POST `/links/NAME/pause`, `/links/NAME/resume` | all topics, or `?topic=NAME`; not kept over a restart |
//! | POST `/links/NAME/promote?still_ms=N&abort_after_ms=N`, `/links/NAME/failover` | the same; done when each partition's `stop` is `promoted` |
//! | POST `/links/NAME/give-up` | the same: no planned promotion is wanted any more, and sealed sources open again |

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use thalweg_telemetry::Shutdown;
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::engine::Control;
use crate::line::Line;
use crate::metrics::LinkMetrics;
use crate::partition::{Promotion, State as PartitionState};
use crate::service::{LinkHandle, Links};
use crate::status::LinkStatus;

const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How long the source's end stands still before a planned promotion, when nothing else is asked for.
const STILL_MS: u64 = 5_000;
/// How long transactions that are open at a sealed source may go on, when nothing else is asked for.
const ABORT_AFTER_MS: u64 = 15_000;
/// Longest such wait.
const STILL_MS_MAX: u64 = 3_600_000;
/// Within this time a link renews its snapshot.
const NEXT_SNAPSHOT: Duration = Duration::from_secs(2);

#[derive(Clone)]
struct Shared {
    links: Links,
    lines: Arc<[Line]>,
    metrics: Arc<Mutex<LinkMetrics>>,
}

/// Serves until the process stops.
pub async fn serve(listener: TcpListener, links: Links, lines: Vec<Line>, shutdown: Shutdown) {
    let metrics = match LinkMetrics::new() {
        Ok(metrics) => Arc::new(Mutex::new(metrics)),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be set up: HTTP is not served");
            return;
        }
    };
    let is_loopback = listener
        .local_addr()
        .is_ok_and(|address| address.ip().is_loopback());
    let lines = lines.into();
    let mut router = router(Shared {
        links,
        lines,
        metrics,
    });
    if is_loopback {
        router = router.layer(from_fn(refuse_foreign_hosts));
    } else {
        tracing::warn!(
            "service.http is not a loopback address: whoever reaches it reads topic names and may pause links without \
             a password; keep it inside a network you trust"
        );
    }
    let stopped = async move { shutdown.requested().await };
    tokio::select! {
        served = axum::serve(listener, router) => {
            if let Err(error) = served {
                tracing::error!(%error, "HTTP ended");
            }
        }
        () = stopped => {}
    }
}

fn router(shared: Shared) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/links", get(links))
        .route("/lines", get(lines))
        .route("/links/{name}", get(link))
        .route("/links/{name}/topics", get(topics))
        .route("/links/{name}/groups", get(groups))
        .route("/links/{name}/pause", post(pause))
        .route("/links/{name}/resume", post(resume))
        .route("/links/{name}/promote", post(promote))
        .route("/links/{name}/failover", post(failover))
        .route("/links/{name}/give-up", post(give_up))
        .with_state(shared)
}

/// A web page must not reach a loopback listener through a name of its own (DNS rebinding).
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
    // A form of a web page sends its origin along; tools do not.
    let has_origin = request.headers().contains_key(header::ORIGIN);
    if !is_local || has_origin {
        let text = "the Host of a request to a loopback service.http is an address or localhost, and it has no Origin\n";
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    next.run(request).await
}

async fn metrics(State(shared): State<Shared>) -> Response {
    let groups = shared.links.values().map(|link| link.groups.borrow().clone());
    let all: Vec<_> = snapshots(&shared.links).into_iter().zip(groups).collect();
    // A poisoned lock leaves gauges that the next scrape sets again.
    let mut metrics = shared.metrics.lock().unwrap_or_else(PoisonError::into_inner);
    match metrics.text(&all, &shared.lines) {
        Ok(text) => ([(header::CONTENT_TYPE, METRICS_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn readyz(State(shared): State<Shared>) -> Response {
    let mut reasons = String::new();
    for link in snapshots(&shared.links) {
        match &link.trouble {
            Some(trouble) => reasons.push_str(&format!("- {trouble}\n")),
            None if !link.is_discovered => {
                reasons.push_str(&format!("- link '{}': its topics are not known yet\n", link.name));
            }
            None => {}
        }
    }
    match reasons.is_empty() {
        true => "ready\n".into_response(),
        false => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready\n{reasons}")).into_response(),
    }
}

async fn links(State(shared): State<Shared>) -> Json<Value> {
    let all: Vec<Value> = shared.links.values().map(summary).collect();
    Json(json!({ "links": all }))
}

async fn link(State(shared): State<Shared>, Path(name): Path<String>) -> Response {
    match shared.links.get(&name) {
        Some(link) => Json(summary(link)).into_response(),
        None => unknown(&name),
    }
}

async fn lines(State(shared): State<Shared>) -> Response {
    let all = shared.lines.iter();
    let all = all.map(|line| json!({ "name": line.name(), "carried": line.status() }));
    Json(json!({ "lines": all.collect::<Vec<_>>() })).into_response()
}

async fn topics(State(shared): State<Shared>, Path(name): Path<String>) -> Response {
    match shared.links.get(&name) {
        Some(link) => {
            let status = Arc::clone(&link.status.borrow());
            Json(json!({ "link": name, "partitions": status.partitions })).into_response()
        }
        None => unknown(&name),
    }
}

async fn groups(State(shared): State<Shared>, Path(name): Path<String>) -> Response {
    match shared.links.get(&name) {
        Some(link) => {
            let groups = Arc::clone(&link.groups.borrow().groups);
            Json(json!({ "link": name, "groups": *groups })).into_response()
        }
        None => unknown(&name),
    }
}

#[derive(Deserialize)]
struct Which {
    topic: Option<String>,
    still_ms: Option<u64>,
    abort_after_ms: Option<u64>,
}

async fn pause(shared: State<Shared>, name: Path<String>, Query(which): Query<Which>) -> Response {
    ask(&shared, &name, Control::Pause(which.topic.clone()), which.topic).await
}

async fn resume(shared: State<Shared>, name: Path<String>, Query(which): Query<Which>) -> Response {
    ask(&shared, &name, Control::Resume(which.topic.clone()), which.topic).await
}

async fn promote(shared: State<Shared>, name: Path<String>, Query(which): Query<Which>) -> Response {
    let ms = |given: Option<u64>, usual| Duration::from_millis(given.unwrap_or(usual).min(STILL_MS_MAX));
    let promotion = Promotion::Planned {
        still: ms(which.still_ms, STILL_MS),
        seal: Some(ms(which.abort_after_ms, ABORT_AFTER_MS)),
    };
    let control = Control::Promote(which.topic.clone(), promotion);
    ask(&shared, &name, control, which.topic).await
}

async fn failover(shared: State<Shared>, name: Path<String>, Query(which): Query<Which>) -> Response {
    let control = Control::Promote(which.topic.clone(), Promotion::Failover);
    ask(&shared, &name, control, which.topic).await
}

async fn give_up(shared: State<Shared>, name: Path<String>, Query(which): Query<Which>) -> Response {
    ask(&shared, &name, Control::GiveUp(which.topic.clone()), which.topic).await
}

async fn ask(shared: &Shared, name: &str, control: Control, topic: Option<String>) -> Response {
    let Some(link) = shared.links.get(name) else {
        return unknown(name);
    };
    let is_known = match &topic {
        Some(topic) => is_mirrored(link, topic).await,
        None => true,
    };
    if !is_known {
        let text = format!("link '{name}' mirrors no topic '{}'\n", topic.unwrap_or_default());
        return (StatusCode::NOT_FOUND, text).into_response();
    }
    match send(link, control).await {
        true => (StatusCode::ACCEPTED, "done\n").into_response(),
        false => (StatusCode::SERVICE_UNAVAILABLE, "the link does not run\n").into_response(),
    }
}

/// Whether the link has the topic. One that came a moment ago is in the next snapshot.
async fn is_mirrored(link: &LinkHandle, topic: &str) -> bool {
    let mut status = link.status.clone();
    let has = |status: &Arc<LinkStatus>| status.partitions.iter().any(|partition| partition.topic == topic);
    timeout(NEXT_SNAPSHOT, status.wait_for(has))
        .await
        .is_ok_and(|seen| seen.is_ok())
}

async fn send(link: &LinkHandle, control: Control) -> bool {
    link.control.send(control).await.is_ok()
}

fn unknown(name: &str) -> Response {
    (StatusCode::NOT_FOUND, format!("there is no link '{name}'\n")).into_response()
}

fn snapshots(links: &Links) -> Vec<Arc<LinkStatus>> {
    links
        .values()
        .map(|link| Arc::clone(&link.status.borrow()))
        .collect()
}

fn summary(handle: &LinkHandle) -> Value {
    let link: Arc<LinkStatus> = Arc::clone(&handle.status.borrow());
    let groups = handle.groups.borrow().clone();
    let states: serde_json::Map<String, Value> = PartitionState::ALL
        .iter()
        .map(|state| (state.name().to_owned(), json!(link.count(state.name()))))
        .collect();
    let lags = link.partitions.iter().map(|partition| partition.lag_offsets);
    json!({
        "name": link.name,
        "id": link.id,
        "source_cluster_id": link.source_cluster_id,
        "target_cluster_id": link.target_cluster_id,
        "trouble": link.trouble,
        "is_discovered": link.is_discovered,
        "warnings": link.warnings.iter().map(|(topic, warning)| json!({"topic": topic, "warning": warning})).collect::<Vec<_>>(),
        "refused": link.refused.iter().map(|(topic, reason)| json!({"topic": topic, "reason": reason})).collect::<Vec<_>>(),
        "partitions": link.partitions.len(),
        "states": states,
        "groups": groups,
        "groups_age_seconds": groups.age_seconds(),
        "lag_offsets": lags.map(Option::unwrap_or_default).sum::<i64>(),
        "lag_bytes": link.lag_bytes(),
        "eta_seconds": link.eta_seconds(),
        "bytes_per_second": link.partitions.iter().map(|partition| partition.bytes_per_second).fold(0.0, |all, rate| all + rate),
        "offsets_per_second": link.partitions.iter().map(|partition| partition.offsets_per_second).fold(0.0, |all, rate| all + rate),
        "lag_seconds_max": link.partitions.iter().map(|partition| partition.lag_seconds).fold(0.0, f64::max),
    })
}
