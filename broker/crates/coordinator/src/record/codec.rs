//! Guarded reading and writing of Kafka's primitive types, as far as these records use them.
//!
//! A reader never reserves memory by a length it read: strings and byte fields are slices of its input.

use bytes::{BufMut, Bytes, BytesMut};

/// Longest string that a record can hold: its length is a 16-bit number.
pub const STRING_BYTES_MAX: usize = i16::MAX as usize;

/// What is wrong with some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A field ends after the input.
    #[error("{needed} bytes needed at byte {position}, {remaining} left")]
    Cut {
        /// Where the field starts.
        position: usize,
        /// How long it says it is.
        needed: usize,
        /// How much there is.
        remaining: usize,
    },
    /// A length is negative where the field cannot be null, a string is longer than [`STRING_BYTES_MAX`], or a
    /// variable-length number is too long.
    #[error("length at byte {position} is out of range")]
    Length {
        /// Where it is.
        position: usize,
    },
    /// A string is not UTF-8.
    #[error("string at byte {position} is not UTF-8")]
    NotUtf8 {
        /// Where it is.
        position: usize,
    },
    /// The record is of a version this program cannot read.
    #[error("version {version} is not known (0 to {newest} are)")]
    Version {
        /// What it says.
        version: i16,
        /// The newest one that can be read.
        newest: i16,
    },
}

/// Reads fields one after the other.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        match rest.get(..count) {
            Some(slice) => {
                self.position += count;
                Ok(slice)
            }
            None => Err(DecodeError::Cut {
                position: self.position,
                needed: count,
                remaining: rest.len(),
            }),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let slice = self.take(N)?;
        let mut array = [0; N];
        array.copy_from_slice(slice);
        Ok(array)
    }

    pub(crate) fn int8(&mut self) -> Result<i8, DecodeError> {
        self.array().map(i8::from_be_bytes)
    }

    pub(crate) fn int16(&mut self) -> Result<i16, DecodeError> {
        self.array().map(i16::from_be_bytes)
    }

    pub(crate) fn int32(&mut self) -> Result<i32, DecodeError> {
        self.array().map(i32::from_be_bytes)
    }

    pub(crate) fn int64(&mut self) -> Result<i64, DecodeError> {
        self.array().map(i64::from_be_bytes)
    }

    /// Reads an unsigned variable-length number of at most 32 bits, as flexible versions use for lengths.
    pub(crate) fn unsigned_varint(&mut self) -> Result<u32, DecodeError> {
        let position = self.position;
        let mut value: u32 = 0;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            let bits = u32::from(byte & 0x7f);
            if shift == 28 && bits > 0x0f {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::Length { position })
    }

    fn text(&mut self, length: usize) -> Result<&'a str, DecodeError> {
        let position = self.position;
        std::str::from_utf8(self.take(length)?).map_err(|_| DecodeError::NotUtf8 { position })
    }

    pub(crate) fn string(&mut self) -> Result<&'a str, DecodeError> {
        let position = self.position;
        self.nullable_string()?.ok_or(DecodeError::Length { position })
    }

    pub(crate) fn nullable_string(&mut self) -> Result<Option<&'a str>, DecodeError> {
        let position = self.position;
        match self.int16()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_| DecodeError::Length { position })?;
                self.text(length).map(Some)
            }
        }
    }

    /// Reads bytes; a null is read as empty, which is how Kafka's group records use them.
    pub(crate) fn byte_field(&mut self) -> Result<&'a [u8], DecodeError> {
        let position = self.position;
        match self.int32()? {
            -1 => Ok(&[]),
            length => {
                let length = usize::try_from(length).map_err(|_| DecodeError::Length { position })?;
                self.take(length)
            }
        }
    }

    pub(crate) fn compact_string(&mut self) -> Result<&'a str, DecodeError> {
        let position = self.position;
        self.compact_nullable_string()?
            .ok_or(DecodeError::Length { position })
    }

    pub(crate) fn compact_nullable_string(&mut self) -> Result<Option<&'a str>, DecodeError> {
        let position = self.position;
        match self.unsigned_varint()? as usize {
            0 => Ok(None),
            // Kafka has the same bound here, and what is read must fit into the plain strings that are written.
            length_plus_one if length_plus_one > STRING_BYTES_MAX + 1 => {
                Err(DecodeError::Length { position })
            }
            length_plus_one => self.text(length_plus_one - 1).map(Some),
        }
    }

    pub(crate) fn compact_byte_field(&mut self) -> Result<&'a [u8], DecodeError> {
        match self.unsigned_varint()? {
            0 => Ok(&[]),
            length_plus_one => self.take(length_plus_one as usize - 1),
        }
    }

    /// Reads the length of an array that may be null, `None` then. It says nothing of how many elements there are: read
    /// them one by one and reserve nothing.
    pub(crate) fn nullable_array_len(&mut self) -> Result<Option<u32>, DecodeError> {
        let position = self.position;
        match self.int32()? {
            -1 => Ok(None),
            length => u32::try_from(length)
                .map(Some)
                .map_err(|_| DecodeError::Length { position }),
        }
    }

    /// As [`Reader::nullable_array_len`], of a flexible version.
    pub(crate) fn compact_nullable_array_len(&mut self) -> Result<Option<u32>, DecodeError> {
        Ok(self.unsigned_varint()?.checked_sub(1))
    }

    /// Steps over the tagged fields at the end of a flexible struct.
    pub(crate) fn skip_tagged_fields(&mut self) -> Result<(), DecodeError> {
        // Each field takes at least two bytes, so the loop ends with the input whatever the count says.
        for _ in 0..self.unsigned_varint()? {
            let _tag = self.unsigned_varint()?;
            let size = self.unsigned_varint()?;
            self.take(size as usize)?;
        }
        Ok(())
    }
}

/// Writes fields one after the other. Lengths were checked where the values entered the coordinator.
pub(crate) struct Writer {
    buffer: BytesMut,
}

impl Writer {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self {
            buffer: BytesMut::with_capacity(capacity),
        }
    }

    pub(crate) fn int8(&mut self, value: i8) {
        self.buffer.put_i8(value);
    }

    pub(crate) fn int16(&mut self, value: i16) {
        self.buffer.put_i16(value);
    }

    pub(crate) fn int32(&mut self, value: i32) {
        self.buffer.put_i32(value);
    }

    pub(crate) fn int64(&mut self, value: i64) {
        self.buffer.put_i64(value);
    }

    pub(crate) fn string(&mut self, text: &str) {
        let length = i16::try_from(text.len()).expect("names are checked against STRING_BYTES_MAX on entry");
        self.buffer.put_i16(length);
        self.buffer.put_slice(text.as_bytes());
    }

    pub(crate) fn nullable_string(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.string(text),
            None => self.buffer.put_i16(-1),
        }
    }

    pub(crate) fn byte_field(&mut self, bytes: &[u8]) {
        let length = i32::try_from(bytes.len()).expect("a byte field is part of a record of bounded size");
        self.buffer.put_i32(length);
        self.buffer.put_slice(bytes);
    }

    pub(crate) fn unsigned_varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.buffer.put_u8((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.buffer.put_u8(value as u8);
    }

    /// Writes the length of an array that is not null, or of a string, of a flexible version.
    pub(crate) fn compact_len(&mut self, length: usize) {
        let length = u32::try_from(length).expect("an array or a string is part of a record of bounded size");
        self.unsigned_varint(length.saturating_add(1));
    }

    pub(crate) fn compact_string(&mut self, text: &str) {
        self.compact_len(text.len());
        self.buffer.put_slice(text.as_bytes());
    }

    pub(crate) fn finish(self) -> Bytes {
        self.buffer.freeze()
    }
}

#[cfg(test)]
#[path = "codec_test.rs"]
mod tests;
