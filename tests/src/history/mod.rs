//! What clients were told, and the judgement whether the broker kept its word.
//!
//! Clients write down what they send, what is acknowledged, what they read, what they commit and where logs start.
//! [`History::check`] compares that with a reading of everything. Owns the rules; knows no client and no broker.
//!
//! The rules: an acknowledged record is at its offset for ever, or below a log start that somebody asked for; what was
//! read once never changes; an idempotent producer's record is there once and in order; each record was sent by
//! somebody to this partition of this topic; offsets have no gaps; log starts and committed offsets never go back.

mod check;
mod stamp;
mod violation;

use std::collections::{BTreeMap, BTreeSet};

pub use check::Reading;
pub use stamp::{Damage, Stamp};
pub use violation::Violation;

/// What a producer may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// An idempotent producer: each record once, in the order of sending.
    Once,
    /// acks=all, one request at a time: each record at least once, first ones in the order of sending.
    AtLeastOnce,
}

/// One partition of one topic.
#[derive(Debug, Default, Clone)]
struct Partition {
    /// By offset, what was acknowledged or read there.
    known: BTreeMap<i64, Known>,
    /// Acknowledged without an offset (a repetition that the broker recognised too late to know the place).
    somewhere: BTreeSet<Stamp>,
    /// The highest log start that was promised or seen.
    log_start: i64,
    /// The highest log start that anybody asked for.
    log_start_asked: i64,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    stamp: Stamp,
    how: How,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Acknowledged,
    Read,
}

#[derive(Debug, Clone)]
struct Producer {
    promise: Promise,
    sent: u64,
    acknowledged: u64,
}

/// The book of one run.
#[derive(Debug, Default, Clone)]
pub struct History {
    partitions: BTreeMap<(u32, i32), Partition>,
    producers: BTreeMap<u32, Producer>,
    /// By group, topic and partition: the highest offset whose commit was confirmed.
    commits: BTreeMap<(String, u32, i32), i64>,
    acknowledged: u64,
    confirmed_commits: u64,
    reads: u64,
    violations: Vec<Violation>,
}

impl History {
    /// Takes in a producer and returns its number.
    pub fn add_producer(&mut self, promise: Promise) -> u32 {
        let number = u32::try_from(self.producers.len()).unwrap_or(u32::MAX);
        let producer = Producer {
            promise,
            sent: 0,
            acknowledged: 0,
        };
        self.producers.insert(number, producer);
        number
    }

    /// A record is about to be handed to the client.
    pub fn sent(&mut self, stamp: Stamp) {
        if let Some(producer) = self.producers.get_mut(&stamp.producer) {
            producer.sent = producer.sent.max(stamp.number + 1);
        }
    }

    /// The newest record of a producer was not handed to the client after all; its number is free again.
    pub fn unsent(&mut self, stamp: Stamp) {
        if let Some(producer) = self.producers.get_mut(&stamp.producer) {
            producer.sent = producer.sent.min(stamp.number);
        }
    }

    /// The broker acknowledged a record; without an offset if the answer named none.
    pub fn acknowledged(&mut self, stamp: Stamp, offset: Option<i64>) {
        self.acknowledged += 1;
        if let Some(producer) = self.producers.get_mut(&stamp.producer) {
            producer.acknowledged += 1;
        }
        match offset {
            Some(offset) => self.know(stamp, offset, How::Acknowledged),
            None => {
                let partition = self.partitions.entry((stamp.topic, stamp.partition)).or_default();
                partition.somewhere.insert(stamp);
            }
        }
    }

    /// The client gave a record up although it had time enough, or the broker refused it for good.
    pub fn failed(&mut self, stamp: Stamp, why: &str) {
        self.violations.push(Violation::Refused {
            stamp,
            why: why.to_owned(),
        });
    }

    /// A consumer of a topic read a record.
    pub fn read(&mut self, topic: u32, partition: i32, offset: i64, value: &[u8]) {
        self.reads += 1;
        match self.identify((topic, partition), offset, value) {
            Ok(stamp) => self.know(stamp, offset, How::Read),
            Err(violation) => self.violations.push(violation),
        }
    }

    /// A deletion of records below `offset` is about to be asked for.
    pub fn log_start_asked(&mut self, topic: u32, partition: i32, offset: i64) {
        let partition = self.partitions.entry((topic, partition)).or_default();
        partition.log_start_asked = partition.log_start_asked.max(offset);
    }

    /// The broker said that the log starts at `offset`.
    pub fn log_start(&mut self, topic: u32, partition: i32, offset: i64) {
        let key = (topic, partition);
        let book = self.partitions.entry(key).or_default();
        if offset < book.log_start {
            self.violations.push(Violation::LogStartWentBack {
                place: key,
                was: book.log_start,
                found: offset,
            });
        }
        if offset > book.log_start_asked {
            self.violations.push(Violation::LogStartUnasked {
                place: key,
                asked: book.log_start_asked,
                found: offset,
            });
        }
        book.log_start = book.log_start.max(offset);
    }

    /// The broker confirmed a commit.
    pub fn committed(&mut self, group: &str, topic: u32, partition: i32, offset: i64) {
        self.confirmed_commits += 1;
        let highest = self
            .commits
            .entry((group.to_owned(), topic, partition))
            .or_default();
        *highest = offset.max(*highest);
    }

    /// The highest confirmed commits now: what a question asked from here on must find at least.
    pub fn commits(&self) -> BTreeMap<(String, u32, i32), i64> {
        self.commits.clone()
    }

    /// The broker said what is committed; `at_least` comes from [`History::commits`] before the question.
    pub fn found_committed(&mut self, key: &(String, u32, i32), at_least: i64, found: Option<i64>) {
        if found.is_none_or(|found| found < at_least) {
            self.violations.push(Violation::CommitWentBack {
                group: key.0.clone(),
                place: (key.1, key.2),
                confirmed: at_least,
                found,
            });
        }
    }

    /// Something else that must not be.
    pub fn breach(&mut self, what: impl Into<String>) {
        self.violations.push(Violation::Other(what.into()));
    }

    /// How many records were acknowledged.
    pub fn acknowledged_count(&self) -> u64 {
        self.acknowledged
    }

    /// How many commits were confirmed.
    pub fn confirmed_commit_count(&self) -> u64 {
        self.confirmed_commits
    }

    /// How many records consumers have read.
    pub fn read_count(&self) -> u64 {
        self.reads
    }

    /// What was found wrong while the history was written.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// The offset after the last acknowledged record of a partition.
    pub fn end(&self, topic: u32, partition: i32) -> i64 {
        let known = self.partitions.get(&(topic, partition)).map(|book| &book.known);
        let last = known.and_then(|known| known.last_key_value());
        last.map_or(0, |(offset, _)| offset + 1)
    }

    /// Which record a value is, if it was sent to this place at all.
    fn identify(&self, place: (u32, i32), offset: i64, value: &[u8]) -> Result<Stamp, Violation> {
        let stamp = Stamp::of(value).map_err(|Damage(what)| Violation::Damaged { place, offset, what })?;
        if (stamp.topic, stamp.partition) != place {
            return Err(Violation::Foreign { place, offset, stamp });
        }
        let sent = self.producers.get(&stamp.producer).map_or(0, |book| book.sent);
        if stamp.number >= sent {
            return Err(Violation::NeverSent { place, offset, stamp });
        }
        Ok(stamp)
    }

    fn know(&mut self, stamp: Stamp, offset: i64, how: How) {
        let place = (stamp.topic, stamp.partition);
        let book = self.partitions.entry(place).or_default();
        let known = book.known.entry(offset).or_insert(Known { stamp, how });
        if known.stamp != stamp {
            let was = known.stamp;
            self.violations.push(Violation::Replaced {
                place,
                offset,
                was,
                found: stamp,
            });
        }
        if how == How::Acknowledged {
            known.how = how;
        }
    }
}

#[cfg(test)]
#[path = "history_test.rs"]
mod tests;
