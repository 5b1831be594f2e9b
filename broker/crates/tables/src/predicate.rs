//! Predicates: what a query asks of a row.
//!
//! [`Predicate::of_row`] is the meaning; [`Predicate::outcomes`] is what it may be for the rows of a partition. The second
//! must hold every answer of the first for the rows that the domains allow: everything else rests on that.
//!
//! A predicate is a tree; its depth is bounded by who builds it (see `sql`).

use crate::civil::{self, DAY_MICROS, HOUR_MICROS};
use crate::domain::{ColumnDomain, Nulls, ValueSet, null_outcomes, test_outcomes};
use crate::like::Pattern;
use crate::murmur3::hash_value;
use crate::outcomes::{Outcomes, Truth};
use crate::planted::{Bug, is_planted};
use crate::schema::{Column, FieldId, Schema};
use crate::value::Value;

/// A row: a value, or NULL, for each column of the schema, in its order.
pub type Row = [Option<Value>];

/// A function of one column that keeps its order, though it may make neighbours equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Map {
    /// A number as DOUBLE, rounded to the nearest.
    ToDouble,
    /// The day of a timestamp, UTC.
    ToDate,
    /// The midnight of a date, UTC; beyond the range of a timestamp its first or last.
    ToTimestamp,
    /// `date_trunc('hour', …)`.
    TruncateHour,
    /// `date_trunc('day', …)`.
    TruncateDay,
    /// `date_trunc('month', …)`.
    TruncateMonth,
    /// `date_trunc('year', …)`.
    TruncateYear,
}

impl Map {
    /// Applies the function. A value of a type that it does not take is returned as it is.
    #[must_use]
    pub fn of(self, value: &Value) -> Value {
        match (self, value) {
            (Self::ToDouble, Value::Integer(number)) => Value::Double(*number as f64),
            (Self::ToDouble, Value::Decimal(number)) => {
                Value::Double(number.unscaled as f64 / 10_f64.powi(i32::from(number.scale)))
            }
            (Self::ToDate, Value::Timestamp(micros)) => {
                // All days of a timestamp fit: 2^63 microseconds are 107 million days.
                Value::Date(i32::try_from(micros.div_euclid(DAY_MICROS)).unwrap_or(i32::MAX))
            }
            (Self::ToTimestamp, Value::Date(days)) => {
                Value::Timestamp(i64::from(*days).saturating_mul(DAY_MICROS))
            }
            (_, Value::Timestamp(micros)) => Value::Timestamp(self.truncated(*micros)),
            _ => value.clone(),
        }
    }

    fn truncated(self, micros: i64) -> i64 {
        let floor = |unit: i64| micros.saturating_sub(micros.rem_euclid(unit));
        let (year, month, _) = civil::civil_from_days(micros.div_euclid(DAY_MICROS));
        let first = |month: i64| civil::days_from_civil(year, month, 1).saturating_mul(DAY_MICROS);
        match self {
            Self::TruncateHour => floor(HOUR_MICROS),
            Self::TruncateDay => floor(DAY_MICROS),
            Self::TruncateMonth => first(month),
            Self::TruncateYear => first(1),
            Self::ToDouble | Self::ToDate | Self::ToTimestamp => micros,
        }
    }

    fn sql(self, inner: &str) -> String {
        match self {
            Self::ToDouble => format!("CAST({inner} AS DOUBLE)"),
            Self::ToDate => format!("CAST({inner} AS DATE)"),
            Self::ToTimestamp => format!("CAST({inner} AS TIMESTAMP)"),
            Self::TruncateHour => format!("date_trunc('hour', {inner})"),
            Self::TruncateDay => format!("date_trunc('day', {inner})"),
            Self::TruncateMonth => format!("date_trunc('month', {inner})"),
            Self::TruncateYear => format!("date_trunc('year', {inner})"),
        }
    }
}

/// A column, or a function of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operand {
    place: usize,
    id: FieldId,
    nulls: Nulls,
    maps: Vec<Map>,
}

impl Operand {
    /// Names the column at a place of a schema.
    #[must_use]
    pub fn column(place: usize, column: &Column) -> Self {
        Self {
            place,
            id: column.id,
            nulls: Nulls::possible(column.nullable),
            maps: Vec::new(),
        }
    }

    /// Puts a function around it.
    #[must_use]
    pub fn mapped(mut self, map: Map) -> Self {
        self.maps.push(map);
        self
    }

    /// Returns the number of the column.
    #[must_use]
    pub const fn field(&self) -> FieldId {
        self.id
    }

    /// Reports whether it is the column itself.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.maps.is_empty()
    }

    fn of_row(&self, row: &Row) -> Option<Value> {
        let value = row.get(self.place)?.as_ref()?;
        Some(self.maps.iter().fold(value.clone(), |value, map| map.of(&value)))
    }

    fn domains<'a>(&'a self, domains: &'a [ColumnDomain]) -> impl Iterator<Item = &'a ColumnDomain> {
        domains.iter().filter(|domain| domain.column == self.id)
    }

    fn may_be_null(&self, domains: &[ColumnDomain]) -> bool {
        self.nulls == Nulls::Possible
            && self
                .domains(domains)
                .all(|domain| domain.domain.nulls == Nulls::Possible)
    }

    fn text(&self, schema: &Schema) -> String {
        let name = format!("\"{}\"", schema.name_at(self.place).replace('"', "\"\""));
        self.maps.iter().fold(name, |inner, map| map.sql(&inner))
    }
}

/// The values of IN, sorted, with their hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Literals {
    values: Vec<Value>,
    hashes: Vec<u32>,
}

impl Literals {
    /// Takes values of the operand's type.
    #[must_use]
    pub fn new(mut values: Vec<Value>) -> Self {
        values.sort();
        values.dedup();
        // Floating point has no hash, and no bucket asks for it.
        let hashes = values.iter().filter_map(hash_value).collect();
        Self { values, hashes }
    }

    /// Returns them, sorted, none twice.
    #[must_use]
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    pub(crate) fn hashes(&self) -> impl Iterator<Item = u32> {
        self.hashes.iter().copied()
    }
}

/// A test of one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// `= a` and `IN (a, b)`.
    In(Literals),
    /// `< a`.
    Less(Value),
    /// `<= a`.
    LessOrEqual(Value),
    /// `LIKE 'a%'`.
    Like(Pattern),
}

impl Test {
    /// Reports whether a value that is not NULL passes.
    #[must_use]
    pub fn holds(&self, value: &Value) -> bool {
        match self {
            Self::In(literals) => literals.values.binary_search(value).is_ok(),
            Self::Less(limit) => value < limit,
            Self::LessOrEqual(limit) => value <= limit,
            Self::Like(pattern) => matches!(value, Value::String(text) if pattern.matches(text)),
        }
    }
}

/// How two columns are compared; the others are the negation or the exchange of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
}

impl Comparison {
    fn holds(self, left: &Value, right: &Value) -> bool {
        match self {
            Self::Equal => left == right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
        }
    }

    const fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
        }
    }
}

/// A question about a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Predicate {
    /// Always the same answer.
    Constant(Truth),
    /// A test of a column: unknown for NULL.
    Test(Operand, Test),
    /// `IS NULL`.
    IsNull(Operand),
    /// Two columns compared: unknown if one is NULL.
    Columns(Operand, Comparison, Operand),
    /// `IS TRUE`, `IS FALSE`, `IS UNKNOWN` (for a predicate the same as `IS NULL`).
    Is(Box<Predicate>, Truth),
    /// NOT.
    Not(Box<Predicate>),
    /// All of these; true if there are none.
    And(Vec<Predicate>),
    /// One of these; false if there are none.
    Or(Vec<Predicate>),
}

impl Predicate {
    /// Returns the negation.
    #[must_use]
    pub fn negated(self) -> Self {
        Self::Not(Box::new(self))
    }

    /// Answers for one row.
    #[must_use]
    pub fn of_row(&self, row: &Row) -> Truth {
        match self {
            Self::Constant(truth) => *truth,
            Self::Test(operand, test) => match operand.of_row(row) {
                None => Truth::Unknown,
                Some(value) => Truth::of(test.holds(&value)),
            },
            Self::IsNull(operand) => Truth::of(operand.of_row(row).is_none()),
            Self::Columns(left, comparison, right) => match (left.of_row(row), right.of_row(row)) {
                (Some(left), Some(right)) => Truth::of(comparison.holds(&left, &right)),
                _ => Truth::Unknown,
            },
            Self::Is(inner, truth) => Truth::of(inner.of_row(row) == *truth),
            Self::Not(inner) => inner.of_row(row).negated(),
            Self::And(parts) => parts
                .iter()
                .fold(Truth::True, |truth, part| truth.and(part.of_row(row))),
            Self::Or(parts) => parts
                .iter()
                .fold(Truth::False, |truth, part| truth.or(part.of_row(row))),
        }
    }

    /// Answers for all rows that a partition with these domains may hold. Columns that no domain names may hold anything.
    #[must_use]
    pub fn outcomes(&self, domains: &[ColumnDomain]) -> Outcomes {
        match self {
            Self::Constant(truth) => Outcomes::only(*truth),
            Self::Test(operand, test) => {
                let decided = operand
                    .domains(domains)
                    .fold(Outcomes::DECIDED, |outcomes, domain| {
                        let values = domain.domain.values.mapped(&operand.maps);
                        outcomes.intersection(test_outcomes(test, &values))
                    });
                with_unknown(decided, operand.may_be_null(domains))
            }
            Self::IsNull(operand) => {
                let column = match operand.nulls {
                    Nulls::Possible => Outcomes::DECIDED,
                    Nulls::Absent => Outcomes::FALSE,
                };
                operand.domains(domains).fold(column, |outcomes, domain| {
                    outcomes.intersection(null_outcomes(&domain.domain))
                })
            }
            Self::Columns(left, _, right) => {
                let is_unknown = left.may_be_null(domains) || right.may_be_null(domains);
                with_unknown(Outcomes::DECIDED, is_unknown)
            }
            Self::Is(inner, truth) => {
                let inner = inner.outcomes(domains);
                let others = Truth::ALL.iter().any(|other| other != truth && inner.has(*other));
                Outcomes::decided(inner.has(*truth), others)
            }
            Self::Not(inner) => inner.outcomes(domains).negated(),
            Self::And(parts) => parts.iter().fold(Outcomes::TRUE, |outcomes, part| {
                outcomes.and(part.outcomes(domains))
            }),
            Self::Or(parts) => parts.iter().fold(Outcomes::FALSE, |outcomes, part| {
                outcomes.or(part.outcomes(domains))
            }),
        }
    }

    /// Returns the parts that AND joins, or the whole.
    #[must_use]
    pub fn conjuncts(&self) -> Vec<&Self> {
        match self {
            Self::And(parts) => parts.iter().flat_map(Self::conjuncts).collect(),
            other => vec![other],
        }
    }

    /// Calls `seen` with every column that is asked about, as often as it is.
    pub fn visit_columns<'a>(&'a self, seen: &mut impl FnMut(&'a Operand)) {
        match self {
            Self::Constant(_) => {}
            Self::Test(operand, _) | Self::IsNull(operand) => seen(operand),
            Self::Columns(left, _, right) => {
                seen(left);
                seen(right);
            }
            Self::Is(inner, _) | Self::Not(inner) => inner.visit_columns(seen),
            Self::And(parts) | Self::Or(parts) => parts.iter().for_each(|part| part.visit_columns(seen)),
        }
    }

    /// Writes the predicate as SQL, which is read back as the same question.
    #[must_use]
    pub fn text(&self, schema: &Schema) -> String {
        let joined = |parts: &[Self], with: &str| {
            let parts: Vec<String> = parts.iter().map(|part| part.text(schema)).collect();
            format!("({})", parts.join(with))
        };
        match self {
            Self::Constant(Truth::True) => "TRUE".to_owned(),
            Self::Constant(Truth::False) => "FALSE".to_owned(),
            Self::Constant(Truth::Unknown) => "NULL".to_owned(),
            Self::Test(operand, test) => test_text(&operand.text(schema), test),
            Self::IsNull(operand) => format!("{} IS NULL", operand.text(schema)),
            Self::Columns(left, comparison, right) => {
                format!(
                    "{} {} {}",
                    left.text(schema),
                    comparison.sign(),
                    right.text(schema)
                )
            }
            Self::Is(inner, truth) => {
                let word = match truth {
                    Truth::True => "TRUE",
                    Truth::False => "FALSE",
                    Truth::Unknown => "UNKNOWN",
                };
                format!("({}) IS {word}", inner.text(schema))
            }
            Self::Not(inner) => format!("NOT ({})", inner.text(schema)),
            Self::And(parts) if parts.is_empty() => "TRUE".to_owned(),
            Self::And(parts) => joined(parts, " AND "),
            Self::Or(parts) if parts.is_empty() => "FALSE".to_owned(),
            Self::Or(parts) => joined(parts, " OR "),
        }
    }
}

fn with_unknown(decided: Outcomes, is_unknown: bool) -> Outcomes {
    if is_unknown && !is_planted(Bug::NullForgotten) {
        decided.union(Outcomes::UNKNOWN)
    } else {
        decided
    }
}

fn test_text(operand: &str, test: &Test) -> String {
    match test {
        Test::In(literals) => match literals.values() {
            // No literal of the list can be equal: false, but unknown for NULL.
            [] => format!("({operand} IS NULL AND NULL)"),
            [only] => format!("{operand} = {only}"),
            many => {
                let many: Vec<String> = many.iter().map(Value::to_string).collect();
                format!("{operand} IN ({})", many.join(", "))
            }
        },
        Test::Less(limit) => format!("{operand} < {limit}"),
        Test::LessOrEqual(limit) => format!("{operand} <= {limit}"),
        Test::Like(pattern) => format!("{operand} LIKE {pattern}"),
    }
}

/// Says what of a column a partition's domains leave open, for [`crate::plan`].
pub(crate) fn describe(values: &ValueSet) -> String {
    match values {
        ValueSet::OneOf(values) => match values.as_slice() {
            [] => "NULL".to_owned(),
            [only] => format!("{only}"),
            many => format!("{} values", many.len()),
        },
        ValueSet::NoneOf(values) => format!("everything but {} listed values", values.len()),
        ValueSet::Range { low, high } => {
            let low = low.as_ref().map_or("the least".to_owned(), Value::to_string);
            let high = match high {
                None => "the greatest".to_owned(),
                Some(crate::domain::High::Inside(high)) => format!("{high}"),
                Some(crate::domain::High::Outside(high)) => format!("{high} (not included)"),
            };
            format!("values from {low} to {high}")
        }
        ValueSet::Bucket { count, index } => {
            format!("bucket {index} of {count}, which can refute = and IN, and confirms nothing")
        }
        ValueSet::Prefix(prefix) => format!("strings that begin with '{prefix}'"),
        ValueSet::All => "anything".to_owned(),
    }
}

#[cfg(test)]
#[path = "predicate_test.rs"]
mod tests;
