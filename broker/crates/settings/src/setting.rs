//! What is known about one key, and whether a text is a value for it.

use crate::listener;
use crate::value::{self, Value};

/// Longest text of one value in bytes. A longer one is refused before it is read.
pub(crate) const VALUE_BYTES_MAX: usize = 64 * 1024;

/// One key: everything there is to say about it without knowing its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// The key, as Kafka spells it.
    pub name: &'static str,
    /// Kafka's type of the value.
    pub kind: Kind,
    /// What a number counts.
    pub unit: Unit,
    /// The value when nobody sets one, as Kafka prints it; `None` is Kafka's null.
    pub default: Option<&'static str>,
    /// The default under [`Profile::Dev`](crate::Profile::Dev) where it differs.
    pub dev_default: Option<&'static str>,
    /// Bounds or allowed values.
    pub rule: Rule,
    /// Whether and for whom it can be changed while the broker runs.
    pub update: Update,
    /// Whose key it is.
    pub owner: Owner,
    /// What setting it does.
    pub effect: Effect,
    /// For a topic key: the broker keys its default comes from, first one that is set wins.
    pub synonyms: &'static [&'static str],
    /// One sentence for people.
    pub doc: &'static str,
}

/// Kafka's type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`, in any case.
    Bool,
    /// Any text.
    String,
    /// Whole number of 32 bits.
    Int,
    /// Whole number of 16 bits.
    Short,
    /// Whole number of 64 bits.
    Long,
    /// Number with a fraction.
    Double,
    /// Texts between commas.
    List,
    /// Name of a Java class.
    Class,
    /// A secret: never printed, logged or sent.
    Password,
}

impl Kind {
    /// Returns the number of the type in DescribeConfigs replies (version 3 and newer, KIP-569).
    #[must_use]
    pub const fn id(self) -> i8 {
        match self {
            Self::Bool => 1,
            Self::String => 2,
            Self::Int => 3,
            Self::Short => 4,
            Self::Long => 5,
            Self::Double => 6,
            Self::List => 7,
            Self::Class => 8,
            Self::Password => 9,
        }
    }

    /// Returns the name Kafka's documentation uses for the type.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "boolean",
            Self::String => "string",
            Self::Int => "int",
            Self::Short => "short",
            Self::Long => "long",
            Self::Double => "double",
            Self::List => "list",
            Self::Class => "class",
            Self::Password => "password",
        }
    }
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Not a number, or a plain count.
    None,
    /// Bytes.
    Bytes,
    /// Bytes in each second.
    BytesPerSecond,
    /// Milliseconds.
    Ms,
    /// Seconds.
    Seconds,
    /// Minutes.
    Minutes,
    /// Hours.
    Hours,
    /// Hundredths.
    Percent,
}

impl Unit {
    /// Returns the word for people; empty for [`Unit::None`].
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Bytes => "bytes",
            Self::BytesPerSecond => "bytes per second",
            Self::Ms => "milliseconds",
            Self::Seconds => "seconds",
            Self::Minutes => "minutes",
            Self::Hours => "hours",
            Self::Percent => "percent",
        }
    }

    /// Milliseconds in one unit, for the keys that stand in for each other (`log.retention.hours`).
    pub(crate) const fn in_ms(self) -> i64 {
        match self {
            Self::Hours => 3_600_000,
            Self::Minutes => 60_000,
            Self::Seconds => 1_000,
            _ => 1,
        }
    }
}

/// Bounds or allowed values of a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// Whatever the type allows.
    Any,
    /// A whole number from `min` to `max`, both allowed.
    Range {
        /// Least value.
        min: i64,
        /// Largest value.
        max: i64,
    },
    /// A whole number in a range, or one value outside it that has a meaning of its own.
    RangeOr {
        /// Least value.
        min: i64,
        /// Largest value.
        max: i64,
        /// The value outside.
        or: i64,
    },
    /// A number from `min` to `max`, both allowed.
    Ratio {
        /// Least value.
        min: f64,
        /// Largest value.
        max: f64,
    },
    /// One of these texts, exactly so.
    OneOf(&'static [&'static str]),
    /// One of these texts, upper or lower case.
    OneOfAnyCase(&'static [&'static str]),
    /// A list of which every entry is one of these.
    EachOneOf(&'static [&'static str]),
    /// A list with at least one entry.
    NotEmpty,
    /// `*`, or entries of the form `partition:broker`.
    ThrottledReplicas,
    /// Entries of the form `NAME://host:port`.
    Listeners,
    /// `host:port`, or empty for none.
    HttpListener,
    /// Entries of the form `address:count` between commas, or empty.
    ConnectionLimits,
    /// 32 hexadecimal digits, not all 0, with or without a UUID's dashes; or empty for none.
    LinkId,
}

/// At least `least`.
pub(crate) const fn min(least: i64) -> Rule {
    Rule::Range {
        min: least,
        max: i64::MAX,
    }
}

/// From `least` to `most`.
pub(crate) const fn range(least: i64, most: i64) -> Rule {
    Rule::Range {
        min: least,
        max: most,
    }
}

impl Rule {
    /// Says the rule in words; empty for [`Rule::Any`].
    #[must_use]
    pub fn describe(&self) -> String {
        match *self {
            Self::Any => String::new(),
            Self::Range { min, max: i64::MAX } => format!("at least {min}"),
            Self::Range { min, max } => format!("{min} to {max}"),
            Self::RangeOr {
                min,
                max: i64::MAX,
                or,
            } => format!("at least {min}, or {or}"),
            Self::RangeOr { min, max, or } => format!("{min} to {max}, or {or}"),
            Self::Ratio { min, max } if max == f64::MAX => format!("at least {}", value::java_double(min)),
            Self::Ratio { min, max } => {
                format!("{} to {}", value::java_double(min), value::java_double(max))
            }
            Self::OneOf(allowed) => format!("one of {}", allowed.join(", ")),
            Self::OneOfAnyCase(allowed) => format!("one of {}, in any case", allowed.join(", ")),
            Self::EachOneOf(allowed) => format!("a list of {}", allowed.join(", ")),
            Self::NotEmpty => "a list with at least one entry".to_owned(),
            Self::ThrottledReplicas => "*, or a list of partition:broker".to_owned(),
            Self::Listeners => "a list of NAME://host:port".to_owned(),
            Self::HttpListener => "host:port, or empty for none".to_owned(),
            Self::ConnectionLimits => "address:count between commas, or empty".to_owned(),
            Self::LinkId => "32 hexadecimal digits or a UUID, not all 0; or empty for none".to_owned(),
        }
    }

    /// Checks a value of the right type. The error says what is wrong, without the value's name.
    fn check(&self, value: &Value) -> Result<(), String> {
        let fits = match (self, value) {
            (_, Value::Null) | (Self::Any, _) => true,
            (Self::Range { min, max }, Value::Number(number)) => (min..=max).contains(&number),
            (Self::RangeOr { min, max, or }, Value::Number(number)) => {
                (min..=max).contains(&number) || number == or
            }
            (Self::Ratio { min, max }, Value::Double(number)) => (min..=max).contains(&number),
            (Self::OneOf(allowed), Value::Text(text)) => allowed.contains(&text.as_str()),
            (Self::OneOfAnyCase(allowed), Value::Text(text)) => {
                allowed.iter().any(|word| word.eq_ignore_ascii_case(text))
            }
            (Self::EachOneOf(allowed), Value::List(entries)) => {
                entries.iter().all(|entry| allowed.contains(&entry.as_str()))
            }
            (Self::NotEmpty, Value::List(entries)) => !entries.is_empty(),
            (Self::ThrottledReplicas, Value::List(entries)) => {
                (entries.len() == 1 && entries[0] == "*") || entries.iter().all(|entry| is_replica(entry))
            }
            (Self::Listeners, Value::List(entries)) => return listener::check_shape(entries),
            (Self::HttpListener, Value::Text(text)) => {
                text.is_empty() || listener::split_host_port(text).is_some()
            }
            (Self::ConnectionLimits, Value::Text(text)) => listener::connection_limits(text).is_some(),
            (Self::LinkId, Value::Text(text)) => text.is_empty() || is_link_id(text),
            // A rule beside a type it does not fit is a mistake in the table; a test walks the whole table.
            _ => false,
        };
        if fits {
            Ok(())
        } else {
            Err(format!("must be {}", self.describe()))
        }
    }
}

/// A UUID, with its dashes or without any.
fn is_link_id(text: &str) -> bool {
    let groups: Vec<usize> = text.split('-').map(str::len).collect();
    let mut digits = text.bytes().filter(|byte| *byte != b'-');
    (groups == [32] || groups == [8, 4, 4, 4, 12])
        && digits.clone().all(|digit| digit.is_ascii_hexdigit())
        && digits.any(|digit| digit != b'0')
}

/// `partition:broker`, both decimal.
fn is_replica(entry: &str) -> bool {
    entry.split_once(':').is_some_and(|(partition, broker)| {
        [partition, broker]
            .iter()
            .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
    })
}

/// Whether and for whom a key can be changed while the broker runs (IncrementalAlterConfigs).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// Only by a restart.
    ReadOnly,
    /// For one broker.
    PerBroker,
    /// For one broker or for all of them.
    ClusterWide,
    /// A topic key: for one topic.
    Topic,
}

impl Update {
    /// Returns Kafka's word (`dynamicConfigUpdateModes`) or ours for topic keys.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::PerBroker => "per-broker",
            Self::ClusterWide => "cluster-wide",
            Self::Topic => "per-topic",
        }
    }
}

/// Whose key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Apache Kafka defines it and we keep its meaning.
    Kafka,
    /// Ours, because Kafka has none for the purpose.
    Thalweg,
}

/// What setting a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// What its text says.
    Live,
    /// It is stored and reported, and changes nothing.
    Stored,
    /// Only the default is taken, because ignoring another value would be unsafe.
    Refused,
}

impl Setting {
    /// Reports whether the value is a secret.
    #[must_use]
    pub const fn is_sensitive(&self) -> bool {
        matches!(self.kind, Kind::Password)
    }

    /// Returns the text for people, with a note when the key does nothing or cannot be set.
    #[must_use]
    pub fn full_doc(&self) -> String {
        match self.effect {
            Effect::Live => self.doc.to_owned(),
            Effect::Stored => format!("{} Stored and reported; changes nothing here.", self.doc),
            Effect::Refused => {
                format!(
                    "{} Not available in this version: only the default is taken.",
                    self.doc
                )
            }
        }
    }

    /// Reads `text` as a value of this key: type first, bounds second, as Kafka does it.
    ///
    /// # Errors
    /// A reason that fits behind "the value", without name and value.
    pub(crate) fn parse(&self, text: &str) -> Result<Value, String> {
        if text.len() > VALUE_BYTES_MAX {
            return Err(format!(
                "is {} bytes long, more than {VALUE_BYTES_MAX}",
                text.len()
            ));
        }
        let value = value::parse(self.kind, text.trim())?;
        self.rule.check(&value)?;
        Ok(value)
    }

    /// Returns the parsed default.
    pub(crate) fn default_value(&self, text: Option<&str>) -> Value {
        // A test parses every default of both tables, so the fallback is never taken.
        text.map_or(Value::Null, |text| self.parse(text).unwrap_or(Value::Null))
    }
}

#[cfg(test)]
#[path = "setting_test.rs"]
mod tests;
