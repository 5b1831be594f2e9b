//! A broker of a hundred lines that keeps its word, and clients that work on it by a seed: it records sound lists of
//! events, which the checker's tests then falsify.

use std::collections::BTreeMap;

use super::{Event, Isolation, Outcome, Place, Source, TransactionId, Value, Write};
use crate::chance::Chance;

const WRITERS: u32 = 3;
const PROCESSOR: u32 = WRITERS;
const INPUT: u32 = 0;
const OTHER: u32 = 1;
const OUTPUT: u32 = 2;
const PARTITIONS: i32 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Committed,
    Aborted,
}

/// An entry of a log: a record, or a marker, which only takes an offset.
type Entry = Option<Value>;

#[derive(Debug, Default)]
struct Broker {
    logs: BTreeMap<Place, Vec<Entry>>,
    states: BTreeMap<TransactionId, State>,
    offsets: BTreeMap<Place, i64>,
}

#[derive(Debug)]
struct Open {
    id: TransactionId,
    writes: u32,
    places: Vec<Place>,
    consumed: BTreeMap<Place, i64>,
}

#[derive(Debug)]
struct Reader {
    number: u32,
    isolation: Isolation,
    positions: BTreeMap<Place, i64>,
}

/// The run: the broker, its clients and the list.
#[derive(Debug)]
struct Run {
    broker: Broker,
    chance: Chance,
    next: BTreeMap<u32, u64>,
    open: BTreeMap<u32, Open>,
    readers: Vec<Reader>,
    events: Vec<Event>,
}

/// A sound list of some thousand events.
pub(super) fn record(seed: u64) -> Vec<Event> {
    let mut run = Run {
        broker: Broker::default(),
        chance: Chance::new(seed),
        next: BTreeMap::new(),
        open: BTreeMap::new(),
        readers: Vec::new(),
        events: Vec::new(),
    };
    for isolation in [Isolation::Committed, Isolation::Committed, Isolation::Uncommitted] {
        run.add_reader(isolation);
    }
    for _ in 0..2_000 {
        match run.chance.index(10) {
            0..6 => {
                let producer = u32::try_from(run.chance.index(WRITERS as usize + 1)).unwrap_or(0);
                run.produce(producer);
            }
            _ => {
                let reader = run.chance.index(run.readers.len());
                run.read(reader);
            }
        }
    }
    run.finish();
    run.events
}

fn places() -> Vec<Place> {
    let place = |topic| (0..PARTITIONS).map(move |partition| Place { topic, partition });
    [INPUT, OTHER, OUTPUT].into_iter().flat_map(place).collect()
}

impl Broker {
    fn append(&mut self, place: Place, entry: Entry) -> i64 {
        let log = self.logs.entry(place).or_default();
        log.push(entry);
        i64::try_from(log.len() - 1).unwrap_or(i64::MAX)
    }

    /// The next record at or after `from` that may be seen, with its offset.
    fn next(&self, place: Place, from: i64, isolation: Isolation) -> Option<(i64, Value)> {
        let log = self.logs.get(&place)?;
        for (offset, entry) in log.iter().enumerate().skip(usize::try_from(from).unwrap_or(0)) {
            let Some(value) = entry else { continue };
            let state = self.states.get(&value.write.transaction);
            match (isolation, state) {
                (Isolation::Uncommitted, _) | (_, Some(State::Committed)) => {
                    return Some((i64::try_from(offset).unwrap_or(i64::MAX), *value));
                }
                (_, Some(State::Open) | None) => return None,
                (_, Some(State::Aborted)) => {}
            }
        }
        None
    }

    fn end(&mut self, open: &Open, state: State) {
        self.states.insert(open.id, state);
        for place in &open.places {
            self.append(*place, None);
        }
        if state == State::Committed {
            self.offsets.extend(&open.consumed);
        }
    }
}

impl Run {
    fn add_reader(&mut self, isolation: Isolation) {
        let number = u32::try_from(self.readers.len()).unwrap_or(0);
        self.readers.push(Reader {
            number,
            isolation,
            positions: BTreeMap::new(),
        });
        let consumer = number;
        self.events.push(Event::Positioned { consumer, isolation });
    }

    fn produce(&mut self, producer: u32) {
        match self.open.get(&producer) {
            None => self.begin(producer),
            Some(open) if open.writes < 2 || self.chance.one_in(2) => self.write(producer),
            Some(_) => self.end(producer),
        }
    }

    fn begin(&mut self, producer: u32) {
        let number = self.next.entry(producer).or_default();
        let id = TransactionId {
            producer,
            number: *number,
        };
        *number += 1;
        let open = Open {
            id,
            writes: 0,
            places: Vec::new(),
            consumed: BTreeMap::new(),
        };
        self.open.insert(producer, open);
        self.broker.states.insert(id, State::Open);
    }

    fn write(&mut self, producer: u32) {
        let partition = i32::try_from(self.chance.index(2)).unwrap_or(0);
        let (place, source) = if producer == PROCESSOR {
            let input = Place {
                topic: INPUT,
                partition,
            };
            let open = &self.open[&producer];
            let committed = self.broker.offsets.get(&input).copied().unwrap_or(0);
            let from = open.consumed.get(&input).copied().unwrap_or(committed);
            let Some((offset, _)) = self.broker.next(input, from, Isolation::Committed) else {
                return;
            };
            let output = Place {
                topic: OUTPUT,
                partition,
            };
            (output, Some(Source { place: input, offset }))
        } else {
            let topic = if self.chance.one_in(2) { INPUT } else { OTHER };
            (Place { topic, partition }, None)
        };
        let Some(open) = self.open.get_mut(&producer) else {
            return;
        };
        let write = Write {
            transaction: open.id,
            index: open.writes,
        };
        open.writes += 1;
        if !open.places.contains(&place) {
            open.places.push(place);
        }
        if let Some(source) = source {
            open.consumed.insert(source.place, source.offset + 1);
        }
        self.events.push(Event::Sent { write, place, source });
        let value = Value { write, place, source };
        let offset = self.broker.append(place, Some(value));
        if !self.chance.one_in(10) {
            self.events.push(Event::Delivered { write, offset });
        }
    }

    fn end(&mut self, producer: u32) {
        let Some(open) = self.open.remove(&producer) else {
            return;
        };
        let transaction = open.id;
        let outcome = match self.chance.index(6) {
            0..4 => Outcome::Committed,
            4 => Outcome::Aborted,
            _ => Outcome::Unknown,
        };
        if outcome != Outcome::Aborted {
            self.events.push(Event::CommitAsked(transaction));
        }
        let is_committed = match outcome {
            Outcome::Committed => true,
            Outcome::Aborted => false,
            Outcome::Unknown => self.chance.one_in(2),
        };
        let state = if is_committed {
            State::Committed
        } else {
            State::Aborted
        };
        self.broker.end(&open, state);
        self.events.push(Event::Ended { transaction, outcome });
    }

    fn read(&mut self, reader: usize) {
        let places = places();
        let place = places[self.chance.index(places.len())];
        let is_moved = self.chance.one_in(100);
        let reader = &mut self.readers[reader];
        let (consumer, isolation) = (reader.number, reader.isolation);
        if is_moved {
            reader.positions.clear();
            self.events.push(Event::Positioned { consumer, isolation });
        }
        for _ in 0..self.chance.between(1, 5) {
            let position = reader.positions.entry(place).or_default();
            let Some((offset, value)) = self.broker.next(place, *position, isolation) else {
                return;
            };
            *position = offset + 1;
            self.events.push(Event::Polled {
                consumer,
                place,
                offset,
                value: Ok(value),
            });
        }
    }

    /// Ends what is open, and has everything read by consumers of both kinds.
    fn finish(&mut self) {
        for (_, open) in std::mem::take(&mut self.open) {
            self.broker.end(&open, State::Aborted);
        }
        for isolation in [Isolation::Committed, Isolation::Uncommitted] {
            let consumer = u32::try_from(self.readers.len()).unwrap_or(0);
            self.add_reader(isolation);
            for place in places() {
                let mut position = 0;
                while let Some((offset, value)) = self.broker.next(place, position, isolation) {
                    position = offset + 1;
                    self.events.push(Event::Polled {
                        consumer,
                        place,
                        offset,
                        value: Ok(value),
                    });
                }
                self.events.push(Event::ReadAll { consumer, place });
            }
        }
        for partition in 0..PARTITIONS {
            let place = Place {
                topic: INPUT,
                partition,
            };
            let offset = self.broker.offsets.get(&place).copied().unwrap_or(0);
            self.events.push(Event::CommittedOffset { place, offset });
        }
    }
}
