//! Keys in environment variables: `KAFKA_LOG_RETENTION_MS` and `THALWEG_LOG_RETENTION_MS`.
//!
//! In a name `.` is written `_`, `_` is `__` and `-` is `___`, as Kafka's container images have it. A `THALWEG_` name that is
//! no key is an error. A `KAFKA_` one is left alone: many exist that are no settings (`KAFKA_OPTS`,
//! `KAFKA_HEAP_OPTS`), and the container platform adds more.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::broker_keys::BROKER_SETTINGS;

/// Our own prefix; wins over [`KAFKA_PREFIX`].
pub(crate) const OUR_PREFIX: &str = "THALWEG_";
/// The prefix of Kafka's container images.
pub(crate) const KAFKA_PREFIX: &str = "KAFKA_";

/// `THALWEG_` variables with a meaning outside the settings.
const RESERVED: &[&str] = &[
    "LOG",
    "LOG_FORMAT",
    "HOME",
    "OPTS",
    "CONFIG",
    "PROFILE",
    "BOOTSTRAP",
    "BOOTSTRAP_SERVER",
    "CRASH_POINT",
];

/// Every broker key by the name of its variable, without prefix.
static BY_VARIABLE: LazyLock<HashMap<String, usize>> = LazyLock::new(|| {
    BROKER_SETTINGS
        .iter()
        .enumerate()
        .map(|(index, row)| (encode(row.name), index))
        .collect()
});

/// Returns the variable name of a key, without prefix.
pub(crate) fn encode(key: &str) -> String {
    key.replace('_', "__")
        .replace('-', "___")
        .replace('.', "_")
        .to_uppercase()
}

/// What a variable is to us.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Variable {
    /// A broker key, by its place in [`BROKER_SETTINGS`].
    Key(usize),
    /// Not a setting, and not meant to be one.
    Other,
    /// It has our prefix and names no key; this is the key it would be.
    Unknown(String),
}

/// Says what the variable `name` is.
pub(crate) fn classify(name: &str) -> Variable {
    let (ours, rest) = match (name.strip_prefix(OUR_PREFIX), name.strip_prefix(KAFKA_PREFIX)) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return Variable::Other,
    };
    if let Some(index) = BY_VARIABLE.get(rest) {
        return Variable::Key(*index);
    }
    if !ours || RESERVED.contains(&rest) || is_service_link(rest) {
        return Variable::Other;
    }
    Variable::Unknown(decode(rest))
}

/// Kubernetes gives every container `NAME_SERVICE_HOST`, `NAME_PORT` and the like for every service beside it; a
/// service called `thalweg` must not keep the broker from starting.
fn is_service_link(rest: &str) -> bool {
    let rest = match rest.find("SERVICE_").or_else(|| rest.find("PORT")) {
        Some(at) if at == 0 || rest[..at].ends_with('_') => &rest[at..],
        _ => return false,
    };
    let port_link = rest.strip_prefix("PORT").is_some_and(|after| {
        after.is_empty()
            || after
                .strip_prefix('_')
                .is_some_and(|more| more.starts_with(|c: char| c.is_ascii_digit()))
    });
    rest.starts_with("SERVICE_HOST") || rest.starts_with("SERVICE_PORT") || port_link
}

/// Turns the name of a variable back into a key, for the error text.
fn decode(rest: &str) -> String {
    rest.to_lowercase()
        .replace("___", "-")
        .replace("__", "\u{0}")
        .replace('_', ".")
        .replace('\u{0}', "_")
}

#[cfg(test)]
#[path = "environment_test.rs"]
mod tests;
