//! The shapes of Kafka's messages: which fields a body has in which version, and how each is written.
//!
//! Owns the table `schema.txt` and its parsed form. Knows nothing of values or limits (see [`crate::guard`]).
//! Invariant: for every API key and version the table describes exactly the bytes that the message types of
//! `kafka-protocol` read and write; `schema_test.rs` proves it against the types themselves.

use std::fmt;
use std::sync::OnceLock;

/// Which message of an API is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// What a client sends.
    Request,
    /// What a broker answers.
    Response,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request => "request",
            Self::Response => "response",
        })
    }
}

/// A closed range of versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Versions {
    pub first: i16,
    pub last: i16,
}

impl Versions {
    pub(crate) const fn contains(self, version: i16) -> bool {
        self.first <= version && version <= self.last
    }
}

/// What one value of a field is, or one element if the field is an array.
#[derive(Debug)]
pub(crate) enum Element {
    /// One byte; apart from `Fixed(1)` because only 0 and 1 are written.
    Bool,
    /// An integer, a float or an id of this many bytes.
    Fixed(usize),
    /// Length, then UTF-8.
    String,
    /// Length, then bytes.
    Bytes,
    /// Fields one after the other.
    Struct(StructSchema),
}

/// Whether a field holds one value or many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    One,
    Array,
}

/// One field of a structure.
#[derive(Debug)]
pub(crate) struct FieldSchema {
    pub name: &'static str,
    pub element: Element,
    pub shape: Shape,
    pub versions: Versions,
    /// The first version in which the field may be null; `None`: never.
    pub nullable_from: Option<i16>,
    /// The tag, if the field is written among the tagged fields (KIP-482).
    pub tag: Option<u32>,
}

impl FieldSchema {
    pub(crate) fn is_nullable(&self, version: i16) -> bool {
        self.nullable_from.is_some_and(|first| version >= first)
    }
}

/// Fields in wire order, tagged ones last.
#[derive(Debug)]
pub(crate) struct StructSchema {
    pub fields: Vec<FieldSchema>,
    /// Rough size in memory of the decoded structure itself, without what its arrays point to. Bytes.
    pub weight: usize,
    /// The fewest bytes the structure takes on the wire, per version, from [`StructSchema::first_version`] on.
    size_min: Vec<usize>,
    first_version: i16,
}

impl StructSchema {
    /// Returns the fewest bytes that one such structure takes in this version.
    pub(crate) fn size_min(&self, version: i16) -> usize {
        usize::try_from(i32::from(version) - i32::from(self.first_version))
            .ok()
            .and_then(|index| self.size_min.get(index).copied())
            .unwrap_or(0)
    }

    /// Returns the untagged fields of this version, in wire order.
    pub(crate) fn plain_fields(&self, version: i16) -> impl Iterator<Item = &FieldSchema> {
        self.fields
            .iter()
            .filter(move |field| field.tag.is_none() && field.versions.contains(version))
    }

    /// Returns the field with this tag, of whatever version.
    pub(crate) fn tagged_field(&self, tag: u32) -> Option<&FieldSchema> {
        self.fields.iter().find(|field| field.tag == Some(tag))
    }
}

impl Element {
    /// Returns the fewest bytes that one such element takes in this version.
    pub(crate) fn size_min(&self, version: i16, encoding: Encoding) -> usize {
        match (self, encoding) {
            (Self::Bool, _) => 1,
            (Self::Fixed(size), _) => *size,
            (Self::String | Self::Bytes, Encoding::Flexible) => 1,
            (Self::String, Encoding::Plain) => 2,
            (Self::Bytes, Encoding::Plain) => 4,
            (Self::Struct(schema), _) => schema.size_min(version),
        }
    }

    /// Returns the rough size in memory of one such element, in bytes. Strings and bytes are views into the frame.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Bool => 1,
            Self::Fixed(size) => *size,
            Self::String | Self::Bytes => VIEW_WEIGHT,
            Self::Struct(schema) => schema.weight,
        }
    }
}

/// How lengths are written and whether structures end with tagged fields (KIP-482).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Lengths of fixed width, no tagged fields.
    Plain,
    /// Lengths as unsigned varints of length + 1, tagged fields at the end of every structure.
    Flexible,
}

/// One message body.
#[derive(Debug)]
pub(crate) struct MessageSchema {
    pub name: &'static str,
    pub versions: Versions,
    pub flexible_from: Option<i16>,
    pub root: StructSchema,
    api: Option<(Direction, i16)>,
}

impl MessageSchema {
    pub(crate) fn encoding(&self, version: i16) -> Encoding {
        match self.flexible_from {
            Some(first) if version >= first => Encoding::Flexible,
            _ => Encoding::Plain,
        }
    }
}

/// A view into shared bytes: pointer, length, owner, table of functions.
const VIEW_WEIGHT: usize = 32;
/// A vector or an ordered map: three words.
const COLLECTION_WEIGHT: usize = 24;
/// Fields that the decoded types have but no version on the wire, and a missing-value marker.
const STRUCT_SLACK: usize = 16;

/// Every message of the table.
#[derive(Debug)]
pub(crate) struct Schemas {
    messages: Vec<MessageSchema>,
    /// Index into `messages` by API key; requests first, then responses.
    by_key: [Vec<Option<usize>>; 2],
}

impl Schemas {
    /// Returns the schema of a message, or `None` if the API key is unknown.
    pub(crate) fn message(&self, direction: Direction, api_key: i16) -> Option<&MessageSchema> {
        let index = self.by_key[direction as usize]
            .get(usize::try_from(api_key).ok()?)
            .copied()??;
        self.messages.get(index)
    }

    /// Returns the schema of a structure that travels inside a bytes field.
    fn data(&self, name: &str) -> Option<&MessageSchema> {
        self.messages
            .iter()
            .find(|message| message.api.is_none() && message.name == name)
    }

    /// Returns every request and response with its key, in rising order of the key.
    #[cfg(test)]
    pub(crate) fn api_messages(&self) -> impl Iterator<Item = (Direction, i16, &MessageSchema)> {
        self.messages
            .iter()
            .filter_map(|message| message.api.map(|(direction, key)| (direction, key, message)))
    }
}

/// Returns the parsed table.
///
/// The first call parses it (about a millisecond).
pub(crate) fn schemas() -> &'static Schemas {
    static SCHEMAS: OnceLock<Schemas> = OnceLock::new();
    SCHEMAS.get_or_init(|| Schemas::parse(include_str!("schema.txt")))
}

/// Reports whether a message is in the table but unknown to the types of `kafka-protocol`: the requests of OffsetCommit
/// and OffsetFetch from v10 on, which [`crate::offsets`] parses, and WriteTxnMarkers from v2 on, whose request
/// [`crate::markers`] parses and whose response is that of v1.
pub(crate) const fn is_parsed_here_only(direction: Direction, api_key: i16, version: i16) -> bool {
    match (direction, api_key) {
        (Direction::Request, 8 | 9) => version >= 10,
        (_, 27) => version >= 2,
        _ => false,
    }
}

/// Returns the schema of a message, or `None` if the API key is unknown.
pub(crate) fn message(direction: Direction, api_key: i16) -> Option<&'static MessageSchema> {
    schemas().message(direction, api_key)
}

/// Returns the schema of a consumer's subscription in JoinGroup.
pub(crate) fn subscription() -> &'static MessageSchema {
    schemas()
        .data("ConsumerProtocolSubscription")
        .expect("schema.txt has the subscription; a test reads it")
}

/// Returns the schema of a consumer's assignment in SyncGroup.
pub(crate) fn assignment() -> &'static MessageSchema {
    schemas()
        .data("ConsumerProtocolAssignment")
        .expect("schema.txt has the assignment; a test reads it")
}

/// A line of the table without its indentation.
struct Line {
    depth: usize,
    words: Vec<&'static str>,
}

/// What is wrong with the table is a mistake of ours, found by every test: parsing it may panic.
impl Schemas {
    fn parse(text: &'static str) -> Self {
        let lines: Vec<Line> = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| {
                let trimmed = line.trim_start();
                Line {
                    depth: (line.len() - trimmed.len()) / 2,
                    words: trimmed.split_ascii_whitespace().collect(),
                }
            })
            .collect();
        let mut messages = Vec::new();
        let mut rest = lines.as_slice();
        while let Some((head, body)) = rest.split_first() {
            let body_len = body.iter().take_while(|line| line.depth > 0).count();
            let (body, after) = body.split_at(body_len);
            messages.push(parse_message(head, body));
            rest = after;
        }
        let mut by_key = [Vec::new(), Vec::new()];
        for (index, message) in messages.iter().enumerate() {
            let Some((direction, api_key)) = message.api else {
                continue;
            };
            let slot = usize::try_from(api_key).expect("schema.txt: API keys are not negative");
            let slots: &mut Vec<Option<usize>> = &mut by_key[direction as usize];
            if slots.len() <= slot {
                slots.resize(slot + 1, None);
            }
            slots[slot] = Some(index);
        }
        Self { messages, by_key }
    }
}

fn parse_message(head: &Line, body: &[Line]) -> MessageSchema {
    let number = |text: &str| {
        text.parse::<i16>()
            .expect("schema.txt: a key or version is a number")
    };
    let (api, name, versions, flexible) = match head.words.as_slice() {
        ["request", key, name, versions, "flexible", flexible] => (
            Some((Direction::Request, number(key))),
            *name,
            *versions,
            *flexible,
        ),
        ["response", key, name, versions, "flexible", flexible] => (
            Some((Direction::Response, number(key))),
            *name,
            *versions,
            *flexible,
        ),
        ["data", name, versions, "flexible", flexible] => (None, *name, *versions, *flexible),
        words => panic!("schema.txt: not a message: {words:?}"),
    };
    let (first, last) = versions
        .split_once('-')
        .expect("schema.txt: versions of a message are MIN-MAX");
    let versions = Versions {
        first: number(first),
        last: number(last),
    };
    let flexible_from = (flexible != "none").then(|| number(flexible));
    let root = parse_struct(body, 1, versions, flexible_from);
    MessageSchema {
        name,
        versions,
        flexible_from,
        root,
        api,
    }
}

fn parse_struct(
    lines: &[Line],
    depth: usize,
    versions: Versions,
    flexible_from: Option<i16>,
) -> StructSchema {
    let mut fields = Vec::new();
    let mut rest = lines;
    while let Some((line, after)) = rest.split_first() {
        assert_eq!(
            line.depth, depth,
            "schema.txt: wrong indentation: {:?}",
            line.words
        );
        let nested_len = after.iter().take_while(|line| line.depth > depth).count();
        let (nested, next) = after.split_at(nested_len);
        fields.push(parse_field(line, nested, versions, flexible_from));
        rest = next;
    }
    let size_min = (versions.first..=versions.last)
        .map(|version| {
            let encoding = match flexible_from {
                Some(first) if version >= first => Encoding::Flexible,
                _ => Encoding::Plain,
            };
            let plain: usize = fields
                .iter()
                .filter(|field| field.tag.is_none() && field.versions.contains(version))
                .map(|field| field_size_min(field, version, encoding))
                .sum();
            plain + usize::from(encoding == Encoding::Flexible)
        })
        .collect();
    let weight: usize = fields
        .iter()
        .map(|field| match field.shape {
            Shape::Array => COLLECTION_WEIGHT,
            Shape::One => field.element.weight(),
        })
        .sum();
    let weight = (weight + COLLECTION_WEIGHT + STRUCT_SLACK).next_multiple_of(8);
    StructSchema {
        fields,
        weight,
        size_min,
        first_version: versions.first,
    }
}

fn field_size_min(field: &FieldSchema, version: i16, encoding: Encoding) -> usize {
    match (field.shape, &field.element) {
        // An empty array is its count, a null structure one byte.
        (Shape::Array, _) => match encoding {
            Encoding::Plain => 4,
            Encoding::Flexible => 1,
        },
        (Shape::One, Element::Struct(_)) if field.is_nullable(version) => 1,
        (Shape::One, element) => element.size_min(version, encoding),
    }
}

fn parse_field(line: &Line, nested: &[Line], parent: Versions, flexible_from: Option<i16>) -> FieldSchema {
    let number = |text: &str| text.parse::<i16>().expect("schema.txt: a version is a number");
    let (name, kind, rest) = match line.words.as_slice() {
        [name, kind, rest @ ..] => (*name, *kind, rest),
        words => panic!("schema.txt: not a field: {words:?}"),
    };
    let (versions, tag) = match rest {
        [] => (None, None),
        [versions] => (Some(*versions), None),
        ["tag", tag] => (None, Some(*tag)),
        [versions, "tag", tag] => (Some(*versions), Some(*tag)),
        words => panic!("schema.txt: unknown words after the type of {name}: {words:?}"),
    };
    let versions = match versions {
        None => parent,
        Some(text) => match text.strip_suffix('+') {
            Some(first) => Versions {
                first: number(first),
                last: parent.last,
            },
            None => {
                let (first, last) = text
                    .split_once('-')
                    .expect("schema.txt: versions are FIRST+ or FIRST-LAST");
                Versions {
                    first: number(first),
                    last: number(last),
                }
            }
        },
    };
    let (kind, nullable_from) = match kind.split_once('?') {
        None => (kind, None),
        Some((kind, "")) => (kind, Some(versions.first)),
        Some((kind, from)) => (
            kind,
            Some(number(
                from.strip_suffix('+')
                    .expect("schema.txt: null versions are FIRST+"),
            )),
        ),
    };
    let (shape, kind) = match kind.strip_prefix('[').and_then(|kind| kind.strip_suffix(']')) {
        Some("") => (Shape::Array, "struct"),
        Some(element) => (Shape::Array, element),
        None => (Shape::One, kind),
    };
    let element = match kind {
        "bool" => Element::Bool,
        "i8" => Element::Fixed(1),
        "i16" | "u16" => Element::Fixed(2),
        "i32" | "u32" => Element::Fixed(4),
        "i64" | "f64" => Element::Fixed(8),
        "uuid" => Element::Fixed(16),
        "string" => Element::String,
        "bytes" => Element::Bytes,
        "struct" => Element::Struct(parse_struct(nested, line.depth + 1, versions, flexible_from)),
        other => panic!("schema.txt: unknown type {other} of {name}"),
    };
    assert!(
        nested.is_empty() || matches!(element, Element::Struct(_)),
        "schema.txt: {name} is no structure but has fields"
    );
    let tag = tag.map(|tag| tag.parse().expect("schema.txt: a tag is a number"));
    FieldSchema {
        name,
        element,
        shape,
        versions,
        nullable_from,
        tag,
    }
}

#[cfg(test)]
#[path = "schema_test.rs"]
mod tests;
