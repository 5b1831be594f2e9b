//! `/config` and `/mode`.

use axum::Router;
use axum::extract::{Path, State as Extract};
use axum::response::Response;
use axum::routing::{delete, get, put};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Body, Flags, Shared, answer, is_set, read};
use crate::registry::RegistryError;
use crate::registry::changes::{self, Force};
use crate::registry::state::State;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route(
            "/config",
            get(level).merge(put(set_level)).merge(delete(reset_level)),
        )
        .route(
            "/config/{subject}",
            get(level_of)
                .merge(put(set_level_of))
                .merge(delete(reset_level_of)),
        )
        .route("/mode", get(mode).merge(put(set_mode)).merge(delete(reset_mode)))
        .route(
            "/mode/{subject}",
            get(mode_of).merge(put(set_mode_of)).merge(delete(reset_mode_of)),
        )
}

#[derive(Deserialize)]
struct LevelBody {
    compatibility: String,
}

#[derive(Deserialize)]
struct ModeBody {
    mode: String,
}

async fn level(Extract(shared): Extract<Shared>) -> Response {
    let level = shared.store.state().level();
    answer(Ok(json!({ "compatibilityLevel": level.name() })))
}

async fn level_of(Extract(shared): Extract<Shared>, Path(subject): Path<String>, flags: Flags) -> Response {
    let look = |state: &State| match (state.own_level(&subject), is_set(&flags, "defaultToGlobal")) {
        (Some(level), _) => Ok(level),
        (None, true) => Ok(state.level()),
        (None, false) => Err(RegistryError::LevelNotConfigured(subject.clone())),
    };
    let found = shared.store.ask(look).await;
    answer(found.map(|level| json!({ "compatibilityLevel": level.name() })))
}

async fn change_level(shared: &Shared, subject: Option<&str>, body: Body) -> Result<Value, RegistryError> {
    let LevelBody { compatibility } = read(body)?;
    let set = |state: &State| changes::set_level(state, subject, &compatibility);
    let level = shared.store.change(set).await?;
    Ok(json!({ "compatibility": level.name() }))
}

async fn set_level(Extract(shared): Extract<Shared>, body: Body) -> Response {
    answer(change_level(&shared, None, body).await)
}

async fn set_level_of(Extract(shared): Extract<Shared>, Path(subject): Path<String>, body: Body) -> Response {
    answer(change_level(&shared, Some(&subject), body).await)
}

async fn drop_level(shared: &Shared, subject: Option<&str>) -> Result<Value, RegistryError> {
    let level = shared
        .store
        .change(|state| changes::reset_level(state, subject))
        .await?;
    Ok(json!({ "compatibilityLevel": level.name() }))
}

async fn reset_level(Extract(shared): Extract<Shared>) -> Response {
    answer(drop_level(&shared, None).await)
}

async fn reset_level_of(Extract(shared): Extract<Shared>, Path(subject): Path<String>) -> Response {
    answer(drop_level(&shared, Some(&subject)).await)
}

async fn mode(Extract(shared): Extract<Shared>) -> Response {
    let mode = shared.store.state().mode();
    answer(Ok(json!({ "mode": mode.name() })))
}

async fn mode_of(Extract(shared): Extract<Shared>, Path(subject): Path<String>, flags: Flags) -> Response {
    let look = |state: &State| match (state.own_mode(&subject), is_set(&flags, "defaultToGlobal")) {
        (Some(mode), _) => Ok(mode),
        (None, true) => Ok(state.mode_of(&subject)),
        (None, false) => Err(RegistryError::ModeNotConfigured(subject.clone())),
    };
    let found = shared.store.ask(look).await;
    answer(found.map(|mode| json!({ "mode": mode.name() })))
}

async fn change_mode(
    shared: &Shared,
    subject: Option<&str>,
    flags: &Flags,
    body: Body,
) -> Result<Value, RegistryError> {
    let ModeBody { mode } = read(body)?;
    let force = if is_set(flags, "force") {
        Force::Yes
    } else {
        Force::No
    };
    let set = |state: &State| changes::set_mode(state, subject, &mode, force);
    let mode = shared.store.change(set).await?;
    Ok(json!({ "mode": mode.name() }))
}

async fn set_mode(Extract(shared): Extract<Shared>, flags: Flags, body: Body) -> Response {
    answer(change_mode(&shared, None, &flags, body).await)
}

async fn set_mode_of(
    Extract(shared): Extract<Shared>,
    Path(subject): Path<String>,
    flags: Flags,
    body: Body,
) -> Response {
    answer(change_mode(&shared, Some(&subject), &flags, body).await)
}

async fn drop_mode(shared: &Shared, subject: Option<&str>) -> Result<Value, RegistryError> {
    let mode = shared
        .store
        .change(|state| changes::reset_mode(state, subject))
        .await?;
    Ok(json!({ "mode": mode.name() }))
}

async fn reset_mode(Extract(shared): Extract<Shared>) -> Response {
    answer(drop_mode(&shared, None).await)
}

async fn reset_mode_of(Extract(shared): Extract<Shared>, Path(subject): Path<String>) -> Response {
    answer(drop_mode(&shared, Some(&subject)).await)
}
