//! Literals of SQL, and what they are beside a column of some type.

use sqlparser::ast::{DataType as SqlType, Expr, Spanned, UnaryOperator, Value as SqlValue};

use super::SqlError;
use crate::civil::{self, DAY_MICROS};
use crate::value::{DataType, Decimal, Value};

/// A literal whose type is not decided yet.
#[derive(Clone, Debug)]
pub(super) enum Literal {
    Null,
    Boolean(bool),
    /// Digits, with sign.
    Number(String),
    Text(String),
    Bytes(Vec<u8>),
    Double(f64),
    Date(i64),
    Timestamp(i64),
}

impl Literal {
    const fn name(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Boolean(_) => "a BOOLEAN",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::Bytes(_) => "BYTES",
            Self::Double(_) => "a DOUBLE",
            Self::Date(_) => "a DATE",
            Self::Timestamp(_) => "a TIMESTAMP",
        }
    }
}

/// Reads a literal; `Ok(None)` if the expression is something else.
pub(super) fn literal(expression: &Expr) -> Result<Option<Literal>, SqlError> {
    let wrong = |message: String| Err(SqlError::new(expression.span(), message));
    match expression {
        Expr::Nested(inner) => literal(inner),
        Expr::Value(value) => match &value.value {
            SqlValue::Null => Ok(Some(Literal::Null)),
            SqlValue::Boolean(value) => Ok(Some(Literal::Boolean(*value))),
            SqlValue::Number(digits, false) => Ok(Some(Literal::Number(digits.clone()))),
            SqlValue::SingleQuotedString(text) => Ok(Some(Literal::Text(text.clone()))),
            SqlValue::HexStringLiteral(hex) => match bytes_of(hex) {
                Some(bytes) => Ok(Some(Literal::Bytes(bytes))),
                None => wrong(format!("X'{hex}' is not an even number of hexadecimal digits")),
            },
            other => wrong(format!("a literal such as {other} is not understood")),
        },
        Expr::UnaryOp { op, expr } => match (op, literal(expr)?) {
            (UnaryOperator::Minus, Some(Literal::Number(digits))) if !digits.starts_with('-') => {
                Ok(Some(Literal::Number(format!("-{digits}"))))
            }
            (UnaryOperator::Plus, Some(Literal::Number(digits))) => Ok(Some(Literal::Number(digits))),
            _ => Ok(None),
        },
        Expr::TypedString(typed) => {
            let Some(text) = typed.value.value.clone().into_string() else {
                return wrong("a typed literal has its value in single quotes".to_owned());
            };
            cast(Literal::Text(text), &typed.data_type, expression).map(Some)
        }
        Expr::Cast { expr, data_type, .. } => match literal(expr)? {
            Some(inner) => cast(inner, data_type, expression).map(Some),
            None => Ok(None),
        },
        _ => Ok(None),
    }
}

fn cast(literal: Literal, to: &SqlType, expression: &Expr) -> Result<Literal, SqlError> {
    let wrong = |message: String| Err(SqlError::new(expression.span(), message));
    match (literal, to) {
        (Literal::Null, _) => Ok(Literal::Null),
        (Literal::Text(text), SqlType::Date) => match civil::parse_date(&text) {
            Some(days) => Ok(Literal::Date(days)),
            None => wrong(format!("'{text}' is no date; write it as 2026-01-31")),
        },
        (Literal::Text(text), SqlType::Timestamp(..)) => match civil::parse_timestamp(&text) {
            Some(micros) => Ok(Literal::Timestamp(micros)),
            None => wrong(format!(
                "'{text}' is no timestamp; write it as 2026-01-31T12:00:00Z"
            )),
        },
        (Literal::Text(text) | Literal::Number(text), SqlType::Double(_) | SqlType::DoublePrecision) => {
            match text.parse() {
                Ok(number) => Ok(Literal::Double(number)),
                Err(_) => wrong(format!("'{text}' is no number")),
            }
        }
        (literal, to) => wrong(format!("{} is not cast to {to} here", literal.name())),
    }
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = hex
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty()
        .then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

/// The literal as a value to compare with a column of this type; `Ok(None)` for NULL.
///
/// The value orders correctly among the type's values, but it need not be one of them: see [`exactly`].
pub(super) fn beside(
    literal: &Literal,
    data_type: DataType,
    expression: &Expr,
) -> Result<Option<Value>, SqlError> {
    let wrong = |message: String| Err(SqlError::new(expression.span(), message));
    let value = match (literal, data_type) {
        (Literal::Null, _) => return Ok(None),
        (Literal::Boolean(value), DataType::Boolean) => Value::Boolean(*value),
        (Literal::Number(digits), DataType::Int | DataType::BigInt | DataType::Decimal { .. }) => {
            match Decimal::parse(digits) {
                Some(number) => exact_number(number, data_type),
                None => return wrong(format!("{digits} has more than 38 digits")),
            }
        }
        (Literal::Number(digits), DataType::Float | DataType::Double) => match digits.parse() {
            Ok(number) => rounded(number, data_type),
            Err(_) => return wrong(format!("{digits} is no number")),
        },
        (Literal::Double(number), DataType::Float | DataType::Double) => rounded(*number, data_type),
        (Literal::Text(text), DataType::String) => Value::String(text.clone()),
        (Literal::Bytes(bytes), DataType::Bytes) => Value::Bytes(bytes.clone()),
        (Literal::Text(_), DataType::Date) => {
            return beside(
                &cast(literal.clone(), &SqlType::Date, expression)?,
                data_type,
                expression,
            );
        }
        (Literal::Text(_), DataType::Timestamp(_)) => {
            let to = SqlType::Timestamp(None, sqlparser::ast::TimezoneInfo::None);
            return beside(&cast(literal.clone(), &to, expression)?, data_type, expression);
        }
        (Literal::Date(days), DataType::Date) => match i32::try_from(*days) {
            Ok(days) => Value::Date(days),
            Err(_) => return wrong("the date is out of range".to_owned()),
        },
        (Literal::Date(days), DataType::Timestamp(_)) => Value::Timestamp(days.saturating_mul(DAY_MICROS)),
        (Literal::Timestamp(micros), DataType::Date) if micros.rem_euclid(DAY_MICROS) == 0 => {
            match i32::try_from(micros.div_euclid(DAY_MICROS)) {
                Ok(days) => Value::Date(days),
                Err(_) => return wrong("the timestamp is out of range".to_owned()),
            }
        }
        (Literal::Timestamp(micros), DataType::Date | DataType::Timestamp(_)) => Value::Timestamp(*micros),
        (literal, data_type) => {
            return wrong(format!("{} is not compared with {data_type}", literal.name()));
        }
    };
    Ok(Some(value))
}

/// Keeps the value only if a column of the type can be equal to it.
pub(super) fn exactly(value: Value, data_type: DataType) -> Option<Value> {
    value.fits(data_type).then_some(value)
}

/// Writes a number as the column's type does, where that loses nothing.
fn exact_number(number: Decimal, data_type: DataType) -> Value {
    let scale = match data_type {
        DataType::Decimal { scale, .. } => scale,
        _ => 0,
    };
    let Some(same) = number.rescaled(scale) else {
        return Value::Decimal(number);
    };
    match (data_type, i64::try_from(same.unscaled)) {
        (DataType::Int | DataType::BigInt, Ok(whole)) => Value::Integer(whole),
        _ => Value::Decimal(same),
    }
}

fn rounded(number: f64, data_type: DataType) -> Value {
    Value::Double(match data_type {
        DataType::Float => f64::from(number as f32),
        _ => number,
    })
}
