//! The report for people: machine, aims, one table per group of scenarios, the breakdown beside the floor, failures.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::aims::AIMS;
use crate::figures::{Spread, digits, names, spread};
use crate::results::{Measured, Results};
use crate::svg::PLOTS;

/// Columns of a group's table.
const COLUMNS: &[(&str, &[&str])] = &[
    ("produce", PRODUCE),
    ("small", PRODUCE),
    ("librdkafka", PRODUCE),
    ("codec", PRODUCE),
    ("spread", PRODUCE),
    ("prepared", PRODUCE),
    (
        "fetch",
        &[
            names::THROUGHPUT,
            names::CPU,
            names::MACHINE,
            names::GENERATOR,
            names::CPU_REQUEST,
            names::RESIDENT_PEAK,
        ],
    ),
    (
        "latency",
        &[
            names::P50,
            names::P95,
            names::P99,
            names::P999,
            names::MAX,
            names::DELIVERED,
            names::CPU,
            names::DISK,
            names::RESIDENT_PEAK,
        ],
    ),
    (
        "txn",
        &[
            names::TRANSACTIONS,
            names::P50,
            names::P99,
            names::P999,
            names::MAX,
            names::CPU_TRANSACTION,
            names::MACHINE_TRANSACTION,
            names::THROUGHPUT,
            names::UNCOMMITTED,
            names::OVERHEAD_TIME,
            names::CPU,
            names::UNCOMMITTED_CPU,
            names::OVERHEAD_CPU,
            names::COMMITS_AGAIN,
            names::COMMITS_AGAIN_MAX,
            names::START_AGAIN,
            names::DISK,
            names::RESIDENT_PEAK,
        ],
    ),
    (
        "compact",
        &[
            names::THROUGHPUT,
            names::COMPACTION,
            names::KEPT,
            names::CPU,
            names::MACHINE,
            names::DISK,
            names::RESIDENT_PEAK,
        ],
    ),
    (
        "group",
        &[
            names::FORM,
            names::JOIN,
            names::JOIN_MAX,
            names::CPU_REBALANCE,
            names::COMMITS,
            names::P50,
            names::P99,
            names::P999,
            names::MAX,
            names::CPU_COMMIT,
            names::MACHINE_COMMIT,
            names::RESIDENT_PEAK,
        ],
    ),
    (
        "start",
        &[
            names::START,
            names::START_CPU,
            names::RESIDENT,
            names::IDLE_CPU,
            names::START_AGAIN,
            names::FIRST_PRODUCE,
            names::REPLAY,
        ],
    ),
    (
        "partitions",
        &[
            names::RESIDENT,
            names::RESIDENT_PEAK,
            names::DESCRIPTORS,
            names::IDLE_CPU,
            names::FIRST_PRODUCE,
            names::REPLAY,
            names::START_AGAIN,
            names::P50,
            names::P99,
            names::DELIVERED,
            names::CPU,
            names::DISK,
        ],
    ),
    (
        "mirror",
        &[
            names::THROUGHPUT,
            names::FIRST_RECORD,
            names::LAG_P50,
            names::LAG_P99,
            names::LAG_MAX,
            names::MIRROR_CPU,
            names::SOURCE_CPU,
            names::TARGET_CPU,
            names::MIRROR_RESIDENT,
            names::DELIVERED,
        ],
    ),
];

const PRODUCE: &[&str] = &[
    names::THROUGHPUT,
    names::CPU,
    names::MACHINE,
    names::GENERATOR,
    names::CPU_REQUEST,
    names::CPU_RECORD,
    names::P50,
    names::P99,
    names::P999,
    names::DISK,
    names::DEVICE,
    names::RESIDENT_PEAK,
];

/// Renders the report.
pub fn render(results: &Results) -> String {
    let mut text = String::new();
    head(&mut text, results);
    aims(&mut text, results);
    for (group, columns) in COLUMNS {
        let of_group: Vec<&Measured> = results
            .measured
            .iter()
            .filter(|measured| measured.scenario.split('.').next() == Some(group))
            .collect();
        if !of_group.is_empty() {
            table(&mut text, group, columns, &of_group);
        }
    }
    breakdown(&mut text, results);
    failures(&mut text, results);
    text
}

/// Writing to a string cannot fail.
macro_rules! line {
    ($text:expr, $($part:tt)*) => {{ let _ = writeln!($text, $($part)*); }};
}

fn head(text: &mut String, results: &Results) {
    let machine = &results.machine;
    line!(text, "# Thalweg beside Apache Kafka\n");
    line!(
        text,
        "Written by `{}` in {:.0} s; do not edit.\n",
        results.command,
        results.seconds
    );
    if results.quick {
        line!(
            text,
            "**A quick run: it shows that everything works; its figures say little.**\n"
        );
    }
    line!(text, "| | |\n|---|---|");
    let rows = [
        ("date", &machine.date),
        ("processors", &machine.processors),
        ("memory", &machine.memory),
        ("disk", &machine.disk),
        ("kernel", &machine.kernel),
        ("load before the run", &machine.load),
    ];
    for (name, value) in rows {
        line!(text, "| {name} | {value} |");
    }
    line!(text, "| versions | {} |", machine.versions.join("; "));
    line!(
        text,
        "\nFigures are medians over the rounds with least and greatest in brackets. Rounds alternate between the \
         brokers, which both run all the time. An account is opened when the broker is at rest and closed after it \
         has come to rest again, a sync and the writeback: all work is in it. *Machine* is the machine's busy time \
         less load generators, the other broker and the bench. MB/s and percentiles leave out the warm-up at the \
         beginning of each load (perf tool a quarter of the records, librdkafka a fifth). Thalweg flushes every \
         acknowledged record; Kafka does not, unless it says flushed.\n"
    );
    noise(text, results);
    for plot in PLOTS.iter().filter(|plot| plot.has_data(results)) {
        line!(text, "![{}]({}.svg)\n", plot.title, plot.file);
    }
}

/// How far rounds of the same thing lay apart.
fn noise(text: &mut String, results: &Results) {
    for figure in [names::CPU, names::THROUGHPUT] {
        let repeated = results
            .measured
            .iter()
            .flat_map(|one| one.contenders.values())
            .filter(|rounds| rounds.figures.len() > 1);
        let noises = repeated.filter_map(|rounds| Some(spread(&rounds.figures, figure)?.noise() * 100.0));
        if let Some(all) = Spread::of(noises) {
            line!(
                text,
                "Noise of {figure} (half the range of the rounds over their median): {} % in the median, {} % at most.\n",
                digits(all.median),
                digits(all.max)
            );
        }
    }
}

fn aims(text: &mut String, results: &Results) {
    let verdicts: Vec<_> = AIMS
        .iter()
        .filter_map(|aim| Some((aim, aim.judge(results)?)))
        .collect();
    if verdicts.is_empty() {
        return;
    }
    line!(text, "## Aims\n");
    line!(
        text,
        "| scenario | figure | Thalweg | aim | bound | reached |\n|---|---|---:|---|---:|---|"
    );
    for (aim, verdict) in verdicts {
        line!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            aim.scenario,
            aim.figure,
            digits(verdict.found),
            verdict.rule,
            digits(verdict.bound),
            if verdict.reached { "yes" } else { "**no**" }
        );
    }
    line!(text, "");
}

fn table(text: &mut String, group: &str, columns: &[&str], measured: &[&Measured]) {
    line!(text, "## {group}\n");
    for one in measured {
        line!(text, "- `{}`: {} ({:.0} s)", one.scenario, one.what, one.seconds);
    }
    let used: Vec<&&str> = columns
        .iter()
        .filter(|column| {
            let mut rounds = measured.iter().flat_map(|one| one.contenders.values());
            rounds.any(|rounds| spread(&rounds.figures, column).is_some())
        })
        .collect();
    let heads: Vec<String> = used.iter().map(|column| format!(" {column} |")).collect();
    line!(text, "\n| scenario | broker | rounds |{}", heads.concat());
    line!(text, "|---|---|---:|{}", "---:|".repeat(used.len()));
    for one in measured {
        for (contender, rounds) in &one.contenders {
            let cells: Vec<String> = used
                .iter()
                .map(|column| format!(" {} |", cell(spread(&rounds.figures, column))))
                .collect();
            line!(
                text,
                "| {} | {contender} | {} |{}",
                one.scenario,
                rounds.figures.len(),
                cells.concat()
            );
        }
    }
    line!(text, "");
}

fn cell(spread: Option<Spread>) -> String {
    match spread {
        None => String::new(),
        Some(one) if one.min == one.max => digits(one.median),
        Some(some) => format!(
            "{} ({}–{})",
            digits(some.median),
            digits(some.min),
            digits(some.max)
        ),
    }
}

/// CPU seconds per GiB by group of threads, beside the steps that no broker can do without.
fn breakdown(text: &mut String, results: &Results) {
    if !results.floor.is_empty() {
        line!(text, "## The floor\n");
        line!(
            text,
            "CPU seconds per GiB of each step alone, on this machine, in this run.\n"
        );
        line!(text, "| step | CPU-s/GiB |\n|---|---:|");
        let mut sum = 0.0;
        for step in &results.floor {
            if step.in_sum {
                sum += step.cpu_per_gib;
            }
            line!(text, "| {} | {} |", step.name, digits(step.cpu_per_gib));
        }
        line!(text, "| **sum** | **{}** |\n", digits(sum));
    }
    let shown = ["produce.1k-16k", "produce.1k-128k", "fetch.tail", "fetch.whole"];
    let measured = results
        .measured
        .iter()
        .filter(|one| shown.contains(&one.scenario.as_str()));
    let measured: Vec<&Measured> = measured.collect();
    if measured.is_empty() {
        return;
    }
    line!(text, "## Where the broker's CPU goes\n");
    line!(
        text,
        "By the names of threads, cut to 15 letters by the kernel; numbers at their end left out.\n"
    );
    line!(
        text,
        "| scenario | broker | thread | CPU-s/GiB |\n|---|---|---|---:|"
    );
    for one in measured {
        for (contender, rounds) in &one.contenders {
            let mut rows: Vec<(&str, f64)> = thread_names(&rounds.figures)
                .into_iter()
                .filter_map(|name| {
                    let median = spread(&rounds.figures, name)?.median;
                    Some((name.trim_start_matches(names::THREAD), median))
                })
                .collect();
            rows.sort_by(|one, other| other.1.total_cmp(&one.1));
            for (thread, median) in rows.into_iter().filter(|(_, median)| *median >= 0.01) {
                line!(
                    text,
                    "| {} | {contender} | {thread} | {} |",
                    one.scenario,
                    digits(median)
                );
            }
        }
    }
    line!(text, "");
}

fn thread_names(rounds: &[crate::figures::Figures]) -> BTreeSet<&str> {
    let names = rounds.iter().flat_map(|figures| figures.keys());
    names
        .map(String::as_str)
        .filter(|name| name.starts_with(names::THREAD))
        .collect()
}

fn failures(text: &mut String, results: &Results) {
    let failed: Vec<(&str, &str, &String)> = results
        .measured
        .iter()
        .flat_map(|one| {
            one.contenders.iter().flat_map(|(contender, rounds)| {
                let failures = rounds.failures.iter();
                failures.map(|failure| (one.scenario.as_str(), contender.as_str(), failure))
            })
        })
        .collect();
    if failed.is_empty() {
        return;
    }
    line!(text, "## Rounds that failed\n");
    for (scenario, contender, failure) in failed {
        let first: String = failure
            .lines()
            .next()
            .unwrap_or_default()
            .chars()
            .take(300)
            .collect();
        line!(text, "- {scenario}, {contender}: {first}");
    }
}

#[cfg(test)]
#[path = "markdown_test.rs"]
mod tests;
