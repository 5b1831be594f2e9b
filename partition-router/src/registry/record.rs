//! Records of the schemas topic, in the format that Confluent's registry writes: JSON keys with a `keytype`, JSON values.
//!
//! A topic that was written by another registry is read; what is not understood of a value is kept and written back.
//! The bytes of a key are what compaction goes by, so its fields always stand in the same order.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

/// Which schemas go together in a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Any.
    None,
    /// A new schema reads data of the last.
    Backward,
    /// A new schema reads data of all before.
    BackwardTransitive,
    /// The last schema reads data of a new one.
    Forward,
    /// All before read data of a new one.
    ForwardTransitive,
    /// Both ways with the last.
    Full,
    /// Both ways with all before.
    FullTransitive,
}

impl Level {
    const ALL: [Self; 7] = [
        Self::None,
        Self::Backward,
        Self::BackwardTransitive,
        Self::Forward,
        Self::ForwardTransitive,
        Self::Full,
        Self::FullTransitive,
    ];

    /// Returns its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Backward => "BACKWARD",
            Self::BackwardTransitive => "BACKWARD_TRANSITIVE",
            Self::Forward => "FORWARD",
            Self::ForwardTransitive => "FORWARD_TRANSITIVE",
            Self::Full => "FULL",
            Self::FullTransitive => "FULL_TRANSITIVE",
        }
    }

    /// Finds a level by its name, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|level| level.name().eq_ignore_ascii_case(name))
    }
}

/// What may be done with a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Everything.
    ReadWrite,
    /// Reading.
    ReadOnly,
    /// Reading, whatever the subjects say.
    ReadOnlyOverride,
    /// Writing with ids that the client brings.
    Import,
    /// Reading; another registry writes.
    Forward,
}

impl Mode {
    const ALL: [Self; 5] = [
        Self::ReadWrite,
        Self::ReadOnly,
        Self::ReadOnlyOverride,
        Self::Import,
        Self::Forward,
    ];

    /// Returns its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadWrite => "READWRITE",
            Self::ReadOnly => "READONLY",
            Self::ReadOnlyOverride => "READONLY_OVERRIDE",
            Self::Import => "IMPORT",
            Self::Forward => "FORWARD",
        }
    }

    /// Finds a mode by its name, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|mode| mode.name().eq_ignore_ascii_case(name))
    }
}

/// A schema that another one names types of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// The name by which it is known; for Avro the full name of a type.
    pub name: String,
    /// Its subject.
    pub subject: String,
    /// Its version there.
    pub version: i32,
}

/// The value of a version of a subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SchemaValue {
    /// The subject.
    pub subject: String,
    /// The version, from 1.
    pub version: i32,
    /// The schema's id.
    pub id: i32,
    /// `None`: AVRO.
    #[serde(rename = "schemaType", skip_serializing_if = "Option::is_none", default)]
    pub schema_type: Option<String>,
    /// Schemas it refers to.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        default,
        deserialize_with = "null_is_empty"
    )]
    pub references: Vec<Reference>,
    /// The text.
    pub schema: String,
    /// Deleted, but not for good.
    #[serde(default)]
    pub deleted: bool,
    /// What else another registry wrote.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

fn null_is_empty<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<Reference>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// One record.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A version of a subject; without a value it is deleted for good.
    Schema {
        /// The subject.
        subject: String,
        /// The version.
        version: i32,
        /// What it is.
        value: Option<Box<SchemaValue>>,
    },
    /// A level, of all (`None`) or of a subject.
    Level {
        /// The subject.
        subject: Option<String>,
        /// The level; `None` takes it back.
        level: Option<Level>,
    },
    /// A mode, of all (`None`) or of a subject.
    Mode {
        /// The subject.
        subject: Option<String>,
        /// The mode; `None` takes it back.
        mode: Option<Mode>,
    },
    /// All versions up to one are deleted, but not for good.
    DeleteSubject {
        /// The subject.
        subject: String,
        /// The last deleted version; `None` clears the record.
        version: Option<i32>,
    },
    /// All versions are deleted for good.
    ClearSubject {
        /// The subject.
        subject: String,
    },
    /// Nothing, or the least id that was not given yet: it outlives schemas that were deleted for good.
    Noop {
        /// The id.
        next_id: Option<i32>,
    },
}

/// A record that is none of a schemas topic.
#[derive(Debug, Error)]
pub enum RecordError {
    /// No JSON, or not of the form.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// A name that is not known.
    #[error("{what} '{name}' is not known")]
    Unknown {
        /// What it should name.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A field is missing.
    #[error("the record has no {0}")]
    Missing(&'static str),
}

/// The fields of a key, in the order they are written.
#[derive(Serialize, Deserialize)]
struct Key {
    keytype: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    subject: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    version: Option<i32>,
    magic: i32,
}

/// The field of a NOOP's value; other registries do not look at it.
const NEXT_ID: &str = "thalwegNextId";

impl Record {
    /// Returns key and value.
    ///
    /// # Errors
    /// [`RecordError::Json`], which no record of ours meets.
    pub fn encode(&self) -> Result<(Bytes, Option<Bytes>), RecordError> {
        let key = |keytype: &str, subject: Option<Value>, version, magic| Key {
            keytype: keytype.to_owned(),
            subject,
            version,
            magic,
        };
        let named = |subject: &Option<String>| Some(subject.clone().map_or(Value::Null, Value::String));
        let text = |subject: &String| Some(Value::String(subject.clone()));
        let (key, value) = match self {
            Self::Schema {
                subject,
                version,
                value,
            } => {
                let value = value.as_ref().map(serde_json::to_value).transpose()?;
                (key("SCHEMA", text(subject), Some(*version), 1), value)
            }
            Self::Level { subject, level } => {
                let value = level.map(|level| serde_json::json!({ "compatibilityLevel": level.name() }));
                (key("CONFIG", named(subject), None, 0), value)
            }
            Self::Mode { subject, mode } => {
                let value = mode.map(|mode| serde_json::json!({ "mode": mode.name() }));
                (key("MODE", named(subject), None, 0), value)
            }
            Self::DeleteSubject { subject, version } => {
                let value =
                    version.map(|version| serde_json::json!({ "subject": subject, "version": version }));
                (key("DELETE_SUBJECT", text(subject), None, 0), value)
            }
            Self::ClearSubject { subject } => {
                let value = serde_json::json!({ "subject": subject });
                (key("CLEAR_SUBJECT", text(subject), None, 0), Some(value))
            }
            Self::Noop { next_id } => {
                let value = next_id.map(|id| serde_json::json!({ NEXT_ID: id }));
                (key("NOOP", None, None, 0), value)
            }
        };
        let value = value.map(|value| serde_json::to_vec(&value)).transpose()?;
        Ok((Bytes::from(serde_json::to_vec(&key)?), value.map(Bytes::from)))
    }

    /// Reads a record; `Ok(None)` if it is of a kind that says nothing here.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Option<Self>, RecordError> {
        let key: Key = serde_json::from_slice(key)?;
        let subject = match key.subject {
            Some(Value::String(subject)) => Some(subject),
            _ => None,
        };
        let required = |subject: Option<String>| subject.ok_or(RecordError::Missing("subject"));
        let record = match key.keytype.as_str() {
            "SCHEMA" => Self::Schema {
                subject: required(subject)?,
                version: key.version.ok_or(RecordError::Missing("version"))?,
                value: value.map(serde_json::from_slice).transpose()?,
            },
            "CONFIG" => Self::Level {
                subject,
                level: named(value, "compatibilityLevel", "the level", Level::from_name)?,
            },
            "MODE" => Self::Mode {
                subject,
                mode: named(value, "mode", "the mode", Mode::from_name)?,
            },
            "DELETE_SUBJECT" => Self::DeleteSubject {
                subject: required(subject)?,
                version: number(value, "version")?,
            },
            "CLEAR_SUBJECT" => Self::ClearSubject {
                subject: required(subject)?,
            },
            "NOOP" => Self::Noop {
                next_id: number(value, NEXT_ID)?,
            },
            // Contexts, encryption and exporters of other registries.
            _ => return Ok(None),
        };
        Ok(Some(record))
    }
}

/// A name in a value; a value without it (a config that sets something else) counts as none.
fn named<T>(
    value: Option<&[u8]>,
    field: &str,
    what: &'static str,
    find: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, RecordError> {
    let Some(value) = value else { return Ok(None) };
    let value: Value = serde_json::from_slice(value)?;
    match value.get(field).and_then(Value::as_str) {
        None => Ok(None),
        Some(name) => find(name).map(Some).ok_or_else(|| RecordError::Unknown {
            what,
            name: name.to_owned(),
        }),
    }
}

fn number(value: Option<&[u8]>, field: &str) -> Result<Option<i32>, RecordError> {
    let Some(value) = value else { return Ok(None) };
    let value: Value = serde_json::from_slice(value)?;
    let number = value.get(field).and_then(Value::as_i64);
    Ok(number.and_then(|number| i32::try_from(number).ok()))
}

#[cfg(test)]
#[path = "record_test.rs"]
mod tests;
