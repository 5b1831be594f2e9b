//! Writing Kafka's primitive types in plain or flexible encoding, for the responses that this crate lays out itself.
//!
//! Owns lengths, counts and tagged fields. Invariant: what it writes, [`crate::cursor`] reads.

use bytes::{BufMut, BytesMut};

use crate::schema::Encoding;

/// Appends values to a buffer in one encoding.
pub(crate) struct Writer {
    pub bytes: BytesMut,
    encoding: Encoding,
}

impl Writer {
    pub(crate) fn new(encoding: Encoding, capacity: usize) -> Self {
        Self {
            bytes: BytesMut::with_capacity(capacity),
            encoding,
        }
    }

    pub(crate) fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            // The low seven bits, and a mark that more follow.
            self.bytes.put_u8((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.put_u8(value as u8);
    }

    /// Writes the count of an array or the length of a bytes value; `None` is null.
    ///
    /// # Errors
    /// The reason, above 2³¹ − 1.
    pub(crate) fn count(&mut self, count: Option<usize>) -> Result<(), String> {
        let Some(count) = count else {
            match self.encoding {
                Encoding::Plain => self.bytes.put_i32(-1),
                Encoding::Flexible => self.bytes.put_u8(0),
            }
            return Ok(());
        };
        let number = i32::try_from(count).map_err(|_| format!("{count} elements or bytes"))?;
        match self.encoding {
            Encoding::Plain => self.bytes.put_i32(number),
            Encoding::Flexible => self.varint(number.unsigned_abs() + 1),
        }
        Ok(())
    }

    /// Writes a string; `None` is null.
    ///
    /// # Errors
    /// The reason, above 32,767 bytes: Kafka's limit in both encodings.
    pub(crate) fn string(&mut self, text: Option<&str>) -> Result<(), String> {
        let Some(text) = text else {
            match self.encoding {
                Encoding::Plain => self.bytes.put_i16(-1),
                Encoding::Flexible => self.bytes.put_u8(0),
            }
            return Ok(());
        };
        let len = i16::try_from(text.len()).map_err(|_| format!("a string of {} bytes", text.len()))?;
        match self.encoding {
            Encoding::Plain => self.bytes.put_i16(len),
            Encoding::Flexible => self.varint(u32::from(len.unsigned_abs()) + 1),
        }
        self.bytes.put_slice(text.as_bytes());
        Ok(())
    }

    /// Ends a structure that has no tagged fields.
    pub(crate) fn no_tags(&mut self) {
        self.tags(&[]);
    }

    /// Ends a structure with these tagged fields, whose tags must rise. Plain encoding has none and drops them.
    pub(crate) fn tags(&mut self, tags: &[(u32, BytesMut)]) {
        if self.encoding == Encoding::Plain {
            return;
        }
        // Callers pass a handful of tags and values far below 4 GiB.
        self.varint(u32::try_from(tags.len()).unwrap_or(u32::MAX));
        for (tag, value) in tags {
            self.varint(*tag);
            self.varint(u32::try_from(value.len()).unwrap_or(u32::MAX));
            self.bytes.put_slice(value);
        }
    }
}
