//! From JSON text to a [`Schema`].
//!
//! Several texts may be read into one [`Parser`]; each may name the types of those before it (references). Depth is bounded
//! by the JSON reader (128), the number of nodes by the length of the text.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Value};
use thiserror::Error;

use crate::defaults;
use crate::schema::{Field, Kind, Node, NodeId, Schema};

/// Longest text of a schema, in bytes.
pub const SCHEMA_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A text that is no schema.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ParseError {
    /// Longer than [`SCHEMA_BYTES_MAX`].
    #[error("a schema of {0} bytes is longer than {SCHEMA_BYTES_MAX}")]
    TooLong(usize),
    /// No JSON.
    #[error("the schema is no JSON: {0}")]
    Json(String),
    /// JSON, but no schema.
    #[error("at {path}: {reason}")]
    Schema {
        /// Where, as a JSON pointer; `/` for the whole.
        path: String,
        /// What is wrong there.
        reason: String,
    },
}

/// Reads schemas that may name each other's types.
#[derive(Debug, Default)]
pub struct Parser {
    nodes: Vec<Node>,
    names: HashMap<String, NodeId>,
    defaults: Vec<(String, NodeId, Value)>,
}

/// A node and its canonical text.
type Parsed = (NodeId, Value);

impl Parser {
    /// Makes a parser that knows no names.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a schema whose types later ones may name.
    ///
    /// # Errors
    /// [`ParseError`].
    pub fn add(&mut self, text: &str) -> Result<(), ParseError> {
        self.read(text).map(|_| ())
    }

    /// Reads the schema that is wanted.
    ///
    /// # Errors
    /// [`ParseError`].
    pub fn parse(mut self, text: &str) -> Result<Schema, ParseError> {
        // What references brought in was judged when they were registered.
        self.defaults.clear();
        let (root, canonical) = self.read(text)?;
        let schema = Schema {
            canonical: canonical.to_string(),
            nodes: self.nodes,
            root,
            wrong_default: None,
        };
        let wrong = self.defaults.iter().find_map(|(path, node, value)| {
            let reason = defaults::refusal(&schema, *node, value)?;
            Some(format!("the default at {path} does not fit: {reason}"))
        });
        Ok(Schema {
            wrong_default: wrong,
            ..schema
        })
    }

    fn read(&mut self, text: &str) -> Result<Parsed, ParseError> {
        if text.len() > SCHEMA_BYTES_MAX {
            return Err(ParseError::TooLong(text.len()));
        }
        let json: Value = match serde_json::from_str(text) {
            Ok(json) => json,
            // A bare name is taken for the schema of that name, as Avro's own parsers do.
            Err(error) => match is_name(text.trim()) {
                true => Value::String(text.trim().to_owned()),
                false => return Err(ParseError::Json(error.to_string())),
            },
        };
        self.node(&json, "", "")
    }

    fn node(&mut self, json: &Value, namespace: &str, path: &str) -> Result<Parsed, ParseError> {
        match json {
            Value::String(name) => self.named(name, namespace, path),
            Value::Array(branches) => self.union(branches, namespace, path),
            Value::Object(attributes) => self.complex(attributes, namespace, path),
            other => Err(wrong(
                path,
                format!("a schema is a name, an object or a list, not {other}"),
            )),
        }
    }

    fn add_node(&mut self, kind: Kind) -> NodeId {
        self.nodes.push(Node {
            kind,
            name: String::new(),
            aliases: Vec::new(),
        });
        NodeId(self.nodes.len() - 1)
    }

    fn named(&mut self, name: &str, namespace: &str, path: &str) -> Result<Parsed, ParseError> {
        if let Some(kind) = primitive(name) {
            return Ok((self.add_node(kind), Value::String(name.to_owned())));
        }
        let full = full_name(name, namespace);
        // A name without dots may also be one of the empty namespace.
        let found = self.names.get(&full).map(|node| (*node, full.clone()));
        let found = found.or_else(|| self.names.get(name).map(|node| (*node, name.to_owned())));
        match found {
            Some((node, full)) => Ok((node, Value::String(full))),
            None => Err(wrong(
                path,
                format!("there is no type '{full}'; it is defined before its use, here or in a reference"),
            )),
        }
    }

    fn union(&mut self, branches: &[Value], namespace: &str, path: &str) -> Result<Parsed, ParseError> {
        let mut nodes = Vec::new();
        let mut texts = Vec::new();
        let mut seen = HashSet::new();
        for (number, branch) in branches.iter().enumerate() {
            let path = format!("{path}/{number}");
            let (node, text) = self.node(branch, namespace, &path)?;
            let identity = match self.nodes.get(node.0) {
                Some(Node {
                    kind: Kind::Union(_), ..
                }) => {
                    return Err(wrong(
                        &path,
                        "a union does not stand directly in a union".to_owned(),
                    ));
                }
                Some(node) if !node.name.is_empty() => node.name.clone(),
                Some(node) => node.kind.name().to_owned(),
                None => String::new(),
            };
            if !seen.insert(identity.clone()) {
                return Err(wrong(&path, format!("the union has '{identity}' twice")));
            }
            nodes.push(node);
            texts.push(text);
        }
        Ok((self.add_node(Kind::Union(nodes)), Value::Array(texts)))
    }

    fn complex(
        &mut self,
        attributes: &Map<String, Value>,
        namespace: &str,
        path: &str,
    ) -> Result<Parsed, ParseError> {
        let Some(of) = attributes.get("type") else {
            return Err(wrong(path, "an object has a \"type\"".to_owned()));
        };
        let Value::String(of) = of else {
            // {"type": {…}}: the inner schema, perhaps with attributes of its own.
            let (node, text) = self.node(of, namespace, &format!("{path}/type"))?;
            let only_type = attributes.len() == 1;
            return Ok((
                node,
                if only_type {
                    text
                } else {
                    with(attributes, [("type", text)])
                },
            ));
        };
        match of.as_str() {
            "record" | "error" => self.record(attributes, namespace, path),
            "enum" => self.enumeration(attributes, namespace, path),
            "fixed" => self.fixed(attributes, namespace, path),
            "array" => {
                let (items, text) = self.inner(attributes, "items", namespace, path)?;
                Ok((
                    self.add_node(Kind::Array(items)),
                    with(attributes, [("items", text)]),
                ))
            }
            "map" => {
                let (values, text) = self.inner(attributes, "values", namespace, path)?;
                Ok((
                    self.add_node(Kind::Map(values)),
                    with(attributes, [("values", text)]),
                ))
            }
            name => {
                let (node, text) = self.named(name, namespace, path)?;
                // {"type": "int"} is "int" as long as nothing else is said.
                let only_type = attributes.len() == 1;
                Ok((
                    node,
                    if only_type {
                        text
                    } else {
                        with(attributes, [("type", text)])
                    },
                ))
            }
        }
    }

    fn inner(
        &mut self,
        attributes: &Map<String, Value>,
        key: &str,
        namespace: &str,
        path: &str,
    ) -> Result<Parsed, ParseError> {
        match attributes.get(key) {
            Some(inner) => self.node(inner, namespace, &format!("{path}/{key}")),
            None => Err(wrong(path, format!("\"{key}\" is missing"))),
        }
    }

    /// Enters a named type before what it contains, so that it may contain itself.
    fn enter(
        &mut self,
        attributes: &Map<String, Value>,
        namespace: &str,
        path: &str,
    ) -> Result<(NodeId, String), ParseError> {
        let Some(Value::String(name)) = attributes.get("name") else {
            return Err(wrong(path, "a record, enum or fixed has a \"name\"".to_owned()));
        };
        let own = match attributes.get("namespace") {
            Some(Value::String(own)) => own.as_str(),
            _ => namespace,
        };
        let full = full_name(name, own);
        if !full.split('.').all(is_simple_name) {
            let rule = "letters, digits and _, not beginning with a digit, joined by dots";
            return Err(wrong(path, format!("'{full}' is no name: {rule}")));
        }
        if primitive(&full).is_some() {
            return Err(wrong(path, format!("'{full}' is a type of Avro's own")));
        }
        if self.names.contains_key(&full) {
            return Err(wrong(path, format!("the type '{full}' is defined twice")));
        }
        let inside = full
            .rsplit_once('.')
            .map_or("", |(namespace, _)| namespace)
            .to_owned();
        let aliases = names(attributes, path)?;
        let node = self.add_node(Kind::Null);
        if let Some(entered) = self.nodes.get_mut(node.0) {
            entered.name.clone_from(&full);
            entered.aliases = aliases.iter().map(|alias| full_name(alias, &inside)).collect();
        }
        self.names.insert(full, node);
        Ok((node, inside))
    }

    fn finish(&mut self, id: NodeId, kind: Kind) -> String {
        match self.nodes.get_mut(id.0) {
            Some(node) => {
                node.kind = kind;
                node.name.clone()
            }
            None => String::new(),
        }
    }

    fn record(
        &mut self,
        attributes: &Map<String, Value>,
        namespace: &str,
        path: &str,
    ) -> Result<Parsed, ParseError> {
        let (node, inside) = self.enter(attributes, namespace, path)?;
        let Some(Value::Array(fields)) = attributes.get("fields") else {
            return Err(wrong(path, "a record has a list of \"fields\"".to_owned()));
        };
        let mut read = Vec::new();
        let mut texts = Vec::new();
        let mut seen = HashSet::new();
        for (number, field) in fields.iter().enumerate() {
            let path = format!("{path}/fields/{number}");
            let (field, text) = self.field(field, &inside, &path)?;
            if !seen.insert(field.name.clone()) {
                return Err(wrong(
                    &path,
                    format!("the record has the field '{}' twice", field.name),
                ));
            }
            read.push(field);
            texts.push(text);
        }
        let name = self.finish(node, Kind::Record(read));
        Ok((
            node,
            named_text(attributes, &name, [("fields", Value::Array(texts))]),
        ))
    }

    fn field(&mut self, json: &Value, namespace: &str, path: &str) -> Result<(Field, Value), ParseError> {
        let Value::Object(attributes) = json else {
            return Err(wrong(path, "a field is an object".to_owned()));
        };
        let name = match attributes.get("name") {
            Some(Value::String(name)) if is_simple_name(name) => name.clone(),
            Some(Value::String(name)) => {
                return Err(wrong(
                    path,
                    format!("'{name}' is no name of a field: letters, digits and _"),
                ));
            }
            _ => return Err(wrong(path, "a field has a \"name\"".to_owned())),
        };
        let (node, text) = self.inner(attributes, "type", namespace, path)?;
        let default = attributes.get("default").cloned();
        if let Some(default) = &default {
            self.defaults
                .push((format!("{path}/default"), node, default.clone()));
        }
        let field = Field {
            name,
            aliases: names(attributes, path)?,
            node,
            default,
        };
        Ok((field, with(attributes, [("type", text)])))
    }

    fn enumeration(
        &mut self,
        attributes: &Map<String, Value>,
        namespace: &str,
        path: &str,
    ) -> Result<Parsed, ParseError> {
        let (node, _) = self.enter(attributes, namespace, path)?;
        let Some(Value::Array(list)) = attributes.get("symbols") else {
            return Err(wrong(path, "an enum has a list of \"symbols\"".to_owned()));
        };
        let mut symbols: Vec<String> = Vec::new();
        let mut seen = HashSet::new();
        for symbol in list {
            match symbol {
                Value::String(symbol) if is_simple_name(symbol) && seen.insert(symbol.clone()) => {
                    symbols.push(symbol.clone());
                }
                other => {
                    return Err(wrong(
                        path,
                        format!("the symbol {other} is no name, or stands there twice"),
                    ));
                }
            }
        }
        let default = match attributes.get("default") {
            None => None,
            Some(Value::String(default)) if symbols.contains(default) => Some(default.clone()),
            Some(other) => return Err(wrong(path, format!("the default {other} is none of the symbols"))),
        };
        let name = self.finish(node, Kind::Enum { symbols, default });
        Ok((node, named_text(attributes, &name, [])))
    }

    fn fixed(
        &mut self,
        attributes: &Map<String, Value>,
        namespace: &str,
        path: &str,
    ) -> Result<Parsed, ParseError> {
        let (node, _) = self.enter(attributes, namespace, path)?;
        let Some(size) = attributes.get("size").and_then(Value::as_u64) else {
            return Err(wrong(path, "a fixed has a \"size\" in bytes".to_owned()));
        };
        let name = self.finish(node, Kind::Fixed { size });
        Ok((node, named_text(attributes, &name, [])))
    }
}

fn wrong(path: &str, reason: String) -> ParseError {
    let path = if path.is_empty() { "/" } else { path };
    ParseError::Schema {
        path: path.to_owned(),
        reason,
    }
}

fn primitive(name: &str) -> Option<Kind> {
    Some(match name {
        "null" => Kind::Null,
        "boolean" => Kind::Boolean,
        "int" => Kind::Int,
        "long" => Kind::Long,
        "float" => Kind::Float,
        "double" => Kind::Double,
        "bytes" => Kind::Bytes,
        "string" => Kind::String,
        _ => return None,
    })
}

fn is_simple_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.split('.').all(is_simple_name)
}

fn full_name(name: &str, namespace: &str) -> String {
    match name.contains('.') || namespace.is_empty() {
        true => name.trim_start_matches('.').to_owned(),
        false => format!("{namespace}.{name}"),
    }
}

fn names(attributes: &Map<String, Value>, path: &str) -> Result<Vec<String>, ParseError> {
    let Some(aliases) = attributes.get("aliases") else {
        return Ok(Vec::new());
    };
    let list = aliases.as_array().and_then(|aliases| {
        let names = aliases
            .iter()
            .map(|alias| alias.as_str().filter(|alias| is_name(alias)));
        names.map(|alias| alias.map(str::to_owned)).collect()
    });
    list.ok_or_else(|| wrong(path, "\"aliases\" is a list of names".to_owned()))
}

/// The attributes with some of them replaced, in alphabetical order.
fn with<const N: usize>(attributes: &Map<String, Value>, replaced: [(&str, Value); N]) -> Value {
    let mut all: BTreeMap<String, Value> = attributes
        .iter()
        .map(|(key, value)| (key.clone(), sorted(value)))
        .collect();
    for (key, value) in replaced {
        all.insert(key.to_owned(), value);
    }
    Value::Object(all.into_iter().collect())
}

fn named_text<const N: usize>(
    attributes: &Map<String, Value>,
    name: &str,
    replaced: [(&str, Value); N],
) -> Value {
    let mut text = with(attributes, replaced);
    if let Value::Object(all) = &mut text {
        all.remove("namespace");
        all.insert("name".to_owned(), Value::String(name.to_owned()));
    }
    sorted(&text)
}

/// The value with the keys of its objects in alphabetical order, whatever map the JSON library uses.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let map: BTreeMap<String, Value> = map
                .iter()
                .map(|(key, value)| (key.clone(), sorted(value)))
                .collect();
            Value::Object(map.into_iter().collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
#[path = "parser_test.rs"]
mod tests;
