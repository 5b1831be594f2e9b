//! A value of a key: read from text and printed the way Kafka's configuration code does both.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use crate::setting::Kind;

/// One checked value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// `boolean`.
    Bool(bool),
    /// `int`, `short` or `long`.
    Number(i64),
    /// `double`; always finite.
    Double(f64),
    /// `string`, `class` or `password`.
    Text(String),
    /// `list`, in the order given, without repeats.
    List(Vec<String>),
}

impl fmt::Display for Value {
    /// Writes the value as DescribeConfigs carries it. Null is an empty text; ask [`Value::printed`] to tell.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(value) => write!(f, "{value}"),
            Self::Double(value) => f.write_str(&java_double(*value)),
            Self::Text(value) => f.write_str(value),
            Self::List(entries) => f.write_str(&entries.join(",")),
        }
    }
}

impl Value {
    /// Returns the text DescribeConfigs carries, `None` for null.
    #[must_use]
    pub fn printed(&self) -> Option<String> {
        match self {
            Self::Null => None,
            other => Some(other.to_string()),
        }
    }

    /// Returns the number, if it is one.
    #[must_use]
    pub fn number(&self) -> Option<i64> {
        match self {
            Self::Number(value) => Some(*value),
            _ => None,
        }
    }

    /// Returns the text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(value) => Some(value),
            _ => None,
        }
    }

    /// Returns the entries, if it is a list.
    #[must_use]
    pub fn list(&self) -> Option<&[String]> {
        match self {
            Self::List(entries) => Some(entries),
            _ => None,
        }
    }

    // The accessors below are generated for keys whose kind, bounds and default a test has walked, so the
    // fallbacks are never taken; a wrong number is still better than a panic in a running broker.

    pub(crate) fn as_bool(&self) -> bool {
        matches!(self, Self::Bool(true))
    }

    pub(crate) fn as_i64(&self) -> i64 {
        self.number().unwrap_or_default()
    }

    pub(crate) fn as_i32(&self) -> i32 {
        saturate_i32(self.as_i64())
    }

    pub(crate) fn as_i16(&self) -> i16 {
        i16::try_from(self.as_i64()).unwrap_or(i16::MAX)
    }

    pub(crate) fn as_u32(&self) -> u32 {
        u32::try_from(self.as_i64()).unwrap_or_default()
    }

    pub(crate) fn as_u64(&self) -> u64 {
        u64::try_from(self.as_i64()).unwrap_or_default()
    }

    pub(crate) fn as_f64(&self) -> f64 {
        match self {
            Self::Double(value) => *value,
            _ => 0.0,
        }
    }

    pub(crate) fn as_duration(&self) -> Duration {
        Duration::from_millis(self.as_u64())
    }
}

/// Narrows a number whose bounds were checked when it was set.
pub(crate) fn saturate_i32(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(if number < 0 { i32::MIN } else { i32::MAX })
}

/// Reads trimmed text as a value of `kind`.
pub(crate) fn parse(kind: Kind, text: &str) -> Result<Value, String> {
    match kind {
        Kind::Bool if text.eq_ignore_ascii_case("true") => Ok(Value::Bool(true)),
        Kind::Bool if text.eq_ignore_ascii_case("false") => Ok(Value::Bool(false)),
        Kind::Bool => Err("must be true or false".to_owned()),
        Kind::Short => whole(text, i64::from(i16::MIN), i64::from(i16::MAX)),
        Kind::Int => whole(text, i64::from(i32::MIN), i64::from(i32::MAX)),
        Kind::Long => whole(text, i64::MIN, i64::MAX),
        Kind::Double => match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Value::Double(value)),
            _ => Err("must be a number".to_owned()),
        },
        Kind::String | Kind::Class | Kind::Password => Ok(Value::Text(text.to_owned())),
        Kind::List => list(text),
    }
}

fn whole(text: &str, least: i64, most: i64) -> Result<Value, String> {
    match text.parse::<i64>() {
        Ok(value) if (least..=most).contains(&value) => Ok(Value::Number(value)),
        Ok(_) => Err(format!("must be from {least} to {most}")),
        Err(error) => match error.kind() {
            std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => {
                Err(format!("must be from {least} to {most}"))
            }
            _ => Err("must be a whole number in digits, without a unit".to_owned()),
        },
    }
}

/// Splits at commas; the empty text is the empty list, repeats count once (both as in Kafka 4.3).
fn list(text: &str) -> Result<Value, String> {
    let mut entries = Vec::new();
    if text.is_empty() {
        return Ok(Value::List(entries));
    }
    let mut seen = HashSet::new();
    for entry in text.split(',').map(str::trim) {
        if entry.is_empty() {
            return Err("must not have an empty entry between commas".to_owned());
        }
        if seen.insert(entry) {
            entries.push(entry.to_owned());
        }
    }
    Ok(Value::List(entries))
}

/// Prints a double as Java's `Double.toString` does: `0.5`, `1.0`, `1.0E-4`, `1.7976931348623157E308`.
pub(crate) fn java_double(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || (1e-3..1e7).contains(&size) {
        return format!("{value:?}");
    }
    let scientific = format!("{value:e}");
    match scientific.split_once('e') {
        Some((digits, exponent)) if digits.contains('.') => format!("{digits}E{exponent}"),
        Some((digits, exponent)) => format!("{digits}.0E{exponent}"),
        None => scientific,
    }
}

/// What happens to old data (`cleanup.policy`). Neither means that it stays for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanupPolicy {
    /// Segments go when they are older or the log is larger than retention allows.
    pub delete: bool,
    /// Only the last record of each key stays.
    pub compact: bool,
}

impl CleanupPolicy {
    pub(crate) fn of(value: &Value) -> Self {
        let has = |word: &str| {
            value
                .list()
                .is_some_and(|entries| entries.iter().any(|entry| entry == word))
        };
        Self {
            delete: has("delete"),
            compact: has("compact"),
        }
    }
}

/// How batches are stored (`compression.type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressionType {
    /// As the producer sent them.
    Producer,
    /// Not compressed.
    Uncompressed,
    /// gzip.
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4.
    Lz4,
    /// Zstandard.
    Zstd,
}

impl CompressionType {
    /// The allowed texts, in the order of [`Self::of`].
    pub(crate) const NAMES: &'static [&'static str] =
        &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];

    pub(crate) fn of(value: &Value) -> Self {
        match value.text() {
            Some("uncompressed") => Self::Uncompressed,
            Some("gzip") => Self::Gzip,
            Some("snappy") => Self::Snappy,
            Some("lz4") => Self::Lz4,
            Some("zstd") => Self::Zstd,
            _ => Self::Producer,
        }
    }
}

/// Whose clock stamps the records (`message.timestamp.type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's.
    CreateTime,
    /// The broker's, when it appends.
    LogAppendTime,
}

impl TimestampType {
    pub(crate) const NAMES: &'static [&'static str] = &["CreateTime", "LogAppendTime"];

    pub(crate) fn of(value: &Value) -> Self {
        if value.text() == Some("LogAppendTime") {
            Self::LogAppendTime
        } else {
            Self::CreateTime
        }
    }
}

#[cfg(test)]
#[path = "value_test.rs"]
mod tests;
