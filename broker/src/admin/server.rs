//! Connections of `http.listener`: how many, how long, how large.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{AdminState, routes};

/// Connections at a time; more wait to be accepted.
const CONNECTIONS_MAX: usize = 64;
/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Header fields of a request.
const HEADERS_MAX: usize = 64;
/// How long a request's head may take, and a connection may be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection may live; a scraper that keeps its connection opens a new one then.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(600);
/// How long `/readyz` still says why after a stop was asked for.
const GRACE: Duration = Duration::from_secs(30);
/// Pause after a failed accept, which is mostly a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves until the broker stops at once, or [`GRACE`] after a graceful stop began: orchestrators read `/readyz`
/// meanwhile. Dropping the future drops all connections.
pub async fn serve(listener: TcpListener, state: AdminState) {
    let local = listener.local_addr().ok().map(|address| address.ip());
    let is_loopback = local.is_some_and(|ip| ip.is_loopback());
    if !is_loopback {
        tracing::warn!(
            address = ?local,
            "http.listener is not a loopback address: whoever reaches it reads metrics, topic and group names \
             without a password; keep it inside a network you trust"
        );
    }
    let shutdown = state.shutdown.clone();
    let mut router = routes::router(state);
    if is_loopback {
        router = router.layer(from_fn(refuse_foreign_hosts));
    }
    let stop = async {
        tokio::select! {
            () = shutdown.forced() => {}
            () = async { shutdown.requested().await; tokio::time::sleep(GRACE).await } => {}
        }
    };
    tokio::select! {
        never = accept(&listener, &router) => match never {},
        () = stop => {}
    }
}

async fn accept(listener: &TcpListener, router: &Router) -> Infallible {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            // Never closed.
            std::future::pending().await
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "http.listener cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let router = router.clone();
        connections.spawn(async move {
            let _slot = slot;
            converse(stream, router).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn converse(stream: TcpStream, router: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    match tokio::time::timeout(CONNECTION_TIMEOUT, connection).await {
        Ok(Ok(())) | Err(_) => {}
        // Whoever speaks no HTTP, or left.
        Ok(Err(error)) => tracing::debug!(%error, "a connection of http.listener ended"),
    }
}

/// A web page must not read a loopback listener through a name of its own that it resolves to 127.0.0.1 (DNS
/// rebinding): on loopback the host is an address or `localhost`.
async fn refuse_foreign_hosts(request: Request, next: Next) -> Response {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|value| value.to_str().ok());
    if !host.is_none_or(is_local_name) {
        let text = "the Host of a request to a loopback http.listener is an address or localhost\n";
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

fn is_local_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(name, _)| name),
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
#[path = "server_test.rs"]
mod tests;
