//! Plans: which partitions a predicate needs, what is left to test there, and why.

use crate::domain::ColumnDomain;
use crate::outcomes::{Outcomes, Truth};
use crate::predicate::{Operand, Predicate, Row, describe};
use crate::schema::Schema;

/// Parts of a predicate that are told apart; the last takes all that follow.
const CONJUNCTS_MAX: usize = 64;

/// The parts of a predicate that must still be tested on the rows of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Residual(u64);

impl Residual {
    /// Reports whether nothing is left: all rows match.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Reports whether the part with this number is left.
    #[must_use]
    pub const fn has(self, conjunct: usize) -> bool {
        conjunct < CONJUNCTS_MAX && self.0 >> conjunct & 1 == 1
    }
}

/// What is done with one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// No row there can match: it is not read.
    Prune,
    /// It is read, and the residual is tested on each row.
    Read(Residual),
}

/// How well the partitioning answers a part of a predicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exactness {
    /// In every partition all rows pass, or none can.
    Exact,
    /// Some partitions are decided, others are not.
    Inexact,
    /// It decides nothing.
    None,
}

impl Exactness {
    /// Returns the word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Inexact => "inexact",
            Self::None => "none",
        }
    }
}

/// What became of one part of the predicate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConjunctReport {
    /// The part, as SQL.
    pub text: String,
    /// How well it is answered.
    pub exactness: Exactness,
    /// Partitions where no row passes.
    pub refuted: usize,
    /// Partitions where every row passes.
    pub covered: usize,
    /// Partitions where rows must be looked at.
    pub open: usize,
    /// Why it is not exact; empty if it is.
    pub reason: String,
}

/// What a scan reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// One decision for each partition, in the order given.
    pub decisions: Vec<Decision>,
    /// One report for each part of the predicate, in its order.
    pub conjuncts: Vec<ConjunctReport>,
}

impl Plan {
    /// Returns how many partitions are read.
    #[must_use]
    pub fn read_count(&self) -> usize {
        self.decisions
            .iter()
            .filter(|decision| **decision != Decision::Prune)
            .count()
    }
}

/// The parts of a predicate, as plan and scan number them.
fn parts(predicate: &Predicate) -> Vec<Predicate> {
    let mut parts: Vec<Predicate> = predicate.conjuncts().into_iter().cloned().collect();
    if parts.len() > CONJUNCTS_MAX {
        let rest = parts.split_off(CONJUNCTS_MAX - 1);
        parts.push(Predicate::And(rest));
    }
    parts
}

/// Counts of one part over the partitions.
#[derive(Clone, Copy, Default)]
struct Tally {
    refuted: usize,
    covered: usize,
    open: usize,
}

/// The number and the domains of a partition that a part does not decide.
type Example<'a> = (usize, &'a [ColumnDomain]);

/// Decides for each partition, given by its domains. Takes time in proportion to partitions times tests.
#[must_use]
pub fn plan<'a>(
    predicate: &Predicate,
    schema: &Schema,
    partitions: impl IntoIterator<Item = &'a [ColumnDomain]>,
) -> Plan {
    let parts = parts(predicate);
    let mut tallies = vec![Tally::default(); parts.len()];
    let mut decisions = Vec::new();
    let mut examples: Vec<Option<Example<'a>>> = vec![None; parts.len()];
    for (number, domains) in partitions.into_iter().enumerate() {
        let mut residual = 0;
        let mut is_pruned = false;
        for (place, ((part, tally), example)) in parts.iter().zip(&mut tallies).zip(&mut examples).enumerate()
        {
            let outcomes = part.outcomes(domains);
            if !outcomes.has(Truth::True) {
                is_pruned = true;
                tally.refuted += 1;
            } else if outcomes == Outcomes::TRUE {
                tally.covered += 1;
            } else {
                residual |= 1_u64 << place;
                tally.open += 1;
                example.get_or_insert((number, domains));
            }
        }
        decisions.push(match is_pruned {
            true => Decision::Prune,
            false => Decision::Read(Residual(residual)),
        });
    }
    let reports = parts.iter().zip(tallies).zip(examples);
    let conjuncts = reports
        .map(|((part, tally), example)| report(part, schema, tally, example))
        .collect();
    Plan { decisions, conjuncts }
}

/// Tests the rows of partitions that are read.
#[derive(Clone, Debug)]
pub struct ResidualFilter {
    parts: Vec<Predicate>,
}

impl ResidualFilter {
    /// Prepares the predicate that was planned.
    #[must_use]
    pub fn new(predicate: &Predicate) -> Self {
        Self {
            parts: parts(predicate),
        }
    }

    /// Reports whether a row matches, by what the plan left of the predicate in the row's partition.
    #[must_use]
    pub fn matches(&self, residual: Residual, row: &Row) -> bool {
        let mut left = self
            .parts
            .iter()
            .enumerate()
            .filter(|(place, _)| residual.has(*place));
        left.all(|(_, part)| part.of_row(row) == Truth::True)
    }
}

fn report(part: &Predicate, schema: &Schema, tally: Tally, example: Option<Example<'_>>) -> ConjunctReport {
    let exactness = match (tally.open, tally.refuted + tally.covered) {
        (0, _) => Exactness::Exact,
        (_, 0) => Exactness::None,
        _ => Exactness::Inexact,
    };
    let reason = example.map_or_else(String::new, |example| reason(part, schema, example));
    ConjunctReport {
        text: part.text(schema),
        exactness,
        refuted: tally.refuted,
        covered: tally.covered,
        open: tally.open,
        reason,
    }
}

/// Says why the first partition that is left open is.
fn reason(part: &Predicate, schema: &Schema, (number, domains): Example<'_>) -> String {
    let mut columns: Vec<&Operand> = Vec::new();
    part.visit_columns(&mut |operand| {
        if !columns.iter().any(|seen| seen.field() == operand.field()) {
            columns.push(operand);
        }
    });
    let says = |operand: &&Operand| {
        let id = operand.field();
        let name = schema.place_of(id).map_or("?", |place| schema.name_at(place));
        let held: Vec<String> = domains
            .iter()
            .filter(|domain| domain.column == id)
            .map(|domain| describe(&domain.domain.values))
            .collect();
        match held.is_empty() {
            true => format!("'{name}' chooses no partition"),
            false => format!("of '{name}' it holds {}", held.join(", and of these ")),
        }
    };
    let columns: Vec<String> = columns.iter().map(says).collect();
    format!("partition {number} is not decided: {}", columns.join("; "))
}

#[cfg(test)]
#[path = "plan_test.rs"]
mod tests;
