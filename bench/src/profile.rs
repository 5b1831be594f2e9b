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
use crate::scenario::{self, Scenario};
use crate::side::Product;

const PERF_ENDS: Duration = Duration::from_secs(60);
const SCRIPT: Duration = Duration::from_secs(300);
/// Not a round number, so that samples do not fall in step with timers.
const HERTZ: &str = "199";
/// Stack bytes kept of each sample; release builds have no frame pointers.
const CALL_GRAPH: &str = "dwarf,8192";

/// Draws one flame graph for each chosen scenario; one that fails is left out, and named at the end.
///
/// # Errors
/// When `perf` is not there or may not look, or a load failed.
pub fn run(plan: &Plan) -> Result<()> {
    clients::in_path("perf").map_err(|why| anyhow!("profiles need Linux's perf: {why}"))?;
    let chosen = scenario::profiled(plan.only.as_deref());
    if chosen.is_empty() {
        bail!("no scenario of that name; `list` shows them");
    }
    std::fs::create_dir_all(&plan.out).with_context(|| format!("create {}", plan.out.display()))?;
    let directory = crate::ends::directory("bench-perf-")?;
    let mut lineup = Lineup::new(plan.scale);
    let mut failed = Vec::new();
    for scenario in chosen {
        eprintln!("{}: {}", scenario.name, scenario.what);
        let file = plan.out.join(format!("flame-{}.svg", scenario.name));
        match draw(&mut lineup, &scenario, directory.path(), &file) {
            Ok(()) => eprintln!("  {}", file.display()),
            Err(error) => {
                eprintln!("  failed: {error:#}");
                failed.push(scenario.name);
                lineup.give_up(Product::Thalweg);
            }
        }
    }
    lineup.stop_all()?;
    if !failed.is_empty() {
        bail!("no profile of {}", failed.join(", "));
    }
    Ok(())
}

/// Runs one load under `perf` and draws what it saw into `file`.
fn draw(lineup: &mut Lineup, scenario: &Scenario, directory: &Path, file: &Path) -> Result<()> {
    if scenario.group() == "fetch" {
        lineup.filled(Product::Thalweg)?;
    }
    let pid = lineup.served(Product::Thalweg)?.pid()?;
    let data = directory.join("perf.data");
    let mut perf = Command::new("perf");
    // The processor's own counters are not there in most virtual machines.
    let how = ["-e", "cpu-clock", "-F", HERTZ, "--call-graph", CALL_GRAPH];
    perf.arg("record").args(how);
    perf.args(["-p", &pid.to_string(), "-o"]).arg(&data);
    let mut perf = Server::start(perf, &Output::in_directory(directory));
    let figures = runs::round(lineup, scenario, Contender::Thalweg);
    perf.signal(Signal::INT);
    if perf.wait_for_end(PERF_ENDS).is_none() {
        bail!("perf does not end");
    }
    figures?;
    let title = format!("Thalweg, {}", scenario.what);
    std::fs::write(file, picture(&data, &title)?).with_context(|| format!("write {}", file.display()))
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
