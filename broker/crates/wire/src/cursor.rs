//! Reading Kafka's primitive types from a slice, with every length checked first.
//!
//! Owns the rules of lengths, counts and varints (plain and compact). Never allocates, never panics.
//! Invariant: `position ≤ end ≤ bytes.len()`; a failed read of one number or of the text of a string leaves the
//! position where it was.

use thiserror::Error;

use crate::schema::Encoding;

/// What is wrong with some bytes of a message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Problem {
    /// The message ends inside a value.
    #[error("needs {needed} bytes, {left} are left")]
    TooShort {
        /// Bytes that the value takes.
        needed: usize,
        /// Bytes that are there.
        left: usize,
    },
    /// A varint has more than 32 bits.
    #[error("a varint of more than 32 bits")]
    VarintTooLong,
    /// A length or count is below −1.
    #[error("the length {0} is negative")]
    NegativeLength(i64),
    /// Null where the version demands a value.
    #[error("null is not allowed here")]
    NullNotAllowed,
    /// More elements than the rest of the message could hold.
    #[error("{count} elements of at least {element_size_min} bytes do not fit into the {left} bytes left")]
    CountTooLarge {
        /// The count on the wire.
        count: usize,
        /// The fewest bytes one element takes.
        element_size_min: usize,
        /// Bytes that are there.
        left: usize,
    },
    /// More elements in one array than the limit allows.
    #[error("{count} elements, at most {limit} are allowed in one array")]
    ArrayAboveLimit {
        /// The count on the wire.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// The decoded message would take more memory than the limit allows.
    #[error("the message would take about {bytes} bytes decoded, at most {limit} are allowed")]
    DecodedSizeAboveLimit {
        /// Estimated bytes up to and with this element.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// More tagged fields than the limit allows.
    #[error("{count} tagged fields, at most {limit} are allowed")]
    TooManyTaggedFields {
        /// Tagged fields of the structure, or unknown ones of the message.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// A tag that belongs to other versions of the message.
    #[error("tag {0} does not exist in this version")]
    TagNotInVersion(u32),
    /// A tagged field does not fill the size it states.
    #[error("tag {tag} states {size} bytes but holds {used}")]
    TagSize {
        /// The tag.
        tag: u32,
        /// The size on the wire.
        size: usize,
        /// The bytes that its value takes.
        used: usize,
    },
    /// The marker before an optional structure is neither 1 nor −1.
    #[error("the marker of an optional structure is {0}, not 1 or -1")]
    PresenceMarker(i8),
    /// Bytes follow the end of the message.
    #[error("{0} bytes follow the end of the message")]
    TrailingBytes(usize),
    /// A string is not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// A string is longer than the limit allows.
    #[error("{len} bytes long, at most {limit} are allowed")]
    StringTooLong {
        /// The length on the wire.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// A number with no meaning.
    #[error("the value {0} has no meaning")]
    UnknownValue(i64),
}

/// A read position in the bytes of one message.
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
    end: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            position: 0,
            end: bytes.len(),
        }
    }

    /// Returns how many bytes have been read.
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// Returns how many bytes may still be read.
    pub(crate) fn left(&self) -> usize {
        self.end.saturating_sub(self.position)
    }

    /// Lets only the next `size` bytes be read and returns the former end for [`Cursor::restore_end`].
    pub(crate) fn narrow(&mut self, size: usize) -> Result<usize, Problem> {
        self.need(size)?;
        let former = self.end;
        self.end = self.position + size;
        Ok(former)
    }

    pub(crate) fn restore_end(&mut self, former: usize) {
        self.end = former.min(self.bytes.len());
    }

    fn need(&self, needed: usize) -> Result<(), Problem> {
        let left = self.left();
        if needed <= left {
            Ok(())
        } else {
            Err(Problem::TooShort { needed, left })
        }
    }

    /// Reads `len` bytes.
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Problem> {
        let end = self.position.checked_add(len).filter(|end| *end <= self.end);
        match end.and_then(|end| Some((end, self.bytes.get(self.position..end)?))) {
            Some((end, taken)) => {
                self.position = end;
                Ok(taken)
            }
            None => Err(Problem::TooShort {
                needed: len,
                left: self.left(),
            }),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        let mut value = [0; N];
        // `take` returns exactly N bytes, so the lengths are equal.
        value.copy_from_slice(self.take(N)?);
        Ok(value)
    }

    pub(crate) fn i8(&mut self) -> Result<i8, Problem> {
        self.array().map(i8::from_be_bytes)
    }

    pub(crate) fn i16(&mut self) -> Result<i16, Problem> {
        self.array().map(i16::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Result<i32, Problem> {
        self.array().map(i32::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, Problem> {
        self.array().map(i64::from_be_bytes)
    }

    pub(crate) fn uuid(&mut self) -> Result<[u8; 16], Problem> {
        self.array()
    }

    /// Reads an unsigned varint of at most 32 bits, in five bytes at most.
    pub(crate) fn varint(&mut self) -> Result<u32, Problem> {
        let start = self.position;
        let mut value: u32 = 0;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = match self.array() {
                Ok(byte) => byte,
                Err(problem) => {
                    self.position = start;
                    return Err(problem);
                }
            };
            if shift == 28 && byte > 0x0f {
                break;
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        self.position = start;
        Err(Problem::VarintTooLong)
    }

    /// Reads the length of a string; `None` is null.
    pub(crate) fn string_len(&mut self, encoding: Encoding) -> Result<Option<usize>, Problem> {
        let len = match encoding {
            Encoding::Plain => plain_len(i64::from(self.i16()?))?,
            Encoding::Flexible => compact_len(self.varint()?),
        };
        self.check_fits(len)
    }

    /// Reads the length of a bytes or records value; `None` is null.
    pub(crate) fn bytes_len(&mut self, encoding: Encoding) -> Result<Option<usize>, Problem> {
        let len = self.count(encoding)?;
        self.check_fits(len)
    }

    /// Reads the count of an array; `None` is null. The caller compares it with what is left.
    pub(crate) fn count(&mut self, encoding: Encoding) -> Result<Option<usize>, Problem> {
        match encoding {
            Encoding::Plain => plain_len(i64::from(self.i32()?)),
            Encoding::Flexible => Ok(compact_len(self.varint()?)),
        }
    }

    fn check_fits(&self, len: Option<usize>) -> Result<Option<usize>, Problem> {
        if let Some(len) = len {
            self.need(len)?;
        }
        Ok(len)
    }

    /// Goes back to a position that was read before, so that an error names it.
    pub(crate) fn rewind_to(&mut self, position: usize) {
        self.position = position.min(self.position);
    }

    /// Reads a string that may be null.
    pub(crate) fn nullable_string(&mut self, encoding: Encoding) -> Result<Option<&'a str>, Problem> {
        let start = self.position;
        let Some(len) = self.string_len(encoding)? else {
            return Ok(None);
        };
        let text = std::str::from_utf8(self.take(len)?);
        text.map(Some).map_err(|_| {
            self.rewind_to(start);
            Problem::NotUtf8
        })
    }

    /// Reads a string that may not be null.
    pub(crate) fn string(&mut self, encoding: Encoding) -> Result<&'a str, Problem> {
        self.nullable_string(encoding)?.ok_or(Problem::NullNotAllowed)
    }

    /// Reads the count of an array that may not be null and whose elements take at least `element_size_min` bytes.
    ///
    /// What it returns may be reserved: it is never more than the bytes left.
    pub(crate) fn bounded_count(
        &mut self,
        encoding: Encoding,
        element_size_min: usize,
    ) -> Result<usize, Problem> {
        let count = self.count(encoding)?.ok_or(Problem::NullNotAllowed)?;
        let left = self.left();
        if count > left / element_size_min.max(1) {
            return Err(Problem::CountTooLarge {
                count,
                element_size_min,
                left,
            });
        }
        Ok(count)
    }

    /// Skips the tagged fields at the end of a structure; none are there in plain encoding.
    pub(crate) fn skip_tagged(&mut self, encoding: Encoding) -> Result<(), Problem> {
        self.each_tagged(encoding, |_, _| Ok(()))
    }

    /// Calls `visit` with the tag and the value of each tagged field at the end of a structure.
    pub(crate) fn each_tagged(
        &mut self,
        encoding: Encoding,
        mut visit: impl FnMut(u32, &mut Cursor<'a>) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        if encoding == Encoding::Plain {
            return Ok(());
        }
        for _ in 0..self.varint()? {
            let tag = self.varint()?;
            let size = self.varint()? as usize;
            visit(tag, &mut Cursor::new(self.take(size)?))?;
        }
        Ok(())
    }
}

fn plain_len(len: i64) -> Result<Option<usize>, Problem> {
    match len {
        -1 => Ok(None),
        len => usize::try_from(len)
            .map(Some)
            .map_err(|_| Problem::NegativeLength(len)),
    }
}

fn compact_len(len: u32) -> Option<usize> {
    len.checked_sub(1).map(|len| len as usize)
}
