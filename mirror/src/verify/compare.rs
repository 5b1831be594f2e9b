//! Two sequences of batches, compared as they arrive. Pure.

use std::collections::VecDeque;
use std::fmt;

use thalweg_types::Offset;

/// Differences that are kept apart; more are joined into the last.
const DIFFERENCES_MAX: usize = 100;

/// What is compared of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its base offset.
    pub base: Offset,
    /// The offset after its last record.
    pub next: Offset,
    /// Its checksum, which covers all but base offset, length and leader epoch.
    pub crc: u32,
}

/// How a range differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Both have a batch, with other content.
    Content,
    /// Only the source has a batch.
    SourceOnly,
    /// Only the mirror has a batch.
    MirrorOnly,
}

/// A range of offsets that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// How.
    pub kind: Kind,
    /// First offset.
    pub from: Offset,
    /// The offset after the last.
    pub to: Offset,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            Kind::Content => "have other content in the mirror",
            Kind::SourceOnly => "are in the source only",
            Kind::MirrorOnly => "are in the mirror only",
        };
        write!(f, "offsets {} to {} {what}", self.from, self.to.get() - 1)
    }
}

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Source,
    Mirror,
}

#[derive(Debug)]
struct Stream {
    marks: VecDeque<Mark>,
    /// Where the next read begins; at the end everything was read.
    next: Offset,
}

/// Compares the batches up to `to`: of the source from `from`, of the mirror from `mirror_from`, where its log starts.
#[derive(Debug)]
pub(super) struct Comparison {
    from: Offset,
    to: Offset,
    source: Stream,
    mirror: Stream,
    equal: u64,
    differences: Vec<Difference>,
}

impl Comparison {
    pub(super) fn new(from: Offset, mirror_from: Offset, to: Offset) -> Self {
        let stream = |next| Stream {
            marks: VecDeque::new(),
            next,
        };
        Self {
            from,
            to: to.max(from),
            source: stream(from),
            mirror: stream(mirror_from.max(from)),
            equal: 0,
            differences: Vec::new(),
        }
    }

    pub(super) const fn from(&self) -> Offset {
        self.from
    }

    pub(super) const fn to(&self) -> Offset {
        self.to
    }

    pub(super) const fn equal(&self) -> u64 {
        self.equal
    }

    pub(super) fn into_differences(mut self) -> Vec<Difference> {
        self.differences.sort_by_key(|difference| difference.from);
        self.differences
    }

    /// Which side has to be read next, and from where; `None` when all is compared.
    pub(super) fn wants(&self) -> Option<(Side, Offset)> {
        let wants = |stream: &Stream| stream.marks.is_empty() && stream.next < self.to;
        if wants(&self.source) {
            return Some((Side::Source, self.source.next));
        }
        wants(&self.mirror).then_some((Side::Mirror, self.mirror.next))
    }

    /// Takes what a read from `at` brought; nothing means that there is no batch up to the end.
    pub(super) fn take(&mut self, side: Side, at: Offset, marks: Vec<Mark>) {
        let to = self.to;
        let stream = match side {
            Side::Source => &mut self.source,
            Side::Mirror => &mut self.mirror,
        };
        // A batch that does not move on would be read for ever.
        stream.next = marks
            .last()
            .map(|mark| mark.next)
            .filter(|next| *next > at)
            .unwrap_or(to);
        stream
            .marks
            .extend(marks.into_iter().filter(|mark| mark.base < to));
        self.advance();
    }

    fn advance(&mut self) {
        loop {
            let (source, mirror) = (
                self.source.marks.front().copied(),
                self.mirror.marks.front().copied(),
            );
            match (source, mirror) {
                (Some(here), Some(there)) if here == there => {
                    self.equal += 1;
                    self.source.marks.pop_front();
                    self.mirror.marks.pop_front();
                }
                (Some(here), Some(there)) if here.base == there.base => {
                    self.note(Kind::Content, here.base, here.next.max(there.next));
                    self.source.marks.pop_front();
                    self.mirror.marks.pop_front();
                }
                (Some(here), Some(there)) if here.base < there.base => self.only(Side::Source, here),
                (Some(_), Some(there)) => self.only(Side::Mirror, there),
                (Some(here), None) if self.mirror.next >= self.to => self.only(Side::Source, here),
                (None, Some(there)) if self.source.next >= self.to => self.only(Side::Mirror, there),
                _ => return,
            }
        }
    }

    fn only(&mut self, side: Side, mark: Mark) {
        let (kind, stream) = match side {
            Side::Source => (Kind::SourceOnly, &mut self.source),
            Side::Mirror => (Kind::MirrorOnly, &mut self.mirror),
        };
        stream.marks.pop_front();
        self.note(kind, mark.base, mark.next);
    }

    /// Notes a difference; neighbours of one kind are one range.
    pub(super) fn note(&mut self, kind: Kind, from: Offset, to: Offset) {
        let is_full = self.differences.len() >= DIFFERENCES_MAX;
        match self.differences.last_mut() {
            Some(last) if is_full || (last.kind == kind && last.to == from) => last.to = last.to.max(to),
            _ => self.differences.push(Difference { kind, from, to }),
        }
    }
}

#[cfg(test)]
#[path = "compare_test.rs"]
mod tests;
