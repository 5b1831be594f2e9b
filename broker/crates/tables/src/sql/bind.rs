//! From the parser's tree to a [`Predicate`]: names become columns, literals take their types.

use sqlparser::ast::{
    BinaryOperator, DataType as SqlType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    Ident, Spanned, UnaryOperator, Value as SqlValue,
};

use super::SqlError;
use super::literal::{Literal, beside, exactly, literal};
use crate::like::{Pattern, Shape};
use crate::outcomes::Truth;
use crate::predicate::{Comparison, Literals, Map, Operand, Predicate, Test};
use crate::schema::Schema;
use crate::value::{DataType, Value};

/// A column, or a function of one, and its type.
struct Typed {
    operand: Operand,
    data_type: DataType,
}

const UNKNOWN: Predicate = Predicate::Constant(Truth::Unknown);

/// Binds a tree. Chains of AND and OR are walked in a loop; what recurses is nested in the text, which is bounded.
pub(super) fn predicate(expression: &Expr, schema: &Schema) -> Result<Predicate, SqlError> {
    let is = |inner: &Expr, truth: Truth| Ok(Predicate::Is(Box::new(predicate(inner, schema)?), truth));
    match expression {
        Expr::Nested(inner) => predicate(inner, schema),
        Expr::BinaryOp { op, .. } if matches!(op, BinaryOperator::And | BinaryOperator::Or) => {
            let mut parts: Vec<Predicate> = chain(expression, op)
                .into_iter()
                .map(|part| predicate(part, schema))
                .collect::<Result<_, _>>()?;
            parts.reverse();
            Ok(match op {
                BinaryOperator::And => Predicate::And(parts),
                _ => Predicate::Or(parts),
            })
        }
        Expr::BinaryOp { left, op, right } => comparison(expression, (left, op, right), schema),
        Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr,
        } => Ok(predicate(expr, schema)?.negated()),
        Expr::IsNull(inner) => is_null(inner, schema),
        Expr::IsNotNull(inner) => Ok(is_null(inner, schema)?.negated()),
        Expr::IsTrue(inner) => is(inner, Truth::True),
        Expr::IsNotTrue(inner) => Ok(is(inner, Truth::True)?.negated()),
        Expr::IsFalse(inner) => is(inner, Truth::False),
        Expr::IsNotFalse(inner) => Ok(is(inner, Truth::False)?.negated()),
        Expr::IsUnknown(inner) => is(inner, Truth::Unknown),
        Expr::IsNotUnknown(inner) => Ok(is(inner, Truth::Unknown)?.negated()),
        Expr::IsDistinctFrom(left, right) => Ok(same(left, right, schema)?.negated()),
        Expr::IsNotDistinctFrom(left, right) => same(left, right, schema),
        Expr::InList { expr, list, negated } => {
            let found = in_list(expr, list, schema)?;
            Ok(if *negated { found.negated() } else { found })
        }
        Expr::Between {
            expr,
            negated,
            low,
            high,
        } => {
            let column = typed(expr, schema)?;
            let above = compare_literal(&column, &BinaryOperator::GtEq, low)?;
            let below = compare_literal(&column, &BinaryOperator::LtEq, high)?;
            let both = Predicate::And(vec![above, below]);
            Ok(if *negated { both.negated() } else { both })
        }
        Expr::Like {
            negated,
            any: false,
            expr,
            pattern,
            escape_char,
        } => {
            let escape = escape_char.as_ref().map(|escape| &escape.value);
            let found = like(expr, pattern, escape, schema)?;
            Ok(if *negated { found.negated() } else { found })
        }
        _ => alone(expression, schema),
    }
}

/// The parts of a chain of one operator, the last first.
fn chain<'a>(expression: &'a Expr, chained: &BinaryOperator) -> Vec<&'a Expr> {
    let mut parts = Vec::new();
    let mut rest = expression;
    while let Expr::BinaryOp { left, op, right } = rest
        && op == chained
    {
        parts.push(right.as_ref());
        rest = left;
    }
    parts.push(rest);
    parts
}

/// A literal or a BOOLEAN column that stands for a condition.
fn alone(expression: &Expr, schema: &Schema) -> Result<Predicate, SqlError> {
    match literal(expression)? {
        Some(Literal::Boolean(value)) => return Ok(Predicate::Constant(Truth::of(value))),
        Some(Literal::Null) => return Ok(UNKNOWN),
        Some(_) => {
            return Err(SqlError::new(
                expression.span(),
                "a literal is no condition; compare it with a column",
            ));
        }
        None => {}
    }
    let column = typed(expression, schema)?;
    match column.data_type {
        DataType::Boolean => {
            let test = Test::In(Literals::new(vec![Value::Boolean(true)]));
            Ok(Predicate::Test(column.operand, test))
        }
        other => {
            let message = format!("a column of type {other} is no condition; compare it with something");
            Err(SqlError::new(expression.span(), message))
        }
    }
}

fn is_null(inner: &Expr, schema: &Schema) -> Result<Predicate, SqlError> {
    if is_column(inner) {
        return Ok(Predicate::IsNull(typed(inner, schema)?.operand));
    }
    // NULL as the value of a condition is *unknown*.
    Ok(Predicate::Is(Box::new(predicate(inner, schema)?), Truth::Unknown))
}

/// Whether the expression has the form of a column or of a function of one.
fn is_column(expression: &Expr) -> bool {
    match expression {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Function(_) => true,
        Expr::Nested(inner) => is_column(inner),
        Expr::Cast { expr, .. } => is_column(expr),
        _ => false,
    }
}

fn same(left: &Expr, right: &Expr, schema: &Schema) -> Result<Predicate, SqlError> {
    let column = typed(left, schema)?;
    Ok(match compare_literal(&column, &BinaryOperator::Eq, right)? {
        Predicate::Constant(_) => Predicate::IsNull(column.operand),
        equal => Predicate::Is(Box::new(equal), Truth::True),
    })
}

fn comparison(
    whole: &Expr,
    (left, op, right): (&Expr, &BinaryOperator, &Expr),
    schema: &Schema,
) -> Result<Predicate, SqlError> {
    let Some(turned) = turned(op) else {
        let message = format!(
            "the operator {op} is not understood; there are = <> < <= > >= AND OR NOT IN BETWEEN LIKE IS"
        );
        return Err(SqlError::new(whole.span(), message));
    };
    match (literal(left)?, literal(right)?) {
        (None, Some(_)) => compare_literal(&typed(left, schema)?, op, right),
        (Some(_), None) => compare_literal(&typed(right, schema)?, &turned, left),
        (Some(_), Some(_)) => Err(SqlError::new(
            whole.span(),
            "two literals are compared; one side is a column",
        )),
        (None, None) => compare_columns(typed(left, schema)?, op, typed(right, schema)?, whole),
    }
}

/// The operator with its sides exchanged.
fn turned(op: &BinaryOperator) -> Option<BinaryOperator> {
    Some(match op {
        BinaryOperator::Eq => BinaryOperator::Eq,
        BinaryOperator::NotEq => BinaryOperator::NotEq,
        BinaryOperator::Lt => BinaryOperator::Gt,
        BinaryOperator::LtEq => BinaryOperator::GtEq,
        BinaryOperator::Gt => BinaryOperator::Lt,
        BinaryOperator::GtEq => BinaryOperator::LtEq,
        _ => return None,
    })
}

fn compare_literal(column: &Typed, op: &BinaryOperator, right: &Expr) -> Result<Predicate, SqlError> {
    let Some(found) = literal(right)? else {
        return Err(SqlError::new(right.span(), "a literal is expected here"));
    };
    let Some(value) = beside(&found, column.data_type, right)? else {
        return Ok(UNKNOWN);
    };
    let test = |test: Test| Predicate::Test(column.operand.clone(), test);
    let equal = |value: Value| {
        let values = exactly(value, column.data_type).into_iter().collect();
        test(Test::In(Literals::new(values)))
    };
    Ok(match op {
        BinaryOperator::NotEq => equal(value).negated(),
        BinaryOperator::Lt => test(Test::Less(value)),
        BinaryOperator::LtEq => test(Test::LessOrEqual(value)),
        BinaryOperator::Gt => test(Test::LessOrEqual(value)).negated(),
        BinaryOperator::GtEq => test(Test::Less(value)).negated(),
        _ => equal(value),
    })
}

fn compare_columns(
    left: Typed,
    op: &BinaryOperator,
    right: Typed,
    whole: &Expr,
) -> Result<Predicate, SqlError> {
    let (left, right) = alike(left, right, whole)?;
    let columns = |left, comparison, right| Predicate::Columns(left, comparison, right);
    Ok(match op {
        BinaryOperator::NotEq => columns(left, Comparison::Equal, right).negated(),
        BinaryOperator::Lt => columns(left, Comparison::Less, right),
        BinaryOperator::LtEq => columns(left, Comparison::LessOrEqual, right),
        BinaryOperator::Gt => columns(right, Comparison::Less, left),
        BinaryOperator::GtEq => columns(right, Comparison::LessOrEqual, left),
        _ => columns(left, Comparison::Equal, right),
    })
}

/// What kind of values a type has; only those of one kind are compared.
const fn kind(data_type: DataType) -> u8 {
    match data_type {
        DataType::Boolean => 0,
        DataType::Int | DataType::BigInt | DataType::Decimal { .. } => 1,
        DataType::Float | DataType::Double => 2,
        DataType::Date | DataType::Timestamp(_) => 3,
        DataType::String => 4,
        DataType::Bytes => 5,
    }
}

fn alike(left: Typed, right: Typed, whole: &Expr) -> Result<(Operand, Operand), SqlError> {
    match (kind(left.data_type), kind(right.data_type)) {
        (left_kind, right_kind) if left_kind == right_kind => Ok((left.operand, right.operand)),
        (1, 2) => Ok((left.operand.mapped(Map::ToDouble), right.operand)),
        (2, 1) => Ok((left.operand, right.operand.mapped(Map::ToDouble))),
        _ => {
            let message = format!("{} is not compared with {}", left.data_type, right.data_type);
            Err(SqlError::new(whole.span(), message))
        }
    }
}

fn in_list(expr: &Expr, list: &[Expr], schema: &Schema) -> Result<Predicate, SqlError> {
    let column = typed(expr, schema)?;
    let mut values = Vec::new();
    let mut has_null = false;
    for item in list {
        let Some(found) = literal(item)? else {
            return Err(SqlError::new(item.span(), "IN takes a list of literals"));
        };
        match beside(&found, column.data_type, item)? {
            Some(value) => values.extend(exactly(value, column.data_type)),
            None => has_null = true,
        }
    }
    let listed = Predicate::Test(column.operand, Test::In(Literals::new(values)));
    Ok(match has_null {
        true => Predicate::Or(vec![listed, UNKNOWN]),
        false => listed,
    })
}

fn like(
    expr: &Expr,
    pattern: &Expr,
    escape: Option<&SqlValue>,
    schema: &Schema,
) -> Result<Predicate, SqlError> {
    let column = typed(expr, schema)?;
    if column.data_type != DataType::String {
        let message = format!("LIKE takes a STRING, not {}", column.data_type);
        return Err(SqlError::new(expr.span(), message));
    }
    let text = match literal(pattern)? {
        Some(Literal::Text(text)) => text,
        Some(Literal::Null) => return Ok(UNKNOWN),
        _ => {
            return Err(SqlError::new(
                pattern.span(),
                "LIKE takes a pattern in single quotes",
            ));
        }
    };
    let escape = match escape {
        None => None,
        Some(SqlValue::SingleQuotedString(text)) if text.chars().count() == 1 => text.chars().next(),
        Some(_) => {
            return Err(SqlError::new(
                pattern.span(),
                "ESCAPE takes one character in single quotes",
            ));
        }
    };
    let Some(read) = Pattern::parse(&text, escape) else {
        return Err(SqlError::new(
            pattern.span(),
            "the pattern ends with its escape character",
        ));
    };
    let test = match read.shape() {
        Shape::Exact => Test::In(Literals::new(vec![Value::String(read.prefix().to_owned())])),
        Shape::Prefix | Shape::Other => Test::Like(read),
    };
    Ok(Predicate::Test(column.operand, test))
}

/// Binds a column, or a function of one.
fn typed(expression: &Expr, schema: &Schema) -> Result<Typed, SqlError> {
    match expression {
        Expr::Nested(inner) => typed(inner, schema),
        Expr::Identifier(name) => named(name, schema),
        Expr::CompoundIdentifier(names) => {
            let message = "a column is named without its table, and fields inside of columns are not reached";
            Err(SqlError::new(
                names.first().map_or_else(|| expression.span(), |name| name.span),
                message,
            ))
        }
        Expr::Cast {
            expr,
            data_type,
            format: None,
            ..
        } => cast(typed(expr, schema)?, data_type, expression),
        Expr::Function(function) => date_trunc(function, expression, schema),
        other => Err(SqlError::new(
            other.span(),
            "a column is expected here; nothing is calculated but CAST and date_trunc",
        )),
    }
}

fn named(name: &Ident, schema: &Schema) -> Result<Typed, SqlError> {
    let found = schema
        .place_named(&name.value)
        .and_then(|place| Some((place, schema.columns().get(place)?)));
    if let Some((place, column)) = found {
        return Ok(Typed {
            operand: Operand::column(place, column),
            data_type: column.data_type,
        });
    }
    let similar = schema
        .columns()
        .iter()
        .find(|column| column.name.eq_ignore_ascii_case(&name.value));
    let hint = match similar {
        Some(column) => format!("; there is '{}'", column.name),
        None => String::new(),
    };
    Err(SqlError::new(
        name.span,
        format!("the table has no column '{}'{hint}", name.value),
    ))
}

fn cast(column: Typed, to: &SqlType, expression: &Expr) -> Result<Typed, SqlError> {
    let is_number = kind(column.data_type) == 1;
    let is_float = kind(column.data_type) == 2;
    let is_time = matches!(column.data_type, DataType::Timestamp(_));
    let micros = DataType::Timestamp(crate::value::TimeUnit::Micros);
    let (map, data_type) = match to {
        SqlType::BigInt(None) if matches!(column.data_type, DataType::Int | DataType::BigInt) => {
            (None, DataType::BigInt)
        }
        SqlType::Double(_) | SqlType::DoublePrecision if is_number => (Some(Map::ToDouble), DataType::Double),
        SqlType::Double(_) | SqlType::DoublePrecision if is_float => (None, DataType::Double),
        SqlType::Date if is_time => (Some(Map::ToDate), DataType::Date),
        SqlType::Date if column.data_type == DataType::Date => (None, DataType::Date),
        SqlType::Timestamp(..) if column.data_type == DataType::Date => (Some(Map::ToTimestamp), micros),
        SqlType::Timestamp(..) if is_time => (None, column.data_type),
        _ => {
            let message = format!(
                "{} is not cast to {to}; understood are numbers to DOUBLE, INT to BIGINT, TIMESTAMP to DATE and back",
                column.data_type
            );
            return Err(SqlError::new(expression.span(), message));
        }
    };
    let operand = match map {
        Some(map) => column.operand.mapped(map),
        None => column.operand,
    };
    Ok(Typed { operand, data_type })
}

fn date_trunc(function: &Function, expression: &Expr, schema: &Schema) -> Result<Typed, SqlError> {
    let wrong = |message: &str| Err(SqlError::new(expression.span(), message.to_owned()));
    let name = function.name.to_string();
    if !name.eq_ignore_ascii_case("date_trunc") {
        return wrong(&format!(
            "the function {name} is not understood; there is date_trunc"
        ));
    }
    let usage = "date_trunc takes 'hour', 'day', 'month' or 'year', and a TIMESTAMP or DATE";
    let FunctionArguments::List(list) = &function.args else {
        return wrong(usage);
    };
    let [
        FunctionArg::Unnamed(FunctionArgExpr::Expr(unit)),
        FunctionArg::Unnamed(FunctionArgExpr::Expr(of)),
    ] = list.args.as_slice()
    else {
        return wrong(usage);
    };
    let is_plain = function.over.is_none() && function.filter.is_none() && list.clauses.is_empty();
    let map = match literal(unit)? {
        Some(Literal::Text(unit)) => match unit.to_ascii_lowercase().as_str() {
            "hour" => Map::TruncateHour,
            "day" => Map::TruncateDay,
            "month" => Map::TruncateMonth,
            "year" => Map::TruncateYear,
            _ => return wrong(usage),
        },
        _ => return wrong(usage),
    };
    let column = typed(of, schema)?;
    let micros = DataType::Timestamp(crate::value::TimeUnit::Micros);
    let operand = match column.data_type {
        DataType::Timestamp(_) if is_plain => column.operand,
        DataType::Date if is_plain => column.operand.mapped(Map::ToTimestamp),
        _ => return wrong(usage),
    };
    Ok(Typed {
        operand: operand.mapped(map),
        data_type: micros,
    })
}
