//! Everything a comparison found, as it is kept in `compare.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::figures::{Figures, Spread, spread};
use crate::floor::Step;
use crate::machine::Machine;

/// The rounds of one contender in one scenario.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rounds {
    /// Figures of each round that succeeded.
    pub figures: Vec<Figures>,
    /// Why others failed.
    pub failures: Vec<String>,
}

/// One scenario's results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Name of the scenario.
    pub scenario: String,
    /// What it is.
    pub what: String,
    /// Rounds by the contender's name.
    pub contenders: BTreeMap<String, Rounds>,
    /// Seconds that all of it took.
    pub seconds: f64,
}

/// A comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Where it ran.
    pub machine: Machine,
    /// The command line.
    pub command: String,
    /// True for a short run, whose figures say little.
    pub quick: bool,
    /// The floor; empty if it was not measured.
    pub floor: Vec<Step>,
    /// In the order of the run.
    pub measured: Vec<Measured>,
    /// Seconds of the whole run.
    pub seconds: f64,
}

impl Results {
    /// A figure of one contender in one scenario over its rounds.
    pub fn get(&self, scenario: &str, contender: &str, figure: &str) -> Option<Spread> {
        let measured = self
            .measured
            .iter()
            .find(|measured| measured.scenario == scenario)?;
        spread(&measured.contenders.get(contender)?.figures, figure)
    }
}
