//! Cutting a run of bytes into its batches.

use super::{BatchError, BatchHeader};

/// One batch inside a run of batches.
#[derive(Debug, Clone, Copy)]
pub struct BatchSlice<'a> {
    /// The decoded header.
    pub header: BatchHeader,
    /// The whole batch, header included.
    pub bytes: &'a [u8],
    /// Byte position of the batch in the run.
    pub position: usize,
}

/// Iterator over the batches of a byte run, made by [`split_batches`].
#[derive(Debug, Clone)]
pub struct BatchIter<'a> {
    run: &'a [u8],
    position: usize,
}

/// Cuts a run of batches (a produce field, a fetched field, a piece of a segment) into its batches.
///
/// Checks headers and lengths, not checksums. Ends after the first error: [`BatchError::Truncated`] for a
/// cut-off last batch, those of [`BatchHeader::parse`] otherwise. An empty run gives nothing.
#[must_use]
pub fn split_batches(records: &[u8]) -> BatchIter<'_> {
    BatchIter {
        run: records,
        position: 0,
    }
}

impl<'a> BatchIter<'a> {
    /// Returns the byte position up to which whole batches were found so far. After an error it is where the
    /// valid prefix ends.
    #[must_use]
    pub fn valid_len(&self) -> usize {
        self.position
    }

    fn read(&self, rest: &'a [u8]) -> Result<BatchSlice<'a>, BatchError> {
        let position = self.position;
        let cut_off = |needed| BatchError::Truncated {
            position,
            needed,
            have: rest.len(),
        };
        let header = BatchHeader::parse(rest).map_err(|error| match error {
            BatchError::TooShort { needed, .. } => cut_off(needed),
            other => other,
        })?;
        let total = header.total_len();
        let bytes = rest.get(..total).ok_or_else(|| cut_off(total))?;
        Ok(BatchSlice {
            header,
            bytes,
            position,
        })
    }
}

impl<'a> Iterator for BatchIter<'a> {
    type Item = Result<BatchSlice<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.run.get(self.position..).filter(|rest| !rest.is_empty())?;
        let item = self.read(rest);
        match &item {
            Ok(slice) => self.position += slice.bytes.len(),
            // Nothing after a bad length can be trusted: cut the run here, so that the iterator ends.
            Err(_) => self.run = self.run.get(..self.position).unwrap_or_default(),
        }
        Some(item)
    }
}

impl std::iter::FusedIterator for BatchIter<'_> {}
