//! The ways in which a broker can break its word about transactions.

use super::{Isolation, Outcome, Place, Source, TransactionId, Write};

/// One broken promise.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Violation {
    /// A record of a committed transaction, or one that was acknowledged or read before, is not there at the end.
    LostWrite {
        write: Write,
        place: Place,
        isolation: Isolation,
    },
    /// A record of an aborted transaction was read as committed (Adya's G1a).
    AbortedRead {
        write: Write,
        consumer: u32,
        place: Place,
        offset: i64,
    },
    /// A record was read as committed before its producer asked for the commit (Adya's G1b in this workload).
    IntermediateRead {
        write: Write,
        consumer: u32,
        place: Place,
        offset: i64,
    },
    /// Some records of a transaction are there for ever and others are not.
    TornTransaction {
        transaction: TransactionId,
        outcome: Outcome,
        seen: Vec<Write>,
        missing: Vec<Write>,
    },
    /// One record is at two offsets.
    Duplicate {
        write: Write,
        place: Place,
        first: i64,
        second: i64,
    },
    /// One offset holds two records.
    InconsistentOffset {
        place: Place,
        offset: i64,
        first: Write,
        second: Write,
    },
    /// Records of one producer are not in the order of sending.
    OutOfOrder {
        place: Place,
        before: Write,
        after: Write,
        offset: i64,
    },
    /// A consumer went back, or got a record twice, without being told to.
    NonMonotonicPoll {
        consumer: u32,
        place: Place,
        offset: i64,
        after: i64,
    },
    /// A consumer jumped over a record that it should have got.
    SkippedPoll {
        consumer: u32,
        place: Place,
        write: Write,
        offset: i64,
    },
    /// A record that nobody sent to this place.
    NeverSent {
        consumer: u32,
        place: Place,
        offset: i64,
        write: Write,
    },
    /// A value that is none of ours, or changed.
    Damaged {
        consumer: u32,
        place: Place,
        offset: i64,
        what: String,
    },
    /// One input has two outputs.
    ProcessedTwice { source: Source, outputs: Vec<Write> },
    /// An input below the committed offset has no output.
    ProcessedNever { source: Source, committed: i64 },
    /// An output is there and the offset that was to be committed with it is not.
    OffsetsTorn {
        source: Source,
        output: Write,
        committed: i64,
    },
    /// Anything else.
    Breach(String),
}

impl Violation {
    /// Panics with the first violations, if there are any; `seed` is what repeats the run's choices.
    #[track_caller]
    pub fn assert_none(violations: &[Violation], seed: u64, when: &str) {
        if violations.is_empty() {
            return;
        }
        let first: Vec<String> = violations.iter().take(30).map(|one| format!("{one:?}")).collect();
        panic!(
            "{when}: {} violations (THALWEG_SEED={seed} repeats the choices), the first ones:\n{}",
            violations.len(),
            first.join("\n")
        );
    }
}
