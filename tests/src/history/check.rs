//! The comparison of a history with a reading of one partition from its start to its end.

use std::collections::{BTreeMap, BTreeSet};

use super::{History, Partition, Promise, Stamp, Violation};

/// All records of a partition, in the order a consumer got them.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// The log start that the broker named before the reading.
    pub start: i64,
    /// The end that the broker named before the reading.
    pub end: i64,
    /// Offsets and values.
    pub records: Vec<(i64, Vec<u8>)>,
}

impl History {
    /// Compares a reading of one partition with everything written down about it. Nothing may have been sent to it
    /// meanwhile.
    pub fn check(&self, topic: u32, partition: i32, reading: &Reading) -> Vec<Violation> {
        let place = (topic, partition);
        let empty = Partition::default();
        let book = self.partitions.get(&place).unwrap_or(&empty);
        let mut found = Vec::new();
        let mut stamps = BTreeMap::new();
        let mut before = reading.start - 1;
        for (offset, value) in &reading.records {
            if *offset <= before {
                found.push(Violation::Disordered {
                    place,
                    offset: *offset,
                    after: before,
                });
            } else {
                let missing = before + 1..*offset;
                found.extend(missing.map(|offset| Violation::Gap { place, offset }));
                before = *offset;
            }
            match self.identify(place, *offset, value) {
                Ok(stamp) => {
                    stamps.insert(*offset, stamp);
                }
                Err(violation) => found.push(violation),
            }
        }
        let missing = before + 1..reading.end;
        found.extend(missing.map(|offset| Violation::Gap { place, offset }));
        if reading.start < book.log_start {
            found.push(Violation::LogStartWentBack {
                place,
                was: book.log_start,
                found: reading.start,
            });
        }
        if reading.start > book.log_start_asked {
            found.push(Violation::LogStartUnasked {
                place,
                asked: book.log_start_asked,
                found: reading.start,
            });
        }
        check_known(place, book, reading, &stamps, &mut found);
        self.check_order(&stamps, &mut found);
        found
    }

    /// Producers whose records were not all answered.
    pub fn unanswered(&self) -> Vec<Violation> {
        let open = |(number, book): (&u32, &super::Producer)| {
            (book.sent != book.acknowledged).then_some(Violation::Unanswered {
                producer: *number,
                sent: book.sent,
                acknowledged: book.acknowledged,
            })
        };
        self.producers.iter().filter_map(open).collect()
    }

    fn check_order(&self, stamps: &BTreeMap<i64, Stamp>, found: &mut Vec<Violation>) {
        let mut newest: BTreeMap<u32, Stamp> = BTreeMap::new();
        let mut places: BTreeMap<Stamp, i64> = BTreeMap::new();
        for (offset, stamp) in stamps {
            let once = self
                .producers
                .get(&stamp.producer)
                .is_none_or(|book| book.promise == Promise::Once);
            if let Some(first) = places.get(stamp) {
                if once {
                    found.push(Violation::Duplicated {
                        stamp: *stamp,
                        first: *first,
                        second: *offset,
                    });
                }
                continue;
            }
            places.insert(*stamp, *offset);
            match newest.get(&stamp.producer) {
                Some(before) if before.number > stamp.number => found.push(Violation::OutOfOrder {
                    before: *before,
                    after: *stamp,
                    offset: *offset,
                }),
                _ => {
                    newest.insert(stamp.producer, *stamp);
                }
            }
        }
    }
}

/// What was acknowledged or read once is still there, unless it lies below the log start.
fn check_known(
    place: (u32, i32),
    book: &Partition,
    reading: &Reading,
    stamps: &BTreeMap<i64, Stamp>,
    found: &mut Vec<Violation>,
) {
    for (offset, known) in book.known.range(reading.start..) {
        let stamp = known.stamp;
        match stamps.get(offset) {
            Some(there) if *there == stamp => {}
            Some(there) => found.push(Violation::Replaced {
                place,
                offset: *offset,
                was: stamp,
                found: *there,
            }),
            None => found.push(Violation::Lost {
                place,
                offset: Some(*offset),
                stamp,
            }),
        }
    }
    // A record of unknown place may lie below the log start, where it cannot be looked for.
    if book.somewhere.is_empty() || reading.start > 0 {
        return;
    }
    let there: BTreeSet<&Stamp> = stamps.values().collect();
    for stamp in book.somewhere.iter().filter(|stamp| !there.contains(stamp)) {
        found.push(Violation::Lost {
            place,
            offset: None,
            stamp: *stamp,
        });
    }
}
