//! What a partition may hold of a column, and what a test may be for it.
//!
//! A [`Domain`] never changes in the life of its partition. It may say too much, never too little. Each function here that
//! answers with [`Outcomes`] is one small lemma: the outcome of every value of the set is in the answer.

use std::borrow::Cow;

use crate::like::{Pattern, Shape};
use crate::murmur3::hash_value;
use crate::outcomes::Outcomes;
use crate::planted::{Bug, is_planted};
use crate::predicate::{Literals, Map, Test};
use crate::schema::FieldId;
use crate::value::Value;

/// Whether NULL is in a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nulls {
    /// No row has NULL there.
    Absent,
    /// Some may.
    Possible,
}

impl Nulls {
    pub(crate) const fn possible(is_possible: bool) -> Self {
        if is_possible { Self::Possible } else { Self::Absent }
    }
}

/// The upper end of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum High {
    /// The value itself is inside.
    Inside(Value),
    /// The value is the first outside.
    Outside(Value),
}

impl High {
    fn value(&self) -> &Value {
        match self {
            Self::Inside(value) | Self::Outside(value) => value,
        }
    }

    fn holds(&self, value: &Value) -> bool {
        match self {
            Self::Inside(high) => value <= high,
            Self::Outside(high) => value < high,
        }
    }
}

/// A set of values that are not NULL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueSet {
    /// These, sorted, none twice.
    OneOf(Vec<Value>),
    /// All but these, sorted, none twice.
    NoneOf(Vec<Value>),
    /// From the lower end, which is inside, to the upper.
    Range {
        /// The first inside; `None`: no lower end.
        low: Option<Value>,
        /// The upper end; `None`: there is none.
        high: Option<High>,
    },
    /// Those whose hash falls into a bucket.
    Bucket {
        /// Number of buckets.
        count: u32,
        /// Which one, from 0.
        index: u32,
    },
    /// Strings that begin so.
    Prefix(String),
    /// Anything.
    All,
}

impl ValueSet {
    /// The set of certain values.
    #[must_use]
    pub fn one_of(mut values: Vec<Value>) -> Self {
        values.sort();
        values.dedup();
        Self::OneOf(values)
    }

    /// Reports whether a value is in the set.
    #[must_use]
    pub fn holds(&self, value: &Value) -> bool {
        match self {
            Self::OneOf(values) => values.binary_search(value).is_ok(),
            Self::NoneOf(values) => values.binary_search(value).is_err(),
            Self::Range { low, high } => {
                low.as_ref().is_none_or(|low| low <= value)
                    && high.as_ref().is_none_or(|high| high.holds(value))
            }
            Self::Bucket { count, index } => {
                hash_value(value).is_some_and(|hash| bucket_of(hash, *count) == *index)
            }
            Self::Prefix(prefix) => matches!(value, Value::String(text) if text.starts_with(prefix.as_str())),
            Self::All => true,
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::OneOf(values) if values.is_empty())
    }

    /// What a function of the column may be, in the order it is applied.
    pub(crate) fn mapped(&self, maps: &[Map]) -> Cow<'_, Self> {
        if maps.is_empty() {
            return Cow::Borrowed(self);
        }
        let image = |value: &Value| maps.iter().fold(value.clone(), |value, map| map.of(&value));
        Cow::Owned(match self {
            Self::OneOf(values) => Self::one_of(values.iter().map(image).collect()),
            // Each map keeps the order but may make neighbours equal, so that an open end closes.
            Self::Range { low, high } => {
                let high = match (high, low) {
                    (Some(_), Some(low)) if is_planted(Bug::MapHighKept) => Some(High::Inside(image(low))),
                    (high, _) => high.as_ref().map(|high| High::Inside(image(high.value()))),
                };
                Self::Range {
                    low: low.as_ref().map(image),
                    high,
                }
            }
            Self::NoneOf(_) | Self::Bucket { .. } | Self::Prefix(_) | Self::All => Self::All,
        })
    }
}

/// The bucket of a hash. The sign is cleared first, as lake tables do.
pub(crate) const fn bucket_of(hash: u32, count: u32) -> u32 {
    let count = if count == 0 { 1 } else { count };
    (hash & 0x7fff_ffff) % count
}

/// What a column may hold in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// Whether NULL is in it.
    pub nulls: Nulls,
    /// Its other values.
    pub values: ValueSet,
}

impl Domain {
    /// The domain of NULL alone.
    #[must_use]
    pub const fn null() -> Self {
        Self {
            nulls: Nulls::Possible,
            values: ValueSet::OneOf(Vec::new()),
        }
    }

    /// A domain without NULL.
    #[must_use]
    pub const fn of(values: ValueSet) -> Self {
        Self {
            nulls: Nulls::Absent,
            values,
        }
    }

    /// Reports whether a value, or NULL, may stand in the partition. The check of every record of a table topic.
    #[must_use]
    pub fn holds(&self, value: Option<&Value>) -> bool {
        match value {
            None => self.nulls == Nulls::Possible,
            Some(value) => self.values.holds(value),
        }
    }
}

/// A domain and the column it is of. A partition may have several for a column; a row is in all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnDomain {
    /// The column.
    pub column: FieldId,
    /// What it may hold.
    pub domain: Domain,
}

/// What a test may be for the values of a set; NULL is not looked at.
pub(crate) fn test_outcomes(test: &Test, values: &ValueSet) -> Outcomes {
    match values {
        ValueSet::OneOf(members) => members.iter().fold(Outcomes::NONE, |outcomes, member| {
            outcomes.union(if test.holds(member) {
                Outcomes::TRUE
            } else {
                Outcomes::FALSE
            })
        }),
        ValueSet::All => Outcomes::DECIDED,
        ValueSet::NoneOf(excluded) => none_of(test, excluded),
        ValueSet::Bucket { count, index } => bucket(test, *count, *index),
        ValueSet::Range { low, high } => range(test, low.as_ref(), high.as_ref()),
        ValueSet::Prefix(prefix) => prefix_outcomes(test, prefix),
    }
}

fn none_of(test: &Test, excluded: &[Value]) -> Outcomes {
    let Test::In(literals) = test else {
        return Outcomes::DECIDED;
    };
    let is_excluded = |value: &Value| excluded.binary_search(value).is_ok();
    if is_planted(Bug::DefaultInverted) {
        return Outcomes::decided(literals.values().iter().any(is_excluded), true);
    }
    Outcomes::decided(!literals.values().iter().all(is_excluded), true)
}

fn bucket(test: &Test, count: u32, index: u32) -> Outcomes {
    let Test::In(literals) = test else {
        return Outcomes::DECIDED;
    };
    let is_here = literals.hashes().any(|hash| bucket_of(hash, count) == index);
    // Other values share the bucket.
    Outcomes::decided(is_here, !(is_here && is_planted(Bug::BucketCertain)))
}

fn range(test: &Test, low: Option<&Value>, high: Option<&High>) -> Outcomes {
    match test {
        Test::In(literals) => range_in(literals, low, high),
        Test::Less(limit) => Outcomes::decided(
            low.is_none_or(|low| low < limit),
            high.is_none_or(|high| reaches(high, limit)),
        ),
        Test::LessOrEqual(limit) if is_planted(Bug::LessOrEqualAsLess) => {
            range(&Test::Less(limit.clone()), low, high)
        }
        Test::LessOrEqual(limit) => {
            let goes_beyond = high.is_none_or(|high| match high {
                High::Inside(high) => high > limit,
                // A string has no last neighbour below another, so the end itself is a safe answer.
                High::Outside(high) => high > limit,
            });
            Outcomes::decided(low.is_none_or(|low| low <= limit), goes_beyond)
        }
        Test::Like(pattern) => range_like(pattern, low, high),
    }
}

/// Whether a value of the range may be `limit` or above it.
fn reaches(high: &High, limit: &Value) -> bool {
    if is_planted(Bug::DayEndsEarly) {
        return high.value() > limit;
    }
    high.holds(limit)
}

fn range_in(literals: &Literals, low: Option<&Value>, high: Option<&High>) -> Outcomes {
    let values = literals.values();
    let from = low.map_or(0, |low| values.partition_point(|value| value < low));
    let is_here = values
        .get(from)
        .is_some_and(|first| high.is_none_or(|high| high.holds(first)));
    let is_single = matches!((low, high), (Some(low), Some(High::Inside(high))) if low == high);
    Outcomes::decided(is_here, !(is_here && is_single))
}

fn range_like(pattern: &Pattern, low: Option<&Value>, high: Option<&High>) -> Outcomes {
    let prefix = pattern.prefix();
    // Values that begin with the prefix start at the prefix itself and lie together.
    let begins_below_end = match high {
        Some(High::Inside(Value::String(high))) => prefix <= high.as_str(),
        Some(High::Outside(Value::String(high))) => prefix < high.as_str(),
        _ => true,
    };
    let ends_above_start = match low {
        Some(Value::String(low)) => prefix >= low.as_str() || low.starts_with(prefix),
        _ => true,
    };
    let is_everything = prefix.is_empty() && pattern.shape() == Shape::Prefix;
    Outcomes::decided(begins_below_end && ends_above_start, !is_everything)
}

fn prefix_outcomes(test: &Test, prefix: &str) -> Outcomes {
    // Strings that begin with the prefix: the prefix is the first of them, and there is no last.
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        _ => None,
    };
    match test {
        Test::In(literals) => {
            let begins = |value: &Value| matches!(value, Value::String(text) if text.starts_with(prefix));
            Outcomes::decided(literals.values().iter().any(begins), true)
        }
        Test::Less(limit) | Test::LessOrEqual(limit) => {
            let Some(limit) = text(limit) else {
                return Outcomes::DECIDED;
            };
            let is_first_in = match test {
                Test::Less(_) => prefix < limit.as_str(),
                _ => prefix <= limit.as_str(),
            };
            Outcomes::decided(is_first_in, limit.starts_with(prefix) || prefix > limit.as_str())
        }
        Test::Like(pattern) => {
            let wanted = pattern.prefix();
            let is_longer = wanted.starts_with(prefix) && !is_planted(Bug::LongerPatternRefuted);
            let is_covered = prefix.starts_with(wanted);
            let is_certain = is_covered && pattern.shape() == Shape::Prefix;
            Outcomes::decided(is_covered || is_longer, !is_certain)
        }
    }
}

/// What `column IS NULL` may be.
pub(crate) fn null_outcomes(domain: &Domain) -> Outcomes {
    let is_null = domain.nulls == Nulls::Possible;
    if is_null && is_planted(Bug::NullPartitionCertain) {
        return Outcomes::TRUE;
    }
    Outcomes::decided(is_null, !domain.values.is_empty())
}

#[cfg(test)]
#[path = "domain_test.rs"]
mod tests;
