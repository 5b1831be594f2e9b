//! `/schemas`, `/contexts` and `/v1/metadata`.

use axum::Router;
use axum::extract::{Path, State as Extract};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use super::subjects::deleted;
use super::{CONTENT_TYPE, Flags, Shared, answer, describe, is_set, page, shown};
use crate::registry::RegistryError;
use crate::registry::state::{AVRO, Deleted, State};

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/schemas", get(list))
        .route("/schemas/types", get(|| async { answer(Ok(json!([AVRO]))) }))
        .route("/schemas/ids/{id}", get(by_id))
        .route("/schemas/ids/{id}/schema", get(text))
        .route("/schemas/ids/{id}/subjects", get(subjects))
        .route("/schemas/ids/{id}/versions", get(versions))
        .route("/contexts", get(|| async { answer(Ok(json!(["."]))) }))
        .route("/v1/metadata/id", get(metadata_id))
        .route("/v1/metadata/version", get(metadata_version))
}

/// The text of a schema, as it was registered.
pub(super) fn plain(text: Result<String, RegistryError>) -> Response {
    match text {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => answer(Err(error)),
    }
}

fn id(text: &str) -> Result<i32, RegistryError> {
    text.parse()
        .map_err(|_| RegistryError::SchemaNotFound(format!("'{text}' is no id: ids are numbers")))
}

async fn list(Extract(shared): Extract<Shared>, flags: Flags) -> Response {
    let prefix = flags.get("subjectPrefix").map(String::as_str).unwrap_or_default();
    let state = shared.store.state();
    let is_last = |subject: &str, version: i32| {
        let last = state.versions(subject, deleted(&flags)).next_back();
        last.is_some_and(|last| last.version == version)
    };
    let wanted = state.all(deleted(&flags)).filter(|value| {
        value.subject.starts_with(prefix)
            && (!is_set(&flags, "latestOnly") || is_last(&value.subject, value.version))
    });
    let schemas: Vec<Value> = page(wanted, &flags)
        .into_iter()
        .map(|value| shown(value))
        .collect();
    answer(Ok(json!(schemas)))
}

async fn by_id(Extract(shared): Extract<Shared>, Path(text): Path<String>, flags: Flags) -> Response {
    let found = async {
        let id = id(&text)?;
        let look = |state: &State| {
            let value = state.schema(id)?;
            let mut shown = json!({ "schema": value.schema });
            describe(value, &mut shown);
            if is_set(&flags, "fetchMaxId") {
                shown["maxId"] = json!(state.next_id() - 1);
            }
            Ok(shown)
        };
        shared.store.ask(look).await
    };
    answer(found.await)
}

async fn text(Extract(shared): Extract<Shared>, Path(text): Path<String>) -> Response {
    let found = async {
        let id = id(&text)?;
        let look = |state: &State| state.schema(id).map(|value| value.schema.clone());
        shared.store.ask(look).await
    };
    plain(found.await)
}

async fn subjects(Extract(shared): Extract<Shared>, Path(text): Path<String>, flags: Flags) -> Response {
    let found = async {
        let id = id(&text)?;
        let look = |state: &State| {
            state.schema(id)?;
            let uses = state.all(deleted(&flags)).filter(|value| value.id == id);
            let mut subjects: Vec<&str> = uses.map(|value| value.subject.as_str()).collect();
            subjects.dedup();
            Ok(json!(page(subjects.into_iter(), &flags)))
        };
        shared.store.ask(look).await
    };
    answer(found.await)
}

async fn versions(Extract(shared): Extract<Shared>, Path(text): Path<String>, flags: Flags) -> Response {
    let found = async {
        let id = id(&text)?;
        let look = |state: &State| {
            state.schema(id)?;
            let uses = state.all(deleted(&flags)).filter(|value| value.id == id);
            let uses = uses.map(|value| json!({ "subject": value.subject, "version": value.version }));
            Ok(json!(page(uses, &flags)))
        };
        shared.store.ask(look).await
    };
    answer(found.await)
}

async fn metadata_id(Extract(shared): Extract<Shared>) -> Response {
    let clusters = json!({ "schema-registry-cluster": "thalweg-router" });
    let subjects = shared.store.state().subjects(Deleted::Hidden).count();
    answer(Ok(
        json!({ "id": "", "scope": { "path": [], "clusters": clusters }, "subjects": subjects }),
    ))
}

async fn metadata_version() -> Response {
    answer(Ok(
        json!({ "version": env!("CARGO_PKG_VERSION"), "commitId": "" }),
    ))
}
