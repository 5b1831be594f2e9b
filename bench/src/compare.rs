//! The comparison: scenario by scenario, round by round, contender by contender; then the report.
//!
//! A round that fails is noted and does not end the run: its broker is replaced, and the report names it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};

use crate::figures::{Figures, digits, names};
use crate::lineup::Lineup;
use crate::machine::Machine;
use crate::results::{Measured, Results};
use crate::runs::{self, Contender};
use crate::scenario::{self, Scale, Scenario};
use crate::svg::PLOTS;
use crate::{failure, floor, markdown};

/// What to compare.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Groups of scenarios.
    pub groups: Vec<&'static str>,
    /// A part of the names of scenarios.
    pub only: Option<String>,
    /// Size of the loads.
    pub scale: Scale,
    /// Rounds of each scenario, unless it is a long one.
    pub rounds: u32,
    /// Where the report goes.
    pub out: PathBuf,
    /// Whether the floor is measured.
    pub floor: bool,
}

/// Runs the plan and writes `compare.md`, `compare.json` and the plots.
///
/// # Errors
/// When nothing is chosen or the report cannot be written, or when every round failed.
pub fn run(plan: &Plan) -> Result<()> {
    let chosen = scenario::chosen(&plan.groups, plan.only.as_deref());
    if chosen.is_empty() {
        bail!("no scenario of that name; `list` shows them");
    }
    let began = Instant::now();
    let machine = Machine::look();
    let mut lineup = Lineup::new(plan.scale);
    let mut results = Results {
        machine,
        command: std::env::args().skip(1).collect::<Vec<_>>().join(" "),
        quick: plan.scale == Scale::Quick,
        floor: Vec::new(),
        measured: Vec::new(),
        seconds: 0.0,
    };
    if plan.floor {
        eprintln!("the floor of this machine");
        results.floor = floor::measure(plan.scale)?;
    }
    for (place, scenario) in chosen.iter().enumerate() {
        eprintln!(
            "[{}/{}] {}: {}",
            place + 1,
            chosen.len(),
            scenario.name,
            scenario.what
        );
        let measured = measure(&mut lineup, scenario, plan.rounds);
        results.measured.push(measured);
        results.seconds = began.elapsed().as_secs_f64();
        // After each scenario: what is measured is kept if a later one does not end.
        write(&plan.out, &results)?;
    }
    lineup.stop_all()?;
    eprintln!(
        "{:.0} s; the report is {}",
        results.seconds,
        plan.out.join("compare.md").display()
    );
    let rounds = results
        .measured
        .iter()
        .flat_map(|measured| measured.contenders.values());
    if rounds.clone().all(|rounds| rounds.figures.is_empty()) {
        bail!("every round failed");
    }
    Ok(())
}

fn measure(lineup: &mut Lineup, scenario: &Scenario, rounds: u32) -> Measured {
    let began = Instant::now();
    let mut measured = Measured {
        scenario: scenario.name.to_owned(),
        what: scenario.what.to_owned(),
        contenders: Default::default(),
        seconds: 0.0,
    };
    for round in 0..rounds.min(scenario.rounds_max()) {
        for contender in runs::contenders(scenario.work) {
            let step = Instant::now();
            let outcome = guarded(lineup, scenario, *contender);
            let seconds = step.elapsed().as_secs_f64();
            let kept = measured
                .contenders
                .entry(contender.name().to_owned())
                .or_default();
            match outcome {
                Ok(figures) => {
                    let summary = summary(&figures);
                    eprintln!(
                        "  round {} {}: {seconds:.1} s; {summary}",
                        round + 1,
                        contender.name()
                    );
                    kept.figures.push(figures);
                }
                Err(error) => {
                    eprintln!(
                        "  round {} {}: failed after {seconds:.1} s: {error:#}",
                        round + 1,
                        contender.name()
                    );
                    kept.failures.push(failure::told(&error));
                    lineup.give_up(contender.product());
                }
            }
        }
    }
    measured.seconds = began.elapsed().as_secs_f64();
    measured
}

/// One round; the harness panics where a test would fail, and here that is a failed round.
fn guarded(lineup: &mut Lineup, scenario: &Scenario, contender: Contender) -> Result<Figures> {
    lineup.prepare_for(scenario.group())?;
    let round = AssertUnwindSafe(|| runs::round(lineup, scenario, contender));
    catch_unwind(round).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(anyhow!(
            text.unwrap_or_else(|| "a panic without words".to_owned())
        ))
    })
}

/// What a line of progress shows.
fn summary(figures: &Figures) -> String {
    let shown = [
        names::THROUGHPUT,
        names::TRANSACTIONS,
        names::COMMITS,
        names::CPU,
        names::MIRROR_CPU,
        names::TARGET_CPU,
        names::SOURCE_CPU,
        names::FIRST_RECORD,
        names::LAG_P50,
        names::LAG_P99,
        names::MIRROR_RESIDENT,
        names::CPU_TRANSACTION,
        names::CPU_COMMIT,
        names::CPU_REBALANCE,
        names::MACHINE,
        names::FORM,
        names::JOIN,
        names::OVERHEAD_TIME,
        names::OVERHEAD_CPU,
        names::COMMITS_AGAIN,
        names::P50,
        names::P99,
        names::P999,
        names::START,
        names::FIRST_PRODUCE,
        names::DISK,
        names::RESIDENT,
    ];
    let parts = shown.iter().filter_map(|name| {
        let value = figures.get(*name)?;
        Some(format!("{name} {}", digits(*value)))
    });
    parts.collect::<Vec<_>>().join(", ")
}

fn write(out: &Path, results: &Results) -> Result<()> {
    std::fs::create_dir_all(out).with_context(|| format!("create {}", out.display()))?;
    let file = |name: String, content: String| {
        let path = out.join(name);
        std::fs::write(&path, content).with_context(|| format!("write {}", path.display()))
    };
    file(
        "compare.json".to_owned(),
        serde_json::to_string_pretty(results)? + "\n",
    )?;
    file("compare.md".to_owned(), markdown::render(results))?;
    for plot in PLOTS.iter().filter(|plot| plot.has_data(results)) {
        file(format!("{}.svg", plot.file), plot.draw(results))?;
    }
    Ok(())
}
