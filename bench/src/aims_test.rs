use super::*;
use crate::figures::Figures;
use crate::machine::Machine;
use crate::results::{Measured, Rounds};
use crate::scenario::SCENARIOS;
use std::collections::BTreeMap;

fn results(rows: &[(&str, Contender, &str, f64)]) -> Results {
    let mut measured: BTreeMap<&str, Measured> = BTreeMap::new();
    for (scenario, contender, figure, value) in rows {
        let entry = measured.entry(scenario).or_insert_with(|| Measured {
            scenario: (*scenario).to_owned(),
            what: String::new(),
            contenders: BTreeMap::new(),
            seconds: 0.0,
        });
        let rounds = entry
            .contenders
            .entry(contender.name().to_owned())
            .or_insert_with(|| Rounds {
                figures: vec![Figures::new()],
                failures: Vec::new(),
            });
        rounds.figures[0].insert((*figure).to_owned(), *value);
    }
    Results {
        machine: Machine {
            date: String::new(),
            processors: String::new(),
            memory: String::new(),
            kernel: String::new(),
            disk: String::new(),
            load: String::new(),
            versions: Vec::new(),
        },
        command: String::new(),
        quick: false,
        floor: Vec::new(),
        measured: measured.into_values().collect(),
        seconds: 0.0,
    }
}

#[test]
fn every_aim_names_a_scenario_that_exists() {
    for aim in AIMS {
        assert!(
            SCENARIOS.iter().any(|scenario| scenario.name == aim.scenario),
            "{aim:?}"
        );
    }
}

#[test]
fn a_part_of_the_other_s_figure_is_the_bound() {
    let aim = aim("s", "cpu", Limit::PartOf(0.25, Contender::Kafka));
    let verdict = |ours| {
        let rows = [
            ("s", Contender::Thalweg, "cpu", ours),
            ("s", Contender::Kafka, "cpu", 4.0),
        ];
        aim.judge(&results(&rows)).unwrap()
    };
    assert!(verdict(1.0).reached);
    assert!(!verdict(1.01).reached);
}

#[test]
fn at_least_looks_at_another_scenario() {
    let aim = aim("many", "MB/s", Limit::NotBelow(0.5, "few", Contender::Thalweg));
    let rows = [
        ("many", Contender::Thalweg, "MB/s", 49.0),
        ("few", Contender::Thalweg, "MB/s", 100.0),
    ];
    let verdict = aim.judge(&results(&rows)).unwrap();
    assert_eq!((verdict.bound, verdict.reached), (50.0, false));
}

#[test]
fn what_was_not_measured_is_not_judged() {
    let aim = aim("s", "cpu", Limit::PartOf(0.25, Contender::Kafka));
    assert_eq!(
        aim.judge(&results(&[("s", Contender::Thalweg, "cpu", 1.0)])),
        None
    );
    assert_eq!(aim.judge(&results(&[])), None);
}
