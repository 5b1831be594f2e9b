use super::*;
use crate::figures::Figures;
use crate::floor::Step;
use crate::machine::Machine;
use crate::results::Rounds;
use std::collections::BTreeMap;

fn rounds(figures: &[(&str, f64)], failures: &[&str]) -> Rounds {
    let one: Figures = figures
        .iter()
        .map(|(name, value)| ((*name).to_owned(), *value))
        .collect();
    Rounds {
        figures: vec![one],
        failures: failures.iter().map(|text| (*text).to_owned()).collect(),
    }
}

fn results() -> Results {
    let ours = [
        (names::CPU, 0.9),
        (names::THROUGHPUT, 200.0),
        ("thread wal", 0.25),
    ];
    let theirs = [(names::CPU, 4.0), (names::THROUGHPUT, 150.0)];
    Results {
        machine: Machine {
            date: "today".to_owned(),
            processors: "2 × some".to_owned(),
            memory: "24 GiB".to_owned(),
            kernel: "Linux".to_owned(),
            disk: "ext4".to_owned(),
            load: "0 0 0".to_owned(),
            versions: vec!["one".to_owned(), "two".to_owned()],
        },
        command: "compare".to_owned(),
        quick: true,
        floor: vec![Step {
            name: "receive".to_owned(),
            cpu_per_gib: 0.12,
            in_sum: true,
        }],
        measured: vec![Measured {
            scenario: "produce.1k-16k".to_owned(),
            what: "records".to_owned(),
            contenders: BTreeMap::from([
                ("Thalweg".to_owned(), rounds(&ours, &[])),
                ("Kafka".to_owned(), rounds(&theirs, &["it broke\nbadly"])),
            ]),
            seconds: 1.0,
        }],
        seconds: 2.0,
    }
}

#[test]
fn the_report_has_aims_tables_breakdown_and_failures() {
    let text = render(&results());
    let expected = [
        "| produce.1k-16k | broker CPU-s/GiB | 0.900 | ≤ 0.250 × Kafka | 1.00 | yes |",
        "| produce.1k-16k | Thalweg | 1 | 200 | 0.900 |",
        "| receive | 0.120 |",
        "| produce.1k-16k | Thalweg | wal | 0.250 |",
        "- produce.1k-16k, Kafka: it broke",
        "A quick run",
        "![Throughput, MB/s (more is better)](throughput.svg)",
    ];
    for line in expected {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
}

#[test]
fn every_scenario_has_a_table() {
    for scenario in crate::scenario::SCENARIOS {
        let group = scenario.group();
        assert!(COLUMNS.iter().any(|(of, _)| *of == group), "{}", scenario.name);
    }
}

#[test]
fn columns_without_figures_are_left_out() {
    assert!(!render(&results()).contains(names::GENERATOR));
}

#[test]
fn a_plot_has_a_bar_for_each_contender() {
    let drawn = PLOTS[0].draw(&results());
    assert_eq!(drawn.matches("<line ").count(), 2);
    assert!(drawn.contains(">200<") && drawn.contains(">150<"));
    assert!(!PLOTS[3].has_data(&results()));
}
