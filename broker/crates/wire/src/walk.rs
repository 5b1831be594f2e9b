//! The walk of the guard: follows a body field by field and counts what decoding it would cost.
//!
//! Owns no limits and no table. Allocates only for the path in an error. Every step consumes at least one byte or
//! ends the field list of a fixed table, so the walk is linear in the length of the body.

use std::fmt::Write as _;

use crate::cursor::{Cursor, Problem};
use crate::guard::{GuardError, GuardFacts, GuardLimits};
use crate::schema::{Element, Encoding, FieldSchema, MessageSchema, Shape, StructSchema};

/// Memory of the first unknown tagged field of a structure: one node of the map that the decoder keeps them in.
const FIRST_UNKNOWN_TAG_WEIGHT: usize = 448;
/// Memory of each further one; the map's nodes may be half empty.
const UNKNOWN_TAG_WEIGHT: usize = 128;

/// Walks the whole body; bytes after its end are an error.
pub(crate) fn check(
    schema: &'static MessageSchema,
    version: i16,
    body: &[u8],
    limits: &GuardLimits,
) -> Result<GuardFacts, GuardError> {
    check_up_to(schema, version, body, (limits, 0))
}

/// Walks a body whose writer may know more fields than the version that is read; what follows is not looked at.
pub(crate) fn check_prefix(
    schema: &'static MessageSchema,
    version: i16,
    body: &[u8],
    limits: &GuardLimits,
) -> Result<GuardFacts, GuardError> {
    check_up_to(schema, version, body, (limits, usize::MAX))
}

/// Walks a body; up to `leftover_max` bytes after its end are not looked at.
pub(crate) fn check_up_to(
    schema: &'static MessageSchema,
    version: i16,
    body: &[u8],
    (limits, leftover_max): (&GuardLimits, usize),
) -> Result<GuardFacts, GuardError> {
    let mut walk = Walk {
        cursor: Cursor::new(body),
        version,
        encoding: schema.encoding(version),
        limits,
        facts: GuardFacts {
            estimated_bytes: schema.root.weight,
            ..GuardFacts::default()
        },
    };
    let result = walk
        .structure(&schema.root, None)
        .and_then(|()| match walk.cursor.left() {
            left if left <= leftover_max => Ok(()),
            left => Err(Box::new(Fault {
                path: "(end)".to_owned(),
                position: walk.cursor.position(),
                problem: Problem::TrailingBytes(left),
            })),
        });
    match result {
        Ok(()) => Ok(GuardFacts {
            message_bytes: walk.cursor.position(),
            ..walk.facts
        }),
        Err(fault) => Err(GuardError::Malformed {
            name: schema.name,
            version,
            path: fault.path,
            position: fault.position,
            problem: fault.problem,
        }),
    }
}

/// A problem and where it is. Boxed, so that the good path moves one word.
struct Fault {
    path: String,
    position: usize,
    problem: Problem,
}

/// Where the walk is, linked to the structures around it on the call stack.
#[derive(Clone, Copy)]
struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    name: &'static str,
    index: Option<usize>,
}

impl Path<'_> {
    fn render(&self, text: &mut String) {
        if let Some(parent) = self.parent {
            parent.render(text);
            text.push('.');
        }
        text.push_str(self.name);
        if let Some(index) = self.index {
            // Writing to a string cannot fail.
            let _ = write!(text, "[{index}]");
        }
    }
}

fn fault(path: Option<&Path<'_>>, position: usize, problem: Problem) -> Box<Fault> {
    let mut text = String::new();
    match path {
        Some(path) => path.render(&mut text),
        None => text.push_str("(body)"),
    }
    Box::new(Fault {
        path: text,
        position,
        problem,
    })
}

/// Whether null is a value of the field in this version.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Null {
    Allowed,
    Refused,
}

struct Walk<'a> {
    cursor: Cursor<'a>,
    version: i16,
    encoding: Encoding,
    limits: &'a GuardLimits,
    facts: GuardFacts,
}

impl Walk<'_> {
    fn structure(
        &mut self,
        schema: &'static StructSchema,
        path: Option<&Path<'_>>,
    ) -> Result<(), Box<Fault>> {
        for field in schema.plain_fields(self.version) {
            self.field(
                field,
                &Path {
                    parent: path,
                    name: field.name,
                    index: None,
                },
            )?;
        }
        match self.encoding {
            Encoding::Plain => Ok(()),
            Encoding::Flexible => self.tagged_fields(schema, path),
        }
    }

    fn field(&mut self, field: &'static FieldSchema, path: &Path<'_>) -> Result<(), Box<Fault>> {
        let null = if field.is_nullable(self.version) {
            Null::Allowed
        } else {
            Null::Refused
        };
        match field.shape {
            Shape::One => self.value(&field.element, null, path),
            Shape::Array => self.array(&field.element, null, path),
        }
    }

    fn array(&mut self, element: &'static Element, null: Null, path: &Path<'_>) -> Result<(), Box<Fault>> {
        let position = self.cursor.position();
        let at = |problem| fault(Some(path), position, problem);
        let Some(count) = self.cursor.count(self.encoding).map_err(at)? else {
            return if null == Null::Allowed {
                Ok(())
            } else {
                Err(at(Problem::NullNotAllowed))
            };
        };
        let element_size_min = element.size_min(self.version, self.encoding);
        let left = self.cursor.left();
        if count > left / element_size_min.max(1) {
            return Err(at(Problem::CountTooLarge {
                count,
                element_size_min,
                left,
            }));
        }
        if count > self.limits.array_elements_max {
            return Err(at(Problem::ArrayAboveLimit {
                count,
                limit: self.limits.array_elements_max,
            }));
        }
        self.facts.array_elements = self.facts.array_elements.saturating_add(count);
        self.charge(count.saturating_mul(element.weight())).map_err(at)?;
        match element {
            Element::Bool | Element::Fixed(_) => {
                // Checked above: count × size is no more than what is left.
                self.cursor
                    .take(count.saturating_mul(element_size_min))
                    .map_err(at)?;
            }
            Element::String | Element::Bytes | Element::Struct(_) => {
                for index in 0..count {
                    self.value(
                        element,
                        Null::Refused,
                        &Path {
                            index: Some(index),
                            ..*path
                        },
                    )?;
                }
            }
        }
        Ok(())
    }

    fn value(&mut self, element: &'static Element, null: Null, path: &Path<'_>) -> Result<(), Box<Fault>> {
        let position = self.cursor.position();
        let at = |problem| fault(Some(path), position, problem);
        let len = match element {
            Element::Bool => Some(1),
            Element::Fixed(size) => Some(*size),
            Element::String => self.cursor.string_len(self.encoding).map_err(at)?,
            Element::Bytes => self.cursor.bytes_len(self.encoding).map_err(at)?,
            Element::Struct(schema) => {
                if null == Null::Allowed {
                    match self.cursor.i8().map_err(at)? {
                        -1 => return Ok(()),
                        1 => {}
                        marker => return Err(at(Problem::PresenceMarker(marker))),
                    }
                }
                return self.structure(schema, Some(path));
            }
        };
        match len {
            Some(len) => self.cursor.take(len).map(|_| ()).map_err(at),
            None if null == Null::Allowed => Ok(()),
            None => Err(at(Problem::NullNotAllowed)),
        }
    }

    /// Walks the tagged fields at the end of a structure (KIP-482).
    fn tagged_fields(
        &mut self,
        schema: &'static StructSchema,
        path: Option<&Path<'_>>,
    ) -> Result<(), Box<Fault>> {
        let position = self.cursor.position();
        let at = |problem| fault(path, position, problem);
        let count = self.cursor.varint().map_err(at)? as usize;
        let limit = self.limits.tagged_fields_per_struct_max;
        if count > limit {
            return Err(at(Problem::TooManyTaggedFields { count, limit }));
        }
        let mut unknown = 0usize;
        for _ in 0..count {
            let position = self.cursor.position();
            let at = |problem| fault(path, position, problem);
            let tag = self.cursor.varint().map_err(at)?;
            let size = self.cursor.varint().map_err(at)? as usize;
            match schema.tagged_field(tag) {
                Some(field) if field.versions.contains(self.version) => {
                    let path = Path {
                        parent: path,
                        name: field.name,
                        index: None,
                    };
                    self.known_tag(field, size, &path)?;
                }
                Some(_) => return Err(at(Problem::TagNotInVersion(tag))),
                None => {
                    self.cursor.take(size).map_err(at)?;
                    self.unknown_tag(unknown).map_err(at)?;
                    unknown += 1;
                }
            }
        }
        Ok(())
    }

    fn known_tag(
        &mut self,
        field: &'static FieldSchema,
        size: usize,
        path: &Path<'_>,
    ) -> Result<(), Box<Fault>> {
        let position = self.cursor.position();
        let at = |problem| fault(Some(path), position, problem);
        let former_end = self.cursor.narrow(size).map_err(at)?;
        self.field(field, path)?;
        let used = self.cursor.position().saturating_sub(position);
        self.cursor.restore_end(former_end);
        if used != size {
            let tag = field.tag.unwrap_or_default();
            return Err(at(Problem::TagSize { tag, size, used }));
        }
        Ok(())
    }

    fn unknown_tag(&mut self, before_in_struct: usize) -> Result<(), Problem> {
        self.facts.unknown_tagged_fields = self.facts.unknown_tagged_fields.saturating_add(1);
        let limit = self.limits.unknown_tagged_fields_max;
        if self.facts.unknown_tagged_fields > limit {
            return Err(Problem::TooManyTaggedFields {
                count: self.facts.unknown_tagged_fields,
                limit,
            });
        }
        self.charge(if before_in_struct == 0 {
            FIRST_UNKNOWN_TAG_WEIGHT
        } else {
            UNKNOWN_TAG_WEIGHT
        })
    }

    fn charge(&mut self, bytes: usize) -> Result<(), Problem> {
        self.facts.estimated_bytes = self.facts.estimated_bytes.saturating_add(bytes);
        let limit = self.limits.decoded_bytes_max;
        if self.facts.estimated_bytes > limit {
            return Err(Problem::DecodedSizeAboveLimit {
                bytes: self.facts.estimated_bytes,
                limit,
            });
        }
        Ok(())
    }
}
