//! How old the next record of a consumer is: lag in seconds, read from the log itself.
//!
//! The time of an offset never changes, so it is remembered from scrape to scrape as long as somebody is at that
//! offset, up to `metrics.topic.series.max` of them. What is in memory is looked up at once; reads from disk have a
//! bound in each scrape, and what found no room has no series until a later one.

use std::collections::HashMap;

use parking_lot::Mutex;
use thalweg_storage::log::{MinOne, PartitionLog, ReadLimit, ReadRequest};
use thalweg_types::{Offset, TimestampMs, TopicPartitionId};
use thalweg_wire::batch::{BatchHeader, TimestampType};

/// Reads from disk in one scrape, each of at least 64 KiB.
const DISK_READS_MAX: usize = 200;

type Known = HashMap<(TopicPartitionId, Offset), TimestampMs>;

/// Times of offsets that consumers are at.
#[derive(Debug, Default)]
pub(super) struct OffsetTimes {
    known: Mutex<Known>,
}

/// The look-ups of one scrape.
#[derive(Debug)]
pub(super) struct Lookup<'a> {
    times: &'a OffsetTimes,
    before: Known,
    now: Known,
    remembered_max: usize,
    disk_reads_left: usize,
}

impl OffsetTimes {
    /// Starts a scrape; what it does not ask for is forgotten at its end, and what is more than `remembered_max`.
    pub(super) fn lookup(&self, remembered_max: usize) -> Lookup<'_> {
        Lookup {
            times: self,
            before: std::mem::take(&mut *self.known.lock()),
            now: Known::new(),
            remembered_max,
            disk_reads_left: DISK_READS_MAX,
        }
    }
}

impl Drop for Lookup<'_> {
    fn drop(&mut self) {
        *self.times.known.lock() = std::mem::take(&mut self.now);
    }
}

impl Lookup<'_> {
    /// Returns the time of the batch that holds the first record at or after `offset`; `None` if there is none,
    /// it has no time, or the disk was read often enough. Blocks on the disk.
    pub(super) fn time_at(&mut self, log: &PartitionLog, offset: Offset) -> Option<TimestampMs> {
        // Records that retention took are no longer waited for: the first one that is left counts.
        let offset = offset.max(log.offsets().log_start_offset);
        let key = (log.id(), offset);
        let time = match self.before.get(&key).or_else(|| self.now.get(&key)) {
            Some(time) => *time,
            None => self.read(log, offset)?,
        };
        if self.now.len() < self.remembered_max {
            self.now.insert(key, time);
        }
        (time > TimestampMs::NONE).then_some(time)
    }

    fn read(&mut self, log: &PartitionLog, offset: Offset) -> Option<TimestampMs> {
        let request = ReadRequest {
            offset,
            max_bytes: 1,
            limit: ReadLimit::HighWatermark,
            min_one: MinOne::Yes,
        };
        // A failed read was noted by the log, and `/readyz` says so.
        let result = match log.read_memory(request).ok()? {
            Some(result) => result,
            None => {
                self.disk_reads_left = self.disk_reads_left.checked_sub(1)?;
                log.read(request).ok()?
            }
        };
        let header = BatchHeader::parse(result.batches.first()?).ok()?;
        let is_first_time =
            header.timestamp_type() == TimestampType::CreateTime && !header.has_delete_horizon();
        Some(if is_first_time {
            header.base_timestamp
        } else {
            header.max_timestamp
        })
    }
}
