//! The encoding of typed records: a format byte, then fields in a fixed order, big-endian, lengths before bytes.
//!
//! A record's format rises when a field is added; a reader knows all formats up to its own and refuses later
//! ones by name. Nothing is reserved by a claimed length or count, and bytes left over are an error.

use std::collections::BTreeMap;

use crate::error::RecordError;

/// Writes one record.
#[derive(Debug)]
pub(crate) struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    /// Begins a record with its format.
    pub(crate) fn new(format: u8) -> Self {
        Self { bytes: vec![format] }
    }

    pub(crate) fn u8(mut self, value: u8) -> Self {
        self.bytes.push(value);
        self
    }

    pub(crate) fn u32(mut self, value: u32) -> Self {
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn i32(mut self, value: i32) -> Self {
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn i64(mut self, value: i64) -> Self {
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// Writes bytes whose number the format fixes.
    pub(crate) fn raw(mut self, value: &[u8]) -> Self {
        self.bytes.extend_from_slice(value);
        self
    }

    /// Writes a length and a text. (Values are limited to 16 MiB, so a length always fits.)
    pub(crate) fn text(self, value: &str) -> Self {
        self.u32(u32::try_from(value.len()).unwrap_or(u32::MAX))
            .raw(value.as_bytes())
    }

    /// Writes a presence byte and, if there is one, a text.
    pub(crate) fn optional_text(self, value: Option<&str>) -> Self {
        match value {
            None => self.u8(0),
            Some(value) => self.u8(1).text(value),
        }
    }

    /// Writes a count and that many pairs.
    pub(crate) fn text_map(self, map: &BTreeMap<String, String>) -> Self {
        let counted = self.u32(u32::try_from(map.len()).unwrap_or(u32::MAX));
        map.iter()
            .fold(counted, |encoder, (key, value)| encoder.text(key).text(value))
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Reads one record.
#[derive(Debug)]
pub(crate) struct Decoder<'a> {
    record: &'static str,
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    /// Begins a record of a kind; refuses formats later than `supported`.
    pub(crate) fn new(record: &'static str, bytes: &'a [u8], supported: u8) -> Result<Self, RecordError> {
        match bytes.split_first() {
            None => Err(RecordError::Malformed {
                record,
                detail: "it is empty",
            }),
            Some((0, _)) => Err(RecordError::Malformed {
                record,
                detail: "format 0 does not exist",
            }),
            Some((&found, _)) if found > supported => Err(RecordError::NewerFormat {
                record,
                found,
                supported,
            }),
            Some((_, rest)) => Ok(Self { record, rest }),
        }
    }

    /// Returns an error about this record.
    pub(crate) fn malformed(&self, detail: &'static str) -> RecordError {
        RecordError::Malformed {
            record: self.record,
            detail,
        }
    }

    /// Reads bytes whose number the format fixes.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let (chunk, rest) = self
            .rest
            .split_first_chunk()
            .ok_or_else(|| self.malformed("it ends too early"))?;
        self.rest = rest;
        Ok(*chunk)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, RecordError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, RecordError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn i32(&mut self) -> Result<i32, RecordError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(crate) fn i64(&mut self) -> Result<i64, RecordError> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub(crate) fn text(&mut self) -> Result<String, RecordError> {
        let size = self.u32()? as usize;
        let (bytes, rest) = self
            .rest
            .split_at_checked(size)
            .ok_or_else(|| self.malformed("a text ends too early"))?;
        self.rest = rest;
        let text = std::str::from_utf8(bytes).map_err(|_| self.malformed("a text is not UTF-8"))?;
        Ok(text.to_owned())
    }

    pub(crate) fn optional_text(&mut self) -> Result<Option<String>, RecordError> {
        match self.u8()? {
            0 => Ok(None),
            1 => Ok(Some(self.text()?)),
            _ => Err(self.malformed("a presence byte is neither 0 nor 1")),
        }
    }

    pub(crate) fn text_map(&mut self) -> Result<BTreeMap<String, String>, RecordError> {
        let count = self.u32()?;
        let mut map = BTreeMap::new();
        // Each turn consumes bytes or fails, so a false count cannot run away.
        for _ in 0..count {
            let key = self.text()?;
            let value = self.text()?;
            if map.insert(key, value).is_some() {
                return Err(self.malformed("a key appears twice"));
            }
        }
        Ok(map)
    }

    /// Ends the record; nothing may be left.
    pub(crate) fn finish(self) -> Result<(), RecordError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.malformed("bytes are left over"))
        }
    }
}

#[cfg(test)]
#[path = "codec_test.rs"]
mod tests;
