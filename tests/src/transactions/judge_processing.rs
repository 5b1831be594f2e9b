//! Programs that read, transform and write: each input exactly once, together with its offset.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::Facts;
use super::{Isolation, Source, Violation, Write};

/// Adds what is wrong with outputs and committed offsets. Says nothing where no offset was committed.
pub(super) fn judge(facts: &Facts, found: &mut Vec<Violation>) {
    let readings = facts
        .readings
        .iter()
        .filter(|(consumer, _)| facts.isolations.get(consumer) == Some(&Isolation::Committed));
    for (_, reading) in readings {
        let mut outputs: BTreeMap<Source, Vec<Write>> = BTreeMap::new();
        for write in &reading.writes {
            if let Some(source) = facts.sent.get(write).and_then(|sent| sent.source) {
                outputs.entry(source).or_default().push(*write);
            }
        }
        for (source, writes) in &outputs {
            if writes.len() > 1 {
                found.push(Violation::ProcessedTwice {
                    source: *source,
                    outputs: writes.clone(),
                });
            }
            let committed = facts.committed_offsets.get(&source.place).copied();
            if let Some(committed) = committed.filter(|committed| source.offset >= *committed) {
                found.push(Violation::OffsetsTorn {
                    source: *source,
                    output: writes[0],
                    committed,
                });
            }
        }
        // An input is what anybody has read as committed in an input partition.
        let inputs: BTreeSet<Source> = facts
            .polls
            .iter()
            .filter(|poll| poll.isolation == Isolation::Committed)
            .map(|poll| Source {
                place: poll.place,
                offset: poll.offset,
            })
            .collect();
        for source in inputs {
            let Some(committed) = facts.committed_offsets.get(&source.place).copied() else {
                continue;
            };
            if source.offset < committed && !outputs.contains_key(&source) {
                found.push(Violation::ProcessedNever { source, committed });
            }
        }
    }
}
