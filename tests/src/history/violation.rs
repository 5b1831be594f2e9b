//! The ways in which a broker can break its word.

use super::Stamp;

/// One broken promise. A `place` is the topic's number and the partition.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Violation {
    /// An acknowledged record, or one that was read before, is not there.
    Lost {
        place: (u32, i32),
        offset: Option<i64>,
        stamp: Stamp,
    },
    /// An offset holds another record than it did.
    Replaced {
        place: (u32, i32),
        offset: i64,
        was: Stamp,
        found: Stamp,
    },
    /// An idempotent producer's record is there twice.
    Duplicated { stamp: Stamp, first: i64, second: i64 },
    /// Records of one producer are not in the order of sending.
    OutOfOrder {
        before: Stamp,
        after: Stamp,
        offset: i64,
    },
    /// A record of another topic or partition, or of a topic that was deleted under the same name.
    Foreign {
        place: (u32, i32),
        offset: i64,
        stamp: Stamp,
    },
    /// A record that nobody sent.
    NeverSent {
        place: (u32, i32),
        offset: i64,
        stamp: Stamp,
    },
    /// A value that is none of ours, or changed.
    Damaged {
        place: (u32, i32),
        offset: i64,
        what: String,
    },
    /// An offset between log start and end without a record.
    Gap { place: (u32, i32), offset: i64 },
    /// Records were handed out in another order than that of their offsets.
    Disordered {
        place: (u32, i32),
        offset: i64,
        after: i64,
    },
    /// The log starts earlier than it did.
    LogStartWentBack { place: (u32, i32), was: i64, found: i64 },
    /// The log starts later than anybody asked for.
    LogStartUnasked {
        place: (u32, i32),
        asked: i64,
        found: i64,
    },
    /// A group's offset is lower than one that was confirmed.
    CommitWentBack {
        group: String,
        place: (u32, i32),
        confirmed: i64,
        found: Option<i64>,
    },
    /// A record was refused, or never answered, although the client had time enough.
    Refused { stamp: Stamp, why: String },
    /// A producer's records without an answer at the end.
    Unanswered {
        producer: u32,
        sent: u64,
        acknowledged: u64,
    },
    /// Anything else.
    Other(String),
}

impl Violation {
    /// Panics with the first violations, if there are any.
    #[track_caller]
    pub fn assert_none(violations: &[Violation], when: &str) {
        if violations.is_empty() {
            return;
        }
        let first: Vec<String> = violations.iter().take(30).map(|one| format!("{one:?}")).collect();
        panic!(
            "{when}: {} violations, the first ones:\n{}",
            violations.len(),
            first.join("\n")
        );
    }
}
