//! Well-formed requests of every API and version, made from the table of message shapes, with the places of all their
//! counts and lengths: what a hostile client would change.
//!
//! Reads the table as text and shares no code with the broker, so that a mistake there does not hide here.

use std::collections::BTreeMap;

use crate::places;

/// How a count or a length is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// Two bytes, signed.
    Short,
    /// Four bytes, signed.
    Int,
    /// An unsigned varint of this many bytes.
    Varint(usize),
}

/// The place of a count or a length in a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Whose it is, as `topics.partitions`.
    pub field: String,
    /// Byte position in the body.
    pub position: usize,
    /// How it is written.
    pub width: Width,
}

impl Place {
    /// The body with another number at this place.
    pub fn replaced(&self, body: &[u8], number: u32) -> Vec<u8> {
        let (length, bytes) = match self.width {
            Width::Short => (
                2,
                u16::try_from(number)
                    .unwrap_or(i16::MAX as u16)
                    .to_be_bytes()
                    .to_vec(),
            ),
            Width::Int => (4, number.to_be_bytes().to_vec()),
            Width::Varint(length) => (length, varint(number)),
        };
        [&body[..self.position], &bytes, &body[self.position + length..]].concat()
    }
}

/// A body and its places.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sample {
    /// The bytes behind the request header.
    pub body: Vec<u8>,
    /// Where its counts and lengths are.
    pub places: Vec<Place>,
}

/// The requests of one API.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Kafka's name.
    pub name: String,
    flexible_from: Option<i16>,
    versions: (i16, i16),
    fields: Vec<Field>,
}

#[derive(Debug, Clone)]
struct Field {
    name: String,
    kind: String,
    is_array: bool,
    is_nullable: bool,
    versions: (i16, i16),
    tag: Option<u32>,
    fields: Vec<Field>,
}

/// The shapes of all requests, by API key.
///
/// # Panics
/// When the table is not where it belongs or cannot be read.
pub fn shapes() -> BTreeMap<i16, Shape> {
    let path = places::repository().join("broker/crates/wire/src/schema.txt");
    let text =
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()));
    let mut lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .peekable();
    let mut shapes = BTreeMap::new();
    while let Some(head) = lines.next() {
        let mut body = Vec::new();
        while let Some(line) = lines.next_if(|line| line.starts_with(' ')) {
            body.push(line);
        }
        let words: Vec<&str> = head.split_ascii_whitespace().collect();
        let ["request", key, name, versions, "flexible", flexible] = words[..] else {
            continue;
        };
        let versions = range(versions, (0, i16::MAX));
        let shape = Shape {
            name: name.to_owned(),
            flexible_from: flexible.parse().ok(),
            versions,
            fields: fields(&body, 1, versions),
        };
        shapes.insert(key.parse().expect("a key is a number"), shape);
    }
    shapes
}

/// `3-9`, `3+` or nothing, within `outer`.
fn range(text: &str, outer: (i16, i16)) -> (i16, i16) {
    let number = |text: &str| text.parse::<i16>().expect("a version is a number");
    match (text.strip_suffix('+'), text.split_once('-')) {
        (Some(first), _) => (number(first), outer.1),
        (None, Some((first, last))) => (number(first), number(last)),
        (None, None) => outer,
    }
}

fn fields(lines: &[&str], depth: usize, outer: (i16, i16)) -> Vec<Field> {
    let indent = |line: &str| (line.len() - line.trim_start().len()) / 2;
    let mut found = Vec::new();
    let mut rest = lines;
    while let Some((line, after)) = rest.split_first() {
        let nested = after.iter().take_while(|line| indent(line) > depth).count();
        let (inner, next) = after.split_at(nested);
        found.push(field(line, inner, depth, outer));
        rest = next;
    }
    found
}

fn field(line: &str, inner: &[&str], depth: usize, outer: (i16, i16)) -> Field {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let (versions, tag) = match words[2..] {
        [] => ("", None),
        [versions] => (versions, None),
        ["tag", tag] => ("", Some(tag)),
        [versions, "tag", tag] => (versions, Some(tag)),
        _ => panic!("the table has a line of another form: {line}"),
    };
    let versions = range(versions, outer);
    let (kind, nullable) = words[1].split_once('?').unwrap_or((words[1], "no"));
    let element = kind.strip_prefix('[').and_then(|kind| kind.strip_suffix(']'));
    Field {
        name: words[0].to_owned(),
        kind: match element {
            Some("") => "struct".to_owned(),
            Some(element) => element.to_owned(),
            None => kind.to_owned(),
        },
        is_array: element.is_some(),
        is_nullable: nullable != "no",
        versions,
        tag: tag.map(|tag| tag.parse().expect("a tag is a number")),
        fields: fields(inner, depth + 1, versions),
    }
}

impl Shape {
    /// True if the version has tagged fields (KIP-482).
    pub fn is_flexible(&self, version: i16) -> bool {
        self.flexible_from.is_some_and(|first| version >= first)
    }

    /// True if the table knows the version.
    pub fn has(&self, version: i16) -> bool {
        self.versions.0 <= version && version <= self.versions.1
    }

    /// A body with one element in every array, no nulls, and every tagged field.
    pub fn sample(&self, version: i16) -> Sample {
        let mut maker = Maker {
            version,
            is_flexible: self.is_flexible(version),
            sample: Sample::default(),
        };
        maker.structure("", &self.fields);
        maker.sample
    }
}

struct Maker {
    version: i16,
    is_flexible: bool,
    sample: Sample,
}

impl Maker {
    fn has(&self, field: &Field) -> bool {
        field.versions.0 <= self.version && self.version <= field.versions.1
    }

    fn structure(&mut self, path: &str, fields: &[Field]) {
        for field in fields.iter().filter(|field| field.tag.is_none()) {
            if self.has(field) {
                self.field(path, field);
            }
        }
        if !self.is_flexible {
            return;
        }
        let mut tagged: Vec<&Field> = fields
            .iter()
            .filter(|field| field.tag.is_some() && self.has(field))
            .collect();
        tagged.sort_by_key(|field| field.tag);
        self.length(&format!("{path}(tags)"), tagged.len(), Width::Varint(1));
        for field in tagged {
            self.tagged(path, field);
        }
    }

    /// Tag, size, value: the value is made first to know its size.
    fn tagged(&mut self, path: &str, field: &Field) {
        let mut inner = Maker {
            version: self.version,
            is_flexible: true,
            sample: Sample::default(),
        };
        inner.field(path, field);
        self.sample.body.extend(varint(field.tag.unwrap_or(0)));
        let size = inner.sample.body.len();
        let width = Width::Varint(varint(u32::try_from(size).unwrap_or(0)).len());
        self.length(&format!("{path}{} (size)", field.name), size, width);
        let shift = self.sample.body.len();
        self.sample.body.extend(inner.sample.body);
        self.sample
            .places
            .extend(inner.sample.places.into_iter().map(|place| Place {
                position: place.position + shift,
                ..place
            }));
    }

    fn field(&mut self, path: &str, field: &Field) {
        let path = format!("{path}{}", field.name);
        if field.is_array {
            let (count, width) = if self.is_flexible {
                (2, Width::Varint(1))
            } else {
                (1, Width::Int)
            };
            self.length(&path, count, width);
        }
        self.value(&path, field);
    }

    fn value(&mut self, path: &str, field: &Field) {
        let integer = |size: usize| {
            let mut bytes = vec![0; size];
            bytes[size - 1] = 1;
            bytes
        };
        match field.kind.as_str() {
            "bool" => self.sample.body.push(0),
            "i8" => self.sample.body.extend(integer(1)),
            "i16" | "u16" => self.sample.body.extend(integer(2)),
            "i32" | "u32" => self.sample.body.extend(integer(4)),
            "i64" | "f64" => self.sample.body.extend(integer(8)),
            "uuid" => self.sample.body.extend(integer(16)),
            "string" => self.text(path, Width::Short),
            "bytes" => self.text(path, Width::Int),
            "struct" => {
                // A single structure that may be null says first whether it is there.
                if field.is_nullable && !field.is_array {
                    self.sample.body.push(1);
                }
                self.structure(&format!("{path}."), &field.fields);
            }
            other => panic!("the table has a type of another name: {other}"),
        }
    }

    fn text(&mut self, path: &str, plain: Width) {
        const TEXT: &[u8] = b"hostile";
        if self.is_flexible {
            self.length(path, TEXT.len() + 1, Width::Varint(1));
        } else {
            self.length(path, TEXT.len(), plain);
        }
        self.sample.body.extend(TEXT);
    }

    fn length(&mut self, field: &str, number: usize, width: Width) {
        let place = Place {
            field: field.to_owned(),
            position: self.sample.body.len(),
            width,
        };
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        match width {
            Width::Short => self
                .sample
                .body
                .extend(u16::try_from(number).unwrap_or(0).to_be_bytes()),
            Width::Int => self.sample.body.extend(number.to_be_bytes()),
            Width::Varint(_) => self.sample.body.extend(varint(number)),
        }
        self.sample.places.push(place);
    }
}

/// An unsigned varint.
pub fn varint(mut number: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

#[cfg(test)]
#[path = "requests_test.rs"]
mod tests;
