//! `/subjects` and `/compatibility`.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{delete, get, post};
use serde_json::{Value, json};

use super::{Body, Flags, Shared, answer, is_set, page, read, shown, version_query};
use crate::registry::RegistryError;
use crate::registry::changes::{self, Deletion, SchemaRequest};
use crate::registry::state::Deleted;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/subjects", get(list))
        .route("/subjects/{subject}", delete(remove).merge(post(look_up)))
        .route(
            "/subjects/{subject}/versions",
            get(versions).merge(post(register)),
        )
        .route(
            "/subjects/{subject}/versions/{version}",
            get(version).merge(delete(remove_version)),
        )
        .route("/subjects/{subject}/versions/{version}/schema", get(text))
        .route(
            "/subjects/{subject}/versions/{version}/referencedby",
            get(referenced_by),
        )
        .route(
            "/compatibility/subjects/{subject}/versions",
            post(compatible_with_level),
        )
        .route(
            "/compatibility/subjects/{subject}/versions/{version}",
            post(compatible_with_version),
        )
}

pub(super) fn deleted(flags: &Flags) -> Deleted {
    match is_set(flags, "deleted") || is_set(flags, "deletedOnly") {
        true => Deleted::Shown,
        false => Deleted::Hidden,
    }
}

fn deletion(flags: &Flags) -> Deletion {
    match is_set(flags, "permanent") {
        true => Deletion::Permanent,
        false => Deletion::Soft,
    }
}

async fn list(State(shared): State<Shared>, flags: Flags) -> Response {
    let prefix = flags.get("subjectPrefix").map(String::as_str).unwrap_or_default();
    let state = shared.store.state();
    let is_wanted = |subject: &&str| {
        let is_gone = state.versions(subject, Deleted::Hidden).next().is_none();
        subject.starts_with(prefix) && (!is_set(&flags, "deletedOnly") || is_gone)
    };
    let subjects = page(state.subjects(deleted(&flags)).filter(is_wanted), &flags);
    answer(Ok(json!(subjects)))
}

async fn versions(State(shared): State<Shared>, Path(subject): Path<String>, flags: Flags) -> Response {
    let found = shared.store.ask(|state| {
        let only_deleted = is_set(&flags, "deletedOnly");
        let versions = state.versions(&subject, deleted(&flags));
        let numbers = versions
            .filter(|value| !only_deleted || value.deleted)
            .map(|value| value.version);
        match page(numbers, &flags) {
            numbers if numbers.is_empty() && state.versions(&subject, deleted(&flags)).next().is_none() => {
                Err(RegistryError::SubjectNotFound(subject.clone()))
            }
            numbers => Ok(json!(numbers)),
        }
    });
    answer(found.await)
}

async fn register(State(shared): State<Shared>, Path(subject): Path<String>, body: Body) -> Response {
    let done = async {
        let request: SchemaRequest = read(body)?;
        let id = shared
            .store
            .change(|state| changes::register(state, &subject, &request))
            .await?;
        Ok(json!({ "id": id }))
    };
    answer(done.await)
}

async fn look_up(
    State(shared): State<Shared>,
    Path(subject): Path<String>,
    flags: Flags,
    body: Body,
) -> Response {
    let found = async {
        let request: SchemaRequest = read(body)?;
        let look = |state: &_| changes::look_up(state, &subject, &request, deleted(&flags));
        Ok(shown(&shared.store.ask(look).await?))
    };
    answer(found.await)
}

async fn version(
    State(shared): State<Shared>,
    Path((subject, version)): Path<(String, String)>,
    flags: Flags,
) -> Response {
    let found = async {
        let query = version_query(&version)?;
        let look = |state: &crate::registry::state::State| {
            state
                .version(&subject, query, deleted(&flags))
                .map(|value| shown(value))
        };
        shared.store.ask(look).await
    };
    answer(found.await)
}

async fn text(
    State(shared): State<Shared>,
    Path((subject, version)): Path<(String, String)>,
    flags: Flags,
) -> Response {
    let found = async {
        let query = version_query(&version)?;
        let look = |state: &crate::registry::state::State| {
            let value = state.version(&subject, query, deleted(&flags))?;
            Ok(value.schema.clone())
        };
        shared.store.ask(look).await
    };
    super::schemas::plain(found.await)
}

async fn referenced_by(
    State(shared): State<Shared>,
    Path((subject, version)): Path<(String, String)>,
) -> Response {
    let found = async {
        let query = version_query(&version)?;
        let look = |state: &crate::registry::state::State| {
            let number = state.version(&subject, query, Deleted::Shown)?.version;
            Ok(json!(state.referenced_by(&subject, number)))
        };
        shared.store.ask(look).await
    };
    answer(found.await)
}

async fn remove(State(shared): State<Shared>, Path(subject): Path<String>, flags: Flags) -> Response {
    let done = shared
        .store
        .change(|state| changes::delete_subject(state, &subject, deletion(&flags)));
    answer(done.await.map(|versions| json!(versions)))
}

async fn remove_version(
    State(shared): State<Shared>,
    Path((subject, version)): Path<(String, String)>,
    flags: Flags,
) -> Response {
    let done = async {
        let query = version_query(&version)?;
        let remove = |state: &_| changes::delete_version(state, &subject, query, deletion(&flags));
        Ok(json!(shared.store.change(remove).await?))
    };
    answer(done.await)
}

async fn compatible_with_level(
    State(shared): State<Shared>,
    Path(subject): Path<String>,
    flags: Flags,
    body: Body,
) -> Response {
    answer(compatible(&shared, &subject, None, &flags, body).await)
}

async fn compatible_with_version(
    State(shared): State<Shared>,
    Path((subject, version)): Path<(String, String)>,
    flags: Flags,
    body: Body,
) -> Response {
    answer(compatible(&shared, &subject, Some(&version), &flags, body).await)
}

async fn compatible(
    shared: &Shared,
    subject: &str,
    version: Option<&str>,
    flags: &Flags,
    body: Body,
) -> Result<Value, RegistryError> {
    let request: SchemaRequest = read(body)?;
    let version = version.map(version_query).transpose()?;
    let look = |state: &_| changes::test_compatibility(state, subject, version, &request);
    let found = shared.store.ask(look).await?;
    let mut shown = json!({ "is_compatible": found.is_empty() });
    if is_set(flags, "verbose") {
        shown["messages"] = json!(found);
    }
    Ok(shown)
}
