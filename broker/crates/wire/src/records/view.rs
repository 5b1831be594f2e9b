//! Records as they lie in the decompressed bytes, without copies.

use thalweg_types::{Offset, TimestampMs};

use super::varint;
use crate::batch::{BatchError, BatchHeader, TimestampType};

/// One record, borrowed from the decompressed records of its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordView<'a> {
    /// Unused by Kafka; kept.
    pub attributes: i8,
    /// Milliseconds after the batch's base timestamp; may be negative.
    pub timestamp_delta: i64,
    /// Offset minus the batch's base offset.
    pub offset_delta: i32,
    /// The key, `None` for null.
    pub key: Option<&'a [u8]>,
    /// The value, `None` for null (a tombstone on compacted topics).
    pub value: Option<&'a [u8]>,
    /// Number of headers.
    pub header_count: u32,
    headers: &'a [u8],
}

impl<'a> RecordView<'a> {
    /// Returns the headers in order; keys may repeat.
    #[must_use]
    pub fn headers(&self) -> HeadersIter<'a> {
        HeadersIter {
            rest: self.headers,
            left: self.header_count,
        }
    }

    /// Returns the headers as they lie in the batch, for copying.
    pub(super) fn header_bytes(&self) -> &'a [u8] {
        self.headers
    }

    /// Returns the record's offset. Saturates; a checked header and a checked delta cannot reach the end.
    #[must_use]
    pub fn offset(&self, header: &BatchHeader) -> Offset {
        Offset(
            header
                .base_offset
                .get()
                .saturating_add(i64::from(self.offset_delta)),
        )
    }

    /// Returns the record's timestamp: the batch's, for log append time. Saturates.
    #[must_use]
    pub fn timestamp(&self, header: &BatchHeader) -> TimestampMs {
        match header.timestamp_type() {
            TimestampType::LogAppendTime => header.max_timestamp,
            TimestampType::CreateTime => {
                TimestampMs(header.base_timestamp.get().saturating_add(self.timestamp_delta))
            }
        }
    }

    /// Parses one record off the front of `input`.
    fn take(input: &mut &'a [u8]) -> Result<Self, &'static str> {
        let length = varint::take_i32(input).ok_or("malformed length")?;
        let length = usize::try_from(length).map_err(|_| "negative length")?;
        let (mut body, rest) = input.split_at_checked(length).ok_or("longer than the batch")?;
        *input = rest;
        let record = Self::parse_body(&mut body)?;
        if body.is_empty() {
            Ok(record)
        } else {
            Err("bytes after the last header")
        }
    }

    fn parse_body(body: &mut &'a [u8]) -> Result<Self, &'static str> {
        let (&attributes, rest) = body.split_first().ok_or("no attributes")?;
        *body = rest;
        let timestamp_delta = varint::take_i64(body).ok_or("malformed timestamp delta")?;
        let offset_delta = varint::take_i32(body).ok_or("malformed offset delta")?;
        let key = take_nullable(body).ok_or("malformed key or key length")?;
        let value = take_nullable(body).ok_or("malformed value or value length")?;
        let header_count = varint::take_i32(body).ok_or("malformed header count")?;
        let header_count = u32::try_from(header_count).map_err(|_| "negative header count")?;
        let headers = *body;
        for _ in 0..header_count {
            // Every header takes at least two bytes, so a wrong count ends this loop with the record.
            take_header(body).ok_or("malformed header")?;
        }
        let headers = headers.get(..headers.len() - body.len()).unwrap_or_default();
        let attributes = i8::from_be_bytes([attributes]);
        Ok(Self {
            attributes,
            timestamp_delta,
            offset_delta,
            key,
            value,
            header_count,
            headers,
        })
    }
}

fn take_nullable<'a>(input: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let length = varint::take_i32(input)?;
    if length == -1 {
        return Some(None);
    }
    let (piece, rest) = input.split_at_checked(usize::try_from(length).ok()?)?;
    *input = rest;
    Some(Some(piece))
}

fn take_header<'a>(input: &mut &'a [u8]) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    let key = take_nullable(input)??;
    Some((key, take_nullable(input)?))
}

/// Iterator over the headers of a record: key and value, `None` for a null value.
#[derive(Debug, Clone)]
pub struct HeadersIter<'a> {
    rest: &'a [u8],
    left: u32,
}

impl<'a> Iterator for HeadersIter<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        // The bytes were parsed once when the record was made, so this ends with the count.
        take_header(&mut self.rest)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.left as usize;
        (left, Some(left))
    }
}

impl ExactSizeIterator for HeadersIter<'_> {}

/// Iterator over the records of one batch. Ends after the first error.
///
/// Yields exactly the claimed number of records: fewer, and bytes after the last one, are errors.
#[derive(Debug, Clone)]
pub struct RecordIter<'a> {
    rest: &'a [u8],
    index: u32,
    count: u32,
    ended: bool,
}

impl<'a> RecordIter<'a> {
    /// Starts at the first of `count` records in `payload`, which must be decompressed.
    #[must_use]
    pub fn new(payload: &'a [u8], count: u32) -> Self {
        Self {
            rest: payload,
            index: 0,
            count,
            ended: false,
        }
    }

    fn fail(&mut self, what: &'static str) -> Option<Result<RecordView<'a>, BatchError>> {
        self.ended = true;
        Some(Err(BatchError::BadRecord {
            index: self.index,
            what,
        }))
    }
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<RecordView<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        if self.index == self.count {
            if !self.rest.is_empty() {
                return self.fail("bytes after the last record");
            }
            self.ended = true;
            return None;
        }
        if self.rest.is_empty() {
            return self.fail("missing: the batch has fewer records than its header says");
        }
        match RecordView::take(&mut self.rest) {
            Ok(record) => {
                self.index += 1;
                Some(Ok(record))
            }
            Err(what) => self.fail(what),
        }
    }
}

impl std::iter::FusedIterator for RecordIter<'_> {}

#[cfg(test)]
#[path = "view_test.rs"]
mod tests;
