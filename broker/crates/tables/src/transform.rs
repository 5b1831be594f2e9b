//! How a column's value chooses a partition.
//!
//! | transform | columns | slot of a value | NULL |
//! |---|---|---|---|
//! | identity | all but FLOAT, DOUBLE | the value | its own |
//! | list | the same | the group that names the value, else *default* | in the group that names it, else *default* |
//! | bucket\[N\] | the same | murmur3 (32 bits, sign cleared) modulo N, as Iceberg | its own |
//! | range | the same | the place among ascending bounds | its own |
//! | truncate\[W\] | INT, BIGINT, DECIMAL (digits without the point) | the multiple of W at or below | its own |
//! | prefix\[W\] | STRING | the first W characters (code points) | its own |
//! | hour, day, month, year | TIMESTAMP; DATE (not hour) | the period since 1970, UTC | its own |
//!
//! Invariant: [`Transform::domain`] of a value's slot holds the value.

use crate::civil::{self, DAY_MICROS, HOUR_MICROS};
use crate::domain::{Domain, High, Nulls, ValueSet, bucket_of};
use crate::murmur3::hash_value;
use crate::planted::{Bug, is_planted};
use crate::value::{DataType, Decimal, Value};

/// Most buckets.
pub const BUCKETS_MAX: u32 = 100_000;
/// Most groups, values of all groups, or bounds of one transform.
pub const LIST_VALUES_MAX: usize = 10_000;
/// Longest prefix, in characters.
pub const PREFIX_CHARS_MAX: u32 = 200;

/// One named group of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListGroup {
    /// Its values; `None` is NULL.
    pub values: Vec<Option<Value>>,
}

/// What happens to a value that no group names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlisted {
    /// It goes to the default partition.
    Default,
    /// It has no partition.
    Refused,
}

/// A function from values to slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transform {
    /// One slot for each value.
    Identity,
    /// Named groups of values.
    List {
        /// The groups; no value stands in two.
        groups: Vec<ListGroup>,
        /// What becomes of the rest.
        unlisted: Unlisted,
    },
    /// A number of buckets, by hash.
    Bucket {
        /// How many, 1 to [`BUCKETS_MAX`].
        count: u32,
    },
    /// Ranges between ascending bounds; a bound begins the range above it.
    Range {
        /// The bounds, ascending.
        bounds: Vec<Value>,
    },
    /// Multiples of a width.
    Truncate {
        /// The width, at least 1.
        width: u64,
    },
    /// The first characters.
    Prefix {
        /// How many, 1 to [`PREFIX_CHARS_MAX`].
        chars: u32,
    },
    /// Hours since 1970.
    Hour,
    /// Days since 1970.
    Day,
    /// Months since January 1970.
    Month,
    /// Years since 1970.
    Year,
}

/// The place of a value under a transform.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// That of NULL.
    Null,
    /// The default of a list.
    Default,
    /// The number of a group, bucket, range or period.
    Number(i64),
    /// The value, or its truncation or prefix.
    Value(Value),
}

/// A whole number without digits behind its point, and how to write one in the column's type.
type Numeric = (i128, fn(i128, &Value) -> Value);

impl Transform {
    /// Says why the transform does not go with a type; `None` if it does.
    #[must_use]
    pub fn refusal(&self, data_type: DataType) -> Option<String> {
        if !data_type.may_partition() {
            return Some(format!(
                "{data_type} may not choose a partition: its values are not exact"
            ));
        }
        let within = |count: usize| count <= LIST_VALUES_MAX;
        match self {
            Self::Identity => None,
            Self::List { groups, .. } => list_refusal(groups, data_type),
            Self::Bucket { count } => (*count == 0 || *count > BUCKETS_MAX)
                .then(|| format!("bucket takes 1 to {BUCKETS_MAX} buckets, not {count}")),
            Self::Range { bounds } if bounds.is_empty() || !within(bounds.len()) => Some(format!(
                "range takes 1 to {LIST_VALUES_MAX} bounds, not {}",
                bounds.len()
            )),
            Self::Range { bounds } => bounds
                .iter()
                .find(|bound| !bound.fits(data_type))
                .map(|bound| format!("the bound {bound} is no {data_type}"))
                .or_else(|| {
                    let is_ascending = bounds.windows(2).all(|pair| pair.first() < pair.last());
                    (!is_ascending).then(|| "the bounds of a range ascend".to_owned())
                }),
            Self::Truncate { width: 0 } => Some("truncate takes a width of at least 1".to_owned()),
            Self::Truncate { .. } => {
                let is_number = matches!(
                    data_type,
                    DataType::Int | DataType::BigInt | DataType::Decimal { .. }
                );
                (!is_number).then(|| {
                    format!("truncate takes INT, BIGINT or DECIMAL, not {data_type}; STRING has prefix")
                })
            }
            Self::Prefix { chars } if *chars == 0 || *chars > PREFIX_CHARS_MAX => Some(format!(
                "prefix takes 1 to {PREFIX_CHARS_MAX} characters, not {chars}"
            )),
            Self::Prefix { .. } => {
                (data_type != DataType::String).then(|| format!("prefix takes STRING, not {data_type}"))
            }
            Self::Hour => {
                let is_time = matches!(data_type, DataType::Timestamp(_));
                (!is_time).then(|| format!("hour takes TIMESTAMP, not {data_type}"))
            }
            Self::Day | Self::Month | Self::Year => {
                let is_time = matches!(data_type, DataType::Timestamp(_) | DataType::Date);
                (!is_time).then(|| format!("day, month and year take TIMESTAMP or DATE, not {data_type}"))
            }
        }
    }

    /// Returns the slot of a value (`None`: NULL). `None` if it has none: a list without default does not name it, or
    /// the value is not of the column's type.
    #[must_use]
    pub fn slot(&self, value: Option<&Value>) -> Option<Slot> {
        if let Self::List { groups, unlisted } = self {
            let place = groups
                .iter()
                .position(|group| group.values.iter().any(|listed| listed.as_ref() == value));
            return match (place, unlisted) {
                (Some(place), _) => Some(Slot::Number(i64::try_from(place).ok()?)),
                (None, Unlisted::Default) => Some(Slot::Default),
                (None, Unlisted::Refused) => None,
            };
        }
        let Some(value) = value else {
            return Some(Slot::Null);
        };
        Some(match self {
            Self::Identity | Self::List { .. } => Slot::Value(value.clone()),
            Self::Bucket { count } if is_planted(Bug::BucketSigned) => {
                Slot::Number(i64::from(hash_value(value)? % count))
            }
            Self::Bucket { count } => Slot::Number(i64::from(bucket_of(hash_value(value)?, *count))),
            Self::Range { bounds } => {
                Slot::Number(i64::try_from(bounds.partition_point(|bound| bound <= value)).ok()?)
            }
            Self::Truncate { width } => {
                let (number, rebuild) = numeric(value)?;
                Slot::Value(rebuild(floor_to(number, *width), value))
            }
            Self::Prefix { chars } => Slot::Value(Value::String(prefix_of(value, *chars)?.to_owned())),
            Self::Hour | Self::Day | Self::Month | Self::Year => Slot::Number(self.period(value)?),
        })
    }

    /// Returns what a slot's partition holds of the column. A slot that the transform does not have holds anything.
    #[must_use]
    pub fn domain(&self, slot: &Slot, data_type: DataType) -> Domain {
        match (self, slot) {
            (Self::List { groups, .. }, Slot::Number(place)) => {
                let group = usize::try_from(*place).ok().and_then(|place| groups.get(place));
                group.map_or_else(anything, |group| Domain {
                    nulls: Nulls::possible(group.values.contains(&None)),
                    values: ValueSet::one_of(group.values.iter().flatten().cloned().collect()),
                })
            }
            (Self::List { groups, .. }, Slot::Default) => default_domain(groups),
            (_, Slot::Null) => Domain::null(),
            (Self::Identity, Slot::Value(value)) => Domain::of(ValueSet::OneOf(vec![value.clone()])),
            (Self::Bucket { count }, Slot::Number(index)) => match u32::try_from(*index) {
                Ok(index) => Domain::of(ValueSet::Bucket { count: *count, index }),
                Err(_) => anything(),
            },
            (Self::Range { bounds }, Slot::Number(place)) => match usize::try_from(*place) {
                Ok(place) => Domain::of(ValueSet::Range {
                    low: place.checked_sub(1).and_then(|below| bounds.get(below)).cloned(),
                    high: bounds.get(place).cloned().map(High::Outside),
                }),
                Err(_) => anything(),
            },
            (Self::Truncate { width }, Slot::Value(value)) => truncate_domain(value, *width),
            (Self::Prefix { chars }, Slot::Value(Value::String(prefix))) => prefix_domain(prefix, *chars),
            (Self::Hour | Self::Day | Self::Month | Self::Year, Slot::Number(period)) => {
                self.period_domain(*period, data_type)
            }
            _ => anything(),
        }
    }

    /// The number of the period a date or timestamp lies in.
    fn period(&self, value: &Value) -> Option<i64> {
        let floor = |micros: i64, unit: i64| {
            if is_planted(Bug::TimeRoundedToZero) {
                micros / unit
            } else {
                micros.div_euclid(unit)
            }
        };
        let days = match value {
            Value::Date(days) => i64::from(*days),
            Value::Timestamp(micros) => floor(*micros, DAY_MICROS),
            _ => return None,
        };
        let (year, month, _) = civil::civil_from_days(days);
        match (self, value) {
            (Self::Hour, Value::Timestamp(micros)) => Some(floor(*micros, HOUR_MICROS)),
            (Self::Day, _) => Some(days),
            (Self::Month, _) => Some((year - 1970) * 12 + month - 1),
            (Self::Year, _) => Some(year - 1970),
            _ => None,
        }
    }

    /// The days, or hours, from the first of a period to the first of the next.
    fn period_bounds(&self, period: i64) -> (i128, i128) {
        let day_of = |months: i64| {
            // Beyond these no day has a number that fits a date or timestamp.
            let months = months.clamp(-100_000_000, 100_000_000);
            let (year, month) = (1970 + months.div_euclid(12), months.rem_euclid(12) + 1);
            i128::from(civil::days_from_civil(year, month, 1))
        };
        let next = period.saturating_add(1);
        match self {
            Self::Month => (day_of(period), day_of(next)),
            Self::Year => (day_of(period.saturating_mul(12)), day_of(next.saturating_mul(12))),
            _ => (i128::from(period), i128::from(period) + 1),
        }
    }

    fn period_domain(&self, period: i64, data_type: DataType) -> Domain {
        let (first, next) = self.period_bounds(period);
        let (low, high) = match data_type {
            DataType::Date => {
                let date = |days: i128| Value::Date(clamp_i32(days));
                (date(first), date(next - 1))
            }
            DataType::Timestamp(_) => {
                let unit = i128::from(if *self == Self::Hour {
                    HOUR_MICROS
                } else {
                    DAY_MICROS
                });
                let time = |micros: i128| Value::Timestamp(clamp_i64(micros));
                (time(first * unit), time(next * unit - 1))
            }
            _ => return anything(),
        };
        Domain::of(ValueSet::Range {
            low: Some(low),
            high: Some(High::Inside(high)),
        })
    }
}

/// A domain that refutes nothing.
const fn anything() -> Domain {
    Domain {
        nulls: Nulls::Possible,
        values: ValueSet::All,
    }
}

fn list_refusal(groups: &[ListGroup], data_type: DataType) -> Option<String> {
    let count: usize = groups.iter().map(|group| group.values.len()).sum();
    if groups.iter().any(|group| group.values.is_empty()) || count > LIST_VALUES_MAX {
        return Some(format!(
            "a list takes groups of at least one value, {LIST_VALUES_MAX} values in all"
        ));
    }
    let mut all: Vec<&Option<Value>> = groups.iter().flat_map(|group| &group.values).collect();
    if let Some(wrong) = all.iter().copied().flatten().find(|value| !value.fits(data_type)) {
        return Some(format!("the value {wrong} is no {data_type}"));
    }
    all.sort();
    let twice = all.windows(2).find(|pair| pair.first() == pair.last());
    let name = |value: Option<&&Option<Value>>| match value {
        Some(Some(value)) => value.to_string(),
        _ => "NULL".to_owned(),
    };
    twice.map(|pair| format!("the value {} stands in the list twice", name(pair.first())))
}

fn default_domain(groups: &[ListGroup]) -> Domain {
    let listed = groups.iter().flat_map(|group| &group.values);
    let mut values: Vec<Value> = listed.clone().flatten().cloned().collect();
    values.sort();
    values.dedup();
    let has_null = listed.into_iter().all(Option::is_some) && !is_planted(Bug::DefaultWithoutNull);
    Domain {
        nulls: Nulls::possible(has_null),
        values: ValueSet::NoneOf(values),
    }
}

fn numeric(value: &Value) -> Option<Numeric> {
    match value {
        Value::Integer(number) => Some((i128::from(*number), |number, _| Value::Integer(clamp_i64(number)))),
        Value::Decimal(decimal) => Some((decimal.unscaled, |unscaled, like| {
            let scale = if let Value::Decimal(like) = like {
                like.scale
            } else {
                0
            };
            Value::Decimal(Decimal { unscaled, scale })
        })),
        _ => None,
    }
}

fn floor_to(number: i128, width: u64) -> i128 {
    let width = i128::from(width.max(1));
    if is_planted(Bug::NumberRoundedToZero) {
        return number / width * width;
    }
    number - number.rem_euclid(width)
}

/// The slot may have been cut at the least number of its type, so the range is worked out from the multiple below it.
fn truncate_domain(slot: &Value, width: u64) -> Domain {
    let Some((number, rebuild)) = numeric(slot) else {
        return anything();
    };
    let last = floor_to(number, width) + i128::from(width.max(1)) - 1;
    Domain::of(ValueSet::Range {
        low: Some(slot.clone()),
        high: Some(High::Inside(rebuild(last, slot))),
    })
}

fn prefix_of(value: &Value, chars: u32) -> Option<&str> {
    let Value::String(text) = value else {
        return None;
    };
    let count = usize::try_from(chars).ok()?;
    let end = text.char_indices().nth(count).map_or(text.len(), |(end, _)| end);
    if is_planted(Bug::PrefixInBytes) {
        let end = (0..=count.min(text.len()))
            .rev()
            .find(|end| text.is_char_boundary(*end))?;
        return text.get(..end);
    }
    text.get(..end)
}

/// A string shorter than the prefix is the only one of its partition.
fn prefix_domain(prefix: &str, chars: u32) -> Domain {
    let is_whole = prefix.chars().count() < usize::try_from(chars).unwrap_or(usize::MAX);
    if is_whole {
        return Domain::of(ValueSet::OneOf(vec![Value::String(prefix.to_owned())]));
    }
    Domain::of(ValueSet::Prefix(prefix.to_owned()))
}

fn clamp_i64(number: i128) -> i64 {
    i64::try_from(number).unwrap_or(if number < 0 { i64::MIN } else { i64::MAX })
}

fn clamp_i32(number: i128) -> i32 {
    i32::try_from(number).unwrap_or(if number < 0 { i32::MIN } else { i32::MAX })
}

#[cfg(test)]
#[path = "transform_test.rs"]
mod tests;
