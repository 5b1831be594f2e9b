//! Profiles of Thalweg under the loads of the comparison, by `perf`, as flame graphs.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::Signal;
use thalweg_tests::clients;
use thalweg_tests::process::{self, Output, Server};

use crate::compare::Plan;
use crate::flame;
use crate::lineup::Lineup;
use crate::runs::{self, Contender};
use crate::scenario;
use crate::side::Product;

const PERF_ENDS: Duration = Duration::from_secs(60);
const SCRIPT: Duration = Duration::from_secs(300);
/// Not a round number, so that samples do not fall in step with timers.
const HERTZ: &str = "199";
/// Stack bytes kept of each sample; release builds have no frame pointers.
const CALL_GRAPH: &str = "dwarf,8192";

/// Draws one flame graph for each chosen scenario.
///
/// # Errors
/// When `perf` is not there or may not look, or a load fails.
pub fn run(plan: &Plan) -> Result<()> {
    clients::in_path("perf").map_err(|why| anyhow!("profiles need Linux's perf: {why}"))?;
    let chosen = scenario::chosen(&plan.groups, plan.only.as_deref());
    if chosen.is_empty() {
        bail!("no scenario of that name; `list` shows them");
    }
    std::fs::create_dir_all(&plan.out).with_context(|| format!("create {}", plan.out.display()))?;
    let directory = crate::ends::directory("bench-perf-")?;
    let mut lineup = Lineup::new(plan.scale);
    for scenario in chosen {
        eprintln!("{}: {}", scenario.name, scenario.what);
        if scenario.group() == "fetch" {
            lineup.filled(Product::Thalweg)?;
        }
        let pid = lineup.served(Product::Thalweg)?.pid()?;
        let data = directory.path().join("perf.data");
        let mut perf = Command::new("perf");
        perf.args([
            "record",
            "-F",
            HERTZ,
            "--call-graph",
            CALL_GRAPH,
            "-p",
            &pid.to_string(),
            "-o",
        ])
        .arg(&data);
        let mut perf = Server::start(perf, &Output::in_directory(directory.path()));
        let figures = runs::round(&mut lineup, &scenario, Contender::Thalweg);
        perf.signal(Signal::INT);
        if perf.wait_for_end(PERF_ENDS).is_none() {
            bail!("perf does not end");
        }
        figures?;
        let file = plan.out.join(format!("flame-{}.svg", scenario.name));
        let title = format!("Thalweg, {}", scenario.what);
        std::fs::write(&file, picture(&data, &title)?)
            .with_context(|| format!("write {}", file.display()))?;
        eprintln!("  {}", file.display());
    }
    lineup.stop_all()
}

fn picture(data: &Path, title: &str) -> Result<String> {
    let mut script = Command::new("perf");
    script.args(["script", "--no-inline", "-i"]).arg(data);
    let finished = process::run(script, b"", SCRIPT);
    if !finished.status.success() {
        bail!("{}", finished.describe());
    }
    let root = flame::fold(&finished.stdout_text());
    if root.count == 0 {
        bail!("perf took no sample: {}", finished.stderr_text());
    }
    Ok(flame::draw(&root, title))
}
