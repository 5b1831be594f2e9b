//! Transactions worked out from the records themselves, where no note of them will do: what was open at an offset
//! that a truncation cuts to, and what a damaged `.txnindex` held.
//!
//! A scan begins at an offset below which nothing that matters began ([`Segment::settled`]) and therefore needs no
//! state to start from: a transaction that had begun before shows up with a later first offset, and its marker takes
//! it away before it counts. Blocks on the disk. Every batch is read whole and checked: the bit that tells a marker
//! lies under the checksum, and a marker that is passed over would let the next one end the transaction.

use super::PartitionLog;
use super::place::Walk;
use super::read::Lost;
use super::tail::TailRun;
use super::transactions::{OpenTransaction, Transactions};
use crate::disk::{DiskFile, OpenMode};
use crate::recovery::{Scan, check_crc_at, check_place, scan_batches};
use crate::segment::names::{FileKind, segment_file};
use crate::segment::transaction_index::{self, AbortedTransaction};
use crate::segment::{IndexStamp, Segment};
use std::io;
use thalweg_types::Offset;
use thalweg_wire::batch::{BatchHeader, split_batches};
use thalweg_wire::records::EndTransactionMarker;

/// Bytes of a control batch at most; a marker has 78.
const MARKER_BYTES_MAX: usize = 4096;

impl PartitionLog {
    /// Returns the transactions that are open at `offset`, by first offset. The caller holds the segment files.
    ///
    /// # Errors
    /// The disk's, with the file; `InvalidData` for damage.
    pub(super) fn open_transactions_at(&self, offset: Offset) -> io::Result<Vec<OpenTransaction>> {
        let (segments, runs) = {
            let state = self.state.lock();
            let in_segments = state
                .segments
                .last()
                .map_or(Offset::ZERO, |last| last.next_offset);
            let runs = state.tail.runs_from(in_segments).cloned();
            (state.segments.clone(), runs.collect::<Vec<_>>())
        };
        let of_run = runs.iter().rev().find(|run| run.run.base_offset <= offset);
        let of_segment = segments
            .iter()
            .rev()
            .find(|segment| segment.base_offset <= offset);
        let from = match (of_run, of_segment) {
            (Some(run), _) => run.settled,
            (None, Some(segment)) => segment.settled,
            (None, None) => Offset::ZERO,
        };
        let mut scan = TransactionScan::new(from, offset);
        for segment in &segments {
            self.scan_segment(&mut scan, segment)?;
        }
        for run in &runs {
            self.scan_run(&mut scan, run)?;
        }
        Ok(scan.found.durable(offset).open)
    }

    /// Returns the transactions whose abort lies in a segment below `end`. The caller holds the segment files.
    ///
    /// # Errors
    /// The disk's, with the file; `InvalidData` for damage.
    pub(super) fn aborted_by_segment(
        &self,
        segment: &Segment,
        end: Offset,
    ) -> io::Result<Vec<AbortedTransaction>> {
        let segments = self.state.lock().segments.clone();
        let mut scan = TransactionScan::new(segment.settled, segment.next_offset.min(end));
        for one in segments
            .iter()
            .filter(|one| one.base_offset <= segment.base_offset)
        {
            self.scan_segment(&mut scan, one)?;
        }
        Ok(scan.found.unindexed(segment.base_offset, scan.end))
    }

    /// Writes a segment's transaction index again if the file does not hold what its stamp says; returns the stamp
    /// then in force. The caller holds the segment files.
    ///
    /// # Errors
    /// The disk's, with the file; `InvalidData` for damage.
    pub(super) fn rebuilt_transaction_index(&self, segment: &Segment) -> io::Result<IndexStamp> {
        if segment.transaction_index.len == 0 {
            return Ok(segment.transaction_index);
        }
        let path = segment_file(&self.directory(), segment.base_offset, FileKind::TransactionIndex);
        let disk = &*self.shared.disk;
        let found = match disk.open(&path, OpenMode::Read) {
            Ok(file) => transaction_index::read(&*file, segment.transaction_index)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if found.is_some() {
            return Ok(segment.transaction_index);
        }
        let entries = self.aborted_by_segment(segment, segment.next_offset)?;
        let bytes: Vec<u8> = entries.iter().flat_map(transaction_index::encode).collect();
        crate::recovery::replace_index(disk, &path, &bytes)?;
        disk.sync_dir(&self.directory())?;
        Ok(IndexStamp::default().extended(&bytes))
    }

    fn scan_segment(&self, scan: &mut TransactionScan, segment: &Segment) -> io::Result<()> {
        if segment.next_offset <= scan.from || segment.base_offset >= scan.end || segment.size == 0 {
            return Ok(());
        }
        let path = segment_file(&self.directory(), segment.base_offset, FileKind::Log);
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let file = self.shared.disk.open(&path, OpenMode::Read).map_err(named)?;
        let mut failure = None;
        let mut walk = Walk::over(
            segment.base_offset,
            Offset(segment.next_offset.0.saturating_sub(1)),
        );
        let scanned = scan_batches(&*file, segment.size, |position, header| {
            // No checksum covers the base offset: a wrong one would end the scan, or skip what counts.
            let sound = check_crc_at(&*file, position, header).and_then(|()| {
                check_place(&*file, segment.size, &walk, (position, header)).map_err(|what| invalid(&what))
            });
            if let Err(error) = sound {
                failure = Some(error);
                return Scan::Stop;
            }
            walk.pass(header);
            // A log start inside a batch is a place to cut, too: then the whole batch goes.
            if header.last_offset() >= scan.end {
                return Scan::Stop;
            }
            match marker_at(&*file, position, header) {
                Ok(marker) => scan.note(header, marker),
                Err(error) => {
                    failure = Some(error);
                    return Scan::Stop;
                }
            }
            Scan::Continue
        });
        scanned.map_err(named)?;
        failure.map_or(Ok(()), |error| Err(named(error)))
    }

    fn scan_run(&self, scan: &mut TransactionScan, run: &TailRun) -> io::Result<()> {
        if run.run.last_offset < scan.from || run.run.base_offset >= scan.end {
            return Ok(());
        }
        let parts = match &run.parts {
            Some(parts) => parts.to_vec(),
            None => vec![self.wal_bytes(run).map_err(|lost| match lost {
                Lost::Race => io::Error::from(io::ErrorKind::NotFound),
                Lost::Error(error) => io::Error::other(error.to_string()),
            })?],
        };
        for part in &parts {
            for batch in split_batches(part) {
                let batch = batch.map_err(|error| invalid(&error))?;
                if batch.header.last_offset() >= scan.end {
                    return Ok(());
                }
                let marker = EndTransactionMarker::of_batch(batch.bytes);
                scan.note(&batch.header, marker);
            }
        }
        Ok(())
    }
}

struct TransactionScan {
    from: Offset,
    end: Offset,
    found: Transactions,
}

impl TransactionScan {
    fn new(from: Offset, end: Offset) -> Self {
        Self {
            from,
            end,
            found: Transactions::default(),
        }
    }

    fn note(&mut self, header: &BatchHeader, marker: Option<EndTransactionMarker>) {
        if header.last_offset() < self.from {
            return;
        }
        self.found.note(header, header.base_offset, marker);
        if marker.is_some() {
            // What has ended needs no memory any more.
            self.found.advance(header.next_offset());
        }
    }
}

fn invalid(error: &dyn std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

/// Reads the marker of the sound batch at a position; `None` for other batches.
fn marker_at(
    file: &dyn DiskFile,
    position: u64,
    header: &BatchHeader,
) -> io::Result<Option<EndTransactionMarker>> {
    if !header.is_control() || header.total_len() > MARKER_BYTES_MAX {
        return Ok(None);
    }
    let mut batch = vec![0; header.total_len()];
    file.read_exact_at(&mut batch, position)?;
    Ok(EndTransactionMarker::of_batch(&batch))
}
