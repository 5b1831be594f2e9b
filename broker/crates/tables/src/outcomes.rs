//! Truth of three values, and sets of it: what a predicate may be for the rows of a partition.
//!
//! A set says too much at worst, never too little; every operation keeps that (the tests try all of them).

use crate::planted::{Bug, is_planted};

/// What a predicate is for one row (SQL's three values).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Truth {
    /// The row matches.
    True,
    /// It does not.
    False,
    /// A NULL is in the way; the row does not match, nor does it match the negation.
    Unknown,
}

impl Truth {
    /// All three.
    pub const ALL: [Self; 3] = [Self::True, Self::False, Self::Unknown];

    /// Returns the truth of a decided question.
    #[must_use]
    pub const fn of(is_true: bool) -> Self {
        if is_true { Self::True } else { Self::False }
    }

    /// NOT.
    #[must_use]
    pub const fn negated(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
        }
    }

    /// AND: the lesser, with false below unknown below true.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::True, Self::True) => Self::True,
        }
    }

    /// OR: the greater.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        self.negated().and(other.negated()).negated()
    }
}

/// A set of truths.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcomes(u8);

impl Outcomes {
    /// Nothing is possible: there can be no such row.
    pub const NONE: Self = Self(0);
    /// Only true.
    pub const TRUE: Self = Self(1);
    /// Only false.
    pub const FALSE: Self = Self(2);
    /// Only unknown.
    pub const UNKNOWN: Self = Self(4);
    /// True or false.
    pub const DECIDED: Self = Self(3);
    /// Anything.
    pub const ANY: Self = Self(7);

    /// Returns the set of one truth.
    #[must_use]
    pub const fn only(truth: Truth) -> Self {
        match truth {
            Truth::True => Self::TRUE,
            Truth::False => Self::FALSE,
            Truth::Unknown => Self::UNKNOWN,
        }
    }

    /// Returns the set of what is said to be possible of a decided question.
    pub(crate) const fn decided(true_possible: bool, false_possible: bool) -> Self {
        Self(true_possible as u8 | (false_possible as u8) << 1)
    }

    /// Reports whether the truth is in the set.
    #[must_use]
    pub const fn has(self, truth: Truth) -> bool {
        self.0 & Self::only(truth).0 != 0
    }

    /// Returns what is in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns what is in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// NOT of each member.
    #[must_use]
    pub fn negated(self) -> Self {
        if is_planted(Bug::NotOfUnknown) && self.0 == Self::UNKNOWN.0 {
            return Self::TRUE;
        }
        Self((self.0 & 1) << 1 | (self.0 & 2) >> 1 | self.0 & 4)
    }

    /// AND of each pair of members.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        if self.0 == 0 || other.0 == 0 {
            return Self::NONE;
        }
        let is_true = self.0 & other.0 & 1;
        let is_false = (self.0 | other.0) & 2;
        // One is unknown and the other is not false.
        let is_unknown = (self.0 & 4 != 0 && other.0 & 5 != 0) || (other.0 & 4 != 0 && self.0 & 5 != 0);
        if is_planted(Bug::AndForgetsUnknown) {
            return Self(is_true | is_false);
        }
        Self(is_true | is_false | (is_unknown as u8) << 2)
    }

    /// OR of each pair of members.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        self.plain_negated().and(other.plain_negated()).plain_negated()
    }

    const fn plain_negated(self) -> Self {
        Self((self.0 & 1) << 1 | (self.0 & 2) >> 1 | self.0 & 4)
    }
}

impl std::fmt::Debug for Outcomes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set()
            .entries(Truth::ALL.iter().filter(|truth| self.has(**truth)))
            .finish()
    }
}

#[cfg(test)]
#[path = "outcomes_test.rs"]
mod tests;
