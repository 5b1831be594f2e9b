//! How fast partitions are copied, how many bytes are missing, and when nothing will be. Pure: time comes in.
//!
//! Owns rates and estimates; what is missing in offsets is [`crate::partition`]'s. Bytes of lag are an estimate: offsets
//! times the average size of an offset in the source's log, which its size on disk gives, or else what was copied so far.
//! It is exact when records are alike, and at the beginning of a copy, when everything is missing.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use thalweg_client::TopicPartition;
use thalweg_types::PartitionIndex;

use crate::status::PartitionStatus;

/// Shortest time over which a rate is measured.
const SAMPLE_MIN: Duration = Duration::from_millis(500);
/// A change of the rate is seen by 63 % after this time.
const SMOOTHING: Duration = Duration::from_secs(5);
/// Below this many offsets per second a lag does not shrink: the rest of a smoothed rate that ended.
const CLOSING_MIN: f64 = 0.01;

/// What was seen of one partition.
#[derive(Clone, Copy, Debug)]
struct Track {
    at: Instant,
    bytes: u64,
    end: i64,
    lag: i64,
    bytes_per_second: f64,
    offsets_per_second: f64,
    closing_per_second: f64,
    /// Bytes and offsets copied while this process watched, for the average size of an offset.
    copied: (u64, i64),
    /// Milliseconds between the newest record's timestamp and its append.
    latency_ms: Option<i64>,
    batches: u64,
}

/// Rates of a link's partitions.
#[derive(Debug, Default)]
pub struct Progress {
    tracks: HashMap<String, HashMap<i32, Track>>,
    sizes: HashMap<TopicPartition, u64>,
}

impl Progress {
    /// Takes new sizes of the source's logs; none leaves those that are known.
    pub fn learn(&mut self, sizes: HashMap<TopicPartition, u64>) {
        if !sizes.is_empty() {
            self.sizes = sizes;
        }
    }

    /// Fills in what a snapshot says of rates, bytes and time. `wall_ms` is the time since 1970.
    pub fn apply(&mut self, partitions: &mut [PartitionStatus], now: Instant, wall_ms: i64) {
        for partition in partitions {
            let (Some(end), Some(lag)) = (partition.mirror_end, partition.lag_offsets) else {
                continue;
            };
            if !self.tracks.contains_key(&partition.topic) {
                self.tracks.insert(partition.topic.clone(), HashMap::new());
            }
            let Some(tracks) = self.tracks.get_mut(&partition.topic) else {
                continue;
            };
            let track = tracks
                .entry(partition.partition)
                .or_insert_with(|| Track::new(partition, end, lag, now));
            track.measure(partition, end, lag, now, wall_ms);
            partition.bytes_per_second = track.bytes_per_second;
            partition.offsets_per_second = track.offsets_per_second;
            partition.latency_ms = track.latency_ms;
            partition.eta_seconds = match lag {
                0 => Some(0.0),
                lag if track.closing_per_second > CLOSING_MIN => Some(lag as f64 / track.closing_per_second),
                _ => None,
            };
            let size = match self.sizes.is_empty() {
                true => None,
                false => {
                    let at =
                        TopicPartition::new(partition.topic.clone(), PartitionIndex(partition.partition));
                    self.sizes.get(&at).copied()
                }
            };
            partition.lag_bytes = lag_bytes(partition, lag, size, track.copied);
        }
    }
}

/// Offsets that are missing times the average size of one.
fn lag_bytes(
    partition: &PartitionStatus,
    lag: i64,
    size: Option<u64>,
    (bytes, offsets): (u64, i64),
) -> Option<u64> {
    if lag == 0 {
        return Some(0);
    }
    let kept = partition.source_end?.saturating_sub(partition.source_start?);
    let estimate = |bytes: u64, offsets: i64| (bytes as f64 / offsets as f64 * lag as f64) as u64;
    match size {
        Some(size) if size > 0 && kept > 0 => Some(estimate(size, kept)),
        _ if bytes > 0 && offsets > 0 => Some(estimate(bytes, offsets)),
        _ => None,
    }
}

impl Track {
    fn new(partition: &PartitionStatus, end: i64, lag: i64, now: Instant) -> Self {
        Self {
            at: now,
            bytes: partition.appended_bytes,
            end,
            lag,
            bytes_per_second: 0.0,
            offsets_per_second: 0.0,
            closing_per_second: 0.0,
            copied: (0, 0),
            latency_ms: None,
            batches: partition.appended_batches,
        }
    }

    fn measure(&mut self, partition: &PartitionStatus, end: i64, lag: i64, now: Instant, wall_ms: i64) {
        if partition.appended_batches > self.batches {
            self.batches = partition.appended_batches;
            let newest = partition.newest_ms.filter(|newest| *newest >= 0);
            self.latency_ms = newest.map(|newest| wall_ms.saturating_sub(newest).max(0));
        }
        let passed = now.saturating_duration_since(self.at);
        if passed < SAMPLE_MIN {
            return;
        }
        // A mirror that was cut back, or another topic of the name: counting begins anew.
        if end < self.end || partition.appended_bytes < self.bytes {
            *self = Self::new(partition, end, lag, now);
            return;
        }
        let (bytes, offsets) = (partition.appended_bytes - self.bytes, end - self.end);
        let seconds = passed.as_secs_f64();
        let weight = 1.0 - (-seconds / SMOOTHING.as_secs_f64()).exp();
        let smooth = |rate: &mut f64, amount: f64| *rate += weight * (amount / seconds - *rate);
        smooth(&mut self.bytes_per_second, bytes as f64);
        smooth(&mut self.offsets_per_second, offsets as f64);
        smooth(&mut self.closing_per_second, self.lag.saturating_sub(lag) as f64);
        self.copied.0 = self.copied.0.saturating_add(bytes);
        self.copied.1 = self.copied.1.saturating_add(offsets);
        (self.at, self.bytes, self.end, self.lag) = (now, partition.appended_bytes, end, lag);
    }
}

#[cfg(test)]
#[path = "progress_test.rs"]
mod tests;
