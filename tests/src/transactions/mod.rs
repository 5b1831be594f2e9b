//! What transactional clients did and saw, and the judgement whether the broker kept its word.
//!
//! Clients write [`Event`]s into a [`Book`]: what they sent, when they asked for a commit, how each transaction ended
//! as far as they know, and every record that a consumer got. [`check`] reads the list and names every broken promise.
//! Owns the rules and the clients of this workload ([`actors`]); the rules know no client, no broker and no clock: the
//! order of the list is the only time, so a list that was recorded once can be judged again.
//!
//! The rules, for consumers that read committed records: what a committed transaction wrote is there, all of it, for
//! ever; nothing of an aborted one is; of one whose end nobody knows, all or nothing; nothing is seen before its commit
//! was asked for. For all consumers: each value is at one offset and each offset holds one value; a producer's records
//! are in the order of sending; a consumer never goes back and never jumps over a record. For a program that reads,
//! transforms and writes: each input has one output, and the committed offset says which inputs those are.

pub mod actors;
mod book;
mod check;
mod facts;
mod judge_polls;
mod judge_processing;
mod value;
mod violation;

#[cfg(test)]
mod model;

pub use book::{Book, Tally};
pub use check::check;
pub use value::Value;
pub use violation::Violation;

/// One transaction: the number of its transactional id and its place among that id's transactions, from 0.
///
/// Every client that uses the transactional id goes on with the count, so the order holds over restarts of clients too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId {
    /// The transactional id's number.
    pub producer: u32,
    /// The place in the order of its transactions.
    pub number: u64,
}

/// One written record, named by its transaction and the place in it. No two records of a run have the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Write {
    /// The transaction it was written in.
    pub transaction: TransactionId,
    /// The place in the transaction, from 0.
    pub index: u32,
}

/// One partition of one topic, by the topic's number in the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The topic's number.
    pub topic: u32,
    /// The partition.
    pub partition: i32,
}

/// The input record that an output was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// Where the input was read.
    pub place: Place,
    /// Its offset.
    pub offset: i64,
}

/// How a transaction ended, as far as its client knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The commit was confirmed.
    Committed,
    /// The abort was confirmed, or the client left without ever asking for a commit.
    Aborted,
    /// The commit was asked for and no answer came.
    Unknown,
}

/// What a consumer is to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isolation {
    /// Only records of committed transactions.
    Committed,
    /// All records, those of open and aborted transactions too.
    Uncommitted,
}

/// One thing that a client did or saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A record is about to be handed to the producer's client.
    Sent {
        /// The record.
        write: Write,
        /// Where it is to go.
        place: Place,
        /// The input it was made from.
        source: Option<Source>,
    },
    /// The client would not take the record after all: it is nowhere.
    Refused(Write),
    /// The broker acknowledged the record; whether it counts depends on the end of its transaction.
    Delivered {
        /// The record.
        write: Write,
        /// The offset that the acknowledgement names.
        offset: i64,
    },
    /// The producer is about to ask for the commit.
    CommitAsked(TransactionId),
    /// The producer knows the end, or knows that it will never know.
    Ended {
        /// The transaction.
        transaction: TransactionId,
        /// Its end.
        outcome: Outcome,
    },
    /// A consumer starts, or starts again at another place: what it read before binds it no longer.
    Positioned {
        /// The consumer's number.
        consumer: u32,
        /// What it is to see.
        isolation: Isolation,
    },
    /// A consumer got a record.
    Polled {
        /// The consumer's number.
        consumer: u32,
        /// Where.
        place: Place,
        /// The record's offset.
        offset: i64,
        /// The value: what was read from it, or why it is none of ours.
        value: Result<Value, String>,
    },
    /// A consumer has read a partition from its start to the end of the log, where no transaction is open any more.
    ReadAll {
        /// The consumer's number.
        consumer: u32,
        /// The partition.
        place: Place,
    },
    /// The offset that the programs which read, transform and write have committed at the end.
    CommittedOffset {
        /// The input partition.
        place: Place,
        /// The first input that is not processed.
        offset: i64,
    },
    /// A note for the reader of the list, such as a fault that happens now. No rule looks at it.
    Mark(String),
    /// Something else that must not be, such as a success where only a refusal is right.
    Breach(String),
}
