//! Whether the default of a field is a value of its type.

use serde_json::Value;

use crate::schema::{Field, Kind, NodeId, Schema};

/// Says why a default does not fit; `None` if it does. A default of a union fits any of its branches (Avro 1.12).
///
/// Recurses as deep as the value, which the JSON reader bounds; a union tries its branches, which [`STEPS_MAX`] bounds.
pub(crate) fn refusal(schema: &Schema, node: NodeId, value: &Value) -> Option<String> {
    fits(schema, node, value, &mut 0)
}

/// Most comparisons of a value with a type.
const STEPS_MAX: usize = 100_000;

fn fits(schema: &Schema, node: NodeId, value: &Value, steps: &mut usize) -> Option<String> {
    *steps += 1;
    if *steps > STEPS_MAX {
        return Some("it is too large to be judged".to_owned());
    }
    let of = schema.node(node);
    let is_fit = match (&of.kind, value) {
        (Kind::Null, Value::Null) | (Kind::Boolean, Value::Bool(_)) => true,
        (Kind::Int, Value::Number(number)) => number
            .as_i64()
            .is_some_and(|number| i32::try_from(number).is_ok()),
        (Kind::Long, Value::Number(number)) => number.as_i64().is_some(),
        (Kind::Float | Kind::Double, Value::Number(_)) => true,
        // Some writers have the values that JSON cannot write as text.
        (Kind::Float | Kind::Double, Value::String(text)) => {
            ["NaN", "Infinity", "-Infinity"].contains(&text.as_str())
        }
        (Kind::String, Value::String(_)) => true,
        // Bytes are written as characters up to U+00FF.
        (Kind::Bytes, Value::String(text)) => text.chars().all(|char| u32::from(char) < 256),
        (Kind::Fixed { size }, Value::String(text)) => {
            let length = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
            length == *size && text.chars().all(|char| u32::from(char) < 256)
        }
        (Kind::Enum { symbols, .. }, Value::String(text)) => symbols.contains(text),
        (Kind::Array(items), Value::Array(values)) => {
            return values.iter().find_map(|value| fits(schema, *items, value, steps));
        }
        (Kind::Map(values), Value::Object(map)) => {
            return map.values().find_map(|value| fits(schema, *values, value, steps));
        }
        (Kind::Union(branches), value) => branches
            .iter()
            .any(|branch| fits(schema, *branch, value, steps).is_none()),
        (Kind::Record(fields), Value::Object(map)) => {
            let mut missing = |field: &Field| match (map.get(&field.name), &field.default) {
                (Some(value), _) => fits(schema, field.node, value, steps),
                (None, Some(_)) => None,
                (None, None) => Some(format!("the field '{}' has no value", field.name)),
            };
            return fields.iter().find_map(&mut missing);
        }
        _ => false,
    };
    (!is_fit).then(|| format!("{value} is no {}", of.kind.name()))
}
