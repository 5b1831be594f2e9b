//! Bugs that the property tests plant to show that they find them. In a build that is not a test no bug is ever planted,
//! and the questions vanish.

/// A bug that would prune a partition that is needed, or drop a residual that is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// The upper bound of a day counts as outside.
    DayEndsEarly,
    /// A time before 1970 is rounded towards zero instead of down.
    TimeRoundedToZero,
    /// A number is truncated towards zero instead of down.
    NumberRoundedToZero,
    /// A prefix is cut after bytes instead of characters.
    PrefixInBytes,
    /// `LIKE 'abc%'` is refuted by a partition whose prefix is shorter, as `a`.
    LongerPatternRefuted,
    /// A bucket's outcome for `=` is taken for sure.
    BucketCertain,
    /// A writer computes the bucket without clearing the hash's sign.
    BucketSigned,
    /// The default partition is thought to hold no NULL.
    DefaultWithoutNull,
    /// The default partition is thought to hold the listed values only.
    DefaultInverted,
    /// NOT turns *unknown* into *true*.
    NotOfUnknown,
    /// AND forgets that *unknown* and *true* make *unknown*.
    AndForgetsUnknown,
    /// A comparison forgets that NULL makes it *unknown*.
    NullForgotten,
    /// `<=` is evaluated as `<` over a range.
    LessOrEqualAsLess,
    /// A cast or `date_trunc` over a range maps its lower bound only.
    MapHighKept,
    /// `IS NULL` holds for every row of a partition that may hold NULL.
    NullPartitionCertain,
}

#[cfg(test)]
impl Bug {
    pub(crate) const ALL: [Self; 15] = [
        Self::DayEndsEarly,
        Self::TimeRoundedToZero,
        Self::NumberRoundedToZero,
        Self::PrefixInBytes,
        Self::LongerPatternRefuted,
        Self::BucketCertain,
        Self::BucketSigned,
        Self::DefaultWithoutNull,
        Self::DefaultInverted,
        Self::NotOfUnknown,
        Self::AndForgetsUnknown,
        Self::NullForgotten,
        Self::LessOrEqualAsLess,
        Self::MapHighKept,
        Self::NullPartitionCertain,
    ];
}

#[cfg(test)]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Plants a bug in this thread, or none.
#[cfg(test)]
pub(crate) fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

#[cfg(test)]
pub(crate) fn is_planted(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

#[cfg(not(test))]
pub(crate) const fn is_planted(_bug: Bug) -> bool {
    false
}
