//! Clients that work through every death of a broker and write what they were told into one [`History`].
//!
//! Each actor is a thread with a real client. It ends when it is told to, or when it is dropped; a panic in it comes
//! out of [`Actor::stop`].

mod churn;
mod commits;
mod deletions;
mod producers;
mod reading;
mod standstill;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

pub use churn::{ChurnCount, start_churn};
pub use commits::{check_commits, start_member, start_steady_commits};
pub use deletions::{delete_below, start_deletions};
pub use producers::{Pace, ProducerPlan, start_producer};
pub use reading::{check_topic, read_partition};
pub use standstill::{Patience, Standstill};

use crate::history::History;
use crate::watchdog;

/// How long an actor may need to end: its last flush has two minutes, and its client is taken down after that.
const LAST_WORK: Duration = Duration::from_secs(240);

/// A topic as the actors see it.
#[derive(Debug, Clone)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Its number in the history.
    pub number: u32,
    /// Its partitions.
    pub partitions: i32,
}

/// The place where the actors meet.
#[derive(Debug, Clone)]
pub struct Theatre {
    /// The broker's address.
    pub bootstrap: String,
    /// When the test holds the broker up itself.
    pub standstill: Standstill,
    history: Arc<Mutex<History>>,
    topics: Arc<AtomicU64>,
}

impl Theatre {
    /// A new history around the broker at `bootstrap`.
    pub fn new(bootstrap: &str) -> Theatre {
        Theatre {
            bootstrap: bootstrap.to_owned(),
            standstill: Standstill::default(),
            history: Arc::default(),
            topics: Arc::default(),
        }
    }

    /// What is written so far, to be judged by what another broker has: a copy made at this moment.
    pub fn copied_to(&self, bootstrap: &str) -> Theatre {
        Theatre {
            bootstrap: bootstrap.to_owned(),
            standstill: Standstill::default(),
            history: Arc::new(Mutex::new(self.history().clone())),
            topics: Arc::default(),
        }
    }

    /// The history, for a moment: no actor writes meanwhile.
    pub fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().expect("no holder panics")
    }

    /// A topic with a number of its own; the caller makes it.
    pub fn new_topic(&self, name: &str, partitions: i32) -> Topic {
        let number = self.topics.fetch_add(1, Ordering::Relaxed);
        Topic {
            name: name.to_owned(),
            number: u32::try_from(number).unwrap_or(u32::MAX),
            partitions,
        }
    }
}

/// The order to stop, as an actor sees it.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// True when the actor is to end.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Pauses, at most until the actor is to end.
    pub fn pause(&self, length: Duration) {
        let deadline = std::time::Instant::now() + length;
        while !self.is_asked() {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(Duration::from_millis(20)));
        }
    }
}

/// A running actor.
#[derive(Debug)]
pub struct Actor {
    name: String,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Actor {
    /// Starts `act` on a thread.
    pub fn start(name: &str, act: impl FnOnce(&Stop) + Send + 'static) -> Actor {
        let stop = Stop::default();
        let seen = stop.clone();
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || act(&seen))
            .unwrap_or_else(|error| panic!("start {name}: {error}"));
        Actor {
            name: name.to_owned(),
            stop,
            thread: Some(thread),
        }
    }

    /// What it was started as.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Tells the actor to end, and does not wait.
    pub fn ask_to_stop(&self) {
        self.stop.0.store(true, Ordering::Relaxed);
    }

    /// True if the actor ended, for example by a panic.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Tells the actor to end and waits for it.
    ///
    /// # Panics
    /// When the actor panicked, or does not end within four minutes.
    pub fn stop(mut self) {
        self.ask_to_stop();
        if let Some(thread) = self.thread.take() {
            let name = thread.thread().name().unwrap_or("an actor").to_owned();
            watchdog::join(&name, LAST_WORK, thread);
        }
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.ask_to_stop();
    }
}
