//! The list of events that all clients of a run write into, and counts for those who wait for progress.

use std::sync::{Arc, Mutex, MutexGuard};

use super::{Event, Isolation, Outcome};

/// The book of one run; a copy writes into the same list.
#[derive(Debug, Clone, Default)]
pub struct Book {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    events: Vec<Event>,
    tally: Tally,
    consumers: u32,
}

/// How much has happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Confirmed commits.
    pub committed: u64,
    /// Aborted transactions.
    pub aborted: u64,
    /// Transactions whose end their client never learned.
    pub unknown: u64,
    /// Outputs that programs which read, transform and write have sent.
    pub processed: u64,
    /// Records that consumers got.
    pub polled: u64,
}

impl Book {
    /// Appends an event. Where an event is "about to", the caller appends before it acts.
    pub fn note(&self, event: Event) {
        let mut inner = self.inner();
        match &event {
            Event::Ended { outcome, .. } => match outcome {
                Outcome::Committed => inner.tally.committed += 1,
                Outcome::Aborted => inner.tally.aborted += 1,
                Outcome::Unknown => inner.tally.unknown += 1,
            },
            Event::Sent { source: Some(_), .. } => inner.tally.processed += 1,
            Event::Polled { .. } => inner.tally.polled += 1,
            _ => {}
        }
        inner.events.push(event);
    }

    /// Notes that a new consumer starts, and returns its number.
    pub fn new_consumer(&self, isolation: Isolation) -> u32 {
        let mut inner = self.inner();
        let consumer = inner.consumers;
        inner.consumers += 1;
        inner.events.push(Event::Positioned { consumer, isolation });
        consumer
    }

    /// What has happened so far.
    pub fn tally(&self) -> Tally {
        self.inner().tally
    }

    /// The list so far.
    pub fn events(&self) -> Vec<Event> {
        self.inner().events.clone()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no holder panics")
    }
}
