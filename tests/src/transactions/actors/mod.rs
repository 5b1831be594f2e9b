//! The clients of the transaction workload: librdkafka producers that commit, abort, leave and come back, programs that
//! read, transform and write, consumers of both kinds, and the reading of everything at the end.
//!
//! Each is a thread that works through every fault until it is told to stop, and writes into the [`Book`].

mod pollers;
mod processors;
mod reading;
mod transactor;
mod writers;

use std::time::Duration;

pub use pollers::{start_deceived_poller, start_poller};
pub use processors::{GROUP, start_processor};
pub use reading::{read_committed_offsets, read_everything};
pub use writers::start_writer;

use super::{Book, Place};
use crate::actors::Actor;
use crate::wait;

/// How long the broker lets a transaction be open. Short, so that what a client left is ended within the run.
pub const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(4);

/// How long the last words of an actor may take after it was told to stop.
const GOODBYE: Duration = Duration::from_secs(90);

/// Topics of the workload, by the number that places use.
pub const TOPICS: [&str; 3] = ["transactions-input", "transactions-other", "transactions-output"];

/// What the processors read; they write the third topic.
pub const INPUT: u32 = 0;
/// What the writers write besides.
pub const OTHER: u32 = 1;
/// What the processors write.
pub const OUTPUT: u32 = 2;

/// Partitions of each topic.
pub const PARTITIONS: i32 = 2;

/// Where the actors meet.
#[derive(Debug, Clone)]
pub struct Stage {
    /// The address that clients bootstrap from.
    pub bootstrap: String,
    /// The list they all write into.
    pub book: Book,
}

impl Place {
    /// The topic's name.
    ///
    /// # Panics
    /// When the workload has no such topic.
    pub fn name(&self) -> &'static str {
        TOPICS[self.topic as usize]
    }
}

/// All partitions of the workload.
pub fn places() -> Vec<Place> {
    let topics = 0..u32::try_from(TOPICS.len()).unwrap_or(0);
    let place = |topic| (0..PARTITIONS).map(move |partition| Place { topic, partition });
    topics.flat_map(place).collect()
}

/// The place with this topic name.
fn place_of(name: &str, partition: i32) -> Option<Place> {
    let topic = TOPICS.iter().position(|topic| *topic == name)?;
    Some(Place {
        topic: u32::try_from(topic).ok()?,
        partition,
    })
}

/// Tells all actors to stop and waits for them.
///
/// # Panics
/// When one of them panicked, or has not ended a minute and a half later.
#[track_caller]
pub fn send_home(actors: Vec<Actor>) {
    for actor in &actors {
        actor.ask_to_stop();
    }
    let all_ended = wait::poll(GOODBYE, || actors.iter().all(Actor::has_ended).then_some(()));
    let names: Vec<&str> = actors
        .iter()
        .filter(|actor| !actor.has_ended())
        .map(Actor::name)
        .collect();
    assert!(
        all_ended.is_some(),
        "clients hang {GOODBYE:?} after they were told to stop: {names:?}"
    );
    actors.into_iter().for_each(Actor::stop);
}
