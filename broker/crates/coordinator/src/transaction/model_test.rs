//! Every order of a few calls, with the shard loaded again from any prefix of its log that replies do not depend on, and
//! with markers done late, twice or by a forgotten task.

use super::testing::Desk;
use super::*;

/// What may happen next.
#[derive(Clone, Copy, Debug)]
enum Act {
    Init,
    Add,
    Commit,
    Abort,
    /// All markers that are due are written.
    Mark,
    /// Markers of an earlier decision are reported again.
    MarkAgain,
    /// The process ends and comes back; every record was durable.
    Crash,
    TimeOut,
}

const ACTS: [Act; 8] = [
    Act::Init,
    Act::Add,
    Act::Commit,
    Act::Abort,
    Act::Mark,
    Act::MarkAgain,
    Act::Crash,
    Act::TimeOut,
];

/// Calls in a row. 8⁵ orders for each version.
const DEPTH: usize = 5;

/// What a client and an observer know.
struct World {
    desk: Desk,
    version: TransactionVersion,
    /// The newest identity that was told to a client.
    producer: Option<ProducerIdAndEpoch>,
    /// What was promised for the open decision.
    promised: Option<Outcome>,
    /// The last marker work that was done.
    done: Vec<MarkerWork>,
}

impl World {
    fn run(version: TransactionVersion, acts: &[Act]) {
        let mut world = Self {
            desk: Desk::new(),
            version,
            producer: None,
            promised: None,
            done: Vec::new(),
        };
        for act in acts {
            let before = world.snapshot();
            world.act(*act);
            world.check(before, *act, acts);
        }
    }

    fn snapshot(&mut self) -> Option<DescribedTransaction> {
        self.desk.describe("a").ok()
    }

    fn act(&mut self, act: Act) {
        match (act, self.producer) {
            (Act::Init, _) => {
                if let Ok(producer) = self.desk.init("a") {
                    self.producer = Some(producer);
                }
            }
            (Act::Add, Some(producer)) => {
                let _ = self.desk.add("a", producer, 0, self.version);
            }
            (Act::Commit | Act::Abort, Some(producer)) => {
                let outcome = match act {
                    Act::Commit => Outcome::Commit,
                    _ => Outcome::Abort,
                };
                let ended = self.desk.end("a", producer, outcome, self.version);
                self.promised = ended.is_ok().then_some(outcome);
                if let Ok(next) = ended {
                    self.producer = Some(next);
                }
            }
            (Act::Mark, _) => {
                self.done = self.desk.works.clone();
                self.desk.mark();
            }
            (Act::MarkAgain, _) => {
                for work in self.done.clone() {
                    self.desk.mark_one(&work);
                }
            }
            (Act::Crash, _) => {
                // A shard is loaded again when nobody writes markers for the old one any more.
                self.done.clear();
                self.desk.reload();
            }
            (Act::TimeOut, _) => self.desk.tick(6_000),
            (Act::Add | Act::Commit | Act::Abort, None) => {}
        }
    }

    fn check(&mut self, before: Option<DescribedTransaction>, act: Act, acts: &[Act]) {
        let Some(now) = self.snapshot() else {
            assert!(before.is_none(), "{acts:?}");
            return;
        };
        // A decided transaction has its markers on their way, and nothing else has.
        let decided = now.state.prepared();
        let due: Vec<Outcome> = self.desk.works.iter().map(|work| work.outcome).collect();
        assert_eq!(due, decided.into_iter().collect::<Vec<_>>(), "{acts:?}: {now:?}");
        // What a client was promised is what happens.
        if let (Some(promised), Some(decided)) = (self.promised, decided)
            && matches!(act, Act::Commit | Act::Abort)
        {
            assert_eq!(promised, decided, "{acts:?}");
        }
        if let Some(before) = before {
            let rank = |of: &DescribedTransaction| (of.producer.id, of.producer.epoch);
            assert!(rank(&now) >= rank(&before), "{acts:?}: {before:?} then {now:?}");
            if matches!(act, Act::Crash | Act::MarkAgain) {
                assert_eq!(before, now, "{acts:?}");
            }
            if before.state.prepared().is_some() && !matches!(act, Act::Mark) {
                assert_eq!(before.state, now.state, "{acts:?}");
            }
        }
        // Partitions are those of an open or decided transaction.
        let is_open = now.state == TransactionState::Ongoing || decided.is_some();
        assert!(is_open || now.partitions.is_empty(), "{acts:?}: {now:?}");
    }
}

#[test]
fn every_order_of_a_few_calls_keeps_the_promises() {
    for version in [TransactionVersion::V0, TransactionVersion::V2] {
        let mut acts = [Act::Init; DEPTH];
        let orders = ACTS.len().pow(u32::try_from(DEPTH).unwrap());
        for order in 0..orders {
            let mut rest = order;
            for act in &mut acts {
                *act = ACTS[rest % ACTS.len()];
                rest /= ACTS.len();
            }
            // Without a producer nothing happens.
            let first = [Act::Init, Act::Add];
            let all: Vec<Act> = first.iter().chain(&acts).copied().collect();
            World::run(version, &all);
        }
    }
}

#[test]
fn a_crash_after_any_record_leaves_a_state_that_a_new_producer_gets_through() {
    for version in [TransactionVersion::V0, TransactionVersion::V2] {
        for outcome in [Outcome::Commit, Outcome::Abort] {
            let mut desk = Desk::new();
            let mut producer = desk.init("a").unwrap();
            for _ in 0..2 {
                desk.add("a", producer, 0, version).unwrap();
                desk.add("a", producer, 1, version).unwrap();
                producer = desk.end("a", producer, outcome, version).unwrap();
                desk.mark();
            }
            let whole = desk.log.clone();
            for count in 0..=whole.len() {
                desk.log.clone_from(&whole);
                desk.reload_from(count);
                let mut last = None;
                // At most: carry out what is decided, abort what is open, be told who it is.
                for _ in 0..3 {
                    desk.mark();
                    last = desk.init("a").ok();
                    if last.is_some() {
                        break;
                    }
                }
                let new = last.expect("nobody is blocked");
                assert_eq!(desk.add("a", new, 0, version), Ok(()));
                assert!(desk.end("a", new, Outcome::Commit, version).is_ok());
            }
        }
    }
}
