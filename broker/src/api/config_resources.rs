//! Resources that have configs, and changes of their keys, as the three config APIs share them.
//!
//! Served are topics and brokers (this one by its id, the defaults of all brokers by the empty name). Others that
//! Kafka knows (loggers, client metrics, groups) have no configs here and are refused by name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kafka_protocol::protocol::StrBytes;
use thalweg_settings::{
    DynamicScope, ListChange, Setting, SettingError, alter_list, lookup_broker, lookup_topic,
};
use thalweg_types::{BrokerId, ErrorCode};
use thalweg_wire::mirror::LinkId;

use super::refusal::{Refusal, to_the_end};
use super::{Context, Operation, Request, Resource};
use crate::broker_configs::BrokerConfigError;
use crate::topics::{
    ConfigChange, Handover, MIRROR_KEY_PREFIX, TopicError, TopicView, check_topic_name, is_synced_key,
};

/// Kafka's number of topics as config resources.
pub(super) const TOPIC: i8 = 2;
/// Kafka's number of brokers.
pub(super) const BROKER: i8 = 4;
/// Kafka's number of a broker's loggers.
pub(super) const BROKER_LOGGER: i8 = 8;
/// Kafka's number of client metrics subscriptions.
pub(super) const CLIENT_METRICS: i8 = 16;
/// Kafka's number of groups.
pub(super) const GROUP: i8 = 32;

/// A resource that exists and may be asked about.
#[derive(Debug)]
pub(super) enum Target {
    /// A topic.
    Topic(Arc<TopicView>),
    /// This broker, or the defaults of all.
    Broker(DynamicScope),
}

/// Finds the resource that a request names, if the client may do `operation` to it.
pub(super) fn find(
    context: &Context,
    request: &Request,
    operation: Operation,
    resource: (i8, &str),
) -> Result<Target, Refusal> {
    let (resource_type, name) = resource;
    match resource_type {
        TOPIC => {
            let access = context
                .authorizer
                .authorize(&request.connection, operation, Resource::topic(name));
            if !access.is_allowed() {
                return Err(Refusal::bare(ErrorCode::TopicAuthorizationFailed));
            }
            check_topic_name(name).map_err(TopicError::from)?;
            let view = context.topics.by_name(name);
            Ok(Target::Topic(view.ok_or(TopicError::Unknown)?))
        }
        BROKER => {
            let access = context
                .authorizer
                .authorize(&request.connection, operation, Resource::CLUSTER);
            if !access.is_allowed() {
                return Err(Refusal::bare(ErrorCode::ClusterAuthorizationFailed));
            }
            broker_scope(name, context.settings.current().node_id()).map(Target::Broker)
        }
        other => Err(Refusal::new(
            ErrorCode::InvalidRequest,
            format!(
                "{} have no settings here; topics ({TOPIC}) and brokers ({BROKER}) have",
                type_name(other)
            ),
        )),
    }
}

/// Reads a broker's name: its id, or nothing for the defaults of all.
pub(super) fn broker_scope(name: &str, node_id: BrokerId) -> Result<DynamicScope, Refusal> {
    if name.is_empty() {
        return Ok(DynamicScope::ClusterDefault);
    }
    match name.parse::<i32>() {
        Ok(id) if id == node_id.get() => Ok(DynamicScope::Broker),
        _ => {
            let shown: String = name.chars().take(40).collect();
            let what = format!(
                "'{shown}' is no broker here: name {node_id}, or nothing for the defaults of all brokers"
            );
            Err(Refusal::new(ErrorCode::InvalidRequest, what))
        }
    }
}

fn type_name(resource_type: i8) -> String {
    match resource_type {
        BROKER_LOGGER => "broker loggers (8)".to_owned(),
        CLIENT_METRICS => "client metrics subscriptions (16)".to_owned(),
        GROUP => "groups (32)".to_owned(),
        other => format!("resources of type {other}"),
    }
}

/// What to do with one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum KeyChange {
    /// Set the whole value.
    Set(String),
    /// Take the resource's own value away.
    Delete,
    /// Add to a list, or take from it.
    List(ListChange, String),
}

impl KeyChange {
    /// Reads the operation and value of IncrementalAlterConfigs (KIP-339).
    pub(super) fn read(name: &str, operation: i8, value: Option<&StrBytes>) -> Result<Self, Refusal> {
        let value = || {
            value.map(|value| value.to_string()).ok_or_else(|| {
                Refusal::new(
                    ErrorCode::InvalidRequest,
                    format!("{name}: null is no value; DELETE takes a value away"),
                )
            })
        };
        match operation {
            0 => Ok(Self::Set(value()?)),
            1 => Ok(Self::Delete),
            2 => Ok(Self::List(ListChange::Append, value()?)),
            3 => Ok(Self::List(ListChange::Subtract, value()?)),
            other => Err(Refusal::new(
                ErrorCode::InvalidRequest,
                format!("{name}: {other} is no operation; 0 sets, 1 deletes, 2 appends, 3 subtracts"),
            )),
        }
    }
}

/// Changes of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    /// Changes some keys.
    Keys(BTreeMap<String, KeyChange>),
    /// Leaves these keys and no others.
    Whole(BTreeMap<String, String>),
}

impl Edit {
    /// Gathers changes of keys, of which each may come once.
    pub(super) fn keys(
        changes: impl Iterator<Item = Result<(String, KeyChange), Refusal>>,
    ) -> Result<Self, Refusal> {
        let mut keys = BTreeMap::new();
        for change in changes {
            let (name, change) = change?;
            once(keys.insert(name.clone(), change).is_some(), &name)?;
        }
        Ok(Self::Keys(keys))
    }

    /// Gathers a whole set, of which each key may come once and has a value.
    pub(super) fn whole<'a>(
        entries: impl Iterator<Item = (&'a StrBytes, Option<&'a StrBytes>)>,
    ) -> Result<Self, Refusal> {
        let mut texts = BTreeMap::new();
        for (name, value) in entries {
            let value = value.ok_or_else(|| {
                let what = format!("{name}: null is no value; leave the key out to take its value away");
                Refusal::new(ErrorCode::InvalidRequest, what)
            })?;
            once(texts.insert(name.to_string(), value.to_string()).is_some(), name)?;
        }
        Ok(Self::Whole(texts))
    }

    /// Works out the new text of each key that changes (`None` takes it away), from what is set now.
    pub(super) fn resolve(
        self,
        current: &BTreeMap<String, String>,
        lookup: fn(&str) -> Option<&'static Setting>,
    ) -> Result<BTreeMap<String, Option<String>>, SettingError> {
        match self {
            Self::Whole(texts) => {
                let gone = current.keys().filter(|key| !texts.contains_key(*key));
                let mut changes: BTreeMap<String, Option<String>> =
                    gone.map(|key| (key.clone(), None)).collect();
                changes.extend(texts.into_iter().map(|(key, text)| (key, Some(text))));
                Ok(changes)
            }
            Self::Keys(keys) => keys
                .into_iter()
                .map(|(key, change)| {
                    let text = match change {
                        KeyChange::Set(text) => Some(text),
                        KeyChange::Delete => None,
                        KeyChange::List(change, text) => Some(match lookup(&key) {
                            Some(setting) => {
                                alter_list(setting, current.get(&key).map(String::as_str), change, &text)?
                            }
                            // The check of the resource refuses the key by name.
                            None => text,
                        }),
                    };
                    Ok((key, text))
                })
                .collect(),
        }
    }
}

fn once(repeated: bool, name: &str) -> Result<(), Refusal> {
    if repeated {
        let what = format!("{name} is named twice for one resource");
        return Err(Refusal::new(ErrorCode::InvalidRequest, what));
    }
    Ok(())
}

/// Returns the resources that a request names more than once.
pub(super) fn repeated<'a>(resources: impl Iterator<Item = (i8, &'a str)>) -> BTreeSet<(i8, String)> {
    let mut seen = BTreeSet::new();
    let again = resources.filter(|resource| !seen.insert(*resource));
    again
        .map(|(resource_type, name)| (resource_type, name.to_owned()))
        .collect()
}

/// Whether an edit is made or only checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Checked only.
    Validate,
    /// Made.
    Apply,
}

impl Mode {
    /// Reads `validate_only`.
    pub(super) fn of(validate_only: bool) -> Self {
        if validate_only {
            Self::Validate
        } else {
            Self::Apply
        }
    }
}

/// Checks an edit of one resource, by the mirror link that says so, and, if asked, makes it; durable and in force on
/// return.
pub(super) async fn alter(
    context: &Arc<Context>,
    request: &Request,
    resource: (i8, &str),
    (edit, link): (Edit, Option<LinkId>),
    mode: Mode,
) -> Result<(), Refusal> {
    let target = find(context, request, Operation::AlterConfigs, resource)?;
    let principal = request.connection.principal().to_string();
    let context = Arc::clone(context);
    to_the_end(async move {
        match target {
            Target::Topic(view) => alter_topic(&context, &view, (edit, link), mode, principal).await,
            Target::Broker(scope) => alter_broker(&context, scope, edit, mode, principal).await,
        }
    })
    .await
}

async fn alter_topic(
    context: &Context,
    view: &TopicView,
    (edit, link): (Edit, Option<LinkId>),
    mode: Mode,
    principal: String,
) -> Result<(), Refusal> {
    let _turn = context.broker_configs.begin().await;
    // Others may have changed it while this one waited.
    let view = context.topics.by_id(view.id).ok_or(TopicError::Unknown)?;
    let replaces_all = matches!(edit, Edit::Whole(_));
    let mut changes = edit
        .resolve(&view.overrides, lookup_topic)
        .map_err(TopicError::from)?;
    // A whole set may leave out what cannot be changed anyway, or repeat it.
    changes.retain(|key, value| {
        let is_same = value.as_ref() == view.overrides.get(key) || (replaces_all && value.is_none());
        !(key.starts_with(MIRROR_KEY_PREFIX) && is_same)
    });
    if changes.keys().any(|key| is_synced_key(key)) {
        context.topics.check_acts(&view, link)?;
    }
    let keys: Vec<&str> = changes.keys().map(String::as_str).collect();
    let shown = keys.join(",");
    let changes: Vec<ConfigChange> = changes
        .into_iter()
        .map(|(key, value)| ConfigChange { key, value })
        .collect();
    let is_handover = changes
        .iter()
        .any(|change| change.key.starts_with(MIRROR_KEY_PREFIX));
    if let Some(link) = link.filter(|_| is_handover) {
        return hand_over(context, &view, changes, Handover { link, principal }, mode).await;
    }
    match mode {
        Mode::Validate => {
            context.topics.check_configs(view.id, &changes)?;
        }
        Mode::Apply => {
            tracing::info!(topic = %view.name, keys = shown, principal, "topic settings change");
            context.topics.alter_configs(view.id, changes, principal).await?;
        }
    }
    Ok(())
}

/// A link makes a topic its mirror, or lets go of one that was promoted.
async fn hand_over(
    context: &Context,
    view: &TopicView,
    changes: Vec<ConfigChange>,
    by: Handover,
    mode: Mode,
) -> Result<(), Refusal> {
    match mode {
        Mode::Validate => {
            context.topics.check_handover(view, &changes, by.link)?;
        }
        Mode::Apply => {
            tracing::info!(topic = %view.name, ?changes, principal = by.principal, "a topic changes hands");
            context.topics.hand_over(view, changes, by).await?;
        }
    }
    Ok(())
}

async fn alter_broker(
    context: &Context,
    scope: DynamicScope,
    edit: Edit,
    mode: Mode,
    principal: String,
) -> Result<(), Refusal> {
    let change = context.broker_configs.begin().await;
    let resolved = edit.resolve(&change.stored(scope), lookup_broker);
    let changes = resolved.map_err(BrokerConfigError::from)?;
    match mode {
        Mode::Validate => {
            change.check(scope, &changes).map_err(BrokerConfigError::from)?;
        }
        Mode::Apply => {
            let keys: Vec<&str> = changes.keys().map(String::as_str).collect();
            tracing::info!(?scope, keys = keys.join(","), principal, "broker settings change");
            change.alter(scope, changes, principal).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "config_resources_test.rs"]
mod tests;
