//! What can be wrong with a setting. Every text says what, where, and what to do about it.

use std::fmt;

use crate::lookup;
use crate::setting::Setting;
use crate::settings::Origin;

/// Longest part of a wrong value that a message repeats, in characters.
const SHOWN_CHARS_MAX: usize = 80;

/// One thing wrong with a key, its value or where it was found.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingError {
    /// No such key.
    #[error("{origin}: unknown key {name}{}", did_you_mean(*nearest))]
    Unknown {
        /// The key as written, shortened.
        name: String,
        /// The key that is spelled most alike, if one is near.
        nearest: Option<&'static str>,
        /// Where it was found.
        origin: Origin,
    },
    /// A topic's key where a broker's is expected.
    #[error("{origin}: {name} is a key of topics{}", instead(*broker))]
    TopicKey {
        /// The key.
        name: &'static str,
        /// The broker key that is its default, if there is one.
        broker: Option<&'static str>,
        /// Where it was found.
        origin: Origin,
    },
    /// A key older Kafka versions had.
    #[error("{origin}: {name} is gone since Apache Kafka 4.0: {hint}")]
    Removed {
        /// The key.
        name: String,
        /// What to do instead.
        hint: &'static str,
        /// Where it was found.
        origin: Origin,
    },
    /// The text is not a value of the key's type, or breaks its bounds.
    #[error("{origin}: {name}: the value `{shown}` {reason}")]
    Invalid {
        /// The key.
        name: &'static str,
        /// The text, shortened; hidden if the key is a secret.
        shown: String,
        /// What is wrong with it.
        reason: String,
        /// Where it was found.
        origin: Origin,
    },
    /// A key of Kafka's that may only have its default, because ignoring another value would be unsafe.
    #[error(
        "{origin}: {name}={value} is not available in this version, and ignoring it would be unsafe; \
         remove it{}", or_default(*default)
    )]
    Refused {
        /// The key.
        name: &'static str,
        /// The refused value; hidden if the key is a secret.
        value: String,
        /// The one value that is taken.
        default: Option<&'static str>,
        /// Where it was found.
        origin: Origin,
    },
    /// Keys that contradict each other. The text names them all.
    #[error("{0}")]
    Conflict(String),
    /// The key cannot be changed while the broker runs.
    #[error("{name} can only be changed by a restart of the broker, in its file, environment or --set")]
    ReadOnly {
        /// The key.
        name: &'static str,
    },
    /// The key has no cluster-wide default, only a value for each broker.
    #[error("{name} can only be set for one broker; name the broker in the request")]
    PerBrokerOnly {
        /// The key.
        name: &'static str,
    },
    /// Append or subtract on a key that is not a list.
    #[error("{name} is a {kind}, not a list: append and subtract do not apply; set the whole value")]
    NotAList {
        /// The key.
        name: &'static str,
        /// Its type.
        kind: &'static str,
    },
    /// A line of a properties file cannot be read.
    #[error("{file}:{line}: {reason}")]
    Syntax {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u32,
        /// What is wrong.
        reason: String,
    },
    /// The file cannot be read at all.
    #[error("{file}: cannot read the settings file: {reason}")]
    File {
        /// The file.
        file: String,
        /// The operating system's words, or ours for a file that is too large.
        reason: String,
    },
    /// An argument of `--set` is not `key=value`.
    #[error("--set {text}: must be KEY=VALUE, as in --set num.partitions=3")]
    BadAssignment {
        /// The argument, shortened.
        text: String,
    },
    /// An environment variable of ours is not UTF-8.
    #[error("environment {name}: the value is not UTF-8")]
    NotUtf8 {
        /// The variable.
        name: String,
    },
}

fn did_you_mean(nearest: Option<&'static str>) -> String {
    match nearest {
        Some(name) => format!("; did you mean {name}?"),
        None => "; `thalweg config explain` lists the keys".to_owned(),
    }
}

fn instead(broker: Option<&'static str>) -> String {
    match broker {
        Some(name) => format!("; {name} is what the broker gives to topics that set none"),
        None => ", and the broker has no default for it; set it on the topic".to_owned(),
    }
}

fn or_default(default: Option<&'static str>) -> String {
    match default {
        Some(text) if !text.is_empty() => format!(" or set {text}"),
        _ => String::new(),
    }
}

/// Shortens a text from outside for a message.
pub(crate) fn shown(text: &str) -> String {
    let mut short: String = text
        .chars()
        .take(SHOWN_CHARS_MAX)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        short.push('…');
    }
    short
}

impl SettingError {
    /// Says what is wrong with a name that is no key of a broker (nor of a topic, if somebody only asks).
    pub(crate) fn unknown(name: &str, origin: &Origin) -> Self {
        let origin = origin.clone();
        if let Some(row) = lookup::lookup_topic(name) {
            return Self::TopicKey {
                name: row.name,
                broker: row.synonyms.first().copied(),
                origin,
            };
        }
        if let Some(hint) = lookup::removed(name) {
            return Self::Removed {
                name: shown(name),
                hint,
                origin,
            };
        }
        let nearest = if matches!(origin, Origin::Request | Origin::Question) {
            lookup::nearest(name)
        } else {
            lookup::nearest_broker(name)
        };
        Self::Unknown {
            name: shown(name),
            nearest,
            origin,
        }
    }

    pub(crate) fn invalid(setting: &'static Setting, text: &str, reason: String, origin: &Origin) -> Self {
        let shown = if setting.is_sensitive() {
            "(hidden)".to_owned()
        } else {
            shown(text)
        };
        Self::Invalid {
            name: setting.name,
            shown,
            reason,
            origin: origin.clone(),
        }
    }
}

/// Everything wrong with the settings of one start, so that one run shows all of it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub struct SettingErrors(Vec<SettingError>);

impl SettingErrors {
    /// Most errors that are kept; a file of another kind altogether need not be listed whole.
    pub(crate) const KEPT_MAX: usize = 50;

    /// Wraps errors; the caller has at least one.
    pub(crate) fn new(errors: Vec<SettingError>) -> Self {
        Self(errors)
    }

    /// Returns the errors in the order they were found.
    #[must_use]
    pub fn errors(&self) -> &[SettingError] {
        &self.0
    }
}

impl fmt::Display for SettingErrors {
    /// One error per line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl From<SettingError> for SettingErrors {
    fn from(error: SettingError) -> Self {
        Self(vec![error])
    }
}
