//! Lanes: connections to source brokers, each with one fetch under way, and the bytes and the rate they may use.
//!
//! Partitions at the end wait in long polls on lanes of their own, so that those that catch up never hold them up.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use thalweg_client::{Connection, FetchOptions, FetchTarget};
use thalweg_types::{BrokerId, LeaderEpoch};

use super::work::{Asked, FetchWork};
use super::{Engine, MEMORY_BYTES};
use crate::partition::{Lane, WantedFetch};

/// Lanes of each kind for each source broker.
const LANES: u8 = 2;
/// Bytes asked for of one partition in one fetch.
const PARTITION_BYTES: usize = 8 << 20;
/// Bytes asked for in one fetch that catches up.
const FETCH_BYTES: usize = 50 << 20;
/// Bytes asked for in one fetch at the end.
const LIVE_BYTES: usize = 16 << 20;
/// Less than this is not worth a fetch.
const FETCH_BYTES_MIN: usize = 64 << 10;
/// Partitions in one fetch.
const TARGETS_MAX: usize = 2000;
/// How long the source may wait for records at the end.
const LONG_POLL: Duration = Duration::from_millis(500);

/// Which partitions a lane takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Live,
    CatchUp,
}

/// One lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LaneKey {
    pub(crate) broker: BrokerId,
    kind: Kind,
    number: u8,
}

#[derive(Default)]
struct LaneState {
    is_busy: bool,
    connection: Option<Connection>,
    /// Where the next fetch begins to take partitions, so that each has its turn.
    cursor: usize,
}

/// All lanes of a link.
pub(super) struct Lanes {
    lanes: BTreeMap<LaneKey, LaneState>,
    reserved: usize,
    rate: Option<u64>,
    /// With a rate: when the next fetch may begin.
    allowed_at: Option<Instant>,
}

impl Lanes {
    pub(super) fn new(rate: Option<u64>) -> Self {
        Self {
            lanes: BTreeMap::new(),
            reserved: 0,
            rate,
            allowed_at: None,
        }
    }

    pub(super) fn ended(
        &mut self,
        key: LaneKey,
        connection: Option<Connection>,
        reserved: usize,
        bytes: usize,
        now: Instant,
    ) {
        self.reserved = self.reserved.saturating_sub(reserved);
        let lane = self.lanes.entry(key).or_default();
        (lane.is_busy, lane.connection) = (false, connection);
        if let Some(rate) = self.rate {
            let cost = Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64);
            self.allowed_at = Some(self.allowed_at.unwrap_or(now).max(now) + cost);
        }
    }

    /// How long the rate holds fetches back.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        let wait = self.allowed_at?.saturating_duration_since(now);
        (!wait.is_zero()).then_some(wait)
    }

    /// With a rate, one fetch brings a second's worth at most, or waits would grow long and uneven.
    fn bytes_max(&self, kind: Kind) -> usize {
        let most = match kind {
            Kind::Live => LIVE_BYTES,
            Kind::CatchUp => FETCH_BYTES,
        };
        let second = self
            .rate
            .map_or(usize::MAX, |rate| usize::try_from(rate).unwrap_or(usize::MAX));
        most.min(second.max(FETCH_BYTES_MIN))
    }
}

impl Engine {
    pub(super) fn start_fetches(&mut self, now: Instant) {
        if self.lanes.wait(now).is_some() {
            return;
        }
        let mut brokers: Vec<BrokerId> = self
            .entries
            .iter()
            .filter_map(|entry| entry.source_leader)
            .collect();
        brokers.sort();
        brokers.dedup();
        let held: usize = self
            .entries
            .iter()
            .map(|entry| entry.partition.held_bytes())
            .sum();
        for broker in brokers {
            for kind in [Kind::Live, Kind::CatchUp] {
                for number in 0..LANES {
                    let key = LaneKey { broker, kind, number };
                    self.start_fetch(key, held, now);
                }
            }
        }
    }

    fn start_fetch(&mut self, key: LaneKey, held: usize, now: Instant) {
        let left = MEMORY_BYTES.saturating_sub(held + self.lanes.reserved);
        let bytes_max = self.lanes.bytes_max(key.kind).min(left);
        let lane = self.lanes.lanes.entry(key).or_default();
        if lane.is_busy || bytes_max < FETCH_BYTES_MIN {
            return;
        }
        let cursor = lane.cursor;
        let targets = self.targets(key, cursor, bytes_max, now);
        let Some(last) = targets.last().map(|(asked, _)| asked.index) else {
            return;
        };
        let lane = self.lanes.lanes.entry(key).or_default();
        lane.is_busy = true;
        lane.cursor = last + 1;
        self.lanes.reserved += bytes_max;
        let work = FetchWork {
            lane: key,
            cluster: self.ends.source.clone(),
            connection: lane.connection.take(),
            options: FetchOptions {
                wait_max: match key.kind {
                    Kind::Live => LONG_POLL,
                    Kind::CatchUp => Duration::ZERO,
                },
                size_bytes_min: 1,
                size_bytes_max: i32::try_from(bytes_max).unwrap_or(i32::MAX),
                isolation: self.link.rules.read.isolation(),
            },
            targets,
            reserved: bytes_max,
        };
        self.work.spawn(work.run());
    }

    fn targets(
        &mut self,
        key: LaneKey,
        cursor: usize,
        bytes_max: usize,
        now: Instant,
    ) -> Vec<(Asked, FetchTarget)> {
        let count = self.entries.len();
        let mut targets = Vec::new();
        // Enough partitions to fill the answer; the others have their turn in the next one.
        let targets_max = match key.kind {
            Kind::Live => TARGETS_MAX,
            Kind::CatchUp => 64,
        };
        for step in 0..count {
            let index = (cursor + step) % count;
            let Some(entry) = self.entries.get_mut(index) else {
                continue;
            };
            if entry.source_leader != Some(key.broker) {
                continue;
            }
            let Some(wanted) = entry.partition.fetch(now) else {
                continue;
            };
            let is_alone = wanted.lane == Lane::Alone;
            if !fits(key.kind, wanted) || (is_alone && !targets.is_empty()) {
                continue;
            }
            entry.partition.fetching();
            let asked = Asked {
                index,
                generation: wanted.generation,
            };
            let target = FetchTarget {
                partition: entry.source.clone(),
                topic_id: entry.source_id,
                offset: wanted.at,
                leader_epoch: LeaderEpoch::UNKNOWN,
                size_bytes_max: i32::try_from(PARTITION_BYTES.min(bytes_max)).unwrap_or(i32::MAX),
            };
            targets.push((asked, target));
            if is_alone || targets.len() >= targets_max {
                break;
            }
        }
        targets
    }
}

fn fits(kind: Kind, wanted: WantedFetch) -> bool {
    match wanted.lane {
        Lane::Live => kind == Kind::Live,
        Lane::CatchUp | Lane::Alone => kind == Kind::CatchUp,
    }
}
