//! The drill's own truth: what producers sent, what was acknowledged, and whether it is where it belongs. Pure.
//!
//! Every record carries the number of its batch and its place in it, so that each record that is read tells which one it
//! is. A batch without an acknowledgement may be there or not, once; every other one has exactly one fate.

use std::collections::HashMap;

use thalweg_types::Offset;

/// How a transaction ended, as far as its producer was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The producer was not told.
    Unknown,
    Committed,
    Aborted,
}

/// One batch of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) id: u64,
    /// Where it was acknowledged; `None` while, and if, it never was.
    pub(super) at: Option<Offset>,
    pub(super) count: u32,
    pub(super) transaction: Option<usize>,
    /// Which time of writing: 1 before the failover.
    pub(super) term: u8,
}

/// A record as it was read: its offset, its batch and its place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) offset: Offset,
    pub(super) id: u64,
    pub(super) index: u32,
}

/// What a partition lost in the failover.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tail {
    /// Where the histories parted.
    pub(super) cut: Offset,
    /// What the export has from there on.
    pub(super) records: Vec<Seen>,
    /// The first end of a transaction in it.
    pub(super) first_marker: Option<Offset>,
}

/// What does not agree; every number of a good drill is 0, but for `kept`, `cut_off` and `in_doubt`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Records that are where they were acknowledged.
    pub(super) kept: u64,
    /// Acknowledged records beyond the cut that the export has.
    pub(super) cut_off: u64,
    /// Records of transactions that the cut went through: they were acknowledged, and are aborted.
    pub(super) cut_through: u64,
    /// Records that nobody was told of and that are there.
    pub(super) in_doubt: u64,
    /// Acknowledged records that are nowhere.
    pub(super) lost: u64,
    /// Records that nobody sent, or in another place than was acknowledged.
    pub(super) misplaced: u64,
    /// Records that are there twice.
    pub(super) doubled: u64,
    /// Records of aborted transactions, or beyond the cut, that are read all the same.
    pub(super) risen: u64,
}

impl Verdict {
    pub(super) fn is_good(&self) -> bool {
        self.lost == 0 && self.misplaced == 0 && self.doubled == 0 && self.risen == 0
    }

    fn add(&mut self, other: Self) {
        self.kept += other.kept;
        self.cut_off += other.cut_off;
        self.cut_through += other.cut_through;
        self.in_doubt += other.in_doubt;
        self.lost += other.lost;
        self.misplaced += other.misplaced;
        self.doubled += other.doubled;
        self.risen += other.risen;
    }
}

/// Where a batch must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Here,
    InTail,
    CutThrough,
    Nowhere,
    Anywhere,
}

/// All that was sent.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    partitions: Vec<Vec<Batch>>,
    transactions: Vec<Outcome>,
    batches: u64,
    acknowledged: u64,
}

impl Ledger {
    pub(super) fn new(partitions: usize) -> Self {
        Self {
            partitions: vec![Vec::new(); partitions],
            ..Self::default()
        }
    }

    /// A number for a new batch.
    pub(super) fn next_id(&mut self) -> u64 {
        self.batches += 1;
        self.batches
    }

    pub(super) fn begin_transaction(&mut self) -> usize {
        self.transactions.push(Outcome::Unknown);
        self.transactions.len() - 1
    }

    pub(super) fn end_transaction(&mut self, number: usize, outcome: Outcome) {
        if let Some(transaction) = self.transactions.get_mut(number) {
            *transaction = outcome;
        }
    }

    /// Notes a batch that was sent and was not refused.
    pub(super) fn note(&mut self, partition: usize, batch: Batch) {
        if batch.at.is_some() {
            self.acknowledged += u64::from(batch.count);
        }
        if let Some(batches) = self.partitions.get_mut(partition) {
            batches.push(batch);
        }
    }

    /// Where a transaction's batches lie, by partition.
    pub(super) fn places(&self, number: usize) -> Vec<(usize, Offset)> {
        let place = |(index, batches): (usize, &Vec<Batch>)| {
            let newest = batches.iter().rev().take(8);
            let batch = newest
                .into_iter()
                .find(|batch| batch.transaction == Some(number))?;
            Some((index, batch.at?))
        };
        self.partitions.iter().enumerate().filter_map(place).collect()
    }

    /// Records that producers were told are written.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    pub(super) fn transactions(&self) -> usize {
        self.transactions.len()
    }

    /// Judges what one side shows to a reader of committed records.
    pub(super) fn judge(&self, read: &[Vec<Seen>], tails: &[Tail]) -> Verdict {
        let mut verdict = Verdict::default();
        for (index, batches) in self.partitions.iter().enumerate() {
            let seen = read.get(index).map_or(&[][..], Vec::as_slice);
            verdict.add(self.judge_partition(batches, seen, tails.get(index)));
        }
        verdict
    }

    fn judge_partition(&self, batches: &[Batch], seen: &[Seen], tail: Option<&Tail>) -> Verdict {
        let mut verdict = Verdict::default();
        let through = tail.and_then(|tail| cut_through(batches, tail));
        let fates: HashMap<u64, (Batch, Fate)> = batches
            .iter()
            .map(|batch| (batch.id, (*batch, self.fate(batch, tail, through))))
            .collect();
        let here = count(seen, &fates, &mut verdict, Fate::Here);
        let in_tail = count(
            tail.map_or(&[], |tail| &tail.records),
            &fates,
            &mut verdict,
            Fate::InTail,
        );
        for (batch, fate) in fates.values() {
            let size = u64::from(batch.count);
            let found = |counts: &HashMap<u64, u64>| counts.get(&batch.id).copied().unwrap_or(0);
            match fate {
                Fate::Here => {
                    verdict.kept += found(&here).min(size);
                    verdict.lost += size.saturating_sub(found(&here));
                    verdict.doubled += found(&here).saturating_sub(size);
                }
                Fate::InTail => {
                    verdict.cut_off += found(&in_tail).min(size);
                    verdict.lost += size.saturating_sub(found(&in_tail));
                }
                Fate::CutThrough => verdict.cut_through += size,
                Fate::Nowhere => {}
                Fate::Anywhere => {
                    verdict.in_doubt += found(&here).min(size);
                    verdict.doubled += found(&here).saturating_sub(size);
                }
            }
        }
        verdict
    }

    fn fate(&self, batch: &Batch, tail: Option<&Tail>, through: Option<usize>) -> Fate {
        let outcome = batch
            .transaction
            .and_then(|number| self.transactions.get(number).copied());
        let Some(at) = batch.at else {
            return Fate::Anywhere;
        };
        if let Some(tail) = tail.filter(|_| batch.term == 1) {
            if at >= tail.cut {
                // An export has all there is, whatever became of its transaction.
                return Fate::InTail;
            }
            if batch.transaction.is_some() && batch.transaction == through {
                return Fate::CutThrough;
            }
        }
        match outcome {
            None | Some(Outcome::Committed) => Fate::Here,
            Some(Outcome::Aborted) => Fate::Nowhere,
            Some(Outcome::Unknown) => Fate::Anywhere,
        }
    }
}

/// The transaction whose records lie below the cut and whose end lies beyond it: the last one that began before the first
/// end of the tail.
fn cut_through(batches: &[Batch], tail: &Tail) -> Option<usize> {
    let marker = tail.first_marker?;
    let before = batches
        .iter()
        .filter(|batch| batch.term == 1 && batch.at.is_some_and(|at| at < marker));
    let last = before
        .filter(|batch| batch.transaction.is_some())
        .max_by_key(|batch| batch.at)?;
    last.transaction
        .filter(|_| last.at.is_some_and(|at| at < tail.cut))
}

/// Counts records by batch; what is not of a batch, or not in its place, or should not be read, is noted.
fn count(
    seen: &[Seen],
    fates: &HashMap<u64, (Batch, Fate)>,
    verdict: &mut Verdict,
    wanted: Fate,
) -> HashMap<u64, u64> {
    let mut counts = HashMap::new();
    for record in seen {
        let Some((batch, fate)) = fates.get(&record.id) else {
            verdict.misplaced += 1;
            continue;
        };
        let place = batch
            .at
            .map(|at| Offset(at.get().saturating_add(i64::from(record.index))));
        if record.index >= batch.count || place.is_some_and(|place| place != record.offset) {
            verdict.misplaced += 1;
        } else if *fate == wanted || *fate == Fate::Anywhere {
            *counts.entry(record.id).or_insert(0) += 1;
        } else if wanted == Fate::Here {
            verdict.risen += 1;
        }
    }
    counts
}

#[cfg(test)]
#[path = "ledger_test.rs"]
mod tests;
