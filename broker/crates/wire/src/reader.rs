//! Reading a request field by field into plain values, for the messages that have a parser of this crate's own.
//!
//! The guard walks a body before it is read, so what fails here is only what the guard lets pass: text that is no UTF-8,
//! a null where none may be.

use crate::cursor::{Cursor, Problem};
use crate::guard::{self, Direction, GuardError, GuardLimits};
use crate::schema::Encoding;
use crate::walk;

/// The field that an error is about, and what is wrong.
pub(crate) type At = (&'static str, Problem);

pub(crate) fn at(path: &'static str) -> impl Fn(Problem) -> At {
    move |problem| (path, problem)
}

/// A body that the guard has walked.
pub(crate) struct Reader<'a> {
    pub(crate) cursor: Cursor<'a>,
    pub(crate) version: i16,
    pub(crate) encoding: Encoding,
}

impl Reader<'_> {
    pub(crate) fn string(&mut self, path: &'static str) -> Result<String, At> {
        let text = self.cursor.string(self.encoding).map_err(at(path))?;
        Ok(text.to_owned())
    }

    pub(crate) fn nullable_string(&mut self, path: &'static str) -> Result<Option<String>, At> {
        let text = self.cursor.nullable_string(self.encoding).map_err(at(path))?;
        Ok(text.map(str::to_owned))
    }

    pub(crate) fn i32(&mut self, path: &'static str) -> Result<i32, At> {
        self.cursor.i32().map_err(at(path))
    }

    pub(crate) fn i8(&mut self, path: &'static str) -> Result<i8, At> {
        self.cursor.i8().map_err(at(path))
    }

    pub(crate) fn i16(&mut self, path: &'static str) -> Result<i16, At> {
        self.cursor.i16().map_err(at(path))
    }

    pub(crate) fn i64(&mut self, path: &'static str) -> Result<i64, At> {
        self.cursor.i64().map_err(at(path))
    }

    pub(crate) fn end_of_structure(&mut self, path: &'static str) -> Result<(), At> {
        self.cursor.skip_tagged(self.encoding).map_err(at(path))
    }

    /// Reads an array whose elements take at least `element_size_min` bytes; `None` is null.
    pub(crate) fn nullable_array<T>(
        &mut self,
        (path, element_size_min): (&'static str, usize),
        mut element: impl FnMut(&mut Self) -> Result<T, At>,
    ) -> Result<Option<Vec<T>>, At> {
        let start = self.cursor.position();
        if self.cursor.count(self.encoding).map_err(at(path))?.is_none() {
            return Ok(None);
        }
        self.cursor.rewind_to(start);
        let count = self
            .cursor
            .bounded_count(self.encoding, element_size_min)
            .map_err(at(path))?;
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Ok(Some(elements))
    }

    pub(crate) fn array<T>(
        &mut self,
        what: (&'static str, usize),
        element: impl FnMut(&mut Self) -> Result<T, At>,
    ) -> Result<Vec<T>, At> {
        self.nullable_array(what, element)?
            .ok_or((what.0, Problem::NullNotAllowed))
    }
}

/// Has the guard walk a body, then reads it.
pub(crate) fn parse<T>(
    (key, version): (i16, i16),
    body: &[u8],
    limits: &GuardLimits,
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, At>,
) -> Result<T, GuardError> {
    let schema = guard::message(Direction::Request, key, version)?;
    walk::check(schema, version, body, limits)?;
    let mut reader = Reader {
        cursor: Cursor::new(body),
        version,
        encoding: schema.encoding(version),
    };
    read(&mut reader).map_err(|(path, problem)| GuardError::Malformed {
        name: schema.name,
        version,
        path: path.to_owned(),
        position: reader.cursor.position(),
        problem,
    })
}
