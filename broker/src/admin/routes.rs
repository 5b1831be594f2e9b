//! The paths: what each answers, as text or JSON. GET (and HEAD) only.

use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{AdminParts, AdminState, health, json};

/// How long a scrape or a JSON answer may take, waiting for the scrape before it included.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) fn router(state: AdminState) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/v1/cluster", get(cluster))
        .route("/v1/topics", get(topics))
        .route("/v1/topics/{name}", get(topic))
        .route("/v1/groups", get(groups))
        .route("/v1/groups/{id}", get(group))
        .with_state(state)
}

/// A part of a list: at most `limit` entries whose name is above `after`.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Part {
    #[serde(default)]
    pub(super) after: Option<String>,
    #[serde(default)]
    pub(super) limit: Option<usize>,
}

async fn index() -> &'static str {
    "thalweg\n/metrics  /livez  /readyz\n/v1/cluster  /v1/topics  /v1/topics/NAME  /v1/groups  /v1/groups/ID\n"
}

/// Says that the process answers and that a new start would not help: a broker that recovers, stops or lacks space must
/// not be killed for it.
async fn livez(State(state): State<AdminState>) -> Response {
    match health::poisoned(&state.phase) {
        None => "ok\n".into_response(),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not alive\n- {why}\n")).into_response(),
    }
}

async fn readyz(State(state): State<AdminState>) -> Response {
    let found = health::readiness(&state.phase, &state.shutdown);
    let (status, title) = match (found.is_ready(), found.limits.is_empty()) {
        (true, true) => (StatusCode::OK, "ready"),
        (true, false) => (StatusCode::OK, "ready, with limits"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
    };
    let mut text = format!("{title}\n");
    for line in found.reasons.iter().chain(&found.limits) {
        text.push_str("- ");
        text.push_str(line);
        text.push('\n');
    }
    (status, text).into_response()
}

async fn metrics(State(state): State<AdminState>) -> Response {
    let scrape = async {
        let Ok(permit) = state.scraping.clone().acquire_owned().await else {
            return Err("scrapes are closed".to_owned());
        };
        let metrics = state.metrics.clone();
        // Some values are read from disk. The permit stays with the work even if nobody waits any more.
        let text = tokio::task::spawn_blocking(move || {
            let text = metrics.encode();
            drop(permit);
            text
        });
        match text.await {
            Ok(Ok(text)) => Ok(text),
            Ok(Err(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    };
    match tokio::time::timeout(ANSWER_TIMEOUT, scrape).await {
        Ok(Ok(text)) => ([(header::CONTENT_TYPE, METRICS_TYPE)], text).into_response(),
        Ok(Err(error)) => {
            tracing::error!(%error, "/metrics cannot be answered");
            (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response()
        }
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the scrape took too long\n").into_response(),
    }
}

async fn cluster(State(state): State<AdminState>) -> Response {
    let found = health::readiness(&state.phase, &state.shutdown);
    answer(&state, move |parts| Some(json::cluster(parts, &found))).await
}

async fn topics(State(state): State<AdminState>, Query(part): Query<Part>) -> Response {
    answer(&state, move |parts| Some(json::topics(parts, &part))).await
}

async fn topic(State(state): State<AdminState>, Path(name): Path<String>) -> Response {
    answer(&state, move |parts| json::topic(parts, &name)).await
}

async fn groups(State(state): State<AdminState>, Query(part): Query<Part>) -> Response {
    answer(&state, move |parts| Some(json::groups(parts, &part))).await
}

async fn group(State(state): State<AdminState>, Path(id): Path<String>) -> Response {
    answer(&state, move |parts| json::group(parts, &id)).await
}

/// Makes a JSON answer where it holds up nobody; `None` is 404.
async fn answer(
    state: &AdminState,
    make: impl FnOnce(&AdminParts) -> Option<Value> + Send + 'static,
) -> Response {
    let error = |status: StatusCode, text: &str| (status, Json(json!({ "error": text }))).into_response();
    let Some(parts) = state.phase.parts().cloned() else {
        let text = "the broker is recovering, see /readyz";
        return error(StatusCode::SERVICE_UNAVAILABLE, text);
    };
    let making = tokio::task::spawn_blocking(move || make(&parts));
    match tokio::time::timeout(ANSWER_TIMEOUT, making).await {
        Ok(Ok(Some(value))) => ([(header::CACHE_CONTROL, "no-store")], Json(value)).into_response(),
        Ok(Ok(None)) => error(StatusCode::NOT_FOUND, "there is nothing of this name"),
        Ok(Err(_)) => error(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be made"),
        Err(_) => error(StatusCode::SERVICE_UNAVAILABLE, "the answer took too long"),
    }
}
