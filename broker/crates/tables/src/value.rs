//! Values of columns and their order.
//!
//! What compares equal, and what comes first, is the same in a scan, in a domain and in a bucket:
//!
//! | type | order |
//! |---|---|
//! | BOOLEAN | false before true |
//! | INT, BIGINT, DECIMAL | by number, exactly, whatever the scales: 1 = 1.00 |
//! | FLOAT, DOUBLE | by number; -0.0 = 0.0; NaN = NaN, and NaN comes after everything else. A literal is rounded to the type |
//! | DATE, TIMESTAMP | by instant, UTC; a date is its midnight |
//! | STRING | by the bytes of UTF-8, which is the order of code points; no collation, no normalization |
//! | BYTES | by bytes |
//!
//! NULL is not a value: it stands as `None` beside values and makes a comparison *unknown*.

use std::cmp::Ordering;
use std::fmt;

use crate::civil;

/// Most digits of a decimal.
pub const DECIMAL_DIGITS_MAX: u8 = 38;

/// Resolution of a timestamp column in a record. In memory a timestamp is always in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeUnit {
    /// Avro's `timestamp-millis`.
    Millis,
    /// Avro's `timestamp-micros`.
    Micros,
}

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataType {
    /// True or false.
    Boolean,
    /// 32 bits, signed.
    Int,
    /// 64 bits, signed.
    BigInt,
    /// IEEE 754, 32 bits. May not choose a partition.
    Float,
    /// IEEE 754, 64 bits. May not choose a partition.
    Double,
    /// A decimal number of fixed scale.
    Decimal {
        /// All digits, 1 to [`DECIMAL_DIGITS_MAX`].
        precision: u8,
        /// Digits behind the point, at most `precision`.
        scale: u8,
    },
    /// Days since 1970-01-01.
    Date,
    /// An instant.
    Timestamp(TimeUnit),
    /// UTF-8 text.
    String,
    /// Bytes.
    Bytes,
}

impl DataType {
    /// Reports whether a column of this type may choose a partition. Floating point may not: rounding differs between
    /// writers, and -0.0 and NaN have several encodings.
    #[must_use]
    pub const fn may_partition(self) -> bool {
        !matches!(self, Self::Float | Self::Double)
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::Int => f.write_str("INT"),
            Self::BigInt => f.write_str("BIGINT"),
            Self::Float => f.write_str("FLOAT"),
            Self::Double => f.write_str("DOUBLE"),
            Self::Decimal { precision, scale } => write!(f, "DECIMAL({precision}, {scale})"),
            Self::Date => f.write_str("DATE"),
            Self::Timestamp(TimeUnit::Millis) => f.write_str("TIMESTAMP(3)"),
            Self::Timestamp(TimeUnit::Micros) => f.write_str("TIMESTAMP(6)"),
            Self::String => f.write_str("STRING"),
            Self::Bytes => f.write_str("BYTES"),
        }
    }
}

/// A decimal number: `unscaled / 10^scale`.
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    /// All digits as one number; at most [`DECIMAL_DIGITS_MAX`] digits.
    pub unscaled: i128,
    /// Digits behind the point, at most [`DECIMAL_DIGITS_MAX`].
    pub scale: u8,
}

impl Decimal {
    /// Makes a decimal; `None` if it has more than 38 digits or a scale beyond 38.
    #[must_use]
    pub fn new(unscaled: i128, scale: u8) -> Option<Self> {
        let fits =
            scale <= DECIMAL_DIGITS_MAX && unscaled.unsigned_abs() < power(DECIMAL_DIGITS_MAX).unsigned_abs();
        fits.then_some(Self { unscaled, scale })
    }

    /// Reads `[-]digits[.digits][e[±]digits]`; `None` if it is no number or has more than 38 digits on either side.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (negative, mantissa) = match mantissa.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = || whole.bytes().chain(fraction.bytes());
        if digits().next().is_none() || !digits().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let mut unscaled: i128 = 0;
        for digit in digits() {
            unscaled = unscaled.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
        }
        let mut scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        if !(-i32::from(DECIMAL_DIGITS_MAX)..=1_000).contains(&scale) {
            return None;
        }
        while scale < 0 {
            unscaled = unscaled.checked_mul(10)?;
            scale += 1;
        }
        while scale > i32::from(DECIMAL_DIGITS_MAX) && unscaled % 10 == 0 {
            unscaled /= 10;
            scale -= 1;
        }
        Self::new(
            if negative { -unscaled } else { unscaled },
            u8::try_from(scale).ok()?,
        )
    }

    /// Returns the same number with another scale; `None` if digits would be lost or it would be too long.
    #[must_use]
    pub fn rescaled(self, scale: u8) -> Option<Self> {
        if scale >= self.scale {
            let unscaled = self.unscaled.checked_mul(checked_power(scale - self.scale)?)?;
            return Self::new(unscaled, scale);
        }
        let factor = checked_power(self.scale - scale)?;
        (self.unscaled % factor == 0).then_some(Self {
            unscaled: self.unscaled / factor,
            scale,
        })
    }

    /// Whole part rounded down, and the rest in units of 10^-38.
    fn parts(self) -> (i128, i128) {
        let scale = self.scale.min(DECIMAL_DIGITS_MAX);
        let one = power(scale);
        let rest = self.unscaled.rem_euclid(one);
        (
            self.unscaled.div_euclid(one),
            rest * power(DECIMAL_DIGITS_MAX - scale),
        )
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.unscaled.unsigned_abs().to_string();
        let scale = usize::from(self.scale);
        let padded = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = padded.split_at(padded.len() - scale);
        let sign = if self.unscaled < 0 { "-" } else { "" };
        match fraction {
            "" => write!(f, "{sign}{whole}"),
            _ => write!(f, "{sign}{whole}.{fraction}"),
        }
    }
}

/// 10 to the n-th, n at most 38.
fn power(n: u8) -> i128 {
    10_i128.pow(u32::from(n.min(DECIMAL_DIGITS_MAX)))
}

fn checked_power(n: u8) -> Option<i128> {
    10_i128.checked_pow(u32::from(n))
}

/// A value that is not NULL.
#[derive(Clone, Debug)]
pub enum Value {
    /// BOOLEAN.
    Boolean(bool),
    /// INT and BIGINT.
    Integer(i64),
    /// DECIMAL.
    Decimal(Decimal),
    /// FLOAT and DOUBLE.
    Double(f64),
    /// DATE: days since 1970-01-01.
    Date(i32),
    /// TIMESTAMP: microseconds since 1970, whatever the column's unit.
    Timestamp(i64),
    /// STRING.
    String(String),
    /// BYTES.
    Bytes(Vec<u8>),
}

impl Value {
    /// Reports whether a column of this type may hold the value.
    #[must_use]
    pub fn fits(&self, data_type: DataType) -> bool {
        match (self, data_type) {
            (Self::Boolean(_), DataType::Boolean)
            | (Self::Integer(_), DataType::BigInt)
            | (Self::Double(_), DataType::Double)
            | (Self::Date(_), DataType::Date)
            | (Self::Timestamp(_), DataType::Timestamp(TimeUnit::Micros))
            | (Self::String(_), DataType::String)
            | (Self::Bytes(_), DataType::Bytes) => true,
            (Self::Integer(value), DataType::Int) => i32::try_from(*value).is_ok(),
            (Self::Double(value), DataType::Float) => value.is_nan() || f64::from(*value as f32) == *value,
            (Self::Timestamp(micros), DataType::Timestamp(TimeUnit::Millis)) => micros % 1_000 == 0,
            (Self::Decimal(value), DataType::Decimal { precision, scale }) => {
                let limit = power(precision).unsigned_abs();
                value.scale == scale && value.unscaled.unsigned_abs() < limit
            }
            _ => false,
        }
    }

    /// Values of different classes never compare equal; the class decides their order.
    const fn class(&self) -> u8 {
        match self {
            Self::Boolean(_) => 0,
            Self::Integer(_) | Self::Decimal(_) => 1,
            Self::Double(_) => 2,
            Self::Date(_) | Self::Timestamp(_) => 3,
            Self::String(_) => 4,
            Self::Bytes(_) => 5,
        }
    }

    fn micros(&self) -> i128 {
        match self {
            Self::Date(days) => i128::from(*days) * i128::from(civil::DAY_MICROS),
            Self::Timestamp(micros) => i128::from(*micros),
            _ => 0,
        }
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Integer(left), Self::Integer(right)) => left.cmp(right),
            (Self::String(left), Self::String(right)) => left.cmp(right),
            (Self::Bytes(left), Self::Bytes(right)) => left.cmp(right),
            (Self::Boolean(left), Self::Boolean(right)) => left.cmp(right),
            (Self::Decimal(left), Self::Decimal(right)) if left.scale == right.scale => {
                left.unscaled.cmp(&right.unscaled)
            }
            (Self::Decimal(left), Self::Decimal(right)) => left.parts().cmp(&right.parts()),
            (Self::Integer(left), Self::Decimal(right)) => (i128::from(*left), 0).cmp(&right.parts()),
            (Self::Decimal(left), Self::Integer(right)) => left.parts().cmp(&(i128::from(*right), 0)),
            (Self::Double(left), Self::Double(right)) => match (left.is_nan(), right.is_nan()) {
                // Without NaN every pair has an order, and the two zeros are equal in it.
                (false, false) => left.partial_cmp(right).unwrap_or(Ordering::Equal),
                (left, right) => left.cmp(&right),
            },
            (Self::Date(left), Self::Date(right)) => left.cmp(right),
            (Self::Timestamp(left), Self::Timestamp(right)) => left.cmp(right),
            (left, right) if left.class() == 3 && right.class() == 3 => left.micros().cmp(&right.micros()),
            (left, right) => left.class().cmp(&right.class()),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

impl fmt::Display for Value {
    /// Writes the value as an SQL literal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(true) => f.write_str("TRUE"),
            Self::Boolean(false) => f.write_str("FALSE"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Decimal(value) => write!(f, "{value}"),
            Self::Double(value) if value.is_nan() => f.write_str("CAST('NaN' AS DOUBLE)"),
            Self::Double(value) if value.is_infinite() => {
                let sign = if *value < 0.0 { "-" } else { "" };
                write!(f, "CAST('{sign}Infinity' AS DOUBLE)")
            }
            Self::Double(value) => write!(f, "{value:e}"),
            Self::Date(days) => write!(f, "DATE '{}'", civil::format_date(i64::from(*days))),
            Self::Timestamp(micros) => write!(f, "TIMESTAMP '{}'", civil::format_timestamp(*micros)),
            Self::String(text) => write!(f, "'{}'", text.replace('\'', "''")),
            Self::Bytes(bytes) => {
                f.write_str("X'")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02X}"))?;
                f.write_str("'")
            }
        }
    }
}

#[cfg(test)]
#[path = "value_test.rs"]
mod tests;
