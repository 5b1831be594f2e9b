//! OffsetCommit (API key 8) v2–10 and OffsetFetch (key 9) v1–10: the requests, parsed into plain values.
//!
//! The message types of `kafka-protocol` stop at v9 of both requests; v10 names topics by id (KIP-848), which a
//! consumer of the newer protocol needs. Owns the layout of the requests only: the responses of `kafka-protocol` know
//! v10.

mod commit;
mod fetch;

pub use crate::topology::TopicKey;
pub use commit::{CommitPartition, CommitRequest, CommitTopic, parse_offset_commit_request};
pub use fetch::{FetchGroup, FetchTopic, OffsetFetchRequest, parse_offset_fetch_request};

use crate::cursor::{Cursor, Problem};
use crate::guard::{self, Direction, GuardError, GuardLimits};
use crate::schema::Encoding;
use crate::topology::TopicNaming;
use crate::walk;

/// API key of OffsetCommit.
pub const COMMIT_KEY: i16 = 8;
/// API key of OffsetFetch.
pub const FETCH_KEY: i16 = 9;

/// The first version of both that names topics by id.
const TOPIC_IDS_FROM: i16 = 10;

/// The field that an error is about, and what is wrong.
type At = (&'static str, Problem);

fn at(path: &'static str) -> impl Fn(Problem) -> At {
    move |problem| (path, problem)
}

/// A body that the guard has walked.
struct Reader<'a> {
    cursor: Cursor<'a>,
    version: i16,
    encoding: Encoding,
}

impl Reader<'_> {
    fn naming(&self) -> TopicNaming {
        if self.version >= TOPIC_IDS_FROM {
            TopicNaming::ById
        } else {
            TopicNaming::ByName
        }
    }

    fn string(&mut self, path: &'static str) -> Result<String, At> {
        let text = self.cursor.string(self.encoding).map_err(at(path))?;
        Ok(text.to_owned())
    }

    fn nullable_string(&mut self, path: &'static str) -> Result<Option<String>, At> {
        let text = self.cursor.nullable_string(self.encoding).map_err(at(path))?;
        Ok(text.map(str::to_owned))
    }

    fn i32(&mut self, path: &'static str) -> Result<i32, At> {
        self.cursor.i32().map_err(at(path))
    }

    fn i64(&mut self, path: &'static str) -> Result<i64, At> {
        self.cursor.i64().map_err(at(path))
    }

    fn topic(&mut self) -> Result<TopicKey, At> {
        self.naming()
            .read(&mut self.cursor, self.encoding)
            .map_err(at("topics.topic"))
    }

    fn end_of_structure(&mut self, path: &'static str) -> Result<(), At> {
        self.cursor.skip_tagged(self.encoding).map_err(at(path))
    }

    /// Reads an array whose elements take at least `element_size_min` bytes; `None` is null.
    fn nullable_array<T>(
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

    fn array<T>(
        &mut self,
        what: (&'static str, usize),
        element: impl FnMut(&mut Self) -> Result<T, At>,
    ) -> Result<Vec<T>, At> {
        self.nullable_array(what, element)?
            .ok_or((what.0, Problem::NullNotAllowed))
    }
}

/// Has the guard walk a body, then reads it.
fn parse<T>(
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

#[cfg(test)]
#[path = "offsets_test.rs"]
mod tests;
