//! Why a partition stops, and what is lost: named, with the exact range.

use std::fmt;

use thalweg_types::{ErrorCode, Offset};
use thiserror::Error;

/// Something that time does not mend.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Stop {
    /// Retention or DeleteRecords at the source passed the mirror.
    #[error(
        "the source no longer has offsets {from} to {}: its log starts at {to}; set on_gap = \"jump\" to go on \
         without them, then resume", to.get() - 1
    )]
    Gap {
        /// First offset that is missing.
        from: Offset,
        /// Where the source starts now.
        to: Offset,
    },
    /// The source lost, or never had, what the mirror has.
    #[error(
        "the mirror has offsets {from} to {}, the source does not have them, or others; set on_rewind = \"truncate\" \
         to give them up, then resume", to.get() - 1
    )]
    Rewind {
        /// First offset that differs.
        from: Offset,
        /// The mirror's end.
        to: Offset,
    },
    /// The source's topic was deleted and made again.
    #[error(
        "the source's topic was recreated (its id was {expected}, it is {found}); delete the mirror topic to copy the new one"
    )]
    Recreated {
        /// The id that the mirror was made for.
        expected: String,
        /// The id it has now.
        found: String,
    },
    /// The source has no such topic or partition any more.
    #[error("the source's topic is gone; the mirror keeps what it has")]
    SourceGone,
    /// The topic is not this link's any more.
    #[error("the topic is not mirrored any more: {0}")]
    NotMirrored(String),
    /// Clients may write to the mirror.
    #[error("the partition was promoted: clients write to it, the link does not any more")]
    Promoted,
    /// It belongs to another link, or to none.
    #[error("the target's partition is not this link's: {0}")]
    NotOurs(String),
    /// The source's bytes cannot be mirrored.
    #[error("the source's records cannot be mirrored: {0}")]
    Unreadable(String),
    /// The target refuses for a reason that a retry does not change.
    #[error("the target refuses: {code}: {message}")]
    Refused {
        /// Its code.
        code: ErrorCode,
        /// Its words.
        message: String,
    },
}

impl Stop {
    /// A short name, for metrics and answers.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Gap { .. } => "gap",
            Self::Rewind { .. } => "rewind",
            Self::Recreated { .. } => "recreated",
            Self::SourceGone => "source_gone",
            Self::NotMirrored(_) => "not_mirrored",
            Self::Promoted => "promoted",
            Self::NotOurs(_) => "not_ours",
            Self::Unreadable(_) => "unreadable",
            Self::Refused { .. } => "refused",
        }
    }
}

/// A range that a rule gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The source lost it before it was mirrored (`on_gap = "jump"`).
    Missed {
        /// First offset.
        from: Offset,
        /// The offset after the last.
        to: Offset,
    },
    /// The mirror had it, the source did not (`on_rewind = "truncate"`).
    CutBack {
        /// First offset.
        from: Offset,
        /// The offset after the last.
        to: Offset,
    },
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missed { from, to } => write!(f, "offsets {from} to {} were never mirrored", to.get() - 1),
            Self::CutBack { from, to } => write!(f, "offsets {from} to {} were cut off", to.get() - 1),
        }
    }
}
